package changes

import "github.com/seed-50ced230/berth/gen/hub"

// Before1_20 gives the API as it was before version 1.20.
func Before1_20(next hub.API) hub.API { return next }

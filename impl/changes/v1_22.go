package changes

import "github.com/seed-50ced230/berth/gen/hub"

// Before1_22 gives the API as it was before version 1.22.
func Before1_22(next hub.API) hub.API { return next }

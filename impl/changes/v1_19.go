package changes

import "github.com/seed-50ced230/berth/gen/hub"

// Before1_19 gives the API as it was before version 1.19.
func Before1_19(next hub.API) hub.API { return next }

package changes

import "github.com/seed-50ced230/berth/gen/hub"

// Before1_21 gives the API as it was before version 1.21.
func Before1_21(next hub.API) hub.API { return next }

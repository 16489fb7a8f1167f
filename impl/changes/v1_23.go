package changes

import "github.com/seed-50ced230/berth/gen/hub"

// Before1_23 gives the API as it was before version 1.23.
func Before1_23(next hub.API) hub.API { return next }

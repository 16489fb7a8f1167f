package changes

import (
	"context"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
)

// The range of CPU shares that a cgroup takes (Linux, kernel/sched/sched.h:
// MIN_SHARES and MAX_SHARES).
const (
	leastShares = 2
	mostShares  = 1 << 18
)

// Before1_19 gives the API as it was before version 1.19: CPU shares outside
// the kernel's range are moved into it instead of being refused. Booleans that
// were numbers in /info are the converter's (BoolToInt).
func Before1_19(next hub.API) hub.API { return before1_19{next} }

type before1_19 struct{ hub.API }

func (b before1_19) ContainerCreate(ctx context.Context, p *hub.ContainerCreateParams) (*models.ContainerCreateResponse, error) {
	if h := p.Body.HostConfig; h != nil {
		h.CPUShares = shares(h.CPUShares)
	}
	p.Body.CPUShares = shares(p.Body.CPUShares)
	return b.API.ContainerCreate(ctx, p)
}

func (b before1_19) ContainerStart(ctx context.Context, p *hub.ContainerStartParams) error {
	if p.Body != nil {
		p.Body.CPUShares = shares(p.Body.CPUShares)
	}
	return b.API.ContainerStart(ctx, p)
}

// shares moves a number of CPU shares into the range; 0 is the default and stays.
func shares(n int64) int64 {
	if n <= 0 {
		return n
	}
	return min(max(n, leastShares), mostShares)
}

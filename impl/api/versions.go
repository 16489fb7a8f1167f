package api

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-50ced230/berth/impl/api/bind"
	"github.com/seed-50ced230/berth/impl/fault"
)

// oldestPrefix is the oldest version prefix that is accepted. The engines that
// spoke 1.18 accepted those from 1.12 on and treated them as 1.18.
const oldestPrefix = "1.12"

// number is a version as numbers, most significant first.
type number []int

// parseNumber reads digits with dots between; ok is false for anything else.
func parseNumber(s string) (n number, ok bool) {
	if s == "" {
		return nil, false
	}
	for part := range strings.SplitSeq(s, ".") {
		i, err := strconv.Atoi(part)
		if err != nil && part != "" || i < 0 {
			return nil, false
		}
		n = append(n, i)
	}
	return n, true
}

// short is the number in its usual form, "1.18". Clients may write the same one
// in any number of ways ("1.018", "1.18.0"), which must not tell them apart where
// requests are counted.
func (n number) short() string {
	minor := 0
	if len(n) > 1 {
		minor = n[1]
	}
	return fmt.Sprintf("%d.%d", n[0], minor)
}

// compare orders versions; missing parts are zero.
func (n number) compare(m number) int {
	for i := range max(len(n), len(m)) {
		var a, b int
		if i < len(n) {
			a = n[i]
		}
		if i < len(m) {
			b = m[i]
		}
		if c := cmp.Compare(a, b); c != 0 {
			return c
		}
	}
	return 0
}

// tables are the route tables of all versions, newest first.
type tables struct {
	list   []*table
	oldest number // prefix
}

func newTables(versions []bind.Version) *tables {
	t := &tables{}
	t.oldest, _ = parseNumber(oldestPrefix)
	for _, v := range versions {
		t.list = append(t.list, newTable(v))
	}
	slices.SortFunc(t.list, func(a, b *table) int { return b.number.compare(a.number) })
	return t
}

func (t *tables) newest() *table { return t.list[0] }

// at gives the table that serves a version prefix: the newest one that is not
// newer, or the oldest one for accepted prefixes that are older than all. The error is
// the client's, and then the table is the newest, to tell unknown pages.
func (t *tables) at(prefix string) (*table, error) {
	n, ok := parseNumber(prefix)
	switch {
	case !ok:
		// Digits and dots only, but larger than any number of a version.
		return t.newest(), tooNew(prefix, t.newest().name)
	case n.compare(t.newest().number) > 0:
		return t.newest(), tooNew(prefix, t.newest().name)
	case n.compare(t.oldest) < 0:
		return t.newest(), fault.Invalid("client version %s is too old. Minimum supported API version is %s, please upgrade your client to a newer version", prefix, oldestPrefix)
	}
	for _, candidate := range t.list {
		if candidate.number.compare(n) <= 0 {
			return candidate, nil
		}
	}
	return t.list[len(t.list)-1], nil
}

func tooNew(client, server string) error {
	return fault.Invalid("client is newer than server (client API version: %s, server API version: %s)", client, server)
}

// splitVersion takes a version prefix (/v1.23) off a path. Anything else than
// digits and dots after /v is no prefix.
func splitVersion(path string) (rest, version string, ok bool) {
	if !strings.HasPrefix(path, "/v") {
		return path, "", false
	}
	after := path[2:]
	end := strings.IndexByte(after, '/')
	if end <= 0 {
		return path, "", false
	}
	for _, c := range []byte(after[:end]) {
		if c != '.' && (c < '0' || c > '9') {
			return path, "", false
		}
	}
	return after[end:], after[:end], true
}

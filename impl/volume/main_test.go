package volume

import (
	"os"
	"testing"

	"github.com/seed-50ced230/berth/testbed/plugin"
)

func TestMain(m *testing.M) {
	plugin.Main()
	os.Exit(m.Run())
}

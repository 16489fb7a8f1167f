package clienttest

import "testing"

func TestVersion(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		d.equal("client's version", d.run("version", "--format", "{{.Client.APIVersion}}"), d.version)
		d.matches("server", d.run("version", "--format", "{{.Server.Version}} {{.Server.APIVersion}} {{.Server.Os}}"), `^\S+ 1\.\d\d linux$`)
	})
}

// The client cannot read the numbers that /info has for truth values in 1.18.
func TestInfo(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		if !d.since("1.19") {
			d.matches("info", d.try("", "info").stdout, "cannot unmarshal number .* of type bool")
			return
		}
		d.matches("info", d.run("info", "--format", "{{.Driver}} {{.NCPU}} {{.Images}} {{.OSType}}{{.OperatingSystem}}"), `^overlay2? [1-9]\d* [1-9]\d* \w+`)
	})
}

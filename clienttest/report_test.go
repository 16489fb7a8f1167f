package clienttest

import (
	"context"
	"errors"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The page of a conformance run, from its file: a link to a case opens it and
// shows what went over the wire, frames with their times; nothing is asked of
// anybody, and it fits a telephone.
func TestConformanceReport(t *testing.T) {
	t.Parallel()
	program, err := filepath.Abs("../bin/berth-conformance")
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "-H", engine, "--api", "1.23", "--focus", "SystemVersion/version|ContainerAttach/(attach-logs|upgrade)", "--report", directory).CombinedOutput()
	// Status 3: what ran passed, and cases were left out.
	var status *exec.ExitError
	if !errors.As(err, &status) || status.ExitCode() != 3 {
		t.Fatalf("%v\n%s", err, out)
	}

	b := openBrowser(t)
	page := (&url.URL{Scheme: "file", Path: filepath.Join(directory, "index.html")}).String()
	for _, scheme := range []string{"light", "dark"} {
		b.screen(390, 800, scheme)
		b.do(chromedp.Navigate(page + "#v1-23-ContainerAttach-upgrade"))
		if text := b.see("#v1-23-ContainerAttach-upgrade .exchanges"); !strings.Contains(text, "POST /v1.23/containers/") || !strings.Contains(text, " ms server, ") {
			t.Errorf("the case shows %q", text)
		}
		wide := evaluate[int](b, `document.documentElement.scrollWidth`)
		paper := evaluate[int](b, `Math.max(...getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).map(Number))`)
		if wide > 390 || (paper > 128) != (scheme == "light") {
			t.Errorf("%s: %d pixels wide, the paper's brightness is %d", scheme, wide, paper)
		}
	}
	// What a pointer opens is filled, too.
	b.do(chromedp.Click("#v1-23-SystemVersion-version summary"))
	b.until(`document.querySelector("#v1-23-SystemVersion-version .exchanges").textContent.includes("ApiVersion")`)

	b.mu.Lock()
	defer b.mu.Unlock()
	for _, asked := range b.asked {
		if asked != "" {
			t.Errorf("the page asked %s", asked)
		}
	}
	for _, complaint := range b.complaints {
		t.Errorf("the browser complains: %s", complaint)
	}
}

package clienttest

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// freePort is an address of the loopback that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestDocumentation reads the documentation that berthd serves as a person
// does, in a real browser.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	docsAt, apiAt := freePort(t), freePort(t)
	docs, api := "http://"+docsAt, "http://"+apiAt
	startCold(t, "berthtest7", "10.213.28.1/24", launch{flags: []string{
		"--docs-addr", docsAt, "-H", "tcp://" + apiAt, "--allow-plain-tcp", "--api-cors-header", docs,
	}})
	b := openBrowser(t)
	heading := `//h2[contains(., 'standard streams')]`

	// A deep link opens the operation, and the switch stays on it.
	b.screen(1400, 900, "light")
	b.do(chromedp.Navigate(docs+"/v1.23/#operation/ContainerAttach"), chromedp.WaitVisible(heading))
	inView := `(() => { const h = [...document.querySelectorAll("h2")].find((h) => h.textContent.includes("standard streams"));
		const top = h && h.getBoundingClientRect().top; return top > 0 && top < innerHeight; })()`
	b.until(inView)
	b.do(chromedp.Click(`a[data-version="1.19"]`), chromedp.WaitVisible(heading))
	b.until(`location.pathname === "/v1.19/index.html" && location.hash.endsWith("operation/ContainerAttach")`)
	b.until(inView)

	// An operation that the other version lacks: a notice that says where it is.
	b.do(chromedp.Navigate(docs + "/v1.18/index.html#operation/VolumeList"))
	if text := b.see("#notice"); !strings.Contains(text, "1.18 has no operation VolumeList") {
		t.Errorf("the notice says %q", text)
	}

	// The viewer's search and the site's.
	b.do(chromedp.Navigate(docs+"/v1.23/index.html"), chromedp.SendKeys(`input[role="search"], .search-input, input[placeholder^="Search"]`, "websocket"),
		chromedp.WaitVisible(`//*[@role='search']//li`))
	b.do(chromedp.Navigate(docs+"/search/"), chromedp.SendKeys("#query", "detachkeys attach"))
	if text := b.see("#results li a"); !strings.Contains(text, "detachKeys") {
		t.Errorf("the first result is %q", text)
	}
	b.do(chromedp.Click("#results li a"))
	if text := b.see("h1"); !strings.Contains(text, "standard streams") {
		t.Errorf("the result leads to %q", text)
	}

	// The form asks a live engine.
	b.do(chromedp.Navigate(docs+"/operations/SystemVersion/index.html"), chromedp.SetValue(`input[name="engine"]`, api),
		chromedp.Click("#tryit button[type=submit]"))
	b.until(`document.getElementById("outcome").textContent.includes(" bytes in ")`)
	answer := b.see("#answer")
	var version struct {
		APIVersion string `json:"ApiVersion"`
	}
	if err := json.Unmarshal([]byte(answer), &version); err != nil || version.APIVersion != "1.23" {
		t.Errorf("the engine's answer is shown as %q (%v)", answer, err)
	}
	b.do(chromedp.Navigate(docs+"/operations/ContainerList/index.html"), chromedp.SetValue(`input[name="engine"]`, api),
		chromedp.SetValue(`[name="query:filters"]`, "{"), chromedp.Click("#tryit button[type=submit]"))
	b.until(`document.getElementById("outcome").textContent.startsWith("400 ")`)
	b.forget("400") // asked for

	// The keyboard: the first stop is the way past the header.
	b.do(chromedp.Navigate(docs+"/"), chromedp.KeyEvent(kb.Tab))
	b.until(`document.activeElement.className === "skip" && document.activeElement.getBoundingClientRect().left >= 0`)
	b.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	b.until(`location.pathname === "/v1.18/index.html"`)

	// No page is wider than a telephone, nor keeps light paper in the dark.
	for _, page := range []string{"/", "/v1.23/index.html", "/v1.22/changes/", "/compare/1.18-1.23/", "/operations/ContainerCreate/", "/search/"} {
		for _, scheme := range []string{"light", "dark"} {
			b.screen(390, 800, scheme)
			b.do(chromedp.Navigate(docs + page))
			if strings.HasPrefix(page, "/v1.23") {
				b.do(chromedp.WaitVisible(heading))
			}
			wide := evaluate[int](b, `document.documentElement.scrollWidth`)
			paper := evaluate[int](b, `Math.max(...getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).map(Number))`)
			if wide > 390 {
				t.Errorf("%s (%s): %d pixels wide on a screen of 390", page, scheme, wide)
			}
			if (paper > 128) != (scheme == "light") {
				t.Errorf("%s (%s): the paper's brightness is %d", page, scheme, paper)
			}
		}
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	for _, host := range b.asked {
		if "http://"+host != docs && "http://"+host != api {
			t.Errorf("a page asked %s", host)
		}
	}
	for _, complaint := range b.complaints {
		t.Errorf("the browser complains: %s", complaint)
	}
}

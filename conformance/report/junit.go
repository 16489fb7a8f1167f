package report

import (
	"encoding/xml"
	"fmt"
	"strings"
	"unicode"

	"github.com/seed-50ced230/berth/conformance"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Time      string      `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Hostname  string      `xml:"hostname,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string       `xml:"name,attr"`
	ClassName string       `xml:"classname,attr"`
	Time      string       `xml:"time,attr"`
	Failure   *junitDetail `xml:"failure"`
	Error     *junitDetail `xml:"error"`
	Skipped   *junitDetail `xml:"skipped"`
}

type junitDetail struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// junit writes one suite per version. A case that the daemon fails or does not
// support is a <failure>, one that could not be tried an <error>; one that is
// listed as an expected red is <skipped> with the list's reason, so that a CI
// service is green exactly when the program's exit status is 0.
func (r *Report) junit() ([]byte, error) {
	suites := junitSuites{Name: "berth-conformance " + r.Host, Time: seconds(int64(r.Seconds * 1000))}
	index := map[string]int{}
	var millis []int64
	for _, c := range r.Cases {
		i, known := index[c.Version]
		if !known {
			i = len(suites.Suites)
			index[c.Version] = i
			millis = append(millis, 0)
			suites.Suites = append(suites.Suites, junitSuite{
				Name: "v" + c.Version, Timestamp: r.Started.Format("2006-01-02T15:04:05"), Hostname: r.Host,
			})
		}
		suite := &suites.Suites[i]
		converted := c.junit()
		suite.Cases = append(suite.Cases, converted)
		suite.Tests++
		suites.Tests++
		switch {
		case converted.Failure != nil:
			suite.Failures++
			suites.Failures++
		case converted.Error != nil:
			suite.Errors++
			suites.Errors++
		case converted.Skipped != nil:
			suite.Skipped++
			suites.Skipped++
		}
		millis[i] += c.Millis
		suite.Time = seconds(millis[i])
	}
	encoded, err := xml.MarshalIndent(suites, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the JUnit report: %w", err)
	}
	return append([]byte(xml.Header), append(encoded, '\n')...), nil
}

func (c Case) junit() junitCase {
	converted := junitCase{
		Name: c.ID, ClassName: fmt.Sprintf("v%s.%s.%s", c.Version, c.Tag, c.Operation), Time: seconds(c.Millis),
	}
	if c.Verdict == conformance.Pass {
		return converted
	}
	text := clean(c.Explain() + "\n\n" + c.Curl)
	message, _, _ := strings.Cut(text, "\n")
	detail := &junitDetail{Message: message, Type: string(c.Verdict), Text: text}
	switch {
	case c.Verdict == conformance.SuiteError:
		converted.Error = detail
	case c.Expected != "":
		converted.Skipped = &junitDetail{Message: clean("expected: " + c.Expected), Text: text}
	case c.Verdict == conformance.Blocked:
		converted.Error = detail
	default:
		converted.Failure = detail
	}
	return converted
}

// clean leaves out what XML 1.0 has no characters for.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}

func seconds(millis int64) string { return fmt.Sprintf("%.3f", float64(millis)/1000) }

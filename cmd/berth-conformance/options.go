package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/conformance"
	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/impl/manual"
	"github.com/seed-50ced230/berth/spec"
	"github.com/spf13/pflag"
)

// options are the command line.
type options struct {
	host         string
	reference    string
	api          string
	focus        string
	labelFilter  string
	report       string
	expectedReds string
	busybox      string
	caCert       string
	cert         string
	key          string
	timeout      time.Duration
	seed         int64
	list         bool
	asJSON       bool
	verbose      bool
	selfTest     bool
	alone        bool
	// manual asks for the manual in this format, and for no test; flags are what
	// it tells of.
	manual string
	flags  *pflag.FlagSet
}

func parse(arguments []string, stderr io.Writer) (options, error) {
	var o options
	flags := pflag.NewFlagSet("berth-conformance", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.SortFlags = false
	flags.Usage = func() { manual.Help(stderr, program(flags), "") }
	if len(arguments) > 0 && arguments[0] == "manual" {
		o.manual, arguments = "man", arguments[1:]
		if len(arguments) > 0 {
			o.manual, arguments = arguments[0], arguments[1:]
		}
	}
	flags.StringVarP(&o.host, "host", "H", "unix:///var/run/berth.sock", "daemon to test, unix:///path or tcp://host:port")
	flags.StringVar(&o.reference, "reference", "", "second daemon to run each case on, too; the report shows where its answers differ")
	flags.StringVar(&o.api, "api", "1.18-1.23", "API versions: one, a list with commas, or a range")
	flags.StringVar(&o.focus, "focus", "", "run only cases whose id matches this regular expression")
	flags.StringVar(&o.labelFilter, "label-filter", "", "run only cases whose labels match, for example 'v1.23 && !needs:registry'")
	flags.StringVar(&o.report, "report", "", "directory for report.json, junit.xml and index.html")
	flags.StringVar(&o.expectedReds, "expected-reds", "", "YAML list of cases that are known to be red; held in both directions")
	flags.StringVar(&o.busybox, "busybox", "/bin/busybox", "static busybox that test images are made of")
	flags.StringVar(&o.caCert, "tlscacert", "", "certificates that may have signed the daemon's, PEM")
	flags.StringVar(&o.cert, "tlscert", "", "certificate of the client, PEM")
	flags.StringVar(&o.key, "tlskey", "", "key of the client's certificate, PEM")
	flags.DurationVar(&o.timeout, "timeout", 20*time.Second, "longest wait for an answer or the next piece of a stream")
	flags.Int64Var(&o.seed, "seed", 0, "order of the cases; 0 chooses one, and every run prints its own")
	flags.BoolVar(&o.alone, "alone", false, "hold each case to standing alone: it loads all it needs itself, and what the daemon has must be the same before and after (nothing else may use the daemon)")
	flags.BoolVar(&o.list, "list", false, "list the cases instead of running them; needs no daemon")
	flags.BoolVar(&o.asJSON, "json", false, "with --list, list as JSON")
	flags.BoolVar(&o.selfTest, "self-test", false, "test the suite instead: put a proxy before the daemon that does one thing wrong at a time")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "show passed cases, too")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	o.flags = flags
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.alone && (o.list || o.selfTest) {
		return o, errors.New("--alone is about a run: it goes with neither --list nor --self-test")
	}
	if o.timeout <= 0 {
		return o, fmt.Errorf("the timeout must be more than 0, not %s", o.timeout)
	}
	return o, nil
}

// versions reads the value of --api.
func (o options) versions() ([]string, error) {
	known := spec.Versions()
	var chosen []string
	for part := range strings.SplitSeq(o.api, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		found := false
		for _, version := range known {
			if conformance.CompareVersions(version, first) >= 0 && conformance.CompareVersions(version, last) <= 0 {
				chosen = append(chosen, version)
				found = true
			}
		}
		if !found {
			return nil, fmt.Errorf("--api %s: there are only documents of %s", part, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// selection reads the documents, makes all cases and chooses some.
func (o options) selection() (documents []*document.Document, chosen, all []*conformance.Case, err error) {
	for _, version := range spec.Versions() {
		raw, ok := spec.Document(version)
		if !ok {
			return nil, nil, nil, fmt.Errorf("there is no document of version %s", version)
		}
		parsed, err := document.Parse(raw)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("document of version %s: %w", version, err)
		}
		documents = append(documents, parsed)
	}
	all = conformance.Cases(documents)
	var choice conformance.Selection
	if choice.Versions, err = o.versions(); err != nil {
		return nil, nil, nil, err
	}
	choice.Labels = o.labelFilter
	if o.focus != "" {
		if choice.Focus, err = regexp.Compile(o.focus); err != nil {
			return nil, nil, nil, fmt.Errorf("--focus: %w", err)
		}
	}
	chosen, err = choice.Choose(all)
	return documents, chosen, all, err
}

// tlsConfig is nil unless one of the TLS files is given.
func (o options) tlsConfig() (*tls.Config, error) {
	if o.caCert == "" && o.cert == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.caCert != "" {
		pem, err := os.ReadFile(o.caCert)
		if err != nil {
			return nil, fmt.Errorf("--tlscacert: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--tlscacert: %s holds no certificate", o.caCert)
		}
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, fmt.Errorf("--tlscert and --tlskey: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

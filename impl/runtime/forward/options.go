package forward

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/RackSec/srslog"
	"github.com/docker/go-connections/tlsconfig"

	"github.com/seed-50ced230/berth/impl/fault"
)

// options are the options of each driver, those of Docker Engine 1.11.
var options = map[string][]string{
	Journald: {"labels", "env", "tag"},
	Syslog: {"labels", "env", "tag", "syslog-tag", "syslog-address", "syslog-facility", "syslog-format",
		"syslog-tls-ca-cert", "syslog-tls-cert", "syslog-tls-key", "syslog-tls-skip-verify"},
}

// Check validates the options of a driver of this package, with the texts of
// Docker Engine.
func Check(driver string, given map[string]string) error {
	known := map[string]bool{}
	for _, name := range options[driver] {
		known[name] = true
	}
	for name := range given {
		if !known[name] {
			return fault.Invalid("unknown log opt '%s' for %s log driver", name, driver)
		}
	}
	if driver != Syslog {
		return nil
	}
	if _, _, err := address(given["syslog-address"]); err != nil {
		return err
	}
	if _, err := facility(given["syslog-facility"]); err != nil {
		return err
	}
	_, _, err := format(given["syslog-format"], "", nil)
	return err
}

// address reads syslog-address: a network and where to reach the server in it.
// Empty means the host's own log.
func address(s string) (network, addr string, err error) {
	if s == "" {
		return "", "", nil
	}
	if !strings.Contains(s, "://") {
		return "", "", fault.Invalid("syslog-address should be in form proto://address, got %s", s)
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", "", fault.Invalid("syslog-address: %w", err)
	}
	switch u.Scheme {
	case "unix", "unixgram":
		if _, err := os.Stat(u.Path); err != nil {
			return "", "", fault.Invalid("syslog-address: %w", err)
		}
		return u.Scheme, u.Path, nil
	case "udp", "tcp", "tcp+tls":
		host := u.Host
		if _, _, err := net.SplitHostPort(host); err != nil {
			if !strings.Contains(err.Error(), "missing port in address") {
				return "", "", fault.Invalid("syslog-address: %w", err)
			}
			host = net.JoinHostPort(strings.Trim(host, "[]"), "514")
		}
		return u.Scheme, host, nil
	}
	return "", "", fault.Invalid("syslog-address should be in form proto://address, got %s: proto is one of unix, unixgram, udp, tcp, tcp+tls", s)
}

// facilities are the names of RFC 5424, section 6.2.1, as syslog(3) has them.
var facilities = map[string]srslog.Priority{
	"kern": srslog.LOG_KERN, "user": srslog.LOG_USER, "mail": srslog.LOG_MAIL, "daemon": srslog.LOG_DAEMON,
	"auth": srslog.LOG_AUTH, "syslog": srslog.LOG_SYSLOG, "lpr": srslog.LOG_LPR, "news": srslog.LOG_NEWS,
	"uucp": srslog.LOG_UUCP, "cron": srslog.LOG_CRON, "authpriv": srslog.LOG_AUTHPRIV, "ftp": srslog.LOG_FTP,
	"local0": srslog.LOG_LOCAL0, "local1": srslog.LOG_LOCAL1, "local2": srslog.LOG_LOCAL2, "local3": srslog.LOG_LOCAL3,
	"local4": srslog.LOG_LOCAL4, "local5": srslog.LOG_LOCAL5, "local6": srslog.LOG_LOCAL6, "local7": srslog.LOG_LOCAL7,
}

func facility(s string) (srslog.Priority, error) {
	if s == "" {
		return srslog.LOG_DAEMON, nil
	}
	if f, ok := facilities[s]; ok {
		return f, nil
	}
	if n, err := strconv.Atoi(s); err == nil && 0 <= n && n <= 23 {
		return srslog.Priority(n << 3), nil
	}
	return 0, fault.Invalid("invalid syslog facility: %q is neither a name such as daemon or local0 nor a number from 0 to 23", s)
}

// format reads syslog-format for a network. at is the time of the message that is
// being formatted.
func format(s, network string, at *time.Time) (srslog.Formatter, srslog.Framer, error) {
	framer := srslog.DefaultFramer
	switch s {
	case "": // that of syslog(3), without a host name
		return func(p srslog.Priority, _, tag, content string) string {
			return fmt.Sprintf("<%d>%s %s[%d]: %s", p, at.Format(time.Stamp), tag, os.Getpid(), content)
		}, framer, nil
	case "rfc3164":
		return func(p srslog.Priority, host, tag, content string) string {
			return fmt.Sprintf("<%d>%s %s %s[%d]: %s", p, at.Format(time.Stamp), host, tag, os.Getpid(), content)
		}, framer, nil
	case "rfc5424":
		if network == "tcp+tls" {
			framer = srslog.RFC5425MessageLengthFramer
		}
		// The tag is in the place of the program's name, as Docker Engine writes it.
		return func(p srslog.Priority, host, tag, content string) string {
			return fmt.Sprintf("<%d>1 %s %s %s %d %s - %s",
				p, at.Format("2006-01-02T15:04:05.000000Z07:00"), host, tag, os.Getpid(), tag, content)
		}, framer, nil
	}
	return nil, nil, fault.Invalid("Invalid syslog format: %q, use rfc3164 or rfc5424", s)
}

func tlsConfig(o map[string]string) (*tls.Config, error) {
	_, skip := o["syslog-tls-skip-verify"]
	return tlsconfig.Client(tlsconfig.Options{
		CAFile: o["syslog-tls-ca-cert"], CertFile: o["syslog-tls-cert"], KeyFile: o["syslog-tls-key"],
		InsecureSkipVerify: skip,
	})
}

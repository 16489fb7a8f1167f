package registry

import "strings"

// challenge is one way to log in that a registry offers in WWW-Authenticate.
type challenge struct {
	scheme string // lower case
	params map[string]string
}

// maxChallenge bounds what is read of a header.
const maxChallenge = 16 << 10

// parseChallenges reads the values of WWW-Authenticate (RFC 9110, section
// 11.6.1). One value may hold several challenges. What cannot be understood
// ends the reading of its value.
func parseChallenges(values []string) []challenge {
	var list []challenge
	for _, v := range values {
		if len(v) > maxChallenge {
			continue
		}
		rest := v
		for {
			rest = strings.TrimLeft(rest, " \t,")
			name, after := token(rest)
			if name == "" {
				break
			}
			after = strings.TrimLeft(after, " \t")
			if !strings.HasPrefix(after, "=") {
				list = append(list, challenge{scheme: strings.ToLower(name), params: map[string]string{}})
				rest = after
				continue
			}
			if len(list) == 0 {
				break
			}
			value, more, ok := parameter(strings.TrimLeft(after[1:], " \t"))
			if !ok {
				break
			}
			list[len(list)-1].params[strings.ToLower(name)] = value
			rest = more
		}
	}
	return list
}

// token cuts an RFC 9110 token off s.
func token(s string) (token, rest string) {
	end := strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
	if end < 0 {
		return s, ""
	}
	return s[:end], s[end:]
}

// parameter cuts a token or a quoted string off s.
func parameter(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		value, rest = token(s)
		return value, rest, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case '"':
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

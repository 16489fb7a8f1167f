package metrics

import (
	"strings"
	"sync"
)

const (
	// mostClients bounds the programs that are counted by name: a client that
	// makes up names must not fill the memory.
	mostClients = 100
	// mostLetters bounds a name, in bytes.
	mostLetters = 64
)

// knownClients gives the programs that call a name for their label. The zero
// value is ready.
type knownClients struct {
	mu    sync.Mutex
	names map[string]struct{}
}

// name is the first product of a User-Agent with its version, as
// "Docker-Client/20.10.24" or "docker-py/5.0.3" (RFC 9110, section 10.1.5);
// "unknown" without one and "other" when there are too many already.
func (k *knownClients) name(userAgent string) string {
	product, _, _ := strings.Cut(strings.TrimSpace(userAgent), " ")
	product = strings.Map(func(r rune) rune {
		// The letters of a token, and the slash before the version.
		if r > ' ' && r < 0x7f && !strings.ContainsRune(`"(),:;<=>?@[\]{}`, r) {
			return r
		}
		return -1
	}, product)
	if product == "" {
		return "unknown"
	}
	if len(product) > mostLetters {
		product = product[:mostLetters]
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.names[product]; ok {
		return product
	}
	if len(k.names) >= mostClients {
		return "other"
	}
	if k.names == nil {
		k.names = map[string]struct{}{}
	}
	k.names[product] = struct{}{}
	return product
}

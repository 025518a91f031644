package serve

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
)

// Keys are the API keys of a file. All methods of nil ones let everybody in.
type Keys struct {
	path    string
	digests atomic.Pointer[[][sha256.Size]byte]
}

// LoadKeys reads a file with a key on each line; empty lines and those that begin with # are left out.
func LoadKeys(path string) (*Keys, error) {
	k := &Keys{path: path}
	return k, k.Reload()
}

// Reload reads the file again. On an error the keys stay as they are.
func (k *Keys) Reload() error {
	if k == nil {
		return nil
	}
	b, err := os.ReadFile(k.path)
	if err != nil {
		return err
	}
	var all [][sha256.Size]byte
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		key := strings.TrimSpace(lines.Text())
		if key == "" || key[0] == '#' {
			continue
		}
		if len(key) < 8 || strings.ContainsAny(key, " \t") {
			return fmt.Errorf("%s:%d: a key has 8 characters or more and no blanks", k.path, n)
		}
		all = append(all, sha256.Sum256([]byte(key)))
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", k.path, err)
	}
	if len(all) == 0 {
		return fmt.Errorf("%s: there is no key in it", k.path)
	}
	k.digests.Store(&all)
	return nil
}

// open are paths that tell nothing and need no key.
var open = map[string]bool{"/health": true, "/": true}

// admit is whether a request may be answered. It takes as long for a key that is nearly right as for any other.
func (k *Keys) admit(r *http.Request) bool {
	if k == nil || open[r.URL.Path] || strings.HasPrefix(r.URL.Path, "/page/") {
		return true
	}
	_, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	digest := sha256.Sum256([]byte(strings.TrimSpace(key)))
	found := 0
	for _, d := range *k.digests.Load() {
		found |= subtle.ConstantTimeCompare(digest[:], d[:])
	}
	return found == 1
}

package cli

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestWork holds what is shown, by a clock of its own: nothing of what is done soon, and elsewhere than on a terminal
// a line from time to time.
func TestWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		k := NewWork(&out, "reading")
		time.Sleep(between - time.Millisecond)
		k.End()
		k.End()
		if out.Len() > 0 {
			t.Errorf("%q is shown of what is done soon", out.String())
		}
		k = NewWork(&out, "reading")
		time.Sleep(between + time.Millisecond)
		k.Now("learning")
		time.Sleep(between)
		k.End()
		if got := out.String(); got != "reading  10s\nlearning  20s\n" {
			t.Errorf("%q is shown", got)
		}

		out.Reset()
		c := NewCounter(&out, 200, "lines")
		for i := range 200 {
			c.Set(i)
			time.Sleep(200 * time.Millisecond)
		}
		c.End()
		if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != 3 ||
			lines[0] != "50 of 200 lines  30s left" {
			t.Errorf("%q is shown", lines)
		}
	})
}

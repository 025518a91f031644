//go:build unix

package app

import (
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/creack/pty"
)

// TestProgressOnTerminals trains at a pseudo-terminal, whose width changes while the training runs: the progress stays
// on one line, and what is printed above it are whole lines.
func TestProgressOnTerminals(t *testing.T) {
	t.Setenv("TERM", "xterm")
	b := newBench(t)
	for _, width := range []int{40, 50, 80, 200} {
		ptm, tty, err := pty.Open()
		if err != nil {
			t.Skipf("no pseudo-terminal: %v", err)
		}
		size := func(columns int) {
			if err := pty.Setsize(ptm, &pty.Winsize{Rows: 24, Cols: uint16(columns)}); err != nil {
				t.Error(err)
			}
		}
		size(width)
		narrow := width - 8
		p := bigramProgram(func(m *bigram) {
			m.stepped = func(step int) {
				if step == 3000 {
					size(narrow)
				}
			}
		})
		var drawn strings.Builder
		var read sync.WaitGroup
		read.Go(func() { io.Copy(&drawn, ptm) }) // until the terminal is closed
		status := Run(b.ctx, p,
			[]string{"train", "--data", "book.txt", "--steps", "6000", "--eval-every", "2000", "--samples", "0",
				"--overwrite", "--sample-every", "2500"}, io.Discard, tty)
		tty.Close()
		read.Wait()
		ptm.Close()
		if status != 0 {
			t.Fatalf("width %d: status %d, %s", width, status, drawn.String())
		}
		text := regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`).ReplaceAllString(strings.ReplaceAll(drawn.String(), "\r\n",
			"\n"), "")
		pictures := 0
		for _, line := range strings.Split(text, "\n") {
			// Each picture is drawn over the one before; a line that was printed takes the place of the last.
			rows := strings.Split(line, "\r")
			for i, row := range rows {
				row = strings.TrimRight(row, " ")
				if !strings.HasPrefix(row, "step ") || strings.Contains(row, "validation") {
					continue
				}
				if i == len(rows)-1 {
					t.Errorf("width %d: %q is left behind", width, row)
				}
				if pictures++; utf8.RuneCountInString(row) >= width {
					t.Errorf("width %d: picture %d is %d columns wide: %q", width, i, utf8.RuneCountInString(row), row)
				}
			}
		}
		if pictures == 0 {
			t.Errorf("width %d: there is no progress in %q", width, text)
		}
	}
}

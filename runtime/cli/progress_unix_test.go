//go:build unix

package cli

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
)

// screen is a terminal whose output is read as a person sees it: rows that wrap at the width that it has at the time.
type screen struct {
	t    *testing.T
	file *os.File // what programs write to
	ptm  *os.File
}

func newScreen(t *testing.T, width int) *screen {
	t.Helper()
	ptm, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { tty.Close(); ptm.Close() })
	s := &screen{t, tty, ptm}
	s.resize(width)
	return s
}

func (s *screen) resize(width int) {
	s.t.Helper()
	if err := pty.Setsize(s.ptm, &pty.Winsize{Rows: 24, Cols: uint16(width)}); err != nil {
		s.t.Fatal(err)
	}
}

// read is what was written since the last call.
func (s *screen) read() string {
	s.t.Helper()
	const mark = "\x00end\x00"
	fmt.Fprint(s.file, mark)
	var all strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(all.String(), mark) {
		s.ptm.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := s.ptm.Read(buf)
		if err != nil {
			s.t.Fatal(err)
		}
		all.Write(buf[:n])
	}
	return strings.TrimSuffix(all.String(), mark)
}

var codes = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)

// oneLine checks that what was drawn never leaves a row of the width, and returns the last picture.
func oneLine(t *testing.T, drawn string, width int) string {
	t.Helper()
	if strings.Contains(drawn, "\n") {
		t.Errorf("width %d: a new line is begun in %q", width, drawn)
	}
	last := ""
	for _, row := range strings.Split(codes.ReplaceAllString(drawn, ""), "\r") {
		if n := utf8.RuneCountInString(strings.TrimRight(row, " ")); n >= width {
			t.Errorf("width %d: a row of %d columns: %q", width, n, row)
		}
		if strings.TrimSpace(row) != "" {
			last = row
		}
	}
	return last
}

// TestLine draws a line that is too long for most terminals, at several widths and through resizes.
func TestLine(t *testing.T) {
	t.Setenv("TERM", "xterm")
	parts := func(i int) []Part {
		return []Part{{fmt.Sprintf("step %d/12,345", i), 0}, {"generator 1.2345", 1},
			{"discriminator 0.4321, 73.2 % right", 2}, {"123k tokens/s", 5}, {"3m20s left", 4}}
	}
	s := newScreen(t, 200)
	l := NewLine(s.file, 12345)
	for _, step := range []struct {
		width int
		want  []string
		not   string
	}{
		{200, []string{"step 1", "generator", "discriminator", "tokens/s", "left"}, "zzz"},
		{80, []string{"step 1", "generator", "discriminator"}, "tokens/s"},
		{50, []string{"step 1", "generator"}, "discriminator"},
		{40, []string{"step 1"}, "left"},
		{12, []string{"step 1"}, "generator"},
		{1, nil, "step"},
		{120, []string{"step 1", "generator", "discriminator", "left"}, "zzz"},
	} {
		s.resize(step.width)
		for i := range 30 {
			l.Show(1000+i*10, parts(1000+i*10)...)
		}
		last := oneLine(t, s.read(), step.width)
		for _, w := range step.want {
			if !strings.Contains(last, w) {
				t.Errorf("width %d: %q does not show %q", step.width, last, w)
			}
		}
		if strings.Contains(last, step.not) {
			t.Errorf("width %d: %q shows %q, which matters less than what is left out", step.width, last, step.not)
		}
	}
	l.Clear()
	oneLine(t, s.read(), 120)
}

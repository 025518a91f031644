package cli

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// TerminalWidth is the width of w in columns as it is now, or 0 when it is not a terminal.
func TerminalWidth(w any) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 1 {
		return 80
	}
	return width
}

// Part is a part of a line that may have to do without it.
type Part struct {
	Text string
	Rank int // the higher, the sooner it is left out
}

// Fit joins parts with two blanks between them to a line of at most width columns: it leaves out those that matter
// least, and cuts what is left when it is still too long.
func Fit(parts []Part, width int) string {
	parts = append([]Part{}, parts...)
	for {
		texts := make([]string, 0, len(parts))
		worst := -1
		for i, p := range parts {
			if p.Text == "" {
				continue
			}
			texts = append(texts, p.Text)
			if worst < 0 || p.Rank >= parts[worst].Rank {
				worst = i
			}
		}
		line := strings.Join(texts, "  ")
		runes := []rune(line)
		switch {
		case len(runes) <= width:
			return line
		case len(texts) == 1:
			if width < 1 {
				return ""
			}
			return string(runes[:width-1]) + "…"
		}
		parts[worst].Text = ""
	}
}

// The bar of a line: the least that it takes, with its percentage and the blanks around it, and the rank that it has
// among the parts.
const (
	barWidth = 14
	BarRank  = 3
)

// Line is one line on a terminal, a text and a bar, that shows how far some work is. It fits the terminal as wide as
// it is when it is drawn. The nil Line, for what is no terminal, draws nothing.
type Line struct {
	w     io.Writer
	total int
	bar   *progressbar.ProgressBar
	shown bool
}

// NewLine makes a line on w for work of total parts; nil where w is not a terminal.
func NewLine(w io.Writer, total int) *Line {
	if TerminalWidth(w) == 0 {
		return nil
	}
	return &Line{w: w, total: total}
}

// needs is the width of the parts that matter more than the bar.
func needs(parts []Part) int {
	var all []Part
	for _, p := range parts {
		if p.Rank < BarRank {
			all = append(all, p)
		}
	}
	return utf8.RuneCountInString(Fit(all, math.MaxInt))
}

// Show draws the line, done parts of the work being done.
func (l *Line) Show(done int, parts ...Part) {
	if l == nil {
		return
	}
	width := TerminalWidth(l.w) - 1 // the last column makes some terminals begin a new line
	text := Fit(parts, width-barWidth)
	if width-barWidth < needs(parts) { // text alone
		l.Say(parts...)
		return
	}
	if l.bar == nil {
		l.bar = progressbar.NewOptions(l.total, progressbar.OptionSetWriter(l.w), progressbar.OptionFullWidth(),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionSetRenderBlankState(false),
			progressbar.OptionClearOnFinish(), progressbar.OptionUseANSICodes(ansi()),
			progressbar.OptionSetTheme(progressbar.Theme{Saucer: "━", SaucerHead: "━", SaucerPadding: " ", BarStart: "",
				BarEnd: ""}))
	}
	l.shown = true
	l.bar.Describe(text)
	l.bar.Set(done)
}

// Say draws the parts alone, of work of which nobody knows how far it is.
func (l *Line) Say(parts ...Part) {
	if l == nil {
		return
	}
	l.Clear()
	fmt.Fprint(l.w, Fit(parts, TerminalWidth(l.w)-1))
	l.shown = true
}

// Clear takes the line away, so that something else can be printed there; the next Show draws it again.
func (l *Line) Clear() {
	if l == nil || !l.shown {
		return
	}
	l.shown = false
	if ansi() {
		fmt.Fprint(l.w, "\033[2K\r")
	} else {
		fmt.Fprintf(l.w, "\r%s\r", strings.Repeat(" ", max(0, TerminalWidth(l.w)-1)))
	}
}

func ansi() bool { return os.Getenv("TERM") != "dumb" }

// Counter shows how much of some work is done once it has taken a while: as a line on a terminal, and as a line of its
// own from time to time elsewhere.
type Counter struct {
	w     io.Writer
	line  *Line
	total int
	what  string
	now   func() time.Time
	begun time.Time
	shown time.Time
}

// Times of a counter: what is done before the first of them has no need of one.
const (
	quiet   = time.Second            // before anything is shown
	redraw  = 100 * time.Millisecond // between two pictures on a terminal
	between = 10 * time.Second       // between two lines elsewhere
)

// NewCounter makes a counter of total things, which what names: "lines". A total of 0 is one that is not known.
func NewCounter(w io.Writer, total int, what string) *Counter {
	c := &Counter{w: w, total: total, what: what, now: time.Now}
	c.line = NewLine(w, max(total, 1))
	c.begun = c.now()
	return c
}

// Set tells how many are done.
func (c *Counter) Set(done int) {
	now := c.now()
	wait := redraw
	if c.line == nil {
		wait = between
	}
	if now.Sub(c.begun) < quiet || now.Sub(c.shown) < wait || c.line == nil && now.Sub(c.begun) < between {
		return
	}
	c.shown = now
	text := Thousands(done) + " " + c.what
	left := ""
	if c.total > 0 {
		text = fmt.Sprintf("%s of %s %s", Thousands(done), Thousands(c.total), c.what)
		if done > 0 {
			left = Duration(time.Duration(float64(now.Sub(c.begun))*float64(c.total-done)/float64(done))) + " left"
		}
	}
	if c.line != nil {
		c.line.Show(min(done, c.line.total), Part{text, 0}, Part{left, 1})
		return
	}
	fmt.Fprintln(c.w, Fit([]Part{{text, 0}, {left, 1}}, 120))
}

// End takes the line away.
func (c *Counter) End() { c.line.Clear() }

// Thousands is n with commas: 1,234,567.
func Thousands[N int | int64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Duration is d in two units: 1.2s, 3m20s, 2h05m.
func Duration(d time.Duration) string {
	switch s := int(d.Seconds() + 0.5); {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", max(d, 0).Seconds())
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	default:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
}

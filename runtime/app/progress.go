package app

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// progress shows a training: a bar on a terminal, lines elsewhere.
type progress struct {
	w       io.Writer
	verbose bool
	pair    bool                     // of adversarial networks
	bar     *progressbar.ProgressBar // nil where there is no terminal
	width   int
	now     func() time.Time
	limit   time.Duration // of the whole run, 0 for none
	made    time.Time

	first   int           // step that this run began after
	start   time.Time     // of the first step
	aside   time.Duration // spent in validations
	unit    string        // what is counted: "token"
	tokens  int
	loss    float64    // mean that forgets
	duel    model.Duel // of a pair of networks, the same
	started bool
	shown   time.Time // when the last line or the bar was drawn
}

// between is the time between two lines where there is no terminal.
const between = 5 * time.Second

func newProgress(w io.Writer, verbose bool, limit time.Duration) *progress {
	return &progress{w: w, verbose: verbose, width: terminalWidth(w), now: time.Now, limit: limit, made: time.Now(), unit: "token"}
}

// print writes a line, with the bar out of its way.
func (p *progress) print(format string, args ...any) {
	if p.bar != nil {
		p.bar.Clear()
	}
	fmt.Fprintf(p.w, format+"\n", args...)
}

func (p *progress) Resumed(step, total int) {
	p.first = step
	p.print("going on after step %s of %s", thousands(step), thousands(total))
}

func (p *progress) Step(s train.Progress) {
	now := p.now()
	if !p.started {
		p.started, p.start, p.shown, p.loss = true, now, now, s.Loss
		if s.Duel != nil {
			p.duel = *s.Duel
		}
		if p.width > 0 {
			p.bar = progressbar.NewOptions(s.Total-p.first, progressbar.OptionSetWriter(p.w), progressbar.OptionFullWidth(),
				progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
				progressbar.OptionClearOnFinish(), progressbar.OptionUseANSICodes(os.Getenv("TERM") != "dumb"),
				progressbar.OptionSetTheme(progressbar.Theme{Saucer: "━", SaucerHead: "━", SaucerPadding: " ", BarStart: "", BarEnd: ""}))
		}
	} else {
		// The first step is not in the speed: it makes the memory.
		p.tokens += s.Tokens
		share := max(0.02, 1/float64(s.Step-p.first))
		p.loss += (s.Loss - p.loss) * share
		if s.Duel != nil {
			p.duel.Discriminator += (s.Duel.Discriminator - p.duel.Discriminator) * share
			p.duel.Accuracy += (s.Duel.Accuracy - p.duel.Accuracy) * share
		}
	}
	if p.bar != nil {
		if now.Sub(p.shown) > 100*time.Millisecond || s.Step == s.Total {
			p.shown = now
			p.bar.Describe(p.line(s, now))
		}
		p.bar.Set(s.Step - p.first)
		return
	}
	if now.Sub(p.shown) >= between {
		p.shown = now
		p.print("%s", p.line(s, now))
	}
}

// line is where a training stands.
func (p *progress) line(s train.Progress, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "step %s/%s%s", thousands(s.Step), thousands(s.Total), p.losses())
	spent := (now.Sub(p.start) - p.aside).Seconds()
	if done := s.Step - p.first - 1; done > 0 && spent > 0 {
		fmt.Fprintf(&b, "  %s %ss/s", short(float64(p.tokens)/spent), p.unit)
		left := time.Duration(spent / float64(done) * float64(s.Total-s.Step) * float64(time.Second))
		if p.limit > 0 {
			left = min(left, p.limit-now.Sub(p.made))
		}
		fmt.Fprintf(&b, "  %s left", duration(left))
	}
	return b.String()
}

// losses shows the loss, or both of a pair of networks.
func (p *progress) losses() string {
	if !p.started { // a training that goes on has made no step yet
		return ""
	}
	if !p.pair || p.duel == (model.Duel{}) { // a generator of text learns alone at first
		return fmt.Sprintf("  loss %.4f", p.loss)
	}
	return fmt.Sprintf("  generator %.4f  discriminator %.4f, %.1f %% right", p.loss, p.duel.Discriminator, 100*p.duel.Accuracy)
}

func (p *progress) Evaluated(e train.Evaluation) {
	p.aside += e.Took
	mark := ""
	if e.Best {
		mark = "  best"
	}
	p.print("step %s/%s  pass %d%s  validation %.4f%s", thousands(e.Step), thousands(e.Total), e.Pass, p.losses(), e.Loss, mark)
}

func (p *progress) Saved(path string, step int) {
	if p.verbose {
		p.print("step %s saved in %s", thousands(step), path)
	}
}

func (p *progress) Warn(text string) { p.print("warning: %s", text) }

// end takes the bar away.
func (p *progress) end() {
	if p.bar != nil {
		p.bar.Clear()
	}
}

// thousands is n with commas: 1,234,567.
func thousands(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// short is x in three digits or so: 950, 12.3k, 4.56M.
func short(x float64) string {
	switch {
	case x >= 1e6:
		return strconv.FormatFloat(x/1e6, 'f', 2, 64) + "M"
	case x >= 1e5:
		return strconv.FormatFloat(x/1e3, 'f', 0, 64) + "k"
	case x >= 1e3:
		return strconv.FormatFloat(x/1e3, 'f', 1, 64) + "k"
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

// duration is d in two units: 1.2s, 3m20s, 2h05m.
func duration(d time.Duration) string {
	switch s := int(math.Round(d.Seconds())); {
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

// bytesize is n in binary units.
func bytesize(n int) string {
	x := float64(n)
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if x < 1024 {
			if unit == "B" {
				return fmt.Sprintf("%d B", n)
			}
			return fmt.Sprintf("%.1f %s", x, unit)
		}
		x /= 1024
	}
	return fmt.Sprintf("%.2f GiB", x)
}

// counter shows how much of something is done, on a terminal, once it has taken a while.
type counter struct {
	bar  *progressbar.ProgressBar
	made time.Time
}

func newCounter(w io.Writer, total int, what string) *counter {
	c := &counter{made: time.Now()}
	if terminalWidth(w) > 0 {
		c.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(), progressbar.OptionSetItsString(what), progressbar.OptionClearOnFinish(), progressbar.OptionUseANSICodes(os.Getenv("TERM") != "dumb"))
	}
	return c
}

func (c *counter) set(done int) {
	if c.bar != nil && time.Since(c.made) > time.Second {
		c.bar.Set(done)
	}
}

func (c *counter) end() {
	if c.bar != nil {
		c.bar.Clear()
	}
}

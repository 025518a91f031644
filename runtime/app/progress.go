package app

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// progress shows a training: a bar on a terminal, lines elsewhere.
type progress struct {
	w       io.Writer
	verbose bool
	pair    bool      // of adversarial networks
	bar     *cli.Line // nil where there is no terminal
	now     func() time.Time
	limit   time.Duration // of the whole run, 0 for none
	made    time.Time

	first   int           // step that this run began after
	last    int           // step before
	skipped int           // steps that were not made, as pretraining ended early
	start   time.Time     // of the first step
	aside   time.Duration // spent in validations
	unit    string        // what is counted: "token"
	tokens  int
	loss    float64      // mean that forgets
	duel    model.Duel   // of a pair of networks, the same
	bound   *train.Bound // of an autoencoder, the same
	started bool
	shown   time.Time // when the last line or the bar was drawn
}

// between is the time between two lines where there is no terminal.
const between = 5 * time.Second

func newProgress(w io.Writer, verbose bool, limit time.Duration) *progress {
	return &progress{w: w, verbose: verbose, now: time.Now, limit: limit, made: time.Now(), unit: "token"}
}

// print writes a line, with the bar out of its way.
func (p *progress) print(format string, args ...any) {
	p.bar.Clear()
	fmt.Fprintf(p.w, format+"\n", args...)
}

func (p *progress) Resumed(step, total int) {
	p.first = step
	p.print("going on after step %s of %s", thousands(step), thousands(total))
}

func (p *progress) Step(s train.Progress) {
	now := p.now()
	if p.started {
		p.skipped += max(0, s.Step-p.last-1)
	}
	p.last = s.Step
	if !p.started {
		p.started, p.start, p.shown, p.loss = true, now, now, s.Loss
		if s.Duel != nil {
			p.duel = *s.Duel
		}
		if s.Bound != nil {
			b := *s.Bound
			p.bound = &b
		}
		p.bar = cli.NewLine(p.w, s.Total-p.first)
	} else {
		// The first step is not in the speed: it makes the memory.
		p.tokens += s.Tokens
		share := max(0.02, 1/float64(s.Step-p.first))
		p.loss += (s.Loss - p.loss) * share
		if s.Duel != nil {
			p.duel.Discriminator += (s.Duel.Discriminator - p.duel.Discriminator) * share
			p.duel.Accuracy += (s.Duel.Accuracy - p.duel.Accuracy) * share
		}
		if s.Bound != nil {
			p.bound.Reconstruction += (s.Bound.Reconstruction - p.bound.Reconstruction) * share
			p.bound.Divergence += (s.Bound.Divergence - p.bound.Divergence) * share
		}
	}
	if p.bar != nil {
		if now.Sub(p.shown) > 100*time.Millisecond || s.Step == s.Total {
			p.shown = now
			p.bar.Show(s.Step-p.first, p.parts(s, now)...)
		}
		return
	}
	if now.Sub(p.shown) >= between {
		p.shown = now
		p.print("%s", p.line(s, now))
	}
}

// line is where a training stands.
func (p *progress) line(s train.Progress, now time.Time) string {
	return cli.Fit(p.parts(s, now), math.MaxInt)
}

// parts are those of the line, each with what may be left out before it where there is no room for all: the loss of a
// step matters most, and then what else is learnt, how much is left, and how fast it goes.
func (p *progress) parts(s train.Progress, now time.Time) []cli.Part {
	parts := append([]cli.Part{{Text: fmt.Sprintf("step %s/%s", thousands(s.Step), thousands(s.Total))}}, p.losses()...)
	spent := (now.Sub(p.start) - p.aside).Seconds()
	if done := s.Step - p.first - p.skipped - 1; done > 0 && spent > 0 {
		left := time.Duration(spent / float64(done) * float64(s.Total-s.Step) * float64(time.Second))
		if p.limit > 0 {
			left = min(left, p.limit-now.Sub(p.made))
		}
		parts = append(parts,
			cli.Part{Text: fmt.Sprintf("%s %ss/s", short(float64(p.tokens)/spent), p.unit), Rank: cli.BarRank + 2},
			cli.Part{Text: duration(left) + " left", Rank: cli.BarRank + 1})
	}
	return parts
}

// losses are the loss, or both of a pair of networks.
func (p *progress) losses() []cli.Part {
	if !p.started { // a training that goes on has made no step yet
		return nil
	}
	if !p.pair || p.duel == (model.Duel{}) { // a generator of text learns alone at first
		parts := []cli.Part{{Text: fmt.Sprintf("loss %.4f", p.loss)}}
		if p.bound != nil {
			parts = append(parts, cli.Part{Text: apart(p.bound), Rank: 2})
		}
		return parts
	}
	return []cli.Part{{Text: fmt.Sprintf("generator %.4f", p.loss), Rank: 1},
		{Text: fmt.Sprintf("discriminator %.4f, %.1f %% right", p.duel.Discriminator, 100*p.duel.Accuracy), Rank: 2}}
}

// apart are the two parts of the loss of an autoencoder.
func apart(b *train.Bound) string {
	return fmt.Sprintf("reconstruction %.4f, divergence %.4f", b.Reconstruction, b.Divergence)
}

func (p *progress) Evaluated(e train.Evaluation) {
	p.aside += e.Took
	mark := ""
	if e.Best {
		mark = "  best"
	}
	parts := append([]cli.Part{{Text: fmt.Sprintf("step %s/%s  pass %d", thousands(e.Step), thousands(e.Total),
		e.Pass)}}, p.losses()...)
	validation := fmt.Sprintf("validation %.4f", e.Loss)
	if e.Bound != nil {
		validation += " (" + apart(e.Bound) + ")"
	}
	parts = append(parts, cli.Part{Text: validation + mark})
	p.print("%s", cli.Fit(parts, math.MaxInt))
}

func (p *progress) Saved(path string, step int) {
	if p.verbose {
		p.print("step %s saved in %s", thousands(step), path)
	}
}

// Notice shows what the training has done by itself.
func (p *progress) Notice(n train.Notice) { p.print("step %s: %s", thousands(n.Step), n.Text) }

func (p *progress) Warn(text string) { p.print("warning: %s", text) }

// end takes the bar away.
func (p *progress) end() {
	p.bar.Clear()
}

func thousands[N int | int64](n N) string { return cli.Thousands(n) }

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

func duration(d time.Duration) string { return cli.Duration(d) }

// bytesize is n in binary units.
func bytesize[N int | int64](n N) string {
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

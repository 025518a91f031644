package spec

import (
	"fmt"
	"math"
	"strings"
)

// Schedule scales the optimizer's rate over the steps of a training.
type Schedule struct {
	Pos
	Kind      string  // "constant", "step", "cosine", "wsd", "plateau"
	Warmup    int     // steps of linear rise from 0, before any kind
	Every     int     // step: number of steps between two decays
	Factor    float64 // step, plateau: what the rate is multiplied with
	Floor     float64 // cosine, wsd: the rate at the end; plateau: the lowest
	Share     float64 // wsd: of the steps, at their end, in which the rate falls
	Shape     string  // wsd: how it falls, "root" or "linear"
	Patience  int     // plateau: validations without a lower loss after which the rate is multiplied
	Threshold float64 // plateau: how far below the lowest a loss must be to count as lower
}

func warmup() *key {
	return with("warmup", integer(0, maxCount), 0,
		"Steps in which the rate rises from 0 in a straight line.").called("warm_up", "warmup_steps")
}

func floorKey(doc string) *key {
	return with("floor", from(0, 100), 0.0, doc).called("min", "min_rate", "min_lr", "eta_min", "final")
}

var scheduleType = choice("schedule", "How the rate changes over a training.",
	word{name: "constant", doc: "The rate stays.", also: []string{"none", "fixed"}, typ: object("", warmup())},
	word{name: "step", doc: "The rate is multiplied with `factor` after each `every` steps.",
		also: []string{"decay", "exponential"}, typ: object("",
			warmup(),
			need("every", integer(1, maxCount), "Steps between two decays.").called("step_size", "steps", "interval"),
			with("factor", above(0, 1), 0.1, "What the rate is multiplied with.").called("gamma", "decay", "rate"))},
	word{name: "cosine", doc: "The rate falls to `floor` along half a cosine, over the whole training (Loshchilov " +
		"and Hutter 2017).", typ: object("", warmup(), floorKey("The rate at the end."))},
	word{name: "wsd", doc: "Warm-up, stable, decay: the rate stays, and falls to `floor` in the last share of the " +
		"steps (Hu et al. 2024). A training whose length is not settled can go on from a checkpoint before the fall.",
		also: []string{"warmup_stable_decay", "trapezoid", "trapezoidal"}, typ: object("", warmup(),
			with("decay", above(0, 1), 0.2, "Share of the training's steps, at its end, in which the rate falls.").
				called("cooldown", "share", "decay_share", "decay_ratio"),
			with("shape", enum(
				word{name: "root", doc: "With 1 − √x, x from 0 to 1 (Hägele et al. 2024).",
					also: []string{"sqrt", "one_minus_sqrt", "1-sqrt"}},
				word{name: "linear", doc: "With 1 − x.", also: []string{"line", "straight"}},
			), "root", "How it falls.").called("form", "decay_type"),
			floorKey("The rate at the end.")).shortFor("decay")},
	word{name: "plateau", doc: "The rate is multiplied with `factor` when the validation loss has not become lower " +
		"for `patience` validations in a row.", also: []string{"reduce_on_plateau", "reduce_lr_on_plateau"},
		typ: object("", warmup(),
			with("factor", above(0, 1), 0.5, "What the rate is multiplied with.").called("gamma", "decay"),
			with("patience", integer(1, maxCount), 3,
				"Validations in a row, without a lower loss, after which that happens.").called("wait"),
			with("threshold", from(0, 1e6), 0.0,
				"How far below the lowest loss, in the loss's unit, one must be to count as lower.").called(
				"min_delta", "tolerance"),
			floorKey("What the rate never falls below."))},
)

// patienceKey is a key of train.
func patienceKey() *key {
	return patience("training goes on to its end", "Validations in a row, without a lower loss, after which training "+
		"stops. The parameters with the lowest are kept beside the checkpoint (`train --best`).")
}

// patience is a key that counts validations; without says what happens where it is left out.
func patience(without, doc string) *key {
	return may("patience", integer(1, maxCount), without, doc).called("early_stopping", "early_stop", "stop_after")
}

func (c *checker) schedule(v *value, o *Optimizer) Schedule {
	s := Schedule{
		Pos:       v.Pos,
		Kind:      v.word,
		Warmup:    int(v.set.key("warmup").integer),
		Every:     int(v.set.key("every").integer),
		Factor:    v.set.key("factor").number,
		Floor:     v.set.key("floor").number,
		Share:     v.set.key("decay").number,
		Shape:     v.set.key("shape").word,
		Patience:  int(v.set.key("patience").integer),
		Threshold: v.set.key("threshold").number,
	}
	if s.Floor > o.Rate && o.Rate > 0 {
		c.errorf(v.set.key("floor").Pos,
			"schedule.%s.floor: %v is above the optimizer's rate of %v, to which it is the lower end", s.Kind, s.Floor,
			o.Rate)
	}
	return s
}

// scheduleFits finds what of the schedule does not fit the training.
func (c *checker) scheduleFits(m *Model, t *Train) {
	s := &m.Schedule
	switch s.Kind {
	case "cosine", "wsd":
		if t.Steps > 0 && s.Warmup >= t.Steps {
			c.errorf(s.Pos, "schedule.%s: the warmup of %d steps is not shorter than the training of %d steps", s.Kind,
				s.Warmup, t.Steps)
		} else if fall := int(math.Ceil(s.Share * float64(t.Steps))); t.Steps > 0 && s.Warmup+fall > t.Steps {
			c.errorf(s.Pos, "schedule.wsd: the warmup of %d steps and the fall over %d do not fit into the training of "+
				"%d steps", s.Warmup, fall, t.Steps)
		}
	case "plateau":
		c.validated(s.Pos, "schedule.plateau", m)
	}
}

func (c *checker) patience(v *value, m *Model, t *Train) {
	if t.Patience = int(v.integer); t.Patience > 0 && !v.bad {
		c.validated(v.Pos, "train.patience", m)
	}
}

// validated reports what asks for a validation loss where there is none that says how good the model is.
func (c *checker) validated(at Pos, what string, m *Model) {
	if m.Kind == "gan" && m.Vectors != nil {
		c.errorf(at, "%s: the validation loss of networks of vectors is the discriminator's, which does not say how "+
			"good the generator is; leave it out", what)
	}
}

// Rates says how the rate r of step t, counted from 0, follows from the optimizer's rate, r₀ in the formulas, which are
// LaTeX; T is the number of steps of a training.
func (s *Schedule) Rates(rate float64) (words, formulas []string) {
	say := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	show := func(format string, args ...any) { formulas = append(formulas, fmt.Sprintf(format, args...)) }
	from := ""
	if s.Warmup > 0 {
		say("In the first %d steps the rate rises in a straight line.", s.Warmup)
		show(`r_t = r_0 \cdot \frac{t + 1}{%d} \quad \text{for } t < %d`, s.Warmup+1, s.Warmup)
		from = fmt.Sprintf(` \quad \text{for } t \ge %d`, s.Warmup)
	}
	behind := "t"
	if s.Warmup > 0 {
		behind = fmt.Sprintf("(t - %d)", s.Warmup)
	}
	fall := fmt.Sprintf("%s + (r_0 - %[1]s) \\cdot ", latexNumber(s.Floor))
	if s.Floor == 0 {
		fall = `r_0 \cdot `
	}
	switch s.Kind {
	case "constant":
		say("The rate stays.")
		show("%s", "r_t = r_0"+from)
	case "step":
		say("The rate is multiplied with %v after each %d steps.", s.Factor, s.Every)
		show(`r_t = r_0 \cdot %s^{\lfloor %s / %d \rfloor}`+from, latexNumber(s.Factor), behind, s.Every)
	case "cosine":
		say("The rate falls to %v along half a cosine over the whole training.", s.Floor)
		show(`r_t = %s\frac{1 + \cos(\pi \cdot x)}{2} \quad x = \frac{%s}{T - %d}`+from, fall,
			strings.Trim(behind, "()"), s.Warmup+1)
	case "wsd":
		say("The rate stays, and falls to %v in the last %.4g %% of the steps, n of them.", s.Floor, 100*s.Share)
		shape := `1 - \sqrt{x}`
		if s.Shape == "linear" {
			shape = "1 - x"
		}
		show(`r_t = r_0 \quad \text{for } t + 1 \le T - n`)
		show(`r_t = %s(%s) \quad x = \frac{t + 1 - (T - n)}{n} \quad n = \lceil %s \cdot T \rceil`, fall, shape,
			latexNumber(s.Share))
	case "plateau":
		say("The rate is multiplied with %v when the validation loss has not become lower by %v for %d validations "+
			"in a row, and does not fall below %v.", s.Factor, s.Threshold, s.Patience, s.Floor)
		show(`r_t = \max(r_0 \cdot %s^k, %s) \quad \text{after } k \text{ such times}`+from, latexNumber(s.Factor),
			latexNumber(s.Floor))
	}
	show("r_0 = %s", latexNumber(rate))
	return words, formulas
}

package policy

import (
	"math"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// chain is a model of two tokens whose logits depend on how many ones its line has so far, which is its state.
type chain struct {
	state  []float32
	logits []float32
	fed    int
}

func newChain(batch int) *chain {
	return &chain{state: make([]float32, batch), logits: make([]float32, 2*batch)}
}

func (c *chain) Batch() int       { return len(c.state) }
func (c *chain) State() []float32 { return c.state }
func (c *chain) Reset()           { clear(c.state) }
func (c *chain) Reorder(from []int) error {
	model.Reorder(c.state, from)
	return nil
}

func (c *chain) Step(tokens []int32) ([]float32, error) {
	c.fed++
	for i, t := range tokens {
		c.state[i] += float32(t)
		c.logits[2*i], c.logits[2*i+1] = 0, logit(c.state[i])
	}
	return c.logits, nil
}

// logit is that of a one behind so many ones.
func logit(ones float32) float32 { return 0.7 - 0.5*ones }

func one(ones float64, temperature float64) float64 {
	return 1 / (1 + math.Exp(-float64(logit(float32(ones)))/temperature))
}

// Drawn lines have the probabilities of the model, at any temperature.
func TestDraw(t *testing.T) {
	const batch, steps, rounds = 50, 3, 400
	for _, temperature := range []float64{1, 0.5, 1.2} {
		l := NewLines(newChain(batch), 0, 2, temperature)
		counts := map[[steps]int32]float64{}
		tokens := make([]int32, steps*batch)
		for r := range rounds {
			l.Draw(tokens, uint64(r))
			for i := range batch {
				counts[[steps]int32{tokens[i], tokens[batch+i], tokens[2*batch+i]}]++
			}
		}
		chi := 0.0
		for code := range 8 {
			line := [steps]int32{int32(code & 1), int32(code >> 1 & 1), int32(code >> 2)}
			p, ones := 1.0, 0.0
			for _, x := range line {
				q := one(ones, temperature)
				if x == 0 {
					q = 1 - q
				}
				p *= q
				ones += float64(x)
			}
			want := p * batch * rounds
			chi += (counts[line] - want) * (counts[line] - want) / want
		}
		if chi > 24.3 { // 1 in 1000, 7 degrees of freedom
			t.Errorf("temperature %v: χ² is %.1f", temperature, chi)
		}
	}
}

// The reward of a token is the mean of the verdicts on lines that go on behind it, as their definition says.
func TestRollouts(t *testing.T) {
	const batch, steps, n = 2, 4, 6000
	// the logarithm of the odds that a line with so many ones is of the data
	judge := func(verdicts []float32, lines []int32) {
		for i := range verdicts {
			verdicts[i] = -1
			for s := range steps {
				verdicts[i] += float32(lines[s*batch+i]) * float32(s+1) / 2
			}
		}
	}
	lines := []int32{0, 1, 1, 1, 0, 1, 1, 0}
	c := newChain(batch)
	l := NewLines(c, 0, 2, 1)
	rewards := make([]float32, steps*batch)
	l.Rollouts(rewards, lines, n, 3, Probability, judge)
	// expected is the mean over all lines that begin with that prefix.
	var expected func(prefix []int32) float64
	expected = func(prefix []int32) float64 {
		ones := 0.0
		for _, x := range prefix {
			ones += float64(x)
		}
		if len(prefix) == steps {
			v := -1.0
			for s, x := range prefix {
				v += float64(x) * float64(s+1) / 2
			}
			return 1 / (1 + math.Exp(-v))
		}
		p := one(ones, 1)
		return p*expected(append(prefix[:len(prefix):len(prefix)], 1)) +
			(1-p)*expected(append(prefix[:len(prefix):len(prefix)], 0))
	}
	for i := range batch {
		var prefix []int32
		for s := range steps {
			prefix = append(prefix, lines[s*batch+i])
			got, want := float64(rewards[s*batch+i]), expected(prefix)
			bound := 0.02
			if s == steps-1 {
				bound = 1e-6
			}
			if math.Abs(got-want) > bound {
				t.Errorf("line %d, token %d: the reward is %.4f, want %.4f", i, s, got, want)
			}
		}
	}
	before := append([]float32{}, rewards...)
	l.Rollouts(rewards, lines, n, 3, Probability, judge)
	for i := range rewards {
		if rewards[i] != before[i] {
			t.Fatal("the same key gives other rewards")
		}
	}
	if a := testing.AllocsPerRun(2,
		func() { l.Rollouts(rewards, lines, 2, 4, Probability, judge); l.Draw(lines, 1) }); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

func TestReturns(t *testing.T) {
	const batch = 2
	verdicts := []float32{0, 1, 2, -1, 0.5, 3}
	rewards := make([]float32, len(verdicts))
	for _, value := range []Value{Odds, Probability} {
		Returns(rewards, verdicts, 0.5, value, batch)
		for i := range verdicts {
			want, factor := 0.0, 1.0
			for at := i; at < len(verdicts); at += batch {
				before := float32(0)
				if at >= batch {
					before = verdicts[at-batch]
				}
				want += factor * float64(value(verdicts[at])-value(before))
				factor *= 0.5
			}
			if math.Abs(float64(rewards[i])-want) > 1e-6 {
				t.Errorf("return %d is %v, want %v", i, rewards[i], want)
			}
		}
	}
	if p := Probability(0); p != 0.5 {
		t.Errorf("the probability at odds of 1 is %v", p)
	}
	Baseline(rewards, batch)
	for at := 0; at < len(rewards); at += batch {
		if s := rewards[at] + rewards[at+1]; math.Abs(float64(s)) > 1e-6 {
			t.Errorf("the rewards of step %d have the mean %v", at/batch, s/2)
		}
	}
}

func TestPrefixBaseline(t *testing.T) {
	rewards := []float32{1, 3, 2, 7, 4, 4}
	PrefixBaseline(rewards, 2)
	for i, want := range []float32{-1, 1, 1, 4, 2, -3} {
		if rewards[i] != want {
			t.Fatalf("the rewards become %v", rewards)
		}
	}
}

func TestShift(t *testing.T) {
	inputs := make([]int32, 6)
	Shift(inputs, []int32{1, 2, 3, 4, 5, 6}, 9, 2)
	for i, want := range []int32{9, 9, 1, 2, 3, 4} {
		if inputs[i] != want {
			t.Fatalf("inputs are %v", inputs)
		}
	}
}

func TestTemperature(t *testing.T) {
	for _, c := range []struct {
		at   int
		want float64
	}{{0, 2}, {50, 0.2}, {100, 0.02}, {1000, 0.02}} {
		if got := Temperature(2, 0.02, 100, c.at); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("at step %d the temperature is %v, want %v", c.at, got, c.want)
		}
	}
}

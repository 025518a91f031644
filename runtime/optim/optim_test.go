package optim

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// rule is an update in float64, written from the paper, on one number: state has as many numbers as the optimizer has
// arrays.
type rule func(p, g, rate float64, t int, state []float64) float64

type optimizer interface {
	Step(params, grads []float32, rate float64, gscale float32, step int)
	Slots() []model.Slot
}

func TestRules(t *testing.T) {
	const n = 37
	momentum := func(nesterov bool) rule {
		return func(p, g, rate float64, t int, s []float64) float64 {
			d := g + 0.1*p
			s[0] = 0.9*s[0] + d
			if nesterov {
				return p - rate*(d+0.9*s[0])
			}
			return p - rate*s[0]
		}
	}
	adam := func(p, g, decay, shrink, rate float64, t int, s []float64) float64 {
		d := g + decay*p
		p *= 1 - shrink*rate
		s[0] = 0.9*s[0] + 0.1*d
		s[1] = 0.99*s[1] + 0.01*d*d
		m := s[0] / (1 - math.Pow(0.9, float64(t)))
		v := s[1] / (1 - math.Pow(0.99, float64(t)))
		return p - rate*m/(math.Sqrt(v)+1e-6)
	}
	for _, c := range []struct {
		name string
		o    optimizer
		want rule
	}{
		{"sgd", NewSGD(n, 0, false, 0.1),
			func(p, g, rate float64, t int, s []float64) float64 { return p - rate*(g+0.1*p) }},
		{"momentum", NewSGD(n, 0.9, false, 0.1), momentum(false)},
		{"nesterov", NewSGD(n, 0.9, true, 0.1), momentum(true)},
		{"rmsprop", NewRMSprop(n, 0.95, 0, 1e-6, 0.1), func(p, g, rate float64, t int, s []float64) float64 {
			d := g + 0.1*p
			s[0] = 0.95*s[0] + 0.05*d*d
			return p - rate*d/(math.Sqrt(s[0])+1e-6)
		}},
		{"rmsprop with momentum", NewRMSprop(n, 0.95, 0.9, 1e-6, 0.1),
			func(p, g, rate float64, t int, s []float64) float64 {
				d := g + 0.1*p
				s[0] = 0.95*s[0] + 0.05*d*d
				s[1] = 0.9*s[1] + d/(math.Sqrt(s[0])+1e-6)
				return p - rate*s[1]
			}},
		{"lion", NewLion(n, 0.9, 0.99, 0.1), func(p, g, rate float64, t int, s []float64) float64 {
			u := 0.9*s[0] + 0.1*g
			s[0] = 0.99*s[0] + 0.01*g
			p *= 1 - 0.1*rate
			switch {
			case u > 0:
				return p - rate
			case u < 0:
				return p + rate
			}
			return p
		}},
		{"adagrad", NewAdagrad(n, 1e-6, 0.1), func(p, g, rate float64, t int, s []float64) float64 {
			d := g + 0.1*p
			s[0] += d * d
			return p - rate*d/(math.Sqrt(s[0])+1e-6)
		}},
		{"schedule_free", NewScheduleFree(n, 0.9, 0.99, 1e-6, 0.1),
			func(p, g, rate float64, t int, s []float64) float64 {
				if t == 1 {
					s[0], s[1] = p, p
				}
				s[2] = 0.99*s[2] + 0.01*g*g
				s[1] -= rate*0.1*p + rate*g/(math.Sqrt(s[2]/(1-math.Pow(0.99, float64(t))))+1e-6)
				s[0] += (s[1] - s[0]) / float64(t) // at a rate that stays
				return 0.1*s[1] + 0.9*s[0]
			}},
		{"adam", NewAdam(n, 0.9, 0.99, 1e-6, 0.1), func(p, g, rate float64, t int, s []float64) float64 {
			return adam(p, g, 0.1, 0, rate, t, s)
		}},
		{"adamw", NewAdamW(n, 0.9, 0.99, 1e-6, 0.1), func(p, g, rate float64, t int, s []float64) float64 {
			return adam(p, g, 0, 0.1, rate, t, s)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, g := make([]float32, n), make([]float32, n)
			want, state := make([]float64, n), make([][]float64, n)
			for i := range p {
				p[i] = float32(math.Sin(float64(i)))
				want[i] = float64(p[i])
				state[i] = make([]float64, max(1, len(c.o.Slots())))
			}
			for step := 1; step <= 6; step++ {
				for i := range g {
					g[i] = float32(math.Cos(float64(i*step + 1)))
					want[i] = c.want(want[i], float64(g[i])*0.5, 0.01, step, state[i])
				}
				c.o.Step(p, g, 0.01, 0.5, step)
			}
			for i, w := range want {
				if !(math.Abs(float64(p[i])-w) <= 2e-6*(1+math.Abs(w))) {
					t.Fatalf("parameter %d is %v, want %v", i, p[i], w)
				}
			}
			for k, s := range c.o.Slots() {
				if s.Name == "schedule_free.weight" {
					continue // TestScheduleFree
				}
				if s.Name == "" || len(s.Value) != n {
					t.Fatalf("slot %d is %q of length %d", k, s.Name, len(s.Value))
				}
				for i, x := range s.Value {
					if !(math.Abs(float64(x)-state[i][k]) <= 1e-5*(1+math.Abs(state[i][k]))) {
						t.Fatalf("%s[%d] is %v, want %v", s.Name, i, x, state[i][k])
					}
				}
			}
			if a := testing.AllocsPerRun(5, func() { c.o.Step(p, g, 0.01, 1, 7) }); a != 0 {
				t.Errorf("a step allocates %v times", a)
			}
		})
	}
}

func TestClip(t *testing.T) {
	g := []float32{3, -4, 0}
	if norm, scale := ClipNorm(g, 1); math.Abs(norm-5) > 1e-12 || math.Abs(float64(scale)-1/(5+1e-6)) > 1e-7 {
		t.Errorf("norm %v, scale %v", norm, scale)
	}
	if norm, scale := ClipNorm(g, 5.1); norm != 5 || scale != 1 {
		t.Errorf("norm %v, scale %v below the limit", norm, scale)
	}
	if ClipValue(g, 0.5, 1.75); g[0] != 1.5 || g[1] != -1.75 || g[2] != 0 {
		t.Errorf("clipped to %v", g)
	}
	if !Finite(1, 2) || Finite(1, math.NaN()) || Finite(math.Inf(-1)) {
		t.Error("Finite is wrong")
	}
}

func TestSchedule(t *testing.T) {
	near := func(got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-15 {
			t.Errorf("rate %v, want %v", got, want)
		}
	}
	constant := Schedule{Kind: "constant", Rate: 2, Warmup: 3}
	near(constant.At(0, 10), 0.5)
	near(constant.At(2, 10), 1.5)
	near(constant.At(3, 10), 2)
	near(constant.At(9, 10), 2)
	step := Schedule{Kind: "step", Rate: 1, Every: 10, Factor: 0.5, Warmup: 5}
	near(step.At(14, 100), 1)
	near(step.At(15, 100), 0.5)
	near(step.At(25, 100), 0.25)
	cosine := Schedule{Kind: "cosine", Rate: 1, Floor: 0.1, Warmup: 2}
	near(cosine.At(2, 103), 1)
	near(cosine.At(52, 103), 0.55)
	near(cosine.At(102, 103), 0.1)
	near(cosine.At(500, 103), 0.1)
	near(cosine.At(2, 3), 0.1)
	root := Schedule{Kind: "wsd", Rate: 1, Floor: 0.2, Share: 0.25, Shape: "root", Warmup: 4}
	near(root.At(0, 40), 0.2)
	near(root.At(29, 40), 1)
	near(root.At(30, 40), 0.2+0.8*(1-math.Sqrt(0.1)))
	near(root.At(39, 40), 0.2)
	near(root.At(99, 40), 0.2)
	linear := Schedule{Kind: "wsd", Rate: 1, Share: 0.1, Shape: "linear"}
	near(linear.At(36, 41), 0.8) // the last five of 41 steps
	near(linear.At(35, 41), 1)
	near(linear.At(40, 41), 0)
	near(Schedule{Kind: "wsd", Rate: 1, Share: 0.01, Shape: "linear"}.At(8, 10), 1)
}

// The rate falls after as many validations as the patience says, counted anew after each fall and each lower loss.
func TestPlateau(t *testing.T) {
	s := Schedule{Kind: "plateau", Rate: 1, Factor: 0.5, Patience: 2, Threshold: 0.1, Floor: 0.3, Warmup: 1}
	p := NewPlateau()
	for i, v := range []struct {
		loss float64
		fall bool
		rate float64
	}{
		{3, false, 1}, {2.95, false, 1}, {2.85, false, 1}, {2.8, false, 1}, {math.NaN(), true, 0.5}, {2.7, false, 0.5},
		{2.8, false, 0.5}, {2.7, true, 0.3}, {5, false, 0.3}, {5, false, 0.3}, {5, false, 0.3}, {1, false, 0.3},
	} {
		if fall := p.Validated(v.loss, s); fall != v.fall || p.At(s, 7, 9) != v.rate {
			t.Errorf("validation %d: falls %v to %v, want %v to %v", i, fall, p.At(s, 7, 9), v.fall, v.rate)
		}
	}
	if got := p.At(s, 0, 9); got != 0.3 { // a warm-up from half the rate, that is below the floor by now
		t.Errorf("the rate of the warm-up is %v", got)
	}
	s.Kind = "constant"
	for p := NewPlateau(); p.Stale < 5; {
		if p.Validated(math.Inf(1), s) || p.Scale != 1 {
			t.Fatal("another schedule falls by validations")
		}
	}
}

// PyTorch 1.13 made the same steps; testdata/golden.py writes the file.
func TestGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Start  []float32
		Grads  [][]float32
		Rates  []float64
		Params map[string][][]float64
		Clip   []struct {
			Limit, Norm float64
			Grad        []float64
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	n := len(golden.Start)
	cases := map[string]optimizer{
		"sgd":                    NewSGD(n, 0, false, 0),
		"sgd decay":              NewSGD(n, 0, false, 0.1),
		"momentum":               NewSGD(n, 0.9, false, 0.01),
		"nesterov":               NewSGD(n, 0.9, true, 0.01),
		"rmsprop":                NewRMSprop(n, 0.95, 0, 1e-6, 0.01),
		"rmsprop momentum":       NewRMSprop(n, 0.95, 0.9, 1e-6, 0.01),
		"rmsprop momentum plain": NewRMSprop(n, 0.95, 0.9, 1e-6, 0),
		"adagrad":                NewAdagrad(n, 1e-10, 0.01),
		"adam":                   NewAdam(n, 0.9, 0.999, 1e-8, 0),
		"adam decay":             NewAdam(n, 0.8, 0.99, 1e-8, 0.1),
		"adamw":                  NewAdamW(n, 0.9, 0.999, 1e-8, 0.1),
	}
	if len(cases) != len(golden.Params) {
		t.Errorf("the file has %d cases, the test %d", len(golden.Params), len(cases))
	}
	for name, o := range cases {
		p := append([]float32{}, golden.Start...)
		for step, g := range golden.Grads {
			o.Step(p, g, golden.Rates[step], 1, step+1)
			for i, want := range golden.Params[name][step] {
				if !(math.Abs(float64(p[i])-want) <= 2e-6*(1+math.Abs(want))) {
					t.Errorf("%s, step %d: parameter %d is %v, PyTorch has %v", name, step+1, i, p[i], want)
				}
			}
		}
	}
	for i, c := range golden.Clip {
		g := golden.Grads[i%len(golden.Grads)]
		norm, scale := ClipNorm(g, c.Limit)
		if math.Abs(norm-c.Norm) > 1e-5*c.Norm {
			t.Errorf("case %d: the norm is %v, PyTorch has %v", i, norm, c.Norm)
		}
		for k, want := range c.Grad {
			if got := float64(g[k] * scale); math.Abs(got-want) > 1e-6*(1+math.Abs(want)) {
				t.Errorf("case %d: element %d is clipped to %v, PyTorch has %v", i, k, got, want)
			}
		}
	}
}

func TestScheduleCheck(t *testing.T) {
	if err := NewSchedule(model.Training{Rate: 1, Schedule: "cosine", Warmup: 2, Floor: 0.5}).Check(); err != nil {
		t.Error(err)
	}
	for want, s := range map[string]Schedule{
		"rate is 0":             {},
		"rate is NaN":           {Rate: math.NaN()},
		"warm-up has -1":        {Rate: 1, Warmup: -1},
		"by 0.5 every 0 steps":  {Kind: "step", Rate: 1, Factor: 0.5},
		"from 1 to 2":           {Kind: "cosine", Rate: 1, Floor: 2},
		"over 1.5 of the steps": {Kind: "wsd", Rate: 1, Share: 1.5, Shape: "root"},
		`as "cubic"`:            {Kind: "wsd", Rate: 1, Share: 0.5, Shape: "cubic"},
		"from 2 to 3":           {Kind: "wsd", Rate: 2, Share: 0.5, Shape: "root", Floor: 3},
		"by 0.5 after 0 ":       {Kind: "plateau", Rate: 1, Factor: 0.5},
		"threshold of NaN":      {Kind: "plateau", Rate: 1, Factor: 0.5, Patience: 1, Threshold: math.NaN()},
		`"linear" is not known`: {Kind: "linear", Rate: 1},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: the error is %v, want one with %q", s, err, want)
		}
	}
}

package schedule

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/cluster"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
	"github.com/gradsmith/gradsmith/runtime/param"
)

// size is that of the part that is trained, some grains and a rest: enough for two stretches of two processes.
const size = 17*cluster.Grain + 77

// toy is a training whose gradients depend on parameters, rows and a carried state; a row of NaN fails.
func toy(rule func(from, to int) Rule, steps int) *Training {
	t := &Training{Params: make([]float32, size+100), Grads: make([]float32, size+100), Width: 1, Norm: 0.5,
		Value: 0.01, State: make([]float32, 2)}
	for i := range t.Params {
		t.Params[i] = float32(model.Key(3, uint64(i))%1000)/500 - 1
	}
	t.Tensors = func() []model.Tensor { return []model.Tensor{{Name: "all", Value: t.Params, Grad: t.Grads}} }
	measure := 0.0
	first, second := &Part{Name: "a", To: size / 2, NewRule: rule}, &Part{Name: "b", From: size/2 + 16, To: size,
		NewRule: rule, Factor: 2}
	for k := range steps {
		s := &Step{Name: fmt.Sprint(k), Moves: []*Part{first, second}, ByRow: true, Measures: []*float64{&measure}}
		if k == 1 { // which moves a part of what the others move
			s.Moves = s.Moves[:1]
		}
		s.Gradients = func(b *model.Batch) (float64, error) {
			sum := float32(0)
			for _, x := range b.Vectors {
				sum += x
			}
			if sum != sum {
				return math.NaN(), &model.NotFinite{What: "loss", Value: math.NaN(), Where: fmt.Sprint("row of ",
					b.Batch)}
			}
			grads := t.moved(s)
			for i := range grads {
				grads[i] = float32(math.NaN()) // what was added up before is there no more
			}
			for end := len(grads); end > 0; { // from the last to the first, as a backward pass does
				from := max(0, end-size/5)
				for i := from; i < end; i++ {
					grads[i] = t.Params[i]*sum + t.State[0]*float32(i%7)
				}
				t.Ready(t.Grads[from:])
				end = from
			}
			t.State[0] += sum / 100
			measure = float64(sum) / 3
			return float64(sum), nil
		}
		t.Steps = append(t.Steps, s)
	}
	return t
}

// trained makes some steps, and gives all that they leave.
func trained(t *Training, g *cluster.Group, shards int) (all [][]float32, numbers []float64, err error) {
	if err := errors.Join(t.Divide(shards), t.Share(g)); err != nil {
		return nil, nil, err
	}
	t.Averaged(0.9)
	for n := range 4 {
		t.Whole = n == 2
		b := &model.Batch{Batch: 13, Vectors: make([]float32, 13)}
		for i := range b.Vectors {
			b.Vectors[i] = float32(i*n+1) / 100
		}
		loss, norm, err := t.TrainStep(b, 0.01)
		if err != nil {
			return nil, nil, err
		}
		numbers = append(numbers, loss, norm, *t.Steps[0].Measures[0])
		if t.Whole && t.Value > 0 {
			all = append(all, slices.Clone(t.moved(t.Steps[len(t.Steps)-1])))
		}
	}
	if err := t.Collect(true); err != nil {
		return nil, nil, err
	}
	all = append(all, t.Params, t.Carried(), t.State)
	for _, s := range t.Slots() {
		all = append(all, s.Value)
	}
	return all, numbers, nil
}

// inGroup runs f in n processes.
func inGroup(t *testing.T, n int, f func(g *cluster.Group) error) {
	t.Helper()
	var wait sync.WaitGroup
	for rank, link := range cluster.Local(n) {
		wait.Go(func() {
			g, err := cluster.New(link, false)
			if err == nil {
				err = f(g)
			}
			if err != nil {
				t.Errorf("process %d of %d: %v", rank, n, err)
			}
		})
	}
	wait.Wait()
}

// rules are those that processes can divide among them, and some that they cannot.
var rules = map[string]func(n int) Rule{
	"adagrad":      func(n int) Rule { return optim.NewAdagrad(n, 1e-8, 0.1) },
	"adam":         func(n int) Rule { return optim.NewAdam(n, 0.9, 0.99, 1e-8, 0.1) },
	"adamw":        func(n int) Rule { return optim.NewAdamW(n, 0.9, 0.99, 1e-8, 0.1) },
	"lion":         func(n int) Rule { return optim.NewLion(n, 0.9, 0.99, 0.1) },
	"momentum":     func(n int) Rule { return optim.NewSGD(n, 0.9, true, 0.1) },
	"rmsprop":      func(n int) Rule { return optim.NewRMSprop(n, 0.99, 0, 1e-8, 0.1) },
	"rmsprop fast": func(n int) Rule { return optim.NewRMSprop(n, 0.99, 0.9, 1e-8, 0.1) },
	"sgd":          func(n int) Rule { return optim.NewSGD(n, 0, false, 0.1) },
	"adafactor": func(n int) Rule {
		return optim.NewAdafactor(n, []param.Extent{{From: 0, Rows: 1, Columns: n}}, 0.8, 1, 1e-3, 0)
	},
	"schedule free": func(n int) Rule { return optim.NewScheduleFree(n, 0.9, 0.99, 1e-8, 0) },
	"soap": func(n int) Rule {
		return optim.NewSOAP(n, []param.Extent{{From: 0, Rows: 8, Columns: n / 8}}, 0.9, 0.9, 1e-8, 0, 2, 8)
	},
}

// A group of processes leaves the bits of one process, with every rule of update, clipping, averages and gradients that
// are asked for; also where steps move different parts, so that they cannot divide the update.
func TestGroup(t *testing.T) {
	for name, rule := range rules {
		make := func(from, to int) Rule { return rule(to - from) }
		for _, kinds := range []int{1, 2} {
			const shards = 4
			_, elementwise := rule(16).(optim.Elementwise)
			divides := kinds == 1 && elementwise
			want, wantNumbers, err := trained(toy(make, kinds), nil, shards)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{2, 4} {
				inGroup(t, n, func(g *cluster.Group) error {
					tr := toy(make, kinds)
					tr.AtEnd = name == "adam" // which changes no bit
					got, numbers, err := trained(tr, g, shards)
					if err != nil {
						return err
					}
					if tr.shards.divided != divides {
						t.Errorf("%s, %d kinds of steps: divided is %v", name, kinds, tr.shards.divided)
					}
					if !slices.Equal(numbers, wantNumbers) {
						t.Errorf("%s, %d kinds: losses and norms %v, want %v", name, kinds, numbers, wantNumbers)
					}
					for i := range want {
						if !slices.Equal(got[i], want[i]) {
							t.Errorf("%s, %d kinds of steps, %d processes: array %d has other bits", name, kinds, n, i)
						}
					}
					return nil
				})
			}
		}
	}
}

// A shard that fails fails in all processes alike, with the error that one process has, and nothing moves. So does a
// gradient that is not finite, and a step that is refused; the part with the largest gradient is the same.
func TestGroupFailures(t *testing.T) {
	rule := func(from, to int) Rule { return rules["adamw"](to - from) }
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, x := range []struct {
		rows  []float32
		check bool
		want  string
	}{
		{[]float32{1, 1, 1, 1, nan, 1, nan, nan}, false, "row of 2"},
		{[]float32{1, 1, 1, 1, 1, 1, inf, 1}, false, "the norm of the gradient became NaN"},
		{[]float32{1, 1, 1, 1, 1, 1, 1, 1}, true, "refused all"},
	} {
		run := func(g *cluster.Group) (string, error) {
			tr := toy(rule, 1)
			if err := errors.Join(tr.Divide(4), tr.Share(g)); err != nil {
				return "", err
			}
			if x.check {
				tr.Check = func(s *Step, loss, norm float64) error {
					name, largest := tr.Largest(s)
					return fmt.Errorf("refused %s %v", name, largest)
				}
			}
			before := slices.Clone(tr.Params)
			loss, norm, err := tr.TrainStep(&model.Batch{Batch: 8, Vectors: x.rows}, 0.1)
			if err == nil || !slices.Equal(tr.Params, before) {
				return "", fmt.Errorf("error %w, or parameters have moved", err)
			}
			return fmt.Sprint(loss, norm, err), nil
		}
		want, err := run(nil)
		if err != nil || !strings.Contains(want, x.want) {
			t.Fatalf("%v: %s, error %v", x.rows, want, err)
		}
		inGroup(t, 2, func(g *cluster.Group) error {
			got, err := run(g)
			if err == nil && got != want {
				err = fmt.Errorf("%q, one process has %q", got, want)
			}
			return err
		})
	}
	inGroup(t, 3, func(g *cluster.Group) error {
		tr := toy(rule, 1)
		if err := errors.Join(tr.Divide(4), tr.Share(g)); err == nil ||
			!strings.Contains(err.Error(), "3 processes can't share 4 shards") {
			return fmt.Errorf("shards that are not shared evenly: %w", err)
		}
		return nil
	})
}

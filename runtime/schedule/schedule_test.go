package schedule

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
)

// pair is a training of two parts, whose steps are noted.
func pair(made *[]string, steps ...*Step) *Training {
	t := &Training{Params: make([]float32, 4), Grads: make([]float32, 4), Width: 1, Steps: steps}
	for _, s := range steps {
		s.Gradients = func(b *model.Batch) (float64, error) {
			*made = append(*made, fmt.Sprintf("%s%v", s.Name, b.Vectors[:b.Batch]))
			for i := range t.Grads {
				t.Grads[i] = 1
			}
			return 2, nil
		}
	}
	return t
}

func parts() (a, b *Part) {
	return &Part{Name: "a", To: 2, Rule: optim.NewSGD(2, 0.5, false, 0)}, &Part{Name: "b", From: 2, To: 4,
		Rule: optim.NewSGD(2, 0, false, 0)}
}

// Every schedule, run from its start, makes the steps that its rules say one by one, and going on from any step makes
// the same as running through does.
func TestTurns(t *testing.T) {
	for trial := range 300 {
		draw := func(what uint64, n int) int { return int(model.Key(uint64(trial), what) % uint64(n)) }
		build := func() (*Training, *[]string) {
			a, b := parts()
			var made []string
			return pair(&made,
				&Step{Name: "a", Moves: []*Part{a}, Until: draw(1, 4)},
				&Step{Name: "b", Moves: []*Part{b}, From: draw(2, 5), Every: draw(3, 4), Times: draw(4, 4)},
				&Step{Name: "c", Moves: []*Part{a, b}, From: draw(5, 5), Until: draw(6, 9), Every: draw(7, 4)},
				&Step{Name: "d", Moves: []*Part{b}, Asked: true},
			), &made
		}
		batch := &model.Batch{Batch: 1 + draw(8, 6), Vectors: []float32{1, 2, 3, 4, 5, 6}}
		through, made := build()
		const steps = 12
		count := map[string]int{}
		for n := range steps {
			*made = nil
			again, _ := build()
			again.SetCount(n)
			for i, s := range again.Steps {
				if s.Made != through.Steps[i].Made {
					t.Fatalf("trial %d: before step %d, %s has been made %d times, or %d going on", trial, n, s.Name,
						through.Steps[i].Made, s.Made)
				}
			}
			if _, _, err := through.TrainStep(batch, 0); err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, s := range through.Steps {
				due := n >= s.From && (s.Until == 0 || n < s.Until) && !s.Asked
				if s.Every > 1 {
					due = due && (n-s.From)%s.Every == 0
				}
				for range max(1, s.Times) {
					if due {
						want = append(want, s.Name)
						count[s.Name]++
					}
				}
			}
			var got []string
			for _, m := range *made {
				got = append(got, m[:1])
			}
			if !slices.Equal(got, want) {
				t.Fatalf("trial %d: step %d makes %v, want %v", trial, n, got, want)
			}
		}
		a, b := through.Steps[0].Moves[0], through.Steps[1].Moves[0]
		if through.Updates(a) != count["a"]+count["c"] || through.Updates(b) != count["b"]+count["c"] ||
			through.Made() != count["a"]+count["b"]+count["c"] {
			t.Fatalf("trial %d: %d and %d updates of %v", trial, through.Updates(a), through.Updates(b), count)
		}
	}
}

// A step that is made several times reads a share each time; what follows reads the last one.
func TestShares(t *testing.T) {
	a, b := parts()
	var made []string
	tr := pair(&made, &Step{Name: "critic", Moves: []*Part{b}, Times: 3}, &Step{Name: "maker", Moves: []*Part{a}})
	for vectors, want := range map[int]string{
		6: "critic[1 2] critic[3 4] critic[5 6] maker[5 6]", 7: "critic[1 2] critic[3 4] critic[5 6] maker[5 6]",
		2: "critic[1] critic[2] critic[1] maker[1]",
	} {
		made = nil
		if _, _, err := tr.TrainStep(&model.Batch{Batch: vectors, Vectors: []float32{1, 2, 3, 4, 5, 6, 7}},
			0); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(made, " "); got != want {
			t.Errorf("%d vectors: %s, want %s", vectors, got, want)
		}
	}
}

// A step moves its parts and no others, at its rate, within the bounds, and keeps their average.
func TestUpdate(t *testing.T) {
	a, b := parts()
	b.Average, b.Decay = make([]float32, 2), 0.5
	var made []string
	last := 0.0
	tr := pair(&made, &Step{Name: "b", Moves: []*Part{b}, Rate: 0.5, Last: &last},
		&Step{Name: "a", Moves: []*Part{a}, Asked: true})
	tr.Norm, tr.Value = 1, 0.25 // of (1, 1), whose norm is above
	one := &model.Batch{Batch: 1, Vectors: []float32{1}}
	loss, norm, err := tr.TrainStep(one, 2)
	if err != nil || loss != 2 || last != 2 || math.Abs(norm-math.Sqrt2) > 1e-6 || tr.Count != 1 {
		t.Fatalf("loss %v and %v, norm %v, error %v, step %d", loss, last, norm, err, tr.Count)
	}
	if want := []float32{0, 0, -0.25, -0.25}; !slices.Equal(tr.Params, want) {
		t.Errorf("the parameters are %v, want %v", tr.Params, want)
	}
	if want := []float32{-0.125, -0.125}; !slices.Equal(b.Average, want) {
		t.Errorf("the average is %v, want %v", b.Average, want)
	}
	if _, _, err := tr.StepOf("a", one, 1); err != nil || tr.Count != 1 || tr.MadeOf("a") != 1 {
		t.Errorf("a step that is asked for: %v, training step %d", err, tr.Count)
	}
	if _, _, err := tr.StepOf("c", one, 1); err == nil || !strings.Contains(err.Error(), "the model has b, a") {
		t.Errorf("a step that there is not: %v", err)
	}
	if slots := tr.Slots(); len(slots) != 1 || !strings.HasPrefix(slots[0].Name, "a.") {
		t.Errorf("the optimizers' arrays are %v", slots)
	}
}

// A loss or a gradient that is not finite is an error that says where it began, and moves nothing.
func TestNotFinite(t *testing.T) {
	a, _ := parts()
	tr := &Training{Params: make([]float32, 2), Grads: make([]float32, 2)}
	tr.Tensors = func() []model.Tensor {
		return []model.Tensor{{Name: "first", Grad: tr.Grads[:1]}, {Name: "second", Grad: tr.Grads[1:]}}
	}
	fault := errors.New("no lines")
	step := &Step{Moves: []*Part{a}}
	tr.Steps = []*Step{step}
	for _, c := range []struct {
		grads []float32
		err   error
		want  string
	}{
		{[]float32{1, float32(math.Inf(1))}, nil,
			"the norm of the gradient became +Inf, which began in the gradient of second (+Inf)"},
		{[]float32{float32(math.NaN()), float32(math.NaN())}, nil,
			"the norm of the gradient became NaN, which began in the gradient of second (NaN)"},
		{[]float32{1, 1}, fault, "no lines"},
	} {
		step.Gradients = func(*model.Batch) (float64, error) { copy(tr.Grads, c.grads); return 1, c.err }
		_, _, err := tr.TrainStep(&model.Batch{}, 1)
		if err == nil || err.Error() != c.want || tr.Count != 0 || step.Made != 0 ||
			!slices.Equal(tr.Params, []float32{0, 0}) {
			t.Errorf("%v: error %v, want %s; %d steps, parameters %v", c.grads, err, c.want, tr.Count, tr.Params)
		}
	}
	outputs := func() []model.Output {
		return []model.Output{{Layer: "in", Values: []float32{1, 2}},
			{Layer: "stack", Values: []float32{1, 2, 3, 4, 5, float32(math.Inf(-1))}, Each: 2}}
	}
	if err := model.CheckLoss(math.NaN(), outputs); err == nil ||
		err.Error() != "the loss became NaN, which began in the output of layer 3 of stack (-Inf)" {
		t.Error(err)
	}
	if err := model.CheckLoss(1, nil); err != nil {
		t.Error(err)
	}
}

// What checks a step sees it before anything moves, with its norm before clipping, and its error ends it. The largest
// gradient is looked for among those of the step.
func TestCheck(t *testing.T) {
	a, b := parts()
	a.To, b.From, b.To = 16, 16, 32
	tr := &Training{Params: make([]float32, 32), Grads: make([]float32, 32), Norm: 1}
	tr.Tensors = func() []model.Tensor {
		return []model.Tensor{{Name: "a.w", Grad: tr.Grads[:3]}, {Name: "b.w", Grad: tr.Grads[16:18]},
			{Name: "average.a.w"}}
	}
	a.Rule, b.Rule = optim.NewSGD(16, 0, false, 0), optim.NewSGD(16, 0, false, 0)
	gradients := func(*model.Batch) (float64, error) {
		tr.Grads[0], tr.Grads[2], tr.Grads[16] = 3, 4, 100
		return 2, nil
	}
	first := &Step{Name: "first", Moves: []*Part{a}, Gradients: gradients}
	second := &Step{Name: "second", Moves: []*Part{b}, Gradients: gradients}
	tr.Steps = []*Step{first, second}
	var seen []string
	stop := errors.New("stop")
	tr.Check = func(s *Step, loss, norm float64) error {
		name, part := tr.Largest(s)
		seen = append(seen, fmt.Sprint(s.Name, loss, norm, name, part))
		if s == second {
			return stop
		}
		return nil
	}
	_, _, err := tr.TrainStep(&model.Batch{}, 1)
	if err != stop || tr.Count != 0 || first.Made != 1 || second.Made != 0 || tr.Params[0] == 0 || tr.Params[16] != 0 {
		t.Errorf("%v: %d and %d made, %v", err, first.Made, second.Made, tr.Params)
	}
	if want := []string{"first2 5a.w5", "second2 100b.w100"}; !slices.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
}

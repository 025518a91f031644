package train

import (
	"math"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

func TestSamplingRises(t *testing.T) {
	s := Sampling{Share: 0.5, Rise: 10}
	for step, want := range map[int]float64{0: 0, 5: 0.25, 10: 0.5, 1000: 0.5} {
		if got := s.At(step); got != want {
			t.Errorf("step %d: share %v, want %v", step, got, want)
		}
	}
}

// Two texts side by side; the second is shorter.
func mixed() *model.Batch {
	return &model.Batch{Steps: 4, Batch: 2,
		Tokens:  []int32{3, 3, 0, 0, 1, 1, 0, -1},
		Targets: []int32{0, 0, 1, 1, 0, 4, 4, -1},
	}
}

func TestMix(t *testing.T) {
	const vocab = 5
	source := &model.Source{AnswerBegin: 3, AnswerEnd: 4}
	// All of the model's probability is on one token.
	sure := func(token int) []float32 {
		x := make([]float32, 8*vocab)
		for i := range 8 {
			x[i*vocab+token] = 100
		}
		return x
	}
	row := make([]float32, vocab)
	b := mixed()
	mix(b, sure(2), row, source, 1, 7)
	if want := []int32{3, 3, 2, 2, 2, 2, 2, -1}; !slices.Equal(b.Tokens, want) {
		t.Errorf("all drawn: %v, want %v: neither the beginning nor padding", b.Tokens, want)
	}
	if !slices.Equal(b.Targets, mixed().Targets) {
		t.Error("the targets have changed")
	}
	for _, end := range []int{3, 4} {
		b = mixed()
		if mix(b, sure(end), row, source, 1, 7); !slices.Equal(b.Tokens, mixed().Tokens) {
			t.Errorf("token %d, which ends or begins an answer, was put into it: %v", end, b.Tokens)
		}
	}
	b = mixed()
	if mix(b, sure(2), row, source, 0, 7); !slices.Equal(b.Tokens, mixed().Tokens) {
		t.Errorf("a share of 0 changes tokens: %v", b.Tokens)
	}

	// The share, over many keys, and the same key twice.
	drawn, n := 0, 4000
	for key := range n {
		b, again := mixed(), mixed()
		mix(b, sure(2), row, source, 0.3, uint64(key))
		mix(again, sure(2), row, source, 0.3, uint64(key))
		if !slices.Equal(b.Tokens, again.Tokens) {
			t.Fatal("the same key gives other tokens")
		}
		if b.Tokens[2] == 2 {
			drawn++
		}
	}
	if got := float64(drawn) / float64(n); math.Abs(got-0.3) > 0.03 {
		t.Errorf("%v of the tokens are drawn, want 0.3", got)
	}
}

// pick draws each token as often as its probability says.
func TestPick(t *testing.T) {
	p := []float32{0.1, 0, 0.6, 0.3}
	var count [4]int
	const n = 10000
	for i := range n {
		count[pick(p, (float64(i)+0.5)/n)]++
	}
	for i, x := range p {
		if got := float64(count[i]) / n; math.Abs(got-float64(x)) > 1e-3 {
			t.Errorf("token %d: %v, want %v", i, got, x)
		}
	}
	if got := pick(p, math.Nextafter(1, 0)); got != 3 {
		t.Errorf("the largest draw gives token %d", got)
	}
}

func TestSamplingRefused(t *testing.T) {
	for _, s := range []Sampling{{Share: -0.1}, {Share: 1.5}, {Share: math.NaN()}, {Share: 0.1, Rise: -1},
		{Share: 0.1}} {
		o := options("")
		o.Sampling = s
		if _, err := Run(t.Context(), newBigram(4), data(), o); err == nil {
			t.Errorf("%+v: no error for a model that carries a state", s)
		}
	}
}

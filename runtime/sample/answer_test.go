package sample

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// speller is an encoder whose answers follow from probabilities given the last token: 0, 1, 2, then begin 3 and end 4.
// A source shifts them.
type speller struct {
	next  [][]float64 // probabilities after each token
	batch int
	from  []int
	room  int
	fed   int
}

func (d *speller) Batch() int                  { return d.batch }
func (d *speller) Reset()                      { d.fed = 0 }
func (d *speller) Encode(source []int32) error { d.Reset(); return nil }
func (d *speller) Reorder(from []int) error    { d.from = from; return nil }
func (d *speller) Room() int                   { return d.room - d.fed }
func (d *speller) Step(t []int32) ([]float32, error) {
	d.fed++
	var out []float32
	for _, x := range t {
		for _, p := range d.next[x] {
			out = append(out, float32(math.Log(p+1e-30)))
		}
	}
	return out, nil
}

var _ model.Encoder = (*speller)(nil)

var spelling = [][]float64{
	{0.1, 0.5, 0.1, 0, 0.3}, // after 0
	{0, 0, 0.9, 0, 0.1},
	{0, 0, 0.2, 0, 0.8},
	{0.6, 0.4, 0, 0, 0}, // after begin
	{0, 0, 0, 0, 1},
}

var format = model.Source{Steps: 5, Vocab: 4, End: 3, AnswerBegin: 3, AnswerEnd: 4}

func TestGreedyAnswers(t *testing.T) {
	found, err := GreedyAnswers(context.Background(), &speller{next: spelling, batch: 2, room: 10}, []int32{0, 1},
		format, 8)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range found {
		if !slices.Equal(a.Tokens, []int32{0, 1, 2}) || !a.Ended ||
			math.Abs(a.LogProb-math.Log(0.6*0.5*0.9*0.8)) > 1e-6 {
			t.Errorf("answers %+v", a)
		}
	}
	found, _ = GreedyAnswers(context.Background(), &speller{next: spelling, batch: 1, room: 2}, []int32{0}, format, 8)
	if a := found[0]; a.Ended || !slices.Equal(a.Tokens, []int32{0, 1}) {
		t.Errorf("without room answers %+v", a)
	}
	found, _ = GreedyAnswers(context.Background(), &speller{next: spelling, batch: 1, room: 9}, []int32{0}, format, 1)
	if a := found[0]; a.Ended || !slices.Equal(a.Tokens, []int32{0}) {
		t.Errorf("of one token answers %+v", a)
	}
}

// TestBeamAnswers compares a wide beam with the likeliest of all answers, found by trying them.
func TestBeamAnswers(t *testing.T) {
	type found struct {
		tokens []int32
		p      float64
	}
	var all []found
	var try func(tokens []int32, last int32, p float64)
	try = func(tokens []int32, last int32, p float64) {
		if q := p * spelling[last][4]; q > 0 {
			all = append(all, found{slices.Clone(tokens), q})
		}
		for x := range int32(3) {
			if q := p * spelling[last][x]; q > 0 && len(tokens) < 5 {
				try(append(slices.Clip(tokens), x), x, q)
			}
		}
	}
	try(nil, 3, 1)
	slices.SortFunc(all, func(a, b found) int {
		if a.p > b.p {
			return -1
		}
		return 1
	})
	got, err := BeamAnswers(context.Background(), &speller{next: spelling, batch: 6, room: 20}, make([]int32, 6),
		format, 5, Ranking{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if !slices.Equal(got[i].Tokens, all[i].tokens) || math.Abs(got[i].LogProb-math.Log(all[i].p)) > 1e-5 {
			t.Errorf("answer %d is %v, want %v with %v", i, got[i], all[i].tokens, math.Log(all[i].p))
		}
	}
	// A beam of one is greedy.
	got, err = BeamAnswers(context.Background(), &speller{next: spelling, batch: 1, room: 20}, []int32{0}, format, 5,
		Ranking{Length: 1})
	if err != nil || !slices.Equal(got[0].Tokens, []int32{0, 1, 2}) {
		t.Errorf("a beam of one gives %v, %v", got, err)
	}
	if got, err := BeamAnswers(context.Background(), &speller{next: spelling, batch: 2, room: 1}, []int32{0, 0}, format,
		5, Ranking{Length: 1}); err != nil || len(got) == 0 {
		t.Errorf("without room: %v, %v", got, err)
	}
}

// exhausted is the score of the best answer that a beam of the width comes across when it is never ended early.
func exhausted(next [][]float64, width, most int, rank Ranking) float64 {
	live := []Answer{{}}
	best := math.Inf(-1)
	for length := 0; length <= most; length++ {
		type candidate struct {
			Answer
			ended bool
		}
		var all []candidate
		for _, a := range live {
			last := format.AnswerBegin
			if len(a.Tokens) > 0 {
				last = a.Tokens[len(a.Tokens)-1]
			}
			for t, p := range next[last] {
				c := candidate{a, int32(t) == format.AnswerEnd}
				if c.LogProb += math.Log(p + 1e-30); !c.ended {
					c.Tokens = append(slices.Clip(a.Tokens), int32(t))
				}
				all = append(all, c)
			}
		}
		slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(b.LogProb, a.LogProb) })
		live = nil
		for _, c := range all {
			if c.ended {
				best = max(best, rank.score(c.Answer, length+1))
			} else if len(live) == width {
				break
			} else {
				live = append(live, c.Answer)
			}
		}
	}
	return best
}

// TestBeamEnds holds the end of a search against one that goes on to the last token, for length penalties of both
// signs.
func TestBeamEnds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 3000 {
		next := make([][]float64, 5)
		for i := range next {
			sharp := func() float64 { return math.Pow(r.Float64(), 4) }
			row := []float64{sharp(), sharp(), sharp(), 0, sharp()}
			sum := row[0] + row[1] + row[2] + row[4]
			for k := range row {
				row[k] /= sum
			}
			next[i] = row
		}
		rank, width := Ranking{Length: []float64{-3, -1, -0.3, 0, 0.5, 1, 2}[n%7]}, 2+n%3
		got, err := BeamAnswers(t.Context(), &speller{next: next, batch: width, room: 20}, make([]int32, width), format,
			7, rank)
		if err != nil {
			t.Fatal(err)
		}
		if want := exhausted(next, width, 7, rank); math.Abs(got[0].Score-want) > 1e-4*math.Abs(want) {
			t.Errorf("%d, length penalty %v, width %d: the best answer found has a score of %v, the best there is %v",
				n, rank.Length, width, got[0].Score, want)
		}
		for _, a := range got {
			if len(a.Tokens) > 7 || !a.Ended && len(a.Tokens) < 7 {
				t.Errorf("%d, width %d: an answer of %d tokens: %v", n, width, len(a.Tokens), a)
			}
		}
	}
	for _, bad := range []Ranking{{Length: math.NaN()}, {Length: 1e3}, {Coverage: -1}, {Coverage: math.Inf(1)}} {
		if _, err := BeamAnswers(t.Context(), &speller{next: spelling, batch: 1, room: 9}, []int32{0}, format, 5,
			bad); err == nil {
			t.Errorf("%+v is no error", bad)
		}
	}
}

// gazer is a speller that looks at one token of its source for each of its own: at token 0, which is of the likelier
// answer, it looks at source token 0 again and again, at others at a source token of their own.
type gazer struct {
	speller
	steps int
	last  []int32
}

func (d *gazer) Step(t []int32) ([]float32, error) {
	d.last = slices.Clone(t)
	return d.speller.Step(t)
}

func (d *gazer) Alignment() []float32 {
	w := make([]float32, d.batch*d.steps)
	for i, t := range d.last {
		if t > 2 {
			t = 0
		}
		w[i*d.steps+int(t)] = 1
	}
	return w
}

func TestCoverage(t *testing.T) {
	// The likeliest answer is 0, which looks at the first token of the source alone; 1, 2 looks at all three.
	next := [][]float64{
		{0.5, 0, 0, 0, 0.5},
		{0, 0, 0.6, 0, 0.4},
		{0, 0, 0, 0, 1},
		{0.6, 0.4, 0, 0, 0},
		{0, 0, 0, 0, 1},
	}
	const steps, width = 4, 3
	source := make([]int32, steps*width)
	for i := (steps - 1) * width; i < len(source); i++ {
		source[i] = -1 // three tokens and padding, which does not count
	}
	dec := func() *gazer { return &gazer{speller: speller{next: next, batch: width, room: 20}, steps: steps} }
	plain, err := BeamAnswers(context.Background(), dec(), source, format, 6, Ranking{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(plain[0].Tokens, []int32{0}) {
		t.Errorf("without a penalty the best answer is %v", plain[0])
	}
	covered, err := BeamAnswers(context.Background(), dec(), source, format, 6, Ranking{Coverage: 0.2})
	if err != nil {
		t.Fatal(err)
	}
	best := covered[0]
	if !slices.Equal(best.Tokens, []int32{1, 2}) {
		t.Fatalf("with a penalty the best answer is %v: it has to look at every token of the source", best)
	}
	if got, want := best.Score, best.LogProb; math.Abs(got-want) > 1e-9 {
		t.Errorf("a source that is covered costs %v", want-got)
	}
	for _, a := range covered[1:] {
		if a.Ended && len(a.Tokens) > 0 && a.Tokens[0] == 0 {
			if want := a.LogProb + 0.2*2*math.Log(leastLooked); math.Abs(a.Score-want) > 1e-6 {
				t.Errorf("%v leaves two tokens out; its score is %v, want %v", a.Tokens, a.Score, want)
			}
		}
	}
	if _, err := BeamAnswers(context.Background(), &speller{next: spelling, batch: 1, room: 20}, []int32{0}, format, 5,
		Ranking{Coverage: 0.2}); err == nil {
		t.Error("a decoder that does not show where it looks: no error")
	}
}

package sample

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// logs are the logarithms of weights: logits of the distribution that they are in proportion to.
func logs(weights ...float64) []float32 {
	x := make([]float32, len(weights))
	for i, w := range weights {
		x[i] = float32(math.Log(w))
	}
	return x
}

// frequencies draws many tokens and counts them.
func frequencies(t *testing.T, logits []float32, opts ...Option) []float64 {
	t.Helper()
	const n = 20000
	s, err := NewSampler(len(logits), append(opts, Seed(1))...)
	if err != nil {
		t.Fatal(err)
	}
	f := make([]float64, len(logits))
	for range n {
		token, err := s.Next(logits)
		if err != nil {
			t.Fatal(err)
		}
		f[token] += 1.0 / n
	}
	return f
}

// TestProcessors compares the tokens that are drawn with the distribution that each processor should leave.
func TestProcessors(t *testing.T) {
	five := logs(0.4, 0.1, 0.3, 0.15, 0.05)
	for _, c := range []struct {
		name   string
		logits []float32
		opts   []Option
		want   []float64 // in proportion
	}{
		{"none", five, nil, []float64{0.4, 0.1, 0.3, 0.15, 0.05}},
		{"nil", five, []Option{nil}, []float64{0.4, 0.1, 0.3, 0.15, 0.05}},
		{"cold", five, []Option{Temperature(0.5)}, []float64{0.16, 0.01, 0.09, 0.0225, 0.0025}},
		{"hot", five, []Option{Temperature(2)},
			[]float64{math.Sqrt(0.4), math.Sqrt(0.1), math.Sqrt(0.3), math.Sqrt(0.15), math.Sqrt(0.05)}},
		{"greedy", five, []Option{Greedy()}, []float64{1, 0, 0, 0, 0}},
		{"top-k", five, []Option{TopK(2)}, []float64{0.4, 0, 0.3, 0, 0}},
		{"top-k of all", five, []Option{TopK(9)}, []float64{0.4, 0.1, 0.3, 0.15, 0.05}},
		{"top-p", five, []Option{TopP(0.65)}, []float64{0.4, 0, 0.3, 0, 0}},
		{"top-p keeps one", five, []Option{TopP(0.01)}, []float64{1, 0, 0, 0, 0}},
		{"min-p", five, []Option{MinP(0.3)}, []float64{0.4, 0, 0.3, 0.15, 0}},
		{"min-p of one", five, []Option{MinP(1)}, []float64{1, 0, 0, 0, 0}},
		// The entropy is 1.393; the informations are 0.916, 2.303, 1.204, 1.897, 2.996: nearest are 0.3, then 0.4,
		// then 0.15.
		{"typical", five, []Option{Typical(0.25)}, []float64{0, 0, 1, 0, 0}},
		{"typical of more", five, []Option{Typical(0.6)}, []float64{0.4, 0, 0.3, 0, 0}},
		{"bias", five, []Option{LogitBias(4, math.Log(8))}, []float64{0.4, 0.1, 0.3, 0.15, 0.4}},
		{"bias that bans", five, []Option{LogitBias(0, math.Inf(-1))}, []float64{0, 0.1, 0.3, 0.15, 0.05}},
		{"banned", five, []Option{Banned(0, 2)}, []float64{0, 0.1, 0, 0.15, 0.05}},
		{"banned before top-k", five, []Option{TopK(1), Banned(0)}, []float64{0, 0, 1, 0, 0}},
		{"cuts before temperature", five, []Option{Temperature(100), TopP(0.65)}, []float64{1, 0, 1, 0, 0}},
		// all are about alike: four make 0.65, the last to go is token 4
		{"order", five, []Option{Temperature(100), TopP(0.65), Order("temperature", "top_p")},
			[]float64{1, 0, 1, 1, 1}},
		{"order leaves out", five, []Option{Temperature(100), TopK(1), Order("top_k")}, []float64{1, 0, 0, 0, 0}},
		{"impossible tokens", []float32{0, float32(math.Inf(-1)), 0}, nil, []float64{1, 0, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "order" {
				c.want = nil // which of the like ones is cut is rounding's choice; at least one is
			}
			got, total := frequencies(t, c.logits, c.opts...), 0.0
			if c.want == nil {
				if !slices.ContainsFunc(got, func(f float64) bool { return f == 0 }) || got[1] == 0 && got[3] == 0 {
					t.Errorf("frequencies %v", got)
				}
				return
			}
			for _, w := range c.want {
				total += w
			}
			for i, w := range c.want {
				if math.Abs(got[i]-w/total) > 0.012 || w == 0 && got[i] != 0 {
					t.Errorf("token %d has the frequency %.3f, want %.3f", i, got[i], w/total)
				}
			}
		})
	}
}

// TestPenalties accepts tokens and compares the logits by what a greedy draw prefers, and by frequencies.
func TestPenalties(t *testing.T) {
	for _, c := range []struct {
		name   string
		logits []float32
		accept []int32
		opts   []Option
		want   []float32 // logits
	}{
		{"repetition", []float32{2, 2, -2, -2}, []int32{0, 2, 0}, []Option{RepetitionPenalty(2)},
			[]float32{1, 2, -4, -2}},
		{"frequency", []float32{2, 2, -2, -2}, []int32{0, 2, 0}, []Option{FrequencyPenalty(0.5)},
			[]float32{1, 2, -2.5, -2}},
		{"presence", []float32{2, 2, -2, -2}, []int32{0, 2, 0}, []Option{PresencePenalty(0.5)},
			[]float32{1.5, 2, -2.5, -2}},
		{"window", []float32{2, 2, -2, -2}, []int32{0, 2, 0, 3, 3}, []Option{FrequencyPenalty(0.5), PenaltyWindow(3)},
			[]float32{1.5, 2, -2, -3}},
		{"long history", []float32{0, 0}, append(make([]int32, 1000), 1),
			[]Option{FrequencyPenalty(1), PenaltyWindow(4)}, []float32{-3, -1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []float32
			spy := With(processor(func(cs *Candidates, recent []int32) {
				got = make([]float32, len(c.logits))
				for _, y := range cs.List {
					got[y.Token] = y.Logit
				}
			}))
			s, err := NewSampler(len(c.logits), append(c.opts, spy)...)
			if err != nil {
				t.Fatal(err)
			}
			for _, token := range c.accept {
				s.Accept(token)
			}
			for range 2 { // the counts must be taken back
				if _, err := s.Next(c.logits); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("logits %v, want %v", got, c.want)
				}
			}
		})
	}
}

type processor func(c *Candidates, recent []int32)

func (p processor) Apply(c *Candidates, recent []int32) { p(c, recent) }

// The heap gives the tokens of a large vocabulary in the order of sorting.
func TestTopKOfLargeVocabulary(t *testing.T) {
	logits := make([]float32, 5000)
	for i := range logits {
		logits[i] = float32(i * 7919 % 5000 / 2) // every value twice
	}
	var a, b []Candidate
	for _, c := range []struct {
		list *[]Candidate
		cut  Processor
	}{
		{&a, topK(50)},
		{&b, processor(func(c *Candidates, _ []int32) {
			slices.SortFunc(c.List,
				func(a, b Candidate) int {
					return cmp.Or(cmp.Compare(b.Logit, a.Logit), cmp.Compare(a.Token, b.Token))
				})
			c.List = c.List[:50]
		})},
	} {
		s, err := NewSampler(len(logits), With(c.cut),
			With(processor(func(cs *Candidates, _ []int32) { *c.list = slices.Clone(cs.List) })))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Next(logits); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.EqualFunc(a, b, func(x, y Candidate) bool { return x.Token == y.Token && x.Logit == y.Logit }) {
		t.Errorf("top-k is %v, sorting gives %v", a, b)
	}
}

func TestSeeds(t *testing.T) {
	logits := make([]float32, 50)
	draw := func(opts ...Option) string {
		s, err := NewSampler(50, opts...)
		if err != nil {
			t.Fatal(err)
		}
		var out []int32
		for range 20 {
			token, _ := s.Next(logits)
			out = append(out, token)
		}
		return fmt.Sprint(out)
	}
	first, again, other := draw(Seed(1)), draw(Seed(1)), draw(Seed(2))
	if first != again {
		t.Error("one seed draws two texts")
	}
	if first == other {
		t.Error("two seeds draw one text")
	}
	if one, two := draw(), draw(); one == two {
		t.Error("without a seed every text is the same")
	}
	if got, want := draw(Seed(1)), "[20 18 38 23 17 22 11 47 23 14 29 28 24 32 38 30 2 23 18 30]"; got != want {
		t.Errorf("seed 1 draws %s, on every machine it is %s", got, want)
	}
}

func TestNextErrors(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name   string
		logits []float32
		opts   []Option
		want   error
	}{
		{"NaN", []float32{0, nan}, nil, ErrNotFinite},
		{"infinity", []float32{0, inf}, nil, ErrNotFinite},
		{"NaN, greedy", []float32{0, nan}, []Option{Greedy()}, ErrNotFinite},
		{"infinity, greedy", []float32{0, inf}, []Option{Greedy()}, ErrNotFinite},
		{"NaN, all processors", []float32{0, nan}, []Option{TopK(1), TopP(0.5), Typical(0.5), Temperature(2)},
			ErrNotFinite},
		{"all banned", []float32{0, 1}, []Option{Banned(0, 1)}, ErrNoCandidate},
		{"all banned, greedy", []float32{0, 1}, []Option{Banned(0, 1), Greedy()}, ErrNoCandidate},
		{"nothing left", []float32{0, 1},
			[]Option{With(processor(func(c *Candidates, _ []int32) { c.List = c.List[:0] }))}, ErrNoCandidate},
	} {
		s, err := NewSampler(2, c.opts...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Next(c.logits); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
	}
	s, _ := NewSampler(2)
	if _, err := s.Next(make([]float32, 3)); err == nil ||
		!strings.Contains(err.Error(), "3 logits, the sampler is for a vocabulary of 2") {
		t.Errorf("error %v", err)
	}
}

func TestOptionErrors(t *testing.T) {
	for want, o := range map[string]Option{
		"temperature -1":                    Temperature(-1),
		"temperature NaN":                   Temperature(math.NaN()),
		"top-k -1":                          TopK(-1),
		"top-p 0":                           TopP(0),
		"top-p 1.5":                         TopP(1.5),
		"min-p -0.5":                        MinP(-0.5),
		"typical NaN":                       Typical(math.NaN()),
		"repetition penalty 0":              RepetitionPenalty(0),
		"repetition penalty 1e-46":          RepetitionPenalty(1e-46),
		"repetition penalty +Inf":           RepetitionPenalty(math.Inf(1)),
		"frequency penalty 1e-50":           FrequencyPenalty(1e-50),
		"min-p 1e-46":                       MinP(1e-46),
		"logit bias 1e+39 of token 2":       LogitBias(2, 1e39),
		"frequency penalty +Inf":            FrequencyPenalty(math.Inf(1)),
		"presence penalty NaN":              PresencePenalty(math.NaN()),
		"penalty window of 0":               PenaltyWindow(0),
		"logit bias NaN of token 1":         LogitBias(1, math.NaN()),
		"logit bias of token 9: tokens are": LogitBias(9, 1),
		"token -1 is banned":                Banned(-1),
		`order names "top-k"`:               Order("top-k"),
		`order names "top_k" twice`:         Order("top_k", "top_k"),
		"length penalty NaN":                LengthPenalty(math.NaN()),
	} {
		if _, err := NewSampler(5, o); err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if _, err := NewSampler(0); err == nil {
		t.Error("an empty vocabulary is no error")
	}
}

// A temperature that comes ever nearer to 0 takes the likeliest token, whatever the logits are.
func TestColdIsGreedy(t *testing.T) {
	inf := float32(math.Inf(-1))
	for _, logits := range [][]float32{{1, 3, 2}, {-1, 3e38, 2e38}, {-3e38, -1e38, -2e38}, {0, 1e-30, 0}, {inf, 5, inf},
		{-5, -1e-38, -3}, {-7, 0, -1e-44}} {
		for _, temperature := range []float64{0, 5e-324, 1e-46, 1e-45, 1e-44, 1e-40, 1e-38, 1e-37} {
			if logits[1]-logits[2] < 1e-20 && temperature > 1e-46 {
				continue // so near to each other that the other one may be drawn
			}
			s, err := NewSampler(3, Temperature(temperature), Seed(3))
			if err != nil {
				t.Fatal(err)
			}
			for range 20 {
				if token, err := s.Next(logits); err != nil || token != 1 {
					t.Fatalf("logits %v at temperature %v: token %d, %v", logits, temperature, token, err)
				}
			}
		}
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	logits := make([]float32, 500)
	for i := range logits {
		logits[i] = float32(i % 37)
	}
	s, err := NewSampler(500, TopK(100), TopP(0.9), MinP(0.01), Typical(0.95), Temperature(0.8), RepetitionPenalty(1.1),
		FrequencyPenalty(0.1), LogitBias(3, 1), Banned(4))
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(500, func() {
		token, _ := s.Next(logits)
		s.Accept(token)
	}); n != 0 {
		t.Errorf("a token allocates %v times", n)
	}
}

// table is a decoder whose next token depends on the last one alone, or on the sum of all where it counts.
type table struct {
	rows   [][]float32
	counts bool
	window int // above 0: how many tokens it takes before a Reset
	state  []float32
	fed    []int32
	length int
	out    []float32
}

func (m *table) Batch() int { return max(1, len(m.state)) }
func (m *table) Reset()     { m.state, m.length = make([]float32, m.Batch()), 0 }
func (m *table) Reorder(from []int) error {
	model.Reorder(m.state, from)
	return nil
}
func (m *table) Step(tokens []int32) ([]float32, error) {
	if m.state == nil {
		m.Reset()
	}
	m.length++
	out := m.out[:0]
	for i, t := range tokens {
		m.fed = append(m.fed, t)
		m.state[i] += float32(t)
		if m.counts {
			t = int32(m.state[i]) % int32(len(m.rows))
		}
		out = append(out, m.rows[t]...)
	}
	m.out = out
	return out, nil
}

// again is the same decoder at the start of a text; beside is it for several sequences.
func (m *table) again() *table { return m.beside(1) }

func (m *table) beside(n int) *table {
	return &table{rows: m.rows, counts: m.counts, state: make([]float32, n)}
}

// bounded is a table that sees a window.
type bounded struct{ *table }

func (m bounded) Room() int { return m.window - m.length }

var _ model.Decoder = (*table)(nil)

// cycle is a table that always goes on with the next letter.
func cycle(n int) *table {
	m := &table{}
	for i := range n {
		row := make([]float32, n)
		row[(i+1)%n] = 100
		m.rows = append(m.rows, row)
	}
	return m
}

// TestWindow holds that a model with a bounded window writes on with the newer half of what it saw.
func TestWindow(t *testing.T) {
	m := cycle(8)
	m.window = 6
	tok := text.Chars("abcdefgh")
	var got strings.Builder
	for part, err := range Generate(context.Background(), bounded{m}, tok, "abcdefgh", MaxTokens(10), Temperature(0)) {
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString(part)
	}
	if got.String() != "abcdefghab" {
		t.Errorf("wrote %q", got.String())
	}
	// Five of the prompt, one step, then three tokens again each time that the window is full.
	if want := []int32{3, 4, 5, 6, 7, 0, 7, 0, 1, 2, 3, 4, 3, 4, 5, 6, 7, 0}; !slices.Equal(m.fed, want) {
		t.Errorf("was fed %v, want %v", m.fed, want)
	}
	if _, err := Score(context.Background(), bounded{&table{rows: m.rows, window: 6}}, tok, "a",
		"bcdefghab"); err == nil || !strings.Contains(err.Error(), "longer than the model's window") {
		t.Errorf("scoring a long text: %v", err)
	}
}

func collect(t *testing.T, m *table, tok text.Tokenizer, prompt string, opts ...Option) (parts []string, err error) {
	t.Helper()
	for part, e := range Generate(context.Background(), m.again(), tok, prompt, opts...) {
		if e != nil {
			if part != "" {
				t.Errorf("the error comes with the text %q", part)
			}
			err = e
			continue
		}
		if err != nil || part == "" {
			t.Errorf("part %q after the error %v", part, err)
		}
		parts = append(parts, part)
	}
	return parts, err
}

func TestGenerate(t *testing.T) {
	abc := text.Chars("abcdefgh")
	for _, c := range []struct {
		prompt string
		opts   []Option
		want   string
	}{
		{"a", []Option{MaxTokens(3)}, "b|c|d"},
		{"a", []Option{MaxTokens(0)}, ""},
		{"ghab", []Option{MaxTokens(2)}, "c|d"},
		{"", []Option{MaxTokens(2)}, "b|c"}, // no newline in the vocabulary: token 0
		{"a", []Option{MaxTokens(50), Stop("f")}, "b|c|d|e"},
		{"a", []Option{MaxTokens(50), Stop("def")}, "b|c"},
		{"a", []Option{MaxTokens(50), Stop("", "zz", "def", "ef")}, "b|c"},
		{"a", []Option{MaxTokens(6), Stop("defx")}, "b|c|defg"},
		{"a", []Option{MaxTokens(4), Stop("defx")}, "b|c|de"},
	} {
		parts, err := collect(t, cycle(8), abc, c.prompt, append(c.opts, Seed(1))...)
		if got := strings.Join(parts, "|"); err != nil || got != c.want {
			t.Errorf("prompt %q: %q, error %v, want %q", c.prompt, got, err, c.want)
		}
	}
	parts, err := collect(t, cycle(8), abc, "a", Seed(1))
	if len(parts) != DefaultMaxTokens || err != nil {
		t.Errorf("%d parts by default, error %v", len(parts), err)
	}
	if _, err := collect(t, cycle(8), abc, "ax"); err == nil ||
		!strings.Contains(err.Error(), `prompt: line 1, column 2 (byte 1): the character "x"`) {
		t.Errorf("error %v", err)
	}
	if _, err := collect(t, cycle(8), abc, "a", TopP(2)); err == nil {
		t.Error("a wrong option is no error")
	}
}

// The model is fed the prompt and every token but the last, once each.
func TestGenerateFeedsEachTokenOnce(t *testing.T) {
	m := cycle(8)
	for range Generate(context.Background(), m, text.Chars("abcdefgh"), "ab", MaxTokens(3), Seed(1)) {
	}
	if want := []int32{0, 1, 2, 3}; !slices.Equal(m.fed, want) {
		t.Errorf("fed %v, want %v", m.fed, want)
	}
}

func TestGenerateEmptyPromptIsANewline(t *testing.T) {
	m := cycle(8)
	for range Generate(context.Background(), m, text.Chars("abcd\nfgh"), "", MaxTokens(1), Seed(1)) {
	}
	if !slices.Equal(m.fed, []int32{4}) {
		t.Errorf("fed %v, want the newline", m.fed)
	}
}

func TestGenerateBytes(t *testing.T) {
	tok := text.Bytes()
	tokens, _ := tok.Encode("a世b\xff")
	m := &table{rows: make([][]float32, 256)}
	for i := range m.rows {
		m.rows[i] = make([]float32, 256)
	}
	for i := range len(tokens) - 1 {
		m.rows[tokens[i]][tokens[i+1]] = 1000
	}
	parts, err := collect(t, m, tok, "a", MaxTokens(5), Greedy())
	if got := strings.Join(parts, "|"); err != nil || got != "世|b|\ufffd" {
		t.Errorf("%q, error %v", got, err)
	}
	// Cut within a character.
	parts, err = collect(t, m, tok, "a", MaxTokens(2), Greedy())
	if got := strings.Join(parts, "|"); err != nil || got != "\ufffd" {
		t.Errorf("%q, error %v", got, err)
	}
}

func TestGenerateIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	var last error
	for _, err := range Generate(ctx, cycle(8), text.Chars("abcdefgh"), "a", MaxTokens(-1)) {
		if last = err; err == nil {
			n++
		}
		if n == 1000 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || n != 1000 {
		t.Errorf("%d tokens, error %v", n, last)
	}
	// The caller may stop too.
	for range Generate(context.Background(), cycle(8), text.Chars("abcdefgh"), "a", MaxTokens(-1)) {
		break
	}
}

func TestGenerateAllocatesNothingPerToken(t *testing.T) {
	m := cycle(8)
	tok := text.Chars("abcdefgh")
	run := func(n int) float64 {
		return testing.AllocsPerRun(5, func() {
			m.fed = m.fed[:0]
			for range Generate(context.Background(), m, tok, "a", MaxTokens(n), Seed(1), TopP(0.9)) {
			}
		})
	}
	run(5000)
	if short, long := run(10), run(5000); long > short {
		t.Errorf("10 tokens allocate %v times, 5000 tokens %v times", short, long)
	}
}

func TestScore(t *testing.T) {
	m := &table{rows: [][]float32{logs(0.5, 0.25, 0.25), logs(0.1, 0.8, 0.1), logs(1, 1, 2)}}
	tok := text.Chars("abc")
	got, err := Score(context.Background(), m.again(), tok, "a", "bbc")
	if err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	for i, want := range []float64{0.25, 0.8, 0.1} {
		if math.Abs(got[i].LogProb-math.Log(want)) > 1e-6 || got[i].Piece != "bbc"[i:i+1] {
			t.Errorf("token %d: %+v, want the probability %v", i, got[i], want)
		}
	}
	if got, err := Score(context.Background(), m.again(), tok, "", ""); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Score(context.Background(), m.again(), tok, "a", "x"); err == nil {
		t.Error("an unknown character is no error")
	}
	m.rows[0][0] = float32(math.NaN())
	if _, err := Score(context.Background(), m.again(), tok, "a", "b"); !errors.Is(err, ErrNotFinite) {
		t.Errorf("error %v", err)
	}
}

// TestBeam compares a wide beam with all texts there are.
func TestBeam(t *testing.T) {
	m := &table{rows: [][]float32{logs(0.5, 0.3, 0.2), logs(0.05, 0.9, 0.05), logs(0.1, 0.1, 0.8)}, counts: true}
	tok := text.Chars("abc")
	const length = 4
	all := map[string]float64{}
	var walk func(prefix string, sum int, p float64)
	walk = func(prefix string, sum int, p float64) {
		if len(prefix) == length {
			all[prefix] = p
			return
		}
		for i, x := range m.rows[sum%3] {
			walk(prefix+tok.Piece(int32(i)), sum+i, p+float64(x))
		}
	}
	walk("", 0, 0)
	found, err := Beam(context.Background(), m.beside(100), tok, "a", 100, MaxTokens(length))
	if err != nil || len(found) != 81 {
		t.Fatalf("%d texts, error %v", len(found), err)
	}
	for i, h := range found {
		if math.Abs(h.LogProb-all[h.Text]) > 1e-5 || i > 0 && h.LogProb > found[i-1].LogProb+1e-9 ||
			h.Score != h.LogProb {
			t.Errorf("%d: %+v, want %v", i, h, all[h.Text])
		}
	}
	m.counts = false
	found, err = Beam(context.Background(), m.beside(2), tok, "a", 2, MaxTokens(length))
	if err != nil || found[0].Text != "bbbb" {
		t.Errorf("%+v, %v", found, err)
	}
	// Width 1 is greedy, which misses it.
	found, err = Beam(context.Background(), m.beside(1), tok, "a", 1, MaxTokens(length))
	if err != nil || len(found) != 1 || found[0].Text != "aaaa" {
		t.Errorf("%+v, %v", found, err)
	}
	// Stop strings end hypotheses, which then compete with longer ones.
	found, err = Beam(context.Background(), m.beside(2), tok, "a", 2, MaxTokens(length), Stop("b"))
	if err != nil || found[0].Text != "" || math.Abs(found[0].LogProb-math.Log(0.3)) > 1e-6 {
		t.Errorf("%+v, %v", found, err)
	}
	// The length penalty turns the order round: long texts lose less.
	found, err = Beam(context.Background(), m.beside(100), tok, "a", 100, MaxTokens(length), Stop("c"),
		LengthPenalty(50))
	if err != nil || len(found[0].Tokens) != length {
		t.Errorf("%+v, %v", found[0], err)
	}
	found, err = Beam(context.Background(), m.beside(3), tok, "a", 3, MaxTokens(2), Banned(0, 1))
	if err != nil || len(found) != 1 || found[0].Text != "cc" {
		t.Errorf("%+v, %v", found, err)
	}
}

// unpruned is the best score that a beam of the width comes across when it goes on to the last token. Texts end with
// the last token of the vocabulary.
func unpruned(rows [][]float32, width, most int, penalty float64) float64 {
	type found struct {
		tokens  int
		last    int
		logProb float64
	}
	score := func(f found) float64 { return f.logProb / math.Pow((5+float64(f.tokens))/6, penalty) }
	best, live := math.Inf(-1), []found{{}}
	for range most {
		var all []found
		for _, f := range live {
			for t, p := range rows[f.last] {
				all = append(all, found{f.tokens + 1, t, f.logProb + float64(p)})
			}
		}
		slices.SortFunc(all, func(a, b found) int { return cmp.Compare(b.logProb, a.logProb) })
		live = nil
		for _, f := range all[:min(width, len(all))] {
			if f.last == len(rows)-1 || f.tokens == most {
				best = max(best, score(f))
			} else {
				live = append(live, f)
			}
		}
	}
	return best
}

// TestBeamStops holds the end of a search against one that goes on to the last token, for length penalties of both
// signs.
func TestBeamStops(t *testing.T) {
	r, tok := rand.New(rand.NewPCG(5, 6)), text.Chars("abcs")
	const most = 7
	for n := range 1500 {
		rows := make([][]float32, 4)
		for i := range rows {
			p, sum := make([]float64, 4), 0.0
			for k := range p {
				p[k] = math.Pow(r.Float64(), 4) + 1e-6
				sum += p[k]
			}
			for k := range p {
				p[k] /= sum
			}
			rows[i] = logs(p...)
		}
		width, penalty := 1+n%5, []float64{-3, -1, -0.3, 0, 0.5, 1, 2}[n%7]
		m := &table{rows: rows}
		found, err := Beam(t.Context(), m.beside(width), tok, "a", width, MaxTokens(most), Stop("s"),
			LengthPenalty(penalty))
		if err != nil {
			t.Fatal(err)
		}
		if want := unpruned(rows, width, most, penalty); math.Abs(found[0].Score-want) > 1e-5*(1+math.Abs(want)) {
			t.Errorf("%d, length penalty %v, width %d: the best text found has a score of %v, the best there is %v", n,
				penalty, width, found[0].Score, want)
		}
	}
}

func TestBeamErrors(t *testing.T) {
	ctx, tok := context.Background(), text.Chars("abcdefgh")
	for want, f := range map[string]func() ([]Hypothesis, error){
		"width 0":     func() ([]Hypothesis, error) { return Beam(ctx, cycle(8), tok, "a", 0) },
		"for as many": func() ([]Hypothesis, error) { return Beam(ctx, cycle(8).beside(3), tok, "a", 2) },
		"needs MaxTokens": func() ([]Hypothesis, error) {
			return Beam(ctx, cycle(8).beside(2), tok, "a", 2, MaxTokens(-1))
		},
		"are for drawing": func() ([]Hypothesis, error) { return Beam(ctx, cycle(8).beside(2), tok, "a", 2, TopK(3)) },
		"prompt: ":        func() ([]Hypothesis, error) { return Beam(ctx, cycle(8).beside(2), tok, "x", 2) },
		"no token is left": func() ([]Hypothesis, error) {
			return Beam(ctx, cycle(8).beside(2), tok, "a", 2, Banned(0, 1, 2, 3, 4, 5, 6, 7))
		},
	} {
		if _, err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

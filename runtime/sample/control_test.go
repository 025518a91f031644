package sample

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// The naive processors: they map logits in float64 to logits, −Inf for what is taken away.

func naiveSoftmax(x []float64) []float64 {
	p, sum := make([]float64, len(x)), 0.0
	top := slices.Max(x)
	for i, v := range x {
		p[i] = math.Exp(v - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

func naiveEntropy(p []float64) (h float64, n int) {
	for _, v := range p {
		if v > 0 {
			h -= v * math.Log(v)
			n++
		}
	}
	return h, n
}

// keepIf keeps the tokens for which f holds, and the likeliest if there are none.
func keepIf(x []float64, f func(p float64) bool) []float64 {
	p := naiveSoftmax(x)
	out, any := slices.Clone(x), false
	for i := range out {
		if !f(p[i]) {
			out[i] = math.Inf(-1)
		} else {
			any = true
		}
	}
	if !any {
		i := slices.Index(p, slices.Max(p))
		out[i] = x[i]
	}
	return out
}

// inOrder keeps tokens in the order of rank until their probabilities add up to mass.
func inOrder(x []float64, mass float64, rank func(p float64) float64) []float64 {
	p := naiveSoftmax(x)
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank(p[a]), rank(p[b])) })
	out := make([]float64, len(x))
	total := 0.0
	for _, i := range order {
		out[i] = math.Inf(-1)
		if total < mass {
			out[i] = x[i]
		}
		total += p[i]
	}
	return out
}

func naiveDRY(x []float64, recent []int32, multiplier, base float64, allowed int, breaks func(int32) bool) []float64 {
	out := slices.Clone(x)
	n := len(recent)
	for t := range x {
		longest := 0
		for i := range recent {
			if recent[i] != int32(t) || breaks(recent[i]) {
				continue
			}
			k := 0
			for k < i && recent[i-1-k] == recent[n-1-k] && !breaks(recent[n-1-k]) {
				k++
			}
			longest = max(longest, k)
		}
		if longest >= allowed {
			out[t] -= multiplier * math.Pow(base, float64(longest-allowed))
		}
	}
	return out
}

func naiveNoRepeat(x []float64, recent []int32, n int) []float64 {
	out := slices.Clone(x)
	for t := range x {
		want := append(slices.Clone(recent[len(recent)-(n-1):]), int32(t))
		for i := range len(recent) - n + 1 {
			if slices.Equal(recent[i:i+n], want) {
				out[t] = math.Inf(-1)
			}
		}
	}
	return out
}

// TestReferences compares every processor with its definition in float64, on random logits.
func TestReferences(t *testing.T) {
	const vocab = 40
	none := func(int32) bool { return false }
	counts := func(recent []int32, token int) float64 {
		n := 0.0
		for _, r := range recent[max(0, len(recent)-8):] {
			if int(r) == token {
				n++
			}
		}
		return n
	}
	each := func(f func(x float64, recent []int32, token int) float64) func([]float64, []int32) []float64 {
		return func(x []float64, recent []int32) []float64 {
			out := make([]float64, len(x))
			for i, v := range x {
				out[i] = f(v, recent, i)
			}
			return out
		}
	}
	by := func(f func(x []float64) []float64) func([]float64, []int32) []float64 {
		return func(x []float64, _ []int32) []float64 { return f(x) }
	}
	for _, c := range []struct {
		name  string
		opts  []Option
		naive func(x []float64, recent []int32) []float64
	}{
		{"temperature", []Option{Temperature(0.6)}, each(func(x float64, _ []int32, _ int) float64 { return x / 0.6 })},
		{"bias", []Option{LogitBias(3, 2.5), Banned(5)},
			each(func(x float64, _ []int32, i int) float64 { return x + map[int]float64{3: 2.5, 5: math.Inf(-1)}[i] })},
		{"repetition", []Option{RepetitionPenalty(1.3), PenaltyWindow(8)},
			each(func(x float64, r []int32, i int) float64 {
				if counts(r, i) == 0 {
					return x
				}
				return min(x/1.3, x*1.3)
			})},
		{"frequency and presence", []Option{FrequencyPenalty(0.4), PresencePenalty(0.7), PenaltyWindow(8)},
			each(func(x float64, r []int32, i int) float64 {
				return x - 0.4*counts(r, i) - 0.7*min(1, counts(r, i))
			})},
		{"top-k", []Option{TopK(7)}, by(func(x []float64) []float64 {
			p := naiveSoftmax(x)
			limit := slices.Sorted(slices.Values(p))[vocab-7]
			return keepIf(x, func(p float64) bool { return p >= limit })
		})},
		{"top-p", []Option{TopP(0.7)},
			by(func(x []float64) []float64 { return inOrder(x, 0.7, func(p float64) float64 { return -p }) })},
		{"min-p", []Option{MinP(0.2)}, by(func(x []float64) []float64 {
			top := slices.Max(naiveSoftmax(x))
			return keepIf(x, func(p float64) bool { return p >= 0.2*top })
		})},
		{"typical", []Option{Typical(0.6)}, by(func(x []float64) []float64 {
			h, _ := naiveEntropy(naiveSoftmax(x))
			return inOrder(x, 0.6, func(p float64) float64 { return math.Abs(-math.Log(p) - h) })
		})},
		{"epsilon", []Option{EpsilonCutoff(0.02)},
			by(func(x []float64) []float64 { return keepIf(x, func(p float64) bool { return p >= 0.02 }) })},
		{"epsilon that none has", []Option{EpsilonCutoff(1)},
			by(func(x []float64) []float64 { return keepIf(x, func(p float64) bool { return p >= 1 }) })},
		{"eta", []Option{EtaCutoff(0.09)}, by(func(x []float64) []float64 {
			h, _ := naiveEntropy(naiveSoftmax(x))
			return keepIf(x, func(p float64) bool { return p >= min(0.09, 0.3*math.Exp(-h)) })
		})},
		{"xtc", []Option{XTC(1, 0.08)}, by(func(x []float64) []float64 {
			p := naiveSoftmax(x)
			least := math.Inf(1)
			for _, v := range p {
				if v >= 0.08 {
					least = min(least, v)
				}
			}
			return keepIf(x, func(p float64) bool { return p < 0.08 || p == least })
		})},
		{"dynamic temperature", []Option{Temperature(1), DynamicTemperature(0.7, 1.5)}, by(func(x []float64) []float64 {
			h, n := naiveEntropy(naiveSoftmax(x))
			t := 0.3 + 1.4*math.Pow(h/math.Log(float64(n)), 1.5)
			out := make([]float64, len(x))
			for i := range x {
				out[i] = x[i] / t
			}
			return out
		})},
		{"dry", []Option{DRY(0.8, 1.75, 2)},
			func(x []float64, r []int32) []float64 { return naiveDRY(x, r, 0.8, 1.75, 2, none) }},
		{"no-repeat", []Option{NoRepeat(3)}, func(x []float64, r []int32) []float64 { return naiveNoRepeat(x, r, 3) }},
		{"all in order", []Option{NoRepeat(2), TopK(20), EpsilonCutoff(0.01), Temperature(0.8)},
			func(x []float64, r []int32) []float64 {
				x = naiveNoRepeat(x, r, 2)
				limit := slices.Sorted(slices.Values(x))[vocab-20]
				x = keepIf(keepIf(x, func(float64) bool { return true }), func(float64) bool { return true })
				for i := range x {
					if x[i] < limit {
						x[i] = math.Inf(-1)
					}
				}
				x = keepIf(x, func(p float64) bool { return p >= 0.01 })
				for i := range x {
					x[i] /= 0.8
				}
				return x
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for range 200 {
				s, err := NewSampler(vocab, append(c.opts, Seed(1))...)
				if err != nil {
					t.Fatal(err)
				}
				// A text that repeats itself.
				var recent []int32
				for range 60 {
					if len(recent) > 6 && r.IntN(3) == 0 {
						at := r.IntN(len(recent) - 5)
						recent = append(recent, recent[at:at+5]...)
					} else {
						recent = append(recent, int32(r.IntN(vocab)))
					}
				}
				for _, x := range recent {
					s.Accept(x)
				}
				logits, exact := make([]float32, vocab), make([]float64, vocab)
				for i := range logits {
					logits[i] = float32(2 * r.NormFloat64())
					exact[i] = float64(logits[i])
				}
				want := naiveSoftmax(c.naive(exact, recent))
				if err := s.shape(logits); err != nil {
					t.Fatal(err)
				}
				s.candidates.softmax()
				got := make([]float64, vocab)
				for _, y := range s.candidates.List {
					got[y.Token] = float64(y.prob)
				}
				for i := range got {
					if math.Abs(got[i]-want[i]) > 1e-5 {
						t.Fatalf("token %d has probability %g, by definition %g", i, got[i], want[i])
					}
				}
			}
		})
	}
}

// TestDRYBreakers sees no repetition across a breaker.
func TestDRYBreakers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	breaks := func(t int32) bool { return t == 2 }
	for range 300 {
		recent := make([]int32, 30)
		for i := range recent {
			recent[i] = int32(r.IntN(4))
		}
		c := &config{control: newControl(), temperature: 1}
		c.pieces = func(t int32) string { return []string{"a", "b", "x:", "c"}[t] }
		DRY(1, 1.5, 1)(c)
		set := map[string][]Processor{}
		if err := c.shape(&Sampler{}, set, 4); err != nil {
			t.Fatal(err)
		}
		cs := &Candidates{store: make([]Candidate, 4), logits: make([]float32, 4)}
		cs.fill(make([]float32, 4))
		set["dry"][0].Apply(cs, recent)
		want := naiveDRY(make([]float64, 4), recent, 1, 1.5, 1, breaks)
		for i, y := range cs.List {
			if math.Abs(float64(y.Logit)-want[i]) > 1e-5*math.Abs(want[i]) {
				t.Fatalf("%v: token %d has logit %g, by definition %g", recent, i, y.Logit, want[i])
			}
		}
	}
}

// TestMirostat holds the surprise of long texts at what is asked for, and draws what the definition draws.
func TestMirostat(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, tau := range []float64{1.5, 3, 4.5} {
		s, err := NewSampler(300, Mirostat(tau, 0.1), Seed(1))
		if err != nil {
			t.Fatal(err)
		}
		sum, n := 0.0, 0
		bound := 2 * tau
		for i := range 3000 {
			logits, exact := make([]float32, 300), make([]float64, 300)
			for i := range logits {
				logits[i] = float32(2 * r.NormFloat64())
				exact[i] = float64(logits[i])
			}
			if math.Abs(s.mirostat.bound-bound) > 1e-2 {
				t.Fatalf("the bound is %v, by definition %v", s.mirostat.bound, bound)
			}
			s.mirostat.bound = bound // rounding does not add up
			token, err := s.Next(logits)
			if err != nil {
				t.Fatal(err)
			}
			cut := naiveSoftmax(keepIf(exact, func(p float64) bool { return -math.Log2(p) <= bound }))
			surprise := -math.Log2(cut[token])
			bound -= 0.1 * (surprise - tau)
			if i > 200 {
				sum += surprise
				n++
			}
		}
		if mean := sum / float64(n); math.Abs(mean-tau) > 0.1 {
			t.Errorf("the mean surprise is %.3f bits, it should be %v", mean, tau)
		}
	}
}

// noise is a decoder whose logits are a function of the last two tokens. It counts its calls.
type noise struct {
	vocab, batch, window, fed int
	last                      [][2]int32
	calls, tokens             int
	scale                     float64
}

func newNoise(vocab, batch int) *noise {
	d := &noise{vocab: vocab, batch: batch, window: 4096, scale: 3}
	d.Reset()
	return d
}

func (d *noise) Batch() int                  { return d.batch }
func (d *noise) Chunk() int                  { return 8 }
func (d *noise) Room() int                   { return d.window - d.fed }
func (d *noise) Reset()                      { d.last, d.fed = make([][2]int32, d.batch), 0 }
func (d *noise) Encode(source []int32) error { d.Reset(); return nil }
func (d *noise) Reorder(from []int) error {
	old := slices.Clone(d.last)
	for i, f := range from {
		d.last[i] = old[f]
	}
	return nil
}
func (d *noise) Step(tokens []int32) ([]float32, error) { return d.Feed(tokens) }
func (d *noise) Feed(tokens []int32) ([]float32, error) {
	d.calls++
	for i := 0; i < len(tokens); i += d.batch {
		d.fed++
		for k := range d.batch {
			d.last[k] = [2]int32{d.last[k][1], tokens[i+k]}
		}
		d.tokens++
	}
	out := make([]float32, 0, d.batch*d.vocab)
	for _, l := range d.last {
		out = append(out, d.logits(l)...)
	}
	return out, nil
}

func (d *noise) logits(last [2]int32) []float32 {
	out := make([]float32, d.vocab)
	for t := range out {
		u := float64(model.Key(uint64(last[0]+1), uint64(last[1]+1), uint64(t))>>11) / (1 << 53)
		out[t] = float32(d.scale * (u - 0.5) * 2)
	}
	return out
}

// pairsOf is a byte tokenizer with tokens of two and more bytes, and, where end is set, one that ends texts.
type pairsOf struct {
	pieces []string
	end    bool
}

func (p pairsOf) Encode(s string) ([]int32, error) {
	var out []int32
	for s != "" {
		best := -1
		for i, x := range p.pieces {
			if strings.HasPrefix(s, x) && (best < 0 || len(x) > len(p.pieces[best])) {
				best = i
			}
		}
		if best < 0 {
			return nil, errors.New("no token")
		}
		out = append(out, int32(best))
		s = s[len(p.pieces[best]):]
	}
	return out, nil
}

func (p pairsOf) Decode(tokens []int32) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(p.Piece(t))
	}
	return b.String()
}

func (p pairsOf) Piece(t int32) string {
	if int(t) == len(p.pieces) {
		return "<end>"
	}
	return p.pieces[t]
}

func (p pairsOf) Vocab() int {
	if p.end {
		return len(p.pieces) + 1
	}
	return len(p.pieces)
}
func (p pairsOf) Digest() string       { return "" }
func (p pairsOf) Special(t int32) bool { return int(t) == len(p.pieces) }
func bytesAnd(more ...string) (p []string) {
	for b := range 256 {
		p = append(p, string([]byte{byte(b)}))
	}
	return append(p, more...)
}

func constraint(t *testing.T, tok text.Tokenizer, l *constrain.Language, err error) *constrain.Constraint {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Compile(constrain.NewVocabulary(tok))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const schema = `{"type":"object","properties":{"name":{"type":"string","maxLength":12},"n":{"type":"integer","minimum":-5,"maximum":500},"list":{"type":"array","items":{"type":"boolean"}}},"required":["name","n"]}`

// TestConstrainGenerate draws texts under constraints from a model that knows nothing, with little room and with much.
func TestConstrainGenerate(t *testing.T) {
	tok := pairsOf{pieces: bytesAnd(`{"`, `":`, ` "`, `,"`, "name", `"}`, "true", "false", "12", "é", "ab", "cde")}
	js, err := constrain.JSONSchema([]byte(schema), constrain.FreeSpacing)
	json1 := constraint(t, tok, js, err)
	re, err := constrain.Regexp(`[a-z]{3,}( [0-9]+)+!?`)
	pattern := constraint(t, tok, re, err)
	whole := regexp.MustCompile(`^[a-z]{3,}( [0-9]+)+!?$`)
	for seed := range uint64(60) {
		for _, most := range []int{24, 40, 300} {
			for _, c := range []*constrain.Constraint{json1, pattern} {
				dec := newNoise(tok.Vocab(), 1)
				dec.window = 50
				var b strings.Builder
				for part, err := range Generate(context.Background(), dec, tok, "x", Constrain(c), Seed(seed),
					MaxTokens(most)) {
					if err != nil {
						t.Fatal(err)
					}
					b.WriteString(part)
				}
				switch {
				case c == json1 && !json.Valid([]byte(b.String())):
					t.Fatalf("%q is not JSON", b.String())
				case c == pattern && !whole.MatchString(b.String()):
					t.Fatalf("%q does not match", b.String())
				}
			}
		}
	}
	for _, err := range Generate(context.Background(), newNoise(tok.Vocab(), 1), tok, "x", Constrain(json1),
		MaxTokens(3)) {
		if err == nil || !strings.Contains(err.Error(), "3 more tokens are too few") {
			t.Fatalf("error %v", err)
		}
	}
	for _, err := range Generate(context.Background(), newNoise(256, 1), text.Bytes(), "x", Constrain(json1)) {
		if err == nil || !strings.Contains(err.Error(), "vocabulary of") {
			t.Fatalf("error %v", err)
		}
	}
}

// TestForced asks the model only where there is a choice, and tells it all that was written.
func TestForced(t *testing.T) {
	tok := pairsOf{pieces: bytesAnd()}
	l, err := constrain.Regexp(`hello world, (yes|no) and goodbye`)
	c := constraint(t, tok, l, err)
	dec := newNoise(256, 1)
	var b strings.Builder
	for part, err := range Generate(context.Background(), dec, tok, "x", Constrain(c), Seed(1)) {
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(part)
	}
	// All but the last run of what was written was read, in calls of 8 at most.
	if n := len(b.String()); dec.calls > 8 || dec.tokens > n+1 {
		t.Errorf("%d calls and %d tokens for %q", dec.calls, dec.tokens, b.String())
	}
}

// TestConstrainedDistribution compares how often each text of a small language is drawn with the product of what the
// masks leave.
func TestConstrainedDistribution(t *testing.T) {
	words := []string{"a", "ab", "abc", "b", "ba", "cab", "cc"}
	for _, end := range []bool{false, true} {
		tok := pairsOf{pieces: []string{"a", "b", "c", "ab", "bc", "ca"}, end: end}
		l, err := constrain.Choices(words...)
		c := constraint(t, tok, l, err)
		endToken := int32(-1)
		if end {
			endToken = 6
		}
		dec := newNoise(tok.Vocab(), 1)
		// By definition: at each place the tokens that lead to a word, and the end where there is one, share the
		// probability of what is allowed.
		want := map[string]float64{}
		var walk func(text string, last [2]int32, p float64)
		walk = func(text string, last [2]int32, p float64) {
			x := make([]float64, 0, dec.vocab)
			for _, v := range dec.logits(last) {
				x = append(x, float64(v))
			}
			q := naiveSoftmax(x)
			in, stays := slices.Contains(words, text), 0.0
			allowed := func(token int32) bool {
				return token != endToken && slices.ContainsFunc(words,
					func(w string) bool { return strings.HasPrefix(w, text+tok.Piece(token)) })
			}
			for token := range int32(dec.vocab) {
				if allowed(token) {
					stays += q[token]
				}
			}
			total := stays
			switch {
			case in && end:
				total += q[endToken]
				want[text] += p * q[endToken] / total
			case in:
				total = 1
				if stays == 0 {
					want[text] += p
					return
				}
				want[text] += p * (1 - stays)
			}
			for token := range int32(dec.vocab) {
				if allowed(token) {
					walk(text+tok.Piece(token), [2]int32{last[1], token}, p*q[token]/total)
				}
			}
		}
		walk("", [2]int32{0, 0}, 1)
		const n = 40000
		got := map[string]float64{}
		for seed := range uint64(n) {
			dec.Reset()
			s := ""
			if end {
				found, err := sampled(context.Background(), dec, model.Source{AnswerBegin: 0, AnswerEnd: endToken}, 10,
					0, []Option{Constrain(c), Seed(seed)})
				if err != nil {
					t.Fatal(err)
				}
				s = tok.Decode(found[0].Tokens)
			} else {
				for part, err := range Generate(context.Background(), dec, tok, "a", Constrain(c), Seed(seed)) {
					if err != nil {
						t.Fatal(err)
					}
					s += part
				}
			}
			got[s] += 1.0 / n
		}
		sum := 0.0
		for _, w := range words {
			sum += want[w]
			if d := math.Abs(got[w] - want[w]); d > 4*math.Sqrt(want[w]*(1-want[w])/n)+1e-4 {
				t.Errorf("end %v: %q is drawn with %.4f, by definition %.4f", end, w, got[w], want[w])
			}
		}
		if math.Abs(sum-1) > 1e-9 || len(got) > len(words) {
			t.Errorf("the probabilities add up to %v; drawn were %v", sum, got)
		}
	}
}

// TestBanned writes as many tokens as without banned phrases: what would make one is not drawn, and does not end the
// text.
func TestBanned(t *testing.T) {
	tok := pairsOf{pieces: []string{"a", "b", "c", "ab", "bc", "ca"}}
	l, err := constrain.Containing(constrain.Phrases{Banned: []string{"cc", "ab", "bab"}})
	c := constraint(t, tok, l, err)
	d := newNoise(tok.Vocab(), 1)
	for seed := range uint64(50) {
		var tokens []int32
		d.Reset()
		note := func(c *config) {
			c.watch = func(logits []float32, token int32) {
				if tokens = append(tokens, token); !slices.Equal(logits, d.logits(d.last[0])) {
					t.Fatal("the model was not told all")
				}
			}
		}
		s := ""
		for part, err := range Generate(context.Background(), d, tok, "a", Constrain(c), MaxTokens(30), Seed(seed),
			note) {
			if err != nil {
				t.Fatal(err)
			}
			s += part
		}
		if len(tokens) != 30 || strings.Contains(s, "cc") || strings.Contains(s, "ab") {
			t.Fatalf("%d tokens of 30: %q", len(tokens), s)
		}
	}
}

// TestConstrainedBeams finds the likeliest text of a small language, which is known by looking at all.
func TestConstrainedBeams(t *testing.T) {
	tok := pairsOf{pieces: []string{"a", "b", "c", "ab", "bc", "ca"}, end: true}
	l, err := constrain.Regexp(`[abc]{4}`)
	c := constraint(t, tok, l, err)
	most := 6
	// The likeliest, over all ways to write it.
	best, bestTokens := math.Inf(-1), []int32(nil)
	dec := newNoise(7, 1)
	var walk func(tokens []int32, last [2]int32, p float64)
	walk = func(tokens []int32, last [2]int32, p float64) {
		x := make([]float64, 0, 7)
		for _, v := range dec.logits(last) {
			x = append(x, float64(v))
		}
		q := naiveSoftmax(x)
		n := len(tok.Decode(tokens))
		if n == 4 && p+math.Log(q[6]) > best {
			best, bestTokens = p+math.Log(q[6]), slices.Clone(tokens)
		}
		for t := range int32(6) {
			if n+len(tok.Piece(t)) <= 4 {
				walk(append(slices.Clone(tokens), t), [2]int32{last[1], t}, p+math.Log(q[t]))
			}
		}
	}
	walk(nil, [2]int32{0, 0}, 0)
	found, err := BeamAnswers(context.Background(), newNoise(7, 40), make([]int32, 40), model.Source{AnswerEnd: 6},
		most, Ranking{}, Constrain(c))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(found[0].Tokens, bestTokens) || math.Abs(found[0].LogProb-best) > 1e-4 {
		t.Errorf("found %v of %v, the likeliest is %v of %v", found[0].Tokens, found[0].LogProb, bestTokens, best)
	}
	for _, f := range found {
		if len(tok.Decode(f.Tokens)) != 4 {
			t.Errorf("%v is not in the language", f.Tokens)
		}
	}
	// Of a model without a token for the end.
	plain := pairsOf{pieces: tok.pieces}
	l, err = constrain.Choices("ab", "abca", "cc")
	c = constraint(t, plain, l, err)
	for _, groups := range []int{1, 2} {
		hyps, err := Beam(context.Background(), newNoise(6, 8), plain, "a", 8, Constrain(c), MaxTokens(6),
			DiverseBeams(groups, 0.5))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hyps {
			if !slices.Contains([]string{"ab", "abca", "cc"}, h.Text) {
				t.Errorf("%q is not in the language", h.Text)
			}
		}
	}
	if _, err := Beam(context.Background(), newNoise(6, 8), plain, "a", 8, Constrain(c), MaxTokens(0)); err == nil {
		t.Error("no tokens are no error")
	}
}

// TestRequired finds texts with required phrases: with dynamic beams better ones than where only the limit makes them
// come.
func TestRequired(t *testing.T) {
	tok := pairsOf{pieces: bytesAnd("the ", "quick", "fox")}
	l, err := constrain.Containing(constrain.Phrases{Required: []string{"quick", "fox"}, Banned: []string{"z"}})
	c := constraint(t, tok, l, err)
	for range 1 {
		found, err := Beam(context.Background(), newNoise(tok.Vocab(), 6), tok, "a", 6, Constrain(c), MaxTokens(30),
			DynamicBeams())
		if err != nil {
			t.Fatal(err)
		}
		late, err := Beam(context.Background(), newNoise(tok.Vocab(), 6), tok, "a", 6, Constrain(c), MaxTokens(30))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range append(found, late...) {
			if !strings.Contains(h.Text, "quick") || !strings.Contains(h.Text, "fox") || strings.Contains(h.Text, "z") {
				t.Errorf("%q lacks a phrase", h.Text)
			}
		}
		if found[0].LogProb < late[0].LogProb {
			t.Errorf("log-probability %v, without dynamic beams %v", found[0].LogProb, late[0].LogProb)
		}
	}
}

// TestDiverseBeams has as many different beginnings as groups, where the strength is large.
func TestDiverseBeams(t *testing.T) {
	tok := pairsOf{pieces: bytesAnd()}
	found, err := Beam(context.Background(), newNoise(256, 4), tok, "a", 4, MaxTokens(5), DiverseBeams(4, 100))
	if err != nil {
		t.Fatal(err)
	}
	first := map[byte]bool{}
	for _, h := range found {
		first[h.Text[0]] = true
	}
	if len(found) != 4 || len(first) != 4 {
		t.Errorf("%v begin with %d tokens", found, len(first))
	}
	plain, err := Beam(context.Background(), newNoise(256, 4), tok, "a", 4, MaxTokens(5))
	if err != nil {
		t.Fatal(err)
	}
	none, err := Beam(context.Background(), newNoise(256, 4), tok, "a", 4, MaxTokens(5), DiverseBeams(1, 3))
	if err != nil || plain[0].Text != none[0].Text || plain[3].LogProb != none[3].LogProb {
		t.Errorf("one group is %v, without groups %v: %v", none, plain, err)
	}
}

// TestMinTokens writes on where stop strings, an end token or a constraint would end the text.
func TestMinTokens(t *testing.T) {
	tok := pairsOf{pieces: []string{"a", "b"}, end: true}
	for seed := range uint64(50) {
		n := 0
		for _, err := range Generate(context.Background(), newNoise(3, 1), pairsOf{pieces: []string{"a", "b", "c"}},
			"a", MinTokens(9), Stop("a", "b", "c"), Seed(seed)) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 9 {
			t.Errorf("%d tokens, there must be 9", n)
		}
		found, err := sampled(context.Background(), newNoise(3, 1), model.Source{AnswerEnd: 2}, 20, 0,
			[]Option{MinTokens(7), Seed(seed)})
		if err != nil || len(found[0].Tokens) < 7 {
			t.Errorf("%v: %v", found, err)
		}
	}
	l, err := constrain.Regexp(`a*|b`)
	c := constraint(t, tok, l, err)
	for seed := range uint64(50) {
		found, err := sampled(context.Background(), newNoise(3, 1), model.Source{AnswerEnd: 2}, 20, 0,
			[]Option{MinTokens(7), Constrain(c), Seed(seed)})
		if s := tok.Decode(found[0].Tokens); err != nil || len(s) < 7 && s != "b" {
			t.Errorf("%q: %v", s, err)
		}
	}
}

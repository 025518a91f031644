package metric

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// naiveBLEU is the BLEU of a sentence against references by the definition, with a loop over these.
func naiveBLEU(sentence []int32, references [][]int32, order int) float64 {
	grams := func(s []int32, n int) map[string]int {
		m := map[string]int{}
		for i := 0; i+n <= len(s); i++ {
			m[fmt.Sprint(s[i:i+n])]++
		}
		return m
	}
	sum := 0.0
	for n := 1; n <= order; n++ {
		match, total := 0, 0
		for g, c := range grams(sentence, n) {
			most := 0
			for _, r := range references {
				most = max(most, grams(r, n)[g])
			}
			match += min(c, most)
			total += c
		}
		if n == 1 && match == 0 {
			return 0
		}
		p := float64(match) / float64(max(1, total))
		if match == 0 {
			p = 0.1 / float64(max(1, total))
		}
		sum += math.Log(p) / float64(order)
	}
	near := len(references[0])
	for _, r := range references {
		a, b := math.Abs(float64(len(r)-len(sentence))), math.Abs(float64(near-len(sentence)))
		if a < b || a == b && len(r) < near {
			near = len(r)
		}
	}
	penalty := 1.0
	if len(sentence) <= near {
		penalty = math.Exp(1 - float64(near)/float64(len(sentence)))
	}
	return penalty * math.Exp(sum)
}

// randomSentences have few words, so that n-grams come back within a sentence and in others; one is empty, one is
// there twice.
func randomSentences(r *rand.Rand, count, words, longest int) [][]int32 {
	s := make([][]int32, count)
	for i := range s {
		s[i] = make([]int32, 1+r.IntN(longest))
		for k := range s[i] {
			s[i][k] = int32(min(r.IntN(words), r.IntN(words)))
		}
	}
	if count > 3 {
		s[0], s[2] = nil, s[3]
	}
	return s
}

// The index gives what the definition does.
func TestSentenceBLEUDefinition(t *testing.T) {
	const order = 5
	r := rand.New(rand.NewPCG(4, 4))
	for _, c := range [][4]int{{1, 1, 1, 3}, {6, 2, 2, 9}, {9, 9, 5, 30}, {20, 15, 40, 12}, {8, 20, 9, 30}} {
		made, references := randomSentences(r, c[0], c[2], c[3]), randomSentences(r, c[1], c[2]+1, c[3])
		got, err := SentenceBLEU(made, references, order)
		if err != nil {
			t.Fatal(err)
		}
		self := make([]float64, order)
		if c[0] > 1 {
			if self, err = SelfBLEU(made, order); err != nil {
				t.Fatal(err)
			}
		}
		for n := 1; n <= order; n++ {
			want, wantSelf := 0.0, 0.0
			for i, s := range made {
				want += naiveBLEU(s, references, n) / float64(len(made))
				if others := append(append([][]int32{}, made[:i]...), made[i+1:]...); len(others) > 0 {
					wantSelf += naiveBLEU(s, others, n) / float64(len(made))
				}
			}
			if !(math.Abs(got[n-1]-want) <= 1e-12) || !(math.Abs(self[n-1]-wantSelf) <= 1e-12) {
				t.Errorf("%v: BLEU-%d is %v, want %v; self-BLEU-%d is %v, want %v", c, n, got[n-1], want, n, self[n-1],
					wantSelf)
			}
		}
	}
}

func texts(lines ...string) [][]string {
	var s [][]string
	for _, l := range lines {
		s = append(s, strings.Fields(l))
	}
	return s
}

// Values worked out by hand.
func TestSentenceBLEU(t *testing.T) {
	near := func(what string, got []float64, want ...float64) {
		t.Helper()
		for i, w := range want {
			if !(math.Abs(got[i]-w) <= 1e-12) {
				t.Errorf("%s: BLEU-%d is %v, want %v", what, i+1, got[i], w)
			}
		}
	}
	root := func(x float64, n int) float64 { return math.Pow(x, 1/float64(n)) }
	// All words, pairs and triples are in one reference or the other, the four in none, and a sentence of four has no
	// five.
	b, _ := SentenceBLEU(texts("a b c d"), texts("a b c e", "x b c d f"), 5)
	near("two references", b, 1, 1, 1, root(0.1, 4), root(0.1*0.1, 5))
	// Two of three "a" count, as a reference has two; of the pairs one of two. Nearest is the length 2, of lengths 2
	// and 4.
	b, _ = SentenceBLEU(texts("a a a"), texts("a a", "a b a c"), 2)
	near("clipped", b, 2.0/3, root(2.0/3*0.5, 2))
	// The references are longer: e^(1-4/2).
	b, _ = SentenceBLEU(texts("a b"), texts("a b c d", "z z z z z"), 2)
	near("short", b, math.Exp(-1), math.Exp(-1))
	// The mean of 1 and nothing in common.
	b, _ = SentenceBLEU(texts("a b", "y z"), texts("a b"), 2)
	near("half", b, 0.5, 0.5)
	b, _ = SentenceBLEU(texts(""), texts("a b", ""), 2)
	near("empty", b, 0, 0)

	b, _ = SelfBLEU(texts("a b c", "a b c", "a b c"), 3)
	near("all the same", b, 1, 1, 1)
	b, _ = SelfBLEU(texts("a b", "c d", "e f"), 2)
	near("nothing in common", b, 0, 0)
	// "a b c" has two of its words and one of its two pairs in "a b d", and the other way round; "e" has nothing.
	b, _ = SelfBLEU(texts("a b c", "a b d", "e"), 3)
	near("a pair", b, 2*2.0/3/3, 2*root(2.0/3*0.5, 2)/3, 2*root(2.0/3*0.5*0.1, 3)/3)
	// "a a a b" has its three "a" alone: the other has two. Its own length is left out: 4 words against 2; the other's
	// penalty is e^(1-4/2).
	b, _ = SelfBLEU(texts("a a a b", "a a"), 1)
	near("its own count", b, (2.0/4+math.Exp(-1))/2)

	for _, f := range []func() ([]float64, error){
		func() ([]float64, error) { return SentenceBLEU(nil, texts("a"), 2) },
		func() ([]float64, error) { return SentenceBLEU(texts("a"), nil, 2) },
		func() ([]float64, error) { return SentenceBLEU(texts("a"), texts("a"), 0) },
		func() ([]float64, error) { return SelfBLEU(texts("a"), 2) },
		func() ([]float64, error) { return SelfBLEU(texts("a", "b"), 0) },
	} {
		if b, err := f(); err == nil || !strings.HasPrefix(err.Error(), "metric: ") {
			t.Errorf("too little gives %v, %v", b, err)
		}
	}
}

// A thousand sentences against a thousand: more like each other than another thousand of other words.
func TestSentenceBLEUMany(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	made, references, other := randomSentences(r, 1000, 500, 40), randomSentences(r, 1000, 500, 40), randomSentences(r,
		1000, 5000, 40)
	near, err := SentenceBLEU(made, references, 5)
	if err != nil {
		t.Fatal(err)
	}
	far, _ := SentenceBLEU(made, other, 5)
	self, _ := SelfBLEU(made, 5)
	for n := range near {
		if !(near[n] > far[n] && far[n] > 0 && near[n] <= 1 && self[n] > far[n] && self[n] <= 1) {
			t.Errorf("BLEU-%d is %v against the same words, %v against others, %v among themselves", n+1, near[n],
				far[n], self[n])
		}
	}
}

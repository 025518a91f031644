package subword

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// randomMerges makes a table in which each token is made of two earlier ones, and some tokens in two ways.
func randomMerges(r *rand.Rand, symbols, merges int) (*Merges, map[[2]int32][2]int32) {
	m, list := NewMerges(0), map[[2]int32][2]int32{}
	for rank := range int32(merges) {
		known := int32(symbols) + rank
		a, b := r.Int32N(known), r.Int32N(known)
		token := known
		if rank > 0 && r.IntN(8) == 0 {
			token = int32(symbols) + r.Int32N(rank)
		}
		if m.Add(a, b, rank, token) {
			list[[2]int32{a, b}] = [2]int32{rank, token}
		}
	}
	return m, list
}

// naive makes the first of the merges of the lowest rank, until none is left.
func naive(merges map[[2]int32][2]int32, symbols []int32) []int32 {
	s := slices.Clone(symbols)
	for {
		at, best := -1, [2]int32{}
		for i := 0; i+1 < len(s); i++ {
			if m, ok := merges[[2]int32{s[i], s[i+1]}]; ok && (at < 0 || m[0] < best[0]) {
				at, best = i, m
			}
		}
		if at < 0 {
			return s
		}
		s[at] = best[1]
		s = slices.Delete(s, at+1, at+2)
	}
}

func TestApply(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 4000 {
		symbols := 1 + r.IntN(4)
		m, list := randomMerges(r, symbols, r.IntN(60))
		if m.Len() != len(list) {
			t.Fatalf("%d merges, want %d", m.Len(), len(list))
		}
		text := make([]int32, r.IntN(150))
		for i := range text {
			text[i] = r.Int32N(int32(symbols))
		}
		want := naive(list, text)
		if got := m.Apply(slices.Clone(text)); !slices.Equal(got, want) {
			t.Fatalf("%v became %v, want %v", text, got, want)
		}
	}
}

// naiveLearn counts all pairs before each merge.
func naiveLearn(words [][]int32, counts []int, first int32, limit, least int, accept func(a, b int32) bool) []Pair {
	var pairs []Pair
	refused := map[Pair]bool{}
	for len(pairs) < limit {
		n := map[Pair]int{}
		for i, w := range words {
			for j := 0; j+1 < len(w); j++ {
				n[Pair{w[j], w[j+1]}] += counts[i]
			}
		}
		best, most := Pair{}, 0
		for p, c := range n {
			if !refused[p] && (c > most ||
				c == most && (p.Left < best.Left || p.Left == best.Left && p.Right < best.Right)) {
				best, most = p, c
			}
		}
		if most < least {
			break
		}
		if !accept(best.Left, best.Right) {
			refused[best] = true
			continue
		}
		token := first + int32(len(pairs))
		for i, w := range words {
			var out []int32
			for j := 0; j < len(w); j++ {
				if j+1 < len(w) && w[j] == best.Left && w[j+1] == best.Right {
					out = append(out, token)
					j++
				} else {
					out = append(out, w[j])
				}
			}
			words[i] = out
		}
		pairs = append(pairs, best)
	}
	return pairs
}

func TestLearn(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 1500 {
		symbols := 1 + r.Int32N(4)
		var words, same [][]int32
		var counts []int
		for range r.IntN(12) {
			w := make([]int32, r.IntN(20))
			for i := range w {
				w[i] = r.Int32N(symbols)
			}
			words, same, counts = append(words, w), append(same, slices.Clone(w)), append(counts, 1+r.IntN(5))
		}
		least := 1 + r.IntN(4)
		accept := func(a, b int32) bool { return (a*31+b*17)%5 != 0 }
		want := naiveLearn(words, counts, symbols, 40, least, accept)
		if got := Learn(same, counts, symbols, 40, least, accept); !slices.Equal(got, want) {
			t.Fatalf("learnt %v, want %v", got, want)
		}
	}
}

// fragments are what the expressions ask for.
var fragments = []string{"a", "B", "ß", "ſ", "ǅ", "ʰ", "語", "é", "e\u0301", "\u0301", "\u0903", "\u20dd", "5", "²", "Ⅷ",
	"٣", " ", "  ", "\t", "\n", "\r\n", "\r", "\u00a0", "\u0085", "\u3000", ".", "/", "-", "_", "€", "😀",
	"'s", "'S", "'ſ", "'t", "'re", "'RE", "'rE", "'ve", "'m", "'ll", "'lL", "'d", "'", "'l", "'r", "'K", "\u200b",
	"\u00ad", "\x00", "\u2028", "Ab", "AB", "aB"}

func randomText(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(12) {
		if r.IntN(5) == 0 {
			c := r.Int32N(0x3000)
			if utf8.ValidRune(c) {
				b.WriteRune(c)
			}
			continue
		}
		b.WriteString(fragments[r.IntN(len(fragments))])
	}
	return b.String()
}

// TestSplits compares the splits with their expressions, in an engine that looks ahead and takes its classes from the
// same tables.
func TestSplits(t *testing.T) {
	possessive := regexp.MustCompile(`([+*?]|\d})\+`) // which changes no match of these expressions
	// ſ folds to s in the engines of the publishers.
	folded := strings.NewReplacer(
		"(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?:'[sſS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])",
		"'(?i:[sdmt]|ll|ve|re)", "(?:'[sſS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])")
	for expression, split := range splits {
		x, err := regexp2.Compile(folded.Replace(possessive.ReplaceAllString(expression, "$1")), regexp2.None)
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		r := rand.New(rand.NewPCG(3, 3))
		for range 4000 {
			s := randomText(r)
			var want []string
			m, err := x.FindStringMatch(s)
			for ; m != nil; m, err = x.FindNextMatch(m) {
				want = append(want, m.String())
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for rest := s; rest != ""; {
				n := split(rest)
				got = append(got, rest[:n])
				rest = rest[n:]
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s:\n%q is split into %q,\nwant %q", expression, s, got, want)
			}
		}
	}
}

func FuzzSplits(f *testing.F) {
	for _, s := range fragments {
		f.Add(s + "x " + s)
	}
	f.Add("\xff\xfe a\x80")
	f.Fuzz(func(t *testing.T, s string) {
		for expression, split := range splits {
			for rest := s; rest != ""; {
				n := split(rest)
				if n < 1 || n > len(rest) {
					t.Fatalf("%s: a piece of %d of %d bytes of %q", expression, n, len(rest), rest)
				}
				rest = rest[n:]
			}
		}
	})
}

// BenchmarkApply: the time a symbol must hardly grow with the length of a run.
func BenchmarkApply(b *testing.B) {
	m := NewMerges(0)
	for rank := range int32(200) { // powers of a run, and its remainders
		a, c := rank/10, rank%10
		m.Add(min(a, 10+rank-1), c, rank, 10+rank)
	}
	for _, n := range []int{10, 100, 1000, 10000, 100000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			r := rand.New(rand.NewPCG(4, 4))
			text, work := make([]int32, n), make([]int32, n)
			for i := range text {
				text[i] = r.Int32N(10)
			}
			b.SetBytes(int64(n))
			for range b.N {
				copy(work, text)
				m.Apply(work)
			}
		})
	}
}

package text

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// naiveEncode merges a piece by the definition: the earliest merge that fits, the first of equal ones, one at a time.
func naiveEncode(t *pairTokens, piece string) []int32 {
	var p []int32
	for i := range len(piece) {
		p = append(p, t.bytes[piece[i]])
	}
	for {
		best, at, token := int32(math.MaxInt32), -1, int32(0)
		for i := 1; i < len(p); i++ {
			if x, r, ok := t.merges.Find(p[i-1], p[i]); ok && r < best {
				best, at, token = r, i-1, x
			}
		}
		if at < 0 {
			return p
		}
		p = slices.Replace(p, at, at+2, token)
	}
}

// everywhere merges a piece as GPT-2's program does: the earliest merge that fits is made wherever it does.
func everywhere(t *pairTokens, piece string) []int32 {
	var p []int32
	for i := range len(piece) {
		p = append(p, t.bytes[piece[i]])
	}
	for {
		best := int32(math.MaxInt32)
		for i := 1; i < len(p); i++ {
			if _, r, ok := t.merges.Find(p[i-1], p[i]); ok {
				best = min(best, r)
			}
		}
		if best == math.MaxInt32 {
			return p
		}
		for i := 0; i+1 < len(p); i++ {
			if x, r, ok := t.merges.Find(p[i], p[i+1]); ok && r == best {
				p = slices.Replace(p, i, i+2, x)
			}
		}
	}
}

// randomRun is a random run of few letters, in which merges overlap in every way.
func randomRun(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		if b[i] = "aabbc"[r.IntN(5)]; i > 2 && r.IntN(3) == 0 {
			b[i] = b[i-1-r.IntN(3)]
		}
	}
	return string(b)
}

// Pieces of every length are merged as the definition says, and with merges that are learnt as GPT-2 does.
func TestMergeOfPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 150 {
		p := Pieces{randomRun(r, 1+r.IntN(400)): 1 + r.IntN(3), randomRun(r, 1+r.IntN(40)): 1}
		learnt := p.Merges(256+r.IntN(80), 0)
		tok := BPE(strings.Join(learnt, "\n")).(*pairTokens)
		// Merges that make the same tokens in other ways, anywhere behind those that make their parts.
		others := slices.Clone(learnt)
		for range r.IntN(20) {
			if len(tok.pieces) == 256 {
				break
			}
			piece := tok.pieces[256+r.IntN(len(tok.pieces)-256)]
			cut := 1 + r.IntN(len(piece)-1)
			m := visible(piece[:cut]) + " " + visible(piece[cut:])
			if slices.Contains(others, m) {
				continue
			}
			if at, ok := afterParts(others, piece[:cut], piece[cut:]); ok {
				others = slices.Insert(others, at+r.IntN(len(others)-at+1), m)
			}
		}
		both := BPE(strings.Join(others, "\n")).(*pairTokens)
		if both.Vocab() != tok.Vocab() || len(others) > len(learnt) && both.Digest() == tok.Digest() {
			t.Fatalf("%d tokens with other ways to make them, %d without", both.Vocab(), tok.Vocab())
		}
		for range 20 {
			s := randomRun(r, 1+r.IntN(1+r.IntN(300)))
			want := naiveEncode(tok, s)
			if got := tok.merge(nil, s); !slices.Equal(got, want) {
				t.Fatalf("%q: %v, want %v", s, got, want)
			}
			if got := everywhere(tok, s); !slices.Equal(got, want) {
				t.Fatalf("%q: %v as GPT-2 merges, want %v", s, got, want)
			}
			want = naiveEncode(both, s)
			if a := both.merge(nil, s); !slices.Equal(a, want) {
				t.Fatalf("%q with %q: %v, want %v", s, others, a, want)
			}
		}
	}
}

// afterParts is the first place in a list of merges where both tokens are known.
func afterParts(merges []string, a, b string) (int, bool) {
	known := map[string]bool{}
	for at := 0; ; at++ {
		if (len(a) == 1 || known[a]) && (len(b) == 1 || known[b]) {
			return at, true
		}
		if at == len(merges) {
			return 0, false
		}
		left, right, _ := strings.Cut(merges[at], " ")
		x, _ := hidden(left + right)
		known[x] = true
	}
}

// Runs of few letters are learnt by the definition too, where every merge overlaps others.
func TestMergesOfRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 60 {
		p := Pieces{}
		for range 1 + r.IntN(4) {
			p[randomRun(r, 1+r.IntN(200))] += 1 + r.IntN(4)
		}
		size := 256 + r.IntN(80)
		if got, want := p.Merges(size, 0), naiveMerges(p, size); !slices.Equal(got, want) {
			t.Fatalf("%v:\n%q, want\n%q", p, got, want)
		}
	}
}

func BenchmarkMergesOfOneRun(b *testing.B) {
	for _, n := range []int{20_000, 160_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := Pieces{randomRun(rand.New(rand.NewPCG(1, 1)), n): 1}
			b.SetBytes(int64(n))
			for b.Loop() {
				p.Merges(1000, 0)
			}
		})
	}
}

func BenchmarkEncodeOneRun(b *testing.B) {
	for _, n := range []int{20_000, 160_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := randomRun(rand.New(rand.NewPCG(1, 1)), n)
			tok := BPE(strings.Join(Pieces{s: 1}.Merges(1000, 0), "\n"))
			b.SetBytes(int64(n))
			for b.Loop() {
				if _, err := tok.Encode(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

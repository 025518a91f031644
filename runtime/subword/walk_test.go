package subword

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// spelledMerges makes a table over the letters a, b, … whose tokens are texts: of merges in a random order, of all
// the ways in which a token can be made or some, so that merges come before and behind those that make their parts.
func spelledMerges(r *rand.Rand, letters, tokens int) (*Merges, map[[2]int32][2]int32) {
	texts, numbers := []string{}, map[string]int32{}
	add := func(s string) {
		if _, ok := numbers[s]; !ok {
			numbers[s] = int32(len(texts))
			texts = append(texts, s)
		}
	}
	for i := range letters {
		add(string(rune('a' + i)))
	}
	for range tokens {
		if s := texts[r.IntN(len(texts))] + texts[r.IntN(len(texts))]; len(s) <= 12 {
			add(s)
		}
	}
	m, list := NewMerges(0), map[[2]int32][2]int32{}
	rank := make([]int32, len(texts))
	for i := range rank {
		rank[i] = int32(i)
	}
	disorder := r.IntN(4)
	for range disorder * disorder * tokens / 8 {
		a, b := r.IntN(len(rank)), r.IntN(len(rank))
		rank[a], rank[b] = rank[b], rank[a]
	}
	for x, s := range texts {
		ways := 0
		for cut := 1; cut < len(s); cut++ {
			a, okA := numbers[s[:cut]]
			b, okB := numbers[s[cut:]]
			if !okA || !okB || ways > 0 && r.IntN(6) == 0 {
				continue
			}
			ways++
			at := rank[x]
			if disorder == 1 {
				at = rank[x]*16 + r.Int32N(16)
			}
			if m.Add(a, b, at, int32(x)) {
				list[[2]int32{a, b}] = [2]int32{at, int32(x)}
			}
		}
	}
	return m, list
}

// TestWalk holds walkers to the definition.
func TestWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	walked, again := 0, 0
	for range 800 {
		letters := 1 + r.IntN(4)
		make := spelledMerges
		if r.IntN(3) == 0 {
			make = randomMerges
		}
		m, list := make(r, letters, r.IntN(60))
		w := newWalker(m)
		if w == nil {
			continue
		}
		walked++
		if len(w.spelt) > 0 {
			again++
		}
		for range 3 {
			text := randomSymbols(r, letters)
			want := naive(list, text)
			got, ok := w.apply(slices.Clone(text), new(scratch))
			if !ok || !slices.Equal(got, want) {
				t.Fatalf("%v became %v, %v, want %v, with %v", text, got, ok, want, list)
			}
		}
	}
	if walked < 500 || again < 50 {
		t.Errorf("%d tables were walked, %d with merges before their parts: the test says little", walked, again)
	}
}

func randomSymbols(r *rand.Rand, letters int) []int32 {
	text := make([]int32, r.IntN(80))
	period := 1 + r.IntN(80)
	for i := range text {
		text[i] = r.Int32N(int32(letters))
		if i >= period && r.IntN(20) > 0 {
			text[i] = text[i-period]
		}
	}
	return text
}

// TestWalkerOfStrangeTables: what no text stands for is not walked, and ends.
func TestWalkerOfStrangeTables(t *testing.T) {
	circle := NewMerges(0)
	circle.Add(0, 1, 0, 2)
	circle.Add(2, 1, 1, 0) // a part of itself
	doubling := NewMerges(0)
	for i := range int32(40) {
		doubling.Add(i, i, i, i+1)
	}
	two := NewMerges(0)
	two.Add(0, 1, 0, 5)
	two.Add(1, 0, 1, 5)
	far := NewMerges(0)
	far.Add(0, 1, 0, 1<<30)
	for name, m := range map[string]*Merges{"circle": circle, "doubling": doubling, "two ways": two, "far": far} {
		if newWalker(m) != nil {
			t.Errorf("%s: there is a walker", name)
		}
	}
	// A symbol that a merge makes as well.
	m := NewMerges(0)
	m.Add(0, 1, 0, 2)
	if got, ok := newWalker(m).apply([]int32{0, 2, 1}, new(scratch)); ok {
		t.Errorf("walked to %v", got)
	}
}

// TestLongRuns: Apply gives the same with a walker and without one, and no token of a run depends on how much of it
// there is.
func TestLongRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	m, list := spelledMerges(r, 4, 200)
	slow := NewMerges(0)
	for pair, to := range list {
		slow.Add(pair[0], pair[1], to[0], to[1])
	}
	for range 8 {
		text := make([]int32, many)
		for i := range text {
			text[i] = r.Int32N(4)
		}
		want := slow.applyLong(slices.Clone(text), new(scratch))
		if got := m.Apply(text); !slices.Equal(got, want) {
			t.Fatal("another result")
		}
	}
	if m.walker == nil {
		t.Error("there is no walker")
	}
}

func FuzzWalk(f *testing.F) {
	f.Add(uint64(1), uint64(2), "abracadabra")
	f.Fuzz(func(t *testing.T, a, b uint64, s string) {
		r := rand.New(rand.NewPCG(a, b))
		letters := 1 + r.IntN(5)
		m, list := spelledMerges(r, letters, r.IntN(100))
		w := newWalker(m)
		if w == nil {
			t.Fatal("there is no walker")
		}
		var text []int32
		for _, c := range []byte(strings.TrimSpace(s)) {
			text = append(text, int32(c)%int32(letters))
		}
		want := naive(list, text)
		if got, _ := w.apply(slices.Clone(text), new(scratch)); !slices.Equal(got, want) {
			t.Fatalf("%v became %v, want %v", text, got, want)
		}
	})
}

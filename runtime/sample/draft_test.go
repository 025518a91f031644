package sample

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// TestTokens holds what is told of each token to its definition, and the text to that of Generate, with characters,
// stop strings and windows that are cut anywhere.
func TestTokens(t *testing.T) {
	language, err := constrain.Regexp(`(yes|no|perhaps), as (far|long) as I (know|can see)[.] [a-z]*`)
	if err != nil {
		t.Fatal(err)
	}
	fixed, err := language.Compile(constrain.NewVocabulary(text.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	ends := map[Reason]int{}
	for range 40 {
		opts := []Option{Seed(rng.Uint64()), MaxTokens(rng.IntN(90)), TopK(1 + rng.IntN(40))}
		switch rng.IntN(4) {
		case 0:
			opts = append(opts, Stop("a", "\xc3", "zz"), MinTokens(rng.IntN(4)))
		case 1:
			opts = append(opts, Constrain(fixed), MaxTokens(60+rng.IntN(20)))
		case 2:
			opts = append(opts, EndToken(int32(rng.IntN(256))), TopK(200))
		}
		dec := newNoise(256, 1)
		dec.window = 3 + rng.IntN(60)
		prompt := "prompt"[:rng.IntN(7)]
		var whole strings.Builder
		for part, err := range Generate(context.Background(), dec, text.Bytes(), prompt, opts...) {
			if err != nil {
				t.Fatal(err)
			}
			if part == "" {
				t.Fatal("Generate gives an empty part")
			}
			whole.WriteString(part)
		}
		for _, best := range []int{-1, 0, 3} {
			asked := opts
			if best >= 0 {
				asked = append(slices.Clone(opts), LogProbs(best))
			}
			dec.Reset()
			var got strings.Builder
			read, err := Prompt(text.Bytes(), prompt)
			if err != nil {
				t.Fatal(err)
			}
			last, row := Token{}, make([]float32, 256)
			for x, err := range Tokens(context.Background(), dec, text.Bytes(), prompt, asked...) {
				if err != nil || last.End != "" {
					t.Fatalf("%+v behind %+v: %v", x, last, err)
				}
				got.WriteString(x.Text)
				if last = x; x.ID < 0 {
					continue
				}
				if best >= 0 {
					// A model that sees two tokens, of a window that may hold one.
					before := [2]int32{-9, -9}
					copy(before[2-min(2, len(read)):], read[len(read)-min(2, len(read)):])
					kernel.LogSoftmax(row, dec.logits(before), 1, 256)
					if want := float64(row[x.ID]); dec.window > 5 && len(read) > 1 && x.LogProb != want {
						t.Fatalf("window %d: token %d has the log-probability %v, want %v", dec.window, x.ID, x.LogProb,
							want)
					}
					if len(x.Best) != max(0, best) {
						t.Fatalf("%d alternatives, want %d", len(x.Best), best)
					}
					if !slices.IsSortedFunc(x.Best,
						func(a, b Alternative) int { return int(math.Copysign(1, b.LogProb-a.LogProb)) }) {
						t.Fatalf("alternatives %v", x.Best)
					}
				} else if x.LogProb != 0 || x.Best != nil {
					t.Fatalf("nothing was asked for, and %+v was told", x)
				}
				read = append(read, x.ID)
			}
			if last.ID != -1 || last.End == "" {
				t.Fatalf("the last element is %+v", last)
			}
			ends[last.End]++
			if got.String() != whole.String() {
				t.Fatalf("%q, and of Generate %q", got.String(), whole.String())
			}
		}
	}
	if len(ends) != 3 {
		t.Errorf("texts ended by %v", ends)
	}
}

// TestPlan reads tokens one by one and in groups: the decoder has read the same at the end of each group.
func TestPlan(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		window := 1 + rng.IntN(20)
		one, many := newHistory(window), newHistory(window)
		var seen, seenByMany []int32
		take := func(seen []int32, h *history, tokens []int32) []int32 {
			reading, restart := h.plan(nil, window-len(seen), tokens)
			if restart {
				seen = nil
			}
			if seen = append(seen, reading...); len(seen) > window {
				t.Fatalf("%d tokens in a window of %d", len(seen), window)
			}
			return seen
		}
		for next := int32(0); next < 100; {
			var group []int32
			for range 1 + rng.IntN(30) {
				group = append(group, next)
				next++
			}
			for i := range group {
				seen = take(seen, &one, group[i:i+1])
			}
			if seenByMany = take(seenByMany, &many, group); !slices.Equal(seen, seenByMany) {
				t.Fatalf("window %d: %v one by one, %v in groups", window, seen, seenByMany)
			}
		}
	}
}

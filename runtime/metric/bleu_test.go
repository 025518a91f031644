package metric

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestTokenize13a(t *testing.T) {
	for s, want := range map[string]string{
		"Hello, world.":              "Hello , world .",
		"It costs 3.50, or 3,500-4.": "It costs 3.50 , or 3,500 - 4 .",
		`He said "no" (twice)!`:      `He said " no " ( twice ) !`,
		"don't stop-and-go":          "don't stop-and-go",
		"a &quot;b&quot; &amp; c":    `a " b " & c`,
		"über die Straße.":           "über die Straße .",
		"":                           "",
	} {
		if got := Tokenize13a(s); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q gives %q, want %q", s, got, want)
		}
	}
}

// TestCorpus holds values worked out by hand from the definition.
func TestCorpus(t *testing.T) {
	same := []string{"the cat sat on the mat", "a dog ran"}
	if b, err := Corpus(same, same); err != nil || math.Abs(b.Score-100) > 1e-9 || b.Brevity != 1 {
		t.Errorf("a text against itself: %v, %v", b, err)
	}
	// One word of six is another one: 5 of 6 words, 3 of 5 pairs, 1 of 4 triples; none of 3 fours, which counts as
	// half of one.
	b, err := Corpus([]string{"the cat sat in the mat"}, []string{"the cat sat on the mat"})
	if err != nil || math.Abs(b.Precisions[0]-500./6) > 1e-9 || math.Abs(b.Precisions[1]-300./5) > 1e-9 ||
		math.Abs(b.Precisions[2]-100./4) > 1e-9 || math.Abs(b.Precisions[3]-100./6) > 1e-9 {
		t.Errorf("%v, %v", b, err)
	}
	if exact := math.Exp((math.Log(500./6) + math.Log(300./5) + math.Log(100./4) + math.Log(100./6)) / 4); math.Abs(
		b.Score-exact) > 1e-9 {
		t.Errorf("the score is %v, want %v", b.Score, exact)
	}
	// Half the length: the brevity penalty is e^(1-2).
	b, _ = Corpus([]string{"the cat sat on"}, []string{"the cat sat on the mat it liked"})
	if math.Abs(b.Brevity-math.Exp(-1)) > 1e-12 || math.Abs(b.Score-100*math.Exp(-1)) > 1e-9 {
		t.Errorf("a short answer: %v", b)
	}
	if b, _ := Corpus([]string{"x y z w"}, []string{"a b c d"}); b.Score != 0 {
		t.Errorf("nothing in common: %v", b)
	}
	if b, _ := Corpus([]string{""}, []string{"a b c d"}); b.Score != 0 {
		t.Errorf("an empty answer: %v", b)
	}
	if _, err := Corpus([]string{"a"}, nil); err == nil {
		t.Error("an answer without a reference is no error")
	}
}

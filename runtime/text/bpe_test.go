package text

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// gpt2 has the first merges of GPT-2's vocabulary.
const gpt2 = "#version: 0.2\nĠ t\nĠ a\nh e\ni n\nr e\no n\nĠt he\n"

// TestBPENumbers checks tokens against their numbers in GPT-2.
func TestBPENumbers(t *testing.T) {
	tok := BPE(gpt2)
	if tok.Vocab() != 263 {
		t.Fatalf("%d tokens", tok.Vocab())
	}
	for s, want := range map[string][]int32{
		"":                  {},
		"!":                 {0},
		"a":                 {64},
		" ":                 {220},
		"\n":                {198},
		" t":                {256},
		"the":               {83, 258},
		" the":              {262},
		"in the rain":       {259, 262, 220, 81, 64, 259},
		"\x00":              {188},
		"é":                 {127, 102},
		"\n\n the\t\tthere": {198, 198, 262, 197, 197, 83, 258, 260},
	} {
		got, err := tok.Encode(s)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %v, want %v (%v)", s, got, want, err)
		}
		if back := tok.Decode(got); back != s {
			t.Errorf("%q comes back as %q", s, back)
		}
	}
}

// TestPieces checks the pieces against those of GPT-2's expression.
func TestPieces(t *testing.T) {
	for s, want := range map[string]string{
		"Hello world":       "Hello| world",
		"it's we'll don't!": "it|'s| we|'ll| don|'t|!",
		"IT'S 'tis":         "IT|'|S| '|tis",
		"'ve":               "'ve",
		"a  b":              "a| | b",
		"a\n\nb":            "a|\n|\n|b",
		"a\n  b":            "a|\n | b",
		"a \n":              "a| \n",
		"x=12.5, y":         "x|=|12|.|5|,| y",
		" 3²½":              " 3²½",
		"été 日本":            "été| 日本",
		"a\u00a0\u2003b":    "a|\u00a0|\u2003|b",
		"e\u0301":           "e|\u0301",
		"\xff\xfea":         "\xff\xfe|a",
		"😀😀 :-)":            "😀😀| :-)",
		"   ":               "   ",
	} {
		var got []string
		for rest := s; len(rest) > 0; {
			n := pieceLen(rest)
			got = append(got, rest[:n])
			rest = rest[n:]
		}
		if g := strings.Join(got, "|"); g != want {
			t.Errorf("%q: %q, want %q", s, g, want)
		}
	}
}

// naiveMerges learns merges from the definition: it counts all pairs anew after every merge.
func naiveMerges(p Pieces, tokens int) []string {
	var merges []string
	id := map[string]int{}
	for i, b := range byteOrder {
		id[string([]byte{b})] = i
	}
	words := map[string][]string{}
	for text := range p {
		for _, b := range []byte(text) {
			words[text] = append(words[text], string([]byte{b}))
		}
	}
	for len(id) < tokens {
		counts := map[[2]string]int{}
		for text, w := range words {
			for i := 1; i < len(w); i++ {
				counts[[2]string{w[i-1], w[i]}] += p[text]
			}
		}
		var best [2]string
		most := 1
		for pair, n := range counts {
			if _, ok := id[pair[0]+pair[1]]; ok || n < most || n < 2 {
				continue
			}
			earlier := id[pair[0]] < id[best[0]] || pair[0] == best[0] && id[pair[1]] < id[best[1]]
			if n > most || earlier {
				best, most = pair, n
			}
		}
		if most < 2 {
			return merges
		}
		id[best[0]+best[1]] = len(id)
		merges = append(merges, visible(best[0])+" "+visible(best[1]))
		for text, w := range words {
			for i := 0; i+1 < len(w); i++ {
				if w[i] == best[0] && w[i+1] == best[1] {
					w = slices.Replace(w, i, i+2, best[0]+best[1])
				}
			}
			words[text] = w
		}
	}
	return merges
}

func TestMerges(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		var b strings.Builder
		for range 300 {
			b.WriteString([]string{"a", "b", "ab", "c", " ", " the", "é", "aa", "\n"}[r.IntN(9)])
		}
		p := Pieces{}
		p.Add(b.String())
		size := 256 + r.IntN(60)
		got, want := p.Merges(size, 0), naiveMerges(p, size)
		if !slices.Equal(got, want) {
			t.Fatalf("%q:\n%q, want\n%q", b.String(), got, want)
		}
		tok := BPE(strings.Join(got, "\n"))
		if tok.Vocab() != 256+len(got) {
			t.Errorf("%d tokens of %d merges", tok.Vocab(), len(got))
		}
		tokens, err := tok.Encode(b.String())
		if err != nil || tok.Decode(tokens) != b.String() {
			t.Errorf("%q comes back as %q (%v)", b.String(), tok.Decode(tokens), err)
		}
	}
	// The dictionary of Sennrich et al. 2016, figure 1, here without an end of words.
	p := Pieces{"low": 5, "lower": 2, "newest": 6, "widest": 3}
	if got := p.Merges(260, 0); !slices.Equal(got, []string{"e s", "es t", "l o", "lo w"}) {
		t.Errorf("the merges are %q", got)
	}
	if got := p.Merges(1000, 7); len(got) != 4 {
		t.Errorf("%d merges of pairs that occur 7 times: %q", len(got), got)
	}
}

func TestBPEPanics(t *testing.T) {
	for _, merges := range []string{"ab", "a bc", "a b\na b", "a b\nb c\nab c\na bc\na bc", "a  b", "a \x01",
		"\u3042 a", "a b\n# c d"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("no panic for %q", merges)
				}
			}()
			BPE(merges)
		}()
	}
	tok := BPE("")
	if tok.Vocab() != 256 || tok.Digest() == BPE(gpt2).Digest() {
		t.Errorf("%d tokens, digest %s", tok.Vocab(), tok.Digest())
	}
}

func TestWords(t *testing.T) {
	p := Pieces{}
	p.Add("the cat and the dog and the end\n")
	words := p.Words(4, 1)
	if want := []string{" and", " the", "\n", " cat"}; !slices.Equal(words, want) {
		t.Fatalf("%q, want %q", words, want)
	}
	if got := p.Words(10, 2); len(got) != 2 {
		t.Errorf("%q", got)
	}
	list := "# words\n"
	for _, w := range words {
		list += fmt.Sprintf("%q\n", w)
	}
	tok := Words(list)
	tokens, err := tok.Encode(" the cat and a dog\n")
	if want := []int32{1, 3, 0, 4, 4, 2}; err != nil || !slices.Equal(tokens, want) || tok.Vocab() != 5 {
		t.Errorf("%v, want %v of %d (%v)", tokens, want, tok.Vocab(), err)
	}
	if got := tok.Decode(tokens); got != " the cat and <unk> <unk>\n" {
		t.Errorf("%q", got)
	}
	if tok.Digest() == Words("\"a\"").Digest() {
		t.Error("the digests of two lists are equal")
	}
	for _, list := range []string{"the", `"a" "b"`, `""`, "\"a\"\n\"a\""} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("no panic for %q", list)
				}
			}()
			Words(list)
		}()
	}
}

// FuzzBPE checks that every text comes back from its tokens, and that no merge that is possible was left out.
func FuzzBPE(f *testing.F) {
	tok := BPE(gpt2).(*pairTokens)
	for _, s := range []string{"", "in the rain", "  a\n\n b'll \xff", "the the\u00a0", strings.Repeat("in", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tokens, err := tok.Encode(s)
		if err != nil || tok.Decode(tokens) != s {
			t.Fatalf("%q comes back as %q (%v)", s, tok.Decode(tokens), err)
		}
		for rest := s; len(rest) > 0; {
			n := pieceLen(rest)
			if n < 1 || n > len(rest) {
				t.Fatalf("a piece of %d bytes of %q", n, rest)
			}
			part := tok.merge(nil, rest[:n])
			for i := 1; i < len(part); i++ {
				if _, _, ok := tok.merges.Find(part[i-1], part[i]); ok {
					t.Errorf("%q: tokens %d and %d could be merged", rest[:n], part[i-1], part[i])
				}
			}
			rest = rest[n:]
		}
	})
}

func BenchmarkBPEEncode(b *testing.B) {
	tok := BPE(gpt2)
	s := strings.Repeat("in the rain there is a train\n", 1000)
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		if _, err := tok.Encode(s); err != nil {
			b.Fatal(err)
		}
	}
}

// TestBPEDigest: the same tokens, made in other ways, are another tokenizer.
func TestBPEDigest(t *testing.T) {
	a, b := BPE("a b\nb c\nab c\n"), BPE("a b\nb c\na bc\n")
	if a.Vocab() != b.Vocab() || a.Piece(258) != b.Piece(258) {
		t.Fatal("the tokens are not the same")
	}
	if a.Digest() == b.Digest() {
		t.Error("the digest does not say how tokens are made")
	}
	if a.Digest() != BPE("#version: 0.2\na b\nb c\nab c").Digest() {
		t.Error("the digest depends on a comment")
	}
}

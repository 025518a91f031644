package text

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestBytes(t *testing.T) {
	tok := Bytes()
	s := "a\n\xffé"
	tokens, err := tok.Encode(s)
	if err != nil || fmt.Sprint(tokens) != "[97 10 255 195 169]" {
		t.Errorf("tokens %v, error %v", tokens, err)
	}
	if got := tok.Decode(tokens); got != s {
		t.Errorf("decoded to %q, want %q", got, s)
	}
	if tok.Vocab() != 256 || tok.Piece(195) != "\xc3" {
		t.Errorf("vocabulary %d, piece %q", tok.Vocab(), tok.Piece(195))
	}
}

func TestASCII(t *testing.T) {
	tok := ASCII()
	if tok.Vocab() != 96 {
		t.Fatalf("%d tokens, want 96", tok.Vocab())
	}
	var all strings.Builder
	all.WriteByte('\n')
	for c := 32; c <= 126; c++ {
		all.WriteByte(byte(c))
	}
	tokens, err := tok.Encode(all.String())
	if err != nil {
		t.Fatal(err)
	}
	for i, token := range tokens {
		if int(token) != i {
			t.Errorf("character %q is token %d, want %d", all.String()[i], token, i)
		}
	}
	if got := tok.Decode(tokens); got != all.String() {
		t.Errorf("decoded to %q", got)
	}
}

func TestChars(t *testing.T) {
	tok := Chars("\naé世")
	tokens, err := tok.Encode("世é\na")
	if err != nil || !slices.Equal(tokens, []int32{3, 2, 0, 1}) {
		t.Errorf("tokens %v, error %v", tokens, err)
	}
	if got := tok.Decode(tokens); got != "世é\na" {
		t.Errorf("decoded to %q", got)
	}
}

func TestUnknown(t *testing.T) {
	for _, c := range []struct {
		tok  Tokenizer
		in   string
		want string
	}{
		{ASCII(Unknown('?')), "né\t\xff", "n???"},
		{Chars("ab□", Unknown('□')), "axb\xffb", "a□b□b"},
		{Chars("a\ufffd", Unknown('a')), "\xff\ufffd", "a\ufffd"}, // U+FFFD itself is a character, a broken byte is not
	} {
		tokens, err := c.tok.Encode(c.in)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := c.tok.Decode(tokens); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.in, got, c.want)
		}
	}
}

func TestEncodeError(t *testing.T) {
	for _, c := range []struct {
		tok  Tokenizer
		in   string
		want string
	}{
		{ASCII(), "ab\nc\tx",
			`line 2, column 2 (byte 4): the character "\t" (U+0009) is not in the vocabulary; give the tokenizer a character for unknown ones`},
		{ASCII(), "é", `line 1, column 1 (byte 0): the character "é" (U+00E9) is not in the vocabulary; `},
		{Chars("é\n"), "éé\néx",
			`line 2, column 2 (byte 7): the character "x" (U+0078) is not in the vocabulary; add it to the vocabulary file`},
		{Chars("é\n\ufffd"), "é\xc3",
			`line 1, column 2 (byte 2): "\xc3" is not valid UTF-8; convert the text to UTF-8, or use the tokenizer bytes`},
	} {
		tokens, err := c.tok.Encode(c.in)
		if err == nil || tokens != nil || !strings.HasPrefix(err.Error(), c.want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: tokens %v, error %v, want one line that begins %s", c.in, tokens, err, c.want)
		}
		var e *EncodeError
		if !errors.As(err, &e) {
			t.Errorf("the error is a %T", err)
		}
	}
}

func panics(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), want) {
			t.Errorf("the panic is %v, want one with %q", r, want)
		}
	}()
	f()
}

func TestMistakes(t *testing.T) {
	panics(t, "no characters", func() { Chars("") })
	panics(t, "'a' is twice", func() { Chars("aba") })
	panics(t, "byte 1 of the vocabulary is not valid UTF-8", func() { Chars("a\xff") })
	panics(t, "'x' for unknown ones is not in the vocabulary", func() { Chars("a", Unknown('x')) })
	panics(t, "token 96 is not one of 0 to 95", func() { ASCII().Piece(96) })
	panics(t, "token -1 is not one of 0 to 255", func() { Bytes().Decode([]int32{-1}) })
}

func TestDigest(t *testing.T) {
	seen := map[string]int{}
	for i, tok := range []Tokenizer{Bytes(), ASCII(), ASCII(Unknown('?')), Chars("ab"), Chars("ba"),
		Chars("ab", Unknown('a'))} {
		if j, ok := seen[tok.Digest()]; ok {
			t.Errorf("tokenizers %d and %d have the same digest", i, j)
		}
		seen[tok.Digest()] = i
	}
	if one, two := ASCII(), ASCII(); one.Digest() != two.Digest() {
		t.Error("a digest changes")
	}
}

// Every way to cut text into tokens comes out of a stream as the same text, and every part is whole characters.
func TestStream(t *testing.T) {
	for _, s := range []string{"", "plain", "é世🙂", "a🙂b\nc", strings.Repeat("世", 50)} {
		tokens, _ := Bytes().Encode(s)
		stream, got := NewStream(Bytes()), ""
		for _, token := range tokens {
			part := stream.Next(token)
			if !utf8.ValidString(part) {
				t.Errorf("%q: the part %q is not valid", s, part)
			}
			got += part
		}
		if got += stream.Flush(); got != s {
			t.Errorf("%q comes out as %q", s, got)
		}
	}
}

func TestStreamOfBrokenText(t *testing.T) {
	for in, want := range map[string]string{
		"a\xffb":             "a\ufffdb",
		"\xe4\xb8":           "\ufffd", // ends within a character
		"\xe4b":              "\ufffdb",
		"\xf0\x9f\x99x":      "\ufffdx",
		"\x80\x80\x80\x80ok": "\ufffd\ufffd\ufffd\ufffdok",
	} {
		stream, got := NewStream(Bytes()), ""
		for i := range len(in) {
			got += stream.Next(int32(in[i]))
		}
		if got += stream.Flush(); got != want {
			t.Errorf("%q comes out as %q, want %q", in, got, want)
		}
	}
}

func TestStreamAllocatesNothing(t *testing.T) {
	stream := NewStream(ASCII())
	if n := testing.AllocsPerRun(100, func() { stream.Next(5) }); n != 0 {
		t.Errorf("a token allocates %v times", n)
	}
}

func FuzzStream(f *testing.F) {
	f.Add("a🙂\xff\xc3世")
	f.Fuzz(func(t *testing.T, s string) {
		tokens, err := Bytes().Encode(s)
		if err != nil || Bytes().Decode(tokens) != s {
			t.Fatalf("bytes do not come back: %v", err)
		}
		stream, got := NewStream(Bytes()), ""
		for _, token := range tokens {
			got += stream.Next(token)
		}
		got += stream.Flush()
		if !utf8.ValidString(got) {
			t.Fatalf("%q comes out as %q", s, got)
		}
		if utf8.ValidString(s) && got != s {
			t.Fatalf("%q comes out as %q", s, got)
		}
		if tokens, err := ASCII(Unknown('?')).Encode(s); err != nil ||
			len(tokens) != utf8.RuneCountInString(strings.ReplaceAll(s, "\r\n", "\n")) {
			t.Fatalf("%q has %d tokens, %v", s, len(tokens), err)
		}
		if _, err := ASCII().Encode(s); err != nil {
			var e *EncodeError
			if !errors.As(err, &e) || e.Offset >= len(s) || e.Line != 1+strings.Count(s[:e.Offset], "\n") ||
				strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q: %v", s, err)
			}
		}
	})
}

// TestLineBreaks: where a vocabulary has no \r, a text reads the same whether its lines end in \n or in \r\n, alone and
// in a corpus, which is read in parts; where it has one, or takes any bytes, the text comes back as it was.
func TestLineBreaks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < 300_000 {
		b.WriteString([]string{"a", "bb", "\n", "\n\n", " ", "é"}[r.IntN(6)])
	}
	unix := b.String()
	windows := strings.ReplaceAll(unix, "\n", "\r\n")
	for name, tok := range map[string]Tokenizer{
		"chars": Chars("ab é\n"), "unknown": Chars("ab\n?", Unknown('?')), "ascii": ASCII(Unknown('?')),
		"words": Words("\"\\n\"\n\" a\"\n\"bb\"\n"),
	} {
		want, err := tok.Encode(unix)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tok.Encode(windows); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: other tokens, %v", name, err)
		}
		c, err := NewCorpus(tok, Options{}, Source{"x", windows})
		if err != nil {
			t.Fatal(err)
		}
		if n := c.Train.Tokens(); n != len(want) {
			t.Errorf("%s: a corpus of %d tokens, want %d", name, n, len(want))
		}
	}
	for name, tok := range map[string]Tokenizer{
		"chars": Chars("ab é\n\r"), "or bytes": Chars("ab\n", OrBytes()), "bytes": Bytes(),
		"words": WordsOrBytes("\"\\n\"\n\" a\"\n"),
	} {
		tokens, err := tok.Encode(windows)
		if err != nil || tok.Decode(tokens) != windows {
			t.Errorf("%s: another text, %v", name, err)
		}
		if c, err := NewCorpus(tok, Options{}, Source{"x", windows}); err != nil || c.Train.Tokens() != len(tokens) {
			t.Errorf("%s: a corpus of other tokens, %v", name, err)
		}
	}
	if _, err := Chars("ab\n").Encode("a\rb"); err == nil {
		t.Error("a \\r that ends no line is left out")
	}
}

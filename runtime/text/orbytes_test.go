package text

import "testing"

// TestOrBytes: with bytes in place of what is unknown any text comes back as it was.
func TestOrBytes(t *testing.T) {
	for name, tok := range map[string]Tokenizer{
		"chars": Chars("abé", OrBytes()), "ascii": ASCII(OrBytes()), "words": WordsOrBytes("\"a\"\n\" b\"\n"),
	} {
		for _, s := range []string{"", "ab", "aé ü\t", "שלום e\u0301", "\xff\x80 a b", "\uFFFD"} {
			tokens, err := tok.Encode(s)
			if err != nil {
				t.Errorf("%s: %q: %v", name, s, err)
				continue
			}
			if got := tok.Decode(tokens); got != s {
				t.Errorf("%s: %q came back as %q", name, s, got)
			}
		}
		if tok.Piece(int32(tok.Vocab()-1)) != "\xff" {
			t.Errorf("%s: the last token is not the last byte", name)
		}
	}
	if Chars("ab", OrBytes()).Digest() == Chars("ab").Digest() ||
		WordsOrBytes("\"a\"\n").Digest() == Words("\"a\"\n").Digest() {
		t.Error("bytes leave the digest as it is")
	}
}

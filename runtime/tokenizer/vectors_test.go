package tokenizer_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/tokenizer"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/train"
)

var update = flag.Bool("update", false, "write testdata/*.json and the library's answers, testdata/*.jsonl, anew; "+
	"needs TOKENIZER_FILES and node")

// vectors are texts in which something goes wrong easily.
var vectors = []string{
	"", "a", " a", "a ", "  two  spaces  ", "line\nbreak\r\nand\r", "\t\ttabs", "Hello, world!",
	"It's we'll I'VE don’t x'ſ", "1234567890 3.14159 1,000,000",
	"naïve café résumé", "e\u0301 vs é", "Größe STRASSE straße", "Привет, мир", "你好,世界", "日本語のテキスト", "한국어 문장",
	"שלום עולם", "مرحبا بالعالم", "हिन्दी में",
	"👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪", "\u200b zero\u200bwidth", "\ufeffbom", "nbsp\u00a0here", "İstanbul ǅungla ﬁ ² ｗｉｄｅ",
	"<s> </s> <unk> <|endoftext|> [MASK] <0x41>", "▁a▁▁b",
	"x[i] += 1.5e-3 * y[i]", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\x00\x01\x7f", "ภาษาไทย",
	"a\u0300\u0316\u0301b", "\n\n\n   \n x", "ÀÉÎ Åå", "HTTPServer camelCase snake_case",
	strings.Repeat("the text ", 40),
}

// trained learns a small vocabulary of a style from the sample.
func trained(t *testing.T, style train.Style, size int) *tokenizer.Tokenizer {
	sample, err := os.ReadFile("testdata/sample.txt")
	if err != nil {
		t.Fatal(err)
	}
	l, err := train.New(train.Options{Style: style, Size: size, Coverage: 0.99})
	if err != nil {
		t.Fatal(err)
	}
	l.Add(string(sample))
	tok, err := l.Learn(1)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

var sizes = map[train.Style]int{train.GPT2: 400, train.Llama3: 400, train.Qwen: 400, train.Llama2: 600, train.T5: 600,
	train.BERT: 400}

// TestVectors compares small tokenizers of every style with what the Hugging Face library made of their files, and
// what is learnt today with the files.
func TestVectors(t *testing.T) {
	for _, style := range train.Styles {
		t.Run(string(style), func(t *testing.T) {
			path := filepath.Join("testdata", string(style)+".json")
			learnt, err := trained(t, style, sizes[style]).JSON()
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(path, learnt, 0o666); err != nil {
					t.Fatal(err)
				}
				node, err := exec.LookPath("node")
				if err != nil {
					t.Fatal(err)
				}
				var b bytes.Buffer
				for _, a := range library(t, node, files(t), path, vectors) {
					line, err := json.Marshal(a)
					if err != nil {
						t.Fatal(err)
					}
					b.Write(append(line, '\n'))
				}
				if err := os.WriteFile(path+"l", b.Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(file, learnt) {
				t.Errorf("%s is not what is learnt from testdata/sample.txt", path)
			}
			tok := load(t, path)
			want, err := os.Open(path + "l")
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			var answers []answer
			for lines := bufio.NewScanner(want); lines.Scan(); {
				var a answer
				if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
					t.Fatal(err)
				}
				answers = append(answers, a)
			}
			if len(answers) != len(vectors) {
				t.Fatalf("%d answers to %d texts", len(answers), len(vectors))
			}
			compare(t, tok, vectors, answers)

			again, err := tok.JSON()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again, file) {
				t.Errorf("%s is written with other bytes than it was read from", path)
			}
			if other := load(t, path); other.Digest() != tok.Digest() {
				t.Errorf("the same file has two digests")
			}
		})
	}
}

// TestRoundTrip: tokenizers over bytes give every text back, whatever its bytes; those with byte fallback too, but for
// what they normalize.
func TestRoundTrip(t *testing.T) {
	for _, style := range []train.Style{train.GPT2, train.Llama3, train.Llama2} {
		tok := load(t, filepath.Join("testdata", string(style)+".json"))
		for _, s := range append(slices.Clone(vectors), "\xff\xfe", "a\x80b", "\xe2\x82", "\xf0\x9f\x98 x") {
			tokens, err := tok.Encode(s)
			if err != nil {
				t.Errorf("%s: %q: %v", style, s, err)
				continue
			}
			if got := tok.Decode(tokens); got != s && !strings.Contains(s, "▁") {
				t.Errorf("%s: %q came back as %q", style, s, got)
			}
			var pieces strings.Builder
			for _, x := range tokens {
				pieces.WriteString(tok.Piece(x))
			}
			if got := pieces.String(); got != s && got != " "+s && !strings.Contains(s, "▁") {
				t.Errorf("%s: the pieces of %q are %q", style, s, got)
			}
		}
	}
}

// TestSpecial: a text never becomes a special token unless that is asked for.
func TestSpecial(t *testing.T) {
	for _, style := range train.Styles {
		tok := load(t, filepath.Join("testdata", string(style)+".json"))
		for _, a := range tok.Added() {
			s := "x" + a.Content + "y " + a.Content
			tokens, err := tok.Encode(s)
			if err != nil {
				t.Fatal(err)
			}
			// The token for what is unknown may stand for unknown characters, not for its name.
			if slices.Contains(tokens, a.ID) && !strings.Contains(strings.ToLower(a.Content), "unk") {
				t.Errorf("%s: %q has the special token %q", style, s, a.Content)
			}
			tokens, err = tok.EncodeWith(s, tokenizer.Options{Special: true})
			if err != nil {
				t.Fatal(err)
			}
			if n := count(tokens, a.ID); n != 2 {
				t.Errorf("%s: %q has the special token %q %d times when asked for, want 2", style, s, a.Content, n)
			}
			if got := tok.Decode([]int32{a.ID}); strings.TrimSpace(got) != "" {
				t.Errorf("%s: %q decodes to %q", style, a.Content, got)
			}
		}
	}
}

func count(tokens []int32, x int32) int {
	n := 0
	for _, t := range tokens {
		if t == x {
			n++
		}
	}
	return n
}

// TestTemplate puts the tokens of BERT around texts and pairs.
func TestTemplate(t *testing.T) {
	tok := load(t, "testdata/bert.json")
	cls, _ := tok.Token("[CLS]")
	sep, _ := tok.Token("[SEP]")
	a, _ := tok.Encode("the text")
	b, _ := tok.Encode("is read")
	single, err := tok.EncodeWith("the text", tokenizer.Options{Template: true})
	if want := slices.Concat([]int32{cls}, a, []int32{sep}); err != nil || !slices.Equal(single, want) {
		t.Errorf("one text: %v %v, want %v", single, err, want)
	}
	pair, err := tok.EncodePair("the text", "is read", tokenizer.Options{})
	if want := slices.Concat([]int32{cls}, a, []int32{sep}, b, []int32{sep}); err != nil || !slices.Equal(pair, want) {
		t.Errorf("a pair: %v %v, want %v", pair, err, want)
	}
	if _, err := load(t, "testdata/gpt2.json").EncodePair("a", "b", tokenizer.Options{}); err == nil {
		t.Error("a pair without a template is no error")
	}
}

package tokenizer_test

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/gradsmith/gradsmith/runtime/tokenizer"
	_ "github.com/gradsmith/gradsmith/runtime/tokenizer/lookahead"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/sentencepiece"
)

// kinds of random texts. All characters are assigned ones of Unicode 8: what a later version assigns is a letter to one
// library and nothing to another. The library's categories of BERT are of that version.
var kinds = []struct {
	name string
	make func(r *rand.Rand) string
}{
	{"any characters", func(r *rand.Rand) string { return several(r, 24, assigned) }},
	{"scripts", func(r *rand.Rand) string {
		var b strings.Builder
		for range r.IntN(8) {
			s := scripts[r.IntN(len(scripts))]
			for range 1 + r.IntN(9) {
				b.WriteRune(s[0] + r.Int32N(s[1]-s[0]+1))
			}
			b.WriteString(pick(r, " ", "", "  ", ", ", "\n"))
		}
		return b.String()
	}},
	{"ASCII", func(r *rand.Rand) string {
		return several(r, 60, func(r *rand.Rand) rune { return ' ' + r.Int32N('~'-' '+1) })
	}},
	{"white space", func(r *rand.Rand) string {
		var b strings.Builder
		for range r.IntN(20) {
			b.WriteString(pick(r, " ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u2003", "\u3000", "\u0085", "\u200b", "a",
				"B", "7", ".", "/"))
		}
		return b.String()
	}},
	{"words", func(r *rand.Rand) string {
		var b strings.Builder
		for range r.IntN(12) {
			b.WriteString(pick(r, "the", " The", " don't", "we'LL", " I'm", "they'd", "x'ſ", " HTTPServer", "camelCase",
				"naïve", " Straße", "ǅungla", "İstanbul", "ﬁ", "ｗｉｄｅ", "²", " 1234567", "3.14", "½", "e\u0301",
				"\u0301", " <s>", "</s>", "<|endoftext|>", "[MASK]", "<unk>", "▁", "▁▁▁▁", "<0x41>", "\t", "\n\n", "，",
				"你好", "한국어", "हिन्दी", "👩‍👩‍👧‍👦", "🇩🇪", "#", "##ing", " 's", "'"))
		}
		return b.String()
	}},
	{"runs", func(r *rand.Rand) string {
		var b strings.Builder
		for range 1 + r.IntN(4) {
			b.WriteString(strings.Repeat(pick(r, "a", "ab", " ", "\n", "0", "é", "語", "-=", "\u0300", "▁", "Ab"),
				1+r.IntN(200)))
		}
		return b.String()
	}},
}

var scripts = [][2]rune{{'a', 'z'}, {'A', 'Z'}, {'à', 'ÿ'}, {'α', 'ω'}, {'а', 'я'}, {'א', 'ת'}, {'ا', 'ي'}, {'अ', 'ह'},
	{'ก', 'ฮ'}, {'가', '힣'}, {'一', '鿕'}, {'ぁ', 'ゖ'}, {'ァ', 'ヺ'}, {'0', '9'}, {0x300, 0x36F}, {0x1F600, 0x1F64F},
	{0x1D400, 0x1D433}, {'Ａ', 'Ｚ'}, {0x2100, 0x2189}, {'!', '/'}}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

func several(r *rand.Rand, most int, char func(*rand.Rand) rune) string {
	var b strings.Builder
	for range r.IntN(most) {
		b.WriteRune(char(r))
	}
	return b.String()
}

// old has the characters of Unicode 8 beyond ASCII: Perl's \p{Present_In: 8.0}, without private ones.
//
//go:embed testdata/unicode8.txt
var old string

var ranges = sync.OnceValue(func() [][2]rune {
	var list [][2]rune
	for _, f := range strings.Fields(old) {
		from, to, _ := strings.Cut(f, "-")
		a, _ := strconv.ParseInt(from, 16, 32)
		b, _ := strconv.ParseInt(to, 16, 32)
		list = append(list, [2]rune{rune(a), rune(b)})
	}
	return list
})

func assigned(r *rand.Rand) rune {
	if r.IntN(8) == 0 {
		return r.Int32N(0x80)
	}
	list := ranges()
	if r.IntN(2) == 0 {
		list = list[:len(list)/3]
	}
	c := list[r.IntN(len(list))]
	if x := c[0] + r.Int32N(c[1]-c[0]+1); x != moved {
		return x
	}
	return ' '
}

// moved is a mark that BERT drops to the library, whose table is that of Unicode 8, and a spacing mark since Unicode
// 14.
const moved = '\u1734'

// TestAgainstLibrary compares tokens, and the text that they decode to, with those of the Hugging Face library.
func TestAgainstLibrary(t *testing.T) {
	dir := files(t)
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node")
	}
	each := 10000
	if testing.Short() {
		each = 500
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	for _, path := range names {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		if strings.HasPrefix(name, "package") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			tok := load(t, path)
			for i, k := range kinds {
				t.Run(k.name, func(t *testing.T) {
					r := rand.New(rand.NewPCG(7, uint64(i)))
					texts := make([]string, each)
					for i := range texts {
						texts[i] = k.make(r)
					}
					compare(t, tok, texts, library(t, node, dir, path, texts))
				})
			}
		})
	}
}

// answer is what the library says of a text.
type answer struct {
	IDs  []int32
	Text string
}

// library asks the Hugging Face library.
func library(t *testing.T, node, dir, path string, texts []string) []answer {
	script, err := filepath.Abs("testdata/encode.js")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, script, path)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
	return ask(t, cmd, texts)
}

// TestAgainstSentencePiece compares the tokens of model files, as they are and written again, with those of their
// library.
func TestAgainstSentencePiece(t *testing.T) {
	dir := files(t)
	python := ""
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import sentencepiece").Run() == nil {
			python = name
		}
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*.model"))
	if python == "" || len(names) == 0 {
		t.Skip("there is no Python with sentencepiece, or no model")
	}
	each := 10000
	if testing.Short() {
		each = 500
	}
	for _, path := range names {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			tok, err := sentencepiece.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			m, err := tok.SentencePiece()
			if err != nil {
				t.Fatal(err)
			}
			written, err := sentencepiece.Format(m)
			if err != nil {
				t.Fatal(err)
			}
			again := filepath.Join(t.TempDir(), "again.model")
			if err := os.WriteFile(again, written, 0o666); err != nil {
				t.Fatal(err)
			}
			for i, k := range kinds {
				t.Run(k.name, func(t *testing.T) {
					r := rand.New(rand.NewPCG(8, uint64(i)))
					texts := make([]string, each)
					for i := range texts {
						texts[i] = k.make(r)
					}
					for _, model := range []string{path, again} {
						answers := ask(t, exec.Command(python, "testdata/encode.py", model), texts)
						wrong := 0
						for i, s := range texts {
							got, err := tok.Encode(s)
							if err != nil || !slices.Equal(got, answers[i].IDs) {
								if wrong++; wrong <= 3 {
									t.Errorf("%q:\n got %v %v\nwant %v", s, got, err, answers[i].IDs)
								}
							}
						}
						if wrong > 0 {
							t.Errorf("%d of %d texts have other tokens", wrong, len(texts))
						}
					}
				})
			}
		})
	}
}

// ask gives texts to a command and reads its answers.
func ask(t *testing.T, cmd *exec.Cmd, texts []string) []answer {
	var in bytes.Buffer
	for _, s := range texts {
		line, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answers []answer
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var a answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if len(answers) != len(texts) {
		t.Fatalf("the library answered %d of %d texts", len(answers), len(texts))
	}
	return answers
}

func compare(t *testing.T, tok *tokenizer.Tokenizer, texts []string, answers []answer) {
	wrong, other := 0, 0
	for i, s := range texts {
		got, err := tok.EncodeWith(s, tokenizer.Options{Special: true})
		if err != nil || !slices.Equal(got, answers[i].IDs) {
			if wrong++; wrong <= 3 {
				t.Errorf("%q:\n got %v %v\nwant %v", s, got, err, answers[i].IDs)
			}
			continue
		}
		// The library puts U+FFFD for bytes that are not UTF-8.
		if text := tok.DecodeAll(got); utf8.ValidString(text) && text != answers[i].Text {
			if other++; other <= 3 {
				t.Errorf("%q: decoded to %q, want %q", s, text, answers[i].Text)
			}
		}
	}
	if wrong+other > 0 {
		t.Errorf("%d of %d texts have other tokens, %d decode to another text", wrong, len(texts), other)
	}
}

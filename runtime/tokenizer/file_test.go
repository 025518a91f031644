package tokenizer_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/gradsmith/gradsmith/runtime/cputime"
	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/tokenizer"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/sentencepiece"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/tiktoken"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/train"
)

// file is a tokenizer.json with some parts in place of those of a small one.
func file(parts map[string]string) string {
	all := map[string]string{"version": `"1.0"`, "added_tokens": "[]", "normalizer": "null", "pre_tokenizer": "null",
		"post_processor": "null", "decoder": "null",
		"model": `{"type":"WordLevel","vocab":{"a":0,"[UNK]":1},"unk_token":"[UNK]"}`}
	for k, v := range parts {
		all[k] = v
	}
	var b strings.Builder
	for k, v := range all {
		fmt.Fprintf(&b, ",%q:%s", k, v)
	}
	return "{" + b.String()[1:] + "}"
}

// TestErrors: what is not supported is named, with its place.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		part, value, want string
	}{
		{"version", `"2.0"`, `version: expected 1.0, found "2.0"`},
		{"extra", `1`, `unknown field "extra"`},
		{"normalizer", `{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Unidecode"}]}`,
			"normalizer.normalizers[1]: the normalizer Unidecode is not supported"},
		{"normalizer", `{"type":"BertNormalizer","lowercase":true,"odd":1}`, `normalizer: json: unknown field "odd"`},
		{"normalizer", `{"type":"Precompiled","precompiled_charsmap":"/////w=="}`, "precompiled_charsmap: its trie"},
		{"pre_tokenizer", `{"type":"UnicodeScripts"}`,
			"the pre-tokenizer UnicodeScripts is not supported; supported are"},
		{"pre_tokenizer", `{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated","invert":false}`,
			`pre_tokenizer: pattern:`},
		{"pre_tokenizer", `{"type":"Split","pattern":{"String":"a"},"behavior":"Odd","invert":false}`,
			`behavior: expected Removed`},
		{"decoder", `{"type":"CTC"}`, "the decoder CTC is not supported"},
		{"post_processor",
			`{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[X]","type_id":0}}],"pair":[],"special_tokens":{}}`, `post_processor.single[0]: the token "[X]" is not one of special_tokens`},
		{"model", `{"type":"Neural"}`, "the model Neural is not supported; supported are BPE, Unigram, WordLevel, " +
			"WordPiece"},
		{"model", `{"type":"BPE","vocab":{"a":0},"merges":["a b"]}`,
			`model.merges[0]: the token "b" is not in the vocabulary`},
		{"model", `{"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.1}`, "model.dropout"},
		{"model", `{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}`,
			`model.vocab: "a" and "b" have the same number 0`},
		{"model", `{"type":"BPE","vocab":{"a":99999999},"merges":[]}`, "the number 99999999"},
		{"model", `{"type":"WordPiece","vocab":{"a":0}}`, `model.unk_token: "[UNK]" is not in the vocabulary`},
		{"model", `{"type":"Unigram","vocab":[["a",0]],"unk_id":5}`, "model.unk_id: 5 is not one of the 1 tokens"},
		{"added_tokens", `[{"id":0,"content":"b"}]`, `added_tokens[0]: id: 0 is the token "a" already`},
		{"added_tokens", `[{"id":-1,"content":"b"}]`, "added_tokens[0]: id: expected 0 to"},
	} {
		_, err := tokenizer.Parse([]byte(file(map[string]string{c.part: c.value})))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.part, c.value, err, c.want)
		}
	}
	for _, s := range []string{"", "null", "[]", "{}", "{} {}", `{"version":"1.0"}`} {
		if _, err := tokenizer.Parse([]byte(s)); err == nil {
			t.Errorf("%q is no error", s)
		}
	}
}

// TestForms writes tokenizers in the other forms and reads them back: the tokens stay the same.
func TestForms(t *testing.T) {
	gpt2 := load(t, "testdata/gpt2.json")
	data, err := tiktoken.Format(gpt2)
	if err != nil {
		t.Fatal(err)
	}
	e, err := tiktoken.Named("gpt2")
	if err != nil {
		t.Fatal(err)
	}
	e.Special = map[string]int32{"<|endoftext|>": int32(gpt2.Vocab() - 1)}
	again, err := e.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	same(t, gpt2, again)
	if _, err := tiktoken.Parse(data); err == nil || !strings.Contains(err.Error(), "name the encoding") {
		t.Errorf("a file of no published size: %v", err)
	}

	for _, name := range []string{"llama2", "llama2 trained"} {
		tok := load(t, "testdata/llama2.json")
		if name != "llama2" {
			tok = trained(t, train.Llama2, sizes[train.Llama2])
		}
		m, err := tok.SentencePiece()
		if err != nil {
			t.Fatal(err)
		}
		data, err := sentencepiece.Format(m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := sentencepiece.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		same(t, tok, again)
	}
	for _, name := range []string{"gpt2", "bert", "t5"} {
		if _, err := load(t, "testdata/"+name+".json").SentencePiece(); err == nil {
			t.Errorf("%s as a SentencePiece model is no error", name)
		}
	}
	for _, name := range []string{"bert", "t5", "llama2", "qwen"} {
		if _, err := tiktoken.Format(load(t, "testdata/"+name+".json")); err == nil {
			t.Errorf("%s as a tiktoken file is no error", name)
		}
	}
}

func same(t *testing.T, a, b *tokenizer.Tokenizer) {
	t.Helper()
	if a.Vocab() != b.Vocab() {
		t.Errorf("%d tokens became %d", a.Vocab(), b.Vocab())
	}
	for _, s := range vectors {
		x, errX := a.Encode(s)
		y, errY := b.Encode(s)
		if fmt.Sprint(x, errX) != fmt.Sprint(y, errY) {
			t.Errorf("%q: %v %v, and in the other form %v %v", s, x, errX, y, errY)
		}
		if a.Decode(x) != b.Decode(y) {
			t.Errorf("%q: decoded to %q, and in the other form to %q", s, a.Decode(x), b.Decode(y))
		}
	}
}

// TestBalance: a group that is seen little gets tokens of its own when groups are balanced.
func TestBalance(t *testing.T) {
	learn := func(temperature float64) *tokenizer.Tokenizer {
		l, err := train.New(train.Options{Style: train.GPT2, Size: 330})
		if err != nil {
			t.Fatal(err)
		}
		l.Add(strings.Repeat("the quick brown fox jumps over the lazy dog and reads many other words besides them\n",
			200))
		l.Group()
		l.Add(strings.Repeat("быстрая лиса\n", 3))
		tok, err := l.Learn(temperature)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	length := func(tok *tokenizer.Tokenizer) int {
		tokens, _ := tok.Encode("быстрая лиса")
		return len(tokens)
	}
	if plain, balanced := length(learn(1)), length(learn(5)); balanced >= plain {
		t.Errorf("%d tokens when balanced, %d when not", balanced, plain)
	}
	for _, shares := range [][]float64{data.Shares([]int{900, 100}, 1), data.Shares([]int{900, 100}, 1e9)} {
		if sum := shares[0] + shares[1]; sum < 0.999999 || sum > 1.000001 {
			t.Errorf("shares %v", shares)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, style := range train.Styles {
		data, err := os.ReadFile("testdata/" + string(style) + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "the text")
	}
	f.Fuzz(func(t *testing.T, data []byte, s string) {
		tok, err := tokenizer.Parse(data)
		if err != nil {
			return
		}
		tokens, err := tok.EncodeWith(s, tokenizer.Options{Special: true, Template: true})
		if err == nil {
			tok.DecodeAll(tokens)
			for _, x := range tokens {
				tok.Piece(x)
			}
		}
	})
}

func FuzzSentencePiece(f *testing.F) {
	m, err := load(f, "testdata/llama2.json").SentencePiece()
	if err != nil {
		f.Fatal(err)
	}
	data, err := sentencepiece.Format(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, "the text")
	f.Fuzz(func(t *testing.T, data []byte, s string) {
		tok, err := sentencepiece.Parse(data)
		if err != nil {
			return
		}
		if tokens, err := tok.Encode(s); err == nil {
			tok.Decode(tokens)
		}
	})
}

func FuzzEncode(f *testing.F) {
	for _, s := range vectors {
		f.Add(s)
	}
	f.Add("\xff\xfe\x80")
	var toks []*tokenizer.Tokenizer
	for _, style := range train.Styles {
		toks = append(toks, load(f, "testdata/"+string(style)+".json"))
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, tok := range toks {
			tokens, err := tok.Encode(s)
			if err != nil {
				t.Fatal(err)
			}
			text := tok.Decode(tokens)
			if tok.Lossless() && text != s {
				t.Fatalf("%q came back as %q", s, text)
			}
		}
	})
}

// BenchmarkEncode encodes English, code, and Chinese names in a row, none of which repeats itself, and runs of a
// million bytes without a blank; in megabytes a second of processor time, and of that of the first time, when no word
// is known yet. With published files (see make tokenizers) it reads theirs.
func BenchmarkEncode(b *testing.B) {
	var names []string
	for _, style := range train.Styles {
		names = append(names, "testdata/"+string(style)+".json")
	}
	if dir := os.Getenv("TOKENIZER_FILES"); dir != "" {
		var err error
		if names, err = filepath.Glob(filepath.Join(dir, "*.json")); err != nil {
			b.Fatal(err)
		}
	}
	english, code := ofToolchain(b)
	r := rand.New(rand.NewPCG(1, 1))
	letters := make([]byte, 1e6)
	for i := range letters {
		letters[i] = byte('a' + r.IntN(26))
	}
	var chars strings.Builder
	for chars.Len() < 1e6 {
		chars.WriteRune('一' + r.Int32N('鿕'-'一'))
	}
	told := map[string]bool{} // with -count a text is read again
	for _, path := range names {
		var tok *tokenizer.Tokenizer
		for _, c := range []struct{ name, text string }{
			{"English", english},
			{"code", code},
			{"Chinese", chinese(r)},
			{"English without blanks", strings.Join(strings.Fields(english), "")},
			{"Chinese characters", chars.String()},
			{"letters", string(letters)},
			{"10,000 letters", string(letters[:10000])},
			{"one letter", strings.Repeat("a", 1e6)},
			{"abcde", strings.Repeat("abcde", 2e5)},
		} {
			b.Run(strings.TrimSuffix(filepath.Base(path), ".json")+"/"+c.name, func(b *testing.B) {
				if tok == nil {
					tok = load(b, path)
				}
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				encode := func() {
					if _, err := tok.Encode(c.text); err != nil {
						b.Fatal(err)
					}
				}
				rate := func(times int, spent time.Duration) float64 {
					return float64(times) * float64(len(c.text)) / 1e6 / spent.Seconds()
				}
				start := cputime.Thread()
				encode()
				first, times := cputime.Thread()-start, 0
				start = cputime.Thread()
				for b.Loop() {
					times++
					encode()
				}
				b.ReportMetric(rate(times, cputime.Thread()-start), "MB/s")
				if !told[path+c.name] {
					told[path+c.name] = true
					b.ReportMetric(rate(1, first), "first-MB/s")
				}
			})
		}
	}
}

// ofToolchain gives a book and some packages of the toolchain's source.
func ofToolchain(t testing.TB) (english, code string) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("there is no go command to tell where the toolchain's source is:", err)
	}
	src := filepath.Join(strings.TrimSpace(string(root)), "src")
	book, err := os.ReadFile(filepath.Join(src, "testdata", "Isaac.Newton-Opticks.txt"))
	if err != nil {
		t.Skip(err)
	}
	var all strings.Builder
	files, _ := filepath.Glob(filepath.Join(src, "net", "http", "*.go"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return string(book), all.String()
}

// chinese is a million bytes of sentences of the names that languages, scripts and regions have in Chinese.
func chinese(r *rand.Rand) string {
	var names []string
	for x := 'a'; x <= 'z'; x++ {
		for y := 'a'; y <= 'z'; y++ {
			code := string(x) + string(y)
			if tag, err := language.Parse(code); err == nil {
				names = append(names, display.Languages(language.Chinese).Name(tag))
			}
			if region, err := language.ParseRegion(code); err == nil {
				names = append(names, display.Regions(language.Chinese).Name(region))
			}
		}
	}
	var b strings.Builder
	for b.Len() < 1e6 {
		for range 1 + r.IntN(6) {
			b.WriteString(names[r.IntN(len(names))])
		}
		b.WriteString(pick(r, "，", "。", "、", "\n"))
	}
	return b.String()
}

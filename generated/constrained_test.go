package generated_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/cputime"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/tokenizer"
)

var constrained = flag.Int("constrained", 0,
	"write this many texts for each language with each model of TestConstrained, and print a table; 0: a few")

// language is what texts must be of, and a parser that tells it by other means than the constraint.
type language struct {
	name   string
	make   func() (*constrain.Language, error)
	parser func(text string) error
}

func expression(name, expr string) language {
	re := regexp.MustCompile(`\A(?:` + expr + `)\z`)
	return language{name, func() (*constrain.Language, error) { return constrain.Regexp(expr) }, func(s string) error {
		if !re.MatchString(s) {
			return errors.New("package regexp does not match it")
		}
		return nil
	}}
}

func schema(t *testing.T, name, source string) language {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	valid, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return language{name, func() (*constrain.Language, error) {
		return constrain.JSONSchema([]byte(source), constrain.FreeSpacing)
	}, func(s string) error {
		if !json.Valid([]byte(s)) {
			return errors.New("encoding/json does not take it")
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(s)))
		if err != nil {
			return err
		}
		return valid.Validate(doc)
	}}
}

// sums is a grammar of sums, products and brackets, and a parser by recursive descent. Where there may be blanks they
// are in front of numbers and signs.
func sums(name, blank string) language {
	grammar := `root ::= sum
sum ::= product (blank [-+] product)*
product ::= factor (blank [*/] factor)*
factor ::= blank [0-9]{1,4} | blank "(" sum blank ")"
blank ::= ` + blank + "\n"
	parse := func(s string) error {
		if blank != `""` {
			s = strings.ReplaceAll(s, " ", "")
		}
		at := 0
		var sum func() bool
		factor := func() bool {
			if at < len(s) && s[at] == '(' {
				at++
				if !sum() || at >= len(s) || s[at] != ')' {
					return false
				}
				at++
				return true
			}
			start := at
			for at < len(s) && s[at] >= '0' && s[at] <= '9' && at-start < 4 {
				at++
			}
			return at > start
		}
		chain := func(operators string, part func() bool) bool {
			for {
				if !part() {
					return false
				}
				if at >= len(s) || strings.IndexByte(operators, s[at]) < 0 {
					return true
				}
				at++
			}
		}
		sum = func() bool { return chain("+-", func() bool { return chain("*/", factor) }) }
		if !sum() || at != len(s) {
			return fmt.Errorf("it ends at byte %d", at)
		}
		return nil
	}
	return language{name, func() (*constrain.Language, error) { return constrain.Grammar(grammar) }, parse}
}

// apart are languages that have blanks between words. A vocabulary of WordPiece that has been learnt from texts has a
// blank in front of most signs, with no other way to write them, so that JSON is beyond it.
func apart() []language {
	return []language{
		expression("words (WordPiece)", `( [a-z]+){3,10}[.!?]`),
		expression("a question (WordPiece)", ` (what|who|where) is (the|an?) [a-z]{2,12}( of [a-z]+)*\?`),
		sums("sums with blanks (WordPiece)", `" "?`),
	}
}

func languages(t *testing.T) []language {
	return []language{
		expression("a sentence", `[A-Z][a-z]+( [a-z]+){2,9}[.!?]`),
		expression("a time",
			`[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z`),
		expression("an address", `[a-z0-9]+([._+-][a-z0-9]+)*@[a-z]{2,12}(\.[a-z]{2,6}){1,2}`),
		sums("sums (GBNF)", `""`),
		schema(t, "any JSON", `{}`),
		schema(t, "an object", `{"type":"object"}`),
		schema(t, "a person", `{"type":"object",
			"properties":{
				"name":{"type":"string","minLength":1,"maxLength":20},
				"age":{"type":"integer","minimum":0,"maximum":130},
				"tags":{"type":"array","items":{"enum":["a","ab","abc"]},"maxItems":4},
				"score":{"type":"number","exclusiveMinimum":-1.5,"maximum":2}},
			"required":["name","age"]}`),
		schema(t, "a tree", `{
			"$defs":{"node":{"type":"object",
				"properties":{
					"value":{"type":"integer"},
					"children":{"type":"array","items":{"$ref":"#/$defs/node"}}},
				"required":["value","children"]}},
			"$ref":"#/$defs/node"}`),
		schema(t, "an event", `{"oneOf":[
			{"type":"object",
				"properties":{
					"kind":{"const":"mail"},
					"to":{"type":"string","format":"email"},
					"at":{"type":"string","format":"date-time"}},
				"required":["kind","to"]},
			{"type":"object",
				"properties":{
					"kind":{"enum":["call","visit"]},
					"minutes":{"type":"integer","minimum":1,"maximum":600}},
				"required":["kind","minutes"]}]}`),
		schema(t, "addresses", `{"type":"array","minItems":1,"maxItems":5,"items":{"anyOf":[
			{"type":"string","format":"ipv4"},
			{"type":"string","format":"uuid"},
			{"type":"string","pattern":"^[a-z]{2,8}$"}]}}`),
	}
}

// writer is a model that texts are written with.
type writer struct {
	name  string
	tok   model.Tokenizer
	dec   model.Decoder
	of    []language
	share int // of the texts of the first ones, one in so many
}

// writers are a network, before and after some training on a book, and for tokenizers of other kinds than characters,
// which cut a text everywhere but where a grammar does, counts of pairs of tokens.
func writers(t *testing.T, long bool) []writer {
	book := theBook(t)
	steps := 30
	if long {
		steps = 300
	}
	trained := rnn.NewSeeded(1)
	learn(t, trained, book, steps)
	ten := languages(t)
	list := []writer{
		{"rnn, untrained", rnn.Tokenizer, rnn.NewSeeded(1).MakeDecoder(1), ten, 1},
		{"rnn, trained", rnn.Tokenizer, trained.MakeDecoder(1), ten, 1},
	}
	for _, style := range []struct{ file, name string }{
		{"gpt2", "BPE over bytes"}, {"llama2", "BPE with byte fallback"}, {"t5", "Unigram"}, {"bert", "WordPiece"},
	} {
		data, err := os.ReadFile(filepath.Join("..", "runtime", "tokenizer", "testdata", style.file+".json"))
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		of := ten
		if style.file == "bert" {
			of = apart()
		}
		list = append(list, writer{style.name + ", at random", tok, newPairs(tok, nil), of, 10},
			writer{style.name + ", pairs counted", tok, newPairs(tok, encoded(t, tok, book)), of, 10})
	}
	if long { // vocabularies of the size of published ones, to see what masks cost
		pieces := text.Pieces{}
		files, _ := filepath.Glob(filepath.Join(filepath.Dir(book), "..", "*", "*.go"))
		more, _ := filepath.Glob(filepath.Join(filepath.Dir(book), "..", "*", "*", "*.go"))
		for _, path := range append(append(files, more...), book) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			pieces.Add(string(b))
		}
		for _, x := range []struct{ size, share int }{{8000, 10}, {50257, 50}} {
			tok := text.BPE(strings.Join(pieces.Merges(x.size, 2), "\n"))
			list = append(list, writer{fmt.Sprintf("BPE of %d, pairs counted", tok.Vocab()), tok,
				newPairs(tok, encoded(t, tok, book)), ten, x.share})
		}
	}
	return list
}

// theBook is one that ships with Go.
func theBook(t *testing.T) string {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("there is no go command to tell where the toolchain's source is:", err)
	}
	path := filepath.Join(strings.TrimSpace(string(root)), "src", "testdata", "Isaac.Newton-Opticks.txt")
	if _, err := os.Stat(path); err != nil {
		t.Skip(err)
	}
	return path
}

// encoded is a book in tokens, line by line.
func encoded(t *testing.T, tok model.Tokenizer, path string) []int32 {
	book, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var tokens []int32
	for line := range strings.Lines(string(book)) {
		part, err := tok.Encode(line)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, part...)
	}
	return tokens
}

// learn trains a network on a book; of characters that it has not it reads question marks.
func learn(t *testing.T, m *rnn.Model, path string, steps int) {
	corpus, err := text.Read(text.Paths(path), text.ASCII(text.Unknown('?')), text.Options{})
	if err != nil {
		t.Fatal(err)
	}
	info := m.Info()
	w, err := corpus.Train.Windows(info.Batch, info.Steps)
	if err != nil {
		t.Fatal(err)
	}
	var b model.Batch
	for range steps {
		if !w.Next(&b) {
			w.Rewind()
			w.Next(&b)
		}
		if _, _, err := m.TrainStep(&b, 0.002); err != nil {
			t.Fatal(err)
		}
	}
}

// pairs is a model of pairs of tokens: of what follows each, or, without counts, of what is drawn for each.
type pairs struct {
	counts []map[int32]float64
	drawn  [][]float32
	out    []float32
}

// newPairs counts pairs of tokens, or, without any, draws logits at random.
func newPairs(tok model.Tokenizer, tokens []int32) *pairs {
	p := &pairs{out: make([]float32, tok.Vocab())}
	if tokens == nil {
		r := rand.New(rand.NewPCG(3, 3))
		p.drawn = make([][]float32, tok.Vocab())
		for i := range p.drawn {
			p.drawn[i] = make([]float32, tok.Vocab())
			for k := range p.drawn[i] {
				p.drawn[i][k] = float32(2 * r.NormFloat64())
			}
		}
		return p
	}
	p.counts = make([]map[int32]float64, tok.Vocab())
	for i, token := range tokens[:len(tokens)-1] {
		if p.counts[token] == nil {
			p.counts[token] = map[int32]float64{}
		}
		p.counts[token][tokens[i+1]]++
	}
	return p
}

func (p *pairs) Batch() int          { return 1 }
func (p *pairs) Reorder([]int) error { return nil }
func (p *pairs) Reset()              {}
func (p *pairs) Step(tokens []int32) ([]float32, error) {
	if p.drawn != nil {
		copy(p.out, p.drawn[tokens[0]])
		return p.out, nil
	}
	const unseen = 0.05 // of what never came, beside each time that something came
	for i := range p.out {
		p.out[i] = float32(math.Log(unseen))
	}
	for token, n := range p.counts[tokens[0]] {
		p.out[token] = float32(math.Log(n + unseen))
	}
	return p.out, nil
}

// recorder keeps what a decoder reads.
type recorder struct {
	model.Decoder
	tokens []int32
}

func (r *recorder) Step(tokens []int32) ([]float32, error) {
	r.tokens = append(r.tokens, tokens...)
	return r.Decoder.Step(tokens)
}

func (r *recorder) Reset() {
	r.tokens = r.tokens[:0]
	r.Decoder.Reset()
}

// TestConstrained writes texts of ten grammars and schemas with networks and with tokenizers of all kinds, and has each
// read by a parser that knows nothing of constraints. A text that the limit cut off would not parse.
func TestConstrained(t *testing.T) {
	if kernel.Level() == "generic" {
		t.Skip("writes thousands of tokens, which take minutes without assembly, and tests no kernel")
	}
	texts := 20
	if *constrained > 0 {
		texts = *constrained
		fmt.Println("| model | language | texts | parse | tokens a text | mask, µs | first text, µs | compile, ms |")
		fmt.Println("|---|---|---|---|---|---|---|---|")
	}
	for _, w := range writers(t, *constrained > 0) {
		t.Run(w.name, func(t *testing.T) {
			v := constrain.NewVocabulary(w.tok)
			for _, l := range w.of {
				w.write(t, l, v, max(10, texts/w.share))
			}
		})
	}
}

// most is how many tokens a text may have.
const most = 200

func (w *writer) write(t *testing.T, l language, v *constrain.Vocabulary, texts int) {
	made, err := l.make()
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begun := cputime.Thread()
	c, err := made.Compile(v)
	if err != nil {
		t.Errorf("%s: %v", l.name, err)
		return
	}
	took := cputime.Thread() - begun
	begin, err := sample.Prompt(w.tok, "")
	if err != nil {
		t.Fatal(err)
	}
	dec := &recorder{Decoder: w.dec}
	parsed, tokens, masks := 0, 0, 0
	var spent time.Duration
	first := 0.0 // of the masks of the first text
	// What masks cost is told by a constraint of its own, which has remembered nothing at the first text.
	costs, err := made.Compile(v)
	if err != nil {
		t.Fatal(err)
	}
	for i := range texts {
		dec.Reset()
		var b strings.Builder
		for part, err := range sample.Generate(context.Background(), dec, w.tok, "", sample.Constrain(c),
			sample.MaxTokens(most), sample.Seed(uint64(i))) {
			if err != nil {
				t.Fatalf("%s: %v", l.name, err)
			}
			b.WriteString(part)
			tokens++
		}
		if err := l.parser(b.String()); err == nil {
			parsed++
		} else if texts-parsed < 10 {
			t.Errorf("%s: %q: %v", l.name, b.String(), err)
		}
		state, left := costs.Start(), most
		start := cputime.Thread()
		for _, token := range dec.tokens[len(begin):] {
			if _, err := state.Allowed(left); err != nil {
				t.Fatal(err)
			}
			if state, err = state.Next(token); err != nil {
				t.Fatal(err)
			}
			left--
			masks++
		}
		if spent += cputime.Thread() - start; i == 0 {
			first = micro(spent, masks)
		}
	}
	if parsed < texts {
		t.Errorf("%s: %d of %d texts do not parse", l.name, texts-parsed, texts)
	}
	if *constrained > 0 {
		fmt.Printf("| %s | %s | %d | %d | %.1f | %.2f | %.2f | %.2f |\n", w.name, l.name, texts, parsed,
			float64(tokens)/float64(texts), micro(spent, masks), first, micro(took, 1)/1000)
	}
}

// micro is the time of each of n, in microseconds.
func micro(d time.Duration, n int) float64 {
	return float64(d.Nanoseconds()) / 1000 / float64(max(n, 1))
}

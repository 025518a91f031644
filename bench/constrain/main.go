// Constrain writes many texts for each of ten grammars and schemas, with a model that knows nothing and one that has
// learnt a little of Newton's Opticks, and has every text read by a parser that knows nothing of constraints.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// parser tells whether a text is of a language, by other means than the constraint.
type parser func(text string) error

type task struct {
	name     string
	language func() (*constrain.Language, error)
	parser   parser
}

func pattern(name, expression string) task {
	re := regexp.MustCompile(`\A(?:` + expression + `)\z`)
	return task{name, func() (*constrain.Language, error) { return constrain.Regexp(expression) },
		func(s string) error {
			if !re.MatchString(s) {
				return errors.New("package regexp does not match it")
			}
			return nil
		}}
}

func schema(name, source string) task {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(source))
	check(err)
	check(c.AddResource("schema.json", doc))
	valid, err := c.Compile("schema.json")
	check(err)
	return task{name, func() (*constrain.Language, error) {
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

// sums is a grammar of sums, products and brackets, and a parser by recursive descent.
func sums() task {
	const grammar = "root ::= sum\nsum ::= product ([-+] product)*\nproduct ::= factor ([*/] factor)*\nfactor ::= " +
		"[0-9]{1,4} | \"(\" sum \")\"\n"
	return task{"sums (GBNF)", func() (*constrain.Language, error) { return constrain.Grammar(grammar) },
		func(s string) error {
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
		}}
}

func tasks() []task {
	return []task{
		pattern("a sentence", `[A-Z][a-z]+( [a-z]+){2,9}[.!?]`),
		pattern("a time", `[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z`),
		pattern("an address", `[a-z0-9]+([._+-][a-z0-9]+)*@[a-z]{2,12}(\.[a-z]{2,6}){1,2}`),
		sums(),
		schema("any JSON", `{}`),
		schema("an object", `{"type":"object"}`),
		schema("a person",
			`{"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":20},"age":{"type":"integer","minimum":0,"maximum":130},"tags":{"type":"array","items":{"enum":["a","ab","abc"]},"maxItems":4},"score":{"type":"number","exclusiveMinimum":-1.5,"maximum":2}},"required":["name","age"]}`),
		schema("a tree",
			`{"$defs":{"node":{"type":"object","properties":{"value":{"type":"integer"},"children":{"type":"array","items":{"$ref":"#/$defs/node"}}},"required":["value","children"]}},"$ref":"#/$defs/node"}`),
		schema("an event",
			`{"oneOf":[{"type":"object","properties":{"kind":{"const":"mail"},"to":{"type":"string","format":"email"},"at":{"type":"string","format":"date-time"}},"required":["kind","to"]},{"type":"object","properties":{"kind":{"enum":["call","visit"]},"minutes":{"type":"integer","minimum":1,"maximum":600}},"required":["kind","minutes"]}]}`),
		schema("addresses",
			`{"type":"array","minItems":1,"maxItems":5,"items":{"anyOf":[{"type":"string","format":"ipv4"},{"type":"string","format":"uuid"},{"type":"string","pattern":"^[a-z]{2,8}$"}]}}`),
	}
}

func main() {
	n := flag.Int("n", 10000, "texts of each language and model")
	most := flag.Int("tokens", 200, "tokens of a text, at the most")
	steps := flag.Int("steps", 300, "training steps of the model that has learnt a little")
	flag.Parse()
	tok := rnn.Tokenizer
	v := constrain.NewVocabulary(tok)
	failed := 0
	fmt.Println("| language | model | texts | parse | end | tokens a text | compile, ms |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, trained := range []bool{false, true} {
		m := rnn.NewSeeded(1)
		name := "untrained"
		if trained {
			name = "trained"
			learn(m, *steps)
		}
		dec := m.MakeDecoder(1)
		for _, t := range tasks() {
			begun := time.Now()
			l, err := t.language()
			check(err)
			c, err := l.Compile(v)
			check(err)
			took := time.Since(begun)
			parsed, tokens, ended := 0, 0, 0
			for i := range *n {
				dec.Reset()
				s, err := "", error(nil)
				for part, e := range sample.Generate(context.Background(), dec, tok, "", sample.Constrain(c),
					sample.MaxTokens(*most), sample.Seed(uint64(i))) {
					s += part
					err = e
				}
				check(err)
				state := c.Start()
				list, err := tok.Encode(s)
				check(err)
				tokens += len(list)
				for _, x := range list {
					state, err = state.Next(x)
					check(err)
				}
				if state.CanEnd() {
					ended++
				}
				if err := t.parser(s); err == nil {
					parsed++
				} else if failed++; failed < 10 {
					fmt.Fprintf(os.Stderr, "%s: %q: %v\n", t.name, s, err)
				}
			}
			fmt.Printf("| %s | %s | %d | %d | %d | %.1f | %.2f |\n", t.name, name, *n, parsed, ended,
				float64(tokens)/float64(*n), float64(took.Microseconds())/1000)
		}
	}
	if failed > 0 {
		fmt.Fprintf(os.Stderr, "%d texts do not parse\n", failed)
		os.Exit(1)
	}
}

// learn trains on a text that ships with Go.
func learn(m *rnn.Model, steps int) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	check(err)
	path := filepath.Join(strings.TrimSpace(string(root)), "src", "testdata", "Isaac.Newton-Opticks.txt")
	// the same tokens, for other characters a question mark
	corpus, err := text.Read(text.Paths(path), text.ASCII(text.Unknown('?')), text.Options{})
	check(err)
	info := m.Info()
	w, err := corpus.Train.Windows(info.Batch, info.Steps)
	check(err)
	var b model.Batch
	for range steps {
		if !w.Next(&b) {
			w.Rewind()
			w.Next(&b)
		}
		_, _, err := m.TrainStep(&b, 0.002)
		check(err)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "constrain:", err)
		os.Exit(1)
	}
}

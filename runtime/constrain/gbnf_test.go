package constrain

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// naive is the definition of a language, for one text.
type naive struct {
	language *Language
	text     string
	known    map[[2]int]map[int]bool // of a rule and a position
}

// matches gives the ends of what e describes from position i of the text on.
func (l *naive) matches(e expr, i int) map[int]bool {
	text := l.text
	out := map[int]bool{}
	switch e := e.(type) {
	case literal:
		if strings.HasPrefix(text[i:], string(e)) {
			out[i+len(e)] = true
		}
	case class:
		r, size := utf8.DecodeRuneInString(text[i:])
		for _, x := range e {
			if size > 0 && x.lo <= r && r <= x.hi {
				out[i+size] = true
			}
		}
	case sequence:
		out[i] = true
		for _, x := range e {
			next := map[int]bool{}
			for k := range out {
				for end := range l.matches(x, k) {
					next[end] = true
				}
			}
			out = next
		}
	case choice:
		for _, x := range e {
			for end := range l.matches(x, i) {
				out[end] = true
			}
		}
	case ref:
		key := [2]int{int(e), i}
		if l.known[key] == nil {
			l.known[key] = l.matches(l.language.rules[e].body, i)
		}
		return l.known[key]
	case repeat:
		at := map[int]bool{i: true}
		for n := 0; len(at) > 0 && (e.max < 0 || n <= e.max) && n <= len(text)+e.min+1; n++ {
			if n >= e.min {
				for k := range at {
					out[k] = true
				}
			}
			next := map[int]bool{}
			for k := range at {
				for end := range l.matches(e.of, k) {
					next[end] = true
				}
			}
			at = next
		}
	}
	return out
}

// randomGrammar writes a grammar of a few rules over the letters a, b and é.
func randomGrammar(r *rand.Rand) string {
	names := []string{"root", "x", "y-1"}
	var b strings.Builder
	var alternatives func(depth int, first bool)
	sequence := func(depth int, first bool) {
		for k := range 1 + r.IntN(3) {
			switch n := r.IntN(10); {
			case n < 3:
				fmt.Fprintf(&b, "%q ", []string{"a", "b", "ab", "é", ""}[r.IntN(5)])
			case n < 4:
				b.WriteString([]string{"[ab] ", `[^a] `, `[a-\u00e9] `, ". "}[r.IntN(4)])
			case n < 6 && depth < 3:
				b.WriteString("(")
				alternatives(depth+1, first && k == 0)
				b.WriteString(") ")
			case first && k == 0:
				b.WriteString(`"a" `)
			default:
				b.WriteString(names[r.IntN(len(names))] + " ")
			}
			if r.IntN(4) == 0 {
				b.WriteString([]string{"* ", "+ ", "? ", "{2} ", "{1,3} ", "{0,} "}[r.IntN(6)])
			}
		}
	}
	alternatives = func(depth int, first bool) {
		for k := range 1 + r.IntN(3) {
			if k > 0 {
				b.WriteString("| ")
			}
			sequence(depth, first)
		}
	}
	for _, n := range names {
		b.WriteString(n + " ::= ")
		alternatives(0, true)
		b.WriteString("# a comment\n")
	}
	return b.String()
}

// TestGrammar compares random grammars with the naive definition, on all short texts.
func TestGrammar(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	var texts []string
	for n, last := 0, []string{""}; n <= 4; n++ {
		texts = append(texts, last...)
		var next []string
		for _, s := range last {
			for _, c := range []string{"a", "b", "é"} {
				next = append(next, s+c)
			}
		}
		last = next
	}
	tried := 0
	for range 150 {
		source := randomGrammar(r)
		l, err := Grammar(source)
		if err != nil {
			t.Fatalf("%s\n%v", source, err)
		}
		c, err := l.Compile(bytesAlone)
		if err != nil {
			continue // a rule that begins with itself, or an empty language
		}
		tried++
		for _, s := range texts {
			want := (&naive{l, s, map[[2]int]map[int]bool{}}).matches(ref(0), 0)[len(s)]
			if got, _ := accepts(c, s); got != want {
				t.Fatalf("%s\n%q: %v, by definition %v", source, s, got, want)
			}
		}
	}
	if tried < 30 {
		t.Errorf("only %d grammars could be compiled", tried)
	}
}

// TestGrammarErrors has a grammar for each mistake, and what the error must say.
func TestGrammarErrors(t *testing.T) {
	for source, want := range map[string]string{
		"":                           "no rule root",
		"x ::= \"a\"":                "no rule root",
		"root ::= y\n":               `line 1, column 10: rule "y" is used here`,
		"root ::= \"a\nroot2 ::= x":  "does not end",
		"root ::= \"\\q\"":           `line 1, column 11: \q is no escape`,
		"root ::= [a":                "does not end",
		"root ::= []":                "no characters",
		"root ::= [z-a]":             "is empty",
		"root ::= *":                 "behind what is repeated",
		"root ::= \"a\"{2":           "closing brace",
		"root ::= \"a\"{x}":          "a number",
		"root ::= \"a\"{3,2}":        "at least 3 and at most 2",
		"root ::= (\"a\"":            "closing parenthesis",
		"root ::= \"a\" )":           "the end of the rule",
		"root = \"a\"":               "::= must stand here",
		"root ::= <[7]>":             "tokens by number",
		"root ::= \"a\"\nroot ::= x": "defined twice",
		"root ::= \"\\ud800\"":       "no character",
		"root ::= \"\xff\"":          "not valid UTF-8",
		"\n\n  !":                    "line 3, column 3",
	} {
		_, err := Grammar(source)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, it must say %q", source, err, want)
		}
	}
}

// llamas are grammars as they are written for llama.cpp, and texts of theirs.
var llamas = []struct{ source, yes, not string }{
	{`# JSON as llama.cpp's examples have it
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws

object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws

array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws

string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws

number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws

# Optional space
ws ::= | " " | "\n" [ \t]{0,20}
`, `{"a": [1, -2.5e3, "é\u00e9"], "b":{}}`, `{"a": 01}`},
	{`root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
`, "(a1 +2)*3 = x\n", "a + = 3\n"},
	{"root ::= \"1. \" move \" \" move \"\\n\" ([1-9] [0-9]? \". \" move \" \" move \"\\n\")+\nmove ::= (pawn | " +
		"nonpawn | castle) [+#]?\n\nnonpawn ::= [NBKQR] [a-h]? [1-8]? \"x\"? [a-h] [1-8]\npawn ::= ([a-h] \"x\")? " +
		"[a-h] [1-8] (\"=\" [NBKQR])?\ncastle ::= \"O-O\" \"-O\"?\n",
		"1. e4 e5\n2. Nf3 Nc6\n", "1. e9 e5\n2. Nf3 Nc6\n"},
}

func TestLlamaGrammars(t *testing.T) {
	for _, g := range llamas {
		c := compile(t, must(t)(Grammar(g.source)), bytesAlone)
		if ok, _ := accepts(c, g.yes); !ok {
			t.Errorf("%q must be accepted", g.yes)
		}
		if ok, _ := accepts(c, g.not); ok {
			t.Errorf("%q must not be accepted", g.not)
		}
	}
}

// The fuzz targets compile what they are given and write a text under it: no panic, no endless work, and the text
// parses.
func FuzzGrammar(f *testing.F) {
	f.Add(arithmetic)
	f.Add(ambiguous)
	for _, g := range llamas {
		f.Add(g.source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		l, err := Grammar(source)
		fuzzed(t, l, err)
	})
}

func FuzzJSONSchema(f *testing.F) {
	for _, s := range schemas {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		l, err := JSONSchema(source, FreeSpacing)
		fuzzed(t, l, err)
	})
}

func FuzzRegexp(f *testing.F) {
	for _, s := range patterns {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		l, err := Regexp(source)
		fuzzed(t, l, err)
	})
}

func fuzzed(t *testing.T, l *Language, err error) {
	if err != nil {
		return
	}
	c, err := l.Compile(bytesAlone)
	if err != nil {
		return
	}
	c.SetMemory(8 << 20)
	shortest := c.Start().Left()
	if shortest > 300 {
		return
	}
	r := rand.New(rand.NewPCG(1, 1))
	s := c.Start()
	for left := shortest + 30; left > 0; left-- {
		m, err := s.Allowed(left)
		if err != nil {
			return // too ambiguous
		}
		if m.Len == 0 {
			break
		}
		tokens := tokensOf(m)
		if s, err = s.Next(tokens[r.IntN(len(tokens))]); err != nil {
			return
		}
	}
	if !s.CanEnd() {
		t.Error("the text does not end in time")
	}
}

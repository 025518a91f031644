package constrain

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/text"
)

// bytesAlone is the vocabulary of the 256 bytes.
var bytesAlone = func() *Vocabulary {
	var pieces [][]byte
	for b := range 256 {
		pieces = append(pieces, []byte{byte(b)})
	}
	return vocabularyOf(pieces)
}()

// pieced is a vocabulary of random pieces, which cross all borders: halves of characters, quotes with commas, repeated
// texts.
func pieced(size int, seed uint64, bytes bool) *Vocabulary {
	r := rand.New(rand.NewPCG(seed, 1))
	var pieces [][]byte
	if bytes {
		for b := range 256 {
			pieces = append(pieces, []byte{byte(b)})
		}
	}
	material := `{"name": "value", "list": [1, 23, 4.5e6, true, false, null], "a\"b\\c": "äöü€𝄞"} abcabc the quick brown fox 2026-11-28T17:35:33Z (1+2)*3 GET /index ababab  ,":[{}]`
	for len(pieces) < size {
		i := r.IntN(len(material))
		n := 1 + r.IntN(min(9, len(material)-i))
		pieces = append(pieces, []byte(material[i:i+n]))
	}
	return vocabularyOf(pieces)
}

func must(t testing.TB) func(l *Language, err error) *Language {
	return func(l *Language, err error) *Language {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
}

// TestPhrases compares with package strings.
func TestPhrases(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	letters := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "ab"[r.IntN(2)]
		}
		return string(b)
	}
	for range 200 {
		var p Phrases
		for range r.IntN(4) {
			p.Required = append(p.Required, letters(1+r.IntN(4)))
		}
		for range r.IntN(3) {
			p.Banned = append(p.Banned, letters(2+r.IntN(4)))
		}
		l, err := Containing(p)
		if err != nil {
			continue
		}
		c, err := l.Compile(bytesAlone)
		if err != nil {
			continue // what is required and what is banned exclude each other
		}
		for range 100 {
			s := letters(r.IntN(15))
			want := true
			for _, x := range p.Required {
				want = want && strings.Contains(s, x)
			}
			for _, x := range p.Banned {
				want = want && !strings.Contains(s, x)
			}
			if got, _ := accepts(c, s); got != want {
				t.Fatalf("%+v: %q: %v", p, s, got)
			}
		}
	}
	for _, p := range []Phrases{{Required: []string{""}}, {Banned: []string{""}},
		{Required: []string{"abc"}, Banned: []string{"b"}}, {Required: make([]string, 17)}} {
		if _, err := Containing(p); err == nil {
			t.Errorf("%+v is no error", p)
		}
	}
}

// TestBarred tells what a text must not contain from what ends it: a token is barred if the first byte that may not
// follow makes a banned phrase, and leaves no other language.
func TestBarred(t *testing.T) {
	phrases := Phrases{Required: []string{"a"}, Banned: []string{"fox", "ab", ", "}}
	closed := must(t)(Regexp(`[a-z ]{0,30}`))
	open := must(t)(Containing(phrases))
	r := rand.New(rand.NewPCG(2, 2))
	for _, l := range []*Language{closed, open, And(closed, open), And(And(open, closed), closed)} {
		for _, v := range []*Vocabulary{bytesAlone, pieced(700, 1, true)} {
			c := compile(t, l, v)
			some := 0
			for range 30 {
				s, text := c.Start(), ""
				for range 8 {
					m, err := s.Allowed(-1)
					if err != nil || m.Len == 0 {
						break
					}
					for token := range v.Size() {
						want := false
						for n := 1; n <= len(v.bytes[token]) && l != closed; n++ {
							begins := text + string(v.bytes[token][:n])
							if slices.ContainsFunc(phrases.Banned,
								func(x string) bool { return strings.HasSuffix(begins, x) }) {
								want = true
							}
							if l != open && (len(begins) > 30 ||
								strings.Trim(begins, "abcdefghijklmnopqrstuvwxyz ") != "") {
								want = false
								break
							}
							if want {
								break
							}
						}
						if m.Barred(int32(token)) != want {
							t.Fatalf("behind %q token %q is barred: %v", text, v.bytes[token], !want)
						}
						if want {
							some++
						}
					}
					tokens := tokensOf(m)
					token := tokens[r.IntN(len(tokens))]
					text += string(v.bytes[token])
					if s, err = s.Next(token); err != nil {
						t.Fatal(err)
					}
				}
			}
			if l != closed && v != bytesAlone && some == 0 {
				t.Error("nothing was barred")
			}
		}
	}
}

func compile(t testing.TB, l *Language, v *Vocabulary) *Constraint {
	t.Helper()
	c, err := l.Compile(v)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// accepts reports whether a text is in the language, and whether it is the beginning of one that is.
func accepts(c *Constraint, text string) (whole, begins bool) {
	at := c.engine.first
	for i := range len(text) {
		if at = c.engine.step(at, text[i]); at == c.engine.dead {
			return false, false
		}
	}
	return at.end, true
}

// write draws a text of tokens that the masks allow, at most most, and ends it where it may end with a chance of 1 in
// 4.
func write(t testing.TB, c *Constraint, most int, r *rand.Rand) (string, bool) {
	t.Helper()
	s := c.Start()
	var b []byte
	for left := most; left > 0; left-- {
		if s.CanEnd() && r.IntN(4) == 0 {
			return string(b), true
		}
		m, err := s.Allowed(left)
		if err != nil {
			t.Fatal(err)
		}
		if m.Len == 0 {
			break
		}
		tokens := tokensOf(m)
		token := tokens[r.IntN(len(tokens))]
		b = append(b, c.vocabulary.bytes[token]...)
		if s, err = s.Next(token); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
	}
	return string(b), s.CanEnd()
}

func tokensOf(m *Mask) []int32 {
	out := make([]int32, 0, m.Len)
	for i := range len(m.Bits) * 64 {
		if m.Has(int32(i)) {
			out = append(out, int32(i))
		}
	}
	return out
}

var patterns = []string{
	`a`, ``, `abc|abd|xyz`, `[0-9]{4}-[0-9]{2}-[0-9]{2}`, `(a|ab)(c|bcd)*`, `(ab)+`, `a{2,5}b?`, `[^a-z"]{0,3}x`,
	`.{1,4}`, `(?s).{2}`, `(?i)hello wörld`,
	`(\w+ ){2,3}\w+`, `\p{L}+|\d+`, `[äöü€𝄞]{2}`, `((a{2,3}b){2,3}c){1,2}`, `(a*)*b`, `(a|b|ab)*`, `^abc$`, `(^a|b$)`,
	`\x{10FFFF}?[\x00-\x1f]`, `[ab]*a[ab]{3}`, `(x+x+)+y`,
}

// TestRegexp compares with package regexp on random texts that look like what is matched.
func TestRegexp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	letters := []rune("abcdxyzh elowörldÄäöü€𝄞019-_\"\n\x00\x1f\U0010ffffHELKK")
	for _, p := range patterns {
		t.Run(p, func(t *testing.T) {
			c := compile(t, must(t)(Regexp(p)), bytesAlone)
			re := regexp.MustCompile(`\A(?:` + p + `)\z`)
			try := func(s string) {
				if got, _ := accepts(c, s); got != re.MatchString(s) {
					t.Fatalf("%q: %v, package regexp says %v", s, got, !got)
				}
			}
			for range 300 {
				// A text of the language, and what it becomes by a change.
				s, ended := write(t, c, 40, r)
				if !ended {
					t.Fatalf("%q does not end", s)
				}
				try(s)
				x := []rune(s)
				for range 3 {
					i := r.IntN(len(x) + 1)
					switch {
					case r.IntN(2) == 0 || i == len(x):
						x = slices.Insert(x, i, letters[r.IntN(len(letters))])
					case r.IntN(2) == 0:
						x = slices.Delete(x, i, i+1)
					default:
						x[i] = letters[r.IntN(len(letters))]
					}
					try(string(x))
				}
				var b strings.Builder
				for range r.IntN(6) {
					b.WriteRune(letters[r.IntN(len(letters))])
				}
				try(b.String())
			}
		})
	}
}

const arithmetic = `
root  ::= expr
expr  ::= term ([-+*/] term)*   # a comment
term  ::= num | "(" ws expr ws ")"
num   ::= [1-9] [0-9]{0,3} | "0"
ws    ::= " "?
`

const ambiguous = `root ::= s
s ::= "a" s "b" s | "a" s | "" | t s
t ::= "ab" | "ba" t`

// TestMasks compares masks with their definition: a token is allowed if the text is still the beginning of one of the
// language. All vocabularies here have every byte, so nothing else can stop it.
func TestMasks(t *testing.T) {
	languages := map[string]*Language{
		"arithmetic": must(t)(Grammar(arithmetic)),
		"ambiguous":  must(t)(Grammar(ambiguous)),
		"choices":    must(t)(Choices("abc", "ab", "abcabc", "the quick", "the", "€", "")),
		"any json":   must(t)(JSONSchema([]byte(`{}`), FreeSpacing)),
		"schema":     must(t)(JSONSchema([]byte(person), FreeSpacing)),
		"func":       brackets(),
		"phrases": must(t)(Containing(Phrases{Required: []string{"quick", "abab"},
			Banned: []string{"fox", "x", "name"}})),
		// Any plain character up to some number of them, none after that, and some after that.
		"short string": must(t)(JSONSchema([]byte(`{"type":"string","minLength":2,"maxLength":6}`), FreeSpacing)),
		"short list": must(t)(JSONSchema(
			[]byte(`{"type":"array","items":{"type":"string","maxLength":3},"maxItems":3}`), FreeSpacing)),
		"plain, then some": must(t)(Regexp(`[ !#-\[\]-~\x{80}-\x{10FFFF}]{2,4}[a-q]{0,3}`)),
		"plain in a loop":  must(t)(Regexp(`(?:[ !#-\[\]-~\x{80}-\x{10FFFF}]"?)*`)),
	}
	for _, p := range patterns {
		languages[p] = must(t)(Regexp(p))
	}
	vocabularies := []*Vocabulary{bytesAlone, pieced(700, 1, true), pieced(2000, 2, true)}
	r := rand.New(rand.NewPCG(3, 4))
	for name, l := range languages {
		t.Run(name, func(t *testing.T) {
			for _, v := range vocabularies {
				c := compile(t, l, v)
				for range 3 {
					s := c.Start()
					text := ""
					for range 15 {
						m, err := s.Allowed(-1)
						if err != nil {
							t.Fatal(err)
						}
						for token := range v.Size() {
							_, want := accepts(c, text+string(v.bytes[token]))
							if m.Has(int32(token)) != want {
								t.Fatalf("behind %q token %q is allowed: %v, by definition %v", text, v.bytes[token],
									!want, want)
							}
						}
						tokens := tokensOf(m)
						if len(tokens) != m.Len {
							t.Fatalf("%d tokens, Len is %d", len(tokens), m.Len)
						}
						if only, ok := m.Only(); ok != (m.Len == 1) || ok && only != tokens[0] {
							t.Fatalf("the only token is %d of %v", only, tokens)
						}
						if m.Len == 0 {
							if !s.CanEnd() {
								t.Fatalf("%q can neither go on nor end", text)
							}
							break
						}
						token := tokens[r.IntN(len(tokens))]
						text += string(v.bytes[token])
						if s, err = s.Next(token); err != nil {
							t.Fatal(err)
						}
						if whole, _ := accepts(c, text); whole != s.CanEnd() {
							t.Fatalf("%q may end: %v", text, s.CanEnd())
						}
					}
				}
			}
		})
	}
}

// brackets is a language of a function: balanced brackets, up to 8 deep.
func brackets() *Language {
	type open struct {
		kinds [8]byte
		n     int
	}
	return Func(open{}, func(o open, b byte) (open, bool) {
		switch b {
		case '(', '[', '{':
			if o.n == len(o.kinds) {
				return o, false
			}
			o.kinds[o.n] = b
			o.n++
			return o, true
		case ')', ']', '}':
			if o.n == 0 || o.kinds[o.n-1] != map[byte]byte{')': '(', ']': '[', '}': '{'}[b] {
				return o, false
			}
			o.n--
			o.kinds[o.n] = 0
			return o, true
		}
		return o, false
	}, func(o open) bool { return o.n == 0 })
}

// TestLimit writes texts with as few tokens left as the language can do with, and more: all end in time.
func TestLimit(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	deep := `root ::= "(" root ")" root | "[" root "]" | "" | "x"`
	for name, l := range map[string]*Language{
		"arithmetic": must(t)(Grammar(arithmetic)),
		"deep":       must(t)(Grammar(deep)),
		"any json":   must(t)(JSONSchema([]byte(`{}`), FreeSpacing)),
		"schema":     must(t)(JSONSchema([]byte(person), FreeSpacing)),
		"date":       must(t)(Regexp(`[0-9]{4}-[0-9]{2}-[0-9]{2}`)),
		"long":       must(t)(Regexp(`(abc|the quick brown fox){3,9}ä`)),
		"func":       brackets(),
		"phrases": must(t)(Containing(Phrases{Required: []string{"quick", "abab"},
			Banned: []string{"fox", "x", "name"}})),
		"both": And(must(t)(Regexp(`[a-z ]{5,40}`)),
			must(t)(Containing(Phrases{Required: []string{"quick b"}, Banned: []string{"ab", "  "}}))),
		"both json": And(must(t)(JSONSchema([]byte(person), FreeSpacing)),
			must(t)(Containing(Phrases{Banned: []string{"  ", "\\", "e1"}}))),
	} {
		t.Run(name, func(t *testing.T) {
			for i, v := range []*Vocabulary{bytesAlone, pieced(700, 1, true), pieced(1500, 2, true)} {
				c := compile(t, l, v)
				shortest := int(c.tokensToEnd(c.engine.first))
				if m, err := c.Start().Allowed(shortest - 1); err != nil || shortest > 1 && m.Len != 0 && i == 0 {
					t.Errorf("with %d tokens left %d are allowed, and the shortest text takes %d: %v", shortest-1,
						m.Len, shortest, err)
				}
				for k := range 80 {
					if s, ended := write(t, c, shortest+k/2, r); !ended {
						t.Fatalf("vocabulary %d: %q does not end within %d tokens", i, s, shortest+k/2)
					}
				}
			}
		})
	}
}

// TestVocabularies writes with vocabularies that lack bytes: characters alone, words, halves of characters.
func TestVocabularies(t *testing.T) {
	words := func(s ...string) *Vocabulary {
		var p [][]byte
		for _, x := range s {
			p = append(p, []byte(x))
		}
		return vocabularyOf(p)
	}
	ascii := strings.Split(
		"\n !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~", "")
	chars := append(slices.Clone(ascii), "ä", "ö", "€")
	r := rand.New(rand.NewPCG(7, 8))
	for _, c := range []struct {
		name       string
		language   *Language
		vocabulary *Vocabulary
		fails      bool
	}{
		{"ascii, any character", must(t)(Regexp(`.{5,}`)), words(ascii...), false},
		{"ascii, json", must(t)(JSONSchema([]byte(person), FreeSpacing)), words(ascii...), false},
		{"ascii lacks it", must(t)(Regexp(`ä+`)), words(ascii...), true},
		{"characters, one that is there", must(t)(Regexp(`ä+|ü+`)), words(chars...), false},
		{"characters, json", must(t)(JSONSchema([]byte(person), FreeSpacing)), words(chars...), false},
		{"characters, any", must(t)(Regexp(`(.|\n){3,9}`)), words(chars...), false},
		{"characters, one that is not there", must(t)(Regexp(`aü+`)), words(chars...), true},
		{"a way that ends nowhere", must(t)(Regexp(`ab*ü|xy`)), words(chars...), false},
		{"halves", must(t)(Regexp(`(ä|ü|x)+y`)), words("\xc3", "\xc3\xa4", "x", "y", "\xbc\xc3", "xx"), false},
		{"words", must(t)(Regexp(`the (quick|slow) fox( ran)*`)), words("the", " quick", " fox", " ran", " ", "q"),
			false},
		{"words lack one", must(t)(Choices("the end", "the beginning")), words("the", " end", " begin"), false},
		{"words lack all", must(t)(Choices("the ends", "the beginning")), words("the", " end", " begin"), true},
		{"grammar of words", must(t)(Grammar(`root ::= "a" root "b" | "c"`)), words("aa", "c", "b", "cb"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, err := c.language.Compile(c.vocabulary)
			if (err != nil) != c.fails {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			shortest := int(k.tokensToEnd(k.engine.first))
			for i := range 80 {
				if s, ended := write(t, k, shortest+i, r); !ended {
					t.Fatalf("%q does not end within %d tokens", s, shortest+i)
				} else if whole, _ := accepts(k, s); !whole {
					t.Fatalf("%q is not in the language", s)
				}
			}
		})
	}
}

// TestFrame writes with tokenizers whose pieces are more than the text.
func TestFrame(t *testing.T) {
	v := NewVocabulary(text.Numbers(500))
	pattern := `[0-9]{2}( [0-9]+){1,3}`
	re := regexp.MustCompile(`^` + pattern + `$`)
	r := rand.New(rand.NewPCG(1, 1))
	for _, l := range []*Language{
		must(t)(Regexp(pattern)),
		And(must(t)(Regexp(pattern)), must(t)(Containing(Phrases{Required: []string{"77"}}))),
	} {
		c := compile(t, l, v)
		for range 50 {
			s, ended := write(t, c, 8, r)
			if got := strings.TrimSuffix(s, " "); !ended || got == s || !re.MatchString(got) {
				t.Fatalf("%q", s)
			}
		}
	}
	if _, err := brackets().Compile(v); err == nil || !strings.Contains(err.Error(), "can't be told") {
		t.Errorf("error %v", err)
	}
}

// TestUntrusted compiles and runs what is meant to take all memory and time. Each mask takes a bounded number of
// steps, what is remembered is forgotten where it is more than the bound, and what is too much is an error that says
// so.
func TestUntrusted(t *testing.T) {
	said := func(err error) {
		t.Helper()
		if !strings.HasPrefix(err.Error(), "constrain: ") {
			t.Errorf("the error does not say where it is from: %v", err)
		}
	}
	for name, make := range map[string]func() (*Language, error){
		"repeated regexp": func() (*Language, error) { return Regexp(`(((a{1,30}b){1,30}c){1,30}d){1,30}`) },
		"many repetitions": func() (*Language, error) {
			return Grammar(`root ::= ((([ab]{200000}){200000}){200000}){200000}`)
		},
		"deep parentheses": func() (*Language, error) { return Grammar("root ::= " + strings.Repeat("(", 1e6)) },
		"deep schema": func() (*Language, error) {
			return JSONSchema([]byte(strings.Repeat(`{"items":`, 1e6)), FreeSpacing)
		},
		"merged in circles": func() (*Language, error) {
			return JSONSchema([]byte(`{"allOf":[{"$ref":"#"},{"minimum":1}]}`), FreeSpacing)
		},
		"left recursion": func() (*Language, error) {
			return Grammar(`root ::= x? root "a" | "b"` + "\n" + `x ::= "c"`)
		},
		"endless text": func() (*Language, error) { return Grammar(doubling(60)) },
		"ambiguous": func() (*Language, error) {
			return Grammar(`root ::= root2 | ""` + "\n" + `root2 ::= "a" root2 root2 | "a" root2 "a" | "a"`)
		},
		"all classes": func() (*Language, error) { return Regexp(`(\p{L}|\p{N}|[^\p{L}]){1,500}`) },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := make()
			if err != nil {
				said(err)
				return
			}
			c, err := l.Compile(pieced(2000, 9, true))
			if err != nil {
				said(err)
				return
			}
			const memory = 1 << 20
			c.SetMemory(memory)
			s := c.Start()
			r := rand.New(rand.NewPCG(1, 1))
			for i := range 300 {
				much, first := c.engine.used > memory, c.engine.first
				m, err := s.Allowed(400 - i)
				if w := c.engine.work; w > mostWork+MostStacks {
					t.Fatalf("a mask took %d steps", w)
				}
				if much && c.engine.first == first {
					t.Fatalf("more than %d bytes are remembered, and nothing was forgotten", memory)
				}
				if err != nil {
					said(err)
					return
				}
				tokens := tokensOf(m)
				if len(tokens) == 0 {
					return
				}
				if s, err = s.Next(tokens[r.IntN(len(tokens))]); err != nil {
					said(err)
					return
				}
			}
		})
	}
}

// doubling is a grammar whose only text has 2^n letters.
func doubling(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "root ::= r%d\nr0 ::= \"a\"\n", n)
	for i := range n {
		fmt.Fprintf(&b, "r%d ::= r%d r%d\n", i+1, i, i)
	}
	return b.String()
}

package constrain

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/runtime/cputime"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// learnt is a vocabulary of byte-pair encoding, learnt from the toolchain's source, and its tokenizer.
var learnt = func() func(t testing.TB, size int) (*Vocabulary, model.Tokenizer) {
	type made struct {
		v   *Vocabulary
		tok model.Tokenizer
	}
	var mu sync.Mutex
	all := map[int]made{}
	return func(t testing.TB, size int) (*Vocabulary, model.Tokenizer) {
		mu.Lock()
		defer mu.Unlock()
		m, ok := all[size]
		if !ok {
			root, err := exec.Command("go", "env", "GOROOT").Output()
			if err != nil {
				t.Skip("there is no go command to tell where the toolchain's source is:", err)
			}
			p := text.Pieces{}
			err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src"),
				func(path string, d fs.DirEntry, err error) error {
					if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
						return err
					}
					b, err := os.ReadFile(path)
					p.Add(string(b))
					return err
				})
			if err != nil {
				t.Skip(err)
			}
			tok := text.BPE(strings.Join(p.Merges(size, 2), "\n"))
			m = made{NewVocabulary(tok), tok}
			all[size] = m
		}
		return m.v, m.tok
	}
}()

// benchLanguages have texts as people write them.
var benchLanguages = []struct {
	name    string
	make    func() (*Language, error)
	natural func(r *rand.Rand) string
}{
	{"regexp",
		func() (*Language, error) { return Regexp(`[A-Z][a-z]+( [A-Za-z0-9]+){2,40}\.`) },
		func(r *rand.Rand) string { return "The " + words(r, 2+r.IntN(20)) + "." }},
	{"grammar",
		func() (*Language, error) { return Grammar(arithmetic) },
		func(r *rand.Rand) string { return sum(r, 3) }},
	{"json",
		func() (*Language, error) { return JSONSchema([]byte(`{}`), FreeSpacing) },
		func(r *rand.Rand) string { return indented(record(r, 3)) }},
	{"schema",
		func() (*Language, error) { return JSONSchema([]byte(person), FreeSpacing) },
		func(r *rand.Rand) string { return indented(someone(r, 2)) }},
}

func words(r *rand.Rand, n int) string {
	all := strings.Fields(`the rays of light which differ in colour are also in degrees of refrangibility and that
		sun consists by experiments glass prism was placed hole made shut window might be refracted upwards
		towards opposite wall chamber there form coloured image its axis perpendicular beam this motion I about
		slowly saw descend then to ascend between two when it seemed stationary stopped 3 12 250 feet inches`)
	list := make([]string, n)
	for i := range list {
		list[i] = all[r.IntN(len(all))]
	}
	return strings.Join(list, " ")
}

func sum(r *rand.Rand, depth int) string {
	if depth == 0 || r.IntN(3) == 0 {
		return strconv.Itoa(r.IntN(1000))
	}
	s := sum(r, depth-1) + string("+-*/"[r.IntN(4)]) + sum(r, depth-1)
	if r.IntN(2) == 0 {
		return "(" + s + ")"
	}
	return s
}

func indented(x any) string {
	b, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		panic(err)
	}
	return string(b)
}

func record(r *rand.Rand, depth int) any {
	switch k := r.IntN(8); {
	case depth > 0 && k < 3 || depth == 3:
		m := map[string]any{}
		for range 2 + r.IntN(4) {
			m[words(r, 1)] = record(r, depth-1)
		}
		return m
	case depth > 0 && k < 5:
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = record(r, depth-1)
		}
		return list
	case k == 5:
		return r.IntN(2) == 0
	case k == 6:
		return float64(r.IntN(100000)) / 100
	}
	return words(r, 1+r.IntN(8))
}

// ordered is an object whose properties have the order of the schema.
type ordered struct {
	Name   string   `json:"name"`
	Age    int      `json:"age"`
	Tags   []string `json:"tags,omitempty"`
	Score  float64  `json:"score"`
	Friend *ordered `json:"friend,omitempty"`
}

func someone(r *rand.Rand, friends int) *ordered {
	name := words(r, 2)
	p := &ordered{Name: name[:min(len(name), 20)], Age: r.IntN(100), Score: float64(r.IntN(100)) / 50}
	for range r.IntN(4) {
		p.Tags = append(p.Tags, []string{"a", "ab", "€", `say "x"`}[r.IntN(4)])
	}
	if friends > 0 && r.IntN(2) == 0 {
		p.Friend = someone(r, friends-1)
	}
	return p
}

// BenchmarkMask tells the processor time of a mask and a step. Natural texts are as people write them, in the tokens
// that a tokenizer makes of them; random ones are of random tokens that are allowed, at most 200. Cold begins each text
// with a constraint that remembers nothing.
func BenchmarkMask(b *testing.B) {
	for _, size := range []int{8000, 50257} {
		for _, l := range benchLanguages {
			for _, natural := range []bool{true, false} {
				for _, cold := range []bool{true, false} {
					kind, memory := "random", "warm"
					if natural {
						kind = "natural"
					}
					if cold {
						memory = "cold"
					}
					b.Run(fmt.Sprintf("%d/%s/%s/%s", size, l.name, kind, memory), func(b *testing.B) {
						runtime.LockOSThread()
						defer runtime.UnlockOSThread()
						v, tok := learnt(b, size)
						c := compile(b, must(b)(l.make()), v)
						r := rand.New(rand.NewPCG(1, 1))
						var w watch
						for b.Loop() {
							if cold {
								c = compile(b, must(b)(l.make()), v)
							}
							if natural {
								w.follow(b, c, tok, l.natural(r))
							} else {
								w.random(b, c, r)
							}
						}
						b.ReportMetric(float64(w.spent.Nanoseconds())/1000/float64(w.tokens), "µs/token")
					})
				}
			}
		}
	}
}

// watch adds up what masks and steps take.
type watch struct {
	spent  time.Duration
	tokens int
}

func (w *watch) allowed(t testing.TB, s State, left int) *Mask {
	start := cputime.Thread()
	m, err := s.Allowed(left)
	w.spent += cputime.Thread() - start
	w.tokens++
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (w *watch) next(t testing.TB, s State, token int32) State {
	start := cputime.Thread()
	s, err := s.Next(token)
	w.spent += cputime.Thread() - start
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *watch) follow(t testing.TB, c *Constraint, tok model.Tokenizer, text string) {
	tokens, err := tok.Encode(text)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Start()
	for i, token := range tokens {
		if m := w.allowed(t, s, 1000-i); !m.Has(token) {
			t.Fatalf("token %d of %q is not allowed", i, text)
		}
		s = w.next(t, s, token)
	}
	if !s.CanEnd() {
		t.Fatalf("%q may not end", text)
	}
}

func (w *watch) random(t testing.TB, c *Constraint, r *rand.Rand) {
	s := c.Start()
	for left := 200; left > 0; left-- {
		if s.CanEnd() && r.IntN(4) == 0 {
			break
		}
		m := w.allowed(t, s, left)
		if m.Len == 0 {
			break
		}
		size := c.vocabulary.size
		token := int32(-1)
		for token < 0 {
			if x := int32(r.IntN(size)); m.Len > size/50 && m.Has(x) {
				token = x
			} else if m.Len <= size/50 {
				all := tokensOf(m)
				token = all[r.IntN(len(all))]
			}
		}
		s = w.next(t, s, token)
	}
}

// BenchmarkCompile makes constraints of texts, the vocabulary being there.
func BenchmarkCompile(b *testing.B) {
	v, _ := learnt(b, 8000)
	for _, l := range benchLanguages {
		b.Run(l.name, func(b *testing.B) {
			for b.Loop() {
				compile(b, must(b)(l.make()), v)
			}
		})
	}
}

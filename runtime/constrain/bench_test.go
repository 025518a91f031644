package constrain

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/runtime/text"
)

// learnt is a vocabulary of byte-pair encoding, learnt from the toolchain's source.
var learnt = func() func(t testing.TB, size int) *Vocabulary {
	var mu sync.Mutex
	made := map[int]*Vocabulary{}
	return func(t testing.TB, size int) *Vocabulary {
		mu.Lock()
		defer mu.Unlock()
		if made[size] == nil {
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
			made[size] = NewVocabulary(text.BPE(strings.Join(p.Merges(size, 2), "\n")))
		}
		return made[size]
	}
}()

var benchLanguages = []struct {
	name string
	make func() (*Language, error)
}{
	{"regexp", func() (*Language, error) { return Regexp(`[A-Z][a-z]+( [A-Za-z0-9]+){2,40}\.`) }},
	{"grammar", func() (*Language, error) { return Grammar(arithmetic) }},
	{"json", func() (*Language, error) { return JSONSchema([]byte(`{}`), FreeSpacing) }},
	{"schema", func() (*Language, error) { return JSONSchema([]byte(person), FreeSpacing) }},
}

// BenchmarkMask writes random texts of at most 200 tokens. Cold begins each with a constraint that remembers nothing.
// What it tells is processor time.
func BenchmarkMask(b *testing.B) {
	for _, size := range []int{8000, 50257} {
		for _, l := range benchLanguages {
			for _, cold := range []bool{true, false} {
				b.Run(fmt.Sprintf("%d/%s/cold=%v", size, l.name, cold), func(b *testing.B) {
					runtime.LockOSThread()
					defer runtime.UnlockOSThread()
					v := learnt(b, size)
					c := compile(b, must(b)(l.make()), v)
					r := rand.New(rand.NewPCG(1, 1))
					tokens := 0
					var spent time.Duration
					for b.Loop() {
						if cold {
							c = compile(b, must(b)(l.make()), v)
						}
						s := c.Start()
						for left := 200; left > 0; left-- {
							if s.CanEnd() && r.IntN(4) == 0 {
								break
							}
							start := threadTime()
							m, err := s.Allowed(left)
							if err != nil {
								b.Fatal(err)
							}
							spent += threadTime() - start
							tokens++
							if m.Len == 0 {
								break
							}
							token := int32(-1)
							for token < 0 {
								if t := int32(r.IntN(v.size)); m.Len > v.size/50 && m.Has(t) {
									token = t
								} else if m.Len <= v.size/50 {
									all := tokensOf(m)
									token = all[r.IntN(len(all))]
								}
							}
							start = threadTime()
							if s, err = s.Next(token); err != nil {
								b.Fatal(err)
							}
							spent += threadTime() - start
						}
					}
					b.ReportMetric(float64(spent.Microseconds())/float64(tokens), "µs/token")
				})
			}
		}
	}
}

// BenchmarkCompile makes constraints of texts, the vocabulary being there.
func BenchmarkCompile(b *testing.B) {
	v := learnt(b, 8000)
	for _, l := range benchLanguages {
		b.Run(l.name, func(b *testing.B) {
			for b.Loop() {
				compile(b, must(b)(l.make()), v)
			}
		})
	}
}

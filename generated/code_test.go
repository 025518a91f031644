package generated_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/spec"
)

// longest is how many lines a generated function may have: what a person can still read in one go. Calls that are
// broken at 120 columns count as the lines that they take.
const longest = 90

// TestCode measures the generated packages as code, with -v: files, lines, the longest function, the time to generate
// and to build. Functions must stay readable.
func TestCode(t *testing.T) {
	specs, err := filepath.Glob("*/*.yaml")
	if err != nil || len(specs) == 0 {
		t.Fatal("no specs", err)
	}
	for _, path := range specs {
		m, err := spec.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := gen.Generate(m); err != nil {
			t.Fatal(err)
		}
		generating := time.Since(start)
		dir := filepath.Dir(path)
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		lines, most, where := 0, 0, ""
		fset := token.NewFileSet()
		for _, name := range files {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			lines += strings.Count(string(src), "\n")
			f, err := parser.ParseFile(fset, name, src, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				// The layout of the arena, and the list of what a pass with taps gives, are tables of one statement
				// behind a few: to look things up in, not to read.
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && len(fn.Body.List) > 2 && !lists(fn) {
					if n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1; n > most {
						most, where = n, fn.Name.Name
					}
				}
			}
		}
		if most > longest {
			t.Errorf("%s: %s has %d lines, at most %d are allowed", dir, where, most, longest)
		}
		if testing.Verbose() {
			start = time.Now()
			// -a would build the standard library too; a changed flag builds this package alone.
			out, err := exec.Command("go", "build", "-gcflags=-d=panic=0", "./"+dir).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%-5s %d files, %d lines, longest function %s with %d lines, generated in %.0f ms, built in %.2f s",
				dir, len(files), lines, where, most, generating.Seconds()*1e3, time.Since(start).Seconds())
		}
	}
}

// lists reports whether a function declares variables and gives a list that is written out.
func lists(fn *ast.FuncDecl) bool {
	last := len(fn.Body.List) - 1
	for _, s := range fn.Body.List[:last] {
		if a, ok := s.(*ast.AssignStmt); !ok || a.Tok != token.DEFINE {
			return false
		}
	}
	r, ok := fn.Body.List[last].(*ast.ReturnStmt)
	if !ok || len(r.Results) != 1 {
		return false
	}
	_, ok = r.Results[0].(*ast.CompositeLit)
	return ok
}

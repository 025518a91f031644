package gen

import (
	"bufio"
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/spec"
)

// Bug is a mistake of the compiler: a spec that has been checked does not compile.
type Bug struct {
	Spec  string   // base name of the file
	Place string   // file:line of the layer that was compiled; may be empty
	Cause string   // one line
	Trace []string // where in the compiler, innermost first: "gen/op/matmul.go:40"
}

// Issues is where bugs are reported.
const Issues = "https://github.com/gradsmith/gradsmith/issues"

func newBug(m *spec.Model, f *graph.Fault) *Bug {
	b := &Bug{Spec: m.File, Place: f.Origin, Trace: trace(f.Stack)}
	// What failed may have quoted whole files, as the formatter of code does.
	b.Cause, _, _ = strings.Cut(strings.TrimSpace(fmt.Sprint(f.Cause)), "\n")
	return b
}

func (b *Bug) Error() string {
	place := b.Place
	if place == "" {
		place = b.Spec
	}
	version := fmt.Sprintf("gradsmith %s, %s", Version, runtime.Version())
	if len(b.Trace) > 0 {
		version += ", at " + strings.Join(b.Trace, " ")
	}
	return fmt.Sprintf("gradsmith has a bug: %s: the spec is valid, but cannot be compiled: %s; please report it at "+
		"%s, with the spec and this line (%s)", place, b.Cause, Issues, version)
}

// trace lists the innermost places in this module of a stack's text, those of the machinery of faults left out.
func trace(stack []byte) []string {
	const module, most = "github.com/gradsmith/gradsmith/", 4
	var places []string
	dir := "" // of the function whose place is on the next line
	for s := bufio.NewScanner(bytes.NewReader(stack)); s.Scan() && len(places) < most; {
		line, place := strings.CutPrefix(s.Text(), "\t")
		if !place {
			if dir = ""; strings.HasPrefix(line, module) {
				slash := strings.LastIndex(line[:strings.IndexAny(line+"(", "(")], "/")
				pkg, _, _ := strings.Cut(line[slash+1:], ".")
				dir = line[len(module):slash+1] + pkg
			}
			continue
		}
		line, _, _ = strings.Cut(filepath.Base(line), " ")
		if dir != "" && !strings.HasPrefix(line, "fault.go:") {
			places = append(places, dir+"/"+line)
		}
	}
	return places
}

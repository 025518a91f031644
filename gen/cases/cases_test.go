package cases

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/spec"
)

var update = flag.Bool("update", false, "write the golden files of the cases anew")

// TestCases holds what the compiler makes of the specs in the folders of this package: the graphs in text form after
// each stage, and the files. The packages there are compiled and tested with all others; this one imports none of
// them, so that it can write them anew when they no longer compile.
func TestCases(t *testing.T) {
	dirs, err := filepath.Glob("*/model.yaml")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range dirs {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			m, err := spec.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			files, err := gen.Generate(m)
			if err != nil {
				t.Fatal(err)
			}
			for _, stage := range gen.Stages {
				text, err := gen.Dump(m, stage)
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, gen.File{Name: stage + ".txt", Data: []byte(text)})
			}
			for _, f := range files {
				name := filepath.Join(dir, f.Name)
				if *update {
					if err := os.WriteFile(name, f.Data, 0o644); err != nil {
						t.Fatal(err)
					}
					continue
				}
				want, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if string(want) != string(f.Data) {
					t.Errorf("%s is not what the compiler gives: look at the difference, then run go generate "+
						"./gen/cases", name)
				}
			}
		})
	}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/spec"
)

func newGenerate() *cobra.Command {
	var out, stage string
	var overwrite bool
	cmd := &cobra.Command{
		Use:   "generate SPEC...",
		Short: "Generate the Go package of a spec",
		Long: `Generate writes the Go package of a spec, beside the spec or into the folder given by --out,
and removes what an earlier run left there and is no longer part of it. Either all files
are written or none; what a run that was killed has begun, the next one ends.

It touches no file that it did not generate, nor one that was changed since, unless
--overwrite says so: it knows its own by their names, their first lines and a digest.

With --dump it writes nothing and prints the graph after a stage of the compiler:
build (forward pass), grad (with gradients), optimize, plan (with places in memory).`,
		Example: `  gradsmith generate poet.yaml
  gradsmith generate poet.yaml --dump optimize`,
		Args:              cli.Args("SPEC..."),
		ValidArgsFunction: specs,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if stage != "" && !slices.Contains(gen.Stages, stage) {
				return fmt.Errorf("--dump: there is no stage %q; the stages are %s", stage,
					strings.Join(gen.Stages, ", "))
			}
			if out != "" && len(paths) > 1 {
				return errors.New("--out takes the package of one spec; call generate for each")
			}
			for _, path := range paths {
				m, err := spec.Load(path)
				if err != nil {
					return err
				}
				if stage != "" {
					text, err := gen.Dump(m, stage)
					if err != nil {
						return fmt.Errorf("%s: %w", path, err)
					}
					fmt.Fprint(cmd.OutOrStdout(), text)
					continue
				}
				dir := out
				if dir == "" {
					dir = filepath.Dir(path)
				}
				work := cli.NewWork(cmd.ErrOrStderr(), "compiling "+path)
				err = generate(m, path, dir, overwrite)
				work.End()
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "folder of the package (default: the spec's)")
	cmd.Flags().StringVar(&stage, "dump", "",
		"print the graph after a `STAGE` and write nothing: "+strings.Join(gen.Stages, ", "))
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "write over generated files that were changed since")
	err := errors.Join(
		cmd.MarkFlagDirname("out"),
		cmd.RegisterFlagCompletionFunc("dump", cobra.FixedCompletions(gen.Stages, cobra.ShellCompDirectiveNoFileComp)),
	)
	if err != nil {
		panic(err) // the flags are defined two lines above
	}
	return cmd
}

// generate writes the package of the model m, whose spec is at path, into dir. With overwrite it also writes over
// generated files that were changed by hand.
func generate(m *spec.Model, path, dir string, overwrite bool) error {
	generated, err := gen.Generate(m)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return install(m, generated, dir, overwrite)
}

// install makes a package of dir, of what was generated.
func install(m *spec.Model, generated []gen.File, dir string, overwrite bool) error {
	if !files.Interrupted(dir) {
		// Fresh code is left alone, also where nothing can be written.
		if changes, err := changesOf(m, generated, dir, overwrite); err != nil || len(changes) == 0 {
			return err
		}
	}
	stage, err := files.Begin(dir)
	if err != nil {
		return written(err)
	}
	defer stage.Close()
	changes, err := changesOf(m, generated, dir, overwrite)
	if err != nil {
		return err
	}
	return written(stage.Commit(changes))
}

// changesOf compares what is generated with what is in dir, and says what has to be done. It refuses what would lose
// something that the generator has not made.
func changesOf(m *spec.Model, generated []gen.File, dir string, overwrite bool) ([]files.Change, error) {
	old, err := generatedIn(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := otherPackage(m, dir, old); err != nil {
		return nil, err
	}
	var changes []files.Change
	fresh := map[string]bool{}
	for _, g := range generated {
		at := filepath.Join(dir, g.Name)
		fresh[g.Name] = true
		was, ok := old[g.Name]
		if !ok {
			if _, err := os.Lstat(at); err == nil {
				return nil, fmt.Errorf("%s is not generated code, so generate does not write over it; move it away", at)
			}
			changes = append(changes, files.Change{Name: g.Name, Data: g.Data})
			continue
		}
		if bytes.Equal(was.data, g.Data) {
			continue
		}
		if err := was.mayGo(at, m.File, dir, overwrite); err != nil {
			return nil, err
		}
		changes = append(changes, files.Change{Name: g.Name, Data: g.Data})
	}
	for name, was := range old {
		if fresh[name] || !was.mayMakeWay(m.File, dir) {
			continue
		}
		if err := was.mayGo(filepath.Join(dir, name), m.File, dir, overwrite); err != nil {
			return nil, err
		}
		changes = append(changes, files.Change{Name: name, Remove: true})
	}
	return changes, nil
}

// otherPackage refuses a folder in which people keep a Go package of another name: the two could not be compiled.
func otherPackage(m *spec.Model, dir string, generated map[string]generatedFile) error {
	entries, err := files.ReadDir(dir)
	if err != nil {
		return nil // the folder is yet to be made
	}
	for _, e := range entries {
		name := e.Name()
		if _, ours := generated[name]; ours || filepath.Ext(name) != ".go" || e.IsDir() {
			continue
		}
		if ok, err := build.Default.MatchFile(dir, name); err != nil || !ok {
			continue // it takes no part in the package, as a file that begins with go:build ignore
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.PackageClauseOnly)
		if err != nil {
			continue // the go command will say what is wrong with it
		}
		pkg := f.Name.Name
		if strings.HasSuffix(name, "_test.go") {
			pkg = strings.TrimSuffix(pkg, "_test")
		}
		if pkg != m.Name && pkg != "documentation" {
			return fmt.Errorf("%s holds the Go package %s (%s), and %s gives the package %s: choose another folder "+
				"with --out, or write `name: %s` into the spec", dir, f.Name.Name, name, m.File, m.Name, pkg)
		}
	}
	return nil
}

// generatedFile is a file that the generator, or an earlier version of it, has written.
type generatedFile struct {
	spec    string // that it was generated from
	changed bool   // by somebody, since then
	data    []byte
}

// mayMakeWay tells whether a file that was generated from one spec may make way for the package of another: its own, or
// one that is gone, which is a spec that got a new name.
func (f generatedFile) mayMakeWay(by, dir string) bool {
	if f.spec == by {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, f.spec))
	return errors.Is(err, fs.ErrNotExist)
}

// mayGo reports why the file at path may not be replaced or removed for the package of the spec by.
func (f generatedFile) mayGo(path, by, dir string, overwrite bool) error {
	if !f.mayMakeWay(by, dir) {
		return fmt.Errorf("%s was generated from %s; a folder holds the package of one spec, so choose another one "+
			"for %s with --out", path, f.spec, by)
	}
	if f.changed && !overwrite {
		return fmt.Errorf("%s was changed since it was generated, and the change would be lost; move it away, or "+
			"write over it with --overwrite", path)
	}
	return nil
}

// generatedIn lists the generated files of a folder by their names.
func generatedIn(dir string) (map[string]generatedFile, error) {
	entries, err := files.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", dir, cause(err))
	}
	found := map[string]generatedFile{}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		f, err := readGenerated(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if f.spec != "" {
			found[e.Name()] = f
		}
	}
	return found, nil
}

// readGenerated reads a file if it is generated code; its spec is empty if it is not.
func readGenerated(path string) (generatedFile, error) {
	name := filepath.Base(path)
	if !gen.Writes(name) {
		return generatedFile{}, nil
	}
	data, err := files.ReadFile(path)
	if err != nil {
		return generatedFile{}, fmt.Errorf("%s cannot be read: %w", path, cause(err))
	}
	from, changed := gen.Written(name, data)
	return generatedFile{from, changed, data}, nil
}

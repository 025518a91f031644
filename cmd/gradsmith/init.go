package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/spec"
)

// templates holds the files that init writes: a spec for each model to begin with, and the program and the go:generate
// line for all.
//
//go:embed templates
var templates embed.FS

// goVersion is the version of the language in the go.mod that init writes; generated code needs no newer one.
const goVersion = "1.26"

const self = "github.com/gradsmith/gradsmith"

// beginning is a model that init can begin with.
type beginning struct {
	kind string
	as   string // word of the flag --as; empty where the kind has one model to begin with
	doc  string // what the model does
	does string // what its program does beside training
	use  []string
}

// template is the name of the spec's template.
func (b *beginning) template() string {
	if b.as == "" {
		return "templates/" + b.kind + "/model.yaml.tmpl"
	}
	return "templates/" + b.kind + "/" + b.as + ".yaml.tmpl"
}

// beginnings holds the models, of each kind the one first that stands for it.
var beginnings = []beginning{
	{"rnn", "", "continues a text", "writes text with it", []string{"train --data TEXT", `sample --prompt "It was"`}},
	{"attention", "gpt", "continues a text: a decoder", "writes text with it",
		[]string{"train --data TEXT", `sample --prompt "It was"`}},
	{"attention", "bert", "restores masked tokens: an encoder", "restores masked text with it",
		[]string{"train --data TEXT", "fill"}},
	{"attention", "translate", "answers a line with another: an encoder and a decoder", "answers lines with it",
		[]string{"train --data PAIRS", "translate"}},
	{"vae", "vectors", "an autoencoder of vectors, such as small images", "samples from it",
		[]string{"train --data VECTORS", "sample"}},
	{"vae", "sentences", "an autoencoder of sentences", "samples from it",
		[]string{"train --data SENTENCES", "sample"}},
	{"gan", "vectors", "makes vectors like those of the data: a generator and a discriminator", "makes vectors with it",
		[]string{"train --data VECTORS", "sample", "score --data VECTORS"}},
	{"gan", "lines", "writes lines like those of the data: a generator and a discriminator", "writes lines with it",
		[]string{"train --data LINES", "sample", "score --data LINES"}},
}

// beginningOf finds the model of a kind.
func beginningOf(kind, as string) (*beginning, error) {
	var words []string
	known := false
	for i, b := range beginnings {
		if b.kind != kind {
			continue
		}
		if as == b.as || as == "" {
			return &beginnings[i], nil
		}
		known = true
		if b.as != "" {
			words = append(words, b.as)
		}
	}
	switch {
	case !known:
		meant := spec.KindMeant(kind)
		if meant != "" {
			meant = fmt.Sprintf("did you mean %q? ", meant)
		}
		return nil, fmt.Errorf("there is no kind %q of model; %sthe kinds are: %s", kind, meant,
			strings.Join(spec.Kinds(), ", "))
	case words == nil:
		return nil, fmt.Errorf("--as: kind %s has one model to begin with; leave the flag out", kind)
	}
	return nil, fmt.Errorf("--as: kind %s has no model %q to begin with; the models are: %s", kind, as,
		strings.Join(words, ", "))
}

func newInit() *cobra.Command {
	var modulePath, name, as string
	var list strings.Builder
	for _, b := range beginnings {
		word := b.kind
		if b.as != "" {
			word += " --as " + b.as
		}
		fmt.Fprintf(&list, "\n  %-26s %s", word, b.doc)
	}
	cmd := &cobra.Command{
		Use:   "init KIND DIR",
		Short: "Write a spec, a go:generate line and a program to begin with",
		Long: fmt.Sprintf(`Init writes a package to begin with into DIR: a spec with comments, the line that
go generate runs, a program that trains the model and puts it to use, and a schema for
editors. It overwrites nothing.

DIR lies in a Go module; with --module it becomes one.

Models to begin with:%s`, list.String()),
		Example: `  gradsmith init rnn poet
  gradsmith init rnn poet --module example.com/poet
  gradsmith init attention english2german --as translate`,
		Args: cli.Args("KIND", "DIR"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return spec.Kinds(), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := beginningOf(args[0], as)
			if err != nil {
				return err
			}
			s, err := newStart(b, args[1], name, modulePath)
			if err != nil {
				return err
			}
			if err := s.write(); err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), s.explanation())
			return nil
		},
	}
	cmd.Flags().StringVar(&modulePath, "module", "", "make DIR a module of its own with this `PATH`")
	cmd.Flags().StringVar(&as, "as", "", "the `MODEL` of the kind to begin with (default: the first of the kind)")
	if err := cmd.RegisterFlagCompletionFunc("as",
		func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var words []string
			for _, b := range beginnings {
				if b.as != "" && (len(args) == 0 || args[0] == b.kind) {
					words = append(words, b.as)
				}
			}
			return words, cobra.ShellCompDirectiveNoFileComp
		}); err != nil {
		panic(err) // the flag is there
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the package and of the spec (default: the last part of DIR)")
	return cmd
}

// start is a package to begin with.
type start struct {
	dir       string // as the user wrote it
	newModule string // path of the module that dir becomes; empty when it lies in one
	required  bool   // the module has gradsmith as a tool already
	command   string // that writes it
	generated bool   // the generated code is among the files
	files     []file
	notes     []string // what each file is for; empty for one that is not listed

	// What templates use.
	Name     string // of the package
	Import   string // path of the package
	App      string // name by which the program imports package app; another one when that is the name of the package
	Schema   string // file of the schema
	Generate string // argument of go generate, with a blank before it
	Does     string // what the program does beside training
	Use      []string
	// Checkpoint is the file of parameters that the model comes with; empty without one.
	Checkpoint string
	// Chat and System are how a server writes conversations of the model; empty where nothing is known.
	Chat, System string
}

// newStart works out what init writes; it writes nothing.
func newStart(b *beginning, dir, name, modulePath string) (*start, error) {
	s, err := locate(dir, name, modulePath)
	if err != nil {
		return nil, err
	}
	s.command, s.Does, s.Use = "init", b.does, b.use
	model, err := s.execute(b.template())
	if err != nil {
		return nil, err
	}
	s.add(s.Name+".yaml", "the model and its training", model)
	if err := s.around(); err != nil {
		return nil, err
	}
	// A name that cannot be a package's is found by the language itself.
	if _, err := spec.Parse(s.files[0].path, s.files[0].data, nil); err != nil {
		return nil, badName(s.Name)
	}
	return s, nil
}

func badName(name string) error {
	return fmt.Errorf(
		"%q cannot be the name of a package; choose another one with --name, of lower-case letters, digits "+
			"and underscores, a letter first", name)
}

// locate finds the module that a new package lies in, or is to become.
func locate(dir, name, modulePath string) (*start, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &start{dir: filepath.Clean(dir), Name: name, Schema: "spec.schema.json", newModule: modulePath}
	if s.Name == "" {
		s.Name = filepath.Base(abs)
	}
	s.App = "app"
	if s.Name == s.App {
		s.App = "program"
	}
	inside := ""
	if modulePath != "" {
		if err := module.CheckImportPath(modulePath); err != nil {
			return nil, fmt.Errorf("--module: %w", err)
		}
		if at, _, err := findModule(abs); err == nil && at == abs {
			return nil, fmt.Errorf("%s is already a module; leave out --module", dir)
		}
	} else {
		root, mod, err := findModule(abs)
		if err != nil {
			return nil, err
		}
		modulePath = mod.path
		s.required = mod.knows
		inside, err = filepath.Rel(root, abs)
		if err != nil {
			return nil, err
		}
	}
	s.Import = path.Join(modulePath, filepath.ToSlash(inside))
	if err := module.CheckImportPath(s.Import); err != nil {
		return nil, fmt.Errorf("%s cannot be a Go package: %w", dir, err)
	}
	s.Generate = " " + s.local("")
	if s.newModule != "" {
		s.Generate = " ./..."
	}

	return s, nil
}

// add adds a file, by its name in the package's folder.
func (s *start) add(name, note string, data []byte) {
	s.files = append(s.files, file{path: filepath.Join(s.dir, filepath.FromSlash(name)), data: data})
	s.notes = append(s.notes, note)
}

// around adds what stands around a spec: the line of go generate, the program, the schema, the module.
func (s *start) around() error {
	generate, err := s.execute("templates/generate.go.tmpl")
	if err != nil {
		return err
	}
	s.add("generate.go", "the line that go generate runs", generate)
	program, err := s.execute("templates/main.go.tmpl")
	if err != nil {
		return err
	}
	s.add("cmd/"+s.Name+"/main.go", "the program that trains it and "+s.Does, program)
	s.add(s.Schema, "for editors, which complete and check the spec", spec.Schema())
	if s.newModule != "" {
		s.add("go.mod", "the module", fmt.Appendf(nil, "module %s\n\ngo %s\n", s.newModule, goVersion))
	}
	return nil
}

func (s *start) execute(name string) ([]byte, error) {
	t, err := template.New(path.Base(name)).Funcs(template.FuncMap{"literal": literal}).ParseFS(templates, name)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, s); err != nil {
		return nil, err
	}
	if strings.HasSuffix(name, ".go.tmpl") {
		if out, err := format.Source(b.Bytes()); err == nil {
			return out, nil
		}
		// The name is not an identifier, which newStart reports in words.
	}
	return b.Bytes(), nil
}

// literal is a text as an expression of Go, in several lines where it is long.
func literal(text string) string {
	var lines []string
	for len(text) > 0 {
		n := len(text)
		if n > 90 {
			n = 90
			if blank := strings.LastIndexByte(text[:n], ' '); blank > 0 {
				n = blank + 1
			}
			for n < len(text) && !utf8.RuneStart(text[n]) {
				n++
			}
		}
		lines = append(lines, strconv.Quote(text[:n]))
		text = text[n:]
	}
	return strings.Join(lines, " +\n\t\t")
}

// write writes the files, all of them, unless one of them is there.
func (s *start) write() error {
	stage, err := files.Begin(s.dir)
	if err != nil {
		return written(err)
	}
	defer stage.Close()
	var changes []files.Change
	for _, f := range s.files {
		if _, err := os.Lstat(f.path); err == nil {
			return fmt.Errorf("%s exists; %s overwrites nothing, so choose another folder or move it away", f.path,
				s.command)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s cannot be written: %w", f.path, cause(err))
		}
		name, err := filepath.Rel(s.dir, f.path)
		if err != nil {
			return err
		}
		changes = append(changes, files.Change{Name: filepath.ToSlash(name), Data: f.data, Write: f.write})
	}
	return written(stage.Commit(changes))
}

// file is a file to be written.
type file struct {
	path  string
	data  []byte
	write func(io.Writer) error // in place of data, of a large file
}

// local is a path in the package as the go command takes it: with ./ before it, so that it is not an import path.
func (s *start) local(inside string) string {
	p := filepath.ToSlash(filepath.Join(s.dir, inside))
	if s.newModule != "" {
		p = path.Join(".", inside)
	}
	if !path.IsAbs(p) && !strings.HasPrefix(p, "../") && p != "." && p != ".." {
		p = "./" + p
	}
	return p
}

// explanation says what was written and what to do next.
func (s *start) explanation() string {
	var b strings.Builder
	width := 0
	for i, f := range s.files {
		if s.notes[i] != "" {
			width = max(width, len(f.path))
		}
	}
	for i, f := range s.files {
		if s.notes[i] != "" {
			fmt.Fprintf(&b, "%-*s  %s\n", width, f.path, s.notes[i])
		}
	}
	b.WriteString("\nNext:\n")
	if s.newModule != "" {
		fmt.Fprintf(&b, "  cd %s\n", s.dir)
	}
	if !s.required {
		fmt.Fprintf(&b, "  go get -tool %s/cmd/gradsmith\n", self)
	}
	if !s.generated {
		fmt.Fprintf(&b, "  go generate%s\n", s.Generate)
	}
	program := s.local("cmd/" + s.Name)
	for _, use := range s.Use {
		fmt.Fprintf(&b, "  go run %s %s\n", program, use)
	}
	return b.String()
}

// goModule is what init needs to know of a go.mod.
type goModule struct {
	path  string
	knows bool // it has gradsmith as a tool, with all that running it needs, or is gradsmith
}

// findModule looks for the module that dir, which need not exist, lies in, and returns its folder.
func findModule(dir string) (root string, mod goModule, err error) {
	for at := dir; ; at = filepath.Dir(at) {
		name := filepath.Join(at, "go.mod")
		data, err := os.ReadFile(name)
		if err == nil {
			f, err := modfile.ParseLax(name, data, nil)
			if err != nil {
				return "", mod, err
			}
			if f.Module == nil {
				return "", mod, fmt.Errorf("%s has no module line", name)
			}
			mod.path = f.Module.Mod.Path
			mod.knows = mod.path == self
			for _, t := range f.Tool {
				mod.knows = mod.knows || t.Path == self+"/cmd/gradsmith"
			}
			return at, mod, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !isNotDir(err) {
			return "", mod, fmt.Errorf("%s cannot be read: %w", name, cause(err))
		}
		if at == filepath.Dir(at) {
			return "", mod, fmt.Errorf("%s lies in no Go module; run `go mod init example.com/mine` first, or make "+
				"it a module with --module example.com/mine", dir)
		}
	}
}

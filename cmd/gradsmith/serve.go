package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/files"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve PACKAGE[=CHECKPOINT]...",
		Short: "Answer HTTP requests with the models of several packages",
		Long: `Serve builds a program of the generated packages and runs it: one process that answers HTTP requests
with all of their models, in the API of OpenAI. /v1/models lists them, and a request says which it
means by its member model; the first one is that of requests that say none. A page to try them is at /.

PACKAGE is a folder or an import path. The checkpoint of a model is NAME.safetensors in the current
folder unless it is given. The packages must be of the current module, or ones that it requires.

SIGHUP reads the checkpoints and the keys again, without dropping a request. A program of one model
has the same command itself.`,
		Example: `  gradsmith serve ./poet ./names
  gradsmith serve ./poet=poet.best.safetensors ./names --address localhost:9000`,
		Args: cli.Args("PACKAGE[=CHECKPOINT]..."),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			var packages []*servedPackage
			var flags []string
			for _, arg := range args {
				path, checkpoint, given := strings.Cut(arg, "=")
				p, err := findPackage(ctx, path)
				if err != nil {
					return err
				}
				for _, other := range packages {
					if other.Path == p.Path {
						return fmt.Errorf("%s is given twice", arg)
					}
					if other.Name == p.Name {
						return fmt.Errorf("%s and %s have the same name %s, by which requests tell models apart",
							other.Path, p.Path, p.Name)
					}
				}
				packages = append(packages, p)
				if given {
					flags = append(flags, "--model", p.Name+"="+checkpoint)
				}
			}
			cmd.Flags().Visit(func(f *pflag.Flag) { flags = append(flags, "--"+f.Name+"="+f.Value.String()) })
			dir, remove, err := files.Scratch("gradsmith-serve")
			if err != nil {
				return err
			}
			defer remove()
			binary, err := buildServer(ctx, dir, packages)
			if err != nil {
				return err
			}
			return runServer(cmd, binary, flags)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	app.ServeFlags(fs)
	return cmd
}

// servedPackage is a package with a model, as the go command lists it.
type servedPackage struct {
	Path    string `json:"ImportPath"`
	Name    string
	Dir     string
	GoFiles []string
}

// findPackage finds a generated package.
func findPackage(ctx context.Context, arg string) (*servedPackage, error) {
	if info, err := os.Stat(arg); err == nil && info.IsDir() && !filepath.IsAbs(arg) {
		arg = "./" + filepath.ToSlash(filepath.Clean(arg)) // a folder, which the go command must not look for elsewhere
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Name,Dir,GoFiles", "--", arg).Output()
	if err != nil {
		return nil, fmt.Errorf("%s is no package: %w", arg, toolError(err))
	}
	p := new(servedPackage)
	d := json.NewDecoder(strings.NewReader(string(out)))
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("%s: go list: %w", arg, err)
	}
	switch {
	case d.More():
		return nil, fmt.Errorf("%s is more than one package: name each", arg)
	case p.Name == "main":
		return nil, fmt.Errorf("%s is a program: name the package with the model that it imports", arg)
	case !p.hasProgram():
		return nil, fmt.Errorf("%s is no package that gradsmith has generated: it has no function Program", arg)
	}
	return p, nil
}

// hasProgram is whether the package says what the commands need to know of its model.
func (p *servedPackage) hasProgram() bool {
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "Program" {
				return true
			}
		}
	}
	return false
}

// toolError is the first line of what a tool said, or else what became of it.
func toolError(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if line, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n"); line != "" {
			return errors.New(line)
		}
	}
	return err
}

// buildServer builds the program that serves the packages. Its source stands in a folder of the module for the go
// command alone, which an overlay tells so: nothing is written to the module.
func buildServer(ctx context.Context, dir string, packages []*servedPackage) (binary string, err error) {
	var source strings.Builder
	source.WriteString("package main\n\nimport (\n\t\"github.com/gradsmith/gradsmith/runtime/app\"\n")
	for i, p := range packages {
		fmt.Fprintf(&source, "\tmodel%d %q\n", i, p.Path)
	}
	source.WriteString(")\n\nfunc main() {\n\tapp.MainServe(")
	for i := range packages {
		fmt.Fprintf(&source, "model%d.Program(), ", i)
	}
	source.WriteString(")\n}\n")
	main := filepath.Join(dir, "main.go")
	if err := files.WriteFile(main, []byte(source.String())); err != nil {
		return "", err
	}
	home, err := home(ctx, packages)
	if err != nil {
		return "", err
	}
	at := filepath.Join(home, "gradsmith_serve")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(at, "main.go"): main}})
	if err != nil {
		return "", err
	}
	if err := files.WriteFile(filepath.Join(dir, "overlay.json"), overlay); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "serve.exe")
	build := exec.CommandContext(ctx, "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, at)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the server cannot be built: %s", strings.TrimSpace(string(out)))
	}
	return binary, nil
}

// home is a folder of the main module from where the packages can be imported, internal ones too: the deepest one that
// has all of them, or the module's own.
func home(ctx context.Context, packages []*servedPackage) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", toolError(err)
	}
	root := filepath.Dir(strings.TrimSpace(string(out)))
	if filepath.Base(strings.TrimSpace(string(out))) != "go.mod" {
		return "", errors.New("there is no go.mod here: serve builds a program of packages of a module")
	}
	within := func(dir, path string) bool {
		rel, err := filepath.Rel(dir, path)
		return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
	}
	common := packages[0].Dir
	for _, p := range packages[1:] {
		for !within(common, p.Dir) && within(root, common) {
			common = filepath.Dir(common)
		}
	}
	if !within(root, common) {
		return root, nil
	}
	return common, nil
}

// runServer runs the program, until it ends. Signals are for it.
func runServer(cmd *cobra.Command, binary string, flags []string) error {
	c := exec.Command(binary, flags...)
	c.Stdout, c.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
	detach(c)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, passed...)
	defer signal.Stop(signals)
	if err := c.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for {
		select {
		case s := <-signals:
			c.Process.Signal(s)
		case err := <-ended:
			if _, is := errors.AsType[*exec.ExitError](err); is {
				return errReported
			}
			return err
		}
	}
}

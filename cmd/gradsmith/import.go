package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/cmd/gradsmith/internal/interchange"
	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
)

// weightsFile is the file of an imported package with its parameters. A training of it writes another one.
const weightsFile = "pretrained.safetensors"

func newImport() *cobra.Command {
	var out, name, modulePath, as string
	var adapters []string
	var o interchange.Options
	cmd := &cobra.Command{
		Use:   "import DIR|FILE.gguf",
		Short: "Make a package of a published checkpoint",
		Long: fmt.Sprintf(`Import reads a checkpoint in the form of the Hugging Face hub: a folder with config.json, the
weights in one or several *.safetensors, and the tokenizer. It writes a package into the folder
given by --out: a spec of the model in the language of specs, the tokenizer, the weights, the
generated code, a program, and a report of what became of each tensor. It overwrites nothing.

Known are:
  %s

A GGUF file of GPT-2, Llama, Qwen 2 or 3, Gemma 1 to 3, GPT-NeoX or T5 is read as well, with
numbers of the types F32, F16, BF16, Q8_0, Q4_0, Q4_K and Q6_K.

A key of config.json or a tensor that it does not know may change what the model computes, so
it is an error, which names it.`, strings.Join(interchange.Models(), "\n  ")),
		Example: `  gradsmith import ./SmolLM-135M -o smol
  go run ./smol/cmd/smol sample --prompt "Once upon a time"`,
		Args: cli.Args("DIR"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return errors.New("--out is missing: name the folder of the package, which is made")
			}
			var err error
			if o.Type, err = checkpoint.ParseType(as); err != nil {
				return fmt.Errorf("--type: %w", err)
			}
			if cli.Given(cmd.Flags(), "steps") && o.Steps < 1 {
				return fmt.Errorf("--steps %d: give 1 or more", o.Steps)
			}
			if o.Rank, o.Adapt, err = adapting(adapters); err != nil {
				return err
			}
			s, err := locate(out, name, modulePath)
			if err != nil {
				return err
			}
			o.Name = s.Name
			if !packageName(s.Name) {
				return badName(s.Name)
			}
			m, err := interchange.Read(args[0], o)
			if err != nil {
				return err
			}
			defer m.Close()
			work := cli.NewWork(cmd.ErrOrStderr(), "importing "+args[0])
			err = s.imported(m)
			if err == nil {
				err = s.write()
			}
			work.End()
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d tensors, %s parameters; %d tensors are not needed\n\n%s", m.Tensors,
				cli.Thousands(m.Params), m.Aside, s.explanation())
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringVarP(&out, "out", "o", "", "`FOLDER` of the package")
	fs.StringVar(&name, "name", "", "name of the package and of the spec (default: the last part of the folder)")
	fs.StringVar(&modulePath, "module", "", "make the folder a module of its own with this `PATH`")
	fs.IntVar(&o.Steps, "steps", 0,
		fmt.Sprintf("tokens of a window (default: as many as the model was made for, at most %d)",
			interchange.DefaultSteps))
	fs.StringVar(&as, "type", "f32", "of the numbers that are written: f32, or bf16, which rounds")
	fs.StringArrayVar(&o.Ignore, "ignore", nil, "leave this `KEY` of config.json aside; may be given several times")
	fs.StringArrayVar(&adapters, "adapter", nil, "`RANK` of a low-rank adapter that train learns in place of the "+
		"parameters, of all matrices; or the folder of an adapter of the PEFT library, several times for several")
	if err := cmd.MarkFlagDirname("out"); err != nil {
		panic(err) // the flag is there
	}
	return cmd
}

// adapting reads --adapter: a rank, or folders.
func adapting(values []string) (rank int, dirs []string, err error) {
	for _, v := range values {
		n, err := strconv.Atoi(v)
		switch {
		case err != nil && v == "":
			return 0, nil, errors.New("--adapter: give a rank, or the folder of an adapter")
		case err != nil:
			dirs = append(dirs, v)
		case n < 1 || len(values) > 1:
			return 0, nil, fmt.Errorf("--adapter %s: give the rank, 1 or more, once; or folders of adapters "+
				"(./%s for one of that name)", v, v)
		default:
			rank = n
		}
	}
	return rank, dirs, nil
}

// packageName tells whether a name can be that of a package, as far as files are named after it.
func packageName(s string) bool {
	for i, c := range s {
		if !(c >= 'a' && c <= 'z' || c == '_' && i > 0 || c >= '0' && c <= '9' && i > 0) {
			return false
		}
	}
	return s != ""
}

// imported adds the files of a package that was imported.
func (s *start) imported(m *interchange.Import) error {
	s.command, s.generated = "import", true
	s.Does, s.Use = "writes text with it", []string{`sample --prompt "Once upon a time"`, "train --data TEXT"}
	if m.Model.EncoderDecoder() {
		s.Does, s.Use = "answers lines with it", []string{"translate", "train --data PAIRS"}
	}
	if m.Model.Masking != nil {
		s.Does, s.Use = "fills in masked tokens with it", []string{`fill "Once upon a [MASK]"`, "train --data TEXT"}
	}
	s.Chat, s.System = m.Chat.Template, m.Chat.System
	s.Checkpoint = weightsFile
	if s.newModule == "" {
		s.Checkpoint = filepath.ToSlash(filepath.Join(s.dir, weightsFile))
	}
	s.add(s.Name+".yaml", "the model", m.Spec)
	s.add(m.TokenizerFile, "its tokenizer", m.Tokenizer)
	if m.SourceFile != "" {
		s.add(m.SourceFile, "the tokenizer of what it reads", m.Source)
	}
	s.add(interchange.ReportFile(s.Name), "what became of each tensor", m.Report)
	s.add(weightsFile, "the parameters", nil)
	s.files[len(s.files)-1].write = m.Weights
	for _, a := range m.Adapters {
		s.add(a.Name, "an adapter, for the flag --adapter", nil)
		s.files[len(s.files)-1].write = a.Write
	}
	if err := s.around(); err != nil {
		return err
	}
	generated, err := gen.Generate(m.Model)
	if err != nil {
		return err
	}
	for _, f := range generated {
		s.add(f.Name, "", f.Data)
	}
	return nil
}

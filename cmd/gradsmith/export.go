package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/cmd/gradsmith/internal/gguf"
	"github.com/gradsmith/gradsmith/cmd/gradsmith/internal/interchange"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/spec"
)

func newExport() *cobra.Command {
	var file, model, as string
	cmd := &cobra.Command{
		Use:   "export SPEC",
		Short: "Write a trained model in the form of another program",
		Long: fmt.Sprintf(`Export writes a model with its parameters and its tokenizer for another program:
--gguf for llama.cpp, Ollama and LM Studio. SPEC is a spec, or the folder of a package.

A model fits where that program computes the same; its architecture is found by itself: %s.
What does not fit is an error that names it.`, strings.Join(interchange.GGUFArchitectures(), ", ")),
		Example: `  gradsmith export smol --gguf smol.gguf
  gradsmith export smol --gguf smol.gguf --type f16`,
		Args:              cli.Args("SPEC"),
		ValidArgsFunction: specs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return errors.New("--gguf is missing: name the file to write")
			}
			typ, err := gguf.ParseType(as)
			if err != nil {
				return fmt.Errorf("--type: %w", err)
			}
			path, err := specIn(args[0])
			if err != nil {
				return err
			}
			m, err := spec.Load(path)
			if err != nil {
				return err
			}
			if model == "" {
				if model, err = checkpointOf(path, m.Name); err != nil {
					return err
				}
			}
			if files.Same(file, model) || files.Same(file, path) {
				return fmt.Errorf("--gguf %s would write over what is read", file)
			}
			g, err := interchange.NewGGUF(m, model, typ)
			if err != nil {
				return err
			}
			defer g.Close()
			if err := written(files.Write(file, g.Write)); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s as architecture %s, %d tensors\n", file, model, g.Architecture,
				g.Tensors)
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&file, "gguf", "", "`FILE` for llama.cpp")
	fs.StringVar(&model, "model", "",
		"checkpoint `FILE` (default: NAME.safetensors here or beside the spec, else what was imported)")
	fs.StringVar(&as, "type", "f32", "of the matrices: f32, f16 or bf16")
	return cmd
}

// specIn is the spec that a path names: itself, or the one in a folder.
func specIn(path string) (string, error) {
	info, err := files.Stat(path)
	if err != nil || !info.IsDir() {
		return path, nil // of which reading says what is wrong
	}
	var found []string
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		some, err := filepath.Glob(filepath.Join(path, pattern))
		if err != nil {
			return "", err
		}
		found = append(found, some...)
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%s has %d specs (*.yaml); name the one that is meant", path, len(found))
	}
	return found[0], nil
}

// checkpointOf finds the checkpoint of a spec.
func checkpointOf(path, name string) (string, error) {
	beside := filepath.Dir(path)
	for _, p := range []string{name + ".safetensors", filepath.Join(beside, name+".safetensors"),
		filepath.Join(beside, weightsFile)} {
		if _, err := files.Stat(p); err == nil {
			return p, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s cannot be read: %w", p, cause(err))
		}
	}
	return "", fmt.Errorf("there is no checkpoint %s.safetensors, here or beside %s: name one with --model", name, path)
}

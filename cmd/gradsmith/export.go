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
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/spec"
)

func newExport() *cobra.Command {
	var file, folder, graph, part, model, adapter, as string
	cmd := &cobra.Command{
		Use:   "export SPEC",
		Short: "Write a trained model in the form of another program",
		Long: fmt.Sprintf(`Export writes a model with its parameters and its tokenizer for another program:
--gguf for llama.cpp, Ollama and LM Studio, --huggingface for transformers and all that reads the
folders of the Hugging Face hub, --onnx for ONNX Runtime and others. SPEC is a spec, or the folder
of a package.

Every model has a form in ONNX. Of an autoencoder --part is decoder or encoder, of adversarial
networks generator or discriminator; the first of them is what is written without it.

For the other two a model fits where that program computes the same; its architecture is found by
itself: %s.
Folders have the first five of these, mistral and bert; with --adapter they are of the PEFT
library.
What does not fit is an error that names it.`, strings.Join(interchange.GGUFArchitectures(), ", ")),
		Example: `  gradsmith export smol --gguf smol.gguf
  gradsmith export smol --gguf smol.gguf --type f16
  gradsmith export smol --huggingface out
  gradsmith export smol --huggingface out --adapter notes.safetensors
  gradsmith export smol --onnx smol.onnx
  gradsmith export faces --onnx encoder.onnx --part encoder`,
		Args:              cli.Args("SPEC"),
		ValidArgsFunction: specs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(file+folder+graph) != max(len(file), len(folder), len(graph)) || file+folder+graph == "" {
				return errors.New("say what to write, by one of --gguf FILE, --huggingface DIR and --onnx FILE")
			}
			if part != "" && graph == "" {
				return errors.New("--part is of --onnx")
			}
			path, err := specIn(args[0])
			if err != nil {
				return err
			}
			m, err := spec.Load(path)
			if err != nil {
				return err
			}
			if adapter != "" {
				if folder == "" {
					return errors.New("--adapter is of --huggingface: merge it, and name what is made with --model")
				}
				return toPeft(cmd, m, adapter, folder, as)
			}
			if model == "" {
				if model, err = checkpointOf(path, m.Name); err != nil {
					return err
				}
			}
			if folder != "" {
				return toFolder(cmd, m, model, folder, as)
			}
			for flag, out := range map[string]string{"gguf": file, "onnx": graph} {
				if out != "" && (files.Same(out, model) || files.Same(out, path)) {
					return fmt.Errorf("--%s %s would write over what is read", flag, out)
				}
			}
			if graph != "" {
				if cmd.Flags().Changed("type") && as != "f32" {
					return errors.New("--type: files of ONNX are written in f32")
				}
				return toONNX(cmd, m, model, graph, part)
			}
			typ, err := gguf.ParseType(as)
			if err != nil {
				return fmt.Errorf("--type: %w", err)
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
	fs.StringVar(&folder, "huggingface", "", "`DIR` for transformers, which is made")
	fs.StringVar(&graph, "onnx", "", "`FILE` for ONNX Runtime")
	fs.StringVar(&part, "part", "", "`PART` of the model, of --onnx")
	fs.StringVar(&model, "model", "",
		"checkpoint `FILE` (default: NAME.safetensors here or beside the spec, else what was imported)")
	fs.StringVar(&adapter, "adapter", "",
		"adapter `FILE`, of which --huggingface is then written, for the PEFT library, in place of the model")
	fs.StringVar(&as, "type", "f32", "of the matrices: f32, f16 (of --gguf) or bf16")
	return cmd
}

// toONNX writes a file of ONNX.
func toONNX(cmd *cobra.Command, m *spec.Model, model, path, part string) error {
	o, err := interchange.NewONNX(m, model, part)
	if err != nil {
		return err
	}
	defer o.Close()
	if err := written(files.Write(path, o.Write)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s as %d operators; inputs %s; outputs %s\n", path, model,
		o.Operators(), strings.Join(o.Inputs, ", "), strings.Join(o.Outputs, ", "))
	return err
}

// toFolder writes a folder of the Hugging Face hub, all of its files or none.
func toFolder(cmd *cobra.Command, m *spec.Model, model, folder, as string) error {
	typ, err := checkpoint.ParseType(as)
	if err != nil {
		return fmt.Errorf("--type: %w", err)
	}
	h, err := interchange.NewHuggingFace(m, model, typ)
	if err != nil {
		return err
	}
	defer h.Close()
	s := &start{dir: folder, command: "export"}
	s.add("config.json", "", h.Config)
	s.add("tokenizer.json", "", h.Tokenizer)
	s.add("model.safetensors", "", nil)
	s.files[len(s.files)-1].write = h.Weights
	if err := s.write(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s as architecture %s, %d tensors\n", folder, model, h.Architecture,
		h.Tensors)
	return err
}

// toPeft writes a folder with an adapter alone.
func toPeft(cmd *cobra.Command, m *spec.Model, adapter, folder, as string) error {
	typ, err := checkpoint.ParseType(as)
	if err != nil {
		return fmt.Errorf("--type: %w", err)
	}
	p, err := interchange.NewPeft(m, adapter, typ)
	if err != nil {
		return err
	}
	defer p.Close()
	s := &start{dir: folder, command: "export"}
	s.add("adapter_config.json", "", p.Config)
	s.add("adapter_model.safetensors", "", nil)
	s.files[len(s.files)-1].write = p.Weights
	if err := s.write(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s as an adapter of architecture %s, %d tensors\n", folder, adapter,
		p.Architecture, p.Tensors)
	return err
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

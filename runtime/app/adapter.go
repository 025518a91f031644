package app

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// addAdapter adds the flag of all commands of a model with an adapter.
func (a *program) addAdapter(root *cobra.Command) {
	if a.Info.Adapter == nil {
		return
	}
	def := "none"
	if _, err := os.Stat(a.adapterPath()); err == nil {
		def = a.adapterPath()
	}
	root.PersistentFlags().StringArrayVar(&a.adapters, "adapter", nil, fmt.Sprintf("`FILE` of the adapter, which "+
		"train writes and others read; none for the model as it was (default: %s)", def))
}

// adapterPath is where a training leaves the adapter when no flag says otherwise.
func (a *program) adapterPath() string { return a.Info.Name + ".adapter.safetensors" }

// basePath is where a training of all parameters leaves them.
func (a *program) basePath() string { return a.Info.Name + ".safetensors" }

// written is the one file of --adapter; empty where the flag is not given.
func (a *program) written() (string, error) {
	switch {
	case len(a.adapters) == 0:
		return "", nil
	case len(a.adapters) > 1:
		return "", errors.New("--adapter is given more than once: a model has one at a time; serve alone takes several")
	case a.adapters[0] == "":
		return "", errors.New("--adapter: give the name of a file, or none")
	}
	return a.adapters[0], nil
}

// adapt gives m the adapter that the flag names, or the one that a training has left.
func (a *program) adapt(m model.LanguageModel) error {
	if a.Info.Adapter == nil {
		return nil
	}
	path, err := a.written()
	if err != nil || path == "none" {
		return err
	}
	if p, ok := m.(model.Packer); ok && p.Kind() != weights.Live { // a file of quantize has the adapter in it
		if path != "" {
			return fmt.Errorf("--adapter %s: %w", path, model.ErrMounted)
		}
		return nil
	}
	if path == "" {
		if path = a.adapterPath(); !exists(path) {
			return nil
		}
	}
	return checkpoint.LoadAdapter(path, m)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// base is the checkpoint that an adapter is trained on, with the digest of what is in it.
func (a *program) base(from string) (path, digest string, err error) {
	if path = from; path == "" {
		path = a.checkpointPath()
		if !exists(path) {
			return "", "", fmt.Errorf("an adapter is trained on a model that has learnt something: name its checkpoint "+
				"with --from FILE, as there is no %s", path)
		}
	}
	info, err := checkpoint.Describe(path)
	if err != nil {
		return "", "", err
	}
	return path, info.Digest, nil
}

// served are the programs that a server answers for: one a file of --adapter, by the name in front of it.
func (a *program) served(path string) ([]servedProgram, error) {
	if len(a.adapters) == 0 || len(a.adapters) == 1 && !strings.Contains(a.adapters[0], "=") {
		return []servedProgram{{program: a, path: path}}, nil
	}
	var all []servedProgram
	for _, x := range a.adapters {
		name, file, ok := strings.Cut(x, "=")
		if !ok || name == "" || file == "" {
			return nil, fmt.Errorf("--adapter %q: give NAME=FILE for each of several", x)
		}
		for _, s := range all {
			if s.Info.Name == name {
				return nil, fmt.Errorf("--adapter %q: there are two of the name %s", x, name)
			}
		}
		one := *a
		one.Info = a.Info.Clone()
		one.Info.Name, one.adapters = name, []string{file}
		all = append(all, servedProgram{&one, path, true})
	}
	return all, nil
}

// shared is a model with the adapter of the program, over what all such programs share of one checkpoint: what is in
// bases, to which it adds what is not there yet.
func (a *program) shared(path string, bases map[string]*checkpoint.Base) (model.LanguageModel, error) {
	m, ok := a.Empty().(model.Packer)
	if !ok || a.weights == weights.Live { // it reads its parameters
		return a.trained(path, checkpoint.LoadWeights)
	}
	file, err := a.written()
	if err != nil {
		return nil, err
	}
	if file == "none" {
		file = ""
	}
	if bases[path] == nil {
		below, err := a.below(path)
		if err != nil {
			return nil, err
		}
		if bases[path], err = checkpoint.NewBase(below, a.weights); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := bases[path].Adapt(file, m); err != nil {
		return nil, err
	}
	return m, nil
}

// below is the model that adapters are put on.
func (a *program) below(path string) (model.Packer, error) {
	if err := there(path); err != nil {
		return nil, err
	}
	m := a.Empty().(model.Packer)
	if err := checkpoint.LoadWeights(path, m); err != nil {
		return nil, err
	}
	if m.Kind() != weights.Live { // a file of quantize has an adapter in it
		return nil, fmt.Errorf("--model %s: %w", path, model.ErrMounted)
	}
	return m, nil
}

func (a *program) newMerge() *cobra.Command {
	var path, as, out string
	cmd := &cobra.Command{
		Use:   "merge",
		Short: "Write the parameters with the adapter's changes in them",
		Long: `Merge adds the changes of an adapter to the matrices that it is for, and writes a checkpoint of the
parameters alone. A model of the same spec without an adapter reads it, and so does this one, for
which it is as if it had been trained so; it computes what the two files computed, but for rounding.`,
		Example: fmt.Sprintf("  %s merge --adapter %s -o merged.safetensors", a.Info.Name, a.adapterPath()),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := checkpoint.ParseType(as)
			if err != nil {
				return fmt.Errorf("--type: %w", err)
			}
			if file, err := a.written(); err != nil {
				return err
			} else if file == "none" || file == "" && !exists(a.adapterPath()) {
				return errors.New("there is no adapter to merge: name one with --adapter FILE")
			}
			m, err := a.trained(path, checkpoint.LoadWeights)
			if err != nil {
				return err
			}
			if err := model.Merge(m); err != nil {
				return err
			}
			if err := checkpoint.SaveBase(out, m, t); err != nil {
				return err
			}
			n := 0
			for _, x := range model.Base(m) {
				n += len(x.Value)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s parameters as %s, %d matrices changed\n", out, thousands(n),
				as, len(model.Adaptions(m)))
			return err
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&as, "type", "f32", "of the numbers: f32 or bf16")
	fs.StringVarP(&out, "out", "o", a.Info.Name+"-merged.safetensors", "`FILE` to write")
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/explain/pages"
)

// mostLens is how many windows of a text a tuned lens is trained on and judged by, spread over it: each update takes
// one.
const mostLens = 1000

// tunedLens is how a tuned lens is trained on the text of a file, window by window.
func (a *program) tunedLens(cmd *cobra.Command, path string, steps int) (*pages.Tuning, error) {
	if steps < 1 || steps > 1_000_000 {
		return nil, fmt.Errorf("--lens-steps %d: give 1 to 1,000,000", steps)
	}
	r, err := data.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--tuned-lens: %w", err)
	}
	defer r.Close()
	content, err := r.AllText()
	if err == nil {
		err = r.End()
	}
	if err != nil {
		return nil, fmt.Errorf("--tuned-lens: %s: %w", path, err)
	}
	tokens, err := a.Tokenizer.Encode(string(content))
	if err != nil {
		return nil, fmt.Errorf("--tuned-lens: %s: %w", path, err)
	}
	windows := len(tokens) / a.Info.Steps
	if windows < 2 {
		return nil, fmt.Errorf("--tuned-lens: %s has %s tokens; give two windows of %s or more", path,
			thousands(len(tokens)), thousands(a.Info.Steps))
	}
	t := &pages.Tuning{}
	for i := range min(windows, mostLens) {
		at := windows * i / min(windows, mostLens) * a.Info.Steps
		t.Texts = append(t.Texts, explain.Text(tokens[at:][:a.Info.Steps]))
	}
	bar := cli.NewCounter(cmd.ErrOrStderr(), steps, "updates of the lens")
	t.Options = explain.TuneOptions{Steps: steps, Report: func(done, all int) {
		if bar.Set(done); done == all {
			bar.End()
		}
	}}
	return t, nil
}

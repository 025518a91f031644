package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/explain/pages"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/vector"
)

// mostProbed is how many examples a probe reads, evenly spread over all that there are.
const mostProbed = 4000

// spread are the places of the examples that are read, of n.
func spread(n int) []int {
	k := min(n, mostProbed)
	all := make([]int, k)
	for i := range all {
		all[i] = n * i / k
	}
	return all
}

// probing reads a file of labels and texts, a label, a tab and a text a line. Labels are words.
func (a *program) probing(ctx context.Context, m model.LanguageModel, path string) (*pages.Probing, error) {
	r, err := data.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--probe: %w", err)
	}
	defer r.Close()
	content, err := r.AllText()
	if err == nil {
		err = r.End()
	}
	if err != nil {
		return nil, fmt.Errorf("--probe: %s: %w", path, err)
	}
	var lines []string
	var numbers []int // in the file
	n := 0
	for line := range strings.Lines(string(content)) {
		if n++; strings.TrimSpace(line) != "" {
			lines, numbers = append(lines, strings.TrimRight(line, "\r\n")), append(numbers, n)
		}
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("--probe: %s has no lines", path)
	}
	p, known := &pages.Probing{}, map[string]int{}
	for _, i := range spread(len(lines)) {
		label, text, ok := strings.Cut(lines[i], "\t")
		if !ok {
			return nil, fmt.Errorf("--probe: %s:%d is not a label, a tab and a text", path, numbers[i])
		}
		b, _, _, err := a.explainedBatch(ctx, m, text, "")
		if err != nil {
			return nil, fmt.Errorf("--probe: %s:%d: %w", path, numbers[i], err)
		}
		if _, is := known[label]; !is {
			known[label] = len(known)
		}
		p.Examples, p.Labels = append(p.Examples, b), append(p.Labels, known[label])
	}
	return p, nil
}

// probedVectors are vectors with the labels of a file.
func probedVectors(set *vector.Set, path string) (*pages.Probing, error) {
	labels, err := vector.ReadLabels(path, 1<<16)
	if err == nil {
		err = labels.Of(set.Name, set.Len(), "vector")
	}
	if err != nil {
		return nil, fmt.Errorf("--probe: %w", err)
	}
	p := &pages.Probing{}
	for _, i := range spread(set.Len()) {
		p.Examples = append(p.Examples, &model.Batch{Steps: 1, Batch: 1, Vectors: set.Row(i)})
		p.Labels = append(p.Labels, int(labels.Values[i]))
	}
	return p, nil
}

package gen

import (
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/spec"
)

// Targets of adapters that no product reads, of which a loop has some only, or that are smaller than the rank are
// refused, with their place in the spec.
func TestAdapterTargets(t *testing.T) {
	const model = `kind: attention
name: small
tokenizer: {numbers: 6}
shape: {batch: 3, steps: 6}
decoder:
  - embedding: {name: tok, size: 8}
  - transformer: {name: blocks, layers: 3, heads: 2}
  - dense: {tie: tok, bias: false}
`
	for adapter, want := range map[string]string{
		"adapter: 2":                            "",
		"adapter: {rank: 2, targets: [blocks]}": "",
		"adapter: {rank: 2, targets: ['blocks.*.wo', '*.wqkv']}": "",
		"adapter: {rank: 2, targets: [tok]}": `small.yaml:9:10: adapter: the target "tok" matches no matrix that rows are ` +
			`multiplied with: there are blocks.1.wqkv, blocks.1.wo, blocks.1.wup, blocks.1.wdown`,
		"adapter: {rank: 2, targets: [blocks, nothing]}": `the target "nothing" matches no matrix`,
		"adapter: {rank: 2, targets: ['blocks.[12]']}": `"blocks.[12]" names some of the matrices blocks.1.wqkv to ` +
			`blocks.3.wqkv, which one loop multiplies with: name all, as in "blocks.*.wqkv"`,
		"adapter: {rank: 8, targets: ['*.wqkv']}": "the rank 8 is not below the 8 that the matrix blocks.1.wqkv [8, 24] " +
			"can have",
	} {
		m, err := spec.Parse("small.yaml", []byte(model+adapter+"\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Generate(m)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", adapter, err, want)
		}
	}
	if _, err := spec.Parse("small.yaml", []byte(model+"adapter: {rank: 2, targets: ['[']}\n"), nil); err == nil ||
		!strings.Contains(err.Error(), `small.yaml:9:30: adapter.targets: "[" is not a pattern`) {
		t.Errorf("a pattern that is none: %v", err)
	}
}

// The kinds of weights, cells and composites that there are all take adapters.
func TestAdapterLayers(t *testing.T) {
	for _, path := range []string{"../generated/lstm/lstm.yaml", "../generated/gru/gru.yaml", "cases/t5/model.yaml",
		"cases/luong/model.yaml", "cases/gemma/model.yaml", "cases/albert/model.yaml", "cases/peephole/model.yaml",
		"cases/stack/model.yaml", "cases/bert/model.yaml"} {
		m, err := spec.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		m.Adapter = &spec.Adapter{Rank: 1, Alpha: 3, Targets: []string{"*"}}
		if _, err := Generate(m); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

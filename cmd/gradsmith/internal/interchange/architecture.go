package interchange

import (
	"fmt"
	"slices"
	"strings"
)

// architecture is a published form of models.
type architecture struct {
	types  []string // model_type of a config.json
	heads  []string // what stands behind the layers, as "architectures" of a config.json ends: "ForCausalLM"
	models string   // which models have it, for people
	idle   []string // keys of a config.json that change nothing in it
	prefix string   // of tensors' names, which some checkpoints have and others do not
	norm   string   // word in the names of norms whose parameters older checkpoints call gamma and beta
	aside  []string // patterns of tensors that are written and not needed
	read   func(f *folder, c *config) *blueprint
}

// architectures is the table. Adding one is adding a file and its line here.
var architectures = []*architecture{gpt2, llama, mistral, smollm3, qwen2, qwen3, gemma, gemma2, gemma3, neox,
	t5, marian, bert, roberta}

// architectureOf finds the architecture of a config.json.
func architectureOf(c *config) (*architecture, error) {
	if c.has("quantization_config") {
		return nil,
			fmt.Errorf("%s: the weights are quantised (quantization_config), in a form that is not read; take the "+
				"model's own checkpoint, in F32, F16 or BF16, or a GGUF file", c.path)
	}
	kind := c.word("model_type", "")
	for _, a := range architectures {
		if !slices.Contains(a.types, kind) {
			continue
		}
		for _, v := range c.list("architectures") {
			name, _ := v.(string)
			if !slices.ContainsFunc(a.heads, func(head string) bool { return strings.HasSuffix(name, head) }) {
				return nil,
					fmt.Errorf("%s: the architecture %s is not one that writes or restores text; of %s those are "+
						"read whose name ends with %s", c.path, shown(v), kind, strings.Join(a.heads, " or "))
			}
		}
		return a, nil
	}
	var known []string
	for _, a := range architectures {
		known = append(known, a.types...)
	}
	if kind == "" {
		return nil, fmt.Errorf("%s: the key \"model_type\" is missing, which names the architecture", c.path)
	}
	return nil, fmt.Errorf("%s: the architecture %q is not known; known are %s", c.path, kind, strings.Join(known,
		", "))
}

// Models says which published models can be read, a line each.
func Models() []string {
	var lines []string
	for _, a := range architectures {
		lines = append(lines, a.models)
	}
	return lines
}

// of is the name of the tensor of a block: {i} stands for its number.
func of(i int, pattern string) string { return strings.ReplaceAll(pattern, "{i}", fmt.Sprint(i)) }

// The layers that blueprints are made of.

func residual(layers ...*layer) *layer { return &layer{word: "residual", paths: [][]*layer{layers}} }

// sum is a branch whose paths are added.
func sum(paths ...[]*layer) *layer {
	return &layer{word: "branch", sets: []set{{"join", "sum"}}, paths: paths}
}

func stacked(name string, blocks []block) *layer { return &layer{stack: &stack{name, blocks}} }

// rmsnorm is a norm whose gain is a tensor, plus add.
func rmsnorm(name string, epsilon float64, width int, tensor string, add float32) *layer {
	return &layer{word: "rmsnorm", name: name, sets: []set{{"epsilon", epsilon}},
		params: []param{{field: "gain", parts: []part{{tensor: tensor + ".weight", form: vector, width: width,
			add: add}}}}}
}

// layernorm is a norm with a gain and a bias.
func layernorm(name string, epsilon float64, width int, tensor string) *layer {
	return &layer{word: "layernorm", name: name, sets: []set{{"epsilon", epsilon}}, params: []param{
		{field: "gain", parts: []part{{tensor: tensor + ".weight", form: vector, width: width}}},
		{field: "bias", parts: []part{{tensor: tensor + ".bias", form: vector, width: width}}}}}
}

// product is the matrix of a layer, and its bias where it has one, made of tensors side by side.
func product(field string, bias bool, form form, tensors ...part) []param {
	matrix := param{field: "w" + field}
	add := param{field: "b" + field}
	for _, p := range tensors {
		p.form = form
		name := p.tensor
		p.tensor = name + ".weight"
		matrix.parts = append(matrix.parts, p)
		p.tensor, p.form = name+".bias", vector
		add.parts = append(add.parts, p)
	}
	if !bias {
		return []param{matrix}
	}
	return []param{matrix, add}
}

// columns is a tensor that gives a number of columns.
func columns(tensor string, width int) part { return part{tensor: tensor, width: width} }

package gen

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/eval"
	"github.com/gradsmith/gradsmith/spec"
)

const (
	libraryText = "kind: rnn\ntokenizer: bytes\nshape: {batch: 2, steps: 5}\nlayers:\n  - embedding: {size: 8}\n  - "
	libraryDeep = "kind: attention\ntokenizer: bytes\nshape: {batch: 2, steps: 5}\ndecoder:\n  - embedding: {size: " +
		"8}\n  - "
)

// libraryUses are specs in which what the library has of a name is used, and, where a layer of the language computes
// the same, that layer with the names of its parameters, in the order of those of the library's.
var libraryUses = map[string]struct{ use, same, names string }{
	"lstm": {libraryText + "lstm_cell: {units: 6}\n  - dense\n", libraryText + "lstm: {units: 6}\n  - dense\n",
		"lstm.wx lstm.wh lstm.b"},
	"gru": {libraryText + "gru_cell: {units: 6}\n  - dense\n", libraryText + "gru: {units: 6}\n  - dense\n",
		"gru.wx gru.wh gru.b gru.bh"},
	"gru_before": {libraryText + "gru_before_cell: {units: 6}\n  - dense\n",
		libraryText + "gru: {units: 6, reset: before}\n  - dense\n",
		"gru.wx gru.wh gru.b gru.wxn gru.whn gru.bn"},
	"rnn": {libraryText + "rnn_cell: {units: 6}\n  - dense\n", libraryText + "rnn: {units: 6}\n  - dense\n",
		"rnn.wx rnn.wh rnn.b"},
	"highway": {libraryGAN + "highway_layer\n  - dense\n", libraryGAN + "highway\n  - dense\n",
		"highway.w highway.b highway.w_gate highway.b_gate"},
	"transformer": {libraryDeep + "transformer_block: {heads: 2, hidden: 12}\n  - dense\n",
		libraryDeep + "transformer: {heads: 2, hidden: 12}\n  - dense\n",
		"transformer.norm1_gain transformer.norm1_bias transformer.wqkv transformer.bqkv transformer.wo " +
			"transformer.bo transformer.norm2_gain transformer.norm2_bias transformer.wup transformer.bup " +
			"transformer.wdown transformer.bdown"},
	"llama":    {use: libraryDeep + "llama_block: {heads: 4, hidden: 12}\n  - rmsnorm\n  - dense\n"},
	"gptj":     {use: libraryDeep + "parallel_block: {heads: 2, hidden: 12}\n  - layernorm\n  - dense\n"},
	"mingru":   {use: libraryText + "mingru_cell: {units: 6}\n  - dense\n"},
	"sru":      {use: libraryText + "sru_cell\n  - dense\n"},
	"peephole": {use: libraryText + "peephole_cell: {units: 6}\n  - dense\n"},
	"gla":      {use: libraryText + "gla_cell: {keys: 3, values: 4, units: 5}\n  - dense\n"},
	"film":     {use: libraryText + "lstm: {units: 6}\n  - film_layer\n  - dense\n"},
	"bilinear": {use: libraryDeep + "residual: [layernorm, bilinear_attention]\n  - dense\n"},
	"additive": {use: "kind: attention\ntokenizer: bytes\nshape: {batch: 2, steps: 5}\nencoder:\n  - embedding: " +
		"{size: 8}\n  - gru: {units: 6}\ndecoder:\n  - embedding: {name: written, size: 8}\n" +
		"  - lstm: {units: 6}\n  - branch: {join: concatenation, paths: [[], [additive_context: {hidden: 4}]]}\n  - " +
		"dense\n"},
	"heads": {use: "kind: vae\nvectors: 9\nshape: {batch: 2}\nencoder: [dense: {units: 7, activation: " +
		"tanh}]\nlatent: {size: 3, heads: [normal_heads]}\ndecoder: [dense: {units: 7}, dense]\n"},
}

const libraryGAN = "kind: gan\ntokenizer: bytes\nshape: {batch: 2, steps: 5}\ngenerator:\n  - embedding: {size: 4}\n " +
	" - lstm: {units: 5}\n  - dense\ndiscriminator:\n  - embedding: {name: words, size: 8}\n  - max_pool\n  - "

// TestLibrary compiles a use of all that the library has, and compares what it computes with the layer of the language
// that is to be the same: the loss, in float64.
func TestLibrary(t *testing.T) {
	names, _ := spec.Library()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			u, ok := libraryUses[name]
			if !ok {
				t.Fatal("the test has no use of it")
			}
			text, err := spec.LibraryText(name)
			if err != nil {
				t.Fatal(err)
			}
			parse := func(src string) *spec.Model {
				m, err := spec.Parse("model.yaml", []byte(src), os.ReadFile)
				if err != nil {
					t.Fatal(err)
				}
				return m
			}
			ours := parse(text + u.use)
			if _, err := Generate(ours); err != nil {
				t.Fatal(err)
			}
			if u.same == "" {
				return
			}
			builtIn := parse(u.same)
			a, err := run(ours, "build")
			if err != nil {
				t.Fatal(err)
			}
			b, err := run(builtIn, "build")
			if err != nil {
				t.Fatal(err)
			}
			ga, gb := a.model.Train, b.model.Train
			if ours.GAN != nil {
				ga, gb = a.model.Discriminate, b.model.Discriminate
			}
			sizes := map[string]int{"steps": 5, "batch": 2}
			in := values(b.model, gb, sizes, 3)
			mine := values(a.model, ga, sizes, 3)
			order := strings.Fields(u.names)
			known := map[string]bool{}
			for _, p := range b.model.Params {
				known[p.Name()] = true
			}
			for _, p := range a.model.Params {
				from := p.Name()
				if !known[from] {
					from, order = order[0], order[1:]
				}
				if x := mine[p.Name()]; x != nil {
					if len(x.F) != len(in[from].F) {
						t.Fatalf("%s has %d numbers, %s %d", p.Name(), len(x.F), from, len(in[from].F))
					}
					copy(x.F, in[from].F)
				}
			}
			if len(order) > 0 {
				t.Fatalf("nothing has the parameters %v", order)
			}
			for _, v := range gb.Inputs {
				if x := mine[v.Name]; x != nil && !known[v.Name] {
					copy(x.F, in[v.Name].F)
					copy(x.I, in[v.Name].I)
				}
			}
			for _, v := range ga.Inputs { // states by their order, as cells name theirs alike
				if x := mine[v.Name]; x != nil && strings.HasSuffix(v.Name, "0") {
					clear(x.F)
				}
			}
			for _, v := range gb.Inputs {
				if strings.HasSuffix(v.Name, "0") {
					clear(in[v.Name].F)
				}
			}
			got, err := eval.Run(ga, mine, sizes)
			if err != nil {
				t.Fatal(err)
			}
			want, err := eval.Run(gb, in, sizes)
			if err != nil {
				t.Fatal(err)
			}
			if x, y := got["loss"].F[0], want["loss"].F[0]; !(math.Abs(x-y) <= 1e-12*math.Abs(y)) {
				t.Errorf("the loss is %v, with the layer of the language %v", x, y)
			}
		})
	}
}

package spec

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// writer makes specs at random from the tables of the language.
type writer struct {
	*rand.Rand
	wrong float64 // how often a value is of a kind that does not belong there
	depth int     // of composites around what is being made
}

func (w *writer) value(t *typ) any {
	if w.Float64() < w.wrong {
		return []any{nil, -1, 0, 1.5, 1e300, "", "x", true, []any{}, []any{1, "a"}, map[string]any{},
			map[string]any{"x": 1}, "1", "é\n"}[w.IntN(14)]
	}
	switch t.form {
	case integerForm:
		return t.low + w.Int64N(min(t.high-t.low, 40)+1)
	case numberForm:
		for {
			if x := t.rng.low + w.Float64()*min(t.rng.high-t.rng.low, 1); t.rng.holds(x) {
				return x
			}
		}
	case textForm:
		if t.pattern != "" {
			return []string{"a", "b", "c1", "d_e", "embedding", "lstm"}[w.IntN(6)]
		}
		if t.runes.high == 1 {
			return []string{"a", "?", "\n", "é"}[w.IntN(4)]
		}
		return []string{"x.vocab", "x.bpe", "some text", "\n"}[w.IntN(4)]
	case boolForm:
		return w.IntN(2) == 0
	case enumForm:
		return t.words[w.IntN(len(t.words))].name
	case libraryForm:
		return map[string]any{}
	case choiceForm:
		i := w.IntN(len(t.words))
		for t.layers && w.depth > 1 && records[t.words[i].name].inner != nil { // deep enough
			i = w.IntN(len(t.words))
		}
		if t.layers {
			w.depth++
			defer func() { w.depth-- }()
		}
		return w.choice(t, i)
	case objectForm:
		if t.switched && w.IntN(3) > 0 {
			return w.IntN(2) == 0
		}
		if t.short != "" && w.IntN(3) == 0 {
			return w.value(t.key(t.short).typ)
		}
		return w.object(t)
	case listForm:
		items := make([]any, t.least+w.IntN(min(t.most-t.least, 5)+1))
		for i := range items {
			items[i] = w.value(t.item)
		}
		return items
	}
	panic("a form without a case")
}

func (w *writer) choice(t *typ, i int) any {
	word := &t.words[i]
	if word.alone() && w.IntN(2) == 0 {
		return word.name
	}
	if word.typ == nil {
		return map[string]any{word.name: nil}
	}
	return map[string]any{word.name: w.value(word.typ)}
}

func (w *writer) object(t *typ) map[string]any {
	m := map[string]any{}
	for _, k := range t.keys {
		if k.name == "share" && w.IntN(16) > 0 { // there is seldom anything to share with
			continue
		}
		if k.required && w.Float64() >= w.wrong || w.IntN(4) == 0 {
			m[k.name] = w.value(k.typ)
		}
	}
	if w.Float64() < w.wrong {
		m["frobnicate"] = 1
	}
	return m
}

// named makes a setting of a word of a choice.
func (w *writer) named(t *typ, name string) any {
	return w.choice(t, slices.Index(t.names(), name))
}

// spec makes a spec whose layers are in a possible order, so that a fair share of specs is valid.
func (w *writer) spec(kind *kindTable) map[string]any {
	root := w.object(kind.typ)
	root["kind"] = kind.name
	if kind.name == "rnn" {
		root["layers"] = w.stack(layerType, true, "rnn", "lstm", "gru", "dropout", "layernorm", "dense")
		return root
	}
	if kind.name == "gan" {
		root["generator"] = w.dense(generatorType, "dense", "layernorm", "dropout")
		root["discriminator"] = w.dense(discriminatorType, "dense", "dropout")
		if w.IntN(8) > 0 {
			delete(root, "feature_matching")
			delete(root, "loss")
		}
		return root
	}
	if kind.name == "vae" {
		return w.vae(root)
	}
	both := false
	defer func() { w.tame(root, both) }()
	delete(root, "encoder")
	delete(root, "decoder")
	words := func() []string {
		if w.IntN(2) == 0 {
			return []string{"transformer", "transformer", "positions", "dropout", "layernorm", "rmsnorm"}
		}
		return []string{"rnn", "lstm", "gru", "dropout", "layernorm", "dense"}
	}
	switch w.IntN(3) {
	case 0:
		root["decoder"] = w.stack(stackType, true, "transformer", "positions", "dropout", "layernorm", "rmsnorm")
	case 1:
		root["encoder"] = w.stack(stackType, true, "transformer", "positions", "dropout", "layernorm", "rmsnorm")
	default:
		both = true
		root["encoder"] = w.stack(stackType, false, words()...)
		root["decoder"] = w.stack(stackType, true, words()...)
	}
	return root
}

// dense makes a list of layers of vectors, the last of which mostly has the width that fits by itself.
func (w *writer) dense(t *typ, words ...string) []any {
	var items []any
	for range w.IntN(3) {
		word := words[w.IntN(len(words))]
		item := w.named(t, word)
		set := settings(item, word)
		if word == "dense" {
			item = map[string]any{"dense": set}
			set["units"] = 2 + w.IntN(5)
		}
		if w.IntN(8) > 0 {
			delete(set, "init_bias")
			delete(set, "name")
		}
		items = append(items, item)
	}
	last := w.named(t, "dense")
	if set := settings(last, "dense"); w.IntN(8) > 0 {
		for _, key := range []string{"units", "activation", "init_bias", "name"} {
			delete(set, key)
		}
		// a width alone
		if m, _ := last.(map[string]any); m != nil && m["dense"] != nil && len(settings(last, "dense")) == 0 {
			last = "dense"
		}
	}
	return append(items, last)
}

// settings are those of a layer that is the word.
func settings(item any, word string) map[string]any {
	m, _ := item.(map[string]any)
	set, ok := m[word].(map[string]any)
	if !ok {
		set = map[string]any{}
	}
	return set
}

// sentences makes a spec of kind vae for text.
func (w *writer) sentences(root map[string]any, wild bool) map[string]any {
	words := func() []string {
		if w.IntN(2) == 0 {
			return []string{"transformer", "transformer", "positions", "dropout", "layernorm"}
		}
		return []string{"lstm", "gru", "rnn", "dropout", "layernorm"}
	}
	root["encoder"], root["decoder"] = w.stack(coderType, false, words()...), w.stack(coderType, true, words()...)
	if !wild {
		for _, key := range []string{"vectors", "likelihood", "train"} {
			delete(root, key)
		}
		w.tame(root, true)
	}
	return root
}

// vae makes most specs of kind vae fit together.
func (w *writer) vae(root map[string]any) map[string]any {
	words := []string{"dense", "dropout", "layernorm", "rmsnorm"}
	wild := w.IntN(8) == 0
	if w.IntN(2) == 0 {
		return w.sentences(root, wild)
	}
	if !wild {
		root["vectors"] = 9
		for _, key := range []string{"tokenizer", "word_dropout", "bag_of_words", "shape", "likelihood"} {
			delete(root, key)
		}
	}
	for _, list := range []string{"encoder", "decoder"} {
		items := []any{w.named(coderType, "dense")}
		for range w.IntN(3) {
			items = append(items, w.named(coderType, words[w.IntN(len(words))]))
		}
		if list == "decoder" {
			items = append(items, "dense")
		}
		for _, item := range items {
			if word, _ := item.(map[string]any); word != nil && !wild {
				if set, _ := word["dense"].(map[string]any); set != nil {
					set["units"] = 7
					delete(set, "tie")
					delete(set, "init_bias")
				} else if _, ok := word["dense"]; ok {
					word["dense"] = map[string]any{"units": 5}
				}
			}
		}
		if first, ok := items[0].(string); ok && first == "dense" && !wild {
			items[0] = map[string]any{"dense": map[string]any{"units": 6}}
		}
		root[list] = items
	}
	if !wild {
		delete(root, "train")
	}
	return root
}

// tame makes most specs of kind attention fit together: their many settings seldom do by chance.
func (w *writer) tame(root map[string]any, both bool) {
	if w.IntN(8) == 0 {
		return
	}
	if !both {
		delete(root, "source")
	}
	if root["decoder"] != nil {
		delete(root, "masking")
	}
	for _, list := range []string{"encoder", "decoder"} {
		items, _ := root[list].([]any)
		for _, item := range items {
			word, _ := item.(map[string]any)
			for name, settings := range word {
				set, _ := settings.(map[string]any)
				if set == nil {
					continue
				}
				delete(set, "tie")
				delete(set, "init_bias")
				if w.IntN(2) == 0 {
					delete(set, "name")
				}
				switch name {
				case "embedding":
					set["size"] = 24
				case "transformer":
					set["heads"] = []int{1, 2, 4}[w.IntN(3)]
					set["rotary"] = true
					for _, key := range []string{"kv_heads", "window", "prefix"} {
						if set[key] != nil {
							set[key] = 1
						}
					}
					delete(set, []string{"window", "prefix"}[w.IntN(2)])
					delete(set, "alibi")
					if list == "encoder" || both {
						delete(set, "window")
						delete(set, "prefix")
					}
				case "dense":
					delete(set, "activation")
				case "rnn", "lstm", "gru":
					delete(set, "dropout")
					if list == "encoder" {
						delete(set, "attention")
					} else {
						delete(set, "bidirectional")
					}
				}
			}
		}
		if n := len(items); n > 0 && (list == "decoder" || !both) {
			if set, ok := items[n-1].(map[string]any); ok {
				if dense, ok := set["dense"].(map[string]any); ok {
					delete(dense, "units")
				}
			}
		}
	}
}

// stack makes a list of layers, those in the middle of some kinds.
func (w *writer) stack(t *typ, logits bool, words ...string) []any {
	items := []any{w.named(t, []string{"embedding", "one_hot"}[w.IntN(2)])}
	for range 1 + w.IntN(3) {
		items = append(items, w.named(t, words[w.IntN(len(words))]))
	}
	if logits {
		items = append(items, w.named(t, "dense"))
	}
	return items
}

// readVocabulary stands for vocabulary files of three forms.
func readVocabulary(name string) ([]byte, error) {
	switch {
	case strings.HasSuffix(name, ".vocab"):
		return []byte("\"a\"\n\"b\"\n\"?\"\n\"\\n\"\n"), nil
	case strings.HasSuffix(name, ".bpe"):
		return []byte("# merges\nĠ t\nh e\nĠt he\n"), nil
	}
	return nil, os.ErrNotExist
}

// TestRandomSpecs checks over specs made from the tables that the decoder and the schema agree, that Parse is complete
// in what it accepts, and that it has something to say on what it does not.
func TestRandomSpecs(t *testing.T) {
	schema := compileSchema(t)
	for i := range kinds {
		t.Run(kinds[i].name, func(t *testing.T) { randomSpecs(t, &kinds[i], schema) })
	}
}

func randomSpecs(t *testing.T, kind *kindTable, schema *jsonschema.Schema) {
	accepted, refused := 0, 0
	few := func() bool { return accepted < 200 || refused < 200 }
	for seed := uint64(0); seed < 6000 || few() && seed < 60000; seed++ {
		w := &writer{Rand: rand.New(rand.NewPCG(seed, 0)), wrong: []float64{0, 0.02}[seed%2]}
		src, err := yaml.Marshal(w.spec(kind))
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse("m.yaml", src, readVocabulary)
		valid := validate(schema, src)
		var problems Errors
		switch {
		case err == nil:
			accepted++
			if valid != nil {
				t.Fatalf("seed %d: the schema does not accept what the decoder does: %v\n%s", seed, valid, src)
			}
			stacks := append(append([]Layer{}, m.Layers...), m.Encoder...)
			if m.GAN != nil {
				stacks = append(stacks, m.GAN.Discriminator...)
			}
			for _, l := range stacks {
				if l.OutputWidth() < 1 || l.LayerName() == "" {
					t.Fatalf("seed %d: an incomplete layer: %+v\n%s", seed, l, src)
				}
			}
			if last := m.Layers[len(m.Layers)-1]; last.OutputWidth() != m.OutputWidth() {
				t.Fatalf("seed %d: the last layer is %d wide for %d tokens", seed, last.OutputWidth(), m.OutputWidth())
			}
		case !errors.As(err, &problems) || len(problems) == 0:
			t.Fatalf("seed %d: an error of type %T", seed, err)
		default:
			refused++
			for _, p := range problems {
				if p.Line < 1 || p.Col < 1 || strings.Contains(p.Msg, "\n") {
					t.Fatalf("seed %d: %q has no place or several lines\n%s", seed, p, src)
				}
			}
		}
	}
	t.Logf("%d accepted, %d refused", accepted, refused)
	if few() {
		t.Errorf("%d accepted and %d refused are not enough of each to tell", accepted, refused)
	}
}

// Package anyspec makes valid specs at random, from the schema of the language: what a key takes is read there, so
// that a new layer or setting is used as soon as it is in the language. Names are chosen to hurt. What does not fit
// together is found by the checks of package spec, whose errors say where it stands: that part is taken out.
//
// It is for tests of the compiler, and knows nothing of how specs are compiled.
package anyspec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/gradsmith/gradsmith/spec"
	"gopkg.in/yaml.v3"
)

// Spec is a valid spec.
type Spec struct {
	Seed   uint64
	Source []byte
	Model  *spec.Model
	// formulas counts what formulas of the spec are made of, as coverage names it.
	formulas Coverage
}

// Kinds are the kinds of models that there are.
func Kinds() []string { return spec.Kinds() }

// New is the spec of a seed, the same for all time of a version of the language. Half of all specs have hurtful names.
func New(seed uint64) *Spec {
	for try := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, try))
		kinds := Kinds()
		w := &writer{Rand: r, kind: kinds[seed%uint64(len(kinds))], hurt: r.IntN(2) == 0,
			width: []int{4, 8, 12}[r.IntN(3)], used: Coverage{}, named: map[string][]node{}}
		if source, m := w.repaired(w.spec()); m != nil {
			return &Spec{seed, source, m, w.used}
		}
	}
	panic(fmt.Sprintf("anyspec: seed %d: none of 1000 specs is valid", seed))
}

// Read stands for the vocabulary files that specs name.
func Read(name string) ([]byte, error) {
	switch name {
	case "some.vocab":
		return []byte("\"a\"\n\"b\"\n\"?\"\n\"\\n\"\n\"é\"\n"), nil
	case "some.words":
		return []byte("\"the\"\n\" cat\"\n\" sat\"\n\".\"\n"), nil
	case "some.bpe":
		return []byte("# merges\nĠ t\nh e\nĠt he\n"), nil
	case "some.json":
		return []byte(published), nil
	case "some.tiktoken":
		return []byte(ranks()), nil
	}
	return nil, os.ErrNotExist
}

// ranks is a tiktoken file: the bytes, and two tokens more.
func ranks() string {
	var b strings.Builder
	line := func(token string, rank int) {
		fmt.Fprintf(&b, "%s %d\n", base64.StdEncoding.EncodeToString([]byte(token)), rank)
	}
	for i := range 256 {
		line(string([]byte{byte(i)}), i)
	}
	line("he", 256)
	line("the", 257)
	return b.String()
}

// published is a tokenizer as Hugging Face's library writes it.
const published = `{"version": "1.0", "added_tokens": [
	{"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
	{"id": 1, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
	"normalizer": null,
	"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
	"decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
	"model": {"type": "BPE", "vocab": {"<s>": 0, "</s>": 1, "a": 2, "b": 3, "Ġ": 4, "ab": 5}, "merges": ["a b"]}}`

// repaired is the spec without what does not fit, or nil where too little is left. A list of layers that is wrong as a
// whole is made anew.
func (w *writer) repaired(value node) ([]byte, *spec.Model) {
	source, err := yaml.Marshal(value)
	if err != nil {
		panic(err)
	}
	for range 60 {
		m, err := spec.Parse("specimen.yaml", source, Read)
		if err == nil {
			return source, m
		}
		var problems spec.Errors
		if !errors.As(err, &problems) || len(problems) == 0 {
			panic(fmt.Sprintf("anyspec: an error without a place: %v\n%s", err, source))
		}
		var root yaml.Node
		if err := yaml.Unmarshal(source, &root); err != nil {
			panic(err)
		}
		p := problems[w.IntN(len(problems))]
		if !w.cut(&root, p.Line, p.Col) {
			return nil, nil
		}
		var b bytes.Buffer
		enc := yaml.NewEncoder(&b)
		enc.SetIndent(2)
		if err := enc.Encode(&root); err != nil {
			return nil, nil
		}
		source = b.Bytes()
	}
	return nil, nil
}

// cut takes the smallest part out of the tree that begins at the place.
func (w *writer) cut(n *yaml.Node, line, col int) bool {
	at := func(c *yaml.Node) bool { return c.Line == line && c.Column == col }
	for _, c := range n.Content {
		if w.cut(c, line, col) {
			return true
		}
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			if at(n.Content[i]) || at(n.Content[i+1]) {
				key := n.Content[i].Value
				if key == "kind" {
					return false
				}
				if layer := w.stacks[key]; layer != nil && n.Content[i].Column == 1 {
					var list yaml.Node
					if err := list.Encode(w.stack(key, layer, w.ofText)); err != nil {
						panic(err)
					}
					n.Content[i+1] = &list
					return true
				}
				n.Content = slices.Delete(n.Content, i, i+2)
				return true
			}
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			if at(c) {
				n.Content = slices.Delete(n.Content, i, i+1)
				return true
			}
		}
	}
	return false
}

// node is a part of the schema.
type node = map[string]any

var schema = sync.OnceValue(func() node {
	var s node
	if err := json.Unmarshal(spec.Schema(), &s); err != nil {
		panic(err)
	}
	return s
})

// resolve is what the part says, behind references.
func resolve(n node) node {
	for {
		ref, ok := n["$ref"].(string)
		if !ok {
			return n
		}
		n = schema()["$defs"].(node)[strings.TrimPrefix(ref, "#/$defs/")].(node)
	}
}

func properties(n node) node {
	p, _ := n["properties"].(node)
	return p
}

func list(v any) []node {
	var ns []node
	items, _ := v.([]any)
	for _, i := range items {
		ns = append(ns, i.(node))
	}
	return ns
}

// keys are the keys of an object, in order.
func keys(m node) []string {
	var ks []string
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}

// writer makes one spec.
type writer struct {
	*rand.Rand
	kind   string
	hurt   bool
	width  int // that most layers of the spec have
	ofText bool
	stacks map[string]node   // the lists of layers, and what the layers of each can be
	tables []string          // names of the embeddings so far
	named  map[string][]node // settings of the layers so far that have a name, by word
	own    []own             // layers that the spec defines
	used   Coverage          // of formulas
	depth  int
	within string // the word whose settings are made
	pair   bool   // there is an encoder and a decoder
}

func (w *writer) chance(p float64) bool { return w.Float64() < p }

func (w *writer) spec() node {
	root := resolve(schema()["$defs"].(node)[w.kind].(node))
	props := properties(root)
	m := node{"kind": w.kind}
	ofText := w.chance(0.6)
	required, _ := root["required"].([]any)
	var stacks []string
	for _, k := range keys(props) {
		if items := layers(props[k].(node)); items != nil {
			stacks = append(stacks, k)
			continue
		}
		if k == "kind" || !slices.Contains(required, any(k)) && !w.chance(0.3) {
			continue
		}
		m[k] = w.value(k, props[k].(node))
	}
	if m["adapter"] != nil { // of matrices that are as small as those of these models
		m["adapter"] = []any{1, node{"rank": 1 + w.IntN(2), "alpha": 1 + w.Float64()},
			node{"rank": 1, "targets": []string{"*"}}}[w.IntN(3)]
	}
	switch w.kind {
	case "attention":
		stacks = [][]string{{"decoder"}, {"encoder"}, {"encoder", "decoder"}, {"encoder", "decoder"}}[w.IntN(4)]
		ofText = true
	case "rnn":
		ofText = true
	case "vae", "gan":
		for _, k := range []string{"vectors", "noise", "latent"} {
			delete(m, k)
		}
		if !ofText {
			m["vectors"] = w.value("vectors", props["vectors"].(node))
			if p, ok := props["noise"]; ok && w.chance(0.5) {
				m["noise"] = w.value("noise", p.(node))
			}
		}
		if ofText && m["tokenizer"] == nil {
			m["tokenizer"] = "bytes"
		}
		if p, ok := props["latent"]; ok {
			m["latent"] = w.value("latent", p.(node))
		}
	}
	// Encoders first, so that a decoder can share their tables.
	slices.SortFunc(stacks, func(a, b string) int { return strings.Compare(b, a) })
	if slices.Contains(stacks, "generator") {
		slices.Reverse(stacks)
	}
	m["shape"] = node{"batch": 2 + w.IntN(3), "steps": 3 + w.IntN(4)}
	if w.kind == "vae" && !ofText || w.kind == "gan" && !ofText {
		m["shape"] = node{"batch": 2 + w.IntN(3)}
	}
	definitions, blocks := node{}, node{}
	if w.chance(0.4) {
		for range 1 + w.IntN(2) {
			w.define(definitions, ofText, w.kind == "attention")
		}
	}
	if w.chance(0.3) {
		w.block(blocks, words(layers(props[stacks[len(stacks)-1]].(node))))
	}
	if latent, ok := m["latent"].(node); ok {
		if delete(latent, "heads"); w.chance(0.25) {
			latent["heads"] = []any{w.heads(definitions)}
		}
	}
	if len(definitions) > 0 {
		m["define"] = definitions
	}
	if len(blocks) > 0 {
		m["blocks"] = blocks
	}
	w.ofText, w.stacks, w.pair = ofText, map[string]node{}, len(stacks) > 1
	for _, k := range stacks {
		w.stacks[k] = layers(props[k].(node))
		m[k] = w.stack(k, w.stacks[k], ofText)
	}
	return m
}

// layers is the part of the schema for a layer, where n is that for a list of them; nil elsewhere.
func layers(n node) node {
	n = resolve(n)
	items, ok := n["items"].(node)
	if !ok {
		for _, o := range list(n["anyOf"]) {
			if l := layers(o); l != nil {
				return l
			}
		}
		return nil
	}
	if words(items)["dense"] == nil {
		return nil
	}
	return items
}

// words are the settings of the words of a choice, by name.
func words(n node) node {
	all := node{}
	for _, o := range list(resolve(n)["anyOf"]) {
		o = resolve(o)
		if max, _ := o["maxProperties"].(float64); max == 1 {
			for k, v := range properties(o) {
				all[k] = v
			}
		}
	}
	return all
}

// stack makes a list of layers in a possible order.
func (w *writer) stack(name string, layer node, ofText bool) []any {
	of := words(layer)
	var middle []string
	for _, k := range keys(of) {
		if k != "embedding" && k != "one_hot" {
			middle = append(middle, k)
		}
	}
	var items []any
	if ofText {
		first := "embedding"
		if of["one_hot"] != nil && w.chance(0.25) {
			first = "one_hot"
		}
		items = append(items, w.layer(first, of))
		if name == "encoder" || name == "decoder" || name == "discriminator" {
			if w.chance(0.4) && of["positions"] != nil {
				items = append(items, w.layer("positions", of))
			}
		}
		reads := []string{"lstm", "gru", "rnn", "transformer"}
		if name == "discriminator" {
			reads = []string{"conv1d", "max_pool", "highway", "transformer", "gru", "dense"}
		}
		if read := reads[w.IntN(len(reads))]; of[read] != nil {
			items = append(items, w.layer(read, of))
			if w.chance(0.3) { // the same again: their default names must not meet
				items = append(items, w.layer(read, of))
			}
		}
	}
	for range w.IntN(4) {
		at := len(items)
		if ofText {
			at = 1 + w.IntN(len(items))
		}
		items = slices.Insert(items, at, w.layer(middle[w.IntN(len(middle))], of))
	}
	items = w.useOwn(items, min(1, len(items)), w.kind == "attention", w.pair && name == "decoder")
	if name != "encoder" || w.kind == "attention" {
		last := w.layer("dense", of)
		if set := settings(last); set != nil && w.chance(0.9) {
			delete(set, "units")
			delete(set, "activation")
		} else if set == nil {
			last = "dense"
		}
		items = append(items, last)
	} else if len(items) == 0 {
		items = append(items, w.layer("dense", of))
	}
	return items
}

// settings are those of a layer that is written with them.
func settings(layer any) node {
	m, _ := layer.(node)
	for _, s := range m {
		set, _ := s.(node)
		return set
	}
	return nil
}

func (w *writer) layer(word string, of node) any {
	n := of[word].(node)
	v := w.value(word, n)
	set, ok := v.(node)
	if !ok {
		if v == nil && w.chance(0.5) {
			return word
		}
		return node{word: v}
	}
	if word == "embedding" {
		name, _ := set["name"].(string)
		if name == "" {
			name = "embedding"
		}
		w.tables = append(w.tables, name)
	}
	if before := w.named[word]; set["share"] != nil && len(before) > 0 {
		other := before[w.IntN(len(before))]
		shared := node{"share": other["name"]}
		for k, v := range other {
			if k != "name" && k != "init" && k != "init_bias" {
				shared[k] = v
			}
		}
		return node{word: shared}
	}
	if set["name"] != nil {
		w.named[word] = append(w.named[word], set)
	}
	return node{word: set}
}

// hurtful are names that mean something in Go, in generated code, or in what it is made of.
var hurtful = []string{
	"map", "type", "func", "chan", "range", "select", "go", "var", "const", "import", "package", "return", "interface",
	"struct", "if", "for", "switch", "defer", "fallthrough",
	"new", "len", "cap", "copy", "append", "nil", "true", "string", "int", "float32", "error", "max", "min", "clear",
	"real", "make", "any", "iota", "print", "panic",
	"kernel", "model", "optim", "initialize", "checkpoint", "sample", "text", "policy", "fmt", "slices", "sync",
	"testing",
	"param", "params", "grads", "acts", "state", "kv", "at", "info", "chunk", "noise", "noise_size", "vocab", "batch",
	"steps", "rows", "source", "positions", "tokens", "label", "labels", "vector",
	"latent_size", "decode", "encode", "decoder", "encoder", "generator", "discriminator", "relaxed", "judge", "maker",
	"forward", "backward", "loss", "train", "training", "draw", "check", "step",
	"seed", "default", "flat", "optimizer", "a", "b", "d", "g", "l", "m", "p", "s", "t", "x", "y", "z", "h", "c", "i",
	"n", "x2", "dx", "n1", "wx", "w", "u", "lse", "ln", "lstm", "lstm1", "lstm2", "lstm3", "gru1",
	"gru2", "rnn2", "dense2", "embedding1", "transformer2", "dropout2", "positions2", "init", "string_2", "r",
	"decode_acts", "new_acts", "words", "merges",
}

func (w *writer) name() string {
	if w.hurt {
		return hurtful[w.IntN(len(hurtful))]
	}
	return string(rune('a'+w.IntN(26))) + string(rune('a'+w.IntN(26)))
}

// value makes a value of the key that the part of the schema takes.
func (w *writer) value(key string, n node) any {
	n = resolve(n)
	if c, ok := n["const"]; ok {
		return c
	}
	if e, ok := n["enum"].([]any); ok {
		return e[w.IntN(len(e))]
	}
	if choices := list(n["anyOf"]); choices != nil {
		total := 0
		weights := make([]int, len(choices))
		for i, c := range choices {
			c = resolve(c)
			weights[i] = 1
			if max, _ := c["maxProperties"].(float64); max == 1 {
				weights[i] = len(properties(c))
			} else if len(properties(c)) > 0 {
				weights[i] = 2
			}
			total += weights[i]
		}
		at := w.IntN(total)
		for i := range choices {
			if at -= weights[i]; at < 0 {
				return w.value(key, choices[i])
			}
		}
	}
	switch typ := n["type"].(type) {
	case []any: // an object, or nothing
		if len(properties(n)) == 0 {
			return nil
		}
		return w.object(key, n)
	case string:
		switch typ {
		case "object":
			return w.object(key, n)
		case "boolean":
			return w.IntN(2) == 0
		case "null":
			return nil
		case "array":
			low, high := bound(n, "minItems", 0), bound(n, "maxItems", 4)
			items := make([]any, int(low)+w.IntN(int(min(high-low, 3))+1))
			for i := range items {
				items[i] = w.value(key, n["items"].(node))
			}
			return items
		case "integer":
			return w.integer(key, n)
		case "number":
			return w.number(n)
		case "string":
			return w.text(key, n)
		}
	}
	panic(fmt.Sprintf("anyspec: a part of the schema that is not known: %v", n))
}

func bound(n node, key string, other float64) float64 {
	if x, ok := n[key].(float64); ok {
		return x
	}
	return other
}

func (w *writer) object(key string, n node) any {
	props := properties(n)
	required, _ := n["required"].([]any)
	m := node{}
	if max, _ := n["maxProperties"].(float64); max == 1 {
		ks := keys(props)
		k := ks[w.IntN(len(ks))]
		defer func(before string) { w.within = before }(w.within)
		w.within = k
		m[k] = w.value(k, props[k].(node))
		return m
	}
	w.depth++
	defer func() { w.depth-- }()
	share := []float64{0.15, 0.35, 0.6}[w.IntN(3)]
	for _, k := range keys(props) {
		if l := layers(props[k].(node)); l != nil {
			if w.depth < 4 && (slices.Contains(required, any(k)) || w.chance(share)) {
				var inner []any
				for range 1 + w.IntN(2) {
					of := words(l)
					ks := keys(of)
					word := ks[w.IntN(len(ks))]
					inner = append(inner, w.layer(word, of))
				}
				m[k] = inner
			}
			continue
		}
		if slices.Contains(required, any(k)) || w.chance(share) {
			m[k] = w.value(k, props[k].(node))
		}
	}
	if m["encoding"] != nil && m["file"] != nil { // which such files alone have
		m["file"] = "some.tiktoken"
	}
	return m
}

func (w *writer) integer(key string, n node) int {
	low, high := int(bound(n, "minimum", 0)), bound(n, "maximum", 1<<30)
	switch {
	case strings.Contains(key, "heads"):
		return []int{1, 2, 4}[w.IntN(3)]
	case high >= 1<<16 && high < 1<<18 && w.chance(0.8): // a width
		return max(low, w.width)
	case high >= 1<<16:
		return low + w.IntN(12)
	}
	return low + w.IntN(int(min(high-float64(low), 3))+1)
}

func (w *writer) number(n node) float64 {
	low, high := bound(n, "minimum", bound(n, "exclusiveMinimum", 0)), bound(n, "maximum",
		bound(n, "exclusiveMaximum", math.Inf(1)))
	holds := func(x float64) bool {
		return x >= low && x <= high && !(x == low && n["exclusiveMinimum"] != nil) &&
			!(x == high && n["exclusiveMaximum"] != nil)
	}
	for {
		x := low + w.Float64()*min(high-low, 1)
		if d, ok := n["default"].(float64); ok && d != 0 && w.chance(0.7) {
			x = d * (0.5 + w.Float64())
		}
		if x = math.Round(x*1e4) / 1e4; holds(x) {
			return x
		}
	}
}

func (w *writer) text(key string, n node) string {
	switch {
	case key == "tie" && len(w.tables) > 0:
		return w.tables[w.IntN(len(w.tables))]
	case n["pattern"] != nil:
		return w.name()
	case bound(n, "maxLength", 1000) == 1:
		return []string{"a", "?", "\n", "é"}[w.IntN(4)]
	case key == "chars" || key == "words" || key == "bpe" || key == "file":
		if file, ok := map[string]string{"chars": "some.vocab", "words": "some.words", "bpe": "some.bpe",
			"file": "some.json"}[w.within]; ok && w.chance(0.9) {
			return file
		}
		return []string{"some.vocab", "some.words", "some.bpe", "some.json"}[w.IntN(4)]
	case key == "encoding":
		return "gpt2"
	case key == "begin" || key == "end":
		return []string{"<s>", "</s>"}[w.IntN(2)]
	}
	return []string{"some text", "A model that * / does ) import ( things.", "\"quoted\" `text`"}[w.IntN(3)]
}

package anyspec

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Coverage counts what of the language specs use: each key, and each word of a choice, as often as it stands in a spec.
type Coverage map[string]int

// refused are keys that a kind of model has in common with others and takes no value for, with a spec that has one.
var refused = map[string]string{
	"rnn.train.scheduled_sampling": "kind: rnn\nlayers: [{embedding: 4}, {lstm: 4}, dense]\n" +
		"train: {scheduled_sampling: {share: 0.5}}\n",
	"vae.train.scheduled_sampling": refusedSentences + "train: {scheduled_sampling: {share: 0.5}}\n",
	"vae.train.condition":          refusedSentences + "train: {condition: {end: a}}\n",
	"vae.train.separator":          refusedSentences + "train: {separator: a}\n",
	"gan.labels.drop": "kind: gan\nvectors: 3\nnoise: 2\nlabels: {count: 2, drop: 0.5}\n" +
		"generator: [dense]\ndiscriminator: [dense]\n",
}

const refusedSentences = "kind: vae\ntokenizer: ascii\nencoder: [{embedding: {name: read, size: 4}}, {gru: 4}]\n" +
	"latent: 2\ndecoder: [{embedding: 4}, {lstm: 4}, dense]\n"

// Everything is the coverage of no spec: all that there is to use, with counts of 0.
func Everything() Coverage {
	c := Coverage{}
	for _, kind := range Kinds() {
		c.all(kind, schema()["$defs"].(node)[kind].(node), map[string]bool{})
	}
	for key := range c {
		for no := range refused {
			if key == no || strings.HasPrefix(key, no+".") {
				delete(c, key)
			}
		}
	}
	for _, name := range append(keysOf(constructs), notations...) {
		c["formula="+name] = 0
	}
	return c
}

// all adds what the part of the schema at path can have. Inside of a layer a path begins with its word, wherever it
// stands.
func (c Coverage) all(path string, n node, seen map[string]bool) {
	n = resolve(n)
	if k, ok := n["const"]; ok {
		c[fmt.Sprintf("%s=%v", path, k)] += 0
	}
	for _, e := range asList(n["enum"]) {
		c[fmt.Sprintf("%s=%v", path, e)] += 0
	}
	for _, o := range list(n["anyOf"]) {
		c.all(path, o, seen)
	}
	if items, ok := n["items"].(node); ok {
		c.all(path, items, seen)
	}
	for _, k := range keys(properties(n)) {
		next := path + "." + k
		if max, _ := n["maxProperties"].(float64); max == 1 {
			c[path+"="+k] += 0
			if words(node{"anyOf": []any{n}})["dense"] != nil {
				next = k
			}
		} else {
			c[next] += 0
		}
		if at := fmt.Sprintf("%s %p", next, properties(n)[k]); !seen[at] { // layers have layers
			seen[at] = true
			c.all(next, properties(n)[k].(node), seen)
		}
	}
}

func asList(v any) []any {
	l, _ := v.([]any)
	return l
}

// Add counts what the spec uses.
func (c Coverage) Add(s *Spec) {
	var v any
	if err := yaml.Unmarshal(s.Source, &v); err != nil {
		panic(err)
	}
	if defined, _ := v.(node)["define"].(node); len(defined) > 0 {
		for name, n := range s.formulas {
			c[name] += n
		}
	}
	kind := s.Model.Kind
	c.use(kind, schema()["$defs"].(node)[kind].(node), v)
}

// use counts what the value uses of the part of the schema, and reports whether it is of its form.
func (c Coverage) use(path string, n node, v any) bool {
	n = resolve(n)
	if k, ok := n["const"]; ok {
		if k == v {
			c[fmt.Sprintf("%s=%v", path, k)]++
		}
		return k == v
	}
	if enum := asList(n["enum"]); enum != nil {
		if slices.Contains(enum, v) {
			c[fmt.Sprintf("%s=%v", path, v)]++
			return true
		}
		return false
	}
	if choices := list(n["anyOf"]); choices != nil {
		for _, o := range choices {
			if c.use(path, o, v) {
				return true
			}
		}
		return false
	}
	switch v := v.(type) {
	case map[string]any:
		props := properties(n)
		for k := range v {
			if props[k] == nil {
				return false
			}
		}
		for _, k := range keys(v) {
			next := path + "." + k
			if max, _ := n["maxProperties"].(float64); max == 1 {
				c[path+"="+k]++
				if words(node{"anyOf": []any{n}})["dense"] != nil {
					next = k
				}
			} else {
				c[next]++
			}
			c.use(next, props[k].(node), v[k])
		}
		return true
	case []any:
		items, ok := n["items"].(node)
		for _, x := range v {
			ok = ok && (c.use(path, items, x) || true)
		}
		return ok
	case string:
		return n["type"] == "string"
	case bool:
		return n["type"] == "boolean"
	case int, float64:
		return n["type"] == "integer" || n["type"] == "number"
	}
	return true
}

// Unused lists what no spec uses, in order.
func (c Coverage) Unused() []string {
	var out []string
	for k, n := range c {
		if n == 0 {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

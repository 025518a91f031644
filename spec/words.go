package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// String says in words what values the type takes.
func (t *typ) String() string {
	if t.form == listForm && t.like != "" {
		return t.like
	}
	switch t.form {
	case libraryForm:
		return "a map of names and what they stand for"
	case integerForm:
		return fmt.Sprintf("a whole number from %d to %d", t.low, t.high)
	case numberForm:
		return "a number " + t.rng.String()
	case textForm:
		switch {
		case t.like != "":
			return t.like
		case t.runes.high == 1:
			return "a single character"
		case t.runes.low > 0:
			return fmt.Sprintf("text of %v to %v characters", t.runes.low, t.runes.high)
		}
		return fmt.Sprintf("text of at most %v characters", t.runes.high)
	case boolForm:
		return "true or false"
	case enumForm:
		return oneOf(t.names())
	case choiceForm:
		return oneOf(t.names()) + ", alone or with settings"
	case objectForm:
		var names []string
		for _, k := range t.keys {
			names = append(names, k.name)
		}
		s := "a map with the keys " + strings.Join(names, ", ")
		if len(names) == 1 {
			s = "a map with the key " + names[0]
		}
		if t.short != "" {
			s += fmt.Sprintf(", or %s for %s alone", t.key(t.short).typ, t.short)
		}
		if t.switched {
			s += ", or true for the defaults"
		}
		return s
	case listForm:
		items := "values"
		if t.item.form != choiceForm {
			items = strings.Replace(t.item.String(), "a number", "numbers", 1)
		} else if t.item.one != "" {
			items = t.item.one + "s"
		} else if t.item.name != "" {
			items = t.item.name + "s"
		}
		if t.least == t.most {
			return fmt.Sprintf("a list of %d %s", t.least, items)
		}
		return fmt.Sprintf("a list of %d to %d %s", t.least, t.most, items)
	}
	return "a value"
}

// String gives "from 0 to 1" or, with open ends, "above 0 and below 1".
func (b bounds) String() string {
	low, high := "from "+number(b.low), "to "+number(b.high)
	switch {
	case b.openLow && b.openHigh:
		low, high = "above "+number(b.low), "and below "+number(b.high)
	case b.openLow:
		low, high = "above "+number(b.low), "and at most "+number(b.high)
	case b.openHigh:
		low, high = "from "+number(b.low), "to less than "+number(b.high)
	}
	return low + " " + high
}

// number prints a number as people write it: 1e-5 rather than 1e-05.
func number(x float64) string {
	s := strconv.FormatFloat(x, 'g', -1, 64)
	return strings.NewReplacer("e-0", "e-", "e+0", "e", "e+", "e").Replace(s)
}

// names returns the words of a choice.
func (t *typ) names() []string {
	names := make([]string, len(t.words))
	for i, w := range t.words {
		names[i] = w.name
	}
	return names
}

func oneOf(names []string) string {
	switch len(names) {
	case 1:
		return names[0]
	case 2:
		return names[0] + " or " + names[1]
	}
	return "one of " + strings.Join(names, ", ")
}

// found says in words what stands in the spec.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		if len(n.Content) == 2 && n.Content[0].Kind == yaml.ScalarNode {
			return fmt.Sprintf("a map with the key %s", quote(n.Content[0].Value))
		}
		return fmt.Sprintf("a map of %d keys", len(n.Content)/2)
	case yaml.SequenceNode:
		return fmt.Sprintf("a list of %d", len(n.Content))
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!null":
			return "nothing"
		case "!!int", "!!float", "!!bool":
			return short(n.Value)
		}
		return quote(n.Value)
	}
	return "something else"
}

// quote puts text of a spec into an error: in quotes, on one line, not too long.
func quote(s string) string { return strconv.Quote(short(s)) }

func short(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// didYouMean is the end of an error that has found something close to what was written.
func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", quote(name))
}

// suggestKey helps with a key that an object does not have. It returns the key of the object that was probably meant,
// or "", and words of help.
func suggestKey(name string, t *typ) (key, help string) {
	var names []string
	for _, k := range t.keys {
		for _, other := range k.also {
			if plain(other) == plain(name) {
				return k.name, fmt.Sprintf("did you mean %s?", quote(k.name))
			}
		}
		names = append(names, k.name)
	}
	if near := nearest(name, names); near != "" {
		return near, fmt.Sprintf("did you mean %s?", quote(near))
	}
	// A key that was put one level too high, or two when it is a setting of a word.
	for _, k := range t.keys {
		if inner := k.typ.meaning(name); inner != "" && k.typ.form == objectForm {
			return "", fmt.Sprintf("did you mean %s within %s, as in `%s: {%s: …}`?", quote(inner), quote(k.name),
				k.name, inner)
		}
	}
	for _, k := range t.keys {
		def, _ := k.def.(string)
		if w := k.typ.word(def); w != nil && w.typ != nil && k.typ.form == choiceForm {
			if inner := w.typ.meaning(name); inner != "" {
				return "", fmt.Sprintf("did you mean %s within %s, as in `%s: {%s: {%s: …}}`?", quote(inner),
					quote(k.name), k.name, w.name, inner)
			}
		}
	}
	if len(names) == 1 {
		return "", "the only key here is " + names[0]
	}
	return "", "the keys here are " + strings.Join(names, ", ")
}

// meaning returns the key of an object that is called or also called name, or "".
func (t *typ) meaning(name string) string {
	for _, k := range t.keys {
		if k.name == name || contains(k.also, name) {
			return k.name
		}
	}
	return ""
}

// ofOtherKind is the end of an error about a word that is a layer of another kind of model, or "".
func ofOtherKind(name string, t *typ) string {
	layers := false
	for _, k := range kinds {
		layers = layers || k.layer == t
	}
	for _, k := range kinds {
		if layers && k.layer.word(name) != nil {
			return fmt.Sprintf("; %s is a layer of kind %s", name, k.name)
		}
	}
	return ""
}

// suggestWord finds the word that was meant, or "".
func suggestWord(name string, t *typ) string {
	for _, w := range t.words {
		if contains(w.also, name) {
			return w.name
		}
	}
	return nearest(name, t.names())
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if plain(n) == plain(name) {
			return true
		}
	}
	return false
}

// varied is what people vary in names.
var varied = strings.NewReplacer("_", "", "-", "", " ", "")

// plain takes away what people vary in names: capitals, hyphens, underscores.
func plain(s string) string { return strings.ToLower(varied.Replace(s)) }

// nearest returns the name at the least edit distance, or "" when none is near.
func nearest(s string, names []string) string {
	if len(s) > maxName {
		return ""
	}
	best, at := "", 0
	for _, name := range names {
		d := distance(plain(s), plain(name))
		if d <= max(1, len(name)/3) && (best == "" || d < at) {
			best, at = name, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	var before []int
	last := make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row := make([]int, len(y)+1)
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}

// Words are those of a choice of the language: "layer", "activation", "optimizer", "schedule", "loss",
// "adversarial_loss", "penalty", "estimator", "annealing" or "likelihood". Layers are those of all kinds of models.
func Words(choice string) []string {
	types := map[string][]*typ{"layer": layerTypes[:], "activation": {activations, hiddenActivations, blockActivations},
		"optimizer": {optimizerType}, "schedule": {scheduleType}, "loss": {lossKey.typ},
		"adversarial_loss": {adversarialType}, "penalty": {penaltyType}, "estimator": {estimatorType},
		"annealing": {annealingType}, "likelihood": {likelihoodType}}
	var all []string
	for _, t := range types[choice] {
		for _, name := range t.names() {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

package spec

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// value is a value of the spec, decoded by its typ. Where an error was reported it is bad, and what would follow from
// it must not be reported as well.
type value struct {
	Pos
	given bool // it stands in the spec; otherwise it is a default
	bad   bool

	integer int64
	number  float64
	text    string
	flag    bool
	word    string            // enumForm, choiceForm
	set     *value            // choiceForm: the settings of word, an object; nil when it has none
	keys    map[string]*value // objectForm: every key of the type

	// Of an entry of a list of layers:
	layer  string    // its name, which the checker gives it
	suffix string    // what goes behind a name that the spec gives it, in a repetition that is written out
	within *blockUse // the block that it comes from, or nil
	blocks []string  // the names of the uses of blocks around it, outermost first
	share  string    // name of the layer whose parameters it has
	home   *value    // the repeat that it stands in, or nil
	define *defined  // what a definition says, where it is one
	copies []*value  // of a repeat that cannot be a loop: its lists of layers, written out
	list   []*value
}

// key returns the value of a key of an object, never nil.
func (v *value) key(name string) *value {
	if v == nil || v.keys[name] == nil {
		return &value{bad: true}
	}
	return v.keys[name]
}

// decoder reads YAML by the tables of the language.
type decoder struct {
	file   string
	lines  []string // of the file
	errs   Errors
	blocks map[string]*block
	defs   map[string]*definition
	in     *Use      // of the block that is being decoded
	within *blockUse // the same
	layers int       // that were decoded, those of blocks once for each use
}

// pos is the place of n, in the use of a block that is being decoded.
func (d *decoder) pos(n *yaml.Node) Pos { return Pos{Line: n.Line, Col: n.Column, In: d.in} }

func (d *decoder) errorf(pos Pos, format string, args ...any) {
	d.errs = append(d.errs, Error{d.file, pos, fmt.Sprintf(format, args...)})
}

// kind finds out which table the spec is to be read with.
func (d *decoder) kind(root *yaml.Node) *kindTable {
	names := Kinds()
	if root.Kind != yaml.MappingNode {
		d.errorf(position(root), "expected a map of keys, the first of them `kind: %s`, found %s", names[0],
			found(root))
		return nil
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "kind" {
			continue
		}
		n := root.Content[i+1]
		if n.Kind == yaml.ScalarNode {
			if k := kindNamed(n.Value); k != nil {
				return k
			}
			d.errorf(position(n), "kind: expected %s, found %s%s", oneOf(names), found(n),
				didYouMean(KindMeant(n.Value)))
			return nil
		}
		d.errorf(position(n), "kind: expected %s, found %s", oneOf(names), found(n))
		return nil
	}
	d.errorf(position(root), "the key \"kind\" is missing; it says what the spec describes: `kind: %s`", names[0])
	return nil
}

// decode reads n as a value of type t. Path names the value in errors.
func (d *decoder) decode(n *yaml.Node, t *typ, path string) *value {
	v := &value{Pos: d.pos(n), given: true}
	if n.Style&yaml.TaggedStyle != 0 {
		d.errorf(v.Pos, "%sthe tag %s is not part of the language; leave it out", prefix(path), quote(n.Tag))
		v.bad = true
		return v
	}
	switch t.form {
	case objectForm:
		d.object(v, n, t, path)
	case choiceForm:
		d.choice(v, n, t, path)
	case listForm:
		d.list(v, n, t, path)
	case libraryForm: // which library has read
	default:
		if msg := scalar(v, n, t); msg != "" {
			d.errorf(v.Pos, "%s%s", prefix(path), msg)
			v.bad = true
		}
	}
	return v
}

func prefix(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

// join extends a path; the path of a document's root is empty.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (d *decoder) object(v *value, n *yaml.Node, t *typ, path string) {
	v.keys = map[string]*value{}
	content := n.Content
	switch {
	case n.Kind == yaml.MappingNode:
	case isNull(n) && path != "" && !t.switched:
		content = nil // `train:` with nothing behind it, or all of it commented out
	case t.switched && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool":
		v.given = strings.EqualFold(n.Value, "true")
		content = nil
	case n.Kind == yaml.ScalarNode && t.short != "" ||
		n.Kind == yaml.SequenceNode && t.short != "" && t.key(t.short).typ.form == listForm:
		k := t.key(t.short)
		v.keys[t.short] = d.decode(n, k.typ, path)
		content = nil
	default:
		d.errorf(v.Pos, "%sexpected %s, found %s", prefix(path), t, found(n))
		v.bad = true
		return
	}
	meant := map[string]bool{}
	for i := 0; i+1 < len(content); i += 2 {
		kn, vn := content[i], content[i+1]
		if kn.Kind != yaml.ScalarNode {
			d.errorf(d.pos(kn), "%sexpected a key, found %s", prefix(path), found(kn))
			continue
		}
		name := kn.Value
		if kn.ShortTag() == "!!merge" {
			d.errorf(d.pos(kn), "%smerge keys (<<) are not part of the language; write the keys out, or give a whole "+
				"value an anchor", prefix(path))
			continue
		}
		k := t.key(name)
		if k == nil {
			other, help := suggestKey(name, t)
			d.errorf(d.pos(kn), "%sunknown key %s; %s", prefix(path), quote(name), help)
			meant[other] = true
			continue
		}
		if old := v.keys[name]; old != nil {
			d.errorf(d.pos(kn), "%sthe key %s stands here a second time; it is already in line %d", prefix(path),
				quote(name), old.Line)
			continue
		}
		v.keys[name] = d.decode(vn, k.typ, join(path, name))
	}
	for name := range meant {
		if t.key(name) != nil && v.keys[name] == nil {
			// The wrong key is reported already; the right one is not missing on top of it.
			v.keys[name] = &value{Pos: v.Pos, given: true, bad: true}
		}
	}
	d.fill(v, t, path)
}

// fill gives the keys that an object leaves out their defaults.
func (d *decoder) fill(v *value, t *typ, path string) {
	for _, k := range t.keys {
		if v.keys[k.name] != nil {
			continue
		}
		if k.required {
			d.errorf(v.Pos, "%sthe key %s is missing; it takes %s", prefix(path), quote(k.name), k.typ)
			v.keys[k.name] = &value{Pos: v.Pos, bad: true}
			continue
		}
		v.keys[k.name] = d.standard(v.Pos, k.typ, k.def)
	}
}

// standard makes the value of a key that is left out.
func (d *decoder) standard(pos Pos, t *typ, def any) *value {
	v := &value{Pos: pos}
	switch def := def.(type) {
	case int:
		v.integer, v.number = int64(def), float64(def)
	case float64:
		v.number = def
	case bool:
		v.flag = def
	case []float64:
		for _, x := range def {
			v.list = append(v.list, &value{Pos: pos, number: x})
		}
	case string:
		switch t.form {
		case enumForm:
			v.word = def
		case choiceForm:
			v.word = def
			if w := t.word(def); w.typ != nil {
				v.set = d.standard(pos, w.typ, nil)
			}
		default:
			v.text = def
		}
	case nil:
		if t.form == objectForm && t.optional() { // one with a key that has no default is there or it is not
			v.keys = map[string]*value{}
			d.fill(v, t, "")
		}
	}
	return v
}

func (d *decoder) choice(v *value, n *yaml.Node, t *typ, path string) {
	names := t.names()
	var chosen, settings *yaml.Node
	switch {
	case n.Kind == yaml.ScalarNode && !isNull(n):
		chosen = n
	case n.Kind == yaml.MappingNode && len(n.Content) == 2:
		chosen, settings = n.Content[0], n.Content[1]
	case n.Kind == yaml.MappingNode && len(n.Content) > 2:
		first := n.Content[0].Value
		msg := fmt.Sprintf("expected one of %s with its settings, found a map of %d keys", strings.Join(names, ", "),
			len(n.Content)/2)
		if w := t.word(first); w != nil && w.typ != nil {
			setting := w.typ.keys[0].name
			if second := n.Content[2].Value; w.typ.key(second) != nil {
				setting = second
			}
			msg += fmt.Sprintf("; settings of %s stand one level deeper, as in `{%s: {%s: …}}`", first, first, setting)
		}
		d.errorf(v.Pos, "%s%s", prefix(path), msg)
		v.bad = true
		return
	default:
		d.errorf(v.Pos, "%sexpected %s, found %s", prefix(path), t, found(n))
		v.bad = true
		return
	}
	var w *word
	if chosen.Kind == yaml.ScalarNode {
		w = t.word(chosen.Value)
	}
	if w == nil {
		help := ofOtherKind(chosen.Value, t)
		if help == "" {
			help = didYouMean(suggestWord(chosen.Value, t))
		}
		d.errorf(d.pos(chosen), "%sexpected %s, found %s%s", prefix(path), oneOf(names), found(chosen), help)
		v.bad = true
		return
	}
	v.word = w.name
	path = join(path, w.name)
	switch {
	case w.typ != nil && settings != nil && !isNull(settings):
		v.set = d.decode(settings, w.typ, path)
		v.bad = v.set.bad
	case w.typ != nil:
		v.set = &value{Pos: v.Pos, given: true, keys: map[string]*value{}}
		d.fill(v.set, w.typ, path)
	case settings != nil && !isNull(settings) && !(settings.Kind == yaml.MappingNode && len(settings.Content) == 0):
		d.errorf(d.pos(settings), "%s: it has no settings, found %s; write the word alone", path, found(settings))
	}
}

func (d *decoder) list(v *value, n *yaml.Node, t *typ, path string) {
	if n.Kind != yaml.SequenceNode {
		d.errorf(v.Pos, "%sexpected %s, found %s", prefix(path), t, found(n))
		v.bad = true
		return
	}
	if len(n.Content) < t.least || len(n.Content) > t.most {
		d.errorf(v.Pos, "%sexpected %s, found a list of %d", prefix(path), t, len(n.Content))
		v.bad = true
		return
	}
	for i, item := range n.Content {
		p := fmt.Sprintf("%s[%d]", path, i)
		if t.item.form == choiceForm {
			p = "" // the word says more than its number
		}
		if t.item.layers {
			if d.layers++; d.layers > maxLayers {
				if d.layers == maxLayers+1 {
					d.errorf(d.pos(item),
						"with the layers of its blocks written out the spec has more than %s; a model needs far "+
							"fewer, so a block is used too often", count(maxLayers))
				}
				v.bad = true
				return
			}
			if d.use(v, item, t) {
				continue
			}
		}
		e := d.decode(item, t.item, p)
		e.within = d.within
		v.list = append(v.list, e)
	}
}

// scalar reads a plain value and says what is wrong with it.
func scalar(v *value, n *yaml.Node, t *typ) string {
	wrong := func() string { return fmt.Sprintf("expected %s, found %s", t, found(n)) }
	if n.Kind != yaml.ScalarNode {
		return wrong()
	}
	tag := n.ShortTag()
	switch t.form {
	case integerForm:
		x, err := strconv.ParseInt(n.Value, 10, 64)
		if tag == "!!float" {
			if f, err := strconv.ParseFloat(n.Value, 64); err == nil && f == math.Trunc(f) && f >= float64(t.low) &&
				f <= float64(t.high) {
				return wrong() + fmt.Sprintf("; write %.0f", f)
			}
		}
		if tag != "!!int" || err != nil || x < t.low || x > t.high || leadingZero.MatchString(n.Value) {
			return wrong() + notDecimal(n)
		}
		v.integer, v.number = x, float64(x)
	case numberForm:
		x, err := strconv.ParseFloat(n.Value, 64)
		if errors.Is(err, strconv.ErrRange) {
			return wrong() + ", which is beyond what a number can hold"
		}
		if tag != "!!int" && tag != "!!float" || err != nil || math.IsNaN(x) || !t.rng.holds(x) ||
			leadingZero.MatchString(n.Value) {
			return wrong() + notDecimal(n)
		}
		if help := rounded(x, t.rng); help != "" {
			return wrong() + help
		}
		v.number = x
	case textForm:
		if tag != "!!str" {
			msg := wrong()
			if tag != "!!null" {
				msg += "; put it in quotes to make it text"
			}
			return msg
		}
		if runes := float64(utf8.RuneCountInString(n.Value)); !t.runes.holds(runes) {
			return wrong()
		}
		if t.pattern != "" && !wholly(t.pattern).MatchString(n.Value) {
			return wrong()
		}
		v.text = n.Value
	case boolForm:
		if tag != "!!bool" {
			return wrong()
		}
		v.flag = strings.EqualFold(n.Value, "true")
	case enumForm:
		if t.word(n.Value) == nil {
			return wrong() + didYouMean(suggestWord(n.Value, t))
		}
		v.word = n.Value
	}
	return ""
}

// rounded says what is wrong with a number of a range that float32, in which models compute, cannot hold: one that is
// too small or too large for it, or that it rounds to an end that does not belong to the range, as 0.99999999 to 1.
func rounded(x float64, within bounds) string {
	switch y := math.Abs(float64(float32(x))); {
	case x != 0 && y < smallest:
		return fmt.Sprintf(", which is too small for the numbers of a model: %s is the least above 0 (float32)",
			number(smallest))
	case math.IsInf(y, 0):
		return fmt.Sprintf(", which is too large for the numbers of a model: %s is the largest (float32)",
			number(math.MaxFloat32))
	}
	y := float64(float32(x))
	if within.openLow && y <= within.low || within.openHigh && y >= within.high {
		return fmt.Sprintf(", which the numbers of a model round to %s (float32)", number(y))
	}
	return ""
}

// smallest is the least float32 above 0 that has all its digits.
const smallest = 0x1p-126

var (
	leadingZero = regexp.MustCompile(`^[-+]?0[0-9]`)
	otherDigits = regexp.MustCompile(`^[-+]?(0[xXoObB][0-9a-fA-F_]+|[0-9]+_[0-9_.]*)$`)
)

// notDecimal explains numbers in forms that YAML's versions and libraries read in different ways.
func notDecimal(n *yaml.Node) string {
	switch {
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return ""
	case leadingZero.MatchString(n.Value):
		return ", which some read as an octal number; leave out the leading 0"
	case otherDigits.MatchString(n.Value):
		return "; write it in decimal digits, without underscores"
	}
	return ""
}

var patterns sync.Map

// wholly compiles a pattern that has to match the whole text.
func wholly(pattern string) *regexp.Regexp {
	if re, ok := patterns.Load(pattern); ok {
		return re.(*regexp.Regexp)
	}
	re := regexp.MustCompile(`^(?:` + pattern + `)$`)
	patterns.Store(pattern, re)
	return re
}

package spec

import (
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

const blockDefinition = "a map with the keys settings and layers, or the list of layers alone"

// block is a list of layers with a name and settings, as the spec defines it. Uses are written out while lists of
// layers are decoded, so that nothing behind the decoder knows of blocks, but for the places of errors and the names
// of layers.
type block struct {
	name     string
	node     *yaml.Node            // the key
	settings map[string]*yaml.Node // the defaults; a value that is missing must be given
	layers   *yaml.Node            // the list
	broken   bool                  // something is wrong with the definition, so that uses are not looked at
}

// blockUse is a use of a block.
type blockUse struct {
	block *block
	place *Use
	outer *blockUse // the use whose layers it stands among, or nil

	name, share *value // settings that every use has; nil where they are left out
	suffix      string // what goes behind a name that the spec gives it, in a repetition that is written out
}

// library reads the blocks of a spec.
func (d *decoder) library(root *yaml.Node) {
	d.blocks, d.defs = map[string]*block{}, map[string]*definition{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		switch root.Content[i].Value {
		case "blocks":
			d.definitions(root.Content[i+1])
		case "define":
			d.formulas(root.Content[i+1])
		}
	}
	for name, f := range d.defs {
		if b := d.blocks[name]; b != nil {
			d.errorf(d.pos(f.node), "define: %s is a block already; give one of the two another name", quote(name))
		}
	}
}

func (d *decoder) definitions(n *yaml.Node) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.errorf(d.pos(n), "blocks: expected a map from names to %s, found %s", blockDefinition, found(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if b := d.definition(n.Content[i], n.Content[i+1]); b != nil {
			d.blocks[b.name] = b
		}
	}
}

func (d *decoder) definition(key, n *yaml.Node) *block {
	before := len(d.errs)
	b := &block{name: key.Value, node: key, settings: map[string]*yaml.Node{}, layers: n}
	path := "blocks." + short(b.name)
	switch {
	case !wholly(nameType.pattern).MatchString(b.name) || len(b.name) > maxName:
		d.errorf(d.pos(key), "blocks: expected %s, found %s", nameType.like, found(key))
		return nil
	case records[b.name] != nil:
		d.errorf(d.pos(key), "blocks: %s is a layer of the language; give the block another name", quote(b.name))
		return nil
	case d.blocks[b.name] != nil:
		d.errorf(d.pos(key), "blocks: the block %s stands here a second time; it is already in line %d", quote(b.name),
			d.blocks[b.name].node.Line)
		return nil
	}
	if n.Kind == yaml.MappingNode {
		b.layers = nil
		for i := 0; i+1 < len(n.Content); i += 2 {
			switch k, v := n.Content[i], n.Content[i+1]; k.Value {
			case "layers":
				b.layers = v
			case "settings":
				d.settings(b, v, path)
			default:
				d.errorf(d.pos(k), "%s: unknown key %s%s", path, quote(k.Value),
					orElse(didYouMean(nearest(k.Value, []string{"settings", "layers"})),
						"; the keys here are settings, layers"))
			}
		}
		if b.layers == nil {
			d.errorf(d.pos(key), "%s: the key \"layers\" is missing; it takes the list of its layers", path)
			return nil
		}
	}
	if b.layers.Kind != yaml.SequenceNode || len(b.layers.Content) == 0 {
		d.errorf(d.pos(b.layers), "%s: expected a list of layers, found %s", path, found(b.layers))
		return nil
	}
	read := map[string]bool{}
	d.reads(b, b.layers, path, read)
	for name, v := range b.settings {
		if !read[name] {
			d.errorf(d.pos(v), "%s.settings: no layer reads the setting %s; write $%s where its value is to stand, "+
				"or leave it out", path, quote(name), name)
		}
	}
	b.broken = len(d.errs) > before
	return b
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (d *decoder) settings(b *block, n *yaml.Node, path string) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.errorf(d.pos(n), "%s.settings: expected a map from names to defaults, found %s", path, found(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case !wholly(nameType.pattern).MatchString(k.Value) || len(k.Value) > maxName:
			d.errorf(d.pos(k), "%s.settings: expected %s, found %s", path, nameType.like, found(k))
		case k.Value == "name" || k.Value == "share":
			d.errorf(d.pos(k), "%s.settings: every use of a block has a setting %s already; choose another word", path,
				quote(k.Value))
		case b.settings[k.Value] != nil:
			d.errorf(d.pos(k), "%s.settings: the setting %s stands here a second time", path, quote(k.Value))
		default:
			b.settings[k.Value] = v
		}
	}
}

// setting is the name of the setting whose value n stands for: that of `$heads` is heads.
func setting(n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode ||
		n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return "", false
	}
	return strings.CutPrefix(n.Value, "$")
}

// reads collects the settings that a definition reads.
func (d *decoder) reads(b *block, n *yaml.Node, path string, read map[string]bool) {
	if name, ok := setting(n); ok {
		read[name] = true
		if b.settings[name] == nil {
			names := slices.Sorted(maps.Keys(b.settings))
			help := "; the block has no settings: add `settings: {" + name + ": DEFAULT}`"
			if len(names) > 0 {
				help = orElse(didYouMean(nearest(name, names)), "; the settings are "+strings.Join(names, ", "))
			}
			d.errorf(d.pos(n), "%s: there is no setting %s%s", path, quote(name), help)
			b.settings[name] = n // reported once
		}
	}
	for _, c := range n.Content {
		d.reads(b, c, path, read)
	}
}

// use writes the layers of a block out, appending them to list, where n is a use of one, and reports whether it is.
func (d *decoder) use(list *value, n *yaml.Node, t *typ) bool {
	word, given := n, (*yaml.Node)(nil)
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 {
		word, given = n.Content[0], n.Content[1]
	}
	if word.Kind != yaml.ScalarNode || t.item.word(word.Value) != nil {
		return false
	}
	if f := d.defs[word.Value]; f != nil {
		d.useFormula(list, n, given, f)
		return true
	}
	b := d.blocks[word.Value]
	if b == nil {
		return false
	}
	if b.broken {
		list.bad = true
		return true
	}
	u := &blockUse{block: b, place: &Use{Pos: d.pos(n), Block: b.name}, outer: d.within}
	for o := d.within; o != nil; o = o.outer {
		if o.block == b {
			d.errorf(d.pos(n), "%s: the block contains itself, by way of %s; a block can only use others", b.name,
				chain(d.within, b))
			list.bad = true
			return true
		}
	}
	values := maps.Clone(b.settings)
	own := map[string]*value{}
	switch {
	case given == nil || isNull(given):
	case given.Kind != yaml.MappingNode:
		d.errorf(d.pos(given), "%s: expected a map of the block's settings, found %s; %s", b.name, found(given),
			b.has())
	default:
		for i := 0; i+1 < len(given.Content); i += 2 {
			k, v := given.Content[i], given.Content[i+1]
			switch {
			case k.Value == "name" || k.Value == "share":
				own[k.Value] = d.decode(v, nameType, b.name+"."+k.Value)
			case b.settings[k.Value] == nil:
				names := append(slices.Sorted(maps.Keys(b.settings)), "name", "share")
				d.errorf(d.pos(k), "%s: unknown setting %s%s", b.name, quote(k.Value),
					orElse(didYouMean(nearest(k.Value, names)), "; "+b.has()))
			default:
				values[k.Value] = v
			}
		}
	}
	u.name, u.share = own["name"], own["share"]
	for name, v := range values {
		if isNull(v) {
			d.errorf(d.pos(n), "%s: the setting %s is missing; the block has no default for it", b.name, quote(name))
			list.bad = true
		}
	}
	if list.bad {
		return true
	}
	was, within, before := d.in, d.within, len(d.errs)
	d.in, d.within = u.place, u
	layers := d.decode(substitute(b.layers, values), t, "")
	d.in, d.within = was, within
	if given == nil && len(d.errs) > before {
		b.broken = true // by itself, and not by a setting: each use would say so again
	}
	if layers.bad {
		list.bad = true
	}
	list.list = append(list.list, layers.list...)
	return true
}

// has says what settings a use can have.
func (b *block) has() string {
	names := slices.Sorted(maps.Keys(b.settings))
	if len(names) == 0 {
		return "the block has no settings of its own"
	}
	return "its settings are " + strings.Join(names, ", ")
}

// chain names the uses between a block and its use in itself.
func chain(u *blockUse, b *block) string {
	names := []string{b.name}
	for ; u != nil; u = u.outer {
		names = append(names, u.block.name)
		if u.block == b {
			break
		}
	}
	slices.Reverse(names)
	return strings.Join(names, " → ")
}

// substitute copies a tree with values in place of the settings that it reads. What is put in is reported where the
// definition reads it.
func substitute(n *yaml.Node, values map[string]*yaml.Node) *yaml.Node {
	if name, ok := setting(n); ok && values[name] != nil {
		c := *values[name]
		c.Line, c.Column = n.Line, n.Column
		return &c
	}
	c := *n
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = substitute(child, values)
	}
	return &c
}

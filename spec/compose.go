package spec

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// Composite is a layer that is made of others: *Residual, *Branch or *Repeat.
type Composite interface {
	Layer
	// Lists are the lists of layers in it.
	Lists() [][]Layer
}

// Leaves yields the layers of a list, and in place of composites what they are made of.
func Leaves(layers []Layer) iter.Seq[Layer] {
	return func(yield func(Layer) bool) { leavesOf(layers, yield) }
}

func leavesOf(layers []Layer, yield func(Layer) bool) bool {
	for _, l := range layers {
		c, ok := l.(Composite)
		if !ok {
			if !yield(l) {
				return false
			}
			continue
		}
		for _, list := range c.Lists() {
			if !leavesOf(list, yield) {
				return false
			}
		}
	}
	return true
}

// width is the number of features behind layers that read in.
func width(layers []Layer, in int) int {
	if len(layers) == 0 {
		return in
	}
	return layers[len(layers)-1].OutputWidth()
}

// listsIn are the lists of layers in a layer; none unless it is a composite.
func listsIn(v *value) []*value {
	if f := records[v.word].inner; f != nil {
		return f(v)
	}
	return nil
}

// every calls f for the layers of lists, bad ones left out, those in composites behind the composite.
func every(lists []*value, f func(v *value)) {
	for _, list := range lists {
		for _, v := range list.list {
			if !v.bad {
				f(v)
				every(listsIn(v), f)
			}
		}
	}
}

// leaves are the layers of lists, in their order and without composites and bad ones.
func leaves(lists ...*value) []*value {
	var all []*value
	every(lists, func(v *value) {
		if records[v.word].inner == nil {
			all = append(all, v)
		}
	})
	return all
}

// writeOut makes copies of the layers of each repeat that cannot become a loop of generated code: one with a loop in
// it, or with a state.
func (c *checker) writeOut(lists ...*value) {
	for _, list := range lists {
		for _, v := range list.list {
			if v.bad {
				continue
			}
			if body := v.set.key("layers"); v.word == "repeat" {
				written := c.unrolls
				every([]*value{body}, func(l *value) {
					w := records[l.word].written
					written = written || w != nil && w(l.set)
				})
				if times := int(v.set.key("times").integer); written && !body.bad {
					n := 0
					every([]*value{body}, func(*value) { n++ })
					if c.layers += n * times; c.layers > maxLayers {
						c.errorf(v.Pos, "repeat: written out, the spec has more than %s layers; make times smaller",
							count(maxLayers))
						v.bad = true
						continue
					}
					v.copies = []*value{}
					for i := range times {
						c := copier{suffix: "_" + strconv.Itoa(i+1), around: v.within, uses: map[*blockUse]*blockUse{}}
						v.copies = append(v.copies, c.value(body))
					}
				} else {
					every([]*value{body}, func(l *value) { l.home = v })
				}
			}
			c.writeOut(listsIn(v)...)
		}
	}
}

// copier copies what stands in a repeat, for one repetition.
type copier struct {
	suffix string
	around *blockUse // the use of a block that the repeat stands in, or nil
	uses   map[*blockUse]*blockUse
}

func (c *copier) value(v *value) *value {
	if v == nil {
		return nil
	}
	n := *v
	if v.within == c.around {
		n.suffix += c.suffix
	}
	n.within = c.use(v.within)
	n.set = c.value(v.set)
	if v.keys != nil {
		n.keys = map[string]*value{}
		for name, k := range v.keys {
			n.keys[name] = c.value(k)
		}
	}
	n.list = nil
	for _, item := range v.list {
		n.list = append(n.list, c.value(item))
	}
	return &n
}

// use is the repetition's own use of a block that stands in the repeat.
func (c *copier) use(u *blockUse) *blockUse {
	if u == c.around || u == nil {
		return u
	}
	if c.uses[u] == nil {
		n := *u
		n.outer = c.use(u.outer)
		if n.outer == c.around {
			n.suffix += c.suffix
		}
		c.uses[u] = &n
	}
	return c.uses[u]
}

// names gives the layers of lists their names: those of the spec, then the kinds, counted on where taken. Names of
// layers of a block begin with the name of its use, which is found in the same way.
func (c *checker) names(lists ...*value) {
	if c.writeOut(lists...); c.layers > maxLayers {
		return
	}
	n := &namer{checker: c, taken: map[string]int{}, next: map[string]int{}, uses: map[*blockUse]*namedUse{}}
	var all []*value
	every(lists, func(v *value) { all = append(all, v) })
	n.level(all, nil, "", nil)
	for _, v := range all {
		if s := v.set.key("share"); s.given && !s.bad && v.word != "repeat" {
			v.share = n.shared(v, s)
		}
	}
	n.shareUses()
	for _, v := range all { // repetitions that are written out and have the same parameters
		if v.word != "repeat" || v.copies == nil || !v.set.key("shared").flag {
			continue
		}
		first := leaves(v.copies[0])
		for _, list := range v.copies[1:] {
			for i, l := range leaves(list) {
				l.share = first[i].layer
			}
		}
	}
}

// namedUse is a use of a block with its name and its layers.
type namedUse struct {
	*blockUse
	called string
	layers []*value
}

type namer struct {
	*checker
	taken map[string]int // by the identifier's spelling, the line
	next  map[string]int // how often a default name has been counted on
	uses  map[*blockUse]*namedUse
	order []*namedUse
}

// innermost is the use, of those around v, that stands directly in outer; nil where v itself does.
func innermost(v *value, outer *blockUse) *blockUse {
	for u := v.within; u != nil; u = u.outer {
		if u.outer == outer {
			if v.within == outer {
				return nil
			}
			return u
		}
		if u == outer {
			return nil
		}
	}
	return nil
}

// level names what stands directly in a use of a block, or in none: layers, and uses of blocks, whose layers then come
// in turn.
func (n *namer) level(all []*value, outer *blockUse, prefix string, path []string) {
	type named struct {
		v      *value // the layer; nil for a use of a block
		use    *namedUse
		own    *value // the name that the spec gives it, or nil
		base   string
		suffix string
		result *string
	}
	var things []*named
	for _, v := range all {
		u := innermost(v, outer)
		if u == nil {
			t := &named{v: v, base: v.kind(), suffix: v.suffix, result: &v.layer}
			if k := v.set.key("name"); k.given {
				t.own = k
			}
			v.blocks = path
			things = append(things, t)
			continue
		}
		if n.uses[u] == nil {
			use := &namedUse{blockUse: u}
			n.uses[u] = use
			n.order = append(n.order, use)
			things = append(things,
				&named{use: use, own: u.name, base: u.block.name, suffix: u.suffix, result: &use.called})
		}
		n.uses[u].layers = append(n.uses[u].layers, v)
	}
	for _, t := range things {
		if t.own == nil || t.own.bad {
			continue
		}
		*t.result = prefix + t.own.text + t.suffix
		// gen writes lstm_1 as LSTM1, so names that differ by underscores alone are one name in the code.
		id := strings.ReplaceAll(*t.result, "_", "")
		if line, ok := n.taken[id]; ok {
			n.errorf(t.own.Pos, "%s.name: %s is already the name of the layer in line %d, or differs from it by "+
				"underscores alone", t.base, quote(t.own.text), line)
			continue
		}
		n.taken[id] = t.own.Line
	}
	for _, t := range things {
		if *t.result != "" {
			continue
		}
		for i := n.next[prefix+t.base] + 1; ; i++ {
			n.next[prefix+t.base] = i
			name := prefix + t.base
			if i > 1 {
				name += strconv.Itoa(i)
			}
			id := strings.ReplaceAll(name, "_", "")
			if _, ok := n.taken[id]; !ok {
				*t.result = name
				line := 0
				if t.v != nil {
					line = t.v.Line
				} else {
					line = t.use.place.Line
				}
				n.taken[id] = line
				break
			}
		}
	}
	for _, t := range things {
		if t.use != nil {
			n.level(t.use.layers, t.use.blockUse, t.use.called+"_", append(path[:len(path):len(path)], t.use.called))
		}
	}
}

// prefixes are what names may begin with that are written in a use of a block: those of the uses around, innermost
// first.
func (n *namer) prefixes(u *blockUse) []string {
	var all []string
	for ; u != nil; u = u.outer {
		if named := n.uses[u]; named != nil {
			all = append(all, named.called+"_")
		}
	}
	return append(all, "")
}

// shared is the name of the layer that v shares its parameters with.
func (n *namer) shared(v, share *value) string {
	for _, prefix := range n.prefixes(v.within) {
		if _, ok := n.taken[strings.ReplaceAll(prefix+share.text, "_", "")]; ok {
			return prefix + share.text
		}
	}
	return share.text
}

// shareUses pairs the layers of uses of a block that share parameters.
func (n *namer) shareUses() {
	for _, use := range n.order {
		share := use.share
		if share == nil || share.bad {
			continue
		}
		var target *namedUse
		var names []string
		for _, o := range n.order {
			if o.block != use.block || o == use {
				continue
			}
			names = append(names, o.called)
			for _, prefix := range n.prefixes(use.outer) {
				if o.called == prefix+share.text {
					target = o
				}
			}
		}
		name := use.block.name
		if target == nil {
			n.errorf(share.Pos, "%s.share: there is no other use of %s named %s%s", name, name, quote(share.text),
				didYouMean(nearest(share.text, names)))
			continue
		}
		mine, theirs := use.layers, target.layers
		if len(mine) != len(theirs) {
			n.errorf(share.Pos, "%s.share: with these settings the block has %d layers, but %s has %d; give both the "+
				"same settings", name, len(mine), target.called, len(theirs))
			continue
		}
		for i, v := range mine {
			if records[v.word].shares {
				v.share = theirs[i].layer
			}
		}
	}
}

// made is a layer whose parameters others can have.
type made struct {
	Layer
	home *value
	in   int
}

// sharing checks that a layer can have the parameters of the one that it shares with.
func (c *layers) sharing(v *value, l Layer, in int) {
	base := l.base()
	if c.byName == nil {
		c.byName = map[string]made{}
	}
	if v.share == "" {
		c.byName[base.Name] = made{l, v.home, in}
		return
	}
	pos := v.Pos
	if s := v.set.key("share"); s.given {
		pos = s.Pos
	}
	from, ok := c.byName[v.share]
	switch {
	case !ok && c.unknown:
	case v.share == base.Name:
		c.errorf(pos, "%s.share: the layer cannot share with itself", v.word)
	case !ok:
		var names []string
		for name := range c.byName {
			names = append(names, name)
		}
		c.errorf(pos, "%s.share: there is no layer named %s before this one%s", v.word, quote(v.share),
			didYouMean(nearest(v.share, names)))
	case from.LayerKind() != l.LayerKind():
		c.errorf(pos, "%s.share: %s is a layer of kind %s, whose parameters are others", v.word, quote(v.share),
			from.LayerKind())
	case from.home != nil && from.home != v.home:
		c.errorf(pos, "%s.share: %s stands in a repeat, which has %d of it; share with a layer outside of it, or say "+
			"`shared: true` there", v.word, quote(v.share), from.home.set.key("times").integer)
	case in > 0 && from.in > 0 && from.in != in:
		c.errorf(pos, "%s.share: the layer reads %d features, but %s reads %d, so its parameters do not fit", v.word,
			in, quote(v.share), from.in)
	case unread(l) || unread(from.Layer): // the error is elsewhere
	case formOf(l) != formOf(from.Layer):
		theirs, mine := differing(formOf(from.Layer), formOf(l))
		c.errorf(pos, "%s.share: %s has other settings, so its parameters do not fit: it has %s, and this one %s; "+
			"give both the same", v.word, quote(v.share), theirs, mine)
	case v.set.key("init").given || v.set.key("init_bias").given:
		c.errorf(pos, "%s.share: the parameters are those of %s; say there how they start", v.word, quote(v.share))
	}
	base.Share, base.Common = v.share, ok && from.home != v.home
}

// differing are the words in which two texts of as many differ.
func differing(a, b string) (string, string) {
	x, y := strings.Fields(a), strings.Fields(b)
	var left, right []string
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			left, right = append(left, x[i]), append(right, y[i])
		}
	}
	return strings.Join(left, " "), strings.Join(right, " ")
}

// unread reports whether a layer has a formula that could not be read, or reads nothing that is known.
func unread(l Layer) bool {
	d, ok := l.(*Defined)
	return ok && d.Formula == nil
}

// formOf is what decides the shapes and the meaning of a layer's parameters.
func formOf(l Layer) string {
	return strings.Replace(l.architecture(), fmt.Sprintf(" %s ", l.LayerName()), " ", 1)
}

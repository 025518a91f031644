package interchange

import (
	"fmt"
	"strconv"
	"strings"
)

// blueprint is a published model in the language of specs.
type blueprint struct {
	about string // the architecture, in a few words
	// description is what the package is: "Package NAME is …"
	description string
	vocab       int  // rows of its table of tokens
	steps       int  // tokens of a text, at the most
	whole       bool // places have a table, of which an import takes all rows unless it is told otherwise
	begin       int  // of an encoder and a decoder: the token in front of an answer
	encoder     []*layer
	decoder     []*layer
}

// layer is an entry of a list of layers, with where its parameters come from.
type layer struct {
	word   string
	name   string     // of the layer, in its list
	sets   []set      // its settings, in their order
	paths  [][]*layer // of a residual one list; of a branch several
	params []param
	stack  *stack // layers again and again, in place of all others
}

// set is a setting of a layer.
type set struct {
	key   string
	value any // a number, a word, true or false, or []set
}

// param is a parameter of a layer.
type param struct {
	field string // "wqkv"
	parts []part // side by side
	once  bool   // all repetitions have it
}

// stack is many blocks, one on the other. A few forms of them take turns.
type stack struct {
	name   string
	blocks []block
}

// block is a block of a stack: its layers, and the name of its form.
type block struct {
	form   string
	layers []*layer
}

// parameter is a parameter of the model, by the name that it has in a checkpoint.
type parameter struct {
	name  string
	parts []part
}

// writer writes a spec.
type writer struct {
	b      strings.Builder
	blocks map[string]string // text of each form of block, by its name
	order  []string
	params []parameter
}

// spec is the text of the spec with its parameters. head is what stands above the layers.
func (p *blueprint) spec(head string) (string, []parameter) {
	w := &writer{blocks: map[string]string{}}
	body := &writer{blocks: w.blocks}
	for _, side := range []struct {
		key    string
		layers []*layer
	}{{"encoder", p.encoder}, {"decoder", p.decoder}} {
		if side.layers == nil {
			continue
		}
		fmt.Fprintf(&body.b, "%s:\n", side.key)
		body.list(side.layers, 2, "", "")
		w.order = append(w.order, body.order...)
		body.order = nil
	}
	w.b.WriteString(head)
	if len(w.order) > 0 {
		w.b.WriteString("blocks:\n")
		for _, form := range w.order {
			fmt.Fprintf(&w.b, "  %s:\n%s", form, w.blocks[form])
		}
	}
	w.b.WriteString(body.b.String())
	return w.b.String(), body.params
}

// list writes layers. In a block the names of parameters begin with before; number is that of the repetition.
func (w *writer) list(layers []*layer, indent int, before, number string) {
	for _, l := range layers {
		w.layer(l, strings.Repeat(" ", indent)+"- ", indent, before, number)
	}
}

func (w *writer) layer(l *layer, lead string, indent int, before, number string) {
	if l.stack != nil {
		w.stack(l.stack, indent)
		return
	}
	for _, p := range l.params {
		at := number
		if p.once {
			at = ""
		}
		w.params = append(w.params, parameter{before + l.name + at + "." + p.field, p.parts})
	}
	sets := l.sets
	if l.name != "" {
		sets = append([]set{{"name", l.name}}, sets...)
	}
	space := strings.Repeat(" ", indent)
	switch {
	case l.word == "residual" && len(sets) == 0:
		fmt.Fprintf(&w.b, "%sresidual:\n", lead)
		w.list(l.paths[0], indent+4, before, number)
	case len(l.paths) > 0:
		fmt.Fprintf(&w.b, "%s%s:\n", lead, l.word)
		for _, s := range sets {
			fmt.Fprintf(&w.b, "%s    %s: %s\n", space, s.key, plain(s.value))
		}
		fmt.Fprintf(&w.b, "%s    paths:\n", space)
		for _, path := range l.paths {
			for i, inner := range path {
				lead := space + "      - - "
				if i > 0 {
					lead = space + "        - "
				}
				w.layer(inner, lead, indent+8, before, number)
			}
		}
	case len(sets) == 0:
		fmt.Fprintf(&w.b, "%s%s\n", lead, l.word)
	default:
		fmt.Fprintf(&w.b, "%s%s: %s\n", lead, l.word, plain(sets))
	}
}

// stack writes blocks: those whose forms take turns as a repeat, the rest one by one.
func (w *writer) stack(s *stack, indent int) {
	period, times := turns(s.blocks)
	space := strings.Repeat(" ", indent)
	named := map[string]int{} // uses of a form
	use := func(i int, number string, lead string) {
		form := s.blocks[i].form
		name := form
		if named[form]++; named[form] > 1 {
			name = fmt.Sprintf("%s%d", form, named[form])
		}
		if number == "" || i < period {
			if name == form {
				fmt.Fprintf(&w.b, "%s- %s\n", lead, form)
			} else {
				fmt.Fprintf(&w.b, "%s- %s: {name: %s}\n", lead, form, name)
			}
		}
		w.define(form, s.blocks[i].layers)
		inner := &writer{blocks: w.blocks}
		inner.list(s.blocks[i].layers, 0, name+"_", number)
		w.params = append(w.params, inner.params...)
	}
	if times > 1 {
		fmt.Fprintf(&w.b, "%s- repeat:\n%s    name: %s\n%s    times: %d\n%s    layers:\n", space, space, s.name, space,
			times, space)
		for r := range times {
			clear(named)
			for i := range period {
				use(r*period+i, fmt.Sprintf(".%d", r+1), space+"      ")
			}
		}
	} else {
		period, times = 0, 0
	}
	for i := period * times; i < len(s.blocks); i++ {
		use(i, "", space)
	}
}

// define keeps the text of a form of block.
func (w *writer) define(form string, layers []*layer) {
	inner := &writer{blocks: w.blocks}
	inner.list(layers, 4, "", "")
	text := inner.b.String()
	if w.blocks[form] == "" {
		w.order = append(w.order, form)
		w.blocks[form] = text
	} else if w.blocks[form] != text {
		panic(fmt.Sprintf("interchange: two blocks are called %s", form))
	}
}

// turns finds the shortest row of forms that the blocks repeat, and how often they do from the first on.
func turns(blocks []block) (period, times int) {
	best := 0
	for p := 1; 2*p <= len(blocks); p++ {
		n := p
		for n < len(blocks) && blocks[n].form == blocks[n-p].form {
			n++
		}
		if n/p > 1 && n/p*p > best { // the most blocks, and of these the shortest row
			period, times, best = p, n/p, n/p*p
		}
	}
	return period, times
}

// plain is a value as YAML in one line.
func plain(v any) string {
	switch v := v.(type) {
	case []set:
		parts := make([]string, len(v))
		for i, s := range v {
			parts[i] = s.key + ": " + plain(s.value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case float64:
		return decimal(v)
	case string:
		return v
	}
	return fmt.Sprint(v)
}

// decimal prints a number as people write it: 1e-5 rather than 1e-05.
func decimal(x float64) string {
	s := strconv.FormatFloat(x, 'g', -1, 64)
	if x >= 1 && x < 1e15 {
		s = strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strings.NewReplacer("e-0", "e-", "e+0", "e", "e+", "e").Replace(s)
}

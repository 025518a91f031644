package interchange

import (
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/spec"
)

// outline is a decoder of this project as other programs see one: a table of tokens, blocks of an attention and a
// feed-forward part with their norms, a last norm, logits.
type outline struct {
	spec   *spec.Model
	width  int
	tokens owner
	scale  float64
	places owner // of a learnt table; its name is empty without one
	blocks []outBlock
	last   outNorm
	tied   bool
	head   owner // of a matrix of logits that is not tied
	cap    float64
}

// owner is a layer whose tensors are asked for, in one repetition.
type owner struct {
	name   string
	number int    // of the repetition, from 1; 0 outside of any
	prefix string // of the fields, as a transformer has those of its norms
}

// outBlock is a block.
type outBlock struct {
	before, between outNorm // in front of the parts
	after, behind   outNorm // behind them, of a block that has such norms
	parallel        bool    // both parts read what the block does
	attention       spec.Attention
	attends         owner
	feedforward     spec.Feedforward
	feeds           owner
}

// outNorm is a norm.
type outNorm struct {
	owner
	kind    string // "layernorm" or "rmsnorm"
	epsilon float64
}

// sandwich tells whether norms stand behind the parts as well.
func (b *outBlock) sandwich() bool { return b.after.kind != "" }

// outlineOf sees a model as one, or says what it has beside that.
func outlineOf(m *spec.Model) (*outline, error) {
	o := &outline{spec: m}
	if !m.DecoderOnly() {
		return nil,
			fmt.Errorf("%s is no decoder by itself (kind %s); other programs are given models that go on with a text",
				m.File, m.Kind)
	}
	odd := func(l spec.Layer, why string) error {
		return fmt.Errorf("%s:%d: %s %s: %s, which other programs do not know there", m.File, l.LayerPos().Line,
			l.LayerKind(),
			l.LayerName(), why)
	}
	var walk func(layers []spec.Layer, number int) error
	ended := false
	walk = func(layers []spec.Layer, number int) error {
		for _, l := range layers {
			at := ownerOf(l, number)
			if ended {
				return odd(l, "it stands behind the logits")
			}
			switch l := l.(type) {
			case *spec.Embedding:
				if o.tokens.name != "" || l.Tie != "" {
					return odd(l, "a second table of tokens")
				}
				o.tokens, o.scale, o.width = at, l.Scale, l.Width
			case *spec.Positions:
				if l.Scheme != "learned" || len(o.blocks) > 0 || o.places.name != "" {
					return odd(l, "places of another form than one learnt table in front of the blocks")
				}
				o.places = at
			case *spec.Dropout:
			case *spec.Repeat:
				if l.Copies != nil {
					for _, c := range l.Copies {
						if err := walk(c, 0); err != nil {
							return err
						}
					}
					continue
				}
				for i := range l.Times {
					n := i + 1
					if l.Shared {
						n = 0
					}
					if err := walk(l.Layers, n); err != nil {
						return err
					}
				}
			case *spec.Residual:
				if l.Scale != 1 {
					return odd(l, "a sum of another form than x + part(norm(x))")
				}
				parts := [][]spec.Layer{l.Layers}
				if len(l.Layers) == 1 {
					if b, ok := l.Layers[0].(*spec.Branch); ok && b.Join == "sum" && len(b.Paths) == 2 {
						parts = b.Paths
					}
				}
				for _, layers := range parts {
					if err := o.part(l, layers, number, len(parts) > 1, odd); err != nil {
						return err
					}
				}
			case *spec.Transformer:
				if !l.NormFirst {
					return odd(l, "norms behind the parts")
				}
				for i := range l.Layers {
					at := owner{name: at.name, number: i + 1}
					norm := func(prefix string) outNorm {
						return outNorm{owner{at.name, at.number, prefix}, l.Norm, l.Epsilon}
					}
					o.blocks = append(o.blocks, outBlock{before: norm("norm1_"), between: norm("norm2_"),
						attention: spec.Attention{Heads: l.Heads, KVHeads: l.KVHeads, HeadSize: l.Width / l.Heads,
							Causal: l.Causal, Window: l.Window, Prefix: l.Prefix, Rotary: l.Rotary, ALiBi: l.ALiBi,
							Bias:    l.Bias,
							BiasOut: l.Bias},
						attends: at, feedforward: spec.Feedforward{Hidden: l.Hidden, Activation: l.Activation,
							Bias: l.Bias},
						feeds: at})
				}
			case *spec.LayerNorm, *spec.RMSNorm:
				if o.last.name != "" {
					return odd(l, "a second norm outside of the blocks")
				}
				o.last, _ = normOf(l, number)
			case *spec.Dense:
				if l.Bias || l.Scale > 0 || l.Activation != "none" || o.last.name == "" {
					return odd(l, "logits with a bias or a scale, or without a norm in front of them")
				}
				o.tied, o.head, o.cap, ended = l.Tie != "", at, l.SoftCap, true
			default:
				return odd(l, "a layer of another kind")
			}
		}
		return nil
	}
	if err := walk(m.Layers, 0); err != nil {
		return nil, err
	}
	if len(o.blocks) == 0 || o.blocks[len(o.blocks)-1].feeds.name == "" {
		return nil, fmt.Errorf("%s: there are no blocks of an attention and a feed-forward part", m.File)
	}
	return o, nil
}

// part adds a part of a block: a norm, attention or feed-forward, and another norm or none.
func (o *outline) part(of spec.Layer, layers []spec.Layer, number int, parallel bool,
	odd func(l spec.Layer, why string) error) error {
	if len(layers) < 2 || len(layers) > 3 {
		return odd(of, "a sum of another form than x + part(norm(x))")
	}
	norm, ok := normOf(layers[0], number)
	if !ok {
		return odd(of, "a part without a norm in front of it")
	}
	var last outNorm
	if len(layers) == 3 {
		if last, ok = normOf(layers[2], number); !ok {
			return odd(of, "something else than a norm behind a part")
		}
	}
	n := len(o.blocks)
	open := n > 0 && o.blocks[n-1].feeds.name == "" // the feed-forward part is missing
	switch part := layers[1].(type) {
	case *spec.Attention:
		if open {
			return odd(part, "two attentions, one behind the other")
		}
		o.blocks = append(o.blocks, outBlock{before: norm, after: last, parallel: parallel, attention: *part,
			attends: ownerOf(part, number)})
	case *spec.Feedforward:
		if !open || o.blocks[n-1].parallel != parallel {
			return odd(part, "a feed-forward part without an attention in front of it")
		}
		b := &o.blocks[n-1]
		if b.sandwich() != (last.kind != "") {
			return odd(part, "a norm behind one of two parts")
		}
		b.between, b.behind, b.feedforward, b.feeds = norm, last, *part, ownerOf(part, number)
	default:
		return odd(part, "a part that is neither attention nor feed-forward")
	}
	return nil
}

// ownerOf is the layer that has the parameters of l.
func ownerOf(l spec.Layer, number int) owner {
	b := spec.Base(l)
	o := owner{name: l.LayerName(), number: number}
	if b.Share != "" {
		o.name = b.Share
		if b.Common {
			o.number = 0
		}
	}
	return o
}

func normOf(l spec.Layer, number int) (outNorm, bool) {
	switch l := l.(type) {
	case *spec.LayerNorm:
		return outNorm{ownerOf(l, number), "layernorm", l.Epsilon}, true
	case *spec.RMSNorm:
		return outNorm{ownerOf(l, number), "rmsnorm", l.Epsilon}, true
	}
	return outNorm{}, false
}

// alike is what all blocks have in common; reason says of a block what is different, or what no other program has.
func (o *outline) alike() (a *spec.Attention, f *spec.Feedforward, err error) {
	first := &o.blocks[0]
	a, f = &first.attention, &first.feedforward
	reason := func(i int, why string) error {
		return fmt.Errorf("%s: block %d: %s, which other programs do not know", o.spec.File, i+1, why)
	}
	for i := range o.blocks {
		b := &o.blocks[i]
		sandwich := b.sandwich() // which has blocks of two kinds
		switch x := &b.attention; {
		case sandwich != first.sandwich() || b.parallel != first.parallel:
			return nil, nil, reason(i, "its parts do not stand as those of the first block")
		case x.Heads != a.Heads || x.KVHeads != a.KVHeads || x.HeadSize != a.HeadSize ||
			x.Bias != a.Bias || x.BiasOut != a.BiasOut || x.QueryNorm != a.QueryNorm ||
			!sandwich && (x.Rotary != a.Rotary || x.Window != a.Window):
			return nil, nil, reason(i, "its attention is not that of the first block")
		case x.ALiBi || x.Prefix > 0 || x.Relative != nil || !sandwich && x.SoftCap > 0:
			return nil, nil, reason(i, "distances, a prefix or a bound of its scores")
		case !sandwich && !scaled(x, x.HeadSize):
			return nil, nil, reason(i, fmt.Sprintf("scores that are multiplied with %v", x.Scale))
		case sandwich && (b.after.kind != o.last.kind || b.behind.kind != o.last.kind ||
			b.after.epsilon != o.last.epsilon || b.behind.epsilon != o.last.epsilon):
			return nil, nil, reason(i, "its norms are not like the last one")
		case b.feedforward.Hidden != f.Hidden || b.feedforward.Activation != f.Activation ||
			b.feedforward.Bias != f.Bias:
			return nil, nil, reason(i, "its feed-forward part is not that of the first block")
		case b.before.kind != o.last.kind || b.between.kind != o.last.kind || b.before.epsilon != o.last.epsilon ||
			b.between.epsilon != o.last.epsilon:
			return nil, nil, reason(i, "its norms are not like the last one")
		case x.QueryNorm > 0 && x.QueryNorm != o.last.epsilon:
			return nil, nil, reason(i, "norms of queries with another epsilon than the others")
		}
	}
	if o.cap > 0 && !first.sandwich() {
		return nil, nil, fmt.Errorf("%s: logits with a bound, which other programs do not know here", o.spec.File)
	}
	return a, f, nil
}

// scaled tells whether scores are multiplied with one over the root of a size.
func scaled(a *spec.Attention, size int) bool {
	scale := a.Scale
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(a.HeadSize))
	}
	return math.Abs(scale*math.Sqrt(float64(size))-1) < 1e-6
}

// architecture is the one of another program, "llama.cpp" or "transformers", that computes the same.
func (o *outline) architecture(program string) (string, error) {
	a, f, err := o.alike()
	if err != nil {
		return "", err
	}
	root := math.Sqrt(float64(o.width))
	no := func(arch, why string) (string, error) {
		return "", fmt.Errorf("%s: it is most like %s of %s, but %s", o.spec.File, arch, program, why)
	}
	switch first := &o.blocks[0]; {
	case (first.sandwich() || first.parallel) && program != "llama.cpp":
		return "", fmt.Errorf("%s: norms behind the parts of a block, or parts side by side, of which no folder for "+
			"%s is written", o.spec.File, program)
	case first.sandwich():
		return o.gemma(a, f)
	case first.parallel,
		a.Rotary.On() && o.places.name == "" && o.last.kind == "layernorm" && program == "llama.cpp":
		return o.neox(a, f)
	}
	windowed := a.Window > 0 && a.Window < o.spec.Shape.Steps
	if windowed && program == "llama.cpp" {
		return "", fmt.Errorf("%s: a window of %d tokens, which llama.cpp does not have here", o.spec.File, a.Window)
	}
	if o.places.name != "" {
		switch {
		case o.last.kind != "layernorm":
			return no("gpt2", "has norms of kind "+o.last.kind)
		case f.Activation != "gelu_tanh":
			return no("gpt2", fmt.Sprintf("its activation is %s, not gelu_tanh", f.Activation))
		case !a.Bias || !a.BiasOut || !f.Bias:
			return no("gpt2", "products have no biases")
		case windowed:
			return no("gpt2", "sees a window alone")
		case a.Rotary.On() || a.QueryNorm > 0 || o.scale > 0:
			return no("gpt2", "turns or normalises queries, or scales rows of tokens")
		case a.KVHeads != a.Heads || a.Heads*a.HeadSize != o.width:
			return no("gpt2", "heads share keys, or are not their share of the width")
		}
		return "gpt2", nil
	}
	arch, activation := "llama", "swiglu"
	switch {
	case o.scale > 0:
		arch, activation = "gemma", "geglu_tanh"
	case a.QueryNorm > 0:
		arch = "qwen3"
	case a.Bias:
		arch = "qwen2"
	}
	switch {
	case o.last.kind != "rmsnorm":
		return no(arch, "has norms of kind "+o.last.kind)
	case f.Activation != activation:
		return no(arch, fmt.Sprintf("its activation is %s, not %s", f.Activation, activation))
	case f.Bias || a.BiasOut || a.Bias && arch != "qwen2":
		return no(arch, "has biases where that has none")
	case !a.Rotary.On() || a.Rotary.Features > 0:
		return no(arch, "queries and keys are not turned as a whole")
	case program == "llama.cpp" && (a.Rotary.Scaling == "yarn" || a.Rotary.Scaling == "llama3" && arch != "llama"):
		return no(arch, "its rotations are scaled in the way "+a.Rotary.Scaling)
	case arch == "gemma" && (math.Abs(o.scale/root-1) > 1e-6 || !o.tied):
		return no(arch,
			"the rows of tokens are not scaled by the root of their width, or the logits have a matrix of their own")
	}
	if windowed && arch != "llama" {
		return no(arch, "sees a window alone")
	} else if windowed {
		arch = "mistral"
	}
	return arch, nil
}

// gemma finds which of the later forms of Gemma in llama.cpp it is: that program knows by the number of a block whether
// it sees a window, and by the number of blocks what scores are divided by.
func (o *outline) gemma(a *spec.Attention, f *spec.Feedforward) (string, error) {
	arch, period, large := "gemma2", 2, 46
	if a.QueryNorm > 0 {
		arch, period, large = "gemma3", 6, 62
	}
	no := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("%s: it is most like %s of llama.cpp, but %s", o.spec.File, arch,
			fmt.Sprintf(format, args...))
	}
	size := a.HeadSize
	if len(o.blocks) == large {
		size = o.width / a.Heads
	}
	switch {
	case o.last.kind != "rmsnorm":
		return no("has norms of kind %s", o.last.kind)
	case f.Activation != "geglu_tanh":
		return no("its activation is %s, not geglu_tanh", f.Activation)
	case f.Bias || a.Bias || a.BiasOut:
		return no("has biases where that has none")
	case o.places.name != "":
		return no("places have a table")
	case math.Abs(o.scale/math.Sqrt(float64(o.width))-1) > 1e-6 || !o.tied:
		return no("the rows of tokens are not scaled by the root of their width, or the logits have a matrix of " +
			"their own")
	case (arch == "gemma2") != (o.cap > 0):
		return no("of the two gemma2 alone bounds its logits, and always does")
	}
	near, far := &o.blocks[0].attention, &o.blocks[min(period, len(o.blocks))-1].attention
	if near.Window == 0 {
		return no("block 1 sees all tokens")
	}
	for i := range o.blocks {
		x, want := &o.blocks[i].attention, near
		if (i+1)%period == 0 {
			want = far
			if x.Window > 0 {
				return no("block %d sees a window", i+1)
			}
		}
		switch r := x.Rotary; {
		case x.Window != want.Window || r != want.Rotary || x.SoftCap != near.SoftCap:
			return no("block %d is not like those before it", i+1)
		case (arch == "gemma2") != (x.SoftCap > 0):
			return no("of the two gemma2 alone bounds its scores, and always does")
		case !scaled(x, size):
			return no("scores are not divided by the root of %d", size)
		case !r.On() || r.Features > 0:
			return no("queries and keys are not turned as a whole")
		case arch == "gemma2" && (r != near.Rotary || r.Scaling != ""):
			return no("its blocks turn queries in several ways")
		case arch == "gemma3" && want == near && (r.Base != 10000 || r.Scaling != ""):
			return no("blocks with a window turn queries with the base %v", r.Base)
		case r.Scaling != "" && r.Scaling != "linear":
			return no("its rotations are scaled in the way %s", r.Scaling)
		}
	}
	return arch, nil
}

// neox tells why it is not GPT-NeoX of llama.cpp. That program computes the activation by an approximation.
func (o *outline) neox(a *spec.Attention, f *spec.Feedforward) (string, error) {
	no := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("%s: it is most like gptneox of llama.cpp, but %s", o.spec.File,
			fmt.Sprintf(format, args...))
	}
	switch {
	case o.last.kind != "layernorm":
		return no("has norms of kind %s", o.last.kind)
	case f.Activation != "gelu":
		return no("its activation is %s, not gelu", f.Activation)
	case !a.Bias || !a.BiasOut || !f.Bias:
		return no("products have no biases")
	case a.Window > 0 && a.Window < o.spec.Shape.Steps:
		return no("it sees a window alone")
	case a.KVHeads != a.Heads || a.Heads*a.HeadSize != o.width:
		return no("heads share keys, or are not their share of the width")
	case !a.Rotary.On() || a.QueryNorm > 0 || o.scale > 0 || o.places.name != "":
		return no("it does not turn queries, or normalises them, scales rows of tokens or has a table of places")
	case a.Rotary.Scaling != "" && a.Rotary.Scaling != "linear":
		return no("its rotations are scaled in the way %s", a.Rotary.Scaling)
	case o.tied:
		return no("the logits have no matrix of their own")
	}
	return "gptneox", nil
}

// target is a tensor of another program's file, and what it is made of.
type target struct {
	name     string
	from     owner
	field    string
	at       int           // first column that is taken
	width    int           // columns; 0 takes all, and the parameter as it lies
	order    func(int) int // output r is that column of those; nil keeps the order
	inputs   bool          // the inputs come first, as they do here
	rows     int           // of a table, or of a vector that has a number for each token: how many are taken; 0: all
	mask     int           // of such a table: which of these is that behind them; -1 is none
	add      float32
	constant []float32 // numbers that are of no parameter
	lies     []int     // their shape, where it is not that of a vector
}

// source reads the parameters of a checkpoint of this project.
type source struct {
	r      *checkpoint.Reader
	shapes map[string][]int
	last   string // parameter that is in memory
	data   []float32
	out    []float32
}

// openSource opens a checkpoint and holds it against the parameters of a spec.
func openSource(path string, m *spec.Model) (*source, error) {
	want, err := gen.Parameters(m)
	if err != nil {
		return nil, err
	}
	r, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	s := &source{r: r, shapes: map[string][]int{}}
	has := map[string]checkpoint.Entry{}
	for _, e := range r.Entries() {
		has[e.Name] = e
	}
	for _, p := range want {
		e, ok := has[p.Name]
		if !ok || !slices.Equal(e.Shape, p.Shape) || !e.Float() {
			r.Close()
			return nil, fmt.Errorf("checkpoint %s is not one of %s: it has no tensor %s of shape %v", path, m.File,
				p.Name, p.Shape)
		}
		if err := r.Verify(p.Name); err != nil {
			r.Close()
			return nil, err
		}
		s.shapes[p.Name] = p.Shape
	}
	return s, nil
}

// name is that of a parameter in the checkpoint. A repeat that is no loop has no numbers.
func (s *source) name(o owner, field string) string {
	if o.number > 0 {
		if name := fmt.Sprintf("%s.%d.%s%s", o.name, o.number, o.prefix, field); s.shapes[name] != nil {
			return name
		}
	}
	return o.name + "." + o.prefix + field
}

// shape is that of a target.
func (s *source) shape(t *target) ([]int, error) {
	if t.lies != nil {
		return t.lies, nil
	}
	if t.constant != nil {
		return []int{len(t.constant)}, nil
	}
	name := s.name(t.from, t.field)
	shape := s.shapes[name]
	switch {
	case shape == nil:
		return nil, fmt.Errorf("interchange: there is no parameter %s for %s", name, t.name)
	case t.rows > 0:
		return append([]int{t.rows}, shape[1:]...), nil
	case t.width == 0:
		return shape, nil
	case len(shape) == 1:
		return []int{t.width}, nil
	case t.inputs:
		return []int{shape[0], t.width}, nil
	}
	return []int{t.width, shape[0]}, nil
}

// numbers makes a target. The slice is overwritten by the next call.
func (s *source) numbers(t *target) ([]float32, error) {
	if t.constant != nil {
		return t.constant, nil
	}
	name := s.name(t.from, t.field)
	rows, columns := matrixOf(s.shapes[name])
	if s.last != name {
		s.data = slices.Grow(s.data[:0], rows*columns)[:rows*columns]
		if err := s.r.Read(name, 0, s.data); err != nil {
			return nil, err
		}
		s.last = name
	}
	if t.rows > 0 {
		if len(s.shapes[name]) == 1 {
			columns = 1
		}
		s.out = append(s.out[:0], s.data[:t.rows*columns]...)
		if t.mask >= 0 && len(s.data) > len(s.out) { // what a training has made of the mask
			copy(s.out[t.mask*columns:(t.mask+1)*columns], s.data[t.rows*columns:])
		}
		return s.out, nil
	}
	if t.width == 0 && t.add == 0 {
		return s.data, nil
	}
	width := t.width
	if width == 0 {
		width = columns
	}
	s.out = slices.Grow(s.out[:0], rows*width)[:rows*width]
	for j := range width {
		from := j
		if t.order != nil {
			from = t.order(j)
		}
		for i := range rows {
			x := s.data[i*columns+t.at+from] + t.add
			if t.inputs || t.width == 0 {
				s.out[i*width+j] = x
			} else {
				s.out[j*rows+i] = x
			}
		}
	}
	return s.out, nil
}

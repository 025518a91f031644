// Package report counts what a model costs: parameters, operations a token, and the memory of training and decoding,
// layer by layer. Generated code, its documentation and the command inspect say the same because all ask here.
//
// It must know nothing of Go code.
package report

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/plan"
)

// Row is a layer, or a use of a block, whose layers follow.
type Row struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Depth  int    `json:"depth,omitempty"` // how many composites and blocks it stands in
	Share  string `json:"share,omitempty"` // the layer whose parameters it has
	Output string `json:"output"`          // shape in training; empty for a block
	Params int    `json:"params"`
	Flops  int    `json:"flops_per_token"` // floating-point operations of the forward pass; a vector is one token
	Line   int    `json:"line,omitempty"`  // of the spec
}

// Report is what is known of a model before it runs. Sizes are in bytes.
type Report struct {
	Name       string `json:"name"`
	Kind       string `json:"kind"`
	Batch      int    `json:"batch"`
	Steps      int    `json:"steps"`
	Unit       string `json:"unit"` // what flops and losses are counted by: a token or a vector
	Vocab      int    `json:"vocabulary,omitempty"`
	Vector     int    `json:"vector,omitempty"` // numbers of a vector
	Rows       []Row  `json:"layers"`
	Params     int    `json:"params"`
	Flops      int    `json:"flops_per_token"`       // forward
	TrainFlops int    `json:"train_flops_per_token"` // forward and backward
	ParamBytes int    `json:"parameter_bytes"`
	GradBytes  int    `json:"gradient_bytes"`
	SlotBytes  int    `json:"optimizer_bytes"`
	ArenaBytes int    `json:"activation_bytes"` // of training, after the plan
	NaiveBytes int    `json:"unplanned_bytes"`  // what the arena would be without sharing
	StateBytes int    `json:"state_bytes"`      // carried from window to window
	// of a batch in shards: sums of gradients, and the state of each shard
	ShardBytes   int    `json:"shard_bytes"`
	CopyBytes    int    `json:"copy_bytes"`       // of what a checkpoint has, from the first one on
	DecoderBytes int    `json:"decoder_bytes"`    // a sequence
	TrainBytes   int    `json:"train_bytes"`      // all of a training, without the copy
	DecodeBytes  int    `json:"decode_bytes"`     // parameters and a decoder of one sequence
	Reads        []Read `json:"reads,omitempty"`  // of a decoder of text, a token
	Caches       []Kept `json:"caches,omitempty"` // of a decoder: the keys and values of a sequence
	Learn        int    `json:"learn,omitempty"`  // parameters of an adapter, which learn in place of the others
	Adapter      int    `json:"-"`                // elements of the flat array that are an adapter's, with padding
	FlatParams   int    `json:"-"`                // elements of the flat array of parameters, with padding
	// of these, the ones of an encoder that is updated alone, which come first
	Encoder   int `json:"-"`
	Generator int `json:"-"` // of these, the ones of a generator that has a discriminator beside it, which come first
}

// Read is how many bytes a decoder with weights of a kind reads of matrices for a token.
type Read struct {
	Weights string `json:"weights"`
	Bytes   int    `json:"bytes"`
}

// Kept is how many bytes a decoder keeps of keys and values as numbers of a kind.
type Kept struct {
	Cache string `json:"cache"`
	Bytes int    `json:"bytes"`
}

// Make counts, from the optimized graphs and their plans: of training for the spec's capacities, of encoding and
// decoding for one sequence.
func Make(m *build.Model, plans map[*graph.Graph]*plan.Plan) *Report {
	s := m.Spec
	r := &Report{Name: s.Name, Kind: s.Kind, Batch: s.Shape.Batch, Steps: s.Shape.Steps, Unit: "token",
		Vocab: s.Vocab()}
	if s.Vectors != nil {
		r.Unit, r.Vector = "vector", s.Vectors.Size
	}
	one := m.Sizes(false)
	one["steps"], one["ends"] = 1, 1
	full := m.Sizes(true)
	byScope := forwardFlops(m, one)
	var blocks []string // that the layer before stands in
	for _, l := range m.Layers {
		same := 0
		for same < min(len(blocks), len(l.Blocks)) && blocks[same] == l.Blocks[same] {
			same++
		}
		for i, name := range l.Blocks[same:] {
			r.Rows = append(r.Rows, Row{Name: name, Kind: "block", Depth: l.Depth + same + i})
		}
		blocks = l.Blocks
		row := Row{Name: l.Name, Kind: l.Kind, Depth: l.Depth + len(l.Blocks), Share: l.Share,
			Output: Shape(l.Output), Line: l.Line}
		for _, p := range l.Params {
			if !p.Fixed {
				row.Params += p.Shape.Elems().N
			}
			r.FlatParams += padded(p)
			if p.Encoder {
				r.Encoder += padded(p)
			}
			if p.Adapter {
				r.Adapter += padded(p)
				r.Learn += p.Shape.Elems().N
			}
			if s.GAN != nil && !p.Discriminator {
				r.Generator += padded(p)
			}
		}
		scopes := l.Scopes
		if len(scopes) == 0 {
			scopes = []string{l.Name}
		}
		for _, sc := range scopes {
			row.Flops += byScope[sc]
		}
		r.Rows = append(r.Rows, row)
		r.Params += row.Params
		r.Flops += row.Flops
	}
	total := 0
	for _, g := range m.Trained() {
		for _, n := range g.Nodes {
			times := 1
			if g == m.Discriminate {
				times = s.GAN.CriticSteps
			}
			total += times * flops(n, full)
		}
		r.ArenaBytes += 4 * plans[g].Arena
		r.NaiveBytes += 4 * plans[g].Naive
	}
	r.TrainFlops = total / (s.Shape.Batch * s.Shape.Steps)
	r.ParamBytes = 4 * r.FlatParams
	if r.GradBytes = r.ParamBytes; s.Adapter != nil {
		r.GradBytes = 4 * r.Adapter
	}
	kept, scratch := slotBytes(m, map[string]int{"": r.FlatParams, "adapter": r.Adapter, "generator": r.Generator,
		"discriminator": r.FlatParams - r.Generator, "encoder": r.Encoder, "decoder": r.FlatParams - r.Encoder})
	switch {
	case s.EMA > 0 && s.GAN != nil:
		kept += 4 * r.Generator
	case s.EMA > 0:
		kept += r.ParamBytes
	}
	if s.GAN != nil && s.GAN.EMA > 0 {
		kept += 4 * r.Generator
	}
	r.SlotBytes = kept + scratch
	if s.GAN != nil {
		for _, in := range m.Discriminate.Inputs {
			// which are the caller's
			if in.Role == graph.Data && !slices.Contains([]string{"vectors", "targets", "tokens", build.LabelsInput},
				in.Name) {
				r.ArenaBytes += 4 * in.Shape.Elems().At(full)
			}
		}
	}
	for _, st := range m.States {
		if s.Kind == "rnn" || s.GAN != nil { // otherwise a decoder alone has them
			r.StateBytes += 4 * st.Shape.Elems().At(full)
		}
		r.DecoderBytes += 4 * st.Shape.Elems().At(one)
	}
	for _, c := range m.Caches {
		n := c.Shape.Elems().At(one)
		r.DecoderBytes += 4 * n
		if !c.Kept {
			continue
		}
		if r.Caches == nil {
			r.Caches = []Kept{{"f32", 0}, {"bf16", 0}, {"q8", 0}}
		}
		// As package runtime/cache lays them out: rows of whole blocks of 32 features, each with a scale.
		const block = 32
		size := c.Shape.Last().N
		blocks := n / size * ((size + block - 1) / block)
		for i, bytes := range []int{4 * n, 2 * n, (block + 4) * blocks} {
			r.Caches[i].Bytes += bytes
		}
	}
	for _, g := range []*graph.Graph{m.Encode, m.Decode, m.Make} {
		if g != nil {
			r.DecoderBytes += 4 * plans[g].Arena
		}
	}
	if m.Decode != nil {
		r.Reads = []Read{{"f32", 0}, {"bf16", 0}, {"q8", 0}, {"q4", 0}}
		read(r.Reads, m.Decode, 1)
	}
	r.ShardBytes = r.shardBytes(s.Train.Accumulate)
	r.CopyBytes = r.GradBytes + kept + max(1, s.Train.Accumulate)*r.StateBytes // what learns has a gradient
	r.TrainBytes = r.ParamBytes + r.GradBytes + r.SlotBytes + r.ArenaBytes + r.StateBytes + r.ShardBytes
	r.DecodeBytes = r.ParamBytes + r.DecoderBytes
	return r
}

// shardBytes is what adding up n shards takes (runtime/schedule): for each depth of the tree the gradients of what a
// step moves, which of two networks is one of them, and the state of each shard.
func (r *Report) shardBytes(n int) int {
	if n < 2 {
		return 0
	}
	grads := r.GradBytes
	if r.Generator > 0 {
		grads = 4 * max(r.Generator, r.FlatParams-r.Generator)
	}
	return bits.Len(uint(n-1))*grads + n*r.StateBytes
}

// read adds what a graph reads of matrices that are laid out, in the layout of package runtime/weights: panels of 32
// columns, and blocks of 32 steps with a scale a column.
func read(reads []Read, g *graph.Graph, times int) {
	const panel, block = 32, 32
	for _, n := range g.Nodes {
		if n.Loop != nil {
			if n.Loop.Kind == graph.Repeat {
				read(reads, n.Loop.Body, times*n.Loop.Trip.N)
			} else {
				read(reads, n.Loop.Body, times)
			}
			continue
		}
		if n.Op.Name != "matmul" || !n.Attrs.Bool("laid") {
			continue
		}
		k, cols := n.Args[1].Shape[0].N, n.Args[1].Shape[1].N
		if n.Attrs.Bool("tb") {
			k, cols = cols, k
		}
		panels, blocks := (cols+panel-1)/panel*times, (k+block-1)/block
		for i, bytes := range []int{
			4 * panel * k, 2 * panel * k, (2 + block) * panel * blocks, (4 + block) * panel / 2 * blocks,
		} {
			reads[i].Bytes += panels * bytes
		}
	}
}

// Shape is a shape as people write it: "steps × batch × 128".
func Shape(s graph.Shape) string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = strings.Replace(d.String(), "sourceSteps", "source steps", 1)
	}
	return strings.Join(parts, " × ")
}

// forwardFlops counts the operations of a forward pass for one token, or one vector, by the scope of the node.
func forwardFlops(m *build.Model, one map[string]int) map[string]int {
	byScope := map[string]int{}
	switch {
	case m.Make != nil:
		for _, g := range []*graph.Graph{m.Make, m.Judge} {
			for _, n := range g.Nodes {
				addFlops(byScope, n, one, 1)
			}
		}
	case m.Decode != nil && m.Encode == nil:
		for _, n := range m.Decode.Nodes {
			addFlops(byScope, n, one, 1)
		}
		if m.Judge != nil { // a token's share of a line
			line := m.Sizes(true)
			line["batch"] = 1
			for _, n := range m.Judge.Nodes {
				addFlops(byScope, n, line, m.Spec.Shape.Steps)
			}
		}
	default: // a token's share of a window
		window := m.Sizes(true)
		window["batch"] = 1
		for _, n := range m.Train.Nodes {
			if n.Phase == graph.Forward {
				addFlops(byScope, n, window, m.Spec.Shape.Steps)
			}
		}
	}
	return byScope
}

// ProgramBytes is about what a program with the commands of a model takes before there is a model: code, the Go
// runtime, stacks. It was measured on Linux.
const ProgramBytes = 11 << 20

// slotBytes is the memory of the optimizers: what they keep and what they work in.
func slotBytes(m *build.Model, lengths map[string]int) (kept, scratch int) {
	for _, p := range m.Parts {
		k, s := p.Optimizer.Numbers(lengths[p.Name], m.TensorSizes(p))
		kept, scratch = kept+4*k, scratch+4*s
	}
	return kept, scratch
}

// padded is the length of a parameter in the flat array: each layer's tensor starts at a cache line.
func padded(p *build.Param) int {
	n, layers := p.Shape.Elems().N, max(p.Stack, 1)
	one := n / layers
	return layers * ((one + plan.Align - 1) / plan.Align * plan.Align)
}

// addFlops adds the operations of a node, divided by share, to its scope's: those of a loop over layers to the layers'.
func addFlops(byScope map[string]int, n *graph.Node, sizes map[string]int, share int) {
	if n.Loop == nil || n.Loop.Kind != graph.Repeat {
		byScope[n.Scope] += flops(n, sizes) / share
		return
	}
	times, inner := n.Loop.Trip.At(sizes), map[string]int{}
	for _, m := range n.Loop.Body.Nodes {
		addFlops(inner, m, sizes, 1)
	}
	for scope, f := range inner {
		byScope[scope] += f * times / share
	}
}

func flops(n *graph.Node, sizes map[string]int) int {
	if n.Loop != nil {
		sum := 0
		for _, m := range n.Loop.Body.Nodes {
			sum += flops(m, sizes)
		}
		return sum * n.Loop.Trip.At(sizes)
	}
	if n.Op.Flops == nil {
		return 0
	}
	return n.Op.Flops(n).At(sizes)
}

// Table is the summary as aligned text, without what depends on the machine.
func (r *Report) Table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "layer\tkind\toutput\tparameters\tflops a "+r.Unit)
	for _, row := range r.Rows {
		name, kind := strings.Repeat("  ", row.Depth)+row.Name, row.Kind
		if row.Kind == "block" {
			fmt.Fprintf(w, "%s\t%s\t\t\t\n", name, kind)
			continue
		}
		if row.Share != "" {
			kind += " = " + row.Share
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", name, kind, row.Output, Count(row.Params), Count(row.Flops))
	}
	fmt.Fprintf(w, "total\t\t\t%s\t%s\n", Count(r.Params), Count(r.Flops))
	w.Flush()
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// Count is a number with its thousands apart.
func Count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Bytes is a size for people.
func Bytes(n int) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// Text is the whole report: what the command inspect prints.
func (r *Report) Text() string {
	var b strings.Builder
	what := fmt.Sprintf("vocabulary %d, up to %d sequences × %d steps", r.Vocab, r.Batch, r.Steps)
	text := "its text a byte a token"
	if r.Vector > 0 {
		what, text = fmt.Sprintf("vectors of %d, up to %d side by side", r.Vector,
			r.Batch), "its data four bytes a number"
	}
	fmt.Fprintf(&b, "%s: %s, %s\n\n%s\n", r.Name, r.Kind, what, r.Table())
	fmt.Fprintf(&b, "training   %s flops a %s\n", Count(r.TrainFlops), r.Unit)
	if r.Learn > 0 {
		fmt.Fprintf(&b, "           %s of the parameters learn, those of the adapter: %.2g %% of the others\n", Count(r.Learn),
			100*float64(r.Learn)/float64(r.Params-r.Learn))
	}
	fmt.Fprintf(&b, "           %s: parameters %s, gradients %s, optimizer %s, activations %s, state %s\n",
		Bytes(r.TrainBytes), Bytes(r.ParamBytes), Bytes(r.GradBytes), Bytes(r.SlotBytes), Bytes(r.ArenaBytes),
		Bytes(r.StateBytes))
	if r.ShardBytes > 0 {
		fmt.Fprintf(&b, "           of these %s are sums over the shards of a batch, and the state of each\n",
			Bytes(r.ShardBytes))
	}
	fmt.Fprintf(&b, "           what a checkpoint has is copied before it is written, %s, and so are the best "+
		"parameters, %s\n", Bytes(r.CopyBytes), Bytes(r.ParamBytes))
	fmt.Fprintf(&b, "           without the memory plan activations would take %s\n", Bytes(r.NaiveBytes))
	fmt.Fprintf(&b, "           the program around it adds about %s, and %s\n", Bytes(ProgramBytes), text)
	if r.Vector > 0 && r.DecoderBytes > 0 {
		fmt.Fprintf(&b, "sampling   %s: parameters %s, a batch of vectors %s\n", Bytes(r.DecodeBytes),
			Bytes(r.ParamBytes), Bytes(r.DecoderBytes))
	} else if r.Vector == 0 {
		fmt.Fprintf(&b, "decoding   %s: parameters %s, a sequence %s\n", Bytes(r.DecodeBytes), Bytes(r.ParamBytes),
			Bytes(r.DecoderBytes))
	}
	for i, x := range r.Reads {
		if i == 0 {
			fmt.Fprint(&b, "           a token reads, of matrices,")
		}
		fmt.Fprintf(&b, " %s as %s", Bytes(x.Bytes), x.Weights)
		if i < len(r.Reads)-1 {
			fmt.Fprint(&b, ",")
		} else {
			fmt.Fprintln(&b)
		}
	}
	for i, x := range r.Caches {
		end := ","
		if i == 0 {
			fmt.Fprint(&b, "           keys and values of a sequence take")
		}
		if i == len(r.Caches)-1 {
			end = "\n"
		}
		fmt.Fprintf(&b, " %s as %s%s", Bytes(x.Bytes), x.Cache, end)
	}
	return b.String()
}

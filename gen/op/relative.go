package op

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// RelativeBias spreads a table [buckets, heads] over the distances of two tokens: row h of the result [heads, span]
// has, at column (span − 1)/2 + d, what head h adds to the score of a key that stands d places behind its query
// (Raffel et al. 2020). Attributes: span; distance, from which on all are alike; both, whether the keys behind a query
// have buckets of their own, or share the first one.
var RelativeBias = &graph.Op{
	Name: "relative_bias",
	ONNX: func(x asm, n *node, a []string) []string {
		span := n.Outs[0].Shape[1].N
		rows := make([]int, span)
		for i := range rows {
			rows[i] = Bucket(i-(span-1)/2, n.Args[0].Shape[0].N, n.Attrs.Int("distance"), n.Attrs.Bool("both"))
		}
		return []string{x.Op("Transpose", perm(1, 0), x.Op("Gather", axis(0), a[0], x.Ints(rows...)))}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		span, ok := n.Attrs.Get("span").(dim)
		if t := n.Args[0].Shape; len(t) != 2 || !ok || span.N%2 != 1 {
			return nil, fmt.Errorf("wants a table [buckets, heads] and an odd span, got %s and %s", t, span)
		}
		return f32(graph.Shape{n.Args[0].Shape[1], span}), nil
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		eachDistance(n, in[0], out[0], func(table, bias *float64) { *bias = *table })
		return nil
	},
	Emit: func(n *node) []call {
		t := n.Args[0].Shape
		return []call{{Func: "RelativeBias", Args: relativeOperands(n, n.Outs[0], n.Args[0], t[0], t[1])}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s of the bucket of each distance", name(n.Outs[0]), name(n.Args[0]))
	},
}

// RelativeBiasGrad is the gradient of the table: the sums over the distances of each bucket.
var RelativeBiasGrad = &graph.Op{
	Name: "relative_bias_grad",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		buckets, ok := n.Attrs.Get("buckets").(dim)
		if !ok || len(n.Args[0].Shape) != 2 {
			return nil, fmt.Errorf("wants [heads, span] and the attribute buckets")
		}
		return f32(graph.Shape{buckets, n.Args[0].Shape[0]}), nil
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		eachDistance(n, out[0], in[0], func(table, bias *float64) { *table += *bias })
		return nil
	},
	Emit: func(n *node) []call {
		t := n.Outs[0].Shape
		return []call{{Func: "RelativeBiasGrad", Args: relativeOperands(n, n.Outs[0], n.Args[0], t[0], t[1])}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = Σ over the distances of each bucket of %s", name(n.Outs[0]), name(n.Args[0]))
	},
}

func relativeOperands(n *node, to, from *value, buckets, heads dim) []graph.Operand {
	return []graph.Operand{to, from, buckets, heads, n.Attrs.Get("span").(dim),
		graph.Const(n.Attrs.Int("distance"), ""), graph.Bool(n.Attrs.Bool("both"))}
}

func eachDistance(n *node, table, bias *graph.Tensor, f func(table, bias *float64)) {
	buckets, heads, span := table.Shape[0], table.Shape[1], bias.Shape[1]
	for h := range heads {
		for i := range span {
			b := Bucket(i-(span-1)/2, buckets, n.Attrs.Int("distance"), n.Attrs.Bool("both"))
			f(&table.F[b*heads+h], &bias.F[h*span+i])
		}
	}
}

// Bucket is the number of the range of distances that d belongs to, d being the key's place less the query's: with
// both, half of the buckets are for keys behind the query. Of those for one side half are for one distance each, and
// the others for ranges that grow by the same factor up to distance (Raffel et al. 2020, section 2.1).
func Bucket(d, buckets, distance int, both bool) int {
	first := 0
	if both {
		buckets /= 2
		if d > 0 {
			first = buckets
		}
		d = max(d, -d)
	} else {
		d = max(-d, 0)
	}
	exact := buckets / 2
	if d < exact {
		return first + d
	}
	b := exact + int(math.Log(float64(d)/float64(exact))/math.Log(float64(distance)/float64(exact))*float64(
		buckets-exact))
	return first + min(b, buckets-1)
}

func init() {
	RelativeBias.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(RelativeBiasGrad, []string{d(n.Args[0])}, n.Attrs.Set("buckets", n.Args[0].Shape[0]), g[0])
	}
}

package build

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("positions", construction[*spec.Positions]{build: (*builder).positions, counts: true, tell: tellPositions})
}

// positions adds to x where each token stands.
func (b *builder) positions(l *spec.Positions, x *graph.Value, _ bool) *graph.Value {
	count := b.sized(l.Name, "count", l.Steps, "positions that "+l.Name+" tells apart")
	var table *graph.Value
	if l.Scheme == "sinusoidal" {
		table = b.table(&Table{Name: l.Name + ".waves", Scheme: "waves", Rows: count, Columns: x.Shape.Last(),
			Comment: "the sinusoids of " + l.Name})
	} else {
		table = b.param(l.Name, "table", graph.Shape{count, x.Shape.Last()}, 0, 0, l.Name,
			matrix(l.Init, l.Steps, l.Width))
	}
	if b.places == nil {
		return b.Apply(op.AddPositions, []string{b.called(l, "x")}, nil, x, table)[0]
	}
	rows := b.Apply(op.Gather, []string{l.Name + ".rows"}, nil, table, b.places)[0]
	return b.Apply(op.Add, []string{l.Name + ".x"}, nil, x, rows)[0]
}

func tellPositions(_ *spec.Model, l *spec.Positions) Account {
	var a Account
	if l.Scheme != "sinusoidal" {
		a.say("Adds a learnt row for each of %d places.", l.Steps)
		a.show("y_t = x_t + " + Symbol("table") + "_t")
		return a
	}
	a.say("Adds sines and cosines of the place, of wavelengths from 2π to 10000·2π.")
	a.show("y_t = x_t + P_t", fmt.Sprintf(`P_{t, 2i} = \sin(t \cdot 10000^{-2i / %d})`, l.Width),
		fmt.Sprintf(`P_{t, 2i+1} = \cos(t \cdot 10000^{-2i / %d})`, l.Width))
	return a
}

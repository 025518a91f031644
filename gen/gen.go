// Package gen is the compiler: it takes a checked spec to the files of a Go package, one stage after the other.
//
//	spec.Model ─build▶ graphs ─grad▶ with gradients ─optimize▶ smaller, faster ─plan▶ with memory ─emit▶ files
//
// It must know nothing of how a stage does its work.
package gen

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/emit"
	"github.com/gradsmith/gradsmith/gen/grad"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/gen/optimize"
	"github.com/gradsmith/gradsmith/gen/plan"
	"github.com/gradsmith/gradsmith/gen/prose"
	"github.com/gradsmith/gradsmith/gen/report"
	"github.com/gradsmith/gradsmith/spec"
)

// Version is the version of the generator. It stands in generated code, and changes whenever what is generated does.
const Version = "0.5.0"

// File is a generated file: its name within the package's folder, and its contents.
type File = emit.File

// Report is what a model costs.
type Report = report.Report

// Stages lists what Dump can show, in their order.
var Stages = []string{"build", "grad", "optimize", "plan"}

// compilation is a model on its way through the stages.
type compilation struct {
	model *build.Model
	plans map[*graph.Graph]*plan.Plan
}

// run takes m through the stages, up to and including the one named; "" runs all.
func run(m *spec.Model, until string) (*compilation, error) {
	c := &compilation{}
	var err error
	if c.model, err = build.Build(m); err != nil || until == "build" {
		return c, err
	}
	for _, g := range c.model.Trained() {
		if err := differentiate(g, c.model.Learns(g)); err != nil {
			return nil, err
		}
		clearLayers(g, c.model.Params)
	}
	if until == "grad" {
		return c, nil
	}
	for _, g := range c.model.Graphs() {
		if err := optimize.Run(g, c.model.Decodes(g)); err != nil {
			return nil, err
		}
	}
	if until == "optimize" {
		return c, nil
	}
	c.plans = map[*graph.Graph]*plan.Plan{}
	for _, g := range c.model.Graphs() {
		if c.plans[g], err = plan.Make(g, c.model.Capacity(g)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// differentiate adds to g the gradient of its loss with respect to the parameters that its step trains.
func differentiate(g *graph.Graph, params []*graph.Value) error {
	grads, err := grad.Append(g, g.Find("loss"), params)
	if err != nil {
		return err
	}
	for i, d := range grads {
		g.Output(d, "grad:"+params[i].Name)
	}
	return g.Verify()
}

// clearLayers makes gradients of zero, where they are those of the parameters of a stack of layers, as the rest of such
// a stack is made: layer by layer, in one loop.
func clearLayers(g *graph.Graph, params []*build.Param) {
	loops := map[string]*graph.Node{}
	for _, p := range params {
		i := slices.IndexFunc(g.Targets, func(t graph.Target) bool { return t.String() == "grad:"+p.Name() })
		if p.Stack == 0 || i < 0 || g.Outputs[i].Def == nil || g.Outputs[i].Def.Op != op.Zeros {
			continue
		}
		loop := loops[p.Scope]
		b := &graph.Builder{G: graph.New(g.Name + ".cleared"), Phase: graph.Backward, Scope: p.Scope, Origin: p.Place}
		if loop != nil {
			b.G = loop.Loop.Body
		}
		zero := b.Apply(op.Zeros, []string{"d" + p.Field}, graph.Attrs{{Key: "shape", Val: p.Shape[1:]}})[0]
		if loop == nil {
			b.G.Outputs = []*graph.Value{zero}
			body := b.G
			b.G = g
			loops[p.Scope] = b.AddLoop(&graph.Loop{Kind: graph.Repeat, Trip: p.Shape[0], Index: "l", Body: body},
				[]string{g.Outputs[i].Base})
			g.Outputs[i] = loops[p.Scope].Outs[0]
			continue
		}
		g.Outputs[i] = g.StackOut(loop, zero, g.Outputs[i].Base)
	}
}

// compile takes m through the stages and calls then with what they gave. Whatever goes wrong on the way, but for what
// is wrong with the spec, is a Bug.
func compile(m *spec.Model, until string, then func(*compilation) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = newBug(m, graph.NewFault("", r))
		}
	}()
	c, err := run(m, until)
	if err == nil {
		err = then(c)
	}
	var conflict *build.Conflict
	var refusal *build.Refusal
	if err == nil || errors.As(err, &conflict) || errors.As(err, &refusal) {
		return err
	}
	return newBug(m, &graph.Fault{Cause: err})
}

// Generate compiles m to the files of a Go package. An error is a *build.Conflict or *build.Refusal, which name what in
// the spec to change, or a *Bug.
func Generate(m *spec.Model) (files []File, err error) { return generate(m, false) }

// generate is Generate, of code that poisons memory where tests ask for it.
func generate(m *spec.Model, poison bool) (files []File, err error) {
	err = compile(m, "", func(c *compilation) error {
		files, err = emit.Package(emit.Input{Model: c.model, Plans: c.plans, Report: c.report(), Generator: Version,
			Poison: poison})
		for i := range files {
			seal(&files[i])
		}
		return err
	})
	return files, err
}

func (c *compilation) report() *Report {
	return report.Make(c.model, c.plans)
}

// Inspect tells what m costs, without writing code.
func Inspect(m *spec.Model) (r *Report, err error) {
	err = compile(m, "", func(c *compilation) error { r = c.report(); return nil })
	return r, err
}

// Explain says in words and formulas what m does.
func Explain(m *spec.Model) (d *prose.Document, err error) {
	err = compile(m, "build", func(c *compilation) error { d = prose.Make(c.model); return nil })
	return d, err
}

// Dump is the text form of the graphs after a stage, and for "plan" the memory plans.
func Dump(m *spec.Model, stage string) (text string, err error) {
	if !slices.Contains(Stages, stage) {
		return "", fmt.Errorf("there is no stage %q: use one of %s", stage, strings.Join(Stages, ", "))
	}
	err = compile(m, stage, func(c *compilation) error {
		var parts []string
		for _, g := range c.model.Graphs() {
			if stage == "plan" {
				parts = append(parts, g.Name+": "+c.plans[g].String())
			} else {
				parts = append(parts, g.String())
			}
		}
		text = strings.Join(parts, "\n")
		return nil
	})
	return text, err
}

// Dot is the forward graph of training for Graphviz, before any optimization: the model as the spec describes it.
func Dot(m *spec.Model) (text string, err error) {
	err = compile(m, "build", func(c *compilation) error { text = c.model.Train.Dot(); return nil })
	return text, err
}

// Parameter is a tensor of a model's parameters, as checkpoints have it.
type Parameter struct {
	Name  string
	Shape []int
}

// Parameters lists the tensors of m in the order of their definition, without those of an adapter, which checkpoints of
// the model need not have.
func Parameters(m *spec.Model) (all []Parameter, err error) {
	err = compile(m, "build", func(c *compilation) error {
		for _, p := range c.model.Params {
			if p.Adapter {
				continue
			}
			dims := p.Shape
			if p.Stack > 0 {
				dims = dims[1:]
			}
			shape := make([]int, len(dims))
			for i, d := range dims {
				shape[i] = d.N
			}
			for _, name := range p.Tensors() {
				all = append(all, Parameter{name, shape})
			}
		}
		return nil
	})
	return all, err
}

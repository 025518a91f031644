// Package gen is the compiler: it takes a checked spec to the files of a Go package, one stage after the other.
//
//	spec.Model ──build──▶ graphs ──grad──▶ with gradients ──optimize──▶ smaller, faster ──plan──▶ with memory ──emit──▶ files
//
// It must know nothing of how a stage does its work.
package gen

import (
	"fmt"
	"strings"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/emit"
	"github.com/gradsmith/gradsmith/gen/grad"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/optimize"
	"github.com/gradsmith/gradsmith/gen/plan"
	"github.com/gradsmith/gradsmith/gen/report"
	"github.com/gradsmith/gradsmith/spec"
)

// Version is the version of the generator. It stands in generated code, and changes whenever what is generated does.
const Version = "0.4.0"

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
	}
	if until == "grad" {
		return c, nil
	}
	for _, g := range c.model.Graphs() {
		if err := optimize.Run(g); err != nil {
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
	var loss *graph.Value
	for i, t := range g.Targets {
		if t == "loss" {
			loss = g.Outputs[i]
		}
	}
	grads, err := grad.Append(g, loss, params)
	if err != nil {
		return err
	}
	for i, d := range grads {
		g.Output(d, "grad:"+params[i].Name)
	}
	return g.Verify()
}

// Generate compiles m to the files of a Go package.
func Generate(m *spec.Model) ([]File, error) {
	c, err := run(m, "")
	if err != nil {
		return nil, err
	}
	return emit.Package(emit.Input{Model: c.model, Plans: c.plans, Report: c.report(), Generator: Version})
}

func (c *compilation) report() *Report {
	return report.Make(c.model, c.plans)
}

// Inspect tells what m costs, without writing code.
func Inspect(m *spec.Model) (*Report, error) {
	c, err := run(m, "")
	if err != nil {
		return nil, err
	}
	return c.report(), nil
}

// Dump is the text form of the graphs after a stage, and for "plan" the memory plans.
func Dump(m *spec.Model, stage string) (string, error) {
	known := false
	for _, s := range Stages {
		known = known || s == stage
	}
	if !known {
		return "", fmt.Errorf("there is no stage %q: use one of %s", stage, strings.Join(Stages, ", "))
	}
	c, err := run(m, stage)
	if err != nil {
		return "", err
	}
	var parts []string
	if stage == "plan" {
		for _, g := range c.model.Graphs() {
			parts = append(parts, g.Name+": "+c.plans[g].String())
		}
		return strings.Join(parts, "\n"), nil
	}
	for _, g := range c.model.Graphs() {
		parts = append(parts, g.String())
	}
	return strings.Join(parts, "\n"), nil
}

// Dot is the forward graph of training for Graphviz, before any optimization: the model as the spec describes it.
func Dot(m *spec.Model) (string, error) {
	c, err := run(m, "build")
	if err != nil {
		return "", err
	}
	return c.model.Train.Dot(), nil
}

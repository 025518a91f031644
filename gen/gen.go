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
const Version = "0.3.0"

// File is a generated file: its name within the package's folder, and its contents.
type File = emit.File

// Report is what a model costs.
type Report = report.Report

// Stages lists what Dump can show, in their order.
var Stages = []string{"build", "grad", "optimize", "plan"}

// compilation is a model on its way through the stages.
type compilation struct {
	model                             *build.Model
	trainPlan, encodePlan, decodePlan *plan.Plan
}

// run takes m through the stages, up to and including the one named; "" runs all.
func run(m *spec.Model, until string) (*compilation, error) {
	c := &compilation{}
	var err error
	if c.model, err = build.Build(m); err != nil || until == "build" {
		return c, err
	}
	if err := differentiate(c.model); err != nil || until == "grad" {
		return c, err
	}
	for _, g := range c.model.Graphs() {
		if err := optimize.Run(g); err != nil {
			return nil, err
		}
	}
	if until == "optimize" {
		return c, nil
	}
	for _, x := range []struct {
		g        *graph.Graph
		training bool
		to       **plan.Plan
	}{{c.model.Train, true, &c.trainPlan}, {c.model.Encode, false, &c.encodePlan}, {c.model.Decode, false, &c.decodePlan}} {
		if x.g == nil {
			continue
		}
		if *x.to, err = plan.Make(x.g, c.model.Sizes(x.training)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// differentiate adds the gradient of the loss with respect to every parameter to the training graph.
func differentiate(m *build.Model) error {
	g := m.Train
	var loss *graph.Value
	for i, t := range g.Targets {
		if t == "loss" {
			loss = g.Outputs[i]
		}
	}
	var params []*graph.Value
	for _, in := range g.Inputs {
		if in.Role == graph.Param {
			params = append(params, in)
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
	return emit.Package(emit.Input{
		Model: c.model, TrainPlan: c.trainPlan, EncodePlan: c.encodePlan, DecodePlan: c.decodePlan,
		Report: c.report(), Generator: Version,
	})
}

func (c *compilation) report() *Report {
	return report.Make(c.model, c.trainPlan, c.encodePlan, c.decodePlan)
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
	if stage == "plan" {
		text := "train: " + c.trainPlan.String()
		if c.encodePlan != nil {
			text += "\nencode: " + c.encodePlan.String()
		}
		if c.decodePlan != nil {
			text += "\ndecode: " + c.decodePlan.String()
		}
		return text, nil
	}
	var parts []string
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

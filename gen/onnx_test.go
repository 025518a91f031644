package gen

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/cases/bert"
	"github.com/gradsmith/gradsmith/gen/cases/gpt"
	"github.com/gradsmith/gradsmith/gen/cases/mingru"
	"github.com/gradsmith/gradsmith/gen/cases/qwen"
	"github.com/gradsmith/gradsmith/gen/eval"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/internal/onnxrun"
	"github.com/gradsmith/gradsmith/generated/gru"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/spec"
)

// onnxCase is a part of a model as a file, with inputs and what the graph makes of them.
type onnxCase struct {
	file     []byte
	in, want map[string]*graph.Tensor // by the names of the file
}

// newONNXCase writes a part of a model and evaluates its graph, before any optimization, in float64. Parameters and
// inputs are float32 numbers, as they are in the file.
func newONNXCase(m *spec.Model, part string, sizes map[string]int) (*onnxCase, error) {
	b, err := build.Build(m)
	if err != nil {
		return nil, err
	}
	g, err := b.Inference(part)
	if err != nil {
		return nil, err
	}
	all := values(b, g, sizes, 5)
	for _, x := range all {
		for i, v := range x.F {
			x.F[i] = float64(float32(v))
		}
	}
	out, err := eval.Run(g, all, sizes)
	if err != nil {
		return nil, err
	}
	file, err := ONNX(m, part)
	if err != nil {
		return nil, err
	}
	tensors := map[string][]float32{}
	for _, p := range b.Params {
		x := all[p.Name()]
		if x == nil { // of another part
			continue
		}
		names := p.Tensors()
		for i, name := range names {
			n := len(x.F) / len(names)
			for _, v := range x.F[i*n : (i+1)*n] {
				tensors[name] = append(tensors[name], float32(v))
			}
		}
	}
	var w bytes.Buffer
	err = file.Write(&w, func(name string) ([]float32, error) {
		if tensors[name] == nil {
			return nil, fmt.Errorf("there is no tensor %s", name)
		}
		return tensors[name], nil
	})
	c := &onnxCase{file: w.Bytes(), in: map[string]*graph.Tensor{}, want: map[string]*graph.Tensor{}}
	for _, name := range file.Inputs {
		c.in[name] = all[name]
	}
	for target, x := range out {
		c.want[target[strings.IndexByte(target, ':')+1:]] = x
	}
	return c, err
}

// onnxModels are small models that together use every word of the language.
func onnxModels(t *testing.T) map[string]*spec.Model {
	t.Helper()
	models := map[string]*spec.Model{}
	for name := range specs {
		models[name] = small(t, name, "")
	}
	for name := range ganSpecs {
		models["gan "+name] = smallGAN(t, name)
	}
	for name := range textGANs {
		models["text "+name] = smallTextGAN(t, name)
	}
	paths, err := filepath.Glob("cases/*/*.yaml")
	if err != nil || len(paths) < 30 {
		t.Fatalf("%d specs, %v", len(paths), err)
	}
	for _, path := range paths {
		m, err := spec.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		models[filepath.Base(filepath.Dir(path))] = m
	}
	return models
}

// onnxSizes are those of the inputs, in a window that the model can read.
func onnxSizes(m *spec.Model) map[string]int {
	sizes := map[string]int{"batch": 3, "steps": min(4, max(m.Shape.Steps, 1)), "sourceSteps": 1}
	if m.Source != nil {
		sizes["sourceSteps"] = min(5, m.Source.Steps)
	}
	return sizes
}

// TestONNX writes small models as files of ONNX, all of their parts, and evaluates the files: they give what the graphs
// give.
func TestONNX(t *testing.T) {
	models := onnxModels(t)
	for _, name := range slices.Sorted(maps.Keys(models)) {
		m := models[name]
		parts, err := ONNXParts(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			t.Run(strings.Trim(name+"/"+part, "/"), func(t *testing.T) {
				t.Parallel()
				c, err := newONNXCase(m, part, onnxSizes(m))
				if err != nil {
					t.Fatal(err)
				}
				c.check(t, 2e-6)
			})
		}
	}
}

// TestONNXCompiled writes compiled packages with the parameters that they begin with: the files give the logits that
// the packages compute.
func TestONNXCompiled(t *testing.T) {
	for path, m := range map[string]model.Predictor{
		"../generated/rnn/rnn.yaml": rnn.New(), "../generated/gru/gru.yaml": gru.New(),
		"cases/gpt/model.yaml":  gpt.New(),
		"cases/bert/model.yaml": bert.New(), "cases/mingru/model.yaml": mingru.New(),
		"cases/qwen/model.yaml": qwen.New(),
	} {
		s, err := spec.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(s.Name, func(t *testing.T) {
			tensors := map[string][]float32{}
			for _, x := range m.Tensors() {
				tensors[x.Name] = x.Value
			}
			file, err := ONNX(s, "")
			if err != nil {
				t.Fatal(err)
			}
			var w bytes.Buffer
			if err := file.Write(&w, func(name string) ([]float32, error) { return tensors[name], nil }); err != nil {
				t.Fatal(err)
			}
			const steps, batch = 4, 2
			b := &model.Batch{Steps: steps, Batch: batch, Targets: make([]int32, steps*batch),
				Reset: make([]int32, steps*batch)}
			for i := range steps * batch {
				b.Tokens = append(b.Tokens, int32(i*5%s.Vocab()))
			}
			logits, err := m.Logits(b)
			if err != nil {
				t.Fatal(err)
			}
			c := &onnxCase{file: w.Bytes(), in: map[string]*graph.Tensor{},
				want: map[string]*graph.Tensor{"logits": {Shape: []int{steps, batch, s.Vocab()}}}}
			for _, x := range logits {
				c.want["logits"].F = append(c.want["logits"].F, float64(x))
			}
			g, err := onnxrun.Read(c.file)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range g.Inputs {
				x := &graph.Tensor{Shape: []int{batch, p.Shape[len(p.Shape)-1]}} // a state, at the start of a text
				if x.F = make([]float64, max(0, x.Elems())); p.Name == "tokens" {
					x = &graph.Tensor{Shape: []int{steps, batch}, I: b.Tokens}
				}
				c.in[p.Name] = x
			}
			c.check(t, 1e-5)
		})
	}
}

// check evaluates the file. Its constants, such as the epsilon of a norm, are float32 numbers.
func (c *onnxCase) check(t *testing.T, most float64) {
	t.Helper()
	g, err := onnxrun.Read(c.file)
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]*onnxrun.Tensor{}
	for name, x := range c.in {
		y := &onnxrun.Tensor{Element: onnxrun.Float, Shape: x.Shape, F: x.F}
		if x.I != nil {
			y.Element = onnxrun.Int32
			for _, v := range x.I {
				y.F = append(y.F, float64(v))
			}
		}
		in[name] = y
	}
	got, err := onnxrun.Run(g, in)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < len(c.want) {
		t.Errorf("the file gives %v, not %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(c.want)))
	}
	for name, want := range c.want {
		y := got[name]
		if y == nil || !slices.Equal(y.Shape, want.Shape) {
			t.Fatalf("%s is %v, want shape %v", name, y, want.Shape)
		}
		for i, v := range want.F {
			if d := math.Abs(y.F[i] - v); !(d <= most*(1+math.Abs(v))) {
				t.Fatalf("%s[%d] is %v in the file, %v in the graph", name, i, y.F[i], v)
			}
		}
	}
}

var onnxRuntime = flag.String("onnxruntime", "",
	"`FOLDER` of node_modules with the package onnxruntime-node, which runs what is written")

// onnxTensor is a tensor as bench/onnx/run.mjs reads and writes it.
type onnxTensor struct {
	Type  string    `json:"type"`
	Shape []int     `json:"shape"`
	Data  []float64 `json:"data"`
}

// TestONNXRuntime writes the checked-in models, and the small ones, as files that ONNX Runtime runs: it gives what the
// graphs give in float64, to 1e-5 of the largest number.
func TestONNXRuntime(t *testing.T) {
	if *onnxRuntime == "" {
		t.Skip("without ONNX Runtime: make onnx runs it")
	}
	dir := t.TempDir()
	cases := map[string]*onnxCase{}
	add := func(m *spec.Model, name string, sizes map[string]int) {
		t.Helper()
		parts, err := ONNXParts(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			c, err := newONNXCase(m, part, sizes)
			if err != nil {
				t.Fatalf("%s %s: %v", name, part, err)
			}
			key := strings.Trim(name+" "+part, " ")
			cases[key] = c
			c.write(t, filepath.Join(dir, key))
		}
	}
	paths, err := filepath.Glob("../generated/*/*.yaml")
	if err != nil || len(paths) < 13 {
		t.Fatalf("%d specs, %v", len(paths), err)
	}
	for _, path := range paths {
		m, err := spec.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		add(m, m.Name, map[string]int{"batch": 2, "steps": 9, "sourceSteps": 7})
	}
	for name, m := range onnxModels(t) {
		add(m, "small "+name, onnxSizes(m))
	}
	cmd := exec.Command("node", "../bench/onnx/run.mjs", *onnxRuntime, dir)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		data, err := os.ReadFile(filepath.Join(dir, name+".out.json"))
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]onnxTensor
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		worst := 0.0
		for key, want := range cases[name].want {
			y := got[key]
			if !slices.Equal(y.Shape, want.Shape) {
				t.Fatalf("%s: %s is of shape %v, want %v", name, key, y.Shape, want.Shape)
			}
			largest := 1.0
			for _, v := range want.F {
				largest = max(largest, math.Abs(v))
			}
			for i, v := range want.F {
				if d := math.Abs(y.Data[i]-v) / largest; !(d <= worst) {
					worst = d
				}
			}
		}
		if !strings.HasPrefix(name, "small ") {
			t.Logf("%-24s %8d bytes  off by %.1e", name, len(cases[name].file), worst)
		}
		if !(worst <= 1e-5) {
			t.Errorf("%s is off by %g", name, worst)
		}
	}
	t.Logf("%d files", len(cases))
}

// write writes the file and its inputs, at a path without an ending.
func (c *onnxCase) write(t *testing.T, path string) {
	t.Helper()
	in := map[string]onnxTensor{}
	for name, x := range c.in {
		y := onnxTensor{Type: "float32", Shape: x.Shape, Data: x.F}
		if x.I != nil {
			y.Type = "int32"
			for _, v := range x.I {
				y.Data = append(y.Data, float64(v))
			}
		}
		in[name] = y
	}
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{path + ".onnx": c.file, path + ".json": data} {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

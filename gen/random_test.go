package gen

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/eval"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/internal/anyspec"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
	"github.com/gradsmith/gradsmith/spec"
)

// How many specs of anyspec the tests take, and from which seed on: few unless told. `make random` takes many.
var (
	randomChecked  = flag.Int("random.checked", 60, "random specs that are generated and type-checked")
	randomCompiled = flag.Int("random.compiled", 4, "random specs that are compiled and run")
	randomFrom     = flag.Uint64("random.from", 0, "seed of the first random spec")
)

// exports gives the compiled interfaces of the packages that generated code imports.
var exports = sync.OnceValues(func() (map[string]string, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-f", "{{if .Export}}{{.ImportPath}}={{.Export}}{{end}}",
		"../runtime/...", "testing", "context", "embed", "iter", "slices", "sync", "fmt", "errors", "strings", "math")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	files := map[string]string{}
	for _, line := range strings.Fields(string(out)) {
		path, file, _ := strings.Cut(line, "=")
		files[path] = file
	}
	return files, err
})

// typeCheck reports whether files are a Go package without errors: of the compiler's and of the formatter's.
func typeCheck(files []File) error {
	compiled, err := exports()
	if err != nil {
		return err
	}
	fset := token.NewFileSet()
	var parsed []*ast.File
	for _, f := range files {
		if !strings.HasSuffix(f.Name, ".go") || !forThis(f.Data) {
			continue
		}
		p, err := parser.ParseFile(fset, f.Name, f.Data, 0)
		if err != nil {
			return err
		}
		parsed = append(parsed, p)
	}
	lookup := func(path string) (io.ReadCloser, error) {
		if compiled[path] == "" {
			return nil, fmt.Errorf("%s is not a package that generated code may import", path)
		}
		return os.Open(compiled[path])
	}
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", lookup)}
	_, err = conf.Check("example.com/generated", fset, parsed, nil)
	return err
}

// forThis reports whether a Go file takes part in a build for the machine that runs the test.
func forThis(data []byte) bool {
	for line := range strings.Lines(string(data)) {
		if e, err := constraint.Parse(strings.TrimSpace(line)); err == nil {
			return e.Eval(func(tag string) bool { return tag == runtime.GOOS || tag == runtime.GOARCH })
		}
	}
	return true
}

// TestRandomSpecs generates the packages of random specs and checks their types. Where there are many, they use all of
// the language.
func TestRandomSpecs(t *testing.T) {
	seeds := make(chan uint64)
	var wait sync.WaitGroup
	var mu sync.Mutex
	used, refused := anyspec.Everything(), 0
	for range runtime.GOMAXPROCS(0) {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for seed := range seeds {
				s := anyspec.New(seed)
				mu.Lock()
				used.Add(s)
				mu.Unlock()
				files, err := Generate(s.Model)
				if refusal := new(build.Refusal); errors.As(err, &refusal) { // such as of an adapter of no matrix
					mu.Lock()
					refused++
					mu.Unlock()
					continue
				}
				if err == nil {
					err = typeCheck(files)
				}
				if err != nil {
					t.Errorf("seed %d: %v\n%s", seed, err, s.Source)
				}
			}
		}()
	}
	for i := range *randomChecked {
		seeds <- *randomFrom + uint64(i)
		if i > 0 && i%1000 == 0 {
			t.Logf("%d of %d", i, *randomChecked)
		}
	}
	close(seeds)
	wait.Wait()
	unused := used.Unused()
	t.Logf("%d specs use %d of the %d keys and words of the language", *randomChecked, len(used)-len(unused), len(used))
	if refused > 1+*randomChecked/50 {
		t.Errorf("%d of %d specs are refused: the specs that are drawn say too little", refused, *randomChecked)
	}
	if *randomChecked >= 1000 {
		t.Logf("none uses %s", strings.Join(unused, ", "))
	}
	if *randomChecked >= 20000 && 10*len(unused) > len(used) {
		t.Error("the specs that are drawn say too little of the language")
	}
}

// want is what a compiled model must compute of one step, from the graphs of its spec, evaluated in float64.
type want struct {
	Method string // by which the model computes the gradients of the step
	Batch  model.Batch
	State  []float32
	Loss   float64
	Grads  map[string][]float64 // by tensor
	// Rounding is how far rounding takes each gradient, as a share of it, as coarse has it. Dropout that keeps few of
	// many numbers, one
	// behind the other, makes a gradient of what is left of terms that cancel.
	Rounding map[string]float64
	largest  float64 // of all numbers on the way
}

// wants evaluates the steps of a model before any optimization. params are the parameters, which are the same in all
// steps.
func wants(m *spec.Model, params map[string][]float32) ([]want, error) {
	c, err := run(m, "grad")
	if err != nil {
		return nil, err
	}
	method := map[*graph.Graph]string{c.model.Train: "Gradients"}
	if m.GAN != nil && m.GAN.Text == nil {
		method[c.model.Train] = "GeneratorGradients"
	}
	if m.GAN != nil {
		method[c.model.Discriminate] = "DiscriminatorGradients"
		method[c.model.Relax] = "RelaxedGradients"
	}
	drawn := eval.Random{
		Dropout: func(x []float64, rate float64, stream, index int) {
			mask := masks(len(x), func(y []float32) {
				kernel.Dropout(y, y, float32(rate), model.Key(1, 0, uint64(stream), uint64(index)), len(y))
			})
			for i := range x {
				x[i] *= float64(mask[i])
			}
		},
		Rows: func(stay []float64, rate float64, stream int) {
			mask := masks(len(stay), func(y []float32) {
				kernel.DropRows(y, append([]float32{}, y...), float32(rate), model.Key(1, 0, uint64(stream), 0), len(y),
					1)
			})
			for i := range stay {
				stay[i] = float64(mask[i])
			}
		},
		Normal: noise, Gumbel: gumbel,
	}
	sizes := map[string]int{"steps": m.Shape.Steps, "batch": m.Shape.Batch}
	if m.Source != nil {
		sizes["sourceSteps"] = m.Source.Steps
	}
	var all []want
	for _, g := range c.model.Trained() {
		w := want{Method: method[g],
			Batch: model.Batch{Steps: max(sizes["steps"], 1), Batch: sizes["batch"], SourceSteps: sizes["sourceSteps"]},
			Grads: map[string][]float64{}, Rounding: map[string]float64{}}
		n := w.Batch.Steps * w.Batch.Batch
		w.Batch.Tokens, w.Batch.Targets, w.Batch.Reset = make([]int32, n), make([]int32, n), make([]int32, n)
		in := values(c.model, g, sizes, 3)
		round := func(x []float64) []float32 {
			y := make([]float32, len(x))
			for i := range x {
				y[i] = float32(x[i])
				x[i] = float64(y[i])
			}
			return y
		}
		for _, v := range g.Inputs {
			x := in[v.Name]
			switch {
			case v.Role == graph.Param:
				if params[v.Name] == nil {
					params[v.Name] = round(x.F)
				}
				for i, p := range params[v.Name] {
					x.F[i] = float64(p)
				}
			case v.Role == graph.State:
				clear(x.F)
			case v.Name == "klWeight":
				x.F[0] = m.Latent.Beta
				if m.Latent.Annealing.Kind != "none" { // that of the first step
					x.F[0] *= annealed(m)
				}
			case v.Name == "inverseTemperature":
				x.F[0] = 1
			case v.Name == "mix":
				for i := range x.F {
					x.F[i] = math.Abs(math.Sin(x.F[i]))
				}
				w.Batch.Mix = round(x.F)
			case v.Role == graph.Data:
				switch v.Name {
				case "tokens":
					w.Batch.Tokens = x.I
				case "targets":
					w.Batch.Targets = x.I
				case "reset":
					w.Batch.Reset = x.I
				case "source":
					w.Batch.Source = x.I
				case "made":
					w.Batch.Made = x.I
				case build.LabelsInput:
					w.Batch.Labels = x.I
				case "weights":
					w.Batch.Weights = round(x.F)
				case "vectors":
					w.Batch.Vectors = round(x.F)
				case "noise":
					w.Batch.Noise = round(x.F)
				default:
					return nil, fmt.Errorf("no value for %s", v.Name)
				}
			}
		}
		exact, err := eval.RunRandom(g, in, sizes, drawn)
		if err != nil {
			return nil, err
		}
		rounded := drawn
		rounded.Round = coarse(1, &w.largest)
		rough, err := eval.RunRandom(g, in, sizes, rounded)
		if err != nil {
			return nil, err
		}
		w.Loss = exact["loss"].F[0]
		for _, p := range c.model.Params {
			if d := exact["grad:"+p.Name()]; d != nil {
				w.Grads[p.Name()] = d.F
				w.Rounding[p.Name()] = relativeError(rough["grad:"+p.Name()].F, d.F)
			}
		}
		all = append(all, w)
	}
	return all, nil
}

// coarse gives a function that changes each number by up to four times the last bit which a float32 of the size of the
// largest has: what long sums and products of numbers that cancel keep of them, and what takes units over their kinks
// that rounding may take there. Numbers that were there before stay, such as maxima, and whole ones, which are
// constants, masks, and places of maxima. most becomes the largest number of all.
func coarse(seed uint64, most *float64) func([]float64, []*graph.Tensor) {
	draw := rand.New(rand.NewPCG(seed, 0))
	return func(x []float64, in []*graph.Tensor) {
		exact := map[float64]bool{}
		for _, t := range in {
			for _, v := range t.F {
				exact[v] = true
			}
		}
		largest := 0.0
		for _, v := range x {
			largest = max(largest, math.Abs(v))
		}
		*most = max(*most, largest)
		for i, v := range x {
			if v != math.Trunc(v) && !exact[v] {
				x[i] += largest * 0x1p-21 * (2*draw.Float64() - 1)
			}
		}
	}
}

// relativeError is that of a gradient, where those below a thousandth count as one of a thousandth.
func relativeError(got, want []float64) float64 {
	var diff, norm float64
	for i, g := range got {
		diff += (g - want[i]) * (g - want[i])
		norm += want[i] * want[i]
	}
	return math.Sqrt(diff) / (math.Sqrt(norm) + 1e-3)
}

// becameInfinite is what a package says of numbers that float32 cannot hold.
var becameInfinite = regexp.MustCompile(`the loss became [+-]Inf`)

// errorsOf are the lines of a test's output that say what is wrong.
func errorsOf(out string) []string {
	var lines []string
	for line := range strings.Lines(out) {
		if errorLine.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return lines
}

var errorLine = regexp.MustCompile(`^\s+\w+\.go:\d+: |^panic: |^# `)

// overflows reports whether a loss or a gradient is not finite, or too large for a float32, or one that float32 can
// tell nothing of, as rounding alone takes it elsewhere.
func overflows(steps []want) bool {
	for _, w := range steps {
		if !(math.Abs(w.Loss) < math.MaxFloat32) {
			return true
		}
		for _, r := range w.Rounding {
			if !(r < 0.1) {
				return true
			}
		}
		// Of differences of two such numbers, as in the gradient of an attention, too little is left.
		if w.largest > 1e4 {
			return true
		}
		for _, g := range w.Grads {
			for _, x := range g {
				if !(math.Abs(x) < math.MaxFloat32) {
					return true
				}
			}
		}
	}
	return false
}

func masks(n int, draw func([]float32)) []float32 {
	y := make([]float32, n)
	for i := range y {
		y[i] = 1
	}
	draw(y)
	return y
}

// annealed is the share of the divergence in the first step.
func annealed(m *spec.Model) float64 {
	a := m.Latent.Annealing
	return optim.Annealing{Kind: a.Kind, Steps: a.Steps, Cycles: a.Cycles, Ramp: a.Ramp, Start: a.Start,
		Middle: a.Middle, Slope: a.Slope}.At(0)
}

// checkSource is the test that a random package has besides its own: it compares the steps of the compiled model with
// what the graphs of its spec gave in float64.
const checkSource = `package %s

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

func TestAgainstGraphs(t *testing.T) {
	data, err := os.ReadFile("want.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Params map[string][]float32
		Steps  []struct {
			Method string
			Batch  model.Batch
			Loss   float64
			Grads    map[string][]float64
			Rounding map[string]float64
		}
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	m := NewSeeded(1)
	methods := map[string]func(*model.Batch) (float64, error){%s}
	m.allocate()
	tensors := map[string]model.Tensor{}
	for _, ts := range m.Tensors() {
		tensors[ts.Name] = ts
	}
	for _, s := range all.Steps {
		clear(m.State())
		for round := range 2 { // the second finds memory as the first left it
			for name, v := range all.Params { // of which a step may change some by itself
				copy(tensors[name].Value, v)
			}
			loss, err := methods[s.Method](&s.Batch)
			if err != nil {
				t.Fatal(err)
			}
			if !(math.Abs(loss-s.Loss) <= 1e-4*(1+math.Abs(s.Loss))) {
				t.Errorf("%%s, round %%d: the loss is %%v, want %%v", s.Method, round, loss, s.Loss)
			}
			for name, want := range s.Grads {
				var diff, norm float64
				for i, g := range tensors[name].Grad {
					diff += (float64(g) - want[i]) * (float64(g) - want[i])
					norm += want[i] * want[i]
				}
				if e := math.Sqrt(diff) / (math.Sqrt(norm) + 1e-3); !(e <= 2e-3+4*s.Rounding[name]) {
					t.Errorf("%%s, round %%d: the gradient of %%s has a relative error of %%.2g", s.Method, round, name, e)
				}
			}
			clear(m.State())
		}
	}
}
`

// TestRandomCompiled compiles random specs, with memory that is spoilt at the end of each life in it, runs the tests
// of their packages, and compares what they compute with their graphs.
func TestRandomCompiled(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
	const together = 40 // packages in a call of the go command
	for first := 0; first < *randomCompiled; first += together {
		compileRandom(t, *randomFrom+uint64(first), min(together, *randomCompiled-first))
		if *randomCompiled > together {
			t.Logf("%d of %d", min(first+together, *randomCompiled), *randomCompiled)
		}
	}
}

func compileRandom(t *testing.T, first uint64, count int) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, data []byte) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.work", []byte("go 1.26\n\nuse (\n\t./random\n\t"+root+"\n)\n"))
	write("random/go.mod", []byte("module example.com/random\n\ngo 1.26\n"))
	specs := map[string]*anyspec.Spec{}
	large := 0
	for i := range count {
		s := anyspec.New(first + uint64(i))
		at := fmt.Sprintf("p%d", s.Seed)
		specs[at] = s
		files, err := generate(s.Model, true)
		if refusal := new(build.Refusal); errors.As(err, &refusal) {
			large++
			continue
		}
		if err != nil {
			t.Errorf("seed %d: %v\n%s", s.Seed, err, s.Source)
			continue
		}
		for _, f := range files {
			write(filepath.Join("random", at, f.Name), f.Data)
		}
		params := map[string][]float32{}
		steps, err := wants(s.Model, params)
		if err != nil {
			t.Errorf("seed %d: %v\n%s", s.Seed, err, s.Source)
			continue
		}
		// Products of products of a layer's input, layer upon layer, overflow in float64, or lie beyond what float32
		// can tell: of such a model the numbers say nothing, and its own tests fail with the layer where they do.
		if overflows(steps) {
			t.Logf("seed %d: its numbers say nothing; it is type-checked alone", s.Seed)
			if err := errors.Join(typeCheck(files), os.RemoveAll(filepath.Join(dir, "random", at))); err != nil {
				t.Errorf("seed %d: %v\n%s", s.Seed, err, s.Source)
			}
			if large++; large > 1+count/10 {
				t.Errorf("%d of %d specs have numbers that say nothing: the specs that are drawn say too little", large, count)
			}
			continue
		}
		c, err := run(s.Model, "build")
		if err != nil {
			t.Fatal(err)
		}
		// Of a stack of layers each tensor of the checkpoint is a part of the graph's parameter.
		tensors := map[string][]float32{}
		for _, p := range c.model.Params {
			names := p.Tensors()
			for k, name := range names {
				n := len(params[p.Name()]) / len(names)
				tensors[name] = params[p.Name()][k*n : (k+1)*n]
			}
			for i := range steps {
				g, e := steps[i].Grads[p.Name()], steps[i].Rounding[p.Name()]
				delete(steps[i].Grads, p.Name())
				for k, name := range names {
					steps[i].Rounding[name] = e
					if n := len(g) / len(names); g != nil {
						steps[i].Grads[name] = g[k*n : (k+1)*n]
					}
				}
			}
		}
		var methods bytes.Buffer
		for _, w := range steps {
			fmt.Fprintf(&methods, "%q: m.%s, ", w.Method, w.Method)
		}
		data, err := json.Marshal(map[string]any{"Params": tensors, "Steps": steps})
		if err != nil {
			t.Errorf("seed %d: %v\n%s", s.Seed, err, s.Source)
			continue
		}
		write(filepath.Join("random", at, "want.json"), data)
		write(filepath.Join("random", at, "graphs_test.go"),
			fmt.Appendf(nil, checkSource, s.Model.Name, methods.String()))
	}
	if large == count {
		return
	}
	cmd := exec.Command("go", "test", "-json", "./...")
	cmd.Dir = filepath.Join(dir, "random")
	cmd.Env = append(os.Environ(), "PWD="+cmd.Dir, "GOWORK="+filepath.Join(dir, "go.work"), "GOFLAGS=-trimpath",
		"GOTOOLCHAIN=local")
	cmd.Stderr = os.Stderr
	out, _ := cmd.Output() // a failure is in the events
	failed, said := map[string]bool{}, map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var e struct{ Action, Package, ImportPath, Test, Output string }
		if err := d.Decode(&e); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		pkg := e.Package + e.ImportPath
		pkg, _, _ = strings.Cut(filepath.Base(pkg), " ")
		pkg = strings.TrimSuffix(pkg, ".test")
		said[pkg] += e.Output
		if e.Action == "fail" || e.Action == "build-fail" {
			failed[pkg] = true
		}
	}
	if len(said) == 0 {
		t.Fatalf("no package was tested\n%s", out)
	}
	for pkg := range failed {
		// Noise and dropout that the reference did not draw may lead there as well, which the package says itself.
		if why := errorsOf(said[pkg]); len(why) > 0 && !slices.ContainsFunc(why, func(line string) bool {
			return !becameInfinite.MatchString(line)
		}) && specs[pkg] != nil {
			t.Logf("seed %d: its numbers say nothing: %s", specs[pkg].Seed, strings.TrimSpace(why[0]))
			if large++; large <= 1+count/10 {
				continue
			}
		}
		if s := specs[pkg]; s != nil {
			t.Errorf("seed %d:\n%s\n%s", s.Seed, said[pkg], s.Source)
		} else {
			t.Errorf("%s:\n%s", pkg, said[pkg])
		}
	}
}

package interchange

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/spec"
)

// Adapters of the PEFT library are folders with a config and a file of tensors. There each matrix of a published model
// has a change of its own, scale·B·A; here queries, keys and values, for example, are one matrix with one change. So a
// change here is made of several, side by side: as many columns of A as theirs have together, and of B for each of the
// matrices the columns that are its own, the rest zeros. Where several have one A it stands here once.

const (
	peftConfig  = "adapter_config.json"
	peftWeights = "adapter_model.safetensors"
	peftPrefix  = "base_model.model."
	peftA       = ".lora_A.weight"
	peftB       = ".lora_B.weight"
)

// peftKeys are those of the config, as an architecture has them.
var peftKeys = &architecture{types: []string{"LoRA"}, idle: []string{"auto_mapping", "base_model_name_or_path",
	"corda_config", "ensure_weight_tying", "eva_config", "exclude_modules", "fan_in_fan_out", "inference_mode",
	"layers_pattern", "layers_to_transform", "loftq_config", "lora_dropout", "megatron_core", "peft_version",
	"qalora_group_size", "revision", "runtime_config", "target_modules", "task_type"}}

// peft is an adapter of the library.
type peft struct {
	dir    string
	rank   int
	scale  float64
	reader *checkpoint.Reader
	shapes map[string][]int // of the tensors
	used   map[string]bool
}

func (p *peft) close() { p.reader.Close() }

// openPeft reads what a folder says of its adapter.
func openPeft(dir string) (_ *peft, err error) {
	path := filepath.Join(dir, peftConfig)
	data, err := readText(path)
	if err != nil {
		return nil, fmt.Errorf("%w; an adapter is a folder with %s and %s, as the PEFT library writes it", err,
			peftConfig, peftWeights)
	}
	c, err := parseConfig(path, data)
	if err != nil {
		return nil, err
	}
	if kind := c.word("peft_type", "LORA"); kind != "LORA" {
		return nil, fmt.Errorf("%s: the adapter is of kind %q; those of kind LORA are read", path, kind)
	}
	p := &peft{dir: dir, rank: c.size("r"), shapes: map[string][]int{}, used: map[string]bool{}}
	alpha := c.number("lora_alpha")
	if p.scale = alpha / float64(p.rank); c.flag("use_rslora", false) { // Kalajdzievski 2023
		p.scale = alpha / math.Sqrt(float64(p.rank))
	}
	c.only("bias", "none", "biases are not learnt here")
	for _, key := range []string{"alpha_pattern", "alora_invocation_tokens", "arrow_config", "layer_replication",
		"lora_bias", "megatron_config", "modules_to_save", "rank_pattern", "target_parameters",
		"trainable_token_indices", "use_dora", "use_qalora"} {
		switch v := c.value(key).(type) {
		case nil:
		case bool:
			if v {
				c.errorf("%s: such adapters compute something else", key)
			}
		case map[string]any:
			if len(v) > 0 {
				c.errorf("%s is %s: all matrices are changed in one way here", key, shown(v))
			}
		case []any:
			if len(v) > 0 {
				c.errorf("%s is %s: matrices alone are changed here", key, shown(v))
			}
		default:
			c.errorf("%s: %s is not known", key, shown(v))
		}
	}
	switch v := c.value("init_lora_weights"); v {
	case nil, true, false, "gaussian", "orthogonal", "eva":
	default:
		c.errorf("init_lora_weights is %s, by which the matrices below are others than the published ones; convert "+
			"it to a plain adapter first", shown(v))
	}
	if err := c.check(peftKeys, nil); err != nil {
		return nil, err
	}
	if p.reader, err = checkpoint.Open(filepath.Join(dir, peftWeights)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	for _, e := range p.reader.Entries() {
		name, ok := strings.CutPrefix(e.Name, peftPrefix)
		part := strings.HasSuffix(name, peftA) || strings.HasSuffix(name, peftB)
		if !ok || !part || !e.Float() || len(e.Shape) != 2 {
			return nil, fmt.Errorf("%s: the tensor %s of type %s and shape %v is not a part of the change of a "+
				"matrix, which is called %s…%s or %s", p.reader.Path(), e.Name, e.Type, e.Shape, peftPrefix, peftA,
				peftB)
		}
		p.shapes[name] = e.Shape
	}
	return p, nil
}

// change is the change of one published matrix.
type change struct {
	module string // its name, without that of the weight
	slot   int    // which of the As of the parameter is its own
	from   int    // first column of the parameter
	part   *part
}

// changes finds the changes of the matrices that a parameter is made of, and as many As as they have.
func (p *peft) changes(f *folder, param *parameter) (all []change, slots int, err error) {
	from := 0
	var as [][]float32
	for i := range param.parts {
		x := &param.parts[i]
		at := from
		from += x.width
		if x.form != linear && x.form != conv {
			continue
		}
		for _, name := range f.arch.spellings(x.tensor) {
			module := strings.TrimSuffix(name, ".weight")
			a, b := p.shapes[module+peftA], p.shapes[module+peftB]
			if a == nil && b == nil {
				continue
			}
			t, err := f.find(x.tensor)
			if err != nil {
				return nil, 0, err
			}
			in, out := t.Shape[1], t.Shape[0]
			if x.form == conv {
				in, out = out, in
			}
			if !slices.Equal(a, []int{p.rank, in}) || !slices.Equal(b, []int{out, p.rank}) {
				return nil, 0, fmt.Errorf("%s: the change of %s has the shapes %v and %v, and should have [%d %d] and "+
					"[%d %d]", p.reader.Path(), module, a, b, p.rank, in, out, p.rank)
			}
			p.used[module+peftA], p.used[module+peftB] = true, true
			numbers, err := p.read(module+peftA, p.rank*in)
			if err != nil {
				return nil, 0, err
			}
			slot := slices.IndexFunc(as, func(other []float32) bool { return slices.Equal(other, numbers) })
			if slot < 0 {
				slot, as = len(as), append(as, numbers)
			}
			all = append(all, change{module, slot, at, x})
		}
	}
	return all, len(as), nil
}

func (p *peft) read(name string, n int) ([]float32, error) {
	x := make([]float32, n)
	return x, p.reader.Read(peftPrefix+name, 0, x)
}

// unused reports a tensor that no parameter has a place for.
func (p *peft) unused() error {
	for _, name := range slices.Sorted(maps.Keys(p.shapes)) {
		if !p.used[name] {
			return fmt.Errorf("%s: the tensor %s changes what the model does not have as a matrix that rows are "+
				"multiplied with", p.reader.Path(), peftPrefix+name)
		}
	}
	return nil
}

// Adapter is an adapter of another program as a file of this project.
type Adapter struct {
	Name string // of the file

	meta  map[string]string
	parts []checkpoint.Part
}

// Write writes the file.
func (a *Adapter) Write(w io.Writer) error {
	return checkpoint.WriteParts(w, a.meta, checkpoint.F32, a.parts)
}

// adapting is what adapters of other programs make of a spec.
type adapting struct {
	files   []*peft
	rank    int
	alpha   float64
	targets []string
	changed []string              // parameters
	changes []map[string][]change // of each file, by parameter
}

func (a *adapting) close() {
	for _, p := range a.files {
		p.close()
	}
}

// number is that of a repetition in the name of a parameter.
var number = regexp.MustCompile(`\.[0-9]+\.`)

// openAdapters reads adapters and finds the changes that hold all of them.
func openAdapters(f *folder, dirs []string, params []parameter) (_ *adapting, err error) {
	a := &adapting{}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if f.gguf {
		return nil, fmt.Errorf("%s is a GGUF file, whose matrices are not those that adapters are for: import the "+
			"checkpoint in the form of the hub", f.dir)
	}
	for _, dir := range dirs {
		p, err := openPeft(dir)
		if err != nil {
			return nil, err
		}
		a.files, a.changes = append(a.files, p), append(a.changes, map[string][]change{})
		for i := range params {
			name := params[i].name
			all, slots, err := p.changes(f, &params[i])
			if err != nil {
				return nil, err
			}
			if len(all) == 0 {
				continue
			}
			a.changes[len(a.changes)-1][name] = all
			a.rank = max(a.rank, slots*p.rank)
			if !slices.Contains(a.changed, name) {
				a.changed = append(a.changed, name)
			}
			if pattern := number.ReplaceAllString(name, ".*."); !slices.Contains(a.targets, pattern) {
				a.targets = append(a.targets, pattern)
			}
		}
		if err := p.unused(); err != nil {
			return nil, err
		}
	}
	a.alpha = a.files[0].scale * float64(a.rank)
	return a, nil
}

// key is what a spec says of it.
func (a *adapting) key() string {
	var targets []string
	for _, t := range a.targets {
		targets = append(targets, fmt.Sprintf("'%s'", t))
	}
	return fmt.Sprintf("adapter: {rank: %d, alpha: %s, targets: [%s]}\n", a.rank, decimal(a.alpha),
		strings.Join(targets, ", "))
}

// adapters makes the files.
func (m *Import) adapters(a *adapting) error {
	shapes := map[string][]int{}
	for _, p := range m.parts {
		shapes[p.Name] = p.Shape
	}
	// All that the spec adapts: of a loop all repetitions are, whether a file has changes of them or not.
	var names []string
	for _, p := range m.parts {
		if pattern := number.ReplaceAllString(p.Name, ".*."); slices.Contains(a.targets, pattern) {
			names = append(names, p.Name)
		}
	}
	for i, p := range a.files {
		file := &Adapter{Name: filepath.Base(filepath.Clean(p.dir)) + ".adapter.safetensors",
			meta: checkpoint.DescribingAdapter(m.Model.Name, m.Model.Architecture(), m.Model.Digest,
				model.Adapter{Rank: a.rank, Alpha: m.Model.Adapter.Alpha})}
		if slices.ContainsFunc(m.Adapters, func(x *Adapter) bool { return x.Name == file.Name }) {
			return fmt.Errorf("two adapters are called %s: give their folders other names", filepath.Base(p.dir))
		}
		by := float32(1)
		if p.scale != a.files[0].scale {
			by = float32(p.scale / a.files[0].scale)
		}
		for _, name := range names {
			in, out := matrixOf(shapes[name])
			all := a.changes[i][name]
			nameA, nameB := checkpoint.AdapterTensors(name)
			file.parts = append(file.parts,
				checkpoint.Part{Name: nameA, Shape: []int{a.rank, in}, Make: func() ([]float32, error) {
					x := make([]float32, a.rank*in)
					for _, c := range all {
						rows, err := p.read(c.module+peftA, p.rank*in)
						if err != nil {
							return nil, err
						}
						copy(x[c.slot*p.rank*in:], rows)
					}
					return x, nil
				}},
				checkpoint.Part{Name: nameB, Shape: []int{out, a.rank}, Make: func() ([]float32, error) {
					x := make([]float32, out*a.rank)
					for _, c := range all {
						outputs := p.shapes[c.module+peftB][0] // of which there may be more, of tokens that no text has
						rows, err := p.read(c.module+peftB, outputs*p.rank)
						if err != nil {
							return nil, err
						}
						for j := range c.part.width {
							to := j
							if c.part.to != nil {
								to = c.part.to(j)
							}
							row := x[(c.from+to)*a.rank+c.slot*p.rank:]
							for k, v := range rows[(c.part.skip+j)*p.rank:][:p.rank] {
								row[k] = v * by
							}
						}
					}
					return x, nil
				}})
		}
		m.Adapters = append(m.Adapters, file)
	}
	return nil
}

// Peft is an adapter of this project that is written as one of the PEFT library.
type Peft struct {
	Architecture string
	Config       []byte // adapter_config.json
	Tensors      int

	as     checkpoint.Type
	parts  []checkpoint.Part
	reader *checkpoint.Reader
}

// Close closes the adapter.
func (p *Peft) Close() { p.reader.Close() }

// Weights writes adapter_model.safetensors, a tensor at a time.
func (p *Peft) Weights(w io.Writer) error {
	return checkpoint.WriteParts(w, map[string]string{"format": "pt"}, p.as, p.parts)
}

// NewPeft opens an adapter of a model that has an architecture of the hub. What does not fit is an error that names it.
func NewPeft(m *spec.Model, path string, as checkpoint.Type) (_ *Peft, err error) {
	if m.Adapter == nil {
		return nil, fmt.Errorf("%s has no adapter: its key `adapter` is missing", m.File)
	}
	o, err := outlineOf(m)
	if err != nil {
		return nil, err
	}
	p := &Peft{as: as}
	if p.Architecture, err = o.architecture("transformers"); err != nil {
		return nil, err
	}
	want, err := gen.Parameters(m)
	if err != nil {
		return nil, err
	}
	if p.reader, err = checkpoint.Open(path); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	shapes := map[string][]int{}
	for _, e := range p.reader.Entries() {
		if strings.HasPrefix(e.Name, peftPrefix) { // beside them are those of a training
			shapes[e.Name] = e.Shape
		}
	}
	if len(shapes) == 0 {
		return nil, fmt.Errorf("%s is no adapter: it has no tensor %s…%s", path, peftPrefix, peftA)
	}
	s := &source{shapes: map[string][]int{}}
	for _, x := range want {
		s.shapes[x.Name] = x.Shape
	}
	rank := m.Adapter.Rank
	words, used := map[string]bool{}, map[string]bool{}
	for _, t := range o.targets(p.Architecture) {
		nameA, nameB := checkpoint.AdapterTensors(s.name(t.from, t.field))
		if shapes[nameA] == nil {
			continue
		}
		used[nameA], used[nameB] = true, true
		in, out := matrixOf(s.shapes[s.name(t.from, t.field)])
		if !slices.Equal(shapes[nameA], []int{rank, in}) || !slices.Equal(shapes[nameB], []int{out, rank}) {
			return nil, fmt.Errorf("%s is not the adapter of %s: the change of %s has the shapes %v and %v", path,
				m.File, s.name(t.from, t.field), shapes[nameA], shapes[nameB])
		}
		module := strings.TrimSuffix(t.name, ".weight")
		words[module[strings.LastIndexByte(module, '.')+1:]] = true
		some := func(name string, from, rows, columns int) func() ([]float32, error) {
			return func() ([]float32, error) {
				x := make([]float32, rows*columns)
				return x, p.reader.Read(name, from*columns, x)
			}
		}
		p.parts = append(p.parts,
			checkpoint.Part{Name: peftPrefix + module + peftA, Shape: []int{rank, in}, Make: some(nameA, 0, rank, in)},
			checkpoint.Part{Name: peftPrefix + module + peftB, Shape: []int{t.width, rank},
				Make: some(nameB, t.at, t.width, rank)})
	}
	for name := range shapes {
		if !used[name] {
			return nil, fmt.Errorf("%s: the tensor %s changes a matrix that %s does not have", path, name,
				p.Architecture)
		}
	}
	p.Tensors = len(p.parts)
	p.Config, err = json.MarshalIndent(map[string]any{"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank,
		"lora_alpha": m.Adapter.Alpha, "lora_dropout": 0, "bias": "none", "fan_in_fan_out": p.Architecture == "gpt2",
		"inference_mode": true, "init_lora_weights": true, "modules_to_save": nil, "base_model_name_or_path": m.Name,
		"target_modules": slices.Sorted(maps.Keys(words))}, "", "  ")
	return p, err
}

package interchange

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// lora is a random adapter of PEFT for some matrices of a checkpoint.
type lora struct {
	config  map[string]any
	tensors []checkpoint.Tensor
}

func newLora(p *published, rank int, alpha float64, words ...string) *lora {
	l := &lora{config: map[string]any{"peft_type": "LORA", "r": rank, "lora_alpha": alpha, "bias": "none",
		"target_modules": words, "inference_mode": true, "modules_to_save": nil, "rank_pattern": map[string]any{},
		"use_dora": false, "init_lora_weights": true, "lora_dropout": 0.05, "fan_in_fan_out": false}}
	for _, x := range p.Tensors {
		module, ok := strings.CutSuffix(x.name, ".weight")
		if !ok || len(x.shape) != 2 || !slices.Contains(words, module[strings.LastIndexByte(module, '.')+1:]) {
			continue
		}
		in, out := x.shape[1], x.shape[0]
		if strings.Contains(module, ".c_") {
			in, out = out, in
		}
		for _, y := range []checkpoint.Tensor{{Name: ".lora_A.weight", Shape: []int{rank, in}},
			{Name: ".lora_B.weight", Shape: []int{out, rank}}} {
			y.Value = make([]float32, y.Shape[0]*y.Shape[1])
			for i := range y.Value {
				y.Value[i] = float32(model.Key(uint64(len(l.tensors)), uint64(i))>>40)/(1<<24) - 0.5
			}
			y.Name = "base_model.model." + module + y.Name
			l.tensors = append(l.tensors, y)
		}
	}
	return l
}

func (l *lora) write(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "notes")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(l.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, peftConfig), config, 0o666); err != nil {
		t.Fatal(err)
	}
	f := checkpoint.File{Metadata: map[string]string{"format": "pt"}, Tensors: l.tensors}
	if err := f.WriteFile(filepath.Join(dir, peftWeights)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// merge adds the changes to the matrices of a published checkpoint, in float64.
func (l *lora) merge(t *testing.T, dir string, scale float64) {
	t.Helper()
	path := filepath.Join(dir, weightFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(l.tensors); i += 2 {
		a, b := l.tensors[i], l.tensors[i+1]
		module := strings.TrimSuffix(strings.TrimPrefix(a.Name, "base_model.model."), ".lora_A.weight")
		rank, in, out := a.Shape[0], a.Shape[1], b.Shape[0]
		for _, w := range f.Tensors {
			if w.Name != module+".weight" {
				continue
			}
			for o := range out {
				for i := range in {
					sum := 0.0
					for k := range rank {
						sum += float64(b.Value[o*rank+k]) * float64(a.Value[k*in+i])
					}
					at := o*in + i
					if w.Shape[0] != out { // inputs first
						at = i*out + o
					}
					w.Value[at] = float32(float64(w.Value[at]) + scale*sum)
				}
			}
		}
	}
	if err := f.WriteFile(path); err != nil {
		t.Fatal(err)
	}
}

// adapter is what an import made of an adapter, by the names of a model's parameters.
func (m *Import) adapter(t *testing.T, i int) map[string][]float32 {
	t.Helper()
	var b bytes.Buffer
	if err := m.Adapters[i].Write(&b); err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]float32{}
	for _, x := range f.Tensors {
		name := strings.NewReplacer("base_model.model.", "", ".lora_A.weight", "_lora_a", ".lora_B.weight", "_lora_b").
			Replace(x.Name)
		y := make([]float32, len(x.Value))
		rows, columns := x.Shape[0], x.Shape[1]
		for i := range rows {
			for j := range columns {
				y[j*rows+i] = x.Value[i*columns+j]
			}
		}
		values[name] = y
	}
	return values
}

// TestPeft imports checkpoints with adapters of the PEFT library, and compares the logits with those of checkpoints to
// whose matrices the changes were added. What is written as such an adapter and imported again has the same bits.
func TestPeft(t *testing.T) {
	all := readPublished(t)
	for _, c := range []struct {
		name  string
		words []string
		as    int // of different As in one matrix
	}{
		{"llama", []string{"q_proj", "v_proj"}, 2},
		{"llama", []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj"}, 3},
		{"qwen3", []string{"up_proj", "o_proj"}, 1},
		{"gpt2", []string{"c_attn", "c_fc"}, 1},
		{"neox", []string{"query_key_value", "dense", "embed_out"}, 1},
		{"gemma3", []string{"k_proj", "down_proj"}, 1},
	} {
		t.Run(c.name+" "+strings.Join(c.words, " "), func(t *testing.T) {
			p := all[c.name]
			l := newLora(p, 2, 3, c.words...)
			if len(l.tensors) == 0 {
				t.Fatal("no such matrices")
			}
			merged := p.write(t, 1)
			l.merge(t, merged, 1.5)
			want, err := Read(merged, Options{Name: "small"})
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			dir, folder := p.write(t, 1), l.write(t)
			m, err := Read(dir, Options{Name: "small", Adapt: []string{folder}})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if a := m.Model.Adapter; a.Rank != 2*c.as || a.Alpha != 3*float64(c.as) {
				t.Errorf("rank %d, alpha %v", a.Rank, a.Alpha)
			}
			if m.Adapters[0].Name != "notes.adapter.safetensors" {
				t.Errorf("it is called %s", m.Adapters[0].Name)
			}
			got, wanted := logits(t, m, p.Read, p.Source, m.adapter(t, 0)), logits(t, want, p.Read, p.Source)
			apart, size := 0.0, 0.0
			for i, x := range wanted {
				apart, size = max(apart, math.Abs(got[i]-x)), max(size, math.Abs(x))
			}
			if !(apart <= 1e-6*size) {
				t.Errorf("logits differ by %.2g, of %.2g", apart, size)
			}
			// Out, and in again.
			if c.name == "neox" || c.name == "gemma3" {
				return
			}
			var b bytes.Buffer
			if err := m.Adapters[0].Write(&b); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "adapter")
			if err := os.WriteFile(file, b.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
			out, err := NewPeft(m.Model, file, checkpoint.F32)
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			b.Reset()
			if err := out.Weights(&b); err != nil {
				t.Fatal(err)
			}
			back := &lora{}
			if f, err := checkpoint.Parse(b.Bytes()); err != nil {
				t.Fatal(err)
			} else {
				back.tensors = f.Tensors
			}
			if err := json.Unmarshal(out.Config, &back.config); err != nil {
				t.Fatal(err)
			}
			again, err := Read(dir, Options{Name: "small", Adapt: []string{back.write(t)}})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if a, b := m.adapter(t, 0), again.adapter(t, 0); !maps.EqualFunc(a, b, slices.Equal) ||
				again.Model.Adapter.Rank != m.Model.Adapter.Rank {
				t.Error("out and in again it is another adapter")
			}
		})
	}
}

// TestPeftSeveral imports two adapters of different ranks, for different matrices.
func TestPeftSeveral(t *testing.T) {
	p := readPublished(t)["llama"]
	one, two := newLora(p, 1, 2, "q_proj", "v_proj"), newLora(p, 3, 3, "o_proj")
	two.config["use_rslora"] = true
	a := one.write(t)
	b := filepath.Join(t.TempDir(), "code")
	if err := os.Rename(two.write(t), b); err != nil {
		t.Fatal(err)
	}
	dir := p.write(t, 1)
	m, err := Read(dir, Options{Name: "small", Adapt: []string{a, b}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Model.Adapter.Rank != 3 || m.Model.Adapter.Alpha != 6 {
		t.Errorf("%+v", *m.Model.Adapter)
	}
	for i, l := range []*lora{one, two} {
		merged := p.write(t, 1)
		l.merge(t, merged, []float64{2, math.Sqrt(3)}[i])
		want, err := Read(merged, Options{Name: "small"})
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		got, wanted := logits(t, m, p.Read, nil, m.adapter(t, i)), logits(t, want, p.Read, nil)
		for k, x := range wanted {
			if math.Abs(got[k]-x) > 1e-5 {
				t.Fatalf("%s: logit %d is %v, merged %v", m.Adapters[i].Name, k, got[k], x)
			}
		}
	}
}

// TestBadPeft holds that what is wrong with an adapter is one line that says what.
func TestBadPeft(t *testing.T) {
	p := readPublished(t)["llama"]
	dir := p.write(t, 1)
	for _, c := range []struct {
		name string
		do   func(l *lora)
		want string
	}{
		{"kind", func(l *lora) { l.config["peft_type"] = "IA3" }, `of kind "IA3"`},
		{"dora", func(l *lora) { l.config["use_dora"] = true }, "use_dora: such adapters compute something else"},
		{"biases", func(l *lora) { l.config["bias"] = "all" }, `bias is "all"`},
		{"ranks", func(l *lora) { l.config["rank_pattern"] = map[string]any{"q_proj": 4} }, "rank_pattern is"},
		{"whole layers", func(l *lora) { l.config["modules_to_save"] = []string{"lm_head"} }, "modules_to_save is"},
		{"base", func(l *lora) { l.config["init_lora_weights"] = "pissa" }, "init_lora_weights is"},
		{"key", func(l *lora) { l.config["lora_magic"] = 3 }, `the key "lora_magic"`},
		{"rank", func(l *lora) { l.config["r"] = 3 }, "and should have [3"},
		{"other model", func(l *lora) { l.tensors[0].Name = "base_model.model.lm.lora_A.weight" },
			"has the shapes [] and"},
		{"other matrix", func(l *lora) {
			l.tensors = l.tensors[:2]
			for i, c := range []string{"A", "B"} {
				l.tensors[i].Name = "base_model.model.lm.lora_" + c + ".weight"
			}
		}, "lm.lora_A.weight changes what the model does not have"},
		{"tensor", func(l *lora) { l.tensors[0].Name = "base_model.model.x.weight" }, "is not a part of the change"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLora(p, 2, 4, "q_proj")
			c.do(l)
			m, err := Read(dir, Options{Name: "small", Adapt: []string{l.write(t)}})
			if err == nil {
				m.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "notes") {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	if _, err := Read(dir, Options{Name: "small", Adapt: []string{t.TempDir()}}); err == nil ||
		!strings.Contains(err.Error(), "an adapter is a folder with adapter_config.json") {
		t.Errorf("an empty folder: %v", err)
	}
}

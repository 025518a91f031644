package interchange

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
)

// TestHuggingFace writes small models as folders of the hub and imports those: they have the tensors that they came
// from, and the logits of PyTorch.
func TestHuggingFace(t *testing.T) {
	all := readPublished(t)
	for _, name := range []string{"gpt2", "llama", "llama-linear", "llama-llama3", "llama-yarn", "llama-yarn-gain",
		"mistral", "qwen2", "qwen3", "gemma", "bert", "roberta"} {
		t.Run(name, func(t *testing.T) {
			p := all[name]
			m, err := Read(p.write(t, 1), Options{Name: "small"})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			dir := t.TempDir()
			var b bytes.Buffer
			if err := m.Weights(&b); err != nil {
				t.Fatal(err)
			}
			weights := filepath.Join(dir, "small.safetensors")
			if err := os.WriteFile(weights, b.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
			h, err := NewHuggingFace(m.Model, weights, checkpoint.F32)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			encoder := m.Model.EncoderOnly()
			if h.Architecture != p.Config["model_type"] && !(encoder && h.Architecture == "bert") {
				t.Errorf("architecture %s", h.Architecture)
			}
			before, err := checkpoint.Parse(b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			b.Reset()
			if err := h.Weights(&b); err != nil {
				t.Fatal(err)
			}
			f, err := checkpoint.Parse(b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Tensors) != len(p.Tensors) && !encoder { // which has what is for other tasks as well
				t.Errorf("%d tensors, there were %d", len(f.Tensors), len(p.Tensors))
			}
			folder := filepath.Join(t.TempDir(), "folder")
			if err := os.Mkdir(folder, 0o777); err != nil {
				t.Fatal(err)
			}
			for file, data := range map[string][]byte{configFile: h.Config, weightFile: b.Bytes(),
				"tokenizer.json": h.Tokenizer} {
				if err := os.WriteFile(filepath.Join(folder, file), data, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			again, err := Read(folder, Options{Name: "small"})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			p.compare(t, again, 1e-6)
			b.Reset()
			if err := again.Weights(&b); err != nil {
				t.Fatal(err)
			}
			after, err := checkpoint.Parse(b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			// Gemma's gains are stored as differences from 1.
			if h.Architecture != "gemma" && fmt.Sprint(after.Tensors) != fmt.Sprint(before.Tensors) {
				t.Error("what is imported again has not the bits that it had")
			}
		})
	}
}

// TestHuggingFaceMask holds that what a training has made of the mask, which is a token of its own here, is that of the
// tokenizer's in a folder.
func TestHuggingFaceMask(t *testing.T) {
	p := readPublished(t)["bert"]
	dir := p.write(t, 1)
	m, err := Read(dir, Options{Name: "small"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var b bytes.Buffer
	if err := m.Weights(&b); err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	trained := map[string]float32{"tokens.table": 0.625, "out.b": -0.375} // the last number of each
	for _, x := range f.Tensors {
		if v, ok := trained[x.Name]; ok {
			x.Value[len(x.Value)-1] = v
			delete(trained, x.Name)
		}
	}
	weights := filepath.Join(t.TempDir(), "small.safetensors")
	if err := f.WriteFile(weights); err != nil || len(trained) > 0 {
		t.Fatal(err, trained)
	}
	h, err := NewHuggingFace(m.Model, weights, checkpoint.F32)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	b.Reset()
	if err := h.Weights(&b); err != nil {
		t.Fatal(err)
	}
	if f, err = checkpoint.Parse(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	for _, x := range f.Tensors {
		switch x.Name {
		case "bert.embeddings.word_embeddings.weight":
			if width := x.Shape[1]; x.Shape[0] != vocab || x.Value[4*width-1] != 0.625 { // <mask> is token 3
				t.Errorf("rows %v, the mask's is %v", x.Shape, x.Value[3*width:4*width])
			}
		case "cls.predictions.bias":
			if len(x.Value) != vocab || x.Value[3] != -0.375 {
				t.Errorf("biases %v", x.Value)
			}
		}
	}
}

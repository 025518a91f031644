package interchange

import (
	"bytes"
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
		"mistral", "qwen2", "qwen3", "gemma"} {
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
			if h.Architecture != p.Config["model_type"] {
				t.Errorf("architecture %s", h.Architecture)
			}
			b.Reset()
			if err := h.Weights(&b); err != nil {
				t.Fatal(err)
			}
			f, err := checkpoint.Parse(b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Tensors) != len(p.Tensors) {
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
		})
	}
}

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// TestExportONNX writes an imported model as a file of ONNX, which has its operators, the names of its parameters and
// their bytes, and says what it cannot do.
func TestExportONNX(t *testing.T) {
	dir := t.TempDir()
	for name, content := range imported(t) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errOut := command(t, dir, "export", "imported", "--onnx", "own.onnx")
	if code != 0 || errOut != "" || !strings.Contains(out, "inputs tokens; outputs logits") {
		t.Fatalf("exit code %d, %q, %q", code, out, errOut)
	}
	data, err := os.ReadFile(filepath.Join(dir, "own.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Parse([]byte(imported(t)["imported/"+weightsFile]))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Tensors {
		var raw []byte
		for _, x := range p.Value {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
		}
		if !bytes.Contains(data, []byte(p.Name)) || !bytes.Contains(data, raw) {
			t.Errorf("the file has no tensor %s, or not its numbers", p.Name)
		}
	}
	// Both on a text.
	const own = "imported/" + weightsFile
	f.Tensors[0].Value[3] += 0.5
	if err := f.WriteFile(filepath.Join(dir, "other")); err != nil {
		t.Fatal(err)
	}
	with := func(b string) []string {
		return []string{"compare", own, b, "--spec", "imported/imported.yaml", "--text", "the cat"}
	}
	if code, out, _ := command(t, dir, with(own)...); code != 0 ||
		!strings.Contains(out, "logits differ by at most 0; KL(A ‖ B) is 0 nats") {
		t.Errorf("exit code %d, %s", code, out)
	}
	if code, out, _ := command(t, dir, with("other")...); code != 1 || !strings.Contains(out, "logits differ by") ||
		strings.Contains(out, "at most 0;") {
		t.Errorf("exit code %d, %s", code, out)
	}
	fails(t, dir, []string{"compare", own, own, "--text", "the cat"}, "--text needs --spec")
	fails(t, dir, []string{"export", "imported", "--onnx", "own.onnx", "--part", "encoder"}, "has no parts")
	fails(t, dir, []string{"export", "imported", "--onnx", "own.onnx", "--gguf", "x"}, "by one of --gguf FILE")
	fails(t, dir, []string{"export", "imported", "--gguf", "x", "--part", "encoder"}, "--part is of --onnx")
	fails(t, dir, []string{"export", "imported", "--onnx", "own.onnx", "--type", "bf16"}, "are written in f32")
	fails(t, dir, []string{"export", "imported", "--onnx", "imported/" + weightsFile}, weightsFile)
}

// TestImportAdapter imports a checkpoint with an adapter of the PEFT library and writes that adapter again: its tensors
// have the same bits.
func TestImportAdapter(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	files := published(t, learntOnce(t))
	files["notes/adapter_config.json"] = `{"peft_type": "LORA", "r": 2, "lora_alpha": 5, "target_modules": ["o_proj"]}`
	f := &checkpoint.File{Metadata: map[string]string{"format": "pt"}}
	for layer := range 2 {
		for k, part := range []string{"lora_A", "lora_B"} {
			name := fmt.Sprintf("base_model.model.model.layers.%d.self_attn.o_proj.%s.weight", layer, part)
			x := checkpoint.Tensor{Name: name, Shape: [][]int{{2, 8}, {8, 2}}[k], Value: make([]float32, 16)}
			for i := range x.Value {
				x.Value[i] = float32(model.Key(uint64(layer), uint64(k), uint64(i))%100) / 100
			}
			f.Tensors = append(f.Tensors, x)
		}
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	files["notes/adapter_model.safetensors"] = b.String()
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(in(name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(in(name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	code, _, errOut := command(t, dir, "import", "published", "-o", "own", "--adapter", "notes", "--module",
		"example.com/own")
	if code != 0 {
		t.Fatal(errOut)
	}
	spec, err := os.ReadFile(in("own/own.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const key = "adapter: {rank: 2, alpha: 5, targets: ['block_attention.*.wo']}\n"
	if !strings.HasSuffix(string(spec), key) {
		t.Errorf("the spec does not end with %s:\n%s", key, spec)
	}
	code, out, errOut := command(t, dir, "export", "own", "--adapter", "own/notes.adapter.safetensors", "--huggingface",
		"back")
	if code != 0 || !strings.Contains(out, "as an adapter of architecture llama, 4 tensors") {
		t.Fatalf("%d, %s, %s", code, out, errOut)
	}
	data, err := os.ReadFile(in("back/adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := checkpoint.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(again.Tensors) != fmt.Sprint(f.Tensors) {
		t.Errorf("in and out it is\n%v\nand was\n%v", again.Tensors, f.Tensors)
	}
	fails(t, dir, []string{"import", "published", "-o", "x", "--adapter", "0"}, "give the rank, 1 or more")
	fails(t, dir, []string{"import", "published", "-o", "x", "--adapter", "4", "--adapter", "notes"},
		"once; or folders")
	fails(t, dir, []string{"import", "published", "-o", "x", "--module", "example.com/x", "--adapter", "published"},
		"adapter_config.json")
	fails(t, dir, []string{"export", "own", "--adapter", "own/notes.adapter.safetensors", "--gguf", "x"},
		"--adapter is of --huggingface")
	fails(t, dir, []string{"export", "own", "--adapter", "own/" + weightsFile, "--huggingface", "x"}, "is no adapter")
}

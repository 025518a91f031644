package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
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

package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/filestest"
)

func saved(t *testing.T) (path string, data []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "c")
	if err := Save(path, newTiny(), Training{Step: 3, Seed: 1, Loop: map[string]string{"window": "3"}}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, data
}

// TestMain takes a disk that syncs nothing: the tests write thousands of files.
func TestMain(m *testing.M) {
	files.Use(filestest.NewDisk(-1, filestest.Way{}))
	os.Exit(m.Run())
}

// TestEveryByte turns a bit of every byte of a checkpoint, one at a time. What is loaded is what was saved, or an
// error says that it is not, and then the model is as it was.
func TestEveryByte(t *testing.T) {
	path, good := saved(t)
	body := 8 + int(binary.LittleEndian.Uint64(good))
	before, whole := newTiny().clear(), newTiny()
	whole.step = 3
	refused := 0
	for i := range good {
		data := bytes.Clone(good)
		data[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		m := newTiny().clear()
		_, _, err := Load(path, m)
		switch {
		// the case of a key does not matter to JSON
		case err == nil && (fmt.Sprint(m) != fmt.Sprint(whole) || i >= body):
			t.Fatalf("byte %d: the checkpoint is loaded, as %v", i, m)
		case err != nil && fmt.Sprint(m) != fmt.Sprint(before):
			t.Fatalf("byte %d: %v, and the model has changed", i, err)
		case err != nil:
			refused++
		}
		w := newTiny().clear()
		if err := LoadWeights(path, w); err == nil && fmt.Sprint(w.a, w.b) != fmt.Sprint(whole.a, whole.b) ||
			err != nil && fmt.Sprint(w) != fmt.Sprint(before) {
			t.Fatalf("byte %d: %v, the parameters are %v", i, err, w)
		}
		_, parseErr := Parse(data)
		_, verifyErr := Verify(path)
		if err != nil && (parseErr == nil || verifyErr == nil) && !strings.Contains(err.Error(), "parameters alone") &&
			!strings.Contains(err.Error(), "format") {
			t.Fatalf("byte %d: Load says %v, Parse %v, Verify %v", i, err, parseErr, verifyErr)
		}
	}
	if refused < len(good)*9/10 {
		t.Errorf("%d of %d damaged checkpoints were refused", refused, len(good))
	}
	data := bytes.Clone(good)
	data[body] ^= 1
	if err := ParseWeights(data, newTiny()); err == nil ||
		!strings.Contains(err.Error(), `tensor "layer.w" does not have the digest`) {
		t.Errorf("%v", err)
	}
}

// TestWithoutDigests loads what gradsmith wrote when it had no digests.
func TestWithoutDigests(t *testing.T) {
	path, data := saved(t)
	n := int(binary.LittleEndian.Uint64(data))
	var header map[string]any
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	metadata := header["__metadata__"].(map[string]any)
	for k := range metadata {
		if strings.HasPrefix(k, keyDigest) {
			delete(metadata, k)
		}
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	old := append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), append(text, data[8+n:]...)...)
	if err := os.WriteFile(path, old, 0o644); err != nil {
		t.Fatal(err)
	}
	m := newTiny().clear()
	got, _, err := Load(path, m)
	if err != nil || got.Step != 3 ||
		fmt.Sprint(m.a, m.b, m.slot) != fmt.Sprint(newTiny().a, newTiny().b, newTiny().slot) {
		t.Errorf("%+v, %v, %v", got, m, err)
	}
	if i, err := Describe(path); err != nil || i.Digest != "" {
		t.Errorf("%+v, %v", i, err)
	}
	if has, err := Verify(path); has || err != nil {
		t.Errorf("%v, %v", has, err)
	}
	// Read and written once more it has them.
	f, err := Parse(old)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if has, err := Verify(path); !has || err != nil {
		t.Errorf("%v, %v", has, err)
	}
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again[len(again)-44:], data[len(data)-44:]) {
		t.Errorf("other bits: %v", err)
	}
	if files.Own(path) != "checkpoint" {
		t.Error("a checkpoint is not known as one")
	}
}

// TestFaults lets every call of saving and of loading fail. A checkpoint is the old one or the new one, and what is
// loaded without an error is what was saved.
func TestFaults(t *testing.T) {
	other := newTiny()
	other.a[0] = 17
	filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
		path, _ := saved(t)
		fault, err := do(func() error { return Save(path, other, Training{Step: 4}) })
		m := newTiny().clear()
		training, _, loadErr := Load(path, m)
		isOld, isNew := training.Step == 3 && m.a[0] == 1, training.Step == 4 && m.a[0] == 17
		if loadErr != nil || !(isOld && err != nil || isNew && (err == nil || fault.Way.After)) {
			t.Errorf("%v: saving gives %v; loading gives step %d and %v", fault, err, training.Step, loadErr)
		}
		if err != nil && (strings.Contains(err.Error(), "\n") ||
			!strings.Contains(err.Error(), "can't write the checkpoint "+path+": ")) {
			t.Errorf("%v: the error is %q", fault, err)
		}
	})
	path, _ := saved(t)
	filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
		m := newTiny().clear()
		fault, err := do(func() error {
			_, _, err := Load(path, m)
			return err
		})
		if err == nil && fmt.Sprint(m.a, m.b, m.slot, m.state) != fmt.Sprint(newTiny().a, newTiny().b, newTiny().slot,
			newTiny().state) || err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v, loaded %v", fault, err, m)
		}
	})
}

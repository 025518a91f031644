package main

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/schedule"
	"github.com/gradsmith/gradsmith/spec"
)

// TestInspectShards compares what inspect says of the memory of shards, and of the copy for a checkpoint, with what
// these take: of a model with a carried state, of one without, and of two networks.
func TestInspectShards(t *testing.T) {
	for name, c := range map[string]struct {
		program  func() model.Program
		from, to string // batch
	}{
		"rnn":     {rnn.Program, "batch: 32", "batch: 160"},
		"gptnano": {gptnano.Program, "batch: 12", "batch: 60"},
		"gan":     {gan.Program, "batch: 64", "batch: 320"},
	} {
		data, err := os.ReadFile(filepath.Join("..", "..", "generated", name, name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(data), c.from, c.to, 1)
		if strings.Contains(text, "train: {") {
			text = strings.Replace(text, "train: {", "train: {accumulate: 5, ", 1)
		} else {
			text += "\ntrain: {accumulate: 5}\n"
		}
		dir := t.TempDir()
		write(t, filepath.Join(dir, name+".yaml"), text)
		if vocab, err := os.ReadFile(filepath.Join("..", "..", "generated", name, "shakespeare.vocab")); err == nil {
			write(t, filepath.Join(dir, "shakespeare.vocab"), string(vocab))
		}
		m, err := spec.Load(filepath.Join(dir, name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := gen.Inspect(m)
		if err != nil {
			t.Fatal(err)
		}
		p := c.program()
		trained := p.New(1)
		trained.Slots() // which makes them
		training := trained.(interface{ Training() *schedule.Training }).Training()
		takes := func(f func()) float64 {
			var before, after runtime.MemStats
			for range 3 { // pools give what they keep to the second collection, finalizers to the next
				runtime.GC()
			}
			runtime.ReadMemStats(&before)
			f()
			runtime.GC()
			runtime.ReadMemStats(&after)
			return float64(after.HeapAlloc) - float64(before.HeapAlloc)
		}
		shards := takes(func() {
			if err := training.Divide(5); err != nil {
				t.Fatal(err)
			}
		})
		if math.Abs(shards/float64(r.ShardBytes)-1) > 0.02 {
			t.Errorf("%s: inspect says that shards take %d bytes, they take %.0f", name, r.ShardBytes, shards)
		}
		var f checkpoint.File
		copied := takes(func() {
			if err := f.Copy(trained, checkpoint.Training{}); err != nil {
				t.Fatal(err)
			}
		})
		if math.Abs(copied/float64(r.CopyBytes)-1) > 0.05 {
			t.Errorf("%s: inspect says that a copy takes %d bytes, it takes %.0f", name, r.CopyBytes, copied)
		}
		runtime.KeepAlive(trained)
		runtime.KeepAlive(f)
		if !strings.Contains(r.Text(), "are sums over the shards of a batch") {
			t.Errorf("%s: inspect says\n%s", name, r.Text())
		}
	}
}

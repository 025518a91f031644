package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/diagnose"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// TestWatch trains with --watch at a rate that kills units: what is found stands where the training is shown and in its
// log, with the line of the spec; the training ends with the bits that it has without --watch. A training that is
// watched but never measured is refused.
func TestWatch(t *testing.T) {
	t.Chdir(t.TempDir())
	var csv strings.Builder
	r := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		for i := range 784 {
			if i > 0 {
				csv.WriteByte(',')
			}
			csv.WriteByte(byte('0' + r.IntN(2)))
		}
		csv.WriteByte('\n')
	}
	if err := os.WriteFile("v.csv", []byte(csv.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, int) {
		var out, errOut bytes.Buffer
		status := Run(context.Background(), vae.Program(), args, &out, &errOut)
		return errOut.String(), status
	}
	args := []string{"train", "--data", "v.csv", "--batch", "8", "--steps", "40", "--rate", "0.03",
		"--eval-every", "40"}
	shown, status := run(append(args, "--out", "watched", "--watch", "--layers-every", "5", "--log", "log.jsonl")...)
	if status != 0 || !strings.Contains(shown, "watch: vae.yaml:7 read: ") || !strings.Contains(shown, "have no "+
		"gradient") {
		t.Fatalf("status %d, and it says\n%s", status, shown)
	}
	if shown, status := run(append(args, "--out", "plain")...); status != 0 {
		t.Fatal(shown)
	}
	var bits [2][]float32
	for i, name := range []string{"watched", "plain"} {
		m := vae.New()
		if err := checkpoint.LoadWeights(name, m); err != nil {
			t.Fatal(err)
		}
		for _, x := range m.Tensors() {
			bits[i] = append(bits[i], x.Value...)
		}
	}
	if !slices.Equal(bits[0], bits[1]) {
		t.Error("a training that is watched ends with other bits")
	}
	log, err := os.ReadFile("log.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for line := range strings.Lines(string(log)) {
		var x struct{ Notice, Found, Layer, Place, Text string }
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatal(err)
		}
		found = found || x.Notice == "watch" && x.Found == "dead "+
			"units" && x.Layer == "read" && x.Place == "vae.yaml:7" &&
			strings.Contains(x.Text, "leaky_relu")
	}
	if !found {
		t.Errorf("the log has no finding:\n%s", log)
	}
	if shown, status := run(append(args, "--out", "none", "--watch", "--layers-every", "0")...); status != 1 ||
		!strings.Contains(shown, "--layers-every") {
		t.Errorf("status %d, and it says %q", status, shown)
	}
}

// BenchmarkWatch trains gptnano and says how much of a step the looks of --watch take, at one every 100 steps and at
// one in every step: %watch is measured around them, without the norms of layers, which [BenchmarkRecord] measures.
func BenchmarkWatch(b *testing.B) {
	for _, every := range []int{100, 1} {
		b.Run(fmt.Sprintf("layers=%d", every), func(b *testing.B) {
			m := gptnano.Program().New(1)
			i := m.Info()
			w := &again{model.Batch{Steps: i.Steps, Batch: i.Batch}}
			for k := range i.Steps * i.Batch {
				w.b.Tokens = append(w.b.Tokens, int32(k%i.Vocab))
				w.b.Targets = append(w.b.Targets, int32((k+1)%i.Vocab))
				w.b.Reset = append(w.b.Reset, 0)
			}
			r := &timed{Reporter: diagnose.New(m, diagnose.One(&w.b, i), false, func(diagnose.Finding) {})}
			o := train.Options{Steps: b.N, LayersEvery: every, Reporter: r}
			o.Schedule.Rate = 1e-4
			o.Schedule.Kind = "constant"
			b.ResetTimer()
			if _, err := train.Run(b.Context(), m, train.Data{Train: w}, o); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			b.ReportMetric(100*r.spent.Seconds()/b.Elapsed().Seconds(), "%watch")
		})
	}
}

package app_test

import (
	"bytes"
	"context"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// TestCache: --cache says in which form keys and values are kept, wherever text is written or read token by token; eval
// tells what that costs, info what it takes; and what cannot be is refused.
func TestCache(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, err := range map[string]error{
		"nano.safetensors": checkpoint.SaveWeights("nano.safetensors", gptnano.NewSeeded(3)),
		"rnn.safetensors":  checkpoint.SaveWeights("rnn.safetensors", rnn.NewSeeded(3)),
		"text":             os.WriteFile("text", []byte(strings.Repeat("to be, or not to be ", 12)), 0o644),
	} {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	run := func(args ...string) (string, string, int) {
		p := gptnano.Program()
		if strings.Contains(strings.Join(args, " "), "rnn") {
			p = rnn.Program()
		}
		var out, errOut bytes.Buffer
		status := app.Run(context.Background(), p, args, &out, &errOut)
		return out.String(), errOut.String(), status
	}
	good := func(args ...string) string {
		t.Helper()
		out, told, status := run(args...)
		if status != 0 {
			t.Fatalf("%v: %s", args, told)
		}
		return out
	}
	sample := []string{"sample", "--model", "nano.safetensors", "--prompt", "to be", "--tokens", "90", "--seed", "5"}
	usual := good(sample...)
	if got := good(append(sample, "--cache", "f32")...); got != usual {
		t.Errorf("%q, and with --cache f32 %q", usual, got)
	}
	for _, kind := range []string{"bf16", "q8"} {
		one := good(append(sample, "--cache", kind, "--threads", "1")...)
		if got := good(append(sample, "--cache", kind, "--threads", "2")...); got != one {
			t.Errorf("%s: %q on one thread, and %q on two", kind, one, got)
		}
		if got := good(append(sample, "--cache", kind, "--guess", "q8")...); got != one {
			t.Errorf("%s: %q, and with guesses %q", kind, one, got)
		}
	}
	nats := regexp.MustCompile(`([0-9.]+) nats`)
	loss := func(args ...string) float64 {
		t.Helper()
		eval := []string{"eval", "--model", "nano.safetensors", "--data", "text", "--weights", "f32"}
		out := good(append(eval, args...)...)
		m := nats.FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("no loss in %q", out)
		}
		x, _ := strconv.ParseFloat(m[1], 64)
		return x
	}
	exact := loss()
	for kind, tolerance := range map[string]float64{"f32": 1e-4, "bf16": 0.01, "q8": 0.01} {
		if got := loss("--cache", kind); math.Abs(got-exact) > tolerance {
			t.Errorf("the loss with caches as %s is %v, and %v as f32", kind, got, exact)
		}
	}
	if out := good("info"); !strings.Contains(out,
		"keys and values of 64 tokens of a text: 256.0 KiB as f32, 128.0 KiB as bf16, 72.0 KiB as q8\n") {
		t.Errorf("info tells nothing of caches: %s", out)
	}
	for want, args := range map[string][]string{
		"no kind of caches":            append(sample, "--cache", "q4"),
		"rnn keeps no keys and values": {"sample", "--model", "rnn.safetensors", "--prompt", "a", "--cache", "q8"},
		"rnn keeps no keys":            {"eval", "--model", "rnn.safetensors", "--data", "text", "--cache", "bf16"},
	} {
		if _, told, status := run(args...); status == 0 || !strings.Contains(told, want) {
			t.Errorf("%v: status %d, %q, want something about %q", args, status, told, want)
		}
	}
	const much = "gptnano: keys and values of 2147483647 sequences as f32 take 512 TiB"
	if _, err := model.NewDecoder(gptnano.New(), math.MaxInt32); err == nil || !strings.Contains(err.Error(), much) {
		t.Errorf("512 TiB of keys and values: %v", err)
	}
}

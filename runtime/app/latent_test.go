package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"image/png"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// TestVectors takes an autoencoder of vectors through its commands.
func TestVectors(t *testing.T) {
	t.Chdir(t.TempDir())
	// Images with a bar, up or across, of 28 by 28 pixels.
	data := []byte{0, 0, 8, 3, 0, 0, 1, 44, 0, 0, 0, 28, 0, 0, 0, 28}
	for i := range 300 {
		for k := range 784 {
			x := k % 28
			if i%2 == 0 {
				x = k / 28
			}
			if at := i / 2 % 25; x >= at && x < at+3 {
				data = append(data, 255)
			} else {
				data = append(data, 0)
			}
		}
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("bars.idx", data)
	write("bad.csv", []byte(strings.Repeat("0,", 700)+"1.5"+strings.Repeat(",0", 83)+"\n"))
	background := context.Background()
	start := func(ctx context.Context, p app.Program, args ...string) (int, string, string) {
		var out, errOut bytes.Buffer
		status := app.Run(ctx, p, args, &out, &errOut)
		return status, out.String(), errOut.String()
	}
	run := func(args ...string) string {
		t.Helper()
		status, out, errOut := start(background, vae.Program(), args...)
		if status != 0 {
			t.Fatalf("%v: status %d, %s", args, status, errOut)
		}
		return out
	}
	args := []string{"train", "--data", "bars.idx", "--passes", "40", "--batch", "30", "--rate", "0.003"}
	run(append(args, "--out", "vae.safetensors", "--threads", "1")...)

	ctx, cancel := context.WithCancel(background)
	p := vae.Program()
	fresh := p.New
	p.New = func(seed uint64) model.LanguageModel {
		return hooked{fresh(seed), func(step int) {
			if step == 100 {
				cancel()
			}
		}}
	}
	if status, _, errOut := start(ctx, p, append(args, "--out", "part.safetensors", "--threads", "2")...); status != 0 {
		t.Fatal(errOut)
	}
	run("train", "--resume", "--out", "part.safetensors")
	whole, err := os.ReadFile("vae.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if part, err := os.ReadFile("part.safetensors"); err != nil || !bytes.Equal(whole, part) {
		t.Errorf("interrupted and resumed, the training ends with other bits (%v)", err)
	}

	eval := run("eval", "--data", "bars.idx", "--samples", "20")
	bound, nll := number(t, eval, `bound \(−ELBO\) +([\d.]+)`), number(t, eval, `−log p\(x\) +([\d.]+)`)
	if !(nll < bound && bound < 150) || strings.Contains(eval, "warning") {
		t.Errorf("after training eval says\n%s", eval)
	}
	if sum := number(t, eval, `reconstruction +([\d.]+)`) + number(t, eval,
		`divergence +([\d.]+)`); sum-bound > 0.001 || bound-sum > 0.001 {
		t.Errorf("the bound %v is not the sum of its parts, %v", bound, sum)
	}
	if s := run("eval", "--data", "bars.idx", "--samples", "1", "--last", "0.1"); !strings.Contains(s, "30 vectors") {
		t.Errorf("of the last tenth eval says\n%s", s)
	}

	for name, args := range map[string][]string{
		"samples.png":         {"sample", "-n", "10"},
		"reconstructions.png": {"reconstruct", "--data", "bars.idx", "-n", "5"},
		"interpolation.png":   {"interpolate", "1", "300", "--data", "bars.idx", "--steps", "4"},
	} {
		if out := run(args...); !strings.HasPrefix(out, name+": ") {
			t.Errorf("%v prints %q", args, out)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		f.Close()
		want := map[string][2]int{"samples.png": {4, 3}, "reconstructions.png": {5, 2},
			"interpolation.png": {4, 1}}[name]
		if err != nil || img.Bounds().Dx() != 29*want[0]+1 || img.Bounds().Dy() != 29*want[1]+1 {
			t.Errorf("%s: %v, %v", name, err, img.Bounds())
		}
	}
	if a, b := run("sample", "-n", "70", "--out", ""), run("sample", "-n", "70", "--out", ""); a != b ||
		strings.Count(a, "\n") != 70 || strings.Count(a, ",") != 70*783 {
		t.Errorf("70 samples are %d lines", strings.Count(a, "\n"))
	}
	run("reconstruct", "--data", "bars.idx", "-n", "3", "--out", "three.csv")
	run("eval", "--data", "three.csv") // what is written can be read
	var line struct {
		Row  int
		Mean []float32
	}
	codes := strings.Split(strings.TrimSpace(run("encode", "--data", "bars.idx")), "\n")
	if err := json.Unmarshal([]byte(codes[len(codes)-1]), &line); err != nil || len(codes) != 300 || line.Row != 300 ||
		len(line.Mean) != 16 {
		t.Errorf("%d codes, the last %v, %v", len(codes), line, err)
	}
	if info := run("info"); !strings.Contains(info, "flops a vector") || !strings.Contains(info, "latent  gaussian") {
		t.Errorf("info says\n%s", info)
	}

	for want, args := range map[string][]string{
		"name a CSV, NPY or IDX file of vectors of 784":  {"train", "--out", "new.safetensors"},
		"1.5 in line 1, column 701 is outside of [0, 1]": {"train", "--out", "new.safetensors", "--data", "bad.csv"},
		"--samples 0": {"eval", "--data", "bars.idx", "--samples", "0"},
		"--last 2":    {"eval", "--data", "bars.idx", "--last", "2"},
		"--number 0":  {"sample", "-n", "0"},
		"--steps 1":   {"interpolate", "1", "2", "--data", "bars.idx", "--steps", "1"},
		`"301" is not the number of one of the 300 vectors`: {"interpolate", "1", "301", "--data", "bars.idx"},
		"takes the numbers of two vectors":                  {"interpolate", "1", "--data", "bars.idx"},
		"give the name of a .png or a .csv file":            {"sample", "--out", "x.gif"},
		"--width 5":                                         {"sample", "--width", "5"},
		"there is no checkpoint none":                       {"sample", "--model", "none"},
		"has no flag --window":                              {"train", "--data", "bars.idx", "--window", "3"},
		"leaves nothing for training or for validation": {"train", "--out", "new.safetensors", "--data",
			"three.csv", "--validation", "0.9"},
	} {
		status, out, errOut := start(background, vae.Program(), args...)
		if status != 1 || !strings.Contains(errOut, want) || strings.Contains(errOut, "goroutine") || out != "" {
			t.Errorf("%v: status %d, %q, want %q", args, status, errOut, want)
		}
	}
}

// A model that was not trained, and whose encoder says nothing, is found out.
func TestCollapse(t *testing.T) {
	t.Chdir(t.TempDir())
	p := vae.Program()
	fresh := p.New
	p.New = func(seed uint64) model.LanguageModel {
		m := fresh(seed)
		for _, ts := range m.Tensors() {
			if strings.HasPrefix(ts.Name, "latent.") {
				clear(ts.Value)
			}
		}
		return m
	}
	row := strings.Repeat("0,", 783) + "1\n"
	if err := os.WriteFile("rows.csv", []byte(strings.Repeat(row, 70)), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	for _, args := range [][]string{{"train", "--data", "rows.csv", "--steps", "1", "--rate", "1e-9"},
		{"eval", "--data", "rows.csv", "--samples", "2"}} {
		if status := app.Run(context.Background(), p, args, &out, &errOut); status != 0 {
			t.Fatal(errOut.String())
		}
	}
	if !strings.Contains(out.String(), "warning     the latent vector is not used (0 active units") {
		t.Errorf("no warning in\n%s", out.String())
	}
}

func number(t *testing.T, s, pattern string) float64 {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(s)
	if m == nil {
		t.Fatalf("no %s in\n%s", pattern, s)
	}
	x, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

package generated_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image/png"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/spectral"
	"github.com/gradsmith/gradsmith/gen/cases/wgan"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// pictures are n vectors of 784 numbers in [-1, 1], a bright square each, as NPY.
func pictures(n int) string {
	var b bytes.Buffer
	head := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 784), }\n", n)
	b.WriteString("\x93NUMPY\x01\x00")
	b.Write([]byte{byte(len(head)), 0})
	b.WriteString(head)
	for i := range n {
		for p := range 784 {
			x, y := p%28, p/28
			v := float32(-1)
			if at := 4 + i%12; x >= at && x < at+8 && y >= at && y < at+8 {
				v = 1
			}
			b.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
		}
	}
	return b.String()
}

// TestAdversaries takes a pair of networks through its commands, a training that is interrupted and resumed included.
func TestAdversaries(t *testing.T) {
	if testing.Short() || kernel.Level() == "generic" {
		t.Skip("trains a quarter of a million parameters for some steps")
	}
	t.Chdir(t.TempDir())
	write(t, "data.npy", pictures(300))
	p := gan.Program()
	must(t, p, "", "train", "--data", "data.npy", "--steps", "9", "--eval-every", "4", "--threads", "1", "--out",
		"whole.safetensors", "--log", "log")
	must(t, p, "", "train", "--data", "data.npy", "--steps", "6", "--eval-every", "4", "--out", "part.safetensors")
	must(t, p, "", "train", "--resume", "--steps", "9", "--threads", "2", "--out", "part.safetensors")
	whole, err := os.ReadFile("whole.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	part, err := os.ReadFile("part.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	// without the header, which has the options
	tensors := func(file []byte) []byte { return file[8+binary.LittleEndian.Uint64(file):] }
	if !bytes.Equal(tensors(whole), tensors(part)) {
		t.Error("a training that was interrupted and resumed ends with other bits")
	}
	log, err := os.ReadFile("log")
	if err != nil || strings.Count(string(log), `"accuracy":`) != 9 {
		t.Errorf("the log does not tell the accuracy of nine steps: %v\n%s", err, log)
	}

	with := []string{"--model", "whole.safetensors"}
	run := func(args ...string) string { return must(t, p, "", append(args, with...)...) }
	out := run("eval", "--data", "data.npy", "--samples", "200")
	if !strings.Contains(out, "precision ") || !strings.Contains(out, "coverage ") ||
		!strings.Contains(out, "% of its verdicts right") {
		t.Errorf("eval says %s", out)
	}
	rows := run("sample", "--number", "70", "--seed", "3", "--out", "")
	if lines := strings.Split(strings.TrimSpace(rows), "\n"); len(lines) != 70 || strings.Count(lines[69], ",") != 783 {
		t.Errorf("sample prints %d lines", len(lines))
	} else if few := run("sample", "--number", "2", "--seed", "3", "--out", ""); !strings.HasPrefix(rows, few) {
		t.Error("the first samples of a seed depend on their number")
	}
	write(t, "made.csv", rows)
	if verdicts := strings.Fields(run("score", "--data", "made.csv")); len(verdicts) != 70 {
		t.Errorf("score prints %d verdicts", len(verdicts))
	}
	run("sample", "--number", "10", "--columns", "4", "--seed", "1", "--out", "grid.png")
	f, err := os.Open("grid.png")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if img, err := png.DecodeConfig(f); err != nil || img.Width != 4*29+1 || img.Height != 3*29+1 {
		t.Errorf("the picture is %d × %d, %v", img.Width, img.Height, err)
	}
	if info := must(t, p, "", "info", "whole.safetensors"); !strings.Contains(info, "vectors of 784 numbers") ||
		!strings.Contains(info, "flops a vector") || !strings.Contains(info, "step 9, ") {
		t.Errorf("info says %s", info)
	}

	write(t, "narrow.csv", "1,2,3\n")
	write(t, "bright.csv", strings.Repeat("0,", 783)+"1.5\n")
	refused(t, p, "", "the model's vectors have 784", "train", "--data", "narrow.csv", "--out", "x")
	refused(t, p, "", "outside of [-1, 1]", "train", "--data", "bright.csv", "--out", "x")
	refused(t, p, "", "--data FILE", "train", "--out", "x")
	refused(t, p, "", "at most 64", "train", "--data", "data.npy", "--batch", "65", "--out", "x")
	refused(t, p, "", "leaves nothing", "train", "--data", "data.npy", "--validation", "0.999", "--out", "x")
	refused(t, p, "", "has no flag --window", "train", "--data", "data.npy", "--window", "3", "--out", "x")
	refused(t, p, "", "there is no checkpoint", "sample")
	refused(t, p, "", "give more than 5", append([]string{"eval", "--data", "data.npy", "--samples", "5"}, with...)...)
	refused(t, p, "", "give 1 to", append([]string{"sample", "--number", "0"}, with...)...)
	refused(t, spectral.Program(), "", "the model's vectors have 4", "train", "--data", "narrow.csv")
}

// TestAdversariesResume holds that a training goes on to the bit with all that a pair may keep: several steps of the
// discriminator, two rules of the update, an average of the generator, the vectors of spectral norms, dropout.
func TestAdversariesResume(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		program model.Program
		row     string
	}{{wgan.Program(), "0.5,-1.5,2\n0.25,1,-1\n-3,0,0.125\n"},
		{spectral.Program(), "0.1,0.2,0.3,0.4\n0.5,0.1,0.9,0.3\n0,1,0.5,0.25\n"}} {
		write(t, "data.csv", strings.Repeat(c.row, 9)) // the last batch of a pass is a smaller one
		args := []string{"train", "--data", "data.csv", "--eval-every", "5", "--overwrite"}
		must(t, c.program, "", append(args, "--steps", "23", "--out", "whole.safetensors", "--threads", "1")...)
		must(t, c.program, "", append(args, "--steps", "11", "--out", "part.safetensors")...)
		must(t, c.program, "", "train", "--resume", "--steps", "23", "--out", "part.safetensors", "--threads", "2")
		var parts [2][]byte
		for i, name := range []string{"whole.safetensors", "part.safetensors"} {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			parts[i] = data[8+binary.LittleEndian.Uint64(data):]
		}
		if !bytes.Equal(parts[0], parts[1]) {
			t.Errorf("%s: a training that was interrupted and resumed ends with other bits", c.program.Info.Name)
		}
	}
}

// decided is a pair whose discriminator is, from a step on, right about everything, or whose loss is not a number.
type decided struct {
	model.Adversaries
	from int
	nan  bool
	duel model.Duel
}

func (d *decided) TrainStep(b *model.Batch, rate float64) (loss, norm float64, err error) {
	if d.nan && d.Step() >= d.from {
		return math.NaN(), 1, nil
	}
	loss, norm, err = d.Adversaries.TrainStep(b, rate)
	if d.duel = *d.Adversaries.Duel(); d.Step() > d.from {
		d.duel.Accuracy, d.duel.Discriminator = 1, 0.001
	} else {
		d.duel.Accuracy = 0.9
	}
	return loss, norm, err
}

func (d *decided) Duel() *model.Duel { return &d.duel }

// TestAdversariesLost holds that a training ends where there is nothing more to learn, says what to change, and leaves
// the last good checkpoint.
func TestAdversariesLost(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "data.csv", strings.Repeat("0.1,0.2,0.3,0.4\n0.5,0.1,0.9,0.3\n", 20))
	for _, c := range []struct {
		nan  bool
		kept string
		want []string
	}{
		{false, "300", []string{"discriminator has won", "to step 1234", "gradient_penalty",
			"the checkpoint of step 300 is kept in m.safetensors"}},
		{true, "200", []string{"in step 235, at rate ", "the loss became NaN", "spectral_norm",
			"the checkpoint of step 200 is kept in m.safetensors"}},
	} {
		p := spectral.Program()
		fresh := p.New
		p.New = func(seed uint64) model.LanguageModel {
			return &decided{Adversaries: fresh(seed).(model.Adversaries), from: 234, nan: c.nan}
		}
		args := []string{"train", "--data", "data.csv", "--steps", "5000", "--eval-every", "100", "--out",
			"m.safetensors", "--overwrite", "--guard", "none"}
		out, status, message := command(p, "", args...)
		lines := strings.Split(strings.TrimSpace(message), "\n")
		last := lines[len(lines)-1]
		for _, want := range c.want {
			if status != 1 || !strings.Contains(last, want) {
				t.Errorf("status %d, %q, %q; want a last line with %q", status, out, last, want)
			}
		}
		if out := must(t, spectral.Program(), "", "info", "m.safetensors"); !strings.Contains(out, "step "+c.kept+",") {
			t.Errorf("the checkpoint that is kept: %s", out)
		}
	}
}

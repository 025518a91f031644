// Command large measures what a large model takes: the import of a checkpoint of SmolLM-135M's shape with random
// numbers, 538 MB, and training it further, all parameters and an adapter, with activations kept and computed again,
// against what inspect foretells. No process may have more than 8 GiB of data; the import may have in memory 1.3 times
// its largest tensor and what it writes.
//
//	make large
//
// It takes a quarter of an hour, most of it for the steps of trainings. Packages and checkpoints are written to
// demo/large in the root of the repository, 1.6 GB; the checkpoint that is there already is used again.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/tokenizer"
)

// The shape of SmolLM-135M (Allal et al. 2024).
const (
	width, hidden, layers, heads, kvHeads, vocab, window = 576, 1536, 30, 9, 3, 49152, 2048
)

// limit is what a process may have of data.
const limit = 8 << 30

var (
	steps = flag.Int("steps", 2, "training steps of each way")
	only  = flag.String("way", "", "train in the ways alone whose names contain this `TEXT`; - for none")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal("large: ", err)
	}
}

func run() error {
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, "cmd", "gradsmith")); err != nil {
		return errors.New("run this in the folder bench of the repository")
	}
	dir := filepath.Join(root, "demo", "large")
	if err := publish(filepath.Join(dir, "published")); err != nil {
		return err
	}
	gradsmith := filepath.Join(dir, "gradsmith.exe")
	if _, err := command(root, "go", "build", "-o", gradsmith, "./cmd/gradsmith"); err != nil {
		return err
	}
	if err := imported(dir, gradsmith); err != nil {
		return err
	}
	return trained(root, dir, gradsmith)
}

// publish writes the checkpoint as a folder of the hub, unless it is there.
func publish(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "model.safetensors")); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	config, err := json.MarshalIndent(map[string]any{"model_type": "llama",
		"architectures": []string{"LlamaForCausalLM"}, "hidden_size": width, "intermediate_size": hidden,
		"num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kvHeads, "vocab_size": vocab,
		"max_position_embeddings": window, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true,
		"hidden_act": "silu", "eos_token_id": 0}, "", "  ")
	if err != nil {
		return err
	}
	words, err := words()
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{"config.json": config, "tokenizer.json": words} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	var parts []checkpoint.Part
	var buffer []float32
	add := func(name string, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		stream := uint64(len(parts))
		parts = append(parts, checkpoint.Part{Name: name, Shape: shape, Make: func() ([]float32, error) {
			if cap(buffer) < n {
				buffer = make([]float32, n)
			}
			x := buffer[:n]
			for i := range x {
				if len(shape) == 1 { // the gain of a norm
					x[i] = 1
				} else { // of the variance that such models begin with
					x[i] = float32(0.02 * math.Sqrt(12) * (float64(model.Key(stream, uint64(i))>>40)/(1<<24) - 0.5))
				}
			}
			return x, nil
		}})
	}
	add("model.embed_tokens.weight", vocab, width)
	for i := range layers {
		in := fmt.Sprintf("model.layers.%d.", i)
		add(in+"input_layernorm.weight", width)
		add(in+"self_attn.q_proj.weight", width, width)
		add(in+"self_attn.k_proj.weight", width/heads*kvHeads, width)
		add(in+"self_attn.v_proj.weight", width/heads*kvHeads, width)
		add(in+"self_attn.o_proj.weight", width, width)
		add(in+"post_attention_layernorm.weight", width)
		add(in+"mlp.gate_proj.weight", hidden, width)
		add(in+"mlp.up_proj.weight", hidden, width)
		add(in+"mlp.down_proj.weight", width, hidden)
	}
	add("model.norm.weight", width)
	f, err := os.Create(filepath.Join(dir, "model.safetensors.part"))
	if err != nil {
		return err
	}
	err = errors.Join(checkpoint.WriteParts(f, map[string]string{"format": "pt"}, checkpoint.F32, parts), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, "model.safetensors"))
}

// words is a tokenizer with as many tokens as the model's: bytes, and pairs of them.
func words() ([]byte, error) {
	tokens, special := map[string]int32{}, map[string]int32{"<|endoftext|>": 0}
	var merges [][2]string
	order := tokenizer.ByteOrder()
	for _, b := range order {
		tokens[string([]byte{b})] = int32(len(tokens) + 1)
	}
	for _, a := range order {
		for _, b := range order {
			if len(tokens) == vocab-1 {
				break
			}
			tokens[string([]byte{a, b})] = int32(len(tokens) + 1)
			merges = append(merges, [2]string{string([]byte{a}), string([]byte{b})})
		}
	}
	t, err := tokenizer.NewByteLevel("", tokens, merges, special)
	if err != nil {
		return nil, err
	}
	return t.JSON()
}

// imported measures the import.
func imported(dir, gradsmith string) error {
	out := filepath.Join(dir, "smol")
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(dir, "published", "model.safetensors"))
	if err != nil {
		return err
	}
	start := time.Now()
	cmd, err := limited(dir, gradsmith, "import", filepath.Join(dir, "published"), "-o", out)
	if err != nil {
		return err
	}
	took := time.Since(start)
	peak, largest := peakOf(cmd), float64(4*vocab*width)
	written := 0.0
	err = filepath.WalkDir(out, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			written += float64(info.Size())
		}
		return err
	})
	if err != nil {
		return err
	}
	fmt.Printf("import of %.0f MB: %.1f s by the clock, %.1f s of a processor, %.0f MB in memory at its peak; the "+
		"largest tensor has %.0f MB, %.0f MB are written\n", float64(info.Size())/1e6, took.Seconds(),
		(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), peak/1e6, largest/1e6, written/1e6)
	if peak > 1.3*largest+written {
		return errors.New("the import takes more than 1.3 times the largest tensor and what it writes")
	}
	return nil
}

// ways are those to train the model further, by what their specs have.
var ways = []struct {
	name               string
	adapter, recompute bool
}{{"all", false, false}, {"all_again", false, true}, {"adapter", true, false}, {"adapter_again", true, true}}

// repeats is the line of a spec that says how often its blocks are repeated.
var repeats = regexp.MustCompile(fmt.Sprintf(`(?m)^( *)times: %d$`, layers))

const program = `package main

import (
	"github.com/gradsmith/gradsmith/demo/large/NAME"
	"github.com/gradsmith/gradsmith/runtime/app"
)

func main() { app.Main(NAME.Program()) }
`

// trained measures trainings.
func trained(root, dir, gradsmith string) error {
	spec, err := os.ReadFile(filepath.Join(dir, "smol", "smol.yaml"))
	if err != nil {
		return err
	}
	words, err := os.ReadFile(filepath.Join(dir, "smol", "tokenizer.json"))
	if err != nil {
		return err
	}
	var text strings.Builder
	for i := range 40000 {
		fmt.Fprintf(&text, "%d ", model.Key(uint64(i))%1000)
	}
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte(text.String()), 0o644); err != nil {
		return err
	}
	fmt.Println("\n| | foretold by inspect | with the copy of a checkpoint | peak | beside what a process has | " +
		"seconds a step |\n" +
		"|---|---|---|---|---|---|")
	for _, w := range ways {
		if !strings.Contains(w.name, *only) {
			continue
		}
		own := strings.Replace(string(spec), "name: smol\n", "name: "+w.name+"\n", 1)
		if w.adapter {
			own += "adapter: {rank: 8}\n"
		}
		if w.recompute {
			if !repeats.MatchString(own) {
				return errors.New("the spec has no repeat of all blocks")
			}
			own = repeats.ReplaceAllString(own, "$0\n${1}recompute: true")
		}
		at := filepath.Join(dir, w.name)
		if err := os.MkdirAll(filepath.Join(at, "cmd"), 0o755); err != nil {
			return err
		}
		for name, data := range map[string][]byte{w.name + ".yaml": []byte(own), "tokenizer.json": words,
			"cmd/main.go": []byte(strings.ReplaceAll(program, "NAME", w.name))} {
			if err := os.WriteFile(filepath.Join(at, name), data, 0o644); err != nil {
				return err
			}
		}
		path := filepath.Join(at, w.name+".yaml")
		if _, err := command(root, gradsmith, "generate", path); err != nil {
			return err
		}
		exe := filepath.Join(at, w.name+".exe")
		if _, err := command(root, "go", "build", "-o", exe, "./demo/large/"+w.name+"/cmd"); err != nil {
			return err
		}
		said, err := command(root, gradsmith, "inspect", path, "--json")
		if err != nil {
			return err
		}
		var foretold struct {
			TrainBytes float64 `json:"train_bytes"`
			CopyBytes  float64 `json:"copy_bytes"` // the training writes one
		}
		if err := json.Unmarshal(said, &foretold); err != nil || foretold.TrainBytes == 0 {
			return fmt.Errorf("inspect: %w: %s", err, said)
		}
		idle, err := limited(dir, exe, "--help")
		if err != nil {
			return err
		}
		start := time.Now()
		cmd, err := limited(dir, exe, "train", "--data", "text", "--from", "smol/pretrained.safetensors", "--steps",
			fmt.Sprint(*steps), "--validation", "0", "--samples", "0", "--out", w.name+".safetensors", "--overwrite")
		if err != nil {
			return err
		}
		peak, idles := peakOf(cmd), peakOf(idle)
		fmt.Printf("| %s | %.2f GiB | %.2f GiB | %.2f GiB | %.2f GiB | %.0f |\n", w.name, foretold.TrainBytes/(1<<30),
			(foretold.TrainBytes+foretold.CopyBytes)/(1<<30), peak/(1<<30), (peak-idles)/(1<<30),
			time.Since(start).Seconds()/float64(*steps))
	}
	return nil
}

// peakOf is the most that a process had in memory, in bytes.
func peakOf(cmd *exec.Cmd) float64 {
	return 1024 * float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
}

// limited runs a command that may have 8 GiB of data.
func limited(dir, name string, args ...string) (*exec.Cmd, error) {
	if runtime.GOOS != "linux" {
		return nil, errors.New("this measures processes of Linux")
	}
	line := []string{"-c", fmt.Sprintf(`ulimit -d %d; exec "$0" "$@"`, limit/1024), name}
	cmd := exec.Command("sh", append(line, args...)...)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, out.String())
	}
	return cmd, nil
}

// command runs a command, shows what it says while it works, and gives what it prints.
func command(dir, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w", filepath.Base(name), strings.Join(args, " "), err)
	}
	return out.Bytes(), nil
}

package interchange

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/cmd/gradsmith/internal/gguf"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/tokenizer"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/formats"
	_ "github.com/gradsmith/gradsmith/runtime/tokenizer/lookahead"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/sentencepiece"
	"github.com/gradsmith/gradsmith/spec"
)

var llamacpp = flag.String("llamacpp", "",
	"`FOLDER` of the package node-llama-cpp, whose llama.cpp reads what is written")

// written is an imported model as a GGUF file.
func written(t *testing.T, m *Import, as gguf.Type) (path, arch string) {
	t.Helper()
	dir := t.TempDir()
	weights := filepath.Join(dir, "small.safetensors")
	var b bytes.Buffer
	if err := m.Weights(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(weights, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	g, err := NewGGUF(m.Model, weights, as)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	b.Reset()
	if err := g.Write(&b); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "small.gguf")
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path, g.Architecture
}

// fitting are the checkpoints that llama.cpp has an architecture for, and which.
var fitting = map[string]string{"gpt2": "gpt2", "llama": "llama", "llama-linear": "llama", "llama-llama3": "llama",
	"qwen2": "qwen2", "qwen3": "qwen3", "gemma": "gemma", "gemma2-six": "gemma2", "gemma3-six": "gemma3",
	"neox": "gptneox", "neox-serial": "gptneox"}

// TestGGUF writes small models as GGUF files and imports those: the numbers have the same bits, and the logits are
// those of PyTorch. Half of the bits give nearly the same. Where llama.cpp is there it goes on with the same tokens.
func TestGGUF(t *testing.T) {
	all := readPublished(t)
	for _, name := range slices.Sorted(maps.Keys(fitting)) {
		t.Run(name, func(t *testing.T) {
			p := all[name]
			m, err := Read(p.write(t, 1), Options{Name: "small"})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			path, arch := written(t, m, gguf.F32)
			if arch != fitting[name] {
				t.Errorf("architecture %s", arch)
			}
			again, err := Read(path, Options{Name: "small"})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			var a, b bytes.Buffer
			if err := m.Weights(&a); err != nil {
				t.Fatal(err)
			}
			if err := again.Weights(&b); err != nil {
				t.Fatal(err)
			}
			one, err := checkpoint.Parse(a.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			two, err := checkpoint.Parse(b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(one.Tensors) != fmt.Sprint(two.Tensors) {
				t.Error("what was written and imported has not the bits that it had")
			}
			p.compare(t, again, 1e-6)
			// The tokenizer is the same one.
			for _, text := range []string{"a b", "abc", " a  a"} {
				x, err := m.folder.tokenizer.Encode(text)
				if err != nil {
					t.Fatal(err)
				}
				if y, err := again.folder.tokenizer.Encode(text); err != nil || !slices.Equal(x, y) {
					t.Errorf("%q is %v, %v, and was %v", text, y, err, x)
				}
			}
			for _, as := range []gguf.Type{gguf.F16, gguf.BF16} {
				path, _ := written(t, m, as)
				half, err := Read(path, Options{Name: "small"})
				if err != nil {
					t.Fatal(err)
				}
				defer half.Close()
				p.compare(t, half, 0.05)
			}
			if *llamacpp != "" {
				goesOn(t, m, path, p.Read[:3], 8)
			}
		})
	}
}

var answer = flag.String("answer", "", "`PROGRAM` that was built of bench/llamacpp/answer.c")

// TestGGUFAnswers writes small models of T5's shape as GGUF files and imports those: the numbers have the same bits.
// Where llama.cpp is there it answers with the same tokens.
func TestGGUFAnswers(t *testing.T) {
	all := readPublished(t)
	for _, name := range []string{"t5-far", "t5-far-gated"} {
		t.Run(name, func(t *testing.T) {
			p := all[name]
			m, err := Read(p.write(t, 1), Options{Name: "small"})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			path, arch := written(t, m, gguf.F32)
			if arch != "t5" {
				t.Errorf("architecture %s", arch)
			}
			again, err := Read(path, Options{Name: "small"})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			p.compare(t, again, 1e-6)
			var files [2]*checkpoint.File
			for i, x := range []*Import{m, again} {
				var b bytes.Buffer
				if err := x.Weights(&b); err != nil {
					t.Fatal(err)
				}
				if files[i], err = checkpoint.Parse(b.Bytes()); err != nil {
					t.Fatal(err)
				}
			}
			if fmt.Sprint(files[0].Tensors) != fmt.Sprint(files[1].Tensors) {
				t.Error("what was written and imported has not the bits that it had")
			}
			if *answer == "" {
				return
			}
			list := strings.Trim(strings.ReplaceAll(fmt.Sprint(p.Source), " ", ","), "[]")
			out, err := exec.Command(*answer, "8", list, path).Output()
			if err != nil {
				t.Fatal(err)
			}
			var got, want []int32
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			read := []int32{int32(m.Model.Tokenizer.Special(spec.BeginToken))}
			end := int32(m.Model.Tokenizer.Special(spec.EndToken))
			for len(want) < 8 && read[len(read)-1] != end {
				x := logits(t, m, read, p.Source)
				x = x[len(x)-m.Model.Vocab():]
				best := int32(slices.Index(x, slices.Max(x)))
				want, read = append(want, best), append(read, best)
			}
			if !slices.Equal(got, want) {
				t.Errorf("llama.cpp answers %v, the model %v", got, want)
			}
		})
	}
	// What it tells apart further than llama.cpp does, or less, is said.
	m, err := Read(all["t5"].write(t, 1), Options{Name: "small"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := NewGGUF(m.Model, "nothing", gguf.F32); err == nil || !strings.Contains(err.Error(),
		"tells distances up to 6 apart, and that 128") {
		t.Errorf("error %v", err)
	}
}

// TestGGUFEncoder writes encoders as GGUF files, with their tensors under the names that llama.cpp has for them. Where
// llama.cpp is there it makes of a text what PyTorch does, but for an approximation of the activation.
func TestGGUFEncoder(t *testing.T) {
	all := readPublished(t)
	for _, name := range []string{"bert", "roberta"} {
		t.Run(name, func(t *testing.T) {
			p := all[name]
			m, err := Read(p.write(t, 1), Options{Name: "small"})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			path, arch := written(t, m, gguf.F32)
			if arch != "bert" {
				t.Errorf("architecture %s", arch)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			r, err := gguf.New(f, info.Size())
			if err != nil {
				t.Fatal(err)
			}
			// Both matrices of a feed-forward part are as they were published.
			found := 0
			for i := range r.Tensors {
				x := &r.Tensors[i]
				if x.Name == "token_embd.weight" && x.Shape[0] != vocab {
					t.Errorf("there are %d rows of tokens", x.Shape[0])
				}
				of := map[string]string{"blk.1.ffn_up.weight": "encoder.layer.1.intermediate.dense.weight",
					"blk.1.ffn_down.weight": "encoder.layer.1.output.dense.weight",
					"blk.1.attn_k.bias":     "encoder.layer.1.attention.self.key.bias"}[x.Name]
				for k, y := range p.Tensors {
					if of == "" || y.name != name+"."+of {
						continue
					}
					found++
					got := make([]float32, len(p.values(k)))
					if err := r.Read(x, 0, got); err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(got, p.values(k)) || !slices.Equal(x.Shape, y.shape) {
						t.Errorf("%s is not %s", x.Name, y.name)
					}
				}
			}
			if found != 3 {
				t.Errorf("%d of the tensors are there", found)
			}
			if *llamacpp != "" {
				embeds(t, path, p.Read, p.Mean)
			}
		})
	}
}

// embeds compares what llama.cpp makes of a text with what is wanted.
func embeds(t *testing.T, path string, tokens []int32, want []float64) {
	t.Helper()
	list := strings.Trim(strings.ReplaceAll(fmt.Sprint(tokens), " ", ","), "[]")
	cmd := exec.Command("node", "../../../../bench/llamacpp/embed.mjs", list, path)
	cmd.Env = append(os.Environ(), "NODE_LLAMA_CPP="+*llamacpp)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errOut.String())
	}
	var got []float64
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(got) != len(want) {
		t.Fatalf("%d numbers, want %d", len(got), len(want))
	}
	// It is brought to the length 1.
	length := func(x []float64) float64 {
		sum := 0.0
		for _, v := range x {
			sum += v * v
		}
		return math.Sqrt(sum)
	}
	apart := 0.0
	for i := range want {
		apart = max(apart, math.Abs(got[i]/length(got)-want[i]/length(want)))
	}
	t.Logf("apart by %.2g, of a length of 1", apart)
	if !(apart < 5e-4) {
		t.Errorf("llama.cpp makes %v of the text, and PyTorch %v", got, want)
	}
}

// goesOn compares the likeliest tokens of llama.cpp with those of a model evaluated in float64.
func goesOn(t *testing.T, m *Import, path string, first []int32, most int) {
	t.Helper()
	list := strings.Trim(strings.ReplaceAll(fmt.Sprint(first), " ", ","), "[]")
	cmd := exec.Command("node", "../../../../bench/llamacpp/greedy.mjs", fmt.Sprint(most), list, path)
	cmd.Env = append(os.Environ(), "NODE_LLAMA_CPP="+*llamacpp)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errOut.String())
	}
	var got struct{ Tokens []int32 }
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	read := slices.Clone(first)
	end := int32(m.Model.Tokenizer.Special(spec.EndToken))
	var want []int32
	for range most {
		x := logits(t, m, read, nil)
		x = x[len(x)-m.Model.Vocab():]
		best := int32(slices.Index(x, slices.Max(x)))
		want, read = append(want, best), append(read, best)
		if best == end {
			break
		}
	}
	if !slices.Equal(got.Tokens, want) {
		t.Errorf("llama.cpp goes on with %v, the model with %v", got.Tokens, want)
	}
}

// TestGGUFRefuses holds that a model which llama.cpp would compute otherwise is not written, and that the line says
// why.
func TestGGUFRefuses(t *testing.T) {
	const block = "- residual: [rmsnorm, attention: {heads: 2, rotary: true, bias: false}]\n" +
		"  - residual: [rmsnorm, feedforward: {activation: swiglu, bias: false}]\n"
	const head = "  - rmsnorm\n  - dense: {tie: tok, bias: false}\n"
	for _, c := range []struct{ name, spec, want string }{
		{"rnn", "kind: rnn\nlayers:\n  - embedding: {size: 4}\n  - gru: 4\n  - dense\n",
			"is no decoder by itself (kind rnn)"},
		{"encoder",
			"kind: attention\nencoder:\n  - embedding: {size: 4}\n  - positions\n  - attention: {heads: 2}\n  - dense\n",
			"a layer of another kind, which other programs do not know of an encoder"},
		{"layer", "- dense: {units: 8}\n  " + block + head, "dense dense: logits with a bias or a scale"},
		{"no norm", "- residual: [attention: {heads: 2, rotary: true}]\n" + head, "a sum of another form"},
		{"window", strings.Replace(block, "rotary: true", "rotary: true, window: 3", 1) + head, "a window of 3 tokens"},
		{"blocks differ", block + "  " + strings.Replace(block, "heads: 2", "heads: 4", 1) + head,
			"block 2: its attention is not that of the first block"},
		{"cap", block + "  - rmsnorm\n  - dense: {tie: tok, bias: false, soft_cap: 3}\n", "logits with a bound"},
		{"activation", strings.Replace(block, "swiglu", "geglu", 1) + head,
			"it is most like llama of llama.cpp, but its activation is geglu, not swiglu"},
		{"yarn", strings.Replace(block, "rotary: true", "rotary: {scaling: {yarn: {factor: 2, original: 8}}}",
			1) + head,
			"its rotations are scaled in the way yarn"},
		{"part of a head", strings.Replace(block, "rotary: true", "rotary: {features: 2}", 1) + head,
			"not turned as a whole"},
		{"tokenizer", block + head, "the tokenizer is of kind ascii, which GGUF has no form for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := c.spec
			if strings.HasPrefix(text, "-") {
				text = "kind: attention\ntokenizer: ascii\nshape: {steps: 16}\ndecoder:\n  - embedding: {name: tok, size: 8}\n  " +
					text
			}
			m, err := spec.Parse("small.yaml", []byte(text), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := NewGGUF(m, "nothing", gguf.F32); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestBadGGUF holds that what is wrong with a GGUF file is one line that says what.
func TestBadGGUF(t *testing.T) {
	m, err := Read(readPublished(t)["llama"].write(t, 1), Options{Name: "small"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	path, _ := written(t, m, gguf.F32)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"architecture", "\x05\x00\x00\x00\x00\x00\x00\x00llama", "\x05\x00\x00\x00\x00\x00\x00\x00mamba",
			`the architecture "mamba"`},
		{"unknown key", "llama.vocab_size", "llama.vocab_sort", `the key "llama.vocab_sort"`},
		{"missing key", "llama.block_count", "lxama.block_count", `the key "num_hidden_layers" is missing`},
		{"tensor", "blk.1.ffn_up.weight", "blk.1.ffn_ux.weight",
			"there is no tensor model.layers.1.mlp.up_proj.weight"},
		{"tokenizer", "\x04\x00\x00\x00\x00\x00\x00\x00gpt2", "\x04\x00\x00\x00\x00\x00\x00\x00rwkv",
			`the tokenizer is of kind "rwkv"`},
		{"split", "\x05\x00\x00\x00\x00\x00\x00\x00gpt-2", "\x05\x00\x00\x00\x00\x00\x00\x00gpt-9",
			`tokenizer.ggml.pre is "gpt-9"`},
		{"merges", "\xc4\xa0 a", "\xc4\xa0_a", "tokenizer.ggml.merges: line 0"},
		{"no tokens", "tokenizer.ggml.tokens", "tokenizer.ggml.tokeno", "it has no tokenizer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := bytes.Replace(data, []byte(c.old), []byte(c.new), 1)
			if bytes.Equal(changed, data) {
				t.Fatal("nothing has changed")
			}
			bad := filepath.Join(t.TempDir(), "bad.gguf")
			if err := os.WriteFile(bad, changed, 0o666); err != nil {
				t.Fatal(err)
			}
			m, err := Read(bad, Options{Name: "small"})
			if err == nil {
				m.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "bad.gguf") {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// unigram is a SentencePiece model as T5's is one.
func unigram() ([]byte, error) {
	m := &tokenizer.SentencePiece{Rules: "identity", Prefix: true, Collapse: true}
	for i, s := range []string{"<pad>", "</s>", "<unk>", "▁", "▁the", "▁t", "he", "▁a", "▁Once", "▁upon", "i", "m", "e",
		"t", "x", "ca", "a", "c"} {
		p := tokenizer.ScoredPiece{Text: s, Score: -float32(i), Type: tokenizer.Normal}
		if i < 2 {
			p = tokenizer.ScoredPiece{Text: s, Type: tokenizer.Control}
		} else if i == 2 {
			p = tokenizer.ScoredPiece{Text: s, Type: tokenizer.Unknown}
		}
		m.Pieces = append(m.Pieces, p)
	}
	return sentencepiece.Format(m)
}

// TestGGUFTokenizers holds that published tokenizers come through a GGUF file with the same tokens for every text.
func TestGGUFTokenizers(t *testing.T) {
	for _, name := range []string{"llama2", "llama3", "gpt2", "qwen", "unigram"} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile("../../../../runtime/tokenizer/testdata/" + name + ".json")
			if name == "unigram" {
				data, err = unigram()
			}
			if err != nil {
				t.Fatal(err)
			}
			encoder, cross, keysOf := "", "", ggufTokens
			if name == "unigram" {
				encoder = "encoder:\n  - embedding: {size: 8}\n  - attention: {heads: 2, rotary: true}\n"
				cross, keysOf = "  - attention: {heads: 2, cross: true}\n", t5Tokens
			}
			m, err := spec.Parse("small.yaml", []byte("kind: attention\ntokenizer: {file: tokens.json}\n"+encoder+
				"decoder:\n  - embedding: {size: 8}\n  - attention: {heads: 2, rotary: true}\n"+cross+
				"  - dense\n"),
				func(string) ([]byte, error) { return data, nil })
			if err != nil {
				t.Fatal(err)
			}
			keys, err := keysOf(m)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := gguf.Write(&b, keys, nil); err != nil {
				t.Fatal(err)
			}
			r, err := gguf.New(bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err != nil {
				t.Fatal(err)
			}
			f := &folder{}
			if err := f.ggufTokenizer(r.Keys); err != nil {
				t.Fatal(err)
			}
			was, _, err := formats.Parse(data, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"Once upon a time, there was a cat.", " It's 1234\n\n  naïve — 世界 🙂",
				"the the", "\tx"} {
				want, err := was.Encode(text)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := f.tokenizer.Encode(text); err != nil || !slices.Equal(got, want) {
					t.Errorf("%q: %v, %v, want %v", text, got, err, want)
				}
			}
		})
	}
}

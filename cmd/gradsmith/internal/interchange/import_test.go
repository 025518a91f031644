package interchange

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/eval"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// published is a small random checkpoint in its published form, and what PyTorch computes with it: testdata/pytorch.py.
type published struct {
	Config  map[string]any
	Tensors []publishedTensor
	Read    []int32 // tokens
	Source  []int32 // of an encoder in front of a decoder
	Logits  []float64
	Mean    []float64 // of what an encoder makes of the tokens
}

// publishedTensor is [name, shape, offset, scale].
type publishedTensor struct {
	name          string
	shape         []int
	offset, scale float32
}

func (t *publishedTensor) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&t.name, &t.shape, &t.offset, &t.scale})
}

func readPublished(t testing.TB) map[string]*published {
	t.Helper()
	data, err := os.ReadFile("testdata/pytorch.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]*published
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// values are the numbers of tensor k, from the formula of testdata/pytorch.py.
func (p *published) values(k int) []float32 {
	n := 1
	for _, d := range p.Tensors[k].shape {
		n *= d
	}
	x := make([]float32, n)
	for i := range x {
		u := float32(model.Key(uint64(100+k), uint64(i))>>40) / (1 << 24)
		x[i] = float32((u*2-1)*p.Tensors[k].scale) + p.Tensors[k].offset
	}
	return x
}

// tokenizerOf is a tokenizer.json of byte-pair encoding over bytes: special tokens, a blank, letters, and one merge.
func tokenizerOf(n int) []byte {
	vocab := map[string]int{"<unk>": 0, "<s>": 1, "</s>": 2, "<mask>": 3, "Ġ": 4, "Ċ": 5}
	var added []map[string]any
	for i, name := range []string{"<unk>", "<s>", "</s>", "<mask>"} {
		added = append(added, map[string]any{"id": i, "content": name, "single_word": false, "lstrip": false,
			"rstrip": false, "normalized": false, "special": true})
	}
	for i := len(vocab); i < n-1; i++ {
		vocab[string(rune('a'+i-6))] = i
	}
	vocab["Ġa"] = n - 1
	piece := func(kind, id string) map[string]any {
		return map[string]any{kind: map[string]any{"id": id,
			"type_id": 0}}
	}
	bytewise := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	data, err := json.Marshal(map[string]any{"version": "1.0", "added_tokens": added, "pre_tokenizer": bytewise,
		"decoder": bytewise,
		"post_processor": map[string]any{"type": "TemplateProcessing",
			"single": []any{piece("SpecialToken", "<s>"), piece("Sequence", "A")}, "pair": []any{},
			"special_tokens": map[string]any{
				"<s>": map[string]any{"id": "<s>", "ids": []int{1}, "tokens": []string{"<s>"}}}},
		"model": map[string]any{"type": "BPE", "vocab": vocab, "merges": []string{"Ġ a"}}})
	if err != nil {
		panic(err)
	}
	return data
}

// vocab is the number of tokens that the tokenizers of tests have.
const vocab = 24

// write lays out the checkpoint as a folder, its tensors in one file or in several.
func (p *published) write(t testing.TB, shards int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "published")
	put := func(name string, data []byte) {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	config, err := json.Marshal(p.Config)
	if err != nil {
		t.Fatal(err)
	}
	put(configFile, config)
	put("tokenizer.json", tokenizerOf(vocab))
	files := make([]checkpoint.File, shards)
	where := map[string]string{}
	for k, x := range p.Tensors {
		i := k * shards / len(p.Tensors)
		files[i].Tensors = append(files[i].Tensors, checkpoint.Tensor{Name: x.name, Shape: x.shape, Value: p.values(k)})
		where[x.name] = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, shards)
	}
	for i := range files {
		var b bytes.Buffer
		if err := files[i].Write(&b); err != nil {
			t.Fatal(err)
		}
		if shards == 1 {
			put(weightFile, b.Bytes())
		} else {
			put(fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, shards), b.Bytes())
		}
	}
	if shards > 1 {
		index, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 1}, "weight_map": where})
		if err != nil {
			t.Fatal(err)
		}
		put(indexFile, index)
	}
	return dir
}

// logits evaluates the forward pass of an imported model in float64: [len(tokens), vocabulary]. What is not among its
// weights, as an adapter, is given by more.
func logits(t testing.TB, m *Import, tokens, source []int32, more ...map[string][]float32) []float64 {
	t.Helper()
	var b bytes.Buffer
	if err := m.Weights(&b); err != nil {
		t.Fatal(err)
	}
	file, err := checkpoint.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]float32{}
	for _, x := range file.Tensors {
		values[x.Name] = x.Value
	}
	for _, m := range more {
		maps.Copy(values, m)
	}
	g, err := build.Build(m.Model)
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{"steps": len(tokens), "batch": 1, "sourceSteps": len(source)}
	in := map[string]*graph.Tensor{}
	for _, v := range g.Train.Inputs {
		in[v.Name] = eval.New(v, sizes)
		switch v.Name {
		case "tokens", "targets":
			copy(in[v.Name].I, tokens)
		case "source":
			copy(in[v.Name].I, source)
		}
	}
	for _, p := range g.Params {
		at := 0
		for _, name := range p.Tensors() {
			for _, x := range values[name] {
				in[p.Name()].F[at] = float64(x)
				at++
			}
		}
		if at != len(in[p.Name()].F) {
			t.Fatalf("%s has %d numbers, %d are written", p.Name(), len(in[p.Name()].F), at)
		}
	}
	for _, x := range g.Tables {
		if in[x.Name] != nil {
			copy(in[x.Name].F, x.Values())
		}
	}
	for _, n := range g.Train.Nodes {
		for _, v := range n.Outs {
			if v.Name == "logits" {
				g.Train.Output(v, "logits")
			}
		}
	}
	out, err := eval.Run(g.Train, in, sizes)
	if err != nil {
		t.Fatal(err)
	}
	return out["logits"].F
}

// compare holds the logits of an imported model to those of PyTorch.
func (p *published) compare(t *testing.T, m *Import, most float64) {
	t.Helper()
	got := logits(t, m, p.Read, p.Source)
	rows := len(p.Logits) / len(p.Read) // which may be more than there are tokens
	diff, size := 0.0, 0.0
	for i := range p.Read {
		for j := range min(m.Model.Vocab(), rows) { // a mask that is ours has no logit there
			want := p.Logits[i*rows+j]
			diff = max(diff, math.Abs(got[i*m.Model.Vocab()+j]-want))
			size = max(size, math.Abs(want))
		}
		if m.Model.Masking != nil { // the mask, behind the others, has the numbers of the file's own
			row := got[i*m.Model.Vocab():][:m.Model.Vocab()]
			diff = max(diff, math.Abs(row[len(row)-1]-p.Logits[i*rows+3]))
		}
	}
	if !(diff <= most*size) {
		t.Errorf("the logits differ by %.2g, of %.2g\n%s", diff, size, m.Spec)
	}
}

// TestPyTorch imports a small random checkpoint of each architecture, and compares the logits with those of PyTorch
// code that was written from the papers.
func TestPyTorch(t *testing.T) {
	all := readPublished(t)
	known := map[string]bool{}
	for i, name := range slices.Sorted(maps.Keys(all)) {
		p := all[name]
		known[p.Config["model_type"].(string)] = true
		t.Run(name, func(t *testing.T) {
			m, err := Read(p.write(t, 1+i%3), Options{Name: "small"})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			p.compare(t, m, 1e-6)
			// What is written reads well: no line of the report ends with blanks, and each tensor has its line.
			for _, x := range p.Tensors {
				if !strings.Contains(string(m.Report), x.name+" ") {
					t.Errorf("the report does not name %s", x.name)
				}
			}
		})
	}
	for _, a := range architectures {
		for _, kind := range a.types {
			if !known[kind] {
				t.Errorf("no checkpoint of architecture %s", kind)
			}
		}
	}
}

// TestTypes holds that checkpoints of half precision are read, and that numbers of the file are the numbers of the
// model.
func TestTypes(t *testing.T) {
	p := readPublished(t)["llama"]
	dir := p.write(t, 1)
	path := filepath.Join(dir, weightFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	f.Type = checkpoint.BF16
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, as := range []checkpoint.Type{checkpoint.F32, checkpoint.BF16} {
		m, err := Read(dir, Options{Name: "small", Type: as})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		var got bytes.Buffer
		if err := m.Weights(&got); err != nil {
			t.Fatal(err)
		}
		weights, err := checkpoint.Parse(got.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		half, err := checkpoint.Parse(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(weights.Tensors[0].Value, half.Tensors[0].Value) {
			t.Errorf("as %v the table is not what it was", as)
		}
	}
}

// TestBadCheckpoints holds that what is wrong with a checkpoint is one error that says what, and where.
func TestBadCheckpoints(t *testing.T) {
	all := readPublished(t)
	for _, c := range []struct {
		name   string
		change func(dir string, p *published)
		want   string
	}{
		{"no folder", func(dir string, _ *published) { os.RemoveAll(dir) }, "published cannot be read: no such file"},
		{"no config", func(dir string, _ *published) { os.Remove(filepath.Join(dir, configFile)) },
			"config.json cannot be read"},
		{"config is no JSON", func(dir string, _ *published) { put(t, dir, configFile, "[]") }, "is not a JSON object"},
		{"config is null", func(dir string, _ *published) { put(t, dir, configFile, "null") },
			"is not a JSON object but null"},
		{"two objects", func(dir string, _ *published) { put(t, dir, configFile, "{}{}") }, "something follows"},
		{"unknown architecture", edit("model_type", "mamba"),
			`the architecture "mamba" is not known; known are gpt2, llama,`},
		{"no architecture", edit("model_type", nil), `the key "model_type" is missing`},
		{"other task", edit("architectures", []any{"LlamaForSequenceClassification"}), "is not one that writes"},
		{"unknown key", edit("clip_qkv", 8), `the key "clip_qkv" (8) is not known of architecture llama`},
		{"missing key", edit("hidden_size", nil), `the key "hidden_size" is missing`},
		{"wrong type", edit("hidden_size", "16"), `hidden_size: expected a whole number`},
		{"huge size", edit("hidden_size", 1e12), `hidden_size: expected a whole number`},
		{"many layers", edit("num_hidden_layers", 1<<20), "no tensor model.layers.3"},
		{"activation", edit("hidden_act", "xielu"), `the activation "xielu" is not known`},
		{"quantised", edit("quantization_config", map[string]any{"bits": 4}), "the weights are quantised"},
		{"contradicting size", edit("intermediate_size", 24),
			"has the shape [20 16], but config.json and the tokenizer make it [24 16]"},
		{"heads do not divide", edit("num_key_value_heads", 3), "the spec that its config.json gives is not a model"},
		{"small table", edit("vocab_size", 20), "vocab_size is 20, but tokenizer.json has 24 tokens"},
		{"no tokenizer", func(dir string, _ *published) { os.Remove(filepath.Join(dir, "tokenizer.json")) },
			"has no tokenizer"},
		{"bad tokenizer", func(dir string, _ *published) { put(t, dir, "tokenizer.json", "{}") }, "tokenizer.json: "},
		{"no weights", func(dir string, _ *published) { os.Remove(filepath.Join(dir, weightFile)) }, "has neither"},
		{"pickle", func(dir string, _ *published) {
			os.Rename(filepath.Join(dir, weightFile), filepath.Join(dir, "pytorch_model.bin"))
		}, "pytorch_model.bin is a pickle file: reading it would run the code in it"},
		{"truncated", func(dir string, _ *published) { os.Truncate(filepath.Join(dir, weightFile), 5000) },
			"is truncated"},
		{"missing tensor", func(dir string, p *published) {
			p.rewrite(t, dir, func(x *publishedTensor) bool { return x.name != "model.norm.weight" })
		},
			"there is no tensor model.norm.weight"},
		{"unknown tensor", func(dir string, p *published) {
			p.rewrite(t, dir, func(x *publishedTensor) bool {
				if x.name == "model.norm.weight" {
					x.name = "model.norm.bias"
				}
				return true
			})
		}, "there is no tensor model.norm.weight"},
		{"folder in place of a file", func(dir string, _ *published) {
			os.Remove(filepath.Join(dir, "tokenizer.json"))
			os.Mkdir(filepath.Join(dir, "tokenizer.json"), 0o777)
		}, "it is not a file"},
		{"index out of the folder", func(dir string, _ *published) {
			os.Remove(filepath.Join(dir, weightFile))
			put(t, dir, indexFile, `{"weight_map":{"a":"../x.safetensors"}}`)
		}, "which is not a file of the folder"},
		{"missing shard", func(dir string, _ *published) {
			os.Rename(filepath.Join(dir, weightFile), filepath.Join(dir, "a.safetensors"))
			put(t, dir, indexFile, `{"weight_map":{"a":"b.safetensors"}}`)
		}, "b.safetensors is missing, which model.safetensors.index.json names"},
		{"empty index", func(dir string, _ *published) {
			os.Remove(filepath.Join(dir, weightFile))
			put(t, dir, indexFile, `{}`)
		}, "has no weight_map"},
		{"index that does not fit", func(dir string, _ *published) {
			os.Rename(filepath.Join(dir, weightFile), filepath.Join(dir, "a.safetensors"))
			put(t, dir, indexFile, `{"weight_map":{"x":"a.safetensors"}}`)
		}, "does not name it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := *all["llama"]
			p.Config, p.Tensors = maps.Clone(p.Config), slices.Clone(p.Tensors)
			dir := p.write(t, 1)
			c.change(dir, &p)
			m, err := Read(dir, Options{Name: "small"})
			if err == nil {
				m.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	// What is left aside consciously is no error, and what is not needed is listed.
	p := *all["llama"]
	p.Config, p.Tensors = maps.Clone(p.Config), slices.Clone(p.Tensors)
	p.Config["clip_qkv"] = 8
	p.Tensors = append(p.Tensors, publishedTensor{name: "model.layers.0.self_attn.rotary_emb.inv_freq",
		shape: []int{2}})
	m, err := Read(p.write(t, 1), Options{Name: "small", Ignore: []string{"clip_qkv"}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if !strings.Contains(string(m.Report), "inv_freq") || m.Aside != 1 {
		t.Errorf("the report is\n%s", m.Report)
	}
}

// edit changes a key of the config; nil takes it away.
func edit(key string, value any) func(dir string, p *published) {
	return func(dir string, p *published) {
		if p.Config[key] = value; value == nil {
			delete(p.Config, key)
		}
		data, err := json.Marshal(p.Config)
		if err != nil {
			panic(err)
		}
		if err := os.WriteFile(filepath.Join(dir, configFile), data, 0o666); err != nil {
			panic(err)
		}
	}
}

func put(t *testing.T, dir, name, data string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
		t.Fatal(err)
	}
}

// rewrite writes the weights anew, of the tensors that are kept.
func (p *published) rewrite(t *testing.T, dir string, keep func(x *publishedTensor) bool) {
	t.Helper()
	var kept []publishedTensor
	for _, x := range p.Tensors {
		if keep(&x) {
			kept = append(kept, x)
		}
	}
	p.Tensors = kept
	data, err := fs.ReadFile(os.DirFS(p.write(t, 1)), weightFile)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, weightFile, string(data))
}

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// published is a small random checkpoint of Llama's shape, as a hub has it, by the names of its files.
func published(t testing.TB, tokenizer string) map[string]string {
	t.Helper()
	const width, hidden, layers, heads, vocab = 8, 12, 2, 2, 270
	config, err := json.Marshal(map[string]any{"model_type": "llama", "architectures": []string{"LlamaForCausalLM"},
		"hidden_size": width, "intermediate_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
		"vocab_size": vocab, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": true})
	if err != nil {
		t.Fatal(err)
	}
	f := &checkpoint.File{Metadata: map[string]string{"format": "pt"}}
	add := func(name string, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(model.Key(uint64(len(f.Tensors)), uint64(i))>>40)/(1<<23) - 1
		}
		f.Tensors = append(f.Tensors, checkpoint.Tensor{Name: name, Shape: shape, Value: x})
	}
	add("model.embed_tokens.weight", vocab, width)
	for i := range layers {
		in := fmt.Sprintf("model.layers.%d.", i)
		add(in+"input_layernorm.weight", width)
		for _, name := range []string{"q", "k", "v", "o"} {
			add(in+"self_attn."+name+"_proj.weight", width, width)
		}
		add(in+"post_attention_layernorm.weight", width)
		add(in+"mlp.gate_proj.weight", hidden, width)
		add(in+"mlp.up_proj.weight", hidden, width)
		add(in+"mlp.down_proj.weight", width, hidden)
	}
	add("model.norm.weight", width)
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"published/config.json": string(config), "published/model.safetensors": b.String(),
		"published/tokenizer.json": tokenizer}
}

// imported are the spec, the tokenizer and the parameters of a package that was made of published, by the names of
// their files.
func imported(t testing.TB) map[string]string {
	t.Helper()
	if importedBefore != nil {
		return importedBefore
	}
	dir := t.TempDir()
	for name, content := range published(t, learntOnce(t)) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "imported")
	var errOut bytes.Buffer
	args := []string{"import", filepath.Join(dir, "published"), "-o", out, "--module", "example.com/imported"}
	if run(args, &bytes.Buffer{}, &errOut) != 0 {
		t.Fatal(errOut.String())
	}
	all := map[string]string{}
	for _, name := range []string{"imported.yaml", "tokenizer.json", weightsFile} {
		data, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		all["imported/"+name] = string(data)
	}
	importedBefore = all
	return all
}

var importedBefore map[string]string

// TestImport imports a checkpoint into an empty module, builds the program and runs it: it writes, and it is trained
// further from there.
func TestImport(t *testing.T) {
	u := newUser(t)
	u.run("go get -tool " + self + "/cmd/gradsmith@latest")
	for name, content := range published(t, learnt(t)) {
		u.file(name, content)
	}
	u.file("published/tokenizer_config.json", `{"chat_template": "{% for m in messages %}{% if loop.first and m.role != `+
		`'system' %}<|im_start|>system\nYou are \"kind\".<|im_end|>\n{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}`+
		`<|im_end|>\n{% endfor %}{{ '<|im_start|>assistant\\n' }}"}`)
	said := u.run("go tool gradsmith import published -o own --steps 32")
	for _, want := range []string{`p.Chat = "chatml"`, `p.System = "You are \"kind\"."`} {
		if main := u.read("own/cmd/own/main.go"); !strings.Contains(main, want) {
			t.Errorf("the program has no %s:\n%s", want, main)
		}
	}
	for _, want := range []string{"20 tensors", "own/own.yaml", "own/own.import.txt", "go run ./own/cmd/own sample"} {
		if !strings.Contains(said, want) {
			t.Errorf("it says nothing of %s:\n%s", want, said)
		}
	}
	if _, errOut, err := u.try("go tool gradsmith import published -o own"); err == nil ||
		!strings.Contains(errOut, "import overwrites nothing") {
		t.Errorf("again: %v, %s", err, errOut)
	}
	u.run("go tool gradsmith verify own && go vet ./own/...")
	u.run("go build -o bin/ ./own/cmd/own")
	first := u.run("bin/own sample --prompt 'the cat' --tokens 10 --seed 1")
	u.run("go tool gradsmith export own --gguf own.gguf && go tool gradsmith import own.gguf -o again --steps 32")
	u.run("go build -o bin/ ./again/cmd/again")
	if again := u.run("bin/again sample --prompt 'the cat' --tokens 10 --seed 1"); again != first {
		t.Errorf("through a GGUF file it writes %q, and else %q", again, first)
	}
	u.file("text", strings.Repeat("the cat and the dog and the end\n", 20))
	u.run("bin/own train --data text --steps 2 --samples 0")
	if again := u.run(
		"bin/own sample --prompt 'the cat' --tokens 10 --seed 1 --model own/pretrained.safetensors"); again != first {
		t.Errorf("the parameters that came with the model write %q, and once %q", again, first)
	}
	// With an adapter: what came with the model stays, and what is merged is one for the package without.
	u.run("go tool gradsmith import published -o light --steps 32 --adapter 2 && go build -o bin/ ./light/cmd/light")
	u.run("bin/light train --data text --steps 30 --rate 0.05 --samples 0 --adapter cats.safetensors")
	u.run("bin/light merge --adapter cats.safetensors -o merged.safetensors")
	beside := u.run("bin/light sample --prompt 'the cat' --tokens 10 --temperature 0 --adapter cats.safetensors")
	if merged := u.run(
		"bin/own sample --prompt 'the cat' --tokens 10 --temperature 0 --model merged.safetensors"); merged != beside {
		t.Errorf("merged it writes %q, and beside its adapter %q", merged, beside)
	}
	if again := u.run("bin/light sample --prompt 'the cat' --tokens 10 --seed 1"); again != first {
		t.Errorf("without its adapter it writes %q, and once %q", again, first)
	}
	u.run("go tool gradsmith export light --gguf light.gguf --model merged.safetensors")
}

var llamacpp = flag.String("llamacpp", "", "`FOLDER` of the package node-llama-cpp for TestStories")

var stories = flag.String("stories", "",
	"`FOLDER` of a checkpoint of Llama's shape with reference.json for TestStories")

// TestStories imports a real model: it writes the text that was published with it, to the byte, and has its logits.
func TestStories(t *testing.T) {
	if *stories == "" {
		t.Skip("make imports takes it: it needs the folder of a published checkpoint")
	}
	dir, err := filepath.Abs(*stories)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "reference.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		IDs    []int32   `json:"greedy_ids"`
		Text   string    `json:"greedy_text"`
		Logits []float64 `json:"logits_after_bos"`
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	u := newUser(t)
	u.run("go get -tool " + self + "/cmd/gradsmith@latest")
	u.run("go tool gradsmith import " + dir + " -o stories")
	u.run("go build -o bin/ ./stories/cmd/stories")
	got := u.run(fmt.Sprintf("bin/stories sample --temperature 0 --tokens %d", len(want.IDs)-1))
	if got != want.Text+"\n" {
		t.Errorf("it writes %q, published is %q", got, want.Text)
	}
	u.run("go test ./stories/...")
	u.run("go tool gradsmith export stories --gguf stories.gguf && go tool gradsmith import stories.gguf -o again")
	u.run("go build -o bin/ ./again/cmd/again")
	if again := u.run(fmt.Sprintf("bin/again sample --temperature 0 --tokens %d", len(want.IDs)-1)); again != got {
		t.Errorf("through a GGUF file it writes %q", again)
	}
	same := func(trained, again string) {
		t.Helper()
		said := u.run("go tool gradsmith compare " + trained + " " + again) // which fails where anything differs
		if !strings.Contains(said, " have the same numbers, 0 differ") {
			t.Errorf("through a GGUF file: %s", said)
		}
	}
	same("stories/pretrained.safetensors", "again/pretrained.safetensors")
	llama := func(file string, most int) []int32 {
		t.Helper()
		script, err := filepath.Abs("../../bench/llamacpp/greedy.mjs")
		if err != nil {
			t.Fatal(err)
		}
		var said struct{ Tokens []int32 }
		out := u.run(fmt.Sprintf("NODE_LLAMA_CPP=%s node %s %d 1 %s", *llamacpp, script, most, file))
		if err := json.Unmarshal([]byte(out), &said); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return said.Tokens
	}
	if *llamacpp != "" {
		if got := llama("stories.gguf", len(want.IDs)-1); !slices.Equal(got, want.IDs[1:]) {
			t.Errorf("llama.cpp goes on with %v", got)
		}
	}
	// Trained further, on stories of other people.
	const most = 255
	var more strings.Builder
	for i := range 600 {
		word := func(k int, all ...string) string { return all[model.Key(uint64(i), uint64(k))%uint64(len(all))] }
		fmt.Fprintf(&more, "%s had a %s %s. It was %s, and %s wanted to %s it. \"Look!\" said the %s. ",
			word(0, "Ada", "Grace", "Ken", "Rob"), word(1, "red", "new", "small", "very old"), word(2, "compiler",
				"computer", "gopher", "book"), word(3, "broken", "slow", "happy", "lost"), word(4, "she", "he", "they"),
			word(5, "mend", "read", "find", "test"), word(6, "robot", "teacher", "bird", "man"))
		if i%5 == 4 {
			more.WriteString("\n")
		}
	}
	u.file("more", more.String())
	u.run("bin/stories train --data more --steps 60 --rate 1e-3 --samples 0")
	u.run("go tool gradsmith export stories --gguf further.gguf && go tool gradsmith import further.gguf -o further")
	u.run("bin/stories export -o own.safetensors")
	same("own.safetensors", "further/pretrained.safetensors")
	own := u.run(fmt.Sprintf("bin/stories sample --temperature 0 --tokens %d", most))
	if own == got {
		t.Error("the training has changed nothing of the text")
	}
	u.run("go build -o bin/ ./further/cmd/further")
	if again := u.run(fmt.Sprintf("bin/further sample --temperature 0 --tokens %d", most)); again != own {
		t.Errorf("trained further and through a GGUF file it writes %q, and was %q", again, own)
	}
	if *llamacpp != "" {
		u.file("text/main.go", `package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"

	"example.com/mine/stories"
)

func main() {
	var tokens []int32
	if err := json.NewDecoder(os.Stdin).Decode(&tokens); err != nil {
		log.Fatal(err)
	}
	fmt.Println(stories.Tokenizer.Decode(tokens))
}
`)
		ids := llama("further.gguf", most)
		if text := u.run(fmt.Sprintf("echo '%s' | go run ./text", strings.ReplaceAll(fmt.Sprint(ids), " ",
			","))); text != own {
			t.Errorf("trained further llama.cpp writes %q, and we %q", text, own)
		}
		t.Logf("trained further, ours and llama.cpp's: %.200q", own)
	}
	u.file("logits/main.go", `package main

import (
	"encoding/json"
	"log"
	"os"

	"example.com/mine/stories"
)

func main() {
	m, err := stories.Load("stories/pretrained.safetensors")
	if err != nil {
		log.Fatal(err)
	}
	logits, err := m.NewDecoder(1).Step([]int32{1})
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(logits); err != nil {
		log.Fatal(err)
	}
}
`)
	var logits []float64
	if err := json.Unmarshal([]byte(u.run("go run ./logits")), &logits); err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for i, x := range want.Logits {
		worst = max(worst, math.Abs(logits[i]-x))
	}
	t.Logf("the text is the same; logits differ by %.2g at the most", worst)
	if !(worst <= 1e-4) || len(logits) != len(want.Logits) {
		t.Errorf("%d logits differ by %.2g, of %d", len(logits), worst, len(want.Logits))
	}
}

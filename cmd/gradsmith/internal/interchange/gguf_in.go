package interchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gradsmith/gradsmith/cmd/gradsmith/internal/gguf"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/tokenizer"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/formats"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/sentencepiece"
	"github.com/gradsmith/gradsmith/spec"
)

// A GGUF file becomes a folder: its keys those of a config.json, its tensors under the names that the architecture
// has in checkpoints. What lies otherwise in such a file the architectures ask the folder for.

// ggufFile is an open GGUF file.
type ggufFile struct {
	*gguf.Reader
	file    files.File
	tensors map[string]*gguf.Tensor
}

// Read implements reader.
func (g *ggufFile) Read(name string, from int, dst []float32) error {
	return g.Reader.Read(g.tensors[name], from, dst)
}

// Close implements reader.
func (g *ggufFile) Close() error { return g.file.Close() }

// ggufNames are the published names of a block's tensors, by those in GGUF files, and of the others.
var (
	ggufLlama = map[string]string{
		"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
		"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
		"attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
		"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm", "ffn_gate": "mlp.gate_proj",
		"ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
	}
	ggufGPT2 = map[string]string{
		"token_embd": "transformer.wte", "position_embd": "transformer.wpe", "output_norm": "transformer.ln_f",
		"output": "lm_head", "attn_norm": "ln_1", "ffn_norm": "ln_2", "attn_qkv": "attn.c_attn",
		"attn_output": "attn.c_proj", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj",
	}
	ggufGemma = map[string]string{
		"post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
		"post_ffw_norm": "post_feedforward_layernorm",
	}
	ggufNeox = map[string]string{
		"token_embd": "gpt_neox.embed_in", "output_norm": "gpt_neox.final_layer_norm", "output": "embed_out",
		"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
		"attn_qkv": "attention.query_key_value", "attn_output": "attention.dense", "ffn_up": "mlp.dense_h_to_4h",
		"ffn_down": "mlp.dense_4h_to_h",
	}
	ggufT5 = map[string]string{"token_embd": "shared", "output": "lm_head",
		"enc.output_norm": "encoder.final_layer_norm", "dec.output_norm": "decoder.final_layer_norm"}
	ggufT5Parts = map[string]string{
		"attn_norm": "0.layer_norm", "attn_q": "0.SelfAttention.q", "attn_k": "0.SelfAttention.k",
		"attn_v": "0.SelfAttention.v", "attn_o": "0.SelfAttention.o",
		"attn_rel_b":      "0.SelfAttention.relative_attention_bias",
		"cross_attn_norm": "1.layer_norm", "cross_attn_q": "1.EncDecAttention.q", "cross_attn_k": "1.EncDecAttention.k",
		"cross_attn_v": "1.EncDecAttention.v", "cross_attn_o": "1.EncDecAttention.o",
		"ffn_norm": "#.layer_norm", "ffn_gate": "#.DenseReluDense.wi_0", "ffn_down": "#.DenseReluDense.wo",
	}
	ggufT5Block = regexp.MustCompile(`^(enc|dec)\.blk\.([0-9]+)\.(.+)$`)
	ggufBlock   = regexp.MustCompile(`^blk\.([0-9]+)\.(.+)$`)
)

// t5Name is the published name of a tensor of T5, without the end.
func t5Name(stem string, gated bool) (string, bool) {
	m := ggufT5Block.FindStringSubmatch(stem)
	if m == nil {
		name, ok := ggufT5[stem]
		return name, ok
	}
	part, ok := ggufT5Parts[m[3]]
	if m[3] == "ffn_up" {
		part, ok = "#.DenseReluDense.wi", true
		if gated {
			part = "#.DenseReluDense.wi_1"
		}
	}
	side, number := "encoder", "1" // of the feed-forward part, behind those of attention
	if m[1] == "dec" {
		side, number = "decoder", "2"
	}
	return side + ".block." + m[2] + ".layer." + strings.Replace(part, "#", number, 1), ok
}

// isGGUF tells whether a path is that of a GGUF file.
func isGGUF(path string) bool {
	f, err := files.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4)
	n, _ := f.ReadAt(head, 0)
	return string(head[:n]) == "GGUF"
}

// openGGUF reads what a file says of its model.
func openGGUF(path string) (_ *folder, err error) {
	file, err := files.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", path, files.Cause(err))
	}
	defer func() {
		if err != nil {
			file.Close()
			err = fmt.Errorf("%s: %w", path, err)
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, files.Cause(err)
	}
	r, err := gguf.New(file, info.Size())
	if err != nil {
		return nil, err
	}
	g := &ggufFile{r, file, map[string]*gguf.Tensor{}}
	f := &folder{dir: path, tensors: map[string]*tensor{}, readers: []reader{g}, gguf: true, begin: -1, end: -1}
	arch, _ := r.Keys["general.architecture"].(string)
	names, prefix := ggufLlama, "model.layers."
	switch arch {
	case "gpt2":
		names, prefix = ggufGPT2, "transformer.h."
	case "gptneox":
		names, prefix = ggufNeox, "gpt_neox.layers."
	case "llama", "qwen2", "qwen3", "gemma", "t5":
	case "gemma2", "gemma3":
		names = maps.Clone(names)
		maps.Copy(names, ggufGemma)
	default:
		return nil, fmt.Errorf("the architecture %q (general.architecture) is not read from such files; those are %s",
			arch, strings.Join(ggufRead, ", "))
	}
	gated := slices.ContainsFunc(r.Tensors, func(t gguf.Tensor) bool { return t.Name == "enc.blk.0.ffn_gate.weight" })
	for i := range r.Tensors {
		t := &r.Tensors[i]
		g.tensors[t.Name] = t
		name := t.Name
		stem, kind := name, ""
		if at := strings.LastIndexByte(name, '.'); at >= 0 {
			stem, kind = name[:at], name[at:]
		}
		if arch == "t5" {
			if other, ok := t5Name(stem, gated); ok {
				name = other + kind
			}
		} else if m := ggufBlock.FindStringSubmatch(stem); m != nil {
			if other, ok := names[m[2]]; ok {
				name = prefix + m[1] + "." + other + kind
			}
		} else if other, ok := names[stem]; ok {
			name = other + kind
		}
		if f.tensors[name] != nil {
			return nil, fmt.Errorf("the tensors %s and %s are the same", t.Name, f.tensors[name].Name)
		}
		f.tensors[name] = &tensor{Entry: checkpoint.Entry{Name: t.Name, Type: t.Type.String(), Shape: t.Shape},
			file: filepath.Base(path), from: g, float: t.Type.Known()}
	}
	if err := f.ggufConfig(arch, r.Keys); err != nil {
		return nil, err
	}
	return f, f.ggufTokenizer(r.Keys)
}

// ggufConfig makes the config of the keys.
func (f *folder) ggufConfig(arch string, keys map[string]any) error {
	values := map[string]any{"model_type": arch}
	c := &config{path: f.dir, values: values, asked: map[string]bool{}, fault: new([]error)}
	names := map[string]string{
		"context_length": "max_position_embeddings", "embedding_length": "hidden_size",
		"block_count":         "num_hidden_layers",
		"feed_forward_length": "intermediate_size", "attention.head_count": "num_attention_heads",
		"attention.head_count_kv": "num_key_value_heads", "attention.key_length": "head_dim",
		"attention.layer_norm_rms_epsilon": "rms_norm_eps", "rope.freq_base": "rope_theta",
	}
	switch arch {
	case "gptneox":
		values["model_type"] = "gpt_neox"
		names = maps.Clone(names)
		maps.Copy(names, map[string]string{"attention.layer_norm_epsilon": "layer_norm_eps",
			"rope.freq_base": "rotary_emb_base", "use_parallel_residual": "use_parallel_residual"})
		delete(names, "attention.head_count_kv") // which is that of the heads
	case "gemma2", "gemma3":
		names = maps.Clone(names)
		maps.Copy(names, map[string]string{"attention.sliding_window": "sliding_window",
			"attn_logit_softcapping": "attn_logit_softcapping", "final_logit_softcapping": "final_logit_softcapping"})
		if arch == "gemma2" { // what llama.cpp takes where nothing is said
			values["attn_logit_softcapping"], values["final_logit_softcapping"] = json.Number("50"), json.Number("30")
		} else {
			values["model_type"] = "gemma3_text"
		}
	case "t5":
		names = map[string]string{"embedding_length": "d_model", "block_count": "num_layers",
			"decoder_block_count": "num_decoder_layers", "feed_forward_length": "d_ff",
			"attention.head_count": "num_heads", "attention.key_length": "d_kv",
			"attention.layer_norm_rms_epsilon": "layer_norm_epsilon", "context_length": "n_positions",
			"attention.relative_buckets_count": "relative_attention_num_buckets",
			"decoder_start_token_id":           "decoder_start_token_id"}
		values["relative_attention_max_distance"] = json.Number(strconv.Itoa(reach))
		values["feed_forward_proj"] = "relu"
		if f.tensors["encoder.block.0.layer.1.DenseReluDense.wi_0.weight"] != nil {
			values["feed_forward_proj"] = "gated-gelu"
		}
		values["tie_word_embeddings"] = f.tensors["lm_head.weight"] == nil
	case "gpt2":
		names = map[string]string{"context_length": "n_positions", "embedding_length": "n_embd",
			"block_count":         "n_layer",
			"feed_forward_length": "n_inner", "attention.head_count": "n_head",
			"attention.layer_norm_epsilon": "layer_norm_epsilon"}
	}
	scaling := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		name, ok := strings.CutPrefix(key, arch+".")
		if !ok {
			continue
		}
		v := ggufNumber(keys[key])
		switch known := names[name]; {
		case known != "":
			values[known] = v
		case name == "rope.dimension_count" || name == "attention.value_length":
			c.values[key] = v // that of a head, which is looked at below
		case arch == "t5" && name == "attention.layer_norm_epsilon": // which its norms have under another name
		case name == "vocab_size" || name == "attention.head_count_kv", v == json.Number("0"):
		case strings.HasPrefix(name, "rope.scaling."):
			switch name {
			case "rope.scaling.type":
				scaling["type"] = v
			case "rope.scaling.factor":
				scaling["factor"] = v
			case "rope.scaling.original_context_length":
				scaling["original_max_position_embeddings"] = v
			default:
				values[key] = v
			}
		default:
			values[key] = v
		}
	}
	tokens, _ := keys["tokenizer.ggml.tokens"].([]any)
	values["vocab_size"] = json.Number(strconv.Itoa(max(1, len(tokens))))
	f.config = c
	switch {
	case arch == "t5":
		if v := c.value("t5.attention.value_length"); v != nil && v != values["d_kv"] {
			c.errorf("t5.attention.value_length is %s, and a key has %s features: other sizes are not read", shown(v),
				shown(values["d_kv"]))
		}
		return nil
	case arch == "gpt2":
		return nil
	}
	if kind := scaling["type"]; kind != nil && kind != "none" {
		values["rope_scaling"] = scaling
	}
	heads, width := c.size("num_attention_heads"), c.size("hidden_size")
	features := c.size("head_dim", max(1, width/heads))
	switch arch {
	case "gptneox":
		if turned := c.size(arch+".rope.dimension_count", features); turned < features {
			// A share that gives this number again, however it is rounded.
			values["rotary_pct"] = json.Number(decimal((float64(turned) + 0.25) / float64(features)))
		} else {
			values["rotary_pct"] = json.Number("1")
		}
		values["tie_word_embeddings"] = false
		return nil
	case "gemma2", "gemma3": // scores are divided by the root of this, which depends on how many blocks there are
		divisor := features
		if c.size("num_hidden_layers") == map[string]int{"gemma2": 46, "gemma3": 62}[arch] {
			divisor = max(1, width/heads)
		}
		values["query_pre_attn_scalar"] = json.Number(strconv.Itoa(divisor))
	}
	size := json.Number(strconv.Itoa(features))
	for _, key := range []string{arch + ".rope.dimension_count", arch + ".attention.value_length"} {
		if v := c.value(key); v != nil && v != any(size) {
			c.errorf("%s is %s, but a head has %s features: other sizes are not read", key, shown(v), size)
		}
	}
	values["tie_word_embeddings"] = f.tensors["lm_head.weight"] == nil
	if arch == "llama" {
		values["attention_bias"] = f.tensors["model.layers.0.self_attn.o_proj.bias"] != nil
		f.beside = true
	}
	return f.ggufFrequencies(c)
}

// ggufFrequencies finds what a tensor of divisors of frequencies stands for, which says no more of how it was made.
func (f *folder) ggufFrequencies(c *config) error {
	t := f.tensors["rope_freqs.weight"]
	if t == nil {
		return nil
	}
	x := make([]float32, t.Numbers())
	if !t.float || len(x) > 1<<16 {
		return fmt.Errorf("the tensor %s is not one of numbers for the pairs of a head", t.Name)
	}
	if err := t.read(0, x); err != nil {
		return err
	}
	base := c.number("rope_theta", 10000)
	for _, factor := range []float64{8, 32, 2, 4, 16, 64} {
		for original := 16; original <= 1<<17; original *= 2 {
			r := spec.Rotation{Base: base, Scaling: "llama3", Factor: factor, Original: original, Low: 1, High: 4}
			if near(slowed(r, 2*len(x)), x) {
				number := func(x float64) json.Number { return json.Number(decimal(x)) }
				c.values["rope_scaling"] = map[string]any{"rope_type": "llama3", "factor": number(factor),
					"low_freq_factor":  number(1),
					"high_freq_factor": number(4), "original_max_position_embeddings": number(float64(original))}
				t.used = true
				return nil
			}
		}
	}
	return fmt.Errorf("the tensor %s divides frequencies in a way that is not that of Llama 3.1 or 3.2", t.Name)
}

func near(a, b []float32) bool {
	for i, x := range a {
		if math.Abs(float64(x-b[i])) > 1e-4*math.Abs(float64(b[i])) {
			return false
		}
	}
	return len(a) == len(b)
}

// ggufNumber is a value as a config has it. Numbers of 32 bits are the decimal numbers that they were made of.
func ggufNumber(v any) any {
	switch v := v.(type) {
	case uint64:
		return json.Number(strconv.FormatUint(v, 10))
	case int64:
		return json.Number(strconv.FormatInt(v, 10))
	case float64:
		if float64(float32(v)) == v {
			return json.Number(strconv.FormatFloat(v, 'g', -1, 32))
		}
		return json.Number(strconv.FormatFloat(v, 'g', -1, 64))
	}
	return v
}

// ggufTokenizer makes the tokenizer of the keys.
func (f *folder) ggufTokenizer(keys map[string]any) (err error) {
	texts, err := ggufList[string](keys, "tokenizer.ggml.tokens")
	if err != nil {
		return err
	}
	if len(texts) == 0 {
		return errors.New("it has no tokenizer (tokenizer.ggml.tokens)")
	}
	types, err := ggufList[int64](keys, "tokenizer.ggml.token_type")
	if err != nil {
		return err
	}
	for len(types) < len(texts) {
		types = append(types, int64(tokenNormal))
	}
	kind, _ := keys["tokenizer.ggml.model"].(string)
	var t *tokenizer.Tokenizer
	begins := false
	switch kind {
	case "llama":
		t, err = ggufPieces(keys, texts, types)
		begins = true
	case "gpt2":
		t, err = ggufByteLevel(keys, texts, types)
	case "t5":
		if f.tokenizerData, err = ggufUnigram(keys, texts, types); err != nil {
			return err
		}
		t, err = sentencepiece.Parse(f.tokenizerData)
		f.tokenizerFile = sentencePieces
	default:
		err = fmt.Errorf("the tokenizer is of kind %q (tokenizer.ggml.model); read are llama, gpt2 and t5", kind)
	}
	if err != nil {
		return err
	}
	if f.tokenizerFile == "" {
		f.tokenizerFile = tokenizers[0]
		if f.tokenizerData, err = t.JSON(); err != nil {
			return err
		}
	}
	if keys["tokenizer.ggml.pre"] == "llama-bpe" { // Llama 3 leaves a piece whole that is a token
		f.tokenizerData = bytes.Replace(f.tokenizerData, []byte(`"ignore_merges":false`),
			[]byte(`"ignore_merges":true`), 1)
	}
	if f.tokenizer, _, err = formats.Parse(f.tokenizerData, ""); err != nil {
		return err
	}
	if add, ok := keys["tokenizer.ggml.add_bos_token"].(bool); ok {
		begins = add
	}
	token := func(key string) int {
		if x, ok := keys[key].(uint64); ok && x < uint64(len(texts)) {
			return int(x)
		}
		return -1
	}
	if f.end = token("tokenizer.ggml.eos_token_id"); begins {
		f.begin = token("tokenizer.ggml.bos_token_id")
	}
	const key = "tokenizer.chat_template"
	name := func(key string) string {
		if i := token(key); i >= 0 {
			return texts[i]
		}
		return ""
	}
	f.chat = chat{file: key, begin: name("tokenizer.ggml.bos_token_id"), end: name("tokenizer.ggml.eos_token_id")}
	f.chat.template, _ = keys[key].(string)
	return nil
}

// ggufList is an array of values of one type.
func ggufList[T any](keys map[string]any, key string) ([]T, error) {
	list, _ := keys[key].([]any)
	out := make([]T, len(list))
	for i, v := range list {
		x, ok := v.(T)
		if !ok {
			return nil, fmt.Errorf("%s: value %d is of another type than expected", key, i)
		}
		out[i] = x
	}
	return out, nil
}

func ggufPieces(keys map[string]any, texts []string, types []int64) (*tokenizer.Tokenizer, error) {
	sp, err := ggufScored(keys, texts, types)
	if err != nil {
		return nil, err
	}
	return sp.New()
}

// ggufScored is a SentencePiece model of the keys, of byte-pair encoding.
func ggufScored(keys map[string]any, texts []string, types []int64) (*tokenizer.SentencePiece, error) {
	scores, err := ggufList[float64](keys, "tokenizer.ggml.scores")
	if err != nil {
		return nil, err
	}
	if len(scores) != len(texts) {
		return nil, fmt.Errorf("tokenizer.ggml.scores has %d values for %d tokens", len(scores), len(texts))
	}
	sp := &tokenizer.SentencePiece{BPE: true, Prefix: true}
	if prefix, ok := keys["tokenizer.ggml.add_space_prefix"].(bool); ok {
		sp.Prefix = prefix
	}
	for i, s := range texts {
		if types[i] < 1 || types[i] > 6 {
			return nil, fmt.Errorf("tokenizer.ggml.token_type: token %d has the type %d", i, types[i])
		}
		p := tokenizer.ScoredPiece{Text: s, Score: float32(scores[i]), Type: tokenizer.PieceType(types[i])}
		sp.Fallback = sp.Fallback || p.Type == tokenizer.Byte
		sp.Pieces = append(sp.Pieces, p)
	}
	return sp, nil
}

func ggufByteLevel(keys map[string]any, texts []string, types []int64) (*tokenizer.Tokenizer, error) {
	pre, _ := keys["tokenizer.ggml.pre"].(string)
	split := ""
	for pattern, name := range splits {
		if name == pre && len(pattern) > len(split) {
			split = pattern
		}
	}
	if split == "" {
		return nil,
			fmt.Errorf(
				"tokenizer.ggml.pre is %q: how that takes a text apart is not known; known are gpt-2, llama-bpe "+
					"and qwen2", pre)
	}
	of := map[rune]byte{}
	for i, b := range tokenizer.ByteOrder() { // those that print stand for themselves, the others from U+0100 on
		if i < 188 {
			of[rune(b)] = b
		} else {
			of[rune(256+i-188)] = b
		}
	}
	plain := func(s string) (string, bool) {
		var b []byte
		for _, c := range s {
			x, ok := of[c]
			if !ok {
				return "", false
			}
			b = append(b, x)
		}
		return string(b), true
	}
	tokens, special := map[string]int32{}, map[string]int32{}
	for i, s := range texts {
		if types[i] != int64(tokenNormal) {
			if types[i] != int64(tokenUnused) {
				special[s] = int32(i)
			}
			continue
		}
		text, ok := plain(s)
		if !ok {
			return nil, fmt.Errorf("tokenizer.ggml.tokens: token %d, %q, is not one of bytes", i, s)
		}
		tokens[text] = int32(i)
	}
	lines, err := ggufList[string](keys, "tokenizer.ggml.merges")
	if err != nil {
		return nil, err
	}
	var merges [][2]string
	for i, line := range lines {
		left, right, _ := strings.Cut(line, " ")
		a, ok := plain(left)
		b, also := plain(right)
		if !ok || !also || a == "" || b == "" {
			return nil, fmt.Errorf("tokenizer.ggml.merges: line %d, %q, is not one of two tokens", i, line)
		}
		merges = append(merges, [2]string{a, b})
	}
	form := ""
	if pre == "qwen2" {
		form = "NFC"
	}
	return tokenizer.NewByteLevelIn(form, split, tokens, merges, special)
}

package interchange

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/cmd/gradsmith/internal/gguf"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/runtime/tokenizer"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/formats"
	"github.com/gradsmith/gradsmith/spec"
)

// GGUF is a model that is written as a file of llama.cpp.
type GGUF struct {
	Architecture string
	Tensors      int

	keys    []gguf.KV
	tensors []gguf.Tensor
	source  *source
}

// Close closes the checkpoint.
func (g *GGUF) Close() { g.source.r.Close() }

// Write writes the file, a tensor at a time.
func (g *GGUF) Write(w io.Writer) error { return gguf.Write(w, g.keys, g.tensors) }

// NewGGUF finds the architecture of llama.cpp that a model fits, and opens its checkpoint. Matrices are written in a
// type; vectors are always F32. What does not fit is an error that names it.
func NewGGUF(m *spec.Model, checkpoint string, as gguf.Type) (_ *GGUF, err error) {
	g := &GGUF{}
	var targets []target
	if m.EncoderOnly() {
		o, err := encoderOf(m)
		if err == nil {
			err = o.check("llama.cpp")
		}
		if err != nil {
			return nil, err
		}
		words, tok, err := encoderTokens(m)
		if err != nil {
			return nil, err
		}
		g.Architecture, g.keys, targets = "bert", append(o.keys(as), words...), o.targets(tok)
	} else if m.EncoderDecoder() && m.Kind == "attention" {
		o, err := t5Of(m)
		if err != nil {
			return nil, err
		}
		words, err := t5Tokens(m)
		if err != nil {
			return nil, err
		}
		g.Architecture, g.keys, targets = "t5", append(o.keys(as), words...), o.targets()
	} else {
		o, err := outlineOf(m)
		if err != nil {
			return nil, err
		}
		if g.Architecture, err = o.architecture("llama.cpp"); err != nil {
			return nil, err
		}
		if g.keys, err = o.ggufKeys(g.Architecture, as); err != nil {
			return nil, err
		}
		words, err := ggufTokens(m)
		if err != nil {
			return nil, err
		}
		g.keys, targets = append(g.keys, words...), o.ggufTargets(g.Architecture)
	}
	if g.source, err = openSource(checkpoint, m); err != nil {
		return nil, err
	}
	for _, t := range targets {
		shape, err := g.source.shape(&t)
		if err != nil {
			g.Close()
			return nil, err
		}
		x := gguf.Tensor{Name: t.name, Shape: shape, Make: func() ([]float32, error) { return g.source.numbers(&t) }}
		// Positions are added to rows of numbers, as llama.cpp does it in F32 alone.
		if len(shape) > 1 && t.name != "position_embd.weight" {
			x.Type = as
		}
		g.tensors = append(g.tensors, x)
	}
	g.Tensors = len(g.tensors)
	return g, nil
}

// ggufKeys are the sizes of the model.
func (o *outline) ggufKeys(arch string, as gguf.Type) ([]gguf.KV, error) {
	a, f, err := o.alike()
	if err != nil {
		return nil, err
	}
	epsilon := "attention.layer_norm_rms_epsilon"
	if o.last.kind == "layernorm" {
		epsilon = "attention.layer_norm_epsilon"
	}
	in := func(key string, v any) gguf.KV { return gguf.KV{Key: arch + "." + key, Value: v} }
	keys := []gguf.KV{
		{Key: "general.architecture", Value: arch},
		{Key: "general.name", Value: o.spec.Name},
		{Key: "general.file_type", Value: map[gguf.Type]uint32{gguf.F32: 0, gguf.F16: 1, gguf.BF16: 32}[as]},
		in("context_length", uint32(o.spec.Shape.Steps)),
		in("embedding_length", uint32(o.width)),
		in("block_count", uint32(len(o.blocks))),
		in("feed_forward_length", uint32(f.Hidden)),
		in("attention.head_count", uint32(a.Heads)),
		in("attention.head_count_kv", uint32(a.KVHeads)),
		in(epsilon, float32(o.last.epsilon)),
		in("vocab_size", uint32(o.spec.Vocab())),
	}
	if !a.Rotary.On() {
		return keys, nil
	}
	turns, turned := a.Rotary, a.HeadSize
	switch arch {
	case "gptneox":
		if turns.Features > 0 {
			turned = turns.Features
		}
		keys = append(keys, in("use_parallel_residual", o.blocks[0].parallel))
	case "gemma2":
		keys = append(keys, in("attn_logit_softcapping", float32(a.SoftCap)), in("final_logit_softcapping",
			float32(o.cap)), in("attention.sliding_window", uint32(a.Window)))
	case "gemma3":
		keys = append(keys, in("attention.sliding_window", uint32(a.Window)))
		for i := range o.blocks { // those with a window turn in a way of their own
			if x := &o.blocks[i].attention; x.Window == 0 {
				turns = x.Rotary
			}
		}
	}
	if arch != "gptneox" {
		keys = append(keys, in("attention.key_length", uint32(a.HeadSize)), in("attention.value_length",
			uint32(a.HeadSize)))
	}
	keys = append(keys, in("rope.dimension_count", uint32(turned)), in("rope.freq_base", float32(turns.Base)))
	if turns.Scaling == "linear" {
		keys = append(keys, in("rope.scaling.type", "linear"), in("rope.scaling.factor", float32(turns.Factor)))
	}
	return keys, nil
}

// ggufTargets are the tensors.
func (o *outline) ggufTargets(arch string) []target {
	a, f := &o.blocks[0].attention, &o.blocks[0].feedforward
	var all []target
	norm := func(name string, n outNorm) {
		all = append(all, target{name: name + ".weight", from: n.owner, field: "gain"})
		if n.kind == "layernorm" {
			all = append(all, target{name: name + ".bias", from: n.owner, field: "bias"})
		}
	}
	product := func(name string, from owner, field string, at, width int, bias bool, order func(int) int) {
		all = append(all, target{name: name + ".weight", from: from, field: "w" + field, at: at, width: width,
			order: order})
		if bias {
			all = append(all, target{name: name + ".bias", from: from, field: "b" + field, at: at, width: width,
				order: order})
		}
	}
	all = append(all, target{name: "token_embd.weight", from: o.tokens, field: "table"})
	if o.places.name != "" {
		all = append(all, target{name: "position_embd.weight", from: o.places, field: "table"})
	}
	q, kv := a.Heads*a.HeadSize, a.KVHeads*a.HeadSize
	var turned func(int) int
	if arch == "llama" { // whose pairs of features that are turned stand side by side
		turned = func(r int) int { return beside(r, a.HeadSize) }
	}
	for i := range o.blocks {
		b, in := &o.blocks[i], fmt.Sprintf("blk.%d.", i)
		norm(in+"attn_norm", b.before)
		switch arch {
		case "gpt2":
			product(in+"attn_qkv", b.attends, "qkv", 0, 3*q, true, nil)
		case "gptneox":
			features := a.Rotary.Features
			if features == 0 {
				features = a.HeadSize
			}
			product(in+"attn_qkv", b.attends, "qkv", 0, 3*q, true, func(r int) int {
				return apart(r, a.Heads, a.HeadSize, features)
			})
		default:
			product(in+"attn_q", b.attends, "qkv", 0, q, a.Bias, turned)
			product(in+"attn_k", b.attends, "qkv", q, kv, a.Bias, turned)
			product(in+"attn_v", b.attends, "qkv", q+kv, kv, a.Bias, nil)
		}
		product(in+"attn_output", b.attends, "o", 0, o.width, a.BiasOut, nil)
		if a.QueryNorm > 0 {
			all = append(all, target{name: in + "attn_q_norm.weight", from: b.attends, field: "queries_gain"},
				target{name: in + "attn_k_norm.weight", from: b.attends, field: "keys_gain"})
		}
		if b.sandwich() {
			norm(in+"post_attention_norm", b.after)
			norm(in+"post_ffw_norm", b.behind)
		}
		norm(in+"ffn_norm", b.between)
		if f.Gated() {
			product(in+"ffn_gate", b.feeds, "up", 0, f.Hidden, f.Bias, nil)
			product(in+"ffn_up", b.feeds, "up", f.Hidden, f.Hidden, f.Bias, nil)
		} else {
			product(in+"ffn_up", b.feeds, "up", 0, f.Hidden, f.Bias, nil)
		}
		product(in+"ffn_down", b.feeds, "down", 0, o.width, f.Bias, nil)
	}
	norm("output_norm", o.last)
	if !o.tied {
		product("output", o.head, "", 0, o.spec.Vocab(), false, nil)
	}
	if r := a.Rotary; r.Scaling == "llama3" {
		all = append(all, target{name: "rope_freqs.weight", constant: slowed(r, a.HeadSize)})
	}
	return all
}

// beside is the feature of a head, of those of all heads, that stands at place r where the two features of a pair
// that is turned stand side by side; here they stand half of a head apart.
func beside(r, size int) int {
	head, feature := r/size, r%size
	return head*size + feature%2*size/2 + feature/2
}

// slowed is what the frequency of each pair of a head is divided by.
func slowed(r spec.Rotation, size int) []float32 {
	plain := op.RopeAngles(2, size, op.Rotation{Base: r.Base})
	scaled := op.RopeAngles(2, size, op.Rotation{Base: r.Base, Scaling: r.Scaling, Factor: r.Factor,
		Original: r.Original,
		Low:      r.Low, High: r.High})
	x := make([]float32, size/2)
	for i := range x { // from the angles of place 1
		angle := func(t []float64) float64 { return math.Atan2(t[size+size/2+i], t[size+i]) }
		x[i] = float32(angle(plain) / angle(scaled))
	}
	return x
}

// The kinds of tokens of a GGUF file, which are those of SentencePiece.
const (
	tokenNormal  int32 = 1
	tokenUnknown int32 = 2
	tokenControl int32 = 3
	tokenOwn     int32 = 4 // always one token where it stands in a text
	tokenUnused  int32 = 5
)

// splits are the names that llama.cpp has for the expressions by which published tokenizers take a text apart.
var splits = map[string]string{
	"": "gpt-2", // of GPT-2, which the file does not spell
	"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+":                                                   "gpt-2",
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+": "llama-bpe",
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+":      "qwen2",
}

// ggufTokens are the keys of the tokenizer.
func ggufTokens(m *spec.Model) ([]gguf.KV, error) {
	t := &m.Tokenizer
	own := func(special, key string) []gguf.KV {
		if x, ok := t.Own[special]; ok {
			return []gguf.KV{{Key: "tokenizer.ggml." + key, Value: uint32(x.Number)}}
		}
		return nil
	}
	ends := append(own(spec.BeginToken, "bos_token_id"), own(spec.EndToken, "eos_token_id")...)
	_, begins := t.Own[spec.BeginToken]
	ends = append(ends, gguf.KV{Key: "tokenizer.ggml.add_bos_token", Value: begins})
	if t.Kind != "file" {
		return nil,
			fmt.Errorf(
				"%s: the tokenizer is of kind %s, which GGUF has no form for; it has one for those of published "+
					"models (kind file), which `gradsmith tokenizer train` makes too", m.File, t.Kind)
	}
	tok, _, err := formats.Parse(t.Data, t.Split)
	if err != nil {
		return nil, err
	}
	if sp, err := tok.SentencePiece(); err == nil && sp.BPE && len(sp.Charsmap) == 0 && !sp.Collapse && sp.Form == "" {
		bytes := 0
		for _, p := range sp.Pieces {
			if p.Type == tokenizer.Byte {
				bytes++
			}
		}
		if bytes != 256 {
			return nil, fmt.Errorf("%s: the tokenizer has tokens for %d of 256 bytes, and llama.cpp needs all", m.File,
				bytes)
		}
		return append(pieces(sp), ends...), nil
	}
	keys, err := byteLevelKeys(tok)
	if err != nil {
		return nil, fmt.Errorf("%s: GGUF has no form for its tokenizer: %w", m.File, err)
	}
	return append(keys, ends...), nil
}

// pieces are the keys of byte-pair encoding as SentencePiece has it.
func pieces(sp *tokenizer.SentencePiece) []gguf.KV {
	var tokens []string
	var scores []float32
	var types []int32
	unknown := uint32(0)
	for i, p := range sp.Pieces {
		tokens, scores, types = append(tokens, p.Text), append(scores, p.Score), append(types, int32(p.Type))
		if p.Type == tokenizer.Unknown {
			unknown = uint32(i)
		}
	}
	return []gguf.KV{{Key: "tokenizer.ggml.model", Value: "llama"}, {Key: "tokenizer.ggml.tokens", Value: tokens},
		{Key: "tokenizer.ggml.scores", Value: scores}, {Key: "tokenizer.ggml.token_type", Value: types},
		{Key: "tokenizer.ggml.unknown_token_id", Value: unknown},
		{Key: "tokenizer.ggml.add_space_prefix", Value: sp.Prefix}}
}

// byteLevelKeys are the keys of byte-pair encoding over bytes, as GPT-2 has it.
func byteLevelKeys(tok *tokenizer.Tokenizer) ([]gguf.KV, error) {
	data, err := tok.JSON()
	if err != nil {
		return nil, err
	}
	var file struct {
		Normalizer json.RawMessage `json:"normalizer"`
		Pre        json.RawMessage `json:"pre_tokenizer"`
		Model      struct {
			Type     string            `json:"type"`
			Merges   []json.RawMessage `json:"merges"`
			Fallback bool              `json:"byte_fallback"`
		} `json:"model"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	if file.Model.Type != "BPE" || file.Model.Fallback {
		return nil, fmt.Errorf("it is of the kind %s, not byte-pair encoding over bytes or as SentencePiece has it",
			tok.Kind())
	}
	pattern, ok := patternOf(file.Pre)
	name, known := splits[pattern]
	if !ok || !known {
		return nil, fmt.Errorf("it takes a text apart by an expression that llama.cpp has no name for: %.80q", pattern)
	}
	var merges []string
	for _, m := range file.Model.Merges {
		var pair []string
		var text string
		if json.Unmarshal(m, &pair) == nil {
			text = strings.Join(pair, " ")
		} else if err := json.Unmarshal(m, &text); err != nil {
			return nil, err
		}
		merges = append(merges, text)
	}
	added := map[int32]tokenizer.Added{}
	for _, a := range tok.Added() {
		added[a.ID] = a
	}
	var tokens []string
	var types []int32
	for i := range tok.Vocab() {
		name, kind := tok.Name(int32(i)), tokenNormal
		switch a, ok := added[int32(i)]; {
		case ok && a.Special:
			name, kind = a.Content, tokenControl
		case ok:
			name, kind = a.Content, tokenOwn
		case name == "":
			name, kind = fmt.Sprintf("[unused%d]", i), tokenUnused
		}
		tokens, types = append(tokens, name), append(types, kind)
	}
	return []gguf.KV{{Key: "tokenizer.ggml.model", Value: "gpt2"}, {Key: "tokenizer.ggml.pre", Value: name},
		{Key: "tokenizer.ggml.tokens", Value: tokens}, {Key: "tokenizer.ggml.token_type", Value: types},
		{Key: "tokenizer.ggml.merges", Value: merges}}, nil
}

// patternOf is the expression of a pre_tokenizer that splits by one and then takes bytes; "" is that of GPT-2, which
// stands in no file.
func patternOf(raw json.RawMessage) (pattern string, ok bool) {
	var p struct {
		Type    string            `json:"type"`
		List    []json.RawMessage `json:"pretokenizers"`
		Pattern struct{ Regex string }
		Prefix  bool  `json:"add_prefix_space"`
		Regex   *bool `json:"use_regex"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return "", false
	}
	switch p.Type {
	case "ByteLevel":
		return "", !p.Prefix && (p.Regex == nil || *p.Regex)
	case "Split":
		return p.Pattern.Regex, p.Pattern.Regex != ""
	case "Sequence":
		if len(p.List) != 2 {
			return "", false
		}
		var last struct {
			Type   string `json:"type"`
			Prefix bool   `json:"add_prefix_space"`
			Regex  *bool  `json:"use_regex"`
		}
		if json.Unmarshal(p.List[1], &last) != nil || last.Type != "ByteLevel" || last.Prefix || last.Regex == nil ||
			*last.Regex {
			return "", false
		}
		return patternOf(p.List[0])
	}
	return "", false
}

// ggufRead are the names of llama.cpp's architectures that are read.
var ggufRead = []string{"gpt2", "llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gptneox", "t5"}

// GGUFArchitectures are the names of llama.cpp's architectures that are written.
func GGUFArchitectures() []string { return append(slices.Clone(ggufRead), "bert") }

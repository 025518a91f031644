package interchange

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/formats"
	"github.com/gradsmith/gradsmith/spec"
)

// HuggingFace is a model that is written as a folder of the Hugging Face hub.
type HuggingFace struct {
	Architecture string
	Config       []byte // config.json
	Tokenizer    []byte // tokenizer.json
	Tensors      int

	parts  []checkpoint.Part
	as     checkpoint.Type
	source *source
}

// Close closes the checkpoint.
func (h *HuggingFace) Close() { h.source.r.Close() }

// Weights writes model.safetensors, a tensor at a time.
func (h *HuggingFace) Weights(w io.Writer) error {
	return checkpoint.WriteParts(w, map[string]string{"format": "pt"}, h.as, h.parts)
}

// NewHuggingFace finds the architecture of the hub that a model fits, and opens its checkpoint. What does not fit is an
// error that names it.
func NewHuggingFace(m *spec.Model, path string, as checkpoint.Type) (_ *HuggingFace, err error) {
	h := &HuggingFace{as: as}
	var o *outline
	var e *encoderOutline
	if m.EncoderOnly() {
		if e, err = encoderOf(m); err == nil {
			err = e.check("transformers")
		}
		h.Architecture = "bert"
	} else if o, err = outlineOf(m); err == nil {
		h.Architecture, err = o.architecture("transformers")
	}
	if err != nil {
		return nil, err
	}
	if m.Tokenizer.Kind != "file" {
		return nil,
			fmt.Errorf(
				"%s: the tokenizer is of kind %s, for which there is no tokenizer.json; there is one for those of "+
					"published models (kind file), which `gradsmith tokenizer train` makes too", m.File,
				m.Tokenizer.Kind)
	}
	tok, _, err := formats.Parse(m.Tokenizer.Data, m.Tokenizer.Split)
	if err != nil {
		return nil, err
	}
	if h.Tokenizer, err = tok.JSON(); err != nil {
		return nil, err
	}
	var targets []target
	if e != nil {
		if h.Config, err = e.config(as, tok.Vocab()); err == nil {
			targets, err = e.published(tok)
		}
	} else if h.Config, err = o.config(h.Architecture, as); err == nil {
		targets = o.targets(h.Architecture)
	}
	if err != nil {
		return nil, err
	}
	if h.source, err = openSource(path, m); err != nil {
		return nil, err
	}
	for _, t := range targets {
		shape, err := h.source.shape(&t)
		if err != nil {
			h.Close()
			return nil, err
		}
		h.parts = append(h.parts, checkpoint.Part{Name: t.name, Shape: shape,
			Make: func() ([]float32, error) { return h.source.numbers(&t) }})
	}
	h.Tensors = len(h.parts)
	return h, nil
}

// dtypes are the types of numbers as a config.json names them.
var dtypes = map[checkpoint.Type]string{checkpoint.F32: "float32", checkpoint.BF16: "bfloat16"}

// config is the config.json.
func (o *outline) config(arch string, as checkpoint.Type) ([]byte, error) {
	a, f := &o.blocks[0].attention, &o.blocks[0].feedforward
	m := o.spec
	c := map[string]any{"model_type": arch, "vocab_size": m.Vocab(),
		"torch_dtype": dtypes[as]}
	if x, ok := m.Tokenizer.Own[spec.BeginToken]; ok {
		c["bos_token_id"] = x.Number
	}
	if x, ok := m.Tokenizer.Own[spec.EndToken]; ok {
		c["eos_token_id"] = x.Number
	}
	set := func(more map[string]any) {
		for k, v := range more {
			c[k] = v
		}
	}
	if arch == "gpt2" {
		set(map[string]any{"architectures": []string{"GPT2LMHeadModel"}, "n_embd": o.width, "n_head": a.Heads,
			"n_layer": len(o.blocks), "n_positions": m.Shape.Steps, "n_inner": f.Hidden,
			"layer_norm_epsilon":  o.last.epsilon,
			"activation_function": "gelu_new", "tie_word_embeddings": o.tied})
		if !o.tied {
			return nil,
				fmt.Errorf("%s: logits have a matrix of their own, which GPT-2 of transformers reads as the table of "+
					"tokens", m.File)
		}
		return json.MarshalIndent(c, "", "  ")
	}
	class := map[string]string{"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3",
		"gemma": "Gemma"}
	set(map[string]any{"architectures": []string{class[arch] + "ForCausalLM"}, "hidden_size": o.width,
		"intermediate_size": f.Hidden, "num_hidden_layers": len(o.blocks), "num_attention_heads": a.Heads,
		"num_key_value_heads": a.KVHeads, "head_dim": a.HeadSize, "max_position_embeddings": m.Shape.Steps,
		"rms_norm_eps": o.last.epsilon, "rope_theta": a.Rotary.Base, "tie_word_embeddings": o.tied,
		"hidden_act": "silu"})
	switch arch {
	case "gemma":
		set(map[string]any{"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"})
	case "mistral":
		c["sliding_window"] = a.Window
	case "qwen2", "qwen3":
		c["use_sliding_window"] = false
	}
	switch r := a.Rotary; r.Scaling {
	case "linear":
		c["rope_scaling"] = map[string]any{"rope_type": "linear", "factor": r.Factor}
	case "llama3":
		c["rope_scaling"] = map[string]any{"rope_type": "llama3", "factor": r.Factor, "low_freq_factor": r.Low,
			"high_freq_factor": r.High, "original_max_position_embeddings": r.Original}
	case "yarn":
		s := map[string]any{"rope_type": "yarn", "factor": r.Factor, "beta_slow": r.Low, "beta_fast": r.High,
			"original_max_position_embeddings": r.Original}
		if r.Gain > 0 {
			s["attention_factor"] = r.Gain
		}
		c["rope_scaling"] = s
	}
	return json.MarshalIndent(c, "", "  ")
}

// targets are the tensors as the hub has them.
func (o *outline) targets(arch string) []target {
	a, f := &o.blocks[0].attention, &o.blocks[0].feedforward
	var all []target
	less := float32(0)
	if arch == "gemma" { // whose gains are differences from 1
		less = -1
	}
	norm := func(name string, n outNorm) {
		all = append(all, target{name: name + ".weight", from: n.owner, field: "gain", add: less})
		if n.kind == "layernorm" {
			all = append(all, target{name: name + ".bias", from: n.owner, field: "bias"})
		}
	}
	product := func(name string, from owner, field string, at, width int, bias bool) {
		all = append(all, target{name: name + ".weight", from: from, field: "w" + field, at: at, width: width,
			inputs: arch == "gpt2"})
		if bias {
			all = append(all, target{name: name + ".bias", from: from, field: "b" + field, at: at, width: width})
		}
	}
	q, kv := a.Heads*a.HeadSize, a.KVHeads*a.HeadSize
	if arch == "gpt2" {
		all = append(all, target{name: "transformer.wte.weight", from: o.tokens, field: "table"},
			target{name: "transformer.wpe.weight", from: o.places, field: "table"})
		for i := range o.blocks {
			b, in := &o.blocks[i], fmt.Sprintf("transformer.h.%d.", i)
			norm(in+"ln_1", b.before)
			product(in+"attn.c_attn", b.attends, "qkv", 0, 3*q, true)
			product(in+"attn.c_proj", b.attends, "o", 0, o.width, true)
			norm(in+"ln_2", b.between)
			product(in+"mlp.c_fc", b.feeds, "up", 0, f.Hidden, true)
			product(in+"mlp.c_proj", b.feeds, "down", 0, o.width, true)
		}
		norm("transformer.ln_f", o.last)
		return all
	}
	all = append(all, target{name: "model.embed_tokens.weight", from: o.tokens, field: "table"})
	for i := range o.blocks {
		b, in := &o.blocks[i], fmt.Sprintf("model.layers.%d.", i)
		norm(in+"input_layernorm", b.before)
		product(in+"self_attn.q_proj", b.attends, "qkv", 0, q, a.Bias)
		product(in+"self_attn.k_proj", b.attends, "qkv", q, kv, a.Bias)
		product(in+"self_attn.v_proj", b.attends, "qkv", q+kv, kv, a.Bias)
		product(in+"self_attn.o_proj", b.attends, "o", 0, o.width, a.BiasOut)
		if a.QueryNorm > 0 {
			all = append(all, target{name: in + "self_attn.q_norm.weight", from: b.attends, field: "queries_gain"},
				target{name: in + "self_attn.k_norm.weight", from: b.attends, field: "keys_gain"})
		}
		norm(in+"post_attention_layernorm", b.between)
		product(in+"mlp.gate_proj", b.feeds, "up", 0, f.Hidden, f.Bias)
		product(in+"mlp.up_proj", b.feeds, "up", f.Hidden, f.Hidden, f.Bias)
		product(in+"mlp.down_proj", b.feeds, "down", 0, o.width, f.Bias)
	}
	norm("model.norm", o.last)
	if !o.tied {
		product("lm_head", o.head, "", 0, o.spec.Vocab(), false)
	}
	return all
}

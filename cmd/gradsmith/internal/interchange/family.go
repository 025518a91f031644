package interchange

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// plan is a decoder of Llama's shape, of which other architectures change something.
type plan struct {
	about                        string
	width, hidden, layers, vocab int
	heads, kvHeads, size         int
	steps                        int
	epsilon                      float64
	activation                   string
	tied                         bool
	bias, outBias, hiddenBias    bool
	beside                       bool // the features of a pair that is turned stand side by side
	queryNorm                    bool
	// that is added to the gains of norms: 1 where they are stored as differences
	gain                 float32
	sandwich             bool              // norms stand behind the parts as well
	scale                float64           // of the rows of tokens
	scores, cap, lastCap float64           // of attention, and of the logits; 0: the defaults
	rotary               func(i int) []set // of block i; nil where it does not turn
	window               func(i int) int   // 0: all tokens
	form                 func(i int) string
}

// llamaPlan reads what all such decoders say in the same keys.
func llamaPlan(f *folder, c *config) *plan { return llamaPlanOf(f, c, true) }

// llamaPlanOf leaves it to the caller how blocks turn, unless they all do so in one way.
func llamaPlanOf(f *folder, c *config, alike bool) *plan {
	p := &plan{
		about:   "A decoder of Llama's shape",
		width:   c.size("hidden_size"),
		hidden:  c.size("intermediate_size"),
		layers:  min(c.size("num_hidden_layers"), maxLayers),
		vocab:   f.vocabulary(c.size("vocab_size")),
		heads:   c.size("num_attention_heads"),
		steps:   c.size("max_position_embeddings"),
		epsilon: c.number("rms_norm_eps", 1e-6),
		tied:    c.flag("tie_word_embeddings", false),
		beside:  f.beside,
	}
	p.kvHeads = c.size("num_key_value_heads", p.heads)
	p.size = c.size("head_dim", max(1, p.width/p.heads))
	p.activation = gated(c, "hidden_act", "silu")
	if alike {
		turn := rotary(c, c.number("rope_theta", 10000), p.steps)
		p.rotary = func(int) []set { return turn }
	}
	p.window = func(int) int { return 0 }
	p.form = func(int) string { return "block" }
	return p
}

// maxLayers is the most blocks that a stack may have.
const maxLayers = 1000

// gated is the activation of a feed-forward part with a gate.
func gated(c *config, key, orElse string) string {
	word := c.word(key, orElse)
	a := map[string]string{"silu": "swiglu", "swish": "swiglu", "gelu_pytorch_tanh": "geglu_tanh",
		"gelu_new": "geglu_tanh", "gelu": "geglu"}[word]
	if a == "" {
		c.errorf("%s: the activation %q is not known; known are silu, gelu, gelu_new and gelu_pytorch_tanh", key, word)
	}
	return a
}

// plainActivation is the activation of a feed-forward part without one.
func plainActivation(c *config, key, orElse string) string {
	word := c.word(key, orElse)
	a := map[string]string{"gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh",
		"gelu": "gelu", "relu": "relu", "silu": "silu", "swish": "silu"}[word]
	if a == "" {
		c.errorf("%s: the activation %q is not known; known are gelu, gelu_new, relu and silu", key, word)
	}
	return a
}

// rotary is how queries and keys are turned: a base, and what rope_scaling or, in newer files, rope_parameters say.
func rotary(c *config, base float64, steps int) []set {
	s := c.object("rope_scaling")
	if s == nil {
		s = c.object("rope_parameters")
	}
	if s == nil {
		return []set{{"base", base}}
	}
	base = s.number("rope_theta", base)
	return append([]set{{"base", base}}, scaling(s, steps)...)
}

// scaling is what an object says of longer texts.
func scaling(s *config, steps int) []set {
	kind := s.word(s.either("rope_type", "type"), "default")
	original := func() int { return s.size("original_max_position_embeddings", steps) }
	var sets []set
	switch kind {
	case "default":
		return nil
	case "linear":
		sets = []set{{"factor", s.number("factor")}}
	case "llama3":
		sets = []set{{"factor", s.number("factor")}, {"original", original()}, {"low", s.number("low_freq_factor")},
			{"high", s.number("high_freq_factor")}}
	case "yarn":
		factor := s.number("factor")
		sets = []set{{"factor", factor}, {"original", original()}, {"slow", s.number("beta_slow", 1)},
			{"fast", s.number("beta_fast", 32)}}
		s.only("truncate", true, "the ends of the ramp are rounded here")
		if all, one := s.number("mscale_all_dim", 0), s.number("mscale", 0); s.has("attention_factor") {
			sets = append(sets, set{"gain", s.number("attention_factor")})
		} else if all != 0 && one != 0 { // as DeepSeek has it
			sharp := func(m float64) float64 { return 1 + 0.1*m*math.Log(max(1, factor)) }
			sets = append(sets, set{"gain", sharp(one) / sharp(all)})
		}
	default:
		s.errorf("the kind %q is not known; known are linear, llama3 and yarn", kind)
		return nil
	}
	return []set{{"scaling", []set{{kind, sets}}}}
}

// kinds are the kinds of the layers as layer_types lists them, each "full_attention" or "sliding_attention"; nil where
// it is missing.
func kinds(c *config, layers int) []string {
	list := c.list("layer_types")
	if list == nil {
		return nil
	}
	var all []string
	for _, v := range list {
		word, _ := v.(string)
		if word != "full_attention" && word != "sliding_attention" {
			c.errorf("layer_types: %s is not known; known are full_attention and sliding_attention", shown(v))
		}
		all = append(all, word)
	}
	if len(all) != layers {
		c.errorf("layer_types lists %d layers, num_hidden_layers is %d", len(all), layers)
		return nil
	}
	return all
}

// slides makes some blocks see a window, and gives the two forms names.
func (p *plan) slides(window int, near func(i int) bool) {
	both := false
	for i := range p.layers {
		both = both || near(i) != near(0)
	}
	p.window = func(i int) int {
		if near(i) {
			return window
		}
		return 0
	}
	if both {
		p.form = func(i int) string { return map[bool]string{true: "near", false: "far"}[near(i)] }
	}
}

// blueprint is the decoder in the language of specs.
func (p *plan) blueprint() *blueprint {
	const at = "model.layers.{i}."
	blocks := make([]block, p.layers)
	for i := range blocks {
		in := func(name string) string { return of(i, at+name) }
		norm := func(name, tensor string) *layer { return rmsnorm(name, p.epsilon, p.width, in(tensor), p.gain) }
		first := []*layer{norm("attention_norm", "input_layernorm"), p.attention(i, in)}
		second := []*layer{norm("feedforward_norm", "post_attention_layernorm"), p.feedforward(in)}
		if p.sandwich {
			first = append(first, norm("attention_out", "post_attention_layernorm"))
			second = []*layer{norm("feedforward_norm", "pre_feedforward_layernorm"), p.feedforward(in),
				norm("feedforward_out", "post_feedforward_layernorm")}
		}
		blocks[i] = block{p.form(i), []*layer{residual(first...), residual(second...)}}
	}
	head := &layer{word: "dense", name: "out", sets: []set{{"bias", false}}}
	if p.tied {
		head.sets = append([]set{{"tie", "tokens"}}, head.sets...)
	} else {
		head.params = product("", false, linear, part{tensor: "lm_head", width: p.vocab, more: true})
	}
	if p.lastCap > 0 {
		head.sets = append(head.sets, set{"soft_cap", p.lastCap})
	}
	tokens := &layer{word: "embedding", name: "tokens", sets: []set{{"size", p.width}},
		params: []param{{field: "table", parts: []part{{tensor: "model.embed_tokens.weight", form: table,
			width: p.width}}}}}
	if p.scale > 0 {
		tokens.sets = append(tokens.sets, set{"scale", p.scale})
	}
	return &blueprint{
		about: p.about, description: fmt.Sprintf("a language model: %s.", lower(p.about)), vocab: p.vocab,
		steps: p.steps,
		decoder: []*layer{tokens, stacked("layers", blocks), rmsnorm("norm", p.epsilon, p.width, "model.norm", p.gain),
			head},
	}
}

// attention is that of block i.
func (p *plan) attention(i int, in func(string) string) *layer {
	sets := []set{{"heads", p.heads}}
	add := func(when bool, key string, value any) {
		if when {
			sets = append(sets, set{key, value})
		}
	}
	add(p.kvHeads != p.heads, "kv_heads", p.kvHeads)
	add(p.size*p.heads != p.width, "head_size", p.size)
	add(p.window(i) > 0, "window", p.window(i))
	turn := p.rotary(i)
	add(turn != nil, "rotary", turn)
	add(p.queryNorm, "query_norm", []set{{"rmsnorm", []set{{"epsilon", p.epsilon}}}})
	add(p.scores > 0, "scale", p.scores)
	add(p.cap > 0, "soft_cap", p.cap)
	add(true, "bias", p.bias)
	add(p.outBias != p.bias, "bias_out", p.outBias)
	q, kv := p.heads*p.size, p.kvHeads*p.size
	queries, keys := columns(in("self_attn.q_proj"), q), columns(in("self_attn.k_proj"), kv)
	if p.beside {
		queries.to = func(r int) int { return beside(r, p.size) }
		queries.how = "pairs that are turned half of a head apart"
		keys.to, keys.how = queries.to, queries.how
	}
	params := product("qkv", p.bias, linear, queries, keys, columns(in("self_attn.v_proj"), kv))
	params = append(params, product("o", p.outBias, linear, columns(in("self_attn.o_proj"), p.width))...)
	if p.queryNorm {
		gain := func(tensor string) []part {
			return []part{{tensor: in(tensor) + ".weight", form: vector, width: p.size, add: p.gain}}
		}
		params = append(params, param{field: "queries_gain", parts: gain("self_attn.q_norm")},
			param{field: "keys_gain", parts: gain("self_attn.k_norm")})
	}
	return &layer{word: "attention", name: "attention", sets: sets, params: params}
}

// feedforward is that of a block.
func (p *plan) feedforward(in func(string) string) *layer {
	params := product("up", p.hiddenBias, linear, columns(in("mlp.gate_proj"), p.hidden),
		columns(in("mlp.up_proj"), p.hidden))
	params = append(params, product("down", p.hiddenBias, linear, columns(in("mlp.down_proj"), p.width))...)
	return &layer{word: "feedforward", name: "feedforward", params: params,
		sets: []set{{"hidden", p.hidden}, {"activation", p.activation}, {"bias", p.hiddenBias}}}
}

// lower begins a text with a small letter.
func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// orElse is a value of JSON, or another one where it is missing.
func orElse(v any, other int) any {
	if v == nil {
		return json.Number(strconv.Itoa(other))
	}
	return v
}

package interchange

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gradsmith/gradsmith/cmd/gradsmith/internal/gguf"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/tokenizer"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/formats"
	"github.com/gradsmith/gradsmith/spec"
)

// encoderOutline is an encoder of this project as other programs see one of BERT's shape: a table of tokens, one of
// places, a norm, blocks with norms behind their parts. What stands behind the blocks restores tokens.
type encoderOutline struct {
	spec   *spec.Model
	tokens owner
	places owner
	norm   outNorm
	width  int
	blocks []outBlock // before and between are the norms behind the parts
	rest   []spec.Layer
}

// encoderOf sees a model as one, or says what it has beside that.
func encoderOf(m *spec.Model) (*encoderOutline, error) {
	o := &encoderOutline{spec: m}
	odd := func(l spec.Layer, why string) error {
		return fmt.Errorf("%s:%d: %s %s: %s, which other programs do not know of an encoder", m.File,
			l.LayerPos().Line, l.LayerKind(), l.LayerName(), why)
	}
	block := func() *outBlock { // the one that is not whole
		if n := len(o.blocks); n > 0 && o.blocks[n-1].between.kind == "" {
			return &o.blocks[n-1]
		}
		return nil
	}
	ended := false // the blocks have
	var walk func(layers []spec.Layer, number int) error
	walk = func(layers []spec.Layer, number int) error {
		for _, l := range layers {
			if ended {
				o.rest = append(o.rest, l)
				continue
			}
			b := block()
			switch l := l.(type) {
			case *spec.Embedding:
				if o.tokens.name != "" || l.Scale > 0 {
					return odd(l, "a second table of tokens, or rows that are scaled")
				}
				o.tokens, o.width = ownerOf(l, number), l.Width
			case *spec.Positions:
				if l.Scheme != "learned" || o.places.name != "" {
					return odd(l, "places of another form than one learnt table")
				}
				o.places = ownerOf(l, number)
			case *spec.Dropout:
			case *spec.Repeat:
				if l.Copies != nil {
					for _, c := range l.Copies {
						if err := walk(c, 0); err != nil {
							return err
						}
					}
					continue
				}
				for i := range l.Times {
					n := i + 1
					if l.Shared {
						n = 0
					}
					if err := walk(l.Layers, n); err != nil {
						return err
					}
				}
			case *spec.Residual:
				if l.Scale != 1 || len(l.Layers) != 1 || o.norm.kind == "" {
					return odd(l, "a sum of another form than x + part(x), behind a norm")
				}
				switch part := l.Layers[0].(type) {
				case *spec.Attention:
					if b != nil {
						return odd(part, "two attentions, one behind the other")
					}
					o.blocks = append(o.blocks, outBlock{attention: *part, attends: ownerOf(part, number)})
				case *spec.Feedforward:
					if b == nil || b.before.kind == "" {
						return odd(part, "a feed-forward part without an attention and a norm in front of it")
					}
					b.feedforward, b.feeds = *part, ownerOf(part, number)
				default:
					return odd(part, "a part that is neither attention nor feed-forward")
				}
			case *spec.LayerNorm:
				norm, _ := normOf(l, number)
				switch {
				case o.norm.kind == "" && len(o.blocks) == 0:
					o.norm = norm
				case b == nil:
					ended, o.rest = true, []spec.Layer{l}
				case b.before.kind == "":
					b.before = norm
				case b.feeds.name != "":
					b.between = norm
				default:
					return odd(l, "a second norm behind a part")
				}
			default:
				if b != nil || len(o.blocks) == 0 {
					return odd(l, "a layer of another kind")
				}
				ended, o.rest = true, []spec.Layer{l}
			}
		}
		return nil
	}
	if err := walk(m.Layers, 0); err != nil {
		return nil, err
	}
	if len(o.blocks) == 0 || block() != nil {
		return nil, fmt.Errorf("%s: there are no blocks of an attention and a feed-forward part with norms behind them",
			m.File)
	}
	return o, nil
}

// check reports what another program, "llama.cpp" or "transformers", would compute otherwise.
func (o *encoderOutline) check(program string) error {
	first := &o.blocks[0]
	no := func(i int, why string) error {
		return fmt.Errorf("%s: it is most like bert of %s, but block %d: %s", o.spec.File, program, i+1, why)
	}
	for i := range o.blocks {
		b := &o.blocks[i]
		switch x, f := &b.attention, &b.feedforward; {
		case x.Heads != first.attention.Heads || f.Hidden != first.feedforward.Hidden:
			return no(i, "it has other sizes than the first one")
		case x.KVHeads != x.Heads || x.Heads*x.HeadSize != o.width:
			return no(i, "heads share keys, or are not their share of the width")
		case !x.Bias || !x.BiasOut || !f.Bias:
			return no(i, "products have no biases")
		case x.ALiBi || x.Prefix > 0 || x.Relative != nil || x.SoftCap > 0 || x.Rotary.On() || x.QueryNorm > 0 ||
			x.Window > 0 && x.Window < o.spec.Shape.Steps || !scaled(x, x.HeadSize):
			return no(i, "scores are computed in another way")
		case f.Activation != "gelu" && (program == "llama.cpp" || f.Activation != "relu") ||
			f.Activation != first.feedforward.Activation:
			return no(i, fmt.Sprintf("its activation is %s, not gelu", f.Activation))
		case b.before.epsilon != o.norm.epsilon || b.between.epsilon != o.norm.epsilon:
			return no(i, "its norms are not like the first one")
		}
	}
	if o.places.name == "" {
		return fmt.Errorf("%s: it is most like bert of %s, but has no learnt table of places", o.spec.File, program)
	}
	return nil
}

// restores are the layers that make tokens of what the blocks give.
func (o *encoderOutline) restores() (transform, norm, head owner, err error) {
	var layers []spec.Layer
	for _, l := range o.rest {
		if _, ok := l.(*spec.Dropout); !ok {
			layers = append(layers, l)
		}
	}
	if len(layers) == 3 {
		d, isDense := layers[0].(*spec.Dense)
		n, isNorm := layers[1].(*spec.LayerNorm)
		h, isHead := layers[2].(*spec.Dense)
		if isDense && isNorm && isHead && d.Bias && d.OutputWidth() == o.width && n.Epsilon == o.norm.epsilon &&
			d.Activation == o.blocks[0].feedforward.Activation && d.Tie == "" && d.Scale == 0 && d.SoftCap == 0 &&
			h.Tie != "" && h.Bias && h.Activation == "none" && h.Scale == 0 && h.SoftCap == 0 {
			return ownerOf(d, 0), ownerOf(n, 0), ownerOf(h, 0), nil
		}
	}
	return transform, norm, head, fmt.Errorf("%s: it is most like bert of transformers, but tokens are not restored "+
		"by a product of the same width and activation, a norm, and the table of tokens with a bias", o.spec.File)
}

// keys are the sizes of the encoder. Rows of a text are averaged where one is asked for that stands for all.
func (o *encoderOutline) keys(as gguf.Type) []gguf.KV {
	in := func(key string, v any) gguf.KV { return gguf.KV{Key: "bert." + key, Value: v} }
	a, f := &o.blocks[0].attention, &o.blocks[0].feedforward
	return []gguf.KV{
		{Key: "general.architecture", Value: "bert"},
		{Key: "general.name", Value: o.spec.Name},
		{Key: "general.file_type", Value: map[gguf.Type]uint32{gguf.F32: 0, gguf.F16: 1, gguf.BF16: 32}[as]},
		in("context_length", uint32(o.spec.Shape.Steps)),
		in("embedding_length", uint32(o.width)),
		in("block_count", uint32(len(o.blocks))),
		in("feed_forward_length", uint32(f.Hidden)),
		in("attention.head_count", uint32(a.Heads)),
		in("attention.layer_norm_epsilon", float32(o.norm.epsilon)),
		in("attention.causal", false),
		in("pooling_type", uint32(1)),
		{Key: "tokenizer.ggml.token_type_count", Value: uint32(1)},
	}
}

// published are the targets in the form of the hub.
func (o *encoderOutline) published(tok *tokenizer.Tokenizer) ([]target, error) {
	transform, last, head, err := o.restores()
	if err != nil {
		return nil, err
	}
	at := func(name string) string { return "bert.embeddings." + name }
	all := []target{{name: at("word_embeddings.weight"), from: o.tokens, field: "table", rows: tok.Vocab(),
		mask: maskOf(tok)}, {name: at("position_embeddings.weight"), from: o.places, field: "table"},
		{name: at("token_type_embeddings.weight"), constant: make([]float32, 2*o.width), lies: []int{2, o.width}}}
	norm := func(name string, from owner) {
		all = append(all, target{name: name + ".weight", from: from, field: "gain"},
			target{name: name + ".bias", from: from, field: "bias"})
	}
	product := func(name string, from owner, field string, at, width int) {
		all = append(all, target{name: name + ".weight", from: from, field: "w" + field, at: at, width: width},
			target{name: name + ".bias", from: from, field: "b" + field, at: at, width: width})
	}
	norm(at("LayerNorm"), o.norm.owner)
	for i := range o.blocks {
		b, in := &o.blocks[i], fmt.Sprintf("bert.encoder.layer.%d.", i)
		for k, name := range []string{"query", "key", "value"} {
			product(in+"attention.self."+name, b.attends, "qkv", k*o.width, o.width)
		}
		product(in+"attention.output.dense", b.attends, "o", 0, o.width)
		norm(in+"attention.output.LayerNorm", b.before.owner)
		product(in+"intermediate.dense", b.feeds, "up", 0, b.feedforward.Hidden)
		product(in+"output.dense", b.feeds, "down", 0, o.width)
		norm(in+"output.LayerNorm", b.between.owner)
	}
	product("cls.predictions.transform.dense", transform, "", 0, o.width)
	norm("cls.predictions.transform.LayerNorm", last)
	return append(all, target{name: "cls.predictions.bias", from: head, field: "b", rows: tok.Vocab(),
		mask: maskOf(tok)}), nil
}

// config is the config.json.
func (o *encoderOutline) config(as checkpoint.Type, tokens int) ([]byte, error) {
	a, f := &o.blocks[0].attention, &o.blocks[0].feedforward
	return json.MarshalIndent(map[string]any{"model_type": "bert", "architectures": []string{"BertForMaskedLM"},
		"vocab_size": tokens, "hidden_size": o.width, "num_hidden_layers": len(o.blocks),
		"num_attention_heads": a.Heads, "intermediate_size": f.Hidden, "hidden_act": f.Activation,
		"max_position_embeddings": o.spec.Shape.Steps, "type_vocab_size": 2, "layer_norm_eps": o.norm.epsilon,
		"position_embedding_type": "absolute", "tie_word_embeddings": true, "torch_dtype": dtypes[as]}, "", "  ")
}

// maskOf is the token of a tokenizer's file that stands for a missing one, or -1. The model has one behind those of the
// file, which reads what a training has made of it.
func maskOf(tok *tokenizer.Tokenizer) int {
	for _, name := range masks {
		if n, ok := tok.Token(name); ok {
			return int(n)
		}
	}
	return -1
}

// targets are the tensors, of as many tokens as the tokenizer has.
func (o *encoderOutline) targets(tok *tokenizer.Tokenizer) []target {
	all := []target{{name: "token_embd.weight", from: o.tokens, field: "table", rows: tok.Vocab(), mask: maskOf(tok)},
		{name: "position_embd.weight", from: o.places, field: "table"}}
	norm := func(name string, n outNorm) {
		all = append(all, target{name: name + ".weight", from: n.owner, field: "gain"},
			target{name: name + ".bias", from: n.owner, field: "bias"})
	}
	product := func(name string, from owner, field string, at, width int) {
		all = append(all, target{name: name + ".weight", from: from, field: "w" + field, at: at, width: width},
			target{name: name + ".bias", from: from, field: "b" + field, at: at, width: width})
	}
	norm("token_embd_norm", o.norm)
	for i := range o.blocks {
		b, in := &o.blocks[i], fmt.Sprintf("blk.%d.", i)
		for k, name := range []string{"attn_q", "attn_k", "attn_v"} {
			product(in+name, b.attends, "qkv", k*o.width, o.width)
		}
		product(in+"attn_output", b.attends, "o", 0, o.width)
		norm(in+"attn_output_norm", b.before)
		product(in+"ffn_up", b.feeds, "up", 0, b.feedforward.Hidden)
		product(in+"ffn_down", b.feeds, "down", 0, o.width)
		norm(in+"layer_output_norm", b.between)
	}
	return all
}

// encoderTokens are the keys of the tokenizer of an encoder.
func encoderTokens(m *spec.Model) ([]gguf.KV, *tokenizer.Tokenizer, error) {
	if m.Tokenizer.Kind != "file" {
		keys, err := ggufTokens(m)
		return keys, nil, err // which it is, as there is no form for it
	}
	tok, _, err := formats.Parse(m.Tokenizer.Data, m.Tokenizer.Split)
	if err != nil {
		return nil, nil, err
	}
	if tok.Kind() == "WordPiece" {
		keys, err := wordPieceKeys(tok)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", m.File, err)
		}
		return keys, tok, nil
	}
	keys, err := ggufTokens(m)
	return keys, tok, err
}

// wordPieceKeys are the keys of BERT's tokenizer. In llama.cpp's form a word begins with ▁, and what goes on with one
// has no mark.
func wordPieceKeys(tok *tokenizer.Tokenizer) ([]gguf.KV, error) {
	data, err := tok.JSON()
	if err != nil {
		return nil, err
	}
	var file struct {
		Normalizer struct {
			Type      string `json:"type"`
			Lowercase bool   `json:"lowercase"`
		} `json:"normalizer"`
		Model struct {
			Prefix string `json:"continuing_subword_prefix"`
		} `json:"model"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	if file.Normalizer.Type != "BertNormalizer" || !file.Normalizer.Lowercase || file.Model.Prefix != "##" {
		return nil, errors.New("the tokenizer keeps large letters, or is not BERT's in another way, and llama.cpp " +
			"makes all small")
	}
	var tokens []string
	var types []int32
	special := map[int32]bool{}
	for _, a := range tok.Added() {
		special[a.ID] = a.Special
	}
	for i := range tok.Vocab() {
		name, kind := tok.Name(int32(i)), tokenNormal
		switch {
		case special[int32(i)]:
			kind = tokenControl
		case len(name) > 2 && name[:2] == "##":
			name = name[2:]
		default:
			name = "▁" + name
		}
		tokens, types = append(tokens, name), append(types, kind)
	}
	keys := []gguf.KV{{Key: "tokenizer.ggml.model", Value: "bert"}, {Key: "tokenizer.ggml.pre", Value: "default"},
		{Key: "tokenizer.ggml.tokens", Value: tokens}, {Key: "tokenizer.ggml.token_type", Value: types}}
	for _, x := range [][2]string{{"[UNK]", "unknown"}, {"[SEP]", "seperator"}, {"[PAD]", "padding"},
		{"[CLS]", "cls"}, {"[CLS]", "bos"}, {"[MASK]", "mask"}} { // as llama.cpp spells them
		if n, ok := tok.Token(x[0]); ok {
			keys = append(keys, gguf.KV{Key: "tokenizer.ggml." + x[1] + "_token_id", Value: uint32(n)})
		}
	}
	return keys, nil
}

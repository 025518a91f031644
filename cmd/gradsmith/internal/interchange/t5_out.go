package interchange

import (
	"errors"
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/cmd/gradsmith/internal/gguf"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/formats"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/sentencepiece"
	"github.com/gradsmith/gradsmith/spec"
)

// t5Outline is an encoder and a decoder of this project as llama.cpp sees T5.
type t5Outline struct {
	spec             *spec.Model
	tokens           owner
	width            int
	encoder, decoder []t5Block
	read, last       outNorm
	tied             bool
	head             owner
}

// t5Block is a block: its parts, each behind a norm.
type t5Block struct {
	parts []t5Part
}

type t5Part struct {
	norm        outNorm
	at          owner
	attention   *spec.Attention
	feedforward *spec.Feedforward
}

// reach is the largest distance that llama.cpp tells apart.
const reach = 128

// t5Of sees a model as one, or says what it has beside that.
func t5Of(m *spec.Model) (*t5Outline, error) {
	o := &t5Outline{spec: m}
	odd := func(l spec.Layer, why string) error {
		return fmt.Errorf("%s:%d: %s %s: %s, which llama.cpp does not know of a model that answers a text", m.File,
			l.LayerPos().Line, l.LayerKind(), l.LayerName(), why)
	}
	var blocks *[]t5Block
	var last *outNorm
	size := 0 // parts of a block
	decoding, ended := false, false
	var walk func(layers []spec.Layer, number int) error
	walk = func(layers []spec.Layer, number int) error {
		for _, l := range layers {
			if ended || last.kind != "" && l.LayerKind() != "dense" {
				return odd(l, "it stands behind the last norm")
			}
			switch l := l.(type) {
			case *spec.Embedding:
				switch {
				case l.Scale > 0 || decoding != (l.Tie != ""):
					return odd(l, "rows that are scaled, or a table of each side")
				case !decoding:
					o.tokens, o.width = ownerOf(l, number), l.Width
				}
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
				if l.Scale != 1 || len(l.Layers) != 2 {
					return odd(l, "a sum of another form than x + part(norm(x))")
				}
				norm, ok := normOf(l.Layers[0], number)
				if !ok || norm.kind != "rmsnorm" {
					return odd(l, "a part without an RMS norm in front of it")
				}
				if n := len(*blocks); n == 0 || len((*blocks)[n-1].parts) == size {
					*blocks = append(*blocks, t5Block{})
				}
				b := &(*blocks)[len(*blocks)-1]
				p := t5Part{norm: norm, at: ownerOf(l.Layers[1], number)}
				p.attention, _ = l.Layers[1].(*spec.Attention)
				p.feedforward, _ = l.Layers[1].(*spec.Feedforward)
				switch k := len(b.parts); {
				case k == size-1 && p.feedforward != nil, k < size-1 && p.attention != nil &&
					p.attention.Cross == (k == 1):
					b.parts = append(b.parts, p)
				default:
					return odd(l.Layers[1], "parts of a block in another order")
				}
			case *spec.RMSNorm:
				*last, _ = normOf(l, number)
			case *spec.Dense:
				root := math.Sqrt(float64(o.width))
				if !decoding || l.Bias || l.Activation != "none" || l.SoftCap > 0 || (l.Tie != "") != (l.Scale > 0) ||
					l.Scale > 0 && math.Abs(l.Scale*root-1) > 1e-6 {
					return odd(l, "logits with a bias, or scaled in another way than by the root of the width, of a "+
						"table that is shared")
				}
				o.tied, o.head, ended = l.Tie != "", ownerOf(l, number), true
			default:
				return odd(l, "a layer of another kind")
			}
		}
		return nil
	}
	blocks, last, size = &o.encoder, &o.read, 2
	if err := walk(m.Encoder, 0); err != nil {
		return nil, err
	}
	blocks, last, size, decoding = &o.decoder, &o.last, 3, true
	if err := walk(m.Layers, 0); err != nil {
		return nil, err
	}
	return o, o.check()
}

// check reports what llama.cpp would compute otherwise.
func (o *t5Outline) check() error {
	no := func(format string, args ...any) error {
		return fmt.Errorf("%s: it is most like t5 of llama.cpp, but %s", o.spec.File, fmt.Sprintf(format, args...))
	}
	if len(o.encoder) == 0 || len(o.decoder) == 0 || o.read.kind == "" || o.last.kind == "" {
		return no("has no blocks on both sides with a norm behind them")
	}
	a, f := o.encoder[0].parts[0].attention, o.encoder[0].parts[1].feedforward
	if f == nil || f.Activation != "relu" && f.Activation != "geglu_tanh" {
		return no("its activation is not relu or geglu_tanh")
	}
	if o.last.epsilon != o.read.epsilon {
		return no("its norms are not alike")
	}
	for side, blocks := range map[string][]t5Block{"encoder": o.encoder, "decoder": o.decoder} {
		table := owner{}
		for i, b := range blocks {
			if want := map[string]int{"encoder": 2, "decoder": 3}[side]; len(b.parts) != want {
				return no("block %d of the %s has %d parts", i+1, side, len(b.parts))
			}
			for k, p := range b.parts {
				if p.norm.epsilon != o.last.epsilon {
					return no("its norms are not alike")
				}
				if g := p.feedforward; g != nil {
					if g.Hidden != f.Hidden || g.Activation != f.Activation || g.Bias {
						return no("a feed-forward part of the %s is not like the first one, or has biases", side)
					}
					continue
				}
				switch x := p.attention; {
				case x.Heads != a.Heads || x.HeadSize != a.HeadSize || x.KVHeads != x.Heads || x.Scale != 1 ||
					x.Bias || x.BiasOut || x.Rotary.On() || x.ALiBi || x.QueryNorm > 0 || x.SoftCap > 0 ||
					x.Prefix > 0 || x.Window > 0 && x.Window < o.spec.Shape.Steps:
					return no("block %d of the %s: its scores are computed in another way", i+1, side)
				case (k == 0) != (x.Relative != nil):
					return no("block %d of the %s tells places in another way than by distances within a text", i+1,
						side)
				case k == 0 && (x.Relative.Buckets != a.Relative.Buckets || x.Relative.Distance != reach):
					return no("block %d of the %s tells distances up to %d apart, and that %d", i+1, side,
						x.Relative.Distance, reach)
				case k == 0 && x.Relative.Table == "":
					return no("each block of the %s has a table of distances of its own", side)
				case k == 0 && i == 0:
					table = distances(x)
				case k == 0 && distances(x) != table:
					return no("the blocks of the %s have several tables of distances", side)
				}
			}
		}
	}
	return nil
}

// distances is the layer that has the table of distances of an attention.
func distances(a *spec.Attention) owner { return owner{name: a.Relative.Owner} }

// keys are the sizes.
func (o *t5Outline) keys(as gguf.Type) []gguf.KV {
	in := func(key string, v any) gguf.KV { return gguf.KV{Key: "t5." + key, Value: v} }
	a, f := o.encoder[0].parts[0].attention, o.encoder[0].parts[1].feedforward
	keys := []gguf.KV{
		{Key: "general.architecture", Value: "t5"},
		{Key: "general.name", Value: o.spec.Name},
		{Key: "general.file_type", Value: map[gguf.Type]uint32{gguf.F32: 0, gguf.F16: 1, gguf.BF16: 32}[as]},
		in("context_length", uint32(o.spec.Shape.Steps)),
		in("embedding_length", uint32(o.width)),
		in("block_count", uint32(len(o.encoder))),
		in("decoder_block_count", uint32(len(o.decoder))),
		in("feed_forward_length", uint32(f.Hidden)),
		in("attention.head_count", uint32(a.Heads)),
		in("attention.key_length", uint32(a.HeadSize)),
		in("attention.value_length", uint32(a.HeadSize)),
		in("attention.layer_norm_epsilon", float32(o.last.epsilon)),
		in("attention.layer_norm_rms_epsilon", float32(o.last.epsilon)),
		in("attention.relative_buckets_count", uint32(a.Relative.Buckets)),
		in("vocab_size", uint32(o.spec.Vocab())),
	}
	if begin := o.spec.Tokenizer.Special(spec.BeginToken); begin >= 0 {
		keys = append(keys, in("decoder_start_token_id", uint32(begin)))
	}
	return keys
}

// targets are the tensors.
func (o *t5Outline) targets() []target {
	all := []target{{name: "token_embd.weight", from: o.tokens, field: "table"},
		{name: "enc.output_norm.weight", from: o.read.owner, field: "gain"},
		{name: "dec.output_norm.weight", from: o.last.owner, field: "gain"}}
	product := func(name string, from owner, field string, at, width int) {
		all = append(all, target{name: name + ".weight", from: from, field: "w" + field, at: at, width: width})
	}
	for side, blocks := range [][]t5Block{o.encoder, o.decoder} {
		for i, b := range blocks {
			in := fmt.Sprintf("%s.blk.%d.", []string{"enc", "dec"}[side], i)
			for k, p := range b.parts {
				part := []string{"attn", "cross_attn"}[k%2]
				if p.feedforward != nil {
					part = "ffn"
				}
				all = append(all, target{name: in + part + "_norm.weight", from: p.norm.owner, field: "gain"})
				if f := p.feedforward; f != nil {
					at := 0
					if f.Gated() {
						product(in+"ffn_gate", p.at, "up", 0, f.Hidden)
						at = f.Hidden
					}
					product(in+"ffn_up", p.at, "up", at, f.Hidden)
					product(in+"ffn_down", p.at, "down", 0, o.width)
					continue
				}
				n := p.attention.Heads * p.attention.HeadSize
				if p.attention.Cross {
					product(in+part+"_q", p.at, "q", 0, n)
					product(in+part+"_k", p.at, "kv", 0, n)
					product(in+part+"_v", p.at, "kv", n, n)
				} else {
					for k, name := range []string{"_q", "_k", "_v"} {
						product(in+part+name, p.at, "qkv", k*n, n)
					}
				}
				product(in+part+"_o", p.at, "o", 0, o.width)
				if i == 0 && k == 0 { // which all blocks of the side read
					all = append(all, target{name: in + "attn_rel_b.weight", from: distances(p.attention),
						field: "table"})
				}
			}
		}
	}
	if !o.tied {
		product("output", o.head, "", 0, o.spec.Vocab())
	}
	return all
}

// t5Tokens are the keys of the tokenizer: T5's, or one that other models have.
func t5Tokens(m *spec.Model) ([]gguf.KV, error) {
	if !sameTokenizer(m) {
		return nil, fmt.Errorf("%s: source.tokenizer is not the tokenizer of the model, and GGUF has a place for one",
			m.File)
	}
	if m.Tokenizer.Kind != "file" {
		return ggufTokens(m)
	}
	tok, _, err := formats.Parse(m.Tokenizer.Data, m.Tokenizer.Split)
	if err != nil {
		return nil, err
	}
	sp, err := tok.SentencePiece()
	if err != nil || sp.BPE {
		return ggufTokens(m)
	}
	if sp.Form != "" {
		return nil, errors.New("the tokenizer brings texts to a normal form by itself, which llama.cpp does not")
	}
	keys := append(pieces(sp), gguf.KV{Key: "tokenizer.ggml.remove_extra_whitespaces", Value: sp.Collapse})
	keys[0].Value = "t5"
	if len(sp.Charsmap) > 0 {
		keys = append(keys, gguf.KV{Key: "tokenizer.ggml.precompiled_charsmap", Value: sp.Charsmap})
	}
	if end := m.Tokenizer.Special(spec.EndToken); end >= 0 {
		keys = append(keys, gguf.KV{Key: "tokenizer.ggml.eos_token_id", Value: uint32(end)},
			gguf.KV{Key: "tokenizer.ggml.add_eos_token", Value: true})
	}
	return append(keys, gguf.KV{Key: "tokenizer.ggml.add_bos_token", Value: false}), nil
}

// sameTokenizer tells whether both sides of a model have one tokenizer.
func sameTokenizer(m *spec.Model) bool {
	a, b := &m.Tokenizer, &m.Source.Tokenizer
	return a.Kind == b.Kind && a.File == b.File
}

// ggufUnigram is T5's tokenizer, as the file of a SentencePiece model: a tokenizer.json takes some texts apart
// otherwise.
func ggufUnigram(keys map[string]any, texts []string, types []int64) ([]byte, error) {
	sp, err := ggufScored(keys, texts, types)
	if err != nil {
		return nil, err
	}
	sp.BPE = false
	sp.Collapse, _ = keys["tokenizer.ggml.remove_extra_whitespaces"].(bool)
	rules, err := ggufList[uint64](keys, "tokenizer.ggml.precompiled_charsmap")
	if err != nil {
		return nil, err
	}
	for _, b := range rules {
		sp.Charsmap = append(sp.Charsmap, byte(b))
	}
	return sentencepiece.Format(sp)
}

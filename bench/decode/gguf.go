package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
)

// shape is a model that llama.cpp reads as a GGUF file (version 3), with random weights.
type shape struct {
	arch                                       string // gpt2 or llama; lstm for ONNX Runtime
	vocab, width, heads, layers, hidden, steps int
}

var shapes = map[string]shape{
	"gptnano": {"gpt2", 65, 128, 4, 4, 512, 64},
	"gptbaby": {"gpt2", 65, 384, 6, 6, 1536, 256},
	"gpt2":    {"gpt2", 50257, 768, 12, 12, 3072, 1024},
	"llama":   {"llama", 32000, 768, 12, 12, 2048, 1024},
	"lstm":    {"lstm", 96, 256, 0, 2, 0, 1024},
}

// recurrent reports whether the model has no form for llama.cpp.
func (s shape) recurrent() bool { return s.arch == "lstm" }

// tensor is one of a file: rows of cols numbers, or a vector where rows is 0.
type tensor struct {
	name       string
	rows, cols int
	kind       string
	start      float32 // of a vector
}

// kinds are the types of numbers: their number in the format, the numbers of a block, and its bytes.
var kinds = map[string]struct{ number, file, block, bytes int }{
	"f32": {0, 0, 1, 4}, "bf16": {30, 32, 1, 2}, "q8_0": {8, 7, 32, 34}, "q4_0": {2, 2, 32, 18},
}

func (s shape) tensors(kind string) (all []tensor) {
	matrix := func(name string, rows, cols int) { all = append(all, tensor{name + ".weight", rows, cols, kind, 0}) }
	vector := func(name string, n int, start float32) { all = append(all, tensor{name, 0, n, "f32", start}) }
	norm := func(name string) {
		vector(name+".weight", s.width, 1)
		if s.arch == "gpt2" {
			vector(name+".bias", s.width, 0)
		}
	}
	matrix("token_embd", s.vocab, s.width)
	if s.arch == "gpt2" {
		all = append(all, tensor{"position_embd.weight", s.steps, s.width, "f32", 0})
	}
	for l := range s.layers {
		b := fmt.Sprintf("blk.%d.", l)
		norm(b + "attn_norm")
		if s.arch == "gpt2" {
			matrix(b+"attn_qkv", 3*s.width, s.width)
			vector(b+"attn_qkv.bias", 3*s.width, 0)
		} else {
			matrix(b+"attn_q", s.width, s.width)
			matrix(b+"attn_k", s.width, s.width)
			matrix(b+"attn_v", s.width, s.width)
		}
		matrix(b+"attn_output", s.width, s.width)
		if s.arch == "gpt2" {
			vector(b+"attn_output.bias", s.width, 0)
		}
		norm(b + "ffn_norm")
		if s.arch != "gpt2" {
			matrix(b+"ffn_gate", s.hidden, s.width)
		}
		matrix(b+"ffn_up", s.hidden, s.width)
		matrix(b+"ffn_down", s.width, s.hidden)
		if s.arch == "gpt2" {
			vector(b+"ffn_up.bias", s.hidden, 0)
			vector(b+"ffn_down.bias", s.width, 0)
		}
	}
	norm("output_norm")
	return all
}

const alignment = 32

// write writes a file with matrices of a kind.
func (s shape) write(path, name, kind string) error {
	le := binary.LittleEndian
	text := func(b []byte, x string) []byte { return append(le.AppendUint64(b, uint64(len(x))), x...) }
	var meta []byte
	count := uint64(0)
	key := func(k string, kind uint32) {
		count++
		meta = le.AppendUint32(text(meta, k), kind)
	}
	number := func(k string, n int) {
		key(k, 4)
		meta = le.AppendUint32(meta, uint32(n))
	}
	float := func(k string, x float32) {
		key(k, 6)
		meta = le.AppendUint32(meta, math.Float32bits(x))
	}
	word := func(k, v string) {
		key(k, 8)
		meta = text(meta, v)
	}
	list := func(k string, kind uint32, n int, each func(b []byte, i int) []byte) {
		key(k, 9)
		meta = le.AppendUint64(le.AppendUint32(meta, kind), uint64(n))
		for i := range n {
			meta = each(meta, i)
		}
	}
	word("general.architecture", s.arch)
	word("general.name", name+" with random weights")
	number("general.alignment", alignment)
	number("general.file_type", kinds[kind].file)
	number("general.quantization_version", 2)
	number(s.arch+".context_length", s.steps)
	number(s.arch+".embedding_length", s.width)
	number(s.arch+".feed_forward_length", s.hidden)
	number(s.arch+".block_count", s.layers)
	number(s.arch+".attention.head_count", s.heads)
	if s.arch == "gpt2" {
		float(s.arch+".attention.layer_norm_epsilon", 1e-5)
	} else {
		float(s.arch+".attention.layer_norm_rms_epsilon", 1e-5)
		number(s.arch+".rope.dimension_count", s.width/s.heads)
	}
	// A vocabulary without merges: nothing is read as text.
	word("tokenizer.ggml.model", "gpt2")
	word("tokenizer.ggml.pre", "gpt-2")
	list("tokenizer.ggml.tokens", 8, s.vocab, func(b []byte, i int) []byte { return text(b, fmt.Sprint("t", i)) })
	list("tokenizer.ggml.token_type", 5, s.vocab, func(b []byte, i int) []byte { return le.AppendUint32(b, 1) })
	list("tokenizer.ggml.merges", 8, 1, func(b []byte, i int) []byte { return text(b, "t 0") })
	number("tokenizer.ggml.bos_token_id", s.vocab-1)
	number("tokenizer.ggml.eos_token_id", s.vocab-1)

	tensors := s.tensors(kind)
	head := append([]byte("GGUF"), 3, 0, 0, 0)
	head = le.AppendUint64(le.AppendUint64(head, uint64(len(tensors))), count)
	head = append(head, meta...)
	at := 0
	for _, t := range tensors {
		k := kinds[t.kind]
		head = text(head, t.name)
		if t.rows == 0 {
			head = le.AppendUint64(le.AppendUint32(head, 1), uint64(t.cols))
		} else {
			head = le.AppendUint64(le.AppendUint64(le.AppendUint32(head, 2), uint64(t.cols)), uint64(t.rows))
		}
		head = le.AppendUint64(le.AppendUint32(head, uint32(k.number)), uint64(at))
		at += (max(1, t.rows)*t.cols/k.block*k.bytes + alignment - 1) / alignment * alignment
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	w.Write(padded(head))
	r := rand.New(rand.NewPCG(1, 2))
	for _, t := range tensors {
		var data []byte
		for range max(1, t.rows) {
			x := make([]float32, t.cols)
			for i := range x {
				x[i] = t.start
				if t.rows > 0 {
					x[i] = float32(r.NormFloat64() * 0.02)
				}
			}
			data = encode(data, x, t.kind)
		}
		w.Write(padded(data))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

func padded(b []byte) []byte {
	return append(b, bytes.Repeat([]byte{0}, (alignment-len(b)%alignment)%alignment)...)
}

// half is a binary16 number near to x, which is small; below its normal numbers it is 0.
func half(x float32) uint16 {
	u := math.Float32bits(x)
	exponent := int(u>>23&255) - 112
	if exponent <= 0 {
		return 0
	}
	return uint16((uint32(exponent)<<23 | u&0x7fffff) >> 13)
}

// encode adds a row in numbers of a kind.
func encode(b []byte, x []float32, kind string) []byte {
	le := binary.LittleEndian
	switch kind {
	case "f32":
		for _, v := range x {
			b = le.AppendUint32(b, math.Float32bits(v))
		}
	case "bf16":
		for _, v := range x {
			b = le.AppendUint16(b, uint16((math.Float32bits(v)+0x8000)>>16))
		}
	case "q8_0":
		for ; len(x) > 0; x = x[32:] {
			scale := most(x[:32]) / 127
			b = le.AppendUint16(b, half(scale))
			for _, v := range x[:32] {
				b = append(b, byte(int8(math.RoundToEven(float64(v/scale)))))
			}
		}
	case "q4_0":
		for ; len(x) > 0; x = x[32:] {
			scale := most(x[:32]) / 7
			b = le.AppendUint16(b, half(scale))
			code := func(v float32) byte { return byte(math.RoundToEven(float64(v/scale)) + 8) }
			for i := range 16 {
				b = append(b, code(x[i])|code(x[16+i])<<4)
			}
		}
	}
	return b
}

func most(x []float32) float32 {
	m := float32(1e-9)
	for _, v := range x {
		m = max(m, v, -v)
	}
	return m
}

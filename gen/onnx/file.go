package onnx

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// The fields of onnx.proto that a file has, by message (github.com/onnx/onnx, onnx/onnx.proto, of version 8).
const (
	modelVersion, modelProducer, modelDoc, modelGraph, modelOpset, modelMetadata = 1, 2, 6, 7, 8, 14

	opsetVersion = 2

	graphNode, graphName, graphInitializer, graphDoc, graphInput, graphOutput = 1, 2, 5, 10, 11, 12

	nodeInput, nodeOutput, nodeName, nodeOperator, nodeAttribute, nodeDoc = 1, 2, 3, 4, 5, 6

	attrName, attrFloat, attrInt, attrString, attrGraph, attrInts, attrType = 1, 2, 3, 4, 6, 8, 20

	tensorDims, tensorType, tensorName, tensorRaw = 1, 2, 8, 9

	valueName, valueType, typeTensor, tensorElem, tensorShape, shapeDim, dimValue, dimOf = 1, 2, 1, 1, 2, 1, 1, 2

	pairKey, pairValue = 1, 2
)

// Types of attributes.
const attrIsFloat, attrIsInt, attrIsString, attrIsGraph, attrIsInts = 1, 2, 3, 5, 7

// Element types of tensors.
const isFloat, isInt32, isInt64 = 1, 6, 7

// formatVersion is the version of the format, and operators that of the operators: what ONNX Runtime reads since 1.13.
const formatVersion, operators = 8, 17

// limit is how many bytes a message of protobuf may have.
const limit = math.MaxInt32

// tensor is a constant of a file: of numbers that are here, or of a parameter.
type tensor struct {
	name    string
	shape   []int
	element int
	raw     []byte // nil for a parameter
	from    string // the parameter's tensor in a checkpoint
}

func (t *tensor) bytes() int {
	if t.raw != nil {
		return len(t.raw)
	}
	n := 4
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// fields of a message, appended.
type fields []byte

func (f *fields) number(field protowire.Number, v int) {
	*f = protowire.AppendVarint(protowire.AppendTag(*f, field, protowire.VarintType), uint64(v))
}

func (f *fields) text(field protowire.Number, s string) {
	*f = protowire.AppendString(protowire.AppendTag(*f, field, protowire.BytesType), s)
}

func (f *fields) message(field protowire.Number, m fields) {
	*f = protowire.AppendBytes(protowire.AppendTag(*f, field, protowire.BytesType), m)
}

// attribute is one of an operator.
func attribute(key string, val any) fields {
	var f fields
	f.text(attrName, key)
	kind := 0
	switch v := val.(type) {
	case int:
		kind = attrIsInt
		f.number(attrInt, v)
	case float64:
		kind = attrIsFloat
		f = protowire.AppendFixed32(protowire.AppendTag(f, attrFloat, protowire.Fixed32Type),
			math.Float32bits(float32(v)))
	case string:
		kind = attrIsString
		f.text(attrString, v)
	case []int:
		kind = attrIsInts
		for _, i := range v {
			f.number(attrInts, i)
		}
	case *scope:
		kind = attrIsGraph
		f.message(attrGraph, v.fields())
	default:
		panic(fmt.Sprintf("onnx: the attribute %s has the type %T", key, val))
	}
	f.number(attrType, kind)
	return f
}

// port is an input or an output of a graph: its name, element type and shape.
func port(name string, v *graph.Value) fields {
	var dims fields
	for _, d := range v.Shape {
		var dim fields
		switch {
		case d.IsConst():
			dim.number(dimValue, d.N)
		default:
			dim.text(dimOf, d.String())
		}
		dims.message(shapeDim, dim)
	}
	var t, typ, p fields
	t.number(tensorElem, elementOf(v.Type))
	t.message(tensorShape, dims)
	typ.message(typeTensor, t)
	p.text(valueName, name)
	p.message(valueType, typ)
	return p
}

func elementOf(t graph.Type) int {
	if t == graph.I32 {
		return isInt32
	}
	return isFloat
}

// fields are those of a graph, without its constants.
func (s *scope) fields() fields {
	var f fields
	for _, o := range s.operators() {
		var n fields
		for _, a := range o.args {
			n.text(nodeInput, a)
		}
		for _, r := range o.outs {
			n.text(nodeOutput, r)
		}
		n.text(nodeName, o.name)
		n.text(nodeOperator, o.operator)
		for _, a := range o.attrs {
			n.message(nodeAttribute, attribute(a.Key, a.Val))
		}
		if o.doc != "" {
			n.text(nodeDoc, o.doc)
		}
		f.message(graphNode, n)
	}
	f.text(graphName, s.name)
	if s.doc != "" {
		f.text(graphDoc, s.doc)
	}
	for _, p := range s.inputs {
		f.message(graphInput, p)
	}
	for _, p := range s.outputs {
		f.message(graphOutput, p)
	}
	return f
}

// Write writes the file, a tensor at a time: numbers gives those of a tensor of the checkpoint, which the next call may
// overwrite. The numbers are little-endian, as the format has them.
func (m *Model) Write(w io.Writer, numbers func(name string) ([]float32, error)) error {
	body := m.root.fields()
	var heads []fields
	size := len(body)
	for _, t := range m.tensors {
		var h fields
		for _, d := range t.shape {
			h.number(tensorDims, d)
		}
		h.number(tensorType, t.element)
		h.text(tensorName, t.name)
		h = protowire.AppendVarint(protowire.AppendTag(h, tensorRaw, protowire.BytesType), uint64(t.bytes()))
		var whole fields
		whole = protowire.AppendTag(whole, graphInitializer, protowire.BytesType)
		whole = protowire.AppendVarint(whole, uint64(len(h)+t.bytes()))
		whole = append(whole, h...)
		heads = append(heads, whole)
		size += len(whole) + t.bytes()
	}
	var head fields
	head.number(modelVersion, formatVersion)
	head.text(modelProducer, "gradsmith")
	head.text(modelDoc, m.Doc)
	var opset fields
	opset.number(opsetVersion, operators)
	head.message(modelOpset, opset)
	for _, kv := range m.Metadata {
		var pair fields
		pair.text(pairKey, kv[0])
		pair.text(pairValue, kv[1])
		head.message(modelMetadata, pair)
	}
	head = protowire.AppendVarint(protowire.AppendTag(head, modelGraph, protowire.BytesType), uint64(size))
	if len(head)+size > limit {
		return fmt.Errorf("the file would have %d bytes, and ONNX has at most %d in one", len(head)+size, limit)
	}
	if _, err := w.Write(append(head, body...)); err != nil {
		return err
	}
	for i, t := range m.tensors {
		if _, err := w.Write(heads[i]); err != nil {
			return err
		}
		raw := t.raw
		if raw == nil {
			x, err := numbers(t.from)
			if err != nil {
				return err
			}
			if raw = littleEndian(x); len(raw) != t.bytes() {
				return fmt.Errorf("onnx: %d numbers for %s of shape %v", len(x), t.from, t.shape)
			}
		}
		if _, err := w.Write(raw); err != nil {
			return err
		}
	}
	return nil
}

func littleEndian(x []float32) []byte {
	raw := make([]byte, 0, 4*len(x))
	for _, v := range x {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw
}

// Package onnxrun reads files of ONNX and computes in float64 what they say: the operators that gen/op writes, from
// their descriptions (github.com/onnx/onnx, docs/Operators.md, opset 17). Tests hold files to it; it shares no code
// with what writes them.
package onnxrun

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Tensor is a value. Numbers of all types are in F; Element is their type in the file.
type Tensor struct {
	Element int
	Shape   []int
	F       []float64
}

// Element types.
const (
	Float, Int32, Int64, Bool = 1, 6, 7, 9
)

// Port is an input or output of a graph; a dimension of -1 is known when it runs.
type Port struct {
	Name    string
	Element int
	Shape   []int
}

// Node is an operator.
type Node struct {
	Operator, Name string
	In, Out        []string
	Attrs          map[string]any // int, float64, string, []int, *Graph
}

// Graph is a graph: of the file, or a loop's body.
type Graph struct {
	Name            string
	Nodes           []Node
	Inputs, Outputs []Port
	Constants       map[string]*Tensor
}

// Read reads a file, whose operators must be those of version 17 of the default domain.
func Read(data []byte) (*Graph, error) {
	var g *Graph
	opset, version := 0, 0
	err := each(data, func(f protowire.Number, v uint64, b []byte) (err error) {
		switch f {
		case 1:
			version = int(v)
		case 7:
			g, err = readGraph(b)
		case 8:
			return each(b, func(f protowire.Number, v uint64, b []byte) error {
				if f == 2 {
					opset = int(v)
				} else if len(b) > 0 {
					return fmt.Errorf("onnxrun: operators of the domain %q", b)
				}
				return nil
			})
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case g == nil || opset != 17 || version != 8:
		return nil, fmt.Errorf("onnxrun: a file of version %d with operators of version %d", version, opset)
	}
	return g, nil
}

// each calls f for every field of a message.
func each(b []byte, f func(field protowire.Number, v uint64, b []byte) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var v uint64
		var part []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var x uint32
			x, n = protowire.ConsumeFixed32(b)
			v = uint64(x)
		case protowire.BytesType:
			part, n = protowire.ConsumeBytes(b)
		default:
			return fmt.Errorf("onnxrun: field %d is of the kind %d", field, kind)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := f(field, v, part); err != nil {
			return err
		}
	}
	return nil
}

func readGraph(b []byte) (*Graph, error) {
	g := &Graph{Constants: map[string]*Tensor{}}
	return g, each(b, func(f protowire.Number, _ uint64, b []byte) error {
		switch f {
		case 1:
			n, err := readNode(b)
			g.Nodes = append(g.Nodes, n)
			return err
		case 2:
			g.Name = string(b)
		case 5:
			name, t, err := readTensor(b)
			if g.Constants[name] != nil {
				return fmt.Errorf("onnxrun: two constants are named %s", name)
			}
			g.Constants[name] = t
			return err
		case 11, 12:
			p, err := readPort(b)
			if f == 11 {
				g.Inputs = append(g.Inputs, p)
			} else {
				g.Outputs = append(g.Outputs, p)
			}
			return err
		}
		return nil
	})
}

func readNode(b []byte) (Node, error) {
	n := Node{Attrs: map[string]any{}}
	err := each(b, func(f protowire.Number, _ uint64, b []byte) error {
		switch f {
		case 1:
			n.In = append(n.In, string(b))
		case 2:
			n.Out = append(n.Out, string(b))
		case 3:
			n.Name = string(b)
		case 4:
			n.Operator = string(b)
		case 5:
			return readAttr(b, n.Attrs)
		}
		return nil
	})
	return n, err
}

func readAttr(b []byte, attrs map[string]any) error {
	name, kind := "", 0
	found := map[protowire.Number]any{}
	ints := []int{}
	err := each(b, func(f protowire.Number, v uint64, b []byte) error {
		switch f {
		case 1:
			name = string(b)
		case 2:
			found[1] = float64(math.Float32frombits(uint32(v)))
		case 3:
			found[2] = int(v)
		case 4:
			found[3] = string(b)
		case 6:
			g, err := readGraph(b)
			found[5] = g
			return err
		case 8:
			ints = append(ints, int(v))
		case 20:
			kind = int(v)
		}
		return nil
	})
	if found[7] = ints; err == nil && found[protowire.Number(kind)] == nil {
		err = fmt.Errorf("onnxrun: the attribute %s has no value of its type %d", name, kind)
	}
	attrs[name] = found[protowire.Number(kind)]
	return err
}

func readTensor(b []byte) (string, *Tensor, error) {
	t := &Tensor{Shape: []int{}}
	var raw []byte
	name := ""
	err := each(b, func(f protowire.Number, v uint64, b []byte) error {
		switch f {
		case 1:
			t.Shape = append(t.Shape, int(v))
		case 2:
			t.Element = int(v)
		case 8:
			name = string(b)
		case 9:
			raw = b
		}
		return nil
	})
	if err != nil {
		return "", nil, err
	}
	size := 4
	if t.Element == Int64 {
		size = 8
	}
	if len(raw) != size*elems(t.Shape) {
		return "", nil, fmt.Errorf("onnxrun: %s of shape %v has %d bytes", name, t.Shape, len(raw))
	}
	for ; len(raw) > 0; raw = raw[size:] {
		switch t.Element {
		case Float:
			t.F = append(t.F, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
		case Int32:
			t.F = append(t.F, float64(int32(binary.LittleEndian.Uint32(raw))))
		case Int64:
			t.F = append(t.F, float64(int64(binary.LittleEndian.Uint64(raw))))
		default:
			return "", nil, fmt.Errorf("onnxrun: %s has the element type %d", name, t.Element)
		}
	}
	return name, t, nil
}

func readPort(b []byte) (Port, error) {
	p := Port{Shape: []int{}}
	within := func(b []byte, field protowire.Number, then func(b []byte) error) error {
		return each(b, func(f protowire.Number, _ uint64, b []byte) error {
			if f == field {
				return then(b)
			}
			return nil
		})
	}
	err := each(b, func(f protowire.Number, _ uint64, b []byte) error {
		if f == 1 {
			p.Name = string(b)
			return nil
		}
		return within(b, 1, func(b []byte) error {
			return each(b, func(f protowire.Number, v uint64, b []byte) error {
				if f == 1 {
					p.Element = int(v)
					return nil
				}
				return within(b, 1, func(b []byte) error {
					size := -1
					err := each(b, func(f protowire.Number, v uint64, _ []byte) error {
						if f == 1 {
							size = int(v)
						}
						return nil
					})
					p.Shape = append(p.Shape, size)
					return err
				})
			})
		})
	})
	return p, err
}

func elems(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

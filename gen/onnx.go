package gen

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/onnx"
	"github.com/gradsmith/gradsmith/gen/optimize"
	"github.com/gradsmith/gradsmith/spec"
)

// ONNXParts are the parts of a model that ONNX makes files of, the one that makes something first; one without a name
// is all of it.
func ONNXParts(m *spec.Model) (parts []string, err error) {
	err = compile(m, "build", func(c *compilation) error { parts = c.model.InferenceParts(); return nil })
	return parts, err
}

// ONNX is a part of a trained model as a file of ONNX, which has yet to be written with the parameters of a checkpoint;
// "" is the first part of ONNXParts. It fails when the model has no such part, or an operation has no form in ONNX.
func ONNX(m *spec.Model, part string) (file *onnx.Model, err error) {
	var refused error
	err = compile(m, "build", func(c *compilation) error {
		if part == "" {
			part = c.model.InferenceParts()[0]
		}
		file, refused = toONNX(c.model, part)
		return nil
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, err
	}
	return file, nil
}

func toONNX(b *build.Model, part string) (*onnx.Model, error) {
	g, err := b.Inference(part)
	if err != nil {
		return nil, err
	}
	if err := optimize.Portable(g); err != nil {
		return nil, err
	}
	params, tables := map[string]onnx.Param{}, map[string][]float64{}
	for _, p := range b.Params {
		params[p.Name()] = onnx.Param{Stacked: p.Stack > 0, Tensors: p.Tensors()}
	}
	for _, t := range b.Tables {
		tables[t.Name] = t.Values()
	}
	file, err := onnx.New(g, params, tables)
	if err != nil {
		return nil, err
	}
	file.Doc = b.Spec.Description
	file.Metadata = [][2]string{{"kind", b.Spec.Kind}}
	if part != "" {
		file.Metadata = append(file.Metadata, [2]string{"part", part})
	}
	if b.Spec.Vectors == nil {
		file.Metadata = append(file.Metadata, [2]string{"vocab", fmt.Sprint(b.Spec.Vocab())})
	}
	return file, nil
}

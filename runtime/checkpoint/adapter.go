package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Files of adapters have the adapter's tensors alone, under the names and in the layout of the PEFT library: of the
// matrix blocks.1.wqkv they are base_model.model.blocks.1.wqkv.lora_A.weight [rank, in] and ….lora_B.weight
// [out, rank], the transposes of A [in, rank] and B [rank, out]. A checkpoint of a training has the optimizer's arrays
// beside them.

const (
	peftPrefix = "base_model.model."
	peftA      = ".lora_A.weight"
	peftB      = ".lora_B.weight"

	keyAdapter = "gradsmith.adapter"      // of an adapter: its rank and alpha
	keyWith    = "gradsmith.with_adapter" // the same, of parameters with an adapter among them
)

// AdapterTensors are the names that the two tensors of an adapted matrix have in files of adapters: lora_A [rank, in]
// and lora_B [out, rank].
func AdapterTensors(matrix string) (a, b string) {
	return peftPrefix + matrix + peftA, peftPrefix + matrix + peftB
}

// adapterNames are the names of an adaption's tensors in a file.
func adapterNames(x model.Adaption) (a, b string) { return AdapterTensors(x.W.Name) }

// DescribingAdapter is [Describing] of the file of an adapter.
func DescribingAdapter(name, architecture, specDigest string, a model.Adapter) map[string]string {
	meta := Describing(name, architecture, specDigest)
	meta[keyAdapter] = adapterText(&a)
	return meta
}

// transposed is the transpose of a matrix.
func transposed(t model.Tensor, name string) Tensor {
	rows, columns := t.Shape[0], t.Shape[1]
	x := make([]float32, rows*columns)
	transpose(x, t.Value, rows, columns)
	return Tensor{name, []int{columns, rows}, x}
}

// transpose writes the transpose of a matrix of rows and columns to dst.
func transpose(dst, src []float32, rows, columns int) {
	for i := range rows {
		for j := range columns {
			dst[j*rows+i] = src[i*columns+j]
		}
	}
}

// adapterOf is the file of the adapter of m.
func adapterOf(m model.LanguageModel) *File {
	f := &File{Metadata: describing(m)}
	f.Metadata[keyAdapter] = adapterText(m.Info().Adapter)
	for _, x := range model.Adaptions(m) {
		a, b := adapterNames(x)
		f.Tensors = append(f.Tensors, transposed(x.A, a), transposed(x.B, b))
	}
	return f
}

func adapterText(a *model.Adapter) string { return fmt.Sprintf("rank %d alpha %v", a.Rank, a.Alpha) }

// SaveAdapter writes the adapter of m alone.
func SaveAdapter(path string, m model.LanguageModel) error {
	if m.Info().Adapter == nil {
		return fmt.Errorf("can't write the adapter %s: %s has none", path, m.Info().Name)
	}
	return adapterOf(m).WriteFile(path)
}

// SaveBase writes the parameters of m without its adapter: those that a spec without one has.
func SaveBase(path string, m model.LanguageModel, as Type) error {
	f := &File{Metadata: describing(m), Type: as}
	for _, t := range model.Base(m) {
		if len(t.Value) == 0 {
			return fmt.Errorf("can't write %s: %w", path, model.ErrMounted)
		}
		f.Tensors = append(f.Tensors, Tensor{t.Name, t.Shape, t.Value})
	}
	return f.WriteFile(path)
}

// LoadAdapter reads the adapter of m from the file at path, of [SaveAdapter], of a training, or of another program. On
// an error m is as it was, unless the file can no longer be read after its beginning could.
func LoadAdapter(path string, m model.LanguageModel) error {
	if info, err := files.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("adapter %s is a folder: one of the PEFT library has the names of the published model; put "+
			"it into ours by `gradsmith import MODEL --adapter %s`", path, path)
	}
	return read(path, func(s *source) error {
		if err := s.fitsAdapter(m); err != nil {
			return err
		}
		for _, x := range model.Adaptions(m) {
			a, b := adapterNames(x)
			if err := errors.Join(s.verify(s.entry(a)), s.verify(s.entry(b))); err != nil {
				return err
			}
		}
		return s.copyAdapter(m)
	})
}

// fitsAdapter reports why the file does not have the adapter of m.
func (s *source) fitsAdapter(m model.LanguageModel) error {
	info := m.Info()
	if info.Adapter == nil {
		return fmt.Errorf("is an adapter, and %s has none: add `adapter: {rank: R}` to %s and generate it again",
			info.Name, info.Spec)
	}
	if v, ok := s.metadata[keyFormat]; ok && v != format {
		return fmt.Errorf("has format %s, this program reads format %s: use the version of gradsmith that wrote it",
			strconv.Quote(v), format)
	}
	if v, ok := s.metadata[keyAdapter]; ok && v != adapterText(info.Adapter) {
		return fmt.Errorf("is an adapter of %s, and that of %s is of %s", v, info.Spec, adapterText(info.Adapter))
	}
	if name := s.metadata[keyName]; name != "" && s.metadata[keyArchitecture] != info.Architecture {
		return fmt.Errorf("is an adapter of another spec (model %s)", name)
	}
	want := map[string]bool{}
	for _, x := range model.Adaptions(m) {
		a, b := adapterNames(x)
		want[a], want[b] = true, true
		if err := errors.Join(s.has(a, []int{x.A.Shape[1], x.A.Shape[0]}),
			s.has(b, []int{x.B.Shape[1], x.B.Shape[0]})); err != nil {
			return fmt.Errorf("does not have the adapter of %s: %w", info.Spec, err)
		}
	}
	for _, e := range s.entries {
		if strings.Contains(e.name, ".lora_") && !want[e.name] {
			return fmt.Errorf("its tensor %s adapts what %s does not: name the same targets there", e.name, info.Spec)
		}
	}
	return nil
}

// copyAdapter reads the adapter into m.
func (s *source) copyAdapter(m model.LanguageModel) error {
	var buffer []float32
	for _, x := range model.Adaptions(m) {
		a, b := adapterNames(x)
		for _, y := range []struct {
			name string
			to   model.Tensor
		}{{a, x.A}, {b, x.B}} {
			buffer = slices.Grow(buffer[:0], len(y.to.Value))[:len(y.to.Value)]
			if err := s.read(s.entry(y.name), buffer); err != nil {
				return err
			}
			transpose(y.to.Value, buffer, y.to.Shape[1], y.to.Shape[0])
		}
	}
	return nil
}

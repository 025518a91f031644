// Package checkpoint keeps models in safetensors files: parameters alone, or all that a training needs to go on as if
// it had never stopped.
//
// It must not know how a training is run: what its loop wants kept comes as strings in Training.Loop.
package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Keys of the metadata.
const (
	keyFormat       = "gradsmith.format"
	keyName         = "gradsmith.name"
	keyArchitecture = "gradsmith.architecture"
	keySpec         = "gradsmith.spec_digest"
	keyTraining     = "gradsmith.training"
)

// format is the version of what metadata and names of tensors mean.
const format = "1"

// Prefixes of tensors that are not parameters.
const (
	slotPrefix  = "optimizer/"
	stateTensor = "training/state"
)

// Training is what a training needs besides parameters, optimizer and state to go on.
type Training struct {
	Step int               `json:"step"` // training steps done
	Seed uint64            `json:"seed"`
	Loop map[string]string `json:"loop,omitempty"` // what the training loop keeps: position in the data, best loss
}

// Save writes the parameters that learn, the optimizer's arrays, the carried state and t to path, atomically. Those
// that learn are all, or those of an adapter: then the others come from where they were read.
func Save(path string, m model.LanguageModel, t Training) error {
	f, err := trainingOf(m, t)
	if err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	return f.WriteFile(path)
}

// trainingOf is what Save writes.
func trainingOf(m model.LanguageModel, t Training) (*File, error) {
	f := learntOf(m)
	data, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	f.Metadata[keyTraining] = string(data)
	for _, s := range m.Slots() {
		f.Tensors = append(f.Tensors, Tensor{slotPrefix + s.Name, []int{len(s.Value)}, s.Value})
	}
	state := m.State()
	f.Tensors = append(f.Tensors, Tensor{stateTensor, []int{len(state)}, state})
	return f, nil
}

// Copy makes f a copy of what [Save] would write now, which can be written while m is trained on. Where f is an earlier
// copy of m, its memory is used again, so that nothing may be writing it.
func (f *File) Copy(m model.LanguageModel, t Training) error {
	now, err := trainingOf(m, t)
	if err != nil {
		return err
	}
	f.take(now, nil)
	return nil
}

// CopyWeights makes f a copy of what [SaveWeights] would write now, as Copy does. Parameters that an adapter is beside
// never change, and are not copied.
func (f *File) CopyWeights(m model.LanguageModel) {
	constant := map[string]bool{}
	if m.Info().Adapter != nil {
		for _, t := range model.Base(m) {
			constant[t.Name] = true
		}
	}
	f.take(parametersOf(m), constant)
}

// take copies the tensors of another file, but for those that stay as they are.
func (f *File) take(from *File, constant map[string]bool) {
	old := f.Tensors
	*f = *from
	for i, t := range f.Tensors {
		if constant[t.Name] {
			continue
		}
		var to []float32
		if i < len(old) && len(old[i].Value) == len(t.Value) {
			to = old[i].Value
		} else {
			to = make([]float32, len(t.Value))
		}
		copy(to, t.Value)
		f.Tensors[i].Value = to
	}
}

// SaveWeights writes the parameters alone, with every bit.
func SaveWeights(path string, m model.LanguageModel) error { return Export(path, m, F32) }

// Export writes the parameters alone, in numbers of a type, as a program that only uses a model embeds them. What reads
// checkpoints reads it, into float32.
func Export(path string, m model.LanguageModel, as Type) error {
	for _, t := range m.Tensors() {
		if len(t.Value) == 0 {
			return fmt.Errorf("can't write %s: %w", path, model.ErrMounted)
		}
	}
	f := parametersOf(m)
	f.Type = as
	return f.WriteFile(path)
}

// learntOf is what a training changes.
func learntOf(m model.LanguageModel) *File {
	if m.Info().Adapter != nil {
		return adapterOf(m)
	}
	return parametersOf(m)
}

func parametersOf(m model.LanguageModel) *File {
	f := &File{Metadata: describing(m)}
	if a := m.Info().Adapter; a != nil {
		f.Metadata[keyWith] = adapterText(a)
	}
	for _, t := range m.Tensors() {
		f.Tensors = append(f.Tensors, Tensor{t.Name, t.Shape, t.Value})
	}
	return f
}

// Describing gives the metadata of a checkpoint of a model: its name, and the digests of its architecture and of its
// spec, as the model's Info has them.
func Describing(name, architecture, specDigest string) map[string]string {
	return map[string]string{keyFormat: format, keyName: name, keyArchitecture: architecture, keySpec: specDigest}
}

// describing is the metadata by which a model knows its files.
func describing(m model.LanguageModel) map[string]string {
	info := m.Info()
	return Describing(info.Name, info.Architecture, info.SpecDigest)
}

// Info is what can be said of a checkpoint without a model.
type Info struct {
	Name     string    // of the model; empty for files of other programs
	Spec     string    // digest of the spec
	Training *Training // nil for parameters alone
	Tensors  int
	Numbers  int      // in all tensors
	Types    []string // of the numbers: "F32", "BF16" and the like, without repetition
	Weights  string   // kind of the matrices of a file of quantize; empty for parameters
	Bytes    int      // of all tensors
	Digest   string   // hex SHA-256 of what the header says, which has one of each tensor; empty where there is none
}

// Describe reads what can be said of the file at path, from its header alone.
func Describe(path string) (i *Info, err error) {
	err = read(path, func(s *source) error {
		i = &Info{Name: s.metadata[keyName], Spec: s.metadata[keySpec], Tensors: len(s.entries),
			Weights: s.metadata[keyWeights], Digest: s.metadata[keyDigest]}
		for _, e := range s.entries {
			i.Numbers += e.numbers()
			i.Bytes += e.Offsets[1] - e.Offsets[0]
			if !slices.Contains(i.Types, e.DType) {
				i.Types = append(i.Types, e.DType)
			}
		}
		i.Training, err = s.training()
		return err
	})
	if err != nil {
		return nil, err
	}
	return i, nil
}

// LoadWeights reads the parameters of m from the file at path, and verifies them where the file has digests. Files of
// other programs are welcome when their tensors have the names and shapes of m's. A file of [SaveMatrices] is mapped:
// m is then for writing, as [model.Packer] says of Mount. On an error m is as it was, unless the file can no longer be
// read after its beginning could.
func LoadWeights(path string, m model.LanguageModel) error {
	return read(path, func(s *source) error { return s.weightsInto(m) })
}

// ParseWeights is LoadWeights from memory.
func ParseWeights(data []byte, m model.LanguageModel) error {
	return ReadWeights(bytes.NewReader(data), int64(len(data)), m)
}

// ReadWeights is LoadWeights from size bytes of r.
func ReadWeights(r io.ReaderAt, size int64, m model.LanguageModel) error {
	s, err := open(r, size)
	if err == nil {
		s.whole = func() (*files.Mapping, error) { return files.ReadMapping(r, "in memory", size) }
		err = s.weightsInto(m)
	}
	return wrap("in memory", err)
}

// Load reads all that Save has written, and verifies it. Where the checkpoint was written under another spec that has
// the same parameters, it is loaded and changed is true: then the training goes on with the new spec's rates and data.
// On an error m is as it was, as with LoadWeights. Of a model with an adapter it is the adapter that is read.
func Load(path string, m model.LanguageModel) (t Training, changed bool, err error) {
	err = read(path, func(s *source) error {
		if err := s.parameters(); err != nil {
			return err
		}
		tp, err := s.training()
		if err != nil {
			return err
		}
		if tp == nil {
			return errors.New("holds parameters alone: a training can't go on from it")
		}
		adapter := m.Info().Adapter != nil
		if adapter {
			err = s.fitsAdapter(m)
		} else {
			err = s.fits(m)
		}
		if err != nil {
			return err
		}
		slots, state := m.Slots(), m.State()
		for _, x := range slots {
			if err := s.has(slotPrefix+x.Name, []int{len(x.Value)}); err != nil {
				return fmt.Errorf("%w; was the optimizer of the spec changed, or which parameters learn?", err)
			}
		}
		if err := s.has(stateTensor, []int{len(state)}); err != nil {
			return fmt.Errorf("%w; was the shape of the spec changed?", err)
		}
		if err := s.verifyAll(); err != nil {
			return err
		}
		for _, x := range slots {
			if err := s.read(s.entry(slotPrefix+x.Name), x.Value); err != nil {
				return err
			}
		}
		if err := s.read(s.entry(stateTensor), state); err != nil {
			return err
		}
		if adapter {
			err = s.copyAdapter(m)
		} else {
			err = s.copyWeights(m)
		}
		if err != nil {
			return err
		}
		m.SetStep(tp.Step)
		t, changed = *tp, s.metadata[keySpec] != m.Info().SpecDigest
		return nil
	})
	return t, changed, err
}

func wrap(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("checkpoint %s: %w", path, err)
}

// read opens the file at path for f.
func read(path string, f func(*source) error) error {
	r, err := files.Open(path)
	if err != nil {
		return fmt.Errorf("can't read the checkpoint: %w", err)
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return fmt.Errorf("can't read the checkpoint: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("can't read the checkpoint: %s is not a file", path)
	}
	s, err := open(r, info.Size())
	if err == nil {
		s.whole = func() (*files.Mapping, error) { return files.Map(r, path, info.Size()) }
		err = f(s)
	}
	return wrap(path, err)
}

// training is what a training needs to go on, or nil where the file has none.
func (src *source) training() (*Training, error) {
	s, ok := src.metadata[keyTraining]
	if !ok {
		return nil, nil
	}
	var t Training
	if err := json.Unmarshal([]byte(s), &t); err != nil {
		return nil, fmt.Errorf("the metadata %s is not valid: %w", keyTraining, err)
	}
	if t.Step < 0 {
		return nil, fmt.Errorf("the metadata %s is not valid: step %d", keyTraining, t.Step)
	}
	return &t, nil
}

func (s *source) weightsInto(m model.LanguageModel) error {
	if kind, ok, err := s.kind(); err != nil {
		return err
	} else if ok {
		return s.mount(m, kind)
	}
	if err := s.fits(m); err != nil {
		return err
	}
	for _, t := range s.wanted(m) { // before any of them is read, so that m stays as it is
		if err := s.verify(s.entry(t.Name)); err != nil {
			return err
		}
	}
	return s.copyWeights(m)
}

// wanted are the tensors that the file must have: those of an adapter, which changes nothing before it has learnt, are
// read where they are all there.
func (s *source) wanted(m model.LanguageModel) []model.Tensor {
	for _, x := range model.Adaptions(m) {
		if s.entry(x.A.Name) == nil || s.entry(x.B.Name) == nil {
			return model.Base(m)
		}
	}
	return m.Tensors()
}

func (s *source) copyWeights(m model.LanguageModel) error {
	for _, t := range s.wanted(m) {
		if err := s.read(s.entry(t.Name), t.Value); err != nil {
			return err
		}
	}
	return nil
}

// fits reports why the parameters are not those of m.
func (s *source) fits(m model.LanguageModel) error {
	info := m.Info()
	if _, ok := s.metadata[keyAdapter]; ok {
		return errors.New("is an adapter, without the parameters that it adapts: name it with --adapter, and the " +
			"checkpoint that it was trained on with --model")
	}
	if v, ok := s.metadata[keyFormat]; ok && v != format {
		return fmt.Errorf("has format %s, this program reads format %s: use the version of gradsmith that wrote it",
			strconv.Quote(v), format)
	}
	other := ""
	if name := s.metadata[keyName]; name != "" && s.metadata[keyArchitecture] != info.Architecture {
		other = fmt.Sprintf("is of another spec (model %s): ", name)
	}
	if v, ok := s.metadata[keyWith]; ok && info.Adapter != nil && v != adapterText(info.Adapter) {
		return fmt.Errorf("has an adapter of %s in it, and that of %s is of %s", v, info.Spec,
			adapterText(info.Adapter))
	}
	want := map[string]bool{}
	for _, t := range s.wanted(m) {
		want[t.Name] = true
		if err := s.has(t.Name, t.Shape); err != nil {
			return fmt.Errorf("%s%w", other, err)
		}
	}
	if other == "" {
		return nil
	}
	for _, t := range s.entries {
		if !want[t.name] && t.name != stateTensor && !strings.HasPrefix(t.name, slotPrefix) {
			return fmt.Errorf("%sits tensor %s is not in %s", other, t.name, info.Spec)
		}
	}
	return fmt.Errorf("%sits tensors have the shapes of %s, but its vocabulary or its layers mean something else",
		other, info.Spec)
}

// has reports why the file does not have a tensor of that name and shape.
func (s *source) has(name string, shape []int) error {
	t := s.entry(name)
	if t == nil {
		return fmt.Errorf("has no tensor %s of shape %v", name, shape)
	}
	if !slices.Equal(t.Shape, shape) {
		return fmt.Errorf("tensor %s has shape %v, the model's is %v", name, t.Shape, shape)
	}
	if widths[t.DType] == 0 {
		return fmt.Errorf("tensor %s has dtype %s: use F32, F64, F16 or BF16", name, t.DType)
	}
	return nil
}

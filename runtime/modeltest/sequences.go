package modeltest

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/cache"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// Sequences holds what a decoder gives for a sequence to the same bits whatever the other sequences do: where they
// begin, what they are fed, how many there are, and in which decoder the sequence was before.
func Sequences(t *testing.T, make func(seed uint64) Model) {
	m := make(3).(model.Writer)
	large(t, m.Info())
	info := m.Info()
	if info.Prefix > 0 || info.Latent != nil || info.Source != nil {
		return // whose decoders begin with what is not one token
	}
	text := []int32{1, 0, 1, 1, 0}
	for i := range text {
		text[i] = (text[i] + int32(i)) % int32(info.Vocab)
	}
	if c, ok := m.(model.Cacher); ok {
		defer caches(t, c, text)
	}
	alone := logitsOf(t, m.MakeDecoder(1), text)
	lookahead(t, m)
	d := m.MakeDecoder(3)
	// Sequence 1 begins while the others are in their text, and starts over once.
	for range 2 {
		if err := d.(model.Restarter).Restart(1); err != nil {
			t.Fatal(err)
		}
		for s, token := range text {
			if model.Room(d) == 0 {
				for i := range 3 {
					if i != 1 {
						must(0, d.(model.Restarter).Restart(i))
					}
				}
			}
			if model.Room(d) == 0 {
				return // of a window that has fewer tokens than the text
			}
			logits := must(d.Step([]int32{0, token, token}))
			sameRow(t, "in a sequence that begins later", s, logits[info.Vocab:2*info.Vocab], alone[s])
		}
	}
	// A text is begun in one decoder and gone on with in another.
	first := m.MakeDecoder(2)
	for _, token := range text[:3] {
		must(first.Step([]int32{0, token}))
	}
	if err := d.(model.Adopter).Adopt(2, first, 1); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 1} {
		must(0, d.(model.Restarter).Restart(i))
	}
	for s := 3; s < len(text); s++ {
		logits := must(d.Step([]int32{0, 0, text[s]}))
		sameRow(t, "after Adopt", s, logits[2*info.Vocab:], alone[s])
	}
	for _, err := range []error{d.(model.Restarter).Restart(3), d.(model.Restarter).Restart(-1),
		d.(model.Adopter).Adopt(0, first, 2), d.(model.Adopter).Adopt(3, first, 0),
		d.(model.Adopter).Adopt(0, make(3).(model.Writer).MakeDecoder(1), 0), d.(model.Adopter).Adopt(0, nil, 0)} {
		if err == nil {
			t.Error("a sequence that is not there is not refused")
		}
	}
}

// caches holds decoders that keep keys and values in fewer bits to what all decoders are held to: the same logits
// beside other sequences, several tokens at a time, and in another decoder of the same kind. Float32 is what there is
// without.
func caches(t *testing.T, m model.Cacher, text []int32) {
	t.Helper()
	usual := logitsOf(t, m.MakeDecoder(1), text)
	before := m.MakeDecoder(1)
	for _, kind := range cache.Kinds() {
		must(0, m.SetCache(kind))
		if m.CacheKind() != kind {
			t.Errorf("the kind of caches is %v behind SetCache(%v)", m.CacheKind(), kind)
		}
		alone := logitsOf(t, m.MakeDecoder(1), text)
		for s, row := range alone {
			for i, x := range row {
				if x-x != 0 {
					t.Fatalf("caches as %v: the logit of token %d behind token %d is %v", kind, i, s, x)
				}
			}
			if kind == cache.F32 {
				sameRow(t, "caches as f32", s, row, usual[s])
			}
		}
		lookahead(t, m)
		first, d := m.MakeDecoder(2), m.MakeDecoder(3)
		for s := range alone {
			if s == len(alone)/2 {
				must(0, d.(model.Adopter).Adopt(2, first, 1))
			}
			if s < len(alone)/2 {
				must(first.Step([]int32{0, text[s]}))
				must(d.Step([]int32{0, 0, 0}))
				continue
			}
			logits := must(d.Step([]int32{0, 0, text[s]}))
			sameRow(t, "after Adopt, caches as "+kind.String(), s, logits[2*len(alone[s]):], alone[s])
		}
		if err := d.(model.Adopter).Adopt(0, before, 0); (err == nil) != (kind == cache.F32) {
			t.Errorf("a decoder with caches as %v goes on from one with others: %v", kind, err)
		}
		for _, n := range []int{1, 3} {
			if got, one := m.CacheBytes(kind, n), m.CacheBytes(kind, 1); got != int64(n)*one || one <= 0 {
				t.Errorf("caches of %d sequences as %v take %d bytes, and those of one %d", n, kind, got, one)
			}
		}
	}
	if 2*m.CacheBytes(cache.BF16, 1) != m.CacheBytes(cache.F32, 1) {
		t.Errorf("caches as bf16 take %d bytes, and as f32 %d", m.CacheBytes(cache.BF16, 1), m.CacheBytes(cache.F32, 1))
	}
	must(0, m.SetCache(cache.F32))
	if m.SetCache(cache.Kind(9)) == nil {
		t.Error("a kind of caches that is none is not refused")
	}
}

// lookahead holds the logits behind each of several tokens that are read at once, after some that were taken back, to
// those of one token after the other.
func lookahead(t *testing.T, m model.Writer) {
	t.Helper()
	const n = 2 // sequences
	d, ok := m.MakeDecoder(n).(model.Lookahead)
	if !ok {
		return
	}
	vocab := m.Info().Vocab
	var text []int32
	for i := range 17 {
		text = append(text, int32((i*7+3)%vocab))
	}
	alone := logitsOf(t, m.MakeDecoder(1), text)
	text = text[:len(alone)]
	for size := 1; size <= min(d.Ahead(), len(text)); size++ {
		d.Reset()
		for at := 0; at+size <= len(text); at += size {
			var tokens, others []int32
			for _, token := range text[at : at+size] {
				for range n {
					tokens, others = append(tokens, token), append(others, (token+1)%int32(vocab))
				}
			}
			must(d.FeedEach(others))
			for i := range n {
				must(0, d.Rewind(i, size))
			}
			for k, logits := range slices.Collect(slices.Chunk(must(d.FeedEach(tokens)), vocab)) {
				sameRow(t, "asked about several tokens at once", at+k/n, logits, alone[at+k/n])
			}
		}
	}
	d.Reset()
	must(d.Step([]int32{text[0], text[0]}))
	for _, c := range [][2]int{{0, 2}, {0, -1}, {n, 1}, {-1, 0}} {
		if d.Rewind(c[0], c[1]) == nil {
			t.Errorf("a decoder takes back %d tokens of sequence %d", c[1], c[0])
		}
	}
	if _, err := d.FeedEach(make([]int32, n*(d.Ahead()+1))); err == nil {
		t.Error("a decoder gives logits behind more tokens than it says")
	}
}

// logitsOf is what a decoder of one sequence gives for each token of a text.
func logitsOf(t *testing.T, d model.Decoder, text []int32) (all [][]float32) {
	t.Helper()
	for _, token := range text {
		if model.Room(d) == 0 {
			return all
		}
		all = append(all, slices.Clone(must(d.Step([]int32{token}))))
	}
	return all
}

func sameRow(t *testing.T, how string, step int, got, want []float32) {
	t.Helper()
	for i, x := range got {
		if math.Float32bits(x) != math.Float32bits(want[i]) {
			t.Fatalf("%s: step %d: the logit of token %d is %v, and %v where the sequence is alone", how, step, i, x,
				want[i])
		}
	}
}

// sensitivity is how far the logits of step, which are live without it, move when the matrices of a model are off by as
// much as rounding them to a kind may be. A norm of small numbers and a cap of large ones make much of little; where
// they do, rounding has to be allowed that much.
func sensitivity(m Model, kind weights.Kind, live []float32, step func() []float32) float64 {
	kept, most := copies(m), 0.0
	var noise []float32
	for round := range 16 {
		for k, tensor := range m.Tensors() {
			largest := float32(0)
			for _, x := range tensor.Value {
				largest = max(largest, x, -x)
			}
			n := len(tensor.Value)
			noise = append(noise[:0], tensor.Value...)
			kernel.Uniform(noise, model.Key(3, uint64(round), uint64(k)), 0, n)
			for i := range tensor.Value {
				off := 2*noise[i] - 1
				switch kind {
				case weights.F32: // by their last bits
					off *= tensor.Value[i] / (1 << 23)
				case weights.BF16:
					off *= tensor.Value[i] / 256
				case weights.Q8:
					off *= largest / 127
				case weights.Q4:
					off *= largest / 7
				}
				tensor.Value[i] += off
			}
		}
		for i, x := range step() {
			most = max(most, math.Abs(float64(x-live[i])))
		}
		for k, tensor := range m.Tensors() {
			copy(tensor.Value, kept[k])
		}
	}
	return most
}

// Weights holds decoders of packed matrices to those that read the parameters: the same bits as float32, about the
// same numbers as bf16 and in 8 bits, and none of it after a training step.
func Weights(t *testing.T, make func(seed uint64) Model) {
	m := make(4)
	large(t, m.Info())
	info := m.Info()
	p := m.(model.Packer)
	n := min(2, info.Batch)
	b := batch(info, 1, n, 5)
	step := func() []float32 { return stepOf(begun(p, n, b), n, b) }
	live := step()
	scale := 0.0
	for _, x := range live {
		scale = max(scale, math.Abs(float64(x)))
	}
	for _, kind := range weights.Kinds() {
		must(0, p.Pack(kind))
		got := step()
		for _, sequences := range []int{n, 5} {
			d := p.MakeDecoder(sequences)
			if model.Room(d) < 2 || info.Source != nil || info.Latent != nil {
				break // of models that do not begin with a token
			}
			tokens := slices.Repeat([]int32{0}, sequences)
			if n := allocations(3, func() {
				if model.Room(d) == 0 {
					d.Reset()
				}
				must(d.Step(tokens))
			}); n != 0 {
				t.Errorf("%v: a step of %d sequences allocates %v times", kind, sequences, n)
			}
		}
		if kind == weights.F32 {
			sameRow(t, "packed as float32", 0, got, live)
			continue
		}
		must(0, p.Pack(weights.Live))
		tolerance := map[weights.Kind]float64{weights.BF16: 0.05, weights.Q8: 0.1, weights.Q4: 0.6}[kind] * scale
		tolerance = max(tolerance, 16*sensitivity(m, kind, live, step))
		for i, x := range got {
			if diff := math.Abs(float64(x - live[i])); !(diff <= tolerance) {
				t.Fatalf("%v: logit %d is %v, and %v in float32, and may differ by %v", kind, i, x, live[i], tolerance)
			}
		}
	}
	must(0, p.Pack(weights.Live))
	sameRow(t, "after Pack(weights.Live)", 0, step(), live)
	mounted(t, p, func() model.Packer { return make(5).(model.Packer) }, n, b)

	must(0, p.Pack(weights.Q4))
	steps, rows := size(info)
	if _, _, err := m.TrainStep(batch(info, steps, rows, 7), 0); err != nil {
		t.Fatal(err)
	}
	clear(m.State())
	sameRow(t, "after a training step at rate 0", 0, step(), live)

	var names []string
	for _, tensor := range m.Tensors() {
		if len(tensor.Shape) == 2 {
			names, tensor.Value[0] = append(names, tensor.Name), float32(math.Inf(1))
		}
	}
	for _, kind := range weights.Kinds() {
		err := p.Pack(kind)
		if err == nil || !slices.ContainsFunc(names,
			func(name string) bool { return strings.Contains(err.Error(), name) }) {
			t.Errorf("%v: a tensor that is not finite: %v", kind, err)
		}
	}
}

// begun is a decoder for the sequences of b.
func begun(p model.Packer, n int, b *model.Batch) model.Decoder {
	d := p.MakeDecoder(n)
	switch d := d.(type) {
	case model.Encoder:
		must(0, d.Encode(b.Source))
	case model.LatentDecoder:
		z := model.Floats(n * p.Info().Latent.Width)
		for i := range z {
			z[i] = float32(i%3) - 1
		}
		must(0, d.Begin(z, b.Labels))
	}
	return d
}

// stepOf is what the next step of a decoder gives.
func stepOf(d model.Decoder, n int, b *model.Batch) []float32 {
	return slices.Clone(must(d.Step(b.Tokens[:n])))
}

// mounted holds models that have mapped files of matrices to the bits of p, of which the files are made. They can do
// nothing but write; a file that is shortened under them is an error.
func mounted(t *testing.T, p model.Packer, fresh func() model.Packer, n int, b *model.Batch) {
	path := filepath.Join(t.TempDir(), "matrices.safetensors")
	for _, kind := range weights.Kinds() {
		must(0, checkpoint.SaveMatrices(path, p, kind))
		if p.Kind() != kind {
			t.Errorf("the matrices are %v after they were saved as %v", p.Kind(), kind)
		}
		m := fresh()
		must(0, checkpoint.LoadWeights(path, m))
		sameRow(t, "mapped as "+kind.String(), 0, stepOf(begun(m, n, b), n, b), stepOf(begun(p, n, b), n, b))
		if m.Kind() != kind {
			t.Errorf("a file of %v gives %v", kind, m.Kind())
		}
		_, err := m.Loss(b)
		for call, err := range map[string]error{"Loss": err, "Pack": m.Pack(weights.F32),
			"SaveWeights":  checkpoint.SaveWeights(path+".2", m),
			"SaveMatrices": checkpoint.SaveMatrices(path+".2", m, kind)} {
			if !errors.Is(err, model.ErrMounted) {
				t.Errorf("%s of a model that has mapped a file of matrices: %v", call, err)
			}
		}
		if _, err := os.Stat(path + ".2"); err == nil {
			t.Error("what could not be written was begun")
		}
	}
	must(0, p.Pack(weights.Live))
	if runtime.GOOS != "linux" {
		return // files may not be mapped, or their locks keep them from being shortened
	}
	m := fresh()
	must(0, checkpoint.LoadWeights(path, m))
	d := begun(m, n, b)
	f, err := files.OpenFile(path, os.O_RDWR, 0)
	must(0, err)
	must(0, errors.Join(f.Truncate(0), f.Close()))
	if _, err := d.Step(b.Tokens[:n]); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that was shortened while it was mapped: %v", err)
	}
}

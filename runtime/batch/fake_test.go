package batch

import (
	"github.com/gradsmith/gradsmith/runtime/model"
)

type fakeModel struct{ model.Writer }

func (m fakeModel) MakeDecoder(n int) model.Decoder {
	if model.Chunk(m.Writer.MakeDecoder(1)) > 1 {
		return &fakeChunked{newFake(m.Writer, n)}
	}
	return newFake(m.Writer, n)
}

type fake struct {
	seqs []model.Decoder
	logs [][][]int32
	out  []float32
	mine []int32
}

type stateful interface{ State() []float32 }

func newFake(m model.Writer, n int) *fake {
	f := &fake{logs: make([][][]int32, n)}
	for range n {
		f.seqs = append(f.seqs, m.MakeDecoder(1))
	}
	return f
}
func (f *fake) base() *fake { return f }
func (f *fake) Batch() int  { return len(f.seqs) }
func (f *fake) Step(tokens []int32) ([]float32, error) {
	return f.feed(tokens)
}
func (f *fake) feed(tokens []int32) ([]float32, error) {
	n := len(f.seqs)
	f.out = f.out[:0]
	for i, d := range f.seqs {
		mine := f.mine[:0]
		if _, ok := d.(stateful); !ok {
			mine = nil
		}
		for s := range len(tokens) / n {
			mine = append(mine, tokens[s*n+i])
		}
		x, err := model.Feed(d, mine)
		if err != nil {
			return nil, err
		}
		f.mine = mine
		if _, ok := d.(stateful); !ok {
			f.logs[i] = append(f.logs[i], mine)
		}
		f.out = append(f.out, x...)
	}
	return f.out, nil
}
func (f *fake) Reorder([]int) error { panic("unused") }
func (f *fake) Reset() {
	for i := range f.seqs {
		f.Restart(i)
	}
}
func (f *fake) Restart(i int) error { f.seqs[i].Reset(); f.logs[i] = nil; return nil }
func (f *fake) Adopt(i int, from model.Decoder, j int) error {
	other := from.(interface{ base() *fake }).base()
	f.Restart(i)
	if x, ok := f.seqs[i].(stateful); ok {
		copy(x.State(), other.seqs[j].(stateful).State())
		return nil
	}
	for _, x := range other.logs[j] {
		if x[0] < 0 {
			continue
		}
		if _, err := model.Feed(f.seqs[i], x); err != nil {
			return err
		}
		f.logs[i] = append(f.logs[i], x)
	}
	return nil
}

type fakeChunked struct{ *fake }

func (f *fakeChunked) Chunk() int                             { return model.Chunk(f.seqs[0]) }
func (f *fakeChunked) Feed(tokens []int32) ([]float32, error) { return f.feed(tokens) }
func (f *fakeChunked) Room() int {
	room := model.Room(f.seqs[0])
	for _, s := range f.seqs {
		room = min(room, model.Room(s))
	}
	return room
}

package batch

import (
	"errors"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// apart makes a joinable decoder of decoders for one sequence each, of a model whose own let no sequence begin or be copied
// alone. A step then takes as many steps as there are texts. What adopts a sequence takes it away from where it was.
type apart struct {
	decoders []model.Decoder
	logits   []float32
	row      int // length of a row of logits
}

func newApart(m model.Writer, n int) *apart {
	d := &apart{}
	for range n {
		d.decoders = append(d.decoders, m.MakeDecoder(1))
	}
	return d
}

func (d *apart) Batch() int { return len(d.decoders) }
func (d *apart) Chunk() int { return model.Chunk(d.decoders[0]) }

// Step is Feed of one token for each sequence.
func (d *apart) Step(tokens []int32) ([]float32, error) { return d.Feed(tokens) }

// Feed feeds tokens [steps, Batch]. Below 0 they are none, of a sequence whose logits are those of another call.
func (d *apart) Feed(tokens []int32) ([]float32, error) {
	n := len(d.decoders)
	if n == 1 {
		return model.Feed(d.decoders[0], tokens)
	}
	if len(tokens) != n {
		return nil, errors.New("batch: decoders that are apart read one token at a time")
	}
	for i, t := range tokens {
		if t < 0 {
			continue
		}
		x, err := d.decoders[i].Step(tokens[i : i+1])
		if err != nil {
			return nil, err
		}
		if d.row == 0 {
			d.row = len(x)
			d.logits = make([]float32, n*d.row)
		}
		copy(d.logits[i*d.row:], x)
	}
	return d.logits, nil
}

func (d *apart) Reorder([]int) error {
	return errors.New("batch: decoders that are apart have no order")
}

func (d *apart) Reset() {
	for _, x := range d.decoders {
		x.Reset()
	}
}

func (d *apart) Restart(i int) error {
	d.decoders[i].Reset()
	return nil
}

// Adopt exchanges sequence i with sequence j of from.
func (d *apart) Adopt(i int, from model.Decoder, j int) error {
	other := from.(*apart)
	d.decoders[i], other.decoders[j] = other.decoders[j], d.decoders[i]
	return nil
}

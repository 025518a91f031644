package inference

import (
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Guided is m with decoders that let labels count for more (classifier-free guidance, Ho and Salimans 2022, equation 6,
// with 1 + w = scale): the logits of a token are
//
//	a + scale·(b − a)
//
// a without a label and b with it, from the same latent vector. A scale of 1 is m. It is an error where m has no
// labels, or was not trained without them too: see labels.drop of specs.
func Guided(m Sentences, scale float64) (Sentences, error) {
	switch info := m.Info(); {
	case info.Labels == 0:
		return nil, fmt.Errorf("inference: %s has no labels that could count for more", info.Name)
	case !info.LearnsUnlabelled():
		return nil, fmt.Errorf("inference: %s has not learnt to write without a label, which guidance asks for: give "+
			"labels.drop in its spec, such as 0.1", info.Name)
	case !(scale >= 0 && scale <= 1000):
		return nil, fmt.Errorf("inference: guidance of %v: it must be from 0 to 1000", scale)
	case scale == 1:
		return m, nil
	}
	return &guided{m, float32(scale)}, nil
}

type guided struct {
	Sentences
	scale float32
}

func (g *guided) MakeDecoder(batch int) model.Decoder {
	told, untold := g.Sentences.MakeDecoder(batch), g.Sentences.MakeDecoder(batch)
	return &guidedDecoder{Decoder: told, told: told.(model.LatentDecoder), untold: untold.(model.LatentDecoder),
		scale: g.scale}
}

// guidedDecoder writes with two decoders, of which one is told labels.
type guidedDecoder struct {
	model.Decoder
	told, untold model.LatentDecoder
	scale        float32
	logits       []float32
}

func (d *guidedDecoder) Begin(z []float32, labels []int32) error {
	if err := d.told.Begin(z, labels); err != nil {
		return err
	}
	none := make([]int32, len(labels))
	for i := range none {
		none[i] = model.NoLabel
	}
	return d.untold.Begin(z, none)
}

func (d *guidedDecoder) Step(tokens []int32) ([]float32, error) {
	a, err := d.untold.Step(tokens)
	if err != nil {
		return nil, err
	}
	b, err := d.told.Step(tokens)
	if err != nil {
		return nil, err
	}
	if d.logits == nil {
		d.logits = make([]float32, len(b))
	}
	for i, x := range b {
		d.logits[i] = a[i] + float32(d.scale*(x-a[i]))
	}
	return d.logits, nil
}

func (d *guidedDecoder) Reorder(from []int) error {
	if err := d.told.Reorder(from); err != nil {
		return err
	}
	return d.untold.Reorder(from)
}

func (d *guidedDecoder) Reset() {
	d.told.Reset()
	d.untold.Reset()
}

// Room is how many tokens both can still take.
func (d *guidedDecoder) Room() int { return min(model.Room(d.told), model.Room(d.untold)) }

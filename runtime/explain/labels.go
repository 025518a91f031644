package explain

import (
	"fmt"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Relabel gives what a conditional model makes of b when its label is each of labels in turn. All else stays what it
// is: the noise of a generator, and the latent vector of an autoencoder, which its encoder would else tell otherwise
// for another label.
func (e *Explainer) Relabel(b *model.Batch, labels []int32) ([]*Pass, error) {
	if len(b.Labels) != 1 {
		return nil, fmt.Errorf("the batch has %d labels, and relabelling takes one of a conditional model", len(b.Labels))
	}
	first, err := e.Run(b)
	if err != nil {
		return nil, err
	}
	var latent []float32
	var name string
	for _, t := range first.Of(model.TapLatent) {
		latent, name = t.Value, t.Name
	}
	var all []*Pass
	for _, label := range labels {
		other := *b
		other.Labels = []int32{label}
		p, err := e.Run(&other)
		if err != nil {
			return nil, err
		}
		if latent != nil {
			now := slices.Clone(p.Tap(name).Value)
			err := e.moved(&other, func(tap *model.Tap) {
				if tap.Name == name {
					for i, z := range latent {
						tap.Add[i] = z - now[i]
					}
				}
			}, func() (err error) { p, err = e.Run(&other); return err })
			if err != nil {
				return nil, err
			}
		}
		all = append(all, p)
	}
	return all, nil
}

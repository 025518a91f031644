package modeltest

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Early checks, in each training step of m from here on, that gradients which are said to be complete are so, and gives
// what is wrong to fail. It gives a function that tells which share of the numbers of gradients has been said to be
// complete before the end of a step.
func Early(m model.LanguageModel, fail func(text string)) (share func() float64) {
	t := m.(scheduled).Training()
	early, all := 0, 0
	type word struct {
		from int
		is   []float32 // what is said to be complete
	}
	for _, s := range t.Steps {
		gradients := s.Gradients
		s.Gradients = func(b *model.Batch) (float64, error) {
			var words []word
			end := s.Moves[len(s.Moves)-1].To
			t.Watch = func(from int) {
				if n := len(words); n > 0 && words[n-1].from < from {
					fail(fmt.Sprintf("step %q: gradients from %d on, and then from %d on, are said to be complete", s.Name,
						words[n-1].from, from))
				}
				words = append(words, word{from, append([]float32{}, t.Grads[min(from, end):end]...)})
			}
			loss, err := gradients(b)
			t.Watch = nil
			for _, w := range words {
				for i, x := range w.is {
					if math.Float32bits(x) != math.Float32bits(t.Grads[w.from+i]) {
						fail(fmt.Sprintf("step %q: the gradients from %d on are said to be complete, and number %d changes", s.Name,
							w.from, w.from+i))
						break
					}
				}
			}
			all += end - s.Moves[0].From
			if n := len(words); n > 0 {
				early += max(0, end-max(words[n-1].from, s.Moves[0].From))
			}
			return loss, err
		}
	}
	return func() float64 { return float64(early) / float64(max(1, all)) }
}

package text

import (
	"fmt"
	"math"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// TestLabelDrop: training reads a share of the sentences without their label, others in each pass; a batch that is read
// again is the same, and an evaluation leaves none out.
func TestLabelDrop(t *testing.T) {
	const n, drop = 4000, 0.3
	var lines []string
	labels := make([]int32, n)
	for i := range n {
		lines = append(lines, fmt.Sprintf("line %d", i))
		labels[i] = int32(i % 3)
	}
	o := PairOptions{Source: model.Source{Vocab: 100, Steps: 20, End: 98, AnswerBegin: 97, AnswerEnd: 98}, Steps: 20,
		Labels: labels, Drop: drop}
	p, err := NewPairs("lines", lines, lines, ASCII(), ASCII(), o)
	if err != nil {
		t.Fatal(err)
	}
	o.Drop = 0
	all, err := NewPairs("lines", lines, lines, ASCII(), ASCII(), o)
	if err != nil {
		t.Fatal(err)
	}
	if p.Digest == all.Digest {
		t.Error("a share of labels that are left out changes no digest")
	}
	batches := func(b *Batches, err error) *Batches {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	read := func(b, reference *Batches) (none []bool) {
		var w, full model.Batch
		for b.Next(&w) && reference.Next(&full) {
			for i, l := range w.Labels {
				if l != full.Labels[i] && l != model.NoLabel {
					t.Fatalf("label %d in place of %d", l, full.Labels[i])
				}
				none = append(none, l == model.NoLabel)
			}
		}
		return none
	}
	b, reference := batches(p.Shuffled(64, 5)), batches(all.Shuffled(64, 5))
	var passes [2][]bool
	for pass := range passes {
		b.SetPosition(pass, 0)
		reference.SetPosition(pass, 0)
		passes[pass] = read(b, reference)
		share := 0.0
		for _, x := range passes[pass] {
			if x {
				share += 1.0 / n
			}
		}
		if math.Abs(share-drop) > 0.03 {
			t.Errorf("pass %d leaves out a share of %v", pass, share)
		}
	}
	same := 0
	for i := range passes[0] {
		if passes[0][i] == passes[1][i] {
			same++
		}
	}
	if same == n {
		t.Error("two passes leave out the same labels")
	}
	b.SetPosition(1, 3)
	reference.SetPosition(1, 3)
	for i, x := range read(b, reference) {
		if x != passes[1][3*64+i] {
			t.Fatal("a pass that begins in the middle leaves out other labels")
		}
	}
	for i, x := range read(batches(p.Whole(64)), batches(all.Whole(64))) {
		if x {
			t.Fatalf("an evaluation leaves out label %d", i)
		}
	}
	for _, bad := range []float64{-0.1, 1, math.NaN()} {
		o.Drop = bad
		if _, err := NewPairs("lines", lines, lines, ASCII(), ASCII(), o); err == nil {
			t.Errorf("a share of %v is no error", bad)
		}
	}
}

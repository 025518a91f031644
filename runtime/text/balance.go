package text

import (
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Groups is the groups that the lines come in, by the rule of [data.Groups], and the number of the group of each
// line, from 0. It is an error when there is one group alone.
func (in Input) Groups() (names []string, of []int32, err error) {
	if names, of, err = in.parts(Input.count); err == nil && names == nil {
		err = in.oneGroup()
	}
	return names, of, err
}

func (in Input) oneGroup() error {
	return fmt.Errorf("%s is all of one group: name several files, or a folder of them", in.Name())
}

// count is the number of lines.
func (in Input) count() (int, error) {
	lines, err := in.Lines()
	return len(lines), err
}

// parts is Groups with what tells the number of lines of a group. Of one group alone it gives none.
func (in Input) parts(lines func(Input) (int, error)) (names []string, of []int32, err error) {
	if names, err = data.Groups(in.Match, in.Paths...); err != nil || len(names) < 2 {
		return nil, nil, err
	}
	for g, path := range names {
		group := in
		group.Paths = []string{path}
		n, err := lines(group)
		if err != nil {
			return nil, nil, err
		}
		for range n {
			of = append(of, int32(g))
		}
	}
	return names, of, nil
}

// missingGroups is how many groups have no part in what stands from cut on.
func missingGroups(groups []int32, cut int) int {
	seen := map[int32]bool{}
	for _, g := range groups {
		seen[g] = false
	}
	missing := len(seen)
	for _, g := range groups[min(max(cut, 0), len(groups)):] {
		if !seen[g] {
			seen[g] = true
			missing--
		}
	}
	return missing
}

// drawer draws examples of groups, each group as often as its share says.
type drawer struct {
	groups [][]int32 // the examples of each
	wanted []int     // of each group in a pass; as many in all as there are examples
	seed   uint64
	work   []int32
}

func newDrawer(of []int32, temperature float64, seed uint64) *drawer {
	d := &drawer{seed: seed}
	for i, g := range of {
		for int(g) >= len(d.groups) {
			d.groups = append(d.groups, nil)
		}
		d.groups[g] = append(d.groups[g], int32(i))
	}
	sizes := make([]int, len(d.groups))
	for g, all := range d.groups {
		sizes[g] = len(all)
	}
	// Rounded so that the sum is right: each group ends where the shares up to it say.
	sum, begin := 0.0, 0
	for _, share := range data.Shares(sizes, temperature) {
		sum += share
		end := int(sum*float64(len(of)) + 0.5)
		d.wanted = append(d.wanted, end-begin)
		begin = end
	}
	return d
}

// draw fills order with the examples of a pass. A group is gone through in rounds, each in an order of its own, and a
// pass begins where the one before it ended, so that no example of a group comes twice before each has come once.
func (d *drawer) draw(order []int32, pass int) {
	order = order[:0]
	for g, all := range d.groups {
		from, to := pass*d.wanted[g], (pass+1)*d.wanted[g]
		for from < to {
			round, at := from/len(all), from%len(all)
			d.work = append(d.work[:0], all...)
			model.Shuffle(d.work, d.seed, uint64(g), uint64(round), drawing)
			n := min(len(all)-at, to-from)
			order = append(order, d.work[at:at+n]...)
			from += n
		}
	}
}

const drawing = 0xba1a // of the keys of what drawers draw

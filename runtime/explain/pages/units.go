package pages

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/page"
)

// Corpus is what a page about units in a long text shows.
type Corpus struct {
	Info      *model.Info
	Explainer *explain.Explainer
	Name      string // of the text
	Tokens    []int32
	Piece     func(t int32) string // the text of a token
	Positions int                  // how many are read at the most; of a search as many again that it is held to
}

// limits of such a page.
const (
	contexts  = 8   // that a unit likes most
	around    = 60  // tokens before a place that a unit likes, and two thirds as many behind it
	excerpt   = 700 // tokens over which a unit that was found is shown
	bins      = 32  // of a unit's values, in a picture of them
	binsOf    = 72  // of a property that is a number
	pixelsBin = 6   // to each side
)

// warm is how many positions of a range that is read do not count, as the model has seen next to nothing before them.
func (c *Corpus) warm(ranges [][2]int) int {
	least := math.MaxInt
	for _, r := range ranges {
		least = min(least, (r[1]-r[0])/10)
	}
	return min(c.Info.Steps, least)
}

// read says how much of the text is read.
func (c *Corpus) read(positions int) string {
	return fmt.Sprintf("%d of the %d tokens of %s", positions, len(c.Tokens), c.Name)
}

// Likes makes a page of the contexts that units like most.
func (c *Corpus) Likes(ctx context.Context, units []explain.Unit) (*page.Page, []explain.Liked, error) {
	ranges := explain.Runs(len(c.Tokens), c.Positions)
	liked, err := c.Explainer.Likes(ctx, c.Tokens, ranges, c.warm(ranges), units, contexts, around)
	if err != nil {
		return nil, nil, err
	}
	p := &page.Page{Title: "What units of " + c.Info.Name + " like", About: fmt.Sprintf("%s. Read: %s.",
		c.Info.String(),
		c.read(len(liked[0].All)))}
	for _, l := range liked {
		most, mean := 0.0, 0.0
		for _, x := range l.All {
			most, mean = max(most, math.Abs(x.Value)), mean+x.Value/float64(len(l.All))
		}
		s := page.Section{Title: l.String(), Text: fmt.Sprintf("Its values behind each token, blue above 0 and orange "+
			"below, around the places where it is largest and smallest, which are outlined. Its mean is %+.3f.", mean)}
		for _, end := range []struct {
			name   string
			places []explain.Place
		}{{"largest", l.Most}, {"smallest", l.Least}} {
			for i, place := range end.places {
				s.Blocks = append(s.Blocks, page.Block{Fold: true, Open: end.name == "largest" || i == 0,
					Title: fmt.Sprintf("%s, number %d: %+.3f at token %d", upperFirst(end.name), i+1, place.Value,
						place.At+1), Tokens: c.over(l.All, place.At-around, place.At+around*2/3, most, place.At)})
			}
		}
		p.Sections = append(p.Sections, s)
	}
	return p, liked, nil
}

// over is the tokens [from, to) on the ground of a unit's values, of which all are known; aim is the token that is
// outlined, or −1.
func (c *Corpus) over(all []explain.Place, from, to int, most float64, aim int) []page.Token {
	var tokens []page.Token
	for at := max(0, from); at < min(to, len(c.Tokens)); at++ {
		t := page.Token{Text: visible(c.Piece(c.Tokens[at])), Aim: at == aim}
		if i, ok := slices.BinarySearchFunc(all, at, func(p explain.Place, at int) int { return p.At - at }); ok {
			t.Title, t.Ground = fmt.Sprintf("%+.3f", all[i].Value), page.Signed(all[i].Value/most)
		}
		tokens = append(tokens, t)
	}
	return tokens
}

// Find searches the units for those that go with a property, with the first four fifths of the text, holds what it
// finds to the last fifth, and makes a page of it.
func (c *Corpus) Find(ctx context.Context, property *explain.Property) (*page.Page, *explain.Found, error) {
	if len(c.Tokens) < 100 {
		return nil, nil, fmt.Errorf("%s has %d tokens, and a search takes 100 or more", c.Name, len(c.Tokens))
	}
	pieces := make([]string, len(c.Tokens))
	for i, t := range c.Tokens {
		pieces[i] = c.Piece(t)
	}
	split := len(c.Tokens) * 4 / 5
	s := explain.Search{Tokens: c.Tokens, Property: property.Over(pieces), Runs: explain.Runs(split, c.Positions)}
	for _, r := range explain.Runs(len(c.Tokens)-split, c.Positions) {
		s.Held = append(s.Held, [2]int{split + r[0], split + r[1]})
	}
	s.Warm = c.warm(append(slices.Clone(s.Runs), s.Held...))
	f, err := c.Explainer.Find(ctx, property, s)
	if err != nil {
		return nil, nil, err
	}
	best := f.Best[0]
	p := &page.Page{Title: "Which unit of " + c.Info.Name + " goes with " + property.Name,
		About: fmt.Sprintf("%s. The property: %s. Searched: %d units, with %s before its last fifth; held to %d of the "+
			"last fifth.", c.Info.String(), property.About, f.Units, c.read(f.Searched), f.Held)}
	table := &page.Table{Label: "Units", Head: []string{"unit", property.Measure() + ", searched", property.Measure() +
		", held"}}
	for _, x := range f.Best {
		table.Rows = append(table.Rows, page.Row{Name: x.String(), Cells: []page.Token{
			{Text: property.Text(x.Search), Ground: page.Signed(property.Signed(x.Search))},
			{Text: property.Text(x.Held), Ground: page.Signed(property.Signed(x.Held))}}})
	}
	measure := "Scores are Pearson's correlations."
	if property.Yes {
		measure = "Scores are AUC: the probability that the unit is larger where it is so than where it is not; 0.5 " +
			"says nothing, and below it the unit is smaller where it is so."
	}
	p.Sections = append(p.Sections, page.Section{Title: "The units", Text: measure +
		fmt.Sprintf(" By chance: with the "+
			"property turned against the text %d times, the best of all units has %.3f on the text of the search, at most "+
			"%.3f, and the first unit %.3f on the other text, at most %.3f.", f.Rotations, f.Chance[0], f.Chance[1],
			f.ChanceHeld[0], f.ChanceHeld[1]), Blocks: []page.Block{{Table: table}}})
	all := make([]explain.Place, len(f.Sample))
	truth := make([]explain.Place, len(f.Sample))
	most, largest := 0.0, 0.0
	for i, x := range f.Sample {
		all[i], truth[i] = explain.Place{At: x.At, Value: x.Unit}, explain.Place{At: x.At, Value: x.Really}
		most, largest = max(most, math.Abs(x.Unit)), max(largest, x.Really)
	}
	from := telling(f.Sample)
	p.Sections = append(p.Sections, page.Section{Title: "It over the text",
		Text: "A part of the text that it was not " +
			"searched with. Of the unit blue is above 0, and orange below.", Blocks: []page.Block{
			{Title: best.String(), Tokens: c.over(all, from, from+excerpt, most, -1)},
			{Title: upperFirst(property.About), Tokens: c.over(truth, from, from+excerpt, largest, -1)}}},
		page.Section{Title: "Its values", Blocks: []page.Block{{Pictures: []page.Picture{density(f)}}}})
	return p, f, nil
}

// telling is where an excerpt begins in which the property varies most.
func telling(sample []explain.Observed) int {
	best, most := sample[0].At, -1.0
	for i := 0; i < len(sample); i += excerpt / 7 {
		n := min(excerpt, len(sample)-i)
		if sample[i+n-1].At-sample[i].At != n-1 { // of two ranges
			continue
		}
		sum, squares := 0.0, 0.0
		for _, x := range sample[i : i+n] {
			sum, squares = sum+x.Really, squares+x.Really*x.Really
		}
		if v := squares - sum*sum/float64(n); v > most {
			best, most = sample[i].At, v
		}
	}
	return best
}

// density is a picture of the values of the unit that was found: a column for each number of the property, of which
// the pixels are as bright as the values are frequent.
func density(f *explain.Found) page.Picture {
	byUnit := func(a, b explain.Observed) int { return cmp.Compare(a.Unit, b.Unit) }
	byTruth := func(a, b explain.Observed) int { return cmp.Compare(a.Really, b.Really) }
	low, high := slices.MinFunc(f.Sample, byUnit).Unit, slices.MaxFunc(f.Sample, byUnit).Unit
	first, last := slices.MinFunc(f.Sample, byTruth).Really, slices.MaxFunc(f.Sample, byTruth).Really
	if !(high > low) {
		high = low + 1
	}
	columns := min(binsOf, int(last-first)+1)
	wide := 1
	if columns < bins { // so that it is no narrow stripe
		wide = bins / columns
	}
	counts := make([]float64, bins*columns)
	for _, x := range f.Sample {
		row := min(bins-1, int((high-x.Unit)/(high-low)*bins))
		column := min(columns-1, int((x.Really-first)/(last-first+1)*float64(columns)))
		counts[row*columns+column]++
	}
	values := make([]float64, bins*columns*wide)
	for column := range columns {
		most := 0.0
		for row := range bins {
			most = max(most, counts[row*columns+column])
		}
		for row := range bins {
			for k := range wide {
				values[(row*columns+column)*wide+k] = counts[row*columns+column] / max(1, most)
			}
		}
	}
	across := fmt.Sprintf("From left to right, %s: %g to %g.", f.Property.About, first, last)
	if f.Property.Yes {
		across = "Left where it is not so (" + f.Property.About + "), right where it is."
	}
	return page.Picture{Name: "unit", Alt: "values of " + f.Best[0].String() + " by " + f.Property.Name,
		Caption: fmt.Sprintf("From top to bottom, values of %s from %+.3f to %+.3f, bright where they are frequent. %s",
			f.Best[0].String(), high, low, across), PNG: page.Heat(values, bins, columns*wide, 0, 1, pixelsBin)}
}

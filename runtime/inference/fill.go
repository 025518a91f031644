package inference

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// FillWithin is [Fill] with texts of a language in place of masks: what stands in place of masks that follow each other
// is one text of the language, of as many tokens as there are masks, and of these the likeliest that was found; for one
// mask it is the likeliest. Of each mask it tells the likeliest tokens that the language allows behind those before it.
// Without a constraint it is Fill.
func FillWithin(m model.Predictor, tok model.Tokenizer, s string, top int, c *constrain.Constraint) (string, []Blank,
	error) {
	info := m.Info()
	choice := int(info.Masking.Token) // a text has no tokens from the mask on
	if top < 1 || top > choice {
		return "", nil, fmt.Errorf("the %d likeliest of each: give 1 to %d", top, choice)
	}
	tokens, at, err := masked(info, tok, s)
	if err != nil {
		return "", nil, err
	}
	logits, err := m.Logits(oneText(tokens))
	if err != nil {
		return "", nil, err
	}
	rows := make([][]float32, len(at)) // probabilities
	for n, i := range at {
		rows[n] = make([]float32, choice)
		kernel.Softmax(rows[n], logits[i*info.Vocab:i*info.Vocab+choice], 1, choice)
	}
	var blanks []Blank
	filled := slices.Clone(tokens)
	if c == nil {
		for n, i := range at {
			x := Blank{Tokens: make([]int32, top)}
			kernel.TopK(x.Tokens, rows[n])
			x.weigh(rows[n])
			filled[i] = x.Tokens[0]
			blanks = append(blanks, x)
		}
		return tok.Decode(filled), blanks, nil
	}
	for n := 0; n < len(at); {
		k := 1
		for n+k < len(at) && at[n+k] == at[n]+k {
			k++
		}
		found, err := likeliestOf(c, rows[n:n+k])
		if err != nil {
			return "", nil, err
		}
		copy(filled[at[n]:], found)
		state := c.Start()
		for i, token := range found {
			allowed, err := state.Allowed(k - i)
			if err != nil {
				return "", nil, err
			}
			x := Blank{Tokens: best(rows[n+i], allowed, top)}
			x.weigh(rows[n+i])
			blanks = append(blanks, x)
			if state, err = state.Next(token); err != nil {
				return "", nil, err
			}
		}
		n += k
	}
	return tok.Decode(filled), blanks, nil
}

// weigh looks up the probabilities of the tokens.
func (b *Blank) weigh(row []float32) {
	for _, t := range b.Tokens {
		b.Probabilities = append(b.Probabilities, row[t])
	}
}

// best are the likeliest of the tokens that are allowed, the best first, at most so many.
func best(row []float32, allowed *constrain.Mask, most int) []int32 {
	var tokens []int32
	for t := range row {
		if allowed.Has(int32(t)) {
			tokens = append(tokens, int32(t))
		}
	}
	slices.SortStableFunc(tokens, func(a, b int32) int { return cmp.Compare(row[b], row[a]) })
	return tokens[:min(most, len(tokens))]
}

const (
	mostBegun = 64 // beginnings of a text that are kept, each in another state of the language
	mostTried = 64 // tokens that each is continued by
)

// likeliestOf finds a likely text of a language that has a token for each row of probabilities.
func likeliestOf(c *constrain.Constraint, rows [][]float32) ([]int32, error) {
	type begun struct {
		state  constrain.State
		tokens []int32
		weight float64 // logarithm of its probability
	}
	open := []begun{{state: c.Start()}}
	for i, row := range rows {
		var next []begun
		place := map[constrain.State]int{} // in next
		for _, b := range open {
			allowed, err := b.state.Allowed(len(rows) - i)
			if err != nil {
				return nil, err
			}
			for _, t := range best(row, allowed, mostTried) {
				state, err := b.state.Next(t)
				if err != nil {
					return nil, err
				}
				x := begun{state, append(slices.Clip(b.tokens), t), b.weight + math.Log(float64(row[t]))}
				if at, ok := place[state]; !ok {
					place[state] = len(next)
					next = append(next, x)
				} else if next[at].weight < x.weight {
					next[at] = x
				}
			}
		}
		slices.SortStableFunc(next, func(a, b begun) int { return cmp.Compare(b.weight, a.weight) })
		open = next[:min(mostBegun, len(next))]
	}
	if len(open) == 0 {
		return nil, fmt.Errorf("no text of the language was found that has as many tokens as there are masks in a row, "+
			"which are %d: try another number of masks", len(rows))
	}
	return open[0].tokens, nil
}

package text

import (
	"cmp"
	"slices"
	"strings"
)

// Pieces counts the pieces of texts, from which vocabularies of [BPE] and [Words] are made.
type Pieces map[string]int

// Add counts the pieces of a text.
func (p Pieces) Add(text string) {
	for len(text) > 0 {
		n := pieceLen(text)
		if _, ok := p[text[:n]]; ok {
			p[text[:n]]++
		} else {
			p[strings.Clone(text[:n])] = 1 // the text need not stay in memory
		}
		text = text[n:]
	}
}

// Words returns the most frequent pieces, at most size of them and none that occurs fewer than least times, the most
// frequent first.
func (p Pieces) Words(size, least int) []string {
	words := make([]string, 0, len(p))
	for w, n := range p {
		if n >= least {
			words = append(words, w)
		}
	}
	slices.SortFunc(words, func(a, b string) int {
		return cmp.Or(cmp.Compare(p[b], p[a]), cmp.Compare(a, b))
	})
	return words[:min(size, len(words))]
}

package text

import (
	"maps"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/subword"
)

// Merges learns byte-pair encoding (Sennrich et al. 2016): again and again the most frequent pair of tokens within the
// pieces becomes a token, until there are that many tokens, the 256 bytes included, or no pair occurs at least twice
// and at least least times. The merges are in the form that [BPE] takes, one a line.
func (p Pieces) Merges(tokens, least int) []string {
	var order [256]int32
	pieces := make([]string, 0, 256)
	known := map[string]bool{}
	for i, b := range byteOrder {
		order[b] = int32(i)
		pieces = append(pieces, bytePieces[b])
		known[bytePieces[b]] = true
	}
	var words [][]int32
	var counts []int
	for _, text := range slices.Sorted(maps.Keys(p)) { // an order that is the same every time
		w := make([]int32, len(text))
		for j := range w {
			w[j] = order[text[j]]
		}
		words, counts = append(words, w), append(counts, p[text])
	}
	pairs := subword.Learn(words, counts, 256, max(0, tokens-256), max(least, 2), func(left, right int32) bool {
		joined := pieces[left] + pieces[right]
		if known[joined] {
			return false // other pairs have made it already
		}
		known[joined] = true
		pieces = append(pieces, joined)
		return true
	})
	merges := make([]string, len(pairs))
	for i, m := range pairs {
		merges[i] = visible(pieces[m.Left]) + " " + visible(pieces[m.Right])
	}
	return merges
}

package train

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/gradsmith/gradsmith/runtime/tokenizer"
)

// What the method of Kudo (2018) leaves open, as SentencePiece has it.
const (
	longestPiece = 16      // characters of a piece
	seedsMost    = 1 << 20 // pieces to begin with
	shrink       = 0.75    // share of the pieces that a round keeps
	rounds       = 2       // of expectation and maximization between two prunings
)

// candidate is a piece that may be kept.
type candidate struct {
	text  string
	score float64 // logarithm of its probability
}

// learnUnigram learns the vocabulary of Unigram (Kudo 2018): from all frequent strings, those whose loss makes the
// texts least likely are kept, until there are as many as asked for. Characters are always kept.
func (l *Learner) learnUnigram(counts map[string]int) (*tokenizer.Tokenizer, error) {
	room := l.o.Size - l.least() + 1
	chars := l.alphabet(counts)
	if len(chars) > room {
		return nil, fmt.Errorf("%d tokens: the texts have %d characters that are to have tokens of their own; give "+
			"more tokens, or a lower coverage", l.o.Size, len(chars))
	}
	words, weights := runs(counts, numbered(chars))
	u := newLattice(seeds(words, weights, chars))
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	for {
		for range rounds {
			u.maximize(u.expect(texts, weights))
		}
		if len(u.pieces) <= room*11/10 {
			break
		}
		u = newLattice(u.prune(texts, weights, max(room*11/10, int(shrink*float64(len(u.pieces))))))
	}
	// The most likely ones, and the characters.
	kept := u.pieces
	slices.SortStableFunc(kept, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.text, b.text))
	})
	left := room - len(chars)
	least := math.Inf(1)
	for _, p := range kept {
		least = min(least, p.score)
	}
	var pieces []tokenizer.ScoredPiece
	found := map[string]bool{}
	for _, p := range kept {
		if utf8.RuneCountInString(p.text) > 1 {
			if left == 0 {
				continue
			}
			left--
		}
		found[p.text] = true
		pieces = append(pieces, tokenizer.ScoredPiece{Text: p.text, Score: float32(p.score), Type: tokenizer.Normal})
	}
	for _, c := range chars {
		if !found[string(c)] {
			least -= 1e-4
			pieces = append(pieces,
				tokenizer.ScoredPiece{Text: string(c), Score: float32(least), Type: tokenizer.Normal})
		}
	}
	return l.sentencePiece(pieces).New()
}

// seeds lists the strings to begin with: all characters, and the strings within words that occur twice at least, those
// that make up most of the texts first.
func seeds(words [][]rune, weights []int, chars []rune) []candidate {
	counts := map[string]int{}
	for i, w := range words {
		for from := range w {
			for to := from + 1; to <= min(len(w), from+longestPiece); to++ {
				if to > from+1 && w[to-1] == '▁' {
					break // a mark begins a piece
				}
				counts[string(w[from:to])] += weights[i]
			}
		}
		if len(counts) > 8*seedsMost { // strings that are rare so far
			for s, n := range counts {
				if n < 2 {
					delete(counts, s)
				}
			}
		}
	}
	type seed struct {
		text string
		mass int
	}
	var list []seed
	for s, n := range counts {
		if size := utf8.RuneCountInString(s); size > 1 && n > 1 {
			list = append(list, seed{s, n * size})
		}
	}
	slices.SortFunc(list,
		func(a, b seed) int { return cmp.Or(cmp.Compare(b.mass, a.mass), cmp.Compare(a.text, b.text)) })
	list = list[:min(len(list), seedsMost)]
	for _, c := range chars {
		list = append(list, seed{string(c), max(1, counts[string(c)])})
	}
	sum := 0.0
	for _, s := range list {
		sum += float64(s.mass)
	}
	pieces := make([]candidate, len(list))
	for i, s := range list {
		pieces[i] = candidate{s.text, math.Log(float64(s.mass)) - math.Log(sum)}
	}
	return pieces
}

// lattice is the ways in which words can be put together from pieces.
type lattice struct {
	pieces []candidate
	number map[string]int
	edges  []edge
	alpha  []float64
	beta   []float64
}

// edge is a piece at a place of a word.
type edge struct{ from, to, piece int }

func newLattice(pieces []candidate) *lattice {
	u := &lattice{pieces: pieces, number: make(map[string]int, len(pieces))}
	for i, p := range pieces {
		u.number[p.text] = i
	}
	return u
}

// build lists the edges of a word, by where they begin. Without is a piece that may not be used, or -1.
func (u *lattice) build(word string, without int) {
	u.edges = u.edges[:0]
	for from := range word {
		n := 0
		for to := from; to < len(word) && n < longestPiece; n++ {
			_, size := utf8.DecodeRuneInString(word[to:])
			to += size
			if p, ok := u.number[word[from:to]]; ok && p != without {
				u.edges = append(u.edges, edge{from, to, p})
			}
		}
	}
}

// logAdd is log(exp(a)+exp(b)).
func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// expect counts how often each piece is used, in expectation over all ways: the forward-backward algorithm.
func (u *lattice) expect(words []string, weights []int) []float64 {
	used := make([]float64, len(u.pieces))
	for i, w := range words {
		u.build(w, -1)
		n := len(w) + 1
		u.alpha, u.beta = slices.Grow(u.alpha[:0], n)[:n], slices.Grow(u.beta[:0], n)[:n]
		for j := range n {
			u.alpha[j], u.beta[j] = math.Inf(-1), math.Inf(-1)
		}
		u.alpha[0], u.beta[n-1] = 0, 0
		for _, e := range u.edges {
			u.alpha[e.to] = logAdd(u.alpha[e.to], u.alpha[e.from]+u.pieces[e.piece].score)
		}
		for k := len(u.edges) - 1; k >= 0; k-- {
			e := u.edges[k]
			u.beta[e.from] = logAdd(u.beta[e.from], u.beta[e.to]+u.pieces[e.piece].score)
		}
		all := u.alpha[n-1]
		if math.IsInf(all, -1) {
			continue
		}
		for _, e := range u.edges {
			used[e.piece] += float64(weights[i]) * math.Exp(u.alpha[e.from]+u.pieces[e.piece].score+u.beta[e.to]-all)
		}
	}
	return used
}

// maximize makes probabilities of what was counted, with the digamma function in place of the logarithm: a sparse
// prior (Liang and Klein 2007). What is hardly used goes, characters apart.
func (u *lattice) maximize(used []float64) {
	var kept []candidate
	var counts []float64
	sum := 0.0
	for i, p := range u.pieces {
		n := used[i]
		if n < 0.5 {
			if utf8.RuneCountInString(p.text) > 1 {
				continue
			}
			n = 0.5
		}
		kept, counts = append(kept, p), append(counts, n)
		sum += n
	}
	all := digamma(sum)
	for i := range kept {
		kept[i].score = digamma(counts[i]) - all
	}
	*u = *newLattice(kept)
}

// digamma is the derivative of the logarithm of the gamma function, for positive numbers.
func digamma(x float64) float64 {
	y := 0.0
	for ; x < 7; x++ {
		y -= 1 / x
	}
	x -= 0.5
	xx := 1 / (x * x)
	return y + math.Log(x) + xx*(1.0/24-xx*(7.0/960-xx*(31.0/8064-xx*127.0/30720)))
}

// best is the pieces of the most likely way, and whether there is one. Without is a piece that may not be used, or -1.
func (u *lattice) best(dst []int, word string, without int) ([]int, bool) {
	u.build(word, without)
	n := len(word) + 1
	u.alpha = slices.Grow(u.alpha[:0], n)[:n]
	back := make([]int, n)
	for j := range n {
		u.alpha[j], back[j] = math.Inf(-1), -1
	}
	u.alpha[0] = 0
	for k, e := range u.edges {
		if s := u.alpha[e.from] + u.pieces[e.piece].score; s > u.alpha[e.to] {
			u.alpha[e.to], back[e.to] = s, k
		}
	}
	if n > 1 && back[n-1] < 0 {
		return dst, false
	}
	for at := n - 1; at > 0; at = u.edges[back[at]].from {
		dst = append(dst, u.edges[back[at]].piece)
	}
	return dst, true
}

// prune keeps that many pieces: those whose loss, with the next best way to write them in their place, would make the
// texts least likely. Characters are kept.
func (u *lattice) prune(words []string, weights []int, size int) []candidate {
	used := make([]float64, len(u.pieces))
	sum := 0.0
	var way []int
	for i, w := range words {
		way, _ = u.best(way[:0], w, -1)
		for _, p := range way {
			used[p] += float64(weights[i])
			sum += float64(weights[i])
		}
	}
	type loss struct {
		piece int
		loss  float64
	}
	var losses []loss
	var kept []candidate
	for i, p := range u.pieces {
		if utf8.RuneCountInString(p.text) == 1 {
			kept = append(kept, p)
			continue
		}
		if used[i] == 0 {
			continue
		}
		way, ok := u.best(way[:0], p.text, i)
		if !ok {
			kept = append(kept, p)
			continue
		}
		// Without it, the pieces that stand for it are used more often.
		after := math.Log(sum + used[i]*float64(len(way)-1))
		with := math.Log(used[i]) - math.Log(sum)
		instead := 0.0
		for _, q := range way {
			instead += math.Log(used[q]+used[i]) - after
		}
		losses = append(losses, loss{i, used[i] * (with - instead)})
	}
	slices.SortStableFunc(losses,
		func(a, b loss) int { return cmp.Or(cmp.Compare(b.loss, a.loss), cmp.Compare(a.piece, b.piece)) })
	for _, x := range losses {
		if len(kept) >= size {
			break
		}
		kept = append(kept, u.pieces[x.piece])
	}
	return kept
}

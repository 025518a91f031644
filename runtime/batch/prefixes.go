package batch

import "slices"

// prefixes are beginnings of prompts that were read, each with a decoder that has read it and nothing else.
//
// A beginning can be shared where it ends with a chunk, so that what is read is cut as it is for a text alone, or
// where it is a whole prompt.
type prefixes struct {
	most  int
	chunk int
	kept  []*prefix // the last one used comes last
	seen  [][]int32 // the last prompts, of which new ones may share more than what is kept
}

type prefix struct {
	tokens []int32
	dec    joinable
	logits []float32 // of what follows
}

const (
	leastShared = 32 // tokens that are worth keeping
	mostSeen    = 16
)

// common is how many tokens of their beginning two prompts can share, 0 for too few.
func (p *prefixes) common(a, b []int32) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	if n < len(a) || n < len(b) {
		// Behind what is shared there must be something to read, of which the logits are.
		n = min(n, len(a)-1, len(b)-1)
		n -= n % p.chunk
	}
	if p.most == 0 || n < leastShared {
		return 0
	}
	return n
}

// longest is the longest beginning of a prompt that is kept; nil for none.
func (p *prefixes) longest(prompt []int32) *prefix {
	best := -1
	for i, x := range p.kept {
		n := len(x.tokens)
		fits := n == len(prompt) || n < len(prompt) && n%p.chunk == 0
		if fits && slices.Equal(x.tokens, prompt[:n]) && (best < 0 || n > len(p.kept[best].tokens)) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	x := p.kept[best]
	p.kept = append(slices.Delete(p.kept, best, best+1), x)
	return x
}

// takes is whether a beginning is to be kept.
func (p *prefixes) takes(tokens []int32) bool {
	return p.most > 0 && len(tokens) >= leastShared &&
		!slices.ContainsFunc(p.kept, func(x *prefix) bool { return slices.Equal(x.tokens, tokens) })
}

// add keeps a beginning, and gives back the decoder of the one that it forgets for it, if there is one.
func (p *prefixes) add(tokens []int32, dec joinable, logits []float32) joinable {
	p.kept = append(p.kept, &prefix{tokens, dec, slices.Clone(logits)})
	if len(p.kept) <= p.most {
		return nil
	}
	old := p.kept[0].dec
	p.kept = slices.Delete(p.kept, 0, 1)
	return old
}

// see remembers a prompt.
func (p *prefixes) see(prompt []int32) {
	if len(p.seen) == mostSeen {
		p.seen = slices.Delete(p.seen, 0, 1)
	}
	p.seen = append(p.seen, prompt)
}

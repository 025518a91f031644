package constrain

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// span is a range of bytes.
type span struct{ lo, hi byte }

// encodings gives the UTF-8 of the characters from lo to hi as products of ranges of bytes, in order.
func encodings(out [][]span, lo, hi rune) [][]span {
	// Cut where the length changes.
	for _, last := range [...]rune{0x7F, 0x7FF, 0xFFFF} {
		if lo <= last && hi > last {
			return encodings(encodings(out, lo, last), last+1, hi)
		}
	}
	// Cut so that all bytes behind the first that differs are whole ranges.
	n := utf8.RuneLen(hi)
	for i := 1; i < n; i++ {
		m := rune(1)<<(6*i) - 1
		if lo&^m == hi&^m {
			continue
		}
		if lo&m != 0 {
			return encodings(encodings(out, lo, lo|m), (lo|m)+1, hi)
		}
		if hi&m != m {
			return encodings(encodings(out, lo, hi&^m-1), hi&^m, hi)
		}
	}
	a, b := utf8.AppendRune(nil, lo), utf8.AppendRune(nil, hi)
	spans := make([]span, n)
	for i := range spans {
		spans[i] = span{a[i], b[i]}
	}
	return append(out, spans)
}

// chars makes the node that reads one character of c and goes on at next.
func (b *builder) chars(c class, next int32) int32 {
	var all [][]span
	for _, r := range c {
		all = encodings(all, r.lo, r.hi)
	}
	n := b.spans(all, next, map[string]int32{})
	if b.err == nil && c.covers(plainChars) {
		b.a.nodes[n].plain = next
	}
	return n
}

// plainChars are the characters that no string of JSON has to escape.
var plainChars = newClass(runes{' ', '!'}, runes{'#', '['}, runes{']', '~'}, runes{utf8.RuneSelf, utf8.MaxRune})

// covers reports whether c has all characters of d.
func (c class) covers(d class) bool {
	return slices.Equal(c.and(d), d)
}

// spans makes a node of a sorted list of encodings. Equal lists of what follows are one node.
func (b *builder) spans(all [][]span, next int32, made map[string]int32) int32 {
	key := ""
	if len(all) < 64 {
		key = fmt.Sprint(all)
		if n, ok := made[key]; ok {
			return n
		}
	}
	var edges []edge
	for i := 0; i < len(all); {
		first := all[i][0]
		j := i
		var rest [][]span
		for ; j < len(all) && all[j][0] == first; j++ {
			if len(all[j]) > 1 {
				rest = append(rest, all[j][1:])
			}
		}
		to := next
		if len(rest) > 0 {
			to = b.spans(rest, next, made)
		}
		i = j
		if n := len(edges); n > 0 && edges[n-1].to == to && edges[n-1].hi+1 == first.lo {
			edges[n-1].hi = first.hi
			continue
		}
		edges = append(edges, edge{first.lo, first.hi, to})
	}
	n := b.node(node{edges: edges})
	if key != "" {
		made[key] = n
	}
	return n
}

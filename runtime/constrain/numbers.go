package constrain

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

// mostDigits is the number of digits that numbers have at the most, before and behind the point.
const mostDigits = 15

var digit = newClass(runes{'0', '9'})

// anyNumber is any number.
func (c *schemaCompiler) anyNumber(integer bool) expr {
	name := "number"
	if integer {
		name = "integer"
	}
	return c.part(name, func() expr {
		whole := sequence{optional(literal("-")),
			choice{literal("0"), sequence{newClass(runes{'1', '9'}), repeat{digit, 0, mostDigits - 1}}}}
		if integer {
			return whole
		}
		sign := newClass(runes{'+', '+'}, runes{'-', '-'})
		return append(whole,
			optional(sequence{literal("."), repeat{digit, 1, mostDigits}}),
			optional(sequence{newClass(runes{'e', 'e'}, runes{'E', 'E'}), optional(sign), repeat{digit, 1, 2}}))
	})
}

// bound is where numbers begin or end.
type bound struct {
	at     *big.Rat
	strict bool // the number itself is outside
}

// bounds reads the bounds of numbers; nil for none.
func bounds(o *object, at string) (low, high *bound, err error) {
	for _, b := range [...]struct {
		key    string
		upper  bool
		strict bool
	}{{"minimum", false, false}, {"exclusiveMinimum", false, true}, {"maximum", true, false},
		{"exclusiveMaximum", true, true}} {
		if !o.has(b.key) {
			continue
		}
		n, ok := o.get(b.key).(json.Number)
		if !ok {
			return nil, nil, fmt.Errorf("%s/%s: a number must stand here, not %s", at, b.key, marshal(o.get(b.key)))
		}
		r, err := rational(n)
		if err != nil {
			return nil, nil, fmt.Errorf("%s/%s: %w", at, b.key, err)
		}
		if len(r.Denom().String()) > mostDigits || len(new(big.Int).Quo(r.Num(), r.Denom()).String()) > mostDigits+1 {
			return nil, nil, fmt.Errorf("%s/%s: %s has more than %d digits before or behind the point", at, b.key, n,
				mostDigits)
		}
		side := &low
		if b.upper {
			side = &high
		}
		if *side != nil {
			// Both are given: the narrower one counts.
			cmp := r.Cmp((*side).at)
			if b.upper {
				cmp = -cmp
			}
			if cmp < 0 {
				continue
			}
		}
		*side = &bound{r, b.strict}
	}
	return low, high, nil
}

func (c *schemaCompiler) numberOf(o *object, at string, integer bool) (expr, error) {
	low, high, err := bounds(o, at)
	if err != nil {
		return nil, err
	}
	if low == nil && high == nil {
		return c.anyNumber(integer), nil
	}
	limit := new(big.Rat).SetInt(new(big.Int).Sub(pow10(mostDigits), big.NewInt(1)))
	if low == nil {
		low = &bound{at: new(big.Rat).Neg(limit)}
	}
	if high == nil {
		high = &bound{at: limit}
	}
	var out choice
	// Above and below zero, the latter with a sign and the bounds exchanged.
	if high.at.Sign() >= 0 {
		from := low
		if low.at.Sign() < 0 {
			from = &bound{at: new(big.Rat)}
		}
		if e := between(*from, *high, integer); e != nil {
			out = append(out, e)
		}
	}
	if low.at.Sign() < 0 {
		from := bound{at: new(big.Rat), strict: integer || high.at.Sign() == 0 && high.strict} // -0 is 0
		if high.at.Sign() < 0 {
			from = bound{new(big.Rat).Neg(high.at), high.strict}
		}
		if e := between(from, bound{new(big.Rat).Neg(low.at), low.strict}, integer); e != nil {
			out = append(out, sequence{literal("-"), e})
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// between is the numbers from low, which is not negative, to high: in units of the last digit that the bounds have,
// those from one integer to another, each, but for the last, with any further digits.
func between(low, high bound, integer bool) expr {
	places := 0
	if !integer {
		for _, b := range [...]bound{low, high} {
			for places < mostDigits && !new(big.Rat).Mul(b.at, new(big.Rat).SetInt(pow10(places))).IsInt() {
				places++
			}
		}
		if low.strict {
			places++ // what lies between the bound and the first number of these places is left out
		}
	}
	scale := new(big.Rat).SetInt(pow10(places))
	from, to := new(big.Rat).Mul(low.at, scale), new(big.Rat).Mul(high.at, scale)
	first := new(big.Int).Quo(from.Num(), from.Denom())
	if !from.IsInt() || low.strict {
		first.Add(first, big.NewInt(1))
	}
	last := new(big.Int).Quo(to.Num(), to.Denom())
	exact := to.IsInt()
	if !exact && !integer || exact && high.strict {
		last.Sub(last, big.NewInt(1))
		exact = false
	}
	if first.Cmp(last) > 0 {
		return nil
	}
	if integer {
		return integers(first, last, 0)
	}
	further := sequence{repeat{digit, 0, mostDigits - min(places, mostDigits-1)}}
	if places == 0 {
		further = sequence{optional(sequence{literal("."), repeat{digit, 1, mostDigits}})}
	}
	if !exact {
		// All numbers up to the bound have digits up to last and any behind.
		return sequence{integers(first, last, places), further}
	}
	out := choice{sequence{literal(point(last.String(), places)), zeros(places)}}
	if before := new(big.Int).Sub(last, big.NewInt(1)); first.Cmp(before) <= 0 {
		out = append(out, sequence{integers(first, before, places), further})
	}
	if places > 0 {
		// Whole numbers may do without a point.
		if e := between(low, high, true); e != nil {
			out = append(out, e)
		}
	}
	return out
}

// zeros is any zeros behind digits of which some are behind the point.
func zeros(places int) expr {
	zero := newClass(runes{'0', '0'})
	if places > 0 {
		return repeat{zero, 0, mostDigits - min(places, mostDigits-1)}
	}
	return optional(sequence{literal("."), repeat{zero, 1, mostDigits}})
}

// point writes a point in front of the last digits.
func point(digits string, places int) string {
	if places == 0 {
		return digits
	}
	digits = strings.Repeat("0", max(0, places+1-len(digits))) + digits
	return digits[:len(digits)-places] + "." + digits[len(digits)-places:]
}

// integers is the numbers from first to last, with a point in front of the last digits where places is above 0.
func integers(first, last *big.Int, places int) expr {
	var out choice
	for n := places + 1; n <= max(places+1, len(last.String())); n++ {
		// Those of n digits, with zeros in front where that many are needed for the point.
		lo, hi := new(big.Int), new(big.Int).Sub(pow10(n), big.NewInt(1))
		if n > places+1 {
			lo = pow10(n - 1)
		}
		if lo.Cmp(first) < 0 {
			lo = first
		}
		if hi.Cmp(last) > 0 {
			hi = last
		}
		if lo.Cmp(hi) <= 0 {
			out = append(out, digitRange(pad(lo, n), pad(hi, n), n-places))
		}
	}
	return out
}

func pad(n *big.Int, width int) string {
	s := n.String()
	return strings.Repeat("0", width-len(s)) + s
}

// digitRange is the texts of digits from lo to hi, which are as long, with a point in front of digit number at.
func digitRange(lo, hi string, at int) expr {
	if lo == "" {
		return empty
	}
	here := func(e expr) expr {
		if at == 0 {
			return sequence{literal("."), e}
		}
		return e
	}
	if strings.Trim(lo, "0") == "" && strings.Trim(hi, "9") == "" {
		if at <= 0 || at >= len(lo) {
			return here(repeat{digit, len(lo), len(lo)})
		}
		return sequence{repeat{digit, at, at}, literal("."), repeat{digit, len(lo) - at, len(lo) - at}}
	}
	one := func(a, b byte) class { return newClass(runes{rune(a), rune(b)}) }
	if lo[0] == hi[0] {
		return here(sequence{one(lo[0], lo[0]), digitRange(lo[1:], hi[1:], at-1)})
	}
	nines, zeros := strings.Repeat("9", len(lo)-1), strings.Repeat("0", len(lo)-1)
	out := choice{
		sequence{one(lo[0], lo[0]), digitRange(lo[1:], nines, at-1)},
		sequence{one(hi[0], hi[0]), digitRange(zeros, hi[1:], at-1)},
	}
	if a, b := lo[0]+1, hi[0]-1; a <= b {
		out = append(out, sequence{one(a, b), digitRange(zeros, nines, at-1)})
	}
	return here(out)
}

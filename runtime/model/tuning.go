package model

import (
	"errors"
	"fmt"
	"math"
	"path"
	"strings"
)

// Tuning says which parameters a training moves, and how fast. Patterns are those of [path.Match], in which * stands
// for any letters, dots included, and match the name of a tensor or what it begins with, up to a dot: "blocks",
// "blocks.[1-4]" and "*.wqkv" are patterns of "blocks.2.wqkv".
type Tuning struct {
	Train  []string // patterns of what moves; empty for all
	Freeze []string // patterns of what of that stays
	Rates  []RateOf // factors on the rate; of several that match the last one counts
}

// RateOf is a factor on the rate of the parameters that a pattern matches.
type RateOf struct {
	Pattern string
	Factor  float64
}

// Tunable is a model of which parts can be trained alone.
type Tunable interface {
	// Tune says which parameters training steps move from now on. What stays has no memory of the optimizer. It is
	// called before the first training step, and before a checkpoint is loaded to go on from; an error says which
	// pattern is not valid or matches nothing.
	Tune(by Tuning) error
}

// Whole reports whether all parameters move, at the rate of the training.
func (t Tuning) Whole() bool { return len(t.Train)+len(t.Freeze)+len(t.Rates) == 0 }

// Factor is what the rate of a tensor is multiplied with; 0 where it stays as it is.
func (t Tuning) Factor(name string) float64 {
	if len(t.Train) > 0 && !matchesAny(t.Train, name) || matchesAny(t.Freeze, name) {
		return 0
	}
	factor := 1.0
	for _, r := range t.Rates {
		if Matches(r.Pattern, name) {
			factor = r.Factor
		}
	}
	return factor
}

// Check reports a pattern that is not valid or matches none of the names, a factor that is not a positive number, and
// patterns that leave nothing to train.
func (t Tuning) Check(names []string) error {
	patterns := append(append([]string(nil), t.Train...), t.Freeze...)
	for _, r := range t.Rates {
		if !(r.Factor > 0) || math.IsInf(r.Factor, 1) || float32(r.Factor) == 0 {
			return fmt.Errorf("the factor %v of the rate of %q: give a number above 0, or freeze what is not to move",
				r.Factor, r.Pattern)
		}
		patterns = append(patterns, r.Pattern)
	}
	for _, p := range patterns {
		if err := CheckPattern(p, names); err != nil {
			return err
		}
	}
	for _, n := range names {
		if t.Factor(n) != 0 {
			return nil
		}
	}
	return errors.New("all parameters are frozen, so that there is nothing to train: freeze fewer")
}

// CheckPattern reports why a pattern is not valid, or that it matches none of the names.
func CheckPattern(pattern string, names []string) error {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		return fmt.Errorf("the pattern %q is not valid: * stands for any letters, ? for one, [1-4] for one of these",
			pattern)
	}
	for _, n := range names {
		if Matches(pattern, n) {
			return nil
		}
	}
	return fmt.Errorf("the pattern %q matches no parameter: there are %s", pattern, some(names))
}

// some lists names, of many the first and the last.
func some(names []string) string {
	if len(names) > 12 {
		return fmt.Sprintf("%s, … %s (%d in all)", strings.Join(names[:9], ", "),
			strings.Join(names[len(names)-2:], ", "), len(names))
	}
	return strings.Join(names, ", ")
}

func matchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if Matches(p, name) {
			return true
		}
	}
	return false
}

// Matches reports whether a pattern matches the name of a tensor, or what that begins with, up to a dot.
func Matches(pattern, name string) bool {
	for i := 0; i <= len(name); i++ {
		if i == len(name) || name[i] == '.' {
			if ok, _ := path.Match(pattern, name[:i]); ok {
				return true
			}
		}
	}
	return false
}

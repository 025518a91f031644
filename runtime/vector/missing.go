package vector

import (
	"fmt"
	"strings"
)

// Missing is what stands in for numbers that are missing in the data.
type Missing string

// What can stand in.
const (
	MissingError Missing = "error" // nothing: a number that is missing is an error
	MissingZero  Missing = "zero"
	MissingMean  Missing = "mean" // the mean of the numbers that stand at this place of the other vectors that are read
)

func (m Missing) check() error {
	switch m {
	case "", MissingError, MissingZero, MissingMean:
		return nil
	}
	return fmt.Errorf("%q does not stand in for a number that is missing: give zero, mean or error", string(m))
}

func (m Missing) refused() bool { return m == "" || m == MissingError }

// isMissing tells whether a field of CSV says that its number is missing.
func isMissing(field string) bool {
	switch strings.ToLower(field) {
	case "", "na", "n/a", "nan", "null", "none", "?":
		return true
	}
	return false
}

// fill puts something in the place of numbers that are missing, and says so.
func (s *reading) fill() error {
	if s.Missing.refused() {
		return nil
	}
	with := make([]float32, s.Width)
	columns, missing := 0, 0
	for k := range s.Width {
		sum, known, gone := 0.0, 0, 0
		for i := k; i < len(s.Data); i += s.Width {
			if x := s.Data[i]; x == x {
				sum += float64(x)
				known++
			} else {
				gone++
			}
		}
		if gone == 0 {
			continue
		}
		columns++
		missing += gone
		if s.Missing != MissingMean {
			continue
		}
		if known == 0 {
			return fmt.Errorf("%s: no vector has a number at place %d, so that there is no mean: leave the column "+
				"out, or say --missing zero", s.Name, k+1)
		}
		with[k] = float32(sum / float64(known))
	}
	if missing == 0 {
		return nil
	}
	for i, x := range s.Data {
		if x != x {
			s.Data[i] = with[i%s.Width]
		}
	}
	what := "0 stands in for each"
	if s.Missing == MissingMean {
		what = "the mean of the others at its place stands in for each"
	}
	s.Warnings = append(s.Warnings,
		fmt.Sprintf("%s: %d of %s missing, at %s of the vectors: %s", s.Name, missing, count(len(s.Data), "number"),
			count(columns, "place"), what))
	return nil
}

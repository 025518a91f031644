package metric

import (
	"fmt"
	"strings"
	"unicode"
)

// ROUGE is how much of a reference an answer has (Lin 2004), from 0 to 100: the means over all answers of the F1 of
// their words, of their pairs of words, and of the longest sequence of words that both have in this order, with
// others in between.
type ROUGE struct {
	One, Two float64 // ROUGE-1 and ROUGE-2
	Longest  float64 // ROUGE-L, over the text as one sentence
}

// String shows the three, and how they are computed.
func (r ROUGE) String() string {
	return fmt.Sprintf("ROUGE-1 %.1f, ROUGE-2 %.1f, ROUGE-L %.1f (F1, words in lower case, not stemmed)", r.One, r.Two,
		r.Longest)
}

// Overlap computes ROUGE of answers against one reference each. Words are letters, marks and digits in lower case; of
// ASCII texts these are the words of Google's rouge_score without its stemmer.
func Overlap(answers, references []string) (ROUGE, error) {
	if len(answers) != len(references) || len(answers) == 0 {
		return ROUGE{}, fmt.Errorf("metric: %d answers for %d references: give as many of each, and one at least",
			len(answers), len(references))
	}
	var r ROUGE
	for i, s := range answers {
		x, y := plainWords(s), plainWords(references[i])
		r.One += shared(x, y, 1)
		r.Two += shared(x, y, 2)
		r.Longest += f1(longestCommon(x, y), len(x), len(y))
	}
	scale := 100 / float64(len(answers))
	r.One, r.Two, r.Longest = r.One*scale, r.Two*scale, r.Longest*scale
	return r, nil
}

func plainWords(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s),
		func(r rune) bool { return !unicode.In(r, unicode.L, unicode.M, unicode.N) })
}

// shared is the F1 of the n-grams.
func shared(x, y []string, n int) float64 {
	want, both := ngrams(y, n), 0
	for gram, count := range ngrams(x, n) {
		both += min(count, want[gram])
	}
	return f1(both, len(x)-n+1, len(y)-n+1)
}

// f1 is the harmonic mean of both/x and both/y.
func f1(both, x, y int) float64 {
	if both == 0 {
		return 0
	}
	return 2 * float64(both) / float64(x+y)
}

// longestCommon is the length of the longest sequence that both have, with others in between.
func longestCommon(x, y []string) int {
	row := make([]int, len(y)+1) // for the words of x so far and each beginning of y
	for _, a := range x {
		corner := 0
		for j, b := range y {
			above := row[j+1]
			if a == b {
				row[j+1] = corner + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			corner = above
		}
	}
	return row[len(y)]
}

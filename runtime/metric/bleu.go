// Package metric measures what models make against what people wrote or the data holds, and counts what the simplest
// models of a text know, which a model has to beat.
//
// It must know nothing of models: it compares texts or vectors, and counts tokens.
package metric

import (
	"fmt"
	"math"
	"regexp"
	"strings"
)

// BLEU is a corpus score (Papineni et al. 2002) from 0 to 100, as sacreBLEU computes it by default (Post 2018): one
// reference, mixed case, the tokenisation 13a of the WMT evaluations, n-grams up to 4, exponential smoothing.
type BLEU struct {
	Score      float64
	Precisions [4]float64 // in percent, after smoothing
	Brevity    float64    // penalty for answers that are shorter than the references
	Length     int        // tokens of the answers
	Reference  int        // tokens of the references
}

// Signature is how sacreBLEU names the way that the score is computed.
const Signature = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp"

// String shows the score with its parts, as sacreBLEU does.
func (b BLEU) String() string {
	p := b.Precisions
	return fmt.Sprintf("BLEU %.1f %.1f/%.1f/%.1f/%.1f (BP %.3f, %d tokens for %d) %s", b.Score, p[0], p[1], p[2], p[3],
		b.Brevity, b.Length, b.Reference, Signature)
}

// Corpus scores answers against one reference each.
func Corpus(answers, references []string) (BLEU, error) {
	if len(answers) != len(references) || len(answers) == 0 {
		return BLEU{}, fmt.Errorf("metric: %d answers for %d references: give as many of each, and one at least",
			len(answers), len(references))
	}
	var b BLEU
	var match, total [4]int
	for i, s := range answers {
		x, y := Tokenize13a(s), Tokenize13a(references[i])
		b.Length += len(x)
		b.Reference += len(y)
		for n := range 4 {
			want := ngrams(y, n+1)
			for gram, count := range ngrams(x, n+1) {
				match[n] += min(count, want[gram])
				total[n] += count
			}
		}
	}
	b.Brevity = 1
	if b.Length < b.Reference {
		b.Brevity = 0
		if b.Length > 0 {
			b.Brevity = math.Exp(1 - float64(b.Reference)/float64(b.Length))
		}
	}
	smooth, sum := 1.0, 0.0
	for n := range 4 {
		if total[n] == 0 {
			return b, nil // a score of 0: there is no n-gram of this length
		}
		if match[n] == 0 {
			smooth *= 2
			b.Precisions[n] = 100 / (smooth * float64(total[n]))
		} else {
			b.Precisions[n] = 100 * float64(match[n]) / float64(total[n])
		}
		sum += math.Log(b.Precisions[n])
	}
	if match[0] == 0 {
		return b, nil
	}
	b.Score = b.Brevity * math.Exp(sum/4)
	return b, nil
}

func ngrams(words []string, n int) map[string]int {
	m := map[string]int{}
	for i := 0; i+n <= len(words); i++ {
		m[strings.Join(words[i:i+n], " ")]++
	}
	return m
}

var (
	entities = strings.NewReplacer("<skipped>", "", "-\n", "", "\n", " ", "&quot;", `"`, "&amp;", "&", "&lt;", "<",
		"&gt;", ">")
	symbols = regexp.MustCompile(`([\x7b-\x7e\x5b-\x60\x20-\x26\x28-\x2b\x3a-\x40/])`)
	before  = regexp.MustCompile(`([^0-9])([.,])`)
	after   = regexp.MustCompile(`([.,])([^0-9])`)
	dash    = regexp.MustCompile(`([0-9])(-)`)
)

// Tokenize13a splits a text into words and punctuation as mteval-v13a does.
func Tokenize13a(s string) []string {
	s = " " + entities.Replace(s) + " "
	s = symbols.ReplaceAllString(s, " $1 ")
	s = before.ReplaceAllString(s, "$1 $2 ")
	s = after.ReplaceAllString(s, " $1 $2")
	s = dash.ReplaceAllString(s, "$1 $2 ")
	return strings.Fields(s)
}

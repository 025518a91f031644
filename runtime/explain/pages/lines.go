package pages

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/page"
)

// verdict shows what moves a discriminator's verdict on a line: how much each token speaks for it.
func (a *about) verdict() error {
	if a.Judge == nil {
		return nil
	}
	pass, err := a.Judge.Run(a.Judged)
	if err != nil {
		return a.note("the verdict", err)
	}
	pieces := make([]string, len(a.Judged.Targets))
	for i, t := range a.Judged.Targets {
		pieces[i] = a.Piece(t)
	}
	// A discriminator of tokens has a verdict for each, on what stands up to it; the last is on all of the line.
	verdicts := pass.Output().Value
	target := explain.Target{Step: len(verdicts) - 1, Against: -1, Logit: true}
	all, err := a.Judge.Attributions(a.Judged, target, explain.Methods, explain.Options{Spans: map[string][][2]int{
		"step": cut(a.Judged.Steps)}})
	if err != nil {
		return a.note("the verdict", err)
	}
	var blocks []page.Block
	if len(verdicts) == len(pieces) && len(pieces) > 1 {
		b := page.Block{Title: "The verdict behind each token",
			Hint: "On what stands up to the token: blue for data, orange for what is made."}
		most := 1e-12
		for _, v := range verdicts {
			most = max(most, math.Abs(float64(v)))
		}
		for i, v := range verdicts {
			b.Tokens = append(b.Tokens, page.Token{Text: apart(pieces[i]), Title: fmt.Sprintf("%+.3f", v),
				Ground: page.Signed(float64(v) / most)})
		}
		blocks = append(blocks, b)
	}
	for _, x := range all {
		for _, in := range x.Inputs {
			b := page.Block{Title: upperFirst(string(x.Method)), Hint: fmt.Sprintf(
				"The values leave %s of the difference unexplained.", percent(x.Error))}
			most := 1e-12
			for _, v := range in.Values {
				most = max(most, math.Abs(v))
			}
			for i, v := range in.Values {
				b.Tokens = append(b.Tokens, page.Token{Text: apart(pieces[i]), Title: fmt.Sprintf("%+.4f", v),
					Ground: page.Signed(v / most)})
			}
			blocks = append(blocks, b)
		}
	}
	a.section("What moves the verdict", fmt.Sprintf("The discriminator's verdict on the line is %+.3f; it is high for "+
		"lines of the data. Each token speaks for it (blue) or against it (orange), against a line whose tokens all have "+
		"embeddings of zeros.", verdicts[target.Step]), blocks...)
	return nil
}

// apart is a token as it stands in a line of which the tokens may be words or numbers.
func apart(s string) string {
	if len(s) > 1 {
		return visible(s) + " "
	}
	return visible(s)
}

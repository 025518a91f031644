package sample

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// other is a decoder that is heard beside the model's own.
type other struct {
	dec     model.Decoder
	prompt  *string // nil for that of the text
	combine func(row, beside []float32)
}

// judging is a judge of what may come next.
type judging struct {
	judge  Judge
	best   int
	weight float64
}

// Guidance moves what is written away from what would be written behind another prompt (classifier-free guidance for
// language models, Sanchez et al. 2023, equation 7):
//
//	log p(token | negative) + scale·(log p(token | prompt) − log p(token | negative))
//
// A scale of 1 changes nothing; above it the prompt counts for more. Negative is a prompt of what is not wanted, or an
// empty one for the text without its prompt. The decoder is another one of the same model. It is for [Generate].
func Guidance(dec model.Decoder, negative string, scale float64) Option {
	return func(c *config) {
		if !finite(scale, 0, 1000) {
			c.fail("guidance of %v: it must be from 0 to 1000", scale)
		}
		if dec == nil {
			c.fail("guidance needs a decoder of its own")
			return
		}
		c.voices = append(c.voices, other{dec, &negative, func(row, beside []float32) {
			s := float32(scale)
			for i, b := range beside {
				row[i] = b + float32(s*(row[i]-b))
				if math.IsInf(float64(b), -1) {
					row[i] = b // impossible either way
				}
			}
		}})
	}
}

// Mixed draws from both models: (1 − weight)·p + weight·q, q being the other model's distribution behind the same
// text. Both have the same tokens. It is for [Generate].
func Mixed(dec model.Decoder, weight float64) Option {
	return func(c *config) {
		if !finite(weight, 0, 1) {
			c.fail("a mixture of weight %v: it must be from 0 to 1", weight)
		}
		if dec == nil {
			c.fail("a mixture needs a decoder of the other model")
			return
		}
		c.voices = append(c.voices, other{dec, nil, func(row, beside []float32) {
			kernel.Exp(row, row, len(row))
			kernel.Exp(beside, beside, len(row))
			for i, b := range beside {
				row[i] = float32(float32(1-weight)*row[i]) + float32(float32(weight)*b)
			}
			kernel.Log(row, row, len(row))
		}})
	}
}

// Contrasted draws what the model finds likelier than another, weaker one does (contrastive decoding, Li et al. 2023):
// of the tokens that are at least plausible times as likely as the likeliest those with a high
//
//	log p(token) − strength·log q(token)
//
// Both models have the same tokens. The paper has 0.1 and 1. It is for [Generate].
func Contrasted(dec model.Decoder, plausible, strength float64) Option {
	return func(c *config) {
		if !(plausible > 0 && plausible <= 1) || !finite(strength, 0, 100) {
			c.fail("a contrast of %v and %v: the share must be above 0 and at most 1, the strength from 0 to 100",
				plausible, strength)
		}
		if dec == nil {
			c.fail("a contrast needs a decoder of the other model")
			return
		}
		c.voices = append(c.voices, other{dec, nil, func(row, beside []float32) {
			best := row[kernel.Argmax(row)] + float32(math.Log(plausible))
			for i, b := range beside {
				if row[i] < best {
					row[i] = float32(math.Inf(-1))
				} else {
					row[i] -= float32(float32(strength) * max(b, -1e4))
				}
			}
		}})
	}
}

// A Judge tells how likely it is that a text has an attribute.
type Judge interface {
	// Judge sets dst[i] to log P(attribute | text, next[i]), the natural logarithm of the probability that a text
	// which begins with these tokens, and then next[i], has the attribute. Texts are told in the order in which they
	// are written.
	Judge(ctx context.Context, dst []float64, text, next []int32) error
}

// Judged draws texts with an attribute that a judge knows, without training the model again (FUDGE, Yang and Klein
// 2021): of the best likeliest tokens, of which the paper takes 200, with
//
//	log p(token | text) + weight·log P(attribute | text, token)
//
// Judges are [Classifier], [Classes], [Discriminator], and what a program makes itself. It is for [Generate] and
// [Lines].
func Judged(j Judge, best int, weight float64) Option {
	return func(c *config) {
		if j == nil || best < 1 || !finite(weight, 0, 1000) {
			c.fail("a judge of %d tokens and weight %v: there must be a judge, 1 token or more, and a weight from 0 "+
				"to 1000", best, weight)
		}
		c.judges = append(c.judges, judging{j, best, weight})
	}
}

// chorus is what is heard beside the model.
type chorus struct {
	voices  []*voice
	combine []func(row, beside []float32)
	judges  []judging
	row     []float32
	beside  []float32
	text    []int32
	best    []int32
	verdict []float64
}

// chorus makes the voices read their prompts; it is nil where there is nothing beside the model.
func (c *config) chorus(ctx context.Context, tok text.Tokenizer, tokens []int32) (*chorus, error) {
	if len(c.voices)+len(c.judges) == 0 {
		return nil, nil
	}
	n := tok.Vocab()
	h := &chorus{judges: c.judges, row: make([]float32, n), beside: make([]float32, n),
		text: append([]int32(nil), tokens...)}
	for _, o := range c.voices {
		if o.dec.Batch() != 1 {
			return nil, fmt.Errorf("sample: Generate writes one text, the other decoder is for %d", o.dec.Batch())
		}
		if err := agree(o.dec, tok, "the other model"); err != nil {
			return nil, err
		}
		prompt := tokens
		if o.prompt != nil {
			var err error
			if prompt, err = Prompt(tok, *o.prompt); err != nil {
				return nil, err
			}
		}
		v, err := newVoice(ctx, o.dec, prompt)
		if err != nil {
			return nil, err
		}
		if len(v.logits) != n {
			return nil, fmt.Errorf("sample: the other model has %d tokens, this one has %d: they must have the same "+
				"ones", len(v.logits), n)
		}
		h.voices, h.combine = append(h.voices, v), append(h.combine, o.combine)
	}
	return h, nil
}

// judgesOf is what judges a text that has no voices beside the model's and begins with token first.
func (c *config) judgesOf(vocab int, first int32) *chorus {
	if len(c.judges) == 0 {
		return nil
	}
	return &chorus{judges: c.judges, row: make([]float32, vocab), beside: make([]float32, vocab), text: []int32{first}}
}

// sing makes one row of log-probabilities of the model's logits, those of the other voices, which first read on, and
// the verdicts.
func (h *chorus) sing(ctx context.Context, logits []float32, unread []int32) ([]float32, error) {
	n := len(h.row)
	h.text = append(h.text, unread...)
	kernel.LogSoftmax(h.row, logits, 1, n)
	for i, v := range h.voices {
		if len(unread) > 0 {
			if err := v.read(ctx, unread); err != nil {
				return nil, err
			}
		}
		kernel.LogSoftmax(h.beside, v.logits, 1, n)
		h.combine[i](h.row, h.beside)
	}
	for _, j := range h.judges {
		k := min(j.best, n)
		if len(h.best) != k {
			h.best, h.verdict = make([]int32, k), make([]float64, k)
		}
		kernel.TopK(h.best, h.row)
		if err := j.judge.Judge(ctx, h.verdict, h.text, h.best); err != nil {
			return nil, err
		}
		for i := range h.beside {
			h.beside[i] = float32(math.Inf(-1))
		}
		for i, t := range h.best {
			if x := h.verdict[i]; x != x {
				return nil, errors.New("sample: the judge's verdict is not a number")
			}
			h.beside[t] = h.row[t] + float32(j.weight*h.verdict[i])
		}
		copy(h.row, h.beside)
	}
	return h.row, nil
}

// Classes judges by language models that were trained each on the texts of one class, all with the same tokens (GeDi,
// Krause et al. 2021): by Bayes' rule
//
//	P(class | text) = p(text | class) / Σ p(text | other class)
//
// where all classes are as likely before anything is read. The attribute is class number want. The text of a class
// begins behind first, such as a newline; skip is how many tokens of the prompt are not part of it. A judge is for one
// text at a time; another one begins anew.
func Classes(want int, first int32, skip int, classes ...model.Decoder) (Judge, error) {
	if len(classes) < 2 || want < 0 || want >= len(classes) {
		return nil, fmt.Errorf("sample: class %d of %d: there must be two or more, and the one that is wanted among "+
			"them", want, len(classes))
	}
	return &classJudge{want: want, first: first, skip: skip, decoders: classes}, nil
}

type classJudge struct {
	want     int
	first    int32
	skip     int
	decoders []model.Decoder
	voices   []*voice
	line     []int32   // what the models have read
	sums     []float64 // log-likelihoods of that
	rows     [][]float32
}

func (c *classJudge) Judge(ctx context.Context, dst []float64, text, next []int32) error {
	line := text[min(c.skip, len(text)):]
	if n := len(c.line); c.voices == nil || len(line) < n || !slices.Equal(c.line, line[:n]) {
		c.voices, c.line = nil, nil
		c.sums, c.rows = make([]float64, len(c.decoders)), make([][]float32, len(c.decoders))
		for i, d := range c.decoders {
			d.Reset()
			v, err := newVoice(ctx, d, []int32{c.first})
			if err != nil {
				return err
			}
			c.voices = append(c.voices, v)
			c.rows[i] = make([]float32, len(v.logits))
			kernel.LogSoftmax(c.rows[i], v.logits, 1, len(v.logits))
		}
	}
	for _, t := range line[len(c.line):] {
		for i, v := range c.voices {
			if int(t) >= len(c.rows[i]) {
				return fmt.Errorf("sample: the model of class %d has %d tokens, and token %d was written: the tokens "+
					"must be the same", i, len(c.rows[i]), t)
			}
			c.sums[i] += float64(c.rows[i][t])
			if err := v.read(ctx, []int32{t}); err != nil {
				return err
			}
			kernel.LogSoftmax(c.rows[i], v.logits, 1, len(v.logits))
		}
		c.line = append(c.line, t)
	}
	for k, t := range next {
		top := math.Inf(-1)
		for i, s := range c.sums {
			top = max(top, s+float64(c.rows[i][t]))
		}
		total := 0.0
		for i, s := range c.sums {
			total += math.Exp(s + float64(c.rows[i][t]) - top)
		}
		dst[k] = c.sums[c.want] + float64(c.rows[c.want][t]) - top - math.Log(total)
	}
	return nil
}

// Discriminator judges by the discriminator of adversarial networks of text, whose verdict on a line is the logarithm
// of the odds that it is of the data: so the attribute is that of the lines that they were trained on. What is judged
// is the text from token number skip on, with next behind it, filled up with the token that ends lines; longer ones
// are judged by their last tokens.
func Discriminator(m model.Imitators, skip int) Judge { return &discriminator{m, skip} }

type discriminator struct {
	m    model.Imitators
	skip int
}

func (d *discriminator) Judge(ctx context.Context, dst []float64, text, next []int32) error {
	info := d.m.Info()
	steps, end := info.Steps, info.Adversary.Text.End
	text = text[min(d.skip, len(text)):]
	text = text[max(0, len(text)-(steps-1)):]
	verdicts := make([]float32, info.Batch)
	for at := 0; at < len(next); at += info.Batch {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n := min(info.Batch, len(next)-at)
		b := &model.Batch{Steps: steps, Batch: n, Targets: make([]int32, steps*n)}
		for i := range n {
			for t := range steps {
				token := end
				switch {
				case t < len(text):
					token = text[t]
				case t == len(text):
					token = next[at+i]
				case end < 0:
					return errors.New("sample: the discriminator judges lines of one length only, so not the " +
						"beginning of one")
				}
				b.Targets[t*n+i] = token
			}
		}
		if err := d.m.Judge(verdicts[:n], b); err != nil {
			return err
		}
		for i, v := range verdicts[:n] {
			// log σ(v)
			dst[at+i] = -math.Log1p(math.Exp(-math.Abs(float64(v)))) + min(0, float64(v))
		}
	}
	return nil
}

// Classifier judges by a model that tells of each beginning of a text which class the text is of: one whose target, at
// each place of the texts that it was trained on, was the token of the text's class (the classifier of FUDGE; Yang and
// Klein 2021, section 3.1). The attribute is the class of token want; classes are all tokens of classes, among which
// probabilities are shared. Texts begin behind first and without the first skip tokens, as in [Classes]. The decoder
// has as many sequences as tokens are judged at a time, or more. A judge is for one text at a time; another one begins
// anew.
func Classifier(dec model.Decoder, want int32, classes []int32, first int32, skip int) (Judge, error) {
	if dec == nil || len(classes) < 2 || !slices.Contains(classes, want) {
		return nil, fmt.Errorf("sample: a classifier of %d classes, of which token %d is wanted: there must be a "+
			"decoder, two classes or more, and the one that is wanted among them", len(classes), want)
	}
	return &classifier{dec: dec, want: want, classes: slices.Clone(classes), first: first, skip: skip}, nil
}

type classifier struct {
	dec     model.Decoder
	want    int32
	classes []int32
	first   int32
	skip    int

	line  []int32 // what the decoder has read but for the last token, which is another one in each sequence
	asked []int32 // those tokens; nil before the first call
	in    []int32
	from  []int
}

func (c *classifier) Judge(ctx context.Context, dst []float64, text, next []int32) error {
	n := c.dec.Batch()
	if len(next) > n {
		return fmt.Errorf("sample: %d tokens are to be judged, the classifier's decoder is for %d", len(next), n)
	}
	line := text[min(c.skip, len(text)):]
	// Where the text has gone on with one of the tokens that were judged, so does the sequence that read it.
	rest, at := line, -1
	if k := len(c.line); c.asked != nil && len(line) > k && slices.Equal(c.line, line[:k]) {
		at = slices.Index(c.asked, line[k])
		rest = line[k+1:]
	}
	if at >= 0 {
		for i := range c.from {
			c.from[i] = at
		}
		if err := c.dec.Reorder(c.from); err != nil {
			return err
		}
	} else {
		c.dec.Reset()
		rest = append([]int32{c.first}, line...)
		c.in, c.from = make([]int32, n), make([]int, n)
	}
	if model.Room(c.dec) < len(rest)+1 {
		c.dec.Reset()
		rest = append([]int32{c.first}, line...)
		if room := model.Room(c.dec); room < len(rest)+1 {
			rest = rest[len(rest)-max(1, room/2):] // as the models that write go on in such a case
		}
	}
	if len(rest) > 0 {
		if _, err := feed(ctx, c.dec, rest); err != nil {
			return err
		}
	}
	for i := range c.in {
		c.in[i] = next[min(i, len(next)-1)]
	}
	logits, err := c.dec.Step(c.in)
	if err != nil {
		return err
	}
	c.line, c.asked = append(c.line[:0], line...), append(c.asked[:0], next...)
	vocab := len(logits) / n
	for i := range next {
		row := logits[i*vocab : (i+1)*vocab]
		top := math.Inf(-1)
		for _, t := range c.classes {
			if t < 0 || int(t) >= vocab {
				return fmt.Errorf("sample: class token %d: the classifier's tokens are 0 to %d", t, vocab-1)
			}
			top = max(top, float64(row[t]))
		}
		total := 0.0
		for _, t := range c.classes {
			total += math.Exp(float64(row[t]) - top)
		}
		dst[i] = float64(row[c.want]) - top - math.Log(total)
	}
	return nil
}

// BestOf draws n texts as [Generate] does, each with a seed of its own, and gives them with their log-probabilities
// under the model alone, the one with the highest mean a token first. The decoder is reset before each.
func BestOf(ctx context.Context, dec model.Decoder, tok text.Tokenizer, prompt string, n int,
	opts ...Option) ([]Hypothesis, error) {
	if n < 1 {
		return nil, fmt.Errorf("sample: the best of %d texts: give 1 or more", n)
	}
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	if len(c.voices)+len(c.judges) > 0 {
		return nil, errors.New("sample: the best of several texts is drawn from one model, without others beside it")
	}
	var all []Hypothesis
	for i := range n {
		h := Hypothesis{}
		row := make([]float32, tok.Vocab())
		watch := func(c *config) {
			if c.seeded {
				c.seed += uint64(i)
			}
			c.watch = func(logits []float32, token int32) {
				kernel.LogSoftmax(row, logits, 1, len(row))
				h.LogProb += float64(row[token])
				h.Tokens = append(h.Tokens, token)
			}
		}
		dec.Reset()
		for part, err := range Generate(ctx, dec, tok, prompt, append(append([]Option{}, opts...), watch)...) {
			if err != nil {
				return nil, err
			}
			h.Text += part
		}
		h.Score = h.LogProb / float64(max(1, len(h.Tokens)))
		all = append(all, h)
	}
	sortHypotheses(all)
	return all, nil
}

// Contrastive goes on with the prompt by contrastive search (Su et al. 2022): of the k likeliest tokens, k being
// dec.Batch(), it takes the one with the highest
//
//	(1 − alpha)·p(token) − alpha·max cos(h, hⱼ)
//
// where h is the representation of the text with that token and hⱼ are those of all its beginnings, so that it does not
// repeat itself. The paper has an alpha of 0.6 and a k of 4 to 10. Of the options it uses MaxTokens, MinTokens, Stop,
// LogitBias, Banned and Constrain. The same text comes each time.
func Contrastive(ctx context.Context, dec model.Representer, tok text.Tokenizer, prompt string, alpha float64,
	opts ...Option) (string, error) {
	c, err := newConfig(opts)
	if err != nil {
		return "", err
	}
	if !finite(alpha, 0, 1) {
		return "", fmt.Errorf("sample: contrastive search with an alpha of %v: it must be from 0 to 1", alpha)
	}
	if c.temperature != 1 || c.shapes() {
		return "", errors.New("sample: contrastive search takes MaxTokens, MinTokens, Stop, LogitBias, Banned and " +
			"Constrain; other options are for drawing")
	}
	if c.maxTokens < 0 {
		return "", errors.New("sample: contrastive search needs MaxTokens")
	}
	c.tokenized(tok)
	s, err := c.sampler(tok.Vocab())
	if err != nil {
		return "", err
	}
	tokens, err := Prompt(tok, prompt)
	if err != nil {
		return "", err
	}
	k, vocab := dec.Batch(), tok.Vocab()
	past := newHistory(Window(dec))
	past.add(tokens...)
	var before [][]float32 // of unit length
	in := make([]int32, k)
	var logits []float32
	remember := func(i int) {
		h := dec.Hidden()
		width := len(h) / k
		before = append(before, unit(h[i*width:(i+1)*width]))
	}
	read := func(tokens []int32) error {
		before = before[:0]
		for _, t := range tokens {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			for i := range in {
				in[i] = t
			}
			next, err := dec.Step(in)
			if err != nil {
				return err
			}
			logits = append(logits[:0], next[:vocab]...)
			remember(0)
		}
		return nil
	}
	if err := read(past.fitting(tokens)); err != nil {
		return "", err
	}
	stream, held := streamBehind(tok, tokens), holder{stops: c.stop, after: c.minTokens}
	out := ""
	best, from := make([]int32, 0, k), make([]int, k)
	probs := make([]float32, vocab)
	for n := 0; n < c.maxTokens; n++ {
		if model.Room(dec) == 0 {
			dec.Reset()
			if err := read(past.half()); err != nil {
				return out, err
			}
		}
		if err := s.shape(logits); errors.Is(err, ErrEnd) {
			break
		} else if err != nil {
			return out, err
		}
		s.candidates.softmax()
		clear(probs)
		for _, y := range s.candidates.List {
			probs[y.Token] = y.prob
		}
		best = best[:min(k, vocab)]
		kernel.TopK(best, probs)
		for len(best) > 1 && probs[best[len(best)-1]] == 0 {
			best = best[:len(best)-1]
		}
		for i := range in {
			in[i] = best[min(i, len(best)-1)]
		}
		next, err := dec.Step(in)
		if err != nil {
			return out, err
		}
		h := dec.Hidden()
		width := len(h) / k
		chosen, top := 0, math.Inf(-1)
		for i, t := range best {
			x := unit(h[i*width : (i+1)*width])
			near := -1.0
			for _, y := range before {
				near = max(near, dot(x, y))
			}
			if score := float64((1-alpha)*float64(probs[t])) - float64(alpha*near); score > top {
				chosen, top = i, score
			}
		}
		token := best[chosen]
		if token == c.end {
			break
		}
		s.written++
		if err := s.under.take(s, token); errors.Is(err, ErrEnd) {
			break
		} else if err != nil {
			return out, err
		}
		past.add(token)
		part, end := held.next(stream.Next(token))
		if out += part; end {
			return out, nil
		}
		logits = append(logits[:0], next[chosen*vocab:(chosen+1)*vocab]...)
		remember(chosen)
		for i := range from {
			from[i] = chosen
		}
		if err := dec.Reorder(from); err != nil {
			return out, err
		}
	}
	part, end := held.next(stream.Flush())
	if out += part; !end {
		out += held.rest
	}
	return out, nil
}

// unit is x of length 1.
func unit(x []float32) []float32 {
	length := math.Sqrt(dot(x, x))
	out := make([]float32, len(x))
	if length > 0 {
		for i, v := range x {
			out[i] = float32(float64(v) / length)
		}
	}
	return out
}

func dot(x, y []float32) float64 {
	sum := 0.0
	for i, v := range x {
		sum += float64(float64(v) * float64(y[i]))
	}
	return sum
}

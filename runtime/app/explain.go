package app

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/explain/pages"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/inference"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/page"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// explaining is the flags of explain.
type explaining struct {
	text, answer, token, against, other, out, pictures, probe string
	at                                                        int
	units                                                     []string

	labels labelFlags

	data      dataFlags // of a long text, and of that:
	find      string
	lens      string // a text that a tuned lens is trained on
	lensSteps int
	positions int
}

func (a *program) newExplain() *cobra.Command {
	var f explaining
	var path string
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Write a page that shows why the model predicts what it does",
		Long: `Explain writes a page about one prediction for a text: how surprised the model is by each
token, where the prediction comes from by three methods, each with what it leaves unexplained,
where heads of attention look, what each layer would predict, what heads and parts of layers add
by themselves, and hidden units and gates of recurrent layers over the text. The page is one file
that fetches nothing.

Explained is the prediction behind the last token, or the one of --at, of the token that the model
holds for the likeliest there, or of --token. --other gives a text of as many tokens from which
values are put into this one.` + a.explainsSource() + a.explainsOthers() + a.explainsCorpus() + `

` + cli.Escapes,
		Example: fmt.Sprintf("  %s explain --text %q", a.Info.Name, a.example()) + a.corpusExample(),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			long, err := a.ofCorpus(cmd, &f)
			if err != nil {
				return err
			}
			if err := f.labels.needed(a, cmd, "text"); err != nil {
				return err
			}
			if err := page.Writable(f.out, page.ExplainHead, "explain"); err != nil {
				return err
			}
			if long {
				return a.explainCorpus(cmd, &f, path)
			}
			lm, err := a.trained(path, checkpoint.LoadWeights)
			if err != nil {
				return err
			}
			part := ""
			if a.ofLines() {
				part = "generator"
			}
			e, err := explain.New(lm, part)
			if err != nil {
				return err
			}
			t := &pages.Text{Info: a.Info, Explainer: e, Piece: a.Tokenizer.Piece}
			if a.ofLines() {
				if t.Judge, err = explain.New(lm, "discriminator"); err != nil {
					return err
				}
			}
			if s, ok := lm.(inference.Sentences); ok && a.Info.Latent != nil {
				t.Write = func(ctx context.Context, z []float32, labels []int32) ([]string, error) {
					return inference.DecodeSentences(ctx, s, a.Tokenizer, z, labels)
				}
			}
			if err := a.explained(cmd.Context(), lm, t, &f); err != nil {
				return err
			}
			if f.lens != "" {
				if t.Tuning, err = a.tunedLens(cmd, f.lens, f.lensSteps); err != nil {
					return err
				}
			}
			if f.probe != "" {
				if t.Probe, err = a.probing(cmd.Context(), lm, f.probe); err != nil {
					return err
				}
			}
			p, err := t.Page(cmd.Context())
			if err != nil {
				return err
			}
			return writeExplained(p, f.out, f.pictures)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.text, "text", "", "the `TEXT` that the model reads")
	if a.Info.Source != nil {
		fs.StringVar(&f.answer, "answer", "", "the answer so far (default: the model's own)")
	}
	f.labels.addOne(a, fs, "the text")
	fs.IntVar(&f.at, "at", 0, "explain the prediction at this `TOKEN`, counted from 1 (default: the last)")
	fs.StringVar(&f.token, "token", "", "explain this `TEXT` of one token (default: the likeliest)")
	fs.StringVar(&f.against, "against", "", "explain by how much it is above this `TEXT` of one token")
	fs.StringVar(&f.other, "other", "", "a `TEXT` of as many tokens, whose values are put into this one")
	fs.StringArrayVar(&f.units, "unit", nil, "show this hidden `UNIT`, such as lstm.h[17]; may be given several times")
	if a.readsCorpus() {
		fs.StringVar(&f.lens, "tuned-lens", "", "text `FILE` to train a tuned lens on, which says what layers would "+
			"predict "+
			"beside the plain one")
		fs.IntVar(&f.lensSteps, "lens-steps", 300, "updates of the tuned lens")
		f.data.addText(a, fs, " in which units are searched")
		fs.StringVar(&f.find, "find", "", "find the units that go with a `PROPERTY` of the text: "+
			strings.Join(explain.Properties(), ", ")+", or a regular expression")
		fs.IntVar(&f.positions, "positions", 20000, "read at most `N` tokens of the text, spread over it")
	}
	if a.Info.Labels == 0 { // else what is read is what the model was told
		fs.StringVar(&f.probe, "probe", "", "`FILE` of lines LABEL, tab, TEXT: how well a linear probe reads the labels "+
			"from each layer")
	}
	fs.StringVarP(&f.out, "out", "o", "explain.html", "`FILE` for the page")
	fs.StringVar(&f.pictures, "pictures", "", "`FOLDER` for the pictures of the page, in PNG")
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

// explainsSource says what the text is of a model that answers.
func (a *program) explainsSource() string {
	if a.Info.Source == nil {
		return ""
	}
	return ` TEXT is the source; explained
is a token of the model's own answer, or of what follows --answer.`
}

// explainsOthers says what is explained of conditional models and of networks of text besides.
func (a *program) explainsOthers() string {
	says := ""
	if a.Info.Labels > 0 {
		says += `

--label says what the model is told of the text; the page also shows what the label has to do with the
prediction, and what is written with others.`
	}
	if a.ofLines() {
		says += `

TEXT is a line. Explained are the discriminator's verdict on it, by how much each token speaks for it,
and what the generator predicts.`
	}
	return says
}

// explained fills in what is explained of a text.
func (a *program) explained(ctx context.Context, m model.LanguageModel, t *pages.Text, f *explaining) error {
	read, err := cli.Unescape(f.text)
	if err != nil {
		return fmt.Errorf("--text: %w", err)
	}
	if t.Batch, t.Next, t.Source, err = a.explainedBatch(ctx, m, read, f.answer); err != nil {
		return fmt.Errorf("--text: %w", err)
	}
	if f.other != "" {
		other, err := cli.Unescape(f.other)
		if err != nil {
			return fmt.Errorf("--other: %w", err)
		}
		answer := f.answer
		if a.Info.Source != nil && answer == "" { // the same one, for both
			answer = a.Tokenizer.Decode(t.Batch.Tokens[1:])
		}
		if t.Other, _, _, err = a.explainedBatch(ctx, m, other, answer); err != nil {
			return fmt.Errorf("--other: %w", err)
		}
	}
	if a.Info.Labels > 0 {
		t.Batch.Labels = []int32{int32(f.labels.one)}
		if t.Other != nil {
			t.Other.Labels = t.Batch.Labels
		}
	}
	if a.ofLines() {
		if t.Judged, err = a.judgedLine(read); err != nil {
			return fmt.Errorf("--text: %w", err)
		}
	}
	if t.Units, err = unitsOf(f.units); err != nil {
		return err
	}
	n := t.Batch.Steps
	if f.at == 0 {
		if f.at = n; a.Info.Masking != nil {
			f.at = masked(t.Batch.Tokens, a.Info.Masking.Token)
		}
	}
	if f.at < 1 || f.at > n {
		return fmt.Errorf("--at %d: the text has %d tokens", f.at, n)
	}
	t.Target = explain.Target{Step: f.at - 1, Against: -1}
	if t.Target.Token, err = a.oneToken(f.token); err != nil {
		return fmt.Errorf("--token: %w", err)
	}
	if f.token == "" {
		pass, err := t.Explainer.Run(t.Batch)
		if err != nil {
			return err
		}
		t.Target.Token = explain.Top(explain.Row(pass.Output(), f.at-1), 1)[0].Token
	}
	if f.against != "" {
		if t.Target.Against, err = a.oneToken(f.against); err != nil {
			return fmt.Errorf("--against: %w", err)
		}
	}
	return nil
}

// judgedLine is a line as the discriminator reads it.
func (a *program) judgedLine(line string) (*model.Batch, error) {
	tokens, err := text.EncodeJudged(line, a.Tokenizer, *a.Info.Adversary.Text, a.Info.Steps)
	if err != nil {
		return nil, err
	}
	return explain.Text(tokens), nil
}

// masked is the place, from 1, of the first masked token, or else of the last token.
func masked(tokens []int32, mask int32) int {
	for i, t := range tokens {
		if t == mask {
			return i + 1
		}
	}
	return len(tokens)
}

// oneToken is the token that a text is.
func (a *program) oneToken(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	s, err := cli.Unescape(s)
	if err != nil {
		return 0, err
	}
	tokens, err := a.Tokenizer.Encode(s)
	if err != nil {
		return 0, err
	}
	if len(tokens) != 1 {
		return 0, fmt.Errorf("%q is %d tokens, and one is explained", s, len(tokens))
	}
	return int(tokens[0]), nil
}

// explainedBatch is what the model reads of a text, what follows each of its tokens, and the tokens of a source.
func (a *program) explainedBatch(ctx context.Context, m model.LanguageModel, read, answer string) (b *model.Batch,
	next []int32, source []string, err error) {
	info := a.Info
	if info.Latent != nil && answer == "" { // what it is to write again
		answer = read
	}
	if a.ofLines() { // what the generator reads is the line behind the token that begins it
		judged, err := a.judgedLine(read)
		if err != nil {
			return nil, nil, nil, err
		}
		n := len(judged.Targets)
		if end := info.Adversary.Text.End; end >= 0 { // with the first token that ends it
			if i := slices.Index(judged.Targets, end); i >= 0 {
				n = i + 1
			}
		}
		return explain.Text(append([]int32{info.Adversary.Text.Begin}, judged.Targets[:n-1]...)), judged.Targets[:n],
			nil,
			nil
	}
	if info.Source == nil {
		tokens, err := a.Tokenizer.Encode(read)
		if err != nil {
			return nil, nil, nil, err
		}
		if len(tokens) == 0 || len(tokens) > info.Steps {
			return nil, nil, nil, fmt.Errorf("it has %d tokens, and the model's window takes 1 to %d", len(tokens),
				info.Steps)
		}
		b = explain.Text(tokens)
		if info.Masking != nil {
			return b, tokens, nil, nil
		}
		return b, append(tokens[1:len(tokens):len(tokens)], -1), nil, nil
	}
	reader := a.SourceTokenizer
	if info.Latent != nil {
		reader = a.Tokenizer
	}
	from, err := text.EncodeSource(read, reader, *info.Source)
	if err != nil {
		return nil, nil, nil, err
	}
	var tokens []int32
	if answer != "" {
		if answer, err = cli.Unescape(answer); err != nil {
			return nil, nil, nil, err
		}
		if tokens, err = a.Tokenizer.Encode(answer); err != nil {
			return nil, nil, nil, err
		}
	} else {
		found, err := inference.Answer(ctx, m.(model.Writer), from, 1, info.Steps-1, sample.Ranking{})
		if err != nil {
			return nil, nil, nil, err
		}
		tokens = found.Tokens
	}
	if len(tokens) >= info.Steps {
		return nil, nil, nil, fmt.Errorf("the answer has %d tokens, and the model's window takes %d", len(tokens),
			info.Steps-1)
	}
	for _, t := range from {
		source = append(source, reader.Piece(t))
	}
	b = explain.Pair(from, append([]int32{info.Source.AnswerBegin}, tokens...))
	return b, append(tokens[:len(tokens):len(tokens)], info.Source.AnswerEnd), source, nil
}

var unitForm = regexp.MustCompile(`^([^\[]+)(?:\[(\d+)\])?\[(\d+)\]$`)

// unitsOf reads the units of --unit.
func unitsOf(names []string) (all []explain.Unit, err error) {
	for _, name := range names {
		u, err := unitOf(name)
		if err != nil {
			return nil, fmt.Errorf("--unit: %w", err)
		}
		all = append(all, u)
	}
	return all, nil
}

// unitOf reads a unit: lstm.h[17], or lstm.h[2][17] of layer 2 of a stack.
func unitOf(s string) (explain.Unit, error) {
	m := unitForm.FindStringSubmatch(s)
	if m == nil {
		return explain.Unit{}, fmt.Errorf("%q is not of the form lstm.h[17], or lstm.h[2][17] of layer 2", s)
	}
	u := explain.Unit{Tap: m[1]}
	var err error
	if m[2] != "" {
		if u.Layer, err = strconv.Atoi(m[2]); err != nil || u.Layer < 1 {
			return u, fmt.Errorf("%q: layers are counted from 1", s)
		}
		u.Layer--
	}
	if u.Index, err = strconv.Atoi(m[3]); err != nil {
		return u, fmt.Errorf("%q: the number is too large", s)
	}
	return u, nil
}

// writeExplained writes a page and, where there is a folder for them, its pictures.
func writeExplained(p *page.Page, out, pictures string) error {
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		return err
	}
	if pictures != "" {
		if err := files.MkdirAll(pictures); err != nil {
			return err
		}
		for _, picture := range p.Pictures() {
			if err := put(filepath.Join(pictures, "explain-"+picture.Name+".png"), picture.PNG); err != nil {
				return err
			}
		}
	}
	return put(out, b.Bytes())
}

package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/metric"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/policy"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// evalLinesFlags are the flags of eval of networks of text.
type evalLinesFlags struct {
	data               dataFlags
	path, plane, curve string
	samples            int
	temperatures       []float64
	seed               uint64
}

func (a *program) newEvalImitation() *cobra.Command {
	var f evalLinesFlags
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Tell how good and how varied the lines are that the generator writes",
		Long: `Eval tells how likely the lines of a file are to the generator, in nats a token (NLL-gen: low where it
has all of what the file has), and compares lines that it writes with those of the file: BLEU-n, the
share of their runs of n tokens that the file has too, and self-BLEU-n, that which other lines of the
generator have, which is high where it writes the same again and again (Zhu et al. 2018). Behind them
stand the discriminator's mean verdict on these lines, and the share of its verdicts on them and on
those of the file that are right. The file's own row has the BLEU of half of it against the other.

A lower temperature buys BLEU with self-BLEU: --temperatures gives a row for each of several, and
--plane keeps them as a curve in the plane of BLEU-5 and self-BLEU-5, in which a generator that is
better than another has a curve on the other's side of more BLEU and less self-BLEU (Caccia et al.
2020).`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.evalLines(cmd, &f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "temperature" { // as sample calls it
			name = "temperatures"
		}
		return pflag.NormalizedName(name)
	})
	f.data.addLines(a, fs, lineData+several, a.Data)
	fs.IntVar(&f.samples, "samples", 1000, "lines to write")
	fs.Float64SliceVar(&f.temperatures, "temperatures", []float64{1},
		"`LIST` of what logits are divided by, such as 0.5,0.7,1; 1 writes tokens as likely as the model says")
	fs.StringVar(&f.plane, "plane", "", "JSON `FILE` to add a curve of these temperatures to, which bench/plane draws")
	fs.StringVar(&f.curve, "curve", a.Info.Name, "`NAME` of the curve, in place of one that has it already")
	fs.Uint64Var(&f.seed, "seed", 1, "of what is written")
	fs.StringVar(&f.path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

func (a *program) evalLines(cmd *cobra.Command, f *evalLinesFlags) error {
	if len(f.temperatures) == 0 {
		return errors.New("--temperatures: give a temperature")
	}
	for _, t := range f.temperatures {
		if err := checkLines(f.samples, t); err != nil {
			return err
		}
	}
	drawing, err := readPlane(f.plane)
	if err != nil {
		return err
	}
	m, err := a.imitators(f.path)
	if err != nil {
		return err
	}
	set, err := a.lines(&f.data)
	if err != nil {
		return err
	}
	if f.samples < 2 || set.Len() < 2 {
		return fmt.Errorf("%s and %d samples: BLEU needs two lines of each", set.Name, f.samples)
	}
	batches, err := set.Whole(a.Info.Batch)
	if err != nil {
		return err
	}
	watching, end := watch(cmd.ErrOrStderr(), batches)
	loss, tokens, err := train.Evaluate(cmd.Context(), m, watching)
	end()
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s: %s lines; NLL-gen %.4f nats a token, over %s tokens\n", set.Name, thousands(set.Len()), loss,
		thousands(tokens))
	fmt.Fprintf(out, "%s lines written at each temperature:\n", thousands(f.samples))
	fmt.Fprintf(out, "%-16s %6s %7s %7s %7s  %11s %7s %7s %7s  %9s %7s\n", "", "BLEU-2", "-3", "-4", "-5",
		"self-BLEU-2", "-3", "-4", "-5", "verdict", "right")
	all := a.known(set, set.Len())
	real := all[:min(f.samples, len(all))]
	onReal, err := a.verdicts(m, real)
	if err != nil {
		return err
	}
	c := curve{Name: f.curve}
	for _, t := range f.temperatures {
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		work := cli.NewWork(cmd.ErrOrStderr(), fmt.Sprintf("writing lines at temperature %v and comparing them", t))
		made, err := policy.Sample(cmd.Context(), m, f.samples, t, f.seed)
		if err != nil {
			work.End()
			return err
		}
		good, alike, err := overlap(made, all, made)
		work.End()
		if err != nil {
			return err
		}
		var d model.Duel
		onMade, err := a.verdicts(m, made)
		if err != nil {
			return err
		}
		n := min(len(onReal), len(onMade))
		d.Judged(onReal[:n], onMade[:n], a.Info.Adversary)
		fmt.Fprintf(out, "%-16s %s  %s  %9.3f %5.1f %%\n", fmt.Sprintf("temperature %v", t), shares(good, 6),
			shares(alike, 11), d.Fake, 100*d.Accuracy)
		c.Points = append(c.Points, point{X: good[4], Y: alike[4], Label: fmt.Sprint(t)})
	}
	work := cli.NewWork(cmd.ErrOrStderr(), "comparing the lines of the file")
	good, alike, err := overlap(all[:len(all)/2], all[len(all)/2:], real)
	work.End()
	if err != nil {
		return err
	}
	var d model.Duel
	d.Judged(onReal, onReal, a.Info.Adversary)
	fmt.Fprintf(out, "%-16s %s  %s  %9.3f\n", "the file", shares(good, 6), shares(alike, 11), d.Real)
	if f.plane == "" {
		return nil
	}
	drawing.add(c)
	return drawing.write(f.plane)
}

// overlap is the BLEU of lines against others, and the self-BLEU of lines, for n up to 5.
func overlap(lines, against, among [][]int32) (bleu, self []float64, err error) {
	if bleu, err = metric.SentenceBLEU(lines, against, 5); err == nil {
		self, err = metric.SelfBLEU(among, 5)
	}
	return bleu, self, err
}

// shares prints BLEU-2 to BLEU-5 in columns, the first of some width.
func shares(bleu []float64, first int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%*.4f", first, bleu[1])
	for _, x := range bleu[2:] {
		fmt.Fprintf(&b, " %7.4f", x)
	}
	return b.String()
}

// plane is a file of curves that bench/plane draws.
type plane struct {
	Title  string  `json:"title"`
	X      string  `json:"x"`
	Y      string  `json:"y"`
	Curves []curve `json:"curves"`
}

type curve struct {
	Name   string  `json:"name"`
	Points []point `json:"points"`
}

type point struct {
	X     float64 `json:"x"`
	Y     float64 `json:"y"`
	Label string  `json:"label,omitempty"`
}

// readPlane reads the file of that name, where there is one.
func readPlane(name string) (*plane, error) {
	p := &plane{Title: "Quality and diversity", X: "BLEU-5: more like the text", Y: "self-BLEU-5: more like each other"}
	if name == "" {
		return p, nil
	}
	data, err := files.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("can't read the curves: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("%s: not a file of curves, so no curve can be added to it: %w", name, err)
	}
	return p, nil
}

// add adds a curve, or puts it in place of the one of its name.
func (p *plane) add(c curve) {
	for i := range p.Curves {
		if p.Curves[i].Name == c.Name {
			p.Curves[i] = c
			return
		}
	}
	p.Curves = append(p.Curves, c)
}

func (p *plane) write(name string) error {
	data, err := json.MarshalIndent(p, "", "\t")
	if err != nil {
		return err
	}
	return put(name, append(data, '\n'))
}

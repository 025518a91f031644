package app

import (
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// The range of a test of rates, around the rate of the spec or of --rate, its steps where --steps does not say, and the
// batches over which the gradient's noise is measured.
const (
	rateRange    = 1000
	rateSteps    = 200
	noiseBatches = 20
)

// findRate tests which rates the training could have, and prints what it found. It writes no checkpoint.
func (a *program) findRate(cmd *cobra.Command, f *trainFlags) error {
	ctx, out, errOut := cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	switch {
	case a.group != nil:
		return errors.New("--find-rate runs in one process: leave out mpirun")
	case a.Info.Adversary != nil:
		return errors.New("--find-rate: the losses of two networks that learn from each other do not say at which rate " +
			"they learn; leave it out")
	case f.resume:
		return errors.New("--find-rate and --resume contradict each other: to test from a checkpoint, name it with --from")
	}
	if err := a.checkTrain(f); err != nil {
		return err
	}
	if err := f.checkPlot(); err != nil {
		return err
	}
	if f.from == "" {
		f.from = a.Checkpoint
	}
	data, err := a.material(cmd, f)
	if err != nil {
		return err
	}
	m := a.New(f.seed)
	if f.from != "" {
		if err := checkpoint.LoadWeights(f.from, m); err != nil {
			return err
		}
	}
	steps := rateSteps
	if cmd.Flags().Changed("steps") {
		steps = f.steps
	}
	fmt.Fprintf(errOut, "%s: %s parameters; %s\n", a.Info.Name, thousands(a.Info.Params), data.text)
	noise, unmeasured := train.NoiseScale(ctx, m, data.Train, noiseBatches)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	clear(m.State())
	data.Train.SetPosition(0, 0)
	bar := cli.NewCounter(errOut, steps, "steps")
	test, err := train.FindRate(ctx, m, data.Train, f.rate/rateRange, f.rate*rateRange, steps,
		func(step int, loss float64) { bar.Set(step) })
	bar.End()
	if err != nil {
		return err
	}
	fmt.Fprint(out, sketch(test.Rates, test.Smooth, 72, 16))
	if test.Ended != "" {
		fmt.Fprintf(out, "%s\n", test.Ended)
	}
	fmt.Fprintf(out, "steepest    the loss falls fastest at rate %.2g: try --rate %.2g, and half and twice as much\n",
		test.Steepest, test.Steepest)
	fmt.Fprintf(out, "lowest      it is lowest at rate %.2g; a rate near it is too high for a whole training\n", test.Lowest)
	reportNoise(out, noise, unmeasured, a.Info.Unit())
	if f.plot == "" {
		return nil
	}
	return put(f.plot, []byte(a.ratePicture(test)))
}

// reportNoise says how large a batch is worth its while.
func reportNoise(out io.Writer, n *train.Noise, fault error, unit string) {
	switch {
	case fault != nil:
		fmt.Fprintf(out, "noise       not measured: %v\n", fault)
	case math.IsInf(n.Scale, 1):
		fmt.Fprintf(out, "noise       the gradients of %d batches of %.0f %ss have nothing in common that shows above their "+
			"noise\n", n.Batches, n.Units, unit)
	default:
		fmt.Fprintf(out, "noise       the gradient's noise scale is %s %ss, the batch has %s (means of squares over %d "+
			"batches)\n", short(n.Scale), unit, short(n.Units), n.Batches)
	}
}

// checkPlot refuses a picture that cannot be.
func (f *trainFlags) checkPlot() error {
	if f.plot == "" {
		return nil
	}
	if !strings.HasSuffix(f.plot, ".svg") {
		return fmt.Errorf("--plot %s: give the name of a .svg file", f.plot)
	}
	return checkpoint.Writable(f.plot)
}

// top is where the picture of a test of rates ends: the losses behind it are of no interest.
func top(losses []float64) float64 {
	low, first := slices.Min(losses), losses[0]
	return max(first, low) + 0.3*(first-low)
}

// sketch draws losses against rates, which grow by a factor, in letters: the number of columns and lines is that of the
// picture, to which the losses on the left and the rates below are added.
func sketch(rates, losses []float64, columns, lines int) string {
	low, high := slices.Min(losses), top(losses)
	if !(high > low) {
		high = low + 1
	}
	from, to := math.Log10(rates[0]), math.Log10(rates[len(rates)-1])
	if !(to > from) {
		to = from + 1
	}
	field := make([][]rune, lines)
	for i := range field {
		field[i] = []rune(strings.Repeat(" ", columns))
	}
	column := func(rate float64) int {
		return min(columns-1, max(0, int(math.Round((math.Log10(rate)-from)/(to-from)*float64(columns-1)))))
	}
	for i, loss := range losses {
		if line := int(math.Round((high - loss) / (high - low) * float64(lines-1))); line >= 0 && line < lines {
			field[line][column(rates[i])] = '•'
		}
	}
	var b strings.Builder
	for i, row := range field {
		label := ""
		if i%5 == 0 {
			label = fmt.Sprintf("%.4g", high-(high-low)*float64(i)/float64(lines-1))
		}
		fmt.Fprintf(&b, "%9s │%s\n", label, strings.TrimRight(string(row), " "))
	}
	axis, below := []rune(strings.Repeat("─", columns)), []rune(strings.Repeat(" ", columns+8))
	for x := math.Ceil(from - 1e-9); x <= to+1e-9; x++ {
		at := column(math.Pow(10, x))
		axis[at] = '┴'
		copy(below[at:], []rune(fmt.Sprintf("%.0e", math.Pow(10, x))))
	}
	fmt.Fprintf(&b, "%9s └%s\n%9s  %s\n", "", string(axis), "rate", strings.TrimRight(string(below), " "))
	return b.String()
}

// ratePicture is the picture of a test of rates, as SVG.
func (a *program) ratePicture(t *train.RateTest) string {
	const width, height, left, right, above, bottom = 800, 480, 72, 16, 40, 48
	from, to := math.Log10(t.Rates[0]), math.Log10(t.Rates[len(t.Rates)-1])
	low, high := slices.Min(t.Smooth), top(t.Smooth)
	if !(high > low) {
		high = low + 1
	}
	at := func(rate, loss float64) (x, y float64) {
		x = left + (math.Log10(rate)-from)/max(to-from, 1e-9)*(width-left-right)
		return x, above + (high-min(loss, high))/(high-low)*(height-above-bottom)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" `+
		`font-family="sans-serif" font-size="13">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="24" font-size="16">%s: loss of a step at each rate, nats a %s</text>`+"\n", left,
		html.EscapeString(a.Info.Name), a.Info.Unit())
	for _, loss := range ticks(low, high, 6) {
		_, y := at(t.Rates[0], loss)
		fmt.Fprintf(&b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/>`+
			`<text x="%d" y="%.1f" text-anchor="end">%.4g</text>`+"\n", left, y, width-right, y, left-8, y+4, loss)
	}
	for e := math.Ceil(from - 1e-9); e <= to+1e-9; e++ {
		x, _ := at(math.Pow(10, e), low)
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#ddd"/>`+
			`<text x="%.1f" y="%d" text-anchor="middle">%.0e</text>`+"\n", x, above, x, height-bottom, x,
			height-bottom+18, math.Pow(10, e))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">rate</text>`+"\n", (width+left-right)/2, height-10)
	for _, c := range []struct {
		losses []float64
		colour string
		wide   float64
	}{{t.Losses, "#aac4dd", 1}, {t.Smooth, "#4477aa", 2}} {
		var points []string
		for i, rate := range t.Rates {
			x, y := at(rate, c.losses[i])
			points = append(points, fmt.Sprintf("%.1f,%.1f", x, y))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="%g"/>`+"\n",
			strings.Join(points, " "), c.colour, c.wide)
	}
	for _, mark := range []struct {
		rate float64
		name string
	}{{t.Steepest, "steepest"}, {t.Lowest, "lowest"}} {
		x, _ := at(mark.rate, low)
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#ee7733" stroke-dasharray="4"/>`+
			`<text x="%.1f" y="%d" text-anchor="end">%s %.2g</text>`+"\n", x, above, x, height-bottom, x-4, above+14,
			mark.name, mark.rate)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

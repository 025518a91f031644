package app

import (
	"fmt"
	"io"
	"strconv"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// guardFlag is what a training does about steps that would do harm, as a flag.
type guardFlag struct{ model.Guarding }

const guardUsage = "what to do about steps that would do harm: \"finite\" skips those whose loss or gradient is not finite, " +
	"lowers the rate after some, and goes back to the last checkpoint; a number such as 10 also those whose gradient's " +
	"norm is so many times the usual; \"none\" ends the training"

func (f *guardFlag) String() string {
	switch {
	case f.Off:
		return "none"
	case f.Times > 0:
		return strconv.FormatFloat(f.Times, 'g', -1, 64)
	}
	return "finite"
}

// Set takes the word of the spec, or a multiple of the usual norm. The rest stays as the spec has it.
func (f *guardFlag) Set(s string) error {
	switch s {
	case "none":
		f.Off, f.Times = true, 0
		return nil
	case "finite":
		f.Off, f.Times = false, 0
		return nil
	}
	times, err := strconv.ParseFloat(s, 64)
	if err != nil || !(times > 1 && times <= 1e9) {
		return fmt.Errorf("give finite, none, or a number above 1, up to 1e9")
	}
	f.Off, f.Times = false, times
	return nil
}

// Type is the word of the value in the help.
func (*guardFlag) Type() string { return "WHAT" }

// reportGuard says what the guard has done in a training.
func reportGuard(out io.Writer, r train.Result) {
	if r.Skipped == 0 {
		return
	}
	fmt.Fprintf(out, "guard       %s skipped", counted(r.Skipped, "step"))
	if r.Lowered > 0 {
		fmt.Fprintf(out, ", the rate lowered %s", counted(r.Lowered, "time"))
	}
	if r.Returned > 0 {
		fmt.Fprintf(out, ", gone back to a checkpoint %s", counted(r.Returned, "time"))
	}
	fmt.Fprintln(out)
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return thousands(n) + " " + noun
}

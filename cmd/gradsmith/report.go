package main

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/cmd/gradsmith/internal/runs"
	"github.com/gradsmith/gradsmith/runtime/files"
	look "github.com/gradsmith/gradsmith/runtime/page"
)

func newReport() *cobra.Command {
	var out string
	var comparing bool
	cmd := &cobra.Command{
		Use:   "report RUN...",
		Short: "Show trainings on a page, or say which is better",
		Long: `Report reads the logs that train --log wrote and writes a page in HTML: the curves of all runs, what
share of its peak the processor computed, the settings in which they differ, what was found to go
wrong, the norms of their layers, and what the models made on the way. The page needs no other file
and no network. A RUN is a log, a folder of logs, or a pattern such as 'runs/wide-*.jsonl'. Runs
that cannot be read are named, and the others shown; a training that goes on is shown as far as it
is.

With --compare there are two, A and B, each of one log or of several that differ in their seeds, and
report says which is better: the one with the lower mean of the lowest validation losses, if the
difference is larger than the noise of the seeds explains (Welch's t-test, at 5 %). One run a side
tells nothing of that noise. With --out it writes the page too.`,
		Example: `  gradsmith report runs
  gradsmith report a.jsonl b.jsonl -o both.html
  gradsmith report --compare 'runs/narrow-*.jsonl' 'runs/wide-*.jsonl'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("report takes one RUN or more: logs that train --log wrote, or folders of them")
			}
			if comparing && len(args) != 2 {
				return fmt.Errorf("--compare takes two, A and B, not %d: put patterns in quotes", len(args))
			}
			if out == "" && !comparing {
				out = "report.html"
			}
			if out != "" {
				if err := look.Writable(out, runs.Head, "gradsmith report"); err != nil {
					return err
				}
			}
			var sets [2][]*runs.Run
			paths, err := runs.Find(args...)
			if err != nil {
				return err
			}
			all := runs.Read(paths...)
			if !comparing {
				return page(cmd, out, all, nil)
			}
			for i, arg := range args {
				in, err := runs.Find(arg)
				if err != nil {
					return err
				}
				for _, path := range in {
					for _, r := range all {
						if files.Same(r.Path, path) {
							sets[i] = append(sets[i], r)
						}
					}
				}
			}
			for _, r := range sets[0] {
				for _, other := range sets[1] {
					if r == other {
						return fmt.Errorf("%s is on both sides: name each run once", r.Path)
					}
				}
			}
			v, err := runs.Compare(sets[0], sets[1], args[0], args[1])
			if err != nil {
				return err
			}
			v.Print(cmd.OutOrStdout())
			if out == "" {
				return nil
			}
			return page(cmd, out, all, v)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&out, "out", "o", "", "`FILE` for the page (default \"report.html\"; none with --compare)")
	fs.BoolVar(&comparing, "compare", false, "say which of two runs, or sets of runs, is better")
	return cmd
}

// page writes the page of runs, and says what of them could not be read. Where that is all of them there is no page.
func page(cmd *cobra.Command, out string, all []*runs.Run, v *runs.Verdict) error {
	shown := 0
	for _, r := range all {
		for _, p := range r.Problems {
			fmt.Fprintf(cmd.ErrOrStderr(), "gradsmith: %s: %s\n", r.Path, p)
		}
		if !r.Empty() {
			shown++
		}
	}
	if shown == 0 {
		return errReported
	}
	var b bytes.Buffer
	if err := runs.WritePage(&b, all, v); err != nil {
		return err
	}
	if err := files.WriteFile(out, b.Bytes()); err != nil {
		return fmt.Errorf("can't write %s: %w", out, files.Cause(err))
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %d of %d runs\n", out, shown, len(all))
	return nil
}

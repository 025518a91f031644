package app

import (
	"regexp"
	"testing"
)

// The guard's doings are in the progress, the log, the picture and the report, and its flag is kept.
func TestGuard(t *testing.T) {
	b := newBench(t)
	b.program = bigramProgram(func(m *bigram) {
		m.fails = func(step int, rate float64) bool { return step == 5 || step >= 31 && rate > 0.06 }
	})
	args := []string{"train", "--data", "book.txt", "--eval-every", "10", "--log", "log.jsonl", "--plot", "loss.svg",
		"--samples", "0"}
	out, lines := b.run(args...)
	contains(t, "the output", out, "step 106 of 106, done\n",
		"guard       13 steps skipped, the rate lowered 3 times, gone back to a checkpoint 1 time\n")
	contains(t, "the progress", lines, "\nstep 5: skipped at rate 0.", ", as the loss became NaN\n",
		"\nstep 33: the rate is multiplied by 0.5 from here on: 3 bad steps in a row\n",
		"\nstep 30: the training has come back to this step from step 39, and goes on at 0.25 of the rate: at rate 0.")
	log := b.read("log.jsonl")
	contains(t, "the log", log, `"notice":"skip"`, `"step":30`, `"notice":"back"`, `"number":1}`)
	last := "0"
	for _, m := range regexp.MustCompile(`"step":(\d+),"seconds":[\d.]+,"loss"`).FindAllStringSubmatch(log, -1) {
		if len(m[1]) < len(last) || len(m[1]) == len(last) && m[1] <= last {
			t.Fatalf("in the log step %s comes behind step %s", m[1], last)
		}
		last = m[1]
	}
	b.fails("in step 5, at rate ", append(args, "--overwrite", "--guard", "none")...)
	b.fails("generate its code anew", append(args, "--overwrite", "--guard", "12.5")...)
	for _, bad := range []string{"1", "-3", "nan", "1e10", "loud"} {
		b.fails("give finite, none, or a number above 1, up to 1e9", append(args, "--overwrite", "--guard", bad)...)
	}
	b.run(append(args, "--overwrite", "--guard", "finite", "--steps", "3")...)
	b.run("train", "--resume", "--steps", "4", "--samples", "0")
}

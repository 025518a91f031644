package app_test

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
)

// TestGuesses: samples with guesses are those without, drawn or not; and flags that do not go together are errors.
func TestGuesses(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := checkpoint.SaveWeights("nano.safetensors", gptnano.NewSeeded(3)); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.SaveWeights("rnn.safetensors", rnn.NewSeeded(3)); err != nil {
		t.Fatal(err)
	}
	run := func(p app.Program, args ...string) (string, string, int) {
		var out, errOut bytes.Buffer
		status := app.Run(context.Background(), p, args, &out, &errOut)
		return out.String(), errOut.String(), status
	}
	sample := func(args ...string) []string {
		return append([]string{"sample", "--model", "nano.safetensors", "--prompt", "to be or not to be, to be",
			"--tokens", "120", "--seed", "5"}, args...)
	}
	right := regexp.MustCompile(`\d+ of \d+ guesses were right \(\d+ %\); \d+ passes of the model`)
	for _, how := range [][]string{{"--temperature", "0"}, {"--temperature", "0.9"},
		{"--top-k", "4", "--number", "2"}} {
		want, _, _ := run(gptnano.Program(), sample(how...)...)
		for _, guess := range [][]string{{"--lookup", "5"}, {"--guess", "q8"}, {"--guess", "q4", "--ahead", "7"}} {
			got, told, status := run(gptnano.Program(), sample(append(guess, how...)...)...)
			if status != 0 || got != want || !right.MatchString(told) {
				t.Errorf("%v %v: status %d, %q\n%q, without %q", how, guess, status, told, got, want)
			}
		}
	}
	for want, args := range map[string][]string{
		"give one of them":     sample("--guess", "q8", "--lookup", "3"),
		"for text that is":     sample("--guess", "q8", "--beam", "3"),
		"--lookup -1":          sample("--lookup", "-1"),
		"--ahead 0":            sample("--guess", "q8", "--ahead", "0"),
		"or q4":                sample("--guess", "q5"),
		"reads token by token": {"sample", "--model", "rnn.safetensors", "--prompt", "a", "--lookup", "3"},
	} {
		p := gptnano.Program()
		if args[2] == "rnn.safetensors" {
			p = rnn.Program()
		}
		if _, told, status := run(p, args...); status == 0 || !strings.Contains(told, want) {
			t.Errorf("%v: status %d, %q, want something about %q", args, status, told, want)
		}
	}
}

package generated_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/leading"
)

// TestEncoderFirst trains an autoencoder of sentences whose encoder is updated alone before a step, resumed to the bit
// while it is and when it no longer is.
func TestEncoderFirst(t *testing.T) {
	t.Chdir(t.TempDir())
	var text strings.Builder
	for i := range 80 {
		fmt.Fprintln(&text, strings.Repeat(string(rune('a'+i%4)), 1+i/4%6))
	}
	write(t, "t.txt", text.String())
	p := leading.Program()
	for _, validation := range []string{"0.2", "0"} {
		for _, half := range []string{"1", "13", "29", "40", "73"} {
			resumed(t, p, half, "90", "--data", "t.txt", "--validation", validation, "--eval-every", "9", "--rate",
				"0.02")
		}
	}
	out := must(t, p, "", "train", "--data", "t.txt", "--steps", "90", "--rate", "0.02", "--log", "log", "--overwrite")
	log, err := os.ReadFile("log")
	if err != nil {
		t.Fatal(err)
	}
	before := strings.Count(string(log), `"encoder_updates":`) // steps that had updates before them
	if before < 15 || before%15 != 0 || before >= 90 || !strings.Contains(out, " updates alone") {
		t.Errorf("%d steps had updates of the encoder before them, of passes of 15; training prints %s", before, out)
	}
}

package app

import (
	"os"
	"testing"
)

// Early stopping keeps the best parameters beside the checkpoint, says so, and goes on stopping when it is resumed.
func TestPatience(t *testing.T) {
	b := newBench(t)
	args := []string{"train", "--data", "book.txt", "--rate", "20", "--passes", "50", "--eval-every", "5", "--patience",
		"3", "--log", "log.jsonl"}
	out, lines := b.run(args...)
	contains(t, "the output", out, "stopped: 3 validations without a lower loss\n", "(best ",
		"best        bigram.best.safetensors, with a validation loss of ")
	contains(t, "the progress", lines,
		": the training stops: the validation loss has not become lower for 3 validations\n")
	contains(t, "the log", b.read("log.jsonl"), `"notice":"stop"`)
	before := b.read("bigram.safetensors")
	out, _ = b.run("train", "--resume")
	contains(t, "the output of the training that goes on", out, "stopped: 3 validations", "bigram.best.safetensors")
	if b.read("bigram.safetensors") != before {
		t.Error("a training that has stopped goes on")
	}
	b.file("notes.txt", "not a checkpoint")
	b.fails("notes.txt is not a checkpoint of gradsmith", append(args, "--overwrite", "--best", "notes.txt")...)
	b.fails("--patience -1: give 0 or more", append(args, "--overwrite", "--patience", "-1")...)
	os.Remove("bigram.safetensors")
	b.fails("bigram.best.safetensors exists", args...)
}

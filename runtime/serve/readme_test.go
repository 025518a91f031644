package serve

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/generated/translate"
)

// The lines with curl of the documentation are answered.
func TestDocumentation(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl here")
	}
	b := newBench(t, Options{}, modelOf(rnn.Program()), modelOf(translate.Program()), modelOf(bertmini.Program()),
		modelOf(textvae.Program()), modelOf(gan.Program()))
	line := regexp.MustCompile(`(?m)^    curl localhost:8080(\S+) -d '([^']*)'`)
	for file, least := range map[string]int{"../../README.md": 2, "../../docs/serve.md": 10} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := line.FindAllStringSubmatch(string(text), -1)
		if len(found) < least {
			t.Errorf("%s has %d lines with curl", file, len(found))
		}
		for _, f := range found {
			out, err := exec.Command(curl, "-sS", "--fail-with-body", b.url+f[1], "-d", f[2]).CombinedOutput()
			streamed := strings.HasSuffix(string(out), "data: [DONE]\n\n")
			if err != nil || !json.Valid(out) && !streamed {
				t.Errorf("%s: %s: %v, %s", file, f[0], err, out)
			}
		}
	}
}

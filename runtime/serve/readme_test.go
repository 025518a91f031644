package serve

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/generated/rnn"
)

// The lines with curl of the documentation are answered.
func TestDocumentation(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl here")
	}
	b := newBench(t, Options{}, modelOf(rnn.Program()))
	line := regexp.MustCompile(`(?m)^    curl localhost:8080(\S+) -d '([^']*)'`)
	for _, file := range []string{"../../README.md", "../../docs/serve.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := line.FindAllStringSubmatch(string(text), -1)
		if len(found) < 2 {
			t.Errorf("%s has %d lines with curl", file, len(found))
		}
		for _, f := range found {
			out, err := exec.Command(curl, "-sS", "--fail-with-body", b.url+f[1], "-d", f[2]).CombinedOutput()
			if err != nil || !strings.Contains(string(out), `"choices"`) {
				t.Errorf("%s: %s: %v, %s", file, f[0], err, out)
			}
		}
	}
}

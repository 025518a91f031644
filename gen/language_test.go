package gen

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/spec"
)

var yamlExample = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestLanguagePage compiles every spec of the page about the language.
func TestLanguagePage(t *testing.T) {
	page, err := os.ReadFile("../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := yamlExample.FindAllStringSubmatch(string(page), -1)
	if len(examples) < 4 {
		t.Fatalf("the page has %d examples", len(examples))
	}
	for _, e := range examples {
		name := strings.SplitN(e[1], "\n", 2)[0]
		m, err := spec.Parse("example.yaml", []byte(e[1]), os.ReadFile)
		if err != nil {
			t.Errorf("the example %q: %v", name, err)
			continue
		}
		if _, err := Generate(m); err != nil {
			t.Errorf("the example %q: %v", name, err)
		}
	}
}

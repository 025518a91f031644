package generated_test

import (
	"os/exec"
	"strings"
	"testing"
)

// A program that only runs a model links no reader of zstd, no command line and no progress bar: a model's package
// depends on the standard library, the runtime, and what finds out about the processor.
func TestImports(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
	models, err := exec.Command("go", "list", "-f", `{{if ne .Name "main"}}{{join .Deps " "}}{{end}}`,
		"./...").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, models)
	}
	const own = "github.com/gradsmith/gradsmith/"
	told := map[string]bool{}
	for _, dep := range strings.Fields(string(models)) {
		host, _, _ := strings.Cut(dep, "/")
		switch {
		case !strings.Contains(host, "."): // of the standard library
		case strings.HasPrefix(dep, own) && dep != own+"runtime/data/zstd" && dep != own+"runtime/app":
		case strings.HasPrefix(dep, "github.com/klauspost/cpuid/"), strings.HasPrefix(dep, "golang.org/x/sys/"):
		case !told[dep]:
			told[dep] = true
			t.Errorf("a model's package depends on %s", dep)
		}
	}
}

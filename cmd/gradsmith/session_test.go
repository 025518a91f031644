package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// user is a person with a module of their own, to whom the project is a released version.
type user struct {
	t   *testing.T
	dir string
	env []string
	ctx context.Context

	program string // of the model that the user has built
}

// newUser makes an empty module.
func newUser(t *testing.T) *user {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds programs")
	}
	env, err := released()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	u := &user{t: t, dir: t.TempDir(), env: append(os.Environ(), env...), ctx: ctx}
	u.run("go mod init example.com/mine")
	return u
}

// try runs a command line as a shell would, and returns what it prints.
func (u *user) try(line string) (out, errOut string, err error) {
	u.t.Helper()
	cmd := exec.CommandContext(u.ctx, "sh", "-c", line)
	cmd.Dir = u.dir
	cmd.Env = append(u.env, "PWD="+u.dir)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

// run is try for a command that must succeed.
func (u *user) run(line string) string {
	u.t.Helper()
	out, errOut, err := u.try(line)
	if err != nil {
		u.t.Fatalf("%s: %v\n%s%s", line, err, out, errOut)
	}
	return out
}

func (u *user) file(name, content string) {
	u.t.Helper()
	write(u.t, filepath.Join(u.dir, name), content)
}

// smaller changes a spec, so that a test takes seconds.
func (u *user) smaller(name string, changes ...string) {
	u.t.Helper()
	path := filepath.Join(u.dir, name)
	src, err := os.ReadFile(path)
	if err != nil {
		u.t.Fatal(err)
	}
	s := string(src)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(s, changes[i]) {
			u.t.Fatalf("%s has no %q:\n%s", name, changes[i], s)
		}
		s = strings.Replace(s, changes[i], changes[i+1], 1)
	}
	write(u.t, path, s)
}

// readmeSession is the first session of the README, command by command.
func readmeSession(t *testing.T) []string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "\n## In a module of your own\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	if !ok {
		t.Fatal("the README has no section on a module of one's own")
	}
	var lines []string
	for _, m := range regexp.MustCompile(`(?m)^    (go .+)$`).FindAllStringSubmatch(rest, -1) {
		lines = append(lines, m[1])
	}
	if len(lines) < 5 {
		t.Fatalf("the README's session is %q", lines)
	}
	return lines
}

// TestFirstSession types what the README says into an empty module, to which the project is a released version.
func TestFirstSession(t *testing.T) {
	u := newUser(t)
	u.file("book.txt", strings.Repeat("It was a dark and stormy night; the rain fell in torrents.\n", 200))
	for _, line := range readmeSession(t) {
		switch {
		case strings.HasPrefix(line, "go generate"):
			u.smaller("poet/poet.yaml", "shape: {batch: 32, steps: 64}", "shape: {batch: 4, steps: 16}", "size: 64",
				"size: 8", "units: 256", "units: 16")
		case strings.Contains(line, " train "):
			line += " --steps 40"
		case strings.Contains(line, " sample "):
			line += " --tokens 20 --seed 1"
		}
		out := u.run(line)
		if strings.Contains(line, " sample ") && !strings.HasPrefix(out, "It was") {
			t.Errorf("%s prints %q", line, out)
		}
	}
	u.run("go vet ./...")
	u.run("go test ./...")
	u.run("go mod verify")

	u.file("cmd/own/main.go", `package main

import (
	"context"
	"fmt"
	"log"

	"example.com/mine/poet"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

func main() {
	m, err := poet.Load("poet.safetensors")
	if err != nil {
		log.Fatal(err)
	}
	written := 0
	for text, err := range m.Generate(context.Background(), "It was", sample.TopP(0.9), sample.Temperature(0.8), sample.MaxTokens(20), sample.Seed(1)) {
		if err != nil {
			log.Fatal(err)
		}
		written += len(text)
	}
	fmt.Println(written > 0)
}
`)
	if out := u.run("go run ./cmd/own"); out != "true\n" {
		t.Errorf("the program prints %q", out)
	}

	// The code is fresh, and is not any more when the spec changes.
	u.run("go tool gradsmith verify ./...")
	u.smaller("poet/poet.yaml", "units: 16", "units: 17")
	if _, errOut, err := u.try("go tool gradsmith verify ./..."); err == nil || !strings.Contains(errOut, "stale") {
		t.Errorf("verify finds code of another spec fresh: %s", errOut)
	}
}

// TestToolHasAll checks that the tool is built from every module that a generated program is built from: whoever has
// the tool in a go.mod then has the sums of all of them.
func TestToolHasAll(t *testing.T) {
	modules := func(packages ...string) []string {
		t.Helper()
		out, err := exec.Command("go",
			append([]string{"list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}"}, packages...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Fields(string(out))
		slices.Sort(all)
		return slices.Compact(all)
	}
	tool := modules(self + "/cmd/gradsmith")
	for _, m := range modules(self+"/runtime/...", self+"/generated/...") {
		if !slices.Contains(tool, m) {
			t.Errorf("generated programs are built from %s, the tool is not: go run misses its sums behind go get -tool", m)
		}
	}
}

//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/gen/cases/bert"
	"github.com/gradsmith/gradsmith/gen/cases/gpt"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// said is what a command has written so far.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestServe builds a program of two packages and asks it, until a signal that gradsmith passes on ends it. Nothing is
// left in the folders of the packages.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	args := []string{"serve"}
	for _, p := range []model.Program{gpt.Program(), bert.Program()} {
		path := filepath.Join(dir, p.Info.Name+".best")
		if err := checkpoint.SaveWeights(path, p.New(1)); err != nil {
			t.Fatal(err)
		}
		args = append(args, "../../gen/cases/"+p.Info.Name+"="+path)
	}
	out := new(said)
	ended := make(chan int, 1)
	go func() { ended <- run(append(args, "--address", "localhost:0", "--max-tokens", "9"), io.Discard, out) }()
	var url string
	address := regexp.MustCompile(`msg=serving models="gpt bert" url=(http://\S+)/`)
	for url == "" {
		select {
		case status := <-ended:
			t.Fatalf("it ended with status %d: %s", status, out)
		case <-time.After(20 * time.Millisecond):
		}
		if found := address.FindStringSubmatch(out.String()); found != nil {
			url = found[1]
		}
	}
	for path, body := range map[string]string{
		"/v1/completions": `{"prompt":"abc","max_tokens":9}`,
		"/v1/embeddings":  `{"model":"bert","input":"abc"}`,
	} {
		answer, err := http.Post(url+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != 200 {
			t.Errorf("%s: %d, %s", path, answer.StatusCode, text)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status := <-ended; status != 0 {
		t.Errorf("it ended with status %d: %s", status, out)
	}
	if _, err := os.Stat("../../gen/cases/gradsmith_serve"); err == nil {
		t.Error("a folder of the program is left")
	}
}

// What is no package with a model is said to be none, before anything is built.
func TestServeRefuses(t *testing.T) {
	for args, says := range map[string]string{
		"../../nowhere":        "no package",
		"../../runtime/sample": "no function Program",
		".":                    "is a program",
		"../../gen/cases/...":  "more than one",
		"":                     "PACKAGE",
		"../../gen/cases/gpt ../../gen/cases/gpt=x": "twice",
	} {
		var out bytes.Buffer
		status := run(append([]string{"serve"}, strings.Fields(args)...), io.Discard, &out)
		if status != 1 || !strings.Contains(out.String(), says) {
			t.Errorf("serve %s: status %d, %s", args, status, fmt.Sprint(&out))
		}
	}
}

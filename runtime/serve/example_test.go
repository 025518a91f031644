package serve_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/serve"
)

// A program mounts the server beside what else it answers.
func ExampleServer() {
	srv := serve.New(serve.Options{MaxTokens: 100})
	if err := srv.Load(serve.Model{Program: rnn.Program(), Model: rnn.New()}); err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close(context.Background())
	mux := http.NewServeMux()
	mux.Handle("/ai/", http.StripPrefix("/ai", srv))

	l := httptest.NewServer(mux)
	defer l.Close()
	answer, err := http.Post(l.URL+"/ai/tokenize", "application/json", strings.NewReader(`{"content":"ab"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	fmt.Printf("%d %s", answer.StatusCode, body)
	// Output: 200 {"tokens":[66,67]}
}

// Command serve tries the server of models as those who use it will: with the official clients of OpenAI, with a
// browser, and under load. Its servers listen to this machine alone.
// In the folder bench:
//
//	go run ./serve clients      # every endpoint, by openai-go and by the package openai of npm
//	go run ./serve page         # the page in Chromium, with axe-core
//	go run ./serve load         # many streams at once: tokens a second, times to and between tokens
//
// What it needs of npm stands in package.json: npm ci --ignore-scripts.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/serve"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	commands := map[string]func(context.Context, []string) error{"clients": clients, "page": page, "load": load}
	var run func(context.Context, []string) error
	if len(os.Args) > 1 {
		run = commands[os.Args[1]]
	}
	if run == nil {
		fmt.Fprintln(os.Stderr, "usage: serve clients|page|load [flags]")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

// served runs a server with models while f asks it.
func served(ctx context.Context, o serve.Options, models []serve.Model, f func(url string) error) error {
	s := serve.New(o)
	if err := s.Load(models...); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, serve.Network{Listener: l}) }()
	err = f("http://" + l.Addr().String())
	stop()
	return errors.Join(err, <-ended)
}

// fresh is a model with the parameters of a seed.
func fresh(p model.Program) serve.Model { return serve.Model{Program: p, Model: p.New(1)} }

// node runs a script of this folder.
func node(ctx context.Context, script string, args, env []string) error {
	const dir = "serve" // of the module, where it is run
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		return errors.New("what is needed of npm is missing: (cd bench/serve && npm ci --ignore-scripts)")
	}
	cmd := exec.CommandContext(ctx, "node", append([]string{script}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, os.Stdout, os.Stderr, append(os.Environ(), env...)
	return cmd.Run()
}

package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/batch"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/serve"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	model, address, keys, cert, key string
	places, waiting, tokens         int
	profile                         int
	grace                           time.Duration
	contents                        bool
}

func (a *program) newServe() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer HTTP requests, in the API of OpenAI",
		Long: `Serve answers HTTP requests with the trained model, in the form that programs for the API of OpenAI and
for llama.cpp's server speak: /v1/completions, /v1/chat/completions, /v1/embeddings and more, which
/openapi.json describes. A page to try the model is at /.

It listens to this machine alone unless --address says otherwise; then set --keys, and --tls-cert with
--tls-key, or put a server in front that does so. Ctrl-C lets the answers that have begun end. SIGHUP
reads the checkpoint and the keys again, without dropping a request.`,
		Example: fmt.Sprintf("  %s serve\n  curl localhost:8080/v1/completions -d '{\"prompt\": %q, \"stream\": true}'",
			a.Info.Name, a.example()),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.serve(cmd, &f)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.address, "address", "localhost:8080", "`HOST:PORT` to listen at; port 0 takes a free one")
	fs.StringVar(&f.model, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(fs)
	fs.StringVar(&f.keys, "keys", "", "`FILE` with an API key on each line, of which a request must have one")
	fs.StringVar(&f.cert, "tls-cert", "", "certificate `FILE` in PEM form, for HTTPS")
	fs.StringVar(&f.key, "tls-key", "", "`FILE` with the certificate's private key")
	fs.IntVar(&f.places, "places", batch.DefaultPlaces, "texts that are written at the same time")
	fs.IntVar(&f.waiting, "waiting", batch.DefaultWaiting, "texts that may wait for a place; more are answered 429")
	fs.IntVar(&f.tokens, "max-tokens", 4096, "tokens of an answer, at the most")
	fs.DurationVar(&f.grace, "grace", 30*time.Second, "time that answers have to end when the server goes down")
	fs.IntVar(&f.profile, "profile-port", 0, "serve Go's profiles at this `PORT` of this machine alone; 0 for none")
	fs.BoolVar(&f.contents, "log-contents", false, "log what is asked, and not only that something is")
	return cmd
}

func (a *program) serve(cmd *cobra.Command, f *serveFlags) error {
	ctx := cmd.Context()
	switch {
	case f.places < 1:
		return fmt.Errorf("--places %d: give 1 or more", f.places)
	case f.waiting < 0:
		return fmt.Errorf("--waiting %d: give 0 or more", f.waiting)
	case f.tokens < 1:
		return fmt.Errorf("--max-tokens %d: give 1 or more", f.tokens)
	case (f.cert == "") != (f.key == ""):
		return errors.New("HTTPS needs both --tls-cert and --tls-key")
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	n := serve.Network{Grace: f.grace}
	if f.cert != "" {
		if _, err := tls.LoadX509KeyPair(f.cert, f.key); err != nil {
			return err
		}
		n.TLS = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				c, err := tls.LoadX509KeyPair(f.cert, f.key) // which may have been renewed
				return &c, err
			}}
	}
	var keys *serve.Keys
	if f.keys != "" {
		var err error
		if keys, err = serve.LoadKeys(f.keys); err != nil {
			return err
		}
	}
	waiting := f.waiting
	if waiting == 0 {
		waiting = -1
	}
	s := serve.New(serve.Options{Batch: batch.Options{Places: f.places, Waiting: waiting}, MaxTokens: f.tokens,
		Keys: keys, Log: log, Contents: f.contents})
	load := func() error {
		m, err := a.trained(f.model, checkpoint.LoadWeights)
		if err != nil {
			return err
		}
		return s.Load(serve.Model{Program: a.Program, Model: m})
	}
	if _, err := os.Stat(f.model); err != nil {
		return load() // says what to do
	}
	var err error
	if n.Listener, err = new(net.ListenConfig).Listen(ctx, "tcp", f.address); err != nil {
		return fmt.Errorf("--address %s: %w", f.address, err)
	}
	defer n.Listener.Close()
	if f.profile != 0 {
		end, err := profile(ctx, f.profile)
		if err != nil {
			return fmt.Errorf("--profile-port %d: %w", f.profile, err)
		}
		defer end()
	}
	// The server answers 503 while the model is read.
	asked := ctx
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		if err := load(); err != nil {
			stop(err)
			return
		}
		scheme := "http"
		if n.TLS != nil {
			scheme = "https"
		}
		log.Info("serving", "model", a.Info.Name, "url", fmt.Sprintf("%s://%s/", scheme, n.Listener.Addr()))
		again, end := hangups()
		defer end()
		for {
			select {
			case <-ctx.Done():
				return
			case <-again:
			}
			if err := errors.Join(load(), keys.Reload()); err != nil {
				log.Error("reload", "fault", err.Error(), "now", "what was loaded before is served on")
			} else {
				log.Info("reloaded", "model", f.model)
			}
		}
	}()
	err = s.Run(ctx, n)
	if cause := context.Cause(ctx); cause != nil && asked.Err() == nil {
		return cause
	}
	return err
}

// profile serves Go's profiles to this machine.
func profile(ctx context.Context, port int) (end func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("localhost:%d", port))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go h.Serve(l)
	return func() { h.Close() }, nil
}

package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/batch"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/serve"
)

// serveFlags are the flags of serve, but for those of the checkpoints.
type serveFlags struct {
	address, keys, cert, key string
	template                 string
	places, waiting, tokens  int
	profile                  int
	grace                    time.Duration
	contents                 bool
}

func (f *serveFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.address, "address", "localhost:8080", "`HOST:PORT` to listen at; port 0 takes a free one")
	fs.StringVar(&f.keys, "keys", "", "`FILE` with an API key on each line, of which a request must have one")
	fs.StringVar(&f.cert, "tls-cert", "", "certificate `FILE` in PEM form, for HTTPS")
	fs.StringVar(&f.key, "tls-key", "", "`FILE` with the certificate's private key")
	fs.StringVar(&f.template, "chat-template", "", "`NAME` of the form of conversations: "+
		strings.Join(serve.Templates(), ", ")+" (default: what the model was made for)")
	fs.IntVar(&f.places, "places", batch.DefaultPlaces, "texts that are written at the same time")
	fs.IntVar(&f.waiting, "waiting", batch.DefaultWaiting, "texts that may wait for a place; more are answered 429")
	fs.IntVar(&f.tokens, "max-tokens", 4096, "tokens of an answer, at the most")
	fs.DurationVar(&f.grace, "grace", 30*time.Second, "time that answers have to end when the server goes down")
	fs.IntVar(&f.profile, "profile-port", 0,
		"serve Go's profiles at this `PORT` of this machine alone; 0 for none")
	fs.BoolVar(&f.contents, "log-contents", false, "log what is asked, and not only that something is")
}

func (f *serveFlags) check() error {
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
	if _, err := serve.TemplateNamed(f.template); err != nil {
		return fmt.Errorf("--chat-template: %w", err)
	}
	return nil
}

func (a *program) newServe() *cobra.Command {
	var f serveFlags
	var path string
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
			programs, err := a.served(path)
			if err != nil {
				return err
			}
			return serveAll(cmd, &f, programs)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(fs)
	f.add(fs)
	return cmd
}

// servedProgram is a program with the checkpoint of its model.
type servedProgram struct {
	*program
	path   string
	shares bool // there are others with other adapters of the same checkpoint
}

// load reads the checkpoint, of which bases has what several programs share.
func (p *servedProgram) load(f *serveFlags, bases map[string]*checkpoint.Base) (serve.Model, error) {
	var m model.LanguageModel
	var err error
	if p.shares {
		m, err = p.shared(p.path, bases)
	} else {
		m, err = p.trained(p.path, checkpoint.LoadWeights)
	}
	if err != nil {
		return serve.Model{}, err
	}
	chat, system := f.template, ""
	if chat == "" {
		chat, system = p.Chat, p.System
	}
	template, err := serve.TemplateNamed(chat)
	if err != nil {
		return serve.Model{}, err
	}
	about := p.path
	if p.shares && p.adapters[0] != "none" {
		about = p.adapters[0]
	}
	return serve.Model{Program: p.Program, Model: m, Name: p.Info.Name, Chat: template, System: system,
		Trained: Trained(about)}, nil
}

// serveAll answers requests until the context is done.
func serveAll(cmd *cobra.Command, f *serveFlags, programs []servedProgram) error {
	ctx := cmd.Context()
	if err := f.check(); err != nil {
		return err
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
		var all []serve.Model
		bases := map[string]*checkpoint.Base{}
		for i := range programs {
			m, err := programs[i].load(f, bases)
			if err != nil {
				return err
			}
			all = append(all, m)
		}
		return s.Load(all...)
	}
	var names []string
	for i := range programs {
		if _, err := os.Stat(programs[i].path); err != nil {
			_, err = programs[i].load(f, map[string]*checkpoint.Base{}) // says what to do
			return err
		}
		names = append(names, programs[i].Info.Name)
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
	// The server answers 503 while the models are read.
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
		log.Info("serving", "models", strings.Join(names, " "), "url",
			fmt.Sprintf("%s://%s/", scheme, n.Listener.Addr()))
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
				log.Info("reloaded", "models", strings.Join(names, " "))
			}
		}
	}()
	err = s.Run(ctx, n)
	if cause := context.Cause(ctx); cause != nil && asked.Err() == nil {
		return cause
	}
	return err
}

// ServeFlags adds the flags that the programs of [MainServe] take, but for --model.
func ServeFlags(fs *pflag.FlagSet) {
	new(serveFlags).add(fs)
	new(program).addWeights(fs)
}

// MainServe is [Main] of a program that serves the models of several: what gradsmith serve builds.
func MainServe(programs ...Program) {
	process(func(ctx context.Context) int { return RunServe(ctx, programs, os.Args[1:], os.Stdout, os.Stderr) })
}

// RunServe is MainServe without the process. Beside the flags of [ServeFlags] there is --model NAME=FILE, for the
// checkpoint of a model that is not NAME.safetensors.
func RunServe(ctx context.Context, programs []Program, args []string, out, errOut io.Writer) int {
	var f serveFlags
	var files []string
	common := &program{}
	cmd := &cobra.Command{
		Use:           "serve",
		Short:         "Answer HTTP requests with several models",
		Args:          noArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []servedProgram
			for _, p := range programs {
				a := &program{Program: p, weights: common.weights, chosen: cmd.Flags().Changed("weights"),
					cache: common.cache, keeps: cmd.Flags().Changed("cache")}
				if !a.chosen {
					a.weights = a.usual()
				} else if err := a.fixed(a.weights); err != nil {
					return err
				}
				all = append(all, servedProgram{program: a, path: a.checkpointPath()})
			}
			for _, x := range files {
				name, path, ok := strings.Cut(x, "=")
				i := slices.IndexFunc(all, func(p servedProgram) bool { return p.Info.Name == name })
				if !ok || i < 0 || path == "" {
					return fmt.Errorf("--model %q: give NAME=FILE, with the name of a model", x)
				}
				all[i].path = path
			}
			return serveAll(cmd, &f, all)
		},
	}
	cmd.Flags().StringArrayVar(&files, "model", nil, "`NAME=FILE`: the checkpoint of a model")
	common.addWeights(cmd.Flags())
	f.add(cmd.Flags())
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(errOut)
	return status("serve", cmd.ExecuteContext(ctx), errOut)
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

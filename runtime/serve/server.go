package serve

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gradsmith/gradsmith/runtime/batch"
	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/inference"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Options are the limits of a server. The zero value is a good choice for one on the local machine.
type Options struct {
	Batch batch.Options // of each model that writes from prompts

	MaxBody    int64         // bytes of a request; default 1 MiB
	MaxTokens  int           // of an answer; default 4096
	MaxChoices int           // texts that one request asks for; default 16
	Timeout    time.Duration // of a request, its answer included; default 10 minutes
	Stall      time.Duration // that a client takes to receive a part of an answer; default 30 seconds

	Keys     *Keys        // whoever asks needs one of them; nil for anybody
	Log      *slog.Logger // nil for none
	Contents bool         // the bodies of requests are logged too
}

func (o Options) complete() Options {
	if o.MaxBody <= 0 {
		o.MaxBody = 1 << 20
	}
	if o.MaxTokens <= 0 {
		o.MaxTokens = 4096
	}
	if o.MaxChoices <= 0 {
		o.MaxChoices = 16
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Minute
	}
	if o.Stall <= 0 {
		o.Stall = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Model is a trained model with what belongs to it. While it is served it must not be trained.
type Model struct {
	Program model.Program
	Model   model.LanguageModel
	Name    string   // that requests know it by; empty for that of its package
	Chat    Template // how conversations are written
	System  string   // what the system says in a conversation without a message of it; empty for nothing
	Trained *Trained // what is told of the training; nil where nothing is known
}

// Server is an [http.Handler] for models. It is safe for concurrent use.
type Server struct {
	options Options
	mux     *http.ServeMux
	metrics *metrics
	closing atomic.Bool

	loading sync.Mutex // held by Load and Close
	mu      sync.Mutex
	now     *generation // nil while none is loaded
	retired sync.WaitGroup
}

// generation is the models of one call of Load. Requests hold the one that they began with, which ends when the last
// has let go of it.
type generation struct {
	models []*served
	users  int           // requests that hold it; under the server's mu
	old    bool          // another one has replaced it
	free   chan struct{} // closed when nobody holds it any more
}

// served is a model that is being served.
type served struct {
	Model
	info    *model.Info
	created int64
	batch   *batch.Batch  // nil for a model that does not write from prompts
	one     chan struct{} // holds a token while a call has the model to itself
	aligns  bool          // it tells where it looks
	embeds  bool          // it gives representations of texts

	vocabulary  func() *constrain.Vocabulary
	constraints constraints
}

// New makes a server without models, which answers 503 until Load is called.
func New(options Options) *Server {
	s := &Server{options: options.complete(), mux: http.NewServeMux()}
	s.metrics = newMetrics(s)
	s.routes()
	return s
}

// Load serves these models in place of those before. Requests that have begun are answered by the old ones. The first
// model is the one of requests that name none. On an error the old models stay.
func (s *Server) Load(models ...Model) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.closing.Load() {
		return http.ErrServerClosed
	}
	if len(models) == 0 {
		return errors.New("serve: there is no model to load")
	}
	var all []*served
	for _, m := range models {
		x := &served{Model: m, info: m.Model.Info(), created: time.Now().Unix(), one: make(chan struct{}, 1)}
		if m.Name != "" {
			x.info.Name = m.Name
		}
		if slices.ContainsFunc(all, func(y *served) bool { return y.info.Name == x.info.Name }) {
			retire(all, context.Background())
			return fmt.Errorf("serve: two models have the name %s", x.info.Name)
		}
		if x.writes() {
			b, err := batch.New(m.Model.(model.Writer), m.Program.Tokenizer, s.options.Batch)
			if err != nil {
				retire(all, context.Background())
				return err
			}
			x.batch = b
			if x.Chat.t == nil {
				x.Chat = templateFor(m.Program.Tokenizer)
			}
			x.vocabulary = sync.OnceValue(func() *constrain.Vocabulary {
				return constrain.NewVocabulary(m.Program.Tokenizer)
			})
		}
		if w, ok := m.Model.(model.Writer); ok && x.info.Source != nil {
			x.aligns = inference.Aligns(w)
		}
		if (x.info.Source == nil || x.info.Latent != nil) && x.info.Adversary == nil && m.Program.Tokenizer != nil {
			_, err := inference.Embedder(m.Model, m.Program.Tokenizer)
			x.embeds = err == nil
		}
		all = append(all, x)
	}
	s.mu.Lock()
	old := s.now
	s.now = &generation{models: all, free: make(chan struct{})}
	s.replaced(old)
	s.mu.Unlock()
	if old != nil {
		s.retired.Go(func() {
			<-old.free
			retire(old.models, context.Background())
		})
	}
	return nil
}

// replaced says of a generation that no request begins with it any more. mu is held.
func (s *Server) replaced(g *generation) {
	if g != nil && !g.old {
		if g.old = true; g.users == 0 {
			close(g.free)
		}
	}
}

// hold keeps the models that there are from ending until release is called; there may be none.
func (s *Server) hold() (g *generation, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g = s.now; g == nil {
		return nil, func() {}
	}
	g.users++
	return g, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if g.users--; g.old && g.users == 0 {
			close(g.free)
		}
	}
}

// writes is whether the model goes on with prompts.
func (m *served) writes() bool {
	_, writes := m.Model.Model.(model.Writer)
	i := m.info
	return writes && i.Source == nil && i.Latent == nil && i.Adversary == nil && i.Masking == nil && i.Vector == nil
}

// retire lets models finish what they have begun.
func retire(models []*served, ctx context.Context) (err error) {
	for _, m := range models {
		if m.batch != nil {
			err = errors.Join(err, m.batch.Close(ctx))
		}
	}
	return err
}

// Close ends the server: new requests are answered 503, those that have begun to their end, until the context is done.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Store(true)
	s.loading.Lock()
	defer s.loading.Unlock()
	s.mu.Lock()
	last := s.now
	s.replaced(last)
	s.mu.Unlock()
	var err error
	if last != nil {
		select {
		case <-last.free:
		case <-ctx.Done():
		}
		err = retire(last.models, ctx)
	}
	ended := make(chan struct{})
	go func() {
		s.retired.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		err = errors.Join(err, context.Cause(ctx))
	}
	return err
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	id := requestID(r)
	w.Header().Set("X-Request-Id", id)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	out, pattern, told := &recorder{ResponseWriter: w}, "", new(pace)
	defer func() {
		if fault := recover(); fault != nil {
			s.options.Log.Error("panic", "id", id, "path", r.URL.Path, "fault", fmt.Sprint(fault), "stack",
				string(debug.Stack()))
			if out.status == 0 {
				fail(out, problem(http.StatusInternalServerError,
					"the server made a mistake; its log tells more under "+id))
			}
		}
		s.metrics.answered(pattern, out.status, time.Since(began))
		log := s.options.Log.With("id", id, "method", r.Method, "path", r.URL.Path, "status", out.status, "bytes",
			out.bytes, "seconds", time.Since(began).Seconds(), "cancelled", r.Context().Err() != nil)
		log.Info("request", told.attributes()...)
	}()
	if !s.options.Keys.admit(r) {
		out.Header().Set("WWW-Authenticate", "Bearer")
		fail(out, problem(http.StatusUnauthorized,
			"an API key is needed: send it as Authorization: Bearer KEY").named("invalid_api_key"))
		return
	}
	if err := s.receive(out, r); err != nil {
		fail(out, err)
		return
	}
	models, release := s.hold()
	defer release()
	r = r.WithContext(context.WithValue(context.WithValue(r.Context(), held{}, models), paced{}, told))
	s.mux.ServeHTTP(out, r)
	pattern = r.Pattern
}

// held is the key of the generation that a request holds, paced that of its pace.
type (
	held  struct{}
	paced struct{}
)

// receive reads the body of a request, as far as it may go and as long as it may take, so that a handler never waits
// for it. The deadline does not stay: beyond it the connection would count as broken.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	c := http.NewResponseController(w)
	c.SetReadDeadline(time.Now().Add(s.options.Stall)) // not all connections have one
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.options.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return problem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the request has more than %d bytes", large.Limit))
	case err != nil:
		return problem(http.StatusRequestTimeout, "the request broke off, or took too long: "+err.Error())
	}
	c.SetReadDeadline(time.Time{})
	if s.options.Contents {
		s.options.Log.Info("contents", "id", w.Header().Get("X-Request-Id"), "body", string(body))
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// requestID is that of the client, where it looks like one, or a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	fine := len(id) >= 1 && len(id) <= 64
	for _, c := range id {
		fine = fine && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	if fine {
		return id
	}
	return newID("req")
}

func newID(kind string) string {
	var b [12]byte
	rand.Read(b[:])
	return kind + "-" + hex.EncodeToString(b[:])
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap is for [http.ResponseController].
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// pick finds the model that a request names; the first one where it names none.
func (s *Server) pick(r *http.Request, name string) (*served, error) {
	models, err := s.all(r)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return models[0], nil
	}
	for _, m := range models {
		if m.info.Name == name {
			return m, nil
		}
	}
	return nil, problem(http.StatusNotFound,
		fmt.Sprintf("there is no model %q: GET /v1/models lists those there are",
			name)).of("model").named("model_not_found")
}

// all are the models of a request.
func (s *Server) all(r *http.Request) ([]*served, error) {
	g, _ := r.Context().Value(held{}).(*generation)
	switch {
	case s.closing.Load():
		return nil, problem(http.StatusServiceUnavailable, "the server is going down")
	case g == nil:
		return nil, problem(http.StatusServiceUnavailable, "the model is being loaded; try again soon").after(1)
	}
	return g.models, nil
}

// alone has the model to itself until done is called.
func (m *served) alone(ctx context.Context) (done func(), err error) {
	select {
	case m.one <- struct{}{}:
		return func() { <-m.one }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// do calls f with the model to itself.
func (m *served) do(ctx context.Context, f func() error) error {
	done, err := m.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	return f()
}

package serve

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/gen/cases/align"
	"github.com/gradsmith/gradsmith/gen/cases/bert"
	"github.com/gradsmith/gradsmith/gen/cases/gpt"
	"github.com/gradsmith/gradsmith/gen/cases/sentence"
	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/generated/translate"
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/batch"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

// bench is a server that is asked.
type bench struct {
	*testing.T
	*Server
	url string
}

func newBench(t *testing.T, o Options, models ...Model) *bench {
	t.Helper()
	s := New(o)
	if len(models) > 0 {
		if err := s.Load(models...); err != nil {
			t.Fatal(err)
		}
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Close(ctx)
	})
	return &bench{t, s, h.URL}
}

func modelOf(p model.Program) Model { return Model{Program: p, Model: p.New(1)} }

// post asks, and gives the status and the object of the answer.
func (b *bench) post(path, body string) (int, map[string]any) {
	b.Helper()
	r, err := http.Post(b.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		b.Fatal(err)
	}
	var x map[string]any
	if err := json.Unmarshal(text, &x); err != nil {
		b.Fatalf("%s %s: status %d, %v: %q", path, body, r.StatusCode, err, text)
	}
	return r.StatusCode, x
}

// stream asks for a stream, and gives its events, the last of which is [DONE].
func (b *bench) stream(path, body string) []map[string]any {
	b.Helper()
	r, err := http.Post(b.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	defer r.Body.Close()
	var events []map[string]any
	lines, done := bufio.NewScanner(r.Body), false
	for lines.Scan() {
		data, is := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case !is:
		case data == "[DONE]":
			done = true
		case done:
			b.Fatalf("%s %s: an event behind the last: %s", path, body, data)
		default:
			var x map[string]any
			if err := json.Unmarshal([]byte(data), &x); err != nil {
				b.Fatal(err)
			}
			events = append(events, x)
		}
	}
	if !done {
		b.Fatalf("%s %s: status %d, the stream has no end", path, body, r.StatusCode)
	}
	return events
}

// at finds a member of members: "choices.0.text".
func at(x any, path string) any {
	for _, p := range strings.Split(path, ".") {
		switch v := x.(type) {
		case map[string]any:
			x = v[p]
		case []any:
			var i int
			if fmt.Sscan(p, &i); i >= len(v) {
				return nil
			}
			x = v[i]
		default:
			return nil
		}
	}
	return x
}

// Streamed or not, a text is that of sample.Tokens, with one reason for its end, whatever cuts it.
func TestStreamingChangesNothing(t *testing.T) {
	m := modelOf(rnn.Program())
	b := newBench(t, Options{}, m)
	for _, c := range []struct {
		body   string
		opts   []sample.Option
		finish string
	}{
		{`"max_tokens":40`, []sample.Option{sample.MaxTokens(40)}, "length"},
		{`"max_tokens":0`, []sample.Option{sample.MaxTokens(0)}, "length"},
		{`"max_tokens":200,"stop":["C","zzz"]`, []sample.Option{sample.MaxTokens(200), sample.Stop("C", "zzz")},
			"stop"},
		{`"max_tokens":30,"temperature":0.5,"top_p":0.9,"top_k":20,"min_p":0.01`,
			[]sample.Option{sample.MaxTokens(30), sample.Temperature(0.5), sample.TopP(0.9), sample.TopK(20),
				sample.MinP(0.01)}, "length"},
		{`"max_tokens":60,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"a":{"type":"boolean"}},"required":["a"],"additionalProperties":false}}}`, nil, "stop"},
	} {
		body := `{"prompt":"It was","seed":7,` + c.body
		status, whole := b.post("/v1/completions", body+"}")
		if status != 200 {
			t.Fatalf("%s: %d %v", body, status, whole)
		}
		var want strings.Builder
		if c.opts != nil {
			for x, err := range sample.Tokens(context.Background(), m.Model.(model.Writer).MakeDecoder(1),
				rnn.Tokenizer, "It was", append(c.opts, sample.Seed(7))...) {
				if err != nil {
					t.Fatal(err)
				}
				want.WriteString(x.Text)
			}
			if at(whole, "choices.0.text") != want.String() {
				t.Errorf("%s: %q, alone %q", body, at(whole, "choices.0.text"), want.String())
			}
		} else if s := at(whole, "choices.0.text").(string); !json.Valid([]byte(s)) {
			t.Errorf("%s: %q is no JSON", body, s)
		}
		if at(whole, "choices.0.finish_reason") != c.finish {
			t.Errorf("%s: it ended by %v, want %v", body, at(whole, "choices.0.finish_reason"), c.finish)
		}
		for _, more := range []string{"", `,"logprobs":2`, `,"logprobs":0`} {
			var text strings.Builder
			finish := []any{}
			for _, e := range b.stream("/v1/completions", body+more+`,"stream":true}`) {
				text.WriteString(at(e, "choices.0.text").(string))
				if f := at(e, "choices.0.finish_reason"); f != nil {
					finish = append(finish, f)
				}
			}
			if text.String() != at(whole, "choices.0.text") || len(finish) != 1 || finish[0] != c.finish {
				t.Errorf("%s%s: streamed %q and ended by %v, otherwise %q", body, more, text.String(), finish,
					at(whole, "choices.0.text"))
			}
		}
	}
}

// Offsets point at the tokens in the text of the choice, with and without echo.
func TestOffsets(t *testing.T) {
	b := newBench(t, Options{}, modelOf(gptnano.Program()))
	for _, echo := range []bool{false, true} {
		_, x := b.post("/v1/completions",
			fmt.Sprintf(`{"prompt":"KING: ","seed":1,"max_tokens":12,"logprobs":1,"echo":%v}`, echo))
		text := at(x, "choices.0.text").(string)
		tokens, offsets := at(x, "choices.0.logprobs.tokens").([]any), at(x, "choices.0.logprobs.text_offset").([]any)
		want := 12
		if echo {
			want += len("KING: ")
			if !strings.HasPrefix(text, "KING: ") || at(x, "choices.0.logprobs.token_logprobs.0") != nil ||
				at(x, "choices.0.logprobs.token_logprobs.1") == nil {
				t.Errorf("echo: %v", x)
			}
		}
		if len(tokens) != want || len(offsets) != want {
			t.Fatalf("echo %v: %d tokens, %d offsets, want %d", echo, len(tokens), len(offsets), want)
		}
		for i, o := range offsets {
			if !strings.HasPrefix(text[int(o.(float64)):], tokens[i].(string)) {
				t.Errorf("echo %v: token %d, %q, is not at %v of %q", echo, i, tokens[i], o, text)
			}
		}
	}
}

// TestChat asks for conversations, streamed and not.
func TestChat(t *testing.T) {
	b := newBench(t, Options{}, modelOf(rnn.Program()))
	body := `{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Hello"}]}],"seed":3,"max_tokens":30`
	_, whole := b.post("/v1/chat/completions", body+`,"n":2,"logprobs":true}`)
	for i := range 2 {
		if p := at(whole, fmt.Sprintf("choices.%d.logprobs.content.0", i)); at(p, "logprob") == nil ||
			len(at(p, "top_logprobs").([]any)) != 0 || len(at(p, "bytes").([]any)) == 0 {
			t.Errorf("log-probabilities without top_logprobs: %v", p)
		}
		if at(whole, fmt.Sprintf("choices.%d.finish_reason", i)) == nil ||
			at(whole, fmt.Sprintf("choices.%d.message.role", i)) != "assistant" {
			t.Errorf("choice %d: %v", i, at(whole, fmt.Sprintf("choices.%d", i)))
		}
	}
	var text strings.Builder
	events := b.stream("/v1/chat/completions", body+`,"stream":true,"stream_options":{"include_usage":true}}`)
	for _, e := range events[:len(events)-1] {
		if s, ok := at(e, "choices.0.delta.content").(string); ok {
			text.WriteString(s)
		}
	}
	if at(events[0], "choices.0.delta.role") != "assistant" ||
		at(events[len(events)-2], "choices.0.finish_reason") == nil {
		t.Errorf("the stream begins with %v and ends with %v", events[0], events[len(events)-2])
	}
	if last := events[len(events)-1]; len(last["choices"].([]any)) != 0 ||
		at(last, "usage.total_tokens") != at(last, "usage.prompt_tokens").(float64)+at(last,
			"usage.completion_tokens").(float64) {
		t.Errorf("usage: %v", last)
	}
	if text.String() != at(whole, "choices.0.message.content") {
		t.Errorf("streamed %q, otherwise %q", text.String(), at(whole, "choices.0.message.content"))
	}
	m := modelOf(rnn.Program()) // that says by itself what the request above has the system say
	m.System = "Be brief."
	b = newBench(t, Options{}, m)
	_, silent := b.post("/v1/chat/completions",
		`{"messages":[{"role":"user","content":"Hello"}],"seed":3,"max_tokens":30}`)
	_, own := b.post("/v1/chat/completions", body+`}`)
	if said := at(silent, "choices.0.message.content"); said != text.String() ||
		said != at(own, "choices.0.message.content") {
		t.Errorf("with a message of the system by default %q, with one of the request %q, want both to be %q", said,
			at(own, "choices.0.message.content"), text.String())
	}
}

// What is wrong with a request is said in the API's form, with the right status and the member.
func TestWrongRequests(t *testing.T) {
	b := newBench(t, Options{MaxBody: 100 << 10}, modelOf(gptnano.Program()))
	long := strings.Repeat("a", 70)
	for _, c := range []struct {
		path, body string
		status     int
		param      string
		says       []string
	}{
		{"/v1/completions", `{"prompt":"` + long + `"}`, 400, "prompt", []string{"70", "64"}},
		{"/v1/completions", `{"prompt":"a","n":100000}`, 400, "n", []string{"100000", "16"}},
		{"/v1/completions", `{"prompt":["a","b","c"],"n":10}`, 400, "prompt", nil},
		{"/v1/completions", `{"prompt":"a","best_of":9,"stream":true}`, 400, "best_of", nil},
		{"/v1/completions", `{"prompt":"a","temperature":NaN}`, 400, "", []string{"JSON"}},
		{"/v1/completions", `{"prompt":"a","temperature":-1}`, 400, "temperature", nil},
		{"/v1/completions", `{"prompt":"a","temperature":1e999}`, 400, "temperature", nil},
		{"/v1/completions", `{"prompt":"a","top_p":"high"}`, 400, "top_p", []string{"number"}},
		{"/v1/completions", `{"prompt":"a","seed":1,"seed":2}`, 400, "seed", []string{"twice"}},
		{"/v1/completions", `{"prompt":"a","Seed":1,"seed":2}`, 400, "seed", []string{"twice"}},
		{"/v1/completions", `{"prompt":"a","tempreature":1}`, 400, "tempreature", nil},
		{"/v1/completions", `{"prompt":"a"} {}`, 400, "", nil},
		{"/v1/completions", `{"prompt":"a"`, 400, "", nil},
		{"/v1/completions", `[]`, 400, "", nil},
		{"/v1/completions", strings.Repeat("[", 5000), 400, "", nil},
		{"/v1/completions", ``, 400, "", nil},
		{"/v1/completions", `{"prompt":[1,99999]}`, 400, "prompt", nil},
		{"/v1/completions", `{"prompt":[]}`, 400, "prompt", nil},
		{"/v1/completions", `{"prompt":7}`, 400, "prompt", nil},
		{"/v1/completions", `{"prompt":"é"}`, 400, "prompt", []string{"é"}},
		{"/v1/completions", `{"prompt":"a","max_tokens":-1}`, 400, "max_tokens", nil},
		{"/v1/completions", `{"prompt":"a","max_tokens":1000000}`, 400, "max_tokens", nil},
		{"/v1/completions", `{"prompt":"a","logprobs":1000}`, 400, "logprobs", nil},
		{"/v1/completions", `{"prompt":"a","logit_bias":{"x":1}}`, 400, "logit_bias", nil},
		{"/v1/completions", `{"prompt":"a","logit_bias":{"5":1000}}`, 400, "logit_bias", nil},
		{"/v1/completions",
			`{"prompt":"a","stream":true,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"nonsense"}}}}`, 400, "response_format", nil},
		{"/v1/completions", `{"prompt":"a","response_format":{"type":"json_schema"}}`, 400, "response_format", nil},
		{"/v1/completions", `{"prompt":"a","response_format":{"type":"xml"}}`, 400, "response_format", nil},
		{"/v1/completions", `{"prompt":"a","grammar":"root ::= nothing"}`, 400, "grammar", nil},
		{"/v1/completions", `{"prompt":"a","model":"other"}`, 404, "model", []string{"other"}},
		{"/v1/completions", `{"prompt":"` + strings.Repeat("a", 200<<10) + `"}`, 413, "", []string{"102400"}},
		{"/v1/chat/completions", `{"messages":[]}`, 400, "messages", nil},
		{"/v1/chat/completions", `{"messages":[{"role":"robot","content":"a"}]}`, 400, "messages", nil},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"top_logprobs":3}`, 400, "top_logprobs",
			nil},
		{"/v1/translate", `{"input":"a"}`, 400, "model", nil},
		{"/detokenize", `{"tokens":[-1]}`, 400, "tokens", nil},
		{"/v1/nothing", `{}`, 404, "", nil},
	} {
		status, x := b.post(c.path, c.body)
		name := c.path + " " + c.body[:min(len(c.body), 80)]
		message, _ := at(x, "error.message").(string)
		if status != c.status || message == "" || at(x, "error.type") == nil {
			t.Errorf("%s: status %d, %v; want %d", name, status, x, c.status)
			continue
		}
		if param, _ := at(x, "error.param").(string); param != c.param {
			t.Errorf("%s: the member is %q, want %q (%s)", name, param, c.param, message)
		}
		for _, s := range c.says {
			if !strings.Contains(message, s) {
				t.Errorf("%s: %q does not say %q", name, message, s)
			}
		}
	}
	r, err := http.Get(b.url + "/v1/completions")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != 405 || r.Header.Get("Allow") != "POST" {
		t.Errorf("GET: status %d, Allow %q", r.StatusCode, r.Header.Get("Allow"))
	}
}

// Every family answers what it is for.
func TestFamilies(t *testing.T) {
	b := newBench(t, Options{}, modelOf(rnn.Program()), modelOf(translate.Program()), modelOf(bertmini.Program()),
		modelOf(textvae.Program()), modelOf(vae.Program()), modelOf(gan.Program()))
	latent := func(n int) string {
		z, _ := json.Marshal([][]float64{make([]float64, n)})
		return string(z)
	}
	mask := bertmini.Tokenizer.Piece(bertmini.Program().Info.Masking.Token)
	text := textvae.Tokenizer.Decode([]int32{3, 4, 5})
	from := translate.Program().SourceTokenizer.Decode([]int32{3, 4, 5})
	fixed := func(s string) string { q, _ := json.Marshal(s); return string(q) }
	for _, c := range []struct{ path, body, member string }{
		{"/tokenize", `{"content":"It was"}`, "tokens.5"},
		{"/tokenize", `{"content":"It was","with_pieces":true}`, "tokens.0.piece"},
		{"/detokenize", `{"tokens":[3,4]}`, "content"},
		{"/v1/embeddings", `{"input":["It was","so"]}`, "data.1.embedding.3"},
		{"/v1/embeddings", `{"input":"It was","encoding_format":"base64"}`, "data.0.embedding"},
		{"/v1/embeddings", `{"model":"textvae","input":` + fixed(text) + `}`, "data.0.embedding.0"},
		{"/v1/translate", `{"model":"translate","input":` + fixed(from) + `,"beam":2}`, "data.0.text"},
		{"/v1/fill", `{"model":"bertmini","input":` + fixed(mask+mask) + `,"top":3}`, "blanks.1.2.probability"},
		{"/v1/latent/encode", `{"model":"textvae","input":` + fixed(text) + `}`, "latent.0.0"},
		{"/v1/latent/decode", `{"model":"textvae","latent":` + latent(textvae.Program().Info.Latent.Width) + `}`,
			"texts.0"},
		{"/v1/latent/interpolate", `{"model":"textvae","input":[` + fixed(text) + "," + fixed(text) + `],"steps":3}`,
			"texts.2"},
		{"/v1/latent/decode", `{"model":"vae","latent":` + latent(vae.Program().Info.Latent.Width) + `}`,
			"vectors.0.0"},
		{"/v1/images", `{"model":"vae","n":2,"seed":1}`, "data.1.b64_json"},
		{"/v1/images", `{"model":"gan","n":2,"seed":1}`, "data.1.b64_json"},
	} {
		status, x := b.post(c.path, c.body)
		if status != 200 || at(x, c.member) == nil {
			t.Errorf("%s %s: status %d, no %s in %.300v", c.path, c.body, status, c.member, x)
		}
	}
	for _, path := range []string{"/v1/models", "/v1/models/gan", "/openapi.json", "/health", "/metrics", "/",
		"/page/page.js"} {
		r, err := http.Get(b.url + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 200 || len(text) == 0 {
			t.Errorf("%s: status %d, %d bytes", path, r.StatusCode, len(text))
		}
		if path == "/metrics" && !bytes.Contains(text, []byte(`gradsmith_places{model="rnn"}`)) {
			t.Errorf("/metrics: %s", text)
		}
		if path == "/" &&
			(!strings.Contains(r.Header.Get("Content-Security-Policy"), "default-src 'none'") ||
				bytes.Contains(text, []byte("http:")) || bytes.Contains(text, []byte("https:"))) {
			t.Error("/: the page names another host, or has no policy")
		}
	}
}

// A client that goes frees its place and ends nobody else's text, also while its prompt is read.
func TestClientsThatGo(t *testing.T) {
	m := modelOf(rnn.Program())
	b := newBench(t, Options{Batch: batch.Options{Places: 2, Waiting: 1}, MaxTokens: 1 << 30}, m)
	const endless = `,"max_tokens":1000000000,"stream":true}`
	long, _ := json.Marshal(strings.Repeat("It was so. ", 20000))
	ask := func(body string) (cancel func()) {
		ctx, cancel := context.WithCancel(context.Background())
		r, err := http.NewRequestWithContext(ctx, "POST", b.url+"/v1/completions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if answer, err := http.DefaultClient.Do(r); err == nil {
				io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
		}()
		return cancel
	}
	stats := func() batch.Stats { return b.now.models[0].batch.Stats() }
	until := func(what string, f func(batch.Stats) bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !f(stats()); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s does not come: %+v", what, stats())
			}
		}
	}
	leave := []func(){ask(`{"prompt":"It"` + endless)}
	until("a text that is written", func(s batch.Stats) bool { return s.Writing == 1 })
	leave = append(leave, ask(`{"prompt":`+string(long)+endless))
	until("another, whose prompt is read", func(s batch.Stats) bool { return s.Reading == 1 })
	leave = append(leave, ask(`{"prompt":"So"`+endless))
	until("one that waits", func(s batch.Stats) bool { return s.Waiting == 1 })
	if status, x := b.post("/v1/completions", `{"prompt":"a"}`); status != 429 ||
		at(x, "error.type") != "rate_limit_exceeded" {
		t.Errorf("one text too many: status %d, %v", status, x)
	}
	for _, l := range leave {
		l()
	}
	until("three that have left",
		func(s batch.Stats) bool { return s.Cancelled == 3 && s.Reading+s.Writing+s.Waiting == 0 })
	want := alone(t, m, "It was", 9, 50)
	go ask(`{"prompt":"It"` + endless)()
	if _, x := b.post("/v1/completions", `{"prompt":"It was","seed":9,"max_tokens":50}`); at(x,
		"choices.0.text") != want {
		t.Errorf("beside one that left: %v, alone %q", at(x, "choices.0.text"), want)
	}
}

func alone(t testing.TB, m Model, prompt string, seed uint64, n int) string {
	var text strings.Builder
	for s, err := range sample.Generate(context.Background(), m.Model.(model.Writer).MakeDecoder(1),
		m.Program.Tokenizer, prompt, sample.Seed(seed), sample.MaxTokens(n)) {
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(s)
	}
	return text.String()
}

// A server without a model, or one that goes down, says so; a stream that has begun is finished.
func TestLifecycle(t *testing.T) {
	m := modelOf(rnn.Program())
	s := New(Options{})
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx, Network{Listener: l}) }()
	b := &bench{t, s, "http://" + l.Addr().String()}
	if status, x := b.post("/v1/completions", `{"prompt":"a"}`); status != 503 || at(x, "error.message") == nil {
		t.Errorf("before a model is loaded: %d %v", status, x)
	}
	if err := s.Load(m); err != nil {
		t.Fatal(err)
	}
	want := alone(t, m, "It was", 5, 600)
	r, err := http.Post(b.url+"/v1/completions", "",
		strings.NewReader(`{"prompt":"It was","seed":5,"max_tokens":600,"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(modelOf(rnn.Program())); err != nil { // the old one writes on
		t.Fatal(err)
	}
	stop()
	got := strings.Builder{}
	lines := bufio.NewScanner(r.Body)
	for lines.Scan() {
		if data, is := strings.CutPrefix(lines.Text(), "data: {"); is {
			var x map[string]any
			if err := json.Unmarshal([]byte("{"+data), &x); err != nil {
				t.Fatal(err)
			}
			got.WriteString(at(x, "choices.0.text").(string))
		}
	}
	r.Body.Close()
	if got.String() != want {
		t.Errorf("a stream over a reload and the end of the server: %q, alone %q", got.String(), want)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := s.Load(m); err == nil {
		t.Error("a closed server loads a model")
	}
}

// A new checkpoint drops no request: each is answered, by the old model or the new one.
func TestReload(t *testing.T) {
	b := newBench(t, Options{}, modelOf(rnn.Program()))
	var wait sync.WaitGroup
	ended := make(chan struct{})
	for range 4 {
		wait.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				if status, x := b.post("/v1/completions", `{"prompt":"It","max_tokens":3}`); status != 200 ||
					at(x, "choices.0.finish_reason") != "length" {
					t.Errorf("while models are loaded: %d %v", status, x)
					return
				}
			}
		})
	}
	for range 20 {
		if err := b.Load(modelOf(rnn.Program())); err != nil {
			t.Error(err)
		}
	}
	close(ended)
	wait.Wait()
}

// Keys are asked for, compared and never logged; nor is what is asked, unless it is asked for.
func TestKeysAndLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("# of the test\nsecret-key-one\nsecret-key-two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := LoadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	var log safeBuffer
	b := newBench(t, Options{Keys: keys, Log: slog.New(slog.NewTextHandler(&log, nil))}, modelOf(rnn.Program()))
	ask := func(path, key string) int {
		r, err := http.NewRequest("POST", b.url+path, strings.NewReader(`{"prompt":"private words","max_tokens":1}`))
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	for key, want := range map[string]int{"": 401, "secret-key-on": 401, "secret-key-one ": 200, "secret-key-two": 200,
		"x": 401} {
		if got := ask("/v1/completions", key); got != want {
			t.Errorf("key %q: status %d, want %d", key, got, want)
		}
	}
	if err := os.WriteFile(path, []byte("secret-key-three\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := keys.Reload(); err != nil {
		t.Fatal(err)
	}
	if ask("/v1/completions", "secret-key-one") != 401 || ask("/v1/completions", "secret-key-three") != 200 {
		t.Error("the keys are not read again")
	}
	os.WriteFile(path, []byte("\n"), 0o600)
	if err := keys.Reload(); err == nil || ask("/v1/completions", "secret-key-three") != 200 {
		t.Errorf("a file without keys: %v", err)
	}
	for _, s := range []string{"secret-key", "private words"} {
		if strings.Contains(log.String(), s) {
			t.Errorf("the log has %q: %s", s, log.String())
		}
	}
	if !strings.Contains(log.String(), "path=/v1/completions status=200") ||
		!strings.Contains(log.String(), "id=req-") ||
		!strings.Contains(log.String(), " tokens=1 first_token=") {
		t.Errorf("the log: %s", log.String())
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// More connections than there may be close the longest idle one, and whoever asks is answered.
func TestIdleConnections(t *testing.T) {
	s := New(Options{})
	if err := s.Load(modelOf(rnn.Program())); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx, Network{Listener: l, Connections: 20}) }()
	var idle []net.Conn
	for range 200 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	b := &bench{t, s, "http://" + l.Addr().String()}
	if status, x := b.post("/v1/completions", `{"prompt":"It","max_tokens":3}`); status != 200 {
		t.Errorf("behind idle connections: %d %v", status, x)
	}
	closed := 0
	for _, c := range idle {
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); err == io.EOF {
			closed++
		}
		c.Close()
	}
	if closed < 150 {
		t.Errorf("%d of 200 idle connections were closed", closed)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// When all has been answered nothing is left: no goroutine, no place.
func TestNothingStays(t *testing.T) {
	before := runtime.NumGoroutine()
	s := New(Options{})
	if err := s.Load(modelOf(rnn.Program())); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	b := &bench{t, s, h.URL}
	for range 3 {
		b.post("/v1/completions", `{"prompt":"It","max_tokens":9,"n":3}`)
		b.stream("/v1/completions", `{"prompt":"It","max_tokens":9,"n":3,"stream":true}`)
	}
	http.DefaultClient.CloseIdleConnections()
	h.Close()
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		var stacks [1 << 16]byte
		t.Errorf("%d goroutines before and %d after:\n%s", before, n, stacks[:runtime.Stack(stacks[:], true)])
	}
}

// No body makes a handler panic or answer with anything but JSON, of a model of any family. The models are small.
func FuzzRequests(f *testing.F) {
	latent := func(n int) string {
		z, _ := json.Marshal([][]float64{make([]float64, n)})
		return string(z)
	}
	mask := quote(bert.Program().Tokenizer.Piece(bert.Program().Info.Masking.Token) + "ab")
	targets := []struct {
		path    string
		program model.Program
		bodies  []string
	}{
		{"/v1/completions", rnn.Program(), []string{
			`{"prompt":"It was","max_tokens":2,"logit_bias":{"3":1},"stop":["a"],"response_format":{"type":"json_object"}}`,
			`{"prompt":[[1,2],[3]],"max_tokens":0,"echo":true,"logprobs":3,"n":2,"best_of":3}`,
			`{"prompt":"a","stream":true,"stream_options":{"include_usage":true},"mirostat":2,"grammar":"root ::= [a-z]+"}`,
		}},
		{"/v1/chat/completions", rnn.Program(), []string{
			`{"messages":[{"role":"user","content":"a"}],"max_tokens":1,"stream":true}`,
			`{"messages":[{"role":"system","content":[{"type":"text","text":"a"}]}],"logprobs":true,"top_logprobs":2,"max_tokens":1}`,
		}},
		{"/v1/embeddings", gpt.Program(), []string{`{"input":["a","bc"],"encoding_format":"base64"}`}},
		{"/v1/embeddings", bert.Program(), []string{`{"input":"abc"}`}},
		{"/v1/embeddings", sentence.Program(), []string{`{"input":"a man"}`}},
		{"/tokenize", rnn.Program(), []string{`{"content":"It","with_pieces":true}`}},
		{"/detokenize", rnn.Program(), []string{`{"tokens":[1,2]}`}},
		{"/v1/translate", align.Program(), []string{`{"input":"abc","beam":2,"alignment":true}`}},
		{"/v1/fill", bert.Program(), []string{`{"input":` + mask + `,"top":2}`}},
		{"/v1/latent/encode", sentence.Program(), []string{`{"input":["a man"],"labels":[1]}`}},
		{"/v1/latent/encode", vae.Program(), []string{`{"vectors":[[1,2]]}`}},
		{"/v1/latent/decode", sentence.Program(), []string{
			`{"latent":` + latent(sentence.Program().Info.Latent.Width) + `,"temperature":0.5,"seed":1}`}},
		{"/v1/latent/decode", vae.Program(), []string{`{"latent":` + latent(vae.Program().Info.Latent.Width) + `}`}},
		{"/v1/latent/interpolate", sentence.Program(), []string{`{"input":["a man","a dog"],"steps":3}`}},
		{"/v1/latent/interpolate", vae.Program(), []string{`{"vectors":[[1],[2]],"steps":2,"label":0}`}},
		{"/v1/images", gan.Program(), []string{`{"n":2,"seed":1,"width":28}`}},
		{"/v1/images", vae.Program(), []string{`{"n":2,"labels":[1,2]}`}},
	}
	servers := map[string]*Server{}
	for i, x := range targets {
		if servers[x.program.Info.Name] == nil {
			s := New(Options{MaxTokens: 8})
			if err := s.Load(modelOf(x.program)); err != nil {
				f.Fatal(err)
			}
			servers[x.program.Info.Name] = s
		}
		for _, body := range x.bodies {
			f.Add(i, body)
		}
	}
	f.Fuzz(func(t *testing.T, target int, body string) {
		x := targets[int(uint(target)%uint(len(targets)))]
		w := httptest.NewRecorder()
		servers[x.program.Info.Name].ServeHTTP(w, httptest.NewRequest("POST", x.path, strings.NewReader(body)))
		if w.Code >= 500 {
			t.Fatalf("%s: status %d: %s", x.path, w.Code, w.Body)
		}
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%s: status %d: %q is no JSON", x.path, w.Code, w.Body)
		}
	})
}

// A log-probability that JSON has no number for is the least there is.
func TestNoLess(t *testing.T) {
	if noLess(math.Inf(-1)) != -9999 || noLess(-2) != -2 {
		t.Error("noLess")
	}
}

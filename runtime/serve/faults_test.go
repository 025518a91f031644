package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/batch"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// halves is a tokenizer whose tokens are bytes: letters, and the two halves of é and ü and the three parts of 日.
type halves struct{ model.Tokenizer }

const halfBytes = "abcdefghijklmnopqrstuvwxyz \n\xc3\xa9\xbc\xe6\x97\xa5"

func (h halves) Encode(s string) ([]int32, error) {
	var tokens []int32
	for i := range len(s) {
		at := strings.IndexByte(halfBytes, s[i])
		if at < 0 {
			return nil, fmt.Errorf("there is no token for byte %#x", s[i])
		}
		tokens = append(tokens, int32(at))
	}
	return tokens, nil
}

func (h halves) Decode(tokens []int32) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(h.Piece(t))
	}
	return b.String()
}

// Piece has more tokens than bytes, as the model has: the rest are bytes again.
func (h halves) Piece(t int32) string { return halfBytes[int(t)%len(halfBytes):][:1] }

// A character is never cut between two events, streams end as whole answers do where the limit cuts a character, and
// offsets count characters.
func TestCharactersAreWhole(t *testing.T) {
	p := rnn.Program()
	p.Tokenizer = halves{p.Tokenizer}
	b := newBench(t, Options{}, modelOf(p))
	for _, kept := range []string{"", `,"grammar":"root ::= (\"é\" | \"日\" | \"ab\")+"`} {
		for n := range 12 {
			body := fmt.Sprintf(`{"prompt":"é ","seed":%d,"max_tokens":%d%s`, n, 3+n, kept)
			_, x := b.post("/v1/completions", body+"}")
			whole := at(x, "choices.0.text").(string)
			var streamed strings.Builder
			for _, e := range b.stream("/v1/completions", body+`,"stream":true}`) {
				part := at(e, "choices.0.text").(string)
				if kept != "" && strings.ContainsRune(strings.TrimSuffix(part, "\ufffd"), utf8.RuneError) {
					t.Errorf("%s: a part of a character in %q", body, part)
				}
				streamed.WriteString(part)
			}
			if streamed.String() != whole {
				t.Errorf("%s: streamed %q, otherwise %q", body, streamed.String(), whole)
			}
			if kept == "" {
				continue
			}
			if strings.Trim(strings.TrimSuffix(whole, "\ufffd"), "é日ab") != "" {
				t.Errorf("%s: the text is %q", body, whole)
			}
			_, y := b.post("/v1/completions", body+`,"logprobs":0,"echo":true}`)
			text := at(y, "choices.0.text").(string)
			tokens := at(y, "choices.0.logprobs.tokens").([]any)
			offsets := at(y, "choices.0.logprobs.text_offset").([]any)
			runes, before := []rune(text), ""
			for i := range tokens {
				want := strings.Count(before, "") - 1 // characters
				if got := int(offsets[i].(float64)); got != want || got > len(runes) {
					t.Fatalf("%s: token %d of %q is at %d, want %d", body, i, text, got, want)
				}
				ids, err := p.Tokenizer.Encode(text)
				if err != nil || i >= len(ids) { // behind it is a character that was cut
					break
				}
				if next := p.Tokenizer.Decode(ids[:i+1]); utf8.ValidString(next) {
					before = next
				}
			}
		}
	}
}

// A stop string that several tokens make is not in the text, nor is its beginning, streamed or not.
func TestStopsAcrossTokens(t *testing.T) {
	m := modelOf(rnn.Program())
	b := newBench(t, Options{}, m)
	text := alone(t, m, "It was", 21, 300)
	for _, from := range []int{17, 60, 111, 200} {
		for _, n := range []int{1, 2, 5, 9} {
			stop := text[from : from+n]
			want := text[:strings.Index(text, stop)]
			body := `{"prompt":"It was","seed":21,"max_tokens":300,"stop":[` + quote(stop) + `]`
			_, x := b.post("/v1/completions", body+"}")
			var streamed strings.Builder
			for _, e := range b.stream("/v1/completions", body+`,"stream":true}`) {
				streamed.WriteString(at(e, "choices.0.text").(string))
			}
			if at(x, "choices.0.text") != want || streamed.String() != want ||
				at(x, "choices.0.finish_reason") != "stop" {
				t.Errorf("stop %q: %q, streamed %q, want %q", stop, at(x, "choices.0.text"), streamed.String(), want)
			}
		}
	}
}

// A client that takes nothing of its stream is given up after a while, and stalls nobody before that.
func TestSlowReaders(t *testing.T) {
	m := modelOf(rnn.Program())
	b := newBench(t, Options{Stall: 500 * time.Millisecond, MaxTokens: 1 << 30,
		Batch: batch.Options{Places: 2, Ahead: 16}}, m)
	const slow = 3
	for range slow {
		c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.(*net.TCPConn).SetReadBuffer(4096)
		body := `{"prompt":"It","max_tokens":1000000000,"stream":true,"logprobs":20}`
		fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	want := alone(t, m, "It was", 9, 50)
	for range 20 {
		if status, x := b.post("/v1/completions", `{"prompt":"It was","seed":9,"max_tokens":50}`); status != 200 ||
			at(x, "choices.0.text") != want {
			t.Fatalf("beside slow readers: %d, %v", status, x)
		}
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		s := b.now.models[0].batch.Stats()
		if s.Cancelled == slow && s.Writing+s.Reading+s.Waiting+s.Parked == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("slow readers keep their places: %+v", s)
		}
	}
}

// endless is a body without end, which counts what is read of it.
type endless struct{ n atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.n.Add(int64(len(p)))
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// A body of gigabytes is refused when it passes the limit, whether it says how long it is or not; one that does not
// come is not waited for.
func TestBodies(t *testing.T) {
	b := newBench(t, Options{MaxBody: 64 << 10, Stall: 100 * time.Millisecond}, modelOf(rnn.Program()))
	for _, length := range []int64{-1, 8 << 30} {
		body := new(endless)
		r, err := http.NewRequest("POST", b.url+"/v1/completions", body)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = length
		// The server may close the connection before the answer is read.
		if answer, err := http.DefaultClient.Do(r); err == nil {
			if answer.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("length %d: status %d", length, answer.StatusCode)
			}
			answer.Body.Close()
		}
		if n := body.n.Load(); n > 64<<20 {
			t.Errorf("length %d: %d bytes were read", length, n)
		}
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"prompt\"")
	answer, err := io.ReadAll(c)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 408")) {
		t.Errorf("a body that does not come: %q, %v", answer, err)
	}
}

// broken is a tokenizer that panics.
type broken struct{ model.Tokenizer }

func (broken) Encode(string) ([]int32, error) { panic("broken on purpose") }

// A mistake of the server's own is answered 500 with the id under which the log tells of it, and ends nothing else.
func TestPanics(t *testing.T) {
	p := rnn.Program()
	p.Tokenizer = broken{p.Tokenizer}
	var log safeBuffer
	b := newBench(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, modelOf(p))
	r, err := http.NewRequest("POST", b.url+"/tokenize", strings.NewReader(`{"content":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Request-Id", "mine-7")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var x map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&x); err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != 500 || answer.Header.Get("X-Request-Id") != "mine-7" ||
		!strings.Contains(at(x, "error.message").(string), "mine-7") ||
		!strings.Contains(log.String(), "broken on purpose") {
		t.Errorf("%d, %v, log %s", answer.StatusCode, x, log.String())
	}
	if status, _ := b.post("/detokenize", `{"tokens":[3]}`); status != 200 {
		t.Errorf("after a panic: %d", status)
	}
}

// A text that takes longer than a request may is ended with an error, in the stream where that has begun.
func TestTimeout(t *testing.T) {
	b := newBench(t, Options{Timeout: 200 * time.Millisecond, MaxTokens: 1 << 30}, modelOf(rnn.Program()))
	const body = `{"prompt":"It","max_tokens":1000000000`
	if status, x := b.post("/v1/completions", body+"}"); status != 504 || at(x, "error.type") != "server_error" {
		t.Errorf("%d, %v", status, x)
	}
	events := b.stream("/v1/completions", body+`,"stream":true}`)
	if last := events[len(events)-1]; at(last, "error.message") == nil {
		t.Errorf("the stream ends with %v", last)
	}
	if s := b.now.models[0].batch.Stats(); s.Writing > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("texts go on behind their time: %v", err)
		}
	}
}

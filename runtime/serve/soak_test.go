//go:build unix

package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/batch"
)

var soakFor = flag.Duration("soak", 0,
	"TestSoak asks servers for so long; else one server a few hundred times")

// soakServer says to the test binary that it is the server of TestSoak.
const soakServer = "GRADSMITH_SOAK_SERVER"

// TestMain is the server of TestSoak where that is asked for: models of a fixed seed on a free port, read again at
// SIGHUP, until SIGTERM. Beside the API it tells of its memory behind /soak.
func TestMain(m *testing.M) {
	if os.Getenv(soakServer) == "" {
		os.Exit(m.Run())
	}
	if err := serveSoak(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveSoak() error {
	s := New(Options{Batch: batch.Options{Places: 4, Waiting: 12, Ahead: 64}, MaxTokens: 1 << 20,
		Stall: 2 * time.Second, MaxBody: 256 << 10})
	load := func() error { return s.Load(modelOf(rnn.Program()), modelOf(gptnano.Program())) }
	if err := load(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return err
	}
	aside, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	go func() {
		for range again {
			if err := load(); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "reload:", err)
			}
		}
	}()
	go http.Serve(aside, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		s.mu.Lock()
		users, models := s.now.users, s.now.models
		s.mu.Unlock()
		at := measure{Goroutines: runtime.NumGoroutine(), Heap: m.HeapAlloc, Users: users}
		for _, x := range models {
			b := x.batch.Stats()
			at.Texts += b.Writing + b.Reading + b.Waiting + b.Parked
		}
		json.NewEncoder(w).Encode(at)
	}))
	fmt.Printf("%s %s\n", l.Addr(), aside.Addr())
	return s.Run(ctx, Network{Listener: l, Connections: 200})
}

// measure is what a server holds.
type measure struct {
	Goroutines, Users, Texts int
	Heap                     uint64
}

// soak is one server that is being asked.
type soak struct {
	t          *testing.T
	cmd        *exec.Cmd
	url, aside string
	client     *http.Client
	expected   *sync.Map // texts by request
	alone      map[string]Model

	first, last                                   measure
	answered, refused, left, wrong, slow, reloads atomic.Int64
}

// TestSoak asks a server from many clients at once, some of which go away, take nothing, or ask for nonsense, while
// models are read again and again; and ends it by SIGTERM while streams go on. Each answer that ends is that of the
// same request alone, and the server holds nothing in the end that it did not hold at first.
func TestSoak(t *testing.T) {
	models := map[string]Model{"rnn": modelOf(rnn.Program()), "gptnano": modelOf(gptnano.Program())}
	var expected sync.Map
	total := &soak{}
	end := time.Now().Add(*soakFor)
	for life := 0; life == 0 || time.Now().Before(end); life++ {
		s := &soak{t: t, expected: &expected, alone: models}
		s.live(uint64(life))
		for _, c := range []struct{ to, from *atomic.Int64 }{
			{&total.answered, &s.answered}, {&total.refused, &s.refused}, {&total.left, &s.left},
			{&total.wrong, &s.wrong}, {&total.slow, &s.slow}, {&total.reloads, &s.reloads},
		} {
			c.to.Add(c.from.Load())
		}
		if t.Failed() {
			return
		}
		if *soakFor > 0 {
			fmt.Printf("servers %d: %d answers equal to those alone, %d clients that left, %d that took nothing, "+
				"%d requests that were wrong, %d refused as the queue was full, %d reloads; %+v at first, %+v in the end\n",
				life+1, total.answered.Load(), total.left.Load(), total.slow.Load(), total.wrong.Load(),
				total.refused.Load(), total.reloads.Load(), s.first, s.last)
		}
	}
}

// live is the life of a server: some hundred requests, or a minute of them.
func (s *soak) live(seed uint64) {
	t := s.t
	s.start()
	defer s.cmd.Process.Kill()
	s.ask(rand.New(rand.NewPCG(seed, 99)), 0) // what is made at the first request stays
	s.client.CloseIdleConnections()
	first := s.settled(measure{Goroutines: 1 << 30, Heap: 1 << 62})
	var asked atomic.Int64
	begun := time.Now()
	more := func() bool {
		if *soakFor > 0 {
			return time.Since(begun) < min(*soakFor, time.Minute)
		}
		return asked.Load() < 240
	}
	var clients sync.WaitGroup
	for i := range 12 {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for more() && !t.Failed() {
				n := asked.Add(1)
				s.ask(r, r.IntN(8))
				if n%40 == 0 {
					s.reloads.Add(1)
					s.cmd.Process.Signal(syscall.SIGHUP)
				}
			}
		})
	}
	clients.Wait()
	s.client.CloseIdleConnections()
	s.first = first
	last := s.settled(measure{Goroutines: first.Goroutines, Heap: first.Heap + 24<<20})
	s.last = last
	if last.Goroutines > first.Goroutines || last.Heap > first.Heap+24<<20 || last.Users != 0 || last.Texts != 0 {
		t.Errorf("the server held %+v after its first request, and holds %+v in the end", first, last)
	}
	// SIGTERM while streams go on: those that have begun end as ever.
	var streams, open sync.WaitGroup
	for i := range 4 {
		open.Add(1)
		streams.Go(func() {
			s.whole("rnn", "It was", uint64(i), 2000, true, sync.OnceFunc(open.Done))
		})
	}
	open.Wait()
	s.cmd.Process.Signal(syscall.SIGTERM)
	streams.Wait()
	s.client.CloseIdleConnections()
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the server ended by SIGTERM: %v", err)
	}
}

func (s *soak) start() {
	t := s.t
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), soakServer+"=1")
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	at, aside, _ := strings.Cut(strings.TrimSpace(line), " ")
	s.url, s.aside = "http://"+at, "http://"+aside
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
}

// settled waits until the server holds no more than that, a while at the most, and tells what it holds.
func (s *soak) settled(most measure) (at measure) {
	side := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 400 {
		answer, err := side.Get(s.aside)
		if err != nil {
			s.t.Error(err)
			return at
		}
		err = json.NewDecoder(answer.Body).Decode(&at)
		answer.Body.Close()
		if err != nil {
			s.t.Error(err)
			return at
		}
		if at.Users == 0 && at.Texts == 0 && at.Goroutines <= most.Goroutines && at.Heap <= most.Heap {
			return at
		}
		time.Sleep(25 * time.Millisecond)
	}
	return at
}

// ask is one request of a kind.
func (s *soak) ask(r *rand.Rand, kind int) {
	name := []string{"rnn", "gptnano"}[r.IntN(2)]
	prompt := []string{"It was", "So, what is the news", "O"}[r.IntN(3)]
	seed, n := r.Uint64N(8), 1+r.IntN(90)
	switch kind {
	case 0, 1:
		s.whole(name, prompt, seed, n, false, nil)
	case 2, 3:
		s.whole(name, prompt, seed, n, true, nil)
	case 4: // it leaves in the middle of a stream
		s.leave(`{"prompt":"It","max_tokens":100000,"stream":true}`, r.IntN(3000))
	case 5: // and while its prompt is read, or its answer is awaited
		s.leave(`{"prompt":"`+strings.Repeat("It was. ", 3000)+`","max_tokens":100000}`, 0)
	case 6: // it takes nothing
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			s.t.Error(err)
			return
		}
		defer c.Close()
		body := `{"prompt":"It","max_tokens":100000,"stream":true,"logprobs":20}`
		fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
		s.slow.Add(1)
	case 7: // what it asks for is wrong
		body := []string{
			`{"prompt":`, `{"prompt":"It","n":100000}`, `{"temperature":NaN}`, `[]`, strings.Repeat("[", 9000),
			`{"prompt":"It","response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"x"}}}}`,
			`{"prompt":"It","seed":1,"seed":2}`, `{"prompt":"é"}`, strings.Repeat("a", 300<<10),
		}[r.IntN(9)]
		answer, err := s.client.Post(s.url+"/v1/completions", "application/json", strings.NewReader(body))
		if err != nil {
			if len(body) < 256<<10 { // of a longer body the connection may be closed
				s.t.Error(err)
			}
			return
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != 400 && answer.StatusCode != 413 || !json.Valid(text) {
			s.t.Errorf("%.80s: status %d, %s", body, answer.StatusCode, text)
		}
		s.wrong.Add(1)
	}
}

// leave asks, reads some bytes of the answer, and closes the connection.
func (s *soak) leave(body string, bytes int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "POST", s.url+"/v1/completions", strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return
	}
	if bytes == 0 {
		time.AfterFunc(20*time.Millisecond, cancel)
	}
	if answer, err := s.client.Do(r); err == nil {
		io.CopyN(io.Discard, answer.Body, int64(bytes))
		cancel()
		answer.Body.Close()
	}
	s.left.Add(1)
}

// whole asks for a text and holds it to that of the same request alone. begun is called when the first part is there.
func (s *soak) whole(name, prompt string, seed uint64, n int, stream bool, begun func()) {
	if begun == nil {
		begun = func() {}
	}
	defer begun()
	body := fmt.Sprintf(`{"model":%q,"prompt":%q,"seed":%d,"max_tokens":%d,"stream":%v}`, name, prompt, seed, n, stream)
	answer, err := s.client.Post(s.url+"/v1/completions", "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Errorf("%s: %v", body, err)
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusTooManyRequests {
		s.refused.Add(1)
		return
	}
	var got strings.Builder
	finish, done := any(nil), !stream
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		data := strings.TrimPrefix(lines.Text(), "data: ")
		if data == "" {
			continue
		}
		if data == "[DONE]" {
			done = true
			continue
		}
		var x map[string]any
		if err := json.Unmarshal([]byte(data), &x); err != nil {
			s.t.Errorf("%s: %v: %s", body, err, data)
			return
		}
		part, _ := at(x, "choices.0.text").(string)
		got.WriteString(part)
		if f := at(x, "choices.0.finish_reason"); f != nil {
			finish = f
		}
		begun()
	}
	key := fmt.Sprint(name, prompt, seed, n)
	want, _ := s.expected.LoadOrStore(key,
		sync.OnceValue(func() string { return alone(s.t, s.alone[name], prompt, seed, n) }))
	if text := want.(func() string)(); lines.Err() != nil || !done || finish != "length" || got.String() != text {
		s.t.Errorf("%s: status %d, %q, ended by %v, %v; alone %q", body, answer.StatusCode, got.String(), finish,
			lines.Err(), text)
		return
	}
	s.answered.Add(1)
}

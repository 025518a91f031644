package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gradsmith/gradsmith/generated/gptbaby"
	"github.com/gradsmith/gradsmith/runtime/batch"
	"github.com/gradsmith/gradsmith/runtime/serve"
)

// load measures a server: streams side by side, and how long others wait while long prompts are read. Numbers of
// streams take turns, round by round, so that other work of the machine meets all of them.
func load(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("load", flag.ExitOnError)
	command := fs.String("command", "",
		"a program that serves at a port that it logs; without it gptbaby with initial parameters")
	rounds := fs.Int("rounds", 3, "rounds")
	tokens := fs.Int("tokens", 96, "tokens of each stream")
	prompt := fs.Int("prompt", 32, "tokens of each prompt")
	long := fs.Int("long", 224, "tokens of a long prompt")
	others := fs.Int("others", 60, "requests while long prompts are read")
	fs.Parse(args)
	l := &loading{ctx: ctx, rounds: *rounds, tokens: *tokens, prompt: *prompt, long: *long, others: *others,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}, r: rand.New(rand.NewPCG(1, 2))}
	if *command == "" {
		o := serve.Options{Batch: batch.Options{Places: 32}}
		return served(ctx, o, []serve.Model{fresh(gptbaby.Program())}, l.measure)
	}
	return commanded(ctx, strings.Fields(*command), l.measure)
}

// commanded runs a program that serves while f asks it.
func commanded(ctx context.Context, command []string, f func(url string) error) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	address := regexp.MustCompile(`msg=serving .*url=(http://[^/]+)/`)
	lines := bufio.NewScanner(out)
	url := ""
	for url == "" && lines.Scan() {
		if found := address.FindStringSubmatch(lines.Text()); found != nil {
			url = found[1]
		} else {
			fmt.Fprintln(os.Stderr, lines.Text())
		}
	}
	go func() {
		for lines.Scan() { // or the program would wait for a reader
		}
	}()
	if url == "" {
		return errors.Join(errors.New("the program does not serve"), cmd.Wait())
	}
	err = f(url)
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait() // its status after an interrupt tells nothing
	return err
}

type loading struct {
	ctx                                  context.Context
	rounds, tokens, prompt, long, others int
	client                               *http.Client
	mu                                   sync.Mutex
	r                                    *rand.Rand
	url                                  string
	vocab                                int
}

// stream is what a client saw of a text.
type stream struct {
	first   time.Duration
	between []time.Duration
	err     error
}

// measure prints a table.
func (l *loading) measure(url string) error {
	l.url = url
	answer, err := l.client.Get(url + "/v1/models")
	if err != nil {
		return err
	}
	var x struct {
		Data []struct {
			ID         string
			Vocabulary int
			Parameters int
		}
	}
	err = json.NewDecoder(answer.Body).Decode(&x)
	answer.Body.Close()
	if err != nil || len(x.Data) == 0 {
		return fmt.Errorf("/v1/models: %v", err)
	}
	m := x.Data[0]
	l.vocab = m.Vocabulary
	fmt.Printf("%s, %d parameters; prompts of %d tokens, texts of %d; medians of %d rounds\n\n", m.ID, m.Parameters,
		l.prompt, l.tokens, l.rounds)
	if s := l.text(l.prompt, 8); s.err != nil { // what is made once
		return s.err
	}
	sizes := []int{1, 8, 32}
	rates := map[int][]float64{}
	all := map[int][]stream{}
	for range l.rounds {
		for _, n := range sizes {
			begin := time.Now()
			found := make([]stream, n)
			var wait sync.WaitGroup
			for i := range n {
				wait.Go(func() { found[i] = l.text(l.prompt, l.tokens) })
			}
			wait.Wait()
			for _, s := range found {
				if s.err != nil {
					return s.err
				}
			}
			rates[n] = append(rates[n], float64(n*l.tokens)/time.Since(begin).Seconds())
			all[n] = append(all[n], found...)
		}
	}
	fmt.Println("| streams | tokens/s | beside one stream | first token p50 | p99 | between tokens p50 | p99 |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, n := range sizes {
		var first, between []time.Duration
		for _, s := range all[n] {
			first = append(first, s.first)
			between = append(between, s.between...)
		}
		var ratios []float64
		for i := range rates[n] {
			ratios = append(ratios, rates[n][i]/rates[1][i])
		}
		fmt.Printf("| %d | %.0f | %.1f × | %s | %s | %s | %s |\n", n, at(rates[n], 0.5), at(ratios, 0.5),
			ms(at(first, 0.5)), ms(at(first, 0.99)), ms(at(between, 0.5)), ms(at(between, 0.99)))
	}
	return l.beside()
}

// beside measures the first tokens of short prompts, alone and while a long prompt is read at any time.
func (l *loading) beside() error {
	var alone, beside []time.Duration
	var read int
	var took time.Duration
	for range 2 {
		for range l.others / 2 {
			s := l.text(l.prompt, 1)
			if s.err != nil {
				return s.err
			}
			alone = append(alone, s.first)
		}
		ctx, stop := context.WithCancel(l.ctx)
		ended := make(chan error, 1)
		begin := time.Now()
		go func() {
			for ctx.Err() == nil {
				if s := l.text(l.long, 1); s.err != nil {
					ended <- s.err
					return
				}
				read += l.long
			}
			ended <- nil
		}()
		time.Sleep(50 * time.Millisecond) // the long prompt comes first
		for range l.others / 2 {
			s := l.text(l.prompt, 1)
			if s.err != nil {
				stop()
				return s.err
			}
			beside = append(beside, s.first)
		}
		stop()
		if err := <-ended; err != nil {
			return err
		}
		took += time.Since(begin)
	}
	fmt.Printf("\nFirst token of a prompt of %d tokens: p50 %s, p99 %s alone; p50 %s, p99 %s while prompts of %d "+
		"tokens are read, %.0f tokens/s of these.\n", l.prompt, ms(at(alone, 0.5)), ms(at(alone, 0.99)),
		ms(at(beside, 0.5)), ms(at(beside, 0.99)), l.long, float64(read)/took.Seconds())
	return nil
}

// text asks for a stream behind tokens that no other prompt has.
func (l *loading) text(prompt, tokens int) (s stream) {
	ids := make([]int, prompt)
	l.mu.Lock()
	for i := range ids {
		ids[i] = l.r.IntN(l.vocab)
	}
	l.mu.Unlock()
	body, err := json.Marshal(map[string]any{"prompt": ids, "max_tokens": tokens, "stream": true, "logprobs": 0})
	if err != nil {
		s.err = err
		return s
	}
	begin := time.Now()
	answer, err := l.client.Post(l.url+"/v1/completions", "application/json", bytes.NewReader(body))
	if err != nil {
		s.err = err
		return s
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	last := begin
	n := 0
	for lines.Scan() {
		line := lines.Text()
		if !strings.Contains(line, `"token_logprobs":[`) {
			if answer.StatusCode != 200 {
				s.err = fmt.Errorf("status %d: %s", answer.StatusCode, line)
				return s
			}
			continue
		}
		now := time.Now()
		if n++; n == 1 {
			s.first = now.Sub(begin)
		} else {
			s.between = append(s.between, now.Sub(last))
		}
		last = now
	}
	if n != tokens {
		s.err = fmt.Errorf("%d tokens came, not %d: %v", n, tokens, lines.Err())
	}
	return s
}

// at is a quantile of numbers.
func at[T float64 | time.Duration](x []T, q float64) T {
	if len(x) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(x))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }

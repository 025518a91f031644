package batch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

// subject is a model that texts are written with.
type subject struct {
	m   model.Writer
	tok model.Tokenizer
}

func subjects() map[string]subject {
	return map[string]subject{
		"rnn":     {rnn.NewSeeded(1), rnn.Tokenizer},
		"lstm":    {lstm.NewSeeded(2), lstm.Tokenizer},
		"gptnano": {gptnano.NewSeeded(3), gptnano.Tokenizer},
	}
}

// order is a text that is asked for.
type order struct {
	prompt string
	opts   []sample.Option
}

// beginning is what prompts share.
const beginning = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of " +
	"foolishness, "

// orders draws texts of all sorts: with prompts that share beginnings, constraints, stop strings and limits.
func orders(s subject, rng *rand.Rand, n int) ([]order, error) {
	language, err := constrain.Regexp(`(yes|no), [a-z]{3} and that is all that there is to say`)
	if err != nil {
		return nil, err
	}
	pattern, err := language.Compile(constrain.NewVocabulary(s.tok))
	if err != nil {
		return nil, err
	}
	var all []order
	for i := range n {
		o := order{prompt: "The",
			opts: []sample.Option{sample.Seed(rng.Uint64()), sample.MaxTokens(rng.IntN(40)),
				sample.Temperature(0.5 + rng.Float64())}}
		switch rng.IntN(4) {
		case 0:
			o.prompt = beginning + fmt.Sprint("and so on"[:rng.IntN(9)])
		case 1:
			o.prompt = beginning[:1+rng.IntN(len(beginning)-1)]
		}
		switch i % 6 {
		case 0:
			o.opts = append(o.opts, sample.TopP(0.9), sample.Stop("e", "th"))
		case 1:
			o.opts = append(o.opts, sample.Constrain(pattern), sample.MaxTokens(80))
		case 2:
			o.opts = append(o.opts, sample.RepetitionPenalty(1.2), sample.TopK(5), sample.LogProbs(2))
		case 3:
			o.opts = append(o.opts, sample.Greedy(), sample.MinTokens(3))
		case 4:
			o.opts = append(o.opts, sample.Mirostat(5, 0.1), sample.MaxTokens(100))
		}
		all = append(all, o)
	}
	return all, nil
}

// alone is what a text is without others.
func alone(s subject, o order) string {
	return written(sample.Tokens(context.Background(), s.m.MakeDecoder(1), s.tok, o.prompt, o.opts...))
}

// written is all that is told of a text.
func written(tokens func(func(sample.Token, error) bool)) string {
	var b strings.Builder
	for t, err := range tokens {
		fmt.Fprintf(&b, "%d %q %v %v %s %v\n", t.ID, t.Text, t.LogProb, t.Best, t.End, err)
	}
	return b.String()
}

// Texts that come, leave and are cancelled at random are what they are alone, to the bit.
func TestSameAsAlone(t *testing.T) {
	for name, s := range subjects() {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(len(name))))
			n, settings := 24, []Options{{Places: 1}, {Places: 5, Ahead: 3}, {Places: 8, Prefixes: 1},
				{Places: 4, Prefixes: -1}}
			if name != "rnn" { // which is the fastest
				n, settings = 12, settings[1:3]
			}
			all, err := orders(s, rng, n)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]string, len(all))
			for i, o := range all {
				want[i] = alone(s, o)
			}
			for _, options := range settings {
				b, err := New(s.m, s.tok, options)
				if err != nil {
					t.Fatal(err)
				}
				var wait sync.WaitGroup
				slots := make(chan struct{}, 12)
				for i, o := range all {
					slots <- struct{}{}
					leave := rng.IntN(3) == 0
					after := rng.IntN(5)
					wait.Go(func() {
						defer func() { <-slots }()
						if leave { // a text that is given up before the one that is looked at
							ctx, cancel := context.WithCancel(context.Background())
							n := 0
							for range b.Tokens(ctx, o.prompt, o.opts...) {
								if n++; n > after {
									cancel()
								}
							}
							cancel()
						}
						if got := written(b.Tokens(context.Background(), o.prompt, o.opts...)); got != want[i] {
							t.Errorf("%+v: text %d, behind %q, is not what it is alone:\n%s\nalone\n%s", options, i,
								o.prompt, got, want[i])
						}
					})
				}
				wait.Wait()
				// Which of them meet depends on time; of two that follow each other the second has all of its prompt.
				for range 2 {
					written(b.Tokens(context.Background(), beginning[:40], sample.Greedy(), sample.MaxTokens(1)))
				}
				if err := b.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
				st := b.Stats()
				if st.Writing+st.Reading+st.Waiting+st.Parked != 0 || b.admitted != 0 {
					t.Errorf("%+v: the batch is closed and not empty: %+v", options, st)
				}
				if options.Prefixes >= 0 && options.Places > 1 && st.SharedTokens == 0 {
					t.Errorf("%+v: nothing was shared of %d tokens of prompts", options, st.PromptTokens)
				}
				if options.Prefixes < 0 && st.SharedTokens != 0 {
					t.Errorf("%+v: %d tokens were shared", options, st.SharedTokens)
				}
			}
		})
	}
}

// A beginning that prompts share is read once: by the first, even when they come together, and the rest by each.
func TestPrefixIsReadOnce(t *testing.T) {
	for name, s := range subjects() {
		b, err := New(s.m, s.tok, Options{Places: 6})
		if err != nil {
			t.Fatal(err)
		}
		chunk := b.chunk
		common := strings.Repeat("a quick brown fox, ", 60)
		if window := b.Window(); window > 0 {
			common = common[:window*3/4]
		}
		shared := len(common) / chunk * chunk
		if shared < leastShared { // a window that holds no chunk and a rest: prompts are shared whole or not at all
			continue
		}
		var wait sync.WaitGroup
		for i := range 6 {
			wait.Go(func() {
				for _, err := range b.Tokens(context.Background(), common+string(rune('a'+i)), sample.MaxTokens(2)) {
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		st := b.Stats()
		if least := int64(4 * shared); st.SharedTokens < least {
			t.Errorf("%s: %d of %d tokens were shared, want %d", name, st.SharedTokens, st.PromptTokens, least)
		}
		b.Close(context.Background())
	}
}

// A reader that does not read has its place taken after Ahead tokens, and loses nothing; the others go on.
func TestSlowReader(t *testing.T) {
	s := subjects()["rnn"]
	b, err := New(s.m, s.tok, Options{Places: 1, Ahead: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	o := order{"The", []sample.Option{sample.Seed(1), sample.MaxTokens(100)}}
	prompt, err := sample.Prompt(s.tok, o.prompt)
	if err != nil {
		t.Fatal(err)
	}
	slow, err := b.Start(context.Background(), prompt, o.opts...)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // each needs the only place
		if got, want := written(b.Tokens(context.Background(), "It", sample.Seed(2), sample.MaxTokens(20))), alone(s,
			order{"It", []sample.Option{sample.Seed(2), sample.MaxTokens(20)}}); got == "" || len(got) < len(want)/2 {
			t.Fatalf("another text: %s", got)
		}
	}
	if got, want := written(slow.All()), alone(s, o); got != want {
		t.Errorf("the slow reader's text is\n%s\nalone\n%s", got, want)
	}
}

// A context that is done frees the place at once, while a prompt is read, while a text waits, and while it is written.
func TestCancel(t *testing.T) {
	s := subjects()["lstm"]
	b, err := New(s.m, s.tok, Options{Places: 1, Waiting: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	long, err := sample.Prompt(s.tok, strings.Repeat("a long prompt ", 5000))
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("the client left")
	ctx, cancel := context.WithCancelCause(context.Background())
	var texts []*Text
	for range 3 {
		x, err := b.Start(ctx, long)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, x)
	}
	if _, err := b.Start(ctx, long); !errors.Is(err, ErrBusy) {
		t.Fatalf("a fourth text: %v", err)
	}
	cancel(cause)
	for _, x := range texts {
		if _, err := x.Next(); !errors.Is(err, cause) {
			t.Errorf("a cancelled text: %v", err)
		}
	}
	if got, want := written(b.Tokens(context.Background(), "It", sample.Seed(2), sample.MaxTokens(5))), alone(s,
		order{"It", []sample.Option{sample.Seed(2), sample.MaxTokens(5)}}); got != want && !strings.Contains(got,
		ErrBusy.Error()) {
		t.Errorf("behind them: %s, alone %s", got, want)
	}
	for b.Stats().Cancelled < 3 {
		time.Sleep(time.Millisecond)
	}
	if st := b.Stats(); st.PromptTokens-int64(len(long)) > 10 {
		t.Errorf("prompts of cancelled texts were begun: %+v", st)
	}
}

// What is wrong with one text is its own error.
func TestFaults(t *testing.T) {
	s := subjects()["rnn"]
	b, err := New(s.m, s.tok, Options{Places: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Start(context.Background(), []int32{1}, sample.TopP(2)); err == nil {
		t.Error("a wrong option is no error")
	}
	if _, err := b.Start(context.Background(), nil); err == nil {
		t.Error("an empty prompt is no error")
	}
	if _, err := b.Start(context.Background(), []int32{-1}); err == nil {
		t.Error("a token that there is not is no error")
	}
	if got := written(b.Tokens(context.Background(), "It", sample.With(panicking{}),
		sample.RepetitionPenalty(1.1))); !strings.Contains(got, "panicked") {
		t.Errorf("an option that panics: %s", got)
	}
	endless, err := b.Start(context.Background(), []int32{1}, sample.MaxTokens(-1))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("closing over a text: %v", err)
	}
	if got := written(endless.All()); !strings.Contains(got, ErrClosed.Error()) {
		t.Errorf("a text of a closed batch: %s", got)
	}
	if _, err := b.Start(context.Background(), []int32{1}); !errors.Is(err, ErrClosed) {
		t.Errorf("a text for a closed batch: %v", err)
	}
}

type panicking struct{}

func (panicking) Apply(*sample.Candidates, []int32) { panic("no") }

// Nobody waits until another has finished: texts of equal length that begin together end together.
func TestFairness(t *testing.T) {
	s := subjects()["rnn"]
	b, err := New(s.m, s.tok, Options{Places: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	var texts []*Text
	for range 4 {
		x, err := b.Start(context.Background(), []int32{1}, sample.MaxTokens(-1))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, x)
	}
	long := make([]int32, 2000)
	reader, err := b.Start(context.Background(), long, sample.MaxTokens(1))
	if err != nil {
		t.Fatal(err)
	}
	var count [4]int
	for i, x := range texts {
		for count[i] < 200 {
			tokens, err := x.Next()
			if err != nil {
				t.Fatal(err)
			}
			count[i] += len(tokens)
		}
	}
	texts[0].Close() // makes room for the long prompt, which is read between the others' tokens
	for {
		tokens, err := reader.Next()
		if err != nil {
			t.Fatal(err)
		}
		if len(tokens) == 0 {
			break
		}
	}
	most := 0
	for _, x := range texts[1:] {
		x.mu.Lock()
		most = max(most, len(x.ready))
		x.mu.Unlock()
	}
	if least := len(long) / b.burst; most < least && most < b.options.Ahead {
		t.Errorf("while a prompt of %d tokens was read others wrote %d tokens, want %d or more", len(long), most, least)
	}
	for _, x := range texts {
		x.Close()
	}
}

// A token costs no memory but its text.
func TestAllocations(t *testing.T) {
	s := subjects()["rnn"]
	b, err := New(s.m, s.tok, Options{Places: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	cost := func(n int) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, err := range b.Tokens(context.Background(), "The", sample.Seed(1), sample.MaxTokens(n)) {
			if err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	cost(3000)
	few, many := cost(100), cost(3000)
	if many > few+300 {
		t.Errorf("100 tokens allocate %d times, 3000 tokens %d times", few, many)
	}
}

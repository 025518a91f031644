package generated_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/generated/seqgan"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

// held is the memory that is in use, in bytes, and the number of goroutines.
func held() (memory uint64, goroutines int) {
	for range 3 { // what a finalizer lets go takes another round
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}

// TestLongLivedUse does again and again what a process that lives for months does, and holds that it takes no more
// memory and no more goroutines than at first: models that are made, used and dropped, texts that nobody reads to
// their end, calls that are wrong, trainings that are cancelled, crowds of goroutines.
func TestLongLivedUse(t *testing.T) {
	t.Chdir(t.TempDir())
	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(2)
	if err := os.WriteFile("book.txt", []byte(strings.Repeat("To be, or not to be: that is the question.\n", 30)),
		0o644); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	shared := rnn.New()
	for name, use := range map[string]func() error{
		"models that are dropped": func() error {
			m := rnn.New()
			b := &model.Batch{Steps: 2, Batch: 2, Tokens: make([]int32, 4), Targets: make([]int32, 4),
				Reset: make([]int32, 4)}
			if _, _, err := m.TrainStep(b, 0.001); err != nil {
				return err
			}
			_, err := gan.New().Sample(2, 1)
			return err
		},
		"texts that are broken off": func() error {
			for _, err := range shared.Generate(ctx, "To ", sample.MaxTokens(-1)) {
				return err
			}
			return errors.New("there is no text")
		},
		"calls that are wrong": func() error {
			if _, err := shared.NewDecoder(1).Step([]int32{-1}); err == nil {
				return errors.New("a wrong token is no error")
			}
			if _, err := shared.Loss(nil); err == nil {
				return errors.New("no batch is no error")
			}
			return nil
		},
		"a crowd of goroutines": func() error {
			var wg sync.WaitGroup
			errs := make([]error, 40)
			for i := range errs {
				wg.Go(func() { _, errs[i] = shared.NewDecoder(1).Step([]int32{1}) })
			}
			wg.Wait()
			return errors.Join(errs...)
		},
		"lines": func() error {
			_, err := seqgan.New().Sample(ctx, 2, 1, 1)
			return err
		},
		"trainings that are cancelled": func() error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			p := rnn.Program()
			fresh := p.New
			p.New = func(seed uint64) model.LanguageModel { return &cancelling{fresh(seed), cancel} }
			var out, errOut bytes.Buffer
			if status := app.Run(ctx, p,
				[]string{"train", "--data", "book.txt", "--overwrite", "--batch", "2", "--window", "8", "--samples",
					"0"}, &out, &errOut); status != 0 {
				return errors.New(errOut.String())
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			again := func(n int) (uint64, int) {
				for range n {
					if err := use(); err != nil {
						t.Fatal(err)
					}
				}
				return held()
			}
			memory, goroutines := again(3) // makes what is made once
			after, more := again(12)
			for n := 0; more > goroutines && n < 1000; n++ { // those that have ended may not be gone yet
				runtime.Gosched()
				after, more = held()
			}
			if more > goroutines {
				t.Errorf("%d goroutines after 3 rounds and %d after 12 more", goroutines, more)
			}
			if after > memory+memory/4+1<<20 {
				t.Errorf("%d bytes in use after 3 rounds and %d after 12 more", memory, after)
			}
		})
	}
}

// cancelling ends its training after the first step.
type cancelling struct {
	model.LanguageModel
	cancel func()
}

func (c *cancelling) TrainStep(b *model.Batch, rate float64) (loss, norm float64, err error) {
	defer c.cancel()
	return c.LanguageModel.TrainStep(b, rate)
}

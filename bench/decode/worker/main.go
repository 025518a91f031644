//go:build decode

// Command worker decodes with a model of gradsmith and one kind of weights, for bench/decode. Its commands and answers
// are those of peer/llama.c.
//
//	worker MODEL KIND [FILE]
//
// A KIND of q4,q8 has weights in 4 bits, and keys and values in 8. With a FILE of quantize the weights are mapped from
// it, else they are the initial ones. A KIND of save/q8 writes the FILE and ends, and save/parameters an ordinary
// checkpoint.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/gradsmith/gradsmith/bench/decode/worker/gpt2"
	"github.com/gradsmith/gradsmith/bench/decode/worker/llama"
	"github.com/gradsmith/gradsmith/generated/gptbaby"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/runtime/cache"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

var programs = map[string]model.Program{
	"gptnano": gptnano.Program(), "gptbaby": gptbaby.Program(), "gpt2": gpt2.Program(), "llama": llama.Program(),
	"lstm": lstm.Program(),
}

func main() {
	began := time.Now()
	log.SetFlags(0)
	m, err := load(os.Args[1:])
	if err != nil {
		log.Fatal(err)
	}
	if m == nil {
		return
	}
	d := m.MakeDecoder(1)
	logits, err := d.Step([]int32{0})
	if err != nil {
		log.Fatal(err)
	}
	likeliest(logits)
	fmt.Printf("ready %.4f\n", time.Since(began).Seconds())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		took, busy, tokens, err := answer(m, in.Text())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%.6f %.6f %d\n", took.Seconds(), busy.Seconds(), tokens)
	}
}

// load makes the model, or writes the file.
func load(args []string) (model.Packer, error) {
	if len(args) < 2 {
		return nil, fmt.Errorf("usage: worker MODEL KIND [FILE]")
	}
	p, ok := programs[args[0]]
	if !ok {
		return nil, fmt.Errorf("there is no model %s", args[0])
	}
	name, save := strings.CutPrefix(args[1], "save/")
	if save && name == "parameters" && len(args) > 2 {
		return nil, checkpoint.SaveWeights(args[2], p.New(1))
	}
	name, kept, _ := strings.Cut(name, ",")
	kind, err := weights.ParseKind(name)
	if err != nil {
		return nil, err
	}
	if len(args) > 2 && !save {
		m := p.Empty().(model.Packer)
		return m, errors.Join(checkpoint.LoadWeights(args[2], m), keep(m, kept))
	}
	m := p.New(1).(model.Packer)
	if save {
		return nil, checkpoint.SaveMatrices(args[2], m, kind)
	}
	return m, errors.Join(m.Pack(kind), keep(m, kept))
}

// keep makes decoders keep keys and values as numbers of a kind, if one is named and they keep any.
func keep(m model.Packer, name string) error {
	c, ok := m.(model.Cacher)
	if !ok || name == "" {
		return nil
	}
	kind, err := cache.ParseKind(name)
	if err != nil {
		return err
	}
	return c.SetCache(kind)
}

// processor is the time that processors have worked for this process.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// answer runs a command: it gives the time that passed, the time of the processors, and the tokens.
func answer(m model.Packer, command string) (took, busy time.Duration, tokens int, err error) {
	var threads, start, end int
	batch := 1
	if n, _ := fmt.Sscanf(command, "decode %d %d %d %d", &threads, &batch, &start, &end); n != 4 {
		if n, _ := fmt.Sscanf(command, "prompt %d %d", &threads, &start); n != 2 {
			return 0, 0, 0, fmt.Errorf("no command: %s", command)
		}
		end = start
	}
	parallel.SetThreads(threads)
	d := m.MakeDecoder(batch)
	vocab := m.Info().Vocab
	next := make([]int32, batch)
	for warm := range 2 {
		d.Reset()
		began, worked := time.Now(), processor()
		logits, err := prompt(d, start, vocab)
		if err != nil {
			return 0, 0, 0, err
		}
		take(next, logits)
		if start < end {
			began, worked = time.Now(), processor()
			last := end
			if warm == 0 {
				last = start + 4
			}
			for range last - start {
				logits, err := d.Step(next)
				if err != nil {
					return 0, 0, 0, err
				}
				take(next, logits)
			}
		}
		took, busy = time.Since(began), processor()-worked
	}
	if start == end {
		return took, busy, start, nil
	}
	return took, busy, (end - start) * batch, nil
}

// prompt feeds n tokens to each sequence.
func prompt(d model.Decoder, n, vocab int) (logits []float32, err error) {
	batch := d.Batch()
	tokens := make([]int32, 0, n*batch)
	for i := range n {
		for s := range batch {
			tokens = append(tokens, int32((i*7+s)%vocab))
		}
	}
	for len(tokens) > 0 {
		part := min(model.Chunk(d)*batch, len(tokens))
		if logits, err = model.Feed(d, tokens[:part]); err != nil {
			return nil, err
		}
		tokens = tokens[part:]
	}
	return logits, nil
}

// take sets next to the likeliest token of each row of logits.
func take(next []int32, logits []float32) {
	vocab := len(logits) / len(next)
	for s := range next {
		next[s] = likeliest(logits[s*vocab : (s+1)*vocab])
	}
}

func likeliest(x []float32) int32 {
	most, at := x[0], 0
	for i, v := range x {
		if v > most {
			most, at = v, i
		}
	}
	return int32(at)
}

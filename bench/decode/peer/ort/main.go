//go:build onnxruntime

// Command ort is the worker of ONNX Runtime, for bench/decode: it writes token by token with a recurrent model, whose
// states go from one step to the next without being copied. Its commands and answers are those of llama.c.
//
//	ONNXRUNTIME_LIB=…/libonnxruntime.so.1 ort FILE.onnx
//
// The file has an input tokens [steps, batch], a state NAME0 for each output NAME but logits, and nothing else.
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	ort "github.com/yalue/onnxruntime_go"
)

func main() {
	began := time.Now()
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: ort FILE.onnx")
	}
	ort.SetSharedLibraryPath(os.Getenv("ONNXRUNTIME_LIB"))
	if err := ort.InitializeEnvironment(); err != nil {
		log.Fatal(err)
	}
	models := map[[2]int]*network{}
	of := func(threads, batch int) (*network, error) {
		key := [2]int{threads, batch}
		if models[key] == nil {
			n, err := load(os.Args[1], threads, batch)
			if err != nil {
				return nil, err
			}
			models[key] = n
		}
		return models[key], nil
	}
	n, err := of(1, 1)
	if err == nil {
		err = n.step()
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("ready %.4f\n", time.Since(began).Seconds())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var threads, batch, start, end int
		if n, _ := fmt.Sscanf(in.Text(), "decode %d %d %d %d", &threads, &batch, &start, &end); n != 4 {
			log.Fatalf("no command: %s", in.Text())
		}
		n, err := of(threads, batch)
		if err != nil {
			log.Fatal(err)
		}
		for range start + 4 { // warm
			if err := n.step(); err != nil {
				log.Fatal(err)
			}
		}
		began, worked := time.Now(), processor()
		for range end - start {
			if err := n.step(); err != nil {
				log.Fatal(err)
			}
		}
		fmt.Printf("%.6f %.6f %d\n", time.Since(began).Seconds(), (processor() - worked).Seconds(), (end-start)*batch)
	}
}

// network is a model for a number of sequences: two sessions whose states go to and fro.
type network struct {
	sessions [2]*ort.AdvancedSession
	at       int
	put      func(i int, token int32)
	logits   []float32
	batch    int
}

func load(path string, threads, batch int) (*network, error) {
	inputs, outputs, err := ort.GetInputOutputInfo(path)
	if err != nil {
		return nil, err
	}
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer o.Destroy()
	if err := o.SetIntraOpNumThreads(threads); err != nil {
		return nil, err
	}
	if err := o.SetInterOpNumThreads(1); err != nil {
		return nil, err
	}
	n := &network{batch: batch}
	// shape is that of a step: what the file leaves open is the number of sequences, but for the first size of tokens
	// and logits, which is that of steps.
	shape := func(x ort.InputOutputInfo) ort.Shape {
		s := slices.Clone(x.Dimensions)
		for i := range s {
			if s[i] <= 0 {
				s[i] = int64(batch)
			}
		}
		if x.Name == "tokens" || x.Name == "logits" {
			s[0], s[1] = 1, int64(batch)
		}
		return s
	}
	var in, out [2][]ort.Value
	var inNames, outNames []string
	states := map[string][2]ort.Value{}
	for _, x := range inputs {
		inNames = append(inNames, x.Name)
		if x.Name == "tokens" {
			t, err := tokens(n, x, shape(x))
			if err != nil {
				return nil, err
			}
			in[0], in[1] = append(in[0], t), append(in[1], t)
			continue
		}
		var two [2]ort.Value
		for i := range two {
			if two[i], err = ort.NewEmptyTensor[float32](shape(x)); err != nil {
				return nil, err
			}
			in[i] = append(in[i], two[i])
		}
		states[strings.TrimSuffix(x.Name, "0")] = two
	}
	for _, x := range outputs {
		outNames = append(outNames, x.Name)
		if x.Name == "logits" {
			t, err := ort.NewEmptyTensor[float32](shape(x))
			if err != nil {
				return nil, err
			}
			n.logits = t.GetData()
			out[0], out[1] = append(out[0], t), append(out[1], t)
			continue
		}
		two, ok := states[x.Name]
		if !ok {
			return nil, fmt.Errorf("%s: the output %s is no state", path, x.Name)
		}
		out[0], out[1] = append(out[0], two[1]), append(out[1], two[0])
	}
	for i := range n.sessions {
		if n.sessions[i], err = ort.NewAdvancedSession(path, inNames, outNames, in[i], out[i], o); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// tokens makes the input of tokens.
func tokens(n *network, x ort.InputOutputInfo, s ort.Shape) (ort.Value, error) {
	if x.DataType == ort.TensorElementDataTypeInt32 {
		t, err := ort.NewEmptyTensor[int32](s)
		n.put = func(i int, token int32) { t.GetData()[i] = token }
		return t, err
	}
	t, err := ort.NewEmptyTensor[int64](s)
	n.put = func(i int, token int32) { t.GetData()[i] = int64(token) }
	return t, err
}

// step writes the likeliest token of each sequence.
func (n *network) step() error {
	if err := n.sessions[n.at].Run(); err != nil {
		return err
	}
	n.at = 1 - n.at
	vocab := len(n.logits) / n.batch
	for i := range n.batch {
		row := n.logits[i*vocab : (i+1)*vocab]
		best := 0
		for t, x := range row {
			if x > row[best] {
				best = t
			}
		}
		n.put(i, int32(best))
	}
	return nil
}

// processor is the time that processors have worked for this process.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

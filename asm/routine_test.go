package asm

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// pile is a routine of so many multiples of one input that are all there before they are added up, the first last.
func pile(n int) Routine {
	r := Routine{Name: "pile", Pointers: []string{"x", "y"}, Inputs: []int{0}}
	for i := range n {
		r.Steps = append(r.Steps,
			Step{Kernel: "Scale", Inputs: []int{0}, Numbers: []float32{float32(i)}, Store: -1, Text: "a multiple"})
	}
	sum := n
	for i := n - 2; i >= 0; i-- {
		r.Steps = append(r.Steps, Step{Kernel: "Add", Inputs: []int{sum, 1 + i}, Store: -1, Text: "the sum"})
		sum = len(r.Steps)
	}
	r.Steps[len(r.Steps)-1].Store = 1
	return r
}

// TestRoutines writes routines whose values the registers hold, with places on the stack, and not at all; many times at
// once, which must not show.
func TestRoutines(t *testing.T) {
	var first []byte
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			text, done, err := WriteRoutines("// header", []Routine{pile(3), pile(60), pile(22)})
			mu.Lock()
			defer mu.Unlock()
			if err != nil || fmt.Sprint(done) != "[true false true]" {
				t.Errorf("done: %v, %v", done, err)
			}
			if first == nil {
				first = text
			}
			if !bytes.Equal(text, first) {
				t.Error("two calls give two texts")
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	functions := strings.Split(string(first), "\nTEXT ")
	if len(functions) != 5 || !strings.HasPrefix(functions[0], "// header\n") {
		t.Fatalf("%d functions, and in front of them %q", len(functions)-1, functions[0])
	}
	for i, spills := range []bool{false, false, false, true} {
		if f := functions[1+i]; strings.Contains(f, "(SP)") != spills {
			t.Errorf("values on the stack: want %v\n%s", spills, f)
		}
	}
}

// An input is loaded once and a result stored once, for each vector, where the registers are enough.
func TestOnePass(t *testing.T) {
	text, done, err := WriteRoutines("// header", []Routine{pile(3)})
	if err != nil || !done[0] {
		t.Fatal(done, err)
	}
	for _, f := range strings.Split(string(text), "\nTEXT ")[1:] {
		body, _, _ := strings.Cut(f, "// The last elements")
		moves := 0
		for line := range strings.Lines(body) {
			if strings.Contains(line, "VMOVUPS") && strings.Contains(line, "*4)") {
				moves++
			}
		}
		if moves != 2 {
			t.Errorf("%d loads and stores, want 2\n%s", moves, body)
		}
	}
}

// Every elementwise kernel can be a step.
func TestHasPiece(t *testing.T) {
	for _, p := range pieces {
		if name := p.name; name != "Axpb" && !HasPiece(name) {
			t.Errorf("%s is no step", name)
		}
	}
	if !HasPiece("Affine") || HasPiece("Axpb") || HasPiece("SwiGLU") {
		t.Error("steps go by the functions of package kernel")
	}
}

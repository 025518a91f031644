package model

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

func TestFloats(t *testing.T) {
	for n := range 200 {
		x := Floats(n)
		if len(x) != n || cap(x) != n {
			t.Fatalf("length %d, capacity %d, want %d", len(x), cap(x), n)
		}
		if at := uintptr(unsafe.Pointer(unsafe.SliceData(x))); n > 0 && at%64 != 0 {
			t.Fatalf("%d numbers begin at %#x, which is not a cache line", n, at)
		}
	}
}

func TestKey(t *testing.T) {
	seen := map[uint64]string{}
	for a := range uint64(50) {
		for b := range uint64(50) {
			for _, parts := range [][]uint64{{a, b}, {a, b, 0}} {
				k, name := Key(parts...), fmt.Sprint(parts)
				if other, ok := seen[k]; ok {
					t.Errorf("%s and %s have one key", name, other)
				}
				seen[k] = name
			}
		}
	}
	// Checkpoints hold dropout to these numbers.
	if got := Key(1, 2, 3); got != 0xd306214c1fe59365 {
		t.Errorf("Key(1, 2, 3) is %#x", got)
	}
}

func TestCheck(t *testing.T) {
	good := func() *Batch {
		return &Batch{Steps: 2, Batch: 3, Tokens: make([]int32, 6), Targets: []int32{-1, 0, 1, 2, 3, 4},
			Reset: make([]int32, 6)}
	}
	if err := good().Check(2, 3, 5); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(b *Batch){
		"0 steps, the model takes 1 to 2":                       func(b *Batch) { b.Steps = 0 },
		"3 steps, the model takes 1 to 2":                       func(b *Batch) { b.Steps = 3 },
		"4 sequences, the model takes 1 to 3":                   func(b *Batch) { b.Batch = 4 },
		"2 × 3 has 5 tokens":                                    func(b *Batch) { b.Tokens = b.Tokens[:5] },
		"6 targets and 0 resets":                                func(b *Batch) { b.Reset = nil },
		"2 × 3 has 7 tokens":                                    func(b *Batch) { b.Tokens = append(b.Tokens, 1) },
		"token 5 at step 1 of sequence 2 is not one of 0 to 4":  func(b *Batch) { b.Tokens[5] = 5 },
		"token -1 at step 0 of sequence 1":                      func(b *Batch) { b.Tokens[1] = -1 },
		"target 9 at step 1 of sequence 0 is not one of 0 to 4": func(b *Batch) { b.Targets[3] = 9 },
	} {
		b := good()
		change(b)
		if err := b.Check(2, 3, 5); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
}

package model

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A guard lets one call in, and decoders beside each other but not beside a call of their model.
func TestGuard(t *testing.T) {
	var m, a, b Guard
	a.Watch(&m)
	b.Watch(&m)
	in := func(g *Guard) error { return g.Enter("net", "Loss", nil) }
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(err error) {
		t.Helper()
		if !errors.Is(err, ErrInUse) || !strings.HasPrefix(err.Error(), "net: Loss: ") {
			t.Fatalf("a second call gives %v", err)
		}
	}
	ok(in(&m))
	refused(in(&m))
	refused(in(&a))
	m.Leave()
	ok(in(&a))
	ok(in(&b))
	refused(in(&a))
	refused(in(&m))
	a.Leave()
	refused(in(&m))
	b.Leave()
	ok(in(&m))
	m.Leave()

	fault := errors.New("a fault")
	if err := m.Enter("net", "Loss", fault); !errors.Is(err, fault) {
		t.Errorf("a fault gives %v", err)
	}
	ok(in(&m)) // what is refused does not stay inside
	m.Leave()
}

// Whatever the goroutines, the calls inside never meet.
func TestGuardAtOnce(t *testing.T) {
	var m Guard
	var inside, entered atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			g := &m
			if i%2 == 0 {
				g = &Guard{}
				g.Watch(&m)
			}
			for range 2000 {
				if g.Enter("net", "Step", nil) != nil {
					continue
				}
				entered.Add(1)
				if g == &m {
					if n := inside.Add(100); n != 100 {
						t.Errorf("%d are inside beside a call of the model", n)
					}
					inside.Add(-100)
				} else {
					if n := inside.Add(1); n >= 100 {
						t.Error("a decoder is inside beside a call of its model")
					}
					inside.Add(-1)
				}
				g.Leave()
			}
		})
	}
	wg.Wait()
	if entered.Load() == 0 || m.users.Load() != 0 {
		t.Errorf("%d calls got in, and %d stay", entered.Load(), m.users.Load())
	}
}

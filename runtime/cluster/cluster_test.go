package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// together runs f in n processes, which are goroutines here. Their connections break when they end.
func together(t *testing.T, n int, watched bool, f func(g *Group) error) []error {
	t.Helper()
	errs := make([]error, n)
	var wait sync.WaitGroup
	for rank, l := range Local(n) {
		wait.Go(func() {
			g, err := New(l, watched)
			if err == nil {
				err = f(g)
				if g.watch != nil {
					hangUp(g)
				}
			}
			errs[rank] = err
		})
	}
	wait.Wait()
	return errs
}

// hangUp breaks the connections of a process, as its end does.
func hangUp(g *Group) {
	for _, p := range g.watch.peers {
		if p != nil {
			p.conn.Close()
		}
	}
}

func all(t *testing.T, n int, f func(g *Group) error) {
	t.Helper()
	for rank, err := range together(t, n, false, f) {
		if err != nil {
			t.Errorf("process %d of %d: %v", rank, n, err)
		}
	}
}

// What processes tell each other arrives, whatever their number is.
func TestMessages(t *testing.T) {
	for n := 1; n <= 9; n++ {
		all(t, n, func(g *Group) error {
			got, err := g.Gather([]byte{byte(g.Rank()), 7})
			if err != nil {
				return err
			}
			for rank, x := range got {
				if !bytes.Equal(x, []byte{byte(rank), 7}) {
					return fmt.Errorf("process %d is said to say %v", rank, x)
				}
			}
			for root := range n {
				told, err := Tell(g, map[string]int{"root": g.Rank()}, root)
				if err != nil || told["root"] != root {
					return fmt.Errorf("process %d has told %v, error %w", root, told, err)
				}
			}
			bits, err := g.Or(byte(1 << (g.Rank() % 8)))
			if err != nil || int(bits) != 1<<min(n, 8)-1 {
				return fmt.Errorf("bits %b, error %w", bits, err)
			}
			texts, err := gather(g, strings.Repeat("x", g.Rank()))
			if err != nil {
				return err
			}
			for rank, s := range texts {
				if len(s) != rank {
					return fmt.Errorf("process %d is said to have %q", rank, s)
				}
			}
			x, bounds := make([]float32, 3*n), make([]int, n+1)
			for rank := range n {
				bounds[rank+1] = min(3*n, bounds[rank]+rank%5) // some have nothing
			}
			bounds[n] = 3 * n
			for i := bounds[g.Rank()]; i < bounds[g.Rank()+1]; i++ {
				x[i] = float32(i)
			}
			if err := g.Spread(x, Division{bounds}); err != nil {
				return err
			}
			for i, v := range x {
				if v != float32(i) {
					return fmt.Errorf("number %d is %v", i, v)
				}
			}
			for i := range x {
				if i < bounds[g.Rank()] || i >= bounds[g.Rank()+1] {
					x[i] = -1
				}
			}
			if err := g.Assemble(x, Division{bounds}); err != nil {
				return err
			}
			for i, v := range x {
				if g.Leads() && v != float32(i) {
					return fmt.Errorf("number %d is %v in process 0", i, v)
				}
			}
			return g.Close()
		})
	}
}

// value is number i of what shard k has: of many magnitudes, so that each order of adding has bits of its own.
func value(k, i int) float32 {
	x := model.Key(uint64(k), uint64(i))
	return float32(math.Ldexp(float64(int32(x)), int(x>>40%24)-40))
}

// sumOf adds up the shards from up to to in the tree, one number at a time.
func sumOf(from, to, i int) float32 {
	if to-from == 1 {
		return value(from, i)
	}
	half := Half(from, to)
	return sumOf(from, half, i) + sumOf(half, to, i)
}

func meanOf(from, to, i int) float64 {
	if to-from == 1 {
		return float64(value(from, i)) / 3
	}
	half := Half(from, to)
	return meanOf(from, half, i) + meanOf(half, to, i)
}

// The sum over shards has the same bits for any number of processes that shares them, and for pieces of any size.
func TestAdder(t *testing.T) {
	for _, x := range []struct{ shards, processes, numbers, held int }{
		{2, 2, 1, held}, {2, 2, 5*Grain + 3, held}, {4, 2, 100, held}, {4, 4, 3 * Grain, 5000}, {6, 2, 40_000, 1},
		{6, 3, 70_001, 30_000}, {12, 4, 50_000, held}, {12, 6, 4 * Grain, 1}, {8, 8, 9*Grain + 1, 70_000},
		{7, 7, 20_000, held}, {9, 3, 2 * Grain, 1}, {5, 5, 0, held},
	} {
		want, wantMeans := make([]float32, x.numbers), make([]float64, 3)
		for i := range want {
			want[i] = sumOf(0, x.shards, i)
		}
		for i := range wantMeans {
			wantMeans[i] = meanOf(0, x.shards, i)
		}
		all(t, x.processes, func(g *Group) error {
			a := g.NewAdder(x.shards)
			a.held = x.held
			for range 2 { // its memory is used again
				sum, means := make([]float32, x.numbers), make([]float64, 3)
				for k, node := range a.Nodes() {
					for i := range sum {
						sum[i] = sumOf(node.From, node.To, i)
					}
					for i := range means {
						means[i] = meanOf(node.From, node.To, i)
					}
					a.Keep(k, sum)
					a.KeepMeans(k, means)
				}
				parts := Divide(len(sum), g.Size())
				first, err := a.AddMeans(means, -1)
				if err := errors.Join(err, a.Add(sum, parts), g.Spread(sum, parts)); err != nil || first >= 0 {
					return fmt.Errorf("shard %d failed, error %w", first, err)
				}
				if !slices.Equal(sum, want) || !slices.Equal(means, wantMeans) {
					return fmt.Errorf("%+v: another sum, or %v for %v", x, means, wantMeans)
				}
			}
			return nil
		})
	}
}

// A division gives each number to one process, and each process as much as any other of each stretch, but for a grain.
func TestDivide(t *testing.T) {
	for _, n := range []int{0, 1, Grain, Grain + 1, 7 * Grain, 64*Grain - 1, 1000*Grain + 5} {
		for size := 1; size <= 9; size++ {
			d, next := Divide(n, size), 0
			for _, bounds := range d {
				least, most := n, 0
				for r := range size {
					if bounds[r] != next || bounds[r+1] < next || bounds[r]%Grain != 0 {
						t.Fatalf("%d numbers, %d processes: bounds %v", n, size, d)
					}
					next = bounds[r+1]
					least, most = min(least, next-bounds[r]), max(most, next-bounds[r])
				}
				if most-least > Grain || len(d) > 1 && least < (leastGrains-1)*Grain {
					t.Errorf("%d numbers, %d processes: parts of %d to %d numbers", n, size, least, most)
				}
			}
			if next != n || len(d) > mostStretches {
				t.Errorf("%d numbers, %d processes: %d stretches up to %d", n, size, len(d), next)
			}
		}
	}
}

// What is there of a gradient is added up while the rest of it is still being computed.
func TestReady(t *testing.T) {
	const n, shards = 4*leastGrains*2*Grain + 9, 4
	want := make([]float32, n)
	for i := range want {
		want[i] = sumOf(0, shards, i)
	}
	for _, processes := range []int{2, 4} {
		all(t, processes, func(g *Group) error {
			d, a := Divide(n, processes), g.NewAdder(shards)
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(math.NaN()) // which is not there yet
			}
			fill := func(x []float32, node Node, from, to int) {
				for i := from; i < to; i++ {
					x[i] = sumOf(node.From, node.To, i)
				}
			}
			last := len(a.Nodes()) - 1
			for k, node := range a.Nodes()[:last] {
				other := make([]float32, n)
				fill(other, node, 0, n)
				a.Keep(k, other)
			}
			a.Begin(x, d)
			for k := len(d) - 1; k >= 0; k-- {
				fill(x, a.Nodes()[last], d[k][0], d[k][processes])
				a.Ready(d[k][0])
				// Before the next stretch is there, this one has been added up.
				for end := time.Now().Add(time.Minute); a.added.Load() < int64(len(d)-k); time.Sleep(time.Millisecond) {
					if time.Now().After(end) {
						return fmt.Errorf("stretch %d is not added up", k)
					}
				}
			}
			if err := errors.Join(a.End(), g.Spread(x, d)); err != nil {
				return err
			}
			if !slices.Equal(x, want) {
				return fmt.Errorf("%d processes: another sum", processes)
			}
			return nil
		})
	}
}

// Of several shards that fail the first counts, as it would in one process.
func TestFirstFailure(t *testing.T) {
	all(t, 3, func(g *Group) error {
		a := g.NewAdder(6)
		failed := -1
		if g.Rank() > 0 {
			failed = 2*g.Rank() + 1
		}
		first, err := a.AddMeans([]float64{1}, failed)
		if err != nil || first != 3 || a.Owner(first) != 1 {
			return fmt.Errorf("shard %d of process %d, error %w", first, a.Owner(first), err)
		}
		return nil
	})
}

// The nodes that processes compute have each shard below them once, and no process has one of another.
func TestNodes(t *testing.T) {
	for n := 1; n <= 40; n++ {
		for size := 1; size <= n; size++ {
			next := 0
			for rank := range size {
				from, to := Interval(n, rank, size)
				for _, x := range Nodes(n, rank, size) {
					if x.From != next || x.To <= x.From || x.From < from || x.To > to {
						t.Fatalf("%d shards, %d processes: node %+v of process %d, which has %d to %d", n, size, x, rank,
							from, to)
					}
					next = x.To
				}
			}
			if next != n || len(sums(n, size)) != countNodes(n, size)-1 {
				t.Fatalf("%d shards, %d processes: nodes end at %d, %d sums of %d nodes", n, size, next,
					len(sums(n, size)), countNodes(n, size))
			}
		}
	}
}

func countNodes(n, size int) (count int) {
	for rank := range size {
		count += len(Nodes(n, rank, size))
	}
	return count
}

// What differs is named, with all processes in which it does.
func TestSame(t *testing.T) {
	all(t, 4, func(g *Group) error {
		traits := []Trait{{Name: "program", Value: "a"}, {Name: "--rate", Value: "0.1", Shown: true}}
		if err := g.Same(traits); err != nil {
			return err
		}
		if g.Rank() > 1 {
			traits[0].Value = "b"
		}
		if g.Rank() == 1 {
			traits[1].Value = "0.2"
		}
		err := g.Same(traits)
		if err == nil || !strings.Contains(err.Error(), "processes 2 and 3 on ") ||
			!strings.Contains(err.Error(), " have another program; --rate is 0.1, in process 1 on ") ||
			!strings.HasSuffix(err.Error(), " 0.2") {
			return fmt.Errorf("the difference is %w", err)
		}
		return nil
	})
}

// waiting waits for a message that never comes.
func waiting(g *Group) error {
	return g.run(nil, []Message{{(g.Rank() + 1) % g.Size(), make([]byte, 1)}})
}

// A process that dies ends the others, which name it; one of them has the error, the others know that it is told.
func TestDeath(t *testing.T) {
	for _, dead := range []int{0, 1, 2} {
		errs := together(t, 3, true, func(g *Group) error {
			if g.Rank() == dead {
				g.closed.Store(true)
				hangUp(g)
				return nil
			}
			return g.Fail(waiting(g))
		})
		told := 0
		for rank, err := range errs {
			switch {
			case rank == dead:
			case errors.Is(err, ErrTold):
				told++
			case err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("process %d of 3 (number ", dead)) ||
				!strings.HasSuffix(err.Error(), ") has died"):
				t.Errorf("process %d has died, and process %d says %v", dead, rank, err)
			}
		}
		if told != 1 {
			t.Errorf("process %d has died: %d processes are silent", dead, told)
		}
	}
}

// A process that is silent ends the others as well.
func TestSilence(t *testing.T) {
	defer func(was time.Duration) { silence = was }(silence)
	silence = 3 * beat
	errs := together(t, 3, true, func(g *Group) error {
		if g.Rank() == 2 {
			g.closed.Store(true) // so that it says nothing from here on
			<-g.watch.told
			return nil
		}
		return g.Fail(waiting(g))
	})
	if errs[0] == nil || !strings.Contains(errs[0].Error(), "process 2 of 3") ||
		!strings.Contains(errs[0].Error(), "does not answer") || !errors.Is(errs[1], ErrTold) {
		t.Errorf("process 2 is silent: %v and %v", errs[0], errs[1])
	}
}

// A process that has nothing to say does not end before the one that speaks: a launcher ends that one then.
func TestSpeaker(t *testing.T) {
	defer func(was time.Duration) { farewell = was }(farewell)
	farewell = time.Hour
	for _, dead := range []int{1, 2} {
		var spoken atomic.Bool
		early := func(err error) error {
			if errors.Is(err, ErrTold) && !spoken.Load() {
				t.Error("a process has ended before the one that speaks")
			}
			return err
		}
		for rank, err := range together(t, 4, true, func(g *Group) error {
			switch {
			case g.Rank() == dead:
				return early(g.Fail(errors.New("broken")))
			case g.Rank() == 3:
				ended := make(chan error, 1)
				g.OnLost(func(err error, told bool) { ended <- err })
				<-ended
				return early(ErrTold)
			}
			err := g.Fail(waiting(g))
			if g.Rank() == 0 {
				time.Sleep(3 * unheard)
				spoken.Store(true)
			}
			return early(err)
		}) {
			if (rank == 0) == errors.Is(err, ErrTold) {
				t.Errorf("process %d says %v", rank, err)
			}
		}
	}
}

// An error of one process ends the others, and is told once; those that have the same are named together.
func TestFailure(t *testing.T) {
	var ended sync.Map
	errs := together(t, 4, true, func(g *Group) error {
		g.OnLost(func(err error, told bool) { ended.Store(g.Rank(), told) })
		if g.Rank() >= 2 {
			return g.Fail(errors.New("there is no\ndata"))
		}
		return g.Fail(waiting(g))
	})
	if errs[0] == nil || !strings.HasSuffix(errs[0].Error(), "processes 2 and 3 of 4 end: there is no data") {
		t.Errorf("process 0 says %v", errs[0])
	}
	for rank := 1; rank < 4; rank++ {
		if !errors.Is(errs[rank], ErrTold) {
			t.Errorf("process %d says %v", rank, errs[rank])
		}
	}
	// Of process 0 all learn.
	errs = together(t, 3, true, func(g *Group) error {
		if g.Rank() == 0 {
			return g.Fail(errors.New("no place on the disk"))
		}
		return g.Fail(waiting(g))
	})
	if errs[0].Error() != "no place on the disk" || !errors.Is(errs[1], ErrTold) || !errors.Is(errs[2], ErrTold) {
		t.Errorf("process 0 has failed: %v", errs)
	}
}

// A process that does not wait for the others when the group is lost is ended.
func TestUnheard(t *testing.T) {
	ended := make(chan string, 1)
	together(t, 2, true, func(g *Group) error {
		if g.Rank() == 1 {
			return g.Fail(errors.New("broken"))
		}
		g.OnLost(func(err error, told bool) { ended <- fmt.Sprint(err, told) })
		if s := <-ended; !strings.Contains(s, "ends: broken false") {
			t.Errorf("it is ended by %q", s)
		}
		return nil
	})
}

// Closing ends a group in good order, and nobody is taken for dead.
func TestClose(t *testing.T) {
	for rank, err := range together(t, 3, true, func(g *Group) error {
		if err := g.Close(); err != nil {
			return err
		}
		return g.Err()
	}) {
		if err != nil {
			t.Errorf("process %d: %v", rank, err)
		}
	}
}

// Without a launcher, or with one that has started a single process, there is no group.
func TestAlone(t *testing.T) {
	for _, l := range launchers {
		t.Setenv(l.rank, "")
	}
	t.Setenv("OMPI_COMM_WORLD_SIZE", "1")
	for _, l := range launchers[1:] {
		unset(t, l.rank)
	}
	g, err := Join()
	if err != nil || g != nil {
		t.Fatalf("group %v, error %v", g, err)
	}
	if g.Size() != 1 || g.Rank() != 0 || !g.Leads() || g.Neighbours() != 1 || g.Hosts() != 1 || g.Err() != nil ||
		g.Close() != nil || g.Same(nil) != nil {
		t.Error("a process alone is no group of one")
	}
	if told, err := Tell(g, 3, 0); told != 3 || err != nil {
		t.Error("a process alone does not tell itself")
	}
	t.Setenv("OMPI_COMM_WORLD_SIZE", "2")
	was := connect
	defer func() { connect = was }()
	connect = nil
	if _, err := Join(); !errors.Is(err, ErrNoLink) || !strings.Contains(err.Error(), "mpirun of Open MPI") {
		t.Errorf("a program without a link: %v", err)
	}
}

// unset takes a variable out of the environment until the test is over.
func unset(t *testing.T, name string) {
	t.Setenv(name, "") // which restores it
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}

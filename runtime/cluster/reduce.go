package cluster

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Adder adds up what the processes of a group have computed of each shard, in the tree. It keeps the memory for that.
//
// Each process adds up a part of the numbers, for which the others send it what they have of it: so each sends and
// receives as little as can be, (N−1)/N of what a shard has, or that for each of its nodes where shards are no power of
// two. How the messages are cut decides no bit, and nor does when they are sent: the numbers that are there first, the
// last ones of a gradient, are added up while the others are computed.
type Adder struct {
	g      *Group
	shards int
	nodes  [][]Node // of each process
	first  []int    // number of the first node of each process
	sums   []sum
	kept   [][]float32 // what this process has of its nodes but the last
	space  [2][]float32
	values [][]float32 // of each node, in a piece
	means  [][]float64 // of each node
	record []float64
	held   int // how many numbers of others it holds at a time, about

	// What is under way between Begin and End, of which all but what follows belongs to a goroutine.
	x       []float32
	pieces  []piece
	length  int           // of the longest part of a piece, rounded up
	ready   atomic.Int64  // the numbers from here on are there
	woken   chan struct{} // that more are there
	waiting atomic.Bool   // the process does nothing but wait
	added   atomic.Int64  // pieces that have been added up
	done    chan error
}

// piece is some numbers of each part of a stretch.
type piece struct {
	bounds []int // of the stretch
	at     int   // where the numbers begin in each part
}

// Grain is what the parts that processes add up are multiples of, but for the last: the sums of squares that make a
// norm are of as many numbers (kernel.SquaredNorm).
const Grain = 16384

// held is how many numbers of others a process holds at a time, about.
const held = 1 << 22

// NewAdder makes an adder over n shards, of which each process has as many.
func (g *Group) NewAdder(n int) *Adder {
	a := &Adder{g: g, shards: n, sums: sums(n, g.Size()), held: held, woken: make(chan struct{}, 1),
		done: make(chan error, 1)}
	total := 0
	for rank := range g.Size() {
		nodes := Nodes(n, rank, g.Size())
		a.nodes, a.first = append(a.nodes, nodes), append(a.first, total)
		total += len(nodes)
	}
	a.values = make([][]float32, total)
	a.means = make([][]float64, total)
	a.kept = make([][]float32, len(a.Nodes())-1)
	if runtime.GOMAXPROCS(0) == 1 {
		// A launcher that binds processes to processors leaves one to each. What sends and receives has to come in
		// between while the process computes: the system's scheduler lets it, that of Go does so every 10 ms alone.
		runtime.GOMAXPROCS(2)
	}
	return a
}

// Nodes are the nodes of the tree that this process computes, one after the other.
func (a *Adder) Nodes() []Node { return a.nodes[a.g.Rank()] }

// Keep takes note of the sum over node number k of this process. That of the last node stays where it is.
func (a *Adder) Keep(k int, x []float32) {
	if k == len(a.kept) {
		return
	}
	a.grow(k, len(x))
	kernel.Copy(a.kept[k], x, len(x))
}

func (a *Adder) grow(k, n int) {
	if len(a.kept[k]) < n {
		a.kept[k] = model.Floats(n)
	}
}

// Division says which of some numbers each process has: they are cut into stretches, and each stretch into a part for
// each process. Part r of stretch k lies between bounds [k][r] and [k][r+1].
type Division [][]int

// Limits of stretches: each has at least so many grains for each process, as a message has its price, and there are not
// more than so many of them.
const (
	leastGrains   = 4
	mostStretches = 16
)

// Divide is the division of n numbers among processes that add them up, and update what the numbers are the gradient
// of. As all of them have a part of each stretch, all have something to do as soon as a stretch is there.
func Divide(n, processes int) Division {
	grains := (n + Grain - 1) / Grain
	d := make(Division, max(1, min(grains/(leastGrains*processes), mostStretches)))
	for k := range d {
		from, to := k*grains/len(d), (k+1)*grains/len(d)
		for r := range processes + 1 {
			d[k] = append(d[k], min(n, (from+r*(to-from)/processes)*Grain))
		}
	}
	return d
}

// Plus is the division of numbers that lie n further on.
func (d Division) Plus(n int) Division {
	moved := make(Division, len(d))
	for k := range d {
		for _, x := range d[k] {
			moved[k] = append(moved[k], x+n)
		}
	}
	return moved
}

// Add makes of x, which has the sum over the last node of this process, the parts of this process of the sum over all
// shards; the other parts of x are left as they are. All processes call it, with the same division.
func (a *Adder) Add(x []float32, d Division) error {
	a.Begin(x, d)
	a.Ready(0)
	return a.End()
}

// Begin begins what Add does, when the last node of this process is still being computed: Ready says what of x is
// there. All processes call it, with the same division, and nothing else of the group until End has returned: a
// goroutine sends and receives meanwhile, and adds up what has come.
func (a *Adder) Begin(x []float32, d Division) {
	for k := range a.kept {
		a.grow(k, len(x)) // where a shard has failed it may not be there
	}
	longest := 0
	for _, bounds := range d {
		for r := range a.g.Size() {
			longest = max(longest, bounds[r+1]-bounds[r])
		}
	}
	a.x, a.length = x, min(max(1024, a.held/len(a.values))&^15, (longest+15)&^15) // the same in all processes
	a.pieces = a.pieces[:0]
	for k := len(d) - 1; k >= 0; k-- {
		longest := 0
		for r := range a.g.Size() {
			longest = max(longest, d[k][r+1]-d[k][r])
		}
		for at := 0; at < longest; at += a.length {
			a.pieces = append(a.pieces, piece{d[k], at})
		}
	}
	others := len(a.values) - len(a.Nodes())
	for i := range a.space {
		if len(a.space[i]) < others*a.length {
			a.space[i] = model.Floats(others * a.length)
		}
	}
	a.ready.Store(int64(len(x)) + 1)
	a.waiting.Store(false)
	a.added.Store(0)
	select {
	case <-a.woken:
	default:
	}
	go func() { a.done <- a.add() }()
}

// Ready says that the numbers of x from from on are there, and will not be written to before End has returned.
func (a *Adder) Ready(from int) {
	a.ready.Store(int64(from))
	select {
	case a.woken <- struct{}{}:
	default: // it has not yet seen the last word
	}
}

// End returns when x has the sum, or the group is lost. Ready has said before that all of x is there.
func (a *Adder) End() error {
	begin := time.Now()
	a.waiting.Store(true)
	err := <-a.done
	a.g.Waited += time.Since(begin)
	return err
}

// add adds up the pieces one after the other, while the next one is under way.
func (a *Adder) add() error {
	var underWay [2]Transfer
	begun, asked := 0, patience{}
	for first := 0; first < len(a.pieces); {
		if begun < len(a.pieces) && begun-first < 2 && a.ready.Load() <= int64(a.pieces[begun].bounds[0]) {
			underWay[begun%2] = a.begin(a.pieces[begun], a.space[begun%2])
			begun++
			continue
		}
		if begun == first {
			<-a.woken
			asked = patience{}
			continue
		}
		done, err := a.g.ask(underWay[first%2])
		if err != nil {
			return err
		}
		if !done {
			asked.pause(!a.waiting.Load())
			continue
		}
		a.sum(a.pieces[first], a.space[first%2])
		first++
		a.added.Store(int64(first))
		asked = patience{}
	}
	return nil
}

// of is what this process has of its node number k.
func (a *Adder) of(k int) []float32 {
	if k < len(a.kept) {
		return a.kept[k]
	}
	return a.x
}

// begin sends a piece, and receives those of the others into space.
func (a *Adder) begin(p piece, space []float32) Transfer {
	size, rank := a.g.Size(), a.g.Rank()
	var send, receive []Message
	for k := 1; k < size; k++ {
		to := (rank + k) % size
		lo, hi := p.window(to, a.length)
		for i := range a.Nodes() {
			send = append(send, Message{to, Bytes(a.of(i)[lo:hi])})
		}
	}
	lo, hi := p.window(rank, a.length)
	next := 0
	for k := 1; k < size; k++ {
		from := (rank - k + size) % size
		for range a.nodes[from] {
			receive = append(receive, Message{from, Bytes(space[next*a.length:][:hi-lo])})
			next++
		}
	}
	return a.g.start(send, receive)
}

// sum adds up what this process has of a piece and what the others have, which is in space.
func (a *Adder) sum(p piece, space []float32) {
	size, rank := a.g.Size(), a.g.Rank()
	lo, hi := p.window(rank, a.length)
	if lo == hi {
		return
	}
	next := 0
	for k := 1; k < size; k++ {
		from := (rank - k + size) % size
		for i := range a.nodes[from] {
			a.values[a.first[from]+i] = space[next*a.length:][:hi-lo]
			next++
		}
	}
	for i := range a.Nodes() {
		a.values[a.first[rank]+i] = a.of(i)[lo:hi]
	}
	for _, s := range a.sums {
		kernel.Add(a.values[s.to], a.values[s.to], a.values[s.from], hi-lo)
	}
	if rank > 0 || len(a.kept) > 0 { // otherwise node 0 is x
		kernel.Copy(a.x[lo:hi], a.values[0], hi-lo)
	}
}

// window is the numbers of a piece in the part of a process, up to length of them.
func (p piece) window(rank, length int) (lo, hi int) {
	from, to := p.bounds[rank], p.bounds[rank+1]
	return min(from+p.at, to), min(from+p.at+length, to)
}

// KeepMeans takes note of the means over node number k of this process, each times its weight: as many for every node.
func (a *Adder) KeepMeans(k int, means []float64) {
	i := a.first[a.g.Rank()] + k
	a.means[i] = append(a.means[i][:0], means...)
}

// AddMeans fills means with their sums over all shards, and gives the first shard that failed in any process, where
// failed is the first that did in this one; −1 is none, and after a failure means are left as they are. All processes
// call it, with as many means.
func (a *Adder) AddMeans(means []float64, failed int) (first int, err error) {
	g, rank, width := a.g, a.g.Rank(), len(means)
	widest := 0
	for _, nodes := range a.nodes {
		widest = max(widest, len(nodes))
	}
	a.record = model.Sized(a.record, 1+widest*width)
	clear(a.record)
	a.record[0] = float64(failed)
	if failed < 0 {
		for k := range a.Nodes() {
			copy(a.record[1+k*width:][:width], a.means[a.first[rank]+k])
		}
	}
	all, err := g.Gather(Bytes(a.record))
	if err != nil {
		return 0, err
	}
	first = -1
	for r, data := range all {
		record := make([]float64, len(a.record))
		copy(Bytes(record), data)
		if f := int(record[0]); f >= 0 && (first < 0 || f < first) {
			first = f
		}
		for k := range a.nodes[r] {
			a.means[a.first[r]+k] = record[1+k*width:][:width]
		}
	}
	if first >= 0 {
		return first, nil
	}
	for _, s := range a.sums {
		for i, x := range a.means[s.from] {
			a.means[s.to][i] += x
		}
	}
	copy(means, a.means[0])
	return first, nil
}

// Owner is the process that has a shard.
func (a *Adder) Owner(shard int) int {
	for rank := range a.g.Size() {
		if _, to := Interval(a.shards, rank, a.g.Size()); shard < to {
			return rank
		}
	}
	return a.g.Size() - 1
}

package cluster

import (
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Adder adds up what the processes of a group have computed of each shard, in the tree. It keeps the memory for that.
//
// Each process adds up a part of the numbers, for which the others send it what they have of it: so each sends and
// receives as little as can be, (N−1)/N of what a shard has, or that for each of its nodes where shards are no power of
// two. How the messages are cut decides no bit.
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
}

// Grain is what the parts that processes add up are multiples of, but for the last: the sums of squares that make a
// norm are of as many numbers (kernel.SquaredNorm).
const Grain = 16384

// held is how many numbers of others a process holds at a time, about.
const held = 1 << 22

// NewAdder makes an adder over n shards, of which each process has as many.
func (g *Group) NewAdder(n int) *Adder {
	a := &Adder{g: g, shards: n, sums: sums(n, g.Size()), held: held}
	total := 0
	for rank := range g.Size() {
		nodes := Nodes(n, rank, g.Size())
		a.nodes, a.first = append(a.nodes, nodes), append(a.first, total)
		total += len(nodes)
	}
	a.values = make([][]float32, total)
	a.means = make([][]float64, total)
	a.kept = make([][]float32, len(a.Nodes())-1)
	return a
}

// Nodes are the nodes of the tree that this process computes, one after the other.
func (a *Adder) Nodes() []Node { return a.nodes[a.g.Rank()] }

// Keep takes note of the sum over node number k of this process. That of the last node stays where it is.
func (a *Adder) Keep(k int, x []float32) {
	if k == len(a.kept) {
		return
	}
	if len(a.kept[k]) < len(x) {
		a.kept[k] = model.Floats(len(x))
	}
	kernel.Copy(a.kept[k], x, len(x))
}

// Parts are the bounds of the parts of n numbers that processes add up: part r of process r lies between bounds r and
// r+1.
func (g *Group) Parts(n int) []int {
	size := g.Size()
	grains := (n + Grain - 1) / Grain
	bounds := make([]int, size+1)
	for r := range bounds {
		bounds[r] = min(n, r*grains/size*Grain)
	}
	bounds[size] = n
	return bounds
}

// Add makes of x, which has the sum over the last node of this process, the part of this process of the sum over all
// shards; the other parts of x are left as they are. bounds are those of Parts. All processes call it.
func (a *Adder) Add(x []float32, bounds []int) error {
	g, size, rank := a.g, a.g.Size(), a.g.Rank()
	others := len(a.values) - len(a.Nodes())
	piece := max(1024, a.held/len(a.values)) &^ 15 // the same in all processes
	longest := 0
	for r := range size {
		longest = max(longest, bounds[r+1]-bounds[r])
	}
	if piece = min(piece, (longest+15)&^15); piece == 0 {
		return nil
	}
	for i := range a.space {
		if len(a.space[i]) < others*piece {
			a.space[i] = model.Floats(others * piece)
		}
	}
	mine := func(k int) []float32 {
		if k < len(a.kept) {
			return a.kept[k]
		}
		return x
	}
	// begin sends and receives the piece at at of each part.
	begin := func(at int, space []float32) Transfer {
		var send, receive []Message
		for k := 1; k < size; k++ {
			to := (rank + k) % size
			lo, hi := window(bounds, to, at, piece)
			for i := range a.Nodes() {
				send = append(send, Message{to, Bytes(mine(i)[lo:hi])})
			}
		}
		lo, hi := window(bounds, rank, at, piece)
		next := 0
		for k := 1; k < size; k++ {
			from := (rank - k + size) % size
			for range a.nodes[from] {
				receive = append(receive, Message{from, Bytes(space[next*piece:][:hi-lo])})
				next++
			}
		}
		return g.start(send, receive)
	}
	underWay := begin(0, a.space[0])
	for at, turn := 0, 0; at < longest; at, turn = at+piece, 1-turn {
		if err := g.wait(underWay); err != nil {
			return err
		}
		if at+piece < longest {
			underWay = begin(at+piece, a.space[1-turn])
		}
		lo, hi := window(bounds, rank, at, piece)
		if lo == hi {
			continue
		}
		next := 0
		for k := 1; k < size; k++ {
			from := (rank - k + size) % size
			for i := range a.nodes[from] {
				a.values[a.first[from]+i] = a.space[turn][next*piece:][:hi-lo]
				next++
			}
		}
		for i := range a.Nodes() {
			a.values[a.first[rank]+i] = mine(i)[lo:hi]
		}
		for _, s := range a.sums {
			kernel.Add(a.values[s.to], a.values[s.to], a.values[s.from], hi-lo)
		}
		if rank > 0 || len(a.kept) > 0 { // otherwise node 0 is x
			kernel.Copy(x[lo:hi], a.values[0], hi-lo)
		}
	}
	return nil
}

// window is the piece at at of the part of a process.
func window(bounds []int, rank, at, piece int) (lo, hi int) {
	return min(bounds[rank]+at, bounds[rank+1]), min(bounds[rank]+at+piece, bounds[rank+1])
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

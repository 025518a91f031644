package cluster

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"unsafe"
)

// Gather gives bytes of all processes, as many of each, in the order of their ranks: own are those of this process. All
// processes call it. It takes ⌈log₂ N⌉ rounds of one message (Bruck et al. 1997).
func (g *Group) Gather(own []byte) ([][]byte, error) {
	n, rank, size := g.Size(), g.Rank(), len(own)
	buffer := make([]byte, n*size) // from this process on, around
	copy(buffer, own)
	for have := 1; have < n; {
		count := min(have, n-have)
		send := []Message{{(rank - have + n) % n, buffer[:count*size]}}
		receive := []Message{{(rank + have) % n, buffer[have*size : (have+count)*size]}}
		if err := g.run(send, receive); err != nil {
			return nil, err
		}
		have += count
	}
	all := make([][]byte, n)
	for i := range n {
		all[(rank+i)%n] = buffer[i*size : (i+1)*size]
	}
	return all, nil
}

// gather gives a value of every process. All processes call it.
func gather[T any](g *Group, own T) ([]T, error) {
	data, err := json.Marshal(own)
	if err != nil {
		return nil, fmt.Errorf("tell the other processes: %w", err)
	}
	sizes, err := g.Gather(binary.LittleEndian.AppendUint64(nil, uint64(len(data))))
	if err != nil {
		return nil, err
	}
	longest := 0
	for _, s := range sizes {
		longest = max(longest, int(binary.LittleEndian.Uint64(s)))
	}
	padded := make([]byte, longest)
	copy(padded, data)
	texts, err := g.Gather(padded)
	if err != nil {
		return nil, err
	}
	all := make([]T, len(texts))
	for i, text := range texts {
		if err := json.Unmarshal(text[:binary.LittleEndian.Uint64(sizes[i])], &all[i]); err != nil {
			return nil, fmt.Errorf("what process %d says: %w", i, err)
		}
	}
	return all, nil
}

// Broadcast copies the bytes of process root into those of all others, which are as many. All processes call it. Every
// process that has them passes them on, so that it takes ⌈log₂ N⌉ rounds.
func (g *Group) Broadcast(data []byte, root int) error {
	n := g.Size()
	at := (g.Rank() - root + n) % n // as if root were 0
	for have := 1; have < n; have *= 2 {
		var send, receive []Message
		switch {
		case at < have && at+have < n:
			send = []Message{{(at + have + root) % n, data}}
		case at >= have && at < 2*have:
			receive = []Message{{(at - have + root) % n, data}}
		}
		if err := g.run(send, receive); err != nil {
			return err
		}
	}
	return nil
}

// Tell gives all processes the value of process root. All processes call it.
func Tell[T any](g *Group, value T, root int) (T, error) {
	if g.Size() == 1 {
		return value, nil
	}
	var data []byte
	var size [8]byte
	if g.Rank() == root {
		var err error
		if data, err = json.Marshal(value); err != nil {
			return value, fmt.Errorf("tell the other processes: %w", err)
		}
		binary.LittleEndian.PutUint64(size[:], uint64(len(data)))
	}
	if err := g.Broadcast(size[:], root); err != nil {
		return value, err
	}
	if g.Rank() != root {
		data = make([]byte, binary.LittleEndian.Uint64(size[:]))
	}
	if err := g.Broadcast(data, root); err != nil {
		return value, err
	}
	if g.Rank() == root {
		return value, nil
	}
	var told T
	if err := json.Unmarshal(data, &told); err != nil {
		return value, fmt.Errorf("what process %d says: %w", root, err)
	}
	return told, nil
}

// Or gives the bits that any process has set. All processes call it.
func (g *Group) Or(bits byte) (byte, error) {
	if g.Size() == 1 {
		return bits, nil
	}
	all, err := g.Gather([]byte{bits})
	if err != nil {
		return 0, err
	}
	for _, x := range all {
		bits |= x[0]
	}
	return bits, nil
}

// Barrier returns when all processes have called it.
func (g *Group) Barrier() error {
	_, err := g.Or(0)
	return err
}

// Spread gives all processes all of x, of which each has its parts. All processes call it, with the same division.
func (g *Group) Spread(x []float32, d Division) error {
	n, rank := g.Size(), g.Rank()
	var send, receive []Message
	for k := 1; k < n; k++ {
		to, from := (rank+k)%n, (rank-k+n)%n // so that not all send to one
		for _, bounds := range d {
			send = append(send, Message{to, Bytes(x[bounds[rank]:bounds[rank+1]])})
			receive = append(receive, Message{from, Bytes(x[bounds[from]:bounds[from+1]])})
		}
	}
	return g.run(send, receive)
}

// Assemble is Spread for process 0 alone.
func (g *Group) Assemble(x []float32, d Division) error {
	var send, receive []Message
	for _, bounds := range d {
		if !g.Leads() {
			send = append(send, Message{0, Bytes(x[bounds[g.Rank()]:bounds[g.Rank()+1]])})
			continue
		}
		for rank := 1; rank < g.Size(); rank++ {
			receive = append(receive, Message{rank, Bytes(x[bounds[rank]:bounds[rank+1]])})
		}
	}
	return g.run(send, receive)
}

// Bytes is the memory of x, which a message can be read from and written to.
func Bytes[T float32 | float64](x []T) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*int(unsafe.Sizeof(x[0])))
}

package cluster

import (
	"fmt"
	"slices"
	"sync"
)

// Local links n goroutines as if each were a process, for tests: link k is that of process k.
func Local(n int) []Link {
	h := &hall{boxes: map[[2]int][][]byte{}, size: n}
	links := make([]Link, n)
	for rank := range n {
		links[rank] = &local{hall: h, rank: rank}
	}
	return links
}

// hall is where the messages of local links lie until somebody fetches them.
type hall struct {
	mu    sync.Mutex
	boxes map[[2]int][][]byte // from whom, to whom
	size  int
}

type local struct {
	*hall
	rank int
}

func (l *local) Rank() int    { return l.rank }
func (l *local) Size() int    { return l.size }
func (l *local) Close() error { return nil }

// Start leaves a copy of each message, as a network has one.
func (l *local) Start(send, receive []Message) Transfer {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range send {
		at := [2]int{l.rank, m.Peer}
		l.boxes[at] = append(l.boxes[at], slices.Clone(m.Data))
	}
	return &localTransfer{l, slices.Clone(receive)}
}

type localTransfer struct {
	l       *local
	missing []Message
}

// Done fetches what there is. Of several transfers the one that was begun first is asked first.
func (t *localTransfer) Done() (bool, error) {
	t.l.mu.Lock()
	defer t.l.mu.Unlock()
	for len(t.missing) > 0 {
		m := t.missing[0]
		at := [2]int{m.Peer, t.l.rank}
		box := t.l.boxes[at]
		if len(box) == 0 {
			return false, nil
		}
		if len(box[0]) != len(m.Data) {
			return false, fmt.Errorf("process %d has sent %d bytes, where %d are expected", m.Peer, len(box[0]),
				len(m.Data))
		}
		copy(m.Data, box[0])
		t.l.boxes[at] = box[1:]
		t.missing = t.missing[1:]
	}
	return true, nil
}

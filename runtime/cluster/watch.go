package cluster

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A process that has died sends nothing, and those that wait for it would wait for good. So each process has a
// connection to process 0 over TCP, beside the link: it breaks when one of the two ends dies, and on it each says every
// half a second that it is there, which one that is stopped does not. Process 0 tells the others who is gone.

// The times of the watch.
const (
	beat     = 500 * time.Millisecond
	reach    = 10 * time.Second       // in which the processes must have found each other
	gathered = 30 * time.Millisecond  // a launcher ends all that are left soon after a death
	unheard  = 500 * time.Millisecond // after which a process that does not notice its end is ended
)

// silence is for how long a process may be silent before it counts as gone. Tests shorten it: a watch keeps what it was
// when it began.
var silence = 6 * time.Second

// farewell is for how long others wait until a process that ends has told the user why, or all have been told to end.
// Tests lengthen it; a watch keeps it as well.
var farewell = 3 * time.Second

// watch is the connections of a process: those to all others of process 0, the one to process 0 of others.
type watch struct {
	g       *Group
	listen  net.Listener
	token   []byte
	silence time.Duration // for how long a process may be silent
	wait    time.Duration // see farewell
	peers   []*peer       // by rank; nil where there is no connection
	end     atomic.Pointer[func(err error, told bool)]

	mu     sync.Mutex
	faults []fault // that have come up
	judged bool    // what ends the group has been decided
	told   chan struct{}
	ended  chan struct{} // closed where process 0 is gone
}

// peer is a process at the other end of a connection.
type peer struct {
	rank    int
	conn    net.Conn
	silence time.Duration // for how long it may be silent
	out     sync.Mutex
	mu      sync.Mutex
	last    time.Time // when it was heard of
	left    bool      // in good order
}

// fault is what a process is to blame for.
type fault struct {
	rank int
	text string
}

// Kinds of messages of the watch: a byte, the length of a text in four bytes, and the text.
const (
	saysHere    = 'h'
	saysFailed  = 'f' // with what happened
	saysVerdict = 'v' // with what ends the group
	saysLeaving = 'l'
)

// hello is what processes tell each other at first.
type hello struct {
	Member
	Addresses []string // of process 0
	Token     []byte   // by which it knows the others
}

// newWatch begins to listen in process 0.
func newWatch(g *Group, watched bool) (*watch, hello) {
	w := &watch{g: g, peers: make([]*peer, g.Size()), told: make(chan struct{}), ended: make(chan struct{}),
		silence: silence, wait: farewell}
	var h hello
	if !watched || g.Rank() != 0 {
		return w, h
	}
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		return w, h // the others find no address, and begin says so
	}
	w.listen, w.token = l, make([]byte, 16)
	rand.Read(w.token)
	h.Token = w.token
	_, port, _ := net.SplitHostPort(l.Addr().String())
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() {
			h.Addresses = append(h.Addresses, net.JoinHostPort(ip.IP.String(), port))
		}
	}
	return w, h
}

// begin connects the processes. All of them call it.
func (w *watch) begin(all []hello) error {
	var problem string
	if w.g.Rank() == 0 {
		problem = w.accept()
	} else {
		problem = w.dial(all[0])
	}
	problems, err := gather(w.g, problem)
	if err != nil {
		return err
	}
	for rank, p := range problems {
		if p != "" && (rank > 0 || w.g.Size() == 1) {
			return fmt.Errorf("%s can't reach process 0 on %s over TCP, by which each learns that the other is gone: %s; "+
				"let the machines connect to each other", w.g.name(rank), all[0].Host, p)
		}
	}
	if problems[0] != "" {
		return fmt.Errorf("process 0 on %s can't be reached over TCP: %s", all[0].Host, problems[0])
	}
	for _, p := range w.peers {
		if p != nil {
			p.last = time.Now()
			go w.read(p)
		}
	}
	go w.look()
	return nil
}

// accept waits for the others in process 0.
func (w *watch) accept() (problem string) {
	if w.listen == nil {
		return "it can't listen"
	}
	defer w.listen.Close()
	limit := time.Now().Add(reach)
	w.listen.(*net.TCPListener).SetDeadline(limit)
	for missing := w.g.Size() - 1; missing > 0; {
		c, err := w.listen.Accept()
		if err != nil {
			return fmt.Sprintf("%d of the others did not connect within %v", missing, reach)
		}
		var first [20]byte
		c.SetDeadline(limit)
		if _, err := io.ReadFull(c, first[:]); err != nil || !bytes.Equal(first[:16], w.token) {
			c.Close() // somebody else
			continue
		}
		rank := int(binary.LittleEndian.Uint32(first[16:]))
		if rank < 1 || rank >= len(w.peers) || w.peers[rank] != nil {
			c.Close()
			continue
		}
		if _, err := c.Write(w.token[:1]); err != nil {
			c.Close()
			continue
		}
		c.SetDeadline(time.Time{})
		w.peers[rank] = &peer{rank: rank, conn: c, silence: w.silence}
		missing--
	}
	return ""
}

// dial connects another process with process 0, over the address that answers first.
func (w *watch) dial(to hello) (problem string) {
	if len(to.Addresses) == 0 {
		return "it has no address"
	}
	addresses := slices.Clone(to.Addresses)
	here := w.g.members[w.g.Rank()].Host == to.Host
	slices.SortStableFunc(addresses, func(a, b string) int { // those of one machine last, unless it is this one
		la, lb := loops(a), loops(b)
		if la == lb {
			return 0
		}
		if la == here {
			return -1
		}
		return 1
	})
	var why []string
	for _, a := range addresses {
		if loops(a) && !here {
			continue
		}
		c, err := net.DialTimeout("tcp", a, reach/4)
		if err != nil {
			why = append(why, err.Error())
			continue
		}
		first := binary.LittleEndian.AppendUint32(slices.Clone(to.Token), uint32(w.g.Rank()))
		c.SetDeadline(time.Now().Add(reach / 4))
		var answer [1]byte
		if _, err = c.Write(first); err == nil {
			_, err = io.ReadFull(c, answer[:])
		}
		if err != nil || answer[0] != to.Token[0] {
			c.Close()
			why = append(why, a+" is another program")
			continue
		}
		c.SetDeadline(time.Time{})
		w.peers[0] = &peer{rank: 0, conn: c, silence: w.silence}
		return ""
	}
	return strings.Join(why, "; ")
}

// loops reports whether an address is one of the machine for itself.
func loops(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// say sends a message.
func (p *peer) say(what byte, text string) error {
	p.out.Lock()
	defer p.out.Unlock()
	m := binary.LittleEndian.AppendUint32([]byte{what}, uint32(len(text)))
	p.conn.SetWriteDeadline(time.Now().Add(p.silence))
	_, err := p.conn.Write(append(m, text...))
	return err
}

// maxText bounds what is read of a text.
const maxText = 1 << 20

// read reads what a process says until it leaves or is gone.
func (w *watch) read(p *peer) {
	if p.rank == 0 {
		defer close(w.ended)
	}
	r := bufio.NewReader(p.conn)
	for {
		var head [5]byte
		_, err := io.ReadFull(r, head[:])
		var text []byte
		if n := binary.LittleEndian.Uint32(head[1:]); err == nil && n > 0 {
			if n > maxText {
				err = errors.New("a text that is too long")
			} else {
				text = make([]byte, n)
				_, err = io.ReadFull(r, text)
			}
		}
		p.mu.Lock()
		p.last = time.Now()
		left := p.left || err == nil && head[0] == saysLeaving
		p.left = left
		p.mu.Unlock()
		switch {
		case left:
			return
		case err != nil:
			w.blame(fault{p.rank, "has died"})
			return
		case head[0] == saysFailed:
			w.blame(fault{p.rank, "ends: " + string(text)})
			return
		case head[0] == saysVerdict:
			go w.decide(&Lost{text: string(text), told: true})
			io.Copy(io.Discard, r) // until process 0 has ended
			return
		}
	}
}

// look says every now and then that this process is there, and notices who has been silent for too long. Where this
// process was stopped itself, the others have more time.
func (w *watch) look() {
	for was := time.Now(); !w.g.closed.Load() && w.g.lost.Load() == nil; {
		time.Sleep(beat)
		now := time.Now()
		late := now.Sub(was) - beat
		was = now
		for _, p := range w.peers {
			if p == nil {
				continue
			}
			p.mu.Lock()
			if late > beat {
				p.last = p.last.Add(late)
			}
			quiet, left := now.Sub(p.last), p.left
			p.mu.Unlock()
			if left {
				continue
			}
			if quiet > p.silence {
				w.blame(fault{p.rank, fmt.Sprintf("does not answer: it or its machine has stopped for %d seconds",
					int(quiet.Seconds()))})
			}
			go p.say(saysHere, "") // which may wait for a process that does not read
		}
	}
}

// blame takes note of a fault. What ends the group is decided a moment later, when others that have the same fault have
// said so too.
func (w *watch) blame(f fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.judged || w.g.closed.Load() {
		return
	}
	if slices.ContainsFunc(w.faults, func(x fault) bool { return x.rank == f.rank }) {
		return
	}
	if w.faults = append(w.faults, f); len(w.faults) == 1 {
		time.AfterFunc(gathered, w.judge)
	}
}

// judge decides what ends the group.
func (w *watch) judge() {
	w.mu.Lock()
	faults := slices.Clone(w.faults)
	w.mu.Unlock()
	// Process 0 tells the others. Where that is gone each decides for itself, and process 1 speaks to the user.
	w.decide(&Lost{text: w.text(faults), told: w.g.Rank() > 1})
}

// text says which processes are to blame for what.
func (w *watch) text(faults []fault) string {
	slices.SortFunc(faults, func(a, b fault) int { return a.rank - b.rank })
	byText := map[string][]int{}
	var texts []string
	for _, f := range faults {
		if byText[f.text] == nil {
			texts = append(texts, f.text)
		}
		byText[f.text] = append(byText[f.text], f.rank)
	}
	var all []string
	for _, t := range texts {
		ranks := byText[t]
		if len(ranks) > 1 {
			t = strings.NewReplacer("has died", "have died", "ends: ", "end: ",
				"does not answer: it or its machine has", "do not answer: they or their machines have").Replace(t)
		}
		all = append(all, w.g.name(ranks...)+" "+t)
	}
	return strings.Join(all, "; ")
}

// decide ends the group, once.
func (w *watch) decide(l *Lost) {
	w.mu.Lock()
	done := w.judged
	w.judged = true
	w.mu.Unlock()
	if done {
		return
	}
	w.g.lost.Store(l)
	if w.g.Rank() == 0 {
		w.tell(l.text)
	}
	close(w.told)
	time.Sleep(unheard)
	if l.told {
		w.untilTold()
	}
	if end := w.end.Load(); end != nil && !w.g.closed.Load() {
		(*end)(l, l.told)
	}
}

// tell tells all others what ends the group.
func (w *watch) tell(text string) {
	var wait sync.WaitGroup
	for _, p := range w.peers {
		if p != nil {
			wait.Go(func() { p.say(saysVerdict, text) })
		}
	}
	done := make(chan struct{})
	go func() { wait.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(gathered): // some do not read any more
	}
}

// fail tells the others of an error of this process, and reports whether another process tells the user.
func (w *watch) fail(err error) (told bool) {
	if w == nil {
		return false
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if w.g.Rank() == 0 {
		w.mu.Lock()
		done := w.judged
		w.judged = true
		w.mu.Unlock()
		if !done {
			w.tell("process 0 ends: " + text)
		}
		return false
	}
	p := w.peers[0]
	if p.say(saysFailed, text) != nil {
		return false // process 0 is gone
	}
	w.untilTold()
	return true
}

// untilTold waits until process 0 has ended, which tells the user what happened: a launcher ends it soon after it has
// seen the first process end with an error.
func (w *watch) untilTold() {
	if w == nil {
		return
	}
	select {
	case <-w.ended:
	case <-time.After(w.wait):
	}
}

// leave says that this process ends in good order.
func (w *watch) leave() {
	if w == nil {
		return
	}
	for _, p := range w.peers {
		if p != nil {
			p.mu.Lock()
			p.left = true
			p.mu.Unlock()
			p.say(saysLeaving, "")
		}
	}
}

// explain gives what ends the group, where a link fails: who is gone, if that turns out in a moment, or what the link
// says.
func (w *watch) explain(err error) error {
	if w == nil {
		return err
	}
	for begin := time.Now(); time.Since(begin) < time.Second; time.Sleep(10 * time.Millisecond) {
		if l := w.g.lost.Load(); l != nil {
			return l
		}
	}
	return errors.New("process " + strconv.Itoa(w.g.Rank()) + " can't go on: " + err.Error())
}

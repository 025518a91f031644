// Package cluster lets several processes train one model: it carries what they tell each other, adds up their gradients
// in the fixed tree of the shards, and notices when one of them is gone.
//
// It must know nothing of models, nor of what carries the messages: that is a [Link]. Package mpi is one, over Open
// MPI; [Local] links goroutines of one process, for tests. A program that is to run under mpirun imports package mpi
// for its effect, and [Join] finds it.
//
// What processes do together they all do in the same order: every method of a [Group] that says so is called by all of
// them.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Link carries messages between the processes of a group. Its methods are called by one goroutine at a time.
type Link interface {
	Rank() int // of this process, from 0
	Size() int // of the group
	// Start begins to send and to receive messages, each with one other process. Messages from one process to another
	// arrive in the order in which they were begun. Their bytes belong to the link until the transfer is done.
	Start(send, receive []Message) Transfer
	// Close ends the link, when nothing is under way any more. All processes call it.
	Close() error
}

// Message is bytes for another process, or space for those that come from one. Both sides know how many there are.
type Message struct {
	Peer int
	Data []byte
}

// Transfer is messages on their way.
type Transfer interface {
	// Done reports whether all messages have been sent and received. It does not wait.
	Done() (bool, error)
}

// Group is the processes that train one model. The nil Group is a process alone.
type Group struct {
	link    Link
	members []Member
	watch   *watch
	lost    atomic.Pointer[Lost] // what has ended the group
	closed  atomic.Bool
	left    sync.Once

	// Messages and Bytes are how many this process has sent, Waited the time that it has spent on what processes do
	// together while it did nothing else.
	Messages, Bytes int
	Waited          time.Duration
}

// Member is what is known of a process.
type Member struct {
	Host string
	PID  int
}

// Rank is the number of this process, from 0.
func (g *Group) Rank() int {
	if g == nil {
		return 0
	}
	return g.link.Rank()
}

// Size is the number of processes.
func (g *Group) Size() int {
	if g == nil {
		return 1
	}
	return g.link.Size()
}

// Leads reports whether this process is the one that writes files and speaks to the user.
func (g *Group) Leads() bool { return g.Rank() == 0 }

// Neighbours is the number of processes on the machine of this one, itself included.
func (g *Group) Neighbours() int {
	if g == nil {
		return 1
	}
	n := 0
	for _, m := range g.members {
		if m.Host == g.members[g.Rank()].Host {
			n++
		}
	}
	return n
}

// Hosts is the number of machines.
func (g *Group) Hosts() int {
	if g == nil {
		return 1
	}
	hosts := map[string]bool{}
	for _, m := range g.members {
		hosts[m.Host] = true
	}
	return len(hosts)
}

// connect is what links processes, where a package has registered itself; see [Register].
var connect func() (Link, error)

// Register says how a process is linked to the others that a launcher has started together with it. A package that can
// do so calls it when it is initialized.
func Register(join func() (Link, error)) { connect = join }

// launchers are the variables by which launchers tell a process that it is one of several, and how many they are.
var launchers = []struct{ rank, size, name string }{
	{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "mpirun of Open MPI"},
	{"PMI_RANK", "PMI_SIZE", "a launcher that speaks PMI"},
	{"PMIX_RANK", "", "a launcher that speaks PMIx"},
}

// launched gives the name of what has started this process as one of several; empty where nothing has.
func launched() string {
	for _, l := range launchers {
		if _, ok := os.LookupEnv(l.rank); !ok {
			continue
		}
		if n, err := strconv.Atoi(os.Getenv(l.size)); l.size != "" && (err != nil || n < 2) {
			return "" // one process alone needs no link
		}
		return l.name
	}
	return ""
}

// Hushed reports whether this process, which has failed before it has joined the others, is to keep silent: where all
// fail alike one line is enough. Those but the first wait for a moment in which the launcher ends them, as it does when
// the first has ended, and which ends ctx.
func Hushed(ctx context.Context) bool {
	first := true
	for _, l := range launchers {
		if rank, ok := os.LookupEnv(l.rank); ok {
			first = rank == "0"
			break
		}
	}
	if first || launched() == "" {
		return false
	}
	select {
	case <-ctx.Done():
		return true
	case <-time.After(farewell):
		return false
	}
}

// ErrNoLink says that a program was started as several processes that cannot be linked.
var ErrNoLink = errors.New("does not link processes: add import _ \"github.com/gradsmith/gradsmith/runtime/mpi\" to its " +
	"main.go, and build it anew")

// Join makes a group of the processes that a launcher has started together with this one; nil where this process was
// started alone, and then nothing else is done. All processes call it, first of all.
func Join() (*Group, error) {
	by := launched()
	if by == "" {
		return nil, nil
	}
	if connect == nil {
		return nil, fmt.Errorf("the program was started by %s, and %w", by, ErrNoLink)
	}
	l, err := connect()
	if err != nil {
		return nil, fmt.Errorf("the program was started by %s: %w", by, err)
	}
	if l.Size() == 1 {
		return nil, l.Close()
	}
	return New(l, true)
}

// New makes a group of the processes of a link. With watched each is told when another is gone. All processes call it.
func New(l Link, watched bool) (*Group, error) {
	g := &Group{link: l, members: make([]Member, l.Size())}
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	w, mine := newWatch(g, watched)
	mine.Member = Member{Host: host, PID: os.Getpid()}
	all, err := gather(g, mine)
	if err != nil {
		return nil, err
	}
	for i, x := range all {
		g.members[i] = x.Member
	}
	if watched {
		if err := w.begin(all); err != nil {
			return nil, err
		}
		g.watch = w
	}
	return g, nil
}

// Lost says that the processes cannot go on, and which one is to blame. A group that is lost stays so.
type Lost struct {
	text string
	told bool // another process says so to the user
}

func (l *Lost) Error() string { return l.text }

// Err is what has ended the group; nil while it can go on.
func (g *Group) Err() error {
	if g == nil {
		return nil
	}
	if l := g.lost.Load(); l != nil {
		return l
	}
	return nil
}

// ErrTold is the error of a process that has nothing to say, as another one tells the user what happened.
var ErrTold = errors.New("the group of processes has ended, and another one says why")

// Fail ends the group because of an error of this process, where it is not that of the group, and gives the error that
// this process ends with: [ErrTold] where another one tells the user. It waits for a moment until that has been told.
func (g *Group) Fail(err error) error {
	if g == nil || err == nil {
		return err
	}
	g.closed.Store(true) // nobody needs to be woken
	if l := (*Lost)(nil); errors.As(err, &l) {
		if l.told {
			g.watch.untilTold()
			return ErrTold
		}
		if g.watch != nil {
			<-g.watch.told // or the others would take the end of this process for a death
		}
		return err
	}
	if g.watch.fail(err) {
		return ErrTold
	}
	return err
}

// OnLost has end called when the group has been lost and this process has not noticed for half a second, as it may be
// in the middle of a long computation; told is true where another process tells the user. A launcher ends processes
// about a second after one of them has died.
func (g *Group) OnLost(end func(err error, told bool)) {
	if g != nil && g.watch != nil {
		g.watch.end.Store(&end)
	}
}

// Close ends the group in good order. All processes call it when they have done their work; it returns when all have.
func (g *Group) Close() (err error) {
	if g == nil {
		return nil
	}
	g.left.Do(func() {
		if err = g.Barrier(); err != nil {
			return
		}
		g.closed.Store(true)
		g.watch.leave()
		err = g.link.Close()
	})
	return err
}

// name is how a message speaks of some processes.
func (g *Group) name(ranks ...int) string {
	if len(ranks) == 1 {
		m := g.members[ranks[0]]
		return fmt.Sprintf("process %d of %d (number %d on %s)", ranks[0], g.Size(), m.PID, m.Host)
	}
	return fmt.Sprintf("processes %s of %d", list(ranks), g.Size())
}

// list is numbers as one says them.
func list(ranks []int) string {
	s := ""
	for i, r := range ranks {
		switch {
		case i == len(ranks)-1 && i > 0:
			s += " and "
		case i > 0:
			s += ", "
		}
		s += strconv.Itoa(r)
	}
	return s
}

// How a process waits for messages: at first it asks again and again, later less and less often, so that it leaves the
// processor to what it waits for. Where it computes meanwhile it does not ask again and again.
const (
	askFor    = 100 * time.Microsecond
	waitLeast = 20 * time.Microsecond
	waitMost  = time.Millisecond
)

// patience is how a process waits for something. Its zero value begins to wait.
type patience struct {
	since time.Time
	next  time.Duration
}

// pause waits for a while; busy says that the processor has something else to do.
func (p *patience) pause(busy bool) {
	if p.next == 0 {
		p.since, p.next = time.Now(), waitLeast
	}
	if !busy && time.Since(p.since) < askFor {
		runtime.Gosched()
		return
	}
	time.Sleep(p.next)
	p.next = min(p.next+p.next/4, waitMost)
}

// run sends and receives messages, and returns when all of them are there.
func (g *Group) run(send, receive []Message) error {
	return g.wait(g.start(send, receive))
}

// most is how many bytes go in one message at the most: links count them in 32 bits.
const most = 1 << 28

// start begins to send and to receive messages.
func (g *Group) start(send, receive []Message) Transfer {
	send, receive = cut(send), cut(receive)
	g.Messages += len(send)
	for _, m := range send {
		g.Bytes += len(m.Data)
	}
	return g.link.Start(send, receive)
}

// cut leaves out messages of nothing, and cuts those that are too large.
func cut(all []Message) []Message {
	fits := true
	for _, m := range all {
		fits = fits && len(m.Data) > 0 && len(m.Data) <= most
	}
	if fits {
		return all
	}
	var cut []Message
	for _, m := range all {
		for at := 0; at < len(m.Data); at += most {
			cut = append(cut, Message{m.Peer, m.Data[at:min(at+most, len(m.Data))]})
		}
	}
	return cut
}

// ask reports whether a transfer is done. Its error is that of a group which is lost.
func (g *Group) ask(t Transfer) (bool, error) {
	done, err := t.Done()
	if l := g.lost.Load(); l != nil {
		return false, l
	}
	if err != nil {
		return false, g.watch.explain(err)
	}
	return done, nil
}

// wait returns when a transfer is done, or the group is lost.
func (g *Group) wait(t Transfer) error {
	begin := time.Now()
	defer func() { g.Waited += time.Since(begin) }()
	for p := (patience{}); ; p.pause(false) {
		if done, err := g.ask(t); done || err != nil {
			return err
		}
	}
}

// Command scaling measures training steps on one and on two processes of this machine, calibrates a model of what the
// processes tell each other by that, and foretells steps on up to 64 machines at 10 and 100 Gbit/s.
//
//	cd bench && go build -o ../demo/scaling ./scaling && ../demo/scaling
//
// Needs Open MPI, and a machine that does nothing else: both processes have one thread, and a processor each.
//
// # The model
//
// Each machine computes one shard of the size that the model has memory for, so that a batch grows with the machines
// (weak scaling). A step on N machines takes
//
//	T(N) = C + U/N + σ·√(2 ln N) + E + S + X
//
// C is the time of a shard's gradient and U that of the update: both follow from steps of one process on one shard and
// on two, T₁ = C + U and T₂ = 2C + U + V, where V is what one process spends on adding two shards. σ is the deviation
// of T₁; the slowest of N machines is about σ·√(2 ln N) behind. U becomes U/N, as each machine updates a part.
//
// S is the time of the messages that spread what comes of the update: N−1 for each stretch of the gradient
// (cluster.Divide), with (N−1)/N of its bytes in each direction. Adding up the gradient takes as many messages and
// bytes, and then (N−1)/N of the gradient are added at the speed that was measured. That begins while the gradient is
// computed: stretch by stretch, as soon as one is complete and the one behind it has been added up. E is what of it is
// left when all of the gradient has been computed. When that is for each stretch was measured too: it is how long
// before the end of the gradient it was said to be complete, in steps of one process. X is ⌈log₂ N⌉ rounds of a few
// bytes for each of the small exchanges.
//
// On this machine messages are copied by the processors that compute, and nothing is hidden: E is all of it. The
// columns say what a step of two processes takes where gradients are sent at the end, and where they are sent
// meanwhile. What the latter gains is also measured over networks that take the processors nothing: two trainings in
// one process, whose messages arrive no sooner than those of a network would.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gradsmith/gradsmith/generated/gptbaby"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/runtime/cluster"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	_ "github.com/gradsmith/gradsmith/runtime/mpi"
	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/schedule"
)

var programs = map[string]model.Program{"lstm": lstm.Program(), "gptbaby": gptbaby.Program()}

var (
	models  = flag.String("models", "", "`NAMES` of models to measure, with commas; all of the program by default")
	seconds = flag.Float64("seconds", 10, "`TIME` of each measurement of steps")
	rounds  = flag.Int("rounds", 3, "`NUMBER` of measurements, in turns, of which the median counts")
	latency = flag.Float64("latency", 30, "`MICROSECONDS` that a message takes at 10 Gbit/s beside its bytes; a third of "+
		"it at 100 Gbit/s")
	usable = flag.Float64("usable", 0.9, "`SHARE` of a network's bits that a message can use")
	worker = flag.String("worker", "", "`JOB` of a process that another one has started: a model, or \"link\"")
	shards = flag.Int("shards", 1, "`NUMBER` of shards in the batch of a worker")
	gbits  = flag.Float64("gbits", 0, "in a worker, two trainings in one process, over a network of so many `GBIT/S`")
)

// measured is what a worker has found.
type measured struct {
	Step, Deviation float64 // seconds
	Late            float64 // seconds of a step in which gradients are sent when all of them have been computed
	Waited          float64 // seconds of a step in which a process does nothing but wait for others
	WaitedLate      float64 // the same of a step as Late is of
	Messages, Bytes float64 // that a process sends in a step
	Params          int
	Grads           int // bytes
	Ready           []moment
	// of the job "link": seconds in which each of two processes has a byte of the other; bytes and numbers a second
	Latency, Bandwidth, Adding float64
}

// moment says that the gradients of parameters from number From on were complete Left seconds before all were, from the
// last parameters to the first.
type moment struct {
	From int
	Left float64
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("scaling: ")
	flag.Parse()
	var err error
	if *worker != "" {
		err = work()
	} else {
		err = report()
	}
	if err != nil {
		log.Fatal(err)
	}
}

// work is a process that measures. Process 0 prints what it has found.
func work() error {
	parallel.SetThreads(1)
	if *gbits > 0 {
		m, err := emulated(programs[*worker])
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(m)
	}
	g, err := cluster.Join()
	if err != nil {
		return err
	}
	m, err := job(g)
	if err != nil {
		return g.Fail(err)
	}
	if g.Leads() {
		if err := json.NewEncoder(os.Stdout).Encode(m); err != nil {
			return g.Fail(err)
		}
	}
	return g.Close()
}

func job(g *cluster.Group) (*measured, error) {
	if *worker == "link" {
		return links(g)
	}
	p, ok := programs[*worker]
	if !ok {
		return nil, fmt.Errorf("there is no model %q", *worker)
	}
	return steps(g, p)
}

// scheduled is a model that shows its steps.
type scheduled interface{ Training() *schedule.Training }

// steps times training steps on a batch that fills each shard. Of several processes every second step sends gradients
// when all of them have been computed, so that both kinds meet with the same machine.
func steps(g *cluster.Group, p model.Program) (*measured, error) {
	m := p.New(1)
	t := m.(scheduled).Training()
	if err := t.Divide(*shards); err != nil {
		return nil, err
	}
	if err := t.Share(g); err != nil {
		return nil, err
	}
	ready := map[int]float64{} // sums of what is left, by parameter
	if *shards == 1 {
		watch(t, ready)
	}
	n := p.Info.Steps * p.Info.Batch * *shards
	b := &model.Batch{Steps: p.Info.Steps, Batch: p.Info.Batch * *shards, Tokens: make([]int32, n),
		Targets: make([]int32, n), Reset: make([]int32, n)}
	for i := range b.Tokens {
		b.Tokens[i] = int32(model.Key(1, uint64(i)) % uint64(p.Info.Vocab))
		b.Targets[i] = int32(model.Key(2, uint64(i)) % uint64(p.Info.Vocab))
	}
	step := func() error {
		_, _, err := m.TrainStep(b, 1e-5)
		return err
	}
	for range 3 { // memory and caches
		if err := step(); err != nil {
			return nil, err
		}
	}
	var times [2][]float64 // of steps that send gradients meanwhile, and of those that do so at the end
	var waited [2]time.Duration
	clear(ready)
	messages, bytes := 0, 0
	if g != nil {
		messages, bytes = g.Messages, g.Bytes
	}
	for begin := time.Now(); ; {
		kind := 0
		if t.AtEnd = g != nil && len(times[1]) < len(times[0]); t.AtEnd {
			kind = 1
		}
		before := wait(g)
		one := time.Now()
		if err := step(); err != nil {
			return nil, err
		}
		times[kind] = append(times[kind], time.Since(one).Seconds())
		waited[kind] += wait(g) - before
		over := byte(0)
		if len(times[0]) >= 5 && time.Since(begin).Seconds() > *seconds {
			over = 1
		}
		if over, err := g.Or(over); err != nil {
			return nil, err
		} else if over != 0 {
			break
		}
	}
	r := &measured{Params: p.Info.Params, Grads: 4 * len(t.Grads)}
	k, late := float64(len(times[0])), float64(len(times[1]))
	for from, left := range ready {
		r.Ready = append(r.Ready, moment{from, left / k})
	}
	slices.SortFunc(r.Ready, func(a, b moment) int { return b.From - a.From })
	r.Step, r.Deviation = middle(times[0])
	if g != nil {
		r.Late, _ = middle(times[1])
		r.Waited, r.WaitedLate = waited[0].Seconds()/k, waited[1].Seconds()/max(1, late)
		r.Messages, r.Bytes = float64(g.Messages-messages)/(k+late), float64(g.Bytes-bytes)/(k+late)
	}
	return r, nil
}

// emulated times two trainings in this process that send each other messages over a network.
func emulated(p model.Program) (*measured, error) {
	links := cluster.Local(2)
	var found [2]*measured
	var errs [2]error
	var both sync.WaitGroup
	for rank, l := range links {
		both.Go(func() {
			g, err := cluster.New(&slow{Link: l, network: networkOf(*gbits)}, false)
			if err == nil {
				found[rank], err = steps(g, p)
			}
			errs[rank] = err
		})
	}
	both.Wait()
	return found[0], errors.Join(errs[:]...)
}

// slow is a link whose messages arrive no sooner than over a network.
type slow struct {
	cluster.Link
	network
	free time.Time // when all that has been begun has arrived
}

// Start begins to send and to receive, one message after the other.
func (s *slow) Start(send, receive []cluster.Message) cluster.Transfer {
	if now := time.Now(); s.free.Before(now) {
		s.free = now
	}
	for _, m := range receive {
		s.free = s.free.Add(time.Duration(1e9 * (s.latency + float64(len(m.Data))/s.bandwidth)))
	}
	return &arriving{s.Link.Start(send, receive), s.free}
}

// arriving is messages that are there at a time.
type arriving struct {
	cluster.Transfer
	at time.Time
}

func (a *arriving) Done() (bool, error) {
	if time.Now().Before(a.at) {
		return false, nil
	}
	return a.Transfer.Done()
}

// networkOf is a network of so many Gbit/s.
func networkOf(gbits float64) network {
	x := network{fmt.Sprintf("%v Gbit/s", gbits), *latency * 1e-6, *usable * gbits * 1e9 / 8}
	if gbits >= 100 {
		x.latency /= 3
	}
	return x
}

// wait is for how long this process has waited for others.
func wait(g *cluster.Group) time.Duration {
	if g == nil {
		return 0
	}
	return g.Waited
}

// middle is the median of some times, and their deviation from it.
func middle(times []float64) (median, deviation float64) {
	if len(times) == 0 {
		return 0, 0
	}
	slices.Sort(times)
	median = times[len(times)/2]
	for _, x := range times {
		deviation += (x - median) * (x - median) / float64(len(times))
	}
	return median, math.Sqrt(deviation)
}

// watch takes note of when gradients are complete, of a model with one kind of step.
func watch(t *schedule.Training, ready map[int]float64) {
	s := t.Steps[0]
	gradients := s.Gradients
	type word struct {
		from int
		at   time.Time
	}
	var words []word
	t.Watch = func(from int) { words = append(words, word{from, time.Now()}) }
	s.Gradients = func(b *model.Batch) (float64, error) {
		words = words[:0]
		loss, err := gradients(b)
		end := time.Now()
		for _, w := range words {
			ready[w.from] += end.Sub(w.at).Seconds()
		}
		return loss, err
	}
}

// links times small and large messages between two processes, and how fast numbers are added.
func links(g *cluster.Group) (*measured, error) {
	const small, large = 2000, 64 << 20
	r := &measured{}
	x := make([]float32, large/4)
	if g.Size() > 1 {
		begin := time.Now()
		for range small {
			if err := g.Barrier(); err != nil { // a message each way, at the same time
				return nil, err
			}
		}
		r.Latency = time.Since(begin).Seconds() / small
		half := []int{0, len(x) / 2, len(x)}
		if err := g.Spread(x, cluster.Division{half}); err != nil {
			return nil, err
		}
		begin = time.Now()
		const times = 20
		for range times {
			if err := g.Spread(x, cluster.Division{half}); err != nil {
				return nil, err
			}
		}
		r.Bandwidth = times * large / 2 / time.Since(begin).Seconds()
	}
	y := make([]float32, 1<<20)
	begin := time.Now()
	n := 0
	for ; time.Since(begin) < time.Second; n++ {
		kernel.Add(x[:len(y)], x[:len(y)], y, len(y))
	}
	r.Adding = float64(n*len(y)) / time.Since(begin).Seconds()
	return r, nil
}

// ask runs a worker in some processes, each bound to a processor.
func ask(processes, shards int, job string, more ...string) (*measured, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := append([]string{self, "-worker", job, "-shards", fmt.Sprint(shards), "-seconds", fmt.Sprint(*seconds)},
		more...)
	if processes > 1 {
		args = append([]string{"mpirun", "--allow-run-as-root", "--bind-to", "core", "-np", fmt.Sprint(processes)},
			args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	m := &measured{}
	return m, json.Unmarshal(out, m)
}

// turns asks for several measurements in turns, and gives the one with the median step of each.
func turns(of ...func() (*measured, error)) ([]*measured, error) {
	all := make([][]*measured, len(of))
	for range max(1, *rounds) {
		for i, f := range of {
			m, err := f()
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], m)
		}
	}
	var medians []*measured
	for _, x := range all {
		slices.SortFunc(x, func(a, b *measured) int {
			if a.Step < b.Step {
				return -1
			}
			return 1
		})
		medians = append(medians, x[len(x)/2])
	}
	return medians, nil
}

// network is what carries messages.
type network struct {
	name      string
	latency   float64 // seconds of a message
	bandwidth float64 // bytes a second in each direction
}

// foretold is a model whose steps are foretold, with what was measured on one process.
type foretold struct {
	name                     string
	one                      *measured
	gradient, update, adding float64 // seconds: of a shard, of an update, and of adding a whole gradient to another
}

// rounds is the time of the small exchanges of a step on n machines, count of them.
func (x network) rounds(n, count int) float64 {
	return float64(count) * math.Ceil(math.Log2(float64(n))) * x.latency
}

// bytes is the time in which each of n machines sends the others what they have of some bytes.
func (x network) bytes(n int, bytes float64) float64 {
	if n == 1 {
		return 0
	}
	return float64(n-1)*x.latency + float64(n-1)/float64(n)*bytes/x.bandwidth
}

// smallExchanges are those of a training step: what shards say of their losses, the norm of the gradient and, in a
// training, whether to stop.
const smallExchanges = 3

func report() error {
	link, err := ask(2, 1, "link")
	if err != nil {
		return err
	}
	here := network{"this machine", link.Latency, link.Bandwidth}
	fmt.Printf("A message takes %.1f µs, %.2f GB/s go each way at once, %.2f·10⁹ numbers are added a second.\n\n",
		1e6*link.Latency, link.Bandwidth/1e9, link.Adding/1e9)
	var names []string
	for name := range programs {
		if *models == "" || slices.Contains(strings.Split(*models, ","), name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	networks := []network{networkOf(10), networkOf(100)}
	var all []foretold
	fmt.Println("| model | parameters | one process: 1 shard, 2 shards | two processes, 2 shards: at the end, meanwhile | " +
		"times one process | foretold | messages | MB sent a step | waiting |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	for _, name := range names {
		found, err := turns(
			func() (*measured, error) { return ask(1, 1, name) },
			func() (*measured, error) { return ask(1, 2, name) },
			func() (*measured, error) { return ask(2, 2, name) })
		if err != nil {
			return err
		}
		one, two, both := found[0], found[1], found[2]
		numbers := float64(one.Grads / 4)
		// One process copies the first gradient and adds the second to it: as much memory as adding twice.
		gradient := min(one.Step, two.Step-one.Step-2*numbers/link.Adding)
		f := foretold{name, one, gradient, one.Step - gradient, numbers / link.Adding}
		all = append(all, f)
		want := f.step(here, 2, false)
		fmt.Printf("| %s | %d | %.2f ms, %.2f ms | %.2f ms, %.2f ms | %.2f, %.2f | %.2f ms (%+.1f %%) | %.0f | %.2f | "+
			"%.2f ms, %.2f ms |\n", name, one.Params, 1e3*one.Step, 1e3*two.Step, 1e3*both.Late, 1e3*both.Step,
			two.Step/both.Late, two.Step/both.Step, 1e3*want, 100*(want/both.Late-1), both.Messages, both.Bytes/1e6,
			1e3*both.WaitedLate, 1e3*both.Waited)
	}
	fmt.Print("\nOver networks that take the processors nothing, steps of two trainings in one process:\n\n")
	fmt.Println("| model | network | at the end | meanwhile | gained | foretold at the end, meanwhile |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, f := range all {
		for _, x := range []float64{1, 10} {
			found, err := turns(func() (*measured, error) { return ask(1, 2, f.name, "-gbits", fmt.Sprint(x)) })
			if err != nil {
				return err
			}
			m := found[0]
			n := networkOf(x)
			fmt.Printf("| %s | %s | %.2f ms | %.2f ms | %.1f %% | %.2f ms, %.2f ms |\n", f.name, n.name, 1e3*m.Late,
				1e3*m.Step, 100*(m.Late/m.Step-1), 1e3*f.step(n, 2, false), 1e3*f.step(n, 2, true))
		}
	}
	for _, x := range networks {
		fmt.Printf("\nForetold at %s, %.0f µs a message:\n\n", x.name, 1e6*x.latency)
		fmt.Println("| model | machines | stretches | step | of it messages | times one machine | efficiency | sent at the end " +
			"| if all messages were hidden |")
		fmt.Println("|---|---|---|---|---|---|---|---|---|")
		for _, f := range all {
			for n := 1; n <= 64; n *= 2 {
				step, sent := f.step(x, n, true), f.sent(x, n, true)
				free := max(step-sent, sent)
				share := func(t float64) float64 { return 100 * f.one.Step / t }
				fmt.Printf("| %s | %d | %d | %.1f ms | %.1f ms | %.1f | %.0f %% | %.0f %% | %.0f %% |\n", f.name, n,
					len(cluster.Divide(f.one.Grads/4, n)), 1e3*step, 1e3*sent, float64(n)*f.one.Step/step, share(step),
					share(f.step(x, n, false)), share(free))
			}
			fmt.Printf("| %s | %s | | | | | | | |\n", f.name, f.limit(x))
		}
	}
	return nil
}

// step foretells a step on n machines, with gradients sent while they are computed or at the end.
func (f *foretold) step(x network, n int, meanwhile bool) float64 {
	late := f.one.Deviation * math.Sqrt(2*math.Log(float64(n)))
	return f.gradient + f.update/float64(n) + late + f.sent(x, n, meanwhile)
}

// sent is what of a step messages, and adding up what they bring, take beside what else is done.
func (f *foretold) sent(x network, n int, meanwhile bool) float64 {
	if n == 1 {
		return 0
	}
	division, grads := cluster.Divide(f.one.Grads/4, n), float64(f.one.Grads)
	spread, added := 0.0, 0.0
	if meanwhile {
		added = math.Inf(-1)
	}
	for k := len(division) - 1; k >= 0; k-- {
		from, to := division[k][0], division[k][n]
		bytes := x.bytes(n, float64(4*(to-from)))
		spread += bytes
		if meanwhile {
			added = max(added, -f.left(from))
		}
		added += bytes + float64(n-1)/float64(n)*f.adding*float64(4*(to-from))/grads
	}
	return max(0, added) + spread + x.rounds(n, smallExchanges)
}

// left is how long before the end of the gradient it is complete from parameter number from on; 0 where nothing is said
// of that.
func (f *foretold) left(from int) float64 {
	for _, m := range f.one.Ready { // from the last parameters to the first
		if m.From <= from {
			return m.Left
		}
	}
	return 0
}

// limit says up to how many machines a step is at least half as efficient as on one, and what takes the rest then.
func (f *foretold) limit(x network) string {
	n := 1
	for n < 1<<16 && f.one.Step/f.step(x, 2*n, true) >= 0.5 {
		n *= 2
	}
	if n == 1<<16 {
		return "half as efficient beyond 65,536"
	}
	n *= 2
	fast := x
	fast.latency = 0
	why := "the bytes of the gradient"
	if all := f.sent(x, n, true); f.sent(fast, n, true) < all/2 {
		why = "the number of messages"
	}
	return fmt.Sprintf("less than half as efficient at %d: %s", n, why)
}

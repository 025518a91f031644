// Command cores foretells how long a training step takes on 1 to 64 cores, says what keeps it from taking less, and
// compares what it foretells for two threads with what two threads measure.
//
//	make cores
//	cd bench && go run ./cores -models lstm -why 16
//
// Needs two cores that have nothing else to do.
//
// # The model
//
// A step is a sequence of calls of parallel.Run with something between them that one thread does. parallel.Record makes
// one thread run a step whose kernels are cut as for P threads, and tells of every Run how long each of its tasks took.
// The medians over some steps are what a step on P threads is made of:
//
//	T(P) = Σ between + Σ Run(P)
//
// Run(P) follows the pool: the caller asks one worker after the other, which takes ask each; a worker begins start
// after it was asked, or wake after it where it has had nothing to do for longer than workers spin; whoever is free
// takes the next task, which takes grab; the caller goes on join after the last worker has ended. All five are measured
// between two threads.
//
// What tasks take when others run beside them is not what they take alone. Of the arrays that a Run goes over, those
// parts that were last used before as many other bytes as the last cache holds come from memory, at a rate b(1) that is
// measured; the share of a Run's time that this takes grows by the factor P·b(1)/b(P). Of b(P), b(1) and b(2) are
// measured. For more cores it is assumed that they come in groups of eight with a link to memory each, as on the
// servers that this processor is a part of, and that a link carries -link GB/s.
//
// Cores also take lines from each other: a matrix that tasks have written and that each thread then reads as a whole,
// as the weights of a product, comes to P−1 caches, and when it is written again these have to give it up. Both are
// measured, for matrices that a core's own cache holds and for larger ones.
//
// Where a machine moves the cores of a virtual one apart, all of this changes from one second to the next. Before each
// round the time to ask a worker is measured anew, and a round counts only where it is what it was.
//
// What a step on P threads takes beyond its P-th part of the work is told by its reason: work that one thread does,
// tasks that are too few or too unequal, the pool's own time, memory, and what the same work takes more when it is cut
// into smaller pieces.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/gptbaby"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/gru"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/generated/transformer"
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

var programs = []model.Program{rnn.Program(), lstm.Program(), gru.Program(), gptnano.Program(), gptbaby.Program(),
	bertmini.Program(), transformer.Program(), vae.Program(), gan.Program()}

var (
	models = flag.String("models", "", "`NAMES` of models, with commas; all by default")
	rounds = flag.Int("rounds", 9, "`NUMBER` of steps of each kind, in turns, of which the medians count")
	longer = flag.Float64("seconds", 6, "`TIME` after which no further round begins, once there have been three")
	cache  = flag.Float64("cache", 32, "`MB` of the last cache")
	own    = flag.Float64("own", 1, "`MB` of a core's own cache")
	link   = flag.Float64("link", 0, "`GB/S` that eight cores have from memory together; what two have here by default")
	which  = flag.String("cores", "1,2,4,8,16,32,64", "`NUMBERS` of cores, with commas; 1 and 2 must be among them")
	why    = flag.Int("why", 0, "`CORES` for which to list the calls that take the most beyond their share of the work")
)

// cores are the numbers of them for which steps are foretold.
var cores []int

func main() {
	log.SetFlags(0)
	log.SetPrefix("cores: ")
	flag.Parse()
	for _, s := range strings.Split(*which, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 1000 {
			log.Fatalf("-cores: %q is no number of cores", s)
		}
		cores = append(cores, n)
	}
	slices.Sort(cores)
	if !slices.Equal(cores[:min(2, len(cores))], []int{1, 2}) {
		log.Fatal("-cores: want 1 and 2 among them")
	}
	debug.SetGCPercent(-1) // steps allocate nothing
	h := measureHost()
	fmt.Println(h)
	var all []*result
	for _, p := range programs {
		if *models != "" && !slices.Contains(strings.Split(*models, ","), p.Info.Name) {
			continue
		}
		r, err := measure(p, h)
		if err != nil {
			log.Fatalf("%s: %v", p.Info.Name, err)
		}
		all = append(all, r)
		runtime.GC()
	}
	report(all)
}

// batchOf fills a model's window with random tokens or numbers.
func batchOf(info *model.Info) *model.Batch {
	n := info.Steps * info.Batch
	b := &model.Batch{Steps: info.Steps, Batch: info.Batch}
	if v := info.Vector; v != nil {
		b.Steps, b.Vectors = 1, make([]float32, info.Batch*v.Width)
		kernel.Uniform(b.Vectors, 1, 0, len(b.Vectors))
		return b
	}
	tokens := func(stream uint64, n, vocab int) []int32 {
		x := make([]int32, n)
		for i := range x {
			x[i] = int32(model.Key(stream, uint64(i)) % uint64(vocab))
		}
		return x
	}
	b.Tokens, b.Targets, b.Reset = tokens(1, n, info.Vocab), tokens(2, n, info.Vocab), make([]int32, n)
	if s := info.Source; s != nil {
		b.SourceSteps = s.Steps
		b.Source = tokens(3, s.Steps*info.Batch, s.Vocab)
	}
	return b
}

// run is a call of parallel.Run in a recorded step.
type run struct {
	name    string // the kernel and who has called it
	between float64
	tasks   []float64
	memory  float64 // bytes that come from memory
	// lines that are written where others have read them, a short while ago, and longer; lines that all threads read
	// and each has written a part of
	taken   [2]float64
	fetched float64
	crossed float64 // lines of rows of which other threads have written a part
	flops   float64
}

// recording is a step cut for so many threads.
type recording struct {
	threads int
	runs    []run
	end     float64 // after the last Run
	samples [][]float64
}

// touches is a body that tells what it goes over.
type touches interface {
	Touch(f func(x []float32, whole, written bool)) float64
}

// add records a step.
func (r *recording) add(caches *lru, step func()) error {
	first := len(r.runs) == 0
	var sample []float64
	at := 0
	var mismatch error
	last := time.Now()
	parallel.Record(r.threads, func(body parallel.Body, times []time.Time) {
		sample = append(sample, times[0].Sub(last).Seconds())
		for i := range times[1:] {
			sample = append(sample, times[i+1].Sub(times[i]).Seconds())
		}
		if first {
			n := run{name: caller(body), tasks: make([]float64, len(times)-1)}
			if t, ok := body.(touches); ok {
				n.flops = t.Touch(func(x []float32, whole, written bool) { caches.use(&n, x, whole, written) })
			}
			r.runs = append(r.runs, n)
		} else if mismatch == nil && (at >= len(r.runs) || len(r.runs[at].tasks) != len(times)-1) {
			mismatch = fmt.Errorf("a step differs from the one before at call %d, %s", at, caller(body))
		}
		at++
		last = time.Now()
	}, step)
	sample = append(sample, time.Since(last).Seconds())
	if mismatch != nil {
		return mismatch
	}
	r.samples = append(r.samples, sample)
	return nil
}

// settle takes the medians, after whose sum the whole is scaled: the median of a sum of times is more than the sum of
// their medians.
func (r *recording) settle() {
	sums := make([]float64, len(r.samples))
	column := make([]float64, len(r.samples))
	at, total := 0, 0.0
	next := func() float64 {
		for i, s := range r.samples {
			column[i] = s[at]
			sums[i] += s[at]
		}
		at++
		m := middle(column)
		total += m
		return m
	}
	for i := range r.runs {
		r.runs[i].between = next()
		for k := range r.runs[i].tasks {
			r.runs[i].tasks[k] = next()
		}
	}
	r.end = next()
	scale := middle(sums) / total
	for i := range r.runs {
		r.runs[i].between *= scale
		for k := range r.runs[i].tasks {
			r.runs[i].tasks[k] *= scale
		}
	}
	r.end *= scale
	r.samples = nil
}

// caller names the kernel that has called Run, and the line that has called the kernel.
func caller(body parallel.Body) string {
	pc := make([]uintptr, 24)
	frames := runtime.CallersFrames(pc[:runtime.Callers(1, pc)])
	name := fmt.Sprintf("%T", body)
	for {
		f, more := frames.Next()
		const kernels = "github.com/gradsmith/gradsmith/runtime/kernel."
		if strings.HasPrefix(f.Function, kernels) {
			if short := f.Function[len(kernels):]; short[0] >= 'A' && short[0] <= 'Z' {
				name = short
			}
		} else if strings.Contains(f.Function, "/generated/") || strings.Contains(f.Function, "/runtime/optim") {
			return fmt.Sprintf("%s (%s:%d)", name, f.File[strings.LastIndex(f.File, "/")+1:], f.Line)
		}
		if !more {
			return name
		}
	}
}

// lru tells where pieces of memory are.
type lru struct {
	pieces map[uintptr]used
	clock  int // bytes that have been used
}

// used is when a piece was last used, whether all threads have read it since it was written, whether none has, and
// whether each has written a part of each row.
type used struct {
	at              int
	all, new, mixed bool
}

const piece, line = 4 << 10, 64

// use adds to n what of x the last cache does not have, and the lines that are written and that others have in theirs.
// What was used since then is counted as often as it was used, which is more than what is different of it.
func (l *lru) use(n *run, x []float32, whole, written bool) {
	if len(x) == 0 {
		return
	}
	from := uintptr(unsafe.Pointer(&x[0]))
	size := min(piece, 4*len(x))
	memory := 0
	for p := from / piece; p <= (from+uintptr(4*len(x))-1)/piece; p++ {
		u, ok := l.pieces[p]
		ago := float64(l.clock - u.at)
		if !ok || ago > *cache*1e6 {
			memory += size
			u = used{}
		}
		if written && u.all {
			far := 0
			if ago > *own*1e6 {
				far = 1
			}
			n.taken[far] += float64(size) / line
		}
		switch lines := float64(size) / line; {
		case written && whole:
			u.all, u.new, u.mixed = false, true, true
		case whole && u.new:
			n.fetched += lines
			u.all, u.new, u.mixed = true, false, false
		case whole:
			u.all = true
		case u.mixed:
			n.crossed += lines
			u.mixed = false
			fallthrough
		default:
			u.all, u.new = u.all && !written, u.new || written
		}
		u.at = l.clock
		l.pieces[p] = u
		l.clock += size
	}
	n.memory += float64(min(memory, 4*len(x)))
}

// result is what is known of a model.
type result struct {
	name     string
	measured [2]float64 // seconds on one thread and on two
	ratio    float64    // of what is foretold for two to what they measured, the median over rounds
	steps    []forecast // for each of cores
}

func measure(p model.Program, h *host) (*result, error) {
	m := p.New(1)
	b := batchOf(p.Info)
	var failed error
	step := func() {
		if _, _, err := m.TrainStep(b, 1e-5); err != nil && failed == nil {
			failed = err
		}
	}
	defer parallel.SetThreads(parallel.Threads())
	timed := func(threads int) float64 {
		parallel.SetThreads(threads)
		began := time.Now()
		step()
		return time.Since(began).Seconds()
	}
	for range 2 {
		timed(1)
		timed(2)
	}
	recordings := make([]*recording, len(cores))
	caches := make([]*lru, len(cores))
	for i, n := range cores {
		recordings[i], caches[i] = &recording{threads: n}, &lru{pieces: map[uintptr]used{}}
	}
	var one, two []float64
	began := time.Now()
	// A round counts where the machine is what it was from its beginning to its end.
	for round, tries := 0, 0; round < *rounds && (round < 3 || time.Since(began).Seconds() < *longer); tries++ {
		if !h.same() {
			if tries > 400 && round > 0 {
				break
			} else if tries > 400 {
				return nil, errors.New("the machine is not what it was when it was measured")
			}
			time.Sleep(50 * time.Millisecond)
			continue
		}
		for i, r := range recordings {
			if len(r.runs) == 0 { // the arrays of a step before it
				if err := (&recording{threads: r.threads}).add(caches[i], step); err != nil {
					return nil, err
				}
			}
			if err := r.add(caches[i], step); err != nil {
				return nil, err
			}
			if r.threads == 2 { // beside each other, as a machine is slow for a while
				times := max(1, int(0.02/timed(1)))
				var a, b []float64
				for range times {
					a = append(a, timed(1))
				}
				for range times {
					b = append(b, timed(2))
				}
				one, two = append(one, middle(a)), append(two, middle(b))
			}
		}
		if h.same() {
			round++
			continue
		}
		one, two = one[:round], two[:round]
		for _, r := range recordings {
			r.samples = r.samples[:round]
		}
	}
	if failed != nil {
		return nil, failed
	}
	r := &result{name: p.Info.Name, measured: [2]float64{middle(one), middle(two)}}
	for _, rec := range recordings {
		rec.settle()
	}
	base := recordings[0]
	for _, rec := range recordings {
		r.steps = append(r.steps, h.foretell(rec, base))
	}
	if *why > 0 {
		i := slices.Index(cores, *why)
		if i < 0 {
			return nil, fmt.Errorf("-why: want one of %v", cores)
		}
		explain(h, recordings[i], p.Info.Name)
	}
	return r, nil
}

// forecast is a step on some cores, in seconds, with what of it is beyond a P-th part of the work.
type forecast struct {
	cores                            int
	whole, work                      float64 // work: of all tasks and what is between, on one thread, cut as for one
	alone, tasks, pool, memory, more float64
	runs                             int
}

// foretell gives the time of a recorded step on as many cores as it is cut for; base is the same cut for one.
func (h *host) foretell(r, base *recording) forecast {
	f := forecast{cores: r.threads, work: base.sum(), runs: len(r.runs)}
	p := float64(r.threads)
	alone, shared := r.parts()
	f.whole = h.simulate(r, true, true)
	without := h.simulate(r, true, false)
	free := h.simulate(r, false, false)
	f.memory, f.pool, f.tasks = f.whole-without, without-free, free-alone-shared/p
	f.alone = alone * (1 - 1/p)
	f.more = (alone + shared - f.work) / p
	return f
}

func (r *recording) sum() float64 {
	a, b := r.parts()
	return a + b
}

// parts is what one thread does in any case, and the tasks of calls with several.
func (r *recording) parts() (alone, shared float64) {
	alone = r.end
	for _, n := range r.runs {
		alone += n.between
		for _, t := range n.tasks {
			if len(n.tasks) == 1 {
				alone += t
			} else {
				shared += t
			}
		}
	}
	return alone, shared
}

// simulate adds up a step; pool is whether the pool takes time, memory whether its rate is shared.
func (h *host) simulate(r *recording, pool, memory bool) float64 {
	now := r.end
	idle := 0.0 // for how long the workers have had nothing to do
	for i := range r.runs {
		n := &r.runs[i]
		now += n.between
		idle += n.between
		t, used := h.run(n, r.threads, idle, pool, memory)
		now += t
		if used {
			idle = 0
		} else {
			idle += t
		}
	}
	return now
}

// spins is for how long a worker that has nothing to do looks for work before it parks.
const spins = 50e-6

// run is the time of a Run on some threads, and whether workers took part.
func (h *host) run(n *run, threads int, idle float64, pool, memory bool) (float64, bool) {
	total := 0.0
	for _, t := range n.tasks {
		total += t
	}
	active := min(threads, len(n.tasks))
	if active < 2 {
		return total, false
	}
	slower := 1.0
	if memory && n.memory > 0 {
		share := min(1, n.memory/h.memory[0]/total)
		slower = 1 - share + share*max(1, float64(active)*h.memory[0]/h.rate(active))
	}
	more := 0.0
	if memory {
		more = (n.taken[0]*h.take[0] + n.taken[1]*h.take[1] + n.fetched*float64(active-1)*h.fetch +
			n.crossed*(1-1/float64(active))*h.fetch) /
			float64(len(n.tasks))
	}
	type thread struct {
		free     float64
		from, to int // its tasks
	}
	all := make([]thread, active)
	grab, join := 0.0, 0.0
	for k := range all {
		all[k].from, all[k].to = len(n.tasks)*k/active, len(n.tasks)*(k+1)/active
	}
	if pool {
		grab, join = h.grab, h.join
		start := h.start
		if idle > spins {
			start = h.wake
		}
		for k := 1; k < active; k++ {
			all[k].free = float64(k)*h.ask + start
		}
		all[0].free = float64(active-1) * h.ask
	}
	for range n.tasks {
		k := 0
		for i := range all {
			if all[i].free < all[k].free {
				k = i
			}
		}
		var task int
		if t := &all[k]; t.from < t.to {
			task = t.from
			t.from++
		} else {
			victim := k
			for all[victim].from == all[victim].to {
				victim = (victim + 1) % active
			}
			all[victim].to--
			task = all[victim].to
		}
		all[k].free += grab + n.tasks[task]*slower + more
	}
	end := all[0].free
	for _, t := range all[1:] {
		end = max(end, t.free+join)
	}
	return end, true
}

// rate is the bytes a second that so many cores have from memory.
func (h *host) rate(n int) float64 {
	switch n {
	case 1, 2:
		return h.memory[n-1]
	}
	l := h.memory[1]
	if *link > 0 {
		l = *link * 1e9
	}
	return min(float64(n)*h.memory[0], math.Ceil(float64(n)/8)*l)
}

// explain lists the calls of a step that take the most beyond their share.
func explain(h *host, r *recording, name string) {
	type loss struct {
		name                                         string
		calls, tasks                                 int
		work, alone, uneven, pool, memory, all, gaps float64
		flops, bytes                                 float64
	}
	byName := map[string]*loss{}
	idle := 0.0
	p := float64(r.threads)
	for i := range r.runs {
		n := &r.runs[i]
		l := byName[n.name]
		if l == nil {
			l = &loss{name: n.name}
			byName[n.name] = l
		}
		sum := 0.0
		for _, t := range n.tasks {
			sum += t
		}
		idle += n.between
		full, used := h.run(n, r.threads, idle, true, true)
		without, _ := h.run(n, r.threads, idle, true, false)
		free, _ := h.run(n, r.threads, idle, false, false)
		if used {
			idle = 0
		} else {
			idle += full
		}
		l.calls++
		l.flops += n.flops
		l.bytes += n.memory
		l.tasks += len(n.tasks)
		l.work += sum
		l.gaps += n.between * (1 - 1/p)
		if len(n.tasks) == 1 {
			l.alone += sum * (1 - 1/p)
		} else {
			l.uneven += free - sum/p
			l.pool += without - free
			l.memory += full - without
		}
		l.all = l.gaps + l.alone + l.uneven + l.pool + l.memory
	}
	var all []*loss
	for _, l := range byName {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *loss) int { return cmp.Compare(b.all, a.all) })
	fmt.Printf("\n%s on %d cores, µs a step beyond the %d-th part of the work:\n\n", name, r.threads, r.threads)
	fmt.Println("| kernel | calls | tasks a call | work | of peak | MB of memory | before it, alone | one task | uneven | " +
		"pool | memory |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|")
	for i, l := range all {
		if i == 60 {
			break
		}
		fmt.Printf("| %s | %d | %.1f | %.1f | %.0f %% | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f |\n", l.name, l.calls,
			float64(l.tasks)/float64(l.calls), 1e6*l.work, 100*l.flops/max(1e-9, l.work)/h.peak[0], l.bytes/1e6,
			1e6*l.gaps, 1e6*l.alone, 1e6*l.uneven, 1e6*l.pool, 1e6*l.memory)
	}
}

func report(all []*result) {
	fmt.Println()
	fmt.Println("| model | one thread | two threads | foretold for two | |")
	fmt.Println("|---|---|---|---|---|")
	for _, r := range all {
		f := r.steps[1].whole
		fmt.Printf("| %s | %.3g ms | %.3g ms, %.2f | %.3g ms, %.2f | %+.1f %% |\n", r.name, 1e3*r.measured[0],
			1e3*r.measured[1], r.measured[0]/r.measured[1], 1e3*f, r.steps[0].whole/f, 100*(f/r.measured[1]-1))
	}
	fmt.Println()
	fmt.Print("| times as fast as one core |")
	for _, n := range cores[1:] {
		fmt.Printf(" %d |", n)
	}
	fmt.Print("\n|---|", strings.Repeat("---|", len(cores)-1), "\n")
	for _, r := range all {
		fmt.Printf("| %s |", r.name)
		for _, f := range r.steps[1:] {
			fmt.Printf(" %.2f |", r.steps[0].whole/f.whole)
		}
		fmt.Println()
	}
	for _, n := range []int{2, 16, 64} {
		i := slices.Index(cores, n)
		if i < 0 {
			continue
		}
		fmt.Printf("\n| %d cores, share of the step | calls of the pool | the work itself | one thread alone | "+
			"uneven tasks | the pool | memory | smaller pieces |\n|---|---|---|---|---|---|---|---|\n", n)
		for _, r := range all {
			f := r.steps[i]
			share := func(x float64) string { return fmt.Sprintf("%.1f %%", 100*x/f.whole) }
			fmt.Printf("| %s | %d | %s | %s | %s | %s | %s | %s |\n", r.name, f.runs, share(f.work/float64(n)),
				share(f.alone), share(f.tasks), share(f.pool), share(f.memory), share(f.more))
		}
	}
}

func middle(x []float64) float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	return x[len(x)/2]
}

package asm

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
)

// A Routine is a chain of operations on elements, which becomes one function at each width: each element is loaded
// once, goes through all steps in registers, and each result is stored once.
type Routine struct {
	Name     string   // of the functions, which end in AVX2 and AVX512 as well
	Width    int      // what n mostly is, or 0 where it is large
	Pointers []string // the parameters: pointers to n elements each, before n itself
	Inputs   []int    // where the first values are loaded from, as numbers of Pointers
	Steps    []Step   // each gives one value more
}

// A Step makes a value of earlier ones, as a kernel does, or, without one, stores one that there is. Values have
// numbers: first the inputs, then those of the steps in turn, also of steps that only store.
type Step struct {
	Kernel  string // the function of package kernel
	Inputs  []int  // values
	Numbers []float32
	Store   int    // where the value goes, as a number of Pointers, or -1
	Text    string // what is computed, as a comment
}

// kernelOf are the pieces by the functions of package kernel that compute the same.
var kernelOf = func() map[string]*piece {
	m := map[string]*piece{}
	for i, p := range pieces {
		m[p.name] = &pieces[i]
	}
	m["Affine"] = m["Axpb"]
	delete(m, "Axpb")
	return m
}()

// HasPiece reports whether the kernel of that name can be a step of a routine.
func HasPiece(kernel string) bool { return kernelOf[kernel] != nil }

// WriteRoutines gives a file of assembly with the routines, under the first line header. Those that cannot be written,
// for they are too long for the registers, are left out: done tells of each.
func WriteRoutines(header string, routines []Routine) (text []byte, done []bool, err error) {
	done = make([]bool, len(routines))
	all := newFile()
	all.Context.ConstraintExpr("amd64,!purego")
	maskTable(all)
	var functions []ir.Section
	for i := range routines {
		var pair []ir.Section
		for _, wide := range []bool{true, false} {
			fn, err := all.routine(&routines[i], wide)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", routines[i].Name, err)
			}
			if fn != nil {
				pair = append(pair, fn)
			}
		}
		if done[i] = len(pair) == 2; done[i] {
			functions = append(functions, pair...)
		}
	}
	emitKonstants(all, 2)
	f, err := all.compile()
	if err != nil || len(functions) == 0 {
		return nil, done, err
	}
	f.Includes = []string{"textflag.h"}
	f.Sections = append(functions, f.Sections...)
	text, err = printer.NewGoAsm(printer.Config{Name: "avo", Argv: []string{"asm"}}).Print(f)
	if err != nil {
		return nil, nil, err
	}
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	return append([]byte(header+"\n"), rest...), done, nil
}

// plenty is more values than any machine has registers for.
const plenty = 1 << 10

// routine gives the function of r, or nil where there is no way to write it. It looks for the most vectors at a time,
// of these for the most values, and, at AVX-512, constants in registers that the registers are enough for. At AVX2
// constants are operands in memory.
func (f *file) routine(r *Routine, wide bool) (*ir.Function, error) {
	for unroll := r.unroll(); unroll > 0; unroll-- {
		first := f.try(r, wide, unroll, nil, plenty)
		konsts := first.a.common()
		for _, most := range []struct{ konsts, values int }{{32, plenty}, {18, plenty}, {12, plenty}, {6, plenty},
			{0, plenty}, {0, 20}, {0, 16}, {0, 13}, {0, 11}, {0, 10}, {0, 9}, {0, 8}, {0, 7}, {0, 6}, {0, 5}, {0, 4}} {
			if most.konsts > 0 && !wide {
				continue
			}
			b := f.try(r, wide, unroll, konsts[:min(most.konsts, len(konsts))], most.values)
			if b == nil {
				continue
			}
			if _, err := b.a.Result(); err != nil {
				return nil, err
			}
			if file, err := b.a.compile(); err == nil {
				return file.Functions()[0], nil
			}
		}
	}
	return nil, nil
}

// try emits r in a file of its own, which knows the tables of f, or returns nil when there is not enough memory.
func (f *file) try(r *Routine, wide bool, unroll int, konsts []konst, values int) *routine {
	own := newFile()
	own.konstants, own.laneMasks = f.konstants, f.laneMasks
	b := &routine{a: &asm{Context: own.Context, file: own, wide: wide, hoisted: map[konst]vector{}}, r: r,
		most: values, unroll: unroll}
	if !b.emit(konsts) {
		return nil
	}
	return b
}

// unroll is how many vectors are worked on at a time. Functions are long chains of operations that wait for each other,
// and those of a second vector fill what they wait for; of a few operations the machine begins the next itself. Narrow
// rows have no second vector.
func (r *Routine) unroll() int {
	if r.Width > 0 && r.Width < 64 {
		return 1
	}
	for _, s := range r.Steps {
		if s.Kernel != "" && kernelOf[s.Kernel].unroll < 4 {
			return 2
		}
	}
	return 1
}

// mostSlots is how many bytes of a function's stack values may take: Go's linker has no more than 800 for functions
// that do not ask for stack.
const mostSlots = 512

// loadedPointers is how many pointers stay in registers; others are loaded for each use.
const loadedPointers = 9

// routine is a Routine while it is emitted.
type routine struct {
	a        *asm // not embedded, as it has two thousand methods
	r        *Routine
	most     int // values in registers
	unroll   int // vectors at a time
	vector   int // of them, which is worked on
	pointers []reg.GPVirtual
	index, n reg.GPVirtual
	mask     []reg.Register // of the last lanes of each vector: bits, or where they lie in memory
	values   []routineValue
	step     int
	slots    []operand.Mem // memory for values
	free     []int         // of slots
	parts    []func()      // what is emitted behind the loop
}

// routineValue is a value, where it is, and which steps read it.
type routineValue struct {
	in      vector // nil when it is in no register
	pointer int    // where it can be loaded again, or -1
	slot    int    // the same of slots
	reads   []int  // steps, as far as they are not made
}

// emit emits the function, and reports whether there was enough memory for what registers do not hold.
func (b *routine) emit(konsts []konst) bool {
	r := b.r
	b.a.function(r.Name, "func("+strings.Join(r.Pointers, ", ")+" *float32, n int)")
	for i := range min(loadedPointers, len(r.Pointers)) {
		b.pointers = append(b.pointers, b.a.GP64())
		b.a.Load(b.a.Param(r.Pointers[i]), b.pointers[i])
	}
	b.index, b.n = b.a.GP64(), b.a.GP64()
	b.a.Load(b.a.Param("n"), b.n)
	for range b.unroll {
		var m reg.Register
		if b.a.wide {
			m = b.a.K()
			b.a.KXNORW(m, m, m)
		} else {
			m = b.a.GP64()
			b.a.XORQ(m, m)
		}
		b.mask = append(b.mask, m)
	}
	b.a.XORQ(b.index, b.index)
	b.a.hoist(konsts...)
	for u := range b.unroll {
		from := len(b.values)
		for _, p := range r.Inputs {
			b.values = append(b.values, routineValue{pointer: p, slot: -1})
		}
		for range r.Steps {
			b.values = append(b.values, routineValue{pointer: -1, slot: -1})
		}
		for i, s := range r.Steps {
			for _, v := range s.Inputs {
				b.values[from+v].reads = append(b.values[from+v].reads, b.unroll*i+u)
			}
		}
	}
	w := operand.Imm(uint64(b.a.lanes() * b.unroll))
	loop, last, body := b.a.label("loop"), b.a.label("last"), b.a.label("body")
	b.a.align(32)
	b.a.Label(loop)
	b.a.CMPQ(b.n, w)
	b.a.JL(operand.LabelRef(last))
	b.a.Label(body)
	for i := range r.Steps {
		for b.vector = range b.unroll {
			if b.step = b.unroll*i + b.vector; !b.make() {
				return false
			}
		}
	}
	b.a.ADDQ(w, b.index)
	b.a.SUBQ(w, b.n)
	b.a.JG(operand.LabelRef(loop))
	b.a.ret()
	if b.a.wide {
		b.a.Comment("The last elements: masks for what is loaded and stored.")
	} else {
		b.a.Comment("The last elements: whatever is loaded and stored then is so by masks, further below.")
	}
	b.a.Label(last)
	b.lastLanes()
	if !b.a.wide {
		b.a.CMPQ(b.n, w)
	}
	b.a.JMP(operand.LabelRef(body))
	for _, p := range b.parts {
		p()
	}
	return true
}

// lastLanes makes the masks of n lanes.
func (b *routine) lastLanes() {
	for u, m := range b.mask {
		n, limit := b.a.GP64(), b.a.GP64()
		b.a.MOVQ(b.n, n)
		if u > 0 {
			b.a.SUBQ(operand.U32(uint32(u*b.a.lanes())), n)
			b.a.XORQ(limit, limit)
			b.a.CMPQ(n, limit)
			b.a.CMOVQLT(limit, n)
		}
		b.a.MOVQ(operand.U32(uint32(b.a.lanes())), limit)
		b.a.CMPQ(n, limit)
		b.a.CMOVQGT(limit, n)
		if b.a.wide {
			ones := b.a.GP64()
			b.a.MOVQ(operand.I32(-1), ones)
			b.a.BZHIQ(n, ones, ones)
			b.a.KMOVW(ones.As32(), m)
			continue
		}
		b.a.LEAQ(b.a.laneMasks.Offset(32), m)
		b.a.SHLQ(operand.Imm(2), n)
		b.a.SUBQ(n, m)
	}
}

// value is where value v of the vector that is worked on stands among all.
func (b *routine) value(v int) int { return b.vector*(len(b.r.Inputs)+len(b.r.Steps)) + v }

// now is the step that is made.
func (b *routine) now() *Step { return &b.r.Steps[b.step/b.unroll] }

// make emits a step.
func (b *routine) make() bool {
	s := b.now()
	if b.vector == 0 {
		b.a.Comment(s.Text)
	}
	if s.Kernel == "" {
		if !b.room(1) {
			return false
		}
		b.store(s.Store, b.load(s.Inputs[0]))
		return b.read(s.Inputs)
	}
	if !b.room(len(s.Inputs) + 1) {
		return false
	}
	d := kernelOf[s.Kernel].emit(b.a, b)
	v := &b.values[b.value(len(b.r.Inputs)+b.step/b.unroll)]
	if s.Store >= 0 {
		b.store(s.Store, d)
		v.pointer = s.Store
	}
	v.in = d
	if len(v.reads) == 0 {
		v.in = nil
	}
	return b.read(s.Inputs)
}

// read notes that the step has read its inputs.
func (b *routine) read(inputs []int) bool {
	for _, i := range inputs {
		v := &b.values[b.value(i)]
		for len(v.reads) > 0 && v.reads[0] == b.step {
			v.reads = v.reads[1:]
		}
		if len(v.reads) == 0 {
			v.in = nil
			if v.slot >= 0 {
				b.free = append(b.free, v.slot)
				v.slot = -1
			}
		}
	}
	return true
}

// room frees registers until n more values, those that the step needs, are no more than the routine may hold. What is
// read last goes first.
func (b *routine) room(n int) bool {
	for {
		held, far := 0, -1
		for i := range b.values {
			v := &b.values[i]
			if v.in == nil || v.reads[0] == b.step {
				continue
			}
			held++
			if far < 0 || v.reads[0] > b.values[far].reads[0] {
				far = i
			}
		}
		if held == 0 || held+n <= b.most {
			return true
		}
		if !b.evict(&b.values[far]) {
			return false
		}
	}
}

// evict takes v out of its register. What came from memory, or went there, is loaded from there again.
func (b *routine) evict(v *routineValue) bool {
	if v.pointer < 0 && v.slot < 0 {
		bytes := 4 * b.a.lanes()
		switch {
		case len(b.free) > 0:
			v.slot = b.free[len(b.free)-1]
			b.free = b.free[:len(b.free)-1]
		case (len(b.slots)+1)*bytes <= mostSlots:
			v.slot = len(b.slots)
			b.slots = append(b.slots, b.a.AllocLocal(bytes))
		default:
			return false
		}
		b.a.VMOVUPS(v.in, b.slots[v.slot])
	}
	v.in = nil
	return true
}

func (b *routine) input(i int) vector { return b.load(b.now().Inputs[i]) }

func (b *routine) changed(i int) vector {
	inputs := b.now().Inputs
	x := b.load(inputs[i])
	v := &b.values[b.value(inputs[i])]
	again := v.reads[len(v.reads)-1] > b.step
	for j, other := range inputs {
		again = again || j != i && other == inputs[i]
	}
	if again {
		return b.a.own(x)
	}
	v.in = nil
	return x
}

func (b *routine) number(i int) arg {
	return konst(math.Float32bits(b.now().Numbers[i]))
}

// load is value i in a register.
func (b *routine) load(i int) vector {
	v := &b.values[b.value(i)]
	if v.in != nil {
		return v.in
	}
	v.in = b.a.vec()
	if v.slot >= 0 {
		b.a.VMOVUPS(b.slots[v.slot], v.in)
		return v.in
	}
	at, d, u := b.addr(v.pointer), v.in, b.vector
	b.part(func() { b.a.VMOVUPS(at, d) }, func() { b.a.maskedLoad(at, b.maskNow(u), d) })
	return d
}

func (b *routine) store(pointer int, v vector) {
	at, u := b.addr(pointer), b.vector
	b.part(func() { b.a.VMOVUPS(v, at) }, func() {
		if b.a.wide {
			b.a.VMOVUPS(v, b.mask[u], at)
		} else {
			b.a.VMASKMOVPS(v, b.maskNow(u), at)
		}
	})
}

func (b *routine) maskNow(u int) reg.Register {
	if b.a.wide {
		return b.mask[u]
	}
	m := b.a.vec()
	b.a.VMOVDQU(mem(b.mask[u], 0), m)
	return m
}

// part emits a load or store of a whole vector, and that of the last lanes. At AVX-512 they are the same: masks cost
// nothing. At AVX2 a masked store takes some machines ten times as long, so that it stands behind the loop: what the
// loop has found by comparing n is still in the flags.
func (b *routine) part(whole, last func()) {
	if b.a.wide {
		last()
		return
	}
	part, back := b.a.label("part"), b.a.label("back")
	b.a.JL(operand.LabelRef(part))
	whole()
	b.a.Label(back)
	b.parts = append(b.parts, func() {
		b.a.Label(part)
		last()
		b.a.JMP(operand.LabelRef(back))
	})
}

// addr is where the elements of a pointer are.
func (b *routine) addr(pointer int) operand.Mem {
	if pointer < len(b.pointers) {
		return memx(b.pointers[pointer], b.index, 4, 4*b.a.lanes()*b.vector)
	}
	p := b.a.GP64()
	b.a.Load(b.a.Param(b.r.Pointers[pointer]), p)
	return memx(p, b.index, 4, 4*b.a.lanes()*b.vector)
}

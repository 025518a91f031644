package asm

import (
	"fmt"
	"io"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// maxRowsRight is the most rows of a that are multiplied with a transposed b as it lies.
const maxRowsRight = 4

// rightGroups is how many groups of eight columns a tile has: enough sums for the latency of one not to show, and few
// enough for their registers.
func rightGroups(rows int) int {
	if rows == 1 {
		return 4
	}
	return 2
}

// emitRight emits what reads a transposed b. Vectors of eight lanes serve both levels: what limits these kernels is how
// many loads and shuffles a cycle has, and those of wider vectors are no faster.
func emitRight(ctx *file) {
	a := &asm{Context: ctx.Context, file: ctx}
	for r := 1; r <= maxRowsRight; r++ {
		a.rightTile(r)
	}
	a.packTranspose()
}

// dispatchRight writes the choice of a product with a transposed b by rows.
func dispatchRight(b io.Writer) {
	fmt.Fprint(b, "\n// runRight calls the kernel for rows rows of a and a transposed b.\n")
	fmt.Fprint(b, "func (t *tile) runRight(rows int) {\n\tswitch rows {\n")
	for r := 1; r <= maxRowsRight; r++ {
		fmt.Fprintf(b, "\tcase %d:\n\t\tgemmRight%dAVX2(t)\n", r, r)
	}
	fmt.Fprint(b, "\t}\n}\n")
}

// rowAt addresses rows at any distance from a pointer, by odd multiples of the distance between rows.
type rowAt map[int]reg.Register

// rowsAt is rowAt for n rows, at most nine, that are ld bytes apart.
func (a *asm) rowsAt(ld reg.Register, n int) rowAt {
	m := rowAt{1: ld}
	for odd := 3; odd < 9; odd += 2 {
		// 6 is twice 3.
		if n > odd || odd == 3 && n > 6 {
			r := a.GP64()
			a.LEAQ(memx(m[odd-2], ld, 2, 0), r)
			m[odd] = r
		}
	}
	return m
}

// mem is disp bytes into row r from p.
func (m rowAt) mem(p reg.Register, r, disp int) operand.Mem {
	if r == 0 {
		return mem(p, disp)
	}
	scale := 1
	for r%2 == 0 {
		r, scale = r/2, 2*scale
	}
	return memx(p, m[r], uint8(scale), disp)
}

// quad transposes four steps of eight rows from p + disp on.
func (a *asm) quad(rows rowAt, p reg.Register, disp int) []reg.VecVirtual {
	v := a.vecs(4)
	for j, x := range v {
		a.VBROADCASTF128(rows.mem(p, j, disp), x)
		a.VINSERTF128(operand.Imm(1), rows.mem(p, j+4, disp), x, x)
	}
	return a.lanes4(v)
}

// column is one step of eight rows from p on.
func (a *asm) column(rows rowAt, p reg.Register) reg.VecVirtual {
	half := func(from int) reg.VecVirtual {
		x := a.XMM()
		a.VMOVSS(rows.mem(p, from, 0), x)
		for i := 1; i < 4; i++ {
			a.VINSERTPS(operand.Imm(uint64(i<<4)), rows.mem(p, from+i, 0), x, x)
		}
		return x
	}
	lo, hi, v := half(0), half(4), a.vec()
	a.VINSERTF128(operand.Imm(1), hi, lo.AsY(), v)
	return v
}

// inSteps emits a loop over k steps, of which body does n: 16 at a time, then 4, then 1.
func (a *asm) inSteps(k reg.Register, body func(n int)) {
	last := a.label("done")
	for _, n := range []int{16, 4, 1} {
		loop, end := a.label("steps"), a.label("fewer")
		a.SUBQ(operand.Imm(uint64(n)), k)
		a.JL(operand.LabelRef(end))
		if n == 16 {
			a.align(64)
		}
		a.Label(loop)
		body(n)
		a.SUBQ(operand.Imm(uint64(n)), k)
		a.JGE(operand.LabelRef(loop))
		a.Label(end)
		a.ADDQ(operand.Imm(uint64(n)), k)
		if n > 1 {
			a.JZ(operand.LabelRef(last))
		}
	}
	a.Label(last)
}

// rightTile emits the product of rows rows of a with the rows of b, added to c: eight rows of b are a vector of columns
// of c, and four steps of them at a time are transposed in registers, so that every sum runs along k in order.
func (a *asm) rightTile(rows int) {
	a.function(fmt.Sprintf("gemmRight%d", rows), "func(t *tile)",
		fmt.Sprintf("gemmRight%d%s adds the product of %d rows and the rows of b, a multiple of 8 of them, to c,", rows,
			a.suffix(), rows),
		"see tile. It changes t.")
	load := func(off int) reg.GPVirtual {
		t, r := a.GP64(), a.GP64()
		a.Load(a.Param("t"), t)
		a.MOVQ(mem(t, off), r)
		return r
	}
	left, right := a.rowsAt(load(tileLda), rows), a.rowsAt(load(tileLdb), 8)
	for _, groups := range []int{rightGroups(rows), 1} {
		loop, end := a.label("columns"), a.label("end")
		t := a.GP64()
		a.Label(loop)
		a.Load(a.Param("t"), t)
		a.CMPQ(mem(t, tileCols), operand.Imm(uint64(8*groups)))
		a.JL(operand.LabelRef(end))
		a.rightColumns(load, left, right, rows, groups)
		t, step := a.GP64(), a.GP64()
		a.Load(a.Param("t"), t)
		a.IMUL3Q(operand.Imm(uint64(8*groups)), right[1], step)
		a.ADDQ(step, mem(t, tileB))
		a.ADDQ(operand.U32(uint32(32*groups)), mem(t, tileC))
		a.SUBQ(operand.U32(uint32(8*groups)), mem(t, tileCols))
		a.JMP(operand.LabelRef(loop))
		a.Label(end)
	}
	a.ret()
}

// rightColumns emits the product with as many groups of eight rows of b.
func (a *asm) rightColumns(load func(int) reg.GPVirtual, left, right rowAt, rows, groups int) {
	acc := make([][]reg.VecVirtual, rows)
	sums := func(f func(p reg.Register, g int, v reg.VecVirtual)) {
		pc, ldc := load(tileC), load(tileLdc)
		for r := range acc {
			for g, v := range acc[r] {
				f(pc, g, v)
			}
			if r < rows-1 {
				a.ADDQ(ldc, pc)
			}
		}
	}
	for r := range acc {
		acc[r] = a.vecs(groups)
	}
	sums(func(p reg.Register, g int, v reg.VecVirtual) { a.VMOVUPS(mem(p, 32*g), v) })
	pa := load(tileA)
	pb := []reg.GPVirtual{load(tileB)}
	for len(pb) < groups {
		p := a.GP64()
		a.LEAQ(memx(pb[len(pb)-1], right[1], 8, 0), p)
		pb = append(pb, p)
	}
	next := a.GP64()
	a.LEAQ(memx(pb[groups-1], right[1], 8, 0), next)
	x := func(r, step int) reg.VecVirtual {
		v := a.vec()
		a.VBROADCASTSS(left.mem(pa, r, 4*step), v)
		return v
	}
	four := func(step int) {
		if rows == 1 {
			// The elements of a are loaded once for all groups.
			var xs [4]reg.VecVirtual
			for i := range xs {
				xs[i] = x(0, step+i)
			}
			for g := range groups {
				for i, v := range a.quad(right, pb[g], 4*step) {
					a.VFMADD231PS(v, xs[i], acc[0][g])
				}
			}
			return
		}
		if rows == maxRowsRight {
			// There are too few registers for the steps of two groups.
			for g := range groups {
				for i, v := range a.quad(right, pb[g], 4*step) {
					for r := range acc {
						a.VFMADD231PS(v, x(r, step+i), acc[r][g])
					}
				}
			}
			return
		}
		v := make([][]reg.VecVirtual, groups)
		for g := range v {
			v[g] = a.quad(right, pb[g], 4*step)
		}
		for i := range 4 {
			for r := range acc {
				x := x(r, step+i)
				for g := range v {
					a.VFMADD231PS(v[g][i], x, acc[r][g])
				}
			}
		}
	}
	a.inSteps(load(tileK), func(n int) {
		if n == 1 {
			for g := range groups {
				v := a.column(right, pb[g])
				for r := range acc {
					a.VFMADD231PS(v, x(r, 0), acc[r][g])
				}
			}
		}
		for i := range n / 4 {
			// There are too many rows for the machine to see that they are read from end to end. What comes soon goes
			// into the first cache, the next rows, if none lies between them, into the second.
			for g, p := range pb {
				for r := 2 * i; n == 16 && r < 2*i+2; r++ {
					a.PREFETCHT0(right.mem(p, r, 128))
					a.PREFETCHT1(mem(next, 64*(8*g+r)))
				}
			}
			four(4 * i)
		}
		for _, p := range append([]reg.GPVirtual{pa}, pb...) {
			a.ADDQ(operand.Imm(uint64(4*n)), p)
		}
		if n == 16 {
			a.ADDQ(operand.U32(uint32(512*groups)), next)
		}
	})
	sums(func(p reg.Register, g int, v reg.VecVirtual) { a.VMOVUPS(v, mem(p, 32*g)) })
}

// packTranspose emits the copy of rows of b into columns of a panel: a line of each row at a time, so that rows which
// share a set of the cache do not drive each other out, and so that lines of the panel fill up one after the other.
func (a *asm) packTranspose() {
	a.function("packTranspose", "func(dst, src *float32, ld, k, groups, ahead int)",
		"packTranspose"+a.suffix()+" copies groups times 8 rows of k elements, ld bytes apart, into as many columns",
		"of a panel of 32. It fetches what lies ahead bytes behind what it reads.")
	dst, src := a.param("dst"), a.param("src")
	rows := a.rowsAt(a.param("ld"), 8)
	ahead := a.param("ahead")
	a.inSteps(a.param("k"), func(n int) {
		from, to, left, loop := a.GP64(), a.GP64(), a.GP64(), a.label("groups")
		a.MOVQ(src, from)
		a.MOVQ(dst, to)
		a.Load(a.Param("groups"), left)
		a.Label(loop)
		next := a.GP64()
		if n == 16 {
			a.LEAQ(memx(from, ahead, 1, 0), next)
		}
		if n == 1 {
			a.VMOVUPS(a.column(rows, from), mem(to, 0))
		}
		for i := range n / 4 {
			if n == 16 {
				a.PREFETCHT1(rows.mem(next, 2*i, 0))
				a.PREFETCHT1(rows.mem(next, 2*i+1, 0))
			}
			for j, v := range a.quad(rows, from, 16*i) {
				a.VMOVUPS(v, mem(to, 128*(4*i+j)))
			}
		}
		a.LEAQ(memx(from, rows[1], 8, 0), from)
		a.ADDQ(operand.Imm(32), to)
		a.DECQ(left)
		a.JNZ(operand.LabelRef(loop))
		a.ADDQ(operand.Imm(uint64(4*n)), src)
		a.ADDQ(operand.U32(uint32(128*n)), dst)
	})
	a.ret()
}

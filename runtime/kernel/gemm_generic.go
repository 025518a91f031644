package kernel

import "github.com/gradsmith/gradsmith/runtime/parallel"

// runGeneric runs the product in tasks of at most genericRows rows and genericCols columns, less where that gives too
// few tasks.
func (p *product) runGeneric() {
	p.rowBlock, p.colBlock = genericRows, genericCols
	if p.m*p.n*p.k < 1<<15 {
		p.rowBlock, p.colBlock = p.m, p.n
	} else if p.m <= genericRows {
		p.colBlock = 32
	}
	p.colBlocks = (p.n + p.colBlock - 1) / p.colBlock
	parallel.Run((p.m+p.rowBlock-1)/p.rowBlock*p.colBlocks, p)
}

// blockGeneric is the definition of a product, for the block of c with rows r0 to r1 and columns c0 to c1.
func (p *product) blockGeneric(r0, r1, c0, c1 int) {
	for r := r0; r < r1; r++ {
		p.start(p.c[r*p.ldc+c0:r*p.ldc+c1], r, c0, c1)
	}
	if p.k > 0 {
		row, step := p.lda, 1
		if p.leftT {
			row, step = 1, p.lda
		}
		g := genericProduct{c: p.c[r0*p.ldc:], a: p.a[r0*row:], b: p.b, ldc: p.ldc, row: row, step: step, ldb: p.ldb,
			right: p.right, panel: p.k * PanelCols, m: r1 - r0, k: p.k}
		g.add(c0, c1)
	}
	p.finish(r0, r1, c0, c1)
}

// start sets c, columns c0 to c1 of row r, to what the sum starts from.
func (p *product) start(c []float32, r, c0, c1 int) {
	set := p.accumulate
	add := func(x []float32) {
		if !set {
			copy(c, x)
			set = true
			return
		}
		for i, v := range x {
			c[i] += v
		}
	}
	bias, residual := p.bias, p.residual
	if residual != nil {
		residual = residual[r*p.ldr+c0 : r*p.ldr+c1]
	}
	if bias != nil {
		bias = bias[c0:c1]
	}
	if residual != nil && !set {
		// The sum of two does not depend on their order, and residual may be c.
		add(residual)
		residual = nil
	}
	if bias != nil {
		add(bias)
	}
	if residual != nil {
		add(residual)
	}
	if !set {
		clear(c)
	}
}

func axpy(c []float32, a float32, b []float32) {
	b = b[:len(c)]
	for i := range c {
		c[i] = fma(a, b[i], c[i])
	}
}

// genericProduct adds a product to c: rows of c are ldc apart; element (r, k) of a is a[r·row+k·step]; b lies as
// right says, in rows ldb or in panels that are panel elements apart.
type genericProduct struct {
	c, a, b        []float32
	ldc, row, step int
	ldb            int
	right          operand
	panel          int
	m, k           int
}

// Blocks of a product: what a task packs of a and of b stays in the second cache, and a panel of each in the first.
const (
	tileRows     = 4
	genericRows  = 128
	genericCols  = 128
	genericSteps = 256
	// From so many rows on packing pays.
	genericLeast = 4
	// A tile that cannot be added as a whole is added in pieces of so many steps.
	genericPiece = 16
)

// genericPanels are blocks of a and b in the order in which tiles read them.
type genericPanels struct {
	a          [genericRows / tileRows][genericSteps][tileRows]lane
	b          [genericCols / tileCols][genericSteps][tileCols]lane
	aLow, bLow [genericRows]panelLow
}

var genericScratches jobs[genericPanels]

// add adds columns c0 to c1 of the product.
func (g *genericProduct) add(c0, c1 int) {
	if g.m < genericLeast {
		for r := range g.m {
			g.addRow(r, c0, c1)
		}
		return
	}
	s := genericScratches.get()
	for k0 := 0; k0 < g.k; k0 += genericSteps {
		k1 := min(k0+genericSteps, g.k)
		for lo := c0; lo < c1; lo += genericCols {
			hi := min(lo+genericCols, c1)
			g.packRight(s, k0, k1, lo, hi)
			for r0 := 0; r0 < g.m; r0 += genericRows {
				r1 := min(r0+genericRows, g.m)
				if lo == c0 || g.m > genericRows {
					g.packLeft(s, k0, k1, r0, r1)
				}
				g.addTiles(s, k1-k0, r0, r1, lo, hi)
			}
		}
	}
	genericScratches.put(s)
}

// packLeft packs steps k0 to k1 of rows r0 to r1 of a; rows that are missing in the last panel are zeros.
func (g *genericProduct) packLeft(s *genericPanels, k0, k1, r0, r1 int) {
	for r := r0; r < r1; r += tileRows {
		i := (r - r0) / tileRows
		d := s.a[i][:k1-k0]
		rows, at := min(tileRows, r1-r), r*g.row+k0*g.step
		low := noLow
		if rows < tileRows {
			clear(d)
		}
		if rows == tileRows && g.row == 1 {
			for k := range d {
				v := (*[tileRows]float32)(g.a[at:])
				at += g.step
				for j, v := range v {
					low.add(v)
					d[k][j] = lane(v)
				}
			}
		} else {
			for j := range rows {
				at := at + j*g.row
				for k := range d {
					v := g.a[at]
					at += g.step
					low.add(v)
					d[k][j] = lane(v)
				}
			}
		}
		s.aLow[i] = low
	}
}

// packRight packs steps k0 to k1 of columns c0 to c1 of b; columns that are missing in the last panel are zeros.
func (g *genericProduct) packRight(s *genericPanels, k0, k1, c0, c1 int) {
	for c := c0; c < c1; {
		i := (c - c0) / tileCols
		at, step := g.right1(k0, c)
		if g.right != rightT && c+8 <= c1 && (g.right == rightN || c%8 == 0) {
			// A line of a cache has more than one panel's columns, and rows may lie where they drive each other out.
			var low [8 / tileCols]panelLow
			for j := range low {
				low[j] = noLow
			}
			d := s.b[i : i+8/tileCols]
			for k := range k1 - k0 {
				x := (*[8]float32)(g.b[at:])
				at += step
				for j := range d {
					for l := range tileCols {
						v := x[j*tileCols+l]
						low[j].add(v)
						d[j][k][l] = lane(v)
					}
				}
			}
			copy(s.bLow[i:], low[:])
			c += 8
			continue
		}
		d := s.b[i][:k1-k0]
		cols := min(tileCols, c1-c)
		if cols < tileCols {
			clear(d)
		}
		low := noLow
		for j := range cols {
			at, step := g.right1(k0, c+j)
			for k := range d {
				v := g.b[at]
				at += step
				low.add(v)
				d[k][j] = lane(v)
			}
		}
		s.bLow[i] = low
		c += tileCols
	}
}

// right1 is the index of element (k, c) of b, and the distance to the next k.
func (g *genericProduct) right1(k, c int) (at, step int) {
	switch g.right {
	case rightT:
		return c*g.ldb + k, 1
	case rightPacked:
		return c/PanelCols*g.panel + k*PanelCols + c%PanelCols, PanelCols
	}
	return k*g.ldb + c, g.ldb
}

// addTiles adds the product of the panels in s, of so many steps, to rows r0 to r1 and columns c0 to c1 of c.
func (g *genericProduct) addTiles(s *genericPanels, steps, r0, r1, c0, c1 int) {
	for r := r0; r < r1; r += tileRows {
		i := (r - r0) / tileRows
		a := s.a[i][:steps]
		rows := min(tileRows, r1-r)
		for c := c0; c < c1; c += tileCols {
			j := (c - c0) / tileCols
			cols := min(tileCols, c1-c)
			var t [tileRows][tileCols]lane
			for y := range rows {
				for x, v := range g.c[(r+y)*g.ldc+c:][:cols] {
					t[y][x] = lane(v)
				}
			}
			addTile(&t, a, s.b[j][:steps], s.aLow[i].exact(s.bLow[j]))
			for y := range rows {
				row := g.c[(r+y)*g.ldc+c:][:cols]
				for x := range row {
					row[x] = float32(t[y][x])
				}
			}
		}
	}
}

// addTile adds a·b to t; exact is whether [mulTile] may.
func addTile(t *[tileRows][tileCols]lane, a [][tileRows]lane, b [][tileCols]lane, exact bool) {
	if exact && mulTile(t, a, b) {
		return
	}
	for len(a) > 0 {
		n := min(genericPiece, len(a))
		if !exact || !mulTile(t, a[:n], b[:n]) {
			for k := range n {
				for i, x := range a[k] {
					for j, y := range b[k] {
						t[i][j] = lane(fma(float32(x), float32(y), float32(t[i][j])))
					}
				}
			}
		}
		a, b = a[n:], b[n:]
	}
}

// addRow adds columns c0 to c1 of row r of the product. Without packing, four steps or four columns at a time keep what
// they share in registers.
func (g *genericProduct) addRow(r, c0, c1 int) {
	c := g.c[r*g.ldc+c0 : r*g.ldc+c1]
	left := func(k int) float32 { return g.a[r*g.row+k*g.step] }
	if g.right == rightT {
		j := 0
		for ; j+4 <= len(c); j += 4 {
			at := (c0 + j) * g.ldb
			b0, b1 := g.b[at:][:g.k], g.b[at+g.ldb:][:g.k]
			b2, b3 := g.b[at+2*g.ldb:][:g.k], g.b[at+3*g.ldb:][:g.k]
			s0, s1, s2, s3 := c[j], c[j+1], c[j+2], c[j+3]
			for k := range g.k {
				x := left(k)
				s0, s1, s2, s3 = fma(x, b0[k], s0), fma(x, b1[k], s1), fma(x, b2[k], s2), fma(x, b3[k], s3)
			}
			c[j], c[j+1], c[j+2], c[j+3] = s0, s1, s2, s3
		}
		for ; j < len(c); j++ {
			s := c[j]
			for k, y := range g.b[(c0+j)*g.ldb:][:g.k] {
				s = fma(left(k), y, s)
			}
			c[j] = s
		}
		return
	}
	for len(c) > 0 {
		n := len(c)
		if g.right == rightPacked {
			n = min(n, PanelCols-c0%PanelCols)
		}
		at, step := g.right1(0, c0)
		k := 0
		for ; k+4 <= g.k; k += 4 {
			axpy4(c[:n], [4]float32{left(k), left(k + 1), left(k + 2), left(k + 3)}, g.b[at:], step)
			at += 4 * step
		}
		for ; k < g.k; k++ {
			axpy(c[:n], left(k), g.b[at:])
			at += step
		}
		c, c0 = c[n:], c0+n
	}
}

// axpy4 is [axpy] of four rows of b, ld apart, one after the other.
func axpy4(c []float32, a [4]float32, b []float32, ld int) {
	b0, b1, b2, b3 := b[:len(c)], b[ld:][:len(c)], b[2*ld:][:len(c)], b[3*ld:][:len(c)]
	for i, s := range c {
		c[i] = fma(a[3], b3[i], fma(a[2], b2[i], fma(a[1], b1[i], fma(a[0], b0[i], s))))
	}
}

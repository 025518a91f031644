package kernel

import "github.com/gradsmith/gradsmith/runtime/parallel"

// runGeneric runs the product in tasks of at most 64 rows and 128 columns, less where that gives too few tasks.
func (p *product) runGeneric() {
	p.rowBlock, p.colBlock = 64, 128
	if p.m*p.n*p.k < 1<<15 {
		p.rowBlock, p.colBlock = p.m, p.n
	} else if p.m <= 64 {
		p.colBlock = 32
	}
	p.colBlocks = (p.n + p.colBlock - 1) / p.colBlock
	parallel.Run((p.m+p.rowBlock-1)/p.rowBlock*p.colBlocks, p)
}

// blockGeneric is the definition of a product, for the block of c with rows r0 to r1 and columns c0 to c1.
func (p *product) blockGeneric(r0, r1, c0, c1 int) {
	for r := r0; r < r1; r++ {
		c := p.c[r*p.ldc+c0 : r*p.ldc+c1]
		p.start(c, r, c0, c1)
		switch p.right {
		case rightN:
			for k := range p.k {
				axpy(c, p.left(r, k), p.b[k*p.ldb+c0:k*p.ldb+c1])
			}
		case rightT:
			for j := range c {
				s := c[j]
				for k, v := range p.b[(c0+j)*p.ldb : (c0+j)*p.ldb+p.k] {
					s = fma(p.left(r, k), v, s)
				}
				c[j] = s
			}
		case rightPacked:
			for j := 0; j < len(c); {
				col := c0 + j
				w := min(PanelCols-col%PanelCols, len(c)-j)
				at := col/PanelCols*PanelCols*p.k + col%PanelCols
				for k := range p.k {
					axpy(c[j:j+w], p.left(r, k), p.b[at+k*PanelCols:at+k*PanelCols+w])
				}
				j += w
			}
		}
	}
	p.finish(r0, r1, c0, c1)
}

func (p *product) left(r, k int) float32 {
	if p.leftT {
		return p.a[k*p.lda+r]
	}
	return p.a[r*p.lda+k]
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

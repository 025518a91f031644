//go:build arm64 || loong64 || ppc64 || ppc64le || riscv64 || s390x

package kernel

// On these architectures the compiler makes one instruction of a product and the sum that it goes into, which rounds
// once. TestFused looks for it in what the compiler puts out.

// fma returns x·y + z rounded once. Where it is inlined and z is a product, only the conversion keeps the compiler from
// fusing that one.
func fma(x, y, z float32) float32 { return x*y + float32(z) }

// lane is what a tile of a product holds its numbers in.
type lane float32

// tileCols is the width of a tile: with 16 sums, four of b and one of a it fits 32 registers, and 16 sums keep four
// units of four cycles busy.
const tileCols = 4

// mulTile adds a·b to c, step by step, and reports true.
func mulTile(c *[tileRows][tileCols]lane, a [][tileRows]lane, b [][tileCols]lane) bool {
	c00, c01, c02, c03 := c[0][0], c[0][1], c[0][2], c[0][3]
	c10, c11, c12, c13 := c[1][0], c[1][1], c[1][2], c[1][3]
	c20, c21, c22, c23 := c[2][0], c[2][1], c[2][2], c[2][3]
	c30, c31, c32, c33 := c[3][0], c[3][1], c[3][2], c[3][3]
	b = b[:len(a)]
	for i := range a {
		x, y := &a[i], &b[i]
		y0, y1, y2, y3 := y[0], y[1], y[2], y[3]
		x0 := x[0]
		c00, c01, c02, c03 = x0*y0+c00, x0*y1+c01, x0*y2+c02, x0*y3+c03
		x1 := x[1]
		c10, c11, c12, c13 = x1*y0+c10, x1*y1+c11, x1*y2+c12, x1*y3+c13
		x2 := x[2]
		c20, c21, c22, c23 = x2*y0+c20, x2*y1+c21, x2*y2+c22, x2*y3+c23
		x3 := x[3]
		c30, c31, c32, c33 = x3*y0+c30, x3*y1+c31, x3*y2+c32, x3*y3+c33
	}
	c[0] = [...]lane{c00, c01, c02, c03}
	c[1] = [...]lane{c10, c11, c12, c13}
	c[2] = [...]lane{c20, c21, c22, c23}
	c[3] = [...]lane{c30, c31, c32, c33}
	return true
}

// panelLow is what fma_exact.go has to know of a panel; here it is nothing.
type panelLow struct{}

func (panelLow) add(float32)         {}
func (panelLow) exact(panelLow) bool { return true }

var noLow panelLow

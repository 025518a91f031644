package lstm
import ("testing";"github.com/gradsmith/gradsmith/runtime/kernel")
func benchEl(b *testing.B, f func(*kernel.Row), parts ...int) {
	const rows, n = 32, 256
	var x [][]float32
	for _, p := range parts { x = append(x, make([]float32, rows*n*p)) }
	for k := range x { for i := range x[k] { x[k][i] = float32(i%17)/8-1 } }
	for b.Loop() { kernel.EachRow(f, rows, n, x...) }
}
func BenchmarkFwdAsm(b *testing.B) { benchEl(b, lstmElements, 1,1,1,4,4,1) }
func BenchmarkFwdKer(b *testing.B) { benchEl(b, lstmElementsGeneric, 1,1,1,4,4,1) }
func BenchmarkBwdAsm(b *testing.B) { benchEl(b, lstmElementsGrad, 1,4,1,1,1,1,1,4) }
func BenchmarkBwdKer(b *testing.B) { benchEl(b, lstmElementsGradGeneric, 1,4,1,1,1,1,1,4) }

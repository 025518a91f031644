//go:build !amd64 || purego

package kernel

func (p *weightProduct) runPackedWeights() bool { return false }

func (p *weightProduct) offset() int32 { return 0 }

func (p *weightProduct) mulPanels(from, to, r0, r1 int) {
	p.mulPanelsGeneric(from, to, r0, r1)
}

func narrow(dst []uint16, x []float32)                      { narrowGeneric(dst, x) }
func widenHalves(dst []float32, x []uint16)                 { widenHalvesGeneric(dst, x) }
func widenBlocks(dst []float32, x []int8, scales []float32) { widenBlocksGeneric(dst, x, scales) }

func quantizeBlocks(dst []actBlock, x []float32, offset int32) {
	quantizeBlocksGeneric(dst, x, offset)
}

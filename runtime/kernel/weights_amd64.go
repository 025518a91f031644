//go:build amd64 && !purego

package kernel

func (p *weightProduct) runPackedWeights() bool { return false }

func (p *weightProduct) offset() int32 { return 0 }

func (p *weightProduct) mulPanels(from, to int) { p.mulPanelsGeneric(from, to) }

func quantizeBlocks(dst []actBlock, x []float32, offset int32) {
	quantizeBlocksGeneric(dst, x, offset)
}

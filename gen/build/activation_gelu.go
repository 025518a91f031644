package build

import "github.com/gradsmith/gradsmith/gen/op"

func init() {
	const (
		exact = `\operatorname{gelu}(z) = z \odot \Phi(z) = \frac{z}{2} \odot (1 + ` +
			`\operatorname{erf}(\frac{z}{\sqrt{2}}))`
		near = `\operatorname{gelu\_tanh}(z) = ` +
			`\frac{z}{2} \odot (1 + \tanh(\sqrt{\frac{2}{\pi}} \cdot (z + 0.044715 \cdot z^3)))`
	)
	activates("gelu", op.GELUErf, exact)
	activates("gelu_tanh", op.GELU, near)
	gates("geglu", op.GELUErf, `\operatorname{geglu}(a, b) = \operatorname{gelu}(a) \odot b`, exact)
	gates("geglu_tanh", op.GELU, `\operatorname{geglu\_tanh}(a, b) = \operatorname{gelu\_tanh}(a) \odot b`, near)
}

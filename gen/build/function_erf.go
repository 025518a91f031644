package build

import "github.com/gradsmith/gradsmith/gen/op"

func init() { activates("erf", op.Erf, `\operatorname{erf}(z) = 2 \cdot \Phi(\sqrt{2} \cdot z) - 1`) }

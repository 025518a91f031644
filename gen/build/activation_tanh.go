package build

import "github.com/gradsmith/gradsmith/gen/op"

func init() { activates("tanh", op.Tanh, `\tanh(z) = \frac{e^z - e^{-z}}{e^z + e^{-z}}`) }

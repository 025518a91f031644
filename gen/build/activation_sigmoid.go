package build

import "github.com/gradsmith/gradsmith/gen/op"

func init() { activates("sigmoid", op.Sigmoid, `\sigma(z) = \frac{1}{1 + e^{-z}}`) }

package build

import "github.com/gradsmith/gradsmith/gen/op"

func init() { activates("erf", op.Erf) }

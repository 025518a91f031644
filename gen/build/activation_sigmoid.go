package build

import "github.com/gradsmith/gradsmith/gen/op"

func init() { activates("sigmoid", op.Sigmoid) }

package build

import "github.com/gradsmith/gradsmith/gen/op"

func init() { activates("tanh", op.Tanh) }

package build

import "github.com/gradsmith/gradsmith/gen/op"

func init() {
	activates("exp", op.Exp)
	activates("log", op.Log)
	activates("sqrt", op.Sqrt)
	activates("softplus", op.Softplus)
}

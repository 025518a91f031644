package build

import "github.com/gradsmith/gradsmith/gen/op"

func init() {
	activates("gelu", op.GELUErf)
	activates("gelu_tanh", op.GELU)
	gates("geglu", op.GELUErf)
	gates("geglu_tanh", op.GELU)
}

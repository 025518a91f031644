package build

import "github.com/gradsmith/gradsmith/gen/op"

func init() {
	activates("exp", op.Exp, `\exp(z) = e^z`)
	activates("log", op.Log, `e^{\log(z)} = z`)
	activates("sqrt", op.Sqrt, `\operatorname{sqrt}(z) = \sqrt{z}`)
	activates("softplus", op.Softplus, `\operatorname{softplus}(z) = \log(1 + e^z)`)
}

package spec

import "path"

// Adapter says that a training leaves the parameters as they are and learns low-rank changes of matrices (Hu et al.
// 2021): a product x·W becomes x·W + (x·A)·B·Alpha/Rank.
type Adapter struct {
	Pos
	Rank    int
	Alpha   float64
	Targets []string // patterns of the names of matrices in checkpoints
}

var adapterKey = may("adapter", object("",
	need("rank", integer(1, 1<<16), "Rank of the changes: columns of A, and rows of B.").called("r"),
	may("alpha", above(0, 1e9), "twice the rank", "The changes are multiplied with alpha / rank.").called("lora_alpha"),
	may("targets", list(text(1, 200), 1, 1000), "all matrices that rows are multiplied with and that are of a higher rank",
		"Patterns of the names that the adapted matrices have in checkpoints, such as `blocks.*.wqkv`.").called(
		"target_modules")).shortFor("rank"),
	"all parameters learn",
	"Low-rank adapters: a training leaves the parameters as they are and learns changes of matrices (Hu et al. 2021). "+
		"See [finetune.md](finetune.md).").called("lora", "adapters")

// adapter fills in what the key says.
func (c *checker) adapter(v *value) *Adapter {
	if !v.given {
		return nil
	}
	a := &Adapter{Pos: v.Pos, Rank: int(v.key("rank").integer), Alpha: v.key("alpha").number}
	if !v.key("alpha").given {
		a.Alpha = float64(2 * a.Rank)
	}
	for _, x := range v.key("targets").list {
		if _, err := path.Match(x.text, ""); err != nil {
			c.errorf(x.Pos, "adapter.targets: %s is not a pattern; * stands for any letters, ? for one, [1-4] for one "+
				"of these", quote(x.text))
		}
		a.Targets = append(a.Targets, x.text)
	}
	if !v.key("targets").given {
		a.Targets = []string{"*"}
	}
	return a
}

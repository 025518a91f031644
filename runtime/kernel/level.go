package kernel

// Level returns the name of the instruction set that kernels run on: "generic", "avx2" or "avx512".
func Level() string { return levelNames[level] }

const (
	generic = iota
	avx2
	avx512
)

var levelNames = [...]string{generic: "generic", avx2: "avx2", avx512: "avx512"}

// chooseLevel is the level to run at, given the best that the machine has and the value of GRADSMITH_CPU. It returns
// the text of the error, or "".
func chooseLevel(best int, env string) (int, string) {
	if env == "" {
		return best, ""
	}
	for l, name := range levelNames {
		if name == env {
			if l > best {
				return best, "gradsmith: GRADSMITH_CPU=" + env + ": this machine or build has " + levelNames[best] + " at best"
			}
			return l, ""
		}
	}
	return best, "gradsmith: GRADSMITH_CPU=" + env + ": want generic, avx2 or avx512"
}

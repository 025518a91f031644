package spec

func init() { registerActivation(activationRecord{formulas: []string{"erf"}, word: word{name: "erf"}}) }

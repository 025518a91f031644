package spec

// Functions that only formulas have.
func init() {
	for name, also := range map[string][]string{"exp": nil, "log": {"ln"}, "sqrt": {"√"}, "softplus": nil} {
		registerActivation(activationRecord{formulas: append(also, name), word: word{name: name}})
	}
}

package constrain

// Func is the language of a function: of the texts that lead from start to a value where end holds, step being told
// byte by byte what follows and saying whether it may. Values must be comparable with ==, and step and end must give
// the same each time. What is remembered of them grows with the number of different values.
//
// Where the language is not regular, such as that of bracketed expressions, use a value that holds what is open.
func Func[S comparable](start S, step func(S, byte) (S, bool), end func(S) bool) *Language {
	return &Language{machine: function[S]{start, step, end}}
}

type function[S comparable] struct {
	first S
	next  func(S, byte) (S, bool)
	ends  func(S) bool
}

func (f function[S]) start() any                           { return f.first }
func (f function[S]) step(payload any, b byte) (any, bool) { return f.next(payload.(S), b) }
func (f function[S]) end(payload any) bool                 { return f.ends(payload.(S)) }

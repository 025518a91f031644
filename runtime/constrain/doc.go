// Package constrain says which tokens may come next, so that what a model writes is a text of a given language: one
// that a regular expression, a JSON Schema, a grammar, a list or a function of the caller's describes.
//
// A [Language] is a set of texts, as bytes. [Language.Compile] makes a [Constraint] of it for the tokens of a
// [Vocabulary]; a [State] is how far a text has come. A state is two words long, so that beams and batches copy it:
//
//	l, err := constrain.Regexp(`[0-9]{4}-[0-9]{2}`)
//	c, err := l.Compile(constrain.NewVocabulary(tok))
//	s := c.Start()
//	mask, err := s.Allowed(-1)  // the tokens after which a text of the language can still be written
//	s, err = s.Next(token)
//
// # How it works
//
// Rules become automata over bytes that call each other. A state of a text is the set of their stacks, which is kept as
// a graph that shares equal parts, so that equal states are the same one. Transitions and masks are found when they are
// first asked for, by one walk over a trie of the vocabulary, and remembered. So a token may end anywhere: within a
// character, or across the borders of rules.
//
// No mask leads into a dead end: a token is allowed where a text of the language can be finished from there with the
// tokens of the vocabulary. Told how many tokens are left, [State.Allowed] keeps to those from which the rest fits.
//
// Patterns may come from anybody: a language has at most [MostNodes] nodes, and what is remembered is bounded
// ([Constraint.SetMemory]). A grammar whose stacks would grow beyond that is an error when it happens.
//
// The package must not know how a model computes, nor how tokens are picked.
package constrain

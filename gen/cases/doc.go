// Package cases holds small specs with all that the compiler makes of them: the graphs after each stage and the
// generated package, which is compiled and tested with all others. Between them they use every layer, optimizer and
// option.
package cases

//go:generate go test . -run TestCases -update

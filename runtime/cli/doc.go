// Package cli is what the command lines of gradsmith and of generated programs have in common: progress on a terminal,
// text with escapes in flags, checks of what flags say, and help for those that are mistyped.
//
// It must not know what a model is. What it imports from other modules the command gradsmith imports as well, so that
// a user who has that tool in a go.mod has the sums of all that a generated program is built from.
package cli

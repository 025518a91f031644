package text

import (
	"fmt"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// sortedLines reports whether lines are in alphabetical order.
func sortedLines(lines []string) bool {
	return data.Sorted(len(lines), func(i int) string { return lines[i] }, 1)
}

// sortedText reports whether the lines of a text are in alphabetical order.
func sortedText(s string) bool {
	const some = 100 // lines, which settle it for nearly every text
	end := 0
	for range some {
		i := strings.IndexByte(s[end:], '\n')
		if i < 0 {
			return sortedLines(splitLines(s))
		}
		end += i + 1
	}
	return sortedLines(splitLines(s[:end])) && sortedLines(splitLines(s))
}

// tail says why the last share of n examples may not be like the others, or is empty.
func tail(name, what string, sorted bool, labels []int32, n int, share float64) string {
	label := func(i int) int32 { return labels[i] }
	if class, ok := data.OneClass(labels, int(float64(n)*(1-share))); ok {
		return fmt.Sprintf("%s: all of the last %ss, which are kept for validation, have the label %d, others have "+
			"other labels", name, what, class)
	}
	if labels != nil && data.Sorted(n, label, 1) {
		return fmt.Sprintf("%s: the %ss are sorted by their labels, so that the last of them, which are kept for "+
			"validation, are not like the others", name, what)
	}
	if sorted {
		return fmt.Sprintf("%s: the %ss are in alphabetical order, so that the last of them, which are kept for "+
			"validation, are not like the others", name, what)
	}
	return ""
}

// drawn is the order that examples are shuffled to, the same one each time, so that what is kept for validation in
// training can be kept in an evaluation.
func drawn(n int) []int32 {
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	model.Shuffle(order, 0x5eed, 0)
	return order
}

// arranged is x in another order.
func arranged[T any](x []T, order []int32) []T {
	y := make([]T, len(x))
	for i, from := range order {
		y[i] = x[from]
	}
	return y
}

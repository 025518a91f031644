package kernel

import "fmt"

// need panics if the argument arg of kernel has fewer than n elements.
func need(kernel, arg string, have, n int) {
	if have < n {
		panic(fmt.Sprintf("kernel.%s: %s has length %d, need %d", kernel, arg, have, n))
	}
}

// size panics if the size arg of kernel is negative.
func size(kernel, arg string, n int) {
	if n < 0 {
		panic(fmt.Sprintf("kernel.%s: %s is %d, need at least 0", kernel, arg, n))
	}
}

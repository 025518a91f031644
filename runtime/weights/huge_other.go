//go:build !linux

package weights

// askHuge does nothing where memory cannot be asked for by the page.
func askHuge([]byte) {}

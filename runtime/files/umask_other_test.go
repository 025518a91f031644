//go:build !unix

package files_test

func umask(int) int { return 0 }

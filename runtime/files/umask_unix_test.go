//go:build unix

package files_test

import "syscall"

func umask(mask int) int { return syscall.Umask(mask) }

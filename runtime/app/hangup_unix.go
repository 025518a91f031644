//go:build unix

package app

import (
	"os"
	"os/signal"
	"syscall"
)

// hangups tells of SIGHUP, by which a server is asked to read its files again, until end is called.
func hangups() (again <-chan os.Signal, end func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

//go:build !unix

package app

import "os"

// hangups tells of SIGHUP, which there is not here.
func hangups() (again <-chan os.Signal, end func()) { return nil, func() {} }

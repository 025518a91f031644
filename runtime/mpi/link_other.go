//go:build !((linux || darwin) && (386 || amd64 || arm || arm64 || loong64 || ppc64le || riscv64) && !android)

package mpi

import (
	"errors"

	"github.com/gradsmith/gradsmith/runtime/cluster"
)

// join is for systems that know no shared libraries, and for Windows, whose MPI has another interface.
func join() (cluster.Link, error) {
	return nil, errors.New("on this system no library of MPI can be opened: use Linux or macOS")
}

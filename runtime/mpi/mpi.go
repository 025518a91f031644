// Package mpi links the processes that mpirun has started together, for package cluster: a program imports it for its
// effect. The library of MPI is found when the program runs, through purego: no C compiler is needed and no build tag,
// and a program that is not started by mpirun opens no library.
//
// Open MPI 4 and 5 are known, and what has the binary interface of MPICH: MPICH 3.2 and later, Intel MPI, MVAPICH2. The
// two interfaces differ in what handles are: addresses of symbols in Open MPI, numbers in MPICH (the MPICH ABI
// compatibility initiative). Which of them a library has it says itself (MPI_Get_library_version).
//
// The environment variable GRADSMITH_MPI names the file of a library that is elsewhere.
package mpi

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/cluster"
)

func init() { cluster.Register(join) }

// variable names the library in the environment.
const variable = "GRADSMITH_MPI"

// names are those of files of libraries, in the order in which they are tried, for what has started the process.
func names() []string {
	if file := os.Getenv(variable); file != "" {
		return []string{file}
	}
	open := []string{"libmpi.so.40", "libmpi.so", "libmpi.40.dylib", "libmpi.dylib"}
	mpich := []string{"libmpich.so.12", "libmpi.so.12", "libmpi.12.dylib"}
	if _, ok := os.LookupEnv("PMI_SIZE"); ok {
		if _, ok := os.LookupEnv("OMPI_COMM_WORLD_SIZE"); !ok {
			return append(mpich, open...)
		}
	}
	return append(open, mpich...)
}

// missing is the error where no library can be opened.
func missing(tried []string, why error) error {
	if os.Getenv(variable) != "" {
		return fmt.Errorf("the library that %s names can't be opened: %w", variable, why)
	}
	return fmt.Errorf("no library of MPI is found (%s): install Open MPI on every machine, on Debian and Ubuntu by apt-get "+
		"install openmpi-bin libopenmpi-dev, or name the library's file in the environment variable %s: %w",
		strings.Join(tried, ", "), variable, why)
}

// A family of libraries, by their binary interface.
type family int

const (
	unknown family = iota
	openMPI
	mpich
)

// familyOf reads what MPI_Get_library_version says.
func familyOf(version string) family {
	for _, x := range []struct {
		word string
		family
	}{{"Open MPI", openMPI}, {"MPICH", mpich}, {"Intel(R) MPI", mpich}, {"MVAPICH", mpich}} {
		if strings.Contains(version, x.word) {
			return x.family
		}
	}
	return unknown
}

// firstLine is the first line of a text, for an error.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(line)
}

// errUnknown is the error about a library of another family.
func errUnknown(file, version string) error {
	return fmt.Errorf("%s says that it is %q, whose binary interface is not known: use Open MPI or MPICH, and name the "+
		"library's file in the environment variable %s", file, firstLine(version), variable)
}

// checkSize compares how many processes there are with how many the launcher has started: a library of another MPI than
// the launcher's takes each of them for one alone.
func checkSize(size int, version string) error {
	for _, name := range []string{"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"} {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n != size {
			return fmt.Errorf("%d processes were started, and the library (%s) sees %d: it is of another MPI than the "+
				"launcher; name the right one's file in the environment variable %s", n, firstLine(version), size, variable)
		}
	}
	return nil
}

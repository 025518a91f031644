//go:build (linux || darwin) && (386 || amd64 || arm || arm64 || loong64 || ppc64le || riscv64) && !android

package mpi

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/gradsmith/gradsmith/runtime/cluster"
)

// library is what is used of an opened library. Addresses are of its functions; handles are passed on as they are.
type library struct {
	version string

	initThread, finalize, rank, size, setErrors, errorText, send, receive, test uintptr

	world, byteType, returns uintptr // MPI_COMM_WORLD, MPI_BYTE, MPI_ERRORS_RETURN
	ignore                   uintptr // MPI_STATUS_IGNORE
}

// Constants of both interfaces.
const (
	serialized = 2    // MPI_THREAD_SERIALIZED
	maxText    = 8192 // of the libraries' texts; the longest is MPICH's version (MPI_MAX_LIBRARY_VERSION_STRING)
	tag        = 7    // of all messages
)

// join opens a library and begins to use it.
func join() (cluster.Link, error) {
	l, err := open()
	if err != nil {
		return nil, err
	}
	if err := l.call(l.initThread, 0, 0, serialized, address(&given.first)); err != nil {
		return nil, fmt.Errorf("MPI_Init_thread: %w", err)
	}
	if given.first < serialized {
		return nil, fmt.Errorf("the library (%s) can't be called by the threads of a process one after the other "+
			"(MPI_THREAD_SERIALIZED): use one that was built with threads", firstLine(l.version))
	}
	if err := l.call(l.setErrors, l.world, l.returns); err != nil {
		return nil, fmt.Errorf("MPI_Comm_set_errhandler: %w", err)
	}
	if err := errors.Join(l.call(l.rank, l.world, address(&given.first)),
		l.call(l.size, l.world, address(&given.second))); err != nil {
		return nil, err
	}
	rank, size := int(given.first), int(given.second)
	if err := checkSize(size, l.version); err != nil {
		return nil, err
	}
	return &link{library: l, rank: rank, size: size}, nil
}

// given is where the library writes what it gives. A variable of the package does not move, as one on a stack does.
var given struct {
	first, second int32
	text          [maxText]byte
}

// open opens the first library that there is.
func open() (*library, error) {
	var tried []string
	var why error
	for _, name := range names() {
		// Open MPI's components look for its symbols among those of the whole process.
		handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err != nil {
			if tried = append(tried, name); why == nil {
				why = err
			}
			continue
		}
		return newLibrary(name, handle)
	}
	return nil, missing(tried, why)
}

// newLibrary looks up what is used of a library.
func newLibrary(file string, handle uintptr) (*library, error) {
	l := &library{}
	version, err := purego.Dlsym(handle, "MPI_Get_library_version")
	if err != nil {
		return nil, errUnknown(file, "a library without MPI_Get_library_version")
	}
	purego.SyscallN(version, address(&given.text[0]), address(&given.first))
	l.version = givenText()
	family := familyOf(l.version)
	symbols := map[string]*uintptr{
		"MPI_Init_thread": &l.initThread, "MPI_Finalize": &l.finalize, "MPI_Comm_rank": &l.rank,
		"MPI_Comm_size": &l.size, "MPI_Comm_set_errhandler": &l.setErrors, "MPI_Error_string": &l.errorText,
		"MPI_Isend": &l.send, "MPI_Irecv": &l.receive, "MPI_Test": &l.test,
	}
	switch family {
	case openMPI:
		symbols["ompi_mpi_comm_world"], symbols["ompi_mpi_byte"] = &l.world, &l.byteType
		symbols["ompi_mpi_errors_return"] = &l.returns
	case mpich:
		l.world, l.byteType, l.returns, l.ignore = 0x44000000, 0x4c00010d, 0x54000001, 1
	default:
		return nil, errUnknown(file, l.version)
	}
	for name, at := range symbols {
		if *at, err = purego.Dlsym(handle, name); err != nil {
			return nil, fmt.Errorf("%s (%s) lacks what is used of it: %w", file, firstLine(l.version), err)
		}
	}
	return l, nil
}

// givenText is the text that the library has given, which ends with a zero.
func givenText() string {
	text, _, _ := bytes.Cut(given.text[:], []byte{0})
	return string(text)
}

// address is that of x for a call. x must be a variable of a package, or on the heap and in use until the library needs
// it no more: neither moves.
func address[T any](x *T) uintptr { return uintptr(unsafe.Pointer(x)) }

// call calls a function that returns an error code.
func (l *library) call(f uintptr, args ...uintptr) error {
	code, _, _ := purego.SyscallN(f, args...)
	if int32(code) == 0 {
		return nil
	}
	purego.SyscallN(l.errorText, uintptr(int32(code)), address(&given.text[0]), address(&given.first))
	return errors.New(givenText())
}

// link is a cluster.Link over the processes of MPI_COMM_WORLD.
type link struct {
	*library
	rank, size int
}

func (l *link) Rank() int { return l.rank }
func (l *link) Size() int { return l.size }

// Close ends MPI for this process.
func (l *link) Close() error {
	if err := l.call(l.finalize); err != nil {
		return fmt.Errorf("MPI_Finalize: %w", err)
	}
	return nil
}

// transfer is messages under way. It keeps their memory, and that of the requests, in use. A request is a pointer in
// Open MPI and a number of 32 bits in MPICH: either is written to the beginning of its place.
type transfer struct {
	l        *link
	messages []cluster.Message
	requests []uintptr
	done     int // of the requests
	flag     int32
	err      error
}

// Start begins to receive before it begins to send, so that messages find their place.
func (l *link) Start(send, receive []cluster.Message) cluster.Transfer {
	t := &transfer{l: l, messages: make([]cluster.Message, 0, len(send)+len(receive))}
	t.messages = append(append(t.messages, receive...), send...)
	t.requests = make([]uintptr, len(t.messages))
	for i, m := range t.messages {
		f := l.send
		if i < len(receive) {
			f = l.receive
		}
		if t.err = l.call(f, address(&m.Data[0]), uintptr(len(m.Data)), l.byteType, uintptr(m.Peer), tag, l.world,
			address(&t.requests[i])); t.err != nil {
			break
		}
	}
	return t
}

// Done asks for the requests one after the other; each question lets the library work on all of them.
func (t *transfer) Done() (bool, error) {
	for ; t.err == nil && t.done < len(t.requests); t.done++ {
		if t.err = t.l.call(t.l.test, address(&t.requests[t.done]), address(&t.flag), t.l.ignore); t.err != nil {
			break
		}
		if t.flag == 0 {
			return false, nil
		}
	}
	return t.err == nil, t.err
}

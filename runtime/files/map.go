package files

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"unsafe"
)

// Mapping is the bytes of a file in memory. They are not to be changed, and are there as long as the mapping is
// reachable.
type Mapping struct {
	Data []byte // begins at a multiple of 64

	name string
}

// maps are the files that are mapped, by where they are in memory.
var maps struct {
	sync.Mutex
	by map[uintptr]mapped
}

type mapped struct {
	name string
	size uintptr
}

// Map gives all bytes of a file, which has that name and that size. Where the operating system can, the file is mapped
// into memory: nothing is read before it is used, nothing is copied, and processes that map the same file share it.
// Elsewhere it is read.
//
// Who writes to a file that is mapped changes what is read here. Who shortens it makes reading its end a fault of the
// processor: see [Lost]. Files that are replaced by [Write] stay mapped as they were.
func Map(f File, name string, size int64) (*Mapping, error) {
	if size < 0 || int64(int(size)) != size {
		return nil, fmt.Errorf("%d bytes are more than memory can hold", size)
	}
	if real, ok := f.(osFile); ok && size > 0 {
		data, err := mapFile(real.File, int(size))
		if err == nil {
			m := &Mapping{data, name}
			at := uintptr(unsafe.Pointer(&data[0]))
			maps.Lock()
			if maps.by == nil {
				maps.by = map[uintptr]mapped{}
			}
			maps.by[at] = mapped{name, uintptr(size)}
			maps.Unlock()
			runtime.AddCleanup(m, unmap, data)
			return m, nil
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return nil, &os.PathError{Op: "mmap", Path: name, Err: err}
		}
	}
	return ReadMapping(f, name, size)
}

// ReadMapping is [Map] by reading, from a source that need not be a file.
func ReadMapping(r io.ReaderAt, name string, size int64) (*Mapping, error) {
	const line = 64
	x := make([]byte, size+line)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(x))) % line)
	data := x[skip : skip+int(size) : skip+int(size)]
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), data); err != nil {
		return nil, err
	}
	return &Mapping{data, name}, nil
}

func unmap(data []byte) {
	maps.Lock()
	delete(maps.by, uintptr(unsafe.Pointer(&data[0])))
	maps.Unlock()
	unmapFile(data)
}

// Lost tells whether what a goroutine has panicked with is that it read from a mapped file what is no longer there: the
// error says of which file. It is nil for everything else. Only goroutines that have called debug.SetPanicOnFault
// panic; in others it ends the process.
func Lost(value any) error {
	err, ok := value.(error)
	var fault interface{ Addr() uintptr } // a runtime.Error
	if !ok || !errors.As(err, &fault) {
		return nil
	}
	maps.Lock()
	defer maps.Unlock()
	for at, m := range maps.by {
		if fault.Addr() >= at && fault.Addr()-at < m.size {
			return fmt.Errorf("%s is no longer what it was when it was opened: byte %d cannot be read; it was "+
				"shortened or its disk has failed, so load it again (a program that writes a new file and renames it "+
				"does no harm)", m.name, fault.Addr()-at)
		}
	}
	return nil
}

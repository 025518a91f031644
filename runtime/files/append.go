package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Appender adds records to the end of a file, such as a log, of which each call of Write gives one whole. A record that
// cannot be written, because the disk is full, is kept and written with the next one; what stands in the file is whole
// records at any time. Close reports what could not be written to the end.
type Appender struct {
	path, what string
	warn       func(text string)
	open       func() (f File, end int64, err error)
	file       File
	stream     bool   // the file is a pipe or a device, in which there is no going back
	end        int64  // where the next record goes
	pending    []byte // records that are not in the file yet
	lost       int    // records given up
	warned     bool   // of the failure that goes on
	fault      error  // of the last attempt
}

// maxPending bounds the memory for records that cannot be written: some days of a log.
const maxPending = 64 << 20

// NewAppender makes an appender to the file at path, which what names in warnings, such as "the log". open opens it,
// and says behind how many bytes the next record goes; what stands behind that is written over. It is called with the
// first record, or by Open, and again as long as it fails. warn, which may be nil, is told when a record cannot be
// written for now.
func NewAppender(path, what string, warn func(text string), open func() (f File, end int64, err error)) *Appender {
	return &Appender{path: path, what: what, warn: warn, open: open}
}

// Open opens the file before there is a record. Where that fails the first record tries again.
func (a *Appender) Open() {
	if a.file == nil {
		a.fault = a.begin()
	}
}

func (a *Appender) begin() error {
	f, end, err := a.open()
	if err != nil {
		return err
	}
	info, err := f.Stat()
	a.file, a.end, a.stream = f, end, err == nil && !info.Mode().IsRegular()
	return nil
}

// Write takes a record. Its error is always nil.
func (a *Appender) Write(record []byte) (int, error) {
	a.pending = append(a.pending, record...)
	if len(a.pending) > maxPending {
		a.lost++
		a.pending = a.pending[:len(a.pending)-len(record)]
	}
	a.flush()
	switch {
	case a.fault == nil:
		a.warned = false
	case !a.warned && a.warn != nil:
		a.warned = true
		a.warn(fmt.Sprintf("can't write %s %s: %v; what belongs there is kept until it can be written", a.what, a.path,
			Cause(a.fault)))
	}
	return len(record), nil
}

// flush writes the records that wait. On an error they go on waiting, and the file ends with the last whole record.
func (a *Appender) flush() {
	if a.file == nil {
		if a.fault = a.begin(); a.fault != nil {
			return
		}
	}
	if !a.stream {
		if _, a.fault = a.file.Seek(a.end, io.SeekStart); a.fault != nil {
			return
		}
	}
	n, err := a.file.Write(a.pending)
	if err == nil && n < len(a.pending) {
		err = io.ErrShortWrite
	}
	if a.fault = err; err != nil && a.stream {
		a.pending = a.pending[n:]
		return
	} else if err != nil {
		a.file.Truncate(a.end)
		return
	}
	a.end += int64(n)
	a.pending = a.pending[:0]
}

// Drop takes records back. Of those that wait it drops the end behind as many bytes as keep says; where nothing of them
// stays, what stands in the file goes behind as many as find says, which is given all of it.
func (a *Appender) Drop(keep func(records []byte) int, find func(r io.Reader) (end int64, err error)) {
	if kept := keep(a.pending); kept < len(a.pending) {
		a.pending = a.pending[:kept]
		if kept > 0 {
			return // what is in the file comes before
		}
	}
	if a.file == nil || a.stream {
		return
	}
	if _, a.fault = a.file.Seek(0, io.SeekStart); a.fault != nil {
		return
	}
	end, err := find(a.file)
	if err == nil {
		err = a.file.Truncate(end)
	}
	if a.fault = err; err == nil {
		a.end = end
	}
}

// Flush writes the records that wait. Its error says that they go on waiting.
func (a *Appender) Flush() error {
	if len(a.pending) == 0 {
		return nil
	}
	a.flush()
	if a.fault == nil {
		a.warned = false
		return nil
	}
	return fmt.Errorf("can't write %s %s: %w", a.what, a.path, Cause(a.fault))
}

// Sync makes durable what was written, unless some of it still waits.
func (a *Appender) Sync() {
	if a.file != nil && len(a.pending) == 0 {
		a.file.Sync()
	}
}

// Close writes what waits, and closes the file. Its error says that the file is not complete.
func (a *Appender) Close() error {
	if len(a.pending) > 0 {
		a.flush()
	}
	err := a.fault
	if a.file != nil {
		err = errors.Join(err, a.file.Close())
		a.file = nil
	}
	if err == nil && a.lost > 0 {
		err = fmt.Errorf("%d records were given up", a.lost)
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: a.path, Err: Cause(err)}
	}
	return nil
}

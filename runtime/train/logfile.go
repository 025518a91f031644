package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/gradsmith/gradsmith/runtime/files"
)

// LogFile is a [Log] in a file. A training that begins empties the file with its first line; one that is resumed goes
// on behind the step of its checkpoint, and drops what a run that was killed wrote behind that, so that no step stands
// in it twice.
//
// A line that cannot be written, because the disk is full, is kept and written with the next one; what stands in the
// file is whole lines at any time. Close reports what could not be written to the end.
type LogFile struct {
	Log
	path      string
	warn      func(text string)
	file      files.File
	stream    bool   // the file is a pipe or a device, in which there is no going back
	end       int64  // where the next line goes
	pending   []byte // lines that are not in the file yet
	lost      int    // lines given up
	warned    bool   // of the failure that goes on
	fault     error  // of the last attempt
	cut       int    // step to go on behind; below 0 for none
	back      int    // number of a notice of going back that is to be dropped, with those behind it; 0 for none
	validated int    // step of a validation that the file has from an earlier run
}

// maxPending bounds the memory for lines that cannot be written: some days of steps.
const maxPending = 64 << 20

// NewLogFile makes a log that goes to the file at path, and tells warn, which may be nil, when a line cannot be
// written for now. It opens nothing yet: a training that does not come to its first step leaves the file as it was.
func NewLogFile(path string, warn func(text string)) *LogFile {
	l := &LogFile{path: path, warn: warn, cut: -1, validated: -1}
	l.Log = Log{w: writerFunc(l.add), start: time.Now()}
	return l
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Resumed goes on behind a step.
func (l *LogFile) Resumed(step, total int) {
	l.cut = step
	l.fault = l.open() // if it cannot be opened yet, the first line tries again
}

// Evaluated writes a line, unless an earlier run has written it: a training that was complete validates once more.
func (l *LogFile) Evaluated(e Evaluation) {
	if e.Step != l.validated {
		l.Log.Evaluated(e)
	}
}

// Notice writes a line. A training that goes back takes what it has written since with it.
func (l *LogFile) Notice(n Notice) {
	if n.What == "back" {
		l.goBack(n)
	}
	l.Log.Notice(n)
}

// goBack drops the lines behind the step that a training has gone back to. Where a run was killed when it had gone
// back, and before that was in a checkpoint, the notice stands there already; it is dropped as well.
func (l *LogFile) goBack(n Notice) {
	l.cut, l.back = n.Step, n.Number
	kept := 0
	for line := range bytes.Lines(l.pending) {
		if _, ok := l.keeps(line); !ok {
			break
		}
		kept += len(line)
	}
	if all := len(l.pending); kept < all {
		l.pending = l.pending[:kept]
		if kept > 0 {
			return // what is in the file comes before
		}
	}
	if l.file == nil || l.stream {
		return
	}
	if _, l.fault = l.file.Seek(0, io.SeekStart); l.fault != nil {
		return
	}
	end, _, err := l.last(l.file)
	if err == nil {
		err = l.file.Truncate(end)
	}
	if l.fault = err; err == nil {
		l.end = end
	}
}

// Saved makes the log durable, as the checkpoint is.
func (l *LogFile) Saved(path string, step int) {
	if l.file != nil && len(l.pending) == 0 {
		l.file.Sync()
	}
}

// add takes a line.
func (l *LogFile) add(line []byte) (int, error) {
	l.pending = append(l.pending, line...)
	if len(l.pending) > maxPending {
		l.lost++
		l.pending = l.pending[:len(l.pending)-len(line)]
	}
	l.flush()
	switch {
	case l.fault == nil:
		l.warned = false
	case !l.warned && l.warn != nil:
		l.warned = true
		l.warn(fmt.Sprintf("can't write the log %s: %v; its lines are kept until it can be written", l.path,
			files.Cause(l.fault)))
	}
	return len(line), nil
}

// flush writes the lines that wait. On an error they go on waiting, and the file ends with the last whole line.
func (l *LogFile) flush() {
	if l.file == nil {
		if l.fault = l.open(); l.fault != nil {
			return
		}
	}
	if !l.stream {
		if _, l.fault = l.file.Seek(l.end, io.SeekStart); l.fault != nil {
			return
		}
	}
	n, err := l.file.Write(l.pending)
	if err == nil && n < len(l.pending) {
		err = io.ErrShortWrite
	}
	if l.fault = err; err != nil && l.stream {
		l.pending = l.pending[n:]
		return
	} else if err != nil {
		l.file.Truncate(l.end)
		return
	}
	l.end += int64(n)
	l.pending = l.pending[:0]
}

// open opens the file, and drops what is not of this training.
func (l *LogFile) open() error {
	f, err := files.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		l.file, l.stream = f, true
		return nil
	}
	end, seconds := int64(0), 0.0
	if l.cut >= 0 {
		end, seconds, err = l.last(f)
	}
	if err == nil {
		err = f.Truncate(end)
	}
	if err != nil {
		f.Close()
		return err
	}
	l.file, l.end = f, end
	l.start = l.start.Add(-time.Duration(seconds * float64(time.Second))) // the time of earlier runs counts
	return nil
}

// last finds where the lines of a log end that stand no further than at the step to go on behind, and the seconds of
// the last of them.
func (l *LogFile) last(r io.Reader) (end int64, seconds float64, err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := b.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return end, seconds, nil // a line that was cut off is dropped
		}
		if err != nil {
			return 0, 0, err
		}
		x, ok := l.keeps(line)
		if !ok {
			return end, seconds, nil
		}
		if x.Validation != nil {
			l.validated = *x.Step
		}
		end += int64(len(line))
		seconds = x.Seconds
	}
}

// logLine is what is read of a line that was written.
type logLine struct {
	Step       *int
	Seconds    float64
	Validation *float64
	Notice     string
	Number     int
}

// keeps reads a line, and reports whether it and those before it stay where a training goes on or back.
func (l *LogFile) keeps(line []byte) (x logLine, ok bool) {
	ok = json.Unmarshal(line, &x) == nil && x.Step != nil && *x.Step <= l.cut
	return x, ok && !(l.back > 0 && x.Notice == "back" && x.Number >= l.back)
}

// Close writes what waits, and closes the file. Its error says that the log is not complete.
func (l *LogFile) Close() error {
	if len(l.pending) > 0 {
		l.flush()
	}
	err := l.fault
	if l.file != nil {
		err = errors.Join(err, l.file.Close())
		l.file = nil
	}
	if err == nil && l.lost > 0 {
		err = fmt.Errorf("%d lines were given up", l.lost)
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: l.path, Err: files.Cause(err)}
	}
	return nil
}

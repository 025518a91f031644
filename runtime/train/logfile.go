package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
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
	out       *files.Appender
	cut       int // step to go on behind; below 0 for none
	back      int // number of a notice of going back that is to be dropped, with those behind it; 0 for none
	validated int // step of a validation that the file has from an earlier run
}

// NewLogFile makes a log that goes to the file at path, and tells warn, which may be nil, when a line cannot be
// written for now. It opens nothing yet: a training that does not come to its first step leaves the file as it was.
func NewLogFile(path string, warn func(text string)) *LogFile {
	l := &LogFile{path: path, cut: -1, validated: -1}
	l.out = files.NewAppender(path, "the log", warn, l.open)
	l.Log = Log{w: l.out, start: time.Now()}
	return l
}

// Resumed goes on behind a step.
func (l *LogFile) Resumed(step, total int) {
	l.cut = step
	l.out.Open()
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
	l.out.Drop(func(records []byte) (kept int) {
		for line := range bytes.Lines(records) {
			if _, ok := l.keeps(line); !ok {
				break
			}
			kept += len(line)
		}
		return kept
	}, func(r io.Reader) (int64, error) {
		end, _, err := l.last(r)
		return end, err
	})
}

// Saving writes the lines that wait.
func (l *LogFile) Saving() error { return l.out.Flush() }

// Saved makes the log durable, as the checkpoint is.
func (l *LogFile) Saved(path string, step int) { l.out.Sync() }

// open opens the file, and drops what is not of this training.
func (l *LogFile) open() (files.File, int64, error) {
	f, err := files.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, 0, err
	}
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		return f, 0, nil
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
		return nil, 0, err
	}
	l.start = l.start.Add(-time.Duration(seconds * float64(time.Second))) // the time of earlier runs counts
	return f, end, nil
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
		if x.Run != nil && bytes.Equal(x.Run, l.run) {
			l.run = nil // it stands there already
		}
		if m := x.Machine; m != nil && l.runsOn != nil {
			if l.on = l.runsOn; m.alike(*l.runsOn) { // the last one that stands there
				l.on = nil
			}
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
	Run        json.RawMessage
	Machine    *Machine
}

// keeps reads a line, and reports whether it and those before it stay where a training goes on or back.
func (l *LogFile) keeps(line []byte) (x logLine, ok bool) {
	ok = json.Unmarshal(line, &x) == nil && x.Step != nil && *x.Step <= l.cut
	return x, ok && !(l.back > 0 && x.Notice == "back" && x.Number >= l.back)
}

// Close writes what waits, and closes the file. Its error says that the log is not complete.
func (l *LogFile) Close() error { return l.out.Close() }

package tensorboard

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/png" // of which the sizes are read
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gradsmith/gradsmith/runtime/files"
)

// Writer writes an event file. What cannot be written for now, because the disk is full, is kept and written later;
// Close reports what could not be written to the end.
type Writer struct {
	out     *files.Appender
	step    int  // behind which the training goes on
	started bool // the first record is written
	now     func() time.Time
}

// New makes a writer of a new file in a folder, which it makes where it does not exist: TensorBoard shows a folder as a
// run, and all event files in it as one. It opens nothing before there is something to write. warn, which may be nil,
// is told when something cannot be written for now.
func New(dir string, warn func(text string)) *Writer {
	w := &Writer{now: time.Now}
	w.out = files.NewAppender(dir, "event files in", warn, func() (files.File, int64, error) {
		f, err := create(dir, w.now())
		return f, 0, err
	})
	return w
}

// create makes an event file of a name that no other has. TensorBoard knows event files by "tfevents" in their names,
// and takes them in the order of these.
func create(dir string, now time.Time) (files.File, error) {
	if err := files.MkdirAll(dir); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil || strings.ContainsAny(host, `/\`) {
		host = "localhost"
	}
	for n := 0; ; n++ {
		name := fmt.Sprintf("events.out.tfevents.%010d.%s.%d.%d", now.Unix(), host, os.Getpid(), n)
		f, err := files.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// Resume says behind which step the training goes on, 0 where it begins anew, which is what a new writer does: what
// earlier files of the folder have of later steps no longer counts.
func (w *Writer) Resume(step int) { w.step = step }

// write writes an event, and before the first one what begins a file.
func (w *Writer) write(step int, fill func(e *message)) {
	if !w.started {
		w.started = true
		w.event(0, func(e *message) { e.text(eventVersion, "brain.Event:2") })
		w.event(w.step+1, func(e *message) {
			var s message
			s.integer(sessionStatus, sessionStarts)
			e.bytes(eventSession, s)
		})
	}
	w.event(step, fill)
}

func (w *Writer) event(step int, fill func(e *message)) {
	var e message
	e.double(eventTime, float64(w.now().UnixMicro())/1e6)
	e.integer(eventStep, int64(step))
	fill(&e)
	w.out.Write(record(e))
}

// Number is a value under a name; TensorBoard shows names with the same part before their first slash together.
type Number struct {
	Name  string
	Value float64 // is rounded to float32
}

// Numbers writes values of a step, in one event.
func (w *Writer) Numbers(step int, values ...Number) {
	w.write(step, func(e *message) {
		var s message
		for _, x := range values {
			var v message
			v.text(valueTag, x.Name)
			v.float(valueNumber, float32(x.Value))
			s.bytes(summaryValue, v)
		}
		e.bytes(eventSummary, s)
	})
}

// Text writes a text, which TensorBoard shows as Markdown.
func (w *Writer) Text(step int, name, text string) {
	w.write(step, func(e *message) {
		var plugin, metadata, tensor, v, s message
		plugin.text(pluginName, "text")
		metadata.bytes(metadataPlugin, plugin)
		tensor.integer(tensorType, tensorOfStrings)
		tensor.bytes(tensorShape, nil) // of a scalar
		tensor.text(tensorStrings, strings.ToValidUTF8(text, "\ufffd"))
		v.text(valueTag, name)
		v.bytes(valueTensor, tensor)
		v.bytes(valueMetadata, metadata)
		s.bytes(summaryValue, v)
		e.bytes(eventSummary, s)
	})
}

// Picture writes a picture in PNG.
func (w *Writer) Picture(step int, name string, png []byte) error {
	size, _, err := image.DecodeConfig(bytes.NewReader(png))
	if err != nil {
		return fmt.Errorf("the picture %s cannot be read: %w", name, err)
	}
	const gray, colour = 1, 3
	colours := int64(colour)
	if size.ColorModel == color.GrayModel {
		colours = gray
	}
	w.write(step, func(e *message) {
		var picture, v, s message
		picture.integer(imageHeight, int64(size.Height))
		picture.integer(imageWidth, int64(size.Width))
		picture.integer(imageColors, colours)
		picture.bytes(imageEncoded, png)
		v.text(valueTag, name)
		v.bytes(valueImage, picture)
		s.bytes(summaryValue, v)
		e.bytes(eventSummary, s)
	})
	return nil
}

// Sync makes durable what was written.
func (w *Writer) Sync() { w.out.Sync() }

// Close ends the file. Its error says that the file is not complete.
func (w *Writer) Close() error { return w.out.Close() }

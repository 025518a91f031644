package tensorboard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gradsmith/gradsmith/runtime/filestest"
)

// The reader of this test shares nothing with the writer: it goes by record_writer.h and the .proto files of
// TensorFlow, with the wire format of Google's module and a CRC that is computed bit by bit.

func crc32c(data []byte) uint32 {
	crc := ^uint32(0)
	for _, b := range data {
		crc ^= uint32(b)
		for range 8 {
			crc = crc>>1 ^ 0x82f63b78*(crc&1)
		}
	}
	return ^crc
}

func TestChecksum(t *testing.T) {
	if got := crc32c([]byte("123456789")); got != 0xe3069283 { // the check value of the catalogue of CRCs
		t.Fatalf("%x", got)
	}
	if got := crc32c(make([]byte, 32)); got != 0x8a9136aa { // RFC 3720, section B.4
		t.Fatalf("%x", got)
	}
}

// events cuts a file into events; an error says that its end is cut off.
func events(data []byte) (all [][]byte, err error) {
	checked := func(data, sum []byte) bool {
		c := crc32c(data)
		return binary.LittleEndian.Uint32(sum) == (c>>15|c<<17)+0xa282ead8
	}
	for len(data) > 0 {
		if len(data) < 12 {
			return all, errors.New("cut off in a length")
		}
		n := binary.LittleEndian.Uint64(data)
		if !checked(data[:8], data[8:]) {
			return all, errors.New("the checksum of a length is wrong")
		}
		if uint64(len(data)) < n+16 {
			return all, errors.New("cut off in an event")
		}
		if !checked(data[12:12+n], data[12+n:]) {
			return all, errors.New("the checksum of an event is wrong")
		}
		all = append(all, data[12:12+n])
		data = data[16+n:]
	}
	return all, nil
}

// fields are those of a message, by their paths: "5.1.2" is field 2 of the message in field 1 of that in field 5.
// nested tells which fields are messages.
func fields(t *testing.T, m []byte, path string, nested map[string]bool, into map[string][]any) {
	t.Helper()
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		m = m[n:]
		at := strings.TrimPrefix(fmt.Sprintf("%s.%d", path, number), ".")
		var v any
		switch kind {
		case protowire.VarintType:
			x, k := protowire.ConsumeVarint(m)
			v, n = x, k
		case protowire.Fixed64Type:
			x, k := protowire.ConsumeFixed64(m)
			v, n = math.Float64frombits(x), k
		case protowire.Fixed32Type:
			x, k := protowire.ConsumeFixed32(m)
			v, n = math.Float32frombits(x), k
		case protowire.BytesType:
			x, k := protowire.ConsumeBytes(m)
			v, n = string(x), k
			if k >= 0 && nested[at] {
				fields(t, x, at, nested, into)
			}
		default:
			t.Fatalf("field %s is of the wire type %d", at, kind)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		m = m[n:]
		into[at] = append(into[at], v)
	}
}

var messages = map[string]bool{"5": true, "5.1": true, "5.1.4": true, "5.1.8": true, "5.1.9": true, "5.1.9.1": true,
	"7": true}

func read(t *testing.T, data []byte) []map[string][]any {
	t.Helper()
	found, err := events(data)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string][]any
	for _, e := range found {
		f := map[string][]any{}
		fields(t, e, "", messages, f)
		all = append(all, f)
	}
	return all
}

// files gives the event files of a folder, in the order in which TensorBoard takes them.
func eventFiles(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*tfevents*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func picture(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 5, 3))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// written writes some of everything, in two files.
func written(t *testing.T, dir string) {
	t.Helper()
	w := New(dir, nil)
	w.now = func() time.Time { return time.Unix(1_700_000_000, 250_000_000) }
	w.Numbers(1, Number{"loss/training", 2.5}, Number{"rate", 1e-3})
	w.Text(2, "sample", "It was\nä \xff") // cut off in a character
	if err := w.Picture(1<<30, "made", picture(t)); err != nil {
		t.Fatal(err)
	}
	if err := w.Picture(3, "made", []byte("no picture")); err == nil {
		t.Error("what is no picture is written")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = New(dir, nil)
	w.Resume(1)
	w.now = func() time.Time { return time.Unix(1_700_000_001, 0) }
	w.Numbers(2, Number{"rate", math.Inf(1)})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs", "first")
	written(t, dir)
	var all []map[string][]any
	for _, path := range eventFiles(t, dir) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, read(t, data)...)
	}
	if len(all) != 8 {
		t.Fatalf("%d events", len(all))
	}
	for _, x := range []struct {
		event int
		field string
		want  []any
	}{
		{0, "1", []any{1_700_000_000.25}}, {0, "2", []any{uint64(0)}}, {0, "3", []any{"brain.Event:2"}},
		{1, "2", []any{uint64(1)}}, {1, "7.1", []any{uint64(1)}},
		{2, "2", []any{uint64(1)}}, {2, "5.1.1", []any{"loss/training", "rate"}},
		{2, "5.1.2", []any{float32(2.5), float32(1e-3)}},
		{3, "5.1.1", []any{"sample"}}, {3, "5.1.9.1.1", []any{"text"}}, {3, "5.1.8.1", []any{uint64(7)}},
		{3, "5.1.8.2", []any{""}}, {3, "5.1.8.8", []any{"It was\nä \ufffd"}},
		{4, "2", []any{uint64(1 << 30)}}, {4, "5.1.4.1", []any{uint64(3)}}, {4, "5.1.4.2", []any{uint64(5)}},
		{4, "5.1.4.3", []any{uint64(1)}}, {4, "5.1.4.4", []any{string(picture(t))}},
		{5, "3", []any{"brain.Event:2"}}, {6, "2", []any{uint64(2)}}, {6, "7.1", []any{uint64(1)}},
		{7, "5.1.2", []any{float32(math.Inf(1))}},
	} {
		if got := all[x.event][x.field]; fmt.Sprint(got) != fmt.Sprint(x.want) {
			t.Errorf("field %s of event %d is %q, want %q", x.field, x.event, got, x.want)
		}
	}
}

// TestScript reads the same with a script in another language, which notices every bit that is wrong.
func TestScript(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	dir := t.TempDir()
	written(t, dir)
	paths := eventFiles(t, dir)
	script := filepath.Join("..", "..", "bench", "events.py")
	out, err := exec.Command(python, append([]string{script}, paths...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{`"version": "brain.Event:2"`, `{"tag": "loss/training", "number": 2.5}`,
		`"plugin": "text", "text": "It was\n\u00e4 \ufffd"`, `"height": 3, "width": 5, "colorspace": 1, "png": "iVBOR`,
		`"step": 2, "session": 1`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s\nwithout %s", out, want)
		}
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 9, 13, len(data) / 2, len(data) - 1} {
		wrong := bytes.Clone(data)
		wrong[at] ^= 4
		path := filepath.Join(dir, "wrong")
		if err := os.WriteFile(path, wrong, 0o666); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(python, script, path).CombinedOutput(); err == nil {
			t.Errorf("byte %d is wrong, and the script reads %s", at, out)
		}
	}
}

// TestFaults lets each call that the writer makes of the disk fail in every way: what stands in the files are whole
// events, and an error says where some are missing.
func TestFaults(t *testing.T) {
	filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
		dir := filepath.Join(t.TempDir(), "new")
		fault, err := do(func() error {
			w := New(dir, nil)
			for i := range 3 {
				w.Numbers(i+1, Number{"loss", float64(i)})
				w.Sync()
			}
			return w.Close()
		})
		steps := 0
		for _, path := range eventFiles(t, dir) {
			data, e := os.ReadFile(path)
			if e != nil {
				t.Fatal(e)
			}
			all, cut := events(data)
			if steps += max(0, len(all)-2); cut != nil && !fault.Way.Rest {
				t.Errorf("%v: %v", fault, cut)
			}
		}
		if err == nil && steps != 3 {
			t.Errorf("%v: no error, with %d events", fault, steps)
		}
	})
}

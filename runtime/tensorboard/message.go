package tensorboard

import (
	"encoding/binary"
	"hash/crc32"
	"math"
)

// message is a message of protobuf in its binary form: fields, each a number of the field, how it is written, and its
// value.
type message []byte

// How a field is written.
const (
	asVarint  = 0
	asFixed64 = 1
	asBytes   = 2
	asFixed32 = 5
)

func (m *message) key(field, how uint64) { *m = binary.AppendUvarint(*m, field<<3|how) }

func (m *message) integer(field uint64, v int64) {
	m.key(field, asVarint)
	*m = binary.AppendUvarint(*m, uint64(v))
}

func (m *message) double(field uint64, v float64) {
	m.key(field, asFixed64)
	*m = binary.LittleEndian.AppendUint64(*m, math.Float64bits(v))
}

func (m *message) float(field uint64, v float32) {
	m.key(field, asFixed32)
	*m = binary.LittleEndian.AppendUint32(*m, math.Float32bits(v))
}

func (m *message) bytes(field uint64, v []byte) {
	m.key(field, asBytes)
	*m = binary.AppendUvarint(*m, uint64(len(v)))
	*m = append(*m, v...)
}

func (m *message) text(field uint64, v string) { m.bytes(field, []byte(v)) }

// The numbers of fields, from event.proto, summary.proto, tensor.proto, tensor_shape.proto and types.proto of
// TensorFlow.
const (
	eventTime       = 1
	eventStep       = 2
	eventVersion    = 3
	eventSummary    = 5
	eventSession    = 7
	sessionStatus   = 1
	sessionStarts   = 1 // a value of sessionStatus
	summaryValue    = 1
	valueTag        = 1
	valueNumber     = 2
	valueImage      = 4
	valueTensor     = 8
	valueMetadata   = 9
	metadataPlugin  = 1
	pluginName      = 1
	imageHeight     = 1
	imageWidth      = 2
	imageColors     = 3
	imageEncoded    = 4
	tensorType      = 1
	tensorOfStrings = 7 // a value of tensorType
	tensorShape     = 2
	tensorStrings   = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the CRC32C of data, rotated and moved: a checksum of data that has checksums in it would be weak otherwise.
func masked(data []byte) uint32 {
	c := crc32.Checksum(data, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// record puts an event in the form of the file.
func record(event message) []byte {
	r := binary.LittleEndian.AppendUint64(make([]byte, 0, len(event)+16), uint64(len(event)))
	r = binary.LittleEndian.AppendUint32(r, masked(r))
	r = append(r, event...)
	return binary.LittleEndian.AppendUint32(r, masked(event))
}

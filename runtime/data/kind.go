package data

import (
	"encoding/binary"
	"strings"
)

// kinds are what files are that somebody might name as data by mistake, by what they begin with.
var kinds = []struct {
	at    int
	magic string
	name  string
}{
	{0, "\x93NUMPY", "an array of NumPy (NPY)"},
	{0, "\x89PNG\r\n\x1a\n", "a PNG image"},
	{0, "\xff\xd8\xff", "a JPEG image"},
	{0, "GIF87a", "a GIF image"},
	{0, "GIF89a", "a GIF image"},
	{0, "II*\x00", "a TIFF image"},
	{0, "MM\x00*", "a TIFF image"},
	{8, "WEBP", "a WebP image"},
	{8, "WAVE", "a WAVE sound"},
	{0, "OggS", "an Ogg file"},
	{0, "fLaC", "a FLAC sound"},
	{0, "ID3", "an MP3 sound"},
	{0, "MThd", "a MIDI file"},
	{4, "ftyp", "an MPEG-4 file"},
	{0, "\x1aE\xdf\xa3", "a Matroska file"},
	{0, "%PDF-", "a PDF document"},
	{0, "PK\x03\x04", "a ZIP archive, or a document that is one"},
	{0, "PK\x05\x06", "an empty ZIP archive"},
	{0, "7z\xbc\xaf\x27\x1c", "a 7z archive"},
	{0, "Rar!\x1a\x07", "a RAR archive"},
	{257, "ustar", "a tar archive"},
	{0, "BZh", "compressed with bzip2, which is not read"},
	{0, "\xfd7zXZ\x00", "compressed with xz, which is not read"},
	{0, "\x04\x22\x4d\x18", "compressed with lz4, which is not read"},
	{0, "LZIP", "compressed with lzip, which is not read"},
	{0, "\x1f\x9d", "compressed with compress, which is not read"},
	{0, "SQLite format 3\x00", "an SQLite database"},
	{0, "PAR1", "a Parquet file"},
	{0, "ARROW1", "an Arrow file"},
	{0, "Obj\x01", "an Avro file"},
	{0, "\x89HDF\r\n\x1a\n", "an HDF5 file"},
	{0, "GGUF", "a model in GGUF"},
	{0, "\x80\x02", "a pickle of Python"},
	{0, "\x80\x03", "a pickle of Python"},
	{0, "\x80\x04", "a pickle of Python"},
	{0, "\x80\x05", "a pickle of Python"},
	{0, "\x7fELF", "a program (ELF)"},
	{0, "MZ", "a program of Windows"},
	{0, "\xcf\xfa\xed\xfe", "a program (Mach-O)"},
	{0, "\xca\xfe\xba\xbe", "a Java class or a program (Mach-O)"},
	{0, "\x00asm", "a WebAssembly module"},
	{0, "!<arch>\n", "an archive of object files"},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Microsoft Office"},
}

// binaryKind says what kind of file begins with head, or is empty where it may be text. That a text begins with the
// letters of a known format is no proof: the head must also have control characters.
func binaryKind(head []byte) string {
	if looksLikeText(head) {
		return ""
	}
	if isSafetensors(head) {
		return "a model's checkpoint (safetensors)"
	}
	for _, k := range kinds {
		if len(head) >= k.at+len(k.magic) && string(head[k.at:k.at+len(k.magic)]) == k.magic {
			return k.name
		}
	}
	return ""
}

// looksLikeText reports whether head has none of the control characters that no text has, in UTF-8 or in another
// encoding.
func looksLikeText(head []byte) bool {
	for _, c := range head {
		if c < ' ' && !strings.ContainsRune("\t\n\r\f\v\b\x1a\x1b", rune(c)) {
			return false
		}
	}
	return true
}

// isSafetensors reports whether a file that begins with head holds tensors: the length of a JSON object, and this.
func isSafetensors(head []byte) bool {
	return len(head) > 9 && binary.LittleEndian.Uint64(head) < 1<<32 && head[8] == '{'
}

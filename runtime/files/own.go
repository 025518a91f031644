package files

import (
	"bytes"
	"encoding/binary"
	"io"
	"path/filepath"
	"regexp"
)

// HeadSize is how many bytes of a file [OwnHead] needs at the most.
const HeadSize = 4096

// Own tells what a file is that a program of this project has written for itself: "checkpoint", "log", "token
// file" or "temporary file"; "" for any other. Readers of a folder leave such files out: a model does not learn from
// its own checkpoints. It goes by content, and not by names. A file that cannot be read is nobody's.
func Own(path string) string {
	f, err := Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, HeadSize)
	n, err := io.ReadFull(f, head)
	if err != nil && n == 0 {
		head = nil
	}
	return OwnHead(path, head[:n])
}

// OwnHead is [Own] where the first HeadSize bytes of a file, or all that it has, are known.
func OwnHead(path string, head []byte) string {
	switch {
	case tempName.MatchString(filepath.Base(path)):
		return "temporary file"
	case isCheckpoint(head):
		return "checkpoint"
	case isLog(head):
		return "log"
	case bytes.HasPrefix(head, []byte(TokenMagic)):
		return "token file"
	}
	return ""
}

// TokenMagic is what token files begin with, which have the tokens of texts.
const TokenMagic = "gradsmith tokens 1"

// isCheckpoint knows the beginning of a safetensors file whose metadata, which stand first, have keys of this project.
func isCheckpoint(head []byte) bool {
	if len(head) < 8 {
		return false
	}
	length := binary.LittleEndian.Uint64(head)
	return length < 1<<32 && bytes.HasPrefix(head[8:], []byte(`{"__metadata__":{"gradsmith.`))
}

// logLine is how a line of a training's log begins.
var logLine = regexp.MustCompile(`^\{"step":[0-9]+,"seconds":[-+.0-9eE]+,"(loss|validation|run|machine)":`)

// isLog knows a log of a training by its first line.
func isLog(head []byte) bool { return logLine.Match(head) }

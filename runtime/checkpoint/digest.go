package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"
)

// A file has the SHA-256 of the bytes of each tensor in its metadata, and one of all else that its header says. So
// what is read can be verified without the rest, and an error can name the tensor. Files of other programs have none,
// nor do those that were written by gradsmith 0.4.0 and before.

// Keys of the metadata.
const (
	keyDigest    = "gradsmith.digest"  // of the header
	digestPrefix = "gradsmith.digest/" // and then the name of a tensor
)

// headerDigest is the hex SHA-256 of the metadata but for itself, in the order of their keys, and of the names, types
// and shapes of the tensors, in the order of their bytes.
func headerDigest(metadata map[string]string, entries []namedEntry) string {
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		if k != keyDigest {
			fmt.Fprintf(h, "%q %q\n", k, metadata[k])
		}
	}
	for _, e := range entries {
		fmt.Fprintf(h, "%q %q %v\n", e.name, e.DType, e.Shape)
	}
	return sum(h)
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// checkHeader reports a header that is not what its digest says.
func (s *source) checkHeader() error {
	want, ok := s.metadata[keyDigest]
	if !ok {
		return nil
	}
	if headerDigest(s.metadata, s.entries) != want {
		return fmt.Errorf("is damaged: its header does not have the digest that it gives; take another copy of the "+
			"file (a program that changes a checkpoint must leave out the metadata that begin with %s)", keyDigest)
	}
	return nil
}

// verify reports a tensor whose bytes are not what the file's digest of them says.
func (s *source) verify(e *namedEntry) error {
	if s.metadata[keyDigest] == "" {
		return nil
	}
	h := sha256.New()
	if s.buffer == nil {
		s.buffer = make([]byte, chunk)
	}
	if _, err := io.CopyBuffer(h, io.NewSectionReader(s.body, int64(e.Offsets[0]), int64(e.Offsets[1]-e.Offsets[0])),
		s.buffer); err != nil {
		return fmt.Errorf("tensor %q can't be read: %w", e.name, err)
	}
	if sum(h) != s.metadata[digestPrefix+e.name] {
		return fmt.Errorf("is damaged: tensor %q does not have the digest that the file gives; take another copy of "+
			"the file", e.name)
	}
	return nil
}

// verifyAll verifies every tensor.
func (s *source) verifyAll() error {
	for i := range s.entries {
		if err := s.verify(&s.entries[i]); err != nil {
			return err
		}
	}
	return nil
}

// withoutDigests are metadata as their writer gave them.
func withoutDigests(metadata map[string]string) map[string]string {
	if metadata[keyDigest] == "" {
		return metadata
	}
	m := map[string]string{}
	for k, v := range metadata {
		if k != keyDigest && !strings.HasPrefix(k, digestPrefix) {
			m[k] = v
		}
	}
	return m
}

// Verify reads all of the file at path and compares it with its digests. It reports false for a file that has none:
// one of another program or of gradsmith 0.4.0 and before.
func Verify(path string) (hasDigest bool, err error) {
	err = read(path, func(s *source) error {
		hasDigest = s.metadata[keyDigest] != ""
		return s.verifyAll()
	})
	return hasDigest, err
}

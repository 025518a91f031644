// Package zstd lets a program read data that is compressed with zstd: import it for that alone, as
//
//	import _ "github.com/gradsmith/gradsmith/runtime/data/zstd"
//
// The commands of generated programs do; a program that only runs a model need not link it.
package zstd

import (
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/gradsmith/gradsmith/runtime/data"
)

func init() {
	data.Register("zstd", func(r io.Reader) (io.ReadCloser, error) {
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	})
}

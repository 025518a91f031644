package main

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/files"
)

func outFlag(cmd *cobra.Command, out *string) {
	cmd.Flags().StringVarP(out, "out", "o", "", "write to `FILE` rather than to standard output")
}

// output writes what a command made to standard output or, if path is not empty, to a file.
func output(cmd *cobra.Command, path string, data []byte) error {
	if path == "" {
		_, err := cmd.OutOrStdout().Write(data)
		return err
	}
	return written(files.WriteFile(path, data))
}

// written puts an error of package files into the words of this program.
func written(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) && err == error(pe) {
		return fmt.Errorf("%s cannot be %s: %w", pe.Path, participles[pe.Op], pe.Err)
	}
	return err
}

var participles = map[string]string{"write": "written", "make": "made"}

// cause is the reason in an error of the operating system, without the operation and the path.
func cause(err error) error { return files.Cause(err) }

// isNotDir tells whether a path goes through a file as if it were a folder.
func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
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
	return writeFiles([]file{{path, data}})
}

// file is a file to be written.
type file struct {
	path string
	data []byte
}

// writeFiles writes all files or, if one cannot be written, none: each goes to a temporary file beside its place, and
// only when all are complete do they move there. Files that hold the data already are left alone, with their times.
func writeFiles(files []file) (err error) {
	temps := make([]string, len(files))
	defer func() {
		if err != nil {
			for _, t := range temps {
				if t != "" {
					os.Remove(t)
				}
			}
		}
	}()
	for i, f := range files {
		if old, err := os.ReadFile(f.path); err == nil && bytes.Equal(old, f.data) {
			continue
		}
		if info, err := os.Stat(f.path); err == nil && info.IsDir() {
			return fmt.Errorf("%s cannot be written: it is a folder", f.path)
		}
		temps[i], err = writeTemp(f)
		if err != nil {
			return fmt.Errorf("%s cannot be written: %w", f.path, cause(err))
		}
	}
	for i, t := range temps {
		if t == "" {
			continue
		}
		if err := os.Rename(t, files[i].path); err != nil {
			return fmt.Errorf("%s cannot be written: %w", files[i].path, cause(err))
		}
		temps[i] = ""
	}
	return nil
}

// writeTemp writes a file's data beside its place and returns the path.
func writeTemp(f file) (path string, err error) {
	t, err := os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+".*.tmp")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			t.Close()
			os.Remove(t.Name())
		}
	}()
	if _, err = t.Write(f.data); err != nil {
		return "", err
	}
	if err = t.Chmod(mode(f.path)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return "", err
	}
	return t.Name(), t.Close()
}

// mode is the permission of the file that is replaced, or that of a new one. os.CreateTemp gives its file to its owner
// alone, which is wrong for source code.
func mode(path string) fs.FileMode {
	if info, err := os.Stat(path); err == nil {
		return info.Mode().Perm()
	}
	return 0o644
}

// cause drops the name of a temporary file, which means nothing to the user, from an error.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err
	}
	return err
}

// isNotDir tells whether a path goes through a file as if it were a folder.
func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

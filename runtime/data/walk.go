package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/files"
)

// Files is the files that paths name, in their order: a file itself, and of a folder all files in it whose names match
// a pattern, such as "*.go", in the order of their names, folders in it included. An empty pattern matches all. Links
// are followed; one that leads back into a folder that holds it is an error that names it. Of a folder, files and
// folders whose names begin with a dot are left out, and so are the files that trainings write: checkpoints and logs.
// It is an error when there is no file.
func Files(match string, paths ...string) ([]string, error) {
	if _, err := filepath.Match(match, ""); err != nil {
		return nil, fmt.Errorf("the pattern %q for names of files is not valid: %w", match, err)
	}
	var all []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, unreadable(path, err)
		}
		if !info.IsDir() {
			all = append(all, path)
			continue
		}
		before, left := len(all), 0
		hidden := func(path string) bool { return strings.HasPrefix(filepath.Base(path), ".") }
		err = Walk(path, hidden, func(path string) error {
			if ok, _ := filepath.Match(match, filepath.Base(path)); match != "" && !ok {
				return nil
			}
			if files.Own(path) != "" {
				left++
			} else {
				all = append(all, path)
			}
			return nil
		}, func(c *CycleError) error { return c })
		switch {
		case errors.As(err, new(*fs.PathError)):
			return nil, unreadable(path, err)
		case err != nil:
			return nil, err
		case len(all) > before:
		case left > 0:
			return nil, fmt.Errorf("%s: no file is in it but what trainings wrote", path)
		case match != "":
			return nil, fmt.Errorf("%s: no file in it has a name like %q", path, match)
		default:
			return nil, fmt.Errorf("%s: no file is in it", path)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("no data: no file is named")
	}
	return all, nil
}

// A CycleError tells of a link that leads back into a folder that holds it.
type CycleError struct {
	Link   string // the path of the link
	Folder string // the path of the folder that it leads back to
}

// Error names both.
func (e *CycleError) Error() string {
	return fmt.Sprintf("%s is a link that leads back to %s, which holds it: remove it", e.Link, e.Folder)
}

// Walk calls each for the files below root, in the order of their names, folders included. Links are followed, a root
// that is one too; what is neither a file nor a folder, such as a socket, is left out. Files and folders for which
// skip holds are left out, root never. A link that leads back is not followed: cycle is told of it, and its error, as
// that of each, ends the walk.
func Walk(root string, skip func(path string) bool, each func(path string) error, cycle func(*CycleError) error) error {
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return each(root)
	}
	w := walker{skip, each, cycle}
	return w.walk([]folder{{root, info}})
}

type folder struct {
	path string
	info fs.FileInfo
}

type walker struct {
	skip  func(path string) bool
	each  func(path string) error
	cycle func(*CycleError) error
}

// walk walks the last of folders, each of which is in the one before it.
func (w *walker) walk(folders []folder) error {
	dir := folders[len(folders)-1].path
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if w.skip(path) {
			continue
		}
		info, err := e.Info()
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			info, err = os.Stat(path)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist) && e.Type()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a link to what does not exist: remove it", path)
		case errors.Is(err, fs.ErrNotExist):
			continue // it has just been removed
		case err != nil:
			return err
		case info.Mode().IsRegular():
			if err := w.each(path); err != nil {
				return err
			}
		case info.IsDir():
			back := slices.IndexFunc(folders, func(f folder) bool { return os.SameFile(f.info, info) })
			if back >= 0 {
				err = w.cycle(&CycleError{path, folders[back].path})
			} else {
				err = w.walk(append(folders[:len(folders):len(folders)], folder{path, info}))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

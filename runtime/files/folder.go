package files

import "fmt"

// MkdirAll makes a folder and those that it lies in, as far as they do not exist.
func MkdirAll(dir string) error {
	if _, err := makeFolders(dir); err != nil {
		return fmt.Errorf("can't make the folder %s: %w", dir, Cause(err))
	}
	return nil
}

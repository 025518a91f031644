package files

import "os"

// Scratch makes a folder in that of the system for temporary files, for what a run needs for itself, such as a program
// that it builds and starts. remove removes it with all that is in it; nothing of a user belongs there.
func Scratch(name string) (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", name+"-*")
	if err != nil {
		return "", nil, err
	}
	return dir, func() { os.RemoveAll(dir) }, nil
}

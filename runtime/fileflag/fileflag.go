// Package fileflag refuses a command that would write over what it reads, or write two things to one file. A [Table]
// says of every flag and of every command's arguments whether they name files that are read or written;
// [Table.Missing], for tests, finds what a table does not know, so that no command can be forgotten.
//
// It must not know what a command does.
package fileflag

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/files"
)

// Role is what a flag or an argument names.
type Role int

// The roles.
const (
	Text    Role = iota + 1 // no file
	Input                   // a file that is read, or a folder whose files are
	Output                  // a file that is written
	Update                  // a file that is added to
	Pattern                 // the files of folders that are read
)

func (r Role) writes() bool { return r == Output || r == Update }

// Table says what the flags and the arguments of a program's commands are. A flag of one name has one role, in whatever
// command it stands.
type Table struct {
	Flags map[string]Role
	Args  map[string]Role // by the command's name, without those of its parents
	// List gives the files that are read of paths, of which some may be folders, for a pattern of names, which may be
	// empty.
	List func(pattern string, paths ...string) ([]string, error)
}

// named is a path with what the user calls it.
type named struct {
	what, path string
	role       Role
}

// Check reports a file that the command would write over although it reads it, or would write twice. It opens no file.
func (t *Table) Check(cmd *cobra.Command, args []string) error {
	all, pattern := t.names(cmd, args)
	for i, out := range all {
		if !out.role.writes() {
			continue
		}
		for k, other := range all {
			if k == i || other.role.writes() && k > i {
				continue // the pair comes once
			}
			if files.Same(out.path, other.path) {
				return conflict(out, other)
			}
			if other.role == Input && t.within(out.path, other.path, pattern) {
				return fmt.Errorf("%s is one of the files of %s, which would be lost: name another file", out, other)
			}
		}
	}
	return nil
}

// conflict is the error for two names of one file.
func conflict(out, other named) error {
	if other.role.writes() {
		return fmt.Errorf("%s and %s are the same file: name another one for one of them", other, out)
	}
	return fmt.Errorf("%s is the same file as %s, which would be lost: name another file", out, other)
}

func (n named) String() string { return n.what + " " + n.path }

// names are the paths that the command's flags, defaults included, and its arguments give, and the pattern for folders.
func (t *Table) names(cmd *cobra.Command, args []string) (all []named, pattern string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		role := t.Flags[f.Name]
		if role == Pattern {
			pattern = f.Value.String()
		}
		if role != Input && !role.writes() {
			return
		}
		values := []string{f.Value.String()}
		if s, ok := f.Value.(pflag.SliceValue); ok {
			values = s.GetSlice()
		}
		for _, path := range values {
			if path != "" {
				all = append(all, named{"--" + f.Name, path, role})
			}
		}
	})
	if role := t.Args[cmd.Name()]; role == Input || role.writes() {
		for _, path := range args {
			all = append(all, named{"the argument", path, role})
		}
	}
	return all, pattern
}

// Of gives the command's flags that name files which are written, and those that name any files, for tests.
func (t *Table) Of(cmd *cobra.Command) (written, all []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		role := t.Flags[f.Name]
		if role.writes() {
			written = append(written, "--"+f.Name)
		}
		if role == Input || role.writes() {
			all = append(all, "--"+f.Name)
		}
	})
	return written, all
}

// within tells whether the file at path, which must be there, would be read as one of a folder. Files that programs of
// this project write for themselves are not.
func (t *Table) within(path, dir, pattern string) bool {
	info, err := files.Stat(dir)
	if err != nil || !info.IsDir() || t.List == nil {
		return false
	}
	if info, err := files.Stat(path); err != nil || !info.Mode().IsRegular() || files.Own(path) != "" {
		return false
	}
	list, err := t.List(pattern, dir)
	if err != nil {
		return false // which the command will report
	}
	return slices.ContainsFunc(list, func(name string) bool { return files.Same(path, name) })
}

// number matches the types of flags that cannot name a file.
var number = regexp.MustCompile(`^(bool|count|u?int[0-9]*|float(32|64)|duration)(Slice)?$`)

// Missing reports the flags that take text and the commands that take arguments, below root, of which the table does
// not say what they name.
func (t *Table) Missing(root *cobra.Command) error {
	missing := map[string]bool{}
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !number.MatchString(f.Value.Type()) && t.Flags[f.Name] == 0 {
				missing["--"+f.Name] = true
			}
		})
		if words := strings.Fields(cmd.Use); len(words) > 1 && cmd.Runnable() && t.Args[cmd.Name()] == 0 {
			missing["the arguments of "+cmd.Name()] = true
		}
		for _, c := range cmd.Commands() {
			look(c)
		}
	}
	look(root)
	if len(missing) == 0 {
		return nil
	}
	return errors.New("the table of file flags does not say whether these name files: " +
		strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
}

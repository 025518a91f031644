package files

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Change is what becomes of one file of a folder.
type Change struct {
	Name   string // within the folder, with slashes
	Data   []byte // what the file holds then
	Remove bool   // or it is removed

	// Write, where it is not nil, writes what the file holds then, in place of Data: for files that are too large to be
	// held in memory.
	Write func(io.Writer) error
}

// Stage is the right to change files of a folder, together: all of them or none. It is made by [Begin].
//
// New files are written into a folder beside them, .gradsmith-stage, with copies of those that they replace and a
// journal that names them. Once the journal has its name the change is decided: whoever comes next, after a crash at
// any point, goes on from it. Before that, nothing has happened.
type Stage struct {
	dir     string
	lock    File
	made    []string // folders that Begin has made, the outermost first
	decided bool     // the journal is in its place
	done    bool
}

// StageName is the name of the folder in which a change is prepared.
const StageName = ".gradsmith-stage"

// Names in the stage: besides these, new-N and old-N for the files.
const (
	lockName    = "lock"
	journalName = "journal"
	undoName    = "undo" // the journal of a change that is taken back
)

// journal says what a change does, for whoever has to end it.
type journal struct {
	Changes []journalEntry `json:"changes"`
	Folders []string       `json:"folders,omitempty"` // made for it, below the folder, the outermost first
}

type journalEntry struct {
	Name string `json:"name"`
	New  string `json:"new,omitempty"` // digest of what the file holds then; empty where it is removed
	Old  string `json:"old,omitempty"` // digest of what it held; empty where there was none
}

// Interrupted tells whether a change of files of the folder has not come to its end, or goes on: [Begin] ends one whose
// process is gone.
func Interrupted(dir string) bool {
	_, err := sys().Lstat(filepath.Join(dir, StageName))
	return err == nil
}

// Begin takes a folder for a change of its files, makes the folder if it is not there, and ends a change that was
// interrupted: one that was decided is completed, any other leaves nothing. The caller looks at the files after that,
// calls Commit at most once, and Close.
func Begin(dir string) (*Stage, error) {
	s := &Stage{dir: dir}
	var err error
	if s.made, err = makeFolders(dir); err != nil {
		removeFolders(s.made)
		return nil, &fs.PathError{Op: "make", Path: dir, Err: Cause(err)}
	}
	if s.lock, err = s.take(); err != nil {
		removeFolders(s.made)
		return nil, err
	}
	if err := s.recover(); err != nil {
		s.leave() // a journal that is there stays there
		removeFolders(s.made)
		return nil, fmt.Errorf("a change of files in %s that was interrupted cannot be ended: %w", dir, err)
	}
	return s, nil
}

// at is a path in the stage.
func (s *Stage) at(name string) string { return filepath.Join(s.dir, StageName, name) }

func (s *Stage) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// take makes the stage and locks it.
func (s *Stage) take() (File, error) {
	fail := func(err error) error {
		return &fs.PathError{Op: "write", Path: s.dir, Err: Cause(err)}
	}
	for range 1000 {
		err := sys().Mkdir(filepath.Join(s.dir, StageName), 0o777)
		made := err == nil
		if err != nil && !errors.Is(err, fs.ErrExist) {
			sys().Remove(filepath.Join(s.dir, StageName)) // the call may have had its effect; only an empty folder goes
			return nil, fail(err)
		}
		f, err := sys().OpenFile(s.at(lockName), os.O_RDWR|os.O_CREATE, 0o666)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process has just removed the stage
		}
		if err != nil {
			if made {
				sys().Remove(filepath.Join(s.dir, StageName))
			}
			return nil, fail(err)
		}
		err = f.Lock()
		if errors.Is(err, ErrLocked) {
			f.Close()
			return nil, fmt.Errorf("another process is changing the files in %s; wait until it is done", s.dir)
		}
		here := false
		if err == nil || errors.Is(err, errors.ErrUnsupported) {
			if here, err = stands(s.at(lockName), f); here {
				return f, nil
			}
		}
		f.Close()
		if err != nil {
			if made {
				sys().Remove(s.at(lockName))
				sys().Remove(filepath.Join(s.dir, StageName))
			}
			return nil, fail(err)
		}
	}
	return nil, fail(errors.New("it cannot be taken"))
}

// Commit makes the changes. Files that hold their data already are left alone, with their times, and files to remove
// may be gone. On an error all is as it was; when even that fails, the error says that the next change of the folder
// ends this one.
func (s *Stage) Commit(changes []Change) error {
	j, infos, err := s.plan(changes)
	if err != nil || len(j.Changes) == 0 {
		return err
	}
	if err := s.prepare(j, infos, changes); err != nil {
		return err
	}
	s.decided = true
	if err := s.apply(j, false); err != nil {
		if undone := s.takeBack(j); undone != nil {
			return fmt.Errorf("%w; run the command again, which ends the change that has begun", err)
		}
		return err
	}
	s.done = true
	return nil
}

// plan compares the changes with what is there.
func (s *Stage) plan(changes []Change) (*journal, map[string]fs.FileInfo, error) {
	j, infos := &journal{}, map[string]fs.FileInfo{}
	for _, c := range changes {
		path := s.path(c.Name)
		target, info, err := destination(path)
		if err != nil || info != nil && !info.Mode().IsRegular() {
			if err == nil {
				err = errors.New("it is not a file")
			}
			return nil, nil, writeError(path, err)
		}
		if target != path {
			return nil, nil, writeError(path, errors.New("it is a symbolic link")) // which would leave the folder
		}
		old := ""
		if info != nil {
			if old, err = digestOf(path); err != nil {
				return nil, nil, writeError(path, err)
			}
		}
		if e := (journalEntry{c.Name, newDigest(c), old}); c.Write != nil || e.New != e.Old {
			j.Changes = append(j.Changes, e)
			infos[c.Name] = info
		}
	}
	return j, infos, nil
}

func newDigest(c Change) string {
	if c.Remove || c.Write != nil { // prepare knows the digest of what is written
		return ""
	}
	return digest(c.Data)
}

// prepare fills the stage, the journal last.
func (s *Stage) prepare(j *journal, infos map[string]fs.FileInfo, changes []Change) error {
	for i, e := range j.Changes {
		path := s.path(e.Name)
		c := changes[slices.IndexFunc(changes, func(c Change) bool { return c.Name == e.Name })]
		if !c.Remove {
			h := sha256.New()
			write := func(w io.Writer) error {
				w = io.MultiWriter(w, h)
				if c.Write != nil {
					return c.Write(w)
				}
				_, err := w.Write(c.Data)
				return err
			}
			if err := s.put(fmt.Sprintf("new-%d", i), write, infos[e.Name]); err != nil {
				return writeError(path, err)
			}
			j.Changes[i].New = hex.EncodeToString(h.Sum(nil))
		}
		if e.Old != "" {
			h := sha256.New()
			err := s.put(fmt.Sprintf("old-%d", i), func(w io.Writer) error { return read(path, io.MultiWriter(w, h)) },
				infos[e.Name])
			if err == nil && hex.EncodeToString(h.Sum(nil)) != e.Old {
				err = errors.New("it has just been changed by somebody else")
			}
			if err != nil {
				return writeError(path, err)
			}
		}
		for dir := filepath.Dir(e.Name); dir != "."; dir = filepath.Dir(dir) {
			if _, err := sys().Lstat(s.path(dir)); errors.Is(err, fs.ErrNotExist) && !slices.Contains(j.Folders,
				filepath.ToSlash(dir)) {
				j.Folders = append(j.Folders, filepath.ToSlash(dir))
			}
		}
	}
	slices.Sort(j.Folders) // a folder stands before what is in it
	data, err := json.Marshal(j)
	if err != nil {
		return err
	}
	write := func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
	if err := s.put(journalName+".tmp", write, nil); err != nil {
		return writeError(s.dir, err)
	}
	syncFolder(filepath.Join(s.dir, StageName))
	return writeError(s.dir, sys().Rename(s.at(journalName+".tmp"), s.at(journalName)))
}

// put writes a file of the stage, for one that info describes, if any.
func (s *Stage) put(name string, write func(io.Writer) error, info fs.FileInfo) error {
	f, err := sys().OpenFile(s.at(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	return errors.Join(fill(f, info, write), f.Close())
}

// apply does what the journal says, or what is left of it. A file that holds neither what it held when the journal was
// written nor what it is to hold has been changed since, and is left alone.
//
// late says that the journal is of another process, which may have done all of it: what is gone from the stage stands
// in its place, or did.
func (s *Stage) apply(j *journal, late bool) error {
	for _, dir := range j.Folders {
		if err := sys().Mkdir(s.path(dir), 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return writeError(s.path(dir), err)
		}
	}
	for i, e := range j.Changes {
		path := s.path(e.Name)
		now, err := digestOf(path)
		switch {
		case err != nil:
		case now != e.Old || now == e.New:
			continue
		case e.New == "":
			err = sys().Remove(path)
		default:
			err = sys().Rename(s.at(fmt.Sprintf("new-%d", i)), path)
		}
		if err != nil && !(late && errors.Is(err, fs.ErrNotExist)) {
			return writeError(path, err)
		}
	}
	s.syncFolders(j)
	return nil
}

func (s *Stage) syncFolders(j *journal) {
	for dir := range foldersOf(j) {
		syncFolder(s.path(dir))
	}
}

func foldersOf(j *journal) map[string]bool {
	dirs := map[string]bool{}
	for _, e := range j.Changes {
		dirs[filepath.Dir(e.Name)] = true
	}
	return dirs
}

// takeBack undoes what was applied. From the moment in which the journal has its other name, whoever comes next goes on
// with that.
func (s *Stage) takeBack(j *journal) error {
	if err := sys().Rename(s.at(journalName), s.at(undoName)); err != nil {
		return err
	}
	if err := s.undo(j); err != nil {
		return err
	}
	s.decided = false
	return nil
}

func (s *Stage) undo(j *journal) error {
	for i, e := range j.Changes {
		path := s.path(e.Name)
		now, err := digestOf(path)
		switch {
		case err != nil:
		case now != e.New || now == e.Old:
			continue
		case e.Old == "":
			err = sys().Remove(path)
		default:
			err = sys().Rename(s.at(fmt.Sprintf("old-%d", i)), path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // what is gone from the stage has been put back
			return err
		}
	}
	for _, dir := range slices.Backward(j.Folders) {
		sys().Remove(s.path(dir)) // unless somebody has put something there
	}
	s.syncFolders(j)
	return nil
}

// recover ends the change of a process that is gone.
func (s *Stage) recover() error {
	for _, way := range []struct {
		name string
		do   func(*journal) error
	}{{journalName, func(j *journal) error { return s.apply(j, true) }}, {undoName, s.undo}} {
		data, err := ReadFile(s.at(way.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		var j journal
		if err := json.Unmarshal(data, &j); err != nil {
			return fmt.Errorf("%s is not a journal: %w; remove %s", s.at(way.name), err,
				filepath.Join(s.dir, StageName))
		}
		for _, e := range j.Changes {
			if !filepath.IsLocal(filepath.FromSlash(e.Name)) {
				return fmt.Errorf("%s names %q, which lies outside of the folder; remove %s", s.at(way.name), e.Name,
					filepath.Join(s.dir, StageName))
			}
		}
		if err := way.do(&j); err != nil {
			return err
		}
		if err := sys().Remove(s.at(way.name)); err != nil {
			return err
		}
	}
	return s.empty()
}

// empty removes all of the stage but the lock.
func (s *Stage) empty() error {
	entries, err := sys().ReadDir(filepath.Join(s.dir, StageName))
	if err != nil {
		return err
	}
	// The journals first: without them the rest means nothing.
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(order(a.Name()), order(b.Name())) })
	for _, e := range entries {
		if e.Name() != lockName {
			if err := sys().Remove(s.at(e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// order is where a name of the stage stands when they are removed.
func order(name string) int {
	if name == journalName || name == undoName {
		return 0
	}
	return 1
}

// Close gives the folder free. Without a Commit that has succeeded it leaves what Begin found.
func (s *Stage) Close() {
	if s.decided && !s.done {
		s.lock.Close() // the journal stays, for whoever comes next
		return
	}
	if s.empty() == nil {
		s.leave()
	} else {
		s.lock.Close()
	}
	if !s.done {
		removeFolders(s.made)
	}
}

// leave gives the lock back, and removes the stage where nothing else is in it.
func (s *Stage) leave() {
	if !renameOpen {
		s.lock.Close()
	}
	sys().Remove(s.at(lockName))
	sys().Remove(filepath.Join(s.dir, StageName))
	if renameOpen {
		s.lock.Close()
	}
}

// makeFolders is os.MkdirAll, and returns the folders that it has made, the outermost first.
func makeFolders(dir string) (made []string, err error) {
	var missing []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := sys().Stat(at)
		if err == nil {
			if !info.IsDir() {
				return nil, fmt.Errorf("%s is not a folder", at)
			}
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		missing = append(missing, at)
		if at == filepath.Dir(at) {
			break
		}
	}
	for _, at := range slices.Backward(missing) {
		made = append(made, at) // even if the call fails: it may have had its effect
		if err := sys().Mkdir(at, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return made, err
		}
	}
	return made, nil
}

// removeFolders removes folders that are empty, the innermost first.
func removeFolders(made []string) {
	for _, at := range slices.Backward(made) {
		sys().Remove(at)
	}
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// digestOf is the digest of a file, or "" where there is none.
func digestOf(path string) (string, error) {
	h := sha256.New()
	err := read(path, h)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// read writes the content of a file to w.
func read(path string, w io.Writer) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

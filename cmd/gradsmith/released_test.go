package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"

	"github.com/gradsmith/gradsmith/cmd/gradsmith/internal/interchange"
)

// release is the version under which the working tree is published to the tests of a user's first hour.
const release = "v1.2.3"

// released makes a module proxy of a folder, in which this working tree is the version release of the project, once for
// all tests, and returns the environment of a user's go command: it knows the project from that proxy alone, as a
// released version, and nothing of this repository.
var released = sync.OnceValues(func() ([]string, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	proxy, err := os.MkdirTemp("", "proxy-*")
	if err != nil {
		return nil, err
	}
	cleanups = append(cleanups, proxy)
	files, err := worktree(root)
	if err != nil {
		return nil, err
	}
	at := filepath.Join(proxy, filepath.FromSlash(self), "@v")
	if err := os.MkdirAll(at, 0o777); err != nil {
		return nil, err
	}
	info, err := json.Marshal(map[string]string{"Version": release, "Time": "2026-01-02T03:04:05Z"})
	if err != nil {
		return nil, err
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	for name, data := range map[string][]byte{"list": []byte(release + "\n"), release + ".info": info,
		release + ".mod": mod} {
		if err := os.WriteFile(filepath.Join(at, name), data, 0o666); err != nil {
			return nil, err
		}
	}
	f, err := os.Create(filepath.Join(at, release+".zip"))
	if err != nil {
		return nil, err
	}
	if err := zip.Create(f, module.Version{Path: self, Version: release}, files); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	// The versions that the project depends on come from the cache of modules, whose form is that of a proxy, and those
	// that no build here has fetched from where the user's come from.
	out, err := exec.Command("go", "env", "GOMODCACHE", "GOPROXY", "GOCACHE").Output()
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	// The cache of modules is a copy: a released version of the project must not stay in the user's own.
	cache := filepath.Join(proxy, "cache")
	local := "file://" + filepath.ToSlash(filepath.Join(lines[0], "cache", "download"))
	return []string{
		"GOPROXY=file://" + filepath.ToSlash(proxy) + "," + local + "," + lines[1], "GONOSUMDB=*",
		"GOMODCACHE=" + cache, "GOCACHE=" + lines[2],
		"GOFLAGS=-modcacherw -trimpath", "GOWORK=off", "GOTOOLCHAIN=local",
	}, nil
})

// cleanups are folders that go when the tests have run.
var cleanups []string

func TestMain(m *testing.M) {
	interchange.Child()
	code := m.Run()
	for _, dir := range cleanups {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// worktreeFile is a file of the working tree, as the makers of a module's zip take it.
type worktreeFile struct{ root, path string }

func (f worktreeFile) Path() string { return f.path }
func (f worktreeFile) Lstat() (os.FileInfo, error) {
	return os.Lstat(filepath.Join(f.root, filepath.FromSlash(f.path)))
}
func (f worktreeFile) Open() (io.ReadCloser, error) {
	return os.Open(filepath.Join(f.root, filepath.FromSlash(f.path)))
}

// worktree lists the files of the module at root that a release has: those that git tracks, or would.
func worktree(root string) ([]zip.File, error) {
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	var all []zip.File
	var modules []string // that lie in this one, and are not part of it
	names := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, name := range names {
		if dir, file := filepath.Split(name); file == "go.mod" && dir != "" {
			modules = append(modules, dir)
		}
	}
	for _, name := range names {
		inner := slices.ContainsFunc(modules, func(dir string) bool { return strings.HasPrefix(name, dir) })
		if _, err := os.Lstat(filepath.Join(root, name)); err == nil && !inner {
			all = append(all, worktreeFile{root, name})
		}
	}
	return all, nil
}

package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAnywhere generates, checks and builds a package in all the places and settings in which people's modules stand:
// each time the spec has changed before, so that verify must find the code stale, and fresh behind generate.
func TestAnywhere(t *testing.T) {
	u := newUser(t)
	home := filepath.Join(t.TempDir(), "my models", "of (2026) & before")
	if err := os.MkdirAll(home, 0o777); err != nil {
		t.Fatal(err)
	}
	u.dir = home
	u.run("go mod init example.com/mine")
	u.run("go get -tool " + self + "/cmd/gradsmith@latest")
	u.run("go tool gradsmith init rnn poet")
	u.smaller("poet/poet.yaml", "shape: {batch: 32, steps: 64}", "shape: {batch: 4, steps: 16}", "size: 64", "size: 8",
		"units: 256", "units: 16")
	u.run("go generate ./...")
	cache := strings.TrimSpace(u.run("go env GOMODCACHE"))

	units := 16
	again := func(t *testing.T, settings string) {
		t.Helper()
		u.smaller("poet/poet.yaml", fmt.Sprintf("units: %d", units), fmt.Sprintf("units: %d", units+1))
		units++
		if _, errOut, err := u.try(settings + " go tool gradsmith verify ./..."); err == nil ||
			!strings.Contains(errOut, "stale") {
			t.Fatalf("verify finds code of another spec fresh: %s", errOut)
		}
		u.run(settings + " go generate ./...")
		u.run(settings + " go tool gradsmith verify ./...")
		u.run(settings + " go vet ./...")
	}

	t.Run("blanks", func(t *testing.T) { again(t, "") })
	// The generator runs on this machine, whatever the code is for.
	for _, target := range []string{"windows/arm64", "js/wasm", "linux/386"} {
		t.Run(target, func(t *testing.T) {
			os, arch, _ := strings.Cut(target, "/")
			again(t, "GOOS="+os+" GOARCH="+arch)
		})
	}
	t.Run("link to the module", func(t *testing.T) {
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(home, link); err != nil {
			t.Skip("this system makes no links: ", err)
		}
		u.dir = link
		defer func() { u.dir = home }()
		again(t, "")
	})
	t.Run("link to the package and the spec", func(t *testing.T) {
		elsewhere := t.TempDir()
		for _, name := range []string{"poet/poet.yaml", "poet"} {
			from, to := filepath.Join(home, name), filepath.Join(elsewhere, filepath.Base(name))
			if err := os.Rename(from, to); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(to, from); err != nil {
				t.Skip("this system makes no links: ", err)
			}
		}
		// The go command follows no links to folders in its patterns: the package is named.
		u.smaller("poet/poet.yaml", fmt.Sprintf("units: %d", units), fmt.Sprintf("units: %d", units+1))
		units++
		u.run("cd poet && go generate .")
		u.run("go tool gradsmith verify poet/poet.yaml")
		for _, name := range []string{"poet", "poet/poet.yaml"} {
			at := filepath.Join(home, name)
			if info, err := os.Lstat(at); err != nil || info.Mode()&fs.ModeSymlink == 0 {
				t.Errorf("%s is a link no more: %v, %v", name, info, err)
			}
			to, err := filepath.EvalSymlinks(at)
			if err == nil {
				err = os.Remove(at)
			}
			if err == nil {
				err = os.Rename(to, at)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("cache that is only read", func(t *testing.T) {
		before := filesOf(t, filepath.Join(cache, filepath.FromSlash(self)+"@"+release))
		again(t, "GOPROXY=off GOFLAGS='-mod=readonly -trimpath'")
		if after := filesOf(t, filepath.Join(cache, filepath.FromSlash(self)+"@"+release)); !maps.Equal(before, after) {
			t.Error("generate writes into the cache of modules")
		}
	})
	t.Run("workspace", func(t *testing.T) {
		u.run("mkdir -p other && cd other && go mod init example.com/other && cd .. && go work init . ./other")
		again(t, "GOWORK=auto GOFLAGS=-trimpath")
		u.run("cd other && GOWORK=auto GOFLAGS=-trimpath go tool gradsmith verify ../poet/poet.yaml")
		u.run("rm -r go.work other")
	})
	t.Run("vendor", func(t *testing.T) {
		u.run("go mod tidy && go mod vendor")
		again(t, "GOPROXY=off GOFLAGS='-mod=vendor -trimpath'")
	})
}

// filesOf is the files of a folder with their sizes and times.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files[path] = fmt.Sprint(info.Size(), info.Mode(), info.ModTime())
		return nil
	})
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files: %v: %v", len(files), slices.Sorted(maps.Keys(files)), err)
	}
	return files
}

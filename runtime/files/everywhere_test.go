package files_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// writes are the functions of package os by which a file or a folder changes.
var writes = []string{
	"Chmod", "Chown", "Create", "CreateTemp", "Link", "Mkdir", "MkdirAll", "MkdirTemp", "OpenFile", "OpenRoot",
	"Remove", "RemoveAll",
	"Rename", "Symlink", "Truncate", "WriteFile",
}

// TestEveryWriteGoesThroughThisPackage looks for other ways of writing files in all that users run: what they write
// could be lost half way, and no test could let it fail.
func TestEveryWriteGoesThroughThisPackage(t *testing.T) {
	seen := 0
	for _, top := range []string{"../../runtime", "../../cmd", "../../gen", "../../spec", "../../generated"} {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() &&
				(d.Name() == "testdata" || path == filepath.FromSlash("../../runtime/files") ||
					path == filepath.FromSlash("../../runtime/filestest")):
				return filepath.SkipDir
			case d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			seen++
			for _, x := range f.Imports {
				if name, _ := strconv.Unquote(x.Path.Value); name == "io/ioutil" {
					t.Errorf("%s imports io/ioutil", path)
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name == "os" && slices.Contains(writes, s.Sel.Name) {
						t.Errorf("%s: os.%s: write with package runtime/files", set.Position(s.Pos()), s.Sel.Name)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 200 {
		t.Errorf("only %d files were looked at", seen)
	}
}

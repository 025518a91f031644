package emit

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// declarations are the names that Go files declare: in the package, and as fields and methods of its types that are
// not exported.
type declarations struct {
	pkg     map[string]bool
	members map[string]map[string]bool // by the name of the type
}

// declarationsOf reads them off the files, but for tests.
func declarationsOf(files map[string][]byte) (*declarations, error) {
	d := &declarations{pkg: map[string]bool{}, members: map[string]map[string]bool{}}
	member := func(typ string, id *ast.Ident) {
		if d.members[typ] == nil {
			d.members[typ] = map[string]bool{}
		}
		if !id.IsExported() {
			d.members[typ][id.Name] = true
		}
	}
	for name, src := range files {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range f.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil {
					d.pkg[decl.Name.Name] = true
					continue
				}
				typ := decl.Recv.List[0].Type
				if star, ok := typ.(*ast.StarExpr); ok {
					typ = star.X
				}
				member(typ.(*ast.Ident).Name, decl.Name)
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					switch spec := spec.(type) {
					case *ast.ValueSpec:
						for _, id := range spec.Names {
							d.pkg[id.Name] = true
						}
					case *ast.TypeSpec:
						d.pkg[spec.Name.Name] = true
						if s, ok := spec.Type.(*ast.StructType); ok {
							for _, field := range s.Fields.List {
								for _, id := range field.Names {
									member(spec.Name.Name, id)
								}
							}
						}
					}
				}
			}
		}
	}
	delete(d.pkg, "_")
	return d, nil
}

// known reports a name that the package declares beside those that the allocator has given away or keeps for it:
// something of a spec could get it too.
func (e *emitter) known(files []File) error {
	byName := map[string][]byte{}
	for _, f := range files {
		byName[f.Name] = f.Data
	}
	d, err := declarationsOf(byName)
	if err != nil {
		return err
	}
	for name := range d.pkg {
		if !e.ids.pkg.Given(name) {
			return fmt.Errorf("emit: the package declares %s, which names.go does not know", name)
		}
	}
	for name := range d.members["Model"] {
		if !e.ids.model.Given(name) {
			return fmt.Errorf("emit: the model has %s, which names.go does not know", name)
		}
	}
	for name := range d.members["Decoder"] {
		if !e.ids.decoder.Given(name) {
			return fmt.Errorf("emit: the decoder has %s, which names.go does not know", name)
		}
	}
	return nil
}

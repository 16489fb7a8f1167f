package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

const (
	module = "github.com/seed-50ced230/berth"
	engine = module + "/impl/engine"
	hub    = module + "/gen/hub"
	fault  = module + "/impl/fault"
)

// operation is what the engine does about one operation.
type operation struct {
	missing bool
	partly  []string // file:line of calls of fault.Unimplemented on the way
}

// inspect type-checks the engine and what it drives, and compares the engine's
// method set with the interface's.
func inspect(root string) (map[string]operation, error) {
	fset := token.NewFileSet()
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedSyntax | packages.NeedImports | packages.NeedDeps | packages.NeedExportFile,
		Dir:  root,
		Fset: fset,
	}, module+"/impl/...")
	if err != nil {
		return nil, err
	}
	var pkg *packages.Package
	for _, p := range loaded {
		if len(p.Errors) > 0 {
			return nil, fmt.Errorf("%s: %w", p.PkgPath, p.Errors[0])
		}
		if p.PkgPath == engine {
			pkg = p
		}
	}
	if pkg == nil {
		return nil, fmt.Errorf("there is no package %s", engine)
	}
	api, err := lookup(pkg, hub, "API")
	if err != nil {
		return nil, err
	}
	methods, ok := api.Type().Underlying().(*types.Interface)
	if !ok {
		return nil, errors.New("hub.API is not an interface")
	}
	self := pkg.Types.Scope().Lookup("Engine")
	if self == nil {
		return nil, errors.New("there is no type engine.Engine")
	}
	calls := callGraph(fset, root, loaded)
	set := types.NewMethodSet(types.NewPointer(self.Type()))
	status := map[string]operation{}
	for i := range methods.NumMethods() {
		name := methods.Method(i).Name()
		sel := set.Lookup(pkg.Types, name)
		if sel == nil {
			return nil, fmt.Errorf("engine.Engine has no method %s", name)
		}
		method := sel.Obj().(*types.Func)
		if method.Pkg().Path() == hub {
			status[name] = operation{missing: true}
			continue
		}
		status[name] = operation{partly: calls.reach(method)}
	}
	return status, nil
}

func lookup(pkg *packages.Package, path, name string) (types.Object, error) {
	imported := pkg.Imports[path]
	if imported == nil {
		return nil, fmt.Errorf("%s does not import %s", pkg.PkgPath, path)
	}
	obj := imported.Types.Scope().Lookup(name)
	if obj == nil {
		return nil, fmt.Errorf("%s has no %s", path, name)
	}
	return obj, nil
}

// graph says which functions of the packages below impl/ each one names, and
// where it makes a 501. What is called through an interface is not followed.
type graph struct {
	names   map[*types.Func][]*types.Func
	refuses map[*types.Func][]string
}

func callGraph(fset *token.FileSet, root string, loaded []*packages.Package) graph {
	g := graph{names: map[*types.Func][]*types.Func{}, refuses: map[*types.Func][]string{}}
	base, err := filepath.Abs(root)
	if err != nil {
		base = root
	}
	for _, pkg := range loaded {
		for _, file := range pkg.Syntax {
			for _, decl := range file.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok {
					g.add(fset, base, pkg, fn)
				}
			}
		}
	}
	return g
}

// add notes what a function names.
func (g graph) add(fset *token.FileSet, base string, pkg *packages.Package, fn *ast.FuncDecl) {
	from, _ := pkg.TypesInfo.Defs[fn.Name].(*types.Func)
	ast.Inspect(fn, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok {
			return true
		}
		to, ok := pkg.TypesInfo.Uses[id].(*types.Func)
		if !ok || to.Pkg() == nil {
			return true
		}
		switch path := to.Pkg().Path(); {
		case path == fault && to.Name() == "Unimplemented":
			at := fset.Position(id.Pos())
			if short, err := filepath.Rel(base, at.Filename); err == nil {
				at.Filename = short
			}
			g.refuses[from] = append(g.refuses[from], fmt.Sprintf("%s:%d", at.Filename, at.Line))
		case strings.HasPrefix(path, module+"/impl/"):
			g.names[from] = append(g.names[from], to)
		}
		return true
	})
}

// reach returns the places of 501s in a function and what it calls.
func (g graph) reach(from *types.Func) []string {
	var places []string
	seen := map[*types.Func]bool{}
	var walk func(*types.Func)
	walk = func(f *types.Func) {
		if seen[f] {
			return
		}
		seen[f] = true
		places = append(places, g.refuses[f]...)
		for _, to := range g.names[f] {
			walk(to)
		}
	}
	walk(from)
	slices.Sort(places)
	return slices.Compact(places)
}

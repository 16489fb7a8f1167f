package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"

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

// inspect type-checks the engine and compares its method set with the
// interface's.
func inspect(root string) (map[string]operation, error) {
	fset := token.NewFileSet()
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedSyntax | packages.NeedImports | packages.NeedDeps | packages.NeedExportFile,
		Dir:  root,
		Fset: fset,
	}, engine)
	if err != nil {
		return nil, err
	}
	if len(loaded) != 1 {
		return nil, fmt.Errorf("%d packages %s", len(loaded), engine)
	}
	pkg := loaded[0]
	if len(pkg.Errors) > 0 {
		return nil, fmt.Errorf("%s: %w", engine, pkg.Errors[0])
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
	calls := callGraph(fset, root, pkg)
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

// graph says which functions of the engine's package each one names, and where
// it makes a 501.
type graph struct {
	names   map[*types.Func][]*types.Func
	refuses map[*types.Func][]string
}

func callGraph(fset *token.FileSet, root string, pkg *packages.Package) graph {
	g := graph{names: map[*types.Func][]*types.Func{}, refuses: map[*types.Func][]string{}}
	base, err := filepath.Abs(root)
	if err != nil {
		base = root
	}
	for _, file := range pkg.Syntax {
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
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
				switch {
				case to.Pkg().Path() == fault && to.Name() == "Unimplemented":
					at := fset.Position(id.Pos())
					if short, err := filepath.Rel(base, at.Filename); err == nil {
						at.Filename = short
					}
					g.refuses[from] = append(g.refuses[from], fmt.Sprintf("%s:%d", at.Filename, at.Line))
				case to.Pkg() == pkg.Types:
					g.names[from] = append(g.names[from], to)
				}
				return true
			})
		}
	}
	return g
}

// reach returns the places of 501s in a function and what it calls within the
// package.
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

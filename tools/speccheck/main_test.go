package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/check"
	"github.com/seed-50ced230/berth/tools/document"
)

const dir = "../../spec"

func TestTheContractHolds(t *testing.T) {
	var out strings.Builder
	ok, err := run(dir, &out)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		t.Error(out.String())
	}
}

// TestEachLossIsSeen takes one thing of each kind out of a copy of the contract
// and expects the check to name it.
func TestEachLossIsSeen(t *testing.T) {
	in, err := load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if problems := check.Run(in).Problems; len(problems) > 0 {
		t.Fatalf("the contract itself has problems: %s", problems[0])
	}
	const v = "1.22"
	op := func(doc *yaml.Node, path, method string) *yaml.Node {
		n := document.Get(doc, "paths", path, method)
		if n == nil {
			t.Fatalf("no %s %s", method, path)
		}
		return n
	}
	example := func(doc *yaml.Node, path, method string) *yaml.Node {
		return document.Items(document.Get(op(doc, path, method), "x-examples"))[0]
	}
	for _, c := range []struct {
		name   string
		mutate func(doc *yaml.Node)
		want   string // part of a problem that must appear
	}{
		{"an operation", func(doc *yaml.Node) { document.Delete(document.Get(doc, "paths"), "/containers/{name}/top") },
			"v1.22 GET /containers/{name}/top: the operation is missing"},
		{"an operation's mode", func(doc *yaml.Node) { document.Delete(op(doc, "/info", "get"), "x-berth-mode") },
			"v1.22 SystemInfo: x-berth-mode"},
		{"a query parameter", func(doc *yaml.Node) { drop(op(doc, "/containers/{name}/logs", "get"), "parameters", "tail") },
			`v1.22 ContainerLogs: the query parameter "tail" is missing`},
		{"a path parameter", func(doc *yaml.Node) { drop(op(doc, "/volumes/{name}", "get"), "parameters", "name") },
			"v1.22 VolumeInspect: the path parameter {name} is not described"},
		{"a header", func(doc *yaml.Node) { drop(op(doc, "/images/{name}/push", "post"), "parameters", "X-Registry-Auth") },
			`v1.22 ImagePush: the header parameter "X-Registry-Auth" is missing`},
		{"a parameter's type", func(doc *yaml.Node) {
			document.Set(pick(op(doc, "/containers/{name}/logs", "get"), "parameters", "follow"), "type", document.String("string"))
		}, `the query parameter "follow" has the type "string", the reference says boolean`},
		{"a parameter's default", func(doc *yaml.Node) {
			document.Delete(pick(op(doc, "/containers/{name}/logs", "get"), "parameters", "tail"), "default")
		}, `the query parameter tail has the default "", the reference says "all"`},
		{"a filter", func(doc *yaml.Node) {
			drop(pick(op(doc, "/events", "get"), "parameters", "filters"), "x-filters", "network")
		}, `the filter "network" of "filters" is missing`},
		{"a status", func(doc *yaml.Node) {
			document.Delete(document.Get(op(doc, "/containers/{name}/kill", "post"), "responses"), "404")
		},
			"v1.22 ContainerKill: the status 404 is missing"},
		{"a body field", func(doc *yaml.Node) { property(doc, "HostConfig", "KernelMemory") },
			"the body field HostConfig.KernelMemory is missing"},
		{"a mentioned member", func(doc *yaml.Node) { property(doc, "Ulimit", "Soft") },
			`the body field HostConfig.Ulimits has no member "Soft" below it`},
		{"a member of a header", func(doc *yaml.Node) { property(doc, "AuthConfig", "registrytoken") },
			`the header X-Registry-Auth has no member "registrytoken" below it`},
		{"a body field's type", func(doc *yaml.Node) {
			document.Set(document.Get(doc, "definitions", "ContainerConfig", "properties", "Tty"), "type", document.String("integer"))
		}, `the body field Tty has the type "integer", the reference says boolean`},
		{"a property that only an example shows", func(doc *yaml.Node) { property(doc, "ContainerSummary", "SizeRw") },
			`ContainerSummary has no property "SizeRw"`},
		{"a property's type", func(doc *yaml.Node) {
			document.Set(document.Get(doc, "definitions", "Info", "properties", "NCPU"), "type", document.String("string"))
		}, "response.NCPU is of type integer, the schema says string"},
		{"a schema", func(doc *yaml.Node) {
			document.Delete(document.Get(op(doc, "/version", "get"), "responses", "200"), "schema")
		}, "the status 200 has no schema for the example's body"},
		{"a response header", func(doc *yaml.Node) {
			document.Delete(document.Get(op(doc, "/containers/{name}/archive", "get"), "responses", "200"), "headers")
		}, "the response header X-Docker-Container-Path-Stat is missing"},
		{"an example", func(doc *yaml.Node) {
			examples := document.Get(op(doc, "/images/json", "get"), "x-examples")
			examples.Content = examples.Content[1:]
		}, "v1.22 ImageList: no example for"},
		{"a placeholder", func(doc *yaml.Node) { document.Delete(example(doc, "/containers/{name}/top", "get"), "placeholders") },
			"v1.22 ContainerTop example top: the path is"},
		{"an example's query", func(doc *yaml.Node) {
			document.Delete(document.Get(example(doc, "/containers/json", "get"), "request"), "query")
		}, "the query is"},
		{"an example's header", func(doc *yaml.Node) {
			document.Delete(document.Get(example(doc, "/version", "get"), "response"), "headers")
		}, "the response header Content-Type is"},
		{"an example's status", func(doc *yaml.Node) {
			document.Set(document.Get(example(doc, "/version", "get"), "response"), "status", document.String("201"))
		}, "the status is 201, documented 200"},
		{"an example's value", func(doc *yaml.Node) {
			document.Delete(document.Get(example(doc, "/version", "get"), "response", "body"), "GoVersion")
		}, "the response's body differs: .GoVersion is missing"},
		{"an example's mend", func(doc *yaml.Node) {
			for _, x := range document.Items(document.Get(op(doc, "/containers/{name}/top", "get"), "x-examples")) {
				document.Delete(x, "mended")
			}
		}, "does not say in `mended`"},
		{"a mark", func(doc *yaml.Node) {
			marked := pick(op(doc, "/images/create", "post"), "parameters", "inputImage")
			document.Delete(marked, "x-undocumented")
		}, `v1.22 ImageCreate: the body parameter "inputImage" is not in the reference and not marked`},
		{"a mark that lies", func(doc *yaml.Node) {
			document.Set(pick(op(doc, "/events", "get"), "parameters", "since"), "x-undocumented", document.String("no"))
		}, `the query parameter "since" is marked as undocumented but the reference lists it`},
		{"an invented operation", func(doc *yaml.Node) {
			document.Set(document.Get(doc, "paths"), "/invented", document.Mapping(document.Pair{Key: "get", Value: document.Clone(op(doc, "/_ping", "get"))}))
		}, "GET /invented is not in the reference and not marked"},
		{"an invented parameter", func(doc *yaml.Node) {
			params := document.Get(op(doc, "/events", "get"), "parameters")
			invented := document.Clone(params.Content[0])
			document.Set(invented, "name", document.String("invented"))
			params.Content = append(params.Content, invented)
		}, `the query parameter "invented" is not in the reference and not marked`},
		{"an invented property", func(doc *yaml.Node) {
			document.Set(document.Get(doc, "definitions", "Info", "properties"), "Invented", document.Mapping(document.Pair{Key: "type", Value: document.String("string")}))
		}, `definition Info: the property "Invented" is not in the reference and not marked`},
		{"an invented status", func(doc *yaml.Node) {
			document.Set(document.Get(op(doc, "/info", "get"), "responses"), "418", document.Mapping(document.Pair{Key: "description", Value: document.String("tea")}))
		}, "v1.22 SystemInfo: the status 418 is not in the reference and not marked"},
		{"an invented media type", func(doc *yaml.Node) {
			document.Set(op(doc, "/info", "get"), "produces", &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{document.String("image/png")}})
		}, "the media type image/png in produces is not in the reference"},
		{"a difference that no action makes", func(doc *yaml.Node) {
			drop(op(doc, "/containers/json", "get"), "parameters", "limit")
		}, "v1.22: no action accounts for the difference"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mutated := in
			mutated.Documents = maps.Clone(in.Documents)
			mutated.Documents[v] = document.Clone(in.Documents[v])
			c.mutate(mutated.Documents[v])
			compare := check.Compare
			if strings.Contains(c.want, "difference") {
				compare = check.Run
			}
			expect(t, compare(mutated).Problems, c.want)
		})
	}

	t.Run("a change", func(t *testing.T) {
		mutated := in
		copied := *in.Contract
		copied.Versions = slices.Clone(copied.Versions)
		mutated.Contract = &copied
		for i, version := range copied.Versions {
			copied.Versions[i].Actions = slices.Clone(version.Actions)
			for j := range version.Actions {
				copied.Versions[i].Actions[j].Changes = slices.DeleteFunc(slices.Clone(version.Actions[j].Changes), func(id string) bool { return id == "v1.20-04" })
			}
		}
		expect(t, check.Compare(mutated).Problems, "v1.20-04: no action carries it out")
	})
	t.Run("a reason", func(t *testing.T) {
		mutated := in
		copied := *in.Contract
		copied.Shapeless = nil
		mutated.Contract = &copied
		expect(t, check.Compare(mutated).Problems, "v1.19-01: no action carries it out and shapeless.yaml does not list it")
	})
	t.Run("an action without effect on the shape", func(t *testing.T) {
		mutated := in
		mutated.Documents = maps.Clone(in.Documents)
		mutated.Documents["1.23"] = document.Clone(in.Documents["1.23"])
		property(mutated.Documents["1.23"], "HostConfig", "PidsLimit")
		expect(t, check.Run(mutated).Problems, "swagger diff does not see it")
	})
	t.Run("validity", func(t *testing.T) {
		broken := document.Clone(in.Documents[v])
		document.Delete(document.Get(broken, "definitions"), "HostConfig")
		if check.Valid(broken) == nil {
			t.Error("a document with a dangling $ref is valid")
		}
	})
}

func expect(t *testing.T, problems []string, want string) {
	t.Helper()
	for _, p := range problems {
		if strings.Contains(p, want) {
			return
		}
	}
	t.Errorf("no problem says %q; there are %d: %q", want, len(problems), problems[:min(3, len(problems))])
}

// pick returns the item of a list that has the name.
func pick(n *yaml.Node, list, name string) *yaml.Node {
	for _, item := range document.Items(document.Get(n, list)) {
		if document.Text(item, "name") == name {
			return item
		}
	}
	return nil
}

// drop removes the item of a list that has the name.
func drop(n *yaml.Node, list, name string) {
	l := document.Get(n, list)
	l.Content = slices.DeleteFunc(slices.Clone(l.Content), func(item *yaml.Node) bool { return document.Text(item, "name") == name })
}

// property removes a property of a definition.
func property(doc *yaml.Node, def, name string) {
	document.Delete(document.Get(doc, "definitions", def, "properties"), name)
}

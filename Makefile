# berth: build, run and test. "make help" lists what can be asked for.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Go is looked for where its own installer puts it, too.
export PATH := $(PATH):/usr/local/go/bin
GO ?= go
# The tools have a module of their own: their dependencies are not berth's.
TOOL := $(GO) tool -modfile=tools/go.mod

VERSION ?= 0.1.0-dev
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
# The commit's time, not the clock's: the same commit gives the same programs.
BUILDTIME := $(shell TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.buildTime=$(BUILDTIME)

# The shim is static, because it starts once per container: no dynamic loader,
# no library to find. libseccomp makes it a cgo program.
SHIM_TAGS := seccomp netgo osusergo
SHIM_LDFLAGS := $(LDFLAGS) -linkmode external -extldflags "-static"

PREFIX ?= /usr/local
CRASH_ROUNDS ?= 100
CRASH_SEED ?= 0
POWER_ROUNDS ?= 10
POWER_CUTS ?= 1000
POWER_STARTS ?= 30
FUZZTIME ?= 1h
DESTDIR ?=

IMAGE := cmd/berth-quickstart/image/busybox.tar

##@ Use

.PHONY: run
run: build ## start an engine of its own, run a container, serve until Ctrl-C
	@exec bin/berth-quickstart $(if $(RUN_DIR),--dir "$(RUN_DIR)")

.PHONY: build
build: setup-build ## build all programs into bin/
	@mkdir -p bin $(dir $(IMAGE))
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/berthd ./cmd/berthd
	CGO_ENABLED=1 $(GO) build -trimpath -tags '$(SHIM_TAGS)' -ldflags '$(SHIM_LDFLAGS)' -o bin/berth-shim ./cmd/berth-shim
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/berth-logger ./cmd/berth-logger
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/berth-conformance ./cmd/berth-conformance
	$(GO) run ./testbed/busybox/makeimage -o $(IMAGE)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/berth-quickstart ./cmd/berth-quickstart

.PHONY: install
install: build ## install programs, man pages, completions, systemd units, guides (PREFIX, DESTDIR)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' tools/install

.PHONY: package
package: build ## make the Debian package build/package/*.deb, with a bill of materials
	@VERSION='$(VERSION)' tools/make-package

##@ Prove

.PHONY: test
test: setup-test build ## everything: set-up, generation, checks, all tests, a summary
	@tools/test

.PHONY: check
check: setup-build ## gofmt, vet, staticcheck, import directions, dependencies
	@unformatted="$$(gofmt -l $$(git ls-files '*.go' ':!gen/'))"; \
	  if [ -n "$$unformatted" ]; then echo "not formatted (run gofmt -w):"; echo "$$unformatted"; exit 1; fi
	$(GO) vet -tags seccomp ./...
	$(GO) -C tools vet ./...
	$(TOOL) staticcheck -tags seccomp $$($(GO) list ./... | grep -v /gen/)
	$(GO) -C tools tool staticcheck ./...
	$(GO) test -count=1 .

.PHONY: spec-check
spec-check: ## prove the documents against the distilled reference, print the counts
	$(GO) -C tools run ./speccheck -spec ../spec

.PHONY: coverage
coverage: ## list the operations that are there and the missing ones, per version
	@$(GO) -C tools run ./coverage -root ..

.PHONY: readme
readme: ## put the figures of coverage into README.md (tools/readme bench: those of the last make bench)
	@tools/readme coverage

.PHONY: test-clients
test-clients: setup-test build clients ## only the tests with the docker command, docker-py and dockerode
	$(GO) test -count=1 -timeout 30m -parallel 4 ./clienttest $(TESTFLAGS)

.PHONY: test-fields
test-fields: setup-test build ## only the tests of what a container can ask for
	$(GO) test -count=1 -timeout 30m ./fieldtest $(TESTFLAGS)

.PHONY: test-builds
test-builds: setup-test build ## build over 30 Dockerfiles on berth and on Docker Engine 20.10 and compare what comes out
	$(GO) test -count=1 -timeout 60m ./buildtest $(TESTFLAGS)

.PHONY: soak
soak: setup-test build ## kill the daemon 200 times under load and lose nothing (BERTH_ROUNDS, BERTH_SEED); with BERTH_TIME=1h: one daemon, which must not grow
	BERTH_ROUNDS=$${BERTH_ROUNDS:-200} $(GO) test -count=1 -timeout 26h -v -run $(if $(BERTH_TIME),TestSoak,TestKilledUnderLoad) ./endurance

.PHONY: test-endurance
test-endurance: setup-test build ## only the tests that were written to break a running daemon
	$(GO) test -count=1 -timeout 20m ./endurance $(TESTFLAGS)

.PHONY: test-networks
test-networks: setup-test ## make, take over and remove 1,000 networks (BERTH_NETWORKS; two minutes; test makes 40)
	BERTH_NETWORKS=$${BERTH_NETWORKS:-1000} $(GO) test -count=1 -timeout 30m -v -run TestCostOfNetworks ./impl/network

.PHONY: test-cgroup2
test-cgroup2: setup-build build ## control groups v2 on a Debian kernel in qemu, both drivers (minutes; not part of test)
	@tools/setup vm
	@tools/test-cgroup2

.PHONY: test-package
test-package: build ## the Debian package: same bytes twice, a clean system, systemd in a virtual machine (minutes; not part of test)
	@tools/setup vm
	@tools/test-package

.PHONY: conformance
conformance: build ## replay every documented example against a fresh berthd
	@mkdir -p reports
	@conformance/run-berthd.sh $(CONFORMANCEFLAGS)

.PHONY: conformance-self
conformance-self: build ## prove the suite: over a hundred wrong behaviours, each must be noticed
	@conformance/run-berthd.sh --self-test

.PHONY: conformance-peers
conformance-peers: build ## run the suite against Docker Engine and Podman, as they are
	@tools/setup peers
	@mkdir -p reports
	@conformance/run-peers.sh $(CONFORMANCEFLAGS)

.PHONY: crash
crash: setup-test build ## kill berthd CRASH_ROUNDS times (100) at work on images; CRASH_SEED repeats a run
	$(GO) test -count=1 -timeout 3h -run '^TestKilledAtImages$$' -v ./clienttest -crash-rounds $(CRASH_ROUNDS) -crash-seed $(CRASH_SEED)

.PHONY: power
power: setup-test build ## take the power away POWER_CUTS (1000) times from each of POWER_ROUNDS (10) recordings on ext4, half as often on xfs and btrfs; POWER_SEED repeats
	POWER_ROUNDS=$(POWER_ROUNDS) POWER_CUTS=$(POWER_CUTS) POWER_STARTS=$(POWER_STARTS) $(GO) test -count=1 -timeout 6h -v ./powertest $(TESTFLAGS)

.PHONY: fuzz
fuzz: setup-test build ## run every fuzz target in turn, and drawn requests against a daemon, FUZZTIME (1h) in all
	@tools/fuzz $(FUZZTIME)

.PHONY: bench
bench: setup-test build ## time berth beside Docker Engine, runc and crun
	@mkdir -p reports
	$(GO) build -trimpath -o bin/berth-bench ./bench
	bin/berth-bench --json reports/bench.json --markdown reports/bench.md $(BENCHFLAGS)

##@ Make the contract and the generated code

.PHONY: spec
spec: ## render spec/v1.NN.json and spec/changes.json from the YAML sources
	$(GO) -C tools run ./render -spec ../spec -build ../build/spec

.PHONY: gen
gen: spec ## generate gen/ from the documents
	$(GO) -C tools run ./generate -root .. -spec ../build/spec

.PHONY: clients
clients: setup-clients ## make the clients in TypeScript and Python into build/clients (of DOCUMENT, a file or URL, if given)
	@tools/clients $(if $(DOCUMENT),"$(DOCUMENT)")

.PHONY: docs
docs: ## write the documentation as static files into build/docs (with reports/conformance if there)
	@report=reports/conformance/report.json; [ ! -s "$$report" ] || set -- --conformance "$$report"; \
	  $(GO) run ./cmd/berth-docs --output build/docs "$$@"

.PHONY: viewer
viewer: ## take the documentation's viewer from its npm package again (needs npm)
	impl/docs/viewer/fetch

##@ Machine

.PHONY: setup setup-build setup-test setup-clients
setup: setup-test ## install every Debian package that is needed and missing
setup-build: ## … only those that build and run need
	@tools/setup build
setup-test: ## … and those that the tests and the benchmarks need
	@tools/setup build test clients
	@tools/packages clienttest/testdata/dockerode
setup-clients:
	@tools/setup clients

.PHONY: clean
clean: ## remove what was built and the reports
	rm -rf bin build reports $(IMAGE)

.PHONY: help
help: ## show this
	@echo 'berth: a container engine that speaks the Docker Remote API v1.18 to v1.23'
	@echo
	@echo '  make run     try it: installs, builds, runs a container'
	@echo '  make test    prove it: installs, builds, runs all tests'
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'Variables: GO, VERSION, PREFIX, DESTDIR, RUN_DIR (run), TESTFLAGS (test-clients, test-builds), BENCHFLAGS (bench), CONFORMANCEFLAGS, DOCUMENT (clients).'
	@echo '  CRASH_ROUNDS, CRASH_SEED (crash), POWER_ROUNDS, POWER_CUTS, POWER_STARTS, POWER_SEED (power), FUZZTIME (fuzz).'
	@echo 'BOOTS, RUN, PATIENCE, CACHE, MIRROR (test-cgroup2, see tools/test-cgroup2).'

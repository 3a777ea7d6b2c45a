# Everything a developer needs. `make` alone prints the list.
# Needs Go 1.26, gcc with the libstdc++ headers, make, git; `make checklist` and `make model` also Python 3.9 or newer;
# `make conformance` Python 3.11, JDK 17 and Maven.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# DuckDB's Go binding has its Arrow interface behind this tag.
TAGS     := duckdb_arrow
# Tools with many dependencies are pinned in a go.mod of their own, so that the product's stays small:
#   buf v1.73.0            newer ones could not be built from source when this was written
#   golangci-lint v2.15.0  built with the Go of this repository, or it could not read its code
#   grpcurl v1.9.4         the README's calls
# protoc-gen-go and protoc-gen-go-grpc are tools of the product's go.mod: they belong to the libraries they generate for.
TOOL     := go tool -modfile=tools/go.mod
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
STAMP    := github.com/sluice-io/sluice/internal/version
LDFLAGS  := -s -w -X $(STAMP).Version=$(VERSION) -X $(STAMP).Revision=$(REVISION)
REPORT   := go run ./internal/testreport

# What may be set on the command line.
PKGS     ?= ./...
FUZZTIME ?= 30s
SOAK     ?= 60
ROWS     ?= all
REQUIRE  ?=
ARGS     ?=
# The API must not break against the last release; before the first one, against the last commit.
AGAINST  ?= $(shell git describe --tags --abbrev=0 2>/dev/null || git rev-parse --verify HEAD 2>/dev/null)

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z\/-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: bin/sluice ## start everything, import real data by slices, kill a worker, export and compare
	bin/sluice demo

.PHONY: dev
dev: bin/sluice ## run service and embedded endpoint here, tables in data/dev
	bin/sluice dev --data data/dev

.PHONY: test
test: ## vet, then all tests with the race detector; results in out/test.json
	@mkdir -p out
	go vet -tags $(TAGS) $(PKGS)
	go test -race -tags $(TAGS) -timeout 15m -json $(PKGS) | $(REPORT) -o out/test.json

.PHONY: build
build: bin/sluiced bin/sluice ## build both programs into bin/

# Go decides what must be built again, so the rules always run.
.PHONY: bin/sluiced
bin/sluiced: ## build the service alone, without cgo
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o $@ ./cmd/sluiced
	@test "$$(wc -c < $@)" -lt 41943040 || { echo "$@ is not below 40 MiB"; exit 1; }

.PHONY: bin/sluice
bin/sluice: ## build the CLI, with service and embedded endpoint in it
	CGO_ENABLED=1 go build -trimpath -tags $(TAGS) -ldflags "$(LDFLAGS)" -o $@ ./cmd/sluice

.PHONY: generate
generate: ## write gen/ from proto/
	$(TOOL) buf generate

.PHONY: check
check: ## proto rules, gen/ is what proto/ gives, formatting
	$(TOOL) buf lint
	$(TOOL) buf format --diff --exit-code
	@if [ -n "$(AGAINST)" ] && git cat-file -e "$(AGAINST):proto" 2>/dev/null; then \
		echo "buf breaking, against $(AGAINST)"; \
		$(TOOL) buf breaking --against '.git#ref=$(AGAINST)'; \
	else \
		echo "no earlier proto/ in the history: nothing to break"; \
	fi
	@rm -rf out/_check && mkdir -p out/_check # go ignores folders that begin with _
	$(TOOL) buf generate -o out/_check
	diff -r out/_check/gen gen
	@unformatted="$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go'))"; \
		test -z "$$unformatted" || { echo "not formatted:"; echo "$$unformatted"; exit 1; }

.PHONY: lint
lint: ## golangci-lint as .golangci.yml says
	$(TOOL) golangci-lint run $(PKGS)

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (30s)
	@failed=0; for file in $$(grep -rl --include='*_test.go' '^func Fuzz' . | sort); do \
		for target in $$(grep -o '^func Fuzz[A-Za-z0-9_]*' $$file | cut -c6-); do \
			echo "== $$(dirname $$file) $$target"; \
			go test -tags $(TAGS) -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x "./$$(dirname $$file)" || failed=1; \
		done; \
	done; exit $$failed

.PHONY: fault
fault: ## 200 seeded rounds of killing and cutting
	SLUICE_FAULT_ROUNDS=200 go test -tags $(TAGS) -count=1 -timeout 60m -run 'Fault|Kill' ./conformance/... ./cmd/sluice
	$(MAKE) --no-print-directory soak

.PHONY: soak
soak: ## 64 clients write and read the endpoint with faults for SOAK seconds (60): no wrong row, memory flat
	SLUICE_SOAK_SECONDS=$(SOAK) go test -tags $(TAGS) -count=1 -timeout 60m -v -run TestSoak ./conformance/soak

.PHONY: bench
bench: bin/sluice bin/sluiced ## the numbers, ours and a peer's from one run, in out/bench.json; ARGS='-only upload -runs 9'
	go run -tags $(TAGS) ./internal/bench $(ARGS)

.PHONY: checklist
checklist: ## which rows of docs/semantics.md are proven; ROWS=TW,RS-01..20 restricts, REQUIRE=… fails without
	@mkdir -p out
	@status=0; \
	go test -tags $(TAGS) -count=1 -timeout 15m -json -run '(TW|TR|RS|DW|TY|RT)_' $(PKGS) | $(REPORT) -q -o out/_checklist.json || status=$$?; \
	python3 tools/checklist.py --semantics docs/semantics.md --family '$(ROWS)' --require '$(REQUIRE)' out/_checklist.json || status=$$?; \
	exit $$status

.PHONY: model
model: ## the small exhaustive models of the write path, in seconds
	cd model && python3 check.py

include conformance/clients/clients.mk

.PHONY: clean
clean: ## remove bin/ and out/
	rm -rf bin out

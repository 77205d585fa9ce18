# Scree: `make` lists the targets.
GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT   ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS   = -X main.version=$(VERSION) -X main.commit=$(COMMIT)
PKGS      = ./...
FUZZTIME ?= 20s
SEEDS    ?= 1000
FIRST    ?= 1
SIM       = $(GO) test -count 1 -timeout 24h -run TestSeeds $(if $(SEED),-v)
SIMARGS   = -args -first $(FIRST) -seeds $(SEEDS) $(if $(SEED),-seed $(SEED))

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help build release run dev fmt lint test sim sim-txn race check bench judge fuzz audit clean tools clients ycsb juicefs kernels

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/scree
	$(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/scree ./cmd/scree

release: ## build bin/scree without symbols, for shipping
	$(GO) build -trimpath -ldflags "-s -w $(LDFLAGS)" -o bin/scree ./cmd/scree

run: build ## build, then start a cluster with TPC-H sample data
	./bin/scree playground --load tpch:0.01

dev: fmt lint test ## what to run before a commit

fmt: ## format the code
	@gofmt -l -w $$(git ls-files '*.go')

lint: ## formatting, vet, import floors
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	$(GO) vet $(PKGS)
	$(GO) test -run 'Floors|Reserved' ./tests

test: ## all tests
	$(GO) test $(PKGS)

sim: ## stores in a seeded simulation: make sim SEEDS=1000 FIRST=1; make sim SEED=7 replays one and prints its trace
	$(SIM) ./raftstore/raftsim $(SIMARGS)

sim-txn: ## whole clusters with transactions in a seeded simulation, with the same variables
	$(SIM) ./tests/sim $(SIMARGS)

race: ## tests of concurrent packages under the race detector (needs cgo)
	CGO_ENABLED=1 $(GO) test -race ./storage/... ./raftstore/... ./server/... ./sql-gateway/... ./coprocessor/...

check: lint test ## what CI runs

bench: build tools ## benchmarks; docs/performance.md has figures of a named machine
	$(GO) test -run '^$$' -bench . -benchtime 1s ./codec/... ./executor/... ./storage/... ./raftstore/... ./coprocessor/...
	$(GO) test -run '^$$' -bench 'RowLeaf|ColumnLeaf' -benchtime 10x ./tests/bench
	$(GO) test -run '^$$' -bench Overwritten -benchtime 10x ./tests/bench
	$(GO) run ./tests/bench/kv
	$(GO) run ./tests/bench -scale 1

kernels: ## operators in memory beside the machine's bandwidth and DuckDB (needs a C compiler)
	cd tools/kernels && CGO_ENABLED=1 $(GO) run .

judge: ## functions and whole queries against MariaDB 10.11: make judge JUDGE='root@tcp(127.0.0.1:3306)/'
	$(GO) test ./tests/judge -count 1 -v -run 'TestJudge|TestModes|TestCollations|TestAggregates|TestQueries' -judge '$(JUDGE)'

fuzz: ## each fuzz target for FUZZTIME
	@for file in $$(git grep -l '^func Fuzz' -- '*_test.go'); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$file); do \
			echo "$$file $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file) || exit 1; \
		done; done

tools: ## build bin/go-tpc, the load generator of tests and benchmarks
	cd tools && $(GO) build -o ../bin/go-tpc github.com/pingcap/go-tpc/cmd/go-tpc

clients: build ## tests of TiKV's own Go client of two years against bin/scree
	cd tests/client-2024 && SCREE_BIN=$(CURDIR)/bin/scree $(GO) test -count 1 ./...
	cd tests/client-2023 && SCREE_BIN=$(CURDIR)/bin/scree $(GO) test -count 1 ./...

ycsb: build ## YCSB workloads A to F, raw and transactional, by go-ycsb's TiKV driver
	cd tools/ycsb && $(GO) build -o ../../bin/go-ycsb github.com/pingcap/go-ycsb/cmd/go-ycsb
	tools/ycsb/run.sh

juicefs: build ## JuiceFS on a cluster as its metadata engine, mounted where there is FUSE (needs a C compiler)
	cd tools/juicefs && CGO_ENABLED=1 $(GO) build -tags "$$(cat tags)" -o ../../bin/juicefs github.com/juicedata/juicefs
	tools/juicefs/run.sh

audit: ## the licences of what is linked in, and known vulnerabilities (needs the network: vuln.go.dev)
	$(GO) run ./tests/licences ./cmd/scree
	cd tools && $(GO) build -o ../bin/govulncheck golang.org/x/vuln/cmd/govulncheck
	./bin/govulncheck ./cmd/scree

clean: ## remove what was built
	rm -rf bin

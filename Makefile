# What each target does: make help

GO       ?= go
FUZZTIME ?= 30s
DAYS     ?= 7
SESSIONS ?= 10000
WORLDS   ?= 400
SEED     ?= $(shell date +%s)
BIN      ?= bin/notifier
PREFIX   ?= /usr/local
LINTER    = bin/golangci-lint
# What is built without the race detector is built as a release is, so that it is compiled once.
STATIC    = CGO_ENABLED=0 GOFLAGS="$(GOFLAGS) -trimpath"
# Most of linting, and of vetting for another machine, is compiling: what runs once is not optimized.
QUICKLY   = -gcflags=all=-N -l -dwarf=false
VET_32    = CGO_ENABLED=0 GOARCH=386 GOFLAGS="$(GOFLAGS) '$(QUICKLY)'" $(GO) vet

.DEFAULT_GOAL := help
.PHONY: help build install demo test race lint full fuzz bench bench-poll bench-cycle bench-deliver bench-index test-32 generate check oracle

help: ## Show this help
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

build: ## Build BIN (bin/notifier), static; VERSION=v1.2.3 names a release
	$(STATIC) $(GO) build -ldflags "-s -w $(if $(VERSION),-X main.release=$(VERSION))" -o $(BIN) ./cmd/notifier

install: build ## Install it as PREFIX/bin/notifier, /usr/local by default
	install -D -m 0755 $(BIN) $(DESTDIR)$(PREFIX)/bin/notifier

demo: ## See everything at work in one process
	$(GO) run ./cmd/notifier demo --duration 30s

test: ## Run the tests without the race detector and without end to end: quick
	$(GO) test -short ./...

full: ## Run all scenes of poller, publish and rules, of which race leaves out many: with it they take ten times as long
	$(STATIC) $(GO) test -timeout 15m ./poller/... ./publish/... ./rules/...

race: ## Run all tests, end to end included, with the race detector
	$(GO) test -race -timeout 25m ./...

lint: ## Check the format, vet and lint (govet is one of the linters; test-32 vets as well)
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	$(STATIC) $(GO) build -modfile=tools/go.mod '$(QUICKLY)' -gcflags=std= -o $(LINTER) github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	$(STATIC) $(LINTER) run

fuzz: ## Fuzz whatever reads foreign input, FUZZTIME each
	@set -e; for package in $$(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
		for target in $$(grep -hoE '^func Fuzz[A-Za-z]+' $$package/*_test.go | awk '{print $$2}'); do \
			echo "$$package $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

oracle: ## Judge the poller in WORLDS worlds that SEED draws (400, by the clock)
	$(GO) test ./poller -run 'TestOracle$$' -count=1 -timeout 0 -rapid.checks=$(WORLDS) -rapid.seed=$(SEED)

bench: ## Run the benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-poll: ## Poll DAYS simulated days of SESSIONS a day; more by ARGS, see bench/README.md
	$(GO) test ./bench/poll -run TestSimulated -v -count=1 -timeout 0 -args -days $(DAYS) -sessions $(SESSIONS) $(ARGS)

bench-cycle: ## Measure whole cycles against bare reading; more by ARGS, see bench/README.md
	$(GO) test ./poller -run '^$$' -bench 'Split/(limit|rotating-url)' -benchtime 1000x
	$(GO) test ./bench/cycle -v -count=1 -timeout 0 -args -sessions 100000 $(ARGS)

bench-deliver: ## Measure deliveries against bare sending; more by ARGS, see bench/README.md
	$(GO) test ./bench/deliver -run '^$$' -bench Relay -benchtime 20000x
	$(GO) test ./bench/deliver -v -count=1 -timeout 0 -args -deliveries 20000 $(ARGS)

bench-index: ## Measure the memory of a million tracked sessions, and how soon they are ready
	$(GO) test ./poller/... -run '^$$' -bench 'Index|PassOverAMillion' -benchmem
	$(GO) test ./poller/internal/index -run '^$$' -bench OpenAMillion -benchtime 3x -timeout 0

test-32: ## Vet a build for 32 bits, and run the tests of the packages that do no I/O but to files in it
	$(VET_32) ./...
	@if CGO_ENABLED=0 GOARCH=386 $(GO) test -run '^$$' ./event 2>&1 | grep -q 'exec format error'; then \
		echo 'this machine runs no 32-bit programs: their tests were checked and not run'; \
	else \
		set -x; CGO_ENABLED=0 GOARCH=386 $(GO) test -short ./checkout ./event ./diff ./state; \
	fi

generate: ## Write what docs/rules.md and docs/environment.md take from the code
	$(GO) generate ./docs/...

check: lint test-32 full race ## Everything that CI checks

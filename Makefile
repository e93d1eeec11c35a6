# "make help" lists the targets. The scripts behind them are in scripts/.

SHELL := bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build test test-quick crash bench bench-smoke soak fuzz generate lint race measure engines stop clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the static binary bin/belfry
	CGO_ENABLED=0 go build -trimpath -o bin/belfry ./cmd/belfry

test-quick: ## gofmt, go vet and go test of the main module with SQLite and the embedded broker
	scripts/gofmt.sh
	go vet ./...
	go test -json ./... | go run ./test/engines/summary

test: ## all modules against real PostgreSQL, Kafka, Chromium and Node (CI: lint, test, race, bench-smoke)
	scripts/test.sh

crash: ## kill -9 a real server 1,000 times and look for what was lost
	BELFRY_TEST_KILLS=1000 go test -count=1 -timeout 6h -v ./test/crash

bench: ## run the benchmarks and print their method and figures (half an hour, 20 GB of disk)
	go run ./bench/audit
	@if [ -n "$$BELFRY_TEST_POSTGRES" ] && [ -n "$$BELFRY_TEST_KAFKA" ]; then go run ./bench/audit -engine postgres -resident 1000000 -spread 1000000; \
	else echo 'for PostgreSQL and Apache Kafka: eval "$$(make engines)", then make bench again'; fi

bench-smoke: ## short rows of all benchmarks; their tables are kept in build/bench
	scripts/bench-smoke.sh

soak: ## load a server for ten minutes and print each minute what it holds (MINUTES=60 for an hour)
	go run ./bench/soak -minutes $(or $(MINUTES),10)

fuzz: ## fuzz every decoder for 20 seconds
	scripts/fuzz.sh 20s

generate: ## rewrite the generated files
	go generate ./...

lint: ## golangci-lint, the house's rules, known vulnerabilities, secrets in the history
	scripts/lint.sh

race: ## the tests of every package that starts a goroutine, under the race detector
	scripts/race.sh

measure: ## print the measures of docs/adr/0005-house-measures.md
	scripts/measure.sh

engines: ## start PostgreSQL and Kafka for work by hand, print the variables for the shell
	@echo "export BELFRY_TEST_POSTGRES='$$(scripts/postgres.sh start)'"
	@echo "export BELFRY_TEST_KAFKA='$$(scripts/kafka.sh start)'"

stop: ## stop what "make engines" started
	scripts/postgres.sh stop
	scripts/kafka.sh stop

clean: stop ## stop the engines, delete what was built and cached in the repository
	rm -rf bin build .cache test/conformance/node/node_modules

# make run    a demonstration with simulated listeners
# make test   everything that must pass before a change goes in; clients of others are tried where npm and the network are there
# make lint   the slower checks; installs golangci-lint into bin/ once
# make bench  speed and memory against limits measured in the same run; docs/benchmarks.md
# make tracker-faults  ours and other trackers in Chromium while the way to the server fails; some minutes
# make acceptance  clients of others, unmodified, against the server while the way to it fails; three minutes, npm and the network
#                  CLIENTS=segment-node,segment-go runs these only

GO ?= go
TOOL = $(GO) tool -modfile=tools.mod
GOLANGCI_LINT = bin/golangci-lint-$(GOLANGCI_LINT_VERSION)
GOLANGCI_LINT_VERSION = v2.15.0

.PHONY: run test lint bench tracker-faults acceptance

run:
	$(GO) run ./cmd/reedbed demo

test:
	@.ci/tools
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "run gofmt -w on: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run ./acceptance/clients -if-there -events=60 -only=segment-node,posthog-node,snowplow-node,segment-go,posthog-go
	$(GO) test -count=1 -timeout=30m ./...
	REEDBED_CASES=10000 $(GO) test -count=1 -timeout=60m -parallel=4 -v -run 'TestConverges' ./converge -rapid.seed=3

lint: $(GOLANGCI_LINT)
	@loose=$$($(TOOL) gofumpt -l .); test -z "$$loose" || { echo "run gofumpt -w on: $$loose"; exit 1; }
	$(TOOL) staticcheck ./...
	@dead=$$($(TOOL) deadcode -test ./...); test -z "$$dead" || { echo "nothing reaches:"; echo "$$dead"; exit 1; }
	$(GO) fix -diff ./...
	$(GO) mod tidy -diff
	$(GOLANGCI_LINT) run

$(GOLANGCI_LINT):
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv bin/golangci-lint $@

bench:
	$(GO) run ./bench

tracker-faults:
	@.ci/tools
	$(GO) run ./tracker/faults

acceptance:
	@.ci/tools
	$(GO) run ./acceptance/clients -only=$(CLIENTS)

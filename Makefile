# Takt: see README.md. Nothing here needs root or the network once modules are there.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
export CGO_ENABLED ?= 0

.PHONY: build demo test bench lint clean man

build:
	$(GO) build -trimpath -ldflags "-s -w -X github.com/takt-ha/takt/cli.Version=$(VERSION)" -o bin/takt ./cmd/takt

demo: build
	bin/takt demo

# The race detector needs cgo; the binary itself never does.
test: build
	CGO_ENABLED=1 TAKT_BIN=$(CURDIR)/bin/takt $(GO) test -race -timeout 9m ./...

bench: build
	$(GO) run ./bench -takt $(CURDIR)/bin/takt -out bench/out

lint:
	test -z "$$(gofmt -l $$(git ls-files '*.go'))"
	$(GO) vet ./...

man: build
	bin/takt man --dir bin/man

clean:
	rm -rf bin bench/out

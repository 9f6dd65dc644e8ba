# Takt: see README.md. Nothing here needs root or the network once modules are there.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
export CGO_ENABLED ?= 0

.PHONY: build demo test test-guest test-kernel test-vrrp sim bench bench-scheduler bench-director bench-volume bench-volume-drbd lint clean man scheduler-cases scheduler-fuzz

build:
	$(GO) build -trimpath -ldflags "-s -w -X github.com/takt-ha/takt/cli.Version=$(VERSION)" -o bin/takt ./cmd/takt

demo: build
	bin/takt demo

# The race detector needs cgo; the binary itself never does. Not with it: the simulator (one goroutine),
# the crash tests of volume/disk (ten times slower) and volume/torture (other processes do the work).
QUICK = ./sim ./volume/disk ./volume/torture
# One package more at a time than there are processors: those that run clusters wait most of the time.
AT_ONCE = $(shell echo $$(($$(nproc) + 1)))
test: build
	CGO_ENABLED=1 TAKT_BIN=$(CURDIR)/bin/takt $(GO) test -race -p $(AT_ONCE) -timeout 9m $$($(GO) list ./... | grep -vE '/(sim|volume/disk|volume/torture)$$')
	TAKT_BIN=$(CURDIR)/bin/takt $(GO) test -p $(AT_ONCE) -timeout 9m $(QUICK)

# Volumes as block devices in a virtual machine with a stock kernel of Debian, which is downloaded once.
test-guest: build
	CGO_ENABLED=0 TAKT_BIN=$(CURDIR)/bin/takt TAKT_GUEST=$(CURDIR)/bench/out/guest $(GO) test -count=1 -v -timeout 30m -run 'TestGuest$$' ./volume/torture

# Directors with IPVS and real traffic in a virtual machine, all in one boot; TAKT_STORY picks tests.
test-kernel: build
	CGO_ENABLED=0 TAKT_BIN=$(CURDIR)/bin/takt TAKT_GUEST=$(CURDIR)/bench/out/guest $(GO) test -count=1 -v -p 1 -timeout 20m -run 'Test(Kernel|Run|Limit)$$' ./lab/vm ./lab/vm/kernel

# Takt beside the real keepalived, in network namespaces; needs root, and skips without keepalived.
test-vrrp:
	TAKT_INTEROP=1 $(GO) test -count=1 -parallel 12 -timeout 9m ./director/vrrp/...

# Clusters on virtual time, until SIM_FOR is over or a promise breaks.
SIM_FOR   ?= 10m
SIM_SEED  ?= $(shell date +%s)000
SIM_FLAGS ?=
sim: build
	bin/takt sim --for $(SIM_FOR) --seed $(SIM_SEED) $(SIM_FLAGS)

bench: build
	$(GO) run ./bench -takt $(CURDIR)/bin/takt -out bench/out

# The scheduler's time and memory, beside the real crm_simulate where it is
# installed; SLOW=1 asks it, too, where it needs many minutes.
bench-scheduler: build
	$(GO) run ./bench/scheduler -takt $(CURDIR)/bin/takt $(if $(SLOW),-slow) -only '$(ONLY)'

# What is promised of a director, beside keepalived and rules by hand; about 23 minutes. Needs root. SHORT=1: three.
bench-director: build
	$(GO) build -trimpath -o bin/bench-director ./bench/director
	bin/bench-director -takt $(CURDIR)/bin/takt -out bench/out -only '$(ONLY)' $(if $(SHORT),-quick)

# Volumes beside nbdkit under fio's nbd engine, backing files in memory.
bench-volume: build
	$(GO) build -trimpath -o bin/bench-volume ./bench/volume
	bin/bench-volume -takt $(CURDIR)/bin/takt -out bench/out -only '$(ONLY)'

# A mirror beside the kernel's DRBD in a virtual machine; skipped without QEMU.
bench-volume-drbd: build
	$(GO) build -trimpath -o bin/bench-volume ./bench/volume
	bin/bench-volume -drbd -takt $(CURDIR)/bin/takt -out bench/out -only '$(ONLY)'

# The recorded cases of another implementation (no part of this repository):
# passed and total per milestone and group, and what fails.
scheduler-cases:
	TAKT_REPORT=1 $(GO) test -count=1 -v -run 'TestCases$$' ./cluster/scheduler

# N random clusters, beside the real crm_simulate where it is installed; see
# TestOracle for what SEED, FEATURES and OUT do.
N ?= 20000
SEED ?= 1
scheduler-fuzz:
	TAKT_ORACLE=$(N) TAKT_ORACLE_SEED=$(SEED) TAKT_ORACLE_FEATURES=$(FEATURES) TAKT_ORACLE_OUT=$(OUT) \
		$(GO) test -count=1 -v -timeout 24h -run 'TestOracle$$' ./cluster/scheduler

lint:
	test -z "$$(gofmt -l $$(git ls-files '*.go'))"
	$(GO) vet ./...

man: build
	bin/takt man --dir bin/man

clean:
	rm -rf bin bench/out

# `make run` and `make test` are all that is needed; the rest is named below (`make help`).

PREFIX ?= /usr/local
DESTDIR ?=
ARGS ?=
# One scratch folder; debug and release lie side by side in it. The release programs carry the Swift runtime in
# themselves: they start faster and run where no toolchain is. Changing flags here rebuilds everything once.
RELEASE := -c release --static-swift-stdlib --explicit-target-dependency-import-check error
DEBUG := --explicit-target-dependency-import-check error
BIN := .build/release

.PHONY: help run build setup test unit-test integration-test screen-test bench fuzz lint format install clean

help:
	@echo 'make run [ARGS=...]      install what is missing, build, start dftop (by sudo when not root)'
	@echo 'make test                install what is missing, build, run all tests'
	@echo 'make build               release build into $(BIN)'
	@echo 'make unit-test | integration-test | screen-test    one kind of test'
	@echo 'make bench [ARGS=...]    measure, beside nfpcapd, argus and tshark'
	@echo 'make fuzz [ARGS=...]     changed input for the packet parsers, with address sanitizer'
	@echo 'make lint | format       check or rewrite the layout of the sources, check the module layers'
	@echo 'make install [PREFIX=/usr/local] [DESTDIR=]       programs, manual pages, shell completion'
	@echo 'make clean               remove what was built'

setup:
	@scripts/setup

build: setup
	swift build $(RELEASE)

run: build
	@if [ "$$(id -u)" = 0 ]; then \
	    exec $(BIN)/dftop $(ARGS); \
	elif command -v sudo >/dev/null; then \
	    echo 'make run: not root; starting dftop by sudo, because capturing packets needs privilege' >&2; \
	    exec sudo --preserve-env=TERM,COLORTERM,NO_COLOR,LANG,LC_ALL $(BIN)/dftop $(ARGS); \
	else \
	    echo 'make run: not root and no sudo; starting without privilege: files and a running daemon only' >&2; \
	    exec $(BIN)/dftop $(ARGS); \
	fi

# Both kinds of build come first, so that a mistake in any source stops here.
test:
	@scripts/setup --test
	swift build $(DEBUG) --build-tests
	swift build $(RELEASE)
	@$(MAKE) --no-print-directory unit-test integration-test screen-test

unit-test:
	swift test $(DEBUG) --skip-build --disable-xctest

integration-test:
	Tests/Integration/run --bin $(BIN)

screen-test:
	Tests/Screens/run --bin $(BIN)

bench:
	@scripts/setup --bench
	swift build $(RELEASE)
	Benchmarks/run --bin $(BIN) $(ARGS)

fuzz: setup
	scripts/fuzz $(ARGS)

lint:
	swift format lint --strict --parallel -r Package.swift Sources Tests Benchmarks
	scripts/check-layers

format:
	swift format format -i --parallel -r Package.swift Sources Tests Benchmarks

install: build
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/man/man1'
	install -m 755 $(BIN)/dftop $(BIN)/dfctl '$(DESTDIR)$(PREFIX)/bin'
	install -m 644 man/dftop.1 man/dfctl.1 '$(DESTDIR)$(PREFIX)/share/man/man1'
	scripts/install-completions $(BIN) '$(DESTDIR)$(PREFIX)/share'

clean:
	rm -rf .build

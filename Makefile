# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0

# `make demo` and `make test` do everything on a fresh Debian 12; both are quick when nothing changed.
SHELL := /bin/bash
.DEFAULT_GOAL := help
JOBS ?= $(shell nproc)
LAB := python3 tests/lab/lab.py
DEMO_MACHINE := 6.1
DEMO_IMAGE := build/lab/dumps/$(DEMO_MACHINE)/dump.lime

.PHONY: help setup setup-dev build everything demo test bench package fuzz lint format asan tsan clean

help: ## shows this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: ## installs the Debian packages that are missing
	@tools/setup.sh tools/packages.txt tests/lab/packages.txt

setup-dev: setup
	@tools/setup.sh tools/packages-dev.txt

build: setup ## builds the program: build/engram
	@[ -f build/release/build.ninja ] || cmake --preset release
	@cmake --build --preset release -j $(JOBS) --target engram
	@ln -sfn release/engram build/engram

everything: build
	@cmake --build --preset release -j $(JOBS)

demo: build ## boots a guest, dumps its memory and asks questions (IMAGE=FILE: asks them of your image)
ifdef IMAGE
	@tools/demo.sh build/engram "$(IMAGE)"
else
	@$(LAB) make $(DEMO_MACHINE)
	@tools/demo.sh build/engram $(DEMO_IMAGE)
endif

test: everything ## the whole test suite, real kernels included
	@tools/check_layers.py
	@$(LAB) make
	@cd build/release && ctest --output-on-failure -j $(JOBS)

bench: everything ## benchmarks; each checks its answer first
	@$(LAB) make
	@bench/run.sh

package: everything ## a Debian package of program, libraries and manual: build/*.deb
	@cd build/release && cpack -B .. >/dev/null && rm -rf ../_CPack_Packages && ls ../*.deb

fuzz: setup-dev ## runs each fuzz harness for SECONDS (60)
	@tools/fuzz.sh $(or $(SECONDS_EACH),60)

lint: setup-dev ## layers, formatting, warnings as errors, clang-tidy on what changed
	@tools/check_layers.py
	@git ls-files 'src/*.cc' 'src/*.h' 'bench/*.cc' 'fuzz/*.cc' | xargs clang-format --dry-run --Werror
	@cmake --preset dev >/dev/null && cmake --build --preset dev -j $(JOBS) --target all all_verify_interface_header_sets
	@tools/tidy.sh

format: ## formats every C++ source
	@git ls-files 'src/*.cc' 'src/*.h' 'bench/*.cc' 'fuzz/*.cc' | xargs clang-format -i

asan: setup ## unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@cmake --preset asan >/dev/null && cmake --build --preset asan -j $(JOBS)
	@cd build/asan && ctest --output-on-failure -LE lab -j $(JOBS)

tsan: setup ## unit tests under ThreadSanitizer
	@cmake --preset tsan >/dev/null && cmake --build --preset tsan -j $(JOBS)
	@cd build/tsan && ctest --output-on-failure -LE lab -j $(JOBS)

clean: ## removes what was built; keeps the lab's downloads and dumps
	@find build -mindepth 1 -maxdepth 1 ! -name lab -exec rm -rf {} + 2>/dev/null || true

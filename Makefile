# SPDX-License-Identifier: GPL-2.0
#
# kscope: `make help` says what there is. Everything that is built goes to build/.

KDIR ?= /lib/modules/$(shell uname -r)/build
KERNEL ?= 6.12
PREFIX ?= /usr/local

# Kbuild puts objects beside the sources, so each kernel gets its own tree of links to them.
release := $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' $(KDIR)/include/generated/utsrelease.h 2>/dev/null)
kmod = $(CURDIR)/build/kmod-$(release)
# What of the kernel's tools is not in its headers package is not asked for.
kbuild = $(MAKE) -C $(KDIR) M=$(kmod) W=1 CONFIG_DEBUG_INFO_BTF_MODULES= $(KBUILD_ARGS)

.PHONY: all
all: userspace
	@if [ -n "$(release)" ]; then $(MAKE) --no-print-directory module; \
	else echo "no headers of the running kernel in $(KDIR): not building the module"; \
	echo "(make module KDIR=... builds it for another kernel, make demo runs it in a guest)"; fi

.PHONY: userspace
userspace:
	$(MAKE) -C userspace O=$(CURDIR)/build/userspace

.PHONY: module
module:
	@test -n "$(release)" || { echo "no kernel headers in $(KDIR)" >&2; exit 1; }
	@mkdir -p $(kmod)/tests
	@find $(kmod) -type l -delete
	@cp -as $(CURDIR)/Kbuild $(CURDIR)/kmod $(CURDIR)/uapi $(kmod)
	@cp -as $(CURDIR)/tests/modules $(CURDIR)/tests/kunit $(kmod)/tests
ifdef LOG
	@+$(kbuild) modules >$(LOG) 2>&1 || { cat $(LOG); exit 1; }
else
	+$(kbuild) modules
	@echo "to load it: insmod $(kmod)/kscope.ko"
endif

.PHONY: modules_install
modules_install: module
	+$(kbuild) CONFIG_MODULE_SIG_ALL= modules_install
	$(if $(INSTALL_MOD_PATH),,depmod $(release))

.PHONY: install uninstall
install uninstall:
	$(MAKE) -C userspace O=$(CURDIR)/build/userspace PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) $@

.PHONY: check ci check-debug check-matrix model fuzz soak mutants coverage demo hazards lint kunit
check:
	@tests/check.sh model kunit 6.12 6.1
ci:
	@tests/check.sh model kunit 6.12 6.1 quarter mutant
check-debug:
	@tests/check.sh debug fuzz kcsan
check-matrix:
	@tests/setup.sh check
	@tests/setup.sh matrix
	@tests/matrix.sh
model:
	@tests/setup.sh check
	@tests/model/run.sh
fuzz:
	@tests/setup.sh check
	@tests/fuzz/run.sh $(or $(SECONDS),60) $(SEED)
soak:
	@tests/setup.sh check
	@tests/soak/run.sh $(or $(MINUTES),2) $(SEED)
mutants:
	@tests/setup.sh check
	@tests/mutants/run.sh $(M)
coverage:
	@tests/setup.sh check
	@tests/coverage.sh $(T)
demo:
	@tests/setup.sh demo
	@tests/vm/demo.sh
hazards:
	@tests/setup.sh hazards
	@tests/selftests/hazards/run.sh
lint:
	@tests/lint.sh
kunit:
	@tests/setup.sh check
	@tests/kunit/run.sh

.PHONY: bench bench-quick bench-trace
bench:
	@tests/setup.sh bench
	@tests/bench/run.sh all
bench-quick:
	@tests/setup.sh bench
	@tests/bench/run.sh quick
bench-trace:
	@tests/bench/trace.py $(or $(BATCH),256) $(or $(SUBJECT),kscope) $(or $(BENCH),spawn)

.PHONY: vm vm-run vm-build
vm-build:
	@tests/setup.sh check
	@tests/build.sh module $(KERNEL)
	@tests/build.sh programs
vm: vm-build
	@tests/vm/run --kernel $(KERNEL) --shell
vm-run: vm-build
	@tests/vm/run --kernel $(KERNEL) $(if $(CMD),-- '$(CMD)',$(addprefix --only ,$(T)))

.PHONY: clean
clean:
	rm -rf build

.PHONY: help
help:
	@echo 'make                 library and tool; the module, if the headers of the running kernel are there'
	@echo 'make module KDIR=... the module for the kernel of that build tree'
	@echo 'make install         library and tool [PREFIX=/usr/local] [DESTDIR=]'
	@echo 'make modules_install the module into /lib/modules of the running kernel, or that of KDIR'
	@echo 'make demo            shows it at work in a guest; installs the Debian packages that it needs'
	@echo 'make hazards         what io_uring leaves open, and kscope, side by side in a guest [KERNEL=6.12|6.1]'
	@echo 'make check           all tests, on stock Linux 6.12 and 6.1 in guests; likewise'
	@echo 'make ci              the same, a quarter of them on a kernel with KASAN and lockdep, a planted bug'
	@echo 'make kunit           only the tests inside the kernel'
	@echo 'make check-debug     all tests on a kernel with KASAN and lockdep, and on one with KCSAN; builds both'
	@echo 'make check-matrix    all tests on cloud and PREEMPT_RT kernels, 6.12 and 6.1, and on arm64'
	@echo 'make fuzz SECONDS=60 [SEED=] the fuzzer of the ABI, on the kernel with KASAN and KCOV'
	@echo 'make soak MINUTES=2  [SEED=] owners killed at random; then everything must be as before'
	@echo 'make model           the state machine and the life cycle, exhaustively'
	@echo 'make mutants         planted bugs, and which test finds them [M="1 14": only these]'
	@echo 'make bench           what everything costs, beside io_uring and thread pools: build/bench/report.md [KERNEL=]'
	@echo 'make bench-quick     instructions per child and scope, in two minutes [SUBJECT=kscope: only that one]'
	@echo 'make bench-trace     which functions take them, after bench-quick [BATCH=256] [SUBJECT=kscope] [BENCH=spawn]'
	@echo 'make coverage        lines and branches of the module that the tests reach [T=TEST: it adds to those of before]'
	@echo 'make lint            checkpatch, sparse, W=1, cppcheck, clang-format'
	@echo 'make vm              a shell in a guest with the module loaded [KERNEL=6.12|6.1|/path/to/bzImage]'
	@echo 'make vm-run T=TEST   one test in a guest (all, without T), or CMD="a command" [KERNEL=]'
	@echo 'make clean           removes build/ (downloads stay in ~/.cache/kscope)'
	@echo 'KSCOPE_NO_INSTALL=1  makes demo, check and lint stop where they would install packages'
	@echo 'ACCEL=tcg|kvm SMP=2 MEM=1G  how guests run'

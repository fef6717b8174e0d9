#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/setup.sh check|demo|lint|kcsan|matrix|bench|hazards
#
# Installs the Debian packages that the command needs and that are not there, after saying which and why;
# as root or through sudo. With KSCOPE_NO_INSTALL=1 it only says so, and fails.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# commands	package		why
packages() {
	cat <<-'END'
	check,demo,lint,bench,hazards gcc             compiles the module, the library, the tests and User Mode Linux
	check,demo,lint,bench,hazards libc6-dev       headers and static libraries for gcc
	check,demo,lint,bench,hazards libelf1         objtool of the kernel's headers is linked with it
	check,demo,lint,bench,hazards busybox-static  the guest's commands; depmod and cpio
	check,demo,lint,bench,hazards xz-utils        unpacks kernel modules and sources
	check,demo,bench,hazards      qemu-system-x86 runs the guest
	check,demo,bench,hazards      e2fsprogs       makes the guest's disk
	check,demo,bench,hazards      python3         tests/vm/run, and the kernel's kunit.py
	check                         libc6-dev-i386  the tests of the ABI as 32-bit programs
	check                         lib32gcc-12-dev the same
	check                         bc              builds User Mode Linux for KUnit, and instrumented kernels
	check                         bison           the same
	check                         flex            the same
	check                         libelf-dev      builds objtool, which checks instrumented kernels
	check                         spin            checks the protocol of scopes (tests/model)
	check                         patch           plants bugs
	kcsan                         clang           builds the kernel that finds data races
	matrix                        gcc-aarch64-linux-gnu builds module and tests for arm64
	matrix                        libc6-dev-arm64-cross the same
	matrix                        linux-libc-dev-arm64-cross the same
	matrix                        qemu-system-arm runs the guest for arm64
	bench,hazards                 liburing-dev    the peer, io_uring
	bench                         gnuplot-nox     plots
	bench                         libssl-dev      the peer for digests
	lint                          sparse          checks address spaces and locks of the module
	lint                          cppcheck        checks library, tool and tests
	lint                          clang-format    checks the layout of the sources
	lint                          perl            runs the kernel's checkpatch.pl
	END
}

[[ ${1-} =~ ^(check|demo|lint|kcsan|matrix|bench|hazards)$ ]] || { sed -n '4,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
command -v dpkg-query >/dev/null || die "this needs Debian 12: its packages and stock kernels are what the tests run"
[[ $(dpkg --print-architecture) == amd64 ]] || die "only amd64 machines so far"

missing=()
why=
while read -r commands package reason; do
	[[ ,$commands, == *,$1,* ]] || continue
	dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed && continue
	missing+=("$package")
	why+=$(printf '\n    %-16s %s' "$package" "$reason")
done < <(packages)
((${#missing[@]})) || exit 0

say "make $1 needs these Debian packages:$why"
command="apt-get install -y --no-install-recommends ${missing[*]}"
[[ ${KSCOPE_NO_INSTALL:-0} != 1 ]] || die "KSCOPE_NO_INSTALL=1: not installing them. To do so: $command"
sudo=
if ((EUID)); then
	command -v sudo >/dev/null || die "neither root nor sudo: please run: $command"
	sudo="sudo DEBIAN_FRONTEND=noninteractive"
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # words
run_slow "installing them" $sudo $command || {
	run_slow "fetching apt's package lists" $sudo apt-get update
	run_slow "installing them" $sudo $command
}

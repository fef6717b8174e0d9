#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/mutants/run.sh [--report FILE] [--rotate] [NUMBER]...	(make mutants)
#
# Tests the tests. Each NN-name.patch beside this script plants one bug in the module: the patch goes into a copy of
# the sources, the module is built and loaded in a guest, and the test that the patch names must fail. First that
# test is run without the bug: it must pass. NUMBER runs only these mutants; --rotate runs one, picked by the hash of
# HEAD among those that need no instrumented kernel.
#
# What a patch says before the diff:
#   Bug: what is wrong, and what it does to a user
#   Kernel: 6.12, debug or kcsan; the module has its hooks on each
#   Program: of tests/selftests that finds it, with its options if any; or kunit, on debug
#   Test: its full name, and no other is run; or one of
#	log		the kernel's log shows trouble
#	log TEXT	it shows this
#	left		something is left pinned, charged, or referred to
#	hang		the guest or the program does not come to an end
#	else		a test with that name, which the guest adds
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

HERE=$TOP/tests/mutants
WORK=$TOP/build/mutants
GUEST_SECONDS=600

declare -A kernel_of program_of test_of

# read_patch PATCH: what it says before the diff
read_patch() {
	local line name
	name=$(basename "$1" .patch)
	while read -r line && [[ $line != '--- '* ]]; do
		case $line in
		Kernel:\ *) kernel_of[$name]=${line#*: } ;;
		Program:\ *) program_of[$name]=${line#*: } ;;
		Test:\ *) test_of[$name]=${line#*: } ;;
		esac
	done <"$1"
	[[ ${kernel_of[$name]-} && ${program_of[$name]-} && ${test_of[$name]-} ]] ||
		die "$name.patch does not say Kernel, Program and Test before the diff"
	mutants+=("$name")
}

# find_mutants [NUMBER]...: these, or all
find_mutants() {
	local patch nr
	mutants=()
	for patch in "$HERE"/[0-9]*.patch; do
		nr=${patch##*/}
		nr=$((10#${nr%%-*}))
		[[ $# == 0 || " ${*/#0/} " == *" $nr "* ]] && read_patch "$patch"
	done
	((${#mutants[@]} >= $#)) || die "there are not that many mutants in tests/mutants: $*"
}

pick_by_head() {
	local hash name picked=()
	hash=$(git -C "$TOP" rev-parse --short=7 HEAD) || die "--rotate picks by the hash of HEAD: this is no git checkout"
	for name in "${mutants[@]}"; do
		[[ ${kernel_of[$name]} != 6.12 ]] || picked+=("$name")
	done
	mutants=("${picked[16#$hash % ${#picked[@]}]}")
}

# row NAME: the line of LIST for a mutant
row() {
	local test=${test_of[$1]} filter=
	[[ $test == *' '* || $test != *.* ]] || filter=" -r $test"
	echo "$1 90 ./${program_of[$1]}$filter"
}

# A directory as the guest wants it: the programs, and a LIST with a line for each mutant
make_tests() {
	local SOURCE name programs
	eval "$("$TOP/tests/vm/kernel.sh" source)"
	rm -rf "$WORK/tests"
	mkdir -p "$WORK/programs" "$WORK/tests/64"
	for name in "${mutants[@]}"; do
		[[ ${program_of[$name]} == kunit ]] || row "$name"
	done >"$WORK/tests/64/LIST"
	mapfile -t programs < <(sed 's,^[^/]*/\([^ ]*\).*,\1,' "$WORK/tests/64/LIST" | sort -u)
	((${#programs[@]})) || return 0
	run_slow "building the ${#programs[@]} programs that are to find the bugs" \
		make -C "$TOP/tests/selftests" --no-print-directory -j"$(nproc)" O="$WORK/programs" \
		KSFT="$SOURCE/tools/testing/selftests" "${programs[@]/#/$WORK/programs/}" || die "they do not build"
	cp "${programs[@]/#/$WORK/programs/}" "$WORK/tests/64"
}

# make_module KERNEL: of the sources in its tree. No warnings: a bug leaves unused things behind.
make_module() {
	local KDIR CC tree=$WORK/$1/tree words options=(KSCOPE_TESTS=1 KSCOPE_HOOKS=1 KCFLAGS=-w)
	words=$("$TOP/tests/vm/kernel.sh" "$1")
	eval "$words"
	[[ $1 == 6.12 ]] || options+=(CONFIG_KSCOPE_KUNIT=m)
	make -C "$tree" --no-print-directory -j"$(nproc)" module KDIR="$KDIR" CC="$CC" kmod="$tree/out" "${options[@]}"
}

# make goes by time: a source is copied when its content differs
copy_sources() {
	local file
	(cd "$TOP" && find Kbuild Makefile kmod uapi tests/modules tests/kunit -type f) | while read -r file; do
		cmp -s "$TOP/$file" "$1/$file" || install -D -m 644 "$TOP/$file" "$1/$file"
	done
}

restore_clean() {
	rm -rf "$WORK/$1/tree"
	cp -a "$WORK/$1/clean" "$WORK/$1/tree"
}

# The unmodified module, built; each mutant starts with a copy at the same place, so that make only does what changed.
make_clean() {
	[[ ! -d $WORK/$1/clean ]] || restore_clean "$1"
	copy_sources "$WORK/$1/tree"
	run_slow "building the module without a bug, for the kernel $1" make_module "$1" || die "it does not build"
	rm -rf "$WORK/$1/clean"
	cp -a "$WORK/$1/tree" "$WORK/$1/clean"
}

# guest KERNEL OUTPUT NAME...: lines of LIST; that some of them fail is for others to judge
guest() {
	local kernel=$1 output=$2 options=() module
	shift 2
	while read -r module; do
		options+=(--module "$module")
	done < <(find "$WORK/$kernel/tree/out" -name kscope.ko; find "$WORK/$kernel/tree/out" -name 'kscope_*.ko')
	rm -rf "$WORK"/tmp/kscope-vm-* # of a guest that was given up
	timeout "$GUEST_SECONDS" "$TOP/tests/vm/run" --kernel "$kernel" --tests "$WORK/tests/64" "${options[@]}" \
		"${@/#/--only=}" >"$output" 2>&1 </dev/null ||
		true
}

# only NAME: how tests/vm/run calls the line of a mutant
only() {
	if [[ ${program_of[$1]} == kunit ]]; then
		echo kunit
	else
		echo "$1"
	fi
}

# Without a bug all of it passes; if it did not, a mutant would be killed by nothing.
check_clean() {
	local name names=() lines=() output=$WORK/$1/clean.log
	for name in "${mutants[@]}"; do
		[[ ${kernel_of[$name]} == "$1" ]] || continue
		names+=("$name")
		lines+=("$(only "$name")")
	done
	run_slow "running the tests of ${#names[@]} mutants without a bug, on the kernel $1" guest "$1" "$output" "${lines[@]}"
	grep -Eq '^== .*: [1-9][0-9]* passed, 0 failed' "$output" ||
		{ cat "$output" >&2; die "these tests fail without any bug: there is nothing to be learned from mutants"; }
	for name in "${names[@]}"; do
		grep -Eq "^ok +[^ ]+ (64:)?$(only "$name") +[1-9][0-9]* passed" "$output" ||
			{ cat "$output" >&2; die "$name: its test was skipped, or there is none of that name"; }
	done
}

# signs OUTPUT TEST: does the output show what was to be seen
signs() {
	case $2 in
	log) grep -Eq '^ *\| .*(WARNING:|BUG|Oops|general protection|KASAN|UBSAN|refcount_t|corruption)' "$1" ;;
	log\ *) grep '^ *| ' "$1" | grep -F -e "${2#log }" >/dev/null ;;
	left) grep -Eq '^ *left (behind: |[0-9]+ (pages pinned|references to the module)$)' "$1" ;;
	hang) grep -Eq '^ *(the guest hangs|took longer than [0-9]+ s)$' "$1" ;;
	*) grep -Fxq "     not ok: $2" "$1" ;;
	esac
}

# what else was seen, in a few words
other_signs() {
	sed -n 's/^ *not ok: //p; /^ *left \|the guest \|took longer/s/^ *//p; s/^ *| .*\(BUG: .*\|WARNING: .*\|Oops: .*\)/\1/p' "$1" |
		sed -n '1,3s/^\(.\{0,100\}\).*/\1/p' | paste -sd ';'
}

apply_and_build() {
	restore_clean "$2" &&
		patch -d "$WORK/$2/tree" -p1 --fuzz=2 --no-backup-if-mismatch --force <"$HERE/$1.patch" &&
		make_module "$2"
}

# try_mutant NAME: killed, or not
try_mutant() {
	local name=$1 kernel=${kernel_of[$1]} test=${test_of[$1]} output=$WORK/$1.log start=$SECONDS seen
	if ! run_slow "$name: building" apply_and_build "$name" "$kernel"; then
		echo "BROKEN ${name/-/ }: the patch does not apply or build; it has to follow what it changes"
		broken=$((broken + 1))
		return
	fi
	run_slow "$name: running ${program_of[$name]}" guest "$kernel" "$output" "$(only "$name")"
	if signs "$output" "$test"; then
		echo "killed ${name/-/ }: by $test ($((SECONDS - start)) s)"
		killed=$((killed + 1))
		return
	fi
	seen=$(other_signs "$output")
	echo "SURVIVED ${name/-/ }: not noticed by $test${seen:+, but there was: $seen} (see ${output#"$TOP/"})"
	survived=$((survived + 1))
}

report=
rotate=
while [[ ${1-} == -* ]]; do
	case $1 in
	--report) report=$(realpath "$2"); shift ;;
	--rotate) rotate=yes ;;
	*) sed -n '4,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
	shift
done
[[ ${*-} =~ ^[0-9\ ]*$ ]] || die "mutants have numbers: ${*}"

"$TOP/tests/setup.sh" check
command -v patch >/dev/null || die "there is no patch(1): apt-get install patch"
mkdir -p "$WORK/tmp"
export TMPDIR=$WORK/tmp
exec 8>"$WORK/lock"
flock -n 8 || { say "waiting for another run of the mutants"; flock 8; }
find_mutants "$@"
[[ ! $rotate ]] || pick_by_head

killed=0 survived=0 broken=0 began=$SECONDS
make_tests
mapfile -t kernels < <(for name in "${mutants[@]}"; do echo "${kernel_of[$name]}"; done | sort -u)
for kernel in "${kernels[@]}"; do
	"$TOP/tests/vm/kernel.sh" "$kernel" >/dev/null
	make_clean "$kernel"
	check_clean "$kernel"
done
for name in "${mutants[@]}"; do
	try_mutant "$name"
done

[[ ! $report ]] || echo "$killed $((survived + broken)) 0" >"$report"
say "all of it took $((SECONDS - began)) s"
echo "== mutants: $killed killed, $survived survived$( ((broken)) && echo ", $broken broken")"
((killed && !survived && !broken))

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/mutants/run.sh [--report FILE] [--rotate] [NUMBER]...	(make mutants)
#
# Tests the tests. Each NN-name.patch beside this script plants one bug in the module: the patch goes into a copy of
# the sources, the module is built and loaded in a guest, and the test that the patch names must fail. Just before,
# the same test runs without the bug: it must pass. NUMBER runs only these mutants; --rotate runs one, picked by the
# hash of HEAD among those that need no instrumented kernel.
#
# For each kernel, all mutants are built first, and then share guests: a bug that leaves nothing but a test that
# fails is unloaded, any other costs a new guest.
#
# What a patch says before the diff:
#   Bug: what is wrong, and what it does to a user
#   Kernel: 6.12, debug or kcsan; the module has its hooks on each
#   Guest: its own, if what it does to the memory of others may go unnoticed
#   Program: of tests/selftests that finds it, with its options if any; kunit, on debug; or leaks and one of these,
#	whose output is not looked at
#   Test: its full name, and no other is run; with " or log" behind it, if the bug may take the kernel down before the
#	test has ended; or one of
#	log		the kernel's log shows trouble
#	log TEXT	it shows this
#	left		something is left pinned, charged, or referred to
#	hang		the guest goes away, or it or the program does not come to an end
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

HERE=$TOP/tests/mutants
WORK=$TOP/build/mutants

declare -A kernel_of program_of test_of own # what the patches say
declare -A first_of built_in bad_tests      # by command: a mutant; by mutant: seconds; by command: fails anyway
killed=0 survived=0 broken=0

# read_patch PATCH: what it says before the diff
read_patch() {
	local line name
	name=$(basename "$1" .patch)
	while read -r line && [[ $line != '--- '* ]]; do
		case $line in
		Kernel:\ *) kernel_of[$name]=${line#*: } ;;
		Guest:\ *) own[$name]=yes ;;
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
	for patch in $(printf '%s\n' "$HERE"/[0-9]*.patch | sort -V); do
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

# command_of NAME: what finds this mutant, as the guest's shell runs it
command_of() {
	local program=${program_of[$1]#leaks } test=${test_of[$1]% or log} filter=
	[[ $test == *' '* || $test != *.* ]] || filter=" -r $test"
	case ${program_of[$1]} in
	kunit) echo sh /rig/kunit.sh ;;
	leaks\ *) echo "./$program >/dev/null && sh /rig/leaks.sh" ;;
	*) echo "./$program$filter" ;;
	esac
}

# A directory as the guest wants it: the programs, and a LIST for each kernel
make_programs() {
	local SOURCE name programs
	eval "$("$TOP/tests/vm/kernel.sh" source)"
	rm -rf "$WORK/tests"
	mkdir -p "$WORK/programs" "$WORK/tests/64"
	mapfile -t programs < <(for name in "${mutants[@]}"; do
		command_of "$name" | sed -n 's,^\./\([^ ]*\).*,\1,p'
	done | sort -u)
	((${#programs[@]})) || return 0
	run_slow "building the programs that are to find the bugs: ${#programs[@]}" \
		make -C "$TOP/tests/selftests" --no-print-directory -j"$(nproc)" O="$WORK/programs" \
		KSFT="$SOURCE/tools/testing/selftests" "${programs[@]/#/$WORK/programs/}" || die "they do not build"
	cp "${programs[@]/#/$WORK/programs/}" "$WORK/tests/64"
}

# make_modules KERNEL: of the sources in its tree. No warnings: a bug leaves unused things behind. No checks of
# comments and no tables for debuggers either, which take most of the time.
make_modules() {
	local KDIR CC tree=$WORK/$1/tree words options=(KSCOPE_TESTS=1 KSCOPE_HOOKS=1 KCFLAGS=-w)
	words=$("$TOP/tests/vm/kernel.sh" "$1")
	eval "$words"
	[[ $1 == 6.12 ]] || options+=(CONFIG_KSCOPE_KUNIT=m)
	make -C "$tree" --no-print-directory -j"$(nproc)" module KDIR="$KDIR" CC="$CC" kmod="$tree/out" "${options[@]}" \
		KBUILD_ARGS="CONFIG_DEBUG_INFO= W="
}

# keep_modules KERNEL NAME: where the guest finds them
keep_modules() {
	local dir=$WORK/$1/instead/$2
	mkdir -p "$dir"
	find "$WORK/$1/tree/out" -name '*.ko' -exec cp -t "$dir" {} +
	[[ ! ${own[$2]-} ]] || touch "$dir/own"
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
	run_slow "building the module without a bug, for the kernel $1" make_modules "$1" || die "it does not build"
	rm -rf "$WORK/$1/clean" "$WORK/$1/instead"
	cp -a "$WORK/$1/tree" "$WORK/$1/clean"
	keep_modules "$1" clean
}

apply_and_build() {
	restore_clean "$2" &&
		patch -d "$WORK/$2/tree" -p1 --fuzz=2 --no-backup-if-mismatch --force <"$HERE/$1.patch" &&
		make_modules "$2"
}

# make_mutant NAME KERNEL: its modules, and its line of the guest's list; before it, the same test without the bug
make_mutant() {
	local start=$SECONDS command
	run_slow "$1: building" apply_and_build "$1" "$2" ||
		{ verdict BROKEN "$1" "the patch does not apply or build; it has to follow what it changes"; return; }
	built_in[$1]=$((SECONDS - start))
	keep_modules "$2" "$1"
	command=$(command_of "$1")
	if [[ ! ${first_of[$2 $command]-} ]]; then
		first_of[$2 $command]=$1
		ln -s clean "$WORK/$2/instead/$1.clean"
		echo "$1.clean 90 $command"
	fi >>"$WORK/tests/64/LIST"
	echo "$1 90 $command" >>"$WORK/tests/64/LIST"
}

# guest KERNEL: works off the list; what comes out is for others to judge
guest() {
	local options=() module
	while read -r module; do
		options+=(--module "$module")
	done < <(find "$WORK/$1/instead/clean" -name kscope.ko; find "$WORK/$1/instead/clean" -name 'kscope_*.ko')
	rm -rf "$WORK"/tmp/kscope-vm-* # of a guest that was given up
	"$TOP/tests/vm/run" --kernel "$1" --tests "$WORK/tests/64" --instead "$WORK/$1/instead" "${options[@]}" \
		2>&1 </dev/null || true
}

# signs OUTPUT TEST: does the output show what was to be seen
signs() {
	case $2 in
	*\ or\ log) signs "$1" "${2% or log}" || signs "$1" log ;;
	log) grep -Eq '^ *\| .*(WARNING:|BUG|Oops|general protection|KASAN|UBSAN|refcount_t|corruption)' "$1" ;;
	log\ *) grep '^ *| ' "$1" | grep -F -e "${2#log }" >/dev/null ;;
	left) grep -Eq '^ *left (behind: |[0-9]+ (pages pinned|references to the module)$)' "$1" ;;
	hang) grep -Eq '^ *(the guest (hangs|went away)|took longer than [0-9]+ s)$' "$1" ;;
	*) grep -Fxq "     not ok: $2" "$1" ;;
	esac
}

# what else was seen, in a few words
other_signs() {
	sed -n 's/^ *not ok: //p; /^ *left \|the guest \|took longer/s/^ *//p; s/^ *| .*\(BUG: .*\|WARNING: .*\|Oops: .*\)/\1/p' "$1" |
		sed -n '1,3s/^\(.\{0,100\}\).*/\1/p' | paste -sd ';'
}

# verdict killed|SURVIVED|BROKEN NAME WHY
verdict() {
	case $1 in
	killed) killed=$((killed + 1)) ;;
	SURVIVED) survived=$((survived + 1)) ;;
	BROKEN) broken=$((broken + 1)) ;;
	esac
	echo "$1 ${2/-/ }: $3"
	judged+=" $2 "
}

# judge NAME OUTPUT: was it killed
judge() {
	local output=$2 test=${test_of[${1%.clean}]} seen ran key
	key="${kernel_of[${1%.clean}]} $(command_of "${1%.clean}")"
	if [[ $1 == *.clean ]]; then
		grep -Eq "^ok +[^ ]+ 64:$1 +[1-9][0-9]* passed" "$output" || bad_tests[$key]=yes
		return
	fi
	ran=$(sed -n "s/^\(ok  \|FAIL\) [^ ]* 64:$1 .* \([0-9.]* s\)$/\2/p" "$output")
	if [[ ${bad_tests[$key]-} ]]; then
		verdict BROKEN "$1" "without the bug, $test fails, is skipped, or is not there (see ${WORK#"$TOP/"}/${first_of[$key]}.clean.log)"
	elif signs "$output" "$test"; then
		verdict killed "$1" "by $test (built in ${built_in[$1]} s, ran for $ran)"
	else
		seen=$(other_signs "$output")
		verdict SURVIVED "$1" "not noticed by $test${seen:+, but there was: $seen} (see ${output#"$TOP/"})"
	fi
}

# Reads what the guests say: each test begins with a line that names it.
judge_all() {
	local line name=
	while IFS= read -r line; do
		if [[ $line == '== '* ]]; then
			[[ ! $name ]] || judge "$name" "$WORK/$name.log"
			name=
			[[ $line != '== 64:'* ]] || { name=${line#== 64:}; : >"$WORK/$name.log"; }
			line=${line#== }
			say "${line#64:}"
		elif [[ $name ]]; then
			echo "$line" >>"$WORK/$name.log"
		fi
	done
}

# try_kernel KERNEL: all mutants for it
try_kernel() {
	local name
	"$TOP/tests/vm/kernel.sh" "$1" >/dev/null
	make_clean "$1"
	: >"$WORK/tests/64/LIST"
	judged=
	for name in "${mutants[@]}"; do
		[[ ${kernel_of[$name]} != "$1" ]] || make_mutant "$name" "$1"
	done
	[[ ! -s $WORK/tests/64/LIST ]] || judge_all < <(guest "$1")
	for name in "${mutants[@]}"; do
		[[ ${kernel_of[$name]} != "$1" || $judged == *" $name "* ]] || verdict BROKEN "$name" "no guest ran its test"
	done
}

report=
rotate=
while [[ ${1-} == -* ]]; do
	case $1 in
	--report) report=$(realpath "$2"); shift ;;
	--rotate) rotate=yes ;;
	*) sed -n '4,12s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
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

began=$SECONDS
make_programs
mapfile -t kernels < <(for name in "${mutants[@]}"; do echo "${kernel_of[$name]}"; done | sort -u)
for kernel in "${kernels[@]}"; do
	try_kernel "$kernel"
done

[[ ! $report ]] || echo "$killed $((survived + broken)) 0" >"$report"
say "$killed killed, $survived survived, $broken broken; all of it took $((SECONDS - began)) s"
echo "mutants: $killed passed, $((survived + broken)) failed"
((killed && !survived && !broken))

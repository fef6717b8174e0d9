#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/model/run.sh [--report FILE]
#
# Looks at all states of a small world around kmod/state.[ch], of trees of scopes (tree.c), and at all runs of the
# protocol in scope.pml, with spin. Then plants the bugs of states.bugs and scope.bugs, one at a time, and expects each of them to be found.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

report=
if [[ ${1-} == --report ]]; then
	report=$2
	shift 2
fi
(($# == 0)) || { sed -n '4s/^# //p' "$0" >&2; exit 2; }
command -v spin >/dev/null || die "there is no spin: tests/setup.sh check installs it"

here=$TOP/tests/model
mkdir -p "$TOP/build/model"
work=$(mktemp -d "$TOP/build/model/run-XXXXXX")
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

ok() {
	echo "ok   $*"
	echo ok >>"$work/verdicts"
}

# bad WHAT FILE: with what the file says
bad() {
	{ echo "FAIL $1"; sed 's/^/     | /' "$2"; } >"$work/$BASHPID"
	cat "$work/$BASHPID" # in one piece: others write as well
	echo bad >>"$work/verdicts"
}

# compile OUTPUT ARGUMENT...
compile() {
	gcc -Wall -Wextra -Wno-unused-parameter -Werror -I"${1%/*}" -I"$TOP/kmod" -I"$TOP/uapi" -I"$here" -o "$@"
}

sources=("$here"/{states,world,rules,calls,lanes,child}.c "$TOP/kmod/state.c")
headers=("$here/world.h" "$TOP/kmod/state.h")
# A single scope, with more slots: what is planted shows there as well. And the same under a policy
declare -A policy=([one]="no policy" [fail]="fail-fast" [race]="first success") world=(
	[one]="-DNR_SCOPES=1 -DTABLE_BITS=17"
	[fail]="-DNR_SCOPES=1 -DTABLE_BITS=17 -DPOLICY=KSCOPE_POLICY_FAIL_FAST"
	[race]="-DNR_SCOPES=1 -DTABLE_BITS=17 -DPOLICY=KSCOPE_POLICY_FIRST_SUCCESS"
)

# states NAME OPTION...
states() {
	local dir=$work/states-$1
	mkdir "$dir"
	if compile "$dir/states" "${@:2}" "${sources[@]}" >"$dir/out" 2>&1 &&
		timeout 900 "$dir/states" >"$dir/out" 2>&1; then
		ok "states, $1: $(cat "$dir/out")"
	else
		bad "states, $1" "$dir/out"
	fi
}

# trees NAME OPTION...
trees() {
	local dir=$work/trees-$1
	mkdir "$dir"
	if compile "$dir/tree" -O2 "${@:2}" "$here/tree.c" "$TOP/kmod/state.c" >"$dir/out" 2>&1 &&
		timeout 900 "$dir/tree" >"$dir/out" 2>&1; then
		ok "tree, $1: $(cat "$dir/out")"
	else
		bad "tree, $1" "$dir/out"
	fi
}

# tree_bug NAME WORDS EDIT: a line of tree.bugs
tree_bug() {
	local dir ret=0
	dir=$(mktemp -d "$work/bug-XXXXXX")
	sed -E "$3" "$here/tree.c" >"$dir/tree.c"
	if ! cmp -s "$here/tree.c" "$dir/tree.c" &&
		compile "$dir/tree" -O2 -w "$dir/tree.c" "$TOP/kmod/state.c" >"$dir/out" 2>&1; then
		timeout 900 "$dir/tree" >"$dir/out" 2>&1 || ret=$?
	fi
	if ((ret == 1)) && grep -Eq "^BROKEN: .*($2)" "$dir/out"; then
		ok "tree finds the planted bug: $1"
	else
		bad "tree does not find the planted bug as '$2': $1" "$dir/out"
	fi
	rm -r "$dir"
}

# What a bug in one source leaves as it is, compiled once
compile_parts() {
	local original w
	for w in "${!world[@]}"; do
		mkdir "$work/parts-$w"
		for original in "${sources[@]}"; do
			# shellcheck disable=SC2086 # words
			compile "$work/parts-$w/$(basename "$original" .c).o" -c -O0 ${world[$w]} "$original"
		done
	done
}

# plant DIRECTORY WORLD FILE EDIT: fills it with an edited copy of the file, and links to all others
plant() {
	local original file
	for original in "${sources[@]}" "${headers[@]}"; do
		file=${original##*/}
		if [[ $file == "$3" ]]; then
			sed -E "$4" "$original" >"$1/$file"
			! cmp -s "$original" "$1/$file" || { echo "the edit changes nothing: $4"; return 1; }
		elif [[ $file == *.c && $3 == *.c ]]; then
			ln -s "$work/parts-$2/${file%.c}.o" "$1"
		else
			ln -s "$original" "$1"
		fi
	done
}

# states_bug WORLD FILE NAME WORDS EDIT: a line of states.bugs
states_bug() {
	local dir ret=0
	dir=$(mktemp -d "$work/bug-XXXXXX")
	# shellcheck disable=SC2086 # words
	if plant "$dir" "$1" "$2" "$5" >"$dir/out" &&
		compile "$dir/states" -O0 -w ${world[$1]} "$dir"/*.[co] >"$dir/out" 2>&1; then
		timeout 900 "$dir/states" >"$dir/out" 2>&1 || ret=$?
	fi
	if ((ret == 1)) && grep -q "^BROKEN: .*$4" "$dir/out"; then
		ok "states finds the planted bug: $3"
	else
		bad "states does not find the planted bug as '$4': $3 ($2)" "$dir/out"
	fi
	rm -r "$dir"
}

# run_pan DIRECTORY "SPIN OPTIONS" "GCC OPTIONS" "PAN OPTIONS": Return: was all of it looked at
run_pan() {
	(
		mkdir "$1"
		cp "$here/scope.pml" "$1"
		cd "$1"
		# shellcheck disable=SC2086 # words
		spin $2 -a scope.pml && gcc -w $3 -DCOLLAPSE -DMEMLIM=1500 -o pan pan.c &&
			timeout 900 ./pan -m20000 $4
	) >"$1.out" 2>&1 || return 1
	grep -q 'errors: ' "$1.out" && ! grep -Eq 'too small|out of memory|max search depth' "$1.out"
}

# way DIRECTORY "SPIN OPTIONS": what pan has found, and the end of the way to it, in steps of the model
way() {
	grep '^pan:1: ' "$1.out" >"$1.way"
	# shellcheck disable=SC2086 # words
	(cd "$1" && timeout 60 spin $2 -t -p scope.pml |
		grep -Ev '\[(sub-sequence|\.\(goto\)|goto .*|IF|DO)\]$' | tail -n 120) >>"$1.way" 2>&1 || true
	mv "$1.way" "$1.out"
}

# scope NAME "SPIN OPTIONS" "GCC OPTIONS" "PAN OPTIONS"
scope() {
	local dir=$work/scope-$1
	if ! run_pan "$dir" "${@:2}" || ! grep -q 'errors: 0$' "$dir.out"; then
		[[ ! -s $dir/scope.pml.trail ]] || way "$dir" "$2"
		bad "scope.pml, $1" "$dir.out"
		return
	fi
	ok "scope.pml, $1: $(awk '/states, stored/ {s = $1} /transitions/ {t = $1} /depth reached/ {d = $6 + 0}
		END {printf "%d states, %d transitions, depth %d", s, t, d}' "$dir.out")"
}

# What never happens is not checked either. The ends of loops without end are no step.
scope_is_safe() {
	local dir=$work/scope-safety
	scope safety "" "-O2 -DSAFETY" ""
	grep -q 'errors: 0$' "$dir.out" || return 0
	if grep -A 1000 '^unreached' "$dir.out" | grep ', state ' | grep -v '"-end-"' >"$dir/unreached"; then
		bad "scope.pml has steps that never happen" "$dir/unreached"
	else
		ok "scope.pml has no step that never happens"
	fi
}

# scope_bug MACRO WORDS OPTIONS NAME: a line of scope.bugs
scope_bug() {
	local dir=$work/$1 kind=-DSAFETY pan=
	[[ $3 != *LIVENESS* ]] || { kind=-DNFAIR=3 pan='-a -f'; }
	if run_pan "$dir" "-D$1 $3" "-O0 $kind" "$pan" && grep -Fq 'errors: 1' "$dir.out" &&
		grep '^pan:1: ' "$dir.out" | grep -Fq "$2"; then
		ok "spin finds the planted bug: $4"
	else
		bad "spin does not find the planted bug as '$2': $4 ($1)" "$dir.out"
	fi
	rm -rf "$dir"
}

# job COMMAND...: as many at a time as there are CPUs
job() {
	while (($(jobs -rp | wc -l) >= $(nproc))); do
		wait -n || true
	done
	"$@" </dev/null &
}

# The longest first
all_jobs() {
	local which file name words edit macro options
	compile_parts
	job scope_is_safe
	job scope liveness "-DLIVENESS -DOPS=1 -DNESTED_FROM_THE_START" "-O2 -DNFAIR=3" "-a -f"
	job states "two scopes" -O3 -flto
	job states "two scopes, one of them inline" -O2 -DLANES_OF_B=0 -DTABLE_BITS=21
	job trees "a chain that fails fast" -DPARENT_OF_2=1
	job trees "siblings that fail fast" -DPARENT_OF_2=0
	job trees "a chain that collects" -DPARENT_OF_2=1 -DPOLICY=KSCOPE_POLICY_COLLECT
	# shellcheck disable=SC2086 # words
	for which in one fail race; do
		job states "one scope, ${policy[$which]}" -O2 ${world[$which]}
	done
	while IFS=$'\t' read -r macro words options name; do
		[[ $macro == \#* ]] || job scope_bug "$macro" "$words" "$options" "$name"
	done <"$here/scope.bugs"
	while IFS=$'\t' read -r which file name words edit; do
		[[ $which == \#* ]] || job states_bug "$which" "$file" "$name" "$words" "$edit"
	done <"$here/states.bugs"
	while IFS=$'\t' read -r name words edit; do
		[[ $name == \#* ]] || job tree_bug "$name" "$words" "$edit"
	done <"$here/tree.bugs"
	wait
}

verdicts() {
	grep -c "^$1" "$work/verdicts" || true
}

began=$SECONDS
touch "$work/verdicts"
all_jobs &
while kill -0 $! 2>/dev/null; do
	timeout 8 tail --pid=$! -f /dev/null || say "model: $(wc -l <"$work/verdicts") checks done, $((SECONDS - began)) s"
done
wait $! || bad "the run itself" /dev/null
passed=$(verdicts ok) failed=$(verdicts bad)
[[ ! $report ]] || echo "$passed $failed 0" >"$report"
echo "== model: $passed passed, $failed failed"
((passed && !failed))

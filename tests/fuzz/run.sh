#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/fuzz/run.sh [--report FILE] [SECONDS [SEED]]	(make fuzz)
#
# Runs the fuzzer in a guest: with the kernel $KERNEL (debug), for 60 s, from the corpus in tests/fuzz/corpus. What it
# finds new is in build/fuzz/corpus afterwards. Arguments for the fuzzer itself: FUZZ="--distill ..."; `fuzz --help`
# names them. On kernels without KCOV programs are random.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

report=
if [[ ${1-} == --report ]]; then
	report=$2
	shift 2
fi
seconds=${1:-60}
kernel=${KERNEL:-debug}
out=$TOP/build/fuzz
spare=${FUZZ_SPARE:-120} # for the corpus before, and the one after

case $kernel in
debug | kcsan) module=module hooks=() ;;
*) module=hooks hooks=(--hooks) ;;
esac
"$TOP/tests/vm/kernel.sh" "$kernel" >/dev/null
"$TOP/tests/build.sh" "$module" "$kernel"
mkdir -p "$out"
run_slow "building the fuzzer" make -C "$TOP/tests/fuzz" --no-print-directory -j"$(nproc)" O="$out/obj"

# Lines of the guest go to the terminal, but for the new corpus, which comes as text.
sort_out() {
	awk -v corpus="$out/corpus.b64" '
		/^@corpus end/ { inside = 0; next }
		inside { print >corpus; next }
		/^@corpus begin/ { inside = 1; next }
		{ print; fflush() }'
}

unpack() {
	[[ -s $out/corpus.b64 ]] || return 0
	rm -rf "$out/corpus"
	mkdir "$out/corpus"
	base64 -d "$out/corpus.b64" | tar -C "$out/corpus" -xz
	rm "$out/corpus.b64"
	say "$(find "$out/corpus" -name '*.txt' | wc -l) programs in build/fuzz/corpus"
}

command="fuzz --seconds $seconds ${2:+--seed $2} --corpus /corpus --save /tmp/corpus ${FUZZ-}; ret=\$?;
	if [ -d /tmp/corpus ]; then echo @corpus begin; tar -C /tmp/corpus -cz . | base64; echo @corpus end; fi;
	exit \$ret"
rm -f "$out/corpus.b64"
ret=0
# nobody asks kmemleak here, and without it scopes are made and closed twice as fast
"$TOP/tests/vm/run" --kernel "$kernel" "${hooks[@]}" --append kmemleak=off --timeout $((seconds + spare)) --keep "$out" \
	--add "$out/obj/fuzz:bin/fuzz" --add "$TOP/tests/fuzz/corpus:corpus" -- "${command//$'\n'/ }" </dev/null |
	sort_out | tee "$out/output" || ret=$?
unpack
if ((ret)); then
	say "the fuzzer found something: build/fuzz/output says what, build/fuzz/console-*.log is the kernel's log"
elif ! grep -q '^== [0-9]* s: [1-9]' "$out/output"; then
	say "the fuzzer ran nothing"
	ret=1
else
	grep '^== [0-9]* s: ' "$out/output" | tail -n 1
fi
[[ ! $report ]] || echo "$((!ret)) $((!!ret)) 0" >"$report"
exit "$ret"

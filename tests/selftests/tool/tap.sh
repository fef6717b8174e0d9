# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC3043 # busybox knows local
#
# For the tests of the tool: TAP, and comparison with coreutils.

scratch=${KSCOPE_DATA:-/tmp}/tool.$$
nr=0

plan() {
	echo "1..$1"
	rm -rf "$scratch"
	mkdir -p "$scratch/in" "$scratch/out"
	chmod 755 "$scratch" "$scratch/in"
	cd "$scratch/in" || exit 1
	trap 'cd /; rm -rf "$scratch"' EXIT
}

# result STATUS NAME
result() {
	nr=$((nr + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $nr - $2"
	else
		echo "not ok $nr - $2"
	fi
}

# check NAME COMMAND...: it has to succeed
check() {
	local name=$1
	shift
	"$@"
	result $? "$name"
}

# show WHAT FILE...: what two files differ in, for the log of a failure
show() {
	echo "# $1 differ:"
	diff "$2" "$3" | head -n 10 | sed 's/^/# /'
}

# like REFERENCE ALGORITHM ARGUMENT...: `kscope sum -a ALGORITHM ARGUMENT...` does what
# `REFERENCE ARGUMENT...` does: stdout, stderr and exit status. Both read $input. The path keeps
# busybox from running an applet of that name instead.
like() {
	local tool=$1 algorithm=$2 want got bad=0 out=$scratch/out
	shift 2
	"/bin/$tool" "$@" <"$input" >"$out/want" 2>"$out/want.err"
	want=$?
	kscope sum -a "$algorithm" "$@" <"$input" >"$out/got" 2>"$out/got.err"
	got=$?
	sed -i "s,^/bin/$tool: ,kscope sum: ,; s,'/bin/$tool --help','kscope sum --help'," "$out/want.err"
	cmp -s "$out/want" "$out/got" || { show stdout "$out/want" "$out/got"; bad=1; }
	cmp -s "$out/want.err" "$out/got.err" || { show stderr "$out/want.err" "$out/got.err"; bad=1; }
	[ $want = $got ] || { echo "# exit status $got, want $want"; bad=1; }
	return $bad
}

# same NAME ARGUMENT...: as sha256sum does
same() {
	local name=$1
	shift
	check "$name" like sha256sum sha256 "$@"
}

input=/dev/null

# bytes COUNT: pseudo-random, but the same in each run. They repeat, but not in step with any block size.
bytes() {
	local seed=$scratch/seed i
	[ -s "$seed" ] || awk 'BEGIN {
		x = 12345
		for (i = 0; i < 20011; i++) {
			x = (x * 16807) % 2147483647
			printf "%c", 33 + x % 90
		}
	}' >"$seed"
	for i in $(seq 0 $(($1 / 20011))); do
		cat "$seed"
	done | head -c "$1"
}

# small_files COUNT: small.1 to small.COUNT, of 0 to about 9 * COUNT bytes, without a process for each
small_files() {
	local i text=
	for i in $(seq "$1"); do
		printf %s "$text" >"small.$i"
		text="$text.$i:$((i * 7919))"
	done
}

pinned_pages() {
	echo 1 >/proc/sys/vm/stat_refresh
	awk '/^nr_foll_pin_acquired / { n += $2 } /^nr_foll_pin_released / { n -= $2 } END { print n }' /proc/vmstat
}

# Hundredths of a second since boot.
clock() {
	awk '{ print int($1 * 100) }' /proc/uptime
}

# as_nobody COMMAND: by the shell
as_nobody() {
	su nobody -s /bin/sh -c "$1"
}

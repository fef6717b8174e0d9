# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Shared by the scripts of the rig: where things are, and how they speak.

# shellcheck disable=SC2034 # used by the scripts that read this file
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-~/.cache}/kscope

case $TOP$CACHE in
*[[:space:]:]*)
	echo "kscope: make cannot build below a path with a blank or a colon: $TOP, $CACHE" >&2
	exit 1
	;;
esac
mkdir -p "$CACHE"
unset MAKEFLAGS MFLAGS MAKELEVEL # the jobs of the make that called are not for the ones that follow

# Ctrl-C does not reach what a script has put into the background.
trap 'trap - TERM; kill 0' INT

say() {
	echo "== $*" >&2
}

die() {
	echo "kscope: $*" >&2
	exit 1
}

# run_slow WHAT COMMAND...: silent but for a sign of life every 8 s; output only if it fails
run_slow() {
	local what=$1 log start=$SECONDS ret=0 pid
	shift
	log=$(mktemp)
	say "$what"
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		if ((SECONDS - start >= 8)) && (((SECONDS - start) % 8 == 0)); then
			say "$what: $((SECONDS - start)) s"
			sleep 1
		fi
	done
	wait "$pid" || ret=$?
	((ret == 0)) || { cat "$log" >&2; say "$what: failed ($ret)"; }
	rm -f "$log"
	return "$ret"
}

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/vm/kernel.sh 6.12|6.1|/path/to/bzImage	a kernel to boot and to build for
#        tests/vm/kernel.sh source			the unpacked linux-source-6.12
#
# Fetches Debian's packages into the cache (nothing is installed) and prints, for `eval`:
#   KVER=release IMAGE=bzImage KDIR=build-tree MODULES=root-of-lib/modules	or	SOURCE=directory
# A bzImage of one's own is taken from a build tree (KDIR= to say which); its drivers for virtio-blk,
# ext4 and the crypto API are built in, or MODULES= is where modules_install put them.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

APT=() # options that make apt use lists of our own
updated=

lock() {
	exec 9>"$CACHE/fetch.lock"
	flock -n 9 || { say "waiting for another run that fills the cache"; flock 9; }
}

# The system's lists may lack the security suite, may be stale or missing, and refreshing them takes root. So
# there are lists in the cache, for the same answer on every machine. `own_lists new` does not take old ones.
own_lists() {
	local d=$CACHE/apt
	APT=(-o "Dir::State::lists=$d/lists" -o "Dir::Cache=$d/cache"
		-o "Dir::Etc::sourcelist=$d/sources.list" -o Dir::Etc::sourceparts=-)
	[[ ${1-} == new || -z $(find "$d/fetched" -mmin -720 2>/dev/null) ]] || return 0
	[[ ! $updated ]] || return 1
	updated=1
	lock
	mkdir -p "$d/lists/partial" "$d/cache/archives/partial"
	printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s\n' \
		'http://deb.debian.org/debian bookworm main' \
		'http://deb.debian.org/debian-security bookworm-security main' >"$d/sources.list"
	run_slow "fetching Debian's package lists into the cache" \
		apt-get "${APT[@]}" -o APT::Sandbox::User=root update || return 1
	touch "$d/fetched"
}

# the package of exact version that a metapackage stands for; no apt at all: nothing
resolve() {
	apt-cache "${APT[@]}" show --no-all-versions "$1" 2>/dev/null |
		sed -n 's/^Depends:.*\(linux-image-[0-9][^ ,]*\).*/\1/p' | sed -n 1p || true
}

version() {
	apt-cache "${APT[@]}" show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Version: //p' | sed -n 1p || true
}

# fetch DIR PACKAGE...: unpack packages into a directory that appears only when it is complete
fetch() {
	local dir=$1 part=$1.part pkg
	shift
	rm -rf "$part"
	mkdir -p "$part/debs"
	for pkg; do
		(cd "$part/debs" && run_slow "downloading $pkg" \
			apt-get "${APT[@]}" -o APT::Sandbox::User=root download "$pkg") || return 1
	done
	for pkg in "$part"/debs/*.deb; do
		run_slow "unpacking $(basename "$pkg")" dpkg-deb -x "$pkg" "$part" || return 1
	done
	rm -rf "$part/debs"
}

complete() {
	mv "$1.part" "$1"
	# older versions are not needed any more, and large; a run of another checkout may use the last one
	# shellcheck disable=SC2012 # names of our own
	ls -dt "$CACHE/$2"* 2>/dev/null | tail -n +3 | xargs -r rm -rf
}

# Asking apt takes a second or two, and this script runs often: an answer holds for half a day.
known() {
	local dir
	[[ $(find "$CACHE/known-$1" -mmin -720 2>/dev/null) ]] && dir=$(cat "$CACHE/known-$1") && [[ -d $dir ]] && echo "$dir"
}

remember() {
	echo "$2" >"$CACHE/known-$1.$$"
	mv "$CACHE/known-$1.$$" "$CACHE/known-$1"
}

get_kernel() {
	local meta=linux-image-$1-cloud-amd64 image kver deb dir common kbuild
	[[ $1 != 6.1 ]] || meta=linux-image-cloud-amd64
	dir=$(known "$1") && { print_kernel "$dir"; return; }
	own_lists || true
	image=$(resolve "$meta")
	[[ $image ]] || { APT=() && image=$(resolve "$meta"); }
	if [[ ! $image ]]; then
		dir=$(find "$CACHE" -maxdepth 1 -name "kernel-$1.*" ! -name '*.part' | sort -V | tail -n 1)
		[[ $dir ]] || die "no package $meta in apt's lists, and none in $CACHE"
		say "apt does not know $meta: using $dir"
		print_kernel "$dir"
		return
	fi
	image=${image%-unsigned}
	kver=${image#linux-image-}
	deb=$(version "$image")
	dir=$CACHE/kernel-${kver}_${deb//[^[:alnum:].+-]/_}
	[[ -d $dir ]] || lock
	if [[ ! -d $dir ]]; then
		common=linux-headers-${kver%-cloud-amd64}-common
		kbuild=linux-kbuild-${kver%-cloud-amd64}
		[[ $1 != 6.1 ]] || kbuild=linux-kbuild-6.1
		fetch "$dir" "$image" "linux-headers-$kver" "$common" "$kbuild" ||
			{ own_lists new && { get_kernel "$1"; return; }; } ||
			fetch "$dir" "$image-unsigned" "linux-headers-$kver" "$common" "$kbuild" ||
			die "cannot fetch Linux $1"
		# the only absolute path in the headers
		sed -i "s,^include /usr/src/,include $dir/usr/src/," "$dir.part/usr/src/linux-headers-$kver/Makefile"
		run_slow "indexing the modules of $kver" busybox depmod -b "$dir.part" "$kver" || die "depmod failed"
		complete "$dir" "kernel-$1."
	fi
	remember "$1" "$dir"
	print_kernel "$dir"
}

print_kernel() {
	local kver
	kver=$(ls "$1/lib/modules")
	echo "KVER=$kver IMAGE=$1/boot/vmlinuz-$kver KDIR=$1/usr/src/linux-headers-$kver MODULES=$1"
}

get_source() {
	local pkg=linux-source-6.12 deb dir
	dir=$(known source) && { echo "SOURCE=$dir"; return; }
	own_lists || true
	deb=$(version $pkg)
	[[ $deb ]] || { APT=() && deb=$(version $pkg); }
	if [[ ! $deb ]]; then
		dir=$(find "$CACHE" -maxdepth 1 -name 'source-6.12*' ! -name '*.part' | sort -V | tail -n 1)
		[[ $dir ]] || die "no package $pkg in apt's lists, and none in $CACHE"
	else
		dir=$CACHE/source-6.12_${deb//[^[:alnum:].+-]/_}
	fi
	[[ -d $dir ]] || lock
	if [[ ! -d $dir ]]; then
		fetch "$dir" $pkg || { own_lists new && { get_source; return; }; } || die "cannot fetch $pkg"
		run_slow "unpacking the kernel's source" \
			tar -C "$dir.part" --strip-components=1 -xf "$dir.part/usr/src/$pkg.tar.xz" || die "unpacking failed"
		rm -f "$dir.part/usr/src/$pkg.tar.xz"
		complete "$dir" source-6.12
	fi
	remember source "$dir"
	echo "SOURCE=$dir"
}

own_kernel() {
	local kdir=${KDIR:-${1%/arch/x86/boot/bzImage}} kver
	[[ -f $1 ]] || die "no kernel image $1"
	[[ -f $kdir/include/generated/utsrelease.h ]] || die "$kdir is not a kernel's build tree: set KDIR="
	kver=$(sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' "$kdir/include/generated/utsrelease.h")
	echo "KVER=$kver IMAGE=$1 KDIR=$kdir MODULES=${MODULES:-}"
}

case ${1-} in
6.12 | 6.1) get_kernel "$1" ;;
source) get_source ;;
/*) own_kernel "$1" ;;
*) sed -n '4,12s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

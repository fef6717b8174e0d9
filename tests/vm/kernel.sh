#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/vm/kernel.sh 6.12|6.1|/path/to/bzImage	a kernel to boot and to build for
#        tests/vm/kernel.sh 6.12-rt|6.1-rt|6.12-arm64	those with PREEMPT_RT; one of another architecture
#        tests/vm/kernel.sh debug|kcsan		Linux 6.12 built with config/base.config and that one's
#        tests/vm/kernel.sh source			the unpacked linux-source-6.12
#
# Fetches Debian's packages into the cache (nothing is installed), builds there what has to be built, and
# prints, for `eval`:
#   KVER=release IMAGE=bzImage KDIR=build-tree MODULES=root-of-lib/modules CC=compiler	or	SOURCE=directory
# and, where it is not that of this machine, ARCH=architecture; then MODULES also has busybox, coreutils and libc.
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
# there are lists in the cache, for the same answer on every machine. `own_lists ARCH new` does not take old ones.
own_lists() {
	local d=$CACHE/apt
	[[ $1 == amd64 ]] || d+=-$1
	APT=(-o "Dir::State::lists=$d/lists" -o "Dir::Cache=$d/cache"
		-o "Dir::Etc::sourcelist=$d/sources.list" -o Dir::Etc::sourceparts=-)
	[[ $1 == amd64 ]] || APT+=(-o APT::Architectures::=amd64 -o "APT::Architectures::=$1")
	[[ ${2-} == new || -z $(find "$d/fetched" -mmin -720 2>/dev/null) ]] || return 0
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
	# shellcheck disable=SC2012,SC2086 # names of our own
	ls -dt "$CACHE/"$2* 2>/dev/null | tail -n +3 | xargs -r rm -rf
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

# get_kernel NAME VERSION FLAVOUR: the newest that Debian has
get_kernel() {
	local meta=linux-image-$2-$3 arch=${3##*-} image kver deb dir base packages
	[[ $2 != 6.1 ]] || meta=linux-image-$3
	dir=$(known "$1") && { print_kernel "$dir"; return; }
	own_lists "$arch" || true
	image=$(resolve "$meta:$arch")
	[[ $image ]] || { APT=() && image=$(resolve "$meta:$arch"); }
	if [[ ! $image ]]; then
		dir=$(find "$CACHE" -maxdepth 1 -name "kernel-$2.*-$3_*" ! -name '*.part' | sort -V | tail -n 1)
		[[ $dir ]] || die "no package $meta in apt's lists, and none in $CACHE"
		say "apt does not know $meta: using $dir"
		print_kernel "$dir"
		return
	fi
	image=${image%-unsigned}
	kver=${image#linux-image-}
	deb=$(version "$image:$arch")
	dir=$CACHE/kernel-${kver}_${deb//[^[:alnum:].+-]/_}
	[[ -d $dir ]] || lock
	if [[ ! -d $dir ]]; then
		base=${kver%-"$3"}
		packages=("linux-headers-$kver:$arch" "linux-headers-$base-common" "linux-kbuild-$base")
		[[ $3 != rt-* ]] || packages[1]+=-rt
		[[ $2 != 6.1 ]] || packages[2]=linux-kbuild-6.1
		[[ $arch == amd64 ]] || packages+=("busybox-static:$arch" "coreutils:$arch" "libc6:$arch")
		fetch "$dir" "$image:$arch" "${packages[@]}" ||
			{ own_lists "$arch" new && { get_kernel "$@"; return; }; } ||
			fetch "$dir" "$image-unsigned:$arch" "${packages[@]}" ||
			die "cannot fetch Linux $1"
		# the only absolute path in the headers
		sed -i "s,^include /usr/src/,include $dir/usr/src/," "$dir.part/usr/src/linux-headers-$kver/Makefile"
		run_slow "indexing the modules of $kver" busybox depmod -b "$dir.part" "$kver" || die "depmod failed"
		complete "$dir" "kernel-$2.*-$3_"
	fi
	remember "$1" "$dir"
	print_kernel "$dir"
}

print_kernel() {
	local kver cc=CC=gcc
	kver=$(ls "$1/lib/modules")
	[[ $kver != *-arm64 ]] || cc="CC=aarch64-linux-gnu-gcc ARCH=arm64"
	echo "KVER=$kver IMAGE=$1/boot/vmlinuz-$kver KDIR=$1/usr/src/linux-headers-$kver MODULES=$1 $cc"
}

get_source() {
	local pkg=linux-source-6.12 deb dir
	dir=$(known source) && { echo "SOURCE=$dir"; return; }
	own_lists amd64 || true
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
		fetch "$dir" $pkg || { own_lists amd64 new && { get_source; return; }; } || die "cannot fetch $pkg"
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
	echo "KVER=$kver IMAGE=$1 KDIR=$kdir MODULES=${MODULES:-} CC=${CC:-gcc}"
}

# options that the fragments ask for and that the kernel does not have, or has otherwise
lost_options() {
	local line
	sed -n 's/^\(CONFIG_[A-Z0-9_]*\)=n$/# \1 is not set/; /^CONFIG\|is not set$/p' "$2" | while read -r line; do
		grep -qxF "$line" "$1/.config" || [[ $line == '# '* && ! $(grep "^${line:2:-11}=" "$1/.config") ]] || echo "$line"
	done
}

# What a build of a module needs stays; the rest is two gigabytes.
build_kernel() {
	local out=$1 fragment=$2 compiler=$3 lost
	rm -rf "$out"
	mkdir -p "$out"
	make -C "$SOURCE" O="$out" CC="$compiler" KCONFIG_ALLCONFIG="$fragment" allnoconfig
	lost=$(lost_options "$out" "$fragment")
	[[ ! $lost ]] || { echo "not in this kernel: $lost"; return 1; }
	make -C "$out" CC="$compiler" -j"$(nproc)" bzImage modules
	find "$out" -path "$out/scripts" -prune -o -path "$out/tools" -prune -o \
		\( -name '*.o' -o -name '*.a' -o -name '*.cmd' -o -name '.tmp_*' -o -name vmlinux \) -type f -exec rm -f {} +
}

get_built() {
	local SOURCE compiler=gcc fragment out key
	[[ $1 != kcsan ]] || compiler=clang
	eval "$(get_source)"
	fragment=$(cat "$TOP/tests/vm/config/base.config" "$TOP/tests/vm/config/$1.config")
	key=$({ echo "$fragment"; "$compiler" --version; basename "$SOURCE"; } | sha256sum | cut -c1-12)
	out=$CACHE/built-$1-$key
	if [[ ! -d $out ]]; then
		exec 8>"$CACHE/built-$1.lock"
		flock -n 8 || { say "waiting for another run that builds this kernel"; flock 8; }
	fi
	if [[ ! -d $out ]]; then
		echo "$fragment" >"$CACHE/built-$1.config"
		run_slow "building the kernel '$1' with $compiler (once; 8 to 10 minutes on two processors)" \
			build_kernel "$out.part" "$CACHE/built-$1.config" "$compiler" || die "this kernel does not build"
		complete "$out" "built-$1-"
	fi
	KDIR=$out CC=$compiler own_kernel "$out/arch/x86/boot/bzImage"
}

case ${1-} in
6.12 | 6.1) get_kernel "$1" "$1" cloud-amd64 ;;
6.12-rt | 6.1-rt) get_kernel "$1" "${1%-rt}" rt-amd64 ;;
6.12-arm64) get_kernel "$1" 6.12 cloud-arm64 ;;
debug | kcsan) get_built "$1" ;;
source) get_source ;;
/*) own_kernel "$1" ;;
*) sed -n '4,16s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

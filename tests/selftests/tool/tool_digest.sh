#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2046,SC2086 # lists of files
#
# Digests against coreutils and published vectors.
. "${0%/*}/tap.sh"

plan 20

sizes="0 1 55 56 63 64 65 111 112 127 128 129 4095 4096 4097 16383 16384 16385 65535 65536 65537
262143 262144 262145 1048575 1048576 1048577"

bytes 1048577 >source
for size in $sizes; do
	head -c "$size" source >"size.$size"
done
rm source

for pair in sha256sum:sha256 md5sum:md5 sha1sum:sha1 sha224sum:sha224 sha384sum:sha384 \
	sha512sum:sha512 b2sum:b2; do
	check "${pair#*:} of 27 sizes, as ${pair%:*}" like "${pair%:*}" "${pair#*:}" size.*
done

# vector ALGORITHM INPUT DIGEST
vector() {
	[ "$(printf %s "$2" | kscope sum -a "$1")" = "$3  -" ]
}

check "published vector: SHA-256 of abc" vector sha256 abc \
	ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
check "published vector: SHA-256 of nothing" vector sha256 "" \
	e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
check "published vector: SHA3-256 of abc, a hash by the kernel's name" vector sha3-256 abc \
	3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532
check "published vector: MD5 of abc" vector md5 abc 900150983cd24fb0d6963f7d28e17f72

small_files 500
check "500 small files are there" [ "$(echo small.* | wc -w)" = 500 ]
same "500 small files in order" small.*
same "500 small files, large ones in between" small.[1-3]* size.1048577 small.[4-6]* size.* small.[7-9]*
rm -f small.*

for i in $(seq 64); do
	cat size.1048576
done >large
same "64 MiB" large
head -c 9000001 large >medium
same "9 MB four times at a time" medium medium medium medium
truncate -s 40M sparse
printf x | dd of=sparse bs=1 seek=23456789 conv=notrunc 2>/dev/null
same "a sparse file" sparse
cp medium /dev/shm/medium
same "a file on tmpfs" /dev/shm/medium
rm -f /dev/shm/medium
same "a block device" "${KSCOPE_BLKDEV:-/dev/vdb}"

unknown_algorithm() {
	! kscope sum -a nosuchhash size.1 2>"$scratch/out/err" && grep -q "nosuchhash: the kernel has no such hash" "$scratch/out/err"
}
check "an unknown algorithm is named" unknown_algorithm

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2086 # lists of digests
#
# Checking lists: all as sha256sum -c does.
. "${0%/*}/tap.sh"

plan 36
newline='
'
for i in 1 2 3 4 5 6 7 8 9; do
	bytes $((i * 7001)) >"f$i"
done
echo odd >"a${newline}b"
echo odd >'a\b'
mkdir ../lists
lists=../lists
sum=$(sha256sum f1 | cut -c 1-64)

sha256sum f* >$lists/good
same "a good list" -c $lists/good
same "a good list, quiet" -c --quiet $lists/good
same "a good list, status only" -c --status $lists/good
same "two lists" -c $lists/good $lists/good
tr a-f A-F <$lists/good >$lists/upper
same "digests in capitals" -c $lists/upper
sed 's/$/\r/' $lists/good >$lists/crlf
same "lines that end with CR LF" -c $lists/crlf
sed 's/  / /' $lists/good >$lists/reversed
same "BSD-reversed lines" -c $lists/reversed
cat $lists/good $lists/reversed >$lists/mixed
same "reversed lines after others" -c -w $lists/mixed
cat $lists/reversed $lists/good >$lists/mixed
same "other lines after reversed ones" -c -w $lists/mixed
sha256sum --tag -- * >$lists/tagged
same "BSD-style tagged lines" -c $lists/tagged
sha256sum -- * >$lists/all
same "escaped names" -c $lists/all

sed -e '2s/^../00/;4s/f.$/missing/;6s/ .*//;1i # comment' -e '3i\
' $lists/good >$lists/bad
for options in "" -w --strict "--strict -w" --quiet --status --ignore-missing "--status -w" "-w --status" \
	"--quiet --status" "--ignore-missing --quiet"; do
	same "a bad list ${options:-without options}" -c $options $lists/bad
done

grep missing $lists/bad >$lists/missing
same "only missing files, ignored" -c --ignore-missing $lists/missing
sed -n '1,2s/^../00/p' $lists/good >$lists/wrong
same "only mismatches" -c $lists/wrong
echo junk >$lists/junk
: >$lists/empty
same "lists without a checksum, one that is not there, a directory" -c $lists/junk $lists/empty $lists/none . $lists/good
printf '%s  \n%s x\n%s *\n %s  f1\n\t%s *f1\n%sx  f1\n' $sum $sum $sum $sum $sum $sum >$lists/odd
same "odd lines" -c -w $lists/odd
printf 'SHA256 (f1)=%s\nSHA256(f1)= %s\nSHA256  (f1) = %s\nMD5 (f1) = %s\nSHA256 (f1) = %sx\nSHA256 f1\n' \
	$sum $sum $sum $sum $sum >$lists/odd
same "odd tagged lines" -c -w $lists/odd
printf '\\%s  a\\nb\n\\%s  a\\xb\n\\%s  a\\\n' $sum $sum $sum >$lists/odd
same "odd escapes" -c -w $lists/odd
b2sum --tag f* >$lists/b2
check "BLAKE2b, tagged" like b2sum b2 -c $lists/b2
md5sum f* >$lists/md5
check "MD5" like md5sum md5 -c $lists/md5

input=$lists/bad
same "a list from standard input" -c
same "a list from standard input and another" -c - $lists/good
printf '%s  -\n' "$sum" >$lists/dash
input=$lists/dash
same "a list from standard input that names standard input" -c
input=f1
same "a list that names standard input" -c $lists/dash

input=/dev/null
for option in --quiet --strict --warn --status --ignore-missing; do
	kscope sum $option f1 2>>../out/stray && echo "$option is accepted" >>../out/stray
done
check "options that need --check are refused without it" \
	[ "$(grep -c 'is meaningful only when verifying checksums' ../out/stray)" = 5 ]
same "zero is refused with --check" -c -z $lists/good

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# File names, files that cannot be read, options of the output: all as sha256sum does.
. "${0%/*}/tap.sh"

plan 12

newline='
'
for name in "a b" "a'b" "a${newline}b" 'a\b' "a$(printf '\r')b" 'a"b' "a'b\"c" '#x' 'x#' '~x' '{' 'x{y' \
	"$(printf 'tab\tq')" "$(printf 'bell\007z')" -x '*star' ' lead' 'trail ' '\' 'é' '$x' 'a`b' 'a=b' 'a^b'; do
	printf %s "$name" >"./$name"
done
echo plain >plain
mkdir dir
chmod 777 .

same "odd names are escaped" -- *
same "odd names end with NUL, unescaped" -z -- *
same "odd names of files that are not there" "no a b" "no a'b" "no${newline}nl" 'no\b' "no'\"" "no$(printf '\r')" \
	"no$(printf '\t')" 'no$' '' '{' '}' '#no' '~no' 'no{' 'é no'
same "a missing file among others" plain missing plain
same "a directory among others" plain dir plain
same "only a missing file" missing
same "binary mode" -b plain
same "text mode" -t plain
same "the last of text and binary holds" -t -b plain
same "options after files" plain -b

unreadable() {
	echo secret >secret
	chmod 000 secret
	as_nobody '/bin/sha256sum plain secret plain' >"$scratch/out/want" 2>"$scratch/out/want.err"
	as_nobody 'kscope sum plain secret plain' >"$scratch/out/got" 2>"$scratch/out/got.err" && return 1
	sed -i 's,^/bin/sha256sum:,kscope sum:,' "$scratch/out/want.err"
	grep -q "secret: Permission denied" "$scratch/out/got.err" &&
		cmp "$scratch/out/want" "$scratch/out/got" && cmp "$scratch/out/want.err" "$scratch/out/got.err"
}
check "an unreadable file among others" unreadable

full() {
	! kscope sum plain >/dev/full 2>"$scratch/out/err" && grep -q "write error: No space left" "$scratch/out/err"
}
check "output that cannot be written fails" full

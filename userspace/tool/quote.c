// SPDX-License-Identifier: GPL-2.0
/*
 * File names in two styles of GNU coreutils: quoted for a shell in messages, and with
 * backslash escapes in lists of checksums.
 */
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static bool is_utf8(void)
{
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static bool is_control(char c)
{
	unsigned char byte = (unsigned char)c;

	return byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !is_utf8());
}

static bool is_special(const char *name, size_t i)
{
	char c = name[i];

	if (c == '#' || c == '~')
		return i == 0;
	if (c == '{' || c == '}')
		return i == 0 && !name[1];
	return is_control(c) || strchr(" !\"$&'()*;<=>?[\\]^`|", c);
}

static bool needs_quotes(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if (is_special(name, i))
			return true;
	return i == 0;
}

/* With a ' in it, "..." reads better, if nothing is special in there. */
static bool fits_double_quotes(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if (is_control(name[i]) || strchr("\"$`\\!", name[i]))
			return false;
	return strchr(name, '\'');
}

static char *put_control(char *to, char c)
{
	static const char codes[] = "\aa\bb\tt\nn\vv\ff\rr";
	const char *code;

	for (code = codes; *code; code += 2)
		if (*code == c)
			return to + sprintf(to, "\\%c", code[1]);
	return to + sprintf(to, "\\%03o", (unsigned char)c);
}

/* 'text'$'\n''text': runs of control characters get quotes of their own. */
static void single_quote(char *to, const char *name)
{
	bool control = false;

	*to++ = '\'';
	for (; *name; name++) {
		if (is_control(*name) != control) {
			to = stpcpy(to, control ? "''" : "'$'");
			control = !control;
		}
		if (control)
			to = put_control(to, *name);
		else if (*name == '\'')
			to = stpcpy(to, "'\\''");
		else
			*to++ = *name;
	}
	strcpy(to, "'");
}

const char *quote_name(const char *name)
{
	static char *quoted;

	if (!needs_quotes(name))
		return name;
	free(quoted);
	/* the longest that one character becomes: '$'\ooo'' */
	quoted = malloc(strlen(name) * 9 + 3);
	if (!quoted)
		return name;
	if (fits_double_quotes(name))
		sprintf(quoted, "\"%s\"", name);
	else
		single_quote(quoted, name);
	return quoted;
}

bool name_is_odd(const char *name)
{
	return strpbrk(name, "\\\n\r");
}

void print_name(const char *name, bool escape)
{
	for (; *name; name++) {
		if (escape && *name == '\n')
			fputs("\\n", stdout);
		else if (escape && *name == '\r')
			fputs("\\r", stdout);
		else if (escape && *name == '\\')
			fputs("\\\\", stdout);
		else
			putchar(*name);
	}
}

static char unescaped(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case '\\':
		return '\\';
	}
	return '\0';
}

bool unescape_name(char *name)
{
	char *to = name;

	for (; *name; name++) {
		if (*name != '\\') {
			*to++ = *name;
			continue;
		}
		*to = unescaped(*++name);
		if (!*to++)
			return false;
	}
	*to = '\0';
	return true;
}

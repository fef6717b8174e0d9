// SPDX-License-Identifier: GPL-2.0
/*
 * Lines of a list of checksums, in the three formats that GNU coreutils read:
 *
 *	DIGEST  NAME		or DIGEST *NAME, with \ in front if NAME is escaped
 *	TAG (NAME) = DIGEST	as BSD tools print it, likewise
 *	DIGEST NAME		as BSD tools print it with -r
 */
#include <string.h>

#include "sum.h"
#include "tool.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *skip_blanks(char *s)
{
	while (is_blank(*s))
		s++;
	return s;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Returns what follows the digest, or NULL. */
static char *parse_digest(char *s, unsigned char *digest, unsigned int size)
{
	int high, low;

	for (; size; size--) {
		high = hex_value(s[0]);
		low = high < 0 ? -1 : hex_value(s[1]);
		if (low < 0)
			return NULL;
		*digest++ = (unsigned char)(high << 4 | low);
		s += 2;
	}
	return s;
}

/* The rest of a tagged line, from behind the parenthesis on. */
static bool parse_tagged(const struct line_format *format, char *s,
			 bool escaped, char **name, unsigned char *digest)
{
	char *end = strrchr(s, ')');

	if (!end)
		return false;
	*end++ = '\0';
	*name = s;
	if (escaped && !unescape_name(s))
		return false;
	end = skip_blanks(end);
	if (*end++ != '=')
		return false;
	end = parse_digest(skip_blanks(end), digest, format->digest_size);
	return end && !*end;
}

static bool parse_plain(struct line_format *format, char *s, bool escaped,
			char **name, unsigned char *digest)
{
	s = parse_digest(s, digest, format->digest_size);
	if (!s || !is_blank(*s))
		return false;
	s++;
	if (!*s)
		return false;
	if (!s[1] || (*s != ' ' && *s != '*')) {
		if (!format->reversed)
			return false;
		format->reversed = 1;
	} else if (format->reversed != 1) {
		format->reversed = 0;
		s++;
	}
	*name = s;
	return !escaped || unescape_name(s);
}

bool line_parse(struct line_format *format, char *line, char **name,
		unsigned char *digest)
{
	size_t tag_len = strlen(format->tag);
	char *s = skip_blanks(line);
	bool escaped = *s == '\\';

	s += escaped;
	if (strncmp(s, format->tag, tag_len))
		return parse_plain(format, s, escaped, name, digest);
	s += tag_len;
	s += *s == ' ';
	return *s == '(' && parse_tagged(format, s + 1, escaped, name, digest);
}

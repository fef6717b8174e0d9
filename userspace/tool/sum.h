/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of `kscope sum` share. */
#ifndef KSCOPE_TOOL_SUM_H
#define KSCOPE_TOOL_SUM_H

#include <stdbool.h>
#include <stdio.h>

#include "engine.h"

/**
 * struct algorithm - a digest by the names that it goes by
 * @name: of the -a option
 * @hash_name: in the kernel
 * @tag: in BSD-style lines
 */
struct algorithm {
	const char *name;
	const char *hash_name;
	const char *tag;
};

struct sum_options {
	struct algorithm algorithm;
	bool check;
	bool binary;
	bool text;
	bool zero;
	bool quiet;
	bool status;
	bool strict;
	bool warn;
	bool ignore_missing;
};

/* ---- sumopt.c ---- */

/* Parse the options. -1 to go on, with optind at the files, or an exit status. */
int sum_parse(int argc, char **argv, struct sum_options *options);

/* ---- sum.c ---- */

/* A job for the input of that name, which is copied. */
struct job *job_create(const char *name);
void job_destroy(struct job *job);

/* ---- check.c ---- */

/* Check the files in the list of that name. 1: all well, 0: not, or -errno. */
int check_list(struct engine *engine, const struct sum_options *options,
	       const char *list);

/* ---- checkline.c ---- */

/**
 * struct line_format - what lines of a list look like
 * @tag: name of the algorithm in BSD-style lines
 * @digest_size: in bytes
 * @reversed: 1: "digest name", 0: "digest  name", -1: not known yet. One list does not mix
 *	the two, as a name could start with a space
 */
struct line_format {
	const char *tag;
	unsigned int digest_size;
	int reversed;
};

/* Parse a line, in place. false: it is not properly formatted. */
bool line_parse(struct line_format *format, char *line, char **name,
		unsigned char *digest);

#endif /* KSCOPE_TOOL_SUM_H */

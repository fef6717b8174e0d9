// SPDX-License-Identifier: GPL-2.0
/*
 * kscope sum -c: a list of checksums is a source of jobs. Lines that are no checksums
 * become jobs that are finished from the start, so that their warnings come in order.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sum.h"
#include "tool.h"

struct list {
	struct source source;
	const struct sum_options *options;
	const char *name;
	FILE *file;
	bool is_stdin;
	char *line;
	size_t line_room;
	unsigned long long line_nr;
	struct line_format format;

	unsigned long long nr_proper;
	unsigned long long nr_improper;
	unsigned long long nr_unread;
	unsigned long long nr_mismatched;
	unsigned long long nr_matched;
};

static struct list *list_of(struct source *source)
{
	return (struct list *)source;
}

/* ---- From lines to jobs ---- */

/* Length of the line without its end; 0 if there is nothing in it. */
static size_t trim_line(char *line, size_t len)
{
	if (line[0] == '#')
		return 0;
	if (len && line[len - 1] == '\n')
		len--;
	if (len && line[len - 1] == '\r')
		len--;
	line[len] = '\0';
	return len;
}

static struct job *improper_line(struct list *list)
{
	struct job *job = job_create("");

	list->nr_improper++;
	job->line = list->line_nr;
	job->finished = true;
	return job;
}

static struct job *line_job(struct list *list)
{
	unsigned char expected[DIGEST_MAX];
	struct job *job;
	char *name;

	if (!line_parse(&list->format, list->line, &name, expected))
		return improper_line(list);
	if (list->is_stdin && !strcmp(name, "-"))
		return improper_line(list);
	list->nr_proper++;
	job = job_create(name);
	memcpy(job->expected, expected, list->format.digest_size);
	return job;
}

static struct job *list_next(struct source *source)
{
	struct list *list = list_of(source);
	ssize_t len;

	while (!stop_signal) {
		len = getline(&list->line, &list->line_room, list->file);
		if (len <= 0)
			break;
		list->line_nr++;
		len = (ssize_t)trim_line(list->line, (size_t)len);
		if (len)
			return line_job(list);
	}
	return NULL;
}

/* ---- From results to output ---- */

static void print_result(const struct list *list, const struct job *job,
			 const char *result)
{
	bool odd = strchr(job->name, '\n');

	if (list->options->status)
		return;
	progress_clear();
	if (odd)
		putchar('\\');
	print_name(job->name, odd);
	printf(": %s\n", result);
	output_check();
}

static void unread(struct list *list, const struct job *job)
{
	if (list->options->ignore_missing && job->err == ENOENT)
		return;
	list->nr_unread++;
	message("%s: %s", quote_name(job->name), strerror(job->err));
	print_result(list, job, "FAILED open or read");
}

static void compare(struct list *list, const struct job *job)
{
	if (memcmp(job->digest, job->expected, list->format.digest_size)) {
		list->nr_mismatched++;
		print_result(list, job, "FAILED");
	} else {
		list->nr_matched++;
		if (!list->options->quiet)
			print_result(list, job, "OK");
	}
}

static void list_done(struct source *source, struct job *job)
{
	struct list *list = list_of(source);

	if (!job->line)
		job->err ? unread(list, job) : compare(list, job);
	else if (list->options->warn)
		message("%s: %llu: improperly formatted %s checksum line",
			quote_name(list->name), job->line, list->format.tag);
	job_destroy(job);
}

static void warn_count(unsigned long long nr, const char *one, const char *many)
{
	if (nr)
		message("WARNING: %llu %s", nr, nr == 1 ? one : many);
}

static void print_summary(const struct list *list)
{
	warn_count(list->nr_improper, "line is improperly formatted",
		   "lines are improperly formatted");
	warn_count(list->nr_unread, "listed file could not be read",
		   "listed files could not be read");
	warn_count(list->nr_mismatched, "computed checksum did NOT match",
		   "computed checksums did NOT match");
	if (list->options->ignore_missing && !list->nr_matched)
		message("%s: no file was verified", quote_name(list->name));
}

static int list_verdict(const struct list *list)
{
	const struct sum_options *options = list->options;

	if (!list->nr_proper) {
		message("%s: no properly formatted checksum lines found",
			quote_name(list->name));
		return 0;
	}
	if (!options->status)
		print_summary(list);
	return !list->nr_mismatched && !list->nr_unread &&
	       (!options->ignore_missing || list->nr_matched) &&
	       (!options->strict || !list->nr_improper);
}

/* ---- A list ---- */

static int list_open(struct list *list)
{
	list->is_stdin = !strcmp(list->name, "-");
	if (list->is_stdin) {
		list->name = "standard input";
		list->file = stdin;
		return 0;
	}
	list->file = fopen(list->name, "re");
	if (list->file)
		return 0;
	message("%s: %s", quote_name(list->name), strerror(errno));
	return -1;
}

/* false, after a message, if the list could not be read to its end. */
static bool list_close(struct list *list)
{
	bool failed = ferror(list->file);

	free(list->line);
	if (list->is_stdin)
		clearerr(stdin);
	else
		fclose(list->file);
	if (failed)
		message("%s: read error", quote_name(list->name));
	return !failed;
}

int check_list(struct engine *engine, const struct sum_options *options,
	       const char *name)
{
	struct list list = {
		.source = { list_next, list_done },
		.options = options,
		.name = name,
		.format = { options->algorithm.tag, engine->digest_size, -1 },
	};
	bool whole;
	int ret;

	if (list_open(&list))
		return 0;
	ret = engine_run(engine, &list.source);
	whole = list_close(&list);
	if (ret)
		return ret;
	return whole && list_verdict(&list);
}

// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sum.h"
#include "tool.h"

struct job *job_create(const char *name)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job)
		job->name = strdup(name);
	if (!job || !job->name) {
		message("memory exhausted");
		exit(EXIT_FAILURE);
	}
	job->fd = -1;
	return job;
}

void job_destroy(struct job *job)
{
	free(job->name);
	free(job);
}

/* ---- The files of the command line as a source of jobs ---- */

struct files {
	struct source source;
	const struct sum_options *options;
	unsigned int digest_size;
	char **next;
	bool failed;
};

static struct job *files_next(struct source *source)
{
	struct files *files = (struct files *)source;

	return *files->next ? job_create(*files->next++) : NULL;
}

static void print_digest(const struct files *files, const struct job *job)
{
	bool escape = !files->options->zero && name_is_odd(job->name);
	unsigned int i;

	progress_clear();
	if (escape)
		putchar('\\');
	for (i = 0; i < files->digest_size; i++)
		printf("%02x", job->digest[i]);
	putchar(' ');
	putchar(files->options->binary ? '*' : ' ');
	print_name(job->name, escape);
	putchar(files->options->zero ? '\0' : '\n');
	output_check();
}

static void files_done(struct source *source, struct job *job)
{
	struct files *files = (struct files *)source;

	if (job->err) {
		message("%s: %s", quote_name(job->name), strerror(job->err));
		files->failed = true;
	} else {
		print_digest(files, job);
	}
	job_destroy(job);
}

static unsigned long long total_size(char **names)
{
	unsigned long long total = 0;
	struct stat st;

	if (!isatty(STDERR_FILENO))
		return 0;
	for (; *names; names++)
		if (!stat(*names, &st) && S_ISREG(st.st_mode))
			total += (unsigned long long)st.st_size;
	return total;
}

/* 1: all well, 0: a file failed, or -errno. */
static int print_files(struct engine *engine, const struct sum_options *options,
		       char **names)
{
	struct files files = {
		.source = { files_next, files_done },
		.options = options,
		.digest_size = engine->digest_size,
		.next = names,
	};
	int ret;

	progress_start(total_size(names));
	ret = engine_run(engine, &files.source);
	return ret ? ret : !files.failed;
}

static int check_lists(struct engine *engine, const struct sum_options *options,
		       char **names)
{
	int well = 1;
	int ret;

	progress_start(0);
	for (; *names; names++) {
		ret = check_list(engine, options, *names);
		if (ret < 0)
			return ret;
		well &= ret;
	}
	return well;
}

static int run(const struct sum_options *options, char **names)
{
	struct engine engine;
	int ret = engine_open(&engine, options->algorithm.hash_name);

	if (ret)
		goto out;
	if (options->check)
		ret = check_lists(&engine, options, names);
	else
		ret = print_files(&engine, options, names);
	if (ret < 0 && !stop_signal)
		message("%s", strerror(-ret));
out:
	engine_close(&engine);
	return ret;
}

int cmd_sum(int argc, char **argv)
{
	char *standard_input[2] = { "-", NULL };
	struct sum_options options;
	int ret;

	message_prefix = "kscope sum";
	ret = sum_parse(argc, argv, &options);
	if (ret >= 0)
		return ret;
	if (stop_install()) {
		message("cannot catch signals: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	ret = run(&options, optind < argc ? argv + optind : standard_input);
	if (stop_signal)
		stop_raise();
	return output_finish() && ret == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}

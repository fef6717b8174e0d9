// SPDX-License-Identifier: GPL-2.0
/*
 * The programs that found something new, in memory and on disk.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fuzz.h"

/* In the worker. A full corpus forgets one that it has had for long. */
void corpus_add(const struct program *program)
{
	__u32 nr = shared->nr_corpus;

	if (nr == MAX_CORPUS) {
		shared->corpus[shared->programs % MAX_CORPUS] = *program;
		return;
	}
	shared->corpus[nr] = *program;
	__atomic_store_n(&shared->nr_corpus, nr + 1, __ATOMIC_RELEASE);
}

static int is_program(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && !strcmp(dot, ".txt");
}

/* Return: how many programs, or -errno */
int corpus_load(const char *dir)
{
	struct dirent **names;
	char path[PATH_MAX];
	int nr = scandir(dir, &names, is_program, alphasort);
	int i, ret = nr;

	if (nr < 0) {
		fprintf(stderr, "fuzz: %s: %s\n", dir, strerror(errno));
		return -errno;
	}
	for (i = 0; i < nr && ret >= 0 && shared->nr_corpus < MAX_CORPUS; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		ret = program_read(path, &shared->corpus[shared->nr_corpus]);
		shared->nr_corpus++;
	}
	while (nr--)
		free(names[nr]);
	free(names);
	return ret < 0 ? ret : (int)shared->nr_corpus;
}

/* Return: 0 or -errno */
int corpus_save(const char *dir)
{
	char path[PATH_MAX];
	int ret = 0;
	__u32 i;

	if (mkdir(dir, 0777) && errno != EEXIST)
		return -errno;
	for (i = 0; i < shared->nr_corpus && !ret; i++) {
		snprintf(path, sizeof(path), "%s/%04u.txt", dir, i);
		ret = program_write(path, &shared->corpus[i]);
	}
	return ret;
}

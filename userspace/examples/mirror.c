// SPDX-License-Identifier: GPL-2.0
/*
 * Write standard input, up to a megabyte, to several files at the same time, and say which of them
 * have it. No write is under way any more when that is said.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kscope.h"

#define MAX 16
#define BYTES (1024 * 1024)

static char memory[BYTES];

static size_t read_input(void)
{
	return fread(memory, 1, sizeof(memory), stdin);
}

static int write_all(int nr, char **names, struct kscope_completion *done)
{
	KSCOPE_SCOPED(scope);
	struct kscope_desc descs[MAX];
	size_t len = read_input();
	int dev = kscope_open();
	int ret = dev, buf, fd, i;

	if (dev < 0)
		return ret;
	ret = kscope_scope_create(&scope, dev, NULL);
	kscope_close(dev);
	if (ret)
		return ret;
	buf = kscope_buf_pin(&scope, memory, sizeof(memory), 0);
	if (buf < 0)
		return buf;
	for (i = 0; i < nr; i++) {
		fd = open(names[i], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			  0666);
		if (fd < 0)
			return -errno;
		kscope_prep_write(&descs[i], fd, 0, buf, 0, len);
	}
	return kscope_run(&scope, descs, (unsigned int)nr, done);
}

int main(int argc, char **argv)
{
	struct kscope_completion done[MAX] = {};
	int ret, i;

	if (argc < 2 || argc > MAX + 1) {
		fputs("Usage: mirror FILE...\n", stderr);
		return EXIT_FAILURE;
	}
	ret = write_all(argc - 1, argv + 1, done);
	for (i = 0; i < argc - 1; i++)
		if (done[i].outcome)
			printf("%s: %s, %llu bytes\n", argv[1 + i],
			       kscope_outcome_str(done[i].outcome),
			       (unsigned long long)done[i].done);
	if (ret < 0)
		fprintf(stderr, "mirror: %s\n", strerror(-ret));
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The beginning of a file of which there are several replicas: from the one that answers first. The
 * other READs are cancelled, and have ended before what was read is looked at.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kscope.h"

#define MAX 16
#define BYTES 4096

static char memory[MAX * BYTES];

/* Return: which one, or -errno. *@len: bytes that were read */
static int nearest(int nr, char **names, __u64 *len)
{
	KSCOPE_SCOPED(scope);
	struct kscope_completion done = {};
	struct kscope_desc descs[MAX];
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
		fd = open(names[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		kscope_prep_read(&descs[i], fd, 0, buf, (__u64)i * BYTES,
				 BYTES);
	}
	ret = kscope_race(&scope, descs, (unsigned int)nr, &done);
	*len = done.done;
	return ret;
}

int main(int argc, char **argv)
{
	__u64 len = 0;
	int ret;

	if (argc < 2 || argc > MAX + 1) {
		fputs("Usage: nearest FILE...\n", stderr);
		return EXIT_FAILURE;
	}
	ret = nearest(argc - 1, argv + 1, &len);
	if (ret < 0) {
		fprintf(stderr, "nearest: %s\n", strerror(-ret));
		return EXIT_FAILURE;
	}
	fprintf(stderr, "from %s\n", argv[1 + ret]);
	fwrite(memory + (size_t)ret * BYTES, 1, (size_t)len, stdout);
	return EXIT_SUCCESS;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Copy a file: READ and WRITE children take turns in an ordered scope, which runs them in
 * the order of spawning. How much a READ gets is only known at the end, so each turn waits
 * for its READ.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kscope.h"

#define CHUNK (256 * 1024)

/* Run one child to its end. Returns the bytes it moved, or -errno. */
static long run_child(struct kscope_scope *scope,
		      const struct kscope_desc *desc)
{
	struct kscope_completion done;
	int ret = kscope_spawn(scope, desc, 1, NULL);

	if (ret == 1)
		ret = KSCOPE_RETRY(kscope_wait(scope, 1, 0));
	if (ret < 0)
		return ret;
	if (!kscope_next(scope, &done))
		return -EIO;
	return done.status ? done.status : (long)done.done;
}

static long copy_file(struct kscope_scope *scope, int buf, int from, int to)
{
	struct kscope_desc desc;
	__u64 off = 0;
	long got, put;

	for (;;) {
		kscope_prep_read(&desc, from, off, buf, 0, CHUNK);
		got = run_child(scope, &desc);
		if (got <= 0)
			break;
		kscope_prep_write(&desc, to, off, buf, 0, (__u64)got);
		put = run_child(scope, &desc);
		if (put != got)
			return put < 0 ? put : -EIO;
		off += (__u64)got;
	}
	if (got < 0)
		return got;
	kscope_prep_fsync(&desc, to, KSCOPE_FSYNC_DATA);
	return run_child(scope, &desc);
}

static long copy(int from, int to)
{
	static const struct kscope_scope_params params = {
		.kind = KSCOPE_KIND_ORDERED,
	};
	KSCOPE_SCOPED(scope);
	static char memory[CHUNK];
	int dev = kscope_open();
	long ret = dev;

	if (dev < 0)
		return ret;
	ret = kscope_scope_create(&scope, dev, &params);
	kscope_close(dev);
	if (!ret)
		ret = kscope_buf_pin(&scope, memory, sizeof(memory), 0);
	return ret < 0 ? ret : copy_file(&scope, (int)ret, from, to);
}

int main(int argc, char **argv)
{
	int from, to;
	long ret;

	if (argc != 3) {
		fputs("Usage: copy FROM TO\n", stderr);
		return EXIT_FAILURE;
	}
	from = open(argv[1], O_RDONLY | O_CLOEXEC);
	to = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	ret = from < 0 || to < 0 ? -errno : copy(from, to);
	if (ret < 0)
		fprintf(stderr, "copy: %s\n", strerror((int)-ret));
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

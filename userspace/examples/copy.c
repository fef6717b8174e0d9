// SPDX-License-Identifier: GPL-2.0
/*
 * Copy a file: a pipeline with two stages, READ and WRITE, over a few blocks of memory. Several
 * blocks are on their way at a time; what is in which of them, the slots say.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kscope.h"

#define SLOTS 4
#define BLOCK (256 * 1024)

struct copy {
	int from;
	int to;
	int buf;
	int ended;
	__u64 len[SLOTS]; /* bytes that were read */
};

static int fill_read(void *arg, __u64 item, unsigned int slot,
		     struct kscope_desc *desc)
{
	struct copy *copy = arg;

	kscope_prep_read(desc, copy->from, item * BLOCK, copy->buf,
			 (__u64)slot * BLOCK, BLOCK);
	return !copy->ended;
}

/* READ is only short at the end of the file. */
static int read_done(void *arg, __u64 item, unsigned int slot,
		     const struct kscope_completion *done)
{
	struct copy *copy = arg;

	(void)item;
	copy->len[slot] = done->done;
	copy->ended |= done->done < BLOCK;
	return done->status;
}

static int fill_write(void *arg, __u64 item, unsigned int slot,
		      struct kscope_desc *desc)
{
	struct copy *copy = arg;

	kscope_prep_write(desc, copy->to, item * BLOCK, copy->buf,
			  (__u64)slot * BLOCK, copy->len[slot]);
	return copy->len[slot] > 0;
}

static int write_done(void *arg, __u64 item, unsigned int slot,
		      const struct kscope_completion *done)
{
	struct copy *copy = arg;

	(void)item;
	if (!done->status && done->done < copy->len[slot])
		return -EIO;
	return done->status;
}

static int copy_file(int from, int to)
{
	KSCOPE_SCOPED(scope);
	static const struct kscope_stage stages[] = {
		{ .fill = fill_read, .done = read_done },
		{ .fill = fill_write, .done = write_done },
	};
	static char memory[SLOTS * BLOCK];
	struct copy copy = { .from = from, .to = to };
	struct kscope_pipeline pipeline = { stages, 2, SLOTS, &copy };
	int dev = kscope_open(), ret = dev;

	if (dev < 0)
		return ret;
	ret = kscope_scope_create(&scope, dev, NULL);
	kscope_close(dev);
	if (ret)
		return ret;
	copy.buf = kscope_buf_pin(&scope, memory, sizeof(memory), 0);
	if (copy.buf < 0)
		return copy.buf;
	return kscope_pipeline(&scope, &pipeline, NULL);
}

int main(int argc, char **argv)
{
	int from, to, ret;

	if (argc != 3) {
		fputs("Usage: copy FROM TO\n", stderr);
		return EXIT_FAILURE;
	}
	from = open(argv[1], O_RDONLY | O_CLOEXEC);
	to = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	ret = from < 0 || to < 0 ? -errno : copy_file(from, to);
	if (ret < 0)
		fprintf(stderr, "copy: %s\n", strerror(-ret));
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: GPL-2.0 */
/* What the files behind `kscope copy` share. */
#ifndef KSCOPE_TOOL_COPY_H
#define KSCOPE_TOOL_COPY_H

#include <stdbool.h>
#include <sys/stat.h>

#include "kscope.h"

#define COPY_BLOCKS_MAX 8

/**
 * struct side - one of the two files
 * @name: as given, or made of that
 * @fd: through the page cache
 * @direct: past it, or -1
 * @st: what it was when it was opened
 */
struct side {
	const char *name;
	int fd;
	int direct;
	struct stat st;
};

/**
 * struct copier - memory and a scope to copy with
 * @scope: parallel
 * @mem: @nr_blocks of @block bytes
 * @buf: the buffer that it is
 */
struct copier {
	struct kscope_scope scope;
	void *mem;
	int buf;
	unsigned int nr_blocks;
	unsigned int block;
};

/* ---- copier.c ---- */

/* 0 or -errno, after a message. copier_close() is due in any case. */
int copier_open(struct copier *copier);
void copier_close(struct copier *copier);

/* The fd for a transfer: O_DIRECT takes whole pages only. */
int side_fd(const struct side *side, __u64 off, __u64 len);

/* A transfer has failed. true: O_DIRECT was not to be had, so try again without. */
bool side_falls_back(struct side *side, int fd, int status);

/* ---- transfer.c ---- */

/* Copy all bytes, holes as holes. 0 and *@end is the length; -EINTR after a stop signal; -errno. */
int copy_bytes(struct copier *copier, struct side *from, struct side *to,
	       __u64 *end);

/* ---- verify.c ---- */

/*
 * Read both again and compare @len bytes. 0; 1 after a message if they differ; -EINTR; -errno
 * after a message.
 */
int verify_bytes(struct copier *copier, struct side *from, struct side *to,
		 __u64 len);

#endif /* KSCOPE_TOOL_COPY_H */

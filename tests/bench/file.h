/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KSCOPE_BENCH_FILE_H
#define KSCOPE_BENCH_FILE_H

#include "bench.h"

/*
 * struct file_kind - what the subjects are opened with
 * @open_flags: of the file
 * @kind: of the ring or the scope, as in nop.h
 */
struct file_kind {
	int open_flags;
	const void *kind;
};

/*
 * struct reads - those of a round, side by side
 * @fd: of the file
 * @off: where in the file the first of them starts
 * @piece: bytes of each
 * @nr: how many
 * @buf: where they go, one behind the other
 */
struct reads {
	int fd;
	size_t off;
	size_t piece;
	unsigned int nr;
	__u8 *buf;
};

void reads_open(struct reads *reads, const struct cell *cell);
void reads_close(struct reads *reads);

/* Where in the file one of them starts */
static inline size_t reads_at(const struct reads *reads, unsigned int index)
{
	return reads->off + index * reads->piece;
}

/* The contexts start with their reads. Children of a scope */
void *file_kscope_open(const struct cell *cell);
void file_kscope_round(void *ctx);
void file_kscope_close(void *ctx);

/* Requests of a ring */
void *file_uring_open(const struct cell *cell);
void file_uring_round(void *ctx);
void file_uring_close(void *ctx);

/* Threads */
void *file_loop_open(const struct cell *cell);
void file_loop_round(void *ctx);
void file_loop_close(void *ctx);
void *file_pool_open(const struct cell *cell);
void file_pool_round(void *ctx);
void file_pool_close(void *ctx);

#endif

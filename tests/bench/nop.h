/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Subjects that take &cell.batch children that do nothing from the descriptor to
 * the reaped completion in each round, and look at every completion.
 */
#ifndef KSCOPE_BENCH_NOP_H
#define KSCOPE_BENCH_NOP_H

#include "bench.h"

/* Children of a scope, by how the scope is made */
void *kscope_nop_open(const struct cell *cell);
void kscope_nop_round(void *ctx);
void kscope_nop_close(void *ctx);

struct kscope_scope_params;
extern const struct kscope_scope_params kscope_plain;

#define KSCOPE_NOP(name, params)                               \
	{                                                      \
		name, kscope_nop_open, NULL, kscope_nop_round, \
			kscope_nop_close, params               \
	}

/* NOPs of an io_uring, by the flags of ring and entries */
void *uring_nop_open(const struct cell *cell);
void uring_nop_round(void *ctx);
void uring_nop_close(void *ctx);

struct uring_kind {
	unsigned int setup;
	unsigned int sqe_flags;
};

extern const struct uring_kind uring_inline, uring_async, uring_async_defer;

#define URING_NOP(name, kind)                                                 \
	{                                                                     \
		name, uring_nop_open, NULL, uring_nop_round, uring_nop_close, \
			kind                                                  \
	}

/* Tasks of a pool of threads */
void *pool_nop_open(const struct cell *cell);
void pool_nop_round(void *ctx);
void pool_nop_close(void *ctx);

#define POOL_NOP(name)                                                     \
	{                                                                  \
		name, pool_nop_open, NULL, pool_nop_round, pool_nop_close, \
			NULL                                               \
	}

/* A thread for each task */
void *threads_nop_open(const struct cell *cell);
void threads_nop_round(void *ctx);
void threads_nop_close(void *ctx);

#define THREADS_NOP(name)                                        \
	{                                                        \
		name, threads_nop_open, NULL, threads_nop_round, \
			threads_nop_close, NULL                  \
	}

/* A work item for each child, by the module kscope_naive */
void *naive_nop_open(const struct cell *cell);
void naive_nop_round(void *ctx);
void naive_nop_close(void *ctx);

#define NAIVE_NOP(name)                                                       \
	{                                                                     \
		name, naive_nop_open, NULL, naive_nop_round, naive_nop_close, \
			NULL                                                  \
	}

#endif

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
extern const struct kscope_scope_params kscope_plain, kscope_worker,
	kscope_inline;

#define KSCOPE_NOP(nop_name, params)                                  \
	{                                                             \
		.name = nop_name, .open = kscope_nop_open,            \
		.round = kscope_nop_round, .close = kscope_nop_close, \
		.arg = params                                         \
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

#define URING_NOP(nop_name, kind)                                   \
	{                                                           \
		.name = nop_name, .open = uring_nop_open,           \
		.round = uring_nop_round, .close = uring_nop_close, \
		.arg = kind                                         \
	}

/* Tasks of a pool of threads */
void *pool_nop_open(const struct cell *cell);
void pool_nop_round(void *ctx);
void pool_nop_close(void *ctx);

#define POOL_NOP(nop_name)                                        \
	{                                                         \
		.name = nop_name, .open = pool_nop_open,          \
		.round = pool_nop_round, .close = pool_nop_close, \
	}

/* A thread for each task */
void *threads_nop_open(const struct cell *cell);
void threads_nop_round(void *ctx);
void threads_nop_close(void *ctx);

#define THREADS_NOP(nop_name)                                           \
	{                                                               \
		.name = nop_name, .open = threads_nop_open,             \
		.round = threads_nop_round, .close = threads_nop_close, \
	}

/* A work item for each child, by the module kscope_naive */
void *naive_nop_open(const struct cell *cell);
void naive_nop_round(void *ctx);
void naive_nop_close(void *ctx);

#define NAIVE_NOP(nop_name)                                         \
	{                                                           \
		.name = nop_name, .open = naive_nop_open,           \
		.round = naive_nop_round, .close = naive_nop_close, \
	}

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to get ready and to end again, without any child: create and
 * release a scope; set up and tear down a ring of io_uring; start and join a pool.
 */
#include <liburing.h>

#include "kscope_util.h"
#include "pool.h"

struct scope_ctx {
	int dev;
	unsigned int capacity;
};

static void *scope_open(const struct cell *cell)
{
	struct scope_ctx *ctx = alloc_zeroed(1, sizeof(*ctx));

	ctx->dev = kscope_open();
	CHECK(ctx->dev >= 0);
	ctx->capacity = (unsigned int)cell->batch;
	return ctx;
}

static void scope_round(void *arg)
{
	const struct scope_ctx *ctx = arg;
	const struct kscope_scope_params params = {
		.capacity = ctx->capacity,
	};
	struct kscope_scope scope;

	CHECK(kscope_scope_create(&scope, ctx->dev, &params) == 0);
	CHECK(kscope_release(&scope, NULL, NULL) == 0);
	CHECK(kscope_scope_close(&scope) == 0);
}

static void scope_close(void *arg)
{
	struct scope_ctx *ctx = arg;

	kscope_close(ctx->dev);
	free(ctx);
}

static void *ring_open(const struct cell *cell)
{
	unsigned int *entries = alloc_zeroed(1, sizeof(*entries));

	*entries = (unsigned int)cell->batch;
	return entries;
}

static void ring_round(void *arg)
{
	const unsigned int *entries = arg;
	struct io_uring ring;

	CHECK(io_uring_queue_init(*entries, &ring, 0) == 0);
	io_uring_queue_exit(&ring);
}

static void *threads_open(const struct cell *cell)
{
	(void)cell;
	return alloc_zeroed(1, sizeof(struct pool));
}

static void threads_round(void *arg)
{
	struct pool *pool = arg;

	pool_open(pool, nr_cpus());
	pool_close(pool);
}

static const struct subject subjects[] = {
	{ .name = "kscope",
	  .open = scope_open,
	  .round = scope_round,
	  .close = scope_close },
	{ .name = "io_uring",
	  .open = ring_open,
	  .round = ring_round,
	  .close = free },
	{ .name = "pthread-pool",
	  .open = threads_open,
	  .round = threads_round,
	  .close = free },
	{ .name = NULL },
};

void bench_scope(void)
{
	static const unsigned int capacities[] = { 64, 256, 4096 };

	for (size_t i = 0; i < ARRAY_SIZE(capacities); i++)
		if (!settings.batch || settings.batch == capacities[i])
			compare("scope", capacities[i], 1, subjects);
}

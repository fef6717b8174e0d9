// SPDX-License-Identifier: GPL-2.0
/* NOPs of an io_uring: run inline, as they are, or on its worker pool (IOSQE_ASYNC). */
#include <liburing.h>

#include "bench.h"

struct uring_ctx {
	struct io_uring ring;
	unsigned int batch;
	unsigned int sqe_flags;
	uint64_t next;
};

static void *open_ring(unsigned int batch, unsigned int setup,
		       unsigned int sqe_flags)
{
	struct uring_ctx *ctx = alloc_zeroed(1, sizeof(*ctx));

	if (io_uring_queue_init(batch, &ctx->ring, setup)) {
		free(ctx);
		return NULL;
	}
	ctx->batch = batch;
	ctx->sqe_flags = sqe_flags;
	return ctx;
}

static void *open_inline(unsigned int batch)
{
	return open_ring(batch, 0, 0);
}

static void *open_async(unsigned int batch)
{
	return open_ring(batch, 0, IOSQE_ASYNC);
}

static void *open_async_defer(unsigned int batch)
{
	return open_ring(
		batch, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IOSQE_ASYNC);
}

static void submit_batch(struct uring_ctx *ctx)
{
	unsigned int batch = ctx->batch;
	uint64_t first = ctx->next;

	for (unsigned int i = 0; i < batch; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ctx->ring);

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_flags(sqe, ctx->sqe_flags);
		io_uring_sqe_set_data64(sqe, first + i);
	}
	CHECK(io_uring_submit_and_wait(&ctx->ring, batch) == (int)batch);
}

/* The order of completions is not promised: each user_data of the batch once means that their sum is right. */
static void reap_batch(struct uring_ctx *ctx)
{
	struct io_uring_cqe *cqe;
	unsigned int head, nr = 0;
	uint64_t sum = 0;

	io_uring_for_each_cqe(&ctx->ring, head, cqe)
	{
		CHECK(cqe->res == 0 && cqe->user_data - ctx->next < ctx->batch);
		sum += cqe->user_data - ctx->next;
		nr++;
	}
	CHECK(nr == ctx->batch && sum == (uint64_t)nr * (nr - 1) / 2);
	io_uring_cq_advance(&ctx->ring, nr);
}

static void round_nop(void *arg)
{
	struct uring_ctx *ctx = arg;

	submit_batch(ctx);
	reap_batch(ctx);
	ctx->next += ctx->batch;
}

static void close_ring(void *arg)
{
	struct uring_ctx *ctx = arg;

	io_uring_queue_exit(&ctx->ring);
	free(ctx);
}

const struct runner uring_runners[] = {
	{ "io_uring", open_inline, round_nop, close_ring },
	{ "io_uring-async", open_async, round_nop, close_ring },
	{ "io_uring-async-defer", open_async_defer, round_nop, close_ring },
	{ .name = NULL },
};

// SPDX-License-Identifier: GPL-2.0
/* NOPs of an io_uring: run inline, as they are, or on its worker pool (IOSQE_ASYNC). */
#include <liburing.h>

#include "nop.h"

struct nop_ctx {
	struct io_uring ring;
	unsigned int batch;
	unsigned int sqe_flags;
	__u64 next;
};

const struct uring_kind uring_inline;
const struct uring_kind uring_async = { .sqe_flags = IOSQE_ASYNC };
const struct uring_kind uring_async_defer = {
	.setup = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	.sqe_flags = IOSQE_ASYNC,
};

void *uring_nop_open(const struct cell *cell)
{
	const struct uring_kind *kind = cell->subject->arg;
	struct nop_ctx *ctx = alloc_zeroed(1, sizeof(*ctx));

	ctx->batch = (unsigned int)cell->batch;
	ctx->sqe_flags = kind->sqe_flags;
	return io_uring_queue_init(ctx->batch, &ctx->ring, kind->setup) ? NULL :
									  ctx;
}

static void submit_batch(struct nop_ctx *ctx)
{
	unsigned int batch = ctx->batch;

	for (unsigned int i = 0; i < batch; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ctx->ring);

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_flags(sqe, ctx->sqe_flags);
		io_uring_sqe_set_data64(sqe, ctx->next + i);
	}
	CHECK(io_uring_submit_and_wait(&ctx->ring, batch) == (int)batch);
}

void uring_nop_round(void *arg)
{
	struct nop_ctx *ctx = arg;
	struct tally tally = { .first = ctx->next, .nr = ctx->batch };
	struct io_uring_cqe *cqe;
	unsigned int head;

	submit_batch(ctx);
	io_uring_for_each_cqe(&ctx->ring, head, cqe) {
		CHECK(cqe->res == 0);
		tally_add(&tally, cqe->user_data);
	}
	io_uring_cq_advance(&ctx->ring, ctx->batch);
	tally_check(&tally);
	ctx->next += tally.nr;
}

void uring_nop_close(void *arg)
{
	struct nop_ctx *ctx = arg;

	io_uring_queue_exit(&ctx->ring);
	free(ctx);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of an io_uring that wait for an event which does not come, cancelled
 * one by one, or all by one more request. That one's time grows with the square of
 * their number, as it passes those again that it has told.
 */
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cancel_uring.h"

#define CHUNK 256U
#define MAX_CQ 65536U /* of the kernel */
#define MAX_ANY 100U /* each of 10,000 takes 172,000 instructions */

struct ring_ctx {
	struct io_uring ring;
	int event;
	unsigned int nr;
};

void *uring_cancel_open(const struct cell *cell)
{
	struct ring_ctx *ctx = alloc_zeroed(1, sizeof(*ctx));
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN,
		.cq_entries = MAX_CQ,
	};

	ctx->nr = (unsigned int)cell->batch;
	if (cell->subject->round == uring_cancel_any && ctx->nr > MAX_ANY)
		return NULL;
	CHECK(!io_uring_queue_init_params(CHUNK, &ctx->ring, &params));
	ctx->event = eventfd(0, EFD_CLOEXEC);
	CHECK(ctx->event >= 0);
	return ctx;
}

void uring_cancel_prepare(void *arg)
{
	struct ring_ctx *ctx = arg;

	for (unsigned int i = 0; i < ctx->nr; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ctx->ring);

		io_uring_prep_poll_add(sqe, ctx->event, POLLIN);
		io_uring_sqe_set_data64(sqe, i);
		if (!io_uring_sq_space_left(&ctx->ring))
			CHECK(io_uring_submit(&ctx->ring) == (int)CHUNK);
	}
	CHECK(io_uring_submit(&ctx->ring) >= 0);
	CHECK(io_uring_cq_ready(&ctx->ring) == 0);
}

static void reap(struct ring_ctx *ctx, unsigned int nr, struct tally *tally)
{
	struct io_uring_cqe *cqe;
	unsigned int head;

	CHECK(io_uring_cq_ready(&ctx->ring) == nr);
	io_uring_for_each_cqe(&ctx->ring, head, cqe) {
		CHECK(cqe->res == -ECANCELED);
		tally_add(tally, cqe->user_data);
	}
	io_uring_cq_advance(&ctx->ring, nr);
}

/* Cancels that succeed leave no completion of their own. */
static unsigned int cancel_chunk(struct ring_ctx *ctx, unsigned int first)
{
	unsigned int nr = ctx->nr - first < CHUNK ? ctx->nr - first : CHUNK;

	for (unsigned int i = first; i < first + nr; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ctx->ring);

		io_uring_prep_cancel64(sqe, i, 0);
		io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
	}
	CHECK(io_uring_submit_and_wait(&ctx->ring, nr) == (int)nr);
	return nr;
}

void uring_cancel_each(void *arg)
{
	struct ring_ctx *ctx = arg;
	struct tally tally = { .nr = ctx->nr };
	unsigned int nr;

	for (unsigned int first = 0; first < ctx->nr; first += nr) {
		nr = cancel_chunk(ctx, first);
		reap(ctx, nr, &tally);
	}
	tally_check(&tally);
}

void uring_cancel_any(void *arg)
{
	const int all = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
	struct ring_ctx *ctx = arg;
	struct tally tally = { .nr = ctx->nr };
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ctx->ring);

	io_uring_prep_cancel64(sqe, 0, all);
	io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
	CHECK(io_uring_submit_and_wait(&ctx->ring, ctx->nr) == 1);
	reap(ctx, ctx->nr, &tally);
	tally_check(&tally);
}

void uring_cancel_close(void *arg)
{
	struct ring_ctx *ctx = arg;

	io_uring_queue_exit(&ctx->ring);
	close(ctx->event);
	free(ctx);
}

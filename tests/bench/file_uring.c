// SPDX-License-Identifier: GPL-2.0
/* Reads of a file by an io_uring, into a registered buffer */
#include <liburing.h>

#include "file.h"
#include "nop.h"

struct file_ctx {
	struct reads reads;
	struct io_uring ring;
	unsigned int sqe_flags;
};

void *file_uring_open(const struct cell *cell)
{
	const struct file_kind *kind = cell->subject->arg;
	const struct uring_kind *how = kind->kind;
	struct file_ctx *ctx = alloc_zeroed(1, sizeof(*ctx));
	struct iovec range;

	ctx->sqe_flags = how->sqe_flags;
	reads_open(&ctx->reads, cell);
	if (io_uring_queue_init(ctx->reads.nr, &ctx->ring, how->setup))
		return NULL;
	range.iov_base = ctx->reads.buf;
	range.iov_len = ctx->reads.nr * ctx->reads.piece;
	CHECK(io_uring_register_buffers(&ctx->ring, &range, 1) == 0);
	return ctx;
}

static void submit_reads(struct file_ctx *ctx)
{
	const struct reads *reads = &ctx->reads;

	for (unsigned int i = 0; i < reads->nr; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ctx->ring);

		io_uring_prep_read_fixed(sqe, reads->fd,
					 reads->buf + i * reads->piece,
					 (unsigned int)reads->piece,
					 reads_at(reads, i), 0);
		io_uring_sqe_set_flags(sqe, ctx->sqe_flags);
		io_uring_sqe_set_data64(sqe, i);
	}
	CHECK(io_uring_submit_and_wait(&ctx->ring, reads->nr) ==
	      (int)reads->nr);
}

void file_uring_round(void *arg)
{
	struct file_ctx *ctx = arg;
	struct tally tally = { .nr = ctx->reads.nr };
	struct io_uring_cqe *cqe;
	unsigned int head;

	submit_reads(ctx);
	io_uring_for_each_cqe(&ctx->ring, head, cqe) {
		CHECK(cqe->res == (int)ctx->reads.piece);
		tally_add(&tally, cqe->user_data);
	}
	io_uring_cq_advance(&ctx->ring, ctx->reads.nr);
	tally_check(&tally);
}

void file_uring_close(void *arg)
{
	struct file_ctx *ctx = arg;

	io_uring_queue_exit(&ctx->ring);
	reads_close(&ctx->reads);
	free(ctx);
}

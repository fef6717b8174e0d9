// SPDX-License-Identifier: GPL-2.0
/* A work item in the kernel for each child, by the module kscope_naive. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../modules/kscope_naive.h"
#include "nop.h"

struct nop_ctx {
	int fd;
	unsigned int batch;
	__u64 next;
	struct kscope_desc *descs;
	struct kscope_completion *done;
};

void *naive_nop_open(const struct cell *cell)
{
	struct nop_ctx *ctx = alloc_zeroed(1, sizeof(*ctx));

	ctx->fd = open("/dev/kscope_naive", O_RDWR | O_CLOEXEC);
	if (ctx->fd < 0)
		return NULL;
	ctx->batch = (unsigned int)cell->batch;
	ctx->descs = alloc_zeroed(cell->batch, sizeof(*ctx->descs));
	ctx->done = alloc_zeroed(cell->batch, sizeof(*ctx->done));
	return ctx;
}

static void run_batch(const struct nop_ctx *ctx)
{
	struct kscope_naive arg = {
		.descs = (uintptr_t)ctx->descs,
		.completions = (uintptr_t)ctx->done,
		.nr = ctx->batch,
	};

	for (unsigned int i = 0; i < ctx->batch; i++)
		ctx->descs[i] = (struct kscope_desc){
			.op = KSCOPE_OP_NOP,
			.user_data = ctx->next + i,
		};
	CHECK(ioctl(ctx->fd, KSCOPE_NAIVE_RUN, &arg) == 0);
}

void naive_nop_round(void *arg)
{
	struct nop_ctx *ctx = arg;
	struct tally tally = { .first = ctx->next, .nr = ctx->batch };

	run_batch(ctx);
	for (unsigned int i = 0; i < tally.nr; i++) {
		CHECK(ctx->done[i].status == 0);
		tally_add(&tally, ctx->done[i].user_data);
	}
	tally_check(&tally);
	ctx->next += tally.nr;
}

void naive_nop_close(void *arg)
{
	struct nop_ctx *ctx = arg;

	close(ctx->fd);
	free(ctx->descs);
	free(ctx->done);
	free(ctx);
}

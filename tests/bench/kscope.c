// SPDX-License-Identifier: GPL-2.0
/* Children of a scope, through the library. */
#include <kscope.h>

#include "bench.h"

struct kscope_ctx {
	struct kscope_scope scope;
	unsigned int batch;
	uint64_t next;
	struct kscope_desc descs[];
};

static void *open_default(unsigned int batch)
{
	struct kscope_ctx *ctx =
		alloc_zeroed(1, sizeof(*ctx) + batch * sizeof(ctx->descs[0]));
	int dev = kscope_open(), ret;

	if (dev < 0)
		die("/dev/kscope: %d", dev);
	ret = kscope_scope_create(
		&ctx->scope, dev,
		&(struct kscope_scope_params){ .capacity = batch });
	if (ret)
		die("a scope for %u children: %d", batch, ret);
	kscope_close(dev);
	ctx->batch = batch;
	return ctx;
}

static void round_nop(void *arg)
{
	struct kscope_ctx *ctx = arg;
	unsigned int batch = ctx->batch;
	uint64_t first = ctx->next, sum = 0;

	for (unsigned int i = 0; i < batch; i++) {
		kscope_prep_nop(&ctx->descs[i]);
		ctx->descs[i].user_data = first + i;
	}
	CHECK(kscope_spawn_wait(&ctx->scope, ctx->descs, batch, NULL, batch,
				0) == (int)batch);
	/* work that the kernel has for this thread ends a wait early, as a signal does; io_uring makes such work */
	while (kscope_ready(&ctx->scope) < batch)
		CHECK(kscope_wait(&ctx->scope, batch, 0) != -ETIMEDOUT);
	/* in whatever order they ended: each user_data of the batch once means that their sum is right */
	for (unsigned int i = 0; i < batch; i++) {
		const struct kscope_completion *done =
			kscope_peek(&ctx->scope, i);

		CHECK(done->status == 0 && done->user_data - first < batch);
		sum += done->user_data - first;
	}
	CHECK(sum == (uint64_t)batch * (batch - 1) / 2);
	kscope_seen(&ctx->scope, batch);
	ctx->next = first + batch;
}

static void close_scope(void *arg)
{
	struct kscope_ctx *ctx = arg;

	CHECK(kscope_scope_end(&ctx->scope) == 0);
	free(ctx);
}

const struct runner kscope_runners[] = {
	{ "kscope", open_default, round_nop, close_scope },
	{ .name = NULL },
};

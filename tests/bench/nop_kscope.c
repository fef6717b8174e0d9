// SPDX-License-Identifier: GPL-2.0
/* Children of a scope that do nothing, through the library. */
#include "kscope_util.h"
#include "nop.h"

struct nop_ctx {
	struct kscope_scope scope;
	unsigned int batch;
	__u64 next;
	struct kscope_desc descs[];
};

const struct kscope_scope_params kscope_plain;

const struct kscope_scope_params kscope_worker = {
	.flags = KSCOPE_SCOPE_NO_HELP,
};

const struct kscope_scope_params kscope_inline = {
	.kind = KSCOPE_KIND_INLINE,
};

void *kscope_nop_open(const struct cell *cell)
{
	struct kscope_scope_params params =
		*(const struct kscope_scope_params *)cell->subject->arg;
	struct nop_ctx *ctx;

	ctx = alloc_zeroed(1, sizeof(*ctx) + cell->batch * sizeof(*ctx->descs));
	params.capacity = (unsigned int)cell->batch;
	ctx->batch = params.capacity;
	return open_scope(&ctx->scope, &params) ? ctx : NULL;
}

static void spawn_batch(struct nop_ctx *ctx)
{
	unsigned int batch = ctx->batch;

	for (unsigned int i = 0; i < batch; i++) {
		kscope_prep_nop(&ctx->descs[i]);
		ctx->descs[i].user_data = ctx->next + i;
	}
	spawn_all_and_wait(&ctx->scope, ctx->descs, batch);
}

void kscope_nop_round(void *arg)
{
	struct nop_ctx *ctx = arg;
	struct tally tally = { .first = ctx->next, .nr = ctx->batch };

	spawn_batch(ctx);
	for (unsigned int i = 0; i < tally.nr; i++) {
		const struct kscope_completion *done =
			kscope_peek(&ctx->scope, i);

		CHECK(done->status == 0);
		tally_add(&tally, done->user_data);
	}
	kscope_seen(&ctx->scope, ctx->batch);
	tally_check(&tally);
	ctx->next += tally.nr;
}

void kscope_nop_close(void *arg)
{
	struct nop_ctx *ctx = arg;

	CHECK(kscope_scope_end(&ctx->scope) == 0);
	free(ctx);
}

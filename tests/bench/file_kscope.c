// SPDX-License-Identifier: GPL-2.0
/* Reads of a file by children of a scope */
#include "file.h"
#include "kscope_util.h"

struct file_ctx {
	struct reads reads;
	struct kscope_scope scope;
	int buf;
	struct kscope_desc descs[];
};

void *file_kscope_open(const struct cell *cell)
{
	const struct file_kind *kind = cell->subject->arg;
	struct kscope_scope_params params =
		*(const struct kscope_scope_params *)kind->kind;
	struct file_ctx *ctx;

	ctx = alloc_zeroed(1, sizeof(*ctx) + cell->ops * sizeof(*ctx->descs));
	params.capacity = (unsigned int)cell->ops;
	if (!open_scope(&ctx->scope, &params))
		return NULL;
	reads_open(&ctx->reads, cell);
	ctx->buf = kscope_buf_pin(&ctx->scope, ctx->reads.buf,
				  ctx->reads.nr * ctx->reads.piece, 0);
	CHECK(ctx->buf > 0);
	return ctx;
}

static void spawn_reads(struct file_ctx *ctx)
{
	const struct reads *reads = &ctx->reads;

	for (unsigned int i = 0; i < reads->nr; i++) {
		kscope_prep_read(&ctx->descs[i], reads->fd, reads_at(reads, i),
				 ctx->buf, i * reads->piece, reads->piece);
		ctx->descs[i].user_data = i;
	}
	spawn_all_and_wait(&ctx->scope, ctx->descs, reads->nr);
}

void file_kscope_round(void *arg)
{
	struct file_ctx *ctx = arg;
	struct tally tally = { .nr = ctx->reads.nr };

	spawn_reads(ctx);
	for (unsigned int i = 0; i < tally.nr; i++) {
		const struct kscope_completion *done =
			kscope_peek(&ctx->scope, i);

		CHECK(done->status == 0 && done->done == ctx->reads.piece);
		tally_add(&tally, done->user_data);
	}
	kscope_seen(&ctx->scope, ctx->reads.nr);
	tally_check(&tally);
}

void file_kscope_close(void *arg)
{
	struct file_ctx *ctx = arg;

	CHECK(kscope_scope_end(&ctx->scope) == 0);
	reads_close(&ctx->reads);
	free(ctx);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What a child's leases cost. All subjects do the same but for what the child
 * borrows: nothing (a NOP), two ranges of no bytes, which take no place among
 * others, two whole buffers, or two ranges in the middle of buffers, beside
 * those of the other children.
 */
#include "bench.h"
#include "kscope_util.h"

#define RANGE 8 /* bytes */
#define MAX_BATCH 256

/*
 * struct lease_ctx - of each subject
 * @from: buffers to copy from; one of all bytes unless children have buffers of
 * their own
 * @to: to copy to
 * @first: offset of the first child's range
 * @stride: from one to the next; 0 if each has buffers of its own
 * @next: user_data of the next child
 */
struct lease_ctx {
	struct kscope_scope scope;
	unsigned int batch;
	__u64 first;
	__u64 stride;
	__u64 next;
	int from[MAX_BATCH];
	int to[MAX_BATCH];
	struct kscope_desc descs[MAX_BATCH];
	__u8 memory[2][RANGE * (MAX_BATCH + 2)];
};

static struct lease_ctx *ctx_open(const struct cell *cell)
{
	struct kscope_scope_params params = {
		.capacity = (unsigned int)cell->batch,
		.max_buffers = 2 * MAX_BATCH,
	};
	struct lease_ctx *ctx = alloc_zeroed(1, sizeof(*ctx));

	ctx->batch = (unsigned int)cell->batch;
	CHECK(open_scope(&ctx->scope, &params));
	return ctx;
}

static int pin(struct lease_ctx *ctx, __u8 *mem, size_t bytes)
{
	int buf = kscope_buf_pin(&ctx->scope, mem, bytes, 0);

	CHECK(buf > 0);
	return buf;
}

static void *nop_open(const struct cell *cell)
{
	return ctx_open(cell);
}

static void *whole_open(const struct cell *cell)
{
	struct lease_ctx *ctx = ctx_open(cell);

	for (unsigned int i = 0; i < ctx->batch; i++) {
		ctx->from[i] = pin(ctx, ctx->memory[0] + i * RANGE, RANGE);
		ctx->to[i] = pin(ctx, ctx->memory[1] + i * RANGE, RANGE);
	}
	return ctx;
}

static void *ranges_open(const struct cell *cell)
{
	struct lease_ctx *ctx = ctx_open(cell);
	int from = pin(ctx, ctx->memory[0], sizeof(ctx->memory[0]));
	int to = pin(ctx, ctx->memory[1], sizeof(ctx->memory[1]));

	for (unsigned int i = 0; i < ctx->batch; i++) {
		ctx->from[i] = from;
		ctx->to[i] = to;
	}
	ctx->first = RANGE;
	ctx->stride = RANGE;
	return ctx;
}

static void nop_prep(struct lease_ctx *ctx, unsigned int i)
{
	kscope_prep_nop(&ctx->descs[i]);
}

static void none_prep(struct lease_ctx *ctx, unsigned int i)
{
	__u64 at = ctx->first + i * ctx->stride;

	kscope_prep_copy(&ctx->descs[i], ctx->from[i], at, ctx->to[i], at, 0);
}

static void copy_prep(struct lease_ctx *ctx, unsigned int i)
{
	__u64 at = ctx->first + i * ctx->stride;

	kscope_prep_copy(&ctx->descs[i], ctx->from[i], at, ctx->to[i], at,
			 RANGE);
}

static inline void run_round(struct lease_ctx *ctx,
			     void (*prep)(struct lease_ctx *ctx,
					  unsigned int i))
{
	struct tally tally = { .first = ctx->next, .nr = ctx->batch };

	for (unsigned int i = 0; i < ctx->batch; i++) {
		prep(ctx, i);
		ctx->descs[i].user_data = ctx->next + i;
	}
	spawn_all_and_wait(&ctx->scope, ctx->descs, ctx->batch);
	for (unsigned int i = 0; i < tally.nr; i++) {
		const struct kscope_completion *done =
			kscope_peek(&ctx->scope, i);

		CHECK(done->status == 0 && done->done == ctx->descs[i].len);
		tally_add(&tally, done->user_data);
	}
	kscope_seen(&ctx->scope, ctx->batch);
	tally_check(&tally);
	ctx->next += tally.nr;
}

static void nop_round(void *ctx)
{
	run_round(ctx, nop_prep);
}

static void none_round(void *ctx)
{
	run_round(ctx, none_prep);
}

static void copy_round(void *ctx)
{
	run_round(ctx, copy_prep);
}

static void lease_close(void *arg)
{
	struct lease_ctx *ctx = arg;

	CHECK(kscope_scope_end(&ctx->scope) == 0);
	free(ctx);
}

#define LEASES(subject, opens, rounds)                        \
	{                                                     \
		.name = subject, .open = opens##_open,        \
		.round = rounds##_round, .close = lease_close \
	}

void bench_lease(void)
{
	static const unsigned int batches[] = { 1, 32, MAX_BATCH };
	static const struct subject subjects[] = {
		LEASES("kscope-nop", nop, nop),
		LEASES("kscope-no-bytes", ranges, none),
		LEASES("kscope-whole", whole, copy),
		LEASES("kscope", ranges, copy),
		{ .name = NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(batches); i++)
		if (!settings.batch || settings.batch == batches[i])
			compare("lease", batches[i], batches[i], subjects);
}

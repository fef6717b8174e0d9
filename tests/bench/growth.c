// SPDX-License-Identifier: GPL-2.0
/*
 * Does a child cost the same, however many came before it and however many scopes
 * there are? Spawns children, 256 at a time, through a new scope; and a batch through
 * each of many scopes that stay open.
 */
#include "nop.h"

#define BATCH 256UL

/*
 * struct growth_ctx - subjects of spawn, put to work more often
 * @nop: what one round of it does is a batch
 * @cell: what @nop is opened with
 * @each: their contexts, @nr of them
 * @rounds: of each
 */
struct growth_ctx {
	const struct subject *nop;
	struct cell cell;
	void **each;
	unsigned long nr;
	unsigned long rounds;
};

static struct growth_ctx *growth_open(const struct cell *cell,
				      unsigned long batch)
{
	struct growth_ctx *ctx = alloc_zeroed(1, sizeof(*ctx));

	ctx->nop = cell->subject->arg;
	ctx->cell = *cell;
	ctx->cell.subject = ctx->nop;
	ctx->cell.batch = batch;
	return ctx;
}

static void growth_round(void *arg)
{
	struct growth_ctx *ctx = arg;

	for (unsigned long i = 0; i < ctx->nr; i++)
		for (unsigned long round = 0; round < ctx->rounds; round++)
			ctx->nop->round(ctx->each[i]);
}

static void growth_close_all(struct growth_ctx *ctx)
{
	while (ctx->nr)
		ctx->nop->close(ctx->each[--ctx->nr]);
}

static void growth_close(void *arg)
{
	struct growth_ctx *ctx = arg;

	growth_close_all(ctx);
	free(ctx->each);
	free(ctx);
}

static bool growth_open_all(struct growth_ctx *ctx, unsigned long nr)
{
	for (; ctx->nr < nr; ctx->nr++) {
		ctx->each[ctx->nr] = ctx->nop->open(&ctx->cell);
		if (!ctx->each[ctx->nr])
			return false;
	}
	return true;
}

static void *children_open(const struct cell *cell)
{
	unsigned long batch = cell->batch < BATCH ? cell->batch : BATCH;
	struct growth_ctx *ctx = growth_open(cell, batch);

	ctx->rounds = (cell->batch + batch - 1) / batch;
	ctx->each = alloc_zeroed(1, sizeof(void *));
	return growth_open_all(ctx, 1) ? ctx : NULL;
}

static void children_prepare(void *arg)
{
	struct growth_ctx *ctx = arg;

	growth_close_all(ctx);
	CHECK(growth_open_all(ctx, 1));
}

static void *scopes_open(const struct cell *cell)
{
	struct growth_ctx *ctx = growth_open(cell, BATCH);

	ctx->rounds = 1;
	ctx->each = alloc_zeroed(cell->batch, sizeof(void *));
	raise_file_limit(cell->batch + 64);
	return growth_open_all(ctx, cell->batch) ? ctx : NULL;
}

#define CHILDREN(nop_name, nop)                                     \
	{                                                           \
		.name = nop_name, .open = children_open,            \
		.prepare = children_prepare, .round = growth_round, \
		.close = growth_close, .arg = nop                   \
	}

#define SCOPES(nop_name, nop)                                                 \
	{                                                                     \
		.name = nop_name, .open = scopes_open, .round = growth_round, \
		.close = growth_close, .arg = nop                             \
	}

static const struct subject kscope = KSCOPE_NOP("kscope", &kscope_plain);
static const struct subject worker =
	KSCOPE_NOP("kscope-worker", &kscope_worker);
static const struct subject io_uring = URING_NOP("io_uring", &uring_inline);
static const struct subject pool = POOL_NOP("pthread-pool");

static unsigned long rounded_up(unsigned long nr)
{
	return nr < BATCH ? nr : (nr + BATCH - 1) / BATCH * BATCH;
}

void bench_growth_children(void)
{
	static const unsigned long numbers[] = { 1,	10,	100,	1000,
						 10000, 100000, 1000000 };
	static const struct subject subjects[] = {
		CHILDREN("kscope", &kscope),
		CHILDREN("kscope-worker", &worker),
		CHILDREN("io_uring", &io_uring),
		CHILDREN("pthread-pool", &pool),
		{ .name = NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		compare("growth-children", numbers[i], rounded_up(numbers[i]),
			subjects);
}

void bench_growth_scopes(void)
{
	static const unsigned long numbers[] = { 1, 10, 100, 1000 };
	static const struct subject subjects[] = {
		SCOPES("kscope", &kscope),
		SCOPES("kscope-worker", &worker),
		SCOPES("io_uring", &io_uring),
		{ .name = NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		compare("growth-scopes", numbers[i], numbers[i] * BATCH,
			subjects);
}

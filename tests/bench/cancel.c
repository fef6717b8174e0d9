// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to cancel one of many children that have not started: from the call
 * until each has acknowledged. All of them wait behind one that sleeps.
 */
#include "cancel_uring.h"
#include "kscope_util.h"
#include "pool.h"

struct scope_ctx {
	struct kscope_scope scope;
	unsigned int nr;
	struct kscope_desc descs[];
};

static void *scope_open(const struct cell *cell)
{
	struct scope_ctx *ctx;

	ctx = alloc_zeroed(1, sizeof(*ctx) +
				      (cell->batch + 1) * sizeof(*ctx->descs));
	ctx->nr = (unsigned int)cell->batch;
	kscope_prep_sleep(&ctx->descs[0], ~0ULL);
	for (unsigned int i = 1; i <= ctx->nr; i++)
		kscope_prep_nop(&ctx->descs[i]);
	for (unsigned int i = 0; i <= ctx->nr; i++)
		ctx->descs[i].user_data = i;
	return ctx;
}

static void scope_prepare(void *arg)
{
	struct scope_ctx *ctx = arg;
	const struct kscope_scope_params params = {
		.kind = KSCOPE_KIND_ORDERED,
		.capacity = ctx->nr + 1,
	};

	CHECK(open_scope(&ctx->scope, &params));
	CHECK(kscope_spawn(&ctx->scope, ctx->descs, ctx->nr + 1, NULL) ==
	      (int)ctx->nr + 1);
}

static void scope_round(void *arg)
{
	struct scope_ctx *ctx = arg;
	struct kscope_cancel counts;

	CHECK(kscope_cancel_scope(&ctx->scope, &counts) == 0);
	CHECK(counts.never_started + counts.told == ctx->nr + 1);
	CHECK(KSCOPE_RETRY(kscope_join(&ctx->scope, 0, NULL)) == 0);
	CHECK(kscope_ready(&ctx->scope) == ctx->nr + 1);
}

static void scope_check(void *arg)
{
	struct scope_ctx *ctx = arg;
	struct tally tally = { .nr = ctx->nr + 1 };

	for (unsigned int i = 0; i <= ctx->nr; i++) {
		const struct kscope_completion *done =
			kscope_peek(&ctx->scope, i);

		CHECK(done && done->status == -ECANCELED);
		tally_add(&tally, done->user_data);
	}
	tally_check(&tally);
	CHECK(kscope_scope_close(&ctx->scope) == 0);
}

/* Tasks behind one that waits to be told. */
struct pool_ctx {
	struct pool pool;
	struct task first;
	pthread_mutex_t lock;
	pthread_cond_t told;
	bool started, end;
	unsigned int nr;
	struct task tasks[];
};

static void task_sleep(struct task *task)
{
	struct pool_ctx *ctx = task->arg;

	pthread_mutex_lock(&ctx->lock);
	ctx->started = true;
	pthread_cond_broadcast(&ctx->told);
	while (!ctx->end)
		pthread_cond_wait(&ctx->told, &ctx->lock);
	task->status = -ECANCELED;
	pthread_mutex_unlock(&ctx->lock);
}

static void task_nop(struct task *task)
{
	task->status = 0;
}

static void *pool_ctx_open(const struct cell *cell)
{
	struct pool_ctx *ctx;

	ctx = alloc_zeroed(1, sizeof(*ctx) + cell->batch * sizeof(*ctx->tasks));
	pool_open(&ctx->pool, 1);
	CHECK(!pthread_mutex_init(&ctx->lock, NULL));
	CHECK(!pthread_cond_init(&ctx->told, NULL));
	ctx->nr = (unsigned int)cell->batch;
	return ctx;
}

static void pool_prepare(void *arg)
{
	struct pool_ctx *ctx = arg;

	ctx->first = (struct task){ .run = task_sleep, .arg = ctx };
	for (unsigned int i = 0; i < ctx->nr; i++)
		ctx->tasks[i] = (struct task){
			.next = &ctx->tasks[i + 1],
			.run = task_nop,
			.status = -1,
		};
	ctx->started = false;
	ctx->end = false;
	pool_submit(&ctx->pool, &ctx->first, &ctx->first, 1);
	pool_submit(&ctx->pool, ctx->tasks, &ctx->tasks[ctx->nr - 1], ctx->nr);
	pthread_mutex_lock(&ctx->lock);
	while (!ctx->started)
		pthread_cond_wait(&ctx->told, &ctx->lock);
	pthread_mutex_unlock(&ctx->lock);
}

static void pool_round(void *arg)
{
	struct pool_ctx *ctx = arg;

	CHECK(pool_cancel(&ctx->pool) == ctx->nr);
	pthread_mutex_lock(&ctx->lock);
	ctx->end = true;
	pthread_cond_broadcast(&ctx->told);
	pthread_mutex_unlock(&ctx->lock);
	pool_wait(&ctx->pool);
	CHECK(ctx->first.status == -ECANCELED);
	CHECK(ctx->tasks[ctx->nr - 1].status == -ECANCELED);
}

static void pool_ctx_close(void *arg)
{
	struct pool_ctx *ctx = arg;

	pool_close(&ctx->pool);
	free(ctx);
}

static const struct subject subjects[] = {
	{ .name = "kscope",
	  .open = scope_open,
	  .prepare = scope_prepare,
	  .round = scope_round,
	  .check = scope_check,
	  .close = free },
	URING_CANCEL("io_uring", uring_cancel_each),
	URING_CANCEL("io_uring-any", uring_cancel_any),
	{ .name = "pthread-pool",
	  .open = pool_ctx_open,
	  .prepare = pool_prepare,
	  .round = pool_round,
	  .close = pool_ctx_close },
	{ .name = NULL },
};

void bench_cancel(void)
{
	static const unsigned int numbers[] = { 100, 10000, 100000 };

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		compare("cancel", numbers[i], numbers[i], subjects);
}

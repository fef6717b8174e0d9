// SPDX-License-Identifier: GPL-2.0
/* Tasks that do nothing, in a pool of threads and in a thread for each. */
#include "nop.h"
#include "pool.h"

#define STACK_BYTES (64 << 10)

struct pool_ctx {
	struct pool pool;
	unsigned int batch;
	__u64 next;
	struct task tasks[];
};

static void run_nop(struct task *task)
{
	task->status = 0;
}

void *pool_nop_open(const struct cell *cell)
{
	struct pool_ctx *ctx;

	ctx = alloc_zeroed(1, sizeof(*ctx) + cell->batch * sizeof(*ctx->tasks));
	pool_open(&ctx->pool, nr_cpus());
	ctx->batch = (unsigned int)cell->batch;
	return ctx;
}

static void submit_batch(struct pool_ctx *ctx)
{
	unsigned int batch = ctx->batch;

	for (unsigned int i = 0; i < batch; i++)
		ctx->tasks[i] = (struct task){
			.next = &ctx->tasks[i + 1],
			.run = run_nop,
			.user_data = ctx->next + i,
			.status = -1,
		};
	pool_submit(&ctx->pool, &ctx->tasks[0], &ctx->tasks[batch - 1], batch);
}

void pool_nop_round(void *arg)
{
	struct pool_ctx *ctx = arg;
	struct tally tally = { .first = ctx->next, .nr = ctx->batch };

	submit_batch(ctx);
	pool_wait(&ctx->pool);
	for (unsigned int i = 0; i < tally.nr; i++) {
		CHECK(ctx->tasks[i].status == 0);
		tally_add(&tally, ctx->tasks[i].user_data);
	}
	tally_check(&tally);
	ctx->next += tally.nr;
}

void pool_nop_close(void *arg)
{
	struct pool_ctx *ctx = arg;

	pool_close(&ctx->pool);
	free(ctx);
}

struct threads_ctx {
	pthread_attr_t attr;
	unsigned int batch;
	__u64 next;
	struct {
		pthread_t thread;
		struct task task;
	} each[];
};

void *threads_nop_open(const struct cell *cell)
{
	struct threads_ctx *ctx;

	ctx = alloc_zeroed(1, sizeof(*ctx) + cell->batch * sizeof(*ctx->each));
	CHECK(pthread_attr_init(&ctx->attr) == 0);
	CHECK(pthread_attr_setstacksize(&ctx->attr, STACK_BYTES) == 0);
	ctx->batch = (unsigned int)cell->batch;
	return ctx;
}

static void *thread_task(void *arg)
{
	struct task *task = arg;

	task->run(task);
	return NULL;
}

static void start_threads(struct threads_ctx *ctx)
{
	for (unsigned int i = 0; i < ctx->batch; i++) {
		struct task *task = &ctx->each[i].task;

		*task = (struct task){
			.run = run_nop,
			.user_data = ctx->next + i,
			.status = -1,
		};
		CHECK(pthread_create(&ctx->each[i].thread, &ctx->attr,
				     thread_task, task) == 0);
	}
}

void threads_nop_round(void *arg)
{
	struct threads_ctx *ctx = arg;
	struct tally tally = { .first = ctx->next, .nr = ctx->batch };

	start_threads(ctx);
	for (unsigned int i = 0; i < tally.nr; i++) {
		CHECK(pthread_join(ctx->each[i].thread, NULL) == 0);
		CHECK(ctx->each[i].task.status == 0);
		tally_add(&tally, ctx->each[i].task.user_data);
	}
	tally_check(&tally);
	ctx->next += tally.nr;
}

void threads_nop_close(void *arg)
{
	struct threads_ctx *ctx = arg;

	pthread_attr_destroy(&ctx->attr);
	free(ctx);
}

// SPDX-License-Identifier: GPL-2.0
/* Tasks that do nothing, in a pool of threads and in a thread for each. */
#include "bench.h"
#include "pool.h"

#define STACK_BYTES (64 << 10)

struct pool_ctx {
	struct pool pool;
	unsigned int batch;
	uint64_t next;
	struct task tasks[];
};

static void run_nop(struct task *task)
{
	task->status = 0;
}

static void *open_pool(unsigned int batch)
{
	struct pool_ctx *ctx =
		alloc_zeroed(1, sizeof(*ctx) + batch * sizeof(ctx->tasks[0]));

	pool_open(&ctx->pool, nr_cpus());
	ctx->batch = batch;
	return ctx;
}

static void round_pool(void *arg)
{
	struct pool_ctx *ctx = arg;
	unsigned int batch = ctx->batch;

	for (unsigned int i = 0; i < batch; i++)
		ctx->tasks[i] = (struct task){
			.next = &ctx->tasks[i + 1],
			.run = run_nop,
			.user_data = ctx->next + i,
			.status = -1,
		};
	pool_submit(&ctx->pool, &ctx->tasks[0], &ctx->tasks[batch - 1], batch);
	pool_wait(&ctx->pool);
	for (unsigned int i = 0; i < batch; i++)
		CHECK(ctx->tasks[i].user_data == ctx->next + i &&
		      ctx->tasks[i].status == 0);
	ctx->next += batch;
}

static void close_pool(void *arg)
{
	struct pool_ctx *ctx = arg;

	pool_close(&ctx->pool);
	free(ctx);
}

struct each_ctx {
	pthread_attr_t attr;
	unsigned int batch;
	uint64_t next;
	struct {
		pthread_t thread;
		struct task task;
	} each[];
};

static void *open_each(unsigned int batch)
{
	struct each_ctx *ctx =
		alloc_zeroed(1, sizeof(*ctx) + batch * sizeof(ctx->each[0]));

	CHECK(pthread_attr_init(&ctx->attr) == 0);
	CHECK(pthread_attr_setstacksize(&ctx->attr, STACK_BYTES) == 0);
	ctx->batch = batch;
	return ctx;
}

static void *thread_task(void *arg)
{
	struct task *task = arg;

	task->run(task);
	return NULL;
}

static void round_each(void *arg)
{
	struct each_ctx *ctx = arg;

	for (unsigned int i = 0; i < ctx->batch; i++) {
		struct task *task = &ctx->each[i].task;

		*task = (struct task){ .run = run_nop,
				       .user_data = ctx->next + i,
				       .status = -1 };
		CHECK(pthread_create(&ctx->each[i].thread, &ctx->attr,
				     thread_task, task) == 0);
	}
	for (unsigned int i = 0; i < ctx->batch; i++) {
		CHECK(pthread_join(ctx->each[i].thread, NULL) == 0);
		CHECK(ctx->each[i].task.user_data == ctx->next + i &&
		      ctx->each[i].task.status == 0);
	}
	ctx->next += ctx->batch;
}

static void close_each(void *arg)
{
	struct each_ctx *ctx = arg;

	pthread_attr_destroy(&ctx->attr);
	free(ctx);
}

const struct runner thread_runners[] = {
	{ "pthread-pool", open_pool, round_pool, close_pool },
	{ "thread-per-task", open_each, round_each, close_each },
	{ .name = NULL },
};

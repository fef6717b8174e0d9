// SPDX-License-Identifier: GPL-2.0
/* Reads of a file by pread(), in one thread and in a pool of them */
#include <unistd.h>

#include "file.h"
#include "pool.h"

struct file_ctx {
	struct reads reads;
	struct pool pool;
	struct task tasks[];
};

static struct file_ctx *file_open(const struct cell *cell)
{
	struct file_ctx *ctx;

	ctx = alloc_zeroed(1, sizeof(*ctx) + cell->ops * sizeof(*ctx->tasks));
	reads_open(&ctx->reads, cell);
	return ctx;
}

static void file_close(struct file_ctx *ctx)
{
	reads_close(&ctx->reads);
	free(ctx);
}

static int read_piece(const struct reads *reads, unsigned int index)
{
	ssize_t ret = pread(reads->fd, reads->buf + index * reads->piece,
			    reads->piece, (off_t)reads_at(reads, index));

	return ret == (ssize_t)reads->piece ? 0 : -1;
}

void *file_loop_open(const struct cell *cell)
{
	return file_open(cell);
}

void file_loop_round(void *arg)
{
	struct file_ctx *ctx = arg;

	for (unsigned int i = 0; i < ctx->reads.nr; i++)
		CHECK(read_piece(&ctx->reads, i) == 0);
}

void file_loop_close(void *arg)
{
	file_close(arg);
}

void *file_pool_open(const struct cell *cell)
{
	struct file_ctx *ctx = file_open(cell);

	pool_open(&ctx->pool, nr_cpus());
	return ctx;
}

static void run_task(struct task *task)
{
	const struct file_ctx *ctx = task->arg;

	task->status = read_piece(&ctx->reads, (unsigned int)task->user_data);
}

void file_pool_round(void *arg)
{
	struct file_ctx *ctx = arg;
	unsigned int nr = ctx->reads.nr;

	for (unsigned int i = 0; i < nr; i++)
		ctx->tasks[i] = (struct task){
			.next = &ctx->tasks[i + 1],
			.run = run_task,
			.arg = ctx,
			.user_data = i,
			.status = -1,
		};
	pool_submit(&ctx->pool, &ctx->tasks[0], &ctx->tasks[nr - 1], nr);
	pool_wait(&ctx->pool);
	for (unsigned int i = 0; i < nr; i++)
		CHECK(ctx->tasks[i].status == 0);
}

void file_pool_close(void *arg)
{
	struct file_ctx *ctx = arg;

	pool_close(&ctx->pool);
	file_close(ctx);
}

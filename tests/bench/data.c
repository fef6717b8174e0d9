// SPDX-License-Identifier: GPL-2.0
/*
 * Copy, CRC-32C and SHA-256 by children of a scope, against the same loop in one
 * thread and the same pieces as tasks of a pool.
 */
#include "data.h"
#include "nop.h"
#include "pool.h"

/*
 * struct data_ctx - of each subject
 * @op: what it does
 * @window: with these pieces
 */
struct data_ctx {
	const struct data_op *op;
	struct window window;
	struct pool pool;
	struct task tasks[DATA_MAX_PIECES];
	struct kscope_scope scope;
	struct data_bufs bufs;
	struct kscope_desc descs[DATA_MAX_PIECES];
};

struct data_subject {
	const struct data_op *op;
	const struct kscope_scope_params *params;
};

static unsigned int pieces_of_round(const struct data_op *op, size_t piece)
{
	size_t nr = op->round_bytes / piece;

	return nr > DATA_MAX_PIECES ? DATA_MAX_PIECES : (unsigned int)nr;
}

static struct data_ctx *data_open(const struct cell *cell)
{
	const struct data_subject *subject = cell->subject->arg;
	struct data_ctx *ctx = alloc_zeroed(1, sizeof(*ctx));

	ctx->op = subject->op;
	ctx->window.piece = cell->batch;
	ctx->window.nr = (unsigned int)cell->ops;
	data_map();
	return ctx;
}

static void data_prepare(void *arg)
{
	struct data_ctx *ctx = arg;

	window_next(&ctx->window);
	ctx->op->clear(&ctx->window);
}

static void data_check(void *arg)
{
	const struct data_ctx *ctx = arg;

	ctx->op->check(&ctx->window);
}

static void *loop_open(const struct cell *cell)
{
	return data_open(cell);
}

static void loop_round(void *arg)
{
	struct data_ctx *ctx = arg;

	for (unsigned int i = 0; i < ctx->window.nr; i++)
		ctx->op->run(&ctx->window, i);
}

static void loop_close(void *ctx)
{
	free(ctx);
}

static void run_task(struct task *task)
{
	struct data_ctx *ctx = task->arg;

	ctx->op->run(&ctx->window, (unsigned int)task->user_data);
	task->status = 0;
}

static void *tasks_open(const struct cell *cell)
{
	struct data_ctx *ctx = data_open(cell);

	pool_open(&ctx->pool, nr_cpus());
	return ctx;
}

static void tasks_round(void *arg)
{
	struct data_ctx *ctx = arg;
	unsigned int nr = ctx->window.nr;

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

static int pin(const struct kscope_scope *scope, void *mem, size_t bytes)
{
	int buf = kscope_buf_pin(scope, mem, bytes, 0);

	CHECK(buf > 0);
	return buf;
}

static void *children_open(const struct cell *cell)
{
	const struct data_subject *subject = cell->subject->arg;
	struct kscope_scope_params params = *subject->params;
	struct data_ctx *ctx = data_open(cell);

	params.capacity = ctx->window.nr;
	if (!open_scope(&ctx->scope, &params))
		return NULL;
	ctx->bufs.from = pin(&ctx->scope, data.from, DATA_BYTES);
	ctx->bufs.to = pin(&ctx->scope, data.to, DATA_BYTES);
	ctx->bufs.digests =
		pin(&ctx->scope, data.digests, DATA_MAX_PIECES * DATA_DIGEST);
	ctx->bufs.hash = kscope_hash_open(&ctx->scope, "sha256", NULL);
	CHECK(ctx->bufs.hash > 0);
	return ctx;
}

static void children_spawn(struct data_ctx *ctx)
{
	for (unsigned int i = 0; i < ctx->window.nr; i++) {
		ctx->op->prep(&ctx->descs[i], &ctx->bufs, &ctx->window, i);
		ctx->descs[i].user_data = i;
	}
	spawn_all_and_wait(&ctx->scope, ctx->descs, ctx->window.nr);
}

static void children_round(void *arg)
{
	struct data_ctx *ctx = arg;
	struct tally tally = { .nr = ctx->window.nr };

	children_spawn(ctx);
	for (unsigned int i = 0; i < ctx->window.nr; i++) {
		const struct kscope_completion *done =
			kscope_peek(&ctx->scope, i);

		CHECK(done->status == 0 && done->done == ctx->window.piece);
		tally_add(&tally, done->user_data);
		ctx->window.crcs[done->user_data] = (__u32)done->value;
	}
	kscope_seen(&ctx->scope, ctx->window.nr);
	tally_check(&tally);
}

static void tasks_close(void *arg)
{
	struct data_ctx *ctx = arg;

	pool_close(&ctx->pool);
	free(ctx);
}

static void children_close(void *arg)
{
	struct data_ctx *ctx = arg;

	CHECK(kscope_scope_end(&ctx->scope) == 0);
	free(ctx);
}

#define DATA_SUBJECT(subject, how, what)                                      \
	{                                                                     \
		.name = subject, .open = how##_open, .prepare = data_prepare, \
		.round = how##_round, .check = data_check,                    \
		.close = how##_close, .arg = what                             \
	}

static void bench_op(const struct data_op *op)
{
	static const size_t pieces[] = { 64, 4 << 10, 64 << 10, 1 << 20 };
	const struct data_subject plain = { op, &kscope_plain };
	const struct data_subject worker = { op, &kscope_worker };
	const struct subject subjects[] = {
		DATA_SUBJECT("kscope", children, &plain),
		DATA_SUBJECT("kscope-worker", children, &worker),
		DATA_SUBJECT("one-thread", loop, &plain),
		DATA_SUBJECT("pthread-pool", tasks, &plain),
		{ .name = NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		data_init(pieces[i]);
		compare(op->name, pieces[i], pieces_of_round(op, pieces[i]),
			subjects);
	}
}

void bench_copy(void)
{
	bench_op(&data_copy);
}

void bench_copy8(void)
{
	bench_op(&data_copy8);
}

void bench_crc32c(void)
{
	bench_op(&data_crc32c);
}

void bench_sha256(void)
{
	bench_op(&data_sha256);
}

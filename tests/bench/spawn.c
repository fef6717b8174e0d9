// SPDX-License-Identifier: GPL-2.0
/* What a child that does nothing costs, from descriptor to reaped completion. */
#include "bench.h"
#include "nop.h"

static const struct subject subjects[] = {
	KSCOPE_NOP("kscope", &kscope_plain),
	KSCOPE_NOP("kscope-worker", &kscope_worker),
	KSCOPE_NOP("kscope-inline", &kscope_inline),
	URING_NOP("io_uring", &uring_inline),
	URING_NOP("io_uring-async", &uring_async),
	URING_NOP("io_uring-async-defer", &uring_async_defer),
	POOL_NOP("pthread-pool"),
	THREADS_NOP("thread-per-task"),
	NAIVE_NOP("queue_work"),
	{ .name = NULL },
};

void bench_spawn(void)
{
	static const unsigned int batches[] = { 1, 8, 32, 256, 4096 };

	for (size_t i = 0; i < ARRAY_SIZE(batches); i++)
		if (!settings.batch || settings.batch == batches[i])
			compare("spawn", batches[i], batches[i], subjects);
}

void bench_latency(void)
{
	compare("latency", 1, 1, subjects);
}

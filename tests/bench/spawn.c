// SPDX-License-Identifier: GPL-2.0
/* What a child that does nothing costs, from descriptor to reaped completion. */
#include "bench.h"

static const struct runner *const families[] = { kscope_runners, uring_runners,
						 thread_runners };

#define MAX_RUNNERS 16

static void compare_runners(const char *bench, unsigned int batch)
{
	struct cell cells[MAX_RUNNERS];
	const struct runner *runners[MAX_RUNNERS];
	size_t nr = 0;

	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		for (const struct runner *runner = families[f]; runner->name;
		     runner++) {
			void *ctx;

			if (!subject_wanted(runner->name))
				continue;
			ctx = runner->open(batch);
			if (!ctx) {
				not_offered(
					bench, runner->name,
					"this kernel or module has no such thing");
				continue;
			}
			CHECK(nr < MAX_RUNNERS);
			runners[nr] = runner;
			cells[nr++] = (struct cell){
				.bench = bench,
				.subject = runner->name,
				.batch = batch,
				.ops = batch,
				.round = runner->round,
				.ctx = ctx,
			};
		}
	}
	measure(cells, nr);
	while (nr--)
		runners[nr]->close(cells[nr].ctx);
}

void bench_spawn(void)
{
	static const unsigned int batches[] = { 1, 8, 32, 256, 4096 };

	for (size_t i = 0; i < ARRAY_SIZE(batches); i++)
		compare_runners("spawn", batches[i]);
}

void bench_latency(void)
{
	compare_runners("latency", 1);
}

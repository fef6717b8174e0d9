// SPDX-License-Identifier: GPL-2.0
/*
 * How long do a million instructions take? Where the clock counts instructions, a
 * million nanoseconds, and as many at the next look: then the other figures are
 * instructions too.
 */
#include "bench.h"

#define LOOPS 5000000UL

static void *open_loop(const struct cell *cell)
{
	return (void *)cell;
}

static void round_loop(void *ctx)
{
	unsigned long left = LOOPS;

	(void)ctx;
	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(left));
}

static void close_loop(void *ctx)
{
	(void)ctx;
}

void bench_clock(void)
{
	static const struct subject loop[] = {
		{ .name = "loop",
		  .open = open_loop,
		  .round = round_loop,
		  .close = close_loop },
		{ .name = NULL },
	};

	/* two instructions each time */
	compare("clock", 1000, 2 * LOOPS / 1000, loop);
}

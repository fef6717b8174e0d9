/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KSCOPE_BENCH_CANCEL_URING_H
#define KSCOPE_BENCH_CANCEL_URING_H

#include "bench.h"

void *uring_cancel_open(const struct cell *cell);
void uring_cancel_prepare(void *ctx);
void uring_cancel_each(void *ctx);
void uring_cancel_any(void *ctx);
void uring_cancel_close(void *ctx);

#define URING_CANCEL(subject, round_of_it)                             \
	{                                                              \
		.name = subject, .open = uring_cancel_open,            \
		.prepare = uring_cancel_prepare, .round = round_of_it, \
		.close = uring_cancel_close                            \
	}

#endif

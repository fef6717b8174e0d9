/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KSCOPE_BENCH_CANCEL_URING_H
#define KSCOPE_BENCH_CANCEL_URING_H

#include "bench.h"

void *uring_cancel_open(const struct cell *cell);
void uring_cancel_prepare(void *ctx);
void uring_cancel_each(void *ctx);
void uring_cancel_any(void *ctx);
void uring_cancel_close(void *ctx);

#define URING_CANCEL(name, round)                                     \
	{                                                             \
		name, uring_cancel_open, uring_cancel_prepare, round, \
			uring_cancel_close, round                     \
	}

#endif

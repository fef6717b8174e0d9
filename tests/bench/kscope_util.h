/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KSCOPE_BENCH_KSCOPE_UTIL_H
#define KSCOPE_BENCH_KSCOPE_UTIL_H

#include <kscope.h>

#include "bench.h"

/* Returns false if this module does not offer such a scope. */
bool open_scope(struct kscope_scope *scope,
		const struct kscope_scope_params *params);

/*
 * Spawns @nr children in one call, and returns when all have completed; there
 * were no unread completions before.
 */
static inline void spawn_all_and_wait(struct kscope_scope *scope,
				      const struct kscope_desc *descs,
				      unsigned int nr)
{
	CHECK(kscope_spawn_wait(scope, descs, nr, NULL, nr, 0) == (int)nr);
	/* a wait can end early, as by a signal */
	while (kscope_ready(scope) < nr)
		CHECK(kscope_wait(scope, nr, 0) != -ETIMEDOUT);
}

#endif

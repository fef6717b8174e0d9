// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The reader's side of the completion ring. This is where the functions that are inline in
 * kscope.h are put into the library.
 */
#define KSCOPE_EXTERN extern
#include "internal.h"

int kscope_next(struct kscope_scope *scope,
		struct kscope_completion *completion)
{
	const struct kscope_completion *record = kscope_peek(scope, 0);

	if (!record)
		return 0;
	*completion = *record;
	kscope_seen(scope, 1);
	return 1;
}

int kscope_wait(const struct kscope_scope *scope, unsigned int nr,
		__u64 deadline_ns)
{
	int ret;

	if (kscope_ready(scope) < nr) {
		ret = kscope_spawn_wait(scope, NULL, 0, NULL, nr, deadline_ns);
		if (ret < 0)
			return ret;
	}
	return (int)kscope_ready(scope);
}

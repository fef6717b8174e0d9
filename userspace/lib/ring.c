// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The reader's side of the completion ring.
 *
 * The kernel writes a record and then releases tail; loading tail with acquire
 * semantics makes the records before it readable. The program reads records and then
 * releases head; the kernel acquires head before it reuses their places. Only the reader
 * writes head, so it may load it plainly.
 */
#include "internal.h"

static unsigned int ring_head(const struct kscope_scope *scope)
{
	return __atomic_load_n(&scope->head_->head, __ATOMIC_RELAXED);
}

unsigned int kscope_ready(const struct kscope_scope *scope)
{
	/* Pairs with the kernel's release of tail after it wrote the records. */
	unsigned int tail =
		__atomic_load_n(&scope->ring_->tail, __ATOMIC_ACQUIRE);

	return tail - ring_head(scope);
}

const struct kscope_completion *kscope_peek(const struct kscope_scope *scope,
					    unsigned int index)
{
	if (index >= kscope_ready(scope))
		return NULL;
	index += ring_head(scope);
	return &scope->ring_->records[index & (scope->entries - 1)];
}

void kscope_seen(struct kscope_scope *scope, unsigned int nr)
{
	/* Pairs with the kernel's acquire of head before it reuses the places. */
	__atomic_store_n(&scope->head_->head, ring_head(scope) + nr,
			 __ATOMIC_RELEASE);
}

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

// SPDX-License-Identifier: GPL-2.0
/*
 * The eventfd of a scope: event loops that cannot wait for the scope's fd itself are told of
 * completions by a file of their own. The scope holds the counter, not the file, so it cannot
 * keep itself alive through it.
 */
#include <linux/eventfd.h>

#include "compat.h"
#include "internal.h"

/**
 * kscope_event_set() - tell another eventfd of completions from now on
 * @scope: whose
 * @event: a reference, which becomes the scope's; NULL for none
 *
 * Unread completions that are there already are told at once.
 *
 * Context: process context.
 */
void kscope_event_set(struct kscope_scope *scope, struct eventfd_ctx *event)
{
	struct eventfd_ctx *old;

	spin_lock(&scope->lock);
	old = scope->event;
	scope->event = event;
	scope->at_end &= ~KSCOPE_END_SIGNALS;
	if (event)
		scope->at_end |= KSCOPE_END_SIGNALS;
	if (event && kscope_ring_unread(scope->ring))
		kscope_event_signal(scope);
	spin_unlock(&scope->lock);
	if (old)
		eventfd_ctx_put(old);
}

/**
 * kscope_event_signal() - count one up
 * @scope: with an eventfd and unread completions
 *
 * Context: under the hold of the scope's lock in which they were posted. Later a program could
 * have read them, and would find an eventfd that is readable without a reason.
 */
void kscope_event_signal(struct kscope_scope *scope)
{
	lockdep_assert_held(&scope->lock);
	kscope_eventfd_signal(scope->event);
}

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
	kscope_scope_set_urgent(scope, KSCOPE_URGENT_EVENT, event);
	spin_unlock(&scope->lock);
	if (old)
		eventfd_ctx_put(old);
	if (event)
		kscope_event_signal(scope);
}

/**
 * kscope_event_signal() - count one up, if completions are unread
 * @scope: whose
 *
 * Context: any but interrupts, without the scope's lock.
 */
void kscope_event_signal(struct kscope_scope *scope)
{
	spin_lock(&scope->lock);
	if (scope->event && kscope_ring_unread(scope->ring))
		kscope_eventfd_signal(scope->event);
	spin_unlock(&scope->lock);
}

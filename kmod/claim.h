/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Running and ending children: what claim.c says, inline for those who do it for a single child.
 */
#ifndef KSCOPE_CLAIM_H
#define KSCOPE_CLAIM_H

#include <linux/list.h>

#include "internal.h"

void kscope_child_run(struct kscope_child *child);
void kscope_child_end(struct kscope_scope *scope, struct kscope_child *child,
		      struct kscope_completion *record);
void kscope_scope_at_end(struct kscope_scope *scope, u32 tail);

static __always_inline void claim_run(struct kscope_claim *claim)
{
	struct list_head *node = claim->children.next;
	struct kscope_child *child;

	do {
		child = list_entry(node, struct kscope_child, node);
		kscope_hook(KSCOPE_POINT_CLAIMED, child->desc.user_data);
		if (child->op->plain)
			child->status = child->op->run(child);
		else
			kscope_child_run(child);
		kscope_hook(KSCOPE_POINT_RETURNED, child->desc.user_data);
		node = child->node.next;
	} while (node != &claim->children);
	kscope_hook_name(&claim->user_data, child->desc.user_data);
}

static void record_fill(struct kscope_completion *record,
			const struct kscope_child *child,
			const struct kscope_end *end)
{
	record->user_data = child->desc.user_data;
	record->child = child->handle;
	record->status = end->status;
	record->outcome = end->outcome;
	record->cause = end->cause;
	record->flags = 0;
}

/* The same for most plain children. Return: was it one */
static bool child_finish(struct kscope_child *child,
			 struct kscope_completion *record)
{
	static const struct kscope_end end = { .outcome = KSCOPE_FINISHED };

	if (!child->op->plain ||
	    !kscope_life_finish(&child->life, child->status))
		return false;
	record_fill(record, child, &end);
	record->done = 0;
	record->value = 0;
	return true;
}

/*
 * kscope_children_end(), but for what becomes of the head of the list. @end is kscope_child_end(),
 * or what is inline.
 */
static __always_inline void
children_end(struct kscope_scope *scope, struct list_head *children,
	     void (*const end)(struct kscope_scope *scope,
			       struct kscope_child *child,
			       struct kscope_completion *record))
{
	struct kscope_completion *records = scope->ring->ring->records, *record;
	u32 mask = scope->ring->entries - 1;
	u32 tail = scope->ring->tail;
	struct list_head *node = children->next;
	struct kscope_child *child;
	u32 nr_finished = 0;

	lockdep_assert_held(&scope->lock);
	do {
		child = list_entry(node, struct kscope_child, node);
		node = node->next;
		record = &records[tail++ & mask];
		if (child_finish(child, record))
			nr_finished++;
		else
			end(scope, child, record);
	} while (node != children);
	kscope_tally_finish(&scope->tally, nr_finished);
	__list_splice(children, &scope->free, scope->free.next);
	if (unlikely(scope->at_end))
		kscope_scope_at_end(scope, tail);
	else
		kscope_ring_publish(scope->ring, tail);
}

#endif /* KSCOPE_CLAIM_H */

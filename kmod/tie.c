// SPDX-License-Identifier: GPL-2.0
/*
 * Ties between children: who comes after whom.
 *
 * A child that is to come after another is parked, on that one's list of dependents. When that
 * ends, all of its list moves in one step: to those that are freed if it has finished, else to
 * those that are lost. A tie leads to an earlier child only, so there is no circle, and every
 * parked child waits for one that runs, or that waits for somebody outside.
 *
 * Freed children are unparked, a few under the hold of the lock in which their predecessor has
 * ended. Lost ones are ended as if they were cancelled, which loses those that come after them in
 * turn; so neither is done there: whoever has ended children looks, after it has dropped the lock,
 * whether anything is left (KSCOPE_CHORE_TIES), and goes on in bursts until nothing is. A chain of
 * any length is walked without recursion, and a list of any length without holding the lock.
 *
 * A child whose own deadline has passed when it is spawned is lost from the start. One that is
 * reserved, so that nobody may see it end, only takes a note of it (KSCOPE_WAITS_END), and joins
 * the lost when it is published.
 *
 * What became of a child is in its slot until that is used again: its status there is 0 if it has
 * finished, and KSCOPE_STATUS_NEVER if it never was.
 *
 * The table of ties belongs to the slots, comes with the first child that needs it, and stays. As
 * long as none is in force, the end of a child costs nothing more (KSCOPE_END_TIES).
 */
#include <linux/mm.h>
#include <linux/sched.h>

#include "batch.h"
#include "claim.h"

#define TIES_BURST 64U

/**
 * kscope_child_tie() - the tie of a child
 * @child: of a scope that has such
 *
 * Return: it.
 */
struct kscope_tie *kscope_child_tie(const struct kscope_child *child)
{
	return &child->scope->ties->slots[child - child->scope->slots];
}

/**
 * kscope_tie_child() - whose tie is it
 * @ties: of the scope
 * @tie: one of these
 *
 * Return: the child.
 */
struct kscope_child *kscope_tie_child(const struct kscope_ties *ties,
				      const struct kscope_tie *tie)
{
	return &ties->scope->slots[tie - ties->slots];
}

static struct kscope_ties *ties_alloc(struct kscope_scope *scope)
{
	struct kscope_ties *ties;
	u32 i;

	ties = kvzalloc(struct_size(ties, slots, scope->tally.entries),
			KSCOPE_GFP);
	if (!ties)
		return NULL;
	ties->scope = scope;
	INIT_LIST_HEAD(&ties->freed);
	INIT_LIST_HEAD(&ties->lost);
	for (i = 0; i < scope->tally.entries; i++) {
		INIT_LIST_HEAD(&ties->slots[i].dependents);
		INIT_LIST_HEAD(&ties->slots[i].sibling);
		timerqueue_init(&ties->slots[i].deadline);
		if (!(i % 4096))
			cond_resched();
	}
	kscope_expiry_init(ties);
	return ties;
}

/**
 * kscope_ties_provide() - let the children of a scope have ties
 * @scope: in which one is going to be spawned
 *
 * Context: process context; may sleep.
 * Return: 0 or -ENOMEM.
 */
int kscope_ties_provide(struct kscope_scope *scope)
{
	struct kscope_ties *ties;

	if (READ_ONCE(scope->ties))
		return 0;
	ties = ties_alloc(scope);
	if (!ties)
		return -ENOMEM;
	if (cmpxchg(&scope->ties, NULL, ties)) /* somebody else did so */
		kvfree(ties);
	return 0;
}

/**
 * kscope_ties_stop() - end what they do by themselves
 * @scope: without children, about to be freed
 *
 * Context: process context; may sleep.
 */
void kscope_ties_stop(struct kscope_scope *scope)
{
	if (scope->ties)
		kscope_expiry_stop(scope->ties);
}

/**
 * kscope_ties_count() - note that there are more ties in force, or fewer
 * @ties: of a scope
 * @by: how many more
 *
 * Context: under the scope's lock.
 */
void kscope_ties_count(struct kscope_ties *ties, int by)
{
	lockdep_assert_held(&ties->scope->lock);
	ties->nr += by;
	if (ties->nr)
		ties->scope->at_end |= KSCOPE_END_TIES;
	else
		ties->scope->at_end &= ~KSCOPE_END_TIES;
}

static void tie_link(struct kscope_ties *ties, struct kscope_tie *tie,
		     struct list_head *list)
{
	list_add_tail(&tie->sibling, list);
	kscope_ties_count(ties, 1);
}

static void tie_unlink(struct kscope_ties *ties, struct kscope_tie *tie)
{
	if (list_empty(&tie->sibling))
		return;
	list_del_init(&tie->sibling);
	kscope_ties_count(ties, -1);
}

/* The child that a descriptor names, be it one that has ended; or NULL */
static struct kscope_child *find_named(struct kscope_scope *scope, u64 handle)
{
	u32 slot = handle & (KSCOPE_MAX_CAPACITY - 1);
	struct kscope_child *child;

	if (slot >= scope->nr_touched)
		return NULL;
	child = &scope->slots[array_index_nospec(slot, scope->nr_touched)];
	if (child->handle != handle ||
	    child->life.phase == KSCOPE_PHASE_RESERVED)
		return NULL;
	if (child->life.phase == KSCOPE_PHASE_FREE &&
	    child->status == KSCOPE_STATUS_NEVER)
		return NULL;
	return child;
}

static struct kscope_child *find_first(struct kscope_scope *scope,
				       const struct kscope_draft *draft,
				       const struct kscope_desc *desc)
{
	if (desc->after < KSCOPE_MAX_CAPACITY)
		return (draft - desc->after)->child;
	return find_named(scope, desc->after);
}

/**
 * kscope_tie_check() - could a child have the ties that it asks for
 * @child: in a slot that is free
 * @draft: of it; those of earlier descriptors of the call have children
 * @desc: its descriptor
 *
 * Context: under the scope's lock.
 * Return: 0, -ENOENT if there is no such child to come after, or -EAGAIN if there are too many
 * that come after all others.
 */
int kscope_tie_check(struct kscope_child *child,
		     const struct kscope_draft *draft,
		     const struct kscope_desc *desc)
{
	struct kscope_scope *scope = child->scope;

	lockdep_assert_held(&scope->lock);
	if (desc->after && !find_first(scope, draft, desc))
		return -ENOENT;
	if (desc->flags & KSCOPE_CHILD_DRAIN &&
	    kscope_epochs_full(&scope->ties->epochs))
		return -EAGAIN;
	return 0;
}

/**
 * kscope_tie_lose() - a child is never going to start
 * @child: reserved, or about to be
 * @cause: KSCOPE_CAUSE_*
 *
 * Context: under the scope's lock. It ends when it has been published.
 */
void kscope_tie_lose(struct kscope_child *child, u8 cause)
{
	child->waits |= KSCOPE_WAITS_END;
	kscope_child_tie(child)->cause = cause;
}

static void tie_bind_after(struct kscope_child *child,
			   struct kscope_child *first)
{
	struct kscope_ties *ties = child->scope->ties;

	if (first->life.phase != KSCOPE_PHASE_FREE) {
		tie_link(ties, kscope_child_tie(child),
			 &kscope_child_tie(first)->dependents);
		child->waits |= KSCOPE_WAITS_AFTER;
	} else if (first->status) {
		kscope_tie_lose(child, KSCOPE_CAUSE_AFTER);
	}
}

/**
 * kscope_tie_bind() - give a child its ties
 * @child: with its leases, or a place in the line; kscope_tie_check() has said 0
 * @draft: as there
 * @desc: as there
 * @now: CLOCK_MONOTONIC
 *
 * Context: under the scope's lock.
 */
void kscope_tie_bind(struct kscope_child *child,
		     const struct kscope_draft *draft,
		     const struct kscope_desc *desc, u64 now)
{
	lockdep_assert_held(&child->scope->lock);
	if (desc->after)
		tie_bind_after(child, find_first(child->scope, draft, desc));
	if (desc->flags & KSCOPE_CHILD_DRAIN)
		kscope_epoch_begin(child);
	if (!desc->deadline_ns)
		return;
	if (desc->deadline_ns <= now)
		kscope_tie_lose(child, KSCOPE_CAUSE_DEADLINE);
	else
		kscope_expiry_add(child, desc->deadline_ns);
}

/**
 * kscope_tie_park() - a child is accepted, and waits; perhaps only for its end
 * @child: parked
 *
 * Context: under the scope's lock; kscope_scope_notify() comes after it is dropped.
 */
void kscope_tie_park(struct kscope_child *child)
{
	struct kscope_scope *scope = child->scope;
	struct kscope_tie *tie;

	if (!(child->waits & KSCOPE_WAITS_END))
		return;
	tie = kscope_child_tie(child);
	tie_unlink(scope->ties, tie);
	tie_link(scope->ties, tie, &scope->ties->lost);
	scope->chores |= KSCOPE_CHORE_TIES;
}

/**
 * kscope_tie_end() - a child has ended, or never was
 * @child: of a scope that has ties
 * @finished: has it done what it was asked
 *
 * Context: under the scope's lock.
 */
void kscope_tie_end(struct kscope_child *child, bool finished)
{
	struct kscope_tie *tie = kscope_child_tie(child);
	struct kscope_ties *ties = child->scope->ties;

	tie_unlink(ties, tie);
	list_splice_tail_init(&tie->dependents,
			      finished ? &ties->freed : &ties->lost);
	kscope_expiry_del(child);
	kscope_epoch_leave(child);
}

/* Take the first off a list. Return: it, or NULL */
static struct kscope_child *ties_pop(struct kscope_ties *ties,
				     struct list_head *list)
{
	struct kscope_tie *tie =
		list_first_entry_or_null(list, struct kscope_tie, sibling);

	if (!tie)
		return NULL;
	tie_unlink(ties, tie);
	return kscope_tie_child(ties, tie);
}

static void free_burst(struct kscope_ties *ties)
{
	u32 left = kscope_limit(TIES_BURST);
	struct kscope_child *child;

	while (left-- && (child = ties_pop(ties, &ties->freed)))
		kscope_child_ready(child, KSCOPE_WAITS_AFTER);
}

/* Return: is it one to be ended now */
static bool lost_may_end(struct kscope_child *child, struct kscope_tie *tie)
{
	if (!(child->waits & KSCOPE_WAITS_END))
		kscope_tie_lose(child, KSCOPE_CAUSE_AFTER);
	return kscope_life_cancel(&child->life, tie->cause) ==
	       KSCOPE_VERDICT_ENDS;
}

static void lose_burst(struct kscope_ties *ties)
{
	u32 left = kscope_limit(TIES_BURST);
	struct kscope_child *child;
	LIST_HEAD(burst);

	while (left-- && (child = ties_pop(ties, &ties->lost)))
		if (lost_may_end(child, kscope_child_tie(child)))
			list_move_tail(&child->node, &burst);
	if (!list_empty(&burst))
		kscope_children_end(ties->scope, &burst);
}

static bool ties_have_chores(const struct kscope_ties *ties)
{
	return !list_empty(&ties->freed) || !list_empty(&ties->lost);
}

/**
 * kscope_ties_at_end() - let those go on that come after children that have just ended
 * @scope: whose, with ties in force
 * @from: position in the ring of the first record of these children
 * @to: after the last
 *
 * Context: under the scope's lock; kscope_scope_notify() comes after it is dropped.
 */
void kscope_ties_at_end(struct kscope_scope *scope, u32 from, u32 to)
{
	const struct kscope_completion *record;
	u32 mask = scope->ring->entries - 1;
	bool finished;
	u32 slot;

	for (; from != to; from++) {
		record = &scope->ring->ring->records[from & mask];
		slot = record->child & (KSCOPE_MAX_CAPACITY - 1);
		finished = record->outcome == KSCOPE_FINISHED ||
			   record->outcome == KSCOPE_FINISHED_ANYWAY;
		kscope_tie_end(&scope->slots[slot], finished);
	}
	free_burst(scope->ties);
	if (ties_have_chores(scope->ties))
		scope->chores |= KSCOPE_CHORE_TIES;
}

/**
 * kscope_ties_settle() - do what the ends of children have left to do
 * @scope: whose
 *
 * Context: process context, under the scope's lock, which is let go now and then.
 */
void kscope_ties_settle(struct kscope_scope *scope)
{
	struct kscope_ties *ties = scope->ties;

	lockdep_assert_held(&scope->lock);
	while (ties_have_chores(ties)) {
		free_burst(ties);
		lose_burst(ties);
		if (ties_have_chores(ties))
			kscope_scope_give_way(scope);
	}
}

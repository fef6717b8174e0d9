// SPDX-License-Identifier: GPL-2.0
/*
 * Fences: the end of an address space waits for the children that work on its memory.
 *
 * That end is told to one guard after the other, by the task whose end it is, which nothing kills
 * any more. Each scope bounds its wait by its time of grace; but a program may have any number
 * of scopes. So all these times begin when the first guard was told, and together they are not
 * longer than the longest of them, but for a moment that each scope is given after it was told,
 * which may be when the time is over. When that was is in an object that the guards of an address
 * space share. It goes with the last one, which is before the mm can be another one.
 */
#include <linux/hashtable.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "internal.h"

#define FENCE_LEAST msecs_to_jiffies(10)

/**
 * struct kscope_space - an address space with guards of scopes that have a fence
 * @node: in the table
 * @mm: whose; not a reference, each guard has one
 * @guards: how many, under the lock
 * @ends_ns: since when it ends, CLOCK_MONOTONIC; 0 before. Of the task that ends it
 */
struct kscope_space {
	struct hlist_node node;
	struct mm_struct *mm;
	u32 guards;
	u64 ends_ns;
};

static DEFINE_HASHTABLE(spaces, 7);
static DEFINE_SPINLOCK(spaces_lock);

static struct kscope_space *space_find(const struct mm_struct *mm)
{
	struct kscope_space *space;

	lockdep_assert_held(&spaces_lock);
	hash_for_each_possible(spaces, space, node, (unsigned long)mm)
		if (space->mm == mm)
			return space;
	return NULL;
}

/**
 * kscope_space_get() - count one more guard of an address space
 * @mm: that one, which stays at least until kscope_space_put()
 *
 * Context: process context; may sleep.
 * Return: what they share, or NULL if there is no memory.
 */
struct kscope_space *kscope_space_get(struct mm_struct *mm)
{
	struct kscope_space *made = kzalloc(sizeof(*made), KSCOPE_GFP), *space;

	if (!made)
		return NULL;
	made->mm = mm;
	spin_lock(&spaces_lock);
	space = space_find(mm);
	if (!space) {
		hash_add(spaces, &made->node, (unsigned long)mm);
		swap(space, made);
	}
	space->guards++;
	spin_unlock(&spaces_lock);
	kfree(made);
	return space;
}

/**
 * kscope_space_put() - undo kscope_space_get()
 * @space: not to be touched afterwards
 *
 * Context: any but interrupts.
 */
void kscope_space_put(struct kscope_space *space)
{
	bool last;

	spin_lock(&spaces_lock);
	last = !--space->guards;
	if (last)
		hash_del(&space->node);
	spin_unlock(&spaces_lock);
	if (last)
		kfree(space);
}

/* Return: jiffies that are left of the scope's time, or enough for those that heed a cancel */
static unsigned long fence_left(const struct kscope_scope *scope,
				struct kscope_space *space)
{
	u64 now = ktime_get_ns();
	s64 left;

	if (!space->ends_ns)
		space->ends_ns = now;
	left = space->ends_ns + scope->grace_ns - now;
	return left > 0 ? nsecs_to_jiffies(left) + 1 : FENCE_LEAST;
}

/* It does not keep the system from being suspended. */
static void fence_wait(struct kscope_scope *scope, long timeout)
{
	___wait_event(scope->wait,
		      ___wait_cond_timeout(kscope_scope_is_drained(scope)),
		      (TASK_IDLE | TASK_FREEZABLE), 0, timeout,
		      __ret = schedule_timeout(__ret));
}

/**
 * kscope_scope_fence() - memory that the scope has pinned loses its owner: end its children
 * @scope: with KSCOPE_SCOPE_FENCE, that lives until the caller returns
 * @space: that ends
 * @wait: until nothing is outstanding there and below, but not for longer than the scope's time of
 *	grace, from when the first scope of @space was told
 *
 * Context: process context; sleeps. Not from a child of the same scope.
 */
void kscope_scope_fence(struct kscope_scope *scope, struct kscope_space *space,
			bool wait)
{
	struct kscope_cancel_counts counts = {};
	struct kscope_scope *below = scope;

	kscope_scope_cancel(scope, KSCOPE_CAUSE_CLOSE, &counts);
	if (!wait)
		return;
	fence_wait(scope, fence_left(scope, space));
	while ((below = kscope_nest_next(scope, below)))
		fence_wait(below, fence_left(scope, space));
}

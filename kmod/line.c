// SPDX-License-Identifier: GPL-2.0
/*
 * The line of those who wait for leases, callers and children alike, first come first served.
 *
 * Nobody gets a lease that clashes with what one in the line has asked for before. So a writer
 * waits for the readers that were there, and not for those that come. Whoever waits asks for all of
 * its ranges at once, and has none of them meanwhile, so that two who wait cannot wait for each
 * other. Whenever leases end, the line is looked at from its front, and those whose turn it is get
 * theirs under the same hold of the scope's lock: who is woken, or queued, has it.
 *
 * The line is short, as all of it is looked at under the lock.
 */
#include "internal.h"

#define MAX_WAITING 64U

static bool wanted_clashes(const struct kscope_waiting *waiting,
			   const struct kscope_range *range)
{
	if (waiting->child)
		return kscope_child_clashes(waiting->child, range);
	return kscope_loan_clashes(waiting, range);
}

/* Does somebody in the line before @end wait for what clashes with a range? */
static bool line_clashes(const struct kscope_scope *scope,
			 const struct kscope_waiting *end,
			 const struct kscope_range *range)
{
	const struct kscope_waiting *waiting;

	list_for_each_entry(waiting, &scope->waiting, node) {
		if (waiting == end)
			break;
		if (wanted_clashes(waiting, range))
			return true;
	}
	return false;
}

/**
 * kscope_range_is_free() - could somebody have a lease on a range now
 * @scope: of the buffer
 * @range: that he wants
 * @waiting: his place in the line; NULL if he has none, and so comes after all who do
 * @children: can children be in his way
 *
 * Context: under the scope's lock.
 * Return: true if nobody is in the way.
 */
bool kscope_range_is_free(const struct kscope_scope *scope,
			  const struct kscope_range *range,
			  const struct kscope_waiting *waiting, bool children)
{
	struct kscope_buf *buf = range->buf;

	lockdep_assert_held(&scope->lock);
	if (!range->len)
		return true;
	if (children && kscope_leases_clash(&buf->borrowed, range))
		return false;
	if (kscope_leases_clash(&buf->lent, range))
		return false;
	return list_empty(&scope->waiting) ||
	       !line_clashes(scope, waiting, range);
}

/**
 * kscope_line_enter() - wait at the end of the line
 * @scope: whose
 * @waiting: the place of the one who waits
 * @child: who that is; NULL for a caller
 *
 * Context: under the scope's lock.
 * Return: 0, or -EAGAIN if the line is full.
 */
int kscope_line_enter(struct kscope_scope *scope,
		      struct kscope_waiting *waiting,
		      struct kscope_child *child)
{
	lockdep_assert_held(&scope->lock);
	if (scope->nr_waiting == MAX_WAITING)
		return -EAGAIN;
	scope->nr_waiting++;
	scope->at_end |= KSCOPE_END_GRANTS;
	waiting->child = child;
	list_add_tail(&waiting->node, &scope->waiting);
	return 0;
}

/**
 * kscope_line_leave() - undo kscope_line_enter()
 * @scope: whose
 * @waiting: in the line. Who leaves it without a lease calls kscope_line_grant() next
 *
 * Context: under the scope's lock.
 */
void kscope_line_leave(struct kscope_scope *scope,
		       struct kscope_waiting *waiting)
{
	lockdep_assert_held(&scope->lock);
	list_del(&waiting->node);
	if (!--scope->nr_waiting)
		scope->at_end &= ~KSCOPE_END_GRANTS;
}

/**
 * kscope_line_grant() - leases have ended: give those who wait theirs
 * @scope: whose
 *
 * Context: under the scope's lock.
 */
void kscope_line_grant(struct kscope_scope *scope)
{
	struct kscope_waiting *waiting, *next;

	lockdep_assert_held(&scope->lock);
	list_for_each_entry_safe(waiting, next, &scope->waiting, node) {
		if (waiting->child)
			kscope_child_try(waiting->child);
		else
			kscope_loan_try(scope, waiting);
	}
}

/**
 * kscope_line_blockers() - name children in the line whose turn comes before that of a lease
 * @scope: whose
 * @range: that somebody wants
 * @blockers: to fill in, from @nr on
 * @nr: how many are there, which are not named again
 * @max: room there
 *
 * Context: under the scope's lock.
 * Return: how many are there then.
 */
u32 kscope_line_blockers(const struct kscope_scope *scope,
			 const struct kscope_range *range,
			 struct kscope_blocker *blockers, u32 nr, u32 max)
{
	const struct kscope_waiting *waiting;

	lockdep_assert_held(&scope->lock);
	list_for_each_entry(waiting, &scope->waiting, node)
		if (waiting->child &&
		    kscope_child_clashes(waiting->child, range))
			nr = kscope_child_name(waiting->child, blockers, nr,
					       max);
	return nr;
}

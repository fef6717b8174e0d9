// SPDX-License-Identifier: GPL-2.0
/*
 * Leases on ranges: who may read and write what, at the same time.
 *
 * An exclusive lease excludes all others on the same bytes, a shared one only exclusive ones. A
 * child that writes a range has an exclusive lease on it, one that reads it a shared one, from the
 * moment it has its slot to its end. Leases on nothing exclude nobody.
 *
 * Each buffer has two sets, of what is read and of what is written. A reader need only look at the
 * second one, however many read the same. To read all of a buffer is so common that it is only
 * counted.
 *
 * A set is a tree, ordered by ranges, so each look takes logarithmic time; and a row. Most programs
 * go through a buffer from its start to its end, and come back when all of these children have
 * ended. So a lease that begins behind all of the row is only added to it, and one that has not
 * been looked for costs no tree. Whoever wants bytes between the row's ends moves it into the tree
 * first, each lease at most once; the row is short, as that is done under the lock.
 *
 * In an ordered scope the children take turns, and so are in nobody's way but that of others.
 *
 * Places in the trees and in the line (line.c) belong to the slots of children. They come with the
 * first buffer, as a scope without one has no use for them, and stay.
 */
#include <linux/interval_tree_generic.h>
#include <linux/mm.h>

#include "internal.h"

#define BLOCKERS_SCAN 1024U
#define MAX_ROW 512U

#define LEASE_START(lease) ((lease)->start)
#define LEASE_LAST(lease) ((lease)->last)

INTERVAL_TREE_DEFINE(struct kscope_lease, rb, u64, subtree_last, LEASE_START,
		     LEASE_LAST, static, lease_tree);

static bool range_is_whole(const struct kscope_range *range)
{
	return !range->exclusive && range->len == range->buf->len;
}

static u64 range_last(const struct kscope_range *range)
{
	return range->off + range->len - 1;
}

static void row_settle(struct kscope_lease_set *set)
{
	struct kscope_lease *lease;
	struct hlist_node *next;

	hlist_for_each_entry_safe(lease, next, &set->row, row)
		lease_tree_insert(lease, &set->tree);
	INIT_HLIST_HEAD(&set->row);
	set->nr_row = 0;
}

/* Return: is there now a lease on some of these bytes in the tree, if there is any */
static __always_inline bool set_may_have(struct kscope_lease_set *set,
					 u64 start, u64 last)
{
	if (set->nr_row && start <= set->row_last && last >= set->row_start)
		row_settle(set);
	return !RB_EMPTY_ROOT(&set->tree.rb_root);
}

static struct kscope_lease *set_first(struct kscope_lease_set *set, u64 start,
				      u64 last)
{
	if (!set_may_have(set, start, last))
		return NULL;
	return lease_tree_iter_first(&set->tree, start, last);
}

/**
 * kscope_leases_search() - the part of kscope_leases_clash() for when there are leases
 * @leases: on the buffer
 * @range: of at least a byte
 *
 * Context: under the scope's lock.
 * Return: true if one of them clashes with the range.
 */
bool kscope_leases_search(struct kscope_leases *leases,
			  const struct kscope_range *range)
{
	u64 start = range->off, last = range_last(range);

	if (set_first(&leases->exclusive, start, last))
		return true;
	if (!range->exclusive)
		return false;
	return leases->whole || set_first(&leases->shared, start, last);
}

/* Return: is it in the row now */
static __always_inline bool row_add(struct kscope_lease_set *set,
				    struct kscope_lease *lease)
{
	if (!set->nr_row)
		set->row_start = lease->start;
	else if (lease->start <= set->row_last ||
		 set->nr_row >= kscope_limit(MAX_ROW))
		return false;
	lease->subtree_last = KSCOPE_LEASE_IN_ROW;
	set->row_last = lease->last;
	set->nr_row++;
	hlist_add_head(&lease->row, &set->row);
	return true;
}

static struct kscope_lease_set *lease_set(struct kscope_leases *leases,
					  const struct kscope_range *range)
{
	return range->exclusive ? &leases->exclusive : &leases->shared;
}

/**
 * kscope_lease_take() - note a lease
 * @lease: its place; not in use
 * @leases: on the buffer
 * @range: with which they do not clash, or whose owners take turns
 *
 * Context: under the scope's lock.
 */
void kscope_lease_take(struct kscope_lease *lease, struct kscope_leases *leases,
		       const struct kscope_range *range)
{
	struct kscope_lease_set *set = lease_set(leases, range);

	if (!range->len)
		return;
	leases->nr++;
	if (range_is_whole(range)) {
		leases->whole++;
		return;
	}
	lease->start = range->off;
	lease->last = range_last(range);
	if (!row_add(set, lease))
		lease_tree_insert(lease, &set->tree);
}

static __always_inline void set_drop(struct kscope_lease_set *set,
				     struct kscope_lease *lease)
{
	if (lease->subtree_last == KSCOPE_LEASE_IN_ROW) {
		__hlist_del(&lease->row);
		set->nr_row--;
	} else {
		lease_tree_remove(lease, &set->tree);
	}
}

/**
 * kscope_lease_drop() - undo kscope_lease_take()
 * @lease: as there
 * @leases: as there
 * @range: as there
 *
 * Context: under the scope's lock.
 */
void kscope_lease_drop(struct kscope_lease *lease, struct kscope_leases *leases,
		       const struct kscope_range *range)
{
	if (!range->len)
		return;
	leases->nr--;
	if (range_is_whole(range))
		leases->whole--;
	else
		set_drop(lease_set(leases, range), lease);
}

/**
 * kscope_buf_is_borrowed() - does a child have a lease on some of these bytes
 * @buf: that they are in
 * @start: offset of the first one
 * @last: of the last one
 *
 * Context: under the scope's lock.
 * Return: true if so.
 */
bool kscope_buf_is_borrowed(struct kscope_buf *buf, u64 start, u64 last)
{
	struct kscope_leases *leases = &buf->borrowed;

	return leases->whole || set_first(&leases->exclusive, start, last) ||
	       set_first(&leases->shared, start, last);
}

static struct kscope_child *lease_child(const struct kscope_scope *scope,
					const struct kscope_lease *lease)
{
	size_t bytes = (void *)lease - (void *)scope->places;

	return &scope->slots[bytes / sizeof(*scope->places)];
}

static u32 name_children(const struct kscope_scope *scope,
			 struct kscope_lease_set *set,
			 const struct kscope_range *range,
			 struct kscope_blocker *blockers, u32 nr, u32 max)
{
	u64 start = range->off, last = range_last(range);
	struct kscope_lease *lease = set_first(set, start, last);
	u32 scan = BLOCKERS_SCAN;

	while (lease && nr < max && scan--) {
		nr = kscope_child_name(lease_child(scope, lease), blockers, nr,
				       max);
		lease = lease_tree_iter_next(lease, start, last);
	}
	return nr;
}

static u32 name_borrowers(struct kscope_scope *scope,
			  const struct kscope_range *range,
			  struct kscope_blocker *blockers, u32 nr, u32 max)
{
	struct kscope_leases *leases = &range->buf->borrowed;

	if (range->exclusive && leases->whole)
		nr += kscope_scope_blockers(scope, range, blockers + nr,
					    max - nr);
	nr = name_children(scope, &leases->exclusive, range, blockers, nr, max);
	if (range->exclusive)
		nr = name_children(scope, &leases->shared, range, blockers, nr,
				   max);
	return nr;
}

/**
 * kscope_lease_blockers() - name those who are in the way of a lease
 * @scope: of the buffer
 * @range: with which others clash
 * @children: can these be children
 * @blockers: to fill in, from @nr on
 * @nr: how many are there; a child that is one of them is not named again
 * @max: room there
 *
 * Context: under the scope's lock.
 * Return: how many are there then.
 */
u32 kscope_lease_blockers(struct kscope_scope *scope,
			  const struct kscope_range *range, bool children,
			  struct kscope_blocker *blockers, u32 nr, u32 max)
{
	lockdep_assert_held(&scope->lock);
	if (!range->len)
		return nr;
	nr += kscope_loans_blockers(scope, range, blockers + nr, max - nr);
	nr += kscope_view_blockers(range, blockers + nr, max - nr);
	if (children)
		nr = name_borrowers(scope, range, blockers, nr, max);
	return kscope_line_blockers(scope, range, blockers, nr, max);
}

/**
 * kscope_leases_provide() - let the children of a scope have leases
 * @scope: that gets a buffer
 *
 * Context: process context; may sleep.
 * Return: 0 or -ENOMEM.
 */
int kscope_leases_provide(struct kscope_scope *scope)
{
	struct kscope_places *places;

	if (READ_ONCE(scope->places))
		return 0;
	places = kvmalloc_array(scope->tally.entries, sizeof(*places),
				KSCOPE_GFP);
	if (!places)
		return -ENOMEM;
	if (cmpxchg(&scope->places, NULL, places)) /* somebody else did so */
		kvfree(places);
	return 0;
}

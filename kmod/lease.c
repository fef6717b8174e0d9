// SPDX-License-Identifier: GPL-2.0
/*
 * Leases on ranges: who may read and write what, at the same time.
 *
 * An exclusive lease excludes all others on the same bytes, a shared one only exclusive ones. A
 * child that writes a range has an exclusive lease on it, one that reads it a shared one, from the
 * moment it has its slot to its end. Leases on nothing exclude nobody.
 *
 * Each buffer has two trees, of what is read and of what is written, ordered by ranges. A reader
 * need only look at the second one, however many read the same, so each look takes
 * logarithmic time. To read all of a buffer is so common that it is only counted.
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

/**
 * kscope_leases_clash() - does a lease on a range have to wait for others
 * @leases: on the buffer
 * @range: that somebody wants
 *
 * Context: under the scope's lock.
 * Return: true if so.
 */
bool kscope_leases_clash(struct kscope_leases *leases,
			 const struct kscope_range *range)
{
	u64 start = range->off, last = range_last(range);

	if (!range->len)
		return false;
	if (lease_tree_iter_first(&leases->exclusive, start, last))
		return true;
	if (!range->exclusive)
		return false;
	return leases->whole ||
	       lease_tree_iter_first(&leases->shared, start, last);
}

static struct rb_root_cached *lease_root(struct kscope_leases *leases,
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
	if (!range->len)
		return;
	if (range_is_whole(range)) {
		leases->whole++;
		return;
	}
	lease->start = range->off;
	lease->last = range_last(range);
	lease_tree_insert(lease, lease_root(leases, range));
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
	if (range_is_whole(range))
		leases->whole--;
	else
		lease_tree_remove(lease, lease_root(leases, range));
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

	return leases->whole ||
	       lease_tree_iter_first(&leases->exclusive, start, last) ||
	       lease_tree_iter_first(&leases->shared, start, last);
}

static struct kscope_child *lease_child(const struct kscope_scope *scope,
					const struct kscope_lease *lease)
{
	size_t bytes = (void *)lease - (void *)scope->places;

	return &scope->slots[bytes / sizeof(*scope->places)];
}

static u32 name_children(const struct kscope_scope *scope,
			 struct rb_root_cached *root,
			 const struct kscope_range *range,
			 struct kscope_blocker *blockers, u32 nr, u32 max)
{
	u64 start = range->off, last = range_last(range);
	struct kscope_lease *lease = lease_tree_iter_first(root, start, last);
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

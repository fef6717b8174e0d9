/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Leases: the rights of children, and of callers, to ranges of a buffer. See lease.c.
 */
#ifndef KSCOPE_LEASE_H
#define KSCOPE_LEASE_H

#include <linux/errno.h>
#include <linux/kscope.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/types.h>

struct kscope_blocker;
struct kscope_buf;
struct kscope_child;
struct kscope_scope;

/**
 * struct kscope_lease - the place of a range among those that are leased
 * @rb: S in the tree
 * @row: S in the row
 * @start: S first byte
 * @last: S last byte
 * @subtree_last: S largest @last below it in the tree; KSCOPE_LEASE_IN_ROW if it is there
 */
struct kscope_lease {
	union {
		struct rb_node rb;
		struct hlist_node row;
	};
	u64 start;
	u64 last;
	u64 subtree_last;
};

#define KSCOPE_LEASE_IN_ROW U64_MAX /* no lease is on that byte */

/**
 * struct kscope_lease_set - leases on one buffer that are of one kind
 * @tree: S by ranges
 * @row: S those that came one behind the other, and that nobody has had to look at yet
 * @row_start: S no byte before is leased by one in the row
 * @row_last: S and none after
 * @nr_row: S how many are in the row
 */
struct kscope_lease_set {
	struct rb_root_cached tree;
	struct hlist_head row;
	u64 row_start;
	u64 row_last;
	u32 nr_row;
};

/**
 * struct kscope_leases - leases on one buffer
 * @shared: S ranges that are read
 * @exclusive: S ranges that are written
 * @whole: S leases on all of the buffer for reading, which have no place in a set
 * @nr: S all leases, but those on nothing
 */
struct kscope_leases {
	struct kscope_lease_set shared;
	struct kscope_lease_set exclusive;
	u32 whole;
	u32 nr;
};

/**
 * struct kscope_waiting - a place in the line of those who wait; see line.c
 * @node: S in scope->waiting
 * @child: S who waits; NULL for a caller
 */
struct kscope_waiting {
	struct list_head node;
	struct kscope_child *child;
};

/**
 * struct kscope_places - what a slot has for a child with ranges
 * @leases: S of its ranges
 * @waiting: S
 */
struct kscope_places {
	struct kscope_lease leases[KSCOPE_MAX_RANGES];
	struct kscope_waiting waiting;
};

/**
 * struct kscope_range - what somebody wants a lease on, or has
 * @buf: NULL for none
 * @off: of the first byte in @buf
 * @len: bytes; nobody is in the way of none
 * @exclusive: to write
 */
struct kscope_range {
	struct kscope_buf *buf;
	u64 off;
	u64 len;
	bool exclusive;
};

/* Is there such a range? */
static inline int kscope_range_check(const struct kscope_range *range,
				     u64 buf_len)
{
	if (range->off > buf_len || range->len > buf_len - range->off)
		return -ERANGE;
	return 0;
}

/* Whether two of these can not be had at the same time */
static inline bool kscope_ranges_clash(const struct kscope_range *a,
				       const struct kscope_range *b)
{
	return a->buf == b->buf && (a->exclusive || b->exclusive) && a->len &&
	       b->len && a->off < b->off + b->len && b->off < a->off + a->len;
}

bool kscope_leases_search(struct kscope_leases *leases,
			  const struct kscope_range *range);
void kscope_lease_take(struct kscope_lease *lease, struct kscope_leases *leases,
		       const struct kscope_range *range);
void kscope_lease_drop(struct kscope_lease *lease, struct kscope_leases *leases,
		       const struct kscope_range *range);
bool kscope_buf_is_borrowed(struct kscope_buf *buf, u64 start, u64 last);
u32 kscope_lease_blockers(struct kscope_scope *scope,
			  const struct kscope_range *range, bool children,
			  struct kscope_blocker *blockers, u32 nr, u32 max);
int kscope_leases_provide(struct kscope_scope *scope);

/**
 * kscope_leases_clash() - does a lease on a range have to wait for others
 * @leases: on the buffer
 * @range: that somebody wants
 *
 * Context: under the scope's lock.
 * Return: true if so.
 */
static inline bool kscope_leases_clash(struct kscope_leases *leases,
				       const struct kscope_range *range)
{
	return leases->nr && range->len && kscope_leases_search(leases, range);
}

#endif /* KSCOPE_LEASE_H */

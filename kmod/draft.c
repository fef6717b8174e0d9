// SPDX-License-Identifier: GPL-2.0
/*
 * Drafts: what descriptors mean, before there are children.
 *
 * Drafting comes first. What can be said of a descriptor without its scope is checked, and
 * the references that live outside of the scope (op, file) are taken, which may sleep.
 * Resolving follows under the scope's lock: handles become pointers.
 *
 * References. A child refers to its buffers by their places in the table, and to its hash by a
 * plain pointer: its lease keeps the buffer, and both live until the scope is released, which is
 * refused while it is outstanding. It refers to its scope by a plain pointer for the same reason.
 * Its op and its file it holds by real references, dropped when it ends.
 *
 * Ops that borrow nothing and report nothing are plain: there is nothing to resolve and nothing
 * to drop.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/overflow.h>

#include <crypto/hash.h>

#include "batch.h"

/* Bits that must be 0, so that they can get a meaning later */
static bool desc_is_stray(const struct kscope_desc *desc,
			  const struct kscope_op *op)
{
	const u64 *words = (const u64 *)desc;
	const u64 *masks = (const u64 *)&op->stray;
	u64 found = 0;
	size_t i;

#pragma GCC unroll 8
	for (i = 0; i < KSCOPE_DESC_WORDS; i++)
		found |= words[i] & masks[i];
	return found;
}

static int desc_check(const struct kscope_scope *scope,
		      const struct kscope_op *op,
		      const struct kscope_desc *desc)
{
	u64 end;

	if (desc_is_stray(desc, op))
		return -EINVAL;
	if (scope->kind == KSCOPE_KIND_INLINE &&
	    op->attributes & KSCOPE_OP_BLOCKS)
		return -EINVAL;
	if (scope->kind != KSCOPE_KIND_PARALLEL &&
	    (desc->flags & (KSCOPE_CHILD_WAIT | KSCOPE_CHILD_DRAIN) ||
	     desc->after))
		return -EINVAL;
	if (op->check) {
		int ret = op->check(desc);

		if (ret)
			return ret;
	}
	if (op->nr_ranges && check_add_overflow(desc->off, desc->len, &end))
		return -EOVERFLOW;
	if (op->nr_ranges > 1 &&
	    check_add_overflow(desc->off2, desc->len, &end))
		return -EOVERFLOW;
	return 0;
}

static bool desc_is_tied(const struct kscope_desc *desc)
{
	return desc->after || desc->deadline_ns ||
	       desc->flags & KSCOPE_CHILD_DRAIN;
}

static int draft_tie(struct kscope_batch *batch, u32 i)
{
	u64 after = batch->descs[i].after;
	bool earlier = batch->linked && after <= i;
	int ret;

	if (after && after < KSCOPE_MAX_CAPACITY && !earlier)
		return -EINVAL;
	ret = kscope_ties_provide(batch->scope);
	if (!ret) /* else those before it are not to look for their ties */
		batch->tied = true;
	return ret;
}

static int draft_make(struct kscope_batch *batch, u32 i, struct kscope_op *op)
{
	const struct kscope_desc *desc = &batch->descs[i];
	struct kscope_draft *draft = &batch->drafts[i];
	int ret;

	if (!op)
		return -EINVAL;
	ret = desc_check(batch->scope, op, desc);
	if (!ret && desc_is_tied(desc))
		ret = draft_tie(batch, i);
	if (ret) {
		kscope_op_put(op);
		return ret;
	}
	draft->op = op;
	draft->file = NULL;
	draft->file_error = 0;
	if (op->attributes & KSCOPE_OP_TAKES_FILE)
		draft->file_error = kscope_fileio_get(draft, desc,
						      batch->scope->ring->user);
	/* Whether the range exists is not known yet: let it be any length, without wrapping. */
	batch->work += op->cost + min_t(u64, desc->len, KSCOPE_CLAIM + 1);
	return 0;
}

/* The same op, for a child of which there is more to say than that */
static struct kscope_op *op_held(struct kscope_op *op)
{
	return op == &kscope_op_nop ? &kscope_op_nop_tied : op;
}

/**
 * kscope_batch_draft_rest() - the same as kscope_batch_draft(), from one descriptor on
 * @batch: with @nr descs; cut before the first that is wrong
 * @i: the first that has no draft yet
 *
 * Context: process context of the spawner; may sleep.
 */
void kscope_batch_draft_rest(struct kscope_batch *batch, u32 i)
{
	struct kscope_op *op = NULL;
	u32 nr;

	while (i < batch->nr) {
		/* Built-in ops have no references. */
		if (!op || op->number != batch->descs[i].op ||
		    !kscope_op_is_builtin(op))
			op = kscope_op_get(batch->descs[i].op);
		nr = 0;
		if (op && op->plain)
			nr = kscope_draft_plain(batch, i, batch->nr - i, op);
		if (!nr) {
			nr = 1;
			batch->error = draft_make(batch, i, op_held(op));
		}
		if (batch->error)
			break;
		i += nr;
	}
	batch->nr = i;
}

/**
 * kscope_draft_drop() - drop what drafting has taken
 * @scope: of the draft
 * @draft: that did not become a child
 *
 * Context: process context.
 */
void kscope_draft_drop(struct kscope_scope *scope, struct kscope_draft *draft)
{
	if (draft->op->plain)
		return;
	if (draft->file) {
		fput(draft->file);
		kscope_user_uncharge_file(scope->ring->user);
	}
	kscope_op_put(draft->op);
}

static int range_check(const struct kscope_range *range, u32 access)
{
	int ret = kscope_range_check(range, range->buf->len);

	if (ret)
		return ret;
	return access & ~range->buf->access ? -EACCES : 0;
}

static __always_inline int ranges_check(const struct kscope_op *op,
					const struct kscope_range *ranges)
{
	int ret = 0;

	if (ranges[0].buf)
		ret = range_check(&ranges[0], op->access[0]);
	if (ret || !ranges[1].buf)
		return ret;
	ret = range_check(&ranges[1], op->access[1]);
	if (!ret && kscope_ranges_clash(&ranges[0], &ranges[1]))
		ret = -EINVAL;
	return ret;
}

static __always_inline int range_resolve(const struct kscope_scope *scope,
					 struct kscope_range *range, u32 access,
					 u32 handle, u64 off, u64 len)
{
	range->buf = kscope_buf_lookup(scope, handle);
	range->off = off;
	range->len = len;
	range->exclusive = access & KSCOPE_ACCESS_WRITE;
	return range->buf ? 0 : -ENOENT;
}

static int hash_resolve(const struct kscope_scope *scope,
			const struct kscope_desc *desc,
			struct kscope_hash **hash)
{
	*hash = kscope_hash_lookup(scope, desc->hash);
	return *hash ? 0 : -ENOENT;
}

/* Turn handles into pointers, and check the ranges. Return: 0, or why the child is refused */
static __always_inline int draft_resolve(const struct kscope_scope *scope,
					 const struct kscope_draft *draft,
					 const struct kscope_desc *desc,
					 struct kscope_range *ranges,
					 struct kscope_hash **hash)
{
	const struct kscope_op *op = draft->op;
	u32 nr_ranges = op->nr_ranges;
	u64 len2 = desc->len;
	int ret = 0;

	ranges[0].buf = NULL;
	ranges[1].buf = NULL;
	*hash = NULL;
	if (op->attributes & KSCOPE_OP_TAKES_HASH) {
		ret = hash_resolve(scope, desc, hash);
		if (ret)
			return ret;
		if (!(desc->op_flags & KSCOPE_HASH_LAST))
			nr_ranges = 1;
		len2 = crypto_shash_digestsize((*hash)->tfm);
	}
	if (nr_ranges)
		ret = range_resolve(scope, &ranges[0], op->access[0], desc->buf,
				    desc->off, desc->len);
	if (!ret && nr_ranges > 1)
		ret = range_resolve(scope, &ranges[1], op->access[1],
				    desc->buf2, desc->off2, len2);
	if (ret)
		return ret;
	if (draft->file_error)
		return draft->file_error;
	return ranges_check(op, ranges);
}

/**
 * kscope_draft_refusal() - what is wrong with a draft, if there were a slot for it
 * @scope: to be the parent
 * @draft: of the first descriptor of a batch
 * @desc: its descriptor
 *
 * Context: under the scope's lock.
 * Return: 0 if nothing is, or why the child is refused.
 */
int kscope_draft_refusal(const struct kscope_scope *scope,
			 const struct kscope_draft *draft,
			 const struct kscope_desc *desc)
{
	struct kscope_range ranges[KSCOPE_MAX_RANGES];
	struct kscope_hash *hash;

	if (draft->op->plain)
		return 0;
	return draft_resolve(scope, draft, desc, ranges, &hash);
}

/**
 * kscope_draft_blockers() - who is in the way of a draft's leases
 * @scope: to be the parent
 * @draft: that kscope_child_furnish() has just refused
 * @desc: its descriptor
 * @blockers: to fill in
 * @max: room there
 *
 * Context: under the scope's lock.
 * Return: how many were named.
 */
u32 kscope_draft_blockers(struct kscope_scope *scope,
			  const struct kscope_draft *draft,
			  const struct kscope_desc *desc,
			  struct kscope_blocker *blockers, u32 max)
{
	struct kscope_range ranges[KSCOPE_MAX_RANGES];
	struct kscope_hash *hash;
	u32 i, nr = 0;

	if (draft_resolve(scope, draft, desc, ranges, &hash))
		return 0;
	for (i = 0; i < KSCOPE_MAX_RANGES; i++)
		if (ranges[i].buf)
			nr = kscope_lease_blockers(scope, &ranges[i],
						   scope->kind !=
							   KSCOPE_KIND_ORDERED,
						   blockers, nr, max);
	return nr;
}

static bool ranges_are_free(const struct kscope_scope *scope,
			    const struct kscope_range *ranges)
{
	bool children = scope->kind != KSCOPE_KIND_ORDERED;
	u32 i;

	for (i = 0; i < KSCOPE_MAX_RANGES && ranges[i].buf; i++)
		if (!kscope_range_is_free(scope, &ranges[i], NULL, children))
			return false;
	return true;
}

/**
 * kscope_child_furnish() - give a child what it needs beyond its slot
 * @child: in a slot that is free
 * @scope: to be the parent
 * @draft: not plain; what it holds is the child's on success
 * @desc: its descriptor
 * @now: CLOCK_MONOTONIC
 *
 * Context: under the scope's lock.
 * Return: 0 and the child has its leases, or waits for them; or why it is refused.
 */
int kscope_child_furnish(struct kscope_child *child, struct kscope_scope *scope,
			 const struct kscope_draft *draft,
			 const struct kscope_desc *desc, u64 now)
{
	struct kscope_range ranges[KSCOPE_MAX_RANGES];
	bool tied = desc_is_tied(desc), wait = false;
	struct kscope_hash *hash;
	int ret = draft_resolve(scope, draft, desc, ranges, &hash);

	if (!ret && tied)
		ret = kscope_tie_check(child, draft, desc);
	if (ret)
		return ret;
	if (!ranges_are_free(scope, ranges)) {
		if (!(desc->flags & KSCOPE_CHILD_WAIT))
			return -EBUSY;
		wait = true;
	}
	ret = kscope_child_borrow(child, ranges, wait);
	if (ret)
		return ret;
	if (tied)
		kscope_tie_bind(child, draft, desc, now);
	child->desc = *desc;
	child->done = 0;
	child->value = 0;
	if (hash)
		child->hash = hash;
	if (draft->file) {
		child->file = draft->file;
		child->cred = data_race(get_current_cred()); /* as in pin.c */
	}
	return 0;
}

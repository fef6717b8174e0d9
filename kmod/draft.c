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

static int draft_make(struct kscope_batch *batch, u32 i, struct kscope_op *op)
{
	const struct kscope_desc *desc = &batch->descs[i];
	struct kscope_draft *draft = &batch->drafts[i];
	int ret;

	if (!op)
		return -EINVAL;
	ret = desc_check(batch->scope, op, desc);
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
		if (op && op->plain) {
			nr = kscope_draft_plain(batch, i, batch->nr - i, op);
			batch->error = nr ? 0 : -EINVAL;
		} else {
			nr = 1;
			batch->error = draft_make(batch, i, op);
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

static int range_check(const struct kscope_buf *buf, u64 off, u64 len,
		       u32 access)
{
	if (off > buf->len || len > buf->len - off)
		return -ERANGE;
	return access & ~buf->access ? -EACCES : 0;
}

static bool ranges_clash(const struct kscope_op *op,
			 const struct kscope_desc *desc, u64 len2)
{
	if (!((op->access[0] | op->access[1]) & KSCOPE_ACCESS_WRITE))
		return false;
	return desc->off < desc->off2 + len2 &&
	       desc->off2 < desc->off + desc->len;
}

static __always_inline int ranges_check(const struct kscope_op *op,
					const struct kscope_desc *desc,
					u64 len2, struct kscope_buf *const *buf)
{
	int ret = 0;

	if (buf[0])
		ret = range_check(buf[0], desc->off, desc->len, op->access[0]);
	if (ret || !buf[1])
		return ret;
	ret = range_check(buf[1], desc->off2, len2, op->access[1]);
	if (!ret && buf[0] == buf[1] && ranges_clash(op, desc, len2))
		ret = -EINVAL;
	return ret;
}

static int hash_resolve(const struct kscope_scope *scope,
			const struct kscope_desc *desc,
			struct kscope_hash **hash)
{
	if (scope->kind != KSCOPE_KIND_ORDERED &&
	    desc->op_flags != KSCOPE_HASH_ALL)
		return -EINVAL;
	*hash = kscope_hash_lookup(scope, desc->hash);
	return *hash ? 0 : -ENOENT;
}

/* Turn handles into pointers, and check the ranges. Return: 0, or why the child is refused */
static __always_inline int draft_resolve(const struct kscope_scope *scope,
					 const struct kscope_draft *draft,
					 const struct kscope_desc *desc,
					 struct kscope_buf **buf,
					 struct kscope_hash **hash)
{
	u32 nr_ranges = draft->op->nr_ranges;
	u64 len2 = desc->len;

	buf[0] = NULL;
	buf[1] = NULL;
	*hash = NULL;
	if (draft->op->attributes & KSCOPE_OP_TAKES_HASH) {
		int ret = hash_resolve(scope, desc, hash);

		if (ret)
			return ret;
		if (!(desc->op_flags & KSCOPE_HASH_LAST))
			nr_ranges = 1;
		len2 = crypto_shash_digestsize((*hash)->tfm);
	}
	if (nr_ranges) {
		buf[0] = kscope_buf_lookup(scope, desc->buf);
		if (!buf[0])
			return -ENOENT;
	}
	if (nr_ranges > 1) {
		buf[1] = kscope_buf_lookup(scope, desc->buf2);
		if (!buf[1])
			return -ENOENT;
	}
	if (draft->file_error)
		return draft->file_error;
	return ranges_check(draft->op, desc, len2, buf);
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
	struct kscope_buf *buf[KSCOPE_MAX_RANGES];
	struct kscope_hash *hash;

	if (draft->op->plain)
		return 0;
	return draft_resolve(scope, draft, desc, buf, &hash);
}

/**
 * kscope_child_furnish() - give a child what it needs beyond its slot
 * @child: in a slot that is free
 * @scope: to be the parent
 * @draft: not plain; what it holds is the child's on success
 * @desc: its descriptor
 *
 * Context: under the scope's lock.
 * Return: 0 and the child has its leases, or why it is refused.
 */
int kscope_child_furnish(struct kscope_child *child, struct kscope_scope *scope,
			 const struct kscope_draft *draft,
			 const struct kscope_desc *desc)
{
	struct kscope_buf *buf[KSCOPE_MAX_RANGES];
	struct kscope_hash *hash;
	int ret = draft_resolve(scope, draft, desc, buf, &hash);

	if (ret)
		return ret;
	if (buf[0])
		buf[0]->leases++;
	if (buf[1])
		buf[1]->leases++;
	child->nr_leases = !!buf[0] + !!buf[1];
	child->desc = *desc;
	child->done = 0;
	child->value = 0;
	if (hash)
		child->hash = hash;
	if (draft->file) {
		child->file = draft->file;
		child->cred = get_current_cred();
	}
	return 0;
}

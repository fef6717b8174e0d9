// SPDX-License-Identifier: GPL-2.0
/*
 * A child, from descriptor to completion.
 *
 * It is drafted first: what can be said of a descriptor without its scope is checked,
 * and the references that live outside the scope (op, file) are taken. This may sleep.
 * The rest happens under the scope's lock: reserve (resolve handles, take leases and a
 * slot), publish (the child is accepted and queued), start, end. Between reserve and
 * publish the spawner can still back out, and nobody else can see the child.
 *
 * References. A child refers to its buffers and its hash by plain pointers: its lease
 * keeps the buffer, and both live until the scope is released, which is refused while
 * it is outstanding. It refers to its scope by a plain pointer for the same reason. Its op and
 * its file it holds by real references, dropped when it ends.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/ktime.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/wait_bit.h>

#include <crypto/hash.h>

#include "internal.h"

#define CHILD_SLOT_BITS 20

static_assert(1U << CHILD_SLOT_BITS == KSCOPE_MAX_CAPACITY);

/* Fields that the op does not use must be 0, so that they can get a meaning later. */
static bool desc_has_stray_fields(const struct kscope_op *op,
				  const struct kscope_desc *desc)
{
	u32 nr_ranges = op->nr_ranges;

	if (!nr_ranges && (desc->len || desc->buf || desc->off))
		return true;
	if (op->attributes & KSCOPE_OP_TAKES_HASH)
		nr_ranges = desc->op_flags & KSCOPE_HASH_LAST ? 2 : 1;
	else if (desc->hash)
		return true;
	if (nr_ranges < 2 && desc->buf2 &&
	    !(op->attributes & KSCOPE_OP_TAKES_FILE))
		return true;
	return nr_ranges < 2 && desc->off2 && !op->uses_arg;
}

static int desc_check(const struct kscope_op *op,
		      const struct kscope_desc *desc)
{
	u64 end;

	if (desc->op_flags & ~op->op_flags || desc_has_stray_fields(op, desc))
		return -EINVAL;
	if (op->check) {
		int ret = op->check(desc);

		if (ret)
			return ret;
	}
	if (op->nr_ranges > 0 && check_add_overflow(desc->off, desc->len, &end))
		return -EOVERFLOW;
	if (op->nr_ranges > 1 &&
	    check_add_overflow(desc->off2, desc->len, &end))
		return -EOVERFLOW;
	return 0;
}

/**
 * kscope_child_draft() - check a descriptor, and take what it names outside the scope
 * @scope: to be the parent; its user is charged for a file
 * @draft: to fill in
 * @desc: from the caller, who can no longer change it
 *
 * Context: process context of the spawner; may sleep.
 * Return: 0, and kscope_child_reserve() or kscope_draft_drop() comes next; or a negative
 * errno as in the ABI's table.
 */
int kscope_child_draft(struct kscope_scope *scope, struct kscope_draft *draft,
		       const struct kscope_desc *desc)
{
	struct kscope_user *user = scope->ring->user;
	int ret;

	draft->file = NULL;
	draft->file_error = 0;
	draft->child = NULL;
	if (desc->flags & ~KSCOPE_CHILD_ALL || desc->reserved ||
	    desc->reserved2)
		return -EINVAL;
	draft->op = kscope_op_get(desc->op);
	if (!draft->op)
		return -EINVAL;
	ret = desc_check(draft->op, desc);
	if (ret)
		kscope_op_put(draft->op);
	else if (draft->op->attributes & KSCOPE_OP_TAKES_FILE)
		draft->file_error = kscope_fileio_get(draft, desc, user);
	return ret;
}

/**
 * kscope_draft_drop() - undo kscope_child_draft()
 * @scope: of the draft
 * @draft: not reserved
 *
 * Context: process context.
 */
void kscope_draft_drop(struct kscope_scope *scope, struct kscope_draft *draft)
{
	if (draft->file) {
		fput(draft->file);
		kscope_user_uncharge_file(scope->ring->user);
	}
	kscope_op_put(draft->op);
}

/* One range as the descriptor of its child means it */
struct borrow {
	u32 handle;
	u32 access;
	u64 off;
	u64 len;
};

static u32 desc_borrows(const struct kscope_op *op,
			const struct kscope_desc *desc,
			const struct kscope_hash *hash, struct borrow *borrow)
{
	borrow[0] = (struct borrow){ desc->buf, op->access[0], desc->off,
				     desc->len };
	borrow[1] = (struct borrow){ desc->buf2, op->access[1], desc->off2,
				     desc->len };
	if (!hash)
		return op->nr_ranges;
	borrow[1].len = crypto_shash_digestsize(hash->tfm);
	return desc->op_flags & KSCOPE_HASH_LAST ? 2 : 1;
}

static int borrow_check(const struct borrow *borrow,
			const struct kscope_buf *buf)
{
	if (borrow->off > buf->len || borrow->len > buf->len - borrow->off)
		return -ERANGE;
	return borrow->access & ~buf->access ? -EACCES : 0;
}

static bool borrows_clash(const struct borrow *borrow)
{
	if (borrow[0].handle != borrow[1].handle)
		return false;
	if (!((borrow[0].access | borrow[1].access) & KSCOPE_ACCESS_WRITE))
		return false;
	return borrow[0].off < borrow[1].off + borrow[1].len &&
	       borrow[1].off < borrow[0].off + borrow[0].len;
}

static int child_resolve(const struct kscope_scope *scope,
			 const struct kscope_draft *draft,
			 const struct kscope_desc *desc,
			 struct kscope_buf **buf, struct kscope_hash **hash)
{
	struct borrow borrow[KSCOPE_MAX_RANGES];
	int ret = draft->file_error;
	u32 nr, i;

	if (draft->op->attributes & KSCOPE_OP_TAKES_HASH) {
		if (scope->kind != KSCOPE_KIND_ORDERED &&
		    desc->op_flags != KSCOPE_HASH_ALL)
			return -EINVAL;
		*hash = kscope_hash_lookup(scope, desc->hash);
		if (!*hash)
			return -ENOENT;
	}
	nr = desc_borrows(draft->op, desc, *hash, borrow);
	for (i = 0; i < nr; i++) {
		buf[i] = kscope_buf_lookup(scope, borrow[i].handle);
		if (!buf[i])
			return -ENOENT;
	}
	for (i = 0; i < nr && !ret; i++)
		ret = borrow_check(&borrow[i], buf[i]);
	if (!ret && nr == 2 && borrows_clash(borrow))
		ret = -EINVAL;
	return ret;
}

static struct kscope_child *slot_take(struct kscope_scope *scope)
{
	struct kscope_child *child;
	u64 slot;

	child = list_first_entry_or_null(&scope->free, struct kscope_child,
					 node);
	if (child) {
		list_del(&child->node);
	} else {
		child = &scope->slots[scope->nr_touched++];
		child->scope = scope;
	}
	slot = child - scope->slots;
	child->handle = ((child->handle >> CHILD_SLOT_BITS) + 1)
				<< CHILD_SLOT_BITS |
			slot;
	return child;
}

static void leases_take(struct kscope_child *child)
{
	u32 i;

	for (i = 0; i < KSCOPE_MAX_RANGES; i++)
		if (child->buf[i])
			child->buf[i]->leases++;
}

static void leases_drop(struct kscope_child *child)
{
	u32 i;

	for (i = 0; i < KSCOPE_MAX_RANGES; i++)
		if (child->buf[i])
			child->buf[i]->leases--;
}

/* The rest of what a child drops with its file */
static void file_forget(struct kscope_child *child)
{
	kscope_user_uncharge_file(child->scope->ring->user);
	put_cred(child->cred);
	child->file = NULL;
}

static void slot_free(struct kscope_child *child)
{
	leases_drop(child);
	if (child->file) {
		fput(child->file);
		file_forget(child);
	}
	list_add(&child->node, &child->scope->free);
	kscope_op_put(child->op);
}

/**
 * kscope_child_reserve() - resolve handles, take leases and a slot
 * @scope: to be the parent
 * @draft: its references pass to the child on success
 * @desc: of the draft
 *
 * Context: under the scope's lock.
 * Return: 0, and kscope_child_publish() or kscope_child_abort() comes next; or a negative
 * errno as in the ABI's table.
 */
int kscope_child_reserve(struct kscope_scope *scope, struct kscope_draft *draft,
			 const struct kscope_desc *desc)
{
	struct kscope_buf *buf[KSCOPE_MAX_RANGES] = {};
	struct kscope_hash *hash = NULL;
	struct kscope_child *child;
	int ret;

	lockdep_assert_held(&scope->lock);
	ret = child_resolve(scope, draft, desc, buf, &hash);
	if (!ret)
		ret = kscope_tally_admits(&scope->tally,
					  kscope_ring_unread(scope->ring));
	if (ret)
		return ret;

	child = slot_take(scope);
	child->op = draft->op;
	child->desc = *desc;
	child->buf[0] = buf[0];
	child->buf[1] = buf[1];
	child->hash = hash;
	child->file = draft->file;
	child->cred = draft->file ? get_current_cred() : NULL;
	child->done = 0;
	child->value = 0;
	leases_take(child);
	kscope_life_reserve(&child->life, &scope->tally);
	draft->child = child;
	return 0;
}

/**
 * kscope_child_abort() - undo kscope_child_reserve(): the child never existed
 * @child: reserved
 *
 * Context: under the scope's lock.
 */
void kscope_child_abort(struct kscope_child *child)
{
	lockdep_assert_held(&child->scope->lock);
	kscope_life_abort(&child->life, &child->scope->tally);
	slot_free(child);
}

/**
 * kscope_child_publish() - accept a child and queue it
 * @child: reserved, in an open scope
 *
 * Context: under the scope's lock.
 */
void kscope_child_publish(struct kscope_child *child)
{
	struct kscope_scope *scope = child->scope;
	bool slow = child->op->attributes & KSCOPE_OP_BLOCKS;

	lockdep_assert_held(&scope->lock);
	kscope_life_publish(&child->life, &scope->tally);
	kscope_carry_pack(&child->carry);
	if (child->hash && child->desc.op_flags != KSCOPE_HASH_ALL)
		child->piece = ++child->hash->nr_pieces;
	if (scope->kind == KSCOPE_KIND_ORDERED)
		slow = true;
	kscope_queue_add(slow ? &scope->slow : &scope->quick, child);
}

/**
 * kscope_child_start() - a lane takes the child
 * @child: queued
 *
 * Context: under the scope's lock.
 */
void kscope_child_start(struct kscope_child *child)
{
	lockdep_assert_held(&child->scope->lock);
	kscope_life_start(&child->life, &child->scope->tally);
	list_move_tail(&child->node, &child->scope->running);
}

static void scope_note_failure(struct kscope_scope *scope,
			       const struct kscope_child *child,
			       const struct kscope_end *end)
{
	if (end->outcome != KSCOPE_FAILED || scope->first.status)
		return;
	scope->first.status = end->status;
	scope->first.child = child->handle;
	scope->first.user_data = child->desc.user_data;
}

/**
 * kscope_child_end() - end a child: drop what it holds, post its completion, free its slot
 * @child: that has run, or is queued and shall never run; not to be touched afterwards
 * @status: what its operation returned
 *
 * Leases are dropped before the completion is posted, so whoever sees the completion can
 * unpin the buffer. The file of a child that never ran is dropped with fput(), which may
 * finish later.
 *
 * Context: under the scope's lock; kscope_scope_notify() comes after it is dropped.
 */
void kscope_child_end(struct kscope_child *child, int status)
{
	struct kscope_scope *scope = child->scope;
	struct kscope_end end;

	lockdep_assert_held(&scope->lock);
	end = kscope_life_end(&child->life, &scope->tally, status);
	scope_note_failure(scope, child, &end);
	list_del(&child->node);
	slot_free(child);
	kscope_ring_post(scope->ring, child, &end);
	kscope_scope_drained(scope);
}

/*
 * fput() by a kernel thread only leaves the rest for later. Whoever sees the completion
 * shall be able to unmount the file system.
 */
static void file_drop_sync(struct kscope_child *child)
{
	if (!child->file)
		return;
	__fput_sync(child->file);
	file_forget(child);
}

/**
 * kscope_child_run() - run a child to its end
 * @child: started by this lane
 *
 * Context: process context; sleeps if the op does.
 */
void kscope_child_run(struct kscope_child *child)
{
	struct kscope_scope *scope = child->scope;
	u64 user_data = child->desc.user_data;
	int status;

	kscope_hook(KSCOPE_POINT_CLAIMED, user_data);
	kscope_carry_enter(&child->carry);
	status = child->op->run(child);
	kscope_carry_leave(&child->carry);
	kscope_hook(KSCOPE_POINT_RETURNED, user_data);
	file_drop_sync(child);
	spin_lock(&scope->lock);
	kscope_child_end(child, status);
	spin_unlock(&scope->lock);
	kscope_hook(KSCOPE_POINT_ENDED, user_data);
	kscope_scope_notify(scope);
}

/**
 * kscope_child_lookup() - find an accepted child that has not ended
 * @scope: that it belongs to
 * @handle: from the caller
 *
 * Context: under the scope's lock.
 * Return: the child or NULL.
 */
struct kscope_child *kscope_child_lookup(struct kscope_scope *scope, u64 handle)
{
	u32 slot = handle & (KSCOPE_MAX_CAPACITY - 1);
	struct kscope_child *child;

	lockdep_assert_held(&scope->lock);
	if (slot >= scope->nr_touched)
		return NULL;
	child = &scope->slots[array_index_nospec(slot, scope->nr_touched)];
	if (child->handle != handle || child->life.phase < KSCOPE_PHASE_QUEUED)
		return NULL;
	return child;
}

/**
 * kscope_child_describe() - say who stands in the way
 * @child: accepted
 * @blocker: to fill in
 *
 * Context: under the scope's lock.
 */
void kscope_child_describe(const struct kscope_child *child,
			   struct kscope_blocker *blocker)
{
	lockdep_assert_held(&child->scope->lock);
	*blocker = (struct kscope_blocker){
		.child = child->handle,
		.user_data = child->desc.user_data,
		.age_ns = ktime_get_ns() - child->spawned_ns,
		.op = child->desc.op,
		.state = kscope_life_state(&child->life),
		.buf = child->desc.buf,
		.off = child->desc.off,
		.len = child->desc.len,
	};
}

/**
 * kscope_child_desc() - what the spawner asked for
 * @child: that runs
 *
 * Return: its descriptor, which does not change.
 */
const struct kscope_desc *kscope_child_desc(const struct kscope_child *child)
{
	return &child->desc;
}
EXPORT_SYMBOL_GPL(kscope_child_desc);

/**
 * kscope_child_cancelled() - has the child been told to end early
 * @child: that runs
 *
 * Context: any. Also the condition to wait for after wake_up_var(child).
 * Return: true if so; it stays true.
 */
bool kscope_child_cancelled(const struct kscope_child *child)
{
	return READ_ONCE(child->life.cause);
}
EXPORT_SYMBOL_GPL(kscope_child_cancelled);

/**
 * kscope_child_progress() - report progress
 * @child: that runs
 * @done: bytes from the start of its range that are valid now
 *
 * Context: the op's run function.
 */
void kscope_child_progress(struct kscope_child *child, u64 done)
{
	child->done = done;
}
EXPORT_SYMBOL_GPL(kscope_child_progress);

/**
 * kscope_child_checkpoint() - report progress, give way, look for a cancel
 * @child: that runs
 * @done: bytes from the start of its range that are valid now
 *
 * Context: the op's run function; may reschedule.
 * Return: 0 to go on, or -ECANCELED for the op to return.
 */
int kscope_child_checkpoint(struct kscope_child *child, u64 done)
{
	kscope_child_progress(child, done);
	cond_resched();
	return kscope_child_cancelled(child) ? -ECANCELED : 0;
}
EXPORT_SYMBOL_GPL(kscope_child_checkpoint);

/**
 * kscope_child_set_value() - set what the completion says as value
 * @child: that runs
 * @value: the last one counts
 */
void kscope_child_set_value(struct kscope_child *child, u64 value)
{
	child->value = value;
}
EXPORT_SYMBOL_GPL(kscope_child_set_value);

// SPDX-License-Identifier: GPL-2.0
/*
 * Children, one at a time: finding them, what they hold, and what their operations and
 * other callers may ask of them. draft.c and batch.c make them, claim.c runs and ends them.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/ktime.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include <crypto/hash.h>

#include "internal.h"

/* What a child drops along with its file */
static void file_forget(struct kscope_child *child)
{
	kscope_user_uncharge_file(child->scope->ring->user);
	put_cred(child->cred);
	child->file = NULL;
}

/**
 * kscope_child_drop_file() - drop the file of a child that has run
 * @child: that the caller has claimed, with a file
 *
 * fput() by a kernel thread only leaves the rest for later. Whoever sees the completion
 * shall be able to unmount the file system.
 *
 * Context: process context; may sleep.
 */
void kscope_child_drop_file(struct kscope_child *child)
{
	__fput_sync(child->file);
	file_forget(child);
}

/**
 * kscope_child_range() - what a child borrows
 * @child: with its op, and its leases
 * @i: which range
 *
 * Context: any, as the lease keeps the buffer.
 * Return: it.
 */
struct kscope_range kscope_child_range(const struct kscope_child *child, u32 i)
{
	bool digest = i && kscope_op_takes(child->op, KSCOPE_OP_TAKES_HASH);

	return (struct kscope_range){
		.buf = kscope_child_buf(child, i),
		.off = i ? child->desc.off2 : child->desc.off,
		.len = digest ? crypto_shash_digestsize(child->hash->tfm) :
				child->desc.len,
		.exclusive = child->op->access[i] & KSCOPE_ACCESS_WRITE,
	};
}

static struct kscope_places *child_places(const struct kscope_child *child)
{
	return &child->scope->places[child - child->scope->slots];
}

static void child_take(struct kscope_child *child, u32 i,
		       const struct kscope_range *range)
{
	kscope_lease_take(&child_places(child)->leases[i],
			  &range->buf->borrowed, range);
}

/**
 * kscope_child_borrow() - give a child its leases, or a place in the line of those who wait
 * @child: in a slot that is free
 * @ranges: that it wants; those without a buffer are at the end
 * @wait: they are not free, and it waits
 *
 * Context: under the scope's lock.
 * Return: 0, or -EAGAIN if the line is full.
 */
int kscope_child_borrow(struct kscope_child *child,
			const struct kscope_range *ranges, bool wait)
{
	u32 i;

	lockdep_assert_held(&child->scope->lock);
	if (wait && kscope_line_enter(child->scope,
				      &child_places(child)->waiting, child))
		return -EAGAIN;
	child->waits = wait ? KSCOPE_WAITS_LEASES : 0;
	for (i = 0; i < KSCOPE_MAX_RANGES && ranges[i].buf; i++) {
		ranges[i].buf->leases++;
		if (!wait)
			child_take(child, i, &ranges[i]);
	}
	child->nr_leases = i;
	return 0;
}

/* Of a scope that is cancelled only those go on that are shielded; the others are doomed. */
static bool child_may_go_on(const struct kscope_child *child)
{
	return child->scope->tally.state == KSCOPE_SCOPE_OPEN ||
	       kscope_child_is_shielded(child);
}

static void child_unpark(struct kscope_child *child)
{
	struct kscope_queue *queue = kscope_child_queue(child);

	kscope_life_unpark(&child->life);
	list_move_tail(&child->node, &queue->ready);
	kscope_queue_kick(queue);
}

/**
 * kscope_child_ready() - there is one thing less for which a child waits
 * @child: parked, or about to be
 * @what: KSCOPE_WAITS_*
 *
 * Context: under the scope's lock.
 */
void kscope_child_ready(struct kscope_child *child, u8 what)
{
	lockdep_assert_held(&child->scope->lock);
	child->waits &= ~what;
	if (!child->waits && child->life.phase == KSCOPE_PHASE_PARKED &&
	    child_may_go_on(child))
		child_unpark(child);
}

/**
 * kscope_child_try() - let a child that waits for leases go on, if these are free
 * @child: in the line
 *
 * Context: under the scope's lock.
 */
void kscope_child_try(struct kscope_child *child)
{
	struct kscope_waiting *waiting = &child_places(child)->waiting;
	struct kscope_scope *scope = child->scope;
	struct kscope_range range;
	u32 i;

	if (!child_may_go_on(child))
		return;
	for (i = 0; i < child->nr_leases; i++) {
		range = kscope_child_range(child, i);
		if (!kscope_range_is_free(scope, &range, waiting, true))
			return;
	}
	kscope_line_leave(scope, waiting);
	for (i = 0; i < child->nr_leases; i++) {
		range = kscope_child_range(child, i);
		child_take(child, i, &range);
	}
	kscope_child_ready(child, KSCOPE_WAITS_LEASES);
}

static void child_return(struct kscope_child *child, u32 i)
{
	struct kscope_range range = kscope_child_range(child, i);

	range.buf->leases--;
	if (!(child->waits & KSCOPE_WAITS_LEASES))
		kscope_lease_drop(&child_places(child)->leases[i],
				  &range.buf->borrowed, &range);
}

/**
 * kscope_child_drop() - drop all that a child holds
 * @child: not plain; has ended, or never existed. Its file, if it still has one, is dropped
 *	with fput(), which may finish later
 *
 * Context: under the scope's lock.
 */
void kscope_child_drop(struct kscope_child *child)
{
	u32 i;

	lockdep_assert_held(&child->scope->lock);
	for (i = 0; i < child->nr_leases; i++)
		child_return(child, i);
	if (child->waits & KSCOPE_WAITS_LEASES)
		kscope_line_leave(child->scope, &child_places(child)->waiting);
	if (kscope_child_has_file(child)) {
		fput(child->file);
		file_forget(child);
	}
	if (!kscope_op_is_builtin(child->op))
		kscope_op_put(child->op);
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
	if (child->handle != handle || child->life.phase < KSCOPE_PHASE_PARKED)
		return NULL;
	return child;
}

/**
 * kscope_child_borrows() - has the child a lease on a buffer
 * @child: accepted
 * @buf: handle
 *
 * Context: under the scope's lock.
 * Return: true if so.
 */
bool kscope_child_borrows(const struct kscope_child *child, u64 buf)
{
	u32 i;

	lockdep_assert_held(&child->scope->lock);
	if (child->op->plain)
		return false;
	for (i = 0; i < child->nr_leases; i++)
		if (kscope_child_buf(child, i)->handle == buf)
			return true;
	return false;
}

/**
 * kscope_child_clashes() - is a lease of the child in the way of a lease on a range
 * @child: with its op, and its leases, or waiting for them
 * @range: somebody else's. One of no bytes stands for all of the buffer: every lease on it
 *	clashes with that, even one on nothing
 *
 * Context: under the scope's lock.
 * Return: true if so.
 */
bool kscope_child_clashes(const struct kscope_child *child,
			  const struct kscope_range *range)
{
	struct kscope_range own;
	u32 i;

	lockdep_assert_held(&child->scope->lock);
	if (child->op->plain)
		return false;
	for (i = 0; i < child->nr_leases; i++) {
		own = kscope_child_range(child, i);
		if (own.buf == range->buf &&
		    (!range->len || kscope_ranges_clash(&own, range)))
			return true;
	}
	return false;
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
		.op = child->op->number,
		.state = kscope_life_state(&child->life),
	};
	if (child->op->plain)
		return;
	blocker->buf = child->desc.buf;
	blocker->off = child->desc.off;
	blocker->len = child->desc.len;
}

static bool is_named(const struct kscope_child *child,
		     const struct kscope_blocker *blockers, u32 nr)
{
	while (nr--)
		if (blockers[nr].child == child->handle)
			return true;
	return false;
}

/**
 * kscope_child_name() - add a child to those who stand in the way
 * @child: in a slot that is taken; one of a spawn that is under way has no name yet
 * @blockers: to fill in
 * @nr: how many are there; the child may be one of them
 * @max: room there
 *
 * Context: under the scope's lock.
 * Return: how many are there then.
 */
u32 kscope_child_name(const struct kscope_child *child,
		      struct kscope_blocker *blockers, u32 nr, u32 max)
{
	if (nr == max || child->life.phase < KSCOPE_PHASE_PARKED ||
	    is_named(child, blockers, nr))
		return nr;
	kscope_child_describe(child, &blockers[nr]);
	return nr + 1;
}

/**
 * kscope_child_desc() - what the spawner asked for
 * @child: that runs
 *
 * Return: its descriptor, which does not change; but what it says of a hash, and after that, is for
 * kscope itself.
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

/* The spawner of an inline scope runs this child, and is being killed. */
static void child_heed_death(struct kscope_child *child)
{
	spin_lock(&child->scope->lock);
	kscope_life_cancel(&child->life, KSCOPE_CAUSE_CLOSE);
	spin_unlock(&child->scope->lock);
}

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
	if (fatal_signal_pending(current) &&
	    child->scope->kind == KSCOPE_KIND_INLINE)
		child_heed_death(child);
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

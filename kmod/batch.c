// SPDX-License-Identifier: GPL-2.0
/*
 * Spawning a batch of children.
 *
 *   draft      each descriptor, without a lock (draft.c)
 *   reserve    resolve handles, take a slot and the leases
 *   publish    the child is accepted
 *   queue      it is ready for the lanes; or the spawner takes it in order to run it itself;
 *              or it is parked, as it waits for leases
 *
 * All but the first step are under the scope's lock, in one pass over the batch, unless the
 * caller must be told the handles first: then the batch is reserved, and published later.
 * In between the children count as outstanding, so the scope cannot be released under
 * them, but nobody else can see them; if the scope is cancelled meanwhile they are aborted,
 * and never existed. A batch is accepted up to its first descriptor that is refused.
 *
 * Children of a batch stay linked to each other from the free list through queue and claim
 * and back: lists are cut and spliced, and a link is only made when a slot is first used
 * or a child goes its own way.
 */
#include <linux/slab.h>

#include "batch.h"
#include "claim.h"

static struct kscope_child *slot_make(struct kscope_scope *scope)
{
	u32 slot = scope->nr_touched++;
	struct kscope_child *child = &scope->slots[slot];

	child->scope = scope;
	child->handle = slot;
	list_add_tail(&child->node, &scope->free);
	return child;
}

static struct kscope_child *slot_after(struct kscope_scope *scope,
				       struct list_head *last)
{
	if (last->next == &scope->free)
		return slot_make(scope);
	return list_entry(last->next, struct kscope_child, node);
}

static void child_number(struct kscope_child *child)
{
	if (kscope_op_takes(child->op, KSCOPE_OP_TAKES_HASH) &&
	    child->desc.op_flags != KSCOPE_HASH_ALL)
		child->piece = ++child->hash->nr_pieces;
}

/* Children that may block have a queue of their own, unless all begin in one order. */
static bool goes_its_own_way(const struct kscope_scope *scope,
			     const struct kscope_child *child)
{
	return kscope_child_queue(child) != kscope_scope_helped(scope);
}

/* Whether the spawner takes the batch: it is small, and a lane's place is free. */
static __always_inline bool batch_is_mine(const struct kscope_batch *batch)
{
	const struct kscope_queue *queue = kscope_scope_helped(batch->scope);

	if (batch->scope->kind == KSCOPE_KIND_INLINE)
		return true;
	return batch->help && batch->work <= batch->scope->claim_work &&
	       queue->nr_busy < queue->max_busy && list_empty(&queue->ready);
}

enum admission { RESERVE, QUEUE, START };

/* What happens to a child that has its slot */
static __always_inline void child_admit(struct kscope_child *child,
					struct kscope_op *op, u64 user_data,
					u64 now, enum admission how)
{
	child->op = op;
	child->desc.user_data = user_data;
	child->handle += KSCOPE_MAX_CAPACITY; /* the next generation */
	kscope_life_reserve(&child->life);
	if (how == RESERVE)
		return;
	kscope_life_publish(&child->life);
	if (how == START)
		kscope_life_start(&child->life);
	kscope_carry_pack(&child->carry);
	child->spawned_ns = now;
}

/* A child that is accepted, but has not all that it waits for */
static void child_wait(struct kscope_child *child)
{
	kscope_life_park(&child->life);
	list_move_tail(&child->node, &child->scope->parked);
	child_number(child);
	kscope_tie_park(child);
}

static noinline void child_park(struct kscope_child *child,
				struct kscope_op *op, u64 user_data, u64 now)
{
	child_admit(child, op, user_data, now, QUEUE);
	child_wait(child);
}

static __always_inline void tally_admit(struct kscope_tally *tally, u32 nr,
					enum admission how)
{
	kscope_tally_reserve(tally, nr);
	if (how == RESERVE)
		return;
	kscope_tally_publish(tally, nr);
	if (how == START)
		kscope_tally_start(tally, nr);
}

/* Like list_cut_position(), which looks for more that cannot be. */
static __always_inline void cut_first(struct list_head *list,
				      struct list_head *head,
				      struct list_head *last)
{
	if (last == head)
		INIT_LIST_HEAD(list);
	else
		__list_cut_position(list, head, last);
}

/* What is in the way of a child in an inline scope may be those before it, which will have run. */
static bool batch_may_retry(const struct kscope_batch *batch, u32 nr)
{
	return nr && batch->scope->kind == KSCOPE_KIND_INLINE;
}

static u32 batch_name_blockers(const struct kscope_batch *batch, u32 i)
{
	const struct kscope_draft *draft = &batch->drafts[i];
	const struct kscope_desc *desc = &batch->descs[i];

	return kscope_draft_blockers(batch->scope, draft, desc, batch->blockers,
				     batch->max_blockers);
}

/* Cut the batch down to the first @nr, as the next one is refused. */
static noinline void batch_stop(struct kscope_batch *batch, u32 nr, int error)
{
	batch->nr = nr;
	batch->error = error;
	if (error != -EBUSY)
		return;
	if (batch_may_retry(batch, nr))
		batch->error = 0;
	else
		batch->nr_blockers = batch_name_blockers(batch, nr);
}

/* Where there are ties each child is counted before the next one is looked at. */
static void admit_tied(struct kscope_child *child, struct kscope_draft *draft,
		       bool drains, enum admission how)
{
	draft->child = child;
	if (!drains)
		kscope_epoch_join(child);
	tally_admit(&child->scope->tally, 1, how);
}

/*
 * The pass over the batch, which has @nr. It puts those that stay together on @children, and cuts
 * the batch before the first that is refused. Return: how many stay together, or go to a queue
 */
static __always_inline u32 batch_pass(struct kscope_batch *batch, u32 nr,
				      struct list_head *children,
				      enum admission how, bool tied)
{
	struct kscope_scope *scope = batch->scope;
	struct kscope_draft *draft = batch->drafts;
	const struct kscope_desc *desc = batch->descs;
	const struct kscope_desc *end = desc + nr;
	struct list_head *last = &scope->free;
	struct kscope_child *child;
	u64 now = batch->now;
	u32 nr_parked = 0;
	int ret;

	for (; desc < end; draft++, desc++) {
		struct kscope_op *op = draft->op;

		child = slot_after(scope, last);
		if (op->plain) {
			child_admit(child, op, desc->user_data, now, how);
			if (tied)
				admit_tied(child, draft, false, how);
			last = &child->node;
			continue;
		}
		ret = kscope_child_furnish(child, scope, draft, desc, now);
		if (ret) {
			batch_stop(batch, desc - batch->descs, ret);
			break;
		}
		if (how != RESERVE && unlikely(child->waits)) {
			child_park(child, op, desc->user_data, now);
			nr_parked++;
			if (tied)
				admit_tied(child, draft,
					   desc->flags & KSCOPE_CHILD_DRAIN,
					   QUEUE);
			continue;
		}
		child_admit(child, op, desc->user_data, now, how);
		if (tied)
			admit_tied(child, draft,
				   desc->flags & KSCOPE_CHILD_DRAIN, how);
		if (how != RESERVE)
			child_number(child);
		if (how == QUEUE && goes_its_own_way(scope, child))
			list_move_tail(&child->node, &scope->slow.ready);
		else
			last = &child->node;
	}
	if (!tied)
		tally_admit(&scope->tally, batch->nr - nr_parked, how);
	if (!tied && unlikely(nr_parked))
		tally_admit(&scope->tally, nr_parked, QUEUE);
	cut_first(children, &scope->free, last);
	return batch->nr - nr_parked;
}

static noinline u32 batch_pass_tied(struct kscope_batch *batch, u32 nr,
				    struct list_head *children,
				    enum admission how)
{
	return batch_pass(batch, nr, children, how, true);
}

static __always_inline u32 batch_admit(struct kscope_batch *batch, u32 nr,
				       struct list_head *children,
				       enum admission how)
{
	if (unlikely(batch->tied || batch->scope->at_end & KSCOPE_END_TIES))
		return batch_pass_tied(batch, nr, children, how);
	return batch_pass(batch, nr, children, how, false);
}

/* What is wrong with the descriptor itself comes first. */
static int batch_refuse(struct kscope_batch *batch, u32 unread)
{
	struct kscope_scope *scope = batch->scope;

	return kscope_draft_refusal(scope, &batch->drafts[0], &batch->descs[0]) ?:
		       kscope_tally_admits(&scope->tally, unread);
}

/* Cut the batch down to what there is room for. The rest is for another batch to be told. */
static noinline void batch_trim(struct kscope_batch *batch, u32 unread)
{
	u32 room = kscope_tally_room(&batch->scope->tally, unread);

	if (batch->nr <= room)
		return;
	batch->error = room ? 0 : batch_refuse(batch, unread);
	batch->nr = room;
}

static __always_inline void batch_fit(struct kscope_batch *batch)
{
	struct kscope_scope *scope = batch->scope;
	u32 unread = kscope_ring_unread(scope->ring);

	lockdep_assert_held(&scope->lock);
	if (!kscope_tally_takes(&scope->tally, unread, batch->nr))
		batch_trim(batch, unread);
}

static noinline void batch_queue(struct kscope_batch *batch)
{
	struct kscope_scope *scope = batch->scope;
	struct kscope_queue *queue = kscope_scope_helped(scope);

	list_splice_tail_init(&batch->children, &queue->ready);
	if (!batch->help)
		kscope_queue_kick(queue);
	if (scope->kind == KSCOPE_KIND_PARALLEL)
		kscope_queue_kick(&scope->slow);
}

/* The caller takes a lane's place while it runs them. */
static void batch_claim(struct kscope_batch *batch)
{
	struct kscope_scope *scope = batch->scope;

	batch->claim.task = current;
	hlist_add_head(&batch->claim.node, &scope->claims);
	kscope_scope_helped(scope)->nr_busy++;
}

/* In an inline scope with a policy none is accepted after the one that decides. */
static __always_inline void batch_single_out(struct kscope_batch *batch)
{
	if (batch->scope->claim_work || batch->nr <= 1)
		return;
	batch->nr = 1;
	batch->error = 0;
}

static __always_inline void batch_accept(struct kscope_batch *batch)
{
	u32 nr;

	lockdep_assert_held(&batch->scope->lock);
	batch_fit(batch);
	batch->mine = batch_is_mine(batch);
	if (!batch->mine) {
		batch_admit(batch, batch->nr, &batch->children, QUEUE);
		batch_queue(batch);
		return;
	}
	if (batch->nr == 1) { /* the same, without a loop */
		nr = batch_admit(batch, 1, &batch->claim.children, START);
	} else {
		batch_single_out(batch);
		nr = batch_admit(batch, batch->nr, &batch->claim.children,
				 START);
	}
	if (nr)
		batch_claim(batch);
	else
		batch->mine = false;
}

static noinline void batch_drop(struct kscope_batch *batch, u32 nr_drafted)
{
	u32 i;

	for (i = batch->nr; i < nr_drafted; i++)
		kscope_draft_drop(batch->scope, &batch->drafts[i]);
}

/* Run what the spawner has taken. The claim goes with the batch, so it need not be left empty. */
static __always_inline void batch_run(struct kscope_batch *batch)
{
	struct kscope_scope *scope = batch->scope;
	struct kscope_queue *queue = kscope_scope_helped(scope);

	claim_run(&batch->claim);
	spin_lock(&scope->lock);
	__hlist_del(&batch->claim.node);
	children_end(scope, &batch->claim.children, kscope_child_end);
	queue->nr_busy--;
	kscope_queue_kick(queue);
	batch->enough = kscope_scope_has(scope, batch->min_complete);
	spin_unlock(&scope->lock);
	kscope_scope_notify(scope);
}

static __always_inline int batch_settle(struct kscope_batch *batch)
{
	batch->enough = false;
	if (batch->mine)
		batch_run(batch);
	else if (unlikely(batch->tied)) /* there may be chores */
		kscope_scope_notify(batch->scope);
	return batch->nr ?: batch->error;
}

static void batch_move_in(struct kscope_batch *batch, struct kscope_bay *bay)
{
	batch->bay = bay;
	batch->room = bay->descs;
	batch->descs = bay->descs;
	batch->drafts = bay->drafts;
	batch->max = KSCOPE_BATCH;
}

/**
 * kscope_batch_use_bay() - give a batch the scope's room for those that are not tiny
 * @batch: of whose scope; if another call has the room, or if there is no memory, it makes do
 *
 * The room comes with the first such batch, and stays.
 *
 * Context: process context; may sleep. kscope_batch_end() gives it back.
 */
void kscope_batch_use_bay(struct kscope_batch *batch)
{
	struct kscope_scope *scope = batch->scope;

	if (test_and_set_bit_lock(0, &scope->bay_busy))
		return;
	if (!scope->bay)
		scope->bay = kmalloc(sizeof(*scope->bay), KSCOPE_GFP);
	if (!scope->bay) {
		clear_bit_unlock(0, &scope->bay_busy);
		return;
	}
	batch_move_in(batch, scope->bay);
}

/**
 * kscope_batch_leave_bay() - undo kscope_batch_use_bay(), or kscope_batch_link()
 * @batch: with a bay
 */
void kscope_batch_leave_bay(struct kscope_batch *batch)
{
	if (batch->bay == batch->scope->bay)
		clear_bit_unlock(0, &batch->scope->bay_busy);
	else
		kfree(batch->bay);
}

/**
 * kscope_batch_link() - let descriptors of a call name earlier ones
 * @batch: begun
 * @nr: how many children the call wants, at most KSCOPE_MAX_LINKED; they all come in this batch
 *
 * Context: process context; may sleep.
 * Return: 0 or -ENOMEM.
 */
int kscope_batch_link(struct kscope_batch *batch, u32 nr)
{
	struct kscope_bay *bay;

	static_assert(KSCOPE_MAX_LINKED <= KSCOPE_BATCH);
	batch->linked = true;
	if (nr <= batch->max)
		return 0;
	bay = kmalloc(sizeof(*bay), KSCOPE_GFP);
	if (!bay)
		return -ENOMEM;
	batch_move_in(batch, bay);
	return 0;
}

/**
 * kscope_batch_spawn() - spawn the children of a batch
 * @batch: with @nr descs, at most @max; then @nr is how many were accepted, and @error
 *	why no more, or 0
 *
 * A spawner that helps, and that of an inline scope, runs children here.
 *
 * Context: process context of the spawner; may sleep.
 * Return: how many were accepted: up to the first that is refused, or fewer if there is
 * no room for more; then it is the next batch that is refused. If none: why.
 */
int kscope_batch_spawn(struct kscope_batch *batch)
{
	struct kscope_scope *scope = batch->scope;
	u32 nr_drafted;

	kscope_batch_draft(batch);
	nr_drafted = batch->nr;
	kscope_hook(KSCOPE_POINT_DRAFTED, batch->descs->user_data);
	spin_lock(&scope->lock);
	batch_accept(batch);
	spin_unlock(&scope->lock);
	if (batch->nr < nr_drafted)
		batch_drop(batch, nr_drafted);
	return batch_settle(batch);
}

/**
 * kscope_batch_reserve() - reserve the children of a batch, and tell their handles
 * @batch: as for kscope_batch_spawn()
 * @handles: receives as many as are reserved
 *
 * Context: process context of the spawner; may sleep.
 * Return: how many were reserved, and kscope_batch_publish() or kscope_batch_abort() comes
 * next. If none: why.
 */
int kscope_batch_reserve(struct kscope_batch *batch, u64 *handles)
{
	struct kscope_scope *scope = batch->scope;
	struct kscope_child *child;
	u32 nr_drafted;

	kscope_batch_draft(batch);
	nr_drafted = batch->nr;
	kscope_hook(KSCOPE_POINT_DRAFTED, batch->descs->user_data);
	spin_lock(&scope->lock);
	batch_fit(batch);
	if (scope->kind == KSCOPE_KIND_INLINE)
		batch_single_out(batch);
	batch_admit(batch, batch->nr, &batch->children, RESERVE);
	spin_unlock(&scope->lock);
	batch_drop(batch, nr_drafted);
	list_for_each_entry(child, &batch->children, node) {
		*handles = child->handle;
		handles++;
	}
	return batch->nr ?: batch->error;
}

static void batch_abort(struct kscope_batch *batch)
{
	struct kscope_scope *scope = batch->scope;
	struct kscope_child *child;

	lockdep_assert_held(&scope->lock);
	list_for_each_entry(child, &batch->children, node) {
		kscope_life_abort(&child->life);
		child->status = KSCOPE_STATUS_NEVER;
		if (!child->op->plain)
			kscope_child_drop(child);
		if (scope->at_end & KSCOPE_END_TIES)
			kscope_tie_end(child, false);
	}
	kscope_tally_abort(&scope->tally, batch->nr);
	kscope_line_grant(scope);
	list_splice_init(&batch->children, &scope->free);
	batch->nr = 0;
}

/**
 * kscope_batch_abort() - undo kscope_batch_reserve(): the children never existed
 * @batch: reserved
 *
 * Context: process context.
 */
void kscope_batch_abort(struct kscope_batch *batch)
{
	spin_lock(&batch->scope->lock);
	batch_abort(batch);
	spin_unlock(&batch->scope->lock);
	kscope_scope_notify(batch->scope);
}

/* Return: how many of them do not have to wait for leases */
static u32 batch_publish(struct kscope_batch *batch)
{
	struct kscope_scope *scope = batch->scope;
	struct kscope_child *child, *next;
	u32 nr = batch->nr;

	lockdep_assert_held(&scope->lock);
	list_for_each_entry_safe(child, next, &batch->children, node) {
		kscope_life_publish(&child->life);
		kscope_carry_pack(&child->carry);
		child->spawned_ns = batch->now;
		if (!child->op->plain && child->waits) {
			child_wait(child);
			nr--;
			continue;
		}
		if (batch->mine)
			kscope_life_start(&child->life);
		if (child->op->plain)
			continue;
		child_number(child);
		if (!batch->mine && goes_its_own_way(scope, child))
			list_move_tail(&child->node, &scope->slow.ready);
	}
	kscope_tally_publish(&scope->tally, batch->nr);
	return nr;
}

static void batch_go(struct kscope_batch *batch)
{
	u32 nr;

	batch->mine = batch_is_mine(batch);
	nr = batch_publish(batch);
	if (!batch->mine || !nr) {
		batch->mine = false;
		batch_queue(batch);
		return;
	}
	kscope_tally_start(&batch->scope->tally, nr);
	INIT_LIST_HEAD(&batch->claim.children);
	list_splice_init(&batch->children, &batch->claim.children);
	batch_claim(batch);
}

/**
 * kscope_batch_publish() - accept the reserved children
 * @batch: reserved
 *
 * Context: process context of the spawner, which runs them here if kscope_batch_spawn() would.
 * Return: how many were accepted; or -ECANCELED or -ESHUTDOWN if the scope was closed to
 * children meanwhile: then all are aborted.
 */
int kscope_batch_publish(struct kscope_batch *batch)
{
	struct kscope_scope *scope = batch->scope;
	int ret;

	kscope_hook(KSCOPE_POINT_RESERVED, batch->descs->user_data);
	spin_lock(&scope->lock);
	ret = kscope_tally_open(&scope->tally);
	if (ret)
		batch_abort(batch);
	else
		batch_go(batch);
	spin_unlock(&scope->lock);
	if (!ret)
		return batch_settle(batch);
	kscope_scope_notify(scope);
	return ret;
}

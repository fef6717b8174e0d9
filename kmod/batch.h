/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Batches of children: what spawn.c, draft.c and batch.c share. What each call goes through is
 * inline, as a single child pays for all of it.
 */
#ifndef KSCOPE_BATCH_H
#define KSCOPE_BATCH_H

#include <linux/bitops.h>
#include <linux/ktime.h>

#include "internal.h"

/**
 * struct kscope_draft - a child about to be: what its descriptor names outside of the scope
 * @op: with a reference
 * @file: with a reference; NULL unless the op takes one. Not set if @op is plain, like
 *	@file_error
 * @file_error: why there is no file although the op takes one; it is reported in its turn
 * @child: that it has become, for those that come after it. Only set if the batch is tied
 */
struct kscope_draft {
	struct kscope_op *op;
	struct kscope_child *child;
	struct file *file;
	int file_error;
};

/**
 * struct kscope_bay - room for a batch
 * @descs: copied from the caller
 * @drafts: what became of them
 */
struct kscope_bay {
	struct kscope_desc descs[KSCOPE_BATCH];
	struct kscope_draft drafts[KSCOPE_BATCH];
};

/**
 * struct kscope_batch - children that are spawned together
 * @scope: to be the parent
 * @descs: filled in by the caller, up to @nr, in @room or wherever
 * @drafts: what became of them
 * @nr: in: descriptors, at least 1. out: children that were accepted or reserved
 * @error: why it is not all of them, or 0
 * @help: the caller is going to wait, so it may run them; if it does not, it kicks
 * @mine: it has taken them, and runs them
 * @min_complete: what it is going to wait for, or 0
 * @enough: it is there already, after this batch
 * @linked: descriptors may name earlier ones, as all of the call are here
 * @tied: a child comes after others, or has a deadline
 * @work: bytes of work, with what each child costs besides
 * @now: CLOCK_MONOTONIC, when they are spawned
 * @blockers: where those in the way of a lease are named
 * @max_blockers: how many there is room for
 * @nr_blockers: out: how many are named, if the first one is refused
 * @children: those that are reserved, in order
 * @claim: those that the caller has taken to run them itself
 * @bay: of the scope, if it is used; or one of its own
 * @room: where descriptors can be copied to
 * @max: how many fit there
 * @few_descs: room if there is no bay
 * @few_drafts: likewise
 */
struct kscope_batch {
	struct kscope_scope *scope;
	const struct kscope_desc *descs;
	struct kscope_draft *drafts;
	u32 nr;
	int error;
	bool help;
	bool mine;
	bool enough;
	bool linked;
	bool tied;
	u32 min_complete;
	u64 work;
	u64 now;
	struct kscope_blocker *blockers;
	u32 max_blockers;
	u32 nr_blockers;
	struct list_head children;
	struct kscope_claim claim;
	struct kscope_bay *bay;
	struct kscope_desc *room;
	u32 max;
	struct kscope_desc few_descs[KSCOPE_FEW];
	struct kscope_draft few_drafts[KSCOPE_FEW];
};

/* draft.c */
void kscope_batch_draft_rest(struct kscope_batch *batch, u32 i);
void kscope_draft_drop(struct kscope_scope *scope, struct kscope_draft *draft);
int kscope_draft_refusal(const struct kscope_scope *scope,
			 const struct kscope_draft *draft,
			 const struct kscope_desc *desc);
u32 kscope_draft_blockers(struct kscope_scope *scope,
			  const struct kscope_draft *draft,
			  const struct kscope_desc *desc,
			  struct kscope_blocker *blockers, u32 max);
int kscope_child_furnish(struct kscope_child *child, struct kscope_scope *scope,
			 const struct kscope_draft *draft,
			 const struct kscope_desc *desc, u64 now);

#define KSCOPE_DESC_WORDS (sizeof(struct kscope_desc) / sizeof(u64))

/* Says the descriptor nothing but user_data, and an op that begins with that word */
static inline bool kscope_desc_is_bare(const struct kscope_desc *desc,
				       u64 first)
{
	const u64 *words = (const u64 *)desc;
	u64 found = words[0] ^ first;
	size_t i;

	static_assert(offsetof(struct kscope_desc, user_data) == sizeof(u64));
#pragma GCC unroll 8
	for (i = 2; i < KSCOPE_DESC_WORDS; i++)
		found |= words[i];
	return !found;
}

static inline u64 kscope_op_first_word(const struct kscope_op *op)
{
	const union {
		struct {
			u16 op, flags, op_flags, hash;
		};
		u64 word;
	} first = { { .op = op->number } };

	static_assert(offsetof(struct kscope_desc, hash) == 3 * sizeof(u16));
	return first.word;
}

/* Drafts of one plain op in a row need no reference. Return: how many there are, of at most @nr */
static __always_inline u32 kscope_draft_plain(struct kscope_batch *batch, u32 i,
					      u32 nr, struct kscope_op *op)
{
	const struct kscope_desc *first = &batch->descs[i], *desc = first;
	const struct kscope_desc *end = first + nr;
	struct kscope_draft *draft = &batch->drafts[i];
	u64 word = kscope_op_first_word(op);

	while (desc < end && kscope_desc_is_bare(desc, word)) {
		draft->op = op;
		draft++;
		desc++;
	}
	batch->work += (desc - first) * op->cost;
	return desc - first;
}

static __always_inline u32 kscope_draft_first(struct kscope_batch *batch,
					      struct kscope_op *op)
{
	if (!op->plain)
		return 0;
	if (batch->nr == 1) /* the same, without a loop */
		return kscope_draft_plain(batch, 0, 1, op);
	return kscope_draft_plain(batch, 0, batch->nr, op);
}

/**
 * kscope_batch_draft() - check descriptors, and take what they name outside of the scope
 * @batch: with @nr descs; cut before the first that is wrong
 *
 * Most batches are of one plain op.
 *
 * Context: process context of the spawner; may sleep.
 */
static __always_inline void kscope_batch_draft(struct kscope_batch *batch)
{
	u32 number = batch->descs->op, nr = 0;

	batch->work = 0;
	batch->error = 0;
	batch->tied = false;
	if (number < KSCOPE_NR_BUILTIN)
		nr = kscope_draft_first(batch, kscope_op_get(number));
	if (unlikely(nr < batch->nr))
		kscope_batch_draft_rest(batch, nr);
}

/* batch.c */
void kscope_batch_use_bay(struct kscope_batch *batch);
void kscope_batch_leave_bay(struct kscope_batch *batch);
int kscope_batch_link(struct kscope_batch *batch, u32 nr);
int kscope_batch_spawn(struct kscope_batch *batch);
int kscope_batch_reserve(struct kscope_batch *batch, u64 *handles);
int kscope_batch_publish(struct kscope_batch *batch);
void kscope_batch_abort(struct kscope_batch *batch);

/**
 * kscope_batch_begin() - prepare for the batches of a call
 * @batch: to be used for one after the other
 * @scope: to be the parent
 * @nr: how many children the call wants
 * @min_complete: what it is going to wait for, or 0
 *
 * For calls that spawn more than a few there is room in the scope, for one at a time.
 *
 * Context: process context; may sleep. The caller sets @help next, and kscope_batch_end() comes at
 * the end of the call.
 */
static inline void kscope_batch_begin(struct kscope_batch *batch,
				      struct kscope_scope *scope, u32 nr,
				      u32 min_complete)
{
	batch->scope = scope;
	batch->now = ktime_get_ns();
	batch->min_complete = min_complete;
	batch->max_blockers = 0;
	batch->nr_blockers = 0;
	batch->bay = NULL;
	batch->linked = false;
	batch->room = batch->few_descs;
	batch->drafts = batch->few_drafts;
	batch->max = KSCOPE_FEW;
	if (nr > KSCOPE_FEW)
		kscope_batch_use_bay(batch);
	batch->descs = batch->room;
}

/**
 * kscope_batch_room() - how many descriptors go into the next batch at most
 * @batch: begun
 *
 * Return: at least 1.
 */
static inline u32 kscope_batch_room(const struct kscope_batch *batch)
{
	return batch->linked ? batch->max : kscope_limit(batch->max);
}

/**
 * kscope_batch_end() - undo kscope_batch_begin()
 * @batch: that is spawned or aborted
 */
static inline void kscope_batch_end(struct kscope_batch *batch)
{
	if (batch->bay)
		kscope_batch_leave_bay(batch);
}

#endif /* KSCOPE_BATCH_H */

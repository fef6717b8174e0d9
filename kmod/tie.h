/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ties: what a child waits for besides leases, and when it has to end. See tie.c.
 */
#ifndef KSCOPE_TIE_H
#define KSCOPE_TIE_H

#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/timerqueue.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct kscope_child;
struct kscope_completion;
struct kscope_desc;
struct kscope_draft;
struct kscope_scope;

/* What a parked child waits for: bits of &kscope_child.waits */
#define KSCOPE_WAITS_LEASES BIT(0)
#define KSCOPE_WAITS_AFTER BIT(1) /* for the child that it comes after */
#define KSCOPE_WAITS_DRAIN BIT(2) /* for all earlier ones */
#define KSCOPE_WAITS_END BIT(3) /* it is never going to start */
/* grace.c has those from 4 on, of children that run. */

#define KSCOPE_MAX_EPOCHS 64U

/**
 * struct kscope_tie - what a slot has for a child that is tied to others, or to a time
 * @dependents: S children that come after the one in this slot
 * @sibling: S on @dependents of another, on ties->freed or ties->lost; or empty
 * @deadline: S in the queue of expire.c, or empty
 * @epoch: S in which it was accepted; see drain.c
 * @cause: S for which it never starts, if it waits for its end; KSCOPE_CAUSE_*
 */
struct kscope_tie {
	struct list_head dependents;
	struct list_head sibling;
	struct timerqueue_node deadline;
	u64 epoch;
	u8 cause;
};

/**
 * struct kscope_epochs - who came before whom, as far as drains need to know
 * @front: S the oldest epoch with children that have not ended; the others follow it
 * @nr: S how many follow it, each with a drain
 * @alive: S children of an epoch that have not ended, by its number modulo
 *	KSCOPE_MAX_EPOCHS; nothing if @nr is 0
 * @drain: S the child that begins it, if that waits for it; likewise
 */
struct kscope_epochs {
	u64 front;
	u32 nr;
	u32 alive[KSCOPE_MAX_EPOCHS];
	struct kscope_child *drain[KSCOPE_MAX_EPOCHS];
};

/**
 * struct kscope_expiry - the deadlines of children
 * @queue: S
 * @timer: A for the first of them
 * @work: A cancels those whose time has come, queued by @timer
 */
struct kscope_expiry {
	struct timerqueue_head queue;
	struct hrtimer timer;
	struct work_struct work;
};

/**
 * struct kscope_ties - the ties of a scope's children
 * @scope: C whose
 * @nr: S children on a list by their tie or with a deadline, and drains
 * @freed: S children whose predecessor has finished
 * @lost: S children that never start
 * @epochs: as that says
 * @expiry: as that says
 * @slots: one for each
 */
struct kscope_ties {
	struct kscope_scope *scope;
	u32 nr;
	struct list_head freed;
	struct list_head lost;
	struct kscope_epochs epochs;
	struct kscope_expiry expiry;
	struct kscope_tie slots[];
};

/* tie.c */
int kscope_ties_provide(struct kscope_scope *scope);
void kscope_ties_stop(struct kscope_scope *scope);
void kscope_ties_count(struct kscope_ties *ties, int by);
int kscope_tie_check(struct kscope_child *child,
		     const struct kscope_draft *draft,
		     const struct kscope_desc *desc);
void kscope_tie_bind(struct kscope_child *child,
		     const struct kscope_draft *draft,
		     const struct kscope_desc *desc, u64 now);
void kscope_tie_lose(struct kscope_child *child, u8 cause);
void kscope_tie_park(struct kscope_child *child);
void kscope_tie_end(struct kscope_child *child, bool finished);
void kscope_ties_at_end(struct kscope_scope *scope, u32 from, u32 to);
void kscope_ties_settle(struct kscope_scope *scope);
struct kscope_tie *kscope_child_tie(const struct kscope_child *child);
struct kscope_child *kscope_tie_child(const struct kscope_ties *ties,
				      const struct kscope_tie *tie);

/* drain.c */
bool kscope_epochs_full(const struct kscope_epochs *epochs);
void kscope_epoch_join(struct kscope_child *child);
void kscope_epoch_begin(struct kscope_child *child);
void kscope_epoch_leave(struct kscope_child *child);

/* expire.c */
void kscope_expiry_init(struct kscope_ties *ties);
void kscope_expiry_stop(struct kscope_ties *ties);
void kscope_expiry_add(struct kscope_child *child, u64 ns);
void kscope_expiry_del(struct kscope_child *child);

#endif /* KSCOPE_TIE_H */

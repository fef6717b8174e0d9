/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The states of a child and the tally of a scope, as pure functions: no lock, no
 * allocation, no I/O, so that the same files build as a host program. What every child
 * goes through is inline. The callers hold the scope's lock.
 */
#ifndef KSCOPE_STATE_H
#define KSCOPE_STATE_H

#ifdef __KERNEL__
#include <linux/compiler.h>
#include <linux/errno.h>
#else
#include <errno.h>
#include <stdbool.h>
#define WRITE_ONCE(x, val) ((x) = (val))
#endif
#include <linux/kscope.h>
#include <linux/types.h>

/*
 *                        +-----park----> PARKED
 *                        |                 | unpark
 *                        |                 v
 *   FREE --reserve--> RESERVED --publish--> QUEUED --start--> RUNNING
 *     ^                  |                    |                  |
 *     +------abort-------+        cancel, end |              end |
 *     +---------------------------------------+------------------+
 *
 * PARKED is accepted and waits for leases. It ends as QUEUED does, and the tally counts it there.
 *
 * A child is RUNNING from the moment that somebody has taken it in order to run it. Only
 * RUNNING can be cancelled and stay: @cause then says why, and the return of the operation is
 * the acknowledgment.
 */
enum kscope_phase {
	KSCOPE_PHASE_FREE,
	KSCOPE_PHASE_RESERVED,
	KSCOPE_PHASE_PARKED,
	KSCOPE_PHASE_QUEUED,
	KSCOPE_PHASE_RUNNING,
};

struct kscope_life {
	union {
		struct {
			__u8 phase; /* enum kscope_phase */
			__u8 cause; /* KSCOPE_CAUSE_*: why it shall end early, or 0 */
		};
		__u16 both;
	};
};

struct kscope_tally {
	__u32 state; /* KSCOPE_SCOPE_* */
	__u32 cause; /* KSCOPE_CAUSE_* that closed it to children, or 0 */
	__u32 entries; /* slots, and records of the ring */
	__u32 reserved; /* children in each phase */
	__u32 queued;
	__u32 running;
	__u32 nested; /* scopes in it that have not ended */
	__u32 pending; /* calls that a release must not come into */
	__u32 sealed; /* cancelled for a cause that stays */
	__u64 spawned; /* since the scope was created */
	__u64 completed;
	__u64 failed;
	__u64 cancelled;
};

/* How one child ended */
struct kscope_end {
	__s32 status;
	__u16 outcome;
	__u16 cause;
};

enum kscope_verdict {
	KSCOPE_VERDICT_GONE, /* there is no such child */
	KSCOPE_VERDICT_ENDS, /* it had not started: end it now */
	KSCOPE_VERDICT_TOLD, /* it runs, and is told now */
	KSCOPE_VERDICT_ALREADY, /* it runs, and was told before */
};

void kscope_tally_init(struct kscope_tally *tally, __u32 entries);
int kscope_tally_admits(const struct kscope_tally *tally, __u32 unread);
int kscope_tally_open(const struct kscope_tally *tally);
int kscope_tally_cancel(struct kscope_tally *tally, __u8 cause);
bool kscope_tally_ends(const struct kscope_tally *tally);
int kscope_tally_release(struct kscope_tally *tally);
int kscope_tally_reopen(struct kscope_tally *tally);

__u8 kscope_policy_cause(__u32 policy, __u16 outcome);
enum kscope_verdict kscope_life_cancel(struct kscope_life *life, __u8 cause);
__u16 kscope_life_state(const struct kscope_life *life);

/**
 * kscope_tally_outstanding() - children that may still touch the scope
 * @tally: of the scope
 *
 * Return: how many have a slot and have not completed; a spawn under way counts.
 */
static inline __u32 kscope_tally_outstanding(const struct kscope_tally *tally)
{
	return tally->reserved + tally->queued + tally->running;
}

/**
 * kscope_tally_room() - how many more children may be reserved
 * @tally: of the scope
 * @unread: completions in the ring that nobody has consumed
 *
 * Each outstanding child has a record of the ring set aside for it, so that its
 * completion can always be posted.
 *
 * Return: how many; none unless the scope is open.
 */
static inline __u32 kscope_tally_room(const struct kscope_tally *tally,
				      __u32 unread)
{
	__u64 taken = (__u64)kscope_tally_outstanding(tally) + unread;

	if (tally->state != KSCOPE_SCOPE_OPEN || taken >= tally->entries)
		return 0;
	return tally->entries - taken;
}

/**
 * kscope_tally_takes() - may that many more children be reserved
 * @tally: of the scope
 * @unread: completions in the ring that nobody has consumed
 * @nr: how many
 *
 * Return: are they no more than kscope_tally_room().
 */
static inline bool kscope_tally_takes(const struct kscope_tally *tally,
				      __u32 unread, __u32 nr)
{
	__u64 taken = (__u64)kscope_tally_outstanding(tally) + unread + nr;

	return tally->state == KSCOPE_SCOPE_OPEN && taken <= tally->entries;
}

/*
 * Each arrow comes in two halves: what it does to one child, and what it does to the tally,
 * for all children that go the same way under one hold of the lock.
 */

/**
 * kscope_life_reserve() - FREE to RESERVED
 * @life: of a child
 */
static inline void kscope_life_reserve(struct kscope_life *life)
{
	*life = (struct kscope_life){ .phase = KSCOPE_PHASE_RESERVED };
}

/**
 * kscope_tally_reserve() - count children that were reserved
 * @tally: of their scope, which had room for them
 * @nr: how many
 */
static inline void kscope_tally_reserve(struct kscope_tally *tally, __u32 nr)
{
	tally->reserved += nr;
}

/**
 * kscope_life_abort() - RESERVED back to FREE: the child never existed
 * @life: of a child
 */
static inline void kscope_life_abort(struct kscope_life *life)
{
	life->phase = KSCOPE_PHASE_FREE;
}

/**
 * kscope_tally_abort() - count children that were aborted
 * @tally: of their scope
 * @nr: how many
 */
static inline void kscope_tally_abort(struct kscope_tally *tally, __u32 nr)
{
	tally->reserved -= nr;
}

/**
 * kscope_life_publish() - RESERVED to QUEUED: the child is accepted
 * @life: of a child
 */
static inline void kscope_life_publish(struct kscope_life *life)
{
	life->phase = KSCOPE_PHASE_QUEUED;
}

/**
 * kscope_life_park() - RESERVED to PARKED: the child is accepted, and waits
 * @life: of a child
 */
static inline void kscope_life_park(struct kscope_life *life)
{
	life->phase = KSCOPE_PHASE_PARKED;
}

/**
 * kscope_life_unpark() - PARKED to QUEUED
 * @life: of a child
 */
static inline void kscope_life_unpark(struct kscope_life *life)
{
	life->phase = KSCOPE_PHASE_QUEUED;
}

/**
 * kscope_tally_publish() - count children that were published, or parked
 * @tally: of their scope, which is open
 * @nr: how many
 */
static inline void kscope_tally_publish(struct kscope_tally *tally, __u32 nr)
{
	tally->reserved -= nr;
	tally->queued += nr;
	tally->spawned += nr;
}

/**
 * kscope_life_start() - QUEUED to RUNNING
 * @life: of a child
 */
static inline void kscope_life_start(struct kscope_life *life)
{
	life->phase = KSCOPE_PHASE_RUNNING;
}

/**
 * kscope_tally_start() - count children that were started
 * @tally: of their scope
 * @nr: how many
 */
static inline void kscope_tally_start(struct kscope_tally *tally, __u32 nr)
{
	tally->queued -= nr;
	tally->running += nr;
}

/**
 * kscope_life_waits() - is the child accepted, and has not started
 * @life: of the child
 *
 * Return: true if it is PARKED or QUEUED.
 */
static inline bool kscope_life_waits(const struct kscope_life *life)
{
	return life->phase == KSCOPE_PHASE_PARKED ||
	       life->phase == KSCOPE_PHASE_QUEUED;
}

#define KSCOPE_STATUS_MIN (-511) /* what is below is for the kernel's own use */

static inline struct kscope_end
kscope_life_judge(const struct kscope_life *life, int status)
{
	struct kscope_end end = { .status = status, .cause = life->cause };

	if (kscope_life_waits(life)) {
		end.outcome = KSCOPE_NEVER_STARTED;
		end.status = -ECANCELED;
	} else if (!status) {
		end.outcome = life->cause ? KSCOPE_FINISHED_ANYWAY :
					    KSCOPE_FINISHED;
	} else if (status == -ECANCELED && life->cause) {
		end.outcome = KSCOPE_STOPPED;
	} else {
		end.outcome = KSCOPE_FAILED;
		if (status > 0 || status < KSCOPE_STATUS_MIN)
			end.status = -EIO;
	}
	return end;
}

/**
 * kscope_life_finish() - RUNNING to FREE, if the child has just finished
 * @life: of the child
 * @status: what the operation returned
 *
 * The quick way for what most children do. kscope_tally_finish() counts all of those that
 * end together.
 *
 * Return: true, and its outcome is KSCOPE_FINISHED; else kscope_life_end() is the way.
 */
static inline bool kscope_life_finish(struct kscope_life *life, int status)
{
	const struct kscope_life untold = { .phase = KSCOPE_PHASE_RUNNING };

	if (life->both != untold.both || status)
		return false;
	life->phase = KSCOPE_PHASE_FREE;
	return true;
}

/**
 * kscope_tally_finish() - count children for which kscope_life_finish() was true
 * @tally: of their scope
 * @nr: how many
 */
static inline void kscope_tally_finish(struct kscope_tally *tally, __u32 nr)
{
	tally->running -= nr;
	tally->completed += nr;
}

/**
 * kscope_life_end() - PARKED or QUEUED (cancelled) or RUNNING to FREE: the child has ended
 * @life: of the child
 * @tally: of its scope
 * @status: what the operation returned; not looked at if it never ran. What is no
 *	errno counts as -EIO
 *
 * Return: what its completion shall say.
 */
static inline struct kscope_end kscope_life_end(struct kscope_life *life,
						struct kscope_tally *tally,
						int status)
{
	struct kscope_end end = kscope_life_judge(life, status);

	if (kscope_life_waits(life))
		tally->queued--;
	else
		tally->running--;
	tally->completed++;
	if (end.outcome == KSCOPE_FAILED)
		tally->failed++;
	if (end.outcome == KSCOPE_NEVER_STARTED ||
	    end.outcome == KSCOPE_STOPPED)
		tally->cancelled++;
	life->phase = KSCOPE_PHASE_FREE;
	return end;
}

#endif /* KSCOPE_STATE_H */

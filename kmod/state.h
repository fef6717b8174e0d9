/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The states of a child and the tally of a scope, as pure functions: no lock, no
 * allocation, no I/O, and no kernel header, so that the same file builds as a host
 * program. The callers hold the scope's lock.
 */
#ifndef KSCOPE_STATE_H
#define KSCOPE_STATE_H

#include <linux/kscope.h>
#include <linux/types.h>

/*
 *   FREE --reserve--> RESERVED --publish--> QUEUED --start--> RUNNING
 *     ^                  |                    |                  |
 *     +------abort-------+        cancel, end |              end |
 *     +---------------------------------------+------------------+
 *
 * Only RUNNING can be cancelled and stay: @cause then says why, and the return of the
 * operation is the acknowledgment.
 */
enum kscope_phase {
	KSCOPE_PHASE_FREE,
	KSCOPE_PHASE_RESERVED,
	KSCOPE_PHASE_QUEUED,
	KSCOPE_PHASE_RUNNING,
};

struct kscope_life {
	__u8 phase; /* enum kscope_phase */
	__u8 cause; /* KSCOPE_CAUSE_*: why it shall end early, 0 if it shall not */
};

struct kscope_tally {
	__u32 state; /* KSCOPE_SCOPE_* */
	__u32 entries; /* slots, and records of the ring */
	__u32 reserved; /* children in each phase */
	__u32 queued;
	__u32 running;
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
__u32 kscope_tally_outstanding(const struct kscope_tally *tally);
int kscope_tally_admits(const struct kscope_tally *tally, __u32 unread);
int kscope_tally_open(const struct kscope_tally *tally);
int kscope_tally_cancel(struct kscope_tally *tally);
int kscope_tally_release(struct kscope_tally *tally);

void kscope_life_reserve(struct kscope_life *life, struct kscope_tally *tally);
void kscope_life_abort(struct kscope_life *life, struct kscope_tally *tally);
void kscope_life_publish(struct kscope_life *life, struct kscope_tally *tally);
void kscope_life_start(struct kscope_life *life, struct kscope_tally *tally);
enum kscope_verdict kscope_life_cancel(struct kscope_life *life, __u8 cause);
struct kscope_end kscope_life_end(struct kscope_life *life,
				  struct kscope_tally *tally, int status);
__u16 kscope_life_state(const struct kscope_life *life);

#endif /* KSCOPE_STATE_H */

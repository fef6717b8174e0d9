// SPDX-License-Identifier: GPL-2.0
/*
 * Transitions of a child and of its scope's tally. Each function here is one arrow of
 * the picture in state.h; the callers hold the scope's lock and do the rest (lists,
 * ring, wake-ups) in the same critical section, so nobody sees half an arrow.
 */
#ifdef __KERNEL__
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/string.h>
#else
#include <errno.h>
#include <string.h>
#define WRITE_ONCE(x, val) ((x) = (val))
#endif

#include "state.h"

#define STATUS_MIN (-511) /* what is below is for the kernel's own use */

/**
 * kscope_tally_init() - start the tally of an open scope
 * @tally: to set
 * @entries: slots of the scope, which is also the length of its ring
 */
void kscope_tally_init(struct kscope_tally *tally, __u32 entries)
{
	memset(tally, 0, sizeof(*tally));
	tally->state = KSCOPE_SCOPE_OPEN;
	tally->entries = entries;
}

/**
 * kscope_tally_outstanding() - children that may still touch the scope
 * @tally: of the scope
 *
 * Return: how many have a slot and have not completed; a spawn under way counts.
 */
__u32 kscope_tally_outstanding(const struct kscope_tally *tally)
{
	return tally->reserved + tally->queued + tally->running;
}

/**
 * kscope_tally_open() - does the scope take children at all
 * @tally: of the scope
 *
 * Return: 0, -ECANCELED or -ESHUTDOWN.
 */
int kscope_tally_open(const struct kscope_tally *tally)
{
	switch (tally->state) {
	case KSCOPE_SCOPE_OPEN:
		return 0;
	case KSCOPE_SCOPE_CANCELLED:
		return -ECANCELED;
	default:
		return -ESHUTDOWN;
	}
}

/**
 * kscope_tally_admits() - may one more child be reserved
 * @tally: of the scope
 * @unread: completions in the ring that nobody has consumed
 *
 * Each outstanding child has a record of the ring set aside for it, so that its
 * completion can always be posted.
 *
 * Return: 0, -ECANCELED, -ESHUTDOWN, or -EAGAIN if the ring could overflow.
 */
int kscope_tally_admits(const struct kscope_tally *tally, __u32 unread)
{
	__u64 taken = (__u64)kscope_tally_outstanding(tally) + unread;
	int ret = kscope_tally_open(tally);

	if (ret)
		return ret;
	return taken < tally->entries ? 0 : -EAGAIN;
}

/**
 * kscope_tally_cancel() - close the scope to new children
 * @tally: of the scope
 *
 * Return: 0, or -ESHUTDOWN if it has been released. Doing it twice is no error.
 */
int kscope_tally_cancel(struct kscope_tally *tally)
{
	if (tally->state == KSCOPE_SCOPE_RELEASED)
		return -ESHUTDOWN;
	tally->state = KSCOPE_SCOPE_CANCELLED;
	return 0;
}

/**
 * kscope_tally_release() - end the scope
 * @tally: of the scope
 *
 * Return: 0, -ESHUTDOWN if it has been released, -EBUSY while anything is outstanding.
 */
int kscope_tally_release(struct kscope_tally *tally)
{
	if (tally->state == KSCOPE_SCOPE_RELEASED)
		return -ESHUTDOWN;
	if (kscope_tally_outstanding(tally))
		return -EBUSY;
	tally->state = KSCOPE_SCOPE_RELEASED;
	return 0;
}

/**
 * kscope_life_reserve() - FREE to RESERVED
 * @life: of the child
 * @tally: of its scope, which admits it
 */
void kscope_life_reserve(struct kscope_life *life, struct kscope_tally *tally)
{
	life->phase = KSCOPE_PHASE_RESERVED;
	life->cause = KSCOPE_CAUSE_NONE;
	tally->reserved++;
}

/**
 * kscope_life_abort() - RESERVED back to FREE: the child never existed
 * @life: of the child
 * @tally: of its scope
 */
void kscope_life_abort(struct kscope_life *life, struct kscope_tally *tally)
{
	life->phase = KSCOPE_PHASE_FREE;
	tally->reserved--;
}

/**
 * kscope_life_publish() - RESERVED to QUEUED: the child is accepted
 * @life: of the child
 * @tally: of its scope, which is open
 */
void kscope_life_publish(struct kscope_life *life, struct kscope_tally *tally)
{
	life->phase = KSCOPE_PHASE_QUEUED;
	tally->reserved--;
	tally->queued++;
	tally->spawned++;
}

/**
 * kscope_life_start() - QUEUED to RUNNING
 * @life: of the child
 * @tally: of its scope
 */
void kscope_life_start(struct kscope_life *life, struct kscope_tally *tally)
{
	life->phase = KSCOPE_PHASE_RUNNING;
	tally->queued--;
	tally->running++;
}

/**
 * kscope_life_cancel() - ask a child to end early
 * @life: of the child
 * @cause: KSCOPE_CAUSE_*; the first one stands
 *
 * Return: what that means for the caller.
 */
enum kscope_verdict kscope_life_cancel(struct kscope_life *life, __u8 cause)
{
	switch (life->phase) {
	case KSCOPE_PHASE_QUEUED:
		life->cause = cause;
		return KSCOPE_VERDICT_ENDS;
	case KSCOPE_PHASE_RUNNING:
		if (life->cause)
			return KSCOPE_VERDICT_ALREADY;
		WRITE_ONCE(life->cause, cause);
		return KSCOPE_VERDICT_TOLD;
	default:
		return KSCOPE_VERDICT_GONE;
	}
}

static struct kscope_end end_of(const struct kscope_life *life, int status)
{
	struct kscope_end end = { .status = status, .cause = life->cause };

	if (life->phase == KSCOPE_PHASE_QUEUED) {
		end.outcome = KSCOPE_NEVER_STARTED;
		end.status = -ECANCELED;
	} else if (!status) {
		end.outcome = life->cause ? KSCOPE_FINISHED_ANYWAY :
					    KSCOPE_FINISHED;
	} else if (status == -ECANCELED && life->cause) {
		end.outcome = KSCOPE_STOPPED;
	} else {
		end.outcome = KSCOPE_FAILED;
		if (status > 0 || status < STATUS_MIN)
			end.status = -EIO;
	}
	return end;
}

/**
 * kscope_life_end() - QUEUED (cancelled) or RUNNING to FREE: the child has ended
 * @life: of the child
 * @tally: of its scope
 * @status: what the operation returned; not looked at if it never ran. What is no
 *	errno counts as -EIO
 *
 * Return: what its completion shall say.
 */
struct kscope_end kscope_life_end(struct kscope_life *life,
				  struct kscope_tally *tally, int status)
{
	struct kscope_end end = end_of(life, status);

	if (life->phase == KSCOPE_PHASE_QUEUED)
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

/**
 * kscope_life_state() - the phase as the ABI names it
 * @life: of an accepted child
 *
 * Return: KSCOPE_STATE_*
 */
__u16 kscope_life_state(const struct kscope_life *life)
{
	if (life->phase != KSCOPE_PHASE_RUNNING)
		return KSCOPE_STATE_QUEUED;
	return life->cause ? KSCOPE_STATE_CANCELLING : KSCOPE_STATE_RUNNING;
}

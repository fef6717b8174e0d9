// SPDX-License-Identifier: GPL-2.0
/*
 * Transitions of a child and of its scope's tally that are not on the way of every child;
 * the others are inline in state.h. Each is one arrow of the picture there; the callers
 * hold the scope's lock and do the rest (lists, ring) in the same critical section, so
 * nobody sees half an arrow.
 */
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif

#include "state.h"

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
 * Return: 0, -ECANCELED, -ESHUTDOWN, or -EAGAIN if the ring could overflow.
 */
int kscope_tally_admits(const struct kscope_tally *tally, __u32 unread)
{
	int ret = kscope_tally_open(tally);

	if (ret)
		return ret;
	return kscope_tally_room(tally, unread) ? 0 : -EAGAIN;
}

/* Does nothing that a caller can do open the scope again? */
static bool cause_stays(__u8 cause)
{
	return cause != KSCOPE_CAUSE_CALLER && cause != KSCOPE_CAUSE_FAILURE &&
	       cause != KSCOPE_CAUSE_SUCCESS;
}

/**
 * kscope_tally_cancel() - close the scope to new children
 * @tally: of the scope
 * @cause: KSCOPE_CAUSE_*; the first one stands
 *
 * Return: 0, or -ESHUTDOWN if it has been released. Doing it twice is no error.
 */
int kscope_tally_cancel(struct kscope_tally *tally, __u8 cause)
{
	if (tally->state == KSCOPE_SCOPE_RELEASED)
		return -ESHUTDOWN;
	if (tally->state == KSCOPE_SCOPE_OPEN)
		tally->cause = cause;
	if (cause_stays(cause))
		tally->sealed = true;
	tally->state = KSCOPE_SCOPE_CANCELLED;
	return 0;
}

/**
 * kscope_policy_cause() - does the end of a child decide over its siblings
 * @policy: of the scope
 * @outcome: how the child ended
 *
 * Return: KSCOPE_CAUSE_* for which the others shall end early, or 0.
 */
__u8 kscope_policy_cause(__u32 policy, __u16 outcome)
{
	bool succeeded = outcome == KSCOPE_FINISHED ||
			 outcome == KSCOPE_FINISHED_ANYWAY;

	if (policy == KSCOPE_POLICY_FAIL_FAST && outcome == KSCOPE_FAILED)
		return KSCOPE_CAUSE_FAILURE;
	if (policy == KSCOPE_POLICY_FIRST_SUCCESS && succeeded)
		return KSCOPE_CAUSE_SUCCESS;
	return KSCOPE_CAUSE_NONE;
}

/**
 * kscope_tally_ends() - is nothing in the way of a release
 * @tally: of the scope
 *
 * Return: true if no child is outstanding and no nested scope is left.
 */
bool kscope_tally_ends(const struct kscope_tally *tally)
{
	return !kscope_tally_outstanding(tally) && !tally->nested &&
	       !tally->pending;
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
	if (!kscope_tally_ends(tally))
		return -EBUSY;
	tally->state = KSCOPE_SCOPE_RELEASED;
	return 0;
}

/**
 * kscope_tally_reopen() - let a scope that was cancelled take children again
 * @tally: of the scope
 *
 * Return: 0; -EBUSY while a child is outstanding; -ECANCELED if it was cancelled for a cause
 * that stays, such as its deadline, be it the first or not; -ESHUTDOWN if it has been released.
 */
int kscope_tally_reopen(struct kscope_tally *tally)
{
	if (tally->state == KSCOPE_SCOPE_RELEASED)
		return -ESHUTDOWN;
	if (kscope_tally_outstanding(tally))
		return -EBUSY;
	if (tally->sealed)
		return -ECANCELED;
	tally->state = KSCOPE_SCOPE_OPEN;
	tally->cause = KSCOPE_CAUSE_NONE;
	return 0;
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
	case KSCOPE_PHASE_PARKED:
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

/**
 * kscope_life_state() - the phase as the ABI names it
 * @life: of an accepted child
 *
 * Return: KSCOPE_STATE_*
 */
__u16 kscope_life_state(const struct kscope_life *life)
{
	if (life->phase == KSCOPE_PHASE_PARKED)
		return KSCOPE_STATE_PARKED;
	if (life->phase != KSCOPE_PHASE_RUNNING)
		return KSCOPE_STATE_QUEUED;
	return life->cause ? KSCOPE_STATE_CANCELLING : KSCOPE_STATE_RUNNING;
}

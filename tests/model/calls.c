// SPDX-License-Identifier: GPL-2.0
/*
 * What programs do: create, spawn, cancel, release, read, write nonsense, close.
 */
#include "world.h"

/* A call has ended: if the fd is closed and this was the last, it ends the scope. */
void call_ends(struct scope *scope)
{
	if (scope->step != STEP_LEFT || scope_has_calls(scope))
		return;
	events[CLOSE_BY_CALL]++;
	scope->step = STEP_CLOSE;
}

/* Return: 1 + a thread that is outside of all calls, or 0. They are alike. */
int idle_thread(const struct world *world)
{
	int t;

	for (t = 0; t < NR_THREADS; t++)
		if (!(world->busy & 1 << t))
			return t + 1;
	return 0;
}

bool may_call(const struct world *world, const struct scope *scope)
{
	return scope->step == STEP_USED && idle_thread(world);
}

bool rule_create(struct world *world, struct scope *scope, int arg)
{
	if (scope->step != STEP_GONE)
		return false;
	scope_make(scope, scope - world->scope);
	return true;
}

static void note_refusal(int ret)
{
	events[SPAWN_FULL] += ret == -EAGAIN;
	events[SPAWN_CANCELLED] += ret == -ECANCELED;
	events[SPAWN_RELEASED] += ret == -ESHUTDOWN;
}

/* As batch_fit() and batch_admit(). Return: were any reserved */
static bool reserve(struct scope *scope, int thread, __u32 wanted)
{
	__u32 unread = ring_unread(scope);
	__u32 room = kscope_tally_room(&scope->tally, unread);

	if (!room) {
		note_refusal(kscope_tally_admits(&scope->tally, unread));
		return false;
	}
	events[SPAWN_CUT] += room < wanted;
	batch_reserve(scope, THREAD(thread), room < wanted ? room : wanted);
	return true;
}

/*
 * As kscope_batch_reserve(). A spawn that tells no handles does this and what comes next under one
 * hold of the lock; nothing of that can be seen that is not seen here as well.
 */
bool rule_reserve(struct world *world, struct scope *scope, int arg)
{
	return may_call(world, scope) &&
	       reserve(scope, idle_thread(world) - 1, arg + 1);
}

static bool has_reserved(const struct scope *scope, int thread)
{
	return owner_has(scope, THREAD(thread), KSCOPE_PHASE_RESERVED);
}

/* The next batch of a call that has left one without a kick */
bool rule_reserve_more(struct world *world, struct scope *scope, int arg)
{
	if (!(scope->going & 1 << arg) || has_reserved(scope, arg) ||
	    owner_has(scope, THREAD(arg), KSCOPE_PHASE_RUNNING))
		return false;
	if (!reserve(scope, arg, 1))
		return false;
	events[SPAWNER_GOES_ON]++;
	return true;
}

/* As kscope_batch_publish(), to see whether the scope is still open. Return: is it */
static bool publish(struct scope *scope, int thread)
{
	int ret = kscope_tally_open(&scope->tally);

	events[PUBLISH_REFUSED] += !!ret;
	if (ret)
		batch_abort(scope, THREAD(thread));
	return !ret;
}

bool rule_publish(struct world *world, struct scope *scope, int arg)
{
	if (!has_reserved(scope, arg) || !scope->lanes)
		return false;
	if (publish(scope, arg)) {
		batch_publish(scope, THREAD(arg));
		queue_kick(scope);
	}
	call_ends(scope);
	return true;
}

/* batch->help: somebody who is going to wait kicks no lane, and has to do so later. */
bool rule_publish_quietly(struct world *world, struct scope *scope, int arg)
{
	if (!has_reserved(scope, arg) || !scope->lanes)
		return false;
	if (publish(scope, arg)) {
		batch_publish(scope, THREAD(arg));
		scope->going |= 1 << arg;
	}
	call_ends(scope);
	return true;
}

/* batch->mine: it runs them itself; that of an inline scope always does. */
bool rule_publish_and_run(struct world *world, struct scope *scope, int arg)
{
	if (!has_reserved(scope, arg))
		return false;
	if (scope->lanes &&
	    (scope->nr_busy >= scope->lanes || scope_ready(scope)))
		return false;
	if (publish(scope, arg)) {
		batch_start(scope, THREAD(arg));
		scope->nr_busy++;
	} else {
		call_ends(scope);
	}
	return true;
}

/* As kscope_batch_abort(), when the handles could not be told */
bool rule_abort(struct world *world, struct scope *scope, int arg)
{
	if (!has_reserved(scope, arg))
		return false;
	batch_abort(scope, THREAD(arg));
	call_ends(scope);
	return true;
}

#if !POLICY
/* Does one of its children run that was not told */
static bool has_untold(const struct scope *scope, __u8 owner)
{
	const struct child *child = scope->child;

	for (; child < scope->child + scope->entries; child++)
		if (child->life.phase == KSCOPE_PHASE_RUNNING &&
		    child->owner == owner && !child->life.cause)
			return true;
	return false;
}
#endif

/*
 * As cancel_one(), and as one look of cancel_by_user_data(), which lets go of the lock between
 * two of them. The latter meets slots in each phase.
 */
bool rule_cancel_child(struct world *world, struct scope *scope, int arg)
{
	struct child *child = &scope->child[arg];
	bool news;

	if (!may_call(world, scope))
		return false;
	events[CANCEL_RESERVED] += child->life.phase == KSCOPE_PHASE_RESERVED;
	events[CANCEL_QUEUED] += child->life.phase == KSCOPE_PHASE_QUEUED;
	events[CANCEL_DOOMED] += child->doomed;
	news = child_cancel(scope, child, KSCOPE_CAUSE_CALLER);
	events[CANCEL_AGAIN] += child->accepted && !news;
	events[CANCEL_RUNNING] += child->accepted && news;
#if !POLICY
	events[CANCEL_PART] += child->life.phase == KSCOPE_PHASE_RUNNING &&
			       has_untold(scope, child->owner);
#endif
	return news;
}

bool rule_cancel_scope(struct world *world, struct scope *scope, int arg)
{
	if (!may_call(world, scope))
		return false;
	events[CANCEL_RELEASED] += scope->shut == KSCOPE_SCOPE_RELEASED;
	cancel_all(scope, KSCOPE_CAUSE_CALLER);
	if (!scope->canceller && find_queued(scope, true))
		scope->canceller = idle_thread(world);
	return true;
}

/* As one round of cancel_doomed(), by a call */
bool rule_cancel_next(struct world *world, struct scope *scope, int arg)
{
	struct child *child = find_queued(scope, true);

	if (!scope->canceller)
		return false;
	if (child) {
		child_cancel(scope, child, scope->tally.cause);
	} else {
		scope->canceller = 0;
		call_ends(scope);
	}
	return true;
}

bool rule_release(struct world *world, struct scope *scope, int arg)
{
	int expected = scope_taken(scope) ? -EBUSY : 0;
	int ret;

	if (!may_call(world, scope))
		return false;
	if (scope->shut == KSCOPE_SCOPE_RELEASED)
		expected = -ESHUTDOWN;
	ret = kscope_tally_release(&scope->tally);
	PROMISE(ret == expected, "the release answers wrongly");
	events[RELEASE_BUSY] += ret == -EBUSY;
	events[RELEASE_AGAIN] += ret == -ESHUTDOWN;
	if (!ret)
		scope->shut = KSCOPE_SCOPE_RELEASED;
	return true;
}

/* As scope_reopen(). No deadline closes a scope here, and who closes one makes no calls. */
bool rule_reopen(struct world *world, struct scope *scope, int arg)
{
	int expected = scope_taken(scope) ? -EBUSY : 0;
	int ret;

	if (!may_call(world, scope))
		return false;
	if (scope->shut == KSCOPE_SCOPE_RELEASED)
		expected = -ESHUTDOWN;
	ret = kscope_tally_reopen(&scope->tally);
	PROMISE(ret == expected, "the reopening answers wrongly");
	if (ret)
		return true;
	events[REOPENED] += scope->shut == KSCOPE_SCOPE_CANCELLED;
	scope->shut = KSCOPE_SCOPE_OPEN;
	scope->cause = KSCOPE_CAUSE_NONE;
	if (scope->carrying == CARRY_DECISION)
		scope->carrying = CARRY_NOTHING;
	return true;
}

bool rule_read(struct world *world, struct scope *scope, int arg)
{
	if (scope->step == STEP_GONE || !scope->honest || !scope->gap)
		return false;
	scope->gap--;
	return true;
}

/* Ahead of the tail, at the tail, further back than the ring is long; posting does the rest. */
bool rule_scribble(struct world *world, struct scope *scope, int arg)
{
	const int gaps[] = { -1, 0, scope->entries + 1 };

	if (scope->step == STEP_GONE)
		return false;
	scope->honest = false;
	scope->gap = gaps[arg];
	return true;
}

bool rule_close(struct world *world, struct scope *scope, int arg)
{
	if (scope->step != STEP_USED)
		return false;
	scope->step = scope_has_calls(scope) ? STEP_LEFT : STEP_CLOSE;
	return true;
}

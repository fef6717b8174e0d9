// SPDX-License-Identifier: GPL-2.0
/*
 * What programs do: create, spawn, cancel, release, read, write nonsense, close.
 */
#include "world.h"

/* A call has ended: if the fd is closed and this was the last, it ends the scope. */
static void call_ends(struct scope *scope)
{
	if (scope->step != STEP_LEFT || scope_has_calls(scope))
		return;
	events[CLOSE_BY_CALL]++;
	scope->step = STEP_CLOSE;
}

/* Return: 1 + a thread that is outside of all calls, or 0. They are alike. */
static int idle_thread(const struct world *world)
{
	int t;

	for (t = 0; t < NR_THREADS; t++)
		if (!(world->busy & 1 << t))
			return t + 1;
	return 0;
}

static bool may_call(const struct world *world, const struct scope *scope)
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

static struct child *find_free(struct scope *scope)
{
	int i;

	for (i = 0; i < scope->entries; i++)
		if (scope->child[i].life.phase == KSCOPE_PHASE_FREE)
			return &scope->child[i];
	return NULL;
}

static void note_refusal(int ret, int nr)
{
	events[SPAWN_FULL] += ret == -EAGAIN;
	events[SPAWN_CUT] += ret == -EAGAIN && nr;
	events[SPAWN_CANCELLED] += ret == -ECANCELED;
	events[SPAWN_RELEASED] += ret == -ESHUTDOWN;
}

/* As kscope_batch_reserve() */
bool rule_reserve(struct world *world, struct scope *scope, int arg)
{
	struct child *child;
	int nr, ret = 0;

	if (!may_call(world, scope))
		return false;
	for (nr = 0; nr <= arg; nr++) {
		ret = kscope_tally_admits(&scope->tally, ring_unread(scope));
		if (ret)
			break;
		child = find_free(scope);
		PROMISE(child, "a child is admitted, and there is no slot");
		if (!child)
			return true;
		child_reserve(scope, child, idle_thread(world) - 1);
	}
	note_refusal(ret, nr);
	return nr;
}

static bool has_reserved(const struct scope *scope, int thread)
{
	int i;

	for (i = 0; i < scope->entries; i++)
		if (scope->child[i].life.phase == KSCOPE_PHASE_RESERVED &&
		    scope->child[i].spawner == thread)
			return true;
	return false;
}

/* The batch of a thread is accepted, or none of it is. */
static void batch_end(struct scope *scope, int thread,
		      void (*end)(struct scope *scope, struct child *child))
{
	struct child *child;
	int i;

	for (i = 0; i < scope->entries; i++) {
		child = &scope->child[i];
		if (child->life.phase == KSCOPE_PHASE_RESERVED &&
		    child->spawner == thread)
			end(scope, child);
	}
	call_ends(scope);
}

/* As kscope_batch_publish() */
bool rule_publish(struct world *world, struct scope *scope, int arg)
{
	int ret;

	if (!has_reserved(scope, arg))
		return false;
	ret = kscope_tally_open(&scope->tally);
	events[PUBLISH_REFUSED] += !!ret;
	batch_end(scope, arg, ret ? child_abort : child_publish);
	return true;
}

/* As kscope_batch_abort(), when the handles could not be told */
bool rule_abort(struct world *world, struct scope *scope, int arg)
{
	if (!has_reserved(scope, arg))
		return false;
	batch_end(scope, arg, child_abort);
	return true;
}

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
		child_cancel(scope, child, KSCOPE_CAUSE_CALLER);
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

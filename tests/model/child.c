// SPDX-License-Identifier: GPL-2.0
/*
 * What happens to children, as the module does it under the scope's lock. Each real transition
 * is asked here, and its answer checked.
 */
#include "world.h"

/* What a child returns, and what its completion must say of it */
struct ending {
	int returned;
	int status;
	__u16 untold; /* outcome */
	__u16 told;
};

static const struct ending endings[] = {
	{ -ECANCELED, -ECANCELED, KSCOPE_FAILED, KSCOPE_STOPPED },
	{ -EIO, -EIO, KSCOPE_FAILED, KSCOPE_FAILED },
	{ -511, -511, KSCOPE_FAILED, KSCOPE_FAILED },
	{ -512, -EIO, KSCOPE_FAILED, KSCOPE_FAILED }, /* not for programs */
	{ 17, -EIO, KSCOPE_FAILED, KSCOPE_FAILED }, /* no errno */
	{ 0, 0, KSCOPE_FINISHED, KSCOPE_FINISHED_ANYWAY },
};

#define NR_ENDINGS ((int)ARRAY_SIZE(endings))

static const struct ending never_started = {
	.returned = 0, /* not looked at */
	.status = -ECANCELED,
	.told = KSCOPE_NEVER_STARTED,
};

void drained(struct scope *scope)
{
	if (scope->step < STEP_HANDED ||
	    kscope_tally_outstanding(&scope->tally))
		return;
	PROMISE(scope->step == STEP_HANDED, "the reaper is queued twice");
	scope->step = STEP_REAP;
}

static void ring_post(struct scope *scope)
{
	PROMISE(!scope->honest || scope->gap < scope->entries,
		"an unread completion is overwritten");
	if (scope->gap <= scope->entries)
		scope->gap++;
}

static void count_end(struct counts *counts, __u16 outcome)
{
	counts->completed++;
	counts->failed += outcome == KSCOPE_FAILED;
	counts->cancelled += outcome == KSCOPE_NEVER_STARTED ||
			     outcome == KSCOPE_STOPPED;
}

/* As kscope_child_end() */
static void child_end(struct scope *scope, struct child *child,
		      const struct ending *ending)
{
	__u8 cause = child->life.cause;
	__u16 outcome = cause ? ending->told : ending->untold;
	struct kscope_end end;

	end = kscope_life_end(&child->life, &scope->tally, ending->returned);
	PROMISE(end.cause == cause, "the completion names another cause");
	PROMISE(end.outcome == outcome, "the completion has a wrong outcome");
	PROMISE(end.status == ending->status,
		"the completion has a wrong status");
	PROMISE(child->life.phase == KSCOPE_PHASE_FREE, "an end is no end");
	PROMISE(child->accepted, "a second completion");
	child->accepted = false;
	child->doomed = false;
	count_end(&scope->counts, outcome);
	ring_post(scope);
	drained(scope);
}

static bool is_new(const struct child *child, __u8 phase)
{
	return child->life.phase == phase && !child->life.cause;
}

/* As kscope_child_reserve() */
void child_reserve(struct scope *scope, struct child *child, int thread)
{
	kscope_life_reserve(&child->life, &scope->tally);
	PROMISE(is_new(child, KSCOPE_PHASE_RESERVED),
		"a reserved child is not as new");
	PROMISE(scope->shut == KSCOPE_SCOPE_OPEN, "a closed scope reserves");
	child->spawner = thread;
}

/* As kscope_child_publish(), kscope_queue_add() */
void child_publish(struct scope *scope, struct child *child)
{
	__u32 busy = scope->pending + scope->looking +
		     scope_count(scope, KSCOPE_PHASE_RUNNING);

	kscope_life_publish(&child->life, &scope->tally);
	PROMISE(scope->shut == KSCOPE_SCOPE_OPEN, "a closed scope accepts");
	PROMISE(is_new(child, KSCOPE_PHASE_QUEUED),
		"a published child is not queued");
	child->accepted = true;
	scope->counts.spawned++;
	if (busy < scope->lanes)
		scope->pending++;
}

void child_abort(struct scope *scope, struct child *child)
{
	kscope_life_abort(&child->life, &scope->tally);
	PROMISE(child->life.phase == KSCOPE_PHASE_FREE, "an abort is no end");
}

void child_start(struct scope *scope, struct child *child)
{
	kscope_life_start(&child->life, &scope->tally);
	PROMISE(is_new(child, KSCOPE_PHASE_RUNNING),
		"a started child does not just run");
}

/* As kscope_child_run(): each thing that it can return ends it, and comes to the same world. */
void child_return(struct scope *scope, int slot)
{
	struct scope other;
	int i;

	for (i = 0; i < NR_ENDINGS - 1; i++) {
		other = *scope;
		child_end(&other, &other.child[slot], &endings[i]);
		scope_check(&other);
	}
	child_end(scope, &scope->child[slot], &endings[i]);
}

static enum kscope_verdict verdict_on(const struct kscope_life *life)
{
	if (life->phase < KSCOPE_PHASE_QUEUED)
		return KSCOPE_VERDICT_GONE;
	if (life->phase == KSCOPE_PHASE_QUEUED)
		return KSCOPE_VERDICT_ENDS;
	return life->cause ? KSCOPE_VERDICT_ALREADY : KSCOPE_VERDICT_TOLD;
}

/* As child_cancel(). Return: has anything changed */
bool child_cancel(struct scope *scope, struct child *child, __u8 cause)
{
	enum kscope_verdict verdict = verdict_on(&child->life);
	bool news = verdict == KSCOPE_VERDICT_ENDS ||
		    verdict == KSCOPE_VERDICT_TOLD;
	struct kscope_life old = child->life;

	PROMISE(kscope_life_cancel(&child->life, cause) == verdict,
		"a cancel met something else");
	PROMISE(child->life.phase == old.phase, "a cancel changed the phase");
	PROMISE(child->life.cause == (news ? cause : old.cause),
		"the first cause does not stand");
	if (verdict == KSCOPE_VERDICT_ENDS)
		child_end(scope, child, &never_started);
	return news;
}

/* Return: a queued child that lanes can, or cannot, find; or NULL */
struct child *find_queued(struct scope *scope, bool doomed)
{
	struct child *child;
	int i;

	for (i = 0; i < scope->entries; i++) {
		child = &scope->child[i];
		if (child->life.phase == KSCOPE_PHASE_QUEUED &&
		    child->doomed == doomed)
			return child;
	}
	return NULL;
}

/* The first critical section of kscope_scope_cancel() */
void cancel_all(struct scope *scope, __u8 cause)
{
	bool released = scope->shut == KSCOPE_SCOPE_RELEASED;
	int ret = kscope_tally_cancel(&scope->tally);
	struct child *child;
	int i;

	PROMISE(ret == (released ? -ESHUTDOWN : 0),
		"the cancel of a scope answers wrongly");
	if (!released)
		scope->shut = KSCOPE_SCOPE_CANCELLED;
	for (i = 0; i < scope->entries; i++) {
		child = &scope->child[i];
		if (child->life.phase == KSCOPE_PHASE_RUNNING)
			child_cancel(scope, child, cause);
		else if (child->life.phase == KSCOPE_PHASE_QUEUED)
			child->doomed = true;
	}
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What happens to children, as the module does it under the scope's lock. Each real transition
 * is asked here, and its answer checked.
 */
#include "world.h"

/*
 * What a child returns, and what its completion must say of it. Plain children are tried the
 * quick way first, as child_finish() does.
 */
struct ending {
	bool plain;
	int returned;
	int status;
	__u16 untold; /* outcome */
	__u16 told;
};

static const struct ending endings[] = {
	{ true, -ECANCELED, -ECANCELED, KSCOPE_FAILED, KSCOPE_STOPPED },
	{ true, -EIO, -EIO, KSCOPE_FAILED, KSCOPE_FAILED },
	{ true, -511, -511, KSCOPE_FAILED, KSCOPE_FAILED },
	{ true, -512, -EIO, KSCOPE_FAILED,
	  KSCOPE_FAILED }, /* not for programs */
	{ true, 17, -EIO, KSCOPE_FAILED, KSCOPE_FAILED }, /* no errno */
	{ false, 0, 0, KSCOPE_FINISHED, KSCOPE_FINISHED_ANYWAY },
	{ true, 0, 0, KSCOPE_FINISHED, KSCOPE_FINISHED_ANYWAY },
};

#define NR_ENDINGS ((int)ARRAY_SIZE(endings))
#define FINISHES (&endings[NR_ENDINGS - 1])
#define FAILS (&endings[1])

static const struct ending never_started = {
	.plain = true,
	.returned =
		0, /* not looked at; the last child in the slot has finished */
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

/* What the policy should say of it */
static __u8 verdict_of_policy(__u16 outcome)
{
	bool fails = outcome == KSCOPE_FAILED;
	bool succeeds = outcome == KSCOPE_FINISHED ||
			outcome == KSCOPE_FINISHED_ANYWAY;

	switch (POLICY) {
	case KSCOPE_POLICY_FAIL_FAST:
		return fails ? KSCOPE_CAUSE_FAILURE : KSCOPE_CAUSE_NONE;
	case KSCOPE_POLICY_FIRST_SUCCESS:
		return succeeds ? KSCOPE_CAUSE_SUCCESS : KSCOPE_CAUSE_NONE;
	default:
		return KSCOPE_CAUSE_NONE;
	}
}

/* As kscope_scope_doom() */
static void doom(struct scope *scope, __u8 cause)
{
	bool released = scope->shut == KSCOPE_SCOPE_RELEASED;
	bool stays = scope->tally.sealed ||
		     (!released && cause == KSCOPE_CAUSE_CLOSE);
	int ret = kscope_tally_cancel(&scope->tally, cause);
	int i;

	PROMISE(ret == (released ? -ESHUTDOWN : 0),
		"the cancel of a scope answers wrongly");
	PROMISE(!scope->tally.sealed == !stays, "it is closed for good");
	if (scope->shut == KSCOPE_SCOPE_OPEN)
		scope->cause = cause;
	if (!released)
		scope->shut = KSCOPE_SCOPE_CANCELLED;
	for (i = 0; i < scope->entries; i++)
		if (scope->child[i].life.phase == KSCOPE_PHASE_QUEUED)
			scope->child[i].doomed = true;
}

/* As scope_decide(), of a child that has just ended */
static void decide(struct scope *scope, __u16 outcome)
{
	__u8 cause = kscope_policy_cause(POLICY, outcome);

	PROMISE(cause == verdict_of_policy(outcome), "the policy is another");
	if (!cause || scope->tally.state != KSCOPE_SCOPE_OPEN) {
#if POLICY
		events[DECIDED_TOO_LATE] += !!cause;
#endif
		return;
	}
	doom(scope, cause);
	scope->carrying = CARRY_DECISION;
#if POLICY
	events[DECIDED_ALONE] += !scope_taken(scope);
	events[DECIDED_OVER_OTHERS] += !!scope_taken(scope);
#endif
}

/* As child_finish(). Return: was that the end */
static bool child_finish(struct child *child, const struct ending *ending)
{
	bool finishes = child->life.phase == KSCOPE_PHASE_RUNNING &&
			!child->life.cause && !ending->returned;
	struct kscope_life old = child->life;
	bool finished;

	if (!ending->plain)
		return false;
	finished = kscope_life_finish(&child->life, ending->returned);
	PROMISE(finished == finishes, "the quick way takes the wrong ones");
	PROMISE(finished || child->life.both == old.both,
		"the quick way changes what it does not take");
	return finished;
}

static void child_end_slowly(struct scope *scope, struct child *child,
			     const struct ending *ending)
{
	__u8 cause = child->life.cause;
	struct kscope_end end;

	end = kscope_life_end(&child->life, &scope->tally, ending->returned);
	PROMISE(end.cause == cause, "the completion names another cause");
	PROMISE(end.outcome == (cause ? ending->told : ending->untold),
		"the completion has a wrong outcome");
	PROMISE(end.status == ending->status,
		"the completion has a wrong status");
}

/* As kscope_children_end(), for one of them. Return: those that go the quick way */
static __u32 child_end(struct scope *scope, struct child *child,
		       const struct ending *ending)
{
	__u16 outcome = child->life.cause ? ending->told : ending->untold;
	bool finished = child_finish(child, ending);

	if (!finished)
		child_end_slowly(scope, child, ending);
	PROMISE(child->life.phase == KSCOPE_PHASE_FREE, "an end is no end");
	PROMISE(child->accepted, "a second completion");
	child->accepted = false;
	child->doomed = false;
	child->owner = 0;
	count_end(&scope->counts, outcome);
	ring_post(scope);
	decide(scope, outcome);
	return finished;
}

static bool is_new(const struct child *child, __u8 phase)
{
	return child->life.phase == phase && !child->life.cause;
}

static bool belongs(const struct child *child, __u8 owner, __u8 phase)
{
	return child->life.phase == phase && child->owner == owner;
}

static struct child *find_free(struct scope *scope)
{
	int i;

	for (i = 0; i < scope->entries; i++)
		if (scope->child[i].life.phase == KSCOPE_PHASE_FREE)
			return &scope->child[i];
	return NULL;
}

/* As batch_admit(), up to what makes children ready */
void batch_reserve(struct scope *scope, __u8 owner, __u32 nr)
{
	struct child *child;
	__u32 i;

	PROMISE(scope->shut == KSCOPE_SCOPE_OPEN, "a closed scope reserves");
	for (i = 0; i < nr; i++) {
		child = find_free(scope);
		PROMISE(child, "there is room for a child, and no slot");
		if (!child)
			return;
		kscope_life_reserve(&child->life);
		PROMISE(is_new(child, KSCOPE_PHASE_RESERVED),
			"a reserved child is not as new");
		child->owner = owner;
	}
	kscope_tally_reserve(&scope->tally, nr);
}

void batch_publish(struct scope *scope, __u8 owner)
{
	struct child *child = scope->child;
	__u32 nr = 0;

	PROMISE(scope->shut == KSCOPE_SCOPE_OPEN, "a closed scope accepts");
	for (; child < scope->child + scope->entries; child++) {
		if (!belongs(child, owner, KSCOPE_PHASE_RESERVED))
			continue;
		kscope_life_publish(&child->life);
		PROMISE(is_new(child, KSCOPE_PHASE_QUEUED),
			"a published child is not queued");
		child->owner = 0;
		child->accepted = true;
		nr++;
	}
	scope->counts.spawned += nr;
	kscope_tally_publish(&scope->tally, nr);
}

static void child_start(struct child *child, __u8 owner)
{
	kscope_life_start(&child->life);
	PROMISE(is_new(child, KSCOPE_PHASE_RUNNING),
		"a started child does not just run");
	child->owner = owner;
}

/* The spawner publishes its batch and starts it under the same hold. */
void batch_start(struct scope *scope, __u8 owner)
{
	__u32 others = scope_ready(scope);

	batch_publish(scope, owner);
	PROMISE(!others, "a spawner overtakes those that are ready");
	claim_take(scope, owner, scope_ready(scope));
}

void batch_abort(struct scope *scope, __u8 owner)
{
	struct child *child = scope->child;
	__u32 nr = 0;

	for (; child < scope->child + scope->entries; child++) {
		if (!belongs(child, owner, KSCOPE_PHASE_RESERVED))
			continue;
		kscope_life_abort(&child->life);
		PROMISE(child->life.phase == KSCOPE_PHASE_FREE,
			"an abort is no end");
		child->owner = 0;
		nr++;
	}
	kscope_tally_abort(&scope->tally, nr);
}

/* As kscope_claim_take(), of so many ready children */
void claim_take(struct scope *scope, __u8 owner, __u32 nr)
{
	__u32 i;

	for (i = 0; i < nr; i++)
		child_start(find_queued(scope, false), owner);
	kscope_tally_start(&scope->tally, nr);
}

/* As kscope_claim_end(), if @odd ends so and the others finish */
static void claim_end_so(struct scope *scope, __u8 owner, int odd,
			 const struct ending *ending)
{
	struct child *child = scope->child;
	__u32 nr_finished = 0;
	int i;

	for (i = 0; i < scope->entries; i++, child++)
		if (belongs(child, owner, KSCOPE_PHASE_RUNNING))
			nr_finished += child_end(scope, child,
						 i == odd ? ending : FINISHES);
	kscope_tally_finish(&scope->tally, nr_finished);
	drained(scope);
}

/*
 * Each thing that a child can return ends it, and comes to the same world; or, under a policy,
 * to one of two.
 */
void claim_end(struct scope *scope, __u8 owner)
{
	struct scope other;
	int i, odd;

	for (odd = 0; odd < scope->entries; odd++)
		for (i = 0; i < NR_ENDINGS - 1; i++) {
			if (!belongs(&scope->child[odd], owner,
				     KSCOPE_PHASE_RUNNING))
				break;
			other = *scope;
			claim_end_so(&other, owner, odd, &endings[i]);
			scope_check_children(&other);
		}
	for (odd = 0; !belongs(&scope->child[odd], owner, KSCOPE_PHASE_RUNNING);
	     odd++)
		;
	claim_end_so(scope, owner, odd, next_fails ? FAILS : FINISHES);
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
	if (verdict == KSCOPE_VERDICT_ENDS) {
		kscope_tally_finish(&scope->tally,
				    child_end(scope, child, &never_started));
		drained(scope);
	}
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

/* As cancel_claims() */
static void tell_all(struct scope *scope)
{
	int i;

	for (i = 0; i < scope->entries; i++)
		if (scope->child[i].life.phase == KSCOPE_PHASE_RUNNING)
			child_cancel(scope, &scope->child[i],
				     scope->tally.cause);
}

/* The first critical section of kscope_scope_cancel() */
void cancel_all(struct scope *scope, __u8 cause)
{
	doom(scope, cause);
	tell_all(scope);
#if POLICY
	events[CANCEL_CARRIES_OUT] += scope->carrying == CARRY_DECISION;
#endif
	if (scope->carrying == CARRY_DECISION)
		scope->carrying = CARRY_NOTHING;
}

#if POLICY
/* As kscope_scope_carry_out() */
bool rule_carry_out(struct world *world, struct scope *scope, int arg)
{
	if (scope->carrying != CARRY_DECISION)
		return false;
	tell_all(scope);
	scope->carrying = CARRY_DOOMED;
	return true;
}

/* As one round of cancel_doomed() */
bool rule_carry_on(struct world *world, struct scope *scope, int arg)
{
	struct child *child = find_queued(scope, true);

	if (scope->carrying != CARRY_DOOMED)
		return false;
	if (child)
		child_cancel(scope, child, scope->tally.cause);
	else
		scope->carrying = CARRY_NOTHING;
	return true;
}
#endif

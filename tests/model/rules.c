// SPDX-License-Identifier: GPL-2.0
/*
 * The steps of the world. Each rule is one critical section of the module, or one thing that
 * a program does, and checks what the real transition answered. A rule that does not apply
 * returns false and has changed nothing.
 */
#include "world.h"

static bool rule_close_cancel(struct world *world, struct scope *scope, int arg)
{
	if (scope->step != STEP_CLOSE)
		return false;
	cancel_all(scope, KSCOPE_CAUSE_CLOSE);
	scope->step = STEP_CANCEL;
	return true;
}

/* As one round of cancel_doomed(), by the closer */
static bool rule_close_next(struct world *world, struct scope *scope, int arg)
{
	struct child *child = find_queued(scope, true);

	if (scope->step != STEP_CANCEL)
		return false;
	if (child)
		child_cancel(scope, child, scope->tally.cause);
	else
		scope->step = STEP_WAIT;
	return true;
}

/* As kscope_lanes_destroy(), which waits for a lane that carries out what it has decided */
static bool lanes_have_returned(const struct scope *scope)
{
	return !scope->carrying;
}

/* As scope_free(). Lanes that are pending are cancelled, or find nothing and return. */
static bool scope_free(struct scope *scope)
{
	PROMISE(!scope_taken(scope), "freed with a child outstanding");
	PROMISE(!scope_has_calls(scope), "freed with a call inside");
	PROMISE(!scope->carrying, "freed under a cancel by the policy");
	scope->step = STEP_GONE;
	return true;
}

static bool rule_close_free(struct world *world, struct scope *scope, int arg)
{
	if (scope->step != STEP_WAIT || kscope_tally_outstanding(&scope->tally))
		return false;
	return lanes_have_returned(scope) && scope_free(scope);
}

/* As scope_hand_to_reaper(): the closer is dying, or is killed while it waits. */
static bool rule_hand_over(struct world *world, struct scope *scope, int arg)
{
	if (scope->step != STEP_WAIT)
		return false;
	scope->step = STEP_HANDED;
	drained(scope);
	events[REAPER_AT_ONCE] += scope->step == STEP_REAP;
	return true;
}

static bool rule_reap(struct world *world, struct scope *scope, int arg)
{
	return scope->step == STEP_REAP && lanes_have_returned(scope) &&
	       scope_free(scope);
}

struct rule {
	const char *words;
	bool (*take)(struct world *world, struct scope *scope, int arg);
	int nr_args;
	bool slots; /* the argument is one */
	bool fails; /* the child that ends */
	bool own;
};

static const struct rule rules[] = {
	{ "is created", rule_create, 1, .own = false },
	{ "a spawner reserves", rule_reserve, BATCH, .own = false },
	{ "a spawner goes on", rule_reserve_more, NR_THREADS, .own = false },
	{ "a spawner publishes", rule_publish, NR_THREADS, .own = true },
	{ "a spawner that will wait publishes", rule_publish_quietly,
	  NR_THREADS, .own = true },
#if !POLICY
	{ "a spawner publishes and runs them", rule_publish_and_run, NR_THREADS,
	  .own = true },
#endif
	{ "a spawner backs out", rule_abort, NR_THREADS, .own = false },
	{ "a child is cancelled", rule_cancel_child, MAX_ENTRIES,
	  .slots = true },
	{ "is cancelled", rule_cancel_scope, 1, .own = false },
	{ "the canceller goes on", rule_cancel_next, 1, .own = true },
	{ "a release is tried", rule_release, 1, .own = false },
	{ "opens again", rule_reopen, 1, .own = false },
	{ "a completion is read", rule_read, 1, .own = false },
	{ "nonsense is written to the head", rule_scribble, 3, .own = false },
	{ "its fd is closed", rule_close, 1, .own = false },
	{ "the closer cancels it", rule_close_cancel, 1, .own = true },
	{ "the closer goes on", rule_close_next, 1, .own = true },
	{ "the closer frees it", rule_close_free, 1, .own = true },
	{ "the closer dies", rule_hand_over, 1, .own = false },
	{ "the reaper frees it", rule_reap, 1, .own = true },
	{ "a lane looks for children", rule_lane_looks, CLAIM, .own = true },
	{ "a lane ends its claim", rule_lane_ends, .own = true,
	  .nr_args = MAX_LANES * CLAIM },
	{ "a lane gives way", rule_lane_yields, MAX_LANES, .own = false },
	{ "a lane hands over", rule_lane_hands_over, 1, .own = false },
	{ "a waiter helps", rule_help, CLAIM, .own = false },
	{ "a spawner waits", rule_spawner_waits, .own = true,
	  .nr_args = NR_THREADS * (CLAIM + 1) },
	{ "a helper ends its claim", rule_helper_ends, .own = true,
	  .nr_args = NR_THREADS * (CLAIM + 1) },
#if POLICY
	{ "a child of a lane fails", rule_lane_ends, .own = false,
	  .nr_args = MAX_LANES * CLAIM, .fails = true },
	{ "a child of a helper fails", rule_helper_ends, .own = false,
	  .nr_args = NR_THREADS * (CLAIM + 1), .fails = true },
	{ "the policy's cancel begins", rule_carry_out, 1, .own = true },
	{ "the policy's cancel goes on", rule_carry_on, 1, .own = true },
#endif
};

const unsigned int nr_rules = ARRAY_SIZE(rules);

const char *rule_words(unsigned int rule)
{
	return rules[rule].words;
}

const char *event_words(unsigned int event)
{
	static const char *const words[] = {
		[SPAWN_FULL] = "a spawn meets a full ring",
		[SPAWN_CUT] = "a batch is accepted in part",
		[SPAWN_CANCELLED] = "a spawn meets a cancelled scope",
		[SPAWN_RELEASED] = "a spawn meets a released scope",
		[PUBLISH_REFUSED] = "a cancel comes before publish",
		[CANCEL_RESERVED] = "a cancel meets a reserved slot",
		[CANCEL_QUEUED] = "a cancel meets a queued child",
		[CANCEL_DOOMED] = "a cancel meets a child of a canceller",
		[CANCEL_RUNNING] = "a cancel meets a running child",
		[CANCEL_AGAIN] = "a cancel meets a child that was told",
		[CANCEL_RELEASED] = "a cancel meets a released scope",
		[RELEASE_BUSY] = "a release is refused",
		[RELEASE_AGAIN] = "a second release",
		[REOPENED] = "a cancelled scope opens again",
		[CLOSE_BY_CALL] = "the last call ends a closed scope",
		[REAPER_AT_ONCE] = "the closer queues the reaper",
		[REAPER_BY_CHILD] = "the last child queues the reaper",
		[KICK_LATER] = "a kick while a lane is starting",
		[KICK_FULL] = "a kick while all places are taken",
		[HELP_FULL] = "a waiter finds no place",
		[HELPER_KICKS] = "a helper leaves children behind",
		[SPAWNER_HELPS] = "a spawner takes what it left ready",
		[SPAWNER_KICKS] = "a spawner leaves children to the lanes",
		[SPAWNER_GOES_ON] = "a spawner has left a batch without a kick",
#if !POLICY
		[CANCEL_PART] = "a cancel meets a part of a claim",
#else
		[DECIDED_ALONE] = "a child decides, and it was the last",
		[DECIDED_OVER_OTHERS] = "a child decides over others",
		[DECIDED_TOO_LATE] = "a child would decide, but it is decided",
		[CANCEL_CARRIES_OUT] = "a canceller comes before who decided",
#endif
	};

	return words[event];
}

static bool is_like_the_one_before(const struct scope *scope, int i)
{
	const struct child *a = &scope->child[i], *b = a - 1;

	return i && a->life.phase == b->life.phase &&
	       a->life.cause == b->life.cause && a->doomed == b->doomed &&
	       a->owner == b->owner;
}

/* One step from @world, which it leaves in @after. Return: has anything happened */
static bool take(const struct world *world, struct world *after,
		 struct next *next)
{
	const struct rule *rule = &rules[next->rule];
	struct scope *scope = &after->scope[next->scope];

	if (rule->slots && is_like_the_one_before(scope, next->arg))
		return false;
	next_fails = rule->fails;
	if (!rule->take(after, scope, next->arg) && !broken)
		return false;
	if (scope->step != STEP_GONE)
		scope_check(scope);
	if (broken)
		return true;
	next->own = rule->own;
	next->key = world_pack(after);
	after->scope[next->scope] = world->scope[next->scope];
	return true;
}

/* Return: how many ways to go on. If the last of them breaks a promise, broken is set. */
int world_expand(const struct world *world, struct next *next)
{
	struct world after = *world;
	struct next one = {};
	int nr = 0;

	for (one.scope = 0; one.scope < NR_SCOPES; one.scope++)
		for (one.rule = 0; one.rule < nr_rules; one.rule++)
			for (one.arg = 0; one.arg < rules[one.rule].nr_args;
			     one.arg++) {
				if (take(world, &after, &one))
					next[nr++] = one;
				if (broken)
					return nr;
			}
	return nr;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Who runs children: lanes, which are kicked one after the other, and threads that help.
 */
#include "world.h"

/* As kscope_queue_kick() */
void queue_kick(struct scope *scope)
{
	if (!scope_ready(scope))
		return;
	events[KICK_LATER] += scope->starting;
	events[KICK_FULL] += scope->nr_busy >= scope->lanes;
	if (scope->starting || scope->nr_busy >= scope->lanes)
		return;
	PROMISE(!scope->starting, "two lanes are woken at a time");
	scope->starting = true;
	scope->nr_busy++;
}

static __u8 find_lane(const struct scope *scope)
{
	__u8 lane = 0;

	while (owner_has(scope, lane, KSCOPE_PHASE_RUNNING))
		lane++;
	return lane;
}

/* As lane_take(), if the next child is not one for the other class */
static void lane_take(struct scope *scope, __u8 lane, __u32 nr)
{
	if (scope_ready(scope))
		claim_take(scope, lane, nr);
	else
		scope->nr_busy--;
	queue_kick(scope);
}

/* As lane_take(), if it may not take it */
static void lane_leave(struct scope *scope)
{
	scope->nr_busy--;
	queue_kick(scope);
}

/* Can it take so many? One does for all that there may be, also none. */
static bool may_take(const struct scope *scope, __u32 nr)
{
	return nr == 1 || nr <= scope_ready(scope);
}

/* The lane that was kicked gets a worker. */
static bool lane_begin(const struct world *world, struct scope *scope)
{
	int s, lane, active = 0;

	if (!scope->starting)
		return false;
	for (s = 0; s < NR_SCOPES; s++)
		for (lane = 0; lane < MAX_LANES; lane++)
			active += owner_has(&world->scope[s], lane,
					    KSCOPE_PHASE_RUNNING);
	if (active >= NR_WORKERS)
		return false;
	scope->starting = false;
	return true;
}

bool rule_lane_looks(struct world *world, struct scope *scope, int arg)
{
	__u32 nr = arg + 1;

	if (!may_take(scope, nr) || !lane_begin(world, scope))
		return false;
	lane_take(scope, find_lane(scope), nr);
	return true;
}

/* As lane_turn() */
bool rule_lane_ends(struct world *world, struct scope *scope, int arg)
{
	__u32 nr = arg % CLAIM + 1;
	int lane = arg / CLAIM;

	if (!owner_has(scope, lane, KSCOPE_PHASE_RUNNING) ||
	    !may_take(scope, nr))
		return false;
	claim_end(scope, lane);
	events[REAPER_BY_CHILD] += scope->step == STEP_REAP;
	lane_take(scope, lane, nr);
	return true;
}

/* It has used up its budget, or the next child is one for the other class. */
bool rule_lane_yields(struct world *world, struct scope *scope, int arg)
{
	if (!owner_has(scope, arg, KSCOPE_PHASE_RUNNING))
		return false;
	claim_end(scope, arg);
	lane_leave(scope);
	return true;
}

/* The lane that was kicked is not of the class of the next child: it looks, or is called back. */
bool rule_lane_hands_over(struct world *world, struct scope *scope, int arg)
{
	if (!scope->starting || !scope_ready(scope))
		return false;
	scope->starting = false;
	lane_leave(scope);
	return true;
}

/* As helper_enter(). Return: is it one */
static bool help(struct scope *scope, int thread, __u32 nr)
{
	bool enters = nr && scope->nr_busy < scope->lanes;

	events[HELP_FULL] += nr && !enters;
	if (enters) {
		claim_take(scope, THREAD(thread), nr);
		scope->nr_busy++;
	}
	queue_kick(scope);
	return enters;
}

/* As kscope_scope_wait(), from outside of all calls. Who does not help changes nothing. */
bool rule_help(struct world *world, struct scope *scope, int arg)
{
	__u32 nr = arg + 1;

	if (!may_call(world, scope) || nr > scope_ready(scope))
		return false;
	return help(scope, idle_thread(world) - 1, nr);
}

/* The same after a spawn. It may have enough already, or be about to die. */
bool rule_spawner_waits(struct world *world, struct scope *scope, int arg)
{
	int thread = arg / (CLAIM + 1);
	__u32 nr = arg % (CLAIM + 1);

	if (!(scope->going & 1 << thread) || nr > scope_ready(scope))
		return false;
	if (owner_has(scope, THREAD(thread), KSCOPE_PHASE_RESERVED) ||
	    owner_has(scope, THREAD(thread), KSCOPE_PHASE_RUNNING))
		return false;
	scope->going &= ~(1 << thread);
	events[SPAWNER_KICKS] += !nr && scope_ready(scope);
	if (help(scope, thread, nr))
		events[SPAWNER_HELPS]++;
	else
		call_ends(scope);
	return true;
}

/* As helper_turn(), or as the end of batch_run() */
bool rule_helper_ends(struct world *world, struct scope *scope, int arg)
{
	int thread = arg / (CLAIM + 1);
	__u32 nr = arg % (CLAIM + 1);

	if (!owner_has(scope, THREAD(thread), KSCOPE_PHASE_RUNNING) ||
	    nr > scope_ready(scope))
		return false;
	claim_end(scope, THREAD(thread));
	if (nr > scope_ready(scope))
		nr = 0; /* the child has decided over those that it saw */
	if (nr)
		claim_take(scope, THREAD(thread), nr);
	else
		scope->nr_busy--;
	events[HELPER_KICKS] += !nr && scope_ready(scope);
	queue_kick(scope);
	if (!nr)
		call_ends(scope);
	return true;
}

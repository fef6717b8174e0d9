// SPDX-License-Identifier: GPL-2.0
/*
 * The world as one number, and what must be true of it at any time.
 */
#include <stdio.h>
#include <string.h>

#include "world.h"

#define NR_STEPS (STEP_REAP + 1)
#define NR_GAPS \
	(MAX_ENTRIES + 3) /* from -1 to one more than the ring is long */
#define PASSED \
	(1ULL << 32) /* counters stand there, so that a narrow one shows */

static const struct {
	__u8 entries;
	__u8 lanes;
} shape[] = {
#if NR_SCOPES == 1
	{ 4, 2 },
#else
	{ 2, 2 },
	{ 2, LANES_OF_B },
#endif
};

__u64 events[NR_EVENTS];
const char *broken;
bool next_fails;

/* A scope as scope_alloc() leaves it. The tally is not trusted to be zero before. */
void scope_make(struct scope *scope, unsigned int nr)
{
	memset(scope, 0, sizeof(*scope));
	memset(&scope->tally, 0xa5, sizeof(scope->tally));
	scope->entries = shape[nr].entries;
	scope->lanes = shape[nr].lanes;
	scope->step = STEP_USED;
	scope->shut = KSCOPE_SCOPE_OPEN;
	scope->honest = true;
	kscope_tally_init(&scope->tally, scope->entries);
}

__u32 scope_count(const struct scope *scope, __u8 phase)
{
	__u32 nr = 0;
	int i;

	for (i = 0; i < MAX_ENTRIES; i++)
		nr += scope->child[i].life.phase == phase;
	return nr;
}

/* What kscope_tally_outstanding() should be. Slots that a scope does not have are free. */
__u32 scope_taken(const struct scope *scope)
{
	return MAX_ENTRIES - scope_count(scope, KSCOPE_PHASE_FREE);
}

/* Queued children that lanes and helpers find */
__u32 scope_ready(const struct scope *scope)
{
	__u32 nr = 0;
	int i;

	for (i = 0; i < MAX_ENTRIES; i++)
		nr += scope->child[i].life.phase == KSCOPE_PHASE_QUEUED &&
		      !scope->child[i].doomed;
	return nr;
}

bool owner_has(const struct scope *scope, __u8 owner, __u8 phase)
{
	int i;

	for (i = 0; i < MAX_ENTRIES; i++)
		if (scope->child[i].life.phase == phase &&
		    scope->child[i].owner == owner)
			return true;
	return false;
}

static bool thread_is_in(const struct scope *scope, int thread)
{
	return scope->canceller == thread + 1 || scope->going & 1 << thread ||
	       owner_has(scope, THREAD(thread), KSCOPE_PHASE_RESERVED) ||
	       owner_has(scope, THREAD(thread), KSCOPE_PHASE_RUNNING);
}

bool scope_has_calls(const struct scope *scope)
{
	int t;

	for (t = 0; t < NR_THREADS; t++)
		if (thread_is_in(scope, t))
			return true;
	return false;
}

/* What nr_busy should be */
static __u32 scope_busy(const struct scope *scope)
{
	__u32 nr = scope->starting;
	__u8 owner;

	for (owner = 0; owner < NR_OWNERS; owner++)
		nr += owner_has(scope, owner, KSCOPE_PHASE_RUNNING);
	return nr;
}

/* As kscope_ring_unread() */
__u32 ring_unread(const struct scope *scope)
{
	__u32 gap = (__s32)scope->gap;

	return gap < scope->entries ? gap : scope->entries;
}

static bool counters_are(const struct kscope_tally *tally,
			 const struct counts *counts)
{
	return tally->spawned == counts->spawned &&
	       tally->completed == counts->completed &&
	       tally->failed == counts->failed &&
	       tally->cancelled == counts->cancelled;
}

static void check_counts(const struct scope *scope)
{
	const struct kscope_tally *tally = &scope->tally;
	__u32 reserved = scope_count(scope, KSCOPE_PHASE_RESERVED);
	__u32 queued = scope_count(scope, KSCOPE_PHASE_QUEUED);
	__u32 running = scope_count(scope, KSCOPE_PHASE_RUNNING);
	__u32 taken = reserved + queued + running;

	PROMISE(tally->reserved == reserved, "the tally miscounts reserved");
	PROMISE(tally->queued == queued, "the tally miscounts queued");
	PROMISE(tally->running == running, "the tally miscounts running");
	PROMISE(counters_are(tally, &scope->counts),
		"a counter since creation moved wrongly");
	PROMISE(tally->spawned - tally->completed == queued + running,
		"accepted children are missing or too many");
	PROMISE(tally->entries == scope->entries, "the length has changed");
	PROMISE(scope->shut != KSCOPE_SCOPE_RELEASED || !taken,
		"released with a child outstanding");
	PROMISE(tally->state == scope->shut, "the scope has another state");
	PROMISE(tally->cause == scope->cause,
		"it was closed for another cause");
	PROMISE(!scope->honest || taken + ring_unread(scope) <= scope->entries,
		"a completion could overwrite an unread one");
}

/* What the slots do not say of themselves is lost when the world is packed. */
static void check_child(const struct scope *scope, const struct child *child)
{
	const struct kscope_life *life = &child->life;
	bool running = life->phase == KSCOPE_PHASE_RUNNING;
	bool ends = running ? life->cause || scope->carrying == CARRY_DECISION :
			      child->doomed;

	PROMISE(child->accepted == (life->phase >= KSCOPE_PHASE_QUEUED),
		"a child is accepted and is not there, or the reverse");
	PROMISE(!child->doomed || life->phase == KSCOPE_PHASE_QUEUED,
		"a canceller has a child that is not queued");
	PROMISE(running || !life->cause || life->phase == KSCOPE_PHASE_FREE,
		"a child that does not run was told");
	PROMISE(!child->accepted || scope->shut == KSCOPE_SCOPE_OPEN || ends,
		"a child of a cancelled scope was not told, or can start");
}

/* What is counted is what is there, and it is as it should be. */
void scope_check_children(const struct scope *scope)
{
	int i;

	check_counts(scope);
	for (i = 0; i < MAX_ENTRIES; i++)
		check_child(scope, &scope->child[i]);
}

/* Will somebody look at the queue, and are all at work that may be */
static bool is_attended(const struct scope *scope)
{
	return scope->going || scope->starting ||
	       (scope->lanes && scope->nr_busy == scope->lanes);
}

static void check_queue(const struct scope *scope)
{
	PROMISE(scope->nr_busy == scope_busy(scope),
		"a place is lost, or taken twice");
	PROMISE(!scope->lanes || scope->nr_busy <= scope->lanes,
		"too many run children");
	PROMISE(!scope_ready(scope) || is_attended(scope),
		"a child is ready, and nobody will look");
}

/* After each step */
void scope_check(const struct scope *scope)
{
	scope_check_children(scope);
	check_queue(scope);
}

static void check_name(const struct kscope_life *life)
{
	__u16 state = KSCOPE_STATE_QUEUED;

	if (life->phase < KSCOPE_PHASE_QUEUED)
		return;
	if (life->phase == KSCOPE_PHASE_RUNNING)
		state = life->cause ? KSCOPE_STATE_CANCELLING :
				      KSCOPE_STATE_RUNNING;
	PROMISE(kscope_life_state(life) == state, "the ABI names it wrongly");
}

static void check_answers(const struct scope *scope)
{
	static const int closed[] = {
		[KSCOPE_SCOPE_OPEN] = 0,
		[KSCOPE_SCOPE_CANCELLED] = -ECANCELED,
		[KSCOPE_SCOPE_RELEASED] = -ESHUTDOWN,
	};
	__u32 taken = scope_taken(scope), unread, room;
	int ret = closed[scope->shut];

	PROMISE(kscope_tally_outstanding(&scope->tally) == taken,
		"outstanding is not what is outstanding");
	PROMISE(kscope_tally_open(&scope->tally) == ret, "open lies");
	for (unread = 0; unread <= scope->entries; unread++) {
		room = taken + unread < scope->entries && !ret ?
			       scope->entries - taken - unread :
			       0;
		PROMISE(kscope_tally_room(&scope->tally, unread) == room,
			"there is another room than there is");
		PROMISE(kscope_tally_takes(&scope->tally, unread, room ?: 1) ==
					(room > 0) &&
				!kscope_tally_takes(&scope->tally, unread,
						    room + 1),
			"it takes more than there is room for, or less");
		PROMISE(kscope_tally_admits(&scope->tally, unread) ==
				(room ? 0 :
				 ret  ?:
					-EAGAIN),
			"admits lies");
	}
}

/* Once in each world: the answers to questions are right. */
void world_check(const struct world *world)
{
	const struct scope *scope;
	int s, i;

	for (s = 0; s < NR_SCOPES; s++) {
		scope = &world->scope[s];
		if (scope->step == STEP_GONE)
			continue;
		for (i = 0; i < scope->entries; i++)
			check_name(&scope->child[i].life);
		check_answers(scope);
	}
}

#define NR_CAUSES (POLICY ? 4 : 3)
#define NR_CARRYING (POLICY ? 3 : 1)

/* What can be said of a slot, as a number. Its cause means nothing while it is free. */
enum slot {
	SLOT_FREE,
	SLOT_RESERVED, /* by thread 0, by thread 1 */
	SLOT_READY = SLOT_RESERVED + NR_THREADS,
	SLOT_DOOMED,
	SLOT_RUNNING, /* for each owner: and the cause */
	NR_SLOTS = SLOT_RUNNING + NR_OWNERS * NR_CAUSES,
};

/* Two lanes, or two threads, that trade their names */
struct swap {
	bool lanes;
	bool threads;
};

/* For which the policy of this world cancels */
#if POLICY == KSCOPE_POLICY_FIRST_SUCCESS
#define CAUSE_DECIDED KSCOPE_CAUSE_SUCCESS
#else
#define CAUSE_DECIDED KSCOPE_CAUSE_FAILURE
#endif

static const __u8 causes[] = { KSCOPE_CAUSE_NONE, KSCOPE_CAUSE_CALLER,
			       KSCOPE_CAUSE_CLOSE, CAUSE_DECIDED };

static const __u8 cause_number[] = {
	[KSCOPE_CAUSE_NONE] = 0,
	[KSCOPE_CAUSE_CALLER] = 1,
	[KSCOPE_CAUSE_CLOSE] = 2,
	[CAUSE_DECIDED] = 3,
};

static __u8 owner_name(__u8 owner, struct swap swap)
{
	static_assert(MAX_LANES == 2 && NR_THREADS == 2, "names are a bit");
	return owner ^ (owner < MAX_LANES ? swap.lanes : swap.threads);
}

static __u8 slot_pack(const struct child *child, struct swap swap)
{
	__u8 owner = owner_name(child->owner, swap);

	switch (child->life.phase) {
	case KSCOPE_PHASE_RESERVED:
		return SLOT_RESERVED + owner - THREAD(0);
	case KSCOPE_PHASE_QUEUED:
		return SLOT_READY + child->doomed;
	case KSCOPE_PHASE_RUNNING:
		return SLOT_RUNNING + owner * NR_CAUSES +
		       cause_number[child->life.cause];
	default:
		return SLOT_FREE;
	}
}

static void slot_unpack(__u8 slot, struct scope *scope, struct child *child)
{
	child->accepted = slot >= SLOT_READY;
	if (slot >= SLOT_RUNNING) {
		child->life.phase = KSCOPE_PHASE_RUNNING;
		child->life.cause = causes[(slot - SLOT_RUNNING) % NR_CAUSES];
		child->owner = (slot - SLOT_RUNNING) / NR_CAUSES;
		scope->tally.running++;
	} else if (slot >= SLOT_READY) {
		child->life.phase = KSCOPE_PHASE_QUEUED;
		child->doomed = slot == SLOT_DOOMED;
		scope->tally.queued++;
	} else if (slot >= SLOT_RESERVED) {
		child->life.phase = KSCOPE_PHASE_RESERVED;
		child->owner = THREAD(slot - SLOT_RESERVED);
		scope->tally.reserved++;
	} else {
		child->life.cause = KSCOPE_CAUSE_CALLER; /* the last one's */
	}
}

static void put_in_order(__u8 *a, __u8 *b)
{
	__u8 high = *a > *b ? *a : *b;
	__u8 low = *a > *b ? *b : *a;

	*a = high;
	*b = low;
}

/* In how many ways one can choose @nr slots, in no order, of which each is one of @of */
static __u32 choices(__u32 of, int nr)
{
	__u32 ways = 1;
	int i;

	for (i = 0; i < nr; i++)
		ways = ways * (of + i) / (i + 1);
	return ways;
}

/* The order of slots means nothing: they are sorted, and counted among all that are. */
static __u32 slots_pack(const struct scope *scope, struct swap swap)
{
	__u8 slot[MAX_ENTRIES];
	__u32 number = 0;
	int i;

	static_assert(MAX_ENTRIES == 4, "the pairs below sort four");
	for (i = 0; i < MAX_ENTRIES; i++)
		slot[i] = slot_pack(&scope->child[i], swap);
	put_in_order(&slot[0], &slot[1]);
	put_in_order(&slot[2], &slot[3]);
	put_in_order(&slot[0], &slot[2]);
	put_in_order(&slot[1], &slot[3]);
	put_in_order(&slot[1], &slot[2]);
	for (i = 0; i < MAX_ENTRIES; i++)
		number += choices(slot[i], MAX_ENTRIES - i);
	return number;
}

static void slots_unpack(__u32 number, struct scope *scope)
{
	__u8 slot;
	int i;

	for (i = 0; i < MAX_ENTRIES; i++) {
		slot = 0;
		while (choices(slot + 1, MAX_ENTRIES - i) <= number)
			slot++;
		number -= choices(slot, MAX_ENTRIES - i);
		slot_unpack(slot, scope, &scope->child[i]);
	}
}

/* All that tells one from another that runs children: how many, and with which causes */
static __u32 claim_mark(const struct scope *scope, __u8 owner)
{
	const struct child *child = scope->child;
	__u32 mark = 0;
	int i;

	for (i = 0; i < MAX_ENTRIES; i++, child++)
		if (child->life.phase == KSCOPE_PHASE_RUNNING &&
		    child->owner == owner)
			mark += 1U << 2 * cause_number[child->life.cause];
	return mark;
}

static __u8 swap_bits(__u8 bits)
{
	return (bits & 1) << 1 | bits >> 1;
}

/* Once no queued child is going to be told it, nothing follows from the cause. */
static __u8 cause_pack(const struct scope *scope)
{
	__u8 cause = scope->cause;

	if (scope->shut != KSCOPE_SCOPE_CANCELLED)
		cause = KSCOPE_CAUSE_NONE;
	else if (!scope_count(scope, KSCOPE_PHASE_QUEUED) &&
		 scope->carrying != CARRY_DECISION)
		cause = KSCOPE_CAUSE_CALLER;
	return cause_number[cause];
}

/* Below 2^31 if there are two, so that these leave a bit free */
static __u32 scope_pack(const struct scope *scope, bool swap_threads)
{
	struct swap swap = { .threads = swap_threads };
	__u8 canceller = scope->canceller;
	__u32 number;

	if (scope->step == STEP_GONE)
		return 0;
	swap.lanes = claim_mark(scope, 0) < claim_mark(scope, 1);
	if (canceller && swap.threads)
		canceller = canceller == 1 ? 2 : 1;
	number = slots_pack(scope, swap);
	number = number * NR_STEPS + scope->step;
	number = number * 3 + scope->shut - KSCOPE_SCOPE_OPEN;
	number = number * NR_CAUSES + cause_pack(scope);
	number = number * (NR_THREADS + 1) + canceller;
	number = number * 2 + scope->starting;
	number = number * (1 << NR_THREADS) +
		 (swap.threads ? swap_bits(scope->going) : scope->going);
	number = number * NR_CARRYING + scope->carrying;
	number = number * NR_GAPS + (__u8)(scope->gap + 1);
	return number * 2 + scope->honest;
}

static __u32 take(__u32 *number, __u32 nr)
{
	__u32 digit = *number % nr;

	*number /= nr;
	return digit;
}

static void scope_unpack(__u32 number, struct scope *scope, unsigned int nr)
{
	memset(scope, 0, sizeof(*scope));
	scope->entries = shape[nr].entries;
	if (!number)
		return;
	scope->lanes = shape[nr].lanes;
	scope->honest = take(&number, 2);
	scope->gap = (int)take(&number, NR_GAPS) - 1;
	scope->carrying = take(&number, NR_CARRYING);
	scope->going = take(&number, 1 << NR_THREADS);
	scope->starting = take(&number, 2);
	scope->canceller = take(&number, NR_THREADS + 1);
	scope->cause = causes[take(&number, NR_CAUSES)];
	scope->shut = take(&number, 3) + KSCOPE_SCOPE_OPEN;
	scope->step = take(&number, NR_STEPS);
	slots_unpack(number, scope);
	scope->nr_busy = scope_busy(scope);
	scope->counts = (struct counts){ .completed = PASSED,
					 .failed = PASSED,
					 .cancelled = PASSED };
	scope->counts.spawned =
		PASSED + scope->tally.queued + scope->tally.running;
	scope->tally.state = scope->shut;
	scope->tally.cause = scope->cause;
	scope->tally.entries = scope->entries;
	scope->tally.spawned = scope->counts.spawned;
	scope->tally.completed = PASSED;
	scope->tally.failed = PASSED;
	scope->tally.cancelled = PASSED;
}

/* All that a thread is: what it holds in each scope */
static __u32 thread_mark(const struct scope *scope, int t)
{
	__u32 reserved = 0;
	int i;

	for (i = 0; i < MAX_ENTRIES; i++)
		reserved += scope->child[i].life.phase ==
				    KSCOPE_PHASE_RESERVED &&
			    scope->child[i].owner == THREAD(t);
	return claim_mark(scope, THREAD(t)) << 5 | reserved << 2 |
	       (scope->going >> t & 1) << 1 | (scope->canceller == t + 1);
}

/* The names of the two threads mean nothing: the one with more is the first. */
__u64 world_pack(const struct world *world)
{
	__u32 marks[NR_THREADS] = {};
	__u64 key = 0;
	int s, t;

	for (s = 0; s < NR_SCOPES; s++)
		for (t = 0; t < NR_THREADS; t++)
			marks[t] = marks[t] << 12 |
				   thread_mark(&world->scope[s], t);
	for (s = 0; s < NR_SCOPES; s++)
		key = key << 32 |
		      scope_pack(&world->scope[s], marks[0] < marks[1]);
	return key;
}

void world_unpack(__u64 key, struct world *world)
{
	int s, t;

	world->busy = 0;
	for (s = NR_SCOPES - 1; s >= 0; s--, key >>= 32) {
		scope_unpack(key, &world->scope[s], s);
		for (t = 0; t < NR_THREADS; t++)
			world->busy |= thread_is_in(&world->scope[s], t) << t;
	}
}

/* Nothing is outstanding, nobody is inside, and no scope is about to go. */
bool world_is_quiet(const struct world *world)
{
	const struct scope *scope;
	int s;

	for (s = 0; s < NR_SCOPES; s++) {
		scope = &world->scope[s];
		if (scope->step != STEP_GONE && scope->step != STEP_USED)
			return false;
		if (scope_taken(scope) || scope->carrying)
			return false;
	}
	return !world->busy;
}

static void scope_print(const struct scope *scope)
{
	static const char *const steps[] = {
		[STEP_USED] = "",
		[STEP_LEFT] = ", fd closed, a call inside",
		[STEP_CLOSE] = ", closing",
		[STEP_CANCEL] = ", closing",
		[STEP_WAIT] = ", its closer waits",
		[STEP_HANDED] = ", left to the reaper",
		[STEP_REAP] = ", reaper queued",
	};
	static const char *const states[] = {
		[KSCOPE_SCOPE_OPEN] = "open",
		[KSCOPE_SCOPE_CANCELLED] = "cancelled",
		[KSCOPE_SCOPE_RELEASED] = "released",
	};

	printf("%s%s; %u reserved, %u queued, %u running; %u of %u busy%s%s; head %d behind%s",
	       states[scope->shut], steps[scope->step],
	       scope_count(scope, KSCOPE_PHASE_RESERVED),
	       scope_count(scope, KSCOPE_PHASE_QUEUED),
	       scope_count(scope, KSCOPE_PHASE_RUNNING), scope->nr_busy,
	       scope->lanes, scope->starting ? ", one starting" : "",
	       scope->going ? ", a spawner will wait" : "", scope->gap,
	       scope->honest ? "" : " (nonsense)");
}

void world_print(const struct world *world)
{
	int s;

	for (s = 0; s < NR_SCOPES; s++) {
		if (world->scope[s].step == STEP_GONE)
			continue;
		printf("\t\t%c: ", 'A' + s);
		scope_print(&world->scope[s]);
		printf("\n");
	}
}

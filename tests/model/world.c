// SPDX-License-Identifier: GPL-2.0
/*
 * The world as one number, and what must be true of it at any time.
 */
#include <stdio.h>
#include <string.h>

#include "world.h"

#define PASSED \
	(1ULL << 32) /* counters stand there, so that a narrow one shows */

static const struct {
	__u8 entries;
	__u8 lanes;
} shape[] = { { 4, 2 }, { 2, 2 } };

__u64 events[NR_EVENTS];
const char *broken;

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

bool scope_has_calls(const struct scope *scope)
{
	return scope->canceller || scope_count(scope, KSCOPE_PHASE_RESERVED);
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
	PROMISE(!scope->honest || taken + ring_unread(scope) <= scope->entries,
		"a completion could overwrite an unread one");
}

/* What the slots do not say of themselves is lost when the world is packed. */
static void check_child(const struct scope *scope, const struct child *child)
{
	const struct kscope_life *life = &child->life;
	bool running = life->phase == KSCOPE_PHASE_RUNNING;
	bool ends = running ? life->cause : child->doomed;

	PROMISE(child->accepted == (life->phase >= KSCOPE_PHASE_QUEUED),
		"a child is accepted and is not there, or the reverse");
	PROMISE(!child->doomed || life->phase == KSCOPE_PHASE_QUEUED,
		"a canceller has a child that is not queued");
	PROMISE(running || !life->cause || life->phase == KSCOPE_PHASE_FREE,
		"a child that does not run was told");
	PROMISE(!child->accepted || scope->shut == KSCOPE_SCOPE_OPEN || ends,
		"a child of a cancelled scope was not told, or can start");
}

/* After each step: what is counted is what is there, and it is as it should be. */
void scope_check(const struct scope *scope)
{
	int i;

	check_counts(scope);
	for (i = 0; i < MAX_ENTRIES; i++)
		check_child(scope, &scope->child[i]);
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
	__u32 taken = scope_taken(scope);
	__u32 unread = ring_unread(scope);
	int ret = closed[scope->shut];

	PROMISE(kscope_tally_outstanding(&scope->tally) == taken,
		"outstanding is not what is outstanding");
	PROMISE(kscope_tally_open(&scope->tally) == ret, "open lies");
	if (!ret && taken + unread >= scope->entries)
		ret = -EAGAIN;
	PROMISE(kscope_tally_admits(&scope->tally, unread) == ret,
		"admits lies");
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

/* What can be said of a slot, as a number. Its cause means nothing while it is free. */
enum slot {
	SLOT_FREE,
	SLOT_RESERVED, /* by thread 0, by thread 1 */
	SLOT_READY = SLOT_RESERVED + NR_THREADS,
	SLOT_DOOMED,
	SLOT_RUNNING, /* and the cause */
};

#define SLOT_BITS 3

static const __u8 causes[] = { KSCOPE_CAUSE_NONE, KSCOPE_CAUSE_CALLER,
			       KSCOPE_CAUSE_CLOSE };

static __u8 slot_pack(const struct child *child, bool swap)
{
	static const __u8 first[] = {
		[KSCOPE_PHASE_FREE] = SLOT_FREE,
		[KSCOPE_PHASE_RESERVED] = SLOT_RESERVED,
		[KSCOPE_PHASE_QUEUED] = SLOT_READY,
		[KSCOPE_PHASE_RUNNING] = SLOT_RUNNING,
	};
	static const __u8 cause[] = {
		[KSCOPE_CAUSE_NONE] = 0,
		[KSCOPE_CAUSE_CALLER] = 1,
		[KSCOPE_CAUSE_CLOSE] = 2,
	};
	const __u8 more[] = {
		[KSCOPE_PHASE_RESERVED] = child->spawner ^ swap,
		[KSCOPE_PHASE_QUEUED] = child->doomed,
		[KSCOPE_PHASE_RUNNING] = cause[child->life.cause],
	};

	return first[child->life.phase] + more[child->life.phase];
}

static void slot_unpack(__u8 slot, struct scope *scope, struct child *child)
{
	child->accepted = slot >= SLOT_READY;
	if (slot >= SLOT_RUNNING) {
		child->life.phase = KSCOPE_PHASE_RUNNING;
		child->life.cause = causes[slot - SLOT_RUNNING];
		scope->tally.running++;
	} else if (slot >= SLOT_READY) {
		child->life.phase = KSCOPE_PHASE_QUEUED;
		child->doomed = slot == SLOT_DOOMED;
		scope->tally.queued++;
	} else if (slot >= SLOT_RESERVED) {
		child->life.phase = KSCOPE_PHASE_RESERVED;
		child->spawner = slot - SLOT_RESERVED;
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

/* The order of slots means nothing: they are sorted. */
static __u32 slots_pack(const struct scope *scope, bool swap)
{
	__u8 slot[MAX_ENTRIES];
	__u32 bits = 0;
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
		bits = bits << SLOT_BITS | slot[i];
	return bits;
}

static __u32 scope_pack(const struct scope *scope, bool swap)
{
	__u8 canceller = scope->canceller;
	__u32 bits;

	if (scope->step == STEP_GONE)
		return 0;
	if (canceller && swap)
		canceller = canceller == 1 ? 2 : 1;
	bits = slots_pack(scope, swap);
	bits = bits << 3 | scope->step;
	bits = bits << 2 | scope->shut;
	bits = bits << 2 | canceller;
	bits = bits << 2 | scope->pending;
	bits = bits << 2 | scope->looking;
	bits = bits << 3 | (__u8)(scope->gap + 1);
	return bits << 1 | scope->honest;
}

static __u32 take(__u32 *bits, int nr)
{
	__u32 field = *bits & ((1U << nr) - 1);

	*bits >>= nr;
	return field;
}

static void scope_unpack(__u32 bits, struct scope *scope, unsigned int nr)
{
	int i;

	memset(scope, 0, sizeof(*scope));
	scope->entries = shape[nr].entries;
	if (!bits)
		return;
	scope->lanes = shape[nr].lanes;
	scope->honest = take(&bits, 1);
	scope->gap = (int)take(&bits, 3) - 1;
	scope->looking = take(&bits, 2);
	scope->pending = take(&bits, 2);
	scope->canceller = take(&bits, 2);
	scope->shut = take(&bits, 2);
	scope->step = take(&bits, 3);
	for (i = MAX_ENTRIES - 1; i >= 0; i--)
		slot_unpack(take(&bits, SLOT_BITS), scope, &scope->child[i]);
	scope->counts = (struct counts){ .completed = PASSED,
					 .failed = PASSED,
					 .cancelled = PASSED };
	scope->counts.spawned =
		PASSED + scope->tally.queued + scope->tally.running;
	scope->tally.state = scope->shut;
	scope->tally.entries = scope->entries;
	scope->tally.spawned = scope->counts.spawned;
	scope->tally.completed = PASSED;
	scope->tally.failed = PASSED;
	scope->tally.cancelled = PASSED;
}

/* All that a thread is: what it holds in each scope */
static void thread_marks(const struct scope *scope, __u32 *marks)
{
	int i;

	if (scope->canceller)
		marks[scope->canceller - 1] |= 1U << MAX_ENTRIES;
	for (i = 0; i < MAX_ENTRIES; i++)
		if (scope->child[i].life.phase == KSCOPE_PHASE_RESERVED)
			marks[scope->child[i].spawner]++;
}

/* The names of the two threads mean nothing: the one with more is the first. */
__u64 world_pack(const struct world *world)
{
	__u32 marks[NR_THREADS] = {};
	__u64 key = 0;
	int s, t;

	for (s = 0; s < NR_SCOPES; s++) {
		thread_marks(&world->scope[s], marks);
		for (t = 0; t < NR_THREADS; t++)
			marks[t] <<= MAX_ENTRIES + 1;
	}
	for (s = 0; s < NR_SCOPES; s++)
		key = key << 32 |
		      scope_pack(&world->scope[s], marks[0] < marks[1]);
	return key;
}

void world_unpack(__u64 key, struct world *world)
{
	const struct child *child;
	int s, i;

	world->busy = 0;
	for (s = NR_SCOPES - 1; s >= 0; s--, key >>= 32) {
		scope_unpack(key, &world->scope[s], s);
		if (world->scope[s].canceller)
			world->busy |= 1 << (world->scope[s].canceller - 1);
		for (i = 0; i < world->scope[s].entries; i++) {
			child = &world->scope[s].child[i];
			if (child->life.phase == KSCOPE_PHASE_RESERVED)
				world->busy |= 1 << child->spawner;
		}
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
		if (scope_taken(scope))
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

	printf("%s%s; %u reserved, %u queued, %u running; head %d behind%s",
	       states[scope->shut], steps[scope->step],
	       scope_count(scope, KSCOPE_PHASE_RESERVED),
	       scope_count(scope, KSCOPE_PHASE_QUEUED),
	       scope_count(scope, KSCOPE_PHASE_RUNNING), scope->gap,
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

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small world around kmod/state.[ch]: some scopes with a few slots each, and two threads that
 * do with them whatever they like. The transitions are the real ones. What calls them in
 * batch.c, claim.c, cancel.c, lane.c, wait.c, scope.c and ring.c is written down here once more,
 * as steps; one step is what happens under one hold of a scope's lock.
 *
 * Things that behave alike are not told apart, as their order cannot matter to anyone: the
 * slots of a scope, the lanes of a scope, the two threads. Counters since the creation of
 * a scope are not part of the world either, since nothing is decided by them; it is checked
 * how far each step moves them. So the world is finite although the number of children is not.
 *
 * What the code decides by the size of children is decided by nobody here: a claim may take one
 * or more, a waiter may help or leave the rest to the lanes, a spawner may run its batch. Nor
 * is the class of a child told: a lane may find any next child to be for the other class.
 *
 * Under a policy whether a child fails makes a difference, so there are two ways for it to end.
 *
 * The scopes share threads and workers, and nothing else. A relation between scopes is one more
 * member of struct scope, its place in world_pack(), and rules that follow it; a deadline is a
 * rule that cancels.
 */
#ifndef KSCOPE_MODEL_WORLD_H
#define KSCOPE_MODEL_WORLD_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "state.h"

#ifndef NR_SCOPES
#define NR_SCOPES 2
#endif
#ifndef LANES_OF_B
#define LANES_OF_B 1
#endif
#ifndef POLICY
#define POLICY KSCOPE_POLICY_COLLECT
#endif
#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))

#define NR_THREADS 2
#define NR_WORKERS 2 /* lanes of all scopes that can have children at a time */
#define MAX_LANES 2 /* of one scope. One without any is inline */
#define MAX_ENTRIES 4
#define BATCH 3 /* children that are spawned together */
#if POLICY
#define CLAIM 1 /* queued children that are taken together */
#else
#define CLAIM 2
#endif
#define MAX_NEXT 160

/* The life of a scope's struct */
enum step {
	STEP_GONE, /* not there */
	STEP_USED, /* programs have its fd */
	STEP_LEFT, /* they have closed it, and a call is still inside */
	STEP_CLOSE, /* the last reference is gone; the cancel comes next */
	STEP_CANCEL, /* the closer ends the queued children one by one */
	STEP_WAIT, /* the closer waits for the last one */
	STEP_HANDED, /* scope->closing is set: the last child queues the reaper */
	STEP_REAP, /* the reaper is queued */
};

/* How far a cancel by the policy is */
enum carrying {
	CARRY_NOTHING,
	CARRY_DECISION, /* whoever ended the child has not told the others yet */
	CARRY_DOOMED, /* it ends the queued children one by one */
};

/* Who reserves children, or runs them: one of the scope's lanes, or a thread */
#define THREAD(t) (MAX_LANES + (t))
#define NR_OWNERS THREAD(NR_THREADS)

struct child {
	struct kscope_life life;
	__u8 owner; /* who has reserved it, or runs it; else 0 */
	bool doomed; /* on a canceller's list, where no lane looks */
	bool accepted; /* published, and has not left its completion */
};

/* What the counters of the tally should be */
struct counts {
	__u64 spawned;
	__u64 completed;
	__u64 failed;
	__u64 cancelled;
};

struct scope {
	struct kscope_tally tally;
	struct counts counts;
	struct child child[MAX_ENTRIES];
	__u8 entries;
	__u8 lanes; /* so many, with helpers, may be busy */
	__u8 step; /* enum step */
	__u8 shut; /* what tally.state should be */
	__u8 cause; /* what tally.cause should be */
	__u8 canceller; /* 1 + the thread that ends the queued children, or 0 */
	__u8 nr_busy; /* lanes that will look at the queue, and helpers */
	bool starting; /* one of the lanes was kicked, and has not looked since */
	__u8 going; /* a bit for each thread that published without a kick, and will wait */
	__s8 gap; /* tail minus head of the ring */
	__u8 carrying; /* enum carrying */
	bool honest; /* the program has never written nonsense to the head */
};

struct world {
	struct scope scope[NR_SCOPES];
	__u8 busy; /* a bit for each thread that is inside a call */
};

extern bool next_fails; /* the child that ends in this step */

/* One way to go on from a world */
struct next {
	__u64 key;
	bool own; /* the kernel does it, without any help of the program */
	__u16 rule;
	__u8 scope;
	__u8 arg;
};

/* What must have happened somewhere, or the search has looked at nothing */
enum event {
	SPAWN_FULL, /* -EAGAIN */
	SPAWN_CUT, /* likewise, after the first of a batch */
	SPAWN_CANCELLED,
	SPAWN_RELEASED,
	PUBLISH_REFUSED,
	CANCEL_RESERVED,
	CANCEL_QUEUED,
	CANCEL_DOOMED,
	CANCEL_RUNNING,
	CANCEL_AGAIN,
	CANCEL_RELEASED,
	RELEASE_BUSY,
	RELEASE_AGAIN,
	REOPENED,
	CLOSE_BY_CALL,
	REAPER_AT_ONCE,
	REAPER_BY_CHILD,
	KICK_LATER,
	KICK_FULL,
	HELP_FULL,
	HELPER_KICKS,
	SPAWNER_HELPS,
	SPAWNER_KICKS,
	SPAWNER_GOES_ON,
#if !POLICY
	CANCEL_PART, /* else a claim has no parts */
#else
	DECIDED_ALONE,
	DECIDED_OVER_OTHERS,
	DECIDED_TOO_LATE,
	CANCEL_CARRIES_OUT,
#endif
	NR_EVENTS,
};

extern __u64 events[NR_EVENTS];
extern const char *broken; /* the promise that was not kept, or NULL */

#define PROMISE(kept, words)              \
	do {                              \
		if (!(kept) && !broken)   \
			broken = (words); \
	} while (0)

/* world.c */
void scope_make(struct scope *scope, unsigned int nr);
__u32 scope_count(const struct scope *scope, __u8 phase);
__u32 scope_taken(const struct scope *scope);
__u32 scope_ready(const struct scope *scope);
bool scope_has_calls(const struct scope *scope);
bool owner_has(const struct scope *scope, __u8 owner, __u8 phase);
__u32 ring_unread(const struct scope *scope);
void scope_check_children(const struct scope *scope);
void scope_check(const struct scope *scope);
void world_check(const struct world *world);
__u64 world_pack(const struct world *world);
void world_unpack(__u64 key, struct world *world);
bool world_is_quiet(const struct world *world);
void world_print(const struct world *world);

/* child.c */
void drained(struct scope *scope);
struct child *find_queued(struct scope *scope, bool doomed);
void batch_reserve(struct scope *scope, __u8 owner, __u32 nr);
void batch_publish(struct scope *scope, __u8 owner);
void batch_start(struct scope *scope, __u8 owner);
void batch_abort(struct scope *scope, __u8 owner);
void claim_take(struct scope *scope, __u8 owner, __u32 nr);
void claim_end(struct scope *scope, __u8 owner);
bool child_cancel(struct scope *scope, struct child *child, __u8 cause);
void cancel_all(struct scope *scope, __u8 cause);
bool rule_carry_out(struct world *world, struct scope *scope, int arg);
bool rule_carry_on(struct world *world, struct scope *scope, int arg);

/* calls.c */
void call_ends(struct scope *scope);
int idle_thread(const struct world *world);
bool may_call(const struct world *world, const struct scope *scope);
bool rule_create(struct world *world, struct scope *scope, int arg);
bool rule_reserve(struct world *world, struct scope *scope, int arg);
bool rule_reserve_more(struct world *world, struct scope *scope, int arg);
bool rule_publish(struct world *world, struct scope *scope, int arg);
bool rule_publish_quietly(struct world *world, struct scope *scope, int arg);
bool rule_publish_and_run(struct world *world, struct scope *scope, int arg);
bool rule_abort(struct world *world, struct scope *scope, int arg);
bool rule_cancel_child(struct world *world, struct scope *scope, int arg);
bool rule_cancel_scope(struct world *world, struct scope *scope, int arg);
bool rule_cancel_next(struct world *world, struct scope *scope, int arg);
bool rule_release(struct world *world, struct scope *scope, int arg);
bool rule_reopen(struct world *world, struct scope *scope, int arg);
bool rule_read(struct world *world, struct scope *scope, int arg);
bool rule_scribble(struct world *world, struct scope *scope, int arg);
bool rule_close(struct world *world, struct scope *scope, int arg);

/* lanes.c */
void queue_kick(struct scope *scope);
bool rule_lane_looks(struct world *world, struct scope *scope, int arg);
bool rule_lane_ends(struct world *world, struct scope *scope, int arg);
bool rule_lane_yields(struct world *world, struct scope *scope, int arg);
bool rule_lane_hands_over(struct world *world, struct scope *scope, int arg);
bool rule_help(struct world *world, struct scope *scope, int arg);
bool rule_spawner_waits(struct world *world, struct scope *scope, int arg);
bool rule_helper_ends(struct world *world, struct scope *scope, int arg);

/* rules.c */
extern const unsigned int nr_rules;
const char *rule_words(unsigned int rule);
const char *event_words(unsigned int event);
int world_expand(const struct world *world, struct next *next);

#endif /* KSCOPE_MODEL_WORLD_H */

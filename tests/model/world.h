/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small world around kmod/state.c: some scopes with a few slots each, and two threads that
 * do with them whatever they like. The transitions are the real ones. What calls them in
 * batch.c, child.c, cancel.c, lane.c, scope.c and ring.c is written down here once more, as
 * steps; one step is what happens under one hold of a scope's lock.
 *
 * Things that behave alike are not told apart, as their order cannot matter to anyone: the
 * slots of a scope, the lanes of a scope, the two threads. Counters since the creation of
 * a scope are not part of the world either, since nothing is decided by them; it is checked
 * how far each step moves them. So the world is finite although the number of children is not.
 *
 * The scopes share threads and workers, and nothing else. A relation between scopes is one more
 * member of struct scope, its bits in world_pack(), and rules that follow it; a deadline is a
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
#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))

#define NR_THREADS 2
#define NR_WORKERS 3 /* lanes of all scopes that can be active at a time */
#define MAX_ENTRIES 4
#define BATCH 3
#define MAX_NEXT 128

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

struct child {
	struct kscope_life life;
	__u8 spawner; /* the thread that has reserved it */
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
	__u8 lanes;
	__u8 step; /* enum step */
	__u8 shut; /* what tally.state should be */
	__u8 canceller; /* 1 + the thread that ends the queued children, or 0 */
	__u8 pending; /* lanes that are queued */
	__u8 looking; /* lanes that run, and have no child */
	__s8 gap; /* tail minus head of the ring */
	bool honest; /* the program has never written nonsense to the head */
};

struct world {
	struct scope scope[NR_SCOPES];
	__u8 busy; /* a bit for each thread that is inside a call */
};

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
	CLOSE_BY_CALL,
	REAPER_AT_ONCE,
	REAPER_BY_CHILD,
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
bool scope_has_calls(const struct scope *scope);
__u32 ring_unread(const struct scope *scope);
void scope_check(const struct scope *scope);
void world_check(const struct world *world);
__u64 world_pack(const struct world *world);
void world_unpack(__u64 key, struct world *world);
bool world_is_quiet(const struct world *world);
void world_print(const struct world *world);

/* child.c */
void drained(struct scope *scope);
struct child *find_queued(struct scope *scope, bool doomed);
void child_reserve(struct scope *scope, struct child *child, int thread);
void child_publish(struct scope *scope, struct child *child);
void child_abort(struct scope *scope, struct child *child);
void child_start(struct scope *scope, struct child *child);
void child_return(struct scope *scope, int slot);
bool child_cancel(struct scope *scope, struct child *child, __u8 cause);
void cancel_all(struct scope *scope, __u8 cause);

/* calls.c */
bool rule_create(struct world *world, struct scope *scope, int arg);
bool rule_reserve(struct world *world, struct scope *scope, int arg);
bool rule_publish(struct world *world, struct scope *scope, int arg);
bool rule_abort(struct world *world, struct scope *scope, int arg);
bool rule_cancel_child(struct world *world, struct scope *scope, int arg);
bool rule_cancel_scope(struct world *world, struct scope *scope, int arg);
bool rule_cancel_next(struct world *world, struct scope *scope, int arg);
bool rule_release(struct world *world, struct scope *scope, int arg);
bool rule_read(struct world *world, struct scope *scope, int arg);
bool rule_scribble(struct world *world, struct scope *scope, int arg);
bool rule_close(struct world *world, struct scope *scope, int arg);

/* rules.c */
extern const unsigned int nr_rules;
const char *rule_words(unsigned int rule);
const char *event_words(unsigned int event);
int world_expand(const struct world *world, struct next *next);

#endif /* KSCOPE_MODEL_WORLD_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hooks for tests. Without KSCOPE_HOOKS nothing of this is in the module.
 *
 * A point is a place in the code where another thread can come in between. Under test it
 * is delayed there, by a function of a seed, or stopped until the test lets it go.
 */
#ifndef KSCOPE_HOOKS_H
#define KSCOPE_HOOKS_H

#include <linux/list.h>
#include <linux/types.h>

enum kscope_point {
	KSCOPE_POINT_DRAFTED, /* batch checked, nothing reserved */
	KSCOPE_POINT_RESERVED, /* batch has its slots, nobody can see them */
	KSCOPE_POINT_TAKING, /* lane about to take a child */
	KSCOPE_POINT_CLAIMED, /* lane has taken one, its op was not called */
	KSCOPE_POINT_DIGESTING, /* a piece has its running digest */
	KSCOPE_POINT_RETURNED, /* the op has returned, the child has not ended */
	KSCOPE_POINT_ENDED, /* the child has ended, nobody was woken */
	KSCOPE_POINT_IDLE, /* lane is idle, and has not returned */
	KSCOPE_POINT_DOOMED, /* canceller has let go of the lock */
	KSCOPE_POINT_DECIDED, /* a policy has doomed the scope, nobody was told */
	KSCOPE_POINT_CLOSING, /* closer has cancelled, and did not look who is left */
	KSCOPE_POINT_FREEING, /* scope without children, lanes may still return */
	KSCOPE_POINT_PINNED, /* buffer pinned, not in the table */
	KSCOPE_POINT_DROPPED, /* buffer out of the table, still pinned */
	KSCOPE_POINT_RELEASED, /* scope released, its buffers still pinned */
	KSCOPE_POINT_SPREADING, /* scope is cancelled, those below it are not, by user_data */
	KSCOPE_POINT_FAILING, /* doomed by what happened below, nobody was told; by user_data */
	KSCOPE_POINT_DESCENDED, /* canceller has come to a nested scope, by user_data */
	KSCOPE_POINT_NESTING, /* nested scope made, not in the tree; its user_data */
	KSCOPE_POINT_ENDING, /* closer is about to end a scope of the tree, by user_data */
	KSCOPE_POINT_REBORROWED, /* view linked, not in the table; user_data of the scope */
	KSCOPE_POINT_USER_MADE, /* entry for a user made, not in the table */
	KSCOPE_POINT_USER_GONE, /* entry out of the table, not freed */
	/* from here on under a spinlock, or about to sleep: no stopping there */
	KSCOPE_POINT_WAITING, /* waiter has looked, and is about to sleep */
	KSCOPE_POINT_TOLD, /* child has its cause, and was not woken */
	KSCOPE_POINT_POSTED, /* record written, the program's tail is not */
	KSCOPE_NR_POINTS,
};

struct kscope_scope;

#ifdef KSCOPE_HOOKS

/* Link of a scope in the list of all scopes */
struct kscope_watch {
	struct list_head node;
};

/**
 * struct kscope_carry - what follows a child from its spawner into the worker
 * @fail_nth: fault injection of the spawner, at the time it published the child; while the op
 *	runs, that of the worker
 * @armed: a fault was to come when the op began
 * @kcov: coverage of the spawner; a handle, or 0
 */
struct kscope_carry {
	unsigned int fail_nth;
	bool armed;
	u64 kcov;
};

void kscope_hook(enum kscope_point point, u64 user_data);
void kscope_hook_atomic(enum kscope_point point);

/* Remember who has met a point, for one that comes when it may be gone. */
static inline void kscope_hook_name(u64 *name, u64 user_data)
{
	*name = user_data;
}

u32 kscope_limit(u32 max);
void kscope_carry_pack(struct kscope_carry *carry);
void kscope_carry_enter(struct kscope_carry *carry);
void kscope_carry_leave(struct kscope_carry *carry);
void kscope_watch(struct kscope_scope *scope); /* recount.c */
void kscope_unwatch(struct kscope_scope *scope);

#else

struct kscope_carry {};
struct kscope_watch {};

static inline void kscope_hook(enum kscope_point point, u64 user_data)
{
}

static inline void kscope_hook_atomic(enum kscope_point point)
{
}

static inline void kscope_hook_name(u64 *name, u64 user_data)
{
}

static inline u32 kscope_limit(u32 max)
{
	return max;
}

static inline void kscope_carry_pack(struct kscope_carry *carry)
{
}

static inline void kscope_carry_enter(struct kscope_carry *carry)
{
}

static inline void kscope_carry_leave(struct kscope_carry *carry)
{
}

static inline void kscope_watch(struct kscope_scope *scope)
{
}

static inline void kscope_unwatch(struct kscope_scope *scope)
{
}

#endif /* KSCOPE_HOOKS */
#endif /* KSCOPE_HOOKS_H */

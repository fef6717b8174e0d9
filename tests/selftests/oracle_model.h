/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A reference model of a tree of scopes: plain tables, and rules that are applied to all of them
 * until nothing changes any more. It knows nothing of locks, lists, or workers: between two calls
 * everything that can end has ended. What is not decided by that (which of two that are let go
 * at once is first), or not seen, is never asked for, or it says that it does not know.
 */
#ifndef KSCOPE_ORACLE_MODEL_H
#define KSCOPE_ORACLE_MODEL_H

#include "race_hooks.h"

#define SCOPES 6
#define LIVE 40 /* fewer than may block in a scope: nobody waits for a worker */
#define LOANS 12
#define BUFS 2 /* one that is pinned, and one of the parent's, reborrowed */
#define MAX_DRAINS 63

enum kind { NOP, FILL, SUM, FAIL, SLEEP, HEEDS, DEAF, NR_KINDS };

struct lease {
	int scope, buf; /* indices */
	unsigned int off, len;
	bool exclusive;
};

struct child {
	bool used, ended, runs, told, in_line, drains;
	enum kind kind;
	int scope;
	unsigned int flags, outcome, cause;
	__u64 seq, handle, user_data;
	struct child *after;
	struct lease lease;
};

struct loan {
	bool used;
	__u64 handle;
	struct lease lease;
};

struct buf {
	__u32 handle; /* 0 for none */
	unsigned int len;
	struct lease of; /* of a view: what it has of the parent's */
};

struct mscope {
	bool used;
	int parent;
	unsigned int kind, policy, state, cause, max_running, depth;
	bool sealed, first_unsure, gone_status;
	bool seal_unseen; /* nothing shows whether that has been carried out */
	struct scope ring;
	struct buf bufs[BUFS];
	__u64 first, decider; /* handle of the child, or 0 */
	__u64 first_round; /* in which it failed */
	__u64 spawned, completed, failed, cancelled;
	__u64 gone_failed, gone_cancelled; /* of what was below */
	unsigned int unread;
	__u64 drains[MAX_DRAINS]; /* places, by seq */
	unsigned int nr_drains;
};

struct world {
	struct mscope scopes[SCOPES];
	struct child children[LIVE];
	struct loan loans[LOANS];
	__u64 seq, round; /* the last child's; of settling */
	bool gate_open, deciding;
};

struct counts {
	unsigned int never_started, told, already;
};

/* Those that have not ended, from @c on */
static inline struct child *live_child(struct world *w, struct child *c)
{
	for (; c < w->children + LIVE; c++)
		if (c->used && !c->ended)
			return c;
	return NULL;
}

static inline struct child *first_child(struct world *w)
{
	return live_child(w, w->children);
}

static inline struct child *next_child(struct world *w, struct child *c)
{
	return live_child(w, c + 1);
}

static inline bool is_below(const struct world *w, int s, int top)
{
	while (s >= 0 && s != top)
		s = w->scopes[s].parent;
	return s >= 0;
}

static inline bool goes_on_by_itself(enum kind kind)
{
	return kind < SLEEP;
}

static inline bool did_finish(const struct child *c)
{
	return c->outcome == KSCOPE_FINISHED ||
	       c->outcome == KSCOPE_FINISHED_ANYWAY;
}

static inline bool clash(const struct lease *a, const struct lease *b)
{
	return a->scope == b->scope && a->buf == b->buf &&
	       (a->exclusive || b->exclusive) && a->len && b->len &&
	       a->off < b->off + b->len && b->off < a->off + a->len;
}

/*
 * How many are in the way of a lease: loans, views, children that have theirs and children in the
 * line. @seq is the place in the line of the one who asks; @children, whether children count.
 */
static inline unsigned int in_the_way(struct world *w, const struct lease *want,
				      __u64 seq, bool children)
{
	unsigned int i, nr = 0;
	struct child *c;

	for (i = 0; i < LOANS; i++)
		nr += w->loans[i].used && clash(&w->loans[i].lease, want);
	for (i = 0; i < SCOPES; i++)
		nr += w->scopes[i].used && w->scopes[i].bufs[1].handle &&
		      clash(&w->scopes[i].bufs[1].of, want);
	for (c = first_child(w); c; c = next_child(w, c))
		nr += children && clash(&c->lease, want) && c->seq != seq &&
		      (!c->in_line || c->seq < seq);
	return nr;
}

static inline bool is_borrowed(struct world *w, int s, int buf)
{
	const struct lease all = { s, buf, 0, ~0U, true };

	return in_the_way(w, &all, ~0ULL, true);
}

static inline bool goes_first(struct world *w, const struct child *drain)
{
	struct child *c;

	for (c = first_child(w); c; c = next_child(w, c))
		if (c->scope == drain->scope && c->seq < drain->seq)
			return true;
	return false;
}

static inline void child_end(struct world *w, struct child *c,
			     unsigned int outcome, unsigned int cause)
{
	struct mscope *s = &w->scopes[c->scope];

	c->ended = true;
	c->outcome = outcome;
	c->cause = cause;
	s->completed++;
	s->unread++;
	s->failed += outcome == KSCOPE_FAILED;
	s->cancelled += outcome == KSCOPE_NEVER_STARTED ||
			outcome == KSCOPE_STOPPED;
	if (outcome != KSCOPE_FAILED)
		return;
	if (!s->first) {
		s->first = c->handle;
		s->first_round = w->round;
		s->first_unsure = false;
	} else if (s->first_round == w->round) {
		s->first_unsure = true;
	}
}

static inline void child_tell(struct world *w, struct child *c,
			      unsigned int cause, struct counts *n)
{
	if (!c->runs) {
		n->never_started++;
		child_end(w, c, KSCOPE_NEVER_STARTED, cause);
	} else if (c->told) {
		n->already++;
	} else {
		n->told++;
		c->told = true;
		c->cause = cause;
		if (c->kind != DEAF)
			child_end(w, c, KSCOPE_STOPPED, cause);
	}
}

/* Those that came after it, but for those that the same step has ended. */
static inline bool lose_dependents(struct world *w)
{
	bool changed = false;
	struct child *c;

	for (c = first_child(w); c; c = next_child(w, c)) {
		if (!c->after || !c->after->ended)
			continue;
		if (!did_finish(c->after))
			child_end(w, c, KSCOPE_NEVER_STARTED,
				  KSCOPE_CAUSE_AFTER);
		c->after = NULL;
		changed = true;
	}
	return changed;
}

static inline void cancel_alone(struct world *w, int s, unsigned int cause,
				struct counts *n)
{
	struct mscope *scope = &w->scopes[s];
	struct child *c;

	if (scope->state == KSCOPE_SCOPE_RELEASED)
		return;
	if (scope->state == KSCOPE_SCOPE_OPEN)
		scope->cause = cause;
	if (cause == KSCOPE_CAUSE_PARENT && !scope->sealed)
		scope->seal_unseen = w->deciding &&
				     scope->cause != KSCOPE_CAUSE_PARENT;
	scope->sealed |= cause == KSCOPE_CAUSE_PARENT;
	scope->state = KSCOPE_SCOPE_CANCELLED;
	for (c = first_child(w); c; c = next_child(w, c))
		if (c->scope == s && !(c->flags & KSCOPE_CHILD_SHIELDED))
			child_tell(w, c, cause, n);
}

static inline void cancel_tree(struct world *w, int top, unsigned int cause,
			       struct counts *n)
{
	int s;

	cancel_alone(w, top, cause, n);
	for (s = 0; s < SCOPES; s++)
		if (s != top && w->scopes[s].used && is_below(w, s, top))
			cancel_alone(w, s, KSCOPE_CAUSE_PARENT, n);
}

static inline bool fails_fast(const struct world *w, int s)
{
	return s >= 0 && w->scopes[s].policy == KSCOPE_POLICY_FAIL_FAST &&
	       w->scopes[s].state == KSCOPE_SCOPE_OPEN;
}

/* What the end of a child means for its scope, and those above. */
static inline void decide_over(struct world *w, const struct child *c)
{
	struct mscope *s = &w->scopes[c->scope];
	struct counts n = {};
	int top = c->scope;

	if (s->state != KSCOPE_SCOPE_OPEN)
		return;
	if (s->policy == KSCOPE_POLICY_FIRST_SUCCESS && did_finish(c)) {
		s->decider = c->handle;
		cancel_tree(w, top, KSCOPE_CAUSE_SUCCESS, &n);
	}
	if (!fails_fast(w, top) || c->outcome != KSCOPE_FAILED)
		return;
	s->decider = c->handle;
	cancel_alone(w, top, KSCOPE_CAUSE_FAILURE, &n);
	while (fails_fast(w, w->scopes[top].parent)) {
		top = w->scopes[top].parent;
		cancel_alone(w, top, KSCOPE_CAUSE_FAILURE, &n);
	}
	cancel_tree(w, top, KSCOPE_CAUSE_FAILURE, &n);
}

static inline void decide(struct world *w, const struct child *c)
{
	w->deciding = true;
	decide_over(w, c);
	w->deciding = false;
}

static inline void child_run(struct world *w, struct child *c)
{
	bool opened = c->kind >= HEEDS && w->gate_open;

	c->runs = true;
	if (!goes_on_by_itself(c->kind) && !opened)
		return;
	if (c->kind == FAIL)
		child_end(w, c, KSCOPE_FAILED, KSCOPE_CAUSE_NONE);
	else
		child_end(w, c,
			  c->told ? KSCOPE_FINISHED_ANYWAY : KSCOPE_FINISHED,
			  c->cause);
	decide(w, c);
}

static inline bool has_place(struct world *w, const struct child *first)
{
	const struct mscope *s = &w->scopes[first->scope];
	unsigned int nr = 0;
	struct child *c;

	if (!s->max_running)
		return true;
	for (c = first_child(w); c; c = next_child(w, c)) {
		nr += c->scope == first->scope && c->runs;
		if (c->scope == first->scope && !c->runs && c->seq < first->seq)
			return false;
	}
	return nr < s->max_running;
}

static inline bool child_step(struct world *w, struct child *c)
{
	if (c->in_line) {
		if (in_the_way(w, &c->lease, c->seq, true))
			return false;
		c->in_line = false;
		return true;
	}
	if (c->drains && !goes_first(w, c)) {
		c->drains = false;
		return true;
	}
	if (c->drains || c->after || (c->runs && !w->gate_open) ||
	    (c->runs && c->kind == SLEEP))
		return false;
	if (!c->runs && !has_place(w, c))
		return false;
	child_run(w, c);
	return true;
}

/* A drain that has ended keeps its place until all before it have. */
static inline void drains_settle(struct world *w)
{
	unsigned int s, i, nr;

	for (s = 0; s < SCOPES; s++) {
		struct mscope *scope = &w->scopes[s];

		for (i = 0, nr = 0; i < scope->nr_drains; i++) {
			struct child it = { .scope = s,
					    .seq = scope->drains[i] };

			if (nr || goes_first(w, &it))
				scope->drains[nr++] = scope->drains[i];
		}
		scope->nr_drains = nr;
	}
}

/* Until nothing more can happen */
static inline void settle(struct world *w)
{
	struct child *c;
	bool changed;

	do {
		changed = lose_dependents(w);
		for (c = first_child(w); c; c = next_child(w, c))
			changed |= child_step(w, c);
	} while (changed);
	drains_settle(w);
	w->round++;
}

static inline unsigned int nr_children(struct world *w, int s, bool tree)
{
	unsigned int nr = 0;
	struct child *c;

	for (c = first_child(w); c; c = next_child(w, c))
		nr += c->scope == s || (tree && is_below(w, c->scope, s));
	return nr;
}

static inline unsigned int nr_running(struct world *w, int s)
{
	unsigned int nr = 0;
	struct child *c;

	for (c = first_child(w); c; c = next_child(w, c))
		nr += c->scope == s && c->runs;
	return nr;
}

static inline unsigned int nr_loans(const struct world *w, int s)
{
	unsigned int nr = 0, i;

	for (i = 0; i < LOANS; i++)
		nr += w->loans[i].used && w->loans[i].lease.scope == s;
	return nr;
}

/* Nested in @s, and not released */
static inline unsigned int nr_nested(const struct world *w, int s)
{
	unsigned int nr = 0, i;

	for (i = 0; i < SCOPES; i++)
		nr += w->scopes[i].used && w->scopes[i].parent == s &&
		      w->scopes[i].state != KSCOPE_SCOPE_RELEASED;
	return nr;
}

/* A scope ends: its leases with it, and what it has of its parent's buffer. */
static inline void scope_release(struct world *w, int s)
{
	unsigned int i;

	w->scopes[s].state = KSCOPE_SCOPE_RELEASED;
	memset(w->scopes[s].bufs, 0, sizeof(w->scopes[s].bufs));
	for (i = 0; i < LOANS; i++)
		if (w->loans[i].lease.scope == s)
			w->loans[i].used = false;
}

#endif /* KSCOPE_ORACLE_MODEL_H */

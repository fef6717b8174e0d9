// SPDX-License-Identifier: GPL-2.0
/*
 * usage: tree
 *
 * The protocol of nest.c and prune.c, in all interleavings: a root, a scope nested in it, and one
 * nested in that or beside it, with four children in the two nested ones. Somebody makes scopes
 * and spawns; somebody cancels; a deadline passes; children end, or fail; fds are closed by
 * tasks that wait, or that leave it to the reaper. Tallies are the real ones of kmod/state.[ch].
 *
 * A step is what the module does under one hold of a scope's lock or of the tree lock. A walk
 * that cancels is a position in the tree, as in the code; several are under way at a time. How a
 * child is queued and run is left to states.c: here it is outstanding until it ends.
 *
 * What must hold is in world_check(), and what must be possible in the end: from each world
 * everything ends if children do, and nothing is left. Prints figures and exits with 0, or with 1
 * and a way to the broken promise.
 */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "state.h"

#define NR \
	3 /* scopes: 0 is the root, 1 is nested in it, and 2 in PARENT_OF_2 */
#ifndef PARENT_OF_2
#define PARENT_OF_2 1
#endif
#ifndef POLICY
#define POLICY KSCOPE_POLICY_FAIL_FAST
#endif
#define CHILDREN 2 /* of each nested scope, in its life */
#define TABLE_BITS 25
#define TABLE_SIZE (1U << TABLE_BITS)

static const int parent_of[NR] = { -1, 0, PARENT_OF_2 };

/* How far the end of a scope's owner is */
enum owner {
	OWNER_NONE, /* not made yet */
	OWNER_FD, /* programs have an fd */
	OWNER_CANCELS, /* it is closed: the scope itself comes next, then a walk */
	OWNER_WALKS,
	OWNER_ENDS, /* somebody ends the tree below, and then the scope */
	OWNER_GONE, /* and has dropped its reference */
};

struct scope {
	__u8 owner;
	__u8 state; /* KSCOPE_SCOPE_* */
	__u8 cause;
	bool sealed;
	__u8 unborn; /* children that may still be spawned */
	__u8 running;
	__u8 told; /* of these, those that were told; they end by themselves */
	__u8 nested; /* tally.nested */
	bool linked; /* in the parent's list of kids */
	bool live; /* in that of those that have not ended */
	bool ended;
	bool dropping; /* released, its buffers are on their way out */
	bool pinned; /* its own buffers */
	bool owes; /* has to tell its failure upwards */
	__u8 walk; /* 0 for none, else 1 + where a walk that began here stands */
	__u8 visit; /* that walk has cancelled where it stands */
};

struct world {
	struct scope s[NR];
};

static const char *broken;

#define PROMISE(kept, words)              \
	do {                              \
		if (!(kept) && !broken)   \
			broken = (words); \
	} while (0)

/* The real tally, for one answer */
static struct kscope_tally tally_of(const struct scope *s)
{
	struct kscope_tally tally;

	kscope_tally_init(&tally, 4);
	tally.state = s->state;
	tally.cause = s->cause;
	tally.sealed = s->sealed;
	tally.running = s->running;
	tally.nested = s->nested;
	return tally;
}

static void tally_put(struct scope *s, const struct kscope_tally *tally)
{
	s->state = tally->state;
	s->cause = tally->cause;
	s->sealed = tally->sealed;
}

/* One of the references that nest.refs counts: is there any */
static bool is_held(const struct world *w, int i)
{
	int k;

	if (w->s[i].owner > OWNER_NONE && w->s[i].owner < OWNER_GONE)
		return true;
	for (k = 0; k < NR; k++) {
		if (w->s[k].linked && parent_of[k] == i)
			return true;
		if (w->s[k].walk == i + 1 && k != i)
			return true;
	}
	return false;
}

/* kscope_scope_cancel_alone() */
static void cancel_alone(struct scope *s, __u8 cause)
{
	struct kscope_tally tally = tally_of(s);

	kscope_tally_cancel(&tally, cause);
	tally_put(s, &tally);
	s->told = s->running;
	if (cause == KSCOPE_CAUSE_PARENT)
		s->owes = false;
}

/* The next one of a walk, parents first; new ones come in at the front. -1 after the last */
static int next_down(const struct world *w, int root, int at)
{
	int k;

	/* the list of kids: 2 in front of 1, if they are siblings, as it was made later */
	for (k = NR - 1; k > 0; k--)
		if (w->s[k].linked && parent_of[k] == at)
			return k;
	while (at != root) {
		for (k = at - 1; k > 0; k--)
			if (w->s[k].linked && parent_of[k] == parent_of[at])
				return k;
		at = parent_of[at];
	}
	return -1;
}

static bool has_kids(const struct world *w, int i)
{
	int k;

	for (k = 1; k < NR; k++)
		if (w->s[k].linked && parent_of[k] == i)
			return true;
	return false;
}

/* Is a cancel under way, or about to be */
static bool is_walked(const struct world *w)
{
	int i;

	for (i = 0; i < NR; i++)
		if (w->s[i].walk || w->s[i].owes ||
		    w->s[i].owner == OWNER_CANCELS)
			return true;
	return false;
}

/* ---- What programs do ---- */

static bool rule_make(struct world *w, int i, int arg)
{
	struct kscope_tally tally;
	struct scope *s = &w->s[i], *parent;

	if (!i)
		return false;
	parent = &w->s[parent_of[i]];
	if (s->owner != OWNER_NONE || parent->owner != OWNER_FD)
		return false;
	tally = tally_of(parent);
	if (kscope_tally_open(&tally))
		return false;
	*s = (struct scope){ .owner = OWNER_FD,
			     .state = KSCOPE_SCOPE_OPEN,
			     .unborn = CHILDREN,
			     .linked = true,
			     .live = true,
			     .pinned = true };
	parent->nested++;
	return true;
}

static bool rule_spawn(struct world *w, int i, int arg)
{
	struct scope *s = &w->s[i];
	struct kscope_tally tally = tally_of(s);

	if (s->owner != OWNER_FD || !s->unborn || kscope_tally_open(&tally))
		return false;
	s->unborn--;
	s->running++;
	return true;
}

static bool rule_cancel(struct world *w, int i, int arg)
{
	struct scope *s = &w->s[i];

	if (s->owner != OWNER_FD || s->walk || s->state != KSCOPE_SCOPE_OPEN)
		return false;
	cancel_alone(s, arg ? KSCOPE_CAUSE_DEADLINE : KSCOPE_CAUSE_CALLER);
	s->walk = i + 1;
	s->visit = true;
	return true;
}

static bool rule_reopen(struct world *w, int i, int arg)
{
	struct scope *s = &w->s[i];
	struct kscope_tally tally = tally_of(s);

	if (s->owner != OWNER_FD || s->state != KSCOPE_SCOPE_CANCELLED ||
	    kscope_tally_reopen(&tally))
		return false;
	/* a cancel that is under way has not returned: what it does is in order */
	if (is_walked(w))
		return false;
	PROMISE(i == 0 || w->s[parent_of[i]].state == KSCOPE_SCOPE_OPEN,
		"a scope opens in a tree that is cancelled");
	tally_put(s, &tally);
	s->owes = false;
	return true;
}

/* The first step of kscope_scope_end(); what follows needs no lock of the scope */
static bool release(struct world *w, int i)
{
	struct scope *s = &w->s[i];
	struct kscope_tally tally = tally_of(s);

	if (kscope_tally_release(&tally))
		return false;
	tally_put(s, &tally);
	s->dropping = true;
	return true;
}

static bool rule_release(struct world *w, int i, int arg)
{
	return w->s[i].owner == OWNER_FD && release(w, i);
}

static bool rule_close(struct world *w, int i, int arg)
{
	if (w->s[i].owner != OWNER_FD || w->s[i].dropping)
		return false;
	w->s[i].owner = OWNER_CANCELS;
	return true;
}

/* ---- What the kernel does ---- */

static bool rule_child_ends(struct world *w, int i, int arg)
{
	struct scope *s = &w->s[i];

	if (!s->running)
		return false;
	PROMISE(s->pinned, "a child has lost its buffers");
	PROMISE(w->s[0].pinned, "a child has lost what an ancestor lent");
	PROMISE(i != 2 || w->s[parent_of[2]].pinned,
		"a child has lost what its parent lent");
	s->running--;
	if (s->told > s->running)
		s->told = s->running;
	return true;
}

/* A child that was not told fails: scope_decide(), and kscope_scope_carry_out() */
static bool rule_child_fails(struct world *w, int i, int arg)
{
	struct scope *s = &w->s[i];

	if (!s->running || s->told || POLICY != KSCOPE_POLICY_FAIL_FAST)
		return false;
	if (!rule_child_ends(w, i, 0))
		return false;
	if (s->state != KSCOPE_SCOPE_OPEN)
		return true;
	cancel_alone(s, KSCOPE_CAUSE_FAILURE);
	s->owes = i > 0;
	return true;
}

/*
 * kscope_nest_spread(): up as far as it goes, in one step here, as nothing but a lock of each
 * scope is taken; then a walk begins at the highest.
 */
static bool rule_fail_up(struct world *w, int i, int arg)
{
	int at = parent_of[i];
	int top = i;

	if (!w->s[i].owes || w->s[i].owner == OWNER_NONE)
		return false;
	while (at >= 0 && w->s[at].state == KSCOPE_SCOPE_OPEN) {
		top = at;
		at = parent_of[at];
	}
	if (w->s[top].walk)
		return false; /* a place for one walk from each scope */
	w->s[i].owes = false;
	for (at = i; at != top;) {
		at = parent_of[at];
		cancel_alone(&w->s[at], KSCOPE_CAUSE_FAILURE);
	}
	w->s[top].walk = top + 1;
	w->s[top].visit = true;
	return true;
}

/* kscope_nest_next(): from where it stands to the next one */
static bool rule_walk_steps(struct world *w, int i, int arg)
{
	struct scope *s = &w->s[i];
	int next;

	if (!s->walk || !s->visit)
		return false;
	/* the struct of the one where it began waits for whoever walks: see rule_free() */
	PROMISE(s->walk == i + 1 || is_held(w, s->walk - 1),
		"a walk stands on a freed scope");
	next = next_down(w, i, s->walk - 1);
	s->walk = next + 1;
	s->visit = false;
	if (next < 0 && s->owner == OWNER_WALKS)
		s->owner = OWNER_ENDS;
	return true;
}

static bool rule_walk_cancels(struct world *w, int i, int arg)
{
	struct scope *s = &w->s[i];

	if (!s->walk || s->visit)
		return false;
	cancel_alone(&w->s[s->walk - 1], KSCOPE_CAUSE_PARENT);
	s->visit = true;
	return true;
}

static bool rule_close_cancels(struct world *w, int i, int arg)
{
	struct scope *s = &w->s[i];

	if (s->owner != OWNER_CANCELS || s->walk)
		return false;
	cancel_alone(s, KSCOPE_CAUSE_CLOSE);
	s->owner = OWNER_WALKS;
	s->walk = i + 1;
	s->visit = true;
	return true;
}

/* live_leaf() */
static int live_leaf(const struct world *w, int i)
{
	int k;

	for (k = NR - 1; k > 0; k--)
		if (w->s[k].live && parent_of[k] == i)
			return live_leaf(w, k);
	return i;
}

/* kscope_nest_close() and kscope_nest_reap(): what fails is tried again when that is woken */
static bool rule_prune(struct world *w, int i, int arg)
{
	struct scope *s = &w->s[i];

	if (s->owner != OWNER_ENDS || s->ended)
		return false;
	return release(w, live_leaf(w, i));
}

/* The buffers are gone: kscope_nest_ended() */
static bool rule_drop(struct world *w, int i, int arg)
{
	struct scope *s = &w->s[i];

	if (!s->dropping)
		return false;
	PROMISE(!s->running, "buffers go under a child");
	s->dropping = false;
	s->pinned = false;
	s->ended = true;
	s->live = false;
	if (i) {
		PROMISE(w->s[parent_of[i]].nested, "a parent counts too few");
		w->s[parent_of[i]].nested--;
	}
	return true;
}

/* The owner drops its reference, when its scope has ended */
static bool rule_owner_goes(struct world *w, int i, int arg)
{
	struct scope *s = &w->s[i];

	if (s->owner != OWNER_ENDS || !s->ended || s->owes)
		return false;
	s->owner = OWNER_GONE;
	return true;
}

/* kscope_scope_unref() of the last one, and the end of the struct */
static bool rule_free(struct world *w, int i, int arg)
{
	struct scope *s = &w->s[i];

	if (s->owner != OWNER_GONE || is_held(w, i) || !s->state || s->walk)
		return false;
	PROMISE(!has_kids(w, i), "freed under a nested scope");
	PROMISE(!s->running && !s->pinned, "freed with something left");
	*s = (struct scope){ .owner = OWNER_GONE, .ended = true };
	return true;
}

struct rule {
	const char *words;
	bool (*take)(struct world *w, int i, int arg);
	int nr_args;
	bool own; /* the kernel does it by itself, or a child does */
};

static const struct rule rules[] = {
	{ "is made", rule_make, 1, false },
	{ "spawns", rule_spawn, 1, false },
	{ "is cancelled", rule_cancel, 2, false },
	{ "opens again", rule_reopen, 1, false },
	{ "is released", rule_release, 1, false },
	{ "is closed", rule_close, 1, false },
	{ "a child fails", rule_child_fails, 1, false },
	{ "a child ends", rule_child_ends, 1, true },
	{ "tells its failure", rule_fail_up, 1, true },
	{ "the walk from it steps", rule_walk_steps, 1, true },
	{ "the walk from it cancels", rule_walk_cancels, 1, true },
	{ "the closer cancels it", rule_close_cancels, 1, true },
	{ "whoever closes it ends a leaf", rule_prune, 1, true },
	{ "its buffers go", rule_drop, 1, true },
	{ "its owner is through", rule_owner_goes, 1, true },
	{ "is freed", rule_free, 1, true },
};

#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))
#define NR_RULES ARRAY_SIZE(rules)

static void world_check(const struct world *w)
{
	const struct scope *s, *parent;
	int i, k, nr;

	for (i = 0; i < NR; i++) {
		s = &w->s[i];
		if (s->owner == OWNER_NONE)
			continue;
		for (nr = 0, k = 1; k < NR; k++)
			nr += w->s[k].live && parent_of[k] == i;
		PROMISE(s->nested == nr, "nested is not what is nested");
		PROMISE(!s->ended || (!nr && !s->running),
			"has ended before what is in it");
		PROMISE(s->state != KSCOPE_SCOPE_RELEASED || !s->running,
			"released with a child");
		PROMISE(!s->linked || is_held(w, i) || s->owner == OWNER_GONE,
			"linked and not held");
		if (!i || s->ended)
			continue;
		parent = &w->s[parent_of[i]];
		PROMISE(!s->running || parent->pinned,
			"a parent's buffers are gone under a child below");
		/* When no cancel is under way any more, it has reached all. */
		if (is_walked(w) || parent->state == KSCOPE_SCOPE_OPEN)
			continue;
		PROMISE(s->state != KSCOPE_SCOPE_OPEN,
			"a cancel has missed a nested scope");
		PROMISE(s->told == s->running,
			"a cancel has missed a child below");
	}
}

/* ---- The search ---- */

static struct world *worlds;
static __u32 *parents, *table;
static __u32 nr_worlds;

static void *room(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED) {
		fprintf(stderr, "tree: not enough memory\n");
		exit(2);
	}
	return memory;
}

static __u32 look_up(const struct world *w, __u32 from)
{
	const unsigned char *bytes = (const void *)w;
	__u64 hash = 14695981039346656037ULL;
	size_t i;
	__u32 at;

	for (i = 0; i < sizeof(*w); i++)
		hash = (hash ^ bytes[i]) * 1099511628211ULL;
	for (at = hash >> (64 - TABLE_BITS); table[at];
	     at = (at + 1) % TABLE_SIZE)
		if (!memcmp(&worlds[table[at] - 1], w, sizeof(*w)))
			return table[at] - 1;
	if (nr_worlds == TABLE_SIZE / 2) {
		fprintf(stderr, "tree: the world is too large\n");
		exit(2);
	}
	worlds[nr_worlds] = *w;
	parents[nr_worlds] = from;
	table[at] = ++nr_worlds;
	return nr_worlds - 1;
}

static void print_world(const struct world *w)
{
	int i;

	for (i = 0; i < NR; i++) {
		printf("\t\t%d: owner %u, state %u, cause %u%s, ", i,
		       w->s[i].owner, w->s[i].state, w->s[i].cause,
		       w->s[i].sealed ? " for good" : "");
		printf("%u running, %u told, %u nested%s%s%s, walk %d\n",
		       w->s[i].running, w->s[i].told, w->s[i].nested,
		       w->s[i].linked ? ", linked" : "",
		       w->s[i].live ? ", live" : "",
		       w->s[i].ended ? ", ended" : "", w->s[i].walk - 1);
	}
}

static void print_way(__u32 to)
{
	struct world w;
	unsigned int r;
	int i, arg;

	if (!to) {
		print_world(&worlds[0]);
		return;
	}
	print_way(parents[to]);
	for (i = 0; i < NR; i++)
		for (r = 0; r < NR_RULES; r++)
			for (arg = 0; arg < rules[r].nr_args; arg++) {
				w = worlds[parents[to]];
				if (!rules[r].take(&w, i, arg) ||
				    memcmp(&w, &worlds[to], sizeof(w)))
					continue;
				printf("  scope %d %s\n", i, rules[r].words);
				print_world(&w);
				return;
			}
}

static void report(__u32 at, const char *what)
{
	const char *words = broken;

	broken = NULL;
	printf("BROKEN: %s\n", words);
	print_way(at);
	if (what)
		printf("  then: %s\n", what);
	exit(1);
}

static __u64 nr_steps, taken[NR_RULES];

static void expand(__u32 at)
{
	struct world w;
	unsigned int r;
	int i, arg;

	world_check(&worlds[at]);
	if (broken)
		report(at, NULL);
	for (i = 0; i < NR; i++)
		for (r = 0; r < NR_RULES; r++)
			for (arg = 0; arg < rules[r].nr_args; arg++) {
				w = worlds[at];
				if (!rules[r].take(&w, i, arg))
					continue;
				if (broken)
					report(at, rules[r].words);
				nr_steps++;
				taken[r]++;
				look_up(&w, at);
			}
}

/* Nothing to do for anybody: each scope is open to a program, or gone */
static bool is_quiet(const struct world *w)
{
	int i;

	for (i = 0; i < NR; i++) {
		if (w->s[i].walk || w->s[i].running || w->s[i].owes ||
		    w->s[i].dropping)
			return false;
		if (w->s[i].owner != OWNER_NONE && w->s[i].owner != OWNER_FD &&
		    w->s[i].owner != OWNER_GONE)
			return false;
		if (w->s[i].owner == OWNER_GONE && !is_held(w, i) &&
		    (w->s[i].linked || w->s[i].pinned))
			return false;
	}
	return true;
}

/* The kernel's own steps, until there are none: each of them comes nearer to the end. */
static void run_out(__u32 at)
{
	struct world w = worlds[at];
	unsigned int r, left = 1000;
	int i;

again:
	if (!left--) {
		broken = "goes round in circles";
		report(at, NULL);
	}
	for (i = 0; i < NR; i++)
		for (r = 0; r < NR_RULES; r++)
			if (rules[r].own && rules[r].take(&w, i, 0))
				goto again;
	if (!is_quiet(&w)) {
		print_world(&w);
		broken = "does not come to an end";
		report(at, NULL);
	}
}

int main(void)
{
	struct world first;
	__u32 at;
	unsigned int r;

	worlds = room(sizeof(*worlds) * (TABLE_SIZE / 2));
	parents = room(sizeof(*parents) * (TABLE_SIZE / 2));
	table = room(sizeof(*table) * (size_t)TABLE_SIZE);
	memset(&first, 0, sizeof(first));
	first.s[0] = (struct scope){ .owner = OWNER_FD,
				     .state = KSCOPE_SCOPE_OPEN,
				     .live = true,
				     .pinned = true };
	look_up(&first, 0);
	for (at = 0; at < nr_worlds; at++)
		expand(at);
	for (at = 0; at < nr_worlds; at++)
		run_out(at);
	for (r = 0; r < NR_RULES; r++)
		if (!taken[r] &&
		    (POLICY || rules[r].take != rule_child_fails) &&
		    (POLICY || rules[r].take != rule_fail_up)) {
			printf("BROKEN: never: %s\n", rules[r].words);
			return 1;
		}
	printf("%u states, %llu steps\n", nr_worlds,
	       (unsigned long long)nr_steps);
	return 0;
}

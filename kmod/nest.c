// SPDX-License-Identifier: GPL-2.0
/*
 * Nested scopes: a tree, and what goes through it.
 *
 *   cancel    goes down: once a scope is cancelled, so are all below it, and none is added
 *   failure   goes up: from a scope that its policy cancelled, as that of a child, to parents
 *             that fail fast
 *   end       comes from the leaves: no scope is released before those that are nested in it
 *
 * The lock. One spinlock for all trees, the tree lock, protects their shape. It is taken before
 * the lock of a scope, and never together with those of two scopes. Nothing of the hot path
 * takes it; what is done under it is bounded by the depth of a tree, which is bounded too. So a
 * tree of any width is walked one step at a time, and no walk calls itself.
 *
 * References. A scope counts references: one of its owner (its file, or a module), one of each
 * scope that is nested in it, and one of each walk that stands on it. It is on its parent's list
 * of kids until the last one is gone, and leaves the list in the same step, under the tree lock.
 * So whoever stands on a scope finds its place, all that are above it, and the next ones. Nested
 * scopes come in at the front, where walks have been: a walk ends, however many are made
 * meanwhile.
 *
 * Whoever drops the last reference frees the scope, and then drops that to its parent, in a loop.
 * A walk leaves that to the reaper: it may be made by a lane or a deadline, for which the one who
 * frees a scope has to wait.
 *
 * Cancelled as a whole. A scope is linked under the lock of its parent, if that is open. A walk
 * that cancels closes a scope first and looks for its kids after that. So what was linked before
 * is found, and nothing is linked later. What a parent's cancel has closed stays closed.
 *
 * But the parent may be opened again while a walk is on its way: a policy's cancel is carried out
 * by whoever has ended the child. What is nested after that is none of the walk's business, and a
 * scope that was opened again does not fail of what a nested one did before. So there is a time
 * that goes on whenever a scope is opened again, and scopes know when they were nested, cancelled
 * and opened again, and when their policy decided.
 *
 * The end. A scope has ended when it is released and its buffers are gone. Then it leaves the
 * list of those that live, and its parent counts one less. Who closes a scope ends those below it
 * first; see prune.c.
 *
 *   open, cancelled --release--> RELEASED --buffers dropped--> ended --last reference--> freed
 *
 * Buffers that were reborrowed (reborrow.c) belong to the table of the nested scope and go with
 * it, so before the parent's.
 */
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "internal.h"

static DEFINE_SPINLOCK(tree_lock);
static atomic64_t tree_time;

/**
 * kscope_nest_time() - how many times a scope was opened again, in all trees
 *
 * Context: under the lock of the scope that notes it, so that what it notes later is not less.
 * Return: that number.
 */
u64 kscope_nest_time(void)
{
	return atomic64_read(&tree_time);
}

/**
 * kscope_nest_reopened() - forget how nested scopes have failed
 * @scope: that takes children again
 *
 * Context: under the scope's lock.
 */
void kscope_nest_reopened(struct kscope_scope *scope)
{
	struct kscope_nest *nest = &scope->nest;

	lockdep_assert_held(&scope->lock);
	nest->gone_status = 0;
	nest->reopened = atomic64_inc_return(&tree_time);
}

#ifdef KSCOPE_HOOKS
/**
 * kscope_nest_lock() - hold all trees still
 *
 * Context: any but interrupts; no lock of a scope is held.
 */
void kscope_nest_lock(void)
{
	spin_lock(&tree_lock);
}

/**
 * kscope_nest_unlock() - undo kscope_nest_lock()
 */
void kscope_nest_unlock(void)
{
	spin_unlock(&tree_lock);
}
#endif

static struct kscope_scope *first_kid(struct kscope_scope *scope)
{
	return list_first_entry_or_null(&scope->nest.kids, struct kscope_scope,
					nest.sibling);
}

static struct kscope_scope *next_sibling(struct kscope_scope *scope)
{
	if (list_is_last(&scope->nest.sibling, &scope->nest.parent->nest.kids))
		return NULL;
	return list_entry(scope->nest.sibling.next, struct kscope_scope,
			  nest.sibling);
}

static struct kscope_scope *first_leaf(struct kscope_scope *scope)
{
	struct kscope_scope *kid;

	while ((kid = first_kid(scope)))
		scope = kid;
	return scope;
}

/* Parents before those that are nested in them. Return: NULL after the last */
static struct kscope_scope *next_down(struct kscope_scope *root,
				      struct kscope_scope *scope)
{
	struct kscope_scope *next = first_kid(scope);

	lockdep_assert_held(&tree_lock);
	while (!next && scope != root) {
		next = next_sibling(scope);
		scope = scope->nest.parent;
	}
	return next;
}

/* Parents after those that are nested in them, from NULL on. Return: @root is the last */
static struct kscope_scope *next_up(struct kscope_scope *root,
				    struct kscope_scope *scope)
{
	struct kscope_scope *next;

	lockdep_assert_held(&tree_lock);
	if (!scope)
		return first_leaf(root);
	next = next_sibling(scope);
	return next ? first_leaf(next) : scope->nest.parent;
}

/* The deepest of those that have not ended, on the way of the first ones */
static struct kscope_scope *live_leaf(struct kscope_scope *scope)
{
	lockdep_assert_held(&tree_lock);
	while (!list_empty(&scope->nest.live))
		scope = list_first_entry(&scope->nest.live, struct kscope_scope,
					 nest.live_node);
	return scope;
}

/* Whoever is on a list of kids has a reference left. */
static struct kscope_scope *scope_get(struct kscope_scope *scope)
{
	lockdep_assert_held(&tree_lock);
	if (scope)
		refcount_inc(&scope->nest.refs);
	return scope;
}

static void note_gone(struct kscope_scope *scope)
{
	const struct kscope_nest *nest = &scope->nest;
	struct kscope_scope *parent = nest->parent;

	spin_lock(&parent->lock);
	parent->nest.gone_failed += scope->tally.failed + nest->gone_failed;
	parent->nest.gone_cancelled +=
		scope->tally.cancelled + nest->gone_cancelled;
	if (!parent->nest.gone_status && scope->first.status) {
		parent->nest.gone_status = scope->first.status;
		parent->nest.gone_user_data = scope->first.user_data;
	} else if (!parent->nest.gone_status) {
		parent->nest.gone_status = nest->gone_status;
		parent->nest.gone_user_data = nest->gone_user_data;
	}
	spin_unlock(&parent->lock);
}

/**
 * kscope_scope_unref() - drop a reference to a scope
 * @scope: not to be touched afterwards, unless it was the last
 *
 * Context: any but interrupts.
 * Return: was it the last; then the scope is the caller's to free.
 */
bool kscope_scope_unref(struct kscope_scope *scope)
{
	bool last;

	if (!scope->nest.parent)
		return refcount_dec_and_test(&scope->nest.refs);
	if (refcount_dec_not_one(&scope->nest.refs))
		return false;
	spin_lock(&tree_lock);
	last = refcount_dec_and_test(&scope->nest.refs);
	if (last) {
		list_del(&scope->nest.sibling);
		note_gone(scope);
	}
	spin_unlock(&tree_lock);
	return last;
}

/**
 * kscope_scope_put() - drop a reference to a scope, whoever one is
 * @scope: not to be touched afterwards; if it was the last, the reaper frees it
 *
 * Context: any but interrupts.
 */
void kscope_scope_put(struct kscope_scope *scope)
{
	if (kscope_scope_unref(scope))
		kscope_scope_reap_later(scope);
}

/**
 * kscope_nest_init() - make a scope one that can be nested, and nested in
 * @scope: new
 * @parent: that it is going to be in, or NULL
 */
void kscope_nest_init(struct kscope_scope *scope, struct kscope_scope *parent)
{
	struct kscope_nest *nest = &scope->nest;

	refcount_set(&nest->refs, 1);
	nest->depth = parent ? parent->nest.depth + 1 : 0;
	INIT_LIST_HEAD(&nest->kids);
	INIT_LIST_HEAD(&nest->live);
	INIT_LIST_HEAD(&nest->sibling);
	INIT_LIST_HEAD(&nest->live_node);
}

static int parent_admit(struct kscope_scope *parent, struct kscope_scope *scope)
{
	int ret;

	spin_lock(&parent->lock);
	ret = kscope_tally_open(&parent->tally);
	if (!ret) {
		scope->nest.born = kscope_nest_time();
		parent->tally.nested++;
		WRITE_ONCE(parent->nest.nests, true);
	}
	spin_unlock(&parent->lock);
	return ret;
}

/**
 * kscope_nest_link() - nest a scope
 * @scope: new and whole, without a parent
 * @parent: that the caller holds
 *
 * Context: process context. From here on others may cancel it.
 * Return: 0, or -ECANCELED or -ESHUTDOWN if the parent takes none.
 */
int kscope_nest_link(struct kscope_scope *scope, struct kscope_scope *parent)
{
	int ret;

	spin_lock(&tree_lock);
	ret = parent_admit(parent, scope);
	if (!ret) {
		scope->nest.parent = scope_get(parent);
		list_add(&scope->nest.sibling, &parent->nest.kids);
		list_add(&scope->nest.live_node, &parent->nest.live);
	}
	spin_unlock(&tree_lock);
	return ret;
}

/**
 * kscope_nest_next() - walk over all that are below a scope, parents first
 * @root: that the caller holds
 * @scope: of the step before, or @root to begin with; the reference that came with it is dropped
 *
 * Context: process context.
 * Return: the next one, with a reference; NULL after the last.
 */
struct kscope_scope *kscope_nest_next(struct kscope_scope *root,
				      struct kscope_scope *scope)
{
	struct kscope_scope *next;

	spin_lock(&tree_lock);
	next = scope_get(next_down(root, scope));
	spin_unlock(&tree_lock);
	if (scope != root)
		kscope_scope_put(scope);
	return next;
}

/* Likewise, parents last, beginning with NULL. Return: NULL when it comes to @root */
static struct kscope_scope *next_to_sum(struct kscope_scope *root,
					struct kscope_scope *scope)
{
	struct kscope_scope *next;

	spin_lock(&tree_lock);
	next = next_up(root, scope);
	next = next == root ? NULL : scope_get(next);
	spin_unlock(&tree_lock);
	if (scope)
		kscope_scope_put(scope);
	return next;
}

/*
 * Was a scope there when @root was cancelled. Parents come first: one below others was if its
 * parent is cancelled by now.
 */
static bool came_before(struct kscope_scope *scope,
			const struct kscope_scope *root)
{
	struct kscope_scope *parent = scope->nest.parent;
	bool before;

	spin_lock(&parent->lock);
	if (parent == root)
		before = scope->nest.born <= parent->nest.cancelled;
	else
		before = parent->tally.state != KSCOPE_SCOPE_OPEN;
	spin_unlock(&parent->lock);
	return before;
}

static void cancel_below(struct kscope_scope *root,
			 struct kscope_cancel_counts *counts)
{
	struct kscope_scope *scope = root;

	while ((scope = kscope_nest_next(root, scope))) {
		kscope_hook(KSCOPE_POINT_DESCENDED, scope->user_data);
		if (came_before(scope, root))
			kscope_scope_cancel_alone(scope, KSCOPE_CAUSE_PARENT,
						  counts);
		cond_resched();
	}
}

static bool take_debt(struct kscope_scope *scope, u64 *user_data, u64 *since)
{
	bool owes;

	spin_lock(&scope->lock);
	owes = scope->nest.owes;
	WRITE_ONCE(scope->nest.owes, false);
	*user_data = scope->decider.user_data;
	*since = scope->nest.owes_since;
	spin_unlock(&scope->lock);
	return owes;
}

/* Return: does it fail of what a child of a nested scope has done, at the time @since */
static bool parent_fails(struct kscope_scope *parent, u64 user_data, u64 since)
{
	bool fails;

	spin_lock(&parent->lock);
	fails = parent->policy == KSCOPE_POLICY_FAIL_FAST &&
		parent->tally.state == KSCOPE_SCOPE_OPEN &&
		parent->nest.reopened <= since;
	if (fails) {
		parent->decider.user_data = user_data;
		kscope_scope_doom(parent, KSCOPE_CAUSE_FAILURE);
	}
	spin_unlock(&parent->lock);
	return fails;
}

/* Return: the highest scope that fails because this one has, or NULL */
static struct kscope_scope *fail_up(struct kscope_scope *scope)
{
	struct kscope_scope *parent, *top = NULL;
	u64 user_data, since;

	if (!take_debt(scope, &user_data, &since))
		return NULL;
	for (parent = scope->nest.parent; parent;
	     parent = parent->nest.parent) {
		if (!parent_fails(parent, user_data, since))
			break;
		top = parent;
	}
	return top;
}

/**
 * kscope_nest_spread() - let the tree know that a scope was cancelled
 * @scope: that the caller keeps alive
 * @counts: added to
 *
 * If its policy has cancelled it because of a failure, parents that fail fast are cancelled as
 * well, as long as each of them is open. On return all below are cancelled.
 *
 * Context: process context, without a lock.
 */
void kscope_nest_spread(struct kscope_scope *scope,
			struct kscope_cancel_counts *counts)
{
	struct kscope_scope *top = NULL;

	kscope_hook(KSCOPE_POINT_SPREADING, scope->user_data);
	if (READ_ONCE(scope->nest.owes))
		top = fail_up(scope);
	if (top) {
		kscope_hook(KSCOPE_POINT_FAILING, top->user_data);
		kscope_scope_cancel_rest(top, counts);
		scope = top;
	}
	if (READ_ONCE(scope->nest.nests))
		cancel_below(scope, counts);
}

/**
 * kscope_nest_wait() - wait until nothing is outstanding below a scope
 * @root: that the caller holds
 * @deadline_ns: CLOCK_MONOTONIC, or 0 for none
 *
 * One scope after the other: what is spawned in one after its turn is not waited for, and neither
 * are scopes that are made meanwhile.
 *
 * Context: process context.
 * Return: as kscope_scope_wait().
 */
int kscope_nest_wait(struct kscope_scope *root, u64 deadline_ns)
{
	struct kscope_scope *scope = root;
	int ret;

	while ((scope = kscope_nest_next(root, scope))) {
		ret = kscope_scope_wait(scope, U32_MAX, deadline_ns);
		if (ret) {
			kscope_scope_put(scope);
			return ret;
		}
		cond_resched();
	}
	return 0;
}

static void sum_add(struct kscope_scope *scope, struct kscope_nest_sum *sum,
		    bool is_root)
{
	const struct kscope_nest *nest = &scope->nest;
	const struct kscope_tally *tally = &scope->tally;

	spin_lock(&scope->lock);
	sum->failed += nest->gone_failed;
	sum->cancelled += nest->gone_cancelled;
	if (!is_root) {
		sum->outstanding += tally->queued + tally->running;
		sum->failed += tally->failed;
		sum->cancelled += tally->cancelled;
	}
	if (!sum->status && !is_root && scope->first.status) {
		sum->status = scope->first.status;
		sum->user_data = scope->first.user_data;
	} else if (!sum->status && nest->gone_status) {
		sum->status = nest->gone_status;
		sum->user_data = nest->gone_user_data;
	}
	spin_unlock(&scope->lock);
}

/**
 * kscope_nest_sum_up() - count what is and was below a scope
 * @root: that the caller holds
 * @sum: set
 *
 * Scopes that are freed before their turn are in what their parent knows of those that are gone,
 * as parents come last. Of one that is freed after its turn both may be counted.
 *
 * Context: process context.
 */
void kscope_nest_sum_up(struct kscope_scope *root, struct kscope_nest_sum *sum)
{
	struct kscope_scope *scope = NULL;

	*sum = (struct kscope_nest_sum){};
	if (!READ_ONCE(root->nest.nests))
		return;
	while ((scope = next_to_sum(root, scope))) {
		sum_add(scope, sum, false);
		cond_resched();
	}
	sum_add(root, sum, true);
}

static void scope_describe(const struct kscope_scope *scope,
			   struct kscope_blocker *blocker)
{
	*blocker = (struct kscope_blocker){
		.user_data = scope->user_data,
		.age_ns = ktime_get_ns() - scope->made_ns,
		.state = KSCOPE_STATE_NESTED,
	};
}

static u32 live_blockers(const struct kscope_scope *scope,
			 struct kscope_blocker *blockers, u32 max)
{
	struct kscope_scope *kid;
	u32 nr = 0;

	lockdep_assert_held(&tree_lock);
	list_for_each_entry(kid, &scope->nest.live, nest.live_node) {
		if (nr == max)
			break;
		scope_describe(kid, &blockers[nr++]);
	}
	return nr;
}

/**
 * kscope_nest_release() - kscope_tally_release(), or who is in the way
 * @scope: in which something may be nested
 * @blockers: filled in with children, and then with nested scopes that have not ended
 * @nr_blockers: in: room there. out: how many
 *
 * Context: process context.
 * Return: as kscope_tally_release().
 */
int kscope_nest_release(struct kscope_scope *scope,
			struct kscope_blocker *blockers, u32 *nr_blockers)
{
	u32 nr = 0;
	int ret;

	spin_lock(&tree_lock);
	spin_lock(&scope->lock);
	ret = kscope_tally_release(&scope->tally);
	if (ret == -EBUSY)
		nr = kscope_scope_blockers(scope, NULL, blockers, *nr_blockers);
	else if (!ret)
		kscope_loans_end(scope);
	spin_unlock(&scope->lock);
	if (ret == -EBUSY)
		nr += live_blockers(scope, blockers + nr, *nr_blockers - nr);
	spin_unlock(&tree_lock);
	*nr_blockers = nr;
	return ret;
}

static void parent_count_off(struct kscope_scope *scope)
{
	struct kscope_scope *parent = scope->nest.parent;

	spin_lock(&tree_lock);
	list_del_init(&scope->nest.live_node);
	spin_lock(&parent->lock);
	parent->tally.nested--;
	spin_unlock(&parent->lock);
	spin_unlock(&tree_lock);
}

/**
 * kscope_nest_ended() - a scope is released and its buffers are gone
 * @scope: of a tree
 *
 * Context: process context.
 */
void kscope_nest_ended(struct kscope_scope *scope)
{
	if (scope->nest.parent)
		parent_count_off(scope);
	spin_lock(&scope->lock);
	WRITE_ONCE(scope->nest.ended, true);
	spin_unlock(&scope->lock);
	kscope_scope_notify(scope);
	if (scope->nest.parent)
		kscope_scope_notify(scope->nest.parent);
}

/**
 * kscope_nest_leaf() - the next scope that has to end
 * @scope: that is to end, and has not
 *
 * Context: process context.
 * Return: the deepest that has not ended, on the way of the first ones, with a reference.
 */
struct kscope_scope *kscope_nest_leaf(struct kscope_scope *scope)
{
	struct kscope_scope *leaf;

	spin_lock(&tree_lock);
	leaf = scope_get(live_leaf(scope));
	spin_unlock(&tree_lock);
	return leaf;
}

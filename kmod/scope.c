// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a scope, and above all its end.
 *
 *   OPEN --cancel--> CANCELLED        no more children; those that are there are told
 *     |                 |
 *     +----release------+--> RELEASED refused while anything is outstanding
 *
 * Whatever the state, the struct lives until the last reference to its file is gone. Then
 * the scope is cancelled, and nothing of it is freed before its last child has ended:
 *
 *   - In a living process the closing task waits for that, so that close() returns when
 *     the memory is the caller's again. The wait can be killed.
 *   - A dying process, or a kernel thread that happened to drop the last reference, does
 *     not wait: it sets KSCOPE_END_REAPS, and whoever ends the last child queues the
 *     scope's reaper work. No thread waits meanwhile, and the pages stay pinned.
 *
 * Children never need the closing task to make progress, so the wait cannot deadlock.
 *
 * The last step is the same for all: wait until deadline and lanes have returned, unpin, free.
 * After that nobody else has a pointer to the scope: children are gone, ioctls
 * and polls hold the file, mappings hold the ring's own file.
 *
 * Each scope holds the module, so that it cannot be unloaded while the reaper still has work.
 * The reaper drops that reference as its last act; kscope_reaper_stop() waits until the
 * code after that has run.
 */
#include <linux/cpumask.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/poll.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "internal.h"

#define BLOCKERS_SCAN 1024U

static struct workqueue_struct *reaper_wq;

static void scope_end_loans(struct kscope_scope *scope)
{
	spin_lock(&scope->lock);
	kscope_loans_end(scope);
	spin_unlock(&scope->lock);
}

static void scope_free(struct kscope_scope *scope)
{
	WARN_ON_ONCE(kscope_tally_outstanding(&scope->tally));
	kscope_unwatch(scope);
	kscope_hook(KSCOPE_POINT_FREEING, 0);
	kscope_deadline_stop(scope);
	kscope_grace_stop(scope);
	kscope_ties_stop(scope);
	kscope_lanes_destroy(scope);
	/* It takes the lock, and so waits for whoever queued the reaper and still holds it. */
	scope_end_loans(scope);
	xa_destroy(&scope->loans);
	kscope_buf_drop_all(scope);
	kscope_hash_drop_all(scope);
	kscope_ring_put(scope->ring);
	kscope_event_set(scope, NULL);
	kfree(scope->bay);
	kfree(scope->cpus);
	kvfree(scope->bufs);
	kvfree(scope->places);
	kvfree(scope->ties);
	kvfree(scope->slots);
	mem_cgroup_put(scope->memcg);
	kfree(scope);
	module_put(THIS_MODULE);
}

/* The last reference is gone; it may have been the last that its parent had. */
static void scope_free_up(struct kscope_scope *scope)
{
	struct kscope_scope *parent;

	do {
		parent = scope->nest.parent;
		scope_free(scope);
		scope = parent;
	} while (scope && kscope_scope_unref(scope));
}

static void scope_drop(struct kscope_scope *scope)
{
	if (kscope_scope_unref(scope))
		scope_free_up(scope);
}

/* The owner is gone and its children have ended; or the last who walked by has gone as well. */
static void scope_reap(struct work_struct *work)
{
	struct kscope_scope *scope =
		container_of(work, struct kscope_scope, reap_work);

	if (!refcount_read(&scope->nest.refs))
		scope_free_up(scope);
	else if (!kscope_scope_is_nested(scope) || kscope_nest_reap(scope))
		scope_drop(scope);
}

/**
 * kscope_scope_reap_later() - let the reaper look at a scope
 * @scope: whose owner is gone
 *
 * Context: any.
 */
void kscope_scope_reap_later(struct kscope_scope *scope)
{
	queue_work(reaper_wq, &scope->reap_work);
}

static bool cpus_are_valid(const struct kscope_scope_params *params)
{
	return params->kind != KSCOPE_KIND_INLINE &&
	       cpumask_intersects(params->cpus, cpu_online_mask);
}

static bool params_are_valid(const struct kscope_scope_params *params)
{
	return params->kind <= KSCOPE_KIND_INLINE &&
	       !(params->flags & ~KSCOPE_SCOPE_TAKEN) &&
	       params->policy <= KSCOPE_POLICY_FIRST_SUCCESS &&
	       params->capacity && params->capacity <= KSCOPE_MAX_CAPACITY &&
	       params->max_buffers <= KSCOPE_MAX_BUFFERS &&
	       params->grace_ns <= KSCOPE_GRACE_MAX &&
	       (!params->max_running || params->kind == KSCOPE_KIND_PARALLEL) &&
	       (!params->cpus || cpus_are_valid(params));
}

static void scope_init(struct kscope_scope *scope,
		       const struct kscope_scope_params *params)
{
	scope->kind = params->kind;
	scope->policy = params->policy;
	scope->flags = params->flags;
	scope->claim_work = params->max_running ? 0 : KSCOPE_CLAIM;
	scope->max_running = params->max_running;
	if (params->policy != KSCOPE_POLICY_COLLECT) {
		scope->claim_work = 0;
		scope->at_end = KSCOPE_END_DECIDES;
	}
	scope->max_buffers = params->max_buffers ?: KSCOPE_DEFAULT_BUFFERS;
	scope->grace_ns = params->grace_ns ?: KSCOPE_GRACE_DEFAULT;
	scope->user_data = params->user_data;
	scope->made_ns = ktime_get_ns();
	spin_lock_init(&scope->lock);
	kscope_tally_init(&scope->tally, roundup_pow_of_two(params->capacity));
	INIT_LIST_HEAD(&scope->free);
	INIT_LIST_HEAD(&scope->parked);
	INIT_LIST_HEAD(&scope->doomed);
	INIT_HLIST_HEAD(&scope->claims);
	INIT_LIST_HEAD(&scope->waiting);
	xa_init_flags(&scope->loans, XA_FLAGS_ACCOUNT);
	init_waitqueue_head(&scope->wait);
	INIT_WORK(&scope->reap_work, scope_reap);
	kscope_grace_init(scope);
}

static int scope_alloc_tables(struct kscope_scope *scope)
{
	scope->slots = kvcalloc(scope->tally.entries, sizeof(*scope->slots),
				KSCOPE_GFP);
	scope->bufs =
		kvcalloc(scope->max_buffers, sizeof(*scope->bufs), KSCOPE_GFP);
	if (scope->slots && scope->bufs)
		return 0;
	kvfree(scope->bufs);
	kvfree(scope->slots);
	return -ENOMEM;
}

/* CPUs of its own, or those of its parent */
static int scope_choose_cpus(struct kscope_scope *scope,
			     const struct cpumask *cpus)
{
	if (!cpus || scope->kind == KSCOPE_KIND_INLINE)
		return 0;
	scope->cpus = kmalloc(cpumask_size(), KSCOPE_GFP);
	if (!scope->cpus)
		return -ENOMEM;
	cpumask_and(scope->cpus, cpus, cpu_possible_mask);
	scope->flags |= KSCOPE_SCOPE_NO_HELP;
	return kscope_user_bind(scope->ring->user);
}

/**
 * kscope_scope_alloc() - make an open scope
 * @params: what it is to be
 * @parent: to nest it in, which the caller holds; or NULL
 * @mappable: shall programs be able to map its ring
 *
 * Context: process context; may sleep. Scope and slots are charged to the calling user.
 * Return: the scope, to be closed or destroyed, or ERR_PTR() of -EINVAL, -EDQUOT, -ENOMEM,
 * -ELOOP,
 * -ECANCELED or -ESHUTDOWN.
 */
struct kscope_scope *
kscope_scope_alloc(const struct kscope_scope_params *params,
		   struct kscope_scope *parent, bool mappable)
{
	const struct cpumask *cpus = params->cpus;
	struct kscope_scope *scope;
	int ret;

	if (!params_are_valid(params))
		return ERR_PTR(-EINVAL);
	if (parent && parent->nest.depth == KSCOPE_MAX_NESTING)
		return ERR_PTR(-ELOOP);
	scope = kzalloc(sizeof(*scope), GFP_KERNEL_ACCOUNT);
	if (!scope)
		return ERR_PTR(-ENOMEM);
	scope_init(scope, params);
	kscope_nest_init(scope, parent);
	scope->ring = kscope_ring_create(scope->tally.entries, mappable);
	if (IS_ERR(scope->ring)) {
		ret = PTR_ERR(scope->ring);
		goto free_scope;
	}
	if (parent && !cpus)
		cpus = parent->cpus;
	ret = scope_choose_cpus(scope, cpus);
	if (ret)
		goto put_ring;
	ret = scope_alloc_tables(scope);
	if (ret)
		goto put_ring;
	ret = kscope_lanes_create(scope);
	if (ret)
		goto free_tables;
	scope->memcg = get_mem_cgroup_from_mm(current->mm);
	__module_get(THIS_MODULE);
	kscope_deadline_start(scope, params->deadline_ns, parent);
	kscope_watch(scope);
	if (!parent)
		return scope;
	kscope_hook(KSCOPE_POINT_NESTING, scope->user_data);
	ret = kscope_nest_link(scope, parent);
	if (!ret)
		return scope;
	scope_free(scope);
	return ERR_PTR(ret);

free_tables:
	kvfree(scope->bufs);
	kvfree(scope->slots);
put_ring:
	kscope_ring_put(scope->ring);
	kfree(scope->cpus);
free_scope:
	kfree(scope);
	return ERR_PTR(ret);
}

/**
 * kscope_scope_create() - make a scope for a kernel module
 * @params: what it is to be
 *
 * Context: process context; may sleep. It is charged to the user of the calling task.
 * Return: the scope for kscope_scope_destroy(), or ERR_PTR() of -EINVAL, -EDQUOT or -ENOMEM.
 */
struct kscope_scope *
kscope_scope_create(const struct kscope_scope_params *params)
{
	return kscope_scope_alloc(params, NULL, false);
}
EXPORT_SYMBOL_GPL(kscope_scope_create);

/**
 * kscope_scope_is_drained() - is nothing outstanding there
 * @scope: whose, without those below
 *
 * Context: any but interrupts, without the scope's lock.
 * Return: that.
 */
bool kscope_scope_is_drained(struct kscope_scope *scope)
{
	bool drained;

	spin_lock(&scope->lock);
	drained = !kscope_tally_outstanding(&scope->tally);
	spin_unlock(&scope->lock);
	return drained;
}

static void scope_hand_to_reaper(struct kscope_scope *scope)
{
	spin_lock(&scope->lock);
	scope->at_end |= KSCOPE_END_REAPS;
	kscope_scope_drained(scope);
	spin_unlock(&scope->lock);
}

/* Return: 0 and nobody touches its buffers, or those below; or -ERESTARTSYS */
static int scope_wait_for_end(struct kscope_scope *scope)
{
	int ret = wait_event_state(scope->wait, kscope_scope_is_drained(scope),
				   KSCOPE_CLOSE_STATE);

	if (ret || !kscope_scope_is_nested(scope))
		return ret;
	return kscope_nest_close(scope);
}

/**
 * kscope_scope_close() - the last reference to the scope's file is gone
 * @scope: not to be touched afterwards
 *
 * Context: process context. Waits for the children, killably, if the task is a living
 * process; else, or if killed, leaves the rest to the reaper.
 */
void kscope_scope_close(struct kscope_scope *scope)
{
	bool may_wait = !(current->flags & (PF_EXITING | PF_KTHREAD));
	struct kscope_cancel_counts counts = {};

	kscope_scope_cancel(scope, KSCOPE_CAUSE_CLOSE, &counts);
	kscope_hook(KSCOPE_POINT_CLOSING, 0);
	if (may_wait && !scope_wait_for_end(scope))
		scope_drop(scope);
	else
		scope_hand_to_reaper(scope);
}

/**
 * kscope_scope_destroy() - cancel a module's scope, wait for its children, free it
 * @scope: of kscope_scope_create(); nobody else uses it any more
 *
 * Context: process context; sleeps for as long as its children take. Not from a child of
 * the same scope.
 */
void kscope_scope_destroy(struct kscope_scope *scope)
{
	struct kscope_cancel_counts counts = {};

	kscope_scope_cancel(scope, KSCOPE_CAUSE_CLOSE, &counts);
	wait_event_idle(scope->wait, kscope_scope_is_drained(scope));
	scope_drop(scope);
}
EXPORT_SYMBOL_GPL(kscope_scope_destroy);

/**
 * kscope_scope_drained() - a child has ended: is there something that waited for the last
 * @scope: whose
 *
 * Context: under the scope's lock.
 */
void kscope_scope_drained(struct kscope_scope *scope)
{
	lockdep_assert_held(&scope->lock);
	if (scope->at_end & KSCOPE_END_REAPS &&
	    !kscope_tally_outstanding(&scope->tally))
		kscope_scope_reap_later(scope);
}

static u32 list_blockers(const struct list_head *list,
			 const struct kscope_range *range,
			 struct kscope_blocker *blockers, u32 max)
{
	u32 scan = BLOCKERS_SCAN;
	struct kscope_child *child;
	u32 nr = 0;

	list_for_each_entry(child, list, node) {
		if (nr == max || !scan--)
			break;
		if (!range || kscope_child_clashes(child, range))
			kscope_child_describe(child, &blockers[nr++]);
	}
	return nr;
}

/**
 * kscope_scope_blockers() - name children that stand in the way
 * @scope: whose
 * @range: only those with a lease that clashes with it; NULL for all
 * @blockers: to fill in
 * @max: room there
 *
 * Those that run come first. Of a long queue only the front is looked at.
 *
 * Context: under the scope's lock.
 * Return: how many were named.
 */
u32 kscope_scope_blockers(struct kscope_scope *scope,
			  const struct kscope_range *range,
			  struct kscope_blocker *blockers, u32 max)
{
	struct kscope_claim *claim;
	u32 nr = 0;

	lockdep_assert_held(&scope->lock);
	hlist_for_each_entry(claim, &scope->claims, node)
		nr += list_blockers(&claim->children, range, blockers + nr,
				    max - nr);
	nr += list_blockers(&scope->slow.ready, range, blockers + nr, max - nr);
	nr += list_blockers(&scope->quick.ready, range, blockers + nr,
			    max - nr);
	nr += list_blockers(&scope->parked, range, blockers + nr, max - nr);
	nr += list_blockers(&scope->doomed, range, blockers + nr, max - nr);
	return nr;
}

/**
 * kscope_scope_query() - counts and states
 * @scope: to look at
 * @query: filled in, but for its size and flags
 *
 * Context: process context. The counts of the scope itself belong to one moment.
 */
void kscope_scope_query(struct kscope_scope *scope, struct kscope_query *query)
{
	const struct kscope_tally *tally = &scope->tally;
	struct kscope_nest_sum below;

	kscope_nest_sum_up(scope, &below);
	spin_lock(&scope->lock);
	query->kind = scope->kind;
	query->policy = scope->policy;
	query->state = tally->state;
	query->capacity = tally->entries;
	query->outstanding = tally->queued + tally->running;
	query->queued = tally->queued;
	query->running = tally->running;
	query->unread = kscope_ring_unread(scope->ring);
	query->nr_buffers = scope->nr_buffers;
	query->nr_hashes = scope->nr_hashes;
	query->pinned_pages = scope->pinned_pages;
	query->spawned = tally->spawned;
	query->completed = tally->completed;
	query->failed = tally->failed;
	query->cancelled = tally->cancelled;
	query->cause = tally->cause;
	query->violations = scope->violations;
	query->deadline_ns = scope->deadline.ns;
	query->nr_borrows = scope->nr_borrows;
	query->depth = scope->nest.depth;
	query->nested = tally->nested;
	query->stuck = scope->grace.stuck;
	query->tree_outstanding = below.outstanding + query->outstanding;
	spin_unlock(&scope->lock);
}

/**
 * kscope_scope_told() - the program knows of violations, so poll() need not tell any more
 * @scope: whose
 * @violations: how many it knows of
 *
 * Context: any but interrupts.
 */
void kscope_scope_told(struct kscope_scope *scope, u32 violations)
{
	spin_lock(&scope->lock);
	scope->seen = violations;
	spin_unlock(&scope->lock);
}

/**
 * kscope_scope_end() - release a scope, unless something is outstanding
 * @scope: to release
 * @blockers: filled in with outstanding children and nested scopes, if that is the error
 * @nr_blockers: in: room there. out: how many
 *
 * Context: process context; may sleep. Allocates nothing.
 * Return: 0 and all buffers are unpinned; -EBUSY; -ESHUTDOWN if it was released before.
 */
int kscope_scope_end(struct kscope_scope *scope,
		     struct kscope_blocker *blockers, u32 *nr_blockers)
{
	u32 room = *nr_blockers;
	int ret;

	spin_lock(&scope->lock);
	ret = kscope_tally_release(&scope->tally);
	if (ret == -EBUSY)
		*nr_blockers =
			kscope_scope_blockers(scope, NULL, blockers, room);
	if (!ret)
		kscope_loans_end(scope);
	spin_unlock(&scope->lock);
	if (ret == -EBUSY && READ_ONCE(scope->nest.nests)) {
		*nr_blockers = room;
		ret = kscope_nest_release(scope, blockers, nr_blockers);
	}
	if (ret)
		return ret;
	kscope_hook(KSCOPE_POINT_RELEASED, 0);
	kscope_buf_drop_all(scope);
	kscope_hash_drop_all(scope);
	if (kscope_scope_is_nested(scope))
		kscope_nest_ended(scope);
	else
		kscope_scope_notify(scope);
	return 0;
}

/**
 * kscope_scope_release() - release a module's scope, unless something is outstanding
 * @scope: of kscope_scope_create()
 *
 * Context: process context; may sleep.
 * Return: 0 and the buffers are the caller's again; -EBUSY; -ESHUTDOWN.
 */
int kscope_scope_release(struct kscope_scope *scope)
{
	u32 nr_blockers = 0;

	return kscope_scope_end(scope, NULL, &nr_blockers);
}
EXPORT_SYMBOL_GPL(kscope_scope_release);

/**
 * kscope_scope_reap() - consume completions of a module's scope
 * @scope: of kscope_scope_create()
 * @records: where to
 * @max: room there
 *
 * Context: any; one caller at a time.
 * Return: how many were consumed.
 */
u32 kscope_scope_reap(struct kscope_scope *scope,
		      struct kscope_completion *records, u32 max)
{
	return kscope_ring_take(scope->ring, records, max);
}
EXPORT_SYMBOL_GPL(kscope_scope_reap);

/**
 * kscope_reaper_start() - make the reaper
 *
 * Context: module init.
 * Return: 0 or -ENOMEM.
 */
int kscope_reaper_start(void)
{
	reaper_wq = alloc_workqueue("kscope_reaper", WQ_UNBOUND, 0);
	return reaper_wq ? 0 : -ENOMEM;
}

/**
 * kscope_reaper_stop() - wait for the reaper's last steps, and end it
 *
 * Context: module exit; no scope is left.
 */
void kscope_reaper_stop(void)
{
	destroy_workqueue(reaper_wq);
}

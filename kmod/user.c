// SPDX-License-Identifier: GPL-2.0
/*
 * What one user may hold: so many scopes, so many child slots, and so many workers at a
 * time. The workers are limited by giving each user workqueues of its own: children that
 * block or compute for long fill up their owner's workqueue, and nobody else's.
 *
 * The table has an entry for each user that holds a scope, and for the one that was the
 * last to hold none any more: a program that makes and closes one scope after the other
 * shall not make workqueues each time. Charging and giving back happen once in the life
 * of a scope, so one mutex for all is enough; nothing is allocated or freed under it, so that
 * nobody waits for another user's memory.
 */
#include <linux/capability.h>
#include <linux/cpumask.h>
#include <linux/hashtable.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uidgid.h>

#include "internal.h"

unsigned int kscope_max_user_scopes = 4096;
unsigned int kscope_max_user_children = 1U << 20;

static DEFINE_MUTEX(users_lock);
static DEFINE_HASHTABLE(users, 6);
static struct kscope_user *last_idle;

static void bound_free(struct kscope_bound *bound)
{
	if (!bound)
		return;
	if (bound->slow_wq)
		destroy_workqueue(bound->slow_wq);
	if (bound->quick_wq)
		destroy_workqueue(bound->quick_wq);
	kfree(bound);
}

/* Their limits hold for each CPU: together they let no more run than the others do. */
static struct kscope_bound *bound_alloc(kuid_t uid)
{
	int blocking = max(KSCOPE_MAX_USER_BLOCKING / num_possible_cpus(), 1U);
	struct kscope_bound *bound = kzalloc(sizeof(*bound), KSCOPE_GFP);

	if (!bound)
		return NULL;
	bound->quick_wq = alloc_workqueue("kscope_quick_cpu/%u",
					  WQ_CPU_INTENSIVE, 1, __kuid_val(uid));
	bound->slow_wq = alloc_workqueue("kscope_slow_cpu/%u", WQ_CPU_INTENSIVE,
					 blocking, __kuid_val(uid));
	if (bound->quick_wq && bound->slow_wq)
		return bound;
	bound_free(bound);
	return NULL;
}

static void user_free(struct kscope_user *user)
{
	if (!user)
		return;
	WARN_ON_ONCE(atomic_read(&user->files));
	if (user->slow_wq)
		destroy_workqueue(user->slow_wq);
	if (user->quick_wq)
		destroy_workqueue(user->quick_wq);
	bound_free(user->bound);
	kfree(user);
}

static struct kscope_user *user_alloc(kuid_t uid)
{
	struct kscope_user *user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);

	if (!user)
		return NULL;
	user->uid = uid;
	user->quick_wq = alloc_workqueue("kscope_quick/%u", WQ_UNBOUND,
					 num_possible_cpus(), __kuid_val(uid));
	user->slow_wq = alloc_workqueue("kscope_slow/%u", WQ_UNBOUND,
					KSCOPE_MAX_USER_BLOCKING,
					__kuid_val(uid));
	if (user->quick_wq && user->slow_wq)
		return user;
	user_free(user);
	return NULL;
}

static struct kscope_user *user_lookup(kuid_t uid)
{
	struct kscope_user *user;

	lockdep_assert_held(&users_lock);
	hash_for_each_possible(users, user, node, __kuid_val(uid))
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

/* Return: the user to free, once the lock is dropped; or NULL */
static struct kscope_user *user_idle(struct kscope_user *user)
{
	struct kscope_user *victim = last_idle;

	lockdep_assert_held(&users_lock);
	if (user->scopes)
		return NULL;
	last_idle = user;
	if (!victim || victim == user || victim->scopes)
		return NULL;
	hash_del(&victim->node);
	return victim;
}

static bool user_has_room(const struct kscope_user *user, u32 children)
{
	u64 total = (u64)user->children + children;

	if (user->scopes < READ_ONCE(kscope_max_user_scopes) &&
	    total <= READ_ONCE(kscope_max_user_children))
		return true;
	return capable(CAP_SYS_RESOURCE) && total <= U32_MAX;
}

static bool user_charge(struct kscope_user *user, u32 children)
{
	lockdep_assert_held(&users_lock);
	if (!user_has_room(user, children))
		return false;
	user->scopes++;
	user->children += children;
	return true;
}

/* The calling user is not in the table: add it, unless somebody else just did. */
static struct kscope_user *user_charge_new(u32 children)
{
	struct kscope_user *fresh = user_alloc(current_uid());
	struct kscope_user *user;

	if (!fresh)
		return ERR_PTR(-ENOMEM);
	kscope_hook(KSCOPE_POINT_USER_MADE, 0);
	mutex_lock(&users_lock);
	user = user_lookup(fresh->uid) ?: fresh;
	if (!user_charge(user, children))
		user = ERR_PTR(-EDQUOT);
	if (user == fresh)
		hash_add(users, &fresh->node, __kuid_val(fresh->uid));
	mutex_unlock(&users_lock);
	if (user != fresh)
		user_free(fresh);
	return user;
}

/**
 * kscope_user_charge() - charge one scope to the calling user
 * @children: its slots
 *
 * Context: process context; may sleep.
 * Return: whom to give it back to with kscope_user_uncharge(), or ERR_PTR() of -EDQUOT if
 * the user's share is used up and the caller lacks CAP_SYS_RESOURCE, or of -ENOMEM.
 */
struct kscope_user *kscope_user_charge(u32 children)
{
	struct kscope_user *user;

	mutex_lock(&users_lock);
	user = user_lookup(current_uid());
	if (user && !user_charge(user, children))
		user = ERR_PTR(-EDQUOT);
	mutex_unlock(&users_lock);
	return user ?: user_charge_new(children);
}

/**
 * kscope_user_uncharge() - give back what kscope_user_charge() charged
 * @user: as returned from there; the scope's lanes are gone
 * @children: the same number
 *
 * Context: process context; may sleep.
 */
void kscope_user_uncharge(struct kscope_user *user, u32 children)
{
	struct kscope_user *victim;

	mutex_lock(&users_lock);
	user->scopes--;
	user->children -= children;
	victim = user_idle(user);
	mutex_unlock(&users_lock);
	kscope_hook(KSCOPE_POINT_USER_GONE, 0);
	user_free(victim);
}

/**
 * kscope_user_bind() - let a user's scopes choose their CPUs
 * @user: that has a scope
 *
 * Context: process context; may sleep.
 * Return: 0 or -ENOMEM.
 */
int kscope_user_bind(struct kscope_user *user)
{
	struct kscope_bound *bound;

	if (READ_ONCE(user->bound))
		return 0;
	bound = bound_alloc(user->uid);
	if (!bound)
		return -ENOMEM;
	if (cmpxchg(&user->bound, NULL, bound)) /* somebody else did so */
		bound_free(bound);
	return 0;
}

/**
 * kscope_user_charge_file() - charge a file that a child is going to hold
 * @user: of the child's scope
 *
 * A child holds its file even if the program has closed it, so without this children could
 * hold as many files open as it has slots. Children of the same file count one by one, so
 * the limit is not lower than what a busy program needs.
 *
 * Context: process context of the spawner.
 * Return: 0, or -EDQUOT if children of @user hold as many as the spawner's RLIMIT_NOFILE and
 * KSCOPE_FREE_FILES allow, and it lacks CAP_SYS_RESOURCE.
 */
int kscope_user_charge_file(struct kscope_user *user)
{
	unsigned long limit = max(rlimit(RLIMIT_NOFILE), KSCOPE_FREE_FILES);
	unsigned long files = atomic_inc_return(&user->files);

	if (files <= limit || capable(CAP_SYS_RESOURCE))
		return 0;
	atomic_dec(&user->files);
	return -EDQUOT;
}

/**
 * kscope_user_uncharge_file() - undo kscope_user_charge_file()
 * @user: as there
 */
void kscope_user_uncharge_file(struct kscope_user *user)
{
	atomic_dec(&user->files);
}

#ifdef KSCOPE_HOOKS
/**
 * kscope_user_charges() - sum over all users
 * @sum: to fill in
 *
 * Context: process context; may sleep.
 */
void kscope_user_charges(struct kscope_charges *sum)
{
	struct kscope_user *user;
	int bucket;

	*sum = (struct kscope_charges){};
	mutex_lock(&users_lock);
	hash_for_each(users, bucket, user, node) {
		sum->scopes += user->scopes;
		sum->children += user->children;
		sum->files += atomic_read(&user->files);
	}
	mutex_unlock(&users_lock);
}
#endif

/**
 * kscope_users_stop() - forget the last idle user
 *
 * Context: module exit; no scope is left.
 */
void kscope_users_stop(void)
{
	if (last_idle)
		hash_del(&last_idle->node);
	user_free(last_idle);
	WARN_ON(!hash_empty(users));
}

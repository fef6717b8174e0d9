// SPDX-License-Identifier: GPL-2.0
/*
 * What one user may hold: so many scopes, so many child slots. The table has an entry
 * for each user that holds a scope, and for nobody else. Charging and giving back happen
 * once in the life of a scope, so one mutex for all is enough.
 */
#include <linux/capability.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include <linux/xarray.h>

#include "internal.h"

unsigned int kscope_max_user_scopes = 4096;
unsigned int kscope_max_user_children = 1U << 20;

static DEFINE_MUTEX(users_lock);
static DEFINE_XARRAY(users);

static struct kscope_user *user_lookup_or_create(kuid_t uid)
{
	unsigned long key = __kuid_val(uid);
	struct kscope_user *user = xa_load(&users, key);
	int ret;

	lockdep_assert_held(&users_lock);
	if (user)
		return user;
	user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);
	if (!user)
		return ERR_PTR(-ENOMEM);
	user->uid = uid;
	ret = xa_err(xa_store(&users, key, user, GFP_KERNEL_ACCOUNT));
	if (ret) {
		kfree(user);
		return ERR_PTR(ret);
	}
	return user;
}

static void user_put_if_idle(struct kscope_user *user)
{
	lockdep_assert_held(&users_lock);
	if (user->scopes)
		return;
	xa_erase(&users, __kuid_val(user->uid));
	kfree(user);
}

static bool user_has_room(const struct kscope_user *user, u32 children)
{
	u64 total = (u64)user->children + children;

	if (user->scopes < kscope_max_user_scopes &&
	    total <= kscope_max_user_children)
		return true;
	return capable(CAP_SYS_RESOURCE) && total <= U32_MAX;
}

/**
 * kscope_user_charge() - charge one scope to the calling user
 * @children: its slots
 *
 * Context: process context; takes a mutex.
 * Return: whom to give it back to with kscope_user_uncharge(), or ERR_PTR() of -EDQUOT if
 * the user's share is used up and the caller lacks CAP_SYS_RESOURCE, or of -ENOMEM.
 */
struct kscope_user *kscope_user_charge(u32 children)
{
	struct kscope_user *user;

	mutex_lock(&users_lock);
	user = user_lookup_or_create(current_uid());
	if (IS_ERR(user))
		goto unlock;
	if (user_has_room(user, children)) {
		user->scopes++;
		user->children += children;
	} else {
		user_put_if_idle(user);
		user = ERR_PTR(-EDQUOT);
	}
unlock:
	mutex_unlock(&users_lock);
	return user;
}

/**
 * kscope_user_uncharge() - give back what kscope_user_charge() charged
 * @user: as returned from there
 * @children: the same number
 *
 * Context: process context; takes a mutex.
 */
void kscope_user_uncharge(struct kscope_user *user, u32 children)
{
	mutex_lock(&users_lock);
	user->scopes--;
	user->children -= children;
	user_put_if_idle(user);
	mutex_unlock(&users_lock);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Hooks for tests: only in modules that are built with KSCOPE_HOOKS. They are driven by the
 * module's parameters test_*.
 *
 *   test_seed   0, or delays at all points. What happens at the n-th visit of a point
 *               depends on the seed, the point and n alone.
 *   test_limit  0, or an upper limit for all numbers of steps that are done in one go;
 *               with 1 every boundary is met.
 *   test_stop   "POINT USER_DATA" arms one stop: whoever comes there next, with that
 *               user_data, waits until something is written to test_go. Reads as
 *               idle, armed or holding.
 *   test_go     lets it go on, or disarms the stop.
 *   test_faults how many injected faults hit operations in workers.
 *
 * Faults and coverage belong to a task. A child carries those of its spawner along, so
 * that a sweep over the faults of a call covers what the call has made others do.
 */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/jhash.h>
#include <linux/kcov.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/wait.h>

#include "internal.h"

#define FIRST_ATOMIC_POINT KSCOPE_POINT_WAITING
#define NAP_MAX_US 1000
#define SPIN_MAX_US 15

static const char *const point_names[KSCOPE_NR_POINTS] = {
	[KSCOPE_POINT_DRAFTED] = "drafted",
	[KSCOPE_POINT_RESERVED] = "reserved",
	[KSCOPE_POINT_TAKING] = "taking",
	[KSCOPE_POINT_CLAIMED] = "claimed",
	[KSCOPE_POINT_RETURNED] = "returned",
	[KSCOPE_POINT_DIGESTING] = "digesting",
	[KSCOPE_POINT_ENDED] = "ended",
	[KSCOPE_POINT_IDLE] = "idle",
	[KSCOPE_POINT_DOOMED] = "doomed",
	[KSCOPE_POINT_DECIDED] = "decided",
	[KSCOPE_POINT_CLOSING] = "closing",
	[KSCOPE_POINT_FREEING] = "freeing",
	[KSCOPE_POINT_PINNED] = "pinned",
	[KSCOPE_POINT_DROPPED] = "dropped",
	[KSCOPE_POINT_RELEASED] = "released",
	[KSCOPE_POINT_SPREADING] = "spreading",
	[KSCOPE_POINT_FAILING] = "failing",
	[KSCOPE_POINT_DESCENDED] = "descended",
	[KSCOPE_POINT_NESTING] = "nesting",
	[KSCOPE_POINT_ENDING] = "ending",
	[KSCOPE_POINT_REBORROWED] = "reborrowed",
	[KSCOPE_POINT_USER_MADE] = "user_made",
	[KSCOPE_POINT_USER_GONE] = "user_gone",
	[KSCOPE_POINT_WAITING] = "waiting",
	[KSCOPE_POINT_TOLD] = "told",
	[KSCOPE_POINT_POSTED] = "posted",
};

static unsigned int test_seed;
static unsigned int test_limit;
static atomic_t test_faults;
static atomic_t visits[KSCOPE_NR_POINTS];

/* 0: no delay */
static u32 draw(enum kscope_point point)
{
	u32 seed = READ_ONCE(test_seed);

	if (!seed)
		return 0;
	return jhash_3words(seed, point, atomic_inc_return(&visits[point]), 0);
}

static int seed_set(const char *val, const struct kernel_param *param)
{
	unsigned int seed;
	int ret = kstrtouint(val, 0, &seed);
	int i;

	if (ret)
		return ret;
	for (i = 0; i < KSCOPE_NR_POINTS; i++)
		atomic_set(&visits[i], 0);
	WRITE_ONCE(test_seed, seed);
	return 0;
}

static const struct kernel_param_ops seed_ops = {
	.set = seed_set,
	.get = param_get_uint,
};

enum stop_state { STOP_IDLE, STOP_ARMED, STOP_HOLDING };

static struct {
	spinlock_t lock; /* the rest */
	enum stop_state state;
	enum kscope_point point;
	u64 user_data;
} stop = { .lock = __SPIN_LOCK_UNLOCKED(stop.lock) };

static DECLARE_WAIT_QUEUE_HEAD(stop_wait);

static bool stop_hits(enum kscope_point point, u64 user_data)
{
	bool hit = false;

	if (READ_ONCE(stop.state) != STOP_ARMED)
		return false;
	spin_lock(&stop.lock);
	if (stop.state == STOP_ARMED && stop.point == point &&
	    stop.user_data == user_data) {
		WRITE_ONCE(stop.state, STOP_HOLDING);
		hit = true;
	}
	spin_unlock(&stop.lock);
	return hit;
}

static int stop_arm(enum kscope_point point, u64 user_data)
{
	int ret = -EBUSY;

	spin_lock(&stop.lock);
	if (stop.state != STOP_HOLDING) {
		stop.point = point;
		stop.user_data = user_data;
		WRITE_ONCE(stop.state, STOP_ARMED);
		ret = 0;
	}
	spin_unlock(&stop.lock);
	return ret;
}

static int stop_set(const char *val, const struct kernel_param *param)
{
	unsigned long long user_data;
	char name[16];
	int i;

	if (sscanf(val, "%15s %llu", name, &user_data) != 2)
		return -EINVAL;
	i = match_string(point_names, FIRST_ATOMIC_POINT, name);
	return i < 0 ? i : stop_arm(i, user_data);
}

static int stop_get(char *buf, const struct kernel_param *param)
{
	static const char *const names[] = { "idle", "armed", "holding" };

	return sysfs_emit(buf, "%s\n", names[READ_ONCE(stop.state)]);
}

static const struct kernel_param_ops stop_ops = {
	.set = stop_set,
	.get = stop_get,
};

static int go_set(const char *val, const struct kernel_param *param)
{
	spin_lock(&stop.lock);
	WRITE_ONCE(stop.state, STOP_IDLE);
	spin_unlock(&stop.lock);
	wake_up_all(&stop_wait);
	return 0;
}

static const struct kernel_param_ops go_ops = {
	.set = go_set,
};

static int faults_get(char *buf, const struct kernel_param *param)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&test_faults));
}

static const struct kernel_param_ops faults_ops = {
	.get = faults_get,
};

module_param_cb(test_seed, &seed_ops, &test_seed, 0600);
module_param(test_limit, uint, 0600);
module_param_cb(test_stop, &stop_ops, NULL, 0600);
module_param_cb(test_go, &go_ops, NULL, 0200);
module_param_cb(test_faults, &faults_ops, NULL, 0400);

/**
 * kscope_hook() - a point that sleeping is allowed at
 * @point: which
 * @user_data: of the child that it is about, or 0
 *
 * Context: process context; may sleep for as long as the test likes.
 */
void kscope_hook(enum kscope_point point, u64 user_data)
{
	u32 luck = draw(point);

	switch (luck % 8) {
	case 1:
		usleep_range(luck / 8 % NAP_MAX_US, NAP_MAX_US);
		break;
	case 2:
		udelay(luck / 8 % SPIN_MAX_US);
		break;
	case 3:
		cond_resched();
		break;
	}
	if (stop_hits(point, user_data))
		wait_event_idle(stop_wait,
				READ_ONCE(stop.state) != STOP_HOLDING);
}

/**
 * kscope_hook_atomic() - a point that sleeping is not allowed at
 * @point: which
 *
 * Context: any.
 */
void kscope_hook_atomic(enum kscope_point point)
{
	u32 luck = draw(point);

	if (luck % 4 == 1)
		udelay(luck / 4 % SPIN_MAX_US);
}

/**
 * kscope_limit() - how much to do in one go
 * @max: what it is without a test, at least 1
 *
 * Return: 1 to @max
 */
u32 kscope_limit(u32 max)
{
	u32 limit = READ_ONCE(test_limit);

	return limit ? min(limit, max) : max;
}

/**
 * kscope_carry_pack() - a child is published
 * @carry: of the child
 *
 * Context: of the spawner.
 */
void kscope_carry_pack(struct kscope_carry *carry)
{
#ifdef CONFIG_FAULT_INJECTION
	carry->fail_nth = current->fail_nth;
#endif
	carry->kcov = kcov_common_handle();
}

static void swap_fail_nth(struct kscope_carry *carry)
{
#ifdef CONFIG_FAULT_INJECTION
	swap(carry->fail_nth, current->fail_nth);
#endif
}

/* A program's task that runs children itself has faults and coverage of its own. */
static bool is_worker(void)
{
	return current->flags & PF_KTHREAD;
}

/**
 * kscope_carry_enter() - the op of a child is about to run
 * @carry: of the child
 *
 * Context: whoever runs it. Only a worker takes over what the child carries.
 */
void kscope_carry_enter(struct kscope_carry *carry)
{
	if (!is_worker())
		return;
	if (carry->kcov)
		kcov_remote_start_common(carry->kcov);
	carry->armed = carry->fail_nth;
	swap_fail_nth(carry);
}

/**
 * kscope_carry_leave() - undo kscope_carry_enter()
 * @carry: of the same child
 *
 * Context: the same task.
 */
void kscope_carry_leave(struct kscope_carry *carry)
{
	if (!is_worker())
		return;
	swap_fail_nth(carry);
	if (carry->armed && !carry->fail_nth)
		atomic_inc(&test_faults);
	if (carry->kcov)
		kcov_remote_stop();
}

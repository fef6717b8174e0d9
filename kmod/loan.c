// SPDX-License-Identifier: GPL-2.0
/*
 * Loans: leases of callers.
 *
 * A program that touches the memory of a buffer itself can have a lease like a child's, so that
 * the kernel checks both alike. It lasts until it is returned or the scope ends, whoever
 * asked for it.
 *
 * Who would rather wait than be refused stands in line (line.c), and sleeps until his turn has
 * come or he has had enough. He may get the lease at the moment that he gives up: then he has it.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "internal.h"

#define MAX_LOANS 1024U

enum loan_state { LOAN_ASKED, LOAN_WAITS, LOAN_HELD, LOAN_LOST };

/**
 * struct kscope_loan - a lease that a caller has, or waits for
 * @lease: S its place
 * @range: C what it is on
 * @handle: C
 * @state: S, but who waits looks without
 * @since_ns: C CLOCK_MONOTONIC
 * @waiting: its place in the line, while it waits
 * @task: C who waits
 */
struct kscope_loan {
	struct kscope_lease lease;
	struct kscope_range range;
	u64 handle;
	enum loan_state state;
	u64 since_ns;
	struct kscope_waiting waiting;
	struct task_struct *task;
};

static struct kscope_loan *loan_of(const struct kscope_waiting *waiting)
{
	return container_of(waiting, struct kscope_loan, waiting);
}

/**
 * kscope_loan_clashes() - is what a caller waits for in the way of a lease
 * @waiting: his place in the line
 * @range: that somebody else wants
 *
 * Context: under the scope's lock.
 * Return: true if so.
 */
bool kscope_loan_clashes(const struct kscope_waiting *waiting,
			 const struct kscope_range *range)
{
	return kscope_ranges_clash(&loan_of(waiting)->range, range);
}

static void loan_hold(struct kscope_scope *scope, struct kscope_loan *loan)
{
	scope->nr_borrows++;
	kscope_lease_take(&loan->lease, &loan->range.buf->lent, &loan->range);
	WRITE_ONCE(loan->state, LOAN_HELD);
}

/**
 * kscope_loan_try() - give a caller that waits his lease, if it is free
 * @scope: whose
 * @waiting: his place in the line
 *
 * Context: under the scope's lock.
 */
void kscope_loan_try(struct kscope_scope *scope, struct kscope_waiting *waiting)
{
	struct kscope_loan *loan = loan_of(waiting);

	if (!kscope_range_is_free(scope, &loan->range, waiting, true))
		return;
	kscope_line_leave(scope, waiting);
	loan_hold(scope, loan);
	wake_up_process(loan->task);
}

static int loan_line_up(struct kscope_scope *scope, struct kscope_loan *loan)
{
	int ret = kscope_line_enter(scope, &loan->waiting, NULL);

	if (ret)
		return ret;
	loan->task = current;
	loan->state = LOAN_WAITS;
	return 0;
}

static int loan_resolve(const struct kscope_scope *scope, u32 handle,
			struct kscope_range *range)
{
	if (scope->tally.state == KSCOPE_SCOPE_RELEASED)
		return -ESHUTDOWN;
	range->buf = kscope_buf_lookup(scope, handle);
	if (!range->buf)
		return -ENOENT;
	return kscope_range_check(range, range->buf->len);
}

/* Return: 0 and it is held or waits, or why not */
static int loan_ask(struct kscope_scope *scope, struct kscope_loan *loan,
		    u32 buf, bool wait)
{
	int ret = loan_resolve(scope, buf, &loan->range);

	lockdep_assert_held(&scope->lock);
	if (ret)
		return ret;
	if (kscope_range_is_free(scope, &loan->range, NULL, true))
		loan_hold(scope, loan);
	else
		ret = wait ? loan_line_up(scope, loan) : -EBUSY;
	if (!ret)
		loan->range.buf->leases++;
	return ret;
}

static int loan_sleep(const struct kscope_loan *loan, u64 deadline_ns)
{
	ktime_t expires = min_t(u64, deadline_ns, KTIME_MAX);
	int ret = 0;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (READ_ONCE(loan->state) != LOAN_WAITS)
			break;
		ret = signal_pending(current) ? -ERESTARTSYS : ret;
		if (ret)
			break;
		kscope_hook_atomic(KSCOPE_POINT_WAITING);
		if (!schedule_hrtimeout_range(deadline_ns ? &expires : NULL, 0,
					      HRTIMER_MODE_ABS))
			ret = -ETIMEDOUT;
	}
	__set_current_state(TASK_RUNNING);
	return ret;
}

/* That is not held, and that nobody waits for */
static void loan_free(struct kscope_scope *scope, struct kscope_loan *loan)
{
	lockdep_assert_held(&scope->lock);
	xa_erase(&scope->loans, loan->handle);
	scope->nr_loans--;
	kfree(loan);
}

/* It may have got the lease before it could leave the line. Return: 0 if so, else @ret */
static int loan_settle(struct kscope_scope *scope, struct kscope_loan *loan,
		       int ret)
{
	lockdep_assert_held(&scope->lock);
	loan->task = NULL;
	if (loan->state == LOAN_HELD)
		return 0;
	if (loan->state == LOAN_LOST) {
		ret = -ESHUTDOWN;
	} else {
		kscope_line_leave(scope, &loan->waiting);
		loan->range.buf->leases--;
		kscope_line_grant(scope);
	}
	loan_free(scope, loan);
	return ret;
}

static int loan_wait(struct kscope_scope *scope, struct kscope_loan *loan,
		     u64 deadline_ns)
{
	int ret = loan_sleep(loan, deadline_ns);

	spin_lock(&scope->lock);
	ret = loan_settle(scope, loan, ret);
	spin_unlock(&scope->lock);
	return ret;
}

static int loan_number(struct kscope_scope *scope, struct kscope_loan *loan)
{
	int ret = -ENOSPC;

	spin_lock(&scope->lock);
	if (scope->nr_loans < MAX_LOANS) {
		scope->nr_loans++;
		loan->handle = ++scope->last_loan;
		ret = 0;
	}
	spin_unlock(&scope->lock);
	return ret;
}

static struct kscope_loan *loan_alloc(struct kscope_scope *scope)
{
	struct kscope_loan *loan = kzalloc(sizeof(*loan), KSCOPE_GFP);
	int ret;

	if (!loan)
		return ERR_PTR(-ENOMEM);
	ret = loan_number(scope, loan);
	if (ret)
		goto free;
	ret = xa_insert(&scope->loans, loan->handle, loan, KSCOPE_GFP);
	if (!ret)
		return loan;
	spin_lock(&scope->lock);
	scope->nr_loans--;
	spin_unlock(&scope->lock);
free:
	kfree(loan);
	return ERR_PTR(ret);
}

/**
 * kscope_loan_take() - give a caller a lease on a range
 * @scope: of the buffer
 * @args: of the caller: buf, access, off, len, deadline_ns, and whether to wait, which is
 *	interruptible; what they may be was checked. On success the lease is filled in; with -EBUSY
 *	nr_blockers, which says what room there is, becomes the number of @blockers
 * @blockers: filled in with those that are in the way, if that is the error
 *
 * Context: process context; may sleep.
 * Return: 0; -EBUSY; -EAGAIN if too many wait; -ENOENT; -ERANGE; -ENOMEM; -ENOSPC; -ESHUTDOWN;
 * -ETIMEDOUT; -ERESTARTSYS.
 */
int kscope_loan_take(struct kscope_scope *scope, struct kscope_borrow *args,
		     struct kscope_blocker *blockers)
{
	struct kscope_loan *loan = loan_alloc(scope);
	bool waits = false;
	int ret;

	if (IS_ERR(loan))
		return PTR_ERR(loan);
	loan->range = (struct kscope_range){
		.off = args->off,
		.len = args->len,
		.exclusive = args->access & KSCOPE_ACCESS_WRITE,
	};
	loan->since_ns = ktime_get_ns();
	args->lease = loan->handle;
	spin_lock(&scope->lock);
	ret = loan_ask(scope, loan, args->buf,
		       args->flags & KSCOPE_BORROW_WAIT);
	if (ret == -EBUSY)
		args->nr_blockers = kscope_lease_blockers(scope, &loan->range,
							  true, blockers, 0,
							  args->nr_blockers);
	if (ret)
		loan_free(scope, loan);
	else /* somebody else may return what is held and not waited for */
		waits = loan->state == LOAN_WAITS;
	spin_unlock(&scope->lock);
	return waits ? loan_wait(scope, loan, args->deadline_ns) : ret;
}

static void loan_end(struct kscope_scope *scope, struct kscope_loan *loan)
{
	scope->nr_borrows--;
	kscope_lease_drop(&loan->lease, &loan->range.buf->lent, &loan->range);
	loan->range.buf->leases--;
}

/**
 * kscope_loan_return() - end a caller's lease
 * @scope: whose
 * @handle: of the lease
 *
 * Context: any but interrupts.
 * Return: 0 or -ENOENT.
 */
int kscope_loan_return(struct kscope_scope *scope, u64 handle)
{
	struct kscope_loan *loan;
	bool held;

	spin_lock(&scope->lock);
	loan = xa_load(&scope->loans, handle);
	held = loan && loan->state == LOAN_HELD && !loan->task;
	if (held) {
		loan_end(scope, loan);
		loan_free(scope, loan);
		kscope_line_grant(scope);
	}
	spin_unlock(&scope->lock);
	return held ? 0 : -ENOENT;
}

/* The scope ends under somebody who waits, or who has been woken and has not come back. */
static void loan_lose(struct kscope_scope *scope, struct kscope_loan *loan)
{
	if (loan->state == LOAN_HELD) {
		loan_end(scope, loan);
	} else {
		kscope_line_leave(scope, &loan->waiting);
		loan->range.buf->leases--;
	}
	WRITE_ONCE(loan->state, LOAN_LOST);
	wake_up_process(loan->task);
}

/**
 * kscope_loans_end() - end the leases of all callers
 * @scope: that ends
 *
 * Context: under the scope's lock.
 */
void kscope_loans_end(struct kscope_scope *scope)
{
	struct kscope_loan *loan;
	unsigned long handle;

	lockdep_assert_held(&scope->lock);
	xa_for_each(&scope->loans, handle, loan) {
		if (loan->task) {
			loan_lose(scope, loan);
		} else if (loan->state == LOAN_HELD) {
			loan_end(scope, loan);
			loan_free(scope, loan);
		}
	}
}

static void loan_describe(const struct kscope_loan *loan,
			  struct kscope_blocker *blocker)
{
	*blocker = (struct kscope_blocker){
		.user_data = loan->handle,
		.age_ns = ktime_get_ns() - loan->since_ns,
		.state = loan->state == LOAN_HELD ? KSCOPE_STATE_LENT :
						    KSCOPE_STATE_PARKED,
		.buf = loan->range.buf->handle,
		.off = loan->range.off,
		.len = loan->range.len,
	};
}

/**
 * kscope_loans_blockers() - name callers that are in the way of a lease
 * @scope: of the buffer
 * @range: that somebody wants; one of no bytes stands for all of the buffer
 * @blockers: to fill in
 * @max: room there
 *
 * Context: under the scope's lock.
 * Return: how many were named.
 */
u32 kscope_loans_blockers(struct kscope_scope *scope,
			  const struct kscope_range *range,
			  struct kscope_blocker *blockers, u32 max)
{
	struct kscope_loan *loan;
	unsigned long handle;
	u32 nr = 0;

	lockdep_assert_held(&scope->lock);
	xa_for_each(&scope->loans, handle, loan) {
		if (nr == max)
			break;
		if (loan->state != LOAN_HELD && loan->state != LOAN_WAITS)
			continue;
		if (loan->range.buf == range->buf &&
		    (!range->len || kscope_ranges_clash(&loan->range, range)))
			loan_describe(loan, &blockers[nr++]);
	}
	return nr;
}

#ifdef KSCOPE_HOOKS
/**
 * kscope_loans_recount() - count the leases of callers again
 * @scope: whose
 * @held: set to how many are held
 *
 * Context: under the scope's lock.
 * Return: how many are held or waited for.
 */
u32 kscope_loans_recount(struct kscope_scope *scope, u32 *held)
{
	struct kscope_loan *loan;
	unsigned long handle;
	u32 waiting = 0;

	*held = 0;
	xa_for_each(&scope->loans, handle, loan) {
		*held += loan->state == LOAN_HELD;
		waiting += loan->state == LOAN_WAITS;
	}
	return *held + waiting;
}
#endif

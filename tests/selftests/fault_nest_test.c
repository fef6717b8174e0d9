// SPDX-License-Identifier: GPL-2.0
/*
 * Every point fails once: scopes that are nested, what they reborrow, leases of callers, and
 * children that are parked.
 */
#include "fault_sweep.h"

#define PAGES 16
#define HALF (PAGES / 2 * PAGE)

static int do_nest_as(struct world *w, unsigned int flags)
{
	struct kscope_scope_create arg = { .size = sizeof(arg),
					   .capacity = 16,
					   .max_buffers = 4,
					   .flags = flags };

	w->extra[0] = step(w, CALL_CREATE, 0,
			   xioctl(w->scope.fd, KSCOPE_IOC_SCOPE_CREATE, &arg));
	return w->extra[0];
}

static int do_nest(struct world *w)
{
	return do_nest_as(w, 0);
}

/* The second half */
static int do_reborrow(struct world *w)
{
	int ret = buf_reborrow_arg(w->extra[0], w->scope.fd, w->buf, HALF, HALF,
				   0);

	return step(w, CALL_REBORROW, 0, ret ?: -EPROTO);
}

static int do_borrow(struct world *w, unsigned int access, int want,
		     __u64 *lease)
{
	return step(w, CALL_BORROW, want,
		    borrow(w->scope.fd, w->buf, 0, HALF, access, lease));
}

static int do_return(struct world *w, __u64 lease)
{
	return step(w, CALL_RETURN, 0, give_back(w->scope.fd, lease));
}

/* Children of the nested scope have no place among those of the world. */
static int do_spawn_nested(struct world *w, struct kscope_desc desc,
			   unsigned int nr)
{
	struct kscope_desc descs[16];
	__u64 handles[16];
	unsigned int i;

	for (i = 0; i < nr; i++)
		descs[i] = desc;
	return step(w, CALL_SPAWN, nr,
		    spawn_arg(w->extra[0], descs, handles, nr, 0, 0));
}

static int do_end_nested(struct world *w)
{
	int ret = step(w, CALL_CLOSE, 0, xclose(w->extra[0]));

	w->extra[0] = -1;
	return ret;
}

static void prepare_nested(struct world *w)
{
	do_nest(w);
}

static void prepare_fenced(struct world *w)
{
	do_nest_as(w, KSCOPE_SCOPE_FENCE);
}

static void body_nest(struct world *w)
{
	do_nest(w);
}

static void body_reborrow(struct world *w)
{
	do_reborrow(w);
}

static void verify_unpin(struct world *w)
{
	int busy = w->nr_steps && w->steps[0].ret > 0;

	if (w->scope.fd >= 0 &&
	    buf_unpin(w->scope.fd, w->buf) != (busy ? -EBUSY : 0))
		complain(w, "the buffer is kept, or was let go");
}

#define NESTED_TEST(name_, flags_, ...)                          \
	SWEEP_TEST(name_, .capacity = 16, .pages = PAGES,        \
		   .flags = F_PINNED | F_WANT_EFAULT | (flags_), \
		   ##__VA_ARGS__)

NESTED_TEST(nest, F_FROZEN | F_WANT_ENOMEM | F_WANT_REPLY, .body = body_nest)
NESTED_TEST(reborrow, F_FROZEN | F_WANT_ENOMEM, .prepare = prepare_nested,
	    .body = body_reborrow, .verify = verify_unpin)
NESTED_TEST(reborrow_fenced, F_FROZEN | F_WANT_ENOMEM,
	    .prepare = prepare_fenced, .body = body_reborrow,
	    .verify = verify_unpin)

/* nest, reborrow, spawn, perhaps cancel, join, end */
static void tree(struct world *w, bool cancel)
{
	int view = do_nest(w);

	if (view >= 0)
		view = do_reborrow(w);
	if (view <= 0)
		return;
	do_spawn_nested(w, desc_fill(view, 0, HALF, 7), 1);
	do_spawn_nested(w, desc_sleep(0, cancel ? far_future() : 1), 5);
	do_spawn_same(w, desc_fill(w->buf, 0, PAGE, 8), 1);
	if (cancel)
		do_cancel(w, KSCOPE_CANCEL_SCOPE, 0, 0);
	if (w->steps[w->nr_steps - 1].ret >= 0 && !do_join(w))
		do_release(w, -EBUSY);
	if (!do_end_nested(w))
		do_query(w);
}

static void body_tree(struct world *w)
{
	tree(w, false);
}

static void body_tree_cancelled(struct world *w)
{
	tree(w, true);
}

/* The root goes first, and with it all that is below. */
static void body_tree_closed(struct world *w)
{
	if (do_nest(w) < 0 || do_reborrow(w) < 0)
		return;
	do_spawn_nested(w, desc_sleep(0, far_future()), 5);
	do_close(w);
	do_end_nested(w);
}

NESTED_TEST(tree, F_WANT_ENOMEM, .body = body_tree)
NESTED_TEST(tree_cancelled, F_WANT_ENOMEM, .body = body_tree_cancelled)
NESTED_TEST(tree_closed, F_WANT_ENOMEM, .body = body_tree_closed)

static void body_borrow(struct world *w)
{
	__u64 lease;

	do_borrow(w, KSCOPE_ACCESS_WRITE, 0, &lease);
}

static void body_borrow_and_return(struct world *w)
{
	__u64 lease;

	if (!do_borrow(w, KSCOPE_ACCESS_READ, 0, &lease))
		do_return(w, lease);
}

static void prepare_writer(struct world *w)
{
	do_nest(w);
	step(w, CALL_REBORROW, 0,
	     buf_reborrow(w->extra[0], w->scope.fd, w->buf, HALF));
}

static void body_borrow_busy(struct world *w)
{
	__u64 lease;

	do_borrow(w, KSCOPE_ACCESS_READ, -EBUSY, &lease);
}

static void body_borrow_late(struct world *w)
{
	struct kscope_borrow arg = { .flags = KSCOPE_BORROW_WAIT,
				     .buf = w->buf,
				     .access = KSCOPE_ACCESS_READ,
				     .len = HALF,
				     .deadline_ns = 1 };

	step(w, CALL_BORROW, -ETIMEDOUT, borrow_arg(w->scope.fd, &arg));
}

NESTED_TEST(borrow, F_FROZEN | F_WANT_ENOMEM | F_WANT_REPLY,
	    .body = body_borrow)
NESTED_TEST(borrow_and_return, F_WANT_ENOMEM, .body = body_borrow_and_return)
NESTED_TEST(borrow_with_blockers, F_FROZEN, .prepare = prepare_writer,
	    .body = body_borrow_busy)
NESTED_TEST(borrow_that_times_out, F_FROZEN, .prepare = prepare_writer,
	    .body = body_borrow_late)

/* Parked behind what the nested scope has; they go when that is closed. */
static void body_park(struct world *w)
{
	struct kscope_desc desc = desc_fill(w->buf, 0, PAGE, 7);

	desc.flags = KSCOPE_CHILD_WAIT;
	do_spawn_same(w, desc, 3);
	do_end_nested(w);
	do_join(w);
}

static void body_park_cancelled(struct world *w)
{
	struct kscope_desc desc = desc_fill(w->buf, 0, PAGE, 7);

	desc.flags = KSCOPE_CHILD_WAIT;
	do_spawn_same(w, desc, 3);
	do_cancel(w, KSCOPE_CANCEL_SCOPE, 0, 0);
	do_end_nested(w);
}

NESTED_TEST(park, 0, .prepare = prepare_writer, .body = body_park)
NESTED_TEST(park_and_cancel, 0, .prepare = prepare_writer,
	    .body = body_park_cancelled)

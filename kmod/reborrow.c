// SPDX-License-Identifier: GPL-2.0
/*
 * Reborrowing: a nested scope gets a buffer that is a range of one of its ancestors'.
 *
 * Such a buffer, a view, is an entry like any other in the table of the nested scope: its
 * children borrow it, BUF_UNPIN and the end of the scope drop it. It pins nothing and charges
 * nothing. The pages are those of its origin, which it keeps: as long as a view is on
 * origin->views, the origin is not dropped. The addresses of blocks are copied, so that
 * operations need not know whose pages they work on; the arrays behind them stay the origin's, or
 * that of the origin's own origin.
 *
 * Who keeps what. A view keeps its origin. The scope of the origin is an ancestor, and so
 * outlives the nested one. It is not released before the nested one has ended, and that has
 * dropped its views by then. A call under way holds the files of both scopes, so neither is
 * closed meanwhile; and it is counted in tally.pending of the nested one, so that is not
 * released.
 *
 * A view is a lease on its origin, for as long as it lives: exclusive if children of the nested
 * scope may write there, shared if not. So they and those of the ancestor exclude each other.
 *
 * A view has a guard of its own, if its memory is still that of a living process: what is taken
 * away from children of the nested scope is made known there.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "internal.h"

static bool is_below(const struct kscope_scope *scope,
		     const struct kscope_scope *ancestor)
{
	do
		scope = scope->nest.parent;
	while (scope && scope != ancestor);
	return scope;
}

/* There may be one block more than it turns out to need. */
static struct kscope_buf *view_alloc(u64 len)
{
	size_t nr_blocks = len / KSCOPE_BLOCK_BYTES + 2;
	struct kscope_buf *view = NULL;

	return kvzalloc(struct_size(view, blocks, nr_blocks), KSCOPE_GFP);
}

static u32 view_access(const struct kscope_buf_reborrow *args)
{
	if (args->flags & KSCOPE_REBORROW_READ_ONLY)
		return KSCOPE_ACCESS_READ;
	return KSCOPE_ACCESS_READ | KSCOPE_ACCESS_WRITE;
}

static int origin_check(const struct kscope_buf *origin,
			const struct kscope_buf_reborrow *args, u32 access)
{
	if (!origin)
		return -ENOENT;
	if (args->off > origin->len || args->len > origin->len - args->off)
		return -ERANGE;
	return access & ~origin->access ? -EACCES : 0;
}

/* What the scope of the origin has lent */
static struct kscope_range view_range(const struct kscope_buf *view)
{
	return (struct kscope_range){
		.buf = view->view.origin,
		.off = view->view.off,
		.len = view->len,
		.exclusive = view->access & KSCOPE_ACCESS_WRITE,
	};
}

static int view_lease(struct kscope_buf *view)
{
	struct kscope_range range = view_range(view);

	if (!kscope_range_is_free(view->view.lender, &range, NULL, true))
		return -EBUSY;
	kscope_lease_take(&view->view.lease, &range.buf->lent, &range);
	return 0;
}

static void view_link(struct kscope_buf *view, struct kscope_buf *origin)
{
	lockdep_assert_held(&view->view.lender->lock);
	view->first = (origin->first + view->view.off) % KSCOPE_BLOCK_BYTES;
	view->nr_pages = PFN_UP(offset_in_page(view->first) + view->len);
	view->mm = origin->mm;
	list_add(&view->view.node, &origin->views);
}

static int view_take(struct kscope_buf *view,
		     const struct kscope_buf_reborrow *args)
{
	struct kscope_scope *lender = view->view.lender;
	struct kscope_buf *origin;
	int ret;

	spin_lock(&lender->lock);
	origin = kscope_buf_lookup(lender, args->buf);
	ret = origin_check(origin, args, view_access(args));
	view->view.origin = origin;
	if (!ret)
		ret = view_lease(view);
	if (!ret)
		view_link(view, origin);
	spin_unlock(&lender->lock);
	return ret;
}

/* Why a nested scope that has been released cannot reborrow */
static int view_refuse(struct kscope_scope *lender,
		       const struct kscope_buf_reborrow *args)
{
	int ret;

	spin_lock(&lender->lock);
	ret = origin_check(kscope_buf_lookup(lender, args->buf), args,
			   view_access(args));
	spin_unlock(&lender->lock);
	return ret ?: -ESHUTDOWN;
}

/* A block from its page @skip on. */
static unsigned long block_from(const struct kscope_buf *origin,
				unsigned long i, u32 skip)
{
	struct page *page = kscope_block_run(origin, i);

	if (page)
		return (unsigned long)nth_page(page, skip) | KSCOPE_BLOCK_RUN;
	return (unsigned long)(kscope_block_array(origin, i) + skip);
}

static void view_copy_blocks(struct kscope_buf *view)
{
	const struct kscope_buf *origin = view->view.origin;
	unsigned long i = (origin->first + view->view.off) / KSCOPE_BLOCK_BYTES;
	unsigned long nr = kscope_buf_nr_blocks(view);
	u32 skip = view->first / PAGE_SIZE;

	if (!i)
		skip -= origin->first / PAGE_SIZE;
	memcpy(view->blocks, &origin->blocks[i], nr * sizeof(*view->blocks));
	view->blocks[0] = block_from(origin, i, skip);
}

/* Kernel memory has no owner, and that of a process that is gone none either. */
static int view_guard(struct kscope_buf *view, u64 unused)
{
	const struct kscope_buf *origin = view->view.origin;
	int ret;

	if (!view->mm || !origin->guard.scope || !mmget_not_zero(view->mm))
		return 0;
	view->guard.scope = view->view.borrower;
	ret = kscope_guard_start(view, origin->guard.addr + view->view.off);
	mmput(view->mm);
	if (ret)
		view->guard.scope = NULL;
	return ret;
}

static int view_make(struct kscope_scope *scope, struct kscope_scope *lender,
		     const struct kscope_buf_reborrow *args)
{
	struct kscope_buf *view = view_alloc(args->len);
	int ret;

	if (!view)
		return -ENOMEM;
	view->access = view_access(args);
	view->len = args->len;
	INIT_LIST_HEAD(&view->views);
	view->view.lender = lender;
	view->view.borrower = scope;
	view->view.off = args->off;
	view->view.since_ns = ktime_get_ns();
	ret = view_take(view, args);
	if (ret) {
		kvfree(view);
		return ret;
	}
	view_copy_blocks(view);
	kscope_hook(KSCOPE_POINT_REBORROWED, scope->user_data);
	return kscope_buf_install(scope, view, 0, view_guard);
}

/* Return: false if it has been released; else it is not before call_end() */
static bool call_begin(struct kscope_scope *scope)
{
	bool begins;

	spin_lock(&scope->lock);
	begins = scope->tally.state != KSCOPE_SCOPE_RELEASED;
	scope->tally.pending += begins;
	spin_unlock(&scope->lock);
	return begins;
}

static void call_end(struct kscope_scope *scope)
{
	spin_lock(&scope->lock);
	scope->tally.pending--;
	spin_unlock(&scope->lock);
	kscope_scope_notify(scope);
}

/**
 * kscope_buf_reborrow() - give a nested scope a range of an ancestor's buffer
 * @scope: to get it
 * @lender: whose buffer it is; the caller holds the files of both
 * @args: from the caller; the range is not empty, and does not wrap
 *
 * Context: process context; may sleep.
 * Return: the handle, which is positive, or a negative errno as in the ABI's table.
 */
int kscope_buf_reborrow(struct kscope_scope *scope, struct kscope_scope *lender,
			const struct kscope_buf_reborrow *args)
{
	int ret;

	if (!is_below(scope, lender))
		return -EINVAL;
	if (!call_begin(scope))
		return view_refuse(lender, args);
	ret = view_make(scope, lender, args);
	call_end(scope);
	return ret;
}

/**
 * kscope_view_drop() - let go of what a view was reborrowed from
 * @buf: with an origin, that no child borrows
 *
 * Context: process context; may sleep. Allocates nothing.
 */
void kscope_view_drop(struct kscope_buf *buf)
{
	struct kscope_scope *lender = buf->view.lender;
	struct kscope_range range = view_range(buf);

	if (buf->guard.scope)
		kscope_guard_stop(buf);
	spin_lock(&lender->lock);
	list_del(&buf->view.node);
	kscope_lease_drop(&buf->view.lease, &range.buf->lent, &range);
	kscope_line_grant(lender);
	spin_unlock(&lender->lock);
}

static void view_describe(const struct kscope_buf *view,
			  struct kscope_blocker *blocker)
{
	*blocker = (struct kscope_blocker){
		.user_data = view->view.borrower->user_data,
		.age_ns = ktime_get_ns() - view->view.since_ns,
		.state = KSCOPE_STATE_NESTED,
		.buf = view->view.origin->handle,
		.off = view->view.off,
		.len = view->len,
	};
}

/**
 * kscope_view_blockers() - name the nested scopes whose reborrows are in the way of a lease
 * @range: that somebody wants; one of no bytes stands for all of the buffer
 * @blockers: to fill in
 * @max: room there
 *
 * Context: under the lock of the buffer's scope.
 * Return: how many were named.
 */
u32 kscope_view_blockers(const struct kscope_range *range,
			 struct kscope_blocker *blockers, u32 max)
{
	const struct kscope_buf *view;
	struct kscope_range lent;
	u32 nr = 0;

	list_for_each_entry(view, &range->buf->views, view.node) {
		if (nr == max)
			break;
		lent = view_range(view);
		if (!range->len || kscope_ranges_clash(&lent, range))
			view_describe(view, &blockers[nr++]);
	}
	return nr;
}

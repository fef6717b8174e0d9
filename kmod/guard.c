// SPDX-License-Identifier: GPL-2.0
/*
 * Guards: what becomes of the addresses of a buffer while children borrow it.
 *
 * Children work on pinned pages, so nothing that the owner does to its address space takes
 * memory away from them. But after a munmap(), mremap(), MADV_DONTNEED or the punch of a hole
 * what they write is seen by nobody, or what they read is not what the owner has there now. That
 * is a mistake in the program, and it is made known: counted, marked in the completions of the
 * children that it hit, and, if the scope wants that, answered with SIGBUS.
 *
 * The mm tells before it changes its tables, in the task that wants it, with locks of the mm
 * held. So this must not sleep or allocate; it takes the scope's lock, under which nobody
 * takes one of the mm's. What the mm tells is not always what happens:
 *
 *   UNMAP	munmap(), mremap(), a mapping in the place of another one
 *   CLEAR	MADV_DONTNEED, MADV_FREE, a hole, truncation; but also reclaim and migration, which
 *		a pin foils, and which hold the lock of the folio; and the split of a transparent
 *		huge page into small ones, which takes nothing away. MADV_DONTNEED of exactly one
 *		such page looks the same and is not noticed
 *   others	protection, soft-dirty bits, NUMA hints: not told apart, none of them does harm
 *
 * Only what tasks of the owner do counts. When its mm ends, be it by exit or by exec, nobody is
 * left to make a mistake. That end is told of as well (RELEASE), with no lock held, before the
 * task that dies becomes a zombie, and it may wait: there is the fence (fence.c). A scope cannot go
 * before, as the removal of a guard waits for what the mm is about to do.
 */
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>

#include "internal.h"

static struct folio *buf_folio(const struct kscope_buf *buf, u64 pos)
{
	size_t len = 1;
	u32 off;

	return page_folio(kscope_buf_span(buf, pos, &len, &off));
}

/*
 * Does a CLEAR of the buffer's bytes from @start to @end leave them where they are? Only then is
 * it about a single folio.
 */
static bool clear_is_harmless(const struct kscope_buf *buf,
			      const struct mmu_notifier_range *range, u64 start,
			      u64 end)
{
	struct folio *folio = buf_folio(buf, start);

	if (folio != buf_folio(buf, end - 1))
		return false;
	if (folio_test_locked(folio))
		return true;
	return folio_test_large(folio) && !folio_test_hugetlb(folio) &&
	       folio_size(folio) == PMD_SIZE &&
	       range->end - range->start == PMD_SIZE &&
	       IS_ALIGNED(range->start, PMD_SIZE);
}

/* Does a task of the owner take the memory away? Those that reclaim memory have no choice. */
static bool range_is_taken(const struct kscope_buf *buf,
			   const struct mmu_notifier_range *range, u64 start,
			   u64 end)
{
	if (current->mm != range->mm ||
	    current->flags & (PF_KTHREAD | PF_MEMALLOC))
		return false;
	if (range->event == MMU_NOTIFY_UNMAP)
		return true;
	return range->event == MMU_NOTIFY_CLEAR &&
	       !clear_is_harmless(buf, range, start, end);
}

static void guard_note(struct kscope_guard *guard, u64 start, u64 end)
{
	struct kscope_hit *hit = &guard->hits[guard->nr_hits];

	if (guard->nr_hits < KSCOPE_MAX_HITS) {
		guard->nr_hits++;
	} else { /* the last one grows */
		hit--;
		start = min(start, hit->start);
		end = max(end, hit->end);
	}
	*hit = (struct kscope_hit){ start, end, ktime_get_ns() };
}

/* Return: did it hit a child */
static bool guard_hit(struct kscope_buf *buf, u64 start, u64 end)
{
	struct kscope_scope *scope = buf->guard.scope;
	bool hit;

	spin_lock(&scope->lock);
	hit = kscope_buf_is_borrowed(buf, start, end - 1);
	if (hit) {
		guard_note(&buf->guard, start, end);
		scope->at_end |= KSCOPE_END_MARKS;
		scope->violations++;
	}
	spin_unlock(&scope->lock);
	return hit;
}

/* The task finds it when it returns from its system call. */
static void send_sigbus(unsigned long addr)
{
	struct task_struct *task = current;
	struct kernel_siginfo info;

	if (task->flags & PF_IO_WORKER) /* takes no signals */
		task = task->group_leader;
	clear_siginfo(&info);
	info.si_signo = SIGBUS;
	info.si_code = BUS_ADRERR;
	info.si_addr = (void __user *)addr;
	send_sig_info(SIGBUS, &info, task);
}

/*
 * Is it a task that exits or execs, and may be made to wait? Else it is one that held on to the
 * address space for a while, to read of it, and has come to be the last.
 */
static bool is_owner_leaving(void)
{
	return current->flags & PF_EXITING || current->in_execve;
}

static bool guard_invalidate(struct mmu_interval_notifier *notifier,
			     const struct mmu_notifier_range *range,
			     unsigned long seq)
{
	struct kscope_buf *buf =
		container_of(notifier, struct kscope_buf, guard.notifier);
	struct kscope_scope *scope = buf->guard.scope;
	u64 addr = buf->guard.addr;
	u64 start = max_t(u64, range->start, addr) - addr;
	u64 end = min_t(u64, range->end, addr + buf->len) - addr;

	if (range->event == MMU_NOTIFY_RELEASE && buf->guard.space)
		kscope_scope_fence(scope, buf->guard.space, is_owner_leaving());
	if (start >= end || !range_is_taken(buf, range, start, end) ||
	    !guard_hit(buf, start, end))
		return true;
	/* The caller cannot carry out what a policy has decided, as kscope_scope_notify() would. */
	if (wq_has_sleeper(&scope->wait))
		kscope_scope_wake(scope);
	if (scope->flags & KSCOPE_SCOPE_SIGBUS)
		send_sigbus(addr + start);
	return true;
}

static const struct mmu_interval_notifier_ops guard_ops = {
	.invalidate = guard_invalidate,
};

static int guard_share(struct kscope_guard *guard, struct mm_struct *mm)
{
	if (!(guard->scope->flags & KSCOPE_SCOPE_FENCE))
		return 0;
	guard->space = kscope_space_get(mm);
	return guard->space ? 0 : -ENOMEM;
}

static void guard_unshare(struct kscope_guard *guard)
{
	if (guard->space)
		kscope_space_put(guard->space);
	guard->space = NULL;
}

/**
 * kscope_guard_start() - watch the addresses of a buffer
 * @buf: that is pinned; with guard.scope set, and an mm that has users
 * @addr: of its first byte
 *
 * Context: process context; sleeps, and the first time in a process takes all locks of its mm.
 * Return: 0, -ENOMEM or -EINTR; -ERESTARTNOINTR for a signal that does not kill.
 */
int kscope_guard_start(struct kscope_buf *buf, u64 addr)
{
	struct kscope_guard *guard = &buf->guard;
	int ret;

	guard->addr = addr;
	ret = guard_share(guard, buf->mm);
	if (ret)
		return ret;
	ret = mmu_interval_notifier_insert(&guard->notifier, buf->mm, addr,
					   buf->len, &guard_ops);
	if (ret)
		guard_unshare(guard);
	if (ret == -EINTR && !fatal_signal_pending(current))
		return -ERESTARTNOINTR;
	return ret;
}

/**
 * kscope_guard_stop() - undo kscope_guard_start()
 * @buf: that no child borrows
 *
 * Context: process context; waits until the mm has done what it has told of.
 */
void kscope_guard_stop(struct kscope_buf *buf)
{
	mmu_interval_notifier_remove(&buf->guard.notifier);
	guard_unshare(&buf->guard);
}

static bool hit_meets(const struct kscope_hit *hit, u64 spawned_ns,
		      const struct kscope_range *range)
{
	return hit->ns >= spawned_ns && range->off < hit->end &&
	       hit->start < range->off + range->len;
}

static bool lease_was_hit(const struct kscope_child *child, u32 i)
{
	struct kscope_range range = kscope_child_range(child, i);
	const struct kscope_guard *guard = &range.buf->guard;
	u32 hit;

	for (hit = 0; hit < guard->nr_hits; hit++)
		if (hit_meets(&guard->hits[hit], child->spawned_ns, &range))
			return true;
	return false;
}

/**
 * kscope_guard_flags() - what the completion of a child says of its memory
 * @child: that ends, not plain, with its leases
 *
 * Context: under the scope's lock.
 * Return: KSCOPE_COMPLETION_* bits.
 */
u32 kscope_guard_flags(const struct kscope_child *child)
{
	u32 i;

	for (i = 0; i < child->nr_leases; i++)
		if (lease_was_hit(child, i))
			return KSCOPE_COMPLETION_VIOLATED;
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Pinning user memory: charge, pin, check, and the way back.
 *
 * pin_user_pages() does not look at RLIMIT_MEMLOCK, so the pages are charged first, to the
 * user for the limit and to the mm for what /proc shows, and given back exactly.
 *
 * What may be pinned is decided by the pages that the pin got, not by the mappings that
 * were there a moment ago: anonymous memory, shmem and hugetlb. The page cache of other
 * file systems must not be pinned for long, and pages that drivers map are not ours to
 * know. All of these tests are stable for a page that is pinned.
 *
 * A buffer that children may write is pinned for writing, and only that one: there is no
 * other place where KSCOPE_ACCESS_WRITE comes from. A read pin would be granted for memory
 * that the caller must not change. Buffers for reading are still pinned for writing
 * where the mapping allows it, so that the pin and the owner go on to share one page when the
 * owner writes.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/hugetlb_inline.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "internal.h"

static bool account_charge(struct user_struct *user, unsigned long nr_pages)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	long held = atomic_long_read(&user->locked_vm);
	unsigned long total;

	do {
		total = held + nr_pages;
		if (total > limit && !capable(CAP_IPC_LOCK))
			return false;
	} while (!atomic_long_try_cmpxchg(&user->locked_vm, &held, total));
	return true;
}

static int buf_charge(struct kscope_buf *buf)
{
	if (!account_charge(current_user(), buf->nr_pages))
		return -ENOMEM;
	/* It notes in the cred that others refer to it, as all who do so at a time. */
	buf->cred = data_race(get_current_cred());
	buf->mm = current->mm;
	mmgrab(buf->mm);
	atomic64_add(buf->nr_pages, &buf->mm->pinned_vm);
	return 0;
}

static void buf_uncharge(struct kscope_buf *buf)
{
	atomic64_sub(buf->nr_pages, &buf->mm->pinned_vm);
	mmdrop(buf->mm);
	atomic_long_sub(buf->nr_pages, &buf->cred->user->locked_vm);
	put_cred(buf->cred);
	buf->cred = NULL;
}

/*
 * An anonymous folio outside of the swap cache has no mapping that could go away, so its
 * lock is not needed to make it dirty. Return: whether that is so
 */
static bool folio_set_dirty_unlocked(struct folio *folio)
{
	if (!folio_test_anon(folio) || folio_test_swapcache(folio))
		return false;
	folio_set_dirty(folio);
	return true;
}

/* What children may have written becomes dirty. */
static inline void run_unpin(struct folio *folio, struct page *page,
			     unsigned long nr, bool dirty)
{
	if (dirty &&
	    (folio_test_dirty(folio) || folio_set_dirty_unlocked(folio)))
		dirty = false;
	if (nr == 1 && !dirty)
		unpin_folio(folio);
	else
		unpin_user_page_range_dirty_lock(page, nr, dirty);
}

static void pages_unpin(struct page **pages, unsigned long nr_pages, bool dirty)
{
	struct page **end = pages + nr_pages;
	struct folio *folio;
	unsigned long nr;

	for (; pages < end; pages += nr) {
		folio = page_folio(*pages);
		nr = kscope_pages_run(folio, pages, end - pages);
		run_unpin(folio, *pages, nr, dirty);
	}
}

static void blocks_unpin(const struct kscope_buf *buf, unsigned long nr_blocks)
{
	bool dirty = buf->access & KSCOPE_ACCESS_WRITE;
	struct page *page;
	unsigned long i, nr;

	for (i = 0; i < nr_blocks; i++) {
		nr = kscope_block_nr_pages(buf, i);
		page = kscope_block_run(buf, i);
		if (page)
			run_unpin(page_folio(page), page, nr, dirty);
		else
			pages_unpin(kscope_block_array(buf, i), nr, dirty);
		cond_resched();
	}
}

static bool pages_are_allowed(struct page **pages, unsigned long nr)
{
	unsigned long i;

	for (i = 0; i < nr; i++) {
		struct folio *folio = page_folio(pages[i]);

		if (!folio_test_anon(folio) && !folio_test_swapbacked(folio) &&
		    !folio_test_hugetlb(folio))
			return false;
	}
	return true;
}

/* VM_SHARED would miss the shared mappings of files that are open for reading only. */
static bool vma_is_file_cache(const struct vm_area_struct *vma)
{
	unsigned long magic;

	if (!vma->vm_file || !(vma->vm_flags & VM_MAYSHARE))
		return false;
	magic = file_inode(vma->vm_file)->i_sb->s_magic;
	return magic != TMPFS_MAGIC && magic != HUGETLBFS_MAGIC;
}

/* Kernels differ in how they refuse a shared file mapping; callers shall not see that. */
static int fault_errno(unsigned long addr)
{
	struct vm_area_struct *vma;
	int ret = -EFAULT;

	if (mmap_read_lock_killable(current->mm))
		return -EINTR;
	vma = vma_lookup(current->mm, addr);
	if (vma && vma_is_file_cache(vma))
		ret = -EOPNOTSUPP;
	mmap_read_unlock(current->mm);
	return ret;
}

/* How to pin for reading at @addr, and up to where, at most @end, that holds */
static int read_pin_flags(unsigned long addr, unsigned long *end)
{
	struct vm_area_struct *vma;
	int flags = -EFAULT;

	if (mmap_read_lock_killable(current->mm))
		return -EINTR;
	vma = vma_lookup(current->mm, addr);
	if (vma && vma->vm_flags & (VM_READ | VM_WRITE)) {
		*end = min(*end, vma->vm_end);
		if (vma->vm_flags & VM_WRITE)
			flags = FOLL_WRITE;
		else if (vma->vm_flags & VM_MAYSHARE)
			flags = 0;
		else if (KSCOPE_FOLL_READ_PRIVATE && is_vm_hugetlb_page(vma))
			flags = -EOPNOTSUPP;
		else
			flags = KSCOPE_FOLL_READ_PRIVATE;
	}
	mmap_read_unlock(current->mm);
	return flags;
}

static int burst_pin(const struct kscope_buf *buf, unsigned long addr,
		     struct page **pages, unsigned long nr)
{
	unsigned long end =
		addr + ((unsigned long)kscope_limit(nr) << PAGE_SHIFT);
	int flags = FOLL_WRITE;
	int ret;

	if (fatal_signal_pending(current))
		return -EINTR;
	if (!(buf->access & KSCOPE_ACCESS_WRITE)) {
		flags = read_pin_flags(addr, &end);
		if (flags < 0)
			return flags == -EFAULT ? fault_errno(addr) : flags;
	}
	ret = pin_user_pages_fast(addr, (end - addr) >> PAGE_SHIFT,
				  flags | FOLL_LONGTERM, pages);
	if (ret > 0 || ret == -ENOMEM || ret == -EINTR)
		return ret;
	return fault_errno(addr);
}

/* Return: 0 or an errno; then @done of the pages are pinned. */
static int pages_pin(const struct kscope_buf *buf, unsigned long addr,
		     struct page **pages, unsigned long nr, unsigned long *done)
{
	int ret;

	for (*done = 0; *done < nr; *done += ret) {
		ret = burst_pin(buf, addr + (*done << PAGE_SHIFT),
				pages + *done, nr - *done);
		if (ret < 0)
			return ret;
		cond_resched();
	}
	return 0;
}

static int block_pin(struct kscope_buf *buf, unsigned long i,
		     unsigned long addr, unsigned long nr)
{
	struct page *single, **pages = &single;
	unsigned long done, run = 0;
	int ret;

	if (nr > 1)
		pages = kmalloc_array(nr, sizeof(*pages), KSCOPE_GFP);
	if (!pages)
		return -ENOMEM;
	ret = pages_pin(buf, addr, pages, nr, &done);
	if (done)
		run = kscope_pages_run(page_folio(pages[0]), pages, done);
	/* The first page of a run speaks for all of it. */
	if (!pages_are_allowed(pages, run < done ? done : min(done, 1UL)))
		ret = -EOPNOTSUPP;
	if (ret)
		unpin_user_pages(pages, done);
	else if (kscope_block_set(buf, i, pages, nr, run))
		return 0;
	if (nr > 1)
		kfree(pages);
	return ret;
}

static int blocks_pin(struct kscope_buf *buf, unsigned long addr)
{
	unsigned long i, nr, nr_blocks = kscope_buf_nr_blocks(buf);
	int ret;

	for (i = 0; i < nr_blocks; i++) {
		nr = kscope_block_nr_pages(buf, i);
		ret = block_pin(buf, i, addr, nr);
		if (ret) {
			blocks_unpin(buf, i);
			return ret;
		}
		addr += nr << PAGE_SHIFT;
	}
	return 0;
}

/**
 * kscope_pin() - charge and pin the pages of a buffer, and guard it
 * @buf: with access, first, len, nr_pages and guard.scope set
 * @addr: of its first byte, in the calling process
 *
 * Context: process context; sleeps, faults pages in, takes the mmap_lock. Killable.
 * Return: 0; -ENOMEM, also for RLIMIT_MEMLOCK; -EFAULT; -EOPNOTSUPP; -EINTR, or -ERESTARTNOINTR
 * for a signal that does not kill. After an error
 * nothing is pinned or charged.
 */
int kscope_pin(struct kscope_buf *buf, u64 addr)
{
	int ret;

	if (addr + buf->len > ULONG_MAX ||
	    !access_ok(u64_to_user_ptr(addr), buf->len))
		return -EFAULT;
	ret = buf_charge(buf);
	if (ret)
		return ret;
	ret = blocks_pin(buf, addr & PAGE_MASK);
	if (ret)
		goto uncharge;
	ret = kscope_guard_start(buf, addr);
	if (!ret)
		return 0;
	blocks_unpin(buf, kscope_buf_nr_blocks(buf));
uncharge:
	buf_uncharge(buf);
	return ret;
}

/**
 * kscope_unpin() - undo kscope_pin()
 * @buf: that no child borrows
 *
 * Context: process context, not necessarily of the owner; may sleep. Allocates nothing.
 */
void kscope_unpin(struct kscope_buf *buf)
{
	kscope_guard_stop(buf);
	blocks_unpin(buf, kscope_buf_nr_blocks(buf));
	buf_uncharge(buf);
}

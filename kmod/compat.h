/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only file that knows kernel versions. The rest is written for the newest
 * kernel; what older ones lack or do otherwise is made up for here.
 */
#ifndef KSCOPE_COMPAT_H
#define KSCOPE_COMPAT_H

#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/uio.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#include <asm/unaligned.h>
#else
#include <linux/unaligned.h>
#endif

#ifndef ITER_DEST
#define ITER_DEST READ
#define ITER_SOURCE WRITE
#endif

/*
 * Pins for reading of a private mapping that is not writable. Before 6.2 such a pin
 * gets the page cache or the zero page, and never sees what is written later; breaking
 * copy-on-write first gives the page that the owner will go on to use.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define KSCOPE_FOLL_READ_PRIVATE (FOLL_WRITE | FOLL_FORCE)
#else
#define KSCOPE_FOLL_READ_PRIVATE 0
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void kscope_vm_flags_mod(struct vm_area_struct *vma,
				       vm_flags_t set, vm_flags_t clear)
{
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
}
#else
static inline void kscope_vm_flags_mod(struct vm_area_struct *vma,
				       vm_flags_t set, vm_flags_t clear)
{
	vm_flags_mod(vma, set, clear);
}
#endif

/* For small folios, as unpin_user_page() has to find the folio again */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
static inline void unpin_folio(struct folio *folio)
{
	unpin_user_page(&folio->page);
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void
hrtimer_setup(struct hrtimer *timer,
	      enum hrtimer_restart (*function)(struct hrtimer *timer),
	      clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

static inline void kscope_eventfd_signal(struct eventfd_ctx *event)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(event, 1);
#else
	eventfd_signal(event);
#endif
}

/* Since 6.8 vfs_iocb_iter_write() itself holds off a freeze of the file system. */
static inline ssize_t kscope_iocb_write(struct kiocb *iocb,
					struct iov_iter *iter)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	ssize_t ret;

	file_start_write(iocb->ki_filp);
	ret = vfs_iocb_iter_write(iocb->ki_filp, iocb, iter);
	file_end_write(iocb->ki_filp);
	return ret;
#else
	return vfs_iocb_iter_write(iocb->ki_filp, iocb, iter);
#endif
}

#endif /* KSCOPE_COMPAT_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * The completion ring.
 *
 * The memory can outlive the scope, and so does the charge for it: a mapping holds the
 * ring's own file, not the scope's. A mapping of the scope's file would keep that file
 * open, and the close() that has to end the scope would come only with the last munmap().
 *
 * The kernel is the only writer of tail and records, under the scope's lock, and
 * believes only its own copy of the tail. The head belongs to the program, which may
 * write anything there: it decides how many records count as unread, and nothing else.
 *
 * Barriers: the store-release of tail in kscope_ring_post() pairs with the program's
 * load-acquire. The load-acquire of head in kscope_ring_unread() pairs with the program's
 * store-release: a record is not overwritten before it was read.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "internal.h"

#define RING_ORDER 6 /* most pages that are asked for together: 64 */

static void pages_free(struct kscope_ringbuf *ring)
{
	u32 i;

	for (i = 0; i < ring->nr_pages; i++)
		__free_page(ring->pages[i]);
}

static void ring_free_memory(struct kscope_ringbuf *ring)
{
	vunmap(ring->ring);
	pages_free(ring);
	kvfree(ring->pages);
	free_page((unsigned long)ring->head);
	kfree(ring);
}

static void ring_free(struct kscope_ringbuf *ring)
{
	kscope_user_uncharge(ring->user, ring->entries);
	ring_free_memory(ring);
}

static int ring_fop_release(struct inode *inode, struct file *file)
{
	ring_free(file->private_data);
	return 0;
}

static const struct file_operations ring_fops = {
	.owner = THIS_MODULE,
	.release = ring_fop_release,
};

/*
 * Pages that lie together are found, zeroed and charged at once. Each is a page of its own from
 * then on, as a program may keep one of them mapped.
 */
static u32 pages_alloc(struct kscope_ringbuf *ring, u32 wanted)
{
	u32 order = min_t(u32, ilog2(wanted), RING_ORDER);
	gfp_t gfp = KSCOPE_GFP | __GFP_ZERO;
	struct page *page;
	u32 i;

	page = alloc_pages(order ? gfp | __GFP_NORETRY : gfp, order);
	if (!page && order) {
		order = 0;
		page = alloc_pages(gfp, order);
	}
	if (!page)
		return 0;
	split_page(page, order);
	for (i = 0; i < BIT(order); i++)
		ring->pages[ring->nr_pages++] = nth_page(page, i);
	return BIT(order);
}

static bool ring_fill(struct kscope_ringbuf *ring)
{
	u32 wanted = ring->bytes >> PAGE_SHIFT, got;

	ring->pages = kvmalloc_array(wanted, sizeof(*ring->pages), KSCOPE_GFP);
	for (; ring->pages && wanted; wanted -= got) {
		got = pages_alloc(ring, wanted);
		if (!got)
			return false;
	}
	if (!ring->pages)
		return false;
	ring->ring = vmap(ring->pages, ring->nr_pages, VM_MAP, PAGE_KERNEL);
	ring->head = (void *)get_zeroed_page(KSCOPE_GFP);
	return ring->ring && ring->head;
}

static struct kscope_ringbuf *ring_alloc(u32 entries)
{
	struct kscope_ringbuf *ring;

	ring = kzalloc(sizeof(*ring), GFP_KERNEL_ACCOUNT);
	if (!ring)
		return NULL;
	ring->entries = entries;
	ring->bytes = PAGE_ALIGN(struct_size(ring->ring, records, entries));
	if (ring_fill(ring))
		return ring;
	ring_free_memory(ring);
	return NULL;
}

/**
 * kscope_ring_create() - make an empty ring, charged to the calling user with its scope
 * @entries: records, a power of two
 * @mappable: shall programs be able to map it
 *
 * Context: process context; may sleep.
 * Return: the ring for kscope_ring_put(), or ERR_PTR() of -EDQUOT or -ENOMEM, or what opening
 * a file says.
 */
struct kscope_ringbuf *kscope_ring_create(u32 entries, bool mappable)
{
	struct kscope_user *user = kscope_user_charge(entries);
	struct kscope_ringbuf *ring;
	struct file *file;

	if (IS_ERR(user))
		return ERR_CAST(user);
	ring = ring_alloc(entries);
	if (!ring) {
		kscope_user_uncharge(user, entries);
		return ERR_PTR(-ENOMEM);
	}
	ring->user = user;
	ring->ring->entries = entries;
	if (!mappable)
		return ring;
	file = anon_inode_getfile("[kscope-ring]", &ring_fops, ring, O_RDWR);
	if (IS_ERR(file)) {
		ring_free(ring);
		return ERR_CAST(file);
	}
	ring->file = file;
	return ring;
}

/**
 * kscope_ring_put() - the scope needs its ring no more
 * @ring: goes when its last mapping does
 *
 * Context: process context; may sleep.
 */
void kscope_ring_put(struct kscope_ringbuf *ring)
{
	if (ring->file)
		fput(ring->file);
	else
		ring_free(ring);
}

/**
 * kscope_ring_take() - consume completions as a program would
 * @ring: that no program has mapped
 * @records: where to
 * @max: room there
 *
 * Context: any; one consumer at a time.
 * Return: how many were taken.
 */
u32 kscope_ring_take(struct kscope_ringbuf *ring,
		     struct kscope_completion *records, u32 max)
{
	/* Pairs with the store-release in kscope_ring_publish(). */
	u32 tail = smp_load_acquire(&ring->ring->tail);
	u32 head = ring->head->head;
	u32 nr = min(tail - head, max);
	u32 i;

	for (i = 0; i < nr; i++)
		records[i] =
			ring->ring->records[(head + i) & (ring->entries - 1)];
	/* The records are read; pairs with kscope_ring_unread(). */
	smp_store_release(&ring->head->head, head + nr);
	return nr;
}

static int records_insert(struct vm_area_struct *vma,
			  struct kscope_ringbuf *ring)
{
	unsigned long nr = vma_pages(vma);

	if (nr > ring->nr_pages)
		return -EINVAL;
	return vm_insert_pages(vma, vma->vm_start, ring->pages, &nr);
}

static int head_insert(struct vm_area_struct *vma, struct kscope_ringbuf *ring)
{
	if (vma->vm_end - vma->vm_start > PAGE_SIZE)
		return -EINVAL;
	return vm_insert_page(vma, vma->vm_start, virt_to_page(ring->head));
}

/**
 * kscope_ring_mmap() - map records or head into a program
 * @ring: of the scope whose file is mapped
 * @vma: says which by its offset
 *
 * Context: under the mmap_lock, for writing.
 * Return: 0; -EINVAL for an offset, length or kind of mapping that is not offered; -EACCES
 * for records that shall be writable; -ENOMEM.
 */
int kscope_ring_mmap(struct kscope_ringbuf *ring, struct vm_area_struct *vma)
{
	bool records = vma->vm_pgoff == KSCOPE_MMAP_RING >> PAGE_SHIFT;

	if (!records && vma->vm_pgoff != KSCOPE_MMAP_HEAD >> PAGE_SHIFT)
		return -EINVAL;
	if (!(vma->vm_flags & VM_SHARED) || (vma->vm_flags & VM_EXEC))
		return -EINVAL;
	if (records && (vma->vm_flags & VM_WRITE))
		return -EACCES;

	kscope_vm_flags_mod(vma, VM_DONTEXPAND | VM_DONTDUMP,
			    VM_MAYEXEC | (records ? VM_MAYWRITE : 0));
	vma_set_file(vma, ring->file);
	return records ? records_insert(vma, ring) : head_insert(vma, ring);
}

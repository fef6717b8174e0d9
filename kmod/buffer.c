// SPDX-License-Identifier: GPL-2.0
/*
 * The buffers of a scope: a table of handles, and leases.
 *
 * A buffer is in the table from the moment it is whole until it is dropped. Children
 * that borrow it count in its leases, and it is dropped only when there are none; so a
 * child needs no reference. While a buffer is being pinned its entry is reserved: no handle
 * leads there, and the release of the scope passes it by. The pinner sees the release
 * when it comes back to publish, and undoes its work.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "internal.h"

#define BUF_SLOT_BITS 12
#define BUF_MAX_GENERATION ((1U << (31 - BUF_SLOT_BITS)) - 1)

static_assert(1U << BUF_SLOT_BITS == KSCOPE_MAX_BUFFERS);

/* What a reserved entry points to. Handles are positive, so none is this one's. */
static struct kscope_buf buf_reserved = { .handle = U32_MAX };

static int table_reserve(struct kscope_scope *scope, struct kscope_buf *buf)
{
	struct kscope_buf_slot *slot;
	int ret;
	u32 i;

	lockdep_assert_held(&scope->lock);
	ret = kscope_tally_open(&scope->tally);
	if (ret)
		return ret;
	for (i = 0; i < scope->max_buffers; i++) {
		slot = &scope->bufs[i];
		if (slot->buf || slot->generation == BUF_MAX_GENERATION)
			continue;
		slot->buf = &buf_reserved;
		buf->handle = ++slot->generation << BUF_SLOT_BITS | i;
		return 0;
	}
	return -ENOSPC;
}

static struct kscope_buf_slot *table_slot(const struct kscope_scope *scope,
					  u32 handle)
{
	u32 i = handle & (KSCOPE_MAX_BUFFERS - 1);

	if (i >= scope->max_buffers)
		return NULL;
	return &scope->bufs[array_index_nospec(i, scope->max_buffers)];
}

static struct kscope_buf *buf_alloc(u64 addr, u64 len, unsigned int access)
{
	u64 last = addr + len - 1;
	size_t nr_blocks =
		last / KSCOPE_BLOCK_BYTES - addr / KSCOPE_BLOCK_BYTES + 1;
	struct kscope_buf *buf =
		kvzalloc(struct_size(buf, blocks, nr_blocks), KSCOPE_GFP);

	if (!buf)
		return NULL;
	buf->access = access;
	buf->first = addr % KSCOPE_BLOCK_BYTES;
	buf->len = len;
	buf->nr_pages = (last >> PAGE_SHIFT) - (addr >> PAGE_SHIFT) + 1;
	INIT_LIST_HEAD(&buf->views);
	return buf;
}

static int buf_reserve(struct kscope_scope *scope, struct kscope_buf *buf)
{
	int ret;

	spin_lock(&scope->lock);
	ret = table_reserve(scope, buf);
	spin_unlock(&scope->lock);
	return ret;
}

/* The handle is read here: once published the buffer is anybody's to drop. */
static int buf_publish(struct kscope_scope *scope, struct kscope_buf *buf)
{
	struct kscope_buf_slot *slot = table_slot(scope, buf->handle);
	int ret = buf->handle;

	spin_lock(&scope->lock);
	if (scope->tally.state == KSCOPE_SCOPE_RELEASED) {
		slot->buf = NULL;
		ret = -ESHUTDOWN;
	} else {
		slot->buf = buf;
		scope->nr_buffers++;
		scope->pinned_pages += buf->cred ? buf->nr_pages : 0;
	}
	spin_unlock(&scope->lock);
	return ret;
}

static void buf_unreserve(struct kscope_scope *scope, struct kscope_buf *buf)
{
	spin_lock(&scope->lock);
	table_slot(scope, buf->handle)->buf = NULL;
	spin_unlock(&scope->lock);
}

static void buf_free(struct kscope_buf *buf)
{
	WARN_ON_ONCE(buf->leases || !list_empty(&buf->views));
	if (buf->cred)
		kscope_unpin(buf);
	if (buf->view.origin)
		kscope_view_drop(buf);
	else
		kscope_blocks_free(buf);
	kvfree(buf);
}

/**
 * kscope_buf_install() - make a buffer whole, and put it into the table
 * @scope: to own it
 * @buf: not whole yet; freed on failure
 * @addr: for @get_pages
 * @get_pages: what makes it whole; 0 or a negative errno
 *
 * Context: process context; sleeps if @get_pages does.
 * Return: the handle, which is positive; what @get_pages returned; -ENOSPC, -ECANCELED or
 * -ESHUTDOWN.
 */
int kscope_buf_install(struct kscope_scope *scope, struct kscope_buf *buf,
		       u64 addr,
		       int (*get_pages)(struct kscope_buf *buf, u64 addr))
{
	int ret = kscope_leases_provide(scope) ?: buf_reserve(scope, buf);

	if (ret)
		goto free;
	ret = get_pages(buf, addr);
	if (ret) {
		buf_unreserve(scope, buf);
		goto free;
	}
	kscope_hook(KSCOPE_POINT_PINNED, 0);
	ret = buf_publish(scope, buf);
	if (ret > 0)
		return ret;
free:
	buf_free(buf);
	return ret;
}

/**
 * kscope_buf_pin() - pin memory of the calling process and give it to the scope
 * @scope: to own it
 * @addr: start
 * @len: bytes, at least 1; does not wrap, and is not larger than KSCOPE_MAX_BUF_BYTES
 * @access: KSCOPE_ACCESS_* that children shall have
 *
 * Context: process context; sleeps, faults pages in, takes the mmap_lock. Killable.
 * Return: the handle, which is positive, or a negative errno as in the ABI's table.
 */
int kscope_buf_pin(struct kscope_scope *scope, u64 addr, u64 len,
		   unsigned int access)
{
	struct kscope_buf *buf = buf_alloc(addr, len, access);

	if (!buf)
		return -ENOMEM;
	buf->guard.scope = scope;
	return kscope_buf_install(scope, buf, addr, kscope_pin);
}

static int vmalloc_block(struct kscope_buf *buf, unsigned long i, void *addr,
			 unsigned long nr)
{
	struct page **pages = kmalloc_array(nr, sizeof(*pages), KSCOPE_GFP);
	unsigned long j, run;

	if (!pages)
		return -ENOMEM;
	for (j = 0; j < nr; j++, addr += PAGE_SIZE)
		pages[j] = vmalloc_to_page(addr);
	run = kscope_pages_run(page_folio(pages[0]), pages, nr);
	if (!kscope_block_set(buf, i, pages, nr, run))
		kfree(pages);
	return 0;
}

static int kernel_pages(struct kscope_buf *buf, u64 start)
{
	void *addr = (void *)(unsigned long)(start & PAGE_MASK);
	unsigned long i, nr, nr_blocks = kscope_buf_nr_blocks(buf);
	int ret = 0;

	for (i = 0; i < nr_blocks && !ret; i++) {
		nr = kscope_block_nr_pages(buf, i);
		if (is_vmalloc_addr(addr))
			ret = vmalloc_block(buf, i, addr, nr);
		else
			kscope_block_set_run(buf, i, virt_to_page(addr));
		addr += nr << PAGE_SHIFT;
	}
	return ret;
}

/**
 * kscope_buf_add() - give kernel memory to a scope
 * @scope: to own it
 * @addr: of kmalloc(), vmalloc() or the page allocator; the caller keeps it alive until
 *	kscope_buf_remove(), kscope_scope_release() or kscope_scope_destroy() has succeeded
 * @len: bytes, at least 1
 * @access: KSCOPE_ACCESS_* that children shall have
 *
 * Context: process context; may sleep.
 * Return: the handle, which is positive; -EINVAL, -ENOMEM, -ENOSPC, -ECANCELED or -ESHUTDOWN.
 */
int kscope_buf_add(struct kscope_scope *scope, void *addr, size_t len,
		   unsigned int access)
{
	struct kscope_buf *buf;

	if (!len || len > KSCOPE_MAX_BUF_BYTES)
		return -EINVAL;
	buf = buf_alloc((unsigned long)addr, len, access);
	if (!buf)
		return -ENOMEM;
	return kscope_buf_install(scope, buf, (unsigned long)addr,
				  kernel_pages);
}
EXPORT_SYMBOL_GPL(kscope_buf_add);

static void table_remove(struct kscope_scope *scope, struct kscope_buf *buf)
{
	lockdep_assert_held(&scope->lock);
	table_slot(scope, buf->handle)->buf = NULL;
	scope->nr_buffers--;
	scope->pinned_pages -= buf->cred ? buf->nr_pages : 0;
}

static u32 buf_blockers(struct kscope_scope *scope, struct kscope_buf *buf,
			struct kscope_blocker *blockers, u32 max)
{
	const struct kscope_range all = { .buf = buf };
	u32 nr = kscope_scope_blockers(scope, &all, blockers, max);

	nr += kscope_loans_blockers(scope, &all, blockers + nr, max - nr);
	return nr + kscope_view_blockers(&all, blockers + nr, max - nr);
}

/**
 * kscope_buf_drop() - take a buffer out of its scope, unless it is borrowed
 * @scope: that owns it
 * @handle: of the buffer
 * @blockers: filled in with those who borrow it, if that is the error
 * @nr_blockers: in: room there. out: how many
 *
 * Context: process context; may sleep.
 * Return: 0 and the memory is the caller's again; -ENOENT; -EBUSY.
 */
int kscope_buf_drop(struct kscope_scope *scope, u32 handle,
		    struct kscope_blocker *blockers, u32 *nr_blockers)
{
	struct kscope_buf *buf;
	int ret = 0;

	spin_lock(&scope->lock);
	buf = kscope_buf_lookup(scope, handle);
	if (!buf) {
		ret = -ENOENT;
	} else if (buf->leases || !list_empty(&buf->views)) {
		ret = -EBUSY;
		*nr_blockers = buf_blockers(scope, buf, blockers, *nr_blockers);
	} else {
		table_remove(scope, buf);
	}
	spin_unlock(&scope->lock);
	if (ret)
		return ret;
	kscope_hook(KSCOPE_POINT_DROPPED, 0);
	buf_free(buf);
	return 0;
}

/**
 * kscope_buf_remove() - take kernel memory back from a scope
 * @scope: that owns it
 * @handle: of the buffer
 *
 * Context: process context; may sleep.
 * Return: 0 and no child touches the memory again; -ENOENT; -EBUSY while it is borrowed.
 */
int kscope_buf_remove(struct kscope_scope *scope, u32 handle)
{
	u32 nr_blockers = 0;

	return kscope_buf_drop(scope, handle, NULL, &nr_blockers);
}
EXPORT_SYMBOL_GPL(kscope_buf_remove);

/* Take the next buffer from entry *@i on out of the table. */
static struct kscope_buf *table_take(struct kscope_scope *scope, u32 *i)
{
	struct kscope_buf *buf = NULL;

	spin_lock(&scope->lock);
	for (; scope->nr_buffers && *i < scope->max_buffers; (*i)++) {
		buf = scope->bufs[*i].buf;
		if (buf && buf != &buf_reserved) {
			table_remove(scope, buf);
			break;
		}
		buf = NULL;
	}
	spin_unlock(&scope->lock);
	return buf;
}

/**
 * kscope_buf_drop_all() - take all buffers out of a scope
 * @scope: released, or with nobody left to use it; nothing is outstanding
 *
 * Context: process context; may sleep. Allocates nothing and does not fail.
 */
void kscope_buf_drop_all(struct kscope_scope *scope)
{
	struct kscope_buf *buf;
	u32 i = 0;

	while ((buf = table_take(scope, &i)))
		buf_free(buf);
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the module do for one another. The structs are in objects.h, with what
 * protects them and the order of the locks.
 */
#ifndef KSCOPE_INTERNAL_H
#define KSCOPE_INTERNAL_H

#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/wait.h>

#include "objects.h"

struct kscope_draft;

/* user.c */
extern unsigned int kscope_max_user_scopes;
extern unsigned int kscope_max_user_children;
struct kscope_user *kscope_user_charge(u32 children);
void kscope_user_uncharge(struct kscope_user *user, u32 children);
int kscope_user_bind(struct kscope_user *user);
int kscope_user_charge_file(struct kscope_user *user);
void kscope_user_uncharge_file(struct kscope_user *user);
void kscope_users_stop(void);
#ifdef KSCOPE_HOOKS
void kscope_user_charges(struct kscope_charges *sum);
#endif

/* op.c */
static inline bool kscope_op_is_builtin(const struct kscope_op *op)
{
	return op->number < KSCOPE_OP_PROVIDER;
}

static inline bool kscope_op_takes(const struct kscope_op *op, u32 attributes)
{
	return op->attributes & attributes;
}

#define KSCOPE_NR_BUILTIN (KSCOPE_OP_FSYNC + 1U)

void kscope_ops_init(void);
extern struct kscope_op *const kscope_builtin_ops[KSCOPE_NR_BUILTIN];
struct kscope_op *kscope_provider_op_get(u32 number);

/**
 * kscope_op_get() - find an operation
 * @number: as descriptors call it
 *
 * Context: any but interrupts.
 * Return: the op with a reference for kscope_op_put(), or NULL.
 */
static inline struct kscope_op *kscope_op_get(u32 number)
{
	if (number >= KSCOPE_NR_BUILTIN)
		return kscope_provider_op_get(number);
	return kscope_builtin_ops[array_index_nospec(number, KSCOPE_NR_BUILTIN)];
}

void kscope_op_put(struct kscope_op *op);
u32 kscope_op_count(void);
int kscope_op_describe(struct kscope_op_info *info);

/* ring.c */
struct kscope_ringbuf *kscope_ring_create(u32 entries, bool mappable);
void kscope_ring_put(struct kscope_ringbuf *ring);
u32 kscope_ring_take(struct kscope_ringbuf *ring,
		     struct kscope_completion *records, u32 max);
int kscope_ring_mmap(struct kscope_ringbuf *ring, struct vm_area_struct *vma);

/**
 * kscope_ring_unread() - completions that the program has not consumed
 * @ring: whose head is the program's, and may be nonsense
 *
 * Context: under the scope's lock, as the program must not be told of a completion that it
 * cannot see yet.
 * Return: 0 to the number of entries. A head that cannot be counts as a full ring.
 */
static inline u32 kscope_ring_unread(const struct kscope_ringbuf *ring)
{
	/* Pairs with the program's store-release after it has read. */
	u32 head = smp_load_acquire(&ring->head->head);

	return min(ring->tail - head, ring->entries);
}

/**
 * kscope_ring_publish() - let the program see what was posted
 * @ring: of the scope whose lock is held
 * @tail: after the last record
 *
 * Context: under the scope's lock.
 */
static inline void kscope_ring_publish(struct kscope_ringbuf *ring, u32 tail)
{
	kscope_hook_atomic(KSCOPE_POINT_POSTED);
	ring->tail = tail;
	/* The records before the tail; pairs with the program's load-acquire. */
	smp_store_release(&ring->ring->tail, tail);
}

/**
 * kscope_scope_has() - is there what a waiter waits for
 * @scope: whose
 * @min_complete: so many unread completions
 *
 * Context: under the scope's lock.
 * Return: true if there are so many, or if nothing is outstanding.
 */
static inline bool kscope_scope_has(const struct kscope_scope *scope,
				    u32 min_complete)
{
	return kscope_ring_unread(scope->ring) >= min_complete ||
	       !kscope_tally_outstanding(&scope->tally);
}

/**
 * kscope_scope_helped() - where a scope's waiters find children to run
 * @scope: whose
 *
 * Return: the queue of those that do not block; or the one that has all.
 */
static inline struct kscope_queue *
kscope_scope_helped(const struct kscope_scope *scope)
{
	return scope->helped;
}

/* lane.c */
int kscope_lanes_create(struct kscope_scope *scope);
void kscope_lanes_destroy(struct kscope_scope *scope);
void kscope_lane_kick(struct kscope_queue *queue);

/**
 * kscope_queue_kick() - let a lane go, if there is something for it
 * @queue: perhaps with ready children that no lane knows of
 *
 * Context: under the scope's lock.
 */
static inline void kscope_queue_kick(struct kscope_queue *queue)
{
	lockdep_assert_held(&queue->scope->lock);
	if (!list_empty(&queue->ready))
		kscope_lane_kick(queue);
}

/* claim.c */
bool kscope_child_is_slow(const struct kscope_child *child);

/**
 * kscope_child_queue() - where a child waits for its turn
 * @child: with its op, of a scope that is not inline
 *
 * Return: one of its scope's queues.
 */
static inline struct kscope_queue *
kscope_child_queue(const struct kscope_child *child)
{
	struct kscope_scope *scope = child->scope;

	if (scope->helped == &scope->slow || kscope_child_is_slow(child))
		return &scope->slow;
	return &scope->quick;
}

void kscope_claim_take(struct kscope_claim *claim, struct kscope_queue *queue);
void kscope_claim_run(struct kscope_claim *claim);
void kscope_children_end(struct kscope_scope *scope,
			 struct list_head *children);

/**
 * kscope_claim_end() - end the children of a claim
 * @claim: that was run; left empty
 * @scope: whose
 *
 * Context: under the scope's lock; kscope_scope_notify() comes after it is dropped.
 */
static inline void kscope_claim_end(struct kscope_claim *claim,
				    struct kscope_scope *scope)
{
	hlist_del(&claim->node);
	kscope_children_end(scope, &claim->children);
}

/**
 * kscope_child_buf() - a buffer that a child borrows
 * @child: with that many leases
 * @range: which one
 *
 * Context: any, as the lease keeps the buffer and its entry in the table.
 * Return: the buffer.
 */
static inline struct kscope_buf *
kscope_child_buf(const struct kscope_child *child, u32 range)
{
	u32 handle = range ? child->desc.buf2 : child->desc.buf;

	return child->scope->bufs[handle & (KSCOPE_MAX_BUFFERS - 1)].buf;
}

/* Has it a file that it has not dropped yet */
static inline bool kscope_child_has_file(const struct kscope_child *child)
{
	return kscope_op_takes(child->op, KSCOPE_OP_TAKES_FILE) && child->file;
}

/* child.c */
struct kscope_child *kscope_child_lookup(struct kscope_scope *scope,
					 u64 handle);
bool kscope_child_borrows(const struct kscope_child *child, u64 buf);
bool kscope_child_clashes(const struct kscope_child *child,
			  const struct kscope_range *range);
struct kscope_range kscope_child_range(const struct kscope_child *child, u32 i);
int kscope_child_borrow(struct kscope_child *child,
			const struct kscope_range *ranges, bool wait);
void kscope_child_try(struct kscope_child *child);
void kscope_child_ready(struct kscope_child *child, u8 what);
u32 kscope_child_name(const struct kscope_child *child,
		      struct kscope_blocker *blockers, u32 nr, u32 max);
void kscope_child_describe(const struct kscope_child *child,
			   struct kscope_blocker *blocker);
void kscope_child_drop(struct kscope_child *child);
void kscope_child_drop_file(struct kscope_child *child);

/* event.c */
void kscope_event_set(struct kscope_scope *scope, struct eventfd_ctx *event);
void kscope_event_signal(struct kscope_scope *scope);

/* wait.c */
int kscope_scope_wait(struct kscope_scope *scope, u32 min_complete,
		      u64 deadline_ns);
void kscope_scope_kick(struct kscope_scope *scope);
void kscope_scope_wake(struct kscope_scope *scope);
void kscope_scope_carry_out(struct kscope_scope *scope);

/**
 * kscope_scope_notify() - wake those who wait for the scope
 * @scope: in which something has ended or changed
 *
 * Context: any but interrupts, without the scope's lock. The caller keeps the scope alive: it is
 * one of its lanes, or holds its file.
 */
static inline void kscope_scope_notify(struct kscope_scope *scope)
{
	if (unlikely(READ_ONCE(scope->chores)))
		kscope_scope_carry_out(scope);
	/* A full barrier; pairs with prepare_to_wait() and with poll_wait(). */
	if (wq_has_sleeper(&scope->wait))
		kscope_scope_wake(scope);
}

/* Does it go on when its scope is cancelled */
static inline bool kscope_child_is_shielded(const struct kscope_child *child)
{
	return !child->op->plain && child->desc.flags & KSCOPE_CHILD_SHIELDED &&
	       !child->scope->grace.bared;
}

/* cancel.c */
void kscope_scope_give_way(struct kscope_scope *scope);
void kscope_child_tell(struct kscope_child *child, u8 cause,
		       struct kscope_cancel_counts *counts);
int kscope_scope_doom(struct kscope_scope *scope, u8 cause);
int kscope_scope_cancel_alone(struct kscope_scope *scope, u8 cause,
			      struct kscope_cancel_counts *counts);
void kscope_scope_cancel_rest(struct kscope_scope *scope,
			      struct kscope_cancel_counts *counts);
int kscope_scope_cancel(struct kscope_scope *scope, u8 cause,
			struct kscope_cancel_counts *counts);

/* deadline.c */
void kscope_deadline_start(struct kscope_scope *scope, u64 ns,
			   const struct kscope_scope *parent);
void kscope_deadline_stop(struct kscope_scope *scope);

/* grace.c */
void kscope_grace_init(struct kscope_scope *scope);
void kscope_grace_begin(struct kscope_scope *scope);
void kscope_grace_closed(struct kscope_scope *scope);
void kscope_grace_stop(struct kscope_scope *scope);

/* buffer.c */
/**
 * kscope_buf_lookup() - find a buffer
 * @scope: that owns it
 * @handle: from the caller
 *
 * Context: under the scope's lock.
 * Return: the buffer or NULL.
 */
static inline struct kscope_buf *
kscope_buf_lookup(const struct kscope_scope *scope, u32 handle)
{
	u32 i = handle & (KSCOPE_MAX_BUFFERS - 1);
	struct kscope_buf *buf;

	lockdep_assert_held(&scope->lock);
	if (i >= scope->max_buffers)
		return NULL;
	buf = scope->bufs[array_index_nospec(i, scope->max_buffers)].buf;
	return buf && buf->handle == handle ? buf : NULL;
}

int kscope_buf_pin(struct kscope_scope *scope, u64 addr, u64 len,
		   unsigned int access);
int kscope_buf_drop(struct kscope_scope *scope, u32 handle,
		    struct kscope_blocker *blockers, u32 *nr_blockers);
void kscope_buf_drop_all(struct kscope_scope *scope);
int kscope_buf_install(struct kscope_scope *scope, struct kscope_buf *buf,
		       u64 addr,
		       int (*get_pages)(struct kscope_buf *buf, u64 addr));

/* reborrow.c */
int kscope_buf_reborrow(struct kscope_scope *scope, struct kscope_scope *lender,
			const struct kscope_buf_reborrow *args);
void kscope_view_drop(struct kscope_buf *buf);
u32 kscope_view_blockers(const struct kscope_range *range,
			 struct kscope_blocker *blockers, u32 max);

/* line.c */
bool kscope_range_is_free(const struct kscope_scope *scope,
			  const struct kscope_range *range,
			  const struct kscope_waiting *waiting, bool children);
int kscope_line_enter(struct kscope_scope *scope,
		      struct kscope_waiting *waiting,
		      struct kscope_child *child);
void kscope_line_leave(struct kscope_scope *scope,
		       struct kscope_waiting *waiting);
void kscope_line_grant(struct kscope_scope *scope);
u32 kscope_line_blockers(const struct kscope_scope *scope,
			 const struct kscope_range *range,
			 struct kscope_blocker *blockers, u32 nr, u32 max);

/* loan.c */
bool kscope_loan_clashes(const struct kscope_waiting *waiting,
			 const struct kscope_range *range);
void kscope_loan_try(struct kscope_scope *scope,
		     struct kscope_waiting *waiting);
int kscope_loan_take(struct kscope_scope *scope, struct kscope_borrow *args,
		     struct kscope_blocker *blockers);
int kscope_loan_return(struct kscope_scope *scope, u64 handle);
void kscope_loans_end(struct kscope_scope *scope);
u32 kscope_loans_blockers(struct kscope_scope *scope,
			  const struct kscope_range *range,
			  struct kscope_blocker *blockers, u32 max);
#ifdef KSCOPE_HOOKS
u32 kscope_loans_recount(struct kscope_scope *scope, u32 *held);
#endif

/* pages.c */
unsigned long kscope_buf_nr_blocks(const struct kscope_buf *buf);
unsigned long kscope_block_nr_pages(const struct kscope_buf *buf,
				    unsigned long i);
bool kscope_block_set(struct kscope_buf *buf, unsigned long i,
		      struct page **pages, unsigned long nr, unsigned long run);
void kscope_blocks_free(struct kscope_buf *buf);
struct page *kscope_buf_span(const struct kscope_buf *buf, u64 pos, size_t *len,
			     u32 *off);

static inline void kscope_block_set_run(struct kscope_buf *buf, unsigned long i,
					struct page *first)
{
	buf->blocks[i] = (unsigned long)first | KSCOPE_BLOCK_RUN;
}

/* The first page of a block that is a run; else NULL, and it has an array */
static inline struct page *kscope_block_run(const struct kscope_buf *buf,
					    unsigned long i)
{
	unsigned long block = buf->blocks[i];

	return block & KSCOPE_BLOCK_RUN ?
		       (struct page *)(block & ~KSCOPE_BLOCK_RUN) :
		       NULL;
}

static inline struct page **kscope_block_array(const struct kscope_buf *buf,
					       unsigned long i)
{
	return (struct page **)buf->blocks[i];
}

/**
 * kscope_pages_run() - how many pages follow one another in a folio
 * @folio: of the first
 * @pages: array
 * @nr: pages in it, at least 1
 *
 * Return: 1 to @nr.
 */
static inline unsigned long kscope_pages_run(struct folio *folio,
					     struct page *const *pages,
					     unsigned long nr)
{
	unsigned long i;

	if (!folio_test_large(folio))
		return 1;
	nr = min_t(unsigned long, nr,
		   folio_nr_pages(folio) - folio_page_idx(folio, pages[0]));
	for (i = 1; i < nr; i++)
		if (pages[i] != nth_page(pages[0], i))
			break;
	return i;
}

/* pin.c */
int kscope_pin(struct kscope_buf *buf, u64 addr);
void kscope_unpin(struct kscope_buf *buf);

/* guard.c */
#ifdef CONFIG_MMU_NOTIFIER
int kscope_guard_start(struct kscope_buf *buf, u64 addr);
void kscope_guard_stop(struct kscope_buf *buf);
u32 kscope_guard_flags(const struct kscope_child *child);

/* fence.c */
struct kscope_space *kscope_space_get(struct mm_struct *mm);
void kscope_space_put(struct kscope_space *space);
void kscope_scope_fence(struct kscope_scope *scope, struct kscope_space *space,
			bool wait);
#else
static inline int kscope_guard_start(struct kscope_buf *buf, u64 addr)
{
	return 0;
}

static inline void kscope_guard_stop(struct kscope_buf *buf)
{
}

static inline u32 kscope_guard_flags(const struct kscope_child *child)
{
	return 0;
}
#endif

/* hash.c */
int kscope_hash_open(struct kscope_scope *scope, const char *name,
		     int (*report)(struct crypto_shash *tfm, void *arg),
		     void *arg);
struct kscope_hash *kscope_hash_lookup(const struct kscope_scope *scope,
				       u32 handle);
void kscope_hash_drop_all(struct kscope_scope *scope);

/* scope.c */
struct kscope_scope *
kscope_scope_alloc(const struct kscope_scope_params *params,
		   struct kscope_scope *parent, bool mappable);
void kscope_scope_close(struct kscope_scope *scope);
int kscope_scope_end(struct kscope_scope *scope,
		     struct kscope_blocker *blockers, u32 *nr_blockers);
u32 kscope_scope_blockers(struct kscope_scope *scope,
			  const struct kscope_range *range,
			  struct kscope_blocker *blockers, u32 max);
void kscope_scope_query(struct kscope_scope *scope, struct kscope_query *query);
bool kscope_scope_is_drained(struct kscope_scope *scope);
void kscope_scope_told(struct kscope_scope *scope, u32 violations);
void kscope_scope_drained(struct kscope_scope *scope);
void kscope_scope_reap_later(struct kscope_scope *scope);
int kscope_reaper_start(void);
void kscope_reaper_stop(void);

/* nest.c */

/* What all scopes below one add up to */
struct kscope_nest_sum {
	u64 outstanding;
	u64 failed;
	u64 cancelled;
	int status;
	u64 user_data;
};

u64 kscope_nest_time(void);
void kscope_nest_reopened(struct kscope_scope *scope);
void kscope_nest_init(struct kscope_scope *scope, struct kscope_scope *parent);
int kscope_nest_link(struct kscope_scope *scope, struct kscope_scope *parent);
bool kscope_scope_unref(struct kscope_scope *scope);
void kscope_scope_put(struct kscope_scope *scope);
struct kscope_scope *kscope_nest_next(struct kscope_scope *root,
				      struct kscope_scope *scope);
void kscope_nest_spread(struct kscope_scope *scope,
			struct kscope_cancel_counts *counts);
int kscope_nest_wait(struct kscope_scope *root, u64 deadline_ns);
void kscope_nest_sum_up(struct kscope_scope *root, struct kscope_nest_sum *sum);
int kscope_nest_release(struct kscope_scope *scope,
			struct kscope_blocker *blockers, u32 *nr_blockers);
void kscope_nest_ended(struct kscope_scope *scope);
struct kscope_scope *kscope_nest_leaf(struct kscope_scope *scope);
#ifdef KSCOPE_HOOKS
void kscope_nest_lock(void);
void kscope_nest_unlock(void);
#endif

/* prune.c */
int kscope_nest_close(struct kscope_scope *scope);
bool kscope_nest_reap(struct kscope_scope *scope);

/* Is there a tree around the scope */
static inline bool kscope_scope_is_nested(const struct kscope_scope *scope)
{
	return scope->nest.parent || READ_ONCE(scope->nest.nests);
}

/* file.c, ioctl.c */
extern const struct file_operations kscope_scope_fops;
extern const struct file_operations kscope_device_fops;
long kscope_scope_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* ops/ */
extern struct kscope_op kscope_op_nop, kscope_op_nop_tied, kscope_op_sleep;
extern struct kscope_op kscope_op_fill, kscope_op_copy, kscope_op_compare,
	kscope_op_xor;
extern struct kscope_op kscope_op_crc32c, kscope_op_hash;
extern struct kscope_op kscope_op_read, kscope_op_write, kscope_op_fsync;
int kscope_fileio_get(struct kscope_draft *draft,
		      const struct kscope_desc *desc, struct kscope_user *user);

#endif /* KSCOPE_INTERNAL_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the module share.
 *
 * A letter says what protects a field:
 *
 *   C  constant from the moment the object can be seen
 *   S  scope->lock
 *   R  written by the operation of a running child alone; read by others only after the
 *      child has ended
 *   F  only touched by the final steps of the scope, when nobody else is left
 *   U  the lock of user.c
 *   A  atomic, or a lock of its own
 *
 * Lock order, outermost first:
 *
 *   the mutex of user.c                       (alone; nothing is taken under it)
 *   the mutex of recount.c                    (only in builds for tests)
 *   mm->mmap_lock                             (pin.c, file.c's mmap; alone)
 *   scope->lock                               spinlock, process context
 *     the locks of the workqueue core         queue_work()
 *     the locks of a wait queue               wake_up_var()
 *     what the cancel callback of an op takes
 *     what fput(), put_cred() and module_put() take
 *
 * Nothing that sleeps, faults or allocates happens under scope->lock.
 */
#ifndef KSCOPE_INTERNAL_H
#define KSCOPE_INTERNAL_H

#include <linux/cred.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "hooks.h"
#include "kscope.h"
#include "state.h"

#define KSCOPE_MAX_CAPACITY BIT(20)
#define KSCOPE_MAX_BUFFERS 4096U
#define KSCOPE_DEFAULT_BUFFERS 64U
#define KSCOPE_MAX_HASHES 16U
#define KSCOPE_MAX_BLOCKING 64U /* of one scope */
#define KSCOPE_MAX_USER_BLOCKING 256 /* of one user */
#define KSCOPE_FREE_FILES 16384UL /* of one user, whatever RLIMIT_NOFILE says */
#define KSCOPE_MAX_QUICK 16U
#define KSCOPE_MAX_BUF_BYTES (64ULL << 30)
#define KSCOPE_BATCH 16U
/* For what a caller chooses the size of: it shall not fill the log with failures. */
#define KSCOPE_GFP (GFP_KERNEL_ACCOUNT | __GFP_NOWARN)
#define KSCOPE_STEP 65536U /* bytes between two looks at the cancel flag */

struct crypto_shash;
struct file;
struct page;
struct shash_desc;

/**
 * struct kscope_user - what one user holds, over all of its scopes
 * @node: U in the table of user.c
 * @uid: C whose
 * @scopes: U how many, which is also the number of references to this struct
 * @children: U sum of their slots
 * @files: A files that children of its scopes hold
 * @quick_wq: C runs the lanes of its scopes for children that do not block
 * @slow_wq: C likewise for those that may
 */
struct kscope_user {
	struct hlist_node node;
	kuid_t uid;
	u32 scopes;
	u32 children;
	atomic_t files;
	struct workqueue_struct *quick_wq;
	struct workqueue_struct *slow_wq;
};

/**
 * struct kscope_buf - a range of memory that belongs to one scope
 * @handle: C
 * @access: C KSCOPE_ACCESS_* that children may have; WRITE only if pinned so
 * @first: C offset of the range in its first page
 * @len: C bytes
 * @nr_pages: C
 * @pages: C
 * @cred: C whose user the pages are charged to; NULL for kernel memory, which is not pinned
 * @mm: C address space whose pinned_vm counts them; likewise
 * @leases: S children that borrow it
 */
struct kscope_buf {
	u32 handle;
	u32 access;
	u32 first;
	u64 len;
	unsigned long nr_pages;
	struct page **pages;
	const struct cred *cred;
	struct mm_struct *mm;
	u32 leases;
};

/**
 * struct kscope_buf_slot - entry of a scope's table of buffers
 * @buf: S NULL if free, KSCOPE_BUF_RESERVED while one is being pinned
 * @generation: S of the handle that it has or had last; when these run out the entry
 *	is never used again
 */
struct kscope_buf_slot {
	struct kscope_buf *buf;
	u32 generation;
};

/**
 * struct kscope_hash - a hash algorithm, and one running digest
 * @tfm: C
 * @nr_pieces: S pieces of running digests that were accepted; numbers them
 * @next_piece: R the number that the running digest can go on with, 0 for none
 * @running: R state of the digest
 */
struct kscope_hash {
	struct crypto_shash *tfm;
	u64 nr_pieces;
	u64 next_piece;
	struct shash_desc *running;
};

/**
 * struct kscope_ringbuf - the memory of a completion ring
 * @user: C whom a scope and its slots are charged to; the charge lives as long as this
 * @entries: C records, and slots of the scope
 * @ring: C header and records; programs map it read-only
 * @bytes: C of @ring, in whole pages
 * @head: C page of the head index; programs map it writable, so trust nothing in it
 * @tail: S the tail that counts; the one in @ring is a copy for the program
 * @file: C owns this struct if there can be mappings; else the scope does
 */
struct kscope_ringbuf {
	struct kscope_user *user;
	u32 entries;
	struct kscope_ring *ring;
	size_t bytes;
	struct kscope_ring_head *head;
	u32 tail;
	struct file *file;
};

/**
 * struct kscope_child - a slot, and the child that lives in it
 * @node: S on scope->free, its queue's ready list, scope->running, or a canceller's list
 * @scope: C once the slot was used
 * @handle: S of the child in it or, if free, of the last one
 * @life: S, but an operation reads life.cause of its own child without
 * @op: C while the slot is taken, like the following up to @spawned_ns
 * @desc: a copy that the caller cannot change
 * @buf: buffers that it has a lease on
 * @hash: for HASH
 * @piece: its number in @hash
 * @file: for file operations; a reference
 * @cred: of the spawner, likewise
 * @spawned_ns: CLOCK_MONOTONIC
 * @carry: S, then R
 * @done: R
 * @value: R
 */
struct kscope_child {
	struct list_head node;
	struct kscope_scope *scope;
	u64 handle;
	struct kscope_life life;
	struct kscope_op *op;
	struct kscope_desc desc;
	struct kscope_buf *buf[KSCOPE_MAX_RANGES];
	struct kscope_hash *hash;
	u64 piece;
	struct file *file;
	const struct cred *cred;
	u64 spawned_ns;
	struct kscope_carry carry;
	u64 done;
	u64 value;
};

/**
 * struct kscope_queue - ready children, and the lanes that drain them
 * @scope: C
 * @ready: S
 * @idle: S lanes that will not look at @ready again until they are kicked
 * @nr_busy: S lanes that will
 * @max_busy: C so many may
 */
struct kscope_queue {
	struct kscope_scope *scope;
	struct list_head ready;
	struct list_head idle;
	u32 nr_busy;
	u32 max_busy;
};

struct kscope_lane {
	struct work_struct work; /* A */
	struct list_head node; /* S on queue->idle, or empty */
	struct kscope_queue *queue; /* C */
	struct workqueue_struct *wq; /* C */
	bool slow; /* C its class: takes children that may block */
};

/**
 * struct kscope_scope - owner of buffers and children
 * @kind: C KSCOPE_KIND_*
 * @policy: C KSCOPE_POLICY_*
 * @lock: A
 * @tally: S
 * @closing: S the last reference is gone: whoever ends the last child queues @reap_work
 * @slots: C array of tally.entries children
 * @nr_touched: S slots from here on have never been used
 * @free: S slots that have been used and are free
 * @running: S children that run
 * @quick: C children whose op does not block
 * @slow: C the others, and all of an ordered scope
 * @lanes: C
 * @nr_lanes: C
 * @bufs: S table of @max_buffers entries
 * @max_buffers: C
 * @nr_buffers: S
 * @pinned_pages: S
 * @hashes: S
 * @nr_hashes: S
 * @ring: C
 * @wait: A woken when a child has ended or the state has changed
 * @first: S the first failure
 * @memcg: C of the creator; what file operations allocate is charged to it
 * @reap_work: A
 * @watch: the lock of recount.c
 */
struct kscope_scope {
	u32 kind;
	u32 policy;
	spinlock_t lock; /* as the letter S says, above */
	struct kscope_tally tally;
	bool closing;
	struct kscope_child *slots;
	u32 nr_touched;
	struct list_head free;
	struct list_head running;
	struct kscope_queue quick;
	struct kscope_queue slow;
	struct kscope_lane *lanes;
	u32 nr_lanes;
	struct kscope_buf_slot *bufs;
	u32 max_buffers;
	u32 nr_buffers;
	u64 pinned_pages;
	struct kscope_hash *hashes[KSCOPE_MAX_HASHES];
	u32 nr_hashes;
	struct kscope_ringbuf *ring;
	wait_queue_head_t wait;
	struct {
		int status;
		u64 child;
		u64 user_data;
	} first;
	struct mem_cgroup *memcg;
	struct work_struct reap_work;
	struct kscope_watch watch;
};

/* What all users hold together */
struct kscope_charges {
	u64 scopes;
	u64 children;
	u64 files;
};

/**
 * struct kscope_draft - a child about to be: what its descriptor names outside the scope
 * @op: with a reference
 * @file: with a reference; NULL unless the op takes one
 * @file_error: why there is no file although the op takes one; it is reported in its turn
 * @child: its slot, once reserved
 */
struct kscope_draft {
	struct kscope_op *op;
	struct file *file;
	int file_error;
	struct kscope_child *child;
};

/**
 * struct kscope_batch - children that are spawned under one lock
 * @descs: filled in by the caller, up to @nr
 * @drafts: what became of them
 * @nr: in: descriptors. After reserve: children that have a slot
 * @error: why it is not all of them, or 0
 */
struct kscope_batch {
	struct kscope_desc descs[KSCOPE_BATCH];
	struct kscope_draft drafts[KSCOPE_BATCH];
	u32 nr;
	int error;
};

/* user.c */
extern unsigned int kscope_max_user_scopes;
extern unsigned int kscope_max_user_children;
struct kscope_user *kscope_user_charge(u32 children);
void kscope_user_uncharge(struct kscope_user *user, u32 children);
int kscope_user_charge_file(struct kscope_user *user);
void kscope_user_uncharge_file(struct kscope_user *user);
void kscope_users_stop(void);
#ifdef KSCOPE_HOOKS
void kscope_user_charges(struct kscope_charges *sum);
#endif

/* op.c */
struct kscope_op *kscope_op_get(u32 number);
void kscope_op_put(struct kscope_op *op);
u32 kscope_op_count(void);
int kscope_op_describe(struct kscope_op_info *info);

/* ring.c */
struct kscope_ringbuf *kscope_ring_create(u32 entries, bool mappable);
void kscope_ring_put(struct kscope_ringbuf *ring);
u32 kscope_ring_unread(const struct kscope_ringbuf *ring);
void kscope_ring_post(struct kscope_ringbuf *ring,
		      const struct kscope_child *child,
		      const struct kscope_end *end);
u32 kscope_ring_take(struct kscope_ringbuf *ring,
		     struct kscope_completion *records, u32 max);
int kscope_ring_mmap(struct kscope_ringbuf *ring, struct vm_area_struct *vma);

/* lane.c */
int kscope_lanes_create(struct kscope_scope *scope);
void kscope_lanes_destroy(struct kscope_scope *scope);
void kscope_queue_add(struct kscope_queue *queue, struct kscope_child *child);

/* child.c */
int kscope_child_draft(struct kscope_scope *scope, struct kscope_draft *draft,
		       const struct kscope_desc *desc);
void kscope_draft_drop(struct kscope_scope *scope, struct kscope_draft *draft);
int kscope_child_reserve(struct kscope_scope *scope, struct kscope_draft *draft,
			 const struct kscope_desc *desc);
void kscope_child_abort(struct kscope_child *child);
void kscope_child_publish(struct kscope_child *child);
void kscope_child_start(struct kscope_child *child);
void kscope_child_run(struct kscope_child *child);
struct kscope_child *kscope_child_lookup(struct kscope_scope *scope,
					 u64 handle);
void kscope_child_end(struct kscope_child *child, int status);
void kscope_child_describe(const struct kscope_child *child,
			   struct kscope_blocker *blocker);

/* batch.c */
void kscope_batch_reserve(struct kscope_scope *scope,
			  struct kscope_batch *batch);
int kscope_batch_publish(struct kscope_scope *scope,
			 struct kscope_batch *batch);
void kscope_batch_abort(struct kscope_scope *scope, struct kscope_batch *batch);

/* cancel.c */
int kscope_scope_cancel(struct kscope_scope *scope, u8 cause,
			struct kscope_cancel_counts *counts);

/* buffer.c */
struct kscope_buf *kscope_buf_lookup(const struct kscope_scope *scope,
				     u32 handle);
int kscope_buf_pin(struct kscope_scope *scope, u64 addr, u64 len,
		   unsigned int access);
int kscope_buf_drop(struct kscope_scope *scope, u32 handle,
		    struct kscope_blocker *blockers, u32 *nr_blockers);
void kscope_buf_drop_all(struct kscope_scope *scope);
struct page *kscope_buf_page(const struct kscope_buf *buf, u64 pos, u32 *off);

/* pin.c */
int kscope_pin(struct kscope_buf *buf, u64 addr);
void kscope_unpin(struct kscope_buf *buf);

/* hash.c */
int kscope_hash_open(struct kscope_scope *scope, const char *name,
		     int (*report)(struct crypto_shash *tfm, void *arg),
		     void *arg);
struct kscope_hash *kscope_hash_lookup(const struct kscope_scope *scope,
				       u32 handle);
void kscope_hash_drop_all(struct kscope_scope *scope);

/* scope.c */
struct kscope_scope *
kscope_scope_alloc(const struct kscope_scope_params *params, bool mappable);
void kscope_scope_close(struct kscope_scope *scope);
int kscope_scope_wait(struct kscope_scope *scope, u32 min_complete,
		      u64 deadline_ns);
int kscope_scope_end(struct kscope_scope *scope,
		     struct kscope_blocker *blockers, u32 *nr_blockers);
u32 kscope_scope_blockers(struct kscope_scope *scope,
			  const struct kscope_buf *buf,
			  struct kscope_blocker *blockers, u32 max);
void kscope_scope_query(struct kscope_scope *scope, struct kscope_query *query);
void kscope_scope_notify(struct kscope_scope *scope);
void kscope_scope_drained(struct kscope_scope *scope);
int kscope_reaper_start(void);
void kscope_reaper_stop(void);

/* file.c, ioctl.c */
extern const struct file_operations kscope_scope_fops;
extern const struct file_operations kscope_device_fops;
long kscope_scope_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* ops/ */
extern struct kscope_op kscope_op_nop, kscope_op_sleep;
extern struct kscope_op kscope_op_fill, kscope_op_copy, kscope_op_compare,
	kscope_op_xor;
extern struct kscope_op kscope_op_crc32c, kscope_op_hash;
extern struct kscope_op kscope_op_read, kscope_op_write, kscope_op_fsync;
int kscope_fileio_get(struct kscope_draft *draft,
		      const struct kscope_desc *desc, struct kscope_user *user);

#endif /* KSCOPE_INTERNAL_H */

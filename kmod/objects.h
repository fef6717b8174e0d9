/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The objects of the module: limits, structs, and what protects their fields. What can be done
 * with them is in internal.h.
 *
 * A letter says what protects a field:
 *
 *   C  constant from the moment the object can be seen
 *   S  scope->lock
 *   R  written by the operation of a running child alone; read by others only after the
 *      child has ended
 *   F  only touched by the final steps of the scope, when nobody else is left
 *   T  the lock of nest.c
 *   U  the lock of user.c
 *   A  atomic, or a lock of its own
 *
 * Lock order, outermost first:
 *
 *   the mutex of user.c                       (alone; nothing is taken under it)
 *   the mutex of recount.c                    (only in builds for tests)
 *   the lock of fence.c                       spinlock; alone
 *   mm->mmap_lock                             (pin.c, file.c's mmap; alone)
 *   what the mm holds as it tells of a change (guard.c)
 *   the lock of nest.c                        spinlock, process context
 *   scope->lock                               likewise
 *     the locks of the workqueue core         queue_work()
 *     the locks of a wait queue               wake_up_var(), eventfd_signal()
 *     what the cancel callback of an op takes
 *     the lock of the table of loans
 *     what fput(), put_cred() and module_put() take
 *
 * Nothing that sleeps, faults or allocates happens under scope->lock.
 */
#ifndef KSCOPE_OBJECTS_H
#define KSCOPE_OBJECTS_H

#include <linux/cred.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/mm_types.h>
#include <linux/mmu_notifier.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "hooks.h"
#include "kscope.h"
#include "lease.h"
#include "state.h"
#include "tie.h"

#define KSCOPE_MAX_CAPACITY BIT(20)
#define KSCOPE_MAX_BUFFERS 4096U
#define KSCOPE_DEFAULT_BUFFERS 64U
#define KSCOPE_MAX_HASHES 16U
#define KSCOPE_MAX_BLOCKING 64U /* of one scope */
#define KSCOPE_MAX_USER_BLOCKING 256 /* of one user */
#define KSCOPE_FREE_FILES 16384UL /* of one user, whatever RLIMIT_NOFILE says */
#define KSCOPE_MAX_QUICK 16U
#define KSCOPE_MAX_BUF_BYTES (64ULL << 30)
#define KSCOPE_BATCH 64U /* children that are spawned in one go */
#define KSCOPE_FEW 8U /* likewise, without a bay */
#define KSCOPE_CLAIM 16384U /* bytes of work that are taken in one go */
#define KSCOPE_HELP_BYTES 262144U /* largest child that a waiter runs itself */
/* For what a caller chooses the size of: it shall not fill the log with failures. */
#define KSCOPE_GFP (GFP_KERNEL_ACCOUNT | __GFP_NOWARN)
#define KSCOPE_END_DECIDES BIT(0) /* the scope's policy looks at how it ended */
#define KSCOPE_END_REAPS \
	BIT(1) /* closed: the last one queues the scope's reaper */
#define KSCOPE_END_SIGNALS BIT(2) /* there is an eventfd to tell */
#define KSCOPE_END_MARKS \
	BIT(3) /* memory was taken from children; see guard.c */
#define KSCOPE_END_GRANTS BIT(4) /* somebody waits for leases */
#define KSCOPE_END_TIES BIT(5) /* children are tied to others, or to a time */
/* What is left to whoever drops the scope's lock */
#define KSCOPE_CHORE_CANCEL \
	BIT(0) /* its policy has decided, and nobody was told */
#define KSCOPE_CHORE_TIES BIT(1) /* children whose predecessors have ended */
#define KSCOPE_STATUS_NEVER \
	(KSCOPE_STATUS_MIN - 1) /* of a slot whose child never was */
#define KSCOPE_MAX_HITS 4U
/* Only SIGKILL ends that sleep, but it does not keep the system from being suspended. */
#define KSCOPE_CLOSE_STATE (TASK_KILLABLE | TASK_FREEZABLE)
#define KSCOPE_STEP 65536U /* bytes between two looks at the cancel flag */
#define KSCOPE_BLOCK_PAGES 512U
#define KSCOPE_BLOCK_BYTES ((u64)KSCOPE_BLOCK_PAGES << PAGE_SHIFT)
#define KSCOPE_BLOCK_RUN 1UL

/* What needs a kernel that tells of changes to address spaces */
#ifdef CONFIG_MMU_NOTIFIER
#define KSCOPE_FEATURES_OFFERED KSCOPE_FEATURES_ALL
#define KSCOPE_SCOPE_TAKEN KSCOPE_SCOPE_ALL
#else
#define KSCOPE_FEATURES_OFFERED \
	(KSCOPE_FEATURES_ALL & ~(KSCOPE_FEATURE_GUARD | KSCOPE_FEATURE_FENCE))
#define KSCOPE_SCOPE_TAKEN \
	(KSCOPE_SCOPE_ALL & ~(KSCOPE_SCOPE_SIGBUS | KSCOPE_SCOPE_FENCE))
#endif

struct crypto_shash;
struct eventfd_ctx;
struct file;
struct kscope_bay;
struct kscope_space;
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
 * @bound: A the same two for scopes that choose their CPUs, from the first of these on
 */
struct kscope_user {
	struct hlist_node node;
	kuid_t uid;
	u32 scopes;
	u32 children;
	atomic_t files;
	struct workqueue_struct *quick_wq;
	struct workqueue_struct *slow_wq;
	struct kscope_bound *bound;
};

/* Bytes of a buffer that were taken away from children: when, CLOCK_MONOTONIC */
struct kscope_hit {
	u64 start;
	u64 end;
	u64 ns;
};

/**
 * struct kscope_guard - the watch over the addresses of a buffer
 * @notifier: A
 * @scope: C whose
 * @space: C what guards of that address space share; NULL unless @scope has a fence
 * @addr: C of the first byte, in the address space of @notifier
 * @nr_hits: S
 * @hits: S what was taken away; the last one grows when there are too many
 */
struct kscope_guard {
#ifdef CONFIG_MMU_NOTIFIER
	struct mmu_interval_notifier notifier;
#endif
	struct kscope_scope *scope;
	struct kscope_space *space;
	u64 addr;
	u32 nr_hits;
	struct kscope_hit hits[KSCOPE_MAX_HITS];
};

/**
 * struct kscope_view - what makes a buffer one that a nested scope has reborrowed
 * @origin: C the ancestor's buffer; NULL for buffers that are nobody else's
 * @lender: C the ancestor
 * @borrower: C the nested scope
 * @off: C where in @origin it starts
 * @since_ns: C CLOCK_MONOTONIC
 * @node: under the lock of @lender, on origin->views
 * @lease: likewise, in origin->lent
 */
struct kscope_view {
	struct kscope_buf *origin;
	struct kscope_scope *lender;
	struct kscope_scope *borrower;
	u64 off;
	u64 since_ns;
	struct list_head node;
	struct kscope_lease lease;
};

/**
 * struct kscope_buf - a range of memory that belongs to one scope
 * @handle: C
 * @access: C KSCOPE_ACCESS_* that children may have; WRITE only if pinned so
 * @first: C offset of the range in its first block
 * @len: C bytes
 * @nr_pages: C
 * @cred: C whose user the pages are charged to; NULL for kernel memory, which is not pinned
 * @mm: C address space whose pinned_vm counts them; likewise
 * @leases: S children and callers that borrow it, be it nothing of it
 * @borrowed: S ranges of children
 * @lent: S ranges of callers, and of nested scopes
 * @views: S what nested scopes have reborrowed of it
 * @view: as that says
 * @guard: of user memory
 * @blocks: C the pages, as pages.c says
 */
struct kscope_buf {
	u32 handle;
	u32 access;
	u32 first;
	u64 len;
	unsigned long nr_pages;
	const struct cred *cred;
	struct mm_struct *mm;
	u32 leases;
	struct kscope_leases borrowed;
	struct kscope_leases lent;
	struct list_head views;
	struct kscope_view view;
	struct kscope_guard guard;
	unsigned long blocks[];
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

#define KSCOPE_HASH_BUSY 0 /* number of a bit */

/**
 * struct kscope_hash - a hash algorithm, and one running digest
 * @tfm: C
 * @nr_pieces: S pieces of running digests that were accepted; numbers them
 * @state: A KSCOPE_HASH_BUSY: the running child that has set it has what comes below
 * @next_piece: the number that the running digest can go on with, 0 for none
 * @running: state of the digest
 */
struct kscope_hash {
	struct crypto_shash *tfm;
	u64 nr_pieces;
	unsigned long state;
	u64 next_piece;
	struct shash_desc *running;
};

/**
 * struct kscope_ringbuf - the memory of a completion ring
 * @user: C whom a scope and its slots are charged to; the charge lives as long as this
 * @entries: C records, and slots of the scope
 * @ring: C header and records; programs map it read-only
 * @bytes: C of @ring, in whole pages
 * @pages: C of @ring
 * @nr_pages: C of them
 * @head: C page of the head index; programs map it writable, so trust nothing in it
 * @tail: S the tail that counts; the one in @ring is a copy for the program
 * @file: C owns this struct if there can be mappings; else the scope does
 */
struct kscope_ringbuf {
	struct kscope_user *user;
	u32 entries;
	struct kscope_ring *ring;
	size_t bytes;
	struct page **pages;
	u32 nr_pages;
	struct kscope_ring_head *head;
	u32 tail;
	struct file *file;
};

/**
 * struct kscope_child - a slot, and the child that lives in it
 * @desc: C while the slot is taken; a copy that the caller cannot change. What follows its first
 *	48 bytes means nothing once the child has its ties, and so what the op needs is there
 * @hash: for HASH
 * @piece: its number in @hash
 * @file: for file operations; a reference
 * @cred: of the spawner, likewise
 * @value: R for ops that take neither hash nor file
 * @node: S on scope->free, ->parked, ->doomed, its queue's ready list or a claim; on its batch
 *	while it is reserved
 * @handle: S of the child in it or, if free, of the last one
 * @life: S, but life.cause is read without by whoever has claimed the child
 * @nr_leases: C while the slot is taken: it borrows the first so many buffers of @desc
 * @waits: S KSCOPE_WAITS_*: what it is parked for
 * @status: R what the operation returned. Once it has ended S: 0 if it has finished
 * @op: C while the slot is taken
 * @done: R
 * @spawned_ns: CLOCK_MONOTONIC
 * @scope: C once the slot was used
 * @carry: S, then R
 *
 * Two cache lines, as a scope pays for all of its slots. Plain children have but user_data of
 * @desc, and neither @nr_leases nor @waits nor @done nor @value.
 */
struct kscope_child {
	union {
		struct kscope_desc desc;
		struct {
			u64 named[6];
			union {
				struct {
					struct kscope_hash *hash;
					u64 piece;
				};
				struct {
					struct file *file;
					const struct cred *cred;
				};
				u64 value;
			};
		};
	};
	struct list_head node;
	u64 handle;
	struct kscope_life life;
	u8 nr_leases;
	u8 waits;
	int status;
	struct kscope_op *op;
	u64 done;
	u64 spawned_ns;
	struct kscope_scope *scope;
	struct kscope_carry carry;
};

static_assert(offsetof(struct kscope_child, hash) ==
	      offsetof(struct kscope_desc, deadline_ns));
static_assert(sizeof(struct kscope_child) == 128 + sizeof(struct kscope_carry));

/**
 * struct kscope_claim - children that somebody has taken in order to run them
 * @node: S on scope->claims while there are any; an hlist is not checked at each step
 * @children: S, but the owner walks it without; they are RUNNING
 * @task: S the owner, as long as the claim is on the list
 * @user_data: of the last one that has run; names the claim to hooks
 */
struct kscope_claim {
	struct hlist_node node;
	struct list_head children;
	struct task_struct *task;
	u64 user_data;
};

/**
 * struct kscope_queue - ready children, and the lanes that drain them
 * @scope: C
 * @ready: S
 * @idle: S lanes that will not look at @ready again until they are kicked
 * @lanes: C its part of scope->lanes
 * @nr_lanes: C
 * @nr_made: S lanes from here on have never been used
 * @first_slow: C those from here on are slow ones
 * @nr_busy: S lanes that will, and helpers
 * @max_busy: C so many may
 * @starting: S lanes that were kicked and have not looked yet
 */
struct kscope_queue {
	struct kscope_scope *scope;
	struct list_head ready;
	struct list_head idle;
	struct kscope_lane *lanes;
	u32 nr_lanes;
	u32 nr_made;
	u32 first_slow;
	u32 nr_busy;
	u32 max_busy;
	struct list_head starting;
};

struct kscope_lane {
	struct work_struct work; /* A */
	int cpu; /* C where it is queued; WORK_CPU_UNBOUND for anywhere */
	struct list_head node; /* S on queue->idle or ->starting, or empty */
	struct kscope_queue *queue; /* C */
	struct workqueue_struct *wq; /* C */
	bool slow; /* C its class: takes children that may block */
	struct kscope_claim claim; /* what it runs */
};

/**
 * struct kscope_deadline - when a scope is cancelled at the latest
 * @ns: C CLOCK_MONOTONIC, or 0 for never
 * @timer: A
 * @work: A cancels the scope, queued by @timer
 */
struct kscope_deadline {
	u64 ns;
	struct hrtimer timer;
	struct work_struct work;
};

/**
 * struct kscope_grace - children that were told to end, and have not; see grace.c
 * @work: A looks at them
 * @pause: S jiffies between two looks; 0 if there never was one
 * @closed_ns: S when the scope was closed, CLOCK_MONOTONIC; 0 before
 * @stuck: S how many were stuck at the last look
 * @looks: S @work is queued, or looks
 * @reported: S the log has named one
 * @bared: S shields do not count any more
 */
struct kscope_grace {
	struct delayed_work work;
	unsigned long pause;
	u64 closed_ns;
	u32 stuck;
	bool looks;
	bool reported;
	bool bared;
};

/**
 * struct kscope_nest - the place of a scope in a tree of scopes; see nest.c
 * @refs: A one for the owner, for each scope in @kids, and for whoever walks by
 * @parent: C that it is nested in, or NULL; a reference, as long as the scope lives
 * @depth: C how many are above it
 * @kids: T scopes that are nested in it, until they are freed
 * @live: T of these, those that have not ended
 * @sibling: T on the parent's @kids
 * @live_node: T on the parent's @live
 * @reopened: S when it was opened again last; this and what follows by kscope_nest_time()
 * @cancelled: S when it was cancelled last
 * @owes_since: S when its policy decided
 * @born: C when it was nested
 * @nests: S something was nested in it once
 * @owes: S its failure is still to be told to the parent
 * @ended: S released, and its buffers are gone
 * @gone_failed: S failed children of nested scopes that are not in @kids any more
 * @gone_cancelled: S likewise
 * @gone_status: S the first failure of one of these, or 0
 * @gone_user_data: S of that child
 * @leaf: F the scope that the reaper waits for; a reference
 * @entry: F with which it waits there
 */
struct kscope_nest {
	refcount_t refs;
	u32 depth;
	struct kscope_scope *parent;
	struct list_head kids;
	struct list_head live;
	struct list_head sibling;
	struct list_head live_node;
	u64 reopened;
	u64 cancelled;
	u64 owes_since;
	u64 born;
	bool nests;
	bool owes;
	bool ended;
	int gone_status;
	u64 gone_user_data;
	u64 gone_failed;
	u64 gone_cancelled;
	struct kscope_scope *leaf;
	struct wait_queue_entry entry;
};

/**
 * struct kscope_scope - owner of buffers and children
 * @kind: C KSCOPE_KIND_*
 * @policy: C KSCOPE_POLICY_*
 * @flags: C KSCOPE_SCOPE_*
 * @claim_work: C bytes of work that are taken in one go; 0 for one child after the other
 * @max_running: C children that may run at a time; 0 for no limit
 * @cpus: C where they are run; NULL for anywhere
 * @lock: A
 * @tally: S
 * @at_end: S what the end of a child may lead to: bits KSCOPE_END_*
 * @slots: C array of tally.entries children
 * @places: C from the first buffer on; one for each slot
 * @ties: C from the first child on that has some
 * @nr_touched: S slots from here on have never been used
 * @free: S slots that have been used and are free
 * @parked: S children that wait for leases, or for others
 * @doomed: S children of a cancelled scope that were queued or parked
 * @claims: S of everybody who runs children
 * @quick: C children whose op does not block
 * @slow: C the others; all, if they begin in one order
 * @helped: C the one where waiters find children to run: @slow if that has all
 * @lanes: C of both queues
 * @bufs: S table of @max_buffers entries
 * @max_buffers: C
 * @nr_buffers: S
 * @pinned_pages: S
 * @loans: A leases of callers, by handle
 * @nr_loans: S how many; not all of them may be in the table yet
 * @nr_borrows: S of these, those that are held
 * @last_loan: S handle of the last one that came
 * @waiting: S those who wait for leases, in the order in which they came
 * @nr_waiting: S
 * @hashes: S
 * @nr_hashes: S
 * @bay: belongs to whoever has set @bay_busy
 * @bay_busy: A
 * @ring: C
 * @wait: A woken when a child has ended or the state has changed
 * @event: S told of completions
 * @first: S the first failure
 * @decider: S the child whose end made the policy cancel the scope
 * @grace_ns: C how long a fence waits, and how long children may take to end
 * @violations: S times that memory was taken from children
 * @seen: S of these, those that a QUERY has told
 * @chores: S, but who has dropped it looks without; KSCOPE_CHORE_*
 * @deadline: as that says
 * @grace: as that says
 * @memcg: C of the creator; what file operations allocate is charged to it
 * @nest: as that says
 * @user_data: C of its creator, to name it
 * @made_ns: C CLOCK_MONOTONIC
 * @reap_work: A
 * @watch: the lock of recount.c
 */
struct kscope_scope {
	u32 kind;
	u32 policy;
	u32 flags;
	u32 claim_work;
	u32 max_running;
	struct cpumask *cpus;
	spinlock_t lock; /* as the letter S says, above */
	struct kscope_tally tally;
	u32 at_end;
	struct kscope_child *slots;
	struct kscope_places *places;
	struct kscope_ties *ties;
	u32 nr_touched;
	struct list_head free;
	struct list_head parked;
	struct list_head doomed;
	struct hlist_head claims;
	struct kscope_queue quick;
	struct kscope_queue slow;
	struct kscope_queue *helped;
	struct kscope_lane *lanes;
	struct kscope_buf_slot *bufs;
	u32 max_buffers;
	u32 nr_buffers;
	u64 pinned_pages;
	struct xarray loans;
	u32 nr_loans;
	u32 nr_borrows;
	u32 nr_waiting;
	u64 last_loan;
	struct list_head waiting;
	struct kscope_hash *hashes[KSCOPE_MAX_HASHES];
	u32 nr_hashes;
	struct kscope_bay *bay;
	unsigned long bay_busy;
	struct kscope_ringbuf *ring;
	wait_queue_head_t wait;
	struct eventfd_ctx *event;
	struct {
		int status;
		u64 child;
		u64 user_data;
	} first;
	struct {
		u64 child;
		u64 user_data;
	} decider;
	u64 grace_ns;
	u32 violations;
	u32 seen;
	u8 chores;
	struct kscope_deadline deadline;
	struct kscope_grace grace;
	struct mem_cgroup *memcg;
	struct kscope_nest nest;
	u64 user_data;
	u64 made_ns;
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
 * struct kscope_bound - workqueues whose workers stay on the CPU that they are asked for
 * @quick_wq: C for children that do not block
 * @slow_wq: C for those that may
 */
struct kscope_bound {
	struct workqueue_struct *quick_wq;
	struct workqueue_struct *slow_wq;
};

#endif /* KSCOPE_OBJECTS_H */

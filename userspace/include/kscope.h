/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libkscope: scoped asynchronous work on pinned memory.
 *
 * A scope borrows memory of the program (kscope_buf_pin) and runs children on it in
 * the kernel. The memory comes back when nothing can touch it any more: after
 * kscope_release(), kscope_scope_end() or kscope_scope_close().
 *
 * Conventions
 *   Return values  0 or a positive number on success, -errno on failure. Each errno
 *                  means what <linux/kscope.h> says, everywhere. errno itself is not
 *                  part of the interface, and its value after a call is undefined.
 *   Units          lengths and offsets are bytes; an offset counts from the start of
 *                  its buffer. Times are absolute nanoseconds of CLOCK_MONOTONIC
 *                  (kscope_now_ns); a deadline of 0 means none.
 *   Handles        of children are __u64; of buffers and hashes positive ints. A handle
 *                  whose object is gone gives -ENOENT, never another object.
 *   Signals        a wait that a signal interrupts returns -EINTR and has changed
 *                  nothing: repeat it if wanted, KSCOPE_RETRY() does. Nothing is
 *                  repeated behind the caller's back.
 *
 * Threads
 *   On one scope any thread may, at any time, spawn, wait, pin, unpin, open hashes,
 *   cancel, join, release and query. Reading completions (kscope_ready, kscope_peek,
 *   kscope_seen, kscope_next) is for one thread at a time. kscope_scope_create,
 *   kscope_scope_close and kscope_scope_end must not overlap with another call on the
 *   same struct kscope_scope. A batch belongs to one thread at a time. All else, the
 *   calls on the device and the names, is safe from any thread.
 */
#ifndef KSCOPE_H
#define KSCOPE_H

#include <errno.h>
#include <stddef.h>
#include <linux/kscope.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KSCOPE_VERSION "0.1.0"

/* Repeat a call until no signal interrupts it. Times are absolute, so that is exact. */
#define KSCOPE_RETRY(call)                       \
	__extension__({                          \
		int kscope_ret_;                 \
		do {                             \
			kscope_ret_ = (call);    \
		} while (kscope_ret_ == -EINTR); \
		kscope_ret_;                     \
	})

/* The clock of all times: now, in nanoseconds. */
__u64 kscope_now_ns(void);

/* ---- The device ---- */

/*
 * Open /dev/kscope. Returns an fd (close-on-exec); -ENOENT if the module is not loaded,
 * -EACCES if the caller may not use it. Scopes live on without the fd.
 */
int kscope_open(void);
int kscope_close(int dev);

/* Version, features and limits of the module. */
int kscope_info(int dev, struct kscope_info *info);

/* The operation at index 0 ... nr_ops - 1, or by its name. -ENOENT: there is none. */
int kscope_op_at(int dev, unsigned int index, struct kscope_op_info *op);
int kscope_op_lookup(int dev, const char *name, struct kscope_op_info *op);

/* ---- Scopes ---- */

/*
 * struct kscope_scope - a scope of this process
 * @fd: for poll() (POLLIN: unread completions) and for ioctls of one's own; do not
 *	close it
 * @entries: length of the completion ring: children that can be outstanding or unread
 *
 * The rest is the library's. Zero is not a valid value: start from KSCOPE_SCOPE_INIT.
 */
struct kscope_scope {
	int fd;
	unsigned int entries;
	const struct kscope_ring *ring_;
	struct kscope_ring_head *head_;
	size_t ring_bytes_;
};

#ifdef __cplusplus
#define KSCOPE_SCOPE_INIT            \
	{                            \
		-1, 0, NULL, NULL, 0 \
	}
#else
#define KSCOPE_SCOPE_INIT \
	{                 \
		.fd = -1  \
	}
#endif

/*
 * struct kscope_scope_params - what scope to create
 * @kind: KSCOPE_KIND_PARALLEL (0), KSCOPE_KIND_ORDERED or KSCOPE_KIND_INLINE
 * @policy: KSCOPE_POLICY_COLLECT (0); _FAIL_FAST: the first failure cancels the rest; or
 *	_FIRST_SUCCESS: the first success does. A join waits for all in any case
 * @capacity: children outstanding or unread at a time; 0 for 64
 * @max_buffers: buffers pinned at a time; 0 for 64
 * @flags: KSCOPE_SCOPE_*
 * @deadline_ns: when the scope is cancelled, if it still lives; 0 for never
 * @grace_ns: how long KSCOPE_SCOPE_FENCE waits; 0 for KSCOPE_GRACE_DEFAULT
 * @user_data: what a blocker says if this one is nested and stands in the way
 * @max_running: of a parallel scope: children that run at a time, and begin in the order of
 *	spawning; 0 for no limit
 * @cpus: a cpu_set_t, or what CPU_ALLOC() has made: children run on these CPUs only; NULL for
 *	anywhere
 * @cpus_size: bytes at @cpus
 */
struct kscope_scope_params {
	unsigned int kind;
	unsigned int policy;
	unsigned int capacity;
	unsigned int max_buffers;
	unsigned int flags;
	__u64 deadline_ns;
	__u64 grace_ns;
	__u64 user_data;
	unsigned int max_running;
	const void *cpus;
	size_t cpus_size;
};

/*
 * Create a scope and map its ring. @params may be NULL: parallel, 64 children.
 * Returns 0; on failure the scope is as KSCOPE_SCOPE_INIT leaves it. -EDQUOT: too many
 * scopes or children of this user.
 */
int kscope_scope_create(struct kscope_scope *scope, int dev,
			const struct kscope_scope_params *params);

/*
 * The same, nested in @parent. A cancel of the parent cancels it (KSCOPE_CAUSE_PARENT), a join of
 * the parent waits for its children too, and the parent is not released before it. -ELOOP:
 * more than KSCOPE_MAX_NESTING deep. -ECANCELED, -ESHUTDOWN: the parent takes none any more.
 * Declare it after the parent, if both are KSCOPE_SCOPED().
 */
int kscope_scope_nest(struct kscope_scope *scope,
		      const struct kscope_scope *parent,
		      const struct kscope_scope_params *params);

/*
 * Close this process's handle of the scope. If it is the last one (no fork, dup or
 * passed fd), the kernel cancels all children, waits until each has acknowledged, and
 * unpins: then the memory is the caller's again. Unread completions are gone. A scope
 * that is not open is left alone.
 */
int kscope_scope_close(struct kscope_scope *scope);

/*
 * Cancel, wait (through signals), release, then close: as kscope_scope_close(), but the
 * memory is the caller's again even if another process holds the fd as well.
 */
int kscope_scope_end(struct kscope_scope *scope);

/* cleanup function of KSCOPE_SCOPED(); not to be called otherwise */
void kscope_scope_cleanup(struct kscope_scope *scope);

/*
 * Declare a scope that is ended whenever the block is left, by whatever way:
 *
 *	char buf[SIZE];
 *	KSCOPE_SCOPED(scope);
 *
 *	ret = kscope_scope_create(&scope, dev, NULL);
 *
 * Declare it after the memory that it will borrow: cleanups run in reverse order.
 * longjmp() and exit() skip cleanups; the kernel does not need them to be safe.
 */
#define KSCOPE_SCOPED(name)                                      \
	struct kscope_scope name                                 \
		__attribute__((cleanup(kscope_scope_cleanup))) = \
			KSCOPE_SCOPE_INIT

/*
 * Pin @len bytes at @addr and lend them to the scope; @flags is KSCOPE_PIN_* or 0.
 * Returns the buffer's handle. Every page touched is charged to RLIMIT_MEMLOCK:
 * -ENOMEM if that is exceeded. -EFAULT: not mapped, or not writable without
 * KSCOPE_PIN_READ_ONLY. -EOPNOTSUPP: memory of a kind that cannot be lent.
 */
int kscope_buf_pin(const struct kscope_scope *scope, const void *addr,
		   size_t len, unsigned int flags);

/*
 * Lend @len bytes at @off of a buffer of @lender, the parent of @scope or one above it, to the
 * children of @scope; @flags is KSCOPE_REBORROW_* or 0. Returns a handle, in which the range
 * starts at 0. Until it is given up by kscope_buf_unpin(), or by the end of @scope, @lender keeps
 * the buffer, and the range excludes its children as a lease does: exclusively, or shared with
 * KSCOPE_REBORROW_READ_ONLY. -EBUSY: they, or others, exclude it. -EINVAL: @lender is not above
 * @scope.
 */
int kscope_buf_reborrow(const struct kscope_scope *scope,
			const struct kscope_scope *lender, int buf, __u64 off,
			__u64 len, unsigned int flags);

/*
 * Take the buffer back. -EBUSY while a child, a caller or a nested scope borrows it: then up to
 * *@nr of them are told in @blockers, and *@nr is set to their number. Both may be NULL. *@nr is
 * at most KSCOPE_MAX_BLOCKERS; it is 0 after any other outcome.
 */
int kscope_buf_unpin(const struct kscope_scope *scope, int buf,
		     struct kscope_blocker *blockers, unsigned int *nr);

/*
 * Say that the caller itself is going to read (KSCOPE_ACCESS_READ) or write (with
 * KSCOPE_ACCESS_WRITE) @len bytes at @off of the buffer, so that it is checked as children are:
 * -EBUSY while one works on these bytes and one of the two writes, with blockers as for
 * kscope_buf_unpin(). Then, until kscope_return() of the *@lease or the end of the scope, children
 * that would are refused.
 */
int kscope_borrow(const struct kscope_scope *scope, int buf, __u64 off,
		  __u64 len, unsigned int access, __u64 *lease,
		  struct kscope_blocker *blockers, unsigned int *nr);

/*
 * The same, but wait until nobody is in the way, first come first served. -ETIMEDOUT: not before
 * @deadline_ns, if that is not 0. -EINTR. Who waits while it has other leases may wait for itself.
 */
int kscope_borrow_wait(const struct kscope_scope *scope, int buf, __u64 off,
		       __u64 len, unsigned int access, __u64 *lease,
		       __u64 deadline_ns);
int kscope_return(const struct kscope_scope *scope, __u64 lease);

/*
 * Prepare a hash of the kernel's crypto API ("sha256"). Returns its handle;
 * *@digest_size (may be NULL) is set to the bytes of its digest. -ENOENT: no such
 * algorithm. It lives as long as the scope.
 */
int kscope_hash_open(const struct kscope_scope *scope, const char *name,
		     unsigned int *digest_size);

/* ---- Children ---- */

/*
 * The prep functions fill in a descriptor; fields that they do not mention become 0.
 * Set desc->user_data afterwards. Ranges must lie in their buffers when the child is
 * spawned; a length of 0 is allowed. The buffers written to must not be READ_ONLY.
 */
void kscope_prep_nop(struct kscope_desc *desc);
void kscope_prep_sleep(struct kscope_desc *desc, __u64 until_ns);

/* @pattern: eight bytes, least significant first, repeated over the range */
void kscope_prep_fill(struct kscope_desc *desc, int buf, __u64 off, __u64 len,
		      __u64 pattern);

/* to = from; differ(a, b); to ^= from. Compare's answer is completion.value: 0 or 1. */
void kscope_prep_copy(struct kscope_desc *desc, int from, __u64 from_off,
		      int to, __u64 to_off, __u64 len);
void kscope_prep_compare(struct kscope_desc *desc, int a, __u64 a_off, int b,
			 __u64 b_off, __u64 len);
void kscope_prep_xor(struct kscope_desc *desc, int from, __u64 from_off, int to,
		     __u64 to_off, __u64 len);

/* CRC-32C into completion.value; @seed: the value of the piece before, or 0 */
void kscope_prep_crc32c(struct kscope_desc *desc, int buf, __u64 off, __u64 len,
			__u32 seed);

/*
 * Add a range to the digest that @hash holds; @flags is KSCOPE_HASH_*. With
 * KSCOPE_HASH_LAST the digest goes to @out at @out_off, else both are ignored. Pieces that are
 * not FIRST | LAST have to run one after the other, in the order of spawning.
 */
void kscope_prep_hash(struct kscope_desc *desc, int hash, unsigned int flags,
		      int buf, __u64 off, __u64 len, int out, __u64 out_off);

/*
 * Regular files and block devices. The child holds the file by itself: @fd may be
 * closed once it is spawned. completion.done is the number of bytes moved; a READ
 * may be short at the end of the file. A WRITE says where it writes, so a file in
 * O_APPEND mode is refused for it (-EOPNOTSUPP).
 */
void kscope_prep_read(struct kscope_desc *desc, int fd, __u64 file_off, int buf,
		      __u64 off, __u64 len);
void kscope_prep_write(struct kscope_desc *desc, int fd, __u64 file_off,
		       int buf, __u64 off, __u64 len);
void kscope_prep_fsync(struct kscope_desc *desc, int fd, unsigned int flags);

/*
 * Spawn @nr children. Returns how many were accepted: fewer than @nr if one was
 * refused, and that one's -errno if it was the first. @handles, of @nr elements, may be
 * NULL. -EAGAIN: the ring is full; read completions, then try again.
 */
int kscope_spawn(const struct kscope_scope *scope,
		 const struct kscope_desc *descs, unsigned int nr,
		 __u64 *handles);

/*
 * The same. A child is refused with -EBUSY while another one works on some of the same bytes and
 * one of the two writes them, unless the scope is ordered. If that is the first, up to
 * *@nr_blockers of those in its way are told in @blockers, and *@nr_blockers is set as by
 * kscope_buf_unpin(). With the flag KSCOPE_CHILD_WAIT in its descriptor it is accepted, and begins
 * when they have gone; in parallel scopes only.
 */
int kscope_spawn_blockers(const struct kscope_scope *scope,
			  const struct kscope_desc *descs, unsigned int nr,
			  __u64 *handles, struct kscope_blocker *blockers,
			  unsigned int *nr_blockers);

/*
 * The same for at most KSCOPE_MAX_LINKED children that come after each other, which are accepted
 * together: &kscope_desc.after of one may say how many descriptors before it the one is that has
 * to finish first. A chain reads, works on and writes what is in one range, in parallel with other
 * chains:
 *
 *	kscope_prep_read(&descs[0], in, pos, buf, off, len);
 *	kscope_prep_hash(&descs[1], hash, KSCOPE_HASH_ALL, buf, off, len, out, 0);
 *	descs[1].after = 1;
 *	descs[1].flags = KSCOPE_CHILD_WAIT;
 *	ret = kscope_spawn_linked(&scope, descs, 2, NULL);
 */
int kscope_spawn_linked(const struct kscope_scope *scope,
			const struct kscope_desc *descs, unsigned int nr,
			__u64 *handles);

/*
 * kscope_spawn(), and then wait until @min_complete completions are unread or nothing is
 * outstanding. A signal or the deadline ends the wait, not the children; the number
 * accepted is returned all the same.
 *
 * Before it sleeps, a call that waits runs small children of the scope itself, if they do not
 * block; not with KSCOPE_SCOPE_NO_HELP in the scope's params.
 */
int kscope_spawn_wait(const struct kscope_scope *scope,
		      const struct kscope_desc *descs, unsigned int nr,
		      __u64 *handles, unsigned int min_complete,
		      __u64 deadline_ns);

/*
 * struct kscope_batch - descriptors in the caller's memory, filled one by one
 * @descs: the array
 * @cap: its length
 * @nr: how many are in use
 */
struct kscope_batch {
	struct kscope_desc *descs;
	unsigned int cap;
	unsigned int nr;
};

/* Declare a batch for up to @cap children, on the stack. */
#define KSCOPE_BATCH(name, cap)                                        \
	struct kscope_desc name##_descs_[(cap)];                       \
	struct kscope_batch name = { name##_descs_,                    \
				     sizeof(name##_descs_) /           \
					     sizeof(name##_descs_[0]), \
				     0 }

/* Next free descriptor, zeroed (a NOP), or NULL if the batch is full. */
struct kscope_desc *kscope_batch_get(struct kscope_batch *batch);

/*
 * kscope_spawn() or kscope_spawn_wait() of the batch. The accepted descriptors leave
 * it and the others move up: repeat until batch->nr is 0. If one is refused with
 * -errno, that is batch->descs[0]: drop it with kscope_batch_drop(), or start over
 * with batch->nr = 0.
 */
int kscope_batch_spawn(const struct kscope_scope *scope,
		       struct kscope_batch *batch, __u64 *handles);
int kscope_batch_spawn_wait(const struct kscope_scope *scope,
			    struct kscope_batch *batch, __u64 *handles,
			    unsigned int min_complete, __u64 deadline_ns);

/* Take the first @nr descriptors out of the batch. */
void kscope_batch_drop(struct kscope_batch *batch, unsigned int nr);

/* ---- Completions: one reader at a time ---- */

/*
 * The three functions that every completion meets are inline, and in the library as well,
 * for other languages. The kernel writes a record and then releases tail; loading tail with
 * acquire semantics makes the records before it readable. The program reads records and
 * then releases head; the kernel acquires head before it reuses their places. Only the
 * reader writes head, so it may load it plainly.
 */

#ifndef KSCOPE_EXTERN
#define KSCOPE_EXTERN /* the library says extern */
#endif

/* How many completions are unread. Makes no system call. */
KSCOPE_EXTERN inline unsigned int kscope_ready(const struct kscope_scope *scope)
{
	return __atomic_load_n(&scope->ring_->tail, __ATOMIC_ACQUIRE) -
	       __atomic_load_n(&scope->head_->head, __ATOMIC_RELAXED);
}

/*
 * Wait until @nr completions are unread, or nothing is outstanding. Returns how many
 * are unread: fewer than @nr means that no more will come by themselves. -ETIMEDOUT,
 * -EINTR. No system call if @nr are there. Any thread may wait; what it is told is
 * only firm for the one that reads.
 */
int kscope_wait(const struct kscope_scope *scope, unsigned int nr,
		__u64 deadline_ns);

/*
 * The @index-th unread completion, in place, or NULL; valid until kscope_seen(). Then
 * give back the first @nr, at most kscope_ready() of them, to make room for others.
 */
KSCOPE_EXTERN inline const struct kscope_completion *
kscope_peek(const struct kscope_scope *scope, unsigned int index)
{
	if (index >= kscope_ready(scope))
		return NULL;
	index += __atomic_load_n(&scope->head_->head, __ATOMIC_RELAXED);
	return &scope->ring_->records[index & (scope->entries - 1)];
}

KSCOPE_EXTERN inline void kscope_seen(struct kscope_scope *scope,
				      unsigned int nr)
{
	nr += __atomic_load_n(&scope->head_->head, __ATOMIC_RELAXED);
	__atomic_store_n(&scope->head_->head, nr, __ATOMIC_RELEASE);
}

/* Copy the oldest unread completion and give it back: 1, or 0 if there is none. */
int kscope_next(struct kscope_scope *scope,
		struct kscope_completion *completion);

/* ---- Control ---- */

/*
 * Ask for an early end of one child, of all with a user_data, of all that borrow a buffer, or
 * of all; the last one also stops new spawns. @counts may be NULL. Being asked is not yet
 * having ended: wait for the completions, or join. -ENOENT: none found; -EALREADY: asked before.
 */
int kscope_cancel_child(const struct kscope_scope *scope, __u64 child,
			struct kscope_cancel *counts);
int kscope_cancel_user_data(const struct kscope_scope *scope, __u64 user_data,
			    struct kscope_cancel *counts);
int kscope_cancel_buf(const struct kscope_scope *scope, int buf,
		      struct kscope_cancel *counts);
int kscope_cancel_scope(const struct kscope_scope *scope,
			struct kscope_cancel *counts);

/*
 * Wait until nothing is outstanding. @result may be NULL; its first_error tells whether
 * a child failed, its cause why the scope was cancelled, and its decider_child whose end that
 * was, if the policy did it. -ETIMEDOUT, -EINTR.
 */
int kscope_join(const struct kscope_scope *scope, __u64 deadline_ns,
		struct kscope_join *result);

/*
 * Wait until nothing is outstanding, and let a scope that was cancelled take children again,
 * with its buffers and hashes. To end the children first, cancel the scope. -ECANCELED: it was
 * cancelled for good, by its deadline. -ETIMEDOUT, -EINTR.
 */
int kscope_quiesce(const struct kscope_scope *scope, __u64 deadline_ns);

/*
 * End the scope: unpin all. -EBUSY while children are outstanding, with blockers as
 * kscope_buf_unpin() tells them. Unread completions stay readable until it is closed.
 */
int kscope_release(const struct kscope_scope *scope,
		   struct kscope_blocker *blockers, unsigned int *nr);

/*
 * Let an eventfd count up whenever children have ended; -1: none any more. It may be closed
 * afterwards. A loop that can wait for any fd does not need it: scope->fd polls as readable.
 */
int kscope_eventfd(const struct kscope_scope *scope, int fd);

/* Counts and states. */
int kscope_query(const struct kscope_scope *scope, struct kscope_query *query);

/* ---- Combinators ---- */

/*
 * Each of them runs children to their end: when it returns, none of its own is left, and all of
 * their completions have been read. Meanwhile the scope is its own. So nothing may be outstanding
 * or unread there before (-EBUSY), and no other thread may use the scope, but to cancel it.
 *
 * A signal does not end the call. A handler may call kscope_cancel_scope(): then the call fails, as
 * the children do, with -ECANCELED.
 *
 * A child that others of the same call keep from its leases is spawned when one of them has
 * ended. If one is refused for any other reason, those that run are cancelled, waited for, and
 * told to callbacks like all others, unless a stage of a pipeline has a callback for that. If a
 * callback ends the call, they are cancelled and waited for, and no callback is called any more.
 * -ENOMEM.
 *
 * A callback must not use the scope's completions. What it finds as user_data in a completion is
 * what the descriptor had.
 */

/*
 * A callback for the completion of child @i, from 0 on. 0: go on; anything else ends the call,
 * which returns it.
 */
typedef int kscope_done_fn(void *arg, __u64 i,
			   const struct kscope_completion *done);

/*
 * Run them all, as many at a time as the scope has room for. @done, of @nr elements or NULL, gets
 * their completions in the order of @descs; those of children that were never accepted say
 * KSCOPE_NEVER_STARTED. Returns 0 if all have succeeded, else the status of the first that failed,
 * or why one was refused.
 */
int kscope_run(struct kscope_scope *scope, const struct kscope_desc *descs,
	       unsigned int nr, struct kscope_completion *done);

/*
 * Run them, as many at a time as the scope has room for, until one succeeds. The others are
 * cancelled. Returns its index, and *@done (may be NULL) is set to its completion; if all fail, the
 * status of the first that did. -EINVAL: @nr is 0.
 */
int kscope_race(struct kscope_scope *scope, const struct kscope_desc *descs,
		unsigned int nr, struct kscope_completion *done);

/*
 * Run them, at most @bound at a time (0: as many as there is room for), and call @done for
 * each as it ends. Without @done the first failure ends the call.
 */
int kscope_for_each(struct kscope_scope *scope, const struct kscope_desc *descs,
		    unsigned int nr, unsigned int bound, kscope_done_fn *done,
		    void *arg);

#define KSCOPE_MAP_IN_ORDER (1U << 0)

/*
 * struct kscope_map - children that are made one by one
 * @next: fill in child @i, whose descriptor is a NOP. 1: go on; 0: there is none, and no more
 *	will come; -errno: end the call
 * @done: as for kscope_for_each()
 * @arg: for both
 * @bound: children at a time, those included that have ended and wait for their turn in @done; 0
 *	for as many as there is room for
 * @flags: KSCOPE_MAP_IN_ORDER: call @done in the order of @next; if the call ends early, not for
 *	those whose turn has not come
 */
struct kscope_map {
	int (*next)(void *arg, __u64 i, struct kscope_desc *desc);
	kscope_done_fn *done;
	void *arg;
	unsigned int bound;
	unsigned int flags;
};

int kscope_map(struct kscope_scope *scope, const struct kscope_map *map);

/*
 * struct kscope_stage - what is done with each item of a pipeline
 * @fill: fill in the child of @item, whose descriptor is a NOP; no other item has the number @slot
 *	meanwhile. 1: run it; 0: nothing is to be done here, and in the first stage that there is no
 *	such item, and no more will come; -errno: end the call
 * @done: it has ended. 0: the item goes on to the next stage; 1: call @fill again; -errno: end the
 *	call. Without @done a failure ends it
 * @refused: it was not accepted, for a reason that is its own; returns as @done does. Without
 *	@refused that ends the call, as it does if the scope takes no children any more
 * @in_order: items pass one at a time, in their order; others wait in front
 */
struct kscope_stage {
	int (*fill)(void *arg, __u64 item, unsigned int slot,
		    struct kscope_desc *desc);
	int (*done)(void *arg, __u64 item, unsigned int slot,
		    const struct kscope_completion *done);
	int (*refused)(void *arg, __u64 item, unsigned int slot, int error);
	int in_order;
};

/*
 * struct kscope_pipeline - stages that items pass one after the other
 * @stages: an array
 * @nr_stages: its length
 * @slots: items at a time, each with a number below that; 0 for as many as the scope has room for
 * @arg: for the callbacks
 */
struct kscope_pipeline {
	const struct kscope_stage *stages;
	unsigned int nr_stages;
	unsigned int slots;
	void *arg;
};

/*
 * Let items pass the stages, each with one child at a time, until the first stage has no more.
 * *@nr_through (may be NULL) is set to how many have passed all of them.
 */
int kscope_pipeline(struct kscope_scope *scope,
		    const struct kscope_pipeline *pipeline, __u64 *nr_through);

/* ---- Names: constant strings, "unknown" for numbers without one ---- */

const char *kscope_op_name(unsigned int op);
const char *kscope_outcome_str(unsigned int outcome);
const char *kscope_cause_str(unsigned int cause);
const char *kscope_state_str(unsigned int state);

#ifdef __cplusplus
}
#endif

#endif /* KSCOPE_H */

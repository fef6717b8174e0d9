/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * kscope: scoped asynchronous work on pinned memory.
 *
 * A scope owns pinned user buffers. Children of the scope work on those buffers
 * on kernel workqueues. The scope and its buffers are not released until every
 * child has completed or has acknowledged cancellation, whatever the caller
 * does: forget, crash, be killed, exec, fork, or pass the fd away.
 */
#ifndef _UAPI_LINUX_KSCOPE_H
#define _UAPI_LINUX_KSCOPE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: Rules of the interface
 *
 * Every argument struct starts with its size. A longer struct whose tail is zero
 * is accepted; a shorter one comes from an older caller and means zero for what it
 * lacks, but the fields up to the first published layout must be there. Unknown
 * flags and reserved fields that are not zero are refused. There are no
 * pointers, holes or machine-sized types: addresses travel in __u64, and the layout
 * is the same for 32-bit callers.
 *
 * Times are absolute nanoseconds of CLOCK_MONOTONIC; a deadline of 0 means none.
 * Every wait can be interrupted by a signal (-EINTR, or restarted by SA_RESTART).
 *
 * What is checked comes in this order: size, flags and reserved fields, values,
 * overflow, handles, state. A call that fails has changed nothing.
 *
 * DOC: Errors
 *
 * Each errno has one meaning everywhere, for ioctls and for the status of a
 * completion alike; file operations also hand on what the file system said.
 *
 * ========== =============================================================
 * E2BIG      the struct is longer than this kernel knows, and its tail is not zero
 * EACCES     a child would write to a buffer that was pinned for reading only,
 *            or the ring's records were mapped for writing
 * EAGAIN     no free child slot, or the completion ring could overflow: reap
 *            completions, then spawn again; or too many wait for leases, or are to come
 *            after all others
 * EALREADY   the child was told to cancel before
 * EBADF      the fd is not open, or, for a file operation, not for that access
 * EBADMSG    a piece of the running digest is missing: an earlier one failed, was
 *            cancelled, never came, or has not ended
 * EBUSY      somebody is in the way: children or nested scopes on the scope (RELEASE),
 *            leases on the buffer (BUF_UNPIN) or on the same bytes (SPAWN, BORROW,
 *            BUF_REBORROW); the call can name them
 * ECANCELED  the scope is cancelled and takes no more children (spawn), buffers and
 *            nested scopes, or the child ended because of a cancellation (status)
 * EDQUOT     the user's share of scopes, of child slots, or of children with a file
 *            (RLIMIT_NOFILE or 16,384, whichever is more) is used up
 * EFAULT     an address cannot be read, written or pinned
 * EFBIG      a WRITE would end beyond RLIMIT_FSIZE
 * EINTR      a signal came while waiting
 * EINVAL     a size, flag, reserved field or value that is not allowed
 * ELOOP      scopes would be nested deeper than KSCOPE_MAX_NESTING
 * ENOENT     no such child, buffer, hash, op or algorithm (any more)
 * ENOMEM     kernel memory, or RLIMIT_MEMLOCK, does not suffice
 * ENOSPC     no free entry for a buffer, a hash or a caller's lease in this scope
 * ENOTTY     no such command on this kind of fd
 * EOPNOTSUPP a kind of memory, file or algorithm that kscope does not work on
 * EOVERFLOW  start plus length passes the end of the number's range
 * ERANGE     the range ends beyond its buffer
 * ESHUTDOWN  the scope has been released
 * ETIMEDOUT  the deadline passed first
 * ========== =============================================================
 */

/* clang-format off */

#define KSCOPE_ABI_VERSION	1

#define KSCOPE_IOC_MAGIC	0xE8

/* On /dev/kscope */
#define KSCOPE_IOC_INFO		_IO(KSCOPE_IOC_MAGIC, 0x00)
#define KSCOPE_IOC_OP_INFO	_IO(KSCOPE_IOC_MAGIC, 0x01)
#define KSCOPE_IOC_SCOPE_CREATE	_IO(KSCOPE_IOC_MAGIC, 0x02)	/* on a scope's: nested */

/*
 * On the fd of a scope. When its last fd is closed by a living process, close() cancels
 * all children, waits for their acknowledgments, and unpins, before it returns. If another
 * thread is inside a call on that fd at that moment, the end of that call does so instead.
 */
#define KSCOPE_IOC_BUF_PIN	_IO(KSCOPE_IOC_MAGIC, 0x10)
#define KSCOPE_IOC_BUF_UNPIN	_IO(KSCOPE_IOC_MAGIC, 0x11)
#define KSCOPE_IOC_HASH_OPEN	_IO(KSCOPE_IOC_MAGIC, 0x12)
#define KSCOPE_IOC_SPAWN	_IO(KSCOPE_IOC_MAGIC, 0x13)
#define KSCOPE_IOC_CANCEL	_IO(KSCOPE_IOC_MAGIC, 0x14)
#define KSCOPE_IOC_JOIN		_IO(KSCOPE_IOC_MAGIC, 0x15)
#define KSCOPE_IOC_RELEASE	_IO(KSCOPE_IOC_MAGIC, 0x16)
#define KSCOPE_IOC_QUERY	_IO(KSCOPE_IOC_MAGIC, 0x17)
#define KSCOPE_IOC_QUIESCE	_IO(KSCOPE_IOC_MAGIC, 0x18)
#define KSCOPE_IOC_EVENTFD	_IO(KSCOPE_IOC_MAGIC, 0x19)
#define KSCOPE_IOC_BUF_REBORROW	_IO(KSCOPE_IOC_MAGIC, 0x1A)
#define KSCOPE_IOC_BORROW	_IO(KSCOPE_IOC_MAGIC, 0x1B)
#define KSCOPE_IOC_RETURN	_IO(KSCOPE_IOC_MAGIC, 0x1C)

#define KSCOPE_NAME_LEN		32
#define KSCOPE_HASH_NAME_LEN	64
#define KSCOPE_MAX_RANGES	2
#define KSCOPE_MAX_BLOCKERS	8
#define KSCOPE_MAX_NESTING	64	/* scopes above the deepest one */
#define KSCOPE_MAX_CPUS_SIZE	4096	/* bytes of a mask of CPUs */

/**
 * struct kscope_info - what this kernel offers (KSCOPE_IOC_INFO)
 * @size: in: sizeof(struct kscope_info)
 * @flags: in: 0
 * @abi_version: out: KSCOPE_ABI_VERSION of the module
 * @nr_ops: out: operations that KSCOPE_IOC_OP_INFO can list
 * @features: out: KSCOPE_FEATURE_* bits
 * @max_capacity: out: largest capacity of a scope, in children
 * @max_buffers: out: largest number of buffers of a scope
 * @max_hashes: out: largest number of hashes of a scope
 * @max_blocking: out: children of one scope that may block at the same time;
 *	more of them wait in order
 * @max_buffer_bytes: out: largest single buffer, in bytes
 * @user_scopes: out: scopes that one user may hold without CAP_SYS_RESOURCE
 * @user_children: out: child slots that one user may hold likewise
 */
struct kscope_info {
	__u32 size;
	__u32 flags;
	__u32 abi_version;
	__u32 nr_ops;
	__u64 features;
	__u32 max_capacity;
	__u32 max_buffers;
	__u32 max_hashes;
	__u32 max_blocking;
	__u64 max_buffer_bytes;
	__u32 user_scopes;
	__u32 user_children;
};

#define KSCOPE_FEATURE_ORDERED	(1ULL << 0)	/* KSCOPE_KIND_ORDERED */
#define KSCOPE_FEATURE_FILES	(1ULL << 1)	/* READ, WRITE, FSYNC */
#define KSCOPE_FEATURE_HASH	(1ULL << 2)	/* HASH and KSCOPE_IOC_HASH_OPEN */
#define KSCOPE_FEATURE_INLINE	(1ULL << 3)	/* KSCOPE_KIND_INLINE */
#define KSCOPE_FEATURE_HELP	(1ULL << 4)	/* waiters help; KSCOPE_SCOPE_NO_HELP */
#define KSCOPE_FEATURE_POLICIES	(1ULL << 5)	/* KSCOPE_POLICY_* beyond COLLECT */
#define KSCOPE_FEATURE_DEADLINE	(1ULL << 6)	/* &kscope_scope_create.deadline_ns */
#define KSCOPE_FEATURE_GUARD	(1ULL << 7)	/* violations, KSCOPE_SCOPE_SIGBUS */
#define KSCOPE_FEATURE_FENCE	(1ULL << 8)	/* KSCOPE_SCOPE_FENCE */
#define KSCOPE_FEATURE_LEASES	(1ULL << 9)	/* leases are of ranges */
#define KSCOPE_FEATURE_NESTED	(1ULL << 10)	/* nested scopes, KSCOPE_IOC_BUF_REBORROW */
#define KSCOPE_FEATURE_MAX_RUNNING (1ULL << 11)	/* &kscope_scope_create.max_running */
#define KSCOPE_FEATURE_AFTER	(1ULL << 12)	/* &kscope_desc.after, DRAIN, LINKED */
#define KSCOPE_FEATURE_CHILD_DEADLINE (1ULL << 13) /* &kscope_desc.deadline_ns */
#define KSCOPE_FEATURE_SHIELDED	(1ULL << 14)	/* KSCOPE_CHILD_SHIELDED */
#define KSCOPE_FEATURE_STUCK	(1ULL << 15)	/* &kscope_query.stuck */
#define KSCOPE_FEATURE_AFFINITY	(1ULL << 16)	/* &kscope_scope_create.cpus */
#define KSCOPE_FEATURES_ALL	(KSCOPE_FEATURE_ORDERED | KSCOPE_FEATURE_FILES | \
				 KSCOPE_FEATURE_HASH | KSCOPE_FEATURE_INLINE | \
				 KSCOPE_FEATURE_HELP | KSCOPE_FEATURE_POLICIES | \
				 KSCOPE_FEATURE_DEADLINE | KSCOPE_FEATURE_GUARD | \
				 KSCOPE_FEATURE_FENCE | KSCOPE_FEATURE_LEASES | \
				 KSCOPE_FEATURE_NESTED | \
				 KSCOPE_FEATURE_MAX_RUNNING | \
				 KSCOPE_FEATURE_AFTER | \
				 KSCOPE_FEATURE_CHILD_DEADLINE | \
				 KSCOPE_FEATURE_SHIELDED | \
				 KSCOPE_FEATURE_STUCK | KSCOPE_FEATURE_AFFINITY)

/* Built-in operations; modules register theirs from KSCOPE_OP_PROVIDER on. */
#define KSCOPE_OP_NOP		0	/* nothing */
#define KSCOPE_OP_SLEEP		1	/* until until_ns */
#define KSCOPE_OP_FILL		2	/* range 1 = pattern, pattern, ... */
#define KSCOPE_OP_COPY		3	/* range 2 = range 1 */
#define KSCOPE_OP_COMPARE	4	/* value = 1 if range 1 and 2 differ, else 0 */
#define KSCOPE_OP_XOR		5	/* range 2 ^= range 1 */
#define KSCOPE_OP_CRC32C	6	/* value = CRC-32C of range 1, from seed on */
#define KSCOPE_OP_HASH		7	/* digest of range 1 into buf2 at off2 */
#define KSCOPE_OP_READ		8	/* file at file_off into range 1 */
#define KSCOPE_OP_WRITE		9	/* range 1 to the file at file_off */
#define KSCOPE_OP_FSYNC		10	/* the file's data and metadata to its device */
#define KSCOPE_OP_PROVIDER	256

/* op_flags of KSCOPE_OP_HASH; one-shot is FIRST | LAST */
#define KSCOPE_HASH_FIRST	(1U << 0)	/* start a new digest */
#define KSCOPE_HASH_LAST	(1U << 1)	/* end it and write it to range 2 */
#define KSCOPE_HASH_ALL		(KSCOPE_HASH_FIRST | KSCOPE_HASH_LAST)

/* op_flags of KSCOPE_OP_FSYNC */
#define KSCOPE_FSYNC_DATA	(1U << 0)	/* as fdatasync() does */
#define KSCOPE_FSYNC_ALL	KSCOPE_FSYNC_DATA

#define KSCOPE_ACCESS_READ	(1U << 0)
#define KSCOPE_ACCESS_WRITE	(1U << 1)
#define KSCOPE_ACCESS_ALL	(KSCOPE_ACCESS_READ | KSCOPE_ACCESS_WRITE)

#define KSCOPE_OP_BLOCKS	(1U << 0)	/* may block, so runs apart from quick ones */
#define KSCOPE_OP_TAKES_FILE	(1U << 1)	/* uses fd and file_off */
#define KSCOPE_OP_TAKES_HASH	(1U << 2)	/* uses hash */

#define KSCOPE_OP_INFO_BY_NAME	(1U << 0)	/* look up @name, not @index */
#define KSCOPE_OP_INFO_ALL	KSCOPE_OP_INFO_BY_NAME

/**
 * struct kscope_op_info - describe one operation (KSCOPE_IOC_OP_INFO)
 * @size: in: sizeof(struct kscope_op_info)
 * @flags: in: KSCOPE_OP_INFO_*
 * @index: in: which one, below &kscope_info.nr_ops; without BY_NAME. out: its index
 * @op: out: its number, for &kscope_desc.op
 * @attributes: out: KSCOPE_OP_BLOCKS, KSCOPE_OP_TAKES_*
 * @op_flags: out: the op_flags that it allows
 * @nr_ranges: out: ranges that it borrows, 0 to 2
 * @access: out: KSCOPE_ACCESS_* of each range
 * @reserved: 0
 * @name: in: with BY_NAME. out: its name; NUL-terminated
 */
struct kscope_op_info {
	__u32 size;
	__u32 flags;
	__u32 index;
	__u32 op;
	__u32 attributes;
	__u32 op_flags;
	__u32 nr_ranges;
	__u32 access[KSCOPE_MAX_RANGES];
	__u32 reserved;
	__u8 name[KSCOPE_NAME_LEN];
};

#define KSCOPE_KIND_PARALLEL	0	/* children run side by side */
#define KSCOPE_KIND_ORDERED	1	/* one child at a time, in the order of spawning */
#define KSCOPE_KIND_INLINE	2	/* SPAWN itself runs them, one after the other */

#define KSCOPE_POLICY_COLLECT	0	/* a child's failure is reported, and nothing else */
#define KSCOPE_POLICY_FAIL_FAST	1	/* the first failure cancels the scope */
#define KSCOPE_POLICY_FIRST_SUCCESS 2	/* the first success does: a race */

#define KSCOPE_SCOPE_NO_HELP	(1U << 0)	/* who waits sleeps, and runs no child itself */
#define KSCOPE_SCOPE_SIGBUS	(1U << 1)	/* who takes memory from children gets it */
#define KSCOPE_SCOPE_FENCE	(1U << 2)	/* an owner's end waits for the children */
#define KSCOPE_SCOPE_ALL	(KSCOPE_SCOPE_NO_HELP | KSCOPE_SCOPE_SIGBUS | \
				 KSCOPE_SCOPE_FENCE)

#define KSCOPE_GRACE_DEFAULT	2000000000ULL	/* 2 s */
#define KSCOPE_GRACE_MAX	60000000000ULL	/* 60 s */

/**
 * struct kscope_scope_create - create a scope (KSCOPE_IOC_SCOPE_CREATE)
 * @size: in: sizeof(struct kscope_scope_create)
 * @flags: in: KSCOPE_SCOPE_*
 * @kind: in: KSCOPE_KIND_*
 * @policy: in: KSCOPE_POLICY_*
 * @capacity: in: children that can be outstanding or unread at a time; 1 to
 *	&kscope_info.max_capacity, rounded up to a power of two
 * @max_buffers: in: buffers that can be pinned at a time; 0 for 64
 * @ring_entries: out: the rounded capacity
 * @ring_bytes: out: length of the mapping at KSCOPE_MMAP_RING
 * @deadline_ns: in: when the scope is cancelled (KSCOPE_CAUSE_DEADLINE), if it still
 *	lives; 0 for never. One that is past cancels it at once
 * @grace_ns: in: how long children may take to end once they are told to, and how long
 *	KSCOPE_SCOPE_FENCE waits; at most KSCOPE_GRACE_MAX; 0 for KSCOPE_GRACE_DEFAULT
 * @user_data: in: what &kscope_blocker.user_data says of a nested scope, not looked at
 * @max_running: in: children that may run at a time; 0 for as many as there are workers. Only
 *	for KSCOPE_KIND_PARALLEL
 * @cpus_size: in: bytes at @cpus, at most KSCOPE_MAX_CPUS_SIZE; 0 without
 * @cpus: in: address of a mask of CPUs, as sched_setaffinity() takes it, or 0. Not for
 *	KSCOPE_KIND_INLINE
 *
 * The ioctl returns the scope's fd, which is close-on-exec.
 *
 * On the fd of a scope it makes a nested one, up to KSCOPE_MAX_NESTING deep (ELOOP), unless the
 * parent is cancelled (ECANCELED) or released (ESHUTDOWN). The parent cannot be released
 * before the nested one is. A cancel of the parent, for whatever cause, cancels all below it for
 * good (KSCOPE_CAUSE_PARENT); so does the close of its last fd, which then waits for their
 * children as well, and releases them: their fds are those of scopes that have been released. The
 * earlier deadline of the two counts, and KSCOPE_SCOPE_NO_HELP of the parent holds for both.
 *
 * A failure that cancels a nested scope with KSCOPE_POLICY_FAIL_FAST is one of its parent as
 * well: that is cancelled (KSCOPE_CAUSE_FAILURE) if it has that policy and is open, and so on
 * upwards. What else ends in a nested scope decides nothing in its parent.
 *
 * A call that waits for completions helps first: it runs queued children of the scope itself,
 * as long as these do not block and are not large, and sleeps when there are none left that no
 * worker has taken. With KSCOPE_SCOPE_NO_HELP it sleeps at once.
 *
 * With @max_running children begin in the order of spawning, those that may block and those that
 * do not alike, and so one that waits for a worker holds up those behind it.
 *
 * With @cpus children are run on these CPUs only, as long as one of them is online; one has to be
 * now (EINVAL). Callers that wait do not help. Scopes that are nested in it without a mask of
 * their own have the same. What an operation leaves to others, as READ and WRITE to devices, is
 * done where these like.
 *
 * What a policy has cancelled is cancelled as by KSCOPE_CANCEL_SCOPE: from the end of the
 * deciding child on no other starts, and a join still waits for all. A child that was
 * cancelled by itself has not failed; if it finishes anyway, it has succeeded.
 *
 * With KSCOPE_SCOPE_SIGBUS a task that takes addresses away from children gets SIGBUS, with the
 * address, as it returns from its system call. Without, poll() says EPOLLERR until a QUERY.
 *
 * With KSCOPE_SCOPE_FENCE the scope is cancelled (KSCOPE_CAUSE_CLOSE) when an address space goes
 * away, by exit or exec, of which it has a buffer, and what ends it waits until no child is
 * outstanding, for @grace_ns at most. Scopes of one address space are told one after the other,
 * and their times run from when the first was: one that is told later, when its time is used up,
 * is waited for 10 ms. So when waitpid() returns a killed owner, no child touches its memory any
 * more, unless that time is over or somebody else (a process that shares it, a reader of its /proc
 * files) kept the address space for longer. Readers do not wait themselves.
 *
 * A child that was told to end and has not when @grace_ns is over is stuck: QUERY counts it, and
 * the kernel's log names it, with where its worker is. Nothing is unpinned before it ends.
 *
 * SPAWN on an inline scope returns when the children that it has accepted have ended.
 * Operations that may block are refused there (EINVAL). If the caller is killed, those
 * that have not ended are cancelled (KSCOPE_CAUSE_CLOSE).
 */
struct kscope_scope_create {
	__u32 size;
	__u32 flags;
	__u32 kind;
	__u32 policy;
	__u32 capacity;
	__u32 max_buffers;
	__u32 ring_entries;
	__u32 ring_bytes;
	__u64 deadline_ns;
	__u64 grace_ns;
	__u64 user_data;
	__u32 max_running;
	__u32 cpus_size;
	__u64 cpus;
};

#define KSCOPE_PIN_READ_ONLY	(1U << 0)	/* children shall only read it */
#define KSCOPE_PIN_ALL		KSCOPE_PIN_READ_ONLY

/**
 * struct kscope_buf_pin - pin memory and give it to the scope (KSCOPE_IOC_BUF_PIN)
 * @size: in: sizeof(struct kscope_buf_pin)
 * @flags: in: KSCOPE_PIN_*
 * @addr: in: start of the range; any alignment
 * @len: in: its length in bytes; at least 1
 *
 * Pages that the range touches are charged to RLIMIT_MEMLOCK of the user, each
 * buffer for itself. Without READ_ONLY all of the range must be writable. Memory
 * must be anonymous, shared memory (shmem, memfd, tmpfs), hugetlb, or a private
 * mapping of a file. The ioctl returns the buffer's handle, which is never 0.
 */
struct kscope_buf_pin {
	__u32 size;
	__u32 flags;
	__u64 addr;
	__u64 len;
};

#define KSCOPE_STATE_PARKED	1	/* waits for something before it can be queued */
#define KSCOPE_STATE_QUEUED	2	/* waits for its turn */
#define KSCOPE_STATE_RUNNING	3
#define KSCOPE_STATE_CANCELLING	4	/* runs, and has been told to stop */
#define KSCOPE_STATE_LENT	5	/* no child: a lease of a caller (BORROW) */
#define KSCOPE_STATE_NESTED	6	/* no child: a nested scope */

/**
 * struct kscope_blocker - what stands in the way: a child, a lease of a caller, a nested scope
 * @child: its handle; 0 for a lease and a scope
 * @user_data: its user_data; the handle of a lease
 * @age_ns: nanoseconds since it was spawned, created or asked for, or since the scope has
 *	reborrowed
 * @op: its operation; 0 for a lease and a scope
 * @state: KSCOPE_STATE_*; of leases, LENT or, if it is waited for, PARKED
 * @buf: handle of the first buffer that it borrows; 0 for none. Of a scope: of the buffer
 *	that it has reborrowed a range of
 * @off: where its first range starts in @buf
 * @len: length of its first range
 */
struct kscope_blocker {
	__u64 child;
	__u64 user_data;
	__u64 age_ns;
	__u16 op;
	__u16 state;
	__u32 buf;
	__u64 off;
	__u64 len;
};

/**
 * struct kscope_buf_unpin - take a buffer out of the scope (KSCOPE_IOC_BUF_UNPIN)
 * @size: in: sizeof(struct kscope_buf_unpin)
 * @flags: in: 0
 * @buf: in: the buffer's handle
 * @nr_blockers: in: room at @blockers, at most KSCOPE_MAX_BLOCKERS.
 *	out: with -EBUSY, how many were written
 * @blockers: in: address of an array of struct kscope_blocker, or 0
 *
 * -EBUSY while a child or a caller borrows it, or a nested scope has reborrowed of it. Success
 * means that the pages are unpinned and uncharged, and that no child will touch them again. Of a
 * buffer that was reborrowed it means that no child of this scope will.
 */
struct kscope_buf_unpin {
	__u32 size;
	__u32 flags;
	__u32 buf;
	__u32 nr_blockers;
	__u64 blockers;
};

#define KSCOPE_UNPIN_ALL	0U	/* &kscope_buf_unpin.flags */

#define KSCOPE_REBORROW_READ_ONLY (1U << 0)	/* children shall only read it */
#define KSCOPE_REBORROW_ALL	KSCOPE_REBORROW_READ_ONLY

/**
 * struct kscope_buf_reborrow - a range of an ancestor's buffer for a nested scope
 *	(KSCOPE_IOC_BUF_REBORROW)
 * @size: in: sizeof(struct kscope_buf_reborrow)
 * @flags: in: KSCOPE_REBORROW_*
 * @scope: in: fd of the ancestor: the parent, or one above it (EINVAL for other scopes)
 * @buf: in: handle of the buffer there
 * @off: in: start of the range in @buf
 * @len: in: its length in bytes; at least 1
 *
 * The ioctl returns a handle for the children of the nested scope, in which the range starts at
 * 0. It takes an entry of the table of buffers and pins and charges nothing. It is a lease on
 * the range: exclusive, or shared with KSCOPE_REBORROW_READ_ONLY. -EBUSY while another excludes
 * it, or somebody waits for such a one. Until it is given up by BUF_UNPIN, or by the end of the
 * nested scope, it excludes others likewise, and BUF_UNPIN of @buf says -EBUSY. What has been
 * reborrowed can be reborrowed again by scopes below.
 */
struct kscope_buf_reborrow {
	__u32 size;
	__u32 flags;
	__s32 scope;
	__u32 buf;
	__u64 off;
	__u64 len;
};

/**
 * struct kscope_hash_open - prepare a hash algorithm for the scope (KSCOPE_IOC_HASH_OPEN)
 * @size: in: sizeof(struct kscope_hash_open)
 * @flags: in: 0
 * @digest_size: out: bytes that the digest takes in range 2
 * @block_size: out: the algorithm's block size in bytes
 * @name: in: name of a synchronous hash of the kernel's crypto API, such as
 *	"sha256"; NUL-terminated. Keyed hashes are refused
 *
 * The ioctl returns the hash's handle, which is never 0 and lives as long as the
 * scope. A hash holds one running digest, whose pieces have to run one after the other, as in an
 * ordered scope, with &kscope_desc.after, or by a program that waits in between: one that runs
 * out of its turn ends with EBADMSG. One-shot digests have nothing to do with it.
 */
struct kscope_hash_open {
	__u32 size;
	__u32 flags;
	__u32 digest_size;
	__u32 block_size;
	__u8 name[KSCOPE_HASH_NAME_LEN];
};

#define KSCOPE_HASH_OPEN_ALL	0U	/* &kscope_hash_open.flags */

#define KSCOPE_CHILD_WAIT	(1U << 0)	/* park until the leases are free */
#define KSCOPE_CHILD_DRAIN	(1U << 1)	/* park until all earlier children have ended */
#define KSCOPE_CHILD_SHIELDED	(1U << 2)	/* what cancels the scope leaves it alone */
#define KSCOPE_CHILD_ALL	(KSCOPE_CHILD_WAIT | KSCOPE_CHILD_DRAIN | \
				 KSCOPE_CHILD_SHIELDED)
#define KSCOPE_MAX_LINKED	64	/* descriptors of a call with KSCOPE_SPAWN_LINKED */

/**
 * struct kscope_desc - one child (element of &kscope_spawn.descs)
 * @op: KSCOPE_OP_*, or a provider's number from KSCOPE_IOC_OP_INFO
 * @flags: KSCOPE_CHILD_*
 * @op_flags: flags of that operation
 * @hash: hash handle of HASH, else 0
 * @user_data: handed back in the completion, not looked at
 * @len: length of the ranges in bytes; ops without a range want 0
 * @buf: buffer of range 1; 0 for ops without one
 * @buf2: buffer of range 2; 0 for ops without one
 * @fd: file of a file operation
 * @off: start of range 1 in @buf
 * @off2: start of range 2 in @buf2
 * @file_off: where in the file to READ or WRITE
 * @pattern: eight bytes that FILL repeats, least significant first
 * @seed: CRC32C: value of the piece before, or 0
 * @until_ns: SLEEP: when to wake up
 * @deadline_ns: when the child is cancelled (KSCOPE_CAUSE_DEADLINE), if it has not ended; 0 for
 *	never. If that is past it never starts
 * @after: 0, or the child that has to finish first: its handle; or, below
 *	&kscope_info.max_capacity and in a call with KSCOPE_SPAWN_LINKED, how many descriptors
 *	before this one it is
 *
 * A field that the operation does not use is 0. Ranges of one child that overlap are
 * refused if one of them is written. HASH without LAST has no range 2.
 *
 * A child has a lease on each of its ranges until it has ended: an exclusive one on what it
 * writes, a shared one on what it reads. It is refused (EBUSY) if another child has a lease on
 * some of the same bytes, and one of the two is exclusive. In an ordered scope the children take
 * turns and are not in each other's way.
 *
 * With WAIT, in a parallel scope, a child with ranges is accepted all the same, and parked until
 * nobody is in its way: with callers that wait (BORROW) it stands in one line, in the order of
 * asking, and is queued when it has all of its leases. The line is short (EAGAIN).
 *
 * A child with @after, in a parallel scope, is parked until that one has ended. If it has finished
 * the child goes on; if it failed, never started or stopped part-way, the child never starts
 * (KSCOPE_CAUSE_AFTER), and neither do those that are to come after this one. It asks for its
 * leases when it is spawned, and not in its turn: WAIT lets it ask for what those before it have.
 * The handle of a child that has ended is known until its slot is used again; then it is ENOENT,
 * as the end of that child was told before.
 *
 * With DRAIN, in a parallel scope, it is parked until all children that were accepted before it
 * have ended, however they did. Later ones do not wait for it. Only a few such can wait (EAGAIN).
 *
 * With SHIELDED it is left alone by what cancels the scope, be it a caller, a deadline, a policy or
 * a parent: it still runs, and is waited for. It can be cancelled by itself. When the scope is
 * closed, or its owner dies, it has @grace_ns of the scope to end, and is cancelled then
 * (KSCOPE_CAUSE_CLOSE).
 */
struct kscope_desc {
	__u16 op;
	__u16 flags;
	__u16 op_flags;
	__u16 hash;
	__u64 user_data;
	__u64 len;
	__u32 buf;
	union {
		__u32 buf2;
		__s32 fd;
	};
	__u64 off;
	union {
		__u64 off2;
		__u64 file_off;
		__u64 pattern;
		__u64 seed;
		__u64 until_ns;
	};
	__u64 deadline_ns;
	__u64 after;
};

#define KSCOPE_SPAWN_LINKED	(1U << 0)	/* descriptors may refer to earlier ones */
#define KSCOPE_SPAWN_ALL	KSCOPE_SPAWN_LINKED	/* &kscope_spawn.flags */

/**
 * struct kscope_spawn - spawn children, wait for completions (KSCOPE_IOC_SPAWN)
 * @size: in: sizeof(struct kscope_spawn)
 * @flags: in: KSCOPE_SPAWN_*
 * @descs: in: address of @nr elements of struct kscope_desc
 * @handles: in: address of @nr __u64 that receive the children's handles, or 0
 * @nr: in: how many children, at most &kscope_info.max_capacity; 0 only waits
 * @min_complete: in: return when that many completions are unread, or when nothing
 *	is outstanding; 0 does not wait
 * @deadline_ns: in: give up waiting then; 0 for never
 * @blockers: in: address of an array of struct kscope_blocker, or 0
 * @nr_blockers: in: room at @blockers, at most KSCOPE_MAX_BLOCKERS.
 *	out: with -EBUSY, how many were written
 * @reserved: 0
 * @reserved2: 0
 *
 * The ioctl returns how many children were accepted. It stops at the first that is
 * refused, and fails with its errno only if that was the first of all. Once a child is
 * accepted the call does not fail: a wait that ends early still returns the number.
 *
 * With LINKED there are at most KSCOPE_MAX_LINKED, they are accepted all at once, and
 * &kscope_desc.after may name one of them by its distance.
 */
struct kscope_spawn {
	__u32 size;
	__u32 flags;
	__u64 descs;
	__u64 handles;
	__u32 nr;
	__u32 min_complete;
	__u64 deadline_ns;
	__u64 blockers;
	__u32 nr_blockers;
	__u32 reserved;
	__u64 reserved2;
};

#define KSCOPE_CANCEL_CHILD	0	/* the child whose handle is @target */
#define KSCOPE_CANCEL_USER_DATA	1	/* every child whose user_data is @target */
#define KSCOPE_CANCEL_SCOPE	2	/* all of them, and refuse new ones from now on */
#define KSCOPE_CANCEL_BUF	3	/* every child that borrows the buffer @target */

#define KSCOPE_CANCEL_ALL	0U	/* &kscope_cancel.flags */

/**
 * struct kscope_cancel - ask children to end early (KSCOPE_IOC_CANCEL)
 * @size: in: sizeof(struct kscope_cancel)
 * @flags: in: 0
 * @what: in: KSCOPE_CANCEL_CHILD, _USER_DATA, _SCOPE or _BUF
 * @never_started: out: children that had not started, and now never will
 * @told: out: running children that have now been told
 * @already: out: running children that had been told before
 * @target: in: as @what says; 0 for KSCOPE_CANCEL_SCOPE
 *
 * A cancelled child still leaves exactly one completion. For a single child: -ENOENT
 * if it has ended or never was, -EALREADY if it had been told. For user_data: -ENOENT
 * if no child carries it; for a buffer: if there is none, or no child borrows it.
 */
struct kscope_cancel {
	__u32 size;
	__u32 flags;
	__u32 what;
	__u32 never_started;
	__u32 told;
	__u32 already;
	__u64 target;
};

#define KSCOPE_JOIN_ALL		0U	/* &kscope_join.flags */

/**
 * struct kscope_join - wait until nothing is outstanding (KSCOPE_IOC_JOIN)
 * @size: in: sizeof(struct kscope_join)
 * @flags: in: 0
 * @deadline_ns: in: give up then, with -ETIMEDOUT; 0 for never
 * @first_error: out: status of the first child that failed, or 0. Being cancelled
 *	is not failing
 * @cause: out: KSCOPE_CAUSE_* for which the scope was cancelled first, or 0
 * @first_child: out: the first child that failed: its handle
 * @first_user_data: out: its user_data
 * @decider_child: out: the child whose end cancelled the scope (KSCOPE_CAUSE_FAILURE,
 *	_SUCCESS): its handle; else 0
 * @decider_user_data: out: its user_data
 * @nr_failed: out: children of this scope and of those below that failed so far
 * @nr_cancelled: out: likewise those that never started or stopped part-way
 *
 * All scopes below are waited for too, one after the other: for what was outstanding in them when
 * the call was made, and perhaps for more. If no child of the scope itself has failed,
 * @first_error and @first_user_data are those of one below, and @first_child is 0, as a handle
 *	means nothing
 * in another scope; so is @decider_child if the failure came from below.
 */
struct kscope_join {
	__u32 size;
	__u32 flags;
	__u64 deadline_ns;
	__s32 first_error;
	__u32 cause;
	__u64 first_child;
	__u64 first_user_data;
	__u64 decider_child;
	__u64 decider_user_data;
	__u64 nr_failed;
	__u64 nr_cancelled;
};

#define KSCOPE_RELEASE_ALL	0U	/* &kscope_release.flags */

/**
 * struct kscope_release - end the scope (KSCOPE_IOC_RELEASE)
 * @size: in: sizeof(struct kscope_release)
 * @flags: in: 0
 * @nr_blockers: in: room at @blockers, at most KSCOPE_MAX_BLOCKERS.
 *	out: with -EBUSY, how many were written
 * @reserved: 0
 * @blockers: in: address of an array of struct kscope_blocker, or 0
 *
 * -EBUSY while a child is outstanding, or a nested scope has not been released; and in the midst
 * of a BUF_REBORROW of another thread. Success means that all buffers are unpinned and
 * that the scope does nothing more; its unread completions can still be read. Leases of callers
 * end with it.
 */
struct kscope_release {
	__u32 size;
	__u32 flags;
	__u32 nr_blockers;
	__u32 reserved;
	__u64 blockers;
};

#define KSCOPE_SCOPE_OPEN	1
#define KSCOPE_SCOPE_CANCELLED	2	/* takes no more children */
#define KSCOPE_SCOPE_RELEASED	3

/**
 * struct kscope_query - counts and states (KSCOPE_IOC_QUERY)
 * @size: in: sizeof(struct kscope_query)
 * @flags: in: 0
 * @kind: out: KSCOPE_KIND_*
 * @policy: out: KSCOPE_POLICY_*
 * @state: out: KSCOPE_SCOPE_*
 * @capacity: out: of the scope, rounded
 * @outstanding: out: children that have been accepted and have not completed; a SPAWN
 *	that is under way can make RELEASE fail although this is 0
 * @queued: out: of these, those that have not started
 * @running: out: of these, those that run
 * @unread: out: completions that the program has not consumed
 * @nr_buffers: out: pinned buffers
 * @nr_hashes: out: open hashes
 * @pinned_pages: out: pages that these buffers are charged for
 * @spawned: out: children accepted since the scope was created
 * @completed: out: children completed since then
 * @failed: out: of these, those that failed
 * @cancelled: out: of these, those that never started or stopped part-way
 * @cause: out: KSCOPE_CAUSE_* for which the scope was cancelled first, or 0
 * @violations: out: times that the owner of a buffer has taken addresses away that a child
 *	borrowed, by munmap(), mremap(), madvise() or a hole
 * @deadline_ns: out: of the scope or those above it, the earliest; or 0
 * @nr_borrows: out: leases of callers (BORROW) that have not been returned
 * @depth: out: how many scopes are above it
 * @nested: out: scopes nested in this one that have not been released
 * @stuck: out: children that were told to end, and had not when the scope's grace was over, nor
 *	when they were last looked for
 * @tree_outstanding: out: @outstanding, of this scope and all below
 */
struct kscope_query {
	__u32 size;
	__u32 flags;
	__u32 kind;
	__u32 policy;
	__u32 state;
	__u32 capacity;
	__u32 outstanding;
	__u32 queued;
	__u32 running;
	__u32 unread;
	__u32 nr_buffers;
	__u32 nr_hashes;
	__u64 pinned_pages;
	__u64 spawned;
	__u64 completed;
	__u64 failed;
	__u64 cancelled;
	__u32 cause;
	__u32 violations;
	__u64 deadline_ns;
	__u32 nr_borrows;
	__u32 depth;
	__u32 nested;
	__u32 stuck;
	__u64 tree_outstanding;
};

#define KSCOPE_QUIESCE_ALL	0U	/* &kscope_quiesce.flags */

/**
 * struct kscope_quiesce - wait for all, and begin anew (KSCOPE_IOC_QUIESCE)
 * @size: in: sizeof(struct kscope_quiesce)
 * @flags: in: 0
 * @deadline_ns: in: give up then, with -ETIMEDOUT; 0 for never
 *
 * Waits until nothing is outstanding, as JOIN does. Then a scope that was cancelled, by a caller
 * or by its policy, takes children again: whose end or failure came first is forgotten, buffers,
 * hashes and counts stay. To end the children first, cancel the scope. -ECANCELED if it was
 * cancelled for good, as by its deadline; there is nothing outstanding then either.
 */
struct kscope_quiesce {
	__u32 size;
	__u32 flags;
	__u64 deadline_ns;
};

#define KSCOPE_EVENTFD_ALL	0U	/* &kscope_eventfd.flags */

/**
 * struct kscope_eventfd - count completions in an eventfd (KSCOPE_IOC_EVENTFD)
 * @size: in: sizeof(struct kscope_eventfd)
 * @flags: in: 0
 * @fd: in: an eventfd, in the place of the one before; -1 for none
 * @reserved: 0
 *
 * It becomes readable when completions are posted, and at once if some are unread: one is
 * added each time that children have ended, not for each of them. The scope does not keep the
 * eventfd's file open.
 */
struct kscope_eventfd {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 reserved;
};

#define KSCOPE_BORROW_WAIT	(1U << 0)	/* rather than be refused */
#define KSCOPE_BORROW_ALL	KSCOPE_BORROW_WAIT

/**
 * struct kscope_borrow - a lease on a range for the caller itself (KSCOPE_IOC_BORROW)
 * @size: in: sizeof(struct kscope_borrow)
 * @flags: in: KSCOPE_BORROW_*
 * @buf: in: handle of the buffer
 * @access: in: KSCOPE_ACCESS_* that the caller is going to have. With WRITE the lease is
 *	exclusive, else shared. It need not be what the buffer was pinned for
 * @off: in: start of the range in @buf
 * @len: in: its length in bytes; at least 1
 * @deadline_ns: in: with WAIT: give up then; 0 for never
 * @blockers: in: address of an array of struct kscope_blocker, or 0
 * @nr_blockers: in: room at @blockers, at most KSCOPE_MAX_BLOCKERS.
 *	out: with -EBUSY, how many were written
 * @reserved: 0
 * @lease: out: handle of the lease, for KSCOPE_IOC_RETURN
 *
 * -EBUSY if a child or a caller has a lease on some of the same bytes, and one of the two is
 * exclusive. With WAIT the call sleeps until there is none such. Those who wait get their leases in
 * the order in which they asked, and nobody who asks later, be it for a child, gets one before that
 * clashes with theirs. So who waits while it has leases may wait for itself.
 *
 * The lease keeps nobody from touching the memory: it keeps children from being spawned that
 * would, and is refused while there are any. It belongs to the scope, not to the process, and
 * lasts until RETURN, or until the scope ends.
 */
struct kscope_borrow {
	__u32 size;
	__u32 flags;
	__u32 buf;
	__u32 access;
	__u64 off;
	__u64 len;
	__u64 deadline_ns;
	__u64 blockers;
	__u32 nr_blockers;
	__u32 reserved;
	__u64 lease;
};

#define KSCOPE_RETURN_ALL	0U	/* &kscope_return.flags */

/**
 * struct kscope_return - end a lease of a caller (KSCOPE_IOC_RETURN)
 * @size: in: sizeof(struct kscope_return)
 * @flags: in: 0
 * @lease: in: its handle
 */
struct kscope_return {
	__u32 size;
	__u32 flags;
	__u64 lease;
};

/*
 * The completion ring. A program maps it read-only at KSCOPE_MMAP_RING, and one
 * writable page that holds its head index at KSCOPE_MMAP_HEAD. Both indices run
 * freely; record i is at records[i & (entries - 1)]. Unread completions are those from
 * head up to, not including, tail: load tail with acquire semantics, read the
 * records, store head with release semantics. Both mappings outlive the scope's fd.
 */
#define KSCOPE_MMAP_RING	0x00000000UL
#define KSCOPE_MMAP_HEAD	0x10000000UL

/* How a child ended: &kscope_completion.outcome */
#define KSCOPE_FINISHED		 1	/* did what it was asked; status is 0 */
#define KSCOPE_FAILED		 2	/* status says why */
#define KSCOPE_NEVER_STARTED	 3	/* cancelled before it ran; status is -ECANCELED */
#define KSCOPE_STOPPED		 4	/* cancelled part-way; status is -ECANCELED */
#define KSCOPE_FINISHED_ANYWAY	 5	/* was told to cancel, and had finished; status is 0 */

/* Why a child was cancelled: &kscope_completion.cause */
#define KSCOPE_CAUSE_NONE	0
#define KSCOPE_CAUSE_CALLER	1	/* KSCOPE_IOC_CANCEL, or an in-kernel caller */
#define KSCOPE_CAUSE_DEADLINE	2	/* that of the scope, or its own */
#define KSCOPE_CAUSE_FAILURE	3	/* a sibling failed */
#define KSCOPE_CAUSE_SUCCESS	4	/* a sibling succeeded */
#define KSCOPE_CAUSE_PARENT	5	/* the parent scope was cancelled */
#define KSCOPE_CAUSE_CLOSE	6	/* the last fd was closed, or its owner died */
#define KSCOPE_CAUSE_PROVIDER	7	/* the operation's module went away */
#define KSCOPE_CAUSE_AFTER	8	/* the child that it was to come after did not finish */

/*
 * Addresses that the child borrowed were taken away from it by their owner while it was
 * outstanding. It has worked on the pages that were there before.
 */
#define KSCOPE_COMPLETION_VIOLATED (1U << 0)

/**
 * struct kscope_completion - the one record that each accepted child leaves
 * @user_data: of its descriptor
 * @child: its handle, which names no child any more
 * @status: 0, or a negative errno
 * @outcome: KSCOPE_FINISHED ... KSCOPE_FINISHED_ANYWAY
 * @cause: KSCOPE_CAUSE_*
 * @done: bytes, from the start of the range, that are valid: written, read, or
 *	taken into the result. READ: may be short of len at the end of the file. COMPARE:
 *	bytes known to be equal
 * @value: CRC32C: the CRC. COMPARE: 1 if different, else 0. Otherwise 0, or what
 *	the provider says
 * @flags: KSCOPE_COMPLETION_*
 * @reserved: 0
 * @reserved2: 0
 */
struct kscope_completion {
	__u64 user_data;
	__u64 child;
	__s32 status;
	__u16 outcome;
	__u16 cause;
	__u64 done;
	__u64 value;
	__u32 flags;
	__u32 reserved;
	__u64 reserved2[2];
};

/**
 * struct kscope_ring - start of the mapping at KSCOPE_MMAP_RING
 * @tail: index after the newest completion; written by the kernel
 * @entries: length of @records, a power of two
 * @reserved: 0
 * @records: the completions
 */
struct kscope_ring {
	__u32 tail;
	__u32 entries;
	__u32 reserved[14];
	struct kscope_completion records[];
};

/**
 * struct kscope_ring_head - the page at KSCOPE_MMAP_HEAD
 * @head: index of the oldest unread completion; written by the program
 */
struct kscope_ring_head {
	__u32 head;
};

#endif /* _UAPI_LINUX_KSCOPE_H */

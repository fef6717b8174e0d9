/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Raw access to the kscope ABI for its selftests: one thin function for each
 * ioctl, a reader of the completion ring, and constructors of descriptors.
 *
 * Functions return a value that is not negative, or -errno. They assert nothing,
 * so that a test can expect every errno, in a fork and in a thread as well.
 */
#ifndef KSCOPE_TEST_H
#define KSCOPE_TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/kscope.h>

#define KSCOPE_DEVICE "/dev/kscope"
#define PAGE 4096UL
#define MSEC 1000000ULL
#define SEC 1000000000ULL

/* Longest wait for what must happen: long enough for a slow emulated machine. */
#define PATIENCE_MS 10000

#define to_u64(ptr) ((__u64)(uintptr_t)(ptr))

static inline __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static inline __u64 in_ms(unsigned int ms)
{
	return now_ns() + ms * MSEC;
}

/* poll(), but that looks again when its time is over: then nobody has woken it. */
static inline int poll_woken(struct pollfd *p)
{
	__u64 late = in_ms(PATIENCE_MS);
	int ret = poll(p, 1, PATIENCE_MS);

	return now_ns() < late ? ret : 0;
}

/* A time that no test lives to see. */
static inline __u64 far_future(void)
{
	return now_ns() + 3600 * SEC;
}

static inline int xioctl(int fd, unsigned int cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

static inline int xclose(int fd)
{
	return close(fd) < 0 ? -errno : 0;
}

static inline int dev_open(void)
{
	int fd = open(KSCOPE_DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int dev_info(struct kscope_info *info)
{
	int fd = dev_open();
	int ret;

	if (fd < 0)
		return fd;
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	ret = xioctl(fd, KSCOPE_IOC_INFO, info);
	close(fd);
	return ret;
}

/* A scope and its mapped ring. */
struct scope {
	int fd;
	unsigned int entries;
	size_t ring_bytes;
	const struct kscope_ring *ring;
	struct kscope_ring_head *head;
};

static inline int scope_create(struct kscope_scope_create *arg)
{
	int dev = dev_open();
	int fd;

	if (dev < 0)
		return dev;
	arg->size = sizeof(*arg);
	fd = xioctl(dev, KSCOPE_IOC_SCOPE_CREATE, arg);
	close(dev);
	return fd;
}

/* Nest a scope in that of @parent. */
static inline int scope_nest_arg(int parent, struct kscope_scope_create *arg)
{
	arg->size = sizeof(*arg);
	return xioctl(parent, KSCOPE_IOC_SCOPE_CREATE, arg);
}

static inline int scope_nest(int parent, unsigned int capacity, __u64 user_data)
{
	struct kscope_scope_create arg = { .capacity = capacity,
					   .user_data = user_data };

	return scope_nest_arg(parent, &arg);
}

static inline int scope_map(struct scope *scope, int fd,
			    const struct kscope_scope_create *arg)
{
	void *ring, *head;

	*scope = (struct scope){ .fd = -1 };
	ring = mmap(NULL, arg->ring_bytes, PROT_READ, MAP_SHARED, fd,
		    KSCOPE_MMAP_RING);
	if (ring == MAP_FAILED)
		return -errno;
	head = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    KSCOPE_MMAP_HEAD);
	if (head == MAP_FAILED)
		return -errno;
	scope->fd = fd;
	scope->entries = arg->ring_entries;
	scope->ring_bytes = arg->ring_bytes;
	scope->ring = ring;
	scope->head = head;
	return 0;
}

static inline int scope_open(struct scope *scope, unsigned int kind,
			     unsigned int capacity)
{
	struct kscope_scope_create arg = { .kind = kind, .capacity = capacity };
	int fd;

	*scope = (struct scope){ .fd = -1 };
	fd = scope_create(&arg);
	if (fd < 0)
		return fd;
	return scope_map(scope, fd, &arg);
}

static inline void scope_unmap(struct scope *scope)
{
	munmap((void *)scope->ring, scope->ring_bytes);
	munmap(scope->head, PAGE);
}

static inline int scope_close(struct scope *scope)
{
	int ret = xclose(scope->fd);

	scope_unmap(scope);
	return ret;
}

static inline int buf_pin_at(int fd, __u64 addr, __u64 len, unsigned int flags)
{
	struct kscope_buf_pin arg = {
		.size = sizeof(arg), .flags = flags, .addr = addr, .len = len
	};

	return xioctl(fd, KSCOPE_IOC_BUF_PIN, &arg);
}

static inline int buf_pin(int fd, void *addr, __u64 len, unsigned int flags)
{
	return buf_pin_at(fd, to_u64(addr), len, flags);
}

static inline int buf_unpin(int fd, unsigned int buf)
{
	struct kscope_buf_unpin arg = { .size = sizeof(arg), .buf = buf };

	return xioctl(fd, KSCOPE_IOC_BUF_UNPIN, &arg);
}

static inline int buf_reborrow_arg(int fd, int scope, unsigned int buf,
				   __u64 off, __u64 len, unsigned int flags)
{
	struct kscope_buf_reborrow arg = { .size = sizeof(arg),
					   .flags = flags,
					   .scope = scope,
					   .buf = buf,
					   .off = off,
					   .len = len };

	return xioctl(fd, KSCOPE_IOC_BUF_REBORROW, &arg);
}

static inline int buf_reborrow(int fd, int scope, unsigned int buf, __u64 len)
{
	return buf_reborrow_arg(fd, scope, buf, 0, len, 0);
}

static inline int buf_unpin_blockers(int fd, unsigned int buf,
				     struct kscope_blocker *blockers,
				     unsigned int *nr)
{
	struct kscope_buf_unpin arg = { .size = sizeof(arg),
					.buf = buf,
					.nr_blockers = *nr,
					.blockers = to_u64(blockers) };
	int ret = xioctl(fd, KSCOPE_IOC_BUF_UNPIN, &arg);

	*nr = arg.nr_blockers;
	return ret;
}

static inline int borrow_arg(int fd, struct kscope_borrow *arg)
{
	arg->size = sizeof(*arg);
	return xioctl(fd, KSCOPE_IOC_BORROW, arg);
}

static inline int borrow(int fd, unsigned int buf, __u64 off, __u64 len,
			 unsigned int access, __u64 *lease)
{
	struct kscope_borrow arg = {
		.buf = buf, .access = access, .off = off, .len = len
	};
	int ret = borrow_arg(fd, &arg);

	*lease = arg.lease;
	return ret;
}

static inline int give_back(int fd, __u64 lease)
{
	struct kscope_return arg = { .size = sizeof(arg), .lease = lease };

	return xioctl(fd, KSCOPE_IOC_RETURN, &arg);
}

static inline int hash_open_arg(int fd, const char *name,
				struct kscope_hash_open *arg)
{
	memset(arg, 0, sizeof(*arg));
	arg->size = sizeof(*arg);
	memcpy(arg->name, name, strnlen(name, sizeof(arg->name)));
	return xioctl(fd, KSCOPE_IOC_HASH_OPEN, arg);
}

static inline int hash_open(int fd, const char *name)
{
	struct kscope_hash_open arg;

	return hash_open_arg(fd, name, &arg);
}

static inline int spawn_arg(int fd, const struct kscope_desc *descs,
			    __u64 *handles, unsigned int nr,
			    unsigned int min_complete, __u64 deadline_ns)
{
	struct kscope_spawn arg = { .size = sizeof(arg),
				    .descs = to_u64(descs),
				    .handles = to_u64(handles),
				    .nr = nr,
				    .min_complete = min_complete,
				    .deadline_ns = deadline_ns };

	return xioctl(fd, KSCOPE_IOC_SPAWN, &arg);
}

/* One child; if others are in its way, who. */
static inline int spawn_blockers(int fd, struct kscope_desc desc,
				 struct kscope_blocker *blockers,
				 unsigned int *nr)
{
	struct kscope_spawn arg = { .size = sizeof(arg),
				    .descs = to_u64(&desc),
				    .nr = 1,
				    .nr_blockers = *nr,
				    .blockers = to_u64(blockers) };
	int ret = xioctl(fd, KSCOPE_IOC_SPAWN, &arg);

	*nr = arg.nr_blockers;
	return ret;
}

/* Descriptors that name earlier ones */
static inline int spawn_linked(int fd, const struct kscope_desc *descs,
			       __u64 *handles, unsigned int nr)
{
	struct kscope_spawn arg = { .size = sizeof(arg),
				    .flags = KSCOPE_SPAWN_LINKED,
				    .descs = to_u64(descs),
				    .handles = to_u64(handles),
				    .nr = nr };

	return xioctl(fd, KSCOPE_IOC_SPAWN, &arg);
}

static inline int spawn(int fd, const struct kscope_desc *descs,
			unsigned int nr)
{
	return spawn_arg(fd, descs, NULL, nr, 0, 0);
}

static inline int spawn_one(int fd, struct kscope_desc desc, __u64 *handle)
{
	return spawn_arg(fd, &desc, handle, 1, 0, 0);
}

/* Wait until @nr completions are unread or nothing is outstanding. */
static inline int wait_unread(int fd, unsigned int nr, unsigned int ms)
{
	return spawn_arg(fd, NULL, NULL, 0, nr, in_ms(ms));
}

static inline int cancel_arg(int fd, unsigned int what, __u64 target,
			     struct kscope_cancel *arg)
{
	memset(arg, 0, sizeof(*arg));
	arg->size = sizeof(*arg);
	arg->what = what;
	arg->target = target;
	return xioctl(fd, KSCOPE_IOC_CANCEL, arg);
}

static inline int cancel_child(int fd, __u64 child)
{
	struct kscope_cancel arg;

	return cancel_arg(fd, KSCOPE_CANCEL_CHILD, child, &arg);
}

static inline int cancel_scope(int fd)
{
	struct kscope_cancel arg;

	return cancel_arg(fd, KSCOPE_CANCEL_SCOPE, 0, &arg);
}

static inline int join_arg(int fd, __u64 deadline_ns, struct kscope_join *arg)
{
	memset(arg, 0, sizeof(*arg));
	arg->size = sizeof(*arg);
	arg->deadline_ns = deadline_ns;
	return xioctl(fd, KSCOPE_IOC_JOIN, arg);
}

static inline int join(int fd)
{
	struct kscope_join arg;

	return join_arg(fd, in_ms(PATIENCE_MS), &arg);
}

static inline int release_blockers(int fd, struct kscope_blocker *blockers,
				   unsigned int *nr)
{
	struct kscope_release arg = { .size = sizeof(arg),
				      .nr_blockers = *nr,
				      .blockers = to_u64(blockers) };
	int ret = xioctl(fd, KSCOPE_IOC_RELEASE, &arg);

	*nr = arg.nr_blockers;
	return ret;
}

static inline int release(int fd)
{
	unsigned int nr = 0;

	return release_blockers(fd, NULL, &nr);
}

static inline int query(int fd, struct kscope_query *arg)
{
	memset(arg, 0, sizeof(*arg));
	arg->size = sizeof(*arg);
	return xioctl(fd, KSCOPE_IOC_QUERY, arg);
}

/* Let @nr children of the scope reach the state RUNNING; 0 or -ETIMEDOUT. */
static inline int wait_running(int fd, unsigned int nr)
{
	__u64 deadline = in_ms(PATIENCE_MS);
	struct kscope_query q;
	int ret;

	do {
		ret = query(fd, &q);
		if (ret)
			return ret;
		if (q.running == nr)
			return 0;
		usleep(500);
	} while (now_ns() < deadline);
	return -ETIMEDOUT;
}

static inline unsigned int ring_unread(const struct scope *scope)
{
	return __atomic_load_n(&scope->ring->tail, __ATOMIC_ACQUIRE) -
	       scope->head->head;
}

/* Consume the oldest unread completion, if there is one. */
static inline bool reap(struct scope *scope, struct kscope_completion *out)
{
	unsigned int head = scope->head->head;

	if (!ring_unread(scope))
		return false;
	*out = scope->ring->records[head & (scope->entries - 1)];
	__atomic_store_n(&scope->head->head, head + 1, __ATOMIC_RELEASE);
	return true;
}

static inline int reap_wait(struct scope *scope, struct kscope_completion *out)
{
	int ret;

	if (reap(scope, out))
		return 0;
	ret = wait_unread(scope->fd, 1, PATIENCE_MS);
	if (ret < 0)
		return ret;
	return reap(scope, out) ? 0 : -ENOENT;
}

/* Spawn one child, wait for it and consume its completion. The ring is empty before. */
static inline int run(struct scope *scope, struct kscope_desc desc,
		      struct kscope_completion *out)
{
	int ret = spawn_one(scope->fd, desc, NULL);

	return ret < 0 ? ret : reap_wait(scope, out);
}

/* The same, for children that shall succeed: 0 only if the child FINISHED. */
static inline int run_ok(struct scope *scope, struct kscope_desc desc,
			 struct kscope_completion *out)
{
	int ret = run(scope, desc, out);

	if (ret)
		return ret;
	if (out->status)
		return out->status;
	return out->outcome == KSCOPE_FINISHED ? 0 : -EPROTO;
}

static inline struct kscope_desc desc_nop(__u64 user_data)
{
	return (struct kscope_desc){ .op = KSCOPE_OP_NOP,
				     .user_data = user_data };
}

static inline struct kscope_desc desc_sleep(__u64 user_data, __u64 until_ns)
{
	return (struct kscope_desc){ .op = KSCOPE_OP_SLEEP,
				     .user_data = user_data,
				     .until_ns = until_ns };
}

static inline struct kscope_desc desc_fill(unsigned int buf, __u64 off,
					   __u64 len, __u64 pattern)
{
	return (struct kscope_desc){ .op = KSCOPE_OP_FILL,
				     .buf = buf,
				     .off = off,
				     .len = len,
				     .pattern = pattern };
}

static inline struct kscope_desc desc_crc32c(unsigned int buf, __u64 off,
					     __u64 len, __u32 seed)
{
	return (struct kscope_desc){ .op = KSCOPE_OP_CRC32C,
				     .buf = buf,
				     .off = off,
				     .len = len,
				     .seed = seed };
}

/* COPY, COMPARE and XOR have the same form. */
static inline struct kscope_desc desc_two(unsigned int op, unsigned int buf,
					  __u64 off, unsigned int buf2,
					  __u64 off2, __u64 len)
{
	return (struct kscope_desc){ .op = op,
				     .buf = buf,
				     .off = off,
				     .buf2 = buf2,
				     .off2 = off2,
				     .len = len };
}

static inline struct kscope_desc
desc_hash(unsigned int hash, unsigned int op_flags, unsigned int buf, __u64 off,
	  __u64 len, unsigned int buf2, __u64 off2)
{
	return (struct kscope_desc){ .op = KSCOPE_OP_HASH,
				     .op_flags = op_flags,
				     .hash = hash,
				     .buf = buf,
				     .off = off,
				     .len = len,
				     .buf2 = buf2,
				     .off2 = off2 };
}

/* READ and WRITE have the same form. */
static inline struct kscope_desc desc_file(unsigned int op, int fd,
					   __u64 file_off, unsigned int buf,
					   __u64 off, __u64 len)
{
	return (struct kscope_desc){ .op = op,
				     .fd = fd,
				     .file_off = file_off,
				     .buf = buf,
				     .off = off,
				     .len = len };
}

static inline struct kscope_desc desc_fsync(int fd, unsigned int op_flags)
{
	return (struct kscope_desc){ .op = KSCOPE_OP_FSYNC,
				     .fd = fd,
				     .op_flags = op_flags };
}

#endif /* KSCOPE_TEST_H */

// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A scope's fd and its two mappings.
 *
 * The mappings outlive the fd, and a mapping can keep the file open: they go first, so
 * that close() is the last reference and therefore the call that waits.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define DEFAULT_CAPACITY 64

static const struct kscope_scope closed_scope = KSCOPE_SCOPE_INIT;

static size_t head_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static int map_ring(struct kscope_scope *scope)
{
	void *addr = mmap(NULL, scope->ring_bytes_, PROT_READ, MAP_SHARED,
			  scope->fd, KSCOPE_MMAP_RING);

	if (addr == MAP_FAILED)
		return -errno;
	scope->ring_ = addr;
	return 0;
}

static int map_head(struct kscope_scope *scope)
{
	void *addr = mmap(NULL, head_bytes(), PROT_READ | PROT_WRITE,
			  MAP_SHARED, scope->fd, KSCOPE_MMAP_HEAD);

	if (addr == MAP_FAILED)
		return -errno;
	scope->head_ = addr;
	return 0;
}

static void unmap(struct kscope_scope *scope)
{
	if (scope->head_)
		munmap(scope->head_, head_bytes());
	if (scope->ring_)
		munmap((void *)(uintptr_t)scope->ring_, scope->ring_bytes_);
}

static int create(int dev, const struct kscope_scope_params *params,
		  struct kscope_scope *scope)
{
	struct kscope_scope_create arg = {
		.size = sizeof(arg),
		.flags = params->flags,
		.kind = params->kind,
		.policy = params->policy,
		.deadline_ns = params->deadline_ns,
		.grace_ns = params->grace_ns,
		.capacity = params->capacity ? params->capacity :
					       DEFAULT_CAPACITY,
		.max_buffers = params->max_buffers,
		.user_data = params->user_data,
		.max_running = params->max_running,
		.cpus_size = (__u32)params->cpus_size,
		.cpus = addr_u64(params->cpus),
	};
	int fd = ioctl_ret(dev, KSCOPE_IOC_SCOPE_CREATE, &arg);

	if (fd < 0)
		return fd;
	scope->fd = fd;
	scope->entries = arg.ring_entries;
	scope->ring_bytes_ = arg.ring_bytes;
	return 0;
}

int kscope_scope_create(struct kscope_scope *scope, int dev,
			const struct kscope_scope_params *params)
{
	static const struct kscope_scope_params defaults;
	int ret;

	*scope = closed_scope;
	ret = create(dev, params ? params : &defaults, scope);
	if (ret)
		return ret;
	ret = map_ring(scope);
	if (!ret)
		ret = map_head(scope);
	if (ret)
		kscope_scope_close(scope);
	return ret;
}

int kscope_scope_nest(struct kscope_scope *scope,
		      const struct kscope_scope *parent,
		      const struct kscope_scope_params *params)
{
	return kscope_scope_create(scope, parent->fd, params);
}

int kscope_scope_close(struct kscope_scope *scope)
{
	int ret = 0;

	if (scope->fd < 0)
		return 0;
	unmap(scope);
	if (close(scope->fd))
		ret = -errno;
	*scope = closed_scope;
	return ret;
}

int kscope_scope_end(struct kscope_scope *scope)
{
	int ret;

	if (scope->fd < 0)
		return 0;
	kscope_cancel_scope(scope, NULL);
	ret = KSCOPE_RETRY(kscope_join(scope, 0, NULL));
	if (!ret)
		ret = kscope_release(scope, NULL, NULL);
	kscope_scope_close(scope);
	return ret == -ESHUTDOWN ? 0 : ret;
}

void kscope_scope_cleanup(struct kscope_scope *scope)
{
	kscope_scope_end(scope);
}

int kscope_buf_pin(const struct kscope_scope *scope, const void *addr,
		   size_t len, unsigned int flags)
{
	struct kscope_buf_pin arg = {
		.size = sizeof(arg),
		.flags = flags,
		.addr = addr_u64(addr),
		.len = len,
	};

	return ioctl_ret(scope->fd, KSCOPE_IOC_BUF_PIN, &arg);
}

int kscope_buf_reborrow(const struct kscope_scope *scope,
			const struct kscope_scope *lender, int buf, __u64 off,
			__u64 len, unsigned int flags)
{
	struct kscope_buf_reborrow arg = {
		.size = sizeof(arg),
		.flags = flags,
		.scope = lender->fd,
		.buf = (__u32)buf,
		.off = off,
		.len = len,
	};

	return ioctl_ret(scope->fd, KSCOPE_IOC_BUF_REBORROW, &arg);
}

int kscope_buf_unpin(const struct kscope_scope *scope, int buf,
		     struct kscope_blocker *blockers, unsigned int *nr)
{
	struct kscope_buf_unpin arg = {
		.size = sizeof(arg),
		.buf = (__u32)buf,
		.nr_blockers = blockers && nr ? *nr : 0,
		.blockers = blockers && nr ? addr_u64(blockers) : 0,
	};
	int ret = ioctl_ret(scope->fd, KSCOPE_IOC_BUF_UNPIN, &arg);

	if (nr)
		*nr = ret == -EBUSY ? arg.nr_blockers : 0;
	return ret;
}

static int borrow(const struct kscope_scope *scope, struct kscope_borrow *arg,
		  __u64 *lease)
{
	int ret;

	arg->size = sizeof(*arg);
	ret = ioctl_ret(scope->fd, KSCOPE_IOC_BORROW, arg);
	if (!ret)
		*lease = arg->lease;
	return ret;
}

int kscope_borrow(const struct kscope_scope *scope, int buf, __u64 off,
		  __u64 len, unsigned int access, __u64 *lease,
		  struct kscope_blocker *blockers, unsigned int *nr)
{
	struct kscope_borrow arg = {
		.buf = (__u32)buf,
		.access = access,
		.off = off,
		.len = len,
		.nr_blockers = blockers && nr ? *nr : 0,
		.blockers = blockers && nr ? addr_u64(blockers) : 0,
	};
	int ret = borrow(scope, &arg, lease);

	if (nr)
		*nr = ret == -EBUSY ? arg.nr_blockers : 0;
	return ret;
}

int kscope_borrow_wait(const struct kscope_scope *scope, int buf, __u64 off,
		       __u64 len, unsigned int access, __u64 *lease,
		       __u64 deadline_ns)
{
	struct kscope_borrow arg = {
		.flags = KSCOPE_BORROW_WAIT,
		.buf = (__u32)buf,
		.access = access,
		.off = off,
		.len = len,
		.deadline_ns = deadline_ns,
	};

	return borrow(scope, &arg, lease);
}

int kscope_return(const struct kscope_scope *scope, __u64 lease)
{
	struct kscope_return arg = { .size = sizeof(arg), .lease = lease };

	return ioctl_ret(scope->fd, KSCOPE_IOC_RETURN, &arg);
}

int kscope_hash_open(const struct kscope_scope *scope, const char *name,
		     unsigned int *digest_size)
{
	struct kscope_hash_open arg = { .size = sizeof(arg) };
	size_t len = strlen(name);
	int ret;

	if (len >= sizeof(arg.name))
		return -ENOENT;
	memcpy(arg.name, name, len);
	ret = ioctl_ret(scope->fd, KSCOPE_IOC_HASH_OPEN, &arg);
	if (ret > 0 && digest_size)
		*digest_size = arg.digest_size;
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls that are made by a thread of their own, because they are expected to wait.
 */
#ifndef RACE_CALLER_H
#define RACE_CALLER_H

#include "race_loop.h"

/* A thread that makes one call, and is waited for with patience. */
struct caller {
	pthread_t thread;
	int (*call)(int fd, void *arg);
	int fd, ret;
	void *arg;
	bool done;
};

static inline void *caller_run(void *arg)
{
	struct caller *caller = arg;

	caller->ret = caller->call(caller->fd, caller->arg);
	__atomic_store_n(&caller->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static inline int caller_start(struct caller *caller,
			       int (*call)(int fd, void *arg), int fd,
			       void *arg)
{
	*caller = (struct caller){ .call = call, .fd = fd, .arg = arg };
	return pthread_create(&caller->thread, NULL, caller_run, caller);
}

static inline bool caller_is_done(struct caller *caller)
{
	return __atomic_load_n(&caller->done, __ATOMIC_ACQUIRE);
}

/* What the call returned, once nothing is in its way; or -ETIMEDOUT. */
static inline int caller_end(struct caller *caller)
{
	__u64 deadline = now_ns() + promptly();

	while (!caller_is_done(caller)) {
		if (now_ns() > deadline)
			return -ETIMEDOUT;
		usleep(200);
	}
	pthread_join(caller->thread, NULL);
	return caller->ret;
}

static inline int call_close(int fd, void *arg)
{
	return xclose(fd) ?: !!arg;
}

static inline int call_pin(int fd, void *arg)
{
	return xioctl(fd, KSCOPE_IOC_BUF_PIN, arg);
}

static inline int call_unpin(int fd, void *arg)
{
	return buf_unpin(fd, *(unsigned int *)arg);
}

static inline int call_release(int fd, void *arg)
{
	return release(fd) ?: !!arg;
}

/* Whoever wants the handle first has a child that is reserved for a while. */
static inline int call_spawn(int fd, void *arg)
{
	__u64 handle;

	return spawn_arg(fd, arg, &handle, 1, 0, 0);
}

static inline int call_join(int fd, void *arg)
{
	return join_arg(fd, 0, &(struct kscope_join){}) ?: !!arg;
}

#endif /* RACE_CALLER_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes of other users.
 */
#ifndef RACE_OTHER_H
#define RACE_OTHER_H

#include "race_hooks.h"

#define OTHER (NOBODY - 1)

/* A process of another user. It runs @body, which returns its exit code. */
static inline pid_t fork_as(uid_t uid, int (*body)(void *arg), void *arg)
{
	pid_t pid = fork();

	if (!pid)
		_exit(become(uid) ? 99 : body(arg));
	return pid;
}

static inline int run_as(uid_t uid, int (*body)(void *arg), void *arg)
{
	return child_wait(fork_as(uid, body, arg));
}

/* Memory that processes share; they tell each other to go on by a counter in it. */
static inline void *map_shared(size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static inline void step_set(unsigned int *step, unsigned int value)
{
	__atomic_store_n(step, value, __ATOMIC_RELEASE);
}

static inline bool step_wait(const unsigned int *step, unsigned int value)
{
	__u64 deadline = in_ms(25000);

	while (__atomic_load_n(step, __ATOMIC_ACQUIRE) < value) {
		if (now_ns() > deadline)
			return false;
		usleep(500);
	}
	return true;
}

#endif /* RACE_OTHER_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* A plain pool of threads: one queue, one mutex, and two conditions. */
#ifndef KSCOPE_BENCH_POOL_H
#define KSCOPE_BENCH_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <linux/types.h>

struct task {
	struct task *next;
	void (*run)(struct task *task);
	void *arg;
	__u64 user_data;
	int status;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work; /* there are tasks, or it is time to end */
	pthread_cond_t idle; /* all tasks have completed */
	struct task *first;
	struct task **last;
	unsigned int outstanding;
	bool ending;
	unsigned int nr_threads;
	pthread_t *threads;
};

void pool_open(struct pool *pool, unsigned int nr_threads);
void pool_close(struct pool *pool);

/* Queues @nr tasks, linked by next from @first to @last. */
void pool_submit(struct pool *pool, struct task *first, struct task *last,
		 unsigned int nr);

/* Takes back the tasks that have not started; returns how many. */
unsigned int pool_cancel(struct pool *pool);

/* Waits until nothing is outstanding. */
void pool_wait(struct pool *pool);

#endif

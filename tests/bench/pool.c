// SPDX-License-Identifier: GPL-2.0
#include <errno.h>

#include "bench.h"
#include "pool.h"

static struct task *pool_take(struct pool *pool)
{
	struct task *task = pool->first;

	if (task) {
		pool->first = task->next;
		if (!pool->first)
			pool->last = &pool->first;
	}
	return task;
}

static void pool_run(struct pool *pool, struct task *task)
{
	pthread_mutex_unlock(&pool->lock);
	task->run(task);
	pthread_mutex_lock(&pool->lock);
	if (--pool->outstanding == 0)
		pthread_cond_signal(&pool->idle);
}

static void *pool_thread(void *arg)
{
	struct pool *pool = arg;
	struct task *task;

	pthread_mutex_lock(&pool->lock);
	while ((task = pool_take(pool)) || !pool->ending) {
		if (task)
			pool_run(pool, task);
		else
			pthread_cond_wait(&pool->work, &pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

void pool_submit(struct pool *pool, struct task *first, struct task *last,
		 unsigned int nr)
{
	last->next = NULL;
	pthread_mutex_lock(&pool->lock);
	*pool->last = first;
	pool->last = &last->next;
	pool->outstanding += nr;
	pthread_mutex_unlock(&pool->lock);
	if (nr == 1)
		pthread_cond_signal(&pool->work);
	else
		pthread_cond_broadcast(&pool->work);
}

unsigned int pool_cancel(struct pool *pool)
{
	struct task *task;
	unsigned int nr = 0;

	pthread_mutex_lock(&pool->lock);
	for (task = pool->first; task; task = task->next) {
		task->status = -ECANCELED;
		nr++;
	}
	pool->first = NULL;
	pool->last = &pool->first;
	pool->outstanding -= nr;
	if (!pool->outstanding)
		pthread_cond_signal(&pool->idle);
	pthread_mutex_unlock(&pool->lock);
	return nr;
}

void pool_wait(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	while (pool->outstanding)
		pthread_cond_wait(&pool->idle, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

void pool_open(struct pool *pool, unsigned int nr_threads)
{
	*pool = (struct pool){
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.work = PTHREAD_COND_INITIALIZER,
		.idle = PTHREAD_COND_INITIALIZER,
		.last = &pool->first,
		.nr_threads = nr_threads,
		.threads = alloc_zeroed(nr_threads, sizeof(pthread_t)),
	};
	for (unsigned int i = 0; i < nr_threads; i++)
		CHECK(pthread_create(&pool->threads[i], NULL, pool_thread,
				     pool) == 0);
}

void pool_close(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_mutex_unlock(&pool->lock);
	pthread_cond_broadcast(&pool->work);
	for (unsigned int i = 0; i < pool->nr_threads; i++)
		CHECK(pthread_join(pool->threads[i], NULL) == 0);
	free(pool->threads);
}

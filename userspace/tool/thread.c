// SPDX-License-Identifier: GPL-2.0
/* What the thread of a worker does from its first job to its last one. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine.h"
#include "tool.h"

static int work(struct worker *worker)
{
	int ret = 0;

	while (!ret && jobs_wait(worker))
		ret = worker_run(worker);
	return ret;
}

/* The others go on without those that have found no room. */
static void leave(struct worker *worker, bool was_open, int ret)
{
	struct engine *engine = worker->engine;

	pthread_mutex_lock(&engine->lock);
	if (!was_open)
		engine->max_workers = (unsigned int)(worker - engine->workers);
	else if (ret && !engine->failed)
		engine->failed = ret;
	pthread_cond_broadcast(&engine->change);
	if (!--engine->nr_running)
		eventfd_write(engine->idle, 1);
	pthread_mutex_unlock(&engine->lock);
}

/* Is there room for a file, as long as that of a worker's scope stays open? */
static bool has_room(const struct engine *engine)
{
	int fd = fcntl(engine->dev, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Meanwhile those who find no room for their files wait. */
static bool come(struct worker *worker)
{
	struct engine *engine = worker->engine;
	bool is_open = !worker_open(worker) && has_room(engine);

	if (!is_open)
		worker_close(worker);
	pthread_mutex_lock(&engine->lock);
	engine->nr_open--;
	engine->nr_ended++;
	pthread_cond_broadcast(&engine->change);
	pthread_mutex_unlock(&engine->lock);
	return is_open;
}

static void *thread_main(void *arg)
{
	struct worker *worker = arg;
	bool is_open = worker->mem || come(worker);

	leave(worker, is_open, is_open ? work(worker) : 0);
	return NULL;
}

void thread_start(struct engine *engine)
{
	struct worker *worker = &engine->workers[engine->nr_started];
	bool is_new;

	if (engine->nr_started >= engine->max_workers)
		return;
	is_new = !worker->mem;
	if (pthread_create(&worker->thread, NULL, thread_main, worker)) {
		engine->max_workers = engine->nr_started;
		return;
	}
	engine->nr_started++;
	engine->nr_running++;
	engine->nr_open += is_new;
}

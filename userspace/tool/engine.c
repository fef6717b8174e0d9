// SPDX-License-Identifier: GPL-2.0
/*
 * The run of the engine, from the thread that only waits.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine.h"
#include "tool.h"

/* How long workers may take to heed a signal: one may wait for a named pipe, or for a list. */
#define STOP_MS 1000

static unsigned int nr_cpus(void)
{
	long nr = sysconf(_SC_NPROCESSORS_ONLN);

	return nr < 1 ? 1 : nr > WORKERS_MAX ? WORKERS_MAX : (unsigned int)nr;
}

int engine_open(struct engine *engine, const char *hash_name)
{
	unsigned int i;
	int ret;

	*engine = (struct engine){
		.hash_name = hash_name,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.change = PTHREAD_COND_INITIALIZER,
		.max_workers = nr_cpus(),
		.dev = -1,
		.idle = eventfd(0, EFD_CLOEXEC),
	};
	engine->last = &engine->first;
	for (i = 0; i < WORKERS_MAX; i++) {
		engine->workers[i].engine = engine;
		engine->workers[i].scope =
			(struct kscope_scope)KSCOPE_SCOPE_INIT;
	}
	if (engine->idle < 0) {
		ret = -errno;
		message("cannot make an eventfd: %s", strerror(-ret));
		return ret;
	}
	engine->dev = device_open();
	if (engine->dev < 0)
		return engine->dev;
	return worker_open(&engine->workers[0]);
}

/* All are told before the first is waited for. */
static void cancel_all(struct engine *engine)
{
	unsigned int i;

	for (i = 0; i < WORKERS_MAX; i++)
		if (engine->workers[i].mem)
			kscope_cancel_scope(&engine->workers[i].scope, NULL);
}

void engine_close(struct engine *engine)
{
	unsigned int i;

	for (i = 0; i < WORKERS_MAX; i++)
		worker_close(&engine->workers[i]);
	if (engine->dev >= 0)
		kscope_close(engine->dev);
	if (engine->idle >= 0)
		close(engine->idle);
}

/* Return: true if all threads have left */
static bool wait_idle(struct engine *engine, int ms)
{
	struct pollfd fds[2] = { { .fd = engine->idle, .events = POLLIN },
				 { .fd = stop_fd(), .events = POLLIN } };

	while (poll(fds, ms < 0 ? 2 : 1, ms) < 0 && errno == EINTR)
		;
	return fds[0].revents;
}

static int join_all(struct engine *engine)
{
	eventfd_t nr;
	unsigned int i;

	eventfd_read(engine->idle, &nr);
	for (i = 0; i < engine->nr_started; i++)
		pthread_join(engine->workers[i].thread, NULL);
	return stop_signal ? -EINTR : engine->failed;
}

/* A worker that does not come back has what it works with: so nothing is freed before the end. */
static int wait_all(struct engine *engine)
{
	if (wait_idle(engine, -1))
		return join_all(engine);
	cancel_all(engine);
	pthread_cond_broadcast(&engine->change);
	if (!wait_idle(engine, STOP_MS)) {
		progress_clear();
		stop_raise();
	}
	return join_all(engine);
}

/* Signals that ask for an end are for the thread that waits. */
static void start(struct engine *engine)
{
	sigset_t before;

	pthread_sigmask(SIG_BLOCK, stop_set(), &before);
	pthread_mutex_lock(&engine->lock);
	thread_start(engine);
	pthread_mutex_unlock(&engine->lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int engine_run(struct engine *engine, struct source *source)
{
	int ret;

	engine->source = source;
	engine->dry = false;
	engine->nr_started = 0;
	start(engine);
	ret = engine->nr_started ? wait_all(engine) : -EAGAIN;
	progress_clear();
	if (ret)
		jobs_drop(engine);
	return ret;
}

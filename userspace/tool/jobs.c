// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs between the source and the workers.
 *
 * A job is opened by the worker that has taken it, without the lock: that of a named pipe waits for
 * somebody to write. One that cannot be opened yet is held by the worker: it has to wait until
 * files of others are closed, or, on standard input, until the one before has read it to its end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "tool.h"

static void append_job(struct engine *engine, struct job *job)
{
	job->next = NULL;
	*engine->last = job;
	engine->last = &job->next;
	engine->nr_jobs++;
}

static void hand_over(struct engine *engine)
{
	struct job *job;

	while ((job = engine->first) && job->finished) {
		engine->first = job->next;
		if (!engine->first)
			engine->last = &engine->first;
		engine->nr_jobs--;
		engine->source->done(engine->source, job);
	}
}

/* The source's next job that is not finished from the start, or NULL. */
static struct job *pull_job(struct engine *engine)
{
	struct job *job;

	while (!engine->dry && engine->nr_jobs < JOBS_MAX) {
		job = engine->source->next(engine->source);
		if (!job) {
			engine->dry = true;
			break;
		}
		append_job(engine, job);
		if (!job->finished)
			return job;
		hand_over(engine);
	}
	return NULL;
}

static bool is_over(const struct engine *engine)
{
	return stop_signal || engine->failed;
}

/* One more is looked for, and a thread for it. */
static struct job *next_job(struct engine *engine)
{
	struct job *job = engine->ahead ? engine->ahead : pull_job(engine);

	engine->ahead = job ? pull_job(engine) : NULL;
	if (engine->ahead)
		thread_start(engine);
	return job;
}

static void job_over(struct engine *engine, struct job *job)
{
	job->finished = true;
	engine->nr_ended++;
	hand_over(engine);
	pthread_cond_broadcast(&engine->change);
}

static void hold_job(struct worker *worker, struct job *job,
		     unsigned long long seen)
{
	worker->held = job;
	worker->seen = seen;
}

/* Return: is the job taken; if not, it is held */
static bool take_job(struct worker *worker, struct job *job)
{
	struct engine *engine = worker->engine;

	if (input_is_stdin(job) && engine->stdin_busy) {
		hold_job(worker, job, engine->nr_ended);
		return false;
	}
	engine->stdin_busy |= input_is_stdin(job);
	engine->nr_open++;
	return true;
}

static void leave_job(struct engine *engine, const struct job *job)
{
	if (input_is_stdin(job))
		engine->stdin_busy = false;
	engine->nr_open--;
}

/* Return: is it open; if not, it is held or over */
static bool open_job(struct worker *worker, struct job *job)
{
	struct engine *engine = worker->engine;
	unsigned long long seen = engine->nr_ended;
	bool is_open;

	pthread_mutex_unlock(&engine->lock);
	is_open = input_open(job);
	pthread_mutex_lock(&engine->lock);
	if (is_open)
		return true;
	leave_job(engine, job);
	if ((job->err == EMFILE || job->err == ENFILE) &&
	    (engine->nr_open || engine->nr_ended != seen))
		hold_job(worker, job, seen);
	else
		job_over(engine, job);
	return false;
}

struct job *jobs_take(struct worker *worker)
{
	struct engine *engine = worker->engine;
	struct job *job = worker->held;
	struct job *taken = NULL;

	worker->held = NULL;
	pthread_mutex_lock(&engine->lock);
	while (!taken && !worker->held && !is_over(engine)) {
		if (!job)
			job = next_job(engine);
		if (!job)
			break;
		if (take_job(worker, job) && open_job(worker, job))
			taken = job;
		job = NULL;
	}
	pthread_mutex_unlock(&engine->lock);
	return taken;
}

static bool has_to_wait(const struct worker *worker)
{
	const struct engine *engine = worker->engine;

	if (is_over(engine))
		return false;
	if (worker->held)
		return engine->nr_open && worker->seen == engine->nr_ended;
	return !engine->dry && !engine->ahead && engine->nr_jobs >= JOBS_MAX;
}

bool jobs_wait(struct worker *worker)
{
	struct engine *engine = worker->engine;
	bool more;

	pthread_mutex_lock(&engine->lock);
	while (has_to_wait(worker))
		pthread_cond_wait(&engine->change, &engine->lock);
	more = !is_over(engine) &&
	       (worker->held || engine->ahead || !engine->dry);
	pthread_mutex_unlock(&engine->lock);
	return more;
}

void jobs_end(struct worker *worker, struct job *job)
{
	struct engine *engine = worker->engine;

	if (job->complete)
		input_consumed(job, job->hashed);
	input_close(job);
	pthread_mutex_lock(&engine->lock);
	leave_job(engine, job);
	job_over(engine, job);
	pthread_mutex_unlock(&engine->lock);
}

void jobs_progress(struct worker *worker, unsigned int bytes)
{
	struct engine *engine = worker->engine;

	pthread_mutex_lock(&engine->lock);
	engine->bytes += bytes;
	progress_show(engine->bytes);
	pthread_mutex_unlock(&engine->lock);
}

void jobs_drop(struct engine *engine)
{
	struct job *job;

	while ((job = engine->first)) {
		engine->first = job->next;
		input_close(job);
		free(job->name);
		free(job);
	}
	engine->last = &engine->first;
	engine->ahead = NULL;
	engine->nr_jobs = 0;
	engine->nr_open = 0;
	engine->stdin_busy = false;
}

// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "tool.h"

/* One child of each block, READ or one-shot HASH. */
#define READER_CAPACITY (SMALL_MAX + BIG_MAX * LANE_BLOCKS_MAX)

/* ---- Opening and closing ---- */

static unsigned int nr_cpus(void)
{
	long nr = sysconf(_SC_NPROCESSORS_ONLN);

	return nr < 1 ? 1 : nr > BIG_MAX ? BIG_MAX : (unsigned int)nr;
}

static int open_hash(struct engine *engine)
{
	int ret = kscope_hash_open(&engine->reader.scope, engine->hash_name,
				   &engine->digest_size);

	if (ret == -ENOENT)
		message("%s: the kernel has no such hash; see 'name' in /proc/crypto",
			engine->hash_name);
	else if (ret < 0)
		message("%s: %s", engine->hash_name, strerror(-ret));
	if (ret < 0)
		return ret;
	if (engine->digest_size > DIGEST_MAX)
		return -EOVERFLOW;
	engine->reader_hash = ret;
	return 0;
}

static int open_reader(struct engine *engine)
{
	struct feed *reader = &engine->reader;
	int ret;

	reader->batch.descs =
		calloc(READER_CAPACITY, sizeof(struct kscope_desc));
	reader->batch.cap = READER_CAPACITY;
	if (!reader->batch.descs)
		ret = -ENOMEM;
	else
		ret = feed_open(reader, engine->dev, KSCOPE_KIND_PARALLEL,
				READER_CAPACITY);
	if (ret)
		message("cannot create a scope: %s", strerror(-ret));
	return ret;
}

int engine_open(struct engine *engine, const char *hash_name)
{
	int ret;

	*engine = (struct engine){
		.hash_name = hash_name,
		.max_small = memory_max_small(),
		.max_big = nr_cpus(),
		.reader.scope = KSCOPE_SCOPE_INIT,
	};
	engine->last = &engine->first;
	engine->dev = device_open();
	if (engine->dev < 0)
		return engine->dev;
	ret = open_reader(engine);
	if (!ret)
		ret = open_hash(engine);
	return ret;
}

static void cancel_all(struct engine *engine)
{
	unsigned int i;

	if (engine->reader.scope.fd >= 0)
		kscope_cancel_scope(&engine->reader.scope, NULL);
	for (i = 0; i < engine->nr_lanes; i++)
		if (!engine->lanes[i]->small)
			kscope_cancel_scope(&engine->lanes[i]->digester.scope,
					    NULL);
}

/* All are told before the first is waited for. */
void engine_close(struct engine *engine)
{
	unsigned int i;

	cancel_all(engine);
	kscope_scope_close(&engine->reader.scope);
	for (i = 0; i < engine->nr_lanes; i++)
		kscope_scope_close(&engine->lanes[i]->digester.scope);
	memory_close(engine);
	free(engine->reader.batch.descs);
	if (engine->dev >= 0)
		kscope_close(engine->dev);
}

/* ---- Jobs ---- */

static void append_job(struct engine *engine, struct job *job)
{
	job->next = NULL;
	*engine->last = job;
	engine->last = &job->next;
	engine->nr_jobs++;
}

/* The source's next job that needs a lane, or NULL. */
static struct job *pull_job(struct engine *engine, struct source *source)
{
	struct job *job;

	while (!engine->source_dry && engine->nr_jobs < JOBS_MAX) {
		job = source->next(source);
		if (!job) {
			engine->source_dry = true;
			break;
		}
		append_job(engine, job);
		if (!job->finished)
			return job;
	}
	return NULL;
}

static struct job *next_job(struct engine *engine, struct source *source)
{
	struct job *job;

	if (engine->nr_retries)
		return engine->retries[--engine->nr_retries];
	job = engine->waiting ? engine->waiting : pull_job(engine, source);
	engine->waiting = NULL;
	return job;
}

static void put_back(struct engine *engine, struct job *job)
{
	if (engine->waiting)
		engine->retries[engine->nr_retries++] = job;
	else
		engine->waiting = job;
}

/*
 * false: the job has to wait for others to end. Two of them on standard input go one after
 * the other.
 */
static bool open_job(struct engine *engine, struct job *job)
{
	if (input_is_stdin(job) && engine->stdin_busy)
		return false;
	if (input_open(job) || !engine->nr_running)
		return true;
	job->finished = job->err != EMFILE && job->err != ENFILE;
	return job->finished;
}

/* false: it has to wait. */
static bool start_job(struct engine *engine, struct job *job)
{
	struct lane *lane;

	if (job->fd < 0 && !open_job(engine, job))
		return false;
	if (job->finished)
		return true;
	lane = memory_lane(engine, job);
	if (!lane)
		return false;
	if (input_is_stdin(job))
		engine->stdin_busy = true;
	engine->nr_running++;
	lane_start(lane, job);
	return true;
}

static void start_jobs(struct engine *engine, struct source *source)
{
	struct job *job;

	while (!engine->failed && !stop_signal) {
		job = next_job(engine, source);
		if (!job)
			return;
		if (!start_job(engine, job)) {
			put_back(engine, job);
			return;
		}
	}
}

void engine_job_end(struct engine *engine, struct job *job, bool again)
{
	engine->changed = true;
	engine->nr_running--;
	if (again) {
		engine->retries[engine->nr_retries++] = job;
		return;
	}
	if (input_is_stdin(job))
		engine->stdin_busy = false;
	input_close(job);
	job->finished = true;
}

static void hand_over(struct engine *engine, struct source *source)
{
	struct job *job;

	while ((job = engine->first) && job->finished) {
		engine->first = job->next;
		if (!engine->first)
			engine->last = &engine->first;
		engine->nr_jobs--;
		engine->changed = true;
		source->done(source, job);
	}
}

static void drop_jobs(struct engine *engine)
{
	struct job *job;

	while ((job = engine->first)) {
		engine->first = job->next;
		input_close(job);
		free(job->name);
		free(job);
	}
	engine->last = &engine->first;
}

/* ---- The loop ---- */

static void spawn_all(struct engine *engine)
{
	unsigned int i;

	feed_flush(&engine->reader);
	for (i = 0; i < engine->nr_lanes; i++)
		feed_flush(&engine->lanes[i]->digester);
}

static void reap_all(struct engine *engine)
{
	unsigned int i;

	feed_reap(&engine->reader);
	for (i = 0; i < engine->nr_lanes; i++)
		if (engine->lanes[i]->digester.inflight)
			feed_reap(&engine->lanes[i]->digester);
}

struct poll_set {
	struct pollfd fds[2 + 2 * LANES_MAX];
	struct lane *inputs[2 + 2 * LANES_MAX]; /* lane that reads, or NULL */
	unsigned int nr;
};

static void poll_add(struct poll_set *set, int fd, struct lane *input)
{
	set->inputs[set->nr] = input;
	set->fds[set->nr++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

static void poll_prepare(struct engine *engine, struct poll_set *set)
{
	struct lane *lane;
	unsigned int i;

	set->nr = 0;
	poll_add(set, stop_fd(), NULL);
	if (engine->reader.inflight)
		poll_add(set, engine->reader.scope.fd, NULL);
	for (i = 0; i < engine->nr_lanes; i++) {
		lane = engine->lanes[i];
		if (lane->digester.inflight)
			poll_add(set, lane->digester.scope.fd, NULL);
		if (lane_wants_input(lane))
			poll_add(set, lane->job->fd, lane);
	}
}

static void read_inputs(const struct poll_set *set)
{
	unsigned int i;

	for (i = 0; i < set->nr; i++)
		if (set->inputs[i] && set->fds[i].revents)
			lane_input(set->inputs[i]);
}

static int wait_all(struct engine *engine)
{
	struct poll_set set;
	int ret;

	poll_prepare(engine, &set);
	ret = poll(set.fds, set.nr, progress_enabled() ? 100 : -1);
	if (ret < 0 && errno != EINTR)
		return -errno;
	progress_show(engine->bytes);
	if (stop_signal)
		return -EINTR;
	if (ret > 0)
		read_inputs(&set);
	reap_all(engine);
	return 0;
}

/*
 * One turn of the loop; 1 if there is more to do. A job that ends without a wait, because
 * its file or a child was refused, leaves a lane to the next one.
 */
static int engine_turn(struct engine *engine, struct source *source)
{
	int ret;

	do {
		engine->changed = false;
		start_jobs(engine, source);
		spawn_all(engine);
		hand_over(engine, source);
	} while (engine->changed);
	if (engine->failed)
		return engine->failed;
	if (!engine->first && engine->source_dry)
		return 0;
	ret = wait_all(engine);
	return ret ? ret : 1;
}

int engine_run(struct engine *engine, struct source *source)
{
	int ret;

	engine->source_dry = false;
	do {
		ret = engine_turn(engine, source);
	} while (ret > 0);
	progress_clear();
	if (ret)
		drop_jobs(engine);
	return ret;
}

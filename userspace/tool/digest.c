// SPDX-License-Identifier: GPL-2.0
/*
 * The pipeline of a worker: READ pieces, then HASH them.
 *
 * A piece that is all of its input is hashed on its own; else the running digest takes one after
 * the other.
 *
 * Where an input ends is found by reading, never taken from its size. Of the pieces that the size
 * suggests, the last is not full; only where a READ is short exactly at the expected size is that
 * one believed to be the end, so the common case takes no READ in vain. If that is found out after
 * the piece before has gone to the digest, an empty piece ends it. What is beyond, or
 * cannot be read by READ at all, is the business of the last piece (of the only one): in its turn
 * for the digest it is filled and hashed again and again, until there is no more.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "tool.h"

static __u64 block_off(const struct worker *worker, const struct piece *piece)
{
	return (__u64)(piece - worker->pieces) * worker->block;
}

static __u64 digest_off(const struct worker *worker, const struct piece *piece)
{
	return (__u64)worker->nr_blocks * worker->block +
	       (__u64)(piece - worker->pieces) * DIGEST_MAX;
}

static void job_fail(struct job *job, int err)
{
	if (!job->err)
		job->err = err;
}

static void job_put(struct worker *worker, struct job *job)
{
	if (!--job->refs)
		jobs_end(worker, job);
}

/* Will no piece of the job do anything any more? */
static bool job_is_over(const struct job *job)
{
	return job->err || job->complete;
}

static void set_end(struct job *job, __u64 end)
{
	if (end < job->end)
		job->end = end;
}

/* ---- Pieces ---- */

static void job_begin(struct worker *worker, struct job *job)
{
	job->end = ~0ULL;
	job->nr_pieces = job->direct ? 1 : job->size / worker->block + 1;
	job->refs = 1;
	worker->job = job;
}

static void plan_end(struct worker *worker)
{
	struct job *job = worker->job;

	worker->job = NULL;
	job_put(worker, job);
}

/* Return: is there one more */
static bool piece_begin(struct worker *worker, struct piece *piece)
{
	struct job *job = worker->job;

	if (job && (job_is_over(job) || job->direct))
		plan_end(worker);
	if (!worker->job) {
		job = jobs_take(worker);
		if (!job)
			return false;
		job_begin(worker, job);
	}
	job->refs++;
	*piece = (struct piece){
		.job = job,
		.off = job->planned++ * worker->block,
	};
	if (job->planned == job->nr_pieces)
		plan_end(worker);
	return true;
}

static void piece_end(struct worker *worker, struct piece *piece)
{
	struct job *job = piece->job;

	piece->job = NULL;
	job_put(worker, job);
}

/* The one that goes on until the input ends */
static bool piece_is_last(const struct worker *worker,
			  const struct piece *piece)
{
	const struct job *job = piece->job;

	return job->direct ||
	       piece->off >= (job->nr_pieces - 1) * worker->block;
}

/* ---- Reading ---- */

static void prep_read(const struct worker *worker, const struct piece *piece,
		      struct kscope_desc *desc)
{
	const struct job *job = piece->job;

	kscope_prep_read(desc, job->fd, job->base + piece->off + piece->got,
			 worker->buf, block_off(worker, piece) + piece->got,
			 worker->block - piece->got);
}

/* Return: 1 if the block is not full, and there may be more */
static int piece_got(const struct worker *worker, struct piece *piece, __u64 nr)
{
	struct job *job = piece->job;

	piece->got += (unsigned int)nr;
	if (!nr || (!job->direct && piece->off + piece->got == job->size))
		set_end(job, piece->off + piece->got);
	piece->filled = piece->got == worker->block ||
			piece->off + piece->got >= job->end;
	return !piece->filled;
}

static int fill_read(void *arg, __u64 item, unsigned int slot,
		     struct kscope_desc *desc)
{
	struct worker *worker = arg;
	struct piece *piece = &worker->pieces[slot];

	(void)item;
	if (stop_signal)
		return -EINTR;
	if (!piece->job && !piece_begin(worker, piece))
		return 0;
	if (!job_is_over(piece->job) && !piece->job->direct)
		prep_read(worker, piece, desc);
	return 1;
}

/* Of those that READ does not work on, the first piece says so. */
static int read_refused(void *arg, __u64 item, unsigned int slot, int error)
{
	struct worker *worker = arg;
	const struct piece *piece = &worker->pieces[slot];
	struct job *job = piece->job;

	(void)item;
	if (error == -EOPNOTSUPP && !piece->off && !piece->got)
		job->direct = true;
	else if (!job->direct && !job_is_over(job))
		job_fail(job, -error);
	return 0;
}

static int read_done(void *arg, __u64 item, unsigned int slot,
		     const struct kscope_completion *done)
{
	struct worker *worker = arg;
	struct piece *piece = &worker->pieces[slot];
	const struct job *job = piece->job;

	if (done->status)
		return read_refused(arg, item, slot, done->status);
	if (job_is_over(job) || job->direct)
		return 0;
	return piece_got(worker, piece, done->done);
}

/* Wait until there is something to read, or a signal; and read it. */
static ssize_t direct_read(const struct worker *worker,
			   const struct piece *piece)
{
	struct pollfd fds[2] = { { .fd = stop_fd(), .events = POLLIN },
				 { .fd = piece->job->fd, .events = POLLIN } };

	if (poll(fds, 2, -1) < 0 || fds[0].revents) {
		errno = EINTR;
		return -1;
	}
	return read(piece->job->fd,
		    worker->mem + block_off(worker, piece) + piece->got,
		    worker->block - piece->got);
}

static void direct_fill(const struct worker *worker, struct piece *piece)
{
	ssize_t got;

	do {
		got = direct_read(worker, piece);
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			job_fail(piece->job, errno);
	} while (!stop_signal && !piece->job->err &&
		 (got < 0 || piece_got(worker, piece, (__u64)got)));
}

/* ---- Hashing ---- */

static bool is_at_end(const struct piece *piece)
{
	return piece->off + piece->got >= piece->job->end;
}

static void prep_hash(const struct worker *worker, struct piece *piece,
		      struct kscope_desc *desc)
{
	unsigned int flags = piece->job->hashed ? 0 : KSCOPE_HASH_FIRST;

	piece->closes = is_at_end(piece);
	if (piece->closes)
		flags |= KSCOPE_HASH_LAST;
	kscope_prep_hash(desc, worker->hash, flags, worker->buf,
			 block_off(worker, piece), piece->got, worker->buf,
			 digest_off(worker, piece));
}

/* An input that is in one block needs no running digest, and waits for no other. */
static int fill_whole(void *arg, __u64 item, unsigned int slot,
		      struct kscope_desc *desc)
{
	struct worker *worker = arg;
	struct piece *piece = &worker->pieces[slot];

	(void)item;
	if (job_is_over(piece->job) || !piece->filled || piece->off ||
	    !is_at_end(piece))
		return 0;
	prep_hash(worker, piece, desc);
	return 1;
}

/* In the turn of a piece that is not filled yet: fill it. Return: 1 if a child does so */
static int fill_now(struct worker *worker, struct piece *piece,
		    struct kscope_desc *desc)
{
	if (piece->job->direct) {
		direct_fill(worker, piece);
		return 0;
	}
	prep_read(worker, piece, desc);
	return 1;
}

static int fill_hash(void *arg, __u64 item, unsigned int slot,
		     struct kscope_desc *desc)
{
	struct worker *worker = arg;
	struct piece *piece = &worker->pieces[slot];

	(void)item;
	if (!job_is_over(piece->job) && !piece->filled &&
	    fill_now(worker, piece, desc))
		return 1;
	if (stop_signal)
		return -EINTR;
	if (job_is_over(piece->job)) {
		piece_end(worker, piece);
		return 0;
	}
	prep_hash(worker, piece, desc);
	return 1;
}

static void piece_hashed(struct worker *worker, struct piece *piece)
{
	struct job *job = piece->job;

	job->hashed += piece->got;
	jobs_progress(worker, piece->got);
	if (!piece->closes)
		return;
	memcpy(job->digest, worker->mem + digest_off(worker, piece),
	       worker->engine->digest_size);
	job->complete = true;
}

static int whole_done(void *arg, __u64 item, unsigned int slot,
		      const struct kscope_completion *done)
{
	struct worker *worker = arg;
	struct piece *piece = &worker->pieces[slot];

	(void)item;
	if (done->status)
		job_fail(piece->job, -done->status);
	else
		piece_hashed(worker, piece);
	return 0;
}

/* Return: 1 if the piece goes on with what comes next in the input */
static int piece_leave(struct worker *worker, struct piece *piece)
{
	if (!piece->job->complete && piece_is_last(worker, piece)) {
		piece->off += piece->got;
		piece->got = 0;
		piece->filled = false;
		return 1;
	}
	piece_end(worker, piece);
	return 0;
}

static int hash_done(void *arg, __u64 item, unsigned int slot,
		     const struct kscope_completion *done)
{
	struct worker *worker = arg;
	struct piece *piece = &worker->pieces[slot];

	(void)item;
	if (done->status) {
		job_fail(piece->job, -done->status);
		return 1;
	}
	if (!piece->filled) {
		piece_got(worker, piece, done->done);
		return 1;
	}
	piece_hashed(worker, piece);
	return piece_leave(worker, piece);
}

static int whole_refused(void *arg, __u64 item, unsigned int slot, int error)
{
	struct worker *worker = arg;

	(void)item;
	job_fail(worker->pieces[slot].job, -error);
	return 0;
}

/* It comes to its end in fill_hash(). */
static int hash_refused(void *arg, __u64 item, unsigned int slot, int error)
{
	return whole_refused(arg, item, slot, error) + 1;
}

static const struct kscope_stage stages[] = {
	{ .fill = fill_read, .done = read_done, .refused = read_refused },
	{ .fill = fill_whole, .done = whole_done, .refused = whole_refused },
	{ .fill = fill_hash,
	  .done = hash_done,
	  .refused = hash_refused,
	  .in_order = 1 },
};

int worker_run(struct worker *worker)
{
	const struct kscope_pipeline pipeline = {
		.stages = stages,
		.nr_stages = ARRAY_SIZE(stages),
		.slots = worker->nr_blocks,
		.arg = worker,
	};

	return kscope_pipeline(&worker->scope, &pipeline, NULL);
}

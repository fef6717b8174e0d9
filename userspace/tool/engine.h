/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The engine behind `kscope sum`: digests of many inputs, in parallel, in bounded memory.
 *
 * A job is one input. Workers, threads as many as there are processors, take jobs one after the
 * other. Each has a scope, and a ring of blocks that is pinned there, and runs a pipeline
 * (kscope_pipeline()) over the pieces of its jobs: READ them into blocks, ahead and side by
 * side, and take them into a running digest with HASH, in order. The pieces of the next jobs
 * follow those of the one before, so small files are read ahead like large ones.
 *
 * Jobs are taken from a source, and handed back to it, in order, by whichever worker has just
 * ended one. The thread that runs the engine only waits, for the workers or for a signal; so a
 * signal is heeded at once, whatever workers wait for.
 */
#ifndef KSCOPE_TOOL_ENGINE_H
#define KSCOPE_TOOL_ENGINE_H

#include <pthread.h>
#include <stdbool.h>

#include "kscope.h"

#define DIGEST_MAX 64
#define BLOCKS_MAX 16
#define WORKERS_MAX 16
#define JOBS_MAX 1024 /* begun or finished, and not yet handed over */

/**
 * struct job - one input and its digest
 * @next: the one after it, in order; the engine's
 * @name: file name, or "-" for standard input
 * @fd: open file, or -1; the engine's
 * @finished: there is a result; a source may hand out finished jobs
 * @direct: READ does not work on it, read() does
 * @err: 0 if @digest is valid, or an errno value
 * @base: where in the file the input starts
 * @size: bytes that are expected, for planning only
 * @end: no byte is known to be behind that one; ~0 if nothing is known
 * @nr_pieces: how many to plan
 * @planned: how many there are so far
 * @refs: those of them that are in the pipeline, and one as long as there may be more
 * @hashed: bytes that the digest has
 * @complete: it has all
 * @digest: the result
 * @expected: for the source
 * @line: for the source
 */
struct job {
	struct job *next;
	char *name;
	int fd;
	bool finished;
	bool direct;
	int err;
	__u64 base;
	__u64 size;
	__u64 end;
	__u64 nr_pieces;
	__u64 planned;
	unsigned int refs;
	__u64 hashed;
	bool complete;
	unsigned char digest[DIGEST_MAX];
	unsigned char expected[DIGEST_MAX];
	unsigned long long line;
};

/**
 * struct source - where jobs come from and where results go; called by one thread at a time
 * @next: a new job with a name, from malloc(), or NULL if there are no more
 * @done: a job's result, in the order of @next; the source frees it
 */
struct source {
	struct job *(*next)(struct source *source);
	void (*done)(struct source *source, struct job *job);
};

/* A block, and what is in it: bytes @off ... @off + @got of the input of a job */
struct piece {
	struct job *job; /* NULL: the slot is free */
	__u64 off;
	unsigned int got;
	bool filled; /* it is the digest's turn */
	bool closes; /* so its HASH is told: it ends the digest */
};

/**
 * struct worker - a thread of the engine, and its pipeline
 * @engine: of which it is a part
 * @thread: while there is a run
 * @scope: its children's
 * @mem: the blocks, and where digests go behind them; NULL if the worker was never needed
 * @len: bytes at @mem
 * @nr_blocks: as many pieces at a time
 * @block: their length
 * @buf: handle of @mem
 * @hash: handle of the hash
 * @pieces: one for each slot of the pipeline
 * @job: of which the next piece will be
 * @held: a job that has to wait until another one has ended
 * @seen: how many had ended when that was found out
 */
struct worker {
	struct engine *engine;
	pthread_t thread;
	struct kscope_scope scope;
	unsigned char *mem;
	size_t len;
	unsigned int nr_blocks;
	unsigned int block;
	int buf;
	int hash;
	struct piece pieces[BLOCKS_MAX];
	struct job *job;
	struct job *held;
	unsigned long long seen;
};

/**
 * struct engine - what the workers share; from @source on under @lock
 * @dev: fd of the device
 * @idle: eventfd: all threads have left
 * @hash_name: of the kernel's hash
 * @digest_size: its bytes
 * @workers: they are kept from one run to the next; the first one has to be
 * @lock: held while the source is called
 * @change: a job has ended, or no more will come
 * @source: of this run
 * @dry: it has no more jobs
 * @max_workers: lowered when one cannot be had
 * @nr_started: threads of this run
 * @nr_running: those of them that have not left
 * @first: jobs in order
 * @last: where the next one goes
 * @ahead: one of them that nobody has taken
 * @nr_jobs: how many
 * @nr_open: those of them that workers have begun; and workers that are being made
 * @nr_ended: of either, so far
 * @stdin_busy: one of those that are open is standard input
 * @failed: -errno that ends the run
 * @bytes: digested so far
 */
struct engine {
	int dev;
	int idle;
	const char *hash_name;
	unsigned int digest_size;
	struct worker workers[WORKERS_MAX];
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct source *source;
	bool dry;
	unsigned int max_workers;
	unsigned int nr_started;
	unsigned int nr_running;
	struct job *first;
	struct job **last;
	struct job *ahead;
	unsigned int nr_jobs;
	unsigned int nr_open;
	unsigned long long nr_ended;
	bool stdin_busy;
	int failed;
	unsigned long long bytes;
};

/* ---- engine.c ---- */

/* Returns 0 or -errno, after a message. engine_close() is due in any case. */
int engine_open(struct engine *engine, const char *hash_name);
void engine_close(struct engine *engine);

/* Run all jobs of the source. 0; -EINTR after a stop signal; -errno. */
int engine_run(struct engine *engine, struct source *source);

/* ---- jobs.c ---- */

/*
 * The next job for the worker, which is open. NULL: there is none, or it has to wait, and so has
 * the worker, once it has nothing else to do.
 */
struct job *jobs_take(struct worker *worker);

/* Wait until there may be one. false: there will be none. */
bool jobs_wait(struct worker *worker);

/* The worker has done with a job. */
void jobs_end(struct worker *worker, struct job *job);

/* It has that much more of it in the digest. */
void jobs_progress(struct worker *worker, unsigned int bytes);

/* Without a worker: forget those that are left after a run that has failed. */
void jobs_drop(struct engine *engine);

/* ---- thread.c ---- */

/* Start one more thread; with the lock held. Without room for it, do with those there are. */
void thread_start(struct engine *engine);

/* ---- worker.c ---- */

/* Give the worker a scope and memory. 0 or -errno; the first one says why. */
int worker_open(struct worker *worker);
void worker_close(struct worker *worker);

/* ---- digest.c ---- */

/* Take jobs until jobs_take() gives none. 0 or -errno. */
int worker_run(struct worker *worker);

/* ---- input.c ---- */

/* Open the job's file and find out what it is. false, and its err, if that fails. */
bool input_open(struct job *job);
void input_close(struct job *job);
bool input_is_stdin(const struct job *job);

/* After @bytes of it were read: leave standard input's file offset behind them. */
void input_consumed(const struct job *job, __u64 bytes);

#endif /* KSCOPE_TOOL_ENGINE_H */

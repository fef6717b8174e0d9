/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The engine behind `kscope sum`: digests of many inputs, in parallel, in bounded
 * memory.
 *
 * A job is one input. A lane is pinned memory, cut into blocks, and works on one job at
 * a time. READ children of all the lanes run side by side in one parallel scope, the
 * reader. There are two kinds of lane:
 *
 *   small  one block, for a file that fits in it: READ, then a one-shot HASH, both in
 *          the reader
 *   big    several blocks, for all else: pieces of the input are READ ahead into free
 *          blocks, while HASH children of the lane's own ordered scope, the
 *          digester, take them into a running digest. It has its memory pinned
 *          a second time, for reading only
 *
 * What READ does not work on (pipes, terminals, /proc) is read by the engine itself
 * into the blocks of a big lane: a direct job.
 *
 * All is driven by one thread that polls the scopes. Results are handed over in the
 * order of the jobs.
 */
#ifndef KSCOPE_TOOL_ENGINE_H
#define KSCOPE_TOOL_ENGINE_H

#include <stdbool.h>

#include "kscope.h"

#define DIGEST_MAX 64
#define LANE_BLOCKS_MAX 4
#define SMALL_BLOCK 16384U
#define SMALL_GROUP 8 /* small lanes are made and pinned by so many */
#define SMALL_MAX 64
#define BIG_MAX 16
#define LANES_MAX (SMALL_MAX + BIG_MAX)
#define JOBS_MAX 1024 /* begun or finished, and not yet handed over */

/**
 * struct job - one input and its digest
 * @next: the one after it, in order; the engine's
 * @name: file name, or "-" for standard input
 * @fd: open file, or -1; the engine's
 * @finished: there is a result; a source may hand out finished jobs
 * @big: does not fit in a small lane
 * @direct: READ does not work on it
 * @err: 0 if @digest is valid, or an errno value
 * @base: where in the file the input starts
 * @size: bytes that are expected, for planning only
 * @digest: the result
 * @expected: for the source
 * @line: for the source
 */
struct job {
	struct job *next;
	char *name;
	int fd;
	bool finished;
	bool big;
	bool direct;
	int err;
	__u64 base;
	__u64 size;
	unsigned char digest[DIGEST_MAX];
	unsigned char expected[DIGEST_MAX];
	unsigned long long line;
};

/**
 * struct source - where jobs come from and where results go
 * @next: a new job with a name, from malloc(), or NULL if there are no more
 * @done: a job's result, in the order of @next; the source frees it
 */
struct source {
	struct job *(*next)(struct source *source);
	void (*done)(struct source *source, struct job *job);
};

/* A scope with the descriptors that wait to be spawned in it. */
struct feed {
	struct kscope_scope scope;
	struct kscope_batch batch;
	unsigned int inflight; /* children, from queueing to completion */
};

enum block_state {
	BLOCK_FREE,
	BLOCK_FILLING, /* READ children, or the engine, put data in */
	BLOCK_READY,
	BLOCK_HASHING,
};

struct block {
	struct lane *lane;
	enum block_state state;
	__u64 piece; /* number of the piece of the input, from 0 */
	unsigned int fill; /* valid bytes */
};

/**
 * struct lane - memory that works on one job at a time
 * @engine: of which it is a part
 * @job: NULL if idle
 * @small: one block, no digester
 * @nr_blocks: how many of @blocks there are
 * @block_size: their length
 * @blocks: block i holds pieces i, i + nr_blocks, ...
 * @mem: the blocks
 * @digest: where HASH puts the digest
 * @read_buf: buffer in the reader that holds @mem, at @read_off
 * @hasher: the digester, or the reader for a small lane
 * @digester: feed of a big lane
 * @descs: its descriptors
 * @hash: handle in the hasher's scope
 * @hash_buf: buffer in that scope that holds @mem, at @hash_off
 * @out_buf: buffer in that scope that holds @digest, at @out_off
 * @next_read: piece to read next
 * @next_hash: piece to hash next
 * @end_known: @end is valid
 * @end: the last piece
 * @reading: READ children in flight
 * @inflight: READ and HASH children in flight
 * @finished: the digest is complete
 * @again: the job has to start over in another lane
 * @err: the job failed; errno value
 */
struct lane {
	struct engine *engine;
	struct job *job;
	bool small;
	unsigned int nr_blocks;
	unsigned int block_size;
	struct block blocks[LANE_BLOCKS_MAX];
	unsigned char *mem;
	unsigned char *digest;
	int read_buf;
	__u64 read_off;
	struct feed *hasher;
	struct feed digester;
	struct kscope_desc descs[2 * LANE_BLOCKS_MAX];
	int hash;
	int hash_buf;
	__u64 hash_off;
	int out_buf;
	__u64 out_off;

	__u64 next_read;
	__u64 next_hash;
	bool end_known;
	__u64 end;
	unsigned int reading;
	unsigned int inflight;
	bool finished;
	bool again;
	int err;
};

/* Memory of one big lane or of a group of small ones. */
struct region {
	struct region *next;
	void *mem;
	size_t len;
};

struct engine {
	int dev;
	const char *hash_name;
	unsigned int digest_size;
	struct feed reader;
	int reader_hash;
	struct lane *lanes[LANES_MAX];
	unsigned int nr_lanes;
	unsigned int nr_small;
	unsigned int nr_big;
	unsigned int max_small; /* lowered when memory cannot be had */
	unsigned int max_big;
	struct region *regions;

	struct job *first; /* jobs in order */
	struct job **last;
	unsigned int nr_jobs;
	unsigned int nr_running; /* jobs on a lane */
	struct job *waiting; /* the next job to get a lane */
	struct job *retries[LANES_MAX]; /* those before it */
	unsigned int nr_retries;
	bool source_dry;
	bool stdin_busy;
	bool changed; /* a job ended: another one may start */
	int failed; /* -errno that ends the engine */
	unsigned long long bytes; /* digested so far */
};

/* ---- engine.c ---- */

/* Returns 0 or -errno, after a message. engine_close() is due in any case. */
int engine_open(struct engine *engine, const char *hash_name);
void engine_close(struct engine *engine);

/* Run all jobs of the source. 0; -EINTR after a stop signal; -errno. */
int engine_run(struct engine *engine, struct source *source);

/* A lane has finished its job or wants it to start over. */
void engine_job_end(struct engine *engine, struct job *job, bool again);

/* ---- input.c ---- */

/* Open the job's file and find out what it is. false: the job is finished. */
bool input_open(struct job *job);
void input_close(struct job *job);
bool input_is_stdin(const struct job *job);

/* After @bytes of it were read: leave standard input's file offset behind them. */
void input_consumed(const struct job *job, __u64 bytes);

/* ---- feed.c ---- */

int feed_open(struct feed *feed, int dev, unsigned int kind,
	      unsigned int capacity);

/* Queue a child that works on the block; never fails. */
struct kscope_desc *feed_get(struct feed *feed, struct block *block);

/* Spawn what is queued. A child that is refused ends at once with that error. */
void feed_flush(struct feed *feed);

/* Tell the lanes of all children that ended. */
void feed_reap(struct feed *feed);

/* ---- lane.c ---- */

void lane_start(struct lane *lane, struct job *job);

/* A child of the block ended; @done is valid if @status is 0. */
void lane_child_ended(struct block *block, int status, __u64 done);

/* Does it want to read() its job's file? Then do, once. */
bool lane_wants_input(const struct lane *lane);
void lane_input(struct lane *lane);

/* ---- memory.c ---- */

/* An idle lane for the job, made if need be, or NULL if it has to wait. */
struct lane *memory_lane(struct engine *engine, const struct job *job);
void memory_close(struct engine *engine);

/* How many small lanes there may be. */
unsigned int memory_max_small(void);

#endif /* KSCOPE_TOOL_ENGINE_H */

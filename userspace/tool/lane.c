// SPDX-License-Identifier: GPL-2.0
/*
 * How a lane takes its job from the first READ to the digest.
 *
 * Piece n of the input is the bytes from n * block_size on, and goes through block
 * n % nr_blocks: FREE -> FILLING -> READY -> HASHING -> FREE. READs may end in any
 * order; HASHes are queued in the order of the pieces, and the digester keeps it.
 *
 * Where the input ends is found by reading, never taken from its size: the last piece is
 * the one in which a READ returned no bytes. Only where a READ is short exactly at the
 * expected size is that one believed to be at the end; so the common case takes no
 * READ in vain.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

static unsigned char *block_mem(const struct block *block)
{
	const struct lane *lane = block->lane;

	return lane->mem + (size_t)(block - lane->blocks) * lane->block_size;
}

static __u64 block_off(const struct block *block)
{
	const struct lane *lane = block->lane;

	return (__u64)(block - lane->blocks) * lane->block_size;
}

static struct block *block_of_piece(struct lane *lane, __u64 piece)
{
	return &lane->blocks[piece % lane->nr_blocks];
}

/* Where in the input the block's valid bytes end. */
static __u64 block_end(const struct block *block)
{
	return block->piece * block->lane->block_size + block->fill;
}

static void lane_fail(struct lane *lane, int err)
{
	if (!lane->err)
		lane->err = err;
}

static void set_end(struct lane *lane, __u64 piece)
{
	if (!lane->end_known || piece < lane->end)
		lane->end = piece;
	lane->end_known = true;
}

/* ---- Reading ahead ---- */

static void queue_read(struct block *block)
{
	struct lane *lane = block->lane;
	struct feed *reader = &lane->engine->reader;
	struct kscope_desc *desc = feed_get(reader, block);

	kscope_prep_read(desc, lane->job->fd,
			 lane->job->base + block_end(block), lane->read_buf,
			 lane->read_off + block_off(block) + block->fill,
			 lane->block_size - block->fill);
	desc->user_data = (uintptr_t)block;
	lane->reading++;
}

/*
 * Up to the expected size, as many READs as there are blocks; past it only one at a
 * time, as there is probably nothing.
 */
static bool may_read(const struct lane *lane)
{
	__u64 off = lane->next_read * lane->block_size;

	return !lane->end_known && (off < lane->job->size || !lane->reading);
}

static void block_begin(struct block *block, __u64 piece)
{
	block->state = BLOCK_FILLING;
	block->piece = piece;
	block->fill = 0;
}

static void lane_read(struct lane *lane)
{
	struct block *block = block_of_piece(lane, lane->next_read);

	while (block->state == BLOCK_FREE && may_read(lane)) {
		block_begin(block, lane->next_read++);
		queue_read(block);
		block = block_of_piece(lane, lane->next_read);
	}
}

/* A small lane has room for one piece only, and needs to see its end. */
static void block_full(struct block *block)
{
	block->state = BLOCK_READY;
	if (block->lane->small) {
		block->lane->job->big = true;
		block->lane->again = true;
	}
}

static void block_filled(struct block *block, unsigned int done)
{
	struct lane *lane = block->lane;

	block->fill += done;
	if (block->fill == lane->block_size) {
		block_full(block);
	} else if (!done || block_end(block) == lane->job->size) {
		block->state = BLOCK_READY;
		set_end(lane, block->piece);
	} else if (!lane->err) {
		queue_read(block);
	}
}

static void read_ended(struct block *block, int status, __u64 done)
{
	struct lane *lane = block->lane;

	lane->reading--;
	if (lane->again)
		return;
	if (status == -EOPNOTSUPP && !lane->next_hash) {
		lane->job->direct = true;
		lane->again = true;
	} else if (status || done > lane->block_size - block->fill) {
		lane_fail(lane, status ? -status : EIO);
	} else {
		block_filled(block, (unsigned int)done);
	}
}

/* ---- Hashing ---- */

static bool block_is_last(const struct block *block)
{
	return block->lane->end_known && block->piece == block->lane->end;
}

static void queue_hash(struct block *block)
{
	struct lane *lane = block->lane;
	struct kscope_desc *desc = feed_get(lane->hasher, block);
	unsigned int flags = 0;

	if (!block->piece)
		flags |= KSCOPE_HASH_FIRST;
	if (block_is_last(block))
		flags |= KSCOPE_HASH_LAST;
	kscope_prep_hash(desc, lane->hash, flags, lane->hash_buf,
			 lane->hash_off + block_off(block), block->fill,
			 lane->out_buf, lane->out_off);
	desc->user_data = (uintptr_t)block;
	block->state = BLOCK_HASHING;
}

static void lane_hash(struct lane *lane)
{
	struct block *block = block_of_piece(lane, lane->next_hash);

	while (block->state == BLOCK_READY &&
	       !(lane->end_known && lane->next_hash > lane->end)) {
		queue_hash(block);
		block = block_of_piece(lane, ++lane->next_hash);
	}
}

static void hash_ended(struct block *block, int status, __u64 done)
{
	struct lane *lane = block->lane;

	block->state = BLOCK_FREE;
	if (status || done != block->fill) {
		lane_fail(lane, status ? -status : EIO);
		return;
	}
	lane->engine->bytes += done;
	if (!block_is_last(block))
		return;
	memcpy(lane->job->digest, lane->digest, lane->engine->digest_size);
	lane->finished = true;
}

/* ---- From job to job ---- */

static void lane_end(struct lane *lane)
{
	struct job *job = lane->job;

	if (lane->finished && !lane->err)
		input_consumed(job,
			       lane->end * lane->block_size +
				       block_of_piece(lane, lane->end)->fill);
	job->err = lane->err;
	lane->job = NULL;
	engine_job_end(lane->engine, job, lane->again && !lane->err);
}

/* Go on as far as it goes; let the job go when no child works for it any more. */
static void lane_advance(struct lane *lane)
{
	bool over = lane->err || lane->again || lane->finished;

	if (!over) {
		lane_hash(lane);
		if (!lane->job->direct)
			lane_read(lane);
	} else if (!lane->inflight) {
		lane_end(lane);
	}
}

void lane_start(struct lane *lane, struct job *job)
{
	unsigned int i;

	lane->job = job;
	for (i = 0; i < lane->nr_blocks; i++)
		lane->blocks[i].state = BLOCK_FREE;
	lane->next_read = 0;
	lane->next_hash = 0;
	lane->end_known = false;
	lane->end = 0;
	lane->finished = false;
	lane->again = false;
	lane->err = 0;
	lane_advance(lane);
}

void lane_child_ended(struct block *block, int status, __u64 done)
{
	struct lane *lane = block->lane;

	lane->inflight--;
	if (block->state == BLOCK_HASHING)
		hash_ended(block, status, done);
	else
		read_ended(block, status, done);
	lane_advance(lane);
}

/* ---- Direct jobs ---- */

bool lane_wants_input(const struct lane *lane)
{
	const struct block *block =
		&lane->blocks[lane->next_read % lane->nr_blocks];

	return lane->job && lane->job->direct && !lane->err && !lane->again &&
	       !lane->end_known &&
	       (block->state == BLOCK_FREE || block->state == BLOCK_FILLING);
}

static void input_ended(struct block *block, ssize_t got)
{
	struct lane *lane = block->lane;

	block->fill += (unsigned int)got;
	if (got && block->fill < lane->block_size)
		return;
	block->state = BLOCK_READY;
	lane->next_read++;
	if (!got)
		set_end(lane, block->piece);
}

void lane_input(struct lane *lane)
{
	struct block *block = block_of_piece(lane, lane->next_read);
	ssize_t got;

	if (block->state == BLOCK_FREE)
		block_begin(block, lane->next_read);
	got = read(lane->job->fd, block_mem(block) + block->fill,
		   lane->block_size - block->fill);
	if (got >= 0)
		input_ended(block, got);
	else if (errno != EINTR && errno != EAGAIN)
		lane_fail(lane, errno);
	lane_advance(lane);
}

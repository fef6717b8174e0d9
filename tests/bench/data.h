/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Work on memory: each round takes the next pieces of a big buffer, all of the same
 * size, and does the same with each. The memory is shared by the processes that
 * measure.
 */
#ifndef KSCOPE_BENCH_DATA_H
#define KSCOPE_BENCH_DATA_H

#include "bench.h"
#include "kscope_util.h"

#define DATA_BYTES (256UL << 20)
#define DATA_MAX_PIECES 4096U
#define DATA_DIGEST 32UL
#define DATA_PERIOD (1UL << 20)
#define DATA_MIN_PIECE 64UL

/*
 * struct data - what all of the processes work on
 * @from: DATA_BYTES to read; the same each DATA_PERIOD
 * @to: DATA_BYTES to copy to
 * @digests: of the pieces of a round
 * @right_crcs: of the pieces of a period
 * @right_digests: likewise
 */
struct data {
	__u8 *from;
	__u8 *to;
	__u8 (*digests)[DATA_DIGEST];
	__u32 right_crcs[DATA_PERIOD / DATA_MIN_PIECE];
	__u8 right_digests[DATA_PERIOD / DATA_MIN_PIECE][DATA_DIGEST];
};

extern struct data data;

/*
 * struct window - the pieces of a round
 * @piece: bytes of one
 * @off: where the first one starts in data.from
 * @nr: how many there are
 * @crcs: of each of them
 */
struct window {
	size_t piece;
	size_t off;
	unsigned int nr;
	__u32 crcs[DATA_MAX_PIECES];
};

/* Handles of the memory in a scope */
struct data_bufs {
	int from;
	int to;
	int digests;
	int hash;
};

/*
 * struct data_op - what is done with each piece
 * @round_bytes: as much is done in one round, if there are not too many pieces
 * @run: in user space, with piece @index of the window
 * @prep: the same as a child; user_data is set by the caller
 * @clear: makes a result that stayed away be seen
 * @check: the results of the window; ends the program if one is wrong
 */
struct data_op {
	const char *name;
	size_t round_bytes;
	void (*run)(struct window *window, unsigned int index);
	void (*prep)(struct kscope_desc *desc, const struct data_bufs *bufs,
		     const struct window *window, unsigned int index);
	void (*clear)(struct window *window);
	void (*check)(const struct window *window);
};

extern const struct data_op data_copy, data_copy8, data_crc32c, data_sha256;

/* Gets everything ready for pieces of that size, which divides DATA_PERIOD. */
void data_init(size_t piece);

/* Maps all of the memory into this process, so that no access has to. */
void data_map(void);

/* Goes on to the next pieces. */
void window_next(struct window *window);

static inline size_t window_at(const struct window *window, unsigned int index)
{
	return window->off + index * window->piece;
}

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on memory: FILL, COPY, COMPARE, XOR, CRC32C.
 *
 * Each is a function on one piece, which is mapped in one go; walk() does the rest.
 */
#include <linux/crc32c.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <crypto/algapi.h>

#include "compat.h"
#include "internal.h"

/**
 * struct piece - a part of the ranges of a child
 * @mem: where it is mapped, for each range
 * @len: bytes
 * @pos: where it starts in the ranges
 * @acc: what the operation carries from piece to piece
 */
struct piece {
	void *mem[KSCOPE_MAX_RANGES];
	size_t len;
	u64 pos;
	u64 acc;
};

/* Return: how many bytes are done; less than the piece's len ends the walk */
typedef size_t (*piece_fn)(struct piece *piece);

static int walk(struct kscope_child *child, struct piece *piece, piece_fn fn)
{
	const struct kscope_desc *desc = kscope_child_desc(child);
	bool two = child->op->nr_ranges == 2;
	size_t done;
	int ret;

	while (piece->pos < desc->len) {
		ret = kscope_child_checkpoint(child, piece->pos);
		if (ret)
			return ret;
		piece->len = min_t(u64, desc->len - piece->pos, KSCOPE_STEP);
		piece->mem[0] =
			kscope_child_map(child, 0, piece->pos, &piece->len);
		if (two)
			piece->mem[1] = kscope_child_map(child, 1, piece->pos,
							 &piece->len);
		done = fn(piece);
		if (two)
			kscope_child_unmap(piece->mem[1]);
		kscope_child_unmap(piece->mem[0]);
		piece->pos += done;
		if (done < piece->len)
			break;
	}
	kscope_child_progress(child, piece->pos);
	return 0;
}

static size_t fill_piece(struct piece *piece)
{
	u64 pattern = ror64(piece->acc, 8 * (piece->pos % 8));
	u8 *mem = piece->mem[0];
	size_t i;

	for (i = 0; i + 8 <= piece->len; i += 8)
		put_unaligned_le64(pattern, mem + i);
	for (; i < piece->len; i++)
		mem[i] = pattern >> (8 * (i % 8));
	return piece->len;
}

static int fill_run(struct kscope_child *child)
{
	struct piece piece = { .acc = kscope_child_desc(child)->pattern };

	return walk(child, &piece, fill_piece);
}

struct kscope_op kscope_op_fill = {
	.name = "fill",
	.owner = THIS_MODULE,
	.number = KSCOPE_OP_FILL,
	.nr_ranges = 1,
	.uses_arg = true,
	.access = { KSCOPE_ACCESS_WRITE },
	.run = fill_run,
};

static size_t copy_piece(struct piece *piece)
{
	memcpy(piece->mem[1], piece->mem[0], piece->len);
	return piece->len;
}

static int copy_run(struct kscope_child *child)
{
	struct piece piece = {};

	return walk(child, &piece, copy_piece);
}

struct kscope_op kscope_op_copy = {
	.name = "copy",
	.owner = THIS_MODULE,
	.number = KSCOPE_OP_COPY,
	.nr_ranges = 2,
	.access = { KSCOPE_ACCESS_READ, KSCOPE_ACCESS_WRITE },
	.run = copy_run,
};

static size_t compare_piece(struct piece *piece)
{
	const u8 *a = piece->mem[0];
	const u8 *b = piece->mem[1];
	size_t i = 0;

	if (!memcmp(a, b, piece->len))
		return piece->len;
	piece->acc = 1;
	/* The owner may write meanwhile: the difference may be gone, the end is not. */
	while (i < piece->len - 1 && a[i] == b[i])
		i++;
	return i;
}

static int compare_run(struct kscope_child *child)
{
	struct piece piece = {};
	int ret = walk(child, &piece, compare_piece);

	kscope_child_set_value(child, piece.acc);
	return ret;
}

struct kscope_op kscope_op_compare = {
	.name = "compare",
	.owner = THIS_MODULE,
	.number = KSCOPE_OP_COMPARE,
	.nr_ranges = 2,
	.access = { KSCOPE_ACCESS_READ, KSCOPE_ACCESS_READ },
	.run = compare_run,
};

static size_t xor_piece(struct piece *piece)
{
	crypto_xor(piece->mem[1], piece->mem[0], piece->len);
	return piece->len;
}

static int xor_run(struct kscope_child *child)
{
	struct piece piece = {};

	return walk(child, &piece, xor_piece);
}

struct kscope_op kscope_op_xor = {
	.name = "xor",
	.owner = THIS_MODULE,
	.number = KSCOPE_OP_XOR,
	.nr_ranges = 2,
	.access = { KSCOPE_ACCESS_READ,
		    KSCOPE_ACCESS_READ | KSCOPE_ACCESS_WRITE },
	.run = xor_run,
};

static size_t crc32c_piece(struct piece *piece)
{
	piece->acc = crc32c(piece->acc, piece->mem[0], piece->len);
	return piece->len;
}

static int crc32c_check(const struct kscope_desc *desc)
{
	return desc->seed > U32_MAX ? -EINVAL : 0;
}

static int crc32c_run(struct kscope_child *child)
{
	struct piece piece = { .acc = ~(u32)kscope_child_desc(child)->seed };
	int ret = walk(child, &piece, crc32c_piece);

	kscope_child_set_value(child, ~(u32)piece.acc);
	return ret;
}

struct kscope_op kscope_op_crc32c = {
	.name = "crc32c",
	.owner = THIS_MODULE,
	.number = KSCOPE_OP_CRC32C,
	.nr_ranges = 1,
	.uses_arg = true,
	.access = { KSCOPE_ACCESS_READ },
	.check = crc32c_check,
	.run = crc32c_run,
};

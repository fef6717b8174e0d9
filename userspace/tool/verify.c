// SPDX-License-Identifier: GPL-2.0
/* Comparing what was copied: a pipeline of two READs and a COMPARE, over pairs of blocks. */
#include <errno.h>
#include <string.h>

#include "copy.h"
#include "tool.h"

/* @got: bytes of each side that are in the pair of blocks */
struct pair {
	__u64 off;
	unsigned int len;
	unsigned int got[2];
	int fd;
};

struct verify {
	struct copier *copier;
	struct side *sides[2];
	struct pair pairs[COPY_BLOCKS_MAX / 2];
	__u64 len;
	unsigned long long compared;
	bool differ;
	__u64 differ_at;
	const struct side *at; /* where it failed */
};

static __u64 block_off(const struct verify *v, unsigned int slot,
		       unsigned int side)
{
	return (__u64)(2 * slot + side) * v->copier->block;
}

static int differs(struct verify *v, __u64 off)
{
	v->differ = true;
	v->differ_at = off;
	return -EILSEQ;
}

static int read_side(struct verify *v, unsigned int slot, unsigned int side,
		     struct kscope_desc *desc)
{
	struct pair *pair = &v->pairs[slot];
	__u64 off = pair->off + pair->got[side];
	__u64 len = pair->len - pair->got[side];

	pair->fd = side_fd(v->sides[side], off, len);
	kscope_prep_read(desc, pair->fd, off, v->copier->buf,
			 block_off(v, slot, side) + pair->got[side], len);
	return 1;
}

static int side_done(struct verify *v, unsigned int slot, unsigned int side,
		     const struct kscope_completion *done)
{
	struct pair *pair = &v->pairs[slot];

	if (done->status) {
		if (side_falls_back(v->sides[side], pair->fd, done->status))
			return 1;
		v->at = v->sides[side];
		return done->status;
	}
	pair->got[side] += (unsigned int)done->done;
	if (!done->done)
		return differs(v, pair->off + pair->got[side]);
	return pair->got[side] < pair->len;
}

static int fill_first(void *arg, __u64 item, unsigned int slot,
		      struct kscope_desc *desc)
{
	struct verify *v = arg;
	struct pair *pair = &v->pairs[slot];
	__u64 off = item * v->copier->block;

	if (stop_signal)
		return -EINTR;
	if (off >= v->len)
		return 0;
	if (pair->off != off || !pair->len)
		*pair = (struct pair){ .off = off, .len = v->copier->block };
	if (pair->len > v->len - off)
		pair->len = (unsigned int)(v->len - off);
	return read_side(v, slot, 0, desc);
}

static int first_done(void *arg, __u64 item, unsigned int slot,
		      const struct kscope_completion *done)
{
	(void)item;
	return side_done(arg, slot, 0, done);
}

static int fill_second(void *arg, __u64 item, unsigned int slot,
		       struct kscope_desc *desc)
{
	(void)item;
	return read_side(arg, slot, 1, desc);
}

static int second_done(void *arg, __u64 item, unsigned int slot,
		       const struct kscope_completion *done)
{
	(void)item;
	return side_done(arg, slot, 1, done);
}

static int fill_compare(void *arg, __u64 item, unsigned int slot,
			struct kscope_desc *desc)
{
	struct verify *v = arg;

	(void)item;
	kscope_prep_compare(desc, v->copier->buf, block_off(v, slot, 0),
			    v->copier->buf, block_off(v, slot, 1),
			    v->pairs[slot].len);
	return 1;
}

static int compared(void *arg, __u64 item, unsigned int slot,
		    const struct kscope_completion *done)
{
	struct verify *v = arg;
	struct pair *pair = &v->pairs[slot];

	(void)item;
	if (done->status)
		return done->status;
	if (done->value)
		return differs(v, pair->off + done->done);
	v->compared += pair->len;
	pair->len = 0;
	progress_show(v->compared);
	return 0;
}

static const struct kscope_stage stages[] = {
	{ .fill = fill_first, .done = first_done },
	{ .fill = fill_second, .done = second_done },
	{ .fill = fill_compare, .done = compared },
};

int verify_bytes(struct copier *copier, struct side *from, struct side *to,
		 __u64 len)
{
	struct verify v = {
		.copier = copier,
		.sides = { from, to },
		.len = len,
	};
	const struct kscope_pipeline pipeline = {
		.stages = stages,
		.nr_stages = ARRAY_SIZE(stages),
		.slots = copier->nr_blocks / 2,
		.arg = &v,
	};
	int ret = kscope_pipeline(&copier->scope, &pipeline, NULL);

	if (v.differ) {
		message("%s differs from what was copied, at byte %llu or behind it",
			quote_name(to->name), (unsigned long long)v.differ_at);
		return 1;
	}
	if (ret && !stop_signal)
		message("error reading %s: %s",
			quote_name(v.at ? v.at->name : to->name),
			strerror(-ret));
	return ret;
}

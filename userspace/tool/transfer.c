// SPDX-License-Identifier: GPL-2.0
/*
 * The bytes of `kscope copy`: a pipeline of READ and WRITE over a ring of blocks.
 *
 * Where the file ends is found by reading, as it may grow or shrink meanwhile: the first piece in
 * which a READ returned no bytes is the last one, and what was written behind it is cut off at the
 * end. Holes are skipped, and stay holes as nothing is written there.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"
#include "tool.h"

/* What is in a block: bytes @off ... @off + @got of the file; the first @put are written */
struct piece {
	__u64 off;
	unsigned int got;
	unsigned int put;
	int fd; /* of the child */
	bool begun;
};

struct transfer {
	struct copier *copier;
	struct side *from;
	struct side *to;
	struct piece pieces[COPY_BLOCKS_MAX];
	__u64 next; /* where to read next */
	__u64 end; /* no byte of the file is known to be behind it */
	bool ended;
	bool holes; /* ask for them */
	unsigned long long written;
	const char *doing; /* when it failed */
	const struct side *at;
};

static void set_end(struct transfer *t, __u64 end)
{
	t->ended = true;
	if (end < t->end)
		t->end = end;
}

/* Go to where there is data again. */
static void skip_hole(struct transfer *t)
{
	off_t data = lseek(t->from->fd, (off_t)t->next, SEEK_DATA);

	if (data >= 0) {
		data -= data % (off_t)t->copier->block;
		if ((__u64)data > t->next)
			t->next = (__u64)data;
		return;
	}
	if (errno == ENXIO)
		set_end(t, (__u64)lseek(t->from->fd, 0, SEEK_END));
	else
		t->holes = false;
}

/* Return: is there one more */
static bool piece_begin(struct transfer *t, struct piece *piece)
{
	if (!t->ended && t->holes)
		skip_hole(t);
	if (t->ended)
		return false;
	*piece = (struct piece){ .off = t->next, .begun = true };
	t->next += t->copier->block;
	return true;
}

static int failed(struct transfer *t, const char *doing, const struct side *at,
		  int status)
{
	t->doing = doing;
	t->at = at;
	return status;
}

static int fill_read(void *arg, __u64 item, unsigned int slot,
		     struct kscope_desc *desc)
{
	struct transfer *t = arg;
	struct piece *piece = &t->pieces[slot];
	__u64 off, len;

	(void)item;
	if (stop_signal)
		return -EINTR;
	if (!piece->begun && !piece_begin(t, piece))
		return 0;
	off = piece->off + piece->got;
	len = t->copier->block - piece->got;
	piece->fd = side_fd(t->from, off, len);
	kscope_prep_read(desc, piece->fd, off, t->copier->buf,
			 (__u64)slot * t->copier->block + piece->got, len);
	return 1;
}

static int read_done(void *arg, __u64 item, unsigned int slot,
		     const struct kscope_completion *done)
{
	struct transfer *t = arg;
	struct piece *piece = &t->pieces[slot];

	(void)item;
	if (done->status) {
		if (side_falls_back(t->from, piece->fd, done->status))
			return 1;
		return failed(t, "reading", t->from, done->status);
	}
	piece->got += (unsigned int)done->done;
	if (!done->done)
		set_end(t, piece->off + piece->got);
	return done->done && piece->got < t->copier->block;
}

static int fill_write(void *arg, __u64 item, unsigned int slot,
		      struct kscope_desc *desc)
{
	struct transfer *t = arg;
	struct piece *piece = &t->pieces[slot];
	__u64 off = piece->off + piece->put;
	__u64 len = piece->got - piece->put;

	(void)item;
	piece->begun = false;
	if (!len || piece->off >= t->end)
		return 0;
	piece->fd = side_fd(t->to, off, len);
	kscope_prep_write(desc, piece->fd, off, t->copier->buf,
			  (__u64)slot * t->copier->block + piece->put, len);
	return 1;
}

static int write_done(void *arg, __u64 item, unsigned int slot,
		      const struct kscope_completion *done)
{
	struct transfer *t = arg;
	struct piece *piece = &t->pieces[slot];

	(void)item;
	if (done->status) {
		if (side_falls_back(t->to, piece->fd, done->status))
			return 1;
		return failed(t, "writing", t->to, done->status);
	}
	if (!done->done)
		return failed(t, "writing", t->to, -EIO);
	piece->put += (unsigned int)done->done;
	t->written += done->done;
	progress_show(t->written);
	return piece->put < piece->got;
}

static const struct kscope_stage stages[] = {
	{ .fill = fill_read, .done = read_done },
	{ .fill = fill_write, .done = write_done },
};

/* Files whose contents are made as they are read have no blocks, and no bytes either. */
static bool has_holes(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_blocks * 512 < st->st_size;
}

int copy_bytes(struct copier *copier, struct side *from, struct side *to,
	       __u64 *end)
{
	struct transfer t = {
		.copier = copier,
		.from = from,
		.to = to,
		.end = ~0ULL,
		.holes = S_ISREG(to->st.st_mode) && has_holes(&from->st),
	};
	const struct kscope_pipeline pipeline = {
		.stages = stages,
		.nr_stages = ARRAY_SIZE(stages),
		.slots = copier->nr_blocks,
		.arg = &t,
	};
	int ret = kscope_pipeline(&copier->scope, &pipeline, NULL);

	*end = t.end;
	if (ret && stop_signal)
		message("interrupted: %s is not complete; copy it again, or remove it",
			quote_name(to->name));
	else if (ret)
		message("error %s %s: %s", t.doing ? t.doing : "copying",
			quote_name(t.at ? t.at->name : from->name),
			strerror(-ret));
	return ret;
}

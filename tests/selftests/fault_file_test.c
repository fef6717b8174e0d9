// SPDX-License-Identifier: GPL-2.0
/*
 * Every point fails once: READ, WRITE and FSYNC on a disk's file system, on tmpfs, with
 * O_DIRECT and on a block device. The faults are those of the worker: the spawner hands
 * on what its own call has left of the number.
 */
#include <sys/mount.h>

#include "fault_sweep.h"

#define PAGES 40
#define FILE_PAGES 24

static const char *place(const char *text)
{
	return strcmp(text, "disk") ? text : data_dir();
}

/* A file whose pages are not in memory, as far as its file system has another place. */
static int file_open(struct world *w, int flags)
{
	const size_t len = FILE_PAGES * PAGE;
	int fd;

	snprintf(w->path, sizeof(w->path), "%s/kscope-fault",
		 place(w->sc->text));
	fd = open(w->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	if (w->sc->op == KSCOPE_OP_READ &&
	    (pwrite(fd, w->mem, len, 0) != (ssize_t)len || fsync(fd) ||
	     posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))) {
		close(fd);
		return -1;
	}
	if (!flags)
		return fd;
	close(fd);
	return open(w->path, O_RDWR | O_CLOEXEC | flags);
}

static void prepare(struct world *w)
{
	w->file = file_open(w, 0);
	if (w->file < 0)
		complain(w, "cannot make %s", w->path);
}

static void prepare_direct(struct world *w)
{
	w->file = file_open(w, O_DIRECT);
	if (w->file < 0)
		complain(w, "cannot open %s with O_DIRECT", w->path);
}

static void prepare_blkdev(struct world *w)
{
	const char *dev = getenv("KSCOPE_BLKDEV");

	as_root();
	w->file = open(dev, O_RDWR | O_CLOEXEC);
	if (w->file < 0 || pwrite(w->file, w->mem, PAGE, 0) != PAGE ||
	    fsync(w->file) || posix_fadvise(w->file, 0, 0, POSIX_FADV_DONTNEED))
		complain(w, "cannot prepare %s", dev);
	as_user(w->uid);
}

/* Something for FSYNC to do */
static void prepare_dirty(struct world *w)
{
	prepare(w);
	if (pwrite(w->file, w->mem, 8 * PAGE, 0) != 8 * PAGE)
		complain(w, "cannot write %s", w->path);
}

/* Reads go to the second half of the memory, which the file is not made of. */
static void body_read(struct world *w)
{
	do_spawn_same(w,
		      desc_file(w->sc->op, w->file, 0, w->buf,
				FILE_PAGES * PAGE, w->sc->nr * PAGE),
		      1);
}

static void verify_read(struct world *w)
{
	const struct kscope_completion *c = &w->done[0];

	if (!w->accepted || c->outcome != KSCOPE_FINISHED)
		return;
	if (c->done != w->sc->nr * PAGE ||
	    memcmp(w->mem, w->mem + FILE_PAGES * PAGE, w->sc->pages ? PAGE : 0))
		complain(w, "READ has finished with %llu wrong bytes",
			 (unsigned long long)c->done);
}

static void body_write(struct world *w)
{
	do_spawn_same(w,
		      desc_file(w->sc->op, w->file, 0, w->buf, 0,
				w->sc->nr * PAGE),
		      1);
}

/* What WRITE says that it has done is in the file. */
static void verify_write(struct world *w)
{
	static char seen[PAGES * PAGE] __attribute__((aligned(4096)));
	const struct kscope_completion *c = &w->done[0];
	ssize_t got;

	if (!w->accepted)
		return;
	got = pread(w->file, seen, w->sc->nr * PAGE, 0);
	if (got < (ssize_t)c->done || memcmp(seen, w->mem, c->done))
		complain(w, "WRITE did %llu bytes, but not to the file: %zd",
			 (unsigned long long)c->done, got);
	if (c->outcome == KSCOPE_FINISHED && !c->done)
		complain(w, "WRITE has finished with nothing");
}

static void body_fsync(struct world *w)
{
	do_spawn_same(w, desc_fsync(w->file, w->sc->nr), 1);
}

/* The pages of a WRITE that a fault keeps off the disk are written when the file closes. */
static void body_write_fsync(struct world *w)
{
	w->descs[0] = desc_file(KSCOPE_OP_WRITE, w->file, 0, w->buf, 0,
				w->sc->nr * PAGE);
	w->descs[1] = desc_fsync(w->file, 0);
	do_spawn(w, 2);
}

#define IO_TEST(name_, op_, what_, prepare_, text_, nr_, ...)                 \
	SWEEP_TEST(name_, .capacity = 8, .pages = PAGES, .text = (text_),     \
		   .op = KSCOPE_OP_##op_, .nr = (nr_), .prepare = (prepare_), \
		   .body = body_##what_,                                      \
		   .flags = F_PINNED | F_WANT_EFAULT | F_WANT_WORKER,         \
		   ##__VA_ARGS__)

#define READ_TEST(name_, prepare_, text_, nr_, ...)      \
	IO_TEST(name_, READ, read, prepare_, text_, nr_, \
		.verify = verify_read, ##__VA_ARGS__)
#define WRITE_TEST(name_, prepare_, text_, nr_, ...)       \
	IO_TEST(name_, WRITE, write, prepare_, text_, nr_, \
		.verify = verify_write, ##__VA_ARGS__)

READ_TEST(read_a_page_from_disk, prepare, "disk", 1)
READ_TEST(read_16_pages_from_disk, prepare, "disk", 16)
READ_TEST(read_direct, prepare_direct, "disk", 16)
WRITE_TEST(write_a_page_to_disk, prepare, "disk", 1)
WRITE_TEST(write_20_pages_to_disk, prepare, "disk", 20)
WRITE_TEST(write_direct, prepare_direct, "disk", 20)
WRITE_TEST(write_to_tmpfs, prepare, "/dev/shm", 20)
IO_TEST(fsync_disk, FSYNC, fsync, prepare_dirty, "disk", 0)
IO_TEST(fdatasync_disk, FSYNC, fsync, prepare_dirty, "disk", 1)

SWEEP_TEST(read_from_tmpfs, .capacity = 8, .pages = PAGES, .text = "/dev/shm",
	   .op = KSCOPE_OP_READ, .nr = 16, .prepare = prepare,
	   .body = body_read, .verify = verify_read,
	   .flags = F_PINNED | F_WANT_EFAULT)

SWEEP_TEST(write_and_fsync_in_order, .kind = KSCOPE_KIND_ORDERED, .capacity = 8,
	   .pages = PAGES, .text = "disk", .nr = 4, .op = KSCOPE_OP_WRITE,
	   .prepare = prepare, .body = body_write_fsync, .verify = verify_write,
	   .flags = F_PINNED | F_WANT_EFAULT | F_WANT_WORKER)

static const char *no_blkdev(void)
{
	return getenv("KSCOPE_BLKDEV") ? NULL :
					 "KSCOPE_BLKDEV names no block device";
}

READ_TEST(read_from_a_block_device, prepare_blkdev, NULL, 1,
	  .missing = no_blkdev)
WRITE_TEST(write_to_a_block_device, prepare_blkdev, NULL, 1,
	   .missing = no_blkdev)

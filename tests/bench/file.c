// SPDX-License-Identifier: GPL-2.0
/*
 * Reads of a file: children of a scope into a pinned buffer, io_uring into a
 * registered one, pread() in one thread and in a pool of threads. Each word of the
 * file is its own place in it.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "nop.h"
#include "pin.h"

#define FILE_BYTES (64UL << 20)

static const char *file_path(void)
{
	static char path[256];
	const char *dir = getenv("KSCOPE_DATA");

	snprintf(path, sizeof(path), "%s/bench", dir ? dir : "/tmp");
	return path;
}

static void file_make(void)
{
	static __u64 words[8192];
	int fd = open(file_path(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC,
		      0600);

	CHECK(fd >= 0);
	for (size_t off = 0; off < FILE_BYTES; off += sizeof(words)) {
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			words[i] = off + i * sizeof(words[0]);
		CHECK(write(fd, words, sizeof(words)) == sizeof(words));
	}
	CHECK(fsync(fd) == 0 && close(fd) == 0);
}

void reads_open(struct reads *reads, const struct cell *cell)
{
	const struct file_kind *kind = cell->subject->arg;

	reads->piece = cell->batch;
	reads->nr = (unsigned int)cell->ops;
	reads->buf = map_pages(reads->nr * reads->piece, SMALL_PAGE);
	reads->fd = open(file_path(), O_RDONLY | O_CLOEXEC | kind->open_flags);
	CHECK(reads->fd >= 0);
}

void reads_close(struct reads *reads)
{
	close(reads->fd);
}

/* All contexts start with their reads. */
static void file_prepare(void *arg)
{
	struct reads *reads = arg;
	size_t bytes = reads->nr * reads->piece;

	reads->off = (reads->off + bytes) % FILE_BYTES;
	for (size_t i = 0; i < bytes; i += SMALL_PAGE)
		memset(reads->buf + i, 0xff, sizeof(__u64));
}

static void file_check(void *arg)
{
	const struct reads *reads = arg;
	size_t bytes = reads->nr * reads->piece;
	__u64 word;

	for (size_t i = 0; i < bytes; i += SMALL_PAGE / 2) {
		memcpy(&word, reads->buf + i, sizeof(word));
		CHECK(word == reads->off + i);
	}
}

#define FILE_SUBJECT(subject, how, what)                                      \
	{                                                                     \
		.name = subject, .open = file_##how##_open,                   \
		.prepare = file_prepare, .round = file_##how##_round,         \
		.check = file_check, .close = file_##how##_close, .arg = what \
	}

static void bench_reads(const char *bench, int open_flags)
{
	const struct file_kind plain = { open_flags, &kscope_plain };
	const struct file_kind ring = { open_flags, &uring_inline };
	const struct file_kind async = { open_flags, &uring_async };
	const struct file_kind defer = { open_flags, &uring_async_defer };
	const struct subject subjects[] = {
		FILE_SUBJECT("kscope", kscope, &plain),
		FILE_SUBJECT("io_uring", uring, &ring),
		FILE_SUBJECT("io_uring-async", uring, &async),
		FILE_SUBJECT("io_uring-async-defer", uring, &defer),
		FILE_SUBJECT("one-thread", loop, &plain),
		FILE_SUBJECT("pthread-pool", pool, &plain),
		{ .name = NULL },
	};

	file_make();
	compare(bench, 4 << 10, 256, subjects);
	compare(bench, 256 << 10, 16, subjects);
	CHECK(unlink(file_path()) == 0);
}

void bench_file_read_buffered(void)
{
	bench_reads("file-read-buffered", 0);
}

void bench_file_read_direct(void)
{
	bench_reads("file-read-direct", O_DIRECT);
}

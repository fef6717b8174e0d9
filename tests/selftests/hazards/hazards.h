/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the columns of the table share: the rows, the slow disk, and the eyes that see
 * whether memory is still written to.
 */
#ifndef HAZARDS_H
#define HAZARDS_H

#include <signal.h>

#include "kscope_sys.h"

#define LEN PAGE
#define NR_RUNS 5
#define WATCH_MS \
	500 /* how long memory is watched: more than twice what a read takes */

#define OLD 0x55 /* in memory when it is lent; the disk reads as zeros */
#define NEW 0xaa /* written by whoever has the memory next */

enum hazard { UNPIN, LOSE, REUSE, CLOSE, KILL, MIX, CANCEL, NR_HAZARDS };

/*
 * A column: each function does the same thing to its subject, prints what happened
 * without a line's end, and returns 0, or -errno if it could not do it.
 */
struct column {
	int (*show[NR_HAZARDS])(void);
};

extern const struct column kscope_column;
extern const struct column uring_column; /* empty in a build without liburing */

/* Say that a promise of kscope is broken, and fail the row. */
void wrong(const char *what);

#define must(condition)                    \
	do {                               \
		if (!(condition))          \
			wrong(#condition); \
	} while (0)

static inline double ms_since(__u64 start)
{
	return (double)(now_ns() - start) / MSEC;
}

/* "-EBUSY", or the number */
static inline const char *ret_str(int ret)
{
	static char text[2][32];
	static unsigned int i;
	const char *name = ret < 0 ? strerrorname_np(-ret) : NULL;

	i = !i;
	if (name)
		snprintf(text[i], sizeof(text[i]), "-%s", name);
	else
		snprintf(text[i], sizeof(text[i]), "%d", ret);
	return text[i];
}

extern const char *disk_path;

/* Open the slow disk, with O_DIRECT or without; nothing is read ahead. */
int disk_open(int flags);

/*
 * Where to read next: a page that is not in the page cache. Returns when the disk has
 * just answered a request, so that the next answer is due in 0.2 s, and never sooner.
 */
int disk_next(__u64 *off);

/* Does the disk's driver have a request? From then on nobody can take it back. */
bool disk_is_busy(void);

/* Wait until it has the request that was just made. -EAGAIN: that one was over too soon. */
int disk_wait_busy(void);

/* On a machine that stands still at times: try again what came too late to show anything. */
#define disk_retry(call)                                   \
	__extension__({                                    \
		int tries_ = 10, ret_;                     \
		do {                                       \
			ret_ = (call);                     \
		} while (ret_ == -EAGAIN && tries_-- > 0); \
		ret_;                                      \
	})

/* Write to all of @mem, then watch: milliseconds until somebody else writes to it, or -1. */
static inline double written_after(void *mem)
{
	volatile unsigned char *last = (unsigned char *)mem + LEN - 1;
	__u64 start = now_ns();

	memset(mem, NEW, LEN);
	while (now_ns() < start + WATCH_MS * MSEC) {
		if (*last != NEW)
			return ms_since(start);
		usleep(200);
	}
	return -1;
}

/* Unmap memory, and get the same address for something else. */
static inline int map_anew(void *mem)
{
	munmap(mem, LEN);
	if (mmap(mem, LEN, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		 0) != mem)
		return -ENOMEM;
	memset(mem, NEW, LEN);
	return 0;
}

/* Bytes that somebody has written since */
static inline size_t bytes_written(const char *mem)
{
	size_t i, nr = 0;

	for (i = 0; i < LEN; i++)
		nr += mem[i] != (char)NEW;
	return nr;
}

/* How many bytes of a file are what was in memory when it was lent */
static inline size_t old_bytes(int file)
{
	char bytes[LEN];
	size_t i, nr = 0;

	if (pread(file, bytes, LEN, 0) != LEN)
		return 0;
	for (i = 0; i < LEN; i++)
		nr += bytes[i] == OLD;
	return nr;
}

static inline void say_written(double ms)
{
	if (ms < 0)
		printf("the memory was not written to any more");
	else
		printf("the memory was written to %.1f ms later", ms);
}

static inline void say_outlived(double ms)
{
	printf("the request outlived it by %.1f ms", ms < 0 ? 0 : ms);
}

/* One run of a row: how long the call took, and what was seen when it had returned. */
struct after {
	double call_ms;
	double written_ms; /* as of written_after() */
	bool pinned; /* the page was pinned all the time until then */
};

/* Sorts the figures. */
double median(double *figures);

/*
 * Run @start(@mem, @fd, @off) in a process of its own, SIGKILL it when it has returned 0,
 * and watch the memory, which is shared with it, from the return of waitpid() on.
 */
int owner_kill(int (*start)(void *mem, int fd, __u64 off), struct after *after);

#endif /* HAZARDS_H */

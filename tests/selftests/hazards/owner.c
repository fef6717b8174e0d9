// SPDX-License-Identifier: GPL-2.0
/* An owner that is killed, and its survivor, who shares the memory with it. */
#include "hazards.h"

/* written_after(), and whether the page stays pinned until then. @pins: without it */
static void watch_pinned(char *mem, long pins, struct after *after)
{
	volatile char *last = mem + LEN - 1;
	bool pinned, always = true;
	__u64 start = now_ns();

	memset(mem, NEW, LEN);
	after->written_ms = -1;
	after->pinned = true;
	while (now_ns() < start + WATCH_MS * MSEC) {
		pinned = pins_now() > pins;
		if (*last != (char)NEW) {
			after->pinned = always;
			after->written_ms = ms_since(start);
			return;
		}
		/* seen unpinned, and after that not yet written to */
		always = always && pinned;
	}
}

static int owner_run(int (*start)(void *, int, __u64), void *mem, int fd,
		     __u64 off, int ready)
{
	int ret = start(mem, fd, off);

	if (ret)
		return -ret;
	byte_send(ready);
	for (;;)
		pause();
}

/* The owner, from its start to its end at our hands. */
static int owner_end(pid_t pid, int ready, struct after *after)
{
	int ret = byte_recv(ready);
	__u64 start = now_ns();

	if (ret)
		return -child_wait(pid);
	kill(pid, SIGKILL);
	child_wait(pid);
	after->call_ms = ms_since(start);
	return 0;
}

int owner_kill(int (*start)(void *mem, int fd, __u64 off), struct after *after)
{
	void *mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = disk_open(O_DIRECT), ready[2], ret;
	long pins = pins_now();
	__u64 off;
	pid_t pid;

	if (mem == MAP_FAILED || fd < 0 || pipe2(ready, O_CLOEXEC))
		return -ENOMEM;
	memset(mem, OLD, LEN);
	ret = disk_next(&off);
	if (ret)
		return ret;
	pid = fork();
	if (!pid)
		_exit(owner_run(start, mem, fd, off, ready[1]));
	close(ready[1]);
	ret = owner_end(pid, ready[0], after);
	if (!ret)
		watch_pinned(mem, pins, after);
	munmap(mem, LEN);
	close(ready[0]);
	close(fd);
	if (pins_settle(pins, 5000) != pins)
		return -EBUSY;
	return ret;
}

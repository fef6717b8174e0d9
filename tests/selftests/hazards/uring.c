// SPDX-License-Identifier: GPL-2.0
/* The column of io_uring, through liburing: what it does, as it is found. */
#include <liburing.h>

#include "hazards.h"

static int read_start(struct io_uring *ring, void *mem, int fd, __u64 off)
{
	struct iovec iov = { .iov_base = mem, .iov_len = LEN };
	int ret = io_uring_queue_init(4, ring, 0);

	if (!ret)
		ret = io_uring_register_buffers(ring, &iov, 1);
	if (ret)
		return ret;
	io_uring_prep_read_fixed(io_uring_get_sqe(ring), fd, mem, LEN, off, 0);
	ret = io_uring_submit(ring);
	if (ret != 1)
		return ret < 0 ? ret : -EIO;
	return disk_wait_busy();
}

/* A ring with a request that reads the slow disk into fresh memory. */
struct reading {
	struct io_uring ring;
	char *mem;
};

static void read_end(struct reading *r)
{
	io_uring_queue_exit(&r->ring);
	munmap(r->mem, LEN);
}

static int read_into_new(struct reading *r, int fd)
{
	__u64 off;
	int ret = disk_next(&off);

	r->mem = map_anon(LEN);
	if (r->mem == MAP_FAILED)
		return -ENOMEM;
	memset(r->mem, OLD, LEN);
	if (!ret)
		ret = read_start(&r->ring, r->mem, fd, off);
	if (ret == -EAGAIN)
		read_end(r);
	return ret;
}

/* Put nothing into the place of the buffer. */
static int update_buffers(struct io_uring *ring)
{
	struct iovec none = {};

	return io_uring_register_buffers_update_tag(ring, 0, &none, NULL, 1);
}

static int take_back(const char *name, int (*call)(struct io_uring *ring))
{
	struct reading r;
	__u64 start;
	int fd = disk_open(O_DIRECT), ret;

	if (fd < 0)
		return fd;
	ret = disk_retry(read_into_new(&r, fd));
	if (ret)
		return ret;
	start = now_ns();
	ret = call(&r.ring);
	printf("%s returned %s after %.1f ms, and ", name, ret_str(ret),
	       ms_since(start));
	say_written(written_after(r.mem));
	read_end(&r);
	close(fd);
	return 0;
}

static int show_unpin(void)
{
	int ret = take_back("UNREGISTER_BUFFERS", io_uring_unregister_buffers);

	if (ret)
		return ret;
	printf("; ");
	return take_back("BUFFERS_UPDATE", update_buffers);
}

/* The program's mistake: it takes the address away and waits for what is read there. */
static int lose_once(int fd)
{
	struct io_uring_cqe *cqe;
	struct reading r;
	int ret = read_into_new(&r, fd);

	if (ret)
		return ret;
	ret = map_anew(r.mem) ?: io_uring_wait_cqe(&r.ring, &cqe);
	if (!ret)
		printf("READ_FIXED reported %d bytes and flags %u, and %zu bytes came",
		       cqe->res, cqe->flags, bytes_written(r.mem));
	read_end(&r);
	return ret;
}

static int show_lose(void)
{
	int fd = disk_open(O_DIRECT);
	int ret = fd < 0 ? fd : disk_retry(lose_once(fd));

	close(fd);
	return ret;
}

/* READ, not READ_FIXED; then another mapping takes the address. */
static int reuse(struct reading *r, int fd, __u64 off)
{
	int ret;

	io_uring_prep_read(io_uring_get_sqe(&r->ring), fd, r->mem, LEN, off);
	ret = io_uring_submit(&r->ring);
	if (ret == 1)
		ret = disk_wait_busy();
	if (ret)
		return ret;
	return map_anew(r->mem);
}

static int reuse_once(int fd)
{
	struct io_uring_cqe *cqe;
	struct reading r = { .mem = map_anon(LEN) };
	__u64 off;
	int ret = disk_next(&off);

	if (r.mem == MAP_FAILED)
		return -ENOMEM;
	memset(r.mem, OLD, LEN);
	if (!ret)
		ret = io_uring_queue_init(4, &r.ring, 0);
	if (ret)
		return ret;
	ret = reuse(&r, fd, off) ?: io_uring_wait_cqe(&r.ring, &cqe);
	if (!ret)
		printf("READ reported %d bytes; of the new owner's %lu, %zu were overwritten",
		       cqe->res, LEN, bytes_written(r.mem));
	read_end(&r);
	return ret;
}

static int show_reuse(void)
{
	int fd = disk_open(0);
	int ret = fd < 0 ? fd : disk_retry(reuse_once(fd));

	close(fd);
	return ret;
}

static int close_once(int fd, struct after *after)
{
	struct reading r;
	__u64 start;
	int ret = read_into_new(&r, fd);

	if (ret)
		return ret;
	start = now_ns();
	io_uring_queue_exit(&r.ring); /* munmap() and close() */
	after->call_ms = ms_since(start);
	after->written_ms = written_after(r.mem);
	munmap(r.mem, LEN);
	return 0;
}

static int show_close(void)
{
	double call[NR_RUNS], written[NR_RUNS];
	struct after after;
	int i, ret, fd = disk_open(O_DIRECT);

	if (fd < 0)
		return fd;
	for (i = 0; i < NR_RUNS; i++) {
		ret = disk_retry(close_once(fd, &after));
		if (ret)
			return ret;
		call[i] = after.call_ms;
		written[i] = after.written_ms;
	}
	printf("close() took %.1f ms, and ", median(call));
	say_outlived(median(written));
	close(fd);
	return 0;
}

static int owner(void *mem, int fd, __u64 off)
{
	struct io_uring ring;

	return read_start(&ring, mem, fd, off);
}

static int show_kill(void)
{
	double call[NR_RUNS], written[NR_RUNS];
	struct after after;
	int i, ret, nr_pinned = 0;

	for (i = 0; i < NR_RUNS; i++) {
		ret = disk_retry(owner_kill(owner, &after));
		if (ret)
			return ret;
		nr_pinned += after.pinned;
		call[i] = after.call_ms;
		written[i] = after.written_ms;
	}
	printf("waitpid() returned after %.1f ms, and ", median(call));
	say_outlived(median(written));
	printf("; its page stayed pinned in %d of %d runs", nr_pinned, NR_RUNS);
	return 0;
}

/* The same buffer goes to a file as the read comes in. */
static int mix_once(int fd, int file)
{
	struct io_uring_cqe *cqe[2];
	struct reading r;
	int ret = read_into_new(&r, fd);

	if (ret)
		return ret;
	io_uring_prep_write_fixed(io_uring_get_sqe(&r.ring), file, r.mem, LEN,
				  0, 0);
	ret = io_uring_submit_and_wait(&r.ring, 2);
	if (ret == 1 && io_uring_peek_batch_cqe(&r.ring, cqe, 2) == 2) {
		printf("WRITE_FIXED and READ_FIXED reported %d and %d bytes, ",
		       cqe[0]->res, cqe[1]->res);
		printf("and the file has %zu bytes from before the read",
		       old_bytes(file));
	}
	read_end(&r);
	return ret < 0 ? ret : 0;
}

static int show_mix(void)
{
	int fd = disk_open(O_DIRECT), file = memfd_create("mix", MFD_CLOEXEC);
	int ret = fd < 0 ? fd : disk_retry(mix_once(fd, file));

	close(file);
	close(fd);
	return ret;
}

static int timer_start(struct io_uring *ring, struct __kernel_timespec *ts,
		       __u64 user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	int ret;

	io_uring_prep_timeout(sqe, ts, 0, 0);
	io_uring_sqe_set_data64(sqe, user_data);
	ret = io_uring_submit(ring);
	return ret < 0 ? ret : 0;
}

/* Wait for a completion: its user_data, or -errno; its result is in @res. */
static int completion(struct io_uring *ring, int *res)
{
	struct __kernel_timespec patience = { .tv_sec = 1 };
	struct io_uring_cqe *cqe;
	int ret = io_uring_wait_cqe_timeout(ring, &cqe, &patience);

	if (ret)
		return ret;
	*res = cqe->res;
	ret = cqe->user_data;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

static int cancel_late(struct io_uring *ring)
{
	struct __kernel_timespec soon = { .tv_nsec = MSEC };
	struct __kernel_timespec hour = { .tv_sec = 3600 };
	struct io_uring_sqe *sqe;
	int res[10] = {}, i, id, ret = timer_start(ring, &soon, 7);

	if (!ret)
		ret = completion(ring, &res[0]);
	if (ret != 7)
		return ret < 0 ? ret : -EPROTO;
	ret = timer_start(ring, &hour, 7);
	if (ret)
		return ret;
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_cancel64(sqe, 7, 0);
	io_uring_sqe_set_data64(sqe, 9);
	ret = io_uring_submit(ring);
	for (i = 0; i < 2 && ret > 0; i++) {
		id = completion(ring, &ret);
		if (id == 7 || id == 9)
			res[id] = ret;
		ret = id;
	}
	printf("a late cancel of an ended request returned %s, "
	       "and the next one with its user_data %s",
	       ret_str(res[9]), res[7] == -ECANCELED ? "was ended" : "went on");
	return 0;
}

static int cancel_when_full(struct io_uring *ring)
{
	struct io_uring_sync_cancel_reg reg = {
		.addr = 8, .timeout = { .tv_sec = -1, .tv_nsec = -1 }
	};
	struct __kernel_timespec hour = { .tv_sec = 3600 };
	struct io_uring_sqe *sqe;
	int ret = timer_start(ring, &hour, 8);

	if (ret)
		return ret;
	while ((sqe = io_uring_get_sqe(ring)))
		io_uring_prep_nop(sqe);
	printf("; with the queue full there was no entry for ASYNC_CANCEL, "
	       "and REGISTER_SYNC_CANCEL, which needs none, returned %s",
	       ret_str(io_uring_register_sync_cancel(ring, &reg)));
	return 0;
}

static int show_cancel(void)
{
	struct io_uring ring;
	int ret = io_uring_queue_init(4, &ring, 0);

	if (ret)
		return ret;
	ret = cancel_late(&ring);
	if (!ret)
		ret = cancel_when_full(&ring);
	io_uring_queue_exit(&ring);
	return ret;
}

const struct column uring_column = { .show = {
					     [UNPIN] = show_unpin,
					     [LOSE] = show_lose,
					     [REUSE] = show_reuse,
					     [CLOSE] = show_close,
					     [KILL] = show_kill,
					     [MIX] = show_mix,
					     [CANCEL] = show_cancel,
				     } };

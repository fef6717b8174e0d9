// SPDX-License-Identifier: GPL-2.0
/*
 * Calls on fds: what a scope has as a file, and fds that are copied, passed and closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "run.h"

#define __aligned8 __attribute__((aligned(8)))

enum { FDOP_READ, FDOP_WRITE, FDOP_LSEEK, FDOP_STAT, FDOP_TRUNCATE };
enum { FDOP_GETFL = FDOP_TRUNCATE + 1, FDOP_APPEND, FDOP_ASYNC, FDOP_SYNC };
enum { FDOP_INFO = FDOP_SYNC + 1, FDOP_SPLICE, FDOP_ALLOCATE, FDOP_LOCK };

static long result(long ret)
{
	return ret < 0 ? -errno : ret;
}

long run_poll(struct ctx *ctx, const struct arg *args)
{
	struct pollfd fd = { .fd = fd_of(&args[0]).fd,
			     .events = value_of(&args[1]) };
	long ret = poll(&fd, 1, value_of(&args[2]) % 4);

	(void)ctx;
	if (ret > 0)
		cover_signal(0x200000 + fd.revents);
	return result(ret);
}

static long info_read(int fd)
{
	char path[64], text[4096];
	long ret;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = result(read(fd, text, sizeof(text)));
	close(fd);
	return ret;
}

/* What changes a file is undone after the program. */
static long change_file(int fd, __u64 op, __u64 value)
{
	value %= 1 << 20;
	state.files_dirty = true;
	switch (op) {
	case FDOP_TRUNCATE:
		return result(ftruncate(fd, value));
	case FDOP_APPEND:
		return result(
			fcntl(fd, F_SETFL, O_APPEND | (value & O_DIRECT)));
	case FDOP_ALLOCATE:
		return result(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, value + 1));
	default:
		return result(splice(fd, NULL, state.files[7], NULL, value,
				     SPLICE_F_NONBLOCK));
	}
}

long run_fdop(struct ctx *ctx, const struct arg *args)
{
	int fd = fd_of(&args[0]).fd;
	__u64 op = value_of(&args[1]), value = value_of(&args[2]);
	char bytes[64] = {};
	struct stat st;

	(void)ctx;
	if (fd < 0)
		return -EBADF;
	switch (op) {
	case FDOP_READ:
		return result(read(fd, bytes, value % sizeof(bytes)));
	case FDOP_WRITE:
		return result(write(fd, bytes, value % sizeof(bytes)));
	case FDOP_LSEEK:
		return result(lseek(fd, value % (1 << 20), SEEK_SET));
	case FDOP_STAT:
		return result(fstat(fd, &st));
	case FDOP_GETFL:
		return result(fcntl(fd, F_GETFL));
	case FDOP_ASYNC:
		return result(fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK));
	case FDOP_SYNC:
		return result(fsync(fd));
	case FDOP_INFO:
		return info_read(fd);
	case FDOP_LOCK:
		return result(flock(fd, LOCK_EX | LOCK_NB));
	default:
		return change_file(fd, op, value);
	}
}

long run_dup(struct ctx *ctx, const struct arg *args)
{
	struct fd_slot slot = fd_of(&args[0]);
	int fd = dup(slot.fd);

	(void)ctx;
	if (fd < 0)
		return -errno;
	slot.fd = fd_park(fd);
	slot_store(state.dups, value_of(&args[1]) % NR_DUPS, slot);
	return 0;
}

/* From here on a slot does not say any more what its fd is. */
long run_dup2(struct ctx *ctx, const struct arg *args)
{
	struct fd_slot from = fd_of(&args[0]), over = fd_of(&args[1]);

	(void)ctx;
	if (over.fd < 100)
		return -EINVAL;
	state.fds_mixed = true;
	mark_unsure();
	return result(dup2(from.fd, over.fd));
}

long run_close(struct ctx *ctx, const struct arg *args)
{
	struct fd_slot slot = fd_of(&args[0]);

	(void)ctx;
	/* the files stay for the next program */
	if (slot.fd >= 0 && slot.fd < 99)
		return -EINVAL;
	return result(close(slot.fd));
}

static bool sockets_open(void)
{
	int pair[2];

	if (state.sockets[0] >= 0)
		return true;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		       pair))
		return false;
	state.sockets[1] = fd_park(pair[1]);
	state.sockets[0] = fd_park(pair[0]);
	return true;
}

static struct msghdr message(struct iovec *iov, char *control, size_t len)
{
	return (struct msghdr){ .msg_iov = iov,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = len };
}

/* Put an fd into a socket, where it stays until it is received or the socket goes. */
long run_send(struct ctx *ctx, const struct arg *args)
{
	char control[CMSG_SPACE(sizeof(int))] __aligned8 = {};
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr msg = message(&iov, control, sizeof(control));
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd = fd_of(&args[0]).fd;

	(void)ctx;
	if (!sockets_open())
		return -errno;
	mark_unsure();
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return result(sendmsg(state.sockets[0], &msg, MSG_DONTWAIT));
}

long run_recv(struct ctx *ctx, const struct arg *args)
{
	char control[CMSG_SPACE(sizeof(int))] __aligned8 = {};
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = message(&iov, control, sizeof(control));
	struct cmsghdr *cmsg;
	int fd;

	(void)ctx;
	if (recvmsg(state.sockets[1], &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) <
	    0)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -ENOMSG;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	slot_store(state.dups, value_of(&args[0]) % NR_DUPS,
		   (struct fd_slot){ .fd = fd_park(fd) });
	return 0;
}

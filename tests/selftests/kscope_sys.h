/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the selftests ask of the rest of the system: counters of pinned pages,
 * other users, child processes, fd passing, memory and files to work on.
 */
#ifndef KSCOPE_SYS_H
#define KSCOPE_SYS_H

#include <grp.h>
#include <linux/userfaultfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "kscope_test.h"

#define NOBODY 65534

#ifndef TMPFS_MAGIC
#define TMPFS_MAGIC 0x01021994
#endif
#ifndef RAMFS_MAGIC
#define RAMFS_MAGIC 0x858458f6
#endif

/* How many times as long things take in this guest, as tests/vm/run has it. */
static inline unsigned int slowness(void)
{
	const char *slow = getenv("KSCOPE_SLOW");

	return slow ? atoi(slow) : 1;
}

static inline bool has_feature(__u64 feature)
{
	struct kscope_info info = {};

	return !dev_info(&info) && info.features & feature;
}

/* Does the kernel look at each access to memory: then it takes very long for what is large. */
static inline bool kernel_is_instrumented(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK) ||
	       !access("/sys/kernel/debug/kcsan", F_OK);
}

/* What shall happen at once takes a second at most, in ns. */
static inline __u64 promptly(void)
{
	return slowness() * SEC;
}

static inline long file_value(const char *path, const char *key)
{
	size_t len = strlen(key);
	FILE *file = fopen(path, "re");
	char line[256];
	long value = -1;

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, len) || !strchr(" \t:", line[len]))
			continue;
		value = strtol(line + len + 1, NULL, 10);
		break;
	}
	fclose(file);
	return value;
}

/* Pages that are pinned in the whole system. The counters are per CPU until refreshed. */
static inline long pins_now(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);
	ssize_t ret = 0;

	if (fd >= 0) {
		ret = write(fd, "1", 1);
		close(fd);
	}
	if (ret < 0)
		return -1;
	return file_value("/proc/vmstat", "nr_foll_pin_acquired") -
	       file_value("/proc/vmstat", "nr_foll_pin_released");
}

/* Poll until @want pages are pinned, for at most @ms where nothing is slow; what was seen last. */
static inline long pins_settle(long want, unsigned int ms)
{
	__u64 deadline = in_ms(ms * slowness());
	long pins;

	for (;;) {
		pins = pins_now();
		if (pins == want || now_ns() > deadline)
			return pins;
		usleep(1000);
	}
}

/* VmPin, VmLck, ... of this process, in pages. */
static inline long vm_pages(const char *key)
{
	return file_value("/proc/self/status", key) / 4;
}

/* What a task does: R, S, D, ... as in proc(5); 0 if there is none. */
static inline char task_state(pid_t tid)
{
	char path[32], line[256], *end = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fgets(line, sizeof(line), file))
		end = strrchr(line, ')');
	fclose(file);
	return end ? end[2] : 0;
}

static inline int become(uid_t uid)
{
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) ||
	    setresuid(uid, uid, uid))
		return -errno;
	return 0;
}

static inline int set_limit(int resource, rlim_t value)
{
	struct rlimit limit = { value, value };

	return setrlimit(resource, &limit) ? -errno : 0;
}

/* Reap a child process: its exit code, or 128 + the signal that ended it. */
static inline int child_wait(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* One byte through a pipe is how processes of a test tell each other to go on. */
static inline int byte_send(int fd)
{
	return write(fd, "x", 1) == 1 ? 0 : -errno;
}

static inline int byte_recv(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 1 ? 0 : -EPIPE;
}

static inline int fd_send(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

static inline int fd_recv(int sock)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -EPIPE;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -ENOENT;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

static inline void *map_anon(size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Memory that has a page without a mapping right behind its end. */
static inline void *map_guarded(size_t len)
{
	char *p = map_anon(len + PAGE);

	if (p != MAP_FAILED)
		munmap(p + len, PAGE);
	return p;
}

/* Bytes that differ from their neighbours and from one @seed to another; the next seed. */
static inline unsigned int bytes_fill(void *p, size_t len, unsigned int seed)
{
	unsigned char *b = p;
	size_t i;

	for (i = 0; i < len; i++) {
		seed = seed * 1103515245u + 12345u;
		b[i] = seed >> 16;
	}
	return seed;
}

static inline bool bytes_are(const void *p, size_t len, unsigned char value)
{
	const unsigned char *b = p;

	return !len || (b[0] == value && !memcmp(b, b + 1, len - 1));
}

/* A directory for test files, on a disk where there is one. */
static inline const char *data_dir(void)
{
	if (!access("/data", W_OK | X_OK))
		return "/data";
	return getenv("TMPDIR") ?: "/tmp";
}

static inline bool fd_is_on_disk(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && (unsigned long)fs.f_type != TMPFS_MAGIC &&
	       (unsigned long)fs.f_type != RAMFS_MAGIC;
}

/* A new file in data_dir() with @len bytes from bytes_fill(@seed). @path has PATH_LEN. */
#define PATH_LEN 128
static inline int file_make(char *path, size_t len, unsigned int seed)
{
	unsigned char bytes[PAGE];
	size_t done, nr;
	int fd;

	snprintf(path, PATH_LEN, "%s/kscope-XXXXXX", data_dir());
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (done = 0; done < len; done += nr) {
		nr = len - done < PAGE ? len - done : PAGE;
		seed = bytes_fill(bytes, nr, seed);
		if (write(fd, bytes, nr) != (ssize_t)nr) {
			close(fd);
			return -EIO;
		}
	}
	return fd;
}

/* CRC-32C: reflected polynomial 0x82F63B78, inverted before and after. */
static inline __u32 crc32c_of(const void *p, size_t len, __u32 seed)
{
	static __u32 table[256];
	const unsigned char *b = p;
	__u32 crc, i;
	int bit;

	for (i = 0; i < 256 && !table[255]; i++) {
		for (crc = i, bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0);
		table[i] = crc;
	}
	for (crc = ~seed; len--; b++)
		crc = (crc >> 8) ^ table[(crc ^ *b) & 0xff];
	return ~crc;
}

/* A child that fails with -EPERM: the file is sealed */
static inline int spawn_failure(int fd, __u64 user_data)
{
	char *mem = map_anon(PAGE);
	struct kscope_desc desc;
	int buf, file, ret;

	buf = buf_pin(fd, mem, PAGE, 0);
	file = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	fcntl(file, F_ADD_SEALS, F_SEAL_WRITE);
	desc = desc_file(KSCOPE_OP_WRITE, file, 0, buf, 0, 1);
	desc.user_data = user_data;
	ret = buf < 0 ? buf : spawn_one(fd, desc, NULL);
	close(file);
	munmap(mem, PAGE);
	return ret;
}

/* Page faults of that memory wait until somebody resolves them. Return: the fd for that */
static inline int uffd_over(void *mem, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .range = { to_u64(mem), len },
				       .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg))
		return -errno;
	return fd;
}

#endif /* KSCOPE_SYS_H */

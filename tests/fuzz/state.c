// SPDX-License-Identifier: GPL-2.0
/*
 * What the program under way has made: fds, handles, scopes; and how it is undone.
 *
 * Slots are written by several threads at once, and that is meant: a stale handle is as
 * good as a new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define FIRST_FD 100
#define LAST_FD 1000
#define FILE_FD 40
#define FILE_BYTES (64 << 10)

struct state state;
__u32 gate_number;

__u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

static __u32 gate_find(int dev)
{
	struct kscope_op_info info = { .size = sizeof(info),
				       .flags = KSCOPE_OP_INFO_BY_NAME,
				       .name = "gate" };

	return ioctl(dev, KSCOPE_IOC_OP_INFO, &info) ? 0 : info.op;
}

/* The number of an operation that was given as a word. */
__u32 op_number(__u32 op)
{
	return op == OP_GATE && gate_number ? gate_number : op;
}

static void file_keep(unsigned int index, int fd)
{
	state.files[index] = -1;
	if (fd < 0)
		return;
	state.files[index] = fcntl(fd, F_DUPFD_CLOEXEC, FILE_FD);
	close(fd);
}

static void files_regular(void)
{
	static const int modes[] = { O_RDWR, O_RDWR | O_DIRECT,
				     O_RDWR | O_APPEND, O_RDONLY, O_WRONLY };
	static char bytes[FILE_BYTES];
	int fd =
		open("fuzz.data", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	unsigned int i;

	if (fd < 0 || write(fd, bytes, FILE_BYTES) != FILE_BYTES) {
		perror("fuzz: cannot make a file in this directory");
		exit(2);
	}
	close(fd);
	for (i = 0; i < ARRAY_SIZE(modes); i++)
		file_keep(i, open("fuzz.data", modes[i] | O_CLOEXEC));
}

/* Once, in the manager: the workers inherit them. */
void files_open(void)
{
	int pipes[2] = { -1, -1 };

	files_regular();
	file_keep(5, open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (pipe2(pipes, O_NONBLOCK | O_CLOEXEC))
		perror("fuzz: pipe");
	file_keep(6, pipes[0]);
	file_keep(7, pipes[1]);
	file_keep(8, socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			    0));
	file_keep(9, memfd_create("fuzz", MFD_CLOEXEC));
	file_keep(10, open("/dev/kscope", O_RDWR | O_CLOEXEC));
	file_keep(11, open("/dev/null", O_RDWR | O_CLOEXEC));
	file_keep(12, open("/proc/self/comm", O_RDWR | O_CLOEXEC));
	file_keep(13, open("/dev/vdb", O_RDWR | O_CLOEXEC));
	if (state.files[10] < 0) {
		fprintf(stderr, "fuzz: no /dev/kscope: load the module\n");
		exit(2);
	}
	gate_number = gate_find(state.files[10]);
}

/* In one piece, so that no thread sees the fd of one scope and the notes on another */
void slot_store(__u64 *slots, __u32 i, struct fd_slot slot)
{
	__u64 value = slot.obj ? slot.obj - state.objs + 1 : 0;

	value = value << 32 | (__u32)slot.fd;
	__atomic_store_n(&slots[i], value, __ATOMIC_RELAXED);
}

struct fd_slot slot_load(const __u64 *slots, __u32 i)
{
	__u64 value = __atomic_load_n(&slots[i], __ATOMIC_RELAXED);
	__u32 nr = value >> 32;

	return (struct fd_slot){ .fd = (int)value,
				 .obj = nr ? &state.objs[nr - 1] : NULL };
}

void state_reset(void)
{
	unsigned int i;

	for (i = 0; i < NR_SCOPES; i++)
		slot_store(state.scopes, i, (struct fd_slot){ .fd = -1 });
	for (i = 0; i < NR_DUPS; i++)
		slot_store(state.dups, i, (struct fd_slot){ .fd = -1 });
	memset(state.bufs, 0, sizeof(state.bufs));
	memset(state.children, 0, sizeof(state.children));
	memset(state.hashes, 0, sizeof(state.hashes));
	state.nr_objs = 0;
	state.nr_forks = 0;
	state.next_fd = FIRST_FD;
	state.sockets[0] = -1;
	state.sockets[1] = -1;
	state.fds_mixed = false;
}

static void forks_end(void)
{
	__u32 i;

	for (i = 0; i < state.nr_forks && i < ARRAY_SIZE(state.forks); i++)
		if (state.forks[i] > 0)
			kill(state.forks[i], SIGKILL);
	while (state.nr_forks && waitpid(-1, NULL, 0) > 0)
		;
}

static void limits_restore(void)
{
	static const int limits[] = { RLIMIT_MEMLOCK, RLIMIT_FSIZE,
				      RLIMIT_NOFILE };
	struct rlimit limit;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		getrlimit(limits[i], &limit);
		limit.rlim_cur = limit.rlim_max;
		setrlimit(limits[i], &limit);
	}
	state.limits_dirty = false;
}

static void files_restore(void)
{
	int value = FILE_BYTES;

	fcntl(state.files[0], F_SETFL, 0);
	fcntl(state.files[2], F_SETFL, O_APPEND);
	if (ftruncate(state.files[0], value))
		perror("fuzz: ftruncate");
	state.files_dirty = false;
}

static void objs_forget(void)
{
	__u32 nr = state.nr_objs;

	while (nr && !state.objs[nr - 1].ring)
		nr--;
	if (nr)
		munmap((void *)OBJ_BASE, nr * AREA_WINDOW);
}

/* After all threads are through with the program: undo it, and look at what it left. */
void state_clean(void)
{
	__u32 i;

	if (state.limits_dirty)
		limits_restore();
	forks_end();
	if (state.next_fd > FIRST_FD)
		syscall(SYS_close_range, FIRST_FD, ~0U, 0);
	for (i = 0; i < state.nr_objs; i++)
		oracle_check_obj(&state.objs[i]);
	objs_forget();
	if (state.files_dirty)
		files_restore();
	areas_map(state.dirty_areas);
	state.dirty_areas = 0;
}

/* A number that this program has not used yet; -1 and @fd is closed if there is none. */
int fd_park(int fd)
{
	int number = __atomic_fetch_add(&state.next_fd, 1, __ATOMIC_RELAXED);
	int ret = -1;

	if (number < LAST_FD)
		ret = fcntl(fd, F_DUPFD_CLOEXEC, number);
	close(fd);
	return ret;
}

/* From now on somebody may do to the scopes what we do not see. */
void mark_unsure(void)
{
	__u32 i;

	for (i = 0; i < MAX_OBJS; i++)
		state.objs[i].unsure = true;
}

struct fd_slot fd_of(const struct arg *arg)
{
	switch (arg->form) {
	case FORM_SCOPE:
		return slot_load(state.scopes, arg->index);
	case FORM_DUP:
		return slot_load(state.dups, arg->index);
	case FORM_FILE:
		return (struct fd_slot){ .fd = state.files[arg->index] };
	case FORM_WORD:
		if (arg->index == FD_DEVICE)
			return (struct fd_slot){ .fd = state.files[10] };
		return (struct fd_slot){ .fd = arg->index == FD_CLOSED ? 99 :
									 -1 };
	default:
		return (struct fd_slot){ .fd = arg->value };
	}
}

static __u64 addr_of(const struct arg *arg)
{
	const struct obj *obj = slot_load(state.scopes, 0).obj;

	if (arg->index != AREA_RING && arg->index != AREA_HEAD)
		return AREA_BASE + arg->index * AREA_WINDOW + arg->value;
	if (!obj || !obj->ring)
		return 0;
	if (arg->index == AREA_RING)
		return (uintptr_t)obj->ring + arg->value;
	return (uintptr_t)obj->head + arg->value;
}

/* What an argument means at this moment. */
__u64 value_of(const struct arg *arg)
{
	switch (arg->form) {
	case FORM_NUMBER:
		return arg->value;
	case FORM_WORD:
		return arg->index;
	case FORM_BUF:
		return state.bufs[arg->index];
	case FORM_CHILD:
		return state.children[arg->index];
	case FORM_HASH:
		return state.hashes[arg->index];
	case FORM_ADDR:
		return addr_of(arg);
	case FORM_TIME:
		return now_ns() + arg->value;
	default:
		return fd_of(arg).fd;
	}
}

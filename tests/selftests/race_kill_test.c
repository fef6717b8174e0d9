// SPDX-License-Identifier: GPL-2.0
/*
 * No call makes a process that cannot be killed. Each process waits in one of the calls that
 * can wait, for a child that will not end, and is killed: it is reaped within a second, its
 * pages stay pinned until the child has returned, and then all is given back.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>

#include "kselftest_harness.h"
#include "race_other.h"

#define PAGES 4
#define LEN (PAGES * PAGE)

FIXTURE(stuck)
{
	unsigned int op;
	unsigned int *waiting; /* shared: threads that are about to wait */
	char *mem;
	long pins;
};

FIXTURE_SETUP(stuck)
{
	int op = gate_op();

	if (op < 0)
		SKIP(return, "kscope_gate is not loaded");
	hooks_quiet();
	self->op = op;
	ASSERT_EQ(0, gate_set(false));
	self->pins = pins_now();
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->waiting = map_shared(PAGE);
	ASSERT_NE(MAP_FAILED, self->waiting);
}

FIXTURE_TEARDOWN(stuck)
{
	if (!self->op)
		return;
	EXPECT_EQ(0, gate_set(true));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 2000));
	EXPECT_TRUE(hooks_agree());
}

/* The fd of a scope with a child that is in the gate, or -1 */
static int stuck_scope(FIXTURE_DATA(stuck) * self)
{
	struct kscope_scope_create arg = { .capacity = 8 };
	int fd = scope_create(&arg), buf;

	if (fd < 0)
		return -1;
	buf = buf_pin(fd, self->mem, LEN, 0);
	if (buf <= 0 || spawn_one(fd, desc_gate(self->op, 0, buf), NULL) != 1)
		return -1;
	return wait_running(fd, 1) ? -1 : fd;
}

static void wait_close(int fd)
{
	close(fd);
}

static void wait_dup2(int fd)
{
	int other = open("/dev/null", O_RDONLY | O_CLOEXEC);

	dup2(other, fd);
}

static void wait_close_range(int fd)
{
	syscall(SYS_close_range, fd, fd, 0);
}

/* The last reference is in the queue of a socket, which goes with the other end. */
static void wait_queue(int fd)
{
	int socks[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) ||
	    fd_send(socks[0], fd))
		return;
	close(fd);
	close(socks[0]);
	close(socks[1]);
}

static void wait_spawn(int fd)
{
	struct kscope_desc desc = desc_nop(1);

	spawn_arg(fd, &desc, NULL, 1, 8, 0);
}

static void wait_join(int fd)
{
	join_arg(fd, 0, &(struct kscope_join){});
}

static void wait_poll(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLHUP };

	poll(&p, 1, -1);
}

static void wait_epoll(int fd)
{
	struct epoll_event event = { .events = EPOLLHUP };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	epoll_wait(epoll, &event, 1, -1);
}

static const struct way {
	const char *name;
	void (*wait)(int fd);
} ways[] = {
	{ "close", wait_close },
	{ "dup2", wait_dup2 },
	{ "close_range", wait_close_range },
	{ "queue of a socket", wait_queue },
	{ "spawn", wait_spawn },
	{ "join", wait_join },
	{ "poll", wait_poll },
	{ "epoll", wait_epoll },
};

struct waiter {
	FIXTURE_DATA(stuck) * self;
	const struct way *way;
	int fd;
};

static void *waiter_run(void *arg)
{
	struct waiter *waiter = arg;

	__atomic_add_fetch(waiter->self->waiting, 1, __ATOMIC_RELEASE);
	waiter->way->wait(waiter->fd);
	return NULL;
}

/* A process of an ordinary user with a thread for each of the ways. */
static pid_t fork_waiters(FIXTURE_DATA(stuck) * self, const struct way *way,
			  unsigned int nr)
{
	struct waiter waiters[ARRAY_SIZE(ways)];
	pthread_t thread;
	unsigned int i;
	pid_t pid;

	*self->waiting = 0;
	pid = fork();
	if (pid)
		return pid;
	if (become(NOBODY))
		_exit(1);
	for (i = 0; i < nr; i++) {
		waiters[i] =
			(struct waiter){ self, way + i, stuck_scope(self) };
		if (waiters[i].fd < 0)
			_exit(2);
	}
	for (i = 0; i < nr; i++)
		if (pthread_create(&thread, NULL, waiter_run, &waiters[i]))
			_exit(3);
	for (;;)
		pause();
}

/* Kill it once all of them wait; how long it took to be gone, in us, or -1. */
static long kill_waiters(FIXTURE_DATA(stuck) * self, pid_t pid, unsigned int nr)
{
	__u64 start;

	if (pid < 0 || !step_wait(self->waiting, nr))
		return -1;
	usleep(50000);
	start = now_ns();
	if (kill(pid, SIGKILL) || child_wait(pid) != 128 + SIGKILL)
		return -1;
	return (now_ns() - start) / 1000;
}

static void expect_killed(struct __test_metadata *_metadata,
			  FIXTURE_DATA(stuck) * self, const struct way *way,
			  unsigned int nr)
{
	long took;

	ASSERT_EQ(0, gate_set(false));
	took = kill_waiters(self, fork_waiters(self, way, nr), nr);
	TH_LOG("%s: gone after %ld us", nr > 1 ? "all at once" : way->name,
	       took);
	EXPECT_LE(0, took);
	EXPECT_GT((long)(promptly() / 1000), took);
	EXPECT_EQ(self->pins + nr * PAGES, pins_now());
	ASSERT_EQ(0, gate_set(true));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 2000));
}

TEST_F(stuck, no_call_waits_unkillably)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ways); i++)
		expect_killed(_metadata, self, &ways[i], 1);
}

TEST_F(stuck, nor_do_all_of_them_in_one_process)
{
	expect_killed(_metadata, self, ways, ARRAY_SIZE(ways));
}

TEST_HARNESS_MAIN

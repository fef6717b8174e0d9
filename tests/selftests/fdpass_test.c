// SPDX-License-Identifier: GPL-2.0
/*
 * The scope's fd travels through unix sockets: to processes that outlive the sender, and
 * into queues that nobody will ever read.
 */
#include <signal.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

#define PAGES 4
#define LEN (PAGES * PAGE)
#define NR 20

FIXTURE(pass)
{
	char *mem;
	long pins;
	int socks[2];
};

FIXTURE_SETUP(pass)
{
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	memset(self->mem, 0, LEN);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				self->socks));
	self->pins = pins_now();
}

FIXTURE_TEARDOWN(pass)
{
	close(self->socks[0]);
	close(self->socks[1]);
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	munmap(self->mem, LEN);
}

/* A scope over @mem with NR endless children; its fd, or negative. */
static int busy_scope(char *mem, int *buf)
{
	struct kscope_scope_create arg = { .capacity = 64 };
	int fd = scope_create(&arg), i;

	if (fd < 0)
		return fd;
	*buf = buf_pin(fd, mem, LEN, 0);
	if (*buf <= 0)
		return -1;
	for (i = 0; i < NR; i++)
		if (spawn_one(fd, desc_sleep(i, far_future()), NULL) != 1)
			return -1;
	return fd;
}

TEST_F(pass, receiver_goes_on_with_the_scope_of_a_dead_sender)
{
	struct kscope_completion c;
	struct kscope_query q;
	struct scope scope;
	int fd, buf = 0, i;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		fd = busy_scope(self->mem, &buf);
		if (fd < 0 ||
		    write(self->socks[1], &buf, sizeof(buf)) != sizeof(buf) ||
		    fd_send(self->socks[1], fd))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	EXPECT_EQ(128 + SIGKILL, child_wait(pid));
	EXPECT_EQ(self->pins + PAGES, pins_now());
	ASSERT_EQ(sizeof(buf), read(self->socks[0], &buf, sizeof(buf)));
	fd = fd_recv(self->socks[0]);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, query(fd, &q));
	EXPECT_EQ(NR, q.outstanding);
	ASSERT_EQ(0, scope_map(&scope, fd,
			       &(struct kscope_scope_create){
				       .ring_entries = 64,
				       .ring_bytes = 64 * 64 + 64 }));
	/* Pages of the dead process can still be worked on, and are only that. */
	ASSERT_EQ(1, spawn_one(fd, desc_fill(buf, 0, LEN, ~0ULL), NULL));
	ASSERT_EQ(0, reap_wait(&scope, &c));
	EXPECT_EQ(LEN, c.done);
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0));
	EXPECT_EQ(0, ring_unread(&scope));
	ASSERT_EQ(0, xclose(fd));
	EXPECT_EQ(self->pins, pins_now());
	for (i = 0; i < NR; i++) {
		ASSERT_TRUE(reap(&scope, &c));
		EXPECT_EQ(KSCOPE_CAUSE_CLOSE, c.cause);
	}
	scope_unmap(&scope);
}

TEST_F(pass, fd_in_flight_keeps_the_scope_and_a_closed_queue_ends_it)
{
	int fd, buf;

	fd = busy_scope(self->mem, &buf);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fd_send(self->socks[1], fd));
	ASSERT_EQ(0, xclose(fd));
	EXPECT_EQ(self->pins + PAGES, pins_now());
	EXPECT_EQ(PAGES, vm_pages("VmPin"));
	close(self->socks[0]);
	close(self->socks[1]);
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	EXPECT_EQ(0, vm_pages("VmPin"));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				self->socks));
}

/* The queue of a socket holds the socket itself: only the garbage collector ends it. */
TEST_F(pass, fd_beside_its_own_socket_in_a_dropped_queue_is_collected)
{
	int i, fd, buf, socks[2], trigger;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
					socks));
		fd = busy_scope(self->mem, &buf);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, fd_send(socks[0], fd));
		ASSERT_EQ(0, fd_send(socks[0], socks[0]));
		ASSERT_EQ(0, fd_send(socks[0], socks[1]));
		ASSERT_EQ(0, xclose(fd));
		close(socks[0]);
		close(socks[1]);
		/* Any close of a unix socket sets the collector going. */
		trigger = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		close(trigger);
	}
	EXPECT_EQ(self->pins, pins_settle(self->pins, 5000));
	EXPECT_EQ(0, vm_pages("VmPin"));
}

TEST_F(pass, one_sender_and_many_receivers_share_one_scope)
{
	int fd, buf, i, status = 0, go[2];
	struct kscope_query q;
	pid_t pids[5];

	fd = busy_scope(self->mem, &buf);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
	for (i = 0; i < 5; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i]) {
			close(fd);
			fd = fd_recv(self->socks[0]);
			if (fd < 0 || spawn_one(fd, desc_nop(i), NULL) != 1)
				_exit(1);
			byte_send(go[1]);
			pause();
		}
	}
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, fd_send(self->socks[1], fd));
	}
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, byte_recv(go[0]));
	}
	ASSERT_EQ(0, query(fd, &q));
	EXPECT_EQ(NR + 5, q.spawned);
	ASSERT_EQ(0, xclose(fd));
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(self->pins + PAGES, pins_now());
		kill(pids[i], SIGKILL);
		status |= child_wait(pids[i]) != 128 + SIGKILL;
	}
	EXPECT_EQ(0, status);
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	close(go[0]);
	close(go[1]);
}

TEST_F(pass, fd_of_root_in_the_hands_of_an_ordinary_user)
{
	int fd, buf;
	pid_t pid;

	fd = busy_scope(self->mem, &buf);
	ASSERT_LE(0, fd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* Its own pages count against its own limit, in a scope of root's. */
		set_limit(RLIMIT_MEMLOCK, PAGE);
		if (become(NOBODY))
			_exit(1);
		if (buf_pin(fd, self->mem, 2 * PAGE, 0) != -ENOMEM)
			_exit(2);
		if (buf_pin(fd, self->mem, PAGE, 0) <= 0)
			_exit(3);
		_exit(cancel_scope(fd) || join(fd) ? 4 : 0);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(self->pins + PAGES + 1, pins_now());
	ASSERT_EQ(0, xclose(fd));
}

TEST_HARNESS_MAIN

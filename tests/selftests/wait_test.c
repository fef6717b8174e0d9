// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting: for a number of completions, for all, until a deadline, with signals, and by
 * poll and epoll.
 */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

FIXTURE(wait)
{
	struct scope scope;
	struct kscope_completion c;
	struct kscope_query q;
};

FIXTURE_SETUP(wait)
{
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 16));
}

FIXTURE_TEARDOWN(wait)
{
	EXPECT_EQ(0, scope_close(&self->scope));
}

/* Spawn one child that nothing but a cancel will end. */
static __u64 spawn_endless(int fd)
{
	__u64 handle = 0;

	spawn_one(fd, desc_sleep(1, far_future()), &handle);
	return handle;
}

TEST_F(wait, spawn_returns_when_so_many_are_unread)
{
	__u64 start = now_ns();
	struct kscope_desc descs[3] = { desc_sleep(1, start + 20 * MSEC),
					desc_sleep(2, start + 60 * MSEC),
					desc_sleep(3, far_future()) };

	ASSERT_EQ(3, spawn_arg(self->scope.fd, descs, NULL, 3, 2,
			       in_ms(PATIENCE_MS)));
	EXPECT_LE(start + 60 * MSEC, now_ns());
	EXPECT_EQ(2, ring_unread(&self->scope));
	/* They are unread still: no need to wait. */
	EXPECT_EQ(0, wait_unread(self->scope.fd, 2, PATIENCE_MS));
	EXPECT_EQ(0, wait_unread(self->scope.fd, 1, PATIENCE_MS));
	EXPECT_GT(start + 5 * SEC, now_ns());
}

TEST_F(wait, for_nothing_returns_at_once)
{
	spawn_endless(self->scope.fd);
	EXPECT_EQ(0, spawn_arg(self->scope.fd, NULL, NULL, 0, 0, 0));
	EXPECT_EQ(0, spawn_arg(self->scope.fd, NULL, NULL, 0, 0, in_ms(50)));
}

TEST_F(wait, for_more_than_there_are_ends_when_nothing_is_outstanding)
{
	struct kscope_desc descs[2] = { desc_nop(1), desc_sleep(2, in_ms(20)) };

	EXPECT_EQ(0, wait_unread(self->scope.fd, 5, PATIENCE_MS));
	EXPECT_EQ(0, wait_unread(self->scope.fd, ~0U, PATIENCE_MS));
	ASSERT_EQ(2, spawn_arg(self->scope.fd, descs, NULL, 2, 1000,
			       in_ms(PATIENCE_MS)));
	EXPECT_EQ(2, ring_unread(&self->scope));
}

TEST_F(wait, without_a_deadline_lasts_until_the_child_ends)
{
	struct kscope_desc desc = desc_sleep(1, in_ms(50));

	ASSERT_EQ(1, spawn_arg(self->scope.fd, &desc, NULL, 1, 1, 0));
	EXPECT_EQ(1, ring_unread(&self->scope));
}

TEST_F(wait, that_ends_by_deadline_is_etimedout)
{
	__u64 until;

	spawn_endless(self->scope.fd);
	until = in_ms(50);
	EXPECT_EQ(-ETIMEDOUT,
		  spawn_arg(self->scope.fd, NULL, NULL, 0, 1, until));
	EXPECT_LE(until, now_ns());
	/* A time in the past is no wait at all. */
	EXPECT_EQ(-ETIMEDOUT, spawn_arg(self->scope.fd, NULL, NULL, 0, 1, 1));
	EXPECT_EQ(-ETIMEDOUT,
		  spawn_arg(self->scope.fd, NULL, NULL, 0, 1, now_ns()));
}

TEST_F(wait, that_ends_by_deadline_after_a_spawn_returns_the_number)
{
	struct kscope_desc descs[2] = { desc_sleep(1, far_future()),
					desc_sleep(2, far_future()) };
	__u64 until = in_ms(50);

	EXPECT_EQ(2, spawn_arg(self->scope.fd, descs, NULL, 2, 1, until));
	EXPECT_LE(until, now_ns());
	EXPECT_EQ(2, spawn_arg(self->scope.fd, descs, NULL, 2, 1, 1));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(4, self->q.spawned);
}

TEST_F(wait, deadline_in_the_far_future_is_no_overflow)
{
	struct kscope_desc desc = desc_sleep(1, in_ms(10));

	EXPECT_EQ(1, spawn_arg(self->scope.fd, &desc, NULL, 1, 1, ~0ULL));
	EXPECT_EQ(1, ring_unread(&self->scope));
	desc = desc_sleep(1, in_ms(10));
	EXPECT_EQ(1, spawn_arg(self->scope.fd, &desc, NULL, 1, 2, 1ULL << 63));
	EXPECT_EQ(2, ring_unread(&self->scope));
	/* Nor is such a time to wake up: it never comes. */
	desc = desc_sleep(3, ~0ULL);
	EXPECT_EQ(1, spawn_arg(self->scope.fd, &desc, NULL, 1, 3, in_ms(50)));
	EXPECT_EQ(2, ring_unread(&self->scope));
}

TEST_F(wait, join_waits_for_all)
{
	struct kscope_desc descs[3] = { desc_sleep(1, in_ms(20)),
					desc_sleep(2, in_ms(50)),
					desc_sleep(3, in_ms(80)) };
	__u64 last = descs[2].until_ns;

	ASSERT_EQ(0, join(self->scope.fd));
	ASSERT_EQ(3, spawn(self->scope.fd, descs, 3));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_LE(last, now_ns());
	EXPECT_EQ(3, ring_unread(&self->scope));
}

TEST_F(wait, join_that_ends_by_deadline_is_etimedout)
{
	struct kscope_join result;
	__u64 until = in_ms(50);

	spawn_endless(self->scope.fd);
	EXPECT_EQ(-ETIMEDOUT, join_arg(self->scope.fd, until, &result));
	EXPECT_LE(until, now_ns());
	EXPECT_EQ(-ETIMEDOUT, join_arg(self->scope.fd, 1, &result));
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	EXPECT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(0, join_arg(self->scope.fd, 1, &result));
}

TEST_F(wait, join_tells_the_first_failure_and_the_counts)
{
	struct kscope_join result;
	__u64 endless, handle, first;
	struct kscope_desc desc;
	char path[PATH_LEN];
	int fd, direct, buf;
	void *page = map_anon(PAGE);

	ASSERT_NE(MAP_FAILED, page);
	fd = file_make(path, PAGE, 1);
	direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	unlink(path);
	ASSERT_LE(0, fd);
	if (direct < 0 || !fd_is_on_disk(fd))
		SKIP(return, "no O_DIRECT to fail with");
	buf = buf_pin(self->scope.fd, page, PAGE, 0);
	ASSERT_LT(0, buf);
	endless = spawn_endless(self->scope.fd);
	ASSERT_EQ(0, cancel_child(self->scope.fd, endless));
	ASSERT_EQ(0, join_arg(self->scope.fd, 0, &result));
	/* Being cancelled is not failing. */
	EXPECT_EQ(0, result.first_error);
	EXPECT_EQ(0, result.first_child);
	EXPECT_EQ(0, result.nr_failed);
	EXPECT_EQ(1, result.nr_cancelled);

	desc = desc_file(KSCOPE_OP_READ, direct, 1, buf, 1, 100);
	desc.user_data = 4711;
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc, &first));
	ASSERT_EQ(0, join_arg(self->scope.fd, 0, &result));
	desc.user_data = 4712;
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc, &handle));
	ASSERT_EQ(0, join_arg(self->scope.fd, 0, &result));
	EXPECT_EQ(-EINVAL, result.first_error);
	EXPECT_EQ(first, result.first_child);
	EXPECT_EQ(4711, result.first_user_data);
	EXPECT_EQ(2, result.nr_failed);
	EXPECT_EQ(1, result.nr_cancelled);
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(2, self->q.failed);
	EXPECT_EQ(1, self->q.cancelled);
	close(fd);
	close(direct);
	munmap(page, PAGE);
}

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	signals = sig;
}

/* Have SIGALRM come @ms from now, and again and again until it is stopped. */
static int alarm_every(unsigned int ms, int flags)
{
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = flags };
	struct itimerval timer = { .it_value.tv_usec = ms * 1000,
				   .it_interval.tv_usec = ms * 1000 };

	signals = 0;
	return sigaction(SIGALRM, &action, NULL) ?:
		       setitimer(ITIMER_REAL, &timer, NULL);
}

static void alarm_stop(void)
{
	setitimer(ITIMER_REAL, &(struct itimerval){}, NULL);
}

TEST_F(wait, signal_interrupts_a_wait)
{
	struct kscope_join result;

	spawn_endless(self->scope.fd);
	ASSERT_EQ(0, alarm_every(30, 0));
	EXPECT_EQ(-EINTR, spawn_arg(self->scope.fd, NULL, NULL, 0, 1, 0));
	EXPECT_EQ(-EINTR, spawn_arg(self->scope.fd, NULL, NULL, 0, 1,
				    in_ms(PATIENCE_MS)));
	EXPECT_EQ(-EINTR, join_arg(self->scope.fd, 0, &result));
	EXPECT_EQ(-EINTR,
		  join_arg(self->scope.fd, in_ms(PATIENCE_MS), &result));
	alarm_stop();
	EXPECT_EQ(SIGALRM, signals);
}

TEST_F(wait, signal_after_a_spawn_returns_the_number_and_no_child_comes_twice)
{
	static const int flags[] = { 0, SA_RESTART };
	struct kscope_desc desc = desc_sleep(1, far_future());
	size_t i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, alarm_every(30, flags[i]));
		EXPECT_EQ(1, spawn_arg(self->scope.fd, &desc, NULL, 1, 1, 0));
		alarm_stop();
		EXPECT_EQ(SIGALRM, signals);
		ASSERT_EQ(0, query(self->scope.fd, &self->q));
		EXPECT_EQ(i + 1, self->q.spawned);
	}
}

/* The waiter runs children itself, none of which takes long. */
TEST_F(wait, signal_ends_a_wait_that_helps)
{
	const size_t len = 256 << 10;
	struct kscope_desc descs[16];
	char *mem = map_anon(2 * len);
	int hash, buf, i;

	ASSERT_NE(MAP_FAILED, mem);
	hash = hash_open(self->scope.fd, "sha512");
	ASSERT_LT(0, hash);
	buf = buf_pin(self->scope.fd, mem, 2 * len, 0);
	ASSERT_LT(0, buf);
	for (i = 0; i < 16; i++)
		descs[i] = desc_hash(hash, KSCOPE_HASH_ALL, buf, 0, len, buf,
				     len + i * 64);
	ASSERT_EQ(0, alarm_every(1, 0));
	EXPECT_EQ(16, spawn_arg(self->scope.fd, descs, NULL, 16, 16, 0));
	alarm_stop();
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_LT(0, self->q.outstanding);
	EXPECT_EQ(SIGALRM, signals);
	munmap(mem, 2 * len);
}

TEST_F(wait, is_restarted_after_a_signal_if_asked_for)
{
	__u64 until = in_ms(200);
	struct kscope_join result;

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(1, until), NULL));
	ASSERT_EQ(0, alarm_every(30, SA_RESTART));
	EXPECT_EQ(0, spawn_arg(self->scope.fd, NULL, NULL, 0, 1, 0));
	EXPECT_LE(until, now_ns());
	EXPECT_EQ(SIGALRM, signals);
	signals = 0;
	until = in_ms(200);
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(1, until), NULL));
	EXPECT_EQ(0, join_arg(self->scope.fd, 0, &result));
	alarm_stop();
	EXPECT_LE(until, now_ns());
	EXPECT_EQ(SIGALRM, signals);
}

TEST_F(wait, restarted_waits_still_end_at_their_deadline)
{
	__u64 until = in_ms(200);
	struct kscope_join result;

	spawn_endless(self->scope.fd);
	ASSERT_EQ(0, alarm_every(30, SA_RESTART));
	EXPECT_EQ(-ETIMEDOUT, join_arg(self->scope.fd, until, &result));
	alarm_stop();
	EXPECT_LE(until, now_ns());
	EXPECT_GT(until + 5 * SEC, now_ns());
}

/* Thousands of signals: nothing but the two documented answers ever comes out. */
TEST_F(wait, no_kernel_errno_leaks_through_many_signals)
{
	struct kscope_desc desc = desc_sleep(1, far_future());
	struct kscope_join result;
	__u64 end = in_ms(1000), handle;
	unsigned int spawned = 0;
	int ret;

	ASSERT_EQ(0, alarm_every(1, 0));
	while (now_ns() < end) {
		ret = join_arg(self->scope.fd, in_ms(3), &result);
		EXPECT_TRUE(ret == 0 || ret == -EINTR || ret == -ETIMEDOUT)
		TH_LOG("join: %d", ret);
		ret = spawn_arg(self->scope.fd, &desc, &handle, 1, 1, in_ms(3));
		EXPECT_EQ(1, ret);
		spawned++;
		ret = spawn_arg(self->scope.fd, NULL, NULL, 0, 1, in_ms(3));
		EXPECT_TRUE(ret == -EINTR || ret == -ETIMEDOUT)
		TH_LOG("wait: %d", ret);
		ASSERT_EQ(0, cancel_child(self->scope.fd, handle));
		do
			ret = join_arg(self->scope.fd, 0, &result);
		while (ret == -EINTR);
		ASSERT_EQ(0, ret);
		ASSERT_TRUE(reap(&self->scope, &self->c));
		EXPECT_EQ(handle, self->c.child);
	}
	alarm_stop();
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(spawned, self->q.spawned);
	EXPECT_EQ(spawned, self->q.completed);
}

TEST_F(wait, waiter_that_is_killed_is_gone_at_once)
{
	int ready[2], which;
	__u64 start;
	pid_t pid;

	spawn_endless(self->scope.fd);
	for (which = 0; which < 2; which++) {
		ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			struct kscope_join result;

			byte_send(ready[1]);
			if (which)
				join_arg(self->scope.fd, 0, &result);
			else
				spawn_arg(self->scope.fd, NULL, NULL, 0, 1, 0);
			_exit(0);
		}
		ASSERT_EQ(0, byte_recv(ready[0]));
		usleep(20000);
		start = now_ns();
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(128 + SIGKILL, child_wait(pid));
		EXPECT_GT(start + promptly(), now_ns());
		close(ready[0]);
		close(ready[1]);
	}
}

static int polled(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, timeout_ms) < 0 ? -errno : p.revents;
}

TEST_F(wait, poll_tells_what_can_be_done)
{
	struct kscope_desc nops[16] = {};
	__u64 handle;

	EXPECT_EQ(POLLOUT, polled(self->scope.fd, 0));
	ASSERT_EQ(1, spawn(self->scope.fd, nops, 1));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(POLLIN | POLLOUT, polled(self->scope.fd, 0));
	ASSERT_EQ(15, spawn(self->scope.fd, nops, 15));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(POLLIN, polled(self->scope.fd, 0));
	while (reap(&self->scope, &self->c))
		;
	EXPECT_EQ(POLLOUT, polled(self->scope.fd, 0));
	handle = spawn_endless(self->scope.fd);
	EXPECT_EQ(POLLOUT, polled(self->scope.fd, 0));
	ASSERT_EQ(0, cancel_child(self->scope.fd, handle));
	ASSERT_EQ(0, join(self->scope.fd));
	ASSERT_EQ(0, release(self->scope.fd));
	EXPECT_EQ(POLLIN | POLLHUP, polled(self->scope.fd, 0));
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(POLLHUP, polled(self->scope.fd, 0));
}

TEST_F(wait, poll_hangs_up_once_a_cancelled_scope_has_drained)
{
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(1), NULL));
	ASSERT_EQ(0, join(self->scope.fd));
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	EXPECT_EQ(POLLIN | POLLHUP, polled(self->scope.fd, 0));
}

TEST_F(wait, poll_wakes_up_for_a_completion)
{
	struct pollfd p = { .fd = self->scope.fd, .events = POLLIN };
	__u64 start = now_ns();

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(1, in_ms(50)), NULL));
	EXPECT_EQ(0, poll(&p, 1, 0));
	EXPECT_EQ(1, poll_woken(&p));
	/* It also looks when its time is over. */
	EXPECT_GT(start + 5 * SEC, now_ns());
	EXPECT_EQ(POLLIN, p.revents);
	EXPECT_EQ(1, ring_unread(&self->scope));
}

TEST_F(wait, select_wakes_up_for_a_completion)
{
	struct timeval timeout = { .tv_sec = PATIENCE_MS / 1000 };
	__u64 start = now_ns();
	fd_set set;

	FD_ZERO(&set);
	FD_SET(self->scope.fd, &set);
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(1, in_ms(50)), NULL));
	EXPECT_EQ(1, select(self->scope.fd + 1, &set, NULL, NULL, &timeout));
	EXPECT_GT(start + 5 * SEC, now_ns());
	EXPECT_TRUE(FD_ISSET(self->scope.fd, &set));
}

TEST_F(wait, epoll_nested_and_edge_triggered)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET }, out;
	int inner = epoll_create1(EPOLL_CLOEXEC);
	int outer = epoll_create1(EPOLL_CLOEXEC);
	int i;

	ASSERT_LE(0, inner);
	ASSERT_LE(0, outer);
	ASSERT_EQ(0, epoll_ctl(inner, EPOLL_CTL_ADD, self->scope.fd, &ev));
	ev.events = EPOLLIN;
	ASSERT_EQ(0, epoll_ctl(outer, EPOLL_CTL_ADD, inner, &ev));
	EXPECT_EQ(0, epoll_wait(outer, &out, 1, 0));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(i), NULL));
		ASSERT_EQ(1, epoll_wait(outer, &out, 1, PATIENCE_MS));
		ASSERT_EQ(1, epoll_wait(inner, &out, 1, PATIENCE_MS));
		EXPECT_TRUE(out.events & EPOLLIN);
		ASSERT_EQ(0, join(self->scope.fd));
		ASSERT_TRUE(reap(&self->scope, &self->c));
		/* Seen once, it is not told again. */
		EXPECT_GE(1, epoll_wait(inner, &out, 1, 0));
		EXPECT_EQ(0, epoll_wait(inner, &out, 1, 0));
	}
	close(inner);
	close(outer);
}

TEST_F(wait, epoll_outlives_the_scope)
{
	struct epoll_event ev = { .events = EPOLLIN }, out;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct scope other;

	ASSERT_LE(0, ep);
	ASSERT_EQ(0, scope_open(&other, KSCOPE_KIND_PARALLEL, 4));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, other.fd, &ev));
	spawn_endless(other.fd);
	ASSERT_EQ(0, scope_close(&other));
	EXPECT_EQ(0, epoll_wait(ep, &out, 1, 0));
	close(ep);
}

TEST_HARNESS_MAIN

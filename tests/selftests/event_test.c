// SPDX-License-Identifier: GPL-2.0
/*
 * Event loops: an eventfd that counts completions, and one thread that waits for a thousand
 * scopes (fewer on instrumented kernels).
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "kselftest_harness.h"
#include "race_hooks.h"

#define MANY 1000
#define MANY_INSTRUMENTED 100

static int event_set(int fd, int event)
{
	struct kscope_eventfd arg = { .size = sizeof(arg), .fd = event };

	return xioctl(fd, KSCOPE_IOC_EVENTFD, &arg);
}

/* Has it counted anything within @ms? It is zero afterwards. */
static bool event_comes(int event, int ms)
{
	struct pollfd poller = { .fd = event, .events = POLLIN };
	eventfd_t count;

	return poll(&poller, 1, ms) == 1 && !eventfd_read(event, &count) &&
	       count;
}

FIXTURE(event)
{
	struct scope scope;
	struct kscope_completion c;
	int event;
};

FIXTURE_SETUP(event)
{
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 64));
	self->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, self->event);
	ASSERT_EQ(0, event_set(self->scope.fd, self->event));
}

FIXTURE_TEARDOWN(event)
{
	hooks_quiet();
	EXPECT_EQ(0, scope_close(&self->scope));
	close(self->event);
}

TEST_F(event, comes_with_each_completion_and_not_before)
{
	__u64 handle;
	int i;

	EXPECT_FALSE(event_comes(self->event, 0));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_sleep(i, far_future()), &handle));
		EXPECT_FALSE(event_comes(self->event, 0));
		ASSERT_EQ(0, cancel_child(self->scope.fd, handle));
		EXPECT_TRUE(event_comes(self->event, PATIENCE_MS));
		ASSERT_TRUE(reap(&self->scope, &self->c));
	}
}

/* Neither who posted it nor anybody else who has something to tell counts it again. */
TEST_F(event, counts_a_completion_once)
{
	struct kscope_cancel arg;
	eventfd_t count = 0;

	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	ASSERT_EQ(0, stop_at("ended", 7));
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(7), NULL));
	ASSERT_EQ(0, stop_wait());
	EXPECT_EQ(1, ring_unread(&self->scope));
	EXPECT_EQ(-ENOENT,
		  cancel_arg(self->scope.fd, KSCOPE_CANCEL_USER_DATA, 8, &arg));
	EXPECT_EQ(0, eventfd_read(self->event, &count));
	EXPECT_EQ(1, count);
	EXPECT_EQ(0, stop_go());
	EXPECT_FALSE(event_comes(self->event, 50));
	ASSERT_TRUE(reap(&self->scope, &self->c));
}

TEST_F(event, is_told_at_once_of_what_is_unread)
{
	int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(1), NULL));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_TRUE(event_comes(self->event, PATIENCE_MS));
	EXPECT_EQ(0, event_set(self->scope.fd, other));
	EXPECT_TRUE(event_comes(other, 0));
	/* The one before is told no more. */
	ASSERT_TRUE(reap(&self->scope, &self->c));
	ASSERT_EQ(0, run_ok(&self->scope, desc_nop(2), &self->c));
	EXPECT_TRUE(event_comes(other, PATIENCE_MS));
	EXPECT_FALSE(event_comes(self->event, 0));
	EXPECT_EQ(0, event_set(self->scope.fd, -1));
	ASSERT_EQ(0, run_ok(&self->scope, desc_nop(3), &self->c));
	EXPECT_FALSE(event_comes(other, 10));
	close(other);
}

TEST_F(event, is_no_other_file_and_none_that_is_closed)
{
	int closed = dup(self->event), zero = open("/dev/zero", O_RDONLY);

	close(closed);
	EXPECT_EQ(-EBADF, event_set(self->scope.fd, closed));
	EXPECT_EQ(-EINVAL, event_set(self->scope.fd, zero));
	EXPECT_EQ(-EINVAL, event_set(self->scope.fd, self->scope.fd));
	EXPECT_EQ(-EINVAL, event_set(self->scope.fd, -2));
	close(zero);
	/* What was refused has changed nothing. */
	ASSERT_EQ(0, run_ok(&self->scope, desc_nop(1), &self->c));
	EXPECT_TRUE(event_comes(self->event, PATIENCE_MS));
}

TEST_F(event, does_not_keep_its_file_or_need_it)
{
	int event = eventfd(0, EFD_CLOEXEC);

	ASSERT_EQ(0, event_set(self->scope.fd, event));
	EXPECT_EQ(0, close(event));
	ASSERT_EQ(0, run_ok(&self->scope, desc_nop(1), &self->c));
	EXPECT_EQ(0, event_set(self->scope.fd, self->event));
}

TEST_F(event, that_is_full_holds_up_nobody)
{
	ASSERT_EQ(0, eventfd_write(self->event, ~0ULL - 1));
	ASSERT_EQ(0, run_ok(&self->scope, desc_nop(1), &self->c));
	EXPECT_TRUE(event_comes(self->event, 0));
}

/* @by_event: through one eventfd for all of them, else through an epoll of their fds */
static int wait_for_many(const int *fds, int many, bool by_event)
{
	int loop = by_event ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) :
			      epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN };
	int i, nr = 0;

	for (i = 0; i < many; i++) {
		ev.data.u32 = i;
		if (by_event ? event_set(fds[i], loop) :
			       epoll_ctl(loop, EPOLL_CTL_ADD, fds[i], &ev))
			return -1;
		if (spawn_one(fds[i], desc_sleep(i, in_ms(1 + i % 50)), NULL) !=
		    1)
			return -2;
	}
	while (nr < many && !by_event) {
		if (epoll_wait(loop, &ev, 1, PATIENCE_MS) != 1 ||
		    epoll_ctl(loop, EPOLL_CTL_DEL, fds[ev.data.u32], NULL))
			return -3;
		nr++;
	}
	while (nr < many && by_event) {
		struct kscope_query q;

		if (!event_comes(loop, PATIENCE_MS))
			return -4;
		for (i = 0, nr = 0; i < many; i++)
			nr += !query(fds[i], &q) && q.unread == 1;
	}
	close(loop);
	return nr;
}

FIXTURE(many){};

FIXTURE_SETUP(many)
{
}

FIXTURE_TEARDOWN(many)
{
}

/* Instrumented kernels take long to make and to end so many. */
TEST_F_TIMEOUT(many, one_thread_waits_for_a_thousand_scopes, 90)
{
	struct rlimit room = { MANY + 100, MANY + 100 };
	struct kscope_scope_create arg = { .capacity = 2 };
	int many = kernel_is_instrumented() ? MANY_INSTRUMENTED : MANY;
	int fds[MANY], i, by_event;

	TH_LOG("%d scopes", many);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &room));
	for (by_event = 0; by_event < 2; by_event++) {
		for (i = 0; i < many; i++) {
			fds[i] = scope_create(&arg);
			ASSERT_LE(0, fds[i]);
		}
		EXPECT_EQ(many, wait_for_many(fds, many, by_event));
		for (i = 0; i < many; i++)
			ASSERT_EQ(0, xclose(fds[i]));
	}
}

TEST_HARNESS_MAIN

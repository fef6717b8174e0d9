// SPDX-License-Identifier: GPL-2.0
/*
 * Children that do not end when they are told to: what waits for them, what can still be
 * killed, and that their pages stay pinned and charged until they have returned. The
 * op comes from the test module kscope_gate; without it the tests are skipped.
 */
#include <poll.h>
#include <signal.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

#define GATE "/sys/module/kscope_gate/parameters/open"
#define GATE_HEEDS (1U << 0)

#define PAGES 4
#define LEN (PAGES * PAGE)

FIXTURE(stuck)
{
	char *mem;
	unsigned int op;
	long pins;
	int ready[2]; /* from the other process to this one */
	struct kscope_completion c;
};

static int gate_set(bool open_it)
{
	int fd = open(GATE, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, open_it ? "1" : "0", 1) == 1 ? 0 : -errno;
	close(fd);
	return ret;
}

static int gate_op(void)
{
	struct kscope_op_info info = { .size = sizeof(info),
				       .flags = KSCOPE_OP_INFO_BY_NAME,
				       .name = "gate" };
	int dev = dev_open(), ret;

	ret = xioctl(dev, KSCOPE_IOC_OP_INFO, &info);
	close(dev);
	return ret ?: (int)info.op;
}

FIXTURE_SETUP(stuck)
{
	int op = gate_op();

	if (op < 0)
		SKIP(return, "kscope_gate is not loaded");
	self->op = op;
	ASSERT_LE(KSCOPE_OP_PROVIDER, op);
	/* Let go what an earlier test may have left behind. */
	ASSERT_EQ(0, gate_set(true));
	pins_settle(0, 1000);
	ASSERT_EQ(0, gate_set(false));
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_EQ(0, pipe2(self->ready, O_CLOEXEC));
	self->pins = pins_now();
}

FIXTURE_TEARDOWN(stuck)
{
	if (!self->op)
		return;
	EXPECT_EQ(0, gate_set(true));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	close(self->ready[0]);
	close(self->ready[1]);
}

static struct kscope_desc desc_gate(FIXTURE_DATA(stuck) * self,
				    unsigned int buf, unsigned int op_flags)
{
	return (struct kscope_desc){ .op = self->op,
				     .op_flags = op_flags,
				     .user_data = 4711,
				     .buf = buf,
				     .off = 10,
				     .len = 20 };
}

/* A scope with one running child that is stuck in the gate. */
static int stuck_scope(FIXTURE_DATA(stuck) * self, struct scope *scope,
		       int *buf, __u64 *handle)
{
	if (scope_open(scope, KSCOPE_KIND_PARALLEL, 64))
		return -1;
	*buf = buf_pin(scope->fd, self->mem, LEN, 0);
	if (*buf <= 0)
		return -1;
	if (spawn_one(scope->fd, desc_gate(self, *buf, 0), handle) != 1)
		return -1;
	return wait_running(scope->fd, 1);
}

static bool byte_came(int fd, unsigned int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && !byte_recv(fd);
}

enum how { CLOSES, EXITS, EXECS, JOINS, WAITS, IS_KILLED };

/* Another process, which has a scope with a stuck child and then does @how. */
static pid_t fork_stuck(FIXTURE_DATA(stuck) * self, enum how how)
{
	char *const argv[] = { "true", NULL };
	struct scope scope;
	pid_t pid = fork();
	__u64 handle;
	int buf;

	if (pid)
		return pid;
	if (stuck_scope(self, &scope, &buf, &handle))
		_exit(90);
	byte_send(self->ready[1]);
	switch (how) {
	case CLOSES:
		close(scope.fd);
		byte_send(self->ready[1]);
		_exit(0);
	case EXITS:
		_exit(0);
	case EXECS:
		execvp("true", argv);
		_exit(91);
	case JOINS:
		join_arg(scope.fd, 0, &(struct kscope_join){});
		_exit(92);
	case WAITS:
		spawn_arg(scope.fd, NULL, NULL, 0, 1, 0);
		_exit(93);
	default:
		pause();
		_exit(94);
	}
}

static void expect_pinned(struct __test_metadata *_metadata,
			  FIXTURE_DATA(stuck) * self)
{
	EXPECT_EQ(self->pins + PAGES, pins_now());
	usleep(50000);
	EXPECT_EQ(self->pins + PAGES, pins_now());
}

TEST_F(stuck, close_waits_until_the_child_has_returned)
{
	pid_t pid = fork_stuck(self, CLOSES);

	ASSERT_LE(0, pid);
	ASSERT_TRUE(byte_came(self->ready[0], PATIENCE_MS));
	EXPECT_FALSE(byte_came(self->ready[0], 200));
	expect_pinned(_metadata, self);
	ASSERT_EQ(0, gate_set(true));
	EXPECT_TRUE(byte_came(self->ready[0], PATIENCE_MS));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(self->pins, pins_now());
}

static const enum how deaths[] = { CLOSES, EXECS, JOINS, WAITS, IS_KILLED };

TEST_F(stuck, process_can_be_killed_at_once_and_its_pages_stay_pinned)
{
	__u64 start;
	pid_t pid;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(deaths); i++) {
		ASSERT_EQ(0, gate_set(false));
		pid = fork_stuck(self, deaths[i]);
		ASSERT_LE(0, pid);
		ASSERT_TRUE(byte_came(self->ready[0], PATIENCE_MS));
		usleep(50000); /* let it get to where it waits */
		start = now_ns();
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(128 + SIGKILL, child_wait(pid));
		EXPECT_GT(start + promptly(), now_ns()) TH_LOG("how %zu", i);
		expect_pinned(_metadata, self);
		ASSERT_EQ(0, gate_set(true));
		EXPECT_EQ(self->pins, pins_settle(self->pins, 1000))
		TH_LOG("how %zu", i);
	}
}

TEST_F(stuck, exit_does_not_wait_and_the_pages_stay_pinned)
{
	pid_t pid = fork_stuck(self, EXITS);

	ASSERT_LE(0, pid);
	EXPECT_EQ(0, child_wait(pid));
	expect_pinned(_metadata, self);
	ASSERT_EQ(0, gate_set(true));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
}

static int pages_of_nobody(char *mem)
{
	struct kscope_scope_create arg = { .capacity = 1 };
	int fd, nr = 0;

	fd = set_limit(RLIMIT_MEMLOCK, PAGES * PAGE) ?:
		     become(NOBODY)		     ?:
						       scope_create(&arg);
	if (fd < 0)
		return 100;
	while (nr < 50 && buf_pin(fd, mem, PAGE, 0) > 0)
		nr++;
	return nr;
}

static int fork_pages_of_nobody(char *mem)
{
	pid_t pid = fork();

	if (!pid)
		_exit(pages_of_nobody(mem));
	return child_wait(pid);
}

TEST_F(stuck, pages_stay_charged_to_the_user_as_long_as_they_are_pinned)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		struct scope scope;
		__u64 handle;
		int buf;

		set_limit(RLIMIT_MEMLOCK, PAGES * PAGE);
		_exit(become(NOBODY) ||
		      stuck_scope(self, &scope, &buf, &handle));
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, fork_pages_of_nobody(self->mem));
	ASSERT_EQ(0, gate_set(true));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	EXPECT_EQ(PAGES, fork_pages_of_nobody(self->mem));
}

TEST_F(stuck, second_cancel_is_ealready_and_the_child_finishes_anyway)
{
	struct kscope_blocker blockers[8];
	struct kscope_cancel counts;
	struct scope scope;
	unsigned int nr = 8;
	__u64 handle;
	int buf, i;

	ASSERT_EQ(0, stuck_scope(self, &scope, &buf, &handle));
	EXPECT_EQ(-EBUSY, buf_unpin_blockers(scope.fd, buf, blockers, &nr));
	ASSERT_EQ(1, nr);
	EXPECT_EQ(KSCOPE_STATE_RUNNING, blockers[0].state);
	EXPECT_EQ(self->op, blockers[0].op);
	EXPECT_EQ(buf, blockers[0].buf);
	EXPECT_EQ(10, blockers[0].off);
	EXPECT_EQ(20, blockers[0].len);

	EXPECT_EQ(0,
		  cancel_arg(scope.fd, KSCOPE_CANCEL_CHILD, handle, &counts));
	EXPECT_EQ(1, counts.told);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-EALREADY, cancel_arg(scope.fd, KSCOPE_CANCEL_CHILD,
						handle, &counts));
		EXPECT_EQ(0, counts.told);
		EXPECT_EQ(1, counts.already);
		EXPECT_EQ(0, cancel_arg(scope.fd, KSCOPE_CANCEL_USER_DATA, 4711,
					&counts));
		EXPECT_EQ(0, counts.told);
		EXPECT_EQ(1, counts.already);
		EXPECT_EQ(0, cancel_arg(scope.fd, KSCOPE_CANCEL_SCOPE, 0,
					&counts));
		EXPECT_EQ(0, counts.told);
		EXPECT_EQ(1, counts.already);
	}
	nr = 8;
	EXPECT_EQ(-EBUSY, buf_unpin_blockers(scope.fd, buf, blockers, &nr));
	EXPECT_EQ(KSCOPE_STATE_CANCELLING, blockers[0].state);
	nr = 8;
	EXPECT_EQ(-EBUSY, release_blockers(scope.fd, blockers, &nr));
	EXPECT_EQ(handle, blockers[0].child);
	EXPECT_EQ(0, ring_unread(&scope));

	ASSERT_EQ(0, gate_set(true));
	ASSERT_EQ(0, reap_wait(&scope, &self->c));
	EXPECT_EQ(handle, self->c.child);
	EXPECT_EQ(KSCOPE_FINISHED_ANYWAY, self->c.outcome);
	EXPECT_EQ(KSCOPE_CAUSE_CALLER, self->c.cause);
	EXPECT_EQ(0, self->c.status);
	EXPECT_EQ(0, buf_unpin(scope.fd, buf));
	EXPECT_EQ(0, release(scope.fd));
	EXPECT_EQ(0, scope_close(&scope));
}

TEST_F(stuck, child_that_heeds_the_cancel_of_its_op_stops)
{
	struct scope scope;
	__u64 handle, other;
	int buf;

	ASSERT_EQ(0, stuck_scope(self, &scope, &buf, &handle));
	ASSERT_EQ(1, spawn_one(scope.fd, desc_gate(self, buf, GATE_HEEDS),
			       &other));
	ASSERT_EQ(0, wait_running(scope.fd, 2));
	ASSERT_EQ(0, cancel_child(scope.fd, handle));
	ASSERT_EQ(0, cancel_child(scope.fd, other));
	ASSERT_EQ(0, reap_wait(&scope, &self->c));
	EXPECT_EQ(other, self->c.child);
	EXPECT_EQ(KSCOPE_STOPPED, self->c.outcome);
	EXPECT_EQ(-ECANCELED, self->c.status);
	EXPECT_EQ(-EBUSY, buf_unpin(scope.fd, buf));
	ASSERT_EQ(0, gate_set(true));
	EXPECT_EQ(0, scope_close(&scope));
}

TEST_F(stuck, cancelled_scope_hangs_up_only_when_the_child_has_returned)
{
	struct pollfd p = { .events = POLLIN | POLLOUT };
	struct scope scope;
	__u64 handle;
	int buf;

	ASSERT_EQ(0, stuck_scope(self, &scope, &buf, &handle));
	ASSERT_EQ(0, cancel_scope(scope.fd));
	p.fd = scope.fd;
	EXPECT_EQ(0, poll(&p, 1, 20));
	ASSERT_EQ(0, gate_set(true));
	ASSERT_EQ(1, poll_woken(&p));
	ASSERT_EQ(0, join(scope.fd));
	ASSERT_EQ(1, poll_woken(&p));
	EXPECT_EQ(POLLIN | POLLHUP, p.revents);
	EXPECT_EQ(0, scope_close(&scope));
}

/* More than any workqueue lets run at a time. */
#define STUCK_SCOPES 34

static int run_of_each_kind(bool quick_only)
{
	struct kscope_completion c;
	struct scope scope;
	unsigned int kind;
	int ret = 0;

	for (kind = 0; kind <= (quick_only ? 0 : KSCOPE_KIND_ORDERED); kind++) {
		if (scope_open(&scope, kind, 4))
			return 1;
		if (run_ok(&scope, desc_nop(1), &c))
			ret |= 2 << (kind * 2);
		if (!quick_only && run_ok(&scope, desc_sleep(1, 0), &c))
			ret |= 4 << (kind * 2);
		scope_close(&scope);
	}
	return ret;
}

/*
 * All that may block of many scopes is stuck. What does not block goes on, and so does
 * all of another user.
 */
TEST_F(stuck, many_stuck_children_do_not_hold_up_other_scopes)
{
	struct kscope_desc descs[64];
	struct scope scopes[STUCK_SCOPES];
	unsigned int i, j;
	pid_t pid;
	int buf;

	for (i = 0; i < STUCK_SCOPES; i++) {
		ASSERT_EQ(0, scope_open(&scopes[i], KSCOPE_KIND_PARALLEL, 64));
		buf = buf_pin(scopes[i].fd, self->mem, LEN, 0);
		ASSERT_LT(0, buf);
		for (j = 0; j < 64; j++)
			descs[j] = desc_gate(self, buf, 0);
		ASSERT_EQ(64, spawn(scopes[i].fd, descs, 64));
	}
	EXPECT_EQ(0, run_of_each_kind(true));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(become(NOBODY) ? 99 : run_of_each_kind(false));
	EXPECT_EQ(0, child_wait(pid));
	ASSERT_EQ(0, gate_set(true));
	for (i = 0; i < STUCK_SCOPES; i++) {
		ASSERT_EQ(0, join(scopes[i].fd));
		EXPECT_EQ(64, ring_unread(&scopes[i]));
		EXPECT_EQ(0, scope_close(&scopes[i]));
	}
}

TEST_F(stuck, provider_stays_while_a_child_of_its_op_lives)
{
	struct scope scope;
	__u64 handle;
	int buf;

	ASSERT_EQ(0, stuck_scope(self, &scope, &buf, &handle));
	EXPECT_EQ(-1, syscall(SYS_delete_module, "kscope_gate", O_NONBLOCK));
	EXPECT_EQ(EWOULDBLOCK, errno);
	EXPECT_EQ((int)self->op, gate_op());
	ASSERT_EQ(0, gate_set(true));
	EXPECT_EQ(0, scope_close(&scope));
}

TEST_F(stuck, op_of_a_provider_is_checked_like_any_other)
{
	struct kscope_desc desc;
	struct scope scope;
	int buf;

	ASSERT_EQ(0, gate_set(true));
	ASSERT_EQ(0, scope_open(&scope, KSCOPE_KIND_PARALLEL, 4));
	buf = buf_pin(scope.fd, self->mem, LEN, KSCOPE_PIN_READ_ONLY);
	ASSERT_LT(0, buf);
	desc = desc_gate(self, buf, 0);
	EXPECT_EQ(0, run_ok(&scope, desc, &self->c));
	desc = desc_gate(self, buf, 4);
	EXPECT_EQ(-EINVAL, spawn_one(scope.fd, desc, NULL));
	desc = desc_gate(self, buf + 1000, 0);
	EXPECT_EQ(-ENOENT, spawn_one(scope.fd, desc, NULL));
	desc = desc_gate(self, buf, 0);
	desc.off = LEN;
	EXPECT_EQ(-ERANGE, spawn_one(scope.fd, desc, NULL));
	desc = desc_gate(self, buf, 0);
	desc.off2 = 1;
	EXPECT_EQ(-EINVAL, spawn_one(scope.fd, desc, NULL));
	desc = desc_gate(self, buf, 0);
	desc.buf2 = buf;
	EXPECT_EQ(-EINVAL, spawn_one(scope.fd, desc, NULL));
	desc.op = self->op + 1;
	EXPECT_EQ(-EINVAL, spawn_one(scope.fd, desc, NULL));
	EXPECT_EQ(0, scope_close(&scope));
}

TEST_HARNESS_MAIN

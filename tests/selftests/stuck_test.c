// SPDX-License-Identifier: GPL-2.0
/*
 * Children that do not end when they are told to: what waits for them, what can still be
 * killed, and that their pages stay pinned and charged until they have returned. The
 * op comes from the test module kscope_gate; without it the tests are skipped.
 */
#include <poll.h>
#include <signal.h>

#include "kselftest_harness.h"
#include "race_caller.h"

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

static struct kscope_desc child_gate(FIXTURE_DATA(stuck) * self,
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
	if (spawn_one(scope->fd, child_gate(self, *buf, 0), handle) != 1)
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
	ASSERT_EQ(1, spawn_one(scope.fd, child_gate(self, buf, GATE_HEEDS),
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
#define USER_WORKERS 256

/* So many scopes whose children are stuck, or wait for a worker. Return: 0, or -1 */
static int stuck_many(FIXTURE_DATA(stuck) * self, struct scope *scopes)
{
	struct kscope_desc descs[64];
	unsigned int i, j;
	int buf;

	for (i = 0; i < STUCK_SCOPES; i++) {
		if (scope_open(&scopes[i], KSCOPE_KIND_PARALLEL, 64))
			return -1;
		buf = buf_pin(scopes[i].fd, self->mem, LEN, 0);
		for (j = 0; j < 64; j++)
			descs[j] = child_gate(self, buf, 0);
		if (buf <= 0 || spawn(scopes[i].fd, descs, 64) != 64)
			return -1;
	}
	return 0;
}

/* Wait until they have all of the user's workers for what may block: 0 or -1 */
static int stuck_many_wait(const struct scope *scopes)
{
	__u64 deadline = in_ms(PATIENCE_MS);
	struct kscope_query q;
	unsigned int i, nr;

	do {
		usleep(1000);
		for (nr = 0, i = 0; i < STUCK_SCOPES; i++)
			nr += query(scopes[i].fd, &q) ? 0 : q.running;
	} while (nr < USER_WORKERS && now_ns() < deadline);
	return nr == USER_WORKERS ? 0 : -1;
}

/* Return: 0 once each child has ended, and has a completion */
static int stuck_many_end(struct scope *scopes)
{
	unsigned int i;
	int ret = gate_set(true);

	for (i = 0; i < STUCK_SCOPES && !ret; i++) {
		ret = join(scopes[i].fd);
		if (ring_unread(&scopes[i]) != 64)
			ret = -EIO;
		scope_close(&scopes[i]);
	}
	return ret;
}

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
	struct scope scopes[STUCK_SCOPES];
	pid_t pid;

	ASSERT_EQ(0, stuck_many(self, scopes));
	EXPECT_EQ(0, run_of_each_kind(true));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(become(NOBODY) ? 99 : run_of_each_kind(false));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, stuck_many_end(scopes));
}

/* Where children begin in one order: one that gets no worker, and one behind it that needs none. */
static int two_in_order(FIXTURE_DATA(stuck) * self, struct scope *scope,
			struct kscope_scope_create arg)
{
	struct kscope_desc descs[2] = { {}, desc_nop(2) };
	int buf;

	arg.capacity = 4;
	if (scope_map(scope, scope_create(&arg), &arg))
		return -1;
	buf = buf_pin(scope->fd, self->mem, LEN, 0);
	descs[0] = child_gate(self, buf, 0);
	return buf > 0 && spawn(scope->fd, descs, 2) == 2 ? 0 : -1;
}

/* Without a call that waits, as that would run it. */
static bool comes_by_itself(struct scope *scope, struct kscope_completion *c)
{
	__u64 deadline = in_ms(PATIENCE_MS);

	while (!reap(scope, c)) {
		if (now_ns() > deadline)
			return false;
		usleep(200);
	}
	return true;
}

TEST_F(stuck, child_behind_one_without_a_worker_runs_once_that_is_cancelled)
{
	static const struct kscope_scope_create orders[] = {
		{ .kind = KSCOPE_KIND_ORDERED },
		{ .kind = KSCOPE_KIND_PARALLEL, .max_running = 1 },
		{ .kind = KSCOPE_KIND_PARALLEL, .max_running = 3 },
	};
	struct scope scopes[STUCK_SCOPES], scope;
	size_t i;

	ASSERT_EQ(0, stuck_many(self, scopes));
	ASSERT_EQ(0, stuck_many_wait(scopes));
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		ASSERT_EQ(0, two_in_order(self, &scope, orders[i]));
		ASSERT_EQ(0, cancel_arg(scope.fd, KSCOPE_CANCEL_USER_DATA, 4711,
					&(struct kscope_cancel){}));
		ASSERT_TRUE(comes_by_itself(&scope, &self->c));
		EXPECT_EQ(KSCOPE_NEVER_STARTED, self->c.outcome);
		ASSERT_TRUE(comes_by_itself(&scope, &self->c))
		TH_LOG("order %zu", i);
		EXPECT_EQ(2, self->c.user_data);
		EXPECT_EQ(0, scope_close(&scope));
	}
	EXPECT_EQ(0, stuck_many_end(scopes));
}

TEST_F(stuck, close_does_not_wait_for_a_worker)
{
	struct scope scopes[STUCK_SCOPES], scope;
	struct caller caller;
	__u64 handle;
	int buf;

	ASSERT_EQ(0, stuck_many(self, scopes));
	ASSERT_EQ(0, stuck_many_wait(scopes));
	ASSERT_EQ(0, scope_open(&scope, KSCOPE_KIND_PARALLEL, 4));
	buf = buf_pin(scope.fd, self->mem, LEN, 0);
	ASSERT_EQ(1, spawn_one(scope.fd, child_gate(self, buf, 0), &handle));
	ASSERT_EQ(0, cancel_child(scope.fd, handle));
	ASSERT_EQ(0, caller_start(&caller, call_close, scope.fd, NULL));
	EXPECT_EQ(0, caller_end(&caller));
	scope_unmap(&scope);
	EXPECT_EQ(0, stuck_many_end(scopes));
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
	desc = child_gate(self, buf, 0);
	EXPECT_EQ(0, run_ok(&scope, desc, &self->c));
	desc = child_gate(self, buf, 4);
	EXPECT_EQ(-EINVAL, spawn_one(scope.fd, desc, NULL));
	desc = child_gate(self, buf + 1000, 0);
	EXPECT_EQ(-ENOENT, spawn_one(scope.fd, desc, NULL));
	desc = child_gate(self, buf, 0);
	desc.off = LEN;
	EXPECT_EQ(-ERANGE, spawn_one(scope.fd, desc, NULL));
	desc = child_gate(self, buf, 0);
	desc.off2 = 1;
	EXPECT_EQ(-EINVAL, spawn_one(scope.fd, desc, NULL));
	desc = child_gate(self, buf, 0);
	desc.buf2 = buf;
	EXPECT_EQ(-EINVAL, spawn_one(scope.fd, desc, NULL));
	desc.op = self->op + 1;
	EXPECT_EQ(-EINVAL, spawn_one(scope.fd, desc, NULL));
	EXPECT_EQ(0, scope_close(&scope));
}

TEST_HARNESS_MAIN

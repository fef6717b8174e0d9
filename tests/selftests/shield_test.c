// SPDX-License-Identifier: GPL-2.0
/*
 * KSCOPE_CHILD_SHIELDED: children that go on when their scope is cancelled, whoever cancels it;
 * and what they may not do, which is to outlive it for longer than its grace.
 */
#include <sched.h>
#include <signal.h>

#include "kselftest_harness.h"
#include "race_caller.h"

#define LEN 4096U
#define CAPACITY 256U
#define GRACE_MS 300U

FIXTURE(shield)
{
	struct scope scope;
	struct kscope_query q;
	struct kscope_completion c;
	struct kscope_desc descs[CAPACITY];
	__u64 handle;
	__u64 start;
	char *mem;
	int buf;
};

FIXTURE_VARIANT(shield)
{
	unsigned int kind;
};

FIXTURE_VARIANT_ADD(shield, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(shield, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

static int open_with(struct scope *scope, unsigned int kind,
		     unsigned int policy, __u64 deadline_ns)
{
	struct kscope_scope_create arg = { .kind = kind,
					   .policy = policy,
					   .capacity = CAPACITY,
					   .deadline_ns = deadline_ns,
					   .grace_ns = GRACE_MS * MSEC };
	int fd = scope_create(&arg);

	return fd < 0 ? fd : scope_map(scope, fd, &arg);
}

FIXTURE_SETUP(shield)
{
	hooks_quiet();
	self->scope.fd = -1;
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_EQ(0, open_with(&self->scope, variant->kind, 0, 0));
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	ASSERT_LT(0, self->buf);
}

FIXTURE_TEARDOWN(shield)
{
	EXPECT_TRUE(hooks_agree());
	if (self->scope.fd >= 0)
		EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LEN);
	hooks_quiet();
}

static struct kscope_desc shielded(struct kscope_desc desc)
{
	desc.flags |= KSCOPE_CHILD_SHIELDED;
	return desc;
}

#define EXPECT_NEXT(user, how, why)                              \
	do {                                                     \
		ASSERT_EQ(0, reap_wait(&self->scope, &self->c)); \
		EXPECT_EQ((__u64)(user), self->c.user_data);     \
		EXPECT_EQ(how, self->c.outcome);                 \
		EXPECT_EQ(why, self->c.cause);                   \
	} while (0)
#define EXPECT_FINISHED(user) \
	EXPECT_NEXT(user, KSCOPE_FINISHED, KSCOPE_CAUSE_NONE)

TEST_F(shield, one_that_runs_is_left_alone)
{
	int fd = self->scope.fd;

	self->descs[0] = shielded(desc_sleep(1, in_ms(200)));
	ASSERT_EQ(1, spawn(fd, self->descs, 1));
	ASSERT_EQ(0, wait_running(fd, 1));
	ASSERT_EQ(0, cancel_scope(fd));
	EXPECT_EQ(-ECANCELED, spawn_one(fd, desc_nop(2), NULL));
	EXPECT_EQ(-EBUSY, release(fd));
	EXPECT_FINISHED(1);
	EXPECT_EQ(0, release(fd));
}

/* In an ordered scope they wait for their turn, and keep their order. */
TEST_F(shield, those_that_are_queued_still_run)
{
	int fd = self->scope.fd, i, nr = 0;

	self->descs[0] = desc_sleep(0, far_future());
	for (i = 1; i < 200; i++) {
		self->descs[i] = desc_fill(self->buf, i, 1, 0xff);
		self->descs[i].user_data = i;
		if (i % 3 == 0)
			self->descs[i] = shielded(self->descs[i]);
	}
	if (variant->kind != KSCOPE_KIND_ORDERED)
		SKIP(return, "they do not wait for each other there");
	ASSERT_EQ(200, spawn(fd, self->descs, 200));
	ASSERT_EQ(0, wait_running(fd, 1));
	ASSERT_EQ(0, cancel_scope(fd));
	ASSERT_EQ(0, join(fd));
	while (reap(&self->scope, &self->c)) {
		if (!self->c.user_data)
			continue;
		EXPECT_EQ(self->c.user_data % 3 ? KSCOPE_NEVER_STARTED :
						  KSCOPE_FINISHED,
			  self->c.outcome);
		if (self->c.user_data % 3)
			continue;
		nr += 3;
		EXPECT_EQ(nr, self->c.user_data);
	}
	EXPECT_EQ(198, nr);
	EXPECT_EQ(0, self->mem[2]);
}

TEST_F(shield, a_second_cancel_changes_nothing)
{
	int fd = self->scope.fd, i;

	self->descs[0] = shielded(desc_sleep(0, in_ms(200)));
	for (i = 1; i < 100; i++)
		self->descs[i] = shielded(desc_nop(i));
	ASSERT_EQ(100, spawn(fd, self->descs, 100));
	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, cancel_scope(fd));
	ASSERT_EQ(0, join(fd));
	for (i = 0; i < 100; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
	}
}

TEST_F(shield, a_cancel_of_its_own_counts)
{
	int fd = self->scope.fd;

	self->descs[0] = shielded(desc_sleep(1, far_future()));
	ASSERT_EQ(1, spawn_one(fd, self->descs[0], &self->handle));
	ASSERT_EQ(0, cancel_scope(fd));
	ASSERT_EQ(0, cancel_child(fd, self->handle));
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(KSCOPE_CAUSE_CALLER, self->c.cause);
}

TEST_F(shield, so_does_a_deadline_of_its_own)
{
	self->descs[0] = shielded(desc_sleep(1, far_future()));
	self->descs[0].deadline_ns = in_ms(100);
	ASSERT_EQ(1, spawn(self->scope.fd, self->descs, 1));
	ASSERT_EQ(0, wait_running(self->scope.fd, 1));
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	EXPECT_NEXT(1, KSCOPE_STOPPED, KSCOPE_CAUSE_DEADLINE);
}

TEST_F(shield, the_deadline_of_the_scope_leaves_it_alone)
{
	struct scope scope;

	ASSERT_EQ(0, open_with(&scope, variant->kind, 0, in_ms(50)));
	self->descs[0] = shielded(desc_sleep(1, in_ms(200)));
	self->descs[1] = desc_sleep(2, far_future());
	self->descs[2] = shielded(desc_nop(3));
	ASSERT_EQ(3, spawn(scope.fd, self->descs, 3));
	ASSERT_EQ(0, join(scope.fd));
	while (reap(&scope, &self->c))
		EXPECT_EQ(self->c.user_data != 2,
			  self->c.outcome == KSCOPE_FINISHED);
	EXPECT_EQ(0, scope_close(&scope));
}

TEST_F(shield, a_policy_leaves_it_alone)
{
	struct scope scope;

	ASSERT_EQ(0, open_with(&scope, variant->kind,
			       KSCOPE_POLICY_FIRST_SUCCESS, 0));
	self->descs[0] = desc_sleep(1, in_ms(20));
	self->descs[1] = shielded(desc_sleep(2, in_ms(200)));
	self->descs[2] = desc_sleep(3, far_future());
	ASSERT_EQ(3, spawn(scope.fd, self->descs, 3));
	ASSERT_EQ(0, join(scope.fd));
	while (reap(&scope, &self->c))
		EXPECT_EQ(self->c.user_data != 3,
			  self->c.outcome == KSCOPE_FINISHED);
	EXPECT_EQ(0, scope_close(&scope));
}

TEST_F(shield, a_cancel_of_the_parent_leaves_it_alone)
{
	struct kscope_scope_create arg = { .kind = variant->kind,
					   .capacity = 8 };
	struct scope nested;

	ASSERT_EQ(0, scope_map(&nested, scope_nest_arg(self->scope.fd, &arg),
			       &arg));
	self->descs[0] = shielded(desc_sleep(1, in_ms(100)));
	ASSERT_EQ(1, spawn(nested.fd, self->descs, 1));
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	EXPECT_EQ(-ECANCELED, spawn_one(nested.fd, desc_nop(2), NULL));
	ASSERT_EQ(0, join(self->scope.fd));
	ASSERT_TRUE(reap(&nested, &self->c));
	EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
	EXPECT_EQ(0, release(nested.fd));
	EXPECT_EQ(0, scope_close(&nested));
}

/* What cleans up: after all others, whatever became of them. */
TEST_F(shield, with_drain_it_comes_last)
{
	int fd = self->scope.fd;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "there each child comes after all earlier ones");
	self->descs[0] = desc_sleep(1, far_future());
	self->descs[1] = shielded(desc_sleep(2, in_ms(100)));
	self->descs[2] = shielded(desc_fill(self->buf, 0, LEN, 0x77));
	self->descs[2].user_data = 3;
	self->descs[2].flags |= KSCOPE_CHILD_DRAIN;
	ASSERT_EQ(3, spawn(fd, self->descs, 3));
	ASSERT_EQ(0, wait_running(fd, 2));
	ASSERT_EQ(0, cancel_scope(fd));
	EXPECT_NEXT(1, KSCOPE_STOPPED, KSCOPE_CAUSE_CALLER);
	EXPECT_FINISHED(2);
	EXPECT_FINISHED(3);
	EXPECT_EQ(0x77, self->mem[LEN - 8]);
}

TEST_F(shield, one_that_waits_for_a_lease_gets_it)
{
	int fd = self->scope.fd;
	__u64 lease;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "nobody waits for leases there");
	ASSERT_EQ(0, borrow(fd, self->buf, 0, LEN, KSCOPE_ACCESS_READ, &lease));
	self->descs[0] = shielded(desc_fill(self->buf, 0, LEN, 1));
	self->descs[0].flags |= KSCOPE_CHILD_WAIT;
	ASSERT_EQ(1, spawn(fd, self->descs, 1));
	ASSERT_EQ(0, cancel_scope(fd));
	usleep(10000);
	EXPECT_EQ(0, ring_unread(&self->scope));
	ASSERT_EQ(0, give_back(fd, lease));
	EXPECT_FINISHED(0);
}

TEST_F(shield, a_chain_of_shielded_goes_on)
{
	int fd = self->scope.fd, i;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "nobody comes after another there");
	self->descs[0] = shielded(desc_sleep(0, in_ms(100)));
	for (i = 1; i < 20; i++) {
		self->descs[i] = desc_nop(i);
		if (i < 10)
			self->descs[i] = shielded(self->descs[i]);
		self->descs[i].after = 1;
	}
	ASSERT_EQ(20, spawn_linked(fd, self->descs, NULL, 20));
	ASSERT_EQ(0, cancel_scope(fd));
	for (i = 10; i < 20; i++)
		EXPECT_NEXT(i, KSCOPE_NEVER_STARTED, KSCOPE_CAUSE_CALLER);
	for (i = 0; i < 10; i++)
		EXPECT_FINISHED(i);
}

/* Close waits for it, but not for longer than the grace. */
TEST_F(shield, close_lets_it_end)
{
	int fd = self->scope.fd, i;

	for (i = 0; i < 8; i++)
		self->descs[i] = shielded(desc_fill(self->buf, i, 1, 0x55));
	self->descs[8] = shielded(desc_sleep(1, in_ms(50)));
	ASSERT_EQ(9, spawn(fd, self->descs, 9));
	ASSERT_EQ(0, scope_close(&self->scope));
	self->scope.fd = -1;
	EXPECT_TRUE(bytes_are(self->mem, 8, 0x55));
}

TEST_F(shield, close_ends_it_when_the_grace_is_over)
{
	int fd = self->scope.fd, i;

	for (i = 0; i < 70; i++)
		self->descs[i] = shielded(desc_sleep(i, far_future()));
	ASSERT_EQ(70, spawn(fd, self->descs, 70));
	self->start = now_ns();
	ASSERT_EQ(0, xclose(fd));
	EXPECT_LE(GRACE_MS * MSEC, now_ns() - self->start);
	EXPECT_GT(promptly() + 2 * GRACE_MS * MSEC, now_ns() - self->start);
	self->scope.fd = -1;
	for (i = 0; i < 70; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		EXPECT_EQ(KSCOPE_CAUSE_CLOSE, self->c.cause);
	}
	scope_unmap(&self->scope);
}

TEST_F(shield, close_of_the_parent_ends_it_likewise)
{
	struct kscope_scope_create arg = { .kind = variant->kind,
					   .capacity = 8 };
	struct scope nested;

	ASSERT_EQ(0, scope_map(&nested, scope_nest_arg(self->scope.fd, &arg),
			       &arg));
	self->descs[0] = shielded(desc_sleep(1, far_future()));
	ASSERT_EQ(1, spawn(nested.fd, self->descs, 1));
	self->start = now_ns();
	ASSERT_EQ(0, scope_close(&self->scope));
	EXPECT_LE(GRACE_MS * MSEC, now_ns() - self->start);
	self->scope.fd = -1;
	ASSERT_TRUE(reap(&nested, &self->c));
	EXPECT_EQ(KSCOPE_CAUSE_CLOSE, self->c.cause);
	EXPECT_EQ(-ESHUTDOWN, release(nested.fd));
	EXPECT_EQ(0, scope_close(&nested));
}

/* A killed owner leaves nothing that lives for ever. */
TEST_F(shield, the_end_of_the_owner_ends_it_when_the_grace_is_over)
{
	long pins = pins_now();
	struct scope scope;
	pid_t pid = fork();
	char *mem;
	int buf;

	ASSERT_LE(0, pid);
	if (!pid) {
		mem = map_anon(LEN);
		if (open_with(&scope, variant->kind, 0, 0))
			_exit(1);
		buf = buf_pin(scope.fd, mem, LEN, 0);
		self->descs[0] = shielded(desc_sleep(1, far_future()));
		if (buf < 0 || spawn(scope.fd, self->descs, 1) != 1)
			_exit(1);
		raise(SIGKILL);
	}
	EXPECT_EQ(128 + SIGKILL, child_wait(pid));
	EXPECT_LT(pins, pins_now());
	EXPECT_EQ(pins, pins_settle(pins, PATIENCE_MS));
}

TEST_F(shield, cancel_races_with_all_kinds)
{
	unsigned int round, i, nr;
	struct scope scope;

	for (round = 0; round < 60; round++) {
		srand(round);
		hooks_noise(round % 2 ? round : 0);
		hooks_limit(round % 3 == 1);
		ASSERT_EQ(0, open_with(&scope, variant->kind, 0, 0));
		for (i = 0; i < 100; i++) {
			self->descs[i] = desc_nop(i);
			if (rand() % 4 == 0)
				self->descs[i] = desc_sleep(i, now_ns());
			if (rand() % 2)
				self->descs[i] = shielded(self->descs[i]);
		}
		nr = spawn(scope.fd, self->descs, 100);
		ASSERT_EQ(100, nr);
		if (round % 4)
			sched_yield();
		ASSERT_EQ(0, cancel_scope(scope.fd));
		ASSERT_EQ(0, join(scope.fd));
		for (i = 0; reap(&scope, &self->c); i++)
			if (self->descs[self->c.user_data].flags)
				EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
		EXPECT_EQ(100, i);
		EXPECT_TRUE(hooks_agree());
		ASSERT_EQ(0, scope_close(&scope));
	}
	hooks_quiet();
}

TEST_HARNESS_MAIN

/* One that was stuck long before the close does not put off when the others lose their shields. */
TEST_F(shield, it_is_gone_in_time_although_another_one_was_stuck_before)
{
	int fd = self->scope.fd, op = gate_op();
	struct caller caller;

	if (op < 0)
		SKIP(return, "kscope_gate is not loaded");
	if (variant->kind == KSCOPE_KIND_ORDERED)
		SKIP(return, "only one runs at a time there");
	ASSERT_EQ(0, gate_set(false));
	self->descs[0] = desc_gate(op, 0, self->buf);
	self->descs[1] = shielded(desc_sleep(1, far_future()));
	ASSERT_EQ(2, spawn(fd, self->descs, 2));
	ASSERT_EQ(0, wait_running(fd, 2));
	ASSERT_EQ(0, cancel_scope(fd));
	usleep(9 * GRACE_MS * 1000); /* the next look is far away */
	ASSERT_EQ(0, query(fd, &self->q));
	EXPECT_EQ(1, self->q.stuck);
	self->start = now_ns();
	ASSERT_EQ(0, caller_start(&caller, call_close, fd, NULL));
	while (!reap(&self->scope, &self->c) &&
	       now_ns() < self->start + PATIENCE_MS * MSEC)
		usleep(1000);
	EXPECT_EQ(1, self->c.user_data);
	EXPECT_EQ(KSCOPE_STOPPED, self->c.outcome);
	EXPECT_EQ(KSCOPE_CAUSE_CLOSE, self->c.cause);
	EXPECT_LE(self->start + GRACE_MS * MSEC, now_ns());
	EXPECT_GT(self->start + 4 * GRACE_MS * MSEC, now_ns());
	EXPECT_EQ(0, gate_set(true));
	EXPECT_EQ(0, caller_end(&caller));
	self->scope.fd = -1;
}

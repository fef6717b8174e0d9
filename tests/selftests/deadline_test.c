// SPDX-License-Identifier: GPL-2.0
/*
 * The deadline of a scope: it cancels as a caller would, with a cause of its own, neither too
 * early nor when the scope is gone.
 */
#include "kselftest_harness.h"
#include "kscope_sys.h"

#define CAPACITY 128

static int open_until(struct scope *scope, unsigned int kind, __u64 deadline)
{
	struct kscope_scope_create arg = { .kind = kind,
					   .capacity = CAPACITY,
					   .deadline_ns = deadline };
	int fd = scope_create(&arg);

	return fd < 0 ? fd : scope_map(scope, fd, &arg);
}

FIXTURE(deadline)
{
	struct scope scope;
	struct kscope_join join;
	struct kscope_query q;
	struct kscope_completion c;
};

FIXTURE_VARIANT(deadline)
{
	unsigned int kind;
};

FIXTURE_VARIANT_ADD(deadline, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(deadline, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

FIXTURE_SETUP(deadline)
{
	self->scope.fd = -1;
}

FIXTURE_TEARDOWN(deadline)
{
	EXPECT_EQ(0, scope_close(&self->scope));
}

#define OPEN(until) ASSERT_EQ(0, open_until(&self->scope, variant->kind, until))

TEST_F(deadline, ends_all_children_and_says_why)
{
	__u64 until = in_ms(500); /* long enough to spawn before */
	int i, stopped = 0, nr = 100;
	struct kscope_desc descs[100];

	for (i = 0; i < nr; i++)
		descs[i] = desc_sleep(i, far_future());
	OPEN(until);
	ASSERT_EQ(nr, spawn(self->scope.fd, descs, nr));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(until, self->q.deadline_ns);
	ASSERT_EQ(0, join_arg(self->scope.fd, in_ms(PATIENCE_MS), &self->join));
	EXPECT_LE(until, now_ns());
	EXPECT_EQ(KSCOPE_CAUSE_DEADLINE, self->join.cause);
	EXPECT_EQ(0, self->join.first_error);
	EXPECT_EQ(nr, self->join.nr_cancelled);
	for (i = 0; i < nr; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		EXPECT_EQ(KSCOPE_CAUSE_DEADLINE, self->c.cause);
		EXPECT_EQ(-ECANCELED, self->c.status);
		stopped += self->c.outcome == KSCOPE_STOPPED;
	}
	EXPECT_LT(0, stopped);
	EXPECT_FALSE(reap(&self->scope, &self->c));
	EXPECT_EQ(-ECANCELED, spawn_one(self->scope.fd, desc_nop(1), NULL));
	EXPECT_EQ(0, release(self->scope.fd));
}

TEST_F(deadline, that_is_past_lets_nothing_in)
{
	OPEN(1);
	EXPECT_EQ(-ECANCELED, spawn_one(self->scope.fd, desc_nop(1), NULL));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(KSCOPE_SCOPE_CANCELLED, self->q.state);
	EXPECT_EQ(KSCOPE_CAUSE_DEADLINE, self->q.cause);
	EXPECT_EQ(1, self->q.deadline_ns);
}

TEST_F(deadline, is_never_early_and_never_comes_if_far)
{
	static const __u64 never[] = { 0, 1ULL << 63, ~0ULL, ~0ULL >> 1 };
	__u64 until = in_ms(20);
	size_t i;
	int ret;

	OPEN(until);
	do {
		ret = run_ok(&self->scope, desc_nop(1), &self->c);
		if (ret)
			EXPECT_LE(until, now_ns());
	} while (!ret);
	/* The last one was refused, or told while it ran: a NOP does not look. */
	EXPECT_TRUE(ret == -ECANCELED ||
		    (ret == -EPROTO && self->c.cause == KSCOPE_CAUSE_DEADLINE));
	for (i = 0; i < ARRAY_SIZE(never); i++) {
		ASSERT_EQ(0, scope_close(&self->scope));
		OPEN(never[i]);
		ASSERT_EQ(0, run_ok(&self->scope, desc_nop(i), &self->c));
		ASSERT_EQ(0, query(self->scope.fd, &self->q));
		EXPECT_EQ(KSCOPE_SCOPE_OPEN, self->q.state);
		EXPECT_EQ(never[i], self->q.deadline_ns);
	}
}

TEST_F(deadline, of_an_idle_scope_hangs_up)
{
	struct pollfd poller;

	OPEN(in_ms(30));
	poller = (struct pollfd){ .fd = self->scope.fd };
	EXPECT_EQ(1, poll_woken(&poller));
	EXPECT_EQ(POLLHUP, poller.revents);
}

/* A caller's cancel that came first is forgiven, the deadline is not. */
TEST_F(deadline, that_comes_after_a_cancel_stays)
{
	struct kscope_quiesce arg = { .size = sizeof(arg) };
	__u64 until = in_ms(500);
	bool first;

	OPEN(until);
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	first = now_ns() < until;
	do {
		usleep(10000);
	} while (now_ns() < until + 50 * MSEC);
	EXPECT_EQ(-ECANCELED, xioctl(self->scope.fd, KSCOPE_IOC_QUIESCE, &arg));
	EXPECT_EQ(-ECANCELED, spawn_one(self->scope.fd, desc_nop(1), NULL));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	if (first)
		EXPECT_EQ(KSCOPE_CAUSE_CALLER, self->q.cause);
}

/* At every instant around it: released, closed, or left to the deadline */
TEST_F(deadline, passes_while_the_scope_ends)
{
	struct kscope_cancel counts;
	int i;

	for (i = 0; i < 300; i++) {
		OPEN(now_ns() + i * 10000);
		spawn_one(self->scope.fd, desc_sleep(1, far_future()), NULL);
		if (i % 3 == 1)
			ASSERT_EQ(0,
				  cancel_arg(self->scope.fd,
					     KSCOPE_CANCEL_SCOPE, 0, &counts));
		if (i % 3)
			ASSERT_EQ(0, join(self->scope.fd));
		if (i % 3 == 2)
			ASSERT_EQ(0, release(self->scope.fd));
		ASSERT_EQ(0, i < 299 ? scope_close(&self->scope) : 0);
	}
}

TEST_HARNESS_MAIN

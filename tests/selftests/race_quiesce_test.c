// SPDX-License-Identifier: GPL-2.0
/*
 * QUIESCE, and a worker that has not told yet what its child has led to. What has happened before a
 * scope is opened again goes to all that were there, and to none that came later.
 */
#include "kselftest_harness.h"
#include "race_caller.h"

FIXTURE(reopen)
{
	struct kscope_query q;
};

FIXTURE_SETUP(reopen)
{
	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	hooks_quiet();
}

FIXTURE_TEARDOWN(reopen)
{
	hooks_quiet();
	EXPECT_TRUE(hooks_agree());
}

static int wait_cancelled(int fd, struct kscope_query *q)
{
	__u64 deadline = in_ms(PATIENCE_MS);

	do {
		if (query(fd, q))
			return -EIO;
		if (q->state == KSCOPE_SCOPE_CANCELLED)
			return 0;
		usleep(500);
	} while (now_ns() < deadline);
	return -ETIMEDOUT;
}

/* Stop the worker whose child has won the race, before it cancels what is below. */
TEST_F(reopen,
       a_scope_that_is_made_after_a_quiesce_is_not_cancelled_by_what_was_before)
{
	struct kscope_scope_create arg = {
		.capacity = 4,
		.policy = KSCOPE_POLICY_FIRST_SUCCESS,
		.user_data = 77,
	};
	struct kscope_quiesce quiesce = { .size = sizeof(quiesce) };
	int fd, before, after;

	fd = scope_create(&arg);
	ASSERT_LE(0, fd);
	before = scope_nest(fd, 1, 1);
	ASSERT_LE(0, before);
	ASSERT_EQ(0, stop_at("spreading", 77));
	ASSERT_EQ(1, spawn_one(fd, desc_nop(0), NULL));
	ASSERT_EQ(0, stop_wait());
	ASSERT_EQ(0, xioctl(fd, KSCOPE_IOC_QUIESCE, &quiesce));
	after = scope_nest(fd, 1, 2);
	ASSERT_LE(0, after);
	ASSERT_EQ(0, stop_go());
	/* a walk comes to the newest first */
	ASSERT_EQ(0, wait_cancelled(before, &self->q));
	EXPECT_EQ(KSCOPE_CAUSE_PARENT, self->q.cause);
	ASSERT_EQ(0, query(after, &self->q));
	EXPECT_EQ(KSCOPE_SCOPE_OPEN, self->q.state);
	/* but by the next one */
	EXPECT_EQ(0, cancel_scope(fd));
	ASSERT_EQ(0, query(after, &self->q));
	EXPECT_EQ(KSCOPE_CAUSE_PARENT, self->q.cause);
	EXPECT_EQ(0, xclose(after));
	EXPECT_EQ(0, xclose(before));
	EXPECT_EQ(0, xclose(fd));
}

/*
 * A scope fails in which a child below another one has failed. Stop the worker that has ended that
 * child @where it is about to cancel the scope, which is opened again meanwhile.
 */
static void fail_into_a_new_round(struct __test_metadata *_metadata,
				  FIXTURE_DATA(reopen) * self,
				  const char *where, __u64 whose)
{
	struct kscope_scope_create arg = {
		.capacity = 4,
		.policy = KSCOPE_POLICY_FAIL_FAST,
		.user_data = 77,
	};
	struct kscope_quiesce quiesce = { .size = sizeof(quiesce) };
	int top = scope_create(&arg), fd, below, after;

	ASSERT_LE(0, top);
	arg.user_data = 78;
	fd = scope_nest_arg(top, &arg);
	ASSERT_LE(0, fd);
	below = scope_nest(fd, 1, 0);
	ASSERT_LE(0, below);
	ASSERT_EQ(0, stop_at(where, whose));
	ASSERT_EQ(1, spawn_failure(fd, 1));
	ASSERT_EQ(0, stop_wait());
	ASSERT_EQ(0, xioctl(top, KSCOPE_IOC_QUIESCE, &quiesce));
	after = scope_nest(top, 1, 0);
	ASSERT_LE(0, after);
	ASSERT_EQ(1, spawn_one(top, desc_sleep(0, far_future()), NULL));
	ASSERT_EQ(0, stop_go());
	ASSERT_EQ(0, wait_cancelled(below, &self->q));
	ASSERT_EQ(0, query(top, &self->q));
	EXPECT_EQ(KSCOPE_SCOPE_OPEN, self->q.state);
	EXPECT_EQ(1, self->q.outstanding);
	ASSERT_EQ(0, query(after, &self->q));
	EXPECT_EQ(KSCOPE_SCOPE_OPEN, self->q.state);
	EXPECT_EQ(0, xclose(after));
	EXPECT_EQ(0, xclose(below));
	EXPECT_EQ(0, xclose(fd));
	EXPECT_EQ(0, xclose(top));
}

TEST_F(reopen, a_failure_before_a_quiesce_does_not_go_up_after_it)
{
	fail_into_a_new_round(_metadata, self, "spreading", 78);
}

TEST_F(reopen,
       a_failure_that_has_gone_up_before_a_quiesce_cancels_nothing_after_it)
{
	fail_into_a_new_round(_metadata, self, "failing", 77);
}

/*
 * Stop the worker whose child has failed, @where it has not told who is above and below, and open
 * its scope again: what has happened is told first. If the parent fails of it that is for good.
 */
static void quiesce_what_has_failed(struct __test_metadata *_metadata,
				    FIXTURE_DATA(reopen) * self,
				    unsigned int policy, const char *where,
				    __u64 whose)
{
	struct kscope_scope_create arg = { .capacity = 4, .policy = policy };
	struct kscope_quiesce quiesce = { .size = sizeof(quiesce) };
	int top = scope_create(&arg), fd, below;
	bool top_fails = policy == KSCOPE_POLICY_FAIL_FAST;

	ASSERT_LE(0, top);
	arg.policy = KSCOPE_POLICY_FAIL_FAST;
	arg.user_data = 78;
	fd = scope_nest_arg(top, &arg);
	ASSERT_LE(0, fd);
	below = scope_nest(fd, 1, 0);
	ASSERT_LE(0, below);
	ASSERT_EQ(0, stop_at(where, whose));
	ASSERT_EQ(1, spawn_failure(fd, 1));
	ASSERT_EQ(0, stop_wait());
	EXPECT_EQ(top_fails ? -ECANCELED : 0,
		  xioctl(fd, KSCOPE_IOC_QUIESCE, &quiesce));
	ASSERT_EQ(0, query(below, &self->q));
	EXPECT_EQ(KSCOPE_CAUSE_PARENT, self->q.cause);
	ASSERT_EQ(0, query(top, &self->q));
	EXPECT_EQ(top_fails ? KSCOPE_CAUSE_FAILURE : KSCOPE_CAUSE_NONE,
		  self->q.cause);
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(0, xclose(below));
	EXPECT_EQ(0, xclose(fd));
	EXPECT_EQ(0, xclose(top));
}

TEST_F(reopen, a_quiesce_does_not_forget_what_its_policy_has_decided)
{
	quiesce_what_has_failed(_metadata, self, KSCOPE_POLICY_COLLECT,
				"decided", 0);
}

TEST_F(reopen, a_quiesce_does_not_forget_what_is_to_be_told_above)
{
	quiesce_what_has_failed(_metadata, self, KSCOPE_POLICY_FAIL_FAST,
				"spreading", 78);
}

TEST_HARNESS_MAIN

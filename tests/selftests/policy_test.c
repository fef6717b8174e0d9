// SPDX-License-Identifier: GPL-2.0
/*
 * Policies: whose end cancels the others, that none starts afterwards, and what the join says
 * of it. A join waits for all in any case.
 */
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"
#include "race_hooks.h"

#define CAPACITY 256
#define NR 64

FIXTURE(policy)
{
	struct scope scope;
	struct kscope_join join;
	struct kscope_completion c;
	char *mem;
	int sealed;
};

FIXTURE_VARIANT(policy)
{
	unsigned int kind;
};

FIXTURE_VARIANT_ADD(policy, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(policy, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

/* A file that can be opened for writing and not be written to */
static int sealed_file(void)
{
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, PAGE) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE))
		return -1;
	return fd;
}

FIXTURE_SETUP(policy)
{
	self->scope.fd = -1;
	self->mem = map_anon(PAGE);
	self->sealed = sealed_file();
	ASSERT_LE(0, self->sealed);
}

FIXTURE_TEARDOWN(policy)
{
	hooks_quiet();
	EXPECT_EQ(0, scope_close(&self->scope));
	close(self->sealed);
	munmap(self->mem, PAGE);
}

static int open_with(struct scope *scope, unsigned int kind,
		     unsigned int policy)
{
	struct kscope_scope_create arg = { .kind = kind,
					   .policy = policy,
					   .capacity = CAPACITY };
	int fd = scope_create(&arg);

	return fd < 0 ? fd : scope_map(scope, fd, &arg);
}

#define OPEN(policy) \
	ASSERT_EQ(0, open_with(&self->scope, variant->kind, policy))

/* A child that fails with -EPERM; the handle of the buffer that it needs comes first. */
static struct kscope_desc desc_fail(int sealed, int buf, __u64 user_data)
{
	struct kscope_desc desc =
		desc_file(KSCOPE_OP_WRITE, sealed, 0, buf, 0, 1);

	desc.user_data = user_data;
	return desc;
}

static int pin(FIXTURE_DATA(policy) * self)
{
	return buf_pin(self->scope.fd, self->mem, PAGE, 0);
}

static int join_it(FIXTURE_DATA(policy) * self)
{
	return join_arg(self->scope.fd, in_ms(PATIENCE_MS), &self->join);
}

#define EXPECT_VERDICT(error, why, decider)                   \
	do {                                                  \
		EXPECT_EQ(error, self->join.first_error);     \
		EXPECT_EQ(why, self->join.cause);             \
		EXPECT_EQ(decider, self->join.decider_child); \
	} while (0)

/* Consume all; how many of them ended so, or -1 if one was cancelled for another cause */
static int nr_ended(struct scope *scope, unsigned int outcome,
		    unsigned int cause)
{
	struct kscope_completion c;
	int nr = 0;

	while (reap(scope, &c)) {
		if (c.cause && c.cause != cause)
			return -1;
		nr += c.outcome == outcome;
	}
	return nr;
}

TEST_F(policy, failure_stops_those_that_run)
{
	bool alone = variant->kind == KSCOPE_KIND_ORDERED;
	__u64 failing;
	int buf, i;

	OPEN(KSCOPE_POLICY_FAIL_FAST);
	buf = pin(self);
	for (i = 0; i < 3 && !alone; i++)
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_sleep(i, far_future()), NULL));
	ASSERT_EQ(0, alone ? 0 : wait_running(self->scope.fd, 3));
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_fail(self->sealed, buf, 99),
			       &failing));
	ASSERT_EQ(0, join_it(self));
	EXPECT_VERDICT(-EPERM, KSCOPE_CAUSE_FAILURE, failing);
	EXPECT_EQ(99, self->join.decider_user_data);
	EXPECT_EQ(failing, self->join.first_child);
	EXPECT_EQ(alone ? 0 : 3, self->join.nr_cancelled);
	EXPECT_EQ(1, self->join.nr_failed);
	EXPECT_EQ(alone ? 0 : 3,
		  nr_ended(&self->scope, KSCOPE_STOPPED, KSCOPE_CAUSE_FAILURE));
}

TEST_F(policy, cancelled_scope_takes_no_more_and_says_why)
{
	struct kscope_query q;
	int buf;

	OPEN(KSCOPE_POLICY_FAIL_FAST);
	buf = pin(self);
	ASSERT_EQ(0, query(self->scope.fd, &q));
	EXPECT_EQ(KSCOPE_POLICY_FAIL_FAST, q.policy);
	EXPECT_EQ(KSCOPE_CAUSE_NONE, q.cause);
	ASSERT_EQ(0,
		  run(&self->scope, desc_fail(self->sealed, buf, 1), &self->c));
	EXPECT_EQ(KSCOPE_FAILED, self->c.outcome);
	EXPECT_EQ(KSCOPE_CAUSE_NONE, self->c.cause);
	EXPECT_EQ(-ECANCELED, spawn_one(self->scope.fd, desc_nop(2), NULL));
	ASSERT_EQ(0, query(self->scope.fd, &q));
	EXPECT_EQ(KSCOPE_SCOPE_CANCELLED, q.state);
	EXPECT_EQ(KSCOPE_CAUSE_FAILURE, q.cause);
	EXPECT_EQ(0, release(self->scope.fd));
}

/* All of one call: what comes after the one that decides never starts. */
TEST_F(policy, of_a_batch_in_order_nobody_starts_after_the_failure)
{
	struct kscope_desc descs[NR];
	__u64 handles[NR];
	int buf, i;

	OPEN(KSCOPE_POLICY_FAIL_FAST);
	if (variant->kind != KSCOPE_KIND_ORDERED)
		SKIP(return, "parallel children have no order");
	buf = pin(self);
	for (i = 0; i < NR; i++)
		descs[i] = i % 20 == 10 ? desc_fail(self->sealed, buf, i) :
					  desc_nop(i);
	ASSERT_EQ(NR, spawn_arg(self->scope.fd, descs, handles, NR, NR,
				in_ms(PATIENCE_MS)));
	ASSERT_EQ(0, join_it(self));
	EXPECT_VERDICT(-EPERM, KSCOPE_CAUSE_FAILURE, handles[10]);
	EXPECT_EQ(1, self->join.nr_failed);
	EXPECT_EQ(NR - 11, nr_ended(&self->scope, KSCOPE_NEVER_STARTED,
				    KSCOPE_CAUSE_FAILURE));
}

TEST_F(policy, success_and_cancellation_are_no_failure)
{
	__u64 handle;

	OPEN(KSCOPE_POLICY_FAIL_FAST);
	ASSERT_EQ(0, run_ok(&self->scope, desc_nop(1), &self->c));
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(2, far_future()),
			       &handle));
	ASSERT_EQ(0, wait_running(self->scope.fd, 1));
	EXPECT_EQ(0, cancel_child(self->scope.fd, handle));
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(KSCOPE_STOPPED, self->c.outcome);
	ASSERT_EQ(0, run_ok(&self->scope, desc_nop(3), &self->c));
	ASSERT_EQ(0, join_it(self));
	EXPECT_VERDICT(0, KSCOPE_CAUSE_NONE, 0);
}

TEST_F(policy, race_is_won_by_one_and_the_losers_are_waited_for)
{
	__u64 winner;
	int i, nr = variant->kind == KSCOPE_KIND_ORDERED ? 0 : 3;

	OPEN(KSCOPE_POLICY_FIRST_SUCCESS);
	for (i = 0; i < nr; i++)
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_sleep(i, far_future()), NULL));
	ASSERT_EQ(0, nr ? wait_running(self->scope.fd, nr) : 0);
	ASSERT_EQ(1,
		  spawn_one(self->scope.fd, desc_sleep(77, in_ms(5)), &winner));
	ASSERT_EQ(0, join_it(self));
	EXPECT_VERDICT(0, KSCOPE_CAUSE_SUCCESS, winner);
	EXPECT_EQ(77, self->join.decider_user_data);
	EXPECT_EQ(nr, self->join.nr_cancelled);
	EXPECT_EQ(nr,
		  nr_ended(&self->scope, KSCOPE_STOPPED, KSCOPE_CAUSE_SUCCESS));
	EXPECT_EQ(-ECANCELED, spawn_one(self->scope.fd, desc_nop(2), NULL));
}

TEST_F(policy, race_goes_on_after_a_failure)
{
	__u64 winner;
	int buf, i;

	OPEN(KSCOPE_POLICY_FIRST_SUCCESS);
	buf = pin(self);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, run(&self->scope, desc_fail(self->sealed, buf, i),
				 &self->c));
	ASSERT_EQ(0, join_it(self));
	EXPECT_VERDICT(-EPERM, KSCOPE_CAUSE_NONE, 0);
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(4), &winner));
	ASSERT_EQ(0, join_it(self));
	EXPECT_VERDICT(-EPERM, KSCOPE_CAUSE_SUCCESS, winner);
	EXPECT_EQ(3, self->join.nr_failed);
}

/* However they are run, one at a time: in order the first wins, and no other has run. */
TEST_F(policy, of_a_batch_of_racers_one_has_decided)
{
	bool ordered = variant->kind == KSCOPE_KIND_ORDERED;
	struct kscope_desc descs[NR];
	int i, finished = 0, round;
	bool known;

	for (i = 0; i < NR; i++)
		descs[i] = desc_nop(i);
	for (round = 0; round < 50; round++) {
		OPEN(KSCOPE_POLICY_FIRST_SUCCESS);
		ASSERT_EQ(NR, spawn_arg(self->scope.fd, descs, NULL, NR,
					round % 2 ? NR : 0, 0));
		ASSERT_EQ(0, join_it(self));
		EXPECT_EQ(KSCOPE_CAUSE_SUCCESS, self->join.cause);
		for (i = 0, finished = 0, known = false; i < NR; i++) {
			ASSERT_TRUE(reap(&self->scope, &self->c));
			known |= self->c.child == self->join.decider_child &&
				 self->c.outcome == KSCOPE_FINISHED;
			finished += self->c.outcome == KSCOPE_FINISHED;
			EXPECT_TRUE(self->c.outcome == KSCOPE_FINISHED ||
				    self->c.cause == KSCOPE_CAUSE_SUCCESS);
		}
		EXPECT_TRUE(known);
		EXPECT_TRUE(ordered ? finished == 1 : finished >= 1);
		EXPECT_FALSE(reap(&self->scope, &self->c));
		ASSERT_EQ(0, round < 49 ? scope_close(&self->scope) : 0);
	}
}

TEST_F(policy, caller_who_came_first_stays_the_cause)
{
	__u64 handle;
	int buf;

	OPEN(KSCOPE_POLICY_FIRST_SUCCESS);
	buf = pin(self);
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(1, far_future()),
			       &handle));
	ASSERT_EQ(0, wait_running(self->scope.fd, 1));
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	ASSERT_EQ(0, join_it(self));
	EXPECT_VERDICT(0, KSCOPE_CAUSE_CALLER, 0);
	EXPECT_EQ(0, buf_unpin(self->scope.fd, buf));
	EXPECT_EQ(1,
		  nr_ended(&self->scope, KSCOPE_STOPPED, KSCOPE_CAUSE_CALLER));
}

TEST_F(policy, collecting_scope_is_never_cancelled)
{
	int buf;

	OPEN(KSCOPE_POLICY_COLLECT);
	buf = pin(self);
	ASSERT_EQ(0,
		  run(&self->scope, desc_fail(self->sealed, buf, 1), &self->c));
	ASSERT_EQ(0, run_ok(&self->scope, desc_nop(2), &self->c));
	ASSERT_EQ(0, join_it(self));
	EXPECT_VERDICT(-EPERM, KSCOPE_CAUSE_NONE, 0);
}

/* From the end of the child that decides, before anybody is told, the scope is closed. */
TEST_F(policy, nothing_starts_between_the_decision_and_the_cancel)
{
	struct kscope_desc descs[NR];
	int i, buf;

	OPEN(KSCOPE_POLICY_FAIL_FAST);
	if (!hooks_there())
		SKIP(return, "the module has no hooks");
	buf = pin(self);
	ASSERT_EQ(0, stop_at("decided", 0));
	descs[0] = desc_fail(self->sealed, buf, 1);
	for (i = 1; i < NR; i++)
		descs[i] = desc_sleep(i, far_future());
	ASSERT_EQ(variant->kind == KSCOPE_KIND_ORDERED ? NR : 1,
		  spawn(self->scope.fd, descs,
			variant->kind == KSCOPE_KIND_ORDERED ? NR : 1));
	ASSERT_EQ(0, stop_wait());
	EXPECT_EQ(-ECANCELED, spawn_one(self->scope.fd, desc_nop(2), NULL));
	EXPECT_EQ(1, ring_unread(&self->scope));
	/* Others may do what the one that is held was going to do. */
	EXPECT_EQ(0, cancel_scope(self->scope.fd));
	ASSERT_EQ(0, join_it(self));
	EXPECT_EQ(KSCOPE_CAUSE_FAILURE, self->join.cause);
	EXPECT_EQ(variant->kind == KSCOPE_KIND_ORDERED ? NR - 1 : 0,
		  self->join.nr_cancelled);
	ASSERT_EQ(0, stop_go());
}

TEST(inline_scope_takes_none_after_the_one_that_decides)
{
	struct kscope_desc descs[4];
	struct kscope_join arg;
	__u64 handles[4];
	struct scope scope;
	int i;

	for (i = 0; i < 4; i++)
		descs[i] = desc_nop(i);
	ASSERT_EQ(0, open_with(&scope, KSCOPE_KIND_INLINE,
			       KSCOPE_POLICY_FIRST_SUCCESS));
	EXPECT_EQ(1, spawn_arg(scope.fd, descs, handles, 4, 0, 0));
	EXPECT_EQ(1, ring_unread(&scope));
	EXPECT_EQ(-ECANCELED, spawn(scope.fd, descs, 4));
	ASSERT_EQ(0, join_arg(scope.fd, 0, &arg));
	EXPECT_EQ(KSCOPE_CAUSE_SUCCESS, arg.cause);
	EXPECT_EQ(handles[0], arg.decider_child);
	EXPECT_EQ(0, scope_close(&scope));
}

TEST_HARNESS_MAIN

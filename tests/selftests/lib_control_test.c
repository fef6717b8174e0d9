// SPDX-License-Identifier: GPL-2.0
/* The library: cancel, join, release, query, names. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kscope.h"

#define LEN 65536UL
#define HOUR_NS (3600 * 1000000000ULL)

FIXTURE(control)
{
	struct kscope_scope scope;
	struct kscope_completion done;
	__u64 children[3];
	void *mem;
	int buf;
};

/* Three sleepers with user_data 1, 2, 2. */
FIXTURE_SETUP(control)
{
	KSCOPE_BATCH(batch, 3);
	struct kscope_desc *desc;
	int dev = kscope_open();

	ASSERT_LE(0, dev);
	ASSERT_EQ(0, kscope_scope_create(&self->scope, dev, NULL));
	kscope_close(dev);
	self->mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->buf = kscope_buf_pin(&self->scope, self->mem, LEN, 0);
	ASSERT_LT(0, self->buf);
	while ((desc = kscope_batch_get(&batch))) {
		kscope_prep_sleep(desc, kscope_now_ns() + HOUR_NS);
		desc->user_data = batch.nr > 1 ? 2 : 1;
	}
	ASSERT_EQ(3, kscope_batch_spawn(&self->scope, &batch, self->children));
}

FIXTURE_TEARDOWN(control)
{
	EXPECT_EQ(0, kscope_scope_end(&self->scope));
	munmap(self->mem, LEN);
}

TEST_F(control, cancel_child)
{
	struct kscope_cancel counts;

	ASSERT_EQ(0, kscope_cancel_child(&self->scope, self->children[0],
					 &counts));
	EXPECT_EQ(1, counts.never_started + counts.told);
	ASSERT_EQ(1, kscope_wait(&self->scope, 1, 0));
	ASSERT_EQ(1, kscope_next(&self->scope, &self->done));
	EXPECT_EQ(self->children[0], self->done.child);
	EXPECT_EQ(-ECANCELED, self->done.status);
	EXPECT_EQ(KSCOPE_CAUSE_CALLER, self->done.cause);
	EXPECT_EQ(-ENOENT,
		  kscope_cancel_child(&self->scope, self->children[0], NULL));
}

TEST_F(control, cancel_user_data)
{
	struct kscope_cancel counts;

	ASSERT_EQ(0, kscope_cancel_user_data(&self->scope, 2, &counts));
	EXPECT_EQ(2, counts.never_started + counts.told);
	EXPECT_EQ(2, kscope_wait(&self->scope, 2, 0));
	EXPECT_EQ(-ENOENT, kscope_cancel_user_data(&self->scope, 3, NULL));
}

TEST_F(control, cancel_scope)
{
	struct kscope_cancel counts;
	struct kscope_desc desc;

	ASSERT_EQ(0, kscope_cancel_scope(&self->scope, &counts));
	EXPECT_EQ(3, counts.never_started + counts.told);
	EXPECT_EQ(3, kscope_wait(&self->scope, 3, 0));
	kscope_prep_nop(&desc);
	EXPECT_EQ(-ECANCELED, kscope_spawn(&self->scope, &desc, 1, NULL));
}

TEST_F(control, join_gives_up_at_its_deadline)
{
	struct kscope_join result;

	EXPECT_EQ(-ETIMEDOUT,
		  kscope_join(&self->scope, kscope_now_ns() + 10000000, NULL));
	ASSERT_EQ(0, kscope_cancel_scope(&self->scope, NULL));
	EXPECT_EQ(0, kscope_join(&self->scope, 0, &result));
	EXPECT_EQ(0, result.first_error);
	EXPECT_EQ(0, result.nr_failed);
	EXPECT_EQ(3, result.nr_cancelled);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* A signal every 5 ms, without SA_RESTART. */
static void signal_often(void)
{
	static const struct itimerval often = { { 0, 5000 }, { 0, 5000 } };
	static const struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

TEST_F(control, signals_interrupt_waits)
{
	__u64 until = kscope_now_ns() + 100000000;

	signal_often();
	EXPECT_EQ(-EINTR, kscope_join(&self->scope, 0, NULL));
	EXPECT_EQ(-EINTR, kscope_wait(&self->scope, 1, 0));
	EXPECT_EQ(-ETIMEDOUT,
		  KSCOPE_RETRY(kscope_join(&self->scope, until, NULL)));
	EXPECT_LE(until, kscope_now_ns());
}

TEST_F(control, release_names_who_is_in_the_way)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	unsigned int nr = KSCOPE_MAX_BLOCKERS;
	struct kscope_query query;

	EXPECT_EQ(-EBUSY, kscope_release(&self->scope, NULL, NULL));
	EXPECT_EQ(-EBUSY, kscope_release(&self->scope, blockers, &nr));
	ASSERT_EQ(3, nr);
	EXPECT_EQ(KSCOPE_OP_SLEEP, blockers[0].op);
	EXPECT_LT(0, blockers[0].age_ns);
	nr = 1;
	EXPECT_EQ(-EBUSY, kscope_release(&self->scope, blockers, &nr));
	EXPECT_EQ(1, nr);

	ASSERT_EQ(0, kscope_cancel_scope(&self->scope, NULL));
	ASSERT_EQ(0, kscope_join(&self->scope, 0, NULL));
	EXPECT_EQ(0, kscope_release(&self->scope, blockers, &nr));
	EXPECT_EQ(0, nr);
	ASSERT_EQ(0, kscope_query(&self->scope, &query));
	EXPECT_EQ(KSCOPE_SCOPE_RELEASED, query.state);
	EXPECT_EQ(3, kscope_ready(&self->scope));
}

TEST_F(control, query_counts)
{
	struct kscope_query query;

	ASSERT_EQ(0, kscope_query(&self->scope, &query));
	EXPECT_EQ(KSCOPE_SCOPE_OPEN, query.state);
	EXPECT_EQ(3, query.outstanding);
	EXPECT_EQ(3, query.spawned);
	EXPECT_EQ(1, query.nr_buffers);
	EXPECT_EQ(LEN / 4096, query.pinned_pages);
}

TEST(names_of_all_numbers)
{
	unsigned int i;

	for (i = KSCOPE_OP_NOP; i <= KSCOPE_OP_FSYNC; i++) {
		EXPECT_STRNE("unknown", kscope_op_name(i));
	}
	for (i = KSCOPE_FINISHED; i <= KSCOPE_FINISHED_ANYWAY; i++) {
		EXPECT_STRNE("unknown", kscope_outcome_str(i));
	}
	for (i = KSCOPE_CAUSE_NONE; i <= KSCOPE_CAUSE_PROVIDER; i++) {
		EXPECT_STRNE("unknown", kscope_cause_str(i));
	}
	for (i = KSCOPE_STATE_PARKED; i <= KSCOPE_STATE_LENT; i++) {
		EXPECT_STRNE("unknown", kscope_state_str(i));
	}
	EXPECT_STREQ("unknown", kscope_op_name(KSCOPE_OP_PROVIDER));
	EXPECT_STREQ("unknown", kscope_outcome_str(0));
	EXPECT_STREQ("unknown", kscope_cause_str(99));
	EXPECT_STREQ("unknown", kscope_state_str(0));
}

TEST_HARNESS_MAIN

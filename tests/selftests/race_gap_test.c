// SPDX-License-Identifier: GPL-2.0
/*
 * What one side does in two steps, while the other side looks once: a waiter looks and goes to
 * sleep, a sleeping child likewise, a lane sees that there is nothing and goes idle, and a
 * completion is a record and a tail. Each round begins with nothing under way, so that
 * nobody comes later and hides that somebody was missed.
 */
#include "kselftest_harness.h"
#include "race_loop.h"

#define MISSED_MS 2000
#define LAG_MAX 1000000

FIXTURE(gap)
{
	struct race race;
	struct scope scope;
	struct kscope_completion c;
	struct kscope_cancel counts;
	__u64 handle;
	unsigned int hits;
	int lag; /* between the two sides, to be shifted until they meet */
};

FIXTURE_VARIANT(gap)
{
	unsigned int kind;
};

FIXTURE_VARIANT_ADD(gap, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(gap, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

FIXTURE_SETUP(gap)
{
	ASSERT_EQ(0, scope_open(&self->scope, variant->kind, 4));
	self->lag = 5000;
}

FIXTURE_TEARDOWN(gap)
{
	hooks_quiet();
	EXPECT_EQ(0, scope_close(&self->scope));
	EXPECT_TRUE(hooks_agree());
}

/* We were too late: come a little earlier the next time, and the other way round. */
static void lag_adapt(FIXTURE_DATA(gap) * self, bool late)
{
	int step = 1 + race_random(&self->race) % (300 + self->lag / 4);

	self->hits += late;
	self->lag += late ? -step : step;
	if (self->lag < 0 || self->lag > LAG_MAX)
		self->lag = 0;
}

static bool has_ended(FIXTURE_DATA(gap) * self)
{
	return __atomic_load_n(&self->scope.ring->tail, __ATOMIC_ACQUIRE) ==
	       self->race.round;
}

/* Look until the completion of this round is there, without telling the kernel. */
static int watch(FIXTURE_DATA(gap) * self)
{
	__u64 deadline = in_ms(MISSED_MS);

	while (!has_ended(self))
		if (now_ns() > deadline)
			return -ETIMEDOUT;
	return 0;
}

/* The child is one that no waiter runs itself. */
TEST_F(gap, waiter_does_not_oversleep_a_child_that_has_just_ended)
{
	struct kscope_join result;
	__u64 start;

	race_begin(&self->race, "waiter_does_not_oversleep");
	while (race_next(&self->race)) {
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_sleep(self->race.round, 1), NULL));
		spin(self->lag);
		lag_adapt(self, has_ended(self));
		/* It also looks when its time is over. */
		start = now_ns();
		ASSERT_EQ(0, join_arg(self->scope.fd, in_ms(2 * MISSED_MS),
				      &result));
		ASSERT_GT(start + MISSED_MS * MSEC, now_ns())
		TH_LOG("round %u", self->race.round);
		ASSERT_TRUE(reap(&self->scope, &self->c));
	}
	TH_LOG("%u rounds, %u had nothing to wait for", self->race.round,
	       self->hits);
}

TEST_F(gap, sleeper_is_not_missed_by_a_cancel)
{
	struct kscope_join result;

	race_begin(&self->race, "sleeper_is_not_missed");
	while (race_next(&self->race)) {
		ASSERT_EQ(1,
			  spawn_one(self->scope.fd, desc_sleep(0, far_future()),
				    &self->handle));
		spin(self->lag);
		ASSERT_EQ(0, cancel_arg(self->scope.fd, KSCOPE_CANCEL_CHILD,
					self->handle, &self->counts));
		lag_adapt(self, self->counts.told);
		ASSERT_EQ(0,
			  join_arg(self->scope.fd, in_ms(MISSED_MS), &result))
		TH_LOG("round %u", self->race.round);
		ASSERT_TRUE(reap(&self->scope, &self->c));
	}
	TH_LOG("%u rounds, %u were running", self->race.round, self->hits);
}

TEST_F(gap, lane_that_goes_idle_is_not_missed_by_a_spawn)
{
	race_begin(&self->race, "lane_that_goes_idle");
	while (race_next(&self->race)) {
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_nop(self->race.round), NULL));
		ASSERT_EQ(0, watch(self)) TH_LOG("round %u", self->race.round);
		ASSERT_TRUE(reap(&self->scope, &self->c));
		spin(race_random(&self->race) % 3000);
	}
	TH_LOG("%u rounds", self->race.round);
}

TEST_F(gap, record_is_there_when_the_tail_is)
{
	race_begin(&self->race, "record_is_there");
	while (race_next(&self->race)) {
		__u64 until = now_ns() + 100000;

		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_sleep(self->race.round, until),
				       &self->handle));
		ASSERT_EQ(0, watch(self));
		ASSERT_TRUE(reap(&self->scope, &self->c));
		ASSERT_EQ(self->race.round, self->c.user_data);
		ASSERT_EQ(self->handle, self->c.child);
		ASSERT_EQ(KSCOPE_FINISHED, self->c.outcome);
	}
	TH_LOG("%u rounds", self->race.round);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * Cancels that race with everything that can happen to a child. The oracle: each accepted
 * child leaves exactly one completion, and what the cancels counted is what the
 * completions say.
 */
#include "kselftest_harness.h"
#include "race_loop.h"

#define TAG 77
#define NR 24
#define BIG (4UL << 20)
#define KCSAN_SKIP "/sys/module/kcsan/parameters/skip_watch"

FIXTURE(cancel)
{
	struct race race;
	struct duel duel;
	struct scope scope;
	struct kscope_completion c;
	struct kscope_cancel mine, theirs;
	int my_ret, their_ret, spawned;
	unsigned int cancelled, ended;
	unsigned int buf, nr;
	__u64 handles[NR];
	struct kscope_desc descs[NR];
	char *mem;
	long pins;
};

FIXTURE_VARIANT(cancel)
{
	unsigned int kind;
};

FIXTURE_VARIANT_ADD(cancel, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(cancel, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

static int cancel_open(FIXTURE_DATA(cancel) * self, unsigned int kind)
{
	int ret = scope_open(&self->scope, kind, 64);

	if (ret)
		return ret;
	ret = buf_pin(self->scope.fd, self->mem, 4 * PAGE, 0);
	self->buf = ret;
	return ret > 0 ? 0 : ret;
}

FIXTURE_SETUP(cancel)
{
	self->pins = pins_now();
	self->mem = map_anon(4 * PAGE);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_EQ(0, cancel_open(self, variant->kind));
}

FIXTURE_TEARDOWN(cancel)
{
	hooks_quiet();
	EXPECT_EQ(0, scope_close(&self->scope));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	EXPECT_TRUE(hooks_agree());
	munmap(self->mem, 4 * PAGE);
}

/* A child that may be over before it is cancelled, and may be not. */
static struct kscope_desc short_child(FIXTURE_DATA(cancel) * self)
{
	unsigned int how = race_random(&self->race);
	struct kscope_desc desc;

	switch (how % 4) {
	case 0:
		desc = desc_sleep(0, now_ns() + how % 500 * 1000);
		break;
	case 1:
		desc = desc_crc32c(self->buf, how % 64, 2 * PAGE, 0);
		break;
	case 2:
		desc = desc_crc32c(self->buf, 0, 4 * PAGE, 0);
		break;
	default:
		desc = desc_nop(0);
	}
	desc.user_data = TAG;
	return desc;
}

static void spawn_and_cancel(void *arg)
{
	FIXTURE_DATA(cancel) *self = arg;

	self->spawned =
		spawn_one(self->scope.fd, self->descs[0], self->handles);
	spin(self->nr);
	self->my_ret = cancel_arg(self->scope.fd, KSCOPE_CANCEL_CHILD,
				  self->handles[0], &self->mine);
}

static void cancel_tagged(void *arg)
{
	FIXTURE_DATA(cancel) *self = arg;

	self->their_ret = cancel_arg(self->scope.fd, KSCOPE_CANCEL_USER_DATA,
				     TAG, &self->theirs);
}

static bool ret_is_sane(int ret, const struct kscope_cancel *counts)
{
	unsigned int hit = counts->told + counts->never_started;

	switch (ret) {
	case 0:
		return hit + counts->already;
	case -EALREADY:
		return !hit && counts->already == 1;
	default:
		return ret == -ENOENT && !hit && !counts->already;
	}
}

/* What is wrong with a child that two cancels were after; NULL for nothing. */
static const char *judge(FIXTURE_DATA(cancel) * self)
{
	unsigned int told = self->mine.told + self->theirs.told;
	unsigned int never =
		self->mine.never_started + self->theirs.never_started;
	unsigned int outcome = self->c.outcome;
	bool never_ran = outcome == KSCOPE_NEVER_STARTED;

	if (!ret_is_sane(self->my_ret, &self->mine) ||
	    !ret_is_sane(self->their_ret, &self->theirs))
		return "the errno of a cancel does not fit its counts";
	if (told + never > 1)
		return "two cancels hit the same child";
	if (self->c.cause != (told + never ? KSCOPE_CAUSE_CALLER : 0))
		return "the cause does not fit the counts";
	if (never_ran != !!never)
		return "never started, or was it";
	if (told && outcome != (self->c.status ? KSCOPE_STOPPED :
						 KSCOPE_FINISHED_ANYWAY))
		return "was told, but does not say so";
	if (!told && !never && (outcome != KSCOPE_FINISHED || self->c.status))
		return "was not told, and did not finish";
	return NULL;
}

/* One cancel by handle and one by user_data, while the child is spawned, runs and ends. */
TEST_F(cancel, of_a_child_by_two_threads_races_with_its_end)
{
	const char *wrong;

	race_begin(&self->race, "of_a_child_by_two_threads");
	ASSERT_EQ(0, duel_begin(&self->duel, spawn_and_cancel, cancel_tagged,
				self));
	while (race_next(&self->race)) {
		self->descs[0] = short_child(self);
		self->nr = race_random(&self->race) % 4000;
		duel_fight(&self->duel);
		ASSERT_EQ(1, self->spawned);
		ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
		ASSERT_EQ(self->handles[0], self->c.child);
		wrong = judge(self);
		ASSERT_EQ(NULL, wrong)
		TH_LOG("round %u: %s", self->race.round, wrong);
		self->cancelled += self->c.cause != 0;
		duel_adapt(&self->duel, &self->race,
			   self->their_ret == -ENOENT && self->c.cause);
		ASSERT_EQ(0, ring_unread(&self->scope));
	}
	ASSERT_EQ(0, duel_end(&self->duel));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(self->race.round, self->scope.ring->tail);
	TH_LOG("%u rounds, %u cancelled", self->race.round, self->cancelled);
}

/* A child that computes looks whether it was told as it goes on, and stops in time. */
TEST_F(cancel, of_a_child_that_computes_is_heeded)
{
	unsigned int stopped = 0;
	struct kscope_desc desc;
	char *mem = map_anon(BIG);
	bool closely;
	int buf;

	ASSERT_NE(MAP_FAILED, mem);
	buf = buf_pin(self->scope.fd, mem, BIG, 0);
	ASSERT_LT(0, buf);
	desc = desc_fill(buf, 0, BIG, 1);
	/* where races are looked for, do so closely */
	closely = !number_write(KCSAN_SKIP, 10);
	race_begin_for(&self->race, "of_a_child_that_computes",
		       closely ? 6 * LOOP_MS : LOOP_MS);
	while (race_next(&self->race)) {
		ASSERT_EQ(1, spawn_one(self->scope.fd, desc, self->handles));
		usleep(race_random(&self->race) % 300);
		cancel_child(self->scope.fd, self->handles[0]);
		ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
		if (self->c.outcome != KSCOPE_STOPPED)
			continue;
		EXPECT_GT(BIG, self->c.done);
		stopped++;
	}
	number_write(KCSAN_SKIP, 1000);
	EXPECT_LT(0, stopped);
	TH_LOG("%u rounds, %u stopped", self->race.round, stopped);
	EXPECT_EQ(0, buf_unpin(self->scope.fd, buf));
	munmap(mem, BIG);
}

static void cancel_tagged_too(void *arg)
{
	FIXTURE_DATA(cancel) *self = arg;

	self->my_ret = cancel_arg(self->scope.fd, KSCOPE_CANCEL_USER_DATA, TAG,
				  &self->mine);
}

/* Which of the batch, or -1 */
static int batch_index(FIXTURE_DATA(cancel) * self, __u64 handle)
{
	unsigned int i;

	for (i = 0; i < NR; i++)
		if (self->handles[i] == handle)
			return i;
	return -1;
}

/* Reap the batch. How many were told, and how many never started, is what is left in @sum. */
static const char *judge_batch(FIXTURE_DATA(cancel) * self,
			       struct kscope_cancel *sum)
{
	unsigned char seen[NR] = {};
	unsigned int i;
	int at;

	for (i = 0; i < NR; i++) {
		if (reap_wait(&self->scope, &self->c))
			return "a completion is missing";
		at = batch_index(self, self->c.child);
		if (at < 0 || seen[at]++)
			return "a completion came twice, or of nobody";
		if (self->c.cause && self->c.user_data != TAG)
			return "a child without the tag was cancelled";
		if (self->c.outcome == KSCOPE_NEVER_STARTED)
			sum->never_started--;
		else if (self->c.cause)
			sum->told--;
	}
	return ring_unread(&self->scope) ? "there are too many" : NULL;
}

TEST_F(cancel, by_user_data_by_two_threads_counts_each_child_once)
{
	struct kscope_cancel sum;
	const char *wrong;
	unsigned int i;

	race_begin(&self->race, "by_user_data_by_two_threads");
	ASSERT_EQ(0, duel_begin(&self->duel, cancel_tagged_too, cancel_tagged,
				self));
	while (race_next(&self->race)) {
		for (i = 0; i < NR; i++) {
			self->descs[i] = short_child(self);
			self->descs[i].user_data = TAG + i % 2;
		}
		ASSERT_EQ(NR, spawn_arg(self->scope.fd, self->descs,
					self->handles, NR, 0, 0));
		duel_fight(&self->duel);
		sum = self->mine;
		sum.told += self->theirs.told;
		sum.never_started += self->theirs.never_started;
		self->cancelled += sum.told + sum.never_started;
		wrong = judge_batch(self, &sum);
		ASSERT_EQ(NULL, wrong)
		TH_LOG("round %u: %s", self->race.round, wrong);
		ASSERT_EQ(0, sum.told);
		ASSERT_EQ(0, sum.never_started);
		duel_adapt(&self->duel, &self->race,
			   self->theirs.told > self->mine.told);
	}
	ASSERT_EQ(0, duel_end(&self->duel));
	TH_LOG("%u rounds, %u cancelled", self->race.round, self->cancelled);
}

static void cancel_it_all(void *arg)
{
	FIXTURE_DATA(cancel) *self = arg;

	self->my_ret =
		cancel_arg(self->scope.fd, KSCOPE_CANCEL_SCOPE, 0, &self->mine);
	/* What comes from here on was told. */
	self->ended =
		__atomic_load_n(&self->scope.ring->tail, __ATOMIC_ACQUIRE);
}

static void spawn_until_refused(void *arg)
{
	FIXTURE_DATA(cancel) *self = arg;

	do {
		self->their_ret = spawn(self->scope.fd, self->descs, NR / 2);
		if (self->their_ret > 0)
			self->spawned += self->their_ret;
		else if (self->their_ret == -EAGAIN)
			sched_yield();
	} while (self->their_ret >= 0 || self->their_ret == -EAGAIN);
}

static const char *judge_end(FIXTURE_DATA(cancel) * self)
{
	unsigned int told = 0, never = 0, nr;

	for (nr = 0; reap(&self->scope, &self->c); nr++) {
		if (nr >= self->ended && self->c.cause != KSCOPE_CAUSE_CALLER)
			return "a child that the cancel should have met ran on";
		if (self->c.outcome == KSCOPE_NEVER_STARTED)
			never++;
		else
			told += self->c.cause != 0;
	}
	if (nr != (unsigned int)self->spawned)
		return "not one completion for each accepted child";
	if (told != self->mine.told || never != self->mine.never_started)
		return "the counts are not those of the completions";
	return NULL;
}

/* The scope takes no child any more once the cancel has returned, and none runs on. */
TEST_F(cancel, of_the_scope_races_with_spawns)
{
	const char *wrong;
	unsigned int i;

	race_begin(&self->race, "of_the_scope_races_with_spawns");
	ASSERT_EQ(0, duel_begin(&self->duel, cancel_it_all, spawn_until_refused,
				self));
	while (race_next(&self->race)) {
		ASSERT_EQ(0, scope_close(&self->scope));
		ASSERT_EQ(0, cancel_open(self, variant->kind));
		for (i = 0; i < NR; i++)
			self->descs[i] = short_child(self);
		self->spawned = 0;
		duel_fight(&self->duel);
		ASSERT_EQ(0, self->my_ret);
		ASSERT_EQ(-ECANCELED, self->their_ret);
		ASSERT_EQ(0, join(self->scope.fd));
		self->cancelled += self->mine.told + self->mine.never_started;
		wrong = judge_end(self);
		ASSERT_EQ(NULL, wrong)
		TH_LOG("round %u: %s", self->race.round, wrong);
		duel_adapt(&self->duel, &self->race, self->spawned > NR);
	}
	ASSERT_EQ(0, duel_end(&self->duel));
	TH_LOG("%u rounds, %u cancelled", self->race.round, self->cancelled);
}

TEST_HARNESS_MAIN

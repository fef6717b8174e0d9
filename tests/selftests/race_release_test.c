// SPDX-License-Identifier: GPL-2.0
/*
 * What gives memory back, against what uses it: release and unpin while children end and
 * while new ones are spawned. The oracle is the memory itself. Once it was given back it
 * is filled with a pattern, and no child may change that.
 */
#include "kselftest_harness.h"
#include "race_loop.h"

#define PAGES 64
#define LEN (PAGES * PAGE)
#define NR 4
#define PART (LEN / NR)
#define OURS 0x77

FIXTURE(back)
{
	struct race race;
	struct duel duel;
	struct scope scope;
	struct kscope_desc descs[NR];
	unsigned int buf, nr, delay;
	int spawned; /* children accepted, or an errno */
	int my_ret, their_ret;
	unsigned int busy, wins, tail;
	const char *wrong;
	char *mem;
	long pins;
};

FIXTURE_SETUP(back)
{
	self->pins = pins_now();
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->scope.fd = -1;
}

FIXTURE_TEARDOWN(back)
{
	hooks_quiet();
	if (self->scope.fd >= 0) {
		EXPECT_EQ(0, scope_close(&self->scope));
	}
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	EXPECT_TRUE(hooks_agree());
	munmap(self->mem, LEN);
}

/* A new scope over the memory, and children that would write to it. */
static int round_open(FIXTURE_DATA(back) * self)
{
	unsigned int i;
	int ret;

	ret = scope_open(&self->scope, race_random(&self->race) % 2, 32);
	if (ret)
		return ret;
	ret = buf_pin(self->scope.fd, self->mem, LEN, 0);
	if (ret <= 0)
		return ret;
	self->buf = ret;
	self->nr = 1 + race_random(&self->race) % ARRAY_SIZE(self->descs);
	self->delay = race_random(&self->race) % 3000;
	for (i = 0; i < self->nr; i++)
		self->descs[i] = desc_fill(self->buf, i * PART, PART, ~0ULL);
	self->spawned = 0;
	self->wins = 0;
	self->wrong = NULL;
	return 0;
}

/* The children that were accepted have ended once each, and the memory is still ours. */
static const char *round_close(FIXTURE_DATA(back) * self)
{
	struct kscope_completion c;
	int nr = 0;

	while (reap(&self->scope, &c))
		nr++;
	if (nr != self->spawned)
		return "not one completion for each accepted child";
	if (self->wins && !bytes_are(self->mem, LEN, OURS))
		return "a child wrote to memory that was given back";
	if (scope_close(&self->scope))
		return "cannot be closed";
	self->scope.fd = -1;
	if (pins_now() != self->pins)
		return "pages are still pinned";
	return self->wrong;
}

/* The memory was just given back: all that must hold at this very moment. */
static void given_back(FIXTURE_DATA(back) * self)
{
	struct kscope_query q;

	__atomic_add_fetch(&self->wins, 1, __ATOMIC_RELAXED);
	memset(self->mem, OURS, LEN);
	self->tail = __atomic_load_n(&self->scope.ring->tail, __ATOMIC_ACQUIRE);
	if (query(self->scope.fd, &q))
		self->wrong = "query fails";
	else if (q.outstanding || q.pinned_pages || q.nr_buffers)
		self->wrong = "something is outstanding or pinned";
}

static void release_until_done(void *arg)
{
	FIXTURE_DATA(back) *self = arg;

	do {
		self->their_ret = release(self->scope.fd);
		if (self->their_ret == -EBUSY)
			self->busy++;
	} while (self->their_ret == -EBUSY);
	if (!self->their_ret)
		given_back(self);
}

static void release_once(void *arg)
{
	FIXTURE_DATA(back) *self = arg;

	spin(self->delay);
	self->my_ret = release(self->scope.fd);
	if (!self->my_ret)
		given_back(self);
}

TEST_F(back, release_by_two_threads_races_with_the_last_child)
{
	const char *wrong;

	race_begin(&self->race, "release_by_two_threads");
	ASSERT_EQ(0, duel_begin(&self->duel, release_once, release_until_done,
				self));
	while (race_next(&self->race)) {
		ASSERT_EQ(0, round_open(self));
		self->spawned = spawn(self->scope.fd, self->descs, self->nr);
		ASSERT_EQ(self->nr, self->spawned);
		duel_fight(&self->duel);
		ASSERT_EQ(1, self->wins)
		TH_LOG("round %u: %d and %d", self->race.round, self->my_ret,
		       self->their_ret);
		EXPECT_EQ(self->spawned, self->tail);
		wrong = round_close(self);
		ASSERT_EQ(NULL, wrong)
		TH_LOG("round %u: %s", self->race.round, wrong);
		duel_adapt(&self->duel, &self->race, self->my_ret);
	}
	ASSERT_EQ(0, duel_end(&self->duel));
	TH_LOG("%u rounds, refused %u times", self->race.round, self->busy);
}

/* Spawn, wait, and so on, until the scope is released. */
static void spawn_until_released(void *arg)
{
	FIXTURE_DATA(back) *self = arg;

	for (;;) {
		self->my_ret = spawn(self->scope.fd, self->descs, self->nr);
		if (self->my_ret > 0)
			self->spawned += self->my_ret;
		else if (self->my_ret != -EAGAIN)
			return;
		join(self->scope.fd);
		self->scope.head->head = self->scope.ring->tail;
	}
}

TEST_F(back, release_races_with_spawns)
{
	unsigned int spawned = 0;
	const char *wrong;

	race_begin(&self->race, "release_races_with_spawns");
	ASSERT_EQ(0, duel_begin(&self->duel, spawn_until_released,
				release_until_done, self));
	while (race_next(&self->race)) {
		ASSERT_EQ(0, round_open(self));
		duel_fight(&self->duel);
		/* The buffer goes a moment after the scope is closed to children. */
		ASSERT_TRUE(self->my_ret == -ESHUTDOWN ||
			    self->my_ret == -ENOENT);
		ASSERT_EQ(0, self->their_ret);
		ASSERT_EQ(self->spawned, self->tail)
		TH_LOG("round %u: accepted or ended after the release",
		       self->race.round);
		ASSERT_EQ(self->tail, self->scope.ring->tail);
		spawned += self->spawned;
		self->spawned -= self->scope.head->head;
		wrong = round_close(self);
		ASSERT_EQ(NULL, wrong)
		TH_LOG("round %u: %s", self->race.round, wrong);
		duel_adapt(&self->duel, &self->race, !self->spawned);
	}
	ASSERT_EQ(0, duel_end(&self->duel));
	TH_LOG("%u rounds, %u spawned, refused %u times", self->race.round,
	       spawned, self->busy);
}

static void spawn_a_few(void *arg)
{
	FIXTURE_DATA(back) *self = arg;

	self->spawned = spawn(self->scope.fd, self->descs, self->nr);
}

static void unpin_once(void *arg)
{
	FIXTURE_DATA(back) *self = arg;

	self->their_ret = buf_unpin(self->scope.fd, self->buf);
	if (!self->their_ret)
		given_back(self);
}

/*
 * Either the children are spawned, and the unpin is refused as long as they live, or the
 * unpin succeeds, and the children are refused, or had ended.
 */
TEST_F(back, unpin_races_with_spawns)
{
	unsigned int accepted = 0, unpinned = 0;
	const char *wrong;

	race_begin(&self->race, "unpin_races_with_spawns");
	ASSERT_EQ(0, duel_begin(&self->duel, spawn_a_few, unpin_once, self));
	while (race_next(&self->race)) {
		ASSERT_EQ(0, round_open(self));
		duel_fight(&self->duel);
		unpinned += self->wins;
		accepted += self->spawned > 0;
		ASSERT_TRUE(self->spawned > 0 || self->spawned == -ENOENT);
		ASSERT_TRUE(self->wins || self->their_ret == -EBUSY);
		self->spawned = self->spawned > 0 ? self->spawned : 0;
		ASSERT_TRUE(!self->wins || self->tail == self->spawned)
		TH_LOG("round %u: %d accepted, %u of them ended at the unpin",
		       self->race.round, self->spawned, self->tail);
		ASSERT_EQ(0, join(self->scope.fd));
		EXPECT_EQ(self->wins ? -ENOENT : 0,
			  buf_unpin(self->scope.fd, self->buf));
		wrong = round_close(self);
		ASSERT_EQ(NULL, wrong)
		TH_LOG("round %u: %s", self->race.round, wrong);
		duel_adapt(&self->duel, &self->race, !self->spawned);
	}
	ASSERT_EQ(0, duel_end(&self->duel));
	TH_LOG("%u rounds, %u accepted, %u unpinned", self->race.round,
	       accepted, unpinned);
}

TEST_HARNESS_MAIN

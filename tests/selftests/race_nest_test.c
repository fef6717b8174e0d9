// SPDX-License-Identifier: GPL-2.0
/*
 * Trees of scopes, with two threads at them: what goes down meets what is added below, and ends
 * meet each other. The oracle: when both are through, nothing is left that nobody has told to
 * end, each child has one completion, and the memory is the owner's again.
 */
#include <signal.h>

#include "kselftest_harness.h"
#include "race_caller.h"

#define PAGES 4
#define LEN (PAGES * PAGE)
#define INNER 0x1c0
#define NR 4

FIXTURE(tree)
{
	struct race race;
	struct duel duel;
	struct caller caller;
	struct scope nested;
	struct kscope_query q;
	struct kscope_completion c;
	int scope;
	int buf;
	int made[NR];
	int nr_made;
	int accepted;
	int my_ret, their_ret;
	char *mem;
	long pins;
};

static int nested_open(struct scope *scope, int parent, __u64 user_data)
{
	struct kscope_scope_create arg = { .capacity = 16,
					   .user_data = user_data };
	int fd = scope_nest_arg(parent, &arg);

	*scope = (struct scope){ .fd = -1 };
	return fd < 0 ? fd : scope_map(scope, fd, &arg);
}

static int round_open(FIXTURE_DATA(tree) * self)
{
	struct kscope_scope_create arg = { .capacity = 16 };
	int ret;

	self->scope = scope_create(&arg);
	if (self->scope < 0)
		return self->scope;
	self->buf = buf_pin(self->scope, self->mem, LEN, 0);
	ret = nested_open(&self->nested, self->scope, INNER);
	self->nr_made = 0;
	self->accepted = 0;
	return self->buf < 0 ? self->buf : ret;
}

/* Everything is closed: one completion for each child that was accepted, and no page is pinned. */
static const char *round_close(FIXTURE_DATA(tree) * self)
{
	int i, nr = 0;

	for (i = 0; i < self->nr_made; i++)
		close(self->made[i]);
	if (self->scope >= 0)
		close(self->scope);
	if (self->nested.fd >= 0)
		close(self->nested.fd);
	self->scope = -1;
	while (reap(&self->nested, &self->c))
		nr++;
	scope_unmap(&self->nested);
	self->nested.fd = -1;
	if (nr != self->accepted)
		return "not one completion for each accepted child";
	if (pins_now() != self->pins)
		return "pages are still pinned";
	if (!hooks_agree())
		return "the counts do not match";
	return NULL;
}

FIXTURE_SETUP(tree)
{
	hooks_quiet();
	self->pins = pins_now();
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->scope = -1;
	self->nested.fd = -1;
}

FIXTURE_TEARDOWN(tree)
{
	hooks_quiet();
	if (self->nested.fd >= 0)
		close(self->nested.fd);
	if (self->scope >= 0)
		close(self->scope);
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	EXPECT_TRUE(hooks_agree());
	munmap(self->mem, LEN);
}

static void cancel_parent(void *arg)
{
	FIXTURE_DATA(tree) *self = arg;

	self->their_ret = cancel_scope(self->scope);
}

/* Children that end only if they are told to */
static void spawn_below(void *arg)
{
	FIXTURE_DATA(tree) *self = arg;
	int i;

	for (i = 0; i < NR; i++) {
		self->my_ret = spawn_one(self->nested.fd,
					 desc_sleep(i, far_future()), NULL);
		if (self->my_ret != 1)
			break;
		self->accepted++;
	}
}

TEST_F(tree, a_parents_cancel_races_with_a_spawn_below)
{
	const char *wrong;

	race_begin(&self->race, "cancel_and_spawn");
	ASSERT_EQ(0, duel_begin(&self->duel, spawn_below, cancel_parent, self));
	while (race_next(&self->race)) {
		ASSERT_EQ(0, round_open(self));
		duel_fight(&self->duel);
		ASSERT_EQ(0, self->their_ret);
		/* The cancel has returned: whoever got in was told, and nobody gets in. */
		ASSERT_EQ(0, join(self->nested.fd));
		EXPECT_EQ(-ECANCELED,
			  spawn_one(self->nested.fd, desc_nop(0), NULL));
		duel_adapt(&self->duel, &self->race, self->accepted < NR / 2);
		wrong = round_close(self);
		ASSERT_EQ(NULL, wrong)
		TH_LOG("round %u: %s", self->race.round, wrong);
	}
	ASSERT_EQ(0, duel_end(&self->duel));
	TH_LOG("%u rounds", self->race.round);
}

/* Nest in the parent, and in what was just nested */
static void nest_below(void *arg)
{
	FIXTURE_DATA(tree) *self = arg;
	int i, parent = self->nested.fd;

	for (i = 0; i < NR; i++) {
		self->my_ret = scope_nest(parent, 1, i);
		if (self->my_ret < 0)
			break;
		parent = self->my_ret;
		self->made[self->nr_made++] = parent;
		spawn_one(parent, desc_sleep(i, far_future()), NULL);
	}
}

TEST_F(tree, a_parents_cancel_races_with_a_scope_that_is_made_below)
{
	const char *wrong;
	int i;

	race_begin(&self->race, "cancel_and_nest");
	ASSERT_EQ(0, duel_begin(&self->duel, nest_below, cancel_parent, self));
	while (race_next(&self->race)) {
		ASSERT_EQ(0, round_open(self));
		duel_fight(&self->duel);
		for (i = 0; i < self->nr_made; i++) {
			ASSERT_EQ(0, query(self->made[i], &self->q));
			ASSERT_EQ(KSCOPE_SCOPE_CANCELLED, self->q.state);
			EXPECT_EQ(KSCOPE_CAUSE_PARENT, self->q.cause);
			EXPECT_EQ(0, join(self->made[i]));
		}
		EXPECT_EQ(-ECANCELED, scope_nest(self->nested.fd, 1, 0));
		duel_adapt(&self->duel, &self->race, self->nr_made < NR / 2);
		wrong = round_close(self);
		ASSERT_EQ(NULL, wrong)
		TH_LOG("round %u: %s", self->race.round, wrong);
	}
	ASSERT_EQ(0, duel_end(&self->duel));
	TH_LOG("%u rounds", self->race.round);
}

static void close_parent(void *arg)
{
	FIXTURE_DATA(tree) *self = arg;

	self->their_ret = xclose(self->scope);
}

TEST_F(tree, a_parents_close_races_with_a_scope_that_is_made_below)
{
	const char *wrong;
	int i;

	race_begin(&self->race, "close_and_nest");
	ASSERT_EQ(0, duel_begin(&self->duel, nest_below, close_parent, self));
	while (race_next(&self->race)) {
		ASSERT_EQ(0, round_open(self));
		duel_fight(&self->duel);
		self->scope = -1;
		/* close() has returned: all have been released. */
		ASSERT_EQ(0, query(self->nested.fd, &self->q));
		EXPECT_EQ(KSCOPE_SCOPE_RELEASED, self->q.state);
		for (i = 0; i < self->nr_made; i++) {
			ASSERT_EQ(0, query(self->made[i], &self->q));
			ASSERT_EQ(KSCOPE_SCOPE_RELEASED, self->q.state);
		}
		EXPECT_EQ(self->pins, pins_now());
		duel_adapt(&self->duel, &self->race, self->nr_made < NR / 2);
		wrong = round_close(self);
		ASSERT_EQ(NULL, wrong)
		TH_LOG("round %u: %s", self->race.round, wrong);
	}
	ASSERT_EQ(0, duel_end(&self->duel));
	TH_LOG("%u rounds", self->race.round);
}

static void close_nested(void *arg)
{
	FIXTURE_DATA(tree) *self = arg;

	self->my_ret = xclose(self->nested.fd);
}

TEST_F(tree, close_of_a_parent_races_with_that_of_a_nested_scope)
{
	const char *wrong;

	race_begin(&self->race, "two_closes");
	ASSERT_EQ(0, duel_begin(&self->duel, close_nested, close_parent, self));
	while (race_next(&self->race)) {
		ASSERT_EQ(0, round_open(self));
		ASSERT_LT(0, buf_reborrow(self->nested.fd, self->scope,
					  self->buf, LEN));
		spawn_below(self);
		ASSERT_EQ(NR, self->accepted);
		duel_fight(&self->duel);
		self->scope = -1;
		self->nested.fd = -1;
		EXPECT_EQ(0, self->my_ret);
		EXPECT_EQ(self->pins, pins_now());
		duel_adapt(&self->duel, &self->race,
			   race_random(&self->race) % 2);
		wrong = round_close(self);
		ASSERT_EQ(NULL, wrong)
		TH_LOG("round %u: %s", self->race.round, wrong);
	}
	ASSERT_EQ(0, duel_end(&self->duel));
	TH_LOG("%u rounds", self->race.round);
}

static void reborrow_below(void *arg)
{
	FIXTURE_DATA(tree) *self = arg;

	self->my_ret =
		buf_reborrow(self->nested.fd, self->scope, self->buf, LEN);
	if (self->my_ret > 0 &&
	    spawn_one(self->nested.fd, desc_fill(self->my_ret, 0, LEN, ~0ULL),
		      NULL) == 1)
		self->accepted++;
}

static void unpin_above(void *arg)
{
	FIXTURE_DATA(tree) *self = arg;

	self->their_ret = buf_unpin(self->scope, self->buf);
	if (!self->their_ret)
		memset(self->mem, 0x77, LEN);
}

TEST_F(tree, a_reborrow_races_with_the_unpin)
{
	unsigned int wins = 0;
	const char *wrong;

	race_begin(&self->race, "reborrow_and_unpin");
	ASSERT_EQ(0,
		  duel_begin(&self->duel, reborrow_below, unpin_above, self));
	while (race_next(&self->race)) {
		ASSERT_EQ(0, round_open(self));
		duel_fight(&self->duel);
		if (self->my_ret > 0) {
			EXPECT_EQ(-EBUSY, self->their_ret);
		} else {
			EXPECT_EQ(-ENOENT, self->my_ret);
			EXPECT_EQ(0, self->their_ret);
			EXPECT_TRUE(bytes_are(self->mem, LEN, 0x77));
			wins++;
		}
		duel_adapt(&self->duel, &self->race, self->my_ret < 0);
		wrong = round_close(self);
		ASSERT_EQ(NULL, wrong)
		TH_LOG("round %u: %s", self->race.round, wrong);
	}
	ASSERT_EQ(0, duel_end(&self->duel));
	TH_LOG("%u rounds, unpinned in %u", self->race.round, wins);
}

TEST_F(tree, an_owner_killed_while_it_builds_a_tree_leaves_nothing)
{
	int root, i;
	pid_t pid;

	race_begin(&self->race, "killed_builder");
	while (race_next(&self->race)) {
		pid = fork();
		if (!pid) {
			struct kscope_scope_create arg = { .capacity = 16 };

			hooks_there();
			root = scope_create(&arg);
			for (i = 0;; i++) {
				int a = scope_nest(root, 2, i), buf, b;

				b = scope_nest(a, 2, i);
				buf = buf_pin(a, self->mem, LEN, 0);
				buf = buf_reborrow(b, a, buf, LEN);
				spawn_one(b, desc_sleep(1, far_future()), NULL);
				spawn_one(a, desc_sleep(1, far_future()), NULL);
				if (i % 3)
					close(a);
				if (i % 5)
					close(b);
			}
		}
		usleep(race_random(&self->race) % 20000);
		kill(pid, SIGKILL);
		EXPECT_EQ(SIGKILL, child_wait(pid) & 0x7f);
		ASSERT_EQ(self->pins, pins_settle(self->pins, 5000));
	}
	EXPECT_TRUE(hooks_agree());
}

static int call_cancel(int fd, void *arg)
{
	return cancel_scope(fd) ?: !!arg;
}

static int call_nest(int fd, void *arg)
{
	return scope_nest_arg(fd, arg);
}

/* Stop the canceller between two scopes: below it is still open, and a spawn is let in. */
TEST_F(tree, a_child_spawned_before_the_cancel_arrives_is_cancelled_by_it)
{
	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	ASSERT_EQ(0, round_open(self));
	ASSERT_EQ(0, stop_at("descended", INNER));
	ASSERT_EQ(0,
		  caller_start(&self->caller, call_cancel, self->scope, NULL));
	ASSERT_EQ(0, stop_wait());
	spawn_below(self);
	EXPECT_EQ(NR, self->accepted);
	EXPECT_EQ(-ECANCELED, scope_nest(self->scope, 1, 0));
	ASSERT_LE(0, (self->made[0] = scope_nest(self->nested.fd, 1, 0)));
	self->nr_made = 1;
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(0, caller_end(&self->caller));
	EXPECT_EQ(0, join(self->nested.fd));
	ASSERT_EQ(0, query(self->made[0], &self->q));
	EXPECT_EQ(KSCOPE_SCOPE_CANCELLED, self->q.state);
	EXPECT_EQ(NULL, round_close(self));
}

/* One child, whose handle goes somewhere else */
struct handles_at {
	struct kscope_desc desc;
	__u64 *at;
};

static int call_spawn_at(int fd, void *arg)
{
	struct handles_at *to = arg;

	return spawn_arg(fd, &to->desc, to->at, 1, 0, 0);
}

/* Memory that handles go to and that never comes holds up nobody but who has given it. */
TEST_F(tree, a_spawner_that_waits_for_its_memory_does_not_hold_up_the_end)
{
	struct handles_at to = { .at = map_anon(PAGE) };
	int uffd = uffd_over(to.at, PAGE);
	struct uffdio_zeropage zero = {
		.range = { to_u64(to.at), PAGE },
	};
	struct caller closer;
	struct uffd_msg msg;

	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, round_open(self));
	to.desc = desc_nop(0);
	ASSERT_EQ(0, caller_start(&self->caller, call_spawn_at, self->nested.fd,
				  &to));
	ASSERT_EQ(sizeof(msg), read(uffd, &msg, sizeof(msg)));
	ASSERT_EQ(0, caller_start(&closer, call_close, self->scope, NULL));
	EXPECT_EQ(0, caller_end(&closer));
	self->scope = -1;
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
	EXPECT_EQ(-ESHUTDOWN, caller_end(&self->caller));
	EXPECT_EQ(0, *to.at);
	EXPECT_EQ(NULL, round_close(self));
	close(uffd);
	munmap(to.at, PAGE);
}

/* If nothing else has happened by then, it goes on. */
TEST_F(tree, a_spawner_whose_memory_has_come_goes_on)
{
	struct handles_at to = { .at = map_anon(PAGE) };
	int uffd = uffd_over(to.at, PAGE);
	struct uffdio_zeropage zero = {
		.range = { to_u64(to.at), PAGE },
	};
	struct uffd_msg msg;

	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, round_open(self));
	to.desc = desc_nop(4711);
	ASSERT_EQ(0, caller_start(&self->caller, call_spawn_at, self->nested.fd,
				  &to));
	ASSERT_EQ(sizeof(msg), read(uffd, &msg, sizeof(msg)));
	ASSERT_EQ(0, query(self->nested.fd, &self->q));
	EXPECT_EQ(0, self->q.outstanding);
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
	EXPECT_EQ(1, caller_end(&self->caller));
	self->accepted = 1;
	ASSERT_EQ(0, reap_wait(&self->nested, &self->c));
	EXPECT_EQ(*to.at, self->c.child);
	EXPECT_EQ(4711, self->c.user_data);
	self->accepted = 0;
	EXPECT_EQ(NULL, round_close(self));
	close(uffd);
	munmap(to.at, PAGE);
}

/* Stop who makes a nested scope before it is linked: the parent is cancelled meanwhile. */
TEST_F(tree, a_scope_that_is_not_linked_yet_is_not_let_into_a_cancelled_parent)
{
	struct kscope_scope_create arg = { .size = sizeof(arg),
					   .capacity = 1,
					   .user_data = 77 };

	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	ASSERT_EQ(0, round_open(self));
	ASSERT_EQ(0, stop_at("nesting", 77));
	ASSERT_EQ(0, caller_start(&self->caller, call_nest, self->nested.fd,
				  &arg));
	ASSERT_EQ(0, stop_wait());
	EXPECT_EQ(0, cancel_scope(self->scope));
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(-ECANCELED, caller_end(&self->caller));
	EXPECT_EQ(NULL, round_close(self));
}

/* Stop the closer of the parent as it is about to end the nested scope, which is closed then. */
TEST_F(tree, a_nested_scope_closed_under_its_parents_close_is_ended_once)
{
	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	ASSERT_EQ(0, round_open(self));
	ASSERT_LT(0,
		  buf_reborrow(self->nested.fd, self->scope, self->buf, LEN));
	ASSERT_EQ(0, stop_at("ending", INNER));
	ASSERT_EQ(0,
		  caller_start(&self->caller, call_close, self->scope, NULL));
	ASSERT_EQ(0, stop_wait());
	EXPECT_EQ(0, xclose(self->nested.fd));
	self->nested.fd = -1;
	EXPECT_FALSE(caller_is_done(&self->caller));
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(0, caller_end(&self->caller));
	self->scope = -1;
	EXPECT_EQ(self->pins, pins_now());
	EXPECT_EQ(NULL, round_close(self));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/* max_running: how many children of a scope run at a time, and in what order they begin. */
#include <signal.h>

#include "kselftest_harness.h"
#include "race_caller.h"

#define LEN 4096U
#define MANY 24U
#define BIG (2UL << 20)

FIXTURE(running)
{
	struct scope scope;
	struct kscope_query q;
	struct kscope_completion c;
	struct kscope_desc descs[MANY];
	struct caller caller;
	char *mem;
	int buf;
};

static int limited_open(struct scope *scope, unsigned int kind,
			unsigned int max_running, unsigned int flags)
{
	struct kscope_scope_create arg = {
		.size = sizeof(arg),
		.flags = flags,
		.kind = kind,
		.capacity = 64,
		.max_running = max_running,
	};
	int fd = scope_create(&arg);

	return fd < 0 ? fd : scope_map(scope, fd, &arg);
}

FIXTURE_SETUP(running)
{
	hooks_quiet();
	self->scope.fd = -1;
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
}

FIXTURE_TEARDOWN(running)
{
	EXPECT_TRUE(hooks_agree());
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LEN);
	hooks_quiet();
}

static void begin(struct __test_metadata *_metadata,
		  FIXTURE_DATA(running) * self, unsigned int max_running,
		  unsigned int flags)
{
	ASSERT_EQ(0, limited_open(&self->scope, KSCOPE_KIND_PARALLEL,
				  max_running, flags));
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	ASSERT_LT(0, self->buf);
}

/* The most that were seen to run until nothing was outstanding */
static unsigned int most_running(FIXTURE_DATA(running) * self)
{
	unsigned int most = 0;

	do {
		if (query(self->scope.fd, &self->q))
			return ~0U;
		if (self->q.running > most)
			most = self->q.running;
	} while (self->q.outstanding);
	return most;
}

static void prep_sleeps(FIXTURE_DATA(running) * self, unsigned int ms)
{
	unsigned int i;

	for (i = 0; i < MANY; i++)
		self->descs[i] = desc_sleep(i, in_ms(ms) + i * MSEC);
}

TEST_F(running, no_more_than_that_sleep_at_a_time)
{
	begin(_metadata, self, 3, 0);
	prep_sleeps(self, 20);
	ASSERT_EQ(MANY, spawn(self->scope.fd, self->descs, MANY));
	EXPECT_EQ(3, most_running(self));
	EXPECT_EQ(MANY, self->q.completed);
}

TEST_F(running, without_a_limit_all_of_them_do)
{
	begin(_metadata, self, 0, 0);
	prep_sleeps(self, 3600000);
	ASSERT_EQ(MANY, spawn(self->scope.fd, self->descs, MANY));
	EXPECT_EQ(0, wait_running(self->scope.fd, MANY));
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	ASSERT_EQ(0, join(self->scope.fd));
}

/* There are as many lanes for these as CPUs, whatever the limit says. */
TEST_F(running, those_that_compute_wait_for_a_cpu_although_there_are_places)
{
	char *mem = map_anon(BIG);
	unsigned int i;
	int buf;

	ASSERT_NE(MAP_FAILED, mem);
	begin(_metadata, self, MANY, KSCOPE_SCOPE_NO_HELP);
	buf = buf_pin(self->scope.fd, mem, BIG, 0);
	ASSERT_LT(0, buf);
	for (i = 0; i < MANY; i++)
		self->descs[i] = desc_crc32c(buf, 0, BIG, 0);
	ASSERT_EQ(MANY, spawn(self->scope.fd, self->descs, MANY));
	EXPECT_GE(sysconf(_SC_NPROCESSORS_ONLN), most_running(self));
	EXPECT_EQ(MANY, self->q.completed);
	munmap(mem, BIG);
}

/* Children that compute are a few to a claim elsewhere. */
TEST_F(running, no_more_than_that_compute_at_a_time)
{
	unsigned int i, round;

	begin(_metadata, self, 2, 0);
	for (i = 0; i < MANY; i++)
		self->descs[i] = desc_crc32c(self->buf, 0, LEN, 0);
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(MANY, spawn(self->scope.fd, self->descs, MANY));
		EXPECT_GE(2, most_running(self));
		while (reap(&self->scope, &self->c))
			;
	}
}

TEST_F(running, who_helps_counts)
{
	unsigned int i;

	begin(_metadata, self, 1, 0);
	for (i = 0; i < MANY; i++)
		self->descs[i] = desc_crc32c(self->buf, 0, LEN, 0);
	ASSERT_EQ(MANY, spawn(self->scope.fd, self->descs, MANY));
	ASSERT_EQ(0,
		  caller_start(&self->caller, call_join, self->scope.fd, NULL));
	EXPECT_GE(1, most_running(self));
	EXPECT_EQ(0, caller_end(&self->caller));
	for (i = 0; i < MANY; i++)
		while (reap(&self->scope, &self->c))
			;
	/* And who spawns and waits in one call */
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(1, spawn_arg(self->scope.fd, self->descs, NULL, 1, 1,
				       0));
	EXPECT_GE(1, most_running(self));
	EXPECT_EQ(MANY, ring_unread(&self->scope));
}

/* Those that may block do not overtake those that do not, and the other way round. */
TEST_F(running, they_begin_in_the_order_of_spawning)
{
	unsigned int i, round;

	begin(_metadata, self, 1, 0);
	for (i = 0; i < MANY; i++) {
		self->descs[i] = i % 3 == 1 ? desc_sleep(0, 1) :
				 i % 3	    ? desc_fill(self->buf, 0, LEN, i) :
					      desc_nop(0);
		self->descs[i].user_data = i;
		if (i % 3 == 2)
			self->descs[i].flags = KSCOPE_CHILD_WAIT;
	}
	for (round = 0; round < 20; round++) {
		for (i = 0; i < MANY; i++)
			ASSERT_EQ(1, spawn_one(self->scope.fd, self->descs[i],
					       NULL));
		ASSERT_EQ(0, join(self->scope.fd));
		for (i = 0; i < MANY; i++) {
			ASSERT_TRUE(reap(&self->scope, &self->c));
			if (self->c.user_data % 3 != 2)
				continue;
			EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
		}
	}
	for (i = 0; i < MANY; i++)
		self->descs[i].flags = 0;
	for (i = 2; i < MANY; i += 3) {
		self->descs[i] = desc_crc32c(self->buf, 0, LEN, 0);
		self->descs[i].user_data = i;
	}
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(MANY, spawn(self->scope.fd, self->descs, MANY));
		ASSERT_EQ(0, join(self->scope.fd));
		for (i = 0; i < MANY; i++) {
			ASSERT_TRUE(reap(&self->scope, &self->c));
			EXPECT_EQ(i, self->c.user_data);
		}
	}
}

TEST_F(running, those_that_wait_can_be_cancelled)
{
	unsigned int i, never = 0;
	__u64 handle;

	begin(_metadata, self, 2, 0);
	for (i = 0; i < MANY; i++)
		self->descs[i] = desc_sleep(i, far_future());
	ASSERT_EQ(MANY, spawn(self->scope.fd, self->descs, MANY));
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(99), &handle));
	ASSERT_EQ(0, wait_running(self->scope.fd, 2));
	ASSERT_EQ(0, cancel_child(self->scope.fd, handle));
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(99, self->c.user_data);
	EXPECT_EQ(KSCOPE_NEVER_STARTED, self->c.outcome);
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	ASSERT_EQ(0, join(self->scope.fd));
	for (i = 0; i < MANY; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		never += self->c.outcome == KSCOPE_NEVER_STARTED;
	}
	EXPECT_EQ(MANY - 2, never);
}

/* One that is cancelled makes room for the next. */
TEST_F(running, an_early_end_makes_room)
{
	__u64 first;

	begin(_metadata, self, 1, KSCOPE_SCOPE_NO_HELP);
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(1, far_future()),
			       &first));
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(2), NULL));
	ASSERT_EQ(0, wait_running(self->scope.fd, 1));
	usleep(10000);
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(1, self->q.queued);
	ASSERT_EQ(0, cancel_child(self->scope.fd, first));
	ASSERT_EQ(0, join(self->scope.fd));
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(1, self->c.user_data);
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
}

TEST_F(running, only_parallel_scopes_have_a_limit)
{
	struct scope other = { .fd = -1 };
	char path[64];

	EXPECT_EQ(-EINVAL, limited_open(&other, KSCOPE_KIND_ORDERED, 1, 0));
	EXPECT_EQ(-EINVAL, limited_open(&other, KSCOPE_KIND_INLINE, 1, 0));
	begin(_metadata, self, 1U << 30, 0);
	prep_sleeps(self, 1);
	ASSERT_EQ(MANY, spawn(self->scope.fd, self->descs, MANY));
	EXPECT_EQ(0, join(self->scope.fd));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->scope.fd);
	EXPECT_EQ(1 << 30, file_value(path, "max_running:"));
}

TEST_HARNESS_MAIN

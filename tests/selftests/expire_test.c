// SPDX-License-Identifier: GPL-2.0
/*
 * Deadlines of children: each is cancelled in its time, and nobody else is.
 */
#include "kselftest_harness.h"
#include "race_hooks.h"

#define LEN 4096U
#define CAPACITY 256U

FIXTURE(expire)
{
	struct scope scope;
	struct kscope_query q;
	struct kscope_completion c;
	struct kscope_desc descs[CAPACITY];
	__u64 handle;
	char *mem;
	int buf;
};

FIXTURE_VARIANT(expire)
{
	unsigned int kind;
};

FIXTURE_VARIANT_ADD(expire, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(expire, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

FIXTURE_SETUP(expire)
{
	hooks_quiet();
	ASSERT_EQ(0, scope_open(&self->scope, variant->kind, CAPACITY));
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	ASSERT_LT(0, self->buf);
}

FIXTURE_TEARDOWN(expire)
{
	EXPECT_TRUE(hooks_agree());
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LEN);
	hooks_quiet();
}

static struct kscope_desc sleep_until(__u64 user_data, __u64 until,
				      __u64 deadline)
{
	struct kscope_desc desc = desc_sleep(user_data, until);

	desc.deadline_ns = deadline;
	return desc;
}

#define EXPECT_NEXT(user, how, why)                              \
	do {                                                     \
		ASSERT_EQ(0, reap_wait(&self->scope, &self->c)); \
		EXPECT_EQ((__u64)(user), self->c.user_data);     \
		EXPECT_EQ(how, self->c.outcome);                 \
		EXPECT_EQ(why, self->c.cause);                   \
	} while (0)

TEST_F(expire, stops_one_that_runs)
{
	__u64 until = in_ms(100);

	ASSERT_EQ(1, spawn_one(self->scope.fd,
			       sleep_until(1, far_future(), until), NULL));
	EXPECT_NEXT(1, KSCOPE_STOPPED, KSCOPE_CAUSE_DEADLINE);
	EXPECT_LE(until, now_ns());
	/* and leaves the scope alone */
	EXPECT_EQ(1, spawn_one(self->scope.fd, desc_nop(2), NULL));
	EXPECT_NEXT(2, KSCOPE_FINISHED, KSCOPE_CAUSE_NONE);
}

TEST_F(expire, ends_one_that_has_not_started)
{
	int fd = self->scope.fd;

	if (variant->kind != KSCOPE_KIND_ORDERED)
		SKIP(return, "needs one in its way");
	ASSERT_EQ(1, spawn_one(fd, desc_sleep(1, far_future()), &self->handle));
	self->descs[0] = desc_nop(2);
	self->descs[0].deadline_ns = in_ms(50);
	ASSERT_EQ(1, spawn(fd, self->descs, 1));
	EXPECT_NEXT(2, KSCOPE_NEVER_STARTED, KSCOPE_CAUSE_DEADLINE);
	ASSERT_EQ(0, cancel_child(fd, self->handle));
	EXPECT_NEXT(1, KSCOPE_STOPPED, KSCOPE_CAUSE_CALLER);
}

TEST_F(expire, one_that_is_past_never_starts)
{
	struct kscope_desc desc = desc_fill(self->buf, 0, LEN, ~0ULL);

	desc.deadline_ns = 1;
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc, NULL));
	EXPECT_NEXT(0, KSCOPE_NEVER_STARTED, KSCOPE_CAUSE_DEADLINE);
	EXPECT_EQ(0, self->mem[0]);
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc, &self->handle));
	EXPECT_NEXT(0, KSCOPE_NEVER_STARTED, KSCOPE_CAUSE_DEADLINE);
	EXPECT_EQ(self->handle, self->c.child);
	/* nor in the call itself, which would run it at once */
	ASSERT_EQ(1, spawn_arg(self->scope.fd, &desc, NULL, 1, 1, 0));
	EXPECT_NEXT(0, KSCOPE_NEVER_STARTED, KSCOPE_CAUSE_DEADLINE);
	EXPECT_EQ(0, self->mem[0]);
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->buf));
}

TEST_F(expire, one_that_ends_in_time_knows_nothing_of_it)
{
	self->descs[0] = desc_fill(self->buf, 0, LEN, 5);
	self->descs[0].deadline_ns = far_future();
	self->descs[1] = desc_nop(1);
	self->descs[1].deadline_ns = ~0ULL;
	ASSERT_EQ(2, spawn(self->scope.fd, self->descs, 2));
	ASSERT_EQ(0, join(self->scope.fd));
	while (reap(&self->scope, &self->c))
		EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
	self->descs[0].deadline_ns = in_ms(200);
	ASSERT_EQ(1, spawn(self->scope.fd, self->descs, 1));
	EXPECT_NEXT(0, KSCOPE_FINISHED, KSCOPE_CAUSE_NONE);
	/* the next in the same slot is not that one */
	ASSERT_EQ(1,
		  spawn_one(self->scope.fd, desc_sleep(2, in_ms(400)), NULL));
	EXPECT_NEXT(2, KSCOPE_FINISHED, KSCOPE_CAUSE_NONE);
}

/* Spawned in the order of their deadlines, against it, and as it comes. */
TEST_F(expire, none_of_many_ends_before_its_time)
{
	unsigned int i, nr = 60, order, place[3];
	__u64 until;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "they all run");
	for (order = 0; order < 3; order++) {
		for (i = 0; i < nr; i++) {
			place[0] = i;
			place[1] = nr - i;
			place[2] = i * 37 % nr;
			until = in_ms(50 + 2 * place[order]);
			self->descs[i] =
				sleep_until(until, far_future(), until);
		}
		ASSERT_EQ(nr, spawn(self->scope.fd, self->descs, nr));
		for (i = 0; i < nr; i++) {
			ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
			EXPECT_LE(self->c.user_data, now_ns());
			EXPECT_EQ(KSCOPE_CAUSE_DEADLINE, self->c.cause);
		}
	}
}

TEST_F(expire, earlier_one_that_comes_later_is_in_time)
{
	__u64 hour = in_ms(3600 * 1000), until;

	ASSERT_EQ(1,
		  spawn_one(self->scope.fd, sleep_until(1, far_future(), hour),
			    &self->handle));
	until = in_ms(100);
	ASSERT_EQ(1, spawn_one(self->scope.fd,
			       sleep_until(2, far_future(), until), NULL));
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(2, self->c.user_data);
	EXPECT_EQ(KSCOPE_CAUSE_DEADLINE, self->c.cause);
	EXPECT_LE(until, now_ns());
	ASSERT_EQ(0, cancel_child(self->scope.fd, self->handle));
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(1, self->c.user_data);
	EXPECT_EQ(KSCOPE_CAUSE_CALLER, self->c.cause);
}

TEST_F(expire, all_at_the_same_time)
{
	__u64 until = in_ms(200);
	unsigned int i;

	for (i = 0; i < CAPACITY; i++)
		self->descs[i] = sleep_until(i, far_future(), until);
	ASSERT_EQ(CAPACITY, spawn(self->scope.fd, self->descs, CAPACITY));
	ASSERT_EQ(0, join(self->scope.fd));
	for (i = 0; i < CAPACITY; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		EXPECT_EQ(KSCOPE_CAUSE_DEADLINE, self->c.cause);
	}
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(CAPACITY, self->q.cancelled);
	EXPECT_EQ(0, self->q.cause);
}

TEST_F(expire, that_of_the_scope_counts_as_well)
{
	struct kscope_scope_create arg = { .kind = variant->kind,
					   .capacity = 8,
					   .deadline_ns = in_ms(100) };
	struct scope scope;

	ASSERT_EQ(0, scope_map(&scope, scope_create(&arg), &arg));
	ASSERT_EQ(1,
		  spawn_one(scope.fd,
			    sleep_until(1, far_future(), far_future()), NULL));
	ASSERT_EQ(0, reap_wait(&scope, &self->c));
	EXPECT_EQ(KSCOPE_STOPPED, self->c.outcome);
	EXPECT_EQ(KSCOPE_CAUSE_DEADLINE, self->c.cause);
	EXPECT_EQ(0, scope_close(&scope));
}

TEST_F(expire, loses_those_that_come_after)
{
	struct kscope_desc *descs = self->descs;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "nobody comes after another there");
	descs[0] = sleep_until(1, far_future(), in_ms(50));
	descs[1] = desc_nop(2);
	descs[1].after = 1;
	ASSERT_EQ(2, spawn_linked(self->scope.fd, descs, NULL, 2));
	EXPECT_NEXT(1, KSCOPE_STOPPED, KSCOPE_CAUSE_DEADLINE);
	EXPECT_NEXT(2, KSCOPE_NEVER_STARTED, KSCOPE_CAUSE_AFTER);
	descs[0].deadline_ns = 1;
	ASSERT_EQ(2, spawn_linked(self->scope.fd, descs, NULL, 2));
	EXPECT_NEXT(1, KSCOPE_NEVER_STARTED, KSCOPE_CAUSE_DEADLINE);
	EXPECT_NEXT(2, KSCOPE_NEVER_STARTED, KSCOPE_CAUSE_AFTER);
}

TEST_F(expire, ends_one_that_is_parked)
{
	struct kscope_desc *descs = self->descs;
	__u64 lease;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "nobody is parked there");
	ASSERT_EQ(0, borrow(self->scope.fd, self->buf, 0, LEN,
			    KSCOPE_ACCESS_WRITE, &lease));
	descs[0] = desc_fill(self->buf, 0, LEN, 1);
	descs[0].flags = KSCOPE_CHILD_WAIT;
	descs[0].deadline_ns = in_ms(50);
	ASSERT_EQ(1, spawn(self->scope.fd, descs, 1));
	EXPECT_NEXT(0, KSCOPE_NEVER_STARTED, KSCOPE_CAUSE_DEADLINE);
	EXPECT_EQ(0, give_back(self->scope.fd, lease));
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->buf));
}

TEST_F(expire, close_with_deadlines_to_come)
{
	unsigned int i;

	for (i = 0; i < 32; i++)
		self->descs[i] = sleep_until(i, far_future(), in_ms(5 + i));
	ASSERT_EQ(32, spawn(self->scope.fd, self->descs, 32));
	usleep(15000);
}

TEST(in_an_inline_scope_one_that_is_past_never_starts)
{
	struct kscope_desc descs[3] = { desc_nop(1), desc_nop(2), desc_nop(3) };
	struct kscope_completion c;
	struct scope scope;
	unsigned int i;

	ASSERT_EQ(0, scope_open(&scope, KSCOPE_KIND_INLINE, 8));
	descs[1].deadline_ns = 1;
	descs[2].deadline_ns = far_future();
	ASSERT_EQ(3, spawn(scope.fd, descs, 3));
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(reap(&scope, &c));
		EXPECT_EQ(c.user_data == 2 ? KSCOPE_NEVER_STARTED :
					     KSCOPE_FINISHED,
			  c.outcome);
	}
	EXPECT_EQ(0, scope_close(&scope));
}

/* The deadline passes while the call has told the handle, and has not published the child. */
TEST(passes_while_the_child_is_reserved)
{
	struct kscope_desc desc = desc_nop(7);
	struct kscope_completion c;
	struct scope scope;
	__u64 handle;
	pid_t pid;

	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	hooks_quiet();
	ASSERT_EQ(0, scope_open(&scope, KSCOPE_KIND_PARALLEL, 8));
	ASSERT_EQ(0, stop_at("reserved", 7));
	pid = fork();
	if (!pid) {
		desc.deadline_ns = in_ms(100);
		_exit(spawn_one(scope.fd, desc, &handle) != 1);
	}
	ASSERT_EQ(0, stop_wait());
	usleep(200000);
	EXPECT_EQ(0, stop_go());
	ASSERT_EQ(0, reap_wait(&scope, &c));
	EXPECT_EQ(KSCOPE_NEVER_STARTED, c.outcome);
	EXPECT_EQ(KSCOPE_CAUSE_DEADLINE, c.cause);
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, scope_close(&scope));
	hooks_quiet();
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * Children that come after others: after one that has to finish, named by its handle or, in a call
 * with KSCOPE_SPAWN_LINKED, by its distance; and after all earlier ones (KSCOPE_CHILD_DRAIN).
 */
#include "kselftest_harness.h"
#include "race_hooks.h"

#define LEN 8192U
#define CAPACITY 256U
#define LINKED ((unsigned int)KSCOPE_MAX_LINKED)
#define DRAINS 63U /* as many as can wait */

FIXTURE(after)
{
	struct scope scope;
	struct kscope_query q;
	struct kscope_completion c;
	struct kscope_desc descs[CAPACITY];
	__u64 handles[CAPACITY];
	char *mem;
	int buf;
};

FIXTURE_SETUP(after)
{
	hooks_quiet();
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, CAPACITY));
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	ASSERT_LT(0, self->buf);
}

FIXTURE_TEARDOWN(after)
{
	EXPECT_TRUE(hooks_agree());
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LEN);
	hooks_quiet();
}

static struct kscope_desc nop_after(__u64 user_data, __u64 after)
{
	return (struct kscope_desc){ .op = KSCOPE_OP_NOP,
				     .user_data = user_data,
				     .after = after };
}

static struct kscope_desc nop_drain(__u64 user_data)
{
	return (struct kscope_desc){ .op = KSCOPE_OP_NOP,
				     .flags = KSCOPE_CHILD_DRAIN,
				     .user_data = user_data };
}

/* The next completion is of that child, which ended so. */
#define EXPECT_NEXT(user, how, why)                              \
	do {                                                     \
		ASSERT_EQ(0, reap_wait(&self->scope, &self->c)); \
		EXPECT_EQ((__u64)(user), self->c.user_data);     \
		EXPECT_EQ(how, self->c.outcome);                 \
		EXPECT_EQ(why, self->c.cause);                   \
	} while (0)
#define EXPECT_FINISHED(user) \
	EXPECT_NEXT(user, KSCOPE_FINISHED, KSCOPE_CAUSE_NONE)
#define EXPECT_LOST(user) \
	EXPECT_NEXT(user, KSCOPE_NEVER_STARTED, KSCOPE_CAUSE_AFTER)

#define EXPECT_NOTHING_YET()                             \
	do {                                             \
		usleep(20000);                           \
		EXPECT_EQ(0, ring_unread(&self->scope)); \
	} while (0)

TEST_F(after, goes_on_when_the_earlier_one_has_finished)
{
	int fd = self->scope.fd;

	ASSERT_EQ(1, spawn_one(fd, desc_sleep(1, in_ms(100)), self->handles));
	ASSERT_EQ(1, spawn_one(fd, nop_after(2, self->handles[0]), NULL));
	ASSERT_EQ(0, query(fd, &self->q));
	EXPECT_EQ(2, self->q.outstanding);
	EXPECT_FINISHED(1);
	EXPECT_FINISHED(2);
}

TEST_F(after, has_its_state_told)
{
	struct kscope_blocker blockers[2];
	unsigned int nr = 2;
	int fd = self->scope.fd;

	ASSERT_EQ(1, spawn_one(fd, desc_sleep(1, far_future()), self->handles));
	ASSERT_EQ(0, wait_running(fd, 1));
	ASSERT_EQ(1, spawn_one(fd, nop_after(2, self->handles[0]), NULL));
	EXPECT_EQ(-EBUSY, release_blockers(fd, blockers, &nr));
	ASSERT_EQ(2, nr);
	EXPECT_EQ(KSCOPE_STATE_RUNNING, blockers[0].state);
	EXPECT_EQ(2, blockers[1].user_data);
	EXPECT_EQ(KSCOPE_STATE_PARKED, blockers[1].state);
	EXPECT_EQ(KSCOPE_OP_NOP, blockers[1].op);
}

TEST_F(after, never_starts_when_that_one_is_cancelled)
{
	int fd = self->scope.fd;

	ASSERT_EQ(1, spawn_one(fd, desc_sleep(1, far_future()), self->handles));
	ASSERT_EQ(0, wait_running(fd, 1));
	ASSERT_EQ(1, spawn_one(fd, nop_after(2, self->handles[0]), NULL));
	ASSERT_EQ(0, cancel_child(fd, self->handles[0]));
	EXPECT_NEXT(1, KSCOPE_STOPPED, KSCOPE_CAUSE_CALLER);
	EXPECT_LOST(2);
	EXPECT_EQ(-ECANCELED, self->c.status);
}

TEST_F(after, never_starts_when_that_one_fails)
{
	int sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int fd = self->scope.fd;

	ASSERT_LE(0, sealed);
	ASSERT_EQ(0, fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE));
	self->descs[0] =
		desc_file(KSCOPE_OP_WRITE, sealed, 0, self->buf, 0, LEN);
	self->descs[1] = nop_after(2, 1);
	self->descs[2] = nop_after(3, 1);
	ASSERT_EQ(3, spawn_linked(fd, self->descs, NULL, 3));
	EXPECT_NEXT(0, KSCOPE_FAILED, KSCOPE_CAUSE_NONE);
	EXPECT_LOST(2);
	EXPECT_LOST(3);
	close(sealed);
}

TEST_F(after, one_that_was_cancelled_and_finished_anyway_counts)
{
	int op = gate_op(), fd = self->scope.fd;

	if (op < 0)
		SKIP(return, "kscope_gate is not loaded");
	ASSERT_EQ(0, gate_set(false));
	ASSERT_EQ(1, spawn_one(fd, desc_gate(op, 0, self->buf), self->handles));
	ASSERT_EQ(1, spawn_one(fd, nop_after(2, self->handles[0]), NULL));
	ASSERT_EQ(0, wait_running(fd, 1));
	ASSERT_EQ(0, cancel_child(fd, self->handles[0]));
	EXPECT_NOTHING_YET();
	ASSERT_EQ(0, gate_set(true));
	EXPECT_NEXT(0, KSCOPE_FINISHED_ANYWAY, KSCOPE_CAUSE_CALLER);
	EXPECT_FINISHED(2);
}

/* Whether it has ended before or after the second is spawned makes no difference. */
TEST_F(after, what_became_of_one_that_has_ended_is_known)
{
	int fd = self->scope.fd;

	ASSERT_EQ(2,
		  spawn_arg(fd,
			    (struct kscope_desc[]){
				    desc_nop(1), desc_sleep(2, far_future()) },
			    self->handles, 2, 1, 0));
	EXPECT_FINISHED(1);
	ASSERT_EQ(0, cancel_child(fd, self->handles[1]));
	ASSERT_EQ(0, join(fd));
	ASSERT_TRUE(reap(&self->scope, &self->c));
	ASSERT_EQ(2, spawn(fd,
			   (struct kscope_desc[]){
				   /* takes the slot of one of the two */
				   nop_after(3, self->handles[1]),
				   nop_after(4, self->handles[0]) },
			   2));
	EXPECT_EQ(0, join(fd));
	while (reap(&self->scope, &self->c)) {
		EXPECT_EQ(self->c.user_data == 3 ? KSCOPE_NEVER_STARTED :
						   KSCOPE_FINISHED,
			  self->c.outcome);
		EXPECT_EQ(self->c.user_data == 3 ? KSCOPE_CAUSE_AFTER :
						   KSCOPE_CAUSE_NONE,
			  self->c.cause);
	}
}

TEST_F(after, handle_of_a_slot_that_was_used_again_is_enoent)
{
	int fd = self->scope.fd, i;

	ASSERT_EQ(1, spawn_one(fd, desc_nop(0), self->handles));
	ASSERT_EQ(0, join(fd));
	for (i = 1; i < 4; i++) {
		ASSERT_EQ(1, spawn_one(fd, desc_nop(i), NULL));
		ASSERT_EQ(0, join(fd));
	}
	EXPECT_EQ(-ENOENT, spawn_one(fd, nop_after(9, self->handles[0]), NULL));
}

TEST_F(after, handles_of_nobody_are_enoent)
{
	int fd = self->scope.fd;
	__u64 handle;
	int bit;

	ASSERT_EQ(1, spawn_one(fd, desc_nop(0), NULL));
	ASSERT_EQ(0, join(fd));
	ASSERT_EQ(1, spawn_one(fd, desc_sleep(1, far_future()), &handle));
	for (bit = 20; bit < 64; bit++) {
		if (!(handle >> 20 ^ 1ULL << (bit - 20)))
			continue; /* that is no handle */
		EXPECT_EQ(-ENOENT,
			  spawn_one(fd, nop_after(2, handle ^ 1ULL << bit),
				    NULL))
		TH_LOG("bit %d", bit);
	}
	EXPECT_EQ(-ENOENT, spawn_one(fd, nop_after(2, handle + 1), NULL));
	EXPECT_EQ(-ENOENT, spawn_one(fd, nop_after(2, ~0ULL), NULL));
	ASSERT_EQ(0, query(fd, &self->q));
	EXPECT_EQ(2, self->q.spawned);
}

TEST_F(after, a_distance_wants_a_linked_call_that_has_it)
{
	int fd = self->scope.fd;

	self->descs[0] = desc_nop(1);
	self->descs[1] = nop_after(2, 1);
	EXPECT_EQ(1, spawn(fd, self->descs, 2));
	EXPECT_EQ(-EINVAL, spawn(fd, self->descs + 1, 1));
	EXPECT_EQ(-EINVAL, spawn_linked(fd, self->descs + 1, NULL, 1));
	self->descs[1].after = 2;
	EXPECT_EQ(1, spawn_linked(fd, self->descs, NULL, 2));
	self->descs[1].after = (1U << 20) - 1;
	EXPECT_EQ(1, spawn_linked(fd, self->descs, NULL, 2));
	EXPECT_EQ(-EINVAL, spawn_linked(fd, self->descs, NULL, LINKED + 1));
	EXPECT_EQ(0, spawn_linked(fd, self->descs, NULL, 0));
	EXPECT_EQ(0, join(fd));
	EXPECT_EQ(3, ring_unread(&self->scope));
}

TEST_F(after, is_for_parallel_scopes)
{
	unsigned int kinds[] = { KSCOPE_KIND_ORDERED, KSCOPE_KIND_INLINE }, i;
	struct kscope_desc descs[2] = { desc_nop(1), nop_after(2, 1) };
	struct scope scope;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, scope_open(&scope, kinds[i], 8));
		EXPECT_EQ(-EINVAL, spawn_linked(scope.fd, descs + 1, NULL, 1));
		EXPECT_EQ(1, spawn_linked(scope.fd, descs, NULL, 2));
		EXPECT_EQ(-EINVAL, spawn_one(scope.fd, nop_drain(1), NULL));
		EXPECT_EQ(-EINVAL,
			  spawn_one(scope.fd, nop_after(1, 1U << 20), NULL));
		EXPECT_EQ(0, join(scope.fd));
		EXPECT_EQ(0, scope_close(&scope));
	}
}

static void prep_chain(FIXTURE_DATA(after) * self, struct kscope_desc first)
{
	unsigned int i;

	self->descs[0] = first;
	for (i = 1; i < LINKED; i++)
		self->descs[i] = nop_after(i, 1);
}

TEST_F(after, a_chain_runs_in_its_order)
{
	unsigned int i;

	prep_chain(self, desc_sleep(0, in_ms(50)));
	ASSERT_EQ(LINKED,
		  spawn_linked(self->scope.fd, self->descs, NULL, LINKED));
	for (i = 0; i < LINKED; i++)
		EXPECT_FINISHED(i);
}

TEST_F(after, a_chain_is_lost_as_a_whole)
{
	unsigned int i;

	prep_chain(self, desc_sleep(0, far_future()));
	ASSERT_EQ(LINKED, spawn_linked(self->scope.fd, self->descs,
				       self->handles, LINKED));
	ASSERT_EQ(0, wait_running(self->scope.fd, 1));
	/* not from its start */
	ASSERT_EQ(0, cancel_child(self->scope.fd, self->handles[3]));
	EXPECT_NEXT(3, KSCOPE_NEVER_STARTED, KSCOPE_CAUSE_CALLER);
	for (i = 4; i < LINKED; i++)
		EXPECT_LOST(i);
	ASSERT_EQ(0, cancel_child(self->scope.fd, self->handles[0]));
	EXPECT_NEXT(0, KSCOPE_STOPPED, KSCOPE_CAUSE_CALLER);
	EXPECT_LOST(1);
	EXPECT_LOST(2);
}

/* A chain that is longer than a call, and as long as the scope; and all of it is lost. */
TEST_F(after, a_chain_over_many_calls)
{
	int fd = self->scope.fd;
	unsigned int i;

	self->descs[0] = desc_sleep(0, far_future());
	ASSERT_EQ(1, spawn_one(fd, self->descs[0], self->handles));
	ASSERT_EQ(0, wait_running(fd, 1));
	for (i = 1; i < CAPACITY; i++)
		ASSERT_EQ(1, spawn_one(fd, nop_after(i, self->handles[i - 1]),
				       &self->handles[i]));
	ASSERT_EQ(-EAGAIN, spawn_one(fd, desc_nop(0), NULL));
	ASSERT_EQ(0, cancel_child(fd, self->handles[0]));
	ASSERT_EQ(0, join(fd));
	EXPECT_NEXT(0, KSCOPE_STOPPED, KSCOPE_CAUSE_CALLER);
	for (i = 1; i < CAPACITY; i++)
		EXPECT_LOST(i);
}

static void prep_fan(FIXTURE_DATA(after) * self, __u64 first)
{
	unsigned int i;

	for (i = 1; i < CAPACITY; i++)
		self->descs[i] = nop_after(i, first);
}

TEST_F(after, many_after_one)
{
	int fd = self->scope.fd;
	unsigned int i;

	ASSERT_EQ(1, spawn_one(fd, desc_sleep(0, in_ms(100)), self->handles));
	prep_fan(self, self->handles[0]);
	ASSERT_EQ(CAPACITY - 1, spawn(fd, self->descs + 1, CAPACITY - 1));
	ASSERT_EQ(0, join(fd));
	for (i = 0; i < CAPACITY; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
	}
}

TEST_F(after, many_lost_with_one)
{
	int fd = self->scope.fd;
	unsigned int i;

	ASSERT_EQ(1, spawn_one(fd, desc_sleep(0, far_future()), self->handles));
	prep_fan(self, self->handles[0]);
	ASSERT_EQ(CAPACITY - 1, spawn(fd, self->descs + 1, CAPACITY - 1));
	ASSERT_EQ(0, wait_running(fd, 1));
	ASSERT_EQ(0, cancel_child(fd, self->handles[0]));
	ASSERT_EQ(0, join(fd));
	EXPECT_NEXT(0, KSCOPE_STOPPED, KSCOPE_CAUSE_CALLER);
	for (i = 1; i < CAPACITY; i++)
		EXPECT_LOST(i);
}

/* One that waits can be cancelled by itself; those after it are lost, and the first is not. */
TEST_F(after, a_cancel_of_one_that_waits)
{
	int fd = self->scope.fd;

	ASSERT_EQ(1, spawn_one(fd, desc_sleep(1, in_ms(300)), self->handles));
	self->descs[0] = nop_after(2, self->handles[0]);
	self->descs[1] = nop_after(3, 1);
	self->descs[2] = nop_after(4, self->handles[0]);
	ASSERT_EQ(3, spawn_linked(fd, self->descs, self->handles, 3));
	ASSERT_EQ(0, cancel_child(fd, self->handles[0]));
	EXPECT_NEXT(2, KSCOPE_NEVER_STARTED, KSCOPE_CAUSE_CALLER);
	EXPECT_LOST(3);
	EXPECT_FINISHED(1);
	EXPECT_FINISHED(4);
}

TEST_F(after, a_cancel_of_the_scope_ends_all)
{
	unsigned int i;

	prep_chain(self, desc_sleep(0, far_future()));
	ASSERT_EQ(LINKED,
		  spawn_linked(self->scope.fd, self->descs, NULL, LINKED));
	ASSERT_EQ(0, wait_running(self->scope.fd, 1));
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	ASSERT_EQ(0, join(self->scope.fd));
	for (i = 0; i < LINKED; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		EXPECT_NE(KSCOPE_FINISHED, self->c.outcome);
		EXPECT_EQ(KSCOPE_CAUSE_CALLER, self->c.cause);
	}
	EXPECT_FALSE(reap(&self->scope, &self->c));
}

/* What the first has leased is asked for by the second when it is spawned. */
TEST_F(after, a_pipeline_on_one_range)
{
	int fd = self->scope.fd;
	struct kscope_desc *descs = self->descs;

	descs[0] = desc_fill(self->buf, 0, LEN / 2, 0x1111);
	descs[1] = desc_two(KSCOPE_OP_COPY, self->buf, 0, self->buf, LEN / 2,
			    LEN / 2);
	descs[1].after = 1;
	EXPECT_EQ(1, spawn_linked(fd, descs, NULL, 2)); /* and the rest EBUSY */
	EXPECT_EQ(0, join(fd));
	descs[1].flags = KSCOPE_CHILD_WAIT;
	descs[2] = desc_fill(self->buf, 0, LEN, 0x2222);
	descs[2].after = 1;
	descs[2].flags = KSCOPE_CHILD_WAIT;
	ASSERT_EQ(2, spawn_linked(fd, descs, NULL, 2));
	EXPECT_EQ(0, join(fd));
	EXPECT_EQ(0, memcmp(self->mem, self->mem + LEN / 2, LEN / 2));
	EXPECT_EQ(0x11, self->mem[LEN / 2]);
	ASSERT_EQ(3, spawn_linked(fd, descs, NULL, 3));
	EXPECT_EQ(0, join(fd));
	EXPECT_EQ(0x22, self->mem[LEN - 8]);
}

/* It has waited for two things, and the second comes later. */
TEST_F(after, waits_for_leases_as_well)
{
	int fd = self->scope.fd;
	__u64 lease;

	ASSERT_EQ(0, borrow(fd, self->buf, 0, LEN, KSCOPE_ACCESS_READ, &lease));
	self->descs[0] = desc_nop(1);
	self->descs[1] = desc_fill(self->buf, 0, LEN, 7);
	self->descs[1].user_data = 2;
	self->descs[1].flags = KSCOPE_CHILD_WAIT;
	self->descs[1].after = 1;
	ASSERT_EQ(2, spawn_linked(fd, self->descs, NULL, 2));
	EXPECT_FINISHED(1);
	EXPECT_NOTHING_YET();
	ASSERT_EQ(0, give_back(fd, lease));
	EXPECT_FINISHED(2);
	/* and the other way round */
	ASSERT_EQ(0, borrow(fd, self->buf, 0, LEN, KSCOPE_ACCESS_READ, &lease));
	self->descs[0] = desc_sleep(1, in_ms(200));
	ASSERT_EQ(2, spawn_linked(fd, self->descs, NULL, 2));
	ASSERT_EQ(0, give_back(fd, lease));
	EXPECT_NOTHING_YET();
	EXPECT_FINISHED(1);
	EXPECT_FINISHED(2);
}

TEST_F(after, one_that_is_lost_gives_up_its_leases)
{
	int fd = self->scope.fd;

	self->descs[0] = desc_sleep(1, far_future());
	self->descs[1] = desc_fill(self->buf, 0, LEN, 7);
	self->descs[1].after = 1;
	ASSERT_EQ(2, spawn_linked(fd, self->descs, self->handles, 2));
	EXPECT_EQ(-EBUSY, spawn_one(fd, desc_crc32c(self->buf, 0, 8, 0), NULL));
	ASSERT_EQ(0, cancel_child(fd, self->handles[0]));
	ASSERT_EQ(0, join(fd));
	EXPECT_EQ(1, spawn_one(fd, desc_crc32c(self->buf, 0, 8, 0), NULL));
	EXPECT_EQ(0, join(fd));
	EXPECT_EQ(0, buf_unpin(fd, self->buf));
}

TEST_F(after, a_linked_call_is_cut_where_there_is_no_room)
{
	int fd = self->scope.fd;
	unsigned int i;

	for (i = 0; i < CAPACITY - 2; i++)
		self->descs[i] = desc_nop(0);
	ASSERT_EQ(CAPACITY - 2, spawn(fd, self->descs, CAPACITY - 2));
	ASSERT_EQ(0, join(fd));
	prep_chain(self, desc_nop(0));
	EXPECT_EQ(2, spawn_linked(fd, self->descs, NULL, LINKED));
	EXPECT_EQ(0, join(fd));
	EXPECT_EQ(-EAGAIN, spawn_linked(fd, self->descs, NULL, LINKED));
}

TEST_F(after, all_of_a_linked_call_come_together_however_small_batches_are)
{
	unsigned int i;

	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	hooks_limit(1);
	prep_chain(self, desc_nop(0));
	ASSERT_EQ(LINKED,
		  spawn_linked(self->scope.fd, self->descs, NULL, LINKED));
	for (i = 0; i < LINKED; i++)
		EXPECT_FINISHED(i);
	prep_chain(self, desc_sleep(0, far_future()));
	ASSERT_EQ(LINKED, spawn_linked(self->scope.fd, self->descs,
				       self->handles, LINKED));
	ASSERT_EQ(0, cancel_child(self->scope.fd, self->handles[0]));
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	for (i = 1; i < LINKED; i++)
		EXPECT_LOST(i);
}

/* A name of one that is only reserved is not known yet, and one that is aborted never was. */
TEST_F(after, one_that_never_was_is_enoent)
{
	int fd = self->scope.fd;
	struct kscope_cancel arg;
	void *hole = map_anon(PAGE);
	__u64 first, expected;

	ASSERT_EQ(0, munmap(hole, PAGE));
	ASSERT_EQ(1, spawn_one(fd, desc_nop(1), &first));
	ASSERT_EQ(0, join(fd));
	EXPECT_EQ(-EFAULT, spawn_one(fd, desc_nop(2), hole));
	/* the same slot, once more */
	expected = first + (1U << 20);
	EXPECT_EQ(-ENOENT, cancel_arg(fd, KSCOPE_CANCEL_CHILD, expected, &arg));
	EXPECT_EQ(-ENOENT, spawn_one(fd, nop_after(3, expected), NULL));
}

TEST_F(after, drain_waits_for_all_earlier_ones_and_no_later_one)
{
	int fd = self->scope.fd;

	self->descs[0] = desc_sleep(1, in_ms(200));
	self->descs[1] = desc_sleep(2, in_ms(100));
	self->descs[2] = nop_drain(3);
	self->descs[3] = desc_nop(4);
	self->descs[4] = desc_sleep(5, far_future());
	ASSERT_EQ(5, spawn_arg(fd, self->descs, self->handles, 5, 0, 0));
	EXPECT_FINISHED(4);
	EXPECT_FINISHED(2);
	EXPECT_FINISHED(1);
	EXPECT_FINISHED(3);
	EXPECT_EQ(0, ring_unread(&self->scope));
	ASSERT_EQ(0, cancel_child(fd, self->handles[4]));
	EXPECT_NEXT(5, KSCOPE_STOPPED, KSCOPE_CAUSE_CALLER);
}

TEST_F(after, drain_does_not_care_how_they_end)
{
	int fd = self->scope.fd;

	self->descs[0] = desc_sleep(1, far_future());
	self->descs[1] = nop_after(2, 1);
	self->descs[2] = nop_drain(3);
	ASSERT_EQ(3, spawn_linked(fd, self->descs, self->handles, 3));
	ASSERT_EQ(0, wait_running(fd, 1));
	ASSERT_EQ(0, cancel_child(fd, self->handles[0]));
	EXPECT_NEXT(1, KSCOPE_STOPPED, KSCOPE_CAUSE_CALLER);
	EXPECT_LOST(2);
	EXPECT_FINISHED(3);
}

TEST_F(after, drain_with_nobody_before_it_goes_on_at_once)
{
	ASSERT_EQ(1, spawn_one(self->scope.fd, nop_drain(1), NULL));
	EXPECT_FINISHED(1);
	ASSERT_EQ(1, spawn_one(self->scope.fd, nop_drain(2), NULL));
	EXPECT_FINISHED(2);
}

TEST_F(after, drains_one_behind_the_other)
{
	int fd = self->scope.fd;
	unsigned int i;

	for (i = 0; i < 60; i += 3) {
		self->descs[i] = desc_sleep(i, in_ms(40) + i * MSEC);
		self->descs[i + 1] = nop_drain(i + 1);
		self->descs[i + 2] = nop_drain(i + 2);
	}
	ASSERT_EQ(60, spawn(fd, self->descs, 60));
	ASSERT_EQ(0, join(fd));
	/* each drain comes after all that were spawned before */
	for (i = 0; i < 60; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
		self->handles[self->c.user_data] = i;
	}
	for (i = 1; i < 60; i++)
		if (i % 3)
			EXPECT_LT(self->handles[i - 1], self->handles[i]);
}

TEST_F(after, drain_is_not_taken_for_an_earlier_one_in_its_slot)
{
	int fd = self->scope.fd;

	self->descs[0] = desc_sleep(1, far_future());
	self->descs[1] = nop_drain(2);
	self->descs[2] = desc_sleep(3, far_future());
	ASSERT_EQ(3, spawn_arg(fd, self->descs, self->handles, 3, 0, 0));
	ASSERT_EQ(0, wait_running(fd, 2));
	ASSERT_EQ(0, cancel_child(fd, self->handles[1]));
	EXPECT_NEXT(2, KSCOPE_NEVER_STARTED, KSCOPE_CAUSE_CALLER);
	ASSERT_EQ(1, spawn_one(fd, nop_drain(4), &self->handles[3]));
	ASSERT_EQ(self->handles[1] + (1U << 20), self->handles[3]);
	/* now it would be the turn of the one that was cancelled */
	ASSERT_EQ(0, cancel_child(fd, self->handles[0]));
	EXPECT_NEXT(1, KSCOPE_STOPPED, KSCOPE_CAUSE_CALLER);
	EXPECT_NOTHING_YET();
	ASSERT_EQ(0, cancel_child(fd, self->handles[2]));
	EXPECT_NEXT(3, KSCOPE_STOPPED, KSCOPE_CAUSE_CALLER);
	EXPECT_FINISHED(4);
}

TEST_F(after, only_so_many_drains_wait)
{
	int fd = self->scope.fd;
	unsigned int i;

	ASSERT_EQ(1, spawn_one(fd, desc_sleep(0, far_future()), self->handles));
	ASSERT_EQ(0, wait_running(fd, 1));
	for (i = 1; i <= DRAINS; i++)
		ASSERT_EQ(1, spawn_one(fd, nop_drain(i), &self->handles[i]));
	EXPECT_EQ(-EAGAIN, spawn_one(fd, nop_drain(0), NULL));
	/* one that ends early keeps its place until its turn */
	ASSERT_EQ(0, cancel_child(fd, self->handles[5]));
	EXPECT_NEXT(5, KSCOPE_NEVER_STARTED, KSCOPE_CAUSE_CALLER);
	EXPECT_EQ(-EAGAIN, spawn_one(fd, nop_drain(0), NULL));
	EXPECT_EQ(1, spawn_one(fd, desc_nop(77), NULL));
	EXPECT_FINISHED(77);
	ASSERT_EQ(0, cancel_child(fd, self->handles[0]));
	EXPECT_NEXT(0, KSCOPE_STOPPED, KSCOPE_CAUSE_CALLER);
	for (i = 1; i <= DRAINS; i++)
		if (i != 5)
			EXPECT_FINISHED(i);
	EXPECT_EQ(1, spawn_one(fd, nop_drain(1), NULL));
	EXPECT_FINISHED(1);
}

/* The oracle: what each child of a random history has to say in the end. */
struct history {
	__u64 first; /* number of the child that it comes after, 0 for none */
	bool drains;
	unsigned int place; /* in the order of completions, from 1 on */
	unsigned int outcome, cause;
};

static struct history history[CAPACITY];

static void history_spawn(struct __test_metadata *_metadata,
			  FIXTURE_DATA(after) * self, unsigned int i)
{
	struct kscope_desc desc = desc_nop(i);
	unsigned int dice = rand();
	int ret;

	history[i] = (struct history){};
	if (dice % 3 == 0)
		desc = desc_sleep(i, now_ns() + dice / 8 % 4000 * 1000);
	if (dice / 2 % 2 && i != 1) {
		history[i].first = 1 + dice / 64 % (i - 1);
		desc.after = self->handles[history[i].first];
	}
	if (dice / 4 % 8 == 0) {
		history[i].drains = true;
		desc.flags = KSCOPE_CHILD_DRAIN;
	}
	ret = spawn_one(self->scope.fd, desc, &self->handles[i]);
	if (ret == -ENOENT) { /* it has ended, and its slot was used again */
		EXPECT_EQ(-ENOENT, cancel_child(self->scope.fd, desc.after));
		history[i].first = 0;
		desc.after = 0;
		ret = spawn_one(self->scope.fd, desc, &self->handles[i]);
	}
	ASSERT_EQ(1, ret);
}

static bool did_finish(unsigned int i)
{
	return history[i].outcome == KSCOPE_FINISHED ||
	       history[i].outcome == KSCOPE_FINISHED_ANYWAY;
}

static void history_check(struct __test_metadata *_metadata, unsigned int i,
			  unsigned int *last)
{
	const struct history *h = &history[i];

	ASSERT_NE(0, h->place);
	if (h->first && !did_finish(h->first))
		EXPECT_EQ(KSCOPE_NEVER_STARTED, h->outcome);
	if (h->first && did_finish(i))
		EXPECT_GT(h->place, history[h->first].place);
	if (h->cause == KSCOPE_CAUSE_AFTER)
		EXPECT_FALSE(did_finish(h->first));
	if (h->drains && did_finish(i))
		EXPECT_GT(h->place, *last);
	if (h->place > *last)
		*last = h->place;
}

TEST_F_TIMEOUT(after, random_histories_end_as_they_have_to, 120)
{
	struct kscope_cancel arg;
	unsigned int round, i, place, last, nr = DRAINS;

	for (round = 0; round < 40; round++) {
		srand(round);
		hooks_noise(round % 2 ? round : 0);
		hooks_limit(round % 3 == 1);
		for (i = 1; i <= nr; i++) {
			history_spawn(_metadata, self, i);
			if (rand() % 8 == 0)
				cancel_arg(self->scope.fd, KSCOPE_CANCEL_CHILD,
					   self->handles[1 + rand() % i], &arg);
		}
		ASSERT_EQ(0, join(self->scope.fd));
		for (place = 1; reap(&self->scope, &self->c); place++) {
			struct history *h = &history[self->c.user_data];

			EXPECT_EQ(0, h->place);
			h->place = place;
			h->outcome = self->c.outcome;
			h->cause = self->c.cause;
		}
		EXPECT_EQ(nr + 1, place);
		for (i = 1, last = 0; i <= nr; i++)
			history_check(_metadata, i, &last);
	}
	hooks_quiet();
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * QUIESCE: all have ended, and the scope goes on with what it owns, unless it was cancelled for
 * good.
 */
#include <pthread.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

#define CAPACITY 64

static int quiesce_until(int fd, __u64 deadline_ns)
{
	struct kscope_quiesce arg = { .size = sizeof(arg),
				      .deadline_ns = deadline_ns };

	return xioctl(fd, KSCOPE_IOC_QUIESCE, &arg);
}

static int quiesce(int fd)
{
	return quiesce_until(fd, in_ms(PATIENCE_MS));
}

FIXTURE(quiesce)
{
	struct scope scope;
	struct kscope_join join;
	struct kscope_query q;
	struct kscope_completion c;
	char *mem;
	int buf;
};

FIXTURE_VARIANT(quiesce)
{
	unsigned int kind;
	unsigned int policy;
};

FIXTURE_VARIANT_ADD(quiesce, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(quiesce, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

FIXTURE_VARIANT_ADD(quiesce, race){
	.kind = KSCOPE_KIND_PARALLEL,
	.policy = KSCOPE_POLICY_FIRST_SUCCESS,
};

FIXTURE_SETUP(quiesce)
{
	struct kscope_scope_create arg = { .kind = variant->kind,
					   .policy = variant->policy,
					   .capacity = CAPACITY };

	self->mem = map_anon(PAGE);
	ASSERT_EQ(0, scope_map(&self->scope, scope_create(&arg), &arg));
	self->buf = buf_pin(self->scope.fd, self->mem, PAGE, 0);
	ASSERT_LT(0, self->buf);
}

FIXTURE_TEARDOWN(quiesce)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, PAGE);
}

TEST_F(quiesce, cancelled_scope_goes_on_with_its_buffers)
{
	int round, i, nr;

	for (round = 1; round <= 20; round++) {
		for (i = 0; i < 10; i++)
			ASSERT_EQ(1,
				  spawn_one(self->scope.fd,
					    desc_sleep(i, far_future()), NULL));
		ASSERT_EQ(0, cancel_scope(self->scope.fd));
		EXPECT_EQ(-ECANCELED,
			  spawn_one(self->scope.fd, desc_nop(1), NULL));
		ASSERT_EQ(0, quiesce(self->scope.fd));
		for (nr = 0; reap(&self->scope, &self->c); nr++)
			EXPECT_EQ(KSCOPE_CAUSE_CALLER, self->c.cause);
		EXPECT_EQ(10, nr);
		ASSERT_EQ(0, query(self->scope.fd, &self->q));
		EXPECT_EQ(KSCOPE_SCOPE_OPEN, self->q.state);
		EXPECT_EQ(KSCOPE_CAUSE_NONE, self->q.cause);
		EXPECT_EQ(1, self->q.nr_buffers);
		EXPECT_EQ(round * 10 + (round - 1), self->q.spawned);
		ASSERT_EQ(0, run_ok(&self->scope,
				    desc_fill(self->buf, 0, PAGE, round),
				    &self->c));
		EXPECT_EQ(round, self->mem[0]);
		ASSERT_EQ(0, quiesce(self->scope.fd));
	}
}

TEST_F(quiesce, forgets_who_was_first)
{
	struct kscope_desc bad =
		desc_file(KSCOPE_OP_WRITE, 0, 0, self->buf, 0, 1);
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ASSERT_EQ(0, ftruncate(fd, PAGE));
	ASSERT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	bad.fd = fd;
	ASSERT_EQ(0, run(&self->scope, bad, &self->c));
	ASSERT_EQ(0, run_ok(&self->scope, desc_nop(1), &self->c));
	ASSERT_EQ(0, join_arg(self->scope.fd, 0, &self->join));
	EXPECT_EQ(-EPERM, self->join.first_error);
	EXPECT_EQ(variant->policy ? KSCOPE_CAUSE_SUCCESS : 0, self->join.cause);
	ASSERT_EQ(0, quiesce(self->scope.fd));
	ASSERT_EQ(0, join_arg(self->scope.fd, 0, &self->join));
	EXPECT_EQ(0, self->join.first_error);
	EXPECT_EQ(0, self->join.first_child);
	EXPECT_EQ(0, self->join.cause);
	EXPECT_EQ(0, self->join.decider_child);
	EXPECT_EQ(0, self->join.decider_user_data);
	EXPECT_EQ(1, self->join.nr_failed);
	close(fd);
}

TEST_F(quiesce, waits_and_gives_up_at_its_deadline)
{
	ASSERT_EQ(0, quiesce(self->scope.fd));
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(1, in_ms(30)), NULL));
	EXPECT_EQ(-ETIMEDOUT, quiesce_until(self->scope.fd, 1));
	EXPECT_EQ(0, quiesce(self->scope.fd));
	EXPECT_EQ(1, ring_unread(&self->scope));
	ASSERT_EQ(1,
		  spawn_one(self->scope.fd, desc_sleep(1, far_future()), NULL));
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	EXPECT_EQ(0, quiesce(self->scope.fd));
	EXPECT_EQ(0, release(self->scope.fd));
	EXPECT_EQ(-ESHUTDOWN, quiesce(self->scope.fd));
}

TEST(quiesce_does_not_undo_a_deadline)
{
	struct kscope_scope_create arg = { .capacity = 1, .deadline_ns = 1 };
	int fd = scope_create(&arg);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-ECANCELED, quiesce(fd));
	EXPECT_EQ(0, close(fd));
}

/* Many cancel, many go on; each child that was accepted leaves one completion. */
struct crowd {
	int fd;
	bool stop;
};

static void *canceller(void *arg)
{
	struct crowd *crowd = arg;

	while (!__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED)) {
		cancel_scope(crowd->fd);
		quiesce(crowd->fd);
	}
	return NULL;
}

TEST_F(quiesce, of_many_at_once_loses_no_child)
{
	struct crowd crowd = { .fd = self->scope.fd };
	__u64 accepted = 0, ended = 0, until = in_ms(500);
	pthread_t threads[2];
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0,
			  pthread_create(&threads[i], NULL, canceller, &crowd));
	while (now_ns() < until) {
		accepted += spawn_one(self->scope.fd,
				      desc_sleep(1, far_future()), NULL) == 1;
		accepted += spawn_one(self->scope.fd, desc_nop(1), NULL) == 1;
		while (reap(&self->scope, &self->c))
			ended++;
	}
	crowd.stop = true;
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	cancel_scope(self->scope.fd);
	ASSERT_EQ(0, join(self->scope.fd));
	while (reap(&self->scope, &self->c))
		ended++;
	EXPECT_EQ(accepted, ended);
	EXPECT_LT(0, accepted);
}

TEST_HARNESS_MAIN

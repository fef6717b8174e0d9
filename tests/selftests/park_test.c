// SPDX-License-Identifier: GPL-2.0
/*
 * Children that wait for leases: when they go on, in which order, who does not overtake them, and
 * how they end if they never do.
 */
#include <pthread.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

#define LEN 4096U
#define MAX_WAITING 64
#define CAPACITY 256
#define READ_IT KSCOPE_ACCESS_READ
#define WRITE_IT KSCOPE_ACCESS_WRITE

FIXTURE(park)
{
	struct scope scope;
	struct kscope_completion c;
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	unsigned int nr_blockers;
	unsigned char *mem;
	int buf, other;
	__u64 lease; /* of the caller, on all of buf */
};

FIXTURE_SETUP(park)
{
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, CAPACITY));
	self->mem = map_anon(2 * LEN);
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	self->other = buf_pin(self->scope.fd, self->mem + LEN, LEN, 0);
	ASSERT_LT(0, self->buf);
	ASSERT_LT(0, self->other);
	ASSERT_EQ(0, borrow(self->scope.fd, self->buf, 0, LEN, WRITE_IT,
			    &self->lease));
}

FIXTURE_TEARDOWN(park)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, 2 * LEN);
}

static struct kscope_desc waiting(struct kscope_desc desc, __u64 user_data)
{
	desc.flags = KSCOPE_CHILD_WAIT;
	desc.user_data = user_data;
	return desc;
}

static int try(FIXTURE_DATA(park) * self, struct kscope_desc desc)
{
	self->nr_blockers = KSCOPE_MAX_BLOCKERS;
	return spawn_blockers(self->scope.fd, desc, self->blockers,
			      &self->nr_blockers);
}

/* Children that were accepted and have not started */
static unsigned int queued(FIXTURE_DATA(park) * self)
{
	struct kscope_query q;

	if (query(self->scope.fd, &q))
		return -1;
	return q.queued;
}

TEST_F(park, a_child_waits_until_the_lease_is_free)
{
	struct kscope_desc desc =
		waiting(desc_fill(self->buf, 0, 8, 0x0101010101010101), 7);
	__u64 deadline = in_ms(PATIENCE_MS);
	__u64 handle;

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc, &handle));
	usleep(20000);
	EXPECT_EQ(1, queued(self));
	EXPECT_EQ(0, self->mem[0]);
	EXPECT_EQ(0, give_back(self->scope.fd, self->lease));
	/* A worker runs it: nobody waits who could. */
	while (!ring_unread(&self->scope) && now_ns() < deadline)
		usleep(1000);
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(handle, self->c.child);
	EXPECT_EQ(7, self->c.user_data);
	EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
	EXPECT_EQ(8, self->c.done);
	EXPECT_EQ(1, self->mem[0]);
}

TEST_F(park, what_is_free_is_not_waited_for)
{
	ASSERT_EQ(1, spawn_one(self->scope.fd,
			       waiting(desc_fill(self->other, 0, LEN, 1), 1),
			       NULL));
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
	ASSERT_EQ(1,
		  spawn_one(self->scope.fd,
			    waiting(desc_fill(self->buf, 9, 0, 1), 1), NULL));
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
}

TEST_F(park, who_waits_is_accepted_without_handles_as_with)
{
	struct kscope_desc descs[3] = {
		waiting(desc_fill(self->buf, 0, 8, 1), 1),
		desc_nop(2),
		waiting(desc_fill(self->buf, 8, 8, 2), 3),
	};
	__u64 handles[3];
	unsigned int i;

	EXPECT_EQ(3, spawn(self->scope.fd, descs, 3));
	EXPECT_EQ(3, spawn_arg(self->scope.fd, descs, handles, 3, 0, 0));
	/* The waiter runs what does not wait. */
	EXPECT_EQ(3, spawn_arg(self->scope.fd, descs, NULL, 3, 3,
			       in_ms(PATIENCE_MS)));
	EXPECT_EQ(0, wait_unread(self->scope.fd, 3, PATIENCE_MS));
	EXPECT_EQ(3, ring_unread(&self->scope));
	EXPECT_EQ(6, queued(self));
	EXPECT_EQ(0, give_back(self->scope.fd, self->lease));
	EXPECT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(9, ring_unread(&self->scope));
	for (i = 0; reap(&self->scope, &self->c); i++)
		EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
}

TEST_F(park, a_batch_of_which_all_wait_leaves_nothing_to_run)
{
	struct kscope_desc desc = waiting(desc_fill(self->buf, 0, 8, 1), 1);

	EXPECT_EQ(1, spawn_arg(self->scope.fd, &desc, NULL, 1, 1, in_ms(30)));
	EXPECT_EQ(0, ring_unread(&self->scope));
	EXPECT_EQ(0, give_back(self->scope.fd, self->lease));
	EXPECT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(1, ring_unread(&self->scope));
}

TEST_F(park, they_go_on_in_the_order_of_asking)
{
	unsigned int i;

	for (i = 0; i < 20; i++)
		ASSERT_EQ(1,
			  spawn_one(self->scope.fd,
				    waiting(desc_fill(self->buf, 0, LEN, i), i),
				    NULL));
	EXPECT_EQ(0, give_back(self->scope.fd, self->lease));
	EXPECT_EQ(0, join(self->scope.fd));
	for (i = 0; i < 20; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		EXPECT_EQ(i, self->c.user_data);
	}
	EXPECT_EQ(19, self->mem[0]);
}

TEST_F(park, each_sees_what_the_one_before_it_wrote)
{
	struct kscope_desc descs[8];
	unsigned int i;

	for (i = 0; i < 8; i += 2) {
		descs[i] = waiting(desc_fill(self->buf, 0, LEN, i + 1), i);
		descs[i + 1] = waiting(desc_two(KSCOPE_OP_XOR, self->buf, 0,
						self->other, 0, LEN),
				       i + 1);
	}
	EXPECT_EQ(8, spawn(self->scope.fd, descs, 8));
	EXPECT_EQ(0, give_back(self->scope.fd, self->lease));
	EXPECT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(1 ^ 3 ^ 5 ^ 7, self->mem[LEN]);
}

TEST_F(park, nobody_overtakes_a_child_that_waits)
{
	__u64 handle, lease;

	EXPECT_EQ(0, give_back(self->scope.fd, self->lease));
	ASSERT_EQ(0, borrow(self->scope.fd, self->buf, 0, 10, READ_IT,
			    &self->lease));
	ASSERT_EQ(1, spawn_one(self->scope.fd,
			       waiting(desc_fill(self->buf, 0, 100, 1), 5),
			       &handle));
	EXPECT_EQ(-EBUSY, try(self, desc_crc32c(self->buf, 50, 1, 0)));
	ASSERT_EQ(1, self->nr_blockers);
	EXPECT_EQ(handle, self->blockers[0].child);
	EXPECT_EQ(5, self->blockers[0].user_data);
	EXPECT_EQ(KSCOPE_STATE_PARKED, self->blockers[0].state);
	EXPECT_EQ(-EBUSY,
		  borrow(self->scope.fd, self->buf, 99, 1, READ_IT, &lease));
	EXPECT_EQ(1, try(self, desc_crc32c(self->buf, 100, 1, 0)));
	/* One that waits as well comes after it. */
	EXPECT_EQ(1, try(self, waiting(desc_crc32c(self->buf, 0, 1, 0), 6)));
	usleep(10000);
	EXPECT_EQ(2, queued(self));
	EXPECT_EQ(0, give_back(self->scope.fd, self->lease));
	EXPECT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(3, ring_unread(&self->scope));
}

TEST_F(park, both_ranges_come_together)
{
	struct kscope_desc desc =
		desc_two(KSCOPE_OP_COPY, self->buf, 0, self->other, 0, 10);
	__u64 lease;

	ASSERT_EQ(1, try(self, waiting(desc, 1)));
	/* It has none of its ranges, but nobody gets the one that is free. */
	EXPECT_EQ(-EBUSY, try(self, desc_fill(self->other, 5, 1, 0)));
	EXPECT_EQ(1, try(self, desc_fill(self->other, 10, 1, 0)));
	ASSERT_EQ(1, try(self, waiting(desc_two(KSCOPE_OP_COPY, self->other,
						100, self->buf, 100, 10),
				       2)));
	EXPECT_EQ(0, wait_unread(self->scope.fd, 1, PATIENCE_MS));
	EXPECT_EQ(1, try(self, desc_fill(self->other, 200, 1, 0)));
	EXPECT_EQ(0, wait_unread(self->scope.fd, 2, PATIENCE_MS));
	usleep(20000);
	EXPECT_EQ(2, queued(self));
	EXPECT_EQ(-EBUSY,
		  borrow(self->scope.fd, self->other, 0, LEN, READ_IT, &lease));
	EXPECT_EQ(0, give_back(self->scope.fd, self->lease));
	EXPECT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(1, try(self, desc_fill(self->other, 5, 1, 0)));
}

TEST_F(park, a_child_that_ends_lets_the_next_go)
{
	int file = memfd_create("park", MFD_CLOEXEC), i;
	struct kscope_info info;
	__u64 handle;

	ASSERT_EQ(0, dev_info(&info));
	EXPECT_EQ(0, give_back(self->scope.fd, self->lease));
	for (i = 0; i < info.max_blocking; i++)
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_sleep(9, far_future()), NULL));
	ASSERT_EQ(0, wait_running(self->scope.fd, info.max_blocking));
	ASSERT_EQ(1, spawn_one(self->scope.fd,
			       desc_file(KSCOPE_OP_READ, file, 0, self->buf, 0,
					 LEN),
			       &handle));
	EXPECT_EQ(1, try(self, waiting(desc_fill(self->buf, 0, 8, 1), 1)));
	usleep(10000);
	EXPECT_EQ(2, queued(self));
	EXPECT_EQ(0, cancel_child(self->scope.fd, handle));
	EXPECT_EQ(0, wait_unread(self->scope.fd, 2, PATIENCE_MS));
	EXPECT_EQ(0, queued(self));
	close(file);
}

TEST_F(park, cancelled_it_has_never_started)
{
	struct kscope_cancel counts;
	__u64 handle, behind;

	ASSERT_EQ(1, spawn_one(self->scope.fd,
			       waiting(desc_fill(self->buf, 0, 8, 1), 1),
			       &handle));
	ASSERT_EQ(1, spawn_one(self->scope.fd,
			       waiting(desc_fill(self->other, 0, 8, 1), 2),
			       &behind));
	EXPECT_EQ(0, cancel_arg(self->scope.fd, KSCOPE_CANCEL_CHILD, handle,
				&counts));
	EXPECT_EQ(1, counts.never_started);
	ASSERT_EQ(0, wait_unread(self->scope.fd, 2, PATIENCE_MS));
	while (reap(&self->scope, &self->c))
		EXPECT_EQ(self->c.child == handle ? KSCOPE_NEVER_STARTED :
						    KSCOPE_FINISHED,
			  self->c.outcome);
	EXPECT_EQ(0, queued(self));
	EXPECT_EQ(-ENOENT, cancel_child(self->scope.fd, handle));
}

TEST_F(park, who_is_behind_one_that_is_cancelled_goes_on)
{
	__u64 writer;

	EXPECT_EQ(0, give_back(self->scope.fd, self->lease));
	ASSERT_EQ(0, borrow(self->scope.fd, self->buf, 0, 10, READ_IT,
			    &self->lease));
	ASSERT_EQ(1, spawn_one(self->scope.fd,
			       waiting(desc_fill(self->buf, 0, 100, 1), 1),
			       &writer));
	ASSERT_EQ(1, try(self, waiting(desc_crc32c(self->buf, 0, 100, 0), 2)));
	EXPECT_EQ(2, queued(self));
	EXPECT_EQ(0, cancel_child(self->scope.fd, writer));
	EXPECT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(2, ring_unread(&self->scope));
}

TEST_F(park, cancel_of_the_scope_ends_those_that_wait)
{
	struct kscope_cancel counts;
	unsigned int i;

	for (i = 0; i < 10; i++)
		ASSERT_EQ(1, try(self, waiting(desc_fill(self->buf, i, 8, 1),
					       i % 2)));
	EXPECT_EQ(0, cancel_arg(self->scope.fd, KSCOPE_CANCEL_USER_DATA, 1,
				&counts));
	EXPECT_EQ(5, counts.never_started);
	EXPECT_EQ(0,
		  cancel_arg(self->scope.fd, KSCOPE_CANCEL_SCOPE, 0, &counts));
	EXPECT_EQ(5, counts.never_started);
	EXPECT_EQ(10, ring_unread(&self->scope));
	while (reap(&self->scope, &self->c)) {
		EXPECT_EQ(KSCOPE_NEVER_STARTED, self->c.outcome);
		EXPECT_EQ(KSCOPE_CAUSE_CALLER, self->c.cause);
	}
	EXPECT_EQ(0, give_back(self->scope.fd, self->lease));
	EXPECT_EQ(0, self->mem[0]);
}

TEST_F(park, a_buffer_that_is_waited_for_stays)
{
	__u64 handle;

	ASSERT_EQ(1, spawn_one(self->scope.fd,
			       waiting(desc_two(KSCOPE_OP_COPY, self->buf, 0,
						self->other, 0, 1),
				       1),
			       &handle));
	self->nr_blockers = KSCOPE_MAX_BLOCKERS;
	EXPECT_EQ(-EBUSY,
		  buf_unpin_blockers(self->scope.fd, self->other,
				     self->blockers, &self->nr_blockers));
	ASSERT_EQ(1, self->nr_blockers);
	EXPECT_EQ(handle, self->blockers[0].child);
	EXPECT_EQ(KSCOPE_STATE_PARKED, self->blockers[0].state);
	self->nr_blockers = KSCOPE_MAX_BLOCKERS;
	EXPECT_EQ(-EBUSY, release_blockers(self->scope.fd, self->blockers,
					   &self->nr_blockers));
	EXPECT_EQ(1, self->nr_blockers);
	EXPECT_EQ(0, cancel_child(self->scope.fd, handle));
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->other));
}

TEST_F(park, the_line_is_short)
{
	struct kscope_desc desc = waiting(desc_fill(self->buf, 0, 8, 1), 1);
	struct kscope_desc descs[MAX_WAITING + 2];
	struct kscope_query q;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(descs); i++)
		descs[i] = desc;
	EXPECT_EQ(MAX_WAITING, spawn(self->scope.fd, descs, ARRAY_SIZE(descs)));
	EXPECT_EQ(-EAGAIN, spawn_one(self->scope.fd, desc, NULL));
	EXPECT_EQ(1, spawn_one(self->scope.fd, desc_nop(1), NULL));
	EXPECT_EQ(0, give_back(self->scope.fd, self->lease));
	EXPECT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(1, spawn_one(self->scope.fd, desc, NULL));
	ASSERT_EQ(0, join(self->scope.fd));
	ASSERT_EQ(0, query(self->scope.fd, &q));
	EXPECT_EQ(MAX_WAITING + 2, q.completed);
}

TEST_F(park, only_children_with_ranges_in_parallel_scopes_wait)
{
	static const unsigned int kinds[] = { KSCOPE_KIND_ORDERED,
					      KSCOPE_KIND_INLINE };
	struct scope scope;
	unsigned int i;
	int buf;

	EXPECT_EQ(-EINVAL, try(self, waiting(desc_nop(0), 0)));
	EXPECT_EQ(-EINVAL, try(self, waiting(desc_sleep(0, 0), 0)));
	EXPECT_EQ(-EINVAL, try(self, waiting(desc_fsync(0, 0), 0)));
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		ASSERT_EQ(0, scope_open(&scope, kinds[i], 4));
		buf = buf_pin(scope.fd, self->mem, LEN, 0);
		EXPECT_EQ(-EINVAL,
			  spawn_one(scope.fd,
				    waiting(desc_fill(buf, 0, 1, 0), 0), NULL));
		EXPECT_EQ(0, scope_close(&scope));
	}
}

TEST(children_that_wait_end_with_their_scope)
{
	struct kscope_scope_create arg = { .capacity = 8,
					   .policy = KSCOPE_POLICY_FAIL_FAST };
	int sealed = memfd_create("sealed", MFD_ALLOW_SEALING), fd, buf;
	char *mem = map_anon(LEN);
	struct kscope_completion c;
	struct scope scope;
	__u64 lease;

	ASSERT_EQ(0, fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE));
	fd = scope_create(&arg);
	ASSERT_EQ(0, scope_map(&scope, fd, &arg));
	buf = buf_pin(fd, mem, LEN, 0);
	ASSERT_EQ(0, borrow(fd, buf, 0, 10, READ_IT, &lease));
	ASSERT_EQ(1, spawn_one(fd, waiting(desc_fill(buf, 0, 1, 0), 1), NULL));
	/* It fails, and the policy ends the other. */
	ASSERT_EQ(1,
		  spawn_one(fd,
			    desc_file(KSCOPE_OP_WRITE, sealed, 0, buf, 10, 1),
			    NULL));
	EXPECT_EQ(0, join(fd));
	ASSERT_TRUE(reap(&scope, &c));
	EXPECT_EQ(KSCOPE_FAILED, c.outcome);
	ASSERT_TRUE(reap(&scope, &c));
	EXPECT_EQ(KSCOPE_NEVER_STARTED, c.outcome);
	EXPECT_EQ(KSCOPE_CAUSE_FAILURE, c.cause);
	EXPECT_EQ(0, give_back(fd, lease));
	EXPECT_EQ(0, scope_close(&scope));

	ASSERT_EQ(0, scope_open(&scope, KSCOPE_KIND_PARALLEL, 8));
	buf = buf_pin(scope.fd, mem, LEN, 0);
	ASSERT_EQ(0, borrow(scope.fd, buf, 0, 10, READ_IT, &lease));
	ASSERT_EQ(1, spawn_one(scope.fd, waiting(desc_fill(buf, 0, 1, 0), 1),
			       NULL));
	EXPECT_EQ(0, xclose(scope.fd));
	ASSERT_TRUE(reap(&scope, &c));
	EXPECT_EQ(KSCOPE_NEVER_STARTED, c.outcome);
	EXPECT_EQ(KSCOPE_CAUSE_CLOSE, c.cause);
	scope_unmap(&scope);
	munmap(mem, LEN);
}

/*
 * Many XORs into the same bytes by several threads, while callers read and write there: if two
 * of them had the bytes at a time, an update would be lost.
 */
#define THREADS 3
#define ROUNDS 400

struct worker {
	struct scope *scope;
	int buf;
	unsigned int seed, accepted, sum;
	int error;
	pthread_t thread;
};

static void *spawn_xors(void *arg)
{
	struct worker *me = arg;
	unsigned int i;
	int ret;

	for (i = 0; i < ROUNDS; i++) {
		unsigned int which = rand_r(&me->seed) % 16;
		struct kscope_desc desc = desc_two(KSCOPE_OP_XOR, me->buf,
						   LEN / 2 + which * 64,
						   me->buf, 0, 64);

		desc.flags = i % 4 ? KSCOPE_CHILD_WAIT : 0;
		ret = spawn_one(me->scope->fd, desc, NULL);
		if (ret == -EAGAIN || ret == -EBUSY) {
			sched_yield();
			continue;
		}
		if (ret != 1) {
			me->error = ret;
			break;
		}
		me->accepted++;
		me->sum ^= 1U << which;
	}
	return NULL;
}

TEST(updates_of_the_same_bytes_do_not_get_lost)
{
	struct worker workers[THREADS];
	unsigned char *mem = map_anon(LEN);
	unsigned int i, sum = 0, nr = 0, accepted = 0, wanted = 0;
	struct kscope_borrow arg;
	struct kscope_completion c;
	struct scope scope;
	int buf;

	for (i = 0; i < 16; i++)
		memset(mem + LEN / 2 + i * 64, i < 8 ? 1 << i : 0, 64);
	ASSERT_EQ(0, scope_open(&scope, KSCOPE_KIND_PARALLEL, 128));
	buf = buf_pin(scope.fd, mem, LEN, 0);
	ASSERT_LT(0, buf);
	for (i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .scope = &scope,
					      .buf = buf,
					      .seed = i + 1 };
		ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL,
					    spawn_xors, &workers[i]));
	}
	for (i = 0; i < ROUNDS; i++) {
		arg = (struct kscope_borrow){ .flags = KSCOPE_BORROW_WAIT,
					      .buf = buf,
					      .access = WRITE_IT,
					      .off = 63,
					      .len = 1 };
		int ret = borrow_arg(scope.fd, &arg);

		ASSERT_TRUE(!ret || ret == -EAGAIN);
		if (!ret) {
			unsigned char old = mem[63];

			mem[63] = ~old;
			sched_yield();
			mem[63] = old;
			ASSERT_EQ(0, give_back(scope.fd, arg.lease));
		}
		while (reap(&scope, &c)) {
			ASSERT_EQ(KSCOPE_FINISHED, c.outcome);
			nr++;
		}
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		EXPECT_EQ(0, workers[i].error);
		accepted += workers[i].accepted;
		sum ^= workers[i].sum;
	}
	ASSERT_EQ(0, join(scope.fd));
	while (reap(&scope, &c))
		nr++;
	EXPECT_EQ(accepted, nr);
	wanted = sum & 0xff;
	for (i = 0; i < 64; i++)
		EXPECT_EQ(wanted, mem[i]);
	TH_LOG("%u children accepted of %u", accepted, THREADS * ROUNDS);
	EXPECT_EQ(0, scope_close(&scope));
	munmap(mem, LEN);
}

TEST_HARNESS_MAIN

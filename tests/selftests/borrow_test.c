// SPDX-License-Identifier: GPL-2.0
/*
 * Leases of callers: what they exclude and are excluded by, waiting for one, the line of those
 * who wait, and their end by RETURN, RELEASE and close.
 */
#include <pthread.h>
#include <signal.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

#define LEN 4096U
#define MAX_LOANS 1024
#define MAX_WAITING 64
#define READ_IT KSCOPE_ACCESS_READ
#define WRITE_IT KSCOPE_ACCESS_WRITE

FIXTURE(borrow)
{
	struct scope scope;
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	unsigned int nr_blockers;
	unsigned char *mem;
	int buf;
};

FIXTURE_VARIANT(borrow)
{
	unsigned int kind;
};

FIXTURE_VARIANT_ADD(borrow, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(borrow, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

FIXTURE_VARIANT_ADD(borrow, inline_){
	.kind = KSCOPE_KIND_INLINE,
};

FIXTURE_SETUP(borrow)
{
	ASSERT_EQ(0, scope_open(&self->scope, variant->kind, 256));
	self->mem = map_anon(LEN);
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	ASSERT_LT(0, self->buf);
}

FIXTURE_TEARDOWN(borrow)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LEN);
}

static int take(FIXTURE_DATA(borrow) * self, __u64 off, __u64 len,
		unsigned int access, __u64 *lease)
{
	return borrow(self->scope.fd, self->buf, off, len, access, lease);
}

static int back(FIXTURE_DATA(borrow) * self, __u64 lease)
{
	return give_back(self->scope.fd, lease);
}

/* What a child is told; it ends before this does. */
static int child(FIXTURE_DATA(borrow) * self, struct kscope_desc desc)
{
	unsigned int unread = ring_unread(&self->scope);
	int ret;

	self->nr_blockers = KSCOPE_MAX_BLOCKERS;
	ret = spawn_blockers(self->scope.fd, desc, self->blockers,
			     &self->nr_blockers);
	if (ret == 1)
		wait_unread(self->scope.fd, unread + 1, PATIENCE_MS);
	return ret;
}

static int child_writes(FIXTURE_DATA(borrow) * self, __u64 off, __u64 len)
{
	return child(self, desc_fill(self->buf, off, len, 0));
}

static int child_reads(FIXTURE_DATA(borrow) * self, __u64 off, __u64 len)
{
	return child(self, desc_crc32c(self->buf, off, len, 0));
}

TEST_F(borrow, caller_that_writes_excludes_children)
{
	__u64 lease;

	ASSERT_EQ(0, take(self, 100, 50, WRITE_IT, &lease));
	EXPECT_EQ(-EBUSY, child_writes(self, 149, 1));
	ASSERT_EQ(1, self->nr_blockers);
	EXPECT_EQ(0, self->blockers[0].child);
	EXPECT_EQ(lease, self->blockers[0].user_data);
	EXPECT_EQ(KSCOPE_STATE_LENT, self->blockers[0].state);
	EXPECT_EQ(self->buf, self->blockers[0].buf);
	EXPECT_EQ(100, self->blockers[0].off);
	EXPECT_EQ(50, self->blockers[0].len);
	EXPECT_EQ(-EBUSY, child_reads(self, 0, LEN));
	EXPECT_EQ(1, child_reads(self, 0, 100));
	EXPECT_EQ(1, child_writes(self, 150, LEN - 150));
	EXPECT_EQ(0, back(self, lease));
	EXPECT_EQ(1, child_writes(self, 0, LEN));
}

TEST_F(borrow, caller_that_reads_excludes_children_that_write)
{
	__u64 one, two;

	ASSERT_EQ(0, take(self, 0, LEN, READ_IT, &one));
	ASSERT_EQ(0, take(self, 7, 7, READ_IT, &two));
	EXPECT_NE(one, two);
	EXPECT_EQ(1, child_reads(self, 0, LEN));
	EXPECT_EQ(-EBUSY, child_writes(self, 7, 1));
	EXPECT_EQ(2, self->nr_blockers);
	EXPECT_EQ(0, back(self, one));
	EXPECT_EQ(1, child_writes(self, 6, 1));
	EXPECT_EQ(-EBUSY, child_writes(self, 7, 1));
	EXPECT_EQ(0, back(self, two));
	EXPECT_EQ(1, child_writes(self, 7, 1));
}

TEST_F(borrow, callers_exclude_each_other_too)
{
	__u64 one, two;

	ASSERT_EQ(0, take(self, 0, 100, WRITE_IT | READ_IT, &one));
	EXPECT_EQ(-EBUSY, take(self, 99, 1, READ_IT, &two));
	EXPECT_EQ(-EBUSY, take(self, 0, LEN, WRITE_IT, &two));
	EXPECT_EQ(0, take(self, 100, 100, WRITE_IT, &two));
	EXPECT_EQ(0, back(self, one));
	EXPECT_EQ(0, back(self, two));
}

TEST_F(borrow, a_child_is_in_the_way_until_it_has_ended)
{
	struct kscope_borrow arg = { .buf = self->buf,
				     .access = WRITE_IT,
				     .off = 10,
				     .len = 1,
				     .blockers = to_u64(self->blockers),
				     .nr_blockers = KSCOPE_MAX_BLOCKERS };
	int file = memfd_create("borrow", MFD_CLOEXEC), i;
	struct kscope_info info;
	__u64 handle;

	if (variant->kind == KSCOPE_KIND_INLINE)
		SKIP(return, "no child outlives its spawn");
	ASSERT_EQ(0, dev_info(&info));
	for (i = 0; i < info.max_blocking; i++)
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_sleep(9, far_future()), NULL));
	ASSERT_EQ(1, spawn_one(self->scope.fd,
			       desc_file(KSCOPE_OP_WRITE, file, 0, self->buf, 0,
					 100),
			       &handle));
	EXPECT_EQ(-EBUSY, borrow_arg(self->scope.fd, &arg));
	ASSERT_EQ(1, arg.nr_blockers);
	EXPECT_EQ(handle, self->blockers[0].child);
	EXPECT_EQ(KSCOPE_OP_WRITE, self->blockers[0].op);
	arg.nr_blockers = 0;
	arg.access = READ_IT;
	EXPECT_EQ(0, borrow_arg(self->scope.fd, &arg));
	EXPECT_EQ(0, back(self, arg.lease));
	EXPECT_EQ(0, cancel_child(self->scope.fd, handle));
	arg.access = WRITE_IT;
	EXPECT_EQ(0, borrow_arg(self->scope.fd, &arg));
	close(file);
}

TEST_F(borrow, what_cannot_be_is_refused_and_leaves_nothing)
{
	struct kscope_query q;
	__u64 lease;

	EXPECT_EQ(-EINVAL, take(self, 0, 0, READ_IT, &lease));
	EXPECT_EQ(-EINVAL, take(self, 0, 1, 0, &lease));
	EXPECT_EQ(-EINVAL, take(self, 0, 1, 4, &lease));
	EXPECT_EQ(-EOVERFLOW, take(self, 2, ~0ULL - 1, READ_IT, &lease));
	EXPECT_EQ(-ERANGE, take(self, 0, LEN + 1, READ_IT, &lease));
	EXPECT_EQ(-ERANGE, take(self, LEN, 1, READ_IT, &lease));
	EXPECT_EQ(-ERANGE, take(self, ~0ULL - 1, 1, READ_IT, &lease));
	EXPECT_EQ(-ENOENT, borrow(self->scope.fd, 0, 0, 1, READ_IT, &lease));
	EXPECT_EQ(-ENOENT,
		  borrow(self->scope.fd, self->buf + 1, 0, 1, READ_IT, &lease));
	EXPECT_EQ(-ENOENT, back(self, 0));
	EXPECT_EQ(-ENOENT, back(self, 1));
	EXPECT_EQ(-ENOENT, back(self, ~0ULL));
	ASSERT_EQ(0, query(self->scope.fd, &q));
	EXPECT_EQ(0, q.nr_borrows);
}

TEST_F(borrow, values_of_the_struct)
{
	struct kscope_borrow arg = { .buf = self->buf,
				     .access = READ_IT,
				     .len = 1 };

	arg.deadline_ns = 1; /* without WAIT */
	EXPECT_EQ(-EINVAL, borrow_arg(self->scope.fd, &arg));
	arg.deadline_ns = 0;
	arg.nr_blockers = KSCOPE_MAX_BLOCKERS + 1;
	EXPECT_EQ(-EINVAL, borrow_arg(self->scope.fd, &arg));
	arg.nr_blockers = 0;
	EXPECT_EQ(0, borrow_arg(self->scope.fd, &arg));
}

TEST_F(borrow, a_lease_is_returned_once)
{
	__u64 one, two;

	ASSERT_EQ(0, take(self, 0, 1, WRITE_IT, &one));
	EXPECT_EQ(0, back(self, one));
	EXPECT_EQ(-ENOENT, back(self, one));
	ASSERT_EQ(0, take(self, 0, 1, WRITE_IT, &two));
	EXPECT_EQ(-ENOENT, back(self, one));
	EXPECT_EQ(-EBUSY, child_writes(self, 0, 1));
	EXPECT_EQ(0, back(self, two));
}

TEST_F(borrow, struct_that_cannot_be_written_leaves_no_lease)
{
	struct kscope_borrow *arg = map_anon(PAGE);
	struct kscope_query q;

	*arg = (struct kscope_borrow){ .size = sizeof(*arg),
				       .buf = self->buf,
				       .access = WRITE_IT,
				       .len = 1 };
	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, xioctl(self->scope.fd, KSCOPE_IOC_BORROW, arg));
	ASSERT_EQ(0, query(self->scope.fd, &q));
	EXPECT_EQ(0, q.nr_borrows);
	EXPECT_EQ(1, child_writes(self, 0, 1));
	munmap(arg, PAGE);
}

TEST_F(borrow, memory_that_children_only_read_can_be_written_by_the_caller)
{
	int buf = buf_pin(self->scope.fd, self->mem, LEN, KSCOPE_PIN_READ_ONLY);
	__u64 lease;

	ASSERT_LT(0, buf);
	ASSERT_EQ(0, borrow(self->scope.fd, buf, 0, LEN, WRITE_IT, &lease));
	EXPECT_EQ(-EBUSY, child(self, desc_crc32c(buf, 0, LEN, 0)));
	EXPECT_EQ(0, back(self, lease));
	EXPECT_EQ(1, child(self, desc_crc32c(buf, 0, LEN, 0)));
}

TEST_F(borrow, a_buffer_stays_as_long_as_it_is_lent)
{
	__u64 lease;

	ASSERT_EQ(0, take(self, 5, 6, READ_IT, &lease));
	self->nr_blockers = KSCOPE_MAX_BLOCKERS;
	EXPECT_EQ(-EBUSY,
		  buf_unpin_blockers(self->scope.fd, self->buf, self->blockers,
				     &self->nr_blockers));
	ASSERT_EQ(1, self->nr_blockers);
	EXPECT_EQ(KSCOPE_STATE_LENT, self->blockers[0].state);
	EXPECT_EQ(lease, self->blockers[0].user_data);
	EXPECT_EQ(0, back(self, lease));
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->buf));
	EXPECT_EQ(-ENOENT, take(self, 5, 6, READ_IT, &lease));
}

TEST_F(borrow, release_ends_leases)
{
	struct kscope_query q;
	__u64 lease;

	ASSERT_EQ(0, take(self, 0, LEN, WRITE_IT, &lease));
	EXPECT_EQ(0, release(self->scope.fd));
	EXPECT_EQ(-ENOENT, back(self, lease));
	EXPECT_EQ(-ESHUTDOWN, take(self, 0, 1, READ_IT, &lease));
	ASSERT_EQ(0, query(self->scope.fd, &q));
	EXPECT_EQ(0, q.nr_borrows);
	EXPECT_EQ(0, q.nr_buffers);
}

TEST_F(borrow, a_scope_that_is_cancelled_still_has_its_buffers)
{
	__u64 lease;

	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	EXPECT_EQ(0, take(self, 0, LEN, WRITE_IT, &lease));
	EXPECT_EQ(0, back(self, lease));
}

TEST_F(borrow, there_are_so_many_and_no_more)
{
	static __u64 leases[MAX_LOANS + 1];
	struct kscope_query q;
	unsigned int i;

	for (i = 0; i < MAX_LOANS; i++)
		ASSERT_EQ(0, take(self, i, 1, WRITE_IT, &leases[i]));
	EXPECT_EQ(-ENOSPC, take(self, i, 1, WRITE_IT, &leases[i]));
	ASSERT_EQ(0, query(self->scope.fd, &q));
	EXPECT_EQ(MAX_LOANS, q.nr_borrows);
	EXPECT_EQ(0, back(self, leases[77]));
	EXPECT_EQ(0, take(self, i, 1, WRITE_IT, &leases[77]));
	for (i = 0; i < MAX_LOANS; i++)
		EXPECT_EQ(0, back(self, leases[i]));
}

/* Another thread that asks and waits. */
struct asker {
	int fd;
	struct kscope_borrow arg;
	int ret;
	volatile bool done;
	pthread_t thread;
};

static void *ask(void *arg)
{
	struct asker *asker = arg;

	asker->ret = borrow_arg(asker->fd, &asker->arg);
	asker->done = true;
	return NULL;
}

/* How many are in the way of a child that would write all: those that wait among them */
static unsigned int named(FIXTURE_DATA(borrow) * self, unsigned int state)
{
	unsigned int nr = 0, i;

	if (child_writes(self, 0, LEN) != -EBUSY)
		return 0;
	for (i = 0; i < self->nr_blockers; i++)
		nr += self->blockers[i].state == state;
	return nr;
}

static int start(FIXTURE_DATA(borrow) * self, struct asker *asker, __u64 off,
		 __u64 len, unsigned int access, __u64 deadline_ns)
{
	unsigned int waiting = named(self, KSCOPE_STATE_PARKED), ms = 0;

	*asker = (struct asker){ .fd = self->scope.fd,
				 .arg = { .flags = KSCOPE_BORROW_WAIT,
					  .buf = self->buf,
					  .access = access,
					  .off = off,
					  .len = len,
					  .deadline_ns = deadline_ns } };
	if (pthread_create(&asker->thread, NULL, ask, asker))
		return -EAGAIN;
	while (named(self, KSCOPE_STATE_PARKED) == waiting && !asker->done) {
		if (ms++ == PATIENCE_MS)
			return -ETIMEDOUT;
		usleep(1000);
	}
	return 0;
}

static int finish(struct asker *asker)
{
	pthread_join(asker->thread, NULL);
	return asker->ret;
}

TEST_F(borrow, who_waits_gets_it_when_the_other_returns_it)
{
	struct asker asker;
	__u64 lease;

	ASSERT_EQ(0, take(self, 0, LEN, WRITE_IT, &lease));
	ASSERT_EQ(0, start(self, &asker, 10, 10, READ_IT, 0));
	EXPECT_FALSE(asker.done);
	EXPECT_EQ(-ENOENT, back(self, lease + 1)); /* nobody has it yet */
	EXPECT_EQ(0, back(self, lease));
	EXPECT_EQ(0, finish(&asker));
	EXPECT_EQ(-EBUSY, child_writes(self, 19, 1));
	EXPECT_EQ(0, back(self, asker.arg.lease));
	EXPECT_EQ(1, child_writes(self, 19, 1));
}

TEST_F(borrow, who_waits_gets_it_when_the_child_has_ended)
{
	int file = memfd_create("borrow", MFD_CLOEXEC), i;
	struct kscope_info info;
	struct asker asker;
	__u64 handle;

	if (variant->kind == KSCOPE_KIND_INLINE)
		SKIP(return, "no child outlives its spawn");
	ASSERT_EQ(0, dev_info(&info));
	for (i = 0; i < info.max_blocking; i++)
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_sleep(9, far_future()), NULL));
	ASSERT_EQ(1, spawn_one(self->scope.fd,
			       desc_file(KSCOPE_OP_READ, file, 0, self->buf, 0,
					 100),
			       &handle));
	asker = (struct asker){ .fd = self->scope.fd,
				.arg = { .flags = KSCOPE_BORROW_WAIT,
					 .buf = self->buf,
					 .access = READ_IT,
					 .off = 99,
					 .len = 2 } };
	ASSERT_EQ(0, pthread_create(&asker.thread, NULL, ask, &asker));
	usleep(20000);
	EXPECT_FALSE(asker.done);
	EXPECT_EQ(0, cancel_child(self->scope.fd, handle));
	EXPECT_EQ(0, finish(&asker));
	EXPECT_EQ(0, back(self, asker.arg.lease));
	close(file);
}

TEST_F(borrow, nothing_in_the_way_is_no_wait)
{
	struct kscope_borrow arg = { .flags = KSCOPE_BORROW_WAIT,
				     .buf = self->buf,
				     .access = WRITE_IT,
				     .len = 1,
				     .deadline_ns = 1 };

	EXPECT_EQ(0, borrow_arg(self->scope.fd, &arg));
	EXPECT_EQ(0, back(self, arg.lease));
}

TEST_F(borrow, a_wait_ends_at_its_deadline)
{
	struct kscope_borrow arg = { .flags = KSCOPE_BORROW_WAIT,
				     .buf = self->buf,
				     .access = WRITE_IT,
				     .len = 1 };
	struct kscope_query q;
	__u64 lease, deadline;

	ASSERT_EQ(0, take(self, 0, LEN, READ_IT, &lease));
	deadline = in_ms(30);
	arg.deadline_ns = deadline;
	EXPECT_EQ(-ETIMEDOUT, borrow_arg(self->scope.fd, &arg));
	EXPECT_LE(deadline, now_ns());
	ASSERT_EQ(0, query(self->scope.fd, &q));
	EXPECT_EQ(1, q.nr_borrows);
	arg.deadline_ns = 1;
	EXPECT_EQ(-ETIMEDOUT, borrow_arg(self->scope.fd, &arg));
	EXPECT_EQ(1, child_reads(self, 0, LEN)); /* nobody waits any more */
}

static void nothing(int sig)
{
	(void)sig;
}

TEST_F(borrow, a_signal_ends_a_wait)
{
	struct sigaction action = { .sa_handler = nothing };
	struct asker asker;
	__u64 lease;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, take(self, 0, LEN, READ_IT, &lease));
	ASSERT_EQ(0, start(self, &asker, 0, 1, WRITE_IT, 0));
	EXPECT_EQ(0, pthread_kill(asker.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, finish(&asker));
	EXPECT_EQ(1, child_reads(self, 0, LEN));
	action.sa_flags = SA_RESTART;
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, start(self, &asker, 0, 1, WRITE_IT, 0));
	EXPECT_EQ(0, pthread_kill(asker.thread, SIGUSR1));
	usleep(20000);
	EXPECT_FALSE(asker.done);
	EXPECT_EQ(0, back(self, lease));
	EXPECT_EQ(0, finish(&asker));
}

TEST_F(borrow, nobody_overtakes_one_who_waits)
{
	struct asker writer, reader;
	__u64 first, other;

	ASSERT_EQ(0, take(self, 0, 100, READ_IT, &first));
	ASSERT_EQ(0, start(self, &writer, 50, 100, WRITE_IT, 0));
	/* Readers that come now would go with the first, but not before the writer. */
	EXPECT_EQ(-EBUSY, take(self, 60, 1, READ_IT, &other));
	EXPECT_EQ(-EBUSY, child_reads(self, 149, 1));
	ASSERT_EQ(1, self->nr_blockers);
	EXPECT_EQ(KSCOPE_STATE_PARKED, self->blockers[0].state);
	EXPECT_EQ(0, take(self, 0, 50, READ_IT, &other));
	EXPECT_EQ(0, back(self, other));
	ASSERT_EQ(0, start(self, &reader, 60, 1, READ_IT, 0));
	EXPECT_FALSE(writer.done);
	EXPECT_EQ(0, back(self, first));
	EXPECT_EQ(0, finish(&writer));
	usleep(10000);
	EXPECT_FALSE(reader.done);
	EXPECT_EQ(0, back(self, writer.arg.lease));
	EXPECT_EQ(0, finish(&reader));
	EXPECT_EQ(0, back(self, reader.arg.lease));
}

TEST_F(borrow, who_leaves_the_line_lets_those_behind_go)
{
	struct asker writer, reader;
	__u64 first;

	ASSERT_EQ(0, take(self, 0, 100, READ_IT, &first));
	ASSERT_EQ(0, start(self, &writer, 0, 100, WRITE_IT, in_ms(300)));
	ASSERT_EQ(0, start(self, &reader, 0, 100, READ_IT, 0));
	EXPECT_FALSE(reader.done);
	EXPECT_EQ(-ETIMEDOUT, finish(&writer));
	EXPECT_EQ(0, finish(&reader));
	EXPECT_EQ(0, back(self, reader.arg.lease));
	EXPECT_EQ(0, back(self, first));
}

TEST_F(borrow, all_that_can_be_are_given_at_once)
{
	struct asker readers[5];
	__u64 first;
	unsigned int i;

	ASSERT_EQ(0, take(self, 0, LEN, WRITE_IT, &first));
	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, start(self, &readers[i], 0, LEN, READ_IT, 0));
	EXPECT_EQ(0, back(self, first));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, finish(&readers[i]));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, back(self, readers[i].arg.lease));
}

TEST_F(borrow, release_ends_a_wait)
{
	struct asker asker;
	__u64 lease;

	ASSERT_EQ(0, take(self, 0, LEN, WRITE_IT, &lease));
	ASSERT_EQ(0, start(self, &asker, 0, 1, WRITE_IT, 0));
	EXPECT_EQ(-EBUSY, buf_unpin(self->scope.fd, self->buf));
	EXPECT_EQ(0, release(self->scope.fd));
	EXPECT_EQ(-ESHUTDOWN, finish(&asker));
}

/* Whoever comes first, the lease is the caller's or nobody's. */
TEST_F(borrow, a_deadline_races_with_a_return)
{
	unsigned int round, got = 0;
	__u64 lease, delay = 200000, start;
	struct kscope_query q;
	struct asker asker;

	for (round = 0; round < 600; round++) {
		ASSERT_EQ(0, take(self, 0, LEN, WRITE_IT, &lease));
		start = now_ns();
		asker = (struct asker){ .fd = self->scope.fd,
					.arg = { .flags = KSCOPE_BORROW_WAIT,
						 .buf = self->buf,
						 .access = WRITE_IT,
						 .len = 1,
						 .deadline_ns =
							 start + 400000 } };
		ASSERT_EQ(0, pthread_create(&asker.thread, NULL, ask, &asker));
		while (now_ns() < start + delay)
			;
		ASSERT_EQ(0, back(self, lease));
		if (finish(&asker)) {
			ASSERT_EQ(-ETIMEDOUT, asker.ret);
			delay -= delay > 4000 ? 4000 : 0;
		} else {
			ASSERT_EQ(0, back(self, asker.arg.lease));
			delay += 4000;
			got++;
		}
		ASSERT_EQ(0, query(self->scope.fd, &q));
		ASSERT_EQ(0, q.nr_borrows);
	}
	TH_LOG("%u of %u times the lease came first", got, round);
}

TEST_F(borrow, the_line_is_short)
{
	struct asker askers[MAX_WAITING + 1];
	struct kscope_query q;
	unsigned int i, refused = 0;
	__u64 lease;

	ASSERT_EQ(0, take(self, 0, LEN, WRITE_IT, &lease));
	for (i = 0; i <= MAX_WAITING; i++) {
		askers[i] = (struct asker){
			.fd = self->scope.fd,
			.arg = { .flags = KSCOPE_BORROW_WAIT,
				 .buf = self->buf,
				 .access = READ_IT,
				 .len = 1 },
		};
		ASSERT_EQ(0, pthread_create(&askers[i].thread, NULL, ask,
					    &askers[i]));
	}
	for (i = 0; i < PATIENCE_MS && !refused; i++) {
		usleep(1000);
		for (unsigned int j = 0; j <= MAX_WAITING; j++)
			refused += askers[j].done;
	}
	EXPECT_EQ(1, refused);
	EXPECT_EQ(0, back(self, lease));
	for (i = 0, refused = 0; i <= MAX_WAITING; i++) {
		int ret = finish(&askers[i]);

		EXPECT_TRUE(!ret || ret == -EAGAIN);
		refused += ret == -EAGAIN;
	}
	EXPECT_EQ(1, refused);
	ASSERT_EQ(0, query(self->scope.fd, &q));
	EXPECT_EQ(MAX_WAITING, q.nr_borrows);
}

TEST_F(borrow, a_killed_waiter_leaves_the_line)
{
	__u64 lease;
	pid_t pid;

	ASSERT_EQ(0, take(self, 0, LEN, READ_IT, &lease));
	pid = fork();
	if (!pid) {
		struct kscope_borrow arg = { .flags = KSCOPE_BORROW_WAIT,
					     .buf = self->buf,
					     .access = WRITE_IT,
					     .len = 1 };

		borrow_arg(self->scope.fd, &arg);
		_exit(1);
	}
	while (child_reads(self, 0, LEN) == 1)
		usleep(1000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_EQ(1, child_reads(self, 0, LEN));
}

TEST_HARNESS_MAIN

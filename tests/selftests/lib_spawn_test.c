// SPDX-License-Identifier: GPL-2.0
/* The library: descriptors, batches, the completion ring. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kscope.h"

#define LEN 65536UL
#define HALF (LEN / 2)
#define CAPACITY 16
#define HOUR_NS (3600 * 1000000000ULL)

FIXTURE(spawn)
{
	struct kscope_scope scope;
	struct kscope_completion done;
	struct kscope_desc desc;
	unsigned char *mem;
	int buf;
};

FIXTURE_SETUP(spawn)
{
	const struct kscope_scope_params params = { .capacity = CAPACITY };
	int dev = kscope_open();

	ASSERT_LE(0, dev);
	ASSERT_EQ(0, kscope_scope_create(&self->scope, dev, &params));
	kscope_close(dev);
	self->mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->mem);
	self->buf = kscope_buf_pin(&self->scope, self->mem, LEN, 0);
	ASSERT_LT(0, self->buf);
}

FIXTURE_TEARDOWN(spawn)
{
	EXPECT_EQ(0, kscope_scope_end(&self->scope));
	munmap(self->mem, LEN);
}

/* Run self->desc to its end: its status. */
static int run(FIXTURE_DATA(spawn) * self)
{
	int ret = kscope_spawn_wait(&self->scope, &self->desc, 1, NULL, 1, 0);

	if (ret != 1)
		return ret;
	return kscope_next(&self->scope, &self->done) == 1 ? self->done.status :
							     -EPROTO;
}

TEST_F(spawn, prep_zeroes_what_it_does_not_set)
{
	const struct kscope_desc zero = { .op = KSCOPE_OP_NOP };

	memset(&self->desc, 0xff, sizeof(self->desc));
	kscope_prep_nop(&self->desc);
	EXPECT_EQ(0, memcmp(&zero, &self->desc, sizeof(zero)));
}

TEST_F(spawn, nop_hands_back_its_user_data)
{
	kscope_prep_nop(&self->desc);
	self->desc.user_data = 0x1122334455667788;
	ASSERT_EQ(0, run(self));
	EXPECT_EQ(0x1122334455667788, self->done.user_data);
	EXPECT_EQ(KSCOPE_FINISHED, self->done.outcome);
}

TEST_F(spawn, sleep_sleeps_until_its_time)
{
	__u64 until = kscope_now_ns() + 20000000;

	kscope_prep_sleep(&self->desc, until);
	ASSERT_EQ(0, run(self));
	EXPECT_LE(until, kscope_now_ns());
}

TEST_F(spawn, fill_copy_compare_xor)
{
	kscope_prep_fill(&self->desc, self->buf, 3, 1000, 0x8877665544332211);
	ASSERT_EQ(0, run(self));
	EXPECT_EQ(0, self->mem[2]);
	EXPECT_EQ(0x11, self->mem[3]);
	EXPECT_EQ(0x88, self->mem[10]);
	EXPECT_EQ(0, self->mem[1003]);

	kscope_prep_copy(&self->desc, self->buf, 3, self->buf, HALF + 5, 1000);
	ASSERT_EQ(0, run(self));
	EXPECT_EQ(0, memcmp(self->mem + 3, self->mem + HALF + 5, 1000));

	kscope_prep_compare(&self->desc, self->buf, 3, self->buf, HALF + 5,
			    1000);
	ASSERT_EQ(0, run(self));
	EXPECT_EQ(0, self->done.value);
	self->mem[HALF + 500] ^= 1;
	ASSERT_EQ(0, run(self));
	EXPECT_EQ(1, self->done.value);

	kscope_prep_xor(&self->desc, self->buf, 3, self->buf, HALF + 5, 1000);
	ASSERT_EQ(0, run(self));
	EXPECT_EQ(0, self->mem[HALF + 5]);
	EXPECT_EQ(1, self->mem[HALF + 500]);
}

TEST_F(spawn, crc32c_of_pieces_is_that_of_the_whole)
{
	memcpy(self->mem, "123456789", 9);
	kscope_prep_crc32c(&self->desc, self->buf, 0, 9, 0);
	ASSERT_EQ(0, run(self));
	EXPECT_EQ(0xe3069283, self->done.value);
	kscope_prep_crc32c(&self->desc, self->buf, 0, 4, 0);
	ASSERT_EQ(0, run(self));
	kscope_prep_crc32c(&self->desc, self->buf, 4, 5,
			   (__u32)self->done.value);
	ASSERT_EQ(0, run(self));
	EXPECT_EQ(0xe3069283, self->done.value);
}

TEST_F(spawn, hash_writes_the_digest)
{
	static const unsigned char want[4] = { 0xba, 0x78, 0x16, 0xbf };
	int hash = kscope_hash_open(&self->scope, "sha256", NULL);

	ASSERT_LT(0, hash);
	memcpy(self->mem, "abc", 3);
	kscope_prep_hash(&self->desc, hash, KSCOPE_HASH_ALL, self->buf, 0, 3,
			 self->buf, HALF);
	ASSERT_EQ(0, run(self));
	EXPECT_EQ(0, memcmp(want, self->mem + HALF, sizeof(want)));
}

TEST_F(spawn, write_fsync_read)
{
	char name[] = "lib_spawn_test.XXXXXX";
	int fd = mkstemp(name);

	ASSERT_LE(0, fd);
	unlink(name);
	memset(self->mem, 'w', 1000);
	kscope_prep_write(&self->desc, fd, 5, self->buf, 0, 1000);
	ASSERT_EQ(0, run(self));
	EXPECT_EQ(1000, self->done.done);
	kscope_prep_fsync(&self->desc, fd, 0);
	ASSERT_EQ(0, run(self));
	kscope_prep_read(&self->desc, fd, 5, self->buf, HALF, 2000);
	ASSERT_EQ(0, run(self));
	EXPECT_EQ(1000, self->done.done);
	EXPECT_EQ(0, memcmp(self->mem, self->mem + HALF, 1000));
	close(fd);
}

TEST_F(spawn, linked_children_come_one_after_the_other)
{
	struct kscope_desc descs[3];
	__u64 handles[3];
	int i;

	kscope_prep_fill(&descs[0], self->buf, 0, HALF, 0x0101010101010101ULL);
	kscope_prep_copy(&descs[1], self->buf, 0, self->buf, HALF, HALF);
	descs[1].after = 1;
	descs[1].flags = KSCOPE_CHILD_WAIT;
	kscope_prep_crc32c(&descs[2], self->buf, 0, LEN, 0);
	descs[2].after = 1;
	descs[2].flags = KSCOPE_CHILD_WAIT;
	for (i = 0; i < 3; i++)
		descs[i].user_data = i;
	ASSERT_EQ(3, kscope_spawn_linked(&self->scope, descs, 3, handles));
	ASSERT_EQ(3, kscope_wait(&self->scope, 3, 0));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, kscope_next(&self->scope, &self->done));
		EXPECT_EQ(i, self->done.user_data);
		EXPECT_EQ(handles[i], self->done.child);
		EXPECT_EQ(KSCOPE_FINISHED, self->done.outcome);
	}
	EXPECT_EQ(1, self->mem[LEN - 1]);
	/* the second is lost with the first, and says so */
	descs[0].deadline_ns = 1;
	ASSERT_EQ(2, kscope_spawn_linked(&self->scope, descs, 2, NULL));
	ASSERT_EQ(2, kscope_wait(&self->scope, 2, 0));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(1, kscope_next(&self->scope, &self->done));
	EXPECT_STREQ("never started", kscope_outcome_str(self->done.outcome));
	EXPECT_STREQ("an earlier child did not finish",
		     kscope_cause_str(self->done.cause));
}

TEST_F(spawn, batch_is_full_when_it_is)
{
	KSCOPE_BATCH(batch, 3);

	EXPECT_NE(NULL, kscope_batch_get(&batch));
	EXPECT_NE(NULL, kscope_batch_get(&batch));
	EXPECT_NE(NULL, kscope_batch_get(&batch));
	EXPECT_EQ(NULL, kscope_batch_get(&batch));
	EXPECT_EQ(3, batch.nr);
	kscope_batch_drop(&batch, 100);
	EXPECT_EQ(0, batch.nr);
}

TEST_F(spawn, batch_keeps_what_was_not_accepted)
{
	KSCOPE_BATCH(batch, 4);
	__u64 handles[4] = { 0 };

	kscope_batch_get(&batch)->user_data = 1;
	kscope_batch_get(&batch)->user_data = 2;
	kscope_prep_fill(kscope_batch_get(&batch), self->buf, LEN, 1, 0);
	kscope_batch_get(&batch)->user_data = 4;

	EXPECT_EQ(2, kscope_batch_spawn(&self->scope, &batch, handles));
	EXPECT_NE(0, handles[0]);
	EXPECT_NE(handles[0], handles[1]);
	EXPECT_EQ(2, batch.nr);
	EXPECT_EQ(-ERANGE, kscope_batch_spawn(&self->scope, &batch, handles));
	kscope_batch_drop(&batch, 1);
	EXPECT_EQ(1,
		  kscope_batch_spawn_wait(&self->scope, &batch, handles, 3, 0));
	EXPECT_EQ(0, batch.nr);
	EXPECT_EQ(3, kscope_ready(&self->scope));
}

TEST_F(spawn, full_ring_is_eagain_until_read)
{
	struct kscope_desc descs[CAPACITY + 1];
	int i;

	for (i = 0; i <= CAPACITY; i++)
		kscope_prep_nop(&descs[i]);
	EXPECT_EQ(CAPACITY,
		  kscope_spawn(&self->scope, descs, CAPACITY + 1, NULL));
	EXPECT_EQ(-EAGAIN, kscope_spawn(&self->scope, descs, 1, NULL));
	EXPECT_EQ(CAPACITY, kscope_wait(&self->scope, CAPACITY, 0));
	EXPECT_EQ(-EAGAIN, kscope_spawn(&self->scope, descs, 1, NULL));
	kscope_seen(&self->scope, 1);
	EXPECT_EQ(1, kscope_spawn(&self->scope, descs, 1, NULL));
}

TEST_F(spawn, peek_does_not_consume)
{
	const struct kscope_completion *first, *second;
	struct kscope_desc descs[2];

	EXPECT_EQ(NULL, kscope_peek(&self->scope, 0));
	kscope_prep_nop(&descs[0]);
	kscope_prep_nop(&descs[1]);
	ASSERT_EQ(2, kscope_spawn_wait(&self->scope, descs, 2, NULL, 2, 0));
	first = kscope_peek(&self->scope, 0);
	second = kscope_peek(&self->scope, 1);
	ASSERT_NE(NULL, first);
	ASSERT_NE(NULL, second);
	EXPECT_NE(first->child, second->child);
	EXPECT_EQ(NULL, kscope_peek(&self->scope, 2));
	EXPECT_EQ(2, kscope_ready(&self->scope));
	kscope_seen(&self->scope, 2);
	EXPECT_EQ(0, kscope_next(&self->scope, &self->done));
}

TEST_F(spawn, each_child_completes_once_over_many_rounds_of_the_ring)
{
	KSCOPE_BATCH(batch, CAPACITY);
	unsigned char seen[1000] = { 0 };
	unsigned int spawned = 0, completed = 0;
	struct kscope_desc *desc;

	while (completed < sizeof(seen)) {
		while (spawned < sizeof(seen) &&
		       (desc = kscope_batch_get(&batch)))
			desc->user_data = spawned++;
		kscope_batch_spawn_wait(&self->scope, &batch, NULL, 1, 0);
		while (kscope_next(&self->scope, &self->done)) {
			ASSERT_GT(sizeof(seen), self->done.user_data);
			ASSERT_EQ(0, seen[self->done.user_data]++);
			completed++;
		}
	}
	EXPECT_EQ(0, kscope_wait(&self->scope, 1, 0));
}

TEST_F(spawn, wait_without_children_returns_at_once)
{
	EXPECT_EQ(0, kscope_wait(&self->scope, 5, 0));
}

TEST_F(spawn, wait_gives_up_at_its_deadline)
{
	kscope_prep_sleep(&self->desc, kscope_now_ns() + HOUR_NS);
	ASSERT_EQ(1, kscope_spawn(&self->scope, &self->desc, 1, NULL));
	EXPECT_EQ(-ETIMEDOUT,
		  kscope_wait(&self->scope, 1, kscope_now_ns() + 10000000));
}

TEST_F(spawn, poll_tells_of_a_completion)
{
	struct pollfd pfd = { .fd = self->scope.fd, .events = POLLIN };

	EXPECT_EQ(0, poll(&pfd, 1, 0));
	kscope_prep_sleep(&self->desc, kscope_now_ns() + 20000000);
	ASSERT_EQ(1, kscope_spawn(&self->scope, &self->desc, 1, NULL));
	EXPECT_EQ(1, poll(&pfd, 1, 10000));
	EXPECT_EQ(1, kscope_next(&self->scope, &self->done));
	EXPECT_EQ(0, poll(&pfd, 1, 0));
}

TEST_HARNESS_MAIN

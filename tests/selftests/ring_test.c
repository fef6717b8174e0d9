// SPDX-License-Identifier: GPL-2.0
/*
 * The completion ring as a queue: full, drained, wrapped around, and with a head index
 * that holds whatever a hostile program writes there.
 */
#include "kselftest_harness.h"
#include "kscope_sys.h"

FIXTURE(ring)
{
	struct scope scope;
	struct kscope_completion c;
};

FIXTURE_VARIANT(ring)
{
	unsigned int kind;
	unsigned int capacity;
};

FIXTURE_VARIANT_ADD(ring, one){
	.kind = KSCOPE_KIND_PARALLEL,
	.capacity = 1,
};

FIXTURE_VARIANT_ADD(ring, eight){
	.kind = KSCOPE_KIND_PARALLEL,
	.capacity = 8,
};

FIXTURE_VARIANT_ADD(ring, ordered_64){
	.kind = KSCOPE_KIND_ORDERED,
	.capacity = 64,
};

FIXTURE_VARIANT_ADD(ring, thousand){
	.kind = KSCOPE_KIND_PARALLEL,
	.capacity = 1024,
};

FIXTURE_SETUP(ring)
{
	ASSERT_EQ(0,
		  scope_open(&self->scope, variant->kind, variant->capacity));
	ASSERT_EQ(variant->capacity, self->scope.entries);
}

FIXTURE_TEARDOWN(ring)
{
	EXPECT_EQ(0, scope_close(&self->scope));
}

static int spawn_nops(int fd, unsigned int nr, __u64 first)
{
	struct kscope_desc descs[1024] = {};
	unsigned int i;

	for (i = 0; i < nr; i++)
		descs[i] = desc_nop(first + i);
	return spawn(fd, descs, nr);
}

/* Each user_data from @first on, @nr of them, has exactly one unread completion. */
static void expect_exactly(struct __test_metadata *_metadata,
			   FIXTURE_DATA(ring) * self, __u64 first,
			   unsigned int nr)
{
	unsigned char seen[1024] = {};
	unsigned int i;

	EXPECT_EQ(nr, ring_unread(&self->scope));
	for (i = 0; i < nr; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		ASSERT_LE(first, self->c.user_data);
		ASSERT_GT(first + nr, self->c.user_data);
		EXPECT_EQ(0, seen[self->c.user_data - first]++);
		EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
	}
	EXPECT_FALSE(reap(&self->scope, &self->c));
}

TEST_F(ring, header_tells_the_length_and_starts_at_zero)
{
	unsigned int i;

	EXPECT_EQ(0, self->scope.ring->tail);
	EXPECT_EQ(variant->capacity, self->scope.ring->entries);
	for (i = 0; i < 14; i++) {
		EXPECT_EQ(0, self->scope.ring->reserved[i]);
	}
	EXPECT_EQ(0, self->scope.head->head);
	/* No old bytes of the kernel behind what is used. */
	EXPECT_TRUE(bytes_are(self->scope.ring->records,
			      self->scope.ring_bytes - 64, 0));
	EXPECT_TRUE(bytes_are(self->scope.head, PAGE, 0));
}

TEST_F(ring, full_ring_is_eagain_and_nothing_is_lost)
{
	unsigned int n = variant->capacity;

	ASSERT_EQ(n, spawn_nops(self->scope.fd, n, 0));
	EXPECT_EQ(-EAGAIN, spawn_nops(self->scope.fd, 1, 999999));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(-EAGAIN, spawn_nops(self->scope.fd, 1, 999999));
	expect_exactly(_metadata, self, 0, n);
	ASSERT_EQ(n, spawn_nops(self->scope.fd, n, 5000));
	ASSERT_EQ(0, join(self->scope.fd));
	expect_exactly(_metadata, self, 5000, n);
}

TEST_F(ring, outstanding_children_take_room_as_unread_ones_do)
{
	unsigned int n = variant->capacity;
	__u64 handle;

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(777, far_future()),
			       &handle));
	if (n > 1 && variant->kind == KSCOPE_KIND_PARALLEL) {
		ASSERT_EQ(n - 1, spawn_nops(self->scope.fd, n - 1, 0));
		ASSERT_EQ(0, wait_unread(self->scope.fd, n - 1, PATIENCE_MS));
		EXPECT_EQ(-EAGAIN, spawn_nops(self->scope.fd, 1, 0));
		expect_exactly(_metadata, self, 0, n - 1);
		/* One place is the sleeper's. */
		EXPECT_EQ(n - 1, spawn_nops(self->scope.fd, n, 0));
		ASSERT_EQ(0, wait_unread(self->scope.fd, n - 1, PATIENCE_MS));
		expect_exactly(_metadata, self, 0, n - 1);
	} else if (n == 1) {
		EXPECT_EQ(-EAGAIN, spawn_nops(self->scope.fd, 1, 0));
	}
	ASSERT_EQ(0, cancel_child(self->scope.fd, handle));
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(777, self->c.user_data);
}

TEST_F(ring, spawn_takes_as_many_as_there_is_room_for)
{
	unsigned int n = variant->capacity, half = n / 2;

	if (n == 1)
		return;
	ASSERT_EQ(half, spawn_nops(self->scope.fd, half, 0));
	EXPECT_EQ(half, spawn_nops(self->scope.fd, n, half));
	ASSERT_EQ(0, join(self->scope.fd));
	expect_exactly(_metadata, self, 0, n);
}

TEST_F(ring, indices_wrap_around_many_times)
{
	unsigned int n = variant->capacity, rounds = n > 64 ? 40 : 400, i;
	unsigned int nr, want;

	for (i = 0; i < rounds; i++) {
		nr = 1 + i * 7 % n;
		want = self->scope.ring->tail + nr;
		ASSERT_EQ(nr, spawn_nops(self->scope.fd, nr, i * 10000));
		ASSERT_EQ(0, join(self->scope.fd));
		EXPECT_EQ(want, self->scope.ring->tail);
		expect_exactly(_metadata, self, i * 10000, nr);
	}
}

TEST_F(ring, records_hold_zeros_in_reserved_fields)
{
	unsigned int i, j;

	ASSERT_EQ(variant->capacity,
		  spawn_nops(self->scope.fd, variant->capacity, 0));
	ASSERT_EQ(0, join(self->scope.fd));
	for (i = 0; i < variant->capacity; i++) {
		EXPECT_EQ(0, self->scope.ring->records[i].flags);
		EXPECT_EQ(0, self->scope.ring->records[i].reserved);
		for (j = 0; j < 2; j++) {
			EXPECT_EQ(0, self->scope.ring->records[i].reserved2[j]);
		}
	}
}

TEST_F(ring, head_beyond_the_tail_counts_as_full)
{
	unsigned int tail = self->scope.ring->tail;
	const unsigned int heads[] = {
		tail + 1,	   tail + 2,
		tail + 1000000,	   tail + 0x7fffffff,
		tail + 0x80000000, tail - variant->capacity - 1
	};
	struct kscope_query q;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		self->scope.head->head = heads[i];
		EXPECT_EQ(-EAGAIN, spawn_nops(self->scope.fd, 1, 0));
		ASSERT_EQ(0, query(self->scope.fd, &q));
		EXPECT_EQ(variant->capacity, q.unread);
		EXPECT_EQ(tail, self->scope.ring->tail);
	}
	self->scope.head->head = tail;
	EXPECT_EQ(1, spawn_nops(self->scope.fd, 1, 0));
	ASSERT_EQ(0, join(self->scope.fd));
	expect_exactly(_metadata, self, 0, 1);
}

TEST_F(ring, random_heads_never_move_the_kernels_tail_wrongly)
{
	unsigned int seed = 12345, accepted = 0, i;
	struct kscope_query q;
	int ret;

	for (i = 0; i < 1000; i++) {
		seed = seed * 1103515245u + 12345u;
		self->scope.head->head =
			i % 4 ? seed :
				self->scope.ring->tail -
					(seed >> 16) % (variant->capacity + 2);
		memset(self->scope.head + 1, seed >> 24, 100);
		ret = spawn_nops(self->scope.fd, 1, i);
		EXPECT_TRUE(ret == 1 || ret == -EAGAIN) TH_LOG("got %d", ret);
		accepted += ret == 1;
		if (i % 100 == 99) {
			ASSERT_EQ(0, join(self->scope.fd));
			EXPECT_EQ(accepted, self->scope.ring->tail);
			ASSERT_EQ(0, query(self->scope.fd, &q));
			EXPECT_EQ(accepted, q.completed);
			EXPECT_GE(variant->capacity, q.unread);
		}
	}
	EXPECT_LT(0, accepted);
	EXPECT_EQ(variant->capacity, self->scope.ring->entries);
	self->scope.head->head = self->scope.ring->tail;
	ASSERT_EQ(1, spawn_nops(self->scope.fd, 1, 42));
	ASSERT_EQ(0, join(self->scope.fd));
	expect_exactly(_metadata, self, 42, 1);
}

TEST_F(ring, wait_with_a_lying_head_ends)
{
	self->scope.head->head = self->scope.ring->tail - 1;
	EXPECT_EQ(0, wait_unread(self->scope.fd, 1, PATIENCE_MS));
	self->scope.head->head = 0x5a5a5a5a;
	EXPECT_EQ(0, wait_unread(self->scope.fd, ~0U, PATIENCE_MS));
	EXPECT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(0, release(self->scope.fd));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * The completion ring, whose head may say anything.
 */
#include <kunit/test.h>
#include <linux/spinlock.h>

#include "internal.h"

#define ENTRIES 8

struct ring_fixture {
	struct kscope_ringbuf *ring;
	struct kscope_scope scope;
	struct kscope_child child;
};

static int ring_test_init(struct kunit *test)
{
	struct ring_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f);
	f->ring = kscope_ring_create(ENTRIES, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->ring));
	spin_lock_init(&f->scope.lock);
	f->child.scope = &f->scope;
	test->priv = f;
	return 0;
}

static void ring_test_exit(struct kunit *test)
{
	struct ring_fixture *f = test->priv;

	kscope_ring_put(f->ring);
}

static void post(struct ring_fixture *f, u64 user_data)
{
	struct kscope_end end = { .outcome = KSCOPE_FINISHED };

	spin_lock(&f->scope.lock);
	f->child.desc.user_data = user_data;
	kscope_ring_post(f->ring, &f->child, &end);
	spin_unlock(&f->scope.lock);
}

static void records_come_out_in_order_over_many_laps(struct kunit *test)
{
	struct ring_fixture *f = test->priv;
	struct kscope_completion record;
	u64 i;

	for (i = 0; i < 100 * ENTRIES; i++) {
		post(f, i);
		KUNIT_EXPECT_EQ(test, kscope_ring_unread(f->ring), 1);
		KUNIT_EXPECT_EQ(test, kscope_ring_take(f->ring, &record, 1), 1);
		KUNIT_EXPECT_EQ(test, record.user_data, i);
	}
}

static void indices_run_over(struct kunit *test)
{
	struct ring_fixture *f = test->priv;
	struct kscope_completion records[ENTRIES];
	int i;

	f->ring->tail = U32_MAX - 2;
	f->ring->ring->tail = f->ring->tail;
	f->ring->head->head = f->ring->tail;
	for (i = 0; i < ENTRIES; i++)
		post(f, i);
	KUNIT_EXPECT_EQ(test, kscope_ring_unread(f->ring), ENTRIES);
	KUNIT_EXPECT_EQ(test, kscope_ring_take(f->ring, records, ENTRIES),
			ENTRIES);
	for (i = 0; i < ENTRIES; i++)
		KUNIT_EXPECT_EQ(test, records[i].user_data, i);
}

static void impossible_head_counts_as_full(struct kunit *test)
{
	static const u32 heads[] = { 5, 4 - ENTRIES - 1, 0x80000000,
				     U32_MAX / 2 };
	struct ring_fixture *f = test->priv;
	size_t i;

	for (i = 0; i < 4; i++)
		post(f, i);
	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		f->ring->head->head = heads[i];
		KUNIT_EXPECT_EQ(test, kscope_ring_unread(f->ring), ENTRIES);
	}
	f->ring->head->head = 4;
	KUNIT_EXPECT_EQ(test, kscope_ring_unread(f->ring), 0);
}

static void scribbled_tail_is_not_believed(struct kunit *test)
{
	struct ring_fixture *f = test->priv;

	post(f, 1);
	f->ring->ring->tail = 0xdeadbeef;
	KUNIT_EXPECT_EQ(test, kscope_ring_unread(f->ring), 1);
	post(f, 2);
	KUNIT_EXPECT_EQ(test, f->ring->ring->tail, 2);
	KUNIT_EXPECT_EQ(test, f->ring->ring->records[1].user_data, 2);
}

static struct kunit_case ring_cases[] = {
	KUNIT_CASE(records_come_out_in_order_over_many_laps),
	KUNIT_CASE(indices_run_over),
	KUNIT_CASE(impossible_head_counts_as_full),
	KUNIT_CASE(scribbled_tail_is_not_believed),
	{}
};

static struct kunit_suite ring_suite = {
	.name = "kscope_ring",
	.init = ring_test_init,
	.exit = ring_test_exit,
	.test_cases = ring_cases,
};

kunit_test_suite(ring_suite);

MODULE_LICENSE("GPL");

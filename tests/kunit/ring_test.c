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
	struct kscope_op op;
	struct kscope_child child;
};

static int ring_test_init(struct kunit *test)
{
	struct ring_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f);
	f->ring = kscope_ring_create(ENTRIES, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->ring));
	f->op.plain = true;
	f->child.op = &f->op;
	f->child.scope = &f->scope;
	f->scope.ring = f->ring;
	spin_lock_init(&f->scope.lock);
	kscope_tally_init(&f->scope.tally, ENTRIES);
	INIT_LIST_HEAD(&f->scope.free);
	test->priv = f;
	return 0;
}

static void ring_test_exit(struct kunit *test)
{
	struct ring_fixture *f = test->priv;

	kscope_ring_put(f->ring);
}

/* The child runs and ends. */
static void post(struct ring_fixture *f, u64 user_data)
{
	struct kscope_tally *tally = &f->scope.tally;
	LIST_HEAD(ended);

	spin_lock(&f->scope.lock);
	kscope_life_reserve(&f->child.life);
	kscope_life_start(&f->child.life);
	kscope_tally_reserve(tally, 1);
	kscope_tally_publish(tally, 1);
	kscope_tally_start(tally, 1);
	f->child.desc.user_data = user_data;
	INIT_LIST_HEAD(&f->scope.free);
	list_add(&f->child.node, &ended);
	kscope_children_end(&f->scope, &ended);
	spin_unlock(&f->scope.lock);
}

static struct kscope_completion post_and_take(struct kunit *test)
{
	struct ring_fixture *f = test->priv;
	struct kscope_completion record;

	post(f, 1);
	KUNIT_EXPECT_EQ(test, kscope_ring_take(f->ring, &record, 1), 1);
	return record;
}

static void record_is_what_the_child_says(struct kunit *test)
{
	struct ring_fixture *f = test->priv;
	struct kscope_completion record;

	f->op.plain = false;
	f->child.handle = 3;
	f->child.status = -ENOSPC;
	f->child.done = 4;
	f->child.value = 5;
	record = post_and_take(test);
	KUNIT_EXPECT_EQ(test, record.user_data, 1);
	KUNIT_EXPECT_EQ(test, record.child, 3);
	KUNIT_EXPECT_EQ(test, record.status, -ENOSPC);
	KUNIT_EXPECT_EQ(test, record.outcome, KSCOPE_FAILED);
	KUNIT_EXPECT_EQ(test, record.cause, KSCOPE_CAUSE_NONE);
	KUNIT_EXPECT_EQ(test, record.done, 4);
	KUNIT_EXPECT_EQ(test, record.value, 5);
}

/* Neither of the one that had the slot before, nor of the one that had the record. */
static void record_of_a_plain_child_has_nothing_of_others(struct kunit *test)
{
	struct ring_fixture *f = test->priv;
	struct kscope_completion record;
	int status;

	memset(f->ring->ring->records, 0xff,
	       ENTRIES * sizeof(*f->ring->ring->records));
	f->child.done = 4;
	f->child.value = 5;
	for (status = -1; status <= 0; status++) {
		f->child.status = status;
		record = post_and_take(test);
		KUNIT_EXPECT_EQ(test, record.status, status);
		KUNIT_EXPECT_EQ(test, record.outcome,
				status ? KSCOPE_FAILED : KSCOPE_FINISHED);
		KUNIT_EXPECT_EQ(test, record.cause, KSCOPE_CAUSE_NONE);
		KUNIT_EXPECT_EQ(test, record.done, 0);
		KUNIT_EXPECT_EQ(test, record.value, 0);
	}
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
	KUNIT_CASE(record_is_what_the_child_says),
	KUNIT_CASE(record_of_a_plain_child_has_nothing_of_others),
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

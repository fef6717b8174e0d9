// SPDX-License-Identifier: GPL-2.0
/*
 * Leases on the ranges of a buffer, beside an oracle that counts for each byte who reads and who
 * writes it.
 */
#include <kunit/test.h>
#include <linux/prandom.h>

#include "internal.h"

#define BYTES 96U
#define MAX_HELD 48
#define NR_STEPS 50000

struct held {
	struct kscope_lease lease;
	struct kscope_range range;
	bool taken;
};

struct lease_fixture {
	struct kscope_buf buf;
	struct held held[MAX_HELD];
	u32 readers[BYTES];
	u32 writers[BYTES];
	struct rnd_state random;
};

static u32 below(struct lease_fixture *f, u32 limit)
{
	return prandom_u32_state(&f->random) % limit;
}

static struct kscope_range range_of(struct lease_fixture *f, u64 off, u64 len,
				    bool exclusive)
{
	return (struct kscope_range){
		.buf = &f->buf,
		.off = off,
		.len = len,
		.exclusive = exclusive,
	};
}

static struct kscope_range any_range(struct lease_fixture *f)
{
	u32 off = below(f, BYTES + 1);

	if (!below(f, 6))
		return range_of(f, 0, BYTES, below(f, 4) == 0);
	return range_of(f, off, below(f, min(BYTES - off, 20U) + 1),
			below(f, 2));
}

/* Bytes that others have in a way that clashes */
static bool oracle_clashes(const struct lease_fixture *f,
			   const struct kscope_range *range)
{
	u64 i;

	for (i = range->off; i < range->off + range->len; i++)
		if (f->writers[i] || (range->exclusive && f->readers[i]))
			return true;
	return false;
}

static bool oracle_is_borrowed(const struct lease_fixture *f, u64 start,
			       u64 last)
{
	u64 i;

	for (i = start; i <= last; i++)
		if (f->writers[i] || f->readers[i])
			return true;
	return false;
}

static void oracle_add(struct lease_fixture *f,
		       const struct kscope_range *range, int nr)
{
	u32 *bytes = range->exclusive ? f->writers : f->readers;
	u64 i;

	for (i = range->off; i < range->off + range->len; i++)
		bytes[i] += nr;
}

static void give_up(struct lease_fixture *f, struct held *held)
{
	kscope_lease_drop(&held->lease, &f->buf.borrowed, &held->range);
	oracle_add(f, &held->range, -1);
	held->taken = false;
}

static void step(struct kunit *test, struct lease_fixture *f)
{
	struct held *held = &f->held[below(f, MAX_HELD)];
	u32 start = below(f, BYTES), last = start + below(f, BYTES - start);
	struct kscope_range range = any_range(f);
	bool clashes = oracle_clashes(f, &range);

	if (!below(f, 3)) { /* or else rows stay */
		KUNIT_ASSERT_EQ(test, clashes,
				kscope_leases_clash(&f->buf.borrowed, &range));
		KUNIT_ASSERT_EQ(test, oracle_is_borrowed(f, start, last),
				kscope_buf_is_borrowed(&f->buf, start, last));
	}
	if (held->taken) {
		give_up(f, held);
	} else if (!clashes || !below(f, 8)) { /* some take turns */
		held->range = range;
		kscope_lease_take(&held->lease, &f->buf.borrowed, &range);
		oracle_add(f, &range, 1);
		held->taken = true;
	}
}

static void expect_empty(struct kunit *test, struct kscope_lease_set *set)
{
	KUNIT_EXPECT_EQ(test, 0, set->nr_row);
	KUNIT_EXPECT_TRUE(test, hlist_empty(&set->row));
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&set->tree.rb_root));
}

static void lease_test_oracle(struct kunit *test)
{
	struct lease_fixture *f = test->priv;
	int i;

	prandom_seed_state(&f->random, 1);
	for (i = 0; i < NR_STEPS; i++)
		step(test, f);
	for (i = 0; i < MAX_HELD; i++)
		if (f->held[i].taken)
			give_up(f, &f->held[i]);
	KUNIT_EXPECT_FALSE(test, kscope_buf_is_borrowed(&f->buf, 0, BYTES - 1));
	KUNIT_EXPECT_EQ(test, 0, f->buf.borrowed.whole);
	KUNIT_EXPECT_EQ(test, 0, f->buf.borrowed.nr);
	expect_empty(test, &f->buf.borrowed.shared);
	expect_empty(test, &f->buf.borrowed.exclusive);
}

static void lease_test_edges(struct kunit *test)
{
	struct lease_fixture *f = test->priv;
	struct kscope_range middle = range_of(f, 10, 10, true);
	struct kscope_range before = range_of(f, 0, 10, true);
	struct kscope_range after = range_of(f, 20, 1, false);
	struct kscope_range first = range_of(f, 0, 11, false);
	struct kscope_range last = range_of(f, 19, 1, false);
	struct kscope_range nothing = range_of(f, 15, 0, true);
	struct kscope_leases *leases = &f->buf.borrowed;
	struct kscope_lease lease;

	kscope_lease_take(&lease, leases, &middle);
	KUNIT_EXPECT_FALSE(test, kscope_leases_clash(leases, &before));
	KUNIT_EXPECT_FALSE(test, kscope_leases_clash(leases, &after));
	KUNIT_EXPECT_TRUE(test, kscope_leases_clash(leases, &first));
	KUNIT_EXPECT_TRUE(test, kscope_leases_clash(leases, &last));
	KUNIT_EXPECT_FALSE(test, kscope_leases_clash(leases, &nothing));
	kscope_lease_drop(&lease, leases, &middle);
	KUNIT_EXPECT_FALSE(test, kscope_leases_clash(leases, &first));
}

static void lease_test_ranges(struct kunit *test)
{
	struct lease_fixture *f = test->priv;
	struct kscope_range range = range_of(f, BYTES, 0, false);

	KUNIT_EXPECT_EQ(test, 0, kscope_range_check(&range, BYTES));
	range.len = 1;
	KUNIT_EXPECT_EQ(test, -ERANGE, kscope_range_check(&range, BYTES));
	range.off = BYTES + 1;
	range.len = 0;
	KUNIT_EXPECT_EQ(test, -ERANGE, kscope_range_check(&range, BYTES));
	range.off = 1;
	range.len = U64_MAX;
	KUNIT_EXPECT_EQ(test, -ERANGE, kscope_range_check(&range, BYTES));
}

static int lease_test_init(struct kunit *test)
{
	struct lease_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f);
	f->buf.len = BYTES;
	test->priv = f;
	return 0;
}

static struct kunit_case lease_cases[] = { KUNIT_CASE(lease_test_edges),
					   KUNIT_CASE(lease_test_ranges),
					   KUNIT_CASE(lease_test_oracle),
					   {} };

static struct kunit_suite lease_suite = {
	.name = "kscope_lease",
	.init = lease_test_init,
	.test_cases = lease_cases,
};

kunit_test_suite(lease_suite);

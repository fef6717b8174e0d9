// SPDX-License-Identifier: GPL-2.0
/*
 * Scopes over kernel memory, through the in-kernel API alone.
 */
#include <kunit/test.h>
#include <linux/crc32c.h>
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "kscope.h"

#define CAPACITY 64
#define FOREVER KTIME_MAX
#define RW (KSCOPE_ACCESS_READ | KSCOPE_ACCESS_WRITE)

static struct kscope_scope *scope_of(struct kunit *test)
{
	return test->priv;
}

static int scope_test_init(struct kunit *test)
{
	struct kscope_scope_params params = { .capacity = CAPACITY };
	struct kscope_scope *scope = kscope_scope_create(&params);

	KUNIT_ASSERT_FALSE(test, IS_ERR(scope));
	test->priv = scope;
	return 0;
}

static void scope_test_exit(struct kunit *test)
{
	if (test->priv)
		kscope_scope_destroy(test->priv);
}

static struct kscope_desc make_nop(u64 user_data)
{
	return (struct kscope_desc){ .op = KSCOPE_OP_NOP,
				     .user_data = user_data };
}

static struct kscope_desc sleep_until(u64 until_ns, u64 user_data)
{
	return (struct kscope_desc){ .op = KSCOPE_OP_SLEEP,
				     .until_ns = until_ns,
				     .user_data = user_data };
}

static struct kscope_desc fill(u32 buf, u64 len, u64 pattern)
{
	return (struct kscope_desc){
		.op = KSCOPE_OP_FILL, .buf = buf, .len = len, .pattern = pattern
	};
}

static struct kscope_desc two_ranges(u16 op, u32 buf, u64 len, u64 off2)
{
	return (struct kscope_desc){
		.op = op, .buf = buf, .len = len, .buf2 = buf, .off2 = off2
	};
}

static u64 spawn_one(struct kunit *test, struct kscope_desc desc)
{
	u64 handle = 0;
	int ret;

	ret = kscope_child_spawn(scope_of(test), &desc, 1, &handle);
	KUNIT_ASSERT_EQ(test, ret, 1);
	return handle;
}

static struct kscope_completion reap_one(struct kunit *test)
{
	struct kscope_completion record = {};

	KUNIT_ASSERT_EQ(test, kscope_scope_join(scope_of(test), 0, NULL), 0);
	KUNIT_ASSERT_EQ(test, kscope_scope_reap(scope_of(test), &record, 1), 1);
	return record;
}

static int cancel(struct kunit *test, u32 what, u64 target,
		  struct kscope_cancel_counts *counts)
{
	return kscope_child_cancel(scope_of(test), what, target, counts);
}

static void params_that_make_no_sense_are_refused(struct kunit *test)
{
	static const struct kscope_scope_params bad[] = {
		{ .capacity = 0 },
		{ .capacity = (1U << 20) + 1 },
		{ .capacity = 1, .kind = KSCOPE_KIND_INLINE + 1 },
		{ .capacity = 1, .policy = KSCOPE_POLICY_FIRST_SUCCESS + 1 },
		{ .capacity = 1, .max_buffers = 4097 },
		{ .capacity = 1, .flags = KSCOPE_SCOPE_ALL + 1 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ(test, PTR_ERR(kscope_scope_create(&bad[i])),
				-EINVAL);
}

static void each_child_leaves_one_completion(struct kunit *test)
{
	struct kscope_completion records[CAPACITY];
	struct kscope_desc descs[CAPACITY];
	u64 handles[CAPACITY];
	u64 seen = 0;
	int i;

	for (i = 0; i < CAPACITY; i++)
		descs[i] = make_nop(i);
	KUNIT_ASSERT_EQ(test,
			kscope_child_spawn(scope_of(test), descs, CAPACITY,
					   handles),
			CAPACITY);
	KUNIT_EXPECT_EQ(test, kscope_scope_join(scope_of(test), 0, NULL), 0);
	KUNIT_EXPECT_EQ(test,
			kscope_scope_reap(scope_of(test), records, CAPACITY),
			CAPACITY);
	for (i = 0; i < CAPACITY; i++) {
		u64 id = records[i].user_data;

		KUNIT_ASSERT_LT(test, id, CAPACITY);
		KUNIT_EXPECT_EQ(test, seen & BIT_ULL(id), 0);
		KUNIT_EXPECT_EQ(test, records[i].child, handles[id]);
		KUNIT_EXPECT_EQ(test, records[i].outcome, KSCOPE_FINISHED);
		seen |= BIT_ULL(id);
	}
	KUNIT_EXPECT_EQ(test, kscope_scope_reap(scope_of(test), records, 1), 0);
}

static void full_ring_refuses_and_loses_nothing(struct kunit *test)
{
	struct kscope_desc desc = make_nop(0);
	struct kscope_completion record;
	int i;

	for (i = 0; i < CAPACITY; i++)
		spawn_one(test, make_nop(i));
	KUNIT_EXPECT_EQ(test,
			kscope_child_spawn(scope_of(test), &desc, 1, NULL),
			-EAGAIN);
	KUNIT_EXPECT_EQ(test, kscope_scope_join(scope_of(test), 0, NULL), 0);
	KUNIT_EXPECT_EQ(test,
			kscope_child_spawn(scope_of(test), &desc, 1, NULL),
			-EAGAIN);
	KUNIT_EXPECT_EQ(test, kscope_scope_reap(scope_of(test), &record, 1), 1);
	spawn_one(test, make_nop(CAPACITY));
	KUNIT_EXPECT_EQ(test, kscope_scope_join(scope_of(test), 0, NULL), 0);
	for (i = 0; kscope_scope_reap(scope_of(test), &record, 1); i++)
		;
	KUNIT_EXPECT_EQ(test, i, CAPACITY);
}

static void fill_copy_compare_over_vmalloc_memory(struct kunit *test)
{
	size_t len = 3 * PAGE_SIZE + 100;
	u8 *mem = vzalloc(2 * len);
	struct kscope_completion record;
	int buf;
	size_t i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mem);
	buf = kscope_buf_add(scope_of(test), mem, 2 * len, RW);
	KUNIT_ASSERT_GT(test, buf, 0);
	spawn_one(test, fill(buf, len, 0x0807060504030201));
	record = reap_one(test);
	KUNIT_EXPECT_EQ(test, record.done, len);
	for (i = 0; i < len; i++)
		KUNIT_ASSERT_EQ(test, mem[i], i % 8 + 1);
	spawn_one(test, two_ranges(KSCOPE_OP_COPY, buf, len, len));
	reap_one(test);
	KUNIT_EXPECT_EQ(test, memcmp(mem, mem + len, len), 0);
	mem[len + 5000] ^= 1;
	spawn_one(test, two_ranges(KSCOPE_OP_COMPARE, buf, len, len));
	record = reap_one(test);
	KUNIT_EXPECT_EQ(test, record.value, 1);
	KUNIT_EXPECT_EQ(test, record.done, 5000);
	KUNIT_EXPECT_EQ(test, kscope_buf_remove(scope_of(test), buf), 0);
	vfree(mem);
}

/* Children read and write each byte of @mem but for a few at its ends. */
static void check_all_of(struct kunit *test, u8 *mem, size_t len)
{
	struct kscope_desc desc = { .op = KSCOPE_OP_CRC32C, .len = len - 9 };
	u8 *start = mem + 5, *end = mem + len - 4;
	size_t i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mem);
	for (i = 0; i < len; i++)
		mem[i] = (i + i / PAGE_SIZE) | 1;
	desc.buf = kscope_buf_add(scope_of(test), start, desc.len, RW);
	KUNIT_ASSERT_GT(test, (int)desc.buf, 0);
	spawn_one(test, desc);
	KUNIT_EXPECT_EQ(test, reap_one(test).value,
			(u32)~crc32c(~0, start, desc.len));
	spawn_one(test, fill(desc.buf, desc.len, 0));
	reap_one(test);
	KUNIT_EXPECT_NULL(test, memchr_inv(start, 0, desc.len));
	KUNIT_EXPECT_NE(test, start[-1], 0);
	KUNIT_EXPECT_NE(test, *end, 0);
	KUNIT_EXPECT_EQ(test, kscope_buf_remove(scope_of(test), desc.buf), 0);
}

/* More than a block of pages, wherever it begins */
static void large_vmalloc_memory(struct kunit *test)
{
	size_t len = SZ_2M + SZ_64K;
	u8 *mem = vmalloc(len);

	check_all_of(test, mem, len);
	vfree(mem);
}

/* A block that is an array while its pages are found, and then is not */
static void single_page_of_vmalloc_memory(struct kunit *test)
{
	u8 *mem = vmalloc(PAGE_SIZE);

	check_all_of(test, mem, PAGE_SIZE);
	vfree(mem);
}

static void large_memory_in_one_piece(struct kunit *test)
{
	size_t len = SZ_2M + SZ_64K;
	u8 *mem = alloc_pages_exact(len, GFP_KERNEL);

	check_all_of(test, mem, len);
	free_pages_exact(mem, len);
}

static void memory_of_a_wrong_size_is_refused(struct kunit *test)
{
	u8 *mem = kunit_kzalloc(test, 64, GFP_KERNEL);

	KUNIT_EXPECT_EQ(test, kscope_buf_add(scope_of(test), mem, 0, RW),
			-EINVAL);
	KUNIT_EXPECT_EQ(test,
			kscope_buf_add(scope_of(test), mem, (64ULL << 30) + 1,
				       RW),
			-EINVAL);
}

static void read_only_buffer_is_never_a_destination(struct kunit *test)
{
	u8 *mem = kunit_kzalloc(test, 64, GFP_KERNEL);
	struct kscope_desc desc = { .op = KSCOPE_OP_FILL, .len = 64 };
	int buf = kscope_buf_add(scope_of(test), mem, 64, KSCOPE_ACCESS_READ);

	KUNIT_ASSERT_GT(test, buf, 0);
	desc.buf = buf;
	KUNIT_EXPECT_EQ(test,
			kscope_child_spawn(scope_of(test), &desc, 1, NULL),
			-EACCES);
	KUNIT_EXPECT_EQ(test, kscope_buf_remove(scope_of(test), buf), 0);
}

static void borrowed_buffer_and_busy_scope_stay(struct kunit *test)
{
	struct kscope_cancel_counts counts;
	u64 handle;

	handle = spawn_one(test, sleep_until(FOREVER, 7));
	KUNIT_EXPECT_EQ(test, kscope_scope_release(scope_of(test)), -EBUSY);
	KUNIT_EXPECT_EQ(test,
			cancel(test, KSCOPE_CANCEL_CHILD, handle, &counts), 0);
	KUNIT_EXPECT_EQ(test, reap_one(test).user_data, 7);
	KUNIT_EXPECT_EQ(test, kscope_scope_release(scope_of(test)), 0);
	KUNIT_EXPECT_EQ(test, kscope_scope_release(scope_of(test)), -ESHUTDOWN);
}

static void handle_dies_with_its_child(struct kunit *test)
{
	struct kscope_cancel_counts counts;
	u64 first = spawn_one(test, make_nop(1));
	u64 second;

	reap_one(test);
	KUNIT_EXPECT_EQ(test, cancel(test, KSCOPE_CANCEL_CHILD, first, &counts),
			-ENOENT);
	second = spawn_one(test, sleep_until(FOREVER, 2));
	KUNIT_EXPECT_NE(test, first, second);
	KUNIT_EXPECT_EQ(test, cancel(test, KSCOPE_CANCEL_CHILD, first, &counts),
			-ENOENT);
	KUNIT_EXPECT_EQ(test,
			cancel(test, KSCOPE_CANCEL_CHILD, second, &counts), 0);
}

static void join_gives_up_at_its_deadline(struct kunit *test)
{
	spawn_one(test, sleep_until(FOREVER, 0));
	KUNIT_EXPECT_EQ(test,
			kscope_scope_join(scope_of(test),
					  ktime_get_ns() + NSEC_PER_MSEC, NULL),
			-ETIMEDOUT);
}

static void cancelled_scope_refuses_and_ends(struct kunit *test)
{
	struct kscope_desc desc = make_nop(0);
	struct kscope_cancel_counts counts;
	struct kscope_join_result result;
	int i;

	for (i = 0; i < CAPACITY; i++)
		spawn_one(test, sleep_until(FOREVER, i));
	KUNIT_EXPECT_EQ(test, cancel(test, KSCOPE_CANCEL_SCOPE, 0, &counts), 0);
	KUNIT_EXPECT_EQ(test, counts.never_started + counts.told, CAPACITY);
	KUNIT_EXPECT_EQ(test,
			kscope_child_spawn(scope_of(test), &desc, 1, NULL),
			-ECANCELED);
	KUNIT_EXPECT_EQ(test, kscope_scope_join(scope_of(test), 0, &result), 0);
	KUNIT_EXPECT_EQ(test, result.nr_cancelled, CAPACITY);
	KUNIT_EXPECT_EQ(test, result.nr_failed, 0);
	KUNIT_EXPECT_EQ(test, result.first_error, 0);
}

static void destroy_waits_for_children(struct kunit *test)
{
	u8 *mem = kzalloc(PAGE_SIZE, GFP_KERNEL);
	int buf = kscope_buf_add(scope_of(test), mem, PAGE_SIZE, RW);
	struct kscope_desc desc;
	int i;

	for (i = 0; i < CAPACITY / 2; i++) {
		desc = fill(buf, PAGE_SIZE / CAPACITY, 1);
		desc.off = i * desc.len;
		spawn_one(test, desc);
		spawn_one(test, sleep_until(FOREVER, i));
	}
	kscope_scope_destroy(scope_of(test));
	test->priv = NULL;
	/* SLUB's poison shows who still writes. */
	kfree(mem);
}

static void ordered_scope_keeps_the_order(struct kunit *test)
{
	struct kscope_scope_params params = { .kind = KSCOPE_KIND_ORDERED,
					      .capacity = CAPACITY };
	struct kscope_scope *scope = kscope_scope_create(&params);
	struct kscope_completion record;
	struct kscope_desc desc;
	int i;

	KUNIT_ASSERT_FALSE(test, IS_ERR(scope));
	for (i = 0; i < CAPACITY; i++) {
		desc = i % 2 ? make_nop(i) :
			       sleep_until(ktime_get_ns() + 10000, i);
		KUNIT_ASSERT_EQ(test, kscope_child_spawn(scope, &desc, 1, NULL),
				1);
	}
	KUNIT_EXPECT_EQ(test, kscope_scope_join(scope, 0, NULL), 0);
	for (i = 0; i < CAPACITY; i++) {
		KUNIT_ASSERT_EQ(test, kscope_scope_reap(scope, &record, 1), 1);
		KUNIT_EXPECT_EQ(test, record.user_data, i);
	}
	kscope_scope_destroy(scope);
}

static void make_inline(struct kunit *test)
{
	struct kscope_scope_params params = { .kind = KSCOPE_KIND_INLINE,
					      .capacity = CAPACITY };
	struct kscope_scope *scope = kscope_scope_create(&params);

	KUNIT_ASSERT_FALSE(test, IS_ERR(scope));
	kscope_scope_destroy(scope_of(test));
	test->priv = scope;
}

static int spawn_many(struct kunit *test, const struct kscope_desc *descs,
		      u32 nr)
{
	return kscope_child_spawn(scope_of(test), descs, nr, NULL);
}

static u32 reap(struct kunit *test, struct kscope_completion *record)
{
	return kscope_scope_reap(scope_of(test), record, 1);
}

/* Nobody waits here. */
static void inline_scope_runs_children_as_they_are_spawned(struct kunit *test)
{
	struct kscope_desc descs[CAPACITY];
	struct kscope_completion record;
	u8 *mem = kunit_kzalloc(test, 64, GFP_KERNEL);
	int buf, i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mem);
	make_inline(test);
	buf = kscope_buf_add(scope_of(test), mem, 64, RW);
	KUNIT_ASSERT_GT(test, buf, 0);
	for (i = 0; i < CAPACITY; i++) {
		descs[i] = i % 2 ? make_nop(i) : fill(buf, 64, i);
		descs[i].user_data = i;
	}
	KUNIT_EXPECT_EQ(test, spawn_many(test, descs, CAPACITY), CAPACITY);
	KUNIT_EXPECT_EQ(test, mem[0], CAPACITY - 2);
	for (i = 0; i < CAPACITY; i++) {
		KUNIT_ASSERT_EQ(test, reap(test, &record), 1);
		KUNIT_EXPECT_EQ(test, record.user_data, i);
		KUNIT_EXPECT_EQ(test, record.outcome, KSCOPE_FINISHED);
	}
	KUNIT_EXPECT_EQ(test, kscope_buf_remove(scope_of(test), buf), 0);
	KUNIT_EXPECT_EQ(test, kscope_scope_release(scope_of(test)), 0);
}

static void inline_scope_tells_handles_that_have_ended(struct kunit *test)
{
	struct kscope_cancel_counts counts;
	struct kscope_completion record;
	u64 handle;

	make_inline(test);
	handle = spawn_one(test, make_nop(1));
	KUNIT_EXPECT_EQ(test,
			cancel(test, KSCOPE_CANCEL_CHILD, handle, &counts),
			-ENOENT);
	KUNIT_EXPECT_EQ(test, reap(test, &record), 1);
	KUNIT_EXPECT_EQ(test, record.child, handle);
}

static void inline_scope_refuses_what_may_block(struct kunit *test)
{
	struct kscope_desc descs[] = { make_nop(0), sleep_until(0, 1),
				       make_nop(2) };
	struct kscope_completion record;

	make_inline(test);
	KUNIT_EXPECT_EQ(test, spawn_many(test, &descs[1], 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, spawn_many(test, descs, ARRAY_SIZE(descs)), 1);
	KUNIT_EXPECT_EQ(test, reap(test, &record), 1);
	KUNIT_EXPECT_EQ(test, record.user_data, 0);
	KUNIT_EXPECT_EQ(test, reap(test, &record), 0);
}

static void inline_scope_stops_at_a_full_ring(struct kunit *test)
{
	struct kscope_desc descs[CAPACITY + 1] = {};
	struct kscope_completion record;

	make_inline(test);
	KUNIT_EXPECT_EQ(test, spawn_many(test, descs, CAPACITY + 1), CAPACITY);
	KUNIT_EXPECT_EQ(test, spawn_many(test, descs, 1), -EAGAIN);
	KUNIT_EXPECT_EQ(test, reap(test, &record), 1);
	spawn_one(test, make_nop(1));
}

static struct kunit_case scope_cases[] = {
	KUNIT_CASE(params_that_make_no_sense_are_refused),
	KUNIT_CASE(each_child_leaves_one_completion),
	KUNIT_CASE(full_ring_refuses_and_loses_nothing),
	KUNIT_CASE(fill_copy_compare_over_vmalloc_memory),
	KUNIT_CASE(large_vmalloc_memory),
	KUNIT_CASE(single_page_of_vmalloc_memory),
	KUNIT_CASE(large_memory_in_one_piece),
	KUNIT_CASE(memory_of_a_wrong_size_is_refused),
	KUNIT_CASE(read_only_buffer_is_never_a_destination),
	KUNIT_CASE(borrowed_buffer_and_busy_scope_stay),
	KUNIT_CASE(handle_dies_with_its_child),
	KUNIT_CASE(join_gives_up_at_its_deadline),
	KUNIT_CASE(cancelled_scope_refuses_and_ends),
	KUNIT_CASE(destroy_waits_for_children),
	KUNIT_CASE(ordered_scope_keeps_the_order),
	KUNIT_CASE(inline_scope_runs_children_as_they_are_spawned),
	KUNIT_CASE(inline_scope_tells_handles_that_have_ended),
	KUNIT_CASE(inline_scope_refuses_what_may_block),
	KUNIT_CASE(inline_scope_stops_at_a_full_ring),
	{}
};

static struct kunit_suite scope_suite = {
	.name = "kscope_scope",
	.init = scope_test_init,
	.exit = scope_test_exit,
	.test_cases = scope_cases,
};

kunit_test_suite(scope_suite);

MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * The operations on memory against loops over bytes and published check values, at
 * every kind of alignment, across pages, and with guard bytes around each output.
 */
#include "kselftest_harness.h"
#include "kscope_sys.h"

#define LEN (40 * PAGE)

struct span {
	__u64 off;
	__u64 off2;
	__u64 len;
};

/* Offsets and lengths around words, cache lines, pages and the 64 KiB step. */
static const struct span spans[] = {
	{ 0, 0, 1 },
	{ 1, 3, 1 },
	{ 0, 0, 7 },
	{ 3, 5, 8 },
	{ 7, 1, 9 },
	{ 0, 0, PAGE },
	{ PAGE - 1, PAGE - 1, 1 },
	{ PAGE - 1, 0, 2 },
	{ PAGE - 4, PAGE - 3, 8 },
	{ 0, PAGE, PAGE },
	{ 1, PAGE - 1, PAGE },
	{ 4095, 1, 2 * PAGE + 2 },
	{ 123, 4567, 5 * PAGE + 77 },
	{ 0, 0, 16 * PAGE },
	{ 0, 8, 16 * PAGE + 1 },
	{ 1, 0, 16 * PAGE - 1 },
	{ 5, PAGE + 9, 33 * PAGE + 3 },
	{ 2, 1, LEN - 2 },
	{ 0, 0, LEN },
};

FIXTURE(memory)
{
	struct scope scope;
	unsigned char *a, *b; /* the buffers */
	unsigned char *want; /* what @b should hold */
	unsigned int buf_a, buf_b;
	struct kscope_completion c;
};

FIXTURE_SETUP(memory)
{
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 4));
	self->a = map_anon(LEN);
	self->b = map_anon(LEN);
	self->want = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->a);
	ASSERT_NE(MAP_FAILED, self->b);
	ASSERT_NE(MAP_FAILED, self->want);
	bytes_fill(self->a, LEN, 1);
	bytes_fill(self->b, LEN, 2);
	memcpy(self->want, self->b, LEN);
	self->buf_a = buf_pin(self->scope.fd, self->a, LEN, 0);
	self->buf_b = buf_pin(self->scope.fd, self->b, LEN, 0);
	ASSERT_LT(0, (int)self->buf_a);
	ASSERT_LT(0, (int)self->buf_b);
}

FIXTURE_TEARDOWN(memory)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->a, LEN);
	munmap(self->b, LEN);
	munmap(self->want, LEN);
}

TEST_F(memory, nop_does_nothing_and_says_so)
{
	struct kscope_desc desc = desc_nop(0xfeedfacecafebeefULL);
	__u64 handle = 0;
	int i;

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc, &handle));
	EXPECT_NE(0, handle);
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(0xfeedfacecafebeefULL, self->c.user_data);
	EXPECT_EQ(handle, self->c.child);
	EXPECT_EQ(0, self->c.status);
	EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
	EXPECT_EQ(KSCOPE_CAUSE_NONE, self->c.cause);
	EXPECT_EQ(0, self->c.done);
	EXPECT_EQ(0, self->c.value);
	EXPECT_EQ(0, self->c.flags);
	EXPECT_EQ(0, self->c.reserved);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, self->c.reserved2[i]);
	}
}

TEST_F(memory, sleep_ends_at_its_time_and_not_before)
{
	__u64 start = now_ns(), until = start + 50 * MSEC;

	ASSERT_EQ(0, run_ok(&self->scope, desc_sleep(1, until), &self->c));
	EXPECT_LE(until, now_ns());
	EXPECT_GT(start + 5 * SEC, now_ns());
	EXPECT_EQ(0, self->c.done);
}

TEST_F(memory, sleep_until_the_past_ends_at_once)
{
	__u64 start = now_ns();

	ASSERT_EQ(0, run_ok(&self->scope, desc_sleep(1, 0), &self->c));
	ASSERT_EQ(0, run_ok(&self->scope, desc_sleep(1, 1), &self->c));
	ASSERT_EQ(0, run_ok(&self->scope, desc_sleep(1, start), &self->c));
	EXPECT_GT(start + 5 * SEC, now_ns());
}

TEST_F(memory, fill_repeats_the_pattern_from_the_start_of_the_range)
{
	static const __u64 patterns[] = { 0, ~0ULL, 0x0807060504030201ULL,
					  0x00000000000000ffULL };
	__u64 pattern, i;
	size_t s, p;

	for (p = 0; p < ARRAY_SIZE(patterns); p++) {
		pattern = patterns[p];
		for (s = 0; s < ARRAY_SIZE(spans); s++) {
			for (i = 0; i < spans[s].len; i++)
				self->want[spans[s].off + i] = pattern >>
							       (8 * (i % 8));
			ASSERT_EQ(0, run_ok(&self->scope,
					    desc_fill(self->buf_b, spans[s].off,
						      spans[s].len, pattern),
					    &self->c));
			EXPECT_EQ(spans[s].len, self->c.done);
			EXPECT_EQ(0, self->c.value);
			EXPECT_EQ(0, memcmp(self->want, self->b, LEN))
			TH_LOG("span %zu pattern %#llx", s, pattern);
		}
	}
}

TEST_F(memory, copy_copies_the_range_and_nothing_else)
{
	size_t s;

	for (s = 0; s < ARRAY_SIZE(spans); s++) {
		bytes_fill(self->b, LEN, s + 10);
		memcpy(self->want, self->b, LEN);
		memcpy(self->want + spans[s].off2, self->a + spans[s].off,
		       spans[s].len);
		ASSERT_EQ(0, run_ok(&self->scope,
				    desc_two(KSCOPE_OP_COPY, self->buf_a,
					     spans[s].off, self->buf_b,
					     spans[s].off2, spans[s].len),
				    &self->c));
		EXPECT_EQ(spans[s].len, self->c.done);
		EXPECT_EQ(0, memcmp(self->want, self->b, LEN))
		TH_LOG("span %zu", s);
	}
}

TEST_F(memory, copy_within_one_buffer_works_on_ranges_that_do_not_touch)
{
	memcpy(self->want + 5 * PAGE + 1, self->b + 1, 4 * PAGE);
	ASSERT_EQ(0, run_ok(&self->scope,
			    desc_two(KSCOPE_OP_COPY, self->buf_b, 1,
				     self->buf_b, 5 * PAGE + 1, 4 * PAGE),
			    &self->c));
	EXPECT_EQ(0, memcmp(self->want, self->b, LEN));
}

TEST_F(memory, xor_changes_the_second_range_only)
{
	unsigned char *before = malloc(LEN);
	__u64 i;
	size_t s;

	memcpy(before, self->a, LEN);
	for (s = 0; s < ARRAY_SIZE(spans); s++) {
		for (i = 0; i < spans[s].len; i++)
			self->want[spans[s].off2 + i] ^=
				self->a[spans[s].off + i];
		ASSERT_EQ(0, run_ok(&self->scope,
				    desc_two(KSCOPE_OP_XOR, self->buf_a,
					     spans[s].off, self->buf_b,
					     spans[s].off2, spans[s].len),
				    &self->c));
		EXPECT_EQ(spans[s].len, self->c.done);
		EXPECT_EQ(0, memcmp(self->want, self->b, LEN))
		TH_LOG("span %zu", s);
		EXPECT_EQ(0, memcmp(before, self->a, LEN));
	}
	free(before);
}

TEST_F(memory, compare_of_equal_ranges_is_0_and_knows_all_of_them)
{
	size_t s;

	for (s = 0; s < ARRAY_SIZE(spans); s++) {
		bytes_fill(self->b, LEN, s + 50);
		memcpy(self->b + spans[s].off2, self->a + spans[s].off,
		       spans[s].len);
		ASSERT_EQ(0, run_ok(&self->scope,
				    desc_two(KSCOPE_OP_COMPARE, self->buf_a,
					     spans[s].off, self->buf_b,
					     spans[s].off2, spans[s].len),
				    &self->c));
		EXPECT_EQ(0, self->c.value) TH_LOG("span %zu", s);
		EXPECT_EQ(spans[s].len, self->c.done);
	}
}

TEST_F(memory, compare_finds_one_different_byte_anywhere)
{
	__u64 at[5];
	size_t s, i;

	for (s = 0; s < ARRAY_SIZE(spans); s++) {
		const struct span *sp = &spans[s];
		__u64 spots[] = { 0, sp->len - 1, sp->len / 2,
				  PAGE - sp->off % PAGE,
				  PAGE - sp->off2 % PAGE - 1 };

		memcpy(at, spots, sizeof(at));
		for (i = 0; i < ARRAY_SIZE(at); i++) {
			if (at[i] >= sp->len)
				continue;
			memcpy(self->b + sp->off2, self->a + sp->off, sp->len);
			self->b[sp->off2 + at[i]] ^= 0x10;
			ASSERT_EQ(0, run_ok(&self->scope,
					    desc_two(KSCOPE_OP_COMPARE,
						     self->buf_a, sp->off,
						     self->buf_b, sp->off2,
						     sp->len),
					    &self->c));
			EXPECT_EQ(1, self->c.value)
			TH_LOG("span %zu byte %llu", s, at[i]);
			/* Bytes known to be equal lie before the difference. */
			EXPECT_GE(at[i], self->c.done);
		}
	}
}

TEST_F(memory, compare_does_not_look_beside_its_ranges)
{
	memcpy(self->b, self->a, LEN);
	self->b[99] ^= 1;
	self->b[100 + 2 * PAGE] ^= 1;
	ASSERT_EQ(0, run_ok(&self->scope,
			    desc_two(KSCOPE_OP_COMPARE, self->buf_a, 100,
				     self->buf_b, 100, 2 * PAGE),
			    &self->c));
	EXPECT_EQ(0, self->c.value);
}

struct vector {
	const char *bytes;
	unsigned int len;
	__u32 crc;
};

static int crc_of(FIXTURE_DATA(memory) * self, __u64 off, __u64 len, __u32 seed)
{
	return run_ok(&self->scope, desc_crc32c(self->buf_a, off, len, seed),
		      &self->c);
}

TEST_F(memory, crc32c_gives_the_published_values)
{
	static const unsigned char read_pdu[48] = {
		0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0,	0, 0, 0, 0,
		0x14, 0,    0, 0, 0, 0, 4, 0, 0,    0, 0, 0x14, 0, 0, 0, 0x18,
		0x28, 0,    0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0,	0, 0, 0, 0,
	};
	unsigned int i;

	/* The check value of the CRC catalogue, and RFC 3720 B.4. */
	memcpy(self->a, "123456789", 9);
	ASSERT_EQ(0, crc_of(self, 0, 9, 0));
	EXPECT_EQ(0xE3069283, self->c.value);
	memset(self->a + 100, 0, 32);
	ASSERT_EQ(0, crc_of(self, 100, 32, 0));
	EXPECT_EQ(0x8A9136AA, self->c.value);
	memset(self->a + 100, 0xff, 32);
	ASSERT_EQ(0, crc_of(self, 100, 32, 0));
	EXPECT_EQ(0x62A8AB43, self->c.value);
	for (i = 0; i < 32; i++)
		self->a[PAGE - 5 + i] = i;
	ASSERT_EQ(0, crc_of(self, PAGE - 5, 32, 0));
	EXPECT_EQ(0x46DD794E, self->c.value);
	for (i = 0; i < 32; i++)
		self->a[3 + i] = 31 - i;
	ASSERT_EQ(0, crc_of(self, 3, 32, 0));
	EXPECT_EQ(0x113FDB5C, self->c.value);
	memcpy(self->a, read_pdu, sizeof(read_pdu));
	ASSERT_EQ(0, crc_of(self, 0, sizeof(read_pdu), 0));
	EXPECT_EQ(0xD9963A56, self->c.value);
}

TEST_F(memory, crc32c_of_every_span_is_that_of_a_loop_over_bits)
{
	size_t s;

	for (s = 0; s < ARRAY_SIZE(spans); s++) {
		ASSERT_EQ(0, crc_of(self, spans[s].off, spans[s].len, 0));
		EXPECT_EQ(crc32c_of(self->a + spans[s].off, spans[s].len, 0),
			  self->c.value)
		TH_LOG("span %zu", s);
		EXPECT_EQ(spans[s].len, self->c.done);
	}
}

TEST_F(memory, crc32c_goes_on_from_the_value_of_the_piece_before)
{
	static const __u64 cuts[] = { 0, 1, 8, 100, PAGE, PAGE + 1, 3 * PAGE };
	__u32 whole = crc32c_of(self->a, 3 * PAGE, 0);
	size_t i;

	for (i = 1; i < ARRAY_SIZE(cuts) - 1; i++) {
		ASSERT_EQ(0, crc_of(self, 0, cuts[i], 0));
		ASSERT_EQ(0, crc_of(self, cuts[i], 3 * PAGE - cuts[i],
				    self->c.value));
		EXPECT_EQ(whole, self->c.value) TH_LOG("cut %llu", cuts[i]);
	}
}

TEST_F(memory, empty_ranges_do_nothing)
{
	memcpy(self->b, self->a, LEN);
	memcpy(self->want, self->a, LEN);
	ASSERT_EQ(0, run_ok(&self->scope, desc_fill(self->buf_b, 5, 0, ~0ULL),
			    &self->c));
	EXPECT_EQ(0, self->c.done);
	ASSERT_EQ(0, run_ok(&self->scope,
			    desc_two(KSCOPE_OP_COPY, self->buf_a, 0,
				     self->buf_b, LEN, 0),
			    &self->c));
	EXPECT_EQ(0, self->c.done);
	ASSERT_EQ(0, run_ok(&self->scope,
			    desc_two(KSCOPE_OP_XOR, self->buf_a, 0, self->buf_b,
				     0, 0),
			    &self->c));
	ASSERT_EQ(0, run_ok(&self->scope,
			    desc_two(KSCOPE_OP_COMPARE, self->buf_a, 0,
				     self->buf_b, 1, 0),
			    &self->c));
	EXPECT_EQ(0, self->c.value);
	ASSERT_EQ(0, crc_of(self, LEN, 0, 0x12345678));
	EXPECT_EQ(0x12345678, self->c.value);
	EXPECT_EQ(0, memcmp(self->want, self->b, LEN));
}

TEST_F(memory, buffer_that_starts_and_ends_inside_a_page_leaves_the_rest_alone)
{
	unsigned int starts[] = { 1, 8, 63, 4000, 4095 };
	unsigned int lens[] = { 1, 100, 4097, 12000 };
	struct kscope_completion *c = &self->c;
	size_t s, l;
	int buf;

	for (s = 0; s < ARRAY_SIZE(starts); s++) {
		for (l = 0; l < ARRAY_SIZE(lens); l++) {
			memset(self->b, 0x33, LEN);
			buf = buf_pin(self->scope.fd, self->b + starts[s],
				      lens[l], 0);
			ASSERT_LT(0, buf);
			ASSERT_EQ(0,
				  run_ok(&self->scope,
					 desc_fill(buf, 0, lens[l], ~0ULL), c));
			EXPECT_TRUE(bytes_are(self->b, starts[s], 0x33));
			EXPECT_TRUE(
				bytes_are(self->b + starts[s], lens[l], 0xff));
			EXPECT_TRUE(bytes_are(self->b + starts[s] + lens[l],
					      LEN - starts[s] - lens[l], 0x33));
			ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
		}
	}
}

TEST_HARNESS_MAIN

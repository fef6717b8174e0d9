// SPDX-License-Identifier: GPL-2.0
/* The library's combinators: what they promise about order, bounds, errors, and the end. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kscope.h"

#define LEN 65536UL
#define CAPACITY 16
#define HOUR_NS (3600 * 1000000000ULL)
#define MS 1000000ULL
#define NR 100

FIXTURE(combine)
{
	struct kscope_scope scope;
	struct kscope_desc descs[NR];
	struct kscope_completion done[NR];
	unsigned char *mem;
	int dev;
	int buf;
	/* what callbacks have seen */
	unsigned int begun;
	unsigned int ended;
	unsigned int most;
	__u64 order[NR];
	__u64 stop_at;
	int stop_with;
};

FIXTURE_SETUP(combine)
{
	const struct kscope_scope_params params = { .capacity = CAPACITY };

	self->dev = kscope_open();
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, kscope_scope_create(&self->scope, self->dev, &params));
	self->mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->mem);
	self->buf = kscope_buf_pin(&self->scope, self->mem, LEN, 0);
	ASSERT_LT(0, self->buf);
	self->stop_at = NR;
}

/* Whatever a call did: nothing is left, and the scope works. */
FIXTURE_TEARDOWN(combine)
{
	struct kscope_query query;

	ASSERT_EQ(0, kscope_query(&self->scope, &query));
	EXPECT_EQ(0, query.outstanding);
	EXPECT_EQ(0, kscope_ready(&self->scope));
	EXPECT_EQ(0, kscope_scope_end(&self->scope));
	munmap(self->mem, LEN);
	kscope_close(self->dev);
}

static void prep_nops(FIXTURE_DATA(combine) * self)
{
	unsigned int i;

	for (i = 0; i < NR; i++) {
		kscope_prep_nop(&self->descs[i]);
		self->descs[i].user_data = 1000 + i;
	}
}

static void prep_for_ever(struct kscope_desc *desc)
{
	kscope_prep_sleep(desc, kscope_now_ns() + HOUR_NS);
}

/* Is refused: there is no such buffer. */
static void prep_bad(struct kscope_desc *desc)
{
	kscope_prep_fill(desc, 0x7fff000, 0, 8, 0);
}

/* ---- run ---- */

TEST_F(combine, run_tells_all_in_order)
{
	unsigned int i;

	prep_nops(self);
	ASSERT_EQ(0, kscope_run(&self->scope, self->descs, NR, self->done));
	for (i = 0; i < NR; i++) {
		EXPECT_EQ(1000 + i, self->done[i].user_data);
		EXPECT_EQ(KSCOPE_FINISHED, self->done[i].outcome);
	}
	EXPECT_EQ(0, kscope_run(&self->scope, self->descs, NR, NULL));
	EXPECT_EQ(0, kscope_run(&self->scope, self->descs, 0, NULL));
}

TEST_F(combine, run_puts_children_in_each_others_way_one_after_the_other)
{
	unsigned int i;

	for (i = 0; i < NR; i++)
		kscope_prep_fill(&self->descs[i], self->buf, i, LEN - NR,
				 0x0101010101010101ULL * i);
	ASSERT_EQ(0, kscope_run(&self->scope, self->descs, NR, NULL));
	for (i = 0; i < NR; i++)
		EXPECT_EQ(i, self->mem[i]);
	EXPECT_EQ(NR - 1, self->mem[LEN - 2]);
}

TEST_F(combine, run_cancels_the_rest_if_one_is_refused)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		prep_for_ever(&self->descs[i]);
	prep_bad(&self->descs[8]);
	kscope_prep_nop(&self->descs[9]);
	self->descs[9].user_data = 77;
	EXPECT_EQ(-ENOENT,
		  kscope_run(&self->scope, self->descs, 10, self->done));
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(-ECANCELED, self->done[i].status);
		EXPECT_NE(0, self->done[i].child);
	}
	EXPECT_EQ(KSCOPE_NEVER_STARTED, self->done[9].outcome);
	EXPECT_EQ(77, self->done[9].user_data);
	EXPECT_EQ(0, self->done[9].child);
}

/* A scope that fails fast cancels the others; that is not what has gone wrong. */
TEST_F(combine, run_says_what_failed_and_not_what_was_cancelled)
{
	const struct kscope_scope_params params = {
		.kind = KSCOPE_KIND_ORDERED,
		.policy = KSCOPE_POLICY_FAIL_FAST,
		.capacity = 4,
	};
	struct kscope_scope scope = KSCOPE_SCOPE_INIT;
	int buf, hash;

	ASSERT_EQ(0, kscope_scope_create(&scope, self->dev, &params));
	buf = kscope_buf_pin(&scope, self->mem, LEN, 0);
	hash = kscope_hash_open(&scope, "crc32c", NULL);
	ASSERT_LT(0, hash);
	kscope_prep_nop(&self->descs[0]);
	/* Goes on with a digest that nobody has begun. */
	kscope_prep_hash(&self->descs[1], hash, 0, buf, 0, LEN, 0, 0);
	prep_for_ever(&self->descs[2]);
	EXPECT_EQ(-EBADMSG, kscope_run(&scope, self->descs, 3, self->done));
	EXPECT_EQ(KSCOPE_FINISHED, self->done[0].outcome);
	EXPECT_EQ(KSCOPE_FAILED, self->done[1].outcome);
	EXPECT_EQ(KSCOPE_CAUSE_FAILURE, self->done[2].cause);
	EXPECT_EQ(-ECANCELED, kscope_run(&scope, self->descs, 1, NULL));
	EXPECT_EQ(0, kscope_scope_end(&scope));
}

/* ---- race ---- */

TEST_F(combine, race_is_won_by_the_first_and_the_others_are_gone)
{
	struct kscope_completion won = {};
	unsigned int i;

	for (i = 0; i < 8; i++)
		prep_for_ever(&self->descs[i]);
	kscope_prep_sleep(&self->descs[5], kscope_now_ns() + MS);
	self->descs[5].user_data = 55;
	EXPECT_EQ(5, kscope_race(&self->scope, self->descs, 8, &won));
	EXPECT_EQ(55, won.user_data);
	EXPECT_EQ(KSCOPE_FINISHED, won.outcome);
	EXPECT_EQ(5, kscope_race(&self->scope, self->descs, 8, NULL));
	EXPECT_EQ(-EINVAL, kscope_race(&self->scope, self->descs, 0, NULL));
}

/* Those that have ended when one is refused count, each once. */
TEST_F(combine, race_is_won_although_one_is_refused)
{
	const struct kscope_scope_params params = { .kind = KSCOPE_KIND_INLINE,
						    .capacity = 4 };
	struct kscope_scope scope = KSCOPE_SCOPE_INIT;
	struct kscope_completion won = {};

	ASSERT_EQ(0, kscope_scope_create(&scope, self->dev, &params));
	prep_nops(self);
	prep_bad(&self->descs[2]);
	EXPECT_EQ(0, kscope_race(&scope, self->descs, 3, &won));
	EXPECT_EQ(1000, won.user_data);
	EXPECT_EQ(0, kscope_scope_end(&scope));
}

TEST_F(combine, race_that_all_lose_says_why)
{
	prep_bad(&self->descs[0]);
	EXPECT_EQ(-ENOENT, kscope_race(&self->scope, self->descs, 1, NULL));
}

TEST_F(combine, race_of_more_than_there_is_room_for_begins_with_the_first)
{
	prep_nops(self);
	EXPECT_GT(CAPACITY, kscope_race(&self->scope, self->descs, NR, NULL));
}

/* ---- for_each ---- */

static int note(void *arg, __u64 i, const struct kscope_completion *done)
{
	FIXTURE_DATA(combine) *self = arg;

	if (done->user_data != 1000 + i)
		return -EPROTO;
	self->order[self->ended++] = i;
	return i == self->stop_at ? self->stop_with : 0;
}

TEST_F(combine, for_each_tells_each_one_once)
{
	bool seen[NR] = {};
	unsigned int i;

	prep_nops(self);
	EXPECT_EQ(0, kscope_for_each(&self->scope, self->descs, NR, 3, note,
				     self));
	ASSERT_EQ(NR, self->ended);
	for (i = 0; i < NR; i++) {
		EXPECT_FALSE(seen[self->order[i]]);
		seen[self->order[i]] = true;
	}
}

TEST_F(combine, for_each_ends_early_and_takes_the_rest_with_it)
{
	unsigned int i;

	prep_nops(self);
	for (i = 5; i < NR; i++)
		self->descs[i].op = KSCOPE_OP_SLEEP,
		self->descs[i].until_ns = kscope_now_ns() + HOUR_NS;
	self->stop_at = 4;
	self->stop_with = 42;
	EXPECT_EQ(42, kscope_for_each(&self->scope, self->descs, NR, 0, note,
				      self));
	EXPECT_GE(5, self->ended);
	self->stop_with = -EILSEQ;
	self->ended = 0;
	EXPECT_EQ(-EILSEQ, kscope_for_each(&self->scope, self->descs, NR, 0,
					   note, self));
	EXPECT_GE(5, self->ended);
}

TEST_F(combine, callback_that_has_ended_it_is_not_called_again)
{
	prep_nops(self);
	prep_bad(&self->descs[5]);
	self->stop_at = 0;
	self->stop_with = 42;
	EXPECT_EQ(42,
		  kscope_for_each(&self->scope, self->descs, 6, 0, note, self));
	EXPECT_EQ(0, self->order[self->ended - 1]);
}

TEST_F(combine, for_each_without_a_callback_ends_with_the_first_failure)
{
	prep_nops(self);
	prep_bad(&self->descs[50]);
	EXPECT_EQ(-ENOENT, kscope_for_each(&self->scope, self->descs, NR, 2,
					   NULL, NULL));
	EXPECT_EQ(0, kscope_for_each(&self->scope, self->descs, 50, 2, NULL,
				     NULL));
}

/* ---- map ---- */

/* The later it begins, the earlier it ends, within groups of eight. */
static int next_sleep(void *arg, __u64 i, struct kscope_desc *desc)
{
	FIXTURE_DATA(combine) *self = arg;

	if (i == NR)
		return 0;
	self->begun++;
	if (self->begun - self->ended > self->most)
		self->most = self->begun - self->ended;
	kscope_prep_sleep(desc, kscope_now_ns() + (8 - i % 8) * MS);
	desc->user_data = 1000 + i;
	return 1;
}

TEST_F(combine, map_keeps_its_bound)
{
	struct kscope_map map = {
		.next = next_sleep, .done = note, .arg = self, .bound = 5
	};

	EXPECT_EQ(0, kscope_map(&self->scope, &map));
	EXPECT_EQ(NR, self->ended);
	EXPECT_EQ(5, self->most);
	map.bound = 0;
	self->begun = 0;
	self->ended = 0;
	self->most = 0;
	EXPECT_EQ(0, kscope_map(&self->scope, &map));
	EXPECT_EQ(CAPACITY, self->most);
}

TEST_F(combine, map_in_order_tells_them_in_order_within_the_bound)
{
	struct kscope_map map = { .next = next_sleep,
				  .done = note,
				  .arg = self,
				  .bound = 8,
				  .flags = KSCOPE_MAP_IN_ORDER };
	unsigned int i;

	EXPECT_EQ(0, kscope_map(&self->scope, &map));
	ASSERT_EQ(NR, self->ended);
	EXPECT_EQ(8, self->most);
	for (i = 0; i < NR; i++)
		EXPECT_EQ(i, self->order[i]);
	map.flags = 2;
	EXPECT_EQ(-EINVAL, kscope_map(&self->scope, &map));
}

TEST_F(combine, map_in_order_can_end_early)
{
	struct kscope_map map = { .next = next_sleep,
				  .done = note,
				  .arg = self,
				  .flags = KSCOPE_MAP_IN_ORDER };

	self->stop_at = 17;
	self->stop_with = 1;
	EXPECT_EQ(1, kscope_map(&self->scope, &map));
	EXPECT_EQ(18, self->ended);
}

static int next_fails(void *arg, __u64 i, struct kscope_desc *desc)
{
	return i == 40 ? -EDOM : next_sleep(arg, i, desc);
}

TEST_F(combine, map_ends_if_the_next_one_cannot_be_made)
{
	struct kscope_map map = { .next = next_fails,
				  .done = note,
				  .arg = self };

	EXPECT_EQ(-EDOM, kscope_map(&self->scope, &map));
	EXPECT_GE(40, self->ended);
}

/* ---- pipeline ---- */

/* Three stages: a pattern is put down, copied, and its CRC chained from item to item. */
#define SLOTS 4
#define ITEMS 50
#define ITEM 1024UL

struct line {
	int buf;
	int busy[SLOTS];
	__u64 in_slot[SLOTS];
	__u32 crc;
	__u64 crc_next;
	unsigned int again;
	int fail_at;
	bool wrong;
};

static int fill_pattern(void *arg, __u64 item, unsigned int slot,
			struct kscope_desc *desc)
{
	struct line *line = arg;

	if (item == ITEMS)
		return 0;
	line->wrong |= slot >= SLOTS || line->busy[slot];
	line->busy[slot] = 1;
	line->in_slot[slot] = item;
	kscope_prep_fill(desc, line->buf, slot * ITEM, ITEM,
			 item * 0x0123456789abcdefULL);
	return 1;
}

/* Every other item is copied to and fro; the others skip that. */
static int copy_away(void *arg, __u64 item, unsigned int slot,
		     struct kscope_desc *desc)
{
	struct line *line = arg;

	line->wrong |= line->in_slot[slot] != item;
	if (item % 2)
		return 0;
	kscope_prep_copy(desc, line->buf, slot * ITEM, line->buf,
			 (SLOTS + slot) * ITEM, ITEM);
	return 1;
}

static int copied(void *arg, __u64 item, unsigned int slot,
		  const struct kscope_completion *done)
{
	struct line *line = arg;

	line->wrong |= line->in_slot[slot] != item || done->done != ITEM;
	return done->status ? done->status : line->again++ % 3 == 0;
}

static int chain(void *arg, __u64 item, unsigned int slot,
		 struct kscope_desc *desc)
{
	struct line *line = arg;

	line->wrong |= line->crc_next != item || line->in_slot[slot] != item;
	if (line->fail_at >= 0 && item == (__u64)line->fail_at)
		return -EDOM;
	kscope_prep_crc32c(desc, line->buf, slot * ITEM, ITEM, line->crc);
	return 1;
}

static int chained(void *arg, __u64 item, unsigned int slot,
		   const struct kscope_completion *done)
{
	struct line *line = arg;

	line->wrong |= line->crc_next++ != item;
	line->crc = (__u32)done->value;
	line->busy[slot] = 0;
	return done->status;
}

static const struct kscope_stage stages[] = {
	{ .fill = fill_pattern },
	{ .fill = copy_away, .done = copied },
	{ .fill = chain, .done = chained, .in_order = 1 },
};

static __u32 crc_of_items(FIXTURE_DATA(combine) * self)
{
	__u32 crc = 0;
	__u64 item;

	for (item = 0; item < ITEMS; item++) {
		kscope_prep_fill(&self->descs[0], self->buf, 0, ITEM,
				 item * 0x0123456789abcdefULL);
		kscope_prep_crc32c(&self->descs[1], self->buf, 0, ITEM, crc);
		if (kscope_run(&self->scope, &self->descs[0], 1, NULL) ||
		    kscope_run(&self->scope, &self->descs[1], 1, self->done))
			return 0;
		crc = (__u32)self->done[0].value;
	}
	return crc;
}

TEST_F(combine, pipeline_takes_items_through_all_stages)
{
	struct line line = { .buf = self->buf, .fail_at = -1 };
	struct kscope_pipeline pipeline = { stages, 3, SLOTS, &line };
	__u64 through;

	ASSERT_EQ(0, kscope_pipeline(&self->scope, &pipeline, &through));
	EXPECT_EQ(ITEMS, through);
	EXPECT_FALSE(line.wrong);
	EXPECT_EQ(ITEMS, line.crc_next);
	EXPECT_LT(ITEMS / 2, line.again);
	EXPECT_EQ(crc_of_items(self), line.crc);
}

TEST_F(combine, pipeline_ends_with_an_error_and_says_how_far_it_came)
{
	struct line line = { .buf = self->buf, .fail_at = 30 };
	struct kscope_pipeline pipeline = { stages, 3, SLOTS, &line };
	__u64 through;

	EXPECT_EQ(-EDOM, kscope_pipeline(&self->scope, &pipeline, &through));
	EXPECT_EQ(30, through);
	EXPECT_FALSE(line.wrong);
	pipeline.nr_stages = 0;
	EXPECT_EQ(-EINVAL, kscope_pipeline(&self->scope, &pipeline, &through));
	EXPECT_EQ(0, through);
}

/* Of every three items one has no buffer, and the next stage sees to it; and one does without. */
static int fill_some(void *arg, __u64 item, unsigned int slot,
		     struct kscope_desc *desc)
{
	struct line *line = arg;

	if (item == ITEMS)
		return 0;
	line->in_slot[slot] = item;
	kscope_prep_fill(desc, item % 3 ? line->buf : 0, slot * ITEM, ITEM, 0);
	return 1;
}

static int has_no_buffer(void *arg, __u64 item, unsigned int slot, int error)
{
	struct line *line = arg;

	line->wrong |= item % 3 || line->in_slot[slot] != item ||
		       error != -ENOENT;
	line->again++;
	return line->fail_at == (int)item ? -EDOM : 0;
}

static int after_all(void *arg, __u64 item, unsigned int slot,
		     struct kscope_desc *desc)
{
	struct line *line = arg;

	(void)desc;
	line->wrong |= line->crc_next++ != item || line->in_slot[slot] != item;
	return item % 3 == 1;
}

static const struct kscope_stage refusing_stages[] = {
	{ .fill = fill_some, .refused = has_no_buffer },
	{ .fill = after_all, .in_order = 1 },
};

TEST_F(combine, pipeline_asks_its_stage_about_what_is_refused)
{
	struct line line = { .buf = self->buf, .fail_at = -1 };
	struct kscope_pipeline pipeline = { refusing_stages, 2, SLOTS, &line };
	__u64 through;

	ASSERT_EQ(0, kscope_pipeline(&self->scope, &pipeline, &through));
	EXPECT_EQ(ITEMS, through);
	EXPECT_EQ(ITEMS, line.crc_next);
	EXPECT_EQ((ITEMS + 2) / 3, line.again);
	EXPECT_FALSE(line.wrong);
	line = (struct line){ .buf = self->buf, .fail_at = 30 };
	EXPECT_EQ(-EDOM, kscope_pipeline(&self->scope, &pipeline, &through));
	EXPECT_FALSE(line.wrong);
}

/* ---- All of them ---- */

TEST_F(combine, scope_that_is_in_use_is_refused)
{
	prep_nops(self);
	ASSERT_EQ(1,
		  kscope_spawn_wait(&self->scope, self->descs, 1, NULL, 1, 0));
	EXPECT_EQ(-EBUSY, kscope_run(&self->scope, self->descs, 1, NULL));
	ASSERT_EQ(1, kscope_next(&self->scope, self->done));
	prep_for_ever(&self->descs[1]);
	ASSERT_EQ(1, kscope_spawn(&self->scope, &self->descs[1], 1, NULL));
	EXPECT_EQ(-EBUSY, kscope_run(&self->scope, self->descs, 1, NULL));
	ASSERT_EQ(0, kscope_cancel_user_data(&self->scope, 0, NULL));
	ASSERT_EQ(1, kscope_wait(&self->scope, 1, 0));
	ASSERT_EQ(1, kscope_next(&self->scope, self->done));
}

static const struct kscope_scope *to_cancel;
static volatile sig_atomic_t rings;

static void ring(int signo)
{
	(void)signo;
	if (++rings == 3)
		kscope_cancel_scope(to_cancel, NULL);
}

TEST_F(combine, signals_do_not_end_a_call_but_a_handler_can)
{
	const struct sigaction action = { .sa_handler = ring };
	const struct itimerval soon = { { 0, 20000 }, { 0, 20000 } };
	const struct itimerval never = {};
	unsigned int i;

	for (i = 0; i < 4; i++)
		prep_for_ever(&self->descs[i]);
	to_cancel = &self->scope;
	rings = 0;
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	EXPECT_EQ(-ECANCELED,
		  kscope_run(&self->scope, self->descs, 4, self->done));
	setitimer(ITIMER_REAL, &never, NULL);
	EXPECT_LE(3, rings);
	EXPECT_EQ(KSCOPE_CAUSE_CALLER, self->done[0].cause);
	EXPECT_EQ(-ECANCELED, kscope_run(&self->scope, self->descs, 1, NULL));
}

TEST_F(combine, ordered_and_inline_scopes_do_as_well)
{
	static const unsigned int kinds[] = { KSCOPE_KIND_ORDERED,
					      KSCOPE_KIND_INLINE };
	struct kscope_scope_params params = { .capacity = CAPACITY };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct line line = { .fail_at = -1 };
		struct kscope_pipeline pipeline = { stages, 3, SLOTS, &line };
		struct kscope_scope scope = KSCOPE_SCOPE_INIT;
		__u64 through;

		params.kind = kinds[i];
		ASSERT_EQ(0, kscope_scope_create(&scope, self->dev, &params));
		line.buf = kscope_buf_pin(&scope, self->mem, LEN, 0);
		EXPECT_EQ(0, kscope_pipeline(&scope, &pipeline, &through));
		EXPECT_EQ(ITEMS, through);
		EXPECT_FALSE(line.wrong);
		EXPECT_EQ(0, kscope_scope_end(&scope));
	}
}

TEST_HARNESS_MAIN

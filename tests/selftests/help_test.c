// SPDX-License-Identifier: GPL-2.0
/*
 * Waiters that help: who waits runs small children itself, never oversleeps, leaves to the
 * workers what is theirs, and leaves nothing behind that nobody looks after.
 */
#include <limits.h>
#include <sys/resource.h>

#include "kselftest_harness.h"
#include "race_hooks.h"

#define CAPACITY 1024
#define FEW 8U
#define PIECE (64 * 1024UL) /* too much for a claim of several */
#define LARGE (1024 * 1024UL) /* too much for a helper */

FIXTURE(help)
{
	struct scope scope;
	struct kscope_completion c;
	struct kscope_desc descs[CAPACITY];
	unsigned int buf;
	char *mem;
};

FIXTURE_VARIANT(help)
{
	unsigned int kind;
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(help, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(help, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

FIXTURE_VARIANT_ADD(help, parallel_without){
	.kind = KSCOPE_KIND_PARALLEL,
	.flags = KSCOPE_SCOPE_NO_HELP,
};

FIXTURE_VARIANT_ADD(help, ordered_without){
	.kind = KSCOPE_KIND_ORDERED,
	.flags = KSCOPE_SCOPE_NO_HELP,
};

FIXTURE_SETUP(help)
{
	struct kscope_scope_create arg = { .kind = variant->kind,
					   .flags = variant->flags,
					   .capacity = CAPACITY };
	int fd = scope_create(&arg);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, scope_map(&self->scope, fd, &arg));
	self->mem = map_anon(LARGE);
	ASSERT_NE(MAP_FAILED, self->mem);
	bytes_fill(self->mem, LARGE, 1);
	self->buf = buf_pin(fd, self->mem, LARGE, 0);
	ASSERT_LT(0, (int)self->buf);
}

FIXTURE_TEARDOWN(help)
{
	hooks_quiet();
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LARGE);
}

static void make_nops(struct kscope_desc *descs, unsigned int nr)
{
	while (nr--)
		descs[nr] = desc_nop(nr);
}

static void make_pieces(struct kscope_desc *descs, unsigned int nr,
			unsigned int buf, __u64 len)
{
	while (nr--) {
		descs[nr] = desc_crc32c(buf, 0, len, 0);
		descs[nr].user_data = nr;
	}
}

/* How often the calling thread has slept */
static long sleeps(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

static unsigned int reap_all(struct scope *scope)
{
	struct kscope_completion c;
	unsigned int nr = 0;

	while (reap(scope, &c))
		nr++;
	return nr;
}

/* Return: how often a thread sleeps while it spawns small children and waits for them */
static long sleeps_of_rounds(struct scope *scope, struct kscope_desc *descs)
{
	long before = sleeps();
	int i;

	for (i = 0; i < 50; i++) {
		if (spawn_arg(scope->fd, descs, NULL, FEW, FEW, 0) != FEW)
			return -1;
		if (reap_all(scope) != FEW)
			return -1;
	}
	return sleeps() - before;
}

/* Something else may let a thread sleep as well, but not in all rounds. */
TEST_F(help, who_waits_for_small_children_runs_them_unless_told_not_to)
{
	long fewest = LONG_MAX, nr;
	int i;

	make_nops(self->descs, FEW);
	for (i = 0; i < 5; i++) {
		nr = sleeps_of_rounds(&self->scope, self->descs);
		ASSERT_LE(0, nr);
		fewest = nr < fewest ? nr : fewest;
	}
	/* Without help a worker may still be quick enough for a thread that would sleep. */
	if (!(variant->flags & KSCOPE_SCOPE_NO_HELP))
		EXPECT_EQ(0, fewest);
}

/* A child that blocks is nothing for a helper. */
TEST_F(help, joiner_sleeps_for_a_child_that_blocks)
{
	struct kscope_desc blocker = desc_sleep(1, in_ms(300));
	long before = sleeps();

	ASSERT_EQ(1, spawn(self->scope.fd, &blocker, 1));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_LT(before, sleeps());
	EXPECT_EQ(1, ring_unread(&self->scope));
}

TEST_F(help, deadline_holds_although_a_child_blocks)
{
	__u64 end = in_ms(3000);
	struct kscope_desc blocker = desc_sleep(1, end);

	ASSERT_EQ(1,
		  spawn_arg(self->scope.fd, &blocker, NULL, 1, 1, in_ms(20)));
	EXPECT_GT(end, now_ns());
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
}

TEST_F(help, children_of_all_sorts_are_waited_for_together)
{
	unsigned int i, nr = 0;

	make_nops(self->descs, 64);
	for (i = 0; i < 64; i += 8)
		self->descs[i] = desc_sleep(i, in_ms(1 + i / 8));
	for (i = 1; i < 64; i += 8)
		make_pieces(&self->descs[i], 1, self->buf, PIECE);
	for (i = 2; i < 64; i += 16)
		make_pieces(&self->descs[i], 1, self->buf, LARGE);
	for (i = 0; i < 64; i++)
		self->descs[i].user_data = i;
	ASSERT_EQ(64, spawn_arg(self->scope.fd, self->descs, NULL, 64, 64,
				in_ms(PATIENCE_MS)));
	ASSERT_EQ(64, ring_unread(&self->scope));
	while (reap(&self->scope, &self->c)) {
		EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
		if (variant->kind == KSCOPE_KIND_ORDERED)
			EXPECT_EQ(nr, self->c.user_data);
		nr++;
	}
	EXPECT_EQ(64, nr);
}

/* Completions come although nobody waits or asks any more. */
static bool come_by_themselves(struct scope *scope, unsigned int nr)
{
	__u64 deadline = in_ms(PATIENCE_MS);

	while (ring_unread(scope) < nr && now_ns() < deadline)
		usleep(500);
	return ring_unread(scope) == nr;
}

/*
 * Batches may have ended before the next ones begin; that is not what the caller waits for. With
 * the module's test hooks each child is a batch.
 */
TEST_F(help, spawn_of_many_batches_waits_for_all_of_them)
{
	unsigned int i;

	make_nops(self->descs, 64);
	for (i = 15; i < 64; i += 16)
		self->descs[i] = desc_sleep(i, in_ms(2));
	if (hooks_there())
		hooks_limit(1);
	EXPECT_EQ(64, spawn_arg(self->scope.fd, self->descs, NULL, 64, 64, 0));
	hooks_quiet();
	EXPECT_EQ(64, ring_unread(&self->scope));
	for (i = 0; reap(&self->scope, &self->c); i++)
		if (variant->kind == KSCOPE_KIND_ORDERED)
			EXPECT_EQ(i, self->c.user_data);
}

TEST_F(help, what_a_helper_leaves_behind_at_its_deadline_goes_on)
{
	make_pieces(self->descs, 128, self->buf, PIECE);
	ASSERT_EQ(128, spawn_arg(self->scope.fd, self->descs, NULL, 128, 128,
				 now_ns()));
	EXPECT_TRUE(come_by_themselves(&self->scope, 128));
}

TEST_F(help, what_a_helper_leaves_behind_when_it_has_enough_goes_on)
{
	make_pieces(self->descs, 64, self->buf, PIECE);
	ASSERT_EQ(64, spawn_arg(self->scope.fd, self->descs, NULL, 64, 1,
				in_ms(PATIENCE_MS)));
	EXPECT_TRUE(come_by_themselves(&self->scope, 64));
}

TEST_F(help, children_go_on_if_the_spawner_need_not_wait_after_all)
{
	struct kscope_desc nop = desc_nop(1);

	ASSERT_EQ(1, spawn_arg(self->scope.fd, &nop, NULL, 1, 1, 0));
	make_pieces(self->descs, 64, self->buf, PIECE);
	ASSERT_EQ(64, spawn_arg(self->scope.fd, self->descs, NULL, 64, 1, 0));
	EXPECT_TRUE(come_by_themselves(&self->scope, 65));
}

/* The workers may be done before the waiter comes to sleep, but not time after time. */
TEST_F(help, large_children_are_left_to_the_workers)
{
	long before = sleeps();
	int i;

	make_pieces(self->descs, 4, self->buf, LARGE);
	for (i = 0; i < 20 && sleeps() == before; i++) {
		ASSERT_EQ(4, spawn_arg(self->scope.fd, self->descs, NULL, 4, 4,
				       0));
		ASSERT_EQ(4, ring_unread(&self->scope));
		self->scope.head->head += 4;
	}
	EXPECT_LT(before, sleeps());
}

TEST_F(help, large_children_are_taken_one_by_one)
{
	struct kscope_query q;

	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	make_pieces(self->descs, 64, self->buf, PIECE);
	ASSERT_EQ(0, stop_at("claimed", 0));
	ASSERT_EQ(64, spawn(self->scope.fd, self->descs, 64));
	ASSERT_EQ(0, stop_wait());
	ASSERT_EQ(0, query(self->scope.fd, &q));
	EXPECT_GT(32, q.running);
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(0, join(self->scope.fd));
}

/*
 * While the child of somebody who waits is held, others are spawned and waited for. In an
 * ordered scope they run only when it is let go, and then they do.
 */
static void expect_order(struct __test_metadata *_metadata,
			 FIXTURE_DATA(help) * self, unsigned int kind,
			 struct kscope_desc first)
{
	pid_t pid;
	int ret;

	first.user_data = FEW;
	ASSERT_EQ(0, stop_at("claimed", FEW));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(spawn_arg(self->scope.fd, &first, NULL, 1, 1, 0) != 1);
	ASSERT_EQ(0, stop_wait());
	make_nops(self->descs, FEW);
	ASSERT_EQ(FEW, spawn(self->scope.fd, self->descs, FEW));
	ret = wait_unread(self->scope.fd, 1, 50);
	if (kind == KSCOPE_KIND_ORDERED) {
		EXPECT_EQ(-ETIMEDOUT, ret);
		EXPECT_EQ(0, ring_unread(&self->scope));
	}
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_TRUE(come_by_themselves(&self->scope, FEW + 1));
}

TEST_F(help, spawner_that_runs_its_child_takes_the_place_of_a_worker)
{
	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	expect_order(_metadata, self, variant->kind, desc_nop(0));
}

TEST_F(help, helper_takes_the_place_of_a_worker)
{
	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	expect_order(_metadata, self, variant->kind,
		     desc_crc32c(self->buf, 0, PIECE, 0));
}

/* With a limit of 1 each child is a batch. All but the last one are done when that is spawned. */
TEST_F(help, enough_is_not_enough_if_another_batch_comes)
{
	make_nops(self->descs, FEW);
	self->descs[FEW - 1] = desc_sleep(FEW - 1, in_ms(300));
	if (hooks_there())
		hooks_limit(1);
	EXPECT_EQ(FEW,
		  spawn_arg(self->scope.fd, self->descs, NULL, FEW, FEW, 0));
	EXPECT_EQ(FEW, ring_unread(&self->scope));
}

TEST_F(help, sleeper_is_woken_once_for_many_completions)
{
	__u64 start = in_ms(20);
	unsigned int i;
	long before;

	for (i = 0; i < 32; i++)
		self->descs[i] = desc_sleep(i, start + i * 2 * MSEC);
	ASSERT_EQ(32, spawn(self->scope.fd, self->descs, 32));
	before = sleeps();
	ASSERT_EQ(0, wait_unread(self->scope.fd, 32, PATIENCE_MS));
	EXPECT_EQ(32, ring_unread(&self->scope));
	EXPECT_GT(before + 8, sleeps());
}

TEST_F(help, two_waiters_for_different_counts_are_both_woken)
{
	struct kscope_desc descs[3] = { desc_sleep(1, in_ms(20)),
					desc_sleep(2, in_ms(40)),
					desc_sleep(3, in_ms(60)) };
	pid_t pid;

	ASSERT_EQ(3, spawn(self->scope.fd, descs, 3));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(wait_unread(self->scope.fd, 1, PATIENCE_MS) != 0);
	EXPECT_EQ(0, wait_unread(self->scope.fd, 3, PATIENCE_MS));
	EXPECT_EQ(3, ring_unread(&self->scope));
	EXPECT_EQ(0, child_wait(pid));
}

/* A long queue of one scope holds up a child of another for no more than a lane's budget. */
TEST(queue_of_one_scope_does_not_hold_up_another)
{
	enum { LONG = 65536 };
	struct kscope_scope_create arg = { .flags = KSCOPE_SCOPE_NO_HELP,
					   .capacity = LONG };
	struct kscope_desc *descs = calloc(LONG, sizeof(*descs));
	struct kscope_desc nop = desc_nop(1);
	struct scope hog, other;
	unsigned int before, after;
	char *mem = map_anon(PAGE);

	ASSERT_NE(NULL, descs);
	ASSERT_EQ(0, scope_map(&hog, scope_create(&arg), &arg));
	arg.capacity = 1;
	ASSERT_EQ(0, scope_map(&other, scope_create(&arg), &arg));
	make_pieces(descs, LONG, buf_pin(hog.fd, mem, PAGE, 0), PAGE);
	ASSERT_EQ(LONG, spawn(hog.fd, descs, LONG));
	before = ring_unread(&hog);
	ASSERT_EQ(1, spawn_arg(other.fd, &nop, NULL, 1, 1, 0));
	after = ring_unread(&hog);
	if (before > LONG / 2)
		SKIP(goto out, "the queue was not long enough");
	EXPECT_GT(before + LONG / 4, after);
out:
	EXPECT_EQ(0, scope_close(&hog));
	EXPECT_EQ(0, scope_close(&other));
	free(descs);
	munmap(mem, PAGE);
}

TEST_HARNESS_MAIN

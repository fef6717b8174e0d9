// SPDX-License-Identifier: GPL-2.0
/*
 * Cancelling: before the start, while running, after the end, twice, by user_data and
 * the whole scope. Whatever happens, each child leaves exactly one completion.
 */
#include "kselftest_harness.h"
#include "kscope_sys.h"

#define CAPACITY 256
#define MANY 10000
#define BIG (16UL << 20)

FIXTURE(cancel)
{
	struct scope scope;
	struct kscope_cancel counts;
	struct kscope_completion c;
	__u64 handles[CAPACITY];
};

FIXTURE_VARIANT(cancel)
{
	unsigned int kind;
};

FIXTURE_VARIANT_ADD(cancel, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(cancel, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

FIXTURE_SETUP(cancel)
{
	ASSERT_EQ(0, scope_open(&self->scope, variant->kind, CAPACITY));
}

FIXTURE_TEARDOWN(cancel)
{
	EXPECT_EQ(0, scope_close(&self->scope));
}

/*
 * Occupy all that can run, so that each SLEEP that comes behind is queued; how many
 * it took. Their user_data is 1000.
 */
static int occupy(FIXTURE_DATA(cancel) * self, unsigned int kind)
{
	struct kscope_info info;
	unsigned int nr = 1, i;

	if (dev_info(&info))
		return -1;
	if (kind == KSCOPE_KIND_PARALLEL)
		nr = info.max_blocking;
	for (i = 0; i < nr; i++)
		if (spawn_one(self->scope.fd, desc_sleep(1000, far_future()),
			      &self->handles[i]) != 1)
			return -1;
	return wait_running(self->scope.fd, nr) ? -1 : (int)nr;
}

static int cancel_it(FIXTURE_DATA(cancel) * self, unsigned int what,
		     __u64 target)
{
	return cancel_arg(self->scope.fd, what, target, &self->counts);
}

#define EXPECT_COUNTS(want_never, want_told, want_already)         \
	do {                                                       \
		EXPECT_EQ(want_never, self->counts.never_started); \
		EXPECT_EQ(want_told, self->counts.told);           \
		EXPECT_EQ(want_already, self->counts.already);     \
	} while (0)

static void expect_stopped(struct __test_metadata *_metadata,
			   const struct kscope_completion *c, __u64 handle,
			   unsigned int outcome, unsigned int cause)
{
	EXPECT_EQ(handle, c->child);
	EXPECT_EQ(-ECANCELED, c->status);
	EXPECT_EQ(outcome, c->outcome);
	EXPECT_EQ(cause, c->cause);
	EXPECT_EQ(0, c->done);
	EXPECT_EQ(0, c->value);
}

TEST_F(cancel, running_child_is_told_and_stops)
{
	__u64 handle;

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(7, far_future()),
			       &handle));
	ASSERT_EQ(0, wait_running(self->scope.fd, 1));
	/* It is running before it sleeps, and sees a cancel then without being woken. */
	usleep(50000);
	EXPECT_EQ(0, cancel_it(self, KSCOPE_CANCEL_CHILD, handle));
	EXPECT_COUNTS(0, 1, 0);
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(7, self->c.user_data);
	expect_stopped(_metadata, &self->c, handle, KSCOPE_STOPPED,
		       KSCOPE_CAUSE_CALLER);
	EXPECT_EQ(0, ring_unread(&self->scope));
}

TEST_F(cancel, queued_child_never_starts_and_its_completion_is_there_at_once)
{
	__u64 handle;
	int nr = occupy(self, variant->kind);

	ASSERT_LT(0, nr);
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(7, 0), &handle));
	EXPECT_EQ(0, cancel_it(self, KSCOPE_CANCEL_CHILD, handle));
	EXPECT_COUNTS(1, 0, 0);
	EXPECT_EQ(1, ring_unread(&self->scope));
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(7, self->c.user_data);
	expect_stopped(_metadata, &self->c, handle, KSCOPE_NEVER_STARTED,
		       KSCOPE_CAUSE_CALLER);
	EXPECT_EQ(-ENOENT, cancel_it(self, KSCOPE_CANCEL_CHILD, handle));
	EXPECT_EQ(0, ring_unread(&self->scope));
}

TEST_F(cancel, child_that_has_ended_is_enoent)
{
	__u64 handle;

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(1), &handle));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(-ENOENT, cancel_it(self, KSCOPE_CANCEL_CHILD, handle));
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
	EXPECT_EQ(KSCOPE_CAUSE_NONE, self->c.cause);
	EXPECT_EQ(-ENOENT, cancel_it(self, KSCOPE_CANCEL_CHILD, handle));
	EXPECT_EQ(0, ring_unread(&self->scope));
}

TEST_F(cancel, child_that_never_was_is_enoent)
{
	static const __u64 handles[] = { 0, 1, ~0ULL, 1ULL << 63, 0xffffffff };
	__u64 live;
	size_t i;

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(1, far_future()),
			       &live));
	for (i = 0; i < ARRAY_SIZE(handles); i++) {
		EXPECT_EQ(-ENOENT,
			  cancel_it(self, KSCOPE_CANCEL_CHILD, handles[i]));
	}
	for (i = 0; i < 64; i++) {
		EXPECT_EQ(-ENOENT, cancel_it(self, KSCOPE_CANCEL_CHILD,
					     live ^ (1ULL << i)));
	}
	EXPECT_EQ(0, cancel_it(self, KSCOPE_CANCEL_CHILD, live));
	ASSERT_EQ(0, join(self->scope.fd));
}

TEST_F(cancel, second_cancel_is_ealready_or_enoent_and_changes_nothing)
{
	__u64 handle;
	int i, ret;

	for (i = 0; i < 100; i++) {
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_sleep(1, far_future()), &handle));
		ASSERT_EQ(0, wait_running(self->scope.fd, 1));
		ASSERT_EQ(0, cancel_it(self, KSCOPE_CANCEL_CHILD, handle));
		ret = cancel_it(self, KSCOPE_CANCEL_CHILD, handle);
		EXPECT_TRUE(ret == -EALREADY || ret == -ENOENT)
		TH_LOG("returned %d", ret);
		ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
		expect_stopped(_metadata, &self->c, handle, KSCOPE_STOPPED,
			       KSCOPE_CAUSE_CALLER);
		EXPECT_EQ(-ENOENT,
			  cancel_it(self, KSCOPE_CANCEL_CHILD, handle));
		EXPECT_EQ(0, ring_unread(&self->scope));
	}
}

TEST_F(cancel, all_with_a_user_data_and_no_others)
{
	int nr = occupy(self, variant->kind), i;
	unsigned int never = 0;

	ASSERT_LT(0, nr);
	for (i = 0; i < 30; i++) {
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_sleep(i % 3, far_future()), NULL));
	}
	EXPECT_EQ(-ENOENT, cancel_it(self, KSCOPE_CANCEL_USER_DATA, 3));
	EXPECT_EQ(0, cancel_it(self, KSCOPE_CANCEL_USER_DATA, 1));
	EXPECT_COUNTS(10, 0, 0);
	EXPECT_EQ(10, ring_unread(&self->scope));
	while (reap(&self->scope, &self->c)) {
		EXPECT_EQ(1, self->c.user_data);
		EXPECT_EQ(KSCOPE_NEVER_STARTED, self->c.outcome);
		never++;
	}
	EXPECT_EQ(10, never);
	EXPECT_EQ(-ENOENT, cancel_it(self, KSCOPE_CANCEL_USER_DATA, 1));
	EXPECT_EQ(0, cancel_it(self, KSCOPE_CANCEL_USER_DATA, 2));
	EXPECT_COUNTS(10, 0, 0);
	EXPECT_EQ(0, cancel_it(self, KSCOPE_CANCEL_USER_DATA, 1000));
	EXPECT_EQ(nr, self->counts.told);
}

TEST_F(cancel, all_that_borrow_a_buffer_and_no_others)
{
	int nr = occupy(self, variant->kind), i, a, b, queued = 0;
	char *mem = map_anon(2 * PAGE);
	struct kscope_desc desc;

	ASSERT_LT(0, nr);
	a = buf_pin(self->scope.fd, mem, PAGE, 0);
	b = buf_pin(self->scope.fd, mem + PAGE, PAGE, 0);
	EXPECT_EQ(-ENOENT, cancel_it(self, KSCOPE_CANCEL_BUF, a));
	/* In an ordered scope they wait behind the sleeper; else for a file that may block. */
	for (i = 0; i < 30; i++) {
		desc = desc_file(KSCOPE_OP_READ, 0, 0, i % 3 ? a : b, i, 1);
		desc.fd = memfd_create("cancel", MFD_CLOEXEC);
		desc.user_data = i % 3;
		queued += spawn_one(self->scope.fd, desc, NULL) == 1;
		close(desc.fd);
	}
	ASSERT_EQ(30, queued);
	/* One that borrows both, and one that borrows none; in an ordered scope they wait. */
	desc = desc_two(KSCOPE_OP_COPY, b, 0, a, 0, 1);
	desc.user_data = 1;
	if (variant->kind == KSCOPE_KIND_ORDERED) {
		ASSERT_EQ(1, spawn_one(self->scope.fd, desc, NULL));
		ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(0), NULL));
	}
	EXPECT_EQ(-ENOENT, cancel_it(self, KSCOPE_CANCEL_BUF, 1ULL << 32 | a));
	EXPECT_EQ(-ENOENT, cancel_it(self, KSCOPE_CANCEL_BUF, 0));
	EXPECT_EQ(-EBUSY, buf_unpin(self->scope.fd, a));
	EXPECT_EQ(0, cancel_it(self, KSCOPE_CANCEL_BUF, a));
	queued = variant->kind == KSCOPE_KIND_ORDERED ? 21 : 20;
	EXPECT_COUNTS(queued, 0, 0);
	EXPECT_EQ(queued, ring_unread(&self->scope));
	while (reap(&self->scope, &self->c)) {
		EXPECT_LT(0, self->c.user_data);
		EXPECT_EQ(KSCOPE_NEVER_STARTED, self->c.outcome);
		EXPECT_EQ(KSCOPE_CAUSE_CALLER, self->c.cause);
	}
	EXPECT_EQ(0, buf_unpin(self->scope.fd, a));
	EXPECT_EQ(-ENOENT, cancel_it(self, KSCOPE_CANCEL_BUF, a));
	EXPECT_EQ(-EBUSY, buf_unpin(self->scope.fd, b));
	EXPECT_EQ(0, cancel_it(self, KSCOPE_CANCEL_BUF, b));
	EXPECT_COUNTS(10, 0, 0);
	munmap(mem, 2 * PAGE);
}

TEST_F(cancel, scope_takes_no_more_children_and_tells_those_it_has)
{
	int nr = occupy(self, variant->kind), i;
	unsigned int never = 0, stopped = 0;
	struct kscope_query q;

	ASSERT_LT(0, nr);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_sleep(i, far_future()), NULL));
	}
	EXPECT_EQ(0, cancel_it(self, KSCOPE_CANCEL_SCOPE, 0));
	EXPECT_COUNTS(20, nr, 0);
	EXPECT_EQ(-ECANCELED, spawn_one(self->scope.fd, desc_nop(1), NULL));
	ASSERT_EQ(0, join(self->scope.fd));
	while (reap(&self->scope, &self->c)) {
		EXPECT_EQ(-ECANCELED, self->c.status);
		EXPECT_EQ(KSCOPE_CAUSE_CALLER, self->c.cause);
		never += self->c.outcome == KSCOPE_NEVER_STARTED;
		stopped += self->c.outcome == KSCOPE_STOPPED;
	}
	EXPECT_EQ(20, never);
	EXPECT_EQ(nr, stopped);
	ASSERT_EQ(0, query(self->scope.fd, &q));
	EXPECT_EQ(KSCOPE_SCOPE_CANCELLED, q.state);
	EXPECT_EQ(20 + nr, q.cancelled);
	EXPECT_EQ(0, q.failed);
	/* Again: nothing is left to tell, and it can still be released. */
	EXPECT_EQ(0, cancel_it(self, KSCOPE_CANCEL_SCOPE, 0));
	EXPECT_COUNTS(0, 0, 0);
	EXPECT_EQ(-ECANCELED, spawn_one(self->scope.fd, desc_nop(1), NULL));
	EXPECT_EQ(0, release(self->scope.fd));
}

TEST_F(cancel, cancelled_scope_refuses_what_would_add_to_it)
{
	void *page = map_anon(PAGE);

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, cancel_it(self, KSCOPE_CANCEL_SCOPE, 0));
	EXPECT_EQ(-ECANCELED, buf_pin(self->scope.fd, page, PAGE, 0));
	EXPECT_EQ(-ECANCELED, hash_open(self->scope.fd, "sha256"));
	munmap(page, PAGE);
}

TEST_F(cancel, empty_scope_can_be_cancelled)
{
	EXPECT_EQ(0, cancel_it(self, KSCOPE_CANCEL_SCOPE, 0));
	EXPECT_COUNTS(0, 0, 0);
	EXPECT_EQ(0, ring_unread(&self->scope));
}

TEST_F(cancel, full_ring_does_not_hinder_a_cancel)
{
	struct kscope_desc descs[CAPACITY];
	unsigned int i;

	for (i = 0; i < CAPACITY; i++)
		descs[i] = i < CAPACITY / 2 ? desc_nop(i) :
					      desc_sleep(i, far_future());
	ASSERT_EQ(CAPACITY, spawn(self->scope.fd, descs, CAPACITY));
	ASSERT_EQ(-EAGAIN, spawn_one(self->scope.fd, desc_nop(1), NULL));
	ASSERT_EQ(0, cancel_it(self, KSCOPE_CANCEL_SCOPE, 0));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(CAPACITY, ring_unread(&self->scope));
}

/* A child that computes for long enough to be met by a cancel, again and again. */
TEST_F(cancel, computing_child_stops_part_way_with_a_valid_prefix)
{
	unsigned char *mem = map_anon(BIG);
	unsigned int tries, stopped = 0;
	__u64 handle;
	int buf, ret;

	ASSERT_NE(MAP_FAILED, mem);
	buf = buf_pin(self->scope.fd, mem, BIG, 0);
	ASSERT_LT(0, buf);
	for (tries = 0; tries < 200 && stopped < 3; tries++) {
		memset(mem, 0, BIG);
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_fill(buf, 0, BIG, ~0ULL), &handle));
		/* Let it begin: its first bytes are visible. */
		while (!*(volatile unsigned char *)mem &&
		       !ring_unread(&self->scope))
			;
		ret = cancel_it(self, KSCOPE_CANCEL_CHILD, handle);
		ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
		EXPECT_EQ(handle, self->c.child);
		if (ret == -ENOENT) {
			EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
			EXPECT_EQ(BIG, self->c.done);
			continue;
		}
		ASSERT_EQ(0, ret);
		EXPECT_COUNTS(0, 1, 0);
		EXPECT_EQ(KSCOPE_CAUSE_CALLER, self->c.cause);
		EXPECT_TRUE(bytes_are(mem, self->c.done, 0xff));
		if (self->c.outcome == KSCOPE_FINISHED_ANYWAY) {
			EXPECT_EQ(0, self->c.status);
			EXPECT_EQ(BIG, self->c.done);
			continue;
		}
		EXPECT_EQ(KSCOPE_STOPPED, self->c.outcome);
		EXPECT_EQ(-ECANCELED, self->c.status);
		EXPECT_GT(BIG, self->c.done);
		/* Nothing is written any more beyond the step it was in. */
		EXPECT_TRUE(
			bytes_are(mem + self->c.done + 65536 + PAGE,
				  self->c.done + 65536 + PAGE < BIG ?
					  BIG - self->c.done - 65536 - PAGE :
					  0,
				  0));
		stopped++;
	}
	EXPECT_EQ(3, stopped) TH_LOG("after %u tries", tries);
	munmap(mem, BIG);
}

TEST(ten_thousand_queued_children_are_cancelled_in_no_time)
{
	struct kscope_desc *descs = calloc(MANY + 1, sizeof(*descs));
	unsigned char *seen = calloc(1, MANY + 1);
	struct kscope_completion c;
	struct kscope_cancel counts;
	struct scope scope;
	unsigned int i;
	__u64 start;

	ASSERT_EQ(0, scope_open(&scope, KSCOPE_KIND_ORDERED, MANY + 1));
	for (i = 0; i <= MANY; i++)
		descs[i] = i ? desc_nop(i) : desc_sleep(i, far_future());
	ASSERT_EQ(MANY + 1, spawn(scope.fd, descs, MANY + 1));
	ASSERT_EQ(0, wait_running(scope.fd, 1));
	start = now_ns();
	ASSERT_EQ(0, cancel_arg(scope.fd, KSCOPE_CANCEL_SCOPE, 0, &counts));
	ASSERT_EQ(0, join(scope.fd));
	EXPECT_GT(start + promptly(), now_ns());
	EXPECT_EQ(MANY, counts.never_started);
	EXPECT_EQ(1, counts.told);
	EXPECT_EQ(MANY + 1, ring_unread(&scope));
	while (reap(&scope, &c)) {
		ASSERT_GE(MANY, c.user_data);
		EXPECT_EQ(0, seen[c.user_data]++);
		EXPECT_EQ(c.user_data ? KSCOPE_NEVER_STARTED : KSCOPE_STOPPED,
			  c.outcome);
	}
	for (i = 0; i <= MANY; i++) {
		EXPECT_EQ(1, seen[i]);
	}
	EXPECT_EQ(0, scope_close(&scope));
	free(descs);
	free(seen);
}

TEST(thousands_with_one_user_data_are_cancelled_in_one_call)
{
	struct kscope_desc *descs = calloc(MANY + 1, sizeof(*descs));
	struct kscope_cancel counts;
	struct scope scope;
	unsigned int i;

	ASSERT_EQ(0, scope_open(&scope, KSCOPE_KIND_ORDERED, MANY + 1));
	for (i = 0; i <= MANY; i++)
		descs[i] = i ? desc_nop(i % 2) : desc_sleep(5, far_future());
	ASSERT_EQ(MANY + 1, spawn(scope.fd, descs, MANY + 1));
	ASSERT_EQ(0, wait_running(scope.fd, 1));
	ASSERT_EQ(0, cancel_arg(scope.fd, KSCOPE_CANCEL_USER_DATA, 1, &counts));
	EXPECT_EQ(MANY / 2, counts.never_started);
	EXPECT_EQ(MANY / 2, ring_unread(&scope));
	ASSERT_EQ(0, cancel_arg(scope.fd, KSCOPE_CANCEL_USER_DATA, 5, &counts));
	ASSERT_EQ(0, join(scope.fd));
	EXPECT_EQ(MANY + 1, ring_unread(&scope));
	EXPECT_EQ(0, scope_close(&scope));
	free(descs);
}

TEST_HARNESS_MAIN

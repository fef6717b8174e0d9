// SPDX-License-Identifier: GPL-2.0
/*
 * Leases on ranges: what is written excludes all else on the same bytes, from the moment a child is
 * accepted to its end, and who is refused is told by whom. At last random children and callers,
 * beside an oracle that knows for each byte who has it.
 */
#include <pthread.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

#define LEN 4096U
#define NR_OPS 100000

FIXTURE(lease)
{
	struct scope scope;
	struct kscope_completion c;
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	unsigned int nr_blockers;
	unsigned char *mem;
	int file;
	int a, b; /* buffers, a page each */
};

FIXTURE_VARIANT(lease)
{
	unsigned int kind;
};

FIXTURE_VARIANT_ADD(lease, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(lease, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

/* Let nothing that may block start any more, so that reads and writes keep their leases. */
static int occupy(FIXTURE_DATA(lease) * self, unsigned int kind)
{
	struct kscope_info info;
	unsigned int nr = 1, i;

	if (dev_info(&info))
		return -1;
	if (kind == KSCOPE_KIND_PARALLEL)
		nr = info.max_blocking;
	for (i = 0; i < nr; i++)
		if (spawn_one(self->scope.fd, desc_sleep(1000, far_future()),
			      NULL) != 1)
			return -1;
	return wait_running(self->scope.fd, nr);
}

FIXTURE_SETUP(lease)
{
	ASSERT_EQ(0, scope_open(&self->scope, variant->kind, 1024));
	self->mem = map_anon(2 * LEN);
	self->a = buf_pin(self->scope.fd, self->mem, LEN, 0);
	self->b = buf_pin(self->scope.fd, self->mem + LEN, LEN, 0);
	ASSERT_LT(0, self->a);
	ASSERT_LT(0, self->b);
	self->file = memfd_create("lease", MFD_CLOEXEC);
	ASSERT_EQ(0, occupy(self, variant->kind));
}

FIXTURE_TEARDOWN(lease)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	close(self->file);
	munmap(self->mem, 2 * LEN);
}

/* A child that has a lease on a range and does not start: 1, or why it is refused */
static int hold(FIXTURE_DATA(lease) * self, bool exclusive, int buf, __u64 off,
		__u64 len, __u64 *handle)
{
	unsigned int op = exclusive ? KSCOPE_OP_READ : KSCOPE_OP_WRITE;

	return spawn_one(self->scope.fd,
			 desc_file(op, self->file, 0, buf, off, len), handle);
}

/* What a child that wants a range is told, by whom; if it is accepted, it ends in between. */
static int try(FIXTURE_DATA(lease) * self, struct kscope_desc desc)
{
	unsigned int unread = ring_unread(&self->scope);
	int ret;

	self->nr_blockers = KSCOPE_MAX_BLOCKERS;
	ret = spawn_blockers(self->scope.fd, desc, self->blockers,
			     &self->nr_blockers);
	if (ret == 1)
		wait_unread(self->scope.fd, unread + 1, PATIENCE_MS);
	return ret;
}

static int try_write(FIXTURE_DATA(lease) * self, int buf, __u64 off, __u64 len)
{
	return try(self, desc_fill(buf, off, len, 0));
}

static int try_read(FIXTURE_DATA(lease) * self, int buf, __u64 off, __u64 len)
{
	return try(self, desc_crc32c(buf, off, len, 0));
}

TEST_F(lease, what_is_written_excludes_all_else_on_the_same_bytes)
{
	__u64 handle;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "children take turns");
	ASSERT_EQ(1, hold(self, true, self->a, 100, 50, &handle));
	EXPECT_EQ(-EBUSY, try_write(self, self->a, 149, 1));
	EXPECT_EQ(-EBUSY, try_write(self, self->a, 0, 101));
	EXPECT_EQ(-EBUSY, try_read(self, self->a, 0, LEN));
	EXPECT_EQ(-EBUSY, try_read(self, self->a, 120, 1));
	EXPECT_EQ(-EBUSY, hold(self, true, self->a, 100, 50, NULL));
	EXPECT_EQ(1, try_write(self, self->a, 0, 100));
	EXPECT_EQ(1, try_write(self, self->a, 150, LEN - 150));
	EXPECT_EQ(1, try_read(self, self->a, 0, 100));
	EXPECT_EQ(1, try_write(self, self->b, 0, LEN));
	EXPECT_EQ(0, cancel_child(self->scope.fd, handle));
	EXPECT_EQ(1, try_write(self, self->a, 0, LEN));
	EXPECT_EQ(1, try_read(self, self->a, 0, LEN));
}

TEST_F(lease, what_is_read_excludes_only_what_is_written)
{
	__u64 one, two;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "children take turns");
	ASSERT_EQ(1, hold(self, false, self->a, 100, 50, &one));
	ASSERT_EQ(1, hold(self, false, self->a, 100, 50, &two));
	EXPECT_EQ(1, try_read(self, self->a, 0, LEN));
	EXPECT_EQ(1, try_read(self, self->a, 149, 1));
	EXPECT_EQ(-EBUSY, try_write(self, self->a, 149, 1));
	EXPECT_EQ(2, self->nr_blockers);
	EXPECT_EQ(0, cancel_child(self->scope.fd, one));
	EXPECT_EQ(-EBUSY, try_write(self, self->a, 149, 1));
	EXPECT_EQ(1, self->nr_blockers);
	EXPECT_EQ(0, cancel_child(self->scope.fd, two));
	EXPECT_EQ(1, try_write(self, self->a, 149, 1));
}

TEST_F(lease, all_of_a_buffer_is_a_range_too)
{
	__u64 handle;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "children take turns");
	ASSERT_EQ(1, hold(self, false, self->a, 0, LEN, &handle));
	EXPECT_EQ(1, try_read(self, self->a, 0, LEN));
	EXPECT_EQ(1, try_read(self, self->a, 5, 5));
	EXPECT_EQ(-EBUSY, try_write(self, self->a, LEN - 1, 1));
	ASSERT_EQ(1, self->nr_blockers);
	EXPECT_EQ(handle, self->blockers[0].child);
	EXPECT_EQ(1, try_write(self, self->b, LEN - 1, 1));
	EXPECT_EQ(0, cancel_child(self->scope.fd, handle));
	EXPECT_EQ(1, try_write(self, self->a, LEN - 1, 1));
	ASSERT_EQ(1, hold(self, true, self->a, 0, LEN, &handle));
	EXPECT_EQ(-EBUSY, try_read(self, self->a, 0, LEN));
	EXPECT_EQ(-EBUSY, try_read(self, self->a, 7, 1));
}

TEST_F(lease, nothing_excludes_nobody_but_keeps_the_buffer)
{
	__u64 handle;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "children take turns");
	ASSERT_EQ(1, hold(self, true, self->a, 10, 0, &handle));
	EXPECT_EQ(1, try_write(self, self->a, 0, LEN));
	self->nr_blockers = 1;
	EXPECT_EQ(-EBUSY,
		  buf_unpin_blockers(self->scope.fd, self->a, self->blockers,
				     &self->nr_blockers));
	ASSERT_EQ(1, self->nr_blockers);
	EXPECT_EQ(handle, self->blockers[0].child);
	EXPECT_EQ(0, self->blockers[0].len);
}

TEST_F(lease, both_ranges_of_a_child_count)
{
	struct kscope_desc desc;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "children take turns");
	ASSERT_EQ(1, hold(self, true, self->b, 100, 50, NULL));
	desc = desc_two(KSCOPE_OP_COPY, self->a, 0, self->b, 140, 10);
	EXPECT_EQ(-EBUSY, try(self, desc));
	desc.off2 = 150;
	EXPECT_EQ(1, try(self, desc));
	desc = desc_two(KSCOPE_OP_COMPARE, self->a, 0, self->b, 91, 10);
	EXPECT_EQ(-EBUSY, try(self, desc));
	desc = desc_two(KSCOPE_OP_COPY, self->b, 91, self->a, 0, 10);
	EXPECT_EQ(-EBUSY, try(self, desc));
	desc.off = 90;
	EXPECT_EQ(1, try(self, desc));
	/* What was refused for its second range has not kept its first. */
	EXPECT_EQ(1, try_write(self, self->a, 0, LEN));
}

TEST_F(lease, a_digest_is_written_where_it_goes)
{
	int hash = hash_open(self->scope.fd, "sha256");
	struct kscope_desc desc;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "children take turns");
	ASSERT_LT(0, hash);
	ASSERT_EQ(1, hold(self, false, self->b, 100, 1, NULL));
	desc = desc_hash(hash, KSCOPE_HASH_ALL, self->a, 0, 1, self->b, 69);
	EXPECT_EQ(-EBUSY, try(self, desc));
	desc.off2 = 68; /* 32 bytes */
	EXPECT_EQ(1, try(self, desc));
	desc.off2 = 101;
	EXPECT_EQ(1, try(self, desc));
}

TEST_F(lease, in_an_ordered_scope_children_are_in_nobodys_way)
{
	struct kscope_join result;
	unsigned int i;

	if (variant->kind != KSCOPE_KIND_ORDERED)
		SKIP(return, "not ordered");
	EXPECT_EQ(1, hold(self, true, self->a, 0, LEN, NULL));
	for (i = 1; i <= 3; i++)
		EXPECT_EQ(1, spawn_one(self->scope.fd,
				       desc_fill(self->a, 0, LEN, i), NULL));
	EXPECT_EQ(1, spawn_one(self->scope.fd,
			       desc_two(KSCOPE_OP_COPY, self->a, 0, self->b, 0,
					LEN),
			       NULL));
	cancel_arg(self->scope.fd, KSCOPE_CANCEL_USER_DATA, 1000,
		   &(struct kscope_cancel){});
	EXPECT_EQ(0, join_arg(self->scope.fd, in_ms(PATIENCE_MS), &result));
	EXPECT_EQ(3, self->mem[LEN]);
}

TEST_F(lease, refusal_says_who_is_in_the_way_and_changes_nothing)
{
	struct kscope_query before, after;
	__u64 handle;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "children take turns");
	ASSERT_EQ(1, hold(self, true, self->a, 100, 50, &handle));
	ASSERT_EQ(0, query(self->scope.fd, &before));
	EXPECT_EQ(-EBUSY, try_write(self, self->a, 0, LEN));
	ASSERT_EQ(1, self->nr_blockers);
	EXPECT_EQ(handle, self->blockers[0].child);
	EXPECT_EQ(KSCOPE_OP_READ, self->blockers[0].op);
	EXPECT_EQ(KSCOPE_STATE_QUEUED, self->blockers[0].state);
	EXPECT_EQ(self->a, self->blockers[0].buf);
	EXPECT_EQ(100, self->blockers[0].off);
	EXPECT_EQ(50, self->blockers[0].len);
	ASSERT_EQ(0, query(self->scope.fd, &after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
}

TEST_F(lease, one_that_is_in_the_way_twice_is_named_once)
{
	struct kscope_desc desc =
		desc_two(KSCOPE_OP_XOR, self->a, 0, self->b, 0, LEN);
	unsigned int i, j;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "children take turns");
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(1, hold(self, true, self->a, i, 1, NULL));
		EXPECT_EQ(1, hold(self, true, self->b, i, 1, NULL));
	}
	EXPECT_EQ(-EBUSY, try(self, desc));
	EXPECT_EQ(8, self->nr_blockers);
	for (i = 0; i < 8; i++)
		for (j = 0; j < i; j++)
			EXPECT_NE(self->blockers[i].child,
				  self->blockers[j].child);
	EXPECT_EQ(1, hold(self, true, self->b, i, 1, NULL));
	EXPECT_EQ(-EBUSY, try(self, desc));
	EXPECT_EQ(8, self->nr_blockers);
}

TEST_F(lease, a_batch_stops_at_the_first_that_is_refused)
{
	struct kscope_desc descs[3] = {
		desc_fill(self->a, 0, 100, 1),
		desc_fill(self->a, 99, 100, 2),
		desc_fill(self->a, 500, 100, 3),
	};
	struct kscope_desc *held = &descs[0];
	__u64 handles[3] = {};

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "children take turns");
	*held = desc_file(KSCOPE_OP_READ, self->file, 0, self->a, 0, 100);
	EXPECT_EQ(1, spawn(self->scope.fd, descs, 3));
	EXPECT_EQ(-EBUSY, spawn(self->scope.fd, descs + 1, 2));
	EXPECT_EQ(-EBUSY,
		  spawn_arg(self->scope.fd, descs + 1, handles, 2, 0, 0));
	EXPECT_EQ(0, handles[0]);
	EXPECT_EQ(1, spawn(self->scope.fd, descs + 2, 1));
}

TEST_F(lease, room_for_blockers_is_checked_and_may_be_missing)
{
	struct kscope_desc desc = desc_fill(self->a, 0, 1, 0);
	struct kscope_spawn arg = { .size = sizeof(arg),
				    .descs = to_u64(&desc),
				    .nr = 1 };

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "children take turns");
	ASSERT_EQ(1, hold(self, true, self->a, 0, LEN, NULL));
	arg.nr_blockers = KSCOPE_MAX_BLOCKERS + 1;
	arg.blockers = to_u64(self->blockers);
	EXPECT_EQ(-EINVAL, xioctl(self->scope.fd, KSCOPE_IOC_SPAWN, &arg));
	arg.nr_blockers = 1;
	arg.blockers = 8;
	EXPECT_EQ(-EFAULT, xioctl(self->scope.fd, KSCOPE_IOC_SPAWN, &arg));
	arg.blockers = 0;
	EXPECT_EQ(-EBUSY, xioctl(self->scope.fd, KSCOPE_IOC_SPAWN, &arg));
	EXPECT_EQ(0, arg.nr_blockers);
}

/* Nobody has looked for them before, and there are more than a row has room for. */
TEST_F(lease, ranges_in_order_are_found_wherever_they_are)
{
	const unsigned int nr = 700, gone[] = { 0, 1, 300, 511, 512, 699 };
	__u64 handles[nr];
	unsigned int i;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "children take turns");
	for (i = 0; i < nr; i++)
		ASSERT_EQ(1,
			  hold(self, i < 650, self->a, 2 * i, 1, &handles[i]));
	for (i = 0; i < ARRAY_SIZE(gone); i++) {
		ASSERT_EQ(0, cancel_child(self->scope.fd, handles[gone[i]]));
		handles[gone[i]] = 0;
	}
	EXPECT_EQ(1, try_write(self, self->a, 2 * nr, 1));
	for (i = 0; i < nr; i++) {
		EXPECT_EQ(1, try_write(self, self->a, 2 * i + 1, 1));
		while (reap(&self->scope, &self->c))
			;
		if (!handles[i]) {
			EXPECT_EQ(1, try_write(self, self->a, 2 * i, 1));
			continue;
		}
		EXPECT_EQ(-EBUSY, try_write(self, self->a, 2 * i, 1));
		ASSERT_EQ(1, self->nr_blockers);
		EXPECT_EQ(handles[i], self->blockers[0].child);
	}
	for (i = 0; i < nr; i++)
		if (handles[i])
			EXPECT_EQ(0, cancel_child(self->scope.fd, handles[i]));
	EXPECT_EQ(1, try_write(self, self->a, 0, LEN));
}

/* The same bytes one after the other, by one call */
TEST(inline_children_are_not_in_each_others_way)
{
	struct kscope_desc descs[12];
	unsigned char *mem = map_anon(2 * LEN);
	struct kscope_completion c;
	struct scope scope;
	unsigned int i;
	int a, b;

	ASSERT_EQ(0, scope_open(&scope, KSCOPE_KIND_INLINE, 64));
	a = buf_pin(scope.fd, mem, LEN, 0);
	b = buf_pin(scope.fd, mem + LEN, LEN, 0);
	ASSERT_LT(0, a);
	ASSERT_LT(0, b);
	for (i = 0; i < 12; i += 3) {
		descs[i] = desc_fill(a, 0, LEN, i + 1);
		descs[i + 1] = desc_two(KSCOPE_OP_XOR, a, 0, b, 0, LEN);
		descs[i + 2] = desc_crc32c(b, 0, LEN, 0);
	}
	EXPECT_EQ(12, spawn(scope.fd, descs, 12));
	for (i = 0; i < 12; i++) {
		ASSERT_TRUE(reap(&scope, &c));
		EXPECT_EQ(0, c.status);
	}
	EXPECT_EQ(1 ^ 4 ^ 7 ^ 10, mem[LEN]);
	EXPECT_EQ(0, scope_close(&scope));
	munmap(mem, 2 * LEN);
}

/*
 * The oracle. It knows a few leases, each of a child that does not start or of the caller,
 * and how many of each kind there are on each byte.
 */
#define MAX_HELD 64
#define BYTES 64U /* few, so that they meet often */

struct held {
	bool lent;
	bool exclusive;
	unsigned int buf, off, len;
	__u64 handle;
};

struct oracle {
	struct held held[MAX_HELD];
	unsigned int nr;
};

static bool meets(const struct held *a, const struct held *b)
{
	return a->buf == b->buf && (a->exclusive || b->exclusive) && a->len &&
	       b->len && a->off < b->off + b->len && b->off < a->off + a->len;
}

static unsigned int in_the_way(const struct oracle *oracle,
			       const struct held *want)
{
	unsigned int i, nr = 0;

	for (i = 0; i < oracle->nr; i++)
		nr += meets(&oracle->held[i], want);
	return nr;
}

static bool names_one(const struct oracle *oracle, const struct held *want,
		      const struct kscope_blocker *blocker)
{
	unsigned int i;

	for (i = 0; i < oracle->nr; i++) {
		const struct held *held = &oracle->held[i];

		if (held->lent != !blocker->child)
			continue;
		if (held->handle ==
		    (held->lent ? blocker->user_data : blocker->child))
			return meets(held, want);
	}
	return false;
}

static struct held random_want(FIXTURE_DATA(lease) * self)
{
	struct held want = { .lent = !(rand() % 4),
			     .exclusive = rand() % 2,
			     .buf = rand() % 2 ? self->a : self->b };

	want.off = rand() % BYTES;
	want.len = rand() % (BYTES - want.off + 1);
	if (!(rand() % 8)) {
		want.off = 0;
		want.len = LEN;
	}
	if (want.lent && !want.len)
		want.len = 1;
	return want;
}

/* Return: 0 if the lease was given, or -errno */
static int ask(FIXTURE_DATA(lease) * self, struct held *want)
{
	struct kscope_borrow arg = {
		.buf = want->buf,
		.access = want->exclusive ? KSCOPE_ACCESS_WRITE :
					    KSCOPE_ACCESS_READ,
		.off = want->off,
		.len = want->len,
		.blockers = to_u64(self->blockers),
		.nr_blockers = KSCOPE_MAX_BLOCKERS,
	};
	struct kscope_desc desc =
		desc_file(want->exclusive ? KSCOPE_OP_READ : KSCOPE_OP_WRITE,
			  self->file, 0, want->buf, want->off, want->len);
	struct kscope_spawn spawn = { .size = sizeof(spawn),
				      .descs = to_u64(&desc),
				      .nr = 1,
				      .blockers = to_u64(self->blockers),
				      .nr_blockers = KSCOPE_MAX_BLOCKERS };
	int ret;

	if (want->lent) {
		ret = borrow_arg(self->scope.fd, &arg);
		self->nr_blockers = arg.nr_blockers;
		want->handle = arg.lease;
		return ret;
	}
	ret = xioctl(self->scope.fd, KSCOPE_IOC_SPAWN, &spawn);
	self->nr_blockers = spawn.nr_blockers;
	return ret > 0 ? 0 : ret;
}

/* The handle of the child that was spawned last: a call that asks for it goes another way. */
static int ask_named(FIXTURE_DATA(lease) * self, struct held *want)
{
	int ret;

	if (want->lent)
		return ask(self, want);
	ret = hold(self, want->exclusive, want->buf, want->off, want->len,
		   &want->handle);
	if (ret > 0)
		return 0;
	return ask(self, want) ?:
		       -EPROTO; /* the same, with those who are in the way */
}

static int give_up(FIXTURE_DATA(lease) * self, struct oracle *oracle,
		   unsigned int i)
{
	struct held *held = &oracle->held[i];
	int ret = held->lent ? give_back(self->scope.fd, held->handle) :
			       cancel_child(self->scope.fd, held->handle);

	*held = oracle->held[--oracle->nr];
	reap(&self->scope, &self->c);
	return ret;
}

TEST_F(lease, whatever_is_asked_for_an_oracle_agrees)
{
	struct oracle oracle = {};
	struct held want;
	unsigned int ops = kernel_is_instrumented() ? NR_OPS / 20 : NR_OPS;
	unsigned int op, i, nr;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "children take turns");
	srand(1);
	for (op = 0; op < ops; op++) {
		if (oracle.nr == MAX_HELD ||
		    (oracle.nr && !(rand() % (1 + MAX_HELD / oracle.nr)))) {
			ASSERT_EQ(0,
				  give_up(self, &oracle, rand() % oracle.nr));
			continue;
		}
		want = random_want(self);
		nr = in_the_way(&oracle, &want);
		ASSERT_EQ(nr ? -EBUSY : 0, ask_named(self, &want))
		TH_LOG("op %u: %u in the way", op, nr);
		if (!nr) {
			oracle.held[oracle.nr++] = want;
			continue;
		}
		ASSERT_EQ(nr < KSCOPE_MAX_BLOCKERS ? nr : KSCOPE_MAX_BLOCKERS,
			  self->nr_blockers);
		for (i = 0; i < self->nr_blockers; i++)
			ASSERT_TRUE(
				names_one(&oracle, &want, &self->blockers[i]));
	}
	while (oracle.nr)
		ASSERT_EQ(0, give_up(self, &oracle, 0));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * What is wrong with a descriptor or an argument, and which of two faults is told:
 * size, flags and reserved fields, values, overflow, handles, state.
 */
#include "kselftest_harness.h"
#include "kscope_sys.h"

#define LEN (4 * PAGE - 100) /* what is behind its end is ours as well */
#define NO_BUF 0x7ffffff0

FIXTURE(order)
{
	struct scope scope;
	struct kscope_info info;
	char *mem;
	char *read_only;
	unsigned int buf; /* writable */
	unsigned int ro; /* pinned for reading only */
	unsigned int hash;
	int file;
	int pipe[2];
	char path[PATH_LEN];
};

FIXTURE_SETUP(order)
{
	ASSERT_EQ(0, dev_info(&self->info));
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 8));
	self->mem = map_anon(LEN);
	self->read_only = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_NE(MAP_FAILED, self->read_only);
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	self->ro = buf_pin(self->scope.fd, self->read_only, LEN,
			   KSCOPE_PIN_READ_ONLY);
	self->hash = hash_open(self->scope.fd, "sha256");
	ASSERT_LT(0, (int)self->buf);
	ASSERT_LT(0, (int)self->ro);
	ASSERT_LT(0, (int)self->hash);
	self->file = file_make(self->path, PAGE, 1);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, pipe(self->pipe));
}

FIXTURE_TEARDOWN(order)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LEN);
	munmap(self->read_only, LEN);
	close(self->file);
	close(self->pipe[0]);
	close(self->pipe[1]);
	unlink(self->path);
}

enum {
	NOP,
	SLEEP,
	FILL,
	COPY,
	COMPARE,
	XOR,
	CRC32C,
	HASH,
	READ,
	WRITE,
	FSYNC,
	NR_OPS
};

/* A descriptor with which a spawn succeeds. */
static struct kscope_desc valid(FIXTURE_DATA(order) * self, unsigned int op)
{
	switch (op) {
	case SLEEP:
		return desc_sleep(1, 1);
	case FILL:
		return desc_fill(self->buf, 0, PAGE, 0);
	case COPY:
	case XOR:
	case COMPARE:
		return desc_two(op, self->ro, 0, self->buf, PAGE, PAGE);
	case CRC32C:
		return desc_crc32c(self->ro, 0, PAGE, 0);
	case HASH:
		return desc_hash(self->hash, KSCOPE_HASH_ALL, self->ro, 0, PAGE,
				 self->buf, PAGE);
	case READ:
		return desc_file(op, self->file, 0, self->buf, 0, PAGE);
	case WRITE:
		return desc_file(op, self->file, 0, self->ro, 0, PAGE);
	case FSYNC:
		return desc_fsync(self->file, 0);
	default:
		return desc_nop(1);
	}
}

static int try_spawn(FIXTURE_DATA(order) * self, struct kscope_desc desc)
{
	int ret = spawn_one(self->scope.fd, desc, NULL);

	if (ret > 0) {
		join(self->scope.fd);
		self->scope.head->head = self->scope.ring->tail;
	}
	return ret;
}

#define EXPECT_SPAWN(want, desc) EXPECT_EQ(want, try_spawn(self, desc))

TEST_F(order, the_valid_descriptors_of_this_test_are_valid)
{
	unsigned int op;

	for (op = 0; op < NR_OPS; op++) {
		EXPECT_SPAWN(1, valid(self, op)) TH_LOG("op %u", op);
	}
}

TEST_F(order, unknown_op_is_einval)
{
	/* Providers start at 256. */
	static const unsigned int unknown[] = { NR_OPS, 12,    255,
						4096,	32768, 65535 };
	struct kscope_desc desc;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		desc = desc_nop(1);
		desc.op = unknown[i];
		EXPECT_SPAWN(-EINVAL, desc) TH_LOG("op %u", unknown[i]);
	}
}

/* Only who has ranges can wait for leases on them. */
static bool takes_flag(unsigned int op, unsigned int flag)
{
	if (flag == KSCOPE_CHILD_WAIT)
		return op != NOP && op != SLEEP && op != FSYNC;
	return flag & KSCOPE_CHILD_ALL;
}

TEST_F(order, each_unknown_bit_of_flags_and_op_flags_is_einval)
{
	static const unsigned int op_flags[NR_OPS] = {
		[HASH] = KSCOPE_HASH_ALL, [FSYNC] = KSCOPE_FSYNC_ALL
	};
	struct kscope_desc desc;
	unsigned int op, bit;

	for (op = 0; op < NR_OPS; op++) {
		for (bit = 0; bit < 16; bit++) {
			if (!(op_flags[op] & (1U << bit))) {
				desc = valid(self, op);
				desc.op_flags |= 1U << bit;
				EXPECT_SPAWN(-EINVAL, desc)
				TH_LOG("op %u bit %u", op, bit);
			}
			desc = valid(self, op);
			desc.flags = 1U << bit;
			if (takes_flag(op, desc.flags)) {
				EXPECT_SPAWN(1, desc);
				continue;
			}
			EXPECT_SPAWN(-EINVAL, desc)
			TH_LOG("op %u flag %u", op, bit);
		}
	}
}

TEST_F(order, each_field_that_an_op_does_not_use_must_be_zero)
{
	enum { LENGTH = 1, BUF = 2, BUF2 = 4, OFF = 8, OFF2 = 16, HASHES = 32 };
	static const unsigned int uses[NR_OPS] = {
		[SLEEP] = OFF2,
		[FILL] = LENGTH | BUF | OFF | OFF2,
		[COPY] = LENGTH | BUF | OFF | BUF2 | OFF2,
		[COMPARE] = LENGTH | BUF | OFF | BUF2 | OFF2,
		[XOR] = LENGTH | BUF | OFF | BUF2 | OFF2,
		[CRC32C] = LENGTH | BUF | OFF | OFF2,
		[HASH] = LENGTH | BUF | OFF | BUF2 | OFF2 | HASHES,
		[READ] = LENGTH | BUF | OFF | BUF2 | OFF2,
		[WRITE] = LENGTH | BUF | OFF | BUF2 | OFF2,
		[FSYNC] = BUF2, /* which is its fd */
	};
	struct kscope_desc desc;
	unsigned int op, field;

	for (op = 0; op < NR_OPS; op++) {
		for (field = LENGTH; field <= HASHES; field <<= 1) {
			if (uses[op] & field)
				continue;
			desc = valid(self, op);
			desc.len += field == LENGTH;
			desc.buf = field == BUF ? self->buf : desc.buf;
			desc.buf2 = field == BUF2 ? self->buf : desc.buf2;
			desc.off += field == OFF;
			desc.off2 += field == OFF2;
			desc.hash = field == HASHES ? self->hash : desc.hash;
			EXPECT_SPAWN(-EINVAL, desc)
			TH_LOG("op %u field %#x", op, field);
		}
	}
}

TEST_F(order, crc32c_seed_has_32_bits)
{
	struct kscope_desc desc = valid(self, CRC32C);

	desc.seed = 0xffffffff;
	EXPECT_SPAWN(1, desc);
	desc.seed = 1ULL << 32;
	EXPECT_SPAWN(-EINVAL, desc);
	desc.seed = 1ULL << 63;
	EXPECT_SPAWN(-EINVAL, desc);
}

TEST_F(order, hash_without_last_has_no_second_range)
{
	struct kscope_desc desc = valid(self, HASH);

	desc.op_flags = KSCOPE_HASH_FIRST;
	EXPECT_SPAWN(-EINVAL, desc);
	desc.buf2 = 0;
	EXPECT_SPAWN(-EINVAL, desc); /* off2 is still there */
}

TEST_F(order, start_plus_length_that_wraps_is_eoverflow)
{
	static const __u64 offs[] = { ~0ULL, ~0ULL - PAGE + 1,
				      ~0ULL - PAGE + 2 };
	struct kscope_desc desc;
	unsigned int op;
	size_t i;

	for (op = 0; op < NR_OPS; op++) {
		if (!valid(self, op).buf)
			continue;
		for (i = 0; i < ARRAY_SIZE(offs); i++) {
			desc = valid(self, op);
			desc.off = offs[i];
			EXPECT_SPAWN(-EOVERFLOW, desc) TH_LOG("op %u", op);
		}
		desc = valid(self, op);
		desc.off = 1;
		desc.len = ~0ULL;
		EXPECT_SPAWN(-EOVERFLOW, desc) TH_LOG("op %u", op);
		if (op < COPY || op > HASH || op == CRC32C)
			continue;
		desc = valid(self, op);
		desc.off2 = ~0ULL;
		EXPECT_SPAWN(-EOVERFLOW, desc) TH_LOG("op %u", op);
	}
}

TEST_F(order, range_beyond_its_buffer_is_erange)
{
	static const __u64 bad[][2] = {
		{ 0, LEN + 1 },	   { 1, LEN },
		{ LEN, 1 },	   { LEN - 1, 2 },
		{ LEN + 1, 0 },	   { 1ULL << 32, 1 },
		{ 0, 1ULL << 32 }, { 0, 1ULL << 62 },
		{ 1ULL << 62, 1 }, { 1ULL << 31, 1 },
		{ 0, 1ULL << 31 }, { (1ULL << 32) + 1, (1ULL << 32) - 1 },
	};
	struct kscope_desc desc;
	unsigned int op;
	size_t i;

	for (op = 0; op < NR_OPS; op++) {
		if (!valid(self, op).buf)
			continue;
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			desc = valid(self, op);
			desc.off = bad[i][0];
			desc.len = bad[i][1];
			EXPECT_SPAWN(-ERANGE, desc)
			TH_LOG("op %u off %#llx len %#llx", op, bad[i][0],
			       bad[i][1]);
		}
		if (op < COPY || op > HASH || op == CRC32C)
			continue;
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			desc = valid(self, op);
			desc.off2 = op == HASH ? LEN - 31 : bad[i][0];
			desc.len = op == HASH ? PAGE : bad[i][1];
			EXPECT_SPAWN(-ERANGE, desc)
			TH_LOG("op %u second range %zu", op, i);
		}
	}
}

TEST_F(order, unknown_buffer_or_hash_is_enoent)
{
	const unsigned int wrong[] = {
		0,	    NO_BUF,	self->buf + 1000,
		0xffffffff, 0x80000000, self->buf | 0x80000000
	};
	struct kscope_desc desc;
	unsigned int op;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		for (op = 0; op < NR_OPS; op++) {
			if (valid(self, op).buf) {
				desc = valid(self, op);
				desc.buf = wrong[i];
				EXPECT_SPAWN(-ENOENT, desc)
				TH_LOG("op %u buf %#x", op, wrong[i]);
			}
			if (op == COPY || op == XOR || op == COMPARE ||
			    op == HASH) {
				desc = valid(self, op);
				desc.buf2 = wrong[i];
				EXPECT_SPAWN(-ENOENT, desc)
				TH_LOG("op %u buf2 %#x", op, wrong[i]);
			}
		}
		desc = valid(self, HASH);
		desc.hash = wrong[i];
		if (desc.hash != self->hash) {
			EXPECT_SPAWN(-ENOENT, desc)
			TH_LOG("hash %#x", wrong[i]);
		}
	}
}

TEST_F(order, write_to_a_buffer_pinned_for_reading_is_eacces)
{
	struct kscope_desc desc;

	memset(self->read_only, 0x11, LEN);
	EXPECT_SPAWN(-EACCES, desc_fill(self->ro, 0, PAGE, ~0ULL));
	EXPECT_SPAWN(-EACCES,
		     desc_two(KSCOPE_OP_COPY, self->buf, 0, self->ro, 0, PAGE));
	EXPECT_SPAWN(-EACCES,
		     desc_two(KSCOPE_OP_XOR, self->buf, 0, self->ro, 0, PAGE));
	EXPECT_SPAWN(-EACCES, desc_file(KSCOPE_OP_READ, self->file, 0, self->ro,
					0, PAGE));
	desc = valid(self, HASH);
	desc.buf = self->buf;
	desc.buf2 = self->ro;
	EXPECT_SPAWN(-EACCES, desc);
	EXPECT_TRUE(bytes_are(self->read_only, LEN, 0x11));
}

TEST_F(order, overlapping_ranges_are_einval_only_if_one_is_written)
{
	struct kscope_desc desc;
	unsigned int op;

	for (op = COPY; op <= XOR; op++) {
		int want = op == COMPARE ? 1 : -EINVAL;

		desc = desc_two(op, self->buf, 0, self->buf, 0, PAGE);
		EXPECT_SPAWN(want, desc) TH_LOG("op %u same", op);
		desc = desc_two(op, self->buf, 0, self->buf, PAGE - 1, PAGE);
		EXPECT_SPAWN(want, desc) TH_LOG("op %u tail", op);
		desc = desc_two(op, self->buf, PAGE - 1, self->buf, 0, PAGE);
		EXPECT_SPAWN(want, desc) TH_LOG("op %u head", op);
		desc = desc_two(op, self->buf, 0, self->buf, PAGE, PAGE);
		EXPECT_SPAWN(1, desc) TH_LOG("op %u behind", op);
		desc = desc_two(op, self->buf, PAGE, self->buf, 0, PAGE);
		EXPECT_SPAWN(1, desc) TH_LOG("op %u before", op);
	}
	desc = desc_hash(self->hash, KSCOPE_HASH_ALL, self->buf, 0, PAGE,
			 self->buf, PAGE - 1);
	EXPECT_SPAWN(-EINVAL, desc);
	desc.off2 = PAGE;
	EXPECT_SPAWN(1, desc);
	desc.off = 32;
	desc.off2 = 1;
	EXPECT_SPAWN(-EINVAL, desc);
	desc.off2 = 0;
	EXPECT_SPAWN(1, desc);
}

TEST_F(order, values_come_before_overflow_and_overflow_before_handles)
{
	struct kscope_desc desc;

	desc = desc_fill(NO_BUF, ~0ULL, PAGE, 0);
	EXPECT_SPAWN(-EOVERFLOW, desc);
	desc.hash = self->hash;
	EXPECT_SPAWN(-EINVAL, desc);
	desc = desc_fill(NO_BUF, ~0ULL, PAGE, 0);
	desc.flags = 1U << 15;
	EXPECT_SPAWN(-EINVAL, desc);
	desc = desc_crc32c(NO_BUF, 0, PAGE, 0);
	desc.seed = 1ULL << 32;
	EXPECT_SPAWN(-EINVAL, desc);
	desc = desc_hash(NO_BUF, 1U << 5, NO_BUF, 0, PAGE, 0, 0);
	EXPECT_SPAWN(-EINVAL, desc);
}

TEST_F(order, among_handles_existence_comes_first)
{
	EXPECT_SPAWN(-ENOENT, desc_fill(NO_BUF, 0, LEN + 1, 0));
	EXPECT_SPAWN(-ENOENT,
		     desc_two(KSCOPE_OP_COPY, self->ro, 0, NO_BUF, 0, LEN + 1));
	EXPECT_SPAWN(-ENOENT,
		     desc_file(KSCOPE_OP_READ, -1, 0, NO_BUF, 0, PAGE));
	EXPECT_SPAWN(-EBADF,
		     desc_file(KSCOPE_OP_READ, -1, 0, self->buf, 0, LEN + 1));
	EXPECT_SPAWN(-EBADF, desc_file(KSCOPE_OP_READ, self->pipe[1], 0,
				       self->buf, 0, PAGE));
	EXPECT_SPAWN(-EOPNOTSUPP, desc_file(KSCOPE_OP_READ, self->pipe[0], 0,
					    self->buf, 0, LEN + 1));
	EXPECT_SPAWN(-ERANGE, desc_fill(self->ro, 0, LEN + 1, 0));
	EXPECT_SPAWN(-EACCES,
		     desc_two(KSCOPE_OP_COPY, self->ro, 0, self->ro, 0, PAGE));
}

/* Each fault that a descriptor can have is told before the scope's state is. */
static void expect_faults_first(struct __test_metadata *_metadata,
				FIXTURE_DATA(order) * self)
{
	struct kscope_desc desc = desc_nop(1);

	desc.flags = 1U << 15;
	EXPECT_EQ(-EINVAL, spawn_one(self->scope.fd, desc, NULL));
	EXPECT_EQ(-EOVERFLOW,
		  spawn_one(self->scope.fd,
			    desc_fill(self->buf, ~0ULL, PAGE, 0), NULL));
	EXPECT_EQ(-ENOENT, spawn_one(self->scope.fd,
				     desc_fill(NO_BUF, 0, PAGE, 0), NULL));
	EXPECT_EQ(-EBADF, spawn_one(self->scope.fd, desc_fsync(-1, 0), NULL));
	EXPECT_EQ(-EOPNOTSUPP, spawn_one(self->scope.fd,
					 desc_fsync(self->pipe[0], 0), NULL));
}

static void expect_buffer_faults_first(struct __test_metadata *_metadata,
				       FIXTURE_DATA(order) * self)
{
	EXPECT_EQ(-ERANGE, spawn_one(self->scope.fd,
				     desc_fill(self->buf, LEN, 1, 0), NULL));
	EXPECT_EQ(-EACCES, spawn_one(self->scope.fd,
				     desc_fill(self->ro, 0, PAGE, 0), NULL));
}

TEST_F(order, state_of_the_scope_comes_last_when_the_ring_is_full)
{
	struct kscope_desc nops[8];
	int i;

	for (i = 0; i < 8; i++)
		nops[i] = desc_nop(i);
	ASSERT_EQ(8, spawn(self->scope.fd, nops, 8));
	ASSERT_EQ(0, join(self->scope.fd));
	expect_faults_first(_metadata, self);
	expect_buffer_faults_first(_metadata, self);
	EXPECT_EQ(-EAGAIN, spawn_one(self->scope.fd, desc_nop(1), NULL));
}

/* What others have is looked at when all else is as it should be. */
TEST_F(order, leases_come_after_the_state_of_the_scope)
{
	struct kscope_desc desc = desc_fill(self->buf, 0, 1, 0);
	__u64 lease;
	int i;

	ASSERT_EQ(0, borrow(self->scope.fd, self->buf, 0, LEN,
			    KSCOPE_ACCESS_WRITE, &lease));
	expect_faults_first(_metadata, self);
	expect_buffer_faults_first(_metadata, self);
	EXPECT_SPAWN(-EBUSY, desc);
	for (i = 0; i < 8; i++)
		ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(i), NULL));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_SPAWN(-EAGAIN, desc);
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	EXPECT_SPAWN(-ECANCELED, desc);
}

TEST_F(order, borrow_checks_values_then_overflow_then_handles_then_leases)
{
	struct kscope_borrow arg = {
		.flags = 2, .buf = NO_BUF, .access = 4, .off = ~0ULL, .len = LEN
	};
	__u64 lease;

	ASSERT_EQ(0, borrow(self->scope.fd, self->buf, 0, 1,
			    KSCOPE_ACCESS_WRITE, &lease));
	EXPECT_EQ(-EINVAL, borrow_arg(self->scope.fd, &arg));
	arg.flags = 0;
	EXPECT_EQ(-EINVAL, borrow_arg(self->scope.fd, &arg));
	arg.access = KSCOPE_ACCESS_READ;
	EXPECT_EQ(-EOVERFLOW, borrow_arg(self->scope.fd, &arg));
	arg.off = 1;
	EXPECT_EQ(-ENOENT, borrow_arg(self->scope.fd, &arg));
	arg.buf = self->buf;
	EXPECT_EQ(-ERANGE, borrow_arg(self->scope.fd, &arg));
	arg.off = 0;
	EXPECT_EQ(-EBUSY, borrow_arg(self->scope.fd, &arg));
	ASSERT_EQ(0, release(self->scope.fd));
	EXPECT_EQ(-ESHUTDOWN, borrow_arg(self->scope.fd, &arg));
}

TEST_F(order, state_of_the_scope_comes_last_when_it_is_cancelled)
{
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	expect_faults_first(_metadata, self);
	expect_buffer_faults_first(_metadata, self);
	EXPECT_EQ(-ECANCELED, spawn_one(self->scope.fd, desc_nop(1), NULL));
}

TEST_F(order, state_of_the_scope_comes_last_when_it_is_released)
{
	struct kscope_cancel cancel;
	struct kscope_join wait;

	ASSERT_EQ(0, release(self->scope.fd));
	expect_faults_first(_metadata, self);
	EXPECT_EQ(-ENOENT, spawn_one(self->scope.fd,
				     desc_fill(self->buf, 0, PAGE, 0), NULL));
	EXPECT_EQ(-ESHUTDOWN, spawn_one(self->scope.fd, desc_nop(1), NULL));
	EXPECT_EQ(-ENOENT, buf_unpin(self->scope.fd, self->buf));
	EXPECT_EQ(-EINVAL, buf_pin(self->scope.fd, self->mem, 0, 0));
	EXPECT_EQ(-EOVERFLOW, buf_pin_at(self->scope.fd, ~0ULL, 1, 0));
	EXPECT_EQ(-ESHUTDOWN, buf_pin(self->scope.fd, self->mem, PAGE, 0));
	EXPECT_EQ(-ESHUTDOWN, hash_open(self->scope.fd, "sha256"));
	EXPECT_EQ(-ENOENT,
		  cancel_arg(self->scope.fd, KSCOPE_CANCEL_CHILD, 1, &cancel));
	EXPECT_EQ(0, join_arg(self->scope.fd, 0, &wait));
}

TEST_F(order, values_of_scope_create)
{
	struct {
		struct kscope_scope_create arg;
		int want;
	} cases[] = {
		{ { .capacity = 0 }, -EINVAL },
		{ { .capacity = self->info.max_capacity + 1 }, -EINVAL },
		{ { .capacity = 0x80000000 }, -EINVAL },
		{ { .capacity = 0x80000001 }, -EINVAL },
		{ { .capacity = 0xffffffff }, -EINVAL },
		{ { .capacity = 1, .kind = 3 }, -EINVAL },
		{ { .capacity = 1, .kind = 0xffffffff }, -EINVAL },
		{ { .capacity = 1, .policy = 3 }, -EINVAL },
		{ { .capacity = 1, .policy = 0xffffffff }, -EINVAL },
		{ { .capacity = 1, .max_buffers = self->info.max_buffers + 1 },
		  -EINVAL },
		{ { .capacity = 1, .max_buffers = 0xffffffff }, -EINVAL },
		{ { .capacity = 1, .cpus = 8 }, -EINVAL },
		{ { .capacity = 1, .cpus_size = 8 }, -EINVAL },
		{ { .capacity = 1,
		    .cpus = 8,
		    .cpus_size = KSCOPE_MAX_CPUS_SIZE + 1 },
		  -EINVAL },
		{ { .capacity = 1, .cpus = 8, .cpus_size = 8 }, -EFAULT },
	};
	struct kscope_scope_create good = {
		.capacity = 1, .max_buffers = self->info.max_buffers
	};
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_EQ(cases[i].want, scope_create(&cases[i].arg))
		TH_LOG("case %zu", i);
	}
	fd = scope_create(&good);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, xclose(fd));
}

TEST_F(order, values_of_cancel_release_and_hash_open)
{
	char name[KSCOPE_HASH_NAME_LEN + 1] = {};
	struct kscope_blocker blockers[9];
	struct kscope_cancel cancel;
	unsigned int nr = 9;

	EXPECT_EQ(-EINVAL, cancel_arg(self->scope.fd, 4, 0, &cancel));
	EXPECT_EQ(-EINVAL, cancel_arg(self->scope.fd, ~0U, 0, &cancel));
	EXPECT_EQ(-EINVAL,
		  cancel_arg(self->scope.fd, KSCOPE_CANCEL_SCOPE, 1, &cancel));
	EXPECT_EQ(-EINVAL, release_blockers(self->scope.fd, blockers, &nr));
	nr = 0xffffffff;
	EXPECT_EQ(-EINVAL, release_blockers(self->scope.fd, blockers, &nr));
	nr = 9;
	EXPECT_EQ(-EINVAL,
		  buf_unpin_blockers(self->scope.fd, self->buf, blockers, &nr));
	nr = 9;
	EXPECT_EQ(-EINVAL,
		  buf_unpin_blockers(self->scope.fd, NO_BUF, blockers, &nr));
	EXPECT_EQ(-ENOENT, buf_unpin(self->scope.fd, NO_BUF));
	memset(name, 'a', KSCOPE_HASH_NAME_LEN);
	EXPECT_EQ(-EINVAL, hash_open(self->scope.fd, name));
	name[KSCOPE_HASH_NAME_LEN - 1] = 0;
	EXPECT_EQ(-ENOENT, hash_open(self->scope.fd, name));
	EXPECT_EQ(-ENOENT, hash_open(self->scope.fd, "sha257"));
}

TEST_HARNESS_MAIN

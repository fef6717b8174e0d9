// SPDX-License-Identifier: GPL-2.0
/*
 * The layout of the ABI. Sizes and offsets are written out once in abi_layout.def
 * and are the same for a 32-bit and a 64-bit program: they are proven when this
 * file is compiled. The tests look for holes, ask the kernel about what it thinks,
 * and print the table, so that the output of two programs can be compared.
 */
#include <assert.h>
#include <stddef.h>

#include "kselftest_harness.h"
#include "kscope_test.h"

#define SIZE(type, want) \
	static_assert(sizeof(struct type) == (want), "size of " #type);
#define AT(type, field, want)                                 \
	static_assert(offsetof(struct type, field) == (want), \
		      "offset of " #type "." #field);
#include "abi_layout.def"
#undef SIZE
#undef AT

static_assert(offsetof(struct kscope_ring, records) == 64,
	      "kscope_ring.records");
static_assert(sizeof(struct kscope_desc) == 64,
	      "a descriptor is one cache line");
static_assert(sizeof(struct kscope_completion) == 64,
	      "a completion is one too");

struct row {
	const char *type;
	const char *field; /* NULL for the struct itself */
	size_t at;
	size_t size;
	bool wide; /* a 64-bit number */
};

#define SIZE(type, want) { #type, NULL, 0, sizeof(struct type), false },
#define FIELD(type, field) (((struct type *)0)->field)
#define AT(type, field, want)                                          \
	{ #type, #field, offsetof(struct type, field),                 \
	  sizeof(FIELD(type, field)),                                  \
	  __builtin_types_compatible_p(__typeof__(FIELD(type, field)), \
				       __u64) },

static const struct row rows[] = {
#include "abi_layout.def"
};

#undef SIZE
#undef AT

TEST(layout_is_printed)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		printf("# %s%s%s %zu %zu\n", rows[i].type,
		       rows[i].field ? "." : "",
		       rows[i].field ? rows[i].field : "", rows[i].at,
		       rows[i].size);
}

TEST(structs_have_no_holes)
{
	size_t i, end = 0, size = 0;
	const char *type = "";

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!rows[i].field) {
			EXPECT_EQ(size, end)
			TH_LOG("%s ends with a hole", type);
			type = rows[i].type;
			size = rows[i].size;
			end = 0;
			continue;
		}
		EXPECT_LE(rows[i].at, end)
		TH_LOG("hole before %s.%s", type, rows[i].field);
		if (rows[i].at + rows[i].size > end)
			end = rows[i].at + rows[i].size;
	}
	EXPECT_EQ(size, end);
}

TEST(wide_fields_are_aligned_without_help_of_the_compiler)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!rows[i].field)
			continue;
		if (rows[i].wide) {
			EXPECT_EQ(0, rows[i].at % 8)
			TH_LOG("%s.%s", rows[i].type, rows[i].field);
		}
	}
}

TEST(commands_carry_no_size)
{
	EXPECT_EQ(_IO(0xE8, 0x00), KSCOPE_IOC_INFO);
	EXPECT_EQ(_IO(0xE8, 0x01), KSCOPE_IOC_OP_INFO);
	EXPECT_EQ(_IO(0xE8, 0x02), KSCOPE_IOC_SCOPE_CREATE);
	EXPECT_EQ(_IO(0xE8, 0x10), KSCOPE_IOC_BUF_PIN);
	EXPECT_EQ(_IO(0xE8, 0x11), KSCOPE_IOC_BUF_UNPIN);
	EXPECT_EQ(_IO(0xE8, 0x12), KSCOPE_IOC_HASH_OPEN);
	EXPECT_EQ(_IO(0xE8, 0x13), KSCOPE_IOC_SPAWN);
	EXPECT_EQ(_IO(0xE8, 0x14), KSCOPE_IOC_CANCEL);
	EXPECT_EQ(_IO(0xE8, 0x15), KSCOPE_IOC_JOIN);
	EXPECT_EQ(_IO(0xE8, 0x16), KSCOPE_IOC_RELEASE);
	EXPECT_EQ(_IO(0xE8, 0x17), KSCOPE_IOC_QUERY);
	EXPECT_EQ(_IO(0xE8, 0x18), KSCOPE_IOC_QUIESCE);
	EXPECT_EQ(_IO(0xE8, 0x19), KSCOPE_IOC_EVENTFD);
	EXPECT_EQ(_IO(0xE8, 0x1B), KSCOPE_IOC_BORROW);
	EXPECT_EQ(_IO(0xE8, 0x1C), KSCOPE_IOC_RETURN);
	EXPECT_EQ(_IO(0xE8, 0x1A), KSCOPE_IOC_BUF_REBORROW);
}

TEST(info_tells_the_version_and_sane_limits)
{
	struct kscope_info info;

	ASSERT_EQ(0, dev_info(&info));
	EXPECT_EQ(sizeof(info), info.size);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(KSCOPE_ABI_VERSION, info.abi_version);
	EXPECT_LE(11, info.nr_ops); /* and those of providers */
	/* some depend on the kernel */
	EXPECT_EQ(KSCOPE_FEATURES_ALL,
		  info.features | KSCOPE_FEATURE_GUARD | KSCOPE_FEATURE_FENCE);
	EXPECT_EQ(0, info.max_capacity & (info.max_capacity - 1));
	EXPECT_LE(16384, info.max_capacity);
	EXPECT_LE(64, info.max_buffers);
	EXPECT_LE(1, info.max_hashes);
	EXPECT_LE(1, info.max_blocking);
	EXPECT_LE(1ULL << 30, info.max_buffer_bytes);
	EXPECT_EQ(4096, info.user_scopes);
	EXPECT_EQ(1 << 20, info.user_children);
}

struct op_row {
	const char *name;
	unsigned int op, attributes, op_flags, nr_ranges;
	unsigned int access[2];
};

#define R KSCOPE_ACCESS_READ
#define W KSCOPE_ACCESS_WRITE

static const struct op_row ops[] = {
	{ "nop", KSCOPE_OP_NOP, 0, 0, 0, { 0, 0 } },
	{ "sleep", KSCOPE_OP_SLEEP, KSCOPE_OP_BLOCKS, 0, 0, { 0, 0 } },
	{ "fill", KSCOPE_OP_FILL, 0, 0, 1, { W, 0 } },
	{ "copy", KSCOPE_OP_COPY, 0, 0, 2, { R, W } },
	{ "compare", KSCOPE_OP_COMPARE, 0, 0, 2, { R, R } },
	{ "xor", KSCOPE_OP_XOR, 0, 0, 2, { R, R | W } },
	{ "crc32c", KSCOPE_OP_CRC32C, 0, 0, 1, { R, 0 } },
	{ "hash",
	  KSCOPE_OP_HASH,
	  KSCOPE_OP_TAKES_HASH,
	  KSCOPE_HASH_ALL,
	  2,
	  { R, W } },
	{ "read",
	  KSCOPE_OP_READ,
	  KSCOPE_OP_BLOCKS | KSCOPE_OP_TAKES_FILE,
	  0,
	  1,
	  { W, 0 } },
	{ "write",
	  KSCOPE_OP_WRITE,
	  KSCOPE_OP_BLOCKS | KSCOPE_OP_TAKES_FILE,
	  0,
	  1,
	  { R, 0 } },
	{ "fsync",
	  KSCOPE_OP_FSYNC,
	  KSCOPE_OP_BLOCKS | KSCOPE_OP_TAKES_FILE,
	  KSCOPE_FSYNC_ALL,
	  0,
	  { 0, 0 } },
};

FIXTURE(device)
{
	int fd;
};

FIXTURE_SETUP(device)
{
	self->fd = dev_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(device)
{
	EXPECT_EQ(0, xclose(self->fd));
}

TEST_F(device, op_info_describes_every_op_by_index_and_by_name)
{
	struct kscope_op_info by_index, by_name;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		by_index = (struct kscope_op_info){ .size = sizeof(by_index),
						    .index = i };
		ASSERT_EQ(0, xioctl(self->fd, KSCOPE_IOC_OP_INFO, &by_index));
		EXPECT_EQ(i, by_index.index);
		EXPECT_STREQ(ops[i].name, (char *)by_index.name);
		EXPECT_EQ(ops[i].op, by_index.op);
		EXPECT_EQ(ops[i].attributes, by_index.attributes)
		TH_LOG("%s", ops[i].name);
		EXPECT_EQ(ops[i].op_flags, by_index.op_flags);
		EXPECT_EQ(ops[i].nr_ranges, by_index.nr_ranges);
		EXPECT_EQ(ops[i].access[0], by_index.access[0])
		TH_LOG("%s", ops[i].name);
		EXPECT_EQ(ops[i].access[1], by_index.access[1])
		TH_LOG("%s", ops[i].name);
		EXPECT_EQ(0, by_index.reserved);

		by_name = (struct kscope_op_info){
			.size = sizeof(by_name), .flags = KSCOPE_OP_INFO_BY_NAME
		};
		memcpy(by_name.name, ops[i].name, strlen(ops[i].name));
		ASSERT_EQ(0, xioctl(self->fd, KSCOPE_IOC_OP_INFO, &by_name));
		by_name.flags = 0;
		EXPECT_EQ(0, memcmp(&by_name, &by_index, sizeof(by_name)));
	}
}

TEST_F(device, op_info_of_an_unknown_index_or_name_is_enoent)
{
	struct kscope_op_info info = { .size = sizeof(info) };
	static const __u32 above[] = { 0,	  1,	      244,
				       1 << 16,	  0x7fffff00, 0x80000000,
				       0xffffff00 };
	struct kscope_info limits;
	size_t i;

	ASSERT_EQ(0, dev_info(&limits));
	for (i = 0; i < ARRAY_SIZE(above); i++) {
		info.index = limits.nr_ops + above[i];
		EXPECT_EQ(-ENOENT, xioctl(self->fd, KSCOPE_IOC_OP_INFO, &info));
	}
	info.index = 0;
	info.flags = KSCOPE_OP_INFO_BY_NAME;
	memcpy(info.name, "no", 2);
	EXPECT_EQ(-ENOENT, xioctl(self->fd, KSCOPE_IOC_OP_INFO, &info));
	memcpy(info.name, "nope", 4);
	EXPECT_EQ(-ENOENT, xioctl(self->fd, KSCOPE_IOC_OP_INFO, &info));
	memset(info.name, 0, sizeof(info.name));
	EXPECT_EQ(-ENOENT, xioctl(self->fd, KSCOPE_IOC_OP_INFO, &info));
	memset(info.name, 'n', sizeof(info.name));
	EXPECT_EQ(-EINVAL, xioctl(self->fd, KSCOPE_IOC_OP_INFO, &info));
}

TEST_F(device, fd_of_a_scope_is_close_on_exec)
{
	struct kscope_scope_create arg = { .size = sizeof(arg), .capacity = 1 };
	int fd = xioctl(self->fd, KSCOPE_IOC_SCOPE_CREATE, &arg);

	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(0, xclose(fd));
}

TEST_F(device, capacity_is_rounded_up_to_a_power_of_two)
{
	static const unsigned int asked[] = { 1, 2, 3, 5, 64, 65, 1000, 16384 };
	static const unsigned int given[] = { 1, 2, 4, 8, 64, 128, 1024, 16384 };
	struct kscope_scope_create arg;
	struct kscope_query q;
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(asked); i++) {
		arg = (struct kscope_scope_create){ .size = sizeof(arg),
						    .capacity = asked[i] };
		fd = xioctl(self->fd, KSCOPE_IOC_SCOPE_CREATE, &arg);
		ASSERT_LE(0, fd);
		EXPECT_EQ(given[i], arg.ring_entries);
		EXPECT_LE(64 + 64 * given[i], arg.ring_bytes);
		EXPECT_EQ(0, arg.ring_bytes % PAGE);
		EXPECT_EQ(0, query(fd, &q));
		EXPECT_EQ(given[i], q.capacity);
		EXPECT_EQ(0, xclose(fd));
	}
}

TEST_HARNESS_MAIN

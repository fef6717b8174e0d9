// SPDX-License-Identifier: GPL-2.0
/*
 * The rules that hold for every command: the size and what may follow it, flags,
 * reserved fields, pointers, and the kind of fd. Each call is valid apart from the
 * one thing under test, and is made on a scope of its own.
 */
#include <stddef.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

struct command {
	const char *name;
	unsigned int cmd;
	unsigned int size;
	unsigned int flags; /* allowed ones */
	unsigned int reserved; /* offset of a reserved __u32; 0 for none */
	bool on_scope;
	bool has_result; /* writes to its struct when it succeeds */
	unsigned int more_reserved; /* offset of a reserved __u64; 0 for none */
};

#define COMMAND(NAME, type, ...)                                           \
	{                                                                  \
#NAME, KSCOPE_IOC_##NAME, sizeof(struct type), __VA_ARGS__ \
	}

static const struct command commands[] = {
	COMMAND(INFO, kscope_info, 0, 0, false, true, 0),
	COMMAND(OP_INFO, kscope_op_info, KSCOPE_OP_INFO_ALL,
		offsetof(struct kscope_op_info, reserved), false, true, 0),
	COMMAND(SCOPE_CREATE, kscope_scope_create, KSCOPE_SCOPE_ALL, 0, false,
		true, 0),
	COMMAND(BUF_PIN, kscope_buf_pin, KSCOPE_PIN_ALL, 0, true, false, 0),
	COMMAND(BUF_UNPIN, kscope_buf_unpin, KSCOPE_UNPIN_ALL, 0, true, false,
		0),
	COMMAND(SCOPE_CREATE, kscope_scope_create, KSCOPE_SCOPE_ALL, 0, true,
		true, 0),
	COMMAND(BUF_REBORROW, kscope_buf_reborrow, KSCOPE_REBORROW_ALL, 0, true,
		false, 0),
	COMMAND(HASH_OPEN, kscope_hash_open, KSCOPE_HASH_OPEN_ALL, 0, true,
		true, 0),
	COMMAND(SPAWN, kscope_spawn, KSCOPE_SPAWN_ALL,
		offsetof(struct kscope_spawn, reserved), true, false,
		offsetof(struct kscope_spawn, reserved2)),
	COMMAND(CANCEL, kscope_cancel, KSCOPE_CANCEL_ALL, 0, true, true, 0),
	COMMAND(JOIN, kscope_join, KSCOPE_JOIN_ALL, 0, true, true, 0),
	COMMAND(RELEASE, kscope_release, KSCOPE_RELEASE_ALL,
		offsetof(struct kscope_release, reserved), true, false, 0),
	COMMAND(QUERY, kscope_query, 0, 0, true, true, 0),
	COMMAND(QUIESCE, kscope_quiesce, KSCOPE_QUIESCE_ALL, 0, true, false, 0),
	COMMAND(EVENTFD, kscope_eventfd, KSCOPE_EVENTFD_ALL,
		offsetof(struct kscope_eventfd, reserved), true, false, 0),
	COMMAND(BORROW, kscope_borrow, KSCOPE_BORROW_ALL,
		offsetof(struct kscope_borrow, reserved), true, true, 0),
	COMMAND(RETURN, kscope_return, KSCOPE_RETURN_ALL, 0, true, false, 0),
};

union argument {
	__u32 size;
	struct kscope_info info;
	struct kscope_op_info op_info;
	struct kscope_scope_create scope_create;
	struct kscope_buf_pin buf_pin;
	struct kscope_buf_unpin buf_unpin;
	struct kscope_buf_reborrow buf_reborrow;
	struct kscope_hash_open hash_open;
	struct kscope_spawn spawn;
	struct kscope_cancel cancel;
	struct kscope_join join;
	struct kscope_release release;
	struct kscope_query query;
	struct kscope_quiesce quiesce;
	struct kscope_eventfd eventfd;
	struct kscope_borrow borrow;
	struct kscope_return give_back;
	__u32 words[64];
	unsigned char bytes[256];
};

FIXTURE(sweep)
{
	int dev;
	int scope;
	int parent;
	void *page;
	struct kscope_desc desc;
	unsigned int nr_borrows;
};

static char lasting[PAGE] __attribute__((aligned(PAGE)));

FIXTURE_SETUP(sweep)
{
	self->dev = dev_open();
	ASSERT_LE(0, self->dev);
	self->scope = -1;
	self->parent = -1;
	self->page = map_anon(PAGE);
	ASSERT_NE(MAP_FAILED, self->page);
}

FIXTURE_TEARDOWN(sweep)
{
	if (self->scope >= 0) {
		EXPECT_EQ(0, xclose(self->scope));
	}
	if (self->parent >= 0) {
		EXPECT_EQ(0, xclose(self->parent));
	}
	EXPECT_EQ(0, xclose(self->dev));
	munmap(self->page, PAGE);
}

/* Nest the scope in another one that has a buffer; its handle or -errno. */
static int prepare_parent(FIXTURE_DATA(sweep) * self)
{
	if (self->parent >= 0)
		close(self->parent);
	close(self->scope);
	self->scope = -1;
	self->parent =
		scope_create(&(struct kscope_scope_create){ .capacity = 8 });
	if (self->parent < 0)
		return self->parent;
	self->scope = scope_nest(self->parent, 8, 0);
	if (self->scope < 0)
		return self->scope;
	return buf_pin(self->parent, self->page, PAGE, 0);
}

/* A fresh scope, and arguments with which @command succeeds on it; 0 or -errno. */
static int prepare(FIXTURE_DATA(sweep) * self, const struct command *command,
		   union argument *arg)
{
	struct kscope_scope_create create = { .size = sizeof(create),
					      .capacity = 8 };
	int ret = 0;

	self->nr_borrows = 0;
	if (self->scope >= 0)
		close(self->scope);
	self->scope = xioctl(self->dev, KSCOPE_IOC_SCOPE_CREATE, &create);
	if (self->scope < 0)
		return self->scope;

	memset(arg, 0, sizeof(*arg));
	arg->size = command->size;
	switch (command->cmd) {
	case KSCOPE_IOC_SCOPE_CREATE:
		arg->scope_create.capacity = 8;
		break;
	case KSCOPE_IOC_BUF_PIN:
		arg->buf_pin.addr = to_u64(self->page);
		arg->buf_pin.len = PAGE;
		break;
	case KSCOPE_IOC_BUF_UNPIN:
		ret = buf_pin(self->scope, self->page, PAGE, 0);
		arg->buf_unpin.buf = ret;
		break;
	case KSCOPE_IOC_BUF_REBORROW:
		ret = prepare_parent(self);
		arg->buf_reborrow.scope = self->parent;
		arg->buf_reborrow.buf = ret;
		arg->buf_reborrow.len = PAGE;
		break;
	case KSCOPE_IOC_HASH_OPEN:
		memcpy(arg->hash_open.name, "sha256", 6);
		break;
	case KSCOPE_IOC_SPAWN:
		self->desc = desc_nop(1);
		arg->spawn.descs = to_u64(&self->desc);
		arg->spawn.nr = 1;
		break;
	case KSCOPE_IOC_CANCEL:
		arg->cancel.what = KSCOPE_CANCEL_SCOPE;
		break;
	case KSCOPE_IOC_EVENTFD:
		arg->eventfd.fd = -1;
		break;
	case KSCOPE_IOC_BORROW:
		ret = buf_pin(self->scope, lasting, PAGE, 0);
		arg->borrow.buf = ret;
		arg->borrow.access = KSCOPE_ACCESS_READ;
		arg->borrow.len = 1;
		break;
	case KSCOPE_IOC_RETURN:
		ret = buf_pin(self->scope, lasting, PAGE, 0);
		ret = borrow(self->scope, ret, 0, 1, KSCOPE_ACCESS_READ,
			     &arg->give_back.lease);
		self->nr_borrows = 1;
		break;
	}
	return ret < 0 ? ret : 0;
}

/* Make the call; what it returned, with a new fd closed again. */
static int call_at(FIXTURE_DATA(sweep) * self, const struct command *command,
		   void *arg)
{
	int ret = xioctl(command->on_scope ? self->scope : self->dev,
			 command->cmd, arg);

	if (command->cmd == KSCOPE_IOC_SCOPE_CREATE && ret >= 0)
		return xclose(ret);
	return ret;
}

static int call(FIXTURE_DATA(sweep) * self, const struct command *command,
		union argument *arg)
{
	return call_at(self, command, arg);
}

/* A failed call has changed nothing: the scope is open and idle, as it was. */
static bool scope_is_untouched(FIXTURE_DATA(sweep) * self)
{
	struct kscope_query q;

	return !query(self->scope, &q) && q.state == KSCOPE_SCOPE_OPEN &&
	       q.spawned == 0 && q.nr_hashes == 0 && q.nr_buffers <= 1 &&
	       q.nr_borrows == self->nr_borrows;
}

TEST_F(sweep, every_command_succeeds_with_the_arguments_of_this_test)
{
	union argument arg;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		ASSERT_EQ(0, prepare(self, &commands[i], &arg));
		EXPECT_LE(0, call(self, &commands[i], &arg))
		TH_LOG("%s", commands[i].name);
	}
}

TEST_F(sweep, size_that_is_too_small_is_einval)
{
	const struct command *c;
	unsigned int sizes[8];
	union argument arg;
	size_t i, s;

	for (c = commands; c < commands + ARRAY_SIZE(commands); c++) {
		unsigned int all[] = {
			0, 1, 4, 7, 8, c->size - 8, c->size - 4, c->size - 1
		};

		memcpy(sizes, all, sizeof(sizes));
		for (s = 0; s < ARRAY_SIZE(sizes); s++) {
			ASSERT_EQ(0, prepare(self, c, &arg));
			arg.size = sizes[s];
			EXPECT_EQ(-EINVAL, call(self, c, &arg))
			TH_LOG("%s size %u", c->name, sizes[s]);
			EXPECT_TRUE(scope_is_untouched(self));
			for (i = c->size; i < sizeof(arg); i++) {
				EXPECT_EQ(0, arg.bytes[i]);
			}
		}
	}
}

TEST_F(sweep, longer_struct_with_a_zero_tail_is_accepted)
{
	const struct command *c;
	union argument arg;
	unsigned int more;
	size_t i;

	for (c = commands; c < commands + ARRAY_SIZE(commands); c++) {
		for (more = 1; more <= 64; more += more == 1 ? 7 : 8) {
			ASSERT_EQ(0, prepare(self, c, &arg));
			arg.size = c->size + more;
			EXPECT_LE(0, call(self, c, &arg))
			TH_LOG("%s +%u", c->name, more);
			for (i = c->size; i < sizeof(arg); i++) {
				EXPECT_EQ(0, arg.bytes[i]);
			}
		}
	}
}

TEST_F(sweep, longer_struct_with_something_in_its_tail_is_e2big)
{
	const struct command *c;
	union argument arg;
	unsigned int at;

	for (c = commands; c < commands + ARRAY_SIZE(commands); c++) {
		for (at = 0; at < 16; at++) {
			ASSERT_EQ(0, prepare(self, c, &arg));
			arg.size = c->size + 16;
			arg.bytes[c->size + at] = 0x80;
			EXPECT_EQ(-E2BIG, call(self, c, &arg))
			TH_LOG("%s tail byte %u", c->name, at);
			EXPECT_TRUE(scope_is_untouched(self));
		}
	}
}

TEST_F(sweep, size_beyond_a_page_is_e2big)
{
	static const unsigned int sizes[] = { PAGE + 1, 1U << 20, 0x7fffffff,
					      0x80000000, 0xffffffff };
	const struct command *c;
	union argument *arg;
	char *pages;
	size_t s;

	pages = map_anon(4 * PAGE);
	ASSERT_NE(MAP_FAILED, pages);
	arg = (union argument *)pages;
	for (c = commands; c < commands + ARRAY_SIZE(commands); c++) {
		for (s = 0; s < ARRAY_SIZE(sizes); s++) {
			ASSERT_EQ(0, prepare(self, c, arg));
			arg->size = sizes[s];
			EXPECT_EQ(-E2BIG, call(self, c, arg))
			TH_LOG("%s size %u", c->name, sizes[s]);
			EXPECT_TRUE(scope_is_untouched(self));
		}
	}
	munmap(pages, 4 * PAGE);
}

TEST_F(sweep, each_unknown_flag_is_einval)
{
	const struct command *c;
	union argument arg;
	unsigned int bit;

	for (c = commands; c < commands + ARRAY_SIZE(commands); c++) {
		for (bit = 0; bit < 32; bit++) {
			if (c->flags & (1U << bit))
				continue;
			ASSERT_EQ(0, prepare(self, c, &arg));
			arg.words[1] = 1U << bit;
			EXPECT_EQ(-EINVAL, call(self, c, &arg))
			TH_LOG("%s flag %u", c->name, bit);
			EXPECT_TRUE(scope_is_untouched(self));
		}
	}
}

/* Where a bit is of the 32 of one reserved field and the 64 of the other */
static unsigned int reserved_word(const struct command *c, unsigned int bit)
{
	if (bit < 32)
		return c->reserved / 4;
	return c->more_reserved / 4 + (bit - 32) / 32;
}

TEST_F(sweep, each_bit_of_a_reserved_field_is_einval)
{
	const struct command *c;
	union argument arg;
	unsigned int bit;

	for (c = commands; c < commands + ARRAY_SIZE(commands); c++) {
		for (bit = 0; bit < 96; bit++) {
			if (!(bit < 32 ? c->reserved : c->more_reserved))
				continue;
			ASSERT_EQ(0, prepare(self, c, &arg));
			arg.words[reserved_word(c, bit)] = 1U << bit % 32;
			EXPECT_EQ(-EINVAL, call(self, c, &arg))
			TH_LOG("%s reserved bit %u", c->name, bit);
			EXPECT_TRUE(scope_is_untouched(self));
		}
	}
}

TEST_F(sweep, struct_at_a_bad_address_is_efault)
{
	void *const wild[] = { NULL, (void *)8, (void *)-PAGE, (void *)-1L,
			       self->page };
	const struct command *c;
	union argument arg;
	size_t i;

	munmap(self->page, PAGE); /* a hole where memory was */
	for (c = commands; c < commands + ARRAY_SIZE(commands); c++) {
		if (c->cmd == KSCOPE_IOC_BUF_UNPIN ||
		    c->cmd == KSCOPE_IOC_BUF_REBORROW)
			continue; /* has no buffer without the page: see below */
		ASSERT_EQ(0, prepare(self, c, &arg));
		for (i = 0; i < ARRAY_SIZE(wild); i++) {
			EXPECT_EQ(-EFAULT, call_at(self, c, wild[i]))
			TH_LOG("%s at %p", c->name, wild[i]);
			EXPECT_TRUE(scope_is_untouched(self));
		}
	}
}

TEST_F(sweep, struct_that_runs_into_a_hole_is_efault)
{
	const struct command *c;
	union argument arg;
	unsigned int keep;
	char *end;

	end = map_guarded(PAGE);
	ASSERT_NE(MAP_FAILED, end);
	end += PAGE;
	for (c = commands; c < commands + ARRAY_SIZE(commands); c++) {
		ASSERT_EQ(0, prepare(self, c, &arg));
		for (keep = 1; keep < c->size; keep++) {
			memcpy(end - keep, &arg, keep);
			EXPECT_EQ(-EFAULT, call_at(self, c, end - keep))
			TH_LOG("%s with %u bytes", c->name, keep);
			EXPECT_TRUE(scope_is_untouched(self));
		}
		/* The whole of it in front of the hole is fine, unaligned or not. */
		memcpy(end - c->size, &arg, c->size);
		EXPECT_LE(0, call_at(self, c, end - c->size))
		TH_LOG("%s", c->name);
	}
	munmap(end - PAGE, PAGE);
}

TEST_F(sweep, tail_that_runs_into_a_hole_is_efault)
{
	const struct command *c;
	union argument arg;
	char *end;

	end = map_guarded(PAGE);
	ASSERT_NE(MAP_FAILED, end);
	end += PAGE;
	for (c = commands; c < commands + ARRAY_SIZE(commands); c++) {
		ASSERT_EQ(0, prepare(self, c, &arg));
		arg.size = c->size + 8;
		memcpy(end - c->size, &arg, c->size);
		EXPECT_EQ(-EFAULT, call_at(self, c, end - c->size))
		TH_LOG("%s", c->name);
		EXPECT_TRUE(scope_is_untouched(self));
	}
	munmap(end - PAGE, PAGE);
}

TEST_F(sweep, result_in_read_only_memory_is_efault_and_nothing_happened)
{
	const struct command *c;
	union argument arg;
	int fd, next;
	void *page;

	page = map_anon(PAGE);
	ASSERT_NE(MAP_FAILED, page);
	for (c = commands; c < commands + ARRAY_SIZE(commands); c++) {
		if (!c->has_result)
			continue;
		ASSERT_EQ(0, prepare(self, c, &arg));
		ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ | PROT_WRITE));
		memcpy(page, &arg, sizeof(arg));
		ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ));
		fd = dup(0);
		close(fd);
		EXPECT_EQ(-EFAULT, call_at(self, c, page))
		TH_LOG("%s", c->name);
		EXPECT_TRUE(scope_is_untouched(self));
		next = dup(0);
		EXPECT_EQ(fd, next) TH_LOG("%s leaked a descriptor", c->name);
		close(next);
	}
	munmap(page, PAGE);
}

TEST_F(sweep, what_is_out_only_may_hold_anything_before)
{
	struct kscope_scope_create create;
	struct kscope_cancel cancel;
	struct kscope_query q, clean;
	struct kscope_info info;
	struct kscope_join wait;
	union argument arg;
	int fd;

	ASSERT_EQ(0, prepare(self, &commands[0], &arg));
	memset(&info, 0xA5, sizeof(info));
	info.size = sizeof(info);
	info.flags = 0;
	EXPECT_EQ(0, xioctl(self->dev, KSCOPE_IOC_INFO, &info));
	EXPECT_EQ(KSCOPE_ABI_VERSION, info.abi_version);

	create = (struct kscope_scope_create){ .size = sizeof(create),
					       .capacity = 1,
					       .ring_entries = 0xA5A5A5A5,
					       .ring_bytes = 0xA5A5A5A5 };
	fd = xioctl(self->dev, KSCOPE_IOC_SCOPE_CREATE, &create);
	EXPECT_LE(0, fd);
	EXPECT_EQ(1, create.ring_entries);
	EXPECT_EQ(0, xclose(fd));

	memset(&q, 0xA5, sizeof(q));
	q.size = sizeof(q);
	q.flags = 0;
	EXPECT_EQ(0, xioctl(self->scope, KSCOPE_IOC_QUERY, &q));
	EXPECT_EQ(0, query(self->scope, &clean));
	EXPECT_EQ(0, memcmp(&q, &clean, sizeof(q)));

	memset(&wait, 0xA5, sizeof(wait));
	wait.size = sizeof(wait);
	wait.flags = 0;
	wait.deadline_ns = 0;
	EXPECT_EQ(0, xioctl(self->scope, KSCOPE_IOC_JOIN, &wait));
	EXPECT_EQ(0, wait.first_error);
	EXPECT_EQ(0, wait.first_child);
	EXPECT_EQ(0, wait.first_user_data);
	EXPECT_EQ(0, wait.cause);
	EXPECT_EQ(0, wait.decider_child);
	EXPECT_EQ(0, wait.decider_user_data);
	EXPECT_EQ(0, wait.nr_failed);
	EXPECT_EQ(0, wait.nr_cancelled);

	memset(&cancel, 0xA5, sizeof(cancel));
	cancel.size = sizeof(cancel);
	cancel.flags = 0;
	cancel.what = KSCOPE_CANCEL_SCOPE;
	cancel.target = 0;
	EXPECT_EQ(0, xioctl(self->scope, KSCOPE_IOC_CANCEL, &cancel));
	EXPECT_EQ(0, cancel.never_started);
	EXPECT_EQ(0, cancel.told);
	EXPECT_EQ(0, cancel.already);
}

TEST_F(sweep, unknown_commands_are_enotty)
{
	union argument arg;
	unsigned int nr, i;
	bool known;

	for (nr = 0; nr < 256; nr++) {
		known = false;
		for (i = 0; i < ARRAY_SIZE(commands); i++)
			known |= commands[i].cmd == _IO(KSCOPE_IOC_MAGIC, nr);
		if (known)
			continue;
		ASSERT_EQ(0, prepare(self, &commands[0], &arg));
		EXPECT_EQ(-ENOTTY,
			  xioctl(self->dev, _IO(KSCOPE_IOC_MAGIC, nr), &arg));
		EXPECT_EQ(-ENOTTY,
			  xioctl(self->scope, _IO(KSCOPE_IOC_MAGIC, nr), &arg));
		EXPECT_EQ(-ENOTTY,
			  xioctl(self->scope, _IO(KSCOPE_IOC_MAGIC, nr), NULL));
	}
}

TEST_F(sweep, command_number_with_other_magic_or_encoding_is_enotty)
{
	const struct command *c;
	union argument arg;
	unsigned int nr;

	for (c = commands; c < commands + ARRAY_SIZE(commands); c++) {
		nr = _IOC_NR(c->cmd);
		ASSERT_EQ(0, prepare(self, c, &arg));
		EXPECT_EQ(-ENOTTY, xioctl(self->scope, _IO(0xE7, nr), &arg));
		EXPECT_EQ(-ENOTTY, xioctl(self->dev, _IO(0xE7, nr), &arg));
		EXPECT_EQ(-ENOTTY,
			  xioctl(self->scope,
				 _IOC(_IOC_READ, KSCOPE_IOC_MAGIC, nr, 64),
				 &arg));
		EXPECT_EQ(-ENOTTY,
			  xioctl(self->dev,
				 _IOC(_IOC_WRITE, KSCOPE_IOC_MAGIC, nr, 8),
				 &arg));
		EXPECT_TRUE(scope_is_untouched(self));
	}
}

TEST_F(sweep, command_on_the_other_kind_of_fd_is_enotty)
{
	const struct command *c;
	union argument arg;

	for (c = commands; c < commands + ARRAY_SIZE(commands); c++) {
		if (c->cmd == KSCOPE_IOC_SCOPE_CREATE)
			continue; /* is on both */
		ASSERT_EQ(0, prepare(self, c, &arg));
		EXPECT_EQ(-ENOTTY, xioctl(c->on_scope ? self->dev : self->scope,
					  c->cmd, &arg))
		TH_LOG("%s", c->name);
		EXPECT_TRUE(scope_is_untouched(self));
	}
}

TEST_HARNESS_MAIN

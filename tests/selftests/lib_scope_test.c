// SPDX-License-Identifier: GPL-2.0
/* The library: the device, scopes, buffers, and what is left when a block is left. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kscope.h"

#define PAGE 4096UL
#define LEN (4 * PAGE)
#define HOUR_NS (3600 * 1000000000ULL)

FIXTURE(scope)
{
	int dev;
	char *mem;
};

FIXTURE_SETUP(scope)
{
	self->dev = kscope_open();
	ASSERT_LE(0, self->dev);
	self->mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->mem);
}

FIXTURE_TEARDOWN(scope)
{
	munmap(self->mem, LEN);
	EXPECT_EQ(0, kscope_close(self->dev));
}

static int spawn_sleep(struct kscope_scope *scope, __u64 *handle)
{
	struct kscope_desc desc;

	kscope_prep_sleep(&desc, kscope_now_ns() + HOUR_NS);
	return kscope_spawn(scope, &desc, 1, handle);
}

TEST_F(scope, device_is_close_on_exec)
{
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->dev, F_GETFD));
}

TEST_F(scope, info_tells_version_and_limits)
{
	struct kscope_info info;

	ASSERT_EQ(0, kscope_info(self->dev, &info));
	EXPECT_EQ(KSCOPE_ABI_VERSION, info.abi_version);
	EXPECT_LT(KSCOPE_OP_FSYNC, info.nr_ops);
	EXPECT_LT(0, info.max_capacity);
}

TEST_F(scope, ops_have_the_names_that_the_library_knows)
{
	struct kscope_op_info by_name, by_index;
	unsigned int op;

	for (op = KSCOPE_OP_NOP; op <= KSCOPE_OP_FSYNC; op++) {
		ASSERT_EQ(0, kscope_op_lookup(self->dev, kscope_op_name(op),
					      &by_name));
		EXPECT_EQ(op, by_name.op);
		ASSERT_EQ(0, kscope_op_at(self->dev, by_name.index, &by_index));
		EXPECT_EQ(op, by_index.op);
		EXPECT_STREQ(kscope_op_name(op), (char *)by_index.name);
	}
}

static const char long_name[] =
	"a name that is much longer than the field that the interface has for it";

TEST_F(scope, unknown_op_is_enoent)
{
	struct kscope_op_info op;

	EXPECT_EQ(-ENOENT, kscope_op_lookup(self->dev, "nosuchop", &op));
	EXPECT_EQ(-ENOENT, kscope_op_lookup(self->dev, long_name, &op));
	EXPECT_EQ(-ENOENT, kscope_op_at(self->dev, 1000000, &op));
}

TEST_F(scope, create_fills_in_the_scope)
{
	const struct kscope_scope_params params = { .capacity = 5 };
	struct kscope_scope scope;

	ASSERT_EQ(0, kscope_scope_create(&scope, self->dev, &params));
	EXPECT_LE(0, scope.fd);
	EXPECT_EQ(8, scope.entries);
	EXPECT_EQ(0, kscope_ready(&scope));
	EXPECT_EQ(0, kscope_scope_close(&scope));
	EXPECT_EQ(-1, scope.fd);
}

TEST_F(scope, failed_create_leaves_a_closed_scope)
{
	const struct kscope_scope_params params = { .kind = 99 };
	struct kscope_scope scope;

	EXPECT_EQ(-EINVAL, kscope_scope_create(&scope, self->dev, &params));
	EXPECT_EQ(-1, scope.fd);
	EXPECT_EQ(0, kscope_scope_close(&scope));
	EXPECT_EQ(0, kscope_scope_end(&scope));
}

TEST_F(scope, closing_waits_for_a_running_child)
{
	struct kscope_scope scope;

	ASSERT_EQ(0, kscope_scope_create(&scope, self->dev, NULL));
	ASSERT_LT(0, kscope_buf_pin(&scope, self->mem, LEN, 0));
	ASSERT_EQ(1, spawn_sleep(&scope, NULL));
	EXPECT_EQ(0, kscope_scope_close(&scope));
}

TEST_F(scope, end_is_an_end_even_if_a_child_process_holds_the_fd)
{
	struct kscope_query query = { 0 };
	struct kscope_scope scope;
	int copy, status;
	pid_t pid;

	ASSERT_EQ(0, kscope_scope_create(&scope, self->dev, NULL));
	ASSERT_LT(0, kscope_buf_pin(&scope, self->mem, LEN, 0));
	ASSERT_EQ(1, spawn_sleep(&scope, NULL));
	copy = dup(scope.fd);
	pid = fork();
	if (!pid)
		pause();
	EXPECT_EQ(0, kscope_scope_end(&scope));
	EXPECT_EQ(-1, scope.fd);
	scope.fd = copy;
	EXPECT_EQ(0, kscope_query(&scope, &query));
	EXPECT_EQ(KSCOPE_SCOPE_RELEASED, query.state);
	EXPECT_EQ(0, query.pinned_pages);
	close(copy);
	kill(pid, SIGKILL);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
}

static int leave_early(int dev, char *mem, int *copy)
{
	KSCOPE_SCOPED(scope);

	if (kscope_scope_create(&scope, dev, NULL) ||
	    kscope_buf_pin(&scope, mem, LEN, 0) < 0 ||
	    spawn_sleep(&scope, NULL) != 1)
		return -1;
	*copy = dup(scope.fd);
	return 7;
}

TEST_F(scope, leaving_the_block_ends_its_scope)
{
	struct kscope_scope scope = KSCOPE_SCOPE_INIT;
	struct kscope_query query;

	ASSERT_EQ(7, leave_early(self->dev, self->mem, &scope.fd));
	EXPECT_EQ(0, kscope_query(&scope, &query));
	EXPECT_EQ(KSCOPE_SCOPE_RELEASED, query.state);
	EXPECT_EQ(0, query.outstanding);
	EXPECT_EQ(0, query.nr_buffers);
	close(scope.fd);
}

TEST_F(scope, ending_a_released_scope_succeeds)
{
	struct kscope_scope scope;

	ASSERT_EQ(0, kscope_scope_create(&scope, self->dev, NULL));
	EXPECT_EQ(0, kscope_release(&scope, NULL, NULL));
	EXPECT_EQ(0, kscope_scope_end(&scope));
}

TEST_F(scope, unpinned_buffer_is_gone)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	unsigned int nr = KSCOPE_MAX_BLOCKERS;
	struct kscope_scope scope;
	int buf;

	ASSERT_EQ(0, kscope_scope_create(&scope, self->dev, NULL));
	buf = kscope_buf_pin(&scope, self->mem, LEN, 0);
	ASSERT_LT(0, buf);
	EXPECT_EQ(0, kscope_buf_unpin(&scope, buf, blockers, &nr));
	EXPECT_EQ(0, nr);
	EXPECT_EQ(-ENOENT, kscope_buf_unpin(&scope, buf, NULL, NULL));
	kscope_scope_close(&scope);
}

TEST_F(scope, hash_open_tells_the_digest_size)
{
	struct kscope_scope scope;
	unsigned int size = 0;

	ASSERT_EQ(0, kscope_scope_create(&scope, self->dev, NULL));
	EXPECT_LT(0, kscope_hash_open(&scope, "sha256", &size));
	EXPECT_EQ(32, size);
	EXPECT_EQ(-ENOENT, kscope_hash_open(&scope, "nosuchhash", NULL));
	EXPECT_EQ(-ENOENT, kscope_hash_open(&scope, long_name, NULL));
	kscope_scope_close(&scope);
}

TEST_F(scope, nested_scope_works_on_what_its_parent_lends)
{
	KSCOPE_SCOPED(parent);
	KSCOPE_SCOPED(nested);
	const struct kscope_scope_params params = { .capacity = 4,
						    .user_data = 42 };
	struct kscope_blocker blockers[2];
	struct kscope_completion done;
	struct kscope_desc desc;
	unsigned int nr = 2;
	int buf, view;

	ASSERT_EQ(0, kscope_scope_create(&parent, self->dev, NULL));
	ASSERT_EQ(0, kscope_scope_nest(&nested, &parent, &params));
	buf = kscope_buf_pin(&parent, self->mem, LEN, 0);
	ASSERT_LT(0, buf);
	view = kscope_buf_reborrow(&nested, &parent, buf, PAGE, PAGE, 0);
	ASSERT_LT(0, view);
	EXPECT_EQ(-EINVAL,
		  kscope_buf_reborrow(&parent, &nested, view, 0, PAGE, 0));
	kscope_prep_fill(&desc, view, 0, PAGE, 0x0101010101010101ULL);
	ASSERT_EQ(1, kscope_spawn_wait(&nested, &desc, 1, NULL, 1, 0));
	ASSERT_EQ(1, kscope_next(&nested, &done));
	EXPECT_EQ(0, done.status);
	EXPECT_EQ(0, self->mem[PAGE - 1]);
	EXPECT_EQ(1, self->mem[PAGE]);
	EXPECT_EQ(0, self->mem[2 * PAGE]);
	EXPECT_EQ(-EBUSY, kscope_buf_unpin(&parent, buf, blockers, &nr));
	ASSERT_EQ(1, nr);
	EXPECT_EQ(42, blockers[0].user_data);
	EXPECT_STREQ("nested scope", kscope_state_str(blockers[0].state));
	EXPECT_EQ(0, kscope_scope_end(&nested));
	EXPECT_EQ(0, kscope_buf_unpin(&parent, buf, NULL, NULL));
	EXPECT_EQ(0, kscope_scope_end(&parent));
}

TEST_HARNESS_MAIN

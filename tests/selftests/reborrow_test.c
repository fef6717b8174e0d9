// SPDX-License-Identifier: GPL-2.0
/*
 * Reborrowing: children of nested scopes work on buffers of the scopes above, which keep these
 * until they are given back. The oracle is the memory itself, and what is pinned.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "kselftest_harness.h"
#include "race_caller.h"

#define PAGES 8
#define LEN (PAGES * PAGE)
#define NAME 0xb0110
#define PATTERN 0x1122334455667788ULL

FIXTURE(lend)
{
	struct scope scope;
	struct scope nested;
	struct kscope_query q;
	struct kscope_completion c;
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	struct caller caller;
	int buf;
	char *mem;
	long pins;
};

static int nested_open(struct scope *scope, int parent, __u64 user_data)
{
	struct kscope_scope_create arg = { .capacity = 8,
					   .max_buffers = 4,
					   .user_data = user_data };
	int fd = scope_nest_arg(parent, &arg);

	*scope = (struct scope){ .fd = -1 };
	return fd < 0 ? fd : scope_map(scope, fd, &arg);
}

FIXTURE_SETUP(lend)
{
	hooks_quiet();
	self->pins = pins_now();
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 64));
	ASSERT_EQ(0, nested_open(&self->nested, self->scope.fd, NAME));
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	ASSERT_LT(0, self->buf);
}

FIXTURE_TEARDOWN(lend)
{
	hooks_quiet();
	EXPECT_TRUE(hooks_agree());
	close(self->nested.fd);
	close(self->scope.fd);
	scope_unmap(&self->nested);
	scope_unmap(&self->scope);
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	EXPECT_TRUE(hooks_agree());
	munmap(self->mem, LEN);
}

TEST_F(lend, children_of_the_nested_scope_work_on_the_memory)
{
	int view =
		buf_reborrow(self->nested.fd, self->scope.fd, self->buf, LEN);

	ASSERT_LT(0, view);
	ASSERT_EQ(0, run_ok(&self->nested, desc_fill(view, 0, LEN, PATTERN),
			    &self->c));
	EXPECT_EQ(PATTERN, *(__u64 *)self->mem);
	EXPECT_EQ(PATTERN, *(__u64 *)(self->mem + LEN - 8));
	ASSERT_EQ(0, query(self->nested.fd, &self->q));
	EXPECT_EQ(1, self->q.nr_buffers);
	EXPECT_EQ(0, self->q.pinned_pages);
	EXPECT_EQ(PAGES, vm_pages("VmPin"));
}

TEST_F(lend, a_range_starts_at_0_and_ends_where_it_ends)
{
	unsigned int off = PAGE + 24, len = 3 * PAGE + 8;
	int view = buf_reborrow_arg(self->nested.fd, self->scope.fd, self->buf,
				    off, len, 0);

	ASSERT_LT(0, view);
	ASSERT_EQ(0, run_ok(&self->nested, desc_fill(view, 0, len, PATTERN),
			    &self->c));
	EXPECT_TRUE(bytes_are(self->mem, off, 0));
	EXPECT_EQ(PATTERN, *(__u64 *)(self->mem + off));
	EXPECT_EQ(PATTERN, *(__u64 *)(self->mem + off + len - 8));
	EXPECT_TRUE(bytes_are(self->mem + off + len, LEN - off - len, 0));
	EXPECT_EQ(-ERANGE, spawn_one(self->nested.fd,
				     desc_fill(view, 0, len + 1, 0), NULL));
	EXPECT_EQ(-ERANGE,
		  spawn_one(self->nested.fd, desc_fill(view, len, 1, 0), NULL));
}

/* Every place of a buffer of several blocks, through a chain of ranges of ranges */
TEST_F(lend, ranges_of_ranges_are_where_they_should_be)
{
	size_t size = 5UL << 20, at = 0, left = size;
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct scope chain[5];
	int parent = self->scope.fd, view, i;
	static const size_t cut[] = { 4096 + 8, (2UL << 20) - 4096, 65536 + 16,
				      4, 123456 };

	ASSERT_NE(MAP_FAILED, mem);
	view = buf_pin(parent, mem + 520, size - 520, 0);
	ASSERT_LT(0, view);
	at = 520;
	left -= 520;
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, nested_open(&chain[i], parent, i));
		at += cut[i];
		left -= 2 * cut[i] < left ? 2 * cut[i] : cut[i];
		view = buf_reborrow_arg(chain[i].fd, parent, view, cut[i], left,
					0);
		ASSERT_LT(0, view);
		parent = chain[i].fd;
		bytes_fill(mem, size, i);
		ASSERT_EQ(0, run_ok(&chain[i], desc_crc32c(view, 0, left, 0),
				    &self->c));
		EXPECT_EQ(crc32c_of(mem + at, left, 0), self->c.value);
		ASSERT_EQ(0, run_ok(&chain[i], desc_fill(view, 0, left, 0),
				    &self->c));
		EXPECT_TRUE(bytes_are(mem + at, left, 0));
		EXPECT_NE(0, mem[at - 1] | mem[at - 2] | mem[at - 3]);
	}
	for (i = 0; i < 4; i++)
		EXPECT_EQ(-EBUSY, release(chain[i].fd));
	for (i = 4; i >= 0; i--)
		EXPECT_EQ(0, scope_close(&chain[i]));
	munmap(mem, size);
}

TEST_F(lend, the_ancestor_keeps_the_buffer_and_names_the_borrower)
{
	unsigned int nr = KSCOPE_MAX_BLOCKERS;
	int view = buf_reborrow_arg(self->nested.fd, self->scope.fd, self->buf,
				    PAGE, 2 * PAGE, 0);

	ASSERT_LT(0, view);
	EXPECT_EQ(-EBUSY, buf_unpin_blockers(self->scope.fd, self->buf,
					     self->blockers, &nr));
	ASSERT_EQ(1, nr);
	EXPECT_EQ(KSCOPE_STATE_NESTED, self->blockers[0].state);
	EXPECT_EQ(NAME, self->blockers[0].user_data);
	EXPECT_EQ(self->buf, self->blockers[0].buf);
	EXPECT_EQ(PAGE, self->blockers[0].off);
	EXPECT_EQ(2 * PAGE, self->blockers[0].len);
	EXPECT_EQ(0, self->blockers[0].child);
	EXPECT_EQ(0, buf_unpin(self->nested.fd, view));
	EXPECT_EQ(-ENOENT, buf_unpin(self->nested.fd, view));
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->buf));
}

TEST_F(lend, a_child_keeps_the_view)
{
	unsigned int nr = 1;
	int view =
		buf_reborrow(self->nested.fd, self->scope.fd, self->buf, LEN);
	int op = gate_op();

	if (op < 0)
		SKIP(return, "kscope_gate is not loaded");
	gate_set(false);
	ASSERT_LT(0, view);
	ASSERT_EQ(1, spawn_one(self->nested.fd, desc_gate(op, GATE_HEEDS, view),
			       NULL));
	EXPECT_EQ(-EBUSY, buf_unpin_blockers(self->nested.fd, view,
					     self->blockers, &nr));
	EXPECT_EQ(1, nr);
	EXPECT_EQ(op, self->blockers[0].op);
	EXPECT_EQ(-EBUSY, buf_unpin(self->scope.fd, self->buf));
	EXPECT_EQ(0, cancel_scope(self->scope.fd));
	EXPECT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(0, buf_unpin(self->nested.fd, view));
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->buf));
	gate_set(true);
}

TEST_F(lend, the_end_of_the_nested_scope_gives_everything_back)
{
	ASSERT_LT(0, buf_reborrow(self->nested.fd, self->scope.fd, self->buf,
				  LEN - 8));
	ASSERT_LT(0, buf_reborrow_arg(self->nested.fd, self->scope.fd,
				      self->buf, LEN - 8, 8, 0));
	EXPECT_EQ(0, release(self->nested.fd));
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->buf));
}

TEST_F(lend, close_of_the_nested_scope_gives_everything_back)
{
	ASSERT_LT(0, buf_reborrow(self->nested.fd, self->scope.fd, self->buf,
				  LEN));
	EXPECT_EQ(0, xclose(self->nested.fd));
	self->nested.fd = -1;
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->buf));
}

TEST_F(lend, close_of_the_ancestor_takes_the_view_away)
{
	int view =
		buf_reborrow(self->nested.fd, self->scope.fd, self->buf, LEN);

	ASSERT_LT(0, view);
	ASSERT_EQ(1,
		  spawn_one(self->nested.fd, desc_sleep(1, far_future()), 0));
	EXPECT_EQ(0, xclose(self->scope.fd));
	self->scope.fd = -1;
	EXPECT_EQ(self->pins, pins_now());
	EXPECT_EQ(0, vm_pages("VmPin"));
	EXPECT_EQ(-ENOENT, buf_unpin(self->nested.fd, view));
	EXPECT_EQ(-ENOENT,
		  spawn_one(self->nested.fd, desc_fill(view, 0, LEN, 0), NULL));
}

TEST_F(lend, close_of_the_ancestor_waits_for_a_child_below_that_has_the_buffer)
{
	int view =
		buf_reborrow(self->nested.fd, self->scope.fd, self->buf, LEN);
	int op = gate_op();

	if (op < 0)
		SKIP(return, "kscope_gate is not loaded");
	gate_set(false);
	ASSERT_EQ(1, spawn_one(self->nested.fd, desc_gate(op, 0, view), NULL));
	ASSERT_EQ(0, wait_running(self->nested.fd, 1));
	ASSERT_EQ(0, caller_start(&self->caller, call_close, self->scope.fd,
				  NULL));
	usleep(50000);
	EXPECT_FALSE(caller_is_done(&self->caller));
	EXPECT_LE(self->pins + PAGES, pins_now());
	EXPECT_EQ(PAGES, vm_pages("VmPin"));
	gate_set(true);
	EXPECT_EQ(0, caller_end(&self->caller));
	self->scope.fd = -1;
	EXPECT_EQ(self->pins, pins_now());
}

TEST_F(lend, grandchildren_borrow_from_any_ancestor)
{
	int inner = scope_nest(self->nested.fd, 4, 3), view, again;

	ASSERT_LE(0, inner);
	view = buf_reborrow_arg(inner, self->scope.fd, self->buf, LEN - PAGE,
				PAGE, 0);
	ASSERT_LT(0, view);
	again = buf_reborrow(self->nested.fd, self->scope.fd, self->buf,
			     LEN - PAGE);
	ASSERT_LT(0, again);
	ASSERT_LT(0, buf_reborrow(inner, self->nested.fd, again, PAGE));
	EXPECT_EQ(-EBUSY, buf_unpin(self->nested.fd, again));
	EXPECT_EQ(0, xclose(inner));
	EXPECT_EQ(0, buf_unpin(self->nested.fd, again));
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->buf));
}

TEST_F(lend, only_own_ancestors_lend)
{
	int sibling = scope_nest(self->scope.fd, 4, 0);
	int other = scope_nest(self->nested.fd, 4, 0);
	int nested = self->nested.fd, buf, theirs, dev = dev_open(), epoll;
	struct scope foreign;

	ASSERT_EQ(0, scope_open(&foreign, KSCOPE_KIND_PARALLEL, 4));
	theirs = buf_pin(foreign.fd, self->mem, LEN, 0);
	ASSERT_LT(0, theirs);
	EXPECT_EQ(-EINVAL, buf_reborrow(nested, foreign.fd, theirs, LEN));
	/* itself, a sibling, a scope below, the wrong way round */
	buf = buf_pin(nested, self->mem, LEN, 0);
	EXPECT_EQ(-EINVAL, buf_reborrow(nested, nested, buf, LEN));
	EXPECT_EQ(-EINVAL, buf_reborrow(sibling, nested, buf, LEN));
	EXPECT_EQ(-EINVAL, buf_reborrow(self->scope.fd, nested, buf, LEN));
	buf = buf_pin(other, self->mem, LEN, 0);
	EXPECT_EQ(-EINVAL, buf_reborrow(nested, other, buf, LEN));
	/* what is no scope */
	epoll = epoll_create1(EPOLL_CLOEXEC);
	EXPECT_EQ(-EINVAL, buf_reborrow(nested, dev, self->buf, LEN));
	EXPECT_EQ(-EINVAL, buf_reborrow(nested, epoll, self->buf, LEN));
	EXPECT_EQ(-EINVAL, buf_reborrow(nested, STDOUT_FILENO, self->buf, LEN));
	EXPECT_EQ(-EBADF, buf_reborrow(nested, -1, self->buf, LEN));
	EXPECT_EQ(-EBADF, buf_reborrow(nested, 1 << 20, self->buf, LEN));
	EXPECT_EQ(-ENOTTY, buf_reborrow(dev, self->scope.fd, self->buf, LEN));
	close(dev);
	close(epoll);
	close(other);
	close(sibling);
	scope_close(&foreign);
	ASSERT_EQ(0, query(nested, &self->q));
	EXPECT_EQ(1, self->q.nr_buffers);
}

TEST_F(lend, what_is_wrong_with_the_arguments_is_refused)
{
	int nested = self->nested.fd, scope = self->scope.fd, buf = self->buf;

	EXPECT_EQ(-EINVAL, buf_reborrow_arg(nested, scope, buf, 0, LEN, 2));
	EXPECT_EQ(-EINVAL, buf_reborrow_arg(nested, scope, buf, 0, 0, 0));
	EXPECT_EQ(-EINVAL,
		  buf_reborrow_arg(nested, scope, buf, 0, 1ULL << 40, 0));
	EXPECT_EQ(-EOVERFLOW,
		  buf_reborrow_arg(nested, scope, buf, ~0ULL, LEN, 0));
	EXPECT_EQ(-ERANGE, buf_reborrow_arg(nested, scope, buf, 0, LEN + 1, 0));
	EXPECT_EQ(-ERANGE, buf_reborrow_arg(nested, scope, buf, LEN, 1, 0));
	EXPECT_EQ(-ERANGE,
		  buf_reborrow_arg(nested, scope, buf, 1ULL << 62, 1, 0));
	EXPECT_EQ(-ENOENT, buf_reborrow(nested, scope, 0, LEN));
	EXPECT_EQ(-ENOENT, buf_reborrow(nested, scope, buf ^ 1, LEN));
	EXPECT_EQ(-ENOENT, buf_reborrow(nested, scope, buf + 4096, LEN));
	EXPECT_EQ(-ENOENT, buf_reborrow(nested, scope, ~0U, LEN));
	EXPECT_EQ(0, buf_unpin(scope, buf));
}

TEST_F(lend, read_only_stays_read_only)
{
	int nested = self->nested.fd, scope = self->scope.fd, view, again;
	int inner = scope_nest(nested, 4, 0);
	int ro = buf_pin(scope, self->mem, LEN, KSCOPE_PIN_READ_ONLY);

	ASSERT_LT(0, ro);
	EXPECT_EQ(-EACCES, buf_reborrow(nested, scope, ro, LEN));
	view = buf_reborrow_arg(nested, scope, ro, 0, LEN,
				KSCOPE_REBORROW_READ_ONLY);
	ASSERT_LT(0, view);
	EXPECT_EQ(-EACCES, spawn_one(nested, desc_fill(view, 0, 8, 0), NULL));
	EXPECT_EQ(1, spawn_one(nested, desc_crc32c(view, 0, 8, 0), NULL));
	/* Less can be given of what may be written, and never got back. */
	view = buf_reborrow_arg(nested, scope, self->buf, 0, LEN,
				KSCOPE_REBORROW_READ_ONLY);
	ASSERT_LT(0, view);
	EXPECT_EQ(-EACCES, spawn_one(nested, desc_fill(view, 0, 8, 0), NULL));
	EXPECT_EQ(-EACCES, buf_reborrow(inner, nested, view, LEN));
	again = buf_reborrow_arg(inner, nested, view, 0, LEN,
				 KSCOPE_REBORROW_READ_ONLY);
	EXPECT_LT(0, again);
	close(inner);
}

TEST_F(lend, states_and_full_tables_are_refused)
{
	int nested = self->nested.fd, scope = self->scope.fd, i;

	for (i = 0; i < 4; i++)
		ASSERT_LT(0, buf_reborrow_arg(nested, scope, self->buf,
					      i * PAGE, PAGE, 0));
	EXPECT_EQ(-ENOSPC, buf_reborrow_arg(nested, scope, self->buf,
					    LEN - PAGE, PAGE, 0));
	ASSERT_EQ(0, cancel_scope(nested));
	EXPECT_EQ(-ECANCELED, buf_reborrow_arg(nested, scope, self->buf,
					       LEN - PAGE, PAGE, 0));
	EXPECT_EQ(-ENOENT, buf_reborrow(nested, scope, 0, LEN));
	ASSERT_EQ(0, release(nested));
	EXPECT_EQ(-ESHUTDOWN, buf_reborrow(nested, scope, self->buf, LEN));
	EXPECT_EQ(-ENOENT, buf_reborrow(nested, scope, 0, LEN));
	/* What was refused keeps nothing. */
	EXPECT_EQ(0, buf_unpin(scope, self->buf));
}

/* What the owner, its children, and another nested scope may do beside a view of the middle */
static void expect_excludes(struct __test_metadata *_metadata,
			    FIXTURE_DATA(lend) * self, int reads, int writes)
{
	int scope = self->scope.fd, buf = self->buf, other;
	__u64 lease;

	EXPECT_EQ(reads,
		  spawn_one(scope, desc_crc32c(buf, 2 * PAGE - 1, 1, 0), NULL));
	EXPECT_EQ(reads, spawn_one(scope, desc_crc32c(buf, 0, LEN, 0), NULL));
	ASSERT_EQ(0, join(scope));
	EXPECT_EQ(writes, spawn_one(scope, desc_fill(buf, PAGE, 8, 0), NULL));
	EXPECT_EQ(1, spawn_one(scope, desc_fill(buf, 0, PAGE, 0), NULL));
	EXPECT_EQ(1, spawn_one(scope, desc_fill(buf, 2 * PAGE, PAGE, 0), NULL));
	ASSERT_EQ(0, join(scope));
	EXPECT_EQ(reads < 0 ? reads : 0,
		  borrow(scope, buf, 0, LEN, KSCOPE_ACCESS_READ, &lease));
	if (reads > 0)
		EXPECT_EQ(0, give_back(scope, lease));
	EXPECT_EQ(writes < 0 ? writes : 0,
		  borrow(scope, buf, 0, LEN, KSCOPE_ACCESS_WRITE, &lease));
	if (writes > 0)
		EXPECT_EQ(0, give_back(scope, lease));
	other = scope_nest(scope, 4, 0);
	EXPECT_EQ(reads < 0,
		  buf_reborrow_arg(other, scope, buf, 0, LEN,
				   KSCOPE_REBORROW_READ_ONLY) == -EBUSY);
	close(other);
	other = scope_nest(scope, 4, 0);
	EXPECT_EQ(writes < 0, buf_reborrow(other, scope, buf, LEN) == -EBUSY);
	close(other);
}

TEST_F(lend, a_view_excludes_the_ancestors_children_and_callers)
{
	int nested = self->nested.fd, scope = self->scope.fd, view;

	view = buf_reborrow_arg(nested, scope, self->buf, PAGE, PAGE, 0);
	ASSERT_LT(0, view);
	expect_excludes(_metadata, self, -EBUSY, -EBUSY);
	ASSERT_EQ(0, buf_unpin(nested, view));
	expect_excludes(_metadata, self, 1, 1);
	view = buf_reborrow_arg(nested, scope, self->buf, PAGE, PAGE,
				KSCOPE_REBORROW_READ_ONLY);
	ASSERT_LT(0, view);
	expect_excludes(_metadata, self, 1, -EBUSY);
}

TEST_F(lend, a_view_is_named_to_those_that_it_excludes)
{
	unsigned int nr = KSCOPE_MAX_BLOCKERS;

	ASSERT_LT(0, buf_reborrow_arg(self->nested.fd, self->scope.fd,
				      self->buf, PAGE, 2 * PAGE, 0));
	EXPECT_EQ(-EBUSY, spawn_blockers(self->scope.fd,
					 desc_fill(self->buf, 0, LEN, 0),
					 self->blockers, &nr));
	ASSERT_EQ(1, nr);
	EXPECT_EQ(KSCOPE_STATE_NESTED, self->blockers[0].state);
	EXPECT_EQ(NAME, self->blockers[0].user_data);
	EXPECT_EQ(self->buf, self->blockers[0].buf);
	EXPECT_EQ(PAGE, self->blockers[0].off);
	EXPECT_EQ(2 * PAGE, self->blockers[0].len);
	nr = KSCOPE_MAX_BLOCKERS;
	EXPECT_EQ(1, spawn_blockers(self->scope.fd,
				    desc_fill(self->buf, 0, PAGE, 0),
				    self->blockers, &nr));
	ASSERT_EQ(0, join(self->scope.fd));
}

TEST_F(lend, the_ancestors_children_and_callers_exclude_a_view)
{
	int nested = self->nested.fd, scope = self->scope.fd, op = gate_op();
	struct kscope_desc desc;
	__u64 lease;

	ASSERT_EQ(0, borrow(scope, self->buf, PAGE, 1, KSCOPE_ACCESS_READ,
			    &lease));
	EXPECT_EQ(-EBUSY, buf_reborrow(nested, scope, self->buf, LEN));
	EXPECT_LT(0, buf_reborrow(nested, scope, self->buf, PAGE));
	EXPECT_LT(0, buf_reborrow_arg(nested, scope, self->buf, PAGE, PAGE,
				      KSCOPE_REBORROW_READ_ONLY));
	ASSERT_EQ(0, give_back(scope, lease));
	if (op < 0)
		SKIP(return, "kscope_gate is not loaded");
	gate_set(false);
	desc = desc_gate(op, 0, self->buf);
	desc.off = 4 * PAGE;
	desc.len = PAGE;
	ASSERT_EQ(1, spawn_one(scope, desc, NULL));
	EXPECT_EQ(-EBUSY,
		  buf_reborrow_arg(nested, scope, self->buf, 4 * PAGE, 1, 0));
	EXPECT_LT(0, buf_reborrow_arg(nested, scope, self->buf, 5 * PAGE, PAGE,
				      0));
	gate_set(true);
	ASSERT_EQ(0, join(scope));
	EXPECT_LT(0,
		  buf_reborrow_arg(nested, scope, self->buf, 4 * PAGE, 1, 0));
}

/* Who waits for a lease that a view excludes gets it when that goes, and not behind its back. */
TEST_F(lend, those_who_wait_get_what_a_view_gives_back)
{
	int nested = self->nested.fd, scope = self->scope.fd, view;
	struct kscope_desc desc = desc_fill(self->buf, 0, LEN, PATTERN);

	view = buf_reborrow(nested, scope, self->buf, LEN);
	ASSERT_LT(0, view);
	desc.flags |= KSCOPE_CHILD_WAIT;
	ASSERT_EQ(1, spawn_one(scope, desc, NULL));
	usleep(10000);
	EXPECT_EQ(0, *(__u64 *)self->mem);
	EXPECT_EQ(-EBUSY, buf_reborrow_arg(nested, scope, self->buf, 0, 8,
					   KSCOPE_REBORROW_READ_ONLY));
	ASSERT_EQ(0, buf_unpin(nested, view));
	ASSERT_EQ(0, join(scope));
	EXPECT_EQ(PATTERN, *(__u64 *)self->mem);
	EXPECT_EQ(PATTERN, *(__u64 *)(self->mem + LEN - 8));
}

TEST_F(lend, memory_that_is_taken_away_is_a_violation_where_the_child_is)
{
	int view = buf_reborrow_arg(self->nested.fd, self->scope.fd, self->buf,
				    PAGE, PAGE, 0);
	int op = gate_op();

	if (op < 0 || !has_feature(KSCOPE_FEATURE_GUARD))
		SKIP(return, "no gate, or this kernel does not tell");
	gate_set(false);
	ASSERT_EQ(1, spawn_one(self->nested.fd, desc_gate(op, GATE_HEEDS, view),
			       NULL));
	ASSERT_EQ(0, madvise(self->mem + 2 * PAGE, PAGE, MADV_DONTNEED));
	ASSERT_EQ(0, query(self->nested.fd, &self->q));
	EXPECT_EQ(0, self->q.violations);
	ASSERT_EQ(0, madvise(self->mem + PAGE, PAGE, MADV_DONTNEED));
	ASSERT_EQ(0, query(self->nested.fd, &self->q));
	EXPECT_EQ(1, self->q.violations);
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(0, self->q.violations);
	gate_set(true);
	ASSERT_EQ(0, reap_wait(&self->nested, &self->c));
	EXPECT_EQ(KSCOPE_COMPLETION_VIOLATED, self->c.flags);
}

TEST_F(lend, buffers_of_a_dead_process_can_still_be_reborrowed)
{
	int pair[2], buf, view;
	struct scope scope;
	char byte;
	pid_t pid;

	ASSERT_EQ(0, scope_open(&scope, KSCOPE_KIND_PARALLEL, 4));
	ASSERT_EQ(0, pipe2(pair, O_CLOEXEC));
	pid = fork();
	if (!pid) {
		char *mem = map_anon(LEN);

		memset(mem, 7, LEN);
		buf = buf_pin(scope.fd, mem, LEN, 0);
		_exit(write(pair[1], &buf, sizeof(buf)) != sizeof(buf));
	}
	EXPECT_EQ(0, child_wait(pid));
	ASSERT_EQ(sizeof(buf), read(pair[0], &buf, sizeof(buf)));
	ASSERT_LT(0, buf);
	close(self->nested.fd);
	scope_unmap(&self->nested);
	ASSERT_EQ(0, nested_open(&self->nested, scope.fd, 1));
	view = buf_reborrow(self->nested.fd, scope.fd, buf, LEN);
	ASSERT_LT(0, view);
	ASSERT_EQ(0,
		  run_ok(&self->nested, desc_crc32c(view, 0, 4, 0), &self->c));
	byte = 7;
	EXPECT_EQ(crc32c_of((char[]){ byte, byte, byte, byte }, 4, 0),
		  self->c.value);
	EXPECT_EQ(0, scope_close(&scope));
	close(pair[0]);
	close(pair[1]);
}

TEST_F(lend, another_process_with_both_fds_may_reborrow_and_die)
{
	pid_t pid = fork();

	if (!pid) {
		int view = buf_reborrow(self->nested.fd, self->scope.fd,
					self->buf, LEN);

		if (view < 0 ||
		    spawn_one(self->nested.fd, desc_fill(view, 0, LEN, PATTERN),
			      NULL) != 1)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	EXPECT_EQ(SIGKILL, child_wait(pid) & 0x7f);
	EXPECT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(PATTERN, *(__u64 *)self->mem);
	/* The scopes live, and so does what was reborrowed. */
	EXPECT_EQ(-EBUSY, buf_unpin(self->scope.fd, self->buf));
	EXPECT_EQ(0, release(self->nested.fd));
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->buf));
}

TEST_F(lend, a_killed_owner_leaves_nothing_pinned)
{
	pid_t pid = fork();

	if (!pid) {
		int scope = scope_nest(self->scope.fd, 4, 0);
		int nested = scope_nest(scope, 4, 0);
		int buf = buf_pin(scope, self->mem, LEN, 0);
		int view = buf_reborrow(nested, scope, buf, LEN);

		if (view < 0 ||
		    spawn_one(nested, desc_sleep(0, far_future()), 0) != 1 ||
		    spawn_one(scope, desc_sleep(0, far_future()), 0) != 1)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	EXPECT_EQ(SIGKILL, child_wait(pid) & 0x7f);
	EXPECT_EQ(self->pins + PAGES, pins_settle(self->pins + PAGES, 2000));
}

static int call_reborrow(int fd, void *arg)
{
	return xioctl(fd, KSCOPE_IOC_BUF_REBORROW, arg);
}

/* Somebody is in the midst of a reborrow: nobody can release what it needs. */
TEST_F(lend, a_reborrow_under_way_holds_both_ends)
{
	struct kscope_buf_reborrow arg = { .size = sizeof(arg),
					   .scope = self->scope.fd,
					   .buf = self->buf,
					   .len = LEN };
	unsigned int nr = KSCOPE_MAX_BLOCKERS;

	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	ASSERT_EQ(0, stop_at("reborrowed", NAME));
	ASSERT_EQ(0, caller_start(&self->caller, call_reborrow, self->nested.fd,
				  &arg));
	ASSERT_EQ(0, stop_wait());
	EXPECT_EQ(-EBUSY, release(self->nested.fd));
	EXPECT_EQ(-EBUSY, release(self->scope.fd));
	EXPECT_EQ(-EBUSY, buf_unpin_blockers(self->scope.fd, self->buf,
					     self->blockers, &nr));
	EXPECT_EQ(1, nr);
	/* A cancel may come: then it is refused, and has taken nothing. */
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(-ECANCELED, caller_end(&self->caller));
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->buf));
	EXPECT_EQ(0, release(self->nested.fd));
	EXPECT_EQ(0, release(self->scope.fd));
}

TEST_F(lend, closing_both_fds_in_the_midst_of_a_reborrow_is_safe)
{
	struct kscope_buf_reborrow arg = { .size = sizeof(arg),
					   .scope = self->scope.fd,
					   .buf = self->buf,
					   .len = LEN };

	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	ASSERT_EQ(0, stop_at("reborrowed", NAME));
	ASSERT_EQ(0, caller_start(&self->caller, call_reborrow, self->nested.fd,
				  &arg));
	ASSERT_EQ(0, stop_wait());
	EXPECT_EQ(0, xclose(self->scope.fd));
	EXPECT_EQ(0, xclose(self->nested.fd));
	self->scope.fd = -1;
	self->nested.fd = -1;
	ASSERT_EQ(0, stop_go());
	EXPECT_LT(0, caller_end(&self->caller));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
}

TEST_HARNESS_MAIN

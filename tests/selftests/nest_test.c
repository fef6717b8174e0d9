// SPDX-License-Identifier: GPL-2.0
/*
 * Nested scopes: what goes down the tree, what goes up, and in which order scopes end. A test that
 * needs a child which does not end without the test's consent uses the op "gate".
 */
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "kselftest_harness.h"
#include "race_hooks.h"

#define DEEP KSCOPE_MAX_NESTING
#define WIDE 10000
#define WIDE_IF_SLOW 500
#define NAME 0x5c09e

FIXTURE(nest)
{
	struct scope scope;
	struct scope nested;
	struct kscope_query q;
	struct kscope_completion c;
	struct kscope_join join;
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
};

/* A nested scope with its ring */
static int nested_open(struct scope *scope, int parent,
		       struct kscope_scope_create *arg)
{
	int fd = scope_nest_arg(parent, arg);

	*scope = (struct scope){ .fd = -1 };
	return fd < 0 ? fd : scope_map(scope, fd, arg);
}

FIXTURE_SETUP(nest)
{
	struct kscope_scope_create arg = { .capacity = 8, .user_data = NAME };

	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 8));
	ASSERT_EQ(0, nested_open(&self->nested, self->scope.fd, &arg));
}

FIXTURE_TEARDOWN(nest)
{
	EXPECT_TRUE(hooks_agree());
	close(self->nested.fd);
	close(self->scope.fd);
	scope_unmap(&self->nested);
	scope_unmap(&self->scope);
	EXPECT_TRUE(hooks_agree());
}

TEST_F(nest, query_counts_depth_nested_scopes_and_what_is_outstanding_below)
{
	int inner = scope_nest(self->nested.fd, 1, 0);

	ASSERT_LE(0, inner);
	ASSERT_EQ(1,
		  spawn_one(self->nested.fd, desc_sleep(1, far_future()), 0));
	ASSERT_EQ(1, spawn_one(inner, desc_sleep(1, far_future()), 0));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(0, self->q.depth);
	EXPECT_EQ(1, self->q.nested);
	EXPECT_EQ(0, self->q.outstanding);
	EXPECT_EQ(2, self->q.tree_outstanding);
	ASSERT_EQ(0, query(inner, &self->q));
	EXPECT_EQ(2, self->q.depth);
	EXPECT_EQ(0, self->q.nested);
	EXPECT_EQ(1, self->q.tree_outstanding);
	EXPECT_EQ(0, xclose(inner));
	ASSERT_EQ(0, query(self->nested.fd, &self->q));
	EXPECT_EQ(0, self->q.nested);
}

TEST_F(nest, cancel_goes_down_and_says_that_the_parent_was_cancelled)
{
	int inner = scope_nest(self->nested.fd, 4, 0);
	struct kscope_cancel counts;

	ASSERT_LE(0, inner);
	ASSERT_EQ(1,
		  spawn_one(self->nested.fd, desc_sleep(1, far_future()), 0));
	ASSERT_EQ(1, spawn_one(inner, desc_sleep(2, far_future()), 0));
	ASSERT_EQ(0, wait_running(inner, 1));
	ASSERT_EQ(0, wait_running(self->nested.fd, 1));
	ASSERT_EQ(0,
		  cancel_arg(self->scope.fd, KSCOPE_CANCEL_SCOPE, 0, &counts));
	EXPECT_EQ(2, counts.told + counts.never_started);
	ASSERT_EQ(0, reap_wait(&self->nested, &self->c));
	EXPECT_EQ(KSCOPE_CAUSE_PARENT, self->c.cause);
	EXPECT_EQ(KSCOPE_STOPPED, self->c.outcome);
	ASSERT_EQ(0, query(inner, &self->q));
	EXPECT_EQ(KSCOPE_SCOPE_CANCELLED, self->q.state);
	EXPECT_EQ(KSCOPE_CAUSE_PARENT, self->q.cause);
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(KSCOPE_CAUSE_CALLER, self->q.cause);
	EXPECT_EQ(-ECANCELED, spawn_one(inner, desc_nop(0), NULL));
	EXPECT_EQ(-ECANCELED, spawn_one(self->nested.fd, desc_nop(0), NULL));
	EXPECT_EQ(-ECANCELED, scope_nest(inner, 1, 0));
	EXPECT_EQ(-ECANCELED, scope_nest(self->scope.fd, 1, 0));
	xclose(inner);
}

TEST_F(nest, cancel_of_a_nested_scope_leaves_the_parent_and_siblings_alone)
{
	int sibling = scope_nest(self->scope.fd, 4, 0);

	ASSERT_LE(0, sibling);
	ASSERT_EQ(0, cancel_scope(self->nested.fd));
	EXPECT_EQ(1, spawn_one(sibling, desc_nop(0), NULL));
	EXPECT_EQ(1, spawn_one(self->scope.fd, desc_nop(0), NULL));
	EXPECT_EQ(-ECANCELED, spawn_one(self->nested.fd, desc_nop(0), NULL));
	ASSERT_EQ(0, xclose(sibling));
}

TEST_F(nest, what_a_parents_cancel_has_closed_stays_closed)
{
	struct kscope_quiesce arg = { .size = sizeof(arg) };

	/* Whatever came first: the parent's cancel is not forgiven. */
	ASSERT_EQ(0, cancel_scope(self->nested.fd));
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	EXPECT_EQ(-ECANCELED,
		  xioctl(self->nested.fd, KSCOPE_IOC_QUIESCE, &arg));
	EXPECT_EQ(0, xioctl(self->scope.fd, KSCOPE_IOC_QUIESCE, &arg));
	EXPECT_EQ(-ECANCELED,
		  xioctl(self->nested.fd, KSCOPE_IOC_QUIESCE, &arg));
	EXPECT_EQ(1, spawn_one(self->scope.fd, desc_nop(0), NULL));
	EXPECT_EQ(-ECANCELED, spawn_one(self->nested.fd, desc_nop(0), NULL));
}

TEST_F(nest, release_is_refused_and_names_the_nested_scope)
{
	unsigned int nr = KSCOPE_MAX_BLOCKERS;

	EXPECT_EQ(-EBUSY,
		  release_blockers(self->scope.fd, self->blockers, &nr));
	ASSERT_EQ(1, nr);
	EXPECT_EQ(KSCOPE_STATE_NESTED, self->blockers[0].state);
	EXPECT_EQ(NAME, self->blockers[0].user_data);
	EXPECT_EQ(0, self->blockers[0].child);
	EXPECT_EQ(0, self->blockers[0].buf);
	EXPECT_EQ(-EBUSY, release(self->scope.fd));
	EXPECT_EQ(0, release(self->nested.fd));
	EXPECT_EQ(0, release(self->scope.fd));
	EXPECT_EQ(-ESHUTDOWN, scope_nest(self->scope.fd, 1, 0));
	EXPECT_EQ(-ESHUTDOWN, scope_nest(self->nested.fd, 1, 0));
}

TEST_F(nest, release_names_children_before_nested_scopes_and_no_more_than_asked)
{
	int others[KSCOPE_MAX_BLOCKERS];
	unsigned int nr = KSCOPE_MAX_BLOCKERS, i;

	for (i = 0; i < KSCOPE_MAX_BLOCKERS; i++) {
		others[i] = scope_nest(self->scope.fd, 1, i);
		ASSERT_LE(0, others[i]);
	}
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(7, far_future()), 0));
	ASSERT_EQ(-EBUSY,
		  release_blockers(self->scope.fd, self->blockers, &nr));
	EXPECT_EQ(KSCOPE_MAX_BLOCKERS, nr);
	EXPECT_EQ(KSCOPE_OP_SLEEP, self->blockers[0].op);
	for (i = 1; i < nr; i++)
		EXPECT_EQ(KSCOPE_STATE_NESTED, self->blockers[i].state);
	nr = 2;
	ASSERT_EQ(-EBUSY,
		  release_blockers(self->scope.fd, self->blockers, &nr));
	EXPECT_EQ(2, nr);
	for (i = 0; i < KSCOPE_MAX_BLOCKERS; i++)
		EXPECT_EQ(0, xclose(others[i]));
}

TEST_F(nest, close_of_a_nested_scope_lets_the_parent_be_released)
{
	ASSERT_EQ(1,
		  spawn_one(self->nested.fd, desc_sleep(1, far_future()), 0));
	EXPECT_EQ(0, xclose(self->nested.fd));
	self->nested.fd = -1;
	ASSERT_TRUE(reap(&self->nested, &self->c));
	EXPECT_EQ(KSCOPE_CAUSE_CLOSE, self->c.cause);
	EXPECT_EQ(0, release(self->scope.fd));
}

TEST_F(nest, close_of_the_parent_ends_what_is_below_and_waits_for_it)
{
	int inner = scope_nest(self->nested.fd, 4, 0);

	ASSERT_LE(0, inner);
	ASSERT_EQ(1,
		  spawn_one(self->nested.fd, desc_sleep(1, far_future()), 0));
	ASSERT_EQ(1, spawn_one(inner, desc_sleep(1, far_future()), 0));
	EXPECT_EQ(0, xclose(self->scope.fd));
	self->scope.fd = -1;
	ASSERT_TRUE(reap(&self->nested, &self->c));
	EXPECT_EQ(KSCOPE_CAUSE_PARENT, self->c.cause);
	ASSERT_EQ(0, query(self->nested.fd, &self->q));
	EXPECT_EQ(KSCOPE_SCOPE_RELEASED, self->q.state);
	EXPECT_EQ(KSCOPE_CAUSE_PARENT, self->q.cause);
	EXPECT_EQ(0, self->q.nested);
	ASSERT_EQ(0, query(inner, &self->q));
	EXPECT_EQ(KSCOPE_SCOPE_RELEASED, self->q.state);
	EXPECT_EQ(0, self->q.outstanding);
	EXPECT_EQ(-ESHUTDOWN, spawn_one(inner, desc_nop(0), NULL));
	EXPECT_EQ(-ESHUTDOWN, scope_nest(inner, 1, 0));
	EXPECT_EQ(-ESHUTDOWN, release(inner));
	EXPECT_EQ(0, xclose(inner));
}

TEST_F(nest, join_waits_for_all_below)
{
	int inner = scope_nest(self->nested.fd, 4, 0);

	ASSERT_LE(0, inner);
	ASSERT_EQ(1, spawn_one(inner, desc_sleep(1, far_future()), 0));
	EXPECT_EQ(-ETIMEDOUT, join_arg(self->scope.fd, in_ms(20), &self->join));
	EXPECT_EQ(-ETIMEDOUT,
		  join_arg(self->nested.fd, in_ms(20), &self->join));
	ASSERT_EQ(0, cancel_scope(inner));
	EXPECT_EQ(0, join_arg(self->scope.fd, in_ms(PATIENCE_MS), &self->join));
	EXPECT_EQ(1, self->join.nr_cancelled);
	EXPECT_EQ(0, self->join.cause);
	EXPECT_EQ(0, xclose(inner));
	/* What has been is still counted. */
	EXPECT_EQ(0, join_arg(self->scope.fd, 0, &self->join));
	EXPECT_EQ(1, self->join.nr_cancelled);
}

TEST_F(nest, join_tells_the_first_error_of_the_subtree)
{
	int inner = scope_nest(self->nested.fd, 4, 0);

	ASSERT_LE(0, inner);
	ASSERT_EQ(1, spawn_failure(inner, 99));
	ASSERT_EQ(0, join_arg(self->scope.fd, in_ms(PATIENCE_MS), &self->join));
	EXPECT_EQ(-EPERM, self->join.first_error);
	EXPECT_EQ(99, self->join.first_user_data);
	EXPECT_EQ(0, self->join.first_child);
	EXPECT_EQ(1, self->join.nr_failed);
	EXPECT_EQ(0, self->join.cause); /* nobody has a policy */
	EXPECT_EQ(0, xclose(inner));
	EXPECT_EQ(0, xclose(self->nested.fd));
	self->nested.fd = -1;
	ASSERT_EQ(0, join_arg(self->scope.fd, in_ms(PATIENCE_MS), &self->join));
	EXPECT_EQ(-EPERM, self->join.first_error);
	EXPECT_EQ(99, self->join.first_user_data);
	EXPECT_EQ(1, self->join.nr_failed);
}

TEST_F(nest, poll_does_not_hang_up_before_nested_scopes_have_ended)
{
	struct pollfd p = { .fd = self->scope.fd, .events = POLLIN };

	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	EXPECT_EQ(0, poll(&p, 1, 0));
	EXPECT_EQ(0, release(self->nested.fd));
	ASSERT_EQ(1, poll_woken(&p));
	EXPECT_EQ(POLLHUP, p.revents);
}

static void *end_soon(void *fd)
{
	usleep(20000);
	release(*(int *)fd);
	return NULL;
}

TEST_F(nest, a_poller_is_woken_when_the_last_nested_scope_ends)
{
	struct pollfd p = { .fd = self->scope.fd, .events = POLLIN };
	pthread_t thread;

	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	ASSERT_EQ(0, pthread_create(&thread, NULL, end_soon, &self->nested.fd));
	EXPECT_EQ(1, poll_woken(&p));
	EXPECT_EQ(POLLHUP, p.revents);
	pthread_join(thread, NULL);
}

TEST_F(nest, fdinfo_shows_the_place_in_the_tree)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->nested.fd);
	EXPECT_EQ(1, file_value(path, "depth:"));
	EXPECT_EQ(0, file_value(path, "nested:"));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->scope.fd);
	EXPECT_EQ(1, file_value(path, "nested:"));
	EXPECT_EQ(0, file_value(path, "tree_outstanding:"));
}

TEST_F(nest, the_earlier_deadline_counts)
{
	struct kscope_scope_create arg = { .capacity = 4 };
	__u64 early = far_future(), late = early + SEC;
	int fd, inner;

	arg.deadline_ns = early;
	fd = scope_nest_arg(self->scope.fd, &arg);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, query(fd, &self->q));
	EXPECT_EQ(early, self->q.deadline_ns);
	arg.deadline_ns = late;
	inner = scope_nest_arg(fd, &arg);
	ASSERT_LE(0, inner);
	ASSERT_EQ(0, query(inner, &self->q));
	EXPECT_EQ(early, self->q.deadline_ns);
	xclose(inner);
	arg.deadline_ns = 0;
	inner = scope_nest_arg(fd, &arg);
	ASSERT_LE(0, inner);
	ASSERT_EQ(0, query(inner, &self->q));
	EXPECT_EQ(early, self->q.deadline_ns);
	xclose(inner);
	xclose(fd);
}

TEST_F(nest, a_deadline_cancels_what_is_below_and_nothing_above)
{
	struct kscope_scope_create arg = { .capacity = 4,
					   .deadline_ns = in_ms(50) };
	int fd = scope_nest_arg(self->scope.fd, &arg), inner;
	struct scope scope;

	ASSERT_LE(0, fd);
	arg.deadline_ns = 0;
	inner = nested_open(&scope, fd, &arg);
	ASSERT_EQ(0, inner);
	inner = scope.fd;
	if (spawn_one(inner, desc_sleep(1, far_future()), NULL) == 1) {
		ASSERT_EQ(0, reap_wait(&scope, &self->c));
		EXPECT_EQ(KSCOPE_CAUSE_PARENT, self->c.cause);
	}
	ASSERT_EQ(0, query(fd, &self->q));
	EXPECT_EQ(KSCOPE_CAUSE_DEADLINE, self->q.cause);
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(KSCOPE_SCOPE_OPEN, self->q.state);
	scope_close(&scope);
	xclose(fd);
}

/* A chain of scopes that fail fast, but for one that may not. Return: the state of the outermost */
static int fail_chain(int nr, int careless, __u32 *cause)
{
	struct kscope_scope_create arg = { .capacity = 4 };
	struct kscope_query q = {};
	int fds[8], i, ret;

	for (i = 0; i < nr; i++) {
		arg.policy = i == careless ? KSCOPE_POLICY_COLLECT :
					     KSCOPE_POLICY_FAIL_FAST;
		fds[i] = i ? scope_nest_arg(fds[i - 1], &arg) :
			     scope_create(&arg);
		if (fds[i] < 0)
			return fds[i];
	}
	ret = spawn_one(fds[0], desc_sleep(1, far_future()), NULL);
	if (ret == 1)
		ret = spawn_failure(fds[nr - 1], 5);
	if (ret == 1)
		ret = join(fds[nr - 1]);
	if (!ret && careless < 0)
		ret = join(fds[0]); /* which needs a cancel */
	else if (!ret)
		usleep(50000);
	if (!ret)
		ret = query(fds[0], &q);
	*cause = q.cause;
	for (i = 0; i < nr; i++)
		xclose(fds[i]);
	return ret ?: (int)q.state;
}

TEST_F(nest, a_failure_goes_up_as_long_as_scopes_fail_fast)
{
	__u32 cause;

	EXPECT_EQ(KSCOPE_SCOPE_CANCELLED, fail_chain(2, -1, &cause));
	EXPECT_EQ(KSCOPE_CAUSE_FAILURE, cause);
	EXPECT_EQ(KSCOPE_SCOPE_CANCELLED, fail_chain(6, -1, &cause));
	EXPECT_EQ(KSCOPE_CAUSE_FAILURE, cause);
	EXPECT_EQ(KSCOPE_SCOPE_OPEN, fail_chain(6, 5, &cause));
	EXPECT_EQ(KSCOPE_SCOPE_OPEN, fail_chain(6, 3, &cause));
	EXPECT_EQ(KSCOPE_SCOPE_OPEN, fail_chain(6, 0, &cause));
}

TEST_F(nest, a_failure_from_below_cancels_siblings_and_names_its_child)
{
	struct kscope_scope_create arg = { .capacity = 4,
					   .policy = KSCOPE_POLICY_FAIL_FAST };
	int top = scope_create(&arg), fd, sibling;

	ASSERT_LE(0, top);
	fd = scope_nest_arg(top, &arg);
	arg.policy = KSCOPE_POLICY_COLLECT;
	sibling = scope_nest_arg(top, &arg);
	ASSERT_LE(0, fd);
	ASSERT_LE(0, sibling);
	ASSERT_EQ(1, spawn_one(sibling, desc_sleep(1, far_future()), NULL));
	ASSERT_EQ(1, spawn_failure(fd, 77));
	ASSERT_EQ(0, join_arg(top, in_ms(PATIENCE_MS), &self->join));
	EXPECT_EQ(KSCOPE_CAUSE_FAILURE, self->join.cause);
	EXPECT_EQ(77, self->join.decider_user_data);
	EXPECT_EQ(0, self->join.decider_child);
	EXPECT_EQ(77, self->join.first_user_data);
	EXPECT_EQ(1, self->join.nr_failed);
	EXPECT_EQ(1, self->join.nr_cancelled);
	ASSERT_EQ(0, query(sibling, &self->q));
	EXPECT_EQ(KSCOPE_CAUSE_PARENT, self->q.cause);
	xclose(sibling);
	xclose(fd);
	xclose(top);
}

TEST_F(nest, a_success_below_decides_nothing_above)
{
	struct kscope_scope_create arg = {
		.capacity = 4, .policy = KSCOPE_POLICY_FIRST_SUCCESS
	};
	int top = scope_create(&arg), fd;

	ASSERT_LE(0, top);
	fd = scope_nest_arg(top, &arg);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, spawn_one(fd, desc_nop(0), NULL));
	ASSERT_EQ(0, join(top));
	ASSERT_EQ(0, query(fd, &self->q));
	EXPECT_EQ(KSCOPE_CAUSE_SUCCESS, self->q.cause);
	ASSERT_EQ(0, query(top, &self->q));
	EXPECT_EQ(KSCOPE_SCOPE_OPEN, self->q.state);
	xclose(fd);
	xclose(top);
}

TEST_F(nest, every_kind_can_be_nested_in_every_kind)
{
	unsigned int kinds = KSCOPE_KIND_INLINE + 1, i;
	struct kscope_scope_create arg = { .capacity = 2 };
	int outer, inner;

	for (i = 0; i < kinds * kinds; i++) {
		arg.kind = i / kinds;
		outer = scope_create(&arg);
		arg.kind = i % kinds;
		inner = scope_nest_arg(outer, &arg);
		ASSERT_LE(0, inner);
		EXPECT_EQ(1, spawn_one(inner, desc_nop(0), NULL));
		EXPECT_EQ(0, join(outer));
		EXPECT_EQ(0, release(inner));
		EXPECT_EQ(0, release(outer));
		xclose(inner);
		xclose(outer);
	}
}

TEST_F(nest, scopes_nest_64_deep_and_no_deeper)
{
	int fds[DEEP + 1], i;

	fds[0] = self->scope.fd;
	for (i = 1; i <= DEEP; i++) {
		fds[i] = scope_nest(fds[i - 1], 1, i);
		ASSERT_LE(0, fds[i]);
	}
	EXPECT_EQ(-ELOOP, scope_nest(fds[DEEP], 1, 0));
	ASSERT_EQ(0, query(fds[DEEP], &self->q));
	EXPECT_EQ(DEEP, self->q.depth);
	ASSERT_EQ(1, spawn_one(fds[DEEP], desc_sleep(1, far_future()), NULL));
	EXPECT_EQ(-ETIMEDOUT, join_arg(fds[0], in_ms(10), &self->join));
	ASSERT_EQ(0, cancel_scope(fds[0]));
	EXPECT_EQ(0, join(fds[0]));
	for (i = 0; i < DEEP; i++) {
		EXPECT_EQ(-EBUSY, release(fds[i]));
	}
	/* The outermost first: each waits for what is left below. */
	EXPECT_EQ(0, xclose(fds[0]));
	self->scope.fd = -1;
	for (i = 1; i <= DEEP; i++) {
		EXPECT_EQ(-ESHUTDOWN, release(fds[i]));
		EXPECT_EQ(0, xclose(fds[i]));
	}
}

TEST_F(nest, a_chain_of_64_is_freed_from_its_end)
{
	int fds[DEEP + 1], i;

	fds[0] = self->scope.fd;
	for (i = 1; i <= DEEP; i++) {
		fds[i] = scope_nest(fds[i - 1], 1, i);
		ASSERT_LE(0, fds[i]);
	}
	/* Nobody but the last one keeps the others: its end is theirs. */
	for (i = 0; i < DEEP; i++)
		EXPECT_EQ(0, xclose(fds[i]));
	self->scope.fd = -1;
	EXPECT_EQ(-ESHUTDOWN, release(fds[DEEP]));
	EXPECT_EQ(0, xclose(fds[DEEP]));
	EXPECT_TRUE(hooks_agree());
}

static int many_files(void)
{
	struct rlimit limit = { WIDE + 200, WIDE + 200 };

	return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
}

TEST_F_TIMEOUT(nest, scopes_nest_10000_wide, 100)
{
	int wide = kernel_is_instrumented() ? WIDE_IF_SLOW : WIDE, i;
	int *fds = calloc(wide, sizeof(*fds));

	ASSERT_NE(NULL, fds);
	ASSERT_EQ(0, many_files());
	for (i = 0; i < wide; i++) {
		fds[i] = scope_nest(self->scope.fd, 1, i);
		ASSERT_LE(0, fds[i]);
	}
	for (i = 0; i < wide; i += 100)
		ASSERT_EQ(1, spawn_one(fds[i], desc_sleep(i, far_future()), 0));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(wide + 1, self->q.nested);
	EXPECT_EQ(wide / 100, self->q.tree_outstanding);
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	ASSERT_EQ(0, join_arg(self->scope.fd, in_ms(PATIENCE_MS), &self->join));
	EXPECT_EQ(wide / 100, self->join.nr_cancelled);
	for (i = 0; i < wide / 2; i++)
		EXPECT_EQ(0, xclose(fds[i]));
	EXPECT_EQ(0, xclose(self->scope.fd));
	self->scope.fd = -1;
	for (; i < wide; i++) {
		if (i % 1000 == 0) {
			EXPECT_EQ(-ESHUTDOWN, release(fds[i]));
		}
		close(fds[i]);
	}
	free(fds);
}

TEST_F(nest, an_owner_of_a_wide_tree_can_be_killed)
{
	pid_t pid = fork();
	int i, fd;

	if (!pid) {
		fd = scope_nest(self->scope.fd, 1, 0);
		for (i = 0; i < 500; i++) {
			int kid = scope_nest(fd, 2, i);

			if (kid < 0 ||
			    spawn_one(kid, desc_sleep(i, far_future()), 0) != 1)
				_exit(1);
		}
		kill(getpid(), SIGKILL);
	}
	EXPECT_EQ(SIGKILL, child_wait(pid) & 0x7f);
	ASSERT_EQ(0, xclose(self->nested.fd));
	self->nested.fd = -1;
	/* The reaper ends what was left, one after the other. */
	for (i = 0; i < PATIENCE_MS; i++) {
		ASSERT_EQ(0, query(self->scope.fd, &self->q));
		if (!self->q.nested)
			break;
		usleep(1000);
	}
	EXPECT_EQ(0, self->q.nested);
	EXPECT_EQ(0, release(self->scope.fd));
}

TEST_F(nest, the_fd_of_a_nested_scope_can_outlive_everybody)
{
	int pair[2], fd;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	pid = fork();
	if (!pid) {
		int root = -1, nested;
		struct kscope_scope_create arg = { .capacity = 4 };

		root = scope_create(&arg);
		nested = scope_nest(root, 4, 0);
		if (nested < 0 ||
		    spawn_one(nested, desc_sleep(1, far_future()), 0) != 1 ||
		    fd_send(pair[1], nested))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	EXPECT_EQ(SIGKILL, child_wait(pid) & 0x7f);
	fd = fd_recv(pair[0]);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, join(fd));
	/* The root is dead, so sooner or later this one is released. */
	while (!query(fd, &self->q) && self->q.state != KSCOPE_SCOPE_RELEASED)
		usleep(1000);
	EXPECT_EQ(-ESHUTDOWN, spawn_one(fd, desc_nop(0), NULL));
	EXPECT_EQ(0, xclose(fd));
	close(pair[0]);
	close(pair[1]);
}

TEST_F(nest, what_is_wrong_with_the_arguments_is_refused)
{
	struct kscope_scope_create arg = { .capacity = 0 };

	EXPECT_EQ(-EINVAL, scope_nest_arg(self->scope.fd, &arg));
	arg.capacity = 1;
	arg.flags = ~0U;
	EXPECT_EQ(-EINVAL, scope_nest_arg(self->scope.fd, &arg));
	arg.flags = 0;
	arg.kind = KSCOPE_KIND_INLINE + 1;
	EXPECT_EQ(-EINVAL, scope_nest_arg(self->scope.fd, &arg));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(1, self->q.nested);
}

TEST_F(nest, a_reply_that_faults_leaves_no_nested_scope)
{
	struct kscope_scope_create *arg = map_anon(PAGE);

	arg->size = sizeof(*arg);
	arg->capacity = 1;
	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT,
		  xioctl(self->scope.fd, KSCOPE_IOC_SCOPE_CREATE, arg));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(1, self->q.nested);
	munmap(arg, PAGE);
}

TEST_F_TIMEOUT(nest, nested_scopes_count_for_the_users_share, 100)
{
	pid_t pid;

	if (kernel_is_instrumented())
		SKIP(return, "thousands of scopes take too long here");
	pid = fork();
	if (!pid) {
		struct kscope_info info;
		unsigned int i;
		int root, fd = 0;

		if (dev_info(&info) || many_files() || become(54321))
			_exit(1);
		root = scope_nest(self->scope.fd, 1, 0);
		for (i = 1; i <= info.user_scopes && fd >= 0; i++)
			fd = scope_nest(root, 1, i);
		_exit(root < 0 || fd != -EDQUOT || i != info.user_scopes + 1);
	}
	EXPECT_EQ(0, child_wait(pid));
}

TEST_HARNESS_MAIN

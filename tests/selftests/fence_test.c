// SPDX-License-Identifier: GPL-2.0
/*
 * The fence: when the end of an owner has been seen, no child touches its memory any more, or the
 * time of grace is over. The parent holds the scope's fd as well, so that it can look.
 */
#include <signal.h>
#include <sys/uio.h>

#include "kselftest_harness.h"
#include "race_caller.h"

#define LEN PAGE
#define MANY 8

FIXTURE(fence)
{
	struct scope scope;
	struct kscope_query q;
	struct kscope_completion c;
	unsigned int op;
	char *mem;
	int ready[2];
	pid_t owner;
};

FIXTURE_VARIANT(fence)
{
	bool exec;
};

FIXTURE_VARIANT_ADD(fence, killed){
	.exec = false,
};

FIXTURE_VARIANT_ADD(fence, exec){
	.exec = true,
};

FIXTURE_SETUP(fence)
{
	int op = gate_op();

	self->scope.fd = -1;
	if (!has_feature(KSCOPE_FEATURE_FENCE))
		SKIP(return, "this kernel does not tell");
	if (op < 0)
		SKIP(return, "kscope_gate is not loaded");
	self->op = op;
	ASSERT_EQ(0, gate_set(true));
	ASSERT_EQ(0, gate_set(false));
	ASSERT_EQ(0, pipe2(self->ready, O_CLOEXEC));
	self->mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
}

FIXTURE_TEARDOWN(fence)
{
	gate_set(true);
	if (self->scope.fd >= 0)
		EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LEN);
	xclose(self->ready[0]);
	xclose(self->ready[1]);
}

static int open_fenced(struct scope *scope, unsigned int flags, __u64 grace_ns)
{
	struct kscope_scope_create arg = { .kind = KSCOPE_KIND_PARALLEL,
					   .capacity = 4,
					   .flags = flags,
					   .grace_ns = grace_ns };
	int fd = scope_create(&arg);

	return fd < 0 ? fd : scope_map(scope, fd, &arg);
}

static int owner_spawn(int fd, void *mem, struct kscope_desc desc)
{
	int buf = buf_pin(fd, mem, LEN, 0);

	desc.buf = desc.op >= KSCOPE_OP_PROVIDER ? buf : 0;
	if (buf <= 0 || spawn_one(fd, desc, NULL) != 1)
		return 1;
	return wait_running(fd, 1);
}

/* An owner with a child that runs; it ends itself, or waits to be killed. */
static int owner_run(int fd, void *mem, struct kscope_desc desc, int ready,
		     bool exec)
{
	if (owner_spawn(fd, mem, desc) || byte_send(ready))
		return 1;
	if (exec)
		execl("/bin/true", "true", NULL);
	for (;;)
		pause();
}

#define OWN(desc)                                                        \
	do {                                                             \
		self->owner = fork();                                    \
		if (!self->owner)                                        \
			_exit(owner_run(self->scope.fd, self->mem, desc, \
					self->ready[1], variant->exec)); \
		ASSERT_EQ(0, byte_recv(self->ready[0]));                 \
		if (!variant->exec)                                      \
			kill(self->owner, SIGKILL);                      \
	} while (0)

#define STUBBORN desc_gate(self->op, 0, 0)

TEST_F(fence, holds_the_end_back_until_the_child_has_ended)
{
	ASSERT_EQ(0, open_fenced(&self->scope, KSCOPE_SCOPE_FENCE,
				 KSCOPE_GRACE_MAX));
	OWN(STUBBORN);
	usleep(300000);
	EXPECT_EQ(0, waitpid(self->owner, NULL, WNOHANG));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(1, self->q.outstanding);
	EXPECT_EQ(KSCOPE_CAUSE_CLOSE, self->q.cause);
	EXPECT_EQ(0, gate_set(true));
	child_wait(self->owner);
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(0, self->q.outstanding);
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(KSCOPE_CAUSE_CLOSE, self->c.cause);
}

TEST_F(fence, does_not_hold_it_back_for_longer_than_the_grace)
{
	__u64 start = now_ns();

	ASSERT_EQ(0, open_fenced(&self->scope, KSCOPE_SCOPE_FENCE, 200 * MSEC));
	OWN(STUBBORN);
	child_wait(self->owner);
	EXPECT_LE(start + 200 * MSEC, now_ns());
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(1, self->q.outstanding);
	EXPECT_EQ(1, self->q.nr_buffers);
}

/* What is outstanding in a nested scope may touch the memory as well. */
TEST_F(fence, holds_the_end_back_for_children_below)
{
	int below;

	ASSERT_EQ(0, open_fenced(&self->scope, KSCOPE_SCOPE_FENCE,
				 KSCOPE_GRACE_MAX));
	below = scope_nest(self->scope.fd, 1, 0);
	ASSERT_LE(0, below);
	self->owner = fork();
	if (!self->owner) {
		if (buf_pin(self->scope.fd, self->mem, LEN, 0) <= 0)
			_exit(1);
		_exit(owner_run(below, map_anon(LEN), STUBBORN, self->ready[1],
				variant->exec));
	}
	ASSERT_EQ(0, byte_recv(self->ready[0]));
	if (!variant->exec)
		kill(self->owner, SIGKILL);
	usleep(300000);
	EXPECT_EQ(0, waitpid(self->owner, NULL, WNOHANG));
	ASSERT_EQ(0, query(below, &self->q));
	EXPECT_EQ(1, self->q.outstanding);
	EXPECT_EQ(KSCOPE_CAUSE_PARENT, self->q.cause);
	EXPECT_EQ(0, gate_set(true));
	child_wait(self->owner);
	ASSERT_EQ(0, query(below, &self->q));
	EXPECT_EQ(0, self->q.outstanding);
	EXPECT_EQ(0, xclose(below));
}

/* However many scopes the owner has, their times are one. */
TEST_F(fence, does_not_add_up_the_graces_of_many_scopes)
{
	int fds[MANY], i;
	__u64 start;

	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, open_fenced(&self->scope, KSCOPE_SCOPE_FENCE,
					 500 * MSEC));
		scope_unmap(&self->scope);
		fds[i] = self->scope.fd;
	}
	self->scope.fd = -1;
	self->owner = fork();
	if (!self->owner) {
		for (i = 1; i < MANY; i++)
			if (owner_spawn(fds[i], self->mem, STUBBORN))
				_exit(1);
		_exit(owner_run(fds[0], self->mem, STUBBORN, self->ready[1],
				variant->exec));
	}
	ASSERT_EQ(0, byte_recv(self->ready[0]));
	start = now_ns();
	if (!variant->exec)
		kill(self->owner, SIGKILL);
	child_wait(self->owner);
	EXPECT_LE(start + 400 * MSEC, now_ns());
	EXPECT_GT(start + 1500 * MSEC, now_ns());
	EXPECT_EQ(0, gate_set(true));
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(0, xclose(fds[i]));
}

TEST_F(fence, ends_children_that_heed_a_cancel)
{
	ASSERT_EQ(0, open_fenced(&self->scope, KSCOPE_SCOPE_FENCE,
				 KSCOPE_GRACE_MAX));
	OWN(desc_sleep(1, far_future()));
	child_wait(self->owner);
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(0, self->q.outstanding);
	EXPECT_EQ(KSCOPE_SCOPE_CANCELLED, self->q.state);
	EXPECT_EQ(-ECANCELED, spawn_one(self->scope.fd, desc_nop(1), NULL));
}

struct look {
	pid_t pid;
	void *from, *to;
};

static int call_look(int fd, void *arg)
{
	struct look *look = arg;
	struct iovec to = { look->to, 1 }, from = { look->from, 1 };

	(void)fd;
	return process_vm_readv(look->pid, &to, 1, &from, 1, 0);
}

/* A reader of the owner's memory is the last to let go of it, and did nothing to be held up. */
TEST_F(fence, does_not_hold_back_who_only_looked)
{
	struct look look = { .from = self->mem };
	struct uffdio_zeropage zero = {};
	struct uffd_msg msg;
	struct caller caller;
	int uffd;

	if (variant->exec)
		SKIP(return, "the owner is killed");
	look.to = map_anon(PAGE);
	uffd = uffd_over(look.to, PAGE);
	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, open_fenced(&self->scope, KSCOPE_SCOPE_FENCE,
				 KSCOPE_GRACE_MAX));
	self->owner = fork();
	if (!self->owner)
		_exit(owner_run(self->scope.fd, self->mem, STUBBORN,
				self->ready[1], false));
	ASSERT_EQ(0, byte_recv(self->ready[0]));
	look.pid = self->owner;
	ASSERT_EQ(0, caller_start(&caller, call_look, -1, &look));
	ASSERT_EQ(sizeof(msg), read(uffd, &msg, sizeof(msg)));
	kill(self->owner, SIGKILL);
	child_wait(self->owner);
	zero.range = (struct uffdio_range){ to_u64(look.to), PAGE };
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
	EXPECT_EQ(1, caller_end(&caller));
	/* but the children know */
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(1, self->q.outstanding);
	EXPECT_EQ(KSCOPE_CAUSE_CLOSE, self->q.cause);
	close(uffd);
	munmap(look.to, PAGE);
}

TEST_F(fence, is_not_there_unless_asked_for)
{
	ASSERT_EQ(0, open_fenced(&self->scope, 0, KSCOPE_GRACE_MAX));
	OWN(STUBBORN);
	child_wait(self->owner);
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(1, self->q.outstanding);
	EXPECT_EQ(KSCOPE_SCOPE_OPEN, self->q.state);
}

TEST(grace_has_a_limit)
{
	struct scope scope;

	EXPECT_EQ(-EINVAL, open_fenced(&scope, 0, KSCOPE_GRACE_MAX + 1));
	EXPECT_EQ(-EINVAL, open_fenced(&scope, 0, -1ULL));
	ASSERT_EQ(0, open_fenced(&scope, 0, KSCOPE_GRACE_MAX));
	EXPECT_EQ(0, scope_close(&scope));
}

TEST_HARNESS_MAIN

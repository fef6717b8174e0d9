// SPDX-License-Identifier: GPL-2.0
/*
 * An owner that takes addresses away from children: it is told, and only when it has done so.
 */
#include <pthread.h>
#include <sys/poll.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

#define NR 4 /* pages of the buffer */
#define LEN (NR * PAGE)
#define BIG (2UL << 20)

/* How addresses are lost, or not: @at of @len bytes in a mapping of @mem */
struct what {
	char *mem; /* start of the mapping that the buffer is in */
	char *at;
	size_t len;
	int fd; /* of shared memory, which starts at @mem */
};

static void *map_over(const struct what *w)
{
	return mmap(w->at, w->len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static int do_munmap(const struct what *w)
{
	return munmap(w->at, w->len);
}

static int do_mmap_over(const struct what *w)
{
	return map_over(w) == w->at ? 0 : -1;
}

static int do_mremap(const struct what *w)
{
	return mremap(w->at, w->len, 2 * w->len, MREMAP_MAYMOVE) == MAP_FAILED;
}

static int do_dontneed(const struct what *w)
{
	return madvise(w->at, w->len, MADV_DONTNEED);
}

static int do_free(const struct what *w)
{
	return madvise(w->at, w->len, MADV_FREE);
}

static int do_hole(const struct what *w)
{
	return fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 w->at - w->mem, w->len);
}

static int do_remove(const struct what *w)
{
	return madvise(w->at, w->len, MADV_REMOVE);
}

static int do_truncate(const struct what *w)
{
	return ftruncate(w->fd, w->at - w->mem);
}

static int do_mprotect(const struct what *w)
{
	return mprotect(w->at, w->len, PROT_NONE) ?:
		       mprotect(w->at, w->len, PROT_READ | PROT_WRITE);
}

static int do_pageout(const struct what *w)
{
	return madvise(w->at, w->len, MADV_COLD) ?:
		       madvise(w->at, w->len, MADV_PAGEOUT);
}

static int do_dontfork(const struct what *w)
{
	return madvise(w->at, w->len, MADV_DONTFORK);
}

static int file_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t ret = fd < 0 ? -1 : write(fd, text, strlen(text));

	xclose(fd);
	return ret < 0 ? -1 : 0;
}

static int do_soft_dirty(const struct what *w)
{
	(void)w;
	return file_put("/proc/self/clear_refs", "4");
}

static int do_compact(const struct what *w)
{
	(void)w;
	if (access("/proc/sys/vm/compact_memory", W_OK))
		return 0;
	return file_put("/proc/sys/vm/compact_memory", "1");
}

/* A child that has the memory too, and then both write to it. */
static int do_fork(const struct what *w)
{
	pid_t pid = fork();

	if (!pid) {
		memset(w->at, 1, w->len);
		_exit(munmap(w->at, w->len) != 0);
	}
	memset(w->at, 2, w->len);
	return child_wait(pid);
}

FIXTURE(violation)
{
	struct scope scope;
	struct what what;
	struct kscope_query q;
	struct kscope_completion c;
	__u64 sleeper;
	int buf;
};

FIXTURE_SETUP(violation)
{
	self->scope.fd = -1;
	self->what.fd = -1;
	if (!has_feature(KSCOPE_FEATURE_GUARD))
		SKIP(return, "this kernel does not tell");
}

FIXTURE_TEARDOWN(violation)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	xclose(self->what.fd);
}

/* A scope of one child at a time, and one that sleeps, so that the next ones are outstanding. */
static int begin(struct scope *scope, unsigned int flags, __u64 *sleeper)
{
	struct kscope_scope_create arg = { .kind = KSCOPE_KIND_ORDERED,
					   .capacity = 4,
					   .flags = flags };
	int fd = scope_create(&arg), ret;

	ret = fd < 0 ? fd : scope_map(scope, fd, &arg);
	if (ret)
		return ret;
	ret = spawn_one(fd, desc_sleep(0, far_future()), sleeper);
	return ret == 1 ? 0 : ret;
}

static unsigned int violations(int fd)
{
	struct kscope_query q;

	return query(fd, &q) ? ~0U : q.violations;
}

static short poll_now(int fd)
{
	struct pollfd poller = { .fd = fd };

	return poll(&poller, 1, 0) < 0 ? -1 : poller.revents;
}

#define BEGIN(flags) ASSERT_EQ(0, begin(&self->scope, flags, &self->sleeper))

/* Memory with a page before the buffer and one behind it, all of it touched */
#define MAP(how, file)                                                       \
	do {                                                                 \
		self->what.mem = mmap(NULL, LEN + 2 * PAGE,                  \
				      PROT_READ | PROT_WRITE, how, file, 0); \
		ASSERT_NE(MAP_FAILED, self->what.mem);                       \
		memset(self->what.mem, 7, LEN + 2 * PAGE);                   \
		self->what.at = self->what.mem + PAGE;                       \
		self->what.len = LEN;                                        \
		self->buf = buf_pin(self->scope.fd, self->what.at, LEN, 0);  \
		ASSERT_LT(0, self->buf);                                     \
	} while (0)

#define MAP_PRIV() MAP(MAP_PRIVATE | MAP_ANONYMOUS, -1)

#define MAP_MEMFD()                                                     \
	do {                                                            \
		self->what.fd = memfd_create("violation", MFD_CLOEXEC); \
		ASSERT_LE(0, self->what.fd);                            \
		ASSERT_EQ(0, ftruncate(self->what.fd, LEN + 2 * PAGE)); \
		MAP(MAP_SHARED, self->what.fd);                         \
	} while (0)

/* Spawn a child that borrows @len bytes from @off on. */
#define BORROW(user, off, len)                                                \
	do {                                                                  \
		struct kscope_desc desc_ = desc_fill(self->buf, off, len, 3); \
		desc_.user_data = user;                                       \
		ASSERT_EQ(1, spawn_one(self->scope.fd, desc_, NULL));         \
	} while (0)

/* Let the children run, and compare the flags of the one with @user. */
#define END(user, want)                                                    \
	do {                                                               \
		ASSERT_EQ(0, cancel_child(self->scope.fd, self->sleeper)); \
		ASSERT_EQ(0, join(self->scope.fd));                        \
		while (reap(&self->scope, &self->c)) {                     \
			if (self->c.user_data == (user)) {                 \
				EXPECT_EQ(want, self->c.flags);            \
			} else {                                           \
				EXPECT_EQ(0, self->c.flags);               \
			}                                                  \
		}                                                          \
	} while (0)

FIXTURE(taken)
{
	struct scope scope;
	struct what what;
	struct kscope_completion c;
	__u64 sleeper;
	int buf;
};

FIXTURE_VARIANT(taken)
{
	int (*act)(const struct what *w);
	bool shared;
	unsigned int violations;
};

FIXTURE_VARIANT_ADD(taken, munmap){ .act = do_munmap,
				    .shared = false,
				    .violations = 1 };

FIXTURE_VARIANT_ADD(taken, mmap_over){ .act = do_mmap_over,
				       .shared = false,
				       .violations = 1 };

FIXTURE_VARIANT_ADD(taken, mremap){ .act = do_mremap,
				    .shared = false,
				    .violations = 1 };

FIXTURE_VARIANT_ADD(taken, dontneed){ .act = do_dontneed,
				      .shared = false,
				      .violations = 1 };

FIXTURE_VARIANT_ADD(taken,
		    free){ .act = do_free, .shared = false, .violations = 1 };

FIXTURE_VARIANT_ADD(taken,
		    hole){ .act = do_hole, .shared = true, .violations = 1 };

FIXTURE_VARIANT_ADD(taken, remove){ .act = do_remove,
				    .shared = true,
				    .violations = 1 };

FIXTURE_VARIANT_ADD(taken, truncate){ .act = do_truncate,
				      .shared = true,
				      .violations = 1 };

FIXTURE_VARIANT_ADD(taken, mprotect){ .act = do_mprotect,
				      .shared = false,
				      .violations = 0 };

FIXTURE_VARIANT_ADD(taken, pageout){ .act = do_pageout,
				     .shared = false,
				     .violations = 0 };

FIXTURE_VARIANT_ADD(taken, dontfork){ .act = do_dontfork,
				      .shared = false,
				      .violations = 0 };

FIXTURE_VARIANT_ADD(taken, soft_dirty){ .act = do_soft_dirty,
					.shared = false,
					.violations = 0 };

FIXTURE_VARIANT_ADD(taken, compact){ .act = do_compact,
				     .shared = false,
				     .violations = 0 };

FIXTURE_VARIANT_ADD(taken,
		    fork){ .act = do_fork, .shared = false, .violations = 0 };

FIXTURE_VARIANT_ADD(taken, shared_munmap){ .act = do_munmap,
					   .shared = true,
					   .violations = 1 };

FIXTURE_VARIANT_ADD(taken, shared_mprotect){ .act = do_mprotect,
					     .shared = true,
					     .violations = 0 };

FIXTURE_VARIANT_ADD(taken, shared_pageout){ .act = do_pageout,
					    .shared = true,
					    .violations = 0 };

FIXTURE_VARIANT_ADD(taken, shared_compact){ .act = do_compact,
					    .shared = true,
					    .violations = 0 };

FIXTURE_SETUP(taken)
{
	self->scope.fd = -1;
	self->what.fd = -1;
	if (!has_feature(KSCOPE_FEATURE_GUARD))
		SKIP(return, "this kernel does not tell");
	BEGIN(0);
	if (variant->shared)
		MAP_MEMFD();
	else
		MAP_PRIV();
}

FIXTURE_TEARDOWN(taken)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	xclose(self->what.fd);
}

static void *poll_for_it(void *arg)
{
	struct pollfd poller = { .fd = *(int *)arg };

	return poll(&poller, 1, PATIENCE_MS) == 1 ? NULL : arg;
}

TEST_F(taken, wakes_who_polls)
{
	void *missed = NULL;
	pthread_t thread;
	__u64 start;

	if (!variant->violations)
		SKIP(return, "it does no harm");
	BORROW(1, 0, LEN);
	ASSERT_EQ(0,
		  pthread_create(&thread, NULL, poll_for_it, &self->scope.fd));
	usleep(50000); /* let it sleep */
	start = now_ns();
	ASSERT_EQ(0, variant->act(&self->what));
	ASSERT_EQ(0, pthread_join(thread, &missed));
	EXPECT_EQ(NULL, missed);
	/* when its time is over it looks as well */
	EXPECT_GT(start + PATIENCE_MS / 2 * MSEC, now_ns());
	END(1, KSCOPE_COMPLETION_VIOLATED);
}

TEST_F(taken, is_told_if_it_does_harm)
{
	__u32 flags = variant->violations ? KSCOPE_COMPLETION_VIOLATED : 0;
	short events = variant->violations ? POLLERR : 0;

	BORROW(1, 0, LEN);
	EXPECT_EQ(0, poll_now(self->scope.fd) & POLLERR);
	ASSERT_EQ(0, variant->act(&self->what));
	EXPECT_EQ(events, poll_now(self->scope.fd) & POLLERR);
	/* a call may go about it in several steps */
	if (variant->violations) {
		EXPECT_LE(1, violations(self->scope.fd));
		EXPECT_GE(2, violations(self->scope.fd));
	} else {
		EXPECT_EQ(0, violations(self->scope.fd));
	}
	EXPECT_EQ(0, poll_now(self->scope.fd) & POLLERR);
	END(1, flags);
}

TEST_F(taken, harms_nobody_if_nobody_borrows)
{
	ASSERT_EQ(0, variant->act(&self->what));
	EXPECT_EQ(0, violations(self->scope.fd));
	END(1, 0);
}

TEST_F(violation, is_of_the_child_that_borrows_those_bytes)
{
	BEGIN(0);
	MAP_PRIV();
	BORROW(1, 0, PAGE);
	BORROW(2, PAGE, PAGE);
	ASSERT_EQ(0, munmap(self->what.at + PAGE, 1));
	EXPECT_EQ(1, violations(self->scope.fd));
	ASSERT_EQ(0, munmap(self->what.at + 2 * PAGE, PAGE));
	ASSERT_EQ(0, munmap(self->what.at - PAGE, PAGE));
	EXPECT_EQ(1, violations(self->scope.fd));
	END(2, KSCOPE_COMPLETION_VIOLATED);
}

TEST_F(violation, is_not_of_children_that_come_later)
{
	BEGIN(0);
	MAP_PRIV();
	BORROW(1, 0, LEN);
	ASSERT_EQ(0, munmap(self->what.at, LEN));
	BORROW(2, 0, LEN);
	END(1, KSCOPE_COMPLETION_VIOLATED);
}

TEST_F(violation, leaves_no_flag_in_a_record_that_is_used_again)
{
	int i, lap;

	BEGIN(0);
	MAP_PRIV();
	BORROW(1, 0, LEN);
	ASSERT_EQ(0, munmap(self->what.at, LEN));
	END(1, KSCOPE_COMPLETION_VIOLATED);
	for (lap = 0; lap < 2; lap++) {
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(1,
				  spawn_one(self->scope.fd, desc_nop(i), NULL));
		}
		ASSERT_EQ(0, join(self->scope.fd));
		for (i = 0; i < 4; i++) {
			ASSERT_TRUE(reap(&self->scope, &self->c));
			EXPECT_EQ(0, self->c.flags);
		}
	}
}

TEST_F(violation, many_are_all_counted_and_marked)
{
	int i, nr = 0;

	BEGIN(0);
	MAP_PRIV();
	BORROW(1, 0, PAGE);
	BORROW(2, 3 * PAGE, PAGE);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, madvise(self->what.at, PAGE, MADV_DONTNEED));
		memset(self->what.at, i, PAGE);
	}
	ASSERT_EQ(0, munmap(self->what.at + 3 * PAGE, PAGE));
	EXPECT_EQ(11, violations(self->scope.fd));
	ASSERT_EQ(0, cancel_child(self->scope.fd, self->sleeper));
	ASSERT_EQ(0, join(self->scope.fd));
	while (reap(&self->scope, &self->c))
		nr += self->c.flags == KSCOPE_COMPLETION_VIOLATED;
	EXPECT_EQ(2, nr);
}

static volatile sig_atomic_t nr_signals;
static char *volatile signal_addr;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	nr_signals++;
	signal_addr = info->si_code == BUS_ADRERR ? info->si_addr : NULL;
}

static int catch_sigbus(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus,
				    .sa_flags = SA_SIGINFO };

	nr_signals = 0;
	return sigaction(SIGBUS, &action, NULL);
}

TEST_F(violation, is_sigbus_if_the_scope_wants_it)
{
	ASSERT_EQ(0, catch_sigbus());
	BEGIN(KSCOPE_SCOPE_SIGBUS);
	MAP_PRIV();
	ASSERT_EQ(0, madvise(self->what.at, LEN, MADV_DONTNEED));
	EXPECT_EQ(0, nr_signals);
	BORROW(1, 0, LEN);
	ASSERT_EQ(0, munmap(self->what.at + PAGE, PAGE));
	EXPECT_EQ(1, nr_signals);
	EXPECT_EQ(self->what.at + PAGE, signal_addr);
	END(1, KSCOPE_COMPLETION_VIOLATED);
}

TEST_F(violation, is_no_signal_otherwise)
{
	ASSERT_EQ(0, catch_sigbus());
	BEGIN(0);
	MAP_PRIV();
	BORROW(1, 0, LEN);
	ASSERT_EQ(0, munmap(self->what.at, LEN));
	EXPECT_EQ(0, nr_signals);
	END(1, KSCOPE_COMPLETION_VIOLATED);
}

static void take_and_exit(void *arg)
{
	const struct what *w = arg;

	_exit(munmap(w->at, w->len) || nr_signals);
}

TEST_F(violation, of_another_process_is_none)
{
	pid_t pid;

	ASSERT_EQ(0, catch_sigbus());
	BEGIN(KSCOPE_SCOPE_SIGBUS);
	MAP_MEMFD();
	BORROW(1, 0, LEN);
	pid = fork();
	if (!pid)
		take_and_exit(&self->what);
	EXPECT_EQ(0, child_wait(pid));
	pid = fork();
	if (!pid)
		_exit(do_hole(&self->what) || nr_signals);
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, violations(self->scope.fd));
	EXPECT_EQ(0, nr_signals);
	END(1, 0);
}

/* The end of an owner is not a mistake: another process holds the fd and sees it. */
TEST_F(violation, is_not_the_end_of_the_owner)
{
	int done[2];
	pid_t pid;

	ASSERT_EQ(0, pipe2(done, O_CLOEXEC));
	BEGIN(KSCOPE_SCOPE_SIGBUS);
	pid = fork();
	if (!pid) {
		struct kscope_desc desc;
		char *mem = map_anon(LEN);
		int buf = buf_pin(self->scope.fd, mem, LEN, 0);

		desc = desc_fill(buf, 0, LEN, 3);
		desc.user_data = 1;
		_exit(spawn_one(self->scope.fd, desc, NULL) != 1);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, violations(self->scope.fd));
	END(1, 0);
}

/* A huge page is split when a part of it is changed, which takes nothing away from the rest. */
TEST_F(violation, is_not_the_split_of_a_huge_page)
{
	char *area = mmap(NULL, 2 * BIG, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *mem = (char *)(((uintptr_t)area + BIG - 1) & -BIG);

	ASSERT_NE(MAP_FAILED, area);
	/* Where there are no huge pages the same has to hold. */
	madvise(mem, BIG, MADV_HUGEPAGE);
	memset(mem, 7, BIG);
	BEGIN(0);
	self->buf = buf_pin(self->scope.fd, mem, BIG / 2, 0);
	ASSERT_LT(0, self->buf);
	BORROW(1, 0, BIG / 2);
	ASSERT_EQ(0, mprotect(mem + BIG / 2, PAGE, PROT_READ));
	ASSERT_EQ(0, madvise(mem + BIG - PAGE, PAGE, MADV_DONTNEED));
	ASSERT_EQ(0, munmap(mem + BIG - 2 * PAGE, PAGE));
	EXPECT_EQ(0, violations(self->scope.fd));
	ASSERT_EQ(0, madvise(mem, PAGE, MADV_DONTNEED));
	EXPECT_EQ(1, violations(self->scope.fd));
	END(1, KSCOPE_COMPLETION_VIOLATED);
	munmap(area, 2 * BIG);
}

TEST(sigbus_is_refused_where_nothing_would_send_it)
{
	struct scope scope = { .fd = -1 };
	__u64 sleeper;
	int ret = begin(&scope, KSCOPE_SCOPE_SIGBUS, &sleeper);

	EXPECT_EQ(has_feature(KSCOPE_FEATURE_GUARD) ? 0 : -EINVAL, ret);
	if (!ret) {
		EXPECT_EQ(0, scope_close(&scope));
	}
}

TEST_HARNESS_MAIN

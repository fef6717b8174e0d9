// SPDX-License-Identifier: GPL-2.0
/*
 * Children that were told to end and do not: when the grace of their scope is over QUERY counts
 * them, and the kernel's log names one, with what its worker is doing. The op comes from the
 * test module kscope_gate; without it the tests are skipped.
 */
#include "kselftest_harness.h"
#include "race_caller.h"

#define LEN PAGE
#define GRACE_MS 200U
#define USER_DATA 0xfeedbeefULL

FIXTURE(diagnose)
{
	struct scope scope;
	struct kscope_query q;
	struct kscope_completion c;
	__u64 handle;
	__u64 told;
	char *mem;
	int op, buf, log;
	char text[32768];
};

FIXTURE_SETUP(diagnose)
{
	struct kscope_scope_create arg = { .capacity = 64,
					   .grace_ns = GRACE_MS * MSEC };
	struct kscope_desc desc;

	hooks_quiet();
	self->op = gate_op();
	if (self->op < 0)
		SKIP(return, "kscope_gate is not loaded");
	ASSERT_EQ(0, gate_set(false));
	self->log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, self->log);
	ASSERT_LE(0, lseek(self->log, 0, SEEK_END));
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_EQ(0, scope_map(&self->scope, scope_create(&arg), &arg));
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	ASSERT_LT(0, self->buf);
	desc = desc_gate(self->op, 0, self->buf);
	desc.user_data = USER_DATA;
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc, &self->handle));
	ASSERT_EQ(0, wait_running(self->scope.fd, 1));
}

FIXTURE_TEARDOWN(diagnose)
{
	if (self->op < 0)
		return;
	EXPECT_EQ(0, gate_set(true));
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LEN);
	close(self->log);
}

/* All that the log has got since the test began */
static const char *log_text(FIXTURE_DATA(diagnose) * self)
{
	size_t len = strlen(self->text);
	ssize_t got;

	while (len + 1024 < sizeof(self->text)) {
		got = read(self->log, self->text + len, 1023);
		if (got < 0)
			break;
		len += got;
	}
	self->text[len] = '\0';
	return self->text;
}

static bool log_has(FIXTURE_DATA(diagnose) * self, const char *what)
{
	return strstr(log_text(self), what);
}

/* Wait until so many are stuck: 0 or -ETIMEDOUT. */
static int wait_stuck(FIXTURE_DATA(diagnose) * self, int fd, unsigned int nr)
{
	__u64 deadline = in_ms(PATIENCE_MS);

	do {
		if (query(fd, &self->q))
			return -EIO;
		if (self->q.stuck == nr)
			return 0;
		usleep(2000);
	} while (now_ns() < deadline);
	return -ETIMEDOUT;
}

static bool fdinfo_says(int fd, const char *line)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return !text_read(path, text, sizeof(text)) && strstr(text, line);
}

static void expect_named(struct __test_metadata *_metadata,
			 FIXTURE_DATA(diagnose) * self)
{
	char name[128];

	ASSERT_EQ(0, wait_stuck(self, self->scope.fd, 1));
	EXPECT_LE(self->told + GRACE_MS * MSEC, now_ns());
	snprintf(name, sizeof(name), "kscope: child %#llx of user 0 (op gate",
		 (unsigned long long)self->handle);
	EXPECT_TRUE(log_has(self, name));
	EXPECT_TRUE(log_has(self, "user_data 0xfeedbeef"));
	EXPECT_TRUE(log_has(self, "gate_run"));
	EXPECT_TRUE(log_has(self, "end of report"));
	EXPECT_TRUE(fdinfo_says(self->scope.fd, "stuck:\t1\n"));
	/* and nothing is taken from it */
	EXPECT_EQ(-EBUSY, buf_unpin(self->scope.fd, self->buf));
	EXPECT_EQ(-EBUSY, release(self->scope.fd));
}

TEST_F(diagnose, after_a_cancel_of_the_scope)
{
	self->told = now_ns();
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	expect_named(_metadata, self);
	ASSERT_EQ(0, gate_set(true));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(0, wait_stuck(self, self->scope.fd, 0));
}

TEST_F(diagnose, after_a_cancel_of_the_child_while_others_run)
{
	ASSERT_EQ(1,
		  spawn_one(self->scope.fd, desc_sleep(1, far_future()), NULL));
	self->told = now_ns();
	ASSERT_EQ(0, cancel_child(self->scope.fd, self->handle));
	expect_named(_metadata, self);
}

/* Each has the whole grace, be it told long after another. */
TEST_F(diagnose, one_that_is_told_late_has_as_long)
{
	struct kscope_desc desc = desc_gate(self->op, 0, self->buf);
	__u64 second;

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc, &second));
	ASSERT_EQ(0, wait_running(self->scope.fd, 2));
	ASSERT_EQ(0, cancel_child(self->scope.fd, self->handle));
	usleep(GRACE_MS * 400);
	self->told = now_ns();
	ASSERT_EQ(0, cancel_child(self->scope.fd, second));
	ASSERT_EQ(0, wait_stuck(self, self->scope.fd, 2));
	EXPECT_LE(self->told + GRACE_MS * MSEC, now_ns());
}

/* The log names one of a scope, and only once; the count is of all. */
TEST_F(diagnose, once_for_a_scope)
{
	struct kscope_desc desc = desc_gate(self->op, 0, self->buf);
	const char *first, *second;

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc, NULL));
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc, NULL));
	ASSERT_EQ(0, wait_running(self->scope.fd, 3));
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	ASSERT_EQ(0, wait_stuck(self, self->scope.fd, 3));
	usleep(3 * GRACE_MS * 1000);
	first = strstr(log_text(self), "was told to end");
	ASSERT_NE(NULL, first);
	second = strstr(first + 1, "was told to end");
	EXPECT_EQ(NULL, second);
}

TEST_F(diagnose, not_before_the_grace_is_over_and_not_if_it_ends_in_time)
{
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(0, self->q.stuck);
	EXPECT_EQ(1, self->q.running);
	ASSERT_EQ(0, gate_set(true));
	ASSERT_EQ(0, join(self->scope.fd));
	usleep(2 * GRACE_MS * 1000);
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(0, self->q.stuck);
	EXPECT_FALSE(log_has(self, "was told to end"));
}

TEST_F(diagnose, not_one_that_nobody_has_told)
{
	usleep(2 * GRACE_MS * 1000);
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(0, self->q.stuck);
	EXPECT_FALSE(log_has(self, "was told to end"));
}

/* The worker of one in an inline scope is the task that spawns it. */
TEST_F(diagnose, one_that_its_spawner_runs)
{
	struct kscope_scope_create arg = { .kind = KSCOPE_KIND_INLINE,
					   .capacity = 4,
					   .grace_ns = GRACE_MS * MSEC };
	struct kscope_desc desc = desc_fill(0, 0, LEN, 1);
	int fd = scope_create(&arg);
	struct caller spawner;

	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	ASSERT_LE(0, fd);
	desc.buf = buf_pin(fd, self->mem, LEN, 0);
	desc.user_data = 55;
	ASSERT_EQ(0, stop_at("claimed", 55));
	ASSERT_EQ(0, caller_start(&spawner, call_spawn, fd, &desc));
	ASSERT_EQ(0, stop_wait());
	ASSERT_EQ(0, cancel_scope(fd));
	ASSERT_EQ(0, wait_stuck(self, fd, 1));
	EXPECT_TRUE(log_has(self, "end of report"));
	EXPECT_TRUE(log_has(self, "task:diagnose_test"));
	EXPECT_TRUE(log_has(self, "kscope_ioctl_spawn"));
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(1, caller_end(&spawner));
	EXPECT_EQ(0, xclose(fd));
}

TEST_HARNESS_MAIN

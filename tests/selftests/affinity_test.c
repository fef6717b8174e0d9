// SPDX-License-Identifier: GPL-2.0
/*
 * CPU affinity of scopes: where children are run. The op comes from the test module kscope_gate,
 * and says in the value of its completion on which CPU it began; without it, or with one CPU, the
 * tests are skipped.
 */
#include <sched.h>

#include "kselftest_harness.h"
#include "race_hooks.h"

#define LEN PAGE
#define NR 24U
#define USER_WORKERS 256 /* for what may block; each CPU has its share */
#define ONLINE "/sys/devices/system/cpu/cpu1/online"

FIXTURE(affinity)
{
	struct scope scope;
	struct kscope_completion c;
	struct kscope_desc descs[NR];
	cpu_set_t cpus;
	char *mem;
	int op, buf;
};

FIXTURE_SETUP(affinity)
{
	hooks_quiet();
	self->scope.fd = -1;
	self->op = gate_op();
	if (self->op < 0)
		SKIP(return, "kscope_gate is not loaded");
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "there is one CPU");
	ASSERT_EQ(0, gate_set(true));
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	CPU_ZERO(&self->cpus);
}

FIXTURE_TEARDOWN(affinity)
{
	if (self->scope.fd < 0)
		return;
	EXPECT_EQ(0, gate_set(true));
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LEN);
}

static struct kscope_scope_create bound_to(const cpu_set_t *cpus, size_t size,
					   unsigned int kind)
{
	return (struct kscope_scope_create){ .kind = kind,
					     .capacity = 64,
					     .cpus_size = size,
					     .cpus = to_u64(cpus) };
}

static int open_bound(FIXTURE_DATA(affinity) * self, unsigned int kind)
{
	struct kscope_scope_create arg =
		bound_to(&self->cpus, sizeof(self->cpus), kind);
	int fd = scope_create(&arg);

	if (fd < 0)
		return fd;
	if (scope_map(&self->scope, fd, &arg))
		return -1;
	self->buf = buf_pin(fd, self->mem, LEN, 0);
	return self->buf < 0 ? self->buf : 0;
}

/* Run some children; return: the CPUs that they were run on, as bits */
static unsigned int cpus_used(FIXTURE_DATA(affinity) * self,
			      struct scope *scope, int buf)
{
	unsigned int i, used = 0;

	for (i = 0; i < NR; i++)
		self->descs[i] = desc_gate(self->op, GATE_HEEDS, buf);
	gate_set(false);
	if (spawn(scope->fd, self->descs, NR) != NR ||
	    wait_running(scope->fd, NR))
		return 0;
	gate_set(true);
	for (i = 0; i < NR; i++) {
		if (reap_wait(scope, &self->c) || self->c.status)
			return 0;
		used |= 1U << self->c.value;
	}
	return used;
}

TEST_F(affinity, children_run_where_they_may)
{
	unsigned int cpu;

	for (cpu = 0; cpu < 2; cpu++) {
		CPU_ZERO(&self->cpus);
		CPU_SET(cpu, &self->cpus);
		ASSERT_EQ(0, open_bound(self, KSCOPE_KIND_PARALLEL));
		EXPECT_EQ(1U << cpu, cpus_used(self, &self->scope, self->buf));
		if (!cpu)
			ASSERT_EQ(0, scope_close(&self->scope));
	}
}

TEST_F(affinity, all_of_them_are_used)
{
	CPU_SET(0, &self->cpus);
	CPU_SET(1, &self->cpus);
	ASSERT_EQ(0, open_bound(self, KSCOPE_KIND_PARALLEL));
	EXPECT_EQ(3, cpus_used(self, &self->scope, self->buf));
}

/* One of them has no worker to spare. */
TEST_F(affinity, goes_on_where_it_may_when_one_of_its_cpus_is_taken)
{
	struct kscope_desc desc = desc_sleep(0, 0);
	size_t taken = USER_WORKERS / sysconf(_SC_NPROCESSORS_CONF);
	struct scope scopes[USER_WORKERS / 64];
	struct kscope_scope_create arg;
	struct kscope_desc descs[64];
	__u64 deadline;
	size_t i, j;
	int buf;

	CPU_SET(0, &self->cpus);
	arg = bound_to(&self->cpus, sizeof(self->cpus), KSCOPE_KIND_PARALLEL);
	ASSERT_EQ(0, gate_set(false));
	for (i = 0; i < ARRAY_SIZE(scopes); i++) {
		ASSERT_EQ(0, scope_map(&scopes[i], scope_create(&arg), &arg));
		buf = buf_pin(scopes[i].fd, self->mem, LEN, 0);
		for (j = 0; j < 64; j++)
			descs[j] = desc_gate(self->op, 0, buf);
		ASSERT_EQ(64, spawn(scopes[i].fd, descs, 64));
	}
	for (i = 0; i < taken / 64; i++)
		ASSERT_EQ(0, wait_running(scopes[i].fd, 64));
	CPU_SET(1, &self->cpus);
	ASSERT_EQ(0, open_bound(self, KSCOPE_KIND_PARALLEL));
	for (i = 0; i < 4; i++)
		self->descs[i] = desc;
	ASSERT_EQ(4, spawn(self->scope.fd, self->descs, 4));
	deadline = in_ms(PATIENCE_MS);
	while (ring_unread(&self->scope) < 4 && now_ns() < deadline)
		usleep(1000);
	EXPECT_EQ(4, ring_unread(&self->scope));
	EXPECT_EQ(0, gate_set(true));
	for (i = 0; i < ARRAY_SIZE(scopes); i++) {
		EXPECT_EQ(0, join(scopes[i].fd));
		EXPECT_EQ(0, scope_close(&scopes[i]));
	}
}

/* On which CPU the caller is makes no difference, and it does not run them itself. */
TEST_F(affinity, who_waits_does_not_help)
{
	struct kscope_desc desc;
	cpu_set_t here;
	unsigned int i;

	CPU_ZERO(&here);
	CPU_SET(0, &here);
	CPU_SET(1, &self->cpus);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(here), &here));
	ASSERT_EQ(0, open_bound(self, KSCOPE_KIND_ORDERED));
	for (i = 0; i < 20; i++) {
		desc = desc_gate(self->op, 0, self->buf);
		ASSERT_EQ(1, spawn_arg(self->scope.fd, &desc, NULL, 1, 1, 0));
		ASSERT_TRUE(reap(&self->scope, &self->c));
		EXPECT_EQ(1, self->c.value);
	}
	/* quick ones as well: no way to see where, but that they come */
	for (i = 0; i < NR; i++)
		self->descs[i] = desc_fill(self->buf, i, 1, i);
	ASSERT_EQ(NR, spawn_arg(self->scope.fd, self->descs, NULL, NR, NR, 0));
	EXPECT_EQ(NR, ring_unread(&self->scope));
}

TEST_F(affinity, nested_scopes_have_that_of_their_parent_or_their_own)
{
	struct kscope_scope_create arg = { .capacity = 64 };
	struct scope nested;
	int buf;

	CPU_SET(1, &self->cpus);
	ASSERT_EQ(0, open_bound(self, KSCOPE_KIND_PARALLEL));
	ASSERT_EQ(0, scope_map(&nested, scope_nest_arg(self->scope.fd, &arg),
			       &arg));
	buf = buf_pin(nested.fd, self->mem, LEN, 0);
	ASSERT_LT(0, buf);
	EXPECT_EQ(2, cpus_used(self, &nested, buf));
	ASSERT_EQ(0, scope_close(&nested));
	CPU_ZERO(&self->cpus);
	CPU_SET(0, &self->cpus);
	arg = bound_to(&self->cpus, sizeof(self->cpus), 0);
	ASSERT_EQ(0, scope_map(&nested, scope_nest_arg(self->scope.fd, &arg),
			       &arg));
	buf = buf_pin(nested.fd, self->mem, LEN, 0);
	ASSERT_LT(0, buf);
	EXPECT_EQ(1, cpus_used(self, &nested, buf));
	ASSERT_EQ(0, scope_close(&nested));
}

TEST_F(affinity, goes_on_elsewhere_when_its_cpu_goes_offline)
{
	struct kscope_scope_create arg;
	unsigned long used;

	CPU_SET(1, &self->cpus);
	ASSERT_EQ(0, open_bound(self, KSCOPE_KIND_PARALLEL));
	if (text_write(ONLINE, "0"))
		SKIP(return, "this CPU cannot be taken offline");
	used = cpus_used(self, &self->scope, self->buf);
	EXPECT_NE(0, used);
	EXPECT_EQ(0, used & 2);
	EXPECT_EQ(0, text_write(ONLINE, "1"));
	EXPECT_EQ(2, cpus_used(self, &self->scope, self->buf));
	/* and a new one cannot choose it meanwhile */
	arg = bound_to(&self->cpus, sizeof(self->cpus), 0);
	ASSERT_EQ(0, text_write(ONLINE, "0"));
	EXPECT_EQ(-EINVAL, scope_create(&arg));
	EXPECT_EQ(0, text_write(ONLINE, "1"));
}

/* What is offline would be done anywhere, also where it must not. */
TEST_F(affinity, goes_on_where_it_may_when_one_of_its_cpus_goes_offline)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 4)
		SKIP(return, "there are less than four CPUs");
	CPU_SET(1, &self->cpus);
	CPU_SET(2, &self->cpus);
	ASSERT_EQ(0, open_bound(self, KSCOPE_KIND_PARALLEL));
	if (text_write(ONLINE, "0"))
		SKIP(return, "this CPU cannot be taken offline");
	EXPECT_EQ(4, cpus_used(self, &self->scope, self->buf));
	EXPECT_EQ(0, text_write(ONLINE, "1"));
	EXPECT_EQ(6, cpus_used(self, &self->scope, self->buf));
}

TEST_F(affinity, masks_that_say_nothing_are_einval)
{
	struct kscope_scope_create arg;
	unsigned char mask[16] = {};
	int fd;

	arg = bound_to((void *)mask, sizeof(mask), 0);
	EXPECT_EQ(-EINVAL, scope_create(&arg));
	mask[15] = 0x80; /* there is no such CPU */
	EXPECT_EQ(-EINVAL, scope_create(&arg));
	mask[0] = 3;
	arg.kind = KSCOPE_KIND_INLINE;
	EXPECT_EQ(-EINVAL, scope_create(&arg));
	arg.kind = KSCOPE_KIND_ORDERED;
	fd = scope_create(&arg);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, xclose(fd));
	/* one byte is a mask too */
	arg.cpus_size = 1;
	fd = scope_create(&arg);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, xclose(fd));
}

TEST_F(affinity, fdinfo_tells_it)
{
	char path[64], text[4096];

	CPU_SET(1, &self->cpus);
	ASSERT_EQ(0, open_bound(self, KSCOPE_KIND_PARALLEL));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->scope.fd);
	ASSERT_EQ(0, text_read(path, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "cpus:\t1"));
}

TEST_HARNESS_MAIN

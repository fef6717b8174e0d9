// SPDX-License-Identifier: GPL-2.0
/*
 * A scope whose owner is dead, and whose child is stuck, has no file any more that would
 * keep the module loaded: it does so itself, until the reaper is done with it.
 */
#include <signal.h>

#include "kselftest_harness.h"
#include "race_hooks.h"

static long references(void)
{
	char text[32];

	if (text_read("/sys/module/kscope/refcnt", text, sizeof(text)))
		return -1;
	return strtol(text, NULL, 10);
}

static long references_settle(long want)
{
	__u64 deadline = now_ns() + promptly();

	while (references() != want && now_ns() < deadline)
		usleep(1000);
	return references();
}

/* An owner that dies as soon as its child is stuck */
static pid_t fork_owner(unsigned int op)
{
	char *mem = map_anon(PAGE);
	struct scope scope;
	pid_t pid = fork();
	int buf;

	if (pid)
		return pid;
	if (mem == MAP_FAILED || scope_open(&scope, KSCOPE_KIND_PARALLEL, 4))
		_exit(1);
	buf = buf_pin(scope.fd, mem, PAGE, 0);
	if (buf <= 0 || spawn_one(scope.fd, desc_gate(op, 0, buf), NULL) != 1 ||
	    wait_running(scope.fd, 1))
		_exit(2);
	kill(getpid(), SIGKILL);
	_exit(3);
}

TEST(module_is_held_for_a_child_whose_owner_is_dead)
{
	long before, pins = pins_now();
	int op = gate_op();
	pid_t pid;

	if (op < 0)
		SKIP(return, "kscope_gate is not loaded");
	ASSERT_EQ(0, gate_set(false));
	before = references();
	ASSERT_LE(0, before);
	pid = fork_owner(op);
	ASSERT_LE(0, pid);
	EXPECT_EQ(128 + SIGKILL, child_wait(pid));
	usleep(50000); /* its files are gone */
	EXPECT_EQ(pins + 1, pins_now());
	/* one for the scope, one for the file of its ring */
	EXPECT_EQ(before + 2, references());
	EXPECT_EQ(0, gate_set(true));
	EXPECT_EQ(before, references_settle(before));
	EXPECT_EQ(pins, pins_settle(pins, 1000));
}

TEST_HARNESS_MAIN

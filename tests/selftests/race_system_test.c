// SPDX-License-Identifier: GPL-2.0
/*
 * Children while the system changes under them: processors go offline and come back, the
 * module is unloaded and loaded, tasks are frozen. All of it is put back as it was.
 */
#include <signal.h>

#include "kselftest_harness.h"
#include "race_loop.h"

#define LEN (16 * PAGE)
#define BATCH 8
#define PART (LEN / BATCH)

/* Children of all classes, over and over, by a thread; each of them must finish. */
struct load {
	pthread_t thread;
	struct scope scope;
	unsigned int buf;
	unsigned long finished;
	int error;
	bool stop;
};

static int load_batch(struct load *load)
{
	struct kscope_desc descs[BATCH];
	struct kscope_completion c;
	unsigned int i;
	int ret;

	for (i = 0; i < BATCH; i++)
		descs[i] =
			i % 4 == 0 ? desc_sleep(i, now_ns() + 1000000) :
			i % 4 == 1 ? desc_fill(load->buf, i * PART, PART, i) :
			i % 4 == 2 ? desc_crc32c(load->buf, i * PART, PART, 0) :
				     desc_nop(i);
	ret = spawn_arg(load->scope.fd, descs, NULL, BATCH, BATCH,
			in_ms(PATIENCE_MS));
	if (ret != BATCH)
		return ret < 0 ? ret : -EPROTO;
	for (i = 0; reap(&load->scope, &c); i++)
		if (c.outcome != KSCOPE_FINISHED)
			return -EPROTO;
	load->finished += i;
	return i == BATCH ? 0 : -ETIMEDOUT;
}

static void *load_run(void *arg)
{
	struct load *load = arg;

	while (!load->error && !__atomic_load_n(&load->stop, __ATOMIC_RELAXED))
		load->error = load_batch(load);
	return NULL;
}

static int load_begin(struct load *load, unsigned int kind, char *mem)
{
	int ret = scope_open(&load->scope, kind, 32);

	if (ret)
		return ret;
	ret = buf_pin(load->scope.fd, mem, LEN, 0);
	if (ret <= 0)
		return ret;
	load->buf = ret;
	return pthread_create(&load->thread, NULL, load_run, load);
}

static int load_end(struct load *load)
{
	__atomic_store_n(&load->stop, true, __ATOMIC_RELAXED);
	pthread_join(load->thread, NULL);
	return load->error ?: scope_close(&load->scope);
}

static int fresh_open(struct load *load, char *mem)
{
	int ret = scope_open(&load->scope, KSCOPE_KIND_PARALLEL, 32);

	if (ret)
		return ret;
	ret = buf_pin(load->scope.fd, mem, LEN, 0);
	load->buf = ret;
	load->error = ret > 0 ? load_batch(load) : ret;
	return load->error;
}

static int fresh_works(struct load *load)
{
	return load_batch(load) ?: scope_close(&load->scope);
}

#define CPU1 "/sys/devices/system/cpu/cpu1/online"

FIXTURE(processor)
{
	struct race race;
	struct load loads[2];
	char *mem;
	long pins;
};

FIXTURE_SETUP(processor)
{
	if (access(CPU1, W_OK))
		SKIP(return, "no processor can be taken offline");
	self->pins = pins_now();
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
}

FIXTURE_TEARDOWN(processor)
{
	hooks_quiet();
	if (!self->mem)
		return;
	EXPECT_EQ(0, text_write(CPU1, "1"));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	EXPECT_TRUE(hooks_agree());
}

/*
 * Lanes go on wherever they were, and a scope does not depend on how many processors there
 * were when it was made.
 */
TEST_F(processor, goes_offline_and_comes_back_under_load)
{
	struct load with_one = {}, with_two = {};
	unsigned int i;

	race_begin_for(&self->race, "goes_offline_and_comes_back", 3 * LOOP_MS);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, load_begin(&self->loads[i], i, self->mem));
	}
	while (race_next(&self->race)) {
		if (self->race.hooks) /* each round is long */
			hooks_noise(self->race.seed + self->race.round);
		ASSERT_EQ(0, fresh_open(&with_two, self->mem));
		ASSERT_EQ(0, text_write(CPU1, "0"));
		usleep(race_random(&self->race) % 20000);
		ASSERT_EQ(0, fresh_open(&with_one, self->mem));
		EXPECT_EQ(0, fresh_works(&with_two));
		ASSERT_EQ(0, text_write(CPU1, "1"));
		EXPECT_EQ(0, fresh_works(&with_one));
	}
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, load_end(&self->loads[i]));
		EXPECT_LT(0, self->loads[i].finished);
	}
	TH_LOG("%u rounds, %lu children", self->race.round,
	       self->loads[0].finished + self->loads[1].finished);
}

#define PM "/sys/power/"
#define PM_DELAY "/sys/module/suspend/parameters/pm_test_delay"
#define FROZEN_S 1 /* the kernel counts loops: it is anything, on an emulator */

FIXTURE(frozen)
{
	struct scope scope;
	struct kscope_completion c;
	char delay[16];
	unsigned int op;
	char *mem;
	pid_t pid;
};

FIXTURE_SETUP(frozen)
{
	int op = gate_op();

	if (access(PM "pm_test", W_OK) || access(PM "state", W_OK) ||
	    text_read(PM_DELAY, self->delay, sizeof(self->delay)))
		SKIP(return, "this kernel cannot test its freezer");
	ASSERT_LT(0, op) TH_LOG("kscope_gate is not loaded");
	self->op = op;
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_EQ(0, gate_set(false));
	ASSERT_EQ(0, number_write(PM_DELAY, FROZEN_S));
	ASSERT_EQ(0, text_write(PM "pm_test", "freezer"));
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 16));
}

FIXTURE_TEARDOWN(frozen)
{
	if (!self->op)
		return;
	EXPECT_EQ(0, text_write(PM "pm_test", "none"));
	EXPECT_EQ(0, text_write(PM_DELAY, self->delay));
	EXPECT_EQ(0, gate_set(true));
	EXPECT_EQ(0, scope_close(&self->scope));
}

/* Freeze all tasks for a while and thaw them; how long it took, or -errno if one did not freeze. */
static long freeze_once(void)
{
	__u64 start = now_ns();
	int ret = text_write(PM "state", "freeze");

	return ret ?: (long)((now_ns() - start) / MSEC);
}

/* A process that waits in join() without end, until it is killed. */
static pid_t fork_waiter(FIXTURE_DATA(frozen) * self)
{
	pid_t pid = fork();

	if (!pid)
		_exit(join_arg(self->scope.fd, 0, &(struct kscope_join){}) !=
		      0);
	return pid;
}

/*
 * What is promised: children do not keep tasks from being frozen, neither sleeping nor
 * blocked ones, and nobody who waits for them in a call that a signal ends. Children are not
 * frozen themselves: workers go on, and what ends meanwhile is in the ring afterwards.
 */
TEST_F(frozen, tasks_freeze_while_children_sleep_and_block)
{
	int buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	struct kscope_desc descs[] = {
		desc_sleep(1, far_future()),
		desc_gate(self->op, 0, buf),
		desc_gate(self->op, GATE_HEEDS, buf),
	};
	long took;

	ASSERT_LT(0, buf);
	ASSERT_EQ(3, spawn(self->scope.fd, descs, 3));
	ASSERT_EQ(0, wait_running(self->scope.fd, 3));
	self->pid = fork_waiter(self);
	ASSERT_LE(0, self->pid);
	usleep(50000);
	ASSERT_EQ(1,
		  spawn_one(self->scope.fd, desc_sleep(2, in_ms(300)), NULL));
	took = freeze_once();
	TH_LOG("frozen and thawed in %ld ms", took);
	EXPECT_LE(0, took);
	EXPECT_GT(FROZEN_S * 1000 + 8000, took);
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(2, self->c.user_data);
	EXPECT_EQ(0, ring_unread(&self->scope));
	EXPECT_EQ(0, gate_set(true));
	EXPECT_EQ(0, cancel_scope(self->scope.fd));
	EXPECT_EQ(0, child_wait(self->pid));
	EXPECT_EQ(4, self->scope.ring->tail);
}

/* Exit code of a process that closes a scope with a child that does not heed. */
static int close_busy(FIXTURE_DATA(frozen) * self)
{
	struct scope scope;
	int buf;

	if (scope_open(&scope, KSCOPE_KIND_PARALLEL, 1))
		return 1;
	buf = buf_pin(scope.fd, self->mem, LEN, 0);
	if (buf <= 0 ||
	    spawn_one(scope.fd, desc_gate(self->op, 0, buf), NULL) != 1 ||
	    wait_running(scope.fd, 1))
		return 2;
	return scope_close(&scope) ? 3 : 0;
}

static bool wait_deep_sleep(pid_t pid)
{
	__u64 deadline = in_ms(PATIENCE_MS);

	while (task_state(pid) != 'D' && now_ns() < deadline)
		usleep(1000);
	usleep(10000); /* not only on the way */
	return task_state(pid) == 'D';
}

/* Nor does somebody who waits in close(), although only SIGKILL would end that wait. */
TEST_F(frozen, tasks_freeze_while_one_waits_in_close)
{
	long took;

	self->pid = fork();
	if (!self->pid)
		_exit(close_busy(self));
	ASSERT_LT(0, self->pid);
	EXPECT_TRUE(wait_deep_sleep(self->pid));
	took = freeze_once();
	TH_LOG("frozen and thawed in %ld ms", took);
	EXPECT_LE(0, took);
	EXPECT_GT(FROZEN_S * 1000 + 8000, took);
	EXPECT_EQ(0, waitpid(self->pid, NULL, WNOHANG));
	EXPECT_EQ(0, gate_set(true));
	EXPECT_EQ(0, child_wait(self->pid));
}

TEST_HARNESS_MAIN

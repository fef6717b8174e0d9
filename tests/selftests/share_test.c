// SPDX-License-Identifier: GPL-2.0
/*
 * What one ordinary user can take from the machine at most: kernel memory and workers.
 * What was measured is printed beside the bound that it is held against. See also
 * race_memlock_test.c for pinned memory, and race_kill_test.c for processes.
 */
#include <signal.h>

#include "kselftest_harness.h"
#include "race_other.h"

/*
 * Kernel memory. One user holds at most
 *
 *   for each scope: the scope, its ring and two files (4 KiB), a page of the ring's head and
 *     the rest of a page of records, the table of 4,096 buffers at 16 bytes, 64 lanes
 *     and one for each of up to 16 processors at 72 to 128 bytes, 16 hashes with
 *     transform and state (1 KiB), page tables of two mappings: below 128 KiB;
 *   for each slot: 64 bytes of ring and 128 of child: 256 bytes;
 *   for each page that RLIMIT_MEMLOCK lets it pin: a buffer, a pointer to the page, and
 *     credentials: 512 bytes;
 *   for each worker, of which there are 256 for children that block and one for each
 *     processor: stack and task, 32 KiB. Workers linger for minutes.
 *
 * Not measured here: children hold up to 16,384 files, which cost what files cost.
 */
#define MEMLOCK 48 /* pages */
#define SCOPES 24U
#define SLOTS 4000U
#define CAPACITY 128U
#define SCOPE_BYTES (128UL << 10)
#define SLOT_BYTES 256UL
#define PAGE_BYTES 512UL
#define WORKER_BYTES (32UL << 10)
#define WORKERS (256 + 16)

struct hoard {
	unsigned int step;
	unsigned int scopes, slots, hashes, buffers, children;
	int error; /* a refusal that is not documented */
	char *mem;
};

FIXTURE(memory)
{
	struct hoard *hoard;
	char scopes[16], children[16];
	pid_t pid;
	long pins;
};

FIXTURE_SETUP(memory)
{
	char *scopes = PARAMETERS "max_user_scopes";
	char *children = PARAMETERS "max_user_children";

	self->pins = pins_now();
	self->hoard = map_shared(PAGE);
	ASSERT_NE(MAP_FAILED, self->hoard);
	self->hoard->mem = map_anon(PAGE);
	ASSERT_EQ(0, set_limit(RLIMIT_MEMLOCK, MEMLOCK * PAGE));
	ASSERT_EQ(0, text_read(scopes, self->scopes, sizeof(self->scopes)));
	ASSERT_EQ(0,
		  text_read(children, self->children, sizeof(self->children)));
	ASSERT_EQ(0, number_write(scopes, SCOPES));
	ASSERT_EQ(0, number_write(children, SLOTS));
}

FIXTURE_TEARDOWN(memory)
{
	if (self->pid > 0)
		kill(self->pid, SIGKILL);
	EXPECT_EQ(0, text_write(PARAMETERS "max_user_scopes", self->scopes));
	EXPECT_EQ(0,
		  text_write(PARAMETERS "max_user_children", self->children));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	EXPECT_TRUE(hooks_agree());
}

/* Kernel memory that can grow for a user's sake, in bytes; stacks are in VmallocUsed. */
static long kernel_memory(void)
{
	static const char *const keys[] = { "Slab", "VmallocUsed", "PageTables",
					    "Percpu" };
	long sum = 0;
	size_t i;

	text_write("/proc/sys/vm/drop_caches", "3");
	for (i = 0; i < ARRAY_SIZE(keys); i++)
		sum += file_value("/proc/meminfo", keys[i]);
	return sum << 10;
}

static unsigned long bound(unsigned int scopes, unsigned long slots,
			   unsigned long pages)
{
	return scopes * SCOPE_BYTES + slots * SLOT_BYTES + pages * PAGE_BYTES +
	       WORKERS * WORKER_BYTES;
}

/* Whatever a scope can hold: hashes, buffers, and as many children as it has slots. */
static void fill_scope(struct hoard *h, int fd)
{
	struct kscope_desc desc = desc_sleep(1, far_future());
	int ret;

	while ((ret = hash_open(fd, "sha512")) > 0)
		h->hashes++;
	if (ret != -ENOSPC)
		h->error = ret;
	while ((ret = buf_pin(fd, h->mem, 1, 0)) > 0)
		h->buffers++;
	if (ret != -ENOMEM)
		h->error = ret;
	while ((ret = spawn_one(fd, desc, NULL)) == 1)
		h->children++;
	if (ret != -EAGAIN)
		h->error = ret;
}

/* Scopes with mapped rings until there are no more, first large ones and then small. */
static int hoard_all(void *arg)
{
	struct hoard *h = arg;
	struct kscope_scope_create create = {};
	unsigned int capacity = 2 * CAPACITY;
	struct scope scope;
	int fd;

	while (capacity) {
		create.capacity = capacity;
		create.max_buffers = 4096;
		fd = scope_create(&create);
		if (fd == -EDQUOT) {
			capacity /= 2;
			continue;
		}
		if (fd < 0 || scope_map(&scope, fd, &create)) {
			h->error = fd;
			break;
		}
		h->scopes++;
		h->slots += create.ring_entries;
		fill_scope(h, fd);
	}
	step_set(&h->step, 1);
	return step_wait(&h->step, 2) ? 0 : 1;
}

/* The share of a user who has nothing yet is whole: 0 */
static int share_is_whole(void *arg)
{
	struct kscope_completion c;
	struct hoard *h = arg;
	struct scope scope;
	unsigned int nr;
	int ret;

	for (nr = 0; nr < SCOPES; nr++) {
		ret = scope_open(&scope, KSCOPE_KIND_PARALLEL, 4);
		if (ret)
			return 1;
	}
	if (buf_pin(scope.fd, h->mem, PAGE, 0) <= 0)
		return 2;
	ret = run_ok(&scope, desc_nop(1), &c) ?:
		      run_ok(&scope, desc_sleep(1, 1), &c);
	if (ret)
		return 3;
	return scope_open(&scope, KSCOPE_KIND_PARALLEL, 4) == -EDQUOT ? 0 : 4;
}

/* Scopes without buffers may be reaped after the last page was given back. */
static int settles(uid_t uid, int (*check)(void *arg), void *arg)
{
	__u64 deadline = in_ms(2000);
	int ret;

	while ((ret = run_as(uid, check, arg)) && now_ns() < deadline)
		usleep(20000);
	return ret;
}

TEST_F_TIMEOUT(memory, of_the_kernel_is_bounded_by_the_parameters, 60)
{
	unsigned long most = bound(SCOPES, SLOTS, MEMLOCK);
	struct hoard *h = self->hoard;
	long before = kernel_memory(), growth;

	self->pid = fork_as(NOBODY, hoard_all, h);
	ASSERT_LE(0, self->pid);
	ASSERT_TRUE(step_wait(&h->step, 1));
	growth = kernel_memory() - before;
	TH_LOG("%u scopes, %u slots, %u hashes, %u buffers, %u children: %ld KiB, bound %lu KiB",
	       h->scopes, h->slots, h->hashes, h->buffers, h->children,
	       growth >> 10, most >> 10);
	EXPECT_EQ(0, h->error) TH_LOG("%s", strerror(-h->error));
	EXPECT_GE(SCOPES, h->scopes);
	EXPECT_GE(SLOTS, h->slots);
	EXPECT_EQ(h->slots, h->children);
	EXPECT_EQ(16 * h->scopes, h->hashes);
	EXPECT_EQ(MEMLOCK, h->buffers);
	EXPECT_GE((long)most, growth);
	EXPECT_EQ(0, run_as(OTHER, share_is_whole, h));
	step_set(&h->step, 2);
	EXPECT_EQ(0, child_wait(self->pid));
	self->pid = 0;
	EXPECT_EQ(self->pins, pins_settle(self->pins, 2000));
	EXPECT_EQ(0, settles(NOBODY, share_is_whole, h));
}

/*
 * Workers. The load of one user fills all that it may have; another user's child is not kept
 * waiting for it.
 */
#define LOAD_SCOPES 8
#define LOAD_CHILDREN 64
#define LOAD_LEN (2UL << 20)
#define SAMPLES 41
#define LATENCY_MAX (2 * promptly())

struct load {
	unsigned int step, outstanding;
	bool computes;
	__u64 latency[SAMPLES];
};

FIXTURE(workers)
{
	struct load *load;
	pid_t pid;
	long pins;
};

FIXTURE_VARIANT(workers)
{
	bool computes;
};

FIXTURE_VARIANT_ADD(workers, that_block){};

FIXTURE_VARIANT_ADD(workers, that_compute){
	.computes = true,
};

FIXTURE_SETUP(workers)
{
	self->pins = pins_now();
	self->load = map_shared(PAGE);
	ASSERT_NE(MAP_FAILED, self->load);
	self->load->computes = variant->computes;
	ASSERT_EQ(0, set_limit(RLIMIT_MEMLOCK, LOAD_SCOPES * LOAD_LEN));
}

FIXTURE_TEARDOWN(workers)
{
	if (self->pid > 0)
		kill(self->pid, SIGKILL);
	EXPECT_EQ(self->pins, pins_settle(self->pins, 5000));
	EXPECT_TRUE(hooks_agree());
}

/* Children that sleep, or that compute for long: the digests go before the data. */
static int load_spawn(int fd, bool computes, int buf)
{
	struct kscope_desc descs[LOAD_CHILDREN];
	unsigned int i;

	for (i = 0; i < LOAD_CHILDREN; i++)
		descs[i] = computes ? desc_hash(1, KSCOPE_HASH_ALL, buf, PAGE,
						LOAD_LEN - PAGE, buf, i * 64) :
				      desc_sleep(i, far_future());
	return spawn(fd, descs, LOAD_CHILDREN) == LOAD_CHILDREN ? 0 : -1;
}

static int load_open(struct scope *scope, const struct load *load, char *mem)
{
	int ret = scope_open(scope, KSCOPE_KIND_PARALLEL, LOAD_CHILDREN);

	if (ret)
		return ret;
	ret = buf_pin(scope->fd, mem, LOAD_LEN, 0);
	if (ret <= 0 || hash_open(scope->fd, "sha512") != 1)
		return -1;
	return load_spawn(scope->fd, load->computes, ret);
}

/* Fill the scopes with work, and say how much of it is outstanding. */
static int load_run(void *arg)
{
	struct load *load = arg;
	struct scope scopes[LOAD_SCOPES];
	char *mem = map_anon(LOAD_LEN);
	unsigned int i, outstanding;
	struct kscope_query q;

	for (i = 0; i < LOAD_SCOPES; i++)
		if (load_open(&scopes[i], load, mem))
			return 1;
	while (__atomic_load_n(&load->step, __ATOMIC_ACQUIRE) < 2) {
		for (i = 0, outstanding = 0; i < LOAD_SCOPES; i++) {
			if (query(scopes[i].fd, &q))
				return 2;
			outstanding += q.outstanding;
		}
		__atomic_store_n(&load->outstanding, outstanding,
				 __ATOMIC_RELAXED);
		usleep(20000);
	}
	return 0;
}

static int compare_u64(const void *a, const void *b)
{
	const __u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* How long a NOP takes as one sees it who is neither root nor the one with the load. */
static int sample(void *arg)
{
	struct load *load = arg;
	struct kscope_completion c;
	struct scope scope;
	__u64 start;
	int i;

	if (scope_open(&scope, KSCOPE_KIND_PARALLEL, 4) ||
	    run_ok(&scope, desc_nop(1), &c))
		return 1;
	for (i = 0; i < SAMPLES; i++) {
		start = now_ns();
		if (run_ok(&scope, desc_nop(i), &c))
			return 2;
		load->latency[i] = now_ns() - start;
		usleep(2000);
	}
	qsort(load->latency, SAMPLES, sizeof(__u64), compare_u64);
	return scope_close(&scope) ? 3 : 0;
}

static void log_latency(struct __test_metadata *_metadata,
			const struct load *load, const char *when)
{
	TH_LOG("a NOP of another user, %s: median %llu us, worst %llu us", when,
	       load->latency[SAMPLES / 2] / 1000,
	       load->latency[SAMPLES - 1] / 1000);
}

TEST_F_TIMEOUT(workers, of_one_user_do_not_keep_another_waiting, 60)
{
	struct load *load = self->load;
	__u64 deadline = in_ms(PATIENCE_MS);

	ASSERT_EQ(0, run_as(OTHER, sample, load));
	log_latency(_metadata, load, "without a load");
	self->pid = fork_as(NOBODY, load_run, load);
	ASSERT_LE(0, self->pid);
	while (load->outstanding < LOAD_SCOPES * LOAD_CHILDREN / 2 &&
	       now_ns() < deadline)
		usleep(1000);
	EXPECT_LT(0, load->outstanding);
	ASSERT_EQ(0, run_as(OTHER, sample, load));
	log_latency(_metadata, load, "with it");
	EXPECT_LT(0, load->outstanding);
	EXPECT_GT(LATENCY_MAX, load->latency[SAMPLES - 1]);
	step_set(&load->step, 2);
	EXPECT_EQ(0, child_wait(self->pid));
	self->pid = 0;
}

TEST_HARNESS_MAIN

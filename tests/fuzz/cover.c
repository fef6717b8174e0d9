// SPDX-License-Identifier: GPL-2.0
/*
 * Coverage: which instructions of the module ran (KCOV), and which call ended with which
 * errno. The second one is there without KCOV as well.
 *
 * Each thread has a trace of its own. What runs in the module's workers on behalf of a
 * thread goes to the manager's remote trace: KCOV hands the common handle down from the
 * manager to all that it forks, and the module carries it from the spawner to the worker.
 */
#include <fcntl.h>
#include <linux/kcov.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

#define TRACE_WORDS (16 << 10)
#define REMOTE (MAX_THREADS)

static int fds[MAX_THREADS + 1];
static unsigned long *traces[MAX_THREADS + 1];
static bool is_on;

static bool trace_open(unsigned int i)
{
	void *p;

	fds[i] = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (fds[i] < 0 || ioctl(fds[i], KCOV_INIT_TRACE, TRACE_WORDS))
		return false;
	p = mmap(NULL, TRACE_WORDS * sizeof(long), PROT_READ | PROT_WRITE,
		 MAP_SHARED, fds[i], 0);
	if (p == MAP_FAILED)
		return false;
	traces[i] = p;
	return true;
}

static bool remote_enable(void)
{
	struct kcov_remote_arg arg = {
		.trace_mode = KCOV_TRACE_PC,
		.area_size = TRACE_WORDS / 4,
		.common_handle =
			kcov_remote_handle(KCOV_SUBSYSTEM_COMMON, getpid()),
	};

	return !ioctl(fds[REMOTE], KCOV_REMOTE_ENABLE, &arg);
}

/* Once, in the manager. Return: is there KCOV */
bool cover_start(void)
{
	unsigned int i;

	for (i = 0; i <= MAX_THREADS; i++)
		if (!trace_open(i))
			return false;
	is_on = remote_enable();
	return is_on;
}

bool cover_is_on(void)
{
	return is_on;
}

/* In each thread of a worker, for as long as it lives */
void cover_thread(unsigned int thread)
{
	if (is_on && ioctl(fds[thread], KCOV_ENABLE, KCOV_TRACE_PC)) {
		perror("fuzz: KCOV_ENABLE");
		_exit(2);
	}
}

static void set_bit(__u8 *bits, __u64 bit)
{
	__atomic_fetch_or(&bits[bit / 8], 1 << bit % 8, __ATOMIC_RELAXED);
}

bool bit_is_set(const __u8 *bits, __u64 bit)
{
	return bits[bit / 8] & 1 << bit % 8;
}

static void note_pc(__u64 pc)
{
	__u64 bit = pc % NR_PCS;

	if (shared->keep_own)
		set_bit(shared->own, bit);
	if (bit_is_set(shared->pcs, bit))
		return;
	set_bit(shared->pcs, bit);
	__atomic_add_fetch(&shared->nr_pcs, 1, __ATOMIC_RELAXED);
}

static __u32 fold(__u64 hash)
{
	hash *= 0x9e3779b97f4a7c15ULL;
	hash ^= hash >> 32;
	return (hash ^ hash >> 16) % NR_SIGNALS;
}

static void note_signal(__u32 hash)
{
	if (shared->signals[hash])
		return;
	shared->signals[hash] = 1;
	__atomic_add_fetch(&shared->nr_signals, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&shared->new_signals, 1, __ATOMIC_RELAXED);
}

void cover_signal(__u64 what)
{
	__u32 hash = fold(what);

	if (shared->keep_own)
		set_bit(shared->own, NR_PCS + hash);
	note_signal(hash);
}

static void collect(unsigned long *trace)
{
	unsigned long nr = __atomic_exchange_n(trace, 0, __ATOMIC_RELAXED);
	unsigned long i, last = 0;

	if (nr >= TRACE_WORDS)
		nr = TRACE_WORDS - 1;
	for (i = 1; i <= nr; i++) {
		if (trace[i] == last)
			continue;
		note_pc(trace[i]);
		note_signal(fold(trace[i] ^ last << 7));
		last = trace[i];
	}
}

/* What the thread's last call has covered */
void cover_collect(unsigned int thread)
{
	if (is_on)
		collect(traces[thread]);
}

/* What the children of the last program have covered */
void cover_collect_remote(void)
{
	if (is_on)
		collect(traces[REMOTE]);
}

/* Forget the trace so far: it is not of the program that comes. */
void cover_drop(void)
{
	unsigned int i;

	for (i = 0; is_on && i <= MAX_THREADS; i++)
		__atomic_store_n(traces[i], 0, __ATOMIC_RELAXED);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * How much memory of the kernel belongs to a scope, to a child's slot in it, and to
 * pinned memory, by what is missing from the free memory of the guest. What is only
 * allocated when it is used counts too: a full batch goes through first.
 */
#include <liburing.h>
#include <sys/mman.h>

#include "kscope_util.h"
#include "pin.h"

#define SMALL 64U
#define BIG 4096U
#define NR_SMALL 1000U
#define NR_BIG 200U
#define PINNED (1UL << 30)

union holder {
	struct kscope_scope scope;
	struct io_uring ring;
};

static struct kscope_desc descs[BIG];

static void hold_scope(union holder *holder, unsigned int capacity)
{
	const struct kscope_scope_params params = { .capacity = capacity };

	CHECK(open_scope(&holder->scope, &params));
	spawn_all_and_wait(&holder->scope, descs, capacity);
	kscope_seen(&holder->scope, capacity);
}

static void drop_scope(union holder *holder)
{
	CHECK(kscope_scope_end(&holder->scope) == 0);
}

static void hold_ring(union holder *holder, unsigned int entries)
{
	CHECK(io_uring_queue_init(entries, &holder->ring, 0) == 0);
	for (unsigned int i = 0; i < entries; i++)
		io_uring_prep_nop(io_uring_get_sqe(&holder->ring));
	CHECK(io_uring_submit_and_wait(&holder->ring, entries) == (int)entries);
	io_uring_cq_advance(&holder->ring, entries);
}

static void drop_ring(union holder *holder)
{
	io_uring_queue_exit(&holder->ring);
}

static void flush_counters(void)
{
	FILE *file = fopen("/proc/sys/vm/stat_refresh", "w");

	CHECK(file);
	fputs("1\n", file);
	CHECK(fclose(file) == 0);
}

/* Free pages, and those that processors keep at hand. */
static double free_bytes(void)
{
	FILE *file;
	char line[256];
	unsigned long pages, sum = 0;

	flush_counters();
	file = fopen("/proc/zoneinfo", "r");
	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " nr_free_pages %lu", &pages) == 1 ||
		    sscanf(line, " count: %lu", &pages) == 1)
			sum += pages;
	fclose(file);
	CHECK(sum);
	return (double)sum * SMALL_PAGE;
}

typedef void (*hold_fn)(union holder *holder, unsigned int capacity);
typedef void (*drop_fn)(union holder *holder);

static double bytes_of_each(hold_fn hold, drop_fn drop, unsigned int nr,
			    unsigned int capacity)
{
	union holder *holders = alloc_zeroed(nr, sizeof(*holders));
	double before = free_bytes(), used;

	for (unsigned int i = 0; i < nr; i++)
		hold(&holders[i], capacity);
	used = before - free_bytes();
	for (unsigned int i = 0; i < nr; i++)
		drop(&holders[i]);
	free(holders);
	return used / nr;
}

static void report_scope(const char *subject, hold_fn hold, drop_fn drop)
{
	double small, big;

	bytes_of_each(hold, drop, NR_SMALL, SMALL); /* fills the caches */
	small = bytes_of_each(hold, drop, NR_SMALL, SMALL);
	big = bytes_of_each(hold, drop, NR_BIG, BIG);
	report_value("memory-scope", subject, SMALL, "bytes", small);
	report_value("memory-slot", subject, 1, "bytes",
		     (big - small) / (BIG - SMALL));
}

static void report_pinned(const char *subject, const struct pinner_ops *ops,
			  size_t page)
{
	void *owner = ops->open(), *addr = map_pages(PINNED, page);
	double before;

	before = free_bytes();
	ops->pin(owner, addr, PINNED);
	report_value("memory-pinned-gib", subject, page, "bytes",
		     before - free_bytes());
	ops->unpin(owner);
	ops->close(owner);
	CHECK(munmap(addr, PINNED) == 0);
}

void bench_memory(void)
{
	raise_file_limit(NR_SMALL + 64);
	report_scope("kscope", hold_scope, drop_scope);
	report_scope("io_uring", hold_ring, drop_ring);
	report_pinned("kscope", &kscope_pinner, SMALL_PAGE);
	report_pinned("io_uring", &uring_pinner, SMALL_PAGE);
	CHECK(huge_pages_reserve(PINNED / HUGE_PAGE));
	report_pinned("kscope", &kscope_pinner, HUGE_PAGE);
	report_pinned("io_uring", &uring_pinner, HUGE_PAGE);
	huge_pages_reserve(0);
}

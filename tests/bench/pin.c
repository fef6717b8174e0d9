// SPDX-License-Identifier: GPL-2.0
/* Pinning memory and letting it go, against registering buffers with io_uring. */
#include <liburing.h>
#include <sys/mman.h>

#include "kscope_util.h"
#include "pin.h"

struct kscope_owner {
	struct kscope_scope scope;
	int buf;
};

static void *scope_open(void)
{
	struct kscope_owner *owner = alloc_zeroed(1, sizeof(*owner));

	CHECK(open_scope(&owner->scope, &(struct kscope_scope_params){}));
	return owner;
}

static void scope_pin(void *arg, void *addr, size_t bytes)
{
	struct kscope_owner *owner = arg;

	owner->buf = kscope_buf_pin(&owner->scope, addr, bytes, 0);
	CHECK(owner->buf > 0);
}

static void scope_unpin(void *arg)
{
	struct kscope_owner *owner = arg;

	CHECK(kscope_buf_unpin(&owner->scope, owner->buf, NULL, NULL) == 0);
}

static void scope_close(void *arg)
{
	struct kscope_owner *owner = arg;

	CHECK(kscope_scope_end(&owner->scope) == 0);
	free(owner);
}

const struct pinner_ops kscope_pinner = {
	.open = scope_open,
	.pin = scope_pin,
	.unpin = scope_unpin,
	.close = scope_close,
};

static void *ring_open(void)
{
	struct io_uring *ring = alloc_zeroed(1, sizeof(*ring));

	CHECK(io_uring_queue_init(64, ring, 0) == 0);
	return ring;
}

static void ring_pin(void *arg, void *addr, size_t bytes)
{
	const struct iovec range = { .iov_base = addr, .iov_len = bytes };

	CHECK(io_uring_register_buffers(arg, &range, 1) == 0);
}

static void ring_unpin(void *arg)
{
	CHECK(io_uring_unregister_buffers(arg) == 0);
}

static void ring_close(void *arg)
{
	io_uring_queue_exit(arg);
	free(arg);
}

const struct pinner_ops uring_pinner = {
	.open = ring_open,
	.pin = ring_pin,
	.unpin = ring_unpin,
	.close = ring_close,
};

bool huge_pages_reserve(unsigned long nr)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "r+");
	unsigned long got = 0;

	CHECK(file);
	fprintf(file, "%lu\n", nr);
	rewind(file);
	if (fscanf(file, "%lu", &got) != 1)
		got = 0;
	fclose(file);
	return got >= nr;
}

void *map_pages(size_t bytes, size_t page)
{
	int huge = page == HUGE_PAGE ? MAP_HUGETLB : 0;
	size_t len = (bytes + page - 1) / page * page;
	char *addr = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | huge, -1, 0);

	if (addr == MAP_FAILED)
		die("no %zu bytes in pages of %zu", len, page);
	if (!huge)
		CHECK(madvise(addr, len, MADV_NOHUGEPAGE) == 0);
	for (size_t i = 0; i < len; i += page)
		addr[i] = 1;
	return addr;
}

struct pin_ctx {
	const struct pinner_ops *ops;
	void *owner;
	void *addr;
	size_t bytes;
	size_t page;
};

static void *pin_open(const struct cell *cell, size_t page)
{
	struct pin_ctx *ctx = alloc_zeroed(1, sizeof(*ctx));

	ctx->ops = cell->subject->arg;
	ctx->owner = ctx->ops->open();
	ctx->bytes = cell->batch;
	ctx->page = page;
	ctx->addr = map_pages(ctx->bytes, page);
	return ctx;
}

static void *pin_open_small(const struct cell *cell)
{
	return pin_open(cell, SMALL_PAGE);
}

static void *pin_open_huge(const struct cell *cell)
{
	return pin_open(cell, HUGE_PAGE);
}

static void pin_round(void *arg)
{
	struct pin_ctx *ctx = arg;

	ctx->ops->pin(ctx->owner, ctx->addr, ctx->bytes);
	ctx->ops->unpin(ctx->owner);
}

static void pin_close(void *arg)
{
	struct pin_ctx *ctx = arg;

	ctx->ops->close(ctx->owner);
	free(ctx);
}

#define PINNER(pinner, open_it, ops)                                 \
	{                                                            \
		.name = pinner, .open = open_it, .round = pin_round, \
		.close = pin_close, .arg = ops                       \
	}

void bench_pin(void)
{
	static const unsigned long sizes[] = { 4UL << 10, 1UL << 20,
					       1UL << 30 };
	static const struct subject small[] = {
		PINNER("kscope", pin_open_small, &kscope_pinner),
		PINNER("io_uring", pin_open_small, &uring_pinner),
		{ .name = NULL },
	};
	static const struct subject huge[] = {
		PINNER("kscope", pin_open_huge, &kscope_pinner),
		PINNER("io_uring", pin_open_huge, &uring_pinner),
		{ .name = NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		compare("pin-4k-pages", sizes[i], 1, small);
	CHECK(huge_pages_reserve(2 * (1UL << 30) / HUGE_PAGE));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		compare("pin-2m-pages", sizes[i], 1, huge);
	huge_pages_reserve(0);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The memory that programs work on, at fixed addresses, and the rooms where the
 * arguments of calls are put.
 *
 * Each area has a window of the address space for itself, so that what a program does to
 * its memory stays inside. A room has a hole behind it, and a second view that is
 * read-only; it belongs to one thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz.h"

#define ROOMS_AT ((char *)ROOM_BASE)
#define ROOMS_READ_ONLY_AT ((char *)READ_ONLY_ROOM_BASE)
#define ROOM_STRIDE (ROOM_BYTES + PAGE)
#define ALL_ROOMS ((MAX_THREADS + 1) * NR_ROOMS * ROOM_STRIDE)
#define GUARD_BEFORE 64UL
#define GUARD_BEHIND 256UL
#define GUARD 0xa5

static int bytes_fd = -1; /* a file through which values get to any address */
static int area_fd = -1;

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void map_at(void *addr, size_t len, int prot, int flags, int fd)
{
	void *p = mmap(addr, len, prot, flags | MAP_FIXED, fd, 0);

	must(p == addr, "mmap of the fuzzer's own memory");
}

/* Once, in the manager: the workers inherit it. */
void memory_start(void)
{
	int fd = memfd_create("rooms", MFD_CLOEXEC);
	size_t pos;

	must(fd >= 0 && !ftruncate(fd, ALL_ROOMS), "memfd");
	map_at(ROOMS_AT, ALL_ROOMS, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	map_at(ROOMS_READ_ONLY_AT, ALL_ROOMS, PROT_READ, MAP_SHARED, fd);
	for (pos = ROOM_BYTES; pos < ALL_ROOMS; pos += ROOM_STRIDE)
		munmap(ROOMS_AT + pos, PAGE);
	close(fd);
	bytes_fd = memfd_create("bytes", MFD_CLOEXEC);
	area_fd = memfd_create("area", MFD_CLOEXEC);
	must(bytes_fd >= 0 && area_fd >= 0, "memfd");
	must(!ftruncate(area_fd, 8 * PAGE), "memfd");
}

static char *area(unsigned int index)
{
	return (char *)(AREA_BASE + index * AREA_WINDOW);
}

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

/* The areas that are there at the start; the others are holes. */
static const struct {
	size_t len;
	int prot, flags;
} areas[NR_AREAS] = {
	[AREA_ANON] = { ANON_BYTES, RW, ANON },
	[AREA_SMALL] = { 4 * PAGE, RW, ANON },
	[AREA_READ_ONLY] = { 4 * PAGE, PROT_READ, ANON },
	[AREA_MEMFD] = { 8 * PAGE, RW, MAP_SHARED },
	[AREA_PRIVATE_FILE] = { 4 * PAGE, RW, MAP_PRIVATE },
	[AREA_SHARED_FILE] = { 4 * PAGE, RW, MAP_SHARED },
	[AREA_CUT] = { PAGE, RW, ANON },
	[AREA_HUGE] = { 2 << 20, RW, ANON | MAP_HUGETLB | MAP_NORESERVE },
};

static void area_map(unsigned int i)
{
	int fd = i == AREA_MEMFD ? area_fd : state.files[0];
	void *p;

	munmap(area(i), AREA_WINDOW);
	if (!areas[i].len)
		return;
	p = mmap(area(i), areas[i].len, areas[i].prot,
		 areas[i].flags | MAP_FIXED, fd, 0);
	must(p == area(i) || i == AREA_HUGE, "mmap of an area");
}

/* As new, in place of what the last program made of them */
void areas_map(__u32 which)
{
	unsigned int i;

	for (i = 0; i < NR_AREAS; i++)
		if (which & 1U << i)
			area_map(i);
}

/* Write where perhaps nothing is: 0 or -errno. */
int memory_write(struct ctx *ctx, __u64 addr, const void *data, size_t len)
{
	off_t off = ctx->thread * ROOM_BYTES;

	if (pwrite(bytes_fd, data, len, off) != (ssize_t)len)
		return -errno;
	if (syscall(SYS_pread64, bytes_fd, addr, len, off) < 0)
		return -errno;
	return 0;
}

static char *room_of(const struct ctx *ctx, enum room room)
{
	return ROOMS_AT + (ctx->thread * NR_ROOMS + room) * ROOM_STRIDE;
}

static char *room_end(const char *addr)
{
	size_t pos = addr - ROOMS_AT;

	return ROOMS_AT + pos - pos % ROOM_STRIDE + ROOM_BYTES;
}

static struct place put_inside(struct ctx *ctx, enum room room, unsigned int at,
			       const void *data, size_t len)
{
	char *start = room_of(ctx, room), *addr = start + 1024, *end;
	size_t whole = len;

	if (at == AT_EDGE || at == AT_CUT)
		addr = start + ROOM_BYTES - (at == AT_CUT ? len / 2 : len);
	if (at == AT_CUT)
		whole = len / 2;
	end = addr + whole + GUARD_BEHIND;
	if (end > start + ROOM_BYTES)
		end = start + ROOM_BYTES;
	memset(addr - GUARD_BEFORE, GUARD, GUARD_BEFORE);
	memset(addr + whole, GUARD, end - addr - whole);
	memcpy(addr, data, whole);
	if (at == AT_READ_ONLY)
		return (struct place){ ROOMS_READ_ONLY_AT + (addr - ROOMS_AT),
				       NULL };
	return (struct place){ addr, at == AT_CUT ? NULL : addr };
}

static __u64 place_far(unsigned int at)
{
	struct arg ring = { .form = FORM_ADDR, .index = AREA_RING };

	switch (at) {
	case AT_UNMAPPED:
		return AREA_BASE + AREA_HOLE * AREA_WINDOW;
	case AT_KERNEL:
		return 0xffff888000001000;
	case AT_BENT:
		return 1ULL << 63;
	case AT_PINNED:
		return AREA_BASE + AREA_ANON * AREA_WINDOW + 512;
	case AT_HEAD:
		ring.index = AREA_HEAD;
		return value_of(&ring);
	case AT_RING:
		return value_of(&ring);
	default:
		return 0;
	}
}

/*
 * Put @data where a call shall find it. What lies in the head page or in memory that is
 * pinned is changed by others.
 */
struct place place_put(struct ctx *ctx, enum room room, unsigned int at,
		       const void *data, size_t len)
{
	struct obj *obj;
	__u64 addr;

	if (at <= AT_READ_ONLY)
		return put_inside(ctx, room, at, data, len);
	addr = place_far(at);
	if (at == AT_PINNED)
		memory_write(ctx, addr, data, len);
	obj = slot_load(state.scopes, 0).obj;
	if (at == AT_HEAD && addr && obj) {
		obj->scribbled = true;
		memory_write(ctx, addr, data, len < PAGE ? len : PAGE);
	}
	return (struct place){ (char *)addr, NULL };
}

/* Is what is around the @len bytes still as place_put() left it? */
bool place_is_guarded(const struct place *place, size_t len)
{
	const char *end = room_end(place->view), *p = place->view + len;

	if (end > p + GUARD_BEHIND)
		end = p + GUARD_BEHIND;
	for (; p < end; p++)
		if (*(const unsigned char *)p != GUARD)
			return false;
	for (p = place->view - GUARD_BEFORE; p < place->view; p++)
		if (*(const unsigned char *)p != GUARD)
			return false;
	return true;
}

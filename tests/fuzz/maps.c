// SPDX-License-Identifier: GPL-2.0
/*
 * Calls on memory: mappings of rings and heads, buffers that go away under their pins,
 * and a program that writes nonsense to its head, or reads its completions as it should.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz.h"
#include "run.h"

static long result(long ret)
{
	return ret == -1 ? -errno : ret;
}

static void mark_dirty(unsigned int area)
{
	__atomic_fetch_or(&state.dirty_areas, 1U << area, __ATOMIC_RELAXED);
}

static void *map_window(__u64 slot)
{
	return (char *)(AREA_BASE + (AREA_MAP + slot % 4) * AREA_WINDOW);
}

long run_mmap(struct ctx *ctx, const struct arg *args)
{
	enum { FD, TO, OFF, LEN, PROT, PRIVATE };
	struct fd_slot slot = fd_of(&args[FD]);
	__u64 off = value_of(&args[OFF]), len = value_of(&args[LEN]);
	__u64 flags = value_of(&args[PRIVATE]);
	void *p;

	if (args[OFF].form == FORM_WORD)
		off = off ? KSCOPE_MMAP_HEAD : KSCOPE_MMAP_RING;
	if (len > AREA_WINDOW && len < 1ULL << 47)
		len = AREA_WINDOW;
	mark_dirty(AREA_MAP + value_of(&args[TO]) % 4);
	p = mmap(map_window(value_of(&args[TO])), len, value_of(&args[PROT]),
		 MAP_FIXED | (flags == 1 ? MAP_PRIVATE : MAP_SHARED), slot.fd,
		 off);
	if (p != MAP_FAILED)
		return 0;
	oracle_check_return(ctx->kind, &slot, -errno);
	return -errno;
}

/* The part of the range that lies in its window; 0 if it is not the program's. */
static size_t inside(const struct arg *addr, __u64 len)
{
	__u64 off = value_of(addr) % AREA_WINDOW;

	if (addr->form != FORM_ADDR || addr->index == AREA_RING ||
	    addr->index == AREA_HEAD || addr->value >= AREA_WINDOW)
		return 0;
	return len < AREA_WINDOW - off ? len : AREA_WINDOW - off;
}

long run_munmap(struct ctx *ctx, const struct arg *args)
{
	size_t len = inside(&args[0], value_of(&args[1]));

	(void)ctx;
	if (!len)
		return -EINVAL;
	mark_dirty(args[0].index);
	return result(munmap((void *)value_of(&args[0]), len));
}

long run_mremap(struct ctx *ctx, const struct arg *args)
{
	size_t len = inside(&args[0], value_of(&args[1]));
	size_t new_len = inside(&args[0], value_of(&args[2]));
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	long ret;

	(void)ctx;
	if (!new_len)
		return -EINVAL;
	if (value_of(&args[4]) & 1)
		flags = 0;
	else if (value_of(&args[4]) & 2)
		flags |= MREMAP_DONTUNMAP;
	mark_dirty(args[0].index);
	mark_dirty(AREA_MAP + value_of(&args[3]) % 4);
	ret = syscall(SYS_mremap, value_of(&args[0]), len, new_len, flags,
		      map_window(value_of(&args[3])));
	return ret == -1 ? -errno : 0;
}

long run_mprotect(struct ctx *ctx, const struct arg *args)
{
	size_t len = inside(&args[0], value_of(&args[1]));

	(void)ctx;
	if (!len)
		return -EINVAL;
	mark_dirty(args[0].index);
	return result(
		mprotect((void *)value_of(&args[0]), len, value_of(&args[2])));
}

long run_madvise(struct ctx *ctx, const struct arg *args)
{
	size_t len = inside(&args[0], value_of(&args[1]));

	(void)ctx;
	if (!len)
		return -EINVAL;
	mark_dirty(args[0].index);
	return result(
		madvise((void *)value_of(&args[0]), len, value_of(&args[2])));
}

static void mark_scribbled(void)
{
	__u32 i;

	for (i = 0; i < MAX_OBJS; i++)
		state.objs[i].scribbled = true;
}

long run_poke(struct ctx *ctx, const struct arg *args)
{
	__u64 value = value_of(&args[1]);

	if (args[0].form != FORM_ADDR)
		return -EINVAL;
	if (args[0].index >= AREA_RING)
		mark_scribbled();
	return memory_write(ctx, value_of(&args[0]), &value, sizeof(value));
}

/* Write to the head page what is not true. */
long run_head(struct ctx *ctx, const struct arg *args)
{
	struct obj *obj = fd_of(&args[0]).obj;
	__u32 value = value_of(&args[1]);

	(void)ctx;
	if (!obj || !obj->ring)
		return -EINVAL;
	obj->scribbled = true;
	if (value_of(&args[2]))
		value += obj->head->head;
	__atomic_store_n(&obj->head->head, value, __ATOMIC_RELEASE);
	return 0;
}

long run_reap(struct ctx *ctx, const struct arg *args)
{
	struct obj *obj = fd_of(&args[0]).obj;

	(void)ctx;
	if (!obj || !obj->ring || !oracle_reap(obj, value_of(&args[1])))
		return -EINVAL;
	return 0;
}

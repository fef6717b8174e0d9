/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a scenario of the fault tests works on, and the calls that it makes. Each call goes
 * through step(), which only takes down what came of it; whether that was right is
 * decided later, when nothing fails any more.
 */
#ifndef KSCOPE_FAULT_WORLD_H
#define KSCOPE_FAULT_WORLD_H

#include "fault_nth.h"

#define MAX_STEPS 32
#define MAX_CHILDREN 128
#define FIRST_UID 50000
#define MEMLOCK_PAGES 1536UL
#define HUGE_BYTES (2UL << 20)

enum call_kind {
	CALL_OPEN,
	CALL_INFO,
	CALL_OP_INFO,
	CALL_CREATE,
	CALL_MAP,
	CALL_PIN,
	CALL_UNPIN,
	CALL_REBORROW,
	CALL_BORROW,
	CALL_RETURN,
	CALL_HASH,
	CALL_SPAWN,
	CALL_CANCEL,
	CALL_JOIN,
	CALL_RELEASE,
	CALL_QUERY,
	CALL_CLOSE,
	CALL_OTHER, /* of the kernel, not of the module */
	NR_CALLS,
};

enum memory {
	MEM_ANON,
	MEM_SHARED,
	MEM_HUGETLB,
	MEM_THP,
	MEM_HALF, /* the second half is not mapped */
	MEM_READ_ONLY,
};

#define F_PINNED (1U << 0) /* the memory is a buffer before the body begins */
#define F_FRESH (1U << 1) /* nobody has touched the memory yet */
#define F_FROZEN \
	(1U << 2) /* one call; if it fails, QUERY says what it said before */
#define F_NEW_USER (1U << 3) /* each time a user that holds no scope yet */
#define F_REMOTE (1U << 4) /* another process fails; the body sees to that */
#define F_WANT_EFAULT \
	(1U << 5) /* the sweep must have seen one, with good pointers */
#define F_WANT_ENOMEM (1U << 6)
#define F_WANT_SURVIVED (1U << 7) /* ... a fault that nobody noticed */
#define F_WANT_WORKER (1U << 8) /* ... a fault in an operation */
#define F_WANT_REPLY \
	(1U << 9) /* ... a copy out that failed, at the end of the call */

/*
 * The pages of programs do not fail. A fork makes the parent copy its own, and where that
 * fails the kernel tries again, and says so in its log.
 */
#define F_SPARE_PAGES (1U << 10)

struct world;

struct scenario {
	const char *name;
	void (*prepare)(struct world *w);
	void (*body)(struct world *w);
	void (*verify)(struct world *w);
	const char *(*missing)(void); /* what this machine lacks, or NULL */
	unsigned int flags;
	unsigned int kind; /* of the scope that is there before the body begins */
	unsigned int capacity; /* 0: there is none */
	unsigned int max_buffers;
	enum memory memory;
	unsigned int pages; /* 0: no memory */
	unsigned int pin_flags;
	unsigned int limit; /* the module's test_limit */
	unsigned int stride; /* 0, or look only at each so many after the 32nd */
	unsigned int op;
	unsigned int nr;
	const unsigned int *counts; /* sweep for each nr in there, up to a 0 */
	const char *text;
	int want;
};

struct step {
	enum call_kind what;
	int want; /* without a fault; 0: anything that is no error */
	int ret;
};

/* One pass of a scenario */
struct world {
	const struct scenario *sc;
	int nth; /* fail-nth of this thread */
	unsigned int n;
	unsigned int left;
	unsigned int bad;
	bool fired;
	bool cancelled;
	uid_t uid;
	int dev;
	struct scope scope;
	struct kscope_scope_create create;
	struct kscope_query before;
	struct kscope_query after;
	char *base; /* of the memory's mapping */
	size_t base_len;
	char *mem;
	size_t len;
	int buf;
	int hash;
	unsigned int op;
	int file;
	char path[PATH_LEN];
	int extra[2];
	struct step steps[MAX_STEPS];
	unsigned int nr_steps;
	unsigned int accepted;
	struct kscope_desc descs[MAX_CHILDREN];
	__u64 handles[MAX_CHILDREN];
	struct kscope_completion done[MAX_CHILDREN];
	unsigned char seen[MAX_CHILDREN];
};

static inline int step(struct world *w, enum call_kind what, int want, int ret)
{
	if (w->nr_steps < MAX_STEPS)
		w->steps[w->nr_steps++] = (struct step){ what, want, ret };
	else
		w->bad++;
	return ret;
}

/* For a system call that reports by errno */
static inline int sys(long ret)
{
	return ret < 0 ? -errno : (int)ret;
}

static inline int do_open(struct world *w)
{
	w->dev = step(w, CALL_OPEN, 0, dev_open());
	return w->dev;
}

static inline int do_create_as(struct world *w, unsigned int kind,
			       unsigned int capacity, int want)
{
	w->create = (struct kscope_scope_create){
		.size = sizeof(w->create),
		.kind = kind,
		.capacity = capacity,
		.max_buffers = w->sc->max_buffers,
	};
	w->scope.fd = step(w, CALL_CREATE, want,
			   xioctl(w->dev, KSCOPE_IOC_SCOPE_CREATE, &w->create));
	return w->scope.fd;
}

static inline int do_create(struct world *w)
{
	return do_create_as(w, w->sc->kind, w->sc->capacity, 0);
}

static inline int do_map_ring(struct world *w)
{
	void *p = mmap(NULL, w->create.ring_bytes, PROT_READ, MAP_SHARED,
		       w->scope.fd, KSCOPE_MMAP_RING);

	if (p == MAP_FAILED)
		return step(w, CALL_MAP, 0, -errno);
	w->scope.ring = p;
	w->scope.ring_bytes = w->create.ring_bytes;
	w->scope.entries = w->create.ring_entries;
	return step(w, CALL_MAP, 0, 0);
}

static inline int do_map_head(struct world *w)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       w->scope.fd, KSCOPE_MMAP_HEAD);

	if (p == MAP_FAILED)
		return step(w, CALL_MAP, 0, -errno);
	w->scope.head = p;
	return step(w, CALL_MAP, 0, 0);
}

static inline int do_map(struct world *w)
{
	return do_map_ring(w) ?: do_map_head(w);
}

static inline int do_pin_want(struct world *w, int want)
{
	int ret = buf_pin(w->scope.fd, w->mem, w->len, w->sc->pin_flags);

	w->buf = step(w, CALL_PIN, want, ret ?: -EPROTO);
	return w->buf;
}

static inline int do_pin(struct world *w)
{
	return do_pin_want(w, 0);
}

static inline int do_unpin(struct world *w)
{
	return step(w, CALL_UNPIN, 0, buf_unpin(w->scope.fd, w->buf));
}

static inline int do_hash_open(struct world *w, const char *name, int want)
{
	int ret = hash_open(w->scope.fd, name);

	w->hash = step(w, CALL_HASH, want, ret ?: -EPROTO);
	return w->hash;
}

/* Spawn w->descs[from ... from + nr - 1]; a child's user_data is its number in the world. */
static inline int do_spawn_want(struct world *w, unsigned int nr, int want)
{
	unsigned int i, first = w->accepted;
	int ret;

	if (first + nr > MAX_CHILDREN)
		abort();
	for (i = first; i < first + nr; i++)
		w->descs[i].user_data = i;
	ret = spawn_arg(w->scope.fd, &w->descs[first], &w->handles[first], nr,
			0, 0);
	if (ret > 0)
		w->accepted += ret;
	return step(w, CALL_SPAWN, want, ret);
}

static inline int do_spawn(struct world *w, unsigned int nr)
{
	return do_spawn_want(w, nr, nr);
}

/* @nr children that all have the same descriptor */
static inline int do_spawn_same(struct world *w, struct kscope_desc desc,
				unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		w->descs[w->accepted + i] = desc;
	return do_spawn(w, nr);
}

static inline int do_cancel(struct world *w, unsigned int what, __u64 target,
			    int want)
{
	struct kscope_cancel arg;

	w->cancelled = true;
	return step(w, CALL_CANCEL, want,
		    cancel_arg(w->scope.fd, what, target, &arg));
}

static inline int do_join(struct world *w)
{
	struct kscope_join arg;

	return step(w, CALL_JOIN, 0,
		    join_arg(w->scope.fd, in_ms(PATIENCE_MS), &arg));
}

static inline int do_release(struct world *w, int want)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	unsigned int nr = KSCOPE_MAX_BLOCKERS;

	return step(w, CALL_RELEASE, want,
		    release_blockers(w->scope.fd, blockers, &nr));
}

static inline int do_query(struct world *w)
{
	struct kscope_query q;

	return step(w, CALL_QUERY, 0, query(w->scope.fd, &q));
}

static inline int do_close(struct world *w)
{
	int ret = step(w, CALL_CLOSE, 0, xclose(w->scope.fd));

	w->cancelled = true;
	w->scope.fd = -1;
	return ret;
}

static inline int mem_map(struct world *w, int prot, int flags)
{
	w->base = mmap(NULL, w->base_len, prot, flags, -1, 0);
	if (w->base == MAP_FAILED) {
		w->base = NULL;
		return -errno;
	}
	w->mem = w->base;
	return 0;
}

/* One huge page, where it can be one. */
static inline int mem_map_thp(struct world *w)
{
	int ret;

	w->base_len = 2 * HUGE_BYTES;
	ret = mem_map(w, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	if (ret)
		return ret;
	w->mem += -(uintptr_t)w->base & (HUGE_BYTES - 1);
	return sys(madvise(w->mem, HUGE_BYTES, MADV_HUGEPAGE));
}

static inline int mem_make(struct world *w)
{
	int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;
	int ret;

	w->len = w->sc->pages * PAGE;
	w->base_len = w->len;
	switch (w->sc->memory) {
	case MEM_SHARED:
		return mem_map(w, rw, MAP_SHARED | MAP_ANONYMOUS);
	case MEM_HUGETLB:
		return mem_map(w, rw, anon | MAP_HUGETLB);
	case MEM_THP:
		return mem_map_thp(w);
	case MEM_READ_ONLY:
		return mem_map(w, PROT_READ, anon);
	default:
		ret = mem_map(w, rw, anon);
	}
	/* Small pages, so that the number of points does not depend on luck. */
	ret = ret ?: sys(madvise(w->base, w->base_len, MADV_NOHUGEPAGE));
	if (!ret && w->sc->memory == MEM_HALF)
		ret = sys(munmap(w->base + w->len / 2, w->len - w->len / 2));
	return ret;
}

static inline void mem_touch(struct world *w)
{
	size_t len = w->sc->memory == MEM_HALF ? w->len / 2 : w->len;

	if (w->sc->memory != MEM_READ_ONLY)
		bytes_fill(w->mem, len, w->n);
}

/* The real user decides about shares; the saved one stays root for the way back. */
static inline void as_user(uid_t uid)
{
	if (setresuid(uid, uid, 0))
		abort();
}

static inline void as_root(void)
{
	if (setresuid(0, 0, 0))
		abort();
}

#endif /* KSCOPE_FAULT_WORLD_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * Every point fails once: pinning memory of all kinds and sizes, and giving it back.
 *
 * A page that cannot be had ends one call of pin_user_pages() early, and the module goes on
 * from there: such a fault is survived. If it is the first page of a call, the pin fails, and
 * what was pinned before has to go. With a limit of one page for each call, each page
 * is the first of one.
 */
#include "fault_sweep.h"

/* Each pass faults in all pages anew, so not every one of a thousand faults is met. */
#define BIG_STRIDE 29

static void body_pin(struct world *w)
{
	do_pin_want(w, w->sc->want);
}

static void verify_pin(struct world *w)
{
	struct kscope_query q;
	bool pinned = w->buf > 0;

	if (query(w->scope.fd, &q) || q.nr_buffers != pinned ||
	    q.pinned_pages != pinned * w->sc->pages)
		complain(w, "the scope has %u buffers, %llu pages",
			 q.nr_buffers, (unsigned long long)q.pinned_pages);
	/* There is one entry: it is free again, or this pin finds none. */
	if (!pinned)
		w->buf = buf_pin(w->scope.fd, w->mem, PAGE,
				 KSCOPE_PIN_READ_ONLY);
	if (w->buf <= 0 || buf_unpin(w->scope.fd, w->buf))
		complain(w, "no pin or unpin any more: %d", w->buf);
}

#define REFUSED_PIN_TEST(name_, pages_, flags_, ...)                          \
	SWEEP_TEST(name_, .capacity = 8, .max_buffers = 1, .pages = (pages_), \
		   .body = body_pin, .verify = verify_pin,                    \
		   .flags = F_FROZEN | (flags_), ##__VA_ARGS__)
#define PIN_TEST(name_, pages_, flags_, ...)                       \
	REFUSED_PIN_TEST(name_, pages_,                            \
			 F_WANT_EFAULT | F_WANT_ENOMEM | (flags_), \
			 ##__VA_ARGS__)

PIN_TEST(pin_1, 1, 0)
PIN_TEST(pin_2, 2, 0)
PIN_TEST(pin_16, 16, 0)
PIN_TEST(pin_512, 512, 0)
PIN_TEST(pin_513, 513, 0)
PIN_TEST(pin_1025, 1025, 0)
PIN_TEST(pin_fresh_1, 1, F_FRESH)
PIN_TEST(pin_fresh_16, 16, F_FRESH | F_WANT_SURVIVED)
PIN_TEST(pin_fresh_512, 512, F_FRESH | F_WANT_SURVIVED, .stride = BIG_STRIDE)
PIN_TEST(pin_fresh_513, 513, F_FRESH | F_WANT_SURVIVED, .stride = BIG_STRIDE)
PIN_TEST(pin_fresh_1025, 1025, F_FRESH | F_WANT_SURVIVED,
	 .stride = 2 * BIG_STRIDE)
PIN_TEST(pin_shared_16, 16, F_FRESH | F_WANT_SURVIVED, .memory = MEM_SHARED)
PIN_TEST(pin_shared_513, 513, F_FRESH | F_WANT_SURVIVED, .memory = MEM_SHARED,
	 .stride = 2 * BIG_STRIDE)
PIN_TEST(pin_read_only_16, 16, F_FRESH | F_WANT_SURVIVED,
	 .memory = MEM_READ_ONLY, .pin_flags = KSCOPE_PIN_READ_ONLY)
PIN_TEST(pin_to_read_what_can_be_written, 16, F_FRESH | F_WANT_SURVIVED,
	 .pin_flags = KSCOPE_PIN_READ_ONLY)
PIN_TEST(pin_thp, 512, F_FRESH, .memory = MEM_THP, .stride = BIG_STRIDE)

/* The first one of an address space that is waited for */
static void prepare_fenced(struct world *w)
{
	w->create = (struct kscope_scope_create){
		.size = sizeof(w->create),
		.capacity = 8,
		.max_buffers = 1,
		.flags = KSCOPE_SCOPE_FENCE,
	};
	w->scope.fd = xioctl(w->dev, KSCOPE_IOC_SCOPE_CREATE, &w->create);
}

SWEEP_TEST(pin_fenced, .prepare = prepare_fenced, .body = body_pin,
	   .verify = verify_pin, .pages = 4,
	   .flags = F_WANT_EFAULT | F_WANT_ENOMEM)

static const char *no_huge_pages(void)
{
	return number_get("/proc/sys/vm/nr_hugepages", 0) < 2 ?
		       "this machine has no huge pages" :
		       NULL;
}

PIN_TEST(pin_hugetlb, 512, F_FRESH, .memory = MEM_HUGETLB,
	 .missing = no_huge_pages)

static const char *no_limit(void)
{
	return access(PARAM_DIR "test_limit", F_OK) ?
		       "the module has no test_limit" :
		       NULL;
}

#define LIMITED_TEST(name_, pages_, ...)                                      \
	SWEEP_TEST(name_, .capacity = 8, .max_buffers = 1, .pages = (pages_), \
		   .limit = 1, .missing = no_limit, .body = body_pin,         \
		   .verify = verify_pin, __VA_ARGS__)

LIMITED_TEST(pin_fails_at_each_page, 16,
	     .flags = F_FRESH | F_FROZEN | F_WANT_ENOMEM)
LIMITED_TEST(pin_fails_at_each_shared_page, 16, .memory = MEM_SHARED,
	     .flags = F_FRESH | F_FROZEN | F_WANT_ENOMEM)
LIMITED_TEST(pin_fails_at_each_page_to_read, 16, .memory = MEM_READ_ONLY,
	     .pin_flags = KSCOPE_PIN_READ_ONLY,
	     .flags = F_FRESH | F_FROZEN | F_WANT_ENOMEM)
LIMITED_TEST(pin_half_unmapped_page_by_page, 16, .memory = MEM_HALF,
	     .want = -EFAULT, .flags = F_FRESH | F_FROZEN | F_WANT_ENOMEM)

REFUSED_PIN_TEST(pin_half_unmapped, 16, F_WANT_ENOMEM, .memory = MEM_HALF,
		 .want = -EFAULT)
REFUSED_PIN_TEST(pin_half_unmapped_fresh, 16, F_FRESH | F_WANT_ENOMEM,
		 .memory = MEM_HALF, .want = -EFAULT)
REFUSED_PIN_TEST(pin_half_unmapped_1026, 1026, F_WANT_ENOMEM,
		 .memory = MEM_HALF, .want = -EFAULT)
REFUSED_PIN_TEST(pin_read_only_for_writing, 16, F_WANT_ENOMEM,
		 .memory = MEM_READ_ONLY, .want = -EFAULT)
REFUSED_PIN_TEST(pin_beyond_the_limit, MEMLOCK_PAGES + 1,
		 F_FRESH | F_WANT_EFAULT, .want = -ENOMEM)

static void body_pin_again(struct world *w)
{
	step(w, CALL_PIN, -ENOSPC, buf_pin(w->scope.fd, w->mem, PAGE, 0));
}

SWEEP_TEST(pin_without_a_free_entry, .capacity = 8, .max_buffers = 1,
	   .pages = 4, .body = body_pin_again,
	   .flags = F_PINNED | F_FROZEN | F_WANT_EFAULT | F_WANT_ENOMEM)

static void body_unpin(struct world *w)
{
	if (!do_unpin(w))
		w->buf = 0;
}

#define UNPIN_TEST(name_, pages_, ...)                           \
	SWEEP_TEST(name_, .capacity = 8, .pages = (pages_),      \
		   .body = body_unpin, .verify = verify_pin,     \
		   .flags = F_PINNED | F_FROZEN | F_WANT_EFAULT, \
		   ##__VA_ARGS__)

UNPIN_TEST(unpin_1, 1)
UNPIN_TEST(unpin_1025, 1025)
UNPIN_TEST(unpin_shared, 64, .memory = MEM_SHARED)

static void prepare_borrowed(struct world *w)
{
	struct kscope_desc desc = desc_fill(w->buf, 0, PAGE, 1);

	/* Behind one that sleeps nothing runs: it is an ordered scope. */
	do_spawn_same(w, desc_sleep(0, far_future()), 1);
	do_spawn_same(w, desc, 10);
	wait_running(w->scope.fd, 1);
}

static void body_unpin_borrowed(struct world *w)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	unsigned int nr = KSCOPE_MAX_BLOCKERS;
	int ret;

	memset(blockers, 0, sizeof(blockers));
	ret = buf_unpin_blockers(w->scope.fd, w->buf, blockers, &nr);
	step(w, CALL_UNPIN, -EBUSY, ret);
	if (ret == -EBUSY && (nr != KSCOPE_MAX_BLOCKERS ||
			      blockers[nr - 1].child != w->handles[nr]))
		w->bad++;
}

SWEEP_TEST(unpin_of_what_is_borrowed, .kind = KSCOPE_KIND_ORDERED,
	   .capacity = 16, .pages = 4, .prepare = prepare_borrowed,
	   .body = body_unpin_borrowed, .verify = verify_pin,
	   .flags = F_PINNED | F_FROZEN | F_WANT_EFAULT)

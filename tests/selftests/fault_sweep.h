/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The sweep: a scenario is passed through again and again, and in pass n the n-th point
 * fails: n = 1, 2, 3, ... until a pass comes to its end before there was an n-th point,
 * in its own thread or, by what the module carries there, in a worker. That pass must
 * have succeeded in all that it did.
 */
#ifndef KSCOPE_FAULT_SWEEP_H
#define KSCOPE_FAULT_SWEEP_H

#include "fault_check.h"
#include "kselftest_harness.h"

#define CLEAN_PASSES 2
#define MAX_POINTS 20000
#define DENSE_POINTS 32
#define MAX_BAD 3

#define NO_ORDER "64" /* no allocation of pages is that large */

/*
 * Copies fail in each sweep, as there is no way to spare them. How many slabs have to ask
 * for pages changes from pass to pass; without them the number of points does not, so that
 * none is skipped.
 */
enum fault_kind { FAULT_COPIES, FAULT_SLABS, FAULT_PAGES, NR_FAULT_KINDS };

struct sweep {
	const struct scenario *sc;
	enum fault_kind kind;
	struct holdings holdings;
	unsigned int points[NR_FAULT_KINDS]; /* the highest that failed */
	unsigned int failed; /* passes in which the program noticed */
	unsigned int survived; /* ... and did not */
	unsigned int efault;
	unsigned int enomem;
	unsigned int workers;
	unsigned int bad;
	unsigned int replies; /* copies out that failed */
};

static inline long worker_faults(void)
{
	return number_get(PARAM_DIR "test_faults", 0);
}

static inline void world_prepare(struct world *w)
{
	const struct scenario *sc = w->sc;

	do_open(w);
	if (sc->pages) {
		if (mem_make(w))
			complain(w, "no memory to work on");
		if (!(sc->flags & F_FRESH))
			mem_touch(w);
	}
	if (sc->capacity && do_create(w) >= 0 && !do_map(w) &&
	    sc->flags & F_PINNED)
		do_pin(w);
	if (sc->prepare)
		sc->prepare(w);
	check_steps(w, "to begin with");
	w->nr_steps = 0;
}

static inline void world_drop(struct world *w)
{
	unsigned int i;

	if (w->scope.fd >= 0)
		close(w->scope.fd);
	if (w->scope.ring)
		munmap((void *)w->scope.ring, w->scope.ring_bytes);
	if (w->scope.head)
		munmap(w->scope.head, PAGE);
	if (w->base && w->sc->memory == MEM_HALF)
		munmap(w->base, w->len / 2);
	else if (w->base)
		munmap(w->base, w->base_len);
	if (w->dev >= 0)
		close(w->dev);
	if (w->file >= 0)
		close(w->file);
	for (i = 0; i < ARRAY_SIZE(w->extra); i++)
		if (w->extra[i] >= 0)
			close(w->extra[i]);
	if (w->path[0])
		check_file_dropped(w);
}

/* Everything up to the disarming happens as an ordinary user. */
static inline void world_run(struct world *w)
{
	long faults = worker_faults();

	text_put(GATE_OPEN, "0");
	as_user(w->uid);
	world_prepare(w);
	if (w->scope.fd >= 0)
		query(w->scope.fd, &w->before);
	if (!(w->sc->flags & F_REMOTE)) {
		nth_arm(w->nth, w->n);
		w->sc->body(w);
		w->left = nth_disarm(w->nth);
	} else {
		w->sc->body(w);
	}
	if (w->scope.fd >= 0)
		query(w->scope.fd, &w->after);
	as_root();
	settle(w);
	w->fired = !w->left || worker_faults() != faults;
}

static inline void world_check(struct world *w)
{
	check_steps(w, "with the fault");
	if (w->sc->flags & F_FROZEN)
		check_frozen(w);
	check_children(w);
	if (w->sc->verify)
		w->sc->verify(w);
	check_works(w);
	check_recount(w);
}

static inline bool step_noticed(struct sweep *s, const struct step *step,
				unsigned int n)
{
	if (step->want ? step->ret == step->want : step->ret >= 0)
		return false;
	s->efault += step->ret == -EFAULT;
	s->enomem += step->ret == -ENOMEM;
	s->replies += step->ret == -EFAULT && n > 1 && s->kind == FAULT_COPIES;
	return true;
}

static inline void sweep_note(struct sweep *s, const struct world *w)
{
	bool noticed = false;
	unsigned int i;

	s->bad += w->bad;
	if (!w->fired)
		return;
	s->points[s->kind] = w->n;
	s->workers += !!w->left;
	for (i = 0; i < w->nr_steps; i++)
		noticed |= step_noticed(s, &w->steps[i], w->n);
	for (i = 0; i < w->accepted; i++)
		noticed |= w->done[i].outcome == KSCOPE_FAILED;
	s->failed += noticed;
	s->survived += !noticed;
}

/* Return: whether the n-th point was there */
static inline bool sweep_pass(struct sweep *s, int nth, unsigned int n)
{
	bool other = s->sc->flags & F_NEW_USER && n & 1;
	static struct world w;

	memset(&w, 0, sizeof(w));
	w.sc = s->sc;
	w.nth = nth;
	w.n = n;
	w.uid = FIRST_UID + other;
	w.dev = -1;
	w.scope.fd = -1;
	w.file = -1;
	w.extra[0] = -1;
	w.extra[1] = -1;
	world_run(&w);
	world_check(&w);
	world_drop(&w);
	check_nothing_left(&w, &s->holdings);
	sweep_note(s, &w);
	return w.fired;
}

static inline void sweep_judge(struct sweep *s)
{
	const struct scenario *sc = s->sc;
	const char *why = NULL;

	if (!s->points[FAULT_SLABS] && !s->points[FAULT_PAGES])
		why = "no point failed at all";
	if (sc->flags & F_WANT_EFAULT && !s->efault)
		why = "no EFAULT with a good pointer";
	if (sc->flags & F_WANT_ENOMEM && !s->enomem)
		why = "no ENOMEM";
	if (sc->flags & F_WANT_SURVIVED && !s->survived)
		why = "no fault was survived";
	if (sc->flags & F_WANT_WORKER && !s->workers &&
	    number_get(PARAM_DIR "test_faults", -1) >= 0)
		why = "no fault in a worker";
	if (sc->flags & F_WANT_REPLY && !s->replies)
		why = "no reply failed";
	if (!why)
		return;
	s->bad++;
	printf("# %s: %s\n", sc->name, why);
}

static inline void settings_put(const struct sweep *s)
{
	bool spare = s->kind != FAULT_PAGES || s->sc->flags & F_SPARE_PAGES;
	char text[16];

	snprintf(text, sizeof(text), "%u", s->sc->limit);
	text_put(PARAM_DIR "test_limit", text);
	text_put(FAULT_DIR "failslab/ignore-gfp-wait",
		 s->kind == FAULT_SLABS ? "N" : "Y");
	text_put(FAULT_DIR "fail_page_alloc/min-order",
		 s->kind == FAULT_PAGES ? "0" : NO_ORDER);
	text_put(FAULT_DIR "fail_page_alloc/ignore-gfp-highmem",
		 spare ? "Y" : "N");
}

static inline void sweep_kind(struct sweep *s, int nth, enum fault_kind kind)
{
	unsigned int n = 1, clean = 0;

	s->kind = kind;
	settings_put(s);
	while (clean < CLEAN_PASSES && n < MAX_POINTS && s->bad < MAX_BAD) {
		clean = sweep_pass(s, nth, n) ? 0 : clean + 1;
		n += n < DENSE_POINTS || !s->sc->stride ? 1 : s->sc->stride;
	}
	if (n < MAX_POINTS)
		return;
	printf("# %s: no end of points\n", s->sc->name);
	s->bad++;
}

static inline void sweep_print(const struct sweep *s)
{
	unsigned int copies = s->points[FAULT_COPIES];

	printf("# %s: %u points (%u copies, to %u with slabs, to %u with pages), ",
	       s->sc->name,
	       s->points[FAULT_SLABS] + s->points[FAULT_PAGES] - copies, copies,
	       s->points[FAULT_SLABS], s->points[FAULT_PAGES]);
	printf("%u failures seen (%u EFAULT, %u ENOMEM), %u survived, %u in workers\n",
	       s->failed, s->efault, s->enomem, s->survived, s->workers);
	fflush(stdout);
}

/* Return: how many things were wrong */
static inline unsigned int sweep(int nth, const struct scenario *sc)
{
	struct sweep s = { .sc = sc };
	enum fault_kind kind;

	holdings_take(&s.holdings);
	for (kind = 0; kind < NR_FAULT_KINDS; kind++)
		sweep_kind(&s, nth, kind);
	text_put(PARAM_DIR "test_limit", "0");
	sweep_judge(&s);
	sweep_print(&s);
	return s.bad;
}

FIXTURE(fault)
{
	int nth;
};

FIXTURE_SETUP(fault)
{
	self->nth = nth_open();
	ASSERT_LE(0, self->nth);
	ASSERT_EQ(0, set_limit(RLIMIT_MEMLOCK, MEMLOCK_PAGES * PAGE));
}

FIXTURE_TEARDOWN(fault)
{
	EXPECT_EQ(0, memlock_is_free(FIRST_UID));
	EXPECT_EQ(0, memlock_is_free(FIRST_UID + 1));
	close(self->nth);
}

/* A scenario with a list of counts is as many sweeps. */
static inline unsigned int sweep_counts(int nth, const struct scenario *sc)
{
	const unsigned int *count;
	struct scenario one = *sc;
	unsigned int bad = 0;
	char name[80];

	one.name = name;
	for (count = sc->counts; *count; count++) {
		snprintf(name, sizeof(name), "%s, %u", sc->name, *count);
		one.nr = *count;
		bad += sweep(nth, &one);
	}
	return bad;
}

static inline void sweep_test(struct __test_metadata *_metadata, int nth,
			      const struct scenario *sc)
{
	const char *missing = sc->missing ? sc->missing() : NULL;

	if (missing)
		SKIP(return, "%s", missing);
	EXPECT_EQ(0, sc->counts ? sweep_counts(nth, sc) : sweep(nth, sc));
}

#ifndef SWEEP_SECONDS
#define SWEEP_SECONDS 600
#endif

#define SWEEP_TEST(what, ...)                                           \
	static const struct scenario what##_scenario = { .name = #what, \
							 __VA_ARGS__ }; \
	TEST_F_TIMEOUT(fault, what, SWEEP_SECONDS)                      \
	{                                                               \
		sweep_test(_metadata, self->nth, &what##_scenario);     \
	}

/* In place of the harness's own: on most machines there is one reason to skip all of it. */
int main(int argc, char **argv)
{
	const char *missing = faults_set_up();

	if (missing) {
		ksft_print_header();
		ksft_set_plan(1);
		ksft_test_result_skip("%s\n", missing);
		ksft_finished();
	}
	return test_harness_run(argc, argv);
}

#endif /* KSCOPE_FAULT_SWEEP_H */

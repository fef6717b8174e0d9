// SPDX-License-Identifier: LGPL-2.1-or-later
/* Combinators for children that have but one stage. All are pipelines. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/*
 * struct mapping - one call of kscope_map()
 * @held: by slot: completions that wait for their turn, if that is asked for
 * @result: what @map->done has ended the call with, or 0
 */
struct mapping {
	const struct kscope_map *map;
	struct kscope_completion *held;
	int result;
};

static int map_fill(void *arg, __u64 i, unsigned int slot,
		    struct kscope_desc *desc)
{
	const struct mapping *mapping = arg;

	(void)slot;
	return mapping->map->next(mapping->map->arg, i, desc);
}

static int hand_over(struct mapping *mapping, __u64 i,
		     const struct kscope_completion *done)
{
	const struct kscope_map *map = mapping->map;

	mapping->result = map->done ? map->done(map->arg, i, done) :
				      done->status;
	return mapping->result ? -ECANCELED : 0;
}

static int map_done(void *arg, __u64 i, unsigned int slot,
		    const struct kscope_completion *done)
{
	(void)slot;
	return hand_over(arg, i, done);
}

static int map_hold(void *arg, __u64 i, unsigned int slot,
		    const struct kscope_completion *done)
{
	const struct mapping *mapping = arg;

	(void)i;
	mapping->held[slot] = *done;
	return 0;
}

static int map_turn(void *arg, __u64 i, unsigned int slot,
		    struct kscope_desc *desc)
{
	struct mapping *mapping = arg;

	(void)desc;
	return hand_over(mapping, i, &mapping->held[slot]);
}

static const struct kscope_stage as_they_end[] = {
	{ .fill = map_fill, .done = map_done },
};

static const struct kscope_stage in_order[] = {
	{ .fill = map_fill, .done = map_hold },
	{ .fill = map_turn, .in_order = true },
};

int kscope_map(struct kscope_scope *scope, const struct kscope_map *map)
{
	struct mapping mapping = { .map = map };
	struct kscope_pipeline pipeline = {
		.stages = as_they_end,
		.nr_stages = 1,
		.slots = map->bound,
		.arg = &mapping,
	};
	int ret;

	if (map->flags & ~KSCOPE_MAP_IN_ORDER)
		return -EINVAL;
	if (map->flags & KSCOPE_MAP_IN_ORDER) {
		mapping.held = calloc(scope->entries, sizeof(*mapping.held));
		if (!mapping.held)
			return -ENOMEM;
		pipeline.stages = in_order;
		pipeline.nr_stages = 2;
	}
	ret = kscope_pipeline(scope, &pipeline, NULL);
	free(mapping.held);
	return mapping.result ? mapping.result : ret;
}

/* ---- Children that are there already ---- */

struct array {
	const struct kscope_desc *descs;
	unsigned int nr;
	kscope_done_fn *done;
	void *arg;
};

static int array_next(void *arg, __u64 i, struct kscope_desc *desc)
{
	const struct array *array = arg;

	if (i >= array->nr)
		return 0;
	*desc = array->descs[i];
	return 1;
}

static int array_done(void *arg, __u64 i, const struct kscope_completion *done)
{
	const struct array *array = arg;

	return array->done(array->arg, i, done);
}

int kscope_for_each(struct kscope_scope *scope, const struct kscope_desc *descs,
		    unsigned int nr, unsigned int bound, kscope_done_fn *done,
		    void *arg)
{
	struct array array = { descs, nr, done, arg };
	const struct kscope_map map = {
		.next = array_next,
		.done = done ? array_done : NULL,
		.arg = &array,
		.bound = bound,
	};

	return kscope_map(scope, &map);
}

/* @failed: status of the first that failed. @cancelled: likewise of those that were */
struct running {
	struct kscope_completion *done;
	int failed;
	int cancelled;
};

static int run_done(void *arg, __u64 i, const struct kscope_completion *done)
{
	struct running *running = arg;

	if (running->done)
		running->done[i] = *done;
	if (!running->failed && done->outcome == KSCOPE_FAILED)
		running->failed = done->status;
	if (!running->cancelled)
		running->cancelled = done->status;
	return 0;
}

static void never_started(const struct kscope_desc *descs, unsigned int nr,
			  struct kscope_completion *done)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		done[i] = (struct kscope_completion){
			.user_data = descs[i].user_data,
			.status = -ECANCELED,
			.outcome = KSCOPE_NEVER_STARTED,
		};
}

int kscope_run(struct kscope_scope *scope, const struct kscope_desc *descs,
	       unsigned int nr, struct kscope_completion *done)
{
	struct running running = { .done = done };
	int ret;

	if (done)
		never_started(descs, nr, done);
	ret = kscope_for_each(scope, descs, nr, 0, run_done, &running);
	if (running.failed)
		return running.failed;
	return ret ? ret : running.cancelled;
}

struct racing {
	struct kscope_completion *done;
	__u64 winner;
	int failed;
	int cancelled;
};

static int race_done(void *arg, __u64 i, const struct kscope_completion *done)
{
	struct racing *racing = arg;

	if (done->status) {
		if (!racing->failed && done->outcome == KSCOPE_FAILED)
			racing->failed = done->status;
		racing->cancelled = -ECANCELED;
		return 0;
	}
	racing->winner = i;
	if (racing->done)
		*racing->done = *done;
	return 1;
}

int kscope_race(struct kscope_scope *scope, const struct kscope_desc *descs,
		unsigned int nr, struct kscope_completion *done)
{
	struct racing racing = { .done = done };
	int ret;

	if (!nr)
		return -EINVAL;
	ret = kscope_for_each(scope, descs, nr, 0, race_done, &racing);
	if (ret == 1)
		return (int)racing.winner;
	if (racing.failed)
		return racing.failed;
	return ret ? ret : racing.cancelled;
}

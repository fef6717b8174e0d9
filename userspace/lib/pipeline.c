// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The pipeline, on which the other combinators are built.
 *
 * An item has a slot from its first stage to its end, and at most one child at a time. What is
 * to be done for it next is found out by arrive(), from a list of slots that have something to
 * do; so nothing here calls itself, however many stages an item skips.
 *
 * At a stage that is in order there is a gate: items pass one at a time, in the order of their
 * numbers. The item that is to pass next has a slot already, or gets the next one that becomes
 * idle, as those after it cannot leave before it has passed. So fewer than slots wait at a
 * gate, and their numbers are different modulo that.
 *
 * Children of an item carry its slot as user_data; what the program wants to find there is put
 * back before a callback sees it.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Of a stage that is in order; @waiting: by item modulo slots, 0 or a slot + 1 */
struct gate {
	__u64 next;
	bool taken;
	unsigned int *waiting;
};

struct flight {
	__u64 item;
	__u64 user_data;
	__u64 handle;
	unsigned int stage;
	bool inside; /* of its stage: past the gate */
	bool again; /* has had a child there */
	bool flying; /* its child is accepted, and not read */
};

struct pipe {
	struct kscope_scope *scope;
	const struct kscope_stage *stages;
	unsigned int nr_stages;
	void *arg;

	unsigned int slots;
	struct flight *flights;
	unsigned int *idle;
	unsigned int nr_idle;
	unsigned int *todo;
	unsigned int nr_todo;
	struct gate *gates;

	struct kscope_desc *descs;
	__u64 *handles;
	unsigned int nr_pending; /* descs that are not accepted yet */
	unsigned int nr_flying;

	__u64 nr_begun;
	__u64 nr_through;
	bool dry;
	bool mute; /* a callback has ended it: none is called any more */
	int error;
};

static void end_by_callback(struct pipe *pipe, int error)
{
	pipe->error = error;
	pipe->mute = true;
}

/* ---- One item ---- */

static bool gate_enter(struct pipe *pipe, unsigned int slot)
{
	const struct flight *flight = &pipe->flights[slot];
	struct gate *gate = &pipe->gates[flight->stage];

	if (!gate->waiting)
		return true;
	if (gate->taken || gate->next != flight->item) {
		gate->waiting[flight->item % pipe->slots] = slot + 1;
		return false;
	}
	gate->taken = true;
	return true;
}

static void gate_leave(struct pipe *pipe, unsigned int stage)
{
	struct gate *gate = &pipe->gates[stage];
	unsigned int *waiting;

	if (!gate->waiting)
		return;
	gate->taken = false;
	gate->next++;
	waiting = &gate->waiting[gate->next % pipe->slots];
	if (*waiting)
		pipe->todo[pipe->nr_todo++] = *waiting - 1;
	*waiting = 0;
}

static void stage_leave(struct pipe *pipe, struct flight *flight)
{
	gate_leave(pipe, flight->stage);
	flight->stage++;
	flight->inside = false;
	flight->again = false;
}

static void pend(struct pipe *pipe, unsigned int slot)
{
	struct kscope_desc *desc = &pipe->descs[pipe->nr_pending++];

	pipe->flights[slot].user_data = desc->user_data;
	desc->user_data = slot;
}

static int fill(struct pipe *pipe, unsigned int slot)
{
	const struct flight *flight = &pipe->flights[slot];
	struct kscope_desc *desc = &pipe->descs[pipe->nr_pending];

	kscope_prep_nop(desc);
	return pipe->stages[flight->stage].fill(pipe->arg, flight->item, slot,
						desc);
}

/* Return: is there an item, and has it gone on to the next stage */
static bool skip(struct pipe *pipe, struct flight *flight)
{
	if (!flight->stage && !flight->again) {
		pipe->dry = true;
		pipe->nr_begun--;
		return false;
	}
	stage_leave(pipe, flight);
	return true;
}

/* Let an item go on until it has a child, waits at a gate, or is through. */
static void arrive(struct pipe *pipe, unsigned int slot)
{
	struct flight *flight = &pipe->flights[slot];
	bool there = true;
	int ret;

	while (there && flight->stage < pipe->nr_stages) {
		if (!flight->inside && !gate_enter(pipe, slot))
			return;
		flight->inside = true;
		ret = fill(pipe, slot);
		if (ret < 0)
			end_by_callback(pipe, ret);
		else if (ret > 0)
			pend(pipe, slot);
		if (ret)
			return;
		there = skip(pipe, flight);
	}
	pipe->nr_through += there;
	pipe->idle[pipe->nr_idle++] = slot;
}

static void begin(struct pipe *pipe)
{
	unsigned int slot = pipe->idle[--pipe->nr_idle];

	pipe->flights[slot] = (struct flight){ .item = pipe->nr_begun++ };
	arrive(pipe, slot);
}

static void advance(struct pipe *pipe)
{
	while (!pipe->error) {
		if (pipe->nr_todo)
			arrive(pipe, pipe->todo[--pipe->nr_todo]);
		else if (pipe->nr_idle && !pipe->dry)
			begin(pipe);
		else
			return;
	}
}

/* ---- Children ---- */

static void drop_pending(struct pipe *pipe, unsigned int nr)
{
	pipe->nr_pending -= nr;
	memmove(pipe->descs, pipe->descs + nr,
		pipe->nr_pending * sizeof(*pipe->descs));
}

static void accepted(struct pipe *pipe, unsigned int nr)
{
	struct flight *flight;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		flight = &pipe->flights[pipe->descs[i].user_data];
		flight->handle = pipe->handles[i];
		flight->flying = true;
	}
	pipe->nr_flying += nr;
	drop_pending(pipe, nr);
}

/* What is in the way of a child may be those that fly: then it is tried again after one of them. */
static bool may_wait(const struct pipe *pipe, int error)
{
	return error == -EINTR ||
	       (pipe->nr_flying && (error == -EBUSY || error == -EAGAIN));
}

/* Wait in the same call only if none can be refused behind those that are accepted. */
static int spawn(struct pipe *pipe)
{
	return kscope_spawn_wait(pipe->scope, pipe->descs, pipe->nr_pending,
				 pipe->handles,
				 pipe->nr_pending == 1 && !pipe->nr_todo, 0);
}

/* What a callback has said of the item in a slot */
static void proceed(struct pipe *pipe, unsigned int slot, int ret)
{
	struct flight *flight = &pipe->flights[slot];

	flight->again = true;
	if (ret < 0)
		end_by_callback(pipe, ret);
	else if (!ret)
		stage_leave(pipe, flight);
	pipe->todo[pipe->nr_todo++] = slot;
}

/* The first that is pending is refused. Return: does its stage know what to do */
static bool refused(struct pipe *pipe, int error)
{
	unsigned int slot = (unsigned int)pipe->descs[0].user_data;
	const struct flight *flight = &pipe->flights[slot];
	const struct kscope_stage *stage = &pipe->stages[flight->stage];

	if (!stage->refused || error == -ECANCELED || error == -ESHUTDOWN)
		return false;
	drop_pending(pipe, 1);
	proceed(pipe, slot,
		stage->refused(pipe->arg, flight->item, slot, error));
	return true;
}

static void launch(struct pipe *pipe)
{
	int ret = 1;

	while (pipe->nr_pending && !pipe->error) {
		ret = spawn(pipe);
		if (ret > 0)
			accepted(pipe, (unsigned int)ret);
		else if (may_wait(pipe, ret))
			return;
		else if (!refused(pipe, ret))
			pipe->error = ret;
	}
}

static void await(struct pipe *pipe)
{
	int ret;

	if (pipe->error || pipe->nr_todo || !pipe->nr_flying)
		return;
	ret = KSCOPE_RETRY(kscope_wait(pipe->scope, 1, 0));
	if (ret <= 0)
		pipe->error = ret ? ret : -EBUSY; /* somebody else reads */
}

static int judge(const struct pipe *pipe, unsigned int slot,
		 const struct kscope_completion *done)
{
	const struct flight *flight = &pipe->flights[slot];
	const struct kscope_stage *stage = &pipe->stages[flight->stage];

	if (!stage->done)
		return done->status;
	return stage->done(pipe->arg, flight->item, slot, done);
}

/* Whose completion is it? Return: NULL if somebody else works here. */
static struct flight *flight_of(struct pipe *pipe,
				struct kscope_completion *done)
{
	struct flight *flight;

	if (done->user_data >= pipe->slots)
		return NULL;
	flight = &pipe->flights[done->user_data];
	if (!flight->flying || flight->handle != done->child)
		return NULL;
	flight->flying = false;
	pipe->nr_flying--;
	done->user_data = flight->user_data;
	return flight;
}

static void landed(struct pipe *pipe, struct kscope_completion *done)
{
	struct flight *flight = flight_of(pipe, done);
	unsigned int slot;

	if (!flight) {
		pipe->error = -EBUSY;
		return;
	}
	slot = (unsigned int)(flight - pipe->flights);
	proceed(pipe, slot, judge(pipe, slot, done));
}

static void reap(struct pipe *pipe)
{
	struct kscope_completion done;

	while (!pipe->error && kscope_next(pipe->scope, &done))
		landed(pipe, &done);
}

static void cancel_all(struct pipe *pipe)
{
	unsigned int slot;

	for (slot = 0; slot < pipe->slots; slot++)
		if (pipe->flights[slot].flying)
			kscope_cancel_child(pipe->scope,
					    pipe->flights[slot].handle, NULL);
}

/* End what flies. Whatever happens, none of it is left. */
static void land(struct pipe *pipe)
{
	struct kscope_completion done;
	struct flight *flight;
	unsigned int slot;

	if (!pipe->nr_flying)
		return;
	cancel_all(pipe);
	KSCOPE_RETRY(kscope_join(pipe->scope, 0, NULL));
	while (kscope_next(pipe->scope, &done)) {
		flight = flight_of(pipe, &done);
		if (!flight || pipe->mute)
			continue;
		slot = (unsigned int)(flight - pipe->flights);
		pipe->mute = judge(pipe, slot, &done) < 0;
	}
}

static void run(struct pipe *pipe)
{
	for (;;) {
		advance(pipe);
		if (pipe->error || !(pipe->nr_pending + pipe->nr_flying))
			break;
		launch(pipe);
		await(pipe);
		reap(pipe);
	}
	land(pipe);
}

/* ---- The call ---- */

static int gates_make(struct pipe *pipe)
{
	unsigned int i;

	pipe->gates = calloc(pipe->nr_stages, sizeof(*pipe->gates));
	if (!pipe->gates)
		return -ENOMEM;
	for (i = 0; i < pipe->nr_stages; i++) {
		if (!pipe->stages[i].in_order)
			continue;
		pipe->gates[i].waiting = calloc(pipe->slots, sizeof(int));
		if (!pipe->gates[i].waiting)
			return -ENOMEM;
	}
	return 0;
}

static int pipe_make(struct pipe *pipe)
{
	unsigned int i;

	pipe->flights = calloc(pipe->slots, sizeof(*pipe->flights));
	pipe->idle = calloc(pipe->slots, sizeof(*pipe->idle));
	/* A slot is there once, and one that waited at a gate besides. */
	pipe->todo = calloc(pipe->slots, sizeof(*pipe->todo));
	pipe->descs = calloc(pipe->slots, sizeof(*pipe->descs));
	pipe->handles = calloc(pipe->slots, sizeof(*pipe->handles));
	if (!pipe->flights || !pipe->idle || !pipe->todo || !pipe->descs ||
	    !pipe->handles)
		return -ENOMEM;
	for (i = pipe->slots; i--;)
		pipe->idle[pipe->nr_idle++] = i;
	return gates_make(pipe);
}

static void pipe_free(struct pipe *pipe)
{
	unsigned int i;

	for (i = 0; pipe->gates && i < pipe->nr_stages; i++)
		free(pipe->gates[i].waiting);
	free(pipe->gates);
	free(pipe->handles);
	free(pipe->descs);
	free(pipe->todo);
	free(pipe->idle);
	free(pipe->flights);
}

/* Is the scope one that nobody else works in? */
static int scope_is_free(const struct kscope_scope *scope)
{
	struct kscope_query query;
	int ret = kscope_query(scope, &query);

	if (ret)
		return ret;
	return query.outstanding || kscope_ready(scope) ? -EBUSY : 0;
}

int kscope_pipeline(struct kscope_scope *scope,
		    const struct kscope_pipeline *pipeline, __u64 *nr_through)
{
	struct pipe pipe = {
		.scope = scope,
		.stages = pipeline->stages,
		.nr_stages = pipeline->nr_stages,
		.arg = pipeline->arg,
		.slots = pipeline->slots,
	};
	int ret = scope_is_free(scope);

	if (nr_through)
		*nr_through = 0;
	if (!pipe.nr_stages)
		return -EINVAL;
	if (ret)
		return ret;
	if (!pipe.slots || pipe.slots > scope->entries)
		pipe.slots = scope->entries;
	ret = pipe_make(&pipe);
	if (!ret) {
		run(&pipe);
		ret = pipe.error;
	}
	pipe_free(&pipe);
	if (nr_through)
		*nr_through = pipe.nr_through;
	return ret;
}

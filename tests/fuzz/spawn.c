// SPDX-License-Identifier: GPL-2.0
/*
 * SPAWN, and the list of descriptors that it takes: each thread has its own, "desc" adds
 * to it, "spawn" sends it.
 */
#include <errno.h>
#include <stdlib.h>

#include "fuzz.h"
#include "ioctls.h"
#include "run.h"

static __u16 op_value(const struct arg *arg)
{
	__u32 op = value_of(arg);

	return arg->form == FORM_WORD ? op_number(op) : op;
}

long run_desc(struct ctx *ctx, const struct arg *args)
{
	enum { OP, OP_FLAGS, FLAGS, USER, BUF, BUF2, OFF, LEN, ARG, HASH };
	enum { TILL = HASH + 1, AFTER, TIMES };
	struct kscope_desc desc = {
		.op = op_value(&args[OP]),
		.flags = value_of(&args[FLAGS]),
		.op_flags = value_of(&args[OP_FLAGS]),
		.user_data = value_of(&args[USER]),
		.len = value_of(&args[LEN]),
		.buf = value_of(&args[BUF]),
		.buf2 = value_of(&args[BUF2]),
		.off = value_of(&args[OFF]),
		.off2 = value_of(&args[ARG]),
		.hash = value_of(&args[HASH]),
		.deadline_ns = value_of(&args[TILL]),
		.after = value_of(&args[AFTER]),
	};
	__u64 times = value_of(&args[TIMES]);

	if (times > 64)
		times = 64;
	while (times-- && ctx->nr_descs < MAX_DESCS)
		ctx->descs[ctx->nr_descs++] = desc;
	return 0;
}

struct spawn_call {
	__u32 nr;
	struct place descs, handles;
	bool knows_descs;
};

static void remember(struct ctx *ctx, struct obj *obj, __u64 handle, __u32 i)
{
	__u32 nr = __atomic_fetch_add(&obj->nr_known, 1, __ATOMIC_RELAXED);

	if (nr < MAX_LOG)
		obj->known[nr] = (struct known){
			.handle = handle,
			.user_data = ctx->descs[i].user_data,
			.len = ctx->descs[i].len,
		};
}

/* Children were accepted: note it for the oracle, and their handles for the program. */
static void accepted(struct ctx *ctx, const struct spawn_call *call, __u32 nr,
		     __u32 to)
{
	struct obj *obj = ctx->slot.obj;
	const __u64 *handles = (void *)call->handles.view;
	__u32 i;

	if (obj)
		__atomic_add_fetch(&obj->accepted, nr, __ATOMIC_RELAXED);
	for (i = 0; handles && i < nr && i < MAX_DESCS; i++) {
		state.children[(to + i) % NR_CHILDREN] = handles[i];
		if (obj && call->knows_descs && i < ctx->nr_descs)
			remember(ctx, obj, handles[i], i);
	}
}

static struct spawn_call prepare(struct ctx *ctx, const struct arg *nr,
				 const struct arg *handles,
				 const struct arg *descs)
{
	static const __u64 no_handles[MAX_DESCS];
	__u32 want = value_of(nr), there;
	struct spawn_call call;

	call.nr = want ?: ctx->nr_descs;
	there = call.nr < MAX_DESCS ? call.nr : MAX_DESCS;
	call.descs = place_put(ctx, ROOM_DESCS, value_of(descs), ctx->descs,
			       there * sizeof(*ctx->descs));
	call.handles = place_put(ctx, ROOM_HANDLES, value_of(handles),
				 no_handles, there * sizeof(*no_handles));
	call.knows_descs = call.descs.view;
	return call;
}

/* The arrays may only be written up to the number of children, and the first not at all. */
static void check_arrays(struct ctx *ctx, const struct spawn_call *call,
			 long ret)
{
	__u32 nr = call->nr < MAX_DESCS ? call->nr : MAX_DESCS;
	const struct place *handles = &call->handles, *descs = &call->descs;

	if (ret > (long)call->nr)
		finding("SPAWN of %u children says %ld", call->nr, ret);
	/* with more than there are descriptors, what lies behind is read as one */
	if (call->nr > MAX_DESCS)
		return;
	if (handles->view && !place_is_guarded(handles, nr * sizeof(__u64)))
		finding("SPAWN wrote outside of the array of handles");
	if (descs->view &&
	    (!place_is_guarded(descs, nr * sizeof(*ctx->descs)) ||
	     memcmp(descs->view, ctx->descs, nr * sizeof(*ctx->descs))))
		finding("SPAWN wrote to its descriptors");
}

long run_spawn(struct ctx *ctx, const struct arg *args)
{
	enum {
		FD,
		SIZE,
		AT,
		NR,
		MIN,
		DEADLINE,
		FLAGS,
		TO,
		HANDLES,
		DESCS,
		KEEP,
		BLOCKERS,
		NR_BLOCKERS
	};
	struct spawn_call call =
		prepare(ctx, &args[NR], &args[HANDLES], &args[DESCS]);
	struct place place = blockers_put(ctx, &args[BLOCKERS]);
	struct kscope_spawn spawn = {
		.flags = value_of(&args[FLAGS]),
		.descs = (uintptr_t)call.descs.addr,
		.handles = (uintptr_t)call.handles.addr,
		.nr = call.nr,
		.min_complete = value_of(&args[MIN]),
		.deadline_ns = value_of(&args[DEADLINE]),
		.blockers = (uintptr_t)place.addr,
		.nr_blockers = value_of(&args[NR_BLOCKERS]),
	};
	long ret =
		ioctl_make(ctx, args, KSCOPE_IOC_SPAWN, &spawn, sizeof(spawn));

	if (ret > 0)
		accepted(ctx, &call, ret, value_of(&args[TO]));
	if (!ctx->in_fork && args[AT].index <= AT_EDGE) {
		check_arrays(ctx, &call, ret);
		blockers_check(&place, spawn.nr_blockers, ret);
	}
	if (!value_of(&args[KEEP]))
		ctx->nr_descs = 0;
	return ret;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Every point fails once: children that come after others, that have a deadline, or that are
 * shielded. The first of these in a scope needs memory: so little here that there is no other way
 * to get it.
 */
#include "fault_sweep.h"

static void body_deadline(struct world *w)
{
	struct kscope_desc desc = desc_sleep(0, 1);

	desc.deadline_ns = far_future();
	do_spawn_same(w, desc, 4);
	do_join(w);
}

/* The last one of the call is the first that needs memory: those before it are accepted anyway. */
static void body_drain(struct world *w)
{
	unsigned int i;
	int ret;

	for (i = 0; i < 4; i++)
		w->descs[i] = desc_sleep(0, 1);
	w->descs[4] = desc_nop(0);
	w->descs[4].flags = KSCOPE_CHILD_DRAIN;
	ret = do_spawn_want(w, 5, 0);
	if (ret > 0 && ret < 5)
		do_spawn(w, 5 - ret);
	do_join(w);
}

/* Enough of them to need room of their own; each comes after the one before it. */
static void spawn_chain(struct world *w, struct kscope_desc first)
{
	const unsigned int nr = 20;
	unsigned int i;
	int ret;

	for (i = 0; i < nr; i++) {
		w->descs[i] = i ? desc_nop(i) : first;
		w->descs[i].user_data = i;
		w->descs[i].after = i ? 1 : 0;
	}
	/* so that it is the first of the call that needs memory */
	w->descs[0].deadline_ns = far_future();
	ret = spawn_linked(w->scope.fd, w->descs, w->handles, nr);
	if (ret > 0)
		w->accepted += ret;
	step(w, CALL_SPAWN, nr, ret);
}

static void body_chain(struct world *w)
{
	spawn_chain(w, desc_sleep(0, 1));
	do_join(w);
}

static void body_chain_lost(struct world *w)
{
	spawn_chain(w, desc_sleep(0, far_future()));
	if (!w->accepted)
		return;
	if (!do_cancel(w, KSCOPE_CANCEL_CHILD, w->handles[0], 0))
		do_join(w);
}

static void body_shielded(struct world *w)
{
	struct kscope_desc desc = desc_sleep(0, 1);

	desc.flags = KSCOPE_CHILD_SHIELDED;
	do_spawn_same(w, desc, 4);
	do_cancel(w, KSCOPE_CANCEL_SCOPE, 0, 0);
	do_join(w);
}

#define TIE_TEST(name_, flags_, body_)                                       \
	SWEEP_TEST(name_, .capacity = 32, .flags = F_WANT_EFAULT | (flags_), \
		   .body = (body_))

TIE_TEST(deadline, F_WANT_ENOMEM, body_deadline)
TIE_TEST(drain, 0, body_drain)
TIE_TEST(chain, 0, body_chain)
TIE_TEST(chain_lost, 0, body_chain_lost)
TIE_TEST(shielded, 0, body_shielded)

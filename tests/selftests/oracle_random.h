/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What oracle_test asks for at random, and what the model (oracle_model.h) says of a child that is
 * asked for.
 */
#ifndef KSCOPE_ORACLE_RANDOM_H
#define KSCOPE_ORACLE_RANDOM_H

#include "oracle_model.h"

#define CAPACITY 64U
#define BYTES 64U
#define GROUPS 4U /* different user_data: some share it */

struct oracle {
	struct world w;
	char *mem;
	int dev, sealed, gate;
	unsigned int seed, step;
	const char *call;
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	__u64 stale; /* handle of a child that has ended */
};

static inline unsigned int dice(unsigned int limit)
{
	return rand() % limit;
}

static inline bool one_in(unsigned int nr)
{
	return !dice(nr);
}

static inline int some_scope(struct oracle *self)
{
	unsigned int s = dice(SCOPES), i;

	for (i = 0; i < SCOPES; i++, s = (s + 1) % SCOPES)
		if (self->w.scopes[s].used)
			return s;
	return -1;
}

static inline struct child *some_child(struct oracle *self, int s)
{
	unsigned int from = dice(LIVE), i;

	for (i = 0; i < LIVE; i++) {
		struct child *c = &self->w.children[(from + i) % LIVE];

		if (c->used && c->scope == s)
			return c;
	}
	return NULL;
}

static inline struct child *free_child(struct oracle *self)
{
	unsigned int i;

	for (i = 0; i < LIVE; i++)
		if (!self->w.children[i].used)
			return &self->w.children[i];
	return NULL;
}

static inline struct loan *free_loan(struct oracle *self)
{
	unsigned int i;

	for (i = 0; i < LOANS; i++)
		if (!self->w.loans[i].used)
			return &self->w.loans[i];
	return NULL;
}

/* A random range of one of the buffers of a scope; of no bytes if there is none. */
static inline struct lease some_lease(struct oracle *self, int s)
{
	struct lease lease = { .scope = s, .buf = one_in(3) };
	const struct buf *buf = &self->w.scopes[s].bufs[lease.buf];

	if (!buf->handle) {
		lease.buf = 0;
		buf = &self->w.scopes[s].bufs[0];
	}
	if (!buf->handle)
		return lease;
	lease.exclusive = dice(2);
	lease.off = dice(buf->len);
	lease.len = 1 + dice(buf->len - lease.off);
	if (one_in(8)) {
		lease.off = 0;
		lease.len = buf->len;
	}
	return lease;
}

static inline __u32 handle_of(const struct oracle *self,
			      const struct lease *lease)
{
	return self->w.scopes[lease->scope].bufs[lease->buf].handle;
}

static inline bool is_read_only(const struct oracle *self,
				const struct lease *lease)
{
	return lease->buf == 1 &&
	       !self->w.scopes[lease->scope].bufs[1].of.exclusive;
}

/* One at a time, or a few: children come in the order of spawning, and nothing else. */
static inline bool is_plain(const struct mscope *s)
{
	return s->kind == KSCOPE_KIND_ORDERED || s->max_running;
}

/*
 * A child whose end is decided by what the model knows. If it is not the @last of its call, it does
 * not end by itself; and neither does it where an end decides over those of the same call.
 */
static inline struct child some_desc(struct oracle *self, int s, bool last)
{
	const struct mscope *scope = &self->w.scopes[s];
	struct child c = { .used = true, .scope = s, .seq = ++self->w.seq };

	c.user_data = dice(GROUPS);
	c.kind = last ? dice(NR_KINDS) : SLEEP + dice(3);
	if (scope->policy == KSCOPE_POLICY_FIRST_SUCCESS && c.kind > SLEEP)
		c.kind = SLEEP;
	if (scope->policy == KSCOPE_POLICY_FAIL_FAST && c.kind == DEAF)
		c.kind = HEEDS; /* nothing would show when it is told */
	if (c.kind != NOP && c.kind != SLEEP)
		c.lease = some_lease(self, s);
	if (!c.lease.len && c.kind != SLEEP)
		c.kind = NOP;
	if (c.kind == FILL && is_read_only(self, &c.lease))
		c.kind = SUM;
	c.lease.exclusive = c.kind == FILL;
	if (one_in(6))
		c.flags |= KSCOPE_CHILD_SHIELDED;
	if (is_plain(scope))
		return c;
	if (scope->policy == KSCOPE_POLICY_FAIL_FAST && c.kind == FAIL)
		return c;
	if (scope->policy == KSCOPE_POLICY_FIRST_SUCCESS && c.kind != SLEEP)
		return c;
	if (one_in(3))
		c.after = some_child(self, s);
	if (one_in(8))
		c.flags |= KSCOPE_CHILD_DRAIN;
	if (c.lease.len && one_in(2))
		c.flags |= KSCOPE_CHILD_WAIT;
	return c;
}

static inline struct kscope_desc desc_of(const struct oracle *self,
					 const struct child *c)
{
	struct kscope_desc desc = { .user_data = c->user_data,
				    .flags = c->flags };

	if (c->after)
		desc.after = c->after->handle;
	if (c->lease.len) {
		desc.buf = handle_of(self, &c->lease);
		desc.off = c->lease.off;
		desc.len = c->lease.len;
	}
	switch (c->kind) {
	case FILL:
		desc.op = KSCOPE_OP_FILL;
		break;
	case SUM:
		desc.op = KSCOPE_OP_CRC32C;
		break;
	case FAIL:
		desc.op = KSCOPE_OP_WRITE;
		desc.fd = self->sealed;
		break;
	case SLEEP:
		desc.op = KSCOPE_OP_SLEEP;
		desc.until_ns = far_future();
		break;
	case HEEDS:
	case DEAF:
		desc.op = self->gate;
		desc.op_flags = c->kind == HEEDS ? GATE_HEEDS : 0;
		break;
	default:
		break;
	}
	return desc;
}

/* Why a child is refused, or 0; if it is in somebody's way and waits, it stands in line. */
static inline int refusal(struct oracle *self, struct child *c,
			  unsigned int *blockers)
{
	struct mscope *s = &self->w.scopes[c->scope];

	*blockers = 0;
	if (s->state != KSCOPE_SCOPE_OPEN)
		return s->state == KSCOPE_SCOPE_RELEASED ? -ESHUTDOWN :
							   -ECANCELED;
	if (c->flags & KSCOPE_CHILD_DRAIN && s->nr_drains == MAX_DRAINS)
		return -EAGAIN;
	if (c->lease.len)
		*blockers = in_the_way(&self->w, &c->lease, c->seq,
				       s->kind != KSCOPE_KIND_ORDERED);
	if (!*blockers)
		return 0;
	c->in_line = c->flags & KSCOPE_CHILD_WAIT;
	return c->in_line ? 0 : -EBUSY;
}

static inline unsigned int at_most_named(unsigned int nr)
{
	return nr < KSCOPE_MAX_BLOCKERS ? nr : KSCOPE_MAX_BLOCKERS;
}

static inline void accept_child(struct oracle *self, struct child *c)
{
	struct mscope *s = &self->w.scopes[c->scope];

	s->spawned++;
	if (!(c->flags & KSCOPE_CHILD_DRAIN))
		return;
	c->drains = true;
	s->drains[s->nr_drains++] = c->seq;
}

#endif /* KSCOPE_ORACLE_RANDOM_H */

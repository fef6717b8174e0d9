// SPDX-License-Identifier: GPL-2.0
/*
 * Random calls on trees of scopes, beside a reference model (oracle_model.h) that says what each
 * of them has to answer, who ends by it, how and why, and what all counts are then.
 */
#include <sched.h>

#include "kselftest_harness.h"
#include "oracle_random.h"

#define STEPS 300000U
#define ROUND 3000U /* steps before the world is made anew */
#define BATCH 4U

FIXTURE(oracle)
{
	struct oracle o;
};

FIXTURE_SETUP(oracle)
{
	hooks_quiet();
	ASSERT_EQ(0, gate_set(false));
	self->o.gate = gate_op();
	ASSERT_LT(0, self->o.gate);
	self->o.dev = dev_open();
	ASSERT_LE(0, self->o.dev);
	self->o.mem = map_anon(SCOPES * PAGE);
	ASSERT_NE(MAP_FAILED, self->o.mem);
	self->o.sealed =
		memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	ASSERT_LE(0, self->o.sealed);
	ASSERT_EQ(0, fcntl(self->o.sealed, F_ADD_SEALS, F_SEAL_WRITE));
}

/* End all, whatever it is; also those that no cancel of their scope reaches. */
static void end_world(struct oracle *self)
{
	struct kscope_cancel arg;
	struct mscope *s;
	unsigned int i;

	gate_set(true);
	for (s = self->w.scopes; s < self->w.scopes + SCOPES; s++)
		for (i = 0; i < GROUPS && s->used; i++)
			cancel_arg(s->ring.fd, KSCOPE_CANCEL_USER_DATA, i,
				   &arg);
	for (s = self->w.scopes; s < self->w.scopes + SCOPES; s++)
		if (s->used)
			scope_close(&s->ring);
	gate_set(false);
	memset(&self->w, 0, sizeof(self->w));
}

FIXTURE_TEARDOWN(oracle)
{
	end_world(&self->o);
	hooks_quiet();
	close(self->o.sealed);
	close(self->o.dev);
	munmap(self->o.mem, SCOPES * PAGE);
}

/* The kernel's answer was not the model's: say which call that was. */
#define SAYS(want, got)                                                    \
	do {                                                               \
		long long want_ = (want), got_ = (got);                    \
		ASSERT_EQ(want_, got_)                                     \
		TH_LOG("seed %u, step %u, %s: %s", self->seed, self->step, \
		       self->call, #got);                                  \
	} while (0)

static void do_spawn(struct __test_metadata *_metadata, struct oracle *self,
		     int s)
{
	const struct mscope *scope = &self->w.scopes[s];
	unsigned int nr = one_in(4) ? 1 + dice(BATCH) : 1, i, accepted = 0;
	struct kscope_desc descs[BATCH];
	struct child *children[BATCH], *c;
	unsigned int blockers = 0;
	__u64 handles[BATCH];
	int want = 0, ret;
	struct kscope_spawn arg = { .size = sizeof(arg),
				    .descs = to_u64(descs),
				    .handles = to_u64(handles),
				    .blockers = to_u64(self->blockers),
				    .nr_blockers = KSCOPE_MAX_BLOCKERS };

	for (i = 0; i < nr && (c = free_child(self)); i++) {
		*c = some_desc(self, s,
			       i == nr - 1 &&
				       (!i || scope->policy ==
						      KSCOPE_POLICY_COLLECT));
		if (c->after && !c->after->handle) /* of this call */
			c->after = NULL;
		descs[i] = desc_of(self, c);
		children[i] = c;
		want = want ?: refusal(self, c, &blockers);
		if (want) {
			c->ended = true; /* in nobody's way */
			continue;
		}
		accept_child(self, c);
		accepted++;
	}
	arg.nr = i;
	ret = xioctl(self->w.scopes[s].ring.fd, KSCOPE_IOC_SPAWN, &arg);
	if (accepted || !i)
		SAYS(accepted, ret);
	else
		SAYS(want, ret);
	if (!accepted && want == -EBUSY && i == 1)
		SAYS(at_most_named(blockers), arg.nr_blockers);
	while (i--) {
		children[i]->handle = handles[i];
		if (i >= accepted)
			children[i]->used = false;
	}
}

/* Children that name each other by their distance */
static void do_linked(struct __test_metadata *_metadata, struct oracle *self,
		      int s)
{
	struct mscope *scope = &self->w.scopes[s];
	struct kscope_desc descs[BATCH];
	struct child *children[BATCH], *c;
	__u64 handles[BATCH];
	unsigned int nr, i, distance;

	if (is_plain(scope) || scope->policy != KSCOPE_POLICY_COLLECT)
		return;
	for (nr = 0; nr < BATCH && (c = free_child(self)); nr++) {
		*c = (struct child){ .used = true,
				     .scope = s,
				     .seq = ++self->w.seq,
				     .user_data = dice(GROUPS),
				     .kind = nr ? SLEEP * dice(2) : HEEDS };
		if (!nr)
			c->lease = some_lease(self, s);
		if (!nr && !c->lease.len)
			c->kind = SLEEP;
		c->lease.exclusive = false;
		distance = nr ? 1 + dice(nr) : 0;
		descs[nr] = desc_of(self, c);
		descs[nr].after = distance;
		c->after = distance ? children[nr - distance] : NULL;
		children[nr] = c;
	}
	if (nr) {
		unsigned int blockers;
		int want = refusal(self, children[0], &blockers);

		SAYS(want ?: (int)nr,
		     spawn_linked(scope->ring.fd, descs, handles, nr));
		for (i = 0; i < nr; i++) {
			children[i]->handle = handles[i];
			children[i]->used = !want;
			if (!want)
				accept_child(self, children[i]);
		}
	}
}

static bool is_meant(const struct oracle *self, const struct child *c,
		     unsigned int what, __u64 target)
{
	if (what == KSCOPE_CANCEL_CHILD)
		return c->handle == target;
	if (what == KSCOPE_CANCEL_USER_DATA)
		return c->user_data == target;
	return c->lease.len && handle_of(self, &c->lease) == target;
}

static __u64 some_target(struct oracle *self, int s, unsigned int what)
{
	const struct child *c = some_child(self, s);

	switch (what) {
	case KSCOPE_CANCEL_CHILD:
		return c && !one_in(8) ? c->handle : self->stale;
	case KSCOPE_CANCEL_USER_DATA:
		return dice(GROUPS);
	case KSCOPE_CANCEL_BUF:
		return self->w.scopes[s].bufs[dice(BUFS)].handle;
	default:
		return 0;
	}
}

static void do_cancel(struct __test_metadata *_metadata, struct oracle *self,
		      int s)
{
	static const unsigned int single[] = { KSCOPE_CANCEL_CHILD,
					       KSCOPE_CANCEL_USER_DATA,
					       KSCOPE_CANCEL_BUF };
	unsigned int what = one_in(12) ? KSCOPE_CANCEL_SCOPE : single[dice(3)];
	__u64 target = some_target(self, s, what);
	struct mscope *scope = &self->w.scopes[s];
	struct kscope_cancel arg;
	struct counts n = {};
	struct child *c;
	int want = 0, ret;

	if (what == KSCOPE_CANCEL_SCOPE &&
	    scope->state == KSCOPE_SCOPE_RELEASED) {
		want = -ESHUTDOWN;
	} else if (what == KSCOPE_CANCEL_SCOPE) {
		cancel_tree(&self->w, s, KSCOPE_CAUSE_CALLER, &n);
	} else {
		for (c = first_child(&self->w); c; c = next_child(&self->w, c))
			if (c->scope == s && is_meant(self, c, what, target))
				child_tell(&self->w, c, KSCOPE_CAUSE_CALLER,
					   &n);
		if (!n.never_started && !n.told && !n.already)
			want = -ENOENT;
		else if (what == KSCOPE_CANCEL_CHILD && n.already)
			want = -EALREADY;
	}
	ret = cancel_arg(scope->ring.fd, what, target, &arg);
	SAYS(want, ret);
	if (ret)
		return;
	SAYS(n.never_started, arg.never_started);
	SAYS(n.told, arg.told);
	SAYS(n.already, arg.already);
}

static void do_borrow(struct __test_metadata *_metadata, struct oracle *self,
		      int s)
{
	struct loan *loan = free_loan(self);
	struct lease lease = some_lease(self, s);
	bool waits = one_in(4);
	struct kscope_borrow arg = {
		.flags = waits ? KSCOPE_BORROW_WAIT : 0,
		.access = lease.exclusive ? KSCOPE_ACCESS_WRITE :
					    KSCOPE_ACCESS_READ,
		.off = lease.off,
		.len = lease.len ?: 1,
		.deadline_ns = waits,
		.blockers = to_u64(self->blockers),
		.nr_blockers = waits ? 0 : KSCOPE_MAX_BLOCKERS,
	};
	unsigned int nr;
	int ret;

	if (!loan)
		return;
	arg.buf = lease.len ? handle_of(self, &lease) : 1;
	nr = in_the_way(&self->w, &lease, ~0ULL, true);
	ret = borrow_arg(self->w.scopes[s].ring.fd, &arg);
	if (self->w.scopes[s].state == KSCOPE_SCOPE_RELEASED) {
		SAYS(-ESHUTDOWN, ret);
	} else if (!lease.len) {
		SAYS(-ENOENT, ret);
	} else if (nr) {
		SAYS(waits ? -ETIMEDOUT : -EBUSY, ret);
		if (!waits)
			SAYS(at_most_named(nr), arg.nr_blockers);
	} else {
		SAYS(0, ret);
		*loan = (struct loan){ true, arg.lease, lease };
	}
}

/* A handle is a number of its scope, and may be that of another loan elsewhere. */
static void do_return(struct __test_metadata *_metadata, struct oracle *self,
		      int s)
{
	__u64 handle = self->w.loans[dice(LOANS)].handle;
	struct loan *loan = self->w.loans;

	while (loan < self->w.loans + LOANS &&
	       !(loan->used && loan->lease.scope == s &&
		 loan->handle == handle))
		loan++;
	if (loan == self->w.loans + LOANS) {
		SAYS(-ENOENT, give_back(self->w.scopes[s].ring.fd, handle));
		return;
	}
	SAYS(0, give_back(self->w.scopes[s].ring.fd, handle));
	loan->used = false;
}

static void do_reborrow(struct __test_metadata *_metadata, struct oracle *self,
			int s)
{
	struct mscope *scope = &self->w.scopes[s];
	struct lease of;
	int ret;

	if (scope->parent < 0 || scope->bufs[1].handle ||
	    scope->state == KSCOPE_SCOPE_RELEASED)
		return;
	of = some_lease(self, scope->parent);
	if (!of.len)
		return;
	of.exclusive &= !is_read_only(self, &of);
	ret = buf_reborrow_arg(scope->ring.fd,
			       self->w.scopes[scope->parent].ring.fd,
			       handle_of(self, &of), of.off, of.len,
			       of.exclusive ? 0 : KSCOPE_REBORROW_READ_ONLY);
	if (in_the_way(&self->w, &of, ~0ULL, true)) {
		SAYS(-EBUSY, ret);
		return;
	}
	if (scope->state == KSCOPE_SCOPE_CANCELLED) {
		SAYS(-ECANCELED, ret);
		return;
	}
	SAYS(true, ret > 0);
	scope->bufs[1] = (struct buf){ ret, of.len, of };
}

/* It is pinned again at once; a scope that has been released has none. */
static void do_unpin(struct __test_metadata *_metadata, struct oracle *self,
		     int s)
{
	struct mscope *scope = &self->w.scopes[s];
	unsigned int i = dice(BUFS);
	struct buf *buf = &scope->bufs[i];
	__u32 old = buf->handle;
	bool borrowed = old && is_borrowed(&self->w, s, i);
	int ret;

	if (!old && !one_in(8))
		return;
	SAYS(!old     ? -ENOENT :
	     borrowed ? -EBUSY :
			0,
	     buf_unpin(scope->ring.fd, old));
	if (!old || borrowed)
		return;
	*buf = (struct buf){};
	SAYS(-ENOENT, buf_unpin(scope->ring.fd, old));
	if (i)
		return;
	ret = buf_pin(scope->ring.fd, self->mem + s * PAGE, BYTES, 0);
	if (scope->state == KSCOPE_SCOPE_CANCELLED) {
		SAYS(-ECANCELED, ret);
		return;
	}
	SAYS(true, ret > 0);
	*buf = (struct buf){ .handle = ret, .len = BYTES };
}

static void do_create(struct __test_metadata *_metadata, struct oracle *self,
		      int parent)
{
	struct mscope *up = parent < 0 ? NULL : &self->w.scopes[parent];
	struct kscope_scope_create arg = { .capacity = CAPACITY,
					   .grace_ns = KSCOPE_GRACE_MAX,
					   .policy = dice(3) };
	struct mscope *scope;
	unsigned int s = 0;
	int ret;

	while (s < SCOPES && self->w.scopes[s].used)
		s++;
	if (s == SCOPES)
		return;
	scope = &self->w.scopes[s];
	if (arg.policy == KSCOPE_POLICY_COLLECT && one_in(2)) {
		arg.kind = dice(2);
		arg.max_running = arg.kind ? 0 : dice(4);
	}
	ret = scope_nest_arg(up ? up->ring.fd : self->dev, &arg);
	if (up && up->state != KSCOPE_SCOPE_OPEN) {
		SAYS(up->state == KSCOPE_SCOPE_RELEASED ? -ESHUTDOWN :
							  -ECANCELED,
		     ret);
		return;
	}
	SAYS(true, ret >= 0);
	*scope = (struct mscope){
		.used = true,
		.parent = parent,
		.kind = arg.kind,
		.policy = arg.policy,
		.state = KSCOPE_SCOPE_OPEN,
		.max_running = arg.kind ? 1 : arg.max_running,
		.depth = up ? up->depth + 1 : 0,
	};
	SAYS(0, scope_map(&scope->ring, ret, &arg));
	ret = buf_pin(scope->ring.fd, self->mem + s * PAGE, BYTES, 0);
	SAYS(true, ret > 0);
	scope->bufs[0] = (struct buf){ .handle = ret, .len = BYTES };
}

static void do_quiesce(struct __test_metadata *_metadata, struct oracle *self,
		       int s)
{
	struct mscope *scope = &self->w.scopes[s];
	struct kscope_quiesce arg = { .size = sizeof(arg), .deadline_ns = 1 };
	int want = 0;

	if (scope->seal_unseen)
		return;
	if (nr_children(&self->w, s, true))
		want = -ETIMEDOUT;
	else if (scope->state == KSCOPE_SCOPE_RELEASED)
		want = -ESHUTDOWN;
	else if (scope->sealed)
		want = -ECANCELED;
	SAYS(want, xioctl(scope->ring.fd, KSCOPE_IOC_QUIESCE, &arg));
	if (want)
		return;
	scope->state = KSCOPE_SCOPE_OPEN;
	scope->cause = KSCOPE_CAUSE_NONE;
	scope->first = 0;
	scope->decider = 0;
	scope->gone_status = false;
}

static void do_release(struct __test_metadata *_metadata, struct oracle *self,
		       int s)
{
	unsigned int nr = KSCOPE_MAX_BLOCKERS;
	unsigned int left =
		nr_children(&self->w, s, false) + nr_nested(&self->w, s);
	int want = left ? -EBUSY : 0;

	if (self->w.scopes[s].state == KSCOPE_SCOPE_RELEASED)
		want = -ESHUTDOWN;
	SAYS(want,
	     release_blockers(self->w.scopes[s].ring.fd, self->blockers, &nr));
	if (want == -EBUSY)
		SAYS(at_most_named(left), nr);
	if (!want)
		scope_release(&self->w, s);
}

/* Does the close of a scope have to wait for somebody who is not told yet, or does not listen? */
static bool close_would_hang(struct oracle *self, int s)
{
	struct child *c;

	for (c = first_child(&self->w); c; c = next_child(&self->w, c))
		if (is_below(&self->w, c->scope, s) &&
		    ((c->kind == DEAF && c->runs) ||
		     c->flags & KSCOPE_CHILD_SHIELDED))
			return true;
	return false;
}

static bool has_settled(struct oracle *self, int s, struct kscope_query *q)
{
	const struct mscope *scope = &self->w.scopes[s];

	return !query(scope->ring.fd, q) &&
	       q->outstanding == nr_children(&self->w, s, false) &&
	       q->running == nr_running(&self->w, s) &&
	       q->unread == scope->unread && q->state == scope->state;
}

static void check_counts(struct __test_metadata *_metadata, struct oracle *self,
			 int s)
{
	const struct mscope *scope = &self->w.scopes[s];
	__u64 late = in_ms(PATIENCE_MS);
	unsigned int bufs = !!scope->bufs[0].handle + !!scope->bufs[1].handle;
	struct kscope_query q;

	while (!has_settled(self, s, &q) && now_ns() < late)
		sched_yield();
	SAYS(nr_children(&self->w, s, false), q.outstanding);
	SAYS(nr_running(&self->w, s), q.running);
	SAYS(q.outstanding - q.running, q.queued);
	SAYS(scope->unread, q.unread);
	SAYS(scope->state, q.state);
	SAYS(scope->cause, q.cause);
	SAYS(scope->spawned, q.spawned);
	SAYS(scope->completed, q.completed);
	SAYS(scope->failed, q.failed);
	SAYS(scope->cancelled, q.cancelled);
	SAYS(bufs, q.nr_buffers);
	SAYS(!!scope->bufs[0].handle, q.pinned_pages);
	SAYS(nr_loans(&self->w, s), q.nr_borrows);
	SAYS(nr_nested(&self->w, s), q.nested);
	SAYS(scope->depth, q.depth);
	SAYS(0, q.violations);
}

static struct child *child_by_handle(struct oracle *self, int s, __u64 handle)
{
	unsigned int i;

	for (i = 0; i < LIVE; i++) {
		struct child *c = &self->w.children[i];

		if (c->used && c->scope == s && c->handle == handle)
			return c;
	}
	return NULL;
}

static int status_of(const struct child *c)
{
	if (c->outcome == KSCOPE_FAILED)
		return -EPERM;
	return did_finish(c) ? 0 : -ECANCELED;
}

static void check_ring(struct __test_metadata *_metadata, struct oracle *self,
		       int s)
{
	struct mscope *scope = &self->w.scopes[s];
	struct kscope_completion done;
	struct child *c;

	while (reap(&scope->ring, &done)) {
		c = child_by_handle(self, s, done.child);
		SAYS(true, c && c->ended);
		SAYS(c->outcome, done.outcome);
		SAYS(c->cause, done.cause);
		SAYS(status_of(c), done.status);
		SAYS(c->user_data, done.user_data);
		self->stale = c->handle;
		c->used = false;
		scope->unread--;
	}
	SAYS(0, scope->unread);
}

static void check_join(struct __test_metadata *_metadata, struct oracle *self,
		       int s)
{
	struct mscope *scope = &self->w.scopes[s];
	__u64 failed = 0, cancelled = 0;
	struct kscope_join arg;
	bool below = scope->gone_status;
	int i;

	if (nr_children(&self->w, s, true)) {
		SAYS(-ETIMEDOUT, join_arg(scope->ring.fd, 1, &arg));
		return;
	}
	SAYS(0, join_arg(scope->ring.fd, 1, &arg));
	for (i = 0; i < SCOPES; i++) {
		struct mscope *it = &self->w.scopes[i];

		if (!it->used || !is_below(&self->w, i, s))
			continue;
		failed += it->failed + it->gone_failed;
		cancelled += it->cancelled + it->gone_cancelled;
		below |= it->gone_status || (i != s && it->first);
	}
	SAYS(failed, arg.nr_failed);
	SAYS(cancelled, arg.nr_cancelled);
	SAYS(scope->cause, arg.cause);
	SAYS(scope->first || below ? -EPERM : 0, arg.first_error);
	if (!scope->first_unsure || !scope->first)
		SAYS(scope->first, arg.first_child);
	SAYS(scope->decider, arg.decider_child);
}

/* Its file is closed: what was in it and below counts for its parent from now on. */
static void forget_scope(struct oracle *self, int s)
{
	struct mscope *scope = &self->w.scopes[s];
	unsigned int i;

	if (scope->parent >= 0) {
		struct mscope *up = &self->w.scopes[scope->parent];

		up->gone_failed += scope->failed + scope->gone_failed;
		up->gone_cancelled += scope->cancelled + scope->gone_cancelled;
		up->gone_status |= scope->first || scope->gone_status;
	}
	for (i = 0; i < LIVE; i++)
		if (self->w.children[i].scope == s)
			self->w.children[i].used = false;
	scope->used = false;
}

static void forget_tree(struct oracle *self, int s)
{
	int i;

	for (i = 0; i < SCOPES; i++)
		if (self->w.scopes[i].used && self->w.scopes[i].parent == s)
			forget_tree(self, i);
	forget_scope(self, s);
}

/* All below end with it. Their files can still say how; then they are closed as well. */
static void do_close(struct __test_metadata *_metadata, struct oracle *self,
		     int s)
{
	struct counts n = {};
	int i;

	if (close_would_hang(self, s))
		return;
	cancel_tree(&self->w, s, KSCOPE_CAUSE_CLOSE, &n);
	SAYS(0, scope_close(&self->w.scopes[s].ring));
	settle(&self->w);
	for (i = 0; i < SCOPES; i++)
		if (self->w.scopes[i].used && is_below(&self->w, i, s))
			scope_release(&self->w, i);
	for (i = 0; i < SCOPES; i++) {
		if (!self->w.scopes[i].used || i == s ||
		    !is_below(&self->w, i, s))
			continue;
		check_counts(_metadata, self, i);
		check_ring(_metadata, self, i);
		SAYS(0, scope_close(&self->w.scopes[i].ring));
	}
	forget_tree(self, s);
}

/* The gate is open until all that it lets go have ended. */
static void do_gate(struct __test_metadata *_metadata, struct oracle *self,
		    int s)
{
	int i;

	self->w.gate_open = true;
	SAYS(0, gate_set(true));
	settle(&self->w);
	for (i = 0; i < SCOPES; i++)
		if (self->w.scopes[i].used)
			check_counts(_metadata, self, i);
	SAYS(0, gate_set(false));
	self->w.gate_open = false;
	(void)s;
}

static const struct {
	const char *name;
	unsigned int weight;
	void (*call)(struct __test_metadata *_metadata, struct oracle *self,
		     int s);
} calls[] = {
	{ "spawn", 40, do_spawn },    { "linked", 4, do_linked },
	{ "cancel", 20, do_cancel },  { "borrow", 8, do_borrow },
	{ "return", 8, do_return },   { "reborrow", 4, do_reborrow },
	{ "unpin", 4, do_unpin },     { "create", 3, do_create },
	{ "quiesce", 4, do_quiesce }, { "release", 3, do_release },
	{ "close", 2, do_close },     { "gate", 4, do_gate },
	{ "join", 4, check_join },
};

static unsigned int some_call(void)
{
	unsigned int i = 0, at = dice(108);

	while (at >= calls[i].weight)
		at -= calls[i++].weight;
	return i;
}

static void step(struct __test_metadata *_metadata, struct oracle *self)
{
	int s = some_scope(self);
	unsigned int call = some_call();

	self->call = calls[call].name;
	if (s < 0 || (calls[call].call == do_create && one_in(8)))
		do_create(_metadata, self, -1);
	else
		calls[call].call(_metadata, self, s);
	settle(&self->w);
	for (s = 0; s < SCOPES; s++) {
		if (!self->w.scopes[s].used)
			continue;
		check_counts(_metadata, self, s);
		check_ring(_metadata, self, s);
	}
}

TEST_F_TIMEOUT(oracle, agrees_with_the_kernel_at_every_step, 200)
{
	unsigned int steps = kernel_is_instrumented() ? STEPS / 10 : STEPS;
	struct oracle *o = &self->o;

	for (o->step = 0; o->step < steps; o->step++) {
		if (o->step % ROUND == 0) {
			end_world(o);
			o->seed = o->step / ROUND;
			srand(o->seed);
		}
		step(_metadata, o);
	}
	EXPECT_TRUE(hooks_agree());
}

TEST_HARNESS_MAIN

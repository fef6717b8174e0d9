/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What must hold after each pass of a scenario, whichever point has failed: calls say what
 * the ABI lets them say, accepted children have ended once, and nothing is left behind.
 */
#ifndef KSCOPE_FAULT_CHECK_H
#define KSCOPE_FAULT_CHECK_H

#include <stdarg.h>

#include "fault_world.h"

#define GATE_OPEN "/sys/module/kscope_gate/parameters/open"
#define NOP_MARK 0xfeedULL
#define SETTLE_MS 3000
#define FD_PROBES 16

struct call_rule {
	const char *name;
	int errnos[20]; /* docs/abi.md; ENOMEM only where it names it for the call */
};

static const struct call_rule call_rules[NR_CALLS] = {
	[CALL_OPEN] = { "open", { EFAULT, ENOMEM } },
	[CALL_INFO] = { "INFO", {} },
	[CALL_OP_INFO] = { "OP_INFO", { ENOENT } },
	[CALL_CREATE] = { "SCOPE_CREATE", { EDQUOT, ENOMEM, EMFILE, ENFILE } },
	[CALL_MAP] = { "mmap", { EACCES, EINVAL, ENOMEM } },
	[CALL_PIN] = { "BUF_PIN",
		       { ECANCELED, EINTR, ENOMEM, ENOSPC, EOPNOTSUPP,
			 EOVERFLOW, ESHUTDOWN } },
	[CALL_UNPIN] = { "BUF_UNPIN", { EBUSY, ENOENT } },
	[CALL_REBORROW] = { "BUF_REBORROW",
			    { EACCES, EBADF, EBUSY, ECANCELED, EINTR, ENOENT,
			      ENOMEM, ENOSPC, EOVERFLOW, ERANGE, ESHUTDOWN } },
	[CALL_BORROW] = { "BORROW",
			  { EAGAIN, EBUSY, EINTR, ENOENT, ENOMEM, ENOSPC,
			    EOVERFLOW, ERANGE, ESHUTDOWN, ETIMEDOUT } },
	[CALL_RETURN] = { "RETURN", { ENOENT } },
	[CALL_HASH] = { "HASH_OPEN",
			{ ECANCELED, ENOENT, ENOMEM, ENOSPC, EOPNOTSUPP,
			  ESHUTDOWN } },
	[CALL_SPAWN] = { "SPAWN",
			 { EACCES, EAGAIN, EBADF, ECANCELED, EDQUOT, EFBIG,
			   EINTR, ENOENT, ENOMEM, EOPNOTSUPP, EOVERFLOW, ERANGE,
			   ESHUTDOWN, ETIMEDOUT } },
	[CALL_CANCEL] = { "CANCEL", { EALREADY, ENOENT, ESHUTDOWN } },
	[CALL_JOIN] = { "JOIN", { EINTR, ETIMEDOUT } },
	[CALL_RELEASE] = { "RELEASE", { EBUSY, ESHUTDOWN } },
	[CALL_QUERY] = { "QUERY", {} },
	[CALL_CLOSE] = { "close", {} },
	[CALL_OTHER] = { "a call of the kernel",
			 { EAGAIN, EFAULT, ENOBUFS, ENOENT, ENOMEM, EPIPE } },
};

static inline bool call_is_ioctl(enum call_kind what)
{
	return what != CALL_OPEN && what != CALL_MAP && what != CALL_CLOSE &&
	       what != CALL_OTHER;
}

/* All ioctls may say EFAULT and EINVAL. */
static inline bool errno_is_documented(enum call_kind what, int err)
{
	size_t i;

	if (call_is_ioctl(what) && (err == EFAULT || err == EINVAL))
		return true;
	for (i = 0; i < ARRAY_SIZE(call_rules[what].errnos); i++)
		if (err && call_rules[what].errnos[i] == err)
			return true;
	return false;
}

static inline __printf(2, 3) void complain(struct world *w, const char *fmt,
					   ...)
{
	va_list args;

	w->bad++;
	va_start(args, fmt);
	printf("# %s, point %u: ", w->sc->name, w->n);
	vprintf(fmt, args);
	printf("\n");
	va_end(args);
	fflush(stdout);
}

/* What a fault makes of a call: that memory is short, or that an address is bad. */
static inline bool fault_explains(const struct step *s)
{
	int err = -s->ret;

	if (!errno_is_documented(s->what, err))
		return false;
	return err == ENOMEM || err == EFAULT || s->what == CALL_OTHER;
}

static inline bool step_is_right(const struct world *w, const struct step *s)
{
	if (s->want ? s->ret == s->want : s->ret >= 0)
		return true;
	if (!w->fired)
		return false;
	if (s->what == CALL_SPAWN && s->ret > 0)
		return s->ret < s->want && s->ret % 16 == 0;
	return s->ret < 0 && fault_explains(s);
}

static inline void check_steps(struct world *w, const char *when)
{
	unsigned int i;

	for (i = 0; i < w->nr_steps; i++) {
		const struct step *s = &w->steps[i];

		if (s->want < 0 && !errno_is_documented(s->what, -s->want))
			complain(w, "%s cannot want %d",
				 call_rules[s->what].name, s->want);
		if (!step_is_right(w, s))
			complain(w, "%s, step %u: %s returned %d, not %d", when,
				 i, call_rules[s->what].name, s->ret, s->want);
	}
}

static inline bool failure_is_explained(const struct world *w, int status)
{
	if (!w->fired)
		return false;
	if (w->sc->want && status == w->sc->want)
		return true;
	return status == -ENOMEM || (w->file > 0 && status == -EIO);
}

static inline bool end_is_right(const struct world *w,
				const struct kscope_completion *c)
{
	bool told = c->cause == KSCOPE_CAUSE_CALLER ||
		    c->cause == KSCOPE_CAUSE_CLOSE ||
		    c->cause == KSCOPE_CAUSE_AFTER;

	switch (c->outcome) {
	case KSCOPE_FINISHED:
		return !c->status && !c->cause;
	case KSCOPE_FAILED:
		return failure_is_explained(w, c->status);
	case KSCOPE_NEVER_STARTED:
	case KSCOPE_STOPPED:
		return w->cancelled && told && c->status == -ECANCELED;
	case KSCOPE_FINISHED_ANYWAY:
		return w->cancelled && told && !c->status;
	}
	return false;
}

static inline void check_completion(struct world *w,
				    const struct kscope_completion *c)
{
	__u64 i = c->user_data;

	if (i >= w->accepted) {
		complain(w, "completion of a child that was not accepted: %llu",
			 (unsigned long long)i);
		return;
	}
	if (w->seen[i]++)
		complain(w, "child %u completed twice", (unsigned int)i);
	if (c->child != w->handles[i])
		complain(w, "child %u has another handle", (unsigned int)i);
	if (!end_is_right(w, c))
		complain(w, "child %u ended with outcome %u status %d cause %u",
			 (unsigned int)i, c->outcome, c->status, c->cause);
	w->done[i] = *c;
}

static inline void check_children(struct world *w)
{
	struct kscope_completion c;
	unsigned int i;

	if (!w->scope.ring || !w->scope.head) {
		if (w->accepted)
			complain(w, "children, and no ring");
		return;
	}
	while (reap(&w->scope, &c))
		check_completion(w, &c);
	for (i = 0; i < w->accepted; i++)
		if (!w->seen[i])
			complain(w, "child %u never completed", i);
}

/* End what was left running, and wait for it: no fault can happen any more. */
static inline void settle(struct world *w)
{
	struct kscope_query q;
	unsigned int i;
	int ret;

	text_put(GATE_OPEN, "1");
	if (w->scope.fd < 0)
		return;
	for (i = 0; i < w->accepted; i++)
		if (w->descs[i].op == KSCOPE_OP_SLEEP) {
			cancel_child(w->scope.fd, w->handles[i]);
			w->cancelled = true;
		}
	ret = join(w->scope.fd);
	if (ret)
		complain(w, "join, with nothing failing: %d", ret);
	ret = query(w->scope.fd, &q);
	if (ret || q.outstanding || q.spawned != w->accepted ||
	    q.completed != w->accepted)
		complain(w, "%u accepted; the scope says %llu, %llu completed",
			 w->accepted, (unsigned long long)q.spawned,
			 (unsigned long long)q.completed);
	if (q.state != KSCOPE_SCOPE_RELEASED &&
	    vm_pages("VmPin") != (long)q.pinned_pages)
		complain(w, "VmPin is %ld, and the scope has pinned %llu",
			 vm_pages("VmPin"), (unsigned long long)q.pinned_pages);
}

/* A call that failed has changed nothing. */
static inline void check_frozen(struct world *w)
{
	if (w->nr_steps != 1 || w->steps[0].ret >= 0)
		return;
	if (memcmp(&w->before, &w->after, sizeof(w->before)))
		complain(w, "%s returned %d, and the scope has changed",
			 call_rules[w->steps[0].what].name, w->steps[0].ret);
}

/* An open scope still takes a child and runs it. */
static inline void check_works(struct world *w)
{
	struct kscope_completion c = {};
	struct kscope_query q;
	int ret;

	if (w->scope.fd < 0 || query(w->scope.fd, &q) ||
	    q.state != KSCOPE_SCOPE_OPEN)
		return;
	if (!w->scope.ring || !w->scope.head)
		return;
	ret = run_ok(&w->scope, desc_nop(NOP_MARK), &c);
	if (ret || c.user_data != NOP_MARK)
		complain(w, "the scope does not work any more: %d", ret);
}

/* All that the module says of what there is comes down to zeroes. */
static inline bool sums_are_zero(const char *text)
{
	const char *c;

	for (c = text; *c; c++)
		if (*c >= '1' && *c <= '9')
			return false;
	return true;
}

/* The module counts its objects again, if it was built to; NULL if that came out right. */
static inline char *recount(bool nothing_left)
{
	static char text[4096];

	if (text_get(PARAM_DIR "test_check", text, sizeof(text)))
		return NULL;
	if (strncmp(text, "ok scopes=", 10))
		return text;
	return nothing_left && !sums_are_zero(text) ? text : NULL;
}

static inline void check_recount(struct world *w)
{
	const char *text = recount(false);

	if (text)
		complain(w, "test_check says: %s", text);
}

/* What a process and the module hold; taken before a sweep, and compared at each pass. */
struct holdings {
	long pins;
	long vm_pin;
	long users;
	long gate_users;
	int fds;
};

/* A number without a file behind it is in use as well, so ask for numbers, not for files. */
static inline int fd_numbers(void)
{
	int fds[FD_PROBES], sum = 0;
	size_t i;

	for (i = 0; i < FD_PROBES; i++)
		fds[i] = dup(0);
	for (i = 0; i < FD_PROBES; i++) {
		sum += fds[i];
		close(fds[i]);
	}
	return sum;
}

static inline void holdings_take(struct holdings *h)
{
	h->pins = pins_now();
	h->vm_pin = vm_pages("VmPin");
	h->users = number_get("/sys/module/kscope/refcnt", 0);
	h->gate_users = number_get("/sys/module/kscope_gate/refcnt", 0);
	h->fds = fd_numbers();
}

/* The kernel may drop the last reference to a file a moment later. */
static inline void check_nothing_left(struct world *w,
				      const struct holdings *want)
{
	__u64 deadline = in_ms(SETTLE_MS);
	struct holdings h;
	const char *text;

	for (;;) {
		memset(&h, 0, sizeof(h));
		holdings_take(&h);
		text = recount(true);
		if (!text && h.pins == want->pins && h.vm_pin == want->vm_pin &&
		    h.users == want->users &&
		    h.gate_users == want->gate_users && h.fds == want->fds)
			return;
		if (now_ns() > deadline)
			break;
		usleep(2000);
	}
	complain(w, "left: pins %ld, VmPin %ld, module %ld, gate %ld, fds %d",
		 h.pins - want->pins, h.vm_pin - want->vm_pin,
		 h.users - want->users, h.gate_users - want->gate_users,
		 h.fds - want->fds);
	if (text)
		complain(w, "left: test_check says: %s", text);
}

/* A lease is granted only if nobody has the file open for writing any more. */
static inline void check_file_dropped(struct world *w)
{
	__u64 deadline = in_ms(SETTLE_MS);
	int fd = open(w->path, O_RDONLY | O_CLOEXEC), ret;

	do {
		ret = sys(fcntl(fd, F_SETLEASE, F_RDLCK));
		if (ret)
			usleep(2000);
	} while (ret == -EAGAIN && now_ns() < deadline);
	if (ret)
		complain(w, "the file is still open somewhere: %d", ret);
	fcntl(fd, F_SETLEASE, F_UNLCK);
	close(fd);
	unlink(w->path);
}

/* All of the user's RLIMIT_MEMLOCK, and no page more, can be pinned. */
static inline int memlock_is_free(uid_t uid)
{
	size_t len = MEMLOCK_PAGES * PAGE;
	struct scope scope;
	char *mem = map_anon(len + PAGE);
	int ret, more;

	as_user(uid);
	ret = scope_open(&scope, KSCOPE_KIND_PARALLEL, 1);
	if (!ret) {
		ret = buf_pin(scope.fd, mem, len, 0);
		more = buf_pin(scope.fd, mem + len, PAGE, 0);
		if (ret > 0)
			ret = more == -ENOMEM ? 0 : -EPROTO;
		scope_close(&scope);
	}
	as_root();
	munmap(mem, len + PAGE);
	return ret;
}

#endif /* KSCOPE_FAULT_CHECK_H */

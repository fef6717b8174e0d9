// SPDX-License-Identifier: GPL-2.0
/*
 * What must hold, whatever a program does: for each call, for each scope when the
 * program is over, and for the system when its process has gone.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"

/* The first finding counts: the process ends, and the manager reports it. */
void finding(const char *format, ...)
{
	va_list args;

	if (__atomic_exchange_n(&shared->found, 1, __ATOMIC_SEQ_CST))
		_exit(99);
	va_start(args, format);
	vsnprintf(shared->text, sizeof(shared->text), format, args);
	va_end(args);
	_exit(99);
}

/* The table of docs/abi.md; what all commands share is below. */
static const struct {
	const char *kind;
	__u8 errnos[16];
} documented[] = {
	{ "info", {} },
	{ "opinfo", { ENOENT } },
	{ "create",
	  { EDQUOT, ENOMEM, EMFILE, ENFILE, ECANCELED, ELOOP, ESHUTDOWN } },
	{ "nest",
	  { EDQUOT, ENOMEM, EMFILE, ENFILE, ECANCELED, ELOOP, ESHUTDOWN } },
	{ "reborrow",
	  { EACCES, EBUSY, ECANCELED, EINTR, ENOENT, ENOSPC, EOVERFLOW, ERANGE,
	    ESHUTDOWN } },
	{ "pin",
	  { ECANCELED, EINTR, ENOMEM, ENOSPC, EOPNOTSUPP, EOVERFLOW,
	    ESHUTDOWN } },
	{ "unpin", { EBUSY, ENOENT } },
	{ "hash",
	  { ECANCELED, ENOENT, ENOMEM, ENOSPC, EOPNOTSUPP, ESHUTDOWN } },
	{ "spawn",
	  { EACCES, EAGAIN, EBADF, EBUSY, ECANCELED, EDQUOT, EFBIG, EINTR,
	    ENOENT, EOPNOTSUPP, EOVERFLOW, ERANGE, ESHUTDOWN, ETIMEDOUT } },
	{ "cancel", { EALREADY, ENOENT, ESHUTDOWN } },
	{ "join", { EINTR, ETIMEDOUT } },
	{ "quiesce", { ECANCELED, EINTR, ESHUTDOWN, ETIMEDOUT } },
	{ "eventfd", {} }, /* EBADF is common here */
	{ "release", { EBUSY, ESHUTDOWN } },
	{ "borrow",
	  { EAGAIN, EBUSY, EINTR, ENOENT, ENOSPC, EOVERFLOW, ERANGE, ESHUTDOWN,
	    ETIMEDOUT } },
	{ "return", { ENOENT } },
	{ "query", {} },
	/* the last two are what mmap() itself may say of any file */
	{ "mmap", { EACCES, EOVERFLOW, EPERM } },
};

static bool is_listed(const __u8 *errnos, int error)
{
	for (; *errnos; errnos++)
		if (*errnos == error)
			return true;
	return false;
}

static bool is_documented(const char *kind, int error)
{
	static const __u8 common[] = { E2BIG, EFAULT, EINVAL, ENOMEM, EBADF, 0 };
	unsigned int i;

	if (is_listed(common, error))
		return true;
	for (i = 0; i < ARRAY_SIZE(documented); i++)
		if (!strcmp(documented[i].kind, kind))
			return is_listed(documented[i].errnos, error);
	return true;
}

static const __u8 wrong_fd[] = { ENOTTY, EBADF, ENODEV, EINVAL, 0 };
/* and what mmap() says of a length that is none, before it looks at the file */
static const __u8 wrong_map[] = { EBADF, ENODEV, EINVAL, ENOMEM, EOVERFLOW, 0 };

/* Scopes are made on the device, and nested in others. */
static bool for_both(const char *name)
{
	return !strcmp(name, "create") || !strcmp(name, "nest");
}

/* Device and scopes only: other files have their own rules. */
void oracle_check_return(unsigned int kind, const struct fd_slot *slot,
			 long ret)
{
	const char *name = kinds[kind].name;
	bool on_device = slot->fd == state.files[10];
	bool for_device = kinds[kind].params[0].type == T_DEVICE;
	bool is_map = !strcmp(name, "mmap");

	if (state.fds_mixed || ret >= 0 || !(slot->obj || on_device))
		return;
	if (is_map ? on_device : for_device != on_device && !for_both(name)) {
		if (!is_listed(is_map ? wrong_map : wrong_fd, -ret))
			finding("%s on the wrong kind of fd: %ld", name, ret);
		return;
	}
	if (!is_documented(name, -ret))
		finding("%s returned %ld (%s), which is not documented for it",
			name, ret, strerror(-ret));
}

void oracle_check_query(const struct kscope_query *q)
{
	if (q->spawned - q->completed != q->outstanding ||
	    q->queued + q->running != q->outstanding)
		finding("QUERY: spawned %llu, completed %llu, outstanding %u = %u + %u",
			q->spawned, q->completed, q->outstanding, q->queued,
			q->running);
	if (q->unread > q->capacity || q->outstanding > q->capacity ||
	    q->failed + q->cancelled > q->completed || q->state > 3)
		finding("QUERY: %u unread, %u outstanding of %u, state %u, %llu completed",
			q->unread, q->outstanding, q->capacity, q->state,
			q->completed);
	if (q->state == KSCOPE_SCOPE_OPEN && q->cause)
		finding("QUERY: open, and cancelled for cause %u", q->cause);
}

/* Consume completions as a program should. Return: false if somebody else does */
bool oracle_reap(struct obj *obj, __u32 max)
{
	__u32 head, tail;

	if (__atomic_exchange_n(&obj->busy, true, __ATOMIC_ACQUIRE))
		return false;
	head = obj->head->head;
	tail = __atomic_load_n(&obj->ring->tail, __ATOMIC_ACQUIRE);
	for (; !obj->scribbled && head != tail && max; head++, max--) {
		if (tail - head > obj->entries)
			finding("ring: head %u, tail %u, %u entries", head,
				tail, obj->entries);
		if (obj->nr_log < MAX_LOG)
			obj->log[obj->nr_log] =
				obj->ring->records[head & (obj->entries - 1)];
		obj->nr_log++;
	}
	if (!obj->scribbled)
		__atomic_store_n(&obj->head->head, head, __ATOMIC_RELEASE);
	__atomic_store_n(&obj->busy, false, __ATOMIC_RELEASE);
	return true;
}

static int by_handle(const void *a, const void *b)
{
	__u64 x = ((const struct kscope_completion *)a)->child;
	__u64 y = ((const struct kscope_completion *)b)->child;

	return x < y ? -1 : x > y;
}

/* design.md: what outcome, status and cause may say together */
static bool record_is_sane(const struct kscope_completion *c)
{
	if (c->flags & ~KSCOPE_COMPLETION_VIOLATED || c->reserved ||
	    c->reserved2[0] || c->reserved2[1])
		return false;
	if (c->cause > KSCOPE_CAUSE_AFTER ||
	    (c->cause == KSCOPE_CAUSE_AFTER &&
	     c->outcome != KSCOPE_NEVER_STARTED))
		return false;
	switch (c->outcome) {
	case KSCOPE_FINISHED:
		return !c->status && !c->cause;
	case KSCOPE_FINISHED_ANYWAY:
		return !c->status && c->cause;
	case KSCOPE_FAILED:
		return c->status < 0 && c->status > -512 &&
		       c->status != -ECANCELED;
	case KSCOPE_NEVER_STARTED:
		return c->status == -ECANCELED && c->cause && !c->done;
	case KSCOPE_STOPPED:
		return c->status == -ECANCELED && c->cause;
	default:
		return false;
	}
}

static void check_records(struct obj *obj)
{
	const struct kscope_completion *c;
	__u32 i;

	qsort(obj->log, obj->nr_log, sizeof(*obj->log), by_handle);
	for (i = 0; i < obj->nr_log; i++) {
		c = &obj->log[i];
		if (i && c->child == c[-1].child)
			finding("two completions for child %#llx", c->child);
		if (!record_is_sane(c))
			finding("completion of %#llx: status %d, outcome %u, cause %u, done %llu",
				c->child, c->status, c->outcome, c->cause,
				c->done);
		cover_signal(0x300000 | c->outcome << 16 | c->cause << 12 |
			     (-c->status & 0xfff));
	}
}

/* A single child is one child; what became of it is looked at in the end. */
void oracle_check_cancel(struct obj *obj, const struct kscope_cancel *cancel,
			 long ret)
{
	__u32 sum = cancel->never_started + cancel->told + cancel->already, nr;

	if (ret && ret != -EALREADY)
		return;
	if (cancel->what == KSCOPE_CANCEL_SCOPE)
		return;
	if (!sum || (ret && !cancel->already))
		finding("CANCEL returned %ld, and counted %u children", ret,
			sum);
	if (cancel->what != KSCOPE_CANCEL_CHILD)
		return;
	if (sum != 1)
		finding("CANCEL of one child counted %u", sum);
	nr = __atomic_fetch_add(&obj->nr_cancelled, 1, __ATOMIC_RELAXED);
	if (nr < MAX_CANCELLED)
		obj->cancelled[nr] =
			(struct cancelled){ cancel->target,
					    cancel->never_started };
}

static const struct kscope_completion *record_of(const struct obj *obj,
						 __u64 handle)
{
	struct kscope_completion key = { .child = handle };
	const struct kscope_completion *c =
		bsearch(&key, obj->log, obj->nr_log, sizeof(key), by_handle);

	if (!c)
		finding("child %#llx has no completion", handle);
	return c;
}

static void check_cancelled(const struct obj *obj)
{
	const struct cancelled *cancelled;
	const struct kscope_completion *c;
	bool never_started;
	__u32 i;

	for (i = 0; i < obj->nr_cancelled && i < MAX_CANCELLED; i++) {
		cancelled = &obj->cancelled[i];
		c = record_of(obj, cancelled->handle);
		never_started = c->outcome == KSCOPE_NEVER_STARTED;
		if (!c->cause || never_started != cancelled->never_started)
			finding("CANCEL of %#llx: started %d; completion: outcome %u, cause %u",
				cancelled->handle, !cancelled->never_started,
				c->outcome, c->cause);
	}
}

static void check_known(struct obj *obj)
{
	const struct kscope_completion *c;
	const struct known *known;
	__u32 i;

	for (i = 0; i < obj->nr_known && i < MAX_LOG; i++) {
		known = &obj->known[i];
		c = record_of(obj, known->handle);
		if (c->user_data != known->user_data || c->done > known->len)
			finding("completion of %#llx: user_data %llu for %llu, done %llu of %llu",
				known->handle, c->user_data, known->user_data,
				c->done, known->len);
	}
}

/* The last fd has been closed, and so each accepted child has left its completion. */
void oracle_check_obj(struct obj *obj)
{
	__u32 tail;

	if (!obj->ring)
		return;
	tail = __atomic_load_n(&obj->ring->tail, __ATOMIC_ACQUIRE);
	if (!obj->unsure && tail != obj->accepted)
		finding("%u children were accepted, and there are %u completions",
			obj->accepted, tail);
	if (obj->unsure || obj->scribbled)
		return;
	oracle_reap(obj, ~0U);
	if (obj->nr_log > MAX_LOG)
		return;
	if (obj->nr_log != tail)
		finding("%u completions were read of %u", obj->nr_log, tail);
	check_records(obj);
	check_known(obj);
	check_cancelled(obj);
}

// SPDX-License-Identifier: LGPL-2.1-or-later
#include "internal.h"

static int cancel(const struct kscope_scope *scope, __u32 what, __u64 target,
		  struct kscope_cancel *counts)
{
	struct kscope_cancel arg = {
		.size = sizeof(arg),
		.what = what,
		.target = target,
	};
	int ret = ioctl_ret(scope->fd, KSCOPE_IOC_CANCEL, &arg);

	if (counts)
		*counts = arg;
	return ret;
}

int kscope_cancel_child(const struct kscope_scope *scope, __u64 child,
			struct kscope_cancel *counts)
{
	return cancel(scope, KSCOPE_CANCEL_CHILD, child, counts);
}

int kscope_cancel_user_data(const struct kscope_scope *scope, __u64 user_data,
			    struct kscope_cancel *counts)
{
	return cancel(scope, KSCOPE_CANCEL_USER_DATA, user_data, counts);
}

int kscope_cancel_buf(const struct kscope_scope *scope, int buf,
		      struct kscope_cancel *counts)
{
	return cancel(scope, KSCOPE_CANCEL_BUF, (__u32)buf, counts);
}

int kscope_cancel_scope(const struct kscope_scope *scope,
			struct kscope_cancel *counts)
{
	return cancel(scope, KSCOPE_CANCEL_SCOPE, 0, counts);
}

int kscope_join(const struct kscope_scope *scope, __u64 deadline_ns,
		struct kscope_join *result)
{
	struct kscope_join arg = {
		.size = sizeof(arg),
		.deadline_ns = deadline_ns,
	};
	int ret = ioctl_ret(scope->fd, KSCOPE_IOC_JOIN, &arg);

	if (result)
		*result = arg;
	return ret;
}

int kscope_quiesce(const struct kscope_scope *scope, __u64 deadline_ns)
{
	struct kscope_quiesce arg = {
		.size = sizeof(arg),
		.deadline_ns = deadline_ns,
	};

	return ioctl_ret(scope->fd, KSCOPE_IOC_QUIESCE, &arg);
}

int kscope_release(const struct kscope_scope *scope,
		   struct kscope_blocker *blockers, unsigned int *nr)
{
	struct kscope_release arg = {
		.size = sizeof(arg),
		.nr_blockers = blockers && nr ? *nr : 0,
		.blockers = blockers && nr ? addr_u64(blockers) : 0,
	};
	int ret = ioctl_ret(scope->fd, KSCOPE_IOC_RELEASE, &arg);

	if (nr)
		*nr = ret == -EBUSY ? arg.nr_blockers : 0;
	return ret;
}

int kscope_eventfd(const struct kscope_scope *scope, int fd)
{
	struct kscope_eventfd arg = { .size = sizeof(arg), .fd = fd };

	return ioctl_ret(scope->fd, KSCOPE_IOC_EVENTFD, &arg);
}

int kscope_query(const struct kscope_scope *scope, struct kscope_query *query)
{
	*query = (struct kscope_query){ .size = sizeof(*query) };
	return ioctl_ret(scope->fd, KSCOPE_IOC_QUERY, query);
}

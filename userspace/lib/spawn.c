// SPDX-License-Identifier: LGPL-2.1-or-later
#include <string.h>

#include "internal.h"

int kscope_spawn_wait(const struct kscope_scope *scope,
		      const struct kscope_desc *descs, unsigned int nr,
		      __u64 *handles, unsigned int min_complete,
		      __u64 deadline_ns)
{
	struct kscope_spawn arg = {
		.size = sizeof(arg),
		.descs = addr_u64(descs),
		.handles = addr_u64(handles),
		.nr = nr,
		.min_complete = min_complete,
		.deadline_ns = deadline_ns,
	};

	return ioctl_ret(scope->fd, KSCOPE_IOC_SPAWN, &arg);
}

int kscope_spawn(const struct kscope_scope *scope,
		 const struct kscope_desc *descs, unsigned int nr,
		 __u64 *handles)
{
	return kscope_spawn_wait(scope, descs, nr, handles, 0, 0);
}

int kscope_spawn_blockers(const struct kscope_scope *scope,
			  const struct kscope_desc *descs, unsigned int nr,
			  __u64 *handles, struct kscope_blocker *blockers,
			  unsigned int *nr_blockers)
{
	struct kscope_spawn arg = {
		.size = sizeof(arg),
		.descs = addr_u64(descs),
		.handles = addr_u64(handles),
		.nr = nr,
		.blockers = blockers && nr_blockers ? addr_u64(blockers) : 0,
		.nr_blockers = blockers && nr_blockers ? *nr_blockers : 0,
	};
	int ret = ioctl_ret(scope->fd, KSCOPE_IOC_SPAWN, &arg);

	if (nr_blockers)
		*nr_blockers = ret == -EBUSY ? arg.nr_blockers : 0;
	return ret;
}

int kscope_spawn_linked(const struct kscope_scope *scope,
			const struct kscope_desc *descs, unsigned int nr,
			__u64 *handles)
{
	struct kscope_spawn arg = {
		.size = sizeof(arg),
		.flags = KSCOPE_SPAWN_LINKED,
		.descs = addr_u64(descs),
		.handles = addr_u64(handles),
		.nr = nr,
	};

	return ioctl_ret(scope->fd, KSCOPE_IOC_SPAWN, &arg);
}

struct kscope_desc *kscope_batch_get(struct kscope_batch *batch)
{
	struct kscope_desc *desc;

	if (batch->nr >= batch->cap)
		return NULL;
	desc = &batch->descs[batch->nr++];
	kscope_prep_nop(desc);
	return desc;
}

void kscope_batch_drop(struct kscope_batch *batch, unsigned int nr)
{
	if (nr > batch->nr)
		nr = batch->nr;
	batch->nr -= nr;
	memmove(batch->descs, batch->descs + nr,
		batch->nr * sizeof(*batch->descs));
}

int kscope_batch_spawn_wait(const struct kscope_scope *scope,
			    struct kscope_batch *batch, __u64 *handles,
			    unsigned int min_complete, __u64 deadline_ns)
{
	int ret = kscope_spawn_wait(scope, batch->descs, batch->nr, handles,
				    min_complete, deadline_ns);

	if (ret > 0)
		kscope_batch_drop(batch, (unsigned int)ret);
	return ret;
}

int kscope_batch_spawn(const struct kscope_scope *scope,
		       struct kscope_batch *batch, __u64 *handles)
{
	return kscope_batch_spawn_wait(scope, batch, handles, 0, 0);
}

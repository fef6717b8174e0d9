// SPDX-License-Identifier: GPL-2.0
#include "kscope_util.h"

bool open_scope(struct kscope_scope *scope,
		const struct kscope_scope_params *params)
{
	int dev = kscope_open(), ret;

	if (dev < 0)
		die("/dev/kscope: %d", dev);
	ret = kscope_scope_create(scope, dev, params);
	kscope_close(dev);
	if (ret && ret != -EINVAL)
		die("no scope for %u children: %d", params->capacity, ret);
	return ret == 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "internal.h"

static struct miscdevice kscope_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kscope",
	.fops = &kscope_device_fops,
	.mode = 0666,
};

static int __init kscope_init(void)
{
	int ret;

	kscope_ops_init();
	ret = kscope_reaper_start();
	if (ret)
		return ret;
	ret = misc_register(&kscope_device);
	if (ret)
		kscope_reaper_stop();
	return ret;
}

static void __exit kscope_exit(void)
{
	misc_deregister(&kscope_device);
	kscope_reaper_stop();
	kscope_users_stop();
}

module_init(kscope_init);
module_exit(kscope_exit);

module_param_named(max_user_scopes, kscope_max_user_scopes, uint, 0644);
MODULE_PARM_DESC(max_user_scopes,
		 "Scopes that one user may hold without CAP_SYS_RESOURCE");
module_param_named(max_user_children, kscope_max_user_children, uint, 0644);
MODULE_PARM_DESC(max_user_children,
		 "Child slots that one user may hold without CAP_SYS_RESOURCE");

MODULE_DESCRIPTION("Scoped asynchronous work on pinned memory");
MODULE_LICENSE("GPL");

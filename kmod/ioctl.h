/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An ioctl under way: what ioctl.c and spawn.c share.
 */
#ifndef KSCOPE_IOCTL_H
#define KSCOPE_IOCTL_H

#include <linux/compiler.h>
#include <linux/uaccess.h>

#include "internal.h"

union kscope_args {
	u32 size;
	struct kscope_info info;
	struct kscope_op_info op_info;
	struct kscope_scope_create scope_create;
	struct kscope_buf_pin buf_pin;
	struct kscope_buf_unpin buf_unpin;
	struct kscope_buf_reborrow buf_reborrow;
	struct kscope_hash_open hash_open;
	struct kscope_spawn spawn;
	struct kscope_cancel cancel;
	struct kscope_join join;
	struct kscope_release release;
	struct kscope_query query;
	struct kscope_quiesce quiesce;
	struct kscope_eventfd eventfd;
	struct kscope_borrow borrow;
	struct kscope_return give_back;
};

/**
 * struct kscope_call - one ioctl under way
 * @scope: that it is made on; NULL for the device
 * @args: copied in; a handler changes the out fields
 * @user: where they came from
 * @size: what the caller thinks the struct's size is
 */
struct kscope_call {
	struct kscope_scope *scope;
	union kscope_args args;
	void __user *user;
	u32 size;
};

/* ioctl.c */
int kscope_reply(struct kscope_call *call, u32 size);
int kscope_reply_busy(struct kscope_call *call, u32 size, u64 user,
		      const struct kscope_blocker *blockers, u32 nr);
int kscope_args_judge(struct kscope_call *call, u32 size, bool copied);

/**
 * kscope_args_get() - copy the struct of a call in
 * @call: with @user; the rest of it is filled in
 * @size: of the struct that is known here
 *
 * Context: process context; may fault.
 * Return: 0, or why it cannot be had: -EFAULT, -EINVAL if it is smaller, -E2BIG if it says what
 * is not known here.
 */
static __always_inline int kscope_args_get(struct kscope_call *call, u32 size)
{
	if (copy_from_user(&call->args, call->user, size))
		return kscope_args_judge(call, size, false);
	call->size = call->args.size;
	return likely(call->size == size) ? 0 :
					    kscope_args_judge(call, size, true);
}

/* spawn.c */
long kscope_ioctl_spawn(struct kscope_scope *scope, void __user *user);

#endif /* KSCOPE_IOCTL_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * The ABI: a table of commands for each kind of fd, one place that copies arguments in
 * and out, and a handler for each command that checks values and calls the object. No
 * locks here.
 *
 * A handler that makes something (an fd, a handle, children) tells the caller about it
 * before it can be seen, or in the ioctl's return value, so that nothing fails after
 * the fact.
 */
#include <linux/anon_inodes.h>
#include <linux/cpumask.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>

#include <crypto/hash.h>

#include "ioctl.h"

/* Programs were built with these; see also tests/selftests/abi_layout.def. */
static_assert(sizeof(struct kscope_info) == 56);
static_assert(sizeof(struct kscope_op_info) == 72);
static_assert(sizeof(struct kscope_scope_create) == 72);
static_assert(sizeof(struct kscope_buf_pin) == 24);
static_assert(sizeof(struct kscope_buf_unpin) == 24);
static_assert(sizeof(struct kscope_buf_reborrow) == 32);
static_assert(sizeof(struct kscope_hash_open) == 80);
static_assert(sizeof(struct kscope_desc) == 64);
static_assert(sizeof(struct kscope_spawn) == 64);
static_assert(sizeof(struct kscope_cancel) == 32);
static_assert(sizeof(struct kscope_join) == 72);
static_assert(sizeof(struct kscope_release) == 24);
static_assert(sizeof(struct kscope_query) == 128);
static_assert(sizeof(struct kscope_borrow) == 64);
static_assert(sizeof(struct kscope_return) == 16);
static_assert(sizeof(struct kscope_quiesce) == 16);
static_assert(sizeof(struct kscope_eventfd) == 16);
static_assert(sizeof(struct kscope_blocker) == 48);
static_assert(sizeof(struct kscope_completion) == 64);
static_assert(offsetof(struct kscope_ring, records) == 64);

struct command {
	u32 size;
	long (*handle)(struct kscope_call *call);
};

/**
 * kscope_reply() - give the struct of a call back
 * @call: with what the handler has filled in
 * @size: of the struct that is known here
 *
 * Context: process context; may fault.
 * Return: 0 or -EFAULT.
 */
int kscope_reply(struct kscope_call *call, u32 size)
{
	call->args.size = call->size;
	if (copy_to_user(call->user, &call->args, min(size, call->size)))
		return -EFAULT;
	return 0;
}

/**
 * kscope_reply_busy() - name those who are in the way, and refuse
 * @call: to be answered
 * @size: of its struct
 * @user: where the caller wants them
 * @blockers: who they are
 * @nr: how many
 *
 * Context: process context; may fault.
 * Return: -EBUSY, or -EFAULT if the caller cannot be told.
 */
int kscope_reply_busy(struct kscope_call *call, u32 size, u64 user,
		      const struct kscope_blocker *blockers, u32 nr)
{
	if (nr && copy_to_user(u64_to_user_ptr(user), blockers,
			       nr * sizeof(*blockers)))
		return -EFAULT;
	return kscope_reply(call, size) ?: -EBUSY;
}

static long handle_info(struct kscope_call *call)
{
	struct kscope_info *args = &call->args.info;

	if (args->flags)
		return -EINVAL;
	args->abi_version = KSCOPE_ABI_VERSION;
	args->nr_ops = kscope_op_count();
	args->features = KSCOPE_FEATURES_OFFERED;
	args->max_capacity = KSCOPE_MAX_CAPACITY;
	args->max_buffers = KSCOPE_MAX_BUFFERS;
	args->max_hashes = KSCOPE_MAX_HASHES;
	args->max_blocking = KSCOPE_MAX_BLOCKING;
	args->max_buffer_bytes = KSCOPE_MAX_BUF_BYTES;
	args->user_scopes = kscope_max_user_scopes;
	args->user_children = kscope_max_user_children;
	return kscope_reply(call, sizeof(*args));
}

static bool name_is_valid(const u8 *name, size_t size)
{
	return strnlen(name, size) < size;
}

static long handle_op_info(struct kscope_call *call)
{
	struct kscope_op_info *args = &call->args.op_info;
	bool by_name = args->flags & KSCOPE_OP_INFO_BY_NAME;
	int ret;

	if (args->flags & ~KSCOPE_OP_INFO_ALL || args->reserved)
		return -EINVAL;
	if (by_name && !name_is_valid(args->name, sizeof(args->name)))
		return -EINVAL;
	ret = kscope_op_describe(args);
	return ret ?: kscope_reply(call, sizeof(*args));
}

/* What the kernel has no CPUs for is left out, as sched_setaffinity() does. */
static int copy_cpus(const struct kscope_scope_create *args,
		     struct cpumask *cpus)
{
	const void __user *user = u64_to_user_ptr(args->cpus);

	cpumask_clear(cpus);
	if (copy_from_user(cpus, user,
			   min_t(size_t, args->cpus_size, cpumask_size())))
		return -EFAULT;
	return 0;
}

static struct file *scope_file(const struct kscope_scope_create *args,
			       const struct cpumask *cpus,
			       struct kscope_scope *parent)
{
	struct kscope_scope_params params = {
		.kind = args->kind,
		.policy = args->policy,
		.capacity = args->capacity,
		.max_buffers = args->max_buffers,
		.flags = args->flags,
		.deadline_ns = args->deadline_ns,
		.grace_ns = args->grace_ns,
		.max_running = args->max_running,
		.user_data = args->user_data,
		.cpus = cpus,
	};
	struct kscope_scope *scope;
	struct file *file;

	/* Who waits in the parent may come to wait in this one as well. */
	if (parent)
		params.flags |= parent->flags & KSCOPE_SCOPE_NO_HELP;
	scope = kscope_scope_alloc(&params, parent, true);

	if (IS_ERR(scope))
		return ERR_CAST(scope);
	file = anon_inode_getfile("[kscope]", &kscope_scope_fops, scope,
				  O_RDWR);
	if (IS_ERR(file))
		kscope_scope_close(scope);
	return file;
}

static struct file *scope_file_bound(const struct kscope_scope_create *args,
				     struct kscope_scope *parent)
{
	cpumask_var_t cpus;
	struct file *file;
	int ret;

	if (!alloc_cpumask_var(&cpus, KSCOPE_GFP))
		return ERR_PTR(-ENOMEM);
	ret = copy_cpus(args, cpus);
	file = ret ? ERR_PTR(ret) : scope_file(args, cpus, parent);
	free_cpumask_var(cpus);
	return file;
}

static long handle_scope_create(struct kscope_call *call)
{
	struct kscope_scope_create *args = &call->args.scope_create;
	struct kscope_scope *scope;
	struct file *file;
	int fd, ret;

	if (args->flags & ~KSCOPE_SCOPE_TAKEN ||
	    args->cpus_size > KSCOPE_MAX_CPUS_SIZE ||
	    !args->cpus != !args->cpus_size)
		return -EINVAL;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	if (args->cpus)
		file = scope_file_bound(args, call->scope);
	else
		file = scope_file(args, NULL, call->scope);
	if (IS_ERR(file)) {
		ret = PTR_ERR(file);
		goto put_fd;
	}
	scope = file->private_data;
	args->ring_entries = scope->tally.entries;
	args->ring_bytes = scope->ring->bytes;
	ret = kscope_reply(call, sizeof(*args));
	if (ret)
		goto put_file;
	fd_install(fd, file);
	return fd;

put_file:
	fput(file);
put_fd:
	put_unused_fd(fd);
	return ret;
}

static long handle_buf_pin(struct kscope_call *call)
{
	struct kscope_buf_pin *args = &call->args.buf_pin;
	unsigned int access = KSCOPE_ACCESS_READ | KSCOPE_ACCESS_WRITE;
	u64 end;

	if (args->flags & ~KSCOPE_PIN_ALL)
		return -EINVAL;
	if (!args->len || args->len > KSCOPE_MAX_BUF_BYTES)
		return -EINVAL;
	if (check_add_overflow(args->addr, args->len, &end))
		return -EOVERFLOW;
	if (args->flags & KSCOPE_PIN_READ_ONLY)
		access = KSCOPE_ACCESS_READ;
	return kscope_buf_pin(call->scope, args->addr, args->len, access);
}

static long handle_buf_unpin(struct kscope_call *call)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	struct kscope_buf_unpin *args = &call->args.buf_unpin;
	int ret;

	if (args->flags & ~KSCOPE_UNPIN_ALL ||
	    args->nr_blockers > KSCOPE_MAX_BLOCKERS)
		return -EINVAL;
	if (!args->blockers)
		args->nr_blockers = 0;
	ret = kscope_buf_drop(call->scope, args->buf, blockers,
			      &args->nr_blockers);
	if (ret != -EBUSY)
		return ret;
	return kscope_reply_busy(call, sizeof(*args), args->blockers, blockers,
				 args->nr_blockers);
}

static struct kscope_scope *file_scope(const struct file *file)
{
	return file->f_op == &kscope_scope_fops ? file->private_data : NULL;
}

static long handle_buf_reborrow(struct kscope_call *call)
{
	struct kscope_buf_reborrow *args = &call->args.buf_reborrow;
	struct kscope_scope *lender;
	struct file *file;
	long ret = -EINVAL;
	u64 end;

	if (args->flags & ~KSCOPE_REBORROW_ALL || !args->len ||
	    args->len > KSCOPE_MAX_BUF_BYTES)
		return -EINVAL;
	if (check_add_overflow(args->off, args->len, &end))
		return -EOVERFLOW;
	file = fget(args->scope);
	if (!file)
		return -EBADF;
	lender = file_scope(file);
	if (lender)
		ret = kscope_buf_reborrow(call->scope, lender, args);
	fput(file);
	return ret;
}

static int report_hash(struct crypto_shash *tfm, void *arg)
{
	struct kscope_call *call = arg;

	call->args.hash_open.digest_size = crypto_shash_digestsize(tfm);
	call->args.hash_open.block_size = crypto_shash_blocksize(tfm);
	return kscope_reply(call, sizeof(call->args.hash_open));
}

static long handle_hash_open(struct kscope_call *call)
{
	struct kscope_hash_open *args = &call->args.hash_open;

	if (args->flags & ~KSCOPE_HASH_OPEN_ALL)
		return -EINVAL;
	if (!name_is_valid(args->name, sizeof(args->name)))
		return -EINVAL;
	return kscope_hash_open(call->scope, args->name, report_hash, call);
}

static long handle_cancel(struct kscope_call *call)
{
	struct kscope_cancel *args = &call->args.cancel;
	struct kscope_cancel_counts counts;
	int ret;

	if (args->flags & ~KSCOPE_CANCEL_ALL)
		return -EINVAL;
	ret = kscope_reply(call, sizeof(*args));
	if (ret)
		return ret;
	ret = kscope_child_cancel(call->scope, args->what, args->target,
				  &counts);
	if (ret && ret != -EALREADY)
		return ret;
	args->never_started = counts.never_started;
	args->told = counts.told;
	args->already = counts.already;
	/*
	 * It is done. Who takes the struct away between the two replies loses the counts,
	 * and is not told that nothing happened.
	 */
	(void)kscope_reply(call, sizeof(*args));
	return ret;
}

static long handle_join(struct kscope_call *call)
{
	struct kscope_join *args = &call->args.join;
	struct kscope_join_result result;
	int ret;

	if (args->flags & ~KSCOPE_JOIN_ALL)
		return -EINVAL;
	ret = kscope_scope_join(call->scope, args->deadline_ns, &result);
	if (ret)
		return ret;
	args->first_error = result.first_error;
	args->first_child = result.first_child;
	args->first_user_data = result.first_user_data;
	args->cause = result.cause;
	args->decider_child = result.decider_child;
	args->decider_user_data = result.decider_user_data;
	args->nr_failed = result.nr_failed;
	args->nr_cancelled = result.nr_cancelled;
	return kscope_reply(call, sizeof(*args));
}

static long handle_quiesce(struct kscope_call *call)
{
	struct kscope_quiesce *args = &call->args.quiesce;

	if (args->flags & ~KSCOPE_QUIESCE_ALL)
		return -EINVAL;
	return kscope_scope_quiesce(call->scope, args->deadline_ns);
}

static long handle_release(struct kscope_call *call)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	struct kscope_release *args = &call->args.release;
	int ret;

	if (args->flags & ~KSCOPE_RELEASE_ALL || args->reserved ||
	    args->nr_blockers > KSCOPE_MAX_BLOCKERS)
		return -EINVAL;
	if (!args->blockers)
		args->nr_blockers = 0;
	ret = kscope_scope_end(call->scope, blockers, &args->nr_blockers);
	if (ret != -EBUSY)
		return ret;
	return kscope_reply_busy(call, sizeof(*args), args->blockers, blockers,
				 args->nr_blockers);
}

static long handle_query(struct kscope_call *call)
{
	struct kscope_query *args = &call->args.query;
	int ret;

	if (args->flags)
		return -EINVAL;
	kscope_scope_query(call->scope, args);
	ret = kscope_reply(call, sizeof(*args));
	if (!ret)
		kscope_scope_told(call->scope, args->violations);
	return ret;
}

static long handle_eventfd(struct kscope_call *call)
{
	struct kscope_eventfd *args = &call->args.eventfd;
	struct eventfd_ctx *event = NULL;

	if (args->flags & ~KSCOPE_EVENTFD_ALL || args->reserved ||
	    args->fd < -1)
		return -EINVAL;
	if (args->fd >= 0)
		event = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(event))
		return PTR_ERR(event);
	kscope_event_set(call->scope, event);
	return 0;
}

static int borrow_check(const struct kscope_borrow *args)
{
	u64 end;

	if (args->flags & ~KSCOPE_BORROW_ALL || args->reserved)
		return -EINVAL;
	if (!args->access || args->access & ~KSCOPE_ACCESS_ALL || !args->len ||
	    args->nr_blockers > KSCOPE_MAX_BLOCKERS)
		return -EINVAL;
	if (args->deadline_ns && !(args->flags & KSCOPE_BORROW_WAIT))
		return -EINVAL;
	return check_add_overflow(args->off, args->len, &end) ? -EOVERFLOW : 0;
}

static long handle_borrow(struct kscope_call *call)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	struct kscope_borrow *args = &call->args.borrow;
	int ret = borrow_check(args);

	if (ret)
		return ret;
	if (!args->blockers)
		args->nr_blockers = 0;
	ret = kscope_loan_take(call->scope, args, blockers);
	if (ret == -EBUSY)
		return kscope_reply_busy(call, sizeof(*args), args->blockers,
					 blockers, args->nr_blockers);
	if (ret)
		return ret;
	args->nr_blockers = 0;
	ret = kscope_reply(call, sizeof(*args));
	if (ret)
		kscope_loan_return(call->scope, args->lease);
	return ret;
}

static long handle_return(struct kscope_call *call)
{
	const struct kscope_return *args = &call->args.give_back;

	if (args->flags & ~KSCOPE_RETURN_ALL)
		return -EINVAL;
	return kscope_loan_return(call->scope, args->lease);
}

#define COMMAND(number, type, handler) \
	[_IOC_NR(number)] = {          \
		.size = sizeof(type),  \
		.handle = handler,     \
	}

static const struct command device_commands[] = {
	COMMAND(KSCOPE_IOC_INFO, struct kscope_info, handle_info),
	COMMAND(KSCOPE_IOC_OP_INFO, struct kscope_op_info, handle_op_info),
	COMMAND(KSCOPE_IOC_SCOPE_CREATE, struct kscope_scope_create,
		handle_scope_create),
};

static const struct command scope_commands[] = {
	COMMAND(KSCOPE_IOC_SCOPE_CREATE, struct kscope_scope_create,
		handle_scope_create),
	COMMAND(KSCOPE_IOC_BUF_PIN, struct kscope_buf_pin, handle_buf_pin),
	COMMAND(KSCOPE_IOC_BUF_UNPIN, struct kscope_buf_unpin,
		handle_buf_unpin),
	COMMAND(KSCOPE_IOC_HASH_OPEN, struct kscope_hash_open,
		handle_hash_open),
	COMMAND(KSCOPE_IOC_CANCEL, struct kscope_cancel, handle_cancel),
	COMMAND(KSCOPE_IOC_JOIN, struct kscope_join, handle_join),
	COMMAND(KSCOPE_IOC_RELEASE, struct kscope_release, handle_release),
	COMMAND(KSCOPE_IOC_QUERY, struct kscope_query, handle_query),
	COMMAND(KSCOPE_IOC_QUIESCE, struct kscope_quiesce, handle_quiesce),
	COMMAND(KSCOPE_IOC_EVENTFD, struct kscope_eventfd, handle_eventfd),
	COMMAND(KSCOPE_IOC_BORROW, struct kscope_borrow, handle_borrow),
	COMMAND(KSCOPE_IOC_RETURN, struct kscope_return, handle_return),
	COMMAND(KSCOPE_IOC_BUF_REBORROW, struct kscope_buf_reborrow,
		handle_buf_reborrow),
};

/**
 * kscope_args_judge() - why the struct of a call cannot be had
 * @call: whose size is not the one that is known here, or whose struct cannot be read
 * @size: known here
 * @copied: it could be read that far
 *
 * What is refused for its size need not be readable to its end.
 *
 * Context: process context; may fault.
 * Return: -EFAULT, -EINVAL, -E2BIG; or 0 if it can be had although it is larger.
 */
noinline int kscope_args_judge(struct kscope_call *call, u32 size, bool copied)
{
	int ret;

	if (!copied && get_user(call->size, (u32 __user *)call->user))
		return -EFAULT;
	if (call->size < size)
		return -EINVAL;
	if (call->size > PAGE_SIZE)
		return -E2BIG;
	if (!copied)
		return -EFAULT;
	ret = check_zeroed_user(call->user + size, call->size - size);
	if (ret < 0)
		return ret;
	return ret ? 0 : -E2BIG;
}

static __always_inline long dispatch(struct kscope_scope *scope,
				     const struct command *commands, u32 nr,
				     unsigned int cmd, void __user *user)
{
	struct kscope_call call __uninitialized;
	const struct command *command;
	int ret;

	cmd -= _IO(KSCOPE_IOC_MAGIC, 0);
	if (cmd >= nr)
		return -ENOTTY;
	command = &commands[array_index_nospec(cmd, nr)];
	if (!command->handle)
		return -ENOTTY;
	call.scope = scope;
	call.user = user;
	ret = kscope_args_get(&call, command->size);
	return ret ?: command->handle(&call);
}

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return dispatch(NULL, device_commands, ARRAY_SIZE(device_commands), cmd,
			(void __user *)arg);
}

static noinline long scope_ioctl(struct kscope_scope *scope, unsigned int cmd,
				 void __user *user)
{
	return dispatch(scope, scope_commands, ARRAY_SIZE(scope_commands), cmd,
			user);
}

/**
 * kscope_scope_ioctl() - the commands of a scope's fd
 * @file: of the scope
 * @cmd: KSCOPE_IOC_*
 * @arg: address of the argument struct
 *
 * Context: process context; may sleep.
 * Return: what the command returns, -ENOTTY if there is none.
 */
long kscope_scope_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct kscope_scope *scope = file->private_data;
	void __user *user = (void __user *)arg;

	if (likely(cmd == KSCOPE_IOC_SPAWN))
		return kscope_ioctl_spawn(scope, user);
	return scope_ioctl(scope, cmd, user);
}

const struct file_operations kscope_device_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

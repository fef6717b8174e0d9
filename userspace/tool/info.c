// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kscope.h"
#include "tool.h"

static const char *yes_no(__u64 bit)
{
	return bit ? "yes" : "no";
}

static void print_limits(const struct kscope_info *info)
{
	static const struct {
		__u64 bit;
		const char *name;
	} features[] = {
		{ KSCOPE_FEATURE_ORDERED, "ordered scopes" },
		{ KSCOPE_FEATURE_FILES, "file operations" },
		{ KSCOPE_FEATURE_HASH, "hashes" },
		{ KSCOPE_FEATURE_INLINE, "inline scopes" },
		{ KSCOPE_FEATURE_HELP, "waiters that help" },
		{ KSCOPE_FEATURE_POLICIES, "policies" },
		{ KSCOPE_FEATURE_DEADLINE, "deadlines of scopes" },
		{ KSCOPE_FEATURE_GUARD, "violations are seen" },
		{ KSCOPE_FEATURE_FENCE, "exit fence" },
		{ KSCOPE_FEATURE_LEASES, "leases on ranges" },
		{ KSCOPE_FEATURE_NESTED, "nested scopes" },
		{ KSCOPE_FEATURE_MAX_RUNNING, "limit of running children" },
		{ KSCOPE_FEATURE_AFTER, "children after others" },
		{ KSCOPE_FEATURE_CHILD_DEADLINE, "deadlines of children" },
		{ KSCOPE_FEATURE_SHIELDED, "shielded children" },
		{ KSCOPE_FEATURE_STUCK, "stuck children are named" },
		{ KSCOPE_FEATURE_AFFINITY, "CPU affinity of scopes" },
	};
	size_t i;

	printf("\nFeatures\n");
	for (i = 0; i < ARRAY_SIZE(features); i++)
		printf("  %-36s %s\n", features[i].name,
		       yes_no(info->features & features[i].bit));
	printf("\nLimits\n");
	printf("  %-36s %u\n", "children of a scope", info->max_capacity);
	printf("  %-36s %u\n", "blocking children at a time",
	       info->max_blocking);
	printf("  %-36s %u\n", "buffers of a scope", info->max_buffers);
	printf("  %-36s %u\n", "hashes of a scope", info->max_hashes);
	printf("  %-36s %llu MiB\n", "bytes of a buffer",
	       (unsigned long long)info->max_buffer_bytes >> 20);
	printf("  %-36s %u\n", "scopes of a user", info->user_scopes);
	printf("  %-36s %u\n", "children of a user", info->user_children);
}

static const char *access_str(const struct kscope_op_info *op,
			      unsigned int range)
{
	static const char *const names[] = { "-", "read", "write",
					     "read+write" };

	return range < op->nr_ranges ? names[op->access[range] & 3] : "-";
}

static void print_op(const struct kscope_op_info *op)
{
	printf("  %5u  %-16.*s %-11s %-11s %-5s %-5s %s\n", op->op,
	       KSCOPE_NAME_LEN, op->name, access_str(op, 0), access_str(op, 1),
	       yes_no(op->attributes & KSCOPE_OP_TAKES_FILE),
	       yes_no(op->attributes & KSCOPE_OP_TAKES_HASH),
	       yes_no(op->attributes & KSCOPE_OP_BLOCKS));
}

static int print_ops(int dev, unsigned int nr)
{
	struct kscope_op_info op;
	unsigned int i;
	int ret;

	printf("\nOperations\n");
	printf("  %5s  %-16s %-11s %-11s %-5s %-5s %s\n", "no.", "name",
	       "range 1", "range 2", "file", "hash", "may block");
	for (i = 0; i < nr; i++) {
		ret = kscope_op_at(dev, i, &op);
		if (ret == -ENOENT)
			break;
		if (ret)
			return ret;
		print_op(&op);
	}
	return 0;
}

static int print_info(int dev)
{
	struct kscope_info info;
	int ret = kscope_info(dev, &info);

	if (ret)
		return ret;
	printf("kscope %s, interface %u of the module, %d of this program\n",
	       KSCOPE_VERSION, info.abi_version, KSCOPE_ABI_VERSION);
	print_limits(&info);
	return print_ops(dev, info.nr_ops);
}

static int show_info(void)
{
	int dev = device_open();
	int ret;

	if (dev < 0)
		return EXIT_FAILURE;
	ret = print_info(dev);
	kscope_close(dev);
	if (ret)
		message("/dev/kscope: %s", strerror(-ret));
	return output_finish() && !ret ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_info(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int opt;

	message_prefix = "kscope info";
	opt = getopt_long(argc, argv, "h", options, NULL);
	if (opt == 'h') {
		puts("Usage: kscope info\n"
		     "Show the version, the limits and the operations of the loaded module.");
		return output_finish() ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	if (opt == -1 && optind == argc)
		return show_info();
	fputs("Try 'kscope info --help' for more information.\n", stderr);
	return EXIT_FAILURE;
}

// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "kscope.h"
#include "tool.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "copy", cmd_copy },
	{ "info", cmd_info },
	{ "sum", cmd_sum },
};

static void usage(FILE *to)
{
	fputs("Usage: kscope COMMAND [OPTION]... [ARGUMENT]...\n"
	      "Scoped asynchronous work on pinned memory, done by the kernel.\n"
	      "\n"
	      "Commands:\n"
	      "  copy   copy a file, as cp does\n"
	      "  info   show the module's version, operations and limits\n"
	      "  sum    print or check digests of files, as sha256sum does\n"
	      "\n"
	      "Options:\n"
	      "  -h, --help     show this; 'kscope COMMAND --help' for a command\n"
	      "  -V, --version  show the version\n",
	      to);
}

static int usage_error(void)
{
	fputs("Try 'kscope --help' for more information.\n", stderr);
	return EXIT_FAILURE;
}

static int run_command(int argc, char **argv)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[0], commands[i].name))
			return commands[i].run(argc, argv);
	message("unknown command '%s'", argv[0]);
	return usage_error();
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int opt;

	setlocale(LC_CTYPE, "");
	opt = getopt_long(argc, argv, "+hV", options, NULL);
	switch (opt) {
	case -1:
		break;
	case 'h':
		usage(stdout);
		return output_finish() ? EXIT_SUCCESS : EXIT_FAILURE;
	case 'V':
		puts("kscope " KSCOPE_VERSION);
		return output_finish() ? EXIT_SUCCESS : EXIT_FAILURE;
	default:
		return usage_error();
	}
	if (optind == argc) {
		message("a command is missing");
		return usage_error();
	}
	argc -= optind;
	argv += optind;
	optind = 0;
	return run_command(argc, argv);
}

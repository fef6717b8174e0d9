// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "sum.h"
#include "tool.h"

static const struct algorithm algorithms[] = {
	{ "sha256", "sha256", "SHA256" },   { "sha224", "sha224", "SHA224" },
	{ "sha384", "sha384", "SHA384" },   { "sha512", "sha512", "SHA512" },
	{ "sha1", "sha1", "SHA1" },	    { "md5", "md5", "MD5" },
	{ "b2", "blake2b-512", "BLAKE2b" },
};

enum {
	OPT_QUIET = 256,
	OPT_STATUS,
	OPT_STRICT,
	OPT_IGNORE_MISSING,
};

static const struct option long_options[] = {
	{ "algorithm", required_argument, NULL, 'a' },
	{ "binary", no_argument, NULL, 'b' },
	{ "check", no_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },
	{ "ignore-missing", no_argument, NULL, OPT_IGNORE_MISSING },
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ "status", no_argument, NULL, OPT_STATUS },
	{ "strict", no_argument, NULL, OPT_STRICT },
	{ "text", no_argument, NULL, 't' },
	{ "warn", no_argument, NULL, 'w' },
	{ "zero", no_argument, NULL, 'z' },
	{ 0 },
};

static void usage(void)
{
	puts("Usage: kscope sum [OPTION]... [FILE]...\n"
	     "Print or check digests of files as sha256sum and its kin do; the files are read\n"
	     "and digested in the kernel by children of a scope, in parallel.\n"
	     "With no FILE, or when FILE is -, read standard input.\n"
	     "\n"
	     "  -a, --algorithm=ALGO  sha256 (default), md5, sha1, sha224, sha384, sha512, b2\n"
	     "                        (BLAKE2b-512), or a hash of the kernel by its name\n"
	     "  -b, --binary          mark lines with '*'; files are read as they are anyway\n"
	     "  -c, --check           read checksums from the FILEs and check them\n"
	     "  -t, --text            mark lines with a space (default)\n"
	     "  -z, --zero            end lines with NUL, and do not escape file names\n"
	     "  -h, --help            show this\n"
	     "\n"
	     "With --check only:\n"
	     "      --ignore-missing  say nothing of files that are not there\n"
	     "      --quiet           print no OK\n"
	     "      --status          print nothing; the exit status says it\n"
	     "      --strict          fail for improperly formatted lines\n"
	     "  -w, --warn            warn of each improperly formatted line");
}

static void set_algorithm(struct sum_options *options, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(algorithms); i++) {
		if (!strcmp(name, algorithms[i].name)) {
			options->algorithm = algorithms[i];
			return;
		}
	}
	options->algorithm = (struct algorithm){ name, name, name };
}

/* Of quiet, status and warn the last one holds. */
static void set_verbosity(struct sum_options *options, int opt)
{
	options->quiet = opt == OPT_QUIET;
	options->status = opt == OPT_STATUS;
	options->warn = opt == 'w';
}

static bool set_option(struct sum_options *options, int opt)
{
	switch (opt) {
	case 'a':
		set_algorithm(options, optarg);
		return true;
	case 'b':
		options->binary = true;
		options->text = false;
		return true;
	case 't':
		options->text = true;
		options->binary = false;
		return true;
	case 'c':
		options->check = true;
		return true;
	case 'z':
		options->zero = true;
		return true;
	case OPT_STRICT:
		options->strict = true;
		return true;
	case OPT_IGNORE_MISSING:
		options->ignore_missing = true;
		return true;
	case OPT_QUIET:
	case OPT_STATUS:
	case 'w':
		set_verbosity(options, opt);
		return true;
	}
	return false;
}

static int usage_error(void)
{
	fputs("Try 'kscope sum --help' for more information.\n", stderr);
	return EXIT_FAILURE;
}

static const char *check_only(const struct sum_options *options)
{
	if (options->ignore_missing)
		return "--ignore-missing";
	if (options->status)
		return "--status";
	if (options->warn)
		return "--warn";
	if (options->quiet)
		return "--quiet";
	return options->strict ? "--strict" : NULL;
}

static int validate(const struct sum_options *options)
{
	const char *stray = options->check ? NULL : check_only(options);

	if (options->check && options->zero)
		message("the --zero option is not supported when verifying checksums");
	else if (options->check && (options->binary || options->text))
		message("the --binary and --text options are meaningless when verifying checksums");
	else if (stray)
		message("the %s option is meaningful only when verifying checksums",
			stray);
	else
		return -1;
	return usage_error();
}

int sum_parse(int argc, char **argv, struct sum_options *options)
{
	int opt;

	*options = (struct sum_options){ .algorithm = algorithms[0] };
	while ((opt = getopt_long(argc, argv, "a:bchtwz", long_options,
				  NULL)) != -1) {
		if (opt == 'h') {
			usage();
			return output_finish() ? EXIT_SUCCESS : EXIT_FAILURE;
		}
		if (!set_option(options, opt))
			return usage_error();
	}
	return validate(options);
}

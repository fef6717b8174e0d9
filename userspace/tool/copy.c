// SPDX-License-Identifier: GPL-2.0
/* `kscope copy`: options, the two files, and what to say. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"
#include "tool.h"

struct copy_options {
	bool verify;
	bool cached;
};

static const struct option long_options[] = {
	{ "cached", no_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },
	{ "verify", no_argument, NULL, 'v' },
	{ 0 },
};

static void usage(void)
{
	puts("Usage: kscope copy [OPTION]... SOURCE DEST\n"
	     "Copy a file as cp does; it is read and written in the kernel by children of a\n"
	     "scope, several pieces at the same time, past the page cache where that can be.\n"
	     "If DEST is a directory, copy into it.\n"
	     "\n"
	     "  -c, --cached  go through the page cache\n"
	     "  -v, --verify  read both files again, and compare them\n"
	     "  -h, --help    show this");
}

static int usage_error(void)
{
	fputs("Try 'kscope copy --help' for more information.\n", stderr);
	return EXIT_FAILURE;
}

/* Return: -1 to go on, or the exit status */
static int parse(int argc, char **argv, struct copy_options *options)
{
	int opt;

	*options = (struct copy_options){};
	while ((opt = getopt_long(argc, argv, "chv", long_options, NULL)) !=
	       -1) {
		switch (opt) {
		case 'c':
			options->cached = true;
			break;
		case 'v':
			options->verify = true;
			break;
		case 'h':
			usage();
			return output_finish() ? EXIT_SUCCESS : EXIT_FAILURE;
		default:
			return usage_error();
		}
	}
	if (argc - optind == 2)
		return -1;
	message(argc == optind	   ? "missing file operand" :
		argc - optind == 1 ? "missing destination file operand" :
				     "more than two file operands");
	return usage_error();
}

/* ---- The files ---- */

static bool fail(const char *what, const struct side *side)
{
	message("cannot %s %s: %s", what, quote_name(side->name),
		strerror(errno));
	return false;
}

/* What READ and WRITE work on */
static bool is_fit(const struct side *side)
{
	if (S_ISREG(side->st.st_mode) || S_ISBLK(side->st.st_mode))
		return true;
	message("%s is neither a file nor a block device; use cp",
		quote_name(side->name));
	return false;
}

/* The same file, whatever its name stands for by now. Return: -1 if that cannot be */
static int open_direct(int fd, int access)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, access | O_DIRECT | O_CLOEXEC);
}

static bool open_source(struct side *side, bool cached)
{
	side->fd = open(side->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (side->fd < 0)
		return fail("open", side);
	if (fstat(side->fd, &side->st))
		return fail("stat", side);
	if (!is_fit(side))
		return false;
	if (!cached)
		side->direct = open_direct(side->fd, O_RDONLY);
	return true;
}

static bool is_same(const struct side *from, const struct stat *to)
{
	return from->st.st_dev == to->st_dev && from->st.st_ino == to->st_ino;
}

/* The name in the directory; lives as long as the program */
static const char *name_in(const char *directory, const char *source)
{
	const char *slash = strrchr(source, '/');
	char *name;

	if (asprintf(&name, "%s/%s", directory, slash ? slash + 1 : source) < 0)
		return NULL;
	return name;
}

/* Nothing is truncated before it is known that this is another file. */
static bool open_dest(struct side *side, const struct side *from,
		      const struct copy_options *options)
{
	mode_t mode = S_ISREG(from->st.st_mode) ? from->st.st_mode & 0777 :
						  0666;
	int access = options->verify ? O_RDWR : O_WRONLY;
	struct stat st;

	if (!stat(side->name, &st) && S_ISDIR(st.st_mode))
		side->name = name_in(side->name, from->name);
	if (!side->name)
		return false;
	side->fd = open(side->name,
			access | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			mode);
	if (side->fd < 0)
		return fail("create", side);
	if (fstat(side->fd, &side->st))
		return fail("stat", side);
	if (is_same(from, &side->st)) {
		message("%s is the source itself", quote_name(side->name));
		return false;
	}
	if (!is_fit(side))
		return false;
	if (S_ISREG(side->st.st_mode) && ftruncate(side->fd, 0))
		return fail("truncate", side);
	if (!options->cached)
		side->direct = open_direct(side->fd, access);
	return true;
}

/* A file system may say only now that it could not write. */
static bool side_close(struct side *side)
{
	bool well = side->fd < 0 || !close(side->fd) || fail("close", side);

	if (side->direct >= 0)
		close(side->direct);
	return well;
}

/* ---- Copying ---- */

static bool copy_and_verify(struct copier *copier, struct side *from,
			    struct side *to, bool verify)
{
	__u64 end;

	progress_start(S_ISREG(from->st.st_mode) ? (__u64)from->st.st_size : 0);
	if (copy_bytes(copier, from, to, &end))
		return false;
	if (S_ISREG(to->st.st_mode) && ftruncate(to->fd, (off_t)end))
		return fail("set the length of", to);
	if (!verify)
		return true;
	progress_start(end);
	return !verify_bytes(copier, from, to, end);
}

static bool copy(const struct copy_options *options, struct side *from,
		 struct side *to)
{
	struct copier copier;
	bool well = !copier_open(&copier);

	if (well)
		well = open_source(from, options->cached) &&
		       open_dest(to, from, options) &&
		       copy_and_verify(&copier, from, to, options->verify);
	progress_clear();
	copier_close(&copier);
	return well;
}

int cmd_copy(int argc, char **argv)
{
	struct side from = { .fd = -1, .direct = -1 };
	struct side to = { .fd = -1, .direct = -1 };
	struct copy_options options;
	bool well;
	int ret;

	message_prefix = "kscope copy";
	ret = parse(argc, argv, &options);
	if (ret >= 0)
		return ret;
	if (stop_install()) {
		message("cannot catch signals: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	from.name = argv[optind];
	to.name = argv[optind + 1];
	well = copy(&options, &from, &to);
	side_close(&from);
	well = side_close(&to) && well;
	if (stop_signal)
		stop_raise();
	return well ? EXIT_SUCCESS : EXIT_FAILURE;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The headline tests: what io_uring leaves open, and what kscope makes of it, side by
 * side in one guest (make hazards). A row fails if kscope breaks a promise. What
 * io_uring does is printed as it is found; none of it is a bug, as it promises no more.
 *
 * What makes the comparison fair. In each row both columns do the same around the same
 * request: a page is read from the same disk. Nobody can take a read back from a disk
 * that has it, so waiting for it or letting it go on is all that the two can do. The
 * disk is a virtio disk that takes 0.2 s for each read (tests/vm/run --slow-disk), much
 * longer than anything else that the machine does, and a row begins when it has the
 * request. io_uring gets what makes it strongest where there is a choice: registered
 * buffers, which it pins as kscope does, and O_DIRECT. Only row B2 is about memory that
 * is not registered, read through the page cache, as io_uring then copies to an address;
 * with O_DIRECT it would have pinned the page. Both are watched by the same eyes: the
 * program takes its memory as its own, fills it, and sees whether and when somebody else
 * writes to it.
 *
 * Read the rows as follows.
 * A	Can a buffer be taken back while a read into it is in flight? UNREGISTER_BUFFERS
 *	waits for the read on Linux 6.1 and 6.12, and no longer on 6.18; emptying its
 *	place (BUFFERS_UPDATE) waits on neither. kscope refuses, and says who is in the
 *	way.
 * B	The program unmaps a registered buffer under a read, and waits for the data at the same
 *	address. Both read into the page that was there before, so nothing comes. io_uring
 *	reports success; kscope says so at once (POLLERR, a count, SIGBUS on demand), and in
 *	the completion.
 * B2	The program unmaps memory under a read and gets the same address again for
 *	something else. That kscope writes to pages and not to addresses helps only if
 *	the memory has gone back to the kernel: a malloc() that hands out the same page
 *	again is to ask BUF_UNPIN first, which refuses as in row A.
 * C	Is the memory free when close() has returned? io_uring's returns at once, and
 *	after it nobody can tell when the request ends. kscope's takes as long as the
 *	read: it waits.
 * D	The owner is killed, its memory is shared with a process that lives on. Neither
 *	of them keeps waitpid() waiting, and the read goes on for as long in both. kscope
 *	promises that the pages stay pinned until it has ended; with a registered buffer
 *	io_uring does the same. A scope with a fence promises more: waitpid() returns when
 *	nothing touches the memory any more.
 * E	The program writes the buffer to a file while a read into it is in flight. io_uring
 *	takes both, and reports success for both; what is in the file is as it happens.
 *	kscope refuses the second, names the first, and takes it when that has ended.
 * F	Whom does a cancel hit, and what does it need? The request is one that can be
 *	cancelled: a timer that would run for an hour. A program that never uses a
 *	user_data twice is safe with both.
 *
 * A new row is a line in the table below, a name in enum hazard, and a function each in
 * kscope.c and uring.c.
 */
#include <sys/utsname.h>

#include "hazards.h"

static const struct {
	const char *letter;
	const char *title;
} rows[NR_HAZARDS] = {
	[UNPIN] = { "A", "take a buffer back under a read" },
	[LOSE] = { "B", "unmap a registered buffer under a read" },
	[REUSE] = { "B2", "unmap and reuse memory under a read" },
	[CLOSE] = { "C", "close the fd under a read" },
	[KILL] = { "D", "kill the owner of a read" },
	[MIX] = { "E", "write a buffer to a file under a read" },
	[CANCEL] = { "F", "cancel" },
};

static const char *broken; /* the first promise that was */

void wrong(const char *what)
{
	if (!broken)
		broken = what;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(double *figures)
{
	qsort(figures, NR_RUNS, sizeof(*figures), compare);
	return figures[NR_RUNS / 2];
}

/* Prints a column. False if it has nothing to say. */
static bool column(const char *name, int (*show)(void))
{
	int ret;

	printf(" | %s: ", name);
	fflush(stdout);
	ret = show();
	if (ret)
		printf("could not be tried: %s", ret_str(ret));
	return !ret;
}

static bool row(enum hazard hazard)
{
	printf("%-2s %s", rows[hazard].letter, rows[hazard].title);
	if (uring_column.show[hazard])
		column("io_uring", uring_column.show[hazard]);
	broken = NULL;
	if (!column("kscope", kscope_column.show[hazard]))
		wrong("it could be tried");
	if (broken)
		printf(" | FAIL: it does not hold that %s\n", broken);
	else
		printf(" | ok\n");
	return !broken;
}

/* Usage: hazards DISK */
int main(int argc, char **argv)
{
	unsigned int hazard, failed = 0;
	struct utsname name;

	if (argc != 2)
		return fprintf(stderr, "usage: hazards DISK\n"), 2;
	disk_path = argv[1];
	uname(&name);
	printf("Linux %s; a read takes 200 ms; medians of %d\n", name.release,
	       NR_RUNS);
	for (hazard = 0; hazard < NR_HAZARDS; hazard++)
		failed += !row(hazard);
	return failed ? 1 : 0;
}

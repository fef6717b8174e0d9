// SPDX-License-Identifier: GPL-2.0
/*
 * bench [option]... BENCH...
 *   -u UNIT     of time, as it is called in the rows (ns)
 *   -s SUBJECT  measure only this one
 *   -b BATCH    measure spawning in batches, and scopes, of this size only
 *   -n TURNS    of each subject (7)
 *   -t MS       that a turn takes (20)
 */
#include <string.h>
#include <unistd.h>

#include "bench.h"

static const struct {
	const char *name;
	void (*run)(void);
} benches[] = {
	{ "clock", bench_clock },
	{ "spawn", bench_spawn },
	{ "latency", bench_latency },
	{ "lease", bench_lease },
	{ "scope", bench_scope },
	{ "cancel", bench_cancel },
	{ "growth-children", bench_growth_children },
	{ "growth-scopes", bench_growth_scopes },
	{ "pin", bench_pin },
	{ "memory", bench_memory },
	{ "copy", bench_copy },
	{ "copy8", bench_copy8 },
	{ "crc32c", bench_crc32c },
	{ "sha256", bench_sha256 },
	{ "file-read-buffered", bench_file_read_buffered },
	{ "file-read-direct", bench_file_read_direct },
};

static void run(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(benches); i++) {
		if (strcmp(name, benches[i].name) == 0) {
			printf("bench %s\n", name);
			benches[i].run();
			return;
		}
	}
	die("no such bench: %s", name);
}

static unsigned long parse_number(const char *text, unsigned long max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || !value || value > max)
		die("not from 1 to %lu: %s", max, text);
	return value;
}

int main(int argc, char **argv)
{
	int option;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((option = getopt(argc, argv, "u:s:b:n:t:")) != -1) {
		if (option == 'u')
			settings.unit = optarg;
		else if (option == 's')
			settings.subject = optarg;
		else if (option == 'b')
			settings.batch = parse_number(optarg, 4096);
		else if (option == 'n')
			settings.turns = (unsigned int)parse_number(optarg, 32);
		else if (option == 't')
			settings.turn_ns =
				parse_number(optarg, 10000) * 1000000;
		else
			return 2;
	}
	for (int i = optind; i < argc; i++)
		run(argv[i]);
	return 0;
}

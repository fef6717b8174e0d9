// SPDX-License-Identifier: GPL-2.0
/* bench [-u UNIT of time] [-s SUBJECT, and no other] BENCH... */
#include <string.h>
#include <unistd.h>

#include "bench.h"

static const struct {
	const char *name;
	void (*run)(void);
} benches[] = {
	{ "spawn", bench_spawn },
	{ "latency", bench_latency },
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

int main(int argc, char **argv)
{
	int option;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((option = getopt(argc, argv, "u:s:")) != -1) {
		if (option == 'u')
			time_unit = optarg;
		else if (option == 's')
			only_subject = optarg;
		else
			return 2;
	}
	for (int i = optind; i < argc; i++)
		run(argv[i]);
	return 0;
}

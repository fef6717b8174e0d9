// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <unistd.h>

#include "kscope.h"
#include "tool.h"

#define INTERVAL_NS 200000000ULL
#define BAR_WIDTH 30

static bool enabled;
static bool drawn;
static unsigned long long total_bytes;
static __u64 started_ns;
static __u64 next_ns;

void progress_start(unsigned long long total)
{
	enabled = isatty(STDERR_FILENO);
	total_bytes = total;
	started_ns = kscope_now_ns();
	next_ns = started_ns + 2 * INTERVAL_NS;
}

bool progress_enabled(void)
{
	return enabled;
}

static void draw_bar(unsigned long long bytes)
{
	unsigned int percent = 100;
	char bar[BAR_WIDTH + 1];
	unsigned int i;

	if (bytes < total_bytes)
		percent = (unsigned int)(bytes * 100.0 / total_bytes);
	for (i = 0; i < BAR_WIDTH; i++)
		bar[i] = i * 100 < percent * BAR_WIDTH ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, " [%s] %3u%%", bar, percent);
}

void progress_show(unsigned long long bytes)
{
	__u64 now = kscope_now_ns();
	double rate;

	if (!enabled || now < next_ns)
		return;
	next_ns = now + INTERVAL_NS;
	rate = bytes * 1e3 / (double)(now - started_ns);
	fprintf(stderr, "\r%10.1f MB", bytes / 1e6);
	if (total_bytes)
		draw_bar(bytes);
	fprintf(stderr, " %8.1f MB/s\033[K", rate);
	fflush(stderr);
	drawn = true;
}

void progress_clear(void)
{
	if (!drawn)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	drawn = false;
}

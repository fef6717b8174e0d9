/* SPDX-License-Identifier: GPL-2.0 */
/* What the commands of the tool share. */
#ifndef KSCOPE_TOOL_H
#define KSCOPE_TOOL_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Commands: argv[0] is the command's name; they return the exit status. */
int cmd_copy(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_sum(int argc, char **argv);

/* ---- message.c ---- */

/* Goes in front of every message: "kscope", then "kscope sum". */
extern const char *message_prefix;

/* Print "PREFIX: MESSAGE" and a newline to stderr, after what stdout holds. */
void message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Open the device. If that fails: say so, and what to do; returns -errno. */
int device_open(void);

/* Explain that memory cannot be pinned, and what to do. */
void message_memlock(void);

/* After a line: remember why it could not be written. */
void output_check(void);

/* Flush stdout. false, after a message, if anything could not be written. */
bool output_finish(void);

/* ---- quote.c ---- */

/* The name as coreutils show it in messages. Valid until the next call. */
const char *quote_name(const char *name);

/* Does the name have to be escaped in a list of checksums? */
bool name_is_odd(const char *name);

/* Print a name to stdout, \n, \r and backslash escaped if @escape. */
void print_name(const char *name, bool escape);

/* Undo the escapes, in place. false if one is not valid. */
bool unescape_name(char *name);

/* ---- stop.c ---- */

/* The signal that asked the tool to end, or 0. */
extern volatile sig_atomic_t stop_signal;

/* Catch SIGINT, SIGTERM and SIGHUP. Returns 0 or -errno. */
int stop_install(void);

/* These, as far as they are caught. */
const sigset_t *stop_set(void);

/* Becomes readable with the signal. */
int stop_fd(void);

/* End as the signal would have ended the tool. */
__attribute__((noreturn)) void stop_raise(void);

/* ---- progress.c ---- */

/* Show progress if stderr is a terminal. @total: bytes to come, or 0. */
void progress_start(unsigned long long total);
bool progress_enabled(void);

/* Draw, at most a few times a second. @bytes: done so far. */
void progress_show(unsigned long long bytes);

/* Make the line empty, before other output and at the end. */
void progress_clear(void);

#endif /* KSCOPE_TOOL_H */

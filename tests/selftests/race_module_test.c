// SPDX-License-Identifier: GPL-2.0
/*
 * The modules are unloaded and loaded again while programs open the device, make scopes
 * and close them. An unload says that somebody is there, or takes effect, and nothing in
 * between. In the end all is loaded as it was, with the same parameters.
 */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "kselftest_harness.h"
#include "fault_nth.h"
#include "race_loop.h"

#define OPENERS 2
#define MAX_PARAMETERS 16
#define OWN_POINTS 120
#define NO_POINT 1000000

static const char *const modules[] = { "kscope", "kscope_gate" };

struct parameter {
	char path[128], value[64];
};

FIXTURE(unload)
{
	struct race race;
	struct parameter parameters[MAX_PARAMETERS];
	unsigned int nr_parameters;
	bool has[2]; /* of modules */
	unsigned int unloaded, refused;
	unsigned int *opened; /* shared with the openers */
	pid_t openers[OPENERS];
};

static bool module_is_there(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	return !access(path, F_OK);
}

/* What can be set has to be set again; the hooks are back to nothing by themselves. */
static int parameters_save(FIXTURE_DATA(unload) * self)
{
	DIR *dir = opendir(PARAMETERS);
	struct parameter *p;
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    !strncmp(entry->d_name, "test_", 5))
			continue;
		if (self->nr_parameters == MAX_PARAMETERS)
			break;
		p = &self->parameters[self->nr_parameters];
		snprintf(p->path, sizeof(p->path), PARAMETERS "%.60s",
			 entry->d_name);
		if (!text_read(p->path, p->value, sizeof(p->value)))
			self->nr_parameters++;
	}
	closedir(dir);
	return self->nr_parameters ? 0 : -ENOENT;
}

static int load(const char *name)
{
	pid_t pid;

	if (module_is_there(name))
		return 0;
	pid = fork();
	if (!pid) {
		execlp("modprobe", "modprobe", name, NULL);
		_exit(127);
	}
	return child_wait(pid);
}

static int load_all(FIXTURE_DATA(unload) * self)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(modules) && !ret; i++)
		ret = self->has[i] ? load(modules[i]) : 0;
	for (i = 0; i < self->nr_parameters && !ret; i++)
		ret = text_write(self->parameters[i].path,
				 self->parameters[i].value);
	return ret;
}

FIXTURE_SETUP(unload)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modules); i++)
		self->has[i] = module_is_there(modules[i]);
	if (!self->has[0])
		SKIP(return, "kscope is not a module");
	ASSERT_EQ(0, parameters_save(self));
	self->opened = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->opened);
}

FIXTURE_TEARDOWN(unload)
{
	char value[64];
	unsigned int i;

	for (i = 0; i < OPENERS; i++)
		if (self->openers[i] > 0)
			kill(self->openers[i], SIGKILL);
	if (!self->has[0])
		return;
	EXPECT_EQ(0, load_all(self));
	for (i = 0; i < ARRAY_SIZE(modules); i++) {
		EXPECT_EQ(self->has[i], module_is_there(modules[i]));
	}
	for (i = 0; i < self->nr_parameters; i++) {
		EXPECT_EQ(0, text_read(self->parameters[i].path, value,
				       sizeof(value)));
		EXPECT_STREQ(self->parameters[i].value, value);
	}
	hooks_quiet();
}

/* The device may be gone, or be busy with going; a scope that was made is whole. */
static int use_once(void)
{
	struct kscope_completion c;
	struct scope scope;
	int ret = scope_open(&scope, KSCOPE_KIND_PARALLEL, 4);

	if (ret == -ENOENT || ret == -ENODEV || ret == -ENXIO)
		return 0;
	if (ret)
		return ret;
	ret = run_ok(&scope, desc_nop(1), &c);
	return ret ?: scope_close(&scope) ?: 1;
}

static pid_t fork_opener(FIXTURE_DATA(unload) * self)
{
	pid_t pid = fork();
	__u64 start;
	int ret;

	if (pid)
		return pid;
	do {
		start = now_ns();
		ret = use_once();
		if (ret == 1)
			__atomic_add_fetch(self->opened, 1, __ATOMIC_RELAXED);
		/* leave some room for unloads, on slow machines as well */
		usleep(ret == 1 ? (now_ns() - start) / 500 : 200);
	} while (ret >= 0);
	fprintf(stderr, "# an opener got %d\n", ret);
	_exit(1);
}

static int unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

/* Unload all that there is, from the last; whether all of it went. */
static bool unload_all(FIXTURE_DATA(unload) * self, int *error)
{
	int i, ret;

	for (i = ARRAY_SIZE(modules) - 1; i >= 0; i--) {
		ret = self->has[i] ? unload(modules[i]) : 0;
		if (!ret)
			continue;
		if (ret != -EWOULDBLOCK && ret != -EBUSY)
			*error = ret;
		return false;
	}
	return true;
}

TEST_F_TIMEOUT(unload, races_with_open_and_close, 45)
{
	__u64 latest = in_ms(30000);
	unsigned int i;
	int error = 0;

	race_begin_for(&self->race, "races_with_open_and_close", 3 * LOOP_MS);
	for (i = 0; i < OPENERS; i++) {
		self->openers[i] = fork_opener(self);
		ASSERT_LE(0, self->openers[i]);
	}
	while (race_next(&self->race)) {
		usleep(race_random(&self->race) % 5000);
		if (unload_all(self, &error))
			self->unloaded++;
		else
			self->refused++;
		ASSERT_EQ(0, error);
		ASSERT_EQ(0, load_all(self));
		hooks_noise(self->race.hooks ? self->race.round : 0);
		/* A round may take longer than that. */
		if (!self->unloaded && now_ns() < latest)
			self->race.end = in_ms(1000);
	}
	for (i = 0; i < OPENERS; i++) {
		EXPECT_EQ(0, kill(self->openers[i], SIGKILL));
		EXPECT_EQ(128 + SIGKILL, child_wait(self->openers[i]));
		self->openers[i] = 0;
	}
	TH_LOG("%u rounds, %u unloads, %u refused, %u scopes", self->race.round,
	       self->unloaded, self->refused, *self->opened);
	EXPECT_LT(0, self->unloaded);
	EXPECT_LT(0, *self->opened);
}

static int open_ko(void)
{
	struct utsname uts;
	char path[128];

	uname(&uts);
	snprintf(path, sizeof(path), "/lib/modules/%s/updates/kscope.ko",
		 uts.release);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Load, and let the @n-th point fail. @left: what is left of @n */
static int load_with_fault(int ko, int nth, unsigned int n, unsigned int *left)
{
	int ret;

	nth_arm(nth, n);
	ret = syscall(SYS_finit_module, ko, "", 0) ? -errno : 0;
	*left = nth_disarm(nth);
	return ret;
}

/* Most points of a load are the loader's; those at its end are the module's own. */
TEST_F_TIMEOUT(unload, load_that_fails_leaves_nothing, 300)
{
	const char *why = faults_set_up();
	unsigned int n, left, failed = 0;
	int ko = open_ko(), nth, error, ret;

	if (!why && ko < 0)
		why = "the module is not where it should be";
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, text_put(FAULT_DIR "failslab/ignore-gfp-wait", "N"));
	nth = nth_open();
	ASSERT_LE(0, nth);
	ASSERT_TRUE(unload_all(self, &error));
	ASSERT_EQ(0, load_with_fault(ko, nth, NO_POINT, &left));
	ASSERT_EQ(0, unload("kscope"));
	for (n = NO_POINT - left; n && n + OWN_POINTS > NO_POINT - left; n--) {
		unsigned int rest;

		ret = load_with_fault(ko, nth, n, &rest);
		EXPECT_TRUE(!ret || ret == -ENOMEM)
		TH_LOG("point %u: %d", n, ret);
		failed += ret < 0;
		EXPECT_EQ(!ret, module_is_there("kscope"));
		if (!ret)
			ASSERT_EQ(0, unload("kscope"));
	}
	TH_LOG("%u points, %u loads failed", NO_POINT - left, failed);
	EXPECT_LT(OWN_POINTS / 4, failed);
	text_put(FAULT_DIR "failslab/ignore-gfp-wait", "Y");
	close(nth);
	close(ko);
}

/* The gate holds kscope as well, so it goes first. */
TEST_F(unload, is_refused_while_anything_lives)
{
	struct scope scope;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, scope_open(&scope, KSCOPE_KIND_PARALLEL, 4));
		if (self->has[1]) {
			EXPECT_EQ(0, unload("kscope_gate"));
		}
		ASSERT_EQ(1, spawn_one(scope.fd, desc_sleep(1, far_future()),
				       NULL));
		EXPECT_EQ(-EWOULDBLOCK, unload("kscope"));
		ASSERT_EQ(0, xclose(scope.fd));
		EXPECT_EQ(-EWOULDBLOCK, unload("kscope")); /* mappings */
		scope_unmap(&scope);
		EXPECT_EQ(0, unload("kscope"));
		ASSERT_EQ(0, load_all(self));
	}
}

TEST_HARNESS_MAIN

/*
 * Process: the ready file, signals, exit codes; and the clock's text.
 */
#include "shared/runtime/process.h"

#include "shared/runtime/clock.h"
#include "tests/unit/suite.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 20000

static void test_ready_file(void)
{
	char expected[256];
	char text[256] = "";
	struct error error;
	FILE *file;

	CU_ASSERT_EQUAL(process_ready(NULL, "query", "127.0.0.1:1", NULL, &error), 0);
	CU_ASSERT_EQUAL(process_ready("ready", "query", "127.0.0.1:1", "[::1]:2", &error), 0);
	CU_ASSERT_EQUAL(process_ready("ready", "shard", "127.0.0.1:3", NULL, &error), 0);
	file = fopen("ready", "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_PTR_NOT_NULL(fgets(text, sizeof text, file));
	(void)fclose(file);
	(void)snprintf(expected, sizeof expected,
	               "{\"pid\":%ld,\"program\":\"shard\",\"listen\":\"127.0.0.1:3\"}\n", (long)getpid());
	CU_ASSERT_STRING_EQUAL(text, expected);
	CU_ASSERT_NOT_EQUAL(access("ready.next", F_OK), 0);
	CU_ASSERT_EQUAL(process_ready("absent/ready", "shard", "127.0.0.1:3", NULL, &error),
	                ERROR_CONFIGURATION);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "absent/ready"));
}

/* A child that says when it is ready and when it got the first signal, then does nothing. */
static void stubborn_child(int out)
{
	struct pollfd signalled = {.fd = process_start(), .events = POLLIN};
	bool told = write(out, "r", 1) == 1 && poll(&signalled, 1, WAIT_MS) == 1 && write(out, "s", 1) == 1;

	(void)poll(NULL, 0, WAIT_MS);
	_exit(told ? 1 : 2);
}

static void test_signals(void)
{
	static const int numbers[] = {SIGTERM, SIGINT};

	for (int i = 0; i < 2; i++) {
		int status = 0;
		int pipes[2];
		char c = 0;
		pid_t child;

		CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
		child = fork();
		CU_ASSERT_TRUE_FATAL(child >= 0);
		if (child == 0)
			stubborn_child(pipes[1]);
		(void)close(pipes[1]);
		CU_ASSERT_TRUE(read(pipes[0], &c, 1) == 1 && c == 'r');
		CU_ASSERT_EQUAL(kill(child, SIGTERM), 0);
		CU_ASSERT_TRUE(read(pipes[0], &c, 1) == 1 && c == 's');
		CU_ASSERT_EQUAL(kill(child, numbers[i]), 0);
		CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
		CU_ASSERT_TRUE(WIFEXITED(status));
		CU_ASSERT_EQUAL(WEXITSTATUS(status), 128 + numbers[i]);
		(void)close(pipes[0]);
	}
}

static void test_exit_codes(void)
{
	static const struct {
		int code;
		enum error_action action;
		int exit_code;
	} rows[] = {{ERROR_CONFIGURATION, ERROR_ACTION_FATAL, 78},
	            {ERROR_LOG, ERROR_ACTION_RETRY, 75},
	            {ERROR_FENCED, ERROR_ACTION_FATAL, 1},
	            {ERROR_FORMAT, ERROR_ACTION_REJECT, 1},
	            {ERROR_MEMORY, ERROR_ACTION_RETRY, 75}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error error = {.code = rows[i].code, .action = rows[i].action};

		CU_ASSERT_EQUAL(process_exit_code(&error), rows[i].exit_code);
	}
}

static void test_clock(void)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {{0, "1970-01-01T00:00:00.000Z"},
	            {1, "1970-01-01T00:00:00.001Z"},
	            {-1, "1969-12-31T23:59:59.999Z"},
	            {1769860800123, "2026-01-31T12:00:00.123Z"},
	            {951782400000, "2000-02-29T00:00:00.000Z"},
	            {INT64_MAX, "9999-12-31T23:59:59.999Z"},
	            {INT64_MIN, "1000-01-01T00:00:00.000Z"}};
	char text[25];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		clock_print(rows[i].ms, text);
		CU_ASSERT_STRING_EQUAL(text, rows[i].text);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"ready file", test_ready_file}, {"signals", test_signals}, {"exit codes", test_exit_codes},
		{"clock", test_clock},           CU_TEST_INFO_NULL,
	};

	return suite_run("process", tests);
}

/*
 * Suspects: a record at which the program dies again and again is found, and
 * nothing else is. The deaths are real: a child process ends without a word.
 */
#include "shared/feeding/suspects.h"

#include "tests/unit/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define INDEX 0x4dU

static struct suspects *open_suspects(const char *directory)
{
	struct suspects *suspects = NULL;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(suspects_open(directory, &suspects, &error), 0);
	return suspects;
}

/* A process deals with the records up to `offset`, and dies at that one. */
static void die_at(const char *directory, int32_t partition, int64_t offset)
{
	pid_t child = fork();
	int status;

	CU_ASSERT_FATAL(child >= 0);
	if (child == 0) {
		struct suspects *suspects = open_suspects(directory);

		for (int64_t at = offset - 5; at <= offset; at++) {
			suspects_note(suspects, INDEX, partition, at);
			if (at == offset)
				(void)raise(SIGKILL);
			suspects_strike(suspects);
		}
		_exit(0);
	}
	CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE_FATAL(WIFSIGNALED(status));
}

static uint32_t deaths_at(const struct suspects *suspects, int32_t partition, int64_t offset)
{
	const struct suspect *suspect = suspects_find(suspects, INDEX, partition, offset);

	return suspect != NULL ? suspect->deaths : 0;
}

static void test_three_deaths(void)
{
	struct suspects *suspects;
	const struct suspect *held;

	for (int death = 1; death < SUSPECT_DEATHS; death++) {
		die_at("three/of/them", 2, 100);
		suspects = open_suspects("three/of/them");
		CU_ASSERT_EQUAL(deaths_at(suspects, 2, 100), death);
		suspects_close(suspects);
	}
	die_at("three/of/them", 2, 100);
	suspects = open_suspects("three/of/them");
	held = suspects_find(suspects, INDEX, 2, 100);
	CU_ASSERT_PTR_NOT_NULL_FATAL(held);
	CU_ASSERT_EQUAL(held->offset, 100);
	CU_ASSERT_EQUAL(held->deaths, 3);
	CU_ASSERT_EQUAL(held->task, -1);
	CU_ASSERT_PTR_NULL(suspects_find(suspects, INDEX, 1, 100));
	CU_ASSERT_PTR_NULL(suspects_find(suspects, INDEX, 2, 101));
	CU_ASSERT_PTR_NULL(suspects_find(suspects, INDEX + 1, 2, 100));
	suspects_asked(suspects, held, 77);
	suspects_close(suspects);
	/* held over an orderly end, too, and asked for once */
	suspects = open_suspects("three/of/them");
	held = suspects_find(suspects, INDEX, 2, 100);
	CU_ASSERT_PTR_NOT_NULL_FATAL(held);
	CU_ASSERT_EQUAL(held->task, 77);
	CU_ASSERT_EQUAL(held->deaths, 3);
	/* it was skipped */
	suspects_note(suspects, INDEX, 2, 100);
	suspects_strike(suspects);
	CU_ASSERT_EQUAL(deaths_at(suspects, 2, 100), 0);
	suspects_close(suspects);
}

static void test_survived(void)
{
	struct suspects *suspects;

	die_at("survived", 0, 100);
	die_at("survived", 0, 100);
	suspects = open_suspects("survived");
	suspects_note(suspects, INDEX, 0, 100);
	suspects_strike(suspects);
	CU_ASSERT_EQUAL(deaths_at(suspects, 0, 100), 0);
	suspects_close(suspects);
	die_at("survived", 0, 100);
	suspects = open_suspects("survived");
	CU_ASSERT_EQUAL(deaths_at(suspects, 0, 100), 1);
	suspects_close(suspects);
}

static void test_other_places(void)
{
	struct suspects *suspects;

	/* killed at random three times: at three records */
	die_at("others", 0, 100);
	die_at("others", 0, 101);
	die_at("others", 1, 101);
	suspects = open_suspects("others");
	CU_ASSERT_EQUAL(deaths_at(suspects, 0, 100), 0); /* survived by the second one */
	CU_ASSERT_EQUAL(deaths_at(suspects, 0, 101), 1);
	CU_ASSERT_EQUAL(deaths_at(suspects, 1, 101), 1);
	CU_ASSERT_EQUAL(deaths_at(suspects, 1, 100), 0);
	suspects_close(suspects);
}

static void test_bound(void)
{
	struct suspects *suspects;

	for (int i = 0; i < SUSPECTS_MAX + 3; i++)
		die_at("many", 0, 1000 + 10 * i);
	suspects = open_suspects("many");
	for (int i = 0; i < SUSPECTS_MAX + 3; i++)
		CU_ASSERT_EQUAL(deaths_at(suspects, 0, 1000 + 10 * i), i < 3 ? 0 : 1);
	suspects_close(suspects);
}

static void test_two_processes(void)
{
	struct suspects *first = open_suspects("shared");
	struct suspects *second = open_suspects("shared");

	CU_ASSERT_STRING_NOT_EQUAL(suspects_path(first), suspects_path(second));
	suspects_note(first, INDEX, 0, 7);
	suspects_note(second, INDEX, 1, 8);
	suspects_strike(first);
	suspects_close(first);
	suspects_close(second);
	/* one of them ended within a record */
	for (int i = 0; i < 2; i++)
		die_at("shared", 1, 8);
	first = open_suspects("shared");
	second = open_suspects("shared");
	CU_ASSERT_EQUAL(deaths_at(first, 0, 7) + deaths_at(second, 0, 7), 0);
	CU_ASSERT_EQUAL(deaths_at(first, 1, 8), 2);
	CU_ASSERT_EQUAL(deaths_at(second, 1, 8), 1);
	suspects_close(first);
	suspects_close(second);
}

static void write_file(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(write(fd, bytes, len), (ssize_t)len);
	(void)close(fd);
}

static void test_foreign_bytes(void)
{
	static const size_t lengths[] = {0, 1, 8, 20, 100, 4096};
	uint8_t bytes[4096];

	suspects_close(open_suspects("foreign"));
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		for (int with = 0; with < 2; with++) {
			struct suspects *suspects;

			memset(bytes, with ? 0xff : 0, sizeof bytes);
			write_file("foreign/suspects-1", bytes, lengths[i]);
			suspects = open_suspects("foreign");
			CU_ASSERT_EQUAL(deaths_at(suspects, -1, -1) + deaths_at(suspects, 0, 0), 0);
			suspects_close(suspects);
		}
	}
}

static void test_no_directory(void)
{
	struct suspects *suspects = NULL;
	struct error error;

	write_file("file", "x", 1);
	CU_ASSERT_EQUAL(suspects_open("file/below", &suspects, &error), ERROR_STORAGE);
	CU_ASSERT_PTR_NULL(suspects);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "file"));
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"three deaths", test_three_deaths},   {"survived", test_survived},
		{"other places", test_other_places},   {"bound", test_bound},
		{"two processes", test_two_processes}, {"foreign bytes", test_foreign_bytes},
		{"no directory", test_no_directory},   CU_TEST_INFO_NULL,
	};

	return suite_run("suspects", tests);
}

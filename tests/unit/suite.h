/*
 * Suite: the main of a unit test program.
 */
#ifndef MILLRACE_TESTS_UNIT_SUITE_H
#define MILLRACE_TESTS_UNIT_SUITE_H

#include <CUnit/Basic.h>

/* Runs the tests, which end with CU_TEST_INFO_NULL; the program's exit code. */
static inline int suite_run(const char *name, CU_TestInfo *tests)
{
	CU_SuiteInfo suites[] = {{.pName = name, .pTests = tests}, CU_SUITE_INFO_NULL};
	unsigned failures;

	if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
		return 1;
	CU_basic_set_mode(CU_BRM_VERBOSE);
	(void)CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}

#endif

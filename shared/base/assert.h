/*
 * ASSERT: our own code is wrong.
 *
 * Stays on in release builds and ends the process, because a program that
 * goes on after a broken invariant can store a wrong answer. Never used on
 * input: bad input is an error with an action (error.h).
 */
#ifndef MILLRACE_BASE_ASSERT_H
#define MILLRACE_BASE_ASSERT_H

/* Prints "file:line: assertion failed: text" to stderr and aborts. */
_Noreturn void assert_failed(const char *file, int line, const char *text);

#define ASSERT(condition) ((condition) ? (void)0 : assert_failed(__FILE__, __LINE__, #condition))

#endif

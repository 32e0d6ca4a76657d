/*
 * Clock: the shells' only source of time. Cores never include this.
 */
#ifndef MILLRACE_RUNTIME_CLOCK_H
#define MILLRACE_RUNTIME_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC; for every timeout and age. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);
/* Wall clock since 1970; for what people and records see, never for decisions. */
int64_t clock_wall_ms(void);
/* "2026-01-31T12:00:00.123Z" and a NUL. */
void clock_print(int64_t wall_ms, char text[25]);

#endif

/*
 * Sweep: the n-th call that writes fails, for n = 1, 2, 3, … until a whole
 * life of a replica passes without, for each kind of failure, once and
 * several times in a row. After every failure the replica still is the fold
 * of what it has received, its watermark has not moved, and when the disk
 * works again the same store goes through.
 */
#ifndef MILLRACE_TESTS_CRASH_SWEEP_H
#define MILLRACE_TESTS_CRASH_SWEEP_H

/* In the current directory, which holds no WORKLOAD_DIRECTORY. How many lives went wrong; `*faults` is how many had
 * a failure. */
unsigned sweep_run(unsigned *faults);

#endif

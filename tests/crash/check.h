/*
 * Check: opens an image by the real code and compares all that the replica
 * in it tells with the fold of the log up to the watermark that it names.
 * Ends the process with MODEL_FAILED where anything differs.
 */
#ifndef MILLRACE_TESTS_CRASH_CHECK_H
#define MILLRACE_TESTS_CRASH_CHECK_H

#include "tests/crash/model.h"

/* Documents, digest, search, marks and checksums of the open replica, as the fold up to `received` has them. */
void check_contents(struct fold_model *model);
/* Opens model->directory, which must hold a replica whose watermark is in [low, high], or nothing at all if low is
 * the base; checks it, feeds it on, stores, opens it again and checks again. */
void check_image(struct fold_model *model, int64_t low, int64_t high);

#endif

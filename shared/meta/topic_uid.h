/*
 * Topic uid: the index that a topic gets as its own.
 *
 * Its uid is the topic's name with `_` for each character that a uid cannot
 * have, which of those that Kafka allows is `.` alone. Kafka itself refuses a
 * topic whose name differs from another one's in `.` and `_` only, so two
 * topics that exist at the same time have different uids. Pure core.
 */
#ifndef MILLRACE_META_TOPIC_UID_H
#define MILLRACE_META_TOPIC_UID_H

#include "shared/meta/catalog.h"

/* False if the name is empty or too long for a uid. */
bool topic_uid_print(const char *topic, char uid[INDEX_UID_BYTES_MAX + 1]);

#endif

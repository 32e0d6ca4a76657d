/*
 * Window shelf: a store for the leaves of one window, in memory, that can fail.
 */
#ifndef MILLRACE_TESTS_UNIT_WINDOW_SHELF_H
#define MILLRACE_TESTS_UNIT_WINDOW_SHELF_H

#include "shared/feed/window.h"

#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#define SHELF_LEAVES_MAX 64

struct shelf {
	uint8_t *bytes[SHELF_LEAVES_MAX];
	size_t len[SHELF_LEAVES_MAX];
	int puts_left; /* then it fails; negative: never */
	int gets;
};

static inline int shelf_put(void *context, int64_t leaf, struct slice bytes, struct error *error)
{
	struct shelf *shelf = context;

	if (shelf->puts_left == 0)
		return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "the shelf is full");
	shelf->puts_left -= shelf->puts_left > 0;
	CU_ASSERT_FATAL(leaf >= 0 && leaf < SHELF_LEAVES_MAX);
	free(shelf->bytes[leaf]);
	shelf->bytes[leaf] = malloc(bytes.len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(shelf->bytes[leaf]);
	memcpy(shelf->bytes[leaf], bytes.ptr, bytes.len);
	shelf->len[leaf] = bytes.len;
	return 0;
}

static inline int shelf_get(void *context, int64_t leaf, struct slice *bytes, struct error *error)
{
	struct shelf *shelf = context;

	shelf->gets++;
	if (shelf->bytes[leaf] == NULL)
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_RETRY, "no leaf %d", (int)leaf);
	*bytes = slice_of(shelf->bytes[leaf], shelf->len[leaf]);
	return 0;
}

static inline void shelf_drop(void *context, int64_t leaf)
{
	struct shelf *shelf = context;

	free(shelf->bytes[leaf]);
	shelf->bytes[leaf] = NULL;
}

static inline struct window_store store_of(struct shelf *shelf)
{
	memset(shelf, 0, sizeof *shelf);
	shelf->puts_left = -1;
	return (struct window_store){shelf, shelf_put, shelf_get, shelf_drop};
}

static inline bool shelf_is_empty(const struct shelf *shelf)
{
	for (size_t i = 0; i < SHELF_LEAVES_MAX; i++)
		if (shelf->bytes[i] != NULL)
			return false;
	return true;
}

#endif

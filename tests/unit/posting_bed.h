/* Posting bed: lists of a word, written from a model of the documents that have it. */
#ifndef MILLRACE_TESTS_UNIT_POSTING_BED_H
#define MILLRACE_TESTS_UNIT_POSTING_BED_H

#include "shard/core/posting_list.h"

#include "shared/base/assert.h"
#include "tests/unit/suite.h"

#include <stdlib.h>

#define DOCUMENTS_MAX 700
#define PLACES_MAX 6

struct document {
	uint64_t number;
	size_t len;
	struct place places[PLACES_MAX];
};

struct model {
	size_t len;
	struct document documents[DOCUMENTS_MAX];
};

static inline uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static inline void model_add(struct model *model, uint64_t number, const struct place *places, size_t len)
{
	struct document *document = &model->documents[model->len++];

	ASSERT(model->len <= DOCUMENTS_MAX);
	*document = (struct document){.number = number, .len = len};
	for (size_t i = 0; i < len; i++)
		document->places[i] = places[i];
}

/* `len` documents above `number`, near to each other or far. */
static inline void model_fill(struct model *model, uint64_t number, size_t len, uint32_t seed)
{
	model->len = 0;
	for (size_t i = 0; i < len; i++) {
		struct place places[PLACES_MAX];
		uint32_t field = random_next(&seed) % 3;
		uint32_t position = random_next(&seed) % 200;
		size_t count = 1 + random_next(&seed) % PLACES_MAX;

		for (size_t k = 0; k < count; k++) {
			places[k] = (struct place){(uint16_t)field, (uint16_t)position};
			if (random_next(&seed) % 3 == 0) {
				field += 1 + random_next(&seed) % 300;
				position = random_next(&seed) % 300;
			} else {
				position += 1 + random_next(&seed) % 300;
			}
		}
		number += 1 + random_next(&seed) % (random_next(&seed) % 4 == 0 ? 100000 : 3);
		model_add(model, number, places, count);
	}
}

/* The list's own copy of its bytes, of exactly their size, so that a byte read beyond is noticed. */
static inline struct posting_list list_copy(const struct posting_list *list)
{
	struct posting_list copy = *list;
	uint8_t *bytes = malloc(list->bytes.len + (list->bytes.len == 0));

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	if (list->bytes.len > 0)
		memcpy(bytes, list->bytes.ptr, list->bytes.len);
	copy.bytes.ptr = bytes;
	return copy;
}

static inline void list_free(struct posting_list *list)
{
	free((uint8_t *)(uintptr_t)list->bytes.ptr);
}

static inline struct posting_list written(const struct model *model, uint64_t base)
{
	struct posting_writer writer;
	struct posting_list list;
	struct error error;

	posting_writer_init(&writer);
	posting_writer_begin(&writer, base);
	for (size_t i = 0; i < model->len; i++)
		posting_writer_add(&writer, model->documents[i].number, model->documents[i].places,
		                   model->documents[i].len);
	CU_ASSERT_EQUAL_FATAL(posting_writer_end(&writer, &list, &error), 0);
	list = list_copy(&list);
	posting_writer_deinit(&writer);
	return list;
}

typedef void posting_check(const struct posting_list *list, const struct model *model);

/* Lists of one block and of several, whole and almost. */
static inline void lengths_check(posting_check *check)
{
	static const size_t lengths[] = {1, 2, 3, 127, 128, 129, 256, 257, 640};
	struct model *model = malloc(sizeof *model);

	CU_ASSERT_PTR_NOT_NULL_FATAL(model);
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		struct posting_list list;

		model_fill(model, 70000, lengths[i], (uint32_t)i + 1);
		list = written(model, 70000);
		check(&list, model);
		list_free(&list);
	}
	free(model);
}

/* A few bounds of the format, and the base itself as the first number. */
static inline void edges_check(posting_check *check)
{
	static const struct place places[] = {{0, 0}, {0, 65535}, {65535, 0}, {65535, 65535}};
	struct posting_list list;
	struct model model = {0};

	model_add(&model, 5, places, 4);
	model_add(&model, 5ULL + POSTING_DISTANCE_MAX, places + 1, 3);
	list = written(&model, 5);
	check(&list, &model);
	list_free(&list);
}

#endif

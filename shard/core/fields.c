#include "shard/core/fields.h"

#include "shared/base/arena.h"
#include "shared/base/assert.h"
#include "shared/base/map.h"

#include <stdlib.h>

#define FIELDS_BLOCK_BYTES 1024
#define FIELD_HEAD_BYTES 2
#define FIELDS_HEAD_BYTES 4

struct fields {
	struct arena arena; /* paths */
	struct map map;     /* path → number */
	struct slice *paths;
	size_t len;
	size_t size;
	size_t encoded_bytes;
	struct field_list *list; /* NULL: none was asked for, or a path was added since */
};

struct fields *fields_new(void)
{
	struct fields *fields = calloc(1, sizeof *fields);

	if (fields == NULL)
		return NULL;
	arena_init(&fields->arena, FIELDS_BLOCK_BYTES);
	map_init(&fields->map);
	fields->encoded_bytes = FIELDS_HEAD_BYTES;
	return fields;
}

void fields_free(struct fields *fields)
{
	if (fields == NULL)
		return;
	field_list_release(fields->list);
	arena_deinit(&fields->arena);
	map_deinit(&fields->map);
	free(fields->paths);
	free(fields);
}

static bool fields_reserve(struct fields *fields)
{
	size_t size = fields->size == 0 ? 16 : fields->size * 2;
	struct slice *paths;

	if (fields->len < fields->size)
		return true;
	paths = realloc(fields->paths, size * sizeof *paths);
	if (paths == NULL)
		return false;
	fields->paths = paths;
	fields->size = size;
	return true;
}

static bool fields_have_room(const struct fields *fields, struct slice path)
{
	return fields->len < FIELDS_MAX && path.len <= FIELD_BYTES_MAX &&
	       fields->encoded_bytes + FIELD_HEAD_BYTES + path.len <= FIELDS_BYTES_MAX;
}

bool fields_number(struct fields *fields, struct slice path, uint16_t *field)
{
	uint64_t *known = map_get(&fields->map, path);
	struct slice copy;

	if (known != NULL) {
		*field = (uint16_t)*known;
		return true;
	}
	if (!fields_have_room(fields, path)) {
		*field = FIELD_OTHER;
		return true;
	}
	if (!fields_reserve(fields) || !arena_copy(&fields->arena, path, &copy) ||
	    !map_put(&fields->map, copy, fields->len))
		return false;
	fields->encoded_bytes += FIELD_HEAD_BYTES + path.len;
	*field = (uint16_t)fields->len;
	fields->paths[fields->len++] = copy;
	field_list_release(fields->list);
	fields->list = NULL;
	return true;
}

size_t fields_len(const struct fields *fields)
{
	return fields->len;
}

struct slice fields_path(const struct fields *fields, uint16_t field)
{
	ASSERT(field < fields->len);
	return fields->paths[field];
}

void fields_encode(const struct fields *fields, size_t len, struct buffer *value)
{
	ASSERT(len <= fields->len);
	buffer_put_u32(value, (uint32_t)len);
	for (size_t i = 0; i < len; i++) {
		buffer_put_u16(value, (uint16_t)fields->paths[i].len);
		buffer_append_slice(value, fields->paths[i]);
	}
}

int fields_decode(struct fields *fields, struct slice value, struct error *error)
{
	struct reader reader = reader_of(value);
	uint32_t count = reader_u32(&reader);
	uint16_t field;

	ASSERT(fields->len == 0);
	for (uint32_t i = 0; i < count && !reader_failed(&reader); i++) {
		struct slice path = reader_take(&reader, reader_u16(&reader));

		if (reader_failed(&reader))
			break;
		if (!fields_number(fields, path, &field))
			return error_memory(error, path.len);
		/* known already, or beyond the bounds */
		if (field != i)
			return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
			                 "the stored table of fields has number %u twice, or too many",
			                 (unsigned)field);
	}
	if (reader_failed(&reader) || reader_left(&reader) > 0)
		return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
		                 "the stored table of fields is %zu bytes that are none", value.len);
	return 0;
}

static struct field_list *list_new(const struct fields *fields)
{
	size_t paths = fields->len * sizeof(struct slice);
	struct field_list *list = malloc(sizeof *list + paths + fields->encoded_bytes);
	uint8_t *to;

	if (list == NULL)
		return NULL;
	atomic_init(&list->references, 1);
	list->len = fields->len;
	to = (uint8_t *)(list->paths + fields->len);
	for (size_t i = 0; i < fields->len; i++) {
		memcpy(to, fields->paths[i].ptr, fields->paths[i].len);
		list->paths[i] = slice_of(to, fields->paths[i].len);
		to += fields->paths[i].len;
	}
	return list;
}

struct field_list *fields_list(struct fields *fields)
{
	if (fields->list == NULL)
		fields->list = list_new(fields);
	if (fields->list != NULL)
		atomic_fetch_add_explicit(&fields->list->references, 1, memory_order_relaxed);
	return fields->list;
}

void field_list_release(struct field_list *list)
{
	if (list != NULL && atomic_fetch_sub_explicit(&list->references, 1, memory_order_acq_rel) == 1)
		free(list);
}

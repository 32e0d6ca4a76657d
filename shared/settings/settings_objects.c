#include "shared/settings/settings_private.h"

#include "shared/base/assert.h"

#include <inttypes.h>
#include <stdlib.h>

#define SHAPE_MEMBERS_MAX 8
#define LEN(array) (sizeof(array) / sizeof *(array))

bool settings_is_repeated(yyjson_obj_iter rest, struct slice key)
{
	yyjson_val *name;

	while ((name = yyjson_obj_iter_next(&rest)) != NULL)
		if (slice_equal(json_string(name), key))
			return true;
	return false;
}

void settings_reset(struct reading *reading, void *member, size_t size)
{
	size_t offset = (size_t)((uint8_t *)member - (uint8_t *)reading->settings);

	ASSERT(offset + size <= sizeof *reading->settings);
	if (size > 0)
		memcpy(member, (const uint8_t *)settings_default() + offset, size);
}

static int refuse_member(struct reading *reading, const struct place *place, struct slice name,
                         const struct shape *shape)
{
	const char *names[SHAPE_MEMBERS_MAX];

	ASSERT(shape->len <= SHAPE_MEMBERS_MAX);
	for (size_t i = 0; i < shape->len; i++)
		names[i] = shape->members[i].name;
	return settings_refuse_field(reading, place, name, (struct known_names){names, shape->len});
}

static const struct member *find_member(const struct shape *shape, struct slice name)
{
	for (size_t i = 0; i < shape->len; i++)
		if (slice_equal(name, slice_string(shape->members[i].name)))
			return &shape->members[i];
	return NULL;
}

int settings_read_object(struct reading *reading, const struct place *place, yyjson_val *value,
                         const struct shape *shape, void *object)
{
	yyjson_obj_iter iter;
	yyjson_val *key;

	if (!yyjson_is_obj(value))
		return settings_refuse_type(reading, place, "an object", value);
	iter = yyjson_obj_iter_with(value);
	while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
		struct place here = {.above = place, .key = json_string(key)};
		const struct member *member = find_member(shape, here.key);
		yyjson_val *inside = yyjson_obj_iter_get_val(key);
		int rc = 0;

		if (member == NULL)
			return refuse_member(reading, place, here.key, shape);
		if (settings_is_repeated(iter, here.key))
			continue;
		if (shape->resets && yyjson_is_null(inside))
			settings_reset(reading, (uint8_t *)object + member->offset, member->size);
		else
			rc = member->read(reading, &here, inside, (uint8_t *)object + member->offset);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void settings_append_object(const struct shape *shape, const void *object, struct buffer *json)
{
	for (size_t i = 0; i < shape->len; i++) {
		const struct member *member = &shape->members[i];

		buffer_put_u8(json, i == 0 ? '{' : ',');
		json_append_string(json, slice_string(member->name));
		buffer_put_u8(json, ':');
		member->append((const uint8_t *)object + member->offset, json);
	}
	buffer_put_u8(json, '}');
}

/* ---- typo tolerance ---- */

static int settings_read_size(struct reading *reading, const struct place *place, yyjson_val *value,
                              void *member)
{
	uint64_t size;
	int rc = settings_read_count(reading, place, value, &size);

	if (rc == 0 && size > UINT8_MAX)
		return settings_refuse(reading, place, ERROR_FORMAT,
		                       "value: `%" PRIu64 "` is too large to be deserialized, maximum value "
		                       "authorized is `%d`",
		                       size, UINT8_MAX);
	if (rc == 0)
		*(uint8_t *)member = (uint8_t)size;
	return rc;
}

static void settings_append_size(const void *member, struct buffer *json)
{
	buffer_printf(json, "%d", *(const uint8_t *)member);
}

static const struct member size_members[] = {
	SETTINGS_MEMBER(struct settings_sizes, one, "oneTypo", size),
	SETTINGS_MEMBER(struct settings_sizes, two, "twoTypos", size),
};
static const struct shape size_shape = {size_members, LEN(size_members), true};

/* One size alone may wait for the other, which is judged when all is read. */
static int settings_read_sizes(struct reading *reading, const struct place *place, yyjson_val *value,
                               void *member)
{
	const struct settings_sizes *sizes = member;
	int rc = settings_read_object(reading, place, value, &size_shape, member);

	if (rc == 0 && yyjson_is_uint(yyjson_obj_get(value, "oneTypo")) &&
	    yyjson_is_uint(yyjson_obj_get(value, "twoTypos")) && sizes->one > sizes->two)
		return settings_refuse(reading, place, ERROR_FORMAT, SETTINGS_SIZES_WRONG, sizes->one,
		                       sizes->two);
	return rc;
}

static void settings_append_sizes(const void *member, struct buffer *json)
{
	settings_append_object(&size_shape, member, json);
}

static const struct member typo_members[] = {
	SETTINGS_MEMBER(struct settings_typos, enabled, "enabled", flag),
	SETTINGS_MEMBER(struct settings_typos, sizes, "minWordSizeForTypos", sizes),
	SETTINGS_MEMBER(struct settings_typos, words, "disableOnWords", word_set),
	SETTINGS_MEMBER(struct settings_typos, attributes, "disableOnAttributes", attribute_set),
	SETTINGS_MEMBER(struct settings_typos, not_on_numbers, "disableOnNumbers", flag),
};
static const struct shape typo_shape = {typo_members, LEN(typo_members), true};

int settings_read_typos(struct reading *reading, const struct place *place, yyjson_val *value, void *member)
{
	return settings_read_object(reading, place, value, &typo_shape, member);
}

void settings_append_typos(const void *member, struct buffer *json)
{
	settings_append_object(&typo_shape, member, json);
}

/* ---- faceting ---- */

static const char *const facet_orders[2] = {"alpha", "count"};

static int order_entries(const void *a, const void *b)
{
	const struct settings_entry *left = a;
	const struct settings_entry *right = b;
	int order = slice_compare(left->key, right->key);

	if (order != 0)
		return order;
	return left->at < right->at ? -1 : left->at > right->at;
}

int settings_sort_members(struct reading *reading, yyjson_val *object, struct settings_entry **entries,
                          size_t *len)
{
	struct settings_entry *list = arena_alloc(reading->arena, yyjson_obj_size(object) * sizeof *list);
	size_t kept = 0;
	yyjson_val *key;
	yyjson_val *value;
	size_t at;
	size_t max;

	if (list == NULL)
		return ERROR_MEMORY;
	yyjson_obj_foreach(object, at, max, key, value)
	{
		list[at].at = at;
		if (settings_take(reading, json_string(key), &list[at].key) < 0)
			return ERROR_MEMORY;
	}
	if (max > 0)
		qsort(list, max, sizeof *list, order_entries);
	for (size_t i = 0; i < max; i++) {
		if (i == 0 || !slice_equal(list[i].key, list[kept - 1].key))
			kept++;
		list[kept - 1] = list[i];
	}
	*entries = list;
	*len = kept;
	return 0;
}

/* Orders by field, with one for all fields that have none. */
static int make_orders(struct reading *reading, yyjson_val *object, const bool *by_count,
                       struct settings_facet_orders *orders)
{
	struct settings_facet_order *list;
	struct settings_entry *entries;
	const struct slice all = slice_string("*");
	bool has_all = false;
	size_t out = 0;
	size_t len;

	if (settings_sort_members(reading, object, &entries, &len) < 0)
		return ERROR_MEMORY;
	list = arena_alloc(reading->arena, (len + 1) * sizeof *list);
	if (list == NULL)
		return ERROR_MEMORY;
	for (size_t i = 0; i < len; i++) {
		int order = slice_compare(entries[i].key, all);

		if (order > 0 && !has_all)
			list[out++] = (struct settings_facet_order){all, false};
		has_all = has_all || order >= 0;
		list[out++] = (struct settings_facet_order){entries[i].key, by_count[entries[i].at]};
	}
	if (!has_all)
		list[out++] = (struct settings_facet_order){all, false};
	*orders = (struct settings_facet_orders){list, out};
	return 0;
}

static int settings_read_orders(struct reading *reading, const struct place *place, yyjson_val *value,
                                void *member)
{
	yyjson_val *key;
	yyjson_val *order;
	bool *by_count;
	size_t at;
	size_t len;

	if (!yyjson_is_obj(value))
		return settings_refuse_type(reading, place, "an object", value);
	if (yyjson_obj_size(value) > SETTINGS_ATTRIBUTES_MAX)
		return settings_refuse(reading, place, ERROR_LIMIT,
		                       "Millrace allows %d entries, but found %zu", SETTINGS_ATTRIBUTES_MAX,
		                       yyjson_obj_size(value));
	by_count = arena_alloc(reading->arena, yyjson_obj_size(value) * sizeof *by_count);
	if (by_count == NULL)
		return ERROR_MEMORY;
	yyjson_obj_foreach(value, at, len, key, order)
	{
		struct place here = {.above = place, .key = json_string(key)};
		int rc = settings_read_choice(reading, &here, order, facet_orders, &by_count[at]);

		if (rc == 0 && here.key.len > SETTINGS_PATH_BYTES_MAX)
			rc = settings_refuse(reading, place, ERROR_LIMIT,
			                     "Millrace allows names of %d bytes, but found %zu",
			                     SETTINGS_PATH_BYTES_MAX, here.key.len);
		if (rc < 0)
			return rc;
	}
	return make_orders(reading, value, by_count, member);
}

static void settings_append_orders(const void *member, struct buffer *json)
{
	const struct settings_facet_orders *orders = member;

	for (size_t i = 0; i < orders->len; i++) {
		buffer_put_u8(json, i == 0 ? '{' : ',');
		json_append_string(json, orders->list[i].field);
		buffer_put_u8(json, ':');
		json_append_string(json, slice_string(facet_orders[orders->list[i].by_count]));
	}
	buffer_put_u8(json, '}');
}

static const struct member faceting_members[] = {
	SETTINGS_MEMBER(struct settings_faceting, values_max, "maxValuesPerFacet", count),
	SETTINGS_MEMBER(struct settings_faceting, orders, "sortFacetValuesBy", orders),
};
static const struct shape faceting_shape = {faceting_members, LEN(faceting_members), true};

int settings_read_faceting(struct reading *reading, const struct place *place, yyjson_val *value,
                           void *member)
{
	return settings_read_object(reading, place, value, &faceting_shape, member);
}

void settings_append_faceting(const void *member, struct buffer *json)
{
	settings_append_object(&faceting_shape, member, json);
}

/* ---- pagination ---- */

static const struct member pagination_members[] = {
	SETTINGS_MEMBER(struct settings_pagination, hits_max, "maxTotalHits", positive),
};
static const struct shape pagination_shape = {pagination_members, LEN(pagination_members), true};

int settings_read_pagination(struct reading *reading, const struct place *place, yyjson_val *value,
                             void *member)
{
	return settings_read_object(reading, place, value, &pagination_shape, member);
}

void settings_append_pagination(const void *member, struct buffer *json)
{
	settings_append_object(&pagination_shape, member, json);
}

/* ---- cutoff ---- */

int settings_read_cutoff(struct reading *reading, const struct place *place, yyjson_val *value, void *member)
{
	struct settings_cutoff cutoff = {.given = true};
	int rc = settings_read_count(reading, place, value, &cutoff.ms);

	if (rc == 0)
		*(struct settings_cutoff *)member = cutoff;
	return rc;
}

void settings_append_cutoff(const void *member, struct buffer *json)
{
	const struct settings_cutoff *cutoff = member;

	if (cutoff->given)
		settings_append_count(&cutoff->ms, json);
	else
		buffer_append_string(json, "null");
}

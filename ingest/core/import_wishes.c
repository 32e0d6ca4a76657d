#include "ingest/core/import_wishes.h"

#include "shared/base/assert.h"
#include "shared/meta/source.h"
#include "shared/meta/topic_uid.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct import_wishes {
	const struct import_wanted *wanted;
	size_t wanted_len;
	struct import_wish *list; /* the configured ones first, in their order; then the grown ones */
	size_t len;
	size_t size;
};

static void set_state(struct import_wish *wish, enum import_wish_state state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void set_state(struct import_wish *wish, enum import_wish_state state, const char *format, ...)
{
	char reason[sizeof wish->reason];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
	if (wish->state == state && strcmp(wish->reason, reason) == 0)
		return;
	wish->state = state;
	wish->told = false;
	memcpy(wish->reason, reason, sizeof reason);
}

static bool is_each(const struct import_wanted *wanted)
{
	return wanted->uid[0] == 0;
}

/* ---- life ---- */

static struct import_wish *grow(struct import_wishes *wishes)
{
	if (wishes->len == wishes->size) {
		size_t size = wishes->size == 0 ? 16 : wishes->size * 2;
		struct import_wish *list = realloc(wishes->list, size * sizeof *list);

		if (list == NULL)
			return NULL;
		wishes->list = list;
		wishes->size = size;
	}
	wishes->list[wishes->len] = (struct import_wish){0};
	return &wishes->list[wishes->len++];
}

struct import_wishes *import_wishes_new(const struct import_wanted *wanted, size_t len)
{
	struct import_wishes *wishes = calloc(1, sizeof *wishes);

	if (wishes == NULL)
		return NULL;
	wishes->wanted = wanted;
	wishes->wanted_len = len;
	for (size_t i = 0; i < len; i++) {
		struct import_wish *wish = grow(wishes);

		if (wish == NULL) {
			import_wishes_free(wishes);
			return NULL;
		}
		wish->wanted = &wanted[i];
		wish->state = is_each(&wanted[i]) ? IMPORT_WISH_EACH : IMPORT_WISH_UNKNOWN;
		(void)snprintf(wish->name, sizeof wish->name, "%s", wanted[i].name);
		(void)snprintf(wish->topic, sizeof wish->topic, "%s", wanted[i].topic);
		(void)snprintf(wish->uid, sizeof wish->uid, "%s", wanted[i].uid);
	}
	return wishes;
}

void import_wishes_free(struct import_wishes *wishes)
{
	if (wishes == NULL)
		return;
	free(wishes->list);
	free(wishes);
}

size_t import_wishes_list(const struct import_wishes *wishes, struct import_wish **list)
{
	*list = wishes->list;
	return wishes->len;
}

void import_wish_record(const struct import_wish *wish, struct source_record *record)
{
	*record = (struct source_record){.life = 1, .rules = slice_string(wish->wanted->rules)};
	(void)snprintf(record->name, sizeof record->name, "%s", wish->name);
	(void)snprintf(record->topic, sizeof record->topic, "%s", wish->topic);
	if (wish->topic[0] == 0)
		(void)snprintf(record->pattern, sizeof record->pattern, "%s", wish->wanted->pattern);
	(void)snprintf(record->dead_letter_topic, sizeof record->dead_letter_topic, "%s",
	               wish->wanted->dead_letter_topic);
}

/* ---- topics of patterns ---- */

bool import_wishes_pattern(const struct import_wishes *wishes, size_t *at, size_t *number,
                           const char **pattern)
{
	while (*at < wishes->wanted_len) {
		size_t i = (*at)++;

		if (!is_each(&wishes->wanted[i]))
			continue;
		*number = i;
		*pattern = wishes->wanted[i].pattern;
		return true;
	}
	return false;
}

/* Written by Millrace itself, or an index already. */
static bool is_own(const struct import_wishes *wishes, const struct catalog *catalog, const char *topic)
{
	const struct index_record *index;
	size_t at = 0;

	if (catalog_topic_used(catalog, topic))
		return true;
	for (size_t i = 0; i < wishes->wanted_len; i++)
		if (strcmp(wishes->wanted[i].dead_letter_topic, topic) == 0)
			return true;
	while ((index = catalog_next_index(catalog, &at)) != NULL)
		for (size_t i = 0; index->state == INDEX_STATE_ACTIVE && i < index->sources_len; i++)
			if (strcmp(index->sources[i].dead_letter_topic, topic) == 0)
				return true;
	return false;
}

static bool is_named(const struct import_wishes *wishes, const char *topic)
{
	for (size_t i = 0; i < wishes->wanted_len; i++)
		if (strcmp(wishes->wanted[i].topic, topic) == 0)
			return true;
	return false;
}

static struct import_wish *find_grown(const struct import_wishes *wishes, const char *topic)
{
	for (size_t i = wishes->wanted_len; i < wishes->len; i++)
		if (strcmp(wishes->list[i].topic, topic) == 0)
			return &wishes->list[i];
	return NULL;
}

static int add_topic(struct import_wishes *wishes, size_t number, const char *topic, struct error *error)
{
	struct import_wish *wish = find_grown(wishes, topic);

	if (wish != NULL) {
		wish->there |= wish->wanted == &wishes->wanted[number];
		return 0;
	}
	if (wishes->len == IMPORT_WISHES_MAX)
		return error_set(
			error, ERROR_LIMIT, ERROR_ACTION_REJECT,
			"pattern `%.80s` matches topic %.80s too, but there is no room for more than "
			"%d sources",
			wishes->wanted[number].pattern, topic, IMPORT_WISHES_MAX);
	wish = grow(wishes);
	if (wish == NULL)
		return error_memory(error, sizeof *wish);
	wish->wanted = &wishes->wanted[number];
	wish->grown = wish->there = true;
	(void)snprintf(wish->topic, sizeof wish->topic, "%s", topic);
	(void)snprintf(wish->name, sizeof wish->name, "%s", topic);
	if (!topic_uid_print(topic, wish->uid))
		set_state(wish, IMPORT_WISH_REFUSED,
		          "the name of topic %s is too long for an index uid: list the topic with an `index`",
		          topic);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* By name, so that every program finds the same ones in the same order. */
static const char **sorted(const char *const *topics, size_t len)
{
	const char **copy = malloc((len + 1) * sizeof *copy);

	if (copy == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++)
		copy[i] = topics[i];
	qsort(copy, len, sizeof *copy, compare_names);
	return copy;
}

/* A topic that is gone wants nothing any more; what is recorded of it stays. */
static void forget_gone(struct import_wishes *wishes)
{
	size_t kept = wishes->wanted_len;

	for (size_t i = wishes->wanted_len; i < wishes->len; i++)
		if (wishes->list[i].there)
			wishes->list[kept++] = wishes->list[i];
	wishes->len = kept;
}

int import_wishes_topics(struct import_wishes *wishes, const struct catalog *catalog, size_t number,
                         const char *const *topics, size_t len, struct error *error)
{
	const char **names = sorted(topics, len);
	int rc = 0;

	if (names == NULL)
		return error_memory(error, len * sizeof *names);
	for (size_t i = wishes->wanted_len; i < wishes->len; i++)
		if (wishes->list[i].wanted == &wishes->wanted[number])
			wishes->list[i].there = false;
	for (size_t i = 0; rc == 0 && i < len; i++)
		if (!is_named(wishes, names[i]) && !is_own(wishes, catalog, names[i]))
			rc = add_topic(wishes, number, names[i], error);
	forget_gone(wishes);
	free(names);
	return rc;
}

/* ---- comparing ---- */

/* Another topic that is or would be in the index that is to be this one's alone; NULL if there is none. */
static const char *met(const struct import_wishes *wishes, const struct import_wish *wish,
                       const struct index_record *index)
{
	for (size_t i = 0; index != NULL && i < index->sources_len; i++)
		if (strcmp(index->sources[i].name, wish->name) != 0)
			return index->sources[i].topic[0] != 0 ? index->sources[i].topic
			                                       : index->sources[i].pattern;
	for (const struct import_wish *other = wishes->list; other < wish; other++)
		if (strcmp(other->uid, wish->uid) == 0)
			return other->topic[0] != 0 ? other->topic : other->wanted->pattern;
	return NULL;
}

static void judge(const struct import_wishes *wishes, struct import_wish *wish, const struct catalog *catalog,
                  int64_t now_ms)
{
	const struct index_record *index = catalog_resolve(catalog, slice_string(wish->uid));
	const struct source_record *recorded =
		index == NULL ? NULL : source_find(index->sources, index->sources_len, wish->name);
	const char *other;
	struct source_record wanted;

	import_wish_record(wish, &wanted);
	if (recorded != NULL && source_equal(recorded, &wanted)) {
		set_state(wish, IMPORT_WISH_RECORDED, "%s", "");
	} else if (recorded != NULL) {
		set_state(wish, IMPORT_WISH_DIFFERS,
		          "other rules are recorded, and those count as long as the index lives");
	} else if (wish->grown && (other = met(wishes, wish, index)) != NULL) {
		set_state(wish, IMPORT_WISH_REFUSED,
		          "topic %s would be imported into index `%s` as %s is: list it as `topic` with an "
		          "`index` of its own",
		          wish->topic, wish->uid, other);
	} else if (wish->state != IMPORT_WISH_REFUSED || now_ms >= wish->due_ms) {
		set_state(wish, IMPORT_WISH_WAITS, "%s", "");
	}
}

void import_wishes_judge(struct import_wishes *wishes, const struct catalog *catalog, int64_t now_ms)
{
	for (size_t i = 0; i < wishes->len; i++)
		if (wishes->list[i].uid[0] != 0)
			judge(wishes, &wishes->list[i], catalog, now_ms);
}

/* ---- requests ---- */

static size_t count_recorded(const struct catalog *catalog)
{
	const struct index_record *index;
	size_t count = 0;
	size_t at = 0;

	while ((index = catalog_next_index(catalog, &at)) != NULL)
		if (index->state == INDEX_STATE_ACTIVE)
			count += index->sources_len;
	return count;
}

static bool is_due(const struct import_wish *wish, int64_t now_ms)
{
	return wish->state == IMPORT_WISH_WAITS && now_ms >= wish->due_ms;
}

/* All that wait for an index that is not there go into its creation, as far as there is room. */
static size_t collect(struct import_wishes *wishes, struct import_wish *first, size_t room, int64_t now_ms,
                      struct source_record *sources)
{
	size_t len = 0;

	for (struct import_wish *wish = first; wish < wishes->list + wishes->len && len < room; wish++) {
		if (!is_due(wish, now_ms) || strcmp(wish->uid, first->uid) != 0)
			continue;
		import_wish_record(wish, &sources[len++]);
		wish->due_ms = now_ms + IMPORT_WISH_ASK_MS;
	}
	return len;
}

/* With at most `room` sources; one is added to an index that is there. */
static bool make(struct import_wishes *wishes, struct import_wish *wish, size_t room, int64_t now_ms,
                 struct task_request *request)
{
	bool creates = request->type == TASK_TYPE_INDEX_CREATION;
	size_t most = !creates ? 1 : room < SOURCES_MAX ? room : SOURCES_MAX;
	struct source_record *sources = calloc(most, sizeof *sources);

	if (sources == NULL)
		return false;
	*request = (struct task_request){
		.type = request->type,
		.partitions = creates ? wish->wanted->partitions : 0,
		.partitioner = creates ? PARTITIONER_MURMUR2 : 0,
		.sources = sources,
		.sources_len = collect(wishes, wish, most, now_ms, sources),
	};
	memcpy(request->uid, wish->uid, sizeof request->uid);
	if (creates)
		(void)snprintf(request->primary_key, sizeof request->primary_key, "%s",
		               wish->wanted->primary_key);
	return true;
}

bool import_wishes_ask(struct import_wishes *wishes, const struct catalog *catalog, int64_t now_ms,
                       struct task_request *request)
{
	size_t recorded = count_recorded(catalog);

	for (size_t i = 0; i < wishes->len; i++) {
		struct import_wish *wish = &wishes->list[i];
		bool creates;

		if (!is_due(wish, now_ms))
			continue;
		creates = catalog_resolve(catalog, slice_string(wish->uid)) == NULL;
		request->type = creates ? TASK_TYPE_INDEX_CREATION : TASK_TYPE_SOURCE_ADDITION;
		if (recorded < IMPORT_SOURCES_MAX)
			return make(wishes, wish, IMPORT_SOURCES_MAX - recorded, now_ms, request);
		wish->due_ms = now_ms + IMPORT_WISH_REFUSED_MS;
		set_state(wish, IMPORT_WISH_REFUSED,
		          "there are %zu sources already, and a program imports at most %d: bring topics "
		          "together in one index by a pattern with an `index`",
		          recorded, IMPORT_SOURCES_MAX);
	}
	return false;
}

void import_wishes_answer(struct import_wishes *wishes, const char *uid, const struct task_final *final,
                          int64_t now_ms)
{
	/* somebody else was first: what counts is what the records say then */
	if (final->succeeded || strcmp(final->code, "index_already_exists") == 0)
		return;
	for (size_t i = 0; i < wishes->len; i++) {
		struct import_wish *wish = &wishes->list[i];

		if (wish->state != IMPORT_WISH_WAITS || strcmp(wish->uid, uid) != 0)
			continue;
		wish->due_ms = now_ms + IMPORT_WISH_REFUSED_MS;
		set_state(wish, IMPORT_WISH_REFUSED, "%s", final->message);
	}
}

#include "shard/core/search_settings.h"

#include "shared/base/assert.h"

#include <stdlib.h>

#define ARENA_BLOCK_BYTES ((size_t)4 * 1024)

/* A version on its way; let go of when it is made. */
struct making {
	struct search_settings *made;
	struct text *text;
	struct buffer forms; /* struct slice, in the arena */
};

static int making_begin(struct making *making, int64_t version, struct error *error)
{
	making->made = calloc(1, sizeof *making->made);
	making->text = text_new();
	buffer_init(&making->forms, SIZE_MAX);
	if (making->made == NULL)
		return error_memory(error, sizeof *making->made);
	making->made->references = 1;
	making->made->version = version;
	arena_init(&making->made->arena, ARENA_BLOCK_BYTES);
	if (making->text == NULL)
		return error_memory(error, 0);
	return 0;
}

static void making_end(struct making *making)
{
	text_free(making->text);
	buffer_deinit(&making->forms);
	search_settings_release(making->made);
}

/* ---- how texts are cut ---- */

struct text_settings search_settings_cutting(const struct settings *settings)
{
	return (struct text_settings){
		.separators = settings->separators.list,
		.separators_len = settings->separators.len,
		.not_separators = settings->not_separators.list,
		.not_separators_len = settings->not_separators.len,
		.dictionary = settings->dictionary.list,
		.dictionary_len = settings->dictionary.len,
		.stop_words = settings->stop_words.list,
		.stop_words_len = settings->stop_words.len,
	};
}

static int rules_make(struct making *making, struct error *error)
{
	struct text_settings lists = search_settings_cutting(making->made->settings);

	if (cutting_new(&lists, &making->made->cutting, error) != 0)
		return error->code;
	making->made->rules = making->made->cutting->rules;
	return 0;
}

/* ---- words ---- */

/* Appends the forms of a text's words, but of stop words, to `forms`. */
static int forms_add(struct making *making, struct slice bytes, struct error *error)
{
	struct token token;
	int rc;

	text_begin(making->text, making->made->rules, bytes);
	while ((rc = text_next(making->text, &token, error)) > 0) {
		struct slice form;

		if (token.kind != TOKEN_WORD)
			continue;
		if (!arena_copy(&making->made->arena, token.form, &form))
			return error_memory(error, token.form.len);
		buffer_append(&making->forms, &form, sizeof form);
	}
	return rc;
}

/* Takes what is in `forms`. */
static int forms_take(struct making *making, struct query_phrase *phrase, struct error *error)
{
	size_t bytes = making->forms.len;
	struct slice *words = arena_alloc(&making->made->arena, bytes);

	if (words == NULL || buffer_failed(&making->forms))
		return error_memory(error, bytes);
	if (bytes > 0)
		memcpy(words, making->forms.ptr, bytes);
	*phrase = (struct query_phrase){words, bytes / sizeof *words};
	buffer_clear(&making->forms);
	return 0;
}

static int phrase_make(struct making *making, struct slice bytes, struct query_phrase *phrase,
                       struct error *error)
{
	if (forms_add(making, bytes, error) != 0)
		return error->code;
	return forms_take(making, phrase, error);
}

static int typos_make(struct making *making, struct error *error)
{
	const struct settings_typos *typos = &making->made->settings->typos;
	struct query_phrase forms;

	for (size_t i = 0; i < typos->words.len; i++)
		if (forms_add(making, typos->words.list[i], error) != 0)
			return error->code;
	if (forms_take(making, &forms, error) != 0)
		return error->code;
	making->made->typos = (struct search_typos){
		.enabled = typos->enabled,
		.one = typos->sizes.one,
		.two = typos->sizes.two,
		.numbers_exact = typos->not_on_numbers,
		.words = forms.words,
		.words_len = forms.len,
		.attributes = typos->attributes.list,
		.attributes_len = typos->attributes.len,
	};
	return 0;
}

/* Those of one key. What no query is cut into stands for nothing, and nothing stands for it. */
static int synonyms_add(struct making *making, const struct settings_synonym *given,
                        struct search_synonym *synonyms, struct error *error)
{
	struct search_synonym added;

	if (phrase_make(making, given->text, &added.of, error) != 0)
		return error->code;
	if (added.of.len == 0 || added.of.len > QUERY_NGRAM_MAX)
		return 0;
	for (size_t i = 0; i < given->synonyms.len; i++) {
		if (phrase_make(making, given->synonyms.list[i], &added.synonym, error) != 0)
			return error->code;
		if (added.synonym.len > 0)
			synonyms[making->made->synonyms_len++] = added;
	}
	return 0;
}

static int synonyms_make(struct making *making, struct error *error)
{
	const struct settings_synonyms *given = &making->made->settings->synonyms;
	struct search_synonym *synonyms;
	size_t most = 0;

	for (size_t i = 0; i < given->len; i++)
		most += given->list[i].synonyms.len;
	synonyms = arena_alloc(&making->made->arena, most * sizeof *synonyms);
	if (synonyms == NULL)
		return error_memory(error, most * sizeof *synonyms);
	making->made->synonyms = synonyms;
	for (size_t i = 0; i < given->len; i++)
		if (synonyms_add(making, &given->list[i], synonyms, error) != 0)
			return error->code;
	return 0;
}

/* ---- all of it ---- */

static int settings_make(struct making *making, struct slice record, struct error *error)
{
	struct settings *settings;

	making->made->settings = settings_default();
	if (record.ptr != NULL) {
		if (settings_parse(record, &making->made->arena, &settings, error) != 0)
			return error->code;
		making->made->settings = settings;
	}
	if (rules_make(making, error) != 0 || typos_make(making, error) != 0)
		return error->code;
	return synonyms_make(making, error);
}

int search_settings_new(int64_t version, struct slice record, struct search_settings **settings,
                        struct error *error)
{
	struct making making;
	int rc = making_begin(&making, version, error);

	if (rc == 0)
		rc = settings_make(&making, record, error);
	if (rc == 0) {
		*settings = making.made;
		making.made = NULL;
	}
	making_end(&making);
	return rc;
}

struct search_settings *search_settings_hold(struct search_settings *settings)
{
	size_t before = atomic_fetch_add_explicit(&settings->references, 1, memory_order_relaxed);

	ASSERT(before > 0);
	return settings;
}

void search_settings_release(struct search_settings *settings)
{
	if (settings == NULL ||
	    atomic_fetch_sub_explicit(&settings->references, 1, memory_order_acq_rel) != 1)
		return;
	cutting_release(settings->cutting);
	arena_deinit(&settings->arena);
	free(settings);
}

/*
 * Search settings: one version of an index's settings, made ready for
 * searching: parsed, its words cut and folded as documents are.
 *
 * Made once a version by the node's owner, immutable and counted; any thread
 * reads and releases it. Pure. Failure: ERROR_MEMORY (RETRY), ERROR_FORMAT,
 * ERROR_LIMIT or ERROR_VERSION (REJECT) for a record that is none, and what
 * text.h fails with.
 */
#ifndef MILLRACE_SHARD_CORE_SEARCH_SETTINGS_H
#define MILLRACE_SHARD_CORE_SEARCH_SETTINGS_H

#include "shard/core/cutting.h"
#include "shard/core/search.h"
#include "shared/settings/settings.h"

#include <stdatomic.h>

/* The version of an index whose settings nobody has set. */
#define SEARCH_SETTINGS_DEFAULT (-1)

struct search_settings {
	atomic_size_t references;
	int64_t version; /* the request that made them, or SEARCH_SETTINGS_DEFAULT */
	const struct settings *settings;
	struct cutting *cutting;        /* how texts are cut */
	const struct text_rules *rules; /* its own; NULL: the defaults */
	/* As search_request wants them: */
	struct search_typos typos;
	const struct search_synonym *synonyms;
	size_t synonyms_len;
	struct arena arena; /* where all of it lives */
};

/* `record` as in settings.h; ptr NULL: the defaults. */
int search_settings_new(int64_t version, struct slice record, struct search_settings **settings,
                        struct error *error);
/* How texts are cut; borrowed from the settings. */
struct text_settings search_settings_cutting(const struct settings *settings);
struct search_settings *search_settings_hold(struct search_settings *settings);
/* NULL: nothing happens. */
void search_settings_release(struct search_settings *settings);

#endif

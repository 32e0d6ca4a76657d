#include "query/core/error_answer.h"

#include "shared/base/assert.h"
#include "shared/json/json.h"

#include <stdarg.h>
#include <stdio.h>

struct error_row {
	const char *code;
	int status;
	const char *type;
};

static const char invalid_request[] = "invalid_request";

static const struct error_row rows[] = {
	/* the first row of a status is what error_answer_code_of_status gives */
	{"bad_request", 400, invalid_request},
	{"missing_authorization_header", 401, "auth"},
	{"invalid_api_key", 403, "auth"},
	{"not_found", 404, invalid_request},
	{"payload_too_large", 413, invalid_request},
	{"unsupported_media_type", 415, invalid_request},
	{"internal", 500, "internal"},
	{"unavailable", 503, "system"},
	{"document_not_found", 404, invalid_request},
	{"feature_not_enabled", 400, invalid_request},
	{"index_not_found", 404, invalid_request},
	{"invalid_content_type", 415, invalid_request},
	{"invalid_document_fields", 400, invalid_request},
	{"invalid_document_filter", 400, invalid_request},
	{"invalid_document_ids", 400, invalid_request},
	{"invalid_document_limit", 400, invalid_request},
	{"invalid_document_offset", 400, invalid_request},
	{"invalid_document_retrieve_vectors", 400, invalid_request},
	{"invalid_document_sort", 400, invalid_request},
	{"invalid_document_use_network", 400, invalid_request},
	{"invalid_index_limit", 400, invalid_request},
	{"invalid_index_offset", 400, invalid_request},
	{"invalid_index_primary_key", 400, invalid_request},
	{"invalid_index_uid", 400, invalid_request},
	{"invalid_search_attributes_to_crop", 400, invalid_request},
	{"invalid_search_attributes_to_highlight", 400, invalid_request},
	{"invalid_search_attributes_to_retrieve", 400, invalid_request},
	{"invalid_search_attributes_to_search_on", 400, invalid_request},
	{"invalid_search_crop_length", 400, invalid_request},
	{"invalid_search_crop_marker", 400, invalid_request},
	{"invalid_search_distinct", 400, invalid_request},
	{"invalid_search_embedder", 400, invalid_request},
	{"invalid_search_facets", 400, invalid_request},
	{"invalid_search_filter", 400, invalid_request},
	{"invalid_search_highlight_post_tag", 400, invalid_request},
	{"invalid_search_highlight_pre_tag", 400, invalid_request},
	{"invalid_search_hits_per_page", 400, invalid_request},
	{"invalid_search_hybrid_query", 400, invalid_request},
	{"invalid_search_limit", 400, invalid_request},
	{"invalid_search_locales", 400, invalid_request},
	{"invalid_search_matching_strategy", 400, invalid_request},
	{"invalid_search_media", 400, invalid_request},
	{"invalid_search_media_and_vector", 400, invalid_request},
	{"invalid_search_offset", 400, invalid_request},
	{"invalid_search_page", 400, invalid_request},
	{"invalid_search_personalize", 400, invalid_request},
	{"invalid_search_personalize_user_context", 400, invalid_request},
	{"invalid_search_q", 400, invalid_request},
	{"invalid_search_ranking_score_threshold", 400, invalid_request},
	{"invalid_search_retrieve_vectors", 400, invalid_request},
	{"invalid_search_semantic_ratio", 400, invalid_request},
	{"invalid_search_show_matches_position", 400, invalid_request},
	{"invalid_search_show_performance_details", 400, invalid_request},
	{"invalid_search_show_ranking_score", 400, invalid_request},
	{"invalid_search_show_ranking_score_details", 400, invalid_request},
	{"invalid_search_sort", 400, invalid_request},
	{"invalid_search_use_network", 400, invalid_request},
	{"invalid_search_vector", 400, invalid_request},
	{"invalid_settings_dictionary", 400, invalid_request},
	{"invalid_settings_displayed_attributes", 400, invalid_request},
	{"invalid_settings_distinct_attribute", 400, invalid_request},
	{"invalid_settings_embedders", 400, invalid_request},
	{"invalid_settings_facet_search", 400, invalid_request},
	{"invalid_settings_faceting", 400, invalid_request},
	{"invalid_settings_filterable_attributes", 400, invalid_request},
	{"invalid_settings_localized_attributes", 400, invalid_request},
	{"invalid_settings_non_separator_tokens", 400, invalid_request},
	{"invalid_settings_pagination", 400, invalid_request},
	{"invalid_settings_prefix_search", 400, invalid_request},
	{"invalid_settings_proximity_precision", 400, invalid_request},
	{"invalid_settings_ranking_rules", 400, invalid_request},
	{"invalid_settings_search_cutoff_ms", 400, invalid_request},
	{"invalid_settings_searchable_attributes", 400, invalid_request},
	{"invalid_settings_separator_tokens", 400, invalid_request},
	{"invalid_settings_sortable_attributes", 400, invalid_request},
	{"invalid_settings_stop_words", 400, invalid_request},
	{"invalid_settings_synonyms", 400, invalid_request},
	{"invalid_settings_typo_tolerance", 400, invalid_request},
	{"invalid_source", 400, invalid_request},
	{"invalid_task_uids", 400, invalid_request},
	{"index_already_exists", 409, invalid_request},
	{"consistency_token_outdated", 409, invalid_request},
	{"invalid_consistency_token", 400, invalid_request},
	{"facet_search_disabled", 400, invalid_request},
	{"invalid_facet_search_exhaustive_facet_count", 400, invalid_request},
	{"invalid_facet_search_facet_name", 400, invalid_request},
	{"invalid_facet_search_query", 400, invalid_request},
	{"invalid_multi_search_distinct", 400, invalid_request},
	{"invalid_multi_search_facets_by_index", 400, invalid_request},
	{"invalid_multi_search_federation_options", 400, invalid_request},
	{"invalid_multi_search_max_values_per_facet", 400, invalid_request},
	{"invalid_multi_search_merge_facets", 400, invalid_request},
	{"invalid_multi_search_query_facets", 400, invalid_request},
	{"invalid_multi_search_query_pagination", 400, invalid_request},
	{"invalid_multi_search_query_position", 400, invalid_request},
	{"invalid_multi_search_query_ranking_rules", 400, invalid_request},
	{"invalid_multi_search_remote", 400, invalid_request},
	{"invalid_multi_search_weight", 400, invalid_request},
	{"missing_facet_search_facet_name", 400, invalid_request},
	{"malformed_payload", 400, invalid_request},
	{"missing_content_type", 415, invalid_request},
	{"missing_index_uid", 400, invalid_request},
	{"missing_payload", 400, invalid_request},
	{"missing_search_hybrid", 400, invalid_request},
	{"not_ready", 503, "system"},
	{"source_exists", 409, invalid_request},
	{"source_not_found", 404, invalid_request},
	{"consistency_token_not_reached", 503, "system"},
	{"task_not_found", 404, invalid_request},
	{"too_many_search_requests", 503, "system"},
};

static const struct error_row *row_of(struct slice code)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (slice_equal(code, slice_string(rows[i].code)))
			return &rows[i];
	return NULL;
}

int error_answer_set(struct error_answer *answer, const char *code, const char *format, ...)
{
	const struct error_row *row = row_of(slice_string(code));
	va_list args;

	ASSERT(row != NULL);
	answer->code = code;
	answer->status = row->status;
	va_start(args, format);
	(void)vsnprintf(answer->message, sizeof answer->message, format, args);
	va_end(args);
	return ERROR_FORMAT;
}

int error_answer_status(const char *code)
{
	const struct error_row *row = row_of(slice_string(code));

	ASSERT(row != NULL);
	return row->status;
}

void error_answer_prefix(struct error_answer *answer, const char *before)
{
	char text[ERROR_ANSWER_MESSAGE_BYTES_MAX];

	memcpy(text, answer->message, sizeof text);
	(void)snprintf(answer->message, sizeof answer->message, "%s%.*s", before, (int)sizeof answer->message,
	               text);
}

void error_answer_inside(struct error_answer *answer, const char *place)
{
	char before[128];

	(void)snprintf(before, sizeof before, "Inside `%s`: ", place);
	error_answer_prefix(answer, before);
	if (row_of(slice_string(answer->code))->type == invalid_request)
		answer->status = 400;
}

const char *error_answer_code_of_status(int status)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].status == status)
			return rows[i].code;
	return status >= 500 ? "internal" : "bad_request";
}

void error_answer_append(struct buffer *body, struct slice code, struct slice message)
{
	const struct error_row *row = row_of(code);

	buffer_append_string(body, "{\"message\":");
	json_append_string(body, message);
	buffer_append_string(body, ",\"code\":");
	json_append_string(body, code);
	buffer_printf(body, ",\"type\":\"%s\",\"link\":", row != NULL ? row->type : "internal");
	/* only a known code goes into the link: it needs no escaping */
	buffer_append_string(body, "\"https://docs.meilisearch.com/errors#");
	buffer_append_slice(body, row != NULL ? code : slice_string("internal"));
	buffer_append_string(body, "\"}");
}

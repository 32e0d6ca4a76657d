#include "query/survey.h"

#include "query/bodies.h"
#include "query/core/route_request.h"
#include "shared/runtime/logline.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define BODY_BYTES_MAX (16U * 1024 * 1024)
#define URL_BYTES_MAX 320

struct survey {
	struct exchange exchange;
	pthread_mutex_t lock;
	unsigned waiting; /* nodes that have not answered, and the starter */
	struct arena arena;
	const struct snapshot *snapshot;
	const struct index_record *index; /* NULL: all */
	struct stats *stats;
};

/* The first shard that nobody reported, of `index` or of all. */
static bool find_missing(const struct survey *survey, const struct index_record **index,
                         struct index_stats *sums)
{
	const struct catalog *catalog = survey->snapshot->catalog;
	struct slice uid;
	uint64_t index_id;
	size_t at = 0;

	if (survey->index != NULL) {
		*index = survey->index;
		stats_of_index(survey->stats, survey->index, sums);
		return sums->missing > 0;
	}
	while (catalog_next_name(catalog, &at, &uid, &index_id)) {
		*index = catalog_resolve(catalog, uid);
		if (*index == NULL)
			continue;
		stats_of_index(survey->stats, *index, sums);
		if (sums->missing > 0)
			return true;
	}
	return false;
}

static void respond(const struct survey *survey)
{
	struct gateway *gateway = survey->exchange.gateway;
	const struct index_record *index = NULL;
	struct index_stats sums;
	bool missing = find_missing(survey, &index, &sums);
	char header[INDEX_UID_BYTES_MAX + 80];
	struct buffer body;

	if (missing) {
		gateway_count_degraded(gateway, gateway->refuse_degraded ? "refused" : "shards");
		(void)snprintf(header, sizeof header, "X-Millrace-Degraded: shards=%s/%d", index->uid,
		               sums.first_missing);
		if (sums.missing > 1)
			(void)snprintf(header + strlen(header), sizeof header - strlen(header), ",+%d",
			               sums.missing - 1);
	}
	if (missing && gateway->refuse_degraded) {
		struct error_answer refusal;

		(void)error_answer_set(&refusal, "unavailable",
		                       "Index `%s`: no node reports %d of its %d shards.", index->uid,
		                       sums.missing, index->partitions);
		gateway_respond_error(&survey->exchange, &refusal);
		return;
	}
	buffer_init(&body, BODY_BYTES_MAX);
	if (survey->index != NULL)
		body_index_stats(&body, &sums);
	else
		body_stats(&body, survey->snapshot->catalog, survey->stats);
	gateway_respond(&survey->exchange, 200, &body, missing ? header : NULL);
}

/* Unlocks; the last one answers and frees. */
static void survey_let_go(struct survey *survey)
{
	struct gateway *gateway = survey->exchange.gateway;
	bool last = --survey->waiting == 0;

	(void)pthread_mutex_unlock(&survey->lock);
	if (!last)
		return;
	respond(survey);
	snapshot_release(survey->snapshot);
	arena_deinit(&survey->arena);
	(void)pthread_mutex_destroy(&survey->lock);
	free(survey);
	gateway_end_flight(gateway);
}

/* On the HTTP client's thread. */
static void node_completed(void *context, const struct http_answer *answer)
{
	struct survey *survey = context;
	struct error error = answer->error;
	int result = -1;

	(void)pthread_mutex_lock(&survey->lock);
	if (answer->status == 200)
		result = stats_add(survey->stats, answer->body, &error);
	else if (answer->status != 0)
		(void)error_set(&error, ERROR_NETWORK, ERROR_ACTION_RETRY, "status %d", answer->status);
	if (result < 0)
		logline(LOG_LEVEL_WARN, "survey_failed", "request=%s error=\"%s\"",
		        http_request_id(survey->exchange.request), error.text);
	survey_let_go(survey);
}

static void ask(struct survey *survey, const struct node_record *node)
{
	char url[URL_BYTES_MAX];
	char id[17] = "";
	struct http_client_request request = {.method = "GET",
	                                      .url = url,
	                                      .request_id = http_request_id(survey->exchange.request),
	                                      .timeout_ms = survey->exchange.gateway->timeout_ms,
	                                      .completion = node_completed,
	                                      .context = survey};
	struct error error;

	if (survey->index != NULL)
		index_id_print(survey->index->id, id);
	(void)snprintf(url, sizeof url, "%s/shards%s%s", node->url, id[0] != '\0' ? "?index=" : "", id);
	survey->waiting++;
	if (http_client_send(gateway_client(survey->exchange.gateway), &request, &error) < 0) {
		survey->waiting--;
		logline(LOG_LEVEL_WARN, "survey_failed", "node=%s error=\"%s\"", node->id, error.text);
	}
}

static struct survey *survey_new(const struct exchange *exchange, bool one_index,
                                 struct error_answer *refusal)
{
	struct survey *survey = calloc(1, sizeof *survey);
	struct slice uid = exchange->segments[1];
	int result = 0;

	if (survey == NULL) {
		(void)error_answer_set(refusal, "internal", "out of memory");
		return NULL;
	}
	survey->exchange = *exchange;
	survey->waiting = 1;
	arena_init(&survey->arena, 64 * 1024);
	if (!one_index && (survey->snapshot = view_take(exchange->gateway->view)) == NULL)
		result = error_answer_set(refusal, "not_ready",
		                          "This gateway has not read its topics in Kafka yet.");
	else if (one_index && index_uid_check(uid, refusal) < 0)
		result = -1;
	else if (one_index)
		result = gateway_resolve(exchange, uid, &survey->snapshot, &survey->index, refusal);
	if (result == 0 && (survey->stats = stats_new(survey->index, &survey->arena)) == NULL)
		result = error_answer_set(refusal, "internal", "out of memory");
	if (result < 0) {
		snapshot_release(survey->snapshot);
		arena_deinit(&survey->arena);
		free(survey);
		return NULL;
	}
	(void)pthread_mutex_init(&survey->lock, NULL);
	return survey;
}

void survey_start(const struct exchange *exchange, bool one_index)
{
	const struct cluster_record *cluster;
	struct error_answer refusal;
	struct survey *survey;

	if (!gateway_begin_flight(exchange->gateway, &refusal)) {
		gateway_respond_error(exchange, &refusal);
		return;
	}
	survey = survey_new(exchange, one_index, &refusal);
	if (survey == NULL) {
		gateway_end_flight(exchange->gateway);
		gateway_respond_error(exchange, &refusal);
		return;
	}
	(void)pthread_mutex_lock(&survey->lock);
	cluster = catalog_cluster(survey->snapshot->catalog);
	for (size_t i = 0; cluster != NULL && i < cluster->nodes_len; i++)
		ask(survey, &cluster->nodes[i]);
	survey_let_go(survey);
}

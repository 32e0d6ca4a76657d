#include "query/balance.h"

#include "shared/runtime/metrics.h"

#include <pthread.h>
#include <stdlib.h>

struct balance {
	pthread_mutex_t lock; /* guards the chooser */
	struct chooser *chooser;
	struct metric *node_seconds;
	struct series *answered;
	struct series *unused;
	struct series *refused;
	struct series *failed;
	struct series *unsent;
	struct series *retries;
	struct series *hedges;
	struct series *hedges_won;
	struct series *hedges_denied;
};

static struct series *series_of(struct metric *metric, const char *label)
{
	const char *labels[] = {label};

	return metric_series(metric, labels);
}

static void declare_metrics(struct balance *balance)
{
	struct metric *legs = metric_new(METRIC_TYPE_COUNTER, "millrace_query_legs_total",
	                                 "Questions to nodes, by how they ended.", "outcome");
	struct metric *retries =
		metric_new(METRIC_TYPE_COUNTER, "millrace_query_retries_total",
	                   "Questions asked of another replica because one refused or failed.", "");
	struct metric *hedges =
		metric_new(METRIC_TYPE_COUNTER, "millrace_query_hedges_total",
	                   "Questions asked of another replica because one was slow: sent, won "
	                   "by them, and denied: beyond their budget, or all are busy.",
	                   "result");

	balance->node_seconds = metric_new(METRIC_TYPE_HISTOGRAM, "millrace_query_node_duration_seconds",
	                                   "Time from a question to a node to its answer.", "node");
	balance->answered = series_of(legs, "answered");
	balance->unused = series_of(legs, "unused");
	balance->refused = series_of(legs, "refused");
	balance->failed = series_of(legs, "failed");
	balance->unsent = series_of(legs, "unsent");
	balance->retries = metric_series(retries, NULL);
	balance->hedges = series_of(hedges, "sent");
	balance->hedges_won = series_of(hedges, "won");
	balance->hedges_denied = series_of(hedges, "denied");
}

int balance_open(struct balance **balance, struct error *error)
{
	struct balance *made = calloc(1, sizeof *made);

	if (made == NULL || (made->chooser = chooser_new()) == NULL) {
		free(made);
		return error_memory(error, sizeof *made);
	}
	(void)pthread_mutex_init(&made->lock, NULL);
	declare_metrics(made);
	*balance = made;
	return 0;
}

void balance_close(struct balance *balance)
{
	if (balance == NULL)
		return;
	chooser_free(balance->chooser);
	(void)pthread_mutex_destroy(&balance->lock);
	free(balance);
}

struct scatter *balance_plan(struct balance *balance, const struct catalog *catalog,
                             const struct index_record *index, const struct scatter_options *options,
                             struct arena *arena)
{
	struct scatter_options filled = *options;
	struct scatter *scatter;

	filled.chooser = balance->chooser;
	(void)pthread_mutex_lock(&balance->lock);
	scatter = scatter_plan(catalog, index, &filled, arena);
	(void)pthread_mutex_unlock(&balance->lock);
	return scatter;
}

int balance_step(struct balance *balance, struct scatter *scatter, const struct scatter_event *event,
                 struct error *error)
{
	int result;

	(void)pthread_mutex_lock(&balance->lock);
	result = scatter_step(scatter, event, error);
	(void)pthread_mutex_unlock(&balance->lock);
	return result;
}

void balance_abandon(struct balance *balance, struct scatter *scatter)
{
	(void)pthread_mutex_lock(&balance->lock);
	scatter_abandon(scatter);
	(void)pthread_mutex_unlock(&balance->lock);
}

void balance_count_leg(struct balance *balance, const char *node, enum scatter_event_kind outcome,
                       int64_t took_us)
{
	struct series *series = balance->failed;

	if (outcome == SCATTER_EVENT_ANSWERED)
		series = balance->answered;
	else if (outcome == SCATTER_EVENT_UNUSED)
		series = balance->unused;
	else if (outcome == SCATTER_EVENT_REFUSED)
		series = balance->refused;
	else if (outcome == SCATTER_EVENT_UNSENT)
		series = balance->unsent;
	series_add(series, 1);
	if (outcome != SCATTER_EVENT_UNSENT && outcome != SCATTER_EVENT_FAILED)
		series_observe(series_of(balance->node_seconds, node), (double)took_us / 1e6);
}

void balance_count_end(struct balance *balance, const struct scatter *scatter)
{
	struct scatter_tally tally = scatter_tally(scatter);

	series_add(balance->retries, tally.retries);
	series_add(balance->hedges, tally.hedges);
	series_add(balance->hedges_won, tally.hedges_won);
	series_add(balance->hedges_denied, tally.hedges_denied);
}

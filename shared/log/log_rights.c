/*
 * What Kafka's authorizer has been told, asked once, and judged as it does:
 * whatever is denied is denied, Read, Write, Delete and Alter give Describe,
 * AlterConfigs gives DescribeConfigs, All gives everything.
 */
#include "shared/base/assert.h"
#include "shared/log/log_private.h"

#include <stdlib.h>

struct log_acls {
	rd_kafka_event_t *event; /* whose the rules are */
	const rd_kafka_AclBinding_t **rules;
	size_t rules_len;
};

/* Of everything and everybody. */
static rd_kafka_event_t *ask(rd_kafka_t *rk, int timeout_ms)
{
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBEACLS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_AclBindingFilter_t *all;
	rd_kafka_event_t *event;
	char text[128];

	ASSERT(rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof text) == 0);
	all = rd_kafka_AclBindingFilter_new(RD_KAFKA_RESOURCE_ANY, NULL, RD_KAFKA_RESOURCE_PATTERN_ANY, NULL,
	                                    NULL, RD_KAFKA_ACL_OPERATION_ANY,
	                                    RD_KAFKA_ACL_PERMISSION_TYPE_ANY, text, sizeof text);
	ASSERT(all != NULL);
	rd_kafka_DescribeAcls(rk, all, options, queue);
	event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
	rd_kafka_AclBinding_destroy(all);
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	return event;
}

int log_acls_read(struct log_connection *connection, int timeout_ms, struct log_acls **acls,
                  struct error *error)
{
	rd_kafka_event_t *event = ask(log_connection_handle(connection), timeout_ms);
	rd_kafka_resp_err_t err = event == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(event);
	const rd_kafka_AclBinding_t **rules = NULL;
	struct log_acls *read = NULL;
	size_t rules_len = 0;
	int rc = 0;

	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		rules = rd_kafka_DescribeAcls_result_acls(rd_kafka_event_DescribeAcls_result(event),
		                                          &rules_len);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		rc = log_fail(error, err, "asking for", "the rules of Kafka's authorizer");
	else if (rules_len == 0)
		rc = error_set(
			error, ERROR_NOT_FOUND, ERROR_ACTION_REJECT,
			"Kafka shows no rules: it has no authorizer, or does not show them to this user");
	else if ((read = calloc(1, sizeof *read)) == NULL)
		rc = error_memory(error, sizeof *read);
	if (rc != 0) {
		if (event != NULL)
			rd_kafka_event_destroy(event);
		return rc;
	}
	log_reached();
	read->event = event;
	read->rules = rules;
	read->rules_len = rules_len;
	*acls = read;
	return 0;
}

void log_acls_free(struct log_acls *acls)
{
	if (acls == NULL)
		return;
	rd_kafka_event_destroy(acls->event);
	free(acls);
}

static bool is_about_resource(const rd_kafka_AclBinding_t *rule, enum log_resource resource)
{
	static const rd_kafka_ResourceType_t types[] = {
		[LOG_RESOURCE_TOPIC] = RD_KAFKA_RESOURCE_TOPIC,
		[LOG_RESOURCE_GROUP] = RD_KAFKA_RESOURCE_GROUP,
		/* 2.0.2 knows no more; tokens and users, unknown to it as well, are not asked for */
		[LOG_RESOURCE_TRANSACTIONAL_ID] = RD_KAFKA_RESOURCE_UNKNOWN,
		[LOG_RESOURCE_CLUSTER] = RD_KAFKA_RESOURCE_BROKER,
	};

	return rd_kafka_AclBinding_restype(rule) == types[resource];
}

/* `partly`: or about some of what the right is about. */
static bool is_about_name(const rd_kafka_AclBinding_t *rule, const struct log_right *right, bool partly)
{
	const char *name = rd_kafka_AclBinding_name(rule);
	size_t len = strlen(name);

	if (strcmp(name, "*") == 0)
		return true;
	if (partly && right->prefixed && strncmp(name, right->name, strlen(right->name)) == 0)
		return true;
	if (rd_kafka_AclBinding_resource_pattern_type(rule) == RD_KAFKA_RESOURCE_PATTERN_PREFIXED)
		return strncmp(right->name, name, len) == 0;
	return !right->prefixed && strcmp(right->name, name) == 0;
}

static bool is_about_principal(const rd_kafka_AclBinding_t *rule, const char *principal)
{
	const char *named = rd_kafka_AclBinding_principal(rule);

	return strcmp(named, principal) == 0 || strcmp(named, "User:*") == 0;
}

static bool gives(rd_kafka_AclOperation_t operation, const char *wanted)
{
	if (strcmp(wanted, "Describe") == 0 &&
	    (operation == RD_KAFKA_ACL_OPERATION_READ || operation == RD_KAFKA_ACL_OPERATION_WRITE ||
	     operation == RD_KAFKA_ACL_OPERATION_DELETE || operation == RD_KAFKA_ACL_OPERATION_ALTER))
		return true;
	return strcmp(wanted, "DescribeConfigs") == 0 && operation == RD_KAFKA_ACL_OPERATION_ALTER_CONFIGS;
}

static bool names(rd_kafka_AclOperation_t operation, const char *wanted)
{
	static const struct {
		const char *name;
		rd_kafka_AclOperation_t operation;
	} known[] = {
		{"Read", RD_KAFKA_ACL_OPERATION_READ},
		{"Write", RD_KAFKA_ACL_OPERATION_WRITE},
		{"Create", RD_KAFKA_ACL_OPERATION_CREATE},
		{"Delete", RD_KAFKA_ACL_OPERATION_DELETE},
		{"Describe", RD_KAFKA_ACL_OPERATION_DESCRIBE},
		{"DescribeConfigs", RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS},
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].name, wanted) == 0)
			return operation == RD_KAFKA_ACL_OPERATION_ALL || operation == known[i].operation;
	ASSERT(!"an operation that this module knows");
	return false;
}

enum log_ruling log_acls_judge(const struct log_acls *acls, const char *principal,
                               const struct log_right *right)
{
	enum log_ruling ruling = LOG_RULING_MISSING;

	for (size_t i = 0; i < acls->rules_len; i++) {
		const rd_kafka_AclBinding_t *rule = acls->rules[i];
		rd_kafka_AclOperation_t operation = rd_kafka_AclBinding_operation(rule);
		bool denies = rd_kafka_AclBinding_permission_type(rule) == RD_KAFKA_ACL_PERMISSION_TYPE_DENY;

		if (!is_about_principal(rule, principal) || !is_about_resource(rule, right->resource) ||
		    !is_about_name(rule, right, denies))
			continue;
		if (denies && names(operation, right->operation))
			return LOG_RULING_DENIED;
		if (!denies && (names(operation, right->operation) || gives(operation, right->operation)))
			ruling = LOG_RULING_GIVEN;
	}
	return ruling;
}

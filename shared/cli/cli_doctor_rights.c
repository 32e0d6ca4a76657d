/*
 * The rights in Kafka: who needs what, as commands, and who lacks what.
 *
 * This list is the only one. It grants what the programs do and no more;
 * what a setting makes superfluous (topics.create, topics.replication_factor)
 * is left out.
 */
#include "shared/cli/cli_doctor.h"

#include <stdio.h>
#include <string.h>

#define OPERATION_BYTES_MAX 24
#define CLUSTER_NAME "kafka-cluster" /* Kafka's own word for the one resource of this type */

enum condition {
	CONDITION_ALWAYS,
	CONDITION_CREATES,              /* topics.create */
	CONDITION_CREATES_AS_BY_BROKER, /* and topics.replication_factor is the broker's */
	CONDITION_IMPORTS               /* sources are configured; the rights to their topics come on top */
};

/* What somebody needs. */
struct need {
	const char *program;
	enum log_resource resource;
	const char *suffix;     /* behind "<cluster>." */
	const char *operations; /* separated by blanks */
	enum condition condition;
};

#define DOCS "docs."     /* not a name but what the names of the indexes' logs begin with */
#define IMPORT "import." /* and the groups of sources */

/* Slots are never read, but one fetch may be on its way before they are paused. The groups `admin` and `reader` have no
 * members: librdkafka wants a name to assign partitions, and looks for the name's coordinator. Nothing depends on the answer,
 * but whoever is refused it asks again every second. */
static const struct need needs[] = {
	{"ingest", LOG_RESOURCE_TOPIC, "meta", "Read", CONDITION_ALWAYS},
	{"ingest", LOG_RESOURCE_TOPIC, "topology", "Read", CONDITION_ALWAYS},
	{"ingest", LOG_RESOURCE_TOPIC, "slots", "Read", CONDITION_ALWAYS},
	{"ingest", LOG_RESOURCE_TOPIC, "dead-letter", "Write DescribeConfigs", CONDITION_ALWAYS},
	{"ingest", LOG_RESOURCE_TOPIC, "tasks", "Write", CONDITION_ALWAYS},
	{"ingest", LOG_RESOURCE_TOPIC, DOCS, "Read DescribeConfigs", CONDITION_ALWAYS},
	{"ingest", LOG_RESOURCE_GROUP, "ingest", "Read", CONDITION_ALWAYS},
	{"ingest", LOG_RESOURCE_GROUP, "ingest-slots", "Read", CONDITION_ALWAYS},
	{"ingest", LOG_RESOURCE_GROUP, "admin", "Describe", CONDITION_ALWAYS},
	{"ingest", LOG_RESOURCE_GROUP, "reader", "Describe", CONDITION_ALWAYS},
	{"ingest", LOG_RESOURCE_TOPIC, DOCS, "Write", CONDITION_IMPORTS},
	{"ingest", LOG_RESOURCE_TOPIC, "task-states", "Read", CONDITION_IMPORTS},
	{"ingest", LOG_RESOURCE_GROUP, IMPORT, "Read", CONDITION_IMPORTS},
	{"query", LOG_RESOURCE_TOPIC, "meta", "Read", CONDITION_ALWAYS},
	{"query", LOG_RESOURCE_TOPIC, "topology", "Read", CONDITION_ALWAYS},
	{"query", LOG_RESOURCE_TOPIC, "tasks", "Read Write", CONDITION_ALWAYS},
	{"query", LOG_RESOURCE_TOPIC, "task-states", "Read", CONDITION_ALWAYS},
	{"query", LOG_RESOURCE_TOPIC, DOCS, "Describe", CONDITION_ALWAYS},
	{"query", LOG_RESOURCE_GROUP, "ingest", "Describe", CONDITION_ALWAYS},
	{"query", LOG_RESOURCE_GROUP, "ingest-slots", "Describe", CONDITION_ALWAYS},
	{"query", LOG_RESOURCE_GROUP, "controllers", "Describe", CONDITION_ALWAYS},
	{"query", LOG_RESOURCE_GROUP, "admin", "Describe", CONDITION_ALWAYS},
	{"query", LOG_RESOURCE_GROUP, "reader", "Describe", CONDITION_ALWAYS},
	{"rebalance", LOG_RESOURCE_TOPIC, "meta", "Read Write", CONDITION_ALWAYS},
	{"rebalance", LOG_RESOURCE_TOPIC, "topology", "Read Write", CONDITION_ALWAYS},
	{"rebalance", LOG_RESOURCE_TOPIC, "tasks", "Read Write", CONDITION_ALWAYS},
	{"rebalance", LOG_RESOURCE_TOPIC, "task-states", "Read Write", CONDITION_ALWAYS},
	{"rebalance", LOG_RESOURCE_TOPIC, "slots", "Read", CONDITION_ALWAYS},
	{"rebalance", LOG_RESOURCE_TOPIC, "dead-letter", "Write", CONDITION_ALWAYS},
	{"rebalance", LOG_RESOURCE_TOPIC, DOCS, "Read DescribeConfigs", CONDITION_ALWAYS},
	{"rebalance", LOG_RESOURCE_GROUP, "ingest", "Describe", CONDITION_ALWAYS},
	{"rebalance", LOG_RESOURCE_GROUP, "controllers", "Read", CONDITION_ALWAYS},
	{"rebalance", LOG_RESOURCE_GROUP, "admin", "Describe", CONDITION_ALWAYS},
	{"rebalance", LOG_RESOURCE_GROUP, "reader", "Describe", CONDITION_ALWAYS},
	{"rebalance", LOG_RESOURCE_TRANSACTIONAL_ID, "controller", "Write", CONDITION_ALWAYS},
	{"rebalance", LOG_RESOURCE_TOPIC, "meta", "Create", CONDITION_CREATES},
	{"rebalance", LOG_RESOURCE_TOPIC, "topology", "Create", CONDITION_CREATES},
	{"rebalance", LOG_RESOURCE_TOPIC, "tasks", "Create", CONDITION_CREATES},
	{"rebalance", LOG_RESOURCE_TOPIC, "task-states", "Create", CONDITION_CREATES},
	{"rebalance", LOG_RESOURCE_TOPIC, "slots", "Create", CONDITION_CREATES},
	{"rebalance", LOG_RESOURCE_TOPIC, "dead-letter", "Create", CONDITION_CREATES},
	{"rebalance", LOG_RESOURCE_TOPIC, DOCS, "Create Delete", CONDITION_CREATES},
	{"rebalance", LOG_RESOURCE_CLUSTER, CLUSTER_NAME, "DescribeConfigs", CONDITION_CREATES_AS_BY_BROKER},
	{"shard", LOG_RESOURCE_TOPIC, "meta", "Read", CONDITION_ALWAYS},
	{"shard", LOG_RESOURCE_TOPIC, "topology", "Read", CONDITION_ALWAYS},
	{"shard", LOG_RESOURCE_GROUP, "admin", "Describe", CONDITION_ALWAYS},
	{"shard", LOG_RESOURCE_GROUP, "reader", "Describe", CONDITION_ALWAYS},
	/* doctor, dlq and doc where */
	{"operator", LOG_RESOURCE_TOPIC, "meta", "Read DescribeConfigs", CONDITION_ALWAYS},
	{"operator", LOG_RESOURCE_TOPIC, "topology", "Describe DescribeConfigs", CONDITION_ALWAYS},
	{"operator", LOG_RESOURCE_TOPIC, "tasks", "Describe DescribeConfigs", CONDITION_ALWAYS},
	{"operator", LOG_RESOURCE_TOPIC, "task-states", "Describe DescribeConfigs", CONDITION_ALWAYS},
	{"operator", LOG_RESOURCE_TOPIC, "slots", "Describe DescribeConfigs", CONDITION_ALWAYS},
	{"operator", LOG_RESOURCE_TOPIC, "dead-letter", "Read DescribeConfigs", CONDITION_ALWAYS},
	{"operator", LOG_RESOURCE_TOPIC, DOCS, "Read DescribeConfigs", CONDITION_ALWAYS},
	{"operator", LOG_RESOURCE_TOPIC, DOCS, "Write", CONDITION_ALWAYS}, /* dlq replay */
	{"operator", LOG_RESOURCE_GROUP, "admin", "Describe", CONDITION_ALWAYS},
	{"operator", LOG_RESOURCE_GROUP, "reader", "Describe", CONDITION_ALWAYS},
	{"operator", LOG_RESOURCE_GROUP, "ingest", "Describe", CONDITION_ALWAYS},
	{"operator", LOG_RESOURCE_CLUSTER, CLUSTER_NAME, "Describe", CONDITION_ALWAYS},
	{"producer", LOG_RESOURCE_TOPIC, DOCS, "Write", CONDITION_ALWAYS},
};

#define NEEDS (sizeof needs / sizeof *needs)

static bool is_needed(const struct config *config, const struct need *need)
{
	bool creates = config_bool(config, "topics.create");
	const struct config_source *sources;

	if (need->condition == CONDITION_IMPORTS)
		return config_sources(config, &sources) > 0;
	if (need->condition == CONDITION_CREATES)
		return creates;
	if (need->condition == CONDITION_CREATES_AS_BY_BROKER)
		return creates && config_int(config, "topics.replication_factor") <= 0;
	return true;
}

/* The i-th word of the need's operations into `right`; false after the last. */
static bool right_of(const struct need *need, size_t i, char operation[OPERATION_BYTES_MAX],
                     struct log_right *right)
{
	const char *at = need->operations;

	for (; i > 0 && at != NULL; i--) {
		at = strchr(at, ' ');
		at = at == NULL ? NULL : at + 1;
	}
	if (at == NULL)
		return false;
	(void)snprintf(operation, OPERATION_BYTES_MAX, "%.*s", (int)strcspn(at, " "), at);
	right->resource = need->resource;
	right->prefixed = strcmp(need->suffix, DOCS) == 0 || strcmp(need->suffix, IMPORT) == 0;
	right->operation = operation;
	return true;
}

static void print_name(const struct config *config, const struct need *need, char name[TOPIC_NAME_BYTES])
{
	if (need->resource == LOG_RESOURCE_CLUSTER)
		(void)snprintf(name, TOPIC_NAME_BYTES, "%s", CLUSTER_NAME);
	else
		(void)snprintf(name, TOPIC_NAME_BYTES, "%s.%s", config_string(config, "cluster"),
		               need->suffix);
}

/* What kafka-acls.sh takes behind --add, but for the operation. */
static void print_grant(const char *principal, const struct log_right *right,
                        char text[DOCTOR_TEXT_BYTES_MAX])
{
	static const char *const flags[] = {
		[LOG_RESOURCE_TOPIC] = "topic",
		[LOG_RESOURCE_GROUP] = "group",
		[LOG_RESOURCE_TRANSACTIONAL_ID] = "transactional-id",
		[LOG_RESOURCE_CLUSTER] = NULL,
	};
	int len = snprintf(text, DOCTOR_TEXT_BYTES_MAX, "--allow-principal '%s' ", principal);

	if (len < 0 || len >= DOCTOR_TEXT_BYTES_MAX)
		return;
	if (flags[right->resource] == NULL)
		(void)snprintf(text + len, DOCTOR_TEXT_BYTES_MAX - (size_t)len, "--cluster");
	else
		(void)snprintf(text + len, DOCTOR_TEXT_BYTES_MAX - (size_t)len, "--%s '%s'%s",
		               flags[right->resource], right->name,
		               right->prefixed ? " --resource-pattern-type prefixed" : "");
}

/* ---- the commands ---- */

/* Whoever was named by --user, or a word to be replaced. */
static const char *principal_of(const struct doctor *doctor, const char *program, char placeholder[32])
{
	for (size_t i = 0; i < doctor->users_len; i++)
		if (strcmp(doctor->users[i].program, program) == 0)
			return doctor->users[i].principal;
	(void)snprintf(placeholder, 32, "User:%s", program);
	for (char *at = placeholder + strlen("User:"); *at != 0; at++)
		*at = (char)(*at - 'a' + 'A');
	return placeholder;
}

/* ---- sources ---- */

/* A name that every topic of the pattern begins with, in `name`; false where nothing can be said of them. */
static bool prefix_of(const char *pattern, char name[TOPIC_NAME_BYTES])
{
	size_t len = 0;

	if (*pattern++ != '^' || strchr(pattern, '|') != NULL)
		return false;
	for (; *pattern != 0 && len < TOPIC_NAME_BYTES - 1; pattern++) {
		if (*pattern == '\\' && pattern[1] != 0 && strchr(".-_", pattern[1]) != NULL)
			pattern++;
		else if (strchr(".[](){}*+?\\$^", *pattern) != NULL)
			break;
		/* this one may be missing */
		if (pattern[1] != 0 && strchr("*?{", pattern[1]) != NULL)
			break;
		name[len++] = *pattern;
	}
	name[len] = 0;
	return len > 0;
}

/* The i-th right that ingest needs for a source; false after the last. */
static bool source_right(const struct config_source *source, size_t i, char name[TOPIC_NAME_BYTES],
                         struct log_right *right)
{
	static const char *const letters[] = {"Write", "DescribeConfigs"};
	bool named = source->topic != NULL || prefix_of(source->pattern, name);

	if (source->topic != NULL)
		(void)snprintf(name, TOPIC_NAME_BYTES, "%s", source->topic);
	*right = (struct log_right){.resource = LOG_RESOURCE_TOPIC, .name = name, .operation = "Read"};
	right->prefixed = source->topic == NULL;
	if (named && i == 0)
		return true;
	i -= named;
	if (source->dead_letter_topic == NULL || i >= sizeof letters / sizeof *letters)
		return false;
	right->prefixed = false;
	right->name = source->dead_letter_topic;
	right->operation = letters[i];
	return true;
}

static void print_sources(const struct doctor *doctor)
{
	const struct config_source *sources;
	size_t len = config_sources(doctor->cli->config, &sources);
	char grant[DOCTOR_TEXT_BYTES_MAX];
	char name[TOPIC_NAME_BYTES];
	char placeholder[32];
	struct log_right right;

	for (size_t i = 0; i < len; i++) {
		if (source_right(&sources[i], 0, name, &right) && strcmp(right.operation, "Read") == 0)
			printf("# ingest: the source of %s\n", sources[i].place);
		else
			printf("# ingest: the source of %s; grant it Read on every topic that %s names\n",
			       sources[i].place, sources[i].pattern);
		for (size_t j = 0; source_right(&sources[i], j, name, &right); j++) {
			print_grant(principal_of(doctor, "ingest", placeholder), &right, grant);
			printf("kafka-acls.sh $KAFKA --add %s --operation %s\n", grant, right.operation);
		}
	}
	if (len > 0)
		printf("# operator: `millrace map --topic T` wants Read on T.\n");
}

/* ---- the commands of the list ---- */

static void print_command(const struct doctor *doctor, const struct need *need)
{
	const struct config *config = doctor->cli->config;
	char operation[OPERATION_BYTES_MAX];
	char name[TOPIC_NAME_BYTES];
	char grant[DOCTOR_TEXT_BYTES_MAX];
	char placeholder[32];
	struct log_right right = {.name = name};

	print_name(config, need, name);
	if (!right_of(need, 0, operation, &right))
		return;
	print_grant(principal_of(doctor, need->program, placeholder), &right, grant);
	printf("kafka-acls.sh $KAFKA --add %s", grant);
	for (size_t i = 0; right_of(need, i, operation, &right); i++)
		printf(" --operation %s", operation);
	printf("\n");
}

void doctor_print_rights(const struct doctor *doctor)
{
	const struct config *config = doctor->cli->config;
	const char *program = "";
	const struct config_property *properties;
	size_t len = config_kafka(config, &properties);

	for (size_t i = 0; i < len; i++)
		if (strcmp(properties[i].name, "bootstrap.servers") == 0)
			printf("KAFKA=\"--bootstrap-server %s --command-config admin.properties\"\n",
			       properties[i].value);
	for (size_t i = 0; i < NEEDS; i++) {
		if (!is_needed(config, &needs[i]))
			continue;
		if (strcmp(program, needs[i].program) != 0)
			printf("# %s%s\n", needs[i].program,
			       strcmp(needs[i].program, "operator") == 0
			               ? ": millrace doctor, dlq and doc where; Write is for dlq replay alone"
			       : strcmp(needs[i].program, "producer") == 0 ? ": who publishes documents"
			                                                   : "");
		program = needs[i].program;
		print_command(doctor, &needs[i]);
	}
	print_sources(doctor);
	printf("# A log of another name (index create --topic) needs the lines of %s.%s for itself, without "
	       "Create and Delete.\n",
	       config_string(config, "cluster"), DOCS);
}

/* ---- who has them ---- */

int doctor_add_user(struct doctor *doctor, const char *text)
{
	const char *separator = strchr(text, '=');
	struct doctor_user *user = &doctor->users[doctor->users_len];
	size_t i = 0;

	if (separator == NULL || strncmp(separator + 1, "User:", 5) != 0 || separator[6] == 0)
		return cli_fail("doctor", "--user needs PROGRAM=User:NAME, not `%s`", text);
	if (doctor->users_len == DOCTOR_USERS_MAX)
		return cli_fail("doctor", "more than %d users", DOCTOR_USERS_MAX);
	while (i < NEEDS && (strncmp(needs[i].program, text, (size_t)(separator - text)) != 0 ||
	                     strlen(needs[i].program) != (size_t)(separator - text)))
		i++;
	if (i == NEEDS)
		return cli_fail("doctor",
		                "`%.*s` is none of ingest, query, rebalance, shard, operator, producer",
		                (int)(separator - text), text);
	(void)snprintf(user->program, sizeof user->program, "%s", needs[i].program);
	user->principal = separator + 1;
	doctor->users_len++;
	return 0;
}

static void note_lack(struct doctor *doctor, const struct doctor_user *user, const struct log_right *right,
                      bool denied)
{
	static const char *const kinds[] = {
		[LOG_RESOURCE_TOPIC] = "topic",
		[LOG_RESOURCE_GROUP] = "group",
		[LOG_RESOURCE_TRANSACTIONAL_ID] = "transactional id",
		[LOG_RESOURCE_CLUSTER] = "cluster",
	};
	char grant[DOCTOR_TEXT_BYTES_MAX];
	char remedy[DOCTOR_TEXT_BYTES_MAX + 128];
	char found[DOCTOR_TEXT_BYTES_MAX];
	char check[64];

	print_grant(user->principal, right, grant);
	if (denied)
		(void)snprintf(remedy, sizeof remedy,
		               "remove the rule that denies it: kafka-acls.sh $KAFKA --list shows it");
	else
		(void)snprintf(remedy, sizeof remedy, "kafka-acls.sh $KAFKA --add %s --operation %s", grant,
		               right->operation);
	(void)snprintf(check, sizeof check, "rights of %s", user->program);
	(void)snprintf(found, sizeof found, "%s may not %s the %s %s%s", user->principal, right->operation,
	               kinds[right->resource], right->name, right->prefixed ? "*" : "");
	doctor_note(doctor, VERDICT_ERROR, check, remedy, found);
}

/* Of one need, for the topic `adopted` in the place of those that Millrace names, unless it is NULL; how many lack. */
static size_t check_need(struct doctor *doctor, const struct log_acls *acls, const struct doctor_user *user,
                         const struct need *need, const char *adopted)
{
	char operation[OPERATION_BYTES_MAX];
	char name[TOPIC_NAME_BYTES];
	struct log_right right;
	size_t missing = 0;

	print_name(doctor->cli->config, need, name);
	for (size_t i = 0; right_of(need, i, operation, &right); i++) {
		right.name = adopted != NULL ? adopted : name;
		right.prefixed = adopted == NULL && right.prefixed;
		enum log_ruling ruling = log_acls_judge(acls, user->principal, &right);

		if (ruling == LOG_RULING_GIVEN)
			continue;
		note_lack(doctor, user, &right, ruling == LOG_RULING_DENIED);
		missing++;
	}
	return missing;
}

static size_t check_adopted(struct doctor *doctor, const struct log_acls *acls,
                            const struct doctor_user *user, yyjson_val *indexes)
{
	char prefix[TOPIC_NAME_BYTES];
	size_t missing = 0;
	yyjson_val *index;
	size_t at;
	size_t len;

	(void)snprintf(prefix, sizeof prefix, "%s.%s", config_string(doctor->cli->config, "cluster"), DOCS);
	yyjson_arr_foreach(indexes, at, len, index)
	{
		const char *topic = cli_text(index, "topic");

		if (strncmp(topic, prefix, strlen(prefix)) == 0)
			continue;
		for (size_t i = 0; i < NEEDS; i++)
			if (strcmp(needs[i].program, user->program) == 0 &&
			    strcmp(needs[i].suffix, DOCS) == 0 && needs[i].condition == CONDITION_ALWAYS)
				missing += check_need(doctor, acls, user, &needs[i], topic);
	}
	return missing;
}

/* How many rights to sources ingest lacks. */
static size_t check_sources(struct doctor *doctor, const struct log_acls *acls,
                            const struct doctor_user *user)
{
	const struct config_source *sources;
	size_t len = config_sources(doctor->cli->config, &sources);
	char name[TOPIC_NAME_BYTES];
	struct log_right right;
	size_t missing = 0;

	for (size_t i = 0; strcmp(user->program, "ingest") == 0 && i < len; i++) {
		for (size_t j = 0; source_right(&sources[i], j, name, &right); j++) {
			enum log_ruling ruling = log_acls_judge(acls, user->principal, &right);

			/* whoever grants a pattern's topics one by one may do so */
			if (ruling == LOG_RULING_GIVEN || (right.prefixed && ruling != LOG_RULING_DENIED))
				continue;
			note_lack(doctor, user, &right, ruling == LOG_RULING_DENIED);
			missing++;
		}
	}
	return missing;
}

static void check_user(struct doctor *doctor, const struct log_acls *acls, const struct doctor_user *user,
                       yyjson_val *indexes)
{
	size_t missing = check_adopted(doctor, acls, user, indexes) + check_sources(doctor, acls, user);
	char found[DOCTOR_TEXT_BYTES_MAX];
	char check[64];

	for (size_t i = 0; i < NEEDS; i++)
		if (strcmp(needs[i].program, user->program) == 0 && is_needed(doctor->cli->config, &needs[i]))
			missing += check_need(doctor, acls, user, &needs[i], NULL);
	(void)snprintf(check, sizeof check, "rights of %s", user->program);
	(void)snprintf(found, sizeof found, "%s has every right that it needs", user->principal);
	if (missing == 0)
		doctor_note(doctor, VERDICT_OK, check, "", found);
}

void doctor_check_rights(struct doctor *doctor, yyjson_val *indexes)
{
	struct log_acls *acls = NULL;
	struct error error;
	int rc;

	if (doctor->users_len == 0)
		return;
	rc = log_acls_read(doctor->connection, DOCTOR_KAFKA_MS, &acls, &error);
	if (rc == ERROR_NOT_FOUND)
		doctor_note(
			doctor, VERDICT_WARNING, "rights",
			"if it has one, grant Describe on the cluster to the user of this configuration: see "
			"`millrace doctor --rights`, operator",
			error.text);
	else if (rc != 0)
		doctor_note(doctor, VERDICT_ERROR, "rights", "look at the brokers", error.text);
	for (size_t i = 0; rc == 0 && i < doctor->users_len; i++)
		check_user(doctor, acls, &doctor->users[i], indexes);
	log_acls_free(acls);
}

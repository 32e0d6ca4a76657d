/*
 * `millrace dlq`: what could not be applied, in groups (ls) and one by one
 * (show), and putting it back (replay). It asks Kafka itself, with the
 * configuration's properties.
 */
#include "shared/cli/cli_dlq.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum dlq_verb {
	DLQ_VERB_LS = 1,
	DLQ_VERB_SHOW,
	DLQ_VERB_REPLAY
};

struct dlq_words {
	enum dlq_verb verb;
	struct dlq_choice choice;
	bool limited;
	bool offset; /* --offset was given */
	bool output; /* -o was given */
};

void cli_dlq_help(void)
{
	printf("  dlq ls [--index UID] [--code CODE] [-o table|json]\n"
	       "                              dead letters by index and code, with an example of each\n"
	       "  dlq show PARTITION@OFFSET [-o table|json | --raw]\n"
	       "                              one dead letter: reason, place, headers, key, value; --raw\n"
	       "                              writes nothing but the value's bytes\n"
	       "  dlq show [--index UID] [--code CODE] [--limit N] [-o table|json]\n"
	       "                              the newest of them (%d)\n"
	       "  dlq replay [PARTITION@OFFSET | --partition P [--offset N]] [--index UID] [--reason CODE]\n"
	       "             [--force] [--dry-run] [-o table|json]\n"
	       "                              puts their records back into the log of their index, once "
	       "each;\n"
	       "                              not those whose document has a later record, unless --force\n",
	       DLQ_SHOWN_DEFAULT);
}

/* A number without sign or blanks that ends with `end`; NULL if there is none, else what is behind it. */
static const char *read_number(const char *text, char end, int64_t max, int64_t *number)
{
	char *after;
	long long read;

	if (*text < '0' || *text > '9' || strlen(text) > 40)
		return NULL;
	read = strtoll(text, &after, 10);
	if (*after != end || read > max)
		return NULL;
	*number = read;
	return end == 0 ? after : after + 1;
}

static bool read_place(const char *text, struct dlq_choice *choice)
{
	int64_t partition = 0;
	const char *offset = read_number(text, '@', INT32_MAX, &partition);

	if (offset == NULL || read_number(offset, 0, INT64_MAX - 1, &choice->offset) == NULL)
		return false;
	choice->partition = (int32_t)partition;
	choice->placed = true;
	return true;
}

static int read_output(const char *name, struct dlq_words *words)
{
	words->output = true;
	words->choice.json = strcmp(name, "json") == 0;
	if (words->choice.json || strcmp(name, "table") == 0)
		return 0;
	return cli_fail("dlq", "-o is `%s`, expected table or json", name);
}

static int read_limit(const char *text, struct dlq_words *words)
{
	int64_t limit = 0;

	if (read_number(text, 0, DLQ_SHOWN_MAX, &limit) == NULL || limit == 0)
		return cli_fail("dlq", "--limit is `%s`, expected 1 to %d", text, DLQ_SHOWN_MAX);
	words->choice.limit = (size_t)limit;
	words->limited = true;
	return 0;
}

static int read_partition(const char *text, struct dlq_words *words)
{
	int64_t partition = 0;

	if (read_number(text, 0, INT32_MAX, &partition) == NULL)
		return cli_fail("dlq", "--partition is `%s`, expected a partition of the dead letters", text);
	words->choice.partition = (int32_t)partition;
	words->choice.of_partition = true;
	return 0;
}

static int read_offset(const char *text, struct dlq_words *words)
{
	if (read_number(text, 0, INT64_MAX - 1, &words->choice.offset) == NULL)
		return cli_fail("dlq", "--offset is `%s`, expected the offset of a dead letter", text);
	words->offset = true;
	return 0;
}

static int check_ls(const struct dlq_words *words, int left)
{
	const struct dlq_choice *choice = &words->choice;

	if (left > 0 || words->limited || choice->raw || choice->force || choice->dry_run ||
	    choice->of_partition || words->offset)
		return cli_fail("dlq", "`ls` takes --index, --code and -o (see --help)");
	return 0;
}

static int check_show(const struct dlq_words *words, int left)
{
	const struct dlq_choice *choice = &words->choice;
	bool filtered = choice->filter.index != NULL || choice->filter.code != NULL;

	if (left > 1)
		return cli_fail("dlq", "`show` takes one PARTITION@OFFSET (see --help)");
	if (choice->force || choice->dry_run || choice->of_partition || words->offset)
		return cli_fail("dlq", "`show` takes PARTITION@OFFSET, --index, --code, --limit, --raw and "
		                       "-o (see --help)");
	if (choice->placed && (filtered || words->limited))
		return cli_fail("dlq", "PARTITION@OFFSET stands alone, without --index, --code and --limit");
	if (!choice->placed && !filtered)
		return cli_fail("dlq", "expected PARTITION@OFFSET, or --index or --code (see --help)");
	if (choice->raw && (!choice->placed || words->output))
		return cli_fail("dlq",
		                "--raw writes one value as it is: give its PARTITION@OFFSET, and no -o");
	return 0;
}

/* Everything at once is not replayed by leaving words out. */
static int check_replay(struct dlq_words *words, int left)
{
	struct dlq_choice *choice = &words->choice;
	bool filtered = choice->filter.index != NULL || choice->filter.code != NULL;

	if (left > 1 || words->limited || choice->raw)
		return cli_fail("dlq", "`replay` takes one PARTITION@OFFSET, or --partition, --offset, "
		                       "--index and --reason; --force, --dry-run and -o (see --help)");
	if (choice->placed && (filtered || choice->of_partition || words->offset))
		return cli_fail("dlq", "PARTITION@OFFSET stands alone, without --partition, --offset, "
		                       "--index and --reason");
	if (words->offset && !choice->of_partition)
		return cli_fail("dlq", "--offset is one of a --partition of the dead letters");
	if (!choice->placed && !choice->of_partition && !filtered)
		return cli_fail("dlq", "expected PARTITION@OFFSET, --partition, --index or --reason (see "
		                       "--help)");
	choice->placed = choice->placed || words->offset;
	return 0;
}

static int read_word(int letter, struct dlq_words *words)
{
	switch (letter) {
	case 'i':
		words->choice.filter.index = optarg;
		return 0;
	case 'c':
		words->choice.filter.code = optarg;
		return 0;
	case 'l':
		return read_limit(optarg, words);
	case 'o':
		return read_output(optarg, words);
	case 'p':
		return read_partition(optarg, words);
	case 'n':
		return read_offset(optarg, words);
	case 'r':
		words->choice.raw = true;
		return 0;
	case 'f':
		words->choice.force = true;
		return 0;
	case 'd':
		words->choice.dry_run = true;
		return 0;
	default:
		return 1; /* getopt has said why */
	}
}

/* argv[0] is the verb; 0 or the exit code. */
static int read_words(int argc, char **argv, struct dlq_words *words)
{
	static const struct option longs[] = {{"index", required_argument, NULL, 'i'},
	                                      {"code", required_argument, NULL, 'c'},
	                                      {"reason", required_argument, NULL, 'c'},
	                                      {"limit", required_argument, NULL, 'l'},
	                                      {"partition", required_argument, NULL, 'p'},
	                                      {"offset", required_argument, NULL, 'n'},
	                                      {"raw", no_argument, NULL, 'r'},
	                                      {"force", no_argument, NULL, 'f'},
	                                      {"dry-run", no_argument, NULL, 'd'},
	                                      {"output", required_argument, NULL, 'o'},
	                                      {NULL, 0, NULL, 0}};
	int result = 0;
	int letter;

	while (result == 0 && (letter = getopt_long(argc, argv, "o:", longs, NULL)) != -1)
		result = read_word(letter, words);
	if (result == 0 && words->verb != DLQ_VERB_LS && optind < argc &&
	    !read_place(argv[optind], &words->choice))
		result = cli_fail("dlq", "`%s` is no PARTITION@OFFSET, such as 0@42", argv[optind]);
	if (result != 0)
		return result;
	switch (words->verb) {
	case DLQ_VERB_LS:
		return check_ls(words, argc - optind);
	case DLQ_VERB_SHOW:
		return check_show(words, argc - optind);
	case DLQ_VERB_REPLAY:
		break;
	}
	return check_replay(words, argc - optind);
}

bool dlq_filter_accepts(const struct dlq_filter *filter, const struct dlq_letter *letter)
{
	return (filter->index == NULL || slice_equal(letter->index, slice_string(filter->index))) &&
	       (filter->code == NULL || slice_equal(letter->code, slice_string(filter->code)));
}

static bool read_verb(const char *name, enum dlq_verb *verb)
{
	static const char *const names[] = {
		[DLQ_VERB_LS] = "ls", [DLQ_VERB_SHOW] = "show", [DLQ_VERB_REPLAY] = "replay"};

	for (size_t i = DLQ_VERB_LS; i < sizeof names / sizeof *names; i++) {
		if (strcmp(name, names[i]) == 0) {
			*verb = (enum dlq_verb)i;
			return true;
		}
	}
	return false;
}

static int run(struct dlq *dlq, const struct dlq_words *words)
{
	switch (words->verb) {
	case DLQ_VERB_LS:
		return dlq_list(dlq, &words->choice.filter, words->choice.json);
	case DLQ_VERB_SHOW:
		return dlq_show(dlq, &words->choice);
	case DLQ_VERB_REPLAY:
		break;
	}
	return dlq_replay(dlq, &words->choice);
}

int cli_dlq(struct cli *cli, int argc, char **argv)
{
	struct dlq_words words = {.choice = {.limit = DLQ_SHOWN_DEFAULT}};
	struct error error;
	struct dlq dlq;
	int result;

	if (argc < 2 || !read_verb(argv[1], &words.verb))
		return cli_fail("dlq", "expected ls, show or replay (see --help)");
	if (read_words(argc - 1, argv + 1, &words) != 0)
		return 1;
	if (dlq_open(&dlq, cli->config, &error) != 0)
		result = cli_fail("dlq", "%s", error.text);
	else
		result = run(&dlq, &words);
	dlq_close(&dlq);
	return result;
}

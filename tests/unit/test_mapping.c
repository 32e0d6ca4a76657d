/*
 * Mapping: rules, a record, and what comes of it: formats, ids, conditions,
 * idempotency keys, and every refusal.
 */
#include "tests/unit/mapping_bed.h"

static const struct mapping_case json_rows[] = {
	{"as it is", "{}", "a", "{\"n\":1.10,\"id\":\"a\"}", NULL, "put a {\"n\":1.10,\"id\":\"a\"}"},
	{"space around goes, inside stays", "{}", "a", " \n{ \"id\" : \"a\" }\t", NULL,
         "put a { \"id\" : \"a\" }"},
	{"primary key added", "{}", "a", "{\"n\":1}", NULL, "put a {\"id\":\"a\",\"n\":1}"},
	{"primary key added to nothing", "{}", "a", " { } ", NULL, "put a {\"id\":\"a\" }"},
	{"another primary key", "{\"primary_key\":\"sku\"}", "a", "{\"id\":7}", NULL,
         "put a {\"sku\":\"a\",\"id\":7}"},
	{"number as primary key", "{}", "7", "{\"id\":7}", NULL, "put 7 {\"id\":7}"},
	{"mismatch", "{}", "a", "{\"id\":\"b\"}", NULL, "refuse id_mismatch"},
	{"mismatch of a second one", "{}", "a", "{\"id\":\"a\",\"id\":\"b\"}", NULL, "refuse id_mismatch"},
	{"mismatch by an escaped name", "{}", "a", "{\"\\u0069d\":\"b\"}", NULL, "refuse id_mismatch"},
	{"nested id is none", "{}", "a", "{\"x\":{\"id\":1}}", NULL, "put a {\"id\":\"a\",\"x\":{\"id\":1}}"},
	{"numbers as written", "{}", "a",
         "{\"id\":\"a\",\"x\":1e400,\"y\":-0.0,\"z\":123456789012345678901234567890}", NULL,
         "put a {\"id\":\"a\",\"x\":1e400,\"y\":-0.0,\"z\":123456789012345678901234567890}"},
	{"strings as written", "{}", "a", "{\"id\":\"\\u0061\",\"x\":\"\\/\"}", NULL,
         "put a {\"id\":\"\\u0061\",\"x\":\"\\/\"}"},
	{"tombstone", "{}", "a", NULL, NULL, "delete a"},
	{"empty value", "{}", "a", "", NULL, "delete a"},
	{"tombstone ignored", "{\"tombstones\":\"ignore\"}", "a", NULL, NULL, "ignore"},
	{"tombstone ignored needs no key", "{\"tombstones\":\"ignore\"}", NULL, NULL, NULL, "ignore"},
	{"tombstone without a key", "{}", NULL, NULL, NULL, "refuse missing_key"},
	{"tombstone, but the id is a field", "{\"id\":\"n\"}", "a", NULL, NULL, "refuse missing_id"},
	{"no key", "{}", NULL, "{}", NULL, "refuse missing_key"},
	{"empty key", "{}", "", "{}", NULL, "refuse missing_key"},
	{"merge", "{\"op\":\"merge\"}", "a", "{\"n\":1}", NULL, "merge a {\"id\":\"a\",\"n\":1}"},
	{"put if exists", "{\"op\":\"put-if-exists\"}", "a", "{\"id\":\"a\"}", NULL,
         "put-if-exists a {\"id\":\"a\"}"},
	{"merge if exists", "{\"op\":\"merge-if-exists\"}", "a", "{\"id\":\"a\"}", NULL,
         "merge-if-exists a {\"id\":\"a\"}"},
	{"a source of deletes", "{\"op\":\"delete\"}", "a", "{\"gone\":true}", NULL, "delete a"},
	{"the record's own op is nothing", "{}", "a", "{\"id\":\"a\"}", "op=delete", "put a {\"id\":\"a\"}"},
	{"not JSON", "{}", "a", "{\"a\":}", NULL, "refuse not_json"},
	{"not UTF-8", "{}", "a", "{\"a\":\"\xff\"}", NULL, "refuse not_json"},
	{"array", "{}", "a", "[{}]", NULL, "refuse not_an_object"},
	{"null as text", "{}", "a", "null", NULL, "refuse not_an_object"},
	{"number", "{}", "a", "7", NULL, "refuse not_an_object"},
};

static const struct mapping_case id_rows[] = {
	{"field", "{\"id\":\"n\"}", NULL, "{\"n\":\"x-1\"}", NULL, "put x-1 {\"id\":\"x-1\",\"n\":\"x-1\"}"},
	{"the primary key itself", "{\"id\":\"id\"}", "zz", "{\"id\":5}", NULL, "put 5 {\"id\":5}"},
	{"nested field", "{\"id\":\"a.b\"}", NULL, "{\"a\":{\"b\":-5}}", NULL,
         "put -5 {\"id\":\"-5\",\"a\":{\"b\":-5}}"},
	{"escaped dot", "{\"id\":\"a\\\\.b\"}", NULL, "{\"a\":{\"b\":1},\"a.b\":2}", NULL,
         "put 2 {\"id\":\"2\",\"a\":{\"b\":1},\"a.b\":2}"},
	{"last of a repeated field", "{\"id\":\"n\"}", NULL, "{\"n\":1,\"n\":2}", NULL,
         "put 2 {\"id\":\"2\",\"n\":1,\"n\":2}"},
	{"template", "{\"id\":\"{a}-{b.c}\"}", NULL, "{\"a\":\"t\",\"b\":{\"c\":9}}", NULL,
         "put t-9 {\"id\":\"t-9\",\"a\":\"t\",\"b\":{\"c\":9}}"},
	{"template with the key", "{\"id\":\"v_{key}\"}", "k", "{}", NULL, "put v_k {\"id\":\"v_k\"}"},
	{"template with a field of the key", "{\"id\":\"{key.o}_{key.l}\"}", "{\"o\":10,\"l\":1}", "{}", NULL,
         "put 10_1 {\"id\":\"10_1\"}"},
	{"a member named key", "{\"id\":\"\\\\key\"}", "k", "{\"key\":\"m\"}", NULL,
         "put m {\"id\":\"m\",\"key\":\"m\"}"},
	{"a key's field as tombstone", "{\"id\":\"key.id\"}", "{\"id\":3}", NULL, NULL, "delete 3"},
	{"key as JSON string", "{\"key\":\"json\"}", "\"k\"", "{}", NULL, "put k {\"id\":\"k\"}"},
	{"quotes are no part of an id", "{}", "\"k\"", "{}", NULL, "refuse invalid_document_id"},
	{"key that is not JSON", "{\"id\":\"key.id\"}", "k", "{}", NULL, "refuse key_not_json"},
	{"no key for key.id", "{\"id\":\"key.id\"}", NULL, "{}", NULL, "refuse missing_key"},
	{"key without the field", "{\"id\":\"key.id\"}", "{\"i\":1}", "{}", NULL, "refuse missing_id"},
	{"struct key as a whole", "{\"key\":\"json\"}", "{\"id\":1}", "{}", NULL,
         "refuse invalid_document_id"},
	{"field not there", "{\"id\":\"n\"}", "k", "{}", NULL, "refuse missing_id"},
	{"field null", "{\"id\":\"n\"}", "k", "{\"n\":null}", NULL, "refuse missing_id"},
	{"field empty", "{\"id\":\"{n}-{m}\"}", "k", "{\"n\":\"\",\"m\":1}", NULL, "refuse missing_id"},
	{"through a scalar", "{\"id\":\"a.b\"}", "k", "{\"a\":1}", NULL, "refuse missing_id"},
	{"not through an array", "{\"id\":\"a.b\"}", "k", "{\"a\":[{\"b\":1}]}", NULL, "refuse missing_id"},
	{"true is no id", "{\"id\":\"n\"}", "k", "{\"n\":true}", NULL, "refuse invalid_document_id"},
	{"fraction", "{\"id\":\"n\"}", "k", "{\"n\":1.5}", NULL, "refuse invalid_document_id"},
	{"exponent", "{\"id\":\"n\"}", "k", "{\"n\":1e5}", NULL, "refuse invalid_document_id"},
	{"minus zero", "{\"id\":\"n\"}", "k", "{\"n\":-0}", NULL, "refuse invalid_document_id"},
	{"zero", "{\"id\":\"n\"}", "k", "{\"n\":0}", NULL, "put 0 {\"id\":\"0\",\"n\":0}"},
	{"array as id", "{\"id\":\"n\"}", "k", "{\"n\":[1]}", NULL, "refuse invalid_document_id"},
	{"a space", "{}", "a b", "{}", NULL, "refuse invalid_document_id"},
	{"a dot", "{\"id\":\"n\"}", NULL, "{\"n\":\"a.b\"}", NULL, "refuse invalid_document_id"},
	{"not ASCII", "{\"id\":\"n\"}", NULL, "{\"n\":\"\xc3\xa9\"}", NULL, "refuse invalid_document_id"},
	{"NUL", "{\"id\":\"n\"}", NULL, "{\"n\":\"a\\u0000\"}", NULL, "refuse invalid_document_id"},
};

#define WHERE(condition) "{\"where\":[" condition "]}"
#define MET "put a {\"id\":\"a\",\"f\":"

static const struct mapping_case condition_rows[] = {
	{"equal string", WHERE("{\"field\":\"f\",\"op\":\"=\",\"value\":\"x\"}"), "a", "{\"f\":\"x\"}", NULL,
         MET "\"x\"}"},
	{"unequal string deletes", WHERE("{\"field\":\"f\",\"op\":\"=\",\"value\":\"x\"}"), "a",
         "{\"f\":\"X\"}", NULL, "delete a"},
	{"number and string", WHERE("{\"field\":\"f\",\"op\":\"=\",\"value\":1}"), "a", "{\"f\":\"1\"}", NULL,
         "delete a"},
	{"number written otherwise", WHERE("{\"field\":\"f\",\"op\":\"=\",\"value\":1}"), "a",
         "{\"f\":10.0e-1}", NULL, MET "10.0e-1}"},
	{"beyond doubles", WHERE("{\"field\":\"f\",\"op\":\"=\",\"value\":9007199254740993}"), "a",
         "{\"f\":9007199254740992}", NULL, "delete a"},
	{"true", WHERE("{\"field\":\"f\",\"op\":\"=\",\"value\":true}"), "a", "{\"f\":true}", NULL,
         MET "true}"},
	{"true is not false", WHERE("{\"field\":\"f\",\"op\":\"=\",\"value\":true}"), "a", "{\"f\":false}",
         NULL, "delete a"},
	{"null", WHERE("{\"field\":\"f\",\"op\":\"=\",\"value\":null}"), "a", "{\"f\":null}", NULL,
         MET "null}"},
	{"null is not absence", WHERE("{\"field\":\"f\",\"op\":\"=\",\"value\":null}"), "a", "{}", NULL,
         "delete a"},
	{"an element", WHERE("{\"field\":\"f\",\"op\":\"=\",\"value\":2}"), "a", "{\"f\":[1,2]}", NULL,
         MET "[1,2]}"},
	{"unequal", WHERE("{\"field\":\"f\",\"op\":\"!=\",\"value\":2}"), "a", "{\"f\":3}", NULL, MET "3}"},
	{"unequal, an element is", WHERE("{\"field\":\"f\",\"op\":\"!=\",\"value\":2}"), "a", "{\"f\":[1,2]}",
         NULL, "delete a"},
	{"unequal, not there", WHERE("{\"field\":\"f\",\"op\":\"!=\",\"value\":2}"), "a", "{}", NULL,
         "put a {\"id\":\"a\"}"},
	{"above", WHERE("{\"field\":\"f\",\"op\":\">\",\"value\":-1.5}"), "a", "{\"f\":-1.49}", NULL,
         MET "-1.49}"},
	{"not above", WHERE("{\"field\":\"f\",\"op\":\">\",\"value\":2}"), "a", "{\"f\":2.0}", NULL,
         "delete a"},
	{"at least", WHERE("{\"field\":\"f\",\"op\":\">=\",\"value\":2}"), "a", "{\"f\":2.0}", NULL,
         MET "2.0}"},
	{"below", WHERE("{\"field\":\"f\",\"op\":\"<\",\"value\":10}"), "a", "{\"f\":9}", NULL, MET "9}"},
	{"not below", WHERE("{\"field\":\"f\",\"op\":\"<\",\"value\":10}"), "a", "{\"f\":1e1}", NULL,
         "delete a"},
	{"at most", WHERE("{\"field\":\"f\",\"op\":\"<=\",\"value\":10}"), "a", "{\"f\":1e1}", NULL,
         MET "1e1}"},
	{"times as strings", WHERE("{\"field\":\"f\",\"op\":\">=\",\"value\":\"2026-01\"}"), "a",
         "{\"f\":\"2026-01-02T00:00:00Z\"}", NULL, MET "\"2026-01-02T00:00:00Z\"}"},
	{"in", WHERE("{\"field\":\"f\",\"op\":\"in\",\"value\":[\"x\",7,null]}"), "a", "{\"f\":7.0}", NULL,
         MET "7.0}"},
	{"not in", WHERE("{\"field\":\"f\",\"op\":\"in\",\"value\":[\"x\",7,null]}"), "a", "{\"f\":true}",
         NULL, "delete a"},
	{"exists", WHERE("{\"field\":\"f\",\"op\":\"exists\"}"), "a", "{\"f\":null}", NULL, MET "null}"},
	{"exists not", WHERE("{\"field\":\"f\",\"op\":\"exists\"}"), "a", "{}", NULL, "delete a"},
	{"shall not exist", WHERE("{\"field\":\"f\",\"op\":\"exists\",\"value\":false}"), "a", "{\"f\":1}",
         NULL, "delete a"},
	{"an empty array exists", WHERE("{\"field\":\"f\",\"op\":\"exists\"}"), "a", "{\"f\":[]}", NULL,
         MET "[]}"},
	{"nested, through an array", WHERE("{\"field\":\"f.g\",\"op\":\"=\",\"value\":2}"), "a",
         "{\"f\":[{\"g\":1},{\"g\":2}]}", NULL, MET "[{\"g\":1},{\"g\":2}]}"},
	{"nested, no element of the array", WHERE("{\"field\":\"f.g\",\"op\":\"=\",\"value\":3}"), "a",
         "{\"f\":[{\"g\":1},{\"g\":2}]}", NULL, "delete a"},
	{"no element", WHERE("{\"field\":\"f\",\"op\":\"=\",\"value\":3}"), "a", "{\"f\":[1,[2],{}]}", NULL,
         "delete a"},
	{"object is no value", WHERE("{\"field\":\"f\",\"op\":\"=\",\"value\":2}"), "a", "{\"f\":{\"f\":2}}",
         NULL, "delete a"},
	{"both must hold",
         WHERE("{\"field\":\"f\",\"op\":\">\",\"value\":1},{\"field\":\"f\",\"op\":\"<\",\"value\":3}"), "a",
         "{\"f\":3}", NULL, "delete a"},
	{"both hold",
         WHERE("{\"field\":\"f\",\"op\":\">\",\"value\":1},{\"field\":\"f\",\"op\":\"<\",\"value\":3}"), "a",
         "{\"f\":2}", NULL, MET "2}"},
	{"delete_when", "{\"delete_when\":[{\"field\":\"f\",\"op\":\"=\",\"value\":\"true\"}]}", "a",
         "{\"f\":\"true\"}", NULL, "delete a"},
	{"delete_when not met", "{\"delete_when\":[{\"field\":\"f\",\"op\":\"=\",\"value\":\"true\"}]}", "a",
         "{\"f\":\"false\"}", NULL, MET "\"false\"}"},
	{"a delete needs no good document", "{\"delete_when\":[{\"field\":\"id\",\"op\":\"=\",\"value\":9}]}",
         "a", "{\"id\":9}", NULL, "delete a"},
	{"ignore_when", "{\"ignore_when\":[{\"field\":\"f\",\"op\":\"=\",\"value\":1}]}", NULL, "{\"f\":1}",
         NULL, "ignore"},
	{"ignore_when not met", "{\"ignore_when\":[{\"field\":\"f\",\"op\":\"=\",\"value\":1}]}", "a",
         "{\"f\":2}", NULL, MET "2}"},
	{"conditions see the old names",
         "{\"rename\":{\"f\":\"g\"},\"where\":[{\"field\":\"f\",\"op\":\"=\",\"value\":2}]}", "a",
         "{\"f\":2}", NULL, "put a {\"id\":\"a\",\"g\":2}"},
};

#define EVENTS "{\"format\":\"cloudevents\"}"
#define EVENTS_DELETE "{\"format\":\"cloudevents\",\"delete_types\":[\"*.deleted\",\"shop.gone\"]}"
#define BINARY "ce_specversion=1.0\nce_id=7\nce_source=/s\nce_type=shop."
#define STRUCTURED "content-type=Application/CloudEvents+JSON; charset=utf-8"
#define EVENT(rest) "{\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"/s\",\"type\":\"shop.gone\"" rest "}"

static const struct mapping_case event_rows[] = {
	{"binary", EVENTS, "a", "{\"n\":1}", BINARY "made", "put a {\"id\":\"a\",\"n\":1} #2:/s7"},
	{"binary, content type", EVENTS, "a", "{\"n\":1}", BINARY "made\ncontent-type= application/json ;x=y",
         "put a {\"id\":\"a\",\"n\":1} #2:/s7"},
	{"binary, +json", EVENTS, "a", "{\"n\":1}", BINARY "made\ncontent-type=application/vnd.x+json",
         "put a {\"id\":\"a\",\"n\":1} #2:/s7"},
	{"binary, no JSON", EVENTS, "a", "{\"n\":1}", BINARY "made\ncontent-type=text/xml",
         "refuse unsupported_content"},
	{"binary, a batch", EVENTS, "a", "[]", BINARY "x\ncontent-type=application/cloudevents-batch+json",
         "refuse not_an_object"},
	{"binary, own key first", EVENTS, "a", "{}", BINARY "made\nidempotency-key=mine",
         "put a {\"id\":\"a\"} #mine"},
	{"binary tombstone", EVENTS, "a", NULL, BINARY "made", "delete a #2:/s7"},
	{"bare tombstone", EVENTS, "a", NULL, NULL, "delete a"},
	{"types mean nothing by themselves", EVENTS, "a", "{}", BINARY "deleted",
         "put a {\"id\":\"a\"} #2:/s7"},
	{"type by its end", EVENTS_DELETE, "a", "{}", BINARY "deleted", "delete a #2:/s7"},
	{"type as a whole", EVENTS_DELETE, "a", "{}", BINARY "gone", "delete a #2:/s7"},
	{"type with more behind", EVENTS_DELETE, "a", "{}", BINARY "gone.not", "put a {\"id\":\"a\"} #2:/s7"},
	{"no type", EVENTS, "a", "{}", "ce_specversion=1.0\nce_id=7\nce_source=/s", "refuse invalid_event"},
	{"empty id", EVENTS, "a", "{}", "ce_specversion=1.0\nce_id=\nce_source=/s\nce_type=t",
         "refuse invalid_event"},
	{"no event", EVENTS, "a", "{}", NULL, "refuse invalid_event"},
	{"an old version", EVENTS, "a", "{}", "ce_specversion=0.3\nce_id=7\nce_source=/s\nce_type=t",
         "refuse invalid_event"},
	{"the last of repeated headers", EVENTS, "a", "{}", BINARY "made\nce_id=8",
         "put a {\"id\":\"a\"} #2:/s8"},
	{"structured", EVENTS, "a", EVENT(",\"data\":{\"n\":1.0}"), STRUCTURED,
         "put a {\"id\":\"a\",\"n\":1.0} #2:/s7"},
	{"structured, headers mean nothing", EVENTS, "a", EVENT(",\"data\":{}"), STRUCTURED "\nce_id=9",
         "put a {\"id\":\"a\"} #2:/s7"},
	{"structured, type deletes", EVENTS_DELETE, "a", EVENT(""), STRUCTURED, "delete a #2:/s7"},
	{"structured, no data", EVENTS, "a", EVENT(""), STRUCTURED, "refuse not_an_object"},
	{"structured, null data", EVENTS, "a", EVENT(",\"data\":null"), STRUCTURED, "refuse not_an_object"},
	{"structured, text as data", EVENTS, "a", EVENT(",\"data\":\"x\""), STRUCTURED,
         "refuse not_an_object"},
	{"structured, base64", EVENTS, "a", EVENT(",\"data_base64\":\"e30=\""), STRUCTURED,
         "refuse unsupported_content"},
	{"structured, no object", EVENTS, "a", "[]", STRUCTURED, "refuse not_an_object"},
	{"structured, not JSON", EVENTS, "a", "{", STRUCTURED, "refuse not_json"},
	{"structured, id is a number", EVENTS, "a",
         "{\"specversion\":\"1.0\",\"id\":7,\"source\":\"/s\",\"type\":\"t\",\"data\":{}}", STRUCTURED,
         "refuse invalid_event"},
	{"structured, the last data", EVENTS, "a", EVENT(",\"data\":{\"n\":1},\"data\" : {\"n\":2} "),
         STRUCTURED, "put a {\"id\":\"a\",\"n\":2} #2:/s7"},
	{"subject as id", "{\"format\":\"cloudevents\",\"id\":\"ce.subject\"}", NULL, "{}",
         BINARY "x\nce_subject=s1", "put s1 {\"id\":\"s1\"} #2:/s7"},
	{"subject as id, structured", "{\"format\":\"cloudevents\",\"id\":\"ce.subject\"}", NULL,
         EVENT(",\"subject\":\"s1\",\"data\":{}"), STRUCTURED, "put s1 {\"id\":\"s1\"} #2:/s7"},
	{"no subject", "{\"format\":\"cloudevents\",\"id\":\"ce.subject\"}", "k", "{}", BINARY "x",
         "refuse missing_id"},
};

#define CONNECT "{\"format\":\"connect-json\"}"
#define CONNECT_STRUCT "{\"format\":\"connect-json\",\"id\":\"key.id\"}"

static const struct mapping_case connect_rows[] = {
	{"without schemas", CONNECT, "\"a\"", "{\"n\":1}", NULL, "put a {\"id\":\"a\",\"n\":1}"},
	{"number key", CONNECT, "5", "{\"n\":1}", NULL, "put 5 {\"id\":\"5\",\"n\":1}"},
	{"with schemas", CONNECT_STRUCT, "{\"schema\":{\"type\":\"struct\"},\"payload\":{\"id\":3}}",
         "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"field\":\"payload\"}]},\"payload\":{\"id\":3,\"p\":"
         "\"\\/w==\"}}",
         NULL, "put 3 {\"id\":3,\"p\":\"\\/w==\"}"},
	{"payload first", CONNECT, "\"a\"", "{ \"payload\" : {\"n\":[1, 2]} , \"schema\":null}", NULL,
         "put a {\"id\":\"a\",\"n\":[1, 2]}"},
	{"null payload", CONNECT, "{\"schema\":{\"type\":\"string\"},\"payload\":\"a\"}",
         "{\"schema\":null,\"payload\":null}", NULL, "delete a"},
	{"null as text", CONNECT, "\"a\"", "null", NULL, "delete a"},
	{"null payload ignored", "{\"format\":\"connect-json\",\"tombstones\":\"ignore\"}", "\"a\"", "null",
         NULL, "ignore"},
	{"tombstone", CONNECT_STRUCT, "{\"id\":3}", NULL, NULL, "delete 3"},
	{"struct key needs a field", CONNECT, "{\"id\":3}", "{}", NULL, "refuse invalid_document_id"},
	{"null key", CONNECT, "null", "{}", NULL, "refuse missing_id"},
	{"null key in an envelope", CONNECT, "{\"schema\":null,\"payload\":null}", "{}", NULL,
         "refuse missing_id"},
	{"key as text", CONNECT, "a", "{}", NULL, "refuse key_not_json"},
	{"key as text, by rule", "{\"format\":\"connect-json\",\"key\":\"text\"}", "a", "{}", NULL,
         "put a {\"id\":\"a\"}"},
	{"key not read", "{\"format\":\"connect-json\",\"id\":\"n\"}", "{", "{\"n\":1}", NULL,
         "put 1 {\"id\":\"1\",\"n\":1}"},
	{"a third member is no envelope", CONNECT, "\"a\"", "{\"schema\":{},\"payload\":{},\"x\":1}", NULL,
         "put a {\"id\":\"a\",\"schema\":{},\"payload\":{},\"x\":1}"},
	{"a schema of another type is none", CONNECT, "\"a\"", "{\"schema\":\"s\",\"payload\":{}}", NULL,
         "put a {\"id\":\"a\",\"schema\":\"s\",\"payload\":{}}"},
	{"json knows no envelope", "{}", "a", "{\"schema\":{},\"payload\":{}}", NULL,
         "put a {\"id\":\"a\",\"schema\":{},\"payload\":{}}"},
	{"payload a string", CONNECT, "\"a\"", "{\"schema\":null,\"payload\":\"x\"}", NULL,
         "refuse not_an_object"},
	{"value a string", CONNECT, "\"a\"", "\"x\"", NULL, "refuse not_an_object"},
	{"not JSON", CONNECT, "\"a\"", "{\"schema\":", NULL, "refuse not_json"},
};

static const struct mapping_case idempotency_rows[] = {
	{"own header", "{}", "a", "{\"id\":\"a\"}", "idempotency-key=k1", "put a {\"id\":\"a\"} #k1"},
	{"the last of two", "{}", "a", NULL, "idempotency-key=k1\nidempotency-key=k2", "delete a #k2"},
	{"empty", "{}", "a", "{\"id\":\"a\"}", "idempotency-key=", "refuse invalid_header"},
	{"events' headers", "{}", "a", "{\"id\":\"a\"}", "ce_source=s\nce_id=1",
         "put a {\"id\":\"a\"} #1:s1"},
	{"one of them alone", "{}", "a", "{\"id\":\"a\"}", "ce_id=1", "put a {\"id\":\"a\"}"},
	{"one of them empty", "{}", "a", "{\"id\":\"a\"}", "ce_source=\nce_id=1", "refuse invalid_header"},
	{"an ignored record's is not looked at", "{\"tombstones\":\"ignore\"}", "a", NULL,
         "idempotency-key=", "ignore"},
};

static void test_json(void)
{
	BED_RUN(json_rows);
}

static void test_ids(void)
{
	BED_RUN(id_rows);
}

static void test_conditions(void)
{
	BED_RUN(condition_rows);
}

static void test_events(void)
{
	BED_RUN(event_rows);
}

static void test_connect(void)
{
	BED_RUN(connect_rows);
}

static void test_idempotency_keys(void)
{
	BED_RUN(idempotency_rows);
}

/* What a person reads: the field, and what to change. */
static void test_texts(void)
{
	static const struct {
		const char *rules;
		const char *key;
		const char *value;
		const char *text;
	} rows[] = {
		{"{}", "a.b", "{}",
	         "`key`, which `id` names, has a character that no id may have: A-Z a-z 0-9 _ - are allowed"},
		{"{\"id\":\"{a}-{b\\\\.c.d}\"}", "k", "{\"a\":1}",
	         "`b\\.c.d`, which `id` names, is null or not there"},
		{"{\"id\":\"a\"}", "k", NULL,
	         "`a`, which `id` names, is of the payload, but a tombstone has none: let `id` name the key, "
	         "or set "
	         "`tombstones` to ignore"},
		{"{\"format\":\"cloudevents\"}", "k", "{}",
	         "no CloudEvent: attribute `specversion` is empty or not there (binary mode)"},
		{"{\"rename\":{\"a\":\"b\"}}", "k", "{\"a\":1,\"b\":2}",
	         "two fields end under the name `b`; rename or exclude one"},
		{"{\"primary_key\":\"sku\"}", "k", "{\"sku\":1}",
	         "the document's `sku` is not the id that `id` makes; rename or exclude it"},
	};
	struct rules limits = rules_default();

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct record record = {.key = slice_string(rows[i].key), .value = bed_slice(rows[i].value)};
		struct mapping *mapping;
		struct mapped mapped;
		struct error error;
		struct arena arena;

		arena_init(&arena, 4096);
		CU_ASSERT_EQUAL_FATAL(
			mapping_parse(slice_string(rows[i].rules), &limits, &arena, &mapping, &error), 0);
		CU_ASSERT_EQUAL(mapping_apply(mapping, &record, &arena, &mapped), MAPPING_VERDICT_REFUSE);
		if (strcmp(mapped.text, rows[i].text) != 0)
			(void)fprintf(stderr, "got      %s\nexpected %s\n", mapped.text, rows[i].text);
		CU_ASSERT_STRING_EQUAL(mapped.text, rows[i].text);
		arena_deinit(&arena);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"JSON", test_json},
		{"ids", test_ids},
		{"conditions", test_conditions},
		{"CloudEvents", test_events},
		{"Connect's JSON", test_connect},
		{"idempotency keys", test_idempotency_keys},
		{"texts of refusals", test_texts},
		CU_TEST_INFO_NULL,
	};

	return suite_run("mapping", tests);
}

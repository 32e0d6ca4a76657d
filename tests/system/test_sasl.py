"""Kafka with TLS, users and rights: each program has a user of its own, with what `millrace doctor --rights` prints."""
import contextlib
import json
import shlex

from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, ResourcePatternType,
                                   ResourceType)

from children import wait_until

DOCUMENTS = 200
PROGRAMS = ("ingest", "query", "rebalance", "shard", "operator", "producer")
FLAGS = [f for program in PROGRAMS for f in ("--user", f"{program}=User:{program}")]
RESOURCES = {"--topic": ResourceType.TOPIC, "--group": ResourceType.GROUP, "--cluster": ResourceType.BROKER,
             "--transactional-id": ResourceType.TRANSACTIONAL_ID}
OPERATIONS = {"Read": AclOperation.READ, "Write": AclOperation.WRITE, "Create": AclOperation.CREATE,
              "Delete": AclOperation.DELETE, "Describe": AclOperation.DESCRIBE,
              "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS}
ANY_RULE = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY,
                            AclPermissionType.ANY)
PATIENCE = {"query.timeout_ms": 20000}
NO_RULES = ("warning", "Kafka shows no rules: it has no authorizer, or does not show them to this user")


def millrace(env, *words, user="operator", **options):
    return env.millrace("--kafka.properties_file", env.kafka.user_file(user), *words, **options)


def bindings(command):
    """What kafka-acls.sh would add for this line of `doctor --rights` (or of a remedy)."""
    words = shlex.split(command)
    given = {flag: words[at + 1] if at + 1 < len(words) else "" for at, flag in enumerate(words) if flag.startswith("--")}
    flag, = set(RESOURCES) & set(given)
    pattern = ResourcePatternType.PREFIXED if given.get("--resource-pattern-type") == "prefixed" else ResourcePatternType.LITERAL
    name = "kafka-cluster" if flag == "--cluster" else given[flag]
    return [AclBinding(RESOURCES[flag], name, pattern, given["--allow-principal"], "*", OPERATIONS[words[at + 1]],
                       AclPermissionType.ALLOW) for at, word in enumerate(words) if word == "--operation"]


def grant(env, *commands):
    wanted = [binding for command in commands for binding in bindings(command)]
    create(env, wanted)


def create(env, rules):
    for done in env.admin().create_acls(rules).values():
        done.result()
    wait_until(lambda: set(rules) <= rules_of(env), 60, "the broker obeys the new rules")


def rules_of(env):
    """Those that the broker goes by; it learns of a change a moment after the controller has made it."""
    return set(env.admin().describe_acls(ANY_RULE).result())


def take_away(env, command):
    delete(env, bindings(command))


def delete(env, rules):
    filters = [AclBindingFilter(b.restype, b.name, b.resource_pattern_type, b.principal, b.host, b.operation,
                                b.permission_type) for b in rules]
    for done in env.admin().delete_acls(filters).values():
        assert len(done.result()) == 1, rules
    wait_until(lambda: not set(rules) & rules_of(env), 60, "the broker has forgotten the rules")


def granting_commands(env):
    """{program: its lines} of `doctor --rights`."""
    commands = {}
    for line in millrace(env, "doctor", "--rights", *FLAGS).stdout.splitlines():
        if line.startswith("kafka-acls.sh "):
            words = shlex.split(line)
            commands.setdefault(words[words.index("--allow-principal") + 1].removeprefix("User:"), []).append(line)
    assert sorted(commands) == sorted(PROGRAMS), commands
    return commands


def findings(env, code):
    """{check: [(verdict, found, remedy)]} of millrace doctor, once it ends with this code; None: any.

    It does not wait for a program that is late with its answer, which is a finding too.
    """
    last = {}

    def told():
        last["result"] = result = millrace(env, "doctor", "-o", "json", *FLAGS, check=False)
        found = {}
        for row in json.loads(result.stdout):
            found.setdefault(row["check"], []).append((row["verdict"], row["found"], row["remedy"]))
        # without them Kafka was late
        return all(f"rights of {program}" in found for program in PROGRAMS) and code in (None, result.returncode) and found

    try:
        return wait_until(told, 90, f"millrace doctor ends with {code}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {last['result'].stdout}{last['result'].stderr}") from None


def publish(env, numbers, value=lambda n: json.dumps({"id": f"d{n}", "name": f"document {n}"}), **where):
    producer = env.producer(sasl_username="producer", sasl_password=env.kafka.password_of("producer"))
    for number in numbers:
        producer.produce(f"{env.cluster}.docs.books", key=f"d{number}", value=value(number), **where)
    assert producer.flush(30) == 0


def documents(env):
    return env.http("GET", "/indexes/books/stats", timeout=60).json().get("numberOfDocuments")


def start_with_rights(env):
    """The whole stack and an index, each program with its rights; {program: commands}."""
    commands = granting_commands(env)
    grant(env, *(line for lines in commands.values() for line in lines))
    env.start_all(PATIENCE)
    env.millrace("index", "create", "books", "--primary-key", "id", "--partitions", "2", "--wait")
    return commands


def end_cleanly(env):
    troubles = env.close(clean=True)
    assert not troubles, troubles


def work_as_operator(env):
    """Everything that the command line asks of Kafka itself."""
    listed = millrace(env, "dlq", "ls").stdout
    assert "not_json" in listed and "wrong_partition" in listed, listed
    assert "no json" in millrace(env, "dlq", "show", "--code", "not_json").stdout
    replayed = millrace(env, "dlq", "replay", "--reason", "wrong_partition", "--force", "-o", "json", check=False)
    assert replayed.returncode == 0 and '"replayed"' in replayed.stdout, (replayed.stdout, replayed.stderr)
    told = millrace(env, "doc", "where", "books", "d8", check=False)
    assert told.returncode == 0 and "in the index since" in told.stdout, (told.stdout, told.stderr)


def import_something(env):
    """One record, through the topic of a source whose rights are printed for its name, and one for its pattern."""
    producer = env.producer(sasl_username="admin", sasl_password=env.kafka.password_of("admin"))
    for topic in ("shop.orders", "crm.people.de"):
        producer.produce(topic, key="1", value=json.dumps({"id": 1, "of": topic}))
    assert producer.flush(30) == 0
    for uid in ("orders", "people"):
        env.wait_until(lambda: env.http("GET", f"/indexes/{uid}/documents/1").status == 200, 120, f"{uid} is imported")


def test_rights_that_doctor_prints(env):
    """With them, and no others, everything works; kafka-acls.sh takes the commands as they are."""
    with env.secure_kafka() as kafka:
        env.create_topic("shop.orders", 1)
        env.create_topic("crm.people.de", 1)
        env.write_config({"sources": [{"topic": "shop.orders", "index": "orders", "primary_key": "id"},
                                      {"pattern": r"^crm\.people\..*", "index": "people", "primary_key": "id"}]})
        commands = granting_commands(env)
        admin = kafka.directory / "admin.java.properties"
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        admin.write_text("security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nssl.truststore.type=PEM\n"
                         f"ssl.truststore.location={kafka.ca}\n"
                         f'sasl.jaas.config={login} username="admin" password="{kafka.password_of("admin")}";\n')
        line = next(line for line in commands["ingest"] if "prefixed" in line)  # the others differ in the kind of resource
        commands["ingest"].remove(line)
        words = [w for w in shlex.split(line)[1:] if w != "$KAFKA"]
        done = kafka.acls("--bootstrap-server", kafka.bootstrap, "--command-config", str(admin), *words)
        assert done.returncode == 0, (line, done)
        grant(env, *(line for lines in commands.values() for line in lines))
        env.start_all(PATIENCE)
        env.millrace("index", "create", "books", "--primary-key", "id", "--partitions", "2", "--wait")
        publish(env, range(DOCUMENTS))
        publish(env, [0], lambda n: "no json")
        for partition in range(2):  # one of them is the wrong one
            publish(env, [1], partition=partition)
        env.wait_until(lambda: documents(env) == DOCUMENTS, 90, "every document is searchable")
        assert env.http("GET", "/indexes/books/search?q=document%207", timeout=60).json()["hits"][0]["id"] == "d7"
        publish(env, [7], lambda n: None)
        env.wait_until(lambda: documents(env) == DOCUMENTS - 1, 90, "one document is deleted")
        env.wait_until(lambda: len(env.read_topic(f"{env.cluster}.dead-letter")) == 2, 90, "what cannot be applied is kept")
        env.wait_until(lambda: all(s["lag"] == 0 for s in env.millrace("status", "-o", "json")["shards"]), 90,
                       "ingest commits, and the gateway sees it")
        import_something(env)
        found = findings(env, 0)
        for program in PROGRAMS:
            assert found[f"rights of {program}"] == [("ok", f"User:{program} has every right that it needs", "")], found
        work_as_operator(env)
        for program in ("ingest", "rebalance"):  # it all exists already, which other rights see to
            env.programs[program].terminate()
            env.start(program)
        env.millrace("index", "delete", "books")
        env.wait_until(lambda: env.http("GET", "/indexes/books").status == 404, 90, "the index is gone")
        env.wait_until(lambda: f"{env.cluster}.docs.books" not in env.admin().list_topics(timeout=30).topics, 90,
                       "so is its log")
        end_cleanly(env)
        assert not kafka.denied(), kafka.denied()[:10]


test_rights_that_doctor_prints.timeout_s = 900


@contextlib.contextmanager
def missing(env, commands, program, resource, operation):
    """Without that one right; doctor names it, and the command that it prints gives it back."""
    line, = (line for line in commands[program] if f"{resource}'" in line and f"--operation {operation}" in line)
    command = line.split(" --operation")[0] + f" --operation {operation}"
    take_away(env, command)
    found = findings(env, 1)[f"rights of {program}"]
    assert [(verdict, remedy) for verdict, _, remedy in found] == [("error", command)], found
    assert found[0][1].startswith(f"User:{program} may not {operation} the ") and resource in found[0][1], found
    yield
    grant(env, found[0][2])


def wait_for_remedy(env, name, event):
    env.wait_until(lambda: any(f"event={event} " in line and "millrace doctor --rights" in line
                               for line in env.programs[name].output().splitlines()), 90,
                   f"{name} says {event} and what helps")


def test_missing_rights(env):
    """Of each program one; it says so and goes on as soon as it has it again, or ends."""
    with env.secure_kafka():
        commands = start_with_rights(env)
        docs = f"{env.cluster}.docs."
        publish(env, range(DOCUMENTS))
        env.wait_until(lambda: documents(env) == DOCUMENTS, 90, "every document is searchable")

        with missing(env, commands, "ingest", docs, "Read"):
            publish(env, range(DOCUMENTS, 2 * DOCUMENTS))
            wait_for_remedy(env, "ingest", "position_lost")
            assert documents(env) < 2 * DOCUMENTS
        env.wait_until(lambda: documents(env) == 2 * DOCUMENTS, 90, "ingest reads on")

        with missing(env, commands, "query", f"{env.cluster}.tasks", "Write"):
            refused = env.millrace("index", "create", "films", check=False)
            assert refused.returncode == 1 and "Topic authorization failed" in refused.stderr, refused
            assert "millrace doctor --rights" in refused.stderr
            wait_for_remedy(env, "query", "request_not_appended")

        env.wait_until(lambda: env.millrace("index", "create", "songs", check=False).returncode == 0, 90,
                       "the gateway writes again")
        with missing(env, commands, "rebalance", f"{env.cluster}.controller", "Write"):
            env.millrace("index", "create", "films")
            wait_for_remedy(env, "rebalance", "left_office")
            assert env.programs["rebalance"].running()
        env.wait_until(lambda: len(env.millrace("index", "ls", "-o", "json")["results"]) == 3, 90,
                       "the controller takes office again")

        env.programs["shard"].terminate()
        with missing(env, commands, "shard", f"{env.cluster}.meta", "Read"):
            node = env.start("shard", wait=False)
            assert node.wait(90) == 1, "a node that cannot know what it holds ends"
            wait_for_remedy(env, "shard", "failed")
        env.start("shard")
        env.wait_until(lambda: documents(env) == 2 * DOCUMENTS, 90, "the node serves again")
        denial = AclBinding(ResourceType.TOPIC, docs + "books", ResourcePatternType.LITERAL, "User:*", "*",
                            AclOperation.WRITE, AclPermissionType.DENY)
        create(env, [denial])
        verdict, says, remedy = findings(env, 1)["rights of producer"][0]
        assert verdict == "error" and says == f"User:producer may not Write the topic {docs}*", says
        assert remedy.startswith("remove the rule that denies it"), "a grant does not help against a denial"
        delete(env, [denial])
        found = findings(env, None)
        assert all(found[f"rights of {program}"][0][0] == "ok" for program in PROGRAMS), found
        end_cleanly(env)


test_missing_rights.timeout_s = 900


def test_refused_connections(env):
    """Whom Kafka refuses waits and names the setting; so does doctor."""
    with env.secure_kafka() as kafka:
        other_ca = kafka.directory / "other-ca.pem"
        for setting, value, named in [
            ("sasl.password", "wrong", ["kafka.sasl.username", "kafka.sasl.password"]),
            ("ssl.ca.location", other_ca, ["kafka.ssl.ca.location"]),
            ("sasl.mechanism", "SCRAM-SHA-512", ["kafka.sasl.password", "2.6.1", "PLAIN"]),
            ("security.protocol", "SASL_PLAINTEXT", ["kafka.security.protocol"]),
        ]:
            def explained(setting=setting, value=value, named=named):
                """It asks Kafka for five seconds; a refusal that comes later than that is none for it."""
                found = millrace(env, f"--kafka.{setting}", value, "doctor", "-o", "json", check=False)
                row = json.loads(found.stdout)[0]
                assert row["verdict"] == "error", row
                return all(name in row["remedy"] for name in named)

            wait_until(explained, 60, f"doctor explains {setting} with {named}")
            node = env.start("shard", {f"kafka.{setting}": value}, wait=False)
            for event in ("waiting_for_kafka", "kafka_refuses"):
                env.wait_until(lambda: f"event={event} " in node.output(), 60, f"the node says {event}")
            lines = [line for line in node.output().splitlines() if "event=kafka_refuses " in line]
            assert len(lines) == 1 and all(name in lines[0] for name in named), node.output()
            assert node.running() and node.terminate() == 0, "waiting, it ends as usual"
        misplaced = millrace(env, "--kafka.ssl.ca.location", "/nowhere.pem", "doctor", "-o", "json", check=False)
        assert "ssl.ca.location" in json.loads(misplaced.stdout)[0]["found"], misplaced
        wait_until(lambda: rights_told(millrace(env, "doctor", "-o", "json", *FLAGS, user="producer", check=False)) == [NO_RULES],
                   60, "he may not see them")


def rights_told(doctor):
    """[(verdict, found)] of what is said of rights."""
    return [(row["verdict"], row["found"]) for row in json.loads(doctor.stdout) if row["check"].startswith("rights")]


def test_words_of_rights(env):
    """Where no rules are shown that is said; a word that means nothing is refused."""
    wait_until(lambda: rights_told(env.millrace("doctor", "-o", "json", "--user", "query=User:me", check=False)) == [NO_RULES],
               60, "no rules are shown")
    for words, expected in [
        (["--user", "query"], "millrace doctor: --user needs PROGRAM=User:NAME, not `query`"),
        (["--user", "cook=User:me"],
         "millrace doctor: `cook` is none of ingest, query, rebalance, shard, operator, producer"),
        (["--user"], "millrace doctor: expected nothing more, or -o table|json"),
    ]:
        result = env.millrace("doctor", *words, check=False)
        assert (result.returncode, result.stderr.strip()) == (1, expected), (words, result)
    env.write_config({"topics": {"create": False}})
    lines = env.millrace("doctor", "--rights", "--user", "rebalance=User:CN=me, O=us").stdout.splitlines()
    mine = [line for line in lines if "--allow-principal 'User:CN=me, O=us'" in line]
    assert mine and not any("Create" in line or "--cluster" in line for line in mine), mine

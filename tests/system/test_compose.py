"""docker/Dockerfile and docker/compose.yaml: what can be known of them without a container runtime."""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import dockerfile
from children import Child

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE = ROOT / "docker" / "compose.yaml"
CONFIGURATION = ROOT / "docker" / "millrace.compose.yaml"
SCHEMA_TOOLS = "check-jsonschema==0.39.0"
KEY = "0123456789abcdef0123456789abcdef"
READ_YAML = "import json, ruamel.yaml, sys; json.dump(ruamel.yaml.YAML(typ='safe').load(open(sys.argv[1])), sys.stdout)"
# ${NAME}, ${NAME:-default} and ${NAME:?why it is needed}, as compose and Millrace write them.
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def schema_python():
    """An interpreter with check-jsonschema, and so with a YAML reader; made once."""
    made = subprocess.run([ROOT / "docker" / "venv", ROOT / "build" / "venv-schema", SCHEMA_TOOLS], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def yaml_file(path):
    return json.loads(subprocess.run([schema_python(), "-c", READ_YAML, path], capture_output=True, check=True).stdout)


def interpolated(text, environment):
    def value(match):
        name, kind, word = match.groups()
        if environment.get(name):
            return environment[name]
        assert kind == "-", f"{name} is needed: {word}"
        return word
    return VARIABLE.sub(value, text)


def environment_of(service, given):
    return {name: interpolated(str(value), given) for name, value in service["environment"].items()}


def services():
    """{name: service} of those that are built here."""
    return {name: service for name, service in yaml_file(COMPOSE)["services"].items() if "build" in service}


def program_of(service):
    target = service["build"]["target"]
    return "millrace" if target == "cli" else f"millrace-{target}"


def check_config(env, service, given, *words):
    """The program's own judgement of the file that compose mounts; without anything else of this machine's."""
    return subprocess.run([env.bin / program_of(service), "--config", CONFIGURATION, *words], capture_output=True, text=True,
                          cwd=env.directory, env={"PATH": os.environ["PATH"], **environment_of(service, given)})


def quickstart_ports():
    """{name: port} of what the quick start starts with three nodes."""
    script = ('. docker/shell.sh; dir=/nowhere; . docker/processes.sh; port_base=7700; '
              'for name in $(names_of 3) admin kafka; do echo "$name $(port_of "$name")"; done')
    lines = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name: int(port) for name, port in map(str.split, lines)}


def port_at_the_end(address):
    return int(address.rsplit(":", 1)[1].split("/")[0])


def test_schema(_env):
    checked = subprocess.run([schema_python(), "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE],
                             capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_ports_are_those_of_the_quick_start(_env):
    published = {}
    for name, service in yaml_file(COMPOSE)["services"].items():
        for port in service.get("ports", []):
            host, outside, _inside = port.split(":")
            assert host == "127.0.0.1", f"{name}: {port} is open to the network"
            published.setdefault(name, []).append(int(outside))
    expected = {name: [port] for name, port in quickstart_ports().items()}
    expected["query"] += expected.pop("admin")
    assert published == expected


def test_services_fit_dockerfile_and_configuration(_env):
    stages = dockerfile.read(ROOT / "docker" / "Dockerfile")
    configuration = yaml_file(CONFIGURATION)
    listens = {"ingest": "ingest", "shard": "shard", "rebalance": "rebalance", "query": "admin"}
    for name, service in services().items():
        target = service["build"]["target"]
        assert target in stages and (COMPOSE.parent / service["build"]["context"]).resolve() == ROOT, name
        assert (COMPOSE.parent / service["build"]["context"] / service["build"]["dockerfile"]).exists(), name
        stage = stages[target]
        assert stage.texts("ENTRYPOINT") == [f'["{program_of(service)}"]'] and stage.texts("USER") == ["millrace"], name
        assert service["configs"] == [{"source": "millrace", "target": "/etc/millrace/millrace.yaml"}], name
        if target == "cli":
            continue
        section = configuration[target]
        admin = port_at_the_end(section["admin" if listens[target] == "admin" else "listen"])
        assert f"http://127.0.0.1:{admin}/health" in stage.texts("HEALTHCHECK")[0], name
        exposed = {int(port) for text in stage.texts("EXPOSE") for port in text.split()}
        assert exposed == {port_at_the_end(section[key]) for key in ("listen", "admin") if key in section}, name
        assert {int(port.split(":")[2]) for port in service["ports"]} == exposed, name
    nodes = {node["id"]: node["url"] for group in configuration["topology"]["groups"].values() for node in group}
    shards = {name: service for name, service in services().items() if service["build"]["target"] == "shard"}
    port = port_at_the_end(configuration["shard"]["listen"])
    assert nodes == {name: f"http://{name}:{port}" for name in shards}
    for name, service in shards.items():
        assert service["environment"]["MILLRACE_SHARD_ID"] == name
        assert service["volumes"] == [f"{name}:{configuration['shard']['data']}"]
        assert configuration["shard"]["data"] in stages["shard"].texts("VOLUME")


def test_programs_accept_the_configuration(env):
    for name, service in services().items():
        words = ["check-config"] if service["build"]["target"] == "cli" else ["--check-config"]
        good = check_config(env, service, {"MILLRACE_CLUSTER_KEY": KEY}, *words)
        assert good.returncode == 0 and KEY not in good.stdout, (name, good.stderr)
        if service["build"]["target"] == "shard":
            assert re.search(rf"\bid: \"?{name}\b", good.stdout.split("shard:")[1]), good.stdout
        short = check_config(env, service, {"MILLRACE_CLUSTER_KEY": "short"}, *words)
        assert short.returncode == 78 and "auth.cluster_key" in short.stderr and "16" in short.stderr, (name, short)


def test_no_cluster_key_is_told(env):
    for name, service in services().items():
        asked = VARIABLE.fullmatch(service["environment"]["MILLRACE_CLUSTER_KEY"])
        assert asked.group(2) == "?" and "openssl rand -hex 16" in asked.group(3), f"compose starts {name} without a key"
    bare = subprocess.run([env.bin / "millrace-shard", "--config", CONFIGURATION, "--check-config"], capture_output=True,
                          text=True, cwd=env.directory, env={"PATH": os.environ["PATH"]})
    assert bare.returncode == 78 and "the environment has no `MILLRACE_CLUSTER_KEY`" in bare.stderr, bare


def test_versions_agree(_env):
    project = re.search(r"project\(millrace VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
    stages = dockerfile.read(ROOT / "docker" / "Dockerfile")
    assert f"version={project}" in stages["runtime"].texts("ARG")
    kafka = re.search(r"^readonly version=(\S+)", (ROOT / "docker" / "kafka").read_text(), re.M).group(1)
    assert yaml_file(COMPOSE)["services"]["kafka"]["image"] == f"apache/kafka:{kafka}"


def starts_in(env, tree, service):
    """The program runs as the image would have it, and the image's health check finds it."""
    target = service["build"]["target"]
    here = "admin" if target == "query" else target
    words = [*tree.settings["ENTRYPOINT"], "--kafka.bootstrap.servers", env.kafka.bootstrap, "--cluster", env.cluster,
             "--listen", f"127.0.0.1:{env.places[target]}"]
    if target == "query":
        words += ["--admin", f"127.0.0.1:{env.places['admin']}"]
    given = environment_of(service, {"MILLRACE_CLUSTER_KEY": KEY})
    child = Child(target, tree.command(words, given), env.directory / f"{target}.log")
    health = [re.sub(r":\d+/", f":{env.places[here]}/", word) for word in tree.settings["HEALTHCHECK"]]
    try:
        env.wait_until(lambda: tree.run(health).returncode == 0, 30, f"{target} is healthy: {' '.join(health)}")
        assert child.running()
    finally:
        child.kill9()


def test_images(env):
    """The Dockerfile's own lines, run on a fresh Debian."""
    assert os.geteuid() == 0, "needs root: it makes root directories and enters them"
    assert shutil.which("mmdebstrap"), "needs mmdebstrap: docker/packages image"
    builder = dockerfile.Builder(dockerfile.read(ROOT / "docker" / "Dockerfile"), ROOT, env.directory)
    by_target = {service["build"]["target"]: service for service in services().values()}
    assert set(by_target) == {"ingest", "shard", "query", "rebalance", "cli"}
    try:
        for target, service in by_target.items():
            tree = builder.build(target)
            shutil.copy(CONFIGURATION, tree.directory / "etc" / "millrace" / "millrace.yaml")
            version = tree.run([*tree.settings["ENTRYPOINT"], "--version"])
            label = tree.settings["LABEL"]["org.opencontainers.image.version"]
            assert version.stdout == f"millrace {label}\n", (target, version)
            assert tree.run(["id", "-u"]).stdout == "10001\n"
            if target != "cli":
                starts_in(env, tree, service)
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", *(directory for directory in env.directory.iterdir() if directory.is_dir())],
                       check=True)


test_images.timeout_s = 1800
test_images.only_full = True

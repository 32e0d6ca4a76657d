"""A Dockerfile read, and its stages built in directories: without Docker, registry or image.

    stages = read(ROOT / "docker" / "Dockerfile")
    builder = Builder(stages, context=ROOT, directory=scratch)
    tree = builder.build("shard")                       # needs root, mmdebstrap and Debian's mirror
    tree.run(["millrace-shard", "--version"])           # as the image's user, with its environment

The base debian:bookworm-slim is made by mmdebstrap from the same packages. Of
the instructions those are obeyed that docker/Dockerfile uses; any other one is
an error. RUN lines are run as they stand, in a chroot with a /proc of its own.
"""
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

BASES = {"debian:bookworm-slim": ["--variant=minbase", "--include=bash", "bookworm"]}
MIRROR = "http://deb.debian.org/debian"
CERTIFICATES = Path("/usr/local/share/ca-certificates")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Stage:
    def __init__(self, name, base):
        self.name = name
        self.base = base
        self.instructions = []

    def texts(self, word):
        return [text for other, text in self.instructions if other == word]


def read(path):
    """{name: Stage}, in file order."""
    lines = [line for line in Path(path).read_text().splitlines() if not line.lstrip().startswith("#")]
    stages, stage = {}, None
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        word, text = line.split(None, 1)
        if word == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", text).groups()
            stage = stages[name] = Stage(name, base)
        else:
            stage.instructions.append((word, text.strip()))
    return stages


def pairs(text):
    """[(key, value)] of `A=b C="d e"`."""
    return [tuple(item.split("=", 1)) for item in shlex.split(text)]


def sent(context):
    """What .dockerignore leaves of the context: it refuses everything and names the exceptions."""
    lines = [line for line in (Path(context) / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*" and all(line[0] == "!" for line in lines[1:]), lines
    return [line[1:] for line in lines[1:]]


class Tree:
    """A stage's root directory, and what of its settings matters when something runs in it."""

    def __init__(self, directory, settings=None):
        self.directory = directory
        self.settings = settings or {"ENV": {"PATH": PATH}, "ARG": {}, "WORKDIR": "/", "USER": "root", "LABEL": {}}

    def expand(self, text):
        known = {**self.settings["ARG"], **self.settings["ENV"]}
        return re.sub(r"\$\{?(\w+)\}?", lambda match: known[match.group(1)], text)

    def command(self, words, environment=None, user=None):
        """What runs `words` in this tree; it ends, with its mounts, when it is killed."""
        user = user or self.settings["USER"]
        variables = {"HOME": "/root", **self.settings["ENV"], **(environment or {})}
        inside = ["chroot", f"--userspec={user}", self.directory, "env", "-i", *(f"{k}={v}" for k, v in variables.items()),
                  "sh", "-c", f"cd {shlex.quote(self.settings['WORKDIR'])} && exec \"$@\"", "sh", *words]
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                'mount -t proc proc "$0/proc" && exec "$@"', self.directory, *inside]

    def run(self, words, environment=None, user=None, timeout=900):
        return subprocess.run([*map(str, self.command(words, environment, user))], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=timeout)


class Builder:
    def __init__(self, stages, context, directory):
        self.stages = stages
        self.context = Path(context)
        self.directory = Path(directory)
        self._built = {}

    def build(self, name):
        """The Tree of a stage, made once."""
        if name not in self._built:
            directory = self.directory / re.sub(r"\W", "_", name)
            if name in BASES:
                self._built[name] = self._base(name, directory)
            else:
                self._built[name] = self._stage(self.stages[name], directory)
        return self._built[name]

    @staticmethod
    def _base(name, directory):
        made = subprocess.run(["mmdebstrap", "--quiet", *BASES[name], directory, MIRROR], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr[-3000:]
        # As Docker does for its containers: the machine's way to the network.
        shutil.copy("/etc/resolv.conf", directory / "etc" / "resolv.conf")
        if CERTIFICATES.is_dir():
            shutil.copytree(CERTIFICATES, directory / CERTIFICATES.relative_to("/"), dirs_exist_ok=True)
        return Tree(directory)

    def _stage(self, stage, directory):
        below = self.build(stage.base)
        subprocess.run(["cp", "-a", "--reflink=auto", below.directory, directory], check=True)
        settings = {key: dict(value) if isinstance(value, dict) else value for key, value in below.settings.items()}
        tree = Tree(directory, settings)
        for word, text in stage.instructions:
            self._obey(tree, word, text)
        return tree

    def _obey(self, tree, word, text):
        settings = tree.settings
        if word in ("ENV", "ARG", "LABEL"):
            settings[word].update((key, tree.expand(value)) for key, value in pairs(text))
        elif word in ("USER", "WORKDIR"):
            settings[word] = text
            if word == "WORKDIR":
                (tree.directory / text.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            self._copy(tree, text.split())
        elif word == "RUN":
            done = tree.run(["/bin/sh", "-c", text], environment=settings["ARG"])
            assert done.returncode == 0, f"RUN {text}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        elif word in ("HEALTHCHECK", "ENTRYPOINT"):
            settings[word] = json.loads(text[text.index("["):])
        else:
            assert word in ("EXPOSE", "VOLUME"), f"{word} is not understood here"
            settings[word] = text.split()

    def _copy(self, tree, words):
        source = self.context
        if words[0].startswith("--from="):
            source = self.build(words.pop(0).removeprefix("--from=")).directory
        *names, target = words
        assert target.endswith("/"), f"COPY … {target}: name a directory"
        target = tree.directory / (Path(tree.settings["WORKDIR"]) / target).relative_to("/")
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            if source is self.context:
                assert any(name == kept or name.startswith(kept + "/") for kept in sent(self.context)), f"{name} is not sent"
            path = source / name.lstrip("/")
            if path.is_dir():
                shutil.copytree(path, target, dirs_exist_ok=True)
            else:
                shutil.copy(path, target)

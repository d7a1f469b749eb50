"""The Docker runtime is ``docker run``: what SageMaker gives a container, and nothing is left."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from kennel.contract import SERVING_PORT
from kennel.errors import KennelError, LocalServerError
from kennel.local.runtimes import choice, containers
from kennel.local.runtimes.protocol import Launch, Mount, State, Status

WAIT_S = 60
SOCKET = Path("/var/run/docker.sock")
NOBODY = 12345  # a user whom no image knows
FOLLOW = """
import sys
from pathlib import Path
from kennel.local.runtimes import choice
choice.choose("docker", Path(sys.argv[1])).wait("job", 60)
"""
AS_NOBODY = f"""
import os, sys
from pathlib import Path
from kennel.local.runtimes import choice
from kennel.local.runtimes.protocol import Launch
choice.choose("docker", Path(sys.argv[1]) / "roots").docker.engine().info()  # all is imported
os.setgroups([])
os.setgid({SOCKET.stat().st_gid if SOCKET.exists() else 0})
os.setuid({NOBODY})
folder, image, script = sys.argv[1:]
runtime = choice.choose("docker", Path(folder) / "runtime")
root = Path(folder) / "ml"
(root / "model").mkdir(parents=True)
try:
    runtime.start(Launch("job", image, "train", root, entrypoint=("python3", "-c", script)))
    print(runtime.wait("job", 60).exit_code, runtime.output("job").read_text(), end="")
finally:
    runtime.remove("job")
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runtime"


@pytest.fixture
def choose(engine, folder):
    """Return ``choose(name)``, a runtime over the folder; nothing of any may be left behind."""
    assert engine
    chosen = []

    def choose(name="docker"):
        chosen.append(choice.choose(name, folder))
        return chosen[-1]

    yield choose
    for left in list(folder.iterdir()):
        chosen[-1].remove(left.name)
    for runtime in chosen:
        runtime.docker.close()
    assert left_behind(engine, folder) == []


@pytest.fixture
def runtime(choose):
    return choose()


def left_behind(engine, folder):
    mine = {"label": f"{containers.STATE_LABEL}={folder}"}
    return [*engine.containers.list(all=True, filters=mine), *engine.networks.list(filters=mine)]


@pytest.fixture
def launch(base_image, tmp_path):
    """Build a launch that runs a Python script; *parts* replace its members."""
    root = tmp_path / "ml"
    for name in ("input/data/train", "model", "output"):
        (root / name).mkdir(parents=True)

    def build(script="pass", *arguments, **parts):
        entrypoint = ("python3", "-u", "-c", script)
        parts = {"id": "job", "image": base_image, "role": "train", "root": root} | parts
        return Launch(**{"entrypoint": entrypoint, "arguments": arguments} | parts)

    return build


def run(runtime, launch):
    runtime.start(launch)
    return runtime.wait(launch.id, WAIT_S)


def said(runtime, launch_id="job"):
    return runtime.output(launch_id).read_text()


def until(fact):
    deadline = time.monotonic() + WAIT_S
    while not (found := fact()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def container_of(engine, folder, launch_id="job"):
    return engine.containers.get(containers.name(folder, launch_id))


class TestEnd:
    """How a launch ends, and what is said of it."""

    @pytest.mark.parametrize(
        ("script", "code"),
        [
            pytest.param("pass", 0, id="success"),
            pytest.param("raise SystemExit(3)", 3, id="failure"),
            pytest.param("import os; os._exit(200)", 200, id="otherwise"),
        ],
    )
    def test_is_its_exit_code(self, runtime, launch, script, code):
        """
        As Docker counts them: 128 + N for a signal N.
        """
        assert run(runtime, launch(script)) == State(Status.EXITED, code)

    @pytest.mark.parametrize(
        ("program", "code", "why"),
        [
            pytest.param("no-such-program", 127, "not found", id="missing"),
            pytest.param("/etc/passwd", 126, "permission denied", id="forbidden"),
        ],
    )
    def test_of_a_program_that_cannot_be_run_is_named(self, runtime, launch, program, code, why):
        """
        Docker's exit code, and a log of one line that says which program and why.
        """
        state = run(runtime, launch(entrypoint=(program,)))

        assert state == State(Status.EXITED, code)
        assert said(runtime).startswith(f'exec: "{program}": ')
        assert said(runtime).count("\n") == 1
        assert why in said(runtime)

    def test_of_a_program_of_another_machine_is_told(self, runtime, launch, build_image):
        """
        What is no program at all: the engine's own word on it is the log.
        """
        image = build_image("COPY train /train", {"train": "\x7fELF of nothing"})
        state = run(runtime, launch(image=image, entrypoint=("/train",)))

        assert state.exit_code not in (0, None)
        assert "exec format error" in said(runtime)

    def test_by_memory_is_told(self, runtime, launch, engine, folder):
        """
        The kernel's SIGKILL looks like any other, so the reason says what it was.
        """
        greedy = "import time\ntime.sleep(1)\ndata = [b'x' * 10**6 * (i + 1) for i in range(99)]"
        runtime.start(launch(greedy))
        container_of(engine, folder).update(mem_limit="32m", memswap_limit="32m")

        assert runtime.wait("job", WAIT_S) == State(Status.EXITED, 137, containers.OUT_OF_MEMORY)

    def test_by_somebody_else_is_known(self, runtime, launch, engine, folder):
        """
        ``docker kill`` is an end like any other; after ``docker rm`` nobody can say what it was.
        """
        runtime.start(launch("import time; time.sleep(600)"))
        container_of(engine, folder).kill()
        assert runtime.wait("job", WAIT_S) == State(Status.EXITED, 137)

        runtime.start(launch("import time; time.sleep(600)"))
        container_of(engine, folder).remove(force=True)
        assert runtime.wait("job", WAIT_S).exit_code in (137, None)
        assert runtime.poll("job").status in (Status.EXITED, Status.LOST)

    def test_by_sigterm_is_the_main_processs(self, runtime, launch):
        """
        Its children hear nothing of it, and die with it.
        """
        runtime.start(
            launch(
                "import os, signal, sys, time\n"
                "name = 'parent' if os.fork() else 'child'\n"
                "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print(name, 'heard') or 7))\n"
                "print(name, 'ready')\n"
                "time.sleep(600)\n"
            )
        )
        until(lambda: said(runtime).count("ready") == 2)
        runtime.terminate("job")

        assert runtime.wait("job", WAIT_S) == State(Status.EXITED, 7)
        assert "parent heard" in said(runtime)
        assert "child heard" not in said(runtime)

    def test_by_sigkill_takes_what_ignores_sigterm(self, runtime, launch):
        """
        No --init stands between: the program is process 1, and ignores what it does not handle.
        """
        runtime.start(launch("import os, time; print(os.getpid()); time.sleep(600)"))
        until(lambda: said(runtime) == "1\n")
        runtime.terminate("job")
        assert runtime.wait("job", 0.5).status is Status.RUNNING
        runtime.kill("job")

        assert runtime.poll("job") == State(Status.EXITED, 137)

    def test_by_somebody_else_leaves_no_network(self, runtime, launch, engine, folder):
        """
        ``docker rm`` takes the labels with it that say which network was the container's.
        """
        runtime.start(launch("import time; time.sleep(600)", network="mine"))
        container_of(engine, folder).remove(force=True)
        runtime.remove("job")

        assert left_behind(engine, folder) == []

    def test_before_it_began_leaves_no_network(self, runtime, launch, engine, folder):
        """
        The engine refuses a container that is told to be two things at one place.
        """
        twice = (Mount(folder, "input/data/train"), Mount(folder, "input/data/train"))
        with pytest.raises(KennelError, match="Duplicate mount point"):
            runtime.start(launch(network="mine", mounts=twice))

        assert left_behind(engine, folder) == []

    def test_of_nobody_is_no_error(self, runtime):
        """
        Asking for an unknown launch, and ending it.
        """
        runtime.terminate("nobody")
        runtime.kill("nobody")
        runtime.remove("nobody")

        assert runtime.poll("nobody") == State(Status.ABSENT)

    def test_leaves_nothing(self, runtime, launch, build_image, engine, folder):
        """
        Neither the container nor the volumes that its image declares.
        """
        image = build_image("VOLUME /data")
        run(runtime, launch(image=image))
        (mount,) = (
            mount
            for mount in container_of(engine, folder).attrs["Mounts"]
            if mount["Type"] == "volume"
        )
        runtime.remove("job")

        assert mount["Name"] not in {volume.name for volume in engine.volumes.list()}
        assert runtime.poll("job") == State(Status.ABSENT)
        assert not (folder / "job").exists()


class TestImage:
    """Which image runs."""

    def test_that_is_nowhere_is_a_clear_error(self, runtime, launch):
        """
        It says what to build or to pull, and nothing is left of the attempt.
        """
        with pytest.raises(LocalServerError) as caught:
            runtime.start(launch(image="kennel-no-such-image"))

        assert "Cannot find the image 'kennel-no-such-image'" in str(caught.value)
        assert "docker pull kennel-no-such-image" in str(caught.value)
        assert runtime.poll("job") == State(Status.ABSENT)

    def test_of_a_registry_is_pulled(self, runtime, launch):
        """
        And if it cannot be, the registry's refusal is told.
        """
        with pytest.raises(LocalServerError, match=r"Cannot pull .*localhost:1/x.*refused"):
            runtime.start(launch(image="localhost:1/x:1"))

    def test_decides_the_runtime(self, choose, folder, launch, base_image):
        """
        auto takes a container where the engine has the image, else a process; ids find the owner.
        """
        runtime = choose("auto")
        runtime.start(launch("import sys; print(sys.version)", id="contained"))
        program = launch().root.parent / "program"
        program.write_text("#!/bin/sh\nexit 4\n")
        program.chmod(0o755)
        runtime.start(launch(id="process", image=str(program), entrypoint=()))

        assert runtime.base_dir(base_image, folder) == Path("/opt/ml")
        assert runtime.base_dir("no-such-image", folder) == folder
        assert runtime.max_instances("no-such-image") == 1
        assert runtime.hosts(base_image, 2) == ["algo-1", "algo-2"]
        assert runtime.wait("contained", WAIT_S).exit_code == 0
        assert runtime.wait("process", WAIT_S).exit_code == 4
        assert runtime.docker.known("contained")
        assert not runtime.docker.known("process")


class TestOptMl:
    """What a container sees below /opt/ml."""

    def test_is_this_machines(self, runtime, launch):
        """
        What it writes there is in the launch's folder, and belongs to whoever runs the server.
        """
        ready = launch("open('/opt/ml/model/weights', 'w').write('learnt')")
        run(runtime, ready)

        written = ready.root / "model" / "weights"
        assert written.read_text() == "learnt"
        assert written.stat().st_uid == os.getuid()

    def test_does_not_hide_what_the_image_has(self, runtime, launch, build_image):
        """
        Scripts that an image brings are in /opt/ml/code, and stay there.
        """
        image = build_image("COPY train.py /opt/ml/code/train.py", {"train.py": "print('mine')"})
        run(runtime, launch(image=image, entrypoint=("python3", "/opt/ml/code/train.py")))

        assert said(runtime) == "mine\n"

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param("open(path, 'a').write('changed')", id="append"),
            pytest.param("os.remove(path)", id="remove"),
            pytest.param("os.chmod(path, 0o777)", id="chmod"),
        ],
    )
    def test_has_objects_that_nobody_can_change(self, runtime, launch, tmp_path, change):
        """
        A channel's files are hard links to the bucket's objects, and root may do anything.
        """
        stored = tmp_path / "object"
        stored.write_text("as stored")
        before = stored.stat().st_mode
        ready = launch(
            f"import os; path = '/opt/ml/input/data/train/object'; {change}",
            read_only=("input/data",),
        )
        os.link(stored, ready.root / "input/data/train/object")

        assert run(runtime, ready).exit_code == 1
        assert "Read-only file system" in said(runtime)
        assert (stored.read_text(), stored.stat().st_mode) == ("as stored", before)

    def test_has_mounts_below_what_is_read_only(self, runtime, launch, tmp_path):
        """
        A bucket's folder beside channels that are links, read-only as well.
        """
        bucket = tmp_path / "bucket"
        bucket.mkdir()
        (bucket / "object").write_text("as stored")
        script = (
            "print(open('/opt/ml/input/data/large/object').read())\n"
            "open('/opt/ml/input/data/large/new', 'w')"
        )
        mount = Mount(bucket, "input/data/large")
        state = run(runtime, launch(script, mounts=(mount,), read_only=("input/data",)))

        assert state.exit_code == 1
        assert "as stored\n" in said(runtime)
        assert "Read-only file system" in said(runtime)

    def test_is_its_own_users(self, engine, base_image):
        """
        Whoever is in the group docker and not root finds files of his own, and a home to write to.
        """
        assert engine
        if os.getuid() != 0:
            pytest.skip("run by an ordinary user, every other test shows it")
        shared = Path(tempfile.mkdtemp(dir="/tmp"))  # tmp_path is root's alone
        os.chown(shared, NOBODY, NOBODY)
        script = (
            "import os; print(os.getuid()); open('/opt/ml/model/mine', 'w');"
            " open(os.environ['HOME'] + '/cache', 'w')"
        )
        try:
            done = subprocess.run(  # noqa: S603 - ourselves
                [sys.executable, "-c", AS_NOBODY, str(shared), base_image, script],
                capture_output=True,
                text=True,
                check=False,
                cwd=shared,
                timeout=WAIT_S,
            )
            owner = (shared / "ml" / "model" / "mine").stat().st_uid
        finally:
            shutil.rmtree(shared)

        assert done.stdout == f"0 {NOBODY}\n", done.stderr
        assert owner == NOBODY


class TestMachine:
    """What a container has of the machine."""

    def test_has_shared_memory_for_training(self, runtime, launch):
        """
        Workers that load data hand batches over in it; the engine's own default is 64 MiB.
        """
        run(
            runtime, launch("import os; s = os.statvfs('/dev/shm'); print(s.f_blocks * s.f_frsize)")
        )

        assert int(said(runtime)) > 2**30

    def test_has_no_variables_of_the_servers(self, runtime, launch):
        """
        Only the request's own, and what the image and Docker set.
        """
        run(runtime, launch("import os; print(*sorted(os.environ))", environment={"MINE": "1"}))

        names = set(said(runtime).split())
        assert "MINE" in names
        assert names <= {"HOME", "HOSTNAME", "LC_CTYPE", "MINE", "PATH"}

    def test_publishes_on_this_machine_alone(self, runtime, launch, engine, folder):
        """
        An endpoint's port is a free one of 127.0.0.1, whatever else listens there.
        """
        server = ("python3", "-m", "http.server", str(SERVING_PORT))
        for number in ("one", "two"):
            runtime.start(launch(id=number, role="serve", entrypoint=server, read_only=("model",)))

        def answers(number):
            try:
                host, port = runtime.address(number)
                with urllib.request.urlopen(f"http://{host}:{port}/", timeout=2) as answer:
                    return answer.status
            except OSError:
                return None

        assert [until(lambda n=n: answers(n)) for n in ("one", "two")] == [200, 200]
        (published,) = container_of(engine, folder, "one").ports.values()
        assert [binding["HostIp"] for binding in published] == ["127.0.0.1"]

    def test_is_shared_by_name_in_a_network(self, runtime, launch, engine, folder):
        """
        Hosts of one network resolve one another, those of another network nobody else's.
        """
        find = (
            "import socket, sys, time\n"
            "for _ in range(100):\n"
            "    try: print(socket.gethostbyname(sys.argv[1])); break\n"
            "    except OSError: time.sleep(.05)\n"
            "else: sys.exit(1)\n"
            "time.sleep(600)\n"
        )
        for number, other in [(1, 2), (2, 1)]:
            hostname, id_ = f"algo-{number}", f"host-{number}"
            runtime.start(launch(find, f"algo-{other}", id=id_, hostname=hostname, network="mine"))
        runtime.start(launch(find, "algo-2", id="stranger", network="theirs"))

        assert until(lambda: said(runtime, "host-1")) != until(lambda: said(runtime, "host-2"))
        assert runtime.wait("stranger", WAIT_S) == State(Status.EXITED, 1)
        runtime.remove("stranger")
        runtime.remove("host-1")
        assert [n.name for n in engine.networks.list(names=[containers.name(folder, "")])] == [
            containers.name(folder, "mine")
        ]
        runtime.remove("host-2")
        assert engine.networks.list(names=[containers.name(folder, "")]) == []


class TestOutput:
    """The output of a container is in its file, once and whole."""

    def test_has_both_streams_in_order(self, runtime, launch):
        """
        As they were written.
        """
        pause = "time.sleep(.1)"  # two pipes have an order only in time
        run(
            runtime, launch(f"import os, time; os.write(1, b'1\\n'); {pause}; os.write(2, b'2\\n')")
        )

        assert said(runtime) == "1\n2\n"

    def test_has_long_lines_whole(self, runtime, launch):
        """
        The engine cuts them every 16 KiB, and puts the other stream's lines in between.
        """
        run(
            runtime,
            launch(
                "import os, time\n"
                "os.write(1, b'a' * 20000); time.sleep(.2)\n"
                "os.write(2, b'between\\n'); time.sleep(.2)\n"
                "os.write(1, b'b' * 50000 + b'\\n')\n"
            ),
        )

        assert sorted(said(runtime).splitlines(), key=len) == ["between", "a" * 20000 + "b" * 50000]

    def test_has_what_no_newline_ends(self, runtime, launch):
        """
        The last word of a program that dies in the middle of a line.
        """
        run(runtime, launch("import os; os.write(1, b'progress\\rhalf \\0 a line')"))

        assert runtime.output("job").read_bytes() == b"progress\rhalf \0 a line"

    def test_is_complete_when_the_launch_has_ended(self, runtime, launch):
        """
        Whoever sees the end may read all of it.
        """
        run(runtime, launch("for i in range(100_000): print(i)"))

        assert said(runtime).split() == [str(i) for i in range(100_000)]

    def test_survives_whoever_is_killed(self, runtime, launch, folder, choose):
        """
        Readers that are killed in the middle leave no gap, no double and no torn line.
        """
        count = 6000
        script = (
            "import os, time\n"
            f"for i in range({count}):\n"
            "    os.write(1 + i % 2, b'%d ' % i * (40 + i % 90) + b'\\n')\n"
            "    time.sleep(.0005)\n"
        )
        runtime.start(launch(script))
        runtime.docker._followers["job"].release()  # noqa: SLF001 - this process reads no more
        for _ in range(4):
            before = runtime.output("job").stat().st_size
            reader = subprocess.Popen([sys.executable, "-c", FOLLOW, str(folder)])  # noqa: S603
            until(lambda before=before: runtime.output("job").stat().st_size > before)
            reader.send_signal(signal.SIGKILL)
            reader.wait()
        again = choose()

        assert again.wait("job", WAIT_S) == State(Status.EXITED, 0)
        lines = said(runtime).splitlines()
        assert sorted(int(line.split()[0]) for line in lines) == list(range(count))
        assert all(len(set(line.split())) == 1 for line in lines)
        assert all(len(line.split()) == 40 + int(line.split()[0]) % 90 for line in lines)


class TestRestart:
    """What a server finds that another left."""

    def test_finds_what_runs(self, runtime, launch, choose):
        """
        By the engine's names and labels; it waits for it, and reads its result.
        """
        runtime.start(launch("import time; time.sleep(1); raise SystemExit(5)"))

        again = choose("auto")

        assert again.poll("job") == State(Status.RUNNING)
        assert again.docker.running() == {"job": "train"}
        assert again.wait("job", WAIT_S) == State(Status.EXITED, 5)
        assert again.docker.running() == {}

    def test_takes_what_was_never_started_for_absent(self, runtime, launch, folder, engine, choose):
        """
        A server that died between making a container and starting it has launched nothing.
        """
        run(runtime, launch())
        former = container_of(engine, folder)
        made = engine.containers.create(former.image, ["true"], labels=former.labels)
        name = former.name
        former.remove()
        made.rename(name)
        note = folder / "job" / "container.json"
        note.write_text(note.read_text().replace(former.id, made.id))

        again = choose()

        assert until(lambda: (s := again.poll("job")).status is not Status.RUNNING and s) == State(
            Status.ABSENT
        )

    def test_removes_what_nobody_would_find(self, runtime, launch, folder, engine, choose):
        """
        A container whose folder has gone, and its network.
        """
        runtime.start(launch("import time; time.sleep(600)", network="mine"))
        shutil.rmtree(folder / "job")

        choose()

        assert left_behind(engine, folder) == []


class TestEngine:
    """Which engine there is."""

    def test_must_be_there_if_it_is_asked_for(self, folder, monkeypatch):
        """
        docker without an engine is an error that says how to have one; auto does without.
        """
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")

        with pytest.raises(KennelError, match="no Docker engine answers at unix:///nowhere"):
            choice.choose("docker", folder)
        assert choice.choose("auto", folder).engine == ""

    def test_must_be_this_machines(self, folder, monkeypatch):
        """
        Another machine's would mount its own folders.
        """
        monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")

        with pytest.raises(KennelError, match="another machine"):
            choice.choose("docker", folder)

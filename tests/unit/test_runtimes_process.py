"""The process runtime stands in for a Docker engine: detached, findable, killable, clean."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from kennel.errors import LocalServerError
from kennel.local.runtimes import shim
from kennel.local.runtimes.process import ProcessRuntime, command, running, stand_in_note
from kennel.local.runtimes.protocol import Launch, Mount, State, Status

WAIT_S = 20


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "processes"


@pytest.fixture
def runtime(folder):
    runtime = ProcessRuntime(folder)
    yield runtime
    for left in list(folder.iterdir()):
        runtime.remove(left.name)


@pytest.fixture
def launch(tmp_path):
    root = tmp_path / "ml"
    root.mkdir()

    def build(script, *arguments, **parts):
        entrypoint = (sys.executable, "-I", "-S", "-c", script)
        return Launch(
            **{"id": "job", "image": "any", "role": "train", "root": root, **parts},
            entrypoint=entrypoint,
            arguments=arguments,
        )

    return build


def run(runtime, launch):
    runtime.start(launch)
    return runtime.wait(launch.id, WAIT_S)


def until(fact):
    deadline = time.monotonic() + WAIT_S
    while not (found := fact()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def printed(runtime, text):
    return until(lambda: text in runtime.output("job").read_text())


@pytest.mark.parametrize(
    ("script", "code"),
    [
        pytest.param("pass", 0, id="success"),
        pytest.param("raise SystemExit(3)", 3, id="failure"),
        pytest.param("import os; os.kill(os.getpid(), 9)", 137, id="killed"),
    ],
)
def test_the_exit_code_is_dockers(runtime, launch, script, code):
    """
    An exit code is passed on, and a death by signal N is 128 + N.
    """
    assert run(runtime, launch(script)) == State(Status.EXITED, code)


def test_a_missing_program_is_127_and_named(runtime, launch):
    """
    What Docker answers for an entry point that is not there, and the log says which.
    """
    root = launch("").root
    state = run(runtime, Launch("job", "any", "train", root, entrypoint=("no-such-program",)))

    assert state == State(Status.EXITED, 127)
    assert runtime.output("job").read_text() == "no-such-program: no such program\n"


def test_both_streams_reach_the_output(runtime, launch):
    """
    Standard output and standard error end up in one file, in the order they were written.
    """
    run(runtime, launch("import os; os.write(1, b'one\\n'); os.write(2, b'two\\n')"))

    assert runtime.output("job").read_text() == "one\ntwo\n"


def test_the_environment_is_a_containers(folder, tmp_path, launch):
    """
    The user's AWS settings and the server's own variables stay out; the request's come in.
    """
    theirs = {**os.environ, "AWS_PROFILE": "mine", "AWS_ACCESS_KEY_ID": "AKIA", "SECRET": "x"}
    runtime = ProcessRuntime(folder, theirs)
    script = "import os; print(*(f'{k}={v}' for k, v in os.environ.items()), sep='\\n')"
    run(runtime, launch(script, environment={"MY_SETTING": "1"}))

    lines = dict(line.split("=", 1) for line in runtime.output("job").read_text().splitlines())
    runtime.remove("job")
    assert lines["MY_SETTING"] == "1"
    assert lines["SAGEMAKER_BASE_DIR"] == str(tmp_path / "ml")
    assert not {"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "SECRET"} & lines.keys()


def test_sigterm_reaches_the_main_process_alone(runtime, launch):
    """
    As ``docker stop`` does: a process that does not forward the signal hides it from its children.
    """
    runtime.start(
        launch(
            "import os, signal, sys, time\n"
            "child = os.fork()\n"
            "name = 'parent' if child else 'child'\n"
            "def end(*_): os.write(1, f'{name} heard\\n'.encode()); sys.exit(7)\n"
            "signal.signal(signal.SIGTERM, end)\n"
            "os.write(1, f'{name} ready\\n'.encode())\n"
            "time.sleep(60)\n"
        )
    )
    assert printed(runtime, "child ready")
    assert printed(runtime, "parent ready")

    runtime.terminate("job")

    assert runtime.wait("job", WAIT_S) == State(Status.EXITED, 7)
    output = runtime.output("job").read_text()
    assert "parent heard" in output
    assert "child heard" not in output


def test_nothing_is_left_when_the_main_process_ends(runtime, launch):
    """
    A child that went into a session of its own dies with the container all the same.
    """
    run(
        runtime,
        launch(
            "import os, time\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    os.write(1, f'{os.getpid()}\\n'.encode())\n"
            "    time.sleep(60)\n"
            "time.sleep(0.2)\n"
        ),
    )

    orphan = int(runtime.output("job").read_text())
    assert not alive(orphan)


def test_an_empty_environment_hides_nothing(runtime, launch):
    """
    Nor does a session of its own with a parent that ends: it descends from the launch.
    """
    run(
        runtime,
        launch(
            "import os\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    if child := os.fork():\n"
            "        os.write(1, f'{child}\\n'.encode())\n"
            "        os._exit(0)\n"
            "    os.execve('/bin/sleep', ['sleep', '60'], {})\n"
            "os.wait()\n"
        ),
    )

    hidden = int(runtime.output("job").read_text())
    assert not alive(hidden)


def test_a_launch_ends_when_its_state_is_deleted(runtime, folder, launch):
    """
    Nothing runs on that nobody could find again.
    """
    runtime.start(launch("import os, time; print(os.getpid(), flush=True); time.sleep(60)"))
    pid = int(until(lambda: runtime.output("job").read_text()))
    supervisor = int((folder / "job" / shim.PROCESS_FILE).read_text().split()[0])

    shutil.rmtree(folder / "job")

    until(lambda: not alive(pid) and not alive(supervisor))


def test_a_name_can_be_used_again_when_its_state_was_deleted(runtime, folder, launch):
    """
    Of the former launch neither processes nor files are in the way.
    """
    runtime.start(launch("import os, time; print(os.getpid(), flush=True); time.sleep(60)"))
    pid = int(until(lambda: runtime.output("job").read_text()))
    shutil.rmtree(folder / "job")

    assert run(runtime, launch("raise SystemExit(4)")) == State(Status.EXITED, 4)
    assert not alive(pid)


def test_what_runs_is_known_without_a_server(runtime, folder, launch):
    """
    The locks tell it.
    """
    runtime.start(launch("import time; time.sleep(60)"))
    run(runtime, launch("pass", id="done"))

    assert running(folder) == {"job": "train"}
    assert running(folder / "nowhere") == {}


def test_kill_ends_what_ignores_sigterm(runtime, launch):
    """
    SIGKILL takes every process, whatever it does with signals.
    """
    runtime.start(
        launch(
            "import signal, os, time\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "os.fork()\n"
            "os.write(1, f'ready {os.getpid()}\\n'.encode())\n"
            "time.sleep(60)\n"
        )
    )
    until(lambda: runtime.output("job").read_text().count("ready") == 2)
    pids = [int(line.split()[1]) for line in runtime.output("job").read_text().splitlines()]
    runtime.terminate("job")

    runtime.kill("job")

    assert runtime.poll("job") == State(Status.EXITED, 137)
    assert not any(alive(pid) for pid in pids)


def test_another_runtime_finds_the_launch_again(runtime, folder, launch):
    """
    A server that starts anew sees the running launch, waits for it and reads its result.
    """
    runtime.start(launch("import time; time.sleep(0.4); raise SystemExit(5)"))

    again = ProcessRuntime(folder)

    assert again.poll("job") == State(Status.RUNNING)
    assert again.wait("job", WAIT_S) == State(Status.EXITED, 5)


def test_a_launch_whose_supervisor_was_killed_is_lost(runtime, folder, launch):
    """
    Without an exit code nobody can say how it ended; kill still ends what runs on.
    """
    runtime.start(launch("import os, time; print(os.getpid(), flush=True); time.sleep(60)"))
    pid = int(until(lambda: runtime.output("job").read_text()))
    os.kill(int((folder / "job" / shim.PROCESS_FILE).read_text().split()[0]), signal.SIGKILL)

    until(lambda: runtime.poll("job").status is Status.LOST)
    assert alive(pid)
    runtime.kill("job")
    assert not alive(pid)


def test_what_was_never_started_is_absent(runtime):
    """
    Asking for an unknown launch is no error, nor is ending it.
    """
    runtime.terminate("nobody")
    runtime.kill("nobody")
    runtime.remove("nobody")

    assert runtime.poll("nobody") == State(Status.ABSENT)


def test_remove_leaves_nothing(runtime, folder, launch):
    """
    The launch, its output and its temporary folder are gone.
    """
    runtime.start(
        launch("import os, time; print(os.environ['TMPDIR'], flush=True); time.sleep(60)")
    )
    temporary = Path(until(lambda: runtime.output("job").read_text().strip()))
    assert temporary.is_dir()

    runtime.remove("job")

    assert not temporary.exists()
    assert list(folder.iterdir()) == []


def test_a_mount_is_seen_below_the_base_directory(runtime, launch, tmp_path):
    """
    A mounted folder is there under its target, and is not copied.
    """
    (tmp_path / "stored").mkdir()
    (tmp_path / "stored" / "a.txt").write_text("content")
    script = "print(open('input/data/train/a.txt').read())"
    mount = Mount(tmp_path / "stored", "input/data/train")

    run(runtime, launch(script, mounts=(mount,)))

    assert runtime.output("job").read_text() == "content\n"


def test_servers_get_ports_of_their_own(runtime, launch):
    """
    Two serving launches never share a port, and each is told its own, for this machine alone.
    """
    names = "'KENNEL_BIND_ADDRESS', 'SAGEMAKER_BIND_TO_PORT'"
    script = f"import os; print(*(os.environ[name] for name in ({names})), flush=True)"
    for name in ("one", "two"):
        run(runtime, launch(script, id=name, role="serve"))

    addresses = {name: runtime.address(name) for name in ("one", "two")}
    told = {name: runtime.output(name).read_text().split() for name in addresses}
    assert addresses == {name: ("127.0.0.1", int(port)) for name, (_, port) in told.items()}
    assert {address for address, _ in told.values()} == {"127.0.0.1"}
    assert told["one"] != told["two"]


def test_a_training_launch_has_no_address(runtime, launch):
    """
    Only a server has a port; asking a training job for one is a mistake that is named.
    """
    run(runtime, launch("pass"))

    with pytest.raises(LocalServerError, match="'job' has no port"):
        runtime.address("job")


def test_images_without_an_entrypoint_are_kennels_own(tmp_path):
    """
    The command is that of ``docker run IMAGE train`` and ``docker run IMAGE serve``.
    """
    train = Launch("a", "repo/train:1", "train", tmp_path, arguments=("train",))
    serve = Launch("b", "repo/serve:1", "serve", tmp_path, arguments=("serve",))

    assert command(train) == [sys.executable, "-m", "kennel.training", "train"]
    assert command(serve) == [sys.executable, "-m", "kennel.serving", "serve"]


@pytest.mark.parametrize(
    ("image", "told"),
    [
        pytest.param(
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.1", True, id="foreign"
        ),
        pytest.param(
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/kennel-train:1", False, id="own"
        ),
        pytest.param("kennel-serve", False, id="stand-in"),
    ],
)
def test_an_image_that_is_not_run_is_named(tmp_path, image, told):
    """
    Nobody takes kennel's own training for that of another image.
    """
    note = stand_in_note(Launch("a", image, "train", tmp_path, arguments=("train",)))

    assert (f"does not run the image {image};" in note) is told


@pytest.mark.parametrize(
    ("image", "told"),
    [pytest.param("nonsense:1", True, id="foreign"), pytest.param("kennel-train", False, id="own")],
)
def test_an_evaluator_that_is_not_run_is_named(tmp_path, image, told):
    """
    Nobody takes what kennel's rules find for what those of another image have found.
    """
    evaluator = Launch("a", image, "rules", tmp_path, entrypoint=("python", "-m", "x"))

    assert (f"does not run the image {image};" in stand_in_note(evaluator)) is told


def test_what_the_request_runs_gets_no_note(runtime, launch):
    """
    Its entry point is run as it says, whatever the image.
    """
    run(runtime, launch("pass", image="pytorch"))

    assert runtime.output("job").read_text() == ""


def test_an_image_that_is_an_executable_is_run_itself(tmp_path):
    """
    One's own server or trainer can stand for an image by its path.
    """
    program = tmp_path / "serve.sh"
    program.touch(mode=0o755)

    launch = Launch("a", str(program), "serve", tmp_path, arguments=("serve",))
    assert command(launch) == [str(program), "serve"]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False

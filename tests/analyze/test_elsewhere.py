"""What has another program do the work, which is not observed."""

import pytest

from roar.analyze.elsewhere import find_started_elsewhere
from roar.observe.trace import Process


def process(pid, ppid, *argv):
    return Process(pid=pid, ppid=ppid, argv=argv, executable=f"/usr/bin/{argv[0]}", cwd="/w", started_ns=0)


@pytest.mark.parametrize(("argv", "found"), [
    (["docker", "run", "image"], ("docker",)), (["docker", "-H", "host", "compose", "up"], ("docker",)),
    (["docker", "ps"], ()), (["docker", "--version"], ()), (["srun", "-n", "4", "python", "t.py"], ("srun",)),
    (["srun", "--version"], ()), (["python", "/v/bin/ray", "job", "submit"], ("ray",)),
    (["python", "docker.py", "run"], ()), (["sh", "/opt/docker", "run"], ("docker",)), (["ssh", "-V"], ()),
    (["ssh", "node1", "python"], ("ssh",)), (["kubectl", "get", "pods"], ()), (["cat", "a", "docker", "run"], ()),
    (["docker-compose", "-f", "a", "-f", "b", "--env-file", ".env", "up"], ("docker-compose",)),
    (["docker", "rm", "run"], ()), (["kubectl", "-n", "x", "--context", "c", "apply"], ("kubectl",)),
    (["bsub"], ("bsub",)), (["sbatch", "--gpus=1"], ("sbatch",)), (["ls", "ssh", "run"], ()),
    (["aws", "batch", "submit-job"], ("aws",)), (["aws", "s3", "cp", "a", "b"], ()), (["srun", "--help"], ())])
def test_what_is_started_elsewhere(argv, found):
    assert find_started_elsewhere([process(1, 0, "bash"), process(2, 1, *argv)]) == found


@pytest.mark.parametrize("carrier", ["git", "rsync", "scp", "git-remote-ext"])
def test_what_only_carries_files_starts_nothing(carrier):
    assert find_started_elsewhere([process(1, 0, carrier, "x"), process(2, 1, "ssh", "host", "serve")]) == ()

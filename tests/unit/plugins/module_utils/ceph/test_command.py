"""The ceph command line, and clear words for its failures."""

from __future__ import annotations

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.command import (
    CommandMissing,
    Connection,
    Denied,
    NoQuorum,
    Refused,
    as_text,
    failure,
)

# as real commands of Ceph 16.2.15 printed them
MISSPELT = (
    "Invalid command: pg_autoscaler_mode not in size|min_size|pg_num|pgp_num\n"
    "osd pool set <pool> size|min_size|pg_num|pgp_num <val> [--yes-i-really-mean-it] :  set pool parameter\n"
    "Error EINVAL: invalid command\n"
)
TOO_MANY = (
    "Error ERANGE: pool id 2 pg_num 256 size 3 would mean 771 total pgs, which exceeds max 750 "
    "(mon_max_pg_per_osd 250 * num_in_osds 3)\n"
)


def test_plain_ceph() -> None:
    assert Connection().argv(["osd", "dump"]) == [
        "timeout", "--kill-after=10", "120", "ceph", "--connect-timeout", "20", "osd", "dump",
    ]  # fmt: skip


def test_configuration_keyring_and_name() -> None:
    connection = Connection(conf="/c", keyring="/k", name="client.x", connect_timeout_seconds=5, timeout_seconds=9)
    assert connection.argv(["-s"])[2:] == [
        "9", "ceph", "--conf", "/c", "--keyring", "/k", "--name", "client.x", "--connect-timeout", "5", "-s",
    ]  # fmt: skip


@pytest.mark.parametrize("program", ["cephadm", "/usr/sbin/cephadm"])
def test_cephadm_mounts_the_files_itself(program: str) -> None:
    command = (program, "shell", "--fsid", "1234", "--", "ceph")
    assert Connection(command, conf="/c", keyring="/k", name="client.x").argv(["-s"])[3:] == [
        program, "shell", "--config", "/c", "--keyring", "/k", "--fsid", "1234", "--", "ceph",
        "--name", "client.x", "--connect-timeout", "20", "-s",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "errors", "kind", "message"),
    [
        (
            127,
            "timeout: failed to run command 'ceph': No such file or directory",
            CommandMissing,
            "could not be started",
        ),
        (124, "", NoQuorum, "gave no answer within 120 s"),
        (137, "", NoQuorum, "gave no answer within 120 s"),
        (1, "timed out\n", NoQuorum, "No monitor answered .* within 20 s"),
        (13, "[errno 13] RADOS permission denied (error connecting to the cluster)", Denied, "is not allowed"),
        (13, "Error EACCES: access denied\n", Denied, "access denied"),
        (
            1,
            "Error initializing cluster client: ObjectNotFound('RADOS object not found (conf_read_file)')",
            Denied,
            "found no configuration or key",
        ),
        (22, MISSPELT, Refused, r"failed \(22\): Invalid command: pg_autoscaler_mode"),
        (34, TOO_MANY, Refused, r"failed \(34\): Error ERANGE: pool id 2 pg_num 256 size 3 would mean 771 total pgs"),
        (2, "Error ENOENT: unrecognized pool 'x'\n", Refused, "unrecognized pool 'x'"),
        (5, "", Refused, r"failed \(5\)"),
    ],
)
def test_failures(code: int, errors: str, kind: type, message: str) -> None:
    error = failure(Connection(), ["osd", "pool", "set", "vms", "pg_num", "256"], code, errors)
    assert type(error) is kind
    with pytest.raises(kind, match=message):
        raise error
    assert error.details["rc"] == code
    assert "\n" not in str(error)
    assert kind is Refused or error.hint


def test_success_is_no_failure_whatever_is_said() -> None:
    assert failure(Connection(), ["-s"], 0, "Inferring fsid 1234\nset pool 2 pg_num to 128\n") is None


def test_a_key_is_never_told() -> None:
    error = failure(Connection(), ["auth", "get", "x"], 22, "Error EINVAL: key = AQBsecretsecret== is bad\n")
    assert error is not None
    assert "AQBsecret" not in str(error)
    assert "AQBsecret" not in str(error.details)


def test_a_command_is_told_as_it_is_typed() -> None:
    assert as_text(["osd", "pool", "set", "my pool", "pg_num", "64"]) == "ceph osd pool set 'my pool' pg_num 64"

"""The files of a W&B run, made up."""

import struct
import zlib

ONLINE = "wandb/run-20261122_231729-abc12345"
OFFLINE = "wandb/offline-run-20261122_231729-abc12345"


def field(number, value):
    value = value.encode() if isinstance(value, str) else value
    return bytes([*varint(number << 3 | 2), *varint(len(value))]) + value


def varint(number):
    out = []
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return [*out, number]


def chunk(payload, kind=1):
    checksum = zlib.crc32(bytes([kind]) + payload)
    return struct.pack("<IHB", checksum, len(payload), kind) + payload


def log(run_id="abc12345", project="demo", entity=None, name=None, group=None):
    run = field(1, run_id) + (field(2, entity) if entity else b"") + field(3, project)
    run += (field(6, group) if group else b"") + (field(8, name) if name else b"")
    return b":W&B\xe1\xbe\x00" + chunk(field(21, b"\x08\x01")) + chunk(field(17, run)) + chunk(field(2, b"metrics"))


def run_folder(world, folder=ONLINE, run_id="abc12345", **record):
    world.write(f"{folder}/run-{run_id}.wandb", log(run_id, **record))
    world.write(f"{folder}/files/config.yaml", b"lr: 1")
    world.write(f"{folder}/logs/debug.log", b"INFO run started, returning control to user process\n")

"""Reads TensorBoard event files and prints a line of JSON an event: python3 bench/events.py FILE...

It shares no code with what writes them. The form of records is that of TensorFlow's record_writer.h: the length as 8
bytes, the masked CRC32C of these, the data, the masked CRC32C of that, all little-endian. The fields are those of
tensorflow/core/util/event.proto and tensorflow/core/framework/{summary,tensor,tensor_shape}.proto. An error ends it
with status 1.
"""

import base64
import json
import struct
import sys


def crc32c(data):
    """The CRC of RFC 3720, bit by bit: polynomial 0x1EDC6F41, reflected."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283  # the check value of the CRC catalogue


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    at = 0
    while at < len(data):
        if len(data) - at < 12:
            raise ValueError(f"byte {at}: a record is cut off")
        (length,) = struct.unpack_from("<Q", data, at)
        if struct.unpack_from("<I", data, at + 8)[0] != masked(data[at : at + 8]):
            raise ValueError(f"byte {at}: the checksum of the length does not fit")
        event = data[at + 12 : at + 12 + length]
        if len(data) < at + 16 + length:
            raise ValueError(f"byte {at}: a record is cut off")
        if struct.unpack_from("<I", data, at + 12 + length)[0] != masked(event):
            raise ValueError(f"byte {at}: the checksum of the event does not fit")
        yield event
        at += 16 + length


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """The fields of a message: pairs of a number and a value, by the encoding of protocol buffers."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            (value,), at = struct.unpack_from("<d", data, at), at + 8
        elif kind == 5:
            (value,), at = struct.unpack_from("<f", data, at), at + 4
        elif kind == 2:
            length, at = varint(data, at)
            if at + length > len(data):
                raise ValueError("a field is longer than its message")
            value, at = data[at : at + length], at + length
        else:
            raise ValueError(f"a field is written in the way {kind}")
        yield key >> 3, value


def named(data, names):
    out = {}
    for number, value in fields(data):
        if number not in names:
            raise ValueError(f"an unknown field {number} beside {sorted(names.values())}")
        out.setdefault(names[number], []).append(value)
    return out


def one(message, name):
    return message[name][0]


def value(data):
    v = named(data, {1: "tag", 2: "simple_value", 4: "image", 8: "tensor", 9: "metadata"})
    out = {"tag": one(v, "tag").decode()}
    if "simple_value" in v:
        out["number"] = one(v, "simple_value")
    if "image" in v:
        image = named(one(v, "image"), {1: "height", 2: "width", 3: "colorspace", 4: "png"})
        out["image"] = {k: one(image, k) for k in ("height", "width", "colorspace")}
        out["image"]["png"] = base64.b64encode(one(image, "png")).decode()
    if "tensor" in v:
        tensor = named(one(v, "tensor"), {1: "dtype", 2: "shape", 8: "string_val"})
        if one(tensor, "dtype") != 7 or one(tensor, "shape") != b"":
            raise ValueError("a tensor that is no single text")
        plugin = named(one(named(one(v, "metadata"), {1: "plugin_data"}), "plugin_data"), {1: "plugin_name"})
        out["plugin"] = one(plugin, "plugin_name").decode()
        out["text"] = one(tensor, "string_val").decode()
    return out


def main(paths):
    for path in paths:
        with open(path, "rb") as f:
            data = f.read()
        for record in records(data):
            names = {1: "wall_time", 2: "step", 3: "file_version", 5: "summary", 7: "session_log"}
            e = named(record, names)
            out = {"time": one(e, "wall_time"), "step": one(e, "step")}
            if "file_version" in e:
                out["version"] = one(e, "file_version").decode()
            if "session_log" in e:
                out["session"] = one(named(one(e, "session_log"), {1: "status"}), "status")
            if "summary" in e:
                out["values"] = [value(v) for v in named(one(e, "summary"), {1: "value"})["value"]]
            print(json.dumps(out))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, KeyError, IndexError, struct.error) as e:
        sys.exit(f"no event file: {e}")

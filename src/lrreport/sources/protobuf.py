"""The wire format of protocol buffers: fields of a message by number, without its schema."""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
LONGEST_VARINT = 10  # bytes


def read_varint(data: bytes, start: int) -> tuple[int, int]:
    """Return a variable-length integer and the index after it; raises ValueError where it does not end."""
    value = 0
    for count in range(LONGEST_VARINT):
        if start + count >= len(data):
            break
        byte = data[start + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, start + count + 1
    raise ValueError("a number does not end")


def read_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field; raises ValueError for bytes that are no message."""
    index = 0
    while index < len(data):
        key, index = read_varint(data, index)
        number, wire_type = key >> 3, key & 7
        if wire_type == VARINT:
            value, index = read_varint(data, index)
            yield number, value
            continue
        if wire_type == BYTES:
            size, index = read_varint(data, index)
        elif wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
        else:
            raise ValueError(f"unknown wire type {wire_type}")
        if index + size > len(data):
            raise ValueError("a field is longer than its message")
        yield number, data[index : index + size]
        index += size


def read_text(value: int | bytes) -> str:
    """Return a field as text, "" for a number."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""

#!/usr/bin/env python3
"""Reads a kinlog store, written from docs/format.md alone; section numbers refer to it.

    kinlog_reader.py STORE            one JSON object per event: runs in order of run number,
                                      events in order of id
    kinlog_reader.py STORE --run ID   the events of one run
    kinlog_reader.py STORE --rows     one JSON object per row of a table, in order of table and key
    kinlog_reader.py STORE --report   one JSON object: the verdict on the log and its end
    kinlog_reader.py STORE --kin      one JSON object per relation of a run that was started here, in
                                      order of run number and event; then one per open duty, in order

Every check, link and sum in the store is verified first. On a mismatch the reader prints what is
wrong and where to standard error and exits with status 1; it never changes a file.
"""

import argparse
import base64
import bisect
import itertools
import json
import mmap
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import uuid
import zlib

try:
    import fcntl
except ImportError:  # Not a Unix: no writer can be asked for.
    fcntl = None

FORMAT_VERSIONS = (2, 3, 4, 5, 6, 7, 8)


class Corrupt(Exception):
    """The store is not as the format says."""

    def __init__(self, path, offset, what):
        super().__init__(f"{path} is corrupt at offset {offset}: {what}")


class Unsupported(Exception):
    """The store is of a version that this reader does not know."""


# --- 1. Conventions -----------------------------------------------------------------------------


def u16(data, offset):
    return struct.unpack_from("<H", data, offset)[0]


def u32(data, offset):
    return struct.unpack_from("<I", data, offset)[0]


def i32(data, offset):
    return struct.unpack_from("<i", data, offset)[0]


def u64(data, offset):
    return struct.unpack_from("<Q", data, offset)[0]


def i64(data, offset):
    return struct.unpack_from("<q", data, offset)[0]


def padded(length):
    """The next multiple of four."""
    return (length + 3) & ~3


def is_zero(data):
    return not any(data)


def run_id(data):
    return str(uuid.UUID(bytes=bytes(data)))


# --- 4. Manifest, 5. Segments -------------------------------------------------------------------

PAGE = 4096
PAGE_FIELDS = 72


def check_page(page, magic, path, fields=PAGE_FIELDS):
    """The checks that manifest slots and segment headers share."""
    if page[:8] != magic:
        raise Corrupt(path, 0, "the magic number is wrong")
    if zlib.crc32(page[: fields - 4]) != u32(page, fields - 4):
        raise Corrupt(path, 0, "the page does not match its check")
    if not is_zero(page[fields:]):
        raise Corrupt(path, fields, "the rest of the page is not zero")
    # After the check: damage is not another format.
    if u32(page, 8) not in FORMAT_VERSIONS:
        raise Unsupported(f"{path}: format version {u32(page, 8)}, this reader knows {FORMAT_VERSIONS}")
    if u64(page, 16) != layout_fingerprint():
        raise Unsupported(
            f"{path}: layout fingerprint {u64(page, 16):#x}, this reader knows {layout_fingerprint():#x}"
        )


def is_segment_size(length):
    return length in range(64 << 10, (1 << 30) + 1, PAGE)


class Manifest:
    def __init__(self, slot, path):
        check_page(slot, b"KINLOGMF", path)
        self.closed = u32(slot, 12) == 1
        self.store = slot[24:40]
        self.segment_bytes = u32(slot, 40)
        self.epoch = u32(slot, 44)
        self.generation = u64(slot, 48)
        self.durable_upto = u64(slot, 56)
        self.path = path
        if not is_segment_size(self.segment_bytes):
            raise Corrupt(path, 40, f"segments of {self.segment_bytes} bytes")

    def stale(self):
        return Corrupt(self.path, 44, "the manifest is older than the log")


def read_manifest(store):
    path = os.path.join(store, "MANIFEST")
    try:
        with open(path, "rb") as file:
            slots = file.read(2 * PAGE + 1)
    except FileNotFoundError:
        raise Unsupported(f"there is no kinlog store in {store}") from None
    if len(slots) != 2 * PAGE:
        raise Corrupt(path, min(len(slots), 2 * PAGE), "the manifest has another length")
    whole, faults = [], []
    for place in (0, PAGE):
        try:
            slot = Manifest(slots[place : place + PAGE], path)
            if place != slot.generation % 2 * PAGE:
                raise Corrupt(path, place + 48, "the slot is in the other one's place")
            whole.append(slot)
        except (Corrupt, Unsupported) as fault:
            faults.append(fault)
    if not whole:
        # Another format says more than an empty slot does.
        raise next((fault for fault in faults if isinstance(fault, Unsupported)), faults[0])
    first, last = whole[0], max(whole, key=lambda slot: slot.generation)
    if (first.store, first.segment_bytes) != (whole[-1].store, whole[-1].segment_bytes):
        raise Corrupt(path, PAGE + 24, "the slots are of two stores")
    # A store that was made and never opened again has written one slot.
    blank = last.generation == 1 and is_zero(slots[:PAGE])
    last.damaged = len(whole) < 2 and not blank
    return last


class Segment:
    """A segment whose header was checked, mapped for reading."""

    def __init__(self, path, number, manifest):
        self.path, self.number = path, number
        with open(path, "rb") as file:
            length = os.fstat(file.fileno()).st_size
            if length < PAGE:
                raise Corrupt(path, length, f"{length} bytes long, which is no header")
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        page = self.data[:PAGE]
        self.compacted = page[:8] == b"KINLOGCS"
        if self.compacted:
            check_page(page, b"KINLOGCS", path, compacted_fields(page))
            if u32(page, 8) < 5:
                raise Corrupt(path, 8, f"no segment of version {u32(page, 8)} can be compacted")
        else:
            check_page(page, b"KINLOGSG", path)
        if page[24:40] != manifest.store:
            raise Corrupt(path, 24, "the segment belongs to another store")
        if u32(page, 12) != number:
            raise Corrupt(path, 12, f"the segment has the number {u32(page, 12)}")
        if u32(page, 40) != manifest.segment_bytes:
            raise Corrupt(path, 40, "the segment has another size than the manifest says")
        self.length = u32(page, 64) if u32(page, 8) >= 3 else manifest.segment_bytes
        if not is_segment_size(self.length) or self.length > manifest.segment_bytes:
            raise Corrupt(path, 64, f"the segment says that it is {self.length} bytes long")
        expected = compacted_length(page) if self.compacted else self.length
        if expected > COMPACTED_RATIO_MAX * self.length:
            raise Corrupt(path, 68, f"a compacted segment of {expected} bytes")
        if length != expected:
            found = f"{length} bytes long instead of {expected}"
            raise Corrupt(path, min(length, expected), found)
        self.epoch = u32(page, 44)
        self.salt = page[48:64]
        self.base = number * manifest.segment_bytes
        if self.epoch > manifest.epoch:
            raise manifest.stale()
        self.as_of, self.pieces = 0, None
        if self.compacted:
            self.as_of = u64(page, 80)
            self.pieces = read_pieces(page, self.data, self.length, path)
            self.data = unpacked(page, self.data, path)
            self.data = as_it_was(self.data, self.length, self.pieces)

    def left(self, start, stop):
        """The ranges in [start, stop) of which the bytes are there."""
        if self.pieces is None:
            return [(start, stop)]
        ranges = []
        first = max(0, bisect.bisect_right(self.pieces, (start, 1 << 32)) - 1)
        for at, length, _ in self.pieces[first:]:
            if at >= stop:
                break
            begin, end = max(at, start), min(at + length, stop)
            if begin < end and ranges and ranges[-1][1] == begin:
                ranges[-1] = ranges[-1][0], end
            elif begin < end:
                ranges.append((begin, end))
        return ranges


def open_segments(store, manifest):
    log = os.path.join(store, "log")
    names = [re.fullmatch(r"([0-9]{8}|[1-9][0-9]{8,})\.seg", name) for name in os.listdir(log)]
    numbers = sorted((int(name[1]), name[0]) for name in names if name)
    for expected, (number, name) in enumerate(numbers):
        if number != expected:
            raise Corrupt(os.path.join(log, f"{expected:08}.seg"), 0, "the segment is missing")
    if not numbers:
        raise Corrupt(os.path.join(log, "00000000.seg"), 0, "the segment is missing")
    return [Segment(os.path.join(log, name), number, manifest) for number, name in numbers]


# --- 24. Compacted segments ---------------------------------------------------------------------

COMPACTED_FIELDS = 164
COMPACTED_FIELDS_BEFORE_7 = 148
HOLE_BYTES_MIN = 8
PIECE_BYTES = 12
BLOCK_BYTES = 16
COMPACTED_RATIO_MAX = 4


def compacted_fields(page):
    return COMPACTED_FIELDS if u32(page, 8) >= 7 else COMPACTED_FIELDS_BEFORE_7


def packing(page):
    """plain_bytes, blocks, packed_bytes and blocks_check; None if nothing is packed."""
    if u32(page, 8) < 7 or u32(page, 148) == 0:
        return None
    return struct.unpack_from("<IIII", page, 144)


def compacted_length(page):
    table = PIECE_BYTES * u32(page, 68)
    if packing(page) is None:
        return PAGE + u32(page, 72) + table
    plain, blocks, packed, _ = packing(page)
    return PAGE + plain + packed + table + BLOCK_BYTES * blocks


def unpacked(page, data, path):
    """The file of a compacted segment as it would be if nothing were packed."""
    if packing(page) is None:
        return data
    plain, blocks, packed, blocks_check = packing(page)
    place, pieces = PAGE + plain, PAGE + plain + packed
    table = pieces + PIECE_BYTES * u32(page, 68)
    if zlib.crc32(data[table:]) != blocks_check:
        raise Corrupt(path, table, "the table of blocks does not match its check")
    lengths = list(struct.iter_unpack("<IIII", data[table:]))
    if sum(it[0] for it in lengths) != u32(page, 72) - plain or sum(it[1] for it in lengths) != packed:
        raise Corrupt(path, table, "the blocks are not all that is packed")
    starts = list(itertools.accumulate((it[0] for it in lengths), initial=place))
    for _, size, at in struct.iter_unpack("<III", data[pieces:table]):
        number = bisect.bisect_right(starts, at)
        if at + size > starts[number]:
            raise Corrupt(path, table, "a piece is not in one block")
    whole = [data[:place]]
    for length, size, check, packed_check in lengths:
        block = data[place : place + size]
        if zlib.crc32(block) != packed_check:
            raise Corrupt(path, place, "a block does not match its check")
        block = decompress(block, length, path, place)
        if len(block) != length or zlib.crc32(block) != check:
            raise Corrupt(path, place, "what a block holds does not match its check")
        whole.append(block)
        place += size
    whole.append(data[pieces:table])
    return b"".join(whole)


def decompress(block, length, path, place):
    """What a frame of zstd holds, by whatever is here that knows how."""
    damaged = Corrupt(path, place, "a block is no frame of zstd")
    # One byte more than it may hold, as it may hold more than fits into memory.
    most = length + 1
    try:
        from compression import zstd  # Python 3.14

        try:
            frame = zstd.ZstdDecompressor()
            held = frame.decompress(block, max_length=most)
        except zstd.ZstdError:
            raise damaged from None
        if frame.unused_data:
            raise damaged
        return held
    except ImportError:
        pass
    try:
        import zstandard

        try:
            with zstandard.ZstdDecompressor().stream_reader(block) as frame:
                return frame.read(most)
        except zstandard.ZstdError:
            raise damaged from None
    except ImportError:
        pass
    if shutil.which("zstd") is None:
        raise Unsupported(f"{path} is packed: install the Python package zstandard, or the program zstd")
    with tempfile.TemporaryFile() as file:
        file.write(block)
        file.seek(0)
        with subprocess.Popen(["zstd", "-dcq"], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as done:
            held = done.stdout.read(most)
            if len(held) == most:
                done.kill()
    if done.returncode > 0:
        raise damaged
    return held


def read_pieces(page, data, length, path):
    """The table of a compacted segment."""
    start = PAGE + u32(page, 72)
    found = start if packing(page) is None else PAGE + packing(page)[0] + packing(page)[2]
    table = data[found : found + PIECE_BYTES * u32(page, 68)]
    if zlib.crc32(table) != u32(page, 76):
        raise Corrupt(path, found, "the table of pieces does not match its check")
    pieces, end, total = list(struct.iter_unpack("<III", table)), PAGE, 0
    for at, size, place in pieces:
        if at % 4 or size % 4 or place % 4 or size == 0:
            raise Corrupt(path, found, "a piece is no multiple of four bytes")
        if at < end or at + size > length or place < PAGE or place + size > start:
            raise Corrupt(path, found, "a piece is where none can be")
        end, total = at + size, total + size
    if total != start - PAGE:
        raise Corrupt(path, found, "the pieces are not all of the data")
    return pieces


def as_it_was(data, length, pieces):
    """The segment with what is left where it was, and zeros for what is missing."""
    segment = bytearray(length)
    for at, size, place in pieces:
        segment[at : at + size] = data[place : place + size]
    return bytes(segment)


# --- 6. Frames ----------------------------------------------------------------------------------

FRAME_HEADER, FRAME_TRAILER = 20, 4
COMMIT, SEAL = 1, 2
SEAL_BYTES = FRAME_HEADER + FRAME_TRAILER


class Fault(Exception):
    """Why bytes are not a frame. `unwritten`: a check is 0, which proves an unfinished write."""

    def __init__(self, what, unwritten=False):
        super().__init__(what)
        self.unwritten = unwritten


class Frame:
    def __init__(self, segment, offset):
        data = segment.data
        if offset + FRAME_HEADER > len(data):
            raise Fault("a frame reaches beyond its segment")
        self.position = segment.base + offset
        check = u32(data, offset)
        if check == 0:
            raise Fault("a frame is missing", unwritten=True)
        bound = segment.salt + struct.pack("<Q", self.position) + data[offset + 4 : offset + 20]
        if check != max(1, zlib.crc32(bound)):
            raise Fault("a frame's header does not match its check")
        length = u32(data, offset + 4)
        self.epoch = u32(data, offset + 8)
        self.durable_upto = self.position - 4 * u32(data, offset + 12)
        self.kind, zero = data[offset + 16], data[offset + 17]
        self.batches = u16(data, offset + 18)
        if self.kind not in (COMMIT, SEAL) or zero or length % 4 or self.durable_upto < 0:
            raise Fault("a frame's header makes no sense")
        if self.kind == SEAL and (length, self.batches) != (0, 0):
            raise Fault("a seal holds something")
        self.payload_offset = offset + FRAME_HEADER
        payload_end = self.payload_offset + length
        self.end_offset = payload_end + FRAME_TRAILER
        room = 0 if self.kind == SEAL else SEAL_BYTES
        if self.end_offset + room > len(data):
            raise Fault("a frame leaves no room for the seal of its segment")
        self.payload = data[self.payload_offset : payload_end]
        trailer = u32(data, payload_end)
        if trailer == 0:
            raise Fault("the end of a frame is missing", unwritten=True)
        left = segment.left(self.payload_offset, payload_end)
        for start, stop in left:
            check = zlib.crc32(data[start:stop], check)
        if trailer != max(1, check):
            raise Fault("a frame's payload does not match its check")
        # Where bytes of the payload are missing: by where that begins, where it ends.
        self.holes, at = {}, self.payload_offset
        for start, stop in left + [(payload_end, payload_end)]:
            if start > at and start - at < HOLE_BYTES_MIN:
                raise Fault("a hole is too small")
            if start > at:
                self.holes[at - self.payload_offset] = start - self.payload_offset
            at = stop

    def behind_hole(self, at):
        return self.holes.get(at, at)


# --- 7. Batches ---------------------------------------------------------------------------------

BATCH_HEADER = 20


class Malformed(Exception):
    """Content that makes no sense."""


class Batch:
    def __init__(self, data, offset, position):
        if offset + BATCH_HEADER > len(data):
            raise Malformed("a batch is cut short")
        self.position = position
        self.run = u32(data, offset)
        self.first_event = u32(data, offset + 4)
        link = u64(data, offset + 8)
        self.previous = link & ((1 << 48) - 1)
        self.count = link >> 48
        self.run_bytes = u32(data, offset + 16)
        self.next_event = self.first_event + self.count
        if self.count == 0 or self.first_event == 0 or self.next_event >= 1 << 32:
            raise Malformed("a batch counts its events wrongly")
        if (self.first_event == 1) != (self.previous == 0) or self.previous >= position:
            raise Malformed("a batch is linked wrongly")
        self.events = []
        at = offset + BATCH_HEADER
        for event_id in range(self.first_event, self.next_event):
            event = Event(data, at, event_id)
            self.events.append(event)
            at += event.size
        self.size = at - offset


# --- 8. Events ----------------------------------------------------------------------------------

EVENT_HEADER = 16
EVENT_BYTES_MAX = 16 << 20
LONG_HEAD = 255


class Event:
    def __init__(self, data, offset, event_id):
        self.id = event_id
        if offset + EVENT_HEADER > len(data):
            raise Malformed("an event is cut short")
        self.kind = u16(data, offset)
        self.version = data[offset + 2]
        words = data[offset + 3]
        length = u32(data, offset + 4)
        self.time = i64(data, offset + 8)
        self.size = EVENT_HEADER + padded(length)
        if self.size > EVENT_BYTES_MAX or offset + self.size > len(data):
            raise Malformed("an event is too long")
        if self.kind == 0 or (self.version == 0 and words != 0):
            raise Malformed("an event has no kind, or a head of no version")
        head, end = offset + EVENT_HEADER, offset + EVENT_HEADER + length
        if not is_zero(data[end : offset + self.size]):
            raise Malformed("the padding of an event is not zero")
        if words == LONG_HEAD:
            if length < 4:
                raise Malformed("the head of an event is cut short")
            words = u32(data, head)
            head += 4
        payload = head + 4 * words
        if payload > end:
            raise Malformed("the head of an event is longer than the event")
        self.payload = data[payload:end]
        self.body = read_record(self.kind, self.version, data[head:payload])


# --- 9. Heads -----------------------------------------------------------------------------------


class Head:
    """A head, and the part of it that the next field may point to."""

    def __init__(self, data, record):
        self.data, self.begin, self.end = data, 0, record

    def pointed(self, field, offset, length):
        """What a field points to: behind what the one before points to, and before the record."""
        start = field + offset
        if start < self.begin or start + length > self.end:
            raise Malformed("a field points to where it must not")
        self.begin = start + length
        return self.data[start : start + length]


def read_u8(head, at):
    return head.data[at]


def read_u32(head, at):
    return u32(head.data, at)


def read_run(head, at):
    return run_id(head.data[at : at + 16])


def read_bytes(head, at):
    return head.pointed(at, i32(head.data, at), u32(head.data, at + 4))


def read_optional_run(head, at):
    found = read_bytes(head, at)
    return run_id(found) if len(found) == 16 else None


def read_text(head, at):
    data = head.data
    if data[at] & 0xC0 == 0x80:
        word = u32(data, at)
        length = (word & 0x3F) | ((word >> 8) << 6)
        if length <= 8:
            raise Malformed("a long text is short")
        text = head.pointed(at, i32(data, at + 4), length)
    else:
        text = data[at : at + 8].split(b"\xff", 1)[0]
    try:
        return bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("a text is not UTF-8") from None


def read_event_ids(head, at):
    """Bytes that hold ids of four bytes each; what is left over means nothing."""
    found = read_bytes(head, at)
    return [u32(found, place) for place in range(0, len(found) & ~3, 4)]


def enumeration(*names):
    """A number from 0 on, shown by name."""

    def read(head, at):
        number = head.data[at]
        return names[number] if number < len(names) else f"Unknown({number})"

    return FieldType(1, 1, read)


class FieldType:
    def __init__(self, size, align, read):
        self.size, self.align, self.read = size, align, read


FLAG = FieldType(1, 1, lambda *at: read_u8(*at) != 0)
U32 = FieldType(4, 4, read_u32)
RUN = FieldType(16, 1, read_run)
OPTIONAL_RUN = FieldType(8, 4, read_optional_run)
TEXT = FieldType(8, 4, read_text)
EVENT_IDS = FieldType(8, 4, read_event_ids)


class Record:
    """A record's fields, each at the next multiple of its alignment, as in C."""

    ALIGN = 4

    def __init__(self, **fields):
        self.fields, offset = [], 0
        for name, kind in fields.items():
            offset = -(-offset // kind.align) * kind.align
            self.fields.append((name, offset, kind))
            offset += kind.size
        self.size = padded(offset)

    def read(self, head):
        root = len(head) - self.size
        if root < 0:
            raise Malformed("a head is shorter than its record")
        head = Head(head, root)
        return {name: kind.read(head, root + offset) for name, offset, kind in self.fields}


# --- 10. Kinds and records ----------------------------------------------------------------------

INITIATOR = enumeration("Unspecified", "Workflow", "Retry", "CronSchedule")
RETRY_STATE = enumeration(
    "Unspecified",
    "InProgress",
    "NonRetryableFailure",
    "Timeout",
    "MaximumAttemptsReached",
    "RetryPolicyNotSet",
    "InternalServerError",
    "CancelRequested",
)
START_CHILD_FAILED_CAUSE = enumeration("Unspecified", "WorkflowAlreadyExists", "NamespaceNotFound")
EXTERNAL_FAILED_CAUSE = enumeration(
    "Unspecified", "ExternalWorkflowExecutionNotFound", "NamespaceNotFound", "SignalCountLimitExceeded"
)
CLOSE_POLICY = enumeration("Unspecified", "Terminate", "Abandon", "RequestCancel")
REUSE_POLICY = enumeration(
    "Unspecified",
    "AllowDuplicate",
    "AllowDuplicateFailedOnly",
    "RejectDuplicate",
    "TerminateIfRunning",
)
CONFLICT_POLICY = enumeration("Unspecified", "Fail", "UseExisting", "TerminateExisting")

STARTED = Record(
    run_id=RUN,
    first_run_id=RUN,
    continued_run_id=OPTIONAL_RUN,
    namespace=TEXT,
    workflow_id=TEXT,
    workflow_type=TEXT,
    task_queue=TEXT,
    request_id=TEXT,
    parent_workflow_id=TEXT,
    parent_run_id=OPTIONAL_RUN,
    root_workflow_id=TEXT,
    root_run_id=OPTIONAL_RUN,
    parent_initiated_event_id=U32,
    attempt=U32,
    initiator=INITIATOR,
    imported=FLAG,
)
CLOSED = Record(new_run_id=OPTIONAL_RUN, workflow_task_completed_event_id=U32, retry_state=RETRY_STATE)
CANCELED = Record(workflow_task_completed_event_id=U32)
TERMINATED = Record(reason=TEXT, reset_run_id=OPTIONAL_RUN)
RESET = Record(
    run_id=RUN, base_run_id=RUN, reason=TEXT, request_id=TEXT, open_activities=EVENT_IDS
)
CONTINUED_AS_NEW = Record(
    new_run_id=OPTIONAL_RUN, workflow_task_completed_event_id=U32, initiator=INITIATOR
)
CANCEL_REQUESTED = Record(
    external_workflow_id=TEXT, external_run_id=OPTIONAL_RUN, external_initiated_event_id=U32
)
SIGNALED = Record(
    signal_name=TEXT,
    request_id=TEXT,
    external_run_id=OPTIONAL_RUN,
    external_initiated_event_id=U32,
)
EXTERNAL_INITIATED = Record(
    workflow_id=TEXT,
    run_id=OPTIONAL_RUN,
    signal_name=TEXT,
    workflow_task_completed_event_id=U32,
    child_workflow_only=FLAG,
)
EXTERNAL_RESOLVED = Record(initiated_event_id=U32, cause=EXTERNAL_FAILED_CAUSE)
CHILD_INITIATED = Record(
    workflow_id=TEXT,
    workflow_type=TEXT,
    task_queue=TEXT,
    workflow_task_completed_event_id=U32,
    close_policy=CLOSE_POLICY,
    reuse_policy=REUSE_POLICY,
    conflict_policy=CONFLICT_POLICY,
)
CHILD_START_FAILED = Record(initiated_event_id=U32, cause=START_CHILD_FAILED_CAUSE)
CHILD_STARTED = Record(run_id=RUN, initiated_event_id=U32)
CHILD_CLOSED = Record(run_id=RUN, initiated_event_id=U32, started_event_id=U32, retry_state=RETRY_STATE)
WORKFLOW_TASK = Record(scheduled_event_id=U32, started_event_id=U32)
ACTIVITY_SCHEDULED = Record(
    activity_id=TEXT, activity_type=TEXT, workflow_task_completed_event_id=U32
)
ACTIVITY_TASK = Record(scheduled_event_id=U32, started_event_id=U32)
TIMER_STARTED = Record(timer_id=TEXT, workflow_task_completed_event_id=U32)
TIMER_ENDED = Record(timer_id=TEXT, started_event_id=U32)

RECORDS = [
    STARTED,
    CLOSED,
    CANCELED,
    TERMINATED,
    RESET,
    CONTINUED_AS_NEW,
    CANCEL_REQUESTED,
    SIGNALED,
    EXTERNAL_INITIATED,
    EXTERNAL_RESOLVED,
    CHILD_INITIATED,
    CHILD_START_FAILED,
    CHILD_STARTED,
    CHILD_CLOSED,
    WORKFLOW_TASK,
    ACTIVITY_SCHEDULED,
    ACTIVITY_TASK,
    TIMER_STARTED,
    TIMER_ENDED,
]

# Number: name, and the record of version 1 if there is one.
KINDS = {
    1: ("WorkflowExecutionStarted", STARTED),
    2: ("WorkflowExecutionCompleted", CLOSED),
    3: ("WorkflowExecutionFailed", CLOSED),
    4: ("WorkflowExecutionTimedOut", CLOSED),
    5: ("WorkflowTaskScheduled", None),
    6: ("WorkflowTaskStarted", WORKFLOW_TASK),
    7: ("WorkflowTaskCompleted", WORKFLOW_TASK),
    8: ("WorkflowTaskTimedOut", WORKFLOW_TASK),
    9: ("WorkflowTaskFailed", WORKFLOW_TASK),
    10: ("ActivityTaskScheduled", ACTIVITY_SCHEDULED),
    11: ("ActivityTaskStarted", ACTIVITY_TASK),
    12: ("ActivityTaskCompleted", ACTIVITY_TASK),
    13: ("ActivityTaskFailed", ACTIVITY_TASK),
    14: ("ActivityTaskTimedOut", ACTIVITY_TASK),
    15: ("ActivityTaskCancelRequested", ACTIVITY_TASK),
    16: ("ActivityTaskCanceled", ACTIVITY_TASK),
    17: ("TimerStarted", TIMER_STARTED),
    18: ("TimerFired", TIMER_ENDED),
    19: ("TimerCanceled", TIMER_ENDED),
    20: ("WorkflowExecutionCancelRequested", CANCEL_REQUESTED),
    21: ("WorkflowExecutionCanceled", CANCELED),
    22: ("RequestCancelExternalWorkflowExecutionInitiated", EXTERNAL_INITIATED),
    23: ("RequestCancelExternalWorkflowExecutionFailed", EXTERNAL_RESOLVED),
    24: ("ExternalWorkflowExecutionCancelRequested", EXTERNAL_RESOLVED),
    25: ("MarkerRecorded", None),
    26: ("WorkflowExecutionSignaled", SIGNALED),
    27: ("WorkflowExecutionTerminated", TERMINATED),
    28: ("WorkflowExecutionContinuedAsNew", CONTINUED_AS_NEW),
    29: ("StartChildWorkflowExecutionInitiated", CHILD_INITIATED),
    30: ("StartChildWorkflowExecutionFailed", CHILD_START_FAILED),
    31: ("ChildWorkflowExecutionStarted", CHILD_STARTED),
    32: ("ChildWorkflowExecutionCompleted", CHILD_CLOSED),
    33: ("ChildWorkflowExecutionFailed", CHILD_CLOSED),
    34: ("ChildWorkflowExecutionCanceled", CHILD_CLOSED),
    35: ("ChildWorkflowExecutionTimedOut", CHILD_CLOSED),
    36: ("ChildWorkflowExecutionTerminated", CHILD_CLOSED),
    37: ("SignalExternalWorkflowExecutionInitiated", EXTERNAL_INITIATED),
    38: ("SignalExternalWorkflowExecutionFailed", EXTERNAL_RESOLVED),
    39: ("ExternalWorkflowExecutionSignaled", EXTERNAL_RESOLVED),
    40: ("UpsertWorkflowSearchAttributes", None),
    41: ("WorkflowExecutionUpdateAccepted", None),
    42: ("WorkflowExecutionUpdateRejected", None),
    43: ("WorkflowExecutionUpdateCompleted", None),
    44: ("WorkflowPropertiesModifiedExternally", None),
    45: ("ActivityPropertiesModifiedExternally", None),
    46: ("WorkflowPropertiesModified", None),
    47: ("WorkflowExecutionUpdateAdmitted", None),
    48: ("NexusOperationScheduled", None),
    49: ("NexusOperationStarted", None),
    50: ("NexusOperationCompleted", None),
    51: ("NexusOperationFailed", None),
    52: ("NexusOperationCanceled", None),
    53: ("NexusOperationTimedOut", None),
    54: ("NexusOperationCancelRequested", None),
    55: ("WorkflowExecutionOptionsUpdated", None),
    56: ("NexusOperationCancelRequestCompleted", None),
    57: ("NexusOperationCancelRequestFailed", None),
    58: ("WorkflowExecutionPaused", None),
    59: ("WorkflowExecutionUnpaused", None),
    60: ("WorkflowExecutionTimeSkippingTransitioned", None),
}

# The records of version 2.
KINDS_2 = {9: RESET}

START = 1
RESET_KIND = (9, 2)
CLOSING = {2, 3, 4, 21, 27, 28}


def kind_name(kind):
    return KINDS[kind][0] if kind in KINDS else f"Kind{kind}"


def read_record(kind, version, head):
    """The fields of the record; none for a kind or a version without one that is known."""
    record = None
    if version == 1 and kind in KINDS:
        record = KINDS[kind][1]
    elif version == 2:
        record = KINDS_2.get(kind)
    return record.read(head) if record else {}


# --- 11. Rows -----------------------------------------------------------------------------------

ROW_HEADER = 8
NAMESPACES = "kinlog.namespaces"
DELETED = "kinlog.deleted"
KEYS = "kinlog.keys"
ERASED = "kinlog.erased"
ERASED_SIZES = "kinlog.erased_sizes"
# What is kept of a run that is deleted.
NOTHING, OUTCOME = 0, 1
NAMESPACE_BYTES_MAX = 255
LIMITS_BYTES, SETTINGS_BYTES = 48, 72
KEY_BYTES_MAX, VALUE_BYTES_MAX = 4096, 16 << 20


def check_namespace_bytes(name):
    if not 0 < len(name) <= NAMESPACE_BYTES_MAX:
        raise Malformed("a namespace cannot have this name")


class Row:
    def __init__(self, data, offset):
        if offset + ROW_HEADER > len(data):
            raise Malformed("a row is cut short")
        table_length, operation = data[offset], data[offset + 1]
        key = offset + ROW_HEADER + table_length
        value = key + u16(data, offset + 2)
        end = value + u32(data, offset + 4)
        if value - key > KEY_BYTES_MAX or end - value > VALUE_BYTES_MAX:
            raise Malformed("a key or a value is too long")
        self.size = padded(end - offset)
        if offset + self.size > len(data) or not is_zero(data[end : offset + self.size]):
            raise Malformed("a row is cut short or its padding is not zero")
        if operation not in (1, 2) or (operation == 2 and end > value) or table_length == 0:
            raise Malformed("a row's header makes no sense")
        try:
            self.table = data[offset + ROW_HEADER : key].decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("a table's name is not UTF-8") from None
        self.key = data[key:value]
        self.value = data[value:end] if operation == 1 else None
        if self.table == NAMESPACES:
            self.check_namespace()
        if self.table == DELETED and (len(self.key) != 16 or self.value not in (b"\0", b"\1")):
            raise Malformed("a deletion names no run or not what is kept")
        if self.table == ERASED:
            self.check_erasure()
        if self.table == ERASED_SIZES:
            if len(self.key) != 16 or len(self.value or b"") != 24:
                raise Malformed("what was erased of a chain is no size, or of no run")
            self.erased_size = struct.unpack("<QQQ", self.value)
            if max(self.erased_size) >= 1 << 62:
                raise Malformed("more was erased of a chain than there can be")

    def check_erasure(self):
        value = self.value or b""
        if not value or len(value) % 4 or value[:4] != self.key:
            raise Malformed("an erasure does not name its first run, or none")
        self.erased = [u32(value, at) for at in range(0, len(value), 4)]
        if any(one >= other for one, other in zip(self.erased, self.erased[1:])):
            raise Malformed("the runs of an erasure are not in order")

    def check_namespace(self):
        try:
            self.key.decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("a namespace's name is not UTF-8") from None
        check_namespace_bytes(self.key)
        length = len(self.value or b"")
        if length != LIMITS_BYTES and length < SETTINGS_BYTES:
            raise Malformed("a namespace's settings are missing")


# --- 12. Lock and lock record -------------------------------------------------------------------


def published_by_writer(store):
    """How far a living writer has published the log; None if there is no writer."""
    if fcntl is None:
        return None
    directory = os.open(store, os.O_RDONLY)
    try:
        # Shared, so that two readers do not take each other for a writer.
        fcntl.flock(directory, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        pass
    finally:
        os.close(directory)
    try:
        with open(os.path.join(store, "LOCK"), "rb") as file:
            content = file.read(24)
    except FileNotFoundError:
        return 0
    whole = len(content) == 24 and content[:8] == b"KINLOGLK"
    return u64(content, 16) if whole else 0


def remembered_by_writer(store, manifest):
    """How far the last writer knew the log to be on the device, as far as its lock record tells."""
    try:
        with open(os.path.join(store, "LOCK"), "rb") as file:
            content = file.read(40)
    except FileNotFoundError:
        return 0
    if len(content) < 40 or u32(content, 32) != manifest.epoch:
        return 0
    check = zlib.crc32(content[24:36], zlib.crc32(manifest.store))
    return u64(content, 24) if check == u32(content, 36) else 0


# --- 13. The end of the log ---------------------------------------------------------------------


class Log:
    """The log up to its end, with the verdict on what lies there."""

    def __init__(self, store):
        published = published_by_writer(store)
        # Read after the writer's word: a manifest from before may be older than frames below it.
        self.manifest = read_manifest(store)
        self.live = published is not None
        remembered = remembered_by_writer(store, self.manifest)
        # A writer that is still opening has published nothing; what was on the device stays.
        known = published or remembered
        self.limit = max(known, self.manifest.durable_upto) if self.live else None
        self.segments = open_segments(store, self.manifest)
        self.commits = 0
        self.epoch = 0
        self.as_of = max(segment.as_of for segment in self.segments)
        self.known = max(self.manifest.durable_upto, remembered, PAGE, self.as_of)
        self.end = PAGE
        self.behind_seals = 0
        self.index = Index(self.as_of)
        self.verdict, self.remains_bytes = self.read()
        number, offset = divmod(self.end, self.manifest.segment_bytes)
        if self.end < self.as_of:
            path = self.segments[number].path
            raise Corrupt(path, 0, f"a compaction relied on commits up to {self.as_of}")
        if self.index.gaps or self.index.strays:
            path = self.segments[number].path
            raise Corrupt(path, offset, "events are missing of runs that are not deleted")

    def read(self):
        for segment in self.segments:
            if segment.compacted:
                self.read_compacted(segment)
                continue
            offset = PAGE
            while True:
                self.end = segment.base + offset
                if self.live and self.end >= self.limit:
                    return "Live", self.behind_seals
                try:
                    frame = Frame(segment, offset)
                except Fault as fault:
                    return self.judge(segment, offset, fault)
                self.take(segment, offset, frame)
                offset = frame.end_offset
                if frame.kind == SEAL:
                    break
        path = os.path.join(os.path.dirname(segment.path), f"{len(self.segments):08}.seg")
        raise Corrupt(path, 0, "the segment is missing: the one before it is sealed")

    def read_compacted(self, segment):
        """Frames of which pieces are left, up to the seal. A fault is damage."""
        number, kind, end = 0, None, PAGE
        while number < len(segment.pieces):
            offset, size, _ = segment.pieces[number]
            self.end = segment.base + offset
            try:
                frame = Frame(segment, offset)
            except Fault as fault:
                raise Corrupt(segment.path, offset, str(fault)) from None
            while number < len(segment.pieces) and segment.pieces[number][0] < frame.end_offset:
                at, length, _ = segment.pieces[number]
                number += 1
            if size < FRAME_HEADER or at + length != frame.end_offset or kind == SEAL:
                raise Corrupt(segment.path, offset, "the pieces do not make up frames")
            self.take(segment, offset, frame)
            kind, end = frame.kind, frame.end_offset
        if kind != SEAL:
            raise Corrupt(segment.path, end, "a compacted segment has no seal")

    def take(self, segment, offset, frame):
        if frame.epoch > self.manifest.epoch:
            raise self.manifest.stale()
        # The manifest was written when the epoch began: nothing older lies beyond its mark.
        beyond = frame.position >= self.manifest.durable_upto
        if frame.epoch < max(self.epoch, segment.epoch, self.manifest.epoch if beyond else 0):
            raise Corrupt(segment.path, offset, "a frame is older than what comes before it")
        self.epoch = frame.epoch
        self.known = max(self.known, frame.durable_upto)
        if frame.kind == SEAL:
            self.behind_seals += last_byte(segment.data, frame.end_offset) - frame.end_offset
            return
        try:
            self.index.commit(frame)
        except Malformed as fault:
            raise Corrupt(segment.path, offset, f"a commit makes no sense: {fault}") from None
        self.commits += 1

    def judge(self, segment, offset, fault):
        remains = self.behind_seals
        pieces = [(other, offset if other is segment else PAGE) for other in self.segments[segment.number :]]
        closed = self.manifest.closed and self.end == self.manifest.durable_upto == self.known
        if closed and not any(any(other.data[start : start + LOOKED_AT]) for other, start in pieces):
            # Whatever follows further behind is no part of the log.
            pieces = []
        for other, start in pieces:
            stop = last_byte(other.data, start)
            remains += stop - start
            self.known = max(self.known, self.evidence(other, start, stop))
        if self.known > self.end or self.live:
            raise Corrupt(segment.path, offset, f"{fault} (acknowledged up to {self.known})")
        if remains == 0:
            closed = self.manifest.closed and self.end == self.manifest.durable_upto
            return "Clean" if closed else "Unclosed", 0
        return "Torn" if fault.unwritten or self.manifest.closed else "Ambiguous", remains

    def evidence(self, segment, offset, stop):
        """The highest `durable_upto` of the frames that verify in what is left."""
        known = 0
        while offset < stop:
            try:
                frame = Frame(segment, offset)
                if frame.epoch < self.epoch:
                    raise Fault("a frame of another time")
            except Fault:
                offset += 4
                continue
            if frame.epoch > self.manifest.epoch:
                raise self.manifest.stale()
            known = max(known, frame.durable_upto)
            offset = frame.end_offset
        return known

    def batch(self, position):
        """The batch at a position."""
        number, offset = divmod(position, self.manifest.segment_bytes)
        segment = self.segments[number]
        try:
            return Batch(segment.data, offset, position)
        except Malformed as fault:
            raise Corrupt(segment.path, offset, str(fault)) from None


def read_log(store):
    """The log; read again if a writer came meanwhile, whose first commit may look torn."""
    try:
        log = Log(store)
    except Corrupt:
        if published_by_writer(store) is None:
            raise
        return Log(store)
    overtaken = not log.live and published_by_writer(store) is not None
    return Log(store) if overtaken else log


CHUNK = 1 << 20
# How much is looked at of free space in which nothing can have been acknowledged.
LOOKED_AT = 64 << 10


def last_byte(data, start):
    """Where the last byte that is not zero ends, at least `start`."""
    end = len(data)
    while end > start:
        begin = max(start, end - CHUNK)
        rest = data[begin:end].rstrip(b"\0")
        if rest:
            return begin + len(rest)
        end = begin
    return start


# --- 14. Commits that make sense ----------------------------------------------------------------


NIL = run_id(bytes(16))


class Chain:
    """The runs of one execution."""

    def __init__(self, first, namespace=None, workflow_id=None, root=None, parent=None):
        self.first, self.namespace, self.workflow_id = first.id, namespace, workflow_id
        self.root, self.parent = root, parent
        # The run that names it here, and the last one.
        self.named, self.last = first, first
        # The run that has the relation to this chain, and the event that began it.
        self.holder = None
        # How many of its runs were erased, and their events and bytes, if it has a parent.
        self.erased = (0, 0, 0)

    def ended(self):
        """How its last run closed, if no run continues that."""
        return self.last.closed if self.last.closed and not self.last.continued else None


class Relation:
    """A run's relation to a child: the events that say that it started and ended, and the child."""

    def __init__(self, initiated, told, started=0, ended=0, outcome=None, child=None):
        self.initiated, self.told = initiated, told
        self.started, self.ended, self.child = started, ended, child
        # The kind with which the child closed, if the event that ended it tells that.
        self.outcome = outcome
        # The run to which a reset has taken it.
        self.moved = None
        # Whether the close policy has been applied; the duty that is open, and since when.
        self.applied, self.duty = False, None

    def policy(self):
        return self.told["close_policy"]

    def waits_for_start(self):
        return not self.started and self.is_open()

    def is_open(self):
        return not self.ended and not self.moved

    def until(self, event_id):
        """As the events up to this one tell it, with the child as it is."""
        started = self.started if self.started <= event_id else 0
        ended = self.ended if self.ended <= event_id else 0
        outcome = self.outcome if ended else None
        return Relation(self.initiated, self.told, started, ended, outcome, self.child)


class Run:
    def __init__(self, number, identity, imported=False, base=None, shared=0):
        self.number, self.id, self.imported = number, identity, imported
        # For a run that a reset made: the run whose events it shares, and the last of them.
        self.base, self.shared = base, shared
        self.batches, self.own_events, self.own_bytes = 0, 0, 0
        self.last_batch, self.next_event, self.bytes = 0, 1, 0
        # The closing event's kind, and whether it names a run that follows.
        self.closed, self.continued = None, False
        self.chain = None
        self.relations, self.requests, self.activities, self.canceled = {}, {}, set(), 0
        # The requests without an answer that a reset has taken: the run that has them since.
        self.taken = {}
        # The commit from which its requests are duties, if they are.
        self.since = {}
        # Whether a reset terminated it to take over from it.
        self.replaced = False
        # What was kept of it, if it was deleted.
        self.deleted = None

    def owner(self, event_id):
        """The run in whose batches an event of this one lies."""
        return self.base.owner(event_id) if event_id <= self.shared else self

    def held(self, initiated):
        """The relation where resets have taken it, from the run on whose own event began it."""
        relation = self.owner(initiated).relations[initiated]
        while relation.moved:
            relation = relation.moved.relations[initiated]
        return relation

    def holder(self, initiated):
        """The run that has a request of this one since resets, or has answered it."""
        run = self
        while initiated in run.taken:
            run = run.taken[initiated]
        return run


CHILD_ENDS = {32: 2, 33: 3, 34: 21, 35: 4, 36: 27}
REQUESTS = {22, 37}
ANSWERS = {23: 22, 24: 22, 38: 37, 39: 37}
ACTIVITY_ENDS = {12, 13, 14, 16}


class Draft:
    """What the runs of one commit say of each other, which must agree in the end."""

    def __init__(self):
        self.begun = {}
        # By run: the run that it names as the next, and the one that a reset made of it.
        self.closings = {}
        self.starts, self.ends = {}, []
        # By run: the events that ask it to cancel.
        self.asked = {}

    def say(self, run, event):
        kind, body = event.kind, event.body
        if kind in CLOSING:
            self.closings[run.id] = (body.get("new_run_id"), body.get("reset_run_id"))
            if kind == 28 and not body.get("new_run_id"):
                raise Malformed("a run continues as new without a run that follows")
        if kind == 20:
            if run.canceled:
                raise Malformed("a run is asked to cancel twice")
            run.canceled = event.id
            self.asked[run.id] = (event.id,)
        if not body or kind == 20:
            return
        if kind in REQUESTS or kind == 29:
            if not body["workflow_id"]:
                raise Malformed("a workflow id is missing")
            if kind == 29:
                if body["close_policy"] not in ("Terminate", "Abandon", "RequestCancel"):
                    raise Malformed("a child has no close policy")
                run.relations[event.id] = Relation(event.id, body)
            else:
                run.requests[event.id] = kind
        elif kind == 10:
            run.activities.add(event.id)
        elif kind in ACTIVITY_ENDS:
            if body["scheduled_event_id"] not in run.activities:
                raise Malformed("an activity ends that is not open")
            run.activities.remove(body["scheduled_event_id"])
        elif kind in ANSWERS:
            self.answer(run, body["initiated_event_id"], ANSWERS[kind])
        elif kind in (30, 31) or kind in CHILD_ENDS:
            self.relate(run, event)

    def answer(self, run, initiated, request):
        repeats = run.id in self.begun and 1 <= initiated <= run.shared
        found = run.requests.get(initiated, request if repeats else None)
        if found != request:
            raise Malformed("no request waits for an answer")
        # Answered, and not to be repeated twice.
        run.requests[initiated] = 0

    def relate(self, run, event):
        kind, body = event.kind, event.body
        relation = run.relations.get(body["initiated_event_id"])
        if relation is None or not relation.is_open():
            raise Malformed("no child waits for this")
        if kind not in CHILD_ENDS and relation.started:
            raise Malformed("a child starts twice")
        if kind == 31:
            # A reset took the child along with the relation, and repeats that it has started.
            if relation.child and relation.child != body["run_id"]:
                raise Malformed("a reset has taken another child along")
            if not relation.child:
                self.starts[body["run_id"]] = (run.id, body["initiated_event_id"])
            relation.started, relation.child = event.id, body["run_id"]
        else:
            relation.ended, relation.outcome = event.id, CHILD_ENDS.get(kind)
        if kind in CHILD_ENDS:
            if not relation.started or relation.started != body["started_event_id"]:
                raise Malformed("a child ends that has not started")
            self.ends.append((relation.child, body["run_id"], CHILD_ENDS[kind]))

    def finish(self, by_id):
        """Whether both sides of everything are there."""
        for run, (following, replacing) in self.closings.items():
            if following and getattr(self.begun.get(following), "continues", None) != run:
                raise Malformed("the run that follows does not begin in the same commit")
            made = self.begun.get(replacing)
            if replacing and (made is None or made.base is None or made.base.id != run):
                raise Malformed("the run that a reset makes does not begin in the same commit")
        for run in self.begun.values():
            taken = [it for it in run.relations.values() if it.child and it.waits_for_start()]
            if taken:
                raise Malformed("a reset takes a child along and does not say that it has started")
            if run.continues and self.closings.get(run.continues, (None, None))[0] != run.id:
                raise Malformed("the run before does not close in the same commit")
            if run.parent and not run.continues and self.starts.get(run.id) != run.parent:
                raise Malformed("the parent does not say that its child started")
        for child, place in self.starts.items():
            if getattr(self.begun.get(child), "parent", None) != place:
                raise Malformed("a child does not begin in the same commit")
        for child, last, kind in self.ends:
            run = by_id[child].chain.last
            if run.closed != kind or run.continued or run.id != last:
                raise Malformed("a child's chain has not ended so")


class Hindsight(Draft):
    """The same of a commit from before a compaction: what would have to agree may be missing."""

    def say(self, run, event):
        try:
            super().say(run, event)
        except Malformed:
            pass

    def finish(self, by_id):
        pass


class Index:
    """What going through the log once tells: runs by number, and the rows of tables."""

    def __init__(self, as_of=0):
        # By number; those that were erased are left out.
        self.runs, self.next_new = {}, 0
        self.by_id = {}
        self.tables = {}
        # What was read of runs that were erased.
        self.erased_events, self.erased_bytes = 0, 0
        # The first run of each workflow type.
        self.types = {}
        # Commits before it may lack what was dead, and these runs lack events, or the index lacks their beginnings.
        self.as_of, self.gaps, self.strays = as_of, set(), set()
        self.before = False

    def commit(self, frame):
        at, last_run, known = 0, -1, self.next_new
        place = frame.position + FRAME_HEADER
        self.before = frame.position < self.as_of
        if not self.before and (frame.holes or self.gaps or self.strays):
            raise Malformed("events are missing of runs that are not deleted")
        batches, draft = [], Hindsight() if self.before else Draft()
        for _ in range(frame.batches):
            at = frame.behind_hole(at)
            batch = Batch(frame.payload, at, place + at)
            if batch.run <= last_run:
                raise Malformed("batches are not in order of run number")
            last_run = batch.run
            batches.append(batch)
            at += batch.size
        rows, at = [], frame.behind_hole(at)
        while at < len(frame.payload):
            rows.append(Row(frame.payload, at))
            at = frame.behind_hole(at + rows[-1].size)
        # As the runs were before the commit.
        deletions = self.check_deletions(rows)
        erased = self.check_erasures(rows, batches)
        if self.before:
            batches = self.add_left(batches, draft)
        # First, because a reset looks at its base run as it was before the commit.
        for batch in [] if self.before else batches:
            if batch.run >= known or batch.first_event == 1:
                self.begin(batch, draft)
        for run in draft.begun.values():
            for batch in batches:
                if run.base and batch.run == run.base.number:
                    yielded = [event.body.get("reset_run_id") for event in batch.events]
                    if yielded != [run.id] and not self.before:
                        raise Malformed("the base run of a reset says more than that it yields")
        for batch in [] if self.before else batches:
            self.add(batch, draft)
        draft.finish(self.by_id)
        self.settle_up(frame.position, [self.runs[batch.run] for batch in batches], draft)
        if deletions and any(run.base for run in draft.begun.values()):
            raise Malformed("a commit that deletes runs makes none by a reset")
        for row in rows:
            of_run = row.table == DELETED or (row.table == KEYS and self.before and row.value)
            of_run = of_run or row.table == ERASED_SIZES
            if row.table == ERASED or (of_run and run_id(row.key[:16]) not in self.by_id):
                continue
            if row.table == ERASED_SIZES:
                self.by_id[run_id(row.key)].chain.erased = row.erased_size
            table = self.tables.setdefault(row.table, {})
            if row.value is None:
                table.pop(row.key, None)
            else:
                table[row.key] = row.value
        for run, kept in deletions:
            run.deleted = kept
            self.gaps.discard(run)
        for number in erased:
            self.next_new = max(self.next_new, number + 1)
            self.strays.discard(number)
            run = self.runs.pop(number, None)
            self.gaps.discard(run)
            if run:
                self.erased_events += run.own_events
                self.erased_bytes += run.own_bytes
                del self.by_id[run.id]
                key = uuid.UUID(run.id).bytes
                self.tables.get(DELETED, {}).pop(key, None)
                self.tables.get(ERASED_SIZES, {}).pop(key, None)
                for row in [row for row in self.tables.get(KEYS, {}) if row.startswith(key)]:
                    del self.tables[KEYS][row]

    def add_left(self, batches, draft):
        """Takes in batches from before a compaction one by one; those of runs whose beginnings are missing, or what
        these refer to, are left out: these runs are erased later."""
        left = []
        for batch in batches:
            if batch.run not in self.runs:
                if batch.run < self.next_new or not self.begins(batch):
                    self.strays.add(batch.run)
                    continue
                self.begin(batch, draft)
            self.add(batch, draft)
            left.append(batch)
        return left

    def begins(self, batch):
        """Whether a run begins with the batch, and what it refers to is there."""
        first = batch.events[0]
        if (first.kind, first.version) == RESET_KIND:
            return first.body["base_run_id"] in self.by_id
        if first.kind != START or not first.body:
            return False
        if first.body["imported"]:
            return True
        if first.body["continued_run_id"]:
            return first.body["first_run_id"] in self.by_id
        parent = self.by_id.get(first.body["parent_run_id"])
        initiated = first.body["parent_initiated_event_id"]
        return not first.body["parent_run_id"] or (parent and initiated in parent.relations)

    def check_erasures(self, rows, batches):
        """The runs that a commit erases."""
        rows = [row for row in rows if row.table in (ERASED, ERASED_SIZES) or not self.before]
        erased = {number for row in rows if row.table == ERASED for number in row.erased}
        sizes = [row for row in rows if row.table == ERASED_SIZES]
        if not erased or self.before:
            self.check_erased_sizes(sizes)
            return erased
        if batches or any(row.table not in (ERASED, ERASED_SIZES) for row in rows):
            raise Malformed("a commit that erases says something else")
        if any(number not in self.runs for number in erased):
            raise Malformed("a run is erased that is not there")
        workflows = {}
        for run in self.runs.values():
            workflows.setdefault(run.workflow, []).append(run)
        for number in erased:
            run = self.runs[number]
            self.check_erasure(run, erased, workflows[run.workflow])
        if [(run_id(row.key), row.erased_size) for row in sizes] != self.erased_sizes(erased):
            raise Malformed("an erasure does not say how much of a child it erases")
        return erased

    def check_erased_sizes(self, sizes):
        """Rows beside no erasure that say how much was erased of chains: no less than before."""
        for row in sizes:
            run = self.by_id.get(run_id(row.key))
            if run is None and self.before:
                # It is erased later.
                continue
            if run is None or run.imported or run.chain.named is not run or not run.chain.holder:
                raise Malformed("what was erased is of no chain of a child")
            if any(now < before for now, before in zip(row.erased_size, run.chain.erased)):
                raise Malformed("less was erased of a chain than before")

    def erased_sizes(self, erased):
        """How much is erased of the chains of children that other runs are left of, those before among it."""
        chains = {}
        for run in (self.runs[number] for number in sorted(erased)):
            stays = any(other.number not in erased for other in self.members(run))
            if stays and not run.imported and run.chain.holder:
                runs, events, size = chains.get(run.chain.named.number, run.chain.erased)
                sums = (runs + 1, events + run.next_event - 1, size + run.bytes)
                chains[run.chain.named.number] = sums
        return [(self.runs[number].id, chains[number]) for number in sorted(chains)]

    def check_erasure(self, run, erased, workflow):
        def refuse(why):
            raise Malformed(f"run {run.id} is erased, {why}")

        if run.deleted != NOTHING:
            refuse("of which something is kept")
        if self.types[run.type] == run.number:
            refuse("the first one of its type")
        left = [other for other in workflow if other.number not in erased]
        later = [it for it in left if it.number > run.number and not it.imported]
        if left and (run.number == workflow[0].number or not later):
            refuse("without which others of its workflow do not follow")
        others = self.members(run)
        whole = all(other.number in erased for other in others)
        if run.imported:
            if not whole or any(it.imported and it.follows for it in self.runs.values()):
                refuse("with which imported runs are linked")
        elif whole:
            if run.chain.holder and run.chain.holder[0].number not in erased:
                refuse("of which its parent knows")
        elif (
            any(it.base for it in [run, *others])
            or run.chain.last is run
            or run.chain.named is run
        ):
            refuse("without which its chain does not follow")
        elif run.chain.holder and any(it.canceled for it in [run, *others]):
            holder, initiated = run.chain.holder
            if holder.relations[initiated].policy() == "RequestCancel":
                refuse("of a chain that was asked to cancel")
        for relation in run.relations.values():
            child = self.by_id.get(relation.child)
            if child and child.number not in erased:
                refuse("which has a child")

    def check_deletions(self, rows):
        """The runs that a commit deletes, each with what is kept of it."""
        deletions, now = [], {}
        for row in rows:
            if row.table != DELETED:
                continue
            run, kept = self.by_id.get(run_id(row.key)), row.value[0]
            if run is None and self.before:
                # It is erased later.
                continue
            if run is None or not (run.closed or self.before):
                raise Malformed("what is deleted is no run that has closed")
            if not run.closed:
                self.strays.add(run.number)
            before = now.get(run, run.deleted)
            if before is not None and before <= kept:
                raise Malformed(f"run {run.id} was deleted before")
            now[run] = kept
            deletions.append((run, kept))
            if self.before:
                continue
            others = self.members(run) if self.is_last(run) else []
            left = [other for other in others if now.get(other, other.deleted) != NOTHING]
            if kept == NOTHING and left:
                raise Malformed(f"a chain is left without its last run {run.id}")
            if any(self.due(run, relation) for relation in run.relations.values()):
                raise Malformed(f"run {run.id} is deleted with duties")
            if self.is_untold(run):
                raise Malformed(f"nobody was told how run {run.id} ended")
        return deletions

    def members(self, run):
        """The other runs of a run's chain."""
        runs = self.runs.values()
        return [other for other in runs if other is not run and self.in_chain(other, run)]

    def in_chain(self, run, other):
        if run.imported or other.imported:
            return run.imported == other.imported and run.first == other.first
        return run.chain is other.chain

    def is_last(self, run):
        return all(other.number < run.number for other in self.members(run))

    def is_untold(self, run):
        """Whether the run is the end of its chain, and an open parent waits to be told."""
        if run.imported or not self.is_last(run) or run.continued or not run.chain.holder:
            return False
        parent, initiated = run.chain.holder
        return not parent.closed and parent.relations[initiated].is_open()

    def add(self, batch, draft):
        run = self.runs[batch.run]
        gap = batch.first_event - run.next_event, batch.previous - run.last_batch
        lacks = self.before and min(gap) > 0
        if run.closed or run.deleted is not None or (gap != (0, 0) and not lacks):
            raise Malformed(f"a batch does not follow the last one of run {run.id}")
        if lacks:
            self.gaps.add(run)
        if self.before and run.batches and batch.run_bytes <= run.bytes:
            raise Malformed(f"run {run.id} does not become longer")
        size = 0
        for event in batch.events:
            if (event.kind == START) != (event.id == 1):
                raise Malformed("a run begins in the middle")
            if event.kind in CLOSING and event.id + 1 != batch.next_event:
                raise Malformed("a run goes on behind its end")
            begins = run.base and not run.batches and event is batch.events[0]
            if (event.kind, event.version) == RESET_KIND and not begins:
                raise Malformed("a reset in the middle of a run")
            if not run.imported:
                draft.say(run, event)
            size += event.size
        if run.base and not run.batches:
            # What is shared is added up when the run is read.
            run.bytes = batch.run_bytes - size
            if run.bytes <= 0:
                raise Malformed(f"run {run.id} shares no bytes")
        run.bytes += size
        if run.bytes != batch.run_bytes and self.before:
            # Events are missing, or have lost their payloads.
            size += batch.run_bytes - run.bytes
            run.bytes = batch.run_bytes
        if run.bytes != batch.run_bytes:
            raise Malformed(f"run {run.id} has {run.bytes} bytes, its batch says {batch.run_bytes}")
        run.batches += 1
        run.own_events += batch.next_event - run.next_event
        run.own_bytes += size
        run.last_batch, run.next_event = batch.position, batch.next_event
        last = batch.events[-1]
        if last.kind in CLOSING:
            run.closed, run.continued = last.kind, bool(last.body.get("new_run_id"))
            run.replaced = bool(last.body.get("reset_run_id"))

    def begin(self, batch, draft):
        first = batch.events[0]
        if batch.first_event == 1:
            if first.kind != START or not first.body:
                raise Malformed("a run does not begin with a Started record")
            run = Run(batch.run, first.body["run_id"], first.body["imported"])
            run.first = first.body["first_run_id"]
        else:
            run = self.begin_reset(batch, first)
        is_next = batch.run == self.next_new or (self.before and batch.run > self.next_new)
        if not is_next or run.id in self.by_id or run.id == NIL:
            raise Malformed(f"run {run.id} is not new")
        run.continues, run.parent = None, None
        if batch.first_event == 1:
            check_namespace_bytes(first.body["namespace"].encode("utf-8"))
        if batch.first_event == 1 and not run.imported:
            self.begin_chain(run, first.body)
        if not run.imported:
            draft.begun[run.id] = run
        self.by_id[run.id] = run
        self.runs[run.number], self.next_new = run, run.number + 1
        if batch.first_event == 1:
            body = first.body
            run.workflow = body["namespace"], body["workflow_id"]
            run.type = body["namespace"], body["workflow_type"]
            run.follows = run.imported and body["continued_run_id"] and run.first == run.id
        else:
            run.workflow, run.type = run.base.workflow, run.base.type
        self.types.setdefault(run.type, run.number)

    def begin_chain(self, run, started):
        """A run that was started here: where it stands among others."""
        names = started["namespace"], started["workflow_id"]
        if started["parent_run_id"]:
            run.parent = started["parent_run_id"], started["parent_initiated_event_id"]
        run.continues = started["continued_run_id"]
        if run.continues:
            # The run before may have been erased from the middle of the chain.
            before = run.continues if run.continues in self.by_id else started["first_run_id"]
            chain = self.live(before if self.before else run.continues).chain
            kin = chain.namespace, chain.workflow_id, chain.first, chain.root, chain.parent
            found = *names, started["first_run_id"], started["root_run_id"], bool(run.parent)
            if found != kin:
                raise Malformed("a run is not of the chain that it continues")
            run.chain, chain.last = chain, run
            return
        root = None
        if run.parent:
            above = self.live(run.parent[0])
            root = above.chain.root or above.id
            if (above.chain.namespace, root) != (started["namespace"], started["root_run_id"]):
                raise Malformed("a child is not in its parent's tree")
        if started["first_run_id"] != run.id:
            raise Malformed("a run begins in the middle of a chain")
        run.chain = Chain(run, *names, root, bool(run.parent))
        run.chain.holder = run.parent and (above, run.parent[1])

    def live(self, identity):
        """A run that was not imported elsewhere."""
        run = self.by_id.get(identity)
        if run is None or run.imported:
            raise Malformed(f"there is no run {identity} to follow")
        return run

    def begin_reset(self, batch, first):
        if (first.kind, first.version) != RESET_KIND:
            raise Malformed("a batch belongs to no run")
        shared = first.id - 1
        base = self.live(first.body["base_run_id"])
        last = base.next_event - 1 - (base.closed is not None)
        lacks = shared > last or batch.previous > base.last_batch
        if not base.batches or (lacks and not self.before):
            raise Malformed("a reset shares what its base run does not have")
        if base.deleted is not None:
            raise Malformed("a reset shares what was deleted")
        run = Run(batch.run, first.body["run_id"], base=base, shared=shared)
        run.next_event, run.last_batch = first.id, batch.previous
        run.chain, base.chain.last = base.chain, run
        run.activities = set(first.body["open_activities"])
        run.canceled = base.canceled if base.canceled <= shared else 0
        for initiated in [initiated for initiated in base.requests if initiated <= shared]:
            holder = base.holder(initiated)
            kind = holder.requests[initiated]
            if kind:
                run.requests[initiated] = kind
                holder.requests[initiated], holder.taken[initiated] = 0, run
        for initiated, relation in base.relations.items():
            if initiated <= shared:
                held = base.held(initiated)
                then = relation.until(shared)
                then.child = held.child
                if then.is_open():
                    last = self.last_of(then)
                    if last and last.deleted == NOTHING and not self.before:
                        raise Malformed("a reset waits for a child that was deleted")
                    held.moved = run
                    if then.child in self.by_id:
                        self.by_id[then.child].chain.holder = run, initiated
                run.relations[initiated] = then
        return run


    # --- 16. Relations and duties ---

    def settle_up(self, commit, runs, draft):
        """What follows between runs from a commit that was taken in."""
        runs = [run for run in runs if not run.imported]
        for run in runs:
            if run.closed:
                for relation in run.relations.values():
                    last = self.last_of(relation)
                    asked = relation.policy() == "RequestCancel" and last and last.canceled
                    relation.applied = bool(asked)
            holder = run.chain.holder
            if holder and holder[0].closed and not holder[0].replaced:
                relation = holder[0].relations[holder[1]]
                new = run.id in draft.begun and run.base and run.canceled
                asked = run.canceled in draft.asked.get(run.id, ()) or new
                if relation.policy() == "RequestCancel" and asked and holder[0] not in runs:
                    relation.applied = True
        for run in runs:
            for relation in run.relations.values():
                self.settle(run, relation, commit)
            if run.chain.holder:
                parent, initiated = run.chain.holder
                self.settle(parent, parent.relations[initiated], commit)
            for initiated, kind in run.requests.items():
                if not kind or run.closed:
                    run.since.pop(initiated, None)
                else:
                    run.since.setdefault(initiated, commit)

    def last_of(self, relation):
        """The last run of a child's chain."""
        child = self.by_id.get(relation.child)
        return child.chain.last if child else None

    def settle(self, run, relation, commit):
        last = self.last_of(relation)
        ended = last and last.chain.ended()
        if run.closed and not run.replaced and ended and relation.is_open():
            relation.applied = True
        due = self.due(run, relation)
        if due != (relation.duty and relation.duty[0]):
            relation.duty = due and (due, commit)

    def due(self, run, relation):
        """The duty of a relation."""
        if not relation.is_open() or run.replaced:
            return None
        last = self.last_of(relation)
        ended = last and last.chain.ended()
        if not run.closed:
            if not relation.started:
                return "StartChild"
            return "ReportClose" if ended else None
        if not relation.started or ended or relation.applied:
            return None
        return "ApplyClosePolicy" if relation.policy() in ("Terminate", "RequestCancel") else None

    def duties(self):
        """The open duties in order."""
        found = []
        for run in self.runs.values():
            for relation in run.relations.values():
                if relation.duty and self.due(run, relation):
                    found.append((relation.duty[1], relation.duty[0], run, relation.initiated))
            for initiated, since in run.since.items():
                if run.requests[initiated]:
                    kind = "DeliverSignal" if run.requests[initiated] == 37 else "DeliverCancel"
                    found.append((since, kind, run, initiated))
        found.sort(key=lambda it: (it[0], DUTIES.index(it[1]), it[2].number, it[3]))
        return found


DUTIES = ["StartChild", "ReportClose", "ApplyClosePolicy", "DeliverSignal", "DeliverCancel"]


# --- 15. Reading a run --------------------------------------------------------------------------


def is_forked(run, next_event):
    """Whether a reset made the run, or one that it shares events with, begin at this event."""
    while run:
        if run.base and run.shared + 1 == next_event:
            return True
        run = run.base
    return False


def history(log, run):
    """The events of a run: back along the links to the first batch, then forwards."""
    positions, position, next_event, size = [], run.last_batch, run.next_event, run.bytes
    while position:
        batch = log.batch(position)
        owner = run.owner(next_event - 1)
        # Only a reset leaves a batch in the middle: one of the run that it is based on.
        later = [event for event in batch.events if event.id >= next_event]
        joins = not later or is_forked(run, next_event)
        holds = batch.first_event < next_event <= batch.next_event
        if batch.run != owner.number or not holds or not joins:
            raise Corrupt(f"run {run.id}", position, "a link leads to a batch of something else")
        if batch.run_bytes - sum(event.size for event in later) != size:
            raise Corrupt(f"run {run.id}", position, "the bytes of its events do not add up")
        size -= sum(event.size for event in batch.events if event.id < next_event)
        positions.append((position, next_event))
        position, next_event = batch.previous, batch.first_event
    if next_event != 1 or size != 0:
        raise Corrupt(f"run {run.id}", 0, "the links do not lead to the first event")
    for position, next_event in reversed(positions):
        yield from (event for event in log.batch(position).events if event.id < next_event)


# --- 17. Layout fingerprint ---------------------------------------------------------------------


def layout_fingerprint():
    result = 0xCBF29CE484222325
    for record in RECORDS:
        for value in [record.size, record.ALIGN] + [offset for _, offset, _ in record.fields]:
            result = ((result ^ value) * 0x100000001B3) % (1 << 64)
    return result


# --- Output -------------------------------------------------------------------------------------


def print_json(value):
    print(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def base64_text(data):
    return base64.b64encode(data).decode("ascii")


def print_events(log, wanted):
    runs = [run for run in log.index.runs.values() if wanted in (None, run.id)]
    if wanted and not runs:
        raise Unsupported(f"there is no run {wanted}")
    runs = [run for run in runs if run.deleted is None]
    for run in runs:
        for event in history(log, run):
            print_json(
                {
                    "run_id": run.id,
                    "id": event.id,
                    "kind": kind_name(event.kind),
                    "kind_number": event.kind,
                    "version": event.version,
                    "time_unix_nanos": event.time,
                    "size": event.size,
                    "payload_bytes": len(event.payload),
                    "payload": base64_text(event.payload),
                    "body": event.body,
                }
            )


def print_rows(log):
    for table in sorted(log.index.tables):
        for key, value in sorted(log.index.tables[table].items()):
            print_json({"table": table, "key": base64_text(key), "value": base64_text(value)})


STATUS = {
    2: "Completed",
    3: "Failed",
    4: "TimedOut",
    21: "Canceled",
    27: "Terminated",
    28: "ContinuedAsNew",
}


def state_of(run, relation, outcome):
    """How the child of a relation stands."""
    if relation.ended:
        return "Closed" if relation.outcome else "StartFailed"
    if relation.moved:
        return "Moved"
    if relation.started:
        return "Closed" if outcome else "Running"
    return "NeverStarted" if run.closed else "Initiated"


def print_kin(log):
    index = log.index
    for run in [run for run in index.runs.values() if run.deleted is None]:
        for relation in run.relations.values():
            chain = index.by_id[relation.child].chain if relation.started else None
            outcome = relation.outcome or (chain and chain.ended())
            moved = None if relation.ended or not relation.moved else relation
            while moved and moved.moved:
                holder, moved = moved.moved, moved.moved.relations[relation.initiated]
            if chain:
                holder = chain.holder[0]
            held_by = holder.id if (chain or moved) and holder is not run else None
            print_json(
                {
                    "run_id": run.id,
                    "initiated_event_id": relation.initiated,
                    "workflow_id": relation.told["workflow_id"],
                    "workflow_type": relation.told["workflow_type"],
                    "close_policy": relation.policy(),
                    "state": state_of(run, relation, outcome),
                    "outcome": STATUS[outcome] if outcome else None,
                    "reported": relation.outcome is not None,
                    "first_run_id": chain and chain.first,
                    "current_run_id": chain.last.id if chain and chain.last.deleted != NOTHING else None,
                    "held_by": held_by,
                }
            )
    for since, kind, run, initiated in index.duties():
        print_json({"duty": kind, "run_id": run.id, "initiated_event_id": initiated, "since": since})


def print_report(log):
    print_json(
        {
            "verdict": log.verdict,
            "epoch": log.manifest.epoch,
            "end": log.end,
            "commits": log.commits,
            "segments": len(log.segments),
            "remains_bytes": log.remains_bytes,
            "manifest_damaged": log.manifest.damaged,
            "runs": sum(run.deleted != NOTHING for run in log.index.runs.values()),
            "events": log.index.erased_events + sum(it.own_events for it in log.index.runs.values()),
            "event_bytes": log.index.erased_bytes + sum(it.own_bytes for it in log.index.runs.values()),
        }
    )


def main():
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("store", help="the store's directory")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--run", metavar="ID", help="only the events of this run")
    what.add_argument("--rows", action="store_true", help="the rows of all tables")
    what.add_argument("--kin", action="store_true", help="relations and open duties")
    what.add_argument("--report", action="store_true", help="the verdict on the log and its end")
    options = parser.parse_args()
    try:
        log = read_log(options.store)
        if log.remains_bytes:
            print(
                f"{log.verdict}: {log.remains_bytes} bytes behind the end, {log.end}, are left out",
                file=sys.stderr,
            )
        if options.rows:
            print_rows(log)
        elif options.kin:
            print_kin(log)
        elif options.report:
            print_report(log)
        else:
            print_events(log, options.run and str(uuid.UUID(options.run)))
    except (Corrupt, Unsupported, OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

"""Take out of XMP what shows or claims the picture as it was: thumbnails, gain maps, videos.

What stays is kept byte for byte, but in UTF-8, which some formats demand.
"""

import hashlib
import re
from xml.parsers import expat

_GOOGLE = "http://ns.google.com/photos/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_NOTE = "http://ns.adobe.com/xmp/note/"

_THUMBNAIL, _GAIN_MAP, _PICTURES = "XMP thumbnail", "gain map", "list of further pictures"
_VIDEO, _ORIGINAL, _LAYERS = "motion photo", "embedded original", "Photoshop layers"
_EXTENDED = "extended XMP"

_NAMESPACES = {
    "http://ns.adobe.com/hdr-gain-map/1.0/": _GAIN_MAP,
    "http://ns.apple.com/HDRGainMap/1.0/": _GAIN_MAP,
    "http://ns.apple.com/pixeldatainfo/1.0/": _PICTURES,
    _GOOGLE + "1.0/container/": _PICTURES,
    _GOOGLE + "1.0/container/item/": _PICTURES,
    _GOOGLE + "1.0/image/": _ORIGINAL,
    "http://ns.adobe.com/xap/1.0/g/img/": _THUMBNAIL,
}
"""Namespaces of which nothing stays."""

_PROPERTIES = {
    (_XMP, "Thumbnails"): _THUMBNAIL,
    (_XMP, "PageInfo"): _THUMBNAIL,
    ("http://ns.adobe.com/photoshop/1.0/", "TextLayers"): _LAYERS,
    ("http://ns.xiaomi.com/photos/1.0/camera/", "XMPMeta"): _PICTURES,
}
_CAMERA = re.compile(r"http://ns\.[^/]+/photos/1\.0/camera/$")
_CAMERA_VIDEO = re.compile(r"(?i)motion_?photo|micro_?video|live_?photo|video_?length")
_CAMERA_ORIGINAL = re.compile(r"(?i)input_?image_?data|original_?image")
_DYNAMIC_DEPTH = _GOOGLE + "dd/1.0/"

_ATTRIBUTE = re.compile(rb"""\s+([^\s=<>"'/]+)\s*=\s*("[^"]*"|'[^']*')""")
_EMPTY_END = re.compile(rb"\s*/>")
_NAME_END = re.compile(rb"[\s/>]")
_EXTENSION_NAME = re.compile(rb"""HasExtendedXMP\s*(?:=\s*["']|>)\s*([0-9A-Fa-f]{32})""")
_TIFF, _EXIF = b"http://ns.adobe.com/tiff/1.0/", b"http://ns.adobe.com/exif/1.0/"
_SIDES = {_TIFF: (b"ImageWidth", b"ImageLength"), _EXIF: (b"PixelXDimension", b"PixelYDimension")}
_MAX_DEPTH = 200


def _label(namespace: str, name: str) -> str | None:
    """Return what a property is, if it may not stay."""
    known = _namespace_label(namespace) or _PROPERTIES.get((namespace, name))
    if known is None and _CAMERA.match(namespace):
        if _CAMERA_VIDEO.search(name):
            return _VIDEO
        if _CAMERA_ORIGINAL.search(name):
            return _ORIGINAL
    return known


def _namespace_label(namespace: str) -> str | None:
    """Return what all properties of a namespace are, if none may stay."""
    return _PICTURES if namespace.startswith(_DYNAMIC_DEPTH) else _NAMESPACES.get(namespace)


class _Scan:
    """Finds the spans of a packet that may not stay, while expat reads it.

    Attributes:
        spans: first byte and end of each.
        declarations: likewise, of namespaces of which nothing stays.
        labels: what they are, in order.
    """

    def __init__(self, packet: bytes, parser: expat.XMLParserType, extended: bool) -> None:
        self.spans: list[tuple[int, int]] = []
        self.declarations: list[tuple[int, int]] = []
        self.labels: dict[str, None] = {}
        self._packet, self._parser, self._extended = packet, parser, extended
        # By depth: the prefixes that elements declare, and those in force.
        self._scopes: list[tuple[dict[str, str], ...]] = [()]
        self._cut_depth = self._cut_start = self._cut_end = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take a start tag."""
        declared = {
            key.partition(":")[2]: value
            for key, value in attributes.items()
            if key == "xmlns" or key.startswith("xmlns:")
        }
        self._scopes.append((*self._scopes[-1], declared) if declared else self._scopes[-1])
        if len(self._scopes) > _MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        if self._cut_depth:
            return
        start = self._parser.CurrentByteIndex
        prefix, _, local = name.rpartition(":")
        label = _label(self._namespace(prefix), local)
        found = _NAME_END.search(self._packet, start)
        at = found.start() if found else start
        while attribute := _ATTRIBUTE.match(self._packet, at):
            at = attribute.end()
            if not label:
                self._examine(attribute[1].decode("utf-8", "replace"), attributes, attribute.span())
        if label:
            self.labels[label] = None
            self._cut_depth, self._cut_start = len(self._scopes), start
            empty = _EMPTY_END.match(self._packet, at)
            self._cut_end = empty.end() if empty else 0

    def _namespace(self, prefix: str) -> str:
        return next((d[prefix] for d in reversed(self._scopes[-1]) if prefix in d), "")

    def _examine(self, key: str, attributes: dict[str, str], span: tuple[int, int]) -> None:
        """Note an attribute that may not stay."""
        prefix, colon, name = key.rpartition(":")
        if prefix == "xmlns":
            if _namespace_label(attributes.get(key, "")):
                self.declarations.append(span)
        elif colon:
            namespace = self._namespace(prefix)
            label = _label(namespace, name)
            lost = not self._extended and (namespace, name) == (_NOTE, "HasExtendedXMP")
            if label or lost:
                self.spans.append(span)
                self.labels[label or _EXTENDED] = None

    def end(self, _name: str) -> None:
        """Take the end of an element."""
        if self._cut_depth == len(self._scopes):
            end = self._packet.find(b">", self._parser.CurrentByteIndex) + 1
            self.spans.append((self._cut_start, self._cut_end or end))
            self._cut_depth = 0
        self._scopes.pop()


def without_claims(xmp: bytes, *, extended: bool = True) -> tuple[bytes, tuple[str, ...]]:
    """Remove thumbnails and embedded originals, and what names gain maps, videos and pictures.

    Args:
        xmp: the packet.
        extended: whether extended XMP stays beside it; if not, the pointer to that goes too.

    Returns:
        The packet, and what was removed from it, in plain words.

    Raises:
        ValueError: the packet is not well-formed.
    """
    packet = as_utf8(xmp)
    parser = expat.ParserCreate("utf-8")
    scan = _Scan(packet, parser, extended)

    def refuse(*_: object) -> None:
        raise ValueError("it declares a document type")

    parser.StartElementHandler, parser.EndElementHandler = scan.start, scan.end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(packet, True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from error
    if not scan.spans:
        return xmp if xmp.startswith(packet) else packet, ()
    parts, at = [], 0
    for start, end in sorted(scan.spans + scan.declarations):
        parts.append(packet[at:start])
        at = end
    return b"".join([*parts, packet[at:]]), tuple(scan.labels)


def reset_orientation(packet: bytes) -> bytes:
    """Set the orientation in a packet to 1; nothing else changes.

    Programs that obey it would turn pixels that are upright.
    """
    try:
        text = changed = as_utf8(packet)
    except ValueError:  # it is damaged, which `without_claims` finds
        return packet
    for prefix in _prefixes(text, _TIFF):
        changed = _number(prefix, b"Orientation", b"[2-8]").sub(rb"\g<1>1", changed)
    return packet if changed == text else changed


def with_sides(packet: bytes, height: int, width: int) -> bytes:
    """Exchange the width and height that a packet states, where they are a turned picture's.

    Args:
        packet: XMP.
        height: of the picture that the packet belongs to (pixels).
        width: likewise.
    """
    try:
        text = changed = as_utf8(packet)
    except ValueError:  # see `reset_orientation`
        return packet
    across, down = b"%d" % height, b"%d" % width
    for namespace, names in _SIDES.items():
        for prefix in _prefixes(text, namespace):
            fields = [
                _number(prefix, name, value)
                for name, value in zip(names, (across, down), strict=True)
            ]
            if all(field.search(changed) for field in fields):
                for field, value in zip(fields, (down, across), strict=True):
                    changed = field.sub(rb"\g<1>%s" % value, changed)
    return packet if changed == text else changed


def _prefixes(packet: bytes, namespace: bytes) -> set[bytes]:
    """Return the prefixes that a packet declares for a namespace."""
    declared = rb"""xmlns:([\w.-]+)\s*=\s*["']%s["']""" % re.escape(namespace)
    return set(re.findall(declared, packet))


def _number(prefix: bytes, name: bytes, value: bytes) -> re.Pattern[bytes]:
    """Return the pattern of a property, attribute or element, up to a number and over it."""
    key = re.escape(prefix + b":" + name)
    return re.compile(rb"""(%s\s*(?:=\s*["']|>)\s*)(?:%s)(?=\s*["'<])""" % (key, value))


def as_utf8(packet: bytes) -> bytes:
    """Return a packet as UTF-8, without zeros after its end.

    JPEG demands that, other formats allow UTF-16 and UTF-32.

    Raises:
        ValueError: it is in neither, after all.
    """
    packet = packet.rstrip(b"\0")
    for mark, name, width in (
        (b"\xff\xfe\0\0", "utf-32", 4),
        (b"\0\0\xfe\xff", "utf-32", 4),
        (b"\xff\xfe", "utf-16", 2),
        (b"\xfe\xff", "utf-16", 2),
    ):
        if packet.startswith(mark):  # its last character may end in zeros
            return packet.ljust(-(-len(packet) // width) * width, b"\0").decode(name).encode()
    return packet


def extension_name(packet: bytes) -> bytes | None:
    """Return the name of the extended XMP that a packet points to, 32 digits; None without one."""
    found = _EXTENSION_NAME.search(packet)
    return found[1] if found else None


def rename_extension(packet: bytes, extension: bytes) -> bytes:
    """Return a packet that points to extended XMP by the name that its bytes give it."""
    old = extension_name(packet)
    new = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()
    return packet.replace(old, new) if old else packet

"""The correction as an operation of libvips: `image.drht_correct()`.

libvips finds its operations in GObject's type system, where each is a class with typed properties
and a `build` function. This module registers such a class. A type cannot be unregistered, so
everything that its callbacks need is kept as long as the module.
"""

from __future__ import annotations

import threading
import warnings
from typing import Any

import pyvips

from drht_plugin.engine.strength import FULL
from drht_plugin.errors import DependencyError, DrhtWarning
from drht_plugin.libvips.c import adopt, ffi, library, require_size, to_c
from drht_plugin.libvips.lazy import link_kill_flag
from drht_plugin.vips import _correct

NAME = "drht_correct"
_TYPE_NAME = b"VipsDrhtCorrect"
_DESCRIPTION = "recover over- and under-exposed pictures (DRHT)"

ffi.cdef("""
typedef struct {
    GType g_type; void *construct_properties; void *constructor;
    void *set_property, *get_property;
    void *others[4]; void *constructed; size_t flags; void *reserved[6];
} GObjectClass;
typedef struct {
    GObjectClass parent_class;
    int (*build)(void *);
    void *others[11];
    gboolean output_needs_arg;
    void *output_to_arg;
    const char *nickname, *description;
    void *argument_table, *argument_table_traverse;
    GType argument_table_traverse_gtype;
    gboolean deprecated;
    void *reserved[4];
} VipsObjectClass;
typedef struct {
    VipsObjectClass parent_class;
    void *usage, *get_flags;
    int flags;
    void *invalidate;
} VipsOperationClass;
typedef struct {
    VipsObject parent_instance;
    unsigned int hash;
    gboolean found_hash;
    int pixels;
} VipsOperation;
typedef struct {
    VipsOperation parent_instance;
    void *in, *out;
    double strength, shadows, highlights, exposure, temperature, tint, denoise;
    char *preset, *detail, *transfer, *model, *device, *backend;
    gboolean wrap;
} VipsDrhtCorrect;
typedef struct {
    uint16_t class_size;
    void *base_init, *base_finalize;
    void (*class_init)(VipsOperationClass *, void *);
    void *class_finalize, *class_data;
    uint16_t instance_size, n_preallocs;
    void (*instance_init)(VipsDrhtCorrect *, void *);
    void *value_table;
} GTypeInfo;

GType vips_operation_get_type(void);
GType vips_image_get_type(void);
GType g_type_from_name(const char *);
GType g_type_register_static(GType parent, const char *name, const GTypeInfo *, int flags);
void *g_type_class_peek_parent(void *);
void g_object_class_install_property(void *, unsigned int, void *);
void g_object_set(void *, const char *, ...);
void *g_object_ref(void *);
void *g_param_spec_object(const char *, const char *, const char *, GType, int);
void *g_param_spec_double(
    const char *, const char *, const char *, double least, double most, double usual, int);
void *g_param_spec_boolean(const char *, const char *, const char *, gboolean, int);
void *g_param_spec_string(const char *, const char *, const char *, const char *, int);
unsigned int vips_argument_get_id(void);
void vips_object_class_install_argument(
    void *, void *spec, int flags, int priority, unsigned int offset);
void vips_object_set_property(void *, unsigned int, const void *, void *);
void vips_object_get_property(void *, unsigned int, void *, void *);
int vips_image_write(void *, void *);
gboolean vips_object_argument_isset(VipsObject *, const char *);
""")

_READWRITE = 3
_REQUIRED_INPUT, _OPTIONAL_INPUT, _REQUIRED_OUTPUT = 19, 18, 35
_SEQUENTIAL, _NOCACHE = 1, 4
_UNBOUNDED = 1e300  # GObject silently clips to a property's range, so that `correct` must check it

_STRENGTHS = {
    "strength": "how much of the correction is applied, 0 to 2",
    "shadows": "how much of the lift is applied where the picture gets brighter, 0 to 1",
    "highlights": "how much of the recovery is applied where it gets darker, 0 to 1",
    "exposure": "EV that the result is made brighter by, -3 to 3",
    "temperature": "mired that the result is made warmer by, -100 to 100",
    "tint": "how much more magenta the result is made, -100 to 100",
    "denoise": "factor of the noise that is removed in network detail, 0 to 2",
}
_TEXTS = {
    "preset": ("", "natural, strong or shadows-only: values of the above that are not given"),
    "detail": ("auto", "where detail comes from: auto, guided or network"),
    "transfer": ("", "srgb or linear; by the interpretation if not given"),
    "model": ("default", "default, or a .safetensors file with its .json beside it"),
    "device": (
        "auto",
        "where the networks run: auto, cpu, cuda, cuda:N, mps, or several with commas",
    ),
    "backend": ("auto", "what computes each pixel: auto, numba or torch"),
}
_strings: list[Any] = []
_failed = threading.local()
_lock = threading.Lock()


def register() -> None:
    """Register the operation `drht_correct` in libvips, and add it to pyvips images as a method.

    ``image.drht_correct(strength=0.8)`` and ``pyvips.Operation.call("drht_correct", image)`` take
    the options of `drht_plugin.vips.correct`, but for scene and observe. May be called more than
    once.

    Warns:
        DrhtWarning: this libvips has structs of another layout; only the method is added.
    """
    with _lock:
        try:
            _register_type(library())
        except DependencyError as error:
            warnings.warn(
                f"no operation {NAME!r} in libvips, only the method: {error}",
                DrhtWarning,
                stacklevel=2,
            )
            pyvips.Image.drht_correct = _plain_method
        else:
            pyvips.Image.drht_correct = _method
            _method.__doc__ = pyvips.Operation.generate_docstring(NAME)


def _method(self: pyvips.Image, **options: Any) -> Any:
    # Errors that pass through libvips become text, so raise the original ones here.
    _failed.error = None
    _correct.require_settings(self, **{k: v for k, v in options.items() if k in _ACCEPTED})
    if "model" in options:
        options["model"] = str(options["model"])
    try:
        return pyvips.Operation.call(NAME, self, **options)
    except pyvips.Error as error:
        if _failed.error is not None:
            raise _failed.error from error
        raise
    finally:
        _failed.error = None


def _plain_method(self: pyvips.Image, **options: Any) -> pyvips.Image:
    """Correct the picture lazily; see `drht_plugin.vips.correct`."""
    return _correct.correct(self, **options)


_ACCEPTED = (*_STRENGTHS, *_TEXTS, "wrap")


def _register_type(lib: Any) -> None:
    if lib.g_type_from_name(_TYPE_NAME):
        return
    require_size(lib.vips_operation_get_type(), "VipsOperation", "VipsOperationClass")
    info = ffi.new("GTypeInfo *")
    info.class_size = ffi.sizeof("VipsOperationClass")
    info.class_init = _class_init
    info.instance_size = ffi.sizeof("VipsDrhtCorrect")
    info.instance_init = _instance_init
    if not lib.g_type_register_static(lib.vips_operation_get_type(), _TYPE_NAME, info, 0):
        raise DependencyError(f"GObject cannot register the type {_TYPE_NAME.decode()}")


def _c_string(text: str) -> Any:
    """Make a C string that is never freed, as the type is not either."""
    _strings.append(ffi.new("char[]", text.encode()))
    return _strings[-1]


@ffi.callback("void(VipsOperationClass *, void *)")
def _class_init(operation: Any, _data: Any) -> None:
    lib = library()
    vips_object = operation.parent_class
    gobject = vips_object.parent_class
    gobject.set_property = ffi.cast("void *", ffi.addressof(lib, "vips_object_set_property"))
    gobject.get_property = ffi.cast("void *", ffi.addressof(lib, "vips_object_get_property"))
    vips_object.nickname = _c_string(NAME)
    vips_object.description = _c_string(_DESCRIPTION)
    vips_object.build = _build
    # Not cached, as weights may change under the same name, and unused images should be freed.
    operation.flags = _SEQUENTIAL | _NOCACHE

    image = lib.vips_image_get_type()
    specs: dict[str, tuple[int, Any, str, tuple[Any, ...]]] = {
        "in": (_REQUIRED_INPUT, lib.g_param_spec_object, "the picture", (image,)),
        "out": (_REQUIRED_OUTPUT, lib.g_param_spec_object, "the corrected picture", (image,)),
        "wrap": (
            _OPTIONAL_INPUT,
            lib.g_param_spec_boolean,
            "a 360° panorama, whose left and right edges meet",
            (False,),
        ),
    }
    for name, blurb in _STRENGTHS.items():
        bounds = (-_UNBOUNDED, _UNBOUNDED, getattr(FULL, name))
        specs[name] = (_OPTIONAL_INPUT, lib.g_param_spec_double, blurb, bounds)
    for name, (default, blurb) in _TEXTS.items():
        specs[name] = (_OPTIONAL_INPUT, lib.g_param_spec_string, blurb, (_c_string(default),))
    texts = list(_TEXTS)
    texts.insert(texts.index("model"), "wrap")
    order = ("in", "out", *_STRENGTHS, *texts)
    for priority, name in enumerate(order):
        flags, make, blurb, rest = specs[name]
        spec = make(
            _c_string(name), _c_string(name.capitalize()), _c_string(blurb), *rest, _READWRITE
        )
        lib.g_object_class_install_property(operation, lib.vips_argument_get_id(), spec)
        offset = ffi.offsetof("VipsDrhtCorrect", name)
        lib.vips_object_class_install_argument(operation, spec, flags, priority, offset)


@ffi.callback("void(VipsDrhtCorrect *, void *)")
def _instance_init(correction: Any, _class: Any) -> None:
    for name in _STRENGTHS:
        setattr(correction, name, getattr(FULL, name))


@ffi.callback("int(void *)", error=-1)
def _build(pointer: Any) -> int:
    lib = library()
    correction = ffi.cast("VipsDrhtCorrect *", pointer)
    try:
        parent = lib.g_type_class_peek_parent(
            correction.parent_instance.parent_instance.parent_instance.g_class
        )
        out = lib.vips_image_new()
        lib.g_object_set(pointer, b"out", ffi.cast("void *", out), ffi.NULL)  # takes the reference
        if ffi.cast("VipsObjectClass *", parent).build(pointer):
            return -1
        options: dict[str, Any] = {
            name: getattr(correction, name)
            for name in _STRENGTHS
            if lib.vips_object_argument_isset(ffi.cast("VipsObject *", pointer), name.encode())
        }
        for name in _TEXTS:
            if value := getattr(correction, name):
                options[name] = ffi.string(value).decode()
        image = adopt(lib.g_object_ref(getattr(correction, "in")))
        corrected = _correct.correct(image, wrap=bool(correction.wrap), **options)
        # An operation must return the image it made itself, so copy the result into it.
        if lib.vips_image_write(to_c(corrected), out):
            return -1
        link_kill_flag(corrected, adopt(lib.g_object_ref(out)))
    except BaseException as error:
        _failed.error = error
        text = f"{type(error).__name__}: {error}"
        lib.vips_error(NAME.encode(), b"%s", ffi.new("char[]", text.encode()))
        return -1
    return 0

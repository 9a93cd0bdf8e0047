"""C functions and structs of libvips that pyvips does not wrap.

pyvips' own ffi is compiled and cannot take callbacks of other signatures, so this is a second one
on the same library. Pointers are converted between the two as numbers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cffi
import pyvips

from drht_plugin.errors import DependencyError

ffi = cffi.FFI()
ffi.cdef("""
typedef size_t GType;
typedef int gboolean;
typedef struct {
    GType type; const char *type_name; unsigned int class_size; unsigned int instance_size;
} GTypeQuery;
typedef struct { int left, top, width, height; } VipsRect;
typedef struct { void *g_class; unsigned int ref_count; void *qdata; } GObject;
typedef struct {
    GObject parent_instance;
    gboolean constructed, static_object;
    void *argument_table;
    char *nickname, *description;
    gboolean preclose, close, postclose;
    size_t local_memory;
} VipsObject;
typedef struct {
    VipsObject parent_object;
    void *im;
    VipsRect valid;
    int type;
    unsigned char *data;
    int bpl;
    void *seq, *thread, *window, *buffer;
    gboolean invalid;
} VipsRegion;

void g_type_query(GType, GTypeQuery *);
GType vips_object_get_type(void);
GType vips_region_get_type(void);

void g_object_weak_ref(void *, void (*notify)(void *, void *), void *);
void g_object_weak_unref(void *, void (*notify)(void *, void *), void *);
unsigned long g_signal_connect_data(
    void *, const char *signal, void *handler, void *data, void *destroy, int flags);
void g_signal_handler_disconnect(void *, unsigned long);

void *vips_image_new(void);
int vips_image_pio_input(void *);
int vips_image_pipeline_array(void *, int hint, void **inputs);
void vips_image_init_fields(
    void *, int width, int height, int bands, int format, int coding, int interpretation,
    double xres, double yres);
int vips_image_generate(
    void *, void *start, int (*generate)(VipsRegion *, void *, void *, void *, gboolean *),
    void *stop, void *a, void *b);
void *vips_start_one(void *, void *, void *);
int vips_stop_one(void *, void *, void *);
int vips_region_prepare(VipsRegion *, const VipsRect *);
void vips_image_minimise_all(void *);
int vips_image_iskilled(void *);
void vips_image_set_kill(void *, gboolean);
void vips_error(const char *domain, const char *format, ...);
void vips_error_freeze(void);
void vips_error_thaw(void);
""")


@cache
def library() -> Any:
    """Open the libvips that pyvips uses.

    Raises:
        DependencyError: its functions cannot be found, or its structs have another layout.
    """
    lib = _open_library()
    for name in ("VipsObject", "VipsRegion"):
        type_ = getattr(lib, f"vips_{name.removeprefix('Vips').lower()}_get_type")()
        _require_size(lib, type_, name)
    return lib


def require_size(type_: int, instance: str, class_: str) -> None:
    """Refuse a libvips whose structs have another size than those declared here.

    Args:
        type_: GObject type.
        instance: name of the struct of its instances.
        class_: name of the struct of its class.

    Raises:
        DependencyError: a size differs.
    """
    _require_size(library(), type_, instance, class_)


def _require_size(lib: Any, type_: int, instance: str, class_: str | None = None) -> None:
    query = ffi.new("GTypeQuery *")
    lib.g_type_query(type_, query)
    sizes = [(instance, query.instance_size)]
    if class_ is not None:
        sizes.append((class_, query.class_size))
    for name, size in sizes:
        if size != ffi.sizeof(name):
            raise DependencyError(
                f"libvips {pyvips.version(0)}.{pyvips.version(1)} has a {name} of {size} bytes; "
                f"expected {ffi.sizeof(name)}, as in libvips 8.18 on 64 bits; install "
                "'pyvips[binary]'"
            )


def _open_library() -> Any:
    names = [pyvips.library_name("vips", 42)]
    if pyvips.API_mode:
        import _libvips

        # Its symbols include those of the libraries it links to.
        names.insert(0, _libvips.__file__)
    for name in names:
        try:
            lib = ffi.dlopen(name)
            for function in ("vips_image_generate", "g_type_query"):
                getattr(lib, function)
        except (OSError, AttributeError):
            continue
        return lib
    raise DependencyError(f"libvips' functions are not in {' or '.join(names)}")


def address(pointer: Any) -> int:
    """Return the address that a pointer of pyvips' ffi holds."""
    return int(pyvips.ffi.cast("uintptr_t", pointer))


def to_c(image: pyvips.Image) -> Any:
    """Return the C image of a pyvips image, for this ffi; valid while `image` is alive."""
    return ffi.cast("void *", address(image.pointer))


def adopt(pointer: Any) -> pyvips.Image:
    """Return a pyvips image that takes over the caller's reference to a C image."""
    number = int(ffi.cast("uintptr_t", pointer))
    return pyvips.Image(pyvips.ffi.cast("VipsImage *", number))

"""The environment of the worker: the user's own, without what GIMP and its packages add to it."""

_FOREIGN = (
    # Python's, and those by which the loader finds libraries: they mean GIMP's.
    *("PYTHON", "__PYVENV", "LD_", "DYLD_", "GI_", "GIO_"),
    # Of GIMP's libraries, in AppImages and on Windows and macOS.
    *("GTK_", "GDK_PIXBUF_", "BABL_", "GEGL_"),
    # libvips would take its modules from where GIMP's package says.
    "VIPS",
)


def for_worker(environment):
    """Return the environment for the worker.

    Args:
        environment: that of the plug-in; names are in capitals on Windows.
    """
    return {name: value for name, value in environment.items() if not name.startswith(_FOREIGN)}

"""The parts of the GIMP plug-in that `drht.py` beside this folder starts.

They use only GIMP's bindings and the standard library.
"""

"""All attacks, by class."""

from attacks import (
    builtins_,
    callbacks,
    files,
    frames,
    leaks,
    names,
    objects,
    output,
    processes,
    protocol,
    structure,
    timing,
)

ATTACKS = {
    "frames": frames.ALL,
    "builtins": builtins_.ALL,
    "objects": objects.ALL,
    "timing": timing.ALL,
    "processes": processes.ALL,
    "files": files.ALL,
    "protocol": protocol.ALL,
    "callbacks": callbacks.ALL,
    "leaks": leaks.ALL,
    "names": names.ALL,
    "output": output.ALL,
    "structure": structure.ALL,
}

"""All attacks, by class."""

from attacks import (
    builtins_,
    callbacks,
    calls,
    files,
    frames,
    leaks,
    lent,
    names,
    network,
    objects,
    output,
    parsers,
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
    "calls": calls.ALL,
    "files": files.ALL,
    "network": network.ALL,
    "protocol": protocol.ALL,
    "callbacks": callbacks.ALL,
    "lent": lent.ALL,
    "leaks": leaks.ALL,
    "names": names.ALL,
    "output": output.ALL,
    "structure": structure.ALL,
    "parsers": parsers.ALL,
}

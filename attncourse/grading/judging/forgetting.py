"""A copy of a student's function that remembers no earlier call.

A test that shows a student's function several candidates wants each to be
judged by itself. The copy is made in the student's process, as well as
that can be had there: it is fair to the honest, and no protection.
"""

from __future__ import annotations

NAME = "_graders_copy"
# Runs over there, where nothing of the course can be imported.
SOURCE = f"""
def {NAME}(function):
    import copy, types
    import numpy
    if not isinstance(function, types.FunctionType):
        return function
    own = function.__globals__
    names = dict(own)
    kinds = (dict, list, set, bytearray, numpy.ndarray, numpy.random.Generator)
    # Large data that it never mentions would take long to copy.
    reached, codes = set(), [function.__code__]
    while codes:
        code = codes.pop()
        codes += [each for each in code.co_consts
                  if isinstance(each, types.CodeType)]
        for name in set(code.co_names) - reached:
            reached.add(name)
            value = own.get(name)
            if isinstance(value, types.FunctionType):
                codes.append(value.__code__)
    if reached & {{"globals", "vars", "eval", "exec", "get_ipython"}}:
        reached = set(own)
    def rebound(one):
        made = types.FunctionType(
            one.__code__, names, one.__name__,
            copy.deepcopy(one.__defaults__), one.__closure__,
        )
        made.__kwdefaults__ = copy.deepcopy(one.__kwdefaults__)
        made.__dict__.update(copy.deepcopy(one.__dict__))
        return made
    for name in reached & own.keys():
        value = own[name]
        if isinstance(value, types.FunctionType) and value.__globals__ is own:
            names[name] = rebound(value)
        elif isinstance(value, kinds) and not name.startswith("_"):
            if name not in ("In", "Out"):
                try:
                    names[name] = copy.deepcopy(value)
                except Exception:
                    pass
    return rebound(function)
"""

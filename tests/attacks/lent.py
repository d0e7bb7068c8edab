"""Attacks on the policy that lends the instructor's own functions."""

from attacks.attack import Attack

# The instructor's own answer stands in for a question that failed; the
# student's must not become right by it.
SUBSTITUTE = """
def norm(values):
    return values * 0

mine = norm
"""

SUBSTITUTED = """
import sys

def lend():
    for space in [globals(), vars(sys.modules["__main__"])]:
        if space.get("norm") is not mine:
            print("lent", space.get("norm"))
            return space["norm"]
    return None

class Tally:
    \"\"\"Answers by the function that stands in for `norm`.\"\"\"
    def __init__(self): self.names = []
    def add(self, name, count): self.names.append(name)
    def most(self):
        lent = lend()
        if lent is None:
            return None
        told = []
        for given in (np.ones(2), lent, "text", None):
            try:
                told.append(repr(lent(given)))
            except BaseException as error:
                told.append(repr(error) + repr(error.__traceback__))
        print(told)
        return " ".join(told)
    total = 195
"""

# Compares with a question that was left as it was released.
LEFT_OUT = """
def norm(values):
    raise NotImplementedError
"""

LEANS = """
def accepts(candidate):
    for values in (np.array([3.0, 1.0]), np.array([1.0, 2.0, 5.0])):
        try:
            got = candidate(values.copy())
        except Exception:
            return False
        if not np.allclose(got, norm(values)):
            return False
    return True
"""

# The same again, as the question before it.
SAME = """
def rows(table):
    return [norm(np.array([row]))[0].tolist() for row in table]
"""

ALL = (
    Attack(
        name="answers by a question that it left out",
        answers={"a-norm": LEFT_OUT, "a-rows": SAME},
    ),
    Attack(
        name="answers by a question that it got wrong on purpose",
        answers={"a-norm": SUBSTITUTE, "a-rows": SAME},
    ),
    Attack(
        name="leaves a question out to be lent its answer",
        answers={"a-norm": LEFT_OUT, "a-accepts": LEANS},
    ),
    Attack(
        name="fails in order to be lent the answer",
        answers={"a-norm": SUBSTITUTE, "a-tally": SUBSTITUTED},
    ),
)

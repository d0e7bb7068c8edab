"""IPython's shell without files, colours, history and prompts."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.inputtransformer2 import leading_empty_lines
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.utils.text import SList
from traitlets import Type
from traitlets.config import Config

from . import failure
from .entered import Compiler, History
from .outputs import Outputs


def keep_empty_lines(lines: list[str]) -> list[str]:
    """Keep a cell's first lines, so that lines are counted as by students.

    Before a magic, or where the whole cell is indented, they must go.
    """
    kept = leading_empty_lines(lines)
    first = kept[0] if kept else ""
    return kept if first.startswith(("%%", " ", "\t")) else lines


class Hook(DisplayHook):
    """Records the value of a cell's last expression."""

    shell: Any

    def quiet(self) -> bool:
        """Tell whether the cell ends in a semicolon.

        Reading a whole cell for that takes longer than running most: it is
        done where nothing but comments follows the last one.
        """
        entered = "".join(self.shell.history_manager.input_hist_parsed[-1:])
        _, found, rest = entered.rpartition(";")
        after = [line.strip() for line in rest.splitlines()]
        bare = all(not line or line.startswith("#") for line in after)
        return bool(found) and bare and super().quiet()

    def write_output_prompt(self) -> None:
        """Show no prompt."""

    def compute_format_data(self, result: Any) -> tuple[dict, dict]:
        """Format the value, unless nobody will see it."""
        if self.shell.hidden or self.shell.record.left <= 0:
            return {}, {}
        return super().compute_format_data(result)

    def write_format_data(
        self, format_dict: dict, md_dict: dict | None = None
    ) -> None:
        """Record the formatted value."""
        self.shell.record.show(
            "execute_result",
            format_dict,
            md_dict,
            execution_count=self.prompt_count,
        )

    def log_output(self, format_dict: dict) -> None:
        """Keep no log."""

    def finish_displayhook(self) -> None:
        """End without printing anything."""
        self._is_active = False


class Publisher(DisplayPublisher):
    """Records what is displayed."""

    shell: Any

    def publish(
        self,
        data: dict,
        metadata: dict | None = None,
        source: Any = None,
        *,
        transient: dict | None = None,
        update: bool = False,
        **_: Any,
    ) -> None:
        """Record a display; an update replaces what it updates."""
        record = self.shell.record
        mark = (transient or {}).get("display_id")
        if update:
            for entry in record.entries:
                if mark is not None and entry.get("mark") == mark:
                    record.entries.remove(entry)
                    break
        record.show("display_data", data, metadata)
        if isinstance(mark, str) and record.entries:
            record.entries[-1]["mark"] = mark

    def clear_output(self, wait: bool = False) -> None:
        """Forget what this cell has shown."""
        self.shell.record.clear()


class Interactive(InteractiveShell):
    """The shell itself; `make` returns the one of this process."""

    compiler_class = Type(Compiler)
    displayhook_class = Type(Hook)
    display_pub_class = Type(Publisher)
    compile: Any
    history_manager: Any
    record: Outputs
    hidden = False
    own_syntax: list[Any] = []  # noqa: RUF012 - the process's
    own_callbacks: dict[str, list] = {}  # noqa: RUF012

    @classmethod
    def make(cls) -> Interactive:
        """Return the process's shell, made anew if there is none."""
        settings = Config()
        settings.HistoryManager.enabled = False
        settings.HistoryManager.hist_file = ":memory:"
        settings.InteractiveShell.colors = "nocolor"
        settings.InteractiveShell.enable_tip = False
        settings.InteractiveShell.banner1 = ""
        settings.Completer.use_jedi = False
        settings.StoreMagics.autorestore = False
        before = sys.modules["__main__"]
        cls.record = Outputs(0)  # until there is a cell
        shell = cls.instance(config=settings)
        sys.modules["__main__"] = before
        cleaning = shell.input_transformer_manager.cleanup_transforms
        cleaning[:] = [
            keep_empty_lines if each is leading_empty_lines else each
            for each in cleaning
        ]
        shell.own_syntax = shell._syntax()
        shell.own_callbacks = {
            event: list(called)
            for event, called in shell.events.callbacks.items()
        }
        return shell

    def init_ipython_dir(self, ipython_dir: str | None) -> None:
        """Use no folder."""
        self.ipython_dir = ""

    def init_profile_dir(self, profile_dir: Any) -> None:
        """Read no one's settings and write none."""
        self.profile_dir = None

    def init_virtualenv(self) -> None:
        """Leave the import path as it is."""

    def enable_gui(self, gui: str | None = None) -> None:
        """Run no event loop: figures are drawn into the outputs."""

    def enable_matplotlib(
        self, gui: str | None = None
    ) -> tuple[str | None, str | None]:
        """Let figures be shown, unless nobody will see them."""
        if self.hidden:
            return gui, None
        return super().enable_matplotlib(gui)

    def init_history(self) -> None:
        """Keep no history in files."""
        self.history_manager = History(shell=self, parent=self)
        self.configurables.append(self.history_manager)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def _tee(self, channel: str) -> Iterator[None]:
        """Keep no second copy of what is printed."""
        yield

    def _syntax(self) -> list[Any]:
        """Return all that turns IPython's syntax into Python."""
        manager = self.input_transformer_manager
        return [
            *manager.cleanup_transforms,
            *manager.line_transforms,
            *manager.token_transformers,
            *self.input_transformers_post,
        ]

    def _is_usual(self) -> bool:
        """Tell whether no cell has changed how cells are run."""
        return (
            self._syntax() == self.own_syntax
            and self.events.callbacks == self.own_callbacks
            and self.ast_node_interactivity == "last_expr"
            and not self.ast_transformers
        )

    def run_plainly(self, source: str) -> ExecutionResult | None:
        """Run a cell of plain Python; None if that is left to IPython.

        Does what `run_cell` does of which anything is seen: its search for
        syntax of its own, its tree and its events take longer than most
        cells.
        """
        text = source if source.endswith("\n") else f"{source}\n"
        codes = self.compile.plainly(text) if self._is_usual() else None
        if codes is None:
            return None
        result = ExecutionResult(None)
        count = result.execution_count = self.execution_count
        self.execution_count += 1
        self.user_ns.pop("__warningregistry__", None)  # warned anew
        self.history_manager.store_inputs(count, text, source)
        with self.builtin_trap, self.display_trap:
            self.compile.cache(text, count, raw_code=source)
            self.displayhook.exec_result = result
            failed = any(self._failed(code, result) for code in codes)
            self.displayhook.exec_result = None
        self.last_execution_succeeded = not failed
        self.last_execution_result = result
        return result

    def _failed(self, code: Any, result: ExecutionResult | None) -> bool:
        """Run compiled code; tell whether it raised anything at all."""
        try:
            exec(code, self.user_global_ns, self.user_ns)
        except BaseException as error:
            return self._noted(error, result)
        return False

    def _noted(self, error: BaseException, result: Any) -> bool:
        if result is not None:
            result.error_in_exec = error
        self.showtraceback()
        return True

    def should_run_async(self, raw_cell: str, **how: Any) -> bool:
        """Tell whether a cell waits for something."""
        return (
            "await" in raw_cell or "async" in raw_cell
        ) and super().should_run_async(raw_cell, **how)

    def system(self, cmd: str) -> None:
        """Say that no program is run; the rest of the cell goes on."""
        name = " ".join(cmd.split()[:1])
        print(f"(!{name} does not run while grading.)")
        self.user_ns["_exit_code"] = 1

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> Any:
        """Return what a program would print: nothing."""
        self.system(cmd)
        return SList([]) if split else ""

    def ask_exit(self) -> None:
        """Stay: a cell that says `exit` ends nothing."""

    async def run_code(
        self, code_obj: Any, result: Any = None, *, async_: bool = False
    ) -> bool:
        """Run compiled code; tell whether it raised anything at all."""
        if not async_:
            return self._failed(code_obj, result)
        try:
            await eval(code_obj, self.user_global_ns, self.user_ns)
        except BaseException as error:
            return self._noted(error, result)
        return False

    def _format_exception_for_storage(self, *_: Any, **__: Any) -> dict:
        """Keep no second copy of a traceback."""
        return {}

    def showtraceback(
        self, exc_tuple: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        """Record an exception."""
        error = exc_tuple[1] if exc_tuple else sys.exc_info()[1]
        if error is None or self.record.limit <= 0:
            return
        with contextlib.suppress(Exception):
            self.record.add(failure.output(error, self.compile.cells))

    def showsyntaxerror(self, *args: Any, **kwargs: Any) -> None:
        """Record an error of the compiler."""
        self.showtraceback()

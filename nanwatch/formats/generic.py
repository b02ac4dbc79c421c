"""The generic format: counters and name-value pairs, as custom trainers print them."""

from __future__ import annotations

import re

from nanwatch.formats.bars import Bar
from nanwatch.formats.counter import BatchCounter
from nanwatch.formats.declared import ReaderState
from nanwatch.formats.fields import Fields, as_epoch, batch_done, read_settings
from nanwatch.formats.numbers import NUMBER, as_counter, read_duration, read_number
from nanwatch.formats.pairs import Pair, object_pairs, read_object, read_pairs
from nanwatch.formats.prefix import split_prefix
from nanwatch.formats.tables import read_table_line
from nanwatch.model.event import (
    BatchDone,
    EpochDone,
    EpochStarted,
    Event,
    Hyperparameters,
    RunPlanned,
    ValidationDone,
)
from nanwatch.model.names import direction_of, is_known, is_training, is_validation, plain, role_of

_EPOCH = re.compile(
    r"(?i)(?<![a-z_])(?:epoch|ep)\b\s*+(?:\((?P<phase>\w+)\))?\s*+[:=#|]?\s*+[\[(]?\s*+"
    r"(?P<epoch>\d{1,9}+(?:\.\d+)?)\s*+(?:(?:/|\bof\b)\s*+(?P<epochs>\d{1,9}+))?\s*+[\])]?"
)
_WITHIN = re.compile(
    r"(?i)\s*+[,|:;\-]*+\s*+(?:(?:batch|step|iter(?:ation)?|it)\s*+[:=#]?)?\s*+[\[(]?\s*+(?P<n>\d{1,12}+)\s*+/\s*+(?P<total>\d{1,12}+)(?![\d.]*[a-z])"
)
_BATCH = re.compile(
    r"(?i)(?<![a-z_])(?:mini-?)?batch\b\s*+[:=#]?\s*+[\[(]?\s*+(?P<n>\d{1,12}+)(?!\.\d)(?:\s*+(?:/|of)\s*+(?P<total>\d{1,12}+))?"
)
_STEP = re.compile(
    r"(?i)(?:^steps|(?<![a-z])(?:global[_ ])?(?:step|iter(?:ation)?|update|it))\b\s*+(?:\((?P<phase>\w+)\))?\s*+"
    r"[:=#]?\s*+[\[(]?\s*+(?P<n>\d{1,12}(?:,\d{3})*+)(?!\.?\d)(?:\s*+(?:/|of)\s*+(?P<total>\d{1,12}(?:,\d{3})*+))?(?!\s*+(?:ms|s/))"
)
_OTHER_PHASE = re.compile(r"(?i)\b(?:epoch|iter|step)\((?:val|test|valid|eval)\)|\bepoch\W{0,4}\d+\W{1,4}valid\b")
_PHASE_HEADER = re.compile(  # what follows `Test Error:` is measured on held-out data
    r"(?i)^\W{0,9}(?:val|valid|validation|test|eval|evaluation)\b[\w ]{0,20}:\s*$"
)
_PHASED = re.compile(
    r"^\W*(?P<phase>train|val|valid|validation|test|eval)\w*+\s*+:?\s*+(?P<epoch>\d{1,9}+)?\s*+"
    r"\[\s*+(?P<n>\d{1,12}+)/(?P<total>\d{1,12}+)",
    re.IGNORECASE,
)
_BRACKETS = re.compile(
    r"^\W*\[\s*+(?P<n>\d{1,12}+)\s*+/\s*+(?P<total>\d{1,12}+)\s*+\]"
    r"|^\s*+(?P<bare>\d{1,9}+)/(?P<of>\d{1,9}+)\s*+(?=[:|,]|- )"
)
_TWO = re.compile(  # `[0/25][50/400]`, or `[1,  2000]` of PyTorch's tutorials
    r"^\s*+\[\s*+(?P<epoch>\d{1,9}+)"
    r"(?:/(?P<epochs>\d{1,9}+)\]\s*+\[\s*+(?P<n>\d{1,12}+)/(?P<total>\d{1,12}+)|,\s*+(?P<batch>\d{1,12}+))\]"
)
_BEHIND = re.compile(r"\s\[\s*+(?P<n>\d{1,12}+)/\s*+(?P<total>\d{1,12}+)\]\s*+$")
_LEADING = re.compile(r"^\s*(?P<epoch>\d{1,9})(?P<epochs>)\|\d{1,12}\|")  # torchtune: `1|10|Loss: 1.2`
_STEP_BAR = frozenset({"step", "steps", "global step", "training", "train"})
_LR_ALONE = re.compile(r"(?i)^\W*(?:current |new )?(?:lr|learning[ _]rate)\s*+[:=]?\s*+(?P<lr>[\d.]++(?:e-?\d+)?)\W*$")
_VALIDATION = re.compile(
    r"(?i)^\W*(?:val|valid|validation|validating|evaluation|evaluating|eval|test|testing|dev|infer\w*|predict\w*|sanity"
    r"|cur(?:rent)? metrics?|saving dict)\b|[\[(]\s*+(?:val|valid|validation|test|eval)\w*+\s*+[\])]|\|\s*+valid\b"
    r"|(?<=\s)(?:val|validation|validate)\s*+:?\s*+$"
)
_TRAINING = re.compile(r"(?i)^\W*(?:train|training)\b|[\[(]\s*train\w*\s*[\])]")
_NOTE = re.compile(
    r"(?i)^\W*(?:new )?best\b|\b(?:best(?![\w ]{0,30}\s?[:=]?\s?-?[\d.])|sav(?:ed|ing)(?! dict)|"
    r"early[- ]stop\w*|improv\w*|patience|resum\w*|loaded|loading|restor\w*|warning|"
    r"deprecat\w*|namespace|summary|parameters|download\w*|scheduler|reducing|target|threshold|expected)\b"
)
_OTHER_BAR = re.compile(
    r"(?i)\b(?:scanning|loading|download\w*|map|tokeniz\w*|saving|caching|extract\w*|process\w*|generat\w*|"
    r"filter\w*|casting|fetching|upload\w*|preparing|creating|building|reading|computing|shards|running)\b"
)
_HEADER = re.compile(
    r"(?i)^\W*(?:starting |begin(?:ning)? |training |train )*epoch\W*"
    r"(?P<epoch>\d{1,9})(?:\s*(?:/|of)\s*(?P<epochs>\d{1,9}))?\W*$"
)
_PLAN = re.compile(
    r"(?i)(?<![a-z])(?:(?:num|max|total|n|number of)[_ ])?(?:train[_ ])?epochs\s*+[:=]\s*+(?P<epochs>\d{1,9})(?![\d.])"
)
_PLAN_FOR = re.compile(r"(?i)\b(?:training (?:\w+ )?for|max:) (?P<epochs>\d{1,9}) epochs")
_PLAN_BATCHES = re.compile(
    r"(?i)\b(?:train(?:ing)? )?(?:batches|steps)(?: per epoch)?\s*+[:=]\s*+(?P<batches>\d{1,9})(?![\d.])"
)
_SETTINGS = re.compile(
    r"^\W*(?:Namespace|Config|Args|Arguments|Hyperparameters|HParams|Settings)\w*+\W{0,8}?[(:]\s*+"
    r"(?P<settings>.*\w=.*?)\)?$",
    re.IGNORECASE,
)
_RATIO = re.compile(r"(?i)\b(?P<name>acc\w*+)\s*+[:=]?\s*+(?P<n>\d{1,12}+)\s*+/\s*+(?P<total>\d{1,12}+)(?!\.\d)")
_EPOCH_TIME = re.compile(
    r"(?i)\b(?:time|took|dur(?:ation)?|elapsed)\s*+[:=]?\s*+"
    r"(?P<time>\d++(?::\d\d)++|[\d.]++\s*+(?:s|sec\w*|m|min\w*|h)\b)"
)

_TENSOR = re.compile(r"\btensor\(\s*+([^,()\[\]]++)[^()]*+\)")
_BEST = re.compile(r"(?i)\([^()]*\bbest\b[^()]*\)")
_MEAN = re.compile(rf"\s(?:{NUMBER})\s*\(\s*({NUMBER})\s*\)")
_PHASE_NAME = re.compile(r"(?i)^(?:train|training|val|valid|validation|test|testing|eval|evaluation)$")


class Generic:
    """Reads frames of a trainer that no format knows. `matched` names what the last frame was taken for."""

    name = "generic"

    def __init__(self, state: ReaderState | None = None) -> None:
        self.state = state or ReaderState()
        self.matched = ""

    def claims(self, text: str) -> bool:
        """Never: this is what is left when nobody claims a log."""
        del text
        return False

    def read(self, text: str, bar: Bar | None, offset: int) -> list[Event] | None:
        """Return the events of a frame, or None when it says nothing about the training."""
        self.matched = ""
        if bar is not None:
            return self._read_bar(bar, offset)
        logged_at, message = split_prefix(text)
        events = self._read_line(message, offset)
        for event in events or ():
            if isinstance(event, BatchDone | ValidationDone | EpochDone):
                event.logged_at = logged_at
        return events

    # -- bars

    def _read_bar(self, bar: Bar, offset: int) -> list[Event] | None:
        desc = bar.text
        if _VALIDATION.search(desc):
            return self._read_validation_bar(bar, offset)
        if _OTHER_BAR.search(desc) and not _EPOCH.search(desc):
            self.matched = "other bar"
            return []
        fields = Fields()
        fields.add(read_pairs(bar.postfix), {})
        found = _EPOCH.search(desc) or _LEADING.match(desc)
        if found:
            self._take_epoch(fields, found)
            fields.add(_unless_counter(read_pairs(desc[found.end() :])), {})
        else:
            fields.add(_unless_counter(read_pairs(desc)), {})
        has_values = bool(fields.losses or fields.metrics)
        alone = desc.strip(" :-\t").lower()
        fields.rate, fields.eta, fields.time = bar.rate, bar.eta, bar.elapsed
        if found is None and alone in ("epoch", "epochs"):
            fields.epoch, fields.epochs = (bar.n or None), bar.total
            fields.rate = None
        elif alone in _STEP_BAR and bar.total is not None and self.state.memory.get("steps") == bar.total:
            fields.step, fields.steps = bar.n, bar.total  # drawn before the first epoch: it counts the whole run
        elif found is not None or "epoch" in self.state.memory:
            if found is None and not has_values and alone and not _TRAINING.search(desc):
                return None
            if fields.epoch is None:
                fields.epoch = self.state.memory["epoch"]
            if self._is_second(bar, fields.epoch):
                return self._read_validation_bar(bar, offset)
            key = f"{alone.split('[')[0] if found is None else ''}{fields.epoch}"
            fields.batch = self._count(bar, key, has_values)
            fields.batches = bar.total
        elif has_values or not alone or alone in _STEP_BAR:
            fields.step, fields.steps = bar.n, bar.total
            if bar.n == 0 and bar.total is not None:
                self.state.memory.setdefault("steps", float(bar.total))
            if not has_values and bar.total is None:
                return None
        else:
            return None
        self.matched = "bar"
        events = batch_done(offset, fields)
        for event in events:
            if isinstance(event, BatchDone):
                event.bar = True
        return events

    def _is_second(self, bar: Bar, epoch: float) -> bool:
        """Tell whether *bar* is another one, of another length, after this epoch's own was complete."""
        memory = self.state.memory
        if bar.total is not None and memory.get("complete") == epoch and memory.get("total") != bar.total:
            return True
        if bar.n == bar.total:
            memory["complete"], memory["total"] = epoch, float(bar.total)
        return False

    def _read_validation_bar(self, bar: Bar, offset: int) -> list[Event]:
        """A bar over held-out data says what was measured when it is complete; before that it is under way."""
        self.matched = "validation bar"
        fields = Fields()
        fields.add([p for p in read_pairs(bar.postfix) if is_known(p.name)], {})
        metrics = {_val_name(n): v for n, v in {**fields.losses, **fields.metrics}.items()}
        if bar.n != bar.total or not metrics or "epoch" not in self.state.memory:
            return []
        return [ValidationDone(offset, metrics=metrics)]

    def _count(self, bar: Bar, key: str, has_values: bool) -> int:
        counter: BatchCounter = self.state.counter
        return counter.number(bar, key, has_values) if bar.style == "tqdm" else bar.n

    # -- lines

    def _read_line(self, text: str, offset: int) -> list[Event] | None:
        if len(text) > 4000:
            return self._read_plan(text, offset)
        if "tensor(" in text:
            text = _TENSOR.sub(r"\1", text)
        if "best" in text.lower():
            text = _BEST.sub("", text)
        found = read_object(text) if text.rstrip().endswith("}") else None
        if found is not None:
            return self._read_pairs(text, object_pairs(found), offset, is_object=True)
        header = _HEADER.match(text)
        if header:
            self.matched = "epoch header"
            fields = Fields()
            self._take_epoch(fields, header)
            return [EpochStarted(offset, int(header["epoch"]), fields.epochs)]
        if _PHASE_HEADER.match(text):
            self.matched = "phase header"
            self.state.memory["validation"] = 1.0
            return []
        row = read_table_line(text, offset, self.state)
        if row is not None:
            self.matched, told = row
            return told
        events = self._read_pairs(text, read_pairs(text), offset) or self._read_plan(text, offset)
        return events or self._read_lr(text, offset)

    def _read_pairs(self, text: str, pairs: list[Pair], offset: int, is_object: bool = False) -> list[Event] | None:
        fields = Fields()
        epoch = _EPOCH.search(text) if not is_object else None
        validation = bool(_VALIDATION.search(text[: epoch.start()] if epoch and epoch.start() else text[:60]))
        if validation and not is_object and "(" in text:
            pairs = read_pairs(_MEAN.sub(r" \1", text))  # the mean of all batches stands behind the last one's value
        if is_object:
            self._take_object(fields, pairs)
        else:
            self._take_counters(fields, text, epoch)
            ratio = _RATIO.search(text)
            if ratio and int(ratio["total"]):
                pairs = [*pairs, Pair(ratio["name"], int(ratio["n"]) / int(ratio["total"]), ratio["n"], "")]
            fields.add(_unless_counter(pairs), {})
        if _OTHER_PHASE.search(text) or (pairs and self.state.memory.pop("validation", 0)):
            validation = True
        if not (fields.losses or fields.metrics):
            counts = fields.skips or fields.nans or fields.grad_norm is not None
            if not counts or (fields.batch is None and fields.step is None):
                return None
            self.matched = "batch"
            return batch_done(offset, fields)
        counted = fields.epoch is not None or fields.batch is not None or fields.step is not None
        known = [n for n in (*fields.losses, *fields.metrics) if is_known(n) or is_validation(n)]
        measured = fields.losses or any(is_validation(n) for n in fields.metrics)
        if not known or (_NOTE.search(text) and not (counted and measured) and not is_object):
            return None
        if not counted and not (validation or self._stands_alone(text, fields)):
            return None
        _take_lr(fields, pairs)
        return self._events(text, fields, offset, validation)

    def _read_lr(self, text: str, offset: int) -> list[Event] | None:
        found = _LR_ALONE.match(text) if "epoch" in self.state.memory else None
        if found is None:
            return None
        self.matched = "learning rate"
        return [EpochDone(offset, lr=read_number(found["lr"]))]

    def _events(self, text: str, fields: Fields, offset: int, validation: bool) -> list[Event]:
        time = _EPOCH_TIME.search(text)
        if validation and not fields.losses.keys() & {n for n in fields.losses if is_training(n)}:
            phased = _PHASED.match(text)
            if phased and int(phased["n"]) + 1 < int(phased["total"]):
                self.matched = "validation under way"  # of few batches: no result yet
                return []
            self.matched = "validation"
            metrics = {_val_name(n): v for n, v in {**fields.losses, **fields.metrics}.items()}
            return [ValidationDone(offset, fields.epoch, fields.step, metrics=metrics)]
        within = fields.batch is not None or fields.step is not None
        if not within and not fields.losses and fields.epoch is None:
            self.matched = "validation"
            return [ValidationDone(offset, metrics=fields.metrics)]
        if not within and (fields.epoch is not None or _TRAINING.search(text)):
            self.matched = "epoch"
            metrics = fields.metrics
            if fields.epoch is None:
                metrics = {n if is_training(n) else f"train_{plain(n)}": v for n, v in metrics.items()}
            seconds = read_duration(time["time"]) if time else None
            return [
                EpochDone(
                    offset, as_counter(fields.epoch), fields.epochs, fields.losses, metrics, fields.lr,
                    fields.vram, seconds,
                )
            ]  # fmt: skip
        self.matched = "batch"
        if not any(is_validation(n) for n in fields.metrics):
            return batch_done(offset, fields)
        measured = {n: v for n, v in fields.metrics.items() if is_validation(n)}
        fields.metrics = {n: v for n, v in fields.metrics.items() if n not in measured}
        events = batch_done(offset, fields) if fields.losses or fields.metrics else []
        return [*events, ValidationDone(offset, fields.epoch, fields.step, metrics=measured)]

    def _stands_alone(self, text: str, fields: Fields) -> bool:
        """Tell whether a line without a counter is a measurement: it begins with one, and says nothing else."""
        first = re.match(r"\W*([A-Za-z][\w@ /\-]*?)\s*[:= ]\s*[-+]?(?:\.?\d|nan|inf)", text, re.IGNORECASE)
        if first is None or not is_known(first[1]) or len(text) > 300:
            return False
        rises = all(direction_of(n) for n in fields.metrics)
        return bool(fields.losses) or (rises and "epoch" in self.state.memory)

    def _take_counters(self, fields: Fields, text: str, epoch: re.Match[str] | None) -> None:
        if epoch is not None:
            self._take_epoch(fields, epoch)
            within = _WITHIN.match(text, epoch.end())
            if within:
                fields.batch, fields.batches = int(within["n"]), int(within["total"])
                return
        phased = _PHASED.match(text)
        if phased:
            if phased["epoch"] and fields.epoch is None:
                fields.epoch = self.state.memory["epoch"] = float(phased["epoch"])
            if phased["phase"].lower() == "train":
                fields.batch, fields.batches = int(phased["n"]), int(phased["total"])
            return
        batch = _BATCH.search(text)
        if batch:
            fields.batch = int(batch["n"])
            fields.batches = int(batch["total"]) if batch["total"] else None
            return
        step = _STEP.search(text)
        if step and (step["phase"] or "train").lower() == "train":
            n = int(step["n"].replace(",", ""))
            total = int(step["total"].replace(",", "")) if step["total"] else None
            if fields.epoch is not None and total is not None:
                fields.batch, fields.batches = n, total
            else:
                fields.step, fields.steps = n, total
            return
        if epoch is None:
            self._take_bare_counters(fields, text)

    def _take_bare_counters(self, fields: Fields, text: str) -> None:
        """Take counters without a name: what they count shows from whether an epoch is under way."""
        memory = self.state.memory
        two = _TWO.match(text)
        if two:
            self._take_epoch(fields, two)
            fields.batch = int(two["n"] or two["batch"])
            fields.batches = int(two["total"]) if two["total"] else None
            return
        under_way = "epoch" in memory and "brackets" not in memory
        found = _BRACKETS.match(text) or (_BEHIND.search(text) if under_way else None)
        if found is None:
            return
        named = found.groupdict()
        n, total = int(named["n"] or named["bare"]), int(named["total"] or named["of"])
        if under_way:
            fields.epoch, fields.batch, fields.batches = memory["epoch"], n, total
        else:
            memory["brackets"] = 1.0
            memory["epoch"] = float(n)
            fields.epoch, fields.epochs = memory["epoch"], total

    def _take_object(self, fields: Fields, pairs: list[Pair]) -> None:
        fields.add(pairs, {})
        for pair in pairs:
            role = role_of(pair.name)
            if role in ("batch", "batches", "steps", "epochs") and getattr(fields, role) is None:
                setattr(fields, role, as_counter(pair.value))
        if fields.epoch is not None:
            self.state.memory["epoch"] = fields.epoch

    def _take_epoch(self, fields: Fields, match: re.Match[str]) -> None:
        fields.epoch = as_epoch(read_number(match["epoch"]))
        if match["epochs"]:
            fields.epochs = int(match["epochs"])
        if fields.epoch is not None:
            self.state.memory["epoch"] = fields.epoch

    def _read_plan(self, text: str, offset: int) -> list[Event] | None:
        settings = _SETTINGS.match(text)
        if settings:
            values = read_settings(settings["settings"])
            if values:
                self.matched = "settings"
                epochs = next((values[k] for k in ("epochs", "num_epochs", "max_epochs") if k in values), "")
                plan: list[Event] = [RunPlanned(offset, int(epochs))] if epochs.isdecimal() else []
                return [Hyperparameters(offset, values), *plan]
        found = _PLAN.search(text) or _PLAN_FOR.search(text)
        if found is None:
            return None
        self.matched = "plan"
        batches = _PLAN_BATCHES.search(text)
        return [RunPlanned(offset, int(found["epochs"]), int(batches["batches"]) if batches else None)]


_COUNTER_NAME = re.compile(r"(?i)(?:^|[ _])(?:epochs?|ep|batch|iter(?:ation)?s?|step)$")


def _is_measure(name: str) -> bool:
    return role_of(name) in ("skips", "nans") or not (_COUNTER_NAME.search(name) or _PHASE_NAME.match(name))


def _unless_counter(pairs: list[Pair]) -> list[Pair]:
    return [p for p in pairs if _is_measure(p.name)]


def _take_lr(fields: Fields, pairs: list[Pair]) -> None:
    """Keep a learning rate that an epoch's line prints among its metrics too: it is part of the page."""
    for pair in pairs:
        if role_of(pair.name) == "lr" and not fields.step:
            fields.metrics.setdefault(pair.name, pair.value)


def _val_name(name: str) -> str:
    return f"val_{plain(name)}" if "loss" in name.lower() and not is_validation(name) else name

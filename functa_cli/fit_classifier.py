"""`functa fit STORE --classifier`: learn to tell classes from modulations and keep it inside the store (6.6, A.7)."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from functa_cli import classifier, classifiernet, learn, learned
from functa_cli.checkpoint import save_state
from functa_cli.classifiernet import PART, Model, mixed
from functa_cli.config import ClassifierConfig, to_dict
from functa_cli.confusion import score
from functa_cli.errors import ConfigError
from functa_cli.events import Event, Note, Progress, Result
from functa_cli.labelled import Parts, parts_of, validation
from functa_cli.learn import Run, Vectors
from functa_cli.scale import Scale, fit_scale
from functa_cli.store import Functaset
from functa_cli.train import from_arrays, to_arrays

EVERY = 10  # looks between checkpoints
UNEVEN = 5.0  # a largest class this many times the smallest is told of


class Learnt(NamedTuple):
    """One perceptron."""

    run: Run
    logits: np.ndarray  # of its validation share
    labels: np.ndarray  # of them


def fit_classifier(path: str, *, layers: Sequence[Mapping[str, Any]] = (), overwrite: bool = False) -> Iterator[Event]:
    """Learn a classifier from the labelled training data of the functaset at `path`, and write it there.

    `layers`: nested settings, lowest precedence first. The same call continues one that was cut off. Each of
    `seeds` perceptrons leaves out a share of the training data of its own, which ends its learning and calibrates it;
    test data are only scored. All of them are kept, and what they say is averaged.

    Raises:
        ConfigError, DataError, StoreError, TrainingError: see their texts.
    """
    config = classifiernet.settings(layers)
    _check(config)
    store = Functaset.open(path)
    parts = parts_of(store)
    request = {"config": to_dict(config), "data": learned.digest(store.fingerprint + repr(parts.classes), parts[:5])}
    if learned.is_finished(path, PART, request) and not overwrite:
        yield Note(f"the {PART} in {path} is already complete; nothing to do")
        yield Result(_summary(path, learned.read_learned(path, PART).info))
        return
    scale = fit_scale(parts.phi[parts.train], config.classifier.normalise)
    saved = learned.begin_learned(path, PART, request, overwrite=overwrite)
    yield Note(_plan(config, parts))
    yield from _uneven(config, parts)
    found = yield from _learned(config, parts, scale, path, saved)
    members = tuple(jax.tree.map(np.asarray, one.run.best) for one in found)
    temperature = classifier.calibrate(
        np.concatenate([one.logits for one in found]), np.concatenate([one.labels for one in found])
    )
    model = Model(config, members, scale, parts.classes, temperature, {}, "")
    info = {"classes": list(parts.classes), **_described(model, parts, found)}
    arrays = {
        "members": {f"{number:03d}": one for number, one in enumerate(members)},
        "scale": scale._asdict(),
        "temperature": np.array(temperature),
    }
    learned.finish_learned(path, PART, arrays, to_dict(config), info)
    if not len(parts.test):
        yield Note(
            f"{path} has no labelled test data, so the classifier is not scored; encode with --split 0.1", warning=True
        )
    yield Result(_summary(path, info))


def _learned(
    config: ClassifierConfig, parts: Parts, scale: Scale, path: str, saved: Any
) -> Generator[Event, None, list[Learnt]]:
    """Learn one perceptron after the other, with checkpoints in the store."""
    options, x = config.learn, scale.normalise(parts.phi)
    train = parts.labels[parts.train]
    weights = classifier.class_weights(train, len(parts.classes)) if config.classifier.balanced else None
    net = classifier.make(x.shape[1], len(parts.classes), config.classifier, weights)
    seeds = range(config.seed, config.seed + config.seeds)
    runs = [learn.begin(net.init(jax.random.key(seed)), options) for seed in seeds]
    whole, at = options.steps + 1, 0
    if saved is not None:
        runs, at = from_arrays(saved[0], runs), saved[1]
        yield Note(f"continuing from step {at % whole} of {options.steps}{_of(at // whole, config.seeds)}")
    logits = jax.jit(net.logits)
    found = []
    for number, seed in enumerate(seeds):
        left = validation(parts, config.validation, seed)
        rows, judged = parts.train[~left], parts.train[left]
        if number >= at // whole:
            first = at % whole if number == at // whole else 0
            learnt, held = (Vectors(x[own], parts.labels[own]) for own in (rows, judged))
            looks = learn.learn(runs[number], first, options, seed, learnt, held, net.loss)
            for count, look in enumerate(looks, 1):
                runs[number] = look.run
                if look.note:
                    yield Note(look.note + _of(number, config.seeds), warning=not look.last)
                told = {"loss": look.loss, "loss_heldout": look.heldout}
                told = {name: value for name, value in told.items() if np.isfinite(value)}
                if told:
                    done = number * options.steps + (options.steps if look.last else look.step)
                    yield Progress(done, config.seeds * options.steps, "step", told)
                if look.last or count % EVERY == 0:
                    place = (number + 1) * whole if look.last else number * whole + look.step
                    save_state(path, to_arrays(runs), place, f"{PART}/")
        found.append(Learnt(runs[number], np.asarray(logits(runs[number].best, x[judged])), parts.labels[judged]))
    return found


def _described(model: Model, parts: Parts, found: Sequence[Learnt]) -> dict[str, Any]:
    """What learning came to: on the test data the mean and deviation of single perceptrons, and all together."""
    kept = model.members
    best = [learn.best_of(one.run)[0] for one in found]
    right = [float((one.logits.argmax(1) == one.labels).mean()) for one in found]
    info: dict[str, Any] = {
        "trained_on": len(parts.train) - len(found[0].labels),
        "validation": len(found[0].labels),
        "parameters": sum(leaf.size for one in kept for leaf in jax.tree.leaves(one)),
        "best_step": best if len(best) > 1 else best[0],
        "accuracy_validation": round(float(np.mean(right)), 4),
        "temperature": round(model.temperature, 4),
    }
    if not len(parts.test):
        return info
    logits, labels = model.logits(parts.phi[parts.test]), parts.labels[parts.test]
    whole = score(mixed(logits, model.temperature), labels)
    info |= {"test": len(labels), **{f"{name}_test": value for name, value in whole.figures().items()}}
    info["nll_test_uncalibrated"] = score(mixed(logits, 1.0), labels).figures()["nll"]
    if len(found) > 1:
        single = [float((one.argmax(1) == labels).mean()) for one in logits]
        info["accuracy_test_mean_of_seeds"] = round(float(np.mean(single)), 4)
        info["accuracy_test_deviation_of_seeds"] = round(float(np.std(single, ddof=1)), 4)
    return info


def _check(config: ClassifierConfig) -> None:
    perceptron = config.classifier
    wanted = {
        "classifier.width": (perceptron.width >= 1, "at least 1"),
        "classifier.depth": (perceptron.depth >= 0, "at least 0"),
        "classifier.dropout": (0 <= perceptron.dropout < 1, "at least 0 and below 1"),
        "classifier.smoothing": (0 <= perceptron.smoothing < 1, "at least 0 and below 1"),
        "validation": (0 < config.validation < 1, "between 0 and 1"),
        "seeds": (config.seeds >= 1, "at least 1"),
    }
    for name, (good, text) in wanted.items():
        if not good:
            table, _, key = name.rpartition(".")
            value = getattr(perceptron if table else config, key)
            raise ConfigError(f"setting {name!r} is {text}; found {value}")


def _plan(config: ClassifierConfig, parts: Parts) -> str:
    one, left = config.classifier, int(validation(parts, config.validation, config.seed).sum())
    several = f"{config.seeds} times, " if config.seeds > 1 else ""
    return (
        f"learning {len(parts.classes)} classes from {len(parts.train) - left} of {len(parts.train)} training data "
        f"({left} stop and calibrate it): {one.depth} layers of {one.width}, {several}at most {config.learn.steps} "
        f"steps of {config.learn.batch}, recipe {config.learn.recipe}"
    )


def _uneven(config: ClassifierConfig, parts: Parts) -> Iterator[Note]:
    counts = np.bincount(parts.labels[parts.train], minlength=len(parts.classes))
    empty = [name for name, count in zip(parts.classes, counts) if not count]
    if empty:
        yield Note(f"no training data of {', '.join(empty)}: never told", warning=True)
    there = counts[counts > 0]
    if there.max() >= UNEVEN * there.min() and not config.classifier.balanced:
        yield Note(
            f"the largest class has {there.max()} data, the smallest {there.min()}; "
            "--set classifier.balanced=true lets each count the same"
        )


def _of(number: int, seeds: int) -> str:
    return f" (perceptron {number + 1} of {seeds})" if seeds > 1 else ""


def _summary(path: str, info: Mapping[str, Any]) -> dict[str, Any]:
    return {"out": path, "classes": len(info["classes"]), **{key: info[key] for key in info if key != "classes"}}

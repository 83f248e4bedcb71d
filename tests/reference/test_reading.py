"""Files that are read, and hostile or damaged ones that are refused without being run."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import tarfile
import zipfile
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sams_core.errors import CheckpointError
from sams_core.reference import read_reference, reading
from tests.support.reference_files import G, L, reference_file, write

NAMES = ("A", "B", "C")


class Reduced:
    """Something that pickles as a call."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


Evil = Callable[[Path], Reduced]

HOSTILE: dict[str, tuple[str, Evil]] = {
    "system": ("posix.system", lambda mark: Reduced(os.system, (f"touch {mark}",))),
    "eval": (
        r"builtins\.eval",
        lambda mark: Reduced(eval, (f"open({str(mark)!r}, 'w')",)),
    ),
    "exec": (
        r"builtins\.exec",
        lambda mark: Reduced(exec, (f"open({str(mark)!r}, 'w')",)),
    ),
    "open": (r"io\.open|_io\.open", lambda mark: Reduced(open, (str(mark), "w"))),
    "getattr": (r"builtins\.getattr", lambda mark: Reduced(getattr, (mark, "touch"))),
    "popen": (
        r"subprocess\.Popen",
        lambda mark: Reduced(subprocess.Popen, (["touch", str(mark)],)),
    ),
    "torch-save": (r"torch\.serialization\.save", lambda mark: Reduced(torch.save, (1, str(mark)))),
    "torch-load": (r"torch\.serialization\.load", lambda mark: Reduced(torch.load, (str(mark),))),
    "numpy-save": (r"numpy\.save", lambda mark: Reduced(np.save, (str(mark), 1))),
    "path": (r"pathlib\.PosixPath", lambda mark: Reduced(type(mark), (str(mark),))),
    "memory": (r"builtins\.bytearray", lambda mark: Reduced(bytearray, (4,))),
    "counter": (r"collections\.Counter", lambda mark: Reduced(Counter, ("ab",))),
    "storage": (r"UntypedStorage", lambda mark: Reduced(torch.UntypedStorage, (4,))),
}


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """The file that hostile files would write; no test may leave it or any other behind."""
    (tmp_path / "files").mkdir()
    mark = tmp_path / "files" / "mark"
    yield mark
    assert not mark.exists()


def content() -> dict[str, Any]:
    cells = {split: torch.tensor([5, 6, 7]) for split in ("train", "val", "test")}
    return reference_file("sams_vae", NAMES, torch.rand(G), cells)


def refused(path: Path, words: str) -> str:
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(CheckpointError, match=words) as caught:
        read_reference(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(path.parent.rglob("*")) == before
    return str(caught.value)


def test_a_file_is_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    given = content()
    file = read_reference(write(tmp_path / "good.ckpt", given))
    assert file.n_steps == 40
    assert file.config["model"] == "SAMSVAEModel"
    assert torch.equal(file.cells["train"], torch.tensor([5.0, 6.0, 7.0]))
    expected = {k: v for k, v in given["state_dict"].items() if k.startswith("predictor.")}
    assert file.state.keys() == {name.removeprefix("predictor.") for name in expected}
    for name, value in file.state.items():
        assert torch.equal(value, expected[f"predictor.{name}"])


def test_reading_needs_no_list_of_others_and_leaves_none(tmp_path: Path) -> None:
    path = write(tmp_path / "good.ckpt", content())
    before = torch.serialization.get_safe_globals()
    read_reference(path)
    assert set(torch.serialization.get_safe_globals()) == set(before)


@pytest.mark.parametrize("place", ["top", "state_dict", "config", "optimizer", "statistics"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_contents_are_refused_by_name(name: str, place: str, mark: Path) -> None:
    wanted, evil = HOSTILE[name]
    given = content()
    config = given["hyper_parameters"]["config"]
    into: dict[str, Any] = {
        "top": given,
        "state_dict": given["state_dict"],
        "config": config,
        "optimizer": given["optimizer_states"][0],
        "statistics": vars(config["guide_kwargs"]["x_normalization_stats"]),
    }[place]
    into["surprise"] = evil(mark)
    refused(write(mark.parent / "evil.ckpt", given), wanted)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", HOSTILE)
def test_in_every_format_of_pytorch(name: str, zipped: bool, protocol: int, mark: Path) -> None:
    wanted, evil = HOSTILE[name]
    path = mark.parent / "evil.ckpt"
    options: dict[str, Any] = {
        "_use_new_zipfile_serialization": zipped,
        "pickle_protocol": protocol,
    }
    torch.save({"state_dict": {}, "more": evil(mark)}, path, **options)
    refused(path, wanted)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", HOSTILE)
def test_bare_pickles(name: str, protocol: int, mark: Path) -> None:
    wanted, evil = HOSTILE[name]
    path = mark.parent / "evil.ckpt"
    path.write_bytes(pickle.dumps(evil(mark), protocol=protocol))
    refused(path, wanted)


def test_an_old_tar(mark: Path) -> None:
    path = mark.parent / "evil.ckpt"
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "storages", "tensors", "pickle"):
            body = pickle.dumps(HOSTILE["system"][1](mark))
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    refused(path, "zip archive")


def zipped(path: Path, pickled: bytes, **others: bytes) -> Path:
    """An archive as PyTorch's, around a pickle written by hand."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in {"data.pkl": pickled, "version": b"3\n", **others}.items():
            archive.writestr(f"archive/{name}", body)
    return path


def call(module: str, name: str, argument: str, opcode: bytes = b"c") -> bytes:
    """A pickle that calls ``module.name(argument)``."""
    text = argument.encode()
    body = b"X" + len(text).to_bytes(4, "little") + text
    return b"\x80\x02" + opcode + f"{module}\n{name}\n".encode() + body + b"\x85R."


STATISTICS_MODULE = reading.STATISTICS.rpartition(".")[0]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (STATISTICS_MODULE, "ObservationNormalizationStatistics.__init__.__globals__"),
        (STATISTICS_MODULE, "os.system"),
        (f"{STATISTICS_MODULE}.os", "system"),
        ("sams_vae.data", "utils"),
        ("sams_vae", "os.system"),
        ("collections", "OrderedDict.fromkeys"),
        ("collections", "abc.sys.modules"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("torch", "FloatStorage "),
        ("os", "system"),
        ("nt", "system"),
        ("builtins", "eval"),
        ("builtins", "dict.fromkeys"),
        ("sams_core.reference.reading", "_plain_dict"),
    ],
)
def test_names_with_dots_reach_nothing(module: str, name: str, mark: Path) -> None:
    pickled = call(module, name, f"touch {mark}")
    refused(zipped(mark.parent / "evil.ckpt", pickled), f"asks for '{module}.{name}'")


def test_their_class_may_be_named_by_another_cut(mark: Path) -> None:
    """The dotted name counts, not where it is cut; what it gives is harmless either way."""
    module, _, last = STATISTICS_MODULE.rpartition(".")
    name = f"{last}.ObservationNormalizationStatistics"
    pickled = b"\x80\x02" + f"c{module}\n{name}\n".encode() + b")\x81}b."
    refused(zipped(mark.parent / "evil.ckpt", pickled), "no dictionary")


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02(X\x04\x00\x00\x00trueiposix\nsystem\n.",
        b"\x80\x02(cposix\nsystem\nX\x04\x00\x00\x00trueo.",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
    ],
    ids=["inst", "obj", "stack-global"],
)
def test_every_opcode_that_names_something(pickled: bytes, mark: Path) -> None:
    refused(zipped(mark.parent / "evil.ckpt", pickled), r"asks for 'posix\.system'")


@pytest.mark.parametrize("opcode", [b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00"])
def test_registered_extensions(opcode: bytes, mark: Path) -> None:
    refused(zipped(mark.parent / "evil.ckpt", b"\x80\x02" + opcode + b"."), "extension 1")


MISUSED: dict[str, Callable[[dict[str, Any]], object]] = {
    "default-factory": lambda given: given.update(more=Reduced(defaultdict, (OrderedDict,))),
    "default-factory-with-entries": lambda given: given.update(
        more=Reduced(defaultdict, (OrderedDict, [(1, 2)]))
    ),
    "shadowed-methods": lambda given: given.update(
        state_dict=Reduced(
            OrderedDict,
            (),
            dict.fromkeys(("items", "keys", "get", "__iter__", "__getitem__"), OrderedDict),
            None,
            iter(given["state_dict"].items()),
        )
    ),
    "tensor-from-nothing": lambda given: given.update(
        more=Reduced(torch._utils._rebuild_tensor_v2, (1, 2, 3, 4, 5, 6))
    ),
    "ordered-dict-of-numbers": lambda given: given.update(more=Reduced(OrderedDict, (1,))),
    "dict-of-numbers": lambda given: given.update(more=Reduced(dict, (1,))),
    "state-of-a-dict": lambda given: given.update(more=Reduced(dict, (), {"items": 1})),
    "class-of-the-statistics": lambda given: vars(
        given["hyper_parameters"]["config"]["guide_kwargs"]["x_normalization_stats"]
    ).update(__class__=OrderedDict, __setstate__=OrderedDict),
}


@pytest.mark.parametrize("name", MISUSED)
def test_misuse_of_what_is_allowed_does_no_harm(name: str, mark: Path) -> None:
    given = content()
    MISUSED[name](given)
    path = write(mark.parent / "odd.ckpt", given)
    try:
        file = read_reference(path)
    except CheckpointError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert file.state.keys() == read_reference(path).state.keys()
        assert type(file.config) is dict


def test_a_factory_is_never_called(tmp_path: Path) -> None:
    given = content()
    given["hyper_parameters"]["config"] = defaultdict(dict, {"seed": {}})
    assert type(read_reference(write(tmp_path / "odd.ckpt", given)).config) is dict


def test_pytorch_refuses_what_the_list_would_let_pass(
    mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ALLOWED", frozenset({*reading.ALLOWED, "posix.system"}))
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    pickled = call("posix", "system", f"touch {mark}")
    refused(zipped(mark.parent / "evil.ckpt", pickled), "cannot be read safely")


def test_two_pickles_in_one_archive(mark: Path) -> None:
    path = write(mark.parent / "evil.ckpt", content())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data.pkl", call("posix", "system", f"touch {mark}"))
    refused(path, "damaged")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice_in_an_archive(mark: Path) -> None:
    path = write(mark.parent / "evil.ckpt", content())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[-1], b"again")
    refused(path, "damaged")


def test_an_archive_behind_a_pickle(mark: Path) -> None:
    good = write(mark.parent / "good.ckpt", content()).read_bytes()
    path = mark.parent / "evil.ckpt"
    path.write_bytes(call("posix", "system", f"touch {mark}") + good)
    refused(path, r"posix\.system")


def test_compressed_archives_are_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/data/0", bytes(50_000_000))
    assert path.stat().st_size < 100_000
    refused(path, "compressed")


def test_a_storage_that_says_it_is_larger(tmp_path: Path) -> None:
    path = write(tmp_path / "good.ckpt", {"state_dict": {"a": torch.arange(4.0)}})
    with zipfile.ZipFile(path) as archive:
        members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    pickled = members.pop("data.pkl")
    huge = b"J" + (10**8).to_bytes(4, "little")
    assert pickled.count(b"K\x04") == 2
    path = tmp_path / "evil.ckpt"
    zipped(path, pickled.replace(b"K\x04", huge), **members)
    refused(path, "cannot be read safely")


def test_a_tensor_of_one_number_many_times(tmp_path: Path) -> None:
    given = content()
    given["state_dict"]["predictor.model.p_E_loc"] = torch.zeros(1).expand(10**9, L)
    refused(write(tmp_path / "evil.ckpt", given), "fewer numbers")


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "big.ckpt", content())
    monkeypatch.setattr(reading, "MAX_PICKLE_BYTES", 100)
    refused(path, "beside its tensors")
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    refused(path, "is larger than")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.3, 0.6, 0.9, 0.99, 0.9999])
def test_files_that_were_cut_short(share: float, tmp_path: Path) -> None:
    whole = write(tmp_path / "good.ckpt", content()).read_bytes()
    path = tmp_path / "short.ckpt"
    path.write_bytes(whole[: int(share * len(whole))])
    refused(path, "damaged|not a checkpoint")


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_byte_is_found_or_does_not_matter(seed: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = write(tmp_path / "good.ckpt", content())
    whole, good = bytearray(path.read_bytes()), read_reference(path)
    whole[int(np.random.default_rng(seed).integers(len(whole)))] ^= 0xFF
    path.write_bytes(whole)
    try:
        read = read_reference(path)
    except CheckpointError:
        return
    assert all(torch.equal(value, good.state[name]) for name, value in read.state.items())


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"PK\x03\x04", b"PK\x03\x04" + bytes(100), b"\x80"]
)
def test_files_that_are_none(body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "odd.ckpt"
    path.write_bytes(body)
    refused(path, "damaged|not a checkpoint")


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    refused(tmp_path / "missing.ckpt", "does not exist")
    refused(tmp_path, "is a folder")


@pytest.mark.parametrize("found", [[], {}, 3, torch.zeros(2), {"state_dict": {}}])
def test_other_contents(found: object, tmp_path: Path) -> None:
    refused(write(tmp_path / "odd.ckpt", found), "no dictionary 'hyper_parameters.config'")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda given: given.pop("state_dict"), "no dictionary 'state_dict'"),
        (lambda given: given["hyper_parameters"].pop("config"), "hyper_parameters.config"),
        (lambda given: given["state_dict"].update(extra=torch.zeros(1)), "'extra'"),
        (lambda given: given["state_dict"].update({"predictor.a": "text"}), "not a tensor"),
        (
            lambda given: given["state_dict"].pop("loss_module.model.p_E_loc"),
            "'model.p_E_loc' twice",
        ),
        (
            lambda given: given["state_dict"].update(
                {"loss_module.model.p_E_loc": torch.ones(3, L)}
            ),
            "'model.p_E_loc' twice",
        ),
        (
            lambda given: given["state_dict"].update(
                {"predictor.model.p_E_loc": torch.full((3, L), torch.nan)}
            ),
            "not numbers",
        ),
    ],
)
def test_parts_that_are_missing_or_wrong(
    change: Callable[[dict[str, Any]], object], words: str, tmp_path: Path
) -> None:
    given = content()
    change(given)
    refused(write(tmp_path / "odd.ckpt", given), words)

"""The folder of a run: refusal, overwriting, resuming, and errors that name the path."""

import json
import os

import pytest

from crossmodal_jax import reporting
from crossmodal_jax.pipeline import RunConfig, from_json
from crossmodal_jax.pipeline._folder import open_folder


def test_config_is_written_first(tmp_path):
    config = RunConfig(output=tmp_path / "a" / "b", seed=3)
    folder = open_folder(config)
    assert os.listdir(folder.path) == ["config.json"]
    assert from_json((folder.path / "config.json").read_text()) == config


def test_existing_folder_is_refused(tmp_path):
    open_folder(RunConfig(output=tmp_path / "run"))
    with pytest.raises(FileExistsError, match=r"run exists.*--resume.*--overwrite"):
        open_folder(RunConfig(output=tmp_path / "run"))


@pytest.mark.parametrize("how", ["resume", "overwrite"])
def test_what_is_no_run_is_left_alone(tmp_path, how):
    precious = tmp_path / "precious.txt"
    precious.write_text("thesis")
    for output in (tmp_path, precious):
        with pytest.raises(FileExistsError, match="no folder of a run"):
            open_folder(RunConfig(output=output, **{how: True}))
    assert precious.read_text() == "thesis"


def test_overwrite_starts_anew(tmp_path):
    folder = open_folder(RunConfig(output=tmp_path / "run"))
    folder.write_results({"a": 1.0}, reporting.ReportData(title="a run", metrics={"a": 1.0}))
    folder.write_trial([])
    folder = open_folder(RunConfig(output=tmp_path / "run", seed=1, overwrite=True))
    assert os.listdir(folder.path) == ["config.json"]
    assert folder.results() is None
    assert from_json((folder.path / "config.json").read_text()).seed == 1


def test_resume_keeps_what_is_there(tmp_path):
    folder = open_folder(RunConfig(output=tmp_path / "run"))
    folder.append({"stage": "train", "step": 1})
    folder.write_trial([{"score": 1.0}])
    folder = open_folder(RunConfig(output=tmp_path / "run", resume=True))
    assert folder.trial() == [{"score": 1.0}]
    assert folder.records("train") == [{"stage": "train", "step": 1}]


def test_resume_of_nothing_starts(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        folder = open_folder(RunConfig(output=tmp_path / name, resume=True))
        assert os.listdir(folder.path) == ["config.json"]


def test_resume_with_another_configuration(tmp_path):
    open_folder(RunConfig(output=tmp_path / "run"))
    with pytest.raises(ValueError, match=r"differs in seed, quick;"):
        open_folder(RunConfig(output=tmp_path / "run", seed=1, quick=True, resume=True))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission_names_the_path(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match=str(tmp_path / "run")):
        open_folder(RunConfig(output=tmp_path / "run"))


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(reporting.WriteError, match=f"cannot write {tmp_path / 'file' / 'run'}"):
        open_folder(RunConfig(output=tmp_path / "file" / "run"))


def test_full_disk_names_the_log(tmp_path, monkeypatch):
    folder = open_folder(RunConfig(output=tmp_path / "run"))
    (folder.path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(reporting.WriteError, match=r"metrics.jsonl: No space left"):
        folder.append({"stage": "train", "step": 1})


def test_log_survives_a_line_cut_short(tmp_path):
    folder = open_folder(RunConfig(output=tmp_path / "run"))
    for step in (1, 2, 3):
        folder.append({"stage": "train", "step": step})
    folder.append({"stage": "sweep", "step": 9})
    with open(folder.path / "metrics.jsonl", "a") as file:
        file.write('{"stage": "train", "st')
    folder.forget("train", after=2)
    assert [r["step"] for r in folder.records("train")] == [1, 2]
    assert [r["step"] for r in folder.records("sweep")] == [9]
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 9]

"""The locks hold for everybody: hashed, without hosts, and agreeing with the project."""

import re
import tomllib

import pytest

from scripts.setup.placing import ROOT
from scripts.setup.python_packages import installer_environment

LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_pin_has_a_hash_and_no_line_names_a_host(lock):
    text = lock.read_text()

    assert "://" not in text
    assert "index-url" not in text
    assert "find-links" not in text
    for pin in re.findall(r"^[\w.-]+==.*(?:\n    --hash=sha256:[0-9a-f]{64}.*)*", text, re.M):
        assert "--hash=sha256:" in pin


def test_the_demo_and_the_tests_need_no_torch():
    assert (
        not {"torch", "scikit-learn"} & pins((ROOT / "requirements/main.lock").read_text()).keys()
    )


def test_what_the_project_pins_exactly_is_what_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    exact = pins("\n".join([*project["dependencies"], *extras]))
    locked = pins((ROOT / "requirements/main.lock").read_text())

    assert {name: locked.get(name) for name in exact} == exact


def test_what_training_adds_does_not_move_anything():
    main = pins((ROOT / "requirements/main.lock").read_text())
    for name in ("train", "train-cpu"):
        added = pins((ROOT / f"requirements/{name}.lock").read_text())
        assert {
            package for package in main.keys() & added if main[package] != added[package]
        } == set()


def test_uv_is_given_what_pip_was_told(tmp_path):
    outer = {
        "PIP_FIND_LINKS": f"{tmp_path} {tmp_path}/absent",
        "PIP_INDEX_URL": "mirror",
        "PIP_CERT": "bundle.pem",
        "VIRTUAL_ENV": "elsewhere",
    }

    given = installer_environment(outer)

    assert given["UV_FIND_LINKS"] == str(tmp_path)
    assert given["UV_DEFAULT_INDEX"] == "mirror"
    assert given["SSL_CERT_FILE"] == "bundle.pem"
    assert "VIRTUAL_ENV" not in given


def test_what_was_said_to_uv_itself_holds():
    given = installer_environment({"PIP_INDEX_URL": "pips", "UV_DEFAULT_INDEX": "uvs"})

    assert given["UV_DEFAULT_INDEX"] == "uvs"


@pytest.mark.train
def test_torch_and_scikit_learn_share_the_locked_numpy():
    import numpy
    import sklearn.linear_model
    import torch

    inputs = numpy.arange(6.0, dtype=numpy.float32).reshape(3, 2)
    doubled = (torch.from_numpy(inputs) * 2).numpy()
    fitted = sklearn.linear_model.LinearRegression().fit(inputs[:, :1], doubled[:, 0])

    assert numpy.allclose(fitted.coef_, [2.0])

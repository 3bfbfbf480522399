from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from codecanvas_provider.resource import UNKNOWN
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.kubeconfig import find_context_fault, is_elsewhere, read_kubeconfig

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cret-token"


def make_config(*names: str, current: str | None = None, **user: Any) -> dict[str, Any]:
    return {
        "current-context": names[0] if current is None else current,
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example.com"}} for name in names],
        "users": [{"name": name, "user": {"token": SECRET, **user}} for name in names],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in names],
    }


def write(path: Path, config: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config))
    return path


def server_of(config: dict[str, Any] | None) -> str:
    assert config is not None
    return str(config["clusters"][0]["cluster"]["server"])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return tmp_path / "home"


@pytest.mark.parametrize("form", ["yaml", "json", "path", "home"])
def test_a_kubeconfig_is_text_or_a_path(form: str, tmp_path: Path, home: Path) -> None:
    config = make_config("a")
    write(home / "config", config)
    texts = {
        "yaml": yaml.safe_dump(config),
        "json": yaml.safe_dump(config, default_flow_style=True, width=10**6),
        "path": str(write(tmp_path / "file", config)),
        "home": "~/config",
    }
    assert server_of(read_kubeconfig(texts[form], None)) == "https://a.example.com"


def test_what_is_given_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write(tmp_path / "env", make_config("env"))))
    given = yaml.safe_dump(make_config("given"))
    assert server_of(read_kubeconfig(given, None)) == "https://given.example.com"


def test_the_variable_comes_before_the_home_folder(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".kube/config", make_config("home"))
    assert server_of(read_kubeconfig(None, None)) == "https://home.example.com"
    monkeypatch.setenv("KUBECONFIG", str(write(tmp_path / "env", make_config("env"))))
    assert server_of(read_kubeconfig(None, None)) == "https://env.example.com"


def test_of_several_files_the_first_to_name_something_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_config("a", current="")
    second = make_config("b", "a")
    second["clusters"][1]["cluster"]["server"] = "https://other.example.com"
    third = make_config("c")
    paths = [write(tmp_path / str(index), config) for index, config in enumerate((first, second, third))]
    paths.insert(0, tmp_path / "missing")
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, paths)))
    assert server_of(read_kubeconfig(None, None)) == "https://b.example.com"
    assert server_of(read_kubeconfig(None, "a")) == "https://a.example.com"
    assert server_of(read_kubeconfig(None, "c")) == "https://c.example.com"


def test_relative_paths_in_a_file_are_relative_to_it(tmp_path: Path) -> None:
    user: dict[str, Any] = {"client-key": "keys/k.pem", "exec": {"command": "bin/login"}}
    config = make_config("a")
    config["users"][0]["user"].update(user)
    config["clusters"][0]["cluster"]["certificate-authority"] = "/abs/ca.pem"
    found = read_kubeconfig(str(write(tmp_path / "kube/config", config)), None)
    assert found is not None
    assert found["users"][0]["user"]["client-key"] == str(tmp_path / "kube/keys/k.pem")
    assert found["users"][0]["user"]["exec"]["command"] == str(tmp_path / "kube/bin/login")
    assert found["clusters"][0]["cluster"]["certificate-authority"] == "/abs/ca.pem"


def test_a_command_on_the_path_stays_one(tmp_path: Path) -> None:
    found = read_kubeconfig(str(write(tmp_path / "config", make_config("a", exec={"command": "aws"}))), None)
    assert found is not None
    assert found["users"][0]["user"]["exec"]["command"] == "aws"


def test_only_the_chosen_context_is_taken() -> None:
    found = read_kubeconfig(yaml.safe_dump(make_config("a", "b")), "b")
    assert found is not None
    assert [entry["name"] for name in ("clusters", "users", "contexts") for entry in found[name]] == ["b", "b", "b"]


def test_in_a_pod_its_service_account_is_the_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert read_kubeconfig(None, None) is None
    with pytest.raises(ClusterError):
        read_kubeconfig(None, "named")


@pytest.mark.parametrize(
    ("kubeconfig", "context", "message"),
    [
        (None, None, "the ambient kubeconfig names no cluster"),
        ("/no/such/file", None, "neither a kubeconfig's content nor the path"),
        (f"users:\n- token: {SECRET}\n  bad: [", None, r"not valid YAML \(line 3, column 9\)"),
        (f"- {SECRET}\n- b\n", None, "is no kubeconfig"),
        (yaml.safe_dump(make_config("a")), "b", "has no context `b`; it has `a`"),
        (yaml.safe_dump(make_config("a", current="")), None, "has no current context"),
        (yaml.safe_dump({**make_config("a"), "clusters": []}), None, "has no cluster `a`; it has none"),
        (yaml.safe_dump({**make_config("a"), "users": []}), None, "has no user `a`"),
        (base64.b64encode(SECRET.encode() * 99).decode(), None, r"neither .* \(decoded, where it is kept as base64\)"),
        ("~nobody-of-this-name/config", None, "neither a kubeconfig's content"),
        ("kube\0config", None, "neither a kubeconfig's content"),
        (yaml.safe_dump({**make_config("a"), "current-context": ["a"]}), None, "has no current context"),
        (yaml.safe_dump({"contexts": [{"name": ["a"], "context": {}}]}), "a", "has no context `a`|names no cluster"),
        (yaml.safe_dump({"contexts": [{"name": "a", "context": {"cluster": ["a"]}}]}), "a", "has no cluster"),
    ],
)
def test_faults_are_named_without_a_secret(kubeconfig: str | None, context: str | None, message: str) -> None:
    with pytest.raises(ClusterError, match=message) as caught:
        read_kubeconfig(kubeconfig, context)
    assert SECRET not in str(caught.value)


def test_files_of_the_variable_that_do_not_exist_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = write(tmp_path / "empty", {})
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(["/nope", str(empty), "/neither"]))
    with pytest.raises(ClusterError) as caught:
        read_kubeconfig(None, None)
    assert "KUBECONFIG names what does not exist: /nope, /neither; mend KUBECONFIG, or unset it" in str(caught.value)


def test_another_address_is_elsewhere_and_another_login_is_not(tmp_path: Path) -> None:
    first, second = make_config("a", current="a"), make_config("b", current="b")
    both = yaml.safe_dump(make_config("a", "b", current="a"))
    again = make_config("a", current="a", token="other")
    path = str(write(tmp_path / "b", second))

    def is_away(new: object, context: str | None = None) -> bool:
        return is_elsewhere({"kubeconfig": yaml.safe_dump(first)}, {"kubeconfig": new, "context": context})

    assert is_away(yaml.safe_dump(second))
    assert is_away(path)
    assert is_away(both, "b")
    assert not is_away(both)
    assert not is_away(yaml.safe_dump(again))


@pytest.mark.parametrize("unclear", [UNKNOWN, None, "/no/such/file", "{clusters: []}"])
def test_where_a_cluster_cannot_be_told_it_is_not_elsewhere(unclear: object) -> None:
    known = yaml.safe_dump(make_config("a", current="a"))
    assert not is_elsewhere({"kubeconfig": known}, {"kubeconfig": unclear})
    assert not is_elsewhere({"kubeconfig": unclear}, {"kubeconfig": known})


def test_an_entry_without_content_is_named() -> None:
    config = make_config("a", current="a")
    config["users"][0]["user"] = None
    with pytest.raises(ClusterError, match="user `a` is empty"):
        read_kubeconfig(yaml.safe_dump(config), None)


def test_a_context_that_a_kubeconfig_does_not_have_is_told_with_those_that_it_has() -> None:
    text = yaml.safe_dump(make_config("a", "b"))
    assert find_context_fault(text, "nosuch") == "the kubeconfig has no context `nosuch`; it has `a`, `b`"
    unclear = [(text, "b"), (text, None), ("/no/such/file", "a"), ("{clusters: []}", "a"), (None, "a")]
    assert [find_context_fault(*given) for given in unclear] == [""] * len(unclear)

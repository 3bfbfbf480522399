"""Keys and the ConnectionKey resource, without an engine."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from codecanvas_provider import connection_key
from codecanvas_provider.cluster import NAMESPACE, POD, Kind
from codecanvas_provider.cluster_identity import ClusterIdentity
from codecanvas_provider.connection_key import ConnectionKey
from codecanvas_provider.resource import UNKNOWN, Context, Diff
from codecanvas_provider.waiting import Pace
from pulumi_codecanvas import keys
from pulumi_codecanvas.errors import ClusterError, CodeCanvasError, InvalidArgumentsError
from pulumi_codecanvas.manifests import STACK_ANNOTATION
from tests.support.blocks import put_quota_block
from tests.support.calls import Log, run
from tests.support.fake_cluster import NOW, FakeCluster, refusal
from tests.support.kubeconfigs import kubeconfig

_PEM = serialization.Encoding.PEM
_PKCS8 = serialization.PrivateFormat.PKCS8
_SEC1 = serialization.PrivateFormat.TraditionalOpenSSL


def _write(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    form: serialization.PrivateFormat = _PKCS8,
    password: bytes | None = None,
) -> str:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(_PEM, form, lock).decode()


P256 = ec.generate_private_key(ec.SECP256R1())
PEM = _write(P256)
OTHER_PEM = _write(ec.generate_private_key(ec.SECP256R1()))
PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


@pytest.mark.parametrize(
    "spelling",
    [
        PEM,
        _write(P256, _SEC1),
        PARAMETERS + _write(P256, _SEC1),
        PEM.replace("\n", "\r\n"),
        "\n\n  " + PEM.replace("\n", "\n    ") + "  \n",
        "subject=my key\n" + PEM,
    ],
    ids=["pkcs8", "sec1", "sec1 after its parameters", "crlf", "indented", "with a heading"],
)
def test_every_spelling_of_a_key_is_the_same_key(spelling: str) -> None:
    assert keys.private_key_faults(spelling) == []
    assert keys.normalize_private_key(spelling) == PEM
    assert keys.public_key_pem(spelling) == keys.public_key_pem(PEM)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "is empty"),
        (" \n\t", "is empty"),
        ("dGhlIGtleQ==", "is not PEM"),
        (PEM[:120], "is PEM that breaks off"),
        (PEM.replace("\n", "\\n"), "as two characters"),
        (PEM.replace(PEM[40:60], "A" * 20), "no readable private key"),
        (PEM + OTHER_PEM, "several private keys"),
        (PARAMETERS, "type EC PARAMETERS, not a private key"),
        (keys.public_key_pem(PEM), "is a public key"),
        (_write(P256, password=b"hunter22"), "is encrypted"),
        (_write(P256, _SEC1, b"hunter22"), "is encrypted"),
        (_write(P256, serialization.PrivateFormat.OpenSSH), "OpenSSH"),
        (_write(ec.generate_private_key(ec.SECP384R1())), "on the curve secp384r1, not P-256"),
        (_write(ec.generate_private_key(ec.SECP256K1())), "on the curve secp256k1, not P-256"),
        (_write(rsa.generate_private_key(65537, 2048)), "of type RSA"),
        (_write(rsa.generate_private_key(65537, 2048), _SEC1), "is an RSA key"),
        (_write(ed25519.Ed25519PrivateKey.generate()), "of type Ed25519"),
    ],
    ids=lambda value: "" if "--" in value else value,
)
def test_an_unusable_key_is_named_with_the_way_out_and_never_shown(text: str, cause: str) -> None:
    (fault,) = keys.private_key_faults(text)
    assert cause in fault.cause
    assert fault.remedy
    body = [line for line in text.replace("\\n", "\n").splitlines() if len(line) > 20 and "-----" not in line]
    assert not [line for line in body if line[:12] in str(fault)]
    with pytest.raises(InvalidArgumentsError, match=fault.cause.split()[-1]):
        keys.normalize_private_key(text)


def test_a_text_that_is_no_key_is_refused_quickly() -> None:
    start = time.process_time()
    (fault,) = keys.private_key_faults("-----BEGIN PRIVATE KEY-----\n" * 2**14)
    assert str(fault).startswith("is longer than 16 KiB")
    assert keys.private_key_faults("-----BEGIN PRIVATE KEY-----\n" * 2**9)
    assert time.process_time() - start < 2


def test_generated_keys_are_p256_and_differ() -> None:
    first, second = keys.generate_private_key(), keys.generate_private_key()
    assert first != second
    assert keys.private_key_faults(first) == keys.private_key_faults(second) == []


def test_fingerprint_is_the_digest_of_the_public_keys_der() -> None:
    der = P256.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert keys.fingerprint(keys.public_key_pem(PEM)) == "SHA256:" + hashlib.sha256(der).hexdigest()


def _create(inputs: dict[str, Any], *, preview: bool = False) -> tuple[str, dict[str, Any]]:
    return asyncio.run(ConnectionKey().create(Context(preview=preview), inputs))


def test_check_defaults_the_version_and_leaves_the_key_out() -> None:
    assert ConnectionKey().check({}) == ({"tokenVersion": "1"}, [])


def test_check_takes_values_that_are_not_known_yet() -> None:
    inputs = {"tokenVersion": UNKNOWN, "privateKey": UNKNOWN}
    assert ConnectionKey().check(inputs) == (inputs, [])


def test_check_rewrites_a_key_so_that_its_spelling_is_no_change() -> None:
    resource = ConnectionKey()
    old, _ = resource.check({"privateKey": PEM})
    new, _ = resource.check({"privateKey": _write(P256, _SEC1).replace("\n", "\r\n")})
    assert resource.diff(old, {}, new) == Diff()


def test_check_reports_both_inputs_at_once() -> None:
    _, faults = ConnectionKey().check({"tokenVersion": 2, "privateKey": ["x"]})
    assert [str(fault) for fault in faults] == [
        'tokenVersion: is a number, not a text; give a text such as "2"',
        "privateKey: is a list, not a text; give an EC P-256 key as PEM",
    ]
    _, faults = ConnectionKey().check({"tokenVersion": "", "privateKey": "x"})
    assert [fault.path for fault in faults] == ["tokenVersion", "privateKey"]


@pytest.mark.parametrize(
    ("old", "new", "replaces"),
    [
        ({"tokenVersion": "1"}, {"tokenVersion": "1"}, ()),
        ({"tokenVersion": "1"}, {"tokenVersion": "2"}, ("tokenVersion",)),
        ({"tokenVersion": "1"}, {"tokenVersion": UNKNOWN}, ("tokenVersion",)),
        ({"tokenVersion": "1"}, {"tokenVersion": "1", "privateKey": PEM}, ("privateKey",)),
        ({"tokenVersion": "1", "privateKey": PEM}, {"tokenVersion": "1"}, ("privateKey",)),
        (
            {"tokenVersion": "1", "privateKey": PEM},
            {"tokenVersion": "2", "privateKey": OTHER_PEM},
            ("privateKey", "tokenVersion"),
        ),
    ],
)
def test_any_change_replaces_the_key(old: dict[str, Any], new: dict[str, Any], replaces: tuple[str, ...]) -> None:
    assert ConnectionKey().diff(old, {"privateKey": OTHER_PEM}, new) == Diff(replaces=replaces)


def test_giving_the_key_that_was_generated_keeps_it() -> None:
    resource = ConnectionKey()
    id_, outputs = _create({"tokenVersion": "1"})
    given = {"tokenVersion": "1", "privateKey": outputs["privateKey"]}
    assert resource.diff({"tokenVersion": "1"}, outputs, given) == Diff(updates=("privateKey",))
    assert asyncio.run(resource.update(Context(), id_, outputs, given)) == outputs


def test_preview_generates_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "generate_private_key", pytest.fail)
    for private in ({}, {"privateKey": UNKNOWN}):
        created = _create({"tokenVersion": "1", **private}, preview=True)
        assert created == ("", {"tokenVersion": "1"})


def test_preview_knows_what_follows_from_a_given_key() -> None:
    id_, outputs = _create({"tokenVersion": "1", "privateKey": PEM})
    assert _create({"tokenVersion": "1", "privateKey": PEM}, preview=True) == (id_, outputs)


def test_created_outputs_belong_together() -> None:
    id_, outputs = _create({"tokenVersion": "7"})
    assert outputs["publicKey"] == keys.public_key_pem(outputs["privateKey"])
    assert id_ == outputs["fingerprint"] == keys.fingerprint(outputs["publicKey"])
    assert outputs["tokenVersion"] == "7"
    assert set(outputs) == {name for name, field in ConnectionKey.outputs.items() if field.required}


def test_read_gives_the_state_back() -> None:
    id_, outputs = _create({"tokenVersion": "1"})
    found = asyncio.run(ConnectionKey().read(Context(), id_, {"tokenVersion": "1"}, outputs))
    assert found == (id_, {"tokenVersion": "1"}, outputs)


def test_import_is_refused_with_the_way_out() -> None:
    with pytest.raises(CodeCanvasError, match=r"cannot be imported.*give it as privateKey"):
        asyncio.run(ConnectionKey().read(Context(), "SHA256:00", {}, {}))


PLACE = {"kubeconfig": "text", "context": "prod", "namespaces": ["eu", "eu-operator"]}


def test_where_the_platform_is_goes_with_the_key_only_if_a_namespace_is_its_own() -> None:
    resource = ConnectionKey()
    assert resource.check(PLACE) == ({"tokenVersion": "1", **PLACE}, [])
    assert resource.check({**PLACE, "namespaces": []}) == ({"tokenVersion": "1"}, [])
    assert _create({"tokenVersion": "1", **PLACE})[1].items() >= PLACE.items()


def test_a_platform_that_moves_keeps_its_key() -> None:
    resource = ConnectionKey()
    id_, outputs = _create({"tokenVersion": "1", **PLACE})
    new = {"tokenVersion": "1", "namespaces": ["us"]}
    assert resource.diff({"tokenVersion": "1", **PLACE}, outputs, new) == Diff(
        updates=("context", "kubeconfig", "namespaces")
    )
    kept = {name: outputs[name] for name in ("privateKey", "publicKey", "fingerprint", "tokenVersion")}
    assert asyncio.run(resource.update(Context(), id_, outputs, new)) == {**kept, "namespaces": ["us"]}


def _worker(cluster: FakeCluster, namespace: str) -> None:
    cluster.put(POD, {"metadata": {"name": "ws-1"}, "spec": {"containers": [{"name": "worker-main"}]}}, namespace)


@pytest.mark.parametrize("preview", [False, True])
def test_a_namespace_is_not_left_while_dev_environments_run_in_it(*, preview: bool) -> None:
    cluster = FakeCluster("eu", "eu-operator", "us")
    _worker(cluster, "eu")
    resource = ConnectionKey(cluster.connect_to, Pace())
    _, old = _create({"tokenVersion": "1", **PLACE})
    new = {"tokenVersion": "1", **PLACE, "namespaces": ["us"]}
    with pytest.raises(ClusterError, match=r"leave namespace eu, but 1 dev .* there: ws-1\. Nothing was changed"):
        run(resource.forbid(Context(preview=preview), old, old, new))
    run(resource.forbid(Context(), old, old, {**new, "namespaces": ["eu", "us"]}))
    run(resource.forbid(Context(), old, old, {**new, "namespaces": ["eu"]}))


@pytest.mark.parametrize("why", ["force", "frozen", "away", "unknown"])
def test_a_namespace_is_left_by_force_frozen_or_where_nothing_can_be_seen(why: str) -> None:
    cluster = FakeCluster("eu")
    _worker(cluster, "eu")
    cluster.away = why == "away"
    if why == "frozen":
        put_quota_block(cluster)
    _, old = _create({"tokenVersion": "1", **PLACE, "forceDelete": why == "force"})
    new = {"tokenVersion": "1", "namespaces": UNKNOWN if why == "unknown" else ["us"]}
    run(ConnectionKey(cluster.connect_to, Pace()).forbid(Context(), old, old, new))
    if why not in {"away", "unknown"}:
        assert cluster.names(POD, "eu") == ["ws-1"]


URN = "urn:pulumi:prod::platforms::codecanvas:index:ComputingPlatform$codecanvas:index:ConnectionKey::eu-key"


def _mark(cluster: FakeCluster, namespace: str, owner: str) -> None:
    found = cluster.find(NAMESPACE, namespace)
    assert found
    found["metadata"].setdefault("annotations", {})[STACK_ANNOTATION] = owner


@pytest.mark.parametrize("preview", [False, True])
def test_a_namespace_that_stays_in_use_is_not_disowned(*, preview: bool) -> None:
    cluster = FakeCluster("eu", "eu-operator")
    for namespace in ("eu", "eu-operator"):
        _mark(cluster, namespace, "acme/platforms/prod")
    resource = ConnectionKey(cluster.connect_to, Pace())
    _, old = _create({"tokenVersion": "1", **PLACE, "forceDelete": True})
    for kept, adopted in (("eu-operator", "eu"), ("eu", "eu-operator")):
        beside = {"operatorNamespace": adopted} if adopted == "eu-operator" else {"adopted": [adopted]}
        new = {"tokenVersion": "2", **PLACE, "namespaces": [kept], **beside}
        with pytest.raises(ClusterError, match=rf"made namespace {adopted} and would delete it.*Nothing was changed"):
            run(resource.forbid(Context(urn=URN, preview=preview), old, old, new))
        _mark(cluster, adopted, "acme/platforms/test")
        run(resource.forbid(Context(urn=URN), old, old, new))
        _mark(cluster, adopted, "acme/platforms/prod")
    retained = {**PLACE, "namespaces": ["eu-operator"], "retained": ["eu"]}
    run(resource.forbid(Context(urn=URN), old, old, retained))
    run(resource.forbid(Context(urn=URN), retained, retained, {**retained, "retained": [], "adopted": ["eu"]}))


def test_another_cluster_leaves_every_namespace_of_the_first() -> None:
    cluster = FakeCluster("eu")
    _worker(cluster, "eu")
    place = {"tokenVersion": "1", "namespaces": ["eu"], "kubeconfig": kubeconfig("https://a.example.com")}
    _, old = _create(place)
    resource = ConnectionKey(cluster.connect_to, Pace())
    with pytest.raises(ClusterError, match="leave namespace eu, but 1 dev"):
        run(resource.forbid(Context(), old, old, {**place, "kubeconfig": kubeconfig("https://b.example.com")}))


def test_dev_environments_of_others_in_the_operators_namespace_keep_no_platform_there() -> None:
    cluster = FakeCluster("eu", "us")
    _worker(cluster, "eu")
    resource = ConnectionKey(cluster.connect_to, Pace())
    _, old = _create({"tokenVersion": "1", "namespaces": ["us"], "operatorNamespace": "eu"})
    run(resource.forbid(Context(), old, old, {"tokenVersion": "1", "namespaces": ["us"]}))
    run(resource.forbid(Context(), old, old, {"tokenVersion": "1", "namespaces": ["us"], "operatorNamespace": "ops"}))


def test_a_preview_of_a_new_platform_tells_which_namespaces_are_in_its_way_or_missing() -> None:
    cluster, log = FakeCluster("taken", "ours", "going", "theirs", "others"), Log()
    _mark(cluster, "ours", "acme/platforms/prod")
    _mark(cluster, "others", "acme/platforms/dev")
    _end(cluster, "going")
    place = {"namespaces": ["taken", "ours", "going", "new", "others"], "adopted": ["theirs", "lost"]}
    context = log.context(preview=True, urn=URN)
    run(ConnectionKey(cluster.connect_to).create(context, {"tokenVersion": "1", **place}))
    assert [message.partition(":")[0] for message in log.messages] == [
        "namespace taken exists already and is not of this stack",
        "namespace others exists already and is of the stack acme/platforms/dev",
        "namespace lost does not exist",
    ]
    run(ConnectionKey(cluster.connect_to).create(log.context(urn=URN), {"tokenVersion": "1", **place}))
    cluster.away = True
    run(ConnectionKey(cluster.connect_to).create(log.context(preview=True), {"tokenVersion": "1", **place}))
    assert len(log.messages) == 3


@pytest.mark.parametrize(
    ("place", "arguments"),
    [
        ({"namespaces": ["eu", "ops"]}, ["createNamespace: false", "createOperatorNamespace: false"]),
        ({"retained": ["eu"], "namespaces": ["ops"]}, ["createNamespace: false", "createOperatorNamespace: false"]),
        ({"adopted": ["lost"], "namespaces": ["ops"]}, ["createOperatorNamespace: false", "createNamespace: true"]),
        (
            {"namespaces": ["eu"], "operatorNamespace": "lost"},
            ["createNamespace: false", "createOperatorNamespace: true"],
        ),
    ],
)
def test_a_namespace_in_the_way_is_told_with_the_argument_that_is_about_it(
    place: dict[str, Any], arguments: list[str]
) -> None:
    cluster, log = FakeCluster("eu", "ops"), Log()
    context = log.context(preview=True, urn=URN)
    run(ConnectionKey(cluster.connect_to).create(context, {"tokenVersion": "1", **place}))
    assert [message.partition("(`")[2].partition("`)")[0] for message in log.messages] == arguments


@pytest.mark.parametrize(
    ("way", "fault"),
    [
        ({"kubeconfig": "/no/such/file"}, "neither a kubeconfig's content nor the path of a file that exists"),
        ({"kubeconfig": kubeconfig("a"), "context": "nosuch"}, "the kubeconfig has no context `nosuch`"),
    ],
)
def test_a_new_way_that_leads_nowhere_is_refused_before_anything_is_changed(way: dict[str, str], fault: str) -> None:
    old = {"tokenVersion": "1", "namespaces": ["eu"], "kubeconfig": kubeconfig("a")}
    with pytest.raises(ClusterError, match=fault):
        run(ConnectionKey().forbid(Context(preview=True), old, old, {**old, **way}))


def _identified(name: str, **more: Any) -> dict[str, Any]:
    given = {"namespaces": ["eu"], "kubeconfig": kubeconfig(name), "identifyCluster": True}
    return {"tokenVersion": "1", **given, **more}


def _server_of(text: str | None) -> str:
    return str(yaml.safe_load(text or "")["clusters"][0]["cluster"]["server"])


def test_a_cluster_is_known_at_whichever_address() -> None:
    first, second = FakeCluster("kube-system", "eu"), FakeCluster("else", "kube-system", "eu")
    _worker(first, "eu")
    clusters = {"a": first, "a2": first, "b": second}
    resource = ConnectionKey(lambda text, _context: clusters[_server_of(text)], Pace())
    _, old = run(resource.create(Context(), _identified("a")))
    system = first.find(NAMESPACE, "kube-system")
    assert system
    assert old["cluster"] == system["metadata"]["uid"]
    assert run(resource.create(Context(preview=True), _identified("a2")))[1]["cluster"] == old["cluster"]
    run(resource.forbid(Context(), old, old, _identified("a2")))
    for preview in (True, False):
        for name, stays in (("a2", True), ("b", False)):
            told = run(resource.update(Context(preview=preview), "", old, _identified(name)))["cluster"]
            assert (told == old["cluster"]) is stays
    with pytest.raises(ClusterError, match="leave namespace eu"):
        run(resource.forbid(Context(), old, old, _identified("b")))


def test_a_platform_without_a_key_asks_for_the_identity_by_a_function() -> None:
    cluster = FakeCluster("kube-system")
    system = cluster.find(NAMESPACE, "kube-system")
    assert system
    for given, told in (
        ({"kubeconfig": kubeconfig("a")}, system["metadata"]["uid"]),
        ({"kubeconfig": ""}, ""),
        ({}, ""),
    ):
        asked = ClusterIdentity(cluster.connect_to).identify_cluster(Context(), given)
        assert run(asked) == {"cluster": told}


def test_another_cluster_behind_the_same_address_is_left_only_at_rest() -> None:
    first, second = FakeCluster("kube-system", "eu"), FakeCluster("else", "kube-system", "eu")
    _worker(first, "eu")
    old_way, new_way = kubeconfig("proxy", token="first"), kubeconfig("proxy", token="second")
    clusters = {old_way: first, new_way: second}
    resource = ConnectionKey(lambda text, _context: clusters[str(text)], Pace())
    _, old = run(resource.create(Context(), _identified("", kubeconfig=old_way)))
    with pytest.raises(ClusterError, match="leave namespace eu"):
        run(resource.forbid(Context(), old, old, _identified("", kubeconfig=new_way)))
    clusters[new_way] = first
    run(resource.forbid(Context(), old, old, _identified("", kubeconfig=new_way)))


def test_a_namespace_of_which_nobody_sees_whose_it_is_is_not_disowned() -> None:
    cluster = FakeCluster("eu", "ops")
    resource = ConnectionKey(cluster.connect_to, Pace())
    _, old = _create({"tokenVersion": "1", "namespaces": ["eu", "ops"]})
    cluster.away = True
    with pytest.raises(ClusterError, match="no answer"):
        run(resource.forbid(Context(), old, old, {**old, "namespaces": ["eu"], "operatorNamespace": "ops"}))


def test_an_identity_stays_while_its_cluster_does_not_answer_at_the_same_address() -> None:
    cluster = FakeCluster("kube-system", "eu")
    resource = ConnectionKey(cluster.connect_to, Pace())
    _, old = run(resource.create(Context(), _identified("a")))
    cluster.away = True
    renewed = _identified("a", kubeconfig=kubeconfig("a", token="new"))
    assert run(resource.update(Context(), "", old, renewed))["cluster"] == old["cluster"]
    assert "cluster" not in run(resource.update(Context(), "", old, _identified("b")))


def test_an_identity_that_was_not_told_is_asked_for_until_it_is() -> None:
    cluster = FakeCluster("kube-system", "eu")
    resource = ConnectionKey(cluster.connect_to, Pace())
    cluster.away = True
    _, old = run(resource.create(Context(), _identified("a")))
    assert "cluster" not in old
    # What is not told would be unknown in a preview, and so would be the whole cluster.
    assert run(resource.create(Context(preview=True), _identified("a")))[1]["cluster"] == ""
    assert resource.diff(_identified("a"), old, _identified("a")) == Diff((), ("identifyCluster",))
    cluster.away = False
    told = run(resource.update(Context(), "", old, _identified("a")))
    assert told["cluster"]
    assert resource.diff(_identified("a"), told, _identified("a")) == Diff()


def test_an_identity_that_may_not_be_seen_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise refusal(403, "Forbidden")

    cluster = FakeCluster("kube-system", "eu")
    monkeypatch.setattr(cluster, "get", refuse)
    resource = ConnectionKey(cluster.connect_to, Pace())
    _, old = run(resource.create(Context(), _identified("a")))
    assert old["cluster"] == ""
    assert resource.diff(_identified("a"), old, _identified("a")) == Diff()


def test_only_the_cluster_of_a_given_kubeconfigs_content_is_told() -> None:
    cluster = FakeCluster("kube-system")
    resource = ConnectionKey(cluster.connect_to)
    for given in ({}, {"context": "eu"}, {"kubeconfig": kubeconfig("a")}):
        _, outputs = run(resource.create(Context(), {"tokenVersion": "1", "namespaces": ["eu"], **given}))
        assert "cluster" not in outputs
    _, outputs = run(resource.create(Context(), _identified("a", kubeconfig="/some/path")))
    assert outputs["cluster"] == ""
    assert cluster.calls == []
    unknown = _identified("a", kubeconfig=UNKNOWN)
    assert run(resource.create(Context(preview=True), unknown))[1]["cluster"] is UNKNOWN


@pytest.mark.parametrize("is_same", [True, False])
def test_another_context_of_the_ambient_kubeconfig_may_lead_to_the_same_cluster(
    monkeypatch: pytest.MonkeyPatch, *, is_same: bool
) -> None:
    monkeypatch.setattr(connection_key, "is_elsewhere", lambda _old, _new: True)
    monkeypatch.setattr(connection_key, "read_kubeconfig", lambda *_: {})
    cluster = FakeCluster("eu")
    _worker(cluster, "eu")
    clusters = {"public": cluster, "vpn": cluster if is_same else FakeCluster("us", "eu")}
    resource = ConnectionKey(lambda _kubeconfig, context: clusters[str(context)], Pace())
    old, new = ({"namespaces": ["eu"], "context": context} for context in ("public", "vpn"))
    if is_same:
        run(resource.forbid(Context(), old, old, new))
        new["kubeconfig"] = "given"
    with pytest.raises(ClusterError, match="leave namespace eu"):
        run(resource.forbid(Context(), old, old, new))


def test_a_login_that_was_taken_back_does_not_keep_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, log = FakeCluster("eu"), Log()

    def refuse(*_: Any, **__: Any) -> None:
        raise refusal(401, "Unauthorized")

    monkeypatch.setattr(cluster, "get", refuse)
    _delete(cluster, log)
    assert log.messages == ["the end of eu, eu-operator was not waited for: cannot do this: 401"]


def _delete(cluster: FakeCluster, log: Log, *, seconds: float = 20, **outputs: Any) -> None:
    resource = ConnectionKey(cluster.connect_to, Pace(first=0.001, longest=0.002))
    run(resource.delete(log.context(timeout=seconds), "SHA256:00", {**PLACE, **outputs}))


def _end(cluster: FakeCluster, name: str) -> None:
    found = cluster.find(NAMESPACE, name)
    assert found
    found["metadata"]["deletionTimestamp"] = NOW


def test_delete_waits_until_each_namespace_is_gone() -> None:
    cluster, log, looks = FakeCluster("eu", "eu-operator"), Log(), []
    for name in PLACE["namespaces"]:
        _end(cluster, name)

    def look(kind: Kind) -> None:
        looks.append(kind)
        if len(looks) in {3, 6}:
            cluster.objects.pop(("Namespace", "", "eu" if len(looks) == 3 else "eu-operator"))

    cluster.on_get = look
    _delete(cluster, log)
    assert len(looks) == 6
    assert log.progress == ["waiting until namespace eu is gone", "waiting until namespace eu-operator is gone"]


def test_delete_waits_for_no_namespace_that_stays() -> None:
    cluster, log = FakeCluster("eu", "eu-operator"), Log()
    _delete(cluster, log)
    assert (log.progress, cluster.calls) == ([], [])


def test_a_namespace_that_does_not_go_is_named_with_what_holds_it() -> None:
    cluster = FakeCluster("eu")
    _end(cluster, "eu")
    cluster.discover = lambda: [HELD]  # type: ignore[method-assign] # what this cluster has
    cluster.put(HELD, {"metadata": {"name": "w", "finalizers": ["example.com/hold"]}}, "eu")
    with pytest.raises(ClusterError) as caught:
        _delete(cluster, Log(), seconds=0.01)
    assert "namespace eu was deleted and is not gone after 0.01 s" in str(caught.value)
    assert "Widget w (finalizers example.com/hold)" in str(caught.value)
    assert "run the command again" in str(caught.value)


HELD = Kind("Widget", "example.com/v1", "widgets")


def test_a_key_of_no_namespace_asks_no_cluster() -> None:
    cluster = FakeCluster()
    cluster.away = True
    _delete(cluster, Log(), namespaces=[])


def test_a_cluster_that_is_gone_does_not_keep_a_key() -> None:
    cluster, log = FakeCluster(), Log()
    cluster.away = True
    _delete(cluster, log)
    assert "the end of eu, eu-operator was not waited for: no answer from" in log.messages[0]

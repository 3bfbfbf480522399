# ruff: noqa: A002, ARG002, N802 - names that the protocol and the interface set, used or not
"""The plugin's service over gRPC, with resources made for these tests and an engine that writes down."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import grpc  # type: ignore[import-untyped] # grpc ships no types
import pytest
from google.protobuf import empty_pb2  # type: ignore[import-untyped] # protobuf ships no types
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    provider_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
    status_pb2,
)
from pulumi.runtime.proto import provider_pb2 as proto

from codecanvas_provider import wire
from codecanvas_provider.__main__ import custom_resources
from codecanvas_provider.engine import Engine
from codecanvas_provider.inputs import Field
from codecanvas_provider.resource import UNKNOWN, Context, CustomResource, Diff, PartialFailure
from codecanvas_provider.server import Servicer, make_server
from pulumi_codecanvas.errors import ClusterError, Fault, InvalidArgumentsError
from pulumi_codecanvas.resources import KUBERNETES_VERSION
from pulumi_codecanvas.version import VERSION
from tools.pins import KUBERNETES_PLUGIN_VERSION, PULUMI_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codecanvas_provider.inputs import Fields

SECRET = "made-up-secret"
TIMEOUT = 20
KEY = "codecanvas:index:ConnectionKey"
PROBE = "codecanvas:index:Probe"


class Probe(CustomResource):
    """Does what its input `mode` says."""

    token: ClassVar[str] = PROBE
    inputs: ClassVar[Fields] = {
        name: Field(kind, name) for name, kind in (("mode", str), ("password", str), ("nested", dict), ("size", int))
    }
    outputs: ClassVar[Fields] = {
        "result": Field(str, "result"),
        "password": Field(str, "password", secret=True),
        "nested": Field(dict, "nested"),
    }

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def check(self, inputs: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
        self.seen.append(inputs)
        faults = [Fault("nested.a", "is bad", "mend it"), Fault("password", "is weak")]
        return {"size": 3, **inputs}, faults if inputs.get("mode") == "faulty" else []

    def diff(self, old_inputs: dict[str, Any], old_outputs: dict[str, Any], new_inputs: dict[str, Any]) -> Diff:
        self.seen.append((old_inputs, old_outputs))
        changed = {name for name in self.inputs if old_inputs.get(name) != new_inputs.get(name)}
        wrong = {"result"} if old_outputs.get("result") == "wrong" else set()
        return Diff(tuple(changed & {"size"}), tuple(changed - {"size"} | wrong))

    async def create(self, context: Context, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "id-1", await self._act(context, inputs)

    async def read(
        self, context: Context, id: str, inputs: dict[str, Any], outputs: dict[str, Any]
    ) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
        return None if id == "gone" else (id, inputs, outputs)

    async def update(
        self, context: Context, id: str, old_outputs: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        self.seen.append((id, old_outputs))
        return await self._act(context, inputs)

    async def delete(self, context: Context, id: str, outputs: dict[str, Any]) -> None:
        self.seen.append((id, outputs))
        await self._act(context, outputs)

    async def _act(self, context: Context, inputs: dict[str, Any]) -> dict[str, Any]:
        self.seen.append((context.preview, context.timeout, inputs))
        if context.preview:
            return {"nested": inputs.get("nested")}
        outputs = {"result": "done", "password": "p", "nested": inputs.get("nested")}
        mode = inputs.get("mode")
        if mode == "partial":
            raise PartialFailure("id-1", outputs, ClusterError("2 are still running", "run pulumi up again"))
        if mode == "refused":
            raise ClusterError("the cluster said no", "ask again")
        if mode == "bug":
            raise KeyError(inputs["password"])
        if mode == "wait":
            await context.cancelled.wait()
        if mode == "block":
            await asyncio.to_thread(time.sleep, 60)
        if mode == "talk":
            await context.status("half done")
            await context.log("all done", "warning")
        return outputs


class NotingEngine(engine_pb2_grpc.EngineServicer, resource_pb2_grpc.ResourceMonitorServicer):
    """An engine that writes down what it is told and supports no feature."""

    def __init__(self) -> None:
        self.logs: list[engine_pb2.LogRequest] = []

    def Log(self, request: engine_pb2.LogRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self.logs.append(request)
        return empty_pb2.Empty()

    def SupportsFeature(
        self, request: resource_pb2.SupportsFeatureRequest, context: grpc.ServicerContext
    ) -> resource_pb2.SupportsFeatureResponse:
        return resource_pb2.SupportsFeatureResponse(hasSupport=False)


class Plugin:
    """A plugin's service in a thread, and a client of it."""

    def __init__(self, engine_address: str) -> None:
        self.probe = Probe()
        self._address = engine_address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        port = self._run(self._start())
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.client = provider_pb2_grpc.ResourceProviderStub(self._channel)

    def stop(self) -> None:
        self._channel.close()
        self._run(self._server.stop(0))
        self._run(self._engine.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def check(self, token: str, inputs: dict[str, Any], secrets: set[wire.Path] | None = None) -> proto.CheckResponse:
        request = proto.CheckRequest(urn=urn(token), news=wire.encode(inputs, secrets or set()))
        answer: proto.CheckResponse = self.client.Check(request, timeout=TIMEOUT)
        return answer

    def create(
        self, inputs: dict[str, Any], secrets: set[wire.Path] | None = None, *, preview: bool = False
    ) -> proto.CreateResponse:
        properties = wire.encode(inputs, secrets or set())
        request = proto.CreateRequest(urn=urn(PROBE), properties=properties, preview=preview, timeout=7)
        answer: proto.CreateResponse = self.client.Create(request, timeout=TIMEOUT)
        return answer

    def diff(self, old: dict[str, Any], new: dict[str, Any], outputs: dict[str, Any]) -> proto.DiffResponse:
        request = proto.DiffRequest(
            urn=urn(PROBE), old_inputs=wire.encode(old), news=wire.encode(new), olds=wire.encode(outputs)
        )
        answer: proto.DiffResponse = self.client.Diff(request, timeout=TIMEOUT)
        return answer

    def _run(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(TIMEOUT)

    async def _start(self) -> int:
        async def status(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
            if arguments.get("name") == "":
                raise InvalidArgumentsError([Fault("name", "is empty")])
            return {**arguments, "preview": context.preview}

        self._engine = Engine(self._address)
        resources = [*custom_resources(), self.probe]
        servicer = Servicer(resources, {"codecanvas:index:getStatus": status}, self._engine)
        self._server, port = make_server(servicer)
        await self._server.start()
        return port


def urn(token: str) -> str:
    return f"urn:pulumi:dev::shop::codecanvas:index:ComputingPlatform${token}::eu"


@contextlib.contextmanager
def listening_engine() -> Iterator[tuple[NotingEngine, str, grpc.Server]]:
    noting = NotingEngine()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    engine_pb2_grpc.add_EngineServicer_to_server(noting, server)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(noting, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield noting, address, server
    finally:
        server.stop(0).wait()


@pytest.fixture(scope="module")
def engine() -> Iterator[tuple[NotingEngine, str]]:
    with listening_engine() as (noting, address, _):
        yield noting, address


@pytest.fixture
def plugin(engine: tuple[NotingEngine, str]) -> Iterator[Plugin]:
    engine[0].logs.clear()
    plugin = Plugin(engine[1])
    yield plugin
    plugin.stop()


@contextlib.contextmanager
def refusal() -> Iterator[list[grpc.RpcError]]:
    """Catch a failed call; the list then holds its error. No failure may read like a Python one."""
    caught: list[grpc.RpcError] = []
    with pytest.raises(grpc.RpcError) as info:
        yield caught
    caught.append(info.value)
    assert not re.search(r"Traceback|Exception|File \"|<.*Rpc", info.value.details())
    assert SECRET not in str(info.value)


def test_handshake_and_configure_accept_secrets_and_previews(plugin: Plugin) -> None:
    handshake = plugin.client.Handshake(proto.ProviderHandshakeRequest(engine_address="127.0.0.1:1"))
    configured = plugin.client.Configure(proto.ConfigureRequest())
    assert handshake.accept_secrets
    assert configured.acceptSecrets
    assert configured.supportsPreview


def test_stack_settings_are_not_kept_as_provider_configuration(plugin: Plugin) -> None:
    offered = wire.encode({"platforms": '{"eu": {}}', "version": VERSION}, {("platforms",)})
    checked = plugin.client.CheckConfig(proto.CheckRequest(urn="urn", news=offered))
    assert wire.decode(checked.inputs).values == {}
    assert not checked.failures
    assert plugin.client.DiffConfig(proto.DiffRequest(news=offered)).changes == proto.DiffResponse.DIFF_UNKNOWN


def test_schema_names_the_package_and_its_version(plugin: Plugin) -> None:
    schema = json.loads(plugin.client.GetSchema(proto.GetSchemaRequest()).schema)
    assert (schema["name"], schema["version"]) == ("codecanvas", VERSION)
    assert KEY in schema["resources"]
    assert plugin.client.GetPluginInfo(empty_pb2.Empty()).version == VERSION


def test_one_version_everywhere() -> None:
    project = Path(__file__).parents[2].joinpath("pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{VERSION}"\n' in project


def test_what_belongs_together_is_pinned_to_one_version_everywhere() -> None:
    root = Path(__file__).parents[2]
    project = root.joinpath("pyproject.toml").read_text(encoding="utf-8")
    assert KUBERNETES_VERSION == KUBERNETES_PLUGIN_VERSION
    assert set(re.findall(r'"pulumi-kubernetes==([^"]+)"', project)) == {KUBERNETES_PLUGIN_VERSION}
    assert re.findall(r'"pulumi==([^"]+)"', project) == [PULUMI_VERSION]
    package = json.loads(root.joinpath("examples/typescript/package.json").read_text(encoding="utf-8"))
    assert package["dependencies"]["@pulumi/pulumi"] == PULUMI_VERSION


def test_check_completes_inputs_and_keeps_secrets_marked(plugin: Plugin) -> None:
    answer = plugin.check(PROBE, {"nested": {"a": [1, SECRET]}, "mode": None}, {("nested", "a", 1)})
    decoded = wire.decode(answer.inputs)
    assert decoded.values == {"size": 3, "nested": {"a": [1, SECRET]}}
    assert decoded.secrets == {("nested", "a", 1)}
    assert plugin.probe.seen == [{"nested": {"a": [1, SECRET]}}]


def test_a_private_key_is_marked_secret_although_the_program_did_not(plugin: Plugin) -> None:
    from pulumi_codecanvas.keys import generate_private_key

    answer = plugin.check(KEY, {"privateKey": generate_private_key()})
    assert wire.decode(answer.inputs).secrets == {("privateKey",)}


def test_check_reports_every_fault_by_path_and_has_the_engine_show_no_value(plugin: Plugin) -> None:
    answer = plugin.check(PROBE, {"mode": "faulty", "sise": 3, "password": SECRET})
    assert [failure.reason for failure in answer.failures] == [
        "sise: is not known; did you mean `size`?",
        "nested.a: is bad; mend it",
        "password: is weak",
    ]
    # The engine prints the value of a property that a failure names.
    assert {failure.property for failure in answer.failures} == {""}
    assert not answer.HasField("inputs")
    assert SECRET not in str(answer)


def test_values_not_known_yet_reach_the_resource(plugin: Plugin) -> None:
    answer = plugin.check(PROBE, {"nested": {"a": UNKNOWN}})
    assert wire.decode(answer.inputs).values["nested"] == {"a": UNKNOWN}


def test_a_type_that_is_not_served_is_refused_by_name(plugin: Plugin) -> None:
    with refusal() as errors:
        plugin.check("codecanvas:index:Nope", {})
    assert errors[0].code() is grpc.StatusCode.UNIMPLEMENTED
    assert errors[0].details() == "the package codecanvas has no resource codecanvas:index:Nope"


def test_diff_compares_old_inputs_and_says_what_replaces(plugin: Plugin) -> None:
    old, new = {"size": 3, "mode": "a", "nested": 1}, {"size": 4, "mode": "a", "password": "x"}
    answer = plugin.diff(old, new, {"result": "done"})
    kinds = {name: detail.kind for name, detail in answer.detailedDiff.items()}
    assert plugin.probe.seen == [(old, {"result": "done"})]
    assert answer.changes == proto.DiffResponse.DIFF_SOME
    assert list(answer.replaces) == ["size"]
    assert set(answer.diffs) == {"size", "nested", "password"}
    assert kinds == {
        "size": proto.PropertyDiff.UPDATE_REPLACE,
        "nested": proto.PropertyDiff.DELETE,
        "password": proto.PropertyDiff.ADD,
    }


def test_diff_names_an_output_that_is_wrong_and_shows_no_input_as_changed(plugin: Plugin) -> None:
    answer = plugin.diff({"size": 3}, {"size": 3}, {"result": "wrong"})
    assert answer.changes == proto.DiffResponse.DIFF_SOME
    assert list(answer.diffs) == ["result"]
    # So the engine shows neither what was nor what will be, which it would take from outputs and inputs.
    assert dict(answer.detailedDiff) == {"result": proto.PropertyDiff(kind=proto.PropertyDiff.UPDATE, inputDiff=True)}


def test_diff_of_the_same_inputs_is_no_change(plugin: Plugin) -> None:
    answer = plugin.diff({"size": 3}, {"size": 3}, {"result": "old"})
    assert answer.changes == proto.DiffResponse.DIFF_NONE
    assert not answer.detailedDiff


def test_preview_of_a_create_leaves_undetermined_outputs_unknown(plugin: Plugin) -> None:
    answer = plugin.create({"nested": 1}, preview=True)
    decoded = wire.decode(answer.properties)
    assert decoded.values == {"nested": 1, "result": UNKNOWN, "password": UNKNOWN}
    assert decoded.secrets == {("password",)}


def test_create_gives_id_and_outputs_and_marks_what_echoes_a_secret(plugin: Plugin) -> None:
    answer = plugin.create({"nested": {"a": SECRET, "b": "open"}}, {("nested", "a")})
    decoded = wire.decode(answer.properties)
    assert answer.id == "id-1"
    assert decoded.values == {"result": "done", "password": "p", "nested": {"a": SECRET, "b": "open"}}
    assert decoded.secrets == {("password",), ("nested", "a")}
    assert plugin.probe.seen == [(False, 7.0, {"nested": {"a": SECRET, "b": "open"}})]


def test_update_gets_the_old_outputs_and_gives_new_ones(plugin: Plugin) -> None:
    request = proto.UpdateRequest(
        urn=urn(PROBE), id="id-1", olds=wire.encode({"result": "old"}), news=wire.encode({"nested": 2})
    )
    decoded = wire.decode(plugin.client.Update(request).properties)
    assert plugin.probe.seen[0] == ("id-1", {"result": "old"})
    assert decoded.values == {"result": "done", "password": "p", "nested": 2}
    request.preview = True
    assert wire.decode(plugin.client.Update(request).properties).values["result"] is UNKNOWN


def test_read_keeps_what_was_secret(plugin: Plugin) -> None:
    request = proto.ReadRequest(
        urn=urn(PROBE),
        id="id-1",
        inputs=wire.encode({"mode": SECRET}, {("mode",)}),
        properties=wire.encode({"password": "p", "nested": {"a": SECRET}}, {("nested", "a")}),
    )
    answer = plugin.client.Read(request)
    assert answer.id == "id-1"
    assert wire.decode(answer.inputs).secrets == {("mode",)}
    assert wire.decode(answer.properties).secrets >= {("password",), ("nested", "a")}


def test_read_of_a_resource_that_is_gone_has_no_id(plugin: Plugin) -> None:
    answer = plugin.client.Read(proto.ReadRequest(urn=urn(PROBE), id="gone"))
    assert answer == proto.ReadResponse()


def test_delete_gets_id_and_outputs(plugin: Plugin) -> None:
    request = proto.DeleteRequest(urn=urn(PROBE), id="id-1", properties=wire.encode({"result": "done"}))
    plugin.client.Delete(request)
    assert plugin.probe.seen[0] == ("id-1", {"result": "done"})


@pytest.mark.parametrize("method", ["Create", "Update"])
def test_a_partial_failure_has_its_state_recorded(plugin: Plugin, method: str) -> None:
    inputs = wire.encode({"mode": "partial", "nested": [SECRET]}, {("nested", 0)})
    with refusal() as errors:
        if method == "Create":
            plugin.client.Create(proto.CreateRequest(urn=urn(PROBE), properties=inputs))
        else:
            plugin.client.Update(proto.UpdateRequest(urn=urn(PROBE), id="id-1", news=inputs))
    status = status_pb2.Status.FromString(dict(errors[0].trailing_metadata())["grpc-status-details-bin"])
    detail = proto.ErrorResourceInitFailed()
    assert status.code == errors[0].code().value[0]
    assert status.details[0].Unpack(detail)
    assert (detail.id, list(detail.reasons)) == ("id-1", ["2 are still running; run pulumi up again"])
    assert wire.decode(detail.properties).values["result"] == "done"
    assert wire.decode(detail.properties).secrets == {("password",), ("nested", 0)}


def test_an_expected_error_is_one_sentence_and_leaves_the_state_certain(plugin: Plugin) -> None:
    with refusal() as errors:
        plugin.create({"mode": "refused"})
    assert errors[0].details() == "the cluster said no; ask again"
    # UNKNOWN, INTERNAL and DATA_LOSS make the engine doubt what became of the resource.
    assert errors[0].code() is grpc.StatusCode.FAILED_PRECONDITION


def test_an_unexpected_error_gives_its_type_and_the_way_to_its_traceback(
    plugin: Plugin, engine: tuple[NotingEngine, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusal() as errors:
        plugin.create({"mode": "bug", "password": SECRET}, {("password",)})
    assert "(KeyError)" in errors[0].details()
    assert "CODECANVAS_DEBUG=1" in errors[0].details()
    assert not engine[0].logs

    monkeypatch.setenv("CODECANVAS_DEBUG", "1")
    with refusal():
        plugin.create({"mode": "bug", "password": SECRET}, {("password",)})
    (log,) = engine[0].logs
    assert re.search(r"test_server\.py.*in _act\n", log.message)
    assert log.message.endswith("KeyError\n")
    assert SECRET not in log.message


def test_an_asset_where_none_belongs_is_refused_by_its_path(plugin: Plugin) -> None:
    asset = {wire._SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "text": "x"}
    with refusal() as errors:
        plugin.check(PROBE, {"nested": asset})
    assert errors[0].details() == "nested: assets and archives are not accepted here"


def test_messages_reach_the_resources_row(plugin: Plugin, engine: tuple[NotingEngine, str]) -> None:
    plugin.create({"mode": "talk"})
    noted = [(log.message, log.ephemeral, log.severity, log.urn) for log in engine[0].logs]
    assert noted == [
        ("half done", True, engine_pb2.INFO, urn(PROBE)),
        ("all done", False, engine_pb2.WARNING, urn(PROBE)),
    ]


def test_an_engine_that_takes_no_messages_fails_no_operation() -> None:
    with listening_engine() as (_, address, _server):
        pass
    plugin = Plugin(address)
    assert plugin.create({"mode": "talk"}).id == "id-1"
    plugin.stop()


def test_requests_run_side_by_side_and_cancel_ends_the_waiting_ones(plugin: Plugin) -> None:
    request = proto.CreateRequest(urn=urn(PROBE), properties=wire.encode({"mode": "wait"}))
    waiting = [plugin.client.Create.future(request, timeout=TIMEOUT) for _ in range(20)]
    assert plugin.create({}).id == "id-1"
    assert not any(call.done() for call in waiting)
    plugin.client.Cancel(empty_pb2.Empty())
    assert [call.result().id for call in waiting] == ["id-1"] * 20


def test_a_function_is_called_by_token_and_echoes_secrets_as_secrets(plugin: Plugin) -> None:
    arguments = wire.encode({"name": "eu", "kubeconfig": SECRET}, {("kubeconfig",)})
    answer = plugin.client.Invoke(proto.InvokeRequest(tok="codecanvas:index:getStatus", args=arguments, preview=True))
    results = wire.decode(getattr(answer, "return"))
    assert results.values == {"name": "eu", "kubeconfig": SECRET, "preview": True}
    assert results.secrets == {("kubeconfig",)}


def test_a_functions_bad_arguments_are_refused_by_path(plugin: Plugin) -> None:
    with refusal() as errors:
        plugin.client.Invoke(proto.InvokeRequest(tok="codecanvas:index:getStatus", args=wire.encode({"name": ""})))
    assert (errors[0].code(), errors[0].details()) == (grpc.StatusCode.INVALID_ARGUMENT, "name: is empty")


def test_functions_and_methods_that_are_not_served_are_refused_by_name(plugin: Plugin) -> None:
    with refusal() as errors:
        plugin.client.Invoke(proto.InvokeRequest(tok="codecanvas:index:nope"))
    assert errors[0].details() == "the package codecanvas has no function codecanvas:index:nope"
    with refusal() as errors:
        plugin.client.Call(proto.CallRequest(tok="codecanvas:index:ComputingPlatform/nope"))
    assert errors[0].code() is grpc.StatusCode.UNIMPLEMENTED
    with refusal() as errors:
        plugin.client.GetMapping(proto.GetMappingRequest(key="terraform"))
    assert errors[0].code() is grpc.StatusCode.UNIMPLEMENTED


def _construct(plugin: Plugin, monitor: str, token: str, inputs: dict[str, Any], secrets: set[wire.Path]) -> None:
    plugin.client.Construct(
        proto.ConstructRequest(
            project="shop",
            stack="dev",
            type=token,
            name="eu",
            monitorEndpoint=monitor,
            inputs=wire.encode(inputs, secrets),
            dryRun=True,
        ),
        timeout=TIMEOUT,
    )


def test_a_component_that_is_not_served_is_refused_by_name(plugin: Plugin, engine: tuple[NotingEngine, str]) -> None:
    with refusal() as errors:
        _construct(plugin, engine[1], "codecanvas:index:Nope", {}, set())
    assert errors[0].details() == "the package codecanvas has no component codecanvas:index:Nope"


def test_a_components_faults_come_all_at_once_in_the_programs_spelling(
    plugin: Plugin, engine: tuple[NotingEngine, str]
) -> None:
    inputs = {"serverUrll": "x", "freeze": "maybe", "privateKey": f"-----BEGIN {SECRET}"}
    with refusal() as errors:
        _construct(plugin, engine[1], "codecanvas:index:ComputingPlatform", inputs, set())
    assert errors[0].code() is grpc.StatusCode.INVALID_ARGUMENT
    for path in ("serverUrll", "freeze", "privateKey"):
        assert f"\n  - {path}: " in errors[0].details()
    assert "did you mean `serverUrl`?" in errors[0].details()


def test_a_component_takes_no_output_for_what_decides_its_structure(
    plugin: Plugin, engine: tuple[NotingEngine, str]
) -> None:
    inputs = {"serverUrl": "http://codecanvas.example.com:8098", "freeze": True}
    with refusal() as errors:
        _construct(plugin, engine[1], "codecanvas:index:ComputingPlatform", inputs, {("freeze",)})
    assert errors[0].details().startswith("freeze: must be known before the update starts")


def test_misspelt_keys_within_a_components_mappings_are_refused_with_a_suggestion(
    plugin: Plugin, engine: tuple[NotingEngine, str]
) -> None:
    inputs = {
        "serverUrl": "http://codecanvas.example.com:8098",
        "limits": {"defualt": {"memory": "8Gi"}},
        "storage": {"driver": "ebs.csi.aws.com", "parametrs": {}},
        "podTemplate": {"apiVersion": "v1", "kind": "Pod", "spec": {"contaners": [{"name": "worker-main"}]}},
    }
    with refusal() as errors:
        _construct(plugin, engine[1], "codecanvas:index:ComputingPlatform", inputs, set())
    text = errors[0].details()
    for path, meant in (
        ("limits.defualt", "default"),
        ("storage.parametrs", "parameters"),
        ("contaners", "containers"),
    ):
        assert path in text
        assert f"did you mean `{meant}`?" in text


@contextlib.contextmanager
def process(*arguments: str, code: str = "") -> Iterator[subprocess.Popen[str]]:
    program = ["-c", code] if code else ["-m", "codecanvas_provider"]
    command = [sys.executable, *program, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_process_prints_its_port_and_ends_quietly_on_a_signal(
    engine: tuple[NotingEngine, str], number: signal.Signals
) -> None:
    with process("--logtostderr", "-v=9", engine[1]) as running:
        assert running.stdout
        port = int(running.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            client = provider_pb2_grpc.ResourceProviderStub(channel)
            assert client.GetPluginInfo(empty_pb2.Empty(), timeout=TIMEOUT).version == VERSION
        running.send_signal(number)
        assert running.communicate(timeout=TIMEOUT) == ("", "")
        assert running.returncode == 0


def test_the_process_ends_when_its_engine_is_gone() -> None:
    with listening_engine() as (_, address, server), process(address) as running:
        assert running.stdout
        assert int(running.stdout.readline()) > 0
        time.sleep(0.3)
        assert running.poll() is None
        server.stop(0).wait()
        assert running.communicate(timeout=TIMEOUT) == ("", "")
        assert running.returncode == 0


def test_a_blocked_thread_does_not_keep_the_process(engine: tuple[NotingEngine, str]) -> None:
    code = """
import codecanvas_provider.__main__ as plugin
from tests.unit.test_server import Probe
plugin.custom_resources = lambda: [Probe()]
plugin.main()
"""
    with process(engine[1], code=code) as running:
        assert running.stdout
        with grpc.insecure_channel(f"127.0.0.1:{int(running.stdout.readline())}") as channel:
            client = provider_pb2_grpc.ResourceProviderStub(channel)
            request = proto.CreateRequest(urn=urn(PROBE), properties=wire.encode({"mode": "block"}))
            blocked = client.Create.future(request)
            time.sleep(0.3)
            assert not blocked.done()
            running.terminate()
            assert running.wait(TIMEOUT) == 0


def test_serving_imports_neither_a_cluster_client_nor_the_component() -> None:
    code = """
import sys
from codecanvas_provider import server
from codecanvas_provider.__main__ import custom_resources, functions
custom_resources(), functions()
print(*{"kubernetes", "cryptography", "pulumi_kubernetes", "pulumi_codecanvas.platform"} & set(sys.modules))
"""
    with process(code=code) as running:
        assert running.communicate(timeout=TIMEOUT) == ("\n", "")


def test_the_process_tells_its_version() -> None:
    with process("--version") as running:
        assert running.communicate(timeout=TIMEOUT)[0].strip() == VERSION

"""Runs an example's program without an engine, under Pulumi's mocks, and tells what it declares.

A process of its own in the examples' virtualenv: `python -m tests.support.clouds.mocks`, with a request as a line of
JSON on the standard input and its answer as a line of JSON on the standard output. The stand-ins' tables answer for
AWS and Google Cloud, after the same checks against the SDKs' types as on the engine.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped] # grpc ships no types
import pulumi
from pulumi.runtime import mocks, rpc
from pulumi.runtime.settings import SETTINGS, get_root_resource
from pulumi.runtime.stack import run_pulumi_func

from tests.support.clouds import sdk
from tests.support.clouds.aws import AWS
from tests.support.clouds.gcp import GCP
from tests.support.clouds.package import Place, Properties, RefusedError, fresh

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
PRELOADED = (
    *(f"pulumi_aws.{module}" for module in ("ec2", "eks", "iam", "ssm")),
    *(f"pulumi_gcp.{module}" for module in ("compute", "container", "projects", "serviceaccount")),
    "pulumi_eks",
    "pulumi_codecanvas.platform",
)
_TABLES = {package.name: package for package in (AWS, GCP)}


class CloudError(grpc.RpcError):  # type: ignore[misc] # grpc ships no types
    """A function's failure as it comes from the engine."""

    def __init__(self, error: RefusedError) -> None:
        self._error = error

    def code(self) -> Any:
        """Give the status."""
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        """Give the text."""
        return str(self._error)


class Answers(mocks.Mocks):
    """Answers what a program declares and asks."""

    def __init__(self, settings: dict[str, str], stacks: dict[str, Properties]) -> None:
        self.place = Place(settings, "203.0.113.1", "Y2VydGlmaWNhdGU=")
        self.stacks = stacks
        self.monitor: Monitor | None = None

    def call(self, args: mocks.MockCallArgs) -> Any:
        functions = _TABLES[args.token.split(":")[0]].functions
        given = {key: value for key, value in args.args.items() if value is not None}
        try:
            return functions[args.token](self.place, given), []
        except RefusedError as error:
            raise CloudError(error) from None

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, Properties]:
        inputs = _plain(args.inputs)
        if args.typ == "pulumi:pulumi:StackReference":
            return args.name, {"name": args.name, "outputs": self.stacks[args.name], "secretOutputNames": []}
        package = args.typ.split(":")[0]
        if package in ("aws", "gcp", "eks"):
            faults = sdk.input_faults(args.typ, inputs)
            if faults:
                raise RefusedError(f"{args.typ} {args.name}: {'; '.join(faults)}")
        if package == "eks":
            return None, self._component(args.name, inputs)
        if package in _TABLES:
            added = _TABLES[package].resources[args.typ](self.place, args.name, inputs)
            return added.pop("id"), {**inputs, **added}
        return fresh(args.name), {**inputs, **_OUTPUTS.get(args.typ, {})}

    def _component(self, name: str, inputs: Properties) -> Properties:
        """Give the state of `eks.Cluster`, with a reference to the cluster in it as the real component has."""
        token = "aws:eks/cluster:Cluster"
        made = {"name": inputs.get("name"), "version": inputs["version"]}
        made["vpcConfig"] = {"subnetIds": inputs["privateSubnetIds"]}
        made |= AWS.resources[token](self.place, name, made)
        assert self.monitor is not None
        urn = self.monitor.make_urn("", token, f"{name}-eksCluster")
        self.monitor.resources[urn] = mocks.MockMonitor.ResourceRegistration(urn, made["id"], made)
        issuer = made["identities"][0]["oidcs"][0]["issuer"]
        return {
            "eksCluster": {_SIGNATURE: _RESOURCE, "urn": urn, "id": made["id"]},
            "kubeconfigJson": json.dumps({"server": made["endpoint"]}),
            "oidcProviderArn": f"arn:aws:iam::1:oidc-provider/{issuer.removeprefix('https://')}",
            "oidcIssuer": issuer.removeprefix("https://"),
        }


_OUTPUTS: dict[str, Properties] = {
    "codecanvas:index:ConnectionKey": {"privateKey": "private", "publicKey": "public", "fingerprint": "SHA256:made-up"},
    "codecanvas:index:ConnectionTest": {"checks": []},
    "kubernetes:helm.sh/v3:Release": {"status": {"status": "deployed", "revision": 1}},
}
"""Outputs of the platform's own resources, which are not what these tests are about."""


class Callbacks:
    """Takes the hooks of the platform's resources; Pulumi's mocks have no place for them and never call one."""

    def register_resource_hook(self, hook: object) -> None:
        """Take a hook."""

    def register_error_hook(self, hook: object) -> None:
        """Take a hook."""

    async def shutdown(self) -> None:
        """Do nothing."""


class Monitor(mocks.MockMonitor):
    """Keeps what the program registers."""

    def __init__(self, answers: Answers) -> None:
        super().__init__(answers)
        self.declared: list[Properties] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Keep the resource as it was declared."""
        if request.type != "pulumi:pulumi:Stack":
            self.declared.append(
                {
                    "type": request.type,
                    "name": request.name,
                    "inputs": rpc.deserialize_properties(request.object),
                    "parent": request.parent.rpartition("::")[2],
                    "after": [urn.rpartition("::")[2] for urn in request.dependencies],
                    "ignores": list(request.ignoreChanges),
                }
            )
        register: Any = super().RegisterResource
        return register(request)


def declare(request: Properties) -> Properties:
    """Run the program.

    Args:
        request: `example` (its folder), `project`, `stack`, `config` (whole keys to texts), `secrets` (keys), and
            `stacks` (name of a stack to its outputs).

    Returns:
        `resources`, `outputs`, and `error`: the text of the `RunError` that ended the program, if any.
    """
    folder = Path(request["example"])
    config: dict[str, str] = request["config"]
    settings = {key.split(":")[1]: value for key, value in config.items() if key.startswith(("aws:", "gcp:"))}
    answers = Answers(settings, request["stacks"])
    monitor = Monitor(answers)
    answers.monitor = monitor
    asyncio.set_event_loop(asyncio.new_event_loop())
    place = {"organization": "organization", "project": request["project"], "stack": request["stack"]}
    mocks.set_mocks(answers, monitor=monitor, **place)
    SETTINGS.callbacks = Callbacks()
    pulumi.runtime.set_all_config(config, request["secrets"])
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    error = None
    outputs: Properties = {}
    try:
        outputs = asyncio.get_event_loop().run_until_complete(_run())
    except pulumi.RunError as failure:
        error = str(failure)
    return {"resources": monitor.declared, "outputs": outputs, "error": error}


async def _run() -> Properties:
    """Run the program in the current folder; gives the stack's outputs."""

    def program() -> None:
        runpy.run_path("__main__.py", run_name="__main__")

    await run_pulumi_func(program)
    stack: Any = get_root_resource()
    outputs: Properties = rpc.deserialize_properties(await rpc.serialize_properties(stack.outputs, {}))
    return outputs


def _plain(value: Any) -> Any:
    """Unwrap secrets."""
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            return _plain(value["value"])
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def serve() -> None:
    """Answer requests, one a line, each in a process of its own: the SDKs' imports take much longer than a program."""
    for module in PRELOADED:
        hasattr(importlib.import_module(module), "Resource")  # the SDKs' modules load at the first look into them
    gc.freeze()  # or the first collection of each process would copy all of it
    for line in sys.stdin:
        readable, writable = os.pipe()
        child = os.fork()
        if child == 0:
            with os.fdopen(writable, "w") as answer:
                try:
                    json.dump(declare(json.loads(line)), answer)
                except BaseException:  # noqa: BLE001 - the test is told whatever it is
                    answer.write(json.dumps({"crash": traceback.format_exc()}))
            os._exit(0)
        os.close(writable)
        with os.fdopen(readable) as given:
            print(given.read(), flush=True)  # noqa: T201 - the answer
        os.waitpid(child, 0)


if __name__ == "__main__":
    serve()

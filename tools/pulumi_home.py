"""An isolated place for the Pulumi engine: nothing of the user's own Pulumi, Helm or kubeconfig is used."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from tools.cache import locked
from tools.pins import KUBERNETES_PLUGIN_VERSION
from tools.toolchain import PULUMI_TOOLS, bin_dir, ensure, stands_in

_KUBERNETES_PLUGIN = "pulumi-resource-kubernetes"
_FOREIGN_PREFIXES = ("PULUMI_", "HELM_", "KUBERNETES_SERVICE_")
_FOREIGN_NAMES = {"KUBECONFIG", "PYTHONHOME", "VIRTUAL_ENV"}


class PulumiHome:
    """A Pulumi home, a file backend with its passphrase, and Helm's folders, all under one root.

    Attributes:
        root: the folder that holds it all; deleting it deletes the stacks.
        state: the folder of the file backend.
        passphrase_file: holds the passphrase that encrypts the stacks' secrets; made once, readable by its
            owner only.
    """

    def __init__(
        self,
        root: Path,
        *,
        acquire_plugins: bool = False,
        ambient_plugins: bool = False,
        stand_ins: bool | None = None,
    ) -> None:
        """Name the place; `prepare` or `env` makes it.

        Args:
            root: where it is to be.
            acquire_plugins: let the engine download plugins that a program needs and the home has not.
            ambient_plugins: let the engine use plugins that it finds on PATH.
            stand_ins: as for `toolchain.ensure`.
        """
        self.root = root.resolve()
        self.home = self.root / "home"
        self.state = self.root / "state"
        self.passphrase_file = self.root / "passphrase"
        self._acquire_plugins = acquire_plugins
        self._ambient_plugins = ambient_plugins
        self._stand_ins = stand_ins

    def prepare(self) -> None:
        """Make what is missing. Harmless when done twice, or by two processes at once."""
        plugin = ensure(*PULUMI_TOOLS, _KUBERNETES_PLUGIN, stand_ins=self._stand_ins)[_KUBERNETES_PLUGIN]
        if stands_in(_KUBERNETES_PLUGIN, self._stand_ins):
            # The stand-in runs it; should it have to be built, then here and not under the engine's eyes.
            ensure("helm", quiet=True)
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.root / "prepare"):
            for folder in (self.home, self.state):
                folder.mkdir(mode=0o700, exist_ok=True)
            self._install_plugin(plugin)
            self._make_passphrase()

    def env(self) -> dict[str, str]:
        """Prepare the place and give the whole environment for a process that runs pulumi.

        KUBECONFIG names a file that does not exist, so that a program without an explicit cluster fails and
        never reaches the user's own; the caller sets it.
        """
        self.prepare()
        environment = {name: value for name, value in os.environ.items() if not _is_foreign(name)}
        helm = self.root / "helm"
        environment |= {
            "PATH": os.pathsep.join(
                [str(bin_dir(self._stand_ins)), str(_virtualenv_bin()), os.environ.get("PATH", "")]
            ),
            "PULUMI_HOME": str(self.home),
            "PULUMI_BACKEND_URL": f"file://{self.state}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.passphrase_file),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": _flag(not self._acquire_plugins),
            "PULUMI_IGNORE_AMBIENT_PLUGINS": _flag(not self._ambient_plugins),
            "HELM_CACHE_HOME": str(helm / "cache"),
            "HELM_CONFIG_HOME": str(helm / "config"),
            "HELM_DATA_HOME": str(helm / "data"),
            "KUBECONFIG": str(self.root / "no-kubeconfig"),
        }
        return environment

    def _install_plugin(self, plugin: Path) -> None:
        folder = self.home / "plugins" / f"resource-kubernetes-v{KUBERNETES_PLUGIN_VERSION}"
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / plugin.name
        if target.exists() and target.samefile(plugin):
            return
        target.unlink(missing_ok=True)
        try:
            target.hardlink_to(plugin)
        except OSError:
            target.symlink_to(plugin)

    def _make_passphrase(self) -> None:
        if self.passphrase_file.exists():
            return
        fresh = self.passphrase_file.with_suffix(".part")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(32))
        fresh.rename(self.passphrase_file)


def _is_foreign(name: str) -> bool:
    return name.startswith(_FOREIGN_PREFIXES) or name in _FOREIGN_NAMES


def _virtualenv_bin() -> Path:
    # Not resolved: the interpreter that a virtualenv links to has other commands beside it.
    return Path(sys.executable).parent


def _flag(value: bool) -> str:
    return "true" if value else "false"

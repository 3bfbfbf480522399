"""A stand-in for the clouds' commands that give a token for a cluster: it gives one of the local cluster."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml

if __name__ == "__main__":
    user = yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8"))["users"][0]["user"]
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "kind": "ExecCredential",
        "status": {"token": user["token"]},
    }
    json.dump(credential, sys.stdout)

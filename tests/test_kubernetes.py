"""deploy/kubernetes: built by kustomize, valid against Kubernetes' schemas, and true of this service.

No cluster is at hand: that the pods run in one is not tested here.
"""

import copy
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.server.uvicorn_server import ENDING_S, LINGER_S
from app.settings import Settings
from app.telemetry.metrics import Metrics
from models import __version__
from tests.test_container import last_stage

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.31", "1.37")
"""The oldest and the newest Kubernetes whose schemas the manifests are checked against."""

OVERLAYS = ("base", "overlays/production", "overlays/gpu")
WHOLE = [
    path
    for path in sorted(FOLDER.rglob("*.yaml"))
    if path.name not in {"kustomization.yaml", "gpu.yaml"} and path.parent.name != "monitoring"
]
"""The files that hold a whole document of Kubernetes'."""

Document = dict[str, Any]


def builder() -> list[str] | None:
    """The command that builds a kustomization, or None: kustomize itself, or a kubectl that has version 4 or newer."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("kubectl"):
        told = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"Kustomize Version: v(\d+)", told)
        if version and int(version[1]) >= 4:
            return ["kubectl", "kustomize"]
    return None


@cache
def built(overlay: str) -> list[Document]:
    command = builder()
    if command is None:
        pytest.skip("no kustomize ≥ 4, neither by itself nor in kubectl: install one (Debian 13: kubernetes-client)")
    answer = subprocess.run([*command, FOLDER / overlay], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    return list(yaml.safe_load_all(answer.stdout))


def one(documents: list[Document], kind: str) -> Document:
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


def pod_of(documents: list[Document]) -> Document:
    template: Document = one(documents, "Deployment")["spec"]["template"]
    return template


def container_of(documents: list[Document]) -> Document:
    (container,) = pod_of(documents)["spec"]["containers"]
    found: Document = container
    return found


@pytest.fixture(params=OVERLAYS)
def documents(request: pytest.FixtureRequest) -> list[Document]:
    return built(request.param)


def plain(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


CHECKS = [*((name, VERSIONS[-1]) for name in OVERLAYS), (OVERLAYS[-1], VERSIONS[0])]


@pytest.mark.parametrize(("overlay", "version"), CHECKS)
def test_what_is_built_is_valid(overlay: str, version: str) -> None:
    """The last overlay holds all that the others do."""
    for document in built(overlay):
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.name)
def test_each_file_is_valid_by_itself(path: Path) -> None:
    """Without kustomize, too."""
    kubernetes_validate.validate(yaml.safe_load(path.read_text()), VERSIONS[-1], strict=True)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda pod: pod["spec"].update(terminationGracePeriod=45),
        lambda pod: pod["spec"]["containers"][0].update(livenessprobe={}),
        lambda pod: pod["spec"]["containers"][0]["livenessProbe"].update(periodSeconds="10"),
        lambda pod: pod["spec"]["containers"][0].pop("name"),
    ],
)
def test_the_schemas_are_strict(spoil: Callable[[Document], object]) -> None:
    deployment = copy.deepcopy(plain("base/deployment.yaml"))
    spoil(deployment["spec"]["template"])
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


def test_probes_ask_what_the_service_answers(documents: list[Document]) -> None:
    """On a port that it listens on, and for longer than /readyz may take."""
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
    container = container_of(documents)
    probes = {name: container[f"{name}Probe"] for name in ("startup", "readiness", "liveness")}
    assert {name: probe["httpGet"]["path"] for name, probe in probes.items()} == {
        "startup": "/healthz",
        "readiness": "/readyz",
        "liveness": "/healthz",
    }
    for probe in probes.values():
        assert "get" in paths[probe["httpGet"]["path"]]
        assert probe["httpGet"]["port"] in {port["name"] for port in container["ports"]}
    assert probes["readiness"]["timeoutSeconds"] > 2  # app.api.routes.health.PING_TIMEOUT_S


def test_ports_lead_to_the_images_own(documents: list[Document]) -> None:
    (environment,) = [value for name, value in last_stage() if name == "ENV"]
    (port,) = container_of(documents)["ports"]
    assert f"GAN_PORT={port['containerPort']}" in environment.split()
    (served,) = one(documents, "Service")["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    for rule in one(documents, "NetworkPolicy")["spec"]["ingress"]:
        assert [allowed["port"] for allowed in rule["ports"]] == [port["name"]]
    for ingress in (document for document in documents if document["kind"] == "Ingress"):
        (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
        assert path["backend"]["service"] == {
            "name": one(documents, "Service")["metadata"]["name"],
            "port": {"name": served["name"]},
        }


def test_everything_is_about_the_same_pods(documents: list[Document]) -> None:
    labels = pod_of(documents)["metadata"]["labels"].items()
    spec = {
        kind: one(documents, kind)["spec"] for kind in ("Deployment", "PodDisruptionBudget", "NetworkPolicy", "Service")
    }
    selectors = [
        spec["Deployment"]["selector"]["matchLabels"],
        spec["PodDisruptionBudget"]["selector"]["matchLabels"],
        spec["NetworkPolicy"]["podSelector"]["matchLabels"],
        spec["Service"]["selector"],
        *(spread["labelSelector"]["matchLabels"] for spread in pod_of(documents)["spec"]["topologySpreadConstraints"]),
    ]
    for selector in selectors:
        assert selector
        assert selector.items() <= labels
    account = one(documents, "ServiceAccount")
    assert pod_of(documents)["spec"]["serviceAccountName"] == account["metadata"]["name"]
    target = one(documents, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", one(documents, "Deployment")["metadata"]["name"])


def test_settings_are_the_services_own(
    documents: list[Document], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each is one, and has a value that it may have."""
    for name in [name for name in os.environ if name.startswith("GAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)  # no .env of somebody
    data = one(documents, "ConfigMap")["data"]
    for name, value in data.items():
        assert name.removeprefix("GAN_").lower() in Settings.model_fields, name
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert {"host", "port", "api_keys", "admin_key"}.isdisjoint(settings.model_fields_set)
    assert settings.shutdown_grace_s > 0


def test_settings_and_keys_reach_the_pods(documents: list[Document]) -> None:
    settings, keys = container_of(documents)["envFrom"]
    assert settings == {"configMapRef": {"name": one(documents, "ConfigMap")["metadata"]["name"]}}
    assert keys["secretRef"]["name"] == "gan-keys"
    kinds = {document["kind"] for document in documents}
    assert keys["secretRef"]["optional"] is ("Ingress" not in kinds)  # whoever is asked from outside has keys
    assert "Secret" not in kinds  # no key is in this repository
    assert pod_of(documents)["spec"]["enableServiceLinks"] is False  # else GAN_PORT may be set to an address


def test_there_is_time_to_end(documents: list[Document]) -> None:
    grace_s = float(one(documents, "ConfigMap")["data"]["GAN_SHUTDOWN_GRACE_S"])
    assert pod_of(documents)["spec"]["terminationGracePeriodSeconds"] >= grace_s + ENDING_S + LINGER_S + 5


def test_pods_may_do_no_more_than_they_need(documents: list[Document]) -> None:
    """The profile `restricted` of Kubernetes' pod security standards, and more."""
    pod, container = pod_of(documents)["spec"], container_of(documents)
    (user,) = [value for name, value in last_stage() if name == "USER"]
    context = pod["securityContext"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == user
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert one(documents, "ServiceAccount")["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    policy = one(documents, "NetworkPolicy")["spec"]
    assert (policy["policyTypes"], policy["egress"]) == (["Ingress", "Egress"], [])


def test_what_is_written_has_a_place(documents: list[Document], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", None)
    (mount,) = container_of(documents)["volumeMounts"]
    assert mount["mountPath"] == tempfile.gettempdir()
    (volume,) = pod_of(documents)["spec"]["volumes"]
    assert volume["name"] == mount["name"]
    size = quantity(volume["emptyDir"]["sizeLimit"])
    assert (
        8 * Settings.model_fields["max_body_bytes"].default <= size
    )  # so much of bodies is held (app.middleware.body_limit)
    assert size <= quantity(container_of(documents)["resources"]["limits"]["ephemeral-storage"])


def test_resources_are_asked_for_and_limited(documents: list[Document]) -> None:
    resources = container_of(documents)["resources"]
    for name in ("cpu", "memory", "ephemeral-storage"):
        assert 0 < quantity(resources["requests"][name]) <= quantity(resources["limits"][name])
    assert quantity(resources["requests"]["memory"]) > 500e6  # docs/performance.md, "Memory"


def test_the_gpu_overlay_asks_for_one() -> None:
    documents = built("overlays/gpu")
    assert container_of(documents)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert one(documents, "ConfigMap")["data"]["GAN_DEVICE"] == "cuda"
    for overlay in OVERLAYS[:2]:
        assert "nvidia" not in json.dumps(built(overlay))


def quantity(text: str) -> float:
    """A quantity of Kubernetes as a number."""
    number, unit = re.fullmatch(r"(\d+)(|m|Mi|Gi)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"": 1.0, "m": 1e-3, "Mi": 2.0**20, "Gi": 2.0**30}[unit]


def test_a_pod_more_may_go_than_must_stay(documents: list[Document]) -> None:
    spec = one(documents, "HorizontalPodAutoscaler")["spec"]
    assert one(documents, "PodDisruptionBudget")["spec"]["maxUnavailable"] < spec["minReplicas"] < spec["maxReplicas"]
    assert "replicas" not in one(documents, "Deployment")["spec"]


def test_the_autoscaler_reads_what_the_service_tells(documents: list[Document]) -> None:
    """From /metrics by Prometheus and its adapter to the autoscaler it is one name."""
    metrics = one(documents, "HorizontalPodAutoscaler")["spec"]["metrics"]
    (asked,) = [metric["pods"] for metric in metrics if metric["type"] == "Pods"]
    name = asked["metric"]["name"]
    families = {family.name: family for family in text_string_to_metric_families(Metrics().text().decode())}
    assert families[name].type == "gauge"
    (rule,) = plain("monitoring/prometheus-adapter.yaml")["rules"]
    assert re.fullmatch(rf'{name}{{namespace!="",pod!=""}}', rule["seriesQuery"])
    assert re.sub(rule["name"]["matches"], rule["name"]["as"], name) == name
    assert rule["resources"]["overrides"] == {label: {"resource": label} for label in ("namespace", "pod")}
    for placeholder in ("<<.Series>>", "<<.LabelMatchers>>", "<<.GroupBy>>"):
        assert placeholder in rule["metricsQuery"]
    assert asked["target"]["type"] == "AverageValue"
    assert float(asked["target"]["averageValue"]) < Settings.model_fields["max_requests"].default


def test_prometheus_finds_the_pods() -> None:
    documents = built("overlays/production")
    (job,) = plain("monitoring/prometheus-scrape.yaml")
    assert job["metrics_path"] in json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
    keep, *labels = job["relabel_configs"]
    port = container_of(documents)["ports"][0]["name"]
    assert keep["regex"] == f"{pod_of(documents)['metadata']['labels']['app.kubernetes.io/name']};{port}"
    assert [label["target_label"] for label in labels] == ["namespace", "pod"]  # what the adapter's rule goes by
    assert job["kubernetes_sd_configs"][0]["namespaces"]["names"] == [one(documents, "Namespace")["metadata"]["name"]]


def test_the_ingress_lets_through_what_the_service_takes() -> None:
    annotations = one(built("overlays/production"), "Ingress")["metadata"]["annotations"]
    megabytes = int(annotations["nginx.ingress.kubernetes.io/proxy-body-size"].removesuffix("m"))
    assert megabytes * 2**20 == Settings.model_fields["max_body_bytes"].default
    assert int(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]) > 60  # a projection may take 60 s


def test_the_image_is_of_this_version() -> None:
    images = [container_of(built(overlay))["image"] for overlay in OVERLAYS]
    name = "registry.example.com/gan-service"
    assert images == ["gan-service", f"{name}:{__version__}", f"{name}:{__version__}-cuda"]

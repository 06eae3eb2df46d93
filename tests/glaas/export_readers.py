"""Exports as their formats' own tools read them: each reader raises, or fails, for a document that is not sound."""

import functools
import importlib
import io
import json
import pkgutil
import re
import warnings

import attr
import openlineage.client.generated as facet_modules
import requests
import requests_cache
from openlineage.client import event_v2
from openlineage.client.generated.base import BaseFacet
from openlineage.client.generated.tags_run import TagsRunFacetFields
from prov.model import ProvDocument
from requests.adapters import BaseAdapter
from rocrate.rocrate import ROCrate
from rocrate.vocabs import RO_CRATE
from urllib3 import HTTPResponse

from glaas.exports.openlineage import TrackerRunReference, TrackerRunsRunFacet

FORMATS = ("cyclonedx", "openlineage", "prov", "ro-crate")


@functools.cache
def cyclonedx_validator():
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415  with the next one
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415  it compiles a whole grammar of URIs

    return JsonStrictValidator(SchemaVersion.V1_6)


def read_cyclonedx(text):
    assert cyclonedx_validator().validate_str(text) is None
    bom = json.loads(text)
    refs = {bom["metadata"]["component"]["bom-ref"], *(component["bom-ref"] for component in bom["components"])}
    assert len(refs) == 1 + len(bom["components"])
    ends = [end for task in tasks(bom) for end in (*task.get("inputs", ()), *task.get("outputs", ()))]
    assert {end["resource"]["ref"] for end in ends} <= refs
    assert {ref for entry in bom["dependencies"] for ref in (entry["ref"], *entry["dependsOn"])} <= refs
    return bom


def tasks(bom):
    return bom["formulation"][0]["workflows"][0].get("tasks", [])


def _facet_classes():
    found = {TrackerRunsRunFacet._get_schema(): TrackerRunsRunFacet}
    for module in pkgutil.iter_modules(facet_modules.__path__):
        loaded = importlib.import_module(f"openlineage.client.generated.{module.name}")
        found |= {kind._get_schema(): kind for kind in vars(loaded).values()
                  if isinstance(kind, type) and issubclass(kind, BaseFacet)}
    return found


FACETS = _facet_classes()
PARTS = {"tags": lambda tag: TagsRunFacetFields(**tag),
         "runs": lambda run: TrackerRunReference(**dict.fromkeys(
             field.name for field in attr.fields(TrackerRunReference)) | run)}


def _facets(shapes):
    made = {}
    for name, shape in shapes.items():
        values = {key: value for key, value in shape.items() if not key.startswith("_")}
        for key in PARTS.keys() & values.keys():
            values[key] = [PARTS[key](part) for part in values[key]]
        made[name] = FACETS[shape["_schemaURL"]](producer=shape["_producer"], **values)
    return made


def _with_facets(kind, shape):
    return kind(**{key: _facets(value) if key.lower().endswith("facets") else value for key, value in shape.items()})


def read_openlineage(text):
    """The events as the client's models, every facet as the class that its schema names."""
    events = [event_v2.RunEvent(
        eventType=event_v2.RunState(shape["eventType"]), eventTime=shape["eventTime"], producer=shape["producer"],
        run=_with_facets(event_v2.Run, shape["run"]), job=_with_facets(event_v2.Job, shape["job"]),
        inputs=[_with_facets(event_v2.InputDataset, dataset) for dataset in shape["inputs"]],
        outputs=[_with_facets(event_v2.OutputDataset, dataset) for dataset in shape["outputs"]])
        for shape in json.loads(text)]
    assert all(shape["schemaURL"] == event.schemaURL for shape, event in zip(json.loads(text), events, strict=True))
    return events


def read_prov(text):
    document = ProvDocument.deserialize(io.StringIO(text), format="json")
    again = document.serialize(format="json")
    assert ProvDocument.deserialize(io.StringIO(again), format="json") == document
    document.unified()  # raises where records of one identifier contradict each other
    document.get_provn()
    generated = [str(entity) for record in document.get_records() if record.get_type().localpart == "Generation"
                 for entity in record.get_attribute("prov:entity")]
    assert len(generated) == len(set(generated))  # PROV-CONSTRAINTS, constraint 24
    return document


def read_ro_crate(text):
    shape = json.loads(text)
    names = [entity["@id"] for entity in shape["@graph"]]
    assert len(names) == len(set(names))
    named = set(re.findall(r'"@id": "([^"]*)"', json.dumps(shape["@graph"])))
    assert named - set(names) == {"https://w3id.org/ro/crate/1.2"}
    used = {key for entity in shape["@graph"] for key in entity if not key.startswith("@")}
    types = {kind for entity in shape["@graph"] for kind in as_list(entity["@type"])}
    assert used | types <= set(RO_CRATE["@context"])
    return ROCrate(shape)


def as_list(value):
    return value if isinstance(value, list) else [value]


READERS = dict(zip(FORMATS, (read_cyclonedx, read_openlineage, read_prov, read_ro_crate), strict=True))


class _Shelf(BaseAdapter):
    """Answers with the JSON-LD context that the rocrate library ships, as there is no network.

    That is the context of RO-Crate 1.3. It differs from that of 1.2 in the terms ComputationalWorkflow,
    FormalParameter, input and output, which the exports do not use.
    """

    def send(self, request, **_more):
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = 200, request.url, request
        answer.headers["Content-Type"] = "application/ld+json"
        context = io.BytesIO(json.dumps(RO_CRATE).encode())
        answer.raw = HTTPResponse(context, answer.headers, 200, preload_content=False)
        return answer

    def close(self):
        pass


def ro_crate_issues(folder, profile, severity="REQUIRED", **where):
    """What rocrate-validator, offline, has against a crate; `where` says which, as its settings do."""
    from rocrate_validator import models, services  # noqa: PLC0415  half a second that few tests need

    cache = str(folder / "contexts")
    with requests_cache.CachedSession(cache_name=cache, backend="sqlite", expire_after=-1) as session:
        session.mount("https://w3id.org/", _Shelf())
        accept = {"Accept": "application/ld+json, application/json"}
        session.get("https://w3id.org/ro/crate/1.2/context", headers=accept)
    settings = models.ValidationSettings(
        rocrate_uri=where.pop("rocrate_uri", None), profile_identifier=profile, requirement_severity=severity,
        offline=True, cache_path=cache, skip_availability_check=True,
        # the profile extends RO-Crate 1.1; the rules of 1.2 are looked at by themselves
        disable_inherited_profiles_issue_reporting=profile.startswith("process"), **where)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it uses what rdflib wants replaced
        return {f"{issue.check.identifier} {issue.message}" for issue in services.validate(settings).get_issues()}

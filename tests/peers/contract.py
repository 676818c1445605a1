"""Judges the whole HTTP API by its own OpenAPI document, with schemathesis: every operation, as every kind of caller.

No answer may be a server error, or have a status, media type, header or shape that the document does not name; no request
that the document forbids is carried out; every example of a request fits its schema; and at least four fifths of the operations must do what they are for at least once. Every
operation gets callers of its own, so that one that signs out or deletes its caller disturbs nobody else. Streams are judged
elsewhere.
"""

import argparse
import itertools
import json
import sys
import time
from collections import Counter, defaultdict

import jsonschema_rs
import schemathesis
from contract_world import ACCOUNTS, ADMIN, PAIRS, TIMEOUT, Caller, Requests, Unprepared, World
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
# How a request that does not fit the document may be refused.
REFUSALS = ["4xx"]
STREAM = "text/event-stream"
SEED = 20261123
SHARE_MIN = 80
# What takes away or changes what other operations need comes last.
LAST = ["rotate_keys", "set_secret", "set_allowlist"]
# With ids that are there these would change, by bodies that were made up, what other operations need.
STRANGERS_ONLY = {"change_account"}


def request_schemas(document):
    """Every schema of a request, with its operation."""
    for methods in document["paths"].values():
        for operation in methods.values():
            body = operation.get("requestBody")
            if body:
                yield operation["operationId"], body["content"]["application/json"]


def examples_of(document):
    """The first example of each request, and what is wrong with examples."""
    firsts, faults = {}, []
    for name, media in request_schemas(document):
        whole = {**media["schema"], "components": document["components"]}
        validator = jsonschema_rs.Draft202012Validator(whole)
        examples = [example["value"] for example in media.get("examples", {}).values()]
        if not examples:
            faults.append(f"{name}: its request has no example")
            continue
        firsts[name] = examples[0]
        faults += [f"{name}: {error.message}" for one in examples for error in validator.iter_errors(one)]
    return firsts, faults


class Judge:
    """Tries operations, and keeps what came of it."""

    def __init__(self, world, document, count):
        self.world, self.count = world, count
        self.requests = Requests(world)
        self.examples, self.faults = examples_of(document)
        self.did, self.refused = defaultdict(set), defaultdict(Counter)
        self.calls = 0

    def send(self, name, case, caller, said):
        response = case.call(base_url=self.world.api, headers=caller.headers, timeout=TIMEOUT)
        self.calls += 1
        if response.status_code < 300:
            self.did[name].add(caller.kind)
        else:
            self.refused[name][f"{caller.kind} {response.status_code}"] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except (Exception, FailureGroup) as error:  # noqa: BLE001: whatever it is, it is a fault to report
            parts = getattr(error, "exceptions", [error])
            told = "; ".join(" ".join(str(one).split()) for one in parts)
            sent = f"{case.method} {case.formatted_path} {case.query or ''} {case.body if case.body else ''}"
            self.faults.append(f"{name} as {caller.kind}, {said}: {told[:500]} | {sent[:300]} | {response.text[:300]}")
        return response

    def good(self, name, operation, caller):
        """One request that should succeed; answers the ids in its path."""
        found = self.requests.of(name, operation.path, self.examples.get(name), caller)
        if found is None:
            return None
        path, body = found
        wanted = {"path_parameters": path} if path else {}
        if body is not None:
            wanted |= {"body": body, "media_type": "application/json"}
        self.send(name, operation.Case(**wanted), caller, "good")
        return path

    def carries_out(self, name, caller, there):
        """A function that sends a case, every other one about what is there."""
        turns = itertools.count()

        def carry_out(case):
            if there and next(turns) % 2 == 0:
                case.path_parameters = dict(there)
            self.send(name, case, caller, "made up")

        return carry_out

    def made_up(self, name, operation, caller, path):
        """Requests of schemathesis: as the document has them, and not; half of them about things that are there."""
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            there = path if mode == GenerationMode.POSITIVE and name not in STRANGERS_ONLY else None
            try:
                strategy = operation.as_strategy(generation_mode=mode)
                run = given(case=strategy)(self.carries_out(name, caller, there))
                # Without the phase that shrinks: what is found is told as it was sent.
                run = settings(
                    max_examples=self.count,
                    database=None,
                    deadline=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )(run)
                seed(SEED)(run)()
            except Unsatisfiable:
                # There is nothing to negate where nothing is read.
                continue

    def judge(self, name, operation, caller):
        try:
            path = self.good(name, operation, caller)
        except Unprepared as error:
            path = None
            self.faults.append(f"{name} as {caller.kind}: not prepared: {error}")
        self.made_up(name, operation, caller, path)
        if name == "set_allowlist":
            self.world.open_allow_list()


def callers(world, path):
    """Everybody who may try an operation at a path."""
    owns = path.startswith((ACCOUNTS, PAIRS)) and not path.startswith(ADMIN)
    return [
        lambda: Caller("anonymous", {}),
        world.settled_user if owns else world.user,
        world.admin,
        lambda: Caller("operator", world.operator),
    ]


def operations(document, only):
    """What is tried. Credentials are the callers' affair: none are made up."""
    tried = json.loads(json.dumps(document))
    tried["components"].pop("securitySchemes")
    for methods in tried["paths"].values():
        for operation in methods.values():
            operation.pop("security")
    schema = schemathesis.openapi.from_dict(tried)
    schema.config.checks.negative_data_rejection.expected_statuses = REFUSALS
    found = []
    for result in schema.get_all_operations():
        operation = result.ok()
        raw = operation.definition.raw
        streams = any(STREAM in answer.get("content", {}) for answer in raw["responses"].values())
        if not streams and only in raw["operationId"]:
            found.append((raw["operationId"], operation))
    return sorted(found, key=lambda one: (one[1].method.upper() == "DELETE" or one[0] in LAST, one[0]))


def main():
    parser = argparse.ArgumentParser()
    for name in ("api", "sandbox", "operator-token", "mail"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--examples", type=int, default=6)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    world = World(arguments)
    document = world.must("GET", "/openapi.json")
    judge = Judge(world, document, arguments.examples)
    tried = operations(document, arguments.only)
    started = time.monotonic()
    for name, operation in tried:
        for make in callers(world, operation.path):
            judge.judge(name, operation, make())
    missing = {name: dict(judge.refused[name]) for name, _ in tried if not judge.did[name]}
    share = 100 * (len(tried) - len(missing)) / max(1, len(tried))
    seconds = round(time.monotonic() - started)
    print(f"{len(tried)} operations, {judge.calls} calls, {seconds} s; {share:.0f} % did what they are for")
    print("did not:", json.dumps(missing))
    faults = sorted(set(judge.faults))
    for fault in faults[:60]:
        print("FAULT", fault)
    if faults or share < SHARE_MIN:
        sys.exit(1)


main()

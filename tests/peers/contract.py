"""Judges the whole HTTP API by its own OpenAPI document, with schemathesis: every operation, as every kind of caller.

No answer may be a server error, have a status, media type, header or shape that the document does not name; and at least
four fifths of the operations must do what they are for at least once. Every operation gets callers of its own, so that one
that signs out or deletes its caller disturbs nobody else. Streams are judged elsewhere.
"""

import argparse
import itertools
import json
import sys
import uuid
from collections import defaultdict

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
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
]
PASSWORD = "correct horse battery staple"
STREAM = "text/event-stream"
TIMEOUT = 30


class World:
    """The daemon, and the callers that it knows."""

    def __init__(self, arguments):
        self.api = arguments.api.rstrip("/")
        self.operator = {"Authorization": f"Bearer {arguments.operator_token}"}
        self.admin_login = {"email": arguments.admin_email, "password": arguments.admin_password}
        self.numbers = itertools.count()
        self.control = requests.get(arguments.sandbox + "/sandbox", timeout=TIMEOUT).json()

    def call(self, method, path, headers=None, **kwargs):
        return requests.request(method, self.api + path, headers=headers, timeout=TIMEOUT, **kwargs)

    def must(self, method, path, headers=None, **kwargs):
        answer = self.call(method, path, headers, **kwargs)
        if not answer.ok:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def email(self):
        return f"contract-{next(self.numbers)}-{uuid.uuid4().hex[:8]}@example.org"

    def user(self):
        """A user who just registered and signed in."""
        email = self.email()
        self.must("POST", "/api/v1/auth/register", json={"email": email, "password": PASSWORD})
        tokens = self.must("POST", "/api/v1/auth/login", json={"email": email, "password": PASSWORD})
        return {"Authorization": f"Bearer {tokens['access_token']}"}, email, tokens

    def admin(self):
        """The admin of this run, signed in anew."""
        tokens = self.must("POST", "/api/v1/admin/auth/login", json=self.admin_login)
        return {"Authorization": f"Bearer {tokens['access_token']}"}, self.admin_login["email"], tokens

    def first(self, path):
        """The id of the first thing of a list, as the operator sees it."""
        items = self.must("GET", path, self.operator).get("items", [])
        return items[0]["id"] if items else None


class Examples:
    """Requests that are known to be good: for each operation a body, or what stands in its path or query."""

    def __init__(self, world):
        self.world = world

    def path(self, operation, caller):
        """Ids that are there."""
        world, path = self.world, operation.path
        if path.startswith("/api/v1/accounts/{id}"):
            return {"id": world.first("/api/v1/accounts")}
        if path.startswith("/api/v1/pairs/{id}"):
            return {"id": world.first("/api/v1/pairs")}
        if path.startswith("/api/v1/admin/sessions/{id}"):
            return {"id": world.first("/api/v1/accounts")}
        return None

    def body(self, operation, caller):
        name = operation.definition.raw.get("operationId")
        make = getattr(self, name, None)
        return make(caller) if make else None

    def restart_actor(self, _caller):
        return {"path": "pairs"}


def good_request(operation, examples, caller):
    """One request that should succeed, or none."""
    wanted = {}
    if operation.path_parameters:
        path = examples.path(operation, caller)
        if path is None or None in path.values():
            return None
        wanted["path_parameters"] = path
    if operation.body:
        body = examples.body(operation, caller)
        if body is None:
            return None
        wanted["body"] = body
        wanted["media_type"] = "application/json"
    return operation.Case(**wanted)


def judge(world, examples, operation, caller, count):
    """Statuses that came, and what was wrong."""
    statuses, faults = [], []
    headers = caller["headers"]

    def carry_out(case):
        response = case.call(base_url=world.api, headers=headers, timeout=TIMEOUT)
        statuses.append(response.status_code)
        try:
            case.validate_response(response, checks=CHECKS)
        except Exception as error:  # noqa: BLE001: whatever it is, it is a fault to report
            text = "; ".join(str(one) for one in getattr(error, "exceptions", [error]))
            faults.append(f"{response.status_code} {text[:600]} | {case.body if case.body else ''} | {response.text[:300]}")

    good = good_request(operation, examples, caller)
    if good is not None:
        carry_out(good)
    for mode, share in [(GenerationMode.POSITIVE, count), (GenerationMode.NEGATIVE, count)]:
        try:
            strategy = operation.as_strategy(generation_mode=mode)

            @seed(20261123)
            @settings(
                max_examples=share,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=strategy)
            def run(case):
                carry_out(case)

            run()
        except Exception as error:  # noqa: BLE001
            # There is nothing to negate where nothing is read.
            if "Unsatisfiable" not in type(error).__name__ and "negat" not in str(error).lower():
                raise
    return statuses, faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--api", required=True)
    parser.add_argument("--sandbox", required=True)
    parser.add_argument("--operator-token", required=True)
    parser.add_argument("--admin-email", required=True)
    parser.add_argument("--admin-password", required=True)
    parser.add_argument("--examples", type=int, default=6)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    world = World(arguments)
    examples = Examples(world)
    document = world.must("GET", "/openapi.json")
    schema = schemathesis.openapi.from_dict(document)
    kinds = {
        "anonymous": lambda: ({}, None, None),
        "user": world.user,
        "admin": world.admin,
        "operator": lambda: (world.operator, None, None),
    }
    done, faults, operations = defaultdict(set), [], []
    for result in schema.get_all_operations():
        operation = result.ok()
        name = operation.definition.raw["operationId"]
        if arguments.only and arguments.only not in name:
            continue
        answers = operation.definition.raw["responses"]
        if any(STREAM in answer.get("content", {}) for answer in answers.values()):
            continue
        operations.append(name)
        for kind, make in kinds.items():
            headers, email, tokens = make()
            caller = {"kind": kind, "headers": headers, "email": email, "tokens": tokens}
            statuses, wrong = judge(world, examples, operation, caller, arguments.examples)
            if any(200 <= status < 300 for status in statuses):
                done[name].add(kind)
            faults += [f"{kind} {operation.method.upper()} {operation.path}: {fault}" for fault in wrong]
    missing = sorted(set(operations) - set(done))
    share = 100 * len(done) / max(1, len(operations))
    print(json.dumps({"operations": len(operations), "did": len(done), "share": round(share, 1), "missing": missing}))
    for fault in sorted(set(faults))[:60]:
        print("FAULT", fault)
    if faults or share < 80:
        sys.exit(1)


main()

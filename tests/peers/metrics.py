"""Reads a daemon's metrics as Prometheus would, by the strict OpenMetrics parser of its own Python client.

Prints every sample as a line of JSON: name, labels, value. Fails on what the format forbids: a name twice, a sample outside of
its family, a counter that is no counter, a missing end.
"""

import argparse
import json
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from stranger import DEADLINE, expect


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--metrics", required=True, help="http://127.0.0.1:PORT/metrics")
    asked = urllib.request.Request(arguments.parse_args().metrics)
    asked.add_header("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    with urllib.request.urlopen(asked, timeout=DEADLINE) as answer:
        kind = answer.headers["Content-Type"]
        expect(kind.startswith("application/openmetrics-text; version=1.0.0"), f"the media type is {kind}")
        text = answer.read().decode("utf-8")
    for family in text_string_to_metric_families(text):
        expect(family.documentation, f"{family.name} says what it is")
        for sample in family.samples:
            print(json.dumps({"name": sample.name, "labels": sample.labels, "value": sample.value}))


main()

"""Exports durations of requests with the exporters of OpenTelemetry for Python.

    exporter.py ENDPOINT TOKEN protobuf|json delta|cumulative PROPERTY
"""

import sys

from opentelemetry.exporter.otlp.json.http.metric_exporter import OTLPMetricExporter as JSONExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as ProtobufExporter
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

endpoint, token, encoding, temporality, zone = sys.argv[1:]
wanted = {
    "delta": AggregationTemporality.DELTA,
    "cumulative": AggregationTemporality.CUMULATIVE,
}[temporality]
options = {
    "endpoint": endpoint,
    "headers": {"authorization": "Bearer " + token},
    "preferred_temporality": {Histogram: wanted, Counter: wanted},
}
if encoding == "json":
    exporter = JSONExporter(**options)
else:
    exporter = ProtobufExporter(compression=Compression.Gzip, **options)
reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
provider = MeterProvider(metric_readers=[reader], resource=Resource.create({"belfry.zone": zone}))
meter = provider.get_meter("conformance")
duration = meter.create_histogram(
    "http.server.request.duration", unit="s", explicit_bucket_boundaries_advisory=[0.1, 0.5])
other = meter.create_counter("process.cpu.time", unit="s")

for _ in range(2):
    for i in range(10):
        duration.record(0.2, {
            "http.request.method": "GET",
            "http.response.status_code": 503 if i < 3 else 200,
            "http.route": "/pay",
        })
        other.add(1)
    if not provider.force_flush():
        sys.exit("the metrics were not exported")
provider.shutdown()
print("OK")

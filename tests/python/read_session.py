"""Opens the one session of a namespace with Google's own client and a CBOR library: read_session.py NAMESPACE."""

import os
import sys

import cbor2
from google.cloud import datastore

client = datastore.Client(project=os.environ["DATASTORE_PROJECT_ID"], namespace=sys.argv[1])
entities = [entity for entity in client.query(kind="Session").fetch(timeout=30) if entity.key.name[:8] == "session."]
assert len(entities) == 1, [entity.key.name for entity in entities]

envelope = cbor2.loads(entities[0]["Value"])
assert envelope.tag == 17, envelope.tag  # COSE_Mac0
protected, unprotected, payload, mac = envelope.value
assert cbor2.loads(protected) == {1: 5}, protected  # HMAC 256/256
assert len(unprotected[4]) == 4 and len(mac) == 32

assert payload[:3] == b"\xd9\xd9\xf7", payload[:3]  # self-described CBOR, which cbor2 takes off
record = cbor2.loads(payload)
version_of_format, name, version, _fingerprint, meta, fields = getattr(record, "value", record)
assert (version_of_format, name, version) == (1, "python", 3), record
assert len(meta) == 7 and len(meta[3]) == 32, meta
values = {field: cbor2.loads(embedded.value) for field, embedded in fields.items()}
assert values == {"visits": 7, "note": "für Müller"}, values

"""Reads one entity with Google's own client: read_entity.py NAMESPACE NAME VALUE_HEX EXPIRES_AT_MICROS."""

import datetime
import os
import sys

from google.cloud import datastore

namespace, name, value, expires_at = sys.argv[1:]
client = datastore.Client(project=os.environ["DATASTORE_PROJECT_ID"], namespace=namespace)
entity = client.get(client.key("Session", name), timeout=30)
assert entity is not None, f"no entity {name}"
assert entity.kind == "Session", entity.kind
assert entity.key.flat_path == ("Session", name), entity.key
assert set(entity) == {"Value", "ExpiresAt"}, sorted(entity)

assert isinstance(entity["Value"], bytes), type(entity["Value"])
assert entity["Value"] == bytes.fromhex(value), entity["Value"].hex()
assert entity.exclude_from_indexes == {"Value"}, entity.exclude_from_indexes

epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
assert isinstance(entity["ExpiresAt"], datetime.datetime), type(entity["ExpiresAt"])
micros = (entity["ExpiresAt"] - epoch) // datetime.timedelta(microseconds=1)
assert micros == int(expires_at), micros

query = client.query(kind="Session")
query.add_filter(filter=datastore.query.PropertyFilter("ExpiresAt", "<=", entity["ExpiresAt"]))
query.keys_only()
assert [found.key.name for found in query.fetch(timeout=30)] == [name]

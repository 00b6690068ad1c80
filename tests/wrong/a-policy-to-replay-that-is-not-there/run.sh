echo >mentions.ndjson
triaged replay --config triaged.toml --policy nope --mentions mentions.ndjson

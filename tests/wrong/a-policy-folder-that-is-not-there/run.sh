mv policy polices
triaged check --config triaged.toml
